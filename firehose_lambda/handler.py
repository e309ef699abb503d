"""Firehose's data transformation: Lambda's entry point. Wires the stages, and logs what they did."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

from daswatch.aws.clients import kms_client
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.kms import DataKeys
from daswatch.deadline import Deadline
from daswatch.documents import actors
from daswatch.documents.decoder import RecordDecoder
from daswatch.documents.document import Flattening
from daswatch.records.decryption import Decryptor
from daswatch.times import iso_milliseconds
from firehose_lambda.settings import Settings, read_settings
from firehose_lambda.telemetry import SERVICE, emit
from firehose_lambda.transform import AnsweredRecord, Transformation, read_record

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from types_boto3_kms.client import KMSClient


class Answer(TypedDict):
    """One answer for each record, in Firehose's order."""

    records: list[AnsweredRecord]


def handler(event: Mapping[str, Any], context: LambdaContext) -> Answer:
    """Turn a batch of an activity stream into rows.

    Raises SettingsError before it looks at a record, and DependencyError where KMS does not serve us: Firehose then
    tries the whole batch again, and keeps it as it came when that does not help.
    """
    return invoke(warm_function(), event, context)


class Function:
    """State kept between warm invocations."""

    def __init__(self, settings: Settings, kms: KMSClient) -> None:
        self._settings = settings
        self._actors = actors.load_file(settings.stream.actors)
        data_keys = DataKeys(kms, settings.stream.max_data_keys, settings.stream.max_data_key_age_seconds)
        self.telemetry = Telemetry(SERVICE)
        self.transformation = Transformation(
            decoder=RecordDecoder(data_keys, Decryptor(settings.stream.max_plaintext_bytes)),
            data_keys=data_keys,
            form=settings.form,
            compression=settings.compression,
            activities=settings.activities,
        )

    def flattening(self, now: datetime) -> Flattening:
        settings = self._settings
        return Flattening(
            ingested_at=iso_milliseconds(now),
            excluded_users=settings.stream.excluded_users,
            redaction=settings.stream.redaction,
            actors=self._actors,
        )


def invoke(function: Function, event: Mapping[str, Any], context: LambdaContext) -> Answer:
    """One invocation of a warm function."""
    deadline = Deadline.of(context)
    now = datetime.now(UTC)
    batch = [read_record(raw, now) for raw in event["records"]]
    # Without the stream's ARN, nothing can be decrypted: each record then fails for that reason.
    stream_arn = event.get("sourceKinesisStreamArn") or ""
    report = function.transformation.run(batch, stream_arn, function.flattening(now), deadline)
    emit(function.telemetry, report, context.aws_request_id, now)
    if report.unavailable is not None:
        raise report.unavailable
    return {"records": report.answers}


@cache
def warm_function() -> Function:
    """The function of this environment, the same for as long as it is warm. Raises SettingsError."""
    return Function(read_settings(os.environ), kms_client())
