"""Bad input on a real node: a clear reason, the record kept as delivered, its neighbors indexed, nothing lost.

Every case stands between two good records of the same batch.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError

from daswatch.documents import decoder
from daswatch.documents.document import Flattened, flatten
from daswatch.records.monitoring_record import MonitoringRecord
from demo.rds import encrypt, envelope, to_json
from tests.builders.events import mysql_event, postgresql_event
from tests.harness.ingest import IngestFunction

pytestmark = pytest.mark.node

SECRET = "s3cret-of-the-payload"
STATEMENT = f"select '{SECRET}' from t_bad"

Record = dict[str, Any]
Make = Callable[[IngestFunction], Record]


# What the cases are made of.


def monitoring_record(*events: object, **changes: Any) -> dict[str, Any]:
    return {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": "cluster-A",
        "instanceId": "db-WRITER",
        "databaseActivityEventList": list(events),
        **changes,
    }


def bad_event(**changes: Any) -> dict[str, Any]:
    """A plausible event whose statement must not appear in a log."""
    return postgresql_event(commandText=STATEMENT, **changes)


def event_json(replacement: bytes, **changes: Any) -> bytes:
    """A monitoring record in which "HERE" is replaced by JSON, or by bytes, that no JSON writer would make."""
    return to_json(monitoring_record(bad_event(**changes))).replace(b'"HERE"', replacement)


def sealed_envelope(ingest: IngestFunction, **changes: Any) -> dict[str, Any]:
    """The envelope of a good record; tests change its fields."""
    record = ingest.record([bad_event()])
    fields = orjson.loads(base64.b64decode(record["kinesis"]["data"]))
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def ciphertext_of(ingest: IngestFunction, payload: bytes, *, signed: bool = False) -> bytes:
    """The payload as an Encryption SDK message: what stands where the gzip member should be."""
    return encrypt(payload, ingest.data_key(ingest.database()), signed=signed)


def with_ciphertext(ingest: IngestFunction, ciphertext: bytes) -> Record:
    database = ingest.database()
    return ingest.delivered(envelope(ciphertext, ingest.data_key(database).wrapped, database.version))


def with_payload(ingest: IngestFunction, payload: bytes) -> Record:
    return with_ciphertext(ingest, ciphertext_of(ingest, payload))


def gzipped(*events: object) -> bytes:
    return gzip.compress(to_json(monitoring_record(*events)))


def with_data(ingest: IngestFunction, data: object) -> Record:
    """A stream record whose data, as Lambda gives it, is this."""
    record = ingest.delivered(b"")
    return {**record, "kinesis": {**record["kinesis"], "data": data}}


def flipped_bit(ingest: IngestFunction) -> Record:
    ciphertext = bytearray(ciphertext_of(ingest, gzipped(bad_event())))
    ciphertext[len(ciphertext) // 2] ^= 1
    return with_ciphertext(ingest, bytes(ciphertext))


def key_of_another_cluster(ingest: IngestFunction) -> Record:
    """Sealed for another cluster, under its key, and put into our stream."""
    other = ingest.database(name="OTHER")
    return {**ingest.record([bad_event()], other), "eventSourceARN": ingest.delivered(b"")["eventSourceARN"]}


def wrong_data_key(ingest: IngestFunction) -> Record:
    """KMS knows the wrapped key of the envelope, but the message is encrypted under another."""
    database, other = ingest.database(), ingest.database(name="OTHER")
    ciphertext = encrypt(gzipped(bad_event()), ingest.data_key(other), signed=False)
    return ingest.delivered(envelope(ciphertext, ingest.data_key(database).wrapped, database.version))


DEAD: dict[str, tuple[Make, str]] = {
    # The stream record.
    "not base64": (lambda ingest: with_data(ingest, f"%%% {SECRET}"), "not-base64"),
    "data that is a number": (lambda ingest: with_data(ingest, 17), "not-json"),
    "data that is an object": (lambda ingest: with_data(ingest, {"data": SECRET}), "not-json"),
    "data that is null": (lambda ingest: with_data(ingest, None), "not-json"),
    "without kinesis": (
        lambda ingest: {"eventSourceARN": ingest.delivered(b"")["eventSourceARN"], "note": SECRET},
        "not-json",
    ),
    "kinesis that is text": (lambda ingest: {**ingest.record([bad_event()]), "kinesis": SECRET}, "not-json"),
    # The envelope.
    "not JSON": (lambda ingest: ingest.delivered(SECRET.encode()), "not-json"),
    "JSON but no object": (lambda ingest: ingest.delivered(to_json({"a": 1}) + SECRET.encode()), "not-json"),
    "not an envelope": (lambda ingest: ingest.delivered(orjson.dumps([SECRET])), "not-an-envelope"),
    "an envelope that is decrypted already": (
        lambda ingest: ingest.delivered(
            orjson.dumps(sealed_envelope(ingest, databaseActivityEvents=monitoring_record(bad_event())))
        ),
        "not-an-envelope",
    ),
    "an envelope of another type": (
        lambda ingest: ingest.delivered(orjson.dumps(sealed_envelope(ingest, type=SECRET))),
        "another-type",
    ),
    "a missing data key": (
        lambda ingest: ingest.delivered(orjson.dumps(sealed_envelope(ingest, key=None))),
        "data-key-missing",
    ),
    "a data key that is not base64": (
        lambda ingest: ingest.delivered(orjson.dumps(sealed_envelope(ingest, key=f"%{SECRET}"))),
        "not-base64",
    ),
    # The data key.
    "a data key that KMS does not know": (
        lambda ingest: ingest.delivered(
            orjson.dumps(sealed_envelope(ingest, key=base64.b64encode(b"nothing that KMS made").decode()))
        ),
        "data-key-refused",
    ),
    "a data key of another cluster": (key_of_another_cluster, "data-key-refused"),
    "a wrong data key": (wrong_data_key, "not-decryptable"),
    # The message.
    "a flipped bit": (flipped_bit, "not-decryptable"),
    "a truncated message": (
        lambda ingest: with_ciphertext(ingest, ciphertext_of(ingest, gzipped(bad_event()))[:-20]),
        "not-decryptable",
    ),
    "a truncated signed message": (
        lambda ingest: with_ciphertext(ingest, ciphertext_of(ingest, gzipped(bad_event()), signed=True)[:-20]),
        "not-decryptable",
    ),
    "an empty message": (lambda ingest: with_ciphertext(ingest, b""), "not-decryptable"),
    "no message": (lambda ingest: with_ciphertext(ingest, SECRET.encode() * 20), "not-decryptable"),
    # The compression.
    "not gzip": (lambda ingest: with_payload(ingest, to_json(monitoring_record(bad_event()))), "not-gzip"),
    "truncated gzip": (lambda ingest: with_payload(ingest, gzipped(bad_event())[:-9]), "not-gzip"),
    "a gzip bomb": (lambda ingest: with_payload(ingest, gzip.compress(bytes(70 * 1024 * 1024))), "too-large"),
    "a bomb in its second member": (
        lambda ingest: with_payload(ingest, gzipped(bad_event()) + gzip.compress(bytes(70 * 1024 * 1024))),
        "too-large",
    ),
    # The monitoring record.
    "a payload that is no JSON": (lambda ingest: ingest.sealed(SECRET.encode()), "not-a-monitoring-record"),
    "a payload that is a list": (lambda ingest: ingest.sealed(orjson.dumps([bad_event()])), "not-a-monitoring-record"),
    "a second gzip member that is another document": (
        lambda ingest: with_payload(ingest, gzipped(bad_event()) * 2),
        "not-a-monitoring-record",
    ),
    "a monitoring record of another type": (
        lambda ingest: ingest.sealed(monitoring_record(bad_event(), type=SECRET)),
        "another-type",
    ),
    "a list that is not a list": (
        lambda ingest: ingest.sealed(monitoring_record(databaseActivityEventList={"0": bad_event()})),
        "events-not-a-list",
    ),
    "a missing list": (
        lambda ingest: ingest.sealed({"type": "DatabaseActivityMonitoringRecord", "x": SECRET}),
        "events-not-a-list",
    ),
    "nesting without an end": (
        lambda ingest: ingest.sealed(event_json(b"[" * 100_000 + b"]" * 100_000, deep="HERE")),
        "not-a-monitoring-record",
    ),
}

# Whatever cannot be attributed to a database is a dead letter of no database: found by its sequence number.
DEAD_OF_NOBODY: dict[str, Make] = {
    "an ARN that is no text": lambda ingest: {**ingest.record([bad_event()]), "eventSourceARN": ["x"]},
    "no ARN": lambda ingest: {
        name: value for name, value in ingest.record([bad_event()]).items() if name != "eventSourceARN"
    },
}

# Indexed in full, and kept as a dead letter too: something of the record could not be read.
FLAWED: dict[str, tuple[Make, str, int]] = {
    "trailing bytes behind the message": (
        lambda ingest: with_ciphertext(ingest, ciphertext_of(ingest, gzipped(bad_event())) + SECRET.encode()),
        "trailing-bytes",
        1,
    ),
    "trailing bytes behind the gzip member": (
        lambda ingest: with_payload(ingest, gzipped(bad_event()) + SECRET.encode()),
        "trailing-bytes",
        1,
    ),
    "an event that is not an object": (
        lambda ingest: ingest.sealed(monitoring_record(bad_event(pid=1), SECRET, None, [1], bad_event(pid=2))),
        "event-not-an-object",
        2,
    ),
    "no event that is an object": (lambda ingest: ingest.sealed(monitoring_record(1, 2)), "event-not-an-object", 0),
}

# Indexed, whatever it holds.
LONG = "select '" + "x, " * 300_000 + f"{SECRET}'"
NESTED = "".join(f"do $tag{level}$ " for level in range(5_000))
INDEXED: dict[str, tuple[Make, dict[str, Any]]] = {
    "an event of 900 KB": (
        lambda ingest: ingest.record([postgresql_event(commandText=LONG)]),
        {"commandText": LONG},
    ),
    "a word of 900 KB": (
        lambda ingest: ingest.record([postgresql_event(commandText="x" * 900_000)]),
        {"commandText": "x" * 900_000},
    ),
    "dollar quotes in dollar quotes": (
        lambda ingest: ingest.record([postgresql_event(commandText=NESTED)]),
        {"commandText": NESTED},
    ),
    "900 KB in every field of text": (
        lambda ingest: ingest.record(
            [bad_event(**dict.fromkeys(("dbUserName", "objectName", "errorMessage", "remoteHost"), "x" * 200_000))]
        ),
        {"dbUserName": "x" * 200_000, "errorMessage": "x" * 200_000},
    ),
    "a lone surrogate": (
        lambda ingest: ingest.record([postgresql_event(commandText="a\ud800b")]),
        {"commandText": "a\N{REPLACEMENT CHARACTER}b"},
    ),
    "control characters": (
        lambda ingest: ingest.sealed(event_json(b'"\x01\x02\x1b[31m\n"', clientApplication="HERE")),
        {"clientApplication": "\x01\x02\x1b[31m\n"},
    ),
    "NUL": (lambda ingest: ingest.record([postgresql_event(commandText="a\0b")]), {"commandText": "a\0b"}),
    "NaN": (
        lambda ingest: ingest.sealed(event_json(b"NaN", rowCount="HERE")),
        {"unknownFields": {"rowCount": "NaN"}},
    ),
    "invalid UTF-8": (
        lambda ingest: ingest.sealed(event_json(b'"caf\xe9"', clientApplication="HERE")),
        {"clientApplication": "caf\N{REPLACEMENT CHARACTER}"},
    ),
    "a time in 1970": (
        lambda ingest: ingest.record([bad_event(logTime="1970-01-01 00:00:00+00")]),
        {"ingestNotes": ["time-implausible"], "logTime": "1970-01-01 00:00:00+00"},
    ),
    "a time in 2100": (
        lambda ingest: ingest.record([bad_event(logTime="2100-01-01 00:00:00+00")]),
        {"ingestNotes": ["time-implausible"], "logTime": "2100-01-01 00:00:00+00"},
    ),
    "no time": (lambda ingest: ingest.record([bad_event(logTime=None)]), {"ingestNotes": ["time-missing"]}),
    "a time that is no text": (
        lambda ingest: ingest.record([bad_event(logTime={"at": 1})]),
        {"ingestNotes": ["time-unreadable"], "unknownFields": {"logTime": {"at": 1}}},
    ),
    "an unreadable time": (
        lambda ingest: ingest.record([bad_event(logTime="four o'clock")]),
        {"ingestNotes": ["time-unreadable"], "logTime": "four o'clock"},
    ),
    "an event without any field": (lambda ingest: ingest.record([{}]), {"activity": "OTHER"}),
    "a second gzip member that continues the JSON": (
        lambda ingest: with_payload(
            ingest,
            gzip.compress(to_json(monitoring_record(bad_event()))[:100])
            + gzip.compress(to_json(monitoring_record(bad_event()))[100:]),
        ),
        {"commandText": STATEMENT},
    ),
    "zlib instead of gzip": (
        lambda ingest: with_payload(ingest, zlib.compress(to_json(monitoring_record(bad_event())))),
        {"commandText": STATEMENT},
    ),
    "an unknown version": (
        lambda ingest: ingest.delivered(orjson.dumps(sealed_envelope(ingest, version="9.9"))),
        {"version": "9.9", "commandText": STATEMENT},
    ),
    "an arrival that is no time": (
        lambda ingest: _arriving(ingest.record([bad_event()]), "soon"),
        {"commandText": STATEMENT},
    ),
    "an arrival before the epoch": (
        lambda ingest: _arriving(ingest.record([bad_event(logTime=None)]), -86_400),
        {"commandText": STATEMENT},
    ),
    "an arrival after 2262": (
        lambda ingest: _arriving(ingest.record([bad_event(logTime=None)]), 10_000_000_000),
        {"commandText": STATEMENT},
    ),
}


def _arriving(record: Record, at: object) -> Record:
    return {**record, "kinesis": {**record["kinesis"], "approximateArrivalTimestamp": at}}


# The neighbours.

BEFORE, AFTER = "select 'before'", "select 'after'"


def invoke_between_neighbours(ingest: IngestFunction, bad: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Invoke with a good record before and behind; the documents that are not the neighbours'."""
    neighbour = ingest.database("mysql", name="NEIGHBOUR")
    before = ingest.record([mysql_event(commandText=BEFORE)], neighbour)
    after = ingest.record([mysql_event(commandText=AFTER)], neighbour)

    answer = ingest.invoke(before, bad, after)

    documents = ingest.documents()
    assert answer == []
    assert {BEFORE, AFTER} <= {document.get("commandText") for document in documents}
    assert_nothing_logged(ingest)
    return [document for document in documents if document.get("commandText") not in (BEFORE, AFTER)]


