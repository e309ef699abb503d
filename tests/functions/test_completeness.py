"""Holes in a day of traffic are reported, with their database and minutes; and none where there is none."""

from __future__ import annotations

from datetime import datetime, timedelta

from daswatch.evidence.completeness import HoleKind, ReportedHole
from demo.traffic import DATABASES
from tests.harness.evidence_day import DAY, EvidenceDay, small
from tests.harness.ingest import IngestFunction

SHARD = "shardId-000000000000"


def at(hour: int, minute: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute)


def spans(holes: list[ReportedHole], kind: HoleKind) -> list[tuple[str, str, datetime, datetime]]:
    return [(hole.resource_id, hole.instance_id, hole.since, hole.until) for hole in holes if hole.kind is kind]


def test_holes_of_a_day_are_reported(ingest: IngestFunction) -> None:
    """Records removed before ingest, an hour of a dead function, documents deleted afterwards."""
    outlet, travel = small([DATABASES[1], DATABASES[2]], ingest.name)
    day = EvidenceDay(ingest, [outlet, travel])
    day.make(7, 60, lambda arrival, number: SHARD)
    (writer,) = outlet.instance_ids
    removed = [one for one in day.records if one.instance_id == writer and at(3, 10) <= one.arrival < at(3, 20)]
    dead = [one for one in day.records if one.database is travel and at(7) <= one.arrival < at(8)]
    assert removed
    assert dead
    lost = {id(one) for one in removed + dead}
    day.deliver([one for one in day.records if id(one) not in lost])
    deleted = {
        "bool": {
            "filter": [
                {"term": {"resourceId": outlet.resource_id}},
                {"range": {"@timestamp": {"gte": at(8).isoformat(), "lt": at(9).isoformat()}}},
            ]
        }
    }
    documents = [
        one
        for one in day.ingest.documents()
        if one["resourceId"] == outlet.resource_id and at(8) <= datetime.fromisoformat(one["@timestamp"]) < at(9)
    ]
    assert documents
    ingest.search.delete_by_query(index=f"{ingest.prefix}-*", body={"query": deleted}, params={"refresh": "true"})

    holes = day.holes()

    assert spans(holes, HoleKind.SILENT) == [
        (outlet.resource_id, writer, at(3, 10), at(3, 20)),
        *((travel.resource_id, one, at(7), at(8)) for one in sorted(travel.instance_ids)),
    ]
    missing = [hole for hole in holes if hole.kind is HoleKind.NOT_INDEXED]
    assert {hole.resource_id for hole in missing} == {outlet.resource_id}
    assert sum(hole.missing for hole in missing) == len(documents)
    minutes = {datetime.fromisoformat(one["@timestamp"]).replace(second=0, microsecond=0) for one in documents}
    assert {hole.since + timedelta(minutes=number) for hole in missing for number in range(hole.minutes)} == minutes
    assert {hole.kind for hole in holes} == {HoleKind.SILENT, HoleKind.NOT_INDEXED}
