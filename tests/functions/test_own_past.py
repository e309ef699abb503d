"""A group's own past on a real node: what a run, a notification and a backtest leave out, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
import pytest

from daswatch.deadline import Deadline
from daswatch.detections.samples import Sample
from daswatch.opensearch.backtest_runs import BacktestRun
from daswatch.queries.backtests import Period
from daswatch.queries.monitor_notifications import read_notification
from daswatch.times import iso_milliseconds, moment_of
from tests.fakes.clock import Clock
from tests.fakes.proxy import Exchange, Proxy, Request, Response
from tests.harness.runs import DETECTIONS, NOW, RunHarness, minutes

pytestmark = pytest.mark.node

RULE = DETECTIONS["gradual-read"]
LEFT_OUT = {"gradual-read": 1}
TABLE = "public.customers"


def reads(times: int, *, rows: int = 400, table: str = TABLE, user: str = "svc_orders", apart: int = 60) -> Sample:
    event: Mapping[str, Any] = {
        "command": "SELECT",
        "class": "READ",
        "objectType": "TABLE",
        "objectName": table,
        "rowCount": rows,
        "exitCode": None,
        "commandText": "select id, email from customers where id between 1 and 400",
        "dbUserName": user,
        "clientApplication": "orders",
        "remoteHost": "10.61.7.21",
    }
    return Sample("gradual-read", "match", "reads", "postgresql", ({"times": times, "apart": apart, "event": event},))


def before(harness: RunHarness, days: float, times: int, **read: Any) -> None:
    harness.happen(reads(times, **read), NOW - timedelta(days=days))


def run(harness: RunHarness) -> dict[str, int]:
    """What a run leaves out of 60,000 rows of one table; the alert that it raises is of them."""
    harness.detections = [RULE, DETECTIONS["das-failing"]]
    harness.happen(reads(150), NOW)

    report = harness.run(minutes(1))

    assert report.failing == {}
    assert len(harness.alerts()) + report.known_clients.total() == 1
    return dict(report.known_clients)


def test_a_user_who_read_a_third_before_raises_nothing(harness: RunHarness) -> None:
    before(harness, 20, times=50)

    assert run(harness) == LEFT_OUT
    assert harness.mails() == []


@pytest.mark.parametrize(
    ("days", "read"),
    [
        pytest.param(20, {"times": 49}, id="less than a third"),
        pytest.param(20, {"times": 150, "table": "public.orders"}, id="of another table"),
        pytest.param(20, {"times": 150, "user": "svc_other"}, id="another user"),
        pytest.param(38, {"times": 150}, id="too long ago"),
    ],
)
def test_what_is_more_than_the_own_past_is_reported(harness: RunHarness, days: float, read: dict[str, Any]) -> None:
    before(harness, days, **read)

    assert run(harness) == {}


def test_the_days_just_before_are_not_the_past(harness: RunHarness) -> None:
    """A theft that goes on does not become usual by itself."""
    before(harness, 20, times=1)
    before(harness, 1, times=150)

    assert run(harness) == {}


def test_amounts_of_a_day_are_not_added_up(harness: RunHarness) -> None:
    before(harness, 20, times=30)
    before(harness, 20.5, times=30)

    assert run(harness) == {}


def test_a_new_database_has_nothing_to_compare_with(harness: RunHarness) -> None:
    before(harness, 6, times=1)

    assert run(harness) == LEFT_OUT


def asks_the_past(request: Request) -> bool:
    return request.path.startswith("/_msearch") and b"bucket_sort" in request.body


def test_a_past_that_is_not_whole_is_none(harness: RunHarness, proxy: Proxy, behind: Any) -> None:
    """An old index that is red stops no detection: what is unclear fires."""

    def half(exchange: Exchange) -> Response:
        whole = exchange.forward().json
        for one in whole["responses"]:
            one["_shards"] = {**one["_shards"], "total": 2, "successful": 1}
        return Response.of_json(200, whole)

    harness.detections = [RULE, DETECTIONS["das-failing"]]
    before(harness, 20, times=150)
    harness.happen(reads(150), NOW)
    proxy.on(asks_the_past, half)

    report = harness.run(minutes(1), search=behind)

    assert report.failing == {}
    assert [alert.detection for alert in harness.alerts().values()] == ["gradual-read"]


def test_the_past_of_a_day_is_asked_once(harness: RunHarness, proxy: Proxy, behind: Any) -> None:
    harness.detections = [RULE, DETECTIONS["das-failing"]]
    before(harness, 20, times=150)
    harness.happen(reads(150), NOW)
    asked: list[Request] = []
    runner = harness.runner(search=behind)

    def counted(exchange: Exchange) -> Response:
        asked.append(exchange.request)
        return exchange.forward()

    proxy.on(asks_the_past, counted)
    reports = [runner.run(minutes(number), Deadline.after(53, Clock())) for number in (1, 2, 3)]

    assert [dict(one.known_clients) for one in reports] == [LEFT_OUT] * 3
    assert len(asked) == 1


def test_what_a_monitor_found_is_compared_as_well(harness: RunHarness) -> None:
    harness.detections = [RULE, DETECTIONS["das-failing"]]
    harness.happen(reads(150), NOW)
    before(harness, 20, times=1)
    key = {"resourceId": harness.resource_id, "dbUserName": "svc_orders", "objects": TABLE}

    def found(rows: int) -> str:
        values = {"m0": {"doc_count": 150, "value": {"value": rows}}, "m1": {"doc_count": 0, "value": {"value": 0}}}
        times = {"first": {"value": minutes(-150).timestamp() * 1000}, "last": {"value": NOW.timestamp() * 1000}}
        bucket = {"key": key, "doc_count": 150, **times, **values, "m2": {"value": rows}}
        return orjson.dumps({"detection": "gradual-read", "groups": [bucket]}).decode()

    known = {one.name: one for one in harness.detections}
    before(harness, 21, times=150)
    for rows, left_out in ((60_000, LEFT_OUT), (240_000, {})):
        notification = read_notification(found(rows), known, minutes(1))
        report = harness.runner().take([notification], minutes(1), Deadline.after(53, Clock()))
        assert dict(report.known_clients) == left_out
    assert [alert.detection for alert in harness.alerts().values()] == ["gradual-read"]


def test_a_backtest_raises_what_runs_raise(harness: RunHarness) -> None:
    before(harness, 20, times=100)
    harness.happen(reads(150), NOW - timedelta(hours=12))
    harness.happen(reads(150, rows=900), NOW)
    backtest = BacktestRun(harness.search, Period(NOW - timedelta(days=1), NOW), harness.prefix)

    (answer,) = backtest.run([RULE])

    assert not answer.failure
    assert [moment_of(one.last_seen) for one in answer.episodes] == [NOW - timedelta(seconds=1)]
    assert answer.episodes[0].first_seen > iso_milliseconds(NOW - timedelta(hours=6))
