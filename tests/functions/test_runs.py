"""Runs of the saved queries on a real node: what is raised, published and archived, whatever crashes in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from opensearchpy import OpenSearch

from daswatch.alerts.alert import State
from daswatch.detections.detection import Detection, Level
from daswatch.detections.samples import Sample, documents
from daswatch.detections.sigma import compile_rule, read_tuning, rule_folders
from daswatch.documents.document import Flattening
from daswatch.hourly_indices import HourlyIndices
from daswatch.times import iso_milliseconds
from tests.fakes.proxy import Proxy, answer
from tests.harness.runs import (
    DETECTIONS,
    FAILED_LOGINS,
    NOW,
    RunHarness,
    Steps,
    Stopped,
    minutes,
    only,
    sample,
)

pytestmark = pytest.mark.node


def summary(harness: RunHarness) -> dict[str, tuple[object, ...]]:
    return {
        name: (
            alert.state,
            alert.episode,
            alert.count,
            alert.first_seen,
            alert.last_seen,
            alert.published and alert.published.state,
        )
        for name, alert in harness.alerts().items()
    }


def test_an_attack_becomes_one_alert_one_finding_and_one_message(with_all: RunHarness) -> None:
    with_all.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)

    report = with_all.run(minutes(1))

    (alert,) = with_all.alerts().values()
    assert alert.detection == "bruteforce-user"
    assert alert.group == {"dbUserName": "svc_invoicing", "remoteHost": "203.0.113.47"}
    assert (alert.count, alert.state, alert.episode, alert.level) == (12, State.ACTIVE, 1, Level.MEDIUM)
    assert alert.database.engine == "postgresql"
    assert (alert.database.aws_account_id, alert.database.aws_region) == ("123456789012", "eu-west-1")
    assert len(alert.samples) == 5
    (finding,) = with_all.findings().values()
    assert finding["RecordState"] == "ACTIVE"
    assert len(with_all.mails()) == 1
    assert (report.raised, report.sent.findings, report.sent.messages, report.failing) == (
        1,
        1,
        1,
        {},
    )


def name_databases(harness: RunHarness, identifier: str) -> None:
    """The inventory knows the database of the samples."""
    document = {
        "databaseIdentifier": identifier,
        "resourceId": harness.resource_id,
        "awsAccountId": "123456789012",
        "awsRegion": "eu-west-1",
        "tags": {"env": "prod", "cost": "7"},
    }
    harness.search.index(index=harness.indices.databases, id="a", body=document, params={"refresh": "true"})


def test_alert_finding_and_message_name_the_database(harness: RunHarness) -> None:
    name_databases(harness, "shop-prod")
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)

    report = harness.run(minutes(1))

    (alert,) = harness.alerts().values()
    assert (alert.database.identifier, alert.database.tags) == ("shop-prod", ("env=prod",))
    (finding,) = harness.findings().values()
    assert finding["Resources"][0]["Id"] == "arn:aws:rds:eu-west-1:123456789012:cluster:shop-prod"
    (mail,) = harness.mails()
    assert "shop-prod" in str(mail)
    assert report.names_cause == ""


def test_renamed_database_keeps_its_finding(harness: RunHarness) -> None:
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)
    harness.run(minutes(1))
    (before,) = harness.findings()
    name_databases(harness, "shop-prod")
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), minutes(20))

    harness.run(minutes(21))

    ((id_, finding),) = harness.findings().items()
    assert id_ == before
    assert finding["Resources"][0]["Id"].endswith(":cluster:shop-prod")


def test_alerts_are_raised_while_names_cannot_be_read(harness: RunHarness, proxy: Proxy, behind: OpenSearch) -> None:
    name_databases(harness, "shop-prod")
    proxy.on(lambda request: "-databases/_search" in request.path, answer(403))
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)

    report = harness.run(minutes(1), search=behind)

    (alert,) = harness.alerts().values()
    assert alert.database.identifier == ""
    assert len(harness.findings()) == len(harness.mails()) == 1
    assert "403" in report.names_cause


def test_a_second_run_publishes_nothing_again(harness: RunHarness) -> None:
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)
    harness.run(minutes(1))
    harness.mails()

    report = harness.run(minutes(2))

    assert (report.raised, report.sent.findings, report.sent.messages) == (0, 0, 0)
    assert not harness.mails()
    assert len(harness.alerts()) == 1


def test_alert_lifecycle(harness: RunHarness) -> None:
    """Updated after fifteen minutes, archived after the quiet time, and active again."""
    only(harness, "bruteforce-user")
    attack = sample("bruteforce-user", FAILED_LOGINS)
    harness.happen(attack, NOW)
    harness.run(minutes(1))
    harness.happen(attack, minutes(4))

    assert harness.run(minutes(5)).sent.findings == 0
    (alert,) = harness.alerts().values()
    assert alert.count == 24

    assert harness.run(minutes(17)).sent.findings == 1
    (finding,) = harness.findings().values()
    assert finding["ProductFields"]["daswatch/Count"] == "24"

    assert harness.run(minutes(63)).archived == 0
    assert harness.run(minutes(66)).archived == 1
    (finding,) = harness.findings().values()
    assert finding["RecordState"] == "ARCHIVED"
    assert len(harness.mails()) == 1

    harness.happen(attack, minutes(100))
    assert harness.run(minutes(101)).raised == 1
    (alert,) = harness.alerts().values()
    assert (alert.episode, alert.count, alert.state) == (2, 12, State.ACTIVE)
    (finding,) = harness.findings().values()
    assert finding["RecordState"] == "ACTIVE"
    assert len(harness.mails()) == 1


def test_late_events_are_found_where_they_happened(harness: RunHarness) -> None:
    only(harness, "bruteforce-user", "superuser-grant")
    harness.run(minutes(0))

    harness.happen(sample("bruteforce-user", FAILED_LOGINS), minutes(-180), arrived=minutes(1))
    harness.happen(sample("superuser-grant"), minutes(-181), arrived=minutes(1))
    harness.run(minutes(2))

    assert {alert.detection for alert in harness.alerts().values()} == {"bruteforce-user", "superuser-grant"}


def test_a_burst_over_the_change_to_hourly_indices_is_one(harness: RunHarness) -> None:
    """Six failures before midnight in the day's index, six after it in that of the first hour."""
    midnight = datetime(2031, 3, 5, tzinfo=UTC)
    arrived = iso_milliseconds(midnight + timedelta(minutes=1))
    flattening = Flattening(arrived, index_prefix=harness.prefix, hourly=HourlyIndices.parse("2031-03-05/.."))
    end = midnight + timedelta(minutes=1)
    burst = documents(sample("bruteforce-user", FAILED_LOGINS), harness.resource_id, end, flattening)
    harness.write(burst)

    harness.run(midnight + timedelta(minutes=2))

    indices = set(harness.search.indices.get(index=f"{harness.prefix}-*"))
    assert indices == {f"{harness.prefix}-2031.03.04", f"{harness.prefix}-2031.03.05.00"}
    (alert,) = [one for one in harness.alerts().values() if one.detection == "bruteforce-user"]
    assert alert.count == 12


