"""Streams that follow names: after a blue/green switchover, a restore or a rename, another database has the name.

In: the documents of the inventory. Out: which databases are to have the stream that the former one of their name had,
and how the new Kinesis stream is to be read. What is to be followed stands in the document under `follows`, from the
run that saw the name move until the stream is started and read, so that no run waits for RDS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from daswatch.activity_streams.lifecycle import (
    Asked,
    DatabaseKind,
    DatabaseName,
    Mode,
    Status,
    WantedMode,
    WantedStream,
)
from daswatch.fleet.database import Document, Place
from daswatch.times import moment_of

# RDS describes `starting` long before. Where no run has seen that, and nothing has started since, RDS gave up.
_AGREED_FOR = timedelta(minutes=30)
# What the mapping of the new stream has from that of the old one, by Lambda's names.
_COPIED = (
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "FilterCriteria",
    "FunctionResponseTypes",
    "KMSKeyArn",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
)


@dataclass(frozen=True, slots=True)
class Follow:
    """A database that is to have the stream of the one that had its name. `former_stream` is that one's in Kinesis."""

    id: str  # of its document
    name: DatabaseName
    place: Place
    resource_id: str
    wanted: WantedStream
    former_stream: str
    asked: Asked = Asked.NOT_YET


def to_follow(former: Document, now: Document) -> dict[str, Any] | None:
    """What the next database of a name follows: its former one as it was known before, and as it is now.

    None where no stream was on. One that never got the stream it was to have hands that on.
    """
    if "follows" in former:
        return {name: value for name, value in former["follows"].items() if not name.startswith("asked")}
    running = next((one for one in (former, now) if one["streamStatus"] in (Status.STARTED, Status.STARTING)), None)
    if running is None or not running.get("streamKey"):
        return None
    return {
        "resourceId": running["resourceId"],
        "streamMode": running.get("streamMode", Mode.ASYNC.value),
        "streamKey": running["streamKey"],
        "streamNativeFields": running.get("streamNativeFields", False),
        "kinesisStream": running.get("kinesisStream") or f"aws-rds-das-{running['resourceId']}",
    }


def follows(documents: Mapping[str, Document], ids: Iterable[str], now: str) -> list[Follow]:
    """The databases among `ids` that have not yet the stream that they are to have. `now` is ISO 8601 in UTC."""
    found = ((id_, documents[id_]) for id_ in sorted(ids))
    return [_follow(id_, one, now) for id_, one in found if "follows" in one and "goneSince" not in one]


def _follow(id_: str, document: Document, now: str) -> Follow:
    stream = document["follows"]
    asked = Asked(stream.get("asked", Asked.NOT_YET.value))
    if asked is Asked.AGREED and moment_of(now) - moment_of(stream["askedAt"]) > _AGREED_FOR:
        asked = Asked.UNDER_WAY
    place = Place(document["awsAccountId"], document["awsRegion"])
    return Follow(
        id=id_,
        name=DatabaseName(DatabaseKind(document["databaseKind"]), document["databaseIdentifier"]),
        place=place,
        resource_id=document["resourceId"],
        wanted=WantedStream(stream["streamKey"], WantedMode(stream["streamMode"]), stream["streamNativeFields"]),
        former_stream=stream["kinesisStream"],
        asked=asked,
    )


def followed(document: Document, asked: Asked, now: str, *, done: bool) -> dict[str, Any]:
    """The document after a step; nothing is followed any more when it is done."""
    kept = {name: value for name, value in document.items() if name != "follows"}
    if done:
        return kept
    stream = dict(document["follows"])
    if asked is not Asked.NOT_YET:
        stream |= {"asked": asked.value, "askedAt": stream.get("askedAt", now)}
    return {**kept, "follows": stream}


def mapping_like(former: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
    """CreateEventSourceMapping's parameters for another stream, from a mapping as Lambda describes it.

    From the stream's beginning: nothing of it was read yet.
    """
    copied = {name: _without_empty(former.get(name)) for name in _COPIED}
    return {
        "EventSourceArn": stream_arn,
        "FunctionName": former["FunctionArn"],
        "StartingPosition": "TRIM_HORIZON",
        "Enabled": former.get("State") not in ("Disabled", "Disabling"),
        **{name: value for name, value in copied.items() if value not in (None, {}, [])},
    }


def _without_empty(value: Any) -> Any:
    """Lambda describes destinations that are not set as empty objects, and takes none."""
    if not isinstance(value, Mapping):
        return value
    return {name: one for name, one in value.items() if one not in ({}, None)}
