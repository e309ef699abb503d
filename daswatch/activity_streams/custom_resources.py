"""CloudFormation's custom resources: an event -> a request, and the result -> the response.

The response is a file that is put at the request's ResponseURL: at most 4,096 bytes, with a reason if it failed. A
stack without a response hangs for an hour, so every event can be read, and every request gets a response. The
ResponseURL is signed and therefore a secret: it belongs in no log. Source: the CloudFormation user guide, custom
resource reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from daswatch.activity_streams.lifecycle import DatabaseName, WantedMode, WantedStream, read_name
from daswatch.canonical import canonical_json
from daswatch.errors import RequestError, StreamRefused

MAX_RESPONSE_BYTES = 4096
ACTIVITY_STREAM = "Custom::ActivityStream"
CONTENT = "Custom::Content"
CONTENT_ID = "das-content"
ENROLMENT = "Custom::Enrolment"
ENROLMENT_ID = "das-enrolment"
# Of a resource whose making failed: CloudFormation asks to delete it at once, and there is nothing to delete.
NOTHING_MADE = "das-nothing-made"

_STREAM_ID = "das-stream-"
# How much of an id is returned if all of them together would not fit. CloudFormation's own are shorter.
_LONGEST_ECHO_BYTES = 512
_ENUM = TypeVar("_ENUM", bound=StrEnum)


class RequestType(StrEnum):
    """What CloudFormation asks for."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class OnDelete(StrEnum):
    """What happens to an activity stream when its resource is deleted."""

    RETAIN = "retain"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Request:
    """An event, read. Texts that it does not have are empty."""

    type: RequestType | None  # None: neither of them
    resource_type: str
    physical_id: str  # empty for Create
    properties: Mapping[str, Any]
    old_properties: Mapping[str, Any]
    stack_id: str
    request_id: str
    logical_id: str
    response_url: str = field(repr=False)  # a secret

    @property
    def was_made(self) -> bool:
        """Whether there ever was a resource that an update or deletion could mean."""
        return self.physical_id not in ("", NOTHING_MADE)

    def failed(self, reason: str) -> Response:
        """Return the response that the request failed, with its own physical id: another would replace the resource."""
        return Response(
            succeeded=False,
            physical_id=self.physical_id or NOTHING_MADE,
            reason=reason or "it failed without a reason",
        )


@dataclass(frozen=True, slots=True)
class StreamProperties:
    """The properties of a Custom::ActivityStream."""

    database: DatabaseName
    wanted: WantedStream
    on_delete: OnDelete = OnDelete.RETAIN


@dataclass(frozen=True, slots=True)
class Response:
    """The result of a request. `data` is what GetAtt returns; `reason` is shown in the stack's events if it failed."""

    succeeded: bool
    physical_id: str
    reason: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


def read_request(event: object) -> Request:
    """Read a request of CloudFormation without trusting it."""
    fields = _object(event)
    kind = _text(fields.get("RequestType"))
    return Request(
        type=RequestType(kind) if kind in {known.value for known in RequestType} else None,
        resource_type=_text(fields.get("ResourceType")),
        physical_id=_text(fields.get("PhysicalResourceId")),
        properties=_object(fields.get("ResourceProperties")),
        old_properties=_object(fields.get("OldResourceProperties")),
        stack_id=_text(fields.get("StackId")),
        request_id=_text(fields.get("RequestId")),
        logical_id=_text(fields.get("LogicalResourceId")),
        response_url=_text(fields.get("ResponseURL")),
    )


def read_stream_properties(properties: Mapping[str, Any]) -> StreamProperties:
    """Read the properties. Raises RequestError that names every property which is missing or wrong."""
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
    return StreamProperties(database, WantedStream(key, mode, native == "true"), on_delete)


def stream_id(resource_id: str) -> str:
    """Return the physical id of a database's stream: the same as long as the database exists."""
    return _STREAM_ID + resource_id


def resource_id_of(physical_id: str) -> str:
    """Return the resource id in a physical id; empty for any other."""
    return physical_id.removeprefix(_STREAM_ID) if physical_id.startswith(_STREAM_ID) else ""


def response_body(request: Request, response: Response) -> bytes:
    """Return the JSON to put at the ResponseURL, of at most 4,096 bytes: the reason is cut, and more if it must be."""
    body: dict[str, Any] = {
        "Status": "SUCCESS" if response.succeeded else "FAILED",
        "Reason": _clean(response.reason),
        "PhysicalResourceId": _clean(response.physical_id) or NOTHING_MADE,
        "StackId": _clean(request.stack_id),
        "RequestId": _clean(request.request_id),
        "LogicalResourceId": _clean(request.logical_id),
        "Data": {_clean(name): _clean(value) for name, value in response.data.items()},
    }
    bare = {**body, "Reason": ""}
    if len(canonical_json(bare)) > MAX_RESPONSE_BYTES - _LONGEST_ECHO_BYTES:
        # No request of CloudFormation's is that large; but the stack must not wait for an hour for any.
        echoed = {name: _cut(value, _LONGEST_ECHO_BYTES) for name, value in bare.items() if isinstance(value, str)}
        body = {**echoed, "Status": "FAILED", "Reason": body["Reason"] or "the response is too large", "Data": {}}
        bare = {**body, "Reason": ""}
    room = MAX_RESPONSE_BYTES - len(canonical_json(bare))
    return canonical_json({**body, "Reason": _cut(body["Reason"], room)})


def _cut(text: str, room: int) -> str:
    """As much of a text as JSON fits into `room` bytes, with an ellipsis where it was cut."""
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
