"""Holes in half a day of traffic are reported, with their database and minutes; and none where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from daswatch.evidence.completeness import HoleKind, ReportedHole
from daswatch.opensearch import completeness_index
from demo.aws import DEAD_LETTER_BUCKET
from demo.rds import Database
from demo.traffic import DATABASES
from tests.harness.evidence_day import DAY, EvidenceDay, Sent, small
from tests.harness.faults import assert_ledger_equals_index
from tests.harness.ingest import IngestFunction
from tests.harness.replay import Evidence

PARENT, CHILDREN = "shardId-000000000000", ("shardId-000000000001", "shardId-000000000002")


def at(hour: int, minute: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute)


def minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def shard_of(arrival: datetime, number: int) -> str:
    """The stream's only shard is split at seven."""
    return PARENT if arrival < at(7) else CHILDREN[number % 2]


def spans(holes: Iterable[ReportedHole], kind: HoleKind) -> list[tuple[str, str, datetime, datetime]]:
    return [(hole.resource_id, hole.instance_id, hole.since, hole.until) for hole in holes if hole.kind is kind]


def minutes(holes: Iterable[ReportedHole]) -> set[datetime]:
    return {hole.since + timedelta(minutes=number) for hole in holes for number in range(hole.minutes)}


def missing(holes: Iterable[ReportedHole], kind: HoleKind, resource_id: str) -> int:
    return sum(hole.missing for hole in holes if (hole.kind, hole.resource_id) == (kind, resource_id))


@dataclass(frozen=True)
class Holed:
    """Half a day of two databases, and what was done to it."""

    day: EvidenceDay
    evidence: Evidence
    outlet: Database
    travel: Database
    removed: list[Sent]  # before ingest
    dead: list[Sent]  # while the function was
    at_split: list[Sent]  # of the stream's shard
    late: list[Sent]  # for the archive
    never: list[Sent]  # in the stream
    deleted: list[dict[str, Any]]  # afterwards, from the index
    letters: list[dict[str, Any]]  # what is noted of the records that could not be processed


@pytest.fixture
def holed(ingest: IngestFunction) -> Holed:
    """Records removed before ingest, an hour of a dead function, records that cannot be processed, documents deleted
    afterwards, a Firehose created late, records lost at a split of the shard, an hour without any record."""
    outlet, travel = small([DATABASES[1], DATABASES[2]], ingest.name)
    bucket = ingest.aws.create_bucket(f"evidence-{ingest.name}")
    day = EvidenceDay(ingest, [outlet, travel])
    day.make(7, 60, shard_of)

    def arrived(begin: datetime, until: datetime, resource_id: str) -> list[Sent]:
        of_database = (one for one in day.records if one.database.resource_id == resource_id)
        return [one for one in of_database if begin <= one.arrival < until]

    removed = arrived(at(3, 10), at(3, 20), outlet.resource_id)
    dead = arrived(at(4), at(5), travel.resource_id)
    at_split = [one for one in arrived(at(7), at(7, 4), travel.resource_id) if CHILDREN[1] in one.raw["eventID"]]
    late = arrived(at(0), at(1, 30), travel.resource_id)
    unprocessed = arrived(at(8), at(9), travel.resource_id)
    never = arrived(at(10), at(11), outlet.resource_id)
    assert all((removed, dead, at_split, late, unprocessed, never))
    lost = {id(one) for one in removed + dead + at_split + unprocessed + never}
    day.deliver([one for one in day.records if id(one) not in lost])
    ingest.configure(MAX_PLAINTEXT_BYTES="1024")  # heartbeats are smaller
    day.deliver(unprocessed)
    ingest.monkeypatch.delenv("MAX_PLAINTEXT_BYTES")
    ingest.cold_start()
    of_outlet = [one for one in ingest.documents() if one["resourceId"] == outlet.resource_id]
    deleted = [one for one in of_outlet if at(5) <= datetime.fromisoformat(one["@timestamp"]) < at(6)]
    assert deleted
    span = {"range": {"@timestamp": {"gte": at(5).isoformat(), "lt": at(6).isoformat()}}}
    query = {"bool": {"filter": [{"term": {"resourceId": outlet.resource_id}}, span]}}
    ingest.search.delete_by_query(index=f"{ingest.prefix}-*", body={"query": query}, params={"refresh": "true"})
    missing_there = {id(one) for one in late + never}
    day.archive(bucket, [one for one in day.records if id(one) not in missing_there])
    report = day.write_manifests(bucket)
    assert (report.left, report.causes) == (0, set())
    letters = ingest.dead_letters()
    assert letters
    return Holed(day, Evidence(ingest, bucket), outlet, travel, removed, dead, at_split, late, never, deleted, letters)


