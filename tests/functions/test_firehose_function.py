"""The transformation for Firehose: real cryptography, KMS behind HTTP, Firehose's own shapes."""

from __future__ import annotations

import base64
import gzip
import json
import secrets
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import boto3
import orjson
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from daswatch.aws.kms import DataKeys
from daswatch.deadline import Deadline
from daswatch.documents.activity import Activity
from daswatch.documents.decoder import DecodedRecord, RecordDecoder
from daswatch.documents.document import Document, Flattening
from daswatch.documents.noise import DEFAULT_EXCLUDED_USERS, Noise
from daswatch.documents.redaction import Redaction
from daswatch.documents.row_formats import row, splunk_event
from daswatch.errors import DecryptError, KmsUnavailable, Reason, SettingsError
from daswatch.records.envelope import StreamSource
from daswatch.settings import StreamSettings
from demo.aws import REGION, LocalAws
from demo.delivery import transformation_event
from demo.ledger import LedgerEntry, compare
from demo.rds import envelope, seal
from demo.stream import InvocationContext
from demo.traffic import produce
from firehose_lambda import handler as handler_module
from firehose_lambda.handler import Function, handler, invoke
from firehose_lambda.settings import Settings, read_settings
from firehose_lambda.transform import (
    MAX_ANSWER_BYTES,
    Compression,
    FirehoseRecord,
    Form,
    Transformation,
    TransformReport,
)
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event
from tests.fakes.clock import Clock
from tests.harness.firehose import ARRIVAL, FirehoseFunction, content_of, firehose_record, rows_of

SECRET = "s3cret-of-the-payload"
HEARTBEAT = {"type": "heartbeat"}
STREAM_ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A"


