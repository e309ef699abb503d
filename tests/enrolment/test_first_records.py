"""Where a delivery begins in each shard, decided from what was read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.enrolment.first_records import (
    SILENCE,
    SPAN,
    DeliveredObject,
    End,
    EvidenceStart,
    Head,
    Lost,
    Mark,
    NoteError,
    Position,
    Shard,
    Walk,
    all_lost,
    delivered_object,
    ends,
    entries,
    entry_key,
    line_digest,
    lost_after,
    lost_before,
    portion_metadata,
    read_head,
    read_portion,
    start_folder,
    walk,
    windows,
)

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)
FOLDER = "evidence/cluster-A/start/20260304T120000Z/"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def marks(text: str) -> list[Mark]:
    """One record for each letter, a second apart."""
    return [Mark(place, letter.encode(), at(place)) for place, letter in enumerate(text, start=1)]


@pytest.mark.parametrize(
    ("stream", "delivered", "before", "met"),
    [
        ("abcdef", "def", 3, True),
        ("abcdef", "abcdef", None, True),
        ("abcdef", "f", 5, True),
        ("abcdef", "", 6, False),
        ("", "abc", None, False),
        # d and e are not there yet, or cannot be read
        ("abcdef", "cf", 2, True),
        # b was sent twice, and its second copy was delivered
        ("abcbde", "bde", 3, True),
        ("abbcde", "bcde", 1, True),
        ("abcbde", "bcde", 1, True),
    ],
)
def test_the_first_delivered_record_ends_a_walk(stream: str, delivered: str, before: int | None, met: bool) -> None:
    found = walk(marks(stream), {letter.encode() for letter in delivered}, LATER)

    assert (found.last.sequence if found.last else None, found.met) == (before, met)
    assert found.ended is not met


def test_a_walk_ends_at_its_time() -> None:
    assert walk(marks("abcdef"), {b"f"}, at(3)) == Walk(marks("abc")[-1])
    assert walk(marks("abcdef"), {b"a"}, at(0)) == Walk(None)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_a_walk_finds_any_beginning(records: int, begins: int, delivered: int) -> None:
    begins = min(begins, records)
    stream = [Mark(place, str(place).encode(), at(place)) for place in range(records)]
    found = walk(stream, {mark.digest for mark in stream[begins : begins + delivered]}, LATER)

    met = begins < records and delivered > 0
    assert found.met is met
    assert found.last == (stream[: begins if met else records] or [None])[-1]  # type: ignore[list-item]


SPLIT = [Shard("parent"), Shard("left", ("parent",)), Shard("right", ("parent",))]
MERGED = [Shard("one"), Shard("other"), Shard("both", ("one", "other")), Shard("last", ("both",))]
(RECORD,) = marks("a")


def test_a_met_record_ends_a_shard() -> None:
    walks = {"parent": Walk(None, met=True), "left": Walk(RECORD, met=True)}

    assert ends(SPLIT, walks, (), NOON) == {"parent": End(None, True), "left": End(RECORD, True)}


def test_what_a_delivered_shard_was_made_from_is_missing() -> None:
    walks = {shard.id: Walk(RECORD, ended=True) for shard in MERGED}
    missing = End(RECORD, met=False)

    assert ends(MERGED, walks | {"both": Walk(RECORD, met=True)}, (), NOON) == {
        "one": missing,
        "other": missing,
        "both": End(RECORD, True),
    }
    assert ends(MERGED, {"one": walks["one"]}, {"last"}, NOON) == {"one": missing}


@pytest.mark.parametrize(
    ("silent", "certain"), [(SILENCE, True), (SILENCE - timedelta(seconds=1), False), (timedelta(), False)]
)
def test_silence_ends_a_shard_that_others_outlive(silent: timedelta, certain: bool) -> None:
    shards = [Shard("busy"), Shard("silent")]
    walks = {"silent": Walk(RECORD, ended=True)}

    assert bool(ends(shards, walks, {"busy"}, RECORD.arrived + silent)) is certain
    assert not ends(shards, walks, (), LATER)  # these objects may be of another stream
    assert not ends(shards, {"silent": Walk(RECORD)}, {"busy"}, LATER)  # it has more records


def test_an_empty_shard_ends_once_the_delivery_is_seen() -> None:
    walks = {"left": Walk(None, ended=True)}

    assert ends(SPLIT, walks, {"right"}, NOON) == {"left": End(None, False)}
    assert not ends(SPLIT, walks, (), NOON)


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("daswatch-evidence-3-2026-03-04-12-00-07-0a1b-2c3d.gz", at(7)),
        ("x-1-2026-03-04-12-00-07-2027-01-01-01-01-01", at(7)),
        ("daswatch-1-2026-13-04-12-00-07-0a1b", LATER),
        ("by-hand.gz", LATER),
        ("2026-03-04-12-00-07/by-hand.gz", LATER),
    ],
)
def test_the_name_of_an_object_has_its_time(name: str, when: datetime) -> None:
    assert delivered_object(f"evidence/cluster-A/2026/03/04/{name}", LATER).at == when


def test_windows_are_of_a_buffer_interval() -> None:
    one, two, three, four = (DeliveredObject(str(second), at(second)) for second in (0, 200, 299, 300))

    found = windows([four, two, one, three], NOON)

    assert [window.objects for window in found] == [(one, two, three), (four,)]
    assert found[0].until == four.at + SPAN
    assert (found[0].begins, found[0].last) == (one.at, three.at)
    assert windows([], NOON) == []


def test_windows_from_before_are_left_out() -> None:
    objects = [DeliveredObject(str(hour), at(3600 * hour)) for hour in range(10)]

    assert windows(objects, at(3600 * 7.5))[0].objects == (objects[7],)
    assert windows(objects, at(3600 * 7.1))[0].objects == (objects[6],)
    assert windows(objects, at(3600 * 100))[0].objects == (objects[9],)  # it may have hours of records


def test_a_line_stands_for_its_record() -> None:
    assert line_digest(b'{"a":1}\n') == line_digest(b'{"a":1}') != line_digest(b'{"a":2}')
    assert line_digest(b"two\nlines") == line_digest(b"two\n")


@pytest.mark.parametrize("lost", [None, Lost(NOON, at(7.25))])
@pytest.mark.parametrize("last", [None, Mark(495903380, b"", at(1.5))])
def test_notes_are_read_again(last: Mark | None, lost: Lost | None) -> None:
    head = Head(End(last, met=last is None), Position(0, 0, NOON, lost))
    portion = Position(7, 495903380, at(1.5), lost)

    assert read_head(head.metadata()) == head
    assert read_portion(7, portion_metadata(portion)) == portion
    assert all(value.isascii() for value in (head.metadata() | portion_metadata(portion)).values())


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"last": "x", "last-arrival": "2026-03-04T12:00:00+00:00"},
        {"last": "1", "last-arrival": "noon", "readable-from": "noon", "delivered": "yes"},
        {"last": "1", "lost-from": "noon", "lost-to": "later"},
    ],
)
def test_metadata_of_others_are_no_notes(metadata: dict[str, str]) -> None:
    with pytest.raises(NoteError):
        read_head(metadata)
    with pytest.raises(NoteError):
        read_portion(1, metadata)


def test_entries_are_found_by_their_names() -> None:
    assert start_folder("cluster-A", NOON) == FOLDER
    keys = [entry_key(FOLDER, "shard-1", number) for number in (0, 1, 11)]
    others = [FOLDER + "complete.gz", FOLDER + "shard-2/by-hand.gz", entry_key(FOLDER + "x/", "shard-3", 1)]

    assert entries(FOLDER, [*keys, *others, entry_key(FOLDER, "shard-4", 0)]) == {"shard-1": 11, "shard-4": 0}


def test_what_was_dropped_is_one_range() -> None:
    assert all_lost([None, Lost(at(5), at(6)), Lost(at(1), at(2)), Lost(at(9), at(9))]) == Lost(at(1), at(6))
    assert all_lost([None]) is None
    assert str(Lost(at(1), at(2))) == "2026-03-04T12:00:01Z to 2026-03-04T12:00:02Z"


def test_only_what_is_older_than_kinesis_keeps_is_lost() -> None:
    assert lost_before(NOON, at(-1), at(300)) is None
    assert lost_before(NOON, at(500), at(300)) == Lost(NOON, at(300))
    assert lost_before(NOON, at(200), at(300)) == lost_before(NOON, at(200), None) == Lost(NOON, at(200))
    written = Position(3, 17, at(100), Lost(NOON, at(50)))
    assert lost_after(written, at(100), at(200)) == Lost(NOON, at(50))
    assert lost_after(written, at(101), at(200)) == Lost(NOON, at(200))


def test_the_evidence_is_whole_without_loss_only() -> None:
    assert EvidenceStart("20260304T120000Z", complete=True).whole
    assert not EvidenceStart("20260304T120000Z").whole
    assert not EvidenceStart("20260304T120000Z", complete=True, lost=Lost(NOON, LATER)).whole
