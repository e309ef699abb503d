"""Backtests: which windows are asked for, and which alerts their answers would have been."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opensearchpy import OpenSearch

from daswatch.alerts.alert import Firing
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind, FirstSeen, Level, Source
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.backtest_runs import BacktestRun
from daswatch.opensearch.saved_queries import Answers, Question
from daswatch.queries.backtests import (
    Backtest,
    Period,
    Sightings,
    Slice,
    bar,
    day_slice,
    episodes,
    history_days,
    not_applicable,
)
from daswatch.queries.saved_query import Candidate, evaluation_times, event_window
from daswatch.times import iso_milliseconds
from tests.builders.alerts import a_detection

MIDNIGHT = datetime(2033, 5, 3, tzinfo=UTC)
DAY = Period(MIDNIGHT, MIDNIGHT + timedelta(days=1))


def iso(minutes: float) -> str:
    return iso_milliseconds(MIDNIGHT + timedelta(minutes=minutes))


def a_candidate(first: float, last: float, **changes: Any) -> Candidate:
    """A group's events between two minutes of the day."""
    fields: dict[str, Any] = {
        "resource_id": "cluster-SHOP",
        "group": {"dbUserName": "shop_app", "remoteHost": "203.0.113.47"},
        "count": 10,
        "first_seen": iso(first),
        "last_seen": iso(last),
        "level": Level.MEDIUM,
    }
    return Candidate(**{**fields, **changes})


class Asked:
    """The endpoint's saved queries: some detections are too slow for a request, or nothing answers any more."""

    def __init__(self, slow: set[str], status: int = 0) -> None:
        self.slow = slow
        self.status = status
        self.requests: list[list[str]] = []

    def ask(self, questions: list[Question], deadline: Deadline) -> Answers:
        names = [one.detection.name.rpartition(" ")[2] for one in questions]
        self.requests.append(names)
        if self.slow & set(names):
            raise SearchUnavailable("OpenSearch does not answer", self.status)
        return Answers([(one.detection, a_candidate(1, 2)) for one in questions])

    def firings(self, *_: object) -> tuple[list[Firing], dict[str, str]]:
        return [], {}


def run_with(asked: Asked, count: int = 4) -> list[Backtest]:
    run = BacktestRun(OpenSearch(), DAY)
    run._queries = asked  # type: ignore[assignment]
    return run.run([replace(an_event_detection(), name=f"detection-{number}") for number in range(count)])


def test_a_detection_too_slow_for_a_request_fails_alone() -> None:
    asked = Asked({"detection-1"})

    answers = run_with(asked)

    assert {one.detection.name: one.failure for one in answers if one.failure} == {
        "detection-1": "OpenSearch does not answer"
    }
    assert all(one.episodes for one in answers if not one.failure)
    assert asked.requests[0] == [one.detection.name for one in answers]


def test_a_details_query_that_fails_keeps_what_was_found() -> None:
    asked = Asked(set())

    def failing(*_: object) -> None:
        raise SearchUnavailable("OpenSearch answered 503", 503)

    asked.firings = failing  # type: ignore[method-assign,assignment]
    (answer,) = run_with(asked, 1)

    assert (len(answer.episodes), answer.failure) == (1, "OpenSearch answered 503")


def test_unreachable_endpoint_is_asked_once() -> None:
    names = {f"detection-{number}" for number in range(20)}
    asked = Asked(names)

    answers = run_with(asked, 20)

    assert {one.detection.name for one in answers if one.failure} == names
    assert [len(one) for one in asked.requests] == [20, 1, 1, 1]


def an_event_detection(**changes: Any) -> Detection:
    return a_detection(kind=DetectionKind.EVENT, window_seconds=0, **changes)


