"""Evidence, opened again: objects -> stream records -> documents, through the decoder of the ingest function.

In: objects one after the other, what of them is wanted, and where documents go. Out: for each object, what was read,
opened, written, there already and refused, by database and hour. Neither pulses nor counts of dropped events come of a
replay: they say what was heard when it was heard. What was ingested late is tallied like what was ingested in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from daswatch.deadline import Deadline
from daswatch.documents.activity import Activity
from daswatch.documents.document import Document, Flattening, second_of
from daswatch.enrolment.first_records import SPAN, delivered_object
from daswatch.errors import EvidenceDamaged, KmsUnavailable, NotAnActivityStream, Reason
from daswatch.evidence.objects import EvidenceObject, EvidenceRecord, Kind, Listed, read_object, resource_id_of
from daswatch.indexing.dead_letters import DeadLetter, decoded_or_letter
from daswatch.indexing.tallies import KEPT, ReplayedObject, Tally
from daswatch.records.envelope import StreamSource, stream_source
from daswatch.records.kinesis import StreamRecord
from daswatch.times import iso_milliseconds, moment_of

if TYPE_CHECKING:
    from daswatch.documents.decoder import DataKeySource, DecodedRecord, RecordDecoder
    from daswatch.records.decryption import DataKey

KEY_UNAVAILABLE = "key-unavailable"  # a record's key is deleted, disabled or denied: it opens when that changes
UNKNOWN = "unknown"  # the database of a record that names none
OTHER_DETAILS = "other details"
UNDATED = "undated"  # the hour of events without a time

# One request to write is in flight while the next records are opened; what is in memory is bounded by these.
_BATCH_RECORDS = 1_000
_BATCH_CHARACTERS = 16 * 1024 * 1024
_DETAILS = 200  # of refusals, in a report
_REMEMBERED_REFUSALS = 10_000  # data keys
# What daswatch itself keeps in the same buckets, and is no evidence.
_NOT_EVIDENCE = ("backups/", "manifests/", "replays/", "rows/", "rows-failed/")


@dataclass(frozen=True, slots=True)
class Opened:
    """An object that is being read; reading `chunks` raises EvidenceUnavailable, EvidenceDamaged."""

    listed: Listed
    chunks: Iterator[bytes]
    metadata: Mapping[str, str]
    is_done: bool = False  # an earlier replay wrote all of it
    is_gone: bool = False  # since it was listed
    version_id: str = ""  # of a bucket with versions


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted of the evidence: records that arrived from `begin` until `end`, of these databases and activities.

    A Firehose keeps no arrival of a record: what may have arrived in that time is wanted. Empty sets are all. Records
    that are kept for one of `not_reasons` are not wanted.
    """

    begin: datetime | None = None
    end: datetime | None = None
    resource_ids: frozenset[str] = frozenset()
    activities: frozenset[Activity] = frozenset()
    not_reasons: frozenset[str] = frozenset()

    def wants_object(self, listed: Listed) -> bool:
        """Whether an object may have wanted records, by its name and when it was written."""
        if listed.key.startswith(_NOT_EVIDENCE) or listed.key.endswith("/"):
            return False
        resource_id = resource_id_of(listed.key)
        if self.resource_ids and resource_id and resource_id not in self.resource_ids:
            return False
        if self.begin and listed.modified < self.begin:
            return False
        # Firehose names an object by the arrival of its oldest record.
        oldest = delivered_object(listed.key, datetime.min.replace(tzinfo=UTC)).at
        return not self.end or oldest <= self.end

    def wants_record(self, record: EvidenceRecord, resource_id: str) -> bool:
        """Whether a record of this database is wanted."""
        if self.resource_ids and resource_id not in self.resource_ids:
            return False
        if record.reason in self.not_reasons:
            return False
        if record.stream_arn is None:
            return True  # its arrival is not known
        after = self.begin is None or record.arrived_at >= self.begin
        return after and (self.end is None or record.arrived_at <= self.end)


