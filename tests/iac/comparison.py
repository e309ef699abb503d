"""A deployment as facts that can be compared: what template.yaml makes, and what the module in terraform/ makes.

A fact is a value under a kind and a subject, such as the permissions of a role. Both sides are brought to one form:
names of properties without their case and underscores (`OKActions` and `ok_actions`), policies a line for each action
and resource. Texts for people and names that nobody refers to are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.iac.terraform import Blocks

Facts = dict[tuple[str, str], Any]

_RANDOM_SUFFIX = re.compile(r"<random_id\.domain\.hex>|0a1b2c3d")
_SAME_PROPERTY = {"kinesisstreamsourceconfiguration": "kinesissourceconfiguration", "destinationarn": "destination"}
_TEXTS = {"alarmdescription", "alarmname", "description"}
_FIREHOSE_DEFAULTS = {"NumberOfRetries": "3"}  # the provider forgets defaults, so the module leaves them out


def differences(template: Facts, module: Facts) -> list[str]:
    """What is in one and not in the other, or other there: a line each, most exact part first."""
    lines: list[str] = []
    for kind, subject in sorted(template.keys() | module.keys()):
        left, right = template.get((kind, subject)), module.get((kind, subject))
        lines += [f"{kind} of {subject}: {line}" for line in _different(left, right)]
    return lines


def _different(left: Any, right: Any, where: str = "") -> Iterable[str]:
    if left == right:
        return
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted(left.keys() | right.keys()):
            yield from _different(left.get(key), right.get(key), f"{where}{key}: ")
    elif isinstance(left, frozenset) and isinstance(right, frozenset):
        yield from (f"{where}only in the template: {one}" for one in sorted(left - right))
        yield from (f"{where}only in the module: {one}" for one in sorted(right - left))
    else:
        yield f"{where}{left!r} in the template, {right!r} in the module"


def statements(*given: Any) -> frozenset[str]:
    """A line for each effect, action and resource of statements, with who and under which condition."""
    lines = set()
    for statement in (one for each in given for one in (each if isinstance(each, list) else [each])):
        for action in _many(statement["Action"]):
            for resource in _many(statement.get("Resource", "")):
                line = {"principal": statement.get("Principal"), "condition": statement.get("Condition")}
                about = " ".join(f"{key} {canonical(value)}" for key, value in line.items() if value is not None)
                lines.add(" ".join(filter(None, (statement["Effect"], action, resource, about))))
    return frozenset(lines)


def _many(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def canonical(value: Any) -> str:
    """A value as text, the same for the same value."""
    return json.dumps(value, sort_keys=True)


def alarm_subject(properties: Mapping[str, Any]) -> str:
    """What an alarm looks at, which tells it from the others; `properties` are folded."""
    return f"{properties['metricname']} {canonical(properties['dimensions'])} {properties['threshold']}"


def folded(value: Any, *dropped: str) -> Any:
    """Properties by names without case and underscores, a single nested block as itself, and numbers as such."""
    if isinstance(value, Blocks):
        return folded(value[0], *dropped) if len(value) == 1 else [folded(one, *dropped) for one in value]
    if isinstance(value, Mapping):
        found = {folded_name(key): one for key, one in value.items()}
        kept = {key: one for key, one in found.items() if key not in _TEXTS and key not in dropped}
        return {key: one if key in ("variables", "dimensions") else folded(one, *dropped) for key, one in kept.items()}
    return number(value)


def folded_name(name: str) -> str:
    """A property's name in the form of both sides."""
    plain = name.replace("_", "").lower()
    return _SAME_PROPERTY.get(plain, plain)


def number(value: Any) -> Any:
    """A number where parameters have made text of it."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def without_suffix(value: Any) -> Any:
    """Without what makes the domain's name its own: another part of chance on each side."""
    if isinstance(value, str):
        return _RANDOM_SUFFIX.sub("*", value)
    if isinstance(value, Mapping):
        return {key: without_suffix(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return frozenset(map(without_suffix, value))
    return [without_suffix(one) for one in value] if isinstance(value, list) else value


def quoted(template: str) -> list[str]:
    """What a message quotes of the event; its words may differ."""
    return sorted(re.findall(r"<([a-z]+)>", template))


def parameters_set(given: Mapping[str, str]) -> dict[str, str]:
    """A processor's parameters without those that are set to Firehose's default."""
    return {name: value for name, value in given.items() if _FIREHOSE_DEFAULTS.get(name) != value}
