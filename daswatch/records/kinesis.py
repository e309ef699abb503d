"""What Lambda delivers for one Kinesis record, read without trusting any of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daswatch.records.envelope import StreamSource, stream_source
from daswatch.times import iso_milliseconds

_PLAUSIBLE_YEARS = range(2013, 2200)  # Kinesis began; past 2262 no field type holds nanoseconds


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One stream record. `arrived_at` is ISO 8601 in UTC, in milliseconds; what is missing is empty.

    `position` is its place in the batch, by which Lambda and dead letters know it.
    """

    raw: Mapping[str, Any]
    data: str
    stream_arn: str
    sequence_number: str
    shard_id: str
    arrived_at: str
    position: int = 0

    @property
    def source(self) -> StreamSource:
        """Whose activity the record's stream carries. Raises NotAnActivityStream, EnvelopeError."""
        return stream_source(self.stream_arn)


def read_stream_record(raw: object, now: datetime, position: int = 0) -> StreamRecord:
    """Read Lambda's form of a record; `now` stands in for an arrival time that is missing."""
    fields: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {"record": raw}
    kinesis = fields.get("kinesis")
    if not isinstance(kinesis, Mapping):
        kinesis = {}
    return StreamRecord(
        raw=fields,
        data=_text(kinesis.get("data")),
        stream_arn=_text(fields.get("eventSourceARN")),
        sequence_number=_text(kinesis.get("sequenceNumber")),
        shard_id=_text(fields.get("eventID")).partition(":")[0],
        arrived_at=_arrival(kinesis.get("approximateArrivalTimestamp"), now),
        position=position,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arrival(seconds: object, now: datetime) -> str:
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        try:
            arrival = datetime.fromtimestamp(seconds, UTC)
            return iso_milliseconds(arrival if arrival.year in _PLAUSIBLE_YEARS else now)
        except (ValueError, OverflowError, OSError):
            pass  # no time that exists: as good as none
    return iso_milliseconds(now)
