"""The posture function's settings: environment -> a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.settings import Environment, FleetScope, SearchEndpoint, read_index_prefix


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the posture function."""

    search: SearchEndpoint
    scope: FleetScope
    index_prefix: str = DEFAULT_INDEX_PREFIX
    follow_names: bool = False


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    settings = Settings(
        search=SearchEndpoint.read(environment),
        scope=FleetScope.read(environment),
        index_prefix=read_index_prefix(environment),
        follow_names=environment.flag("FOLLOW_NAMES"),
    )
    environment.check()
    return settings
