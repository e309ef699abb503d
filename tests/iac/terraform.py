"""What Terraform makes of the module in terraform/: its files read, its expressions evaluated, its loops written out.

Terraform needs AWS's provider for this, and a plan needs AWS. Here python-hcl2 parses the language, and the part of it
that the module uses is evaluated: what is not known here raises, so nothing passes because it was not understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
from lark import Token, Tree

from tests import ROOT

Node = Tree[Any] | Token

MODULE = ROOT / "terraform"
_KNOWN_DATA = {
    "aws_caller_identity.current": {"account_id": "123456789012"},
    "aws_partition.current": {"partition": "aws"},
    "aws_region.current": {"region": "eu-west-1"},
}
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\t": "\t"}
_UNSEEN = {"depends_on"}


class Unknown(Exception):
    """An expression that fails, as Terraform would have it, or that is not known here."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What only AWS could tell: `aws_kms_key.data.arn`, in text `<aws_kms_key.data.arn>`; keys without quotes."""

    path: str

    def __str__(self) -> str:
        return f"<{self.path}>"


class Blocks(list[dict[str, Any]]):
    """The nested blocks of one name, apart from an argument that is a list."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a resource, evaluated: `aws_s3_bucket.rows[0]`, its arguments and blocks."""

    address: str
    type: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Scope:
    """The names of loops around an expression."""

    names: Mapping[str, Any] = field(default_factory=dict)

    def with_names(self, **names: Any) -> _Scope:
        return _Scope({**self.names, **names})


class Source:
    """The blocks of a module's files, not evaluated."""

    def __init__(self, *texts: str) -> None:
        self.blocks = [block for text in texts for block in _blocks(text)]

    @classmethod
    def of(cls, folder: Path, change: Callable[[str], str] = str) -> Source:
        """The module in a folder; `change` gets the text of each file first."""
        return cls(*(change(path.read_text("utf-8")) for path in sorted(folder.glob("*.tf"))))

    def named(self, kind: str) -> dict[str, Tree[Any]]:
        """The bodies of the blocks of one kind by their labels: `variable`, `output`, `resource`, `data`."""
        found: dict[str, Tree[Any]] = {}
        for name, labels, body in self.blocks:
            if name == kind:
                assert ".".join(labels) not in found, f"{kind} {'.'.join(labels)} is there twice"
                found[".".join(labels)] = body
        return found

    def locals(self) -> dict[str, Node]:
        """The expressions of all local values."""
        return {key: value for name, _, body in self.blocks if name == "locals" for key, value in _attributes(body)}

    def graph(self) -> dict[str, set[str]]:
        """What each resource, data source and local value needs first, `depends_on` included."""
        nodes: dict[str, Node] = {f"local.{name}": node for name, node in self.locals().items()}
        nodes |= self.named("resource")
        nodes |= {f"data.{name}": body for name, body in self.named("data").items()}
        return {name: set(_addresses(node)) for name, node in nodes.items()}


