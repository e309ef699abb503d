"""Switching an activity stream on and off: what RDS describes, and what is wanted -> the next step, with its reason.

In: the answers of DescribeDBClusters, DescribeDBInstances and DescribeOrderableDBInstanceOptions. Out: a Decision,
which `daswatch.aws.rds` acts upon. Starting and stopping take minutes, so decisions are made again and again
until one says that there is nothing left to do. Nothing here ever stops a stream in order to change it: that would be a
gap in the audit, so it has to be requested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from daswatch.errors import StreamRefused

if TYPE_CHECKING:
    from types_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef

_IDENTIFIER = r"[A-Za-z](?:-?[A-Za-z0-9]){0,62}"  # as RDS takes it
_NAME = re.compile(rf"(?P<kind>cluster|db):(?P<identifier>{_IDENTIFIER})")
_ARN = re.compile(
    rf"arn:(?P<partition>aws[a-z-]*):rds:(?P<region>[a-z0-9-]+):(?P<account>\d{{12}}):"
    rf"(?P<kind>cluster|db):(?P<identifier>{_IDENTIFIER})"
)
_KEY_ID = re.compile(r"(?:mrk-)?[0-9a-f-]{32,36}")
_NATIVE_FIELDS = ("oracle-", "sqlserver-")  # StartActivityStream: EngineNativeAuditFieldsIncluded
# RDS's own engines without activity streams; of others, RDS is asked.
_WITHOUT_STREAMS = ("mysql", "mariadb", "postgres", "db2-", "custom-")

FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 20.0

AVAILABLE = "available"
# What a database does not leave by itself; in all other states than `available` it is worked on, and waiting helps.
_AT_REST = {
    "stopped": "is stopped: start the database first",
    "stopping": "is being stopped: start the database first",
    "deleting": "is being deleted",
    "failed": "has failed",
    "inaccessible-encryption-credentials": "cannot use the key of its storage: make that key usable again first",
    "inaccessible-encryption-credentials-recoverable": (
        "cannot use the key of its storage: make that key usable again first"
    ),
    "incompatible-network": "has an incompatible network: fix that first",
    "incompatible-parameters": "has incompatible parameters: fix them first",
    "incompatible-option-group": "has an incompatible option group: fix that first",
    "incompatible-restore": "could not be restored",
    "storage-full": "has no storage left: give it some first",
}


class DatabaseKind(StrEnum):
    """What has a stream, as RDS writes it in ARNs: an Aurora cluster, or an RDS instance."""

    CLUSTER = "cluster"
    INSTANCE = "db"


class Mode(StrEnum):
    """Whether a session waits until its event is in the stream."""

    SYNC = "sync"
    ASYNC = "async"


class WantedMode(StrEnum):
    """`auto` takes async, and sync only from an engine that has nothing else: a session never waits unless asked to."""

    SYNC = "sync"
    ASYNC = "async"
    AUTO = "auto"


class Status(StrEnum):
    """Of an activity stream, as RDS describes it."""

    STOPPED = "stopped"
    STARTING = "starting"
    STARTED = "started"
    STOPPING = "stopping"


class NextStep(StrEnum):
    """What happens next."""

    START = "start"
    STOP = "stop"
    WAIT = "wait"
    DONE = "done"
    REFUSE = "refuse"


class Asked(Enum):
    """What has come of asking RDS to start or stop. RDS describes the old status for a while after it has agreed."""

    NOT_YET = "not yet"
    AGREED = "agreed"
    UNDER_WAY = "under way"  # RDS has described `starting` or `stopping` since


@dataclass(frozen=True, slots=True)
class DatabaseName:
    """How people name a database: `cluster:orders`, `db:ledger`; an ARN says region and account as well."""

    kind: DatabaseKind
    identifier: str
    region: str = ""
    account_id: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.identifier}"


@dataclass(frozen=True, slots=True)
class ActivityStream:
    """The stream of a database as RDS describes it; all but the status is empty while it is stopped."""

    status: Status = Status.STOPPED
    mode: str = ""
    kms_key_id: str = ""  # key ARN, key id, alias ARN or alias name
    kinesis_stream_name: str = ""
    native_fields: bool = False


@dataclass(frozen=True, slots=True)
class RdsDatabase:
    """A cluster or instance as far as its activity stream is concerned."""

    name: DatabaseName
    arn: str
    resource_id: str
    engine: str
    engine_version: str
    status: str
    stream: ActivityStream
    engine_mode: str = "provisioned"
    instance_classes: frozenset[str] = frozenset()
    member_of: str = ""  # the cluster's identifier, for an instance
    replica_of: str = ""
    multi_tenant: bool = False

    @property
    def kinesis_stream_arn(self) -> str:
        """The Kinesis stream is in the database's own account and region; empty where there is no stream."""
        if not self.stream.kinesis_stream_name:
            return ""
        partition, region, account_id = _place(self.arn)
        return f"arn:{partition}:kinesis:{region}:{account_id}:stream/{self.stream.kinesis_stream_name}"

    @property
    def has_native_fields(self) -> bool:
        """Whether the engine has audit fields of its own."""
        return self.engine.startswith(_NATIVE_FIELDS)


