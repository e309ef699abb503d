"""OpenSearch: asks what detections would have raised over a span. It searches, and never writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

from opensearchpy import OpenSearch

from daswatch.alerts.alert import Firing
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind
from daswatch.errors import SearchUnavailable
from daswatch.indices import DEFAULT_INDEX_PREFIX, Indices
from daswatch.opensearch.known_clients import KnownClientLookup
from daswatch.opensearch.saved_queries import Group, Question, SavedQueries
from daswatch.queries.backtests import (
    Backtest,
    Period,
    Sightings,
    Slice,
    day_slice,
    days_of,
    episodes,
    history_days,
    not_applicable,
)
from daswatch.queries.saved_query import Candidate, event_indices, index_of
from daswatch.times import iso_milliseconds, moment_of

_QUESTIONS = 50  # in one request: a question about a whole day takes longer than one about the last minutes
_SECONDS = 60.0  # for one request and the further pages of its answers
_SILENT_REQUESTS = 3  # after so many, nothing is asked detection by detection any more
_DETAILED = 5  # groups of a detection whose actors and samples are read


class BacktestRun:
    """A run over the events of one endpoint. `step` is called `steps` times, for a progress bar."""

    def __init__(
        self,
        client: OpenSearch,
        span: Period,
        prefix: str = DEFAULT_INDEX_PREFIX,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        self._queries = SavedQueries(client, patience=None)
        self._span = span
        self._indices = Indices(prefix)
        self._known_clients = KnownClientLookup(self._queries, self._indices)
        self._step = step
        self._failures: dict[str, str] = {}
        self._silent = 0  # requests of a single detection without an answer, since the last one that had one

    def steps(self, detections: Sequence[Detection]) -> int:
        """How many days of a detection a run looks at."""
        days = len(self._span.days())
        return sum(
            days + len(self._span.before(history_days(one)).days()) for one in detections if not not_applicable(one)
        )

    def run(self, detections: Sequence[Detection]) -> list[Backtest]:
        """One answer for each detection, in their order; what of them could not be asked is named in its `failure`.

        What was found before a failure is kept. An endpoint that does not answer is not asked for each detection.
        """
        asked = [detection for detection in detections if not not_applicable(detection)]
        together = [detection for detection in asked if detection.kind is not DetectionKind.FIRST_SEEN]
        found = self._found(together, self._span)
        done = {
            detection.name: self._answer(
                detection, self._unknown(detection, episodes(detection, found[detection.name], self._span.begin))
            )
            for detection in together
        }
        done |= {one.name: self._first_seen(one) for one in asked if one.kind is DetectionKind.FIRST_SEEN}
        return [done.get(one.name) or Backtest(one, note=not_applicable(one)) for one in detections]

    def _found(self, detections: Sequence[Detection], span: Period) -> dict[str, list[Candidate]]:
        """What the windows of each detection return, in the windows' order; day by day, all detections at once."""
        found: dict[str, list[Candidate]] = {detection.name: [] for detection in detections}
        for day in span.days():
            slices = [day_slice(detection, day) for detection in detections]
            hits: list[tuple[Slice, list[Candidate]]] = []
            while slices:
                answered = [(one, candidates) for one, candidates in self._ask(slices) if candidates]
                hits += [(one, candidates) for one, candidates in answered if len(one.windows) == 1]
                slices = [part for one, _ in answered if len(one.windows) > 1 for part in one.parts()]
            for one, candidates in sorted(hits, key=lambda hit: hit[0].window.end):
                found[one.detection.name] += candidates
            for _ in detections:
                self._step()
        return found

    def _ask(self, slices: Sequence[Slice]) -> Iterator[tuple[Slice, list[Candidate]]]:
        for begin in range(0, len(slices), _QUESTIONS):
            batch = [one for one in slices[begin : begin + _QUESTIONS] if one.detection.name not in self._failures]
            # One detection's groups are put together by its name: a name of its own for each slice keeps them apart.
            named = {f"{number} {one.detection.name}": one for number, one in enumerate(batch)}
            questions = [
                Question(
                    replace(one.detection, name=name), one.window, self._index(one.detection, *days_of(one.window))
                )
                for name, one in named.items()
            ]
            try:
                answers = self._queries.ask(questions, Deadline.after(_SECONDS))
            except SearchUnavailable as exc:
                yield from self._ask_apart(batch, exc)
                continue
            self._silent = 0
            self._failures |= {named[name].detection.name: cause for name, cause in answers.failures.items()}
            candidates: dict[str, list[Candidate]] = {name: [] for name in named}
            for detection, candidate in answers.candidates:
                candidates[detection.name].append(candidate)
            yield from ((one, candidates[name]) for name, one in named.items())

    def _ask_apart(self, batch: Sequence[Slice], exc: SearchUnavailable) -> Iterator[tuple[Slice, list[Candidate]]]:
        """What a request could not answer for several detections, each by itself: one that is too slow fails alone."""
        names = list(dict.fromkeys(one.detection.name for one in batch))
        if len(names) == 1:
            self._silent += exc.status == 0
            self._failures[names[0]] = str(exc)
            return
        while names and self._silent < _SILENT_REQUESTS:
            name = names.pop(0)
            yield from self._ask([one for one in batch if one.detection.name == name])
        self._failures |= dict.fromkeys(names, str(exc))

    def _first_seen(self, detection: Detection) -> Backtest:
        """Replays day by day: what was seen before the span is known."""
        past = self._span.before(history_days(detection))
        sightings = Sightings(detection)
        for day in past.days():
            sightings.learn(self._found([detection], day)[detection.name], iso_milliseconds(past.begin))
        note = ""
        if sightings.knows_nothing:
            note = f"nothing is indexed of the {history_days(detection)} days before, in which it learns"
        new = [one for day in self._span.days() for one in sightings.new(self._found([detection], day)[detection.name])]
        return self._answer(detection, new, note)

    def _unknown(self, detection: Detection, raised: Sequence[Candidate]) -> list[Candidate]:
        """Episodes without those of known clients, where the detection leaves them out."""
        left: list[Candidate] = []
        for begin in range(0, len(raised), _QUESTIONS):
            batch = [(detection, episode) for episode in raised[begin : begin + _QUESTIONS]]
            try:
                judged = self._known_clients.judge(batch, Deadline.after(_SECONDS))
            except SearchUnavailable as exc:
                self._failures[detection.name] = str(exc)
                return left
            self._failures |= judged.failures
            left += [episode for _, episode in judged.fired]
        return left

    def _answer(self, detection: Detection, raised: Sequence[Candidate], note: str = "") -> Backtest:
        if detection.sequence:
            raised = [episode for episode in raised if self._details(detection, episode)]
        answer = Backtest(detection, tuple(raised), note)
        details: dict[str, Firing] = {}
        for group in answer.noisiest(_DETAILED):
            episode = next(
                one for one in reversed(raised) if (one.resource_id, one.group) == (group.resource_id, group.group)
            )
            if firing := self._details(detection, episode):
                details[firing.alert_id] = firing
        return replace(answer, details=details, failure=self._failures.get(detection.name, ""))

    def _details(self, detection: Detection, episode: Candidate) -> Firing | None:
        """The firing of an episode; None for a sequence that was not completed."""
        # Times of answers are cut to milliseconds, and the last event belongs to it.
        until = moment_of(episode.last_seen) + timedelta(milliseconds=1)
        index = self._index(detection, moment_of(episode.first_seen).date(), until.date())
        group = Group(detection, episode, episode.first_seen, index)
        if detection.name in self._failures:
            return None
        try:
            firings, failures = self._queries.firings([group], iso_milliseconds(until), Deadline.after(_SECONDS))
        except SearchUnavailable as exc:
            firings, failures = [], {detection.name: str(exc)}
        self._failures |= failures
        return firings[0] if firings else None

    def _index(self, detection: Detection, first_day: date, last_day: date) -> str:
        return index_of(detection, event_indices(first_day, last_day, self._indices.prefix), self._indices)
