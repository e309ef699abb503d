"""What one record may cost: whatever its events hold, and wherever, is looked into up to a number of characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from daswatch.documents import activity, document, redaction
from daswatch.documents.budget import Budget
from daswatch.documents.document import Flattened, Flattening, flatten
from daswatch.documents.redaction import Redaction
from daswatch.documents.signals import Signal
from daswatch.records.envelope import StreamSource
from daswatch.records.monitoring_record import read_monitoring_record
from daswatch.sql import account_names, batches, passwords, statements
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event
from tests.harness.scanning import count_work

STREAM = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")
EVENTS = {
    "postgresql": postgresql_event,
    "mysql": mysql_event,
    "oracle": oracle_event,
    "sqlserver": sqlserver_event,
}
Make = Callable[..., dict[str, Any]]


def flattened(
    *events: dict[str, Any], characters: int, redaction: Redaction = Redaction.OFF, **changes: Any
) -> Flattened:
    record = {
        "type": "DatabaseActivityMonitoringRecord",
        "instanceId": "db-A",
        "databaseActivityEventList": events,
        **changes,
    }
    flattening = Flattening("2031-03-04T11:22:41.000Z", redaction=redaction, characters=characters)
    return flatten(read_monitoring_record(orjson.dumps(record)), STREAM, "1.1", "2031-03-04T11:22:40.000Z", flattening)


def notes(result: Flattened) -> list[list[str]]:
    return [document.source.get("ingestNotes", []) for document in result.documents]


def filled(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


# A record of each shape. All of them hold what would have to be looked into.
CHARACTERS = 40_000  # the budget
SIZE = 20 * CHARACTERS  # of a record
SHAPES: dict[str, Callable[[Make], list[dict[str, Any]]]] = {
    "one statement": lambda make: [make(commandText=filled("select password 'x', ", SIZE))],
    "statements": lambda make: [
        make(commandText=f"/*{number}*/" + filled("create role rdsx password 'x', exec ", SIZE // 20), pid=number)
        for number in range(20)
    ],
    "batches": lambda make: [
        make(command="BATCH COMPLETED", **{"class": "DATABASE"}, commandText=filled("exec('pwd=x') ", SIZE // 20))
        for _ in range(20)
    ],
    "short parameters": lambda make: [make(paramList=["pwd='x'"] * (SIZE // 10))],
    "long parameters": lambda make: [make(paramList=[filled("password = 'x' ", SIZE // 40)] * 40)],
    "parameters of events": lambda make: [make(paramList=["pwd='x'"] * 200, pid=number) for number in range(600)],
    "one message": lambda make: [make(errorMessage=filled("password 'x' ", SIZE))],
    "messages": lambda make: [make(errorMessage=filled("password 'x' ", SIZE // 40)) for _ in range(40)],
    "native fields": lambda make: [
        make(engineNativeAuditFields={f"k{field}": filled("identified by x ", 5_000) for field in range(100)})
        for _ in range(3)
    ],
    "unknown text": lambda make: [make(novel=filled("password 'x' ", SIZE))],
    "unknown texts": lambda make: [make(novel=filled("pwd=x ", 7_000)) for _ in range(SIZE // 7_000)],
    "unknown names": lambda make: [make(**{f"novel{number}": "pwd=x" for number in range(SIZE // 20)})],
    "unknown numbers": lambda make: [make(novel=[1] * (SIZE // 2))],
    "statement in a list": lambda make: [make(commandText=["password 'x'"] * (SIZE // 15))],
    "objects": lambda make: [make(objectName=filled("`a``b`,", SIZE))],
    "user": lambda make: [make(dbUserName=filled("rdsadmin ", SIZE))],
    "command": lambda make: [make(command=filled("create role ", SIZE), remoteHost=filled("1.", SIZE))],
}


@pytest.mark.parametrize("mode", [Redaction.OFF, Redaction.LITERALS])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("engine", EVENTS)
def test_work_of_a_record_has_a_bound(
    engine: str, shape: str, mode: Redaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What all patterns pass is bounded by the budget, and by a few looks at the record for what it begins with."""
    events = SHAPES[shape](EVENTS[engine])
    work = count_work(monkeypatch, account_names, activity, batches, document, passwords, redaction, statements)

    result = flattened(*events, characters=CHARACTERS, redaction=mode)

    assert len(result.documents) == len(events)
    heads = len(events) * statements.CACHED_CHARACTERS
    assert work.characters <= 100 * CHARACTERS + 30 * heads + 6 * SIZE


def test_objects_are_not_multiplied_by_their_schema() -> None:
    event = mysql_event(objectName="a," * 10_000, databaseName="b" * 10_000)

    (document,) = flattened(event, characters=1_000_000).documents

    assert "objects" not in document.source
    assert document.source["ingestNotes"] == ["values-too-long"]


def test_fields_of_the_record_are_copied_up_to_the_bound() -> None:
    """Each event carries what is unknown of its monitoring record, as long as that fits."""
    result = flattened(*[postgresql_event(pid=pid) for pid in range(50)], characters=50_000, region="x" * 1_000)

    kept = ["unknownFields" in document.source for document in result.documents]
    assert kept == sorted(kept, reverse=True)
    assert 0 < sum(kept) < 50
    assert "values-too-long" in notes(result)[-1]


