"""The setup function's settings: environment -> a frozen value. Only content needs any: streams come in the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daswatch.documents import DEFAULT_INDEX_PREFIX
from daswatch.settings import Environment, SearchEndpoint, read_bucket, read_index_prefix

DEFAULT_DETECTIONS = "detections.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where content is installed, and where a copy of what it replaces goes."""

    search: SearchEndpoint
    backup_bucket: str
    index_prefix: str = DEFAULT_INDEX_PREFIX
    dashboards_url: str = ""
    detections: str = DEFAULT_DETECTIONS  # path of the compiled file


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    search = SearchEndpoint.read(environment)
    settings = Settings(
        search=search,
        backup_bucket=read_bucket(environment, "BACKUP_BUCKET"),
        index_prefix=read_index_prefix(environment),
        dashboards_url=environment.optional("DASHBOARDS_URL", f"{search.url}/_dashboards").rstrip("/"),
        detections=environment.optional("DETECTIONS", DEFAULT_DETECTIONS),
    )
    environment.check()
    return settings
