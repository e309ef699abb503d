"""OpenSearch: runs a detection on its samples, in indices of its own that are gone afterwards.

Nothing is shared with what is installed there: the indices get the shipped mapping themselves, not from a template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import orjson
from opensearchpy import OpenSearch

from daswatch import control_plane
from daswatch.canonical import canonical_json
from daswatch.deadline import Deadline
from daswatch.detections import Detection, Kind, Source
from daswatch.documents import Document, Flattening
from daswatch.errors import SearchUnavailable
from daswatch.gateways.endpoint import request
from daswatch.gateways.saved_queries import Group, Question, SavedQueries
from daswatch.queries import Candidate, Window, event_window
from daswatch.samples import CONTROL_PLANE, Sample, documents
from daswatch.seen import Seen, by_network, is_new, seen_id
from daswatch.stream_records import iso_milliseconds
from daswatch.templates import control_plane_index, event_index

_SECONDS = 60.0
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a detection did on one sample what the sample expects."""

    sample: Sample
    fired: bool

    @property
    def right(self) -> bool:
        """Whether it fired where it must, or not where it must not."""
        return self.fired == (self.sample.expected == "match")


class SampleRun:
    """A place for samples at one endpoint: indices under a prefix that nothing else uses. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._queries = SavedQueries(client)

    def __enter__(self) -> Self:
        self._create(self._events, event_index())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for index in (self._events, self._control_plane):
            self._delete(index)

    def run(self, detection: Detection, samples: Sequence[Sample]) -> list[Verdict]:
        """Index the samples, each as a database of its own, and ask the detection's saved query."""
        return [Verdict(sample, self._fires(detection, sample, number)) for number, sample in enumerate(samples)]

    def _fires(self, detection: Detection, sample: Sample, number: int) -> bool:
        now = datetime.now(UTC)
        kind = "cluster" if sample.engine in ("postgresql", "mysql") else "db"
        resource_id = f"{kind}-{detection.name.upper()}-{sample.expected.upper()}-{number}"
        if sample.engine == CONTROL_PLANE:
            self._empty_control_plane()
        known: dict[str, Seen] = {}
        for days_ago in sample.days_ago():
            at = now - days_ago * _DAY
            found = self._ask(detection, sample, resource_id, now, days_ago)
            if detection.kind is not Kind.FIRST_SEEN:
                continue
            found = by_network(detection, found)
            if days_ago:
                known |= {seen_id(detection, one): Seen(one.first_seen, one.last_seen) for one in found}
                continue
            learning = Seen(iso_milliseconds(now - 1000 * _DAY), iso_milliseconds(now - 1000 * _DAY))
            return any(is_new(detection, one, known.get(seen_id(detection, one)), learning, at) for one in found)
        if not found:
            return False
        groups = [Group(detection, one, one.first_seen, self._index(detection)) for one in found]
        # A sample may tell of a fixed day that is still to come.
        until = max(iso_milliseconds(now), *(one.last_seen for one in found))
        firings, failures = self._queries.firings(groups, until, Deadline.after(_SECONDS))
        if failures:
            raise SearchUnavailable(f"{detection.name} cannot be run: {failures[detection.name]}")
        return bool(firings)

    def _ask(
        self, detection: Detection, sample: Sample, resource_id: str, now: datetime, days_ago: float
    ) -> list[Candidate]:
        end = now - days_ago * _DAY
        flattening = Flattening(iso_milliseconds(end), index_prefix=self._prefix)
        indexed = documents(sample, resource_id, now, flattening, days_ago)
        self._write(indexed)
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
            if candidate.resource_id == resource_id or detection.source is Source.CONTROL_PLANE
        ]

    @property
    def _events(self) -> str:
        return f"{self._prefix}-events"

    @property
    def _control_plane(self) -> str:
        return f"{self._prefix}-control-plane"

    def _index(self, detection: Detection) -> str:
        return self._control_plane if detection.source is Source.CONTROL_PLANE else self._events

    def _empty_control_plane(self) -> None:
        """These samples tell no database of their own: each gets the index for itself."""
        self._delete(self._control_plane)
        self._create(self._control_plane, control_plane_index())

    def _create(self, index: str, body: Mapping[str, Any]) -> None:
        self._request("PUT", f"/{index}", body)

    def _delete(self, index: str) -> None:
        self._request("DELETE", f"/{index}", None, {"ignore_unavailable": "true"})

    def _write(self, indexed: Sequence[Document]) -> None:
        if not indexed:
            return  # a sample of events that are dropped
        lines = []
        for document in indexed:
            target = self._control_plane if document.index == control_plane.INDEX else self._events
            lines += [orjson.dumps({"create": {"_index": target, "_id": document.id}}), canonical_json(document.source)]
        answer = self._request("POST", "/_bulk", b"\n".join(lines) + b"\n", {"refresh": "true"})
        if answer["errors"]:
            raise SearchUnavailable("OpenSearch refused to index the samples")

    def _request(self, method: str, path: str, body: Any, params: Mapping[str, str] | None = None) -> Any:
        deadline = Deadline.after(_SECONDS)
        return request(self._client, method, path, deadline=deadline, params=params, body=body, with_reason=True)