def assert_nothing_logged(ingest: IngestFunction) -> None:
    """No SQL, no key, no payload in anything printed."""
    for word in (SECRET, "select", "t_bad", "databaseActivity", "AYAB", "AYAD", "Traceback"):
        assert word not in ingest.printed


def as_json(record: object) -> Any:
    """What a record is once it went through JSON, as the object in S3 did."""
    return json.loads(json.dumps(record))


def assert_kept_as_delivered(ingest: IngestFunction, letter: Mapping[str, Any], record: object, reason: str) -> None:
    stored = ingest.stored(letter["object"])
    assert stored["record"] == as_json(record)
    assert stored["reason"] == reason
    assert SECRET not in json.dumps(letter)
    assert "select" not in json.dumps(letter)


@pytest.mark.parametrize("name", DEAD)
def test_a_record_that_cannot_be_opened_is_kept_with_its_reason(ingest: IngestFunction, name: str) -> None:
    make, reason = DEAD[name]
    bad = make(ingest)

    documents = invoke_between_neighbours(ingest, bad)

    assert documents == []
    (letter,) = ingest.dead_letters()
    assert letter["reason"] == reason
    assert letter["detail"]
    assert_kept_as_delivered(ingest, letter, bad, reason)
    assert ingest.log["dead_letters"] == {reason: 1}
    assert ingest.metrics["DeadLetters"] == 1