def test_a_span_falls_into_days_that_end_at_midnight() -> None:
    span = Period(datetime(2033, 5, 3, 22, 30, tzinfo=UTC), datetime(2033, 5, 5, 1, tzinfo=UTC))

    assert [(day.begin.isoformat()[5:16], day.end.isoformat()[5:16]) for day in span.days()] == [
        ("05-03T22:30", "05-04T00:00"),
        ("05-04T00:00", "05-05T00:00"),
        ("05-05T00:00", "05-05T01:00"),
    ]


def test_window_ends_a_nanosecond_before_the_next_begins() -> None:
    window = DAY.window

    assert (window.start, window.end) == ("2033-05-03T00:00:00.000Z", "2033-05-03T23:59:59.999999999Z")


def test_the_windows_of_a_day_are_those_of_the_scheduled_runner() -> None:
    detection = a_detection()

    asked = day_slice(detection, DAY).windows

    times = evaluation_times(detection, DAY.begin, DAY.end)
    assert list(asked) == [event_window(detection, at) for at in times if at > DAY.begin]
    assert len(asked) == 24 * 60 / 2  # a window of ten minutes is evaluated every two


def test_slices_without_a_window_cover_the_day() -> None:
    windows = day_slice(an_event_detection(quiet_seconds=3600), DAY).windows

    assert len(windows) == 48
    assert windows[0].start == iso(0)
    assert [window.start for window in windows[1:3]] == [iso(30), iso(60)]
    assert windows[-1].end == DAY.window.end


def test_slices_are_not_endlessly_many() -> None:
    assert len(day_slice(an_event_detection(quiet_seconds=1), DAY).windows) == 24 * 60


def test_a_slice_covers_its_parts_and_ends_in_single_windows() -> None:
    whole = day_slice(a_detection(), DAY)
    parts: list[Slice] = [whole]
    rounds = 0

    while any(len(part.windows) > 1 for part in parts):
        parts = [smaller for part in parts for smaller in part.parts()]
        rounds += 1
        assert tuple(window for part in parts for window in part.windows) == whole.windows
        assert all(part.window.start == part.windows[0].start for part in parts)
        assert all(part.window.end == part.windows[-1].end for part in parts)

    assert rounds == 2


def test_news_within_the_quiet_time_belong_to_one_alert() -> None:
    found = [a_candidate(540, 545), a_candidate(600, 604)]

    assert [(one.first_seen, one.last_seen) for one in episodes(a_detection(), found, DAY.begin)] == [
        (iso(540), iso(604))
    ]


def test_news_after_the_quiet_time_are_another_alert() -> None:
    found = [a_candidate(540, 545), a_candidate(605, 608)]

    assert [one.first_seen for one in episodes(a_detection(quiet_seconds=3600), found, DAY.begin)] == [
        iso(540),
        iso(605),
    ]


def test_overlapping_windows_are_not_added_up() -> None:
    found = [a_candidate(540, 545, count=12), a_candidate(541, 547, count=15), a_candidate(545, 549, count=11)]

    (episode,) = episodes(a_detection(), found, DAY.begin)

    assert episode.count == 15


def test_slices_that_do_not_overlap_are_added_up() -> None:
    found = [a_candidate(540, 545, count=2), a_candidate(570, 571, count=3)]

    (episode,) = episodes(an_event_detection(), found, DAY.begin)

    assert episode.count == 5


def test_alert_has_its_most_severe_level() -> None:
    found = [a_candidate(540, 545, level=Level.HIGH), a_candidate(546, 547)]

    assert [one.level for one in episodes(a_detection(), found, DAY.begin)] == [Level.HIGH]


def test_groups_and_databases_have_alerts_of_their_own() -> None:
    found = [
        a_candidate(540, 545),
        a_candidate(540, 545, resource_id="db-HR"),
        a_candidate(541, 545, group={"dbUserName": "another", "remoteHost": "203.0.113.47"}),
    ]

    assert len(episodes(a_detection(), found, DAY.begin)) == 3


def test_what_ended_before_the_span_is_left_out() -> None:
    found = [a_candidate(-9, -1), a_candidate(-5, 3, resource_id="db-HR")]

    assert [one.resource_id for one in episodes(a_detection(), found, DAY.begin)] == ["db-HR"]


