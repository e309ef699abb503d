"""Alert -> finding in the AWS Security Finding Format (ASFF, 2018-10-08).

In: an alert, its detection (None for an analyst's own monitor) and the target account. Out: one finding. It depends on
no clock: the same alert gives the same finding, so retries are idempotent (Security Hub compares UpdatedAt).

Any name of an event, user or monitor is accepted: unprintable characters become spaces, empty values are omitted, long
values are truncated. SQL is in a finding only as `statements`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address, ip_address
from typing import Any

from daswatch.alerts.alert import Alert, Database, State, group_hash
from daswatch.alerts.essentials import FROM, PROGRAM, addresses, essentials, headline, only_value, others
from daswatch.alerts.links import alert_url, session_urls
from daswatch.alerts.text import plain, shortened, shown_group
from daswatch.detections.detection import Detection
from daswatch.detections.lucene import holds_sql
from daswatch.indices import Indices

SCHEMA_VERSION = "2018-10-08"
PRODUCT = "Daswatch"

# Type of findings of analysts' own monitors.
DEFAULT_TYPE = "Unusual Behaviors/Database"

# Characters, as AwsSecurityFinding documents them.
MAX_TITLE = 256
MAX_DESCRIPTION = 1_024
MAX_RECOMMENDATION = 512
MAX_PRODUCT_FIELDS = 50
MAX_KEY = 128
MAX_VALUE = 2_048
MAX_TYPES = 50
MAX_PROCESS = 64
MAX_DOMAIN = 128
MAX_DETAIL = 1_024  # of Resources.Details.Other
MAX_STATEMENTS = 3

# Bytes of one finding: the limit is 240 KB. Fifty values of multi-byte characters could exceed it; then all are
# truncated to the next length.
MAX_BYTES = 240_000
_VALUE_LENGTHS = (MAX_VALUE, 512, 128)

_MAX_FACTS = 700  # of the description: the rest is for the detection's text
_MAX_SHAPE = 200  # of these
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_ACCOUNT_ID = re.compile(r"\d{12}", re.ASCII)
_REGION = re.compile(r"(?=.{1,16}$)[a-z]{2,6}(?:-[a-z]{2,12}){1,2}-\d", re.ASCII)
_CLUSTER = re.compile(r"cluster-[A-Za-z0-9]{1,100}", re.ASCII)
_INSTANCE = re.compile(r"db-[A-Za-z0-9]{1,100}", re.ASCII)
_TECHNIQUE = re.compile(r"t\d{4}(?:\.\d{3})?", re.ASCII)
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9 _./=+@-]", re.ASCII)

# Activity streams of clusters are from Aurora; those of instances are from Oracle or SQL Server, whose edition is not
# in the events.
_CLUSTER_ENGINES = {"postgresql": "aurora-postgresql", "mysql": "aurora-mysql"}


@dataclass(frozen=True, slots=True)
class Posting:
    """The account and region whose Security Hub imports a finding, and the target of its links.

    `dashboards_url` is empty without OpenSearch Dashboards. The index prefix is part of finding ids.
    """

    account_id: str
    region: str
    dashboards_url: str
    indices: Indices = field(default_factory=Indices)


@dataclass(frozen=True, slots=True)
class Statements:
    """What a finding shows of its SQL, where FINDINGS_SQL is set.

    `shape` is the statement of the alert's key event without its literals, `samples` are redacted as REDACT says.
    """

    shape: str = ""
    samples: tuple[str, ...] = ()


NO_STATEMENTS = Statements()


def finding(
    alert: Alert, detection: Detection | None, posting: Posting, statements: Statements = NO_STATEMENTS
) -> dict[str, Any]:
    """Return the finding of an alert.

    Severity and types are set only in FindingProviderFields: Security Hub copies them to the top-level fields of new
    findings, and keeps changes made by a customer.
    """
    asff: dict[str, Any] = {
        **head(posting),
        "Id": finding_id(alert, posting),
        "GeneratorId": _generator_id(alert, detection),
        "CreatedAt": alert.created_at,
        "UpdatedAt": alert.changed_at,
        "FirstObservedAt": min(alert.first_seen, alert.last_seen),
        "LastObservedAt": max(alert.first_seen, alert.last_seen),
        "Title": shortened(headline(alert) or _name(alert.detection), MAX_TITLE),
        "Description": _description(alert, detection, statements),
        "FindingProviderFields": {
            "Severity": {"Label": alert.level.name, "Original": alert.level.value},
            "Types": list(detection.types[:MAX_TYPES]) if detection and detection.types else [DEFAULT_TYPE],
        },
        "Resources": [_resource(alert, posting)],
        "RecordState": "ACTIVE" if alert.state is State.ACTIVE else "ARCHIVED",
    }
    if network := _network(alert):
        asff["Network"] = network
    if program := shortened(only_value(alert, *PROGRAM), MAX_PROCESS):
        asff["Process"] = {"Name": program}
    if recommendation := _recommendation(detection):
        asff["Remediation"] = {"Recommendation": recommendation}
    if url := alert_url(posting.dashboards_url, alert, detection, posting.indices):
        asff["SourceUrl"] = url
    facts = list(_facts(alert, detection, posting, statements))
    for length in _VALUE_LENGTHS:
        asff["ProductFields"] = _product_fields(facts, length)
        if finding_bytes(asff) <= MAX_BYTES:
            break
    return asff


def head(posting: Posting) -> dict[str, Any]:
    """Return what all findings imported into one account and region have in common."""
    arn_start = f"arn:{partition(posting.region)}:securityhub:{posting.region}:{posting.account_id}"
    return {
        "SchemaVersion": SCHEMA_VERSION,
        "ProductArn": f"{arn_start}:product/{posting.account_id}/default",
        "ProductName": PRODUCT,
        "CompanyName": PRODUCT,
        "AwsAccountId": posting.account_id,
    }


def finding_id(alert: Alert, posting: Posting) -> str:
    """Return the permanent id of the finding: one for each detection, database and group.

    It contains the database's account and region, even if the finding is imported elsewhere.
    """
    account_id, region = _home(alert.database, posting)
    resource = _name(alert.database.resource_id) if alert.database.resource_id else "account"
    return f"{posting.indices.stem}/{account_id}/{region}/{resource}/{_name(alert.detection)}/{group_hash(alert.group)}"


def finding_bytes(asff: Mapping[str, Any]) -> int:
    """Return the size of a finding as botocore sends it."""
    return len(json.dumps(asff))


def partition(region: str) -> str:
    """Return the partition of a region."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _name(text: str) -> str:
    """Return a name as a part of an id: unchanged if it is plain, else its plain characters and a hash.

    A hash is preceded by `~`, which plain names do not contain, so names never collide.
    """
    if _NAME.fullmatch(text):
        return text
    start = re.sub(r"[^a-z0-9]+", "-", text[:200].lower(), flags=re.ASCII).strip("-")[:60].rstrip("-")
    return f"{start}~{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _generator_id(alert: Alert, detection: Detection | None) -> str:
    name = f"das/{_name(alert.detection)}"
    return f"{name}@{detection.version}" if detection else name