@pytest.mark.parametrize("name", DEAD_OF_NOBODY)
def test_a_record_of_no_activity_stream_is_kept_with_its_reason(ingest: IngestFunction, name: str) -> None:
    bad = DEAD_OF_NOBODY[name](ingest)

    documents = invoke_between_neighbours(ingest, bad)

    assert documents == []
    assert ingest.log["dead_letters"] == {"not-an-activity-stream": 1}
    letter = dead_letter_of(ingest, bad["kinesis"]["data"])
    assert letter["reason"] == "not-an-activity-stream"
    assert_kept_as_delivered(ingest, letter, bad, "not-an-activity-stream")


def dead_letter_of(ingest: IngestFunction, data: str) -> dict[str, Any]:
    """The line of a dead letter that belongs to no database, by the data of its record."""
    ingest.search.indices.refresh(index=ingest.indices.dead_letters)
    query = {"query": {"term": {"reason": "not-an-activity-stream"}}, "size": 1000}
    lines = [
        hit["_source"] for hit in ingest.search.search(index=ingest.indices.dead_letters, body=query)["hits"]["hits"]
    ]
    return next(line for line in lines if data in json.dumps(ingest.stored(line["object"])))


@pytest.mark.parametrize("record", [None, 17, SECRET, [SECRET], {}], ids=repr)
def test_what_is_no_record_at_all_is_kept_and_stops_nothing(ingest: IngestFunction, record: Any) -> None:
    assert invoke_between_neighbours(ingest, record) == []

    assert ingest.log["dead_letters"] == {"not-an-activity-stream": 1}


