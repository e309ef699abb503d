"""The ingest function's work on one batch: open, filter, flatten, write; what can never succeed becomes a dead letter.

While one bulk request is on its way the next records are decoded, so that decrypting and writing share the time. Where
rows are delivered too, Firehose takes them meanwhile; neither waits for the other to succeed. In whatever order things
fail, a record is done only when each of its documents is written, and each of its rows put, or kept in a dead letter;
the batch answer names the first record that is not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from daswatch.aws.firehose import DeliveryPipeline, DeliveryStream, PutResult, RefusedRow, Row
from daswatch.aws.kms import DataKeys
from daswatch.aws.s3 import DeadLetterBucket
from daswatch.deadline import Deadline
from daswatch.documents.activity import Activity
from daswatch.documents.decoder import DecodedRecord, RecordDecoder
from daswatch.documents.document import Document, Flattening
from daswatch.documents.noise import Noise
from daswatch.documents.rows import row
from daswatch.errors import DependencyError, Reason, RecordError, TemplatesMissing
from daswatch.indexing import drops
from daswatch.indexing.bulk import Action
from daswatch.indexing.dead_letters import DeadLetter
from daswatch.indexing.drops import Drop
from daswatch.indexing.pulse import Pulse, instances
from daswatch.indices import Indices
from daswatch.opensearch.bulk import BulkResult, Refusal, SearchGateway
from daswatch.records.envelope import StreamSource, stream_source
from daswatch.records.kinesis import StreamRecord
from daswatch.times import moment_of

# Small instance types refuse requests of more than 10 MiB; past some thousand documents a request gains nothing.
_BULK_BYTES = 4 * 1024 * 1024
_BULK_ACTIONS = 2_000
# With nothing on its way, OpenSearch would wait: this much is worth a request.
_EARLY_ACTIONS = 200
_PARALLEL_PUTS = 8
_SHARE_OF_S3 = 0.5  # of the time left: the lines about dead letters need the rest
_REMEMBERED_RECORDS = 10_000  # the most that Lambda delivers in one batch


@dataclass(slots=True)
class Report:
    """What one invocation did. `index_ms` runs beside the other stages."""

    records: int = 0
    events: int = 0
    written: int = 0
    already_there: int = 0
    dropped: Counter[Noise] = field(default_factory=Counter)
    dropped_users: Counter[tuple[str, str]] = field(default_factory=Counter)  # by instance id and user
    dead_letters: Counter[Reason] = field(default_factory=Counter)
    untold: int = 0  # dead letters that are in S3, but whose line OpenSearch refused
    pulses_unwritten: int = 0
    drops_unwritten: int = 0  # counts of dropped events, not these themselves
    lost_cause: str = ""  # why pulses or counts are unwritten
    heartbeats: Counter[str] = field(default_factory=Counter)  # by instance id
    kms_calls: int = 0
    kms_hits: int = 0
    bulk_requests: int = 0
    decrypt_ms: float = 0.0
    flatten_ms: float = 0.0
    index_ms: float = 0.0
    total_ms: float = 0.0
    newest_event_age_ms: float | None = None
    rows: PutResult | None = None  # None where no rows are delivered
    first_unwritten: int | None = None  # position of the first record that has to be delivered again
    cause: str = ""  # and why

    def redeliver_from(self, position: int, cause: str) -> None:
        """Note that the record at this position, and so every later one, has to be delivered again."""
        if self.first_unwritten is None or position < self.first_unwritten:
            self.first_unwritten = position
        self.cause = self.cause or cause

    def redeliver(self, result: BulkResult) -> None:
        """Note what a bulk left unwritten. What belongs to no record, a pulse, is not worth a redelivery."""
        for action in result.unwritten:
            if action.position is not None:
                self.redeliver_from(action.position, result.cause)

    def take_drops(self, result: BulkResult) -> None:
        """Take into account what became of the counts of dropped events."""
        self.bulk_requests += result.requests
        self.drops_unwritten = len(result.lost)
        self.lost_cause = self.lost_cause or result.lost_cause

    def take_rows(self, put: PutResult) -> None:
        """Take what became of the rows into account."""
        self.rows = put
        for unput in put.unput:
            self.redeliver_from(unput.record, put.cause)

    def count(self, decoded: DecodedRecord) -> None:
        """Take one decoded record into account."""
        self.events += decoded.events
        if decoded.dropped:
            self.dropped.update(decoded.dropped)
        for user, count in decoded.dropped_users.items():
            self.dropped_users[decoded.instance_id, user.name] += count
        self.decrypt_ms += decoded.decrypt_seconds * 1000
        self.flatten_ms += decoded.flatten_seconds * 1000

    def take(self, result: BulkResult, pulses: Iterable[Pulse], now: datetime) -> None:
        """Take what was written into account, and how fresh it is."""
        self.redeliver(result)
        # The next batch brings a pulse again; where none is ever written, nothing else would show it.
        # By instance: each has two documents.
        self.pulses_unwritten = len(instances(result.lost))
        self.lost_cause = result.lost_cause
        self.written, self.already_there = result.written, result.already_there
        self.bulk_requests, self.index_ms = result.requests, result.seconds * 1000
        newest = ""
        for heard in pulses:
            newest = max(newest, heard.last_event)
            if heard.heartbeats:
                self.heartbeats[heard.instance_id] += heard.heartbeats
        if newest:
            self.newest_event_age_ms = (now - moment_of(newest)).total_seconds() * 1000


class BulkPipeline:
    """Collects actions and writes them in bulks: one on its way, one being collected."""

    def __init__(self, search: SearchGateway, executor: Executor, deadline: Deadline) -> None:
        self._search = search
        self._executor = executor
        self._deadline = deadline
        self._collected: list[Action] = []
        self._bytes = 0
        self._on_its_way: Future[BulkResult] | None = None
        self.result = BulkResult()

    def add(self, actions: Iterable[Action]) -> None:
        """Take actions; sends them as soon as OpenSearch would wait otherwise, or enough are there."""
        for action in actions:
            self._collected.append(action)
            self._bytes += len(action.lines)
            if self._bytes >= _BULK_BYTES or len(self._collected) >= _BULK_ACTIONS:
                self._send()
        idle = self._on_its_way is None or self._on_its_way.done()
        if idle and len(self._collected) >= _EARLY_ACTIONS:
            self._send()

    @property
    def stuck(self) -> bool:
        """Whether something could not be written: what comes later would have to be delivered again anyway."""
        if self._on_its_way is not None and self._on_its_way.done():
            self._land()
        return bool(self.result.unwritten)

    def finish(self) -> BulkResult:
        """Write what is left and wait for everything."""
        self._land()
        if self._collected:
            # Nothing else is to do meanwhile: no need for the other thread.
            self.result.add(self._search.write(self._collected, self._deadline))
            self._collected, self._bytes = [], 0
        return self.result

    def _send(self) -> None:
        self._land()
        self._on_its_way = self._executor.submit(self._search.write, self._collected, self._deadline)
        self._collected, self._bytes = [], 0

    def _land(self) -> None:
        if self._on_its_way is not None:
            self.result.add(self._on_its_way.result())
            self._on_its_way = None


class RowsDelivery:
    """Rows of the wanted activities, on their way to one delivery stream; one for as long as the function is warm.

    A record that Lambda delivers again because of OpenSearch, or of a record before it, may have its rows in Firehose
    already. Those are remembered here, so that most redeliveries double no row; one that meets another instance of the
    function does.
    """

    def __init__(self, stream: DeliveryStream, activities: frozenset[Activity], executor: Executor) -> None:
        self._stream = stream
        self._activities = frozenset(activity.value for activity in activities)
        self._executor = executor
        self._already_put: dict[tuple[str, str, str], None] = {}  # the oldest first

    def begin(self, deadline: Deadline) -> DeliveryPipeline:
        """What takes the rows of one batch."""
        return DeliveryPipeline(self._stream, self._executor, deadline)

    def take(self, delivery: DeliveryPipeline, record: StreamRecord, position: int, decoded: DecodedRecord) -> None:
        """Hand over a record's rows, unless an earlier delivery did."""
        if _name(record) in self._already_put:
            return
        rows: list[Row] = []
        for document in decoded.documents:
            activity = document.source["activity"]
            if activity not in self._activities:
                continue
            try:
                rows.append(Row(row(document), activity, position, document.id))
            except Exception as exc:  # noqa: BLE001 - whatever an event holds, its neighbours go on
                delivery.refuse(RefusedRow(position, document.id, type(exc).__name__))
        delivery.add(rows)

    def remember(self, records: Iterable[StreamRecord]) -> None:
        """Note records whose rows are in Firehose although Lambda will deliver them again."""
        for record in records:
            if record.sequence_number:
                self._already_put[_name(record)] = None
        for name in list(self._already_put)[:-_REMEMBERED_RECORDS]:
            del self._already_put[name]


