"""What an object of evidence is, found by looking, and its records."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.errors import EvidenceDamaged, Reason
from daswatch.evidence import objects
from daswatch.evidence.objects import EvidenceRecord, Kind, read_object
from daswatch.indexing.dead_letters import DeadLetter
from daswatch.records.kinesis import read_stream_record
from demo.stream import lambda_record_of
from tests.builders.evidence import archive_body, archive_key, failed_line, on_failure_body

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-ORDERS"
AT = datetime(2031, 3, 4, 11, 22, 33, tzinfo=UTC)
LATER = datetime(2031, 3, 5, tzinfo=UTC)
KEY = archive_key("cluster-ORDERS", AT)
ENVELOPE = b'{"type":"DatabaseActivityMonitoringRecords","version":"1.1","databaseActivityEvents":"%d","key":"a2V5"}'
ENVELOPES = [ENVELOPE % number for number in range(7)]


def pieces(content: bytes, size: int = 7) -> Iterator[bytes]:
    return (content[begin : begin + size] for begin in range(0, len(content), size))


def read(key: str, content: bytes, metadata: Mapping[str, str] | None = None) -> tuple[Kind, list[EvidenceRecord]]:
    found = read_object(key, pieces(content), LATER, metadata)
    return found.kind, list(found.records)


def data_of(records: list[EvidenceRecord]) -> list[bytes]:
    return [b64decode(record.data) for record in records]


def delivered(data: bytes, sequence_number: int) -> dict[str, object]:
    return lambda_record_of(data=data, sequence_number=str(sequence_number), arrival=AT, stream_arn=ARN)


@pytest.mark.parametrize("members", [1, 3, 7])
def test_archive_gives_each_line(members: int) -> None:
    kind, records = read(KEY, archive_body(ENVELOPES, members=members))
    assert kind is Kind.ARCHIVE
    assert data_of(records) == ENVELOPES
    assert {(one.arrived_at, one.stream_arn, one.sequence_number) for one in records} == {(AT, None, None)}


def test_archive_without_compression_or_delimiter() -> None:
    _, records = read(KEY, b"".join(ENVELOPES))
    assert data_of(records) == ENVELOPES


def test_archive_with_foreign_records_keeps_ours() -> None:
    foreign = [b'{"order": {"id": 1}}', b'{"text": "}{"}', b"\x00\xff", b"[1, 2]"]
    kind, records = read(KEY, archive_body([*foreign, *ENVELOPES]))
    assert kind is Kind.ARCHIVE
    assert data_of(records) == [*foreign, *ENVELOPES]


def test_key_names_the_database() -> None:
    assert read_object(KEY, [b""], LATER).resource_id == "cluster-ORDERS"
    assert objects.resource_id_of("aws/lambda/uuid/shardId-000000000000/x") == ""


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0), b"\n\n"])
def test_object_without_lines_has_no_records(content: bytes) -> None:
    assert read(KEY, content) == (Kind.ARCHIVE, [])


def test_first_records_have_shard_and_newest_arrival() -> None:
    key = "evidence/cluster-ORDERS/start/20310304T000000Z/shardId-000000000002/000001.gz"
    metadata = {"last": "99", "last-arrival": AT.isoformat()}
    _, records = read(key, archive_body(ENVELOPES), metadata)
    assert {(one.shard_id, one.arrived_at) for one in records} == {("shardId-000000000002", AT)}
    assert [one.arrived_at for one in read(key, archive_body(ENVELOPES[:1]))[1]] == [LATER]


def test_dead_letter_is_the_record_as_delivered() -> None:
    record = read_stream_record(delivered(ENVELOPES[0], 17), LATER)
    letter = DeadLetter.of(record, record.source, Reason.DATA_KEY_REFUSED, "why")
    kind, records = read(letter.object_key, letter.object_body())
    assert kind is Kind.DEAD_LETTER
    assert records == [EvidenceRecord(record.data, AT, ARN, 17, "shardId-000000000000", "data-key-refused")]
    assert objects.resource_id_of(letter.object_key) == "cluster-ORDERS"


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
def test_on_failure_is_the_batch(as_text: bool, indent: int | None) -> None:
    batch = [delivered(data, number) for number, data in enumerate(ENVELOPES, 40)]
    kind, records = read("aws/lambda/x", on_failure_body(batch, as_text=as_text, indent=indent))
    assert kind is Kind.ON_FAILURE
    assert data_of(records) == ENVELOPES
    assert [one.sequence_number for one in records] == list(range(40, 47))
    assert {(one.stream_arn, one.arrived_at, one.reason) for one in records} == {(ARN, AT, "RecordAgeExceeded")}


def test_on_failure_without_its_batch_is_damaged() -> None:
    content = json.loads(on_failure_body([delivered(ENVELOPES[0], 1)]))
    del content["payload"]
    with pytest.raises(EvidenceDamaged, match="does not have its records"):
        read("aws/lambda/x", json.dumps(content).encode())


def test_firehose_failures_have_milliseconds_and_reason() -> None:
    kind, records = read("processing-failed/x", b"".join(failed_line(data, arrived_at=AT) for data in ENVELOPES))
    assert kind is Kind.FIREHOSE_FAILED
    assert data_of(records) == ENVELOPES
    assert {(one.arrived_at, one.reason) for one in records} == {(AT, "Lambda.FunctionError")}


def test_firehose_failure_that_is_cut_is_a_record_without_data() -> None:
    content = failed_line(ENVELOPES[0]) + failed_line(ENVELOPES[1])[:-40]
    _, records = read("processing-failed/x", content)
    assert [record.reason for record in records] == ["Lambda.FunctionError", "unreadable"]


@pytest.mark.parametrize("document", [{"attributes": {}, "id": "das-overview"}, {"requestPayload": {}, "version": "1"}])
def test_another_document_has_no_records(document: object) -> None:
    assert read("backups/x.json", json.dumps(document, indent=2).encode()) == (Kind.OTHER, [])
    assert read("backups/x.json", json.dumps(document).encode()) == (Kind.OTHER, [])


@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=1, max_value=3))
def test_cut_object_gives_what_is_whole(position: int, members: int) -> None:
    """Cut anywhere, it gives a beginning of the records; and it says so, unless the cut is between two members."""
    content = archive_body(ENVELOPES, members=members)
    cut = content[: position % len(content)]
    found: list[bytes] = []
    is_damaged = False
    try:
        for record in read_object(KEY, pieces(cut), LATER).records:
            found.append(b64decode(record.data))
    except EvidenceDamaged:
        is_damaged = True
    if not is_damaged and cut not in (b"", b"\x1f"):
        assert gzip.decompress(cut) == b"".join(line + b"\n" for line in found)
    assert found == ENVELOPES[: len(found)] or cut == b"\x1f"


def test_changed_byte_is_damage() -> None:
    content = bytearray(archive_body(ENVELOPES, members=7))
    content[-6] ^= 1  # of the last member's checksum
    found = read_object(KEY, pieces(bytes(content)), LATER)
    first = [next(found.records) for _ in range(6)]
    assert data_of(first) == ENVELOPES[:6]
    with pytest.raises(EvidenceDamaged, match="checksum"):
        list(found.records)


def test_bytes_behind_the_last_member_are_damage_unless_padding() -> None:
    content = archive_body(ENVELOPES)
    assert data_of(read(KEY, content + b"\0" * 30)[1]) == ENVELOPES
    with pytest.raises(EvidenceDamaged):
        read(KEY, content + b"rubbish")


def test_line_without_end_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_LINE_BYTES", 1000)
    with pytest.raises(EvidenceDamaged, match="a line of more"):
        read(KEY, gzip.compress(b"x" * 10_000))
    with pytest.raises(EvidenceDamaged, match="a document of more"):
        read(KEY, b"{\n" + b" \n" * 1000)


def test_large_object_is_never_in_memory() -> None:
    """What expands a thousandfold takes a few pieces of it."""
    content = gzip.compress(b"\n".join([ENVELOPES[0] + b" " * 100_000] * 1000))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_object(KEY, [content], LATER).records)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 1000
    assert peak < 16 * 1024 * 1024
