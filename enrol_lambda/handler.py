"""Databases of this account and region -> streams that are on, read and kept. Only wires components."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from daswatch.aws.clients import (
    firehose_client,
    kinesis_client,
    kms_client,
    lambda_client,
    rds_client,
    regional_client,
    sts_client,
)
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.enrolment import ConsumersGateway, StepsGateway
from daswatch.aws.fleet import FleetLookup
from daswatch.aws.rds import ActivityStreams
from daswatch.deadline import Deadline
from daswatch.enrolment.plan import OnDeselection
from daswatch.errors import RequestError
from daswatch.fleet.database import Place
from daswatch.indices import Indices
from daswatch.opensearch.client import search_client
from daswatch.opensearch.enrolment_index import EnrolmentIndex
from enrol_lambda.reconciler import Reconciler
from enrol_lambda.settings import Settings, read_settings
from enrol_lambda.telemetry import SERVICE, emit, response_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the next steps of all databases, or with `{"dryRun": true}` plan them; with `{"release": "release"}` or
    `{"release": "stop"}`, end the enrolment of all. Raises SettingsError, RequestError, FleetUnavailable,
    ConsumersUnavailable."""
    release = event.get("release")
    if release not in (None, OnDeselection.RELEASE, OnDeselection.STOP):
        raise RequestError("release is unknown (expected: release or stop)")
    function = warm_function(context.invoked_function_arn)
    report = function.reconciler.run(
        datetime.now(UTC),
        Deadline.of(context),
        dry_run=event.get("dryRun") is True,
        release=OnDeselection(release) if release else None,
    )
    emit(function.telemetry, report, context.aws_request_id)
    return response_of(report)


class Function:
    """State kept between warm invocations."""

    def __init__(self, settings: Settings, place: Place) -> None:
        client = search_client(settings.search)
        self.telemetry = Telemetry(SERVICE)
        self.reconciler = Reconciler(
            place=place,
            lookup=FleetLookup(place.account_id, place.region, regional_client, sts_client, regions=(place.region,)),
            consumers=ConsumersGateway(lambda_client(), firehose_client(), kinesis_client()),
            steps=lambda: StepsGateway(settings.wanted, lambda_client(), firehose_client(), _streams),
            index=EnrolmentIndex(client, Indices(settings.index_prefix), settings.search.service),
            wanted=settings.wanted,
        )


def _streams(until: Callable[[], Deadline]) -> ActivityStreams:
    return ActivityStreams(rds_client(), kms_client, until)


@cache
def warm_function(invoked_function_arn: str) -> Function:
    """The function of this environment, the same for as long as it is warm. Raises SettingsError."""
    region, account_id = invoked_function_arn.split(":")[3:5]
    return Function(read_settings(os.environ, region), Place(account_id, region))
