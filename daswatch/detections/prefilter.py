"""A necessary condition of a detection, which the ingest function tests before OpenSearch is asked.

In: a condition as `daswatch.detections.necessary` compiled it, a JSON value, and the document as it is written. Out:
whether the detection may match it. A document that passes may still not match, which costs one look. One that does not
pass does not match, except in a word of more than 255 characters, which OpenSearch divides: the schedule finds that.

A condition is an object with one entry:

| entry | holds if |
|---|---|
| `all`, `any` | all, or any, of these conditions hold; `all` of none always does |
| `not` | this condition does not hold |
| `has: field` | the document has the field |
| `is: [field, values]` | the field, or one of its values, is one of these |
| `like: [field, expressions]` | the same, by regular expressions |
| `words: [field, phrases]` | the field's text has the words of a phrase, in lower case, next to each other |
| `part: [field, texts]` | the field's text, in lower case, contains one of these |
| `least: [field, number]` | the field is a number that is at least so large |
| `several: [field, number]` | the field has at least so many values |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

Condition = Mapping[str, Any]
Document = Mapping[str, Any]
Test = Callable[[Document], bool]

EVERYTHING: Final[Condition] = {"all": []}
NOTHING: Final[Condition] = {"any": []}
_GROUPS = frozenset({"all", "any"})
_LISTS = frozenset({"is", "like", "words", "part"})

# The characters between words, as the tokenizer `sql_words` has them (index_templates/component/das-event-fields.json).
BETWEEN = r"\s.,;:()\[\]{}<>=!+\-*/%^&|~?\"'`\\@\x00"
_KEYWORD_CHARACTERS = 1024  # `ignore_above`: longer values are not found
# Fields of few values. What is left of all conditions for a combination of values is kept: for most events, nothing.
_FEW_VALUES = ("engine", "activity", "outcome", "class", "command", "signals", "actor")
_COMBINATIONS = 2_048
_LONGEST_VALUE = 64  # of such a field; a longer one is looked at each time
_UNKNOWN = object()
_TEXT = "commandText"
_NEVER = 1_000
_LONGEST_TEXT = 65_536  # characters
_REMEMBERED = 1_024


class Prefilter:
    """The conditions of several detections."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        whole = simplified({"any": list(conditions)})

        @lru_cache(maxsize=_COMBINATIONS)
        def left(*values: object) -> Test | None:
            known = {name: value for name, value in zip(_FEW_VALUES, values, strict=True) if value is not _UNKNOWN}
            rest = simplified(_resolved(whole, known))
            return None if rest == NOTHING else _any([rest])

        self._left = left

    def passes(self, document: Document) -> bool:
        """Whether any of the detections may match a document."""
        test = self._left(*[_few(document.get(name)) for name in _FEW_VALUES])
        return test is not None and test(document)


def simplified(condition: Condition) -> Condition:
    """The same condition without parts that always or never hold, and without groups of one."""
    ((kind, content),) = condition.items()
    if kind == "not":
        inner = simplified(content)
        if inner == EVERYTHING:
            return NOTHING
        return EVERYTHING if inner == NOTHING else {"not": inner}
    if kind not in _GROUPS:
        return condition
    neutral, absorbing = (EVERYTHING, NOTHING) if kind == "all" else (NOTHING, EVERYTHING)
    found: list[Condition] = []
    for inner in map(simplified, content):
        if inner == absorbing:
            return absorbing
        if inner != neutral:
            found += inner.get(kind, [inner])
    if kind == "any":
        found = _merged(found)
    return found[0] if len(found) == 1 else {kind: found}


def _merged(conditions: Iterable[Condition]) -> list[Condition]:
    """Alternatives about one field as one condition."""
    found: dict[tuple[str, str], list[Any]] = {}
    others: list[Condition] = []
    for condition in conditions:
        ((kind, content),) = condition.items()
        if kind in _LISTS:
            wanted = found.setdefault((kind, content[0]), [])
            wanted += [one for one in content[1] if one not in wanted]
        else:
            others.append(condition)
    return [*({kind: [field, wanted]} for (kind, field), wanted in found.items()), *others]


def _few(value: object) -> object:
    """A value, or values, by which combinations are distinguished."""
    if value is None or (isinstance(value, str) and len(value) <= _LONGEST_VALUE):
        return value
    if isinstance(value, list) and all(isinstance(one, str) and len(one) <= _LONGEST_VALUE for one in value):
        return tuple(value)
    return _UNKNOWN


