"""The enrolment function's settings: environment -> a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from daswatch.enrolment.plan import Wanted
from daswatch.enrolment.wanted import read_wanted
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.settings import Environment, SearchEndpoint, read_index_prefix


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the enrolment function."""

    search: SearchEndpoint
    wanted: Wanted
    index_prefix: str = DEFAULT_INDEX_PREFIX
    topic: str = ""
    evidence_bucket: str = ""  # its name
    evidence_kept: timedelta = timedelta(days=400)


def read_settings(variables: Mapping[str, str], region: str) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    settings = Settings(
        search=SearchEndpoint.read(environment),
        wanted=read_wanted(environment, region),
        index_prefix=read_index_prefix(environment),
        topic=environment.optional("ALERT_TOPIC_ARN"),
        evidence_bucket=environment.optional("EVIDENCE_BUCKET"),
        evidence_kept=timedelta(days=environment.whole_number("EVIDENCE_DAYS", 1, 36_500)),
    )
    environment.check()
    return settings