def _home(database: Database, posting: Posting) -> tuple[str, str]:
    """Return the account and region of the database, by default those of the posting."""
    return (
        database.aws_account_id if _ACCOUNT_ID.fullmatch(database.aws_account_id) else posting.account_id,
        database.aws_region if _REGION.fullmatch(database.aws_region) else posting.region,
    )


def _resource(alert: Alert, posting: Posting) -> dict[str, Any]:
    """Return the database of the finding, with what was done there in its other details."""
    resource = _database(alert.database, posting)
    if alert.database.resource_id:
        done = {name: shortened(value, MAX_DETAIL) for name, value in essentials(alert).items()}
        resource["Details"] = {**resource.get("Details", {}), "Other": done}
    return resource


def _database(database: Database, posting: Posting) -> dict[str, Any]:
    """Return the resource itself.

    RDS ARNs contain identifiers, which activity streams do not have: the resource id stands in for one that the
    inventory does not know. It is in the details in any case.
    """
    account_id, region = _home(database, posting)
    place = {"Partition": partition(region), "Region": region}
    arn_start = f"arn:{partition(region)}:rds:{region}:{account_id}"
    resource_id, identifier = database.resource_id, plain(database.identifier)
    pairs = (tag.partition("=") for tag in map(plain, database.tags))
    tags = {name: value for name, _, value in pairs if name and value}  # Security Hub refuses an empty one
    known = {"Tags": tags} if tags else {}
    if _CLUSTER.fullmatch(resource_id):
        details = {"DbClusterResourceId": resource_id}
        if identifier:
            details["DbClusterIdentifier"] = identifier
        if engine := _CLUSTER_ENGINES.get(database.engine):
            details["Engine"] = engine
        return {
            "Type": "AwsRdsDbCluster",
            "Id": f"{arn_start}:cluster:{identifier or resource_id}",
            **place,
            **known,
            "Details": {"AwsRdsDbCluster": details},
        }
    if _INSTANCE.fullmatch(resource_id):
        details = {"DbiResourceId": resource_id}
        if identifier:
            details["DBInstanceIdentifier"] = identifier
        return {
            "Type": "AwsRdsDbInstance",
            "Id": f"{arn_start}:db:{identifier or resource_id}",
            **place,
            **known,
            "Details": {"AwsRdsDbInstance": details},
        }
    if resource_id:
        return {"Type": "Other", "Id": _name(resource_id), **place}
    return {"Type": "AwsAccount", "Id": f"AWS::::Account:{account_id}", **place}