@pytest.mark.parametrize(
    "odd",
    ["\ud800", 2**70, float("nan"), {"a": [[[["x"]]]]}, orjson.loads(b"[" * 900 + b"]" * 900), {1: "one"}],
    ids=["surrogate", "big", "nan", "deep", "very deep", "key"],
)
def test_dead_letter_is_kept_with_odd_neighbors(ingest: IngestFunction, odd: object) -> None:
    bad = {**ingest.delivered(b"no envelope"), "eventID": odd, "more": odd}
    bad["kinesis"] = {**bad["kinesis"], "partitionKey": odd}

    assert invoke_between_neighbours(ingest, bad) == []

    (letter,) = ingest.dead_letters()
    assert letter["reason"] == "not-json"
    assert ingest.stored(letter["object"])["record"]["kinesis"]["data"] == bad["kinesis"]["data"]


@pytest.mark.parametrize("name", FLAWED)
def test_what_can_be_read_of_a_flawed_record_is_indexed_and_the_whole_is_kept(
    ingest: IngestFunction, name: str
) -> None:
    make, reason, count = FLAWED[name]
    bad = make(ingest)

    documents = invoke_between_neighbours(ingest, bad)

    assert [document["commandText"] for document in documents] == [STATEMENT] * count
    (letter,) = ingest.dead_letters()
    assert letter["reason"] == reason
    assert_kept_as_delivered(ingest, letter, bad, reason)


