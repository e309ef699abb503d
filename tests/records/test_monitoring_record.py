"""The monitoring record's JSON -> activity events: what is tolerated, what is a flaw, what is refused."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from daswatch.errors import MonitoringRecordError, Reason
from daswatch.records.monitoring_record import engine_of, is_heartbeat, read_monitoring_record
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event


def monitoring_record(events: object, **changes: Any) -> bytes:
    return orjson.dumps(
        {
            "type": "DatabaseActivityMonitoringRecord",
            "clusterId": "cluster-A",
            "instanceId": "db-A",
            "databaseActivityEventList": events,
            **changes,
        }
    )


def record_with_text(raw: bytes) -> bytes:
    """A monitoring record whose only event holds these raw bytes between the quotes of its commandText."""
    return (
        b'{"type":"DatabaseActivityMonitoringRecord","instanceId":"db-A",'
        b'"databaseActivityEventList":[{"commandText":"' + raw + b'"}]}'
    )


@pytest.mark.parametrize("events", [[], [postgresql_event()], [postgresql_event(), {"type": "heartbeat"}] * 50])
def test_no_one_and_many_events_are_read(events: list[dict[str, Any]]) -> None:
    record = read_monitoring_record(monitoring_record(events))

    assert record.events == events
    assert (record.cluster_id, record.instance_id, record.flaws) == ("cluster-A", "db-A", 0)


@pytest.mark.parametrize("missing", [None, "", 17, ["db-A"], {"id": "db-A"}])
def test_ids_that_are_missing_or_no_text_are_empty(missing: object) -> None:
    record = read_monitoring_record(monitoring_record([], clusterId=missing, instanceId=missing))

    assert (record.cluster_id, record.instance_id) == ("", "")


def test_unknown_fields_of_the_record_are_kept() -> None:
    record = read_monitoring_record(monitoring_record([], region="eu-west-1", nested={"a": [1]}))

    assert record.unknown_fields == {"region": "eu-west-1", "nested": {"a": [1]}}


def test_entries_that_are_no_objects_are_counted_and_their_neighbours_stay() -> None:
    record = read_monitoring_record(monitoring_record([postgresql_event(), None, "text", 7, ["x"], {"pid": 1}]))

    assert len(record.events) == 2
    assert record.flaws == 4


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(b"a\\ud800b", "a\N{REPLACEMENT CHARACTER}b", id="a lone high surrogate"),
        pytest.param(b"\\udfff", "\N{REPLACEMENT CHARACTER}", id="a lone low surrogate"),
        pytest.param(b"\\udc00\\ud800", "\N{REPLACEMENT CHARACTER}" * 2, id="a pair the wrong way round"),
        pytest.param(b"\\ud83d\\ude00", "\N{GRINNING FACE}", id="a pair"),
        pytest.param(b"a\\u0000b", "a\0b", id="an escaped NUL"),
        pytest.param(b"a\0b\x07c\x1bd", "a\0b\x07c\x1bd", id="raw control characters"),
        pytest.param(b"a\nb\tc", "a\nb\tc", id="a raw line break"),
        pytest.param(b"a\xffb", "a\N{REPLACEMENT CHARACTER}b", id="no UTF-8"),
        pytest.param(b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}", id="Latin-1"),
        pytest.param(b"\xed\xa0\x80", "\N{REPLACEMENT CHARACTER}" * 3, id="a surrogate in UTF-8"),
        pytest.param("größe 値 😀".encode(), "größe 値 😀", id="UTF-8"),
    ],
)
def test_text_that_json_or_utf8_forbids_is_read_with_a_replacement(raw: bytes, text: str) -> None:
    record = read_monitoring_record(record_with_text(raw))

    assert record.events == [{"commandText": text}]
    orjson.dumps(record.events)  # and can be written again


def test_names_with_lone_surrogates_are_read_too() -> None:
    record = read_monitoring_record(monitoring_record([]).replace(b"[]", b'[{"a\\ud800":1}]'))

    assert record.events == [{"a\N{REPLACEMENT CHARACTER}": 1}]


@pytest.mark.parametrize(
    ("literal", "kept"),
    [
        pytest.param(b"NaN", "NaN", id="NaN"),
        pytest.param(b"Infinity", "Infinity", id="Infinity"),
        pytest.param(b"-Infinity", "-Infinity", id="-Infinity"),
    ],
)
def test_words_for_numbers_that_json_lacks_are_kept_as_words(literal: bytes, kept: object) -> None:
    record = read_monitoring_record(monitoring_record([]).replace(b"[]", b'[{"rowCount":' + literal + b"}]"))

    assert record.events == [{"rowCount": kept}]


@pytest.mark.parametrize("literal", [b"1e999", b"-1e400", b"1" * 30, b"9" * 400, b"9" * 5000])
def test_numbers_beyond_every_type_do_not_hide_their_event(literal: bytes) -> None:
    record = read_monitoring_record(monitoring_record([]).replace(b"[]", b'[{"pid":1,"rowCount":' + literal + b"}]"))

    assert [event["pid"] for event in record.events] == [1]
    assert record.events[0]["rowCount"] is not None


def with_number(literal: bytes) -> object:
    """How a number in an event is read."""
    record = read_monitoring_record(
        monitoring_record([]).replace(b"[]", b'[{"pid":1,"deep":[{"n":' + literal + b"}]}]")
    )
    assert record.events[0]["pid"] == 1
    return record.events[0]["deep"][0]["n"]


@pytest.mark.parametrize(
    "literal",
    [
        b"18446744073709551617",
        b"18446744073709551619",
        b"-9223372036854775809",
        b"-9223372036854775811",
        b"0.12345678901234567",
        b"0.123456789012345678",
        b"12345678901.2345678901",
        b"9007199254740993.0",
        b"1" * 5000,
    ],
    ids=lambda literal: literal[:24].decode(),
)
def test_number_that_no_type_holds_keeps_its_digits(literal: bytes) -> None:
    assert with_number(literal) == literal.decode()


@pytest.mark.parametrize(
    ("literal", "number"),
    [
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"9223372036854775807", 2**63 - 1),
        (b"0.5", 0.5),
        (b"1e23", 1e23),
        (b"1.50000000000000000000", 1.5),
        (b"0.1234567890123456", 0.1234567890123456),
    ],
    ids=lambda literal: str(literal),
)
@pytest.mark.parametrize("neighbour", [b"1", b"18446744073709551617"], ids=["alone", "next to a long one"])
def test_number_that_a_type_holds_stays_a_number(literal: bytes, number: float, neighbour: bytes) -> None:
    """Whatever else the record holds: the id of an event does not depend on its neighbours."""
    events = b'[{"n":' + literal + b'},{"n":' + neighbour + b"}]"

    record = read_monitoring_record(monitoring_record([]).replace(b"[]", events))

    assert record.events[0]["n"] == number
    assert type(record.events[0]["n"]) is type(number)


def test_long_number_in_a_record_nested_too_deep_to_read_again() -> None:
    """The other reader goes less deep: the record stays as it was read, float included."""
    deep = b"[" * 1000 + b"]" * 1000
    events = b'[{"n":18446744073709551617,"deep":' + deep + b"}]"

    record = read_monitoring_record(monitoring_record([]).replace(b"[]", events))

    assert record.events[0]["n"] is not None


@pytest.mark.parametrize("depth", [100, 253, 255, 500, 1000])
def test_deep_nesting_is_read(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth

    record = read_monitoring_record(monitoring_record([]).replace(b"[]", b'[{"pid":1,"deep":' + nested + b"}]"))

    assert record.events[0]["pid"] == 1


@pytest.mark.parametrize(
    ("plaintext", "reason"),
    [
        pytest.param(b"", Reason.NOT_A_MONITORING_RECORD, id="nothing"),
        pytest.param(b"text", Reason.NOT_A_MONITORING_RECORD, id="text"),
        pytest.param(monitoring_record([])[:-1], Reason.NOT_A_MONITORING_RECORD, id="truncated"),
        pytest.param(monitoring_record([]) * 2, Reason.NOT_A_MONITORING_RECORD, id="two documents"),
        pytest.param(b"null", Reason.NOT_A_MONITORING_RECORD, id="null"),
        pytest.param(b"[]", Reason.NOT_A_MONITORING_RECORD, id="a list"),
        pytest.param(b"NaN", Reason.NOT_A_MONITORING_RECORD, id="NaN"),
        pytest.param(b"[" * 200_000, Reason.NOT_A_MONITORING_RECORD, id="nested without an end"),
        pytest.param(
            monitoring_record([]).replace(b"[]", b"[" * 5000 + b"]" * 5000),
            Reason.NOT_A_MONITORING_RECORD,
            id="nested too deep",
        ),
        pytest.param(b"{}", Reason.ANOTHER_TYPE, id="an empty object"),
        pytest.param(
            monitoring_record([], type="DatabaseActivityMonitoringRecords"), Reason.ANOTHER_TYPE, id="the plural"
        ),
        pytest.param(monitoring_record([], type=None), Reason.ANOTHER_TYPE, id="null as type"),
        pytest.param(monitoring_record(None), Reason.EVENTS_NOT_A_LIST, id="null as list"),
        pytest.param(monitoring_record({"0": {}}), Reason.EVENTS_NOT_A_LIST, id="an object as list"),
        pytest.param(monitoring_record("[]"), Reason.EVENTS_NOT_A_LIST, id="a string as list"),
        pytest.param(b'{"type":"DatabaseActivityMonitoringRecord"}', Reason.EVENTS_NOT_A_LIST, id="no list at all"),
    ],
)
def test_what_is_no_monitoring_record_is_refused_with_its_reason(plaintext: bytes, reason: Reason) -> None:
    with pytest.raises(MonitoringRecordError) as refusal:
        read_monitoring_record(plaintext)

    assert refusal.value.reason is reason


def test_the_detail_of_a_refusal_quotes_nothing_of_the_payload() -> None:
    with pytest.raises(MonitoringRecordError) as refusal:
        read_monitoring_record(json.dumps({"type": "s3cret"}).encode())

    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("event", "version", "engine"),
    [
        (postgresql_event(), "1.1", "postgresql"),
        (mysql_event(), "1.2", "mysql"),
        (oracle_event(), "1.3", "oracle"),
        (oracle_event(serverType="ORACLE"), "1.3", "oracle"),
        (sqlserver_event(), "1.4", "sqlserver"),
        (sqlserver_event(), "1.1", "sqlserver"),
        ({}, "1.0", "postgresql"),
        ({}, "1.1", "postgresql"),
        ({"serverType": None}, "1.2", "mysql"),
        ({"serverType": ""}, "1.3", "oracle"),
        ({"serverType": 5}, "1.4", "sqlserver"),
        ({"serverType": "Db2"}, "1.5", "db2"),
        ({}, "1.9", "unknown"),
        ({}, "", "unknown"),
    ],
)
def test_the_engine_is_what_the_server_says_else_what_the_version_implies(
    event: dict[str, Any], version: str, engine: str
) -> None:
    assert engine_of(event, version) == engine


@pytest.mark.parametrize(
    ("event", "heartbeat"),
    [
        ({"type": "heartbeat"}, True),
        (postgresql_event(type="heartbeat", command=None), True),
        ({"type": "record"}, False),
        (oracle_event(), False),
        ({}, False),
        ({"type": None}, False),
        ({"type": ["heartbeat"]}, False),
    ],
)
def test_only_an_event_of_that_type_is_a_heartbeat(event: dict[str, Any], heartbeat: bool) -> None:
    assert is_heartbeat(event) is heartbeat
