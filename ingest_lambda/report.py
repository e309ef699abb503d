"""What one invocation of the ingest function did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from daswatch.documents.decoder import DecodingCounts
from daswatch.errors import Reason
from daswatch.opensearch.bulk import BulkResult


@dataclass(slots=True)
class RowsReport:
    """What became of the rows of one batch; `calls` counts PutRecordBatch, failed ones included."""

    put: int = 0
    refused: int = 0
    unsent: int = 0
    calls: int = 0
    ms: float = 0.0
    cause: str = ""  # why the unsent are unsent


@dataclass(slots=True)
class IngestReport(DecodingCounts):
    """Counts and durations of one batch. `index_ms` runs alongside the other stages."""

    records: int = 0
    written: int = 0
    already_there: int = 0
    dead_letters: Counter[Reason] = field(default_factory=Counter)
    unindexed: int = 0  # dead letters that are in S3, but whose line OpenSearch refused
    pulses_unwritten: int = 0
    drops_unwritten: int = 0  # counts of dropped events, not these themselves
    tallies_unwritten: int = 0  # documents that say what was ingested: completeness lacks them
    lost_cause: str = ""  # why pulses or counts are unwritten
    names_unread: int = 0  # readings of the names of databases that failed: what is unknown goes without one
    names_cause: str = ""
    heartbeats: Counter[str] = field(default_factory=Counter)  # by instance id
    prompt_events: int = 0  # documents that may be high or critical on their own
    looks_requested: int = 0
    look_cause: str = ""  # why no look could be requested: the schedule finds these events
    kms_calls: int = 0
    kms_hits: int = 0
    bulk_requests: int = 0
    index_ms: float = 0.0
    total_ms: float = 0.0
    newest_event_age_ms: float | None = None
    rows: RowsReport | None = None  # None where no rows are delivered
    first_unwritten: int | None = None  # position of the first record that has to be delivered again
    cause: str = ""  # and why

    def retry_from(self, position: int, cause: str) -> None:
        """Note that the record at this position, and so every later one, has to be delivered again."""
        if self.first_unwritten is None or position < self.first_unwritten:
            self.first_unwritten = position
        self.cause = self.cause or cause

    def retry_unwritten(self, result: BulkResult) -> None:
        """Note the records of what a bulk left unwritten."""
        for action in result.unwritten:
            if action.position is not None:
                self.retry_from(action.position, result.cause)
