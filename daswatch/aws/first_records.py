"""Kinesis -> S3: the stream records from before a database's evidence delivery began, into its evidence.

`daswatch.enrolment.first_records` decides; this reads the delivery's first objects and the stream, and writes.
"""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from daswatch.aws.api_calls import OUT_OF_TIME, SHORTEST_CALL_SECONDS, AwsError, Trouble, ask
from daswatch.aws.s3 import list_objects
from daswatch.deadline import Deadline
from daswatch.enrolment.first_records import (
    COMPLETE,
    DeliveredObject,
    End,
    EvidenceStart,
    Head,
    Lost,
    Mark,
    NoteError,
    Position,
    Progress,
    Shard,
    Walk,
    Window,
    all_lost,
    complete_metadata,
    day_folder,
    delivered_object,
    ends,
    entries,
    entry_key,
    evidence_folder,
    line_digest,
    lost_after,
    lost_before,
    portion_metadata,
    read_head,
    read_lost,
    read_portion,
    start_folder,
    starts_folder,
    walk,
    windows,
)

if TYPE_CHECKING:
    from types_boto3_kinesis.client import KinesisClient
    from types_boto3_s3.client import S3Client

PORTION_BYTES = 5 * 1024 * 1024  # of lines, before compression
PAGE_RECORDS = 1000
# Five calls a second and two MB a second are a shard's for all its readers: ingest and the delivery come first.
_PAGE_PAUSE_SECONDS = 1.0
_WRITE_SECONDS = 5.0  # kept back to write what was read
_SEARCH_SHARE = 0.5  # of the time that is left, for one shard
_LOOK_BACK = timedelta(days=1)  # an object has the day of its oldest record
_FIRST_STEP = timedelta(minutes=1)
_EXISTS = ("PreconditionFailed", "ConditionalRequestConflict")
_EMPTY = gzip.compress(b"", mtime=0)


@dataclass(frozen=True, slots=True)
class Database:
    """Whose evidence it is: `cluster-…` or `db-…`, and its Kinesis stream."""

    resource_id: str
    stream_name: str


@dataclass(frozen=True, slots=True)
class _Stream:
    name: str
    created: datetime
    horizon: datetime  # since when Kinesis keeps records; before `created` if all are there


@dataclass(frozen=True, slots=True)
class _Record:
    mark: Mark
    data: bytes


