"""Firehose: rows into a Direct PUT delivery stream, which sorts them into S3 folders by their activity.

A row is in Firehose when Firehose has said so; until then it is put again, alone if its neighbours went through. After
a time-out that hid a success, S3 has it twice: rows carry `eventId` for that (docs/rows.md).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from daswatch.aws.api_calls import AwsError, Trouble, attempt
from daswatch.deadline import Deadline
from daswatch.retry import Left, send_all

if TYPE_CHECKING:
    from types_boto3_firehose.client import FirehoseClient
    from types_boto3_firehose.type_defs import RecordTypeDef

MAX_RECORDS_PER_CALL = 500  # PutRecordBatch
MAX_CALL_BYTES = 4_000_000  # "4 MB" to its reference and 4 MiB to its quotas, before base64: this is less than both
MAX_RECORD_BYTES = 1_000 * 1024  # PutRecordBatch, before base64
MAX_ROWS_PER_RECORD = 500  # past it, Firehose takes a record and then does not split it

# Firehose bills each record in steps of 5 KB: a record of this much wastes little, and little is put again with it.
_PACKED_BYTES = 64 * 1024
# Below this there is no time left for a call to be answered.
_SHORTEST_CALL_SECONDS = 0.5

TOO_LARGE = f"a row of more than {MAX_RECORD_BYTES // 1024:,} KiB"


@dataclass(frozen=True, slots=True)
class Row:
    """A row and where it came from.

    `line` is JSON ended by a newline; rows of one `activity` may share a Firehose record; `position` is that of the
    stream record; `event_id` names the row in a dead letter.
    """

    line: bytes
    activity: str
    position: int
    event_id: str


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that no delivery stream can take, and why: the stream record's position and the event's id name it."""

    position: int
    event_id: str
    why: str


@dataclass(slots=True)
class PutResult:
    """What became of rows; `calls` counts PutRecordBatch, failed ones included."""

    put: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    unsent: list[Row] = field(default_factory=list)
    cause: str = ""  # why the unsent are unsent
    calls: int = 0
    seconds: float = 0.0

    @property
    def blocked(self) -> bool:
        """Whether rows stay unsent: what comes later would have to be delivered again anyway."""
        return bool(self.unsent)

    def add(self, other: PutResult) -> None:
        """Take another result's outcomes into this one."""
        self.put += other.put
        self.refused += other.refused
        self.unsent += other.unsent
        self.cause = self.cause or other.cause
        self.calls += other.calls
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True)
class _Record:
    """One Firehose record: the rows in it."""

    rows: tuple[Row, ...]

    @property
    def data(self) -> bytes:
        return b"".join([row.line for row in self.rows])

    @property
    def size(self) -> int:
        return sum(len(row.line) for row in self.rows)


class DeliveryStream:
    """One delivery stream. `chance` is an argument so that pauses can be tested."""

    def __init__(
        self,
        client: Callable[[], FirehoseClient],
        name: str,
        chance: Callable[[], float] = random.random,
        rows_per_record: int = 1,
    ) -> None:
        """`client` is called at the first row, from whatever thread puts it; it must not retry by itself.

        More than one row per record is for a delivery stream that splits its records again.
        """
        self._client = cache(client)
        self._name = name
        self._chance = chance
        self._rows_per_record = rows_per_record

    def put(self, rows: Sequence[Row], deadline: Deadline) -> PutResult:
        """Put rows, with retries until the deadline; never raises for what Firehose answers.

        Refused are only rows that are too large by themselves. Whatever else Firehose says is about the stream, its key
        or our permission, never about a row, and leaves rows unsent.
        """
        begun = time.perf_counter()
        result = PutResult()
        fitting = []
        for row in rows:
            if len(row.line) <= MAX_RECORD_BYTES:
                fitting.append(row)
            else:
                result.refused.append(RefusedRow(row.position, row.event_id, TOO_LARGE))
        calls = _calls(_packed(fitting, self._rows_per_record))
        left, result.cause = send_all(
            calls,
            lambda batch: self._send(batch, result, deadline),
            deadline,
            shortest=_SHORTEST_CALL_SECONDS,
            chance=self._chance,
        )
        result.unsent = [row for batch in left for record in batch for row in record.rows]
        result.seconds = time.perf_counter() - begun
        return result

    def _send(self, batch: Sequence[_Record], result: PutResult, deadline: Deadline) -> Left[Sequence[_Record]]:
        """One call; what Firehose did not take, and its name for why."""
        records: list[RecordTypeDef] = [{"Data": record.data} for record in batch]
        result.calls += 1
        try:
            answer = attempt(
                lambda: self._client().put_record_batch(DeliveryStreamName=self._name, Records=records), deadline
            )
        except AwsError as exc:
            passing = exc.trouble in (Trouble.PASSING, Trouble.OUT_OF_TIME)
            return Left(again=batch, cause=f"Firehose PutRecordBatch: {exc.code}", stop=not passing)
        # botocore takes an answer that was cut, or is not JSON, for an empty one.
        answered = answer.get("RequestResponses", [])
        if len(answered) != len(batch):
            return Left(again=batch, cause="Firehose PutRecordBatch: an answer that does not name each record")
        codes = [entry.get("ErrorCode", "") for entry in answered]
        again = [record for record, code in zip(batch, codes, strict=True) if code]
        result.put += sum(len(record.rows) for record in batch) - sum(len(record.rows) for record in again)
        if not again:
            return Left()
        return Left(again=again, cause=f"Firehose PutRecordBatch: {next(filter(None, codes))}")


def _packed(rows: Iterable[Row], rows_per_record: int) -> list[_Record]:
    """Rows as Firehose records, in the order of their first rows; only rows of one activity share a record."""
    if rows_per_record == 1:
        return [_Record((row,)) for row in rows]
    packed: list[list[Row]] = []
    open_packs: dict[str, tuple[list[Row], int]] = {}
    for row in rows:
        pack, size = open_packs.get(row.activity, ([], 0))
        if not pack or len(pack) >= rows_per_record or size + len(row.line) > _PACKED_BYTES:
            pack, size = [], 0
            packed.append(pack)
        pack.append(row)
        open_packs[row.activity] = pack, size + len(row.line)
    return [_Record(tuple(pack)) for pack in packed]


def _calls(records: Iterable[_Record]) -> Iterator[Sequence[_Record]]:
    """Records by PutRecordBatch call."""
    batch: list[_Record] = []
    size = 0
    for record in records:
        if batch and (len(batch) == MAX_RECORDS_PER_CALL or size + record.size > MAX_CALL_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += record.size
    if batch:
        yield batch
