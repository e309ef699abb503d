"""Whether the databases that a stack is to watch are there, and can have an activity stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daswatch.activity_streams.lifecycle import (
    DatabaseName,
    Eligibility,
    NextStep,
    Status,
    WantedMode,
    WantedStream,
    decide_start,
    effects_of_start,
    read_name,
)
from daswatch.aws.rds import ActivityStreams
from daswatch.errors import StreamRefused
from tools.artifacts.errors import UsageError


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: what the start does to databases whose stream does not run, and which could not be checked."""

    effects: dict[DatabaseName, tuple[str, ...]]
    unseen: dict[DatabaseName, str]


def new_names(databases: str, before: str) -> list[DatabaseName]:
    """The databases of the parameter that the stack has not yet: what it has was looked at when it came."""
    known = {part.strip() for part in before.split(",")}
    return [read_name(part) for part in databases.split(",") if part.strip() not in known]


def look_at(gateway: ActivityStreams, names: Iterable[DatabaseName], wanted: WantedStream) -> Looked:
    """Raises UsageError that names each which is not there or cannot have a stream; RdsUnavailable."""
    looked, problems = Looked({}, {}), []
    for name in names:
        try:
            database = gateway.find(name)
            stopped = database.stream.status is Status.STOPPED
            decision = decide_start(wanted, database, gateway.eligibility(database) if stopped else Eligibility())
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
    """How the setup function is going to start the streams, as far as the parameters say."""
    return WantedStream(
        parameters.get("ActivityStreamKey", ""),
        WantedMode(parameters.get("StreamMode", WantedMode.ASYNC)),
        parameters.get("NativeAuditFields") == "true",
    )
