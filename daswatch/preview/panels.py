"""A panel's visualization, saved search or controls -> the `_search` requests of Dashboards; their answers -> rows.

In: saved objects, readable, as `daswatch.content.dashboards` gives them, and a span of time. Out: for each request an
index and a body, as Dashboards 2.x and 3.x send them, and from its answer a table. What would need a second look-up (an
"other" bucket) or a language that is not Lucene is refused: a figure that Dashboards would show differently is worse
than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from daswatch.content.dashboards import SavedObject
from daswatch.errors import DaswatchError
from daswatch.times import iso_milliseconds

SEARCH_SIZE = 500  # rows: Dashboards' setting discover:sampleSize
BARS = 50  # that "auto" aims at: Dashboards' setting histogram:barTarget
MAX_BARS = 100  # histogram:maxBars
_DEFAULT_TERMS = 5
_MISSING = "__missing__"
_COUNT = "count"

Objects: TypeAlias = Mapping[tuple[str, str], SavedObject]

MILLISECONDS = {
    "y": 31_536_000_000,
    "M": 2_592_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_CALENDAR_UNITS = frozenset("yMwdhm")  # one of these is a calendar's, several of them are a fixed time
# From a bar of which width on "auto" takes which interval, the widest first.
_AUTO_INTERVALS = (
    (31_536_000_000, "1M"),
    (1_814_400_000, "1w"),
    (604_800_000, "1d"),
    (86_400_000, "12h"),
    (21_600_000, "3h"),
    (7_200_000, "1h"),
    (2_700_000, "30m"),
    (1_200_000, "10m"),
    (540_000, "5m"),
    (180_000, "1m"),
    (45_000, "30s"),
    (15_000, "10s"),
    (7_500, "5s"),
    (5_000, "1s"),
    (500, "100ms"),
)
_INTERVAL = re.compile(r"(\d+)(y|M|w|d|h|m|s|ms)", re.ASCII)


class PanelError(DaswatchError):
    """Stop: a panel asks for what we do not translate; the message names it."""


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """The time that is chosen in Dashboards, and its time zone."""

    begin: datetime
    end: datetime
    zone: str = "UTC"

    @property
    def length(self) -> timedelta:
        """From begin to end."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an answer: where a row belongs (bucket), a figure about it (metric), or a field of a search."""

    title: str
    role: Literal["bucket", "metric", "field"]
    field: str  # empty for counts and filters
    type: str = ""  # the aggregation's: terms, date_histogram, count, sum ...
    aggregation: str = ""  # its id in the visualization


