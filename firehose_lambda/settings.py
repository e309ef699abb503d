"""The transformation's settings: environment -> a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daswatch.documents.activity import Activity
from daswatch.settings import Environment, StreamSettings, read_activities
from firehose_lambda.transform import Compression, Form


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the transformation."""

    form: Form = Form.S3
    compression: Compression = Compression.NONE
    activities: frozenset[Activity] = frozenset(Activity)
    stream: StreamSettings = field(default_factory=StreamSettings)


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is wrong."""
    environment = Environment(variables)
    form = environment.choice("OUTPUT_FORM", Form)
    compression = environment.choice("COMPRESS", Compression)
    if compression is Compression.GZIP and form is not Form.S3:
        environment.problem("COMPRESS", "is not read by Splunk and OpenSearch", "gzip only with OUTPUT_FORM=s3")
    settings = Settings(
        form=form,
        compression=compression,
        activities=read_activities(environment, "ACTIVITIES"),
        stream=StreamSettings.read(environment),
    )
    environment.check()
    return settings
