"""A monitor's message is read completely, or refused with a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daswatch.alerts.alert import Firing, group_text
from daswatch.detections.detection import DetectionKind, Level
from daswatch.errors import NotificationError, Reason
from daswatch.queries.monitor_notifications import FAILING, Notification, read_notification
from daswatch.queries.saved_query import Candidate
from tests.builders.alerts import NOW, a_detection, iso

DETECTIONS = {
    "bruteforce-user": a_detection(),
    FAILING: a_detection(name=FAILING, kind=DetectionKind.FAILING, title="A saved query fails", group=("detection",)),
}
BUCKET = {
    "key": {"resourceId": "cluster-SHOP", "dbUserName": "shop_app", "remoteHost": None},
    "doc_count": 12,
    "first": {"value": 1_930_000_000_000.0},
    "last": {"value": 1_930_000_060_000.0},
}


def read(**content: Any) -> Notification:
    return read_notification(orjson.dumps(content).decode(), DETECTIONS, NOW)


def test_groups_of_our_own_monitor_are_candidates() -> None:
    found = read(detection="bruteforce-user", monitor="daswatch bruteforce-user", groups=[BUCKET])

    ((detection, candidate),) = found.candidates
    assert detection is DETECTIONS["bruteforce-user"]
    assert candidate.resource_id == "cluster-SHOP"
    assert candidate.group == {"dbUserName": "shop_app", "remoteHost": ""}
    assert candidate.count == 12
    assert found.firings == ()


def test_a_group_lists_its_fields_as_its_detection_does() -> None:
    key = {"remoteHost": "203.0.113.9", "extra": "x", "dbUserName": "shop_app", "resourceId": "cluster-SHOP"}

    ((_, candidate),) = read(detection="bruteforce-user", groups=[{**BUCKET, "key": key}]).candidates

    assert list(candidate.group) == ["dbUserName", "remoteHost", "extra"]
    assert group_text(candidate.group) == "dbUserName shop_app, remoteHost 203.0.113.9, extra x"


def test_our_own_monitor_without_groups_reports_nothing() -> None:
    assert read(detection="bruteforce-user", groups=[]) == Notification()


def test_an_unknown_detection_is_read_as_a_monitor() -> None:
    (firing,) = read(detection="of a later version", groups=[BUCKET]).firings

    assert firing.detection == "monitor:of a later version"


@pytest.mark.parametrize(
    ("severity", "level"),
    [("1", Level.CRITICAL), ("2", Level.HIGH), ("3", Level.MEDIUM), ("4", Level.LOW), ("5", Level.INFORMATIONAL),
     ("", Level.MEDIUM), (None, Level.MEDIUM)],
)  # fmt: skip
def test_a_triggers_severity_is_the_level(severity: str | None, level: Level) -> None:
    (firing,) = read(monitor="m", severity=severity, groups=[BUCKET]).firings

    assert firing.level is level


def test_hits_of_two_databases_are_two_firings() -> None:
    hits = [
        {"_id": "a", "_source": {"resourceId": "cluster-A", "@timestamp": iso(-3), "dbUserName": "x"}},
        {"_id": "b", "_source": {"resourceId": "cluster-A", "@timestamp": iso(-1), "dbUserName": "y"}},
        {"_id": "c", "_source": {"resourceId": "db-B", "awsAccountId": "210987654321"}},
    ]

    first, second = read(monitor="m", periodStart=iso(-5), periodEnd=iso(), total=40, hits=hits).firings

    assert (first.database.resource_id, first.count, first.first_seen, first.last_seen) == (
        "cluster-A", 2, iso(-3), iso(-1),
    )  # fmt: skip
    assert first.actors["dbUserName"] == ("x", "y")
    assert (second.database.aws_account_id, second.first_seen, second.last_seen) == ("210987654321", iso(-5), iso())


def test_of_one_database_the_total_counts() -> None:
    (firing,) = read(monitor="m", total=40, hits=[{"_id": "a", "_source": {"resourceId": "cluster-A"}}]).firings

    assert firing.count == 40


def test_a_monitors_error_is_a_failing_query_without_its_text() -> None:
    (firing,) = read(monitor="m", error="select secret from t").firings

    assert (firing.detection, firing.group) == (FAILING, {"detection": "m"})
    assert "secret" not in firing.note


def test_a_long_odd_name_is_made_harmless() -> None:
    (firing,) = read(monitor="my <monitor>\n" + "x" * 500, groups=[BUCKET]).firings

    assert len(firing.alert_id) < 300
    assert "\n" not in firing.title
    assert "<" not in firing.title


@pytest.mark.parametrize("source", [{"detection": "bruteforce-user"}, {"monitor": "m"}], ids=["ours", "an analyst's"])
@pytest.mark.parametrize(
    ("content", "full"),
    [
        ({"groups": [BUCKET, BUCKET], "limit": 2}, True),
        ({"groups": [BUCKET], "limit": 2}, False),
        ({"groups": [BUCKET], "limit": 0}, False),
        ({"groups": [BUCKET]}, False),
    ],
)
def test_a_full_message_may_leave_groups_out(source: dict[str, Any], content: dict[str, Any], full: bool) -> None:
    assert read(**source, **content).full is full


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", Reason.NOT_JSON), ("{", Reason.NOT_JSON), ("1", Reason.NOT_A_NOTIFICATION),
     ("null", Reason.NOT_A_NOTIFICATION),
     ('{"monitor": "m", "groups": [{"key": {"resourceId": "../x"}, "doc_count": 1}]}', Reason.NOT_A_NOTIFICATION),
     ('{"monitor": " "}', Reason.NOT_A_NOTIFICATION), ('{"monitor": "m", "groups": []}', Reason.NOT_A_NOTIFICATION)],
)  # fmt: skip
def test_unusable_message_is_refused_with_a_reason(text: str, reason: Reason) -> None:
    with pytest.raises(NotificationError) as error:
        read_notification(text, DETECTIONS, NOW)

    assert error.value.reason is reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
NAMES = ["detection", "monitor", "severity", "periodStart", "periodEnd", "error", "total", "groups", "hits"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON | st.just("bruteforce-user")))
def test_any_json_is_read_or_refused(content: dict[str, Any]) -> None:
    try:
        found = read_notification(json.dumps(content), DETECTIONS, NOW)
    except NotificationError:
        return
    assert all(candidate.alert_id(detection.name) for detection, candidate in found.candidates)
    assert all(firing.alert_id and firing.first_seen <= iso(10**6) for firing in found.firings)


HIT = {"_id": "a", "_source": {"resourceId": "cluster-A", "@timestamp": iso(), "dbUserName": "x", "engine": "mysql"}}


@settings(max_examples=500)
@given(
    name=st.sampled_from(["bruteforce-user", "m"]),
    field=st.sampled_from([*BUCKET, "_id", "_source", "resourceId", "@timestamp", "value"]),
    value=JSON | st.integers(2**53, 2**63) | st.just({"value": 1e300}),
)
def test_what_is_nearly_right_is_read_or_refused(name: str, field: str, value: Any) -> None:
    hit = {**HIT, "_source": {**HIT["_source"], field: value}, field: value}  # type: ignore[dict-item]
    for content in (
        {"detection": name, "groups": [{**BUCKET, field: value}]},
        {"monitor": name, "groups": [{**BUCKET, field: value}]},
        {"monitor": name, "groups": [{**BUCKET, "first": {field: value}}]},
        {"monitor": name, "hits": [hit]},
        {"monitor": name, "hits": [HIT], "periodStart": value},
    ):
        try:
            found = read_notification(json.dumps(content), DETECTIONS, NOW)
        except NotificationError:
            continue
        groups: list[Firing | Candidate] = [*found.firings, *(candidate for _, candidate in found.candidates)]
        for group in groups:
            assert isinstance(group.count, int)
            assert datetime.fromisoformat(group.first_seen) <= datetime.max.replace(tzinfo=UTC)
            assert datetime.fromisoformat(group.last_seen).tzinfo


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_notification(text, DETECTIONS, NOW)
    except NotificationError:
        pass
