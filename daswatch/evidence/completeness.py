"""Whether anything is missing of a database instance's hour: what was counted on its way, against what is there.

In: the tallies of the ingest function and of replays by minute, the documents in the index by minute, and how the
instance was heard in the day before. Out: a judgement with its holes: which minutes, how much, and how that is known.
Minutes are numbers from 0 to 59; documents count in the minute of their event, records in the minute of their arrival.

What each engine's own counters imply is in docs/completeness.md.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any

from daswatch.enrolment.first_records import SPAN, is_first_records
from daswatch.evidence.digests import Digests, record_words
from daswatch.fleet.database import Document as DatabaseDocument
from daswatch.fleet.names import Names
from daswatch.times import iso_milliseconds, moment_of

HOUR = timedelta(hours=1)
# A pause of heartbeats counts as silence when it is so many times as long as the usual one.
_PAUSES = 10
_MINUTES = 60
_ONE_MINUTE = timedelta(minutes=1)
# A record may have arrived so long before what an object's name says: that has whole seconds.
_EARLY = _ONE_MINUTE
# Of many records, some have the digest of another one: where so many did not arrive, none did.
_ALMOST_ALL = 0.99
# Events arrive, and are archived, so much later than they happened.
_LATER = timedelta(minutes=5)


class Verdict(StrEnum):
    """Whether an hour is complete."""

    COMPLETE = "complete"
    GAP = "gap"
    UNKNOWN = "unknown"


class HoleKind(StrEnum):
    """How it is known that something is missing."""

    SILENT = "silent"
    NOT_INDEXED = "not indexed"
    NOT_INGESTED = "not ingested"
    NOT_ARCHIVED = "not archived"
    DEAD_LETTERS = "dead letters"


EVIDENCE = {
    HoleKind.SILENT: "no record arrived, although the instance sends heartbeats",
    HoleKind.NOT_INDEXED: "events were ingested, and are not in the index",
    HoleKind.NOT_INGESTED: "records are in the archive, and were never ingested",
    HoleKind.NOT_ARCHIVED: "records were ingested, and are not in the archive",
    HoleKind.DEAD_LETTERS: "records could not be processed, and are kept as dead letters",
}
NOT_COUNTED = "events are in the index, and nothing was counted when they were ingested"
NO_RHYTHM = "nothing arrived for minutes; the instance sends too few heartbeats to say whether anything should have"


@dataclass(frozen=True, slots=True)
class Hole:
    """Minutes of one hour, the last one included, in which something is missing.

    `missing` are documents or records, 0 where their number cannot be known.
    """

    kind: HoleKind
    first: int
    last: int
    missing: int = 0

    @property
    def minutes(self) -> int:
        """How many minutes."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """What was counted at ingest of one minute."""

    records: int = 0
    heartbeats: int = 0
    documents: int = 0
    dropped: int = 0
    dead_letters: int = 0


@dataclass(frozen=True, slots=True)
class Before:
    """How an instance was heard in the day before."""

    heartbeats: int = 0
    heard_minutes: int = 0


@dataclass(frozen=True, slots=True)
class Instance:
    """A database instance as its stream names it; without an instance id, what is known of its database alone."""

    resource_id: str
    instance_id: str
    account_id: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class FleetInstances:
    """The instances that the inventory has with a started stream, and what the databases are called.

    Without an inventory, every instance that was heard is expected.
    """

    present: frozenset[tuple[str, str]] | None = None
    names: Names = field(default_factory=Names)

    @classmethod
    def of(cls, documents: Collection[DatabaseDocument], tags: Sequence[str]) -> FleetInstances:
        """Of the inventory's documents, with the tags that events carry."""
        present = {
            (one["resourceId"], member["resourceId"])
            for one in documents
            if "goneSince" not in one and one.get("streamStatus") == "started"
            for member in one.get("instances", ())
            if member.get("resourceId")
        }
        return cls(frozenset(present) if documents else None, Names.of(documents, tags))

    def has(self, instance: Instance) -> bool:
        """Whether an instance is expected to be heard."""
        return self.present is None or (instance.resource_id, instance.instance_id) in self.present

    def name_of(self, instance: Instance) -> Mapping[str, Any]:
        """The fields of its name."""
        return self.names.fields(instance.account_id, instance.region, instance.resource_id, instance.instance_id)