def test_slow_failures_that_arrive_at_once_are_no_burst(harness: RunHarness) -> None:
    only(harness, "bruteforce-user")
    slow = Sample("", "match", "", "postgresql", ({**sample("bruteforce-user", FAILED_LOGINS).steps[0], "apart": 900},))
    harness.happen(slow, NOW, arrived=NOW)

    harness.run(minutes(1))

    assert not harness.alerts()


def test_what_happened_while_the_runner_stood_still_is_found(harness: RunHarness) -> None:
    only(harness, "bruteforce-user", "superuser-grant")
    harness.run(minutes(0))
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), minutes(60))
    harness.happen(sample("superuser-grant"), minutes(90))

    harness.run(minutes(240))

    assert {alert.detection for alert in harness.alerts().values()} == {"bruteforce-user", "superuser-grant"}


def test_a_sequence_in_the_wrong_order_is_none(harness: RunHarness) -> None:
    only(harness, "bruteforce-success")
    first, then = sample("bruteforce-success").steps[:1], sample("bruteforce-success").steps[-1:]
    harness.happen(Sample("", "match", "", sample("bruteforce-success").engine, (*then, *first)), NOW)

    harness.run(minutes(1))

    assert not harness.alerts()


def test_a_failing_detection_is_reported_and_stops_no_other(harness: RunHarness) -> None:
    only(harness, "bruteforce-user", "superuser-grant")
    broken = replace(harness.detections[1], query='commandText:"unbalanced')
    harness.detections[1] = broken
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)
    harness.happen(sample("superuser-grant"), NOW)

    report = harness.run(minutes(1))

    assert set(report.failing) == {"superuser-grant"}
    alerts = {alert.detection: alert for alert in harness.alerts().values()}
    assert set(alerts) == {"bruteforce-user", "das-failing"}
    assert alerts["das-failing"].group == {"detection": "superuser-grant"}

    harness.detections[1] = replace(DETECTIONS["superuser-grant"], enabled=True)
    harness.run(minutes(30))
    assert "superuser-grant" in {alert.detection for alert in harness.alerts().values()}


