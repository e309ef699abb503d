"""The transformation's work on one batch: open, filter, flatten, and answer each record once, in order.

Firehose takes one answer for each record: its rows, `Dropped`, or `ProcessingFailed` with the data as it came, which
Firehose keeps in S3. An answer of more than 6 MB would fail as a whole, and rows take many times the room of the
records they come from. So a record gets its rows only where the originals of all records behind it still fit.
"""

from __future__ import annotations

import json
import time
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NotRequired, TypedDict

import orjson

from daswatch.aws.kms import DataKeys
from daswatch.deadline import Deadline
from daswatch.documents.activity import Activity
from daswatch.documents.decoder import DecodedRecord, DecodingCounts, RecordDecoder
from daswatch.documents.document import Document, Flattening
from daswatch.documents.row_formats import opensearch_form, row, shared_partition_keys, splunk_event
from daswatch.errors import DependencyError, NotAnActivityStream, Reason, RecordError, TimeLimitReached
from daswatch.records.envelope import stream_source
from daswatch.records.kinesis import read_stream_record

MAX_ANSWER_BYTES = 6 * 1024 * 1024  # Lambda's limit for what a synchronous call answers, as JSON
_GZIP_LEVEL = 6
_GZIP = zlib.MAX_WBITS | 16
_LATEST_MILLISECONDS = 10**14  # far beyond any arrival; more is no time


class Form(StrEnum):
    """What a record becomes, by where Firehose delivers to."""

    S3 = "s3"
    SPLUNK = "splunk"
    OPENSEARCH = "opensearch"


class Compression(StrEnum):
    """Whether each record's rows become a gzip member. Objects in S3 are then gzip, of many members."""

    NONE = "none"
    GZIP = "gzip"


class Metadata(TypedDict):
    """What Firehose makes S3 folders of."""

    partitionKeys: dict[str, str]


class AnsweredRecord(TypedDict):
    """What becomes of one record; `data` is base64."""

    recordId: str
    result: Literal["Ok", "Dropped", "ProcessingFailed"]
    data: str
    metadata: NotRequired[Metadata]


@dataclass(frozen=True, slots=True)
class FirehoseRecord:
    """One stream record as Firehose hands it over; `arrived_at` is ISO 8601 in UTC, in milliseconds."""

    id: str
    data: str
    arrived_at: str


@dataclass(slots=True)
class TransformReport(DecodingCounts):
    """What one invocation did."""

    records: int = 0
    answers: list[AnsweredRecord] = field(default_factory=list)
    delivered: int = 0  # rows
    left_out: int = 0  # events of activities that are not asked for
    failed: Counter[Reason] = field(default_factory=Counter)
    without_room: int = 0  # records whose rows did not fit into the answer
    kms_calls: int = 0
    kms_hits: int = 0
    rows_ms: float = 0.0
    total_ms: float = 0.0
    newest_event: str = ""
    unavailable: DependencyError | None = None  # why there is no answer: Firehose has to ask again

    def count(self, decoded: DecodedRecord) -> None:
        DecodingCounts.count(self, decoded)
        self.newest_event = max(self.newest_event, decoded.newest_event)


class Room:
    """How large each answer may be, while the original of every record behind it must still fit."""

    def __init__(self, records: Sequence[FirehoseRecord]) -> None:
        self._originals = [answer_bytes(failed(record)) for record in records]
        self._left = MAX_ANSWER_BYTES - len(json.dumps({"records": []})) - sum(self._originals)

    def for_record(self, position: int) -> int:
        """The bytes that the answer for this record may take. What is given back has its room already."""
        return self._left + self._originals[position]

    def take(self, position: int, size: int) -> None:
        """The record at this position takes so many bytes instead of its original's."""
        self._left += self._originals[position] - size


