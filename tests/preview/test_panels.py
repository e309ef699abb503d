"""Panels as requests, and answers as rows: each aggregation as Dashboards writes it, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daswatch.content.dashboards import SavedObject
from daswatch.preview.panels import Column, PanelError, PanelSearch, TimeSpan, by_key, requests_of, rows_of

START = datetime(2031, 3, 4, 9, tzinfo=UTC)
DAY = TimeSpan(START, START + timedelta(days=1), "Europe/Paris")
PATTERN = SavedObject("index-pattern", "das-events", {"title": "das-events-*", "timeFieldName": "@timestamp"})
TIMELESS = SavedObject("index-pattern", "das-pulse", {"title": "das-pulse"})
TIME = {
    "range": {
        "@timestamp": {
            "gte": "2031-03-04T09:00:00.000Z",
            "lte": "2031-03-05T09:00:00.000Z",
            "format": "strict_date_optional_time",
        }
    }
}
BY_COUNT = {"_count": "desc"}
COUNT = {"id": "1", "type": "count", "schema": "metric", "params": {}}


def agg(identity: str, kind: str, schema: str = "segment", **params: Any) -> dict[str, Any]:
    return {"id": identity, "enabled": True, "type": kind, "schema": schema, "params": params}


def source(query: str = "", language: str = "lucene", pattern: str = "das-events", filters: Any = ()) -> dict[str, Any]:
    found = {"index": pattern, "query": {"query": query, "language": language}, "filter": list(filters)}
    return {"searchSourceJSON": found}


def chart(
    *aggs: dict[str, Any], kind: str = "table", params: Any = None, linked: str = "", **changes: Any
) -> SavedObject:
    attributes: dict[str, Any] = {
        "title": "Chart",
        "visState": {"title": "Chart", "type": kind, "params": params or {}, "aggs": list(aggs)},
        "kibanaSavedObjectMeta": source(**changes),
    }
    if linked:
        attributes["savedSearchId"] = linked
        del attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]["index"]
    return SavedObject("visualization", "chart", attributes)


def pill(query: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"$state": {"store": "appState"}, "meta": {"negate": False, "disabled": False, **meta}, **query}


def asked(one: SavedObject, span: TimeSpan = DAY, *others: SavedObject) -> PanelSearch:
    (request,) = requests_of(one, by_key([PATTERN, TIMELESS, *others]), span)
    return request


def written(*aggs: dict[str, Any], **changes: Any) -> Any:
    return asked(chart(*aggs, **changes)).body.get("aggs")


def test_without_buckets_only_metrics_are_asked() -> None:
    request = asked(chart(COUNT, agg("2", "cardinality", "metric", field="dbUserName")))

    assert request.index == "das-events-*"
    assert request.body == {
        "size": 0,
        "track_total_hits": True,
        "query": {"bool": {"must": [{"match_all": {}}], "filter": [TIME], "should": [], "must_not": []}},
        "aggs": {"2": {"cardinality": {"field": "dbUserName"}}},
    }


def test_a_count_alone_asks_for_no_aggregation() -> None:
    assert "aggs" not in asked(chart(COUNT)).body


def test_a_pattern_without_time_is_not_narrowed() -> None:
    assert asked(chart(COUNT, pattern="das-pulse")).body["query"]["bool"]["filter"] == []


def test_lucene_is_sent_with_the_time_zone() -> None:
    (must,) = asked(chart(COUNT, query="activity:DDL")).body["query"]["bool"]["must"]

    assert must == {"query_string": {"query": "activity:DDL", "analyze_wildcard": True, "time_zone": "Europe/Paris"}}


def test_an_empty_query_is_the_same_in_every_language() -> None:
    assert asked(chart(COUNT, language="kuery")).body["query"]["bool"]["must"] == [{"match_all": {}}]


def test_a_query_in_another_language_is_refused() -> None:
    with pytest.raises(PanelError, match=r"visualization chart: a query in 'kuery' \(expected: lucene\)"):
        asked(chart(COUNT, query="activity: DDL", language="kuery"))


def test_pills_are_filters_unless_they_are_switched_off() -> None:
    only, without, off = ({"match_phrase": {"class": name}} for name in ("MAIN", "AUX", "OFF"))
    pills = [pill({"query": only}), pill({"query": without}, negate=True), pill({"query": off}, disabled=True)]

    query = asked(chart(COUNT, filters=pills)).body["query"]["bool"]

    assert (query["filter"], query["must_not"]) == ([TIME, only], [without])


def test_a_pill_may_hold_its_condition_next_to_its_meta() -> None:
    condition = {"exists": {"field": "objects"}}

    assert asked(chart(COUNT, filters=[pill(condition)])).body["query"]["bool"]["filter"] == [TIME, condition]


def test_a_linked_search_gives_its_index_its_query_and_its_pills() -> None:
    condition = {"exists": {"field": "objects"}}
    meta = source(query="activity:DQL", filters=[pill(condition)])
    search = SavedObject("search", "reads", {"title": "Reads", "kibanaSavedObjectMeta": meta})

    request = asked(chart(COUNT, linked="reads", query="engine:mysql"), DAY, search)

    query = request.body["query"]["bool"]
    assert request.index == "das-events-*"
    assert [must["query_string"]["query"] for must in query["must"]] == ["engine:mysql", "activity:DQL"]
    assert query["filter"] == [TIME, condition]


def test_buckets_stand_within_each_other_and_metrics_in_the_innermost() -> None:
    found = written(
        agg("1", "sum", "metric", field="rowCount"),
        agg("2", "terms", field="dbUserName", size=3, orderBy="_key", order="asc"),
        agg("3", "terms", field="activity", size=2, orderBy="1", order="desc"),
    )

    total = {"sum": {"field": "rowCount"}}
    inner = {"terms": {"field": "activity", "size": 2, "order": {"1": "desc"}}, "aggs": {"1": total}}
    users = {"field": "dbUserName", "size": 3, "order": {"_key": "asc"}}
    assert found == {"2": {"terms": users, "aggs": {"3": inner}}}


def test_what_orders_an_outer_bucket_is_asked_there_too() -> None:
    found = written(
        agg("1", "max", "metric", field="rowCount"),
        agg("2", "terms", field="dbUserName", orderBy="1"),
        agg("3", "terms", field="activity", orderBy="_key"),
    )

    assert found["2"]["terms"] == {"field": "dbUserName", "size": 5, "order": {"1": "desc"}}
    assert set(found["2"]["aggs"]) == {"1", "3"}


def test_a_percentile_orders_by_its_name() -> None:
    found = written(
        agg("1", "percentiles", "metric", field="durationMs", percents=[50, 95]),
        agg("2", "terms", field="statementHash", orderBy="1.95"),
        agg("3", "terms", field="activity"),
    )

    assert found["2"]["terms"]["order"] == {"1.95": "desc"}
    assert found["2"]["aggs"]["1"] == {"percentiles": {"field": "durationMs", "percents": [50, 95], "keyed": False}}


def test_ordering_by_a_count_is_ordering_by_documents() -> None:
    assert written(COUNT, agg("2", "terms", field="activity", orderBy="1"))["2"]["terms"]["order"] == {"_count": "desc"}


@pytest.mark.parametrize(("kind", "params"), [("pie", {}), ("table", {"showMetricsAtAllLevels": True})])
def test_some_types_ask_for_metrics_at_every_level(kind: str, params: dict[str, Any]) -> None:
    found = written(
        agg("1", "sum", "metric", field="rowCount"),
        agg("2", "terms", field="dbUserName"),
        agg("3", "terms", field="activity"),
        kind=kind,
        params=params,
    )

    assert set(found["2"]["aggs"]) == {"1", "3"}


def test_what_is_disabled_is_not_asked() -> None:
    assert written(COUNT, {**agg("2", "terms", field="activity"), "enabled": False}) is None


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (
            agg("2", "terms", field="objects", missingBucket=True, include="a.*", exclude=""),
            {"terms": {"field": "objects", "size": 5, "order": BY_COUNT, "missing": "__missing__", "include": "a.*"}},
        ),
        (
            agg("2", "significant_terms", field="objects", size=7),
            {"significant_terms": {"field": "objects", "size": 7}},
        ),
        (
            agg("2", "histogram", field="rowCount", interval=10, min_doc_count=True),
            {"histogram": {"field": "rowCount", "interval": 10, "min_doc_count": 0}},
        ),
        (
            agg("2", "range", field="rowCount", ranges=[{"from": 0, "to": 10}, {"from": 10, "to": None}]),
            {"range": {"field": "rowCount", "ranges": [{"from": 0, "to": 10}, {"from": 10}], "keyed": True}},
        ),
        (agg("2", "avg", "metric", field="durationMs"), {"avg": {"field": "durationMs"}}),
        (
            agg("2", "median", "metric", field="durationMs"),
            {"percentiles": {"field": "durationMs", "percents": [50], "keyed": False}},
        ),
        (
            agg("2", "top_hits", "metric", field="commandText", size=1),
            {"top_hits": {"_source": "commandText", "size": 1, "sort": [{"@timestamp": {"order": "desc"}}]}},
        ),
    ],
    ids=lambda value: value.get("type", "") if isinstance(value, dict) else "",
)
def test_each_aggregation_is_written(one: dict[str, Any], expected: dict[str, Any]) -> None:
    assert written(COUNT, one)["2"] == expected


def test_filters_are_queries_by_their_labels() -> None:
    filters = [{"label": "failed", "input": {"query": "outcome:failure", "language": "lucene"}}]

    found = written(COUNT, agg("2", "filters", filters=filters))["2"]["filters"]["filters"]

    assert found["failed"]["bool"]["must"][0]["query_string"]["query"] == "outcome:failure"


@pytest.mark.parametrize(
    ("length", "chosen", "expected"),
    [
        (timedelta(minutes=15), "auto", {"fixed_interval": "30s"}),
        (timedelta(hours=1), "auto", {"calendar_interval": "1m"}),
        (timedelta(days=1), "auto", {"fixed_interval": "30m"}),
        (timedelta(days=7), "auto", {"fixed_interval": "3h"}),
        (timedelta(days=30), "auto", {"fixed_interval": "12h"}),
        (timedelta(days=90), "auto", {"calendar_interval": "1d"}),
        (timedelta(days=730), "auto", {"calendar_interval": "1w"}),
        (timedelta(days=36_500), "auto", {"calendar_interval": "1y"}),
        (timedelta(seconds=10), "auto", {"fixed_interval": "200ms"}),
        (timedelta(days=1), "h", {"calendar_interval": "1h"}),
        (timedelta(days=7), "2d", {"fixed_interval": "2d"}),
        (timedelta(days=7), "m", {"calendar_interval": "1h"}),
        (timedelta(seconds=9), "1ms", {"fixed_interval": "90ms"}),
    ],
)
def test_the_interval_of_a_date_histogram(length: timedelta, chosen: str, expected: dict[str, str]) -> None:
    span = TimeSpan(START, START + length)
    histogram = asked(chart(COUNT, agg("2", "date_histogram", field="@timestamp", interval=chosen)), span)

    assert histogram.body["aggs"]["2"]["date_histogram"] == {
        "field": "@timestamp",
        **expected,
        "time_zone": "UTC",
        "min_doc_count": 1,
    }


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (agg("2", "terms", field="activity", otherBucket=True), "an \"other\" bucket of 'activity'"),
        (agg("2", "geohash_grid", field="place"), "an aggregation of type 'geohash_grid'"),
        (agg("2", "histogram", field="rowCount", interval="auto"), "an interval 'auto'"),
        (agg("2", "date_histogram", field="@timestamp", interval="often"), "an interval '1often'"),
        (agg("2", "date_histogram", field="@timestamp", scaleMetricValues=True), "figures scaled to the interval"),
    ],
)
def test_what_would_be_shown_differently_is_refused(one: dict[str, Any], problem: str) -> None:
    with pytest.raises(PanelError, match=problem):
        asked(chart(COUNT, one))


def test_a_text_asks_nothing() -> None:
    text = chart(kind="markdown", params={"markdown": "# Hello"})

    assert requests_of(text, {}, DAY) == []


def test_controls_ask_for_each_list() -> None:
    common = {"type": "list", "label": "", "indexPattern": "das-events"}
    lists = [
        {**common, "fieldName": "dbUserName", "options": {"size": 9}},
        {**common, "fieldName": "engine", "options": {"dynamicOptions": True}},
    ]
    controls = chart(kind="input_control_vis", params={"controls": lists, "useTimeFilter": True})

    users, engines = requests_of(controls, by_key([PATTERN]), DAY)

    assert users.body["aggs"] == {
        "termsAgg": {"terms": {"field": "dbUserName", "order": {"_count": "desc"}, "size": 9}}
    }
    assert users.body["query"]["bool"]["filter"] == [TIME]
    assert "size" not in engines.body["aggs"]["termsAgg"]["terms"]


def test_a_slider_is_refused() -> None:
    slider = {"type": "range", "label": "Rows", "fieldName": "rowCount", "indexPattern": "das-events", "options": {}}

    with pytest.raises(PanelError, match="a control of type 'range'"):
        requests_of(chart(kind="input_control_vis", params={"controls": [slider]}), by_key([PATTERN]), DAY)


def test_a_search_asks_for_its_newest_documents() -> None:
    search = SavedObject(
        "search",
        "reads",
        {
            "title": "Reads",
            "columns": ["dbUserName", "published.state"],
            "sort": [["@timestamp", "desc"]],
            "kibanaSavedObjectMeta": source(query="activity:DQL"),
        },
    )

    request = asked(search)
    hits = [{"_source": {"@timestamp": "t", "dbUserName": "anna", "published": {"state": "active"}}}, {"_source": {}}]
    rows = rows_of(request, {"hits": {"hits": hits}})

    assert request.body["size"] == 500
    assert request.body["sort"] == [{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}]
    assert [column.title for column in rows.columns] == ["@timestamp", "dbUserName", "published.state"]
    assert rows.rows == (("t", "anna", "active"), (None, None, None))


def test_an_answer_becomes_a_row_for_each_innermost_bucket() -> None:
    request = asked(
        chart(
            agg("1", "count", "metric", customLabel="Events"),
            agg("2", "percentiles", "metric", field="durationMs", percents=[50, 99.9], customLabel="duration"),
            agg("3", "top_hits", "metric", field="commandText", size=1),
            agg("4", "date_histogram", field="@timestamp"),
            agg("5", "terms", field="dbUserName", missingBucket=True, missingBucketLabel="nobody"),
        )
    )
    values = {"values": [{"key": 50.0, "value": 2.0}, {"key": 99.9, "value": 9.0}]}
    hit = {"hits": {"hits": [{"_source": {"commandText": "SELECT 1"}}]}}
    inner = [{"key": "__missing__", "doc_count": 3, "2": values, "3": hit}]
    outer = [{"key": 1, "key_as_string": "2031-03-04T09:00:00.000Z", "doc_count": 3, "5": {"buckets": inner}}]

    rows = rows_of(request, {"hits": {"total": {"value": 3}}, "aggregations": {"4": {"buckets": outer}}})

    assert rows.columns[0] == Column("@timestamp", "bucket", "@timestamp", "date_histogram", "4")
    assert [column.title for column in rows.columns[2:]] == [
        "Events",
        "50% duration",
        "99.9% duration",
        "top_hits commandText",
    ]
    assert rows.rows == (("2031-03-04T09:00:00.000Z", "nobody", 3, 2.0, 9.0, "SELECT 1"),)


def test_the_buckets_of_filters_go_by_their_labels() -> None:
    filters = [{"label": "failed", "input": {"query": "outcome:failure", "language": "lucene"}}]
    request = asked(chart(COUNT, agg("2", "filters", filters=filters)))
    answer = {"hits": {"total": {"value": 9}}, "aggregations": {"2": {"buckets": {"failed": {"doc_count": 2}}}}}

    assert rows_of(request, answer).rows == (("failed", 2),)


def test_without_buckets_the_figures_are_one_row() -> None:
    request = asked(chart(COUNT, agg("2", "max", "metric", field="@timestamp")))
    answer = {"hits": {"total": {"value": 9}}, "aggregations": {"2": {"value": 1.0, "value_as_string": "2031"}}}

    assert rows_of(request, answer).rows == ((9, "2031"),)