def _resolved(condition: Condition, known: Mapping[str, Any]) -> Condition:
    """The condition with the values of some fields put in."""
    ((kind, content),) = condition.items()
    if kind == "not":
        return {"not": _resolved(content, known)}
    if kind in _GROUPS:
        return {kind: [_resolved(inner, known) for inner in content]}
    if (content if kind == "has" else content[0]) not in known:
        return condition
    return EVERYTHING if _test(condition)(known) else NOTHING


def _test(condition: Condition) -> Test:
    """The condition as a function of documents."""
    ((kind, content),) = condition.items()
    match kind:
        case "all":
            return _all([_test(inner) for inner in content])
        case "any":
            return _any(content)
        case "not":
            inner = _test(content)
            return lambda document: not inner(document)
        case "has":
            return lambda document: document.get(content) is not None
    field, wanted = content
    match kind:
        case "is":
            return _by_value(field, frozenset(wanted).__contains__)
        case "like":
            like = re.compile("|".join(wanted), re.DOTALL).fullmatch
            return _by_value(field, lru_cache(maxsize=_REMEMBERED)(lambda value: like(value) is not None))
        case "words":
            return _by_text(field, [_phrase(words) for words in wanted])
        case "part":
            return _by_text(field, [partial(_contains, part) for part in wanted])
        case "least":
            return lambda document: isinstance(found := document.get(field), (int, float)) and found >= wanted
        case "several":
            return lambda document: len(_values(document.get(field))) >= wanted
    raise ValueError(f"a condition {kind!r} is not known")


def _all(tests: Sequence[Test]) -> Test:
    return lambda document: all(test(document) for test in tests)


def _any(conditions: Iterable[Condition]) -> Test:
    """Alternatives. One about rare parts of a statement is tried where one of them is there, which is cheap to see."""
    tests: list[Test] = []
    by_part: dict[str, list[Test]] = {}
    for condition in conditions:
        test, parts = _test(condition), _rare_parts(condition)
        if parts is None:
            tests.append(test)
        for part in parts or ():
            by_part.setdefault(part, []).append(test)
    if by_part:
        tests.append(_by_parts(list(by_part.items())))
    return lambda document: any(test(document) for test in tests)


def _by_parts(by_part: Sequence[tuple[str, Sequence[Test]]]) -> Test:
    def test(document: Document) -> bool:
        text = document.get(_TEXT)
        if not isinstance(text, str):
            return False
        lowered = _lower(text)
        return any(one(document) for part, tests in by_part if part in lowered for one in tests)

    return test


def _rare_parts(condition: Condition) -> frozenset[str] | None:
    """Texts of which a statement has one at least where the condition holds; None where that is not so."""
    ((kind, content),) = condition.items()
    match kind:
        case "all":
            found = [parts for inner in content if (parts := _rare_parts(inner)) is not None]
            return max(found, key=_rarity, default=None)
        case "any":
            each = [_rare_parts(inner) for inner in content]
            return None if None in each else frozenset().union(*filter(None, each))
        case "words" if content[0] == _TEXT:
            return frozenset(max(words, key=len) for words in content[1])
        case "part" if content[0] == _TEXT:
            return frozenset(content[1])
    return None


def _rarity(parts: frozenset[str]) -> tuple[int, int]:
    """How seldom a statement has one of these: a long part is rare, and so is one with a punctuation mark."""
    return min((len(part) + 3 * (not part.isidentifier()) for part in parts), default=_NEVER), -len(parts)


def _by_value(field: str, matches: Callable[[str], bool]) -> Test:
    def test(document: Document) -> bool:
        found = document.get(field)
        if found is None:
            return False
        return any(matches(value) for value in _values(found))

    return test


def _by_text(field: str, tests: Sequence[Callable[[str], bool]]) -> Test:
    def test(document: Document) -> bool:
        found = document.get(field)
        if not isinstance(found, str):
            return False
        lowered = _lower(found)
        return any(one(lowered) for one in tests)

    return test


def _phrase(words: list[str]) -> Callable[[str], bool]:
    """Whether a text has these words next to each other. Most texts miss one of them, which is cheap to see."""
    between = f"[{BETWEEN}]++".join(map(re.escape, words))
    search = re.compile(f"(?<![^{BETWEEN}]){between}(?![^{BETWEEN}])").search
    return lambda text: all(word in text for word in words) and search(text) is not None


def _contains(part: str, text: str) -> bool:
    return part in text


def _values(found: object) -> list[str]:
    """The values of a keyword field, as far as they can be found."""
    values = found if isinstance(found, (list, tuple)) else [found]
    return [value for value in values if isinstance(value, str) and len(value) <= _KEYWORD_CHARACTERS]


@lru_cache(maxsize=1)
def _lower(text: str) -> str:
    """A text in lower case, as far as it is looked into: all conditions about a document look at the same one."""
    return text[:_LONGEST_TEXT].lower()