@dataclass(frozen=True, slots=True)
class PanelSearch:
    """One `_search` of a panel. `aggregations` are the enabled ones, buckets first."""

    title: str
    index: str
    body: Mapping[str, Any]
    columns: tuple[Column, ...]
    aggregations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """A table: titles, and a row for each innermost bucket, hit or value of a control. Times are ISO 8601."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]


def by_key(objects: Iterable[SavedObject]) -> Objects:
    """Saved objects by type and id."""
    return {(one.type, one.id): one for one in objects}


def requests_of(one: SavedObject, objects: Objects, span: TimeSpan) -> list[PanelSearch]:
    """What Dashboards asks for a visualization or a saved search; nothing for a text. Raises PanelError.

    `objects` holds what it refers to. Controls ask once for each of their lists.
    """
    try:
        if one.type == "search":
            return [_search(one, objects, span)]
        state = one.attributes["visState"]
        if state["type"] == "markdown":
            return []
        if state["type"] == "input_control_vis":
            return [_control(control, state["params"], objects, span) for control in state["params"]["controls"]]
        return [_aggregated(one, state, objects, span)]
    except PanelError as exc:
        raise PanelError(f"{one.type} {one.id}: {exc}") from exc


def rows_of(request: PanelSearch, answer: Mapping[str, Any]) -> Rows:
    """The answer as Dashboards would show it in a table, before fields are formatted."""
    if not request.aggregations:
        return Rows(request.columns, tuple(_hit_rows(request, answer)))
    top = {**answer.get("aggregations", {}), "doc_count": answer["hits"]["total"]["value"]}
    metrics = [one for one in request.aggregations if _is_metric(one)]
    buckets = [one for one in request.aggregations if not _is_metric(one)]
    return Rows(request.columns, tuple(_bucket_rows(buckets, metrics, top)))


def _search(one: SavedObject, objects: Objects, span: TimeSpan) -> PanelSearch:
    pattern = _pattern(one, objects)
    names = [name for name in one.attributes["columns"] if name != "_source"]
    time_field = pattern.attributes.get("timeFieldName", "")
    columns = [time_field, *names] if time_field else names
    body = {
        "size": SEARCH_SIZE,
        "version": True,
        "track_total_hits": True,
        "sort": [{name: {"order": order, "unmapped_type": "boolean"}} for name, order in one.attributes["sort"]],
        "query": _query([one], pattern, span),
    }
    return PanelSearch(one.title, pattern.title, body, tuple(Column(name, "field", name) for name in columns))


def _control(control: Mapping[str, Any], params: Mapping[str, Any], objects: Objects, span: TimeSpan) -> PanelSearch:
    """The values of a list, from which people choose."""
    if control["type"] != "list":
        raise PanelError(f"a control of type {control['type']!r} (expected: list)")
    pattern = objects["index-pattern", control["indexPattern"]]
    terms: dict[str, Any] = {"field": control["fieldName"], "order": {"_count": "desc"}}
    options = control["options"]
    if not options.get("dynamicOptions"):
        terms["size"] = options.get("size", _DEFAULT_TERMS)
    filters = [_time_filter(pattern, span)] if params.get("useTimeFilter") else []
    body = {
        "size": 0,
        "track_total_hits": True,
        "query": _bool(filters=[one for one in filters if one]),
        "aggs": {"termsAgg": {"terms": terms}},
    }
    name = control["fieldName"]
    aggregations = (
        {"id": "termsAgg", "type": "terms", "params": terms},
        {"id": _COUNT, "type": _COUNT, "params": {}},
    )
    columns = (Column(control["label"], "bucket", name, "terms", "termsAgg"), _count_column(_COUNT, "Count"))
    return PanelSearch(control["label"], pattern.title, body, columns, aggregations)


def _aggregated(one: SavedObject, state: Mapping[str, Any], objects: Objects, span: TimeSpan) -> PanelSearch:
    sources = [one]
    if "savedSearchId" in one.attributes:
        sources.append(objects["search", one.attributes["savedSearchId"]])
    pattern = _pattern(sources[-1], objects)
    enabled = [found for found in state["aggs"] if found.get("enabled", True)]
    aggregations = sorted(enabled, key=_is_metric)
    buckets = [found for found in aggregations if not _is_metric(found)]
    metrics = [found for found in aggregations if _is_metric(found)]
    params = state["params"]
    hierarchical = state["type"] == "pie" or any(
        params.get(name) for name in ("showPartialRows", "showMetricsAtAllLevels")
    )
    body: dict[str, Any] = {"size": 0, "track_total_hits": True, "query": _query(sources, pattern, span)}
    asked = _nested(buckets, metrics, _Writing(span, pattern, metrics, hierarchical))
    if asked:
        body["aggs"] = asked
    columns = (*map(_bucket_column, buckets), *(column for metric in metrics for column in _metric_columns(metric)))
    return PanelSearch(one.title, pattern.title, body, columns, tuple(aggregations))


def _pattern(one: SavedObject, objects: Objects) -> SavedObject:
    return objects["index-pattern", _source(one)["index"]]


def _source(one: SavedObject) -> Mapping[str, Any]:
    found: Mapping[str, Any] = one.attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]
    return found


def _query(sources: Sequence[SavedObject], pattern: SavedObject, span: TimeSpan) -> dict[str, Any]:
    """The queries and pills of an object and of the search that it is linked to, and the span of time."""
    pills = [pill for one in sources for pill in _source(one).get("filter", [])]
    active = [pill for pill in pills if not pill["meta"].get("disabled")]
    time = _time_filter(pattern, span)
    return _bool(
        must=[_lucene(_source(one)["query"], span.zone) for one in sources if "query" in _source(one)],
        filters=[*([time] if time else []), *(_of_pill(pill) for pill in active if not pill["meta"].get("negate"))],
        must_not=[_of_pill(pill) for pill in active if pill["meta"].get("negate")],
    )


def _bool(must: Sequence[Any] = (), filters: Sequence[Any] = (), must_not: Sequence[Any] = ()) -> dict[str, Any]:
    return {"bool": {"must": list(must), "filter": list(filters), "should": [], "must_not": list(must_not)}}


def _lucene(query: Mapping[str, Any], zone: str) -> dict[str, Any]:
    text, language = query["query"], query["language"]
    if not text:
        return {"match_all": {}}
    if language != "lucene":
        raise PanelError(f"a query in {language!r} (expected: lucene)")
    return {"query_string": {"query": text, "analyze_wildcard": True, "time_zone": zone}}


def _of_pill(pill: Mapping[str, Any]) -> Any:
    """Return a pill's condition: under `query`, or next to its `meta`."""
    return pill.get("query") or {name: value for name, value in pill.items() if name not in ("meta", "$state")}


