"""What fails, hangs or floods while saved queries run: nothing is lost or sent twice, and everything else goes on.

Time passes only where something waits (`Clock`): no test depends on how fast the machine is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from opensearchpy import OpenSearch

from daswatch.alerts.alert import GROUPS, Alert, State
from daswatch.deadline import Deadline
from daswatch.detections.detection import Condition, DetectionKind, Level
from daswatch.detections.samples import Sample
from daswatch.errors import SearchUnavailable
from daswatch.opensearch import alert_index
from daswatch.queries.monitor_notifications import read_notification
from daswatch.queries.storms import MAX_OPEN
from daswatch.times import iso_milliseconds
from findings_lambda.run_report import RunReport
from tests.builders.alerts import a_detection, an_alert
from tests.fakes.clock import Clock
from tests.fakes.proxy import Exchange, Predicate, Proxy, Response, sequence, withhold
from tests.harness.runs import DETECTIONS, FAILED_LOGINS, NOW, RunHarness, minutes, only, sample

pytestmark = pytest.mark.node

FAILED = {"command": "AUTH FAILURE", "class": "CONNECT", "commandText": None, "exitCode": "28P01"}
EACH_FAILURE = a_detection(
    name="each-failure",
    kind=DetectionKind.EVENT,
    window_seconds=0,
    conditions=(Condition("count", 1),),
    level=Level.LOW,
)


def writes_with(*texts: bytes) -> Predicate:
    """Bulk requests whose lines hold all of these."""
    return lambda request: request.is_bulk and all(text in request.body for text in texts)


def overloaded(*texts: bytes) -> Any:
    """429 for the items with all of these; the others are written."""
    return withhold(429, lambda lines: all(text in lines for text in texts), "rejected_execution_exception")


def failing_item(key: str, broken: Callable[[Any], bool], answer: dict[str, Any]) -> Any:
    """Pass a request with several answers, and put another in the place of some."""

    def behave(exchange: Exchange) -> Response:
        whole = exchange.forward().json
        whole[key] = [{**one, **answer} if broken(one) else one for one in whole[key]]
        return Response.of_json(200, whole)

    return behave


def behind_of(harness: RunHarness) -> dict[str, str]:
    source: dict[str, Any] = harness.search.get(index=harness.indices.runs, id="scheduled")["_source"]
    behind: dict[str, str] = source["behind"]
    return behind


def since(harness: RunHarness) -> str:
    moment: str = harness.search.get(index=harness.indices.runs, id="scheduled")["_source"]["since"]
    return moment


def seen_groups(harness: RunHarness) -> int:
    harness.search.indices.refresh(index=harness.indices.seen, params={"ignore_unavailable": "true"})
    body = {"query": {"exists": {"field": "group"}}}
    count: int = harness.search.count(index=harness.indices.seen, body=body, params={"ignore_unavailable": "true"})[
        "count"
    ]
    return count


# Writes.


def test_an_overloaded_alert_is_written_in_the_same_run(harness: RunHarness, proxy: Proxy, behind: OpenSearch) -> None:
    only(harness, "superuser-grant", "bruteforce-user")
    harness.happen(sample("superuser-grant"), NOW)
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)
    grant = overloaded(b"-alerts", b"superuser-grant")
    proxy.on(writes_with(b"-alerts"), sequence(grant, grant))

    report = harness.run(minutes(1), search=behind)

    assert (report.raised, report.unwritten, report.sent.messages) == (2, {}, 2)
    assert len(harness.alerts()) == 2


def test_an_alert_that_is_not_written_makes_its_detection_late(
    harness: RunHarness, proxy: Proxy, behind: OpenSearch
) -> None:
    """It is neither counted as raised nor mailed; others are; a later run raises it."""
    only(harness, "superuser-grant", "bruteforce-user")
    harness.happen(sample("superuser-grant"), NOW)
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)
    proxy.on(writes_with(b"-alerts"), overloaded(b"-alerts", b"superuser-grant"))

    for minute in range(1, 6):
        clock = Clock()
        report = harness.run(minutes(minute), search=behind, clock=clock)
        assert report.raised == (minute == 1)
        assert report.unwritten.keys() == {"superuser-grant"}
        assert "429" in report.unwritten["superuser-grant"]
        assert behind_of(harness).keys() == {"superuser-grant"}
        assert since(harness) == iso_milliseconds(minutes(minute))
        assert clock.now < 53
    assert [one.detection for one in harness.alerts().values()] == ["bruteforce-user"]

    proxy.behave()
    reports = [harness.run(minutes(minute), search=behind) for minute in (30, 31, 32)]

    assert [report.raised for report in reports] == [1, 0, 0]
    assert (reports[-1].unwritten, behind_of(harness)) == ({}, {})
    assert len(harness.mails()) == 2


def test_a_refused_alert_is_named_and_stops_no_other(harness: RunHarness, proxy: Proxy, behind: OpenSearch) -> None:
    only(harness, "superuser-grant", "bruteforce-user")
    harness.happen(sample("superuser-grant"), NOW)
    harness.happen(sample("bruteforce-user", FAILED_LOGINS), NOW)
    refuse = withhold(400, lambda lines: b"-alerts" in lines and b"superuser-grant" in lines, "mapper_exception")
    proxy.on(writes_with(b"-alerts"), refuse)

    report = harness.run(minutes(1), search=behind)

    assert list(report.refused_alerts.values()) == ["mapper_exception"]
    assert (report.raised, behind_of(harness)) == (1, {})
    assert len(harness.mails()) == 1


def learned(harness: RunHarness) -> Sample:
    """A first-seen detection that knows a database; what is new to it."""
    only(harness, "first-seen-application")
    engine, step = sample("first-seen-application").engine, sample("first-seen-application").steps[-1]
    before = NOW - timedelta(days=31)
    usual = {**step, "days-ago": 0, "each": {"clientApplication": ["billing 2"]}}
    harness.happen(Sample("", "match", "", engine, (usual,)), before)
    harness.run(before + timedelta(minutes=1))
    harness.search.delete(index=harness.indices.runs, id="scheduled")  # the days between are no backlog
    return Sample("", "match", "", engine, ({**usual, "each": {"clientApplication": ["psql"]}},))


def details(exchange: Exchange) -> Response:
    """The answers to questions about groups fail; all others pass."""
    asks = b'"size":5' in exchange.request.body
    error = {"error": {"type": "circuit_breaking_exception"}, "status": 429}
    answered: Response = failing_item("responses", lambda _: asks, error)(exchange)
    return answered


@pytest.mark.parametrize(
    ("predicate", "behaviour"),
    [
        (writes_with(b"-alerts"), overloaded(b"-alerts", b"first-seen")),
        (lambda request: request.path.startswith("/_msearch"), details),
        (
            lambda request: request.path.endswith("-seen/_mget"),
            failing_item("docs", lambda _: True, {"found": False, "error": {"type": "circuit_breaking_exception"}}),
        ),
        (writes_with(b"-seen"), overloaded(b"-seen")),
    ],
    ids=["its alert is not written", "its details fail", "what it knows cannot be read", "its sightings fail"],
)
def test_what_is_new_is_not_noted_before_its_alert(
    harness: RunHarness, proxy: Proxy, behind: OpenSearch, predicate: Predicate, behaviour: Any
) -> None:
    new = learned(harness)
    known = seen_groups(harness)
    harness.happen(new, NOW)
    proxy.on(predicate, behaviour)

    harness.run(minutes(1), search=behind)
    assert seen_groups(harness) == known
    assert "first-seen-application" in behind_of(harness)

    proxy.behave()
    harness.run(minutes(3), search=behind)

    alerts = [one for one in harness.alerts().values() if one.detection == "first-seen-application"]
    assert [one.group["clientApplication"] for one in alerts] == ["psql"]
    assert seen_groups(harness) == known + 1
    assert len([mail for mail in harness.mails() if "psql" in mail or "application" in mail]) == 1


def test_a_note_that_is_refused_for_a_while_is_retried(harness: RunHarness, proxy: Proxy, behind: OpenSearch) -> None:
    only(harness, "superuser-grant")
    harness.happen(sample("superuser-grant"), NOW)
    note = overloaded(b'"notifiedEpisode":1')
    proxy.on(writes_with(b'"notifiedEpisode":1'), sequence(note, note, note))

    report = harness.run(minutes(1), search=behind)
    for minute in range(2, 20):
        harness.run(minutes(minute), search=behind)

    assert report.sent.unrecorded == 0
    assert len(harness.mails()) == 1


def test_a_note_that_is_never_taken_repeats_a_message_rarely(
    harness: RunHarness, proxy: Proxy, behind: OpenSearch
) -> None:
    """In twenty minutes; and no finding waits for it."""
    only(harness, "superuser-grant")
    harness.happen(sample("superuser-grant"), NOW)
    proxy.on(writes_with(b'"notifiedEpisode":1'), overloaded(b'"notifiedEpisode":1'))

    reports = [harness.run(minutes(minute), search=behind) for minute in range(1, 21)]

    assert len(harness.mails()) <= 4
    assert reports[0].sent.unrecorded == 1
    assert any("not noted" in cause for cause in reports[0].sent.causes)
    assert len(harness.findings()) == 1


def test_another_runner_in_between_does_not_undo_a_note(harness: RunHarness) -> None:
    """It counts more events after the message went out, and before that is noted."""
    only(harness, "bruteforce-user")
    attack = sample("bruteforce-user", FAILED_LOGINS)
    harness.happen(attack, NOW)
    sns = harness.aws.client("sns")

    class Interrupted:
        def publish(self, **arguments: Any) -> Any:
            answer = sns.publish(**arguments)
            harness.happen(attack, minutes(1.4))
            harness.run(minutes(1.5))
            return answer

    harness.run(minutes(1), sns=Interrupted)
    for minute in range(2, 8):
        harness.run(minutes(minute))

    (alert,) = harness.alerts().values()
    assert (alert.count, alert.notified_episode, alert.lease_until) == (24, 1, "")
    assert len(harness.mails()) == 1


def test_half_an_answer_about_alerts_is_a_failure(harness: RunHarness, proxy: Proxy, behind: OpenSearch) -> None:
    def half(exchange: Exchange) -> Response:
        whole = exchange.forward().json
        whole["_shards"] = {**whole["_shards"], "total": 2, "successful": 1}
        return Response.of_json(200, whole)

    proxy.on(lambda request: "-alerts/_search" in request.path, half)

    with pytest.raises(SearchUnavailable, match=r"part of \S+-alerts"):
        harness.run(minutes(1), search=behind)


def test_a_notification_whose_details_fail_is_delivered_again(
    harness: RunHarness, proxy: Proxy, behind: OpenSearch
) -> None:
    only(harness, "superuser-grant")
    harness.happen(sample("superuser-grant"), NOW)
    hit = harness.search.search(index=f"{harness.prefix}-*", body={"size": 1})["hits"]["hits"][0]["_source"]
    at = NOW.timestamp() * 1000
    key = {name: hit[name] for name in ("resourceId", *harness.detections[0].group)}
    groups = [{"key": key, "doc_count": 1, "first": {"value": at - 60_000}, "last": {"value": at}}]
    known = {one.name: one for one in harness.detections}
    message = orjson.dumps({"detection": harness.detections[0].name, "groups": groups}).decode()
    notification = read_notification(message, known, minutes(1))
    proxy.on(lambda request: request.path.startswith("/_msearch"), details)

    with pytest.raises(SearchUnavailable, match="notify again"):
        harness.runner(search=behind).take([notification], minutes(1), Deadline.after(53, Clock()))

    assert "superuser-grant" not in {one.detection for one in harness.alerts().values()}
    proxy.behave()
    harness.runner(search=behind).take([notification], minutes(2), Deadline.after(53, Clock()))
    assert "superuser-grant" in {one.detection for one in harness.alerts().values()}


# Channels.


class SlowHub:
    """Security Hub behind a network: each call takes its time, and may be answered or not."""

    def __init__(self, clock: Clock, seconds: float, error: Exception | None, hub: Any) -> None:
        self._clock, self._seconds, self._error, self._hub = clock, seconds, error, hub

    def batch_import_findings(self, **arguments: Any) -> Any:
        self._clock.sleep(self._seconds)
        if self._error:
            raise self._error
        return self._hub.batch_import_findings(**arguments)


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (20, ReadTimeoutError(endpoint_url="https://securityhub")),
        (2, ConnectTimeoutError(endpoint_url="https://securityhub")),
        (20, None),
    ],
    ids=["never answers", "packets vanish", "answers after 20 s"],
)
def test_nothing_waits_for_security_hub(harness: RunHarness, seconds: float, error: Exception | None) -> None:
    new = learned(harness)
    known = seen_groups(harness)
    only(harness, "first-seen-application", "superuser-grant")
    harness.happen(new, NOW)
    harness.happen(sample("superuser-grant"), NOW)
    clock = Clock()
    hub = SlowHub(clock, seconds, error, harness.aws.security_hub())

    report = harness.run(minutes(1), clock=clock, security_hub=lambda _: hub)

    mails, alerts = harness.mails(), harness.alerts()
    assert len(mails) == len(alerts) > 1
    assert {one.detection for one in alerts.values()} == {"first-seen-application", "superuser-grant"}
    assert all(one.notified_episode == 1 for one in alerts.values())
    assert (since(harness), behind_of(harness)) == (iso_milliseconds(minutes(1)), {})
    assert seen_groups(harness) == known + 2
    assert bool(report.sent.unsent) == bool(error)

    harness.run(minutes(2))
    assert not harness.mails()
    assert len(harness.findings()) == len(alerts)
    assert not any(one.pending for one in harness.alerts().values())


def test_messages_of_a_slow_topic_go_out_once_each(harness: RunHarness) -> None:
    """Six seconds each: some in every run, and each is noted."""
    only(harness, "superuser-grant")
    databases = [f"cluster-SLOW{number:02}" for number in range(12)]
    for database in databases:
        harness.happen(sample("superuser-grant"), NOW, database=database)
    sns, clock = harness.aws.client("sns"), Clock()

    class Slow:
        def publish(self, **arguments: Any) -> Any:
            clock.sleep(6)
            return sns.publish(**arguments)

    sent: list[str] = []
    for minute in range(1, 7):
        clock.now = 100.0 * minute
        report = harness.run(minutes(minute), clock=clock, sns=Slow)
        assert clock.now - 100 * minute < 53
        sent += harness.mails()
        assert len(sent) == sum(one.notified_episode for one in harness.alerts().values())
        assert report.sent.messages or len(sent) == 12

    assert len(sent) == 12
    assert len(set(sent)) == 12


def test_a_topic_that_fails_leaves_its_messages_for_the_next_run(harness: RunHarness) -> None:
    only(harness, "superuser-grant")
    harness.happen(sample("superuser-grant"), NOW)
    clock = Clock()

    class Gone:
        def publish(self, **_: Any) -> Any:
            clock.sleep(30)
            raise ReadTimeoutError(endpoint_url="https://sns")

    report = harness.run(minutes(1), clock=clock, sns=Gone)
    assert (report.sent.messages, report.sent.findings) == (0, 1)

    harness.run(minutes(2))
    harness.run(minutes(3))
    assert len(harness.mails()) == 1


# Floods.


def flood(users: int, first: int = 0) -> Sample:
    """So many users who each fail to log in once."""
    names = [f"user_{first + number:05}" for number in range(users)]
    step = {"times": users, "apart": 0.001, "event": FAILED, "each": {"dbUserName": names}}
    return Sample("", "match", "", "postgresql", (step,))


def test_a_flood_of_groups_becomes_one_summary(harness: RunHarness) -> None:
    """10,000 users, one failed login each; what else happened is raised and mailed in the same run."""
    harness.detections = [EACH_FAILURE, DETECTIONS["superuser-grant"], DETECTIONS["das-failing"]]
    harness.happen(flood(10_000), NOW)
    harness.happen(sample("superuser-grant"), NOW)

    report = harness.run(minutes(1))

    alerts = harness.alerts()
    (summary,) = [one for one in alerts.values() if not one.group]
    assert len(alerts) == MAX_OPEN + 2 == report.raised
    assert (summary.detection, summary.metrics[GROUPS], summary.count) == ("each-failure", 10_000, 10_000)
    assert summary.database.resource_id == harness.resource_id
    assert summary.note.startswith("10000 groups fired at once")
    assert report.storms == {summary.id: 10_000}
    assert not any(one.pending for one in alerts.values())
    assert len(harness.findings()) == MAX_OPEN + 2
    mails = harness.mails()
    assert [mail[:10] for mail in mails] == ["[HIGH] Sup", "[LOW] 101 "]
    assert since(harness) == iso_milliseconds(minutes(1))

    harness.happen(flood(10_000, first=10_000), minutes(2))
    report = harness.run(minutes(3))

    assert (report.raised, report.sent.messages, since(harness)) == (0, 0, iso_milliseconds(minutes(3)))
    assert len(harness.alerts()) == MAX_OPEN + 2
    assert harness.alerts()[summary.id].count == 20_000


def test_a_flood_of_what_is_new_is_noted_as_seen(harness: RunHarness) -> None:
    new = learned(harness)
    names = [f"DBeaver {number}" for number in range(3_000)]
    (step,) = new.steps
    steps = ({**step, "times": len(names), "apart": 0.001, "each": {"clientApplication": names}},)
    known = seen_groups(harness)
    harness.happen(replace(new, steps=steps), NOW)

    harness.run(minutes(1))
    again = harness.run(minutes(2))

    assert seen_groups(harness) == known + 3_000
    assert len(harness.alerts()) == MAX_OPEN + 1
    assert (again.raised, again.firings, again.storms) == (0, 0, {})


def index_alerts(harness: RunHarness, alerts: list[Alert]) -> None:
    lines = []
    for one in alerts:
        lines += [
            orjson.dumps({"create": {"_index": harness.indices.alerts, "_id": one.id}}),
            orjson.dumps(one.document()),
        ]
    assert not harness.search.bulk(body=b"\n".join(lines) + b"\n", params={"refresh": "true"})["errors"]


def test_many_open_alerts_are_brought_up_to_date_in_portions(
    harness: RunHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open, unpublished alerts: each run takes the most severe, and what happens now goes first."""
    monkeypatch.setattr(alert_index, "PORTION", 200)
    only(harness, "superuser-grant")
    harness.run(NOW)
    old = [
        an_alert(
            detection="privilege-grant",
            level=Level.HIGH if number % 10 == 0 else Level.LOW,
            database=replace(an_alert().database, resource_id=harness.resource_id),
            group={"dbUserName": f"user {number}"},
        )
        for number in range(1_000)
    ]
    opened = NOW - timedelta(minutes=5)
    at = iso_milliseconds(opened)
    index_alerts(harness, [replace(one, created_at=at, changed_at=at, last_activity_at=at) for one in old])
    harness.happen(sample("superuser-grant"), NOW)

    mails = []
    for minute in range(1, 7):
        report = harness.run(minutes(minute))
        mails.append(harness.mails())
        alerts = [one for one in harness.alerts().values() if one.detection == "privilege-grant"]
        published = [one for one in alerts if not one.pending and one.notified_episode]
        assert len(published) == min(1_000, 200 * minute)
        assert minute > 1 or {one.level for one in alerts if one.pending} == {Level.LOW}
        assert report.sent.messages <= 2

    assert [len(one) for one in mails] == [2, 1, 1, 1, 1, 0]
    assert mails[0][0].startswith("[HIGH]")

    for minute in range(60, 66):
        harness.run(minutes(minute))
    old_states = {one.state for one in harness.alerts().values() if one.detection == "privilege-grant"}
    assert old_states == {State.ARCHIVED}


