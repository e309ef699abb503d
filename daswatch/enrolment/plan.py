"""What is to be done so that each selected database is watched: compares what should be with what is.

In: one look at a region, the consumers that Lambda and Firehose list there, what is remembered of each database, and
the settings. Out: an enrolment for each database: its state with a reason, and the steps to take now. Run again after
them, the next steps follow, until none is left. Nothing here waits, and nothing is stopped unless a setting says so:

- A stream is started once. One that was on and is not any more, or that RDS began to start and gave up, needs a person:
  each start restarts the database.
- A consumer is changed in place, never replaced. It is removed when its Kinesis stream no longer exists, or when its
  database is no longer selected and a setting says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from daswatch.activity_streams.lifecycle import (
    Asked,
    Decision,
    NextStep,
    Status,
    WantedStream,
    decide_start,
)
from daswatch.enrolment.consumers import (
    Consumers,
    DeliveryFound,
    Kind,
    MappingFound,
    delivery_changes,
    delivery_name,
    mapping_changes,
    new_delivery,
    new_mapping,
    read_delivery_name,
    resource_id_of,
    stream_arn,
)
from daswatch.enrolment.selection import Selection
from daswatch.fleet.database import Facts, FleetDatabase, Place
from daswatch.fleet.inventory import Look
from daswatch.fleet.posture import exception_of
from daswatch.times import moment_of

# Streams that are starting at one time: each start restarts a database.
MAX_STARTING = 5
# A Firehose holds records for five minutes, and retries: what it has is delivered before it is removed.
_DELIVERED_AFTER = timedelta(minutes=15)
# RDS describes `starting` long before. Where that was not seen, RDS gave up.
_AGREED_FOR = timedelta(minutes=30)


class State(StrEnum):
    """How far a database is enrolled."""

    WATCHED = "watched"  # its stream is on, read and kept
    IN_PROGRESS = "in-progress"
    FAILED = "failed"  # a person is needed
    EXCEPTED = "excepted"  # by its owner
    NOT_ELIGIBLE = "not-eligible"
    NOT_SELECTED = "not-selected"
    GONE = "gone"  # the database, or its name


class Act(StrEnum):
    """What a step does, by the names of AWS's calls."""

    START_STREAM = "StartActivityStream"
    STOP_STREAM = "StopActivityStream"
    CREATE_MAPPING = "CreateEventSourceMapping"
    UPDATE_MAPPING = "UpdateEventSourceMapping"
    DELETE_MAPPING = "DeleteEventSourceMapping"
    CREATE_DELIVERY = "CreateDeliveryStream"
    UPDATE_DELIVERY = "UpdateDestination"
    DELETE_DELIVERY = "DeleteDeliveryStream"


class OnDeselection(StrEnum):
    """What happens to a database with a stream that is no longer selected."""

    KEEP = "keep"  # it is read as long as its stream is on
    RELEASE = "release"  # its consumers are removed, its stream stays on
    STOP = "stop"  # its stream is stopped as well


