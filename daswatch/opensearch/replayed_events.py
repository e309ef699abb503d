"""OpenSearch: documents of a replay, written by what the ingest function writes with, under the same ids."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.documents.document import UNDATED, Document
from daswatch.errors import SearchUnavailable
from daswatch.evidence.replay import Outcome, Session
from daswatch.indexing.tallies import Tally
from daswatch.indices import Indices
from daswatch.opensearch.event_indices import EventIndices, document_action
from daswatch.opensearch.request import search
from daswatch.times import iso_milliseconds


class ReplayedEvents:
    """The indices that a replay writes to. Raises SearchUnavailable, TemplatesMissing."""

    def __init__(self, client: OpenSearch, indices: EventIndices, names: Indices) -> None:
        self._client = client
        self.indices = indices
        self.names = names

    def begin(self, object_key: str, deadline: Deadline) -> Session:
        """What takes the documents of a batch."""
        return _Batch(self, deadline)

    def undated_there(self, ids: Sequence[str], deadline: Deadline) -> set[str]:
        """Which of these events without a time are in the index of a month, of whichever.

        The month is that of their arrival, which a Firehose's evidence has only roughly.
        """
        body = {"size": len(ids), "_source": False, "query": {"ids": {"values": list(ids)}}}
        answer = search(self._client, f"{self.names.prefix}-{UNDATED}-*", body, deadline)
        return {hit["_id"] for hit in answer["hits"]["hits"]}


class _Batch:
    def __init__(self, target: ReplayedEvents, deadline: Deadline) -> None:
        self._target = target
        self._deadline = deadline
        self._pipeline = target.indices.pipeline(deadline)
        self._there: list[tuple[int, str]] = []
        self._undated = f"{target.names.prefix}-{UNDATED}-"

    def add(self, position: int, documents: Sequence[Document]) -> None:
        if not documents:
            return
        target = self._target
        target.indices.require_templates({one.index for one in documents}, target.names.prefix, self._deadline)
        undated = [one.id for one in documents if one.index.startswith(self._undated)]
        there = target.undated_there(undated, self._deadline) if undated else set()
        self._there += [(position, id_) for id_ in undated if id_ in there]
        self._pipeline.add(document_action(one, position) for one in documents if one.id not in there)
        if self._pipeline.blocked:
            raise SearchUnavailable(self._pipeline.result.cause)

    def finish(self, tally: Tally) -> Outcome:
        target = self._target
        if counts := tally.actions(iso_milliseconds(datetime.now(UTC)), target.names.tallies):
            target.indices.require_templates(set(), target.names.prefix, self._deadline)
            self._pipeline.add(counts)
        result = self._pipeline.finish()
        if result.unwritten:
            raise SearchUnavailable(result.cause)
        # A tally has no position. One that is refused is not to be waited for: the hour is checked without it.
        there = [(one.position, one.document_id) for one in result.conflicts if one.position is not None]
        refused = [
            (one.action.position, one.action.document_id, one.error_type)
            for one in result.refused
            if one.action.position is not None
        ]
        return Outcome(already_there=[*self._there, *there], refused=refused)
