"""Which AWS services a function calls, read from its code: botocore carries a folder for each of some four hundred.

Clients are made in `daswatch/aws/clients.py` by functions of their own. Those that the function's modules import
are the ones it uses; what these make, and what they call in turn, are its services.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from tools.artifacts.errors import PackagingError
from tools.artifacts.imports import Module, executed, imports_of, parsed

_MAKES = ("client", "resource")
_EVERYTHING = "*"


def services_of(modules: Mapping[str, Module]) -> frozenset[str]:
    """botocore's names of the services that these modules of ours make clients of.

    Raises PackagingError if a client's service is not a literal: what the artifact needs is then unknown.
    """
    makers = {name: _definitions(one) for name, one in modules.items() if _imports_boto3(one)}
    wanted = _wanted(modules, makers)
    services: set[str] = set()
    for name, definitions in makers.items():
        # A name that is none of its own came from elsewhere: then nothing is known about what is done with it.
        waiting = list(definitions if wanted[name] - definitions.keys() else wanted[name])
        seen: set[str] = set()
        while waiting:
            one = waiting.pop()
            if one not in seen and one in definitions:
                seen.add(one)
                services |= _made(definitions[one], name)
                waiting += [inner.id for inner in executed(definitions[one]) if isinstance(inner, ast.Name)]
    return frozenset(services)


def _definitions(module: Module) -> dict[str, ast.AST]:
    """The module's functions, classes and values by name; what runs at import, under the empty name."""
    assert module.path is not None
    named: dict[str, ast.AST] = {}
    rest: list[ast.stmt] = []
    for statement in parsed(module.path).body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                named[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                named[name] = statement
            case _:
                rest.append(statement)
    named[""] = ast.Module(body=rest, type_ignores=[])
    return named


def _wanted(modules: Mapping[str, Module], makers: Iterable[str]) -> dict[str, set[str]]:
    """The names that are used of each module that makes clients. A module used as a whole is used in all its parts."""
    known = set(makers)
    wanted = {name: {""} for name in known}
    for name, module in modules.items():
        if module.path is None:
            continue
        if name in known and name.partition(".")[0].endswith("_lambda"):
            wanted[name].add(_EVERYTHING)
        for node in executed(parsed(module.path)):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if node.module in wanted:
                        wanted[node.module].add(alias.name)
                    if (whole := f"{node.module}.{alias.name}") in known:
                        wanted[whole].add(_EVERYTHING)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in known:
                        wanted[alias.name].add(_EVERYTHING)
    return wanted


def _made(node: ast.AST, module: str) -> set[str]:
    made: set[str] = set()
    for call in executed(node):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in _MAKES:
            continue
        service = call.args[0] if call.args else None
        if not isinstance(service, ast.Constant) or not isinstance(service.value, str):
            raise PackagingError(
                f"{module}, line {call.lineno}: a client of a service that is not a literal",
                'write it as .client("kms", ...), so that the build knows which of botocore\'s data it needs',
            )
        made.add(service.value)
    return made


def _imports_boto3(module: Module) -> bool:
    if module.path is None or module.is_native:
        return False
    named = imports_of(module).modules
    return any(name.partition(".")[0] == "boto3" or name == "botocore.session" for name in named)