def test_a_silent_instance_is_reported_until_it_is_heard_again(harness: RunHarness) -> None:
    only(harness, "das-silent")

    def heard(at: datetime) -> None:
        pulse = {"resourceId": harness.resource_id, "instanceId": "db-WRITER", "lastSeen": iso_milliseconds(at)}
        harness.search.index(
            index=harness.indices.pulse, id=harness.resource_id, body=pulse, params={"refresh": "true"}
        )

    heard(NOW)
    harness.run(minutes(4))
    assert not harness.alerts()

    harness.run(minutes(6))
    (alert,) = harness.alerts().values()
    assert (alert.detection, alert.group) == ("das-silent", {"instanceId": "db-WRITER"})
    assert iso_milliseconds(NOW) in alert.note

    heard(minutes(7))
    harness.run(minutes(8))
    heard(minutes(17))
    harness.run(minutes(17))
    (alert,) = harness.alerts().values()
    assert alert.state is State.ARCHIVED


def test_first_seen_raises_after_learning(harness: RunHarness) -> None:
    only(harness, "first-seen-application")
    steps = sample("first-seen-application").steps
    engine = sample("first-seen-application").engine
    usual = Sample(
        "", "match", "", engine, ({**steps[-1], "days-ago": 0, "each": {"clientApplication": ["billing 2"]}},)
    )
    new = Sample("", "match", "", engine, ({**steps[-1], "days-ago": 0, "each": {"clientApplication": ["psql"]}},))
    harness.happen(usual, NOW)
    harness.run(minutes(1))
    assert not harness.alerts()

    later = NOW + timedelta(days=31)
    harness.happen(usual, later)
    harness.happen(new, later)
    harness.run(later + timedelta(minutes=1))
    harness.run(later + timedelta(minutes=2))

    (alert,) = harness.alerts().values()
    assert alert.group["clientApplication"] == "psql"


def journey(harness: RunHarness) -> None:
    """An attack, a grant and a new application, all at once."""
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)
    harness.happen(sample("superuser-grant"), NOW)


def steps_of_a_run() -> int:
    """How many calls one run makes that raises two alerts; checked by the test that counts them."""
    return 20


def test_the_number_of_steps_is_known(harness: RunHarness) -> None:
    only(harness, "bruteforce-user", "superuser-grant", "first-seen-application")
    journey(harness)
    steps = Steps()

    harness.run(minutes(1), steps)

    assert len(steps.made) == steps_of_a_run(), steps.made


