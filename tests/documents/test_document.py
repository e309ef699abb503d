"""Activity event -> document: fields, derived fields, ids, indices, and what fits nowhere."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from daswatch.documents.budget import MAX_CONTINUATION, MAX_RECORD, MAX_STATEMENT
from daswatch.documents.document import Document, Flattened, Flattening, flatten
from daswatch.documents.noise import ExcludedUser, Noise, Origin
from daswatch.documents.redaction import Redaction
from daswatch.records.envelope import StreamSource
from daswatch.records.monitoring_record import MonitoringRecord, read_monitoring_record
from daswatch.sql.passwords import REDACTED
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event

STREAM = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")
ARRIVED_AT = "2031-03-04T11:22:40.000Z"
INGESTED_AT = "2031-03-04T11:22:41.000Z"


def monitoring_record(*events: Any, **changes: Any) -> MonitoringRecord:
    content = {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": "cluster-A",
        "instanceId": "db-A",
        "databaseActivityEventList": list(events),
        **changes,
    }
    return read_monitoring_record(orjson.dumps(content))


def flattened(*events: Any, version: str = "1.1", settings: Flattening | None = None, **changes: Any) -> Flattened:
    return flatten(
        monitoring_record(*events, **changes), STREAM, version, ARRIVED_AT, settings or Flattening(INGESTED_AT)
    )


def document(event: dict[str, Any], **how: Any) -> Document:
    (only,) = flattened(event, **how).documents
    return only


def source(event: dict[str, Any], **how: Any) -> dict[str, Any]:
    return document(event, **how).source


def test_a_document_has_awss_names_and_the_derived_ones() -> None:
    found = source(postgresql_event(paramList=["17", None]))

    assert found == {
        "@timestamp": "2031-03-04T11:22:33.444555Z",
        "engine": "postgresql",
        "activity": "DQL",
        "outcome": "success",
        "resourceId": "cluster-A",
        "awsAccountId": "123456789012",
        "awsRegion": "eu-west-1",
        "clusterId": "cluster-A",
        "instanceId": "db-A",
        "version": "1.1",
        "ingestedAt": INGESTED_AT,
        "logTime": "2031-03-04 11:22:33.444555+00",
        "startTime": "2031-03-04 11:22:33.441000+00",
        "durationMs": 3.555,
        "statementId": "6",
        "substatementId": 1,
        "objectType": "TABLE",
        "command": "SELECT",
        "objectName": "public.t_orders",
        "objects": ["public.t_orders"],
        "databaseName": "appdb",
        "dbUserName": "app_rw",
        "remoteHost": "10.9.8.7",
        "remoteIp": "10.9.8.7",
        "remotePort": "40112",
        "sessionId": "730f68c4.5234",
        "rowCount": 12,
        "commandText": "select * from t_orders where id = 17;",
        "statementHash": found["statementHash"],
        "paramList": ["17", "null"],
        "pid": 21044,
        "clientApplication": "psql",
        "class": "READ",
        "serverVersion": "14.7.1",
        "serverType": "PostgreSQL",
        "serviceName": "Amazon Aurora PostgreSQL-Compatible edition",
        "serverHost": "10.9.0.5",
        "netProtocol": "TCP",
        "dbProtocol": "Postgres 3.0",
        "type": "record",
    }


@pytest.mark.parametrize("nothing", [None, "", []])
def test_null_and_empty_values_are_left_out(nothing: object) -> None:
    found = source(postgresql_event(commandText=nothing, paramList=nothing, exitCode=nothing, novel=nothing))

    assert {"commandText", "paramList", "exitCode", "statementHash", "unknownFields"}.isdisjoint(found)


@pytest.mark.parametrize("falsy", [0, "0"])
def test_zero_is_a_value(falsy: object) -> None:
    found = source(postgresql_event(rowCount=falsy, exitCode=falsy))

    assert (found["rowCount"], found["exitCode"]) == (0, "0")


@pytest.mark.parametrize(
    ("log_time", "timestamp", "day", "note"),
    [
        ("2031-03-04 11:22:33.444555+00", "2031-03-04T11:22:33.444555Z", "2031.03.04", None),
        ("2031-03-04 11:22:33.4445556+00", "2031-03-04T11:22:33.4445556Z", "2031.03.04", None),
        ("2031-03-04 11:22:33.444555666+00", "2031-03-04T11:22:33.444555666Z", "2031.03.04", None),
        ("2031-03-04 11:22:33.444555", "2031-03-04T11:22:33.444555Z", "2031.03.04", None),
        ("2031-03-04 11:22:33+00", "2031-03-04T11:22:33Z", "2031.03.04", None),
        ("2031-03-04 11:22:33", "2031-03-04T11:22:33Z", "2031.03.04", None),
        ("2031-03-04 11:22:33.4+00", "2031-03-04T11:22:33.4Z", "2031.03.04", None),
        ("2031-03-04T11:22:33.444Z", "2031-03-04T11:22:33.444000Z", "2031.03.04", None),
        ("2031-03-04 11:22:33.000001+02", "2031-03-04T09:22:33.000001Z", "2031.03.04", None),
        ("2031-03-04 23:30:00-0330", "2031-03-05T03:00:00Z", "2031.03.05", None),
        ("2031-03-04 00:30:00+05:30", "2031-03-03T19:00:00Z", "2031.03.03", None),
        ("2019-01-01 00:00:00+00", "2019-01-01T00:00:00Z", "2019.01.01", None),
        ("2099-12-31 23:59:59.999999+00", "2099-12-31T23:59:59.999999Z", "2099.12.31", None),
        ("2018-12-31 23:59:59+00", ARRIVED_AT, "undated-2031.03", "time-implausible"),
        ("1970-01-01 00:00:00+00", ARRIVED_AT, "undated-2031.03", "time-implausible"),
        ("2100-01-01 00:00:00+00", ARRIVED_AT, "undated-2031.03", "time-implausible"),
        ("0001-01-01 00:00:00+14", ARRIVED_AT, "undated-2031.03", "time-unreadable"),
        ("9999-12-31 23:59:59-14", ARRIVED_AT, "undated-2031.03", "time-unreadable"),
        ("2031-02-30 11:22:33+00", ARRIVED_AT, "undated-2031.03", "time-unreadable"),
        ("2031-03-04 25:00:00+00", ARRIVED_AT, "undated-2031.03", "time-unreadable"),
        ("yesterday", ARRIVED_AT, "undated-2031.03", "time-unreadable"),
        ("٢٠٣١-٠٣-٠٤ 11:22:33+00", ARRIVED_AT, "undated-2031.03", "time-unreadable"),
        (1_930_000_000, ARRIVED_AT, "undated-2031.03", "time-unreadable"),
        ({"seconds": 1}, ARRIVED_AT, "undated-2031.03", "time-unreadable"),
        ("", ARRIVED_AT, "undated-2031.03", "time-missing"),
        (None, ARRIVED_AT, "undated-2031.03", "time-missing"),
    ],
)
def test_the_events_own_time_is_its_timestamp_and_names_its_index(
    log_time: object, timestamp: str, day: str, note: str | None
) -> None:
    found = document(postgresql_event(logTime=log_time))

    assert found.source["@timestamp"] == timestamp
    assert found.index == f"das-events-{day}"
    assert found.source.get("ingestNotes") == ([note] if note else None)


def test_the_index_prefix_is_a_setting() -> None:
    found = document(postgresql_event(), settings=Flattening(INGESTED_AT, index_prefix="audit"))

    assert found.index == "audit-2031.03.04"


@pytest.mark.parametrize(
    ("event", "duration"),
    [
        (postgresql_event(), 3.555),
        (postgresql_event(startTime=None), None),
        (postgresql_event(startTime="later"), None),
        (postgresql_event(startTime="2031-03-04 11:22:34+00"), None),
        (postgresql_event(startTime="2031-03-04 13:22:33.444055+02"), 0.5),
        (mysql_event(), 4.454),
        (mysql_event(endTime=None), None),
        (mysql_event(startTime="2031-03-04 11:22:33.444554+00"), 0.0),
        (oracle_event(), None),
        (sqlserver_event(startTime="2031-03-04 11:22:33.4445556+00"), None),
    ],
)
def test_duration_is_end_minus_start(event: dict[str, Any], duration: float | None) -> None:
    assert source(event).get("durationMs") == duration


@pytest.mark.parametrize(
    ("event", "objects"),
    [
        (postgresql_event(objectName="Public.T_Orders"), ["public.t_orders"]),
        (postgresql_event(objectName=None), None),
        (mysql_event(objectName="t_cart,t_item"), ["shop.t_cart", "shop.t_item"]),
        (mysql_event(objectName="t_cart, other.t_item,t_cart,"), ["shop.t_cart", "other.t_item"]),
        (mysql_event(objectName="t_cart", databaseName=""), ["t_cart"]),
        (oracle_event(), ["fin_app.t_gl"]),
        (oracle_event(objectType=None), ["t_gl"]),
        (oracle_event(objectName="A,B"), ["fin_app.a,b"]),
        (sqlserver_event(), ["t_pay"]),
        (sqlserver_event(engineNativeAuditFields={"schema_name": "dbo"}), ["dbo.t_pay"]),
        (sqlserver_event(engineNativeAuditFields={"schema_name": 7}), ["t_pay"]),
        (sqlserver_event(engineNativeAuditFields="text"), ["t_pay"]),
        (
            sqlserver_event(**{"class": "SCHEMA"}, objectName="dbo", engineNativeAuditFields={"schema_name": "dbo"}),
            ["dbo"],
        ),
        (mysql_event(command="CONNECT", commandText="", objectName="t"), None),
        (postgresql_event(objectName='"Odd""Schema"."Order.Items"'), ['odd"schema.order.items']),
        (postgresql_event(objectName='"open'), ["open"]),
        (mysql_event(objectName="`T_Cart`,`other`.`t``x`"), ["shop.t_cart", "other.t`x"]),
        (mysql_event(objectName="`a,b`,`a.b`, `c`.`d,e`"), ["shop.a,b", "shop.a.b", "c.d,e"]),
        (oracle_event(objectName='"t_gl"'), ["fin_app.t_gl"]),
        (oracle_event(objectName="My.Tab", objectType="HR"), ["hr.my.tab"]),
        (oracle_event(objectName="HR.Tab", objectType="HR"), ["hr.tab"]),
        (sqlserver_event(objectName="[a.b]", engineNativeAuditFields={"schema_name": "dbo"}), ["dbo.a.b"]),
        (sqlserver_event(objectName="[dbo].[T]]Pay]"), ["dbo.t]pay"]),
        (sqlserver_event(objectName="[" * 100_000), ["[" * 99_999]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_objects_are_named_with_their_schema_in_lower_case(event: dict[str, Any], objects: list[str] | None) -> None:
    assert source(event).get("objects") == objects


LOGIN_FAILED = "Login failed for user '{}'. Reason: Password did not match that for the login provided. {}"


@pytest.mark.parametrize(
    ("event", "address"),
    [
        ({"commandText": LOGIN_FAILED.format("test", "[CLIENT: 203.0.113.9]")}, "203.0.113.9"),
        ({"commandText": LOGIN_FAILED.format("test", "[CLIENT: 2001:DB8::1]\r\n")}, "2001:db8::1"),
        ({"commandText": LOGIN_FAILED.format("x [CLIENT: 192.0.2.1]", "[CLIENT: 203.0.113.9]")}, "203.0.113.9"),
        ({"commandText": LOGIN_FAILED.format("x [CLIENT: 192.0.2.1]", "")}, None),
        ({"commandText": LOGIN_FAILED.format("test", "[CLIENT: <local machine>]")}, None),
        ({"commandText": LOGIN_FAILED.format("x", "[CLIENT: 203.0.113.9]"), "remoteHost": "10.9.8.7"}, "10.9.8.7"),
        ({"commandText": "select '[CLIENT: 203.0.113.9]", "class": "TABLE", "command": "SELECT"}, None),
        ({"commandText": "[CLIENT: 1" * 10_000}, None),
        ({"commandText": None}, None),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_client_of_sqlserver_2016_is_in_the_text(event: dict[str, Any], address: str | None) -> None:
    login = {"class": "LOGIN", "command": "LOGIN FAILED", "exitCode": 0, "remoteHost": None, "objectName": ""}

    assert source(sqlserver_event(**{**login, **event})).get("remoteIp") == address


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.9.8.7", "10.9.8.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("localhost", None),
        ("local machine", None),
        ("[local]", None),
        ("app-7.example.internal", None),
        ("10.9.8.7:5432", None),
        ("10.9.8.256", None),
        (None, None),
        (17, None),
    ],
)
def test_a_remote_host_that_is_an_address_is_one(host: object, address: str | None) -> None:
    assert source(postgresql_event(remoteHost=host)).get("remoteIp") == address


@pytest.mark.parametrize(
    ("event", "hashed"),
    [
        (postgresql_event(), True),
        (mysql_event(), True),
        (mysql_event(**{"class": "AUX"}, command="READ", commandText="t_cart", exitCode=""), False),
        (postgresql_event(command="CONNECT", commandText="text"), False),
        (sqlserver_event(command="LOGIN FAILED", commandText="Login failed for user 'x'."), False),
        (postgresql_event(commandText=None), False),
    ],
)
def test_only_statements_have_a_hash(event: dict[str, Any], hashed: bool) -> None:
    assert ("statementHash" in source(event)) is hashed


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("statementId", 900101, "900101"),
        ("sessionId", 3120045566, "3120045566"),
        ("sessionId", "730f68c4.5234", "730f68c4.5234"),
        ("exitCode", "42P01", "42P01"),
        ("exitCode", 942, "942"),
        ("dbid", "0123456789", "0123456789"),
        ("transactionId", 0, "0"),
        ("remotePort", 40112, "40112"),
        ("pid", "4410", 4410),
        ("rowCount", "-1", -1),
        ("rowCount", 2**63 - 1, 2**63 - 1),
        ("substatementId", "2", 2),
        ("paramList", ["1", 2, None, {"a": 1}], ["1", "2", "null", '{"a":1}']),
        ("paramList", "one", ["one"]),
        ("paramList", {"a": 1}, ['{"a":1}']),
    ],
)
def test_values_take_their_fields_documented_type(name: str, value: object, kept: object) -> None:
    assert source(postgresql_event(**{name: value}))[name] == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("commandText", ["select", 1]),
        ("commandText", {"text": "select 1"}),
        ("commandText", True),
        ("exitCode", 1.5),
        ("dbUserName", {"name": "x"}),
        ("pid", "many"),
        ("pid", 1.5),
        ("pid", True),
        ("rowCount", 2**63),
        ("rowCount", "9" * 30),
        ("rowCount", [1]),
        ("novelField", "text"),
        ("novelField", 17),
        ("novelField", 1.5),
        ("novelField", False),
        ("novelField", ["a", 1, None, True, 0.5]),
        ("novelField", {"a": {"b": ["c"]}}),
        ("engineNativeAuditFields", "text"),
        ("engineNativeAuditFields", ["a"]),
        ("a.b.c", "dots"),
        ("@timestamp", "2031"),
        ("engine", "db2"),
        ("unknownFields", {"a": 1}),
        ("unknownFieldsText", "text"),
        ("monitoringRecord", "text"),
        ("ingestNotes", ["x"]),
        ("user", {"name": "x"}),
        ("x" * 300, "a long name"),
        (" ", "a blank name"),
        ("", "no name"),
        ("a\0b", "NUL in the name"),
        ("long", "x" * 40_000),
        ("deep", [[[[[["x"]]]]]]),
    ],
)
def test_what_is_unknown_or_of_another_type_is_kept(name: str, value: object) -> None:
    found = source(postgresql_event(**{name: value}))

    assert kept_unknown(found, name) == value


def kept_unknown(found: dict[str, Any], name: str) -> object:
    """The value of an unknown field, wherever the document keeps it."""
    text = orjson.loads(found.get("unknownFieldsText", "{}"))
    places = (found.get("unknownFields", {}), text.get("unknownFields", {}), text)
    return next(place[name] for place in places if name in place)


def test_an_unknown_field_never_replaces_a_derived_one() -> None:
    found = source(postgresql_event(engine="db2", activity="NONE", resourceId="cluster-B"))

    assert (found["engine"], found["activity"], found["resourceId"]) == ("postgresql", "DQL", "cluster-A")


def test_ten_thousand_unknown_fields_are_all_kept() -> None:
    novel = {f"novel{number}": number for number in range(10_000)}

    found = source(postgresql_event(**novel))

    kept = found["unknownFields"] | orjson.loads(found["unknownFieldsText"])["unknownFields"]
    assert kept == novel
    assert len(found["unknownFields"]) <= 256


def test_unknown_fields_of_the_monitoring_record_travel_with_each_event() -> None:
    documents = flattened(postgresql_event(), mysql_event(), region="x").documents

    assert [found.source["unknownFields"] for found in documents] == [{"monitoringRecord": {"region": "x"}}] * 2


def test_an_event_with_a_field_of_that_name_keeps_both() -> None:
    found = source(postgresql_event(monitoringRecord="mine"), region="x")

    kept = orjson.dumps(found)
    assert b'"mine"' in kept
    assert b'"region":"x"' in kept


def test_native_fields_keep_a_field_of_their_own_without_their_nulls() -> None:
    native = {"SCN": 7001002, "ROLE": None, "TERMINAL": "", "XS_COOKIE": False}

    assert source(oracle_event(engineNativeAuditFields=native))["engineNativeAuditFields"] == {
        "SCN": 7001002,
        "XS_COOKIE": False,
    }


@pytest.mark.parametrize("depth", [250, 254, 300, 800])
def test_very_deep_values_are_kept_or_noted(depth: int) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    content = orjson.dumps(
        {
            "type": "DatabaseActivityMonitoringRecord",
            "databaseActivityEventList": [postgresql_event(pid=1), postgresql_event(pid=2, deep="HERE")],
        }
    )
    record = read_monitoring_record(content.replace(b'"HERE"', nested))

    documents = flatten(record, STREAM, "1.1", ARRIVED_AT, Flattening(INGESTED_AT)).documents

    assert [found.source["pid"] for found in documents] == [1, 2]
    assert "deep" in documents[1].source["unknownFieldsText"]


@pytest.mark.parametrize("size", [1, 32_766, 900_000])
def test_a_statement_of_any_length_is_kept_whole(size: int) -> None:
    text = "x" * size

    assert source(postgresql_event(commandText=text))["commandText"] == text


def test_the_same_event_has_the_same_id_in_every_delivery() -> None:
    again = flatten(
        monitoring_record(postgresql_event()),
        STREAM,
        "1.1",
        "2031-03-05T00:00:00.000Z",
        Flattening("2031-03-05T00:00Z"),
    )

    assert document(postgresql_event()).id == again.documents[0].id


def test_the_order_of_an_events_fields_does_not_change_its_id() -> None:
    turned = dict(reversed(postgresql_event().items()))

    assert document(turned).id == document(postgresql_event()).id


def test_equal_events_of_one_record_have_ids_of_their_own_that_a_retry_repeats() -> None:
    first = [found.id for found in flattened(postgresql_event(), postgresql_event(), postgresql_event()).documents]
    again = [found.id for found in flattened(postgresql_event(), postgresql_event(), postgresql_event()).documents]

    assert len(set(first)) == 3
    assert first == again


@pytest.mark.parametrize(
    "change", [{"commandText": "x"}, {"logTime": "2031-03-04 11:22:33.444556+00"}, {"novel": 1}, {"exitCode": ""}]
)
def test_another_content_is_another_id(change: dict[str, Any]) -> None:
    assert document(postgresql_event(**change)).id != document(postgresql_event()).id


def test_another_instance_is_another_id() -> None:
    assert document(postgresql_event(), instanceId="db-B").id != document(postgresql_event()).id


def test_ids_of_later_events_sort_behind_earlier_ones_and_fit_an_id() -> None:
    times = ("1970-01-01 00:00:00", "2031-03-04 11:22:33", "2031-03-04 11:22:34", "2099-12-31 23:59:59")
    undated, *dated = (document(postgresql_event(logTime=time)).id for time in times)

    assert {len(found) for found in (undated, *dated)} == {22}
    assert all(found.replace("-", "").replace("_", "").isalnum() for found in dated)


def test_what_is_dropped_is_counted_with_its_reason() -> None:
    result = flattened(
        {"type": "heartbeat"},
        postgresql_event(type="heartbeat"),
        postgresql_event(dbUserName="rdsadmin", remoteHost="127.0.0.1"),
        postgresql_event(dbUserName="rdsadmin", remoteHost=None),
        postgresql_event(),
    )

    assert len(result.documents) == 1
    assert result.dropped == {Noise.HEARTBEAT: 2, Noise.AWS_USER: 2}
    assert result.dropped_users == {
        ExcludedUser("rdsadmin", Origin.LOCAL): 1,
        ExcludedUser("rdsadmin", Origin.UNREPORTED): 1,
    }


@pytest.mark.parametrize("text", ["a\0b", "\N{REPLACEMENT CHARACTER}", "\x1b[31m", "\N{RIGHT-TO-LEFT OVERRIDE}x"])
def test_control_characters_are_kept(text: str) -> None:
    assert source(postgresql_event(commandText=text))["commandText"] == text


@pytest.mark.parametrize("redaction", [Redaction.LITERALS, Redaction.HASH])
def test_redaction_keeps_the_hash_and_the_id(redaction: Redaction) -> None:
    plain = document(postgresql_event())
    redacted = document(postgresql_event(), settings=Flattening(INGESTED_AT, redaction=redaction))

    assert redacted.id == plain.id
    assert redacted.source["statementHash"] == plain.source["statementHash"]


@pytest.mark.parametrize("redaction", [Redaction.LITERALS, Redaction.HASH])
@pytest.mark.parametrize(
    "event",
    [
        pytest.param(postgresql_event(commandText="select 's3cret'"), id="literal"),
        pytest.param(postgresql_event(commandText="select 's3cret" + "x" * 50_000), id="long and unterminated"),
        pytest.param(postgresql_event(paramList=["s3cret"]), id="parameter"),
        pytest.param(postgresql_event(paramList={"p": "s3cret"}), id="parameter of another type"),
        pytest.param(postgresql_event(commandText=["select 's3cret'"]), id="a list of statements"),
        pytest.param(postgresql_event(commandText={"sql": "select 's3cret'"}), id="a statement in an object"),
        pytest.param(postgresql_event(errorMessage={"m": "Key (a)=(s3cret)"}), id="an error in an object"),
    ],
)
def test_redaction_leaves_no_literal_anywhere_in_the_document(event: dict[str, Any], redaction: Redaction) -> None:
    found = source(event, settings=Flattening(INGESTED_AT, redaction=redaction))

    assert b"s3cret" not in orjson.dumps(found)


def test_a_continuation_row_has_a_note_and_no_hash() -> None:
    found = source(sqlserver_event(substatementId=2, commandText="x' where a = 1"))

    assert found["ingestNotes"] == ["statement-continued"]
    assert "statementHash" not in found


def test_a_statement_of_a_megabyte_has_a_hash() -> None:
    found = source(postgresql_event(commandText="select 1".ljust(MAX_STATEMENT)))

    assert "statementHash" in found
    assert "ingestNotes" not in found


@pytest.mark.parametrize(
    ("redaction", "kept"),
    [(Redaction.OFF, MAX_STATEMENT + 1), (Redaction.LITERALS, len("?")), (Redaction.HASH, 0)],
)
def test_a_longer_statement_has_a_note_instead_of_a_hash(redaction: Redaction, kept: int) -> None:
    event = postgresql_event(commandText="select 1".ljust(MAX_STATEMENT + 1))

    found = source(event, settings=Flattening(INGESTED_AT, redaction=redaction))

    assert found["ingestNotes"] == ["statement-too-long"]
    assert "statementHash" not in found
    assert len(found.get("commandText", "")) == kept


def test_a_longer_continuation_row_is_not_scanned() -> None:
    """It is read several times; SQL Server's own have 4,000 characters."""
    text = "select password='x'".ljust(MAX_CONTINUATION)
    within = source(sqlserver_event(commandText=text, substatementId=2))
    beyond = source(sqlserver_event(commandText=f"{text} ", substatementId=2))

    assert within["ingestNotes"] == ["statement-continued"]
    assert "select password=" in within["commandText"]
    assert beyond["ingestNotes"] == ["statement-too-long", "statement-continued"]
    assert beyond["commandText"] == REDACTED


def test_the_statements_of_a_record_have_a_bound_together() -> None:
    """The same record always makes the same documents: characters are counted, not seconds."""
    long = "select 1".ljust(MAX_STATEMENT)
    count = MAX_RECORD // MAX_STATEMENT

    found = flattened(*(postgresql_event(commandText=long, pid=pid) for pid in range(count + 1))).documents

    assert ["statementHash" in document.source for document in found] == [True] * count + [False]
    assert found[-1].source["ingestNotes"] == ["statement-too-long"]
