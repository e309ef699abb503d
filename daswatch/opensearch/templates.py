"""OpenSearch's templates and retention policies: looks at what is installed, and installs a plan's steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from opensearchpy import OpenSearch

from daswatch.content.backups import backups
from daswatch.content.model import Content, ContentKind, Operation, PlannedStep
from daswatch.content.plan import Found, plan
from daswatch.content.retention import marked
from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.request import command_deadline, request

_POLICIES = "/_plugins/_ism/policies"
_PATHS = {
    ContentKind.COMPONENT_TEMPLATE: "/_component_template",
    ContentKind.INDEX_TEMPLATE: "/_index_template",
    ContentKind.RETENTION_POLICY: _POLICIES,
}
_LISTS = {
    ContentKind.COMPONENT_TEMPLATE: ("component_templates", "component_template"),
    ContentKind.INDEX_TEMPLATE: ("index_templates", "index_template"),
}
NOT_FOUND = 404
# No such API: a bare node does not know the path, a domain refuses the paths of features that are switched off.
NO_SUCH_API = frozenset({400, 401, 404, 405})


class ContentGateway:
    """Templates and policies at one endpoint."""

    kinds = frozenset(_PATHS)

    def __init__(self, client: OpenSearch, until: Callable[[], Deadline] = command_deadline) -> None:
        self._client = client
        self._until = until

    def look(self, shipped: Sequence[Content]) -> Found:
        """What is there of these, as far as the endpoint has the feature. Raises SearchUnavailable."""
        absent = {}
        if any(content.kind is ContentKind.RETENTION_POLICY for content in shipped) and not self.has_retention:
            absent[ContentKind.RETENTION_POLICY] = (
                "this endpoint has no Index State Management: indices stay until they are deleted"
            )
        present = [content for content in shipped if content.kind not in absent]
        found = {(one.kind, one.name): there for one in present if (there := self._get(one)) is not None}
        return Found(found, absent)

    @cached_property
    def has_retention(self) -> bool:
        """Whether the Index State Management plugin is there."""
        try:
            self._request("GET", _POLICIES)
        except SearchUnavailable as exc:
            if exc.status in NO_SUCH_API:
                return False
            raise
        return True

    def install_all(
        self,
        shipped: Iterable[Content],
        *,
        dry_run: bool = False,
        backup: Callable[[str, bytes], None] = lambda name, content: None,
    ) -> list[PlannedStep]:
        """Bring the endpoint to what is shipped; returns what was, or would be, done. Raises SearchUnavailable.

        Retention policies are left out where the endpoint has none.
        """
        shipped = list(shipped)
        found = self.look(shipped)
        steps = plan((content for content in shipped if content.kind not in found.absent), found.pieces)
        for step in steps:
            if not dry_run and step.step is not Operation.UNCHANGED:
                for name, content in backups([step]).items():
                    backup(name, content)
                self.install([step])
        return steps

    def install(self, steps: Sequence[PlannedStep]) -> None:
        """Create or replace each piece. Raises SearchUnavailable."""
        for step in steps:
            content, params, body = step.content, {}, step.content.body
            if content.kind is ContentKind.RETENTION_POLICY:
                body = marked(body)
                if step.there is not None:
                    params = {
                        "if_seq_no": str(step.there["_seq_no"]),
                        "if_primary_term": str(step.there["_primary_term"]),
                    }
            self._request("PUT", f"{_PATHS[content.kind]}/{content.name}", params, dict(body))

    def _get(self, content: Content) -> Mapping[str, Any] | None:
        try:
            answer: Mapping[str, Any] = self._request("GET", f"{_PATHS[content.kind]}/{content.name}")
        except SearchUnavailable as exc:
            if exc.status == NOT_FOUND:
                return None
            raise
        if content.kind is ContentKind.RETENTION_POLICY:
            return answer
        entries, inner = _LISTS[content.kind]
        return next((entry[inner] for entry in answer.get(entries, []) if entry["name"] == content.name), None)

    def _request(self, method: str, path: str, params: Mapping[str, str] | None = None, body: Any = None) -> Any:
        # Its reason is about our own templates, so it may be quoted.
        return request(self._client, method, path, deadline=self._until(), params=params, body=body, with_reason=True)