@pytest.mark.parametrize("stop_after", range(steps_of_a_run()))
def test_a_crash_after_any_step_loses_and_doubles_nothing(harness: RunHarness, stop_after: int) -> None:
    only(harness, "bruteforce-user", "superuser-grant", "first-seen-application")
    journey(harness)
    steps = Steps(stop_after)
    with pytest.raises(Stopped):
        harness.run(minutes(1), steps)

    harness.run(minutes(2))
    harness.run(minutes(4))
    harness.run(minutes(6))

    alerts = harness.alerts().values()
    assert sorted(alert.detection for alert in alerts) == ["bruteforce-user", "superuser-grant"]
    assert all((alert.state, alert.episode, alert.pending) == (State.ACTIVE, 1, False) for alert in alerts)
    assert {alert.detection: alert.count for alert in alerts}["bruteforce-user"] == 12
    assert len(harness.findings()) == 2
    mails = harness.mails()
    assert len(set(mails)) == 2
    # Between sending a message and noting it nothing can help: then this one is sent once more.
    assert len(mails) == 2 + (steps.made[-1] == "publish")


@pytest.mark.parametrize("stop_after", range(steps_of_a_run()))
def test_two_runners_at_once_end_in_the_same_state(harness: RunHarness, stop_after: int) -> None:
    only(harness, "bruteforce-user", "superuser-grant", "first-seen-application")
    journey(harness)
    other = _Interleaved(harness, stop_after)

    harness.run(minutes(1), other)
    harness.run(minutes(3))
    harness.run(minutes(5))

    alerts = harness.alerts().values()
    assert sorted((alert.detection, alert.episode, alert.pending) for alert in alerts) == [
        ("bruteforce-user", 1, False),
        ("superuser-grant", 1, False),
    ]
    assert len(harness.findings()) == 2
    assert len(harness.mails()) == 2
    assert other.ran


class _Interleaved(Steps):
    """After one step of a run, another runner makes a whole run."""

    def __init__(self, harness: RunHarness, after: int) -> None:
        super().__init__()
        self._harness = harness
        self._after = after
        self.ran = False

    def step(self, name: str) -> None:
        super().step(name)
        if len(self.made) == self._after + 1 and not self.ran:
            self.ran = True
            self._harness.run(minutes(1))


def test_an_expired_suppression_is_reported(harness: RunHarness) -> None:
    tuning = read_tuning(
        "suppressions:\n"
        "  - {detection: bruteforce-user, when: {dbUserName: svc_invoicing}, owner: dba, reason: test,"
        " expires: 2031-03-04}\n"
    )
    rule = next(folder for folder in rule_folders() if folder.name == "bruteforce-user")
    suppressed: Detection = compile_rule(rule.name, rule.joinpath("rule.yml").read_text("utf-8"), tuning)
    harness.detections = [suppressed, DETECTIONS["das-failing"]]
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), minutes(-24 * 60))
    harness.run(minutes(-24 * 60))
    assert not harness.alerts()

    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)
    report = harness.run(minutes(1))

    assert report.expired_suppressions == ["bruteforce-user: expired 2031-03-04, owner dba"]
    assert len(harness.alerts()) == 1


def test_an_index_that_nobody_made_is_no_failure(with_all: RunHarness) -> None:
    report = with_all.run(NOW)

    assert not report.failing
    assert report.raised == 0


def test_failing_detection_delays_no_other(harness: RunHarness) -> None:
    only(harness, "bruteforce-user", "superuser-grant")
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), minutes(-300), arrived=minutes(0))
    harness.detections[1] = replace(harness.detections[1], query='commandText:"unbalanced')
    for minute in range(0, 240, 60):
        harness.run(minutes(minute))

    report = harness.run(minutes(181))

    assert set(report.failing) == {"superuser-grant"}
    assert set(report.behind) == {"superuser-grant"}
    # What just arrived, for both and for late events; and one slice of the one that fails.
    assert report.searches <= 6


def test_repaired_detection_catches_up_with_days(harness: RunHarness) -> None:
    only(harness, "superuser-grant")
    works = harness.detections[0]
    harness.detections[0] = replace(works, query='commandText:"unbalanced')
    harness.run(minutes(-3 * 1440))
    harness.happen(sample("superuser-grant"), minutes(-2 * 1440))
    harness.run(minutes(-1440))

    harness.detections[0] = works
    for minute in range(20):  # a slice in each at least
        harness.run(minutes(minute))

    assert "superuser-grant" in {alert.detection for alert in harness.alerts().values()}
