"""The locked distributions as wheels of a target: uv chooses them, checks their hashes and unpacks them.

The target is not this machine: nothing of it is run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tools.artifacts.errors import PackagingError

_TIMEOUT_SECONDS = 600
_AMAZON_LINUX_2 = "manylinux2014"  # glibc 2.26: Python 3.11 and older
_AMAZON_LINUX_2023 = "manylinux_2_34"  # glibc 2.34: Python 3.12 and newer
_NO_NETWORK = re.compile(r"dns error|failed to fetch|error sending request|connection refused|timed out", re.I)
_NO_WHEEL = re.compile(r"no wheels? with|no usable wheels|no matching (wheel|version)|has no (source|usable)", re.I)


class Architecture(StrEnum):
    """Lambda's names of the processors that it has."""

    ARM64 = "arm64"
    X86_64 = "x86_64"

    @property
    def machine(self) -> str:
        """The name that wheels and Linux have for it."""
        return "aarch64" if self is Architecture.ARM64 else "x86_64"


@dataclass(frozen=True, slots=True)
class Target:
    """Lambda's runtime: what a function's artifact has to run on."""

    architecture: Architecture
    python_version: str = "3.13"

    @property
    def platform(self) -> str:
        """uv's name of the runtime's platform, by the oldest glibc that the runtime may have."""
        minor = int(self.python_version.partition(".")[2])
        return f"{self.architecture.machine}-{_AMAZON_LINUX_2023 if minor >= 12 else _AMAZON_LINUX_2}"


def export_lock(root: Path, group: str) -> bytes:
    """What uv.lock says a dependency group needs, each distribution with its hashes. Raises PackagingError.

    Groups that need the same have the same bytes.

    opensearch-py requires opensearch-protobufs, and so gRPC, 20 MB, and imports neither.
    """
    options = ("--frozen", "--only-group", group, "--prune", "opensearch-protobufs", "--no-header", "--no-annotate")
    return _uv("export", "--project", str(root), *options, "--format", "requirements.txt")


def install(requirements: Path, target: Target, folder: Path) -> None:
    """Unpack the wheels of these requirements for a target. Raises PackagingError."""
    _uv(
        "pip",
        "install",
        *("--target", str(folder)),
        *("--python-platform", target.platform, "--python-version", target.python_version),
        *("--only-binary", ":all:", "--require-hashes", "--no-deps", "--no-config"),
        *("--python", sys.executable),
        *("--requirements", str(requirements)),
    )


def find_python(version: str) -> Path | None:
    """A Python of this version: uv's choice, one of pyenv's, or one that uv downloads; None where none can be had."""
    return _uv_python(version) or _pyenv_python(version) or _installed_python(version)


def _uv_python(version: str) -> Path | None:
    try:
        return Path(_uv("python", "find", "--no-project", "--no-python-downloads", version).decode().strip())
    except PackagingError:
        return None


def _pyenv_python(version: str) -> Path | None:
    """pyenv's shims run only those that are switched on; the others are there all the same."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [path for path in root.glob(f"versions/{version}.*/bin/python{version}") if path.is_file()]
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parts[-3])], default=None)


def _installed_python(version: str) -> Path | None:
    try:
        _uv("python", "install", version)
    except PackagingError:
        return None
    return _uv_python(version)


def _uv(*arguments: str) -> bytes:
    local = Path(sys.executable).with_name("uv")
    uv = str(local) if local.is_file() else shutil.which("uv")
    if uv is None:
        raise PackagingError("uv is missing", "`make package`, which installs it, or `pip install 'uv>=0.8'`")
    done = subprocess.run([uv, "--quiet", *arguments], capture_output=True, check=False, timeout=_TIMEOUT_SECONDS)
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace").strip()
    raise PackagingError(f"uv {arguments[0]} failed:\n{said}\n", _next_step(said))


def _next_step(said: str) -> str:
    if _NO_NETWORK.search(said):
        return "check the connection to the package index, or UV_INDEX_URL and the proxy's variables; then run it again"
    if _NO_WHEEL.search(said):
        return (
            "choose a version in uv.lock that publishes wheels for this platform and Python "
            "(`uv lock --upgrade-package NAME`), or another PYTHON_VERSION"
        )
    if "hash" in said.lower():
        return "the index has other bytes than uv.lock: find out why before anything is deployed"
    return "`uv lock --check` checks that uv.lock and pyproject.toml agree"
