"""Figures of panels, reckoned from documents in Python alone, without OpenSearch and without `daswatch.preview`.

In: a visualization's aggregations as its file has them, and the documents' sources. Out: for each row that the panel
may show, what each of its figures may be. Aurora MySQL's AUX rows must be left out by the caller: a query that forgets
them gives other figures.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeAlias

Source: TypeAlias = Mapping[str, Any]
Predicate: TypeAlias = Callable[[Source], bool]
# Whether a figure that a panel shows is right.
Figure: TypeAlias = Callable[[Any], bool]

_TOKEN = re.compile(r'\s*(\(|\)|AND\b|OR\b|NOT\b|([\w.@]+):("(?:[^"\\]|\\.)*"|[^\s()]+))')


def values_of(source: Source, field: str) -> list[Any]:
    """All values of a field, as a keyword index has them."""
    value = source.get(field.removesuffix(".keyword"))
    return [] if value is None else list(value) if isinstance(value, list) else [value]


@cache
def predicate(query: str) -> Predicate:
    """A Lucene query of fields and values. AND next to OR needs parentheses: Lucene has no precedence."""
    tokens = _tokens(query)
    found = _expression(tokens) if tokens else lambda _: True
    assert not tokens, f"{query}: what is {tokens}?"
    return found


def fields_of(query: str) -> set[str]:
    """The fields that a query names."""
    named = [(match[2], match[3]) for match in _TOKEN.finditer(query) if match[2]]
    return {value if name == "_exists_" else name for name, value in named}


def _tokens(query: str) -> list[Any]:
    tokens, position = [], 0
    while query[position:].strip():
        match = _TOKEN.match(query, position)
        assert match, f"{query}: not understood from {query[position:]!r} on"
        tokens.append((match[2], match[3]) if match[2] else match[1])
        position = match.end()
    return tokens


def _expression(tokens: list[Any]) -> Predicate:
    parts, joints = [_term(tokens)], set()
    while tokens and tokens[0] in ("AND", "OR"):
        joints.add(tokens.pop(0))
        parts.append(_term(tokens))
    assert len(joints) <= 1, "AND next to OR without parentheses"
    combine = any if joints == {"OR"} else all
    return lambda source: combine(part(source) for part in parts)


def _term(tokens: list[Any]) -> Predicate:
    token = tokens.pop(0)
    if token == "NOT":
        negated = _term(tokens)
        return lambda source: not negated(source)
    if token == "(":
        inner = _expression(tokens)
        assert tokens.pop(0) == ")"
        return inner
    name, value = token
    if name == "_exists_":
        return lambda source: bool(values_of(source, value))
    wanted = value[1:-1] if value.startswith('"') else value
    return lambda source: wanted in [_as_text(one) for one in values_of(source, name)]


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def nanoseconds(timestamp: str) -> int:
    """Since 1970, of ISO 8601 in UTC with any number of digits."""
    seconds, _, fraction = timestamp.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def bucket_keys(aggregation: Mapping[str, Any], source: Source, interval_ms: int) -> Iterator[Any]:
    """The buckets to which a document belongs."""
    kind, params = aggregation["type"], aggregation["params"]
    if kind == "filters":
        for one in params["filters"]:
            if predicate(one["input"]["query"])(source):
                yield one["label"]
    elif kind == "terms":
        found = values_of(source, params["field"])
        yield from dict.fromkeys(found)
        if not found and params["missingBucket"]:
            yield params["missingBucketLabel"]
    elif kind == "date_histogram":
        for value in values_of(source, params["field"]):
            milliseconds = nanoseconds(value) // 1_000_000
            yield milliseconds - milliseconds % interval_ms
    else:
        raise AssertionError(f"no reckoning of {kind}")


def grouped(
    aggregations: Sequence[Mapping[str, Any]], sources: Iterable[Source], interval_ms: int
) -> dict[tuple[Any, ...], list[Source]]:
    """Documents by the keys of all buckets, from the outermost to the innermost."""
    groups: dict[tuple[Any, ...], list[Source]] = {(): list(sources)}
    for aggregation in aggregations:
        finer: dict[tuple[Any, ...], list[Source]] = defaultdict(list)
        for path, members in groups.items():
            for source in members:
                for key in bucket_keys(aggregation, source, interval_ms):
                    finer[*path, key].append(source)
        groups = finer
    return groups


def figure(aggregation: Mapping[str, Any], sources: Sequence[Source]) -> float | None:
    """A metric over documents; of times the milliseconds since 1970."""
    kind, params = aggregation["type"], aggregation["params"]
    assert kind in ("count", "cardinality", "sum", "avg", "max", "min"), f"no reckoning of {kind}"
    if kind == "count":
        return len(sources)
    found = [value for source in sources for value in values_of(source, params["field"])]
    if kind == "cardinality":
        return len(set(found))
    numbers = [nanoseconds(value) // 1_000_000 if isinstance(value, str) else value for value in found]
    if kind == "sum":
        return float(sum(numbers))
    if not numbers:
        return None
    if kind == "avg":
        return float(sum(numbers)) / len(numbers)
    return float(max(numbers) if kind == "max" else min(numbers))


def figures(aggregation: Mapping[str, Any], sources: Sequence[Source]) -> list[Figure]:
    """What each column of a metric may show for these documents."""
    if aggregation["type"] == "percentiles":
        field = aggregation["params"]["field"]
        found = sorted(value for source in sources for value in values_of(source, field))
        return [_percentile(found, percent) for percent in aggregation["params"]["percents"]]
    if aggregation["type"] == "top_hits":
        return [_last(aggregation["params"], sources)]
    expected = figure(aggregation, sources)
    return [lambda shown: _same(shown, expected)]


def _same(shown: Any, expected: float | None) -> bool:
    if expected is None or shown is None:
        return shown is expected
    number = nanoseconds(shown) // 1_000_000 if isinstance(shown, str) else shown
    return math.isclose(number, expected, rel_tol=1e-9, abs_tol=1e-6)


def _percentile(found: Sequence[float], percent: float) -> Figure:
    """OpenSearch estimates: the value must lie where the ten percent around the exact one do."""
    below = found[math.floor(max(percent - 10, 0) / 100 * (len(found) - 1))]
    above = found[math.ceil(min(percent + 10, 100) / 100 * (len(found) - 1))]
    return lambda shown: below - 1e-6 <= shown <= above + 1e-6


def _last(params: Mapping[str, Any], sources: Sequence[Source]) -> Figure:
    """The field of the newest document, of any of them where several are."""
    assert (params["size"], params["sortOrder"]) == (1, "desc")
    newest = max(nanoseconds(source[params["sortField"]]) for source in sources)
    among = [source.get(params["field"]) for source in sources if nanoseconds(source[params["sortField"]]) == newest]
    return lambda shown: shown in among
