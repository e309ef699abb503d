"""RDS: looks at databases and their activity streams, starts and stops streams, and waits until RDS has done so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from daswatch.activity_streams import lifecycle
from daswatch.activity_streams.lifecycle import (
    Asked,
    DatabaseKind,
    DatabaseName,
    Decision,
    Eligibility,
    NextStep,
    RdsDatabase,
    Status,
    WantedStream,
)
from daswatch.aws.api_calls import AwsError, Trouble, ask, ask_pages, attempt
from daswatch.aws.error_causes import LASTING, no_answer
from daswatch.deadline import Deadline
from daswatch.errors import RdsUnavailable, StreamRefused
from daswatch.fleet.database import FleetDatabase, databases_of

if TYPE_CHECKING:
    from types_boto3_kms.client import KMSClient
    from types_boto3_rds.client import RDSClient
    from types_boto3_rds.type_defs import DBInstanceTypeDef, FilterTypeDef

_NOT_FOUND = ("DBClusterNotFoundFault", "DBInstanceNotFound", "DBInstanceNotFoundFault", "ResourceNotFoundFault")
# The database is being worked on, since we looked: the same call is right a little later.
_BUSY = ("InvalidDBClusterStateFault", "InvalidDBInstanceState", "InvalidDBInstanceStateFault")
_COMMAND_SECONDS = 60.0  # a call of a command; RDS answers slowly where there are many databases
_FIRST_ANSWER_SECONDS = 30.0


class _Busy(Exception):
    """RDS does not take the call in the database's present state."""


class _Denied(StreamRefused):
    """AWS denies what may have been allowed a moment ago: new policies and keys take a while to act."""