@pytest.mark.parametrize("name", INDEXED)
def test_what_can_be_read_is_indexed_whole(ingest: IngestFunction, name: str) -> None:
    make, expected = INDEXED[name]

    (document,) = invoke_between_neighbours(ingest, make(ingest))

    assert {field: document.get(field) for field in expected} == expected
    assert ingest.dead_letters() == []


@pytest.mark.parametrize("name", [name for name, (_, expected) in INDEXED.items() if "ingestNotes" in expected])
def test_events_without_a_plausible_time_share_one_index(ingest: IngestFunction, name: str) -> None:
    """Their time is that of their arrival."""
    make, _ = INDEXED[name]

    (document,) = invoke_between_neighbours(ingest, make(ingest))

    assert document["@timestamp"].startswith("20")
    month = document["@timestamp"][:7].replace("-", ".")
    undated = [hit for hit in ingest.hits() if hit["_index"] == f"{ingest.prefix}-undated-{month}"]
    assert [hit["_source"] for hit in undated] == [document]


def test_the_ceiling_on_the_decompressed_size_is_a_setting(ingest: IngestFunction) -> None:
    ingest.configure(MAX_PLAINTEXT_BYTES="4096")

    documents = invoke_between_neighbours(ingest, ingest.record([postgresql_event(commandText="x" * 5000)]))

    assert documents == []
    (letter,) = ingest.dead_letters()
    assert letter["reason"] == "too-large"
    assert "4096" in letter["detail"]