def _network(alert: Alert) -> dict[str, str]:
    """Return where the connections came from, as far as it is one place."""
    network = {}
    if len(known := addresses(alert)) == 1:
        address = ip_address(known[0])
        network["SourceIpV4" if isinstance(address, IPv4Address) else "SourceIpV6"] = str(address)
    host = only_value(alert, *FROM)
    if host and host not in known:
        network["SourceDomain"] = shortened(host, MAX_DOMAIN)
    return {"Direction": "IN", **network} if network else {}


def _description(alert: Alert, detection: Detection | None, statements: Statements) -> str:
    """Return what an analyst needs first, then the detection's text. The facts have reserved space."""
    facts = essentials(alert)
    signals = {name: facts.pop(name) for name in ("Signals",) if name in facts}
    shape = shortened(plain(statements.shape), _MAX_SHAPE)
    facts = {**facts, **({"First statement": shape} if shape else {}), **signals, **others(alert)}
    listed = [f"{plain(name)}: {value}" for name, value in facts.items()]
    summary = shortened("; ".join(filter(None, (plain(alert.note).rstrip("."), *listed))) + ".", _MAX_FACTS)
    text = " ".join(filter(None, map(plain, (detection.description, detection.why) if detection else (alert.title,))))
    return f"{summary} {shortened(text, MAX_DESCRIPTION - len(summary) - 1)}".strip()


def _recommendation(detection: Detection | None) -> dict[str, str]:
    if detection is None:
        return {}
    text = shortened(" ".join(filter(None, map(plain, detection.runbook))), MAX_RECOMMENDATION)
    url = next((plain(link) for link in detection.references if link.startswith("https://")), "")
    return {name: value for name, value in {"Text": text, "Url": url}.items() if value}


def _shown_actors(alert: Alert) -> dict[str, str]:
    """Return the actors, joined, without SQL."""
    joined = {
        name: ", ".join(filter(None, map(plain, values)))
        for name, values in alert.actors.items()
        if not holds_sql(name)
    }
    return {name: values for name, values in joined.items() if values}


def _facts(
    alert: Alert, detection: Detection | None, posting: Posting, statements: Statements
) -> Iterator[tuple[str, str]]:
    """Yield the ProductFields, most important first."""
    database = alert.database
    yield "Detection", alert.detection
    yield "Count", str(alert.count)
    yield "Episode", str(alert.episode)
    yield "FirstSeen", alert.first_seen
    yield "LastSeen", alert.last_seen
    if detection:
        yield "Version", str(detection.version)
        yield "Techniques", ", ".join(tag.upper() for tag in detection.attack if _TECHNIQUE.fullmatch(tag))
        yield "Tactics", ", ".join(tag for tag in detection.attack if not _TECHNIQUE.fullmatch(tag))
    yield "Engine", database.engine
    yield "Database", database.identifier
    yield "Tags", ", ".join(database.tags)
    if database.aws_account_id != posting.account_id:
        yield "AccountId", database.aws_account_id
    if database.aws_region != posting.region:
        yield "Region", database.aws_region
    for name, value in shown_group(alert.group).items():
        yield f"Group/{name}", value
    yield "Note", alert.note
    yield "FirstStatement", statements.shape
    for number, statement in enumerate(statements.samples[:MAX_STATEMENTS], start=1):
        yield f"Statement{number}", statement
    before, after = session_urls(posting.dashboards_url, alert, posting.indices)
    yield "Session", alert.pivot.session_id if alert.pivot else ""
    yield "SessionBefore", before
    yield "SessionAfter", after
    for name, measured in alert.metrics.items():
        yield f"Metric/{name}", str(measured)
    for name, values in _shown_actors(alert).items():
        yield f"Actors/{name}", values
    yield "Samples", ", ".join(alert.samples)


def _product_fields(facts: Iterable[tuple[str, str]], value_length: int) -> dict[str, str]:
    fields: dict[str, str] = {}
    left_out = 0
    for name, text in facts:
        value = shortened(plain(text), value_length)
        if not value:
            continue
        if len(fields) == MAX_PRODUCT_FIELDS - 1:  # the last one is for the number of omitted fields
            left_out += 1
            continue
        fields[_key(name, fields)] = value
    return {**fields, "daswatch/NotShown": str(left_out)} if left_out else fields


def _key(name: str, taken: Mapping[str, str]) -> str:
    """Return the key of a field, with a hash if it is a duplicate."""
    key = "daswatch/" + _NOT_IN_KEYS.sub("_", name)
    if len(key) <= MAX_KEY and key not in taken:
        return key
    return f"{key[: MAX_KEY - 17]}_{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
