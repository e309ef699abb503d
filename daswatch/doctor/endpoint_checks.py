"""Look-ups at the OpenSearch endpoint -> checks: access, installed content, and arriving data.

`daswatch.doctor.aws_checks` does the same for AWS. The clock is an argument.
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
_DEAD_LETTER_FIXES = {
    Reason.DATA_KEY_REFUSED: "the data key is another database's, or was changed: `detail` names KMS's answer",
    Reason.NOT_DECRYPTABLE: "the records cannot be decrypted: was the key replaced?",
    Reason.DOCUMENT_REFUSED: "OpenSearch refuses these documents alone: `detail` names its error",
    Reason.NOT_A_NOTIFICATION: "a monitor of yours notifies in a form that cannot be read: docs/detections.md",
}
_LOOK = "in Dashboards: each line has its reason and its object in S3"


@dataclass(frozen=True, slots=True)
class EndpointRefusal:
    """Why the endpoint did not answer; `status` is 0 without an answer, `kind` its name for the error."""

    status: int
    message: str
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
    """Check why requests to the endpoint fail, and who needs access."""
    match refusal.status:
        case 0 if in_vpc:
            reason = "no answer from here; the functions are inside a VPC, so the endpoint may be, too"
            fix = "run this inside the VPC, or through a tunnel with OPENSEARCH_ENDPOINT"
            return Check(subject, name, CheckStatus.UNKNOWN, reason, fix)
        case 0:
            fix = "check the endpoint's name and port, and that it is up; one in a VPC is reached from inside only"
            return broken(subject, name, f"no answer: {refusal.message}", fix)
        case 401:
            fix = "it wants a user and password: OPENSEARCH_AUTH=basic with OPENSEARCH_SECRET_ARN"
            return broken(subject, name, "it does not accept the credentials (401)", fix)
        case 403 if refusal.kind == "security_exception":
            reason = "fine-grained access control denies your role (403): the role it is mapped to has no permission"
            fix = "map your IAM role or user to all_access in Dashboards: Security, Roles, Mapped users"
            return Check(subject, name, CheckStatus.UNKNOWN, reason, fix)
        case 403:
            reason = f"the access policy denies your role (403): {refusal.message}"
            fix = (
                "allow your IAM role es:ESHttp* in the domain's access policy; for Serverless, in a data access policy"
            )
            return Check(subject, name, CheckStatus.UNKNOWN, reason, fix)
        case 429 | 503:
            fix = "it is overloaded or red: check its CPU, storage and shards; records wait 23 hours in the stream"
            return broken(subject, name, f"it answers {refusal.status}", fix)
    return broken(
        subject, name, refusal.message, "check the endpoint: it is a domain's or collection's URL, without a path"
    )


def content_checks(plan: Plan) -> list[Check]:
    """Check that all content is installed, by kind. Without index templates nothing is ingested."""
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
    """Check that each database sent records, by instance."""
    by_database: dict[str, list[InstancePulse]] = {}
    for one in heard:
        by_database.setdefault(one.resource_id, []).append(one)
    return [_pulse(one, by_database.get(one.resource_id, []), now) for one in watched if one.resource_id]


def _pulse(watched: WatchedDatabase, heard: Sequence[InstancePulse], now: datetime) -> Check:
    name = f"{watched.name}, pulse"
    if not heard:
        fix = "see the checks above (stream, key, mapping), then the log of the ingest function"
        return broken(Subject.DATA, name, "no record of it has ever been ingested", fix)
    silent = sorted((one for one in heard if now - one.last_seen > FRESH), key=lambda one: one.last_seen)
    latest = max(one.last_seen for one in heard)
    age = in_words((now - latest).total_seconds())
    if len(silent) == len(heard):
        fix = "see the checks above, then the log and the iterator age of the ingest function"
        return broken(Subject.DATA, name, f"silent for {age}", fix)
    if silent:
        listed = _some([f"{one.instance_id} for {in_words((now - one.last_seen).total_seconds())}" for one in silent])
        fix = "nothing if they were stopped or removed: they are forgotten after 7 days; else check the instance"
        return warning(Subject.DATA, name, f"silent: {listed}", fix)
    return ok(Subject.DATA, name, f"{len(heard)} instances, last record {age} ago")


def arrival_checks(arrivals: RecentEvents, now: datetime) -> list[Check]:
    """Check that events are indexed, and how many are dropped as noise."""
    dropped = sum(arrivals.drops.values())
    listed = ", ".join(f"{count:,} {reason}" for reason, count in sorted(arrivals.drops.items())) or "none"
    drops = ok(Subject.DATA, "dropped in 24 h", listed)
    if dropped and not arrivals.events:
        reason = f"{listed}, and no event was kept"
        fix = "nothing if the databases were not used; else check EXCLUDED_USERS: it names too many"
        drops = warning(Subject.DATA, "dropped in 24 h", reason, fix)
    name = "events"
    if arrivals.newest is None:
        fix = "run a statement in a watched database: it is indexed within a minute if the pulse is fresh"
        return [warning(Subject.DATA, name, "none has ever been indexed", fix), drops]
    age = now - arrivals.newest
    words = in_words(age.total_seconds())
    if age > QUIET:
        fix = "run a statement in a watched database: if no event comes and the pulse is fresh, check EXCLUDED_USERS"
        return [warning(Subject.DATA, name, f"the newest was indexed {words} ago", fix), drops]
    return [ok(Subject.DATA, name, f"the newest was indexed {words} ago, {arrivals.events:,} in 24 h"), drops]


def shard_checks(shards: Shards) -> list[Check]:
    """Check that yesterday's shards were small enough, and all of them few enough for the heap (docs/sizing.md)."""
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
    """Check for dead letters of the last day, by reason; `index` has a line for each."""
    name = "dead letters in 24 h"
    if not counts:
        return ok(Subject.DATA, name, "none")
    listed = ", ".join(f"{count:,} {reason}" for reason, count in Counter(counts).most_common())
    known = [_DEAD_LETTER_FIXES[reason] for reason in Reason if reason in counts and reason in _DEAD_LETTER_FIXES]
    return warning(Subject.DATA, name, listed, "; ".join([*known, f"open {index} {_LOOK}"]))


def runner_checks(runner: RunnerProgress | None, now: datetime) -> list[Check]:
    """Check that all saved queries run each minute."""
    name = "saved queries"
    fix = "check the log of the findings function, and that its schedule (…-each-minute) is enabled in EventBridge"
    if runner is None:
        return [broken(Subject.FINDINGS, name, "they have never run", fix)]
    age = now - runner.since
    words = in_words(age.total_seconds())
    if age > FRESH:
        return [broken(Subject.FINDINGS, name, f"they last ran {words} ago", fix)]
    if runner.behind:
        listed = _some([f"{one} since {since:%Y-%m-%d %H:%M}" for one, since in sorted(runner.behind.items())])
        fix = (
            "nothing while these times advance: it catches up; else the log of the findings function has the cause, "
            "and `daswatch detections backtest` tries a query"
        )
        return [warning(Subject.FINDINGS, name, f"{len(runner.behind)} are behind: {listed}", fix)]
    return [ok(Subject.FINDINGS, name, f"they have evaluated everything that arrived until {words} ago")]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