@pytest.mark.parametrize("count", [256, 257, 10_000])
def test_any_number_of_unknown_fields_is_kept(ingest: IngestFunction, count: int) -> None:
    novel = {f"novel{number}": f"value {number}" for number in range(count)}

    (document,) = invoke_between_neighbours(ingest, ingest.record([bad_event(**novel)]))

    kept = kept_fields(document)
    assert {name: kept.get(name) for name in novel} == novel
    assert ingest.dead_letters() == []


JSON_VALUES: tuple[Any, ...] = (
    "text",
    "x" * 40_000,
    17,
    -(2**63),
    2**64 - 1,
    1.5,
    1e308,
    True,
    False,
    0,
    ["a", 1, None, True, 0.5, {"b": []}],
    [[], {}],
    {"a": {"b": {"c": {"d": {"e": {"f": "deep"}}}}}},
    {"with.dots": {"": 1, " ": 2, "x\0y": 3}},
    {"a": 1, "A": 2, "ä": "größe 😀"},
    {f"key{number}": number for number in range(1000)},
)


@pytest.mark.parametrize("field", ["novel", "engineNativeAuditFields", "commandText", "rowCount", "remoteHost"])
def test_a_value_of_any_type_is_kept_in_every_field(ingest: IngestFunction, field: str) -> None:
    events = [postgresql_event(statementId=number, **{field: value}) for number, value in enumerate(JSON_VALUES)]

    documents = invoke_between_neighbours(ingest, ingest.record(events))

    kept = {int(document["statementId"]): kept_fields(document).get(field) for document in documents}
    # Identifiers and text keep a number as text.
    lost = [value for number, value in enumerate(JSON_VALUES) if kept.get(number) not in (value, str(value))]
    assert lost == []
    assert ingest.dead_letters() == []


def kept_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """All that a document keeps: under the event's own names, as unknown fields, as text, or in parts of each."""
    text = orjson.loads(document.get("unknownFieldsText", "{}"))
    kept = {**document, **document.get("unknownFields", {})}
    for name, value in {**text.pop("unknownFields", {}), **text}.items():
        kept[name] = {**kept[name], **value} if name in kept else value
    return kept


def test_deep_nesting_hides_no_event(ingest: IngestFunction) -> None:
    depths = (10, 100, 253, 254, 255, 500, 1000)  # JSON is read to 1,024 levels, and written to some 900
    content = to_json(monitoring_record(*(bad_event(pid=depth, deep=f"DEPTH-{depth}") for depth in depths)))
    for depth in depths:
        content = content.replace(b'"DEPTH-%d"' % depth, b'{"a":' * depth + b"1" + b"}" * depth)

    documents = invoke_between_neighbours(ingest, ingest.sealed(content))

    assert sorted(document["pid"] for document in documents) == sorted(depths[:-1])
    (line,) = ingest.dead_letters()
    assert line["reason"] == "event-too-deep"


