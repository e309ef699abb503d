"""Rows by activity: from encrypted records through Firehose into S3 folders, with a real OpenSearch."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import duckdb
import orjson
import pytest

from daswatch.aws.firehose import TOO_LARGE
from daswatch.detections.actors import shipped_actors
from daswatch.documents import actors
from daswatch.documents.activity import Activity
from daswatch.documents.document import Document
from daswatch.documents.row_formats import folder_of, row
from daswatch.errors import SettingsError
from demo.aws import LocalAws
from demo.delivery import (
    create_delivery_stream,
    delivered_objects,
    delivered_rows,
    destination,
    sort_into_folders,
)
from demo.rds import KmsDataKeys, seal
from demo.traffic import produce
from ingest_lambda import sinks
from ingest_lambda.settings import ALL_ACTIVITIES, read_settings
from tests import ROOT
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event
from tests.fakes.proxy import (
    Behaviour,
    Exchange,
    Proxy,
    Request,
    Response,
    answer,
    bulk,
    bulk_with,
    cut_answer,
    drop,
    drop_answer,
    replace_answer,
    sequence,
)
from tests.harness.ingest import SECRET, IngestFunction, everything_logged
from tests.harness.names import keep, learn, named
from tests.harness.rows import Rows

START = datetime(2031, 3, 4, 21, 50, tzinfo=UTC)


@pytest.fixture
def rows(ingest: IngestFunction, aws: LocalAws) -> Iterator[Rows]:
    """Rows are on. The delivery stream is deleted afterwards: moto keeps AWS's quota of 50."""
    name = f"rows-{ingest.name}"
    create_delivery_stream(aws.firehose(), name, aws.create_bucket(name))
    ingest.configure(ROWS_DELIVERY_STREAM=name)
    yield Rows(ingest, aws, name)
    aws.firehose().delete_delivery_stream(DeliveryStreamName=name)


@pytest.fixture
def firehose(rows: Rows, aws: LocalAws) -> Iterator[Proxy]:
    """A proxy in front of Firehose, which the ingest function uses."""
    with Proxy(aws.url) as proxy:
        rows.ingest.configure(AWS_ENDPOINT_URL_FIREHOSE=proxy.url)
        yield proxy


def put_record_batch(request: Request) -> bool:
    return request.headers.get("X-Amz-Target") == "Firehose_20150804.PutRecordBatch"


def put_with(text: bytes) -> Any:
    """Calls with a row that holds this text."""
    return lambda request: put_record_batch(request) and any(text in data for data in records_of(request))


def records_of(request: Request) -> list[bytes]:
    return [base64.b64decode(record["Data"]) for record in orjson.loads(request.body)["Records"]]


def failing_records(text: bytes, code: str) -> Behaviour:
    """Firehose takes all records of a call but those that hold this text."""

    def behave(exchange: Exchange) -> Response:
        call = orjson.loads(exchange.request.body)
        failed = [text in data for data in records_of(exchange.request)]
        kept = [record for record, fails in zip(call["Records"], failed, strict=True) if not fails]
        if kept:
            exchange.forward(orjson.dumps({**call, "Records": kept}))
        answers = [{"ErrorCode": code, "ErrorMessage": "x"} if fails else {"RecordId": "49"} for fails in failed]
        return Response.of_json(200, {"FailedPutCount": sum(failed), "Encrypted": False, "RequestResponses": answers})

    return behave


def refuse(code: str, status: int = 400) -> Behaviour:
    return answer(status, orjson.dumps({"__type": code, "message": "x"}), "application/x-amz-json-1.1")


def sequence_number(record: Mapping[str, Any]) -> str:
    number: str = record["kinesis"]["sequenceNumber"]
    return number


