"""Sources compiled for the functions' Python, so that a cold start does not compile them: /var/task cannot be written.

The files are unchecked hash-based ones: they hold no time, and the same source gives the same bytes. Each is compiled
in a process that was forked for it, since what else was compiled there before would show in the bytes (marshal notes
which strings are shared). Python's patch release is the one thing from outside that may show: the manifest names it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.artifacts.errors import PackagingError
from tools.artifacts.wheels import find_python

_TIMEOUT_SECONDS = 600
_TASK = "/var/task"  # where Lambda unpacks an artifact: so tracebacks name the files

# Runs in the functions' Python, which has nothing of ours installed. Answers with what it could not compile.
_SCRIPT = """
import json, os, py_compile, sys
task, sources = json.load(sys.stdin)
failed, running = [], {}

def compile_one(name, source, target):
    try:
        py_compile.compile(
            source, target, f"{task}/{name}", doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError:
        os._exit(1)
    os._exit(0)

def wait():
    pid, status = os.wait()
    name = running.pop(pid)
    if status:
        failed.append(name)

for name, source, target in sources:
    if len(running) >= (os.cpu_count() or 1):
        wait()
    pid = os.fork()
    if pid == 0:
        compile_one(name, source, target)
    running[pid] = name
while running:
    wait()
json.dump([sys.implementation.cache_tag, sorted(failed)], sys.stdout)
"""


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


class Compiler:
    """Compiles sources with one Python, each once: those of two architectures are the same but for a few."""

    def __init__(self, python: Interpreter) -> None:
        self._python = python
        self._done: dict[tuple[str, bytes], tuple[str, bytes] | None] = {}

    def compile(self, files: Mapping[str, Path | bytes]) -> dict[str, tuple[str, bytes]]:
        """By source: the compiled file's name in an artifact, and its content. Raises PackagingError.

        A source that is not of this Python's syntax has none: what cannot be compiled cannot be imported either.
        """
        paths = {name: path for name, path in files.items() if name.endswith(".py") and isinstance(path, Path)}
        keys = {name: (name, hashlib.sha256(path.read_bytes()).digest()) for name, path in paths.items()}
        new = {name: path for name, path in paths.items() if keys[name] not in self._done}
        if new:
            done = _run(new, self._python)
            self._done |= {keys[name]: done.get(name) for name in new}
        return {name: one for name in paths if (one := self._done[keys[name]]) is not None}


def _run(sources: Mapping[str, Path], python: Interpreter) -> dict[str, tuple[str, bytes]]:
    with tempfile.TemporaryDirectory(prefix="daswatch-") as folder:
        targets = {name: Path(folder) / f"{number}.pyc" for number, name in enumerate(sorted(sources))}
        asked = [(name, str(sources[name]), str(target)) for name, target in targets.items()]
        done = subprocess.run(
            [python.path, "-S", "-s", "-W", "ignore", "-c", _SCRIPT],
            input=json.dumps([_TASK, asked]),
            env={"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:]
            raise PackagingError(f"{python.path} cannot compile: {' '.join(said)}", "repair or remove that Python")
        tag, failed = json.loads(done.stdout)
        return {
            name: (_cached(name, tag), target.read_bytes()) for name, target in targets.items() if name not in failed
        }


def _cached(name: str, tag: str) -> str:
    """`a/b.py` -> `a/__pycache__/b.cpython-313.pyc`."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/__pycache__/{file.removesuffix('.py')}.{tag}.pyc".lstrip("/")


def _running() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
