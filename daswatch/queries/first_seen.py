"""First seen: which user came with which application, from which network, and when last.

Whether a sighting is new cannot be asked of one query: what was seen before is kept in `das-seen`, one document for
each detection, database and group, written after the alert that a new one raises. So a crash between the two raises the
same alert again, under the same id. A database that is new to a detection is learned first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import orjson

from daswatch.detections.detection import Detection, Level
from daswatch.indexing.bulk import Action
from daswatch.queries.saved_query import Candidate
from daswatch.times import iso_milliseconds, moment_of, version_of

_ADDRESS_FIELD = "remoteIp"

# Written again only where that says something new.
_WORTH_WRITING = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is known about one group, or, for a database as a whole, since when it is learned."""

    first_seen: str
    last_seen: str


def by_network(detection: Detection, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Groups with addresses put together by their networks."""
    merged: dict[tuple[str, ...], Candidate] = {}
    for candidate in candidates:
        group = {name: _network(detection, name, value) for name, value in candidate.group.items()}
        key = candidate.resource_id, *group.values()
        earlier = merged.get(key)
        merged[key] = replace(
            candidate,
            group=group,
            count=candidate.count + (earlier.count if earlier else 0),
            first_seen=min(candidate.first_seen, earlier.first_seen) if earlier else candidate.first_seen,
            last_seen=max(candidate.last_seen, earlier.last_seen) if earlier else candidate.last_seen,
            level=max(candidate.level, earlier.level, key=lambda level: level.rank) if earlier else candidate.level,
        )
    return list(merged.values())


def sighting_id(detection: Detection, candidate: Candidate) -> str:
    """The id of what is known about a group: the same as its alert's."""
    return candidate.alert_id(detection.name)


def learning_id(detection: Detection, resource_id: str) -> str:
    """The id of the document that has since when a database is learned."""
    return f"{detection.name}/{resource_id}"


def is_new(
    detection: Detection, candidate: Candidate, known: Sighting | None, learning: Sighting | None, now: datetime
) -> bool:
    """Whether a sighting is worth an alert: never seen before, or not for long, by a detection that has learned.

    What is informational is learned only.
    """
    rule = detection.first_seen
    if rule is None or learning is None or candidate.level is Level.INFORMATIONAL:
        return False
    if now - moment_of(learning.first_seen) < timedelta(days=rule.learn_days):
        return False
    if not rule.absent_days:
        return known is None
    if known is None:
        return False
    away = moment_of(candidate.first_seen) - moment_of(known.last_seen)
    return away >= timedelta(days=rule.absent_days)


def sightings(
    detection: Detection,
    candidates: Iterable[Candidate],
    known: Mapping[str, Sighting],
    now: datetime,
    index: str,
    *,
    versioned: bool,
) -> list[Action]:
    """What to write after a run: each group's last sighting, and from now on each new database as being learned.

    The time of the sighting is the document's version where there are any: of two runners the later sighting stays.
    """
    actions = []
    learning: dict[str, str] = {}
    for candidate in candidates:
        learning.setdefault(candidate.resource_id, learning_id(detection, candidate.resource_id))
        name = sighting_id(detection, candidate)
        before = known.get(name)
        if before is None or _apart(before.last_seen, candidate.last_seen) >= _WORTH_WRITING:
            document = {
                "detection": detection.name,
                "resourceId": candidate.resource_id,
                "group": dict(candidate.group),
                "firstSeen": min(candidate.first_seen, before.first_seen) if before else candidate.first_seen,
                "lastSeen": candidate.last_seen,
            }
            actions.append(_sighting(name, document, index, versioned=versioned))
    at = iso_milliseconds(now)
    for resource_id, name in learning.items():
        if name not in known:
            document = {"detection": detection.name, "resourceId": resource_id, "firstSeen": at, "lastSeen": at}
            actions.append(_sighting(name, document, index, versioned=versioned))
    return actions


def _sighting(name: str, document: Mapping[str, Any], index: str, *, versioned: bool) -> Action:
    later = {"version": version_of(document["lastSeen"]), "version_type": "external"} if versioned else {}
    return Action.put(index, name, orjson.dumps(document), later)


def _apart(earlier: str, later: str) -> timedelta:
    return moment_of(later) - moment_of(earlier)


def _network(detection: Detection, name: str, value: str) -> str:
    rule = detection.first_seen
    if rule is None or name != _ADDRESS_FIELD or not value:
        return value
    prefix = rule.ipv4_prefix if isinstance(ip_address(value), IPv4Address) else rule.ipv6_prefix
    return str(ip_network(f"{value}/{prefix}", strict=False))
