"""OpenSearch's Alerting and Notifications plugins: monitors, and the channel that they notify.

The server chooses a monitor's id and names are not unique, so ours is found by its name and its trigger (monitors.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from daswatch.content.model import Content, ContentKind, PlannedStep
from daswatch.content.plan import Found
from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.request import command_deadline, request
from daswatch.opensearch.responses import whole
from daswatch.opensearch.templates import NO_SUCH_API, NOT_FOUND
from daswatch.queries.monitors import installed_of

_MONITORS = "/_plugins/_alerting/monitors"
_CHANNELS = "/_plugins/_notifications/configs"
_FEATURES = "/_plugins/_notifications/features"
_MOST_MONITORS = 1_000  # of our names, copies included
_CONFLICT = 409
# Where the plugin searches for monitors before there is one, some versions find no index.
_NO_MONITOR_YET = ("index_not_found_exception", "alerting_exception", "Configured indices are not found")


class AlertingGateway:
    """The channel and the monitors at one endpoint."""

    kinds = frozenset({ContentKind.CHANNEL, ContentKind.MONITOR})

    def __init__(self, client: OpenSearch, until: Callable[[], Deadline] = command_deadline) -> None:
        self._client = client
        self._until = until

    def look(self, shipped: Sequence[Content]) -> Found:
        """What is there of these, as far as the endpoint has the plugins. Raises SearchUnavailable."""
        channels = [content for content in shipped if content.kind is ContentKind.CHANNEL]
        monitors = [content for content in shipped if content.kind is ContentKind.MONITOR]
        absent, found, notes = {}, {}, {}
        if channels:
            why = self._no_channels()
            if why:
                absent[ContentKind.CHANNEL] = why
            else:
                found.update({(one.kind, one.name): there for one in channels if (there := self._channel(one.name))})
        if monitors and not absent:
            there = self._monitors([one.name for one in monitors])
            if there is None:
                absent[ContentKind.MONITOR] = (
                    "this endpoint has no Alerting plugin: the scheduled function runs every detection"
                )
            else:
                for one in monitors:
                    installed, note = installed_of(one.body, there.get(one.name, []))
                    if installed:
                        found[one.kind, one.name] = installed
                        notes[one.kind, one.name] = note
        return Found(found, absent, notes)

    def install(self, steps: Sequence[PlannedStep]) -> None:
        """Create or replace each piece. Raises SearchUnavailable."""
        for step in steps:
            if step.content.kind is ContentKind.CHANNEL:
                self._install_channel(step)
            elif step.there is None:
                self._request("POST", _MONITORS, dict(step.content.body))
            else:
                self._request("PUT", f"{_MONITORS}/{step.there['_id']}", dict(step.content.body))

    def _install_channel(self, step: PlannedStep) -> None:
        body = dict(step.content.body)
        if step.there is None:
            try:
                self._request("POST", _CHANNELS, body)
                return
            except SearchUnavailable as exc:
                if exc.status != _CONFLICT:
                    raise
        self._request("PUT", f"{_CHANNELS}/{step.content.name}", {"config": body["config"]})

    def _no_channels(self) -> str:
        """Why there can be no channel; empty where there can."""
        try:
            features = self._request("GET", _FEATURES)
        except SearchUnavailable as exc:
            if exc.status in NO_SUCH_API:
                return "this endpoint has no Notifications plugin: the scheduled function runs every detection"
            raise
        allowed = features.get("allowed_config_type_list")
        if allowed is not None and "sns" not in allowed:
            return "its Notifications plugin is not allowed to publish to SNS"
        return ""

    def _channel(self, name: str) -> Mapping[str, Any] | None:
        try:
            answer = self._request("GET", f"{_CHANNELS}/{name}")
        except SearchUnavailable as exc:
            if exc.status == NOT_FOUND:
                return None
            raise
        return next((one for one in answer.get("config_list", []) if one.get("config_id") == name), None)

    def _monitors(self, names: Sequence[str]) -> dict[str, list[Mapping[str, Any]]] | None:
        """By name, the monitors with their ids; None without the plugin."""
        body = {"size": _MOST_MONITORS, "query": {"terms": {"monitor.name.keyword": list(names)}}}
        try:
            answer = self._request("POST", f"{_MONITORS}/_search", body)
        except SearchUnavailable as exc:
            if exc.status == NOT_FOUND and any(text in str(exc) for text in _NO_MONITOR_YET):
                return {}
            if exc.status in NO_SUCH_API:
                return None
            raise
        found: dict[str, list[Mapping[str, Any]]] = {}
        # One that is overlooked would be installed a second time.
        for hit in whole(answer, "the monitors")["hits"]["hits"]:
            monitor = hit["_source"].get("monitor", hit["_source"])
            found.setdefault(monitor["name"], []).append({**monitor, "_id": hit["_id"]})
        return found

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        return request(self._client, method, path, deadline=self._until(), body=body, with_reason=True)
