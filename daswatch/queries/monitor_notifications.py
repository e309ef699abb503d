"""A monitor's notification -> candidates and firings. SNS delivers it as the monitor's message template rendered it.

Our monitors and those that analysts make send the same JSON (`docs/detections.md` has the template): the groups of a
composite aggregation named `groups`, or the hits of a plain search. Groups of our detections are candidates, for
OpenSearch to confirm; what an analyst's monitor found fires as it is. A monitor that fires notifies at every run until
a user acknowledges it, and sends nothing when it is over: `daswatch.alerts.alert` owns repetitions and the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from daswatch.alerts.alert import MAX_ACTORS, MAX_SAMPLES, Database, Firing
from daswatch.detections.detection import Detection, Level
from daswatch.errors import NotificationError, Reason
from daswatch.queries.saved_query import ACTOR_FIELDS, Candidate, read_candidate
from daswatch.times import iso_milliseconds

FAILING = "das-failing"
_MONITOR_NAME = 100  # characters of an analyst's name that count; it becomes part of an id
_RESOURCE_ID = re.compile(r"(?:cluster|db)-[\w-]{1,100}", re.ASCII)
_MOST = 2**53  # that JSON holds exactly
_UNSAFE = re.compile(r"[^\w .,:()+-]+")
_SEVERITIES = {"1": Level.CRITICAL, "2": Level.HIGH, "3": Level.MEDIUM, "4": Level.LOW, "5": Level.INFORMATIONAL}


@dataclass(frozen=True, slots=True)
class Notification:
    """What one message reports. It is `full` if it has as many groups as its monitor sends: there may be more.

    The schedule finds the others.
    """

    candidates: tuple[tuple[Detection, Candidate], ...] = ()
    firings: tuple[Firing, ...] = ()
    full: bool = False


def read_notification(text: str, detections: Mapping[str, Detection], now: datetime) -> Notification:
    """Read one message. Raises NotificationError."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise NotificationError(Reason.NOT_JSON, "the monitor's message is not JSON") from exc
    if not isinstance(content, dict):
        raise NotificationError(Reason.NOT_A_NOTIFICATION, "the monitor's message is not an object")
    name = content.get("detection") or content.get("monitor")
    if not isinstance(name, str) or not name.strip():
        raise NotificationError(Reason.NOT_A_NOTIFICATION, "the message names neither a detection nor a monitor")
    detection = detections.get(name) if content.get("detection") else None
    if content.get("error"):
        failing = detections[FAILING] if FAILING in detections and detections[FAILING].enabled else None
        return Notification(firings=(failing_query(failing, name, "OpenSearch error", now),) if failing else ())
    try:
        if detection:
            pairs = tuple((detection, _candidate(detection, bucket)) for bucket in _list(content.get("groups")))
            return Notification(candidates=pairs, full=_is_full(content))
        return Notification(firings=tuple(_firings(content, name, now)), full=_is_full(content))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError) as exc:
        raise NotificationError(
            Reason.NOT_A_NOTIFICATION, f"its groups or hits are not as the template makes them ({type(exc).__name__})"
        ) from exc


def failing_query(failing: Detection, name: str, cause: str, now: datetime) -> Firing:
    """Return the firing for a saved query or monitor that cannot be run."""
    at = iso_milliseconds(now)
    return Firing(
        detection=FAILING,
        title=failing.title,
        level=failing.level,
        database=Database(""),
        group={"detection": _named(name)},
        first_seen=at,
        last_seen=at,
        count=1,
        note=f"Saved query {_named(name)} failed: {cause}. It detects nothing until this is fixed.",
    )


def _is_full(content: Mapping[str, Any]) -> bool:
    groups, limit = content.get("groups"), content.get("limit")
    return isinstance(groups, list) and isinstance(limit, int) and 0 < limit <= len(groups)


def _candidate(detection: Detection, bucket: Mapping[str, Any]) -> Candidate:
    found = read_candidate(detection, bucket)
    if not found.first_seen or not found.last_seen:
        raise ValueError("a group without times")
    return replace(
        found,
        resource_id=_resource_id(found.resource_id),
        group=_in_order(found.group, detection.group),
        count=_count(found.count),
    )


