"""OpenSearch: what has arrived there lately, looked at and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opensearchpy import OpenSearch

from daswatch.doctor.endpoint_checks import InstancePulse, RecentEvents, RunnerProgress, Shards
from daswatch.indices import Indices
from daswatch.opensearch.alert_index import AlertIndex
from daswatch.opensearch.request import LENIENT, command_deadline, request, search
from daswatch.opensearch.responses import whole
from daswatch.times import moment_of

_INSTANCES = 1000  # a stack watches 14 databases; Aurora has 16 instances at most
_REASONS = 50
_DATA_ROLE = "d"  # among the letters of a node's roles
_DAY = "now-24h"
_HEARD = {"exists": {"field": "lastSeen"}}  # another document has the instance's last event


class ArrivalsGateway:
    """The indices of one endpoint. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, index_prefix: str) -> None:
        self._client = client
        self._indices = Indices(index_prefix)

    def reach(self) -> int:
        """How many events are there: the smallest question that domains and collections both answer."""
        path = f"/{self._indices.events}/_count"
        answer = request(self._client, "GET", path, deadline=command_deadline(), params=LENIENT, with_reason=True)
        return int(whole(answer, self._indices.events)["count"])

    def pulses(self) -> list[InstancePulse]:
        """Every instance that was ever heard."""
        fields = ["resourceId", "instanceId", "lastSeen"]
        answer = self._search(self._indices.pulse, {"size": _INSTANCES, "_source": fields, "query": _HEARD})
        sources = (hit["_source"] for hit in answer["hits"]["hits"])
        return [InstancePulse(one["resourceId"], one["instanceId"], moment_of(one["lastSeen"])) for one in sources]

    def arrivals(self) -> RecentEvents:
        """The newest event, and how many were kept and dropped in a day."""
        events = self._search(
            self._indices.events,
            {
                "size": 0,
                "aggs": {"newest": {"max": {"field": "ingestedAt"}}, "day": {"filter": _since("ingestedAt")}},
            },
        ).get("aggregations", {})
        dropped = self._search(
            f"{self._indices.drops}-*",
            {"size": 0, "query": _since("ingestedAt"), "aggs": {"why": _by_reason({"sum": {"field": "count"}})}},
        ).get("aggregations", {})
        newest = events.get("newest", {}).get("value")
        return RecentEvents(
            newest=None if newest is None else datetime.fromtimestamp(newest / 1000, UTC),
            events=events.get("day", {}).get("doc_count", 0),
            drops={one["key"]: int(one["sum"]["value"]) for one in dropped.get("why", {}).get("buckets", ())},
        )

    def dead_letters(self) -> dict[str, int]:
        """How many there were in a day, by reason."""
        body = {"size": 0, "query": _since("ingestedAt"), "aggs": {"why": _by_reason()}}
        found = self._search(self._indices.dead_letters, body).get("aggregations", {})
        return {one["key"]: one["doc_count"] for one in found.get("why", {}).get("buckets", ())}

    def shards(self, now: datetime) -> Shards:
        """The shards of a domain; a collection has none to ask about."""
        yesterday = f"{self._indices.prefix}-{now - timedelta(days=1):%Y.%m.%d}*"
        listed = self._list(f"/_cat/shards/{yesterday}", h="index,prirep,store", bytes="b")
        primaries = [(int(one["store"]), one["index"]) for one in listed if one["prirep"] == "p" and one["store"]]
        largest_bytes, largest_index = max(primaries, default=(0, ""))
        nodes = self._list("/_cat/nodes", h="node.role,heap.max", bytes="b")
        health = request(self._client, "GET", "/_cluster/health", deadline=command_deadline(), with_reason=True)
        heap = sum(int(one["heap.max"]) for one in nodes if _DATA_ROLE in one["node.role"])
        return Shards(largest_index, largest_bytes, health["active_shards"], heap)

    def runner(self) -> RunnerProgress | None:
        """How far the saved queries have come; None before their first run."""
        progress = AlertIndex(self._client, self._indices).progress(command_deadline())
        return None if progress is None else RunnerProgress(progress.since, progress.behind)

    def _list(self, path: str, **params: str) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = request(
            self._client,
            "GET",
            path,
            deadline=command_deadline(),
            params={**params, "format": "json"},
            with_reason=True,
        )
        return answer

    def _search(self, index: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return search(self._client, index, body, command_deadline())


def _since(field: str) -> dict[str, Any]:
    return {"range": {field: {"gte": _DAY}}}


def _by_reason(total: Mapping[str, Any] | None = None) -> dict[str, Any]:
    terms: dict[str, Any] = {"terms": {"field": "reason", "size": _REASONS}}
    return {**terms, "aggs": {"sum": dict(total)}} if total else terms
