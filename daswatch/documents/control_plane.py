"""What is done to a database or its stream from outside: CloudTrail's event of an AWS API call -> flat document.

In: an EventBridge event of an AWS API call that CloudTrail recorded, such as StopActivityStream or DeleteDBCluster. The
rule on EventBridge decides which calls come here. Out: one document of `das-control-plane`. CloudTrail's names stay as
they are; null and empty values are left out, as in the documents of activity events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

from daswatch.canonical import canonical_json
from daswatch.documents.call_signals import Call, call_signals, recipient
from daswatch.documents.document import Document
from daswatch.documents.flat_objects import split_fitting
from daswatch.errors import Reason, RecordError
from daswatch.records.envelope import STREAM_PREFIX
from daswatch.times import iso_milliseconds

DETAIL_TYPE = "AWS API Call via CloudTrail"

_SAFE_ID = re.compile(r"[\w-]{1,100}", re.ASCII)  # CloudTrail's are UUIDs
_RESOURCE_ID = re.compile(r"(?:cluster|db)-[\w-]+", re.ASCII)
_STREAM = re.compile(rf"(?:.*[:/])?{STREAM_PREFIX}(?P<resource>(?:cluster|db)-[\w-]+)", re.ASCII)

# How a call names an activity stream, and how it names a database. Services do not agree on upper and lower case.
_STREAM_NAMES = ("kinesisstreamname", "eventsourcearn", "streamname", "streamarn", "resourcearn")
_RESOURCE_NAMES = ("dbclusterresourceid", "dbiresourceid")
# What a request is about: of RDS, KMS, Lambda, Kinesis, EventBridge and others. A mapping has no name, only a UUID.
_TARGET_NAMES = (
    "resourcearn", "keyid", "functionname", "streamarn", "streamname", "rule", "name", "uuid", "dbsnapshotidentifier",
    "dbclustersnapshotidentifier", "snapshotidentifier", "sourcearn", "sourcedbsnapshotidentifier",
    "sourcedbclustersnapshotidentifier", "recoverypointarn", "sourcedbinstanceidentifier", "sourcedbclusteridentifier",
    "dbinstanceidentifier", "dbclusteridentifier", "dbparametergroupname", "dbclusterparametergroupname",
    "optiongroupname", "dbproxyname", "globalclusteridentifier", "groupid", "dbsecuritygroupname",
    "sourcedbinstancearn", "dbiresourceid", "dbclusterresourceid", "dbinstanceautomatedbackupsarn",
    "deliverystreamname", "endpointarn", "endpointidentifier", "replicationtaskarn", "replicationconfigarn",
    "datamigrationidentifier",
)  # fmt: skip
# How a call names the database that it is about. A copy is about its source.
_SOURCE_NAMES = (
    "sourcedbclusteridentifier", "sourcedbinstanceidentifier", "sourcedbclusterresourceid", "sourcedbiresourceid",
    "sourcedbsnapshotidentifier", "sourcedbclustersnapshotidentifier", "dbsnapshotidentifier", "snapshotidentifier",
    "dbclustersnapshotidentifier", "sourcearn", "sourcedbinstancearn", "replicationsourceidentifier",
)  # fmt: skip
_DATABASE_NAMES = ("dbclusteridentifier", "dbinstanceidentifier", "dbclusterresourceid", "dbiresourceid", "resourcearn")
_MAKES_A_DATABASE = ("CreateDBInstanceReadReplica", "RestoreDB")  # what answers is the copy
_DATABASE_ARN = re.compile(
    r"arn:[\w-]+:rds:(?P<region>[\w-]*):(?P<account>\d*):(?P<kind>cluster|db|cluster-snapshot|snapshot):(?P<name>.+)",
    re.ASCII,
)
# The name of an automated snapshot begins with the database's.
_AUTOMATED = re.compile(r"rds:(?P<name>[a-zA-Z][\w-]*)-\d{4}-\d\d-\d\d-\d\d-\d\d", re.ASCII)
_SERVICE = re.compile(r"[\w.-]+\.amazonaws\.com(?:\.cn)?|AWS Internal", re.ASCII)
_SERVICE_LINKED = re.compile(r"arn:[\w-]+:iam::\d*:role/aws-service-role/(?P<service>[\w.-]+)/.*", re.ASCII)


def document(event: Mapping[str, Any], ingested_at: str, index: str) -> Document:
    """One call as indexed. The id is CloudTrail's own, so that a second delivery adds nothing.

    Raises RecordError for an event of another type, and for one without the call's name or time.
    """
    if event.get("detail-type") != DETAIL_TYPE:
        raise RecordError(Reason.ANOTHER_TYPE, f"the event's detail-type is not {DETAIL_TYPE!r}")
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise RecordError(Reason.EVENT_NOT_AN_OBJECT, "the event's detail is not an object")
    for name in ("eventID", "eventName", "eventSource"):
        if not _text(detail.get(name)):
            raise RecordError(Reason.ANOTHER_TYPE, f"the call has no {name}")
    identity = _object(detail.get("userIdentity"))
    account_id = _text(detail.get("recipientAccountId")) or _text(event.get("account"))
    region = _text(detail.get("awsRegion")) or _text(event.get("region"))
    call = Call(
        name=_text(detail["eventName"]),
        account_id=account_id,
        region=region,
        request=_object(detail.get("requestParameters")),
        response=_object(detail.get("responseElements")),
        error=f"{_text(detail.get('errorCode'))} {_text(detail.get('errorMessage'))}",
        at=_time(detail, event),
    )
    fields: dict[str, Any] = {
        "@timestamp": call.at,
        "ingestedAt": ingested_at,
        "eventSource": _text(detail["eventSource"]),
        "eventName": _text(detail["eventName"]),
        "userIdentityArn": _who(identity),
        "userIdentityType": _text(identity.get("type")),
        "sourceIPAddress": _text(detail.get("sourceIPAddress")),
        "userAgent": _text(detail.get("userAgent")),
        "errorCode": _text(detail.get("errorCode")),
        "outcome": "failure" if detail.get("errorCode") else "success",
        "awsAccountId": account_id,
        "awsRegion": region,
        "invokedBy": _service(identity, _text(detail.get("sourceIPAddress"))),
        "resourceId": _resource_id(detail),
        "target": _target(detail),
        "recipient": recipient(call),
        "signals": list(call_signals(call)),
        **_request_parameters(detail.get("requestParameters")),
    }
    return Document(index, _id(detail["eventID"]), {name: value for name, value in fields.items() if value})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _id(event_id: str) -> str:
    if _SAFE_ID.fullmatch(event_id):
        return event_id
    return blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _time(detail: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """When the call was made; EventBridge's time, the same second in another place, stands in."""
    for text in (detail.get("eventTime"), event.get("time")):
        try:
            moment = datetime.fromisoformat(_text(text))
            if moment.tzinfo is not None:
                return iso_milliseconds(moment)
        except (ValueError, OverflowError):
            continue
    raise RecordError(Reason.ANOTHER_TYPE, "the call has no time that can be read")


