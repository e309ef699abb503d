"""One run of a replay: all wanted objects of a source in the order of their keys, noted as it goes on.

Every object is written before its key is noted as done. So a run that ends at any point, by an error or at once, leaves
nothing out when the next one goes on behind the last key that is noted; what was written since is there already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from daswatch.deadline import Clock, Deadline
from daswatch.errors import DependencyError
from daswatch.evidence.objects import Kind, Listed
from daswatch.evidence.readings import DONE, RUNNING, STOPPED, Caller, Purpose, Readings, Unfinished
from daswatch.evidence.replay import (
    UNDATED,
    Counts,
    ObjectReport,
    Opened,
    Place,
    Replayer,
    Selection,
    note_refusal,
)
from daswatch.times import iso_milliseconds

_NOTE_SECONDS = 5.0  # between two notes
_NAMED = 100  # objects that are named in a report, each for what is wrong
# An object of these is one that nothing else reads: once whole, it may go. Evidence stays, and so does what was meant
# for another destination.
_ENDS_WHEN_WHOLE = (Kind.DEAD_LETTER, Kind.ON_FAILURE)


class Source(Protocol):
    """Where evidence is. Raises EvidenceUnavailable."""

    def listed(self, after: str = "") -> Iterator[Listed]:
        """All objects with a greater key, in the order of their keys."""
        ...

    def opened(self, objects: Iterable[Listed]) -> Iterator[Opened]:
        """These objects, opened in their order."""
        ...

    def mark_done(self, key: str) -> None:
        """Note at an object that all of it is where it belongs."""
        ...


@dataclass(slots=True)
class RunReport:
    """What came of a run."""

    id: str
    began: datetime
    state: str = RUNNING
    cause: str = ""  # why it stopped
    failure: DependencyError | None = None
    resumes: str = ""
    position: str = ""  # the last key that is done
    objects: int = 0
    objects_whole: int = 0
    objects_gone: int = 0
    objects_done_before: int = 0
    objects_other: int = 0  # that are not evidence of a stream
    bytes: int = 0
    totals: Counts = field(default_factory=Counts)
    places: dict[Place, Counts] = field(default_factory=dict)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)  # reason and detail
    damaged: dict[str, str] = field(default_factory=dict)  # by key, what is wrong
    damaged_count: int = 0
    incomplete: list[str] = field(default_factory=list)  # keys of which something stays as it is

    def take(self, one: ObjectReport) -> None:
        """Take one object into account."""
        self.objects_other += one.kind is Kind.OTHER and not one.damage
        self.objects_whole += one.is_whole
        for place, counts in one.counts.items():
            self.totals.add(counts)
            self.places.setdefault(place, Counts()).add(counts)
        for (reason, detail), count in one.refusals.items():
            note_refusal(self.reasons, reason, detail, count)
        if one.damage:
            self.damaged_count += 1
            if len(self.damaged) < _NAMED:
                self.damaged[one.key] = one.damage
        if one.refusals or one.damage:
            self.stays(one.key)

    def stays(self, key: str) -> None:
        """Name an object of which something stays as it is, among the first ones."""
        if len(self.incomplete) < _NAMED:
            self.incomplete.append(key)

    @property
    def is_whole(self) -> bool:
        """Whether all that was wanted is where it belongs."""
        return self.state == DONE and not self.reasons and not self.damaged_count

    @property
    def hours_written(self) -> list[datetime]:
        """The hours of events that were missing, in their order."""
        hours = {hour for (_, hour), counts in self.places.items() if counts.written and hour != UNDATED}
        return [datetime.fromisoformat(hour) for hour in sorted(hours)]


class ReplayRun:
    """A run with its parts. `note` is called after each object; `clock` spaces the notes."""

    def __init__(
        self,
        *,
        source: Source,
        replayer: Replayer,
        readings: Readings,
        purpose: Purpose,
        caller: Caller,
        via: str,
        region: str,
        clock: Clock,
        mark: Callable[[], Mapping[str, Any]] = dict,
        marks_done: bool = False,
        notify: Callable[[RunReport, Listed], None] = lambda report, listed: None,
    ) -> None:
        self._source = source
        self._replayer = replayer
        self._readings = readings
        self._purpose = purpose
        self._caller = caller
        self._via = via
        self._region = region
        self._clock = clock
        self._mark = mark
        self._marks_done = marks_done
        self._notify = notify

    def run(
        self,
        id_: str,
        now: datetime,
        patience: Callable[[], Deadline],
        unfinished: Unfinished | None = None,
        until: Deadline | None = None,
    ) -> RunReport:
        """Go on until all is done, something does not answer within its patience, or `until`.

        Whatever stops it is in the report. Raises DependencyError where the reading cannot be noted at its begin: then
        no record was opened.
        """
        report = RunReport(id_, now)
        if unfinished:
            report.position, report.resumes = unfinished.position, unfinished.id
        self._note(report, now)
        noted = self._clock.monotonic()
        try:
            for opened in self._source.opened(self._wanted(report.position)):
                if until and until.remaining <= 0:
                    report.cause = "out of time"
                    break
                self._take(opened, report, patience)
                if self._clock.monotonic() - noted >= _NOTE_SECONDS:
                    self._note(report, datetime.now(UTC))
                    noted = self._clock.monotonic()
        except DependencyError as exc:
            report.cause, report.failure = str(exc), exc
        except KeyboardInterrupt:
            report.cause = "interrupted"
        report.state = STOPPED if report.cause else DONE
        try:
            self._note(report, datetime.now(UTC))
        except DependencyError as exc:
            # What was noted before stands: the next run goes on there, and this one has still something to report.
            report.state, report.cause = STOPPED, report.cause or str(exc)
            report.failure = report.failure or exc
        return report

    def _wanted(self, after: str) -> Iterator[Listed]:
        selection: Selection = self._purpose.selection
        return (one for one in self._source.listed(after) if selection.wants_object(one))

    def _take(self, opened: Opened, report: RunReport, patience: Callable[[], Deadline]) -> None:
        replay_object(opened, self._source, self._replayer, patience, report, marks_done=self._marks_done)
        report.position = opened.listed.key
        self._notify(report, opened.listed)

    def _note(self, report: RunReport, now: datetime) -> None:
        document = reading(report, self._purpose, self._caller, self._via, self._region, now, self._mark())
        self._readings.note(report.id, document)


def replay_object(
    opened: Opened,
    source: Source,
    replayer: Replayer,
    patience: Callable[[], Deadline],
    report: RunReport,
    *,
    marks_done: bool,
) -> ObjectReport | None:
    """Write what is in an object, mark it if all of it is, and take it into account; None of one that is done or gone.

    Raises DependencyError where that has to wait: then it does not count.
    """
    one: ObjectReport | None = None
    if opened.is_gone:
        report.objects_gone += 1
    elif opened.is_done:
        report.objects_done_before += 1
    else:
        one = replayer.replay(opened, patience)
        if marks_done and one.is_whole and one.kind in _ENDS_WHEN_WHOLE:
            source.mark_done(opened.listed.key)
        report.take(one)
    report.objects += 1
    report.bytes += opened.listed.size
    return one


def reading(
    report: RunReport,
    purpose: Purpose,
    caller: Caller,
    via: str,
    region: str,
    now: datetime,
    mark: Mapping[str, Any],
) -> dict[str, Any]:
    """The document of a reading, as far as it came."""
    document = {
        "@timestamp": iso_milliseconds(report.began),
        "updatedAt": iso_milliseconds(now),
        "job": purpose.job,
        **purpose.fields,
        "state": report.state,
        "cause": report.cause,
        "resumes": report.resumes,
        "position": report.position,
        "mark": dict(mark),
        "via": via,
        "callerArn": caller.arn,
        "callerId": caller.id,
        "awsAccountId": caller.account_id,
        "awsRegion": region,
        "objects": report.objects,
        "objectsWhole": report.objects_whole,
        "objectsDamaged": report.damaged_count,
        "objectsGone": report.objects_gone,
        **report.totals.as_json(),
        "reasons": sorted({reason for reason, _ in report.reasons}),
    }
    return {name: value for name, value in document.items() if value not in ("", {}, [])}
