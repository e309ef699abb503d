"""What fits into a `flat_object` field, and how its parts are searched.

OpenSearch refuses a document for what is too long, too deep or too much. Its versions read queries of parts of these
fields differently: in 2.x `_exists_` and `field:*` find an object inside, but nothing that lies deeper; from 3.0 on
they find values alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

# What one value can be: a single term, together with its path.
_CHARACTERS = 8_000
_NAME_CHARACTERS = 200
_FIELDS = 256
_DEPTH = 4
# The names of all fields of this type that are searched, whatever index has them.
FLAT_OBJECTS = frozenset({"engineNativeAuditFields", "requestParameters", "unknownFields"})
# What finds the documents that have a value at a path, in every version.
ANY_VALUE = "[* TO *]"
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1


def is_inside(field: str) -> bool:
    """Whether a field is a part of a flat_object."""
    name, dot, _ = field.partition(".")
    return bool(dot) and name in FLAT_OBJECTS


def split_fitting(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that a flat_object takes, and those that it would refuse or cut."""
    fitting: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    room = _FIELDS
    for name, value in fields.items():
        leaves = _leaves(name, value, _DEPTH)
        if leaves is None or leaves > room:
            rest[name] = value
        else:
            room -= leaves
            fitting[name] = value
    return fitting, rest


def _leaves(name: str, value: object, depth: int) -> int | None:
    """How many values a field brings into a flat_object, or None where it does not fit there."""
    if not name.strip() or len(name) > _NAME_CHARACTERS or "." in name or "\x00" in name:
        return None
    match value:
        case None | bool():
            return 1
        case str():
            return 1 if len(value) <= _CHARACTERS else None
        case int():
            return 1 if LONG_MIN <= value <= LONG_MAX else None
        case float():
            return 1 if math.isfinite(value) else None
        case dict() if depth:
            return _sum(_leaves(key, item, depth - 1) for key, item in value.items())
        case list() if depth:
            return _sum(_leaves(name, item, depth - 1) for item in value)
        case _:
            return None


def _sum(counts: Iterator[int | None]) -> int | None:
    total = 1
    for count in counts:
        if count is None:
            return None
        total += count
        if total > _FIELDS:
            return None
    return total