def _time_filter(pattern: SavedObject, span: TimeSpan) -> dict[str, Any] | None:
    name = pattern.attributes.get("timeFieldName")
    if not name:
        return None
    bounds = {"gte": iso_milliseconds(span.begin), "lte": iso_milliseconds(span.end)}
    return {"range": {name: {**bounds, "format": "strict_date_optional_time"}}}


@dataclass(frozen=True, slots=True)
class _Writing:
    """What the writing of each aggregation may need to know of its visualization."""

    span: TimeSpan
    pattern: SavedObject
    metrics: Sequence[Mapping[str, Any]]
    hierarchical: bool


def _nested(
    buckets: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]], writing: _Writing
) -> dict[str, Any]:
    """Each bucket within the one before, the metrics in the innermost; what orders a bucket stands in it as well."""
    written = {one["id"]: _metric(one, writing) for one in metrics if one["type"] != _COUNT}
    if not buckets:
        return written
    outer, *inner = buckets
    params = _bucket(outer, writing)
    ordering = {name: written[name] for name in map(_own_id, params.get("order", {})) if name in written}
    nested = {**ordering, **(written if writing.hierarchical else {}), **_nested(inner, metrics, writing)}
    found: dict[str, Any] = {outer["type"]: params}
    if nested:
        found["aggs"] = nested
    return {outer["id"]: found}


def _own_id(order: str) -> str:
    """A percentile is ordered by `<id>.<percent>`."""
    return order.partition(".")[0]


def _is_metric(aggregation: Mapping[str, Any]) -> bool:
    return aggregation["type"] == _COUNT or aggregation["type"] in _METRICS


def _metric(aggregation: Mapping[str, Any], writing: _Writing) -> dict[str, Any]:
    return _METRICS[aggregation["type"]](aggregation["params"], writing)


def _of_field(kind: str) -> Callable[[Mapping[str, Any], _Writing], dict[str, Any]]:
    return lambda params, _: {kind: {"field": params["field"]}}


def _percentiles(params: Mapping[str, Any], _: _Writing) -> dict[str, Any]:
    return {"percentiles": {"field": params["field"], "percents": params["percents"], "keyed": False}}


def _median(params: Mapping[str, Any], _: _Writing) -> dict[str, Any]:
    return {"percentiles": {"field": params["field"], "percents": [50], "keyed": False}}


def _top_hits(params: Mapping[str, Any], writing: _Writing) -> dict[str, Any]:
    sort_field = params.get("sortField") or writing.pattern.attributes["timeFieldName"]
    return {
        "top_hits": {
            "_source": params["field"],
            "size": params.get("size", 1),
            "sort": [{sort_field: {"order": params.get("sortOrder", "desc")}}],
        }
    }