@pytest.fixture
def firehose(
    aws: LocalAws, kms_key_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[FirehoseFunction]:
    for name in ("OUTPUT_FORM", "COMPRESS", "ACTIVITIES"):
        monkeypatch.delenv(name, raising=False)
    function = FirehoseFunction(aws, kms_key_id, secrets.token_hex(6), monkeypatch, capsys)
    function.configure()
    yield function
    function.cold_start()


def results(answers: Sequence[Mapping[str, Any]]) -> list[str]:
    return [answer["result"] for answer in answers]


# Rows.


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize(
    ("engine", "event"),
    [
        ("postgresql", postgresql_event()),
        ("mysql", mysql_event()),
        ("oracle", oracle_event()),
        ("sqlserver", sqlserver_event()),
    ],
)
def test_a_records_events_become_rows(
    firehose: FirehoseFunction, engine: Any, event: dict[str, Any], signed: bool
) -> None:
    database = firehose.database(engine, signed=signed)

    (answer,) = firehose.invoke(
        firehose.sealed(event, {**event, "sessionId": "other"}, database=database), database=database
    )

    first, second = rows_of(answer)
    assert (first["engine"], first["activity"], first["resourceId"]) == (engine, "DQL", database.resource_id)
    assert first["commandText"] == event["commandText"]
    assert (second["sessionId"], second["eventId"] == first["eventId"]) == ("other", False)
    assert answer["metadata"] == {
        "partitionKeys": {
            "activity": "DQL",
            "engine": engine,
            "resourceId": database.resource_id,
            "date": "2031-03-04",
            "hour": "11",
        }
    }


def test_the_rows_of_the_producers_traffic_are_its_ledger(firehose: FirehoseFunction) -> None:
    entries: list[LedgerEntry] = []
    batches: dict[str, tuple[Any, list[bytes]]] = {}
    for produced in produce(7, ARRIVAL, 1_500):
        entries += produced.entries
        database = produced.database
        sealed = seal(produced.monitoring_record, database, firehose.data_key(database))
        batches.setdefault(database.resource_id, (database, []))[1].append(sealed)

    rows = [row for database, batch in batches.values() for row in rows_of(*firehose.invoke(*batch, database=database))]

    comparison = compare(entries, rows)
    assert comparison.ok, comparison
    assert comparison.found > 1_000
    assert {"CONNECT", "AUTH FAILURE", "DDL", "DML", "DQL", "DCL"} <= set(comparison.counts)


def test_auroras_rows_for_each_object_are_delivered_as_they_are(firehose: FirehoseFunction) -> None:
    database = firehose.database("mysql")
    events = [mysql_event(), mysql_event(**{"class": "AUX", "objectName": "t_other", "substatementId": 2})]

    (answer,) = firehose.invoke(firehose.sealed(*events, database=database), database=database)

    assert [row["class"] for row in rows_of(answer)] == ["MAIN", "AUX"]


def test_a_row_without_a_time_of_its_own_takes_its_arrivals_in_kinesis(firehose: FirehoseFunction) -> None:
    (answer,) = firehose.invoke(firehose.sealed(postgresql_event(logTime=None)))

    (row,) = rows_of(answer)
    assert row["@timestamp"] == "2031-03-04T11:22:40.125Z"
    assert row["ingestNotes"] == ["time-missing"]


@pytest.mark.parametrize("metadata", [None, {}, {"approximateArrivalTimestamp": "soon"}, 5])
def test_without_kinesis_arrival_it_takes_firehoses(firehose: FirehoseFunction, metadata: object) -> None:
    record = {**firehose_record(firehose.sealed(postgresql_event(logTime=None))), "kinesisRecordMetadata": metadata}

    (answer,) = firehose.invoke_event(transformation_event([record], firehose.database().stream_arn(REGION)))

    assert rows_of(answer)[0]["@timestamp"] == "2031-03-04T11:22:41.025Z"


@pytest.mark.parametrize("arrival", [None, "soon", -5, 10**20, 10**400, True, {}])
def test_without_any_arrival_it_takes_the_invocations_time(firehose: FirehoseFunction, arrival: object) -> None:
    record = firehose_record(firehose.sealed(postgresql_event(logTime=None)))
    record |= {"approximateArrivalTimestamp": arrival, "kinesisRecordMetadata": None}

    (answer,) = firehose.invoke_event(transformation_event([record], firehose.database().stream_arn(REGION)))

    (row,) = rows_of(answer)
    assert row["@timestamp"] == row["ingestedAt"]


def test_a_record_of_several_activities_goes_to_a_folder_that_says_so(firehose: FirehoseFunction) -> None:
    events = [
        postgresql_event(logTime="2031-03-04 12:00:00+00"),
        postgresql_event(logTime="2031-03-04 11:59:59.9+00", command="DROP TABLE"),
    ]

    mixed, alone = firehose.invoke(firehose.sealed(*events), firehose.sealed(events[1]))

    assert mixed["metadata"]["partitionKeys"]["activity"] == "MIXED"
    assert mixed["metadata"]["partitionKeys"]["hour"] == "11"
    assert [row["activity"] for row in rows_of(mixed)] == ["DQL", "DDL"]
    assert alone["metadata"]["partitionKeys"]["activity"] == "DDL"


def test_a_warm_function_asks_kms_once(firehose: FirehoseFunction) -> None:
    firehose.invoke(*(firehose.sealed(postgresql_event(pid=pid)) for pid in range(5)))
    first = firehose.metrics
    firehose.invoke(firehose.sealed(postgresql_event()))

    assert (first["KmsCalls"], first["DataKeyCacheHits"]) == (1, 4)
    assert ("KmsCalls" in firehose.metrics, firehose.metrics["DataKeyCacheHits"]) == (False, 1)


def test_redaction_is_a_setting(firehose: FirehoseFunction) -> None:
    firehose.configure(REDACT="literals")

    (answer,) = firehose.invoke(firehose.sealed(postgresql_event(commandText=f"select '{SECRET}'")))

    assert SECRET.encode() not in content_of(answer)
    assert rows_of(answer)[0]["commandText"] == "select ?"


# Noise, and activities that nobody asked for.


@pytest.mark.parametrize(
    "events",
    [
        [],
        [HEARTBEAT],
        [
            HEARTBEAT,
            postgresql_event(dbUserName="rdsadmin", remoteHost="localhost"),
            oracle_event(dbUserName="RDSSEC", remoteHost="localhost"),
        ],
    ],
    ids=["nothing", "a heartbeat", "noise"],
)
def test_a_record_of_nothing_but_noise_is_dropped(firehose: FirehoseFunction, events: list[dict[str, Any]]) -> None:
    (answer,) = firehose.invoke(firehose.sealed(*events))

    assert (answer["result"], answer["data"]) == ("Dropped", "")
    assert firehose.metrics["RecordsDropped"] == 1


def test_noise_is_left_out_of_a_record_and_failed_logins_are_no_noise(firehose: FirehoseFunction) -> None:
    events = [
        HEARTBEAT,
        postgresql_event(dbUserName="rdsadmin", remoteHost="localhost"),
        postgresql_event(dbUserName="rdsadmin", command="AUTH FAILURE", exitCode="28P01"),
        postgresql_event(),
    ]

    (answer,) = firehose.invoke(firehose.sealed(*events))

    assert [row["activity"] for row in rows_of(answer)] == ["AUTH FAILURE", "DQL"]
    assert firehose.log["dropped"] == {"heartbeat": 1, "aws-user": 1}
    assert firehose.log["dropped_users"] == {"db-WRITER": {"rdsadmin": 1}}


def test_the_excluded_users_are_a_setting(firehose: FirehoseFunction) -> None:
    firehose.configure(EXCLUDED_USERS="Backup")

    (answer,) = firehose.invoke(
        firehose.sealed(postgresql_event(dbUserName="Backup"), postgresql_event(dbUserName="rdsadmin"))
    )

    assert [row["dbUserName"] for row in rows_of(answer)] == ["rdsadmin"]


def test_only_the_activities_that_are_named_are_delivered(firehose: FirehoseFunction) -> None:
    firehose.configure(ACTIVITIES="ddl, AUTH FAILURE")
    login = postgresql_event(command="AUTH FAILURE", exitCode="28P01")
    both = firehose.sealed(postgresql_event(), postgresql_event(command="DROP TABLE"), postgresql_event(), login)

    answers = firehose.invoke(both, firehose.sealed(postgresql_event()), firehose.sealed(HEARTBEAT))

    assert results(answers) == ["Ok", "Dropped", "Dropped"]
    assert [row["activity"] for row in rows_of(answers[0])] == ["DDL", "AUTH FAILURE"]
    assert (firehose.log["left_out"], firehose.log["rows"], firehose.metrics["EventsLeftOut"]) == (3, 2, 3)


# What cannot become rows.


def bad_base64(firehose: FirehoseFunction) -> str:
    return "no base64 at all, ‘really’\n"


def no_json(firehose: FirehoseFunction) -> bytes:
    return b"no JSON"


def no_envelope(firehose: FirehoseFunction) -> bytes:
    return b'{"type": "DatabaseActivityMonitoringRecords"}'


def another_type(firehose: FirehoseFunction) -> bytes:
    return b'{"type": "Other", "databaseActivityEvents": "", "key": "a"}'


def no_key(firehose: FirehoseFunction) -> bytes:
    return b'{"type": "DatabaseActivityMonitoringRecords", "databaseActivityEvents": "", "key": ""}'


def another_databases_key(firehose: FirehoseFunction) -> bytes:
    return firehose.sealed(postgresql_event(), database=firehose.database("mysql"))


def changed_ciphertext(firehose: FirehoseFunction) -> bytes:
    fields = orjson.loads(firehose.sealed(postgresql_event(commandText=SECRET)))
    ciphertext = bytearray(base64.b64decode(fields["databaseActivityEvents"]))
    ciphertext[-20] ^= 1
    return envelope(bytes(ciphertext), base64.b64decode(fields["key"]), "1.1")


def no_monitoring_record(firehose: FirehoseFunction) -> bytes:
    return firehose.sealed_content(json.dumps([SECRET]).encode())


def no_list(firehose: FirehoseFunction) -> bytes:
    return firehose.sealed_content({"type": "DatabaseActivityMonitoringRecord", "databaseActivityEventList": SECRET})


def entries_that_are_no_objects(firehose: FirehoseFunction) -> bytes:
    return firehose.sealed(postgresql_event(commandText=SECRET), SECRET, None)


def a_message_with_a_tail(firehose: FirehoseFunction) -> bytes:
    fields = orjson.loads(firehose.sealed(postgresql_event(commandText=SECRET)))
    return envelope(base64.b64decode(fields["databaseActivityEvents"]) + b"tail", base64.b64decode(fields["key"]), "1")


UNREADABLE: list[tuple[Callable[[FirehoseFunction], bytes | str], Reason]] = [
    (bad_base64, Reason.NOT_BASE64),
    (no_json, Reason.NOT_JSON),
    (no_envelope, Reason.NOT_AN_ENVELOPE),
    (another_type, Reason.ANOTHER_TYPE),
    (no_key, Reason.DATA_KEY_MISSING),
    (another_databases_key, Reason.DATA_KEY_REFUSED),
    (changed_ciphertext, Reason.NOT_DECRYPTABLE),
    (no_monitoring_record, Reason.NOT_A_MONITORING_RECORD),
    (no_list, Reason.EVENTS_NOT_A_LIST),
    (entries_that_are_no_objects, Reason.EVENT_NOT_AN_OBJECT),
    (a_message_with_a_tail, Reason.TRAILING_BYTES),
]


@pytest.mark.parametrize(("make", "reason"), UNREADABLE, ids=[make.__name__ for make, _ in UNREADABLE])
def test_a_record_that_cannot_be_read_is_given_back_and_its_neighbours_go_on(
    firehose: FirehoseFunction, make: Callable[[FirehoseFunction], bytes | str], reason: Reason
) -> None:
    bad = make(firehose)
    delivered = firehose_record(bad)["data"]

    answers = firehose.invoke(
        firehose.sealed(postgresql_event(pid=1)), bad, firehose.sealed(HEARTBEAT), firehose.sealed(postgresql_event())
    )

    assert results(answers) == ["Ok", "ProcessingFailed", "Dropped", "Ok"]
    assert answers[1]["data"] == delivered
    assert "metadata" not in answers[1]
    assert firehose.log["failed"] == {reason.value: 1}
    assert firehose.metrics["RecordsFailed"] == 1
    assert SECRET not in firehose.printed


@pytest.mark.parametrize("data", [None, 5, {}])
def test_a_record_without_data_is_given_back_without(firehose: FirehoseFunction, data: object) -> None:
    record = {**firehose_record(b""), "data": data}

    (answer,) = firehose.invoke_event(transformation_event([record], firehose.database().stream_arn(REGION)))

    assert (answer["result"], answer["data"]) == ("ProcessingFailed", "")


def test_without_the_streams_arn_every_record_is_given_back(firehose: FirehoseFunction) -> None:
    event = transformation_event(
        [firehose_record(firehose.sealed(postgresql_event()), 1), firehose_record(b"", 2)], "x"
    )
    direct_put = {name: value for name, value in event.items() if name != "sourceKinesisStreamArn"}

    for one in (event, direct_put):
        answers = firehose.invoke_event(one)

        assert results(answers) == ["ProcessingFailed"] * 2
        assert answers[0]["data"] == event["records"][0]["data"]
        assert firehose.log["failed"] == {"not-an-activity-stream": 2}


def test_the_ceiling_on_the_decompressed_size_is_a_setting(firehose: FirehoseFunction) -> None:
    firehose.configure(MAX_PLAINTEXT_BYTES="2048")

    answers = firehose.invoke(
        firehose.sealed(postgresql_event(commandText="x" * 3_000)), firehose.sealed(postgresql_event())
    )

    assert results(answers) == ["ProcessingFailed", "Ok"]
    assert firehose.log["failed"] == {"too-large": 1}


def test_a_defect_of_ours_costs_one_record_its_rows_and_nothing_else(firehose: FirehoseFunction) -> None:
    class Broken(RecordDecoder):
        def decode(self, data: str, *arguments: Any) -> DecodedRecord:
            raise ZeroDivisionError(SECRET)

    function = Function(Settings(), firehose.aws.kms())
    function.transformation._decoder = Broken(None, None)  # type: ignore[arg-type]

    answer = invoke(function, transformation_event([firehose_record(b"x")], STREAM_ARN), InvocationContext())

    assert answer["records"][0]["result"] == "ProcessingFailed"
    assert answer["records"][0]["data"] == base64.b64encode(b"x").decode()


# KMS.


@pytest.mark.parametrize("code", ["KMSInvalidStateException", "AccessDeniedException", "DisabledException"])
def test_invocation_fails_while_kms_does_not_serve(
    firehose: FirehoseFunction, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    """Firehose then invokes it again."""
    kms = boto3.client("kms", region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
    event = transformation_event(
        [firehose_record(firehose.sealed(postgresql_event()))], firehose.database().stream_arn(REGION)
    )
    function = Function(Settings(), kms)

    with Stubber(kms) as stub:
        stub.add_client_error("decrypt", code)
        with pytest.raises(KmsUnavailable, match=code):
            invoke(function, event, InvocationContext())

    line = orjson.loads(capsys.readouterr().out)
    assert (line["level"], line["cause"]) == ("ERROR", f"KMS Decrypt: {code}")
    assert (line["BatchesToRetry"], "RowsDelivered" in line) == ([1.0], False)


def test_what_comes_after_an_outage_is_answered_as_ever(firehose: FirehoseFunction) -> None:
    event = transformation_event(
        [firehose_record(firehose.sealed(postgresql_event()))], firehose.database().stream_arn(REGION)
    )
    kms = boto3.client("kms", region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
    function = Function(Settings(), kms)
    with Stubber(kms) as stub:
        stub.add_client_error("decrypt", "KMSInvalidStateException")
        stub.add_response("decrypt", {"Plaintext": firehose.data_key(firehose.database()).plaintext})
        with pytest.raises(KmsUnavailable):
            invoke(function, event, InvocationContext())

        answer = invoke(function, event, InvocationContext())

    assert len(rows_of(*answer["records"])) == 1


# The size of the answer.


def wide_event(megabytes: float, **changes: Any) -> dict[str, Any]:
    """An event whose row is large and whose stream record is small."""
    return postgresql_event(commandText="select 1 -- " + "x" * int(megabytes * 1024 * 1024), **changes)


def lambdas_bytes(answers: Sequence[Mapping[str, Any]]) -> int:
    """What Lambda holds against its limit."""
    return len(json.dumps({"records": list(answers)}))


def test_what_does_not_fit_into_the_answer_is_given_back(firehose: FirehoseFunction) -> None:
    batch = [firehose.sealed(wide_event(2, pid=1)), firehose.sealed(wide_event(2, pid=2)), firehose.sealed(HEARTBEAT)]
    batch += [firehose.sealed(wide_event(2, pid=4)), firehose.sealed(postgresql_event(pid=5))]

    answers = firehose.invoke(*batch)

    assert results(answers) == ["Ok", "Ok", "Dropped", "ProcessingFailed", "Ok"]
    assert [row["pid"] for row in rows_of(*answers)] == [1, 2, 5]
    assert content_of(answers[3]) == batch[3]
    assert 5 * 1024 * 1024 < lambdas_bytes(answers) <= MAX_ANSWER_BYTES
    assert (firehose.log["without_room"], firehose.log["failed"]) == (1, {})
    assert (firehose.metrics["RecordsOverResponseLimit"], firehose.log["level"]) == (1, "WARNING")


def test_compressed_the_same_batch_fits_and_reads_back_as_one_gzip_object(firehose: FirehoseFunction) -> None:
    firehose.configure(COMPRESS="gzip")

    answers = firehose.invoke(*(firehose.sealed(wide_event(2, pid=pid)) for pid in range(1, 9)))

    assert results(answers) == ["Ok"] * 8
    assert [row["pid"] for row in rows_of(*answers, compressed=True)] == list(range(1, 9))
    assert lambdas_bytes(answers) < 1024 * 1024


def test_with_compression_every_record_is_a_member_however_small(firehose: FirehoseFunction) -> None:
    # An object of members and of plain rows could be read by nobody.
    firehose.configure(COMPRESS="gzip")

    (answer,) = firehose.invoke(firehose.sealed(postgresql_event()))

    assert len(gzip.decompress(content_of(answer)).splitlines()) == 1
    assert answer["metadata"]["partitionKeys"]["activity"] == "DQL"


@pytest.mark.parametrize(("compress", "result"), [("none", "ProcessingFailed"), ("gzip", "Ok")])
def test_a_record_whose_rows_alone_pass_the_limit_is_given_back(
    firehose: FirehoseFunction, compress: str, result: str
) -> None:
    firehose.configure(COMPRESS=compress)
    large, small = firehose.sealed(wide_event(3), wide_event(3, pid=2)), firehose.sealed(postgresql_event())

    answers = firehose.invoke(small, large, small)

    assert results(answers) == ["Ok", result, "Ok"]
    if result == "ProcessingFailed":
        assert content_of(answers[1]) == large


LATER = Deadline.after(3600, Clock())


class Prepared(RecordDecoder):
    """Opens what a test says a record holds: so many bytes of SQL, nothing, or a failure."""

    def __init__(self, outcomes: Mapping[str, int | None]) -> None:
        self._outcomes = outcomes

    def decode(
        self, data: str, stream: StreamSource, arrived_at: str, flattening: Flattening, deadline: Deadline
    ) -> DecodedRecord:
        size = self._outcomes[data[:6]]
        if size is None:
            raise DecryptError(Reason.NOT_DECRYPTABLE, "as the test says")
        documents = [document_of(size)] if size else []
        return DecodedRecord("db-WRITER", len(documents), documents, {Noise.HEARTBEAT: 1}, "", None, 0.0, 0.0)


def document_of(size: int) -> Document:
    source = {
        "@timestamp": "2031-03-04T11:22:33Z",
        "activity": "DML",
        "engine": "mysql",
        "outcome": "success",
        "resourceId": "cluster-A",
        "commandText": "x" * size,
    }
    return Document("das-events-2031.03.04", f"id-{size}", source)


def transformed(batch: Sequence[tuple[str, int, int | None]], form: Form, compression: Compression) -> TransformReport:
    """Answer a batch of (record id, bytes of the original, bytes of SQL in it)."""
    outcomes = {f"{number:06}": size for number, (_, _, size) in enumerate(batch)}
    transformation = Transformation(
        decoder=Prepared(outcomes),
        data_keys=DataKeys(None),  # type: ignore[arg-type]
        form=form,
        compression=compression,
        activities=frozenset(Activity),
    )
    records = [
        FirehoseRecord(record_id, f"{number:06}".ljust(original, "A"), "2031-03-04T11:22:34.000Z")
        for number, (record_id, original, _) in enumerate(batch)
    ]
    return transformation.run(records, STREAM_ARN, Flattening("2031-03-04T11:22:35.000Z"), LATER)


# Firehose hands over 6 MB at most, of which its own fields take more than our answer's do.
originals = st.sampled_from([6, 400, 20_000, 200_000, 420_000])
sizes = st.one_of(
    st.none(),
    st.sampled_from([0, 1, 3_000, 100_000, 1_400_000, 4_600_000, 4_718_000, 4_718_592, 9_000_000]),
    st.integers(4_500_000, 4_720_000),
)
batches = st.lists(st.tuples(st.text(max_size=20), originals, sizes), max_size=12)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@hypothesis_settings(max_examples=60)
@given(batches, st.sampled_from(Form), st.booleans())
def test_any_answer_fits_and_answers_each_record_once_in_order(
    batch: list[tuple[str, int, int | None]], form: Form, compress: bool
) -> None:
    compression = Compression.GZIP if compress and form is Form.S3 else Compression.NONE

    report = transformed(batch, form, compression)

    assert lambdas_bytes(report.answers) <= MAX_ANSWER_BYTES
    assert [answer["recordId"] for answer in report.answers] == [record_id for record_id, _, _ in batch]
    for number, (answer, (_, original, size)) in enumerate(zip(report.answers, batch, strict=True)):
        if answer["result"] == "ProcessingFailed":
            assert answer["data"] == f"{number:06}".ljust(original, "A")
            assert size is None or size > 0
        elif answer["result"] == "Dropped":
            assert size == 0
        else:
            content = base64.b64decode(answer["data"])
            content = gzip.decompress(content) if compression is Compression.GZIP else content
            assert content.count(b'"%s"' % (b"x" * (size or 0))) == 1
    given_back = sum(answer["result"] == "ProcessingFailed" for answer in report.answers)
    assert given_back == report.failed.total() + report.without_room
    assert report.failed.total() == sum(size is None for _, _, size in batch)


def test_the_answer_is_filled_to_the_last_bytes_and_no_further() -> None:
    def answered(size: int) -> TransformReport:
        batch = [("first", 400, None), ("second", 400, size), ("third", 400, None)]
        return transformed(batch, Form.S3, Compression.NONE)

    # Base64 comes in fours, so the first size that does not fit is found by halves.
    too_large = bisect_left(range(5_000_000), True, lo=4_000_000, key=lambda size: answered(size).without_room > 0)

    assert MAX_ANSWER_BYTES - 8 < lambdas_bytes(answered(too_large - 1).answers) <= MAX_ANSWER_BYTES
    assert results(answered(too_large).answers) == ["ProcessingFailed"] * 3


def test_a_large_record_leaves_room_for_the_originals_behind_it() -> None:
    report = transformed(
        [("first", 400, 3_200_000), ("second", 2_500_000, None), ("third", 400, 3_000)], Form.S3, Compression.NONE
    )

    assert results(report.answers) == ["ProcessingFailed", "ProcessingFailed", "Ok"]
    assert report.without_room == 1


# Forms.


def test_splunk_gets_events_of_its_collector(firehose: FirehoseFunction) -> None:
    firehose.configure(OUTPUT_FORM="splunk")

    (answer,) = firehose.invoke(firehose.sealed(postgresql_event(), HEARTBEAT, postgresql_event(pid=2)))

    first, second = (orjson.loads(line) for line in content_of(answer).splitlines())
    assert set(first) == {"event", "fields", "host", "source", "sourcetype", "time"}
    assert first["source"] == firehose.database().stream_name
    assert (first["host"], first["time"]) == ("db-WRITER", 1930389753.445)
    assert (first["event"]["pid"], second["event"]["pid"]) == (21044, 2)
    assert "metadata" not in answer


def test_opensearch_gets_one_document_for_each_record(firehose: FirehoseFunction) -> None:
    firehose.configure(OUTPUT_FORM="opensearch")

    (answer,) = firehose.invoke(firehose.sealed(postgresql_event(), postgresql_event(command="DROP TABLE")))

    content = content_of(answer)
    assert content.count(b"\n") == 1
    document = orjson.loads(content)
    assert (document["eventCount"], document["activity"]) == (2, ["DDL", "DQL"])
    assert [event["activity"] for event in document["events"]] == ["DQL", "DDL"]
    assert "metadata" not in answer


@pytest.mark.parametrize("form", ["splunk", "opensearch"])
def test_other_forms_know_the_limit_too(firehose: FirehoseFunction, form: str) -> None:
    firehose.configure(OUTPUT_FORM=form)

    answers = firehose.invoke(*(firehose.sealed(wide_event(2, pid=pid)) for pid in range(4)))

    assert results(answers) == ["Ok", "Ok", "ProcessingFailed", "ProcessingFailed"]
    assert lambdas_bytes(answers) <= MAX_ANSWER_BYTES


def test_rows_and_events_are_those_of_the_library() -> None:
    document = document_of(10)

    (rows,) = transformed([("1", 6, 10)], Form.S3, Compression.NONE).answers
    (events,) = transformed([("1", 6, 10)], Form.SPLUNK, Compression.NONE).answers

    assert content_of(rows) == row(document)
    assert content_of(events) == splunk_event(document)


# Settings and logs.


def test_no_setting_is_needed() -> None:
    assert read_settings({}) == Settings()
    assert Settings().activities == frozenset(Activity)


def test_every_setting_is_read() -> None:
    settings = read_settings(
        {
            "OUTPUT_FORM": "s3",
            "COMPRESS": "gzip",
            "ACTIVITIES": "DDL, auth failure ,,",
            "EXCLUDED_USERS": "Backup, ",
            "REDACT": "hash",
            "MAX_PLAINTEXT_BYTES": "2048",
            "MAX_DATA_KEYS": "7",
            "MAX_DATA_KEY_AGE_SECONDS": "60",
        }
    )

    assert settings == Settings(
        form=Form.S3,
        compression=Compression.GZIP,
        activities=frozenset({Activity.DDL, Activity.AUTH_FAILURE}),
        stream=StreamSettings(
            excluded_users=frozenset({"Backup"}),
            redaction=Redaction.HASH,
            max_plaintext_bytes=2048,
            max_data_keys=7,
            max_data_key_age_seconds=60,
        ),
    )


@pytest.mark.parametrize("blank", ["", " ", ",", " , "])
def test_a_blank_list_is_the_default(blank: str) -> None:
    settings = read_settings({"ACTIVITIES": blank, "EXCLUDED_USERS": blank if "," not in blank else ""})

    assert settings.activities == frozenset(Activity)
    assert settings.stream.excluded_users == DEFAULT_EXCLUDED_USERS


def test_unknown_activity_lists_valid_ones() -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({"ACTIVITIES": "DDL,SELECT"})

    (problem,) = error.value.problems
    assert problem.startswith("ACTIVITIES ")
    assert all(activity.value in problem for activity in Activity)
    assert "SELECT" not in problem


@pytest.mark.parametrize("form", ["splunk", "opensearch"])
def test_only_s3_reads_gzip_members(form: str) -> None:
    with pytest.raises(SettingsError, match=r"COMPRESS .*OUTPUT_FORM=s3"):
        read_settings({"OUTPUT_FORM": form, "COMPRESS": "gzip"})


def test_all_setting_problems_are_reported_first(firehose: FirehoseFunction) -> None:
    names = ("OUTPUT_FORM", "COMPRESS", "ACTIVITIES", "REDACT", "MAX_DATA_KEYS")
    firehose.configure(**dict.fromkeys(names, "nonsense"))

    with pytest.raises(SettingsError) as error:
        handler({"records": None}, InvocationContext())

    assert {problem.split()[0] for problem in error.value.problems} == set(names)
    assert "nonsense" not in str(error.value)


def test_log_line_has_counts_and_durations_only(firehose: FirehoseFunction) -> None:
    event = postgresql_event(commandText=f"select '{SECRET}'", dbUserName=SECRET)

    firehose.invoke(firehose.sealed(event, HEARTBEAT), firehose.sealed(HEARTBEAT), b"bad")

    assert len(firehose.printed.splitlines()) == 1
    assert SECRET not in firehose.printed
    line = firehose.log
    assert {name: line[name] for name in ("records", "events", "rows", "records_dropped", "without_room")} == {
        "records": 3,
        "events": 3,
        "rows": 1,
        "records_dropped": 1,
        "without_room": 0,
    }
    assert (line["dropped"], line["failed"]) == ({"heartbeat": 2}, {"not-json": 1})
    assert (line["request_id"], line["service"]) == (InvocationContext().aws_request_id, "firehose")
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Daswatch"
    assert firehose.metrics["RowsDelivered"] == 1
    assert firehose.metrics["TotalDuration"] > 0
    assert firehose.metrics["NewestEventAge"] != 0


def test_a_batch_of_nothing_is_answered_with_nothing(firehose: FirehoseFunction) -> None:
    assert firehose.invoke() == []
    assert "NewestEventAge" not in firehose.metrics


def test_an_event_that_is_not_firehoses_fails_instead_of_answering_nothing(firehose: FirehoseFunction) -> None:
    with pytest.raises(KeyError):
        handler({"Records": []}, InvocationContext())
    assert handler_module.warm_function.cache_info().currsize == 1
