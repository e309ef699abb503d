"""The demo's fleet: RDS describes the databases whose streams are read, and some others that are not audited yet.

moto has no activity streams: what RDS would describe of them is set on its models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.rds.models import rds_backends

from demo.aws import REGION, LocalAws
from demo.rds import ACCOUNT_ID, AURORA, Database

if TYPE_CHECKING:
    from types_boto3_rds.client import RDSClient

_ENGINES = {
    "postgresql": ("aurora-postgresql", "15.2"),
    "mysql": ("aurora-mysql", "8.0.mysql_aurora.3.04.0"),
    "oracle": ("oracle-ee", "19.0.0.0.ru-2024-01.rur-2024-01.r1"),
    "sqlserver": ("sqlserver-ee", "15.00.4345.5.v1"),
}
_MASTER: dict[str, Any] = {"MasterUsername": "admin1", "MasterUserPassword": "not-a-secret"}


def describe_fleet(aws: LocalAws, databases: Sequence[Database], key_arn: str) -> None:
    """Let RDS describe these databases with a started stream, and four others."""
    rds = aws.client("rds")
    for database in databases:
        _create(rds, database, {"env": "prod", "team": database.name.partition("-")[0]})
        model = _model(database.name)
        model.activity_stream_status = "started"
        model.activity_stream_mode = "async"
        model.activity_stream_kms_key_id = key_arn
        model.activity_stream_kinesis_stream_name = database.stream_name
        model.activity_stream_policy_status = "locked" if database.engine == "sqlserver" else None
    until = (datetime.now(UTC).date() + timedelta(days=90)).isoformat()
    _cluster(rds, "stock-pg", "postgresql", ["stock-pg-1"], {"env": "prod", "team": "shop"})
    sandbox = {"env": "test", "daswatch:exception": "no data of customers", "daswatch:exception-until": until}
    _cluster(rds, "sandbox-pg", "postgresql", ["sandbox-pg-1"], sandbox)
    _instance(rds, "wiki", "postgres", "15.4", {"env": "prod", "team": "it"})
    elsewhere = aws.client("rds", "us-east-1")
    _cluster(elsewhere, "reports-mysql", "mysql", ["reports-mysql-1"], {"env": "prod", "team": "travel"})


def _create(rds: RDSClient, database: Database, tags: Mapping[str, str]) -> None:
    members = [f"{database.name}-{number}" for number, _ in enumerate(database.instance_ids, start=1)]
    if database.engine in AURORA:
        _cluster(rds, database.name, database.engine, members, tags)
        _model(database.name).db_cluster_resource_id = database.resource_id
        for name, resource_id in zip(members, database.instance_ids, strict=True):
            _model(name).dbi_resource_id = resource_id
    else:
        engine, version = _ENGINES[database.engine]
        _instance(rds, database.name, engine, version, tags)
        _model(database.name).dbi_resource_id = database.resource_id


def _cluster(rds: RDSClient, name: str, engine: str, members: Sequence[str], tags: Mapping[str, str]) -> None:
    rds_engine, version = _ENGINES[engine]
    rds.create_db_cluster(
        DBClusterIdentifier=name, Engine=rds_engine, EngineVersion=version, Tags=_listed(tags), **_MASTER
    )
    for member in members:
        rds.create_db_instance(
            DBInstanceIdentifier=member, DBClusterIdentifier=name, DBInstanceClass="db.r6g.large", Engine=rds_engine
        )


def _instance(rds: RDSClient, name: str, engine: str, version: str, tags: Mapping[str, str]) -> None:
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.r6i.large",
        Engine=engine,
        EngineVersion=version,
        AllocatedStorage=20,
        Tags=_listed(tags),
        **_MASTER,
    )


def _listed(tags: Mapping[str, str]) -> list[Any]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def _model(name: str) -> Any:
    backend = rds_backends[ACCOUNT_ID][REGION]
    return backend.clusters.get(name) or backend.databases[name]
