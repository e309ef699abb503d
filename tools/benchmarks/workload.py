"""The benchmarks' input: the producer's traffic, sealed as RDS seals it, as batches of Lambda events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from demo.aws import REGION
from demo.rds import Database, seal
from demo.stream import lambda_record_of
from demo.traffic import DATABASES, fixed_records
from tools.benchmarks.kms import LocalKms

SEED = 20_310_304
START = datetime(2031, 3, 4, tzinfo=UTC)
# Lambda's batch size and payload limit, of which base64 in JSON takes the most.
BATCH_RECORDS = 1_000
BATCH_BYTES = 5_500_000


@dataclass(frozen=True, slots=True)
class Workload:
    """Batches as Lambda delivers them, and how much is in them."""

    batches: list[list[dict[str, Any]]]
    records: int
    events: int
    raw_event_bytes: int  # of the activity events alone, as compact JSON

    def part(self, records: int) -> Workload:
        """The first so many records, of as many events each as on average."""
        flat = [record for batch in self.batches for record in batch][:records]
        events = self.events * len(flat) // self.records
        return Workload(list(_batches(flat)), len(flat), events, self.raw_event_bytes * len(flat) // self.records)


def workload(
    kms: LocalKms, events: int, per_record: int, *, signed: bool, databases: Sequence[Database] = DATABASES
) -> Workload:
    """Benign traffic of four engines, `per_record` events in each record, none of them noise."""
    records = []
    raw = 0
    for number, produced in enumerate(fixed_records(SEED, START, events, per_record, databases)):
        database = produced.database
        raw += sum(len(orjson.dumps(event)) for event in produced.monitoring_record["databaseActivityEventList"])
        records.append(
            lambda_record_of(
                data=seal(produced.monitoring_record, database, kms.for_record(database), signed=signed),
                sequence_number=str(49_600_000_000_000_000_000 + number),
                arrival=produced.arrival,
                stream_arn=database.stream_arn(REGION),
            )
        )
    return Workload(list(_batches(records)), len(records), len(records) * per_record, raw)


def _batches(records: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for record in records:
        length = len(record["kinesis"]["data"])
        if batch and (len(batch) == BATCH_RECORDS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch
