"""What is counted of a batch: one document for each instance and minute, the same for each delivery."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from daswatch.content.templates import shipped_content
from daswatch.documents.decoder import DecodedRecord
from daswatch.documents.document import Document
from daswatch.documents.noise import Noise
from daswatch.errors import Reason
from daswatch.indexing.tallies import (
    ArchivedObject,
    ManifestNote,
    ReplayedObject,
    Tally,
    archived_actions,
    document_digest,
    record_digest,
)
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord

AT = "2031-03-04T11:30:59.900Z"
NEXT = "2031-03-04T11:31:00.100Z"
NAME = "das-tallies"
STREAM = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")
ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A"
ID = "AAAAAABBBBBBBBBBCCCCCC"


def record(number: int = 0, arrived_at: str = AT, data: str = "e30=") -> StreamRecord:
    return StreamRecord({}, data, ARN, str(number), "shardId-000", arrived_at, number)


def decoded(*at: str, heartbeats: int = 0, dropped: int = 0, defect: tuple[Reason, str] | None = None) -> DecodedRecord:
    """A record of one instance, with an event at each of these times."""
    documents = [Document("das-events-2031.03.04", ID, {"@timestamp": one}) for one in at]
    noise = {Noise.HEARTBEAT: heartbeats, Noise.AWS_USER: dropped}
    return DecodedRecord("db-A", len(at), documents, noise, "", defect, 0.0, 0.0)


def counted(tally: Tally) -> dict[str, tuple[Any, Any]]:
    """Action and document of each tally, by time."""
    lines = [[orjson.loads(line) for line in action.lines.splitlines()] for action in tally.actions(NEXT, NAME)]
    return {document["@timestamp"]: (head, document) for head, document in lines}


def tally_of(*records: StreamRecord) -> Tally:
    tally = Tally()
    for one in records:
        tally.take(one, decoded())
    return tally


def test_records_count_at_arrival_and_documents_at_their_event() -> None:
    tally = Tally()
    tally.take(record(0, NEXT), decoded(AT, NEXT, AT, heartbeats=2, dropped=1))
    tally.take(record(1, AT, "bnVsbA=="), decoded())

    found = counted(tally)

    first, second = (found[f"2031-03-04T11:{minute}:00.000Z"][1] for minute in (30, 31))
    assert (first["records"], first["documents"]) == (1, 2)
    assert first["recordDigests"] == record_digest("bnVsbA==")
    assert first["documentDigests"] == 2 * document_digest(ID)
    assert (second["records"], second["documents"]) == (1, 1)
    assert (second["heartbeats"], second["dropped"]) == (2, 1)
    assert {head["create"]["_index"] for head, _ in found.values()} == {"das-tallies-2031.03.04"}


def test_redelivery_has_the_same_id_and_another_part_of_the_batch_has_not() -> None:
    batch = [record(number) for number in range(4)]
    found = [counted(tally_of(*records)) for records in (batch, batch, batch[:2], batch[1:])]

    once, again, begin, end = [next(iter(one.values()))[0]["create"]["_id"] for one in found]
    assert once == again
    assert len({once, begin, end}) == 3


def test_no_tally_is_needed_and_none_is_waited_for() -> None:
    """What is lost is in the log: records are worth a redelivery, and counts of them are not."""
    assert Tally().actions(NEXT, NAME) == []
    assert [action.required for action in tally_of(record()).actions(NEXT, NAME)] == [False]


def test_dead_letter_is_counted_without_instance() -> None:
    tally = Tally()
    tally.take_dead_letter(record(), STREAM)

    ((_, document),) = counted(tally).values()

    assert (document["records"], document["deadLetters"]) == (1, 1)
    assert document["deadLetterDigests"] == record_digest("e30=")
    assert not document.keys() & {"instanceId", "recordDigests"}


def test_record_with_a_defect_is_not_processed() -> None:
    """It is kept as a dead letter, and its documents are written."""
    tally = Tally()
    tally.take(record(), decoded(AT, defect=(Reason.TRAILING_BYTES, "3 bytes follow the message")))

    ((_, document),) = counted(tally).values()

    assert (document["records"], document["deadLetters"], document["documents"]) == (1, 1, 1)
    assert document["deadLetterDigests"] == record_digest("e30=")
    assert "recordDigests" not in document


def test_replay_counts_what_it_found_under_an_id_of_its_own() -> None:
    """Neither heartbeats nor dropped events: they say what was heard when. The same replay adds nothing."""

    def replayed(key: str, *records: StreamRecord) -> tuple[Any, Any]:
        tally = Tally(ReplayedObject(key, NEXT))
        for one in records:
            tally.take(one, decoded(AT, heartbeats=1, dropped=1))
        (found,) = counted(tally).values()
        assert [action.required for action in tally.actions(NEXT, NAME)] == [True]
        return found

    head, document = replayed("a.gz", record(), record(data="bnVsbA=="))

    assert (document["stage"], document["object"], document["arrivedUntil"]) == ("replayed", "a.gz", NEXT)
    assert (document["records"], document["documents"]) == (2, 2)
    assert not document.keys() & {"heartbeats", "dropped", "shardId", "firstSequenceNumber"}
    ids = {replayed(*one)[0]["create"]["_id"] for one in (("a.gz", record()), ("b.gz", record()))}
    assert len(ids | {head["create"]["_id"]}) == 3
    assert head == replayed("a.gz", record(), record(data="bnVsbA=="))[0]


def test_digest_of_a_record_is_the_same_in_the_archive() -> None:
    """Firehose writes what Lambda delivers in base64."""
    data = base64.b64encode(b'{"type": "DatabaseActivityMonitoringRecords"}')

    assert record_digest(data.decode()) == record_digest(data)
    assert record_digest(data) != record_digest(b"other")
    assert len(record_digest("\N{SNOWMAN}")) == 8


@pytest.mark.parametrize("stage", ["ingested", "replayed", "archived"])
def test_mapping_has_every_field_that_is_searched(stage: str) -> None:
    template = next(content.body for content in shipped_content() if content.name == "das-tallies")["template"]
    note = ManifestNote("manifests/cluster-A/2031/03/04/11.json", AT, "0" * 64, 1)
    objects = [ArchivedObject("evidence/cluster-A/x.gz", AT, ("00000001",))]
    tally, replayed = Tally(), Tally(ReplayedObject("evidence/cluster-A/x.gz", NEXT))
    for one in (tally, replayed):
        one.take(record(), decoded(AT, heartbeats=1, dropped=1))
        one.take_dead_letter(record(), STREAM)
    made = {
        "ingested": tally.actions(NEXT, NAME),
        "replayed": replayed.actions(NEXT, NAME),
        "archived": archived_actions("cluster-A", ("123456789012", "eu-west-1"), objects, note, NAME),
    }[stage]

    fields = {field for action in made for field in orjson.loads(action.lines.splitlines()[1])}
    # These are read, never searched.
    digests = {"recordDigests", "deadLetterDigests", "documentDigests", "sha256"}
    assert fields - template["mappings"]["properties"].keys() <= digests
