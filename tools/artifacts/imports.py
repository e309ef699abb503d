"""What a module needs, read from its source. Nothing is imported: wheels of another architecture are read as well.

Imports within functions count, since they run some day; those under `if TYPE_CHECKING:` do not.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_NATIVE = re.compile(r"\.(abi3|cpython-\d+[a-z]*-[\w-]+)\.so$")
# Of modules that exist on other systems only, `sys` knows the names as well.
_STANDARD = frozenset(sys.stdlib_module_names)


@dataclass(frozen=True, slots=True)
class Module:
    """A module and its file; a namespace package has none."""

    name: str
    path: Path | None
    is_package: bool = False

    @property
    def is_native(self) -> bool:
        """Whether it is compiled, so that its imports cannot be read."""
        return self.path is not None and self.path.suffix != ".py"


class Finder:
    """Finds modules below folders, the first that has it."""

    def __init__(self, *roots: Path) -> None:
        self._roots = roots
        self._found: dict[str, Module | None] = {}

    def find(self, name: str) -> Module | None:
        """The module, or None where no folder has it."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Module | None:
        namespace = None
        for root in self._roots:
            place = root.joinpath(*name.split("."))
            if (place / "__init__.py").is_file():
                return Module(name, place / "__init__.py", is_package=True)
            if place.with_name(f"{place.name}.py").is_file():
                return Module(name, place.with_name(f"{place.name}.py"))
            if native := _native_file(place):
                return Module(name, native)
            if place.is_dir():
                namespace = Module(name, None, is_package=True)
        return namespace


@dataclass(frozen=True, slots=True)
class Imports:
    """What one file names: modules that it imports, and packages whose files it reads."""

    modules: frozenset[str]
    # From `from a import b`: a.b is a module, or it is not.
    perhaps: frozenset[str]
    data: frozenset[str]


def imports_of(module: Module) -> Imports:
    """The imports of a module that is a Python file. Raises SyntaxError where that is none."""
    assert module.path is not None
    return _read_imports(module.path.read_bytes(), module.name, module.is_package)


# By content: most files of a distribution are the same for each architecture.
@cache
def _read_imports(source: bytes, name: str, is_package: bool) -> Imports:
    modules: set[str] = set()
    perhaps: set[str] = set()
    data: set[str] = set()
    for node in executed(ast.parse(source, filename=name)):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, name, is_package)
            modules.add(base)
            perhaps.update(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and (literal := _first_literal(node)):
            match _called(node):
                case "files":
                    data.add(literal)
                case "import_module" if not literal.startswith("."):
                    perhaps.add(literal)
    return Imports(frozenset(modules), frozenset(perhaps), frozenset(data))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file of ours."""
    return ast.parse(path.read_bytes(), filename=path.name)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield other
                yield from executed(other)
            continue
        yield child
        yield from executed(child)


@dataclass(frozen=True, slots=True)
class Reached:
    """All that a start leads to, by name; `missing` has the importers of what does not exist."""

    modules: Mapping[str, Module]
    data: frozenset[str]
    missing: Mapping[str, str]


def reached(start: str, finder: Finder, never: Collection[tuple[str, str]] = ()) -> Reached:
    """Every module that importing `start`, and running it, can import; the standard library is left out.

    `never` are pairs of a module and a package at the top that it never comes to import on Lambda.
    """
    modules: dict[str, Module] = {}
    data: set[str] = set()
    missing: dict[str, str] = {}
    waiting = [(start, "", True)]
    while waiting:
        name, importer, certain = waiting.pop()
        top = name.partition(".")[0]
        if name in modules or (importer, top) in never or top in _STANDARD:
            continue
        module = finder.find(name)
        if module is None:
            if certain:
                missing.setdefault(name, importer)
            continue
        modules[name] = module
        if "." in name:
            waiting.append((name.rpartition(".")[0], importer, True))
        if module.path is None or module.is_native:
            continue
        found = imports_of(module)
        data |= found.data
        waiting += [(one, name, True) for one in found.modules]
        waiting += [(one, name, False) for one in found.perhaps]
    return Reached(modules, frozenset(data), missing)


def constants(paths: Sequence[Path]) -> frozenset[str]:
    """Every string that stands in these files, docstrings included."""
    nodes = (node for path in paths for node in executed(parsed(path)))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _absolute(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    up = node.level - 1 if is_package else node.level
    return ".".join([*parts[: len(parts) - up], *(node.module.split(".") if node.module else [])])


def _first_literal(node: ast.Call) -> str:
    if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
        return node.args[0].value
    return ""


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _native_file(place: Path) -> Path | None:
    if not place.parent.is_dir():
        return None
    candidates = sorted(place.parent.glob(f"{place.name}.*.so"))
    return next((path for path in candidates if _NATIVE.search(path.name)), None)