@dataclass(slots=True)
class Counts:
    """Of one database and hour. Records count in the hour of their arrival, events in their own."""

    read: int = 0  # records
    opened: int = 0  # records
    unopened: int = 0  # records that cannot be opened, or not as a whole
    events: int = 0  # documents that were made
    dropped: int = 0  # noise
    left_out: int = 0  # events of other activities
    written: int = 0
    already_there: int = 0
    refused: int = 0  # events that OpenSearch does not take

    def add(self, other: Counts) -> None:
        """Take another's counts into these."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def as_json(self) -> dict[str, int]:
        """Those that are not 0, in camel case."""
        named = ((_camel(one.name), getattr(self, one.name)) for one in fields(self))
        return {name: count for name, count in named if count}


Place = tuple[str, str]  # the resource id, and the hour as ISO 8601


@dataclass(slots=True)
class ObjectReport:
    """What came of one object."""

    key: str
    kind: Kind
    counts: dict[Place, Counts] = field(default_factory=dict)
    refusals: dict[tuple[str, str], int] = field(default_factory=dict)  # by reason and detail
    damage: str = ""  # what is wrong with the rest of it
    skipped: int = 0  # records that are not wanted

    def at(self, resource_id: str, hour: str) -> Counts:
        """The counts of a database and hour."""
        return self.counts.setdefault((resource_id or UNKNOWN, hour), Counts())

    def refuse(self, reason: str, detail: str, count: int = 1) -> None:
        """Note why a record, or a part of it, stays."""
        note_refusal(self.refusals, reason, detail, count)

    @property
    def is_whole(self) -> bool:
        """Whether all that is in it is where it belongs."""
        left = self.skipped or any(one.left_out for one in self.counts.values())
        return self.kind is not Kind.OTHER and not (self.refusals or self.damage or left)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of documents, beyond those that are written: the position of the record, and the document's id."""

    is_written: bool = True
    already_there: Sequence[tuple[int, str]] = ()
    refused: Sequence[tuple[int, str, str]] = ()  # and why


class Session(Protocol):
    """Takes the documents of one batch of records."""

    def add(self, position: int, documents: Sequence[Document]) -> None:
        """Take the documents of the record at this position. Raises DependencyError."""
        ...

    def finish(self, tally: Tally) -> Outcome:
        """Write what is left; into indices, also what it adds up to. Raises DependencyError where something stays."""
        ...


class Target(Protocol):
    """Where documents go."""

    def begin(self, object_key: str, deadline: Deadline) -> Session:
        """What takes a batch of an object's records."""
        ...


class Nowhere:
    """Opens, and writes nothing."""

    def begin(self, object_key: str, deadline: Deadline) -> Session:
        return self

    def add(self, position: int, documents: Sequence[Document]) -> None:
        pass

    def finish(self, tally: Tally) -> Outcome:
        return Outcome(is_written=False)


class RememberingKeys:
    """Data keys, and which of them there is no use to ask for again in this run."""

    def __init__(self, keys: DataKeySource) -> None:
        self._keys = keys
        self._refused: dict[tuple[str, bytes], KmsUnavailable] = {}

    def unwrap(self, wrapped: bytes, stream: StreamSource, deadline: Deadline) -> DataKey:
        """The data key. Raises DecryptError, KmsUnavailable."""
        name = (stream.resource_id, wrapped)
        if name in self._refused:
            raise self._refused[name]
        try:
            return self._keys.unwrap(wrapped, stream, deadline)
        except KmsUnavailable as exc:
            if not exc.is_passing and len(self._refused) < _REMEMBERED_REFUSALS:
                self._refused[name] = exc
            raise


