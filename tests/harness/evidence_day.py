"""Half a day of generated traffic on its way: into the ingest function, with holes made on purpose."""

from __future__ import annotations

import base64
import contextlib
import gzip
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from daswatch.aws.evidence import EvidenceBucket
from daswatch.aws.manifests import ManifestReport, ManifestWriter
from daswatch.deadline import Deadline
from daswatch.evidence.completeness import Document, FleetInstances, ReportedHole, hours_between, reported
from daswatch.fleet.database import Place
from daswatch.opensearch.completeness_check import CompletenessCheck
from daswatch.opensearch.completeness_index import CompletenessIndex
from demo import traffic
from demo.aws import REGION
from demo.ledger import LedgerEntry
from demo.rds import ACCOUNT_ID, Database, seal
from demo.stream import lambda_record_of
from enrol_lambda.manifests import note_archived
from tests.harness.ingest import IngestFunction

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

DAY = datetime(2031, 3, 4, tzinfo=UTC)
BATCH = 100
_HEARTBEATS = 40  # seconds between two of an instance: half a day is then some thousand records


@dataclass(frozen=True)
class Sent:
    """A stream record of the day, in Lambda's form."""

    database: Database
    instance_id: str
    arrival: datetime
    raw: dict[str, Any]
    entries: tuple[LedgerEntry, ...]


@dataclass
class EvidenceDay:
    """Traffic of some databases, each with two instances and a stream of its own."""

    ingest: IngestFunction
    databases: Sequence[Database]
    begin: datetime = DAY
    hours: int = 12
    records: list[Sent] = field(default_factory=list)

    @property
    def end(self) -> datetime:
        return self.begin + timedelta(hours=self.hours)

    @property
    def index(self) -> CompletenessIndex:
        return CompletenessIndex(self.ingest.search, self.ingest.indices)

    def make(self, seed: int, per_hour: float, shard_of: Callable[[datetime, int], str]) -> None:
        """Make records with so many events an hour; `shard_of` names a record's shard by its arrival and number."""
        pause = traffic._HEARTBEAT_PAUSE
        traffic._HEARTBEAT_PAUSE = _HEARTBEATS * 1_000_000
        with contextlib.ExitStack() as stack:
            stack.callback(setattr, traffic, "_HEARTBEAT_PAUSE", pause)
            events = 2 * int(per_hour * self.hours)  # more than there is time for
            produced = traffic.produce(seed, self.begin, events, self.databases, (), events_per_second=per_hour / 3600)
            keys = {database: self.ingest.data_key(database) for database in self.databases}
            for number, one in enumerate(produced):
                if one.arrival >= self.end:
                    break
                raw = lambda_record_of(
                    data=seal(one.monitoring_record, one.database, keys[one.database]),
                    sequence_number=str(49_000_000_000 + number),
                    arrival=one.arrival,
                    stream_arn=one.database.stream_arn(REGION),
                    shard_id=shard_of(one.arrival, number),
                )
                instance_id = one.monitoring_record["instanceId"]
                self.records.append(Sent(one.database, instance_id, one.arrival, raw, one.entries))

    def deliver(self, records: Sequence[Sent]) -> None:
        """Hand records to the function as Lambda does: by stream and shard, in batches."""
        queues: dict[tuple[str, str], list[Sent]] = {}
        for one in records:
            shard = one.raw["eventID"].partition(":")[0]
            queues.setdefault((one.database.resource_id, shard), []).append(one)
        for queue in queues.values():
            for begin in range(0, len(queue), BATCH):
                assert self.ingest.invoke(*(one.raw for one in queue[begin : begin + BATCH])) == []

    def archive(self, bucket: str, records: Sequence[Sent]) -> list[str]:
        """Write records as Firehose does: of each database an object for five minutes, lines in gzip; their keys."""
        objects: dict[tuple[str, datetime], list[Sent]] = {}
        for one in records:
            slot = one.arrival - timedelta(minutes=one.arrival.minute % 5, seconds=one.arrival.second)
            objects.setdefault((one.database.resource_id, slot.replace(microsecond=0)), []).append(one)
        keys = []
        for (resource_id, _), group in objects.items():
            at = group[0].arrival
            keys.append(f"evidence/{resource_id}/{at:%Y/%m/%d}/daswatch-evidence-1-{at:%Y-%m-%d-%H-%M-%S}-a.gz")
            lines = b"".join(base64.b64decode(one.raw["kinesis"]["data"]) + b"\n" for one in group)
            self.ingest.aws.s3().put_object(Bucket=bucket, Key=keys[-1], Body=gzip.compress(lines))
        return keys

    def write_manifests(self, bucket: str, now: datetime | None = None) -> ManifestReport:
        """Write all manifests of the day, as the enrolment function does from run to run."""
        note = partial(note_archived, self.index, Place(ACCOUNT_ID, REGION))
        writer = ManifestWriter(bucket_of(self.ingest.aws.s3(), bucket), note)
        names = [one.resource_id for one in self.databases]
        return writer.run(names, now or self.end + timedelta(minutes=30), Deadline.after(300))

    def check(self, now: datetime | None = None) -> list[Document]:
        """Check every hour of the day; what was judged."""
        self.refresh()
        for hour in hours_between(self.begin, self.end):
            CompletenessCheck(self.index).check(hour, FleetInstances(), now or datetime.now(UTC), Deadline.after(120))
        return self.index.read(self.begin, self.end, Deadline.after(60))

    def holes(self, now: datetime | None = None) -> list[ReportedHole]:
        """Check every hour of the day; what is missing."""
        return reported(self.check(now))

    def refresh(self) -> None:
        self.ingest.search.indices.refresh(index=f"{self.ingest.indices.stem}-*")


_READERS = ThreadPoolExecutor(2, "evidence")


def bucket_of(s3: S3Client, bucket: str) -> Callable[[Deadline], EvidenceBucket]:
    """A bucket of evidence, whose calls have a deadline."""
    return lambda deadline: EvidenceBucket(s3, bucket, ("",), lambda: deadline, _READERS)


def small(databases: Sequence[Database], name: str) -> list[Database]:
    """The same databases under resource ids that no other test has, quick to decrypt."""
    return [
        replace(
            one,
            resource_id=f"{one.resource_id.partition('-')[0]}-{name.upper()}{number}",
            signed=False,
            weight=1,
        )
        for number, one in enumerate(databases)
    ]


def between(records: Sequence[Sent], begin: datetime, until: datetime) -> Iterator[Sent]:
    """The records that arrived in a time."""
    return (one for one in records if begin <= one.arrival < until)
