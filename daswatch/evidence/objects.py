"""What an object of evidence is, found by looking at its bytes, and the stream records in it.

In: an object's key, when it was written, and its bytes in chunks, in any size. Out: its kind and its records, one after
the other, so that a large object never has to be in memory.

=================  ==========================================================================================
archive            Firehose without transformation, and the first records: lines, each one record's data
dead letter        the functions' own: a JSON document with the reason, and the record as Lambda delivered it
on-failure         Lambda's: a JSON document about a batch that it gave up, with the batch in `payload`
firehose failed    what a Firehose could not transform or deliver: a JSON document a line, the data in `rawData`
=================  ==========================================================================================

The bytes may be gzip, of any number of members. Of a damaged object all that is whole comes first, then the error.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from typing import Any

import orjson

from daswatch.enrolment.first_records import NoteError, delivered_object, is_first_records, read_portion
from daswatch.errors import EvidenceDamaged
from daswatch.records.envelope import ENVELOPE_TYPE
from daswatch.records.kinesis import StreamRecord, read_stream_record
from daswatch.times import moment_of

# A batch of Lambda's, of 6 MB, as text within another JSON document is the longest line; the rest is room.
MAX_LINE_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024  # that is decompressed at once
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = zlib.MAX_WBITS | 16
_RESOURCE = re.compile(r"(?:^|/)((?:cluster|db)-[\w-]+)(?=/)", re.ASCII)
_FIRST_RECORDS = re.compile(r"/start/[^/]+/(?P<shard>[^/]+)/\d{6}\.gz\Z", re.ASCII)
_BETWEEN_OBJECTS = re.compile(rb"(?<=\})(?=\{)")
_LATEST_MILLISECONDS = 10**14  # far beyond any arrival; more is no time


class Kind(StrEnum):
    """What an object of evidence is."""

    ARCHIVE = "archive"
    DEAD_LETTER = "dead letter"
    ON_FAILURE = "on-failure"
    FIREHOSE_FAILED = "firehose failed"
    OTHER = "other"  # one JSON document that is none of these: a backup, an asynchronous invocation


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as the bucket lists it; `modified` is when it was written, `version` stands for its bytes."""

    key: str
    size: int
    modified: datetime
    version: str = ""

    @property
    def at(self) -> datetime:
        """When its oldest record arrived, by its name."""
        return delivered_object(self.key, self.modified).at

    @property
    def is_first_records(self) -> bool:
        """Whether it is not the delivery's."""
        return is_first_records(self.key)


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """A stream record, as it is kept.

    `data` is base64, as Lambda delivers it: the envelope, still encrypted. `stream_arn` and `sequence_number` are None
    where the evidence does not have them: a Firehose keeps neither. Nor does it keep when a record arrived:
    `arrived_at` is that of the oldest record in its object then, and of the newest one in a portion of first records.
    `reason` is why it was kept, where the evidence has one.
    """

    data: str
    arrived_at: datetime
    stream_arn: str | None = None
    sequence_number: int | None = None
    shard_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceObject:
    """An object and its records, to be read once. `resource_id` is what its key names; empty if it names none.

    Reading `records` raises EvidenceDamaged after all that is whole.
    """

    key: str
    kind: Kind
    resource_id: str
    records: Iterator[EvidenceRecord]


def read_object(
    key: str, chunks: Iterable[bytes], modified: datetime, metadata: Mapping[str, str] | None = None
) -> EvidenceObject:
    """Look at an object. `metadata` is S3's, which portions of first records have.

    Raises EvidenceDamaged where not even the first line can be read.
    """
    lines = _lines(_decompressed(chunks))
    first = next(lines, b"")
    if first.strip() == b"{":  # a document for people, of several lines
        lines, first = iter(()), _joined(chain([first], lines))
    document = _json_object(first)
    kind = _kind(document)
    if kind is Kind.OTHER and (second := next(lines, b"")):  # the first record is a foreign stream's
        kind, lines = Kind.ARCHIVE, chain([second], lines)
    records: Iterator[EvidenceRecord]
    match kind:
        case Kind.ARCHIVE:
            arrived_at, shard_id = _written(key, modified, metadata or {})
            records = _archived(chain([first] if first else [], lines), arrived_at, shard_id)
        case Kind.FIREHOSE_FAILED:
            records = _failed(chain([first], lines), modified)
        case Kind.DEAD_LETTER:
            records = iter([_as_delivered(document["record"], modified, str(document["reason"]))])
        case Kind.ON_FAILURE:
            records = (_as_delivered(raw, modified, _condition(document)) for raw in _batch(document))
        case Kind.OTHER:
            records = iter(())
    return EvidenceObject(key, kind, resource_id_of(key), records)


def resource_id_of(key: str) -> str:
    """The database that a key names by a folder: `cluster-…` or `db-…`; empty if it names none."""
    found = _RESOURCE.search(key)
    return found[1] if found else ""


