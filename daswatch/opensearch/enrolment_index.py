"""OpenSearch: what is remembered of each database's enrolment.

A document is only written over what was read: where another run wrote it since, that run's stays. A Serverless
collection has no versions to write over; of two runs at once, the last to write stays there.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.enrolment.record import Document
from daswatch.fleet.database import Place
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.database_documents import Version, read_versions, write_documents
from daswatch.settings import Service


class EnrolmentIndex:
    """The enrolments of one deployment. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, indices: Indices, service: Service = "es") -> None:
        self._client = client
        self._indices = indices
        self._service = service
        self._versions: dict[str, Version | None] = {}

    def read(self, place: Place | None, deadline: Deadline) -> dict[str, Document]:
        """The documents of a place by id, or all; `write` writes over these."""
        found = read_versions(self._client, self._indices.enrolments, deadline, place)
        self._versions = {id_: version for id_, (_, version) in found.items()}
        return {id_: document for id_, (document, _) in found.items()}

    def claim(self, documents: Mapping[str, Document], place: Place, deadline: Deadline) -> frozenset[str]:
        """Write documents of a place that the same run writes again; returns the ids that another run was first at."""
        lost = self.write(documents, deadline)
        if self._service == "aoss":
            return lost
        found = read_versions(self._client, self._indices.enrolments, deadline, place)
        # One that is ours is there, whatever the answer was: a request whose answer is lost is sent again.
        ours = {id_ for id_, one in documents.items() if id_ in found and found[id_][0] == one}
        self._versions |= {id_: found[id_][1] for id_ in ours}
        return frozenset(documents.keys() - ours)

    def write(self, documents: Mapping[str, Document], deadline: Deadline) -> frozenset[str]:
        """Write documents by id over those that were read; returns the ids of those that another run wrote since."""
        actions = [self._action(id_, orjson.dumps(one)) for id_, one in sorted(documents.items())]
        return write_documents(self._client, self._service, actions, deadline, called="enrolments")

    def _action(self, id_: str, source: bytes) -> Action:
        if self._service == "aoss":
            return Action.put(self._indices.enrolments, id_, source, {})
        if version := self._versions.get(id_):
            condition = dict(zip(("if_seq_no", "if_primary_term"), version, strict=True))
            return Action.put(self._indices.enrolments, id_, source, condition)
        return Action.create(self._indices.enrolments, id_, source)
