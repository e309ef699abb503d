"""Dead letters whose cause is gone -> OpenSearch, by schedule. Only wires components."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from daswatch.aws.clients import kms_client, s3_client, sts_client
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.evidence import EvidenceBucket
from daswatch.aws.identity import caller
from daswatch.aws.kms import DataKeys
from daswatch.deadline import Deadline
from daswatch.documents import actors
from daswatch.documents.decoder import RecordDecoder
from daswatch.documents.document import Flattening
from daswatch.evidence.readings import Purpose
from daswatch.evidence.replay import Replayer, Selection
from daswatch.evidence.retries import FOLDERS, NOT_RETRIED
from daswatch.fleet.names import Names, fields_read
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.client import search_client
from daswatch.opensearch.database_documents import read_documents
from daswatch.opensearch.event_indices import EventIndices
from daswatch.opensearch.learned_names import GONE_DAYS
from daswatch.opensearch.reading_index import ReadingIndex
from daswatch.opensearch.replayed_events import ReplayedEvents
from daswatch.records.decryption import Decryptor
from daswatch.times import iso_milliseconds
from replay_lambda.retrier import Retrier
from replay_lambda.settings import Settings, read_settings
from replay_lambda.telemetry import SERVICE, emit

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_READERS = 8  # threads that read S3


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Try again what is due. Raises SettingsError, and DependencyError where too much fails."""
    function = warm_function(context.invoked_function_arn)
    report = function.retrier.run(datetime.now(UTC), Deadline.of(context))
    emit(function.telemetry, report, context.aws_request_id)
    if report.run.failure:
        raise report.run.failure
    return {"tried": report.tried, "returned": report.run.objects_whole, "left": report.left}


class Function:
    """State kept between warm invocations."""

    def __init__(self, settings: Settings, region: str) -> None:
        self._settings = settings
        self._client = client = search_client(settings.search)
        self._indices = indices = Indices(settings.index_prefix)
        self._actors = actors.load_file(settings.stream.actors)
        self._data_keys = DataKeys(
            kms_client(), settings.stream.max_data_keys, settings.stream.max_data_key_age_seconds
        )
        gateway = SearchGateway(client, service=settings.search.service)
        self._target = ReplayedEvents(client, EventIndices(gateway, ThreadPoolExecutor(1, "bulk")), indices)
        s3, readers = s3_client(), ThreadPoolExecutor(_READERS, "evidence")
        self._selection = Selection(not_reasons=NOT_RETRIED)
        self.telemetry = Telemetry(SERVICE)
        self.retrier = Retrier(
            source=lambda patience: EvidenceBucket(
                s3, settings.dead_letter_bucket, FOLDERS, patience, readers, most_are_done=True
            ),
            readings=lambda patience: ReadingIndex(client, gateway, indices, patience),
            replayer=self._replayer,
            names=self._names,
            caller=lambda deadline: caller(sts_client(), deadline),
            purpose=Purpose(f"s3://{settings.dead_letter_bucket}", settings.index_prefix, self._selection),
            region=region,
        )

    def _replayer(self, now: datetime, names: Names) -> Replayer:
        settings = self._settings
        decryptor = Decryptor(settings.stream.max_plaintext_bytes)
        return Replayer(
            data_keys=self._data_keys,
            decoder=lambda keys: RecordDecoder(keys, decryptor),
            target=self._target,
            selection=self._selection,
            flattening=Flattening(
                ingested_at=iso_milliseconds(now),
                replayed_at=iso_milliseconds(now),
                index_prefix=settings.index_prefix,
                excluded_users=settings.stream.excluded_users,
                redaction=settings.stream.redaction,
                actors=self._actors,
                hourly=settings.hourly_indices,
                names=names,
            ),
            stream_arn=lambda resource_id: "",  # every record here has its own
            as_of_now=True,
        )

    def _names(self, deadline: Deadline) -> Names:
        tags = self._settings.event_tags
        fields = fields_read(tags)
        documents = read_documents(self._client, self._indices.databases, deadline, fields, gone_days=GONE_DAYS)
        return Names.of(documents.values(), tags)


@cache
def warm_function(invoked_function_arn: str) -> Function:
    """The function of this environment, the same for as long as it is warm. Raises SettingsError."""
    return Function(read_settings(os.environ), invoked_function_arn.split(":")[3])