def test_kms_itself_refuses_the_context_of_another_cluster(ingest: IngestFunction) -> None:
    database, other = ingest.database(), ingest.database(name="OTHER")
    wrapped = ingest.data_key(other).wrapped

    with pytest.raises(ClientError) as refusal:
        ingest.aws.kms().decrypt(CiphertextBlob=wrapped, EncryptionContext=database.encryption_context)

    assert refusal.value.response["Error"]["Code"] == "InvalidCiphertextException"


def test_a_batch_of_nothing_but_bad_records_is_done(ingest: IngestFunction) -> None:
    bad = [make(ingest) for make, _ in DEAD.values()]

    assert ingest.invoke(*bad) == []

    assert len(ingest.dead_letters()) == len(bad)
    assert ingest.log["dead_letters"] == reasons_of(DEAD)
    assert_nothing_logged(ingest)


def reasons_of(cases: Mapping[str, tuple[Make, str]]) -> dict[str, int]:
    reasons = [reason for _, reason in cases.values()]
    return {reason: reasons.count(reason) for reason in reasons}


def test_a_second_delivery_of_a_dead_letter_adds_nothing(ingest: IngestFunction) -> None:
    bad = [make(ingest) for make, _ in DEAD.values()]
    ingest.invoke(*bad)
    before = {letter["object"] for letter in ingest.dead_letters()}

    assert ingest.invoke(*bad) == []

    assert {letter["object"] for letter in ingest.dead_letters()} == before
    assert len(ingest.dead_letters()) == len(bad)


# Whose fault it is that a record was not opened.


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Records of the instance db-HEAVY cannot be flattened; such an exhaustion cannot be made with real input."""

    def failing(record: MonitoringRecord, *others: Any) -> Flattened:
        if record.instance_id == "db-HEAVY":
            raise error
        return flatten(record, *others)

    monkeypatch.setattr(decoder, "flatten", failing)


def number_of(record: Record) -> str:
    number: str = record["kinesis"]["sequenceNumber"]
    return number


def test_record_that_exhausts_memory_waits_until_it_is_alone(
    ingest: IngestFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind others they may have taken the memory; as the first of a batch it is the record, which stops nothing."""
    fail_with(monkeypatch, MemoryError())
    good, heavy, next_one = (
        ingest.record([postgresql_event(pid=1)]),
        ingest.record([bad_event()], instance_id="db-HEAVY"),
        ingest.record([postgresql_event(pid=2)]),
    )

    assert ingest.invoke(good, heavy, next_one) == [number_of(heavy)]
    assert ingest.log["cause"] == "out of memory"
    assert (ingest.dead_letters(), [document["pid"] for document in ingest.documents()]) == ([], [1])

    assert ingest.invoke(heavy, next_one) == []
    assert [(letter["reason"], letter["detail"]) for letter in ingest.dead_letters()] == [("unexpected", "MemoryError")]
    assert sorted(document["pid"] for document in ingest.documents()) == [1, 2]
    assert SECRET not in ingest.printed


@pytest.mark.parametrize("error", [RecursionError(), ValueError(SECRET)], ids=["recursion", "another"])
def test_record_that_fails_each_time_is_a_dead_letter(
    ingest: IngestFunction, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail_with(monkeypatch, error)
    good, heavy = ingest.record([postgresql_event()]), ingest.record([bad_event()], instance_id="db-HEAVY")

    assert ingest.invoke(good, heavy) == []

    assert [letter["detail"] for letter in ingest.dead_letters()] == [type(error).__name__]
    assert len(ingest.documents()) == 1
    assert SECRET not in ingest.printed
