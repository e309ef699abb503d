"""Generate the tables of docs/deploy.md from the template, and from the measurements and assumptions below.

    python -m tools.deploy_page

Quantities, no prices: those change, and AWS's calculator has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests import ROOT
from tests.iac.cloudformation import Stack, read_template
from tools.markers import replaced

PAGE = ROOT / "docs" / "deploy.md"
GB = 1024**3
HOURS = 730  # of a month
_SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:splunk"
_REPLICA_KEY = "arn:aws:kms:eu-central-1:123456789012:key/2e3f4a5b-6c7d-4e8f-9012-345678901234"

# Measured with the demo's producer, which encrypts records as RDS does, signed suite (`tools/benchmarks/workload.py`).
HEARTBEAT_BYTES = 1_045
RECORD_BYTES = {1: 1_638, 20: 3_918}  # by events in a record
INDEX_BYTES = 371  # of an event, one copy (docs/decisions/0003)
EVENT_MS = 0.065  # of processor and waiting, 20 events in a record (docs/decisions/0006)
OPENING_MS = 0.9  # of a signed record (docs/decisions/0005)
# Assumed.
HEARTBEATS = HOURS * 3600 // 2  # one every two seconds, of one instance
LAMBDA_SLOWER = 2  # than the machine of these measurements
INVOCATIONS = HOURS * 3600 // 5  # one for each batching window of the template
IDLE_MS = 20  # of an invocation that receives only heartbeats
LOG_BYTES = 1_500  # of an invocation: our line, and three of Lambda's
RUNS, RUN_MS, RUN_MB = HOURS * 60, 1_000, 512  # of the saved queries
INGEST_MB = 1_769
KEPT_MONTHS = 400 / (365 / 12)  # EvidenceDays, and the retention policy's
OBJECTS = HOURS * 3600 // 300  # of evidence: one each 300 seconds
OUR_METRICS = 52  # of the ingest, findings, posture, enrolment and replay functions
CONDITION_METRICS = 5  # of a database, every quarter of an hour; 6 with Splunk
MAPPING_METRICS = 7  # that EventCount names


# What is billed, and how much of it.
Quantities = list[tuple[str, str]]


@cache
def alarms() -> int:
    """The number of alarms of a stack."""
    return len(small_stack("cluster:a").of_type("AWS::CloudWatch::Alarm"))


def small_stack(databases: str, **given: str) -> Stack:
    """A stack that creates its own domain."""
    return Stack({"Databases": databases, "ArtifactBucket": "artifacts", "CreateDomain": "true", **given})


def fixed() -> Quantities:
    """A month of a stack, independent of its databases."""
    return [
        ("KMS keys", f"{len(small_stack('cluster:a').of_type('AWS::KMS::Key'))}"),
        ("CloudWatch alarms", f"{alarms()}"),
        ("CloudWatch metrics", f"{OUR_METRICS}"),
        ("findings function", f"{RUNS:,} runs of {RUN_MS / 1000:.0f} s in {RUN_MB} MB, {_gb(RUNS * LOG_BYTES)} of log"),
    ]


def first_try() -> Quantities:
    """A month of the domain that CreateDomain creates."""
    return [
        ("OpenSearch", f"one t3.small.search for {HOURS} hours, 20 GB of gp3"),
        ("Secrets Manager", "one secret"),
    ]


def per_database() -> Quantities:
    """A month of a database with one idle instance: heartbeats only."""
    log = _gb(INVOCATIONS * LOG_BYTES)
    return [
        ("Kinesis", f"{HEARTBEATS:,} records of {HEARTBEAT_BYTES:,} bytes, written once and read twice"),
        ("KMS Decrypt with the data key cache", f"{HOURS * 4:,} requests: one data key, every 15 minutes"),
        ("KMS Decrypt without it", f"{HEARTBEATS:,} requests"),
        ("ingest function", f"{INVOCATIONS:,} calls of {IDLE_MS} ms in {INGEST_MB} MB, {log} of log"),
        ("Firehose", f"{HEARTBEATS:,} records, each billed as 5 KB: {_gb(HEARTBEATS * 5 * 1024)}"),
        ("S3", f"{OBJECTS:,} objects, {_gb(HEARTBEATS * HEARTBEAT_BYTES)}, for {KEPT_MONTHS:.0f} months"),
        ("CloudWatch metrics that enrolment reads", f"{HOURS * 4 * CONDITION_METRICS:,}"),
        ("CloudWatch metrics of the mapping", f"{MAPPING_METRICS}"),
    ]


def per_million(events_in_record: int) -> Quantities:
    """A million events, ingested and kept for 400 days."""
    size, records = RECORD_BYTES[events_in_record], 1_000_000 // events_in_record
    milliseconds = LAMBDA_SLOWER * (records * OPENING_MS + 1_000_000 * EVENT_MS)
    return [
        ("Kinesis", f"{records:,} records of {size:,} bytes, written once and read twice"),
        ("KMS Decrypt without the data key cache", f"{records:,} requests"),
        ("ingest function", f"{milliseconds / 1000:,.0f} s in {INGEST_MB} MB"),
        ("Firehose", f"{records:,} records, each billed as 5 KB: {_gb(records * 5 * 1024)}"),
        ("S3", f"{_gb(records * size)} for {KEPT_MONTHS:.0f} months"),
        ("OpenSearch, one copy", f"{_gb(1_000_000 * INDEX_BYTES)} for {KEPT_MONTHS:.0f} months"),
    ]


def _gb(size: float) -> str:
    return f"{size / GB:.2f} GB"


# The response to an alarm, by its name without the prefix.
ALARM_FIXES: Mapping[str, str] = {
    "DatabasesSilent": "The message of enrolment names them. `daswatch stream status`, then CloudTrail for who stopped "
    "a stream. A stopped database is silent, too.",
    "DatabasesUnread": "The message of enrolment names them. `daswatch doctor` reports whether a mapping is disabled, "
    "and `daswatch enrol` creates a missing one.",
    "DatabasesBehind": "Check the alarm RecordsToRetry and the load of OpenSearch: ingest waits for it, or "
    "needs more batches at a time. Up to 23 hours no record is moved, and all are indexed afterwards.",
    "RecordsGivenUp": "The objects under `aws/lambda/` in the dead-letter bucket contain the records; the log of the "
    "ingest function has the cause.",
    "EvidenceLate": "Check the Firehose log `/aws/kinesisfirehose/daswatch`; usually the policy of the bucket or key.",
    "SplunkLate": "Check the same log: the collector does not respond, or rejects the token (docs/firehose.md).",
    "EnrolmentsFailed": "`daswatch enrol --dry-run` lists the databases with the reason, and so does `failed` in the "
    "log of the enrolment function.",
    "DeadLettersLeft": "Check `reasons`, `details` and `incomplete` in the log of the replay function and fix what "
    "they name. The function tries again within a day, `daswatch replay` at once (docs/evidence.md).",
    "DeadLetters": "Open `das-dead-letters` in Dashboards: each document has its reason and its object in S3.",
    "RecordsToRetry": "`cause` in the log of the ingest function names the service, the error and the fix. No "
    "record is moved to the dead-letter bucket for 23 hours.",
    "PulsesUnwritten": "Check `lost_cause` in the log of the ingest function. Events are not affected, but das-silent "
    "does not fire, or fires for active instances.",
    "TalliesUnwritten": "Check `lost_cause` in the log of the ingest function. Events are not affected; `daswatch "
    "replay` of the evidence of that time counts them.",
    "MalformedNotifications": "Correct the message of the action in your own monitor (docs/detections.md).",
    "FailingDetections": "The log of the findings function lists them; `daswatch detections test` tests a rule.",
    "FindingsUnsent": "Check that Security Hub is enabled here and in the accounts of MemberRoleName, and that the "
    "role trusts the findings function's role.",
    "FindingsRefused": "The log of the findings function has Security Hub's reason. Report it as a bug.",
    "ComplianceFindingsUnsent": "Check that Security Hub is enabled here and in the accounts of MemberRoleName, and "
    "that the role trusts the posture function's role.",
    "ComplianceFindingsRefused": "The log of the posture function has Security Hub's reason. Report it as a bug.",
    "DatabasesNotCovered": "Run `daswatch posture`: it lists each database with the reason and the remedy.",
    "PlacesNotLookedAt": "The log of the posture function names each account or region with its cause (docs/fleet.md).",
    "RecordsFailed": "The objects under `splunk/` contain the reason; the evidence has the records.",
    "RecordsOverResponseLimit": "Lower BufferSizeInMBs of the Splunk Firehose stream (docs/firehose.md).",
    "BatchesToRetry": "Check that the stream's key is enabled (`daswatch doctor`).",
    "IngestErrors": "The log of the ingest function names the invalid setting.",
    "FindingsErrors": "Check the log of the findings function; usually OpenSearch does not respond.",
    "LookRequestsFailed": "Check `look_cause` in the log of the ingest function; in a VPC, usually Lambda cannot be "
    "reached. The scheduled saved queries find the same events.",
    "LookErrors": "Check the log of the look function; usually OpenSearch does not respond, or its role there lacks "
    "the permission to refresh: run `daswatch setup`.",
    "LookThrottled": "Raise the same quota; the scheduled saved queries find the same events.",
    "NotifiedErrors": "Check the log of the notified function. If retries are exhausted, the notification is under "
    "`aws/lambda/` in the dead-letter bucket.",
    "NotifiedRetriesExhausted": "The log of the notified function has the cause. The scheduled saved queries find the "
    "same events.",
    "EnrolErrors": "Check the log of the enrolment function; usually it is not allowed to describe databases.",
    "EnrolThrottled": "Raise the account's quota of concurrent executions; the next run takes the same steps.",
    "PostureErrors": "Check the log of the posture function; usually OpenSearch does not respond.",
    "ReplayErrors": "Check the log of the replay function; usually OpenSearch or KMS does not respond.",
    "ReplayThrottled": "Raise the account's quota of concurrent executions; the next run goes on where the last ended.",
    "SetupErrors": "Check the log of the setup function and the stack events, correct the error and deploy again.",
    "IngestThrottled": "Raise the account's quota of concurrent executions; records wait in the stream.",
    "FindingsThrottled": "Raise the same quota; the next run covers skipped ones.",
    "NotifiedThrottled": "Raise the same quota; Lambda retries automatically.",
    "PostureThrottled": "Raise the same quota; the next run audits all databases.",
    "SetupThrottled": "Raise the same quota, then deploy again.",
    "IngestDestinationFailures": "Check the dead-letter bucket's policy and key. The records are in the evidence.",
    "NotifiedDestinationFailures": "Check the same bucket. The monitors' alerts are also in OpenSearch: Alerting, "
    "Alerts.",
    "SavedQueriesStopped": "Check that the schedule `daswatch-each-minute` is enabled, then the alarm "
    "FindingsThrottled.",
    "TransformErrors": "Check the log of the transform function. The objects under `splunk/` contain the records.",
    "EvidenceNotReplicated": "Check versioning, policy and key of the replica bucket, then replicate what failed with "
    "S3 Batch Replication.",
    "RowsDelayed": "Check the Firehose log; usually the policy of the bucket or key.",
}


# The tables.


def parameters_table() -> str:
    """All parameters, by the template's groups."""
    template = read_template()
    rows = []
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        rows.append(f"| **{group['Label']['default']}** | | |")
        for name in group["Parameters"]:
            parameter = template["Parameters"][name]
            default = f"`{parameter['Default']}`" if str(parameter.get("Default", "")) else ""
            default = default or ("" if "Default" in parameter else "required")
            text = re.sub(r"\s+", " ", parameter["Description"]).strip().replace("|", "\\|").replace("<", "&lt;")
            rows.append(f"| `{name}` | {default} | {text} |")
    return "\n".join(["| parameter | default | description |", "|---|---|---|", *rows])