class Module:
    """The module with values of its variables. As in Terraform, every local value is evaluated, used or not."""

    def __init__(self, source: Source, given: Mapping[str, Any]) -> None:
        self._resources, self._data = source.named("resource"), source.named("data")
        self._outputs, self._variables = source.named("output"), source.named("variable")
        self._locals, self._made = source.locals(), dict[str, Any]()
        unknown = given.keys() - self._variables.keys()
        assert not unknown, f"there are no such variables: {unknown}"
        self.variables = {name: self._given(body, given, name) for name, body in self._variables.items()}
        # Terraform looks at validations first, and goes no further where one does not hold.
        for name in () if self.refusals() else self._locals:
            self._named(_Namespace("local"), name)

    def _given(self, body: Tree[Any], given: Mapping[str, Any], name: str) -> Any:
        attributes = dict(_attributes(body))
        if name not in given and "default" not in attributes:
            raise Unknown(f"{name} has to be given")
        value = given[name] if name in given else self._value(attributes["default"], _Scope())
        return _filled(attributes["type"], value, lambda node: self._value(node, _Scope()))

    def refusals(self) -> list[str]:
        """The messages of the validations that do not hold."""
        messages = []
        for body in self._variables.values():
            for _, _, rule in (_block(tree) for tree in _children(body, "block")):
                attributes = dict(_attributes(rule))
                if not self._value(attributes["condition"], _Scope()):
                    messages.append(str(self._value(attributes["error_message"], _Scope())))
        return messages

    @property
    def outputs(self) -> dict[str, Any]:
        """The values of the outputs; None for one that has none."""
        return {
            name: _plain(self._value(dict(_attributes(body))["value"], _Scope()))
            for name, body in self._outputs.items()
        }

    @property
    def instances(self) -> list[Instance]:
        """All instances of all resources."""
        return [one for name, body in self._resources.items() for one in self._instances(name, body)]

    def arguments(self, body: Tree[Any]) -> dict[str, Any]:
        """A block's arguments, evaluated."""
        return self._arguments(body, _Scope())

    def _instances(self, name: str, body: Tree[Any]) -> Iterator[Instance]:
        made = self._many(name, body)
        scopes = [(made, _Scope())] if isinstance(made, Reference) else []
        if isinstance(made, list):
            scopes = [(one, _Scope()) for one in made]
        elif isinstance(made, dict):
            values = self._value(dict(_attributes(body))["for_each"], _Scope())
            values = values if isinstance(values, dict) else {key: key for key in values}
            scopes = [(one, _Scope({"each": {"key": key, "value": values[key]}})) for key, one in made.items()]
        for reference, scope in scopes:
            yield Instance(reference.path, name.partition(".")[0], self._arguments(body, scope))

    def _many(self, name: str, body: Tree[Any]) -> Any:
        """A reference, or as many as `count` or `for_each` say."""
        attributes = dict(_attributes(body))
        if "count" in attributes:
            return [Reference(f"{name}[{index}]") for index in range(self._value(attributes["count"], _Scope()))]
        if "for_each" in attributes:
            return {key: Reference(f"{name}[{key}]") for key in self._value(attributes["for_each"], _Scope())}
        return Reference(name)

    def _arguments(self, body: Tree[Any], scope: _Scope) -> dict[str, Any]:
        skipped = _UNSEEN | {"count", "for_each"}
        found = {key: _plain(self._value(node, scope)) for key, node in _attributes(body) if key not in skipped}
        for tree in _children(body, "block"):
            name, labels, inner = _block(tree)
            if name == "dynamic":
                (content,) = (_block(one)[2] for one in _children(inner, "block"))
                for value in self._value(dict(_attributes(inner))["for_each"], scope):
                    nested = scope.with_names(**{labels[0]: {"value": value}})
                    found.setdefault(labels[0], Blocks()).append(self._arguments(content, nested))
            else:
                found.setdefault(name, Blocks()).append(self._arguments(inner, scope))
        return found

    # Expressions

    def _value(self, node: Node, scope: _Scope) -> Any:
        assert isinstance(node, Tree), node
        match node.data:
            case "expr_term":
                (inner,) = (one for one in _significant(node) if isinstance(one, Tree))
                return self._value(inner, scope)
            case "literal_value":
                return {"true": True, "false": False, "null": None}[str(node.children[0])]
            case "int_lit":
                return int(str(node.children[0]))
            case "string":
                return self._text(node, scope)
            case "identifier":
                return self._name(str(node.children[0]), scope)
            case "get_attr_expr_term" | "index_expr_term" | "full_splat_expr_term":
                return self._within(node, scope)
            case "tuple":
                return [self._value(one, scope) for one in _trees(node)]
            case "object":
                return dict(self._element(one, scope) for one in _children(node, "object_elem"))
            case "conditional":
                condition, yes, no = _trees(node)
                return self._value(yes if self._value(condition, scope) else no, scope)
            case "binary_op":
                return self._binary(node, scope)
            case "unary_op":
                operand = self._value(node.children[1], scope)
                return not operand if str(node.children[0]) == "!" else -operand
            case "function_call":
                return self._call(node, scope)
            case "for_tuple_expr" | "for_object_expr":
                return self._loop(node, scope)
        raise Unknown(f"no test knows {node.data}")

    def _text(self, node: Tree[Any], scope: _Scope) -> Any:
        parts = []
        for part in _children(node, "string_part"):
            (inner,) = part.children
            if isinstance(inner, Token):
                parts.append(re.sub(r"\\.", lambda match: _ESCAPES[match.group()], str(inner)))
            else:
                assert inner.data == "interpolation", inner.data
                value = self._value(_trees(inner)[0], scope)
                if value is None or isinstance(value, (list, dict)):
                    raise Unknown(f"{value!r} in a text")
                parts.append(_as_text(value))
        return "".join(parts)

    def _name(self, name: str, scope: _Scope) -> Any:
        if name in scope.names:
            return scope.names[name]
        if name in ("var", "local", "data") or any(key.startswith(f"{name}.") for key in self._resources):
            return _Namespace(name)
        raise Unknown(f"{name} is nowhere in the module")

    def _within(self, node: Tree[Any], scope: _Scope) -> Any:
        inner, step = _trees(node)
        whole = self._value(inner, scope)
        if node.data == "full_splat_expr_term":
            assert isinstance(whole, list), "[*] of what has no count"
            path = [str(one.children[-1].children[0]) for one in _trees(step)]
            return [_reduced(one, path) for one in whole]
        key = str(_trees(step)[0].children[0]) if step.data == "get_attr" else self._value(_trees(step)[0], scope)
        if isinstance(whole, _Namespace):
            return self._named(whole, key)
        return _reduced(whole, [key])

    def _named(self, space: _Namespace, key: str) -> Any:
        path = f"{space.path}.{key}"
        if space.path == "var":
            return self.variables[key]
        if space.path == "local":
            if key not in self._made:
                self._made[key] = self._value(self._locals[key], _Scope())
            return self._made[key]
        if space.path == "data":
            return _Namespace(path)
        kind, blocks = ("data.", self._data) if space.path.startswith("data.") else ("", self._resources)
        address = path.removeprefix(kind)
        if address in _KNOWN_DATA:
            return _KNOWN_DATA[address]
        if address not in blocks:
            raise Unknown(f"{path} is nowhere in the module")
        return self._many(path, blocks[address])

    def _element(self, node: Tree[Any], scope: _Scope) -> tuple[str, Any]:
        (key,), value = _trees(node)[0].children, _trees(node)[1]
        assert isinstance(key, Tree)
        inner = _trees(key)[0] if key.data == "expr_term" else key
        bare = inner.data == "identifier" or inner.data == "keyword"
        return str(inner.children[0]) if bare else self._value(key, scope), self._value(value, scope)

    def _binary(self, node: Tree[Any], scope: _Scope) -> Any:
        left_node, term = _trees(node)
        operator, right_node = _trees(term)
        left, sign = self._value(left_node, scope), str(operator.children[0])
        if sign in ("&&", "||"):
            return self._value(right_node, scope) if bool(left) == (sign == "&&") else left
        right = self._value(right_node, scope)
        if None not in (left, right) and any(isinstance(one, Reference) for one in (left, right)):
            raise Unknown(f"whether {left} {sign} {right} is not known before AWS answers")
        match sign:
            case "==":
                return left == right
            case "!=":
                return left != right
            case ">":
                return left > right
            case ">=":
                return left >= right
        raise Unknown(f"no test knows {sign}")

    def _call(self, node: Tree[Any], scope: _Scope) -> Any:
        name, *rest = _trees(node)
        called, arguments = str(name.children[0]), _trees(rest[0]) if rest else []
        if called == "can":
            try:
                self._value(arguments[0], scope)
            except Unknown:
                return False
            return True
        if called not in _FUNCTIONS:
            raise Unknown(f"no test knows {called}()")
        return _FUNCTIONS[called](*(self._value(one, scope) for one in arguments))

    def _loop(self, node: Tree[Any], scope: _Scope) -> Any:
        intro, *parts = _trees(node)
        condition = parts.pop() if parts[-1].data == "for_cond" else None
        *names, collection = _trees(intro)
        labels = [str(one.children[0]) for one in names]
        values = self._value(collection, scope)
        pairs = values.items() if isinstance(values, dict) else enumerate(values)
        made: list[Any] = []
        for key, value in pairs:
            bound = dict(zip(labels, (key, value) if len(labels) == 2 else (value,), strict=True))
            inner = scope.with_names(**bound)
            if condition is None or self._value(_trees(condition)[0], inner):
                made.append(tuple(self._value(part, inner) for part in parts))
        return dict(made) if node.data == "for_object_expr" else [one for (one,) in made]


