"""OpenSearch: documents of a replay, written by what the ingest function writes with, under the same ids."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from opensearchpy import OpenSearch

from daswatch.deadline import Deadline, backoff_seconds
from daswatch.documents.document import UNDATED, Document
from daswatch.errors import SearchUnavailable, TemplatesMissing
from daswatch.evidence.replay import Outcome, Session
from daswatch.indexing.bulk import Fate, fate_of_request
from daswatch.indexing.tallies import Tally
from daswatch.indices import Indices
from daswatch.opensearch.event_indices import EventIndices, document_action
from daswatch.opensearch.request import search
from daswatch.times import iso_milliseconds

_T = TypeVar("_T")

# Below this there is no time left for a question to be answered.
_SHORTEST_QUESTION_SECONDS = 0.5


class ReplayedEvents:
    """The indices that a replay writes to. Raises SearchUnavailable, TemplatesMissing."""

    def __init__(self, client: OpenSearch, indices: EventIndices, names: Indices) -> None:
        self._client = client
        self.indices = indices
        self.names = names

    def begin(self, object_key: str, deadline: Deadline) -> Session:
        """What takes the documents of a batch."""
        return _Batch(self, deadline)

    def require_templates(self, indices: set[str], deadline: Deadline) -> None:
        """Are the templates there of what is written?"""
        _answer(lambda: self.indices.require_templates(indices, self.names.prefix, deadline), deadline)

    def undated_there(self, ids: Sequence[str], deadline: Deadline) -> set[str]:
        """Which of these events without a time are in the index of a month, of whichever.

        The month is that of their arrival, which a Firehose's evidence has only roughly.
        """
        body = {"size": len(ids), "_source": False, "query": {"ids": {"values": list(ids)}}}
        index = f"{self.names.prefix}-{UNDATED}-*"
        answer = _answer(lambda: search(self._client, index, body, deadline), deadline)
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
        target.require_templates({one.index for one in documents}, self._deadline)
        undated = [one.id for one in documents if one.index.startswith(self._undated)]
        there = target.undated_there(undated, self._deadline) if undated else set()
        self._there += [(position, id_) for id_ in undated if id_ in there]
        self._pipeline.add(document_action(one, position) for one in documents if one.id not in there)
        if self._pipeline.blocked:
            raise SearchUnavailable(self._pipeline.result.cause)

    def finish(self, tally: Tally) -> Outcome:
        target = self._target
        if counts := tally.actions(iso_milliseconds(datetime.now(UTC)), target.names.tallies):
            target.require_templates(set(), self._deadline)
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


def _answer(question: Callable[[], _T], deadline: Deadline) -> _T:
    """The answer, asked for again while OpenSearch fails in a way that passes: as patiently as it is written to."""
    tries = 0
    while True:
        try:
            return question()
        except TemplatesMissing:
            raise
        except SearchUnavailable as exc:
            passes = exc.status == 0 or fate_of_request(exc.status, "") is Fate.RETRY
            pause = backoff_seconds(tries, random.random())
            if not passes or not deadline.wait(pause, _SHORTEST_QUESTION_SECONDS):
                raise
        tries += 1
