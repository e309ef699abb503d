"""The picture of the posture report, of a fleet that is written here."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any

from daswatch.activity_streams.lifecycle import Eligibility
from daswatch.fleet.audit import Audit, Heard, audited
from daswatch.fleet.database import Facts, Place, databases_of
from daswatch.fleet.inventory import Look
from daswatch.fleet.posture import Coverage, coverage_by
from daswatch.fleet.report import html_of
from daswatch.times import iso_milliseconds
from tools.pictures.week import NOW

REPORT = "posture-report"
REPORT_WIDTH, REPORT_HEIGHT = 1_240, 1_480
_OURS, _SHOP = "123456789012", "210987654321"
# Account, region, name, engine, version, stream, and the minutes since it was last heard.
_FLEET = (
    (_OURS, "eu-west-1", "orders", "aurora-postgresql", "15.4", "started", 0),
    (_OURS, "eu-west-1", "payments", "aurora-postgresql", "16.2", "started", 0),
    (_OURS, "eu-west-1", "catalog", "aurora-mysql", "8.0.mysql_aurora.3.08.0", "started", 0),
    (_OURS, "eu-central-1", "billing", "aurora-postgresql", "15.4", "started", 95),
    (_OURS, "eu-central-1", "reports", "aurora-postgresql", "16.2", "stopped", None),
    (_SHOP, "eu-west-1", "customers", "aurora-mysql", "8.0.mysql_aurora.3.08.0", "started", 0),
    (_SHOP, "eu-west-1", "sessions", "aurora-mysql", "5.7.mysql_aurora.2.11.4", "stopped", None),
    (_SHOP, "us-east-1", "inventory", "aurora-postgresql", "15.4", "started", None),
)
_NO_STREAM = Eligibility(frozenset(), "cannot have an activity stream: RDS offers none for aurora-mysql 5.7")
_EXCEPTION = (("daswatch:exception", "read-only copy, retired in May"), ("daswatch:exception-until", "2026-05-31"))


def report_html() -> str:
    """The page."""
    audit = _audit()
    groups = {"account": "awsAccountId", "region": "awsRegion", "engine": "engine"}
    trend = {
        iso_milliseconds(NOW - timedelta(days=day)): Coverage({"covered": 4 - day // 12, "off": 2 + day // 12})
        for day in range(1, 40)
    }
    return html_of(audit, {name: coverage_by(audit.present, field) for name, field in groups.items()}, trend)


def _audit() -> Audit:
    looks: dict[Place, Look] = {}
    heard: dict[str, Heard] = {}
    for account, region, name, engine, version, status, minutes in _FLEET:
        place = Place(account, region)
        raw: dict[str, Any] = {
            "DBClusterIdentifier": name,
            "DBClusterArn": f"arn:aws:rds:{region}:{account}:cluster:{name}",
            "DbClusterResourceId": f"cluster-{sha256(name.encode()).hexdigest()[:26].upper()}",
            "Engine": engine,
            "EngineVersion": version,
            "Status": "available",
            "ActivityStreamStatus": status,
            "TagList": [{"Key": key, "Value": value} for key, value in _EXCEPTION] if name == "reports" else [],
        }
        (database,) = databases_of([raw], [])  # type: ignore[list-item]
        before = looks.get(place, Look(place))
        facts = {database.id: Facts(_NO_STREAM)} if name == "sessions" else {}
        looks[place] = Look(place, (*before.databases, database), {**before.facts, **facts})
        if minutes is not None:
            at = iso_milliseconds(NOW - timedelta(minutes=minutes))
            heard[database.rds.resource_id] = Heard(at, at)
    unseen = Look(Place("345678901234", ""), failure="STS AssumeRole of daswatch-fleet: AccessDenied")
    earlier = audited({}, looks.values(), heard, iso_milliseconds(NOW - timedelta(hours=20)))
    return audited(earlier.documents, [*looks.values(), unseen], heard, iso_milliseconds(NOW))
