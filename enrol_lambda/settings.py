"""The enrolment function's settings: environment -> a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daswatch.activity_streams.lifecycle import WantedMode, WantedStream
from daswatch.alerts.findings import partition
from daswatch.enrolment.consumers import Consumers, Evidence, Splunk
from daswatch.enrolment.plan import OnDeselection, Wanted
from daswatch.enrolment.selection import LOOKS_LIKE, Selection
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.settings import Environment, SearchEndpoint, read_bucket, read_index_prefix


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the enrolment function."""

    search: SearchEndpoint
    wanted: Wanted
    index_prefix: str = DEFAULT_INDEX_PREFIX
    topic: str = ""


def read_settings(variables: Mapping[str, str], region: str) -> Settings:
    """Read and check the environment. Raises SettingsError that names every variable which is missing or wrong."""
    environment = Environment(variables)
    settings = Settings(
        search=SearchEndpoint.read(environment),
        wanted=Wanted(
            selection=_selection(environment),
            stream=WantedStream(
                environment.required("STREAM_KEY_ARN", "the ARN of a KMS key"),
                environment.choice("STREAM_MODE", WantedMode),
                environment.flag("NATIVE_AUDIT_FIELDS"),
            ),
            consumers=_consumers(environment, region),
            on_deselection=environment.choice("ON_DESELECTION", OnDeselection),
        ),
        index_prefix=read_index_prefix(environment),
        topic=environment.optional("ALERT_TOPIC_ARN"),
    )
    environment.check()
    return settings


def _selection(environment: Environment) -> Selection:
    try:
        return Selection.parse(environment.required("DATABASES", LOOKS_LIKE))
    except ValueError:
        environment.problem("DATABASES", "cannot be read", LOOKS_LIKE)
        return Selection()


def _consumers(environment: Environment, region: str) -> Consumers:
    buckets = f"arn:{partition(region)}:s3:::"
    failures = buckets + read_bucket(environment, "DEAD_LETTER_BUCKET")
    evidence_bucket = environment.optional("EVIDENCE_BUCKET")
    splunk_endpoint = environment.optional("SPLUNK_ENDPOINT")
    role = key = log_group = ""
    if evidence_bucket or splunk_endpoint:
        role = environment.required(
            "DELIVERY_ROLE_ARN", "the ARN of an IAM role, for EVIDENCE_BUCKET or SPLUNK_ENDPOINT"
        )
        key = environment.required("DATA_KEY_ARN", "the ARN of a KMS key, for EVIDENCE_BUCKET or SPLUNK_ENDPOINT")
        log_group = environment.required("DELIVERY_LOG_GROUP", "a log group, for EVIDENCE_BUCKET or SPLUNK_ENDPOINT")
    splunk = None
    if splunk_endpoint:
        splunk = Splunk(
            endpoint=splunk_endpoint,
            secret=environment.required("SPLUNK_SECRET_ARN", "the ARN of a secret, for SPLUNK_ENDPOINT"),
            function=environment.required("TRANSFORM_FUNCTION_ARN", "the ARN of a function, for SPLUNK_ENDPOINT"),
            role=role,
            backup_bucket=failures,
            key=key,
            log_group=log_group,
        )
    return Consumers(
        name=environment.optional("RESOURCE_PREFIX"),
        function=environment.required("INGEST_FUNCTION_ARN", "the ARN of a function"),
        failures=failures,
        evidence=Evidence(buckets + evidence_bucket, role, key, log_group) if evidence_bucket else None,
        splunk=splunk,
    )