class Replayer:
    """Opens the objects of one run.

    `stream_arn` names the stream of a database where the evidence has only its resource id, or returns nothing.
    `as_of_now` has documents count as arriving now; otherwise they are as if they had been written when they arrived,
    and the running detections leave them alone.
    """

    def __init__(
        self,
        *,
        data_keys: DataKeySource,
        decoder: Callable[[DataKeySource], RecordDecoder],
        target: Target,
        selection: Selection,
        flattening: Flattening,
        stream_arn: Callable[[str], str],
        as_of_now: bool = False,
    ) -> None:
        self._decoder = decoder(RememberingKeys(data_keys))
        self._target = target
        self._selection = selection
        self._flattening = flattening
        self._stream_arn = stream_arn
        self._as_of_now = as_of_now
        at = flattening.replayed_at
        self._tallied_since = iso_milliseconds(moment_of(at) - KEPT) if at else ""

    def replay(self, opened: Opened, deadline: Callable[[], Deadline]) -> ObjectReport:
        """Open an object and write what is in it. Raises DependencyError where that has to wait.

        `deadline` gives each batch of records its own. Run again, it writes the same: what is there stays.
        """
        listed = opened.listed
        report = ObjectReport(listed.key, Kind.OTHER)
        try:
            found = read_object(listed.key, opened.chunks, listed.modified, opened.metadata)
            report.kind = found.kind
            replayed = ReplayedObject(listed.key, _last_arrival(listed, found.kind))
            for batch in self._batches(found, report):
                self._write(batch, report, replayed, deadline())
        except EvidenceDamaged as exc:
            report.damage = str(exc)
        return report

    def _batches(self, found: EvidenceObject, report: ObjectReport) -> Iterator[list[StreamRecord]]:
        """The wanted records, as Lambda would deliver them; those before damage come, too."""
        batch: list[StreamRecord] = []
        size = 0
        damage: EvidenceDamaged | None = None
        records = found.records
        while True:
            try:
                record = next(records, None)
            except EvidenceDamaged as exc:
                damage, record = exc, None
            if record is None:
                break
            arn = record.stream_arn or (self._stream_arn(found.resource_id) if found.resource_id else "")
            if not self._selection.wants_record(record, _resource_id(arn)):
                report.skipped += 1
                continue
            if record.reason == Reason.ROW_REFUSED:
                report.refuse(record.reason, "its rows are not delivered by a replay")
            batch.append(_stream_record(record, arn, len(batch)))
            size += len(record.data)
            if len(batch) == _BATCH_RECORDS or size >= _BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
        if damage:
            raise damage

    def _write(
        self, batch: Sequence[StreamRecord], report: ObjectReport, replayed: ReplayedObject, deadline: Deadline
    ) -> None:
        session = self._target.begin(report.key, deadline)
        tally = Tally(replayed)
        # Noted when all is written: a batch that is not counts for nothing.
        counted = ObjectReport(report.key, report.kind)
        flattening = self._flattening
        for position, record in enumerate(batch):
            resource_id = _resource_id(record.stream_arn)
            at = counted.at(resource_id, _hour_of_arrival(record))
            at.read += 1
            if not self._as_of_now and flattening.ingested_at != record.arrived_at:
                flattening = replace(flattening, ingested_at=record.arrived_at)
            decoded = self._decode(record, flattening, deadline, counted)
            if decoded is None:
                at.unopened += 1
                continue
            at.opened += 1
            at.dropped += sum(decoded.dropped.values())
            if decoded.defect:
                counted.refuse(*decoded.defect)
            documents = [one for one in decoded.documents if self._is_wanted(one)]
            at.left_out += len(decoded.documents) - len(documents)
            for document in documents:
                counts = counted.at(resource_id, _hour_of_event(document.id))
                counts.events += 1
                counts.written += 1
            session.add(position, documents)
            if self._is_tallied(record):
                tally.take(record, decoded)
            del decoded, documents  # large: not while the next record is opened
        self._settle(session.finish(tally), batch, counted)
        for (resource_id, hour), counts in counted.counts.items():
            report.at(resource_id, hour).add(counts)
        for (reason, detail), count in counted.refusals.items():
            report.refuse(reason, detail, count)

    def _settle(self, outcome: Outcome, batch: Sequence[StreamRecord], counted: ObjectReport) -> None:
        if not outcome.is_written:
            for counts in counted.counts.values():
                counts.written = 0
        for position, id_ in outcome.already_there:
            counts = counted.at(_resource_id(batch[position].stream_arn), _hour_of_event(id_))
            counts.written -= 1
            counts.already_there += 1
        for position, id_, why in outcome.refused:
            counts = counted.at(_resource_id(batch[position].stream_arn), _hour_of_event(id_))
            counts.written -= 1
            counts.refused += 1
            counted.refuse(Reason.DOCUMENT_REFUSED, why)

    def _decode(
        self, record: StreamRecord, flattening: Flattening, deadline: Deadline, report: ObjectReport
    ) -> DecodedRecord | None:
        """What is in a record; None where it stays as it is, and the report says why."""
        try:
            decoded = decoded_or_letter(self._decoder, record, flattening, deadline)
        except NotAnActivityStream:
            report.refuse(Reason.NOT_AN_ACTIVITY_STREAM, "the record is of another stream")
            return None
        except KmsUnavailable as exc:
            if exc.is_passing:
                raise
            report.refuse(KEY_UNAVAILABLE, f"{exc}{f' ({exc.key})' if exc.key else ''}")
            return None
        except MemoryError:
            report.refuse(Reason.UNEXPECTED, "MemoryError")
            return None
        if isinstance(decoded, DeadLetter):
            report.refuse(decoded.reason, decoded.detail)
            return None
        return decoded

    def _is_tallied(self, record: StreamRecord) -> bool:
        """Whether a record counts: as a whole, and no longer ago than others are counted."""
        return not self._selection.activities and record.arrived_at >= self._tallied_since

    def _is_wanted(self, document: Document) -> bool:
        return not self._selection.activities or document.source["activity"] in self._selection.activities


