"""Whether the databases that a stack is to watch are there, can have an activity stream, and what a start does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daswatch.activity_streams.lifecycle import (
    DatabaseKind,
    DatabaseName,
    Decision,
    Eligibility,
    NextStep,
    RdsDatabase,
    Status,
    WantedMode,
    WantedStream,
    decide_start,
    effects_of_start,
)
from daswatch.aws.rds import ActivityStreams
from daswatch.enrolment.selection import Selection
from daswatch.errors import StreamRefused
from tools.artifacts.errors import UsageError


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: what the start does to databases whose stream does not run, and which could not be checked."""

    effects: dict[DatabaseName, tuple[str, ...]]
    unseen: dict[DatabaseName, str]


def new_names(databases: str, before: str) -> list[DatabaseName]:
    """The databases that the parameter names and the stack has not yet: what it has was looked at when it came."""
    return sorted(Selection.parse(databases).names - Selection.parse(before).names, key=str)


def starts(gateway: ActivityStreams, databases: str, before: str, stream: WantedStream) -> Looked:
    """What happens to the databases that a tag or `all` selects and the stack has not yet. Raises RdsUnavailable.

    What cannot have a stream is passed over: no name asks for it.
    """
    looked, selection, known = Looked({}, {}), Selection.parse(databases), Selection.parse(before)
    if not selection.tags and not selection.everything:
        return looked
    try:
        found = gateway.find_all()
    except StreamRefused as exc:
        looked.unseen[DatabaseName(DatabaseKind.CLUSTER, "*")] = str(exc)
        return looked
    for one in found:
        name = DatabaseName(one.rds.name.kind, one.rds.name.identifier)
        if name in selection.names or not selection.reason(one) or known.reason(one):
            continue
        decision = _decision(gateway, one.rds, stream)
        if decision.step is NextStep.START:
            looked.effects[name] = effects_of_start(name.kind, one.rds.engine, decision.mode)
    return looked


def _decision(gateway: ActivityStreams, database: RdsDatabase, wanted: WantedStream) -> Decision:
    """What enrolment is going to do. Only what is stopped is asked for. Raises StreamRefused, RdsUnavailable."""
    stopped = database.stream.status is Status.STOPPED
    return decide_start(wanted, database, gateway.eligibility(database) if stopped else Eligibility())


def look_at(gateway: ActivityStreams, names: Iterable[DatabaseName], wanted: WantedStream) -> Looked:
    """Raises UsageError that names each which is not there or cannot have a stream; RdsUnavailable."""
    looked, problems = Looked({}, {}), []
    for name in names:
        try:
            database = gateway.find(name)
            decision = _decision(gateway, database, wanted)
        except StreamRefused as exc:
            if exc.__cause__ is None:
                problems.append(str(exc))
            else:  # AWS denies the look: who deploys need not be allowed to, CloudFormation's answer has to do
                looked.unseen[name] = str(exc)
            continue
        if decision.step is NextStep.REFUSE:
            problems.append(decision.reason)
        elif decision.step is NextStep.START:
            looked.effects[name] = effects_of_start(database.name.kind, database.engine, decision.mode)
    if problems:
        raise UsageError(
            "; ".join(problems),
            "`.venv/bin/daswatch stream status` lists the databases of the region that can have one",
        )
    return looked


def wanted(parameters: dict[str, str]) -> WantedStream:
    """How enrolment is going to start the streams, as far as the parameters say."""
    return WantedStream(
        parameters.get("ActivityStreamKey", ""),
        WantedMode(parameters.get("StreamMode", WantedMode.ASYNC)),
        parameters.get("NativeAuditFields") == "true",
    )
