"""RDS behind HTTP: moto's, with the activity streams that it lacks, as strict as the real ones are documented to be.

One `Rds` is an account and region; `at` is the same in another one.

What StartActivityStream refuses: a database that is not available, a stream that is not stopped, a cluster without
instances, a class or mode that the orderable options do not list, a key that KMS does not have. A status changes while
it is looked at, as moto's own do. botocore validates every request and parses every answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from moto.core.responses import ActionResult
from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse
from moto.rds.exceptions import RDSClientError
from moto.rds.models import DBCluster, DBInstance, RDSBackend, rds_backends
from moto.rds.responses import RDSResponse
from moto.rds.utils import FilterDef

from demo.aws import REGION, LocalAws

if TYPE_CHECKING:
    from types_boto3_rds.client import RDSClient

ACCOUNT = "123456789012"
# As DescribeOrderableDBInstanceOptions documents them; moto has the options of Aurora PostgreSQL only.
MODES = {"aurora-mysql": ["async"], "oracle-ee": ["async"], "sqlserver-ee": ["async"], "postgres": [], "mysql": []}


@dataclass
class _Stream:
    statuses: list[str] = field(default_factory=lambda: ["stopped"])  # the present one and those to come
    mode: str | None = None
    key: str | None = None
    native: bool | None = None

    @property
    def status(self) -> str:
        return self.statuses[0]

    def looked_at(self) -> str:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@dataclass
class Rds:
    """The databases of this test in one account and region, and what has been asked of the streams of all."""

    aws: LocalAws
    key: str
    before: list[str] = field(default_factory=list)  # what is still described after RDS has agreed
    meanwhile: int = 2  # for so many looks it is `starting` or `stopping`
    gives_up: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)
    faults: list[RDSClientError] = field(default_factory=list)  # of the next calls that start or stop
    account: str = ACCOUNT
    region: str = REGION

    def at(self, account: str = ACCOUNT, region: str = REGION) -> Rds:
        """The same RDS in another account or region."""
        return replace(self, account=account, region=region)

    @property
    def client(self) -> RDSClient:
        client: RDSClient = self.any_client("rds")
        return client

    def any_client(self, service: Any) -> Any:
        """A service in this account and region."""
        return self.aws.client(service, self.region, self.account)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.aws.environment, "AWS_ENDPOINT_URL_RDS": self.aws.url}

    @property
    def key_arn(self) -> str:
        return f"arn:aws:kms:{self.region}:{self.account}:key/{self.key}"

    def cluster(
        self,
        engine: str = "aurora-postgresql",
        version: str = "15.2",
        instance_class: str = "db.r6g.large",
        instances: int = 1,
        status: str = "available",
    ) -> str:
        """A new cluster; its name as people write it."""
        name = f"c-{secrets.token_hex(5)}"
        self.client.create_db_cluster(
            DBClusterIdentifier=name,
            Engine=engine,
            EngineVersion=version,
            MasterUsername="admin1",
            MasterUserPassword="not-a-secret",
        )
        for number in range(instances):
            self.client.create_db_instance(
                DBInstanceIdentifier=f"{name}-{number}",
                DBClusterIdentifier=name,
                DBInstanceClass=instance_class,
                Engine=engine,
            )
        self._model(f"cluster:{name}").status = status
        return f"cluster:{name}"

    def instance(self, engine: str = "oracle-ee", version: str = "19", **more: Any) -> str:
        """A new instance; its name as people write it."""
        name = f"i-{secrets.token_hex(5)}"
        self.client.create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.m5.large",
            Engine=engine,
            EngineVersion=version,
            AllocatedStorage=20,
            MasterUsername="admin1",
            MasterUserPassword="not-a-secret",
            **more,
        )
        model = self._model(f"db:{name}")
        model.dbi_resource_id = f"db-{secrets.token_hex(13).upper()}"  # moto's are all the same
        return f"db:{name}"

    def copies(self, name: str, count: int) -> set[str]:
        """More databases like this one, without instances; moto needs a second for some of its own."""
        made = set()
        for _ in range(count):
            model = copy(self._model(name))
            identifier = f"m-{secrets.token_hex(5)}"
            if isinstance(model, DBCluster):
                model.db_cluster_identifier = identifier
                model.db_cluster_resource_id = f"cluster-{secrets.token_hex(13).upper()}"
                self._backend.clusters[identifier] = model
            else:
                model.db_instance_identifier = identifier
                model.dbi_resource_id = f"db-{secrets.token_hex(13).upper()}"
                self._backend.databases[identifier] = model
            made.add(f"{name.partition(':')[0]}:{identifier}")
        return made

    def new_key(self) -> str:
        """The ARN of a key in this account and region."""
        return str(self.any_client("kms").create_key()["KeyMetadata"]["Arn"])

    def known(self, name: str) -> str:
        """A database under a name that a document has: a cluster of Aurora PostgreSQL, an instance of Oracle."""
        kind, _, identifier = name.partition(":")
        master: dict[str, Any] = {"MasterUsername": "admin1", "MasterUserPassword": "not-a-secret"}
        if kind == "cluster":
            engine: dict[str, Any] = {"Engine": "aurora-postgresql", "EngineVersion": "15.2"}
            self.client.create_db_cluster(DBClusterIdentifier=identifier, **engine, **master)
            self.client.create_db_instance(
                DBInstanceIdentifier=f"{identifier}-0",
                DBClusterIdentifier=identifier,
                DBInstanceClass="db.r6g.large",
                Engine=engine["Engine"],
            )
            self._model(name).status = "available"
        else:
            self.client.create_db_instance(
                DBInstanceIdentifier=identifier,
                DBInstanceClass="db.m5.large",
                Engine="oracle-ee",
                EngineVersion="19",
                AllocatedStorage=20,
                **master,
            )
        return name

    def forget(self, name: str) -> None:
        """A database that other tests must not find."""
        kind, _, identifier = name.partition(":")
        if kind == "cluster":
            self._backend.databases.pop(f"{identifier}-0")
            self._backend.clusters.pop(identifier)
        else:
            self._backend.databases.pop(identifier)
        for kept in (self._backend.database_snapshots, self._backend.cluster_snapshots):
            for snapshot in [one for one in kept if one.startswith(f"rds:{identifier}")]:  # moto's, of this minute
                del kept[snapshot]

    def stream(self, name: str) -> _Stream:
        return _stream(self._model(name))

    def resource_id(self, name: str) -> str:
        model = self._model(name)
        return str(model.dbi_resource_id if name.startswith("db:") else model.db_cluster_resource_id)

    def run_stream(self, name: str, status: str = "started", mode: str = "async", key: str = "") -> None:
        """Another user has started a stream."""
        model = self._model(name)
        model.activity_streams = _Stream([status], mode, key or self.key_arn)

    def rename(self, name: str, to: str = "") -> str:
        """The database gets another name, by default any, and keeps its resource id."""
        kind, _, identifier = name.partition(":")
        other = to.partition(":")[2] or f"r-{secrets.token_hex(5)}"
        if kind == "cluster":
            self.client.modify_db_cluster(
                DBClusterIdentifier=identifier, NewDBClusterIdentifier=other, ApplyImmediately=True
            )
        else:
            self.client.modify_db_instance(
                DBInstanceIdentifier=identifier, NewDBInstanceIdentifier=other, ApplyImmediately=True
            )
        return f"{kind}:{other}"

    @property
    def _backend(self) -> RDSBackend:
        return rds_backends[self.account][self.region]

    def _model(self, name: str) -> Any:
        kind, _, identifier = name.partition(":")
        return (self._backend.clusters if kind == "cluster" else self._backend.databases)[identifier]

    def start(self, parameters: dict[str, Any]) -> dict[str, Any]:
        here, model, stream = self._asked("StartActivityStream", parameters)
        backend = here._backend
        cluster = isinstance(model, DBCluster)
        if stream.status != "stopped" or model.status != "available":
            raise _invalid(cluster, f"{parameters['ResourceArn']} is not in a state to start an activity stream")
        members = [
            one
            for one in backend.databases.values()
            if cluster and one.db_cluster_identifier == model.db_cluster_identifier
        ]
        if cluster and not members:
            raise _invalid(cluster, "the cluster has no instances")
        classes = {one.db_instance_class for one in members} if cluster else {model.db_instance_class}
        options = _orderable(backend, model.engine, model.engine_version)
        own = [one for one in options if one.get("DBInstanceClass") in (None, *classes)]
        if not any(parameters["Mode"] in option["SupportedActivityStreamModes"] for option in own):
            raise RDSClientError("InvalidParameterCombination", f"{model.engine} has no mode {parameters['Mode']}")
        native = parameters.get("EngineNativeAuditFieldsIncluded")
        if native is not None and cluster:
            raise RDSClientError("InvalidParameterCombination", "native audit fields are not for Aurora")
        self.started.append(parameters)
        ends = "stopped" if self.gives_up else "started"
        model.activity_streams = _Stream(
            [*self.before, *["starting"] * self.meanwhile, ends],
            parameters["Mode"],
            here._key(parameters["KmsKeyId"]),
            native,
        )
        return {"Status": "starting", "KinesisStreamName": _stream_name(model), "Mode": parameters["Mode"]}

    def stop(self, parameters: dict[str, Any]) -> dict[str, Any]:
        _, model, stream = self._asked("StopActivityStream", parameters)
        if stream.status != "started":
            raise _invalid(isinstance(model, DBCluster), "the activity stream is not started")
        stream.statuses = [*["stopping"] * self.meanwhile, "stopped"]
        return {"Status": "stopping", "KinesisStreamName": _stream_name(model), "KmsKeyId": stream.key}

    def _asked(self, call: str, parameters: dict[str, Any]) -> tuple[Rds, Any, _Stream]:
        arn = parameters["ResourceArn"]
        self.calls.append((call, arn))
        assert parameters["ApplyImmediately"] is True
        if self.faults:
            raise self.faults.pop(0)
        _, _, _, region, account, *name = arn.split(":")
        here = self.at(account, region)
        model = here._model(":".join(name))
        return here, model, _stream(model)

    def _key(self, name: str) -> str:
        """The key's ARN, as RDS describes it."""
        backend = kms_backends[self.account][self.region]
        try:
            return str(backend.describe_key(backend.any_id_to_key_id(name)).arn)
        except Exception as exc:
            raise RDSClientError(
                "KMSKeyNotAccessibleFault", f"the key {name} does not exist or is not enabled"
            ) from exc


