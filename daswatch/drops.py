"""How much was dropped, and why: one document for each batch, database and reason, in `das-drops-YYYY.MM`.

Dropped events leave no other trace in OpenSearch. Only records that Lambda will not deliver again are counted, and a
batch that is delivered twice computes the same ids, so a count is told once; a batch that Lambda cut in two after the
function died may be told twice. Heartbeats are not counted here: they are the pulse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from daswatch.bulk import Action
from daswatch.canonical import canonical_json
from daswatch.envelope import ActivityStream
from daswatch.noise import Noise
from daswatch.stream_records import StreamRecord

TEMPLATE = "das-drops"


@dataclass(frozen=True, slots=True)
class Drop:
    """So many events of one stream record were dropped; `position` is the record's place in the batch."""

    position: int
    stream: ActivityStream
    arrived_at: str
    reason: Noise
    count: int


def actions(drops: Iterable[Drop], batch: Sequence[StreamRecord], ingested_at: str) -> list[Action]:
    """The documents that tell of these drops; `batch` is what was written of the batch, and names it."""
    by_database: dict[tuple[ActivityStream, Noise], list[Drop]] = {}
    for drop in drops:
        by_database.setdefault((drop.stream, drop.reason), []).append(drop)
    return [_action(stream, reason, told, batch, ingested_at) for (stream, reason), told in by_database.items()]


def _action(
    stream: ActivityStream, reason: Noise, drops: Sequence[Drop], batch: Sequence[StreamRecord], ingested_at: str
) -> Action:
    newest = max(drop.arrived_at for drop in drops)
    head = {"create": {"_index": f"{TEMPLATE}-{newest[:7].replace('-', '.')}", "_id": _id(stream, reason, batch)}}
    document = {
        "@timestamp": newest,
        "ingestedAt": ingested_at,
        "resourceId": stream.resource_id,
        "awsAccountId": stream.account_id,
        "awsRegion": stream.region,
        "reason": reason.value,
        "count": sum(drop.count for drop in drops),
    }
    return Action(orjson.dumps(head) + b"\n" + orjson.dumps(document) + b"\n", record=None)


def _id(stream: ActivityStream, reason: Noise, batch: Sequence[StreamRecord]) -> str:
    first, last = batch[0], batch[-1]
    name = [stream.resource_id, reason, first.shard_id, first.sequence_number, last.sequence_number]
    return blake2b(canonical_json(name), digest_size=16).hexdigest()