@dataclass(frozen=True, slots=True)
class WantedStream:
    """How a stream is to be. `kms_key_id` is a key ARN, key id, alias ARN or alias name."""

    kms_key_id: str
    mode: WantedMode = WantedMode.ASYNC
    native_fields: bool = False


@dataclass(frozen=True, slots=True)
class Eligibility:
    """In which modes a database can have a stream; `reason` is why there is none. None if RDS does not report it."""

    modes: frozenset[Mode] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step, and in which mode a stream is to start."""

    step: NextStep
    reason: str
    mode: Mode | None = None


def read_name(text: str) -> DatabaseName:
    """`cluster:<identifier>`, `db:<identifier>`, or an ARN of one. Raises StreamRefused."""
    match = _NAME.fullmatch(text.strip()) or _ARN.fullmatch(text.strip())
    if match is None:
        raise StreamRefused(
            f"{_quoted(text)} names no database (expected: cluster:orders, db:ledger, or an ARN of one)"
        )
    parts = match.groupdict()
    return DatabaseName(
        DatabaseKind(parts["kind"]), parts["identifier"].lower(), parts.get("region") or "", parts.get("account") or ""
    )


def cluster(raw: DBClusterTypeDef, members: Sequence[DBInstanceTypeDef]) -> RdsDatabase:
    """From DescribeDBClusters, with the cluster's instances from DescribeDBInstances."""
    return RdsDatabase(
        name=DatabaseName(DatabaseKind.CLUSTER, raw["DBClusterIdentifier"], *_place(raw["DBClusterArn"])[1:]),
        arn=raw["DBClusterArn"],
        resource_id=raw["DbClusterResourceId"],
        engine=raw["Engine"],
        engine_version=raw.get("EngineVersion", ""),
        status=raw.get("Status", ""),
        stream=ActivityStream(
            status=Status(raw.get("ActivityStreamStatus") or Status.STOPPED),
            mode=raw.get("ActivityStreamMode", ""),
            kms_key_id=raw.get("ActivityStreamKmsKeyId", ""),
            kinesis_stream_name=raw.get("ActivityStreamKinesisStreamName", ""),
        ),
        engine_mode=raw.get("EngineMode") or "provisioned",
        instance_classes=frozenset(
            member["DBInstanceClass"]
            for member in members
            if member.get("DBClusterIdentifier") == raw["DBClusterIdentifier"]
        ),
        replica_of=raw.get("ReplicationSourceIdentifier", ""),
    )


def instance(raw: DBInstanceTypeDef) -> RdsDatabase:
    """From DescribeDBInstances."""
    return RdsDatabase(
        name=DatabaseName(DatabaseKind.INSTANCE, raw["DBInstanceIdentifier"], *_place(raw["DBInstanceArn"])[1:]),
        arn=raw["DBInstanceArn"],
        resource_id=raw["DbiResourceId"],
        engine=raw["Engine"],
        engine_version=raw.get("EngineVersion", ""),
        status=raw.get("DBInstanceStatus", ""),
        stream=ActivityStream(
            status=Status(raw.get("ActivityStreamStatus") or Status.STOPPED),
            mode=raw.get("ActivityStreamMode", ""),
            kms_key_id=raw.get("ActivityStreamKmsKeyId", ""),
            kinesis_stream_name=raw.get("ActivityStreamKinesisStreamName", ""),
            native_fields=raw.get("ActivityStreamEngineNativeAuditFieldsIncluded", False),
        ),
        instance_classes=frozenset({raw["DBInstanceClass"]}),
        member_of=raw.get("DBClusterIdentifier", ""),
        replica_of=raw.get("ReadReplicaSourceDBInstanceIdentifier", ""),
        multi_tenant=raw.get("MultiTenant", False) or raw["Engine"].endswith("-cdb"),
    )


