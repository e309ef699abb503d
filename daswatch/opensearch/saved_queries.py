"""OpenSearch: all saved queries of a run in one `_msearch`, each with an answer or a failure of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionTimeout

from daswatch.alerts.alert import Database, Firing
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.request import request
from daswatch.opensearch.responses import TIMED_OUT, failure_of
from daswatch.queries.backlog import Arrivals, Span, spans
from daswatch.queries.backtests import episodes
from daswatch.queries.saved_query import (
    Candidate,
    Details,
    Search,
    Window,
    completed,
    details_query,
    next_page,
    off_time_arrivals,
    oldest_query,
    parts_query,
    quiet_parts,
    read_candidates,
    read_details,
    read_minutes,
    read_off_time,
    read_oldest,
    read_parts,
    saved_query,
)
from daswatch.times import moment_of

# In one request: enough for a run and its late windows, and far below a request's size limit.
_SEARCHES = 200
# One saved query may take so long, and a request with many a little longer. Where one does not end, the request is
# asked in halves with half the time, until the one is found: all of it takes about twice as long.
_PATIENCE_SECONDS = 10.0
_SHORTEST_PATIENCE_SECONDS = 2.0
_OWN_SHARE = 0.7
# Groups whose parts are asked about in one search, and buckets of it; OpenSearch's own limit is 65,535.
_GROUPS = 200
_BUCKETS = 10_000
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """A detection over one window of the documents in `index`.

    `parts` are the windows that count, where `window` covers several: asked only about groups that fire in all of it.
    `also` is a second window that the documents have to be in.
    """

    detection: Detection
    window: Window
    index: str
    parts: tuple[Window, ...] = ()
    also: Window | None = None

    @property
    def windows(self) -> list[Window]:
        """All that the documents have to be in."""
        return [self.window, *([self.also] if self.also else [])]


@dataclass(frozen=True, slots=True)
class Group:
    """A group that fired, with the begin of its episode, ISO 8601."""

    detection: Detection
    candidate: Candidate
    since: str
    index: str


@dataclass(frozen=True, slots=True)
class SearchFailure:
    """A search that could not be run, by OpenSearch's name for the reason (its text may quote the query)."""

    cause: str


@dataclass(slots=True)
class Answers:
    """What all questions of a run found, and which detections could not be asked."""

    candidates: list[tuple[Detection, Candidate]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)  # detection's name -> cause
    searches: int = 0


@dataclass(slots=True)
class WindowAnswers(Answers):
    """The groups that fire in each window by itself."""

    found: list[tuple[Detection, Window, Candidate]] = field(default_factory=list)


@dataclass(slots=True)
class MinuteAnswers(Answers):
    """The groups that fire in each minute by itself."""

    found: list[tuple[Detection, datetime, Candidate]] = field(default_factory=list)


