"""Objects of evidence as AWS and the functions write them."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

BATCH_ARRIVAL = datetime(2031, 3, 4, 11, 0, tzinfo=UTC)


def archive_key(resource_id: str, at: datetime, name: str = "0") -> str:
    """The name of an object that the evidence's Firehose writes; `at` is the arrival of its oldest record."""
    return f"evidence/{resource_id}/{at:%Y/%m/%d}/daswatch-evidence-1-{at:%Y-%m-%d-%H-%M-%S}-{name}.gz"


def archive_body(records: Iterable[bytes], *, members: int = 1) -> bytes:
    """Lines as gzip, in so many members."""
    lines = [record + b"\n" for record in records]
    size = max(1, -(-len(lines) // members))
    parts = [lines[begin : begin + size] for begin in range(0, len(lines), size)] or [[]]
    return b"".join(gzip.compress(b"".join(part), mtime=0) for part in parts)


def on_failure_body(records: Sequence[Mapping[str, Any]], *, as_text: bool = False, indent: int | None = None) -> bytes:
    """What Lambda writes about a batch that it gave up; AWS's page shows the batch as a text."""
    event = {"Records": list(records)}
    document = {
        "requestContext": {
            "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
            "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:daswatch-ingest",
            "condition": "RecordAgeExceeded",
            "approximateInvokeCount": 12,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None},
        "version": "1.0",
        "timestamp": "2031-03-05T10:30:00.000Z",
        "KinesisBatchInfo": {
            "shardId": "shardId-000000000000",
            "startSequenceNumber": records[0]["kinesis"]["sequenceNumber"] if records else "1",
            "endSequenceNumber": records[-1]["kinesis"]["sequenceNumber"] if records else "1",
            "approximateArrivalOfFirstRecord": "2031-03-04T11:00:00.000Z",
            "approximateArrivalOfLastRecord": "2031-03-04T11:00:00.000Z",
            "batchSize": len(records),
            "streamArn": records[0]["eventSourceARN"] if records else "",
        },
        "payload": json.dumps(event) if as_text else event,
    }
    return json.dumps(document, indent=indent).encode()


def failed_line(data: bytes, *, arrived_at: datetime = BATCH_ARRIVAL) -> bytes:
    """A line of a Firehose's `processing-failed/`."""
    milliseconds = round(arrived_at.timestamp() * 1000)
    document = {
        "attemptsMade": 4,
        "arrivalTimestamp": milliseconds,
        "errorCode": "Lambda.FunctionError",
        "errorMessage": "The Lambda function was successfully invoked but it returned an error result.",
        "attemptEndingTimestamp": milliseconds + 60_000,
        "rawData": b64encode(data).decode(),
        "lambdaArn": "arn:aws:lambda:eu-west-1:123456789012:function:daswatch-firehose:$LATEST",
    }
    return json.dumps(document).encode() + b"\n"
