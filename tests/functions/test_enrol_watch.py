"""The conditions of watched databases: from CloudWatch's metrics to one message with names, over real HTTP."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.sns.models import sns_backends

from daswatch.aws.sns import AlertTopic
from daswatch.deadline import Deadline
from daswatch.enrolment.conditions import QUARTER, Condition, WatchedStream, is_due, last_quarter, queries_of
from demo.aws import REGION, LocalAws
from enrol_lambda.watch import Watch, WatchReport
from tests.fakes.proxy import Proxy, answer

ACCOUNT = "123456789012"
NOW = datetime(2031, 3, 4, 12, 4, tzinfo=UTC)
QUARTERS = {"now": last_quarter(NOW), "before": last_quarter(NOW) - QUARTER}
HEALTHY = {
    "IncomingRecords": 900.0,
    "GetRecords.IteratorAgeMilliseconds": 400.0,
    "PolledEventCount": 900.0,
    "DeliveryToS3.DataFreshness": 300.0,
}


class Metrics:
    """CloudWatch's metrics of some databases, and what is made of them."""

    def __init__(self, aws: LocalAws, url: str = "") -> None:
        self.aws = aws
        self.client = aws.session.client("cloudwatch", endpoint_url=url or aws.url)
        self.topic = aws.client("sns").create_topic(Name=f"t-{secrets.token_hex(4)}")
        self.streams: list[WatchedStream] = []

    def database(self, name: str, since: datetime = NOW - timedelta(days=1), splunk: str = "") -> WatchedStream:
        own = secrets.token_hex(6)
        found = WatchedStream(name, f"aws-rds-das-{own}", f"uuid-{own}", f"evidence-{own}", splunk, since)
        self.streams.append(found)
        return found

    def put(self, one: WatchedStream, quarter: str, **changed: float | None) -> None:
        """The metrics of a quarter: those of a healthy database but for `changed`; None for no value."""
        values: dict[str, float | None] = {
            **HEALTHY,
            **{name.replace("_", "."): value for name, value in changed.items()},
        }
        for query in queries_of([one]):
            metric = query["MetricStat"]["Metric"]
            value = values.get(metric["MetricName"])
            if value is None:
                continue
            datum: Any = {
                "MetricName": metric["MetricName"],
                "Dimensions": metric["Dimensions"],
                "Timestamp": QUARTERS[quarter] + timedelta(minutes=5),
                "Value": value,
            }
            self.aws.client("cloudwatch").put_metric_data(Namespace=metric["Namespace"], MetricData=[datum])

    def look(self) -> WatchReport:
        sns = self.aws.client("sns")
        watch = Watch(lambda: self.client, AlertTopic(lambda: sns, self.topic["TopicArn"]), "account 1")
        return watch.look(self.streams, NOW, Deadline.after(30))

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Subject and body of what was published."""
        sent = sns_backends[ACCOUNT][REGION].topics[self.topic["TopicArn"]].sent_notifications
        return [(str(subject), body) for _, body, subject, *_ in sent]


@pytest.fixture
def metrics(aws: LocalAws) -> Metrics:
    return Metrics(aws)


@pytest.mark.parametrize(
    ("changed", "condition"),
    [
        ({"IncomingRecords": None, "PolledEventCount": None}, Condition.SILENT),
        ({"PolledEventCount": None}, Condition.UNREAD),
        ({"GetRecords_IteratorAgeMilliseconds": 1_000_000.0}, Condition.BEHIND),
        ({"OnFailureDestinationDeliveredEventCount": 3.0}, Condition.GIVEN_UP),
        ({"DeliveryToS3_DataFreshness": 4_000.0}, Condition.EVIDENCE_LATE),
        ({"DeliveryToS3_DataFreshness": None}, Condition.EVIDENCE_LATE),
        ({"DeliveryToSplunk_DataFreshness": 4_000.0}, Condition.SPLUNK_LATE),
    ],
)
def test_message_names_databases_when_a_condition_begins(
    metrics: Metrics, changed: dict[str, float | None], condition: Condition
) -> None:
    orders, ledger = metrics.database("cluster:orders", splunk=secrets.token_hex(4)), metrics.database("db:ledger")
    for one in (orders, ledger):
        metrics.put(one, "before")
    metrics.put(orders, "now", **changed)
    metrics.put(ledger, "now")

    found = metrics.look()

    assert found.names == {str(condition): ["cluster:orders"]}
    ((subject, body),) = metrics.messages
    assert subject == f"Daswatch: 1 {condition}"
    assert f"{condition.upper()}: " in body
    assert "- cluster:orders" in body
    assert "db:ledger" not in body


def test_condition_that_lasts_has_no_second_message(metrics: Metrics) -> None:
    orders = metrics.database("cluster:orders")
    for quarter in QUARTERS:
        metrics.put(orders, quarter, PolledEventCount=None)

    assert metrics.look().names == {"unread": ["cluster:orders"]}
    assert metrics.messages == []


def test_condition_that_ends_has_a_message(metrics: Metrics) -> None:
    orders = metrics.database("cluster:orders")
    metrics.put(orders, "before", PolledEventCount=None)
    metrics.put(orders, "now")

    assert metrics.look().names == {}
    ((subject, body),) = metrics.messages
    assert subject == "Daswatch: 1 not unread any more"
    assert "- cluster:orders" in body


def test_database_that_was_just_enrolled_is_not_judged(metrics: Metrics) -> None:
    metrics.database("cluster:new", since=NOW - timedelta(minutes=20))

    assert metrics.look() == WatchReport()
    assert metrics.messages == []


def test_hundreds_of_databases_are_one_message(metrics: Metrics) -> None:
    streams = [metrics.database(f"db:d{number:03}") for number in range(110)]
    for one in streams[:2]:
        metrics.put(one, "before")
    for one in streams[2:]:
        metrics.put(one, "now")

    found = metrics.look()

    assert found.names == {"silent": ["db:d000", "db:d001"]}
    ((subject, body),) = metrics.messages
    assert subject == "Daswatch: 2 silent, 108 not silent any more"
    assert "- and 58 more" in body


def test_denied_metrics_are_a_cause_and_no_condition(aws: LocalAws) -> None:
    denied = b'{"__type": "AccessDeniedException", "message": "not authorized"}'
    with Proxy(aws.url) as proxy:
        proxy.on(lambda request: True, answer(403, denied))
        metrics = Metrics(aws, proxy.url)
        metrics.database("cluster:orders")

        found = metrics.look()

    assert found.names == {}
    assert "CloudWatch GetMetricData: AccessDenied" in found.cause


def test_one_run_in_each_quarter_looks() -> None:
    runs = [datetime(2031, 3, 4, 12, 2, tzinfo=UTC) + timedelta(minutes=5 * number) for number in range(12)]

    due = [one for one in runs if is_due(one)]

    assert [last_quarter(one).minute for one in due] == [45, 0, 15, 30]
