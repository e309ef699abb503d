"""What becomes of one document of a bulk request: decided here from OpenSearch's answer, acted upon by the gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import orjson


class Fate(Enum):
    """What OpenSearch's answer to one action means for us."""

    WRITTEN = "written"
    ALREADY_THERE = "already there"  # its id exists: an earlier delivery wrote it
    RETRY = "retry"  # overloaded or failing over: soon it may work
    REDELIVER = "redeliver"  # blocked, closed, denied: waiting within this invocation is no use
    REFUSED = (
        "refused"  # this document is not taken; whose fault that is, a probe shows (daswatch/indexing/write_probe.py)
    )


@dataclass(frozen=True, slots=True)
class Action:
    """One action of a bulk request.

    `lines` is the action and its source, each ended by a newline. `document_id` names it in a dead letter. `index` is
    empty where a refusal is believed without a second look at the index. `position` is that of the stream record in its
    batch, where it comes from one. Nothing is lost without what is not `required`: it is tried once.
    """

    lines: bytes
    document_id: str = ""
    index: str = ""
    position: int | None = None
    required: bool = True

    @classmethod
    def create(
        cls, index: str, document_id: str, source: bytes, *, position: int | None = None, required: bool = True
    ) -> Action:
        """Write a document once, and never again; `source` is its JSON."""
        head = orjson.dumps({"create": {"_index": index, "_id": document_id}})
        return cls(b"%b\n%b\n" % (head, source), document_id, index, position, required)

    @classmethod
    def put(
        cls, index: str, document_id: str, source: bytes, condition: Mapping[str, object], *, required: bool = True
    ) -> Action:
        """Write a document in the place of another, under a condition: a version, a sequence number."""
        head = orjson.dumps({"index": {"_index": index, "_id": document_id, **condition}})
        return cls(b"%b\n%b\n" % (head, source), document_id, index, required=required)

    @classmethod
    def add_fields(cls, index: str, document_id: str, fields: bytes) -> Action:
        """Add fields, a JSON object, to a document that is there: it keeps its id, and is not made where it is gone."""
        head = orjson.dumps({"update": {"_index": index, "_id": document_id}})
        return cls(b'%b\n{"doc":%b}\n' % (head, fields), document_id)


_PIPELINE_FAILS = "an ingest pipeline of the index fails: correct it, or take it out of the index's settings"
# What OpenSearch calls a fault of the domain, and what to do about it. None of these is the document's fault, and none
# passes by itself. The sentences are for the log: OpenSearch's own reason may quote documents.
_DOMAIN_FAULTS = {
    "cluster_block_exception": "a block forbids writes to the index: a disk is full or an administrator set it; free "
    "space or enlarge the domain, then remove the block (index.blocks.*)",
    "fail_processor_exception": _PIPELINE_FAILS,
    "ingest_processor_exception": _PIPELINE_FAILS,
    "script_exception": _PIPELINE_FAILS,
    "illegal_state_exception": "the index cannot be written as it is: see its settings, aliases and data stream",
    "index_closed_exception": "the index is closed: open it (POST <index>/_open)",
    "index_not_found_exception": "the index does not exist and may not be created: see action.auto_create_index",
    "invalid_index_name_exception": "the index cannot be created under this name: see INDEX_PREFIX",
    "routing_missing_exception": "the mapping of the index requires routing: take _routing out of its template",
    "security_exception": "the role of the function may not do this: map it to the role of `daswatch setup`",
    "validation_exception": "the index cannot be created: the domain's shard limit is reached, or it demands another "
    "number of copies; delete old indices or raise cluster.max_shards_per_node",
}
_PIPELINE_FAULTS = frozenset(kind for kind, advice in _DOMAIN_FAULTS.items() if advice is _PIPELINE_FAILS)
# What passes by itself, as soon as nodes are back or copies are made elsewhere.
_MISSING_COPIES = {
    "unavailable_shards_exception": "fewer copies of a shard are active than must acknowledge a write "
    "(INDEX_WRITE_COPIES): a node is missing, or a disk is too full for a copy",
}
# By status, where the type is none of these. Not found: the index was deleted and may not be created.
_DENIALS = {
    401: "it does not accept the credentials: see OPENSEARCH_AUTH, and the secret or the role that signs",
    403: "it denies the request: see the domain's access policy, or the data access policy of a collection",
    404: "this does not exist at the endpoint: see OPENSEARCH_ENDPOINT, and action.auto_create_index",
}
FULL_SHARD = (
    "its shard holds as many documents as a shard can (2^31): move documents into an index with more shards, and give "
    "the next day's index more by a template"
)
# Lucene's limit has no type of its own. The reason begins so, and quotes nothing of a document in front.
_FULL_SHARD = re.compile(r"number of documents in (?:the index|shard)\b", re.IGNORECASE)
# What a Serverless collection says of each document that has an id, unless it is one of type search.
_NO_IDS = re.compile(r"document id is not supported\b", re.IGNORECASE)
NO_IDS = (
    "the collection takes no document ids, so it is of type time series or vector search: create one of type search, "
    "and set OPENSEARCH_ENDPOINT to it"
)
AMBIGUOUS = "illegal_argument_exception"  # of a pipeline, an alias, a full shard, or a term that is too long


def fate_of(status: int, error_type: str) -> Fate:
    """The fate of an action from its item's `status` and `error.type` (empty without an error)."""
    if 200 <= status < 300:
        return Fate.WRITTEN
    if status == 409:
        return Fate.ALREADY_THERE
    # A block that is answered 503 is the cluster's own, while it elects a manager or recovers: that passes.
    if error_type in _DOMAIN_FAULTS and status != 503:
        return Fate.REDELIVER
    if status == 429 or status >= 500:
        return Fate.RETRY
    if status in (400, 413):
        return Fate.REFUSED
    return Fate.REDELIVER


def may_be_its_own(status: int, error_type: str) -> bool:
    """Whether a document may itself cause a failure that its fate takes for OpenSearch's: a bug that it meets, or a
    pipeline that cannot process it. Repetition next to a probe shows which (daswatch/indexing/write_probe.py)."""
    return status == 500 or error_type in _PIPELINE_FAULTS


def fate_of_request(status: int, error_type: str) -> Fate:
    """The fate of a whole bulk request that was not answered with 200.

    Only a request that is too large, or that OpenSearch itself calls malformed, is worth cutting into halves; what
    stands in between (a load balancer's 408, a redirect to a login page) says nothing about the documents.
    """
    if status == 408:
        return Fate.RETRY
    fate = fate_of(status, error_type)
    return Fate.REDELIVER if fate in (Fate.WRITTEN, Fate.ALREADY_THERE) else fate


def cause_of(status: int, error_type: str) -> str:
    """Why OpenSearch does not take a document now, and what to do about it."""
    answered = f"OpenSearch answered {status}" + (f" ({error_type})" if error_type else "")
    if status == 429 and fate_of(status, error_type) is Fate.RETRY:
        return f"OpenSearch is overloaded: {answered}"
    advice = _DOMAIN_FAULTS.get(error_type) if status != 503 else None
    advice = advice or _MISSING_COPIES.get(error_type) or _DENIALS.get(status)
    return f"{answered}: {advice}" if advice else answered


def takes_no_ids(reason: str) -> bool:
    """Whether a document is refused because its collection is not one of type search."""
    return _NO_IDS.match(reason) is not None


def is_full_shard(error_type: str, reason: str) -> bool:
    """Whether a document is refused because its shard cannot hold another one."""
    return error_type == AMBIGUOUS and _FULL_SHARD.match(reason) is not None
