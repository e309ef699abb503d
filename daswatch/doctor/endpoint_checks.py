"""What was looked up at the OpenSearch endpoint -> checks: who may sign in, what is installed, and what arrives.

Beside `daswatch.doctor.aws_checks`, which judges what is in AWS. The clock is an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daswatch.content.model import ContentKind, Operation, Plan
from daswatch.content.sizing import GIB, LARGEST_SHARD_BYTES, SHARDS_PER_HEAP_GIB
from daswatch.doctor.aws_checks import Check, CheckStatus, Subject, broken, in_words, ok, warning
from daswatch.doctor.deployment import WatchedDatabase
from daswatch.errors import Reason

FRESH = timedelta(minutes=5)
QUIET = timedelta(days=1)
_YESTERDAY = "yesterday's shards"
_LISTED = 5  # names in one reason
_TEMPLATES = frozenset({ContentKind.COMPONENT_TEMPLATE, ContentKind.INDEX_TEMPLATE})
_SETUP = "`daswatch setup --dry-run` shows it, `make deploy` or `daswatch setup` installs it"
_LETTER_MENDS = {
    Reason.DATA_KEY_REFUSED: "KMS refuses the data key: the key's policy, or a record of another database",
    Reason.NOT_DECRYPTABLE: "the records do not open: was the key replaced?",
    Reason.DOCUMENT_REFUSED: "OpenSearch refuses these documents alone: `detail` names its error",
    Reason.NOT_A_NOTIFICATION: "a monitor of yours notifies in a form that cannot be read: docs/detections.md",
}
_LOOK = "in Dashboards: each line names its reason and its object in S3"


@dataclass(frozen=True, slots=True)
class EndpointRefusal:
    """Why the endpoint did not answer; `status` is 0 where nothing came back, `kind` what it calls the error."""

    status: int
    told: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class InstancePulse:
    """An instance's pulse."""

    resource_id: str
    instance_id: str
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class RecentEvents:
    """What was indexed: the newest event's time of indexing, how many came in a day, and how many were dropped."""

    newest: datetime | None = None
    events: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunnerProgress:
    """How far the saved queries have come, and which are behind."""

    since: datetime
    behind: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shards:
    """Of the domain: yesterday's largest primary shard of events, all shards, and the data nodes' heap."""

    largest_index: str
    largest_bytes: int
    count: int
    heap_bytes: int


def refused(subject: Subject, name: str, refusal: EndpointRefusal, *, in_vpc: bool = False) -> Check:
    """Why nothing could be asked there, and who has to be let in."""
    match refusal.status:
        case 0 if in_vpc:
            reason = "no answer from here; the functions are inside a VPC, so the endpoint may be, too"
            mend = "run this inside the VPC, or through a tunnel with OPENSEARCH_ENDPOINT"
            return Check(subject, name, CheckStatus.UNKNOWN, reason, mend)
        case 0:
            mend = (
                "see that the endpoint's name and port are right and that it is up; a VPC's is reached from inside only"
            )
            return broken(subject, name, f"no answer: {refusal.told}", mend)
        case 401:
            mend = "it wants a user and password: OPENSEARCH_AUTH=basic with OPENSEARCH_SECRET_ARN"
            return broken(subject, name, "it does not know who asks (401)", mend)
        case 403 if refusal.kind == "security_exception":
            reason = (
                "fine-grained access control refuses whoever runs this (403): the role that it maps them to may not"
            )
            mend = "map your IAM role or user to all_access in Dashboards: Security, Roles, Mapped users"
            return Check(subject, name, CheckStatus.UNKNOWN, reason, mend)
        case 403:
            reason = f"the access policy refuses whoever runs this (403): {refusal.told}"
            mend = (
                "allow your IAM role es:ESHttp* in the domain's access policy; for Serverless, in a data access policy"
            )
            return Check(subject, name, CheckStatus.UNKNOWN, reason, mend)
        case 429 | 503:
            mend = "it is overloaded or red: see its CPU, storage and shards; records wait 23 hours in the stream"
            return broken(subject, name, f"it answers {refusal.status}", mend)
    return broken(
        subject, name, refusal.told, "see what the endpoint is: a domain's or collection's URL, without a path"
    )


def content_checks(plan: Plan) -> list[Check]:
    """Whether all that belongs there is there, by kind. Without index templates nothing is ingested."""
    checks = []
    for kind in ContentKind:
        steps = [one for one in plan.steps if one.content.kind is kind]
        to_do = [one for one in steps if one.step is not Operation.UNCHANGED]
        if not to_do and steps:
            checks.append(ok(Subject.CONTENT, kind.value, f"{len(steps)} as shipped"))
        if not to_do:
            continue
        missing = [one.content.name for one in to_do if one.step is Operation.CREATE]
        changed = [one.content.name for one in to_do if one.step is Operation.UPDATE]
        reason = "; ".join(
            f"{len(names)} {what}: {_some(names)}"
            for what, names in (("missing", missing), ("changed", changed))
            if names
        )
        judge = broken if missing and kind in _TEMPLATES else warning
        checks.append(judge(Subject.CONTENT, kind.value, reason, _SETUP))
    for left in plan.left_out:
        checks.append(ok(Subject.CONTENT, left.kind.value, f"{left.count} left out: {left.why}"))
    return checks