def key_arn(key_id: str, database: RdsDatabase) -> str:
    """The ARN of a key given as ARN or id; empty for an alias, which only KMS can resolve."""
    if re.fullmatch(r"arn:[^:]+:kms:[^:]*:[^:]*:key/.+", key_id):
        return key_id
    if _KEY_ID.fullmatch(key_id):
        partition, region, account_id = _place(database.arn)
        return f"arn:{partition}:kms:{region}:{account_id}:key/{key_id}"
    return ""


def obstacle(database: RdsDatabase) -> str:
    """Why this database can have no stream whatever its class: empty where nothing of the kind is known.

    Sources: the user guides on database activity streams, and StartActivityStream's errors.
    """
    if database.engine.startswith(_WITHOUT_STREAMS):
        return (
            f"runs {database.engine}, which has no activity streams: only Aurora PostgreSQL, Aurora MySQL, RDS for "
            "Oracle and RDS for SQL Server have them"
        )
    if database.member_of:
        return f"is an instance of a cluster, whose stream is one for all: name cluster:{database.member_of} instead"
    if database.engine_mode != "provisioned":
        return f"runs in engine mode {database.engine_mode}, which has no activity streams"
    if database.name.kind is DatabaseKind.CLUSTER and not database.instance_classes:
        return "has no instance: add one first, a stream starts on instances only"
    if database.name.kind is DatabaseKind.INSTANCE and database.replica_of:
        return f"is a read replica, which has no stream of its own: name its source, {database.replica_of}, instead"
    if database.multi_tenant:
        return "is an Oracle multitenant container, which has no activity streams"
    return ""


def why_at_rest(status: str) -> str:
    """Why a database with this status does not become available by itself; empty where it does, or is."""
    return _AT_REST.get(status, "")


def eligibility(database: RdsDatabase, supported: Mapping[str, frozenset[str] | None]) -> Eligibility:
    """In which modes it can have a stream. `supported` has the modes of each instance class, None where RDS lists none.

    A cluster can do what all its instances can.
    """
    if reason := obstacle(database):
        return Eligibility(frozenset(), reason)
    modes: frozenset[Mode] | None = None
    for name in sorted(database.instance_classes):
        listed = supported.get(name)
        if listed is None:
            continue
        own = frozenset(mode for mode in Mode if mode in listed)
        if not own:
            what = f"{database.engine} {database.engine_version} on {name}"
            return Eligibility(frozenset(), f"cannot have an activity stream: RDS offers none for {what}")
        modes = own if modes is None else modes & own
    return Eligibility(modes)


def decide_start(
    wanted: WantedStream, database: RdsDatabase, eligible: Eligibility, asked: Asked = Asked.NOT_YET
) -> Decision:
    """Return what to do next to have a stream. An existing one is accepted as it is."""
    match database.stream.status:
        case Status.STARTED:
            return Decision(NextStep.DONE, "the activity stream is started")
        case Status.STARTING:
            return Decision(NextStep.WAIT, "the activity stream is starting")
        case Status.STOPPING:
            return Decision(NextStep.WAIT, "the activity stream is stopping: it can start when it has stopped")
    if asked is Asked.AGREED:
        return Decision(NextStep.WAIT, "RDS has agreed to start the activity stream")
    if asked is Asked.UNDER_WAY:
        return Decision(
            NextStep.REFUSE,
            f"{database.name}: RDS began to start the activity stream and gave up: the events of the database say why; "
            "mostly RDS cannot use the KMS key",
        )
    if eligible.reason:
        return Decision(NextStep.REFUSE, f"{database.name} {eligible.reason}")
    if why := why_at_rest(database.status):
        return Decision(NextStep.REFUSE, f"{database.name} {why}")
    if database.status != AVAILABLE:
        return Decision(NextStep.WAIT, f"the database is {database.status or 'in an unknown state'}")
    mode = chosen_mode(wanted.mode, eligible.modes)
    if mode is None:
        allowed = " or ".join(sorted(eligible.modes or ())) or "no mode that all its instances share"
        return Decision(
            NextStep.REFUSE, f"{database.name}: {database.engine} has no mode {wanted.mode} here (expected: {allowed})"
        )
    return Decision(NextStep.START, f"the activity stream is stopped: it starts in mode {mode}", mode)


