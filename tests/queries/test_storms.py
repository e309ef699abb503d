"""Storms: which groups get an alert of their own, and what the summary of the others says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daswatch.alerts.alert import GROUPS, alert_id
from daswatch.detections.detection import Level
from daswatch.queries.saved_query import Candidate
from daswatch.queries.storms import MAX_GROUPS, MAX_OPEN, divide
from tests.builders.alerts import a_firing, iso

DETECTION = "bruteforce-user"


def a_group(number: int, database: str = "cluster-SHOP", **changes: Any) -> Candidate:
    fields: dict[str, Any] = {
        "resource_id": database,
        "group": {"dbUserName": f"user_{number:05}"},
        "count": 1,
        "first_seen": iso(-5),
        "last_seen": iso(-1),
        "level": Level.LOW,
    }
    return Candidate(**{**fields, **changes})


def found(number: int, database: str = "cluster-SHOP", first: int = 0) -> list[tuple[str, Candidate]]:
    return [(DETECTION, a_group(first + one, database)) for one in range(number)]


def ids(groups: list[tuple[str, Candidate]]) -> set[str]:
    return {alert_id(name, candidate.resource_id, candidate.group) for name, candidate in groups}


@pytest.mark.parametrize("groups", [0, 1, MAX_OPEN])
def test_few_groups_each_get_an_alert(groups: int) -> None:
    assert divide(found(groups), set()) == (list(range(groups)), [])


def test_a_storm_becomes_one_summary_with_the_count() -> None:
    groups = found(10_000)
    groups[7_000] = (DETECTION, a_group(7_000, level=Level.CRITICAL, first_seen=iso(-9)))
    groups[8_000] = (DETECTION, a_group(8_000, count=40))

    kept, (storm,) = divide(groups, set())

    assert len(kept) == MAX_OPEN
    assert {7_000, 8_000} <= set(kept)
    assert (storm.total, storm.kept, storm.alert_id) == (10_000, MAX_OPEN, alert_id(DETECTION, "cluster-SHOP", {}))
    assert (storm.summary.count, storm.summary.level) == (10_039, Level.LOW)
    firing = storm.summarized(a_firing(group={}))
    assert firing.metrics == {GROUPS: 10_000}
    assert firing.note.startswith("10000 groups fired at once, 100 of them with their own alerts.")
    assert "dbUserName user_00098" in firing.note


def test_open_alerts_of_a_storm_go_on_being_updated() -> None:
    groups = found(10_000)
    there = ids(groups[5_000 : 5_000 + MAX_OPEN])

    kept, (storm,) = divide(groups, there)

    assert kept == list(range(5_000, 5_000 + MAX_OPEN))
    assert storm.kept == MAX_OPEN


def test_open_alerts_are_bounded_over_runs() -> None:
    """Each run brings other groups; a summary counts as none of the open alerts."""
    there = {alert_id(DETECTION, "cluster-SHOP", {})}
    for run in range(5):
        groups = found(60, first=1_000 * run)
        kept, storms = divide(groups, there)
        there |= ids([groups[position] for position in kept])
        assert [storm.total for storm in storms] == ([] if run == 0 else [60])

    assert len(there) == MAX_OPEN + 1


def test_another_database_and_detection_are_left_alone() -> None:
    groups = [*found(500), *found(3, "db-LEDGER"), ("superuser-grant", a_group(1))]

    kept, storms = divide(groups, set())

    assert {500, 501, 502, 503} <= set(kept)
    assert [storm.summary.resource_id for storm in storms] == ["cluster-SHOP"]


def test_many_storms_share_what_a_run_can_look_at() -> None:
    groups = [one for number in range(50) for one in found(200, f"cluster-{number:03}")]

    kept, storms = divide([*groups, *found(2, "db-LEDGER")], set())

    assert len(kept) <= MAX_GROUPS
    assert {10_000, 10_001} <= set(kept)
    assert len(storms) == 50


def test_more_databases_than_a_run_looks_at_groups_each_keep_one() -> None:
    groups = [one for number in range(MAX_GROUPS + 1) for one in found(2, f"cluster-{number:04}")]

    kept, storms = divide(groups, set())

    assert len(kept) == len(storms) == MAX_GROUPS + 1


def test_a_summary_shows_no_sql() -> None:
    groups = [(DETECTION, a_group(one, group={"commandText": f"SELECT secret {one}"})) for one in range(300)]

    _, (storm,) = divide(groups, set())

    assert "secret" not in storm.summarized(a_firing(group={})).note


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 250), min_size=1, max_size=8),
    open_share=st.floats(0, 1),
)
def test_every_group_is_kept_or_counted_in_a_storm(sizes: list[int], open_share: float) -> None:
    groups = [one for number, size in enumerate(sizes) for one in found(size, f"cluster-{number}")]
    there = ids(groups[: int(len(groups) * open_share)])

    kept, storms = divide(groups, there)

    assert len(set(kept)) == len(kept)
    assert len(kept) + sum(storm.total - storm.kept for storm in storms) == len(groups)
    assert len(kept) <= MAX_GROUPS
    new = ids([groups[position] for position in kept]) - there
    for number in range(len(sizes)):
        own = {name for name in new if name.split("/")[1] == f"cluster-{number}"}
        before = {name for name in there if name.split("/")[1] == f"cluster-{number}"}
        assert not own or len(own | before) <= MAX_OPEN