# What is not looked into is not indexed, as far as it may hold a password; what decides is looked into in any case.

HIDDEN: dict[str, dict[str, Any]] = {
    "statement": {"commandText": "alter role bob password 's3cret'"},
    "statement of a batch": {"command": "BATCH COMPLETED", "commandText": "create login b with password = 's3cret'"},
    "parameters": {"paramList": ["a", "password 's3cret'", "b"]},
    "message": {"errorMessage": "near password 's3cret'"},
    "native field": {"engineNativeAuditFields": {"ADDITIONAL_INFO": "identified by s3cret"}},
    "unknown field": {"novel": {"a": ["pwd=s3cret"]}},
    "unknown text": {"novel": "password s3cret" + "x" * 10_000},
    "long message": {"errorMessage": "password 's3cret'" + "x" * 100_000},
    "long parameter": {"paramList": ["password 's3cret'" + "x" * 100_000]},
}


@pytest.mark.parametrize("redaction", list(Redaction))
@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("engine", EVENTS)
def test_what_is_not_looked_into_shows_no_password(engine: str, name: str, redaction: Redaction) -> None:
    (document,) = flattened(EVENTS[engine](**HIDDEN[name]), characters=0, redaction=redaction).documents

    assert b"s3cret" not in orjson.dumps(document.source)
    if redaction is Redaction.OFF:
        assert b"<REDACTED>" in orjson.dumps(document.source)
    assert "ingestNotes" in document.source


@pytest.mark.parametrize(
    "fields",
    [
        {"commandText": "select 'a' from t"},
        {"commandText": None, "paramList": ["a", "b"] * 1_000},
        {"commandText": None, "errorMessage": "no such thing" * 10_000},
        {"commandText": None, "novel": "text" * 10_000},
    ],
    ids=lambda fields: max(fields, key=len),
)
def test_what_cannot_hold_a_password_is_kept(fields: dict[str, Any]) -> None:
    """A text without any word that announces one is as it would be after a look into it."""
    event = postgresql_event(**fields)
    (found,) = flattened(event, characters=0).documents
    (expected,) = flattened(event, characters=10**9).documents

    without = {name: value for name, value in expected.source.items() if name not in ("statementHash",)}
    assert {name: value for name, value in found.source.items() if name != "ingestNotes"} == without


@pytest.mark.parametrize("padding", ["", "/* x */" * 2_000, "-- x\n" * 3_000, ";" * 9_000, "/**/ ;-- y\n" * 3_000])
def test_activity_and_signals_do_not_wait_for_room(padding: str) -> None:
    event = mysql_event(commandText=f"{padding}create user rdsadmin", objectName="")

    (document,) = flattened(event, characters=0).documents

    assert document.source["activity"] == "DCL"
    assert Signal.EXCLUDED_USER_NAME_GIVEN in document.source["signals"]
    assert document.source["ingestNotes"] == ["statement-too-long"]
    assert document.source["commandText"] == event["commandText"]


def test_batch_counts_by_what_it_does_without_room() -> None:
    event = sqlserver_event(
        command="BATCH COMPLETED", **{"class": "DATABASE"}, commandText="use hr; drop table t_pay", objectName=""
    )

    (document,) = flattened(event, characters=0).documents

    assert document.source["activity"] == "DDL"


def test_long_text_leaves_room_for_its_neighbors() -> None:
    """What does not fit takes nothing: no statement hides behind a longer one."""
    result = flattened(
        postgresql_event(commandText="select 1".ljust(5_000)),
        postgresql_event(commandText="select 2"),
        postgresql_event(paramList=["password x"] * 1_000),
        postgresql_event(commandText="select 3"),
        characters=1_000,
    )

    assert notes(result) == [["statement-too-long"], [], ["values-too-long"], []]


@pytest.mark.parametrize("name", ["private_key", "PrivateKey", "secret_access_key", "db_password", "pwd", "passphrase"])
def test_field_named_as_a_secret_is_looked_at(name: str) -> None:
    """Free fields are looked into where their text may hold a password, or a name in it says so."""
    (document,) = flattened(postgresql_event(novel={"a": {name: "s3cret"}}), characters=10_000).documents

    assert document.source["unknownFields"] == {"novel": {"a": {name: "<REDACTED>"}}}


def test_id_does_not_depend_on_what_fits() -> None:
    event = postgresql_event(paramList=["password x"])

    found = [flattened(event, characters=characters).documents[0] for characters in (0, 10**9)]

    assert found[0].id == found[1].id


def test_same_record_gives_the_same_documents() -> None:
    events = [postgresql_event(paramList=["password x"] * 10, pid=pid) for pid in range(30)]

    assert flattened(*events, characters=20_000).documents == flattened(*events, characters=20_000).documents


def test_characters_are_counted_down_to_nothing() -> None:
    budget = Budget(100)

    assert [budget.takes(60), budget.takes(60), budget.takes(40), budget.takes(1), budget.takes(0)] == [
        *(True, False, True, False),
        True,
    ]
    assert not budget.refused
    assert not budget.takes_values(0)
    assert budget.refused
