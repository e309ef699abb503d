"""OpenSearch: asks what detections would have raised over a span, day by day. It searches, and never writes.

A day is asked about as a whole first; detections that find something in it are asked hour by hour, in one request for
the windows of all runs of that hour. So a run holds what one hour's windows return, and the alerts that it found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar

from opensearchpy import OpenSearch

from daswatch.alerts.alert import GROUPS, Alert, Firing
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind
from daswatch.errors import SearchUnavailable
from daswatch.indices import DEFAULT_INDEX_PREFIX, Indices
from daswatch.opensearch.known_clients import KnownClientLookup, is_judged
from daswatch.opensearch.saved_queries import Answers, Group, Question, SavedQueries, SearchFailure, firing
from daswatch.queries.backtests import (
    Backtest,
    Found,
    Period,
    Replay,
    Sightings,
    lead_in,
    not_applicable,
    run_of,
    run_windows,
    whole_window,
)
from daswatch.queries.saved_query import Candidate, Details, Fired, Window, completed, event_indices, index_of
from daswatch.times import moment_of

_QUESTIONS = 50  # in one request: a question about a whole day takes longer than one about the last minutes
_SECONDS = 60.0  # for one request and the further pages of its answers
_SILENT_REQUESTS = 3  # after so many, nothing is asked detection by detection any more
_DETAILED = 5  # groups of a detection whose actors and samples are read
_COUNTED = 200  # episodes whose events are counted in one request
_SEEN_IDS = 1_000  # sightings that are looked up in one request
_PROBED_DAYS = 3

# What each run of a period finds, by detection.
_ByRun = dict[datetime, dict[str, list[Found]]]
_Answers = TypeVar("_Answers", bound=Answers)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take, from the days that were asked about for it."""

    searches: int
    seconds: float
    days: int  # that were measured


