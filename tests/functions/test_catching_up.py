"""A runner that was away, events that come late, queries that are slow: each run is bounded, and all is found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opensearchpy import OpenSearch

from daswatch.alerts.alert import Alert
from daswatch.deadline import Deadline
from daswatch.detections.samples import documents
from daswatch.documents.document import Document, Flattening
from daswatch.opensearch.alert_index import AlertIndex, Progress
from daswatch.times import iso_milliseconds
from demo.indexed import documents_of
from demo.traffic import produce
from findings_lambda.run_report import RunReport
from tests.fakes.proxy import Exchange, Proxy, Request, Response, answer
from tests.harness.runs import DETECTIONS, FAILED_LOGINS, RunHarness, sample

pytestmark = pytest.mark.node

NOW = datetime(2031, 3, 4, 12, 31, tzinfo=UTC)
DATABASE = "cluster-CATCHINGUP"
MOST = 3  # times the searches of a run without anything to catch up with


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


def made(harness: RunHarness, detection: str, end: datetime, arrived: datetime | None = None) -> list[Document]:
    """A sample's events as documents, ending at a time, not indexed yet."""
    words = FAILED_LOGINS if detection == "bruteforce-user" else ""
    flattening = Flattening(iso_milliseconds(arrived or end), index_prefix=harness.prefix)
    return list(documents(sample(detection, words), DATABASE, end, flattening))


def what_is_known(harness: RunHarness) -> dict[str, tuple[Any, ...]]:
    """Of each alert what does not depend on when it was found."""
    return {name: _timeless(alert) for name, alert in harness.alerts().items()}


def _timeless(alert: Alert) -> tuple[Any, ...]:
    return (
        alert.level,
        alert.group,
        alert.count,
        alert.first_seen,
        alert.last_seen,
        alert.metrics,
        alert.samples,
    )


def run_until_caught_up(harness: RunHarness, begin: datetime, most: int) -> list[RunReport]:
    """A run each minute until nothing is behind; at most so many."""
    reports: list[RunReport] = []
    while not reports or reports[-1].behind:
        assert len(reports) < most, reports[-1]
        reports.append(harness.run(begin + timedelta(minutes=len(reports))))
    return reports


def searches_of_a_quiet_run(harness: RunHarness) -> int:
    return len([one for one in harness.detections if one.enabled and one.kind != "failing"]) + 1


def test_interrupted_runner_finds_the_same(with_all: RunHarness) -> None:
    """Over eight hours of traffic with every scenario, and groups that fire again after a while."""
    begin = NOW - timedelta(hours=8)
    records = produce(7, begin, 8_000, events_per_second=8_000 / (8 * 3600), heartbeats=False)
    history = list(documents_of(records, with_all.prefix))
    for minute in (-400, -390, -180, -1):
        history += made(with_all, "bruteforce-user", minutes(minute))
    for minute in (-470, -430, -385, -340, -200, -130, -90, -45, -2):
        history += made(with_all, "superuser-grant", minutes(minute))
    for begin_of_bulk in range(0, len(history), 2000):
        with_all.write(history[begin_of_bulk : begin_of_bulk + 2000])
    moment = begin
    while moment < NOW:
        with_all.run(moment, topic=False)
        moment += timedelta(minutes=20)
    with_all.run(NOW, topic=False)
    steady = what_is_known(with_all)
    with_all.forget()

    with_all.run(begin, topic=False)
    reports = run_until_caught_up(with_all, NOW, 12)

    assert what_is_known(with_all) == steady
    assert len(steady) > 15
    assert len({name.split("/")[0] for name in steady}) > 8
    assert all(report.searches <= MOST * searches_of_a_quiet_run(with_all) for report in reports)
    marks = [min(report.behind.values()) for report in reports if report.behind]
    assert marks == sorted(set(marks))


def test_what_just_happened_is_found_first(with_all: RunHarness) -> None:
    with_all.run(NOW - timedelta(days=7))
    with_all.write([*made(with_all, "superuser-grant", minutes(-1)), *made(with_all, "bruteforce-user", minutes(-2))])

    report = with_all.run(NOW)

    assert {alert.detection for alert in with_all.alerts().values()} >= {"superuser-grant", "bruteforce-user"}
    assert report.behind


