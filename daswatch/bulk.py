"""What becomes of one document of a bulk request: decided here from OpenSearch's answer, acted upon by the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """What OpenSearch's answer to one action means for us."""

    WRITTEN = "written"
    ALREADY_THERE = "already there"  # its id exists: an earlier delivery wrote it
    RETRY = "retry"  # overloaded or failing over: soon it may work
    REDELIVER = "redeliver"  # blocked, closed, denied: waiting within this invocation is no use
    REFUSED = "refused"  # this document can never be written


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a bulk request.

    `lines` is the action and its source, each ended by a newline; `record` is the position of the stream record it
    comes from, or None where nothing is lost if it fails; `document_id` names it in a dead letter.
    """

    lines: bytes
    record: int | None
    document_id: str = ""


# 400s that are not the document's fault: the index is closed, or the cluster's shard limit is reached.
_NOT_THE_DOCUMENTS_FAULT = frozenset(
    {
        "index_closed_exception",
        "validation_exception",
        "invalid_index_name_exception",
        "illegal_state_exception",
    }
)
# Not found: the index was deleted and may not be created. Forbidden: a read-only block (full disks), or no permission.
_NEEDS_SOMEBODY = frozenset({401, 403, 404})


def fate_of(status: int, error_type: str) -> Fate:
    """The fate of an action from its item's `status` and `error.type` (empty without an error)."""
    if 200 <= status < 300:
        return Fate.WRITTEN
    if status == 409:
        return Fate.ALREADY_THERE
    if status == 429 or status >= 500:
        return Fate.RETRY
    if status in _NEEDS_SOMEBODY or error_type in _NOT_THE_DOCUMENTS_FAULT:
        return Fate.REDELIVER
    return Fate.REFUSED


def fate_of_request(status: int, error_type: str) -> Fate:
    """The fate of a whole bulk request that was not answered with 200.

    Only a request that is too large, or that OpenSearch itself calls malformed, is worth cutting into halves; what
    stands in between (a load balancer's 408, a redirect to a login page) says nothing about the documents.
    """
    if status == 413:
        return Fate.REFUSED
    if status == 400:
        return fate_of(status, error_type)
    if status in (408, 429) or status >= 500:
        return Fate.RETRY
    return Fate.REDELIVER
