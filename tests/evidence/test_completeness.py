"""What is judged of an hour, from what was counted and what is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daswatch.evidence.completeness import (
    NO_RHYTHM,
    NOT_COUNTED,
    Archived,
    ArchiveKnown,
    Arrivals,
    Before,
    FleetInstances,
    Hole,
    HoleKind,
    HourKnown,
    Instance,
    MinuteCounts,
    Verdict,
    archive_holes,
    differing,
    document_id,
    document_of,
    hours_between,
    judged,
    reported,
    unknown_of,
)
from daswatch.indexing.tallies import record_digest

HOUR = datetime(2031, 3, 4, 10, tzinfo=UTC)
INSTANCE = Instance("cluster-A", "db-A", "123456789012", "eu-west-1")
FREQUENT = Before(heartbeats=43_200, heard_minutes=1_440)  # one every two seconds
RARE = Before(heartbeats=1_440, heard_minutes=1_440)
NONE = Before(heartbeats=0, heard_minutes=1_440)


def heard(*silent: range, heartbeats: int = 30, documents: int = 0) -> dict[int, MinuteCounts]:
    """All minutes but these."""
    left_out = {minute for one in silent for minute in one}
    counts = MinuteCounts(records=30, heartbeats=heartbeats, documents=documents)
    return {minute: counts for minute in range(60) if minute not in left_out}


def silent_minutes(known: HourKnown) -> list[tuple[int, int]]:
    return [(hole.first, hole.last) for hole in judged(known).holes if hole.kind is HoleKind.SILENT]


def test_hour_without_difference_is_complete() -> None:
    known = HourKnown(heard(documents=5), dict.fromkeys(range(60), 5), before=FREQUENT)

    assert judged(known).verdict is Verdict.COMPLETE
    assert differing(known.minutes, known.indexed) == []


def test_minutes_that_differ_are_compared_one_by_one() -> None:
    """Also those with more documents than were counted: they may hide one that is missing."""
    indexed = dict.fromkeys(range(60), 5) | {3: 4, 7: 6}
    del indexed[9]

    assert differing(heard(documents=5), indexed) == [3, 7, 9]
    assert differing(heard(), {4: 1}) == []


def test_missing_documents_are_a_hole_of_their_minutes() -> None:
    judgement = judged(HourKnown(heard(documents=5), missing={3: 2, 4: 1, 5: 0, 9: 4}, before=FREQUENT))

    assert judgement.verdict is Verdict.GAP
    assert judgement.holes == (Hole(HoleKind.NOT_INDEXED, 3, 4, 3), Hole(HoleKind.NOT_INDEXED, 9, 9, 4))


@pytest.mark.parametrize(
    ("before", "heartbeats", "silent", "found"),
    [
        (FREQUENT, 30, range(12, 13), [(12, 12)]),
        (RARE, 1, range(12, 21), []),  # nine minutes at one heartbeat a minute
        (RARE, 1, range(12, 23), [(12, 22)]),
        (FREQUENT, 30, range(60), [(0, 59)]),
    ],
)
def test_silence_is_ten_usual_pauses(
    before: Before, heartbeats: int, silent: range, found: list[tuple[int, int]]
) -> None:
    assert silent_minutes(HourKnown(heard(silent, heartbeats=heartbeats), before=before)) == found


def test_silence_without_heartbeats_is_unknown() -> None:
    judgement = judged(HourKnown(heard(range(5, 40), heartbeats=0), before=NONE))

    assert (judgement.verdict, judgement.reasons) == (Verdict.UNKNOWN, (NO_RHYTHM,))


def test_new_instance_is_expected_from_its_first_record() -> None:
    assert silent_minutes(HourKnown(heard(range(20), range(30, 32)))) == [(30, 31)]


def test_removed_instance_is_expected_until_its_last_record() -> None:
    known = HourKnown(heard(range(30, 32), range(40, 60)), before=FREQUENT, is_present=False)

    assert silent_minutes(known) == [(30, 31)]
    assert judged(HourKnown(before=FREQUENT, is_present=False)).verdict is Verdict.COMPLETE


def test_events_that_were_not_counted_are_unknown() -> None:
    judgement = judged(HourKnown(indexed={5: 3}))

    assert (judgement.verdict, judgement.reasons) == (Verdict.UNKNOWN, (NOT_COUNTED,))


def test_dead_letters_are_a_hole_until_they_are_processed() -> None:
    counts = {7: MinuteCounts(records=2, dead_letters=2)}
    known = HourKnown(counts, dead_letters={7: 2}, is_present=False, is_instance=False)
    processed = HourKnown(counts, dead_letters={7: 0}, is_present=False, is_instance=False)

    assert judged(known).holes == (Hole(HoleKind.DEAD_LETTERS, 7, 7, 2),)
    assert judged(processed).verdict is Verdict.COMPLETE


def test_minutes_of_a_replay_are_not_silent() -> None:
    known = HourKnown(heard(range(10, 30)), before=FREQUENT, replayed=range(10, 25))

    assert silent_minutes(known) == [(25, 29)]


def digests(names: str) -> str:
    """Eight characters for each letter."""
    return "".join(record_digest(name) for name in names)


def archived(minute: int, records: str, second: int = 0) -> Archived:
    at = HOUR + timedelta(minutes=minute, seconds=second)
    return Archived(at, f"evidence/cluster-A/{at:%H-%M}", digests(records))


def arrived(*parts: tuple[int, str], is_replayed: bool = False) -> list[Arrivals]:
    """Records of minutes, each a letter."""
    return [Arrivals(HOUR + timedelta(minutes=minute), digests(records), is_replayed) for minute, records in parts]


def by_time(*arrivals: Arrivals) -> list[Arrivals]:
    return sorted(arrivals, key=lambda one: one.minute)


def test_record_that_was_not_ingested_has_its_neighbors_minute() -> None:
    objects = (archived(0, "axb"), archived(5, "yc"))

    assert archive_holes(ArchiveKnown(HOUR, objects, arrived((1, "a"), (3, "b"), (7, "c")))) == [
        Hole(HoleKind.NOT_INGESTED, 1, 1, 1),
        Hole(HoleKind.NOT_INGESTED, 7, 7, 1),
    ]


def test_objects_that_were_not_ingested_are_one_hole() -> None:
    objects = (archived(10, "x"), archived(15, "yz"), archived(20, "a"))

    assert archive_holes(ArchiveKnown(HOUR, objects, arrived((21, "a")))) == [Hole(HoleKind.NOT_INGESTED, 10, 20, 3)]


def test_digest_of_another_record_is_no_neighbor() -> None:
    """Of millions of records, some have the same 32 bits as one that is missing."""
    at = HOUR + timedelta(minutes=10)
    lost = Archived(at, "evidence/cluster-A/10-10", "".join(f"{number:08x}" for number in range(200)))
    other = Arrivals(at + timedelta(minutes=9), f"{77:08x}")
    known = ArchiveKnown(HOUR, (lost, archived(11, "a"), archived(19, "")), (*arrived((11, "a")), other))

    assert archive_holes(known) == [
        Hole(HoleKind.NOT_INGESTED, 10, 11, 199),
    ]


def test_last_object_that_was_not_ingested_is_a_hole() -> None:
    objects = (archived(10, "x"), archived(10, "y"), archived(62, "a"))

    assert archive_holes(ArchiveKnown(HOUR, objects[:2])) == [Hole(HoleKind.NOT_INGESTED, 10, 10, 2)]
    assert archive_holes(ArchiveKnown(HOUR, objects)) == [Hole(HoleKind.NOT_INGESTED, 10, 59, 2)]


def test_records_that_were_not_archived_have_their_minute() -> None:
    """Those around the hour are judged with theirs."""
    arrivals = arrived((-1, "b"), (0, "a"), (3, "x"), (4, "y"), (60, "c"))

    assert archive_holes(ArchiveKnown(HOUR, (archived(0, "a"),), arrivals)) == [Hole(HoleKind.NOT_ARCHIVED, 3, 4, 2)]
    assert archive_holes(ArchiveKnown(HOUR, (), arrivals)) == [
        Hole(HoleKind.NOT_ARCHIVED, 0, 0, 1),
        Hole(HoleKind.NOT_ARCHIVED, 3, 4, 2),
    ]


def test_object_of_the_hour_before_covers_the_first_minutes() -> None:
    known = ArchiveKnown(HOUR, (archived(-2, "ba"),), arrived((-2, "b"), (1, "a")))

    assert archive_holes(known) == []


def test_record_may_arrive_just_before_its_object_begins() -> None:
    """An object's name has whole seconds of another clock."""
    assert archive_holes(ArchiveKnown(HOUR, (archived(5, "a", second=2),), arrived((4, "a")))) == []
    assert archive_holes(ArchiveKnown(HOUR, (archived(60, "a", second=2),), arrived((59, "a")))) == []