_METRICS: Mapping[str, Callable[[Mapping[str, Any], _Writing], dict[str, Any]]] = {
    **{kind: _of_field(kind) for kind in ("avg", "cardinality", "max", "min", "sum")},
    "median": _median,
    "percentiles": _percentiles,
    "top_hits": _top_hits,
}


def _bucket(aggregation: Mapping[str, Any], writing: _Writing) -> dict[str, Any]:
    write = _BUCKETS.get(aggregation["type"])
    if write is None:
        raise PanelError(f"an aggregation of type {aggregation['type']!r}")
    return write(aggregation["params"], writing)


def _terms(params: Mapping[str, Any], writing: _Writing) -> dict[str, Any]:
    if params.get("otherBucket"):
        raise PanelError(f'an "other" bucket of {params["field"]!r}')
    by, direction = params.get("orderBy", "_count"), params.get("order", "desc")
    counts = {one["id"] for one in writing.metrics if one["type"] == _COUNT}
    written: dict[str, Any] = {
        "field": params["field"],
        "size": params.get("size", _DEFAULT_TERMS),
        "order": {"_count" if by in counts else by: direction},
    }
    if params.get("missingBucket"):
        written["missing"] = _MISSING
    for name in ("include", "exclude"):
        if params.get(name):
            written[name] = params[name]
    return written


def _significant_terms(params: Mapping[str, Any], _: _Writing) -> dict[str, Any]:
    return {"field": params["field"], "size": params.get("size", _DEFAULT_TERMS)}


def _date_histogram(params: Mapping[str, Any], writing: _Writing) -> dict[str, Any]:
    if params.get("scaleMetricValues"):
        raise PanelError("figures scaled to the interval")
    return {
        "field": params["field"],
        **_interval(params.get("interval", "auto"), writing.span),
        "time_zone": writing.span.zone,
        "min_doc_count": params.get("min_doc_count", 1),
    }


def _interval(chosen: str, span: TimeSpan) -> dict[str, str]:
    """The interval of a date histogram: as it is chosen, or what "auto" makes of the span; wider for many bars."""
    length = span.length / timedelta(milliseconds=1)
    # Older objects hold the unit alone.
    expression = _auto(length / BARS) if chosen == "auto" else chosen if chosen[:1].isdigit() else f"1{chosen}"
    number, unit = _parts(expression)
    if length / (number * MILLISECONDS[unit]) > MAX_BARS:
        number, unit = _parts(_at_most(length / MAX_BARS))
    kind = "calendar_interval" if number == 1 and unit in _CALENDAR_UNITS else "fixed_interval"
    return {kind: f"{number}{unit}"}


def _parts(expression: str) -> tuple[int, str]:
    found = _INTERVAL.fullmatch(expression)
    if not found:
        raise PanelError(f"an interval {expression!r}")
    return int(found[1]), found[2]


def _auto(milliseconds: float) -> str:
    """The interval for a bar of about this width."""
    wider = "1y"
    for bound, interval in _AUTO_INTERVALS:
        if bound <= milliseconds:
            return wider
        wider = interval
    return f"{max(int(milliseconds), 1)}ms"


def _at_most(milliseconds: float) -> str:
    """The widest interval of those that "auto" takes which is not wider than this."""
    for interval in ("1y", *(interval for _, interval in _AUTO_INTERVALS)):
        number, unit = _parts(interval)
        if number * MILLISECONDS[unit] <= milliseconds:
            return interval
    return f"{max(int(milliseconds), 1)}ms"


def _histogram(params: Mapping[str, Any], _: _Writing) -> dict[str, Any]:
    if not isinstance(params.get("interval"), int | float):
        raise PanelError(f"an interval {params.get('interval')!r} (expected: a number)")
    return {
        "field": params["field"],
        "interval": params["interval"],
        "min_doc_count": 0 if params.get("min_doc_count") else 1,
    }