def alarms_table() -> str:
    """All alarms that the template can create: description and fix."""
    given = {"SplunkEndpoint": "https://splunk.example.org", "SplunkSecretArn": _SECRET, "RowsToS3": "true"}
    given |= {"EvidenceReplicaBucket": "evidence-replica", "EvidenceReplicaKey": _REPLICA_KEY}
    rows = []
    for one in small_stack("db:ORDERS", **given).of_type("AWS::CloudWatch::Alarm").values():
        name = one.properties["AlarmName"].removeprefix("daswatch-")
        says = re.sub(r"\s+", " ", one.properties["AlarmDescription"]).strip()
        periods = one.properties.get("DatapointsToAlarm", one.properties["EvaluationPeriods"])
        minutes = one.properties["Period"] * periods // 60
        rows.append(f"| `{name}` | {says} | {minutes} | {ALARM_FIXES[name]} |")
    return "\n".join(["| alarm | description | after min | fix |", "|---|---|---:|---|", *rows])


def quantities_table() -> str:
    """What is billed, by part."""
    parts = [
        ("a stack, a month", fixed()),
        ("the domain of CreateDomain, a month", first_try()),
        ("a database with one idle instance, a month", per_database()),
        ("a million events, one in each record", per_million(1)),
        ("a million events, twenty in each record", per_million(20)),
    ]
    rows = []
    for title, quantities in parts:
        rows += [f"| **{title}** | |", *(f"| {what} | {quantity} |" for what, quantity in quantities)]
    return "\n".join(["| | quantity |", "|---|---|", *rows])


