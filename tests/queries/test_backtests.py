"""Backtests: which windows are asked for, and which alerts their answers would have been."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind, FirstSeen, Level, Source
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.backtest_runs import BacktestRun
from daswatch.opensearch.saved_queries import Answers, Group, MinuteAnswers, Question, WindowAnswers
from daswatch.queries.backtests import (
    Backtest,
    Period,
    Sightings,
    bar,
    episodes,
    not_applicable,
    run_windows,
    whole_window,
)
from daswatch.queries.saved_query import Candidate, Details, current_window, evaluation_times, event_window
from daswatch.times import iso_milliseconds, moment_of
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

    def by_minute(self, questions: list[Question], deadline: Deadline) -> MinuteAnswers:
        names = [one.detection.name for one in questions]
        self.requests.append(names)
        if self.slow & set(names):
            raise SearchUnavailable("OpenSearch does not answer", self.status)
        begin = moment_of(questions[0].window.start)
        found = [(one.detection, begin, a_candidate(1, 2)) for one in questions if begin == DAY.begin]
        return MinuteAnswers(found=found)

    def whole(self, questions: list[Question], deadline: Deadline) -> Answers:
        return Answers()

    def by_window(self, questions: list[Question], deadline: Deadline) -> WindowAnswers:
        return WindowAnswers()

    def details(self, groups: list[Group], deadline: Deadline) -> list[Any]:
        return [
            Details(7, one.since, one.candidate.last_seen, ("a",), {}, "", "", "", {}, one.candidate.last_seen)
            for one in groups
        ]


def run_with(asked: Any, count: int = 4, step: Callable[[], None] = lambda: None) -> list[Backtest]:
    run = BacktestRun(OpenSearch(), DAY, step=step)
    run._queries = asked
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

    asked.details = failing  # type: ignore[method-assign,assignment]
    (answer,) = run_with(asked, 1)

    assert (len(answer.episodes), answer.failure) == (1, "OpenSearch answered 503")


def test_unreachable_endpoint_is_asked_once() -> None:
    names = {f"detection-{number}" for number in range(20)}
    asked = Asked(names)

    answers = run_with(asked, 20)

    assert {one.detection.name for one in answers if one.failure} == names
    assert [len(one) for one in asked.requests] == [20, 1, 1, 1]


def test_an_interrupted_run_keeps_what_it_found() -> None:
    days: list[int] = []

    def step() -> None:
        days.append(1)
        if len(days) == 2:  # the day of the lead-in, then that of the span
            raise KeyboardInterrupt

    (answer,) = run_with(Asked(set()), 1, step)

    assert [one.first_seen for one in answer.episodes] == [iso(1)]


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


def test_a_run_looks_at_what_ended_since_the_last_one() -> None:
    detection = a_detection()  # a window of ten minutes, every two
    hour = Period(MIDNIGHT, MIDNIGHT + timedelta(hours=1))

    windows = run_windows(detection, hour)

    assert [one.run for one in windows] == [MIDNIGHT + timedelta(minutes=minute) for minute in range(1, 61)]
    assert [one.ended for one in windows[:4]] == [False, True, False, True]
    ended = [one.window for one in windows if one.ended]
    assert ended == [event_window(detection, at) for at in evaluation_times(detection, MIDNIGHT, hour.end)][1:]
    assert windows[0].window == current_window(detection, windows[0].run)


@pytest.mark.parametrize("seconds", [600, 780, 86_400])
def test_one_window_covers_those_of_all_runs(seconds: int) -> None:
    detection = a_detection(window_seconds=seconds)

    whole = whole_window(detection, DAY)
    windows = [one.window for one in run_windows(detection, DAY)]

    assert whole.start == min(one.start for one in windows)
    assert whole.end == max(one.end for one in windows)


def test_a_span_that_ends_within_a_minute_has_a_last_run() -> None:
    runs = Period(MIDNIGHT, MIDNIGHT + timedelta(seconds=90)).runs()

    assert [(run - MIDNIGHT).total_seconds() for run in runs] == [60, 90]


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


def sightings_of(detection: Detection, *before: Candidate, oldest: float = -400) -> Sightings:
    """What was seen before, of what is indexed since so many days."""
    sightings = Sightings(detection, SPAN)
    sightings.learn(before)
    sightings.learned(MIDNIGHT + timedelta(days=oldest) if before else None)
    return sightings


def users(new: Iterable[tuple[datetime, Candidate]]) -> list[str]:
    return [one.group["dbUserName"] for _, one in new]


SPAN = Period(MIDNIGHT, MIDNIGHT + timedelta(days=100))
LONG_AGO = a_sighting("app", -400)


def test_what_was_seen_before_the_span_is_not_new() -> None:
    sightings = sightings_of(first_seen(), LONG_AGO)

    assert users(sightings.new([a_sighting("app", 0), a_sighting("eve", 0)])) == ["eve"]


def test_a_new_sighting_is_as_its_run_sees_it() -> None:
    sightings = sightings_of(first_seen(), LONG_AGO)

    ((run, new),) = sightings.new([a_candidate(10.5, 700, group={"dbUserName": "eve"})])

    assert (run, new.first_seen, new.last_seen) == (MIDNIGHT + timedelta(minutes=11), iso(10.5), iso(11))


def test_what_is_new_is_new_once() -> None:
    sightings = sightings_of(first_seen(), LONG_AGO)
    sightings.new([a_sighting("eve", 0)])

    assert sightings.new([a_sighting("eve", 1)]) == []


def test_a_database_that_comes_up_in_the_span_is_learned_first() -> None:
    sightings = sightings_of(first_seen(learn_days=5), LONG_AGO)

    assert sightings.new([a_sighting("eve", 0, resource_id="db-NEW")]) == []
    assert sightings.new([a_sighting("bob", 4, resource_id="db-NEW")]) == []
    assert users(sightings.new([a_sighting("kim", 6, resource_id="db-NEW")])) == ["kim"]


def test_a_database_that_came_up_before_the_span_is_learned_still() -> None:
    sightings = sightings_of(first_seen(learn_days=5), LONG_AGO, a_sighting("eve", -2, resource_id="db-NEW"))

    assert sightings.new([a_sighting("bob", 1, resource_id="db-NEW")]) == []
    assert users(sightings.new([a_sighting("kim", 4, resource_id="db-NEW")])) == ["kim"]


def test_databases_of_a_short_history_count_as_learned() -> None:
    """Events are deleted after a while: what was there at the begin of the history was there before."""
    sightings = sightings_of(first_seen(learn_days=30), a_sighting("app", -8), oldest=-8)

    assert users(sightings.new([a_sighting("eve", 0)])) == ["eve"]
    assert sightings.note == "8 days before are indexed, of 30 in which it learns: what is older counts as never seen"


def test_absence_is_reported_for_known_values() -> None:
    away, here = a_sighting("away", -95), a_sighting("here", -3)
    sightings = sightings_of(first_seen(absent_days=90), LONG_AGO, away, here)

    new = sightings.new([a_sighting("away", 0), a_sighting("here", 0), a_sighting("eve", 0)])

    assert users(new) == ["away"]


def test_absence_may_begin_in_the_span() -> None:
    sightings = sightings_of(first_seen(absent_days=90), LONG_AGO)
    sightings.new([a_sighting("kim", 1)])

    assert users(sightings.new([a_sighting("kim", 92)])) == ["kim"]


def noted(user: str, first: float, last: float) -> dict[str, dict[str, str]]:
    """A document of das-seen."""
    name = a_sighting(user, 0).alert_id("bruteforce-user")
    return {name: {"resourceId": "cluster-SHOP", "firstSeen": iso(first * 1440), "lastSeen": iso(last * 1440)}}


def test_what_the_runner_noted_outlives_the_events() -> None:
    """The events of an account that was away are gone; das-seen has when it was there last."""
    sightings = sightings_of(first_seen(absent_days=90), a_sighting("app", -30), oldest=-30)
    found = [a_sighting("away", 1), a_sighting("since-then", 1)]

    assert len(sightings.unknown(found)) == 2
    sightings.remember(noted("away", -300, -120) | noted("since-then", 1, 2))

    assert users(sightings.new(found)) == ["away"]


def test_what_the_runner_noted_is_not_new() -> None:
    sightings = sightings_of(first_seen(), a_sighting("app", -40), oldest=-40)
    sightings.remember(noted("eve", -200, 3))

    assert sightings.new([a_sighting("eve", 1)]) == []


def test_without_a_history_nothing_is_new() -> None:
    sightings = sightings_of(first_seen())

    assert sightings.new([a_sighting("eve", 0)]) == []
    assert sightings.note.startswith("nothing is indexed of the 30 days before")


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