class Ingest:
    """The stages with their clients; one for as long as the function is warm."""

    def __init__(
        self,
        *,
        decoder: RecordDecoder,
        data_keys: DataKeys,
        search: SearchGateway,
        bucket: DeadLetterBucket,
        executor: Executor,
        rows: RowsDelivery | None = None,
    ) -> None:
        self._decoder = decoder
        self._data_keys = data_keys
        self._search = search
        self._bucket = bucket
        self._executor = executor
        self._rows = rows
        self._known_indices: set[str] = set()
        self._pulses_written: dict[tuple[str, str], str] = {}  # when each instance was last told to be seen

    def run(self, batch: Sequence[StreamRecord], flattening: Flattening, now: datetime, deadline: Deadline) -> Report:
        """Work on one batch. Whatever goes wrong is in the report."""
        begun = time.perf_counter()
        calls, hits = self._data_keys.counts.calls, self._data_keys.counts.hits
        report = Report(records=len(batch))
        pipeline = BulkPipeline(self._search, self._executor, deadline)
        delivery = self._rows.begin(deadline) if self._rows else None
        letters: list[DeadLetter] = []
        pulses: dict[tuple[str, str], Pulse] = {}
        dropped: list[Drop] = []

        # From here on OpenSearch takes nothing more: records are decoded for their rows alone.
        rows_only_from = len(batch)
        if batch and not self._templates_are_there(set(), flattening.index_prefix, deadline, report, position=0):
            rows_only_from = 0
        for position, record in enumerate(batch):
            if position < rows_only_from and pipeline.stuck:
                rows_only_from = position
            if position >= rows_only_from and (delivery is None or delivery.stuck):
                break
            if deadline.remaining <= 0:
                report.redeliver_from(position, "out of time")
                break
            stream: StreamSource | None = None
            try:
                stream = stream_source(record.stream_arn)
                decoded = self._decoder.decode(record.data, stream, record.arrived_at, flattening, deadline)
            except RecordError as exc:
                letters.append(DeadLetter(position, record, stream, exc.reason, exc.detail))
                continue
            except DependencyError as exc:
                report.redeliver_from(position, str(exc))
                break
            except MemoryError as exc:
                # With others in memory it may be their fault: it is delivered again as the first of its batch.
                if position:
                    report.redeliver_from(position, "out of memory")
                    break
                letters.append(DeadLetter(position, record, stream, Reason.UNEXPECTED, type(exc).__name__))
                continue
            except Exception as exc:  # noqa: BLE001 - whatever a record holds, its neighbours go on
                letters.append(DeadLetter(position, record, stream, Reason.UNEXPECTED, type(exc).__name__))
                continue
            if position < rows_only_from:
                indices = {document.index for document in decoded.documents}
                if not self._templates_are_there(indices, flattening.index_prefix, deadline, report, position):
                    rows_only_from = position
            if position < rows_only_from:
                if decoded.defect:
                    letters.append(DeadLetter(position, record, stream, *decoded.defect))
                report.count(decoded)
                _feel(pulses, record, stream, decoded)
                dropped += _dropped(position, record, stream, decoded)
                pipeline.add(bulk_action(document, position) for document in decoded.documents)
            if self._rows and delivery:
                self._rows.take(delivery, record, position, decoded)
            del decoded  # large: not while the next record is decoded

        own = Indices(flattening.index_prefix)
        due = [heard for name, heard in pulses.items() if heard.is_due(self._pulses_written.get(name))]
        versioned = not self._search.is_collection
        for heard in due:
            pipeline.add(heard.actions(own.pulse, versioned=versioned, now=now))
        if delivery:
            delivery.flush()
        result = pipeline.finish()
        if not result.lost:
            self._pulses_written |= {(heard.stream.resource_id, heard.instance_id): heard.last_seen for heard in due}
        letters += _refusals(result.refused, batch)
        if delivery:
            letters += _row_refusals(delivery.finish().refused, batch)
        # What is delivered again tells of itself then.
        letters = [letter for letter in letters if letter.position < rows_only_from]
        self._keep(letters, flattening.ingested_at, own.dead_letters, deadline, report)

        report.take(result, pulses.values(), now)
        if self._rows and delivery:
            report.take_rows(delivery.result)
            if report.first_unwritten is not None:
                again = sorted(position for position in delivery.put_records if position >= report.first_unwritten)
                self._rows.remember(batch[position] for position in again)
        done = batch[: report.first_unwritten]
        report.take_drops(self._tell_drops(dropped, done, flattening.ingested_at, own.drops, deadline))
        report.kms_calls = self._data_keys.counts.calls - calls
        report.kms_hits = self._data_keys.counts.hits - hits
        report.total_ms = (time.perf_counter() - begun) * 1000
        return report

    def _templates_are_there(
        self, indices: set[str], prefix: str, deadline: Deadline, report: Report, position: int
    ) -> bool:
        """Whether the record at this position may be written; notes in the report why not."""
        try:
            self._require_templates(indices, prefix, deadline)
        except DependencyError as exc:
            report.redeliver_from(position, str(exc))
            return False
        except Exception as exc:  # noqa: BLE001 - whatever the endpoint answers, no record is to blame
            report.redeliver_from(position, f"the index templates could not be looked up: {type(exc).__name__}")
            return False
        return True

    def _require_templates(self, indices: set[str], prefix: str, deadline: Deadline) -> None:
        """Before the first write, and before a write that may create an index: are the templates there?

        Raises TemplatesMissing: a day's index would come into being with guessed field types, for good.
        """
        if self._known_indices and indices <= self._known_indices:
            return
        installed = self._search.template_names(deadline)
        own = Indices(prefix)
        for name in (own.prefix, own.dead_letters, own.pulse, own.drops):
            if name not in installed:
                raise TemplatesMissing(name)
        self._known_indices |= {own.pulse, *indices}

    def _tell_drops(
        self, dropped: Sequence[Drop], done: Sequence[StreamRecord], ingested_at: str, name: str, deadline: Deadline
    ) -> BulkResult:
        """Count what was dropped of the records that are done. A count that is not written is in the log alone."""
        told = [drop for drop in dropped if drop.position < len(done)]
        return self._search.write(drops.actions(told, done, ingested_at, name), deadline) if told else BulkResult()

    def _keep(
        self, letters: Sequence[DeadLetter], ingested_at: str, index: str, deadline: Deadline, report: Report
    ) -> None:
        """Store dead letters, first the record, then the line that tells of it."""
        if not letters:
            return
        actions: list[Action] = []
        kept: list[DeadLetter] = []
        until = deadline.part(_SHARE_OF_S3)
        with ThreadPoolExecutor(max_workers=min(len(letters), _PARALLEL_PUTS)) as puts:
            stored = [
                puts.submit(self._bucket.put, letter.object_key, letter.object_body(), until) for letter in letters
            ]
        for letter, put in zip(letters, stored, strict=True):
            try:
                actions.append(letter.action(put.result(), ingested_at, index))
                kept.append(letter)
            except DependencyError as exc:
                report.redeliver_from(letter.position, str(exc))
        told = self._search.write(actions, deadline) if actions else BulkResult()
        report.redeliver(told)
        report.untold = len(told.refused)
        untold = {action.position for action in told.unwritten}
        report.dead_letters.update(letter.reason for letter in kept if letter.position not in untold)


