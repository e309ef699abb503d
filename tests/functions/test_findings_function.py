"""The findings function as Lambda calls it: on its schedule, with monitors' notifications, with calls of AWS's API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.alerts.alert import State
from daswatch.aws import clients
from daswatch.content.model import Wanted
from daswatch.detections.detection import dump
from daswatch.detections.samples import base_events, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.errors import SettingsError
from daswatch.indices import Indices
from daswatch.opensearch.installation import Installation
from daswatch.queries.monitors import MESSAGE_WITH_GROUPS, MESSAGE_WITH_HITS, monitor, most_groups
from daswatch.settings import SearchEndpoint
from daswatch.times import iso_milliseconds
from demo.aws import DEAD_LETTER_BUCKET, LocalAws
from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from findings_lambda import handler as handler_module
from tests.fakes.opensearch_plugins import Domain, Engine
from tests.harness.watching import Watching

pytestmark = pytest.mark.node

DETECTIONS = {detection.name: detection for detection in compile_all()}

_OF_NO_DATABASE = {"bool": {"must_not": {"exists": {"field": "resourceId"}}}}


class FindingsFunction(Watching):
    """The handlers with their settings; what they printed is kept."""

    def __init__(
        self,
        search: OpenSearch,
        aws: LocalAws,
        url: str,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        super().__init__(search, aws, list(DETECTIONS.values()))
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._forget_dead_letters()
        self.printed = ""
        compiled = folder / "detections.json"
        compiled.write_bytes(dump(self.detections))
        self.configure(
            OPENSEARCH_ENDPOINT=url,
            OPENSEARCH_AUTH="none",
            DEAD_LETTER_BUCKET=DEAD_LETTER_BUCKET,
            INDEX_PREFIX=self.prefix,
            DETECTIONS=str(compiled),
            ALERT_TOPIC_ARN=self.topic_arn,
            DASHBOARDS_URL="https://search.example.internal/_dashboards",
            **aws.environment,
        )

    def configure(self, **settings: str) -> None:
        """Set settings; the next invocation is a cold start."""
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)
        handler_module._function.cache_clear()
        clients.session.cache_clear()

    def scheduled(self) -> dict[str, Any]:
        return self._call(handler_module.scheduled({}, InvocationContext()))

    def notified(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return self._call(handler_module.notified(event, InvocationContext()))

    @property
    def log(self) -> dict[str, Any]:
        """The line of the last invocation."""
        line: dict[str, Any] = orjson.loads(self.printed.splitlines()[-1])
        return line

    def _call(self, answer: dict[str, Any]) -> dict[str, Any]:
        out, err = self._capsys.readouterr()
        self.printed += out + err
        return answer

    def attack(self, detection: str = "bruteforce-user", words: str = "twelve") -> None:
        """The first sample of a detection that begins so, ending now."""
        sample = next(one for one in samples_of(detection) if one.expected == "match" and one.words.startswith(words))
        self.happen(sample, datetime.now(UTC))

    def _forget_dead_letters(self) -> None:
        """Lines of other runs, whose objects are gone."""
        self.search.indices.refresh(index=self.indices.dead_letters, params={"ignore_unavailable": "true"})
        self.search.delete_by_query(
            index=self.indices.dead_letters,
            body={"query": _OF_NO_DATABASE},
            params={"ignore_unavailable": "true", "refresh": "true", "conflicts": "proceed"},
        )

    def dead_letters(self) -> list[dict[str, Any]]:
        self.search.indices.refresh(index=self.indices.dead_letters, params={"ignore_unavailable": "true"})
        body = {"query": _OF_NO_DATABASE}
        answer = self.search.search(index=self.indices.dead_letters, body=body, params={"ignore_unavailable": "true"})
        return [hit["_source"] for hit in answer["hits"]["hits"]]

    def notification(self, template: str, index: str, body: Mapping[str, Any], **ctx: Any) -> dict[str, Any]:
        """The SNS event of a monitor that ran this search now, its message made by the real mustache."""
        result = self.search.search(index=index, body=body)
        now = datetime.now(UTC)
        params = {
            "ctx": {
                "monitor": {"name": "my monitor", "_id": "m1"},
                "trigger": {"name": "found", "severity": "2"},
                "periodStart": (now - timedelta(minutes=1)).isoformat(),
                "periodEnd": now.isoformat(),
                "results": [result],
                "error": None,
                **ctx,
            }
        }
        rendered = self.search.transport.perform_request(
            "POST", "/_render/template", body={"source": template, "params": params}
        )
        return sns(orjson.dumps(rendered["template_output"]).decode())


def sns(message: str) -> dict[str, Any]:
    """An SNS event with one message."""
    record = {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {"MessageId": "1", "Message": message}}
    return {"Records": [record]}


@pytest.fixture
def function(
    search: OpenSearch,
    node: AnyNode,
    aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[FindingsFunction]:
    running = FindingsFunction(search, aws, node.url, tmp_path, monkeypatch, capsys)
    yield running
    running.close()


def test_the_schedule_raises_and_tells_in_one_line(function: FindingsFunction) -> None:
    function.attack()

    answer = function.scheduled()

    assert answer == {"raised": 1, "archived": 0, "failing": []}
    assert (function.log["level"], function.log["raised"], function.log["findings"]) == ("INFO", 1, 1)
    assert function.log["FindingsSent"] == [1.0]
    assert "svc_invoicing" not in function.printed
    (finding,) = function.findings().values()
    assert finding["SourceUrl"].startswith("https://search.example.internal/_dashboards/app/")


def test_the_log_names_what_is_behind(function: FindingsFunction) -> None:
    since = datetime.now(UTC) - timedelta(days=3)
    function.search.index(index=function.indices.runs, id="scheduled", body={"since": iso_milliseconds(since)})
    function.attack()

    answer = function.scheduled()

    assert answer["raised"] == 1
    assert function.log["level"] == "INFO"
    assert set(function.log["behind"]) >= {"bruteforce-user", "superuser-grant"}
    assert min(function.log["behind"].values()) > iso_milliseconds(since)


def test_no_statement_reaches_a_finding_unless_a_setting_says_so(function: FindingsFunction) -> None:
    function.attack("superuser-grant", "")

    function.scheduled()

    findings = function.findings().values()
    assert findings
    text = json.dumps(list(findings)).lower() + "".join(function.mails()).lower() + function.printed.lower()
    assert "grant rds_superuser" not in text
    assert not any("Statement" in name for finding in findings for name in finding["ProductFields"])


def test_with_the_setting_the_statement_is_told_redacted(function: FindingsFunction) -> None:
    function.configure(FINDINGS_SQL="true", REDACT="literals")
    sample = next(one for one in samples_of("mass-read") if one.expected == "match" and one.engine == "postgresql")
    function.happen(sample, datetime.now(UTC))

    function.scheduled()

    (finding,) = [one for one in function.findings().values() if "/mass-read/" in one["Id"]]
    statement = finding["ProductFields"]["daswatch/Statement1"]
    assert statement
    assert "17" not in statement
    assert statement not in function.printed


@pytest.mark.parametrize("auth", [{"DETECTIONS": "/nowhere/detections.json"}, {"FINDINGS_SQL": "perhaps"}])
def test_wrong_settings_stop_it_with_their_names(function: FindingsFunction, auth: dict[str, str]) -> None:
    function.configure(**auth)

    with pytest.raises(SettingsError, match=next(iter(auth))):
        function.scheduled()


def test_our_own_monitor_ends_in_the_same_alert_as_the_schedule(function: FindingsFunction, node: AnyNode) -> None:
    detection = DETECTIONS["bruteforce-user"]
    function.attack()
    body = monitor(detection, "channel", Indices(function.prefix))
    (sent,) = Engine(node.url).sent(body, datetime.now(UTC))

    function.notified(sns(sent.message))
    function.notified(sns(sent.message))
    function.scheduled()

    (alert,) = function.alerts().values()
    assert (alert.detection, alert.count, alert.episode) == ("bruteforce-user", 12, 1)
    assert alert.group == {"dbUserName": "svc_invoicing", "remoteHost": "203.0.113.47"}
    assert len(alert.samples) == 5
    assert len(function.findings()) == 1
    assert len(function.mails()) == 1


def test_an_analysts_monitor_with_hits_becomes_a_finding(function: FindingsFunction) -> None:
    function.attack()
    body = {
        "size": 10,
        "track_total_hits": True,
        "_source": ["@timestamp", "resourceId", "awsAccountId", "awsRegion", "engine", "dbUserName", "remoteHost"],
        "query": {"term": {"activity": "AUTH FAILURE"}},
    }

    function.notified(function.notification(MESSAGE_WITH_HITS, f"{function.prefix}-*", body))

    (alert,) = function.alerts().values()
    assert (alert.detection, alert.title, alert.count) == ("monitor:my monitor", "my monitor", 12)
    assert alert.level.value == "high"
    assert alert.database.resource_id == function.resource_id
    assert alert.actors["dbUserName"] == ("svc_invoicing",)
    assert len(function.findings()) == 1


def test_an_analysts_monitor_with_groups_becomes_a_finding_for_each(function: FindingsFunction) -> None:
    function.attack()
    function.attack("bruteforce-user", "FAILED_CONNECT")
    sources = [{name: {"terms": {"field": name}}} for name in ("resourceId", "dbUserName")]
    body = {
        "size": 0,
        "query": {"term": {"activity": "AUTH FAILURE"}},
        "aggs": {"groups": {"composite": {"size": 100, "sources": sources}}},
    }

    function.notified(function.notification(MESSAGE_WITH_GROUPS, f"{function.prefix}-*", body))

    assert {alert.group["dbUserName"] for alert in function.alerts().values()} == {"svc_invoicing", "root"}
    assert len(function.findings()) == 2


@pytest.mark.parametrize("template", [MESSAGE_WITH_GROUPS, MESSAGE_WITH_HITS])
@pytest.mark.parametrize("results", [{}, {"results": []}], ids=["its script failed", "its search failed"])
def test_a_monitor_with_an_error_is_told_as_failing(
    function: FindingsFunction, template: str, results: dict[str, Any]
) -> None:
    body = {"size": 0, "aggs": {"groups": {"composite": {"sources": [{"engine": {"terms": {"field": "engine"}}}]}}}}
    function.attack()

    function.notified(function.notification(template, f"{function.prefix}-*", body, error="it broke", **results))

    (alert,) = function.alerts().values()
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
def test_a_malformed_notification_becomes_a_dead_letter_with_a_reason(
    function: FindingsFunction, message: str, reason: str
) -> None:
    function.notified(sns(message))
    function.notified(sns(message))

    letters = [letter for letter in function.dead_letters() if letter["reason"] == reason]
    assert letters
    kept = function.aws.s3().get_object(
        Bucket=DEAD_LETTER_BUCKET, Key=letters[0]["object"].removeprefix(f"s3://{DEAD_LETTER_BUCKET}/")
    )
    assert reason in kept["Body"].read().decode()
    assert function.log["malformed"] == {reason: 1}
    assert not function.alerts()


def test_a_notification_that_did_not_come_over_sns_is_a_dead_letter(function: FindingsFunction) -> None:
    function.notified({"Records": [{"body": "from a queue"}]})

    assert function.log["malformed"] == {"not-a-notification": 1}


def test_stopping_a_stream_is_told_by_the_next_run(function: FindingsFunction) -> None:
    sample = next(one for one in samples_of("das-tamper-control-plane") if one.expected == "match")
    base = base_events()["control-plane"]
    changed = sample.steps[0].get("event", {})
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail = {**base["detail"], **changed.get("detail", {}), "eventTime": now, "eventID": "call-1"}
    event = {**base, **changed, "time": now, "detail": detail}

    function.notified(event)
    function.notified(event)
    function.search.indices.refresh(index=function.indices.control_plane)
    function.scheduled()

    (alert,) = [one for one in function.alerts().values() if one.detection == "das-tamper-control-plane"]
    assert (alert.count, alert.state) == (1, State.ACTIVE)
    assert alert.level.value == "critical"


def test_a_malformed_call_of_aws_is_a_dead_letter(function: FindingsFunction) -> None:
    function.notified({"detail-type": "AWS API Call via CloudTrail", "detail": None})

    assert function.log["malformed"]
    assert function.dead_letters()


def test_a_notification_of_ours_without_such_events_raises_nothing(function: FindingsFunction) -> None:
    function.attack()
    key = {"resourceId": function.resource_id, "dbUserName": "somebody else", "remoteHost": "203.0.113.47"}
    now = datetime.now(UTC).timestamp() * 1000
    group = {"key": key, "doc_count": 99, "first": {"value": now - 60_000}, "last": {"value": now}}

    function.notified(sns(orjson.dumps({"detection": "bruteforce-user", "groups": [group]}).decode()))

    assert not function.alerts()


# --- monitors from their installation to the alert ---


@pytest.fixture
def domain(function: FindingsFunction, node: AnyNode) -> Iterator[Domain]:
    """A domain on which setup has installed everything, before any event."""
    running = Domain(node.url)
    wanted = Wanted(
        index_prefix=function.prefix,
        detections=tuple(DETECTIONS.values()),
        alert_topic_arn="arn:aws:sns:eu-west-1:123456789012:monitors",
        dashboards=False,
    )
    installation = Installation.at(SearchEndpoint(running.url, auth="none"), None)
    installation.execute(installation.plan(wanted), lambda name, content: None)
    yield running
    running.close()


def test_no_monitor_notifies_before_the_first_event(function: FindingsFunction, domain: Domain) -> None:
    assert not function.search.indices.exists(index=f"{function.prefix}-*", params={"allow_no_indices": "false"})

    assert len(domain.alerting.monitors) > 15
    assert domain.alerting.sent(datetime.now(UTC)) == []


def test_installed_monitors_raise_what_the_schedule_raises(function: FindingsFunction, domain: Domain) -> None:
    function.attack()
    function.attack("superuser-grant", "")

    sent = domain.alerting.sent(datetime.now(UTC) + timedelta(milliseconds=1))
    for one in sent:
        function.notified(sns(one.message))
    raised = function.alerts()
    function.scheduled()

    assert {one.subject for one in sent} >= {
        f"Daswatch: daswatch {function.indices.stem} {name}" for name in ("bruteforce-user", "superuser-grant")
    }
    assert {one.failure for one in sent} == {""}
    assert raised
    assert {name: one.count for name, one in function.alerts().items() if name in raised} == {
        name: one.count for name, one in raised.items()
    }
    assert set(function.alerts()) == set(raised)


def test_full_message_is_counted_and_the_schedule_finds_the_rest(function: FindingsFunction, domain: Domain) -> None:
    # GIVEN more users that fail to log in than a message has room for
    users = [f"user_{number:02}" for number in range(most_groups(DETECTIONS["bruteforce-user"]) + 5)]
    sample = next(one for one in samples_of("bruteforce-user") if one.words.startswith("twelve"))
    step = {**sample.steps[0], "times": 12 * len(users), "apart": 0.5, "each": {"dbUserName": users}}
    function.happen(replace(sample, steps=(step,)), datetime.now(UTC))

    # WHEN the monitor notifies, and the schedule runs
    (sent,) = [
        one
        for one in domain.alerting.sent(datetime.now(UTC) + timedelta(milliseconds=1))
        if one.monitor == f"daswatch {function.indices.stem} bruteforce-user"
    ]
    function.notified(sns(sent.message))
    notified, full = len(function.alerts()), function.log.get("full_notifications")
    function.scheduled()

    # THEN the function knows that there are more, and every user has an alert in the end
    assert (notified, full) == (len(users) - 5, 1)
    found = {one.group["dbUserName"] for one in function.alerts().values() if one.detection == "bruteforce-user"}
    assert found == set(users)


def test_installed_monitors_are_silent_after_the_index_is_gone(function: FindingsFunction, domain: Domain) -> None:
    function.attack()
    function.search.indices.delete(index=f"{function.prefix}-*")

    assert domain.alerting.sent(datetime.now(UTC)) == []
