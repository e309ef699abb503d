"""What a template takes, read from its file: whether values fit is known before anything is built or uploaded.

CloudFormation would say the same, after the upload, or half an hour later when the stack is taken back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from tools.artifacts.errors import DeployError, UsageError

DATABASES = "Databases"
_EXAMPLES = {DATABASES: "cluster:orders,db:ledger"}
_MAX_VALUE_BYTES = 4096  # of a parameter, in CloudFormation
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]")
_STACK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Reads the short forms of CloudFormation's functions as their long ones."""


def _function(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)


@dataclass(frozen=True, slots=True)
class Template:
    """A template's parameters and the rules between them."""

    parameters: Mapping[str, Mapping[str, Any]]
    rules: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Template:
        """From its file. Raises DeployError."""
        try:
            content = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - a safe loader
        except (OSError, yaml.YAMLError) as exc:
            raise DeployError(
                f"{path} cannot be read ({type(exc).__name__})", "run it in a checkout, or name one with --template"
            ) from exc
        return cls(content.get("Parameters", {}), content.get("Rules", {}))

    def check_given(self, given: Mapping[str, str]) -> None:
        """Names and values by themselves. Raises UsageError that names all which are wrong."""
        problems = [problem for name, value in given.items() if (problem := self._problem(name, value))]
        if problems:
            raise UsageError("; ".join(problems), "correct PARAMETERS; docs/deploy.md lists what the template takes")

    def check_together(self, given: Mapping[str, str], previous: Mapping[str, str]) -> None:
        """Whether nothing is missing, and the template's rules hold. Raises UsageError.

        `previous` are the values that the stack has.
        """
        defaults = {name: str(one["Default"]) for name, one in self.parameters.items() if "Default" in one}
        values = {**defaults, **previous, **given}
        missing = [name for name in self.parameters if name not in values]
        if missing:
            example = " ".join(f"{name}={_EXAMPLES.get(name, '...')}" for name in missing)
            raise UsageError(f"the template needs {', '.join(missing)}", f'PARAMETERS="{example}"')
        broken = [
            str(one["AssertDescription"])
            for rule in self.rules.values()
            for one in rule["Assertions"]
            if _is_broken(rule.get("RuleCondition", True), one["Assert"], values)
        ]
        if broken:
            raise UsageError("; ".join(broken), "correct PARAMETERS; docs/deploy.md lists what the template takes")

    def _problem(self, name: str, value: str) -> str:
        declared = self.parameters.get(name)
        if declared is None:
            meant = get_close_matches(name, self.parameters, 1)
            return f"the template has no parameter {name}" + (f" (did you mean {meant[0]}?)" if meant else "")
        if len(value.encode()) > _MAX_VALUE_BYTES:
            return f"{name} is longer than {_MAX_VALUE_BYTES} bytes"
        is_list = declared["Type"] == "CommaDelimitedList"
        parts = [part.strip() for part in value.split(",")] if is_list else [value]
        for part in parts:
            if "AllowedValues" in declared and part not in [str(one) for one in declared["AllowedValues"]]:
                return f"{name} has {part!r} (expected: {' or '.join(map(str, declared['AllowedValues']))})"
            if "AllowedPattern" in declared and not re.fullmatch(declared["AllowedPattern"], part):
                expected = declared.get("ConstraintDescription") or declared["AllowedPattern"]
                return f"{name} has {part!r} (expected: {expected})"
            if declared["Type"] == "Number" and not _is_within(part, declared):
                return f"{name} has {part!r} (expected: a number from {declared.get('MinValue', 'any')} up)"
        return ""


def check_bucket_name(bucket: str) -> None:
    """Raises UsageError where S3 could have no bucket of this name."""
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(
            f"{bucket!r} is not a bucket name (expected: 3 to 63 lower case letters, digits, hyphens and dots, "
            "beginning and ending with a letter or digit)",
            "make deploy BUCKET=..., a bucket in the stack's region",
        )


def check_stack_name(stack: str) -> None:
    """Raises UsageError where CloudFormation could have no stack of this name."""
    if not _STACK.fullmatch(stack):
        raise UsageError(
            f"{stack!r} is not a stack name (expected: a letter, then letters, digits and hyphens, at most 128)",
            "make deploy STACK=...",
        )


def _is_within(text: str, declared: Mapping[str, Any]) -> bool:
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return False
    return float(declared.get("MinValue", text)) <= float(text) <= float(declared.get("MaxValue", text))


class _UnknownFunctionError(Exception):
    """A rule uses a function that is left to CloudFormation."""


def _is_broken(condition: Any, assertion: Any, values: Mapping[str, str]) -> bool:
    try:
        return _holds(condition, values) and not _holds(assertion, values)
    except _UnknownFunctionError:
        return False


def _holds(condition: Any, values: Mapping[str, str]) -> bool:
    if isinstance(condition, bool):
        return condition
    ((function, arguments),) = condition.items()
    match function:
        case "Fn::Equals":
            left, right = (_value(one, values) for one in arguments)
            return left == right
        case "Fn::And":
            return all(_holds(one, values) for one in arguments)
        case "Fn::Or":
            return any(_holds(one, values) for one in arguments)
        case "Fn::Not":
            return not _holds(arguments[0], values)
    raise _UnknownFunctionError


def _value(operand: Any, values: Mapping[str, str]) -> str:
    if not isinstance(operand, Mapping):
        return str(operand)
    if operand.keys() != {"Ref"}:
        raise _UnknownFunctionError
    return values[operand["Ref"]]
