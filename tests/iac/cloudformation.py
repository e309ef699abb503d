"""What CloudFormation makes of template.yaml: conditions and functions resolved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cfnlint.decode import decode  # type: ignore[import-untyped]

from tests import ROOT

TEMPLATE = ROOT / "template.yaml"
REGION = "eu-west-1"
ACCOUNT = "123456789012"

_SUB = re.compile(r"\$\{(!?)([^}]+)\}")
_PLACEHOLDER = re.compile(r"<([A-Z]\w+(?:\.\w+)?)>")
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/daswatch/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
    "AWS::StackName": "daswatch",
    "AWS::URLSuffix": "amazonaws.com",
}


class _Nothing:
    """What `AWS::NoValue` leaves: nothing at all, not even its key."""


_NOTHING = _Nothing()


def read_template() -> dict[str, Any]:
    """The template as it is written, its tags as functions."""
    template: dict[str, Any] = json.loads(_template_json())
    return template


@cache
def _template_json() -> str:
    template, problems = decode(str(TEMPLATE))
    assert not problems, problems
    return json.dumps(template)


def parameters_of(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """All parameters: what is given, and the defaults; lists as lists. Raises KeyError for one that has to be given."""
    unknown = set(given) - set(template["Parameters"])
    assert not unknown, f"there are no such parameters: {unknown}"
    values: dict[str, Any] = {}
    for name, parameter in template["Parameters"].items():
        value = str(given[name] if name in given else parameter["Default"])
        values[name] = value.split(",") if "List" in parameter["Type"] else value
    return values


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a stack; `properties` are resolved, `raw` is as written."""

    type: str
    properties: dict[str, Any]
    raw: Mapping[str, Any]


class Stack:
    """The template with parameters. What only AWS knows, such as an ARN it makes up, is `<Resource.Attribute>`."""

    def __init__(self, given: Mapping[str, str], names: Mapping[str, str] | None = None) -> None:
        """`names` says what a resource's Ref (`Topic`) or attribute (`Topic.Arn`) is, where a test wants it real."""
        source = read_template()
        self.parameters = parameters_of(source, given)
        self.template = source
        self._names = names or {}
        self.conditions = {name: bool(self._resolve(node)) for name, node in self.template["Conditions"].items()}
        self.resources = self._resources()

    def _resources(self) -> dict[str, Resource]:
        there = {}
        for name, raw in self.template["Resources"].items():
            if "Condition" not in raw or self.conditions[raw["Condition"]]:
                there[name] = Resource(raw["Type"], self._resolve(raw.get("Properties", {})), raw)
        return there

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs that this stack has, resolved."""
        found = self.template["Outputs"].items()
        return {
            name: self._resolve(raw["Value"])
            for name, raw in found
            if "Condition" not in raw or self.conditions[raw["Condition"]]
        }

    def of_type(self, kind: str) -> dict[str, Resource]:
        """The resources of one type, by their names."""
        return {name: one for name, one in self.resources.items() if one.type == kind}

    def own_policies(self, role: str) -> list[dict[str, Any]]:
        """The documents of the policies that belong to a role: in it, or put on it."""
        within = [policy["PolicyDocument"] for policy in self.resources[role].properties.get("Policies", [])]
        put_on = self.of_type("AWS::IAM::Policy").values()
        return within + [one.properties["PolicyDocument"] for one in put_on if f"<{role}>" in one.properties["Roles"]]

    def statements(self, role: str) -> list[dict[str, Any]]:
        """All statements of a role: of its own policies, and of managed ones of ours."""
        documents = self.own_policies(role)
        for arn in self.resources[role].properties.get("ManagedPolicyArns", []):
            documents.append(self.resources[arn.strip("<>")].properties["PolicyDocument"])
        return [statement for document in documents for statement in document["Statement"]]

    def resolved_template(self, kinds: Callable[[str], bool] = lambda kind: True) -> dict[str, Any]:
        """A plain template of the resources of these types: what only AWS knows is a function again."""
        return {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": {
                name: {
                    "Type": one.type,
                    **{key: one.raw[key] for key in ("DeletionPolicy", "UpdateReplacePolicy") if key in one.raw},
                    "Properties": _with_functions(one.properties),
                }
                for name, one in self.resources.items()
                if kinds(one.type)
            },
        }

    def function(self, handler: str) -> Resource:
        """The function with this handler."""
        (found,) = (
            one for one in self.of_type("AWS::Lambda::Function").values() if one.properties["Handler"] == handler
        )
        return found

    def _resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for value in map(self._resolve, node) if value is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self._function(name, argument)
        resolved = ((key, self._resolve(value)) for key, value in node.items())
        return {key: value for key, value in resolved if value is not _NOTHING}

    def _function(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                return self._ref(argument)
            case "Condition":
                return (
                    self._condition(argument) if isinstance(argument, str) else {"Condition": self._resolve(argument)}
                )
            case "Fn::GetAtt":
                return self._named(".".join(argument) if isinstance(argument, list) else argument)
            case "Fn::Sub":
                return self._sub(argument)
            case "Fn::If":
                condition, yes, no = argument
                return self._resolve(yes if self._condition(condition) else no)
            case "Fn::Join":
                separator, parts = argument
                return separator.join(map(str, self._resolve(parts)))
            case "Fn::Split":
                separator, text = argument
                return self._resolve(text).split(separator)
            case "Fn::Select":
                index, parts = argument
                return self._resolve(parts)[int(index)]
            case "Fn::Equals":
                left, right = map(self._resolve, argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self._resolve(argument)[0]
            case "Fn::And":
                return all(map(self._resolve, argument))
            case "Fn::Or":
                return any(map(self._resolve, argument))
        raise AssertionError(f"no test knows {name}")

    def _condition(self, name: str) -> bool:
        return bool(self._resolve(self.template["Conditions"][name]))

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self.parameters:
            return self.parameters[name]
        return _PSEUDO[name] if name in _PSEUDO else self._named(name)

    def _named(self, name: str) -> str:
        assert name.partition(".")[0] in self.template["Resources"], f"{name} is nowhere in the template"
        return self._names.get(name, f"<{name}>")

    def _sub(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in given:
                return str(self._resolve(given[name]))
            return str(self._named(name) if "." in name else self._ref(name))

        return _SUB.sub(value, text)


def _with_functions(node: Any) -> Any:
    """A resolved value with `Ref`, `Fn::GetAtt` and `Fn::Sub` in place of `<Resource.Attribute>`."""
    if isinstance(node, dict):
        return {key: _with_functions(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_functions(value) for value in node]
    if not isinstance(node, str) or not _PLACEHOLDER.search(node):
        return node
    if match := _PLACEHOLDER.fullmatch(node):
        name, _, attribute = match[1].partition(".")
        return {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}
    return {"Fn::Sub": _PLACEHOLDER.sub(r"${\1}", node)}


def walk(node: Any) -> Sequence[Any]:
    """Every value within a value, itself included."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [node, *(found for value in inner for found in walk(value))]
