"""Windows, sequences and answers, decided without an OpenSearch."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.detections.detection import Condition, DetectionKind, EventSequence, Level
from daswatch.queries.saved_query import (
    ARRIVAL_OVERLAP,
    INGEST_SECONDS,
    Details,
    Window,
    completed,
    current_window,
    evaluation_times,
    event_indices,
    event_window,
    level_of,
    overlap,
    quiet_parts,
    read_candidate,
    saved_query,
    windows_between,
    windows_with,
)
from daswatch.times import iso_milliseconds
from tests import ROOT
from tests.builders.alerts import a_detection, at, iso

GUESSED = a_detection(
    kind=DetectionKind.SEQUENCE,
    window_seconds=900,
    sequence=EventSequence("activity:a", 5, "activity:b"),
    conditions=(),
)


def test_windows_end_on_a_grid_and_now() -> None:
    windows = windows_between(a_detection(), at(-5), at(1), at(1))

    assert [(window.start, window.end) for window in windows] == [
        (iso(-16), iso(-4)),
        (iso(-14), iso(-2)),
        (iso(-12), iso(0)),
        (iso(-10), iso(1)),
    ]


def test_on_the_grid_the_window_of_now_is_not_asked_twice() -> None:
    assert [window.end for window in windows_between(a_detection(), at(-1), at(), at())] == [iso(0)]


def test_windows_with_a_late_event_all_hold_it() -> None:
    windows = windows_with(a_detection(), at(-60.5), at(-60.5), at())

    assert len(windows) == 6
    assert all(window.start <= iso(-60.5) <= window.end for window in windows)


def test_windows_that_have_not_begun_are_not_asked() -> None:
    assert windows_with(a_detection(), at(90), at(91), at()) == ()


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

    windows = windows_between(detection, oldest, at(), at())

    bounds = [(datetime.fromisoformat(one.start), datetime.fromisoformat(one.end)) for one in windows]
    assert any(start <= first and last <= end for start, end in bounds)


@given(window=st.integers(300, 7200), second=st.integers(0, 20_000))
def test_the_window_of_now_is_a_part_of_the_next_one(window: int, second: int) -> None:
    """So whatever fires now fires there, too, and what is found does not depend on when runs are."""
    detection = a_detection(window_seconds=window)
    now = at() + timedelta(seconds=second)

    current = current_window(detection, now)
    (following,) = (
        event_window(detection, end) for end in evaluation_times(detection, now, now + overlap(detection))[:1]
    )

    assert (current.start, current.end) == (following.start, iso_milliseconds(now))
    assert current.end <= following.end
    assert now - datetime.fromisoformat(current.start) >= timedelta(seconds=window)


def test_parts_between_quiet_times_follow_one_another() -> None:
    parts = quiet_parts(a_detection(), at(-61), at())

    assert [(part.start, part.end) for part in parts] == [
        (iso(-90), iso_milliseconds(at(-60) - timedelta(milliseconds=1))),
        (iso(-60), iso_milliseconds(at(-30) - timedelta(milliseconds=1))),
        (iso(-30), iso_milliseconds(at() - timedelta(milliseconds=1))),
        (iso(0), iso_milliseconds(at(30) - timedelta(milliseconds=1))),
    ]


def test_arrivals_overlap_by_twice_the_time_limit() -> None:
    """A bulk request may be executed after the function that sent it was ended."""
    template = (ROOT / "template.yaml").read_text("utf-8")
    function = template.split("  IngestFunction:\n")[1].split("\n\n")[0]

    assert f"      Timeout: {INGEST_SECONDS}\n" in function
    assert timedelta(seconds=2 * INGEST_SECONDS) < ARRIVAL_OVERLAP


@pytest.mark.parametrize(
    ("first", "last", "indices"),
    [
        (date(2031, 3, 4), date(2031, 3, 4), "das-events-2031.03.04*,das-events-undated*"),
        (date(2031, 2, 28), date(2031, 3, 1), "das-events-2031.02.28*,das-events-2031.03.01*,das-events-undated*"),
        (date(2019, 1, 1), date(2031, 3, 1), "das-events-*"),
    ],
)
def test_only_the_days_that_count_are_searched(first: date, last: date, indices: str) -> None:
    assert event_indices(first, last) == indices


def details_of(happened: str, count: int | None = None) -> Details:
    """A minute each: f is a failure, S a success, . is nothing. As many events as there are letters, or more."""
    begin = datetime(2031, 3, 4, tzinfo=UTC)
    steps = tuple(
        ((begin + timedelta(minutes=minute)).isoformat(), letter == "S")
        for minute, letter in enumerate(happened)
        if letter != "."
    )
    return Details(len(steps) if count is None else count, "", "", (), {}, "", "", "", {}, "", steps)


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
def test_sequence_is_complete_after_enough_first_steps(happened: str, complete: bool) -> None:
    """The last step comes after enough others."""
    assert completed(GUESSED, details_of(happened)) is complete


def test_sequence_of_more_events_than_are_read_is_complete() -> None:
    """Failures after the success would hide it otherwise."""
    assert completed(GUESSED, details_of("fff", count=2_001))


def test_level_is_of_the_most_severe_condition() -> None:
    detection = a_detection(conditions=(Condition("count", 1), Condition("distinct", 5, "objects", level=Level.HIGH)))

    assert level_of(detection, [3, 4]) is Level.MEDIUM
    assert level_of(detection, [9, 5]) is Level.HIGH


@pytest.mark.parametrize("query", ["", "remoteIp:*"])
def test_events_of_a_condition_are_spread_across_a_field(query: str) -> None:
    """Where they are not, its value is 0, so that it gives no level."""
    spread = Condition("count", 40, query=query, across="remoteHost", across_at_least=3)
    detection = a_detection(conditions=(Condition("distinct", 20, "remoteHost"), spread))
    group = saved_query(detection, Window("ingestedAt", iso(-1), iso()))["aggs"]["groups"]["aggs"]
    selector = group["enough"]["bucket_selector"]

    assert selector["script"]["source"] == (
        "params.m0 >= params.limit0 || (params.m1 >= params.limit1 && params.across1 >= params.least1)"
    )
    assert selector["script"]["params"] == {"limit0": 20, "limit1": 40, "least1": 3}
    assert selector["buckets_path"]["across1"] == ("m1>across" if query else "across1")

    def value(hosts: int) -> int:
        spread_over = {"value": hosts}
        found = {"m1": {"doc_count": 45, "across": spread_over}} if query else {"across1": spread_over}
        bucket = {"key": {"resourceId": "cluster-A"}, "doc_count": 45, "m0": {"value": hosts}} | found
        moments = {"first": {"value": 0}, "last": {"value": 0}}
        return read_candidate(detection, bucket | moments).values[1]

    assert (value(2), value(3)) == (0, 45)


def test_a_detection_of_single_events_needs_no_selector() -> None:
    body = saved_query(a_detection(conditions=(Condition("count", 1),)), Window("ingestedAt", iso(-1), iso()))

    assert set(body["aggs"]["groups"]["aggs"]) == {"first", "last"}
