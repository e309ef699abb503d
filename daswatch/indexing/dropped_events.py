"""How much was dropped, why, and whose: one document for each batch, instance, reason, user and origin.

They are in `das-drops-YYYY.MM`. Dropped events leave no other trace in OpenSearch. Only records that Lambda will not
deliver again are counted, and a batch that is delivered twice computes the same ids, so a count is written once; a
batch that Lambda cut in two after the function died may be counted twice. Heartbeats are not counted here: they are
the pulse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from daswatch.canonical import canonical_json
from daswatch.documents.document import Flattening
from daswatch.documents.noise import ExcludedUser, Noise
from daswatch.indexing.bulk import Action
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord

_LOGGED_CHARACTERS = 64  # an instance id is a payload's word: it gets no more room than a real one needs


@dataclass(frozen=True, slots=True)
class Drop:
    """How many events of one stream record were dropped; `position` is the record's place in the batch."""

    position: int
    stream: StreamSource
    arrived_at: str
    reason: Noise
    count: int
    instance_id: str = ""
    user: ExcludedUser | None = None

    @property
    def kind(self) -> tuple[StreamSource, str, Noise, ExcludedUser | None]:
        """What is counted together."""
        return self.stream, self.instance_id, self.reason, self.user


def actions(drops: Iterable[Drop], batch: Sequence[StreamRecord], flattening: Flattening, name: str) -> list[Action]:
    """The documents that report these drops; `batch` is what was written of the batch, and names it.

    `name` is what the index of each month begins with."""
    by_kind: dict[tuple[StreamSource, str, Noise, ExcludedUser | None], list[Drop]] = {}
    for drop in drops:
        by_kind.setdefault(drop.kind, []).append(drop)
    return [_action(together, batch, flattening, name) for together in by_kind.values()]


def _action(drops: Sequence[Drop], batch: Sequence[StreamRecord], flattening: Flattening, name: str) -> Action:
    newest = max(drop.arrived_at for drop in drops)
    first = drops[0]
    index = f"{name}-{newest[:7].replace('-', '.')}"
    document = {
        "@timestamp": newest,
        "ingestedAt": flattening.ingested_at,
        "resourceId": first.stream.resource_id,
        "awsAccountId": first.stream.account_id,
        "awsRegion": first.stream.region,
        "instanceId": first.instance_id,
        **flattening.name_of(first.stream, first.instance_id),
        "reason": first.reason.value,
        "dbUserName": first.user.name if first.user else "",
        "origin": first.user.origin.value if first.user else "",
        "count": sum(drop.count for drop in drops),
    }
    kept = {name: value for name, value in document.items() if value != ""}
    return Action.create(index, _id(first, batch), orjson.dumps(kept), required=False)


def _id(drop: Drop, batch: Sequence[StreamRecord]) -> str:
    first, last = batch[0], batch[-1]
    user = [drop.user.name, drop.user.origin] if drop.user else []
    of_drop = [drop.stream.resource_id, drop.instance_id, drop.reason, *user]
    name = [*of_drop, first.shard_id, first.sequence_number, last.sequence_number]
    return blake2b(canonical_json(name), digest_size=16).hexdigest()


def users_by_instance(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Dropped events by instance id and user, as a log line has them; the names are those of the setting."""
    users: dict[str, dict[str, int]] = {}
    for (instance, user), count in counts.items():
        users.setdefault(instance[:_LOGGED_CHARACTERS], {})[user] = count
    return users