def pulse_checks(watched: Sequence[WatchedDatabase], heard: Iterable[InstancePulse], now: datetime) -> list[Check]:
    """Whether each database was heard, by instance."""
    by_database: dict[str, list[InstancePulse]] = {}
    for one in heard:
        by_database.setdefault(one.resource_id, []).append(one)
    return [_pulse(one, by_database.get(one.resource_id, []), now) for one in watched if one.resource_id]


def _pulse(watched: WatchedDatabase, heard: Sequence[InstancePulse], now: datetime) -> Check:
    name = f"{watched.name}, pulse"
    if not heard:
        mend = "the checks above say why: the stream, its key, the mapping; then the log of the ingest function"
        return broken(Subject.DATA, name, "never heard: not one record of it has been ingested", mend)
    silent = sorted((one for one in heard if now - one.last_seen > FRESH), key=lambda one: one.last_seen)
    latest = max(one.last_seen for one in heard)
    age = in_words((now - latest).total_seconds())
    if len(silent) == len(heard):
        mend = "the checks above say why; else the log and the iterator age of the ingest function"
        return broken(Subject.DATA, name, f"silent for {age}", mend)
    if silent:
        told = _some([f"{one.instance_id} for {in_words((now - one.last_seen).total_seconds())}" for one in silent])
        mend = "nothing, if these were stopped or removed: they are forgotten after 7 days; else look at the instance"
        return warning(Subject.DATA, name, f"silent: {told}", mend)
    return ok(Subject.DATA, name, f"{len(heard)} instances, heard {age} ago")


def arrival_checks(arrivals: RecentEvents, now: datetime) -> list[Check]:
    """Whether events are indexed, and how many are dropped as noise."""
    dropped = sum(arrivals.drops.values())
    told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(arrivals.drops.items())) or "none"
    drops = ok(Subject.DATA, "dropped in 24 h", told)
    if dropped and not arrivals.events:
        reason = f"{told}, and no event was kept"
        mend = "nothing, if nobody used the databases; else see EXCLUDED_USERS: it names too many"
        drops = warning(Subject.DATA, "dropped in 24 h", reason, mend)
    name = "events"
    if arrivals.newest is None:
        mend = "run a statement in a watched database: it is there within a minute, if the pulse is fresh"
        return [warning(Subject.DATA, name, "none has ever been indexed", mend), drops]
    age = now - arrivals.newest
    words = in_words(age.total_seconds())
    if age > QUIET:
        mend = (
            "run a statement in a watched database: with a fresh pulse and no event after a minute, see EXCLUDED_USERS"
        )
        return [warning(Subject.DATA, name, f"the newest was indexed {words} ago", mend), drops]
    return [ok(Subject.DATA, name, f"the newest was indexed {words} ago, {arrivals.events:,} in 24 h"), drops]


def shard_checks(shards: Shards) -> list[Check]:
    """Whether yesterday's shards were small enough, and all of them few enough for the heap (docs/sizing.md)."""
    propose = "`daswatch setup --size EVENTS_PER_DAY` proposes settings"
    size = f"{shards.largest_bytes / GIB:,.1f} GiB"
    largest = ok(Subject.SEARCH, _YESTERDAY, f"the largest had {size}" if shards.largest_index else "none")
    if shards.largest_bytes > LARGEST_SHARD_BYTES:
        reason = f"one of {shards.largest_index} had {size}, more than {LARGEST_SHARD_BYTES / GIB:.0f}"
        largest = warning(Subject.SEARCH, _YESTERDAY, reason, f"more primary shards: {propose}")
    most = int(shards.heap_bytes / GIB * SHARDS_PER_HEAP_GIB)
    counted = f"{shards.count:,}, with {shards.heap_bytes / GIB:,.1f} GiB of heap in the data nodes"
    number = ok(Subject.SEARCH, "shards", counted)
    if shards.count > most:
        next_step = f"larger or more nodes, a shorter retention, or fewer primary shards: {propose}"
        number = warning(Subject.SEARCH, "shards", f"{counted}: AWS advises {most:,} at most", next_step)
    return [largest, number]


def dead_letter_check(counts: Mapping[str, int], index: str) -> Check:
    """What could never be indexed in the last day, by reason; `index` has a line about each."""
    name = "dead letters in 24 h"
    if not counts:
        return ok(Subject.DATA, name, "none")
    told = ", ".join(f"{count:,} {reason}" for reason, count in Counter(counts).most_common())
    known = [_LETTER_MENDS[reason] for reason in Reason if reason in counts and reason in _LETTER_MENDS]
    return warning(Subject.DATA, name, told, "; ".join([*known, f"open {index} {_LOOK}"]))


def runner_checks(runner: RunnerProgress | None, now: datetime) -> list[Check]:
    """Whether the saved queries run each minute, all of them."""
    name = "saved queries"
    mend = "see the log of the findings function, and that its schedule (…-each-minute) is enabled in EventBridge"
    if runner is None:
        return [broken(Subject.FINDINGS, name, "they have never run", mend)]
    age = now - runner.since
    words = in_words(age.total_seconds())
    if age > FRESH:
        return [broken(Subject.FINDINGS, name, f"they last ran {words} ago", mend)]
    if runner.behind:
        told = _some([f"{one} since {since:%Y-%m-%d %H:%M}" for one, since in sorted(runner.behind.items())])
        mend = (
            "nothing while these times move on: it catches up; else the log of the findings function names the cause, "
            "and `daswatch detections backtest` tries a query"
        )
        return [warning(Subject.FINDINGS, name, f"{len(runner.behind)} are behind: {told}", mend)]
    return [ok(Subject.FINDINGS, name, f"they looked at all that arrived until {words} ago")]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