@pytest.mark.parametrize(
    ("changes", "applicable"),
    [
        ({}, True),
        ({"source": Source.CONTROL_PLANE}, True),
        ({"kind": DetectionKind.SILENCE, "source": Source.PULSE}, False),
        ({"kind": DetectionKind.FAILING}, False),
    ],
)
def test_only_what_leaves_events_can_be_replayed(changes: dict[str, Any], applicable: bool) -> None:
    assert (not_applicable(a_detection(**changes)) == "") is applicable


def first_seen(**changes: Any) -> Detection:
    rule = FirstSeen(**{"learn_days": 30, **changes})
    return a_detection(kind=DetectionKind.FIRST_SEEN, window_seconds=0, group=("dbUserName",), first_seen=rule)


def a_sighting(user: str, day: float, **changes: Any) -> Candidate:
    return a_candidate(day * 1440, day * 1440 + 5, group={"dbUserName": user}, **changes)


def test_what_was_seen_before_the_span_is_not_new() -> None:
    sightings = Sightings(first_seen())
    sightings.learn([a_sighting("app", -9)], iso(-30 * 1440))

    assert [one.group["dbUserName"] for one in sightings.new([a_sighting("app", 0), a_sighting("eve", 0)])] == ["eve"]


def test_what_is_new_is_new_once() -> None:
    sightings = Sightings(first_seen())
    sightings.learn([a_sighting("app", -9)], iso(-30 * 1440))
    sightings.new([a_sighting("eve", 0)])

    assert sightings.new([a_sighting("eve", 1)]) == []


def test_a_database_that_comes_up_in_the_span_is_learned_first() -> None:
    sightings = Sightings(first_seen(learn_days=5))
    sightings.learn([a_sighting("app", -9)], iso(-5 * 1440))

    assert sightings.new([a_sighting("eve", 0, resource_id="db-NEW")]) == []
    assert sightings.new([a_sighting("bob", 4, resource_id="db-NEW")]) == []
    assert [one.group["dbUserName"] for one in sightings.new([a_sighting("kim", 6, resource_id="db-NEW")])] == ["kim"]


def test_absence_is_reported_for_known_values() -> None:
    sightings = Sightings(first_seen(absent_days=20))
    sightings.learn([a_sighting("away", -25), a_sighting("here", -3)], iso(-30 * 1440))

    new = sightings.new([a_sighting("away", 0), a_sighting("here", 0), a_sighting("eve", 0)])

    assert [one.group["dbUserName"] for one in new] == ["away"]


def test_the_longer_of_learning_and_absence_has_to_be_known() -> None:
    assert history_days(first_seen(learn_days=30)) == 30
    assert history_days(first_seen(learn_days=30, absent_days=90)) == 90
    assert history_days(a_detection()) == 0


def test_the_noisiest_groups_come_first() -> None:
    quiet = a_candidate(540, 541, group={"dbUserName": "quiet", "remoteHost": "h"}, count=500)
    loud = [a_candidate(minute, minute + 1, count=12) for minute in (10, 200, 1500)]
    answer = Backtest(a_detection(), (loud[0], loud[1], quiet, loud[2]))

    (history,) = answer.noisiest(1)

    assert (history.group, history.alerts, history.events) == (loud[0].group, 3, 36)
    assert (history.first_seen, history.last_seen) == (iso(10), iso(1501))
    assert answer.groups == 2
    assert answer.per_day() == {"2033-05-03": 3, "2033-05-04": 1}


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([], ""),
        ([0], "█"),
        ([1439], "   █"),
        ([-5, 0, 1, 2, 370], "█▂"),
        ([725] * 7 + [1200], "  █▂"),
    ],
)
def test_a_bar_is_as_high_as_what_its_part_holds(minutes: list[float], expected: str) -> None:
    assert bar((iso(minute) for minute in minutes), DAY, 4) == expected
