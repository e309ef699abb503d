"""The findings function's settings: environment -> a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daswatch.documents.redaction import Redaction
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.settings import (
    DEFAULT_EVENT_TAGS,
    Environment,
    SearchEndpoint,
    read_bucket,
    read_event_tags,
    read_index_prefix,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the findings function."""

    search: SearchEndpoint
    dead_letter_bucket: str
    detections: str  # path of the compiled file
    index_prefix: str = DEFAULT_INDEX_PREFIX
    dashboards_url: str = ""
    alert_topic_arn: str = ""
    security_hub: bool = True
    findings_role: str = ""  # the name of a role in other accounts
    findings_sql: bool = False
    redaction: Redaction = Redaction.OFF
    event_tags: tuple[str, ...] = DEFAULT_EVENT_TAGS


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    search = SearchEndpoint.read(environment)
    topic = environment.optional("ALERT_TOPIC_ARN")
    if topic and not topic.startswith("arn:"):
        environment.problem("ALERT_TOPIC_ARN", "is not an ARN", "arn:aws:sns:…")
    settings = Settings(
        search=search,
        dead_letter_bucket=read_bucket(environment, "DEAD_LETTER_BUCKET"),
        detections=environment.optional("DETECTIONS"),
        index_prefix=read_index_prefix(environment),
        dashboards_url=environment.optional("DASHBOARDS_URL", f"{search.url}/_dashboards").rstrip("/"),
        alert_topic_arn=topic,
        security_hub=environment.flag("SECURITY_HUB"),
        findings_role=environment.optional("FINDINGS_ROLE"),
        findings_sql=environment.flag("FINDINGS_SQL"),
        redaction=environment.choice("REDACT", Redaction),
        event_tags=read_event_tags(environment),
    )
    environment.check()
    return settings
