"""The posture of each database: whether it is audited, and if not, why.

In: a document of the inventory, what RDS offers it, the state of its key, and when its stream was last heard. Out: one
verdict with its reason. Whether records arrive is judged by the pulse alone: in RDS, a stream that is not read, is read
late or has stopped sending looks the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from daswatch.activity_streams.lifecycle import Mode, Status, why_at_rest
from daswatch.fleet.database import Document, Facts, KeyState
from daswatch.times import moment_of

# Tags by which the owner of a database excepts it: why, and until which day (a date, like 2031-12-31).
EXCEPTION_TAG = "daswatch:exception"
EXCEPTION_UNTIL_TAG = "daswatch:exception-until"

# A new stream needs some minutes until its first heartbeat is read.
_GRACE = timedelta(minutes=15)
# Heartbeats come about once a second, and a pulse is written every 20 seconds.
_LATE = timedelta(minutes=10)


class Verdict(StrEnum):
    """Whether a database is audited."""

    COVERED = "covered"
    STARTING = "starting"  # on, or about to be, and not heard yet
    OFF = "off"  # it could be audited
    NOT_ELIGIBLE = "not-eligible"
    NOT_CONSUMED = "not-consumed"  # on, and nothing of it has ever arrived
    LAGGING = "lagging"  # what arrives is late
    SILENT = "silent"  # nothing arrives any more
    KEY_UNUSABLE = "key-unusable"
    POLICY_UNLOCKED = "policy-unlocked"  # SQL Server: what is audited can be changed
    ASYNCHRONOUS = "asynchronous"  # where synchronous is demanded
    EXCEPTED = "excepted"  # by its owner
    UNKNOWN = "unknown"  # it could not be looked at


# What needs an action stands first.
BY_URGENCY = (
    *(Verdict.KEY_UNUSABLE, Verdict.SILENT, Verdict.NOT_CONSUMED, Verdict.OFF, Verdict.UNKNOWN, Verdict.LAGGING),
    *(Verdict.POLICY_UNLOCKED, Verdict.ASYNCHRONOUS, Verdict.STARTING, Verdict.EXCEPTED, Verdict.NOT_ELIGIBLE),
    Verdict.COVERED,
)
# What no stream is expected of.
EXEMPT = frozenset({Verdict.NOT_ELIGIBLE, Verdict.EXCEPTED})


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason, as a sentence without the database's name."""

    verdict: Verdict
    reason: str


def judged(document: Document, facts: Facts, now: str, *, demands_sync: bool = False) -> Judgement:
    """The verdict on one database. `now` is ISO 8601 in UTC."""
    found = _with_status(_judged(document, facts, moment_of(now), demands_sync=demands_sync), document)
    if found.verdict in (Verdict.COVERED, Verdict.NOT_ELIGIBLE):
        return found
    is_valid, words = exception_of(document.get("tags", {}), moment_of(now).date())
    if is_valid:
        return Judgement(Verdict.EXCEPTED, f"{words}; {found.reason}")
    return Judgement(found.verdict, f"{found.reason}; {words}") if words else found


def exception_of(tags: Mapping[str, str], today: date) -> tuple[bool, str]:
    """Whether the owner of a database excepts it today, and why; or why its exception does not count.

    Without an exception, the words are empty.
    """
    why = tags.get(EXCEPTION_TAG, "").strip()
    if not why:
        return False, ""
    try:
        until = date.fromisoformat(tags.get(EXCEPTION_UNTIL_TAG, "").strip())
    except ValueError:
        return False, f"its exception has no end (expected: tag {EXCEPTION_UNTIL_TAG}, like 2031-12-31)"
    if until < today:
        return False, f"its exception ended on {until.isoformat()}"
    return True, f"{why} (until {until.isoformat()})"


def _with_status(found: Judgement, document: Document) -> Judgement:
    """The judgement with why the database does not work, where that keeps its stream from starting or sending."""
    why = why_at_rest(document.get("status", ""))
    if why and found.verdict in (Verdict.OFF, Verdict.NOT_CONSUMED, Verdict.SILENT):
        return Judgement(found.verdict, f"{found.reason}; the database {why}")
    return found