@dataclass(frozen=True, slots=True)
class _Namespace:
    """The part of an address that is nothing yet: `var`, `local`, `aws_kms_key`, `data.aws_region`."""

    path: str


def _reduced(value: Any, path: Sequence[Any]) -> Any:
    """A value's attribute or element, step by step."""
    for key in path:
        if isinstance(value, Reference):
            value = Reference(f"{value.path}.{key}")
        else:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError) as exc:
                raise Unknown(f"there is no {key!r} in {value!r}") from exc
    return value


def _filled(kind: Node, value: Any, evaluate: Callable[[Node], Any]) -> Any:
    """A variable's value with what its type leaves optional."""
    assert isinstance(kind, Tree)
    inner = _trees(kind)[0] if kind.data == "expr_term" else kind
    if inner.data != "function_call":
        return value
    name, arguments = _trees(inner)
    (first, *_) = _trees(arguments)
    match str(name.children[0]):
        case "map":
            return {key: _filled(first, one, evaluate) for key, one in value.items()}
        case "list":
            return [_filled(first, one, evaluate) for one in value]
        case "object":
            return _filled_object(_trees(first)[0], value, evaluate)
    raise Unknown(f"no test knows the type {name.children[0]}")


def _filled_object(kind: Tree[Any], value: Mapping[str, Any], evaluate: Callable[[Node], Any]) -> dict[str, Any]:
    found = dict(value)
    known: set[str] = set()
    for element in _children(kind, "object_elem"):
        key_node, type_node = _trees(element)
        key = str(next(iter(key_node.find_data("identifier"))).children[0])
        known.add(key)
        call = next(iter(type_node.find_data("function_call")), None)
        if key not in found:
            assert call is not None, f"{key} has to be given"
            arguments = _trees(_trees(call)[1])
            found[key] = evaluate(arguments[1]) if len(arguments) > 1 else None
    assert found.keys() <= known, f"there are no such attributes: {found.keys() - known}"
    return found