@dataclass(frozen=True, slots=True)
class _Where:
    """Where to begin reading a shard: after a record, at a time, or where Kinesis begins."""

    shard_id: str
    after: int = 0
    at: datetime | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Of GetShardIterator."""
        if self.after:
            return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(self.after)}
        if self.at:
            return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self.at}
        return {"ShardIteratorType": "TRIM_HORIZON"}


class _Rest:
    """Records that are yet to be taken; what ended reading them is raised again at each look."""

    def __init__(self, records: Iterator[_Record]) -> None:
        self._records = records
        self._next: _Record | None = None
        self._error: AwsError | None = None

    def look(self) -> _Record | None:
        """The next record; None at the end. Raises AwsError."""
        if self._error:
            raise self._error
        if self._next is None:
            try:
                self._next = next(self._records, None)
            except AwsError as exc:
                self._error = exc
                raise
        return self._next

    def take(self) -> None:
        """Go on to the record after."""
        self._next = None


@dataclass(slots=True)
class _Run:
    """One run for one database."""

    folder: str
    stream: _Stream
    deadline: Deadline
    shards: int = 0
    shards_complete: int = 0
    records: int = 0
    size: int = 0
    cause: str = ""  # why the reading of a shard was left, the last one's
    unreadable: list[str] = field(default_factory=list)


class FirstRecords:
    """Writes what evidence deliveries never read.

    `now` is the time in UTC: it decides what Kinesis may have dropped, never which record is the delivery's first.
    `kept` is for how long evidence is: what is older has expired, and is not lost.
    """

    def __init__(
        self,
        kinesis: KinesisClient,
        s3: S3Client,
        bucket: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        *,
        kept: timedelta = timedelta(days=400),
    ) -> None:
        self._kinesis = kinesis
        self._s3 = s3
        self._bucket = bucket
        self._now = now
        self._kept = kept
        self._chance = chance

    def advance(self, database: Database, deadline: Deadline) -> Progress:
        """Go on until nothing is left, something has to be waited for, or the deadline. Raises nothing of AWS's.

        Ended at any point, or run twice at once, it leaves each record written once.
        """
        run: _Run | None = None
        try:
            stream = self._stream(database.stream_name, deadline)
            run = _Run(start_folder(database.resource_id, stream.created), stream, deadline)
            return self._advance(database, run)
        except AwsError as exc:
            left = f"{exc.code}: {exc.words}" if exc.words != exc.code else exc.code
        except NoteError:
            left = "an object among the first records has metadata that are not ours"
        return _progress(run, left) if run else Progress(False, left)

    def _advance(self, database: Database, run: _Run) -> Progress:
        stream = run.stream
        kept = max(stream.created, stream.horizon)
        after = day_folder(database.resource_id, kept - _LOOK_BACK)
        keys = _keys(self._s3, self._bucket, evidence_folder(database.resource_id), after, run.deadline)
        if run.folder + COMPLETE in keys:
            metadata = self._metadata(run.folder + COMPLETE, run.deadline)
            return Progress(True, lost=read_lost(metadata))
        compared = windows(_delivered(database.resource_id, keys), kept)
        shards = self._shards(stream.name, run.deadline)
        run.shards = len(shards)
        last = entries(run.folder, keys)
        heads = {shard_id: self._head(run, shard_id) for shard_id in last}  # of shards that Kinesis dropped, too
        unsettled = [shard for shard in shards if shard.id not in heads]
        if certain := self._ends(run, shards, unsettled, heads, compared):
            first = self._first_delivered(database.resource_id, stream.created, run.deadline)
            for shard_id, end in certain.items():
                heads[shard_id] = self._write_head(run, shard_id, end, first)
        done = {}
        for place, (shard_id, head) in enumerate(sorted(heads.items())):
            reading = run.deadline.earlier(_WRITE_SECONDS).part(1 / (len(heads) - place))
            done[shard_id] = self._copy(run, shard_id, head, last.get(shard_id, 0), reading)
        run.shards_complete = sum(position is not None for position in done.values())
        if left := _left(run, compared, shards, heads):
            return _progress(run, left)
        lost = all_lost(position.lost for position in done.values() if position)
        self._put(run, run.folder + COMPLETE, _EMPTY, complete_metadata(lost))
        return _progress(run, "", lost)

    # Where the delivery begins.

    def _ends(
        self,
        run: _Run,
        shards: Collection[Shard],
        unsettled: Sequence[Shard],
        heads: Mapping[str, Head],
        compared: Sequence[Window],
    ) -> dict[str, End]:
        met = {shard_id for shard_id, head in heads.items() if head.end.met}
        walks: dict[str, Walk] = {}
        certain: dict[str, End] = {}
        for window in compared if unsettled else ():
            digests: set[bytes] = set()
            for one in window.objects:
                digests |= self._digests(run, one.key)
            for shard in unsettled:
                if shard.id not in walks or not walks[shard.id].met:
                    if (found := self._search(run, shard.id, digests, window)) is None:
                        return ends(shards, walks, met, window.last)
                    walks[shard.id] = found
            certain = ends(shards, walks, met, window.last)
            if len(certain) == len(unsettled):
                break
        return certain

    def _search(self, run: _Run, shard_id: str, delivered: set[bytes], window: Window) -> Walk | None:
        """Read a shard from some time before these objects, from earlier and earlier until one record precedes theirs.

        The times only make it short: what is found is exact. None if it could not be read in time.
        """
        deadline = run.deadline.part(_SEARCH_SHARE)
        step = _FIRST_STEP
        while True:
            at = window.begins - step
            from_horizon = at <= max(run.stream.created, run.stream.horizon)
            records = self._records(run, _Where(shard_id, at=None if from_horizon else at), deadline)
            try:
                found = walk((record.mark for record in records), delivered, window.until)
            except AwsError as exc:
                if not _passes(exc):
                    raise
                run.cause = exc.code
                return None
            if from_horizon or found.last is not None:
                return found
            step *= 4

    def _digests(self, run: _Run, key: str) -> set[bytes]:
        """The lines of an object, as far as it can be read."""

        def read() -> tuple[set[bytes], bool]:
            found: set[bytes] = set()
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
            try:
                with closing(body), gzip.GzipFile(fileobj=body) as lines:
                    for line in lines:
                        found.add(line_digest(line))
            except (EOFError, gzip.BadGzipFile, zlib.error):
                return found, False
            return found, True

        found, whole = ask(read, run.deadline, self._chance)
        if not whole and key not in run.unreadable:
            run.unreadable.append(key)
        return found

    # What is written.

    def _write_head(self, run: _Run, shard_id: str, end: End, first: datetime | None) -> Head:
        stream = run.stream
        readable = max(stream.created, stream.horizon)
        expired = stream.created < self._now() - self._kept
        lost = None if expired else lost_before(stream.created, stream.horizon, first)
        head = Head(end, Position(0, 0, readable, lost))
        if self._put(run, entry_key(run.folder, shard_id, 0), _EMPTY, head.metadata()):
            return head
        return self._head(run, shard_id)

    def _head(self, run: _Run, shard_id: str) -> Head:
        return read_head(self._metadata(entry_key(run.folder, shard_id, 0), run.deadline))

    def _position(self, run: _Run, shard_id: str, entry: int) -> Position:
        return read_portion(entry, self._metadata(entry_key(run.folder, shard_id, entry), run.deadline))

    def _copy(self, run: _Run, shard_id: str, head: Head, entry: int, deadline: Deadline) -> Position | None:
        """Write the portions of a shard that are missing; where it ends, or None if something is left.

        `deadline` is for reading.
        """
        end = head.end.last
        if end is None:
            return head.position
        position = self._position(run, shard_id, entry) if entry else head.position
        records = _Rest(self._records(run, _Where(shard_id, position.sequence), deadline))
        while position.sequence < end.sequence:
            lines, first, last = self._portion(run, records, end)
            if last is None:
                return None
            lost = lost_after(position, run.stream.horizon, first.arrived if first else last.arrived)
            following = Position(position.entry + 1, last.sequence, last.arrived, lost)
            key = entry_key(run.folder, shard_id, following.entry)
            if self._put(run, key, gzip.compress(b"".join(lines), mtime=0), portion_metadata(following)):
                run.records += len(lines)
                run.size += sum(map(len, lines))
                position = following
            else:  # another run was first: go on where it ended
                position = self._position(run, shard_id, following.entry)
                records = _Rest(self._records(run, _Where(shard_id, position.sequence), deadline))
        return position

    def _portion(self, run: _Run, records: _Rest, end: Mark) -> tuple[list[bytes], Mark | None, Mark | None]:
        """Lines up to the size of a portion, the end or the deadline; the first of the records and the last.

        Without lines, the last is the end if Kinesis has dropped all up to there, and None if time is short.
        """
        lines: list[bytes] = []
        size, first, last = 0, None, None
        while last is None or last.sequence < end.sequence:
            try:
                record = records.look()
            except AwsError as exc:
                if not _passes(exc):
                    raise
                run.cause = exc.code
                return lines, first, last  # what was read is written; the next look raises again
            if record is None or record.mark.sequence > end.sequence:
                dropped = record is not None or end.arrived < run.stream.horizon
                return lines, first, last or (end if dropped else None)
            if lines and size + len(record.data) + 1 > PORTION_BYTES:
                break
            records.take()
            lines.append(record.data + b"\n")
            size += len(lines[-1])
            first, last = first or record.mark, record.mark
        return lines, first, last

    # Kinesis.

    def _stream(self, name: str, deadline: Deadline) -> _Stream:
        answer = self._ask(partial(self._kinesis.describe_stream_summary, StreamName=name), deadline)
        seen = answer["StreamDescriptionSummary"]
        kept = timedelta(hours=seen["RetentionPeriodHours"])
        return _Stream(name, seen["StreamCreationTimestamp"].astimezone(UTC), self._now() - kept)

    def _shards(self, stream_name: str, deadline: Deadline) -> list[Shard]:
        shards: list[Shard] = []
        parameters: dict[str, Any] = {"StreamName": stream_name}
        while True:
            page = self._ask(partial(self._kinesis.list_shards, **parameters), deadline)
            for one in page["Shards"]:
                parents = (one.get("ParentShardId"), one.get("AdjacentParentShardId"))
                shards.append(Shard(one["ShardId"], tuple(filter(None, parents))))
            if not page.get("NextToken"):
                return shards
            parameters = {"NextToken": page["NextToken"]}

    def _records(self, run: _Run, where: _Where, deadline: Deadline) -> Iterator[_Record]:
        """The records of a shard from there to its end, or to the newest one. Raises AwsError, out of time too."""
        iterator = self._iterator(run, where, deadline)
        while iterator:
            page = self._ask(partial(self._kinesis.get_records, ShardIterator=iterator, Limit=PAGE_RECORDS), deadline)
            for record in page["Records"]:
                data, arrived = record["Data"], record["ApproximateArrivalTimestamp"].astimezone(UTC)
                sequence = int(record["SequenceNumber"])
                if sequence > where.after:
                    yield _Record(Mark(sequence, line_digest(data), arrived), data)
            if not page.get("MillisBehindLatest") and len(page["Records"]) < PAGE_RECORDS:
                return
            iterator = page.get("NextShardIterator", "")
            if iterator and not deadline.wait(_PAGE_PAUSE_SECONDS, SHORTEST_CALL_SECONDS):
                raise AwsError(OUT_OF_TIME, Trouble.OUT_OF_TIME)

    def _iterator(self, run: _Run, where: _Where, deadline: Deadline) -> str:
        """An iterator; empty for a shard that Kinesis has dropped."""
        asked = {"StreamName": run.stream.name, "ShardId": where.shard_id, **where.parameters}
        try:
            return str(self._ask(partial(self._kinesis.get_shard_iterator, **asked), deadline)["ShardIterator"])
        except AwsError as exc:
            if exc.code.startswith("ResourceNotFound"):
                return ""
            if exc.code.startswith("InvalidArgument") and where.after:  # the record is dropped
                return self._iterator(run, _Where(where.shard_id), deadline)
            raise

    # S3.

    def _first_delivered(self, resource_id: str, created: datetime, deadline: Deadline) -> datetime | None:
        """When the delivery of this stream began, by its first object."""
        day = day_folder(resource_id, created)
        list_page = partial(
            self._s3.list_objects_v2, Bucket=self._bucket, Prefix=evidence_folder(resource_id), StartAfter=day
        )
        page = ask(list_page, deadline)
        keys = {one["Key"]: one["LastModified"].astimezone(UTC) for one in page.get("Contents", ())}
        created = created.replace(microsecond=0)
        return min((one.at for one in _delivered(resource_id, keys) if one.at >= created), default=None)

    def _metadata(self, key: str, deadline: Deadline) -> dict[str, str]:
        return _metadata(self._s3, self._bucket, key, deadline)

    def _put(self, run: _Run, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Write an object; False if it exists, perhaps from a try of ours whose answer was lost."""
        put = partial(
            self._s3.put_object,
            Bucket=self._bucket,
            Key=key,
            Body=body,
            Metadata=metadata,
            IfNoneMatch="*",
            ContentType="application/octet-stream",
        )
        try:
            self._ask(put, run.deadline)
        except AwsError as exc:
            if exc.code in _EXISTS:
                return False
            raise
        return True

    def _ask(self, call: Callable[[], Any], deadline: Deadline) -> Any:
        return ask(call, deadline, self._chance)


