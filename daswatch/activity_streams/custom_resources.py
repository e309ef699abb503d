"""CloudFormation's custom resources: a request -> what is wanted, and what came of it -> the answer.

The answer is a file that is put at the request's ResponseURL: at most 4,096 bytes, with a reason where it failed.
Without an answer a stack hangs for an hour, so `answer_body` makes one of whatever a request holds. The ResponseURL is
signed and therefore a secret: it is in no value here, and belongs in no log. Source: the CloudFormation user guide,
custom resource reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from daswatch.activity_streams.lifecycle import DatabaseName, Wanted, WantedMode, read_name
from daswatch.canonical import canonical_json
from daswatch.errors import RequestError, StreamRefused

MAX_ANSWER_BYTES = 4096
ACTIVITY_STREAM = "Custom::ActivityStream"
CONTENT = "Custom::Content"
CONTENT_ID = "das-content"
# Of a resource whose making failed: CloudFormation asks to delete it at once, and there is nothing to delete.
NOTHING_MADE = "das-nothing-made"

_STREAM_ID = "das-stream-"
# How much of an id is given back where all of them together would not fit. CloudFormation's own are shorter.
_LONGEST_ECHO_BYTES = 512
_ENUM = TypeVar("_ENUM", bound=StrEnum)


class RequestType(StrEnum):
    """What CloudFormation wants done to a resource."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class OnDelete(StrEnum):
    """What becomes of an activity stream when its resource is deleted."""

    RETAIN = "retain"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Request:
    """A request of CloudFormation, read."""

    type: RequestType
    resource_type: str
    physical_id: str  # empty for Create
    properties: Mapping[str, Any]
    old_properties: Mapping[str, Any]

    @property
    def was_made(self) -> bool:
        """Whether there ever was something that an update or deletion could mean."""
        return self.physical_id not in ("", NOTHING_MADE)


@dataclass(frozen=True, slots=True)
class StreamProperties:
    """The properties of a Custom::ActivityStream."""

    database: DatabaseName
    wanted: Wanted
    on_delete: OnDelete = OnDelete.RETAIN


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request. `data` is what GetAtt returns; `reason` is told in the stack's events where it failed."""

    succeeded: bool
    physical_id: str
    reason: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


def read_request(event: object) -> Request:
    """Read a request without trusting it. Raises RequestError."""
    fields: Mapping[str, Any] = event if isinstance(event, Mapping) else {}
    kind = _text(fields.get("RequestType"))
    if kind not in {one.value for one in RequestType}:
        raise RequestError("the request's RequestType is none of Create, Update and Delete")
    return Request(
        type=RequestType(kind),
        resource_type=_text(fields.get("ResourceType")),
        physical_id=_text(fields.get("PhysicalResourceId")),
        properties=_object(fields.get("ResourceProperties")),
        old_properties=_object(fields.get("OldResourceProperties")),
    )


def response_url(event: object) -> str:
    """Where the answer goes, a secret; empty where the request has none."""
    return _text(event.get("ResponseURL")) if isinstance(event, Mapping) else ""


def is_direct(event: object) -> bool:
    """Whether somebody invokes the function and waits for its result, as Terraform does: a type, and no ResponseURL."""
    return isinstance(event, Mapping) and "ResponseURL" not in event and bool(_text(event.get("ResourceType")))


def direct_request(event: Mapping[str, Any]) -> dict[str, Any]:
    """A direct invocation in CloudFormation's words.

    Terraform's aws_lambda_invocation adds {"tf": {"action": "create" | "update" | "delete", "prev_input": ...}} to the
    input in its lifecycle_scope CRUD; without it the RequestType stands in the input.
    """
    asked = {name: value for name, value in event.items() if name != "tf"}
    lifecycle = _object(event.get("tf"))
    if not lifecycle:
        return asked
    before = _object(_object(lifecycle.get("prev_input")).get("ResourceProperties"))
    return {**asked, "RequestType": _text(lifecycle.get("action")).capitalize(), "OldResourceProperties": before}


