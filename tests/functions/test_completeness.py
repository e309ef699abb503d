"""Holes in a day of traffic are reported, with their database and minutes; and none where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from daswatch.evidence.completeness import HoleKind, ReportedHole
from demo.traffic import DATABASES
from tests.harness.evidence_day import DAY, EvidenceDay, Sent, small
from tests.harness.ingest import IngestFunction

PARENT, CHILDREN = "shardId-000000000000", ("shardId-000000000001", "shardId-000000000002")


def at(hour: int, minute: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute)


def minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def shard_of(arrival: datetime, number: int) -> str:
    """The stream's only shard is split at noon."""
    return PARENT if arrival < at(12) else CHILDREN[number % 2]


def spans(holes: Iterable[ReportedHole], kind: HoleKind) -> list[tuple[str, str, datetime, datetime]]:
    return [(hole.resource_id, hole.instance_id, hole.since, hole.until) for hole in holes if hole.kind is kind]


def minutes(holes: Iterable[ReportedHole]) -> set[datetime]:
    return {hole.since + timedelta(minutes=number) for hole in holes for number in range(hole.minutes)}


def missing(holes: Iterable[ReportedHole], kind: HoleKind, resource_id: str) -> int:
    return sum(hole.missing for hole in holes if (hole.kind, hole.resource_id) == (kind, resource_id))


def test_holes_of_a_day_are_reported(ingest: IngestFunction) -> None:
    """Records removed before ingest, an hour of a dead function, documents deleted afterwards, a Firehose created late,
    records lost at a split of the shard. The rest of the day is complete."""
    outlet, travel = small([DATABASES[1], DATABASES[2]], ingest.name)
    (writer,) = outlet.instance_ids
    bucket = ingest.aws.create_bucket(f"evidence-{ingest.name}")
    day = EvidenceDay(ingest, [outlet, travel])
    day.make(7, 60, shard_of)

    def arrived(begin: datetime, until: datetime, resource_id: str) -> list[Sent]:
        of_database = (one for one in day.records if one.database.resource_id == resource_id)
        return [one for one in of_database if begin <= one.arrival < until]

    removed = arrived(at(3, 10), at(3, 20), outlet.resource_id)
    dead = arrived(at(7), at(8), travel.resource_id)
    at_split = [one for one in arrived(at(12), at(12, 4), travel.resource_id) if CHILDREN[1] in one.raw["eventID"]]
    late = arrived(at(0), at(1, 30), travel.resource_id)
    assert removed
    assert dead
    assert at_split
    assert late
    lost = {id(one) for one in removed + dead + at_split}
    day.deliver([one for one in day.records if id(one) not in lost])
    of_outlet = [one for one in ingest.documents() if one["resourceId"] == outlet.resource_id]
    deleted = [one for one in of_outlet if at(8) <= datetime.fromisoformat(one["@timestamp"]) < at(9)]
    assert deleted
    span = {"range": {"@timestamp": {"gte": at(8).isoformat(), "lt": at(9).isoformat()}}}
    query = {"bool": {"filter": [{"term": {"resourceId": outlet.resource_id}}, span]}}
    ingest.search.delete_by_query(index=f"{ingest.prefix}-*", body={"query": query}, params={"refresh": "true"})
    not_archived = {id(one) for one in late}
    day.archive(bucket, [one for one in day.records if id(one) not in not_archived])
    report = day.write_manifests(bucket)
    assert (report.left, report.causes) == (0, set())

    holes = day.holes()

    assert spans(holes, HoleKind.SILENT) == [
        (outlet.resource_id, writer, at(3, 10), at(3, 20)),
        *((travel.resource_id, one, at(7), at(8)) for one in sorted(travel.instance_ids)),
    ]
    from_index = [hole for hole in holes if hole.kind is HoleKind.NOT_INDEXED]
    assert {hole.resource_id for hole in from_index} == {outlet.resource_id}
    assert sum(hole.missing for hole in from_index) == len(deleted)
    assert minutes(from_index) == {minute_of(datetime.fromisoformat(one["@timestamp"])) for one in deleted}
    assert missing(holes, HoleKind.NOT_INGESTED, outlet.resource_id) == len(removed)
    assert missing(holes, HoleKind.NOT_INGESTED, travel.resource_id) == len(dead) + len(at_split)
    from_ingest = minutes(hole for hole in holes if hole.kind is HoleKind.NOT_INGESTED)
    exact = {minute_of(one.arrival) for one in [*removed, *dead, *at_split]}
    # An archived record that was not ingested has the minute of its neighbor: one minute off at the edges.
    near = {minute + timedelta(minutes=number) for minute in exact for number in (-1, 0, 1)}
    assert from_ingest <= near
    assert {moment.hour for moment in from_ingest} == {3, 7, 12}
    evidence = [hole for hole in holes if hole.kind is HoleKind.NOT_ARCHIVED]
    assert {hole.resource_id for hole in evidence} == {travel.resource_id}
    assert sum(hole.missing for hole in evidence) == len(late)
    assert minutes(evidence) == {minute_of(one.arrival) for one in late}
