"""Sources compiled for the functions' Python, so that a cold start does not compile them: /var/task cannot be written.

The files are unchecked hash-based ones: they hold no time. One process compiles a folder in the order of its names, so
the same folder gives the same bytes (marshal notes which strings are shared, which depends on what was compiled
before). Python's patch release is the one thing from outside that may show: the manifest names it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.artifacts.errors import PackagingError
from tools.artifacts.wheels import find_python

_TIMEOUT_SECONDS = 600
_TASK = "/var/task"  # where Lambda unpacks an artifact: so tracebacks name the files


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of the functions' version, and its release."""

    path: Path
    release: str


def interpreter(python_version: str) -> Interpreter | None:
    """One that can compile for this version; None where this machine has none and cannot get one."""
    path = Path(sys.executable) if python_version == _running() else find_python(python_version)
    if path is None:
        return None
    done = subprocess.run(
        [path, "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True, check=False
    )
    release = done.stdout.strip()
    return Interpreter(path, release) if re.fullmatch(rf"{re.escape(python_version)}\.\w+", release) else None


def compile_folder(folder: Path, python: Interpreter) -> None:
    """Compile the sources of a folder into its `__pycache__` folders. Raises PackagingError where one is no source."""
    done = subprocess.run(
        [
            *(python.path, "-P", "-S", "-s", "-W", "ignore", "-m", "compileall", "-q"),
            *("--invalidation-mode", "unchecked-hash", "-s", folder, "-p", _TASK, folder),
        ],
        env={"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode:
        raise PackagingError(
            f"Python {python.release} cannot compile:\n{(done.stdout + done.stderr).strip()}\n",
            "correct the source, leave it out in tools/artifacts/contents.py, or repair that Python",
        )


def _running() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
