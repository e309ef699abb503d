"""OpenSearch: events that were indexed before their database had a name get it, a part of them at a time.

A run asks for events without a name, newest first, and adds the name to each by its id. What has a name is not found
again, so nothing has to be kept about how far a run came. An event keeps its id and its index, and a name that it has
is not replaced: it is the one that its database had then. A record that is delivered again meets its own id as before.

AWS documents no update for a Serverless collection: there, earlier events stay without a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.fleet.names import IDENTIFIER, INSTANCE, NAME_FIELDS, Names
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.request import search
from daswatch.settings import Service

# A run names so many events at most, and takes so long for it: the next one goes on.
_PAGE = 2_000
_PAGES = 25
_LONGEST_SECONDS = 60.0
_SHORTEST_SECONDS = 5.0
_PLACE = ("awsAccountId", "awsRegion", "resourceId")


@dataclass(frozen=True, slots=True)
class Named:
    """How many events a run named; `cause` is why it named no more, where something failed."""

    events: int = 0
    cause: str = ""


class EarlierEvents:
    """The events of one deployment."""

    def __init__(self, client: OpenSearch, indices: Indices, service: Service = "es") -> None:
        self._client = client
        self._indices = indices
        self._gateway = SearchGateway(client, service=service)

    def name(self, names: Names, deadline: Deadline) -> Named:
        """Name events that have no name, of databases and instances that have one now. A failure is in the result."""
        deadline = deadline.at_most(_LONGEST_SECONDS)
        events, cause = 0, ""
        avoided: set[str] = set()  # indices that take no name, or whose mapping has none
        if not names.databases or self._gateway.is_collection:
            return Named()
        for _ in range(_PAGES):
            if deadline.remaining < _SHORTEST_SECONDS:
                break
            try:
                hits = self._unnamed(names, avoided, deadline)
            except SearchUnavailable as exc:
                return Named(events, cause or str(exc))
            missing = {(hit["_index"], hit["_id"]): _missing(hit["_source"], names) for hit in hits}
            # An index that finds what has its name is older than the fields, and would find it for ever.
            blind = {
                hit["_index"] for hit in hits if IDENTIFIER in hit["_source"] and not missing[hit["_index"], hit["_id"]]
            }
            new = {key: fields for key, fields in missing.items() if fields and key[0] not in blind}
            if not new and not blind:
                break
            avoided |= blind
            actions = {key: Action.add_fields(*key, orjson.dumps(fields)) for key, fields in new.items()}
            result = self._gateway.write(list(actions.values()), deadline, refresh=True)
            events += result.written
            if lost := {*result.unwritten, *(one.action for one in result.refused)}:
                cause = cause or result.cause or result.refused[0].error_type
                avoided |= {index for (index, _), action in actions.items() if action in lost}
            elif len(hits) < _PAGE and not blind:
                break
        return Named(events, cause)

    def _unnamed(self, names: Names, avoided: set[str], deadline: Deadline) -> list[Mapping[str, Any]]:
        without_name = {"bool": {"must_not": [{"exists": {"field": IDENTIFIER}}]}}
        without_instance = {
            "bool": {
                "filter": [{"terms": {"instanceId": names.instance_ids}}],
                "must_not": [{"exists": {"field": INSTANCE}}],
            }
        }
        body = {
            "size": _PAGE,
            "track_total_hits": False,
            "sort": [{"@timestamp": "desc"}],
            "_source": [*_PLACE, "instanceId", *NAME_FIELDS],
            "query": {
                "bool": {
                    "filter": [
                        {"terms": {"resourceId": names.resource_ids}},
                        {"bool": {"should": [without_name, without_instance]}},
                    ],
                    "must_not": [{"terms": {"_index": sorted(avoided)}}],
                }
            },
        }
        found = search(self._client, f"{self._indices.prefix}-*", body, deadline)
        hits: list[Mapping[str, Any]] = found["hits"]["hits"]
        return hits


def _missing(event: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """What an event lacks of its database's name. One that has a name lacks that of its instance at most."""
    account_id, region, resource_id = (str(event.get(name, "")) for name in _PLACE)
    fields = names.fields(account_id, region, resource_id, str(event.get("instanceId", "")))
    if IDENTIFIER in event:
        fields = {name: value for name, value in fields.items() if name == INSTANCE}
    return {name: value for name, value in fields.items() if name not in event}