def test_seven_days_are_caught_up_with_in_bounded_runs(with_all: RunHarness) -> None:
    with_all.run(NOW - timedelta(days=7))
    for day in (6, 4, 2):
        with_all.write(made(with_all, "superuser-grant", NOW - timedelta(days=day)))

    reports = run_until_caught_up(with_all, NOW, 40)

    # The same grants are privilege-grant's, too.
    assert sum(report.raised for report in reports) == 2 * 3
    (alert,) = [one for one in with_all.alerts().values() if one.detection == "superuser-grant"]
    assert alert.first_seen[:10] == (NOW - timedelta(days=2)).date().isoformat()
    assert all(report.searches <= MOST * searches_of_a_quiet_run(with_all) for report in reports)


def test_an_episode_that_began_in_a_backlog_is_whole(harness: RunHarness) -> None:
    """What just arrived is looked at first: its alert has the begin of its episode, which is a part of the backlog."""
    harness.run(NOW - timedelta(hours=20))
    for minute in range(-240, 0, 40):
        harness.write(made(harness, "superuser-grant", minutes(minute)))
    harness.write(made(harness, "superuser-grant", minutes(-400)))
    harness.write(made(harness, "superuser-grant", minutes(-1)))

    harness.run(NOW)

    (alert,) = [one for one in harness.alerts().values() if one.detection == "superuser-grant"]
    run_until_caught_up(harness, minutes(1), 10)
    (later,) = [one for one in harness.alerts().values() if one.detection == "superuser-grant"]
    assert _timeless(later) == _timeless(alert)
    assert iso_milliseconds(minutes(-242)) < alert.first_seen < iso_milliseconds(minutes(-240))
    assert alert.episode == later.episode == 1


def test_episodes_of_many_groups_in_a_backlog_are_whole(harness: RunHarness) -> None:
    """Their begins are searched for together."""
    harness.detections = [DETECTIONS["superuser-grant"]]
    harness.run(NOW - timedelta(hours=20))
    databases = [f"cluster-GROUP{number:02}" for number in range(30)]
    grant = sample("superuser-grant")
    for database in databases:
        for minute in (-240, -200, -160, -120, -80, -40, -1):
            harness.happen(grant, minutes(minute), database=database)

    report = harness.run(NOW)

    alerts = harness.alerts().values()
    assert {alert.database.resource_id for alert in alerts} == set(databases)
    assert all(alert.first_seen < iso_milliseconds(minutes(-239)) for alert in alerts)
    assert report.searches < len(databases)


@pytest.fixture
def many_days(harness: RunHarness) -> RunHarness:
    """An event in each of 40 days, and one long before."""
    days = [*range(40), 100]
    events = [one for day in days for one in made(harness, "mass-delete", NOW - timedelta(days=day, hours=3))]
    harness.write(events)
    return harness


def test_an_event_that_is_very_late_costs_little(many_days: RunHarness) -> None:
    """Only the windows that hold it are asked, in its own day's index."""
    many_days.run(NOW)
    run_until_caught_up(many_days, minutes(1), 30)
    quiet = many_days.run(minutes(60))
    quiet = many_days.run(minutes(61))
    assert quiet.searches == searches_of_a_quiet_run(many_days)
    late = NOW - timedelta(days=100)
    many_days.write(made(many_days, "bruteforce-user", late, arrived=minutes(62)))
    many_days.write(made(many_days, "superuser-grant", late, arrived=minutes(62)))

    reports = [many_days.run(minutes(number)) for number in range(62, 70)]

    assert {alert.detection for alert in many_days.alerts().values()} >= {"superuser-grant", "bruteforce-user"}
    assert all(report.searches <= MOST * quiet.searches for report in reports)
    assert not any(report.behind for report in reports)
    assert reports[-1].searches == quiet.searches


def test_events_of_many_days_that_arrive_at_once_are_worked_off(harness: RunHarness) -> None:
    harness.detections = [DETECTIONS["superuser-grant"], DETECTIONS["bruteforce-user"]]
    harness.run(minutes(0))
    days = [NOW - timedelta(days=day) for day in range(1, 41)]
    harness.write(one for day in days for one in made(harness, "superuser-grant", day, arrived=minutes(1)))
    harness.write(made(harness, "bruteforce-user", NOW - timedelta(days=33), arrived=minutes(1)))

    reports = run_until_caught_up(harness, minutes(1), 60)

    assert {alert.detection for alert in harness.alerts().values()} == {"superuser-grant", "bruteforce-user"}
    assert len(reports) > 2
    assert all(report.searches <= 60 for report in reports)


