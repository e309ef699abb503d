"""What a URL says: times, filters, a query; and where a click leads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from daswatch.content.dashboards import SavedObject
from daswatch.preview.panels import PanelSearch
from daswatch.preview.view import EXISTS, LUCENE, Filter, View, ViewError, clicked, range_text

NOW = datetime(2026, 3, 5, 16, tzinfo=UTC)
DASHBOARD = SavedObject("dashboard", "one", {"timeFrom": "now-24h", "timeTo": "now"})
REQUEST = PanelSearch("Panel", "das-events-*", {"size": 0, "query": {"match_all": {}}}, ())
HOSTILE = "a:b&f=c#d?e=%41 +<\"'\u202e"


def span(begin: str, end: str) -> tuple[str, str]:
    found = View(begin, end).span(DASHBOARD, NOW)
    return f"{found.begin:%Y-%m-%dT%H:%M}", f"{found.end:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ("", "", ("2026-03-04T16:00", "2026-03-05T16:00")),
        ("now-7d", "now", ("2026-02-26T16:00", "2026-03-05T16:00")),
        ("now/w", "now/w", ("2026-03-01T00:00", "2026-03-07T23:59")),
        ("now-1d/d", "now-1d/d", ("2026-03-04T00:00", "2026-03-04T23:59")),
        ("2026-03-05T10:00:00.000Z", "2026-03-05T12:00+01:00", ("2026-03-05T10:00", "2026-03-05T11:00")),
    ],
)
def test_time_range_is_read(begin: str, end: str, expected: tuple[str, str]) -> None:
    assert span(begin, end) == expected


@pytest.mark.parametrize("begin", ["now-1M", "yesterday", "now", "0001-01-01T00:00+12:00", "２０２６-03-05"])
def test_time_that_is_not_understood_is_refused(begin: str) -> None:
    with pytest.raises(ViewError, match=r"the time"):
        span(begin, "now")


def test_time_range_has_words() -> None:
    assert range_text("now-24h", "now") == "Last 24 hours"
    assert range_text("now-1h", "now") == "Last hour"
    assert range_text("now/w", "now/w") == "This week"
    assert range_text("2026-03-05T10:00:00.000Z", "now") == "Mar 5, 10:00 to now"


def test_view_survives_its_url() -> None:
    filters = (Filter("dbUserName", HOSTILE), Filter("objects", HOSTILE, negated=True), Filter(EXISTS, "actor"))
    view = View("now-7d", "now", f"dbUserName : {HOSTILE}", filters)

    assert View.of(parse_qsl(urlsplit(view.link("/das-overview")).query)) == view


@pytest.mark.parametrize("text", ["dbUserName", ":anna", "", "-:x"])
def test_filter_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ViewError, match="is not understood"):
        View.of([("f", text)])


def test_filters_and_query_narrow_a_panel() -> None:
    view = View(query="activity : DDL").filtered(Filter("dbUserName", "anna"), Filter(EXISTS, "actor", negated=True))

    query = view.narrowed(REQUEST, {})["query"]["bool"]

    ddl = {"bool": {"should": [{"match": {"activity": "DDL"}}], "minimum_should_match": 1}}
    assert query["filter"] == [{"match_all": {}}, ddl, {"match_phrase": {"dbUserName": "anna"}}]
    assert query["must_not"] == [{"exists": {"field": "actor"}}]


def test_panel_is_as_it_is_without_filters() -> None:
    assert View().narrowed(REQUEST, {}) == REQUEST.body


@pytest.mark.parametrize("query", ["activity :", "(" * 1_900, 'a : "'])
def test_query_that_is_not_dql_is_refused(query: str) -> None:
    with pytest.raises(ViewError, match="The search cannot be read as DQL: "):
        View(query=query).narrowed(REQUEST, {})


def test_the_opposite_filter_takes_the_place_of_one() -> None:
    only = Filter("dbUserName", "anna")
    without = Filter("dbUserName", "anna", negated=True)

    assert View().filtered(only).filtered(without).filters == (without,)
    assert View().filtered(only).filtered(only).filters == (only,)
    assert View().filtered(only).without(only) == View()


def bucket(kind: str, **params: Any) -> dict[str, Any]:
    return {"type": kind, "params": params}


def test_click_filters_by_the_values_of_all_buckets() -> None:
    failed = {"label": "failed", "input": {"query": "outcome:failure", "language": "lucene"}}
    asked = [
        bucket("terms", field="activity"),
        bucket("terms", field="pending"),
        bucket("terms", field="actor", missingBucket=True, missingBucketLabel="(none)"),
        bucket("filters", filters=[failed]),
    ]

    view = clicked(View(), asked, ["DDL", True, "(none)", "failed"])

    assert view.filters == (
        Filter("activity", "DDL"),
        Filter("pending", "true"),
        Filter(EXISTS, "actor", negated=True),
        Filter(LUCENE, "outcome:failure"),
    )


def test_click_on_a_bar_of_time_selects_its_time() -> None:
    view = clicked(View(), [bucket("date_histogram", field="@timestamp")], [NOW], timedelta(minutes=30))

    assert (view.begin, view.end) == ("2026-03-05T16:00:00.000Z", "2026-03-05T16:30:00.000Z")
