"""What is remembered of each database: a document of `das-enrolments`, and what a run makes of it.

In: enrolments, and what became of their steps. Out: documents. They are written before a stream is started, and after
each run where something changed; the doctor, dashboards and the posture read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from daswatch.enrolment.consumers import Consumers, DeliveryFound, Kind, delivery_prefix
from daswatch.enrolment.plan import Act, Enrolment, Memory, Step
from daswatch.fleet.database import document_id
from daswatch.times import moment_of

Document = Mapping[str, Any]  # of `das-enrolments`

# So many deliveries are described in one run: Firehose answers five such calls a second.
MAX_DESCRIBED = 100
_DESCRIBED_EVERY = timedelta(hours=1)
_KEPT_STEPS = 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step; `failure` is empty where AWS agreed."""

    step: Step
    failure: str = ""


def memory_of(document: Document) -> Memory:
    """What a document remembers."""
    return Memory(document.get("startAsked", ""), document.get("wasOn", False))


def to_describe(names: Iterable[str], documents: Mapping[str, Document], consumers: Consumers, now: str) -> list[str]:
    """The delivery streams to look at in this run: those that no run has seen, then those not seen for longest.

    `documents` are by resource id. Names that another tool gave may be of an earlier release, and are always looked at.
    """
    oldest = moment_of(now) - _DESCRIBED_EVERY
    due: list[tuple[str, str]] = []
    for name in names:
        kind, resource_id = _read_name(name, consumers)
        checked = documents.get(resource_id, {}).get("checked", {}).get(kind or "", "")
        if kind is None:
            if name.startswith(f"{consumers.name}-") and name != f"{consumers.name}-rows":
                due.append(("", name))
        elif not checked or moment_of(checked) < oldest or documents[resource_id].get("state") != "watched":
            due.append((checked, name))
    return [name for _, name in sorted(due)[:MAX_DESCRIBED]]


def _read_name(name: str, consumers: Consumers) -> tuple[Kind | None, str]:
    for kind in Kind:
        prefix = delivery_prefix(consumers, kind)
        if name.startswith((f"{prefix}cluster-", f"{prefix}db-")):
            return kind, name.removeprefix(prefix)
    return None, ""


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
    state = "failed" if failures else str(enrolment.state)
    is_same = (before.get("state"), before.get("reason")) == (state, reason)
    steps = [{"at": now, "call": str(one.step.act), "outcome": one.failure or "done"} for one in outcomes]
    checked = {**before.get("checked", {}), **{str(one.kind): now for one in described}}
    memory = enrolment.memory
    if any(one.step.act is Act.START_STREAM and one.failure for one in outcomes):
        memory = replace(memory, start_asked=before.get("startAsked", ""))
    document = {
        "name": enrolment.name,
        "resourceId": enrolment.resource_id or enrolment.name,
        "awsAccountId": enrolment.place.account_id,
        "awsRegion": enrolment.place.region,
        "state": state,
        "reason": reason,
        "since": before.get("since", now) if is_same else now,
        "selectedBy": enrolment.selected_by,
        "startAsked": memory.start_asked,
        "wasOn": memory.was_on,
        "checked": checked,
        "steps": [*before.get("steps", ()), *steps][-_KEPT_STEPS:],
    }
    return {name: value for name, value in document.items() if value not in ("", {}, [], False)}


def id_of(enrolment: Enrolment) -> str:
    """The id of its document; that of a name that no database has is the name."""
    return document_id(enrolment.place, enrolment.resource_id or enrolment.name)
