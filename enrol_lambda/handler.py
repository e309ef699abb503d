"""Databases of this account and region -> streams that are on, read and kept. Only wires components."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from daswatch.aws.clients import (
    cloudwatch_client,
    firehose_client,
    kinesis_client,
    kms_client,
    lambda_client,
    rds_client,
    regional_client,
    s3_client,
    sns_client,
    sts_client,
)
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.enrolment import ConsumersGateway, StepsGateway
from daswatch.aws.evidence import EvidenceBucket
from daswatch.aws.first_records import FirstRecords
from daswatch.aws.fleet import FleetLookup
from daswatch.aws.manifests import ManifestWriter
from daswatch.aws.rds import ActivityStreams
from daswatch.aws.sns import AlertTopic
from daswatch.deadline import Deadline
from daswatch.enrolment.conditions import is_due
from daswatch.enrolment.plan import OnDeselection, State
from daswatch.errors import RequestError
from daswatch.fleet.database import Place
from daswatch.indices import Indices
from daswatch.opensearch.client import search_client
from daswatch.opensearch.completeness_index import CompletenessIndex
from daswatch.opensearch.enrolment_index import EnrolmentIndex
from enrol_lambda.manifests import note_archived
from enrol_lambda.reconciler import Reconciler
from enrol_lambda.settings import Settings, read_settings
from enrol_lambda.telemetry import SERVICE, emit, response_of
from enrol_lambda.watch import Watch

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


# What is left is for the conditions of what is watched.
_SHARE_OF_ENROLMENT = 0.8
# What is left is for the log.
_SHARE_OF_MANIFESTS = 0.9
_READERS = 2  # threads that read the archive ahead


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the next steps of all databases, or with `{"dryRun": true}` plan them; with `{"release": "release"}` or
    `{"release": "stop"}`, end the enrolment of all. Raises SettingsError, RequestError, FleetUnavailable,
    ConsumersUnavailable."""
    release = event.get("release")
    if release not in (None, OnDeselection.RELEASE, OnDeselection.STOP):
        raise RequestError("release is unknown (expected: release or stop)")
    function, now, deadline = warm_function(context.invoked_function_arn), datetime.now(UTC), Deadline.of(context)
    dry_run = event.get("dryRun") is True
    report = function.reconciler.run(
        now, deadline.part(_SHARE_OF_ENROLMENT), dry_run=dry_run, release=OnDeselection(release) if release else None
    )
    looks = event.get("source") == "aws.events" and is_due(now)
    watch = function.watch.look(list(report.watched), now, deadline) if looks else None
    manifests = None
    if function.manifests and not dry_run:
        watched = [one.resource_id for one in report.enrolments if one.state is State.WATCHED]
        manifests = function.manifests.run(watched, now, deadline.part(_SHARE_OF_MANIFESTS))
    emit(function.telemetry, report, watch, context.aws_request_id, manifests)
    return response_of(report)


class Function:
    """State kept between warm invocations."""

    def __init__(self, settings: Settings, place: Place) -> None:
        client = search_client(settings.search)
        topic = AlertTopic(sns_client, settings.topic) if settings.topic else None
        evidence = settings.evidence_bucket
        self.telemetry = Telemetry(SERVICE)
        self.watch = Watch(cloudwatch_client, topic, f"account {place.account_id}, region {place.region}")
        index = CompletenessIndex(client, Indices(settings.index_prefix), settings.search.service)
        readers = ThreadPoolExecutor(_READERS, "evidence")

        def bucket(deadline: Deadline) -> EvidenceBucket:
            return EvidenceBucket(s3_client(), evidence, ("",), lambda: deadline, readers)

        self.manifests = ManifestWriter(bucket, partial(note_archived, index, place)) if evidence else None
        self.reconciler = Reconciler(
            place=place,
            lookup=FleetLookup(place.account_id, place.region, regional_client, sts_client, regions=(place.region,)),
            consumers=ConsumersGateway(lambda_client(), firehose_client(), kinesis_client()),
            steps=lambda: StepsGateway(settings.wanted, lambda_client(), firehose_client(), _streams),
            index=EnrolmentIndex(client, Indices(settings.index_prefix), settings.search.service),
            wanted=settings.wanted,
            first_records=FirstRecords(kinesis_client(), s3_client(), evidence, kept=settings.evidence_kept)
            if evidence
            else None,
        )


def _streams(until: Callable[[], Deadline]) -> ActivityStreams:
    return ActivityStreams(rds_client(), kms_client, until)


@cache
def warm_function(invoked_function_arn: str) -> Function:
    """The function of this environment, the same for as long as it is warm. Raises SettingsError."""
    region, account_id = invoked_function_arn.split(":")[3:5]
    return Function(read_settings(os.environ, region), Place(account_id, region))