def test_first_records_arrived_at_any_time_of_their_hour() -> None:
    first = Archived(HOUR, "evidence/cluster-A/start/20310304T100000Z/shardId-0/000001.gz", digests("ab"))

    assert archive_holes(ArchiveKnown(HOUR, (first,), arrived((0, "a"), (50, "b")))) == []


def test_record_that_arrived_twice_is_archived_twice() -> None:
    """A producer that repeats a call repeats it with the same bytes, perhaps in the next minute."""
    twice = arrived((4, "a"), (5, "a"))

    assert archive_holes(ArchiveKnown(HOUR, (archived(4, "aa"),), twice)) == []
    assert archive_holes(ArchiveKnown(HOUR, (archived(4, "a"),), twice)) == [Hole(HoleKind.NOT_ARCHIVED, 5, 5, 1)]
    assert archive_holes(ArchiveKnown(HOUR, (archived(4, "a"),), arrived((4, "a"), (4, "a")))) == []


def test_replayed_records_are_there_and_need_no_archive() -> None:
    """A replay of the archive knows when an object begins; what was ingested in time stays in its own minute."""
    objects = (archived(10, "axb"),)
    replayed = arrived((10, "axb"), (30, "d"), is_replayed=True)

    assert archive_holes(ArchiveKnown(HOUR, objects, replayed)) == []
    assert archive_holes(ArchiveKnown(HOUR, objects, by_time(*replayed, *arrived((11, "a"), (12, "b"))))) == []
    assert archive_holes(ArchiveKnown(HOUR, objects, by_time(*replayed, *arrived((12, "e"))))) == [
        Hole(HoleKind.NOT_ARCHIVED, 12, 12, 1)
    ]