def _kind(document: Mapping[str, Any]) -> Kind:
    if "record" in document and "reason" in document:
        return Kind.DEAD_LETTER
    if "KinesisBatchInfo" in document:
        return Kind.ON_FAILURE
    if "rawData" in document and "attemptsMade" in document:
        return Kind.FIREHOSE_FAILED
    return Kind.OTHER if document and document.get("type") != ENVELOPE_TYPE else Kind.ARCHIVE


# The records of each kind.


def _archived(lines: Iterable[bytes], arrived_at: datetime, shard_id: str) -> Iterator[EvidenceRecord]:
    for line in lines:
        for data in _records_of(line):
            yield EvidenceRecord(b64encode(data).decode("ascii"), arrived_at, shard_id=shard_id)


def _records_of(line: bytes) -> list[bytes]:
    """The records in a line: one, unless a Firehose puts nothing between them."""
    line = line.strip()
    if not line:
        return []
    if b"}{" in line and not _is_json(line):
        return _BETWEEN_OBJECTS.split(line)
    return [line]


def _failed(lines: Iterable[bytes], modified: datetime) -> Iterator[EvidenceRecord]:
    for line in lines:
        for content in _records_of(line):
            document = _json_object(content)
            data = document.get("rawData")
            sequence = document.get("sequenceNumber")
            yield EvidenceRecord(
                data if isinstance(data, str) else "",
                _of_milliseconds(document.get("arrivalTimestamp"), modified),
                sequence_number=_number(sequence),
                reason=str(document.get("errorCode") or document.get("ErrorCode") or "unreadable"),
            )


def _batch(document: Mapping[str, Any]) -> list[Any]:
    """The records of a batch that Lambda gave up. Raises EvidenceDamaged where they are missing."""
    payload = document.get("payload")
    if isinstance(payload, str):  # AWS's page shows a text where it means the event
        payload = _json_object(payload.encode())
    batch = payload.get("Records") if isinstance(payload, dict) else None
    if not isinstance(batch, list):
        raise EvidenceDamaged("the object is about a batch that Lambda gave up, and does not have its records")
    return batch


def _condition(document: Mapping[str, Any]) -> str:
    context = document.get("requestContext")
    return str(context.get("condition", "")) if isinstance(context, dict) else ""


def _as_delivered(raw: object, modified: datetime, reason: str) -> EvidenceRecord:
    record: StreamRecord = read_stream_record(raw, modified)
    return EvidenceRecord(
        record.data,
        moment_of(record.arrived_at),
        record.stream_arn or None,
        _number(record.sequence_number),
        record.shard_id,
        reason,
    )


def _written(key: str, modified: datetime, metadata: Mapping[str, str]) -> tuple[datetime, str]:
    """When records of an archive's object arrived, and their shard where the key names one."""
    first = _FIRST_RECORDS.search(key)
    if first is None:
        return delivered_object(key, modified).at, ""
    try:
        return read_portion(0, metadata).arrived, first["shard"]
    except NoteError:
        return modified, first["shard"]


def _of_milliseconds(value: object, otherwise: datetime) -> datetime:
    if isinstance(value, (int, float)) and 0 < value < _LATEST_MILLISECONDS:
        return datetime.fromtimestamp(value / 1000, UTC)
    return otherwise


def _number(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 128 else None


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_json(content: bytes) -> bool:
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True


# Bytes.


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their ends; the last one may have none. What an error cuts is not a line."""
    rest: list[bytes] = []
    size = 0
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        for line in whole:
            yield b"".join([*rest, line, b"\n"])
            rest, size = [], 0
        rest.append(last)
        size += len(last)
        if size > MAX_LINE_BYTES:
            raise EvidenceDamaged(f"a line of more than {MAX_LINE_BYTES >> 20} MiB")
    if size:
        yield b"".join(rest)


def _joined(lines: Iterable[bytes]) -> bytes:
    kept: list[bytes] = []
    size = 0
    for line in lines:
        kept.append(line)
        size += len(line)
        if size > MAX_LINE_BYTES:
            raise EvidenceDamaged(f"a document of more than {MAX_LINE_BYTES >> 20} MiB")
    return b"".join(kept)


def _decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content in pieces of bounded size, whatever it expands to."""
    rest = iter(chunks)
    begin = b""
    for chunk in rest:
        begin += chunk
        if len(begin) >= len(_GZIP_MAGIC):
            break
    chunks = chain([begin], rest)
    if not begin.startswith(_GZIP_MAGIC):
        yield from chunks
        return
    member: Any = zlib.decompressobj(_GZIP)
    between = True  # nothing of this member was seen
    for chunk in chunks:
        data = chunk
        while data:
            if between and not (data := data.lstrip(b"\0")):  # padding after a member
                break
            between = False
            piece = b" " * _PIECE_BYTES
            while not member.eof and (data or len(piece) == _PIECE_BYTES):
                try:
                    piece = member.decompress(data, _PIECE_BYTES)
                except zlib.error as exc:
                    raise EvidenceDamaged("the object is not gzip all through, or a checksum in it is wrong") from exc
                data = member.unconsumed_tail
                if piece:
                    yield piece
            if member.eof:
                data, member, between = member.unused_data, zlib.decompressobj(_GZIP), True
    if not between:
        raise EvidenceDamaged("the object ends within a gzip member: it was cut")
