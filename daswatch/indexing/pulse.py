"""The pulse: when each instance was last heard, and when it last did something, in two small documents.

Heartbeats are not indexed; they move the first of them. Two functions, a retry or a late redelivery may write in any
order: the time is the document's version as well, so that OpenSearch keeps the later one. Neither is ever read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson

from daswatch.indexing.bulk import Action
from daswatch.records.envelope import StreamSource
from daswatch.times import moment_of, version_of

INTERVAL = timedelta(seconds=20)
_OF_EVENT = "/event"  # ends the id of the second document
# Where documents have no versions: what is older would take the place of what another function wrote.
_LATE = timedelta(minutes=5)


@dataclass(slots=True)
class Pulse:
    """What one invocation heard of one instance. Times are ISO 8601 in UTC, in milliseconds."""

    stream: StreamSource
    instance_id: str
    last_seen: str
    last_event: str = ""
    heartbeats: int = 0

    def heard(self, arrived_at: str, heartbeats: int, last_event: str) -> None:
        """Take one more monitoring record into account."""
        self.last_seen = max(self.last_seen, arrived_at)
        self.last_event = max(self.last_event, last_event)
        self.heartbeats += heartbeats

    def is_due(self, written: str | None) -> bool:
        """Whether it is worth a request of its own, after one that wrote `written` as last seen.

        Silence is reported after minutes: writing each heartbeat, one every two seconds, would be of no use.
        """
        if written is None or self.last_event:
            return True
        since = moment_of(self.last_seen) - moment_of(written)
        return since >= INTERVAL

    @property
    def _id(self) -> str:
        name = f"{self.stream.resource_id}/{self.instance_id}"
        # OpenSearch takes 512 bytes; a real name has some 60.
        return name if len(name) <= 100 else blake2b(name.encode("utf-8", "replace"), digest_size=16).hexdigest()

    def actions(
        self, index: str, *, versioned: bool, now: datetime, name: Mapping[str, Any] | None = None
    ) -> list[Action]:
        """What moves the instance's documents forward, with the fields of its name; without versions nothing late."""
        if not versioned and now - moment_of(self.last_seen) > _LATE:
            return []
        instance = {
            "resourceId": self.stream.resource_id,
            "instanceId": self.instance_id,
            "awsAccountId": self.stream.account_id,
            "awsRegion": self.stream.region,
            **(name or {}),
        }
        times = [("lastSeen", self._id, self.last_seen), ("lastEvent", self._id + _OF_EVENT, self.last_event)]
        actions = []
        for field, identity, time in times:
            if not time:
                continue
            later = {"version": version_of(time), "version_type": "external"} if versioned else {}
            source = {key: value for key, value in {**instance, field: time}.items() if value}
            actions.append(Action.put(index, identity, orjson.dumps(source), later, required=False))
        return actions


def instances(actions: Iterable[Action]) -> set[str]:
    """The names of the instances whose documents these are."""
    return {action.document_id.removesuffix(_OF_EVENT) for action in actions}
