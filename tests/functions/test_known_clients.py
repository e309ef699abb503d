"""Known clients on a real node: what a run, a notification, a backtest and a sample leave out, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, FirstSeen, KnownClients
from daswatch.detections.samples import Sample
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.backtest_runs import BacktestRun
from daswatch.opensearch.sample_runs import SampleRun
from daswatch.queries.backtests import Period
from daswatch.queries.monitor_notifications import Notification, read_notification
from tests.fakes.clock import Clock
from tests.fakes.proxy import Exchange, Proxy, Request, Response
from tests.harness.runs import DETECTIONS, NOW, RunHarness, minutes

pytestmark = pytest.mark.node

FAILED: Mapping[str, Any] = {
    "command": "AUTH FAILURE",
    "class": "MISC",
    "exitCode": "28P01",
    "commandText": None,
    "objectType": None,
    "objectName": None,
    "rowCount": None,
    "clientApplication": None,
    "dbUserName": "svc_orders",
    "remoteHost": "10.61.7.21",
}
WORKED: Mapping[str, Any] = {"dbUserName": "svc_orders", "clientApplication": "orders", "remoteHost": "10.61.7.80"}
EVERY_MOMENT = 9.0


def attempts(times: int = 20, apart: float = EVERY_MOMENT, **event: Any) -> dict[str, Any]:
    return {"times": times, "apart": apart, "event": {**FAILED, **event}}


def a_sample(*steps: Mapping[str, Any]) -> Sample:
    return Sample("bruteforce-user", "match", "a pool", "postgresql", tuple(steps))


def rule(**changes: Any) -> Detection:
    known = KnownClients(**{"days": 7, "when": 'remoteIp:"10.0.0.0/8"', "steady": True, **changes})
    return replace(DETECTIONS["bruteforce-user"], enabled=True, known_clients=known)


def run(harness: RunHarness, *steps: Mapping[str, Any], detection: Detection | None = None) -> dict[str, int]:
    """What a run leaves out of these attempts; each alert that it raises is of them."""
    harness.detections = [detection or rule(), DETECTIONS["das-failing"]]
    harness.happen(a_sample(*steps), NOW)

    report = harness.run(minutes(1))

    assert report.failing == {}
    assert len(harness.alerts()) + report.known_clients.total() == 1
    return dict(report.known_clients)


def before(harness: RunHarness, days: float, database: str = "", **event: Any) -> None:
    harness.happen(a_sample({"event": {**WORKED, **event}}), NOW - timedelta(days=days), database=database)


LEFT_OUT = {"bruteforce-user": 1}


def test_a_known_pool_with_an_old_password_raises_nothing(harness: RunHarness) -> None:
    before(harness, 7.1)

    assert run(harness, attempts()) == LEFT_OUT
    assert harness.mails() == []


@pytest.mark.parametrize(
    ("days", "event"),
    [
        pytest.param(6.9, {}, id="not for that long"),
        pytest.param(8, {"dbUserName": "svc_other"}, id="another user"),
        pytest.param(8, {"remoteHost": "10.61.8.21"}, id="from another network"),
        pytest.param(8, {**FAILED}, id="a login that failed as well"),
    ],
)
def test_a_client_without_a_past_of_its_own_is_reported(
    harness: RunHarness, days: float, event: dict[str, Any]
) -> None:
    before(harness, days, **event)

    assert run(harness, attempts()) == {}


def test_the_past_at_another_database_does_not_count(harness: RunHarness) -> None:
    before(harness, 8, database="cluster-ELSEWHERE")

    assert run(harness, attempts()) == {}


def test_an_application_that_is_named_has_to_be_known_too(harness: RunHarness) -> None:
    before(harness, 8)

    assert run(harness, attempts(clientApplication="hydra")) == {}


def test_guesses_of_a_known_client_are_reported(harness: RunHarness) -> None:
    before(harness, 8)

    assert run(harness, attempts(times=60, apart=1)) == {}


@pytest.mark.parametrize(("known", "left_out"), [(3, LEFT_OUT), (2, {})])
def test_an_uneven_pace_is_that_of_hosts_that_were_all_there(
    harness: RunHarness, known: int, left_out: dict[str, int]
) -> None:
    detection = replace(rule(each_host=True), group=("dbUserName",))
    hosts = [f"10.61.7.{number}" for number in range(21, 24)]
    for host in hosts[:known]:
        before(harness, 8, remoteHost=host)

    steps = [attempts(times=30, apart=1, remoteHost=host) for host in hosts]
    assert run(harness, *steps, detection=detection) == left_out


def test_the_pace_counts_only_where_a_rule_says_so(harness: RunHarness) -> None:
    before(harness, 8)

    assert run(harness, attempts(times=60, apart=1), detection=rule(steady=False)) == LEFT_OUT


def test_one_event_that_does_not_match_when_is_reported(harness: RunHarness) -> None:
    before(harness, 8)

    other = {"exitCode": "28000"}
    assert run(harness, attempts(), {"event": {**FAILED, **other}}, detection=rule(when="exitCode:28P01")) == {}


@pytest.mark.parametrize(("application", "left_out"), [("closing-job", True), ("closing 2", False)])
def test_an_account_that_returns_with_its_own_program_is_no_dormant_one(
    harness: RunHarness, application: str, left_out: bool
) -> None:
    dormant = DETECTIONS["dormant-account"]
    assert dormant.known_clients is not None
    harness.detections = [
        replace(
            dormant,
            first_seen=FirstSeen(4, absent_days=4),
            known_clients=replace(dormant.known_clients, days=4),
        )
    ]
    login = {**FAILED, "command": "CONNECT", "class": "CONNECT", "exitCode": None, "clientApplication": "closing-job"}
    harness.happen(a_sample({"event": login}), NOW)
    harness.run(minutes(1))
    later = NOW + timedelta(days=5)
    harness.happen(a_sample({"event": {**login, "clientApplication": application}}), later)

    report = harness.run(later + timedelta(minutes=1))

    assert report.failing == {}
    assert dict(report.known_clients) == ({"dormant-account": 1} if left_out else {})
    assert len(harness.alerts()) == (not left_out)

    # It is noted as seen, whatever came of it.
    harness.happen(a_sample({"event": {**login, "clientApplication": "psql"}}), later + timedelta(days=1))
    harness.run(later + timedelta(days=1, minutes=1))
    assert len(harness.alerts()) == (not left_out)


def test_each_client_of_a_group_has_to_be_known(harness: RunHarness) -> None:
    detection = replace(rule(steady=False), group=("databaseName",))
    before(harness, 8)

    steps = attempts(times=10), {"event": {**FAILED, "dbUserName": "svc_new"}}
    assert run(harness, *steps, detection=detection) == {}


def test_a_sequence_is_left_out_by_the_pace_of_its_failures(harness: RunHarness) -> None:
    detection = replace(DETECTIONS["bruteforce-success"], enabled=True, known_clients=rule().known_clients)
    before(harness, 8)
    login = {**FAILED, "command": "CONNECT", "exitCode": None, "clientApplication": None}

    steps = attempts(), {"times": 30, "apart": 0.2, "event": login}
    assert run(harness, *steps, detection=detection) == {"bruteforce-success": 1}


def test_the_past_is_found_in_all_indices_that_are_kept(harness: RunHarness) -> None:
    before(harness, 300)

    assert run(harness, attempts()) == LEFT_OUT


def past(request: Request) -> bool:
    return request.path.startswith("/_msearch") and b"terminate_after" in request.body


def test_a_past_that_is_not_whole_is_none(harness: RunHarness, proxy: Proxy, behind: Any) -> None:
    """An old index that is red stops no detection: what is unclear fires."""

    def half(exchange: Exchange) -> Response:
        whole = exchange.forward().json
        for one in whole["responses"]:
            one["_shards"] = {**one["_shards"], "total": 2, "successful": 1}
        return Response.of_json(200, whole)

    harness.detections = [rule(), DETECTIONS["das-failing"]]
    before(harness, 8)
    harness.happen(a_sample(attempts()), NOW)
    proxy.on(past, half)

    report = harness.run(minutes(1), search=behind)

    assert report.failing == {}
    assert [alert.detection for alert in harness.alerts().values()] == ["bruteforce-user"]


def test_a_past_that_cannot_be_asked_makes_the_detection_fail(harness: RunHarness, proxy: Proxy, behind: Any) -> None:
    """Neither an alert nor silence: the next run evaluates the same events again."""
    harness.detections = [rule(), DETECTIONS["das-failing"]]
    before(harness, 8)
    harness.happen(a_sample(attempts(remoteHost="10.61.9.9")), NOW)
    proxy.on(past, lambda _: Response.of_json(503, {}))

    report = harness.run(minutes(1), search=behind)

    assert list(report.failing) == ["bruteforce-user"]
    assert {alert.detection for alert in harness.alerts().values()} <= {"das-failing"}
    proxy.behave()
    harness.run(minutes(2), search=behind)
    assert "bruteforce-user" in {alert.detection for alert in harness.alerts().values()}


def test_a_backlog_leaves_out_what_a_run_would_have_left_out(harness: RunHarness) -> None:
    harness.detections = [rule(), DETECTIONS["das-failing"]]
    harness.run(minutes(-600))
    before(harness, 8)
    harness.happen(a_sample(attempts()), minutes(-120))

    reports = [harness.run(minutes(minute)) for minute in range(1, 4)]

    assert sum(report.known_clients.total() for report in reports) == 1
    assert harness.alerts() == {}


def notification_of(harness: RunHarness, first: datetime, last: datetime) -> Notification:
    key = {"resourceId": harness.resource_id, "dbUserName": "svc_orders", "remoteHost": "10.61.7.21"}
    times = {"first": {"value": first.timestamp() * 1000}, "last": {"value": last.timestamp() * 1000}}
    message = {"detection": "bruteforce-user", "groups": [{"key": key, "doc_count": 20, **times}]}
    known = {one.name: one for one in harness.detections}
    return read_notification(orjson.dumps(message).decode(), known, minutes(1))


def test_what_a_monitor_found_is_left_out_as_well(harness: RunHarness, proxy: Proxy, behind: Any) -> None:
    harness.detections = [rule(), DETECTIONS["das-failing"]]
    harness.happen(a_sample(attempts()), NOW)
    notification = notification_of(harness, minutes(-5), NOW)
    deadline = Deadline.after(53, Clock())
    before(harness, 8)

    proxy.on(past, lambda _: Response.of_json(503, {}))
    with pytest.raises(SearchUnavailable, match="notify again"):
        harness.runner(search=behind).take([notification], minutes(1), deadline)
    report = harness.runner().take([notification], minutes(1), deadline)

    assert dict(report.known_clients) == LEFT_OUT
    assert {alert.detection for alert in harness.alerts().values()} <= {"das-failing"}


def test_a_backtest_raises_what_runs_raise(harness: RunHarness) -> None:
    before(harness, 8)
    harness.happen(a_sample(attempts()), NOW)
    harness.happen(a_sample(attempts(remoteHost="10.61.99.1")), NOW - timedelta(hours=3))
    backtest = BacktestRun(harness.search, Period(NOW - timedelta(days=1), NOW), harness.prefix)

    hosts = {
        steady: [episode.group["remoteHost"] for episode in backtest.run([detection])[0].episodes]
        for steady, detection in ((True, rule()), (False, replace(rule(), known_clients=None)))
    }

    assert hosts == {True: ["10.61.99.1"], False: ["10.61.99.1", "10.61.7.21"]}


def test_samples_express_a_past(harness: RunHarness) -> None:
    worked = {"days-ago": 10, "event": WORKED}
    samples = [a_sample(attempts()), a_sample(worked, attempts()), a_sample({**worked, "days-ago": 3}, attempts())]

    with SampleRun(harness.search, f"{harness.prefix.removesuffix('-events')}-samples-events") as samples_run:
        results = samples_run.run(rule(), samples)

    assert [one.fired for one in results] == [True, False, True]


# Statements that were sent before, and migrations.


def changing(text: str, **event: Any) -> dict[str, Any]:
    changed = {"command": "UPDATE", "class": "WRITE", "objectName": "public.orders", "rowCount": 0}
    return {"event": {**WORKED, **changed, "commandText": text, **event}}


def test_a_job_that_sent_the_same_statement_a_week_ago_is_routine(harness: RunHarness) -> None:
    rule_of_job = DETECTIONS["mass-delete"]
    harness.happen(a_sample(changing("update orders set note = 'a'")), NOW - timedelta(days=8))

    assert run(harness, changing("update orders set note = 'b'"), detection=rule_of_job) == {"mass-delete": 1}


def test_another_statement_of_a_known_job_is_reported(harness: RunHarness) -> None:
    harness.happen(a_sample(changing("update orders set note = 'a'")), NOW - timedelta(days=8))

    assert run(harness, changing("update orders set total = 0"), detection=DETECTIONS["mass-delete"]) == {}


def test_a_migration_explains_what_it_changes(harness: RunHarness) -> None:
    altered = {"command": "ALTER TABLE", "class": "DDL", "rowCount": None}
    before_it = changing("alter table orders add column tenant int", **altered)

    left_out = run(harness, before_it, changing("update orders set tenant = 1"), detection=DETECTIONS["mass-delete"])

    assert left_out == {"mass-delete": 1}
