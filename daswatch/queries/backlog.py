"""What a run looks at, and what it leaves to the next ones. Pure; the clock is an argument.

In: up to when what arrived was looked at, and what detections are behind with. Out: the slice of arrivals to look at
now, what is late in it, and the backlog afterwards.

What just arrived comes first in each run. What is older (after a pause of the runner, of a detection that failed, of
events for many days that arrived late) is a backlog of its own for each detection, worked off from the oldest end in
slices, a bounded number of searches in each run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.queries.saved_query import ARRIVAL_OVERLAP, Window, event_indices
from daswatch.times import iso_milliseconds, moment_of

RECENT = timedelta(minutes=15)  # of what arrived, that a run looks at before any backlog
_SLICE = timedelta(hours=6)
_SHORTEST_SLICE = timedelta(minutes=15)
_CLOCKS = timedelta(minutes=1)
_AHEAD = timedelta(days=1)  # an event's day may begin before ours
_APART = timedelta(hours=6)  # late events that are closer are looked at together
_LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A time from its first event to its last."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What arrived after `since` until `until`, in whatever order, and what was being written before."""

    since: datetime
    until: datetime

    @property
    def window(self) -> Window:
        """The range of arrival."""
        return Window("ingestedAt", iso_milliseconds(self.since - ARRIVAL_OVERLAP), iso_milliseconds(self.until))

    @property
    def begin(self) -> datetime:
        """Events of an earlier time arrived late."""
        return self.since - ARRIVAL_OVERLAP - _CLOCKS

    @property
    def usual(self) -> Window:
        """The times of events that arrive when they happen, by clocks that are roughly right."""
        return Window("@timestamp", iso_milliseconds(self.begin), iso_milliseconds(self.until + _AHEAD))

    def indices(self, prefix: str = DEFAULT_INDEX_PREFIX) -> str:
        """The indices of the usual times."""
        return event_indices(self.begin.date(), (self.until + _AHEAD).date(), prefix)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one detection has still to look at: what arrived after `since` until `until`.

    Of the slice that is being worked on, `end` is the end and `at` the time until which its late events were looked at.
    """

    since: datetime
    until: datetime
    end: datetime | None = None
    at: datetime | None = None

    @property
    def slice(self) -> Arrivals:
        """The oldest part, to be looked at next."""
        if self.end:
            return Arrivals(self.since, min(self.end, self.until))
        length = _SLICE.total_seconds()
        border = datetime.fromtimestamp((self.since.timestamp() // length + 1) * length, UTC)
        return Arrivals(self.since, min(border, self.until))

    def done(self, at: datetime | None) -> Backlog | None:
        """After its slice was looked at; of late events only until `at`, where there were too many."""
        arrivals = self.slice
        if at:
            return replace(self, end=arrivals.until, at=at)
        return Backlog(arrivals.until, self.until) if arrivals.until < self.until else None

    def failed(self) -> Backlog:
        """After its slice could not be answered: half of it may be."""
        arrivals = self.slice
        half = max((arrivals.until - arrivals.since) / 2, _SHORTEST_SLICE)
        return replace(self, end=min(arrivals.since + half, arrivals.until)) if self.at is None else self

    @property
    def order(self) -> tuple[bool, datetime]:
        """The oldest comes first, but nothing waits for one that fails."""
        return self.end is not None and self.at is None, self.since


def recent(since: datetime, now: datetime) -> Arrivals:
    """What a run looks at first: all since the last run, or since a while ago if that was longer ago."""
    return Arrivals(max(since, now - RECENT), now)


def behind(
    before: Backlog | None, since: datetime, looked: Arrivals, *, failed: bool, at: datetime | None
) -> Backlog | None:
    """A detection's backlog after what just arrived was looked at.

    `since` is the last run's time, `at` that until which late events were looked at, where there were too many.
    """
    if since < looked.since:
        before = replace(before, until=looked.since) if before else Backlog(since, looked.since)
    if failed or (at and before):
        return replace(before, until=looked.until) if before else Backlog(looked.since, looked.until)
    return Backlog(looked.since, looked.until, end=looked.until, at=at) if at else before


def spans(hours: Iterable[tuple[datetime, datetime]]) -> list[Span]:
    """Times of events that are looked at together, from the first and last one of each hour; oldest first."""
    found: list[Span] = []
    for first, last in sorted(hours):
        if found and first - found[-1].last <= _APART and last - found[-1].first <= _LONGEST:
            found[-1] = Span(found[-1].first, max(found[-1].last, last))
        else:
            found.append(Span(first, last))
    return found


def days_of(windows: Sequence[Window]) -> tuple[date, date]:
    """The first and the last day of windows that follow one another."""
    return moment_of(windows[0].start).date(), moment_of(windows[-1].end).date()
