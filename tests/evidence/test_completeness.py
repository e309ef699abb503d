"""What is judged of an hour, from what was counted and what is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daswatch.evidence.completeness import (
    NO_RHYTHM,
    NOT_COUNTED,
    Archived,
    ArchiveKnown,
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


def test_dead_letters_are_a_hole() -> None:
    known = HourKnown({7: MinuteCounts(records=2, dead_letters=2)}, is_present=False, is_instance=False)

    assert judged(known).holes == (Hole(HoleKind.DEAD_LETTERS, 7, 7, 2),)


def archived(minute: int, *digests: str) -> Archived:
    at = HOUR + timedelta(minutes=minute)
    return Archived(at, f"evidence/cluster-A/{at:%H-%M}", digests)


def ingested(**minutes: int) -> dict[str, datetime]:
    return {digest: HOUR + timedelta(minutes=minute) for digest, minute in minutes.items()}


def test_record_that_was_not_ingested_has_its_neighbors_minute() -> None:
    known = ArchiveKnown(HOUR, (archived(0, "a", "x", "b"), archived(5, "y", "c")), ingested(a=1, b=3, c=7))

    assert archive_holes(known) == [
        Hole(HoleKind.NOT_INGESTED, 1, 1, 1),
        Hole(HoleKind.NOT_INGESTED, 7, 7, 1),
    ]


def test_objects_that_were_not_ingested_are_one_hole() -> None:
    known = ArchiveKnown(HOUR, (archived(10, "x"), archived(15, "y", "z"), archived(20, "a")), ingested(a=21))

    assert archive_holes(known) == [Hole(HoleKind.NOT_INGESTED, 10, 20, 3)]


def test_records_that_were_not_archived_have_their_minute() -> None:
    """Those around the hour are judged with theirs."""
    around = {"before": HOUR - timedelta(minutes=1), "after": HOUR + timedelta(hours=1)}
    known = ArchiveKnown(HOUR, (archived(0, "a"),), {**ingested(a=0, x=3, y=4), **around})

    assert archive_holes(known) == [Hole(HoleKind.NOT_ARCHIVED, 3, 4, 2)]


def test_object_of_the_hour_before_covers_the_first_minutes() -> None:
    earlier = Archived(HOUR - timedelta(minutes=2), "evidence/cluster-A/09-58", ("before", "a"))
    known = ArchiveKnown(HOUR, (earlier,), {**ingested(a=1), "before": HOUR - timedelta(minutes=2)})

    assert archive_holes(known) == []


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
