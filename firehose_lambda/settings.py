"""The transformation's settings: environment -> a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daswatch.aws.kms import DEFAULT_MAX_AGE_SECONDS, DEFAULT_MAX_DATA_KEYS
from daswatch.documents.activity import Activity
from daswatch.documents.noise import DEFAULT_EXCLUDED_USERS
from daswatch.documents.redaction import Redaction
from daswatch.records.decryption import DEFAULT_MAX_PLAINTEXT_BYTES
from daswatch.settings import Environment, read_activities, read_excluded_users
from firehose_lambda.transform import Compression, Form


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the transformation is told from outside."""

    form: Form = Form.S3
    compression: Compression = Compression.NONE
    activities: frozenset[Activity] = frozenset(Activity)
    excluded_users: frozenset[str] = DEFAULT_EXCLUDED_USERS
    redaction: Redaction = Redaction.OFF
    max_plaintext_bytes: int = DEFAULT_MAX_PLAINTEXT_BYTES
    max_data_keys: int = DEFAULT_MAX_DATA_KEYS
    max_data_key_age_seconds: int = DEFAULT_MAX_AGE_SECONDS


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is wrong."""
    environment = Environment(variables)
    form = environment.choice("OUTPUT_FORM", Form, Form.S3)
    compression = environment.choice("COMPRESS", Compression, Compression.NONE)
    if compression is Compression.GZIP and form is not Form.S3:
        environment.problem("COMPRESS", "is not read by Splunk and OpenSearch", "gzip only with OUTPUT_FORM=s3")
    settings = Settings(
        form=form,
        compression=compression,
        activities=read_activities(environment, "ACTIVITIES"),
        excluded_users=read_excluded_users(environment),
        redaction=environment.choice("REDACT", Redaction, Redaction.OFF),
        max_plaintext_bytes=environment.whole_number("MAX_PLAINTEXT_BYTES", DEFAULT_MAX_PLAINTEXT_BYTES, 1024, 1024**3),
        max_data_keys=environment.whole_number("MAX_DATA_KEYS", DEFAULT_MAX_DATA_KEYS, 1, 100_000),
        max_data_key_age_seconds=environment.whole_number(
            "MAX_DATA_KEY_AGE_SECONDS", DEFAULT_MAX_AGE_SECONDS, 1, 86_400
        ),
    )
    environment.check()
    return settings
