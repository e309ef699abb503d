"""What was ingested, minute by minute: one document for each batch, database instance and minute.

They are in `das-tallies-YYYY.MM.DD`, by the day on which the batch arrived. Records and heartbeats count in the minute
of their arrival, documents in the minute of their event. A record and a document are named by a few characters of a
digest, so that what was delivered twice, or by a batch that Lambda cut in two, counts once, and what is missing can be
found one by one (daswatch/evidence/completeness.py).
"""

from __future__ import annotations

import binascii
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson

from daswatch.canonical import canonical_json
from daswatch.documents.document import Document
from daswatch.indexing.bulk import Action
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord

# The stages at which records are counted; the last one is a manifest, by which its hour's objects were all counted.
INGESTED, ARCHIVED, MANIFEST = "ingested", "archived", "manifest"
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
class RecordTally:
    """What one stream record adds; `position` is its place in the batch. A dead letter has no documents."""

    position: int
    stream: StreamSource
    arrived_at: str
    digest: str
    instance_id: str = ""
    heartbeats: int = 0
    dropped: int = 0
    is_dead_letter: bool = False
    documents: Mapping[str, list[str]] = field(default_factory=dict)  # their ids by minute


def minutes_of(documents: Iterable[Document]) -> dict[str, list[str]]:
    """The ids of documents by minute."""
    found: dict[str, list[str]] = {}
    for document in documents:
        minute = document.source["@timestamp"][:_MINUTE]
        if minute in found:
            found[minute].append(document.id)
        else:
            found[minute] = [document.id]
    return found


@dataclass(slots=True)
class _Minute:
    records: list[str] = field(default_factory=list)  # digests
    documents: list[str] = field(default_factory=list)  # ids
    heartbeats: int = 0
    dropped: int = 0
    dead_letters: int = 0


def actions(
    tallies: Iterable[RecordTally],
    batch: Sequence[StreamRecord],
    ingested_at: str,
    name: str,
    refused: Collection[str] = (),
) -> list[Action]:
    """The documents that hold these tallies; `batch` is what was written of the batch, and names it.

    `name` is what the index of each day begins with; `refused` are the ids of documents that became dead letters.
    """
    minutes: dict[tuple[StreamSource, str, str], _Minute] = {}
    newest = ""
    for tally in tallies:
        stream, instance_id = tally.stream, tally.instance_id
        newest = max(newest, tally.arrived_at)
        own = minutes.setdefault((stream, instance_id, tally.arrived_at[:_MINUTE]), _Minute())
        own.records.append(tally.digest)
        own.heartbeats += tally.heartbeats
        own.dropped += tally.dropped
        own.dead_letters += tally.is_dead_letter
        for minute, ids in tally.documents.items():
            if written := [one for one in ids if one not in refused] if refused else ids:
                minutes.setdefault((stream, instance_id, minute), _Minute()).documents += written
    index = f"{name}-{newest[:10].replace('-', '.')}"
    return [_action(index, key, counted, batch, ingested_at) for key, counted in minutes.items()]


def _action(
    index: str,
    key: tuple[StreamSource, str, str],
    counted: _Minute,
    batch: Sequence[StreamRecord],
    ingested_at: str,
) -> Action:
    stream, instance_id, minute = key
    first, last = batch[0], batch[-1]
    name = [INGESTED, stream.resource_id, instance_id, minute, first.shard_id]
    name += [first.sequence_number, last.sequence_number]
    document: Mapping[str, object] = {
        "@timestamp": f"{minute}:00.000Z",
        "stage": INGESTED,
        "ingestedAt": ingested_at,
        "resourceId": stream.resource_id,
        "instanceId": instance_id,
        "awsAccountId": stream.account_id,
        "awsRegion": stream.region,
        "shardId": first.shard_id[:200],
        "firstSequenceNumber": first.sequence_number[:200],
        "lastSequenceNumber": last.sequence_number[:200],
        "records": len(counted.records),
        "heartbeats": counted.heartbeats,
        "documents": len(counted.documents),
        "dropped": counted.dropped,
        "deadLetters": counted.dead_letters,
        "recordDigests": "".join(counted.records),
        "documentDigests": "".join([document_id[_OF_DOCUMENT_ID] for document_id in counted.documents]),
    }
    kept = {name: value for name, value in document.items() if value not in ("", 0)}
    identity = blake2b(canonical_json(name), digest_size=16).hexdigest()
    return Action.create(index, identity, orjson.dumps(kept), required=False)


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
            blake2b(canonical_json([one["stage"], one["object"]]), digest_size=16).hexdigest(),
            orjson.dumps(one),
        )
        for one in documents
    ]


def digests(text: str) -> list[str]:
    """The digests in a field of a document."""
    return [text[begin : begin + DIGEST] for begin in range(0, len(text), DIGEST)]
