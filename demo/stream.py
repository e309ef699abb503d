"""Kinesis as RDS writes it, and as Lambda's event source mapping reads it.

`publish` puts sealed records into a database's stream; `deliver` hands them to a handler in Lambda's own event shape
and follows its partial batch answer: it goes on from the record that the answer names.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

if TYPE_CHECKING:
    from types_boto3_kinesis.client import KinesisClient
    from types_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef, RecordTypeDef

# Limits of one PutRecords call.
MAX_PUT_RECORDS = 500
MAX_PUT_BYTES = 5 * 1024 * 1024

Handler = Callable[[dict[str, Any], Any], Mapping[str, Any]]


class TooManyRedeliveries(Exception):
    """The handler keeps naming records of a batch as not done."""


class InvocationContext(LambdaContext):
    """What Lambda gives a handler in addition to the event. The remaining time does not shrink here."""

    def __init__(
        self,
        remaining_ms: int = 60_000,
        invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:ingest",
    ) -> None:
        self._aws_request_id = "00000000-0000-4000-8000-000000000000"
        self._invoked_function_arn = invoked_function_arn
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override] # a static method there
        return self._remaining_ms


def publish(kinesis: KinesisClient, stream_name: str, records: Iterable[tuple[str, bytes]]) -> int:
    """Put (partition key, envelope) pairs in their order; returns how many."""
    count = 0
    for batch in _put_batches(records):
        answer = kinesis.put_records(StreamName=stream_name, Records=batch)
        if answer["FailedRecordCount"]:
            raise RuntimeError(f"Kinesis refused {answer['FailedRecordCount']} of {len(batch)} records")
        count += len(batch)
    return count


def deliver(
    kinesis: KinesisClient,
    stream_arn: str,
    handler: Handler,
    *,
    batch_size: int = 100,
    context: Callable[[], Any] = InvocationContext,
    max_deliveries: int = 100,
) -> Iterator[int]:
    """Hand a stream's records to a handler, shard by shard, oldest first; yields how many were done each time.

    Raises TooManyRedeliveries when a batch is still not done after `max_deliveries` invocations.
    """
    for shard_id, records in read_shards(kinesis, stream_arn):
        queue = [lambda_record(record, shard_id, stream_arn) for record in records]
        deliveries = 0
        while queue:
            batch = queue[:batch_size]
            done = done_records(handler({"Records": batch}, context()), batch)
            queue = queue[done:]
            deliveries = 0 if done else deliveries + 1
            if deliveries > max_deliveries:
                raise TooManyRedeliveries(f"{stream_arn}: {len(queue)} records are left")
            yield done


def done_records(answer: Mapping[str, Any], batch: Sequence[Mapping[str, Any]]) -> int:
    """How many records of a batch Lambda takes as done: those before the lowest sequence number in the answer.

    An empty or unknown item identifier means that the whole batch failed.
    """
    failures = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    numbers = [record["kinesis"]["sequenceNumber"] for record in batch]
    if failures - set(numbers):
        return 0
    return next((position for position, number in enumerate(numbers) if number in failures), len(batch))


def read_shards(kinesis: KinesisClient, stream_arn: str) -> Iterator[tuple[str, list[RecordTypeDef]]]:
    """All records that are in a stream now, by shard."""
    for shard in kinesis.list_shards(StreamARN=stream_arn)["Shards"]:
        iterator: str | None = kinesis.get_shard_iterator(
            StreamARN=stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records: list[RecordTypeDef] = []
        while iterator:
            answer = kinesis.get_records(ShardIterator=iterator, StreamARN=stream_arn, Limit=1000)
            records += answer["Records"]
            iterator = answer.get("NextShardIterator") if answer["MillisBehindLatest"] or answer["Records"] else None
        yield shard["ShardId"], records


def lambda_record(record: RecordTypeDef, shard_id: str, stream_arn: str) -> dict[str, Any]:
    """A Kinesis record as Lambda hands it over."""
    return lambda_record_of(
        data=record["Data"],
        sequence_number=record["SequenceNumber"],
        partition_key=record["PartitionKey"],
        arrival=record["ApproximateArrivalTimestamp"],
        shard_id=shard_id,
        stream_arn=stream_arn,
    )


def lambda_record_of(
    *,
    data: bytes,
    sequence_number: str,
    arrival: datetime,
    stream_arn: str,
    partition_key: str = "1",
    shard_id: str = "shardId-000000000000",
) -> dict[str, Any]:
    """Lambda's form of a record, from its parts; for batches that never were in Kinesis."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": partition_key,
            "sequenceNumber": sequence_number,
            "data": base64.b64encode(data).decode("ascii"),
            "approximateArrivalTimestamp": round(arrival.timestamp(), 3),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/ingest",
        "awsRegion": stream_arn.split(":")[3],
        "eventSourceARN": stream_arn,
    }


def _put_batches(records: Iterable[tuple[str, bytes]]) -> Iterator[list[PutRecordsRequestEntryTypeDef]]:
    batch: list[PutRecordsRequestEntryTypeDef] = []
    size = 0
    for partition_key, data in records:
        if batch and (len(batch) == MAX_PUT_RECORDS or size + len(data) > MAX_PUT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append({"PartitionKey": partition_key, "Data": data})
        size += len(data) + len(partition_key)
    if batch:
        yield batch