class Transformation:
    """The stages with their clients; one for as long as the function is warm."""

    def __init__(
        self,
        *,
        decoder: RecordDecoder,
        data_keys: DataKeys,
        form: Form,
        compression: Compression,
        activities: frozenset[Activity],
    ) -> None:
        self._decoder = decoder
        self._data_keys = data_keys
        self._form = form
        self._compression = compression
        self._activities = activities

    def run(
        self, batch: Sequence[FirehoseRecord], stream_arn: str, flattening: Flattening, deadline: Deadline
    ) -> TransformReport:
        """Answer one batch before the deadline.

        Where what we depend on fails, or time runs out, the report says so and the answers are not complete.
        """
        begun = time.perf_counter()
        calls, hits = self._data_keys.counts.calls, self._data_keys.counts.hits
        report = TransformReport(records=len(batch))
        room = Room(batch)
        for position, record in enumerate(batch):
            if deadline.remaining <= 0:
                report.unavailable = TimeLimitReached(f"out of time after {position} of {len(batch)} records")
                break
            try:
                # The documents get no name here: they would stay in memory next to those of the next record.
                answer = self._answer(
                    record, self._documents(record, stream_arn, flattening, report, deadline), room, position, report
                )
            except RecordError as exc:
                report.failed[exc.reason] += 1
                answer = failed(record)
            except NotAnActivityStream:
                # Firehose does not wait for someone to connect it to another stream: it keeps the record.
                report.failed[Reason.NOT_AN_ACTIVITY_STREAM] += 1
                answer = failed(record)
            except DependencyError as exc:
                report.unavailable = exc
                break
            except Exception:  # noqa: BLE001 - whatever a record holds, its neighbours go on
                report.failed[Reason.UNEXPECTED] += 1
                answer = failed(record)
            report.answers.append(answer)
        report.kms_calls = self._data_keys.counts.calls - calls
        report.kms_hits = self._data_keys.counts.hits - hits
        report.total_ms = (time.perf_counter() - begun) * 1000
        return report

    def _documents(
        self,
        record: FirehoseRecord,
        stream_arn: str,
        flattening: Flattening,
        report: TransformReport,
        deadline: Deadline,
    ) -> list[Document]:
        decoded = self._decoder.decode(record.data, stream_source(stream_arn), record.arrived_at, flattening, deadline)
        report.count(decoded)
        if decoded.defect:
            # One answer cannot hold both: the whole record is kept, its good events included.
            raise RecordError(*decoded.defect)
        wanted = [document for document in decoded.documents if document.source["activity"] in self._activities]
        report.left_out += len(decoded.documents) - len(wanted)
        return wanted

    def _answer(
        self, record: FirehoseRecord, documents: Sequence[Document], room: Room, position: int, report: TransformReport
    ) -> AnsweredRecord:
        answer: AnsweredRecord = {"recordId": record.id, "result": "Ok" if documents else "Dropped", "data": ""}
        if documents:
            begun = time.perf_counter()
            if self._form is Form.S3:
                answer["metadata"] = {"partitionKeys": shared_partition_keys(documents)}
            # Base64 makes four bytes of three.
            content = self._packed(documents, (room.for_record(position) - answer_bytes(answer)) // 4 * 3)
            if content is None:
                report.without_room += 1
                return failed(record)
            report.delivered += len(documents)
            answer["data"] = b64encode(content).decode("ascii")
            report.rows_ms += (time.perf_counter() - begun) * 1000
        room.take(position, answer_bytes(answer))
        return answer

    def _packed(self, documents: Sequence[Document], most: int) -> bytes | None:
        """The documents in their form; None as soon as they take more than `most` bytes."""
        if self._form is Form.OPENSEARCH:
            parts: Iterable[bytes] = opensearch_form(documents)
        else:
            parts = map(splunk_event if self._form is Form.SPLUNK else row, documents)
        if self._compression is Compression.GZIP:
            parts = _gzip_member(parts)
        packed: list[bytes] = []
        for part in parts:
            most -= len(part)
            if most < 0:
                return None
            packed.append(part)
        return b"".join(packed)


def read_record(raw: Mapping[str, Any], now: datetime) -> FirehoseRecord:
    """Read Firehose's form of a record; `now` stands in for an arrival time that is missing.

    Firehose gives milliseconds, its own time and that of Kinesis. Raises KeyError without a recordId: there is
    nothing to answer to.
    """
    metadata = raw.get("kinesisRecordMetadata")
    times = [one.get("approximateArrivalTimestamp") for one in (metadata, raw) if isinstance(one, Mapping)]
    seconds = next((at / 1000 for at in times if isinstance(at, (int, float)) and 0 < at < _LATEST_MILLISECONDS), None)
    kinesis = {"data": raw.get("data"), "approximateArrivalTimestamp": seconds}
    record = read_stream_record({"kinesis": kinesis}, now)
    return FirehoseRecord(raw["recordId"], record.data, record.arrived_at)


def failed(record: FirehoseRecord) -> AnsweredRecord:
    """The answer that makes Firehose keep a record as it came."""
    return {"recordId": record.id, "result": "ProcessingFailed", "data": record.data}


def answer_bytes(answer: AnsweredRecord) -> int:
    """How many bytes an answer takes within the whole, at most: some runtimes write other letters unescaped."""
    data = answer["data"]
    # Of text in ASCII orjson writes the same, many times as fast.
    written = len(orjson.dumps(data)) if data.isascii() else len(json.dumps(data))
    return len(json.dumps({**answer, "data": None})) - len("null") + written + len(", ")


def _gzip_member(parts: Iterable[bytes]) -> Iterable[bytes]:
    member = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    for part in parts:
        yield member.compress(part)
    yield member.flush()
