"""Links: Lucene that means what it should, rison that reads back, and never too long for a mail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.alerts.alert import Database
from daswatch.alerts.links import MAX_URL, alert_url, discover_url
from daswatch.detections.detection import Source
from daswatch.detections.lucene import group_query, lucene_term
from daswatch.indices import Indices
from tests.fakes.security_hub import a_detection, an_alert

DASHBOARDS = "https://search.example.org/_dashboards"
FIRST, LAST = "2026-11-21T10:00:00.000Z", "2026-11-21T10:07:30.250Z"

any_text = st.text(st.characters())  # lone surrogates, too
encodable = st.text(st.characters(exclude_categories=["Cs"]))


class Rison:
    """Reads rison as its grammar says (github.com/Nanonid/rison); raises ValueError for what is none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @classmethod
    def read(cls, text: str) -> Any:
        reader = cls(text)
        value = reader._value()
        if reader._at != len(text):
            raise ValueError(f"more after position {reader._at}")
        return value

    def _next(self) -> str:
        if self._at == len(self._text):
            raise ValueError("ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _value(self) -> Any:
        match self._next():
            case "'":
                return self._string()
            case "(":
                return dict(self._listed(")", self._pair))
            case "!":
                return self._special()
            case _:
                self._at -= 1
                return self._bare()

    def _special(self) -> Any:
        match self._next():
            case "(":
                return self._listed(")", self._value)
            case "t":
                return True
            case "f":
                return False
            case "n":
                return None
        raise ValueError(f"no such value before position {self._at}")

    def _string(self) -> str:
        read = ""
        while (character := self._next()) != "'":
            if character == "!":
                character = self._next()
                if character not in "!'":
                    raise ValueError(f"!{character} in a string")
            read += character
        return read

    def _listed(self, end: str, one: Callable[[], Any]) -> list[Any]:
        read: list[Any] = []
        while (character := self._next()) != end:
            if not read:
                self._at -= 1
            elif character != ",":
                raise ValueError(f"no comma before position {self._at}")
            read.append(one())
        return read

    def _pair(self) -> tuple[str, Any]:
        name = self._bare()
        if self._next() != ":":
            raise ValueError(f"no colon before position {self._at}")
        return name, self._value()

    def _bare(self) -> Any:
        begin = self._at
        while self._at < len(self._text) and self._text[self._at] not in "(),:'!":
            self._at += 1
        word = self._text[begin : self._at]
        if not word:
            raise ValueError(f"nothing at position {begin}")
        return int(word) if word.isdigit() else word


def states(url: str) -> dict[str, Any]:
    """What Dashboards reads from a link."""
    fragment = urlsplit(url).fragment
    assert fragment.startswith("/?")
    pairs = (pair.partition("=") for pair in fragment.removeprefix("/?").split("&"))
    return {name: Rison.read(unquote(value, errors="strict")) for name, _, value in pairs}


@pytest.mark.parametrize(
    ("field", "value", "term"),
    [
        ("dbUserName", "app", 'dbUserName:"app"'),
        ("dbUserName", 'a"b', 'dbUserName:"a\\"b"'),
        ("dbUserName", "a\\", 'dbUserName:"a\\\\"'),
        ("dbUserName", "*", 'dbUserName:"*"'),
        ("dbUserName", "", "NOT _exists_:dbUserName"),
        ("commandText.substring", "x", 'commandText.substring:"x"'),
        ("@timestamp", "now", '@timestamp:"now"'),
        ("a b:c", "x", 'a\\ b\\:c:"x"'),
        ("a b", "", "NOT _exists_:a\\ b"),
    ],
)
def test_a_lucene_term_is_quoted(field: str, value: str, term: str) -> None:
    assert lucene_term(field, value) == term


@given(st.text())
def test_no_value_ends_its_phrase(value: str) -> None:
    term = lucene_term("f", value)

    if not value:
        assert term == "NOT _exists_:f"
        return
    phrase = term.removeprefix('f:"')
    inner = iter(phrase[:-1])
    read = "".join(next(inner) if character == "\\" else character for character in inner)
    assert phrase[-1] == '"'
    assert read == value
    assert '"' not in phrase[:-1].replace("\\\\", "").replace('\\"', "")


def test_a_query_is_narrowed_to_database_and_group() -> None:
    query = group_query("a:1 OR b:2", "cluster-A", {"dbUserName": "app", "remoteHost": ""})

    assert query == '(a:1 OR b:2) AND resourceId:"cluster-A" AND dbUserName:"app" AND NOT _exists_:remoteHost'


@pytest.mark.parametrize(
    ("query", "resource_id", "group", "narrowed"),
    [
        ("", "cluster-A", {}, 'resourceId:"cluster-A"'),
        ("a:1", "", {}, "(a:1)"),
        ("", "", {}, ""),
        ("", "", {"dbUserName": ""}, "NOT _exists_:dbUserName"),
    ],
)
def test_what_is_empty_does_not_narrow(query: str, resource_id: str, group: dict[str, str], narrowed: str) -> None:
    assert group_query(query, resource_id, group) == narrowed


@pytest.mark.parametrize("field", ["commandText", "commandText.keyword", "paramList", "errorMessage"])
def test_sql_is_in_no_link(field: str) -> None:
    alert = an_alert(group={field: "SELECT secret"})

    assert "secret" not in alert_url(DASHBOARDS, alert, None, Indices())


def test_discover_shows_the_query_a_minute_around() -> None:
    read = states(discover_url(DASHBOARDS, 'a:"b"', FIRST, LAST))

    assert read == {
        "_g": {
            "filters": [],
            "refreshInterval": {"pause": True, "value": 0},
            "time": {"from": "2026-11-21T09:59:00.000Z", "to": "2026-11-21T10:08:30.250Z"},
        },
        "_a": {
            "columns": ["dbUserName", "remoteHost", "databaseName", "activity", "objects"],
            "filters": [],
            "index": "das-events",
            "interval": "auto",
            "query": {"language": "lucene", "query": 'a:"b"'},
            "sort": [],
        },
    }


def test_a_link_begins_with_dashboards() -> None:
    assert discover_url(DASHBOARDS + "/", "", FIRST, LAST).startswith(f"{DASHBOARDS}/app/discover#/?_g=(filters:!(),")


def test_without_dashboards_there_is_no_link() -> None:
    assert discover_url("", "a:1", FIRST, LAST) == ""


@given(encodable)
def test_every_query_reads_back(query: str) -> None:
    url = discover_url(DASHBOARDS, query, FIRST, LAST, fallback_query="fallback")

    assert states(url)["_a"]["query"]["query"] in (query, "fallback")
    assert len(url) <= MAX_URL


@pytest.mark.parametrize("query", ["it's", "wow!", "a/b", "50 % & more + #1", "名前", "x'),sort:!(y", "\n\t"])
def test_odd_queries_read_back(query: str) -> None:
    url = discover_url(DASHBOARDS, query, FIRST, LAST)

    assert states(url)["_a"]["query"]["query"] == query


@given(any_text)
def test_a_link_is_printable_and_its_state_has_no_slash(query: str) -> None:
    """Dashboards' translation of this form of link ends at a slash."""
    url = discover_url(DASHBOARDS, query, FIRST, LAST)

    assert all("!" <= character <= "~" for character in url)
    assert "/" not in url.partition("#/")[2]


@pytest.mark.parametrize(
    ("query", "fallback", "shown"),
    [
        ("x" * 1_400, "short", "x" * 1_400),
        ("x" * 2_000, "short", "short"),
        ("名" * 300, "short", "short"),
        ("x" * 2_000, "y" * 2_000, ""),
        ("x" * 2_000, "", ""),
    ],
)
def test_a_link_that_would_be_too_long_shows_more(query: str, fallback: str, shown: str) -> None:
    url = discover_url(DASHBOARDS, query, FIRST, LAST, fallback_query=fallback)

    assert states(url)["_a"]["query"]["query"] == shown
    assert len(url) <= MAX_URL


def test_an_alerts_link_shows_its_group() -> None:
    alert, detection = an_alert(), a_detection()

    read = states(alert_url(DASHBOARDS, alert, detection, Indices()))

    query = group_query(detection.query, alert.database.resource_id, alert.group)
    assert read["_a"]["query"]["query"] == query
    assert read["_g"]["time"]["from"] == "2026-11-21T09:59:00.000Z"


def test_a_long_detections_link_still_shows_the_group() -> None:
    alert = an_alert()

    read = states(alert_url(DASHBOARDS, alert, a_detection(query="a:1 OR " * 500 + "b:1"), Indices()))

    assert read["_a"]["query"]["query"] == group_query("", alert.database.resource_id, alert.group)


@pytest.mark.parametrize(
    ("source", "index"),
    [
        (Source.EVENTS, "das-events"),
        (Source.CONTROL_PLANE, "das-control-plane"),
        (Source.PULSE, "das-pulse"),
    ],
)
def test_a_link_leads_to_the_index_of_its_detection(source: Source, index: str) -> None:
    read = states(alert_url(DASHBOARDS, an_alert(), a_detection(source=source), Indices()))

    assert read["_a"]["index"] == index


def test_the_link_of_a_monitors_alert_shows_database_and_group() -> None:
    alert = an_alert(database=Database("db-A"), group={"dbUserName": "app"})

    read = states(alert_url(DASHBOARDS, alert, None, Indices()))

    assert read["_a"]["query"]["query"] == 'resourceId:"db-A" AND dbUserName:"app"'