def assumptions_table() -> str:
    """Sizes, counts and times behind the figures."""
    rows = [
        ("a heartbeat's record", f"{HEARTBEAT_BYTES:,} bytes", "measured: the demo's producer, signed suite"),
        (
            "a record with one event",
            f"{RECORD_BYTES[1]:,} bytes",
            "measured: the same (`make bench`)",
        ),
        ("a record with twenty events", f"{RECORD_BYTES[20]:,} bytes", "measured: the same"),
        (
            "an event in the index, one copy",
            f"{INDEX_BYTES} bytes",
            "measured: [decision 3](decisions/0003-index-layout.md)",
        ),
        ("ingest, an event", f"{EVENT_MS} ms", "measured: [decision 6](decisions/0006-one-thread-writes.md)"),
        ("ingest, opening a signed record", f"{OPENING_MS} ms", "measured: [decision 5](decisions/0005-pulse.md)"),
        ("Lambda relative to that machine", f"{LAMBDA_SLOWER} times as long", "assumed"),
        (
            "heartbeats of an instance",
            f"{HEARTBEATS:,} a month",
            "one every two seconds, as observed on Aurora PostgreSQL",
        ),
        (
            "calls of ingest by an idle database",
            f"{INVOCATIONS:,} a month",
            "one for each batching window of 5 seconds",
        ),
        ("such a call", f"{IDLE_MS} ms", "assumed"),
        ("a call's log", f"{LOG_BYTES:,} bytes", "assumed"),
        ("a run of the saved queries", f"{RUN_MS:,} ms", "assumed"),
        ("retention of evidence and events", f"{KEPT_MONTHS:.1f} months", "the defaults, 400 days"),
    ]
    lines = [f"| {what} | {value} | {source} |" for what, value, source in rows]
    return "\n".join(["| quantity | value | source |", "|---|---:|---|", *lines])


TABLES = {
    "parameters": parameters_table,
    "quantities": quantities_table,
    "assumptions": assumptions_table,
    "alarms": alarms_table,
}


def with_tables(page: str) -> str:
    """Return the page with its tables regenerated. Raises ValueError where a marker is missing."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: made by python -m tools.deploy_page -->", f"<!-- end of {name} -->"
        with_table = replaced(page, begin, end, table())
        if with_table is None:
            raise ValueError(f"the page has no markers for {name}")
        page = with_table
    return page


def main(path: Path = PAGE) -> None:
    """Write the tables into the page."""
    path.write_text(with_tables(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
