"""OpenSearch: all saved queries of a run in one `_msearch`, each with an answer or a failure of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.alerts import Database, Firing
from daswatch.deadline import Deadline
from daswatch.detections import Detection, Kind
from daswatch.errors import SearchUnavailable
from daswatch.gateways.endpoint import request
from daswatch.queries import (
    Candidate,
    Details,
    Search,
    Window,
    completed,
    details_query,
    next_page,
    oldest_arrival,
    read_candidates,
    read_details,
    saved_query,
)

# In one request: enough for a run and its late windows, and far below a request's size limit.
_SEARCHES = 200


@dataclass(frozen=True, slots=True)
class Question:
    """A detection over one window of the documents in `index`."""

    detection: Detection
    window: Window
    index: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group that fired, with the begin of its episode, ISO 8601."""

    detection: Detection
    candidate: Candidate
    since: str
    index: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A search that could not be run, by OpenSearch's name for the reason (its text may quote the query)."""

    cause: str


@dataclass(slots=True)
class Answers:
    """What all questions of a run found, and which detections could not be asked."""

    candidates: list[tuple[Detection, Candidate]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)  # detection's name -> cause
    searches: int = 0


class SavedQueries:
    """Searches at one endpoint. Raises SearchUnavailable where nothing can be asked at all."""

    def __init__(self, client: OpenSearch) -> None:
        self._client = client

    def ask(self, questions: Sequence[Question], deadline: Deadline) -> Answers:
        """Ask everything; groups that several windows of a detection return are told once, with the longest span."""
        answers = Answers()
        merged: dict[tuple[str, str, tuple[str, ...]], tuple[Detection, Candidate]] = {}
        asked: list[tuple[Question, Mapping[str, Any] | None]] = [(question, None) for question in questions]
        while asked:
            searches = [_search(question, after) for question, after in asked]
            answers.searches += len(searches)
            further: list[tuple[Question, Mapping[str, Any] | None]] = []
            for (question, _), answer in zip(asked, self._many(searches, deadline), strict=True):
                if isinstance(answer, Failure):
                    answers.failures[question.detection.name] = answer.cause
                    continue
                if _FOUND not in answer:
                    continue
                for candidate in read_candidates(question.detection, answer):
                    key = question.detection.name, candidate.resource_id, tuple(candidate.group.values())
                    earlier = merged.get(key)
                    merged[key] = question.detection, _union(earlier and earlier[1], candidate)
                after = next_page(answer)
                if after:
                    further.append((question, after))
            asked = further
        answers.candidates = list(merged.values())
        return answers

    def firings(self, groups: Sequence[Group], until: str, deadline: Deadline) -> tuple[list[Firing], dict[str, str]]:
        """What is to be told about each group, from its events of the episode; and failures by detection."""
        searches = [
            Search(
                group.index,
                details_query(group.detection, group.candidate.resource_id, group.candidate.group, group.since, until),
            )
            for group in groups
        ]
        firings, failures = [], {}
        for group, answer in zip(groups, self._many(searches, deadline), strict=True):
            if isinstance(answer, Failure):
                failures[group.detection.name] = answer.cause
                continue
            details = read_details(group.detection, answer)
            if details.count and completed(group.detection, details.steps):
                firings.append(firing(group.detection, group.candidate, details, until))
        return firings, failures

    def oldest(self, window: Window, events: str, deadline: Deadline) -> datetime | None:
        """The time of the oldest event that arrived in a window. Raises SearchUnavailable."""
        (answer,) = self._many([Search(events, oldest_arrival(window))], deadline)
        if isinstance(answer, Failure):
            raise SearchUnavailable(f"the events that arrived cannot be searched ({answer.cause})")
        value = answer["aggregations"]["oldest"]["value"] if _FOUND in answer else None
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)

    def documents(
        self, ids: Sequence[str], fields: Sequence[str], events: str, deadline: Deadline
    ) -> list[dict[str, Any]]:
        """Some fields of some documents, as far as they are there."""
        body = {"size": len(ids), "query": {"ids": {"values": list(ids)}}, "_source": list(fields)}
        (answer,) = self._many([Search(events, body)], deadline)
        return [] if isinstance(answer, Failure) else [hit["_source"] for hit in answer["hits"]["hits"]]

    def _many(self, searches: Sequence[Search], deadline: Deadline) -> Iterator[Mapping[str, Any] | Failure]:
        for begin in range(0, len(searches), _SEARCHES):
            yield from self._msearch(searches[begin : begin + _SEARCHES], deadline)

    def _msearch(self, searches: Sequence[Search], deadline: Deadline) -> Iterator[Mapping[str, Any] | Failure]:
        lines = []
        for search in searches:
            lines += [orjson.dumps({"index": search.index, **_LENIENT}), orjson.dumps(search.body)]
        answer = request(
            self._client,
            "POST",
            "/_msearch",
            deadline=deadline,
            body=b"\n".join(lines) + b"\n",
        )
        responses = answer.get("responses", ()) if isinstance(answer, dict) else ()
        if len(responses) != len(searches):
            raise SearchUnavailable("OpenSearch's answer to POST /_msearch has another number of answers")
        for response in responses:
            yield _checked(response)


# A day without events has no index, and a search without any index no aggregations.
_LENIENT = {"ignore_unavailable": True, "allow_no_indices": True}
_FOUND = "aggregations"


def _search(question: Question, after: Mapping[str, Any] | None) -> Search:
    return Search(question.index, saved_query(question.detection, question.window, after))


def _checked(response: Mapping[str, Any]) -> Mapping[str, Any] | Failure:
    """An answer that covers all shards, or why it does not: half an answer would pass for silence."""
    error = response.get("error")
    if error:
        causes = error.get("root_cause") or [error] if isinstance(error, Mapping) else [{"type": str(error)}]
        return Failure(str(causes[0].get("type", "unknown")))
    if response.get("timed_out"):
        return Failure("timed out")
    failed = response.get("_shards", {}).get("failures")
    if failed:
        return Failure(str(failed[0].get("reason", {}).get("type", "unknown")))
    return response


def _union(earlier: Candidate | None, later: Candidate) -> Candidate:
    if earlier is None:
        return later
    return replace(
        later,
        count=max(earlier.count, later.count),
        first_seen=min(earlier.first_seen, later.first_seen),
        last_seen=max(earlier.last_seen, later.last_seen),
        level=max(earlier.level, later.level, key=lambda level: level.rank),
        metrics={name: max(value, earlier.metrics.get(name, 0)) for name, value in later.metrics.items()},
    )


def firing(detection: Detection, candidate: Candidate, details: Details, until: str) -> Firing:
    """A group that fires, in the words of an alert."""
    silent = detection.kind is Kind.SILENCE
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
        note=f"last heard at {candidate.last_seen}" if silent else "",
        arrived_at=details.arrived_at,
    )
