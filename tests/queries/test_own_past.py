"""A group's own past: what is asked about it, and when a group does no more than in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from daswatch.detections.detection import Condition, Detection, Level, OwnPast
from daswatch.queries.own_past import is_usual, last_day, learned_query, own_past_query, read_own_past
from daswatch.queries.saved_query import Candidate, overlap
from tests.builders.alerts import a_detection

READS = Condition("sum", 1_000, "rowCount", "rowCount:[* TO 99]")
BATCHES = Condition("count", 40)
GROUP = Candidate(
    "cluster-SHOP",
    {"dbUserName": "svc", "objects": "public.orders"},
    60,
    "2031-03-04T10:00:00.000Z",
    "2031-03-04T15:05:00.000Z",
    Level.MEDIUM,
    values=(1_200, 0),
)


def a_rule(**changes: Any) -> Detection:
    fields: dict[str, Any] = {
        "group": ("dbUserName", "objects"),
        "window_seconds": 21_600,
        "conditions": (READS, BATCHES),
        "own_past": OwnPast(days=35, learn_days=7, times=3),
    }
    return a_detection(**{**fields, **changes})


def test_the_past_ends_a_day_before_the_day_of_the_first_event() -> None:
    assert last_day(GROUP) == datetime(2031, 3, 3, tzinfo=UTC)
    assert last_day(replace(GROUP, first_seen="2031-03-04T23:59:59.999Z")) == datetime(2031, 3, 3, tzinfo=UTC)


def test_the_past_is_that_of_the_group_alone() -> None:
    rule = a_rule()

    search = own_past_query(rule, GROUP, "", "acme-events")

    filters = search.body["query"]["bool"]["filter"]
    assert {"term": {"dbUserName": "svc"}} in filters
    assert {"term": {"objects": "public.orders"}} in filters
    assert {"term": {"resourceId": "cluster-SHOP"}} in filters
    span = {"gte": "2031-01-27T00:00:00.000Z", "lt": "2031-03-03T00:00:00.000Z"}
    assert {"range": {"@timestamp": span}} in filters
    assert "acme-events-2031.01.27*" in search.index
    assert "acme-events-2031.03.04*" not in search.index


def test_a_part_of_the_past_is_as_long_as_a_window() -> None:
    rule = a_rule()
    seconds = rule.window_seconds + int(overlap(rule).total_seconds())

    own = own_past_query(rule, GROUP, "one-index", "das-events")

    assert own.index == "one-index"
    for metric in own.body["aggs"].values():
        assert metric["aggs"]["parts"]["date_histogram"]["fixed_interval"] == f"{seconds}s"
        assert metric["aggs"]["parts"]["aggs"]["largest"]["bucket_sort"]["size"] == 1


def test_the_largest_value_of_each_condition_is_read() -> None:
    answer = {
        "aggregations": {
            "m0": {"parts": {"buckets": [{"doc_count": 7, "value": {"value": 650.0}}]}},
            "m1": {"parts": {"buckets": [{"doc_count": 12}]}},
        }
    }
    nothing: dict[str, Any] = {"aggregations": {name: {"parts": {"buckets": []}} for name in ("m0", "m1")}}

    assert read_own_past(a_rule(), answer) == (650, 12)
    assert read_own_past(a_rule(), nothing) == (0, 0)
    assert read_own_past(a_rule(), {"hits": {}}) == (0, 0)  # no index of these days


@pytest.mark.parametrize(
    ("values", "past", "usual"),
    [
        pytest.param((1_200, 0), (400, 0), True, id="three times as much"),
        pytest.param((1_200, 0), (399, 0), False, id="more than that"),
        pytest.param((1_200, 0), (0, 900), False, id="another condition's past"),
        pytest.param((1_200, 50), (400, 10), False, id="one of two that hold is unusual"),
        pytest.param((1_200, 39), (400, 0), True, id="what does not hold does not count"),
    ],
)
def test_what_is_usual_is_a_multiple_of_the_past(values: tuple[int, ...], past: tuple[int, ...], usual: bool) -> None:
    assert is_usual(a_rule(), replace(GROUP, values=values), past) is usual


def test_a_database_has_learned_by_any_old_event() -> None:
    body = learned_query(a_rule(), GROUP)

    assert body["query"]["bool"]["filter"] == [
        {"range": {"@timestamp": {"lte": "2031-02-25T10:00:00.000Z"}}},
        {"term": {"resourceId": "cluster-SHOP"}},
    ]
    assert body["terminate_after"] == 1
