"""The findings function as Lambda calls it: on its schedule, with monitors' notifications, with calls of AWS's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from daswatch.alerts.alert import State
from daswatch.content.model import WantedContent
from daswatch.detections.samples import base_events, samples_of
from daswatch.errors import SettingsError
from daswatch.fleet.database import databases_of, document_of
from daswatch.indices import Indices
from daswatch.opensearch.installation import Installation
from daswatch.queries.monitors import MESSAGE_WITH_GROUPS, MESSAGE_WITH_HITS, monitor, most_groups
from daswatch.settings import SearchEndpoint
from daswatch.times import iso_milliseconds
from demo.aws import DEAD_LETTER_BUCKET
from demo.opensearch import AnyNode
from tests.builders.control_plane import api_call
from tests.builders.fleet import PLACE, raw_cluster, raw_instance
from tests.fakes.opensearch_plugins import Domain, Engine
from tests.harness.findings import FindingsFunction, sns
from tests.harness.runs import DETECTIONS

pytestmark = pytest.mark.node


def test_the_schedule_raises_and_logs_one_line(findings: FindingsFunction) -> None:
    findings.attack()

    answer = findings.scheduled()

    assert answer == {"raised": 1, "archived": 0, "failing": []}
    assert (findings.log["level"], findings.log["raised"], findings.log["findings"]) == ("INFO", 1, 1)
    assert findings.log["FindingsSent"] == [1.0]
    assert "svc_invoicing" not in findings.printed
    (finding,) = findings.findings().values()
    assert finding["SourceUrl"].startswith("https://search.example.internal/_dashboards/app/")


def test_the_log_names_what_is_behind(findings: FindingsFunction) -> None:
    since = datetime.now(UTC) - timedelta(days=3)
    findings.search.index(index=findings.indices.runs, id="scheduled", body={"since": iso_milliseconds(since)})
    findings.attack()

    answer = findings.scheduled()

    assert answer["raised"] == 1
    assert findings.log["level"] == "INFO"
    assert set(findings.log["behind"]) >= {"bruteforce-user", "superuser-grant"}
    assert min(findings.log["behind"].values()) > iso_milliseconds(since)


def test_no_statement_reaches_a_finding_unless_a_setting_says_so(findings: FindingsFunction) -> None:
    findings.attack("superuser-grant", "")

    findings.scheduled()

    raised = list(findings.findings().values())
    assert raised
    text = json.dumps(raised).lower() + "".join(findings.mails()).lower() + findings.printed.lower()
    assert "grant rds_superuser" not in text
    assert not any("Statement" in name for finding in raised for name in finding["ProductFields"])


def test_with_the_setting_the_statement_is_reported_redacted(findings: FindingsFunction) -> None:
    findings.configure(FINDINGS_SQL="true", REDACT="literals")
    sample = next(one for one in samples_of("mass-read") if one.expected == "match" and one.engine == "postgresql")
    findings.happen(sample, datetime.now(UTC))

    findings.scheduled()

    (finding,) = [one for one in findings.findings().values() if "/mass-read/" in one["Id"]]
    statement = finding["ProductFields"]["daswatch/Statement1"]
    assert statement
    assert "17" not in statement
    assert statement not in findings.printed
    assert finding["ProductFields"]["daswatch/FirstStatement"] in finding["Description"]
    assert "daswatch/SessionBefore" in finding["ProductFields"]


@pytest.mark.parametrize("auth", [{"DETECTIONS": "/nowhere/detections.json"}, {"FINDINGS_SQL": "perhaps"}])
def test_wrong_settings_stop_it_with_their_names(findings: FindingsFunction, auth: dict[str, str]) -> None:
    findings.configure(**auth)

    with pytest.raises(SettingsError, match=next(iter(auth))):
        findings.scheduled()


def test_our_own_monitor_ends_in_the_same_alert_as_the_schedule(findings: FindingsFunction, node: AnyNode) -> None:
    detection = DETECTIONS["bruteforce-user"]
    findings.attack()
    body = monitor(detection, "channel", Indices(findings.prefix))
    (sent,) = Engine(node.url).sent(body, datetime.now(UTC))

    findings.notified(sns(sent.message))
    findings.notified(sns(sent.message))
    findings.scheduled()

    (alert,) = findings.alerts().values()
    assert (alert.detection, alert.count, alert.episode) == ("bruteforce-user", 12, 1)
    assert alert.group == {"dbUserName": "svc_invoicing", "remoteHost": "203.0.113.47"}
    assert len(alert.samples) == 5
    assert len(findings.findings()) == 1
    assert len(findings.mails()) == 1


def test_an_analysts_monitor_with_hits_becomes_a_finding(findings: FindingsFunction) -> None:
    findings.attack()
    body = {
        "size": 10,
        "track_total_hits": True,
        "_source": ["@timestamp", "resourceId", "awsAccountId", "awsRegion", "engine", "dbUserName", "remoteHost"],
        "query": {"term": {"activity": "AUTH FAILURE"}},
    }

    findings.notified(findings.notification(MESSAGE_WITH_HITS, f"{findings.prefix}-*", body))

    (alert,) = findings.alerts().values()
    assert (alert.detection, alert.title, alert.count) == ("monitor:my monitor", "my monitor", 12)
    assert alert.level.value == "high"
    assert alert.database.resource_id == findings.resource_id
    assert alert.actors["dbUserName"] == ("svc_invoicing",)
    assert len(findings.findings()) == 1


def test_analysts_monitor_raises_a_finding_for_each_group(findings: FindingsFunction) -> None:
    findings.attack()
    findings.attack("bruteforce-user", "FAILED_CONNECT")
    sources = [{name: {"terms": {"field": name}}} for name in ("resourceId", "dbUserName")]
    body = {
        "size": 0,
        "query": {"term": {"activity": "AUTH FAILURE"}},
        "aggs": {"groups": {"composite": {"size": 100, "sources": sources}}},
    }

    findings.notified(findings.notification(MESSAGE_WITH_GROUPS, f"{findings.prefix}-*", body))

    assert {alert.group["dbUserName"] for alert in findings.alerts().values()} == {"svc_invoicing", "root"}
    assert len(findings.findings()) == 2


@pytest.mark.parametrize("template", [MESSAGE_WITH_GROUPS, MESSAGE_WITH_HITS])
@pytest.mark.parametrize("results", [{}, {"results": []}], ids=["its script failed", "its search failed"])
def test_a_monitor_with_an_error_is_shown_as_failing(
    findings: FindingsFunction, template: str, results: dict[str, Any]
) -> None:
    body = {"size": 0, "aggs": {"groups": {"composite": {"sources": [{"engine": {"terms": {"field": "engine"}}}]}}}}
    findings.attack()

    findings.notified(findings.notification(template, f"{findings.prefix}-*", body, error="it broke", **results))

    (alert,) = findings.alerts().values()
    assert (alert.detection, alert.group) == ("das-failing", {"detection": "my monitor"})


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("no json", "not-json"),
        ("[]", "not-a-notification"),
        ("{}", "not-a-notification"),
        ('{"monitor": "m"}', "not-a-notification"),
        ('{"monitor": "m", "groups": [{"key": 1}]}', "not-a-notification"),
        ('{"monitor": "m", "hits": "x"}', "not-a-notification"),
        ('{"detection": "bruteforce-user", "groups": [{"key": {"x": 1}}]}', "not-a-notification"),
    ],
)
def test_malformed_notification_is_a_dead_letter(findings: FindingsFunction, message: str, reason: str) -> None:
    findings.notified(sns(message))
    findings.notified(sns(message))

    letters = [letter for letter in findings.dead_letters() if letter["reason"] == reason]
    assert letters
    kept = findings.aws.s3().get_object(
        Bucket=DEAD_LETTER_BUCKET, Key=letters[0]["object"].removeprefix(f"s3://{DEAD_LETTER_BUCKET}/")
    )
    assert reason in kept["Body"].read().decode()
    assert findings.log["malformed"] == {reason: 1}
    assert not findings.alerts()


def test_event_of_another_source_is_a_dead_letter(findings: FindingsFunction) -> None:
    findings.notified({"Records": [{"body": "from a queue"}]})

    assert findings.log["malformed"] == {"not-a-notification": 1}


def test_stopping_a_stream_is_reported_by_the_next_run(findings: FindingsFunction) -> None:
    sample = next(one for one in samples_of("das-tamper-control-plane") if one.expected == "match")
    base = base_events()["control-plane"]
    changed = sample.steps[0].get("event", {})
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail = {**base["detail"], **changed.get("detail", {}), "eventTime": now, "eventID": "call-1"}
    event = {**base, **changed, "time": now, "detail": detail}

    findings.notified(event)
    findings.notified(event)
    findings.search.indices.refresh(index=findings.indices.control_plane)
    findings.scheduled()

    (alert,) = [one for one in findings.alerts().values() if one.detection == "das-tamper-control-plane"]
    assert (alert.count, alert.state) == (1, State.ACTIVE)
    assert alert.level.value == "critical"


TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 (+https://www.terraform.io)"
MAPPING = "UpdateEventSourceMapping20150331"


@pytest.mark.parametrize(
    ("agent", "call", "given", "level"),
    [
        (TERRAFORM, "UpdateFunctionCode20150331v2", {}, "medium"),
        ("aws-cli/2.31.0", "UpdateFunctionCode20150331v2", {}, "high"),
        (TERRAFORM, "DeleteFunction20150331", {}, "critical"),
        ("aws-cli/2.31.0", "DeleteFunction20150331", {}, "critical"),
        (TERRAFORM, MAPPING, {"enabled": True, "batchSize": 200}, "medium"),
        (TERRAFORM, MAPPING, {"enabled": False}, "critical"),
        ("aws-cli/2.31.0", MAPPING, {"enabled": True}, "critical"),
    ],
)
def test_update_is_less_severe_than_a_stop(
    findings: FindingsFunction, agent: str, call: str, given: dict[str, Any], level: str
) -> None:
    stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-SHOP0000000000000000000001"
    event = api_call(
        eventSource="lambda.amazonaws.com",
        eventName=call,
        userAgent=agent,
        requestParameters={"functionName": "daswatch-ingest", **given},
        responseElements={"eventSourceArn": stream} if call == MAPPING else None,
        eventTime=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )

    findings.notified(event)
    findings.search.indices.refresh(index=findings.indices.control_plane)
    findings.scheduled()

    (alert,) = [one for one in findings.alerts().values() if one.detection == "das-tamper-control-plane"]
    assert alert.level.value == level


@pytest.mark.parametrize(
    "request_",
    [
        {"dBClusterIdentifier": "Orders", "masterUserPassword": "****"},
        {"dBInstanceIdentifier": "orders-1", "masterUserPassword": "****"},
    ],
    ids=["cluster", "instance"],
)
def test_call_is_about_the_database_that_it_names(findings: FindingsFunction, request_: dict[str, str]) -> None:
    """The answer to a denied call has no resource id; the inventory knows the identifier."""
    member = raw_instance("orders-1", DBClusterIdentifier="orders")
    (database,) = databases_of([raw_cluster("orders")], [member])  # type: ignore[list-item]
    resource_id = database.rds.resource_id
    document = {**document_of(database), "awsAccountId": PLACE.account_id, "awsRegion": PLACE.region}
    findings.search.index(index=findings.indices.databases, body=document, params={"refresh": "true"})
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = api_call(
        eventName="ModifyDBCluster",
        requestParameters=request_,
        responseElements=None,
        errorCode="AccessDenied",
        eventTime=now,
        recipientAccountId=PLACE.account_id,
        awsRegion=PLACE.region,
    )

    findings.notified(event)
    findings.search.indices.refresh(index=findings.indices.control_plane)
    findings.scheduled()

    (alert,) = [one for one in findings.alerts().values() if one.detection == "access-control-plane"]
    assert (alert.database.resource_id, alert.database.identifier) == (resource_id, "orders")
    assert alert.level.value == "high"


def test_a_malformed_call_of_aws_is_a_dead_letter(findings: FindingsFunction) -> None:
    findings.notified({"detail-type": "AWS API Call via CloudTrail", "detail": None})

    assert findings.log["malformed"]
    assert findings.dead_letters()


def test_notification_without_events_raises_nothing(findings: FindingsFunction) -> None:
    """Groups of our own monitors are confirmed by OpenSearch."""
    findings.attack()
    key = {"resourceId": findings.resource_id, "dbUserName": "another user", "remoteHost": "203.0.113.47"}
    now = datetime.now(UTC).timestamp() * 1000
    group = {"key": key, "doc_count": 99, "first": {"value": now - 60_000}, "last": {"value": now}}

    findings.notified(sns(orjson.dumps({"detection": "bruteforce-user", "groups": [group]}).decode()))

    assert not findings.alerts()


# --- monitors from their installation to the alert ---


@pytest.fixture
def domain(findings: FindingsFunction, node: AnyNode) -> Iterator[Domain]:
    """A domain on which setup has installed everything, before any event."""
    running = Domain(node.url)
    findings.compile(list(DETECTIONS.values()))
    wanted = WantedContent(
        index_prefix=findings.prefix,
        detections=tuple(DETECTIONS.values()),
        alert_topic_arn="arn:aws:sns:eu-west-1:123456789012:monitors",
        dashboards=False,
    )
    installation = Installation.at(SearchEndpoint(running.url, auth="none"), None)
    installation.execute(installation.plan(wanted), lambda name, content: None)
    yield running
    running.close()


def test_no_monitor_notifies_before_the_first_event(findings: FindingsFunction, domain: Domain) -> None:
    assert not findings.search.indices.exists(index=f"{findings.prefix}-*", params={"allow_no_indices": "false"})

    assert len(domain.alerting.monitors) > 15
    assert domain.alerting.sent(datetime.now(UTC)) == []


def test_installed_monitors_raise_what_the_schedule_raises(findings: FindingsFunction, domain: Domain) -> None:
    findings.attack()
    findings.attack("superuser-grant", "")

    sent = domain.alerting.sent(datetime.now(UTC) + timedelta(milliseconds=1))
    for one in sent:
        findings.notified(sns(one.message))
    raised = findings.alerts()
    findings.scheduled()

    assert {one.subject for one in sent} >= {
        f"Daswatch: daswatch {findings.indices.stem} {name}" for name in ("bruteforce-user", "superuser-grant")
    }
    assert {one.failure for one in sent} == {""}
    assert raised
    assert {name: one.count for name, one in findings.alerts().items() if name in raised} == {
        name: one.count for name, one in raised.items()
    }
    assert set(findings.alerts()) == set(raised)


def test_full_message_is_counted_and_the_schedule_finds_the_rest(findings: FindingsFunction, domain: Domain) -> None:
    # GIVEN more users that fail to log in than a message has room for
    users = [f"user_{number:02}" for number in range(most_groups(DETECTIONS["bruteforce-user"]) + 5)]
    sample = next(one for one in samples_of("bruteforce-user") if one.words.startswith("twelve"))
    step = {**sample.steps[0], "times": 12 * len(users), "apart": 0.5, "each": {"dbUserName": users}}
    findings.happen(replace(sample, steps=(step,)), datetime.now(UTC))

    # WHEN the monitor notifies, and the schedule runs
    (sent,) = [
        one
        for one in domain.alerting.sent(datetime.now(UTC) + timedelta(milliseconds=1))
        if one.monitor == f"daswatch {findings.indices.stem} bruteforce-user"
    ]
    findings.notified(sns(sent.message))
    notified, full = len(findings.alerts()), findings.log.get("full_notifications")
    findings.scheduled()

    # THEN the function knows that there are more, and every user has an alert in the end
    assert (notified, full) == (len(users) - 5, 1)
    found = {one.group["dbUserName"] for one in findings.alerts().values() if one.detection == "bruteforce-user"}
    assert found == set(users)


def test_installed_monitors_are_silent_after_the_index_is_gone(findings: FindingsFunction, domain: Domain) -> None:
    findings.attack()
    findings.search.indices.delete(index=f"{findings.prefix}-*")

    assert domain.alerting.sent(datetime.now(UTC)) == []