@dataclass(frozen=True, slots=True)
class HourKnown:
    """What is known of one instance's hour.

    `missing` are the documents of each minute that were counted and are not in the index, of the minutes in which the
    numbers differ. `dead_letters` are records that no replay has processed. `replayed` are the minutes in which records
    of a replay may have arrived, as far as the evidence shows. `is_present`: the inventory has the instance with a
    started stream, so silence may not be its end. `is_instance` is false for records whose instance is not known:
    nothing is expected of it.
    """

    minutes: Mapping[int, MinuteCounts] = field(default_factory=dict)
    indexed: Mapping[int, int] = field(default_factory=dict)
    missing: Mapping[int, int] = field(default_factory=dict)
    dead_letters: Mapping[int, int] = field(default_factory=dict)
    replayed: Collection[int] = ()
    before: Before = Before()
    is_present: bool = True
    is_instance: bool = True

    @property
    def heard(self) -> list[int]:
        """The minutes in which a record arrived."""
        return sorted({minute for minute, counts in self.minutes.items() if counts.records}.union(self.replayed))


@dataclass(frozen=True, slots=True)
class Archived:
    """An object of the archive: when its oldest record arrived, and what stands for its records, in their order."""

    at: datetime
    key: str
    digests: str

    @property
    def until(self) -> datetime:
        """When its last record may have arrived. Of first records only the hour is known."""
        return self.at + (HOUR if is_first_records(self.key) else SPAN)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What stands for records that arrived in a minute, as one tally has it; `is_replayed`: a replay found them."""

    minute: datetime
    digests: str
    is_replayed: bool = False


@dataclass(frozen=True, slots=True)
class ArchiveKnown:
    """What was archived and what arrived of a database around an hour, both to be read once, by time.

    `objects` are from Firehose's longest buffer interval before the hour to as long after it, and so are `arrivals`.
    """

    hour: datetime
    objects: Iterable[Archived] = ()
    arrivals: Iterable[Arrivals] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of an hour. `reasons` say why it is unknown."""

    verdict: Verdict
    holes: tuple[Hole, ...] = ()
    reasons: tuple[str, ...] = ()


def differing(minutes: Mapping[int, MinuteCounts], indexed: Mapping[int, int]) -> list[int]:
    """The minutes of which more or fewer documents were counted than are in the index, to be compared one by one.

    A document may be counted twice, and one that is missing may be hidden by one that was never counted.
    """
    return sorted(
        minute for minute, counts in minutes.items() if counts.documents and counts.documents != indexed.get(minute, 0)
    )


def judged(known: HourKnown, archive: ArchiveKnown | None = None) -> Judgement:
    """Judge an instance's hour; `archive` is that of its database, where the instance is not known."""
    holes = _holes(HoleKind.NOT_INDEXED, known.missing)
    holes += _holes(HoleKind.DEAD_LETTERS, known.dead_letters)
    reasons = []
    if sum(known.indexed.values()) and not any(counts.documents for counts in known.minutes.values()):
        reasons.append(NOT_COUNTED)
    elif known.is_instance:
        silent, is_known = _silence(known)
        holes += [Hole(HoleKind.SILENT, first, last) for first, last in silent if is_known]
        if silent and not is_known:
            reasons.append(NO_RHYTHM)
    if archive:
        holes += archive_holes(archive)
    return judgement_of(holes, reasons)