def bulk_action(document: Document, position: int) -> Action:
    """The action that writes a document once, and never again."""
    return Action.create(document.index, document.id, orjson.dumps(document.source), position=position)


def _feel(
    pulses: dict[tuple[str, str], Pulse], record: StreamRecord, stream: StreamSource, decoded: DecodedRecord
) -> None:
    """Take what a monitoring record tells about its instance's pulse."""
    instance = (stream.resource_id, decoded.instance_id)
    if instance not in pulses:
        pulses[instance] = Pulse(stream, decoded.instance_id, last_seen=record.arrived_at)
    pulses[instance].heard(record.arrived_at, decoded.dropped.get(Noise.HEARTBEAT, 0), decoded.newest_event)


def _dropped(position: int, record: StreamRecord, stream: StreamSource, decoded: DecodedRecord) -> list[Drop]:
    """What was dropped of one record, by user. Its heartbeats are the pulse."""
    return [
        Drop(position, stream, record.arrived_at, Noise.AWS_USER, count, decoded.instance_id, user)
        for user, count in decoded.dropped_users.items()
    ]


def _refusals(refused: Iterable[Refusal], batch: Sequence[StreamRecord]) -> list[DeadLetter]:
    """One dead letter for each record of which OpenSearch refused documents."""
    by_record: dict[int, list[Refusal]] = {}
    for refusal in refused:
        if refusal.action.position is not None:
            by_record.setdefault(refusal.action.position, []).append(refusal)
    return [
        DeadLetter(
            position,
            batch[position],
            stream_source(batch[position].stream_arn),
            Reason.DOCUMENT_REFUSED,
            ", ".join(sorted({refusal.error_type for refusal in refusals})),
            tuple(refusal.action.document_id for refusal in refusals),
        )
        for position, refusals in by_record.items()
    ]


def _row_refusals(refused: Iterable[RefusedRow], batch: Sequence[StreamRecord]) -> list[DeadLetter]:
    """One dead letter for each record with rows that Firehose can never take."""
    by_record: dict[int, list[RefusedRow]] = {}
    for refusal in refused:
        by_record.setdefault(refusal.record, []).append(refusal)
    return [
        DeadLetter(
            position,
            batch[position],
            stream_source(batch[position].stream_arn),
            Reason.ROW_REFUSED,
            ", ".join(sorted({refusal.why for refusal in refusals})),
            tuple(refusal.event_id for refusal in refusals),
        )
        for position, refusals in by_record.items()
    ]


def _name(record: StreamRecord) -> tuple[str, str, str]:
    return record.stream_arn, record.shard_id, record.sequence_number