@dataclass(frozen=True, slots=True)
class Step:
    """One call to make, with its parameters and why."""

    act: Act
    parameters: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier runs have seen and done of a database. Times are ISO 8601 in UTC, empty for never."""

    start_asked: str = ""
    was_on: bool = False
    was_watched: bool = False  # after the last run
    gone_since: str = ""  # its Kinesis stream


@dataclass(frozen=True, slots=True)
class Wanted:
    """The settings of a deployment."""

    selection: Selection
    stream: WantedStream
    consumers: Consumers
    on_deselection: OnDeselection = OnDeselection.KEEP


@dataclass(frozen=True, slots=True)
class Present:
    """The consumers that there are, by the ARN of their Kinesis stream.

    `deliveries` are those that were described. `delivery_names` are all; None where they could not be listed.
    `unread` are names that another tool gave, of deliveries that were not described: any stream may be theirs.
    `gone` are Kinesis streams that no longer exist.
    """

    mappings: Mapping[str, MappingFound] = field(default_factory=dict)
    deliveries: Mapping[tuple[str, Kind], DeliveryFound] = field(default_factory=dict)
    delivery_names: frozenset[str] | None = frozenset()
    unread: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()

    def delivery(self, consumers: Consumers, arn: str, kind: Kind) -> str:
        """The name of a stream's delivery: the one that was found, or else the one that this deployment gives."""
        found = self.deliveries.get((arn, kind))
        return found.name if found else delivery_name(consumers, kind, resource_id_of(arn))


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One database: how far it is enrolled, and what is to be done now. `name` is like cluster:orders."""

    name: str
    resource_id: str
    place: Place
    state: State
    reason: str
    steps: tuple[Step, ...] = ()
    selected_by: str = ""
    stream_arn: str = ""
    memory: Memory = Memory()

    @property
    def starts(self) -> bool:
        """Whether its stream is to be started now."""
        return any(step.act is Act.START_STREAM for step in self.steps)


def plan(
    look: Look, present: Present, wanted: Wanted, memories: Mapping[str, Memory] | None, now: str
) -> list[Enrolment]:
    """The enrolments of all databases of a region, and of consumers whose database is gone.

    `memories` are by resource id; None where they could not be read: no stream is started then. `now` is ISO 8601.
    """
    databases = sorted(look.databases, key=lambda one: str(one.rds.name))
    found = [
        _Planner(one, look.facts.get(one.id, Facts()), present, wanted, memories, now).enrolment() for one in databases
    ]
    described = {one.rds.resource_id for one in databases}
    return [
        *_limited(found),
        *_nameless(wanted.selection, databases, look.place),
        *_orphans(present, described, wanted, look.place, memories, now),
    ]


def _limited(enrolments: Iterable[Enrolment]) -> Iterator[Enrolment]:
    """Not more starts than may be under way at one time; the others wait for the next run."""
    enrolments = list(enrolments)
    starting = sum(_is_starting(one) for one in enrolments)
    for one in enrolments:
        if one.starts:
            starting += 1
            if starting > MAX_STARTING:
                memory = replace(one.memory, start_asked="")
                reason = f"its start waits: {MAX_STARTING} streams are starting"
                yield replace(one, steps=(), reason=reason, memory=memory)
                continue
        yield one


def _is_starting(enrolment: Enrolment) -> bool:
    """Whether an earlier run has asked for its start, and its stream has not been on since."""
    asked = enrolment.memory.start_asked != "" and not enrolment.memory.was_on
    return asked and enrolment.state is State.IN_PROGRESS and not enrolment.starts


def _nameless(selection: Selection, databases: list[FleetDatabase], place: Place) -> Iterator[Enrolment]:
    for name in selection.missing(databases):
        yield Enrolment(str(name), "", place, State.GONE, "no database has this name here", selected_by="its name")


def _orphans(
    present: Present,
    described: set[str],
    wanted: Wanted,
    place: Place,
    memories: Mapping[str, Memory] | None,
    now: str,
) -> Iterator[Enrolment]:
    """Consumers whose database RDS no longer describes."""
    for arn in sorted(_consumed_streams(present, wanted.consumers, place)):
        resource_id = resource_id_of(arn)
        if not resource_id or resource_id in described:
            continue
        base = Enrolment(resource_id, resource_id, place, State.GONE, "its database is gone", stream_arn=arn)
        ends = wanted.selection == Selection() and wanted.on_deselection is not OnDeselection.KEEP
        if ends:
            yield replace(base, steps=tuple(_removals(present, wanted.consumers, arn, "enrolment ends")))
        elif arn in present.gone:
            known = None if memories is None else memories.get(resource_id, Memory())
            steps, since = _leftovers(present, wanted.consumers, arn, known, now)
            yield replace(base, steps=steps, memory=Memory(gone_since=since))
        else:
            yield replace(base, reason="its database is gone; its Kinesis stream is there, and is read to its end")


def orphaned_streams(look: Look, present: Present, consumers: Consumers) -> frozenset[str]:
    """The Kinesis streams with consumers and without a database that has them: whether they exist is to be asked."""
    described = {one.rds.resource_id for one in look.databases if one.rds.kinesis_stream_arn}
    streams = _consumed_streams(present, consumers, look.place)
    return frozenset(arn for arn in streams if resource_id_of(arn) and resource_id_of(arn) not in described)


def _consumed_streams(present: Present, consumers: Consumers, place: Place) -> set[str]:
    """The ARNs of all Kinesis streams that something of this deployment reads."""
    read = [read_delivery_name(consumers, name) for name in present.delivery_names or ()]
    named = {stream_arn(place, resource_id) for _, resource_id in filter(None, read)}
    return {*present.mappings, *(arn for arn, _ in present.deliveries), *named}


def _leftovers(
    present: Present, consumers: Consumers, arn: str, known: Memory | None, now: str
) -> tuple[tuple[Step, ...], str]:
    """The removal of what read a Kinesis stream that no longer exists, and since when it is known to be gone."""
    since = known.gone_since or now if known else ""
    is_delivered = bool(since) and moment_of(now) - moment_of(since) >= _DELIVERED_AFTER
    steps = _removals(present, consumers, arn, "its Kinesis stream no longer exists")
    return tuple(step for step in steps if is_delivered or step.act is Act.DELETE_MAPPING), since


def _removals(present: Present, consumers: Consumers, arn: str, reason: str) -> Iterator[Step]:
    mapping = present.mappings.get(arn)
    if mapping and not mapping.is_changing:
        yield Step(Act.DELETE_MAPPING, {"UUID": mapping.uuid}, reason)
    for kind in Kind:
        found = present.deliveries.get((arn, kind))
        name = present.delivery(consumers, arn, kind)
        if found and found.status in ("CREATING", "DELETING"):
            continue
        if found or name in (present.delivery_names or ()):
            yield Step(Act.DELETE_DELIVERY, {"DeliveryStreamName": name}, reason)


@dataclass(frozen=True, slots=True)
class _Planner:
    """The enrolment of one database."""

    database: FleetDatabase
    facts: Facts
    present: Present
    wanted: Wanted
    memories: Mapping[str, Memory] | None
    now: str

    def enrolment(self) -> Enrolment:
        rds = self.database.rds
        selected_by = self.wanted.selection.reason(self.database)
        is_excepted, words = exception_of(self.database.tags, moment_of(self.now).date())
        known = Memory() if self.memories is None else self.memories.get(rds.resource_id, Memory())
        is_on = rds.stream.status is Status.STARTED
        # A mapping is made for a stream that is on, and stays while its database is there.
        was_on = known.was_on or stream_arn(self.database.place, rds.resource_id) in self.present.mappings
        known = replace(known, was_on=was_on)
        memory = replace(known, was_on=was_on or is_on)
        base = Enrolment(
            str(rds.name),
            rds.resource_id,
            self.database.place,
            State.NOT_SELECTED,
            "it is not selected",
            selected_by=selected_by,
            stream_arn=rds.kinesis_stream_arn,
            memory=memory,
        )
        if is_excepted:
            found = self._not_wanted(replace(base, state=State.EXCEPTED, reason=words))
        elif not selected_by:
            found = self._not_wanted(base)
        else:
            found = self._consumed(base) if is_on else self._started(base, known)
            found = replace(found, reason=f"{found.reason}; {words}") if words else found
        arn = stream_arn(self.database.place, rds.resource_id)
        if rds.kinesis_stream_arn or arn not in self.present.gone:
            return replace(found, memory=replace(found.memory, gone_since=""))
        # What read a stream that was stopped: RDS removes its Kinesis stream too.
        steps, since = _leftovers(
            self.present, self.wanted.consumers, arn, known if self.memories is not None else None, self.now
        )
        return replace(found, steps=(*found.steps, *steps), memory=replace(found.memory, gone_since=since))

    def _not_wanted(self, base: Enrolment) -> Enrolment:
        """A database that is not to be watched: what reads it stays, unless a setting says otherwise."""
        status = self.database.rds.stream.status
        arn, is_on = base.stream_arn, status is Status.STARTED
        stops = self.wanted.on_deselection is OnDeselection.STOP and base.memory.start_asked
        if stops and status is Status.STARTING:
            base = replace(base, reason=f"{base.reason}; its stream is starting: a run that finds it on stops it")
        if not arn:
            return base
        if self.wanted.on_deselection is OnDeselection.KEEP:
            if not is_on or not self._has_consumers(arn):
                return base
            found = self._consumed(base)
            return replace(found, state=base.state, reason=f"{base.reason}; its stream is on, and read as before")
        steps = list(_removals(self.present, self.wanted.consumers, arn, base.reason))
        if stops and is_on:
            steps.append(Step(Act.STOP_STREAM, {"ResourceArn": self.database.rds.arn}, base.reason))
        return replace(base, steps=tuple(steps))

    @property
    def was_watched(self) -> bool:
        """Whether all was well after the last run; believed where nothing is remembered for now."""
        if self.memories is None:
            return True
        return self.memories.get(self.database.rds.resource_id, Memory()).was_watched

    def _has_consumers(self, arn: str) -> bool:
        names = {delivery_name(self.wanted.consumers, kind, resource_id_of(arn)) for kind in Kind}
        described = any((arn, kind) in self.present.deliveries for kind in Kind)
        return arn in self.present.mappings or described or bool(names & (self.present.delivery_names or frozenset()))

    def _started(self, base: Enrolment, known: Memory) -> Enrolment:
        """A database whose stream is not on."""
        rds, status = self.database.rds, self.database.rds.stream.status
        if known.was_on and status in (Status.STOPPED, Status.STOPPING):
            reason = f"its activity stream was on, and is {status}: start it with `daswatch stream start {rds.name}`"
            return replace(base, state=State.FAILED, reason=reason)
        if status is Status.STOPPED and self.facts.unknown and not known.start_asked:
            reason = f"its activity stream is off, and may be impossible: {self.facts.unknown}"
            return replace(base, state=State.IN_PROGRESS, reason=reason)
        if status is Status.STOPPED and self._asked(known) is Asked.UNDER_WAY:
            reason = (
                f"its start was asked for at {known.start_asked}, and its activity stream is off: see the events of "
                f"the database and its key, then start it with `daswatch stream start {rds.name}`"
            )
            return replace(base, state=State.FAILED, reason=reason)
        decision = decide_start(self.wanted.stream, rds, self.facts.eligibility, self._asked(known))
        return self._decided(base, decision)

    def _asked(self, known: Memory) -> Asked:
        if not known.start_asked:
            return Asked.NOT_YET
        is_new = moment_of(self.now) - moment_of(known.start_asked) <= _AGREED_FOR
        return Asked.AGREED if is_new else Asked.UNDER_WAY

    def _decided(self, base: Enrolment, decision: Decision) -> Enrolment:
        match decision.step:
            case NextStep.REFUSE:
                state = State.NOT_ELIGIBLE if self.facts.eligibility.reason else State.FAILED
                return replace(base, state=state, reason=decision.reason)
            case NextStep.START:
                if self.memories is None:
                    reason = "its start waits: what earlier runs did could not be read"
                    return replace(base, state=State.IN_PROGRESS, reason=reason)
                step = Step(Act.START_STREAM, {"mode": decision.mode}, decision.reason)
                memory = replace(base.memory, start_asked=self.now)
                return replace(base, state=State.IN_PROGRESS, reason=decision.reason, steps=(step,), memory=memory)
            case _:
                return replace(base, state=State.IN_PROGRESS, reason=decision.reason)

    def _consumed(self, base: Enrolment) -> Enrolment:
        """A database whose stream is on: each of its consumers is created, or changed in place."""
        arn = base.stream_arn
        steps: list[Step] = []
        waits: list[str] = []
        failed: list[str] = []
        mapping = self.present.mappings.get(arn)
        if mapping is None:
            steps.append(Step(Act.CREATE_MAPPING, new_mapping(self.wanted.consumers, arn), "no function reads it"))
        elif mapping.is_changing:
            waits.append(f"its mapping is {mapping.state.lower()}")
        elif changes := mapping_changes(self.wanted.consumers, mapping):
            names = ", ".join(name for name in changes if name != "UUID")
            steps.append(Step(Act.UPDATE_MAPPING, changes, f"its mapping differs in {names}"))
        for kind in self.wanted.consumers.kinds:
            self._deliver(arn, kind, steps, waits, failed)
        if failed:
            return replace(base, state=State.FAILED, reason="; ".join(failed), steps=tuple(steps))
        if steps or waits:
            reason = "; ".join([*(step.reason for step in steps), *waits])
            return replace(base, state=State.IN_PROGRESS, reason=reason, steps=tuple(steps))
        return replace(base, state=State.WATCHED, reason="its activity stream is on, read and kept")

    def _deliver(self, arn: str, kind: Kind, steps: list[Step], waits: list[str], failed: list[str]) -> None:
        consumers = self.wanted.consumers
        name = delivery_name(consumers, kind, resource_id_of(arn))
        found = self.present.deliveries.get((arn, kind))
        if found is None:
            if self.present.delivery_names is None:
                waits.append(f"Firehose could not be asked for its {kind} delivery")
            elif name in self.present.delivery_names:
                if not self.was_watched:
                    waits.append(f"its {kind} delivery has not been looked at")
            elif self.present.unread:
                # One of these may be its delivery: a second one would keep each record twice.
                waits.append(f"it may have a {kind} delivery: Firehose did not describe {min(self.present.unread)}")
            else:
                steps.append(
                    Step(Act.CREATE_DELIVERY, new_delivery(consumers, kind, arn), f"it has no {kind} delivery")
                )
        elif found.status == "CREATING_FAILED":
            failed.append(f"its {kind} delivery could not be created: {found.failure or 'Firehose says no reason'}")
            steps.append(Step(Act.DELETE_DELIVERY, {"DeliveryStreamName": found.name}, "its creation failed"))
        elif found.status != "ACTIVE":
            waits.append(f"its {kind} delivery is {found.status.lower().replace('_', ' ')}")
        elif changes := delivery_changes(consumers, found):
            steps.append(Step(Act.UPDATE_DELIVERY, changes, f"its {kind} delivery differs from the settings"))