@contextmanager
def rds_with_streams(aws: LocalAws, key: str) -> Iterator[Rds]:
    """moto's RDS with activity streams, and without any database afterwards."""
    rds = Rds(aws, key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            RDSResponse, "start_activity_stream", lambda self: ActionResult(rds.start(self.params)), raising=False
        )
        patch.setattr(
            RDSResponse, "stop_activity_stream", lambda self: ActionResult(rds.stop(self.params)), raising=False
        )
        patch.setattr(RDSBackend, "describe_orderable_db_instance_options", _orderable)
        for call in ("create_alias", "enable_key_rotation"):
            patch.setattr(KmsResponse, call, _without_answer(getattr(KmsResponse, call)))
        clusters = RDSResponse.describe_db_clusters
        patch.setattr(RDSResponse, "describe_db_clusters", lambda self: _page(clusters(self), self.params))
        patch.setitem(
            DBCluster.SUPPORTED_FILTERS,
            "db-cluster-resource-id",
            FilterDef(["db_cluster_resource_id"], "DB Cluster Resource Ids"),
        )
        for model in (DBCluster, DBInstance):
            for name, reader in _FIELDS.items():
                patch.setattr(model, name, property(reader), raising=False)
        yield rds
    # No other test finds these databases, or takes the time to look at them.
    for regions in rds_backends.values():
        regions.reset()


