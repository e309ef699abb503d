"""Runs every row of docs/activities.md: the page that explains the rules is the test of the rules."""

from __future__ import annotations

from typing import Any

import pytest

from daswatch.documents.activity import Activity, Outcome, activity_of, outcome_of
from tests.harness.activities import ENGINES, ROWS, Row


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_page_says_what_the_code_does(row: Row) -> None:
    assert (activity_of(row.event, row.engine), outcome_of(row.event, row.engine)) == (row.activity, row.outcome)


@pytest.mark.parametrize("engine", ENGINES.values())
def test_the_case_of_commands_and_classes_does_not_matter(engine: str) -> None:
    for row in (row for row in ROWS if row.engine == engine):
        event = {**row.event, "command": (row.event["command"] or "").lower()}

        assert (activity_of(event, engine), outcome_of(event, engine)) == (row.activity, row.outcome), row


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
@pytest.mark.parametrize("field", ["command", "class", "commandText", "exitCode", "errorMessage"])
def test_no_value_of_any_type_is_too_odd(engine: str, field: str) -> None:
    for odd in (None, "", 17, 1.5, True, [], ["SELECT"], {"command": "SELECT"}, "\ud800", "\0", "x" * 100_000):
        event = {"command": "QUERY", "class": "MAIN", "commandText": "select 1", "exitCode": "0", field: odd}

        assert activity_of(event, engine) in Activity, odd
        assert outcome_of(event, engine) in Outcome, odd


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
