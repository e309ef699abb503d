"""OpenSearch Dashboards: saved objects over its HTTP API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as SearchConnectionError
from opensearchpy.exceptions import SerializationError, TransportError
from urllib3.filepost import encode_multipart_formdata

from daswatch.content.dashboards import TYPES, SavedObject, ndjson, read_ndjson, unpacked
from daswatch.content.model import Content, ContentKind, PlannedStep
from daswatch.content.plan import Found
from daswatch.deadline import Deadline
from daswatch.errors import DashboardsUnavailable
from daswatch.opensearch.request import perform

GLOBAL_TENANT = "global"
_API = "/api/saved_objects"
_NO_SUCH_API = frozenset({400, 404, 405})
_ADVICE = "correct DASHBOARDS_URL, or run it without Dashboards"
_MOST_REFUSALS = 5  # that an error quotes
_LONGEST_REQUEST_SECONDS = 60.0  # an import of hundreds of saved objects takes some ten


def _command_deadline() -> Deadline:
    return Deadline.after(_LONGEST_REQUEST_SECONDS)


class DashboardsGateway:
    """Saved objects of one tenant at one Dashboards. Raises DashboardsUnavailable.

    `client` is `daswatch.opensearch.client.dashboards_client`'s.
    """

    kinds = frozenset({ContentKind.SAVED_OBJECT})

    def __init__(
        self, client: OpenSearch, tenant: str = GLOBAL_TENANT, until: Callable[[], Deadline] = _command_deadline
    ) -> None:
        self._client = client
        self._until = until
        # Without it the tenant is the caller's preferred one, which may be private. Without tenants it has no effect.
        self._headers = {"osd-xsrf": "true", "securitytenant": tenant}

    def look(self, shipped: Sequence[Content]) -> Found:
        """What is there of these; nothing and the reason, where no Dashboards answers."""
        asked = [(content.body["type"], content.body["id"]) for content in shipped]
        try:
            found = self.get(asked)
        except DashboardsUnavailable as exc:
            if exc.status in _NO_SUCH_API:
                return Found(
                    {}, {ContentKind.SAVED_OBJECT: "no Dashboards answers there: set DASHBOARDS_URL if it is elsewhere"}
                )
            raise
        return Found({(ContentKind.SAVED_OBJECT, f"{one['type']}/{one['id']}"): one for one in found})

    def install(self, steps: Sequence[PlannedStep]) -> None:
        """Import all of these at once: they refer to one another."""
        self.import_objects([unpacked(step.content.body) for step in steps])

    def get(self, asked: Sequence[tuple[str, str]]) -> list[Mapping[str, Any]]:
        """Return these objects by type and id, as the API returns those that exist."""
        if not asked:
            return []
        answer = self._request("POST", f"{_API}/_bulk_get", [{"type": kind, "id": name} for kind, name in asked])
        if not isinstance(answer, Mapping) or "saved_objects" not in answer:
            raise DashboardsUnavailable(f"what answers is not the API of Dashboards: {_ADVICE}")
        return [one for one in answer["saved_objects"] if "error" not in one]

    def import_objects(self, objects: Sequence[SavedObject]) -> None:
        """Create or replace these objects. Each that is refused is named in the error."""
        file = ("daswatch.ndjson", ndjson(objects), "application/ndjson")
        body, content_type = encode_multipart_formdata({"file": file})
        answer = self._request("POST", f"{_API}/_import", body, {"overwrite": "true"}, {"content-type": content_type})
        errors = answer.get("errors") or []
        if errors or not answer.get("success"):
            refusals = [_refusal(error) for error in errors[:_MOST_REFUSALS]]
            more = [f"and {len(errors) - _MOST_REFUSALS} more"] if len(errors) > _MOST_REFUSALS else []
            raise DashboardsUnavailable(
                f"Dashboards refused {len(errors)} of {len(objects)} saved objects: {'; '.join([*refusals, *more])}"
            )

    def export(self, objects: Iterable[tuple[str, str]]) -> list[SavedObject]:
        """Those of these objects that are there, with everything they refer to."""
        found = self.get(list(objects))
        asked = [{"type": one["type"], "id": one["id"]} for one in found]
        return self._export({"objects": asked, "includeReferencesDeep": True}) if asked else []

    def export_all(self) -> list[SavedObject]:
        """Every object of the types that we ship."""
        return self._export({"type": list(TYPES)})

    def _export(self, body: Mapping[str, Any]) -> list[SavedObject]:
        answer = self._request("POST", f"{_API}/_export", {**body, "excludeExportDetails": True})
        return read_ndjson(answer.encode() if isinstance(answer, str) else orjson.dumps(answer))

    def _request(
        self,
        method: str,
        path: str,
        body: Any,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        try:
            return perform(
                self._client,
                method,
                path,
                deadline=self._until(),
                params=params,
                body=body,
                longest=_LONGEST_REQUEST_SECONDS,
                headers={**self._headers, **(headers or {})},
            )
        except SearchConnectionError as exc:
            raise DashboardsUnavailable(f"Dashboards does not answer ({type(exc).__name__}): {_ADVICE}") from exc
        except SerializationError as exc:
            # A login page, most often.
            raise DashboardsUnavailable(f"what answers is not the API of Dashboards: {_ADVICE}") from exc
        except TransportError as exc:
            status = exc.status_code if isinstance(exc.status_code, int) else 0
            message = exc.info.get("message", "") if isinstance(exc.info, Mapping) else ""
            reason = f": {message}" if message else ""
            raise DashboardsUnavailable(
                f"Dashboards answered {exc.status_code} to {method} {path}{reason}", status
            ) from exc


def _refusal(error: Mapping[str, Any]) -> str:
    """One object that was not imported, and why."""
    cause = error.get("error") or {}
    missing = [f"{one['type']}/{one['id']}" for one in cause.get("references") or ()]
    why = cause.get("message") or cause.get("type", "unknown")
    return f"{error.get('type')}/{error.get('id')} ({why}{': ' + ', '.join(missing) if missing else ''})"
