"""Which documents of a batch ask for a prompt look, and the request for it.

In: documents as they are written. Out: one request at most, after the records of which they come are done. Nothing
depends on it: what is not asked for, the schedule finds. So a request that fails costs the batch a bounded time, and
the next batches nothing for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daswatch.aws.functions import begin
from daswatch.deadline import Deadline
from daswatch.detections.prefilter import Prefilter
from daswatch.documents.document import Document
from daswatch.errors import DependencyError
from daswatch.times import iso_milliseconds
from ingest_lambda.report import IngestReport

if TYPE_CHECKING:
    from types_boto3_lambda.client import LambdaClient

WRITTEN_AT = "writtenAt"
RECENT = timedelta(minutes=5)  # a look does not find events of an earlier time: they arrived late (`Arrivals`)
_ASKING_SECONDS = 2.0
_LEFT_SECONDS = 1.0  # of the invocation, after the request
_PAUSE_SECONDS = 60.0  # after a request that failed


class PromptRequests:
    """The requests of one function, as long as it is warm."""

    def __init__(self, prefilter: Prefilter, client: Callable[[], LambdaClient], function_arn: str) -> None:
        self._prefilter = prefilter
        self._client = client
        self._function_arn = function_arn
        self._not_before = 0.0  # by the deadlines' clock

    def begin(self, now: datetime, report: IngestReport) -> PromptEvents:
        """What takes the documents of one batch."""
        return PromptEvents(self, self._prefilter, iso_milliseconds(now - RECENT), report)

    def ask(self, deadline: Deadline, report: IngestReport) -> None:
        """Ask for a look, without waiting for it. Never raises; the report says why there is none."""
        now = deadline.clock.monotonic()
        if now < self._not_before or deadline.remaining < _ASKING_SECONDS + _LEFT_SECONDS:
            return
        payload = {WRITTEN_AT: iso_milliseconds(datetime.now(UTC))}
        try:
            begin(self._client, self._function_arn, deadline.at_most(_ASKING_SECONDS), payload)
        except DependencyError as exc:
            self._not_before = now + _PAUSE_SECONDS
            report.look_cause = str(exc)
        else:
            report.looks_requested = 1


class PromptEvents:
    """The documents of one batch that may be high or critical on their own."""

    def __init__(self, requests: PromptRequests, prefilter: Prefilter, since: str, report: IngestReport) -> None:
        self._requests = requests
        self._prefilter = prefilter
        self._since = since
        self._report = report
        self._first: int | None = None  # the position of the first record that has one

    def take(self, position: int, documents: Sequence[Document]) -> None:
        """Look through the documents of a record. Never raises."""
        passes, since = self._prefilter.passes, self._since
        try:
            found = sum(passes(document.source) and document.source["@timestamp"] >= since for document in documents)
        except Exception as exc:  # noqa: BLE001 - whatever a condition or a document holds, the record is written
            self._report.look_cause = f"the documents cannot be looked through: {type(exc).__name__}"
            return
        if found:
            self._report.prompt_events += found
            self._first = position if self._first is None else self._first

    def finish(self, done: int, deadline: Deadline) -> None:
        """Ask for a look, if a record with such a document is among those that are done."""
        if self._first is not None and self._first < done:
            self._requests.ask(deadline, self._report)
