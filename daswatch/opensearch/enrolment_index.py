"""OpenSearch: what is remembered of each database's enrolment."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.enrolment.record import Document
from daswatch.errors import SearchUnavailable
from daswatch.fleet.database import Place
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.database_documents import read_documents
from daswatch.settings import Service

_BULK = 500  # documents in one request: some 2 KB each


class EnrolmentIndex:
    """The enrolments of one deployment. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, indices: Indices, service: Service = "es") -> None:
        self._client = client
        self._indices = indices
        self._service = service

    def read(self, place: Place | None, deadline: Deadline) -> dict[str, Document]:
        """The documents of a place by id, or all."""
        return read_documents(self._client, self._indices.enrolments, deadline, place=place)

    def write(self, documents: Mapping[str, Document], version: int, deadline: Deadline) -> None:
        """Write documents of a run, by id. Those of a run with a higher version stay."""
        later = {"version": version, "version_type": "external_gte"} if self._service == "es" else {}
        actions = [
            Action.put(self._indices.enrolments, id_, orjson.dumps(one), later)
            for id_, one in sorted(documents.items())
        ]
        gateway = SearchGateway(self._client, service=self._service)
        for begin in range(0, len(actions), _BULK):
            result = gateway.write(actions[begin : begin + _BULK], deadline, refresh=True)
            if result.unwritten or result.refused:
                count = len(result.unwritten) + len(result.refused)
                cause = result.cause or ", ".join(sorted({one.error_type for one in result.refused}))
                raise SearchUnavailable(f"{count} enrolments are not written: {cause}")
