"""OpenSearch: who opened evidence, in `das-replays`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.errors import ReadingUnrecorded, TemplatesMissing
from daswatch.evidence.readings import Unfinished, unfinished
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.request import search

_WRITE_SECONDS = 60.0


def _patience() -> Deadline:
    return Deadline.after(_WRITE_SECONDS)


class ReadingIndex:
    """The readings of one deployment. Raises SearchUnavailable, ReadingUnrecorded.

    `patience` gives each call its deadline.
    """

    def __init__(
        self,
        client: OpenSearch,
        gateway: SearchGateway,
        indices: Indices,
        patience: Callable[[], Deadline] = _patience,
    ) -> None:
        self._client = client
        self._gateway = gateway
        self._index = indices.replays
        self._patience = patience
        self._has_template = False

    def last(self, job: str) -> Mapping[str, Any] | None:
        """The last reading of this job, with its `id`."""
        body = {"size": 1, "query": {"term": {"job": job}}, "sort": [{"@timestamp": "desc"}]}
        hits = search(self._client, self._index, body, self._patience())["hits"]["hits"]
        return next(({**hit["_source"], "id": hit["_id"]} for hit in hits), None)

    def unfinished(self, job: str) -> Unfinished | None:
        """The last reading of this job, unless it came to its end."""
        last = self.last(job)
        return unfinished([last] if last else [])

    def note(self, id_: str, document: Mapping[str, Any]) -> None:
        """Write a reading in the place of what was noted of it before."""
        if not self._has_template:
            if self._index not in self._gateway.template_names(self._patience()):
                raise TemplatesMissing(self._index)
            self._has_template = True
        action = Action.put(self._index, id_, orjson.dumps(document), {})
        result = self._gateway.write([action], self._patience(), refresh=True)
        if result.unwritten or result.refused:
            raise ReadingUnrecorded(f"the reading cannot be noted in {self._index}: {result.cause or 'refused'}")