def test_a_database_whose_clock_is_an_hour_behind_costs_little(harness: RunHarness) -> None:
    quiet = searches_of_a_quiet_run(harness)
    harness.run(minutes(-1))
    reports = []
    for minute in range(0, 90, 5):
        harness.write(made(harness, "mass-delete", minutes(minute - 60), arrived=minutes(minute)))
        if minute == 45:
            harness.write(made(harness, "bruteforce-user", minutes(-15), arrived=minutes(minute)))
        reports.append(harness.run(minutes(minute + 1)))

    assert "bruteforce-user" in {alert.detection for alert in harness.alerts().values()}
    assert all(report.searches <= MOST * quiet for report in reports)
    assert not any(report.behind for report in reports)


def test_events_ahead_of_our_clock_are_found(harness: RunHarness) -> None:
    late_evening = datetime(2031, 3, 4, 23, 58, tzinfo=UTC)
    harness.run(late_evening)
    harness.write(
        made(harness, "superuser-grant", late_evening + timedelta(minutes=9), late_evening + timedelta(seconds=30))
    )
    harness.write(made(harness, "mass-delete", late_evening + timedelta(days=30), late_evening + timedelta(seconds=30)))

    harness.run(late_evening + timedelta(minutes=1))

    alerts = {alert.detection: alert for alert in harness.alerts().values()}
    assert {"superuser-grant", "mass-delete"} <= set(alerts)
    assert alerts["superuser-grant"].last_seen.startswith("2031-03-05T00:06:59")


def test_a_document_that_is_visible_late_is_found(harness: RunHarness) -> None:
    """A bulk request that is executed after the function that sent it was ended: it keeps its time of arrival."""
    harness.run(minutes(0))
    harness.run(minutes(3))
    harness.run(minutes(4))
    harness.write(made(harness, "superuser-grant", minutes(-0.5), arrived=minutes(0)))

    harness.run(minutes(5))

    assert "superuser-grant" in {alert.detection for alert in harness.alerts().values()}


def a_red_index(harness: RunHarness, day: datetime) -> str:
    """An index that no node may hold."""
    name = f"{harness.prefix}-{day:%Y.%m.%d}"
    settings = {"index.routing.allocation.require.nowhere": "none", "index.number_of_replicas": 0}
    harness.search.indices.create(index=name, body={"settings": settings}, params={"wait_for_active_shards": "0"})
    return name


def test_half_an_answer_is_a_failure_until_it_is_whole(harness: RunHarness) -> None:
    """While the day's index is red nothing is taken for looked at; when it is there, everything is."""
    harness.detections = [DETECTIONS["superuser-grant"], DETECTIONS["bruteforce-user"], DETECTIONS["das-failing"]]
    harness.write(made(harness, "mass-delete", NOW - timedelta(days=1)))
    harness.run(minutes(0))
    red = a_red_index(harness, NOW)
    reports = [harness.run(minutes(number)) for number in range(1, 9)]
    harness.search.indices.delete(index=red)
    harness.write(made(harness, "superuser-grant", minutes(1), arrived=minutes(1)))
    harness.write(made(harness, "bruteforce-user", minutes(2), arrived=minutes(2)))

    harness.run(minutes(9))
    after = harness.run(minutes(10))

    assert all({"superuser-grant", "bruteforce-user"} <= set(report.failing) for report in reports)
    assert {"superuser-grant", "bruteforce-user"} <= set(reports[-1].behind)
    assert {alert.detection for alert in harness.alerts().values()} >= {"superuser-grant", "bruteforce-user"}
    assert not after.behind
    assert not after.failing


def test_an_old_index_that_is_red_stops_no_detection(harness: RunHarness) -> None:
    harness.write(made(harness, "superuser-grant", minutes(-1)))
    a_red_index(harness, NOW - timedelta(days=90))

    report = harness.run(NOW)

    assert "superuser-grant" in {alert.detection for alert in harness.alerts().values()}
    assert set(report.failing) == {"late-arrivals"}


