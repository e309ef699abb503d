"""What one function's artifact holds: names and where each file's bytes come from.

Of ours: the function's package, the modules of `daswatch` that it leads to, and packages of data whose files these
read. Of others: each distribution that is imported on the way, less what nothing reads at run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from daswatch.settings import SETTINGS
from tools.artifacts.errors import PackagingError
from tools.artifacts.imports import Finder, Module, Reached, constants, reached
from tools.artifacts.services import services_of
from tools.artifacts.wheels import Distribution, by_file, distributions

# The compiled detections lie at the root of the functions that read this setting, where its default looks for them.
_DETECTIONS = "DETECTIONS"
DETECTIONS_FILE = SETTINGS[_DETECTIONS].default
_OURS = "daswatch"

# Else the findings function would carry 15 MB more. urllib3's module begins with `import OpenSSL`, which is not locked;
# requests looks at both only where Python's ssl cannot send the server's name.
_NEVER_IMPORTED = frozenset({("requests", "cryptography"), ("urllib3.contrib.pyopenssl", "cryptography")})

# Sources of compiled modules, and what only type checkers read.
_NOT_READ = frozenset({".pyc", ".pyi", ".pyx", ".pxd", ".c", ".h", ".cpp", ".rs"})
_NO_FOLDERS = frozenset({"__pycache__", "tests", "test", "bin", "examples"})
_BY_SERVICE = (("botocore", "data"), ("boto3", "data"))
# Scanners read METADATA for the versions in a function, and so its known flaws; licences go with the code.
_OF_DIST_INFO = ("METADATA", "LICENSE", "LICENCE", "NOTICE", "COPYING", "AUTHORS")


@dataclass(frozen=True, slots=True)
class Contents:
    """An artifact before it is written."""

    function: str
    files: Mapping[str, Path | bytes]
    owners: Mapping[str, str]  # which distribution, or daswatch, a file belongs to
    services: frozenset[str]
    distributions: Mapping[str, str]  # name -> version

    def with_compiled(self, compiled: Mapping[str, tuple[str, bytes]]) -> Contents:
        """With the compiled files of its own sources, by source; each belongs to the owner of its source."""
        own = {source: one for source, one in compiled.items() if source in self.files}
        return replace(
            self,
            files={**self.files, **dict(own.values())},
            owners={**self.owners, **{name: self.owners[source] for source, (name, _) in own.items()}},
        )


def functions(root: Path) -> list[str]:
    """The functions of a tree, by their folders."""
    return sorted(path.parent.name for path in root.glob("*_lambda/handler.py"))


def contents(function: str, root: Path, wheels: Path, detections: bytes) -> Contents:
    """What a function's artifact holds, its wheels unpacked in a folder. Raises PackagingError."""
    found = distributions(wheels)
    owner_of = by_file(found)
    finder = Finder(root, wheels)
    graph = reached(f"{function}.handler", finder, _NEVER_IMPORTED)
    ours = {name: one for name, one in graph.modules.items() if one.path and one.path.is_relative_to(root)}
    _check_ours(function, ours, graph)
    services = services_of(ours)
    _check_services(function, services, wheels)
    carried = _carried(graph, finder, wheels, found, owner_of)

    files: dict[str, Path | bytes] = {}
    owners: dict[str, str] = {}
    for name, path in _our_files(function, root, ours, graph).items():
        files[name], owners[name] = path, _OURS
    for distribution in sorted(carried):
        for name in found[distribution].files:
            if is_carried(name, services):
                files[name], owners[name] = wheels / name, distribution
    own = [one.path for name, one in ours.items() if one.path and name.partition(".")[0] == function]
    if _DETECTIONS in constants(own):
        files[DETECTIONS_FILE], owners[DETECTIONS_FILE] = detections, _OURS
    for module in graph.modules.values():
        _check_carried(function, module, files, root, wheels)
    return Contents(
        function, files, owners, services, {found[name].name: found[name].version for name in sorted(carried)}
    )


