"""A database's verdict -> its compliance finding in the AWS Security Finding Format.

One finding for each database, which lives as long as the database: the same document gives the same finding, and it
changes when the verdict or the name does. It depends on no clock: its time is since when both are what they are. Which
control requirements it names, and why, is in docs/decisions/0029-compliance-findings.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daswatch.activity_streams.lifecycle import DatabaseKind
from daswatch.alerts.findings import (
    MAX_BYTES,
    MAX_DESCRIPTION,
    MAX_RECOMMENDATION,
    MAX_VALUE,
    Posting,
    finding_bytes,
    head,
    partition,
)
from daswatch.alerts.text import plain, shortened
from daswatch.fleet.database import Document, KeyState
from daswatch.fleet.posture import Verdict
from daswatch.fleet.remedy import advice

TITLE = "Database activity should be audited by an activity stream"
GENERATOR = "das/posture"
TYPE = "Software and Configuration Checks/Industry and Regulatory Standards"

STATUSES = {
    Verdict.COVERED: "PASSED",
    Verdict.STARTING: "WARNING",
    Verdict.OFF: "FAILED",
    Verdict.NOT_ELIGIBLE: "NOT_AVAILABLE",
    Verdict.NOT_CONSUMED: "FAILED",
    Verdict.LAGGING: "WARNING",
    Verdict.SILENT: "FAILED",
    Verdict.KEY_UNUSABLE: "FAILED",
    Verdict.POLICY_UNLOCKED: "FAILED",
    Verdict.ASYNCHRONOUS: "FAILED",
    Verdict.EXCEPTED: "WARNING",
    Verdict.UNKNOWN: "NOT_AVAILABLE",
}
# RDS deletes what was not read after 24 hours: where records may be lost, it is urgent.
_SEVERITIES = {
    Verdict.KEY_UNUSABLE: "HIGH",
    Verdict.SILENT: "HIGH",
    Verdict.NOT_CONSUMED: "HIGH",
    Verdict.OFF: "MEDIUM",
    Verdict.POLICY_UNLOCKED: "MEDIUM",
    Verdict.LAGGING: "MEDIUM",
    Verdict.ASYNCHRONOUS: "LOW",
    Verdict.UNKNOWN: "LOW",
}
RELATED_REQUIREMENTS = (
    "PCI DSS v4.0.1/10.2.1",
    "PCI DSS v4.0.1/10.2.1.1",
    "PCI DSS v4.0.1/10.2.1.2",
    "PCI DSS v4.0.1/10.2.1.4",
    "PCI DSS v4.0.1/10.2.1.5",
    "PCI DSS v4.0.1/10.2.1.7",
    "PCI DSS v4.0.1/10.2.2",
    "PCI DSS v4.0.1/10.3.2",
    "CIS Controls v8/8.2",
    "CIS Controls v8/8.5",
)
# Controls of Security Hub about the logs of the same engines. None is about activity streams.
_NEAR_CONTROLS = {"aurora-mysql": "RDS.34"}

_AURORA = ("aurora", "aurora-mysql", "aurora-postgresql")  # what AwsRdsDbCluster takes as an engine
_GUIDES = {DatabaseKind.CLUSTER: "AuroraUserGuide", DatabaseKind.INSTANCE: "UserGuide"}
_KEYS = "https://docs.aws.amazon.com/kms/latest/developerguide"
_MAX_TAGS, _MAX_TAG_KEY, _MAX_TAG_VALUE = 50, 128, 256


def state_of(document: Document) -> str:
    """What a finding says of a database, and since when. A finding is sent once for each."""
    return f"{'gone' if 'goneSince' in document else document['verdict']}@{_changed_at(document)}"


def _changed_at(document: Document) -> str:
    """Since when the finding says what it says: Security Hub takes a change only with a later time."""
    if gone := document.get("goneSince"):
        return str(gone)
    return max(str(document.get(name, "")) for name in ("verdictSince", "nameSince", "enrolmentSince"))


def is_due(document: Document) -> bool:
    """Whether Security Hub does not have the finding as it is now. A database that is gone needs no new one."""
    accepted = document.get("findingState", "")
    if "verdictSince" not in document or ("goneSince" in document and not accepted):
        return False
    return bool(accepted != state_of(document))


def finding_of(document: Document, posting: Posting) -> dict[str, Any]:
    """The finding of a database, archived once that is gone. Tags that make it too large are left out."""
    found = _finding(document, posting)
    if finding_bytes(found) > MAX_BYTES:
        found["Resources"][0].pop("Tags", None)
    return found


def _finding(document: Document, posting: Posting) -> dict[str, Any]:
    verdict = Verdict(document["verdict"])
    name = plain(f"{document['databaseKind']}:{document['databaseIdentifier']}")
    account, region = document["awsAccountId"], document["awsRegion"]
    reason = plain(document.get("verdictReason", "")) or str(verdict)
    text = f"{name} in account {account}, {region}: {reason}."
    return {
        **head(posting),
        "Id": f"{posting.indices.stem}/{account}/{region}/{plain(document['resourceId'])}/posture",
        "GeneratorId": GENERATOR,
        "CreatedAt": document["firstSeen"],
        "UpdatedAt": _changed_at(document),
        "FirstObservedAt": document["verdictSince"],
        "Title": TITLE,
        "Description": shortened(text, MAX_DESCRIPTION),
        "FindingProviderFields": {
            "Severity": {"Label": _SEVERITIES.get(verdict, "INFORMATIONAL"), "Original": verdict.value},
            "Types": [TYPE],
        },
        "Compliance": {
            "Status": STATUSES[verdict],
            "StatusReasons": [
                {
                    "ReasonCode": f"ACTIVITY_STREAM_{verdict.name}",
                    "Description": shortened(reason, MAX_DESCRIPTION),
                }
            ],
            "RelatedRequirements": list(RELATED_REQUIREMENTS),
        },
        "Resources": [resource_of(document)],
        "Remediation": {"Recommendation": {"Text": _recommendation(document), "Url": _url(document, verdict)}},
        "ProductFields": {
            f"daswatch/{field}": shortened(value, MAX_VALUE) for field, raw in _facts(document) if (value := plain(raw))
        },
        "RecordState": "ARCHIVED" if "goneSince" in document else "ACTIVE",
    }


def _recommendation(document: Document) -> str:
    how = f"`daswatch posture --remedy {plain(document['databaseArn'])}` shows how."
    return f"{shortened(advice(document), MAX_RECOMMENDATION - len(how) - 1)} {how}"


def _url(document: Document, verdict: Verdict) -> str:
    """The page of AWS's documentation on what is to be done."""
    guide = _GUIDES[DatabaseKind(document["databaseKind"])]
    page = {
        Verdict.OFF: "Enabling",
        Verdict.POLICY_UNLOCKED: "Modifying",
        Verdict.NOT_CONSUMED: "Monitoring",
        Verdict.SILENT: "Monitoring",
        Verdict.LAGGING: "Monitoring",
        Verdict.ASYNCHRONOUS: "Disabling",
    }.get(verdict, "Overview")
    if verdict is Verdict.KEY_UNUSABLE:
        is_going = document.get("streamKeyState") == KeyState.PENDING_DELETION
        return f"{_KEYS}/{'deleting-keys-scheduling-key-deletion' if is_going else 'enabling-keys'}.html"
    return f"https://docs.aws.amazon.com/AmazonRDS/latest/{guide}/DBActivityStreams.{page}.html"