def archive_holes(known: ArchiveKnown) -> list[Hole]:
    """Records of an hour that are in the archive and were not ingested, and those that were and are not archived.

    An archived record has no time of its own: one that was not ingested counts in the minute of the one before it in
    its object, or else of the one after it; of an object without any that was, in the minutes up to the next object.
    """
    end = known.hour + HOUR
    last_minute = end - _ONE_MINUTE
    not_ingested: Counter[int] = Counter()
    spans: list[Hole] = []
    open_spans: list[tuple[datetime, int]] = []  # until the next object: since when, and how many records
    window = _Window(known.arrivals)

    def close_spans(until: datetime) -> None:
        for since, lost in open_spans:
            last = min(until, last_minute)
            spans.append(Hole(HoleKind.NOT_INGESTED, since.minute, max(since.minute, last.minute), lost))
        open_spans.clear()

    for one in known.objects:
        if open_spans and one.at > open_spans[0][0]:
            close_spans(one.at)
        if one.at >= end + _EARLY:
            break
        window.leave(minute_of(one.at) - _EARLY)
        minutes = window.find(record_words(one.digests), one.until)
        if not known.hour <= one.at < end:
            continue
        lost = minutes.count(None)
        if lost >= _ALMOST_ALL * len(minutes):
            if lost:
                open_spans.append((one.at, lost))
            continue
        nearest = next(minute for minute in minutes if minute is not None)
        for minute in minutes:
            nearest = minute or nearest
            if minute is None:
                not_ingested[min(max(nearest, known.hour), last_minute).minute] += 1
    if open_spans:
        close_spans(open_spans[0][0])
    window.leave(end)
    not_archived = {at.minute: count for at, count in window.left.items() if known.hour <= at < end}
    holes = [*spans, *_holes(HoleKind.NOT_INGESTED, not_ingested), *_holes(HoleKind.NOT_ARCHIVED, not_archived)]
    return _joined(holes)


class _Window:
    """The minutes in which records of an object may have arrived: no others are in memory.

    `left` are the records of earlier minutes that no object has. Those of a replay need not be in the archive.
    """

    def __init__(self, arrivals: Iterable[Arrivals]) -> None:
        self._arrivals = iter(arrivals)
        self._next = next(self._arrivals, None)
        self._minutes: deque[tuple[datetime, Digests]] = deque()
        self.left: dict[datetime, int] = {}

    def find(self, words: Iterable[int], until: datetime) -> list[datetime | None]:
        """The minutes in which records arrived, until a time; None for each that did not.

        A record that arrived twice is archived twice.
        """
        found: list[datetime | None] = []
        last, there = until, Digests()  # most records are in the minute of the one before
        for word in words:
            if there.mark(word):
                found.append(last)
                continue
            minute = self._search(word, until)
            if minute and minute != last:
                last, there = minute, next(digests for at, digests in self._minutes if at == minute)
            found.append(minute)
        return found

    def _search(self, word: int, until: datetime) -> datetime | None:
        """The minute in which a record arrived. Behind one of a replay, the record itself may follow."""
        found = None
        for minute, digests in chain(self._minutes, self._further(until)):
            is_new = digests.mark(word)
            if is_new:
                return minute
            if is_new is not None:
                found = found or minute
        return found

    def leave(self, before: datetime) -> None:
        """No object that follows has records of these minutes."""
        while self._minutes and self._minutes[0][0] < before:
            self._leave(*self._minutes.popleft())
        while self._next and self._next.minute < before:
            self._leave(*self._read(self._next))

    def _leave(self, minute: datetime, digests: Digests) -> None:
        if count := digests.unmarked:
            self.left[minute] = count

    def _further(self, until: datetime) -> Iterator[tuple[datetime, Digests]]:
        while self._next and self._next.minute <= until:
            self._minutes.append(self._read(self._next))
            yield self._minutes[-1]

    def _read(self, first: Arrivals) -> tuple[datetime, Digests]:
        """The next minute, whole."""
        digests = Digests()
        while self._next and self._next.minute == first.minute:
            digests.take(record_words(self._next.digests), marked=self._next.is_replayed)
            self._next = next(self._arrivals, None)
        return first.minute, digests


def _joined(holes: Iterable[Hole]) -> list[Hole]:
    """The same holes; those of one kind that touch are one."""
    joined: list[Hole] = []
    for hole in sorted(holes, key=lambda one: (one.kind, one.first, one.last)):
        last = joined[-1] if joined else None
        if last and last.kind is hole.kind and hole.first <= last.last + 1:
            joined[-1] = Hole(last.kind, last.first, max(last.last, hole.last), last.missing + hole.missing)
        else:
            joined.append(hole)
    return joined


def judgement_of(holes: Iterable[Hole], reasons: Sequence[str] = ()) -> Judgement:
    """A hole is one, whatever else is unknown."""
    found = tuple(sorted(holes, key=lambda hole: (hole.first, hole.kind)))
    verdict = Verdict.GAP if found else Verdict.UNKNOWN if reasons else Verdict.COMPLETE
    return Judgement(verdict, found, tuple(reasons))


