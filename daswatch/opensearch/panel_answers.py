"""OpenSearch: the searches of dashboards' panels. It searches, and never writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.opensearch.request import search

_SECONDS = 20.0  # for one panel


def asking(client: OpenSearch) -> Callable[[str, Mapping[str, Any]], Mapping[str, Any]]:
    """A function that asks an index (a pattern) for the whole answer of a search. It raises SearchUnavailable."""
    return lambda index, body: search(client, index, body, Deadline.after(_SECONDS))