def _without_answer(call: Callable[[KmsResponse], str]) -> Callable[[KmsResponse], str]:
    """KMS answers these calls with an empty body; moto's is `null`."""

    def answered(response: KmsResponse) -> str:
        call(response)
        return ""

    return answered


def _page(clusters: ActionResult, parameters: dict[str, Any]) -> ActionResult:
    """One page of clusters: moto's come in one. The marker is the name that the page before ends with."""
    found: dict[str, list[DBCluster]] = clusters.result  # type: ignore[assignment]
    left = sorted(
        (one for one in found["DBClusters"] if one.db_cluster_identifier > parameters.get("Marker", "")),
        key=lambda one: str(one.db_cluster_identifier),
    )
    page = left[: parameters.get("MaxRecords", 100)]
    more = {"Marker": page[-1].db_cluster_identifier} if len(left) > len(page) else {}
    return ActionResult({"DBClusters": page, **more})


_ORDERABLE = RDSBackend.describe_orderable_db_instance_options


def _orderable(backend: RDSBackend, engine: str, engine_version: str) -> list[dict[str, Any]]:
    if engine not in MODES:
        return _ORDERABLE(backend, engine, engine_version)
    return [{"Engine": engine, "EngineVersion": engine_version, "SupportedActivityStreamModes": MODES[engine]}]


def _stream(model: Any) -> _Stream:
    if not hasattr(model, "activity_streams"):
        model.activity_streams = _Stream()
    stream = model.activity_streams
    assert isinstance(stream, _Stream)
    return stream


def _stream_name(model: Any) -> str:
    if isinstance(model, DBCluster):
        return f"aws-rds-das-{model.db_cluster_resource_id}"
    return f"aws-rds-das-{model.dbi_resource_id}"


def _unless_stopped(model: Any, value: Any) -> Any:
    return None if _stream(model).status == "stopped" else value


_FIELDS = {
    "activity_stream_kinesis_stream_name": lambda self: _unless_stopped(self, _stream_name(self)),
    "activity_stream_kms_key_id": lambda self: _unless_stopped(self, _stream(self).key),
    "activity_stream_mode": lambda self: _unless_stopped(self, _stream(self).mode),
    "activity_stream_engine_native_audit_fields_included": lambda self: _unless_stopped(self, _stream(self).native),
    "activity_stream_status": lambda self: _stream(self).looked_at(),
}


def _invalid(cluster: bool, message: str) -> RDSClientError:
    return RDSClientError("InvalidDBClusterStateFault" if cluster else "InvalidDBInstanceState", message)
