"""Runs every row of docs/activities.md: the page that explains the rules is the test of the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from daswatch.documents.activity import Activity, Outcome, activity_of, outcome_of
from tests import ROOT

PAGE = ROOT / "docs" / "activities.md"
ENGINES = {
    "Aurora PostgreSQL": "postgresql",
    "Aurora MySQL": "mysql",
    "Oracle": "oracle",
    "SQL Server": "sqlserver",
}
COLUMNS = ["command", "class", "statement", "exit code / error", "activity", "outcome"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the page: an event, and what it should be."""

    engine: str
    line: int
    event: dict[str, Any]
    activity: str
    outcome: str

    def __str__(self) -> str:
        shown = (self.event["command"], self.event["class"], (self.event["commandText"] or "")[:40])
        return f"line {self.line} {self.engine} {' '.join(str(part) for part in shown)}"


def rows_of(page: str) -> Iterator[Row]:
    engine = ""
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith("## "):
            engine = ENGINES.get(line.removeprefix("## "), "")
        cells = cells_of(line)
        if not engine or not cells or cells == COLUMNS or set(line) <= set("|-"):
            continue
        command, kind, statement, code, activity, outcome = cells
        exit_code, _, error = code.partition("/")
        event = {
            "command": plain(command),
            "class": plain(kind),
            "commandText": plain(statement),
            "exitCode": orjson.loads(plain(exit_code) or "null"),
            "errorMessage": error.strip() or None,
        }
        yield Row(engine, number, event, activity, outcome)


def cells_of(line: str) -> list[str]:
    """The cells of a table's row; none for other lines."""
    if not line.startswith("|"):
        return []
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def plain(cell: str) -> str | None:
    """The text of a cell without the marks of code; None where it is empty."""
    return cell.strip().strip("`").replace(r"\|", "|") or None


ROWS = list(rows_of(PAGE.read_text("utf-8")))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_page_tells_what_the_code_does(row: Row) -> None:
    assert (activity_of(row.event, row.engine), outcome_of(row.event, row.engine)) == (row.activity, row.outcome)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_case_of_commands_and_classes_does_not_matter(row: Row) -> None:
    event = {**row.event, "command": (row.event["command"] or "").lower()}

    assert (activity_of(event, row.engine), outcome_of(event, row.engine)) == (row.activity, row.outcome)


@pytest.mark.parametrize("engine", ENGINES.values())
def test_the_page_has_a_table_for_each_engine(engine: str) -> None:
    assert len([row for row in ROWS if row.engine == engine]) >= 25


@pytest.mark.parametrize("engine", ENGINES.values())
def test_each_engines_table_shows_every_activity_and_outcome_it_can_have(engine: str) -> None:
    rows = [row for row in ROWS if row.engine == engine]
    activities = set(Activity) - ({Activity.ERROR} if engine != "postgresql" else set())
    outcomes = set(Outcome) - ({Outcome.UNKNOWN} if engine == "postgresql" else set())

    assert {row.activity for row in rows} == activities
    assert {row.outcome for row in rows} == outcomes


@pytest.mark.parametrize("engine", [*ENGINES.values(), "db2", "unknown"])
@pytest.mark.parametrize(
    "odd",
    [None, "", 17, 1.5, True, [], ["SELECT"], {"command": "SELECT"}, "\ud800", "\0", "x" * 100_000],
    ids=lambda odd: repr(odd)[:20],
)
@pytest.mark.parametrize("field", ["command", "class", "commandText", "exitCode", "errorMessage"])
def test_no_value_of_any_type_is_too_odd(engine: str, odd: object, field: str) -> None:
    event = {"command": "QUERY", "class": "MAIN", "commandText": "select 1", "exitCode": "0", field: odd}

    assert activity_of(event, engine) in Activity
    assert outcome_of(event, engine) in Outcome


@pytest.mark.parametrize("engine", [*ENGINES.values(), "db2"])
def test_an_empty_event_is_other(engine: str) -> None:
    assert activity_of({}, engine) is Activity.OTHER


@pytest.mark.parametrize(
    ("event", "activity", "outcome"),
    [
        ({"command": "SELECT"}, "DQL", "unknown"),
        ({"command": "SELECT", "errorMessage": "no"}, "DQL", "failure"),
        ({"command": "QUERY", "commandText": "drop table t"}, "DDL", "unknown"),
        ({"command": "CONNECT"}, "OTHER", "unknown"),
    ],
)
def test_an_engine_that_we_do_not_know_is_read_as_far_as_all_engines_agree(
    event: dict[str, Any], activity: str, outcome: str
) -> None:
    assert (activity_of(event, "db2"), outcome_of(event, "db2")) == (activity, outcome)