def evidence_start(s3: S3Client, bucket: str, resource_id: str, deadline: Deadline) -> EvidenceStart:
    """Whether a database's evidence begins where its stream begins, by S3 alone. Raises AwsError, NoteError."""
    folder = starts_folder(resource_id)
    keys = _keys(s3, bucket, folder, "", deadline)
    if not keys:
        return EvidenceStart()
    stream = max(key[len(folder) :].partition("/")[0] for key in keys)
    complete = f"{folder}{stream}/{COMPLETE}"
    if complete not in keys:
        return EvidenceStart(stream)
    return EvidenceStart(stream, True, read_lost(_metadata(s3, bucket, complete, deadline)))


def _metadata(s3: S3Client, bucket: str, key: str, deadline: Deadline) -> dict[str, str]:
    return ask(partial(s3.head_object, Bucket=bucket, Key=key), deadline)["Metadata"]


def _keys(s3: S3Client, bucket: str, prefix: str, after: str, deadline: Deadline) -> dict[str, datetime]:
    """The names after this one, in their order, and when each was written."""
    objects = list_objects(s3, bucket, prefix, partial(ask, deadline=deadline), after)
    return {one["Key"]: one["LastModified"].astimezone(UTC) for one in objects}


def _delivered(resource_id: str, keys: Mapping[str, datetime]) -> list[DeliveredObject]:
    ours = starts_folder(resource_id)
    return [delivered_object(key, modified) for key, modified in keys.items() if not key.startswith(ours)]


def _passes(exc: AwsError) -> bool:
    return exc.trouble in (Trouble.PASSING, Trouble.OUT_OF_TIME)


def _left(run: _Run, compared: Collection[Window], shards: Collection[Shard], heads: Mapping[str, Head]) -> str:
    """What keeps the evidence from being complete; empty if nothing does."""
    cause = f" ({run.cause})" if run.cause else ""
    if not compared:
        return "the delivery has not written an object yet"
    if copying := len(heads) - run.shards_complete:
        return f"{copying} of {len(shards)} shards are being written{cause}"
    if waiting := sum(shard.id not in heads for shard in shards):
        return f"{waiting} of {len(shards)} shards have no record in the delivery yet{cause}"
    return ""


def _progress(run: _Run, left: str, lost: Lost | None = None) -> Progress:
    return Progress(not left, left, lost, run.shards, run.shards_complete, run.records, run.size, tuple(run.unreadable))
