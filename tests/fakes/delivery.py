"""A Kinesis stream and the delivery that reads it, with what moto lacks: arrival times, resharding, LATEST.

The stream is moto's, changed in place: moto moves records to the new shards when one is split, AWS leaves them.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.kinesis.models import Record, Shard, kinesis_backends

from demo.aws import REGION

if TYPE_CHECKING:
    from types_boto3_kinesis.client import KinesisClient
    from types_boto3_s3.client import S3Client

ACCOUNT = "123456789012"


class LocalStream:
    """The stream of a database; time passes by `tick` alone."""

    def __init__(self, kinesis: KinesisClient, resource_id: str, now: datetime, shards: int = 1) -> None:
        self.resource_id = resource_id
        self.name = f"aws-rds-das-{resource_id}"
        self.now = now
        self._count = 0
        kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        self._moto: Any = kinesis_backends[ACCOUNT][REGION].streams[self.name]
        self._moto.creation_datetime = now

    @property
    def open(self) -> list[str]:
        return [name for name, shard in self._moto.shards.items() if shard.is_open]

    @property
    def shards(self) -> list[str]:
        return list(self._moto.shards)

    def tick(self, **time: float) -> None:
        self.now += timedelta(**time)

    def put(self, shard: str, count: int = 1, size: int = 0, every: float = 0.01) -> None:
        for _ in range(count):
            self._count += 1
            data = f'{{"type":"{self.name}","n":{self._count},"key":"{"k" * size}"}}'
            self.put_data(shard, data.encode(), every)

    def put_data(self, shard: str, data: bytes, every: float = 0.01) -> None:
        into = self._moto.shards[shard]
        assert into.is_open
        self.tick(seconds=every)
        record = Record("key", b64encode(data).decode(), into_next(into), "")
        record.created_at_datetime, record.created_at = self.now, self.now.timestamp()
        into.records[record.sequence_number] = record

    def split(self, shard: str) -> list[str]:
        """Close a shard for two new ones; both get records at once."""
        parent = self._moto.shards[shard]
        half = (parent.starting_hash + parent.ending_hash) // 2
        return [
            self._new(parent.starting_hash, half, shard),
            self._new(half + 1, parent.ending_hash, shard),
        ]

    def merge(self, one: str, other: str) -> str:
        """Close two shards for a new one."""
        return self._new(self._moto.shards[one].starting_hash, self._moto.shards[other].ending_hash, one, other)

    def _new(self, begin: int, end: int, *parents: str) -> str:
        new = Shard(len(self._moto.shards), begin, end, *parents)
        for parent in parents:
            self._moto.shards[parent].is_open = False
        self._moto.shards[new.shard_id] = new
        # Sequence numbers grow from a shard to those that are made from it.
        new.first = max(into_next(self._moto.shards[parent]) for parent in parents) + 1_000  # type: ignore[attr-defined]
        return new.shard_id

    def parents(self, shard: str) -> list[str]:
        one = self._moto.shards[shard]
        return [parent for parent in (one.parent, one.adjacent_parent) if parent]

    def records(self, shard: str) -> list[Any]:
        return list(self._moto.shards[shard].records.values())

    def lines(self, shards: Iterable[str] | None = None) -> Counter[bytes]:
        return Counter(line(record) for shard in shards or self.shards for record in self.records(shard))

    def trim(self, retention: timedelta = timedelta(hours=24)) -> None:
        """Drop what is older, as Kinesis does."""
        for shard in self._moto.shards.values():
            for sequence, record in list(shard.records.items()):
                if record.created_at_datetime < self.now - retention:
                    del shard.records[sequence]

    def restart(self) -> None:
        """Stop and start the activity stream: another stream of the same name."""
        shards = [Shard(0, 0, 2**128 - 1)]
        self._moto.shards = {shard.shard_id: shard for shard in shards}
        shards[0].first = 1_000_000  # type: ignore[attr-defined]
        self._moto.creation_datetime = self.now


def into_next(shard: Any) -> int:
    return (max(shard.records) if shard.records else getattr(shard, "first", 0)) + 1


def line(record: Any) -> bytes:
    return bytes(record.to_json()["Data"]) + b"\n"


@dataclass
class LocalDelivery:
    """A Firehose: begins at the latest record of each shard, reads a shard after those that it was made from."""

    s3: S3Client
    bucket: str
    stream: LocalStream
    positions: dict[str, int] = field(default_factory=dict)
    buffered: list[Any] = field(default_factory=list)
    objects: int = 0
    last: list[Any] = field(default_factory=list)

    def start(self) -> None:
        for shard in self.stream.shards:
            self.positions[shard] = into_next(self.stream._moto.shards[shard]) - 1

    def read(self, shard: str, count: int | None = None) -> None:
        """Take some records of a shard; of a new one only when those that it was made from are read."""
        if any(self._unread(parent) for parent in self.stream.parents(shard)):
            return
        taken = self._unread(shard)[:count]
        if taken:
            self.positions[shard] = taken[-1].sequence_number
            self.buffered += taken

    def _unread(self, shard: str) -> list[Any]:
        after = self.positions.get(shard, 0)
        return [record for record in self.stream.records(shard) if record.sequence_number > after]

    def flush(self, *, repeat: bool = False, cut: int = 0) -> str:
        """Write the buffer as an object, its last object again with `repeat`, without its last bytes with `cut`."""
        written = [*self.last, *self.buffered] if repeat else self.buffered
        if not written:
            return ""
        oldest = min(record.created_at_datetime for record in written).astimezone(UTC)
        self.objects += 1
        key = (
            f"evidence/{self.stream.resource_id}/{oldest:%Y/%m/%d}/"
            f"daswatch-evidence-1-{oldest:%Y-%m-%d-%H-%M-%S}-{self.objects:08d}.gz"
        )
        body = gzip.compress(b"".join(line(record) for record in written))
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body[: len(body) - cut])
        self.last, self.buffered = self.buffered, []
        return key

    def deliver(self) -> str:
        """Read all and write it."""
        for shard in self.stream.shards:
            self.read(shard)
        return self.flush()
