"""Prompt looks on a real node: the same alerts as by the schedule, sooner, once, and at a bounded cost."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.detections.detection import DetectionKind
from daswatch.detections.samples import Sample
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.look_claims import LookClaims
from daswatch.opensearch.saved_queries import SavedQueries
from daswatch.times import iso_milliseconds
from findings_lambda.prompt_looks import INTERVAL, PromptLooks
from findings_lambda.run_report import RunReport
from tests.fakes.clock import Clock
from tests.fakes.proxy import Proxy, answer
from tests.harness.findings import FindingsFunction
from tests.harness.runs import (
    DETECTIONS,
    FAILED_LOGINS,
    NOW,
    RUN_SECONDS,
    RunHarness,
    Steps,
    Stopped,
    minutes,
    only,
    sample,
)

pytestmark = pytest.mark.node

GRANT = "superuser-grant"
GRANT_TITLE = DETECTIONS[GRANT].title


def look(
    harness: RunHarness, now: datetime, steps: Steps | None = None, *, clock: Clock | None = None, **options: Any
) -> RunReport:
    """One look of a function that has just started."""
    return harness.runner(steps, **options).look(now, Deadline.after(RUN_SECONDS, clock or Clock()))


def seconds(number: float) -> datetime:
    return NOW + timedelta(seconds=number)


def state(harness: RunHarness) -> dict[str, tuple[object, ...]]:
    """Of each alert, what does not depend on when it was found."""
    return {
        name: (
            alert.state,
            alert.level,
            alert.episode,
            alert.notified_episode,
            alert.count,
            alert.first_seen,
            alert.last_seen,
            alert.metrics,
            alert.actors,
            alert.samples,
            alert.arrived_at,
            bool(alert.published),
        )
        for name, alert in harness.alerts().items()
    }


def many_users(attack: Sample, users: int) -> Sample:
    """The attack by so many users at once."""
    *before, last = attack.steps
    names = [f"ops_{number}" for number in range(users)]
    step = {**last, "times": users, "apart": 0.001, "each": {"dbUserName": names}}
    return replace(attack, steps=(*before, step))


# One result, whichever was first.


def test_a_look_raises_what_one_event_is_enough_for(harness: RunHarness) -> None:
    harness.happen(sample(GRANT), NOW)

    report = look(harness, seconds(2))

    alert = next(one for one in harness.alerts().values() if one.detection == GRANT)
    assert (alert.level.value, alert.count, alert.episode) == ("high", 1, 1)
    assert report.looks == 1
    assert report.arrived_at == iso_milliseconds(NOW)
    assert any(f"/{GRANT}/" in name for name in harness.findings())
    assert len(harness.mails()) == 1


def test_a_look_asks_prompt_detections_only(with_all: RunHarness) -> None:
    with_all.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)

    report = look(with_all, seconds(2))

    assert report.detections == len([one for one in DETECTIONS.values() if one.enabled and one.prompt is not None])
    assert not with_all.alerts()


@pytest.mark.parametrize(
    "name", [name for name, one in DETECTIONS.items() if one.enabled and one.prompt and one.kind is DetectionKind.EVENT]
)
def test_the_schedule_finds_nothing_new_after_a_look(harness: RunHarness, name: str) -> None:
    only(harness, name)
    harness.happen(sample(name), NOW)
    look(harness, seconds(2))
    before, mails = state(harness), harness.mails()

    report = harness.run(seconds(30))

    assert before
    assert len(mails) == len(before)
    assert state(harness) == before
    assert not harness.mails()
    assert (report.raised, report.sent.findings, report.sent.messages) == (0, 0, 0)


@pytest.mark.parametrize("looks", [(), (2,), (2, 8), (2, 8, 40, 70)])
def test_counts_do_not_depend_on_looks(harness: RunHarness, looks: tuple[float, ...]) -> None:
    """Events before, between and after looks and runs end in the alert that one run alone would raise."""
    only(harness, GRANT)
    attack = sample(GRANT)
    happened = [0.0, 6.0, 39.0, 65.0]
    moments = sorted(
        [*((at, "event") for at in happened), *((at, "look") for at in looks), (30.0, "run"), (90.0, "run")]
    )

    for at, what in moments:
        match what:
            case "event":
                harness.happen(attack, seconds(at))
            case "look":
                look(harness, seconds(at))
            case _:
                harness.run(seconds(at))

    ((_, alert),) = harness.alerts().items()
    assert (alert.count, alert.episode, alert.notified_episode) == (4, 1, 1)
    assert alert.first_seen == iso_milliseconds(seconds(-1))
    assert alert.last_seen == iso_milliseconds(seconds(64))
    assert len(harness.mails()) == len(harness.findings()) == 1


def test_an_event_that_arrives_late_is_the_schedules(harness: RunHarness) -> None:
    only(harness, GRANT)
    harness.run(minutes(-1))
    harness.happen(sample(GRANT), minutes(-180), arrived=NOW)

    assert look(harness, seconds(2)).raised == 0
    assert harness.run(seconds(30)).raised == 1


def test_an_episode_in_a_gap_of_the_schedule_is_counted_from_its_begin(harness: RunHarness) -> None:
    """The schedule paused for an hour: what it did not evaluate yet belongs to the episode that a look finds."""
    only(harness, GRANT)
    harness.run(minutes(-60))
    harness.happen(sample(GRANT), minutes(-20))
    harness.happen(sample(GRANT), NOW)

    look(harness, seconds(2))

    ((_, alert),) = harness.alerts().items()
    assert alert.count == 2
    harness.run(seconds(30))
    harness.run(seconds(90))
    assert [one.count for one in harness.alerts().values()] == [2]
    assert len(harness.mails()) == 1


def test_a_look_before_the_first_run_leaves_its_mark_alone(harness: RunHarness) -> None:
    only(harness, GRANT, "bruteforce-user")
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), minutes(-10))
    harness.happen(sample(GRANT), NOW)

    look(harness, seconds(2))
    harness.run(seconds(30))

    assert {alert.detection for alert in harness.alerts().values()} == {GRANT, "bruteforce-user"}


def test_a_look_and_a_run_at_once_raise_once(harness: RunHarness) -> None:
    only(harness, GRANT)
    harness.happen(many_users(sample(GRANT), 20), NOW)
    work: list[Callable[[], object]] = [
        lambda: look(harness, seconds(2)),
        lambda: harness.run(seconds(2)),
        lambda: look(harness, seconds(2)),
    ]
    threads = [threading.Thread(target=one) for one in work]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    harness.run(minutes(3))

    alerts = harness.alerts().values()
    assert [(alert.count, alert.episode, alert.notified_episode) for alert in alerts] == [(1, 1, 1)] * 20
    assert len(harness.findings()) == 20
    counted = [re.search(r"(\d+) new alerts", subject) for subject in harness.mails()]
    assert (
        sum(int(found[1]) if found else 1 for found in counted) == 20
    )  # each in one message, by whichever look it was written


def test_what_another_runner_wrote_meanwhile_is_left_to_the_schedule(
    harness: RunHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(harness, GRANT)
    harness.happen(sample(GRANT), NOW)
    firings = SavedQueries.firings

    def overtaken(self: SavedQueries, *args: Any) -> Any:
        found = firings(self, *args)
        monkeypatch.undo()
        harness.run(seconds(1))
        return found

    monkeypatch.setattr(SavedQueries, "firings", overtaken)

    assert look(harness, seconds(2)).conflicts == 1
    harness.run(seconds(30))
    assert [alert.count for alert in harness.alerts().values()] == [1]
    assert len(harness.mails()) == 1


def test_a_look_that_ends_after_any_call_is_completed_by_the_schedule(harness: RunHarness) -> None:
    only(harness, GRANT)
    stop_after, ended = 0, False
    while not ended:
        at = minutes(stop_after * 600)
        harness.forget()
        harness.mails()
        harness.happen(sample(GRANT), at)
        steps = Steps(stop_after)
        try:
            look(harness, at, steps)
            ended = True
        except Stopped:
            pass

        harness.run(at + timedelta(minutes=2))  # after the lease of a message

        (alert,) = harness.alerts().values()
        assert (alert.count, alert.episode, alert.notified_episode) == (1, 1, 1), steps.made
        assert bool(alert.published), steps.made
        assert len(harness.mails()) == 1 + (steps.made[-1] == "publish" and not ended), steps.made
        stop_after += 1
    assert stop_after > 5


# Requests.


class Requests:
    """Requests as they come to one function after the other, on a clock that moves by waiting."""

    def __init__(self, harness: RunHarness, search: OpenSearch | None = None) -> None:
        self.clock = Clock()
        self.harness = harness
        self.search = search or harness.search

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.clock.now)

    def take(self, written_at: datetime | None = None, **request: Any) -> RunReport:
        """One request, by default for what was written just now."""
        looks = PromptLooks(
            LookClaims(self.search, self.harness.indices), self.harness.runner(search=self.search), self.now
        )
        given = {"writtenAt": iso_milliseconds(written_at or self.now()), **request}
        return looks.take(given, Deadline.after(RUN_SECONDS, self.clock))


@pytest.fixture
def requests(harness: RunHarness) -> Requests:
    only(harness, GRANT)
    return Requests(harness)


def test_a_request_is_looked_at_at_once(requests: Requests) -> None:
    requests.harness.happen(sample(GRANT), NOW)

    report = requests.take()

    assert (report.looks, report.raised, requests.clock.slept) == (1, 1, [0.0])


def test_a_look_finds_what_is_not_refreshed(requests: Requests) -> None:
    """As the ingest function writes: what is searched is refreshed every ten seconds only."""
    harness = requests.harness
    harness.happen(sample(GRANT), minutes(-3))  # there is an index, which searches of late
    requests.take()
    ids = [alert.count for alert in harness.alerts().values()]
    document = next(iter(_documents(harness)))
    harness.search.index(index=document["_index"], id="new", body={**document["_source"], "dbUserName": "second"})

    requests.clock.now += 60
    requests.take()

    assert ids == [1]
    assert len(harness.alerts()) == 2


def _documents(harness: RunHarness) -> Iterator[Mapping[str, Any]]:
    yield from harness.search.search(index=f"{harness.prefix}-*", body={"size": 10})["hits"]["hits"]


def test_the_next_look_waits_for_the_interval(requests: Requests) -> None:
    requests.take()
    requests.clock.now += 2

    requests.take()

    assert requests.clock.slept[-1] == pytest.approx(INTERVAL.total_seconds() - 2)


def test_a_request_that_a_claimed_look_serves_ends_at_once(requests: Requests) -> None:
    claims = LookClaims(requests.harness.search, requests.harness.indices)
    claims.claim(None, seconds(4), Deadline.after(RUN_SECONDS))

    report = requests.take()

    assert (report.covered, report.looks, requests.clock.slept) == (True, 0, [])


def test_a_request_for_what_a_look_found_ends_at_once(requests: Requests) -> None:
    requests.take()
    requests.clock.now += 30

    assert requests.take(seconds(-5)).covered
    assert not requests.take(seconds(20)).covered


def test_a_claim_that_was_overtaken_serves_the_request(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    requests.take()
    requests.clock.now += 60
    claim = LookClaims.claim

    def overtaken(self: LookClaims, before: Any, begins: datetime, deadline: Deadline) -> bool:
        claim(self, before, begins + timedelta(seconds=3), deadline)
        return claim(self, before, begins, deadline)

    monkeypatch.setattr(LookClaims, "claim", overtaken)

    assert requests.take().covered


@pytest.mark.parametrize("request_", [{"writtenAt": "no time"}, {"writtenAt": "2031-03-04T12:00:00"}, {"writtenAt": 3}])
def test_a_request_without_a_time_is_looked_at(requests: Requests, request_: Mapping[str, Any]) -> None:
    requests.harness.happen(sample(GRANT), NOW)

    assert requests.take(**request_).raised == 1


def test_a_claim_of_a_wrong_clock_stops_no_look(requests: Requests) -> None:
    claims = LookClaims(requests.harness.search, requests.harness.indices)
    claims.claim(None, minutes(600), Deadline.after(RUN_SECONDS))
    requests.harness.happen(sample(GRANT), NOW)

    assert requests.take().raised == 1


def test_a_flood_of_requests_makes_few_looks(requests: Requests) -> None:
    """Requests for a minute, more than one in a second, each for events of its own."""
    harness = requests.harness
    looks = 0
    for number in range(75):
        at = number * 0.8
        requests.clock.now = at  # other functions go on while one waits
        if number % 15 == 0:
            harness.happen(many_users(sample(GRANT), 3), seconds(at))
        looks += requests.take().looks

    assert looks <= 60 / INTERVAL.total_seconds() + 2  # the last one begins after the last request
    assert len(harness.alerts()) == 3
    assert len(harness.mails()) <= 3


@pytest.mark.parametrize("path", ["_refresh", "_doc/look", "_msearch"])
def test_while_opensearch_refuses_the_schedule_goes_on(
    requests: Requests, proxy: Proxy, behind: OpenSearch, path: str
) -> None:
    harness = requests.harness
    harness.happen(sample(GRANT), NOW)
    refused = Requests(harness, behind)
    proxy.on(lambda request: path in request.path, answer(403))

    with pytest.raises(SearchUnavailable):
        refused.take()

    assert harness.run(seconds(90)).failing == {}


# As Lambda invokes it.


def test_the_handler_looks_and_reports(findings: FindingsFunction) -> None:
    findings.happen(sample(GRANT), datetime.now(UTC))
    request = {"writtenAt": iso_milliseconds(datetime.now(UTC))}

    assert findings.prompted(request)["raised"] == 1
    assert (findings.log["message"], findings.log["PromptLooks"]) == ("look finished", [1.0])
    assert findings.log["ArrivalToAlert"][0] >= 0

    findings.prompted({"writtenAt": iso_milliseconds(datetime.now(UTC) - timedelta(minutes=1))})
    assert findings.log["message"] == "another look finds it"
    findings.scheduled()
    assert len([subject for subject in findings.mails() if GRANT_TITLE in subject]) == 1


def test_a_collection_has_no_looks(findings: FindingsFunction) -> None:
    findings.configure(OPENSEARCH_SERVICE="aoss", OPENSEARCH_AUTH="sigv4")

    assert findings.prompted({})["raised"] == 0
    assert findings.log["message"] == "another look finds it"
