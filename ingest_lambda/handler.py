"""Kinesis -> OpenSearch, and rows to Firehose: Lambda's entry point. Wires the stages, and logs what they did."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypedDict

from daswatch.aws.clients import firehose_client, kms_client, lambda_client, s3_client
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.firehose import DeliveryStream
from daswatch.aws.kms import DataKeys
from daswatch.aws.s3 import DeadLetterBucket
from daswatch.deadline import Clock, Deadline
from daswatch.detections.detection import load_file
from daswatch.detections.prefilter import Prefilter
from daswatch.documents import actors
from daswatch.documents.decoder import RecordDecoder
from daswatch.documents.document import Flattening
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.client import search_client
from daswatch.opensearch.learned_names import LearnedNames
from daswatch.records.decryption import Decryptor
from daswatch.records.kinesis import read_stream_record
from daswatch.times import iso_milliseconds
from ingest_lambda.ingest import Ingest
from ingest_lambda.prompt_events import PromptRequests
from ingest_lambda.settings import Settings, read_settings
from ingest_lambda.sinks import DeliveredRows, OpenSearchIndices
from ingest_lambda.telemetry import SERVICE, emit

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from types_boto3_kms.client import KMSClient

_SWITCH_SECONDS = 0.0001
# How long an invocation takes at least that leaves records to be delivered again. Most of what fails at once waits for
# a person, and Lambda delivers again without end: it would ask OpenSearch or KMS many times a second.
_SHORTEST_FAILURE_SECONDS = 5.0


class BatchItemFailure(TypedDict):
    """The sequence number of a record to deliver again."""

    itemIdentifier: str


class BatchAnswer(TypedDict):
    """Lambda delivers again from the lowest sequence number named here; nothing, where it is empty."""

    batchItemFailures: list[BatchItemFailure]


def handler(event: Mapping[str, Any], context: LambdaContext) -> BatchAnswer:
    """Write a batch of an activity stream to OpenSearch.

    Raises SettingsError before it looks at a record; afterwards every failure is in the answer.
    """
    return invoke(warm_function(), event, context)


class Function:
    """State kept between warm invocations."""

    def __init__(self, settings: Settings, kms: KMSClient, clock: Clock = time) -> None:
        # By default Python lets the thread that decrypts run on for 5 ms each time that the one which writes wants to
        # go on: with a handful of such turns to a request, OpenSearch would wait longer than it works.
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._settings = settings
        self._actors = actors.load_file(settings.stream.actors)
        self.clock = clock
        data_keys = DataKeys(kms, settings.stream.max_data_keys, settings.stream.max_data_key_age_seconds)
        self.telemetry = Telemetry(SERVICE)
        indices = Indices(settings.index_prefix)
        self.names = LearnedNames(search_client(settings.search), indices, settings.event_tags)
        self.ingest = Ingest(
            decoder=RecordDecoder(data_keys, Decryptor(settings.stream.max_plaintext_bytes)),
            data_keys=data_keys,
            indices=OpenSearchIndices(
                SearchGateway(search_client(settings.search), service=settings.search.service),
                ThreadPoolExecutor(max_workers=1, thread_name_prefix="bulk"),
            ),
            bucket=DeadLetterBucket(s3_client, settings.dead_letter_bucket),
            rows=_delivered_rows(settings),
            prompt=_prompt_requests(settings),
        )

    def flattening(self, now: datetime) -> Flattening:
        settings = self._settings
        return Flattening(
            ingested_at=iso_milliseconds(now),
            index_prefix=settings.index_prefix,
            excluded_users=settings.stream.excluded_users,
            redaction=settings.stream.redaction,
            actors=self._actors,
            hourly=settings.hourly_indices,
            names=self.names,
        )


def invoke(function: Function, event: Mapping[str, Any], context: LambdaContext) -> BatchAnswer:
    """One invocation of a warm function."""
    deadline = Deadline.of(context, function.clock)
    shortest = deadline.clock.monotonic() + _SHORTEST_FAILURE_SECONDS
    function.names.refresh()
    now = datetime.now(UTC)
    batch = [read_stream_record(raw, now, position) for position, raw in enumerate(event.get("Records") or ())]
    report = function.ingest.run(batch, function.flattening(now), now, deadline)
    report.names_unread, report.names_cause = function.names.failures()
    emit(function.telemetry, report, context.aws_request_id)
    if report.first_unwritten is None:
        return {"batchItemFailures": []}
    deadline.sleep(max(0.0, min(shortest - deadline.clock.monotonic(), deadline.remaining)))
    return {"batchItemFailures": [{"itemIdentifier": batch[report.first_unwritten].sequence_number}]}


def _delivered_rows(settings: Settings) -> DeliveredRows | None:
    """None where no rows are delivered: then nothing is done for any document."""
    if not settings.rows_delivery_stream:
        return None
    name, rows_per_record = settings.rows_delivery_stream, settings.rows_per_record
    return DeliveredRows(
        DeliveryStream(firehose_client, name, rows_per_record=rows_per_record),
        settings.rows_activities,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="rows"),
    )


def _prompt_requests(settings: Settings) -> PromptRequests | None:
    """None where no looks are requested: then no document is looked through. A collection has no refresh."""
    arn = settings.look_function_arn
    if not arn or settings.search.service == "aoss":
        return None
    detections = load_file(settings.detections)
    prefilter = Prefilter(one.prompt for one in detections if one.enabled and one.prompt is not None)
    return PromptRequests(prefilter, cache(lambda: lambda_client(arn.split(":")[3])), arn)


@cache
def warm_function() -> Function:
    """The function of this environment, the same for as long as it is warm. Raises SettingsError."""
    return Function(read_settings(os.environ), kms_client())
