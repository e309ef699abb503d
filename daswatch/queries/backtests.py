"""A backtest: which alerts the runner would have raised over history that is indexed already.

In: detections, a span of time, and what the runner's windows return for each of its runs. Out: the questions to ask,
and the episodes of the alerts. The decisions are the runner's own (`advance`, `divide`, `is_new`), replayed minute by
minute in memory, for a runner that begins a run at each whole minute and events that arrive when they happen. Pure; the
asking is done by `daswatch.opensearch.backtest_runs`, and nothing is written anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from daswatch.alerts.alert import GROUPS, Alert, Database, Firing, State, advance
from daswatch.detections.detection import Detection, DetectionKind, Source, by_name
from daswatch.queries.first_seen import Sighting, by_network, is_new, learning_id, sighting_id
from daswatch.queries.saved_query import (
    ARRIVAL_OVERLAP,
    Candidate,
    Fired,
    Window,
    current_window,
    evaluation_times,
    event_window,
    one_after_another,
    overlap,
)
from daswatch.queries.storms import divide
from daswatch.times import iso_milliseconds, moment_of

# What a run assumes of the time that it did not see; printed with each answer.
ASSUMPTIONS = (
    "Events count as arrived when they happened. An event that arrived late, after its alert was archived, was an "
    "episode of its own for the runner, and is a part of the earlier one here.",
    "Runs count as begun at whole minutes, none of them late: where a detection reaches its threshold in the minute in "
    "which its alert is archived, the runner may have continued that alert; where more groups fire than get an alert "
    "each, others of them may have got one.",
)

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)  # between two runs
_MILLISECOND = timedelta(milliseconds=1)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_ALWAYS = iso_milliseconds(_BEGINNING)
_LEARNED_AT_ONCE = timedelta(days=7)
_LOOKED_BACK = (
    ARRIVAL_OVERLAP + 2 * _MINUTE
)  # a run repeats the windows that ended so shortly before it: `Arrivals.begin`


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time, in UTC; its end does not belong to it."""

    begin: datetime
    end: datetime

    def days(self) -> list[Period]:
        """Its parts by day; the first and the last may be shorter."""
        return self._parts(_DAY)

    def hours(self) -> list[Period]:
        """Its parts by hour."""
        return self._parts(_HOUR)

    def weeks(self) -> list[Period]:
        """Its parts of seven days, from its begin."""
        parts = []
        begin = self.begin
        while begin < self.end:
            parts.append(Period(begin, min(begin + _LEARNED_AT_ONCE, self.end)))
            begin = parts[-1].end
        return parts

    def since(self, begin: datetime) -> Period:
        """The same, from another begin."""
        return replace(self, begin=begin)

    def runs(self) -> list[datetime]:
        """When the runner looks at what happened in it: each whole minute, and at its end."""
        runs = []
        moment = _run_after(self.begin)
        while moment < self.end:
            runs.append(moment)
            moment += _MINUTE
        return [*runs, self.end]

    @property
    def window(self) -> Window:
        """All events of it; times are kept to the nanosecond."""
        last = iso_milliseconds(self.end - _MILLISECOND).removesuffix("Z")
        return Window("@timestamp", iso_milliseconds(self.begin), f"{last}999999Z")

    def _parts(self, length: timedelta) -> list[Period]:
        parts = []
        begin = self.begin
        while begin < self.end:
            seconds = length.total_seconds()
            border = datetime.fromtimestamp((begin.timestamp() // seconds + 1) * seconds, UTC)
            parts.append(Period(begin, min(border, self.end)))
            begin = border
        return parts


@dataclass(frozen=True, slots=True)
class RunWindow:
    """A window with the run that looks at it first. One that had not ended by then is looked at in no other run."""

    run: datetime
    window: Window
    ended: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What one window returned of a group."""

    candidate: Candidate
    at: datetime  # its end
    ended: bool = True


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
    """What one detection would have raised: its episodes, oldest first, or why nothing can be said.

    The episode of a summary (more groups at once than get an alert each) has no group, and their number as its metric.
    """

    detection: Detection
    episodes: tuple[Candidate, ...] = ()
    note: str = ""  # what limits the answer
    failure: str = ""  # OpenSearch's reason for which it could not be asked
    details: Mapping[str, Firing] = field(default_factory=dict)  # by alert id, for the noisiest groups

    @property
    def groups(self) -> int:
        """How many distinct groups there are."""
        return len({episode.alert_id(self.detection.name) for episode in self.episodes})

    def per_day(self) -> dict[str, int]:
        """Alerts by the day on which they would have begun; days without any are left out."""
        return dict(sorted(Counter(episode.first_seen[:10] for episode in self.episodes).items()))

    def noisiest(self, most: int) -> list[GroupHistory]:
        """The groups with the most alerts."""
        by_group: dict[str, list[Candidate]] = {}
        for episode in self.episodes:
            by_group.setdefault(episode.alert_id(self.detection.name), []).append(episode)
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


def lead_in(detection: Detection) -> timedelta:
    """How long before a span its alerts may have begun: what was quiet for longer begins another episode."""
    if detection.kind is DetectionKind.FIRST_SEEN:
        return timedelta()
    window = (
        timedelta(seconds=detection.window_seconds) + overlap(detection) if detection.window_seconds else timedelta()
    )
    return detection.quiet + window


def run_windows(detection: Detection, period: Period) -> list[RunWindow]:
    """The windows that a period's runs look at first: those that ended since the run before, and the current one."""
    windows = []
    before = period.begin
    for run in period.runs():
        ended = evaluation_times(detection, before + _MILLISECOND, run)
        windows += [RunWindow(run, event_window(detection, at), ended=True) for at in ended]
        if not ended or ended[-1] != run:
            windows.append(RunWindow(run, current_window(detection, run), ended=False))
        before = run
    return windows


def whole_window(detection: Detection, period: Period) -> Window:
    """One window that covers those of a period's runs: a group that fires in none of it fires in none of them."""
    return replace(current_window(detection, period.begin + _MILLISECOND), end=iso_milliseconds(period.end))


def run_of(moment: datetime, period: Period) -> datetime:
    """When the runner looks at what happened at a moment of a period."""
    return min(_run_after(moment), period.end)


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
        name = candidate.alert_id(detection.name)
        earlier = current.get(name)
        if earlier and moment_of(candidate.first_seen) - moment_of(earlier.last_seen) >= quiet:
            finished.append(earlier)
            earlier = None
        current[name] = _joined(detection, earlier, candidate) if earlier else candidate
    return sorted([*finished, *current.values()], key=lambda episode: episode.first_seen)


# Whether the events of a group complete a sequence, from the begin of its episode.
Completed = Callable[[Detection, Candidate, str], bool]
Judged = Callable[[Sequence[Fired]], Sequence[Fired]]  # what fires, without what known clients or other events explain


class Replay:
    """The runs of the runner, one after the other, over what their windows returned: its alerts, in memory."""

    def __init__(self, detections: Sequence[Detection], completed: Completed, judged: Judged = list) -> None:
        self.detections = by_name(detections)
        self._completed = completed
        self._judged = judged
        self._alerts: dict[str, Alert] = {}  # active, or archived not long ago
        self._recent: dict[str, dict[str, list[Found]]] = {}  # by detection and group: of windows that ended just now
        self._ended: list[Alert] = []

    def run(self, now: datetime, found: Mapping[str, Sequence[Found]]) -> None:
        """One run: what it finds by detection; what it repeats of the runs before is known."""
        if not found and not self._recent and not self._alerts:
            return
        firing = self._judged(self._firing(now, found))
        rounds = one_after_another(firing) or [[]]
        for number, round_ in enumerate(rounds):
            self._raise(now, round_, archive_quiet=not number)
        self._forget(now)

    def ended(self) -> list[Alert]:
        """The episodes that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def finish(self) -> None:
        """End what is active still."""
        self._ended += [alert for alert in self._alerts.values() if alert.state is State.ACTIVE]
        self._alerts = {}

    def _firing(self, now: datetime, found: Mapping[str, Sequence[Found]]) -> list[Fired]:
        """What this run's questions return: the groups of its own windows, and of those that it repeats."""
        firing = []
        for name in {**self._recent, **found}:
            detection = self.detections[name]
            groups = self._recent.get(name, {})
            since = now - (_LOOKED_BACK if detection.window_seconds else ARRIVAL_OVERLAP)
            repeated = {group: [one for one in own if one.at >= since] for group, own in groups.items()}
            own_now: dict[str, list[Found]] = {group: list(own) for group, own in repeated.items() if own}
            for one in found.get(name, ()):
                group = one.candidate.alert_id(detection.name)
                own_now.setdefault(group, []).append(one)
                if one.ended and detection.kind is not DetectionKind.FIRST_SEEN:
                    repeated.setdefault(group, []).append(one)
            self._recent[name] = {group: own for group, own in repeated.items() if own}
            if not self._recent[name]:
                del self._recent[name]
            for own in own_now.values():
                ordered = sorted(
                    (one.candidate for one in own), key=lambda candidate: (candidate.first_seen, candidate.last_seen)
                )
                firing += [(detection, one) for one in episodes(detection, ordered, _BEGINNING)]
        return firing

    def _raise(self, now: datetime, firing: Sequence[Fired], *, archive_quiet: bool) -> None:
        open_alerts = {name for name, alert in self._alerts.items() if alert.state is State.ACTIVE}
        kept, storms = divide([(detection.name, candidate) for detection, candidate in firing], open_alerts)
        groups = {storm.alert_id: storm.total for storm in storms}
        bounded = [firing[position] for position in kept]
        bounded += [(self.detections[storm.detection], storm.summary) for storm in storms]
        fired = set()
        for detection, candidate in bounded:
            name = candidate.alert_id(detection.name)
            fired.add(name)
            before = self._alerts.get(name)
            one = self._of_candidate(detection, candidate, before, groups.get(name, 0))
            self._keep(before, advance(before, one, detection.quiet_seconds, now))
        if archive_quiet:
            for name in open_alerts - fired:
                before = self._alerts[name]
                self._keep(before, advance(before, None, before.quiet_seconds, now))

    def _of_candidate(
        self, detection: Detection, candidate: Candidate, alert: Alert | None, groups: int
    ) -> Firing | None:
        """As the runner makes it, from the begin of the episode that lasts. Its events are counted at its end."""
        begin, last = candidate.first_seen, candidate.last_seen
        if alert and alert.state is State.ACTIVE and moment_of(begin) - moment_of(alert.last_seen) < detection.quiet:
            begin, last = min(begin, alert.first_seen), max(last, alert.last_seen)
        is_news = alert is None or last > alert.last_seen
        if detection.sequence and is_news and not self._completed(detection, replace(candidate, last_seen=last), begin):
            return None
        return Firing(
            detection=detection.name,
            title=detection.title,
            level=candidate.level,
            database=Database(candidate.resource_id),
            group=candidate.group,
            first_seen=begin,
            last_seen=last,
            count=0,
            metrics={GROUPS: groups} if groups else {},
            arrived_at=last,
        )

    def _keep(self, before: Alert | None, after: Alert | None) -> None:
        if after is None:
            return
        if before and before.state is State.ACTIVE and (after.state, after.episode) != (before.state, before.episode):
            self._ended.append(before)
        self._alerts[after.id] = after

    def _forget(self, now: datetime) -> None:
        """Forget what was archived, once no window holds its events any more."""
        for name in [name for name, alert in self._alerts.items() if alert.state is State.ARCHIVED]:
            alert = self._alerts[name]
            detection = self.detections[alert.detection]
            held = timedelta(seconds=detection.window_seconds) + overlap(detection) + 2 * _LOOKED_BACK
            if now - moment_of(alert.last_seen) > held:
                del self._alerts[name]


class Sightings:
    """Replays first sightings in memory, from the oldest to the newest.

    What was seen before the span comes from the events, week by week, and from `das-seen`, which outlives them.
    """

    def __init__(self, detection: Detection, span: Period) -> None:
        self._detection = detection
        self._span = span
        self._known: dict[str, Sighting] = {}
        self._learning: dict[str, str] = {}
        self._oldest: datetime | None = None

    @property
    def note(self) -> str:
        """What limits the answer: a history that is shorter than what is to be learned."""
        rule = self._detection.first_seen
        needed = max(rule.learn_days, rule.absent_days) if rule else 0
        if self._oldest is None:
            return f"nothing is indexed of the {needed} days before, in which it learns"
        days = (self._span.begin - self._oldest).days
        if days >= needed:
            return ""
        return f"{days} days before are indexed, of {needed} in which it learns: what is older counts as never seen"

    def learn(self, found: Iterable[Candidate]) -> None:
        """What was seen before the span."""
        self._note(by_network(self._detection, found))

    def learned(self, oldest: datetime | None) -> None:
        """After the last of it, which began with `oldest`: a database that was there by then is older than that."""
        self._oldest = oldest
        if oldest is not None:
            self._learning = {
                name: _ALWAYS if moment_of(since) < oldest + _DAY else since for name, since in self._learning.items()
            }

    def unknown(self, found: Iterable[Candidate]) -> list[str]:
        """The ids of what the events before do not have: `das-seen` may."""
        merged = by_network(self._detection, found)
        names = {sighting_id(self._detection, one) for one in merged} - self._known.keys()
        databases = {one.resource_id for one in merged} - {
            name for name, since in self._learning.items() if since == _ALWAYS
        }
        return sorted(names | {learning_id(self._detection, resource_id) for resource_id in databases})

    def remember(self, documents: Mapping[str, Mapping[str, str]]) -> None:
        """What `das-seen` has, as far as it was seen before the span."""
        begin = iso_milliseconds(self._span.begin)
        for name, document in documents.items():
            first, last = document["firstSeen"], document["lastSeen"]
            if first >= begin:
                continue
            resource_id = document.get("resourceId", "")
            if name == learning_id(self._detection, resource_id):
                self._learning[resource_id] = min(first, self._learning.get(resource_id, first))
            elif name not in self._known:
                # Seen since then again, it was not seen in what is indexed of the time before.
                before = last if last < begin else max(first, iso_milliseconds(self._oldest or self._span.begin))
                self._known[name] = Sighting(first, before)

    def new(self, found: Iterable[Candidate]) -> list[tuple[datetime, Candidate]]:
        """Which sightings of a day are new, each with the run that finds it and as it is by then.

        A database that comes up now is learned first.
        """
        merged = by_network(self._detection, found)
        new = []
        for one in merged:
            run = run_of(moment_of(one.first_seen), self._span)
            since = self._learning.get(one.resource_id)
            learning = Sighting(since, since) if since else None
            known = self._known.get(sighting_id(self._detection, one))
            if is_new(self._detection, one, known, learning, run):
                new.append((run, replace(one, last_seen=min(one.last_seen, iso_milliseconds(run)))))
        self._note(merged)
        return new

    def _note(self, found: Iterable[Candidate]) -> None:
        for one in found:
            name = sighting_id(self._detection, one)
            before = self._known.get(name)
            self._known[name] = Sighting(
                min(one.first_seen, before.first_seen) if before else one.first_seen,
                max(one.last_seen, before.last_seen) if before else one.last_seen,
            )
            since = iso_milliseconds(_run_after(moment_of(one.first_seen)))
            self._learning[one.resource_id] = min(since, self._learning.get(one.resource_id, since))


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


def _run_after(moment: datetime) -> datetime:
    return datetime.fromtimestamp((moment.timestamp() // 60 + 1) * 60, UTC)


def _joined(detection: Detection, earlier: Candidate, later: Candidate) -> Candidate:
    disjoint = not detection.window_seconds
    return replace(
        later,
        count=earlier.count + later.count if disjoint else max(earlier.count, later.count),
        first_seen=min(earlier.first_seen, later.first_seen),
        last_seen=max(earlier.last_seen, later.last_seen),
        level=max(earlier.level, later.level, key=lambda level: level.rank),
        metrics={name: max(value, earlier.metrics.get(name, 0)) for name, value in later.metrics.items()},
        values=tuple(map(max, earlier.values, later.values)),
    )