class ActivityStreams:
    """The databases of one account and region."""

    def __init__(
        self,
        rds: RDSClient,
        kms: Callable[[], KMSClient],
        until: Callable[[], Deadline] = lambda: Deadline.after(_COMMAND_SECONDS),
    ) -> None:
        """`kms` is called for the first alias that must be resolved: most keys are named by id or ARN.

        `until` gives each call its deadline.
        """
        self._until = until
        self._rds = rds
        self._kms = cache(kms)
        self._supported: dict[tuple[str, str, str], frozenset[str] | None] = {}

    def find(self, name: DatabaseName) -> RdsDatabase:
        """The database as it is now. Raises StreamRefused where there is none of that name here, RdsUnavailable."""
        found = self.find_named(name)
        if found is None:
            raise StreamRefused(f"there is no {name} in {self._rds.meta.region_name}: correct the name, or the region")
        here = found.name
        if (name.region or here.region, name.account_id or here.account_id) != (here.region, here.account_id):
            raise StreamRefused(
                f"{name} is named in account {name.account_id}, {name.region}, and this looks at {here.account_id}, "
                f"{here.region}: switch each stream on in the database's own account and region"
            )
        return found

    def find_resource(self, resource_id: str) -> RdsDatabase | None:
        """The database with a resource id, whatever it is called now. Raises RdsUnavailable."""
        if resource_id.startswith("cluster-"):
            return next(iter(self._clusters(_filters("db-cluster-resource-id", resource_id))), None)
        instances = self._instances(_filters("dbi-resource-id", resource_id))
        return next((lifecycle.instance(raw) for raw in instances), None)

    def find_all(self) -> list[FleetDatabase]:
        """All clusters, and all instances that belong to none. Raises StreamRefused, RdsUnavailable."""
        return databases_of(self._pages("describe_db_clusters", "DBClusters"), self._instances())

    def eligibility(self, database: RdsDatabase) -> Eligibility:
        """In which modes the database can have a stream. Raises RdsUnavailable."""
        if lifecycle.obstacle(database):
            return lifecycle.eligibility(database, {})
        supported = {name: self._modes(database, name) for name in database.instance_classes}
        return lifecycle.eligibility(database, supported)

    def key_arn(self, key_id: str, database: RdsDatabase) -> str:
        """Return the ARN of the key that an ARN, id or alias names. Raises StreamRefused if KMS does not return it."""
        if arn := lifecycle.key_arn(key_id, database):
            return arn
        try:
            answer = ask(lambda: self._kms().describe_key(KeyId=key_id), self._until())
        except AwsError as exc:
            if exc.status == 0:
                raise RdsUnavailable(f"KMS DescribeKey: {exc.code}") from exc
            raise StreamRefused(f"KMS does not describe the key {key_id}: {exc.words}") from exc
        arn = answer.get("KeyMetadata", {}).get("Arn", "")
        if not arn:  # what answered 200 is not KMS
            raise RdsUnavailable("KMS DescribeKey: an answer without a key")
        return arn

    def differences(self, wanted: WantedStream, database: RdsDatabase) -> dict[str, str]:
        """In what a started stream differs from what is wanted. Raises StreamRefused, RdsUnavailable."""
        running = self.key_arn(database.stream.kms_key_id, database)
        return lifecycle.differences(wanted, self.key_arn(wanted.kms_key_id, database), database, running)

    def start(self, database: RdsDatabase, wanted: WantedStream, decision: Decision) -> None:
        """Ask RDS to start a stream. Raises _Busy, StreamRefused, RdsUnavailable."""
        parameters: dict[str, Any] = {
            "ResourceArn": database.arn,
            "Mode": decision.mode,
            "KmsKeyId": wanted.kms_key_id,
            "ApplyImmediately": True,
        }
        if database.has_native_fields:
            parameters["EngineNativeAuditFieldsIncluded"] = wanted.native_fields
        try:
            attempt(lambda: self._rds.start_activity_stream(**parameters), self._until())
        except AwsError as exc:
            _refuse("StartActivityStream", database.name, exc)

    def stop(self, database: RdsDatabase) -> None:
        """Ask RDS to stop a stream. Raises _Busy, StreamRefused, RdsUnavailable."""
        try:
            attempt(
                lambda: self._rds.stop_activity_stream(ResourceArn=database.arn, ApplyImmediately=True), self._until()
            )
        except AwsError as exc:
            _refuse("StopActivityStream", database.name, exc)

    def find_named(self, name: DatabaseName) -> RdsDatabase | None:
        """The database that has this name here, None if there is none. Raises StreamRefused, RdsUnavailable."""
        # By filter, not by identifier: what is not there is then an empty list, and one permission serves both.
        if name.kind is DatabaseKind.CLUSTER:
            return next(iter(self._clusters(_filters("db-cluster-id", name.identifier))), None)
        instances = self._instances(_filters("db-instance-id", name.identifier))
        return next((lifecycle.instance(raw) for raw in instances), None)

    def _clusters(self, filters: Sequence[FilterTypeDef]) -> list[RdsDatabase]:
        clusters = self._pages("describe_db_clusters", "DBClusters", Filters=list(filters))
        names = [raw["DBClusterIdentifier"] for raw in clusters]
        members = self._instances(_filters("db-cluster-id", *names)) if names else []
        return [lifecycle.cluster(raw, members) for raw in clusters]

    def _instances(self, filters: Sequence[FilterTypeDef] = ()) -> list[DBInstanceTypeDef]:
        return self._pages("describe_db_instances", "DBInstances", Filters=list(filters))

    def _modes(self, database: RdsDatabase, instance_class: str) -> frozenset[str] | None:
        """The modes that RDS lists for a class, None where it does not list the class for this version at all."""
        asked = (database.engine, database.engine_version, instance_class)
        if asked not in self._supported:
            options = self._pages(
                "describe_orderable_db_instance_options",
                "OrderableDBInstanceOptions",
                Engine=database.engine,
                EngineVersion=database.engine_version,
                DBInstanceClass=instance_class,
            )
            own = [one for one in options if one.get("DBInstanceClass", instance_class) == instance_class]
            modes = {mode for one in own for mode in one.get("SupportedActivityStreamModes") or ()}
            self._supported[asked] = frozenset(modes) if own else None
        return self._supported[asked]

    def _pages(self, call: Any, entries: str, **parameters: Any) -> list[Any]:
        try:
            return ask_pages(getattr(self._rds, call), entries, self._until, **parameters)
        except AwsError as exc:
            # Of a filter's value; where all are asked for it is a page that is gone, and not the end of the list.
            if exc.code in _NOT_FOUND and parameters.get("Filters"):
                return []
            if exc.trouble is Trouble.DENIED:
                raise _Denied(f"RDS {call}: {exc.code}: {exc.words}") from exc
            raise RdsUnavailable(f"RDS {call}: {exc.code}: {_said(exc)}") from exc