def assert_reported(holes: list[ReportedHole], holed: Holed) -> None:
    """Each hole with its database, minutes and number; the rest of the day is complete."""
    outlet, travel = holed.outlet, holed.travel
    (writer,) = outlet.instance_ids
    assert spans(holes, HoleKind.SILENT) == [
        (outlet.resource_id, writer, at(3, 10), at(3, 20)),
        (outlet.resource_id, writer, at(10), at(11)),
        *((travel.resource_id, one, at(4), at(5)) for one in sorted(travel.instance_ids)),
    ]
    from_index = [hole for hole in holes if hole.kind is HoleKind.NOT_INDEXED]
    assert {hole.resource_id for hole in from_index} == {outlet.resource_id}
    assert sum(hole.missing for hole in from_index) == len(holed.deleted)
    assert minutes(from_index) == {minute_of(datetime.fromisoformat(one["@timestamp"])) for one in holed.deleted}
    assert missing(holes, HoleKind.NOT_INGESTED, outlet.resource_id) == len(holed.removed)
    assert missing(holes, HoleKind.NOT_INGESTED, travel.resource_id) == len(holed.dead) + len(holed.at_split)
    from_ingest = minutes(hole for hole in holes if hole.kind is HoleKind.NOT_INGESTED)
    exact = {minute_of(one.arrival) for one in [*holed.removed, *holed.dead, *holed.at_split]}
    # An archived record that was not ingested has the minute of its neighbor: one minute off at the edges.
    near = {minute + timedelta(minutes=number) for minute in exact for number in (-1, 0, 1)}
    assert from_ingest <= near
    assert {moment.hour for moment in from_ingest} == {3, 4, 7}
    evidence = [hole for hole in holes if hole.kind is HoleKind.NOT_ARCHIVED]
    assert {hole.resource_id for hole in evidence} == {travel.resource_id}
    assert sum(hole.missing for hole in evidence) == len(holed.late)
    assert minutes(evidence) == {minute_of(one.arrival) for one in holed.late}
    letters = [hole for hole in holes if hole.kind is HoleKind.DEAD_LETTERS]
    assert {hole.resource_id for hole in letters} == {travel.resource_id}
    assert sum(hole.missing for hole in letters) == len(holed.letters)
    assert minutes(letters) == {minute_of(datetime.fromisoformat(one["@timestamp"])) for one in holed.letters}


def test_holes_of_a_day_are_reported_and_closed(holed: Holed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the archive and the dead letters have is complete after their replay. What the archive never had stays a
    hole of it, and an hour of which the stream had nothing stays silent, but for the minutes that an object before it
    may have."""
    outlet, travel, evidence = holed.outlet, holed.travel, holed.evidence
    before = holed.day.holes()
    assert_reported(before, holed)
    folder = f"s3://{DEAD_LETTER_BUCKET}/dead-letters/{travel.resource_id}/"

    letters = evidence.report("--detections", "off", source=folder)

    assert letters["totals"]["opened"] == len(holed.letters)
    holes = holed.day.holes()
    assert {hole.kind for hole in holes} == set(HoleKind) - {HoleKind.DEAD_LETTERS}
    assert [hole for hole in holes if hole.kind is HoleKind.NOT_INGESTED] == [
        hole for hole in before if hole.kind is HoleKind.NOT_INGESTED
    ]

    # Small pages: whatever is compared goes on behind each of them.
    monkeypatch.setattr(completeness_index, "_PAGE_OF_TALLIES", 7)
    monkeypatch.setattr(completeness_index, "_PAGE_OF_OBJECTS", 1)
    evidence.report("--detections", "off")

    holes = holed.day.holes()
    assert {hole.kind for hole in holes} == {HoleKind.NOT_ARCHIVED, HoleKind.SILENT}
    assert spans(holes, HoleKind.NOT_ARCHIVED) == spans(before, HoleKind.NOT_ARCHIVED)
    ((resource_id, _, since, until),) = spans(holes, HoleKind.SILENT)
    assert (resource_id, until) == (outlet.resource_id, at(11))
    assert at(10) <= since <= at(10, 15)
    never = {id(one) for one in holed.never}
    entries = [entry for one in holed.day.records if id(one) not in never for entry in one.entries]
    assert_ledger_equals_index(entries, holed.day.ingest, "replayed")

    evidence.report("--detections", "off", "--restart")
    assert holed.day.holes() == holes
