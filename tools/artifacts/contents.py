"""What a function's artifact holds, as folders: the wheels of its dependency group with our code, and its own code.

Our code is the same for all functions: its modules are small, and what a function does not import costs no time.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from daswatch.settings import SETTINGS

# Where the default of the setting looks for them.
DETECTIONS_FILE = SETTINGS["DETECTIONS"].default
ACTORS_FILE = "actors.json"  # where the template's setting ACTORS looks for it
_OURS = ("daswatch", "dashboards", "index_templates", "remediation")
# The command line and the compiler of detections: no function has their dependencies.
_COMPILER = tuple(f"daswatch/detections/{name}.py" for name in ("actors", "necessary", "sigma", "yaml_text"))
_NOT_ON_LAMBDA = ("daswatch/cli.py", "daswatch/commands/", *_COMPILER)
_CLIENT = re.compile(r'\.client\(\s*"([\w-]+)"')

# Sources of compiled modules, and what only type checkers read.
_NOT_READ = frozenset({".pyc", ".pyi", ".pyx", ".pxd", ".c", ".h", ".cpp", ".rs"})
_NO_FOLDERS = frozenset({"__pycache__", "tests", "test", "bin", "examples"})
_BY_SERVICE = (("botocore", "data"), ("boto3", "data"))
# Scanners read METADATA for the versions in a function, and so its known flaws; licenses go with the code.
_OF_DIST_INFO = ("METADATA", "LICENSE", "LICENCE", "NOTICE", "COPYING", "AUTHORS")


def functions(root: Path) -> list[str]:
    """The functions of a tree, by their folders."""
    return sorted(path.parent.name for path in root.glob("*_lambda/handler.py"))


def services(root: Path) -> frozenset[str]:
    """botocore's names of the services that our code makes clients of: botocore carries some four hundred."""
    sources = [path for package in ("daswatch", *functions(root)) for path in (root / package).rglob("*.py")]
    return frozenset(name for path in sources for name in _CLIENT.findall(path.read_text("utf-8")))


def fill(folder: Path, root: Path, called: frozenset[str], compiled: Mapping[str, bytes]) -> None:
    """Make a folder of unpacked wheels what functions share: without what is not read, with our code and its data.

    `compiled` are the files that are made of the rules, by their names.
    """
    for path in _files(folder):
        if not is_carried(path.relative_to(folder).as_posix(), called):
            path.unlink()
    for package in _OURS:
        copy_package(folder, package, root, called)
    for name, content in compiled.items():
        (folder / name).write_bytes(content)


def copy_package(folder: Path, package: str, root: Path, called: frozenset[str]) -> None:
    """Copy what is read at run time of a package of ours."""
    for path in _files(root / package):
        name = path.relative_to(root).as_posix()
        if is_carried(name, called) and not name.startswith(_NOT_ON_LAMBDA):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)


def is_carried(name: str, called: frozenset[str]) -> bool:
    """Whether a file is read at run time by code that calls these services."""
    path = PurePosixPath(name)
    parts = path.parts
    if path.suffix in _NOT_READ or path.name == "py.typed" or any(part.startswith(".") for part in parts):
        return False
    if parts[0].endswith(".dist-info"):
        return path.name.upper().startswith(_OF_DIST_INFO)
    if _NO_FOLDERS.intersection(parts[:-1]) or parts[0].endswith("-stubs"):
        return False
    if parts[:2] in _BY_SERVICE and len(parts) > 3:
        return parts[2] in called and not path.name.startswith("examples-")
    return True


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
