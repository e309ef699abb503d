"""Dead letters: records and events that can never succeed, as kept in S3, and the line that OpenSearch has of each.

A stream record is kept as it was delivered, still encrypted; the line has no payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from daswatch.canonical import canonical_json
from daswatch.deadline import Deadline
from daswatch.errors import DependencyError, Reason, RecordError
from daswatch.indexing.bulk import Action
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord

if TYPE_CHECKING:
    from daswatch.documents.decoder import DecodedRecord, RecordDecoder
    from daswatch.documents.document import Flattening


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record or event, as Lambda delivered it, with the reason; `position` is its place in the batch."""

    position: int
    raw: Mapping[str, Any]
    arrived_at: str
    reason: Reason
    detail: str
    document_ids: tuple[str, ...] = ()
    stream: StreamSource | None = None
    shard_id: str = ""
    sequence_number: str = ""

    @classmethod
    def of(
        cls,
        record: StreamRecord,
        stream: StreamSource | None,
        reason: Reason,
        detail: str,
        document_ids: tuple[str, ...] = (),
    ) -> DeadLetter:
        """Of a stream record."""
        return cls(
            record.position,
            record.raw,
            record.arrived_at,
            reason,
            detail,
            document_ids,
            stream,
            record.shard_id,
            record.sequence_number,
        )

    @property
    def id(self) -> str:
        """The same for each delivery of the record, so that a redelivery adds nothing."""
        return blake2b(f"{self.reason}/".encode() + canonical_json(self.raw), digest_size=16).hexdigest()

    @property
    def object_key(self) -> str:
        """Its S3 key, by database and day of arrival."""
        resource = self.stream.resource_id if self.stream else "unknown"
        day = self.arrived_at[:10].replace("-", "/")
        return f"dead-letters/{resource}/{day}/{self.id}.json"

    def object_body(self) -> bytes:
        """What S3 keeps: the reason, and the record as Lambda delivered it."""
        return canonical_json(
            {
                "reason": self.reason.value,
                "detail": self.detail,
                "documentIds": self.document_ids,
                "record": self.raw,
            }
        )

    def action(self, object_uri: str, ingested_at: str, index: str, name: Mapping[str, Any] | None = None) -> Action:
        """The line for the index, with the fields of its database's name."""
        line = {
            "@timestamp": self.arrived_at,
            "ingestedAt": ingested_at,
            "reason": self.reason.value,
            "detail": self.detail,
            "documentIds": list(self.document_ids),
            "object": object_uri,
            "resourceId": self.stream.resource_id if self.stream else "",
            "awsAccountId": self.stream.account_id if self.stream else "",
            "awsRegion": self.stream.region if self.stream else "",
            **(name or {}),
            "shardId": self.shard_id[:200],
            "sequenceNumber": self.sequence_number[:200],
        }
        present = {name: value for name, value in line.items() if value}
        return Action.create(index, self.id, canonical_json(present), position=self.position)


def decoded_or_letter(
    decoder: RecordDecoder, record: StreamRecord, flattening: Flattening, deadline: Deadline
) -> DecodedRecord | DeadLetter:
    """What is in a record, or why it can never be decoded.

    Raises DependencyError where it has to wait, and MemoryError, which may be its neighbors' fault.
    """
    source: StreamSource | None = None
    try:
        source = record.source
        return decoder.decode(record.data, source, record.arrived_at, flattening, deadline)
    except RecordError as exc:
        return DeadLetter.of(record, source, exc.reason, exc.detail)
    except (DependencyError, MemoryError):
        raise
    except Exception as exc:  # noqa: BLE001 - whatever a record holds, its neighbors go on
        return DeadLetter.of(record, source, Reason.UNEXPECTED, type(exc).__name__)
