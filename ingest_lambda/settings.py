"""The ingest function's settings: environment -> a frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from daswatch.aws.firehose import MAX_ROWS_PER_RECORD
from daswatch.documents.activity import Activity
from daswatch.hourly_indices import DAILY, HourlyIndices
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.settings import (
    DEFAULT_EVENT_TAGS,
    SETTINGS,
    Environment,
    SearchEndpoint,
    StreamSettings,
    read_activities,
    read_bucket,
    read_event_tags,
    read_hourly_indices,
    read_index_prefix,
)

ALL_ACTIVITIES = frozenset(Activity)

_FUNCTION = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}", re.ASCII)
_DELIVERY_STREAM = re.compile(r"[a-zA-Z0-9_.-]{1,64}", re.ASCII)  # Firehose's DeliveryStreamName


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the ingest function."""

    search: SearchEndpoint
    dead_letter_bucket: str
    stream: StreamSettings = field(default_factory=StreamSettings)
    index_prefix: str = DEFAULT_INDEX_PREFIX
    hourly_indices: HourlyIndices = DAILY
    event_tags: tuple[str, ...] = DEFAULT_EVENT_TAGS
    rows_delivery_stream: str = ""  # empty: no rows are delivered
    rows_activities: frozenset[Activity] = ALL_ACTIVITIES
    rows_per_record: int = 1
    look_function_arn: str = ""  # empty: the schedule alone looks
    detections: str = SETTINGS["DETECTIONS"].default  # read where looks are requested


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    settings = Settings(
        search=SearchEndpoint.read(environment),
        dead_letter_bucket=read_bucket(environment, "DEAD_LETTER_BUCKET"),
        index_prefix=read_index_prefix(environment),
        stream=StreamSettings.read(environment),
        hourly_indices=read_hourly_indices(environment),
        event_tags=read_event_tags(environment),
        rows_delivery_stream=_delivery_stream(environment),
        rows_activities=read_activities(environment, "ROWS_ACTIVITIES"),
        look_function_arn=_look_function(environment),
        detections=environment.optional("DETECTIONS"),
        rows_per_record=environment.whole_number("ROWS_PER_RECORD", 1, MAX_ROWS_PER_RECORD),
    )
    environment.check()
    return settings


def _look_function(environment: Environment) -> str:
    arn = environment.optional("LOOK_FUNCTION_ARN")
    if arn and not _FUNCTION.fullmatch(arn):
        environment.problem(
            "LOOK_FUNCTION_ARN",
            "is not a function's ARN",
            "arn:aws:lambda:eu-west-1:123456789012:function:daswatch-look",
        )
    return arn


def _delivery_stream(environment: Environment) -> str:
    name = environment.optional("ROWS_DELIVERY_STREAM")
    if name and not _DELIVERY_STREAM.fullmatch(name):
        environment.problem(
            "ROWS_DELIVERY_STREAM", "is not a delivery stream's name", "its name, not its ARN: das-rows"
        )
    return name
