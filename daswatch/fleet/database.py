"""A database of the fleet: what a region describes of it, and the document that the inventory keeps of it.

In: the answers of DescribeDBClusters and DescribeDBInstances. Out: a document of `das-databases`, whose fields are
those of events where they mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from daswatch.activity_streams import lifecycle
from daswatch.activity_streams.lifecycle import DatabaseKind, Eligibility, RdsDatabase

if TYPE_CHECKING:
    from types_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef

Document = Mapping[str, Any]  # of `das-databases`

# RDS describes the clusters and instances of these services too.
OTHER_SERVICES = ("neptune", "docdb")
# What RDS calls an engine begins so; the rest is an edition or a licence.
_ENGINES = {
    "aurora-postgresql": "postgresql",
    "aurora-mysql": "mysql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "oracle": "oracle",
    "custom-oracle": "oracle",
    "sqlserver": "sqlserver",
    "custom-sqlserver": "sqlserver",
}


class KeyState(StrEnum):
    """States of a KMS key that decide something here; KMS has others."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"
    NOT_FOUND = "NotFound"  # after its deletion; not KMS's


@dataclass(frozen=True, slots=True)
class Place:
    """An account and region: what one look at RDS sees."""

    account_id: str
    region: str

    def __str__(self) -> str:
        return f"{self.account_id}/{self.region}"


@dataclass(frozen=True, slots=True)
class Member:
    """An instance of a cluster, or the instance itself."""

    identifier: str
    instance_class: str
    is_writer: bool = True
    resource_id: str = ""  # `db-…`, by which activity streams name it


@dataclass(frozen=True, slots=True)
class FleetDatabase:
    """An Aurora cluster, or an RDS instance that belongs to none, as its region describes it."""

    rds: RdsDatabase
    members: tuple[Member, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    multi_az: bool = False
    encrypted: bool = False
    policy_status: str = ""  # of SQL Server's audit policy: locked, unlocked, and on the way to either

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.rds.name.account_id, self.rds.name.region)

    @property
    def id(self) -> str:
        """The id of its document: resource ids are unique within a region."""
        return document_id(self.place, self.rds.resource_id)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a database besides its document. `key_state` is KMS's, empty where it is not known.

    `last_pulse` is ISO 8601 in UTC, empty if nothing was ever heard, None without an endpoint to ask; `pulse_before` is
    that of the run before.
    `unknown` says why RDS did not say whether the database can have a stream.
    """

    eligibility: Eligibility = field(default_factory=Eligibility)
    unknown: str = ""
    key_state: str = ""
    last_pulse: str | None = ""
    pulse_before: str = ""


def document_id(place: Place, resource_id: str) -> str:
    """The id of the document of a database."""
    return f"{place}/{resource_id}"


def databases_of(clusters: Iterable[DBClusterTypeDef], instances: Sequence[DBInstanceTypeDef]) -> list[FleetDatabase]:
    """All databases of a region: clusters with their instances, and the instances that belong to none."""
    members: dict[str, list[DBInstanceTypeDef]] = {}
    alone: list[DBInstanceTypeDef] = []
    for one in instances:
        cluster = one.get("DBClusterIdentifier")
        (members.setdefault(cluster, []) if cluster else alone).append(one)
    found = [
        *(_of_cluster(one, members.get(one["DBClusterIdentifier"], ())) for one in clusters),
        *(_of_instance(one) for one in alone),
    ]
    return [database for database in found if database.rds.engine not in OTHER_SERVICES]


def _of_cluster(raw: DBClusterTypeDef, members: Sequence[DBInstanceTypeDef]) -> FleetDatabase:
    writers = {one.get("DBInstanceIdentifier") for one in raw.get("DBClusterMembers", ()) if one.get("IsClusterWriter")}
    return FleetDatabase(
        rds=lifecycle.cluster(raw, members),
        members=tuple(
            Member(
                one["DBInstanceIdentifier"],
                one["DBInstanceClass"],
                one["DBInstanceIdentifier"] in writers,
                one.get("DbiResourceId", ""),
            )
            for one in sorted(members, key=lambda one: one["DBInstanceIdentifier"])
        ),
        tags=_tags(raw),
        endpoint=raw.get("Endpoint") or "",
        multi_az=raw.get("MultiAZ", False),
        encrypted=raw.get("StorageEncrypted", False),
    )


def _of_instance(raw: DBInstanceTypeDef) -> FleetDatabase:
    return FleetDatabase(
        rds=lifecycle.instance(raw),
        members=(Member(raw["DBInstanceIdentifier"], raw["DBInstanceClass"], resource_id=raw["DbiResourceId"]),),
        tags=_tags(raw),
        endpoint=raw.get("Endpoint", {}).get("Address", ""),
        multi_az=raw.get("MultiAZ", False),
        encrypted=raw.get("StorageEncrypted", False),
        policy_status=raw.get("ActivityStreamPolicyStatus", ""),
    )


def _tags(raw: DBClusterTypeDef | DBInstanceTypeDef) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in raw.get("TagList", ()) if tag.get("Key")}


def document_of(database: FleetDatabase) -> dict[str, Any]:
    """The document of a database, as far as its region describes it; what is empty is left out."""
    rds, stream = database.rds, database.rds.stream
    document = {
        "databaseIdentifier": rds.name.identifier,
        "databaseKind": str(rds.name.kind),
        "databaseArn": rds.arn,
        "resourceId": rds.resource_id,
        "awsAccountId": rds.name.account_id,
        "awsRegion": rds.name.region,
        "engine": engine_of(rds.engine),
        "engineName": rds.engine,
        "engineVersion": rds.engine_version,
        "engineMode": rds.engine_mode if rds.name.kind is DatabaseKind.CLUSTER else "",
        "status": rds.status,
        "instances": [
            {
                "instanceIdentifier": one.identifier,
                "instanceClass": one.instance_class,
                "role": "writer" if one.is_writer else "reader",
                **({"resourceId": one.resource_id} if one.resource_id else {}),
            }
            for one in database.members
        ],
        "tags": dict(database.tags),
        "endpoint": database.endpoint,
        "multiAz": database.multi_az,
        "storageEncrypted": database.encrypted,
        "streamStatus": str(stream.status),
        "streamMode": stream.mode,
        "streamKey": stream.kms_key_id,
        "kinesisStream": stream.kinesis_stream_name,
        "streamPolicyStatus": database.policy_status,
    }
    return {name: value for name, value in document.items() if value not in ("", [], {})}


def engine_of(rds_engine: str) -> str:
    """What an engine is called in events, by RDS's name of it; RDS's own for one that is not known here."""
    start = max((known for known in _ENGINES if rds_engine.startswith(known)), key=len, default="")
    return _ENGINES.get(start, rds_engine)
