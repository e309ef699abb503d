"""Saved queries on a schedule, and what monitors notify, -> alerts, Security Hub, messages. Wires, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

from daswatch.alerts.alert import Alert, Firing
from daswatch.aws.clients import s3_client, security_hub_client, sns_client, sts_client
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.s3 import DeadLetterBucket
from daswatch.aws.security_hub import FindingAccounts
from daswatch.aws.sns import AlertTopic
from daswatch.canonical import canonical_json
from daswatch.deadline import Deadline
from daswatch.detections.detection import by_name, load_file
from daswatch.documents import control_plane
from daswatch.documents.redaction import NEEDED_FIELDS, SQL_FIELDS, redacted
from daswatch.errors import NotificationError, Reason, RecordError, SearchUnavailable
from daswatch.indexing.bulk import Action
from daswatch.indexing.dead_letters import DeadLetter
from daswatch.indices import Indices
from daswatch.opensearch.alert_index import AlertIndex
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.client import search_client
from daswatch.opensearch.saved_queries import SavedQueries
from daswatch.queries.notifications import is_full, read_notification
from daswatch.records.kinesis import read_stream_record
from daswatch.times import iso_milliseconds
from findings_lambda.settings import Settings, read_settings
from findings_lambda.telemetry import SERVICE, tell
from findings_lambda.tell import Teller
from findings_lambda.watch import Report, Watch

_STATEMENTS = 3


class LambdaContext(Protocol):
    """What the handler uses of Lambda's context object."""

    aws_request_id: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int: ...


def scheduled(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run all enabled saved queries. Raises SettingsError, SearchUnavailable: the next run looks at the same again."""
    function = _function(context.invoked_function_arn)
    report = function.watch.run(datetime.now(UTC), Deadline.of(context))
    return _told(function, report, context)


def notified(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take notifications of monitors (SNS), or what was done to a stream (EventBridge).

    Raises SearchUnavailable, ArchiveUnavailable: then Lambda delivers the event again, and the same alerts come of it.
    """
    function = _function(context.invoked_function_arn)
    now, deadline = datetime.now(UTC), Deadline.of(context)
    if "detail-type" in event:
        return _told(function, function.take_control_plane(event, now, deadline), context)
    return _told(function, function.take_notifications(event, now, deadline), context)


class Function:
    """What stays while the function is warm."""

    def __init__(self, settings: Settings, account_id: str, region: str) -> None:
        self._settings = settings
        self._indices = Indices(settings.index_prefix)
        self._detections = by_name(load_file(settings.detections))
        client = search_client(settings.search)
        self._search = SearchGateway(client, service=settings.search.service)
        self._queries = SavedQueries(client)
        self._bucket = DeadLetterBucket(s3_client, settings.dead_letter_bucket)
        self.telemetry = Telemetry(SERVICE)
        accounts = FindingAccounts(account_id, region, security_hub_client, sts_client, settings.findings_role)
        self.watch = Watch(
            detections=list(self._detections.values()),
            queries=self._queries,
            alert_index=AlertIndex(client, self._indices, service=settings.search.service),
            search=self._search,
            teller=Teller(
                accounts=accounts if settings.security_hub else None,
                topic=AlertTopic(sns_client, settings.alert_topic_arn) if settings.alert_topic_arn else None,
                region=region,
                dashboards_url=settings.dashboards_url,
                indices=self._indices,
                statements=self._statements,
            ),
            indices=self._indices,
        )

    def take_notifications(self, event: Mapping[str, Any], now: datetime, deadline: Deadline) -> Report:
        """The notifications of an SNS event; those that tell nothing become dead letters."""
        firings: list[Firing] = []
        letters: list[DeadLetter] = []
        full = 0
        for position, record in enumerate(event.get("Records") or [event]):
            try:
                message = _message(record)
                firings += read_notification(message, self._detections, now)
                full += is_full(message)
            except RecordError as exc:
                letters.append(DeadLetter(position, read_stream_record(record, now), None, exc.reason, exc.detail))
        self._keep(letters, now, deadline)
        report = self.watch.take(firings, now, deadline)
        report.full_notifications = full
        for letter in letters:
            report.malformed[letter.reason] = report.malformed.get(letter.reason, 0) + 1
        return report

    def take_control_plane(self, event: Mapping[str, Any], now: datetime, deadline: Deadline) -> Report:
        """What was done to a stream or its key, as a document that a saved query finds."""
        report = Report()
        try:
            document = control_plane.document(event, iso_milliseconds(now), self._indices.control_plane)
        except RecordError as exc:
            self._keep([DeadLetter(0, read_stream_record(event, now), None, exc.reason, exc.detail)], now, deadline)
            report.malformed[exc.reason] = 1
            return report
        self._write([Action.create(document.index, document.id, canonical_json(document.source))], deadline)
        return report

    def _keep(self, letters: Sequence[DeadLetter], now: datetime, deadline: Deadline) -> None:
        """First the notification to S3, then the line that tells of it."""
        uris = [self._bucket.put(letter.object_key, letter.object_body(), deadline) for letter in letters]
        at, index = iso_milliseconds(now), self._indices.dead_letters
        self._write([letter.action(uri, at, index) for letter, uri in zip(letters, uris, strict=True)], deadline)

    def _write(self, actions: Sequence[Action], deadline: Deadline) -> None:
        result = self._search.write(actions, deadline) if actions else None
        if result and (result.unwritten or result.refused):
            raise SearchUnavailable(result.cause or f"OpenSearch refused it ({result.refused[0].error_type})")

    def _statements(self, alerts: Sequence[Alert], deadline: Deadline) -> dict[str, list[str]]:
        """What was said, as far as a setting lets it into findings, and redacted as the settings say."""
        samples = {alert.id: alert.samples[:_STATEMENTS] for alert in alerts if self._settings.findings_sql}
        ids = sorted({one for own in samples.values() for one in own})
        if not ids:
            return {}
        fields = (*NEEDED_FIELDS, *SQL_FIELDS)
        try:
            found = self._queries.documents(ids, fields, self._indices.events, deadline)
        except SearchUnavailable:
            return {}  # a finding does not wait for its statements
        cleaned = {
            name: redacted(source, source.get("engine", ""), self._settings.redaction) for name, source in found.items()
        }
        return {
            name: [text for one in own if one in cleaned and (text := cleaned[one].get("commandText"))]
            for name, own in samples.items()
        }


def _message(record: object) -> str:
    message = record.get("Sns", {}).get("Message") if isinstance(record, Mapping) else None
    if not isinstance(message, str):
        raise NotificationError(Reason.NOT_A_NOTIFICATION, "it did not come over SNS")
    return message


def _told(function: Function, report: Report, context: LambdaContext) -> dict[str, Any]:
    tell(function.telemetry, report, context.aws_request_id)
    return {"raised": report.raised, "archived": report.archived, "failing": sorted(report.failing)}


@cache
def _function(invoked_function_arn: str) -> Function:
    region, account_id = invoked_function_arn.split(":")[3:5]
    return Function(read_settings(os.environ), account_id, region)