def _silence(known: HourKnown) -> tuple[list[tuple[int, int]], bool]:
    """The runs of minutes without a record, and whether the heartbeats are frequent enough to call that silence."""
    heard = known.heard
    had = known.before.heard_minutes > 0
    if not heard and not (had and known.is_present):
        return [], True  # not there yet, or no longer
    begin = 0 if had else heard[0]
    end = _MINUTES - 1 if known.is_present else heard[-1]
    empty = [minute for minute in range(begin, end + 1) if minute not in set(heard)]
    heartbeats = known.before.heartbeats + sum(counts.heartbeats for counts in known.minutes.values())
    minutes = known.before.heard_minutes + len(heard)
    runs = _runs(empty)
    if not heartbeats:
        return runs, False
    longest = _PAUSES * minutes / heartbeats  # minutes
    if longest >= _MINUTES:
        return runs, False
    return [(first, last) for first, last in runs if last - first + 1 >= longest], True


def _holes(kind: HoleKind, missing: Mapping[int, int]) -> list[Hole]:
    """Holes of neighboring minutes, with what is missing in them."""
    runs = _runs(sorted(minute for minute, count in missing.items() if count))
    return [
        Hole(kind, first, last, sum(missing.get(minute, 0) for minute in range(first, last + 1)))
        for first, last in runs
    ]


