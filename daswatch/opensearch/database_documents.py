"""OpenSearch: documents of databases: all, those with the names of some, and writing many."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.indexing.bulk import Action
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.request import search
from daswatch.settings import Service

if TYPE_CHECKING:
    from daswatch.fleet.database import Document, Place

Version = tuple[int, int]  # sequence number and primary term
PAGE = 1_000
_BULK = 500  # documents in one request: some 2 KB each
_NAMES = ("databaseIdentifier", "resourceId", "instances.instanceIdentifier", "instances.resourceId")
_ORDER = ("awsAccountId", "awsRegion", "resourceId")  # makes the id of a document


def read_documents(
    client: OpenSearch,
    index: str,
    deadline: Deadline,
    fields: Collection[str] = (),
    resource_ids: Collection[str] = (),
    place: Place | None = None,
    gone_days: int | None = None,
    called: Collection[str] = (),
) -> dict[str, Document]:
    """All documents by id, or some `fields` of each; with `resource_ids` or `place`, those of these databases.

    With `called`, those that have one of these as their own or an instance's identifier or resource id; with
    `gone_days`, without those of databases that have been gone for longer. Raises SearchUnavailable.
    """
    body = _body(resource_ids, place, gone_days, called)
    if fields:
        body["_source"] = list(fields)
    return {hit["_id"]: hit["_source"] for hit in _hits(client, index, body, deadline)}


def read_versions(
    client: OpenSearch, index: str, deadline: Deadline, place: Place | None
) -> dict[str, tuple[Document, Version | None]]:
    """All documents by id, or those of a place, with their versions, which a collection has not.

    Raises SearchUnavailable.
    """
    hits = _hits(client, index, {**_body((), place), "seq_no_primary_term": True}, deadline)
    # A collection answers with a primary term of 0, which none can be.
    return {
        hit["_id"]: (hit["_source"], (hit["_seq_no"], hit["_primary_term"]) if hit.get("_primary_term") else None)
        for hit in hits
    }


def write_documents(
    client: OpenSearch, service: Service, actions: Sequence[Action], deadline: Deadline, *, called: str
) -> frozenset[str]:
    """Write documents that searches find at once; returns the ids of those that are there in another version.

    `called` is what the message calls them. Raises SearchUnavailable where one is not written.
    """
    gateway = SearchGateway(client, service=service)
    conflicts: set[str] = set()
    for begin in range(0, len(actions), _BULK):
        result = gateway.write(actions[begin : begin + _BULK], deadline, refresh=True)
        if result.unwritten or result.refused:
            count = len(result.unwritten) + len(result.refused)
            cause = result.cause or ", ".join(sorted({one.error_type for one in result.refused}))
            raise SearchUnavailable(f"{count} {called} are not written: {cause}")
        conflicts |= {action.document_id for action in result.conflicts}
    return frozenset(conflicts)


def _body(
    resource_ids: Collection[str], place: Place | None, gone_days: int | None = None, called: Collection[str] = ()
) -> dict[str, Any]:
    body: dict[str, Any] = {"size": PAGE, "sort": [{name: "asc"} for name in _ORDER]}
    filters: list[dict[str, Any]] = []
    if resource_ids:
        filters.append({"terms": {"resourceId": sorted(resource_ids)}})
    if place:
        filters += [{"term": {"awsAccountId": place.account_id}}, {"term": {"awsRegion": place.region}}]
    if called:
        named = [{"terms": {name: sorted(called)}} for name in _NAMES]
        filters.append({"bool": {"should": named, "minimum_should_match": 1}})
    query: dict[str, Any] = {"filter": filters} if filters else {}
    if gone_days is not None:
        query["must_not"] = [{"range": {"goneSince": {"lt": f"now-{gone_days}d"}}}]
    if query:
        body["query"] = {"bool": query}
    return body


def _hits(client: OpenSearch, index: str, body: dict[str, Any], deadline: Deadline) -> Iterator[dict[str, Any]]:
    while True:
        hits = search(client, index, body, deadline)["hits"]["hits"]
        yield from hits
        if len(hits) < PAGE:
            return
        body = {**body, "search_after": hits[-1]["sort"]}
