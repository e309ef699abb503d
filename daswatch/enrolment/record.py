"""What is remembered of each database: a document of `das-enrolments`, and what a run makes of it.

In: enrolments, and what became of their steps. Out: documents. They are written before a stream is started, and after
each run where something changed; the doctor, dashboards and the posture read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from daswatch.enrolment.consumers import Consumers, DeliveryFound, Kind, read_delivery_name
from daswatch.enrolment.plan import Act, Enrolment, Memory, State, Step
from daswatch.fleet.database import Place, document_id
from daswatch.times import moment_of

Document = Mapping[str, Any]  # of `das-enrolments`

# So many deliveries are described in one run: Firehose answers five such calls a second.
MAX_DESCRIBED = 100
_DESCRIBED_EVERY = timedelta(hours=1)
_KEPT_STEPS = 20
_KEPT_GAPS = 20
_DONE = "done"
_OF_ENROLMENT = re.compile(rf"-(?:{'|'.join(Kind)})-(?:cluster|db)-[A-Z0-9]+$")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step; `failure` is empty where AWS agreed.

    `is_passing` says that the next run takes the step again by itself, `may_have_effect` that AWS may have done it,
    `ends_act` that the same call for other databases would fail as well: throttled, or beyond a quota.
    """

    step: Step
    failure: str = ""
    is_passing: bool = False
    may_have_effect: bool = False
    ends_act: bool = False


_WHOLE, _LOST, _LEFT = "complete", "complete, lost: ", "not yet: "


@dataclass(frozen=True, slots=True)
class EvidenceBegin:
    """Whether the evidence begins with the first record of the stream: what was lost, or what it waits for."""

    complete: bool
    lost: str = ""
    left: str = ""

    def __str__(self) -> str:
        """As a document has it."""
        if not self.complete:
            return f"{_LEFT}{self.left}"
        return f"{_LOST}{self.lost}" if self.lost else _WHOLE


def is_whole(begin: str) -> bool:
    """Whether a document's `evidenceStart` says that nothing is missing."""
    return begin == _WHOLE


def has_begin(document: Document) -> bool:
    """Whether nothing is left to write of the records before the delivery began; some may be lost."""
    return str(document.get("evidenceStart", "")).startswith(_WHOLE)


def memory_of(document: Document) -> Memory:
    """What a document remembers."""
    return Memory(
        document.get("startAsked", ""),
        document.get("wasOn", False),
        was_watched=document.get("state") == State.WATCHED,
        gone_since=document.get("goneSince", ""),
    )


def foreign_names(names: Iterable[str], consumers: Consumers) -> frozenset[str]:
    """Delivery streams of this deployment that another tool gave their names, an earlier release for example."""
    return frozenset(
        name
        for name in names
        if name.startswith(f"{consumers.name}-")
        and name != f"{consumers.name}-rows"
        and not _OF_ENROLMENT.search(name)  # ours, or those of a deployment with a longer name
    )


def to_describe(names: Iterable[str], documents: Mapping[str, Document], consumers: Consumers, now: str) -> list[str]:
    """The delivery streams to look at in this run: those that no run has seen, then those not seen for longest.

    `documents` are by resource id. Those with names that another tool gave are always looked at: which stream they
    read is nowhere remembered.
    """
    oldest = moment_of(now) - _DESCRIBED_EVERY
    names = list(names)
    due: list[tuple[str, str]] = []
    for name in names:
        if (read := read_delivery_name(consumers, name)) is None:
            continue
        kind, resource_id = read
        document = documents.get(resource_id, {})
        checked = document.get("checked", {}).get(kind, "")
        if not checked or moment_of(checked) < oldest or document.get("state") != State.WATCHED:
            due.append((checked, name))
    return [*sorted(foreign_names(names, consumers)), *(name for _, name in sorted(due)[:MAX_DESCRIBED])]


def started_document_of(enrolment: Enrolment, before: Document | None, now: str) -> dict[str, Any]:
    """The document before a stream is started: as if it had been, so that a run that ends in between starts it once."""
    (step,) = (step for step in enrolment.steps if step.act is Act.START_STREAM)
    document = document_of(enrolment, [Outcome(step)], (), before, now)
    return _without_empty({**document, **_steps((before or {}).get("steps", ()))})


