"""The ingest function's settings: environment -> a frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from daswatch.aws.firehose import MAX_ROWS_PER_RECORD
from daswatch.aws.kms import DEFAULT_MAX_AGE_SECONDS, DEFAULT_MAX_DATA_KEYS
from daswatch.documents.activity import Activity
from daswatch.documents.noise import DEFAULT_EXCLUDED_USERS
from daswatch.documents.redaction import Redaction
from daswatch.hourly import DAILY, HourlyIndices
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.records.decryption import DEFAULT_MAX_PLAINTEXT_BYTES
from daswatch.settings import (
    Environment,
    SearchEndpoint,
    read_activities,
    read_bucket,
    read_excluded_users,
    read_hourly_indices,
    read_index_prefix,
)

ALL_ACTIVITIES = frozenset(Activity)

_DELIVERY_STREAM = re.compile(r"[a-zA-Z0-9_.-]{1,64}", re.ASCII)  # Firehose's DeliveryStreamName


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the ingest function is told from outside."""

    search: SearchEndpoint
    dead_letter_bucket: str
    index_prefix: str = DEFAULT_INDEX_PREFIX
    excluded_users: frozenset[str] = DEFAULT_EXCLUDED_USERS
    redaction: Redaction = Redaction.OFF
    hourly_indices: HourlyIndices = DAILY
    max_plaintext_bytes: int = DEFAULT_MAX_PLAINTEXT_BYTES
    max_data_keys: int = DEFAULT_MAX_DATA_KEYS
    max_data_key_age_seconds: int = DEFAULT_MAX_AGE_SECONDS
    rows_delivery_stream: str = ""  # empty: no rows are delivered
    rows_activities: frozenset[Activity] = ALL_ACTIVITIES
    rows_per_record: int = 1


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    search = SearchEndpoint.read(environment)
    bucket = read_bucket(environment, "DEAD_LETTER_BUCKET")
    prefix = read_index_prefix(environment)
    settings = Settings(
        search=search,
        dead_letter_bucket=bucket,
        index_prefix=prefix,
        excluded_users=read_excluded_users(environment),
        redaction=environment.choice("REDACT", Redaction, Redaction.OFF),
        hourly_indices=read_hourly_indices(environment),
        max_plaintext_bytes=environment.whole_number("MAX_PLAINTEXT_BYTES", DEFAULT_MAX_PLAINTEXT_BYTES, 1024, 1024**3),
        max_data_keys=environment.whole_number("MAX_DATA_KEYS", DEFAULT_MAX_DATA_KEYS, 1, 100_000),
        max_data_key_age_seconds=environment.whole_number(
            "MAX_DATA_KEY_AGE_SECONDS", DEFAULT_MAX_AGE_SECONDS, 1, 86_400
        ),
        rows_delivery_stream=_delivery_stream(environment),
        rows_activities=read_activities(environment, "ROWS_ACTIVITIES"),
        rows_per_record=environment.whole_number("ROWS_PER_RECORD", 1, 1, MAX_ROWS_PER_RECORD),
    )
    environment.check()
    return settings


def _delivery_stream(environment: Environment) -> str:
    name = environment.optional("ROWS_DELIVERY_STREAM")
    if name and not _DELIVERY_STREAM.fullmatch(name):
        environment.problem("ROWS_DELIVERY_STREAM", "is no delivery stream's name", "its name, not its ARN: das-rows")
    return name
