"""OpenSearch: what clients without an actor did, day by day. It searches, and never writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.indices import Indices
from daswatch.opensearch.request import search
from daswatch.queries.actor_usage import Usage, add_day, next_clients, usage_query
from daswatch.queries.backlog import days_of
from daswatch.queries.backtests import Period
from daswatch.queries.known_clients import Client
from daswatch.queries.saved_query import event_indices

_PAGES = 20  # of a day: 20,000 clients
_SECONDS = 60.0  # for one page


class ActorUsage:
    """The events of one endpoint. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, prefix: str) -> None:
        self._client = client
        self._indices = Indices(prefix)

    def read(self, span: Period, step: Callable[[], None] = lambda: None) -> list[Usage]:
        """What each client did in a span; `step` is called after each day."""
        usages: dict[Client, Usage] = {}
        for day in span.days():
            add_day(usages, self._pages(day))
            step()
        return list(usages.values())

    def _pages(self, day: Period) -> Iterator[Mapping[str, Any]]:
        index = event_indices(*days_of([day.window]), self._indices.prefix)
        after: Mapping[str, Any] | None = None
        for _ in range(_PAGES):
            answer = search(self._client, index, usage_query(day.window, after), Deadline.after(_SECONDS))
            yield answer
            after = next_clients(answer)
            if after is None:
                return
