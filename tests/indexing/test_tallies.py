"""What is counted of a batch: one document for each instance and minute, the same for each delivery."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from daswatch.content.templates import shipped_content
from daswatch.indexing.tallies import (
    ArchivedObject,
    ManifestNote,
    RecordTally,
    actions,
    archived_actions,
    digests,
    document_digest,
    record_digest,
)
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord, read_stream_record

AT = "2031-03-04T11:30:59.900Z"
NEXT = "2031-03-04T11:31:00.100Z"
STREAM = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")
BATCH = [
    read_stream_record(
        {"eventID": f"shardId-000:{number}", "kinesis": {"sequenceNumber": str(number)}},
        datetime(2031, 3, 4, tzinfo=UTC),
    )
    for number in range(4)
]
ID = "AAAAAABBBBBBBBBBCCCCCC"


def tally(arrived_at: str = AT, digest: str = "00000001", **fields: Any) -> RecordTally:
    return RecordTally(0, STREAM, arrived_at, digest, **{"instance_id": "db-A", **fields})


def counted(*tallies: RecordTally, batch: list[StreamRecord] = BATCH, refused: set[str] | None = None) -> Any:
    made = actions(tallies, batch, NEXT, "das-tallies", refused or set())
    lines = [action.lines.splitlines() for action in made]
    return {
        orjson.loads(document)["@timestamp"]: (orjson.loads(head), orjson.loads(document)) for head, document in lines
    }


def test_records_count_at_arrival_and_documents_at_their_event() -> None:
    found = counted(
        tally(NEXT, heartbeats=2, dropped=1, documents={"2031-03-04T11:30": [ID]}),
        tally(AT, "00000002"),
    )

    first, second = (found[f"2031-03-04T11:{minute}:00.000Z"][1] for minute in (30, 31))
    assert (first["records"], first["documents"], first["recordDigests"]) == (1, 1, "00000002")
    assert first["documentDigests"] == document_digest(ID)
    assert (second["records"], second["heartbeats"], second["dropped"]) == (1, 2, 1)
    assert "documents" not in second
    assert {head["create"]["_index"] for head, _ in found.values()} == {"das-tallies-2031.03.04"}


def test_redelivery_has_the_same_id_and_another_part_of_the_batch_has_not() -> None:
    (once, again, half) = (counted(tally(), batch=batch) for batch in (BATCH, BATCH, BATCH[:2]))

    ids = [next(iter(found.values()))[0]["create"]["_id"] for found in (once, again, half)]
    assert ids[0] == ids[1] != ids[2]


def test_refused_document_is_not_counted() -> None:
    ((_, document),) = counted(tally(documents={AT[:16]: [ID]}), refused={ID}).values()

    assert "documents" not in document


def test_dead_letter_is_counted_without_instance() -> None:
    ((_, document),) = counted(tally(instance_id="", is_dead_letter=True)).values()

    assert (document["records"], document["deadLetters"]) == (1, 1)
    assert "instanceId" not in document


def test_digest_of_a_record_is_the_same_in_the_archive() -> None:
    """Firehose writes what Lambda delivers in base64."""
    data = base64.b64encode(b'{"type": "DatabaseActivityMonitoringRecords"}')

    assert record_digest(data.decode()) == record_digest(data)
    assert digests(record_digest(data) + record_digest(b"other")) == [record_digest(data), record_digest(b"other")]
    assert len(record_digest("\N{SNOWMAN}")) == 8


@pytest.mark.parametrize("stage", ["ingested", "archived"])
def test_mapping_has_every_field_that_is_searched(stage: str) -> None:
    template = next(content.body for content in shipped_content() if content.name == "das-tallies")["template"]
    note = ManifestNote("manifests/cluster-A/2031/03/04/11.json", AT, "0" * 64, 1)
    objects = [ArchivedObject("evidence/cluster-A/x.gz", AT, ("00000001",))]
    made = {
        "ingested": actions([tally(documents={AT[:16]: [ID]})], BATCH, NEXT, "das-tallies"),
        "archived": archived_actions("cluster-A", ("123456789012", "eu-west-1"), objects, note, "das-tallies"),
    }[stage]

    fields = {field for action in made for field in orjson.loads(action.lines.splitlines()[1])}
    # These are read, never searched.
    assert fields - template["mappings"]["properties"].keys() <= {"recordDigests", "documentDigests", "sha256"}
