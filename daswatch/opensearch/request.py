"""OpenSearch: one request, and what its failure means to us. What is bulk has a gateway of its own, which retries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as SearchConnectionError
from opensearchpy.exceptions import ConnectionTimeout, SerializationError, TransportError
from urllib3 import Timeout

from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.responses import whole
from daswatch.time_limit import OutOfTime, within

# A node that hangs costs this much; the next attempt may meet another one.
LONGEST_REQUEST_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
# What was never written has no index, which is not a failure.
LENIENT = {"ignore_unavailable": "true", "allow_no_indices": "true"}
_MOST_REASON = 1_000  # characters; a reason may hold all of a query


def command_deadline() -> Deadline:
    """The deadline of one request of a command, which no invocation bounds."""
    return Deadline.after(LONGEST_REQUEST_SECONDS)


def perform(
    client: OpenSearch,
    method: str,
    path: str,
    *,
    deadline: Deadline,
    params: Mapping[str, Any] | None = None,
    body: Any = None,
    longest: float = LONGEST_REQUEST_SECONDS,
    **more: Any,
) -> Any:
    """The transport's answer, before the deadline. Raises opensearch-py's errors, ConnectionTimeout among them.

    The one place where a request gets its timeouts.
    """
    deadline = deadline.at_most(longest)
    seconds = deadline.remaining
    if seconds <= 0:
        raise ConnectionTimeout("TIMEOUT", "out of time", None)
    timeout = Timeout(total=seconds, connect=min(_CONNECT_SECONDS, seconds))
    params = {**(params or {}), "request_timeout": timeout}
    try:
        return within(
            deadline, lambda: client.transport.perform_request(method, path, params=params, body=body, **more)
        )
    except OutOfTime as exc:
        raise ConnectionTimeout("TIMEOUT", "out of time", exc) from exc


def request(
    client: OpenSearch,
    method: str,
    path: str,
    *,
    deadline: Deadline,
    params: Mapping[str, Any] | None = None,
    body: Any = None,
    with_reason: bool = False,
) -> Any:
    """The answer's JSON. Raises SearchUnavailable with the status that was answered, if any.

    OpenSearch's own reason may quote what was sent: it is quoted only `with_reason`, if that is ours.
    """
    try:
        return perform(client, method, path, deadline=deadline, params=params, body=body)
    except SearchConnectionError as exc:
        raise SearchUnavailable(f"OpenSearch does not answer ({type(exc).__name__})") from exc
    except SerializationError as exc:
        raise SearchUnavailable(f"OpenSearch's answer to {method} {path} is not JSON") from exc
    except TransportError as exc:
        status = exc.status_code if isinstance(exc.status_code, int) else 0
        reason = _reason(exc) if with_reason else ""
        message = ": ".join(filter(None, (f"OpenSearch answered {exc.status_code} to {method} {path}", reason)))
        raise SearchUnavailable(message, status, reason) from exc


def search(client: OpenSearch, index: str, body: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
    """The answer to a search, if it is whole; nothing is found where there is no index. Raises SearchUnavailable."""
    path = f"/{index}/_search"
    answer = request(client, "POST", path, deadline=deadline, params=LENIENT, body=dict(body), with_reason=True)
    return whole(answer, index)


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