class SavedQueries:
    """Searches at one endpoint. Raises SearchUnavailable where nothing can be asked at all.

    `patience` is how many seconds a request may take before its halves are asked; with None it has the whole deadline.
    """

    def __init__(self, client: OpenSearch, patience: float | None = _PATIENCE_SECONDS) -> None:
        self._client = client
        self._patience = patience

    def ask(self, questions: Sequence[Question], deadline: Deadline) -> Answers:
        """Ask everything; what all windows of a detection return of a group is put together by its episodes."""
        answers = Answers()
        found: dict[str, tuple[Detection, list[Candidate]]] = {}
        in_parts: list[tuple[Question, list[Candidate]]] = []
        for question, candidates in self._whole(questions, answers, deadline):
            apart, at_once = _needing_parts(question, candidates)
            in_parts += [(question, batch) for batch in _batches(question, apart)]
            found.setdefault(question.detection.name, (question.detection, []))[1].extend(at_once)
        for question, parts in self._in_parts(in_parts, answers, deadline):
            fired = [candidate for _, candidate in parts]
            found.setdefault(question.detection.name, (question.detection, []))[1].extend(fired)
        for detection, candidates in found.values():
            ordered = sorted(candidates, key=lambda one: (one.first_seen, one.last_seen))
            answers.candidates += [(detection, one) for one in episodes(detection, ordered, _BEGINNING)]
        return answers

    def whole(self, questions: Sequence[Question], deadline: Deadline) -> Answers:
        """Which groups fire in the window of each question as a whole."""
        answers = Answers()
        for question, candidates in self._whole(questions, answers, deadline):
            answers.candidates += [(question.detection, one) for one in candidates]
        return answers

    def by_window(self, questions: Sequence[Question], deadline: Deadline) -> WindowAnswers:
        """In which of its parts each question's groups fire: nothing is put together."""
        answers = WindowAnswers()
        in_parts = [
            (question, batch)
            for question, candidates in self._whole(questions, answers, deadline)
            for batch in _batches(question, candidates)
        ]
        for question, fired in self._in_parts(in_parts, answers, deadline):
            answers.found += [(question.detection, window, candidate) for window, candidate in fired]
        return answers

    def by_minute(self, questions: Sequence[Question], deadline: Deadline) -> MinuteAnswers:
        """Which groups fire in each minute by itself."""
        answers = MinuteAnswers()
        for question, answer in self._pages(questions, answers, deadline, by_minute=True):
            answers.found += [
                (question.detection, minute, candidate)
                for minute, candidate in read_minutes(question.detection, answer)
            ]
        return answers

    def oldest(self, detection: Detection, index: str, before: datetime, deadline: Deadline) -> datetime | None:
        """When the oldest event happened that a detection looks at; None if there is none, or it cannot be asked."""
        (answer,) = self.answers([Search(index, oldest_query(detection, before))], deadline)
        return None if isinstance(answer, SearchFailure) else read_oldest(answer)

    def begins(self, asked: Sequence[tuple[Question, Sequence[Candidate]]], deadline: Deadline) -> dict[str, str]:
        """When the episodes began that groups are in, by alert id, as far as each group is looked back at.

        A candidate's `first_seen` is how far to look back, its `last_seen` the begin that is known.
        """
        groups = {
            candidate.alert_id(question.detection.name): (question.detection, candidate)
            for question, candidates in asked
            for candidate in candidates
        }
        found: dict[str, list[Candidate]] = {name: [] for name in groups}
        in_batches = [(question, batch) for question, own in asked for batch in _batches(question, own)]
        for question, parts in self._in_parts(in_batches, Answers(), deadline):
            for _, part in parts:
                found[part.alert_id(question.detection.name)].append(part)
        begins = {}
        for name, (detection, group) in groups.items():
            known = replace(group, first_seen=group.last_seen)
            earlier = (part for part in found[name] if part.first_seen < known.first_seen)
            whole = sorted([*earlier, known], key=lambda one: (one.first_seen, one.last_seen))
            begins[name] = episodes(detection, whole, _BEGINNING)[-1].first_seen
        return begins

    def firings(self, groups: Sequence[Group], until: str, deadline: Deadline) -> tuple[list[Firing], dict[str, str]]:
        """Return the firing of each group, from its events of the episode; and failures by detection."""
        firings, failures = [], {}
        for group, found in zip(groups, self.details(groups, deadline), strict=True):
            if isinstance(found, SearchFailure):
                failures[group.detection.name] = found.cause
            elif found.count and completed(group.detection, found):
                firings.append(firing(group.detection, group.candidate, found, until))
        return firings, failures

    def details(self, groups: Sequence[Group], deadline: Deadline) -> list[Details | SearchFailure]:
        """Return the events of each group's episode, in their order."""
        searches = [
            Search(
                group.index,
                details_query(
                    group.detection,
                    group.candidate.resource_id,
                    group.candidate.group,
                    group.since,
                    group.candidate.last_seen,
                ),
            )
            for group in groups
        ]
        return [
            answer if isinstance(answer, SearchFailure) else read_details(group.detection, answer)
            for group, answer in zip(groups, self.answers(searches, deadline), strict=True)
        ]

    def off_time(self, arrivals: Arrivals, events: str, deadline: Deadline) -> list[Span] | SearchFailure:
        """When events happened that arrived late, or from a day that is still to come."""
        (answer,) = self.answers([Search(events, off_time_arrivals(arrivals.window, arrivals.usual))], deadline)
        return answer if isinstance(answer, SearchFailure) else spans(read_off_time(answer))

    def documents(
        self, ids: Sequence[str], fields: Sequence[str], events: str, deadline: Deadline
    ) -> dict[str, dict[str, Any]]:
        """Some fields of some documents by id, as far as they are there."""
        body = {"size": len(ids), "query": {"ids": {"values": list(ids)}}, "_source": list(fields)}
        (answer,) = self.answers([Search(events, body)], deadline)
        return (
            {} if isinstance(answer, SearchFailure) else {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}
        )

    def _whole(
        self, questions: Sequence[Question], answers: Answers, deadline: Deadline
    ) -> Iterator[tuple[Question, list[Candidate]]]:
        """The groups that each question returns, page by page."""
        for question, answer in self._pages(questions, answers, deadline):
            yield question, read_candidates(question.detection, answer)

    def _pages(
        self, questions: Sequence[Question], answers: Answers, deadline: Deadline, *, by_minute: bool = False
    ) -> Iterator[tuple[Question, Mapping[str, Any]]]:
        asked: list[tuple[Question, Mapping[str, Any] | None]] = [(question, None) for question in questions]
        while asked:
            searches = [
                Search(
                    question.index,
                    saved_query(question.detection, question.window, after, question.also, by_minute=by_minute),
                )
                for question, after in asked
            ]
            answers.searches += len(searches)
            further: list[tuple[Question, Mapping[str, Any] | None]] = []
            for (question, _), answer in zip(asked, self.answers(searches, deadline), strict=True):
                if isinstance(answer, SearchFailure):
                    answers.failures[question.detection.name] = answer.cause
                    continue
                if _FOUND not in answer:
                    continue
                yield question, answer
                after = next_page(answer)
                if after:
                    further.append((question, after))
            asked = further

    def _in_parts(
        self, asked: Sequence[tuple[Question, Sequence[Candidate]]], answers: Answers, deadline: Deadline
    ) -> Iterator[tuple[Question, list[tuple[Window, Candidate]]]]:
        """In which parts of their question's window groups fire."""
        parts = [_parts(question, groups) for question, groups in asked]
        searches = [
            Search(question.index, parts_query(question.detection, question.windows, groups, own))
            for (question, groups), own in zip(asked, parts, strict=True)
        ]
        answers.searches += len(searches)
        answered = self.answers(searches, deadline)
        for (question, groups), own, answer in zip(asked, parts, answered, strict=True):
            if isinstance(answer, SearchFailure):
                answers.failures[question.detection.name] = answer.cause
            elif _FOUND in answer:
                found = read_parts(question.detection, groups, answer)
                yield question, [(own[number], candidate) for number, candidate in found]

    def answers(self, searches: Sequence[Search], deadline: Deadline) -> Iterator[Mapping[str, Any] | SearchFailure]:
        """The answer to each search, or why there is none. Raises SearchUnavailable."""
        for begin in range(0, len(searches), _SEARCHES):
            yield from self._msearch(searches[begin : begin + _SEARCHES], deadline, self._patience)

    def _msearch(
        self, searches: Sequence[Search], deadline: Deadline, patience: float | None
    ) -> list[Mapping[str, Any] | SearchFailure]:
        """One request; where it takes too long, its halves, so that only the slow search fails."""
        if deadline.remaining <= 0:
            return [SearchFailure(_OUT_OF_TIME)] * len(searches)
        own = {}
        if patience is not None:
            own = {"timeout": f"{int(min(patience, deadline.remaining) * _OWN_SHARE * 1000)}ms"}
        lines = []
        for search in searches:
            lines += [orjson.dumps({"index": search.index, **_LENIENT}), orjson.dumps({**search.body, **own})]
        try:
            answer = request(
                self._client,
                "POST",
                "/_msearch",
                deadline=deadline if patience is None else deadline.at_most(patience),
                body=b"\n".join(lines) + b"\n",
            )
        except SearchUnavailable as exc:
            if patience is None or not isinstance(exc.__cause__, ConnectionTimeout):
                raise
            if len(searches) == 1:
                return [SearchFailure(TIMED_OUT)]
            middle = len(searches) // 2
            shorter = max(patience / 2, _SHORTEST_PATIENCE_SECONDS)
            return [
                *self._msearch(searches[:middle], deadline, shorter),
                *self._msearch(searches[middle:], deadline, shorter),
            ]
        responses = answer.get("responses", ()) if isinstance(answer, dict) else ()
        if len(responses) != len(searches):
            raise SearchUnavailable("OpenSearch's answer to POST /_msearch has another number of answers")
        return [_checked(response) for response in responses]