def _facts(document: Document) -> Iterator[tuple[str, str]]:
    yield "Verdict", document["verdict"]
    yield "VerdictSince", document["verdictSince"]
    for field in (
        *("databaseIdentifier", "resourceId", "awsAccountId", "awsRegion", "engineName", "engineVersion"),
        *("streamStatus", "streamMode", "streamKey", "kinesisStream", "lastPulse", "replaces", "replacedBy"),
    ):
        yield f"{field[0].upper()}{field[1:]}", str(document.get(field, ""))
    yield "NearControls", _NEAR_CONTROLS.get(document["engineName"], "")


def resource_of(document: Document) -> dict[str, Any]:
    """A database as findings name it."""
    region = document["awsRegion"]
    is_cluster = document["databaseKind"] == DatabaseKind.CLUSTER
    kind = "AwsRdsDbCluster" if is_cluster else "AwsRdsDbInstance"
    tags = dict(list(_tags(document))[:_MAX_TAGS])
    return {
        "Type": kind,
        "Id": document["databaseArn"],
        "Partition": partition(region),
        "Region": region,
        **({"Tags": tags} if tags else {}),
        "Details": {kind: _cluster(document) if is_cluster else _instance(document)},
    }


def _cluster(document: Document) -> dict[str, Any]:
    members = [
        {"DbInstanceIdentifier": member["instanceIdentifier"], "IsClusterWriter": member.get("role") == "writer"}
        for member in document.get("instances", ())
    ]
    engine = document["engineName"]
    return _known(
        DbClusterIdentifier=document["databaseIdentifier"],
        DbClusterResourceId=document["resourceId"],
        Engine=engine if engine in _AURORA else "",
        EngineVersion=document.get("engineVersion", ""),
        EngineMode=document.get("engineMode", ""),
        Status=document.get("status", ""),
        Endpoint=document.get("endpoint", ""),
        MultiAz=document.get("multiAz", False),
        StorageEncrypted=document.get("storageEncrypted", False),
        ActivityStreamStatus=document["streamStatus"],
        DbClusterMembers=members,
    )


def _instance(document: Document) -> dict[str, Any]:
    classes = [member["instanceClass"] for member in document.get("instances", ())]
    return _known(
        DBInstanceIdentifier=document["databaseIdentifier"],
        DBInstanceClass=classes[0] if classes else "",
        DbiResourceId=document["resourceId"],
        Engine=document["engineName"],
        EngineVersion=document.get("engineVersion", ""),
        DbInstanceStatus=document.get("status", ""),
        MultiAz=document.get("multiAz", False),
        StorageEncrypted=document.get("storageEncrypted", False),
    )


def _known(**details: Any) -> dict[str, Any]:
    """What is not empty; a flag that is off is known too."""
    return {name: value for name, value in details.items() if value not in ("", [])}


def _tags(document: Document) -> Iterator[tuple[str, str]]:
    """Tags as Security Hub takes them: those of AWS's own, and empty ones, are left out."""
    tags: Mapping[str, str] = document.get("tags", {})
    for name, value in sorted(tags.items()):
        key, text = plain(name)[:_MAX_TAG_KEY].strip(), plain(value)[:_MAX_TAG_VALUE].strip()
        if key and text and not key.lower().startswith("aws:"):
            yield key, text