def test_holes_that_go_on_are_reported_as_one() -> None:
    documents = []
    for number, silent in enumerate((range(50, 60), range(20))):
        hour = HOUR + number * timedelta(hours=1)
        known = HourKnown(heard(silent), before=FREQUENT)
        name = {"databaseIdentifier": "orders", "instanceIdentifier": "orders-1"}
        documents.append(document_of(INSTANCE, hour, known, judged(known), "2031-03-04T13:00:00.000Z", name))

    (hole,) = reported(documents)

    assert (hole.since, hole.until) == (HOUR + timedelta(minutes=50), HOUR + timedelta(minutes=80))
    assert (hole.minutes, hole.shown_name) == (30, "orders/orders-1")
    assert hole.remedy == (
        "daswatch replay s3://EVIDENCE_BUCKET --from 2031-03-04T10:50Z --to 2031-03-04T11:20Z --resource-id cluster-A"
    )


def test_document_counts_what_was_counted_twice_once() -> None:
    known = HourKnown(heard(range(1, 60), documents=6), indexed={0: 4}, missing={0: 1}, is_present=False)

    document = document_of(INSTANCE, HOUR, known, judged(known), "2031-03-04T13:00:00.000Z")

    assert (document["documents"], document["indexed"], document["missing"]) == (5, 4, 1)
    assert document["minuteDocuments"][0] == 5
    assert document["holes"] == [
        {
            "kind": "not indexed",
            "from": "2031-03-04T10:00:00.000Z",
            "until": "2031-03-04T10:01:00.000Z",
            "missing": 1,
        }
    ]
    assert document_id(INSTANCE, HOUR) == "2031-03-04T10/cluster-A/db-A"


def test_unknown_hours_are_counted_by_reason() -> None:
    known = HourKnown(indexed={5: 3})
    document = document_of(INSTANCE, HOUR, known, judged(known), "2031-03-04T13:00:00.000Z")

    (one,) = unknown_of([document, document])

    assert (one.hours, one.reason, one.shown_name) == (2, NOT_COUNTED, "cluster-A/db-A")


def test_hours_between_two_times() -> None:
    half = timedelta(minutes=30)

    assert hours_between(HOUR + half, HOUR + 4 * half) == [HOUR, HOUR + 2 * half]
    assert hours_between(HOUR, HOUR) == []
    assert hours_between(HOUR + half, HOUR) == []


def test_fleet_expects_instances_whose_stream_is_on() -> None:
    database = {
        "databaseIdentifier": "orders",
        "resourceId": "cluster-A",
        "awsAccountId": "123456789012",
        "awsRegion": "eu-west-1",
        "streamStatus": "started",
        "instances": [{"instanceIdentifier": "orders-1", "resourceId": "db-A"}],
    }

    fleet = FleetInstances.of([database], ())

    assert fleet.has(INSTANCE)
    assert fleet.name_of(INSTANCE)["instanceIdentifier"] == "orders-1"
    assert not fleet.has(Instance("cluster-A", "db-B"))
    assert not FleetInstances.of([{**database, "streamStatus": "stopped"}], ()).has(INSTANCE)
    assert not FleetInstances.of([{**database, "goneSince": "2031-03-04T09:00:00.000Z"}], ()).has(INSTANCE)
    assert FleetInstances().has(INSTANCE)
