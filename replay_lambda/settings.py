"""The replay function's settings: environment -> a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daswatch.hourly_indices import DAILY, HourlyIndices
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.settings import (
    DEFAULT_EVENT_TAGS,
    Environment,
    SearchEndpoint,
    StreamSettings,
    read_bucket,
    read_event_tags,
    read_hourly_indices,
    read_index_prefix,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the replay function: those of the ingest function that decide what is written, and where."""

    search: SearchEndpoint
    dead_letter_bucket: str
    stream: StreamSettings = field(default_factory=StreamSettings)
    index_prefix: str = DEFAULT_INDEX_PREFIX
    hourly_indices: HourlyIndices = DAILY
    event_tags: tuple[str, ...] = DEFAULT_EVENT_TAGS


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    settings = Settings(
        search=SearchEndpoint.read(environment),
        dead_letter_bucket=read_bucket(environment, "DEAD_LETTER_BUCKET"),
        stream=StreamSettings.read(environment),
        index_prefix=read_index_prefix(environment),
        hourly_indices=read_hourly_indices(environment),
        event_tags=read_event_tags(environment),
    )
    environment.check()
    return settings
