"""OpenSearch: one request, and what its failure means to us. What is bulk has a gateway of its own, which retries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as SearchConnectionError
from opensearchpy.exceptions import SerializationError, TransportError

from daswatch.errors import SearchUnavailable

_MOST_REASON = 1_000  # characters; a reason may hold all of a query


def request(
    client: OpenSearch,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: Any = None,
    with_reason: bool = False,
) -> Any:
    """The answer's JSON. Raises SearchUnavailable with the status that was answered, if any.

    OpenSearch's own reason may quote what was sent: it is told only `with_reason`, where that is ours.
    """
    try:
        return client.transport.perform_request(method, path, params=dict(params or {}), body=body)
    except SearchConnectionError as exc:
        raise SearchUnavailable(f"OpenSearch does not answer ({type(exc).__name__})") from exc
    except SerializationError as exc:
        raise SearchUnavailable(f"OpenSearch's answer to {method} {path} is no JSON") from exc
    except TransportError as exc:
        status = exc.status_code if isinstance(exc.status_code, int) else 0
        reason = f": {_reason(exc)}" if with_reason else ""
        raise SearchUnavailable(f"OpenSearch answered {exc.status_code} to {method} {path}{reason}", status) from exc


def _reason(exc: TransportError) -> str:
    """OpenSearch's own sentence: the error's type, its reason, and the causes where they say more."""
    error = exc.info.get("error") if isinstance(exc.info, Mapping) else None
    if not isinstance(error, Mapping):
        return str(exc.error)
    causes = [cause for cause in error.get("root_cause") or () if isinstance(cause, Mapping)]
    deeper = error.get("caused_by")
    while isinstance(deeper, Mapping):
        causes.append(deeper)
        deeper = deeper.get("caused_by")
    reasons = dict.fromkeys(str(one["reason"]) for one in (error, *causes) if one.get("reason"))
    return ": ".join([str(error.get("type", exc.error)), *reasons])[:_MOST_REASON]
