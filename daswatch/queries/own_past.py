"""Whether a group does more than the same group did in an equally long time of the weeks before.

A detection with `own-past` fires only for amounts that are unusual for their own user and table: a job that has
archived as many rows each night is left out, whatever the amount. Pure: the asking is done by
`daswatch.opensearch.known_clients`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from daswatch.detections.detection import Condition, Detection, OwnPast
from daswatch.queries.saved_query import (
    Candidate,
    Search,
    event_indices,
    filters_of,
    group_filters,
    metric_of,
    one_event,
    overlap,
    query_string,
)
from daswatch.times import iso_milliseconds, moment_of

_DAY = timedelta(days=1)


def own_past_of(detection: Detection) -> OwnPast:
    """The section of a detection that has one."""
    if detection.own_past is None:
        raise ValueError(detection.name)
    return detection.own_past


def last_day(group: Candidate) -> datetime:
    """The end of a group's past: midnight, a day before the day of its first event.

    What began yesterday is not yet its own past. On whole days, so that all runs of a day ask the same.
    """
    return moment_of(group.first_seen).replace(hour=0, minute=0, second=0, microsecond=0) - _DAY


def own_past_query(detection: Detection, group: Candidate, index: str, prefix: str) -> Search:
    """The search for the most that a group did within a window of its past, by condition.

    It is in `index`, or, where that is empty, in the indices of those days.
    """
    end = last_day(group)
    begin = end - own_past_of(detection).days * _DAY
    filters = [
        *filters_of(detection),
        {"range": {"@timestamp": {"gte": iso_milliseconds(begin), "lt": iso_milliseconds(end)}}},
        *group_filters(group.resource_id, group.group),
    ]
    body = {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": {"filter": filters}},
        "aggs": {f"m{number}": _most(detection, condition) for number, condition in enumerate(detection.conditions)},
    }
    return Search(index or event_indices(begin.date(), end.date(), prefix), body)


def learned_query(detection: Detection, group: Candidate) -> dict[str, Any]:
    """The body of the search for one event of the group's database that is old enough."""
    before = moment_of(group.first_seen) - own_past_of(detection).learn_days * _DAY
    old = {"range": {"@timestamp": {"lte": iso_milliseconds(before)}}}
    return one_event({"filter": [old, *group_filters(group.resource_id, {})]})


def read_own_past(detection: Detection, answer: Mapping[str, Any]) -> tuple[int, ...]:
    """The largest value of each condition that `own_past_query` found; 0 where there was nothing."""
    found = answer.get("aggregations")
    if not found:
        return (0,) * len(detection.conditions)
    return tuple(
        _value(condition, found[f"m{n}"]["parts"]["buckets"]) for n, condition in enumerate(detection.conditions)
    )


def is_usual(detection: Detection, group: Candidate, past: Sequence[int]) -> bool:
    """Whether each condition that holds has a value of at most `times` that of the past."""
    times = own_past_of(detection).times
    held = [
        value <= times * before
        for condition, value, before in zip(detection.conditions, group.values, past, strict=True)
        if value >= condition.at_least
    ]
    return bool(held) and all(held)


def _most(detection: Detection, condition: Condition) -> dict[str, Any]:
    """The part of the past, as long as a window, in which a condition's value was largest."""
    seconds = detection.window_seconds + int(overlap(detection).total_seconds())
    metric = metric_of(condition)
    largest = {"sort": [{"value" if metric else "_count": {"order": "desc"}}], "size": 1}
    parts = {
        "date_histogram": {"field": "@timestamp", "fixed_interval": f"{seconds}s", "min_doc_count": 1},
        "aggs": {**({"value": metric} if metric else {}), "largest": {"bucket_sort": largest}},
    }
    return {
        "filter": query_string(condition.query) if condition.query else {"match_all": {}},
        "aggs": {"parts": parts},
    }


def _value(condition: Condition, buckets: Sequence[Mapping[str, Any]]) -> int:
    if not buckets:
        return 0
    return int(buckets[0]["doc_count"] if condition.metric == "count" else buckets[0]["value"]["value"] or 0)
