"""OpenSearch's administrative side: reads which content is installed, and installs a plan's steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from opensearchpy import OpenSearch

from daswatch.errors import SearchUnavailable
from daswatch.gateways.endpoint import request
from daswatch.templates import Content, Kind, PlannedStep, Step, plan

_PATHS = {
    Kind.COMPONENT_TEMPLATE: "/_component_template",
    Kind.INDEX_TEMPLATE: "/_index_template",
    Kind.RETENTION_POLICY: "/_plugins/_ism/policies",
}
_LISTS = {
    Kind.COMPONENT_TEMPLATE: ("component_templates", "component_template"),
    Kind.INDEX_TEMPLATE: ("index_templates", "index_template"),
}


class ContentGateway:
    """Installs templates and policies at one endpoint."""

    def __init__(self, client: OpenSearch) -> None:
        self._client = client

    def installed(self) -> dict[tuple[Kind, str], Mapping[str, Any]]:
        """What is there, as far as the endpoint has the feature. Raises SearchUnavailable."""
        found: dict[tuple[Kind, str], Mapping[str, Any]] = {}
        for kind, (entries, inner) in _LISTS.items():
            for entry in self._request("GET", _PATHS[kind]).get(entries, []):
                found[kind, entry["name"]] = entry[inner]
        if self.has_retention:
            for entry in self._request("GET", _PATHS[Kind.RETENTION_POLICY]).get("policies", []):
                found[Kind.RETENTION_POLICY, entry["_id"]] = entry
        return found

    @cached_property
    def has_retention(self) -> bool:
        """Whether the Index State Management plugin is there: on domains it is, Serverless has policies of its own."""
        try:
            self._request("GET", _PATHS[Kind.RETENTION_POLICY])
        except SearchUnavailable as exc:
            if exc.status in (400, 404, 405):
                return False
            raise
        return True

    def install_all(self, shipped: Iterable[Content], *, dry_run: bool = False) -> list[PlannedStep]:
        """Bring the endpoint to what is shipped; returns what was, or would be, done. Raises SearchUnavailable.

        Retention policies are left out where the endpoint has none.
        """
        if not self.has_retention:
            shipped = [content for content in shipped if content.kind is not Kind.RETENTION_POLICY]
        installed = self.installed()
        steps = plan(shipped, installed)
        for step in steps:
            if not dry_run and step.step is not Step.UNCHANGED:
                self.install(step.content, installed.get((step.content.kind, step.content.name)))
        return steps

    def install(self, content: Content, there: Mapping[str, Any] | None) -> None:
        """Create or replace one piece; `there` is what `installed` found under its name. Raises SearchUnavailable."""
        params = {}
        if content.kind is Kind.RETENTION_POLICY and there is not None:
            params = {"if_seq_no": str(there["_seq_no"]), "if_primary_term": str(there["_primary_term"])}
        self._request("PUT", f"{_PATHS[content.kind]}/{content.name}", params, dict(content.body))

    def _request(self, method: str, path: str, params: Mapping[str, str] | None = None, body: Any = None) -> Any:
        # Our own templates are what it talks about here, so its reason may be told.
        return request(self._client, method, path, params=params, body=body, with_reason=True)