def _as_text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    """Without references as such: their text."""
    if isinstance(value, Reference):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, set)):
        return [_plain(one) for one in value]
    return value


def _one(values: Sequence[Any]) -> Any:
    if len(values) > 1:
        raise Unknown("one() of more than one")
    return values[0] if values else None


def _merged(*maps: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for one in maps for key, value in one.items()}


def _matched(pattern: str, text: str) -> str:
    if found := re.search(pattern, text):
        return found.group()
    raise Unknown(f"{text!r} does not match {pattern}")


def _decoded(value: Any) -> Any:
    return Reference(f"jsondecode({value.path})") if isinstance(value, Reference) else json.loads(value)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "alltrue": all,
    "concat": lambda *lists: [entry for one in lists for entry in one],
    "contains": lambda values, value: value in values,
    "element": lambda values, index: values[index % len(values)],
    "join": lambda separator, values: separator.join(map(str, values)),
    "jsondecode": _decoded,
    "jsonencode": lambda value: json.dumps(_plain(value)),
    "keys": sorted,
    "length": len,
    "merge": _merged,
    "one": _one,
    "regex": _matched,
    "split": lambda separator, text: str(text).split(separator),
    "toset": lambda values: sorted(set(values)),
    "tostring": _as_text,
    "values": lambda value: [value[key] for key in sorted(value)],
}


# The parser's trees


@cache
def _blocks(text: str) -> list[tuple[str, list[str], Tree[Any]]]:
    (body,) = _children(hcl2.parses_to_tree(text), "body")
    return [_block(tree) for tree in _children(body, "block")]


def _addresses(node: Node) -> Iterator[str]:
    """The addresses in an expression or body: `local.x`, `aws_kms_key.data`, `data.aws_region.current`."""
    assert isinstance(node, Tree)
    for one in node.find_data("get_attr_expr_term"):
        path = _path(one)
        names_one = bool(path) and (path[0] == "local" or "_" in path[0])
        if (names_one and len(path) == 2) or (path[:1] == ["data"] and len(path) == 3):
            yield ".".join(path)


def _path(node: Tree[Any]) -> list[str]:
    """The names of `a.b.c`; nothing where it begins with anything but a name."""
    if node.data == "identifier":
        return [str(node.children[0])]
    inner, *steps = _trees(node)
    if node.data == "get_attr_expr_term":
        before = _path(inner)
        return [*before, str(_trees(steps[0])[0].children[0])] if before else []
    if node.data == "expr_term" and len(node.children) == 1:
        return _path(inner)
    return []


def _trees(node: Tree[Any]) -> list[Tree[Any]]:
    return [one for one in _significant(node) if isinstance(one, Tree)]


def _significant(node: Tree[Any]) -> list[Node]:
    return [one for one in node.children if not (isinstance(one, Tree) and one.data == "new_line_or_comment")]


def _children(node: Tree[Any], kind: str) -> list[Tree[Any]]:
    return [one for one in node.children if isinstance(one, Tree) and one.data == kind]


def _attributes(body: Tree[Any]) -> list[tuple[str, Tree[Any]]]:
    return [(str(name.children[0]), value) for name, value in (_trees(one) for one in _children(body, "attribute"))]


def _block(tree: Tree[Any]) -> tuple[str, list[str], Tree[Any]]:
    """Its name, its labels, its body."""
    name, *labels, body = _trees(tree)
    return str(name.children[0]), ["".join(map(str, one.children[1].children)) for one in labels], body