def effects_of_start(kind: DatabaseKind, engine: str, mode: Mode | None) -> tuple[str, ...]:
    """What a start does to the database besides recording, in words.

    Sources: "Starting a database activity stream" of the user guides of Aurora and RDS (we start immediately, not in
    the maintenance window), "Configuring unified auditing for Oracle Database", and ModifyActivityStream.
    """
    what = "every instance of the cluster" if kind is DatabaseKind.CLUSTER else "the instance"
    effects = [f"{what} restarts right away"]
    if engine.startswith("oracle-"):
        effects += [
            "RDS for Oracle clears the audit data that is there: back it up first",
            "it revokes rights on the audit trail: while the stream runs, unified audit records cannot be purged and "
            "unified audit policies cannot be changed",
        ]
    if engine.startswith("sqlserver-"):
        effects.append(
            "RDS for SQL Server locks the audit policy while the stream runs: change it before, or unlock it"
        )
    if mode is Mode.SYNC:
        effects.append("in mode sync, sessions wait for their audit")
    return tuple(effects)


def decide_stop(database: RdsDatabase, asked: Asked = Asked.NOT_YET) -> Decision:
    """What to do next to have no stream."""
    match database.stream.status:
        case Status.STOPPED:
            return Decision(NextStep.DONE, "the activity stream is stopped")
        case Status.STOPPING:
            return Decision(NextStep.WAIT, "the activity stream is stopping")
        case Status.STARTING:
            return Decision(NextStep.WAIT, "the activity stream is starting: it can stop when it has started")
    if asked is Asked.AGREED:
        return Decision(NextStep.WAIT, "RDS has agreed to stop the activity stream")
    if asked is Asked.UNDER_WAY:
        return Decision(NextStep.REFUSE, f"{database.name}: RDS began to stop the activity stream and gave up")
    return Decision(NextStep.STOP, "the activity stream is started: it stops, and nothing is audited from then on")


def chosen_mode(wanted: WantedMode, allowed: frozenset[Mode] | None) -> Mode | None:
    """The mode to start in, None where the engine has not the one that is wanted."""
    if allowed is None:
        return Mode.ASYNC if wanted is WantedMode.AUTO else Mode(wanted)
    if wanted is WantedMode.AUTO:
        return next((mode for mode in (Mode.ASYNC, Mode.SYNC) if mode in allowed), None)
    return Mode(wanted) if Mode(wanted) in allowed else None


def differences(
    wanted: WantedStream, wanted_key_arn: str, database: RdsDatabase, running_key_arn: str
) -> dict[str, str]:
    """In what a started stream differs from what is wanted, in words by subject.

    Native fields count only where the engine has them: one setting serves many databases.
    """
    stream, found = database.stream, {}
    if wanted_key_arn != running_key_arn:
        found["key"] = f"it encrypts with {running_key_arn}, not with {wanted.kms_key_id}"
    if stream.mode and wanted.mode is not WantedMode.AUTO and stream.mode != wanted.mode:
        found["mode"] = f"its mode is {stream.mode}, not {wanted.mode}"
    if database.has_native_fields and stream.native_fields != wanted.native_fields:
        found["native fields"] = f"native audit fields are {'on' if stream.native_fields else 'off'}"
    return found


def how_to_change(name: DatabaseName, found: Iterable[str]) -> str:
    """RDS changes neither key, mode nor native fields of a running stream (ModifyActivityStream: audit policy only)."""
    return (
        f"{name}: the activity stream runs, and {'; '.join(found)}. RDS can change that only while it is stopped, "
        f"which is a gap in the audit: in a quiet hour run `daswatch stream stop {name}` and then this again"
    )


def pauses() -> Iterator[float]:
    """How many seconds to wait between two looks, growing."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def seen(asked: Asked, status: Status) -> Asked:
    """What has come of asking, after another look."""
    return Asked.UNDER_WAY if asked is not Asked.NOT_YET and status in (Status.STARTING, Status.STOPPING) else asked


def _place(arn: str) -> tuple[str, str, str]:
    """Partition, region and account."""
    parts = arn.split(":")
    return parts[1], parts[3], parts[4]


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
