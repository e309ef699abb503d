"""A backtest: which alerts a detection would have raised over history that is indexed already.

In: a detection, a span of time, and the groups that its windows return. Out: the windows to ask for, and the episodes,
each of which would have been one alert. Pure; the asking is done by `daswatch.opensearch.backtest_runs`, and nothing is
written anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

from daswatch.alerts.alert import Firing, alert_id
from daswatch.detections.detection import Detection, DetectionKind, Source
from daswatch.queries.first_seen import Sighting, by_network, is_new, sighting_id
from daswatch.queries.saved_query import Candidate, Window, windows_between
from daswatch.times import iso_milliseconds, moment_of

_DAY = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)
_SHORTEST_SLICE = timedelta(minutes=1)
_AT_ONCE = 24  # windows that are asked for as one, before each by itself


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time, in UTC; its end does not belong to it."""

    begin: datetime
    end: datetime

    def days(self) -> list[Period]:
        """Its parts by day; the first and the last may be shorter."""
        parts = []
        begin = self.begin
        while begin < self.end:
            midnight = datetime.combine(begin.date(), time(), UTC) + _DAY
            parts.append(Period(begin, min(midnight, self.end)))
            begin = midnight
        return parts

    def before(self, days: int) -> Period:
        """So many days that end where this one begins."""
        return Period(self.begin - days * _DAY, self.begin)

    @property
    def window(self) -> Window:
        """All events of it; times are kept to the nanosecond."""
        last = iso_milliseconds(self.end - _MILLISECOND).removesuffix("Z")
        return Window("@timestamp", iso_milliseconds(self.begin), f"{last}999999Z")


@dataclass(frozen=True, slots=True)
class Slice:
    """Windows of a detection that follow one another, asked for as one: where that finds nothing, none of them does.

    For whatever is counted, added up or put in sequence in a window is so in a longer one, too.
    """

    detection: Detection
    windows: tuple[Window, ...]

    @property
    def window(self) -> Window:
        """The one that covers them all."""
        return replace(self.windows[0], end=self.windows[-1].end)

    def parts(self) -> list[Slice]:
        """Shorter slices, in the end of one window each."""
        size = _AT_ONCE if len(self.windows) > _AT_ONCE else 1
        return [
            Slice(self.detection, self.windows[begin : begin + size]) for begin in range(0, len(self.windows), size)
        ]


@dataclass(frozen=True, slots=True)
class GroupHistory:
    """All alerts of one group. `events` are those that the alerts are made of."""

    resource_id: str
    group: Mapping[str, str]
    alerts: int
    events: int
    first_seen: str
    last_seen: str
    actors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Backtest:
    """What one detection would have raised: its episodes, oldest first, or why nothing can be said."""

    detection: Detection
    episodes: tuple[Candidate, ...] = ()
    note: str = ""  # what limits the answer
    failure: str = ""  # OpenSearch's reason for which it could not be asked
    details: Mapping[str, Firing] = field(default_factory=dict)  # by alert id, for the noisiest groups

    @property
    def groups(self) -> int:
        """How many distinct groups there are."""
        return len({_alert_id(self.detection, episode) for episode in self.episodes})

    def per_day(self) -> dict[str, int]:
        """Alerts by the day on which they would have begun; days without any are left out."""
        return dict(sorted(Counter(episode.first_seen[:10] for episode in self.episodes).items()))

    def noisiest(self, most: int) -> list[GroupHistory]:
        """The groups with the most alerts."""
        by_group: dict[str, list[Candidate]] = {}
        for episode in self.episodes:
            by_group.setdefault(_alert_id(self.detection, episode), []).append(episode)
        histories = [self._history(name, episodes) for name, episodes in by_group.items()]
        return sorted(histories, key=lambda one: (-one.alerts, -one.events, one.first_seen))[:most]

    def _history(self, name: str, episodes: Sequence[Candidate]) -> GroupHistory:
        details = self.details.get(name)
        return GroupHistory(
            resource_id=episodes[0].resource_id,
            group=episodes[0].group,
            alerts=len(episodes),
            events=sum(episode.count for episode in episodes),
            first_seen=min(episode.first_seen for episode in episodes),
            last_seen=max(episode.last_seen for episode in episodes),
            actors=details.actors if details else {},
            samples=details.samples if details else (),
        )


def not_applicable(detection: Detection) -> str:
    """Why a detection has nothing to be asked for in history; empty where it has."""
    if detection.kind is DetectionKind.SILENCE or detection.source is Source.PULSE:
        return "not applicable: the pulse is kept as it is now, without a history"
    if detection.kind is DetectionKind.FAILING:
        return "not applicable: it is about the saved queries themselves"
    return ""


