"""Where the documents of a batch go: into OpenSearch, and as rows into Firehose.

A sink takes decoded records in their order, until something stays unwritten: what comes later is delivered again
anyway. No sink waits for another to succeed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Protocol

from daswatch.aws.firehose import MAX_CALL_BYTES, MAX_RECORDS_PER_CALL, DeliveryStream, PutResult, RefusedRow, Row
from daswatch.deadline import Deadline
from daswatch.documents.activity import Activity
from daswatch.documents.decoder import DecodedRecord
from daswatch.documents.document import Flattening
from daswatch.documents.noise import Noise
from daswatch.documents.row_formats import row
from daswatch.errors import DependencyError, Reason
from daswatch.indexing import dropped_events
from daswatch.indexing.bulk import Action
from daswatch.indexing.dead_letters import DeadLetter
from daswatch.indexing.dropped_events import Drop
from daswatch.indexing.pulse import Pulse, instances
from daswatch.indexing.tallies import Tally
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.event_indices import EventIndices, document_action
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord
from daswatch.request_pipeline import Limits, Pipeline
from daswatch.times import moment_of
from ingest_lambda.report import IngestReport, RowsReport

_PUT = Limits(size=MAX_CALL_BYTES, items=2_000, early=MAX_RECORDS_PER_CALL)
# A put may retry for this part of the time left: OpenSearch needs the rest.
_SHARE_OF_PUT = 0.5
_OWED = 100  # tallies, some minutes' of a shard: at most some MB
REMEMBERED_RECORDS = 10_000  # the most that Lambda delivers in one batch


class Sink(Protocol):
    """Takes the records of one batch."""

    def accepts(self, record: StreamRecord) -> bool:
        """Whether a record may still be done here; once one may not, no later one may."""
        ...

    def take(self, record: StreamRecord, decoded: DecodedRecord) -> None:
        """Take what was decoded of a record."""
        ...

    def flush(self) -> None:
        """There are no more records: send what another thread can send now."""
        ...

    def finish(self) -> list[DeadLetter]:
        """Write what is left, wait for all, and report it. Returns the records of which a part can never be written."""
        ...

    def settle(self, batch: Sequence[StreamRecord], done: int) -> None:
        """Note that so many records of the batch are done: Lambda delivers the others again."""
        ...


class OpenSearchIndices(EventIndices):
    """The indices of a deployment, as long as the function is warm."""

    def __init__(self, search: SearchGateway, executor: Executor) -> None:
        super().__init__(search, executor)
        self.last_seen: dict[tuple[str, str], str] = {}  # of each instance, as its pulse was written last
        self.owed: list[Action] = []  # tallies that were not written: the next batch tries them again

    def begin(self, flattening: Flattening, now: datetime, deadline: Deadline, report: IngestReport) -> OpenSearchSink:
        """What takes the documents of one batch."""
        return OpenSearchSink(self, flattening, now, deadline, report)


class OpenSearchSink:
    """Documents, the pulse of their instances, and the counts of what was ingested and dropped."""

    def __init__(
        self,
        indices: OpenSearchIndices,
        flattening: Flattening,
        now: datetime,
        deadline: Deadline,
        report: IngestReport,
    ) -> None:
        self._indices = indices
        self._flattening = flattening
        self._own = Indices(flattening.index_prefix)
        self._now = now
        self._deadline = deadline
        self._report = report
        self.closed_at: int | None = None  # the position of the first record that is not accepted
        self._records: dict[int, StreamRecord] = {}
        self._letters: list[DeadLetter] = []
        self._drops: list[Drop] = []
        self._tally = Tally()
        self._pulses: dict[tuple[str, str], Pulse] = {}
        self._due: list[Pulse] = []
        self._pipeline = indices.pipeline(deadline)

    def accepts(self, record: StreamRecord) -> bool:
        if self.closed_at is None and self._pipeline.blocked:
            self.closed_at = record.position
        return self.closed_at is None

    def require_templates(self, position: int, indices: set[str]) -> bool:
        """Whether the record at this position may be written; the report says why not."""
        try:
            self._indices.require_templates(indices, self._own.prefix, self._deadline)
        except DependencyError as exc:
            self._close(position, str(exc))
        except Exception as exc:  # noqa: BLE001 - whatever the endpoint answers, no record is to blame
            self._close(position, f"the index templates could not be looked up: {type(exc).__name__}")
        return self.closed_at is None

    def take(self, record: StreamRecord, decoded: DecodedRecord) -> None:
        if not self.require_templates(record.position, {document.index for document in decoded.documents}):
            return
        self._records[record.position] = record
        if decoded.defect:
            self._letters.append(DeadLetter.of(record, record.source, *decoded.defect))
        self._report.count(decoded)
        self._update_pulse(record, decoded)
        self._drops += _dropped(record, decoded)
        self._tally.take(record, decoded)
        self._pipeline.add(document_action(document, record.position) for document in decoded.documents)

    def count_dead_letter(self, record: StreamRecord, source: StreamSource) -> None:
        """Count a record that can never be decoded: it arrived."""
        self._tally.take_dead_letter(record, source)

    def flush(self) -> None:
        written = self._indices.last_seen
        self._due = [pulse for instance, pulse in self._pulses.items() if pulse.is_due(written.get(instance))]
        versioned = not self._indices.search.is_collection
        last = self._tally.actions(self._flattening.ingested_at, self._own.tallies)
        for pulse in self._due:
            name = self._flattening.name_of(pulse.stream, pulse.instance_id)
            last += pulse.actions(self._own.pulse, versioned=versioned, now=self._now, name=name)
        self._pipeline.add([*self._indices.owed, *last])  # at once: with the last documents they are one request

    def finish(self) -> list[DeadLetter]:
        result = self._pipeline.finish()
        lost_pulses = [action for action in result.lost if action.index == self._own.pulse]
        if not lost_pulses:
            self._indices.last_seen |= {
                (pulse.stream.resource_id, pulse.instance_id): pulse.last_seen for pulse in self._due
            }
        report = self._report
        report.retry_unwritten(result)
        report.written, report.already_there = result.written, result.already_there
        report.bulk_requests, report.index_ms = result.requests, result.seconds * 1000
        # The next batch brings a pulse again; where none is ever written, nothing else would show it.
        report.pulses_unwritten = len(instances(lost_pulses))
        lost_tallies = [action for action in result.lost if action.index != self._own.pulse]
        self._indices.owed = lost_tallies[-_OWED:]
        report.tallies_unwritten = len(lost_tallies)
        report.lost_cause = result.lost_cause
        newest = ""
        for pulse in self._pulses.values():
            newest = max(newest, pulse.last_event)
            if pulse.heartbeats:
                report.heartbeats[pulse.instance_id] += pulse.heartbeats
        if newest:
            report.newest_event_age_ms = (self._now - moment_of(newest)).total_seconds() * 1000
        refused = [
            (refusal.action.position, refusal.error_type, refusal.action.document_id)
            for refusal in result.refused
            if refusal.action.position is not None
        ]
        return self._letters + _refusals(refused, self._records, Reason.DOCUMENT_REFUSED)

    def settle(self, batch: Sequence[StreamRecord], done: int) -> None:
        """Count what was dropped of the records that are done. A count that is not written is in the log alone."""
        counted = [drop for drop in self._drops if drop.position < done]
        if not counted:
            return
        actions = dropped_events.actions(counted, batch[:done], self._flattening, self._own.drops)
        result = self._indices.search.write(actions, self._deadline)
        self._report.bulk_requests += result.requests
        self._report.drops_unwritten = len(result.lost)
        self._report.lost_cause = self._report.lost_cause or result.lost_cause

    def _close(self, position: int, cause: str) -> None:
        self.closed_at = position
        self._report.retry_from(position, cause)

    def _update_pulse(self, record: StreamRecord, decoded: DecodedRecord) -> None:
        instance = (record.source.resource_id, decoded.instance_id)
        if instance not in self._pulses:
            self._pulses[instance] = Pulse(record.source, decoded.instance_id, last_seen=record.arrived_at)
        self._pulses[instance].heard(record.arrived_at, decoded.dropped.get(Noise.HEARTBEAT, 0), decoded.newest_event)


class DeliveredRows:
    """Rows of the wanted activities into one delivery stream, as long as the function is warm.

    A record that Lambda delivers again because of OpenSearch, or of a record before it, may have its rows in Firehose
    already. Those are remembered here, so that most redeliveries duplicate no row; one that meets another instance of
    the function does.
    """

    def __init__(self, stream: DeliveryStream, activities: frozenset[Activity], executor: Executor) -> None:
        self.stream = stream
        self.activities = frozenset(activity.value for activity in activities)
        self.executor = executor
        self._delivered: dict[tuple[str, str, str], None] = {}  # the oldest first

    def begin(self, deadline: Deadline, report: IngestReport) -> FirehoseSink:
        """What takes the rows of one batch."""
        return FirehoseSink(self, deadline, report)

    def has(self, record: StreamRecord) -> bool:
        """Whether an earlier delivery of a record put all its rows."""
        return _name(record) in self._delivered

    def remember(self, records: Iterable[StreamRecord]) -> None:
        """Note records whose rows are in Firehose although Lambda will deliver them again."""
        for record in records:
            if record.sequence_number:
                self._delivered[_name(record)] = None
        for name in list(self._delivered)[:-REMEMBERED_RECORDS]:
            del self._delivered[name]


class FirehoseSink:
    """The rows of one batch."""

    def __init__(self, rows: DeliveredRows, deadline: Deadline, report: IngestReport) -> None:
        self._rows = rows
        self._report = report
        self._records: dict[int, StreamRecord] = {}  # those with rows
        self._refused: list[RefusedRow] = []
        self._pipeline = rows_pipeline(rows.stream, rows.executor, deadline)

    def accepts(self, record: StreamRecord) -> bool:
        return not self._pipeline.blocked

    def take(self, record: StreamRecord, decoded: DecodedRecord) -> None:
        if self._rows.has(record):
            return
        rows: list[Row] = []
        for document in decoded.documents:
            activity = document.source["activity"]
            if activity not in self._rows.activities:
                continue
            self._records[record.position] = record
            try:
                rows.append(Row(row(document), activity, record.position, document.id))
            except Exception as exc:  # noqa: BLE001 - whatever an event holds, its neighbors go on
                self._refused.append(RefusedRow(record.position, document.id, type(exc).__name__))
        self._pipeline.add(rows)

    def flush(self) -> None:
        self._pipeline.flush()

    def finish(self) -> list[DeadLetter]:
        result = self._pipeline.finish()
        self._refused += result.refused
        self._report.rows = RowsReport(
            put=result.put,
            refused=len(self._refused),
            unsent=len(result.unsent),
            calls=result.calls,
            ms=result.seconds * 1000,
            cause=result.cause,
        )
        if result.unsent:
            self._report.retry_from(min(row.position for row in result.unsent), result.cause)
        refused = [(row.position, row.why, row.event_id) for row in self._refused]
        return _refusals(refused, self._records, Reason.ROW_REFUSED)

    def settle(self, batch: Sequence[StreamRecord], done: int) -> None:
        """Remember the records that are not done although their rows are in Firehose."""
        incomplete = {row.position for row in self._pipeline.result.unsent} | {row.position for row in self._refused}
        put = sorted(position for position in self._records.keys() - incomplete if position >= done)
        self._rows.remember(self._records[position] for position in put)


def rows_pipeline(stream: DeliveryStream, executor: Executor, deadline: Deadline) -> Pipeline[Row, PutResult]:
    """Rows into Firehose. Where it leaves rows unsent, later ones are not tried."""

    def put(rows: Sequence[Row]) -> PutResult:
        if pipeline.result.unsent:
            return PutResult(unsent=list(rows), cause=pipeline.result.cause)
        return stream.put(rows, deadline.part(_SHARE_OF_PUT))

    pipeline = Pipeline(put, PutResult(), lambda row: len(row.line), _PUT, executor)
    return pipeline


def _dropped(record: StreamRecord, decoded: DecodedRecord) -> list[Drop]:
    """What was dropped of one record, by user. Its heartbeats are the pulse."""
    return [
        Drop(record.position, record.source, record.arrived_at, Noise.AWS_USER, count, decoded.instance_id, user)
        for user, count in decoded.dropped_users.items()
    ]


def _refusals(
    refused: Iterable[tuple[int, str, str]], records: dict[int, StreamRecord], reason: Reason
) -> list[DeadLetter]:
    """One dead letter for each record of which something was refused: position, why, and the event's id."""
    by_position: dict[int, list[tuple[str, str]]] = {}
    for position, why, event_id in refused:
        by_position.setdefault(position, []).append((why, event_id))
    return [
        DeadLetter.of(
            records[position],
            records[position].source,
            reason,
            ", ".join(sorted({why for why, _ in together})),
            tuple(event_id for _, event_id in together),
        )
        for position, together in by_position.items()
    ]


def _name(record: StreamRecord) -> tuple[str, str, str]:
    return record.stream_arn, record.shard_id, record.sequence_number
