"""Actors: which client an event is from, by the table's entries, and what the table costs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.documents.actors import ActorEntry, ActorKind, ActorTable, dump, load, load_file
from daswatch.documents.document import Flattening
from daswatch.errors import SettingsError
from tests.builders.events import postgresql_event
from tests.documents.test_document import document

LETTERS = st.text(alphabet="ab*", max_size=8)


def entry(kind: str, **lists: Any) -> ActorEntry:
    return ActorEntry(f"{kind}-{len(lists)}", ActorKind(kind), "a reason", **lists)


def actor(table: ActorTable, user: str = "", application: str = "", host: str = "", ip: str = "") -> str:
    fields = {"dbUserName": user, "clientApplication": application, "remoteHost": host, "remoteIp": ip}
    return table.actor_of({name: value for name, value in fields.items() if value})


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ({"application": "Flyway by Redgate"}, "migration"),
        ({"application": "my flyway"}, ""),
        ({"user": "DBA_1", "ip": "10.20.3.4"}, "administration"),
        ({"user": "dba_1", "ip": "10.21.3.4"}, ""),
        ({"user": "dba_1"}, ""),
        ({"user": "dba_1", "host": "bastion-7.example.org"}, "administration"),
        ({"application": "flyway", "user": "shop"}, "migration"),
        ({}, ""),
    ],
)
def test_given_lists_match_together_each_by_a_pattern(client: dict[str, str], expected: str) -> None:
    table = ActorTable(
        [
            entry("migration", applications=("flyway*",)),
            entry("administration", users=("dba_*", "root"), networks=("10.20.0.0/16", "bastion-*")),
        ]
    )

    assert actor(table, **client) == expected
    assert actor(table, **client) == expected  # as it is remembered


def test_the_first_entry_that_matches_decides() -> None:
    table = ActorTable(
        [entry("application", users=("batch",)), entry("etl", users=("batch", "loader")), entry("bi", users=("*r",))]
    )

    assert [actor(table, user) for user in ("batch", "loader", "viewer")] == ["", "etl", "bi"]


@given(LETTERS, st.text(alphabet="abAB", max_size=8))
def test_a_pattern_matches_what_its_parts_are_found_in(pattern: str, text: str) -> None:
    def matches(parts: str, rest: str) -> bool:
        if not parts:
            return not rest
        if parts[0] == "*":
            return any(matches(parts[1:], rest[cut:]) for cut in range(len(rest) + 1))
        return rest[:1] == parts[0] and matches(parts[1:], rest[1:])

    table = ActorTable([entry("test", users=(pattern,))])

    assert bool(actor(table, text)) is (bool(text) and matches(pattern, text.lower()))


def test_long_names_take_bounded_work_and_memory() -> None:
    table = ActorTable([entry("test", users=("*a*b*c*d*e*f*g*",), applications=("x*",))])
    name = "abcdefab" * 200_000

    assert actor(table, name, "x") == ""
    assert actor(table, "a" * 1000 + "bcdefg", "x") == ""  # beyond what is looked at
    assert not table._known


def test_what_was_asked_is_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daswatch.documents.actors._REMEMBERED", 3)
    table = ActorTable([entry("test", users=("ci_*",))])

    assert {actor(table, f"ci_{number}") for number in range(9)} == {"test"}
    assert len(table._known) <= 3


def test_the_compiled_table_is_read_as_it_was() -> None:
    entries = (entry("etl", users=("a",), networks=("10.0.0.0/8",)), entry("bi", applications=("b*",)))

    assert load(dump(entries)).entries == entries


@pytest.mark.parametrize("content", [b"{}", b"[]", b"not JSON", b'{"actors": [{"kind": "wizard"}]}', b'{"actors": 1}'])
def test_another_file_is_not_a_table_of_actors(content: bytes) -> None:
    with pytest.raises(SettingsError, match="ACTORS is not a table"):
        load(content)


def test_without_a_path_no_event_has_an_actor() -> None:
    assert load_file("").entries == ()
    with pytest.raises(SettingsError, match="ACTORS cannot be read"):
        load_file("/nowhere/actors.json")


def test_a_document_has_its_actor() -> None:
    table = ActorTable([entry("migration", applications=("flyway*",))])
    settings = Flattening("2031-03-04T00:00:00.000Z", actors=table)

    with_actor = document(postgresql_event(clientApplication="Flyway"), settings=settings)
    without = document(postgresql_event(clientApplication="shop"), settings=settings)

    assert with_actor.source["actor"] == "migration"
    assert "actor" not in without.source