def history_days(detection: Detection) -> int:
    """How many days before the span have to be known."""
    rule = detection.first_seen
    return max(rule.learn_days, rule.absent_days) if rule else 0


def day_slice(detection: Detection, day: Period) -> Slice:
    """The windows of one day, on the grid of the scheduled runner; of detections without one, slices of the day."""
    if detection.kind is DetectionKind.FIRST_SEEN:
        return Slice(detection, (day.window,))
    if detection.window_seconds:
        return Slice(detection, windows_between(detection, day.begin + _MILLISECOND, day.end, day.end))
    # Two events of one slice belong to one episode, however they lie in it.
    length = max(timedelta(seconds=detection.quiet_seconds / 2), _SHORTEST_SLICE)
    windows = []
    begin = day.begin
    while begin < day.end:
        windows.append(Period(begin, min(begin + length, day.end)).window)
        begin += length
    return Slice(detection, tuple(windows))


def episodes(detection: Detection, found: Iterable[Candidate], begin: datetime) -> list[Candidate]:
    """What the windows returned, in their order, as episodes: quiet for long enough, and the next one is another alert.

    What ended before `begin` is left out. Windows overlap, so an episode counts the most that one of them held.
    """
    quiet = detection.quiet
    finished: list[Candidate] = []
    current: dict[str, Candidate] = {}
    for candidate in found:
        if moment_of(candidate.last_seen) < begin:
            continue
        name = _alert_id(detection, candidate)
        earlier = current.get(name)
        if earlier and moment_of(candidate.first_seen) - moment_of(earlier.last_seen) >= quiet:
            finished.append(earlier)
            earlier = None
        current[name] = _joined(detection, earlier, candidate) if earlier else candidate
    return sorted([*finished, *current.values()], key=lambda episode: episode.first_seen)


class Sightings:
    """Replays first sightings in memory, from the oldest day to the newest."""

    def __init__(self, detection: Detection) -> None:
        self._detection = detection
        self._known: dict[str, Sighting] = {}
        self._learning: dict[str, Sighting] = {}

    @property
    def knows_nothing(self) -> bool:
        """Whether no day before held anything."""
        return not self._known

    def learn(self, found: Iterable[Candidate], since: str) -> None:
        """What was seen before the span; its databases count as learned since then."""
        self._note(by_network(self._detection, found), since)

    def new(self, found: Iterable[Candidate]) -> list[Candidate]:
        """Which sightings of a day are new. A database that comes up now is learned first."""
        merged = by_network(self._detection, found)
        new = [
            one
            for one in merged
            if is_new(
                self._detection,
                one,
                self._known.get(sighting_id(self._detection, one)),
                self._learning.get(one.resource_id),
                moment_of(one.first_seen),
            )
        ]
        self._note(merged, "")
        return new

    def _note(self, found: Iterable[Candidate], since: str) -> None:
        for one in found:
            self._known[sighting_id(self._detection, one)] = Sighting(one.first_seen, one.last_seen)
            at = since or one.first_seen
            self._learning.setdefault(one.resource_id, Sighting(at, at))


def bar(moments: Iterable[str], span: Period, width: int) -> str:
    """A line of small bars, one for each part of the span, as high as what it holds."""
    length = (span.end - span.begin) / width
    counted = Counter(
        min(max(int((moment_of(moment) - span.begin) / length), 0), width - 1)  # what began before is in the first part
        for moment in moments
    )
    most = max(counted.values(), default=0)
    heights = " ▁▂▃▄▅▆▇█"
    return "".join(heights[-(-counted[part] * 8 // most)] if counted[part] else " " for part in range(width)).rstrip()


def days_of(window: Window) -> tuple[date, date]:
    """The first and the last day of a window."""
    return moment_of(window.start).date(), moment_of(window.end).date()


def _joined(detection: Detection, earlier: Candidate, later: Candidate) -> Candidate:
    disjoint = not detection.window_seconds
    return replace(
        later,
        count=earlier.count + later.count if disjoint else max(earlier.count, later.count),
        first_seen=min(earlier.first_seen, later.first_seen),
        last_seen=max(earlier.last_seen, later.last_seen),
        level=max(earlier.level, later.level, key=lambda level: level.rank),
        metrics={name: max(value, earlier.metrics.get(name, 0)) for name, value in later.metrics.items()},
    )


def _alert_id(detection: Detection, candidate: Candidate) -> str:
    return alert_id(detection.name, candidate.resource_id, candidate.group)