class Switch:
    """One database on its way to a stream that is started, or stopped (`wanted` is None then)."""

    def __init__(
        self,
        gateway: ActivityStreams,
        name: DatabaseName,
        wanted: WantedStream | None,
        patience: int = 0,
    ) -> None:
        """`patience` is how many denials are taken for a policy or key that is too new to act."""
        self._gateway = gateway
        self._patience = patience
        self._asked = Asked.NOT_YET  # what has come of asking so far
        self.name = name
        self.wanted = wanted
        self.database: RdsDatabase | None = None
        self.decision = Decision(NextStep.WAIT, "not looked at yet")
        self.is_unanswered = False  # RDS was asked to start or stop, may have done so, and has not said it

    @property
    def done(self) -> bool:
        """Whether the stream is as it was to be."""
        return self.decision.step is NextStep.DONE

    @property
    def refused(self) -> bool:
        """Whether it is impossible until a user does what the decision says."""
        return self.decision.step is NextStep.REFUSE

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do, or nothing that can be done."""
        return self.done or self.refused

    @property
    def has_acted(self) -> bool:
        """Whether RDS has agreed to start or stop on our asking."""
        return self._asked is not Asked.NOT_YET

    def look(self) -> Decision:
        """What is to be done next. Changes nothing. Raises RdsUnavailable where RDS has never answered."""
        try:
            self.database = database = self._gateway.find(self.name)
            self._asked = lifecycle.seen(self._asked, database.stream.status)
            if self.wanted is None:
                self.decision = lifecycle.decide_stop(database, self._asked)
            else:
                stopped = database.stream.status is Status.STOPPED and self._asked is Asked.NOT_YET
                eligible = self._gateway.eligibility(database) if stopped else Eligibility()
                self.decision = lifecycle.decide_start(self.wanted, database, eligible, self._asked)
        except StreamRefused as exc:
            self.decision = self._refused(exc)
        except RdsUnavailable as exc:
            if self.database is None:
                raise
            self.decision = Decision(NextStep.WAIT, str(exc))
        return self.decision

    def advance(self) -> Decision:
        """Look, and ask RDS for what is to be done. Raises RdsUnavailable where RDS has never answered."""
        decision = self.look()
        if self.database is None or decision.step not in (NextStep.START, NextStep.STOP):
            return decision
        try:
            self._asked, self.decision = Asked.AGREED, self._ask(self.database, decision)
        except StreamRefused as exc:
            self.decision = self._refused(exc)
        except RdsUnavailable as exc:
            self.is_unanswered = isinstance(exc.__cause__, AwsError) and exc.__cause__.may_have_effect
            self.decision = Decision(NextStep.WAIT, str(exc))
        except _Busy as exc:
            self.decision = Decision(NextStep.WAIT, str(exc))
        return self.decision

    def _refused(self, exc: StreamRefused) -> Decision:
        if isinstance(exc, _Denied) and self._patience > 0:
            self._patience -= 1
            return Decision(NextStep.WAIT, str(exc))
        return Decision(NextStep.REFUSE, str(exc))

    def _ask(self, database: RdsDatabase, decision: Decision) -> Decision:
        """Ask RDS; what is to be done once it has agreed."""
        if self.wanted is None:
            self._gateway.stop(database)
            return lifecycle.decide_stop(database, Asked.AGREED)
        self._gateway.start(database, self.wanted, decision)
        return lifecycle.decide_start(self.wanted, database, Eligibility(), Asked.AGREED)


def settle(
    switches: Iterable[Switch],
    deadline: Deadline,
    progress: Callable[[Switch], None] = lambda _: None,
) -> list[Switch]:
    """Advance all until they are settled or the deadline has come; returns those that are not. Raises RdsUnavailable.

    All streams start side by side: each takes minutes, and RDS does the work.
    """
    left = list(switches)
    for pause in lifecycle.pauses():
        for switch in left:
            switch.advance()
            progress(switch)
        left = [switch for switch in left if not switch.settled]
        if not left or not deadline.wait(pause, 0.0):
            break
    return left


def _filters(name: str, *values: str) -> list[FilterTypeDef]:
    return [{"Name": name, "Values": list(values)}]


def _refuse(call: str, name: DatabaseName, exc: AwsError) -> NoReturn:
    if exc.status == 0:
        raise RdsUnavailable(f"RDS {call} for {name}: {exc.code}: {_said(exc)}") from exc
    if exc.code in _BUSY or exc.trouble is Trouble.PASSING:
        raise _Busy(f"RDS does not take {call} now: {exc.words}") from exc
    denied = exc.trouble is Trouble.DENIED or exc.code == "KMSKeyNotAccessibleFault"
    refusal = _Denied if denied else StreamRefused
    raise refusal(f"{name}: RDS refused {call}: {exc.code}: {exc.words}") from exc


def _said(exc: AwsError) -> str:
    """AWS's own words: they name the permission, key or state that is missing, and quote nothing but our request."""
    if exc.status:
        return exc.words
    return "sign in first" if "Credential" in exc.code else "is the endpoint reachable from here?"


def reached(rds: RDSClient) -> RDSClient:
    """The client, once its endpoint has answered something. Raises RdsUnavailable.

    ActivityStreams asks again for a minute where nothing answers: right while a stream starts, and too long to hear of
    a wrong address.
    """
    try:
        attempt(
            lambda: rds.describe_db_instances(MaxRecords=20), Deadline.after(_FIRST_ANSWER_SECONDS)
        )  # the least that RDS takes
    except AwsError as exc:
        found = no_answer(exc)
        # Where it answered, what it refuses is the next call's to handle.
        if exc.status == 0 and (found is None or found.cause in LASTING):
            raise RdsUnavailable(f"RDS: {exc.code}") from exc
    return rds
