"""OpenSearch: the documents of all databases, for what reads them all, and for what needs the names of some."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.opensearch.request import search

if TYPE_CHECKING:
    from daswatch.fleet.database import Document

PAGE = 1_000
_ORDER = ("awsAccountId", "awsRegion", "resourceId")  # makes the id of a document


def read_documents(
    client: OpenSearch,
    index: str,
    deadline: Deadline,
    fields: Collection[str] = (),
    resource_ids: Collection[str] = (),
    gone_days: int | None = None,
) -> dict[str, Document]:
    """All documents by id, or some `fields` of each; with `resource_ids`, those of these databases.

    With `gone_days`, without those of databases that have been gone for longer. Raises SearchUnavailable.
    """
    body: dict[str, Any] = {"size": PAGE, "sort": [{name: "asc"} for name in _ORDER]}
    if fields:
        body["_source"] = list(fields)
    query: dict[str, Any] = {}
    if resource_ids:
        query["filter"] = [{"terms": {"resourceId": sorted(resource_ids)}}]
    if gone_days is not None:
        query["must_not"] = [{"range": {"goneSince": {"lt": f"now-{gone_days}d"}}}]
    if query:
        body["query"] = {"bool": query}
    documents: dict[str, Document] = {}
    while True:
        hits = search(client, index, body, deadline)["hits"]["hits"]
        documents |= {hit["_id"]: hit["_source"] for hit in hits}
        if len(hits) < PAGE:
            return documents
        body["search_after"] = hits[-1]["sort"]
