"""The tables of docs/deploy.md, made from the template, and from prices and assumptions that are named here.

    python -m tests.deploy_page   # writes them anew

A figure that nobody can follow helps nobody: each is a product of a price, a count and a measured or assumed size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Literal

from tests.cloudformation import ROOT, Stack, read_template

PAGE = ROOT / "docs" / "deploy.md"
GB = 1024**3
KB = 1024
HOURS = 730  # of a month

Source = Literal["a stored copy of AWS's page", "a stored page of others", "memory"]


@dataclass(frozen=True, slots=True)
class Price:
    """A list price in USD, us-east-1. None was looked up live: `source` says where it is from."""

    usd: float
    per: str
    source: Source


# What they were on 2026-11-25, as far as this is known.
PRICES: Mapping[str, Price] = {
    "KMS key": Price(1.00, "key and month", "a stored copy of AWS's page"),
    "KMS requests": Price(0.03, "10,000 requests", "a stored page of others"),
    "Kinesis shard": Price(0.015, "shard and hour", "a stored page of others"),
    "Kinesis PUT units": Price(0.014, "million units of 25 KB", "memory"),
    "Kinesis on-demand stream": Price(0.04, "stream and hour", "memory"),
    "Kinesis on-demand, in": Price(0.08, "GB, records rounded up to 1 KB", "memory"),
    "Kinesis on-demand, out": Price(0.04, "GB", "a stored page of others"),
    "Lambda arm64": Price(0.0000133334, "GB-second", "a stored page of others"),
    "Lambda requests": Price(0.20, "million requests", "a stored page of others"),
    "Firehose": Price(0.029, "GB, records rounded up to 5 KB", "memory"),
    "S3 Standard": Price(0.023, "GB and month", "memory"),
    "S3 Glacier Instant Retrieval": Price(0.004, "GB and month", "memory"),
    "S3 PUT": Price(0.005, "1,000 requests", "memory"),
    "S3 transition": Price(0.02, "1,000 objects", "memory"),
    "CloudWatch alarm": Price(0.10, "alarm and month", "memory"),
    "CloudWatch metric": Price(0.30, "metric and month", "a stored page of others"),
    "CloudWatch Logs": Price(0.50, "GB taken in", "a stored page of others"),
    "Secret": Price(0.40, "secret and month", "memory"),
    "OpenSearch t3.small.search": Price(0.036, "hour", "memory"),
    "OpenSearch gp3": Price(0.122, "GB and month", "memory"),
    "Security Hub findings": Price(0.03, "1,000 beyond 10,000 a month", "a stored page of others"),
}

# Measured with the demo's producer, which seals records as RDS does, signed suite (`benchmarks/workload.py`).
HEARTBEAT_BYTES = 1_045
RECORD_BYTES = {1: 1_638, 20: 3_918}  # by events in a record
INDEX_BYTES = 371  # of an event, one copy (docs/decisions/0003)
EVENT_MS = 0.065  # of processor and waiting, 20 events in a record (docs/decisions/0006)
OPENING_MS = 0.9  # of a signed record (docs/decisions/0005)
# Assumed.
HEARTBEATS = HOURS * 3600 // 2  # one every two seconds, of one instance
LAMBDA_SLOWER = 2  # than the machine of these measurements
INVOCATIONS = HOURS * 3600 // 5  # one for each batching window of the template
IDLE_MS = 20  # of an invocation that hears heartbeats alone
LOG_BYTES = 1_500  # of an invocation: our line, and three of Lambda's
RUNS, RUN_MS, RUN_MB = HOURS * 60, 1_000, 512  # of the saved queries
INGEST_MB = 1_769
KEPT_MONTHS = 400 / (365 / 12)  # EvidenceDays, and the retention policy's
READERS = 2  # of each stream: Lambda, and the Firehose of the evidence
OBJECTS = HOURS * 3600 // 300  # of evidence: one each 300 seconds
OUR_METRICS = 26  # of the ingest and the findings function
MAPPING_METRICS = 7  # that EventCount names


@dataclass(frozen=True, slots=True)
class Cost:
    """A line of a bill. `usd` counts towards the sum, unless it is another way of paying for the same."""

    what: str
    how: str
    usd: float
    instead: bool = False


def price(name: str, count: float = 1) -> float:
    """So many units of something."""
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
    """How many there are for all, and for each database."""
    one, two = (len(_stack(names).of_type("AWS::CloudWatch::Alarm")) for names in ("cluster:a", "cluster:a,db:b"))
    return one - (two - one), two - one


def _stack(databases: str) -> Stack:
    return Stack({"Databases": databases, "ArtifactBucket": "artifacts", "CreateDomain": "true"})


def fixed() -> list[Cost]:
    """A month of a stack, whatever it watches."""
    queries = _lambda(RUNS * RUN_MS, RUN_MB, RUNS) + price("CloudWatch Logs", RUNS * LOG_BYTES / GB)
    keys, own = len(_stack("cluster:a").of_type("AWS::KMS::Key")), alarms()[0]
    return [
        Cost("KMS keys", f"{keys} keys", price("KMS key", keys)),
        Cost("alarms", f"{own} alarms", price("CloudWatch alarm", own)),
        Cost("metrics", f"{OUR_METRICS} of our own", price("CloudWatch metric", OUR_METRICS)),
        Cost("saved queries", f"{RUNS:,} runs of {RUN_MS / 1000:.0f} s in {RUN_MB} MB, and their log", queries),
    ]


def first_try() -> list[Cost]:
    """A month of the domain that CreateDomain makes."""
    return [
        Cost("node", f"t3.small.search, {HOURS} h", price("OpenSearch t3.small.search", HOURS)),
        Cost("its volume", "20 GB gp3", price("OpenSearch gp3", 20)),
        Cost("its user", "1 secret", price("Secret")),
    ]


def per_database() -> list[Cost]:
    """A month of a database with one instance that does nothing: heartbeats alone."""
    stored = HEARTBEATS * HEARTBEAT_BYTES
    firehose = price("Firehose", HEARTBEATS * _up(HEARTBEAT_BYTES, 5 * KB) / GB)
    objects = price("S3 PUT", OBJECTS / 1000) + price("S3 transition", OBJECTS / 1000)
    shard = price("Kinesis shard", HOURS) + price("Kinesis PUT units", HEARTBEATS / 1e6)
    on_demand = price("Kinesis on-demand stream", HOURS) + _on_demand(HEARTBEAT_BYTES, HEARTBEATS)
    cached = price("KMS requests", HOURS * 4 / 1e4)  # a data key is kept for 15 minutes
    return [
        Cost("Kinesis, one provisioned shard", f"{HOURS} h, {HEARTBEATS:,} records", shard),
        Cost("or Kinesis, on demand", "the same records, in and twice out", on_demand, instead=True),
        Cost("KMS Decrypt, with the key cache", "one data key, unwrapped each 15 minutes", cached),
        Cost(
            "or KMS Decrypt, without it", "one request a record", price("KMS requests", HEARTBEATS / 1e4), instead=True
        ),
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
    """A million events, taken in and kept for 400 days."""
    size, records = RECORD_BYTES[events_in_record], 1_000_000 / events_in_record
    milliseconds = LAMBDA_SLOWER * (records * OPENING_MS + 1_000_000 * EVENT_MS)
    index_gb = 1_000_000 * INDEX_BYTES / GB
    return [
        Cost("Kinesis, provisioned", f"{records:,.0f} records", price("Kinesis PUT units", records / 1e6)),
        Cost("or Kinesis, on demand", f"{size:,} bytes each", _on_demand(size, records), instead=True),
        Cost("KMS Decrypt, with the key cache", "in the fixed part of the database", 0.0),
        Cost("or KMS Decrypt, without it", "one request a record", price("KMS requests", records / 1e4), instead=True),
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
    """Without what would be paid instead."""
    return sum(one.usd for one in costs if not one.instead)


# The tables.


def parameters_table() -> str:
    """All parameters, in the groups of the template."""
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
    return "\n".join(["| parameter | default | |", "|---|---|---|", *rows])


def _cost_rows(title: str, costs: Sequence[Cost]) -> list[str]:
    lines = [f"| **{title}** | | |"]
    for one in costs:
        usd = f"{one.usd:.2f}" if one.usd >= 0.01 or not one.usd else "< 0.01"
        lines.append(f"| {one.what} | {one.how} | {f'({usd})' if one.instead else usd} |")
    return [*lines, f"| sum | without what is in brackets | **{total(costs):.2f}** |"]


def costs_table() -> str:
    """The whole bill, by part."""
    parts = [
        ("a stack, a month", fixed()),
        ("the small domain of a first try, a month", first_try()),
        ("a database with one idle instance, a month", per_database()),
        ("a million events, one in each record", per_million(1)),
        ("a million events, twenty in each record", per_million(20)),
    ]
    rows = [row for title, costs in parts for row in _cost_rows(title, costs)]
    return "\n".join(["| | how much of it | USD |", "|---|---|---:|", *rows])


def prices_table() -> str:
    """The list prices."""
    rows = [f"| {name} | {one.usd:g} | {one.per} | {one.source} |" for name, one in PRICES.items()]
    return "\n".join(["| | USD | per | from |", "|---|---:|---|---|", *rows])


TABLES = {"parameters": parameters_table, "costs": costs_table, "prices": prices_table}


def with_tables(page: str) -> str:
    """The page with what is between its markers made anew. Raises ValueError where a marker is missing."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: made by python -m tests.deploy_page -->", f"<!-- end of {name} -->"
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
