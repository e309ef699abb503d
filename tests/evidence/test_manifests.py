"""What a manifest names, how one follows another, and what differs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daswatch.evidence.manifests import (
    Chain,
    Difference,
    Manifest,
    ManifestError,
    ObjectEntry,
    chained,
    compared,
    due_hours,
    hash_of,
    hour_of_key,
    manifest_key,
    named_by,
    read_manifest,
)
from daswatch.evidence.objects import Listed

HOUR = datetime(2031, 3, 4, 10, tzinfo=UTC)
ONE = timedelta(hours=1)


def listed(at: datetime, size: int = 100, written_after: timedelta = timedelta(minutes=5)) -> Listed:
    key = f"evidence/cluster-A/{at:%Y/%m/%d}/d-1-{at:%Y-%m-%d-%H-%M-%S}-a.gz"
    return Listed(key, size, at + written_after)


def entry(one: Listed) -> ObjectEntry:
    return ObjectEntry(one.key, one.size, "0" * 64, 3)


def chain_of(hours: int = 3) -> list[Manifest]:
    """One object an hour."""
    manifests: list[Manifest] = []
    for number in range(hours):
        hour = HOUR + number * ONE
        previous = hash_of(manifests[-1].body()) if manifests else ""
        objects = (entry(listed(hour + timedelta(minutes=5))),)
        manifests.append(Manifest("cluster-A", hour, previous, hour + ONE + timedelta(minutes=20), objects))
    return manifests


def bodies(manifests: list[Manifest]) -> list[tuple[str, bytes]]:
    return [(one.key, one.body()) for one in manifests]


def objects_of(manifests: list[Manifest]) -> list[Listed]:
    return [listed(one.hour + timedelta(minutes=5)) for one in manifests]


def differences(chain: Chain, there: list[Listed]) -> list[tuple[Difference, str]]:
    found, _ = compared(chain, there, HOUR - ONE, HOUR + 24 * ONE)
    return [(one.difference, one.key) for one in (*chain.differences, *found)]


def test_manifest_is_read_as_it_was_written() -> None:
    manifest = chain_of(2)[-1]

    assert read_manifest(manifest.body()) == manifest
    assert hour_of_key(manifest.key) == manifest.hour
    assert manifest.key == "manifests/cluster-A/2031/03/04/11.json"
    assert hour_of_key("manifests/cluster-A/2031/03/04/25.json") is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"objects": 1}'])
def test_other_content_is_no_manifest(body: bytes) -> None:
    with pytest.raises(ManifestError):
        read_manifest(body)


def test_manifest_is_due_after_the_longest_buffer_interval() -> None:
    last = chain_of(1)[0]

    assert due_hours(last, None, HOUR + 2 * ONE + timedelta(minutes=19)) == []
    assert due_hours(last, None, HOUR + 2 * ONE + timedelta(minutes=20)) == [HOUR + ONE]
    assert due_hours(last, None, HOUR + 4 * ONE) == [HOUR + ONE, HOUR + 2 * ONE]


def test_first_manifest_goes_back_a_day_at_most() -> None:
    now = HOUR + timedelta(minutes=30)

    assert due_hours(None, None, now) == []
    assert due_hours(None, HOUR - 2 * ONE, now) == [HOUR - 2 * ONE, HOUR - ONE]
    assert len(due_hours(None, HOUR - timedelta(days=100), now)) == 24


def test_manifest_names_its_hour_and_what_came_late() -> None:
    last = chain_of(1)[0]
    hour = HOUR + ONE
    own, next_one = listed(hour + timedelta(minutes=3)), listed(hour + ONE)
    late = listed(HOUR + timedelta(minutes=30), written_after=timedelta(hours=1))
    known = objects_of([last])[0]
    first_records = Listed("evidence/cluster-A/start/x/shardId-0/000001.gz", 10, hour + timedelta(minutes=40))

    named = named_by(hour, [own, next_one, late, known, first_records], last)

    assert {one.key for one in named} == {own.key, late.key, first_records.key}
    assert [one.key for one in named_by(HOUR, [listed(HOUR - ONE), known], None)] == [known.key]


def test_untouched_archive_has_no_difference() -> None:
    manifests = chain_of()

    chain = chained("cluster-A", bodies(manifests), {one.key: hash_of(one.body()) for one in manifests})

    assert differences(chain, objects_of(manifests)) == []


def test_removed_changed_and_added_objects_are_reported() -> None:
    manifests = chain_of()
    there = objects_of(manifests)
    added = listed(HOUR + timedelta(minutes=50))
    changed = replace(there[1], size=99)
    coming = listed(HOUR + 2 * ONE + timedelta(minutes=50))  # the next manifest will name it

    found = differences(chained("cluster-A", bodies(manifests)), [changed, there[2], added, coming])

    assert found == [
        (Difference.REMOVED, there[0].key),
        (Difference.CHANGED, there[1].key),
        (Difference.ADDED, added.key),
    ]


def test_removed_manifest_is_reported() -> None:
    first, second, third = chain_of()

    assert differences(chained("cluster-A", bodies([first, third])), [])[:1] == [
        (Difference.MANIFEST_REMOVED, second.key)
    ]


def test_rewritten_manifest_is_reported() -> None:
    """Also where all its objects are as it says."""
    first, second, third = chain_of()
    rewritten = replace(second, objects=())

    (found,) = chained("cluster-A", bodies([first, rewritten, third])).differences

    assert (found.difference, found.key) == (Difference.MANIFEST_CHANGED, second.key)


def test_end_that_was_cut_off_is_known_by_opensearch() -> None:
    manifests = chain_of()
    anchors = {one.key: hash_of(one.body()) for one in manifests}

    (removed,) = chained("cluster-A", bodies(manifests[:2]), anchors).differences
    rewritten = [*manifests[:2], replace(manifests[2], objects=())]
    (changed,) = chained("cluster-A", bodies(rewritten), anchors).differences

    assert (removed.difference, removed.key) == (Difference.MANIFEST_REMOVED, manifests[2].key)
    assert (changed.difference, changed.key) == (Difference.MANIFEST_CHANGED, manifests[2].key)
    assert chained("cluster-A", bodies(manifests[:2])).differences == ()


def test_manifest_of_another_database_is_reported() -> None:
    (manifest,) = chain_of(1)

    (found,) = chained("cluster-B", [(manifest_key("cluster-B", HOUR), manifest.body())]).differences

    assert found.difference is Difference.MANIFEST_CHANGED