def document_of(
    enrolment: Enrolment,
    outcomes: Iterable[Outcome],
    described: Iterable[DeliveryFound],
    before: Document | None,
    now: str,
) -> dict[str, Any]:
    """The document after a run. `before` is that of the run before, if any."""
    before = before or {}
    outcomes = list(outcomes)
    failures = [f"{one.step.act}: {one.failure}" for one in outcomes if one.failure]
    reason = "; ".join(failures) or enrolment.reason
    needs_person = any(one.failure and not one.is_passing for one in outcomes)
    state = str(State.FAILED if needs_person else enrolment.state)
    is_same = (before.get("state"), before.get("reason")) == (state, reason)
    steps = [{"at": now, "call": str(one.step.act), "outcome": one.failure or _DONE} for one in outcomes]
    memory = enrolment.memory
    # A failed creation has delivered nothing, and the deliveries of a Kinesis stream that is gone end with it.
    seen = {str(one.kind): now for one in described if one.status != "CREATING_FAILED"}
    checked = {} if memory.gone_since else {**before.get("checked", {}), **seen}
    asked = [one for one in outcomes if one.step.act is Act.START_STREAM and (not one.failure or one.may_have_effect)]
    if enrolment.starts and not asked:
        memory = replace(memory, start_asked=before.get("startAsked", ""))
    delivered = any(_creates_evidence(one) for one in outcomes)
    gaps = [*before.get("evidenceGaps", ())]
    if delivered and (last_seen := before.get("checked", {}).get(Kind.EVIDENCE)):
        gaps.append(f"{last_seen} to {now}")
    document = {
        **_name(enrolment, before),
        "resourceId": enrolment.resource_id or enrolment.name,
        "awsAccountId": enrolment.place.account_id,
        "awsRegion": enrolment.place.region,
        "state": state,
        "reason": reason,
        "since": before.get("since", now) if is_same else now,
        "selectedBy": enrolment.selected_by,
        "startAsked": memory.start_asked,
        "wasOn": memory.was_on,
        "goneSince": memory.gone_since,
        "checked": checked,
        "evidenceStart": "" if delivered else before.get("evidenceStart", ""),
        "evidenceGaps": gaps[-_KEPT_GAPS:],
        **_steps([*before.get("steps", ()), *steps][-_KEPT_STEPS:]),
    }
    return _without_empty(document)


def _name(enrolment: Enrolment, before: Document) -> dict[str, Any]:
    """The fields of a database's name, as in the inventory; of one that is gone, those of the run before."""
    kind, _, identifier = enrolment.name.rpartition(":")
    found = {"databaseIdentifier": identifier, "databaseKind": kind} if kind else before
    return {name: found.get(name, "") for name in ("databaseIdentifier", "databaseKind")}


def _steps(steps: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The steps, and those of the last run that took any in fields of their own: tables show no lists of objects."""
    at = steps[-1]["at"] if steps else ""
    last = [one for one in steps if one["at"] == at]
    failures = [f"{one['call']}: {one['outcome']}" for one in last if one["outcome"] != _DONE]
    return {
        "steps": list(steps),
        "lastStepAt": at,
        "lastStepCalls": [one["call"] for one in last],
        "lastStepOutcome": "; ".join(failures) or (_DONE if last else ""),
    }


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value not in ("", {}, [], False)}


def vanished_documents(
    documents: Iterable[Document], enrolments: Iterable[Enrolment], now: str
) -> Iterator[tuple[str, Document]]:
    """The documents, by id, of databases and names that are gone, and that nothing of this deployment reads.

    `documents` and `enrolments` are all of a place.
    """
    planned = {id_of(one) for one in enrolments}
    for before in documents:
        place = Place(before["awsAccountId"], before["awsRegion"])
        id_ = document_id(place, before["resourceId"])
        state, reason = State.GONE, "its database is gone"
        if ":" in before["resourceId"]:  # a name that no database had
            state, reason = State.NOT_SELECTED, "its name is no longer selected, or a database has it"
        if id_ not in planned and before.get("state") != state:
            yield id_, {**before, "state": str(state), "reason": reason, "since": now}


def name_of(document: Document) -> str:
    """The name of its database, like cluster:orders; the resource id where the name is not known."""
    if "databaseIdentifier" not in document:
        return str(document["resourceId"])
    return f"{document['databaseKind']}:{document['databaseIdentifier']}"


def id_of(enrolment: Enrolment) -> str:
    """The id of its document; that of a name that no database has is the name."""
    return document_id(enrolment.place, enrolment.resource_id or enrolment.name)


def _creates_evidence(outcome: Outcome) -> bool:
    creates = outcome.step.act is Act.CREATE_DELIVERY and not outcome.failure
    return creates and "ExtendedS3DestinationConfiguration" in outcome.step.parameters