def read_stream_properties(properties: Mapping[str, Any]) -> StreamProperties:
    """Raises RequestError that names every property which is missing or wrong."""
    problems: list[str] = []
    database = None
    try:
        database = read_name(_text(properties.get("Database")))
    except StreamRefused as exc:
        problems.append(f"Database: {exc}")
    key = _text(properties.get("KmsKeyId")).strip()
    if not key:
        problems.append("KmsKeyId is missing (expected: the id, ARN or alias of a KMS key)")
    mode = _choice(properties, "Mode", WantedMode, WantedMode.ASYNC, problems)
    on_delete = _choice(properties, "OnDelete", OnDelete, OnDelete.RETAIN, problems)
    native = _text(properties.get("EngineNativeAuditFieldsIncluded", "false")).lower()
    if native not in ("true", "false"):
        problems.append("EngineNativeAuditFieldsIncluded is unknown (expected: true or false)")
    if problems or database is None:
        raise RequestError("; ".join(problems))
    return StreamProperties(database, Wanted(key, mode, native == "true"), on_delete)


def stream_id(resource_id: str) -> str:
    """The physical id of a database's stream: the same for as long as there is this database."""
    return _STREAM_ID + resource_id


def resource_id_of(physical_id: str) -> str:
    """The resource id that a physical id was made of; empty for any other."""
    return physical_id.removeprefix(_STREAM_ID) if physical_id.startswith(_STREAM_ID) else ""


def failed(event: object, reason: str) -> Answer:
    """An answer that something failed. It keeps the physical id that the resource has: another one would replace it."""
    physical = _text(event.get("PhysicalResourceId")) if isinstance(event, Mapping) else ""
    return Answer(succeeded=False, physical_id=physical or NOTHING_MADE, reason=reason or "it failed without a reason")


def answer_body(event: object, answer: Answer) -> bytes:
    """The JSON to put at the ResponseURL, of at most 4,096 bytes: the reason is cut, and only if it must be, more."""
    fields: Mapping[str, Any] = event if isinstance(event, Mapping) else {}
    body: dict[str, Any] = {
        "Status": "SUCCESS" if answer.succeeded else "FAILED",
        "Reason": _clean(answer.reason),
        "PhysicalResourceId": _clean(answer.physical_id) or NOTHING_MADE,
        "StackId": _clean(_text(fields.get("StackId"))),
        "RequestId": _clean(_text(fields.get("RequestId"))),
        "LogicalResourceId": _clean(_text(fields.get("LogicalResourceId"))),
        "Data": {_clean(name): _clean(value) for name, value in answer.data.items()},
    }
    bare = {**body, "Reason": ""}
    if len(canonical_json(bare)) > MAX_ANSWER_BYTES - _LONGEST_ECHO_BYTES:
        # No request of CloudFormation's comes to this. Whatever it was, it must not wait for an hour.
        echoed = {name: _cut(value, _LONGEST_ECHO_BYTES) for name, value in bare.items() if isinstance(value, str)}
        body = {**echoed, "Status": "FAILED", "Reason": body["Reason"] or "the answer is too large", "Data": {}}
        bare = {**body, "Reason": ""}
    room = MAX_ANSWER_BYTES - len(canonical_json(bare))
    return canonical_json({**body, "Reason": _cut(body["Reason"], room)})


def _cut(text: str, room: int) -> str:
    """As much of a text as JSON takes in so many bytes, with an ellipsis where it was cut."""
    if _json_bytes(text) <= room:
        return text
    low, high = 0, min(len(text), room)
    while low < high:
        middle = (low + high + 1) // 2
        if _json_bytes(text[:middle] + "…") <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


def _json_bytes(text: str) -> int:
    return len(canonical_json(text)) - 2


def _clean(text: str) -> str:
    """Without the halves of surrogate pairs that JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _choice(properties: Mapping[str, Any], name: str, kinds: type[_ENUM], default: _ENUM, problems: list[str]) -> _ENUM:
    value = _text(properties.get(name)).strip().lower() or default.value
    if value not in {kind.value for kind in kinds}:
        problems.append(f"{name} is unknown (expected: {', '.join(kinds)})")
        return default
    return kinds(value)
