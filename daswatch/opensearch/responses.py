"""Whether an answer of OpenSearch covers everything that was asked: it is whole, or it is a failure.

OpenSearch answers 200 for a search of which a shard is missing. A shard that no node holds is neither in
`_shards.failures` nor in `_shards.failed`; only `successful` is less than `total`. (A shard that is skipped, since
nothing in it can match, counts as successful.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daswatch.errors import SearchUnavailable

TIMED_OUT = "timed out"
_PARTIAL = 503


def failure_of(answer: object) -> str:
    """OpenSearch's name for why a search, or one item of an `_msearch`, was not answered as a whole; else empty."""
    if not isinstance(answer, Mapping):
        return "not an answer"
    if error := failure_of_item(answer):
        return error
    if answer.get("timed_out"):
        return TIMED_OUT
    shards = answer.get("_shards")
    if not isinstance(shards, Mapping):
        return "an answer without shards"
    if failures := shards.get("failures"):
        return _type_of(failures, "reason")
    if shards.get("failed") or shards.get("successful") != shards.get("total"):
        return "no_shard_available_action_exception"
    return ""


def failure_of_item(item: Mapping[str, Any]) -> str:
    """OpenSearch's name for why one item (of an `_mget`, say) could not be read; empty where it was."""
    error = item.get("error")
    if not error:
        return ""
    if not isinstance(error, Mapping):
        return str(error)
    return _type_of(error.get("root_cause") or [error])


def _type_of(causes: Any, inside: str = "") -> str:
    """The type of the first cause; `unknown` where an answer has another shape, which is a failure all the same."""
    first = causes[0] if isinstance(causes, list) and causes else None
    if inside:
        first = first.get(inside) if isinstance(first, Mapping) else None
    return str(first.get("type") or "unknown") if isinstance(first, Mapping) else "unknown"


def whole(answer: Any, what: str) -> dict[str, Any]:
    """A search's (or count's) answer if it covers everything. Raises SearchUnavailable; `what` is what was searched."""
    cause = failure_of(answer)
    if cause:
        raise SearchUnavailable(f"OpenSearch answered for a part of {what} only ({cause})", _PARTIAL)
    return dict(answer)


def whole_items(answer: Any, asked: int, what: str) -> list[dict[str, Any]]:
    """The items of an `_mget` if each was read, found or not. Raises SearchUnavailable."""
    items = answer.get("docs") if isinstance(answer, Mapping) else None
    if not isinstance(items, list) or len(items) != asked:
        raise SearchUnavailable(f"OpenSearch's answer about {what} has another number of items", _PARTIAL)
    for item in items:
        cause = failure_of_item(item)
        # Before the first document there is no index: nothing is found.
        if cause and cause != "index_not_found_exception":
            raise SearchUnavailable(f"OpenSearch answered for a part of {what} only ({cause})", _PARTIAL)
    return items
