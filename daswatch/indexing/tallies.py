"""What was ingested or replayed, minute by minute: one document for each batch, database instance and minute.

They are in `das-tallies-YYYY.MM.DD`, by the day on which the batch arrived. Records and heartbeats count in the minute
of their arrival, documents in the minute of their event. A record and a document are named by a few characters of a
digest, so that what was delivered twice, or by a batch that Lambda cut in two, counts once, and what is missing can be
found one by one (daswatch/evidence/completeness.py). What was seen is counted, whether it is written or not; a dead
letter has its digest apart, until a replay counts the same record as processed.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from daswatch.canonical import canonical_json
from daswatch.documents.noise import Noise
from daswatch.indexing.bulk import Action
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord

if TYPE_CHECKING:
    from daswatch.documents.decoder import DecodedRecord

# The stages at which records are counted; the last one is a manifest, by which its hour's objects were all counted.
INGESTED, REPLAYED, ARCHIVED, MANIFEST = "ingested", "replayed", "archived", "manifest"
KEPT = timedelta(days=14)  # as das-tallies-retention says
DIGEST = 8  # characters: 32 bits of a record, 48 of a document
_MINUTE = 16  # characters of ISO 8601
# Behind the characters that hold the second (docs/decisions/0002).
_OF_DOCUMENT_ID = slice(8, 8 + DIGEST)


def record_digest(data: str | bytes) -> str:
    """What stands for a stream record, from its data in base64 as Lambda delivers it."""
    content = data.encode("ascii", "replace") if isinstance(data, str) else data
    return f"{binascii.crc32(content):08x}"


def document_digest(document_id: str) -> str:
    """What stands for a document."""
    return document_id[_OF_DOCUMENT_ID]


@dataclass(slots=True)
class _Minute:
    stream: StreamSource
    records: list[str] = field(default_factory=list)  # digests, and those of others
    dead_letters: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    heartbeats: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class ReplayedObject:
    """An object that a replay reads.

    `until` is when its last record may have arrived, in ISO 8601, where the evidence does not have it of each one.
    """

    key: str
    until: str = ""


class Tally:
    """Adds up what the records of one batch hold, by database instance and minute.

    One of the ingest function is named by the first and the last record that it took, one of a replay by all that it
    holds: the same delivery, and the same replay, adds nothing.
    """

    def __init__(self, replayed: ReplayedObject | None = None) -> None:
        self._replayed = replayed
        self._minutes: dict[tuple[str, str, str], _Minute] = {}
        self._newest = ""
        self._ends: list[StreamRecord] = []  # the first and the last record

    def take(self, record: StreamRecord, decoded: DecodedRecord) -> None:
        """Count a record and its documents, whether these are written or not."""
        stream, instance_id = record.source, decoded.instance_id
        own = self._arrived(record, stream, instance_id)
        (own.dead_letters if decoded.defect else own.records).append(record_digest(record.data))
        if not self._replayed:  # what was heard when
            own.heartbeats += decoded.dropped.get(Noise.HEARTBEAT, 0)
            own.dropped += decoded.dropped.get(Noise.AWS_USER, 0)
        minute, documents = "", own.documents
        for document in decoded.documents:
            at = document.source["@timestamp"]
            if not minute or not at.startswith(minute):
                minute = at[:_MINUTE]
                documents = self._minute(stream, instance_id, minute).documents
            documents.append(document.id[_OF_DOCUMENT_ID])

    def take_dead_letter(self, record: StreamRecord, stream: StreamSource) -> None:
        """Count a record that can never be decoded, so that its instance is not known: it arrived."""
        self._arrived(record, stream, "").dead_letters.append(record_digest(record.data))

    def actions(self, ingested_at: str, name: str) -> list[Action]:
        """The documents that hold what was counted; `name` is what the index of each day begins with."""
        index = f"{name}-{self._newest[:10].replace('-', '.')}"
        return [self._action(index, key, counted, ingested_at) for key, counted in self._minutes.items()]

    def _arrived(self, record: StreamRecord, stream: StreamSource, instance_id: str) -> _Minute:
        self._newest = max(self._newest, record.arrived_at)
        self._ends[1:] = [record]
        return self._minute(stream, instance_id, record.arrived_at[:_MINUTE])

    def _minute(self, stream: StreamSource, instance_id: str, minute: str) -> _Minute:
        key = (stream.resource_id, instance_id, minute)
        found = self._minutes.get(key)
        if found is None:
            found = self._minutes[key] = _Minute(stream)
        return found

    def _action(self, index: str, key: tuple[str, str, str], counted: _Minute, ingested_at: str) -> Action:
        resource_id, instance_id, minute = key
        replayed = self._replayed
        arrived = len(counted.records) + len(counted.dead_letters)
        document: dict[str, object] = {
            "@timestamp": f"{minute}:00.000Z",
            "stage": REPLAYED if replayed else INGESTED,
            "ingestedAt": ingested_at,
            "resourceId": resource_id,
            "instanceId": instance_id,
            "awsAccountId": counted.stream.account_id,
            "awsRegion": counted.stream.region,
            "records": arrived,
            "heartbeats": counted.heartbeats,
            "documents": len(counted.documents),
            "dropped": counted.dropped,
            "deadLetters": len(counted.dead_letters),
            "recordDigests": "".join(counted.records),
            "deadLetterDigests": "".join(counted.dead_letters),
            "documentDigests": "".join(counted.documents),
        }
        if replayed:
            content = [document["recordDigests"], document["deadLetterDigests"], document["documentDigests"]]
            identity = _hash([REPLAYED, *key, replayed.key, *content])
            document |= {"object": replayed.key, "replay": identity, "arrivedUntil": replayed.until if arrived else ""}
        else:
            first, last = self._ends[0], self._ends[-1]
            identity = _hash([INGESTED, *key, first.shard_id, first.sequence_number, last.sequence_number])
            document |= {
                "shardId": first.shard_id[:200],
                "firstSequenceNumber": first.sequence_number[:200],
                "lastSequenceNumber": last.sequence_number[:200],
            }
        kept = {name: value for name, value in document.items() if value not in ("", 0)}
        # A lost count of what is ingested is not worth a redelivery. A replay is there to be whole.
        return Action.create(index, identity, orjson.dumps(kept), required=replayed is not None)


def _hash(name: list[object]) -> str:
    return blake2b(canonical_json(name), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class ManifestNote:
    """What OpenSearch keeps of a manifest: its key, its hour in ISO 8601, its hash, and how many records it has."""

    key: str
    hour: str
    digest: str
    records: int


@dataclass(frozen=True, slots=True)
class ArchivedObject:
    """An object of the archive: when its oldest record arrived, and what stands for its records, in their order."""

    key: str
    at: str
    digests: Sequence[str]


def archived_actions(
    resource_id: str, place: tuple[str, str], objects: Iterable[ArchivedObject], manifest: ManifestNote, name: str
) -> list[Action]:
    """The documents of the objects that a manifest names, and the manifest's own; `place` is account and region."""
    own = {"resourceId": resource_id, "awsAccountId": place[0], "awsRegion": place[1]}
    documents = [
        {
            **own,
            "@timestamp": one.at,
            "stage": ARCHIVED,
            "object": one.key,
            "records": len(one.digests),
            "recordDigests": "".join(one.digests),
        }
        for one in objects
    ]
    documents.append({**own, "@timestamp": manifest.hour, "stage": MANIFEST, "object": manifest.key})
    documents[-1] |= {"records": manifest.records, "sha256": manifest.digest}
    return [
        Action.create(
            f"{name}-{str(one['@timestamp'])[:10].replace('-', '.')}",
            _hash([one["stage"], one["object"]]),
            orjson.dumps(one),
        )
        for one in documents
    ]
