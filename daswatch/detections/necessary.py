"""A Sigma rule -> a necessary condition of it, for `daswatch.detections.prefilter`. Runs when detections are compiled.

Values of keyword fields, words and substrings of texts can be tested exactly as OpenSearch finds them. Whatever else a
rule asks counts as fulfilled, so that a condition never leaves out what the rule matches. Under a negation it is the
other way round: only what certainly holds is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.rule import SigmaRule
from sigma.types import SigmaExists, SigmaNull, SigmaString, SpecialChars

from daswatch.detections.prefilter import BETWEEN, EVERYTHING, NOTHING, Condition

_FIELDS = ("component", "das-event-fields.json")
_WORDS = re.compile(f"[^{BETWEEN}]+")
_SPECIAL: Mapping[object, str] = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}


def necessary(rule: SigmaRule) -> Condition:
    """What holds of each document that a rule matches."""
    return {"any": [_bound(parsed.parse(), certain=False) for parsed in rule.detection.parsed_condition]}


def _bound(item: Any, *, certain: bool) -> Condition:
    """A condition that is fulfilled where a part of a rule is; with `certain`, one that is fulfilled only there."""
    match item:
        case ConditionAND():
            return {"all": [_bound(inner, certain=certain) for inner in item.args]}
        case ConditionOR():
            return {"any": [_bound(inner, certain=certain) for inner in item.args]}
        case ConditionNOT():
            return {"not": _bound(item.args[0], certain=not certain)}
        case ConditionFieldEqualsValueExpression():
            exact = _exact(item.field, item.value)
            if exact is not None:
                return exact
    return NOTHING if certain else EVERYTHING


def _exact(field: str, value: Any) -> Condition | None:
    """A comparison as OpenSearch makes it; None where that cannot be said."""
    kind = _types().get(field)
    match value:
        case SigmaExists() if kind:
            return {"has": field} if value.exists else {"not": {"has": field}}
        case SigmaNull() if kind:
            return {"not": {"has": field}}
        case SigmaString() if kind == "keyword":
            return _keyword(field, value)
        case SigmaString() if kind == "text":
            return _text(field, value)
    return None


def _keyword(field: str, value: SigmaString) -> Condition | None:
    if not value.s:
        return {"not": {"has": field}}
    if not value.contains_special():
        return {"is": [field, [_plain(value)]]}
    parts = [re.escape(part) if isinstance(part, str) else _SPECIAL.get(part) for part in value.s]
    return None if None in parts else {"like": [field, ["".join(filter(None, parts))]]}


def _text(field: str, value: SigmaString) -> Condition | None:
    if not value.contains_special():
        words = _WORDS.findall(_plain(value).lower())
        return {"words": [field, [words]]} if words else NOTHING
    inner = value[1:-1]
    whole = value.startswith(SpecialChars.WILDCARD_MULTI) and value.endswith(SpecialChars.WILDCARD_MULTI)
    return {"part": [field, [_plain(inner).lower()]]} if whole and not inner.contains_special() else None


def _plain(value: SigmaString) -> str:
    return "".join(str(part) for part in value.s)


@cache
def _types() -> dict[str, str]:
    """Which fields can be compared: keywords, and texts of the analyzer `sql_words`."""
    template = orjson.loads(files("index_templates").joinpath(*_FIELDS).read_bytes())["template"]
    types = {}
    for name, mapping in template["mappings"]["properties"].items():
        if mapping["type"] == "keyword":
            types[name] = "keyword"
        elif mapping.get("analyzer") == "sql_words":
            types[name] = "text"
    return types
