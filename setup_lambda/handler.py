"""Custom resources of CloudFormation: content in OpenSearch, enrolment, activity streams. Only wires components."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from daswatch.activity_streams.custom_resources import ACTIVITY_STREAM, CONTENT, ENROLMENT, read_request
from daswatch.aws.clients import kms_client, lambda_client, rds_client, s3_client, waiting_lambda_client
from daswatch.aws.cloudformation import ResponseSender
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.functions import begin, invoke
from daswatch.aws.rds import ActivityStreams
from daswatch.aws.s3 import Backups
from daswatch.content.model import Plan
from daswatch.content.plan import check_hourly
from daswatch.deadline import Deadline
from daswatch.detections.detection import load_file
from daswatch.opensearch.client import search_client
from daswatch.opensearch.installation import Installation
from daswatch.opensearch.version_check import check_opensearch
from setup_lambda.providers import ContentProvider, EnrolmentProvider, StreamProvider
from setup_lambda.responder import Provider, respond
from setup_lambda.settings import read_settings
from setup_lambda.telemetry import SERVICE, emit

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Respond to one request at its ResponseURL. Raises ResponseUndelivered; Lambda then invokes it again."""
    providers: dict[str, Provider] = {
        ACTIVITY_STREAM: StreamProvider(_streams),
        CONTENT: ContentProvider(_install),
        ENROLMENT: EnrolmentProvider(partial(begin, lambda_client), partial(invoke, waiting_lambda_client)),
    }
    seconds = context.get_remaining_time_in_millis() / 1000
    report = respond(read_request(event), providers, ResponseSender(), seconds, time)
    emit(Telemetry(SERVICE), report, context.aws_request_id)
    if report.undelivered is not None:
        raise report.undelivered


def _streams(deadline: Deadline) -> ActivityStreams:
    return ActivityStreams(rds_client(), kms_client, lambda: deadline)


def _install(deadline: Deadline) -> Plan:
    settings = read_settings(os.environ)
    check_opensearch(search_client(settings.search), settings.search.service, deadline)
    installation = Installation.at(settings.search, settings.dashboards, deadline)
    wanted = replace(settings.wanted, detections=load_file(settings.detections))
    plan = installation.plan(wanted)
    check_hourly(plan, datetime.now(UTC).date())
    backups = Backups(s3_client, settings.backup_bucket, f"backups/{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    installation.execute(plan, lambda name, content: backups.put(name, content, deadline))
    installation.check_ids(wanted)
    return plan
