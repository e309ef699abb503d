"""The setup function's settings: environment -> a frozen value. Only content needs any: streams come in the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daswatch.content.model import WantedContent
from daswatch.settings import DashboardsEndpoint, Environment, SearchEndpoint, read_bucket, read_index_prefix


@dataclass(frozen=True, slots=True)
class Settings:
    """What is installed where, and where a copy of what it replaces goes. `wanted` has no detections yet."""

    search: SearchEndpoint
    dashboards: DashboardsEndpoint
    wanted: WantedContent
    backup_bucket: str
    detections: str  # path of the compiled file


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    search = SearchEndpoint.read(environment)
    settings = Settings(
        search=search,
        dashboards=DashboardsEndpoint.read(environment, search),
        wanted=WantedContent.read(
            environment, index_prefix=read_index_prefix(environment), service=search.service, detections=()
        ),
        backup_bucket=read_bucket(environment, "BACKUP_BUCKET"),
        detections=environment.optional("DETECTIONS"),
    )
    environment.check()
    return settings