def is_carried(name: str, services: frozenset[str]) -> bool:
    """Whether a wheel's file is read at run time by a function that calls these services."""
    path = PurePosixPath(name)
    parts = path.parts
    if path.is_absolute() or ".." in parts or path.suffix in _NOT_READ or path.name == "py.typed":
        return False
    if parts[0].endswith(".dist-info"):
        return path.name.upper().startswith(_OF_DIST_INFO) and len(parts) <= 4
    if _NO_FOLDERS.intersection(parts[:-1]) or parts[0].endswith("-stubs"):
        return False
    if parts[:2] in _BY_SERVICE and len(parts) > 3:
        return parts[2] in services and not path.name.startswith("examples-")
    return True


def _our_files(function: str, root: Path, ours: Mapping[str, Module], graph: Reached) -> dict[str, Path]:
    paths = {one.path for one in ours.values() if one.path}
    paths |= set((root / function).glob("*.py"))
    for package in graph.data:
        # Some read files of other distributions, or their own by `__name__`: those are carried whole anyway.
        if (root / package / "__init__.py").is_file():
            paths |= {path for path in (root / package).rglob("*") if path.is_file() and _is_data(path, root)}
    return {path.relative_to(root).as_posix(): path for path in sorted(paths)}


def _is_data(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    return "__pycache__" not in parts and not any(part.startswith(".") for part in parts)


def _carried(
    graph: Reached, finder: Finder, wheels: Path, found: Mapping[str, Distribution], owner_of: Mapping[str, str]
) -> set[str]:
    """The distributions that are imported. What a compiled module imports cannot be read: all it requires is taken."""
    modules = dict(graph.modules)
    carried: set[str] = set()
    while new := _owners(modules, wheels, owner_of) - carried:
        carried |= new
        for name in new:
            if any(file.endswith(".so") for file in found[name].files):
                for required in found[name].requires & found.keys():
                    for top in _top_modules(found[required]):
                        modules.update(reached(top, finder, _NEVER_IMPORTED).modules)
    return carried


def _owners(modules: Mapping[str, Module], wheels: Path, owner_of: Mapping[str, str]) -> set[str]:
    paths = (one.path for one in modules.values() if one.path and one.path.is_relative_to(wheels))
    return {owner_of[path.relative_to(wheels).as_posix()] for path in paths}


def _top_modules(distribution: Distribution) -> set[str]:
    """The modules that a distribution has at the top: `six`, `yaml`, `_cffi_backend`."""
    tops = {PurePosixPath(file).parts[0] for file in distribution.files if file.endswith((".py", ".so"))}
    return {top.partition(".")[0] for top in tops if not top.endswith(("-info", "-stubs")) and top != ".."}


def _check_ours(function: str, ours: Mapping[str, Module], graph: Reached) -> None:
    for name, importer in graph.missing.items():
        if importer in ours:
            raise PackagingError(
                f"{function}: {importer} imports {name}, which neither the tree nor the locked distributions have",
                "correct the import, or add its distribution to `dependencies` in pyproject.toml and run `uv lock`",
            )


def _check_services(function: str, services: frozenset[str], wheels: Path) -> None:
    unknown = sorted(name for name in services if not (wheels / "botocore" / "data" / name).is_dir())
    if unknown:
        raise PackagingError(
            f"{function}: botocore knows no service {', '.join(unknown)}",
            "correct the client's name, or lock a newer botocore: `uv lock --upgrade-package botocore`",
        )


def _check_carried(function: str, module: Module, files: Mapping[str, Path | bytes], root: Path, wheels: Path) -> None:
    """A module that can be imported was not left out with the tests and the stubs of its distribution."""
    if module.path is None:
        return
    base = wheels if module.path.is_relative_to(wheels) else root
    name = module.path.relative_to(base).as_posix()
    if name not in files:
        raise PackagingError(
            f"{function}: {module.name} is imported and would be left out ({name})",
            "take its folder out of what tools/artifacts/contents.py leaves out",
        )
