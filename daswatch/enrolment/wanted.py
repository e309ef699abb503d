"""The settings of enrolment: environment -> what is wanted of the databases of an account and region."""

from __future__ import annotations

from daswatch.activity_streams.lifecycle import WantedMode, WantedStream
from daswatch.alerts.findings import partition
from daswatch.enrolment.consumers import Consumers, Evidence, Splunk
from daswatch.enrolment.plan import OnDeselection, Wanted
from daswatch.enrolment.selection import LOOKS_LIKE, Selection
from daswatch.settings import Environment, read_bucket


def read_wanted(environment: Environment, region: str) -> Wanted:
    """From the settings of the enrolment function; what is wrong is noted in the environment."""
    return Wanted(
        selection=_selection(environment),
        stream=WantedStream(
            environment.required("STREAM_KEY_ARN", "the ARN of a KMS key"),
            environment.choice("STREAM_MODE", WantedMode),
            environment.flag("NATIVE_AUDIT_FIELDS"),
        ),
        consumers=_consumers(environment, region),
        on_deselection=environment.choice("ON_DESELECTION", OnDeselection),
    )


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
