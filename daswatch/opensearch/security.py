"""OpenSearch's Security plugin: roles, who has them, and the audit log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opensearchpy import OpenSearch

from daswatch.content.model import Content, ContentKind, PlannedStep
from daswatch.content.plan import Found
from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.request import command_deadline, request
from daswatch.opensearch.templates import NO_SUCH_API

_PATHS = {
    ContentKind.ROLE: "/_plugins/_security/api/roles",
    ContentKind.ROLE_MAPPING: "/_plugins/_security/api/rolesmapping",
    ContentKind.AUDIT_LOG: "/_plugins/_security/api/audit",
}
_FORBIDDEN = 403


class SecurityGateway:
    """Roles, role mappings and the audit log at one endpoint."""

    kinds = frozenset(_PATHS)

    def __init__(self, client: OpenSearch, until: Callable[[], Deadline] = command_deadline) -> None:
        self._client = client
        self._until = until

    def look(self, shipped: Sequence[Content]) -> Found:
        """What is there of these, as far as the endpoint has the plugin. Raises SearchUnavailable.

        A caller who may not manage roles, and maps none, installs none.
        """
        found: dict[tuple[ContentKind, str], Any] = {}
        absent = {}
        for kind, path in _PATHS.items():
            names = [content.name for content in shipped if content.kind is kind]
            if not names:
                continue
            try:
                answer = self._request("GET", path)
            except SearchUnavailable as exc:
                if exc.status in NO_SUCH_API:
                    why = "this endpoint has no Security plugin, or fine-grained access control is off"
                elif exc.status == _FORBIDDEN and not any(one.kind is ContentKind.ROLE_MAPPING for one in shipped):
                    why = "these credentials may not manage roles"
                elif exc.status == _FORBIDDEN:
                    raise SearchUnavailable(
                        "these credentials may not manage roles: map them to security_manager or all_access, "
                        "or leave the settings that end in _ROLE_ARN unset and map the roles yourself",
                        exc.status,
                    ) from exc
                else:
                    raise
                absent[kind] = why
                continue
            found.update({(kind, name): answer[name] for name in names if name in answer})
        return Found(found, absent)

    def install(self, steps: Sequence[PlannedStep]) -> None:
        """Create or replace each piece. Raises SearchUnavailable."""
        for step in steps:
            content = step.content
            self._request("PUT", f"{_PATHS[content.kind]}/{content.name}", dict(content.body))

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        return request(self._client, method, path, deadline=self._until(), body=body, with_reason=True)