# A day without events has no index, and a search without any index no aggregations.
_LENIENT = {"ignore_unavailable": True, "allow_no_indices": True}
_FOUND = "aggregations"
_OUT_OF_TIME = "out of time"


def _checked(response: Mapping[str, Any]) -> Mapping[str, Any] | SearchFailure:
    """An answer that covers all shards, or why it does not: half an answer would pass for silence."""
    cause = failure_of(response)
    return SearchFailure(cause) if cause else response


def _needing_parts(question: Question, candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Those of which it has to be asked in which parts they fire, and the others."""
    if question.detection.kind in (DetectionKind.FIRST_SEEN, DetectionKind.SILENCE):
        return [], list(candidates)
    apart: list[Candidate] = []
    at_once: list[Candidate] = []
    quiet = question.detection.quiet
    for candidate in candidates:
        if question.detection.window_seconds:
            several = len(question.parts) > 1
        else:
            several = moment_of(candidate.last_seen) - moment_of(candidate.first_seen) >= quiet
        (apart if several else at_once).append(candidate)
    return apart, at_once


def _batches(question: Question, groups: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """As many groups as one search may be asked about; those of the same time together, they have few parts."""
    batch: list[Candidate] = []
    last = ""
    for group in sorted(groups, key=lambda one: (one.first_seen, one.last_seen)):
        last = max(last, group.last_seen)
        parts = _parts_between(question, batch[0].first_seen, last) if batch else ()
        if len(batch) == _GROUPS or (len(batch) + 1) * len(parts) > _BUCKETS:
            yield batch
            batch, last = [], group.last_seen
        batch.append(group)
    if batch:
        yield batch


def _parts(question: Question, groups: Sequence[Candidate]) -> tuple[Window, ...]:
    """The parts in which these groups have events at all."""
    return _parts_between(question, min(one.first_seen for one in groups), max(one.last_seen for one in groups))


def _parts_between(question: Question, first: str, last: str) -> tuple[Window, ...]:
    if not question.detection.window_seconds:
        return quiet_parts(question.detection, moment_of(first), moment_of(last))
    return tuple(part for part in question.parts if part.start <= last and first <= part.end)


def firing(detection: Detection, candidate: Candidate, details: Details, until: str) -> Firing:
    """A group that fires, in the words of an alert."""
    silent = detection.kind is DetectionKind.SILENCE
    return Firing(
        detection=detection.name,
        title=detection.title,
        level=candidate.level,
        database=Database(candidate.resource_id, details.aws_account_id, details.aws_region, details.engine),
        group=candidate.group,
        first_seen=details.first_seen or candidate.first_seen,
        last_seen=until if silent else details.last_seen or candidate.last_seen,
        count=details.count,
        metrics={} if silent else details.metrics,
        actors=details.actors,
        samples=details.samples,
        note=f"last data received at {candidate.last_seen}" if silent else "",
        arrived_at=details.arrived_at,
        pivot=details.pivot,
    )
