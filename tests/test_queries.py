"""Windows, sequences and answers, decided without an OpenSearch."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.detections import Condition, EventSequence, Kind, Level
from daswatch.queries import (
    ARRIVAL_OVERLAP,
    LATEST,
    arrival_window,
    completed,
    evaluation_times,
    event_indices,
    event_window,
    level_of,
    overlap,
    saved_query,
)
from tests.alerting import a_detection, at, iso

GUESSED = a_detection(
    kind=Kind.SEQUENCE, window_seconds=900, sequence=EventSequence("activity:a", 5, "activity:b"), conditions=()
)


def test_usually_a_window_ends_now() -> None:
    assert evaluation_times(a_detection(), at(-1), at(-4), at()) == [at()]


def test_after_a_pause_windows_end_in_between_too() -> None:
    times = evaluation_times(a_detection(), at(-30), None, at())

    assert times[-1] == at()
    assert all(later - earlier <= overlap(a_detection()) for earlier, later in pairwise(times))
    assert times[0] - at(-30) <= overlap(a_detection())


def test_late_events_are_looked_at_where_they_happened() -> None:
    assert evaluation_times(a_detection(), at(-1), at(-60), at())[0] <= at(-60) + overlap(a_detection())


def test_what_is_later_than_the_streams_retention_is_a_replay() -> None:
    times = evaluation_times(a_detection(), at(-1), at() - timedelta(days=400), at())

    assert times[0] >= at() - LATEST
    assert len(times) <= LATEST / overlap(a_detection()) + 1


@given(
    window=st.integers(300, 7200),
    begin=st.integers(0, 20_000),
    length=st.floats(0, 1),
    lateness=st.integers(0, 20_000),
)
def test_a_burst_no_longer_than_its_window_is_inside_one_look(
    window: int, begin: int, length: float, lateness: int
) -> None:
    """Wherever a burst lies between the oldest event and now, one of the windows holds all of it."""
    detection = a_detection(window_seconds=window)
    first = at() - timedelta(seconds=begin)
    last = first + timedelta(seconds=min(window * length, begin))
    oldest = first - timedelta(seconds=lateness)

    windows = [event_window(detection, end) for end in evaluation_times(detection, oldest, None, at())]

    bounds = [(datetime.fromisoformat(one.start), datetime.fromisoformat(one.end)) for one in windows]
    assert any(start <= first and last <= end for start, end in bounds)


def test_the_grid_of_windows_is_the_same_for_every_run() -> None:
    once = set(evaluation_times(a_detection(), at(-30), None, at())[:-1])
    later = set(evaluation_times(a_detection(), at(-20), None, at(3))[:-1])

    assert {time for time in later if time < at()} <= once


def test_what_arrived_is_looked_at_a_little_twice() -> None:
    window = arrival_window(at(-1), at())

    assert (window.time_field, window.start, window.end) == (
        "ingestedAt",
        (at(-1) - ARRIVAL_OVERLAP).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        iso(),
    )


@pytest.mark.parametrize(
    ("first", "last", "indices"),
    [
        (date(2031, 3, 4), date(2031, 3, 4), "das-events-2031.03.04,das-events-undated"),
        (date(2031, 2, 28), date(2031, 3, 1), "das-events-2031.02.28,das-events-2031.03.01,das-events-undated"),
        (date(2019, 1, 1), date(2031, 3, 1), "das-events-*"),
    ],
)
def test_only_the_days_that_count_are_searched(first: date, last: date, indices: str) -> None:
    assert event_indices(first, last) == indices


def steps(text: str) -> list[tuple[str, bool]]:
    """A minute each: f is a failure, S a success, . is nothing."""
    begin = datetime(2031, 3, 4, tzinfo=UTC)
    return [
        ((begin + timedelta(minutes=minute)).isoformat(), letter == "S")
        for minute, letter in enumerate(text)
        if letter != "."
    ]


@pytest.mark.parametrize(
    ("happened", "complete"),
    [
        ("fffffS", True),
        ("ffffS", False),
        ("Sfffff", False),
        ("ffSfff", False),
        ("fffSffS", True),
        ("fffff..........S", True),
        ("fffff...........S", False),
        ("f....f....f....f....f....S", False),
        ("SSSfffffSSS", True),
        ("", False),
    ],
)
def test_a_sequence_is_complete_when_the_last_step_comes_after_enough_others(happened: str, complete: bool) -> None:
    assert completed(GUESSED, steps(happened)) is complete


def test_the_gravest_condition_that_holds_tells_the_level() -> None:
    detection = a_detection(conditions=(Condition("count", 1), Condition("distinct", 5, "objects", level=Level.HIGH)))

    assert level_of(detection, [3, 4]) is Level.MEDIUM
    assert level_of(detection, [9, 5]) is Level.HIGH


def test_a_detection_of_single_events_needs_no_selector() -> None:
    body = saved_query(a_detection(conditions=(Condition("count", 1),)), arrival_window(at(), at()))

    assert set(body["aggs"]["groups"]["aggs"]) == {"first", "last"}