def _firings(content: Mapping[str, Any], name: str, now: datetime) -> Iterator[Firing]:
    buckets, hits = content.get("groups"), content.get("hits")
    if buckets:
        for bucket in _list(buckets):
            yield _of_bucket(content, name, bucket, now)
    elif hits:
        yield from _of_hits(content, name, _list(hits), now)
    else:
        raise NotificationError(Reason.NOT_A_NOTIFICATION, "the message has neither groups nor hits")


def _in_order(group: Mapping[str, str], fields: Iterable[str]) -> dict[str, str]:
    """A group with the detection's fields first, in their order: the plugin hands keys on in another one."""
    return {name: group[name] for name in (*fields, *group) if name in group}


def _of_bucket(content: Mapping[str, Any], name: str, bucket: Mapping[str, Any], now: datetime) -> Firing:
    key = bucket["key"]
    group = {str(field): str(value or "") for field, value in (key if isinstance(key, dict) else {"key": key}).items()}
    begin, end = _period(content, now)
    return Firing(
        detection=f"monitor:{_named(name)}",
        title=_named(name),
        level=_level(content),
        database=Database(_resource_id(group.pop("resourceId", ""))),
        group=group,
        first_seen=_moment(bucket, "first") or begin,
        last_seen=_moment(bucket, "last") or end,
        count=_count(bucket["doc_count"]),
    )


def _of_hits(
    content: Mapping[str, Any], name: str, hits: Iterable[Mapping[str, Any]], now: datetime
) -> Iterator[Firing]:
    by_database: dict[str, list[Mapping[str, Any]]] = {}
    for hit in hits:
        by_database.setdefault(str(hit.get("_source", {}).get("resourceId", "")), []).append(hit)
    begin, end = _period(content, now)
    for resource_id, own in by_database.items():
        sources = [hit.get("_source", {}) for hit in own]
        times = sorted(str(source["@timestamp"]) for source in sources if "@timestamp" in source)
        total = content.get("total")
        yield Firing(
            detection=f"monitor:{_named(name)}",
            title=_named(name),
            level=_level(content),
            database=Database(
                _resource_id(resource_id),
                str(sources[0].get("awsAccountId", "")),
                str(sources[0].get("awsRegion", "")),
                str(sources[0].get("engine", "")),
            ),
            group={},
            first_seen=_iso(times[0]) if times else begin,
            last_seen=_iso(times[-1]) if times else end,
            count=_count(total) if total is not None and len(by_database) == 1 else len(own),
            actors={field: values for field in ACTOR_FIELDS if (values := _values(sources, field))},
            samples=tuple(str(hit["_id"]) for hit in own[:MAX_SAMPLES]),
        )


def _values(sources: Iterable[Mapping[str, Any]], field: str) -> tuple[str, ...]:
    found = {str(source[field]): None for source in sources if source.get(field)}
    return tuple(found)[:MAX_ACTORS]


def _period(content: Mapping[str, Any], now: datetime) -> tuple[str, str]:
    at = iso_milliseconds(now)
    begin, end = content.get("periodStart") or at, content.get("periodEnd") or at
    return _iso(str(begin)), _iso(str(end))


def _moment(bucket: Mapping[str, Any], name: str) -> str:
    value = bucket.get(name, {}).get("value")
    return iso_milliseconds(datetime.fromtimestamp(value / 1000, UTC)) if value else ""


def _iso(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return iso_milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _level(content: Mapping[str, Any]) -> Level:
    return _SEVERITIES.get(str(content.get("severity")), Level.MEDIUM)


def _named(name: str) -> str:
    return " ".join(_UNSAFE.sub(" ", name).split())[:_MONITOR_NAME].strip()


def _resource_id(text: str) -> str:
    """Check a resource id, which becomes a part of ids; it is empty where the message is not about one database."""
    if text and not _RESOURCE_ID.fullmatch(text):
        raise ValueError("not a resource id")
    return text


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise ValueError("not a count")
    return value


def _list(value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value
