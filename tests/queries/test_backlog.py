"""What a run looks at and what it leaves to the next ones, decided without an OpenSearch."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.queries.backlog import RECENT, Arrivals, Backlog, Span, behind, recent, spans
from tests.builders.alerts import at


def test_a_run_looks_at_what_arrived_since_the_last_one() -> None:
    assert recent(at(-1), at()) == Arrivals(at(-1), at())


def test_after_a_pause_a_run_looks_at_what_is_recent() -> None:
    assert recent(at(-500), at()) == Arrivals(at() - RECENT, at())


def test_who_keeps_up_has_no_backlog() -> None:
    assert behind(None, at(-1), Arrivals(at(-1), at()), failed=False, at=None) is None


def test_a_pause_leaves_a_backlog() -> None:
    left = behind(None, at(-500), Arrivals(at(-15), at()), failed=False, at=None)

    assert left == Backlog(at(-500), at(-15))


def test_a_second_pause_makes_the_backlog_longer() -> None:
    left = behind(Backlog(at(-900), at(-600)), at(-500), Arrivals(at(-15), at()), failed=False, at=None)

    assert left == Backlog(at(-900), at(-15))


def test_what_failed_is_looked_at_again() -> None:
    assert behind(None, at(-1), Arrivals(at(-1), at()), failed=True, at=None) == Backlog(at(-1), at())
    assert behind(Backlog(at(-9), at(-1)), at(-1), Arrivals(at(-1), at()), failed=True, at=None) == Backlog(
        at(-9), at()
    )


def test_late_events_that_did_not_fit_are_left() -> None:
    looked = Arrivals(at(-1), at())

    left = behind(None, at(-1), looked, failed=False, at=at(-9000))

    assert left == Backlog(at(-1), at(), end=at(), at=at(-9000))
    assert left.slice == looked
    assert left.done(at(-500)) == Backlog(at(-1), at(), end=at(), at=at(-500))
    assert left.done(None) is None


def test_a_slice_that_grows_behind_its_end_stays_the_same() -> None:
    left = Backlog(at(-9), at(-8), end=at(-8), at=at(-9000))

    longer = behind(left, at(-1), Arrivals(at(-1), at()), failed=False, at=at(-7000))

    assert longer == Backlog(at(-9), at(), end=at(-8), at=at(-9000))
    assert longer.slice == left.slice
    assert longer.done(None) == Backlog(at(-8), at())


@given(since=st.integers(1, 20_000), length=st.integers(1, 20_000))
def test_slices_cover_a_backlog_and_end(since: int, length: int) -> None:
    backlog: Backlog | None = Backlog(at(-since), at(-since + length))
    reached = at(-since)
    for _ in range(length // 360 + 2):
        if backlog is None:
            break
        assert backlog.slice.since == reached
        assert reached < backlog.slice.until <= at(-since + length)
        reached = backlog.slice.until
        backlog = backlog.done(None)

    assert backlog is None
    assert reached == at(-since + length)


def test_a_slice_that_fails_becomes_shorter() -> None:
    backlog = Backlog(at(-720), at())
    lengths = []
    for _ in range(8):
        lengths.append((backlog.slice.until - backlog.slice.since) / timedelta(minutes=1))
        backlog = backlog.failed()

    assert lengths == [360, 180, 90, 45, 22.5, 15, 15, 15]


def test_one_that_fails_is_looked_at_after_the_others() -> None:
    failing, others = Backlog(at(-900), at()).failed(), [Backlog(at(-20), at()), Backlog(at(-700), at(), at(), at(-9))]

    assert max([failing, *others], key=lambda one: one.order) == failing


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([], []),
        ([(0, 10), (70, 80)], [(0, 80)]),
        ([(0, 10), (600, 610)], [(0, 10), (600, 610)]),
        ([(600, 610), (0, 10)], [(0, 10), (600, 610)]),
        ([(60 * hour, 60 * hour + 59) for hour in range(48)], [(0, 24 * 60 - 1), (24 * 60, 48 * 60 - 1)]),
    ],
    ids=["none", "close", "apart", "in any order", "two days"],
)
def test_late_events_that_are_close_are_looked_at_together(
    hours: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assert spans((at(first), at(last)) for first, last in hours) == [Span(at(a), at(b)) for a, b in expected]
