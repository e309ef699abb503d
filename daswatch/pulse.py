"""The pulse: one small document for each instance, telling when it was last heard and when it last did something.

Heartbeats are not indexed; they move this document. Two functions, a retry or a late redelivery may write in any order:
a script keeps the later of both times, so the pulse never goes backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson

from daswatch.bulk import Action
from daswatch.envelope import ActivityStream

INDEX = "das-pulse"
INTERVAL = timedelta(seconds=20)

# Times are ISO 8601 in UTC of one length, so they compare as text.
_LATER = (
    "for (e in params.entrySet()) { def k = e.getKey(); def v = e.getValue();"
    " if (ctx._source[k] == null || (k.startsWith('last') ? ctx._source[k].compareTo(v) < 0 : true))"
    " { ctx._source[k] = v } }"
)


@dataclass(slots=True)
class Pulse:
    """What one invocation heard of one instance. Times are ISO 8601 in UTC, in milliseconds."""

    stream: ActivityStream
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
        """Whether it is worth a request of its own, after one that told `written` as last seen.

        A silent instance is told after minutes; to write each heartbeat of it, one every two seconds, is of no use.
        """
        if written is None or self.last_event:
            return True
        since = datetime.fromisoformat(self.last_seen) - datetime.fromisoformat(written)
        return since >= INTERVAL

    @property
    def _id(self) -> str:
        name = f"{self.stream.resource_id}/{self.instance_id}"
        # OpenSearch takes 512 bytes; a real name has some 60.
        return name if len(name) <= 100 else blake2b(name.encode("utf-8", "replace"), digest_size=16).hexdigest()

    def action(self) -> Action:
        """The update that moves the instance's document forward."""
        document: dict[str, Any] = {
            "resourceId": self.stream.resource_id,
            "instanceId": self.instance_id,
            "awsAccountId": self.stream.account_id,
            "awsRegion": self.stream.region,
            "lastSeen": self.last_seen,
            "lastEvent": self.last_event,
        }
        params = {name: value for name, value in document.items() if value}
        head = {
            "update": {
                "_index": INDEX,
                "_id": self._id,
                "retry_on_conflict": 3,
            }
        }
        script = {"lang": "painless", "source": _LATER, "params": params}
        body = {"script": script, "upsert": params}
        return Action(orjson.dumps(head) + b"\n" + orjson.dumps(body) + b"\n", record=None)