def events(count: int, first: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """So many events that differ."""
    return [postgresql_event(statementId=first + number, **changes) for number in range(count)]


def indexed(ingest: IngestFunction) -> list[int]:
    return sorted(int(document["statementId"]) for document in ingest.documents())


DDL: dict[str, Any] = {"command": "CREATE TABLE", "class": "DDL", "commandText": "create table t_new (id int)"}


# Folders.


@pytest.mark.node
@pytest.mark.parametrize("rows_per_record", ["1", "500"])
def test_the_rows_in_s3_are_the_producers_ledger_by_activity(rows: Rows, rows_per_record: str) -> None:
    rows.ingest.configure(ROWS_PER_RECORD=rows_per_record)
    keys = KmsDataKeys(rows.aws.kms(), rows.ingest.kms_key_id, 100)
    produced = list(produce(1, START, 1_500))
    delivered = [
        rows.ingest.delivered(
            seal(record.monitoring_record, record.database, keys.for_record(record.database)), record.database
        )
        for record in produced
    ]

    for first in range(0, len(delivered), 100):
        assert rows.ingest.invoke(*delivered[first : first + 100]) == []

    stored = rows.stored()
    ledger = Counter(entry.activity for record in produced for entry in record.entries if entry.fate == "indexed")
    assert Counter(folders["activity"] for folders, _ in stored) == ledger
    assert len(ledger) == len(Activity)
    assert all(folders["activity"] == row["activity"] for folders, row in stored)
    assert len({row["eventId"] for _, row in stored}) == len(stored)


@pytest.mark.node
def test_a_row_is_the_document_and_its_id(rows: Rows) -> None:
    given = [postgresql_event(novel={"deep": [1]}), mysql_event(), oracle_event(), sqlserver_event()]

    rows.ingest.invoke(rows.ingest.record(given))

    by_id = {row.pop("eventId"): row for _, row in rows.stored()}
    assert by_id == {hit["_id"]: hit["_source"] for hit in rows.ingest.hits()}
    assert len(by_id) == 4


@pytest.mark.node
def test_folders_are_named_by_activity_and_the_events_own_hour(rows: Rows) -> None:
    rows.ingest.invoke(
        rows.ingest.record(
            [
                postgresql_event(logTime="2031-03-04 23:59:59.999999+00"),
                postgresql_event(logTime="2031-03-05 02:30:00+02"),
                postgresql_event(command="AUTH FAILURE", logTime="2031-03-05 07:00:00+00"),
            ]
        )
    )

    rows.stored()
    keys = {key.rpartition("/")[0] for key, _ in delivered_objects(rows.aws.s3(), rows.name)}
    assert keys == {
        "rows/activity=DQL/date=2031-03-04/hour=23",
        "rows/activity=DQL/date=2031-03-05/hour=00",
        "rows/activity=AUTH FAILURE/date=2031-03-05/hour=07",
    }


@pytest.mark.node
def test_only_the_wanted_activities_are_delivered(rows: Rows) -> None:
    rows.ingest.configure(ROWS_ACTIVITIES="ddl, DML")
    given = [*events(3), *events(2, first=3, **DDL), *events(4, first=5, command="INSERT", **{"class": "WRITE"})]

    rows.ingest.invoke(rows.ingest.record(given))

    assert rows.statement_ids() == {"DDL": [3, 4], "DML": [5, 6, 7, 8]}
    assert indexed(rows.ingest) == list(range(9))
    assert rows.ingest.metrics["RowsDelivered"] == 6


@pytest.mark.node
def test_redaction_holds_for_rows_too(rows: Rows) -> None:
    rows.ingest.configure(REDACT="literals")

    rows.ingest.invoke(rows.ingest.record([postgresql_event(commandText="select 's3cret'")]))

    ((_, row),) = rows.stored()
    assert row["commandText"] == "select ?"


@pytest.mark.node
def test_noise_is_in_no_folder(rows: Rows) -> None:
    rows.ingest.invoke(
        rows.ingest.record([{"type": "heartbeat"}, postgresql_event(dbUserName="rdsadmin", remoteHost="localhost")])
    )

    assert rows.stored() == []
    assert rows.ingest.log["firehose_calls"] == 0


# Off.


@pytest.mark.node
def test_without_the_setting_nothing_is_called_or_logged(
    rows: Rows, firehose: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_rows(_: object) -> bytes:
        raise AssertionError("a row was made")

    monkeypatch.setattr(sinks, "row", no_rows)
    calls = firehose.on(lambda _: True, drop)
    rows.ingest.configure(ROWS_DELIVERY_STREAM="")

    assert rows.ingest.invoke(rows.ingest.record(events(3))) == []

    assert calls.hits == 0
    assert indexed(rows.ingest) == [0, 1, 2]
    assert rows.ingest.dead_letters() == []
    assert not {name for name in {**rows.ingest.log, **rows.ingest.metrics} if "row" in name.lower()}


# Failures of Firehose.


PASSING: dict[str, Behaviour] = {
    "unavailable": refuse("ServiceUnavailableException", 503),
    "throttled": refuse("ThrottlingException"),
    "failing": answer(500),
    "gone": drop,
    "partly failing": failing_records(b'"statementId":"1"', "ServiceUnavailableException"),
}


@pytest.mark.node
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_loses_and_doubles_nothing(rows: Rows, firehose: Proxy, fault: str) -> None:
    calls = firehose.on(put_record_batch, sequence(PASSING[fault], PASSING[fault]))

    assert rows.ingest.invoke(*(rows.ingest.record(events(2, first=2 * number)) for number in range(3))) == []

    assert calls.hits == 3
    assert rows.statement_ids() == {"DQL": list(range(6))}
    assert indexed(rows.ingest) == list(range(6))
    assert (rows.ingest.log["rows"], rows.ingest.log["firehose_calls"]) == (6, 3)


@pytest.mark.node
@pytest.mark.parametrize("lost", [drop_answer, cut_answer, replace_answer(b"<html>")], ids=["dropped", "cut", "HTML"])
def test_where_firehoses_answer_gets_lost_rows_are_there_twice_under_one_id(
    rows: Rows, firehose: Proxy, lost: Behaviour
) -> None:
    firehose.on(put_record_batch, sequence(lost))

    assert rows.ingest.invoke(rows.ingest.record(events(2))) == []

    stored = [row["eventId"] for _, row in rows.stored()]
    assert sorted(Counter(stored).values()) == [2, 2]
    assert set(stored) == {hit["_id"] for hit in rows.ingest.hits()}


STAYING: dict[str, Behaviour] = {
    "throttled": refuse("ThrottlingException"),
    "denied": refuse("AccessDeniedException"),
    "gone": drop,
    "partly failing": failing_records(b'"late"', "InternalFailure"),
}


@pytest.mark.node
@pytest.mark.parametrize("fault", STAYING)
def test_opensearchs_work_is_not_lost_while_firehose_fails(rows: Rows, firehose: Proxy, fault: str) -> None:
    records = [
        rows.ingest.record(events(500)),
        rows.ingest.record(events(1, first=500, databaseName="late")),
        rows.ingest.record(events(700, first=501)),
    ]
    firehose.on(put_with(b'"late"'), STAYING[fault])

    assert rows.ingest.invoke(*records) == [sequence_number(records[1])]

    assert indexed(rows.ingest) == list(range(1_201))
    log = rows.ingest.log
    assert log["retry_from"] == 1
    assert log["cause"] == log["rows_cause"]
    assert log["rows_cause"].startswith("Firehose PutRecordBatch: ")
    assert rows.ingest.metrics["RowsNotDelivered"] > 0
    assert rows.ingest.dead_letters() == []

    firehose.behave()
    assert rows.ingest.invoke(*records[1:]) == []
    assert set(rows.statement_ids()["DQL"]) == set(range(1_201))
    assert rows.ingest.log["written"] == 0


@pytest.mark.node
def test_missing_delivery_stream_is_named(rows: Rows) -> None:
    rows.ingest.configure(ROWS_DELIVERY_STREAM="no-such-stream")
    record = rows.ingest.record(events(1))

    assert rows.ingest.invoke(record) == [sequence_number(record)]

    assert rows.ingest.log["level"] == "ERROR"
    assert "ResourceNotFoundException" in rows.ingest.log["cause"]
    assert rows.ingest.metrics["RecordsToRetry"] == 1


# Failures of OpenSearch, and of both.


@pytest.fixture
def opensearch(rows: Rows) -> Iterator[Proxy]:
    """A proxy in front of OpenSearch."""
    with Proxy(rows.ingest.url) as proxy:
        rows.ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        yield proxy


@pytest.mark.node
def test_firehoses_work_is_not_lost_while_opensearch_fails(rows: Rows, opensearch: Proxy) -> None:
    records = [rows.ingest.record(events(2, first=2 * number)) for number in range(3)]
    opensearch.on(bulk, refuse("denied", 403))

    assert rows.ingest.invoke(*records) == [sequence_number(records[0])]

    assert rows.statement_ids() == {"DQL": list(range(6))}
    assert indexed(rows.ingest) == []
    assert "rows_cause" not in rows.ingest.log


@pytest.mark.node
@pytest.mark.parametrize("events_per_record", [2, 900])
def test_with_opensearch_away_from_the_start_all_rows_are_delivered_once(rows: Rows, events_per_record: int) -> None:
    records = [rows.ingest.record(events(events_per_record, first=events_per_record * number)) for number in range(3)]
    bad = rows.ingest.delivered(b"no envelope")
    batch = [records[0], bad, *records[1:]]
    rows.ingest.configure(OPENSEARCH_ENDPOINT="http://127.0.0.1:9")
    for _ in range(2):
        assert rows.ingest.invoke(*batch) == [sequence_number(batch[0])]
        assert (rows.ingest.log["dead_letters"], rows.ingest.log["events"]) == ({}, 0)

    found = rows.statement_ids()["DQL"]
    assert found == list(range(3 * events_per_record))


@pytest.mark.node
def test_without_templates_rows_are_delivered_and_no_index_comes_into_being(rows: Rows) -> None:
    rows.ingest.search.indices.delete_index_template(name=rows.ingest.prefix)
    records = [rows.ingest.record(events(1, first=number)) for number in range(2)]

    answered = rows.ingest.invoke(*records)

    assert answered == [sequence_number(records[0])]
    assert "daswatch setup" in rows.ingest.log["cause"]
    assert not rows.ingest.search.indices.exists(index=f"{rows.ingest.prefix}-2031.03.04")
    assert rows.statement_ids() == {"DQL": [0, 1]}

    rows.ingest.install()
    assert rows.ingest.invoke(*records) == []
    assert indexed(rows.ingest) == [0, 1]


@pytest.mark.node
def test_rows_go_on_where_opensearch_stops_in_the_middle_of_a_batch(rows: Rows, opensearch: Proxy) -> None:
    records = [rows.ingest.record(events(2_100, first=2_100 * number)) for number in range(3)]
    opensearch.on(bulk, refuse("denied", 403))

    assert rows.ingest.invoke(*records) == [sequence_number(records[0])]

    assert rows.statement_ids()["DQL"] == list(range(6_300))
    assert indexed(rows.ingest) == []


@pytest.mark.node
def test_however_often_opensearch_fails_a_warm_function_doubles_no_row(rows: Rows, opensearch: Proxy) -> None:
    records = [rows.ingest.record(events(2, first=2 * number)) for number in range(3)]
    opensearch.on(bulk, refuse("denied", 403))
    for _ in range(3):
        assert rows.ingest.invoke(*records) == [sequence_number(records[0])]

    opensearch.behave()
    assert rows.ingest.invoke(*records, rows.ingest.record(events(1, first=6))) == []

    assert rows.statement_ids() == {"DQL": list(range(7))}
    assert indexed(rows.ingest) == list(range(7))


@pytest.mark.node
def test_another_instance_doubles_rows_of_unwritten_records(rows: Rows, opensearch: Proxy) -> None:
    """Of those before the first unwritten record, no row is there twice."""
    records = [
        rows.ingest.record(events(250)),
        rows.ingest.record(events(1, first=250, databaseName="late")),
        rows.ingest.record(events(1, first=251)),
    ]
    opensearch.on(bulk_with(b'"late"'), refuse("denied", 403))
    assert rows.ingest.invoke(*records) == [sequence_number(records[1])]

    opensearch.behave()
    rows.ingest.cold_start()
    assert rows.ingest.invoke(*records[1:]) == []

    found = Counter(rows.statement_ids()["DQL"])
    assert set(found) == set(range(252))
    assert {number for number, copies in found.items() if copies > 1} == {250, 251}


@pytest.mark.node
def test_next_delivery_puts_only_rows_that_firehose_refused(rows: Rows, firehose: Proxy) -> None:
    records = [
        rows.ingest.record(events(1)),
        rows.ingest.record(events(1, first=1, databaseName="late")),
        rows.ingest.record(events(1, first=2)),
    ]
    firehose.on(put_record_batch, failing_records(b'"late"', "InternalFailure"))
    assert rows.ingest.invoke(*records) == [sequence_number(records[1])]
    assert rows.statement_ids() == {"DQL": [0, 2]}

    firehose.behave()
    assert rows.ingest.invoke(*records[1:]) == []

    assert rows.statement_ids() == {"DQL": [0, 1, 2]}


@pytest.mark.node
def test_both_sinks_failing_reports_earliest_record(rows: Rows, firehose: Proxy, opensearch: Proxy) -> None:
    records = [rows.ingest.record(events(1, first=number, databaseName=f"db{number}")) for number in range(3)]
    firehose.on(put_record_batch, failing_records(b'"db1"', "InternalFailure"))
    opensearch.on(bulk_with(b'"db2"'), refuse("denied", 403))

    answered = rows.ingest.invoke(*records)

    assert answered == [sequence_number(records[0])]  # they share a bulk, which was denied as a whole
    assert rows.ingest.log["cause"].startswith("OpenSearch")
    assert rows.ingest.log["rows_cause"].startswith("Firehose")

    opensearch.behave()
    answered = rows.ingest.invoke(*records)
    assert answered == [sequence_number(records[1])]
    assert indexed(rows.ingest) == [0, 1, 2]

    firehose.behave()
    assert rows.ingest.invoke(*records[1:]) == []
    assert rows.statement_ids() == {"DQL": [0, 1, 2]}


@pytest.mark.node
def test_what_a_warm_function_remembers_is_bounded(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "REMEMBERED_RECORDS", 2)
    records = [rows.ingest.record(events(1, first=number)) for number in range(4)]
    with Proxy(rows.ingest.url) as opensearch:
        rows.ingest.configure(OPENSEARCH_ENDPOINT=opensearch.url)
        opensearch.on(bulk, refuse("denied", 403))
        rows.ingest.invoke(*records)
        opensearch.behave()

        assert rows.ingest.invoke(*records) == []

    assert rows.statement_ids() == {"DQL": [0, 0, 1, 1, 2, 3]}


@pytest.mark.node
@pytest.mark.parametrize("count", [3, 2_500])
def test_neither_waits_for_the_other(rows: Rows, firehose: Proxy, opensearch: Proxy, count: int) -> None:
    came = {"rows": Event(), "documents": Event()}
    met: list[bool] = []

    def meet(mine: str, other: str) -> Behaviour:
        def behave(exchange: Exchange) -> Response:
            came[mine].set()
            met.append(came[other].wait(10))
            return exchange.forward()

        return behave

    firehose.on(put_record_batch, meet("rows", "documents"))
    opensearch.on(bulk, meet("documents", "rows"))

    assert rows.ingest.invoke(rows.ingest.record(events(count))) == []

    assert len(met) >= 2
    assert all(met)


@pytest.mark.node
@pytest.mark.parametrize("fault", ["going well", "denied", "gone", "partly failing", "too large"])
def test_no_row_is_ever_printed(rows: Rows, firehose: Proxy, fault: str) -> None:
    if fault in STAYING:
        firehose.on(put_record_batch, STAYING[fault])
    text = f"select '{SECRET}'" + ("1, " * 400_000 if fault == "too large" else "")

    with everything_logged() as logged:
        rows.ingest.invoke(
            rows.ingest.record([postgresql_event(commandText=text, databaseName="late")]),
        )

    printed = rows.ingest.printed + logged.getvalue()
    assert "request_id" in printed
    assert SECRET not in printed
    assert base64.b64encode(SECRET.encode()).decode()[4:-4] not in printed


# Rows that no delivery stream takes.


@pytest.mark.node
def test_row_that_is_too_large_is_a_dead_letter(rows: Rows) -> None:
    """The dead letter is its record, and names the document that is indexed all the same."""
    large = postgresql_event(statementId=1, commandText="select " + "1, " * 400_000 + "2")
    record = rows.ingest.record([*events(1), large, *events(1, first=2)])

    assert rows.ingest.invoke(record, rows.ingest.record(events(1, first=3))) == []

    (letter,) = rows.ingest.dead_letters()
    (hit,) = [hit for hit in rows.ingest.hits() if hit["_source"]["statementId"] == "1"]
    assert (letter["reason"], letter["documentIds"]) == ("row-refused", [hit["_id"]])
    assert letter["detail"] == TOO_LARGE
    assert rows.ingest.stored(letter["object"])["record"] == record
    assert rows.statement_ids() == {"DQL": [0, 2, 3]}
    assert (rows.ingest.log["rows_refused"], rows.ingest.metrics["RowsRefused"]) == (1, 1)


@pytest.mark.node
def test_a_document_that_makes_no_row_is_a_dead_letter_and_its_neighbours_go_on(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(document: Document) -> bytes:
        if document.source["statementId"] == "1":
            raise RecursionError("s3cret")
        return row(document)

    monkeypatch.setattr(sinks, "row", failing)

    assert rows.ingest.invoke(rows.ingest.record(events(3))) == []

    (letter,) = rows.ingest.dead_letters()
    assert (letter["reason"], letter["detail"]) == ("row-refused", "RecursionError")
    assert rows.statement_ids() == {"DQL": [0, 2]}
    assert indexed(rows.ingest) == [0, 1, 2]


@pytest.mark.node
def test_a_document_that_opensearch_refuses_is_a_row_all_the_same(rows: Rows) -> None:
    rows.ingest.search.indices.create(
        index=f"{rows.ingest.prefix}-2031.03.04",
        body={"mappings": {"properties": {"commandText": {"type": "keyword"}}}},  # of a bounded length
    )

    assert rows.ingest.invoke(rows.ingest.record(events(1, commandText="x" * 40_000))) == []

    assert [letter["reason"] for letter in rows.ingest.dead_letters()] == ["document-refused"]
    assert rows.statement_ids() == {"DQL": [0]}


# Settings.

LEAST = {"OPENSEARCH_ENDPOINT": "https://search.example.com", "DEAD_LETTER_BUCKET": "dead-letters"}


def test_rows_are_off_unless_a_delivery_stream_is_named() -> None:
    settings = read_settings(LEAST | {"ROWS_DELIVERY_STREAM": "  ", "ROWS_ACTIVITIES": "", "ROWS_PER_RECORD": ""})

    assert settings == read_settings(LEAST)
    assert settings.rows_delivery_stream == ""
    assert settings.rows_activities == ALL_ACTIVITIES == set(Activity)
    assert settings.rows_per_record == 1


@pytest.mark.parametrize(
    ("value", "activities"),
    [
        ("DDL,DML", {Activity.DDL, Activity.DML}),
        (" auth failure , dcl,,", {Activity.AUTH_FAILURE, Activity.DCL}),
        ("AUTH_FAILURE", {Activity.AUTH_FAILURE}),
    ],
)
def test_the_activities_are_a_list(value: str, activities: set[Activity]) -> None:
    given = {"ROWS_DELIVERY_STREAM": "das-rows", "ROWS_ACTIVITIES": value, "ROWS_PER_RECORD": "500"}

    settings = read_settings(LEAST | given)

    assert settings.rows_delivery_stream == "das-rows"
    assert settings.rows_activities == activities
    assert settings.rows_per_record == 500


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ROWS_ACTIVITIES", "DDL,SELECT", ", ".join(Activity)),
        ("ROWS_DELIVERY_STREAM", "arn:aws:firehose:eu-west-1:123456789012:deliverystream/das-rows", "das-rows"),
        ("ROWS_DELIVERY_STREAM", "x" * 65, "das-rows"),
        ("ROWS_PER_RECORD", "0", "1 to 500"),
        ("ROWS_PER_RECORD", "501", "1 to 500"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_should_look_like(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(LEAST | {name: value})

    (problem,) = error.value.problems
    assert problem.startswith(f"{name} ")
    assert expected in problem


# Firehose's part, and Athena's.


def test_the_documented_configuration_is_the_one_that_is_tested() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs/rows.md").read_text("utf-8"), re.DOTALL)

    tested = destination("daswatch-rows")
    assert orjson.loads(shown) == {
        name: value for name, value in tested.items() if name not in ("RoleARN", "BucketARN")
    }


@pytest.fixture
def bucket(aws: LocalAws, request: pytest.FixtureRequest) -> Iterator[str]:
    """A delivery stream and its bucket, of one name."""
    name = "sort-" + re.sub(r"[^a-z]+", "-", request.node.name)[-50:].strip("-")
    yield create_delivery_stream(aws.firehose(), name, aws.create_bucket(name))
    aws.firehose().delete_delivery_stream(DeliveryStreamName=name)


def put(aws: LocalAws, stream: str, *records: bytes) -> None:
    aws.firehose().put_record_batch(DeliveryStreamName=stream, Records=[{"Data": record} for record in records])


def test_firehose_splits_records_and_ends_each_row_once(aws: LocalAws, bucket: str) -> None:
    one, two = (orjson.dumps({"activity": "DDL", "@timestamp": "2031-03-04T09:00:00Z", "n": n}) for n in (1, 2))

    put(aws, bucket, one + b"\n" + two + b"\n", one + two, one + b"\n")
    sort_into_folders(aws.firehose(), aws.s3(), bucket)

    ((key, _),) = delivered_objects(aws.s3(), bucket)
    assert key.startswith("rows/activity=DDL/date=2031-03-04/hour=09/")
    assert [row["n"] for _, row in delivered_rows(aws.s3(), bucket)] == [1, 2, 1, 2, 1]


def test_firehose_keeps_what_has_no_partition_key(aws: LocalAws, bucket: str) -> None:
    put(aws, bucket, orjson.dumps({"activity": "DDL"}), orjson.dumps({"activity": "", "@timestamp": "2031"}))
    sort_into_folders(aws.firehose(), aws.s3(), bucket)

    keys = [entry["Key"] for entry in aws.s3().list_objects_v2(Bucket=bucket)["Contents"]]
    assert len(keys) == 1
    assert keys[0].startswith("rows-failed/processing-failed/")


def test_a_second_delivery_adds_objects_and_keeps_the_first(aws: LocalAws, bucket: str) -> None:
    row = orjson.dumps({"activity": "DDL", "@timestamp": "2031-03-04T09:00:00Z"})
    for _ in range(2):
        put(aws, bucket, row)
        sort_into_folders(aws.firehose(), aws.s3(), bucket)

    assert len(list(delivered_objects(aws.s3(), bucket))) == 2


TABLE = (ROOT / "athena/das_rows.sql").read_text("utf-8")


@dataclass(frozen=True)
class Table:
    """athena/das_rows.sql, read: the columns with their types, and which field of a row each is."""

    columns: dict[str, str]
    fields: dict[str, str]
    partitions: list[str]
    properties: dict[str, str]


def read_table() -> Table:
    body, rest = TABLE.split("PARTITIONED BY", 1)
    partitions, rest = rest.split(")", 1)
    columns: dict[str, str] = dict(re.findall(r"^  `(\w+)` ([\w<>]+),?$", body, re.MULTILINE))
    properties: dict[str, str] = dict(re.findall(r"^  '([^']+)' = '([^']+)',?$", rest, re.MULTILINE))
    fields = {column: properties.get(f"mapping.{column}", column) for column in columns}
    return Table(columns, fields, re.findall(r"`(\w+)` string", partitions), properties)


def mapped_fields() -> set[str]:
    mapping = orjson.loads((ROOT / "index_templates/component/das-event-fields.json").read_bytes())
    return set(mapping["template"]["mappings"]["properties"])


def test_each_field_of_the_index_is_a_column_and_nothing_else_is() -> None:
    table = read_table()

    assert {*table.fields.values(), "activity"} == mapped_fields() | {"eventId"}
    assert len(set(table.fields.values())) == len(table.columns)
    assert not set(table.columns) & set(table.partitions)
    assert all(column == column.lower() for column in table.columns)
    assert {name for name in table.properties if name.startswith("mapping.")} == {
        f"mapping.{column}" for column, field in table.fields.items() if column != field
    }


def test_the_tables_folders_are_the_delivery_streams() -> None:
    table = read_table()

    prefix = str(destination("daswatch-rows").get("Prefix"))
    template = f"s3://daswatch-rows/{prefix}".replace("!{partitionKeyFromQuery:", "${")
    assert table.properties["storage.location.template"] == template
    assert f"LOCATION '{template.partition('activity=')[0]}'" in TABLE
    assert table.partitions == re.findall(r"\$\{(\w+)\}", template)
    projected = table.properties["projection.activity.values"].split(",")
    assert projected == [folder_of(activity) for activity in Activity]
    hours = range(*map(int, table.properties["projection.hour.range"].split(",")))
    assert [*hours, hours.stop] == list(range(24))
    assert table.properties["projection.hour.digits"] == "2"


# Athena's types, in DuckDB's words.
TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "double": "DOUBLE", "array<string>": "VARCHAR[]"}


def as_athena(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with `das_rows` as the table's definition makes it, over a bucket's objects in a folder."""
    table = read_table()
    columns = ", ".join(f"'{table.fields[name]}': '{TYPES[kind]}'" for name, kind in table.columns.items())
    names = ", ".join(f'"{field}" AS {column}' for column, field in table.fields.items())
    partitions = ", ".join(f"'{name}': 'VARCHAR'" for name in table.partitions)
    files = f"{folder}/rows/{'/'.join(f'{name}=*' for name in table.partitions)}/*.gz"
    connection = duckdb.connect()
    connection.execute(
        f"CREATE VIEW das_rows AS SELECT {names}, {', '.join(table.partitions)} "
        f"FROM read_json('{files}', format='newline_delimited', columns={{{columns}}}, "
        f"hive_partitioning=true, hive_types={{{partitions}}})"
    )
    return connection


def downloaded(rows: Rows, folder: Path) -> Path:
    rows.stored()
    for key, content in delivered_objects(rows.aws.s3(), rows.name):
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def documented_queries() -> Sequence[str]:
    queries: list[str] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/rows.md").read_text("utf-8"), re.DOTALL)
    return queries


@pytest.mark.node
def test_failed_logins_by_hour_are_what_was_made(rows: Rows, tmp_path: Path) -> None:
    failed: dict[str, Any] = {"command": "AUTH FAILURE", "exitCode": "28P01", "class": "CONNECT"}
    attempts = [
        *events(5, dbUserName="mallory", logTime="2031-03-04 09:10:00+00", **failed),
        *events(2, first=5, dbUserName="mallory", logTime="2031-03-04 10:00:00+00", **failed),
        *events(1, first=7, dbUserName="o'hara", logTime="2031-03-05 09:59:59.999+00", **failed),
        mysql_event(command="FAILED_CONNECT", exitCode="1045", logTime="2031-03-05 09:00:00+00"),
        *events(9, first=8),
    ]
    rows.ingest.invoke(rows.ingest.record(attempts))
    rows.ingest.cold_start()
    rows.ingest.invoke(rows.ingest.record(attempts[:3]))  # what a second delivery doubles
    (query,) = [query for query in documented_queries() if "AS failures" in query]

    found = as_athena(downloaded(rows, tmp_path)).execute(query).fetchall()

    assert sorted(found) == [
        ("2031-03-04", "09", "postgresql", "mallory", "10.9.8.7", 5),
        ("2031-03-04", "10", "postgresql", "mallory", "10.9.8.7", 2),
        ("2031-03-05", "09", "mysql", "shop_rw", "10.9.8.7", 1),
        ("2031-03-05", "09", "postgresql", "o'hara", "10.9.8.7", 1),
    ]


@pytest.mark.node
def test_one_of_each_doubled_row_can_be_taken(rows: Rows, tmp_path: Path) -> None:
    record = rows.ingest.record(events(3, **DDL))
    for _ in range(2):
        rows.ingest.invoke(record)
        rows.ingest.cold_start()
    (query,) = [query for query in documented_queries() if "copy = 1" in query]
    connection = as_athena(downloaded(rows, tmp_path))

    assert connection.execute("SELECT count(*) FROM das_rows").fetchall() == [(6,)]
    assert len(connection.execute(query).fetchall()) == 3


@pytest.mark.node
def test_columns_of_the_table_hold_what_the_index_holds(rows: Rows, tmp_path: Path) -> None:
    """Each column of the table is in the rows; one is in those of a replay alone."""
    native = {"SCN": 7001002, "scn": 1}
    compiled = tmp_path / "actors.json"
    compiled.write_bytes(actors.dump(shipped_actors()))
    rows.ingest.configure(ACTORS=str(compiled))
    keep(rows.ingest, named(rows.ingest.database()))
    learn(rows.ingest)
    records = [
        rows.ingest.record([postgresql_event(paramList=["a", "b"], errorMessage="x", dbid="9", dbUserName="RDSADMIN")]),
        rows.ingest.record([mysql_event(novel={"Deep": "x"}, rowCount=2**40), mysql_event(logTime=None)]),
        rows.ingest.record([oracle_event(engineNativeAuditFields=native, much="x" * 9_000)]),
        rows.ingest.record([sqlserver_event()]),
    ]
    rows.ingest.invoke(*records)
    table = read_table()

    connection = as_athena(downloaded(rows, tmp_path))

    found = connection.execute(f"SELECT {', '.join(table.columns)}, activity FROM das_rows").fetchall()
    by_id = {hit["_id"]: hit["_source"] for hit in rows.ingest.hits()}
    seen: set[str] = set()
    assert len(found) == len(by_id) == 5
    for found_row in found:
        values = dict(zip([*table.fields.values(), "activity"], found_row, strict=True))
        source = by_id[values.pop("eventId")]
        for field, value in values.items():
            seen |= {field} if value is not None else set()
            if isinstance(value, str) and isinstance(source[field], dict):
                assert orjson.loads(value) == source[field]
            else:
                assert value == source.get(field), field
    assert seen == mapped_fields() - {"replayedAt"}


@pytest.mark.node
@pytest.mark.parametrize("query", documented_queries())
def test_the_documented_queries_run_on_the_producers_traffic(rows: Rows, tmp_path: Path, query: str) -> None:
    keys = KmsDataKeys(rows.aws.kms(), rows.ingest.kms_key_id, 100)
    rows.ingest.invoke(
        *(
            rows.ingest.delivered(
                seal(record.monitoring_record, record.database, keys.for_record(record.database)), record.database
            )
            for record in produce(3, START, 600)
        )
    )

    assert as_athena(downloaded(rows, tmp_path)).execute(query).fetchall()
