"""CloudFormation's custom resources: activity streams that are switched on, content that is installed. Only wires."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from daswatch.custom_resources import ACTIVITY_STREAM, CONTENT
from daswatch.gateways.clients import kms_client, rds_client, search_client
from daswatch.gateways.cloudformation import Answers
from daswatch.gateways.content import ContentGateway
from daswatch.gateways.streams import ActivityStreams
from daswatch.gateways.telemetry import Telemetry
from daswatch.templates import Step, shipped_content
from setup_lambda.answer import Provider, answer_request
from setup_lambda.provide import ContentProvider, Installed, StreamProvider
from setup_lambda.settings import read_settings
from setup_lambda.telemetry import SERVICE, tell


class LambdaContext(Protocol):
    """What the handler uses of Lambda's context object."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Answer one request at its ResponseURL. Raises AnswerUndelivered: then Lambda invokes it again."""
    telemetry = Telemetry(SERVICE)
    providers: dict[str, Provider] = {ACTIVITY_STREAM: StreamProvider(_streams), CONTENT: ContentProvider(_install)}
    seconds = context.get_remaining_time_in_millis() / 1000
    report = answer_request(event, providers, Answers(), seconds, time.monotonic)
    tell(telemetry, report, context.aws_request_id)


@cache
def _streams() -> ActivityStreams:
    return ActivityStreams(rds_client(), kms_client)


def _install() -> Installed:
    settings = read_settings(os.environ)
    steps = ContentGateway(search_client(settings.search)).install_all(shipped_content(settings.index_prefix))
    counts = [sum(step.step is kind for step in steps) for kind in (Step.CREATE, Step.UPDATE, Step.UNCHANGED)]
    return Installed(*counts)
