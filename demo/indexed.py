"""The producer's traffic as documents, without encryption, streams and functions: for what is only searched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson
from opensearchpy import OpenSearch

from daswatch.detections.actors import shipped_actors
from daswatch.documents.actors import ActorTable
from daswatch.documents.document import Document, Flattened, Flattening, flatten
from daswatch.fleet.names import Names
from daswatch.indexing.bulk import Action
from daswatch.records.envelope import stream_source
from daswatch.records.monitoring_record import read_monitoring_record
from daswatch.times import iso_milliseconds
from demo.aws import REGION
from demo.rds import ACCOUNT_ID, Database
from demo.traffic import ProducedRecord

_DOCUMENTS_PER_BULK = 2_000
_ACTORS = ActorTable(shipped_actors())


def names_of(databases: Iterable[Database]) -> Names:
    """The databases as an inventory names them, each instance by its number."""
    return Names.of(
        (
            {
                "databaseIdentifier": one.name,
                "resourceId": one.resource_id,
                "awsAccountId": ACCOUNT_ID,
                "awsRegion": REGION,
                "instances": [
                    {
                        "resourceId": instance_id,
                        "instanceIdentifier": f"{one.name}-{number}" if one.cluster_id else one.name,
                    }
                    for number, instance_id in enumerate(one.instance_ids, start=1)
                ],
                "tags": {"env": "prod"},
            }
            for one in databases
        ),
        ("env",),
    )


def flattened(record: ProducedRecord, index_prefix: str, names: Names | None = None) -> Flattened:
    """What the ingest function makes of a record, and what it drops, as if it had it at once when it arrived."""
    arrived_at = iso_milliseconds(record.arrival)
    return flatten(
        read_monitoring_record(orjson.dumps(record.monitoring_record)),
        stream_source(record.database.stream_arn(REGION)),
        record.database.version,
        arrived_at,
        Flattening(arrived_at, index_prefix=index_prefix, names=names, actors=_ACTORS),
    )


def documents_of(
    records: Iterable[ProducedRecord], index_prefix: str, names: Names | None = None
) -> Iterator[Document]:
    """The documents of these records."""
    for record in records:
        yield from flattened(record, index_prefix, names).documents


def index_all(client: OpenSearch, documents: Iterable[Document]) -> int:
    """Write documents under their ids; how many there were. They are found after a refresh."""
    count = 0
    lines: list[bytes] = []
    for document in documents:
        lines.append(Action.create(document.index, document.id, orjson.dumps(document.source)).lines)
        count += 1
        if len(lines) == _DOCUMENTS_PER_BULK:
            _send(client, lines)
            lines = []
    if lines:
        _send(client, lines)
    return count


def _send(client: OpenSearch, lines: list[bytes]) -> None:
    answer = client.bulk(body=b"".join(lines), params={"filter_path": "errors"})
    if answer["errors"]:
        raise RuntimeError("OpenSearch refused documents of the producer's traffic")
