"""One run over the dead letters: list what is due, note who reads, open and write it, mark what is whole.

Nothing that fails holds up what comes after it: an object that cannot be read, opened or written stays as it is and is
due again later, less and less often. A run ends in time, wherever it is; the next one goes on behind the last object
that it tried.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol

from daswatch.deadline import Deadline
from daswatch.errors import DependencyError, EvidenceDamaged
from daswatch.evidence.objects import Listed
from daswatch.evidence.readings import DONE, RUNNING, STOPPED, Caller, Purpose
from daswatch.evidence.replay import Opened, Replayer, note_refusal
from daswatch.evidence.retries import STAYS_AFTER, Due, Window, due_objects, is_late
from daswatch.evidence.run import RunReport, Source, reading, replay_object
from daswatch.fleet.names import Names
from daswatch.opensearch.reading_index import ReadingIndex

VIA = "replay function"
WAITING = "waiting"  # the reason of an object at which a service failed
OUT_OF_TIME = "out of time"
# In a run: what is known of them is in memory. Many are looked at for their tag alone.
MOST_OBJECTS = 100_000
MOST_BYTES = 8 * 1024**3  # in a run
_SHARE_OF_WORK = 0.9  # of the time; the rest is for the note of how far it came
# Objects that fail may take so much of the time: each costs its patience where a service is silent.
_SHARE_OF_FAILURES = 1 / 3
_PATIENCE_SECONDS = 60.0  # for one call, and for one object
_NOTE_SECONDS = 30.0  # between two notes

Patience = Callable[[], Deadline]


class ReplayerFactory(Protocol):
    """Makes what opens the objects of one run."""

    def __call__(self, now: datetime, names: Names) -> Replayer: ...


@dataclass(slots=True)
class RetryReport:
    """What one run did: what came of the objects that it tried, and how many are left."""

    run: RunReport
    due: int
    tried: int = 0
    not_retried: int = 0  # objects that are kept for a reason that stays
    left: int = 0  # objects that should long have been done, and are not
    total_ms: float = 0.0


class Retrier:
    """Tries the dead letters of one deployment again."""

    def __init__(
        self,
        *,
        source: Callable[[Patience], Source],
        readings: Callable[[Patience], ReadingIndex],
        replayer: ReplayerFactory,
        names: Callable[[Deadline], Names],
        caller: Callable[[Deadline], Caller],
        purpose: Purpose,
        region: str,
        most_objects: int = MOST_OBJECTS,
    ) -> None:
        self._source = source
        self._readings = readings
        self._replayer = replayer
        self._names = names
        self._caller = caller
        self._purpose = purpose
        self._region = region
        self._most_objects = most_objects

    def run(self, now: datetime, deadline: Deadline) -> RetryReport:
        """Try what is due until all is done, the time is over, or too much fails. What stopped it is in the report.

        Raises DependencyError where objects cannot be listed or the reading cannot be noted: then none was opened, or
        the next run tries some of them again.
        """
        begun = deadline.clock.monotonic()
        work = deadline.part(_SHARE_OF_WORK)
        readings = self._readings(lambda: deadline.at_most(_PATIENCE_SECONDS))
        source = self._source(lambda: work.at_most(_PATIENCE_SECONDS))
        last = readings.last(self._purpose.job) or {}
        window = Window.following(last.get("position", ""), now)
        report = RunReport(secrets.token_hex(16), now, position=str(window))
        due = due_objects(source.listed(), window, now, self._most_objects)
        retries = RetryReport(report, due.count)
        if due.count:
            if last and last["state"] != DONE:
                report.resumes = last["id"]
            caller = self._caller(work.at_most(_PATIENCE_SECONDS))

            def note() -> None:
                document = reading(report, self._purpose, caller, VIA, self._region, datetime.now(UTC), {})
                readings.note(report.id, document)

            note()
            replayer = self._replayer(now, self._names(work.at_most(_PATIENCE_SECONDS)))
            run = _Run(source, replayer, retries, note, work, is_careful=last.get("state") == RUNNING)
            run.go_through(due, window, now)
            note()
        retries.total_ms = (deadline.clock.monotonic() - begun) * 1000
        return retries


class _Run:
    """A run under way.

    `is_careful` where the last one did not come to its end: an object may end the process, so each is noted as tried
    before it is opened.
    """

    def __init__(
        self,
        source: Source,
        replayer: Replayer,
        report: RetryReport,
        note: Callable[[], None],
        deadline: Deadline,
        *,
        is_careful: bool,
    ) -> None:
        self._source = source
        self._replayer = replayer
        self._report = report
        self._note = note
        self._deadline = deadline
        self._is_careful = is_careful
        self._seconds_for_failures = deadline.remaining * _SHARE_OF_FAILURES
        self._failure: DependencyError | None = None

    def go_through(self, due: Due, window: Window, now: datetime) -> None:
        """Try each object, and note how far that came."""
        clock = self._deadline.clock
        report = self._report.run
        late = due.late
        noted = begun = clock.monotonic()
        for (place, listed), opened in zip(due.objects, _opened(self._source, due), strict=False):
            report.cause = self._why_it_ends()
            if report.cause:
                break
            if self._is_careful:
                report.position = str(window.after(place))
                self._note()
            stays = self._try(listed, opened, begun)
            if stays is None:
                report.cause = OUT_OF_TIME
                break
            late -= is_late(place, now)
            self._report.left += stays and now - listed.modified >= STAYS_AFTER
            self._report.tried += 1
            report.position = str(window.after(place))
            begun = clock.monotonic()
            if begun - noted >= _NOTE_SECONDS:
                self._note()
                noted = begun
        self._report.left += late
        if not report.cause and self._report.tried < due.count:
            report.cause = f"{self._report.tried} objects are enough for one run"
        if not report.cause:
            report.position = str(window.ended)
        report.state = STOPPED if report.cause else DONE

    def _why_it_ends(self) -> str:
        report = self._report.run
        if self._seconds_for_failures < 0:
            report.failure = self._failure
            return f"too much fails: {self._failure}"
        if self._deadline.remaining <= 0:
            return OUT_OF_TIME
        if report.bytes >= MOST_BYTES:
            return f"{report.bytes} bytes are enough for one run"
        return ""

    def _try(self, listed: Listed, opened: Opened | Exception, begun: float) -> bool | None:
        """Replay one object; whether something of it stays that should not. `begun` is when it was waited for.

        None where the run ended before the object: the next one has time for it, unless this one did nothing else.
        """
        report = self._report.run
        limit = self._deadline.at_most(_PATIENCE_SECONDS)
        try:
            if isinstance(opened, Exception):
                raise opened
            one = replay_object(opened, self._source, self._replayer, lambda: limit, report, marks_done=True)
        except (DependencyError, EvidenceDamaged) as exc:
            if self._report.tried and self._deadline.remaining <= 0:
                return None
            note_refusal(report.reasons, WAITING, str(exc), 1)
            report.stays(listed.key)
            if isinstance(exc, DependencyError):
                self._failure = exc
            self._seconds_for_failures -= self._deadline.clock.monotonic() - begun
            return True
        if one is None:
            return False
        self._report.not_retried += one.skipped > 0
        return bool(one.refusals or one.damage)


def _opened(source: Source, due: Due) -> Iterator[Opened | Exception]:
    """Each object, opened; or why it cannot be, which ends nothing."""
    at = 0
    while at < len(due.objects):
        try:
            for opened in source.opened(listed for _, listed in islice(due.objects, at, None)):
                yield opened
                at += 1
        except (DependencyError, EvidenceDamaged) as exc:
            yield exc
            at += 1
