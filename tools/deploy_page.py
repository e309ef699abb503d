"""Generate the tables of docs/deploy.md from the template, and from the prices and assumptions below.

    python -m tools.deploy_page

Each figure is the product of a price, a count and a measured or assumed size, so that a reader can check it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

from tests import ROOT
from tests.iac.cloudformation import Stack, read_template

PAGE = ROOT / "docs" / "deploy.md"
GB = 1024**3
KB = 1024
HOURS = 730  # of a month
_SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:splunk"

# Third-party pages, read as stored copies, each with the year it refers to where it names one.
_KINESIS = (
    "[Trek10, 2023](https://www.trek10.com/blog/"
    "amazon-kinesis-data-streams-on-demand-vs.-provisioned-billing-mode-cost-comparison)"
)
_KMS = "[a note, 2019](https://gist.github.com/dasgoll/b88d5be05dcc0deb052ad40446c2fb40)"
_SECRETS = (
    "[a transcript of AWS's page, 2026](https://raw.githubusercontent.com/api-evangelist/"
    "amazon-secrets-manager/refs/heads/main/plans/amazon-secrets-manager-plans-pricing.yml)"
)
_S3 = "[a guide](https://awsnegotiations.com/s3-storage.html)"
_CLOUDWATCH = (
    "[a list, 2026](https://github.com/api-evangelist/cloudwatch/blob/main/plans/cloudwatch-plans-pricing.yml)"
)
_LAMBDA = "[Cloudchipr, 2024](https://cloudchipr.com/blog/aws-lambda-pricing)"
_SEARCH = (
    "[a report, 2026](https://raw.githubusercontent.com/aegisfleet/tool-survey-report/main/_reports/"
    "amazon-opensearch-service.md)"
)
_SECURITY_HUB = (
    "[a guide](https://aws-gcr-wwso-security.gitbook.io/an-quan-zui-jia-shi-jian/an-quan-chan-pin-cheng-ben-gu-suan/"
    "an-quan-he-gui-chi-xu-jian-ce-he-zi-dong-xiu-fu-fei-yong)"
)
_MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Price:
    """A list price in USD, us-east-1. None was looked up live: `source` names its origin."""

    usd: float
    per: str
    source: str


# As of 2026-11-25, as far as known.
PRICES: Mapping[str, Price] = {
    "KMS key": Price(1.00, "key and month", _KMS),
    "KMS requests": Price(0.03, "10,000 requests", _KMS),
    "Kinesis shard": Price(0.015, "shard and hour", _KINESIS),
    "Kinesis PUT units": Price(0.014, "million units of 25 KB", _KINESIS),
    "Kinesis on-demand stream": Price(0.04, "stream and hour", _KINESIS),
    "Kinesis on-demand, in": Price(0.08, "GB, records rounded up to 1 KB", _KINESIS),
    "Kinesis on-demand, out": Price(0.04, "GB", _KINESIS),
    "Lambda arm64": Price(0.0000133334, "GB-second", _LAMBDA),
    "Lambda requests": Price(0.20, "million requests", _MEMORY),
    "Firehose": Price(0.029, "GB, records rounded up to 5 KB", _MEMORY),
    "S3 Standard": Price(0.023, "GB and month", _S3),
    "S3 Glacier Instant Retrieval": Price(0.004, "GB and month", _S3),
    "S3 PUT": Price(0.005, "1,000 requests", _MEMORY),
    "S3 transition": Price(0.02, "1,000 objects", _MEMORY),
    "CloudWatch alarm": Price(0.10, "alarm and month", _CLOUDWATCH),
    "CloudWatch metric": Price(0.30, "metric and month", _CLOUDWATCH),
    "CloudWatch Logs": Price(0.50, "GB taken in", _CLOUDWATCH),
    "Secret": Price(0.40, "secret and month", _SECRETS),
    "OpenSearch t3.small.search": Price(0.036, "hour", _SEARCH),
    "OpenSearch gp3": Price(0.122, "GB and month", _MEMORY),
    "Security Hub findings": Price(0.03, "1,000 beyond 10,000 a month", _SECURITY_HUB),
}

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
READERS = 2  # of each stream: Lambda, and the Firehose of the evidence
OBJECTS = HOURS * 3600 // 300  # of evidence: one each 300 seconds
CACHED, UNCACHED = "KMS Decrypt, with the data key cache", "or KMS Decrypt, without it"
OUR_METRICS = 27  # of the ingest and the findings function
FINDINGS = 1_000  # a month, and ten times as many cost nothing
FINDINGS_PAID = max(0, FINDINGS - 10_000)
MAPPING_METRICS = 7  # that EventCount names


@dataclass(frozen=True, slots=True)
class Cost:
    """A line of a bill. `usd` counts towards the sum, unless the line is an alternative."""

    what: str
    how: str
    usd: float
    instead: bool = False


def price(name: str, count: float = 1) -> float:
    """The price of a number of units."""
    return PRICES[name].usd * count


def _up(size: int, step: int) -> int:
    return ceil(size / step) * step


def _lambda(milliseconds: float, memory_mb: int, requests: float) -> float:
    gb_seconds = milliseconds / 1000 * memory_mb / 1024
    return price("Lambda arm64", gb_seconds) + price("Lambda requests", requests / 1e6)


def _evidence_kept(stored_bytes: float) -> float:
    """A month in Standard, then in Glacier Instant Retrieval until it expires."""
    return stored_bytes / GB * (price("S3 Standard") + price("S3 Glacier Instant Retrieval", KEPT_MONTHS - 1))


def _on_demand(size: int, count: float) -> float:
    """Records of a size, taken in and read by all readers."""
    gb = count * _up(size, KB) / GB
    return price("Kinesis on-demand, in", gb) + price("Kinesis on-demand, out", gb * READERS)


@cache
def alarms() -> tuple[int, int]:
    """The number of alarms of a stack, and of each database."""
    one, two = (len(small_stack(names).of_type("AWS::CloudWatch::Alarm")) for names in ("cluster:a", "cluster:a,db:b"))
    return one - (two - one), two - one


def small_stack(databases: str, **given: str) -> Stack:
    """A stack that creates its own domain."""
    return Stack({"Databases": databases, "ArtifactBucket": "artifacts", "CreateDomain": "true", **given})


def fixed() -> list[Cost]:
    """A month of a stack, independent of its databases."""
    queries = _lambda(RUNS * RUN_MS, RUN_MB, RUNS) + price("CloudWatch Logs", RUNS * LOG_BYTES / GB)
    keys, own = len(small_stack("cluster:a").of_type("AWS::KMS::Key")), alarms()[0]
    return [
        Cost("KMS keys", f"{keys} keys", price("KMS key", keys)),
        Cost("alarms", f"{own} alarms", price("CloudWatch alarm", own)),
        Cost("metrics", f"{OUR_METRICS} of our own", price("CloudWatch metric", OUR_METRICS)),
        Cost(
            "Security Hub",
            f"{FINDINGS:,} findings, new or updated",
            price("Security Hub findings", FINDINGS_PAID / 1000),
        ),
        Cost("saved queries", f"{RUNS:,} runs of {RUN_MS / 1000:.0f} s in {RUN_MB} MB, and their log", queries),
    ]


def first_try() -> list[Cost]:
    """A month of the domain that CreateDomain creates."""
    return [
        Cost("node", f"t3.small.search, {HOURS} h", price("OpenSearch t3.small.search", HOURS)),
        Cost("its volume", "20 GB gp3", price("OpenSearch gp3", 20)),
        Cost("its user", "1 secret", price("Secret")),
    ]


def per_database() -> list[Cost]:
    """A month of a database with one idle instance: heartbeats only."""
    stored = HEARTBEATS * HEARTBEAT_BYTES
    firehose = price("Firehose", HEARTBEATS * _up(HEARTBEAT_BYTES, 5 * KB) / GB)
    objects = price("S3 PUT", OBJECTS / 1000) + price("S3 transition", OBJECTS / 1000)
    shard = price("Kinesis shard", HOURS) + price("Kinesis PUT units", HEARTBEATS / 1e6)
    on_demand = price("Kinesis on-demand stream", HOURS) + _on_demand(HEARTBEAT_BYTES, HEARTBEATS)
    cached = price("KMS requests", HOURS * 4 / 1e4)  # a data key is kept for 15 minutes
    return [
        Cost("Kinesis, one provisioned shard", f"{HOURS} h, {HEARTBEATS:,} records", shard),
        Cost("or Kinesis, on demand", "the same records, in and out twice", on_demand, instead=True),
        Cost(CACHED, "one data key, unwrapped every 15 minutes", cached),
        Cost(UNCACHED, "one request a record", price("KMS requests", HEARTBEATS / 1e4), instead=True),
        Cost(
            "ingest function",
            f"{INVOCATIONS:,} calls of {IDLE_MS} ms in {INGEST_MB} MB",
            _lambda(INVOCATIONS * IDLE_MS, INGEST_MB, INVOCATIONS),
        ),
        Cost("its log", f"{LOG_BYTES:,} bytes a call", price("CloudWatch Logs", INVOCATIONS * LOG_BYTES / GB)),
        Cost("evidence, Firehose", f"{HEARTBEATS:,} records, 5 KB each", firehose),
        Cost("evidence, S3", f"{OBJECTS:,} objects, {KEPT_MONTHS:.0f} months", objects + _evidence_kept(stored)),
        Cost("alarms", f"{alarms()[1]} alarms", price("CloudWatch alarm", alarms()[1])),
        Cost(
            "metrics of the mapping",
            f"{MAPPING_METRICS}, if they are billed",
            price("CloudWatch metric", MAPPING_METRICS),
        ),
    ]


def per_million(events_in_record: int) -> list[Cost]:
    """A million events, ingested and kept for 400 days."""
    size, records = RECORD_BYTES[events_in_record], 1_000_000 / events_in_record
    milliseconds = LAMBDA_SLOWER * (records * OPENING_MS + 1_000_000 * EVENT_MS)
    index_gb = 1_000_000 * INDEX_BYTES / GB
    return [
        Cost("Kinesis, provisioned", f"{records:,.0f} records", price("Kinesis PUT units", records / 1e6)),
        Cost("or Kinesis, on demand", f"{size:,} bytes each", _on_demand(size, records), instead=True),
        Cost(CACHED, "included in the database", 0.0),
        Cost(UNCACHED, "one request a record", price("KMS requests", records / 1e4), instead=True),
        Cost("ingest function", f"{milliseconds / 1000:,.0f} s in {INGEST_MB} MB", _lambda(milliseconds, INGEST_MB, 0)),
        Cost("evidence, Firehose", "5 KB a record", price("Firehose", records * _up(size, 5 * KB) / GB)),
        Cost("evidence, S3", f"{KEPT_MONTHS:.0f} months", _evidence_kept(records * size)),
        Cost(
            "OpenSearch, one copy",
            f"{INDEX_BYTES} bytes an event, {KEPT_MONTHS:.0f} months of gp3",
            price("OpenSearch gp3", index_gb * KEPT_MONTHS),
        ),
    ]


def total(costs: Iterable[Cost]) -> float:
    """The sum without alternatives."""
    return sum(one.usd for one in costs if not one.instead)


# The response to an alarm, by its name without the prefix and the database.
ALARM_FIXES: Mapping[str, str] = {
    "ConsumerLag": "Check the alarm RecordsToRetry and the load of OpenSearch: ingest waits for it, or needs "
    "more than two concurrent batches. It catches up once OpenSearch accepts more than arrives.",
    "ConsumerLagCritical": "Fix the cause in the log of the ingest function now: up to 23 hours no record is moved, "
    "and all are indexed afterwards. The evidence has all records.",
    "Silent": "`daswatch stream status`, then CloudTrail for who stopped it. A stopped database is silent, too.",
    "NotConsumed": "`daswatch doctor` reports whether the mapping is disabled or deleted. The alarm is expected once "
    "in a new stack, until Lambda has counted its first records.",
    "RetriesExhausted": "The objects under `aws/lambda/` in the dead-letter bucket contain the records; the log of "
    "the ingest function has the cause. The alarm ends after an hour without new objects.",
    "EvidenceDelayed": "Check the Firehose log `/aws/kinesisfirehose/daswatch`; usually the policy of the bucket or "
    "key.",
    "SplunkDelayed": "Check the log `/aws/kinesisfirehose/daswatch`: the collector does not respond, or rejects the "
    "token (docs/firehose.md).",
    "DeadLetters": "Open `das-dead-letters` in Dashboards: each document has its reason and its object in S3.",
    "RecordsToRetry": "`cause` in the log of the ingest function names the service, the error and the fix. No "
    "record is moved to the dead-letter bucket for 23 hours.",
    "PulsesUnwritten": "Check `lost_cause` in the log of the ingest function. Events are not affected, but das-silent "
    "does not fire, or fires for active instances.",
    "MalformedNotifications": "Correct the message of the action in your own monitor (docs/detections.md).",
    "FailingDetections": "The log of the findings function lists them; `daswatch detections test` tests a rule.",
    "FindingsUnsent": "Check that Security Hub is enabled here and in the accounts of MemberRoleName, and that the "
    "role trusts the findings function's role.",
    "FindingsRefused": "The log of the findings function has Security Hub's reason. Report it as a bug.",
    "RecordsFailed": "The objects under `splunk/` contain the reason; the evidence has the records.",
    "RecordsOverResponseLimit": "Lower BufferSizeInMBs of the Splunk Firehose stream (docs/firehose.md).",
    "BatchesToRetry": "Check that the stream's key is enabled (`daswatch doctor`).",
    "IngestErrors": "The log of the ingest function names the invalid setting.",
    "FindingsErrors": "Check the log of the findings function; usually OpenSearch does not respond.",
    "NotifiedErrors": "Check the log of the notified function. If retries are exhausted, the notification is under "
    "`aws/lambda/` in the dead-letter bucket.",
    "NotifiedRetriesExhausted": "The log of the notified function has the cause. The scheduled saved queries find the "
    "same events.",
    "SetupErrors": "Check the log of the setup function and the stack events, correct the error and deploy again.",
    "IngestThrottled": "Raise the account's quota of concurrent executions; records wait in the stream.",
    "FindingsThrottled": "Raise the same quota; the next run covers skipped ones.",
    "NotifiedThrottled": "Raise the same quota; Lambda retries automatically.",
    "SetupThrottled": "Raise the same quota, then deploy again.",
    "IngestDestinationFailures": "Check the dead-letter bucket's policy and key. The records are in the evidence.",
    "NotifiedDestinationFailures": "Check the same bucket. The monitors' alerts are also in OpenSearch: Alerting, "
    "Alerts.",
    "SavedQueriesStopped": "Check that the schedule `daswatch-each-minute` is enabled, then the alarm "
    "FindingsThrottled.",
    "TransformErrors": "Check the log of the transform function. The objects under `splunk/` contain the records.",
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
    rows = []
    for one in small_stack("db:ORDERS", **given).of_type("AWS::CloudWatch::Alarm").values():
        name = one.properties["AlarmName"].removeprefix("daswatch-").removesuffix("-dbORDERS")
        says = re.sub(r"\s+", " ", one.properties["AlarmDescription"]).strip().replace("db:ORDERS", "&lt;database&gt;")
        periods = one.properties.get("DatapointsToAlarm", one.properties["EvaluationPeriods"])
        minutes = one.properties["Period"] * periods // 60
        each = "each database" if one.properties["AlarmName"].endswith("-dbORDERS") else ""
        rows.append(f"| `{name}` | {each} | {says} | {minutes} | {ALARM_FIXES[name]} |")
    return "\n".join(["| alarm | for | description | after min | fix |", "|---|---|---|---:|---|", *rows])


def _cost_rows(title: str, costs: Sequence[Cost]) -> list[str]:
    lines = [f"| **{title}** | | |"]
    for one in costs:
        usd = f"{one.usd:.2f}" if one.usd >= 0.01 or not one.usd else "< 0.01"
        lines.append(f"| {one.what} | {one.how} | {f'({usd})' if one.instead else usd} |")
    return [*lines, f"| sum | without alternatives in brackets | **{total(costs):.2f}** |"]


def costs_table() -> str:
    """The complete bill, by part."""
    parts = [
        ("a stack, a month", fixed()),
        ("the domain of CreateDomain, a month", first_try()),
        ("a database with one idle instance, a month", per_database()),
        ("a million events, one in each record", per_million(1)),
        ("a million events, twenty in each record", per_million(20)),
    ]
    rows = [row for title, costs in parts for row in _cost_rows(title, costs)]
    return "\n".join(["| | quantity | USD |", "|---|---|---:|", *rows])


def summary_table() -> str:
    """The cost of one more database and of a million events, with and without the data key cache."""
    rows = []
    for title, costs in (
        ("a database with one idle instance, a month", per_database()),
        ("a million events, one in each record", per_million(1)),
        ("a million events, twenty in each record", per_million(20)),
    ):
        cached, uncached = ({one.what: one.usd for one in costs}[what] for what in (CACHED, UNCACHED))
        rows.append(f"| {title} | {total(costs):.2f} | {total(costs) - cached + uncached:.2f} |")
    return "\n".join(["| USD | with the data key cache | without it |", "|---|---:|---:|", *rows])


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


def prices_table() -> str:
    """The list prices."""
    rows = [f"| {name} | {one.usd:g} | {one.per} | {one.source} |" for name, one in PRICES.items()]
    return "\n".join(["| | USD | per | source |", "|---|---:|---|---|", *rows])


TABLES = {
    "parameters": parameters_table,
    "summary": summary_table,
    "costs": costs_table,
    "assumptions": assumptions_table,
    "prices": prices_table,
    "alarms": alarms_table,
}


def with_tables(page: str) -> str:
    """Return the page with its tables regenerated. Raises ValueError where a marker is missing."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: made by python -m tools.deploy_page -->", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, ends, after = rest.partition(end)
        if not found or not ends:
            raise ValueError(f"the page has no markers for {name}")
        page = f"{before}{begin}\n{table()}\n{end}{after}"
    return page


def main(path: Path = PAGE) -> None:
    """Write the tables into the page."""
    path.write_text(with_tables(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