def _who(identity: Mapping[str, Any]) -> str:
    """The caller's ARN; without one the ARN of the role that was assumed, a user's name, or an AWS service's."""
    issuer = _object(_object(identity.get("sessionContext")).get("sessionIssuer"))
    candidates = (identity.get("arn"), issuer.get("arn"), identity.get("userName"), identity.get("invokedBy"))
    return next((name for name in map(_text, candidates) if name), "")


def _service(identity: Mapping[str, Any], address: str) -> str:
    """The AWS service that made the call, for itself or for a caller, by what a client cannot set.

    Only services can assume service-linked roles. A service's calls have its name for an address.
    """
    issuer = _object(_object(identity.get("sessionContext")).get("sessionIssuer"))
    linked = _SERVICE_LINKED.fullmatch(_text(issuer.get("arn")))
    candidates = (_text(identity.get("invokedBy")), linked["service"] if linked else "", address)
    return next((name for name in candidates if _SERVICE.fullmatch(name)), "")


def named_databases(event: Mapping[str, Any]) -> tuple[str, ...]:
    """What a call says about its database: resource ids and identifiers, the best first.

    For the inventory, which knows a database by its identifier and by its instances. A copy is about its source.
    """
    detail = _object(event.get("detail"))
    is_copy = _text(detail.get("eventName")).startswith(_MAKES_A_DATABASE)
    names = _SOURCE_NAMES if is_copy else (*_DATABASE_NAMES, *_SOURCE_NAMES)
    place = (_text(detail.get("recipientAccountId")), _text(detail.get("awsRegion")))
    found = (_database_name(name, value, place) for name in names for value in _values(detail, (name,)))
    known = "" if is_copy else _resource_id(detail)
    return tuple(dict.fromkeys(name for name in (known, *found) if name))


def _database_name(field: str, value: str, place: tuple[str, str]) -> str:
    """The database that a value names, in this place: itself, by its ARN, or by the name of its automated snapshot."""
    arn = _DATABASE_ARN.fullmatch(value)
    if value.startswith("arn:") and (not arn or (arn["account"], arn["region"]) != place):
        return ""
    name, is_snapshot = (arn["name"], "snapshot" in arn["kind"]) if arn else (value, "snapshot" in field)
    if automated := _AUTOMATED.fullmatch(name):
        return automated["name"].lower()
    if is_snapshot:
        return ""
    return name if _RESOURCE_ID.fullmatch(name) else name.lower()


def _resource_id(detail: Mapping[str, Any]) -> str:
    """The database of the stream, if response or request have it: by the stream's name, or by the resource id."""
    for name in _values(detail, _STREAM_NAMES):
        if match := _STREAM.fullmatch(name):
            return match["resource"]
    return next((name for name in _values(detail, _RESOURCE_NAMES) if _RESOURCE_ID.fullmatch(name)), "")


def _values(detail: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    """The values that answer and request have under these names, in the order of the names."""
    for fields in (_lower(detail.get("responseElements")), _lower(detail.get("requestParameters"))):
        yield from (_text(fields[name]) for name in names if name in fields)


def _target(detail: Mapping[str, Any]) -> str:
    """What the request names; a request that names nothing, such as RetireGrant's, is about CloudTrail's resource."""
    request = _lower(detail.get("requestParameters"))
    named = (_text(request[name]) for name in _TARGET_NAMES if name in request)
    resources = detail.get("resources")
    listed = (_text(_object(entry).get("ARN")) for entry in (resources if isinstance(resources, list) else ()))
    return next((name for name in (*named, *listed) if name), "")


def _lower(fields: object) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in _object(fields).items()}


def _request_parameters(parameters: object) -> dict[str, Any]:
    """What fits into a flat_object there, the rest as JSON text: a key policy is longer than one term can be."""
    if not parameters:
        return {}
    fitting, rest = split_fitting(parameters) if isinstance(parameters, Mapping) else ({}, parameters)
    try:
        return {"requestParameters": fitting, "requestParametersText": canonical_json(rest).decode() if rest else ""}
    except RecursionError as exc:
        raise RecordError(Reason.EVENT_TOO_DEEP, "the call's parameters are nested too deep") from exc
