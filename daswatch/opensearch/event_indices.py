"""OpenSearch: the indices of events, as all that write events see them."""

from __future__ import annotations

from concurrent.futures import Executor

import orjson

from daswatch.deadline import Deadline
from daswatch.documents.document import Document
from daswatch.errors import TemplatesMissing
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.bulk import BulkResult, SearchGateway
from daswatch.request_pipeline import Limits, Pipeline

# Small instance types refuse requests of more than 10 MiB; past some thousand documents a request gains nothing. With
# none in flight OpenSearch would wait: 200 documents are worth a request.
_BULK = Limits(size=4 * 1024 * 1024, items=2_000, early=200)


class EventIndices:
    """The indices of one deployment's events; `executor` has the thread that sends."""

    def __init__(self, search: SearchGateway, executor: Executor) -> None:
        self.search = search
        self.executor = executor
        self._known_indices: set[str] = set()

    def pipeline(self, deadline: Deadline) -> Pipeline[Action, BulkResult]:
        """What takes actions, and sends them until the deadline."""
        search = self.search
        return Pipeline(lambda actions: search.write(actions, deadline), BulkResult(), _size, _BULK, self.executor)

    def require_templates(self, indices: set[str], prefix: str, deadline: Deadline) -> None:
        """Before the first write, and before a write that may create an index: are the templates there?

        Raises TemplatesMissing: a day's index would be created with guessed field types, permanently.
        """
        if self._known_indices and indices <= self._known_indices:
            return
        installed = self.search.template_names(deadline)
        own = Indices(prefix)
        for name in (own.prefix, own.dead_letters, own.pulse, own.drops, own.tallies):
            if name not in installed:
                raise TemplatesMissing(name)
        self._known_indices |= {own.pulse, *indices}


def document_action(document: Document, position: int) -> Action:
    """The action that writes a document once, and never again."""
    return Action.create(document.index, document.id, orjson.dumps(document.source), position=position)


def _size(action: Action) -> int:
    return len(action.lines)
