"""OpenSearch: runs a detection on its samples, in indices of its own that are gone afterwards.

Nothing is shared with what is installed there: the indices get the shipped mapping themselves, not from a template.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from opensearchpy import OpenSearch

from daswatch.canonical import canonical_json
from daswatch.content.templates import control_plane_index, event_index
from daswatch.deadline import Clock, Deadline
from daswatch.detections.detection import Detection, DetectionKind, Source
from daswatch.detections.samples import Sample, documents
from daswatch.documents.actors import ActorTable
from daswatch.documents.document import Document, Flattening
from daswatch.errors import SearchUnavailable
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.known_clients import KnownClientLookup
from daswatch.opensearch.request import request
from daswatch.opensearch.responses import whole
from daswatch.opensearch.saved_queries import Group, Question, SavedQueries
from daswatch.queries.first_seen import Sighting, by_network, is_new, sighting_id
from daswatch.queries.saved_query import Candidate, Fired, Window, event_window
from daswatch.settings import Service
from daswatch.times import iso_milliseconds

_SECONDS = 60.0
_VISIBLE_SECONDS = 120.0
_LOOK_AGAIN_SECONDS = 2.0
_DAY = timedelta(days=1)
_LEARNED = timedelta(days=1000)  # longer than any detection learns


@dataclass(frozen=True, slots=True)
class SampleResult:
    """Whether a detection did on one sample what the sample expects."""

    sample: Sample
    fired: bool

    @property
    def right(self) -> bool:
        """Whether it fired where it must, or not where it must not."""
        return self.fired == (self.sample.expected == "match")


class SampleRun:
    """A place for samples at one endpoint: indices under a prefix that nothing else uses. Raises SearchUnavailable."""

    def __init__(
        self,
        client: OpenSearch,
        prefix: str,
        service: Service = "es",
        clock: Clock = time,
        actors: ActorTable | None = None,
    ) -> None:
        self._client = client
        self._service = service
        self._clock = clock
        self._indices = Indices(prefix)
        self._actors = actors or ActorTable()
        self._queries = SavedQueries(client)
        self._known_clients = KnownClientLookup(self._queries, self._indices, prefix)

    def __enter__(self) -> Self:
        self._create(self._events, event_index(self._service))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for index in (self._events, self._control_plane):
            self._delete(index)

    def run(self, detection: Detection, samples: Sequence[Sample]) -> list[SampleResult]:
        """Index the samples, each as a database of its own, and ask the detection's saved query about all of them.

        Samples of the control plane have no database: each gets the index for itself.
        """
        if detection.source is not Source.CONTROL_PLANE:
            return self._together(detection, samples)
        results = []
        for sample in samples:
            self._delete(self._control_plane)
            self._create(self._control_plane, control_plane_index(self._service))
            results += self._together(detection, [sample])
        return results

    def _together(self, detection: Detection, samples: Sequence[Sample]) -> list[SampleResult]:
        """Go through the days of the samples in their order: on the last one the detection fires; before, it learns."""
        now = datetime.now(UTC)
        databases = {_resource_id(sample, number): sample for number, sample in enumerate(samples)}
        first_seen = detection.kind is DetectionKind.FIRST_SEEN
        known: dict[str, Sighting] = {}
        found: list[Candidate] = []
        for days_ago in sorted({day for sample in samples for day in sample.days_ago()}, reverse=True):
            found = self._ask(detection, databases, now, days_ago)
            if first_seen:
                found = by_network(detection, found)
                if days_ago:
                    known |= {sighting_id(detection, one): Sighting(one.first_seen, one.last_seen) for one in found}
        if first_seen:
            learning = Sighting(iso_milliseconds(now - _LEARNED), iso_milliseconds(now - _LEARNED))
            new = [
                one for one in found if is_new(detection, one, known.get(sighting_id(detection, one)), learning, now)
            ]
            fired = {one.resource_id for _, one in self._without_known(detection, new)}
        else:
            fired = self._fired(detection, found, now)
        if detection.source is Source.CONTROL_PLANE:
            return [SampleResult(sample, bool(fired)) for sample in samples]
        return [SampleResult(sample, name in fired) for name, sample in databases.items()]

    def _without_known(self, detection: Detection, found: Sequence[Candidate]) -> list[Fired]:
        judged = self._known_clients.judge([(detection, one) for one in found], Deadline.after(_SECONDS))
        if judged.failures:
            raise SearchUnavailable(f"{detection.name} cannot be run: {judged.failures[detection.name]}")
        return judged.fired

    def _fired(self, detection: Detection, found: Sequence[Candidate], now: datetime) -> set[str]:
        """The databases of the groups that become alerts."""
        firing = self._without_known(detection, found)
        groups = [Group(detection, one, one.first_seen, self._index(detection)) for _, one in firing]
        # A sample may have a fixed day in the future.
        until = max([iso_milliseconds(now), *(one.last_seen for _, one in firing)])
        firings, failures = self._queries.firings(groups, until, Deadline.after(_SECONDS))
        if failures:
            raise SearchUnavailable(f"{detection.name} cannot be run: {failures[detection.name]}")
        return {one.database.resource_id for one in firings}

    def _ask(
        self, detection: Detection, databases: Mapping[str, Sample], now: datetime, days_ago: float
    ) -> list[Candidate]:
        """Index what the samples have of a day, and return which of their groups fire at its end."""
        end = now - days_ago * _DAY
        flattening = Flattening(iso_milliseconds(end), index_prefix=self._indices.prefix, actors=self._actors)
        of_the_day = {name: sample for name, sample in databases.items() if days_ago in sample.days_ago()}
        self._write(
            [
                document
                for name, sample in of_the_day.items()
                for document in documents(sample, name, now, flattening, days_ago)
            ]
        )
        if detection.window_seconds:
            window = event_window(detection, end)
        else:
            window = Window("ingestedAt", iso_milliseconds(end), iso_milliseconds(end))
        answers = self._queries.ask([Question(detection, window, self._index(detection))], Deadline.after(_SECONDS))
        if answers.failures:
            raise SearchUnavailable(f"{detection.name} cannot be run: {answers.failures[detection.name]}")
        return [
            candidate
            for _, candidate in answers.candidates
            if candidate.resource_id in of_the_day or detection.source is Source.CONTROL_PLANE
        ]

    @property
    def _events(self) -> str:
        return self._indices.prefix

    @property
    def _control_plane(self) -> str:
        return self._indices.control_plane

    def _index(self, detection: Detection) -> str:
        return self._control_plane if detection.source is Source.CONTROL_PLANE else self._events

    def _create(self, index: str, body: Mapping[str, Any]) -> None:
        self._request("PUT", f"/{index}", body)

    def _delete(self, index: str) -> None:
        self._request("DELETE", f"/{index}", None, {"ignore_unavailable": "true"})

    def _write(self, indexed: Sequence[Document]) -> None:
        if not indexed:
            return  # a sample of events that are dropped
        body = b""
        for document in indexed:
            target = self._control_plane if document.index == self._control_plane else self._events
            body += Action.create(target, document.id, canonical_json(document.source)).lines
        refresh = {"refresh": "true"} if self._service == "es" else {}
        answer = self._request("POST", "/_bulk", body, refresh)
        if answer["errors"]:
            raise SearchUnavailable("OpenSearch refused to index the samples")
        if not refresh:
            self._await({document.id for document in indexed}, target)

    def _await(self, ids: set[str], index: str) -> None:
        """Wait until searches find these documents: a collection takes some ten seconds, and cannot be asked to."""
        deadline = Deadline.after(_VISIBLE_SECONDS, self._clock)
        body = {"query": {"ids": {"values": sorted(ids)}}}
        while whole(self._request("GET", f"/{index}/_count", body), index)["count"] < len(ids):
            if not deadline.wait(_LOOK_AGAIN_SECONDS, 0.0):
                raise SearchUnavailable(f"samples are not found {_VISIBLE_SECONDS:.0f} seconds after they were indexed")

    def _request(self, method: str, path: str, body: Any, params: Mapping[str, str] | None = None) -> Any:
        deadline = Deadline.after(_SECONDS)
        return request(self._client, method, path, deadline=deadline, params=params, body=body, with_reason=True)


def _resource_id(sample: Sample, number: int) -> str:
    kind = "cluster" if sample.engine in ("postgresql", "mysql") else "db"
    return f"{kind}-{sample.detection.upper()}-{sample.expected.upper()}-{number}"
