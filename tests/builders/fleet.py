"""Databases as RDS describes them, for the inventory and the posture."""

from __future__ import annotations

import secrets
from typing import Any

from daswatch.fleet.database import FleetDatabase, Place, databases_of

PLACE = Place("123456789012", "eu-west-1")


def raw_cluster(name: str = "orders", place: Place = PLACE, **more: Any) -> dict[str, Any]:
    """A cluster of DescribeDBClusters, with an audited Aurora PostgreSQL by default."""
    return {
        "DBClusterIdentifier": name,
        "DBClusterArn": f"arn:aws:rds:{place.region}:{place.account_id}:cluster:{name}",
        "DbClusterResourceId": f"cluster-{secrets.token_hex(13).upper()}",
        "Engine": "aurora-postgresql",
        "EngineVersion": "15.4",
        "Status": "available",
        "ActivityStreamStatus": "started",
        "ActivityStreamMode": "async",
        "ActivityStreamKmsKeyId": "4f2c5b0e-8a51-4f3d-9c0a-1f2e3d4c5b6a",
        "DBClusterMembers": [{"DBInstanceIdentifier": f"{name}-1", "IsClusterWriter": True}],
        **more,
    }


def raw_instance(name: str = "ledger", place: Place = PLACE, **more: Any) -> dict[str, Any]:
    """An instance of DescribeDBInstances, with an audited RDS for Oracle by default."""
    return {
        "DBInstanceIdentifier": name,
        "DBInstanceArn": f"arn:aws:rds:{place.region}:{place.account_id}:db:{name}",
        "DbiResourceId": f"db-{secrets.token_hex(13).upper()}",
        "DBInstanceClass": "db.r6i.large",
        "Engine": "oracle-ee",
        "EngineVersion": "19.0.0.0.ru-2024-01.rur-2024-01.r1",
        "DBInstanceStatus": "available",
        "ActivityStreamStatus": "started",
        "ActivityStreamMode": "async",
        "ActivityStreamKmsKeyId": "4f2c5b0e-8a51-4f3d-9c0a-1f2e3d4c5b6a",
        **more,
    }


def cluster(name: str = "orders", place: Place = PLACE, **more: Any) -> FleetDatabase:
    """The same as the inventory sees it, with one instance."""
    member = raw_instance(f"{name}-1", place, DBClusterIdentifier=name, Engine="aurora-postgresql")
    (found,) = databases_of([raw_cluster(name, place, **more)], [member])  # type: ignore[list-item]
    return found


def instance(name: str = "ledger", place: Place = PLACE, **more: Any) -> FleetDatabase:
    """The same as the inventory sees it."""
    (found,) = databases_of([], [raw_instance(name, place, **more)])  # type: ignore[list-item]
    return found