def _runs(minutes: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for minute in minutes:
        if runs and runs[-1][1] == minute - 1:
            runs[-1] = (runs[-1][0], minute)
        else:
            runs.append((minute, minute))
    return runs


# The documents.


Document = Mapping[str, Any]  # of `das-completeness`


def document_id(instance: Instance, hour: datetime) -> str:
    """The id of the document of an instance's hour."""
    return f"{hour:%Y-%m-%dT%H}/{instance.resource_id}/{instance.instance_id}"


def document_of(
    instance: Instance,
    hour: datetime,
    known: HourKnown,
    judgement: Judgement,
    checked_at: str,
    name: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of an instance's hour, with the fields of its name; what is empty is left out."""
    counts = known.minutes.values()
    documents = [0] * _MINUTES
    for minute, counted in known.minutes.items():
        # As compared: what was counted twice is counted once.
        documents[minute] = known.indexed.get(minute, 0) + known.missing.get(minute, 0) if counted.documents else 0
    document = {
        "@timestamp": iso_milliseconds(hour),
        "checkedAt": checked_at,
        "resourceId": instance.resource_id,
        "instanceId": instance.instance_id,
        "awsAccountId": instance.account_id,
        "awsRegion": instance.region,
        **(name or {}),
        **_fields_of(judgement, hour),
        "records": sum(one.records for one in counts),
        "heartbeats": sum(one.heartbeats for one in counts),
        "heardMinutes": len(known.heard),
        "documents": sum(documents),
        "minuteDocuments": documents if any(documents) else [],
        "indexed": sum(known.indexed.values()),
        "dropped": sum(one.dropped for one in counts),
        "deadLetters": sum(one.dead_letters for one in counts),
    }
    return {name: value for name, value in document.items() if value not in ("", 0, [])}


def _fields_of(judgement: Judgement, hour: datetime) -> dict[str, Any]:
    minutes = {minute for hole in judgement.holes for minute in range(hole.first, hole.last + 1)}
    return {
        "verdict": judgement.verdict.value,
        "reasons": list(judgement.reasons),
        "holeKinds": sorted({hole.kind.value for hole in judgement.holes}),
        "holes": [
            {
                "kind": hole.kind.value,
                "from": iso_milliseconds(hour + timedelta(minutes=hole.first)),
                "until": iso_milliseconds(hour + timedelta(minutes=hole.last + 1)),
                **({"missing": hole.missing} if hole.missing else {}),
            }
            for hole in judgement.holes
        ],
        "missingMinutes": len(minutes),
        "missing": sum(hole.missing for hole in judgement.holes),
    }


# The report.


@dataclass(frozen=True, slots=True)
class ReportedHole:
    """A hole over any number of hours; `until` is the end of its last minute."""

    resource_id: str
    instance_id: str
    database: str
    instance: str
    kind: HoleKind
    since: datetime
    until: datetime
    missing: int

    @property
    def minutes(self) -> int:
        """How many minutes."""
        return (self.until - self.since) // timedelta(minutes=1)

    @property
    def shown_name(self) -> str:
        """What people call the instance, or else its ids."""
        return _shown_name(self.database or self.resource_id, self.instance or self.instance_id)

    @property
    def remedy(self) -> str:
        """What brings it back, or says what happened."""
        places = EvidencePlaces()
        match self.kind:
            case HoleKind.NOT_ARCHIVED:
                return "none: the index has these events; see evidenceStart and evidenceGaps in das-enrolments"
            case HoleKind.DEAD_LETTERS:
                bucket = places.dead_letters
            case _:
                bucket = places.evidence
        return replay_command(bucket, self.since, replayed_until(self.kind, self.until), self.resource_id)


@dataclass(frozen=True, slots=True)
class EvidencePlaces:
    """The buckets of a deployment."""

    evidence: str = "EVIDENCE_BUCKET"
    dead_letters: str = "DEAD_LETTER_BUCKET"


def replayed_until(kind: HoleKind, until: datetime) -> datetime:
    """Until when records arrived that bring back what is missing until then."""
    return until + _LATER if kind is HoleKind.NOT_INDEXED else until


def replay_command(bucket: str, since: datetime, until: datetime, resource_id: str) -> str:
    """The command that brings back what is missing of a database."""
    span = f"--from {since:%Y-%m-%dT%H:%MZ} --to {until:%Y-%m-%dT%H:%MZ}"
    return f"daswatch replay s3://{bucket} {span} --resource-id {resource_id}"


def reported(documents: Iterable[Document]) -> list[ReportedHole]:
    """All holes of these documents by database and time; one that goes on in the next hour is one."""
    found: list[ReportedHole] = []
    parts = [
        ReportedHole(
            one["resourceId"],
            one.get("instanceId", ""),
            one.get("databaseIdentifier", ""),
            one.get("instanceIdentifier", ""),
            HoleKind(hole["kind"]),
            moment_of(hole["from"]),
            moment_of(hole["until"]),
            hole.get("missing", 0),
        )
        for one in documents
        for hole in one.get("holes", ())
    ]
    for part in sorted(parts, key=lambda hole: (hole.resource_id, hole.instance_id, hole.kind, hole.since)):
        last = found[-1] if found else None
        if last and _place_of(last) == _place_of(part) and last.until == part.since:
            missing = last.missing + part.missing
            found[-1] = ReportedHole(
                *(*_place_of(last)[:2], last.database, last.instance, last.kind, last.since, part.until, missing)
            )
        else:
            found.append(part)
    return sorted(found, key=lambda hole: (hole.database, hole.resource_id, hole.since, hole.instance_id, hole.kind))


@dataclass(frozen=True, slots=True)
class UnknownHours:
    """Hours of one instance of which it cannot be known whether they are complete, and why."""

    resource_id: str
    instance_id: str
    database: str
    instance: str
    reason: str
    hours: int

    @property
    def shown_name(self) -> str:
        """What people call the instance, or else its ids."""
        return _shown_name(self.database or self.resource_id, self.instance or self.instance_id)


def unknown_of(documents: Iterable[Document]) -> list[UnknownHours]:
    """What cannot be known, by instance and reason."""
    counts = Counter(
        (
            one["resourceId"],
            one.get("instanceId", ""),
            one.get("databaseIdentifier", ""),
            one.get("instanceIdentifier", ""),
            reason,
        )
        for one in documents
        for reason in one.get("reasons", ())
    )
    return [UnknownHours(*key, hours) for key, hours in sorted(counts.items())]


def _shown_name(database: str, instance: str) -> str:
    return f"{database}/{instance}" if instance and instance != database else database


def _place_of(hole: ReportedHole) -> tuple[str, str, HoleKind]:
    return hole.resource_id, hole.instance_id, hole.kind


def minute_of(moment: datetime) -> datetime:
    """The minute in which a moment lies."""
    return moment.replace(second=0, microsecond=0)


def hour_of(moment: datetime) -> datetime:
    """The hour in which a moment lies."""
    return moment.replace(minute=0, second=0, microsecond=0)


def hours_between(begin: datetime, until: datetime) -> list[datetime]:
    """The hours from the one in which a time lies, to the last that begins before another time."""
    first = hour_of(begin)
    return [first + number * HOUR for number in range(max(0, -((first - until) // HOUR)))]
