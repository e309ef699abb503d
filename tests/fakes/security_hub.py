"""What Security Hub demands of a finding, as strictly as its documentation says it; and alerts to make findings of.

moto takes nearly everything, and botocore knows names and types alone. So: botocore's model, and all the limits that
are only words there. Sources: AwsSecurityFinding and BatchImportFindings in the model's documentation, the user guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import Shape
from botocore.validate import ParamValidator

from daswatch.alerts.alert import Alert, Database, State
from daswatch.detections.detection import Detection, DetectionKind, Level, Source

ACCOUNT = "123456789012"
REGION = "eu-west-1"

MAX_FINDING_BYTES = 240_000
LENGTHS = {
    "SchemaVersion": 64,
    "Id": 512,
    "ProductArn": 2_048,
    "ProductName": 128,
    "CompanyName": 128,
    "GeneratorId": 512,
    "AwsAccountId": 12,
    "Title": 256,
    "Description": 1_024,
    "SourceUrl": 2_048,
}
REQUIRED = {
    "SchemaVersion", "Id", "ProductArn", "GeneratorId", "AwsAccountId", "CreatedAt", "UpdatedAt", "Title",
    "Description", "Resources", "FindingProviderFields",
}  # fmt: skip
# Customers', not ours; or ours only by way of FindingProviderFields.
FORBIDDEN = {
    "Note", "UserDefinedFields", "VerificationState", "Workflow", "WorkflowState",
    "Severity", "Types", "Confidence", "Criticality", "RelatedFindings",
}  # fmt: skip
TIMES = ("CreatedAt", "UpdatedAt", "FirstObservedAt", "LastObservedAt")
NAMESPACES = {
    "Software and Configuration Checks", "TTPs", "Effects", "Unusual Behaviors", "Sensitive Data Identifications",
}  # fmt: skip
CLUSTER_ENGINES = {"aurora", "aurora-mysql", "aurora-postgresql"}
SEVERITIES = {"INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"}

_NOT_BLANK = re.compile(r".*\S.*", re.DOTALL)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)
_PRODUCT_ARN = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):securityhub:([a-z]{2}(?:-gov)?-[a-z]+-\d):(\d{12}):product/(\d{12})/default", re.ASCII
)
_RESOURCE_ARN = re.compile(r"arn:(aws|aws-cn|aws-us-gov):rds:[a-z0-9-]+:\d{12}:(cluster|db):[A-Za-z0-9-]+", re.ASCII)
_URL = re.compile(r"https?://[!-~]+", re.ASCII)


def problems(finding: Mapping[str, Any]) -> list[str]:
    """All that Security Hub could refuse in a finding; empty for a good one."""
    return list(_problems(finding))


def _problems(finding: Mapping[str, Any]) -> Iterator[str]:
    report = ParamValidator().validate({"Findings": [finding]}, _import_shape())
    if report.has_errors():
        yield report.generate_report()
        return
    yield from (f"{name} is missing" for name in sorted(REQUIRED - finding.keys()))
    yield from (f"{name} is not ours to set" for name in sorted(FORBIDDEN & finding.keys()))
    yield from _bad_texts("finding", finding)
    yield from (
        f"{name} is longer than {length}" for name, length in LENGTHS.items() if len(finding.get(name, "")) > length
    )
    if len(json.dumps(finding)) > MAX_FINDING_BYTES:
        yield "the finding is larger than 240 KB"
    if finding.get("SchemaVersion") != "2018-10-08":
        yield "SchemaVersion"
    yield from _bad_times(finding)
    yield from _bad_origin(finding)
    yield from _bad_provider_fields(finding.get("FindingProviderFields", {}))
    yield from _bad_product_fields(finding.get("ProductFields", {}))
    yield from _bad_resources(finding)
    yield from _bad_compliance(finding.get("Compliance", {}))
    recommendation = finding.get("Remediation", {}).get("Recommendation", {})
    if len(recommendation.get("Text", "")) > 512:
        yield "Recommendation.Text is longer than 512"
    for url in filter(None, (recommendation.get("Url"), finding.get("SourceUrl"))):
        if not _URL.fullmatch(url):
            yield "a URL that is none"
    if finding.get("RecordState") not in ("ACTIVE", "ARCHIVED"):
        yield "RecordState"


def _bad_texts(path: str, value: object) -> Iterator[str]:
    """Blank strings, and such that no JSON or no screen can hold; empty containers."""
    if isinstance(value, str):
        if not _NOT_BLANK.fullmatch(value):
            yield f"{path} is blank"
        if not value.isprintable():
            yield f"{path} holds what cannot be printed"
    elif isinstance(value, Mapping):
        if not value:
            yield f"{path} is empty"
        for name, inner in value.items():
            yield from _bad_texts(f"{path}: a key", name)
            yield from _bad_texts(f"{path}.{name}", inner)
    elif isinstance(value, list):
        if not value:
            yield f"{path} is empty"
        for number, inner in enumerate(value):
            yield from _bad_texts(f"{path}[{number}]", inner)


def _bad_times(finding: Mapping[str, Any]) -> Iterator[str]:
    for name in TIMES:
        if name in finding and not (_TIME.fullmatch(finding[name]) and _exists(finding[name])):
            yield f"{name} is not a time"
    for before, after in (("FirstObservedAt", "LastObservedAt"), ("CreatedAt", "UpdatedAt")):
        if finding.get(before, "") > finding.get(after, "9"):
            yield f"{after} is before {before}"


def _exists(time: str) -> bool:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return False
    return True


def _bad_origin(finding: Mapping[str, Any]) -> Iterator[str]:
    arn = _PRODUCT_ARN.fullmatch(finding.get("ProductArn", ""))
    if arn is None:
        yield "ProductArn"
        return
    partition, region, *accounts = arn.groups()
    if {*accounts, finding.get("AwsAccountId")} != {finding.get("AwsAccountId")}:
        yield "ProductArn is another account's than AwsAccountId"
    if partition != _partition(region):
        yield "ProductArn's partition has no such region"


@cache
def _partition(region: str) -> str:
    found: str = botocore.session.get_session().get_partition_for_region(region)
    return found


def _bad_provider_fields(fields: Mapping[str, Any]) -> Iterator[str]:
    severity = fields.get("Severity", {})
    if severity.get("Label") not in SEVERITIES:
        yield "FindingProviderFields.Severity.Label"
    if not 1 <= len(severity.get("Original", "")) <= 64:
        yield "FindingProviderFields.Severity.Original"
    types = fields.get("Types", [])
    if not 1 <= len(types) <= 50:
        yield "FindingProviderFields.Types has none, or more than 50"
    for finding_type in types:
        parts = finding_type.split("/")
        if parts[0] not in NAMESPACES or len(parts) > 3 or not all(part.strip() for part in parts):
            yield f"{finding_type} is no namespace/category/classifier"


def _bad_product_fields(fields: Mapping[str, str]) -> Iterator[str]:
    if len(fields) > 50:
        yield "ProductFields has more than 50 pairs"
    for key, value in fields.items():
        if len(key) > 128:
            yield f"the key {key} is longer than 128"
        if key.startswith("aws/"):
            yield f"the key {key} is reserved"
        if len(value) > 2_048:
            yield f"{key} is longer than 2,048"


def _bad_resources(finding: Mapping[str, Any]) -> Iterator[str]:
    resources = finding.get("Resources", [])
    if not 1 <= len(resources) <= 32:
        yield "Resources has none, or more than 32"
    for resource in resources:
        kind, details = resource["Type"], resource.get("Details", {})
        if len(kind) > 256 or len(resource["Id"]) > 512 or len(resource.get("Region", "")) > 16:
            yield "a resource's type, id or region is too long"
        if details and set(details) - {kind, "Other"}:
            yield f"a resource of type {kind} has details of another type"
        tags = resource.get("Tags", {})
        if len(tags) > 50 or any(len(key) > 128 or len(value) > 256 for key, value in tags.items()):
            yield "a resource's tags are too many or too long"
        if any(key.lower().startswith("aws:") for key in tags):
            yield "a resource's tag is AWS's own"
        if resource.get("Partition") != _partition(resource.get("Region", "")):
            yield "a resource's partition has no such region"
        if kind in ("AwsRdsDbCluster", "AwsRdsDbInstance") and not _RESOURCE_ARN.fullmatch(resource["Id"]):
            yield "a database's id is not an ARN"
        if details.get("AwsRdsDbCluster", {}).get("Engine", "aurora") not in CLUSTER_ENGINES:
            yield "no such engine of clusters"


def _bad_compliance(compliance: Mapping[str, Any]) -> Iterator[str]:
    if compliance and compliance.get("Status") not in ("PASSED", "WARNING", "FAILED", "NOT_AVAILABLE"):
        yield "Compliance.Status"
    if len(compliance.get("RelatedRequirements", [])) > 32:
        yield "Compliance.RelatedRequirements has more than 32"
    if any("ReasonCode" not in reason for reason in compliance.get("StatusReasons", [])):
        yield "a reason without its code"


@cache
def _import_shape() -> Shape:
    model = botocore.session.get_session().get_service_model("securityhub")
    shape = model.operation_model("BatchImportFindings").input_shape
    assert shape is not None
    return shape


def an_alert(**changes: Any) -> Alert:
    """An alert as the detection of a guessed password raises it."""
    alert = Alert(
        detection="bruteforce-success",
        title="Successful login after repeated failures",
        level=Level.HIGH,
        database=Database("cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ", ACCOUNT, REGION, "postgresql"),
        group={"dbUserName": "app", "remoteHost": "203.0.113.9"},
        state=State.ACTIVE,
        episode=2,
        first_seen="2026-11-21T10:00:00.000Z",
        last_seen="2026-11-21T10:07:30.250Z",
        count=12,
        metrics={"count before": 11},
        actors={"dbUserName": ("app",), "clientApplication": ("psql", "hydra")},
        samples=("0a1b2c", "3d4e5f"),
        note="",
        created_at="2026-11-20T08:00:00.000Z",
        changed_at="2026-11-21T10:08:00.000Z",
        last_activity_at="2026-11-21T10:08:00.000Z",
        quiet_seconds=3_600,
    )
    return replace(alert, **changes)


def a_detection(**changes: Any) -> Detection:
    """The detection of a guessed password."""
    detection = Detection(
        name="bruteforce-success",
        id="e7d4b0a1-3f9c-4a8e-9a50-5c2d8e6f7b03",
        title="Successful login after repeated failures",
        level=Level.HIGH,
        status="test",
        kind=DetectionKind.SEQUENCE,
        source=Source.EVENTS,
        query='activity:"AUTH FAILURE" OR (activity:CONNECT AND outcome:success)',
        description="An account's password was tried again and again from one host, and then it fitted.",
        why="This is what guessing looks like when it works.",
        runbook=(
            "Read the session that followed.",
            "Ask the account's owner.",
            "Change the password.",
            "Look further.",
        ),
        false_positives=(),
        blind_spots=(),
        references=("https://attack.mitre.org/techniques/T1110/",),
        attack=("credential-access", "t1110", "t1078.004"),
        types=("TTPs/Initial Access/Valid Accounts",),
        engines=("postgresql",),
        enabled=True,
        disabled_because="",
        version=3,
        group=("dbUserName", "remoteHost"),
    )
    return replace(detection, **changes)