def test_a_query_that_fails_does_not_hold_up_the_others_backlog(harness: RunHarness) -> None:
    harness.detections = [DETECTIONS["superuser-grant"], DETECTIONS["mass-delete"]]
    harness.run(NOW - timedelta(days=2))
    harness.write(made(harness, "superuser-grant", NOW - timedelta(days=1)))
    harness.detections[1] = replace(harness.detections[1], query='commandText:"unbalanced')
    harness.write(made(harness, "mass-delete", minutes(-1)))

    for number in range(20):  # a slice in each at least
        report = harness.run(minutes(number))

    assert set(report.behind) == {"mass-delete"}
    assert "superuser-grant" in {alert.detection for alert in harness.alerts().values()}


def names_day_before(request: Request) -> bool:
    return request.path.startswith("/_msearch") and b"2031.03.03" in request.body


def test_a_slice_that_cannot_be_asked_about_is_tried_again(
    harness: RunHarness, proxy: Proxy, behind: OpenSearch
) -> None:
    """OpenSearch refuses every request about yesterday: the run ends as usual, and what just arrived is raised."""
    harness.run(NOW - timedelta(days=1))
    harness.write(made(harness, "superuser-grant", NOW - timedelta(hours=20)))
    harness.write(made(harness, "bruteforce-user", minutes(-1)))
    proxy.on(names_day_before, answer(429))

    report = harness.run(NOW, search=behind)

    assert "bruteforce-user" in {alert.detection for alert in harness.alerts().values()}
    assert "429" in report.failing["superuser-grant"]
    assert "superuser-grant" in report.behind
    proxy.behave()
    run_until_caught_up(harness, minutes(1), 20)
    assert "superuser-grant" in {alert.detection for alert in harness.alerts().values()}


def test_failed_search_for_late_events_is_repeated(harness: RunHarness, proxy: Proxy, behind: OpenSearch) -> None:
    def without_hours(exchange: Exchange) -> Response:
        if b'"hours"' not in exchange.request.body:
            return exchange.forward()
        return Response.of_json(200, {"responses": [{"error": {"type": "circuit_breaking_exception"}, "status": 429}]})

    harness.run(minutes(0))
    harness.write(made(harness, "superuser-grant", minutes(-600), arrived=minutes(1)))
    proxy.on(lambda request: request.path.startswith("/_msearch"), without_hours)

    report = harness.run(minutes(2), search=behind)

    assert report.failing["late-arrivals"] == "circuit_breaking_exception"
    assert "superuser-grant" in report.behind
    assert "das-silent" not in report.behind
    proxy.behave()
    run_until_caught_up(harness, minutes(3), 5)
    assert "superuser-grant" in {alert.detection for alert in harness.alerts().values()}


def test_a_note_of_an_earlier_version_is_read(harness: RunHarness) -> None:
    behind = iso_milliseconds(NOW - timedelta(days=1))
    document = {"since": iso_milliseconds(minutes(-1)), "behind": {"superuser-grant": behind}}
    harness.search.index(index=harness.indices.runs, id="scheduled", body=document, params={"refresh": "true"})
    harness.write(made(harness, "superuser-grant", NOW - timedelta(hours=20)))

    reports = run_until_caught_up(harness, NOW, 10)

    assert "superuser-grant" in {alert.detection for alert in harness.alerts().values()}
    assert set(reports[0].behind) <= {"superuser-grant"}


def test_how_far_a_run_came_is_kept_as_it_is(harness: RunHarness) -> None:
    index = AlertIndex(harness.search, harness.indices)
    harness.run(NOW - timedelta(days=1))
    harness.run(NOW)

    noted = index.progress(Deadline.after(60))

    assert noted
    assert noted.backlogs
    assert Progress.of(noted.document(), noted.version or (0, 0)) == noted


def test_detections_are_behind_by_what_is_theirs(harness: RunHarness) -> None:
    """Silence has no history: it is never looked for in a backlog."""
    harness.run(NOW - timedelta(days=1))

    report = harness.run(NOW)

    assert Counter(report.behind)["das-silent"] == 0
