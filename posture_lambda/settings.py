"""The posture function's settings: environment -> a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daswatch.evidence.completeness import EvidencePlaces
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.settings import (
    DEFAULT_EVENT_TAGS,
    Environment,
    FleetScope,
    SearchEndpoint,
    read_bucket,
    read_event_tags,
    read_index_prefix,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the posture function."""

    search: SearchEndpoint
    scope: FleetScope
    security_hub: bool = True
    findings_role: str = ""
    index_prefix: str = DEFAULT_INDEX_PREFIX
    event_tags: tuple[str, ...] = DEFAULT_EVENT_TAGS
    places: EvidencePlaces = EvidencePlaces()  # noqa: RUF009 - frozen


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    settings = Settings(
        search=SearchEndpoint.read(environment),
        scope=FleetScope.read(environment),
        security_hub=environment.flag("SECURITY_HUB"),
        findings_role=environment.optional("FINDINGS_ROLE"),
        index_prefix=read_index_prefix(environment),
        event_tags=read_event_tags(environment),
        places=EvidencePlaces(
            environment.optional("EVIDENCE_BUCKET", EvidencePlaces().evidence),
            read_bucket(environment, "DEAD_LETTER_BUCKET"),
        ),
    )
    environment.check()
    return settings