def _filters(params: Mapping[str, Any], writing: _Writing) -> dict[str, Any]:
    written = {}
    for one in params["filters"]:
        label = one.get("label") or one["input"]["query"] or "*"
        written[label] = _bool(must=[_lucene(one["input"], writing.span.zone)])
    return {"filters": written}


def _range(params: Mapping[str, Any], _: _Writing) -> dict[str, Any]:
    ranges = [{name: one[name] for name in ("from", "to") if one.get(name) is not None} for one in params["ranges"]]
    return {"field": params["field"], "ranges": ranges, "keyed": True}


_BUCKETS: Mapping[str, Callable[[Mapping[str, Any], _Writing], dict[str, Any]]] = {
    "date_histogram": _date_histogram,
    "filters": _filters,
    "histogram": _histogram,
    "range": _range,
    "significant_terms": _significant_terms,
    "terms": _terms,
}


def _bucket_column(aggregation: Mapping[str, Any]) -> Column:
    params = aggregation["params"]
    name = params.get("field", "")
    title = params.get("customLabel") or name or aggregation["type"]
    return Column(title, "bucket", name, aggregation["type"], aggregation["id"])


def _count_column(identity: str, title: str) -> Column:
    return Column(title, "metric", "", _COUNT, identity)


def _metric_columns(aggregation: Mapping[str, Any]) -> Iterator[Column]:
    kind, params, identity = aggregation["type"], aggregation["params"], aggregation["id"]
    title = params.get("customLabel", "")
    if kind == _COUNT:
        yield _count_column(identity, title or "Count")
    elif kind == "percentiles":
        for percent in params["percents"]:
            yield Column(f"{percent:g}% {title or params['field']}", "metric", params["field"], kind, identity)
    else:
        yield Column(title or f"{kind} {params['field']}", "metric", params["field"], kind, identity)


def _bucket_rows(
    buckets: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    answer: Mapping[str, Any],
    path: tuple[Any, ...] = (),
) -> Iterator[tuple[Any, ...]]:
    if not buckets:
        yield (*path, *(value for metric in metrics for value in _metric_values(metric, answer)))
        return
    outer, *inner = buckets
    found = answer.get(outer["id"], {}).get("buckets", [])
    listed = found.items() if isinstance(found, Mapping) else ((None, bucket) for bucket in found)
    for name, bucket in listed:
        key = name if name is not None else _key(outer, bucket)
        yield from _bucket_rows(inner, metrics, bucket, (*path, key))


def _key(aggregation: Mapping[str, Any], bucket: Mapping[str, Any]) -> Any:
    if bucket["key"] == _MISSING:
        return aggregation["params"].get("missingBucketLabel", "Missing")
    return bucket.get("key_as_string", bucket["key"])


def _metric_values(aggregation: Mapping[str, Any], bucket: Mapping[str, Any]) -> Iterator[Any]:
    kind = aggregation["type"]
    if kind == _COUNT:
        yield bucket["doc_count"]
        return
    found = bucket.get(aggregation["id"], {})
    if kind == "percentiles":
        yield from (one["value"] for one in found.get("values", ()))
    elif kind == "median":
        yield found["values"][0]["value"]
    elif kind == "top_hits":
        values = [_within(hit["_source"], aggregation["params"]["field"]) for hit in found["hits"]["hits"]]
        yield values[0] if len(values) == 1 else values or None
    else:
        yield found.get("value_as_string", found.get("value"))


def _hit_rows(request: PanelSearch, answer: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for hit in answer["hits"]["hits"]:
        yield tuple(_within(hit["_source"], column.field) for column in request.columns)


def _within(source: Mapping[str, Any], path: str) -> Any:
    """A value of a document, whether its name has dots or it is nested; None where there is none."""
    if path in source:
        return source[path]
    name, _, rest = path.partition(".")
    inner = source.get(name)
    return _within(inner, rest) if rest and isinstance(inner, Mapping) else None