class BacktestRun:
    """A run over the events of one endpoint. `step` is called `steps` times, for a progress bar.

    `until` is up to when everything was looked at: less than the end of the span where the run was interrupted.
    """

    def __init__(
        self,
        client: OpenSearch,
        span: Period,
        prefix: str = DEFAULT_INDEX_PREFIX,
        step: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queries = SavedQueries(client, patience=None)
        self._span = span
        self._indices = Indices(prefix)
        self._known_clients = KnownClientLookup(self._queries, self._indices)
        # Whether a group fires, by what its windows returned of it.
        self._judgements: dict[tuple[object, ...], bool] = {}
        self._step = step
        self._clock = clock
        self._failures: dict[str, str] = {}
        self._silent = 0  # requests of a single detection without an answer, since the last one that had one
        self._histories: dict[str, datetime | None] = {}  # the oldest event that a first-seen detection can learn from
        self.searches = 0
        self.until = span.begin

    def steps(self, detections: Sequence[Detection]) -> int:
        """How many parts of the history and of the span a run looks at."""
        asked = _asked(detections)
        learned = sum(len(self._history(one).weeks()) for one in asked if one.kind is DetectionKind.FIRST_SEEN)
        return learned + len(self._days(asked))

    def estimate(self, detections: Sequence[Detection]) -> Estimate | None:
        """Ask about some days of the span and measure; None where the span is hardly longer than these."""
        asked = _asked(detections)
        days = self._span.days()
        if len(days) < 2 * _PROBED_DAYS or not asked:
            return None
        probed = [days[len(days) * number // (_PROBED_DAYS + 1)] for number in range(1, _PROBED_DAYS + 1)]
        begun, searches = self._clock(), self.searches
        for day in probed:
            for _ in self._by_hour(asked, day, {}):
                pass
        factor = self.steps(detections) / len(probed)
        return Estimate(round((self.searches - searches) * factor), (self._clock() - begun) * factor, len(probed))

    def run(self, detections: Sequence[Detection]) -> list[Backtest]:
        """One answer for each detection, in their order; what of them could not be asked is named in its `failure`.

        What was found before a failure, or before the run is interrupted from the keyboard, is kept. An endpoint that
        does not answer is not asked for each detection.
        """
        asked = _asked(detections)
        replay = Replay(asked, self._completed, self._judged)
        raised: dict[str, list[Candidate]] = {one.name: [] for one in asked}
        sightings = {one.name: Sightings(one, self._span) for one in asked if one.kind is DetectionKind.FIRST_SEEN}
        try:
            for one in asked:
                if one.name in sightings:
                    self._learn(one, sightings[one.name])
            for day in self._days(asked):
                for hour, by_run in self._by_hour(asked, day, sightings):
                    for run in hour.runs():
                        replay.run(run, by_run.get(run, {}))
                self._count(replay, raised)
                self.until = max(self.until, day.end)
                self._step()
            replay.finish()
            self._count(replay, raised)
        except KeyboardInterrupt:
            replay.finish()
            for alert in replay.ended():
                self._add(raised, alert, _episode(alert))
        finished = self.until >= self._span.end
        return [
            self._answer(one, raised[one.name], sightings.get(one.name), detailed=finished)
            if one.name in raised
            else Backtest(one, note=not_applicable(one))
            for one in detections
        ]

    def firings(self, answer: Backtest) -> list[Firing]:
        """The episodes of an answer with everything that an alert of theirs has, oldest first.

        One whose events cannot be read is left out, and named in `failures`.
        """
        detection = answer.detection
        groups = [self._group(detection, one, one.first_seen) for one in answer.episodes]
        found = []
        for begin in range(0, len(groups), _COUNTED):
            some = groups[begin : begin + _COUNTED]
            episodes = answer.episodes[begin : begin + _COUNTED]
            for episode, one in zip(episodes, self._details(some), strict=True):
                if not isinstance(one, SearchFailure) and one.count:
                    found.append(firing(detection, episode, one, episode.last_seen))
        return found

    @property
    def failures(self) -> Mapping[str, str]:
        """Detections that could not be asked, and why."""
        return self._failures

    def _judged(self, firing: Sequence[Fired]) -> list[Fired]:
        """What fires, without groups of known clients, and without those that another event explains."""
        keys = {number: _judgement(*pair) for number, pair in enumerate(firing) if is_judged(pair[0])}
        unknown = {key: firing[number] for number, key in keys.items() if key not in self._judgements}
        if unknown:
            self._judge(unknown)
        return [pair for number, pair in enumerate(firing) if number not in keys or self._judgements.get(keys[number])]

    def _judge(self, unknown: Mapping[tuple[object, ...], Fired]) -> None:
        try:
            judged = self._known_clients.judge(list(unknown.values()), Deadline.after(_SECONDS))
        except SearchUnavailable as exc:
            self._failures |= {pair[0].name: str(exc) for pair in unknown.values()}
            return
        self.searches += judged.searches
        self._failures |= judged.failures
        fired = {_judgement(*pair) for pair in judged.fired}
        self._judgements |= {key: key in fired for key, pair in unknown.items() if pair[0].name not in judged.failures}

    def _days(self, asked: Sequence[Detection]) -> list[Period]:
        """The days of the span, and of the time before it in which its alerts may have begun."""
        before = max((lead_in(one) for one in asked), default=timedelta())
        return [*Period(self._span.begin - before, self._span.begin).days(), *self._span.days()]

    def _by_hour(
        self, asked: Sequence[Detection], day: Period, sightings: Mapping[str, Sightings]
    ) -> Iterator[tuple[Period, _ByRun]]:
        """What the runs of a day find, hour by hour."""
        of_the_day: _ByRun = {}
        since = [one for one in asked if day.end > self._span.begin - lead_in(one)]
        self._first_seen([one for one in since if one.kind is DetectionKind.FIRST_SEEN], day, sightings, of_the_day)
        others = [one for one in since if one.kind is not DetectionKind.FIRST_SEEN]
        self._minutes([one for one in others if not one.window_seconds], day, of_the_day)
        windowed = self._firing([one for one in others if one.window_seconds], day)
        for hour in day.hours():
            by_run = {run: dict(of_the_day.pop(run, {})) for run in hour.runs()}
            self._windows(windowed, hour, by_run)
            yield hour, by_run

    def _minutes(self, detections: Sequence[Detection], day: Period, by_run: _ByRun) -> None:
        """What detections of single events find in each minute of a day."""
        questions = [
            Question(one, day.window, self._index(one, day.begin.date(), day.end.date())) for one in detections
        ]
        for answers in self._ask(questions, self._queries.by_minute):
            for detection, minute, candidate in answers.found:
                run = run_of(minute, day)
                by_run.setdefault(run, {}).setdefault(detection.name, []).append(Found(candidate, run))

    def _firing(self, detections: Sequence[Detection], day: Period) -> list[Detection]:
        """Those that find anything in the windows of a day as a whole."""
        questions = [self._about(one, day) for one in detections]
        found: set[str] = set()
        for answers in self._ask(questions, self._queries.whole):
            found |= {detection.name for detection, _ in answers.candidates}
        return [one for one in detections if one.name in found]

    def _windows(self, detections: Sequence[Detection], hour: Period, by_run: _ByRun) -> None:
        """What the windows of an hour's runs return."""
        windows = {one.name: {own.window: own for own in run_windows(one, hour)} for one in detections}
        questions = [self._about(one, hour, tuple(windows[one.name])) for one in detections]
        for answers in self._ask(questions, self._queries.by_window):
            for detection, window, candidate in answers.found:
                own = windows[detection.name][window]
                found = by_run[own.run].setdefault(detection.name, [])
                found.append(Found(candidate, moment_of(window.end), own.ended))

    def _about(self, detection: Detection, period: Period, windows: tuple[Window, ...] = ()) -> Question:
        whole = whole_window(detection, period)
        index = self._index(detection, moment_of(whole.start).date(), moment_of(whole.end).date())
        return Question(detection, whole, index, parts=windows)

    def _about_all(self, detections: Sequence[Detection], period: Period) -> list[Question]:
        """What is asked about all events of a period."""
        days = period.begin.date(), (period.end - timedelta(milliseconds=1)).date()
        return [Question(one, period.window, self._index(one, *days)) for one in detections]

    def _first_seen(
        self, detections: Sequence[Detection], day: Period, sightings: Mapping[str, Sightings], by_run: _ByRun
    ) -> None:
        """The new sightings of a day."""
        if day.begin < self._span.begin:
            return  # it was learned
        for detection, found in self._sighted(detections, day).items():
            if own := sightings.get(detection):
                own.remember(self._noted(own.unknown(found)))
                for run, candidate in own.new(found):
                    by_run.setdefault(run, {}).setdefault(detection, []).append(Found(candidate, run))

    def _sighted(self, detections: Sequence[Detection], period: Period) -> dict[str, list[Candidate]]:
        """Everything that these detections see in a period."""
        found: dict[str, list[Candidate]] = {}
        for answers in self._ask(self._about_all(detections, period), self._queries.whole):
            for detection, candidate in answers.candidates:
                found.setdefault(detection.name, []).append(candidate)
        return found

    def _learn(self, detection: Detection, sightings: Sightings) -> None:
        """Learn from everything that is indexed of the time before the span, however old: absence has no limit."""
        history = self._history(detection)
        for week in history.weeks():
            sightings.learn(self._sighted([detection], week).get(detection.name, ()))
            self._step()
        sightings.learned(self._histories[detection.name])

    def _history(self, detection: Detection) -> Period:
        """The time before the span of which there are events."""
        if detection.name not in self._histories:
            index = index_of(detection, f"{self._indices.prefix}-*", self._indices)
            oldest = None
            try:
                self.searches += 1
                oldest = self._queries.oldest(detection, index, self._span.begin, Deadline.after(_SECONDS))
            except SearchUnavailable as exc:
                self._failures[detection.name] = str(exc)
            self._histories[detection.name] = oldest
        return Period(self._histories[detection.name] or self._span.begin, self._span.begin)

    def _noted(self, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """What the runner has noted of these sightings; nothing where it cannot be read."""
        noted: dict[str, dict[str, str]] = {}
        for begin in range(0, len(ids), _SEEN_IDS):
            self.searches += 1
            fields = ("resourceId", "firstSeen", "lastSeen")
            some = ids[begin : begin + _SEEN_IDS]
            try:
                noted |= self._queries.documents(some, fields, self._indices.seen, Deadline.after(_SECONDS))
            except SearchUnavailable:
                break
        return noted

    def _ask(
        self,
        questions: Sequence[Question],
        ask: Callable[[Sequence[Question], Deadline], _Answers],
    ) -> Iterator[_Answers]:
        for begin in range(0, len(questions), _QUESTIONS):
            batch = [one for one in questions[begin : begin + _QUESTIONS] if one.detection.name not in self._failures]
            if not batch:
                continue
            try:
                answers = ask(batch, Deadline.after(_SECONDS))
            except SearchUnavailable as exc:
                yield from self._ask_apart(batch, ask, exc)
                continue
            self._silent = 0
            self.searches += answers.searches
            self._failures |= answers.failures
            yield answers

    def _ask_apart(
        self,
        batch: Sequence[Question],
        ask: Callable[[Sequence[Question], Deadline], _Answers],
        exc: SearchUnavailable,
    ) -> Iterator[_Answers]:
        """What a request could not answer for several detections, each by itself: one that is too slow fails alone."""
        names = list(dict.fromkeys(one.detection.name for one in batch))
        if len(names) == 1:
            self._silent += exc.status == 0
            self._failures[names[0]] = str(exc)
            return
        while names and self._silent < _SILENT_REQUESTS:
            name = names.pop(0)
            yield from self._ask([one for one in batch if one.detection.name == name], ask)
        self._failures |= dict.fromkeys(names, str(exc))

    def _completed(self, detection: Detection, candidate: Candidate, begin: str) -> bool:
        """Whether the events of a group complete a sequence."""
        (found,) = self._details([self._group(detection, candidate, begin)])
        return not isinstance(found, SearchFailure) and found.count > 0 and completed(detection, found)

    def _count(self, replay: Replay, raised: dict[str, list[Candidate]]) -> None:
        """Count the events of the episodes that ended, as the runner has counted them last."""
        ended = [one for one in replay.ended() if moment_of(one.last_seen) >= self._span.begin]
        by_name = replay.detections
        for begin in range(0, len(ended), _COUNTED):
            some = ended[begin : begin + _COUNTED]
            groups = [self._group(by_name[one.detection], _episode(one), one.first_seen) for one in some]
            for alert, found in zip(some, self._details(groups), strict=True):
                episode = _episode(alert)
                if not isinstance(found, SearchFailure) and found.count:
                    metrics = episode.metrics or found.metrics
                    episode = replace(episode, count=found.count, last_seen=found.last_seen, metrics=metrics)
                self._add(raised, alert, episode)

    def _add(self, raised: dict[str, list[Candidate]], alert: Alert, episode: Candidate) -> None:
        if moment_of(episode.last_seen) >= self._span.begin:
            raised[alert.detection].append(episode)

    def _details(self, groups: Sequence[Group]) -> list[Details | SearchFailure]:
        self.searches += len(groups)
        try:
            found = self._queries.details(groups, Deadline.after(_SECONDS))
        except SearchUnavailable as exc:
            found = [SearchFailure(str(exc)) for _ in groups]
        for group, one in zip(groups, found, strict=True):
            if isinstance(one, SearchFailure):
                self._failures[group.detection.name] = one.cause
        return found

    def _answer(
        self, detection: Detection, raised: Iterable[Candidate], sightings: Sightings | None, *, detailed: bool
    ) -> Backtest:
        episodes = tuple(sorted(raised, key=lambda one: one.first_seen))
        answer = Backtest(detection, episodes, sightings.note if sightings else "")
        details: dict[str, Firing] = {}
        for group in answer.noisiest(_DETAILED if detailed else 0):
            episode = next(
                one for one in reversed(episodes) if (one.resource_id, one.group) == (group.resource_id, group.group)
            )
            if detection.name in self._failures:
                break
            (found,) = self._details([self._group(detection, episode, episode.first_seen)])
            if not isinstance(found, SearchFailure) and found.count:
                one = firing(detection, episode, found, episode.last_seen)
                details[one.alert_id] = one
        return replace(answer, details=details, failure=self._failures.get(detection.name, ""))

    def _group(self, detection: Detection, candidate: Candidate, begin: str) -> Group:
        index = self._index(detection, moment_of(begin).date(), moment_of(candidate.last_seen).date())
        return Group(detection, candidate, begin, index)

    def _index(self, detection: Detection, first_day: date, last_day: date) -> str:
        return index_of(detection, event_indices(first_day, last_day, self._indices.prefix), self._indices)


def _asked(detections: Sequence[Detection]) -> list[Detection]:
    return [detection for detection in detections if not not_applicable(detection)]


def _episode(alert: Alert) -> Candidate:
    """An alert as an episode, before its events are counted."""
    return Candidate(
        resource_id=alert.database.resource_id,
        group=alert.group,
        count=alert.count,
        first_seen=alert.first_seen,
        last_seen=alert.last_seen,
        level=alert.level,
        metrics={name: value for name, value in alert.metrics.items() if name == GROUPS},
    )


def _judgement(detection: Detection, group: Candidate) -> tuple[object, ...]:
    return group.alert_id(detection.name), group.first_seen, group.last_seen, group.level, group.values
