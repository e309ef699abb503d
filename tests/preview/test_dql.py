"""DQL as Dashboards translates it: the cases of its own tests and rules."""

from __future__ import annotations

from typing import Any

import pytest

from daswatch.preview.dql import DqlError, to_query

FIELDS = {
    "@timestamp": "date",
    "activity": "keyword",
    "rowCount": "long",
    "source.ip": "ip",
    "source.address": "keyword",
}


def query(text: str) -> dict[str, Any]:
    return to_query(text, FIELDS)


def one(condition: dict[str, Any]) -> dict[str, Any]:
    """Dashboards wraps a condition on a field, which may be several fields."""
    return {"bool": {"should": [condition], "minimum_should_match": 1}}


def any_of(*queries: dict[str, Any]) -> dict[str, Any]:
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


def match(value: Any, field: str = "activity") -> dict[str, Any]:
    return one({"match": {field: value}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"match_all": {}}),
        ("   ", {"match_all": {}}),
        ("* : *", {"match_all": {}}),
        ("activity : DDL", match("DDL")),
        ("activity:DDL", match("DDL")),
        ("activity : AUTH FAILURE", match("AUTH FAILURE")),
        ('activity : "AUTH FAILURE"', one({"match_phrase": {"activity": "AUTH FAILURE"}})),
        ("activity : *", one({"exists": {"field": "activity"}})),
        ("activity : AUTH*", one({"query_string": {"fields": ["activity"], "query": "AUTH*"}})),
        ("activity : a-b/c*", one({"query_string": {"fields": ["activity"], "query": r"a\-b\/c*"}})),
        ('activity : "AUTH*"', one({"match_phrase": {"activity": "AUTH*"}})),
        ("rowCount : 5", match(5, "rowCount")),
        ("rowCount : 1.5", match(1.5, "rowCount")),
        ("rowCount : 007", match("007", "rowCount")),
        ('rowCount : "5"', one({"match_phrase": {"rowCount": "5"}})),
        ("rowCount > 5", one({"range": {"rowCount": {"gt": 5}}})),
        ("rowCount <= 5", one({"range": {"rowCount": {"lte": 5}}})),
        ('@timestamp >= "now-7d/d"', one({"range": {"@timestamp": {"gte": "now-7d/d"}}})),
        (
            '@timestamp : "2031-03-04"',
            one({"range": {"@timestamp": {"gte": "2031-03-04", "lte": "2031-03-04"}}}),
        ),
        ("not.in.the.pattern : x", match("x", "not.in.the.pattern")),
        (
            "source.* : x",
            any_of({"match": {"source.ip": "x"}}, {"match": {"source.address": "x"}}),
        ),
        ("svc backup", {"multi_match": {"type": "best_fields", "query": "svc backup", "lenient": True}}),
        ('"svc backup"', {"multi_match": {"type": "phrase", "query": "svc backup", "lenient": True}}),
        ("svc_*", {"query_string": {"query": "svc_*"}}),
        ("activity : true", match(True)),
        ("activity : a\\:b", match("a:b")),
        ("activity : a \\and b", match("a and b")),
        ('activity : "a \\"b\\" \\\\"', one({"match_phrase": {"activity": 'a "b" \\'}})),
        ('activity : "a \\x"', one({"match_phrase": {"activity": "a \\x"}})),
        ("activity : android", match("android")),
        ("activity : sand", match("sand")),
        ("activity : a and", match("a and")),  # joins nothing, so it is no keyword
    ],
)
def test_a_condition_becomes_what_dashboards_sends(text: str, expected: dict[str, Any]) -> None:
    assert query(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("activity : a or activity : b", any_of(match("a"), match("b"))),
        ("activity : a AND activity : b", {"bool": {"filter": [match("a"), match("b")]}}),
        ("not activity : a", {"bool": {"must_not": match("a")}}),
        (
            "activity : a or activity : b and activity : c",
            any_of(match("a"), {"bool": {"filter": [match("b"), match("c")]}}),
        ),
        (
            "(activity : a or activity : b) and activity : c",
            {"bool": {"filter": [any_of(match("a"), match("b")), match("c")]}},
        ),
        (
            "not activity : a and activity : b",
            {"bool": {"filter": [{"bool": {"must_not": match("a")}}, match("b")]}},
        ),
        ("activity : (a or b)", any_of(match("a"), match("b"))),
        (
            'activity : (a and not "b c")',
            {"bool": {"filter": [match("a"), {"bool": {"must_not": one({"match_phrase": {"activity": "b c"}})}}]}},
        ),
        ("( activity : a )", match("a")),
    ],
)
def test_conditions_are_joined(text: str, expected: dict[str, Any]) -> None:
    assert query(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "activity :",
        "activity : (a or b",
        "activity : a)",
        'activity : "a',
        "activity : a : b",
        "rowCount >",
        "activity : a\\b",
        "activity : [a TO b] : c",
    ],
)
def test_what_is_no_dql_is_refused(text: str) -> None:
    with pytest.raises(DqlError, match="expected"):
        query(text)