def _judged(document: Document, facts: Facts, now: datetime, *, demands_sync: bool) -> Judgement:
    status = document["streamStatus"]
    if status == Status.STOPPED:
        if facts.eligibility.reason:
            return Judgement(Verdict.NOT_ELIGIBLE, facts.eligibility.reason)
        if facts.unknown:
            return Judgement(Verdict.UNKNOWN, f"its activity stream is off, and may be impossible: {facts.unknown}")
        return Judgement(Verdict.OFF, "its activity stream is off")
    if status == Status.STOPPING:
        return Judgement(Verdict.OFF, "its activity stream is stopping")
    if status == Status.STARTING:
        return Judgement(Verdict.STARTING, "its activity stream is starting")
    if facts.key_state not in ("", KeyState.ENABLED):
        return Judgement(
            Verdict.KEY_UNUSABLE,
            f"the key of its activity stream is {_words(facts.key_state)}: nothing can be decrypted",
        )
    if heard := _heard(document, facts, now):
        return heard
    policy = document.get("streamPolicyStatus", "")
    if policy.startswith("unlock"):
        return Judgement(Verdict.POLICY_UNLOCKED, "its audit policy is unlocked: what is audited can be changed")
    if demands_sync and document.get("streamMode") != Mode.SYNC:
        return Judgement(Verdict.ASYNCHRONOUS, "its activity stream is asynchronous, and synchronous is demanded")
    return Judgement(Verdict.COVERED, "its activity stream is on, and its records arrive")


def _heard(document: Document, facts: Facts, now: datetime) -> Judgement | None:
    """What is wrong with what arrives, None where nothing is."""
    if facts.last_pulse is None:
        return Judgement(
            Verdict.UNKNOWN, "its activity stream is on; without OPENSEARCH_ENDPOINT, arrivals are unknown"
        )
    if not facts.last_pulse:
        since = document.get("streamSince")
        if since and now - moment_of(since) < _GRACE:
            return Judgement(Verdict.STARTING, "its activity stream is on, and its first heartbeat is to come")
        return Judgement(Verdict.NOT_CONSUMED, "its activity stream is on, and nothing of it has ever arrived")
    behind = now - moment_of(facts.last_pulse)
    if behind < _LATE:
        return None
    minutes = int(behind / timedelta(minutes=1))
    if facts.pulse_before and facts.last_pulse > facts.pulse_before:
        return Judgement(Verdict.LAGGING, f"its records arrive {minutes:,} minutes late")
    return Judgement(Verdict.SILENT, f"nothing of it has arrived for {minutes:,} minutes")


def _words(state: str) -> str:
    """KMS's state of a key in words: `PendingDeletion` is `pending deletion`."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in state).strip()


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many databases have each verdict."""

    counts: Mapping[str, int]

    @property
    def expected(self) -> int:
        """Of how many databases a stream is expected."""
        return sum(count for verdict, count in self.counts.items() if verdict not in EXEMPT)

    @property
    def covered(self) -> int:
        """How many are audited."""
        return self.counts.get(Verdict.COVERED, 0)

    @property
    def percent(self) -> float:
        """How many of a hundred expected ones are audited; 100 where none is expected."""
        return 100.0 * self.covered / self.expected if self.expected else 100.0


def coverage(documents: Iterable[Document]) -> Coverage:
    """The coverage of all databases that are not gone."""
    return Coverage(Counter(one["verdict"] for one in documents if "goneSince" not in one))


def coverage_by(documents: Iterable[Document], field: str) -> dict[str, Coverage]:
    """The coverage for each value of a field, `tags.<name>` included; empty for databases without it."""
    groups: dict[str, list[Document]] = {}
    for document in documents:
        groups.setdefault(_value(document, field), []).append(document)
    return {value: coverage(group) for value, group in sorted(groups.items())}


def _value(document: Document, field: str) -> str:
    if field.startswith("tags."):
        tags: Mapping[str, Any] = document.get("tags", {})
        return str(tags.get(field.removeprefix("tags."), ""))
    return str(document.get(field, ""))
