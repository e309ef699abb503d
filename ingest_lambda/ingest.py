"""The ingest function's work on one batch: decode, filter, flatten, write; what can never succeed is kept.

While one request is in flight the next records are decoded, so that decrypting and writing share the time. In whatever
order things fail, a record is done only when each of its documents is written, and each of its rows sent, or kept in a
dead letter; the batch answer names the first record that is not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from daswatch.aws.kms import DataKeys
from daswatch.aws.s3 import DeadLetterBucket
from daswatch.deadline import Deadline
from daswatch.documents.decoder import DecodedRecord, RecordDecoder
from daswatch.documents.document import Flattening
from daswatch.errors import DependencyError, Reason
from daswatch.indexing.bulk import Action
from daswatch.indexing.dead_letters import DeadLetter, decoded_or_letter
from daswatch.indices import Indices
from daswatch.opensearch.bulk import BulkResult
from daswatch.records.kinesis import StreamRecord
from ingest_lambda.prompt_events import PromptRequests
from ingest_lambda.report import IngestReport
from ingest_lambda.sinks import DeliveredRows, OpenSearchIndices, Sink

_PARALLEL_PUTS = 8
_SHARE_OF_S3 = 0.5  # of the time left: the lines about dead letters need the rest


class Ingest:
    """The stages with their clients; one for as long as the function is warm."""

    def __init__(
        self,
        *,
        decoder: RecordDecoder,
        data_keys: DataKeys,
        indices: OpenSearchIndices,
        bucket: DeadLetterBucket,
        rows: DeliveredRows | None = None,
        prompt: PromptRequests | None = None,
    ) -> None:
        self._decoder = decoder
        self._data_keys = data_keys
        self._indices = indices
        self._bucket = bucket
        self._rows = rows
        self._prompt = prompt

    def run(
        self, batch: Sequence[StreamRecord], flattening: Flattening, now: datetime, deadline: Deadline
    ) -> IngestReport:
        """Work on one batch. Whatever goes wrong is in the report."""
        begun = time.perf_counter()
        calls, hits = self._data_keys.counts.calls, self._data_keys.counts.hits
        report = IngestReport(records=len(batch))
        documents = self._indices.begin(flattening, now, deadline, report)
        sinks: list[Sink] = [documents, *([self._rows.begin(deadline, report)] if self._rows else [])]
        prompt = self._prompt.begin(now, report) if self._prompt else None
        letters: list[DeadLetter] = []
        if batch:
            documents.require_templates(0, set())
        for record in batch:
            accepting = [sink for sink in sinks if sink.accepts(record)]
            if not accepting:
                break
            decoded = self._decode(record, flattening, deadline, report)
            if decoded is None:
                break
            if isinstance(decoded, DeadLetter):
                letters.append(decoded)
                if decoded.stream and documents in accepting:
                    documents.count_dead_letter(record, decoded.stream)
                continue
            for sink in accepting:
                sink.take(record, decoded)
            if prompt and documents in accepting:
                prompt.take(record.position, decoded.documents)
            del decoded  # large: not while the next record is decoded
        for sink in sinks:
            sink.flush()
        for sink in sinks:
            letters += sink.finish()
        if documents.closed_at is not None:  # what is delivered again becomes a dead letter then
            letters = [letter for letter in letters if letter.position < documents.closed_at]
        self._keep(letters, flattening, deadline, report)
        done = len(batch) if report.first_unwritten is None else report.first_unwritten
        for sink in sinks:
            sink.settle(batch, done)
        if prompt:
            prompt.finish(done, deadline)
        report.kms_calls = self._data_keys.counts.calls - calls
        report.kms_hits = self._data_keys.counts.hits - hits
        report.total_ms = (time.perf_counter() - begun) * 1000
        return report

    def _decode(
        self, record: StreamRecord, flattening: Flattening, deadline: Deadline, report: IngestReport
    ) -> DecodedRecord | DeadLetter | None:
        """What is in a record, or why it can never be decoded; None where this one and the next ones have to wait."""
        position = record.position
        if deadline.remaining <= 0:
            report.retry_from(position, "out of time")
            return None
        try:
            return decoded_or_letter(self._decoder, record, flattening, deadline)
        except DependencyError as exc:
            report.retry_from(position, str(exc))
            return None
        except MemoryError as exc:
            # With others in memory it may be their fault: it is delivered again as the first of its batch.
            if position:
                report.retry_from(position, "out of memory")
                return None
            return DeadLetter.of(record, record.source, Reason.UNEXPECTED, type(exc).__name__)

    def _keep(
        self, letters: Sequence[DeadLetter], flattening: Flattening, deadline: Deadline, report: IngestReport
    ) -> None:
        """Store dead letters, first the record, then the line about it."""
        if not letters:
            return
        actions: list[Action] = []
        kept: list[DeadLetter] = []
        until = deadline.part(_SHARE_OF_S3)
        with ThreadPoolExecutor(max_workers=min(len(letters), _PARALLEL_PUTS)) as puts:
            stored = [
                puts.submit(self._bucket.put, letter.object_key, letter.object_body(), until) for letter in letters
            ]
        index = Indices(flattening.index_prefix).dead_letters
        for letter, put in zip(letters, stored, strict=True):
            try:
                name = flattening.name_of(letter.stream) if letter.stream else {}
                actions.append(letter.action(put.result(), flattening.ingested_at, index, name))
                kept.append(letter)
            except DependencyError as exc:
                report.retry_from(letter.position, str(exc))
        result = self._indices.search.write(actions, deadline) if actions else BulkResult()
        report.retry_unwritten(result)
        report.unindexed = len(result.refused)
        unwritten = {action.position for action in result.unwritten}
        report.dead_letters.update(letter.reason for letter in kept if letter.position not in unwritten)
