"""Saved queries, on a schedule or on request, and notifications -> alerts, Security Hub, messages. Only wires."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from daswatch.aws.clients import s3_client, security_hub_client, sns_client, sts_client
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.s3 import DeadLetterBucket
from daswatch.aws.security_hub import FindingAccounts
from daswatch.aws.sns import AlertTopic
from daswatch.deadline import Deadline
from daswatch.detections.detection import by_name, load_file
from daswatch.indices import Indices
from daswatch.opensearch.alert_index import AlertIndex
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.client import search_client
from daswatch.opensearch.look_claims import LookClaims
from daswatch.opensearch.run_claims import RunClaims
from daswatch.opensearch.saved_queries import SavedQueries
from findings_lambda.inbox import Inbox
from findings_lambda.name_lookup import NameLookup
from findings_lambda.notifier import Notifier
from findings_lambda.prompt_looks import PromptLooks
from findings_lambda.run_report import RunReport
from findings_lambda.runner import DetectionRunner
from findings_lambda.settings import Settings, read_settings
from findings_lambda.sql_samples import StatementReader
from findings_lambda.telemetry import SERVICE, emit

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def scheduled(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run all enabled saved queries. Raises SettingsError, SearchUnavailable; the next run then asks the same again."""
    function = warm_function(context.invoked_function_arn)
    return _summary(function, function.runner.run(datetime.now(UTC), Deadline.of(context)), context)


def notified(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the notifications of monitors (SNS), or a control-plane event (EventBridge).

    Raises SearchUnavailable, ArchiveUnavailable; Lambda then delivers the event again, which leads to the same alerts.
    """
    function = warm_function(context.invoked_function_arn)
    take = function.inbox.take_control_plane if "detail-type" in event else function.inbox.take_notifications
    return _summary(function, take(event, datetime.now(UTC), Deadline.of(context)), context)


def prompted(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Look at once at what has arrived (the ingest function's request). Raises SearchUnavailable: the schedule goes on.

    In a collection, which has no refresh and no versions to write over, the schedule alone looks.
    """
    function = warm_function(context.invoked_function_arn)
    report = function.looks.take(event, Deadline.of(context)) if function.looks else RunReport(covered=True)
    return _summary(function, report, context)


class Function:
    """State kept between warm invocations."""

    def __init__(self, settings: Settings, account_id: str, region: str) -> None:
        indices = Indices(settings.index_prefix)
        detections = by_name(load_file(settings.detections))
        client = search_client(settings.search)
        search = SearchGateway(client, service=settings.search.service)
        queries = SavedQueries(client)
        statements = StatementReader(queries, indices.events, settings.redaction)
        accounts = FindingAccounts(account_id, region, security_hub_client, sts_client, settings.findings_role)
        names = NameLookup(client, indices, settings.event_tags)
        is_collection = settings.search.service == "aoss"
        self.telemetry = Telemetry(SERVICE)
        self.runner = DetectionRunner(
            detections=list(detections.values()),
            queries=queries,
            alert_index=AlertIndex(client, indices, service=settings.search.service),
            search=search,
            notifier=Notifier(
                accounts=accounts if settings.security_hub else None,
                topic=AlertTopic(sns_client, settings.alert_topic_arn) if settings.alert_topic_arn else None,
                region=region,
                dashboards_url=settings.dashboards_url,
                indices=indices,
                statements=statements.read if settings.findings_sql else None,
            ),
            indices=indices,
            names=names,
            claims=RunClaims(client, indices) if is_collection else None,
        )
        self.looks = None if is_collection else PromptLooks(LookClaims(client, indices), self.runner)
        self.inbox = Inbox(
            detections=detections,
            runner=self.runner,
            search=search,
            bucket=DeadLetterBucket(s3_client, settings.dead_letter_bucket),
            indices=indices,
            names=names,
        )


def _summary(function: Function, report: RunReport, context: LambdaContext) -> dict[str, Any]:
    emit(function.telemetry, report, context.aws_request_id, datetime.now(UTC))
    return {"raised": report.raised, "archived": report.archived, "failing": sorted(report.failing)}


@cache
def warm_function(invoked_function_arn: str) -> Function:
    """The function of this environment, the same for as long as it is warm. Raises SettingsError."""
    region, account_id = invoked_function_arn.split(":")[3:5]
    return Function(read_settings(os.environ), account_id, region)