def test_alerts_that_wait_for_a_message_hold_up_no_archiving(
    harness: RunHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a run brings up to date, quiet for longer than the one whose message is out."""
    monkeypatch.setattr(alert_index, "PORTION", 5)
    only(harness, "superuser-grant")
    harness.run(NOW)
    database = replace(an_alert().database, resource_id=harness.resource_id)
    ours = [
        an_alert(detection="privilege-grant", database=database, group={"dbUserName": f"user {number}"})
        for number in range(21)
    ]
    earlier, later = (iso_milliseconds(minutes(minute)) for minute in (-200, -100))
    waiting = [replace(one, created_at=earlier, changed_at=earlier, last_activity_at=earlier) for one in ours[:20]]
    sent = replace(ours[20], created_at=later, changed_at=later, last_activity_at=later, notified_episode=1)
    index_alerts(harness, [*waiting, sent])

    class Gone:
        def publish(self, **_: Any) -> Any:
            raise ReadTimeoutError(endpoint_url="https://sns")

    report = harness.run(minutes(1), sns=Gone)

    assert report.archived == 1
    assert [one.id for one in harness.alerts().values() if one.state is State.ARCHIVED] == [sent.id]


@pytest.mark.parametrize("of", ["ours", "an analyst's"])
def test_a_flood_in_one_notification_is_bounded(harness: RunHarness, of: str) -> None:
    harness.detections = [EACH_FAILURE, DETECTIONS["das-failing"]]
    harness.happen(flood(500), NOW)
    at = NOW.timestamp() * 1000
    buckets: list[dict[str, Any]] = [
        {
            "key": {"resourceId": harness.resource_id, "dbUserName": f"user_{number:05}", "remoteHost": "10.0.0.1"},
            "doc_count": 1,
            "first": {"value": at - 2_000},
            "last": {"value": at},
        }
        for number in range(500)
    ]
    if of == "ours":
        body = {"size": 1, "query": {"term": {"dbUserName": "user_00000"}}}
        (hit,) = harness.search.search(index=f"{harness.prefix}-*", body=body)["hits"]["hits"]
        for bucket in buckets:
            bucket["key"]["remoteHost"] = hit["_source"]["remoteHost"]
    named = {"detection": "each-failure"} if of == "ours" else {"monitor": "my monitor", "severity": "3"}
    known = {one.name: one for one in harness.detections}
    notification = read_notification(orjson.dumps({**named, "groups": buckets}).decode(), known, minutes(1))

    for minute in (1, 2):
        report: RunReport = harness.runner().take([notification], minutes(minute), Deadline.after(53, Clock()))
        assert list(report.storms.values()) == [500]

    (summary,) = [one for one in harness.alerts().values() if not one.group]
    assert len(harness.alerts()) == MAX_OPEN + 1
    assert summary.metrics == {GROUPS: 500}
    assert len(harness.mails()) == 1


# Late events.


def test_a_late_event_of_an_archived_episode_raises_again(harness: RunHarness) -> None:
    """Granted at 11:55, arrived at 15:00; the episode of 12:00 is archived. The same events once more raise nothing."""
    only(harness, "superuser-grant")
    grant = sample("superuser-grant")
    harness.happen(grant, minutes(0))
    harness.run(minutes(1))
    harness.run(minutes(90))
    assert {one.state for one in harness.alerts().values()} == {State.ARCHIVED}
    assert len(harness.mails()) == 1

    harness.happen(grant, minutes(-5), arrived=minutes(180))
    report = harness.run(minutes(181))

    (alert,) = harness.alerts().values()
    assert (report.raised, alert.state, alert.episode, alert.count) == (1, State.ACTIVE, 2, 1)
    assert len(harness.mails()) == 1

    harness.run(minutes(270))
    harness.search.delete(index=harness.indices.runs, id="scheduled")
    again = harness.run(minutes(185))
    assert (again.firings, again.raised) == (1, 0)
    assert {one.state for one in harness.alerts().values()} == {State.ARCHIVED}


def test_a_late_event_in_a_backlog_raises_what_is_over(harness: RunHarness) -> None:
    """Granted two hours before the known episode, arrived while the runner was away."""
    only(harness, "superuser-grant")
    grant = sample("superuser-grant")
    harness.happen(grant, minutes(0))
    harness.run(minutes(1))
    harness.run(minutes(90))
    harness.happen(grant, minutes(-120), arrived=minutes(180))
    (before,) = harness.alerts().values()
    assert before.state is State.ARCHIVED
    away_since = {"since": iso_milliseconds(minutes(100))}
    harness.search.index(index=harness.indices.runs, id="scheduled", body=away_since, params={"refresh": "true"})

    minute = 24 * 60
    while harness.run(minutes(minute)).behind:
        minute += 1

    (alert,) = harness.alerts().values()
    assert alert.episode == 2
    assert alert.first_seen < before.first_seen


def test_late_event_long_before_an_open_episode_is_not_counted(harness: RunHarness) -> None:
    only(harness, "superuser-grant")
    grant = sample("superuser-grant")
    harness.happen(grant, minutes(0))
    harness.run(minutes(1))
    (before,) = harness.alerts().values()

    harness.happen(grant, minutes(-600), arrived=minutes(2))
    report = harness.run(minutes(3))

    (alert,) = harness.alerts().values()
    assert (alert.first_seen, alert.count, alert.episode) == (before.first_seen, before.count, 1)
    assert report.superseded == 1
