"""What is delivered to the function: monitors' notifications (SNS) and control-plane events (EventBridge).

In: the event as Lambda delivers it. Out: alerts of the notifications, a document of the control-plane event. An event
that cannot be read becomes a dead letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from daswatch.aws.s3 import DeadLetterBucket
from daswatch.canonical import canonical_json
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection
from daswatch.documents import control_plane
from daswatch.errors import NotificationError, Reason, RecordError, SearchUnavailable
from daswatch.indexing.bulk import Action
from daswatch.indexing.dead_letters import DeadLetter
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.queries.monitor_notifications import Notification, read_notification
from daswatch.times import iso_milliseconds
from findings_lambda.name_lookup import NameLookup
from findings_lambda.run_report import RunReport
from findings_lambda.runner import DetectionRunner


class Inbox:
    """Reads delivered events, and keeps those that cannot be read."""

    def __init__(
        self,
        *,
        detections: Mapping[str, Detection],
        runner: DetectionRunner,
        search: SearchGateway,
        bucket: DeadLetterBucket,
        indices: Indices,
        names: NameLookup,
    ) -> None:
        self._detections = detections
        self._runner = runner
        self._search = search
        self._bucket = bucket
        self._indices = indices
        self._names = names

    def take_notifications(self, event: Mapping[str, Any], now: datetime, deadline: Deadline) -> RunReport:
        """Raise the alerts of an SNS event's notifications. Raises SearchUnavailable, ArchiveUnavailable."""
        notifications: list[Notification] = []
        letters: list[DeadLetter] = []
        for position, record in enumerate(event.get("Records") or [event]):
            try:
                notifications.append(read_notification(_message(record), self._detections, now))
            except RecordError as exc:
                letters.append(_dead_letter(position, record, exc, now))
        self._keep(letters, now, deadline)
        report = self._runner.take(notifications, now, deadline)
        report.full_notifications = sum(notification.full for notification in notifications)
        report.malformed = dict(Counter(letter.reason for letter in letters))
        return report

    def take_control_plane(self, event: Mapping[str, Any], now: datetime, deadline: Deadline) -> RunReport:
        """Index a control-plane event for a saved query to find. Raises SearchUnavailable, ArchiveUnavailable."""
        report = RunReport()
        try:
            document = control_plane.document(event, iso_milliseconds(now), self._indices.control_plane)
        except RecordError as exc:
            self._keep([_dead_letter(0, event, exc, now)], now, deadline)
            report.malformed[exc.reason] = 1
            return report
        called = control_plane.named_databases(event)
        source = {**document.source, **self._database_of(document.source, called, report, deadline)}
        self._write([Action.create(document.index, document.id, canonical_json(source))], deadline)
        return report

    def _database_of(
        self, call: Mapping[str, Any], called: Sequence[str], report: RunReport, deadline: Deadline
    ) -> Mapping[str, Any]:
        """The resource id and the name of the database that a call is about, if the inventory knows it."""
        try:
            return self._names.find(call.get("awsAccountId", ""), call.get("awsRegion", ""), called, deadline)
        except SearchUnavailable as exc:
            report.names_cause = str(exc)
            return {}

    def _keep(self, letters: Sequence[DeadLetter], now: datetime, deadline: Deadline) -> None:
        """Write the events to S3, then their lines to OpenSearch: a line always refers to an object that exists."""
        uris = [self._bucket.put(letter.object_key, letter.object_body(), deadline) for letter in letters]
        at, index = iso_milliseconds(now), self._indices.dead_letters
        self._write([letter.action(uri, at, index) for letter, uri in zip(letters, uris, strict=True)], deadline)

    def _write(self, actions: Sequence[Action], deadline: Deadline) -> None:
        result = self._search.write(actions, deadline) if actions else None
        if result and (result.unwritten or result.refused):
            raise SearchUnavailable(result.cause or f"OpenSearch refused it ({result.refused[0].error_type})")


def _message(record: object) -> str:
    message = record.get("Sns", {}).get("Message") if isinstance(record, Mapping) else None
    if not isinstance(message, str):
        raise NotificationError(Reason.NOT_A_NOTIFICATION, "it was not delivered by SNS")
    return message


def _dead_letter(position: int, raw: object, error: RecordError, now: datetime) -> DeadLetter:
    kept = raw if isinstance(raw, Mapping) else {"record": raw}
    return DeadLetter(position, kept, iso_milliseconds(now), error.reason, error.detail)
