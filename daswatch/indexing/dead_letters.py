"""Dead letters: what is kept of a stream record that can never succeed, and the line about it.

The record itself, still encrypted, goes to S3; the line, without any payload, goes to the index of dead letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from daswatch.canonical import canonical_json
from daswatch.errors import Reason
from daswatch.indexing.bulk import Action
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A stream record that is kept as a whole, with the reason; `position` is its place in the batch."""

    position: int
    stream_record: StreamRecord
    stream: StreamSource | None
    reason: Reason
    detail: str
    document_ids: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The same for each delivery of the record, so that a redelivery adds nothing."""
        return blake2b(f"{self.reason}/".encode() + canonical_json(self.stream_record.raw), digest_size=16).hexdigest()

    @property
    def object_key(self) -> str:
        """Its S3 key, by database and day of arrival."""
        resource = self.stream.resource_id if self.stream else "unknown"
        day = self.stream_record.arrived_at[:10].replace("-", "/")
        return f"dead-letters/{resource}/{day}/{self.id}.json"

    def object_body(self) -> bytes:
        """What S3 keeps: the reason, and the record as Lambda delivered it."""
        return canonical_json(
            {
                "reason": self.reason.value,
                "detail": self.detail,
                "documentIds": self.document_ids,
                "record": self.stream_record.raw,
            }
        )

    def action(self, object_uri: str, ingested_at: str, index: str) -> Action:
        """The line for the index."""
        line = {
            "@timestamp": self.stream_record.arrived_at,
            "ingestedAt": ingested_at,
            "reason": self.reason.value,
            "detail": self.detail,
            "documentIds": list(self.document_ids),
            "object": object_uri,
            "resourceId": self.stream.resource_id if self.stream else "",
            "awsAccountId": self.stream.account_id if self.stream else "",
            "awsRegion": self.stream.region if self.stream else "",
            "shardId": self.stream_record.shard_id[:200],
            "sequenceNumber": self.stream_record.sequence_number[:200],
        }
        present = {name: value for name, value in line.items() if value}
        return Action.create(index, self.id, canonical_json(present), position=self.position)