def note_refusal(refusals: MutableMapping[tuple[str, str], int], reason: str, detail: str, count: int) -> None:
    """Count a reason with its detail; beyond some hundred different ones, without: they name sizes, too."""
    if (reason, detail) not in refusals and len(refusals) >= _DETAILS:
        detail = OTHER_DETAILS
    refusals[reason, detail] = refusals.get((reason, detail), 0) + count


def _stream_record(record: EvidenceRecord, arn: str, position: int) -> StreamRecord:
    sequence_number = "" if record.sequence_number is None else str(record.sequence_number)
    arrived_at = iso_milliseconds(record.arrived_at)
    return StreamRecord({}, record.data, arn, sequence_number, record.shard_id, arrived_at, position)


def _resource_id(stream_arn: str) -> str:
    try:
        return stream_source(stream_arn).resource_id if stream_arn else ""
    except NotAnActivityStream:
        return ""


def _last_arrival(listed: Listed, kind: Kind) -> str:
    """When the last record of an object may have arrived, where it names the arrival of the oldest one alone."""
    if kind is not Kind.ARCHIVE or listed.is_first_records:
        return ""
    latest = listed.at + SPAN
    return iso_milliseconds(min(listed.modified, latest) if listed.modified > listed.at else latest)


def _hour_of_arrival(record: StreamRecord) -> str:
    return record.arrived_at[:13] + ":00Z"


def _hour_of_event(document_id: str) -> str:
    second = second_of(document_id)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:00Z}" if second else UNDATED


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def as_rows(counts: Mapping[Place, Counts]) -> list[dict[str, Any]]:
    """Counts by database and hour, as JSON."""
    return [
        {"resourceId": resource_id, "hour": hour, **one.as_json()}
        for (resource_id, hour), one in sorted(counts.items())
    ]
