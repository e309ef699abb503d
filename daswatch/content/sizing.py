"""Events a day -> shards, indices, storage and heap, by what an event takes and what OpenSearch advises.

Pure arithmetic over measured figures; docs/sizing.md has the same in a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

# One copy in one merged segment, 200,000 events of the demo's producer (docs/decisions/0003); yours may differ: divide
# an old day's primary store size by its number of documents.
BYTES_PER_EVENT = 371
GB = 10**9
GIB = 2**30
# "Sizing Amazon OpenSearch Service domains": 30 to 50 GiB a shard for logs.
SHARD_BYTES = 40 * GB
LARGEST_SHARD_BYTES = 50 * GIB
# The same page: 25 shards at most for each GiB of heap.
SHARDS_PER_HEAP_GIB = 25
# A shard writes with one thread: 55 us an event (`make bench`), and a busy hour has twice the average.
EVENTS_PER_SECOND_AND_SHARD = 18_000
PEAK = 2
# Beyond these, a day's index is too much to move, merge and search at once: an index for each hour.
DAILY_SHARDS = 20
# The same page again: what Linux and the service keep free.
USABLE_STORAGE = 0.95 * 0.8
_SECONDS = 86_400
_HOURS = 24


@dataclass(frozen=True, slots=True)
class Volume:
    """What arrives, and how long it is kept."""

    events_per_day: int
    retention_days: int
    copies: int  # of each shard, the primary among them


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a volume needs."""

    hourly: bool
    primary_shards: int  # of each index
    indices_per_day: int
    shard_bytes: int  # the largest, in an average day
    shard_documents: int
    bytes_per_day: int  # one copy
    storage_bytes: int  # of all data nodes
    shards: int  # copies included, over the whole retention
    heap_bytes: int  # of all data nodes

    @property
    def shards_per_day(self) -> int:
        """Copies left out."""
        return self.primary_shards * self.indices_per_day


def sizing(volume: Volume, bytes_per_event: int = BYTES_PER_EVENT) -> Sizing:
    """The fewest shards that stay small enough and write fast enough."""
    bytes_per_day = volume.events_per_day * bytes_per_event
    writing = ceil(volume.events_per_day / _SECONDS * PEAK / EVENTS_PER_SECOND_AND_SHARD)
    a_day = max(ceil(bytes_per_day / SHARD_BYTES), writing, 1)
    hourly = a_day > DAILY_SHARDS
    indices = _HOURS if hourly else 1
    primaries = max(ceil(bytes_per_day / indices / SHARD_BYTES), writing, 1) if hourly else a_day
    shards = primaries * indices * volume.copies * volume.retention_days
    return Sizing(
        hourly=hourly,
        primary_shards=primaries,
        indices_per_day=indices,
        shard_bytes=ceil(bytes_per_day / indices / primaries),
        shard_documents=ceil(volume.events_per_day / indices / primaries),
        bytes_per_day=bytes_per_day,
        storage_bytes=ceil(bytes_per_day * volume.copies * volume.retention_days / USABLE_STORAGE),
        shards=shards,
        heap_bytes=ceil(shards / SHARDS_PER_HEAP_GIB * GIB),
    )
