"""A team's tuning file: what it may say, what it changes, and how a suppression ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind, Level, Suppression
from daswatch.detections.sigma import NO_TUNING, Override, Tuning, compile_all, compile_rule, read_tuning
from daswatch.errors import RuleError
from daswatch.opensearch.saved_queries import Question, SavedQueries
from daswatch.queries.saved_query import Window
from daswatch.times import iso_milliseconds
from tests.harness.installed import give_back, installed_prefix

RULE = """
title: Table dropped
id: 5f0d7a34-1d0e-4d7c-8f3a-6d9b0a3f7c21
name: table-drop
status: test
description: A table was dropped.
date: 2031-03-04
logsource:
  product: rds
  service: activity-stream
detection:
  selection:
    activity: DDL
  filter_allowed:
    dbUserName|expand: '%allowed-users%'
  condition: selection and not 1 of filter_*
falsepositives:
  - A release.
level: medium
daswatch:
  why: Data is gone.
  runbook:
    - Ask.
  type: Effects/Data Destruction
  group-by:
    - dbUserName
  settings:
    allowed-users: []
    limit: 5
"""
CORRELATED = """
title: One statement
id: 6a1e8b45-2e1f-4e8d-9a4b-7eac1b4a8d32
name: one-drop
status: test
description: A table was dropped.
date: 2031-03-04
logsource:
  product: rds
detection:
  selection:
    activity: DDL
  condition: selection
level: informational
---
title: Many tables were dropped
id: 7b2f9c56-3f2a-4f9e-8b5c-8fbd2c5b9e43
name: table-drop
status: test
description: Tables were dropped.
date: 2031-03-04
falsepositives:
  - A release.
level: medium
correlation:
  type: event_count
  rules:
    - one-drop
  group-by:
    - resourceId
  timespan: 10m
  condition:
    gte: 5
daswatch:
  why: Data is gone.
  runbook:
    - Ask.
  type: Effects/Data Destruction
"""
SUPPRESSION = """
suppressions:
  - detection: table-drop
    when:
      dbUserName: [release, "o'brien \\"jr\\""]
      remoteHost: 10.0.0.7
    owner: Mira
    reason: The move.
    expires: 2031-06-30
"""


def compiled(text: str, rule: str = RULE) -> Detection:
    """The rule with a tuning file of this text."""
    return compile_rule("table-drop", rule, read_tuning(text))


def override(text: str, rule: str = RULE) -> Detection:
    return compiled(f"detections: {{table-drop: {text}}}", rule)


@pytest.mark.parametrize("text", ["", "# nothing yet", "detections:\nsuppressions:\n", "{}"])
def test_a_file_that_says_nothing_changes_nothing(text: str) -> None:
    assert read_tuning(text) == NO_TUNING == Tuning()


def test_a_file_is_read_by_detection() -> None:
    tuning = read_tuning("detections: {table-drop: {level: high, quiet: 4h, settings: {limit: 9}}}" + SUPPRESSION)

    assert tuning.overrides == {"table-drop": Override(None, Level.HIGH, "4h", {"limit": 9})}
    assert tuning.suppressions == {
        "table-drop": (
            Suppression(
                {"dbUserName": ("release", 'o\'brien "jr"'), "remoteHost": ("10.0.0.7",)},
                "Mira",
                "The move.",
                "2031-06-30",
            ),
        )
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("detections: [", "tuning:"),
        ("- a list", "the sections `detections`, `suppressions` and `actors`"),
        ("detection: {}", "the sections `detections`, `suppressions` and `actors`"),
        ("detections: {table-drop: {threshold: 3}}", "table-drop: expected enabled, level, quiet or settings"),
        ("detections: {table-drop: high}", "table-drop: expected enabled"),
        ("detections: {table-drop: {level: severe}}", "level is one of informational, low, medium, high, critical"),
        (SUPPRESSION.replace("    owner: Mira\n", ""), "has exactly detection, expires, owner, reason, when"),
        (SUPPRESSION.replace("owner: Mira", "owner: ' '"), "an owner who answers for it"),
        (SUPPRESSION.replace("reason: The move.", "reason:"), "and a reason"),
        (SUPPRESSION.replace("2031-06-30", "never"), "expires` on a day, such as 2027-01-31"),
        ("suppressions: [{detection: a, when: {}, owner: b, reason: c, expires: 2031-01-01}]", "names fields"),
        ("suppressions: [{detection: a, when: b, owner: b, reason: c, expires: 2031-01-01}]", "names fields"),
    ],
)
def test_invalid_file_error_has_the_fix(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=r"^tuning") as error:
        read_tuning(text)

    assert message in str(error.value)


def test_a_level_is_overridden() -> None:
    assert override("{level: critical}").level is Level.CRITICAL


@pytest.mark.parametrize("enabled", [True, False])
def test_a_detection_is_switched_on_and_off(enabled: bool) -> None:
    rule = RULE.replace("daswatch:\n", f"daswatch:\n  enabled: {str(not enabled).lower()}\n  disabled-because: no\n")

    assert compile_rule("table-drop", rule).enabled is not enabled
    assert override(f"{{enabled: {str(enabled).lower()}}}", rule).enabled is enabled


def test_the_quiet_time_is_overridden() -> None:
    assert override("{}").quiet_seconds == 3600
    assert override("{quiet: 4h}").quiet_seconds == 4 * 3600


def test_a_setting_changes_the_query() -> None:
    assert "release" not in override("{}").query

    tuned = override("{settings: {allowed-users: [release, deploy]}}")

    assert "NOT (dbUserName:(release OR deploy))" in tuned.query
    assert tuned.settings == {"allowed-users": ["release", "deploy"], "limit": 5}


def test_window_and_threshold_of_a_correlation_are_settings() -> None:
    tuned = override("{settings: {threshold: 50, window: 1h}}", CORRELATED)

    assert (tuned.kind, tuned.window_seconds) == (DetectionKind.THRESHOLD, 3600)
    assert [condition.at_least for condition in tuned.conditions] == [50]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{settings: {treshold: 3}}", "there is no setting 'treshold'; there are allowed-users, limit"),
        ("{settings: {allowed-users: release}}", "allowed-users is a list"),
        ("{settings: {limit: [1, 2]}}", "limit is one value"),
    ],
)
def test_invalid_setting_is_named(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=f"^table-drop: tuning: {message}"):
        override(text)


def test_unknown_detection_is_named() -> None:
    with pytest.raises(RuleError, match="there is no detection 'table-drop'"):
        compile_all(read_tuning(SUPPRESSION))


def test_a_suppression_is_part_of_the_query_until_it_expires() -> None:
    detection = compiled(SUPPRESSION)

    assert detection.query.endswith(
        'AND NOT ((dbUserName:"release" OR dbUserName:"o\'brien \\"jr\\"") AND (remoteHost:"10.0.0.7") '
        "AND ingestedAt:[* TO 2031-06-30})"
    )


@pytest.mark.parametrize(("day", "expired"), [("2031-06-29", False), ("2031-06-30", True), ("2032-01-01", True)])
def test_a_suppression_has_expired_on_its_day(day: str, expired: bool) -> None:
    assert bool(compiled(SUPPRESSION).expired_suppressions(day)) is expired


@pytest.fixture
def index(search: OpenSearch) -> Iterator[str]:
    """A pattern of indices with our mapping, for one test."""
    prefix = installed_prefix(search)
    yield prefix
    give_back(search, prefix)


def found(search: OpenSearch, index: str, detection: Detection, days: dict[str, dict[str, str]]) -> set[str]:
    """Which of these events, named by their database, the detection finds; each has a time of arrival."""
    for name, fields in days.items():
        document = {
            "@timestamp": fields["ingestedAt"],
            "resourceId": name,
            "activity": "DDL",
            "dbUserName": "release",
            "remoteHost": "10.0.0.7",
            **fields,
        }
        search.index(index=f"{index}-2031.06.29", body=document, params={"refresh": "true"})
    window = Window("ingestedAt", "2031-06-01T00:00:00.000Z", "2031-08-01T00:00:00.000Z")
    answers = SavedQueries(search).ask([Question(detection, window, f"{index}-*")], Deadline.after(30))
    assert not answers.failures
    return {candidate.resource_id for _, candidate in answers.candidates}


@pytest.mark.node
def test_suppressed_events_are_left_out_until_the_day_and_found_from_then_on(search: OpenSearch, index: str) -> None:
    midnight = datetime(2031, 6, 30, tzinfo=UTC)
    days = {
        "db-BEFORE": {"ingestedAt": iso_milliseconds(midnight - timedelta(days=9))},
        "db-LASTMOMENT": {"ingestedAt": iso_milliseconds(midnight - timedelta(milliseconds=1))},
        "db-MIDNIGHT": {"ingestedAt": iso_milliseconds(midnight)},
        "db-AFTER": {"ingestedAt": iso_milliseconds(midnight + timedelta(days=9))},
    }

    assert found(search, index, compiled(SUPPRESSION), days) == {"db-MIDNIGHT", "db-AFTER"}


@pytest.mark.node
def test_only_events_that_match_every_field_are_suppressed(search: OpenSearch, index: str) -> None:
    arrived = iso_milliseconds(datetime(2031, 6, 9, tzinfo=UTC))
    days = {
        "db-ALL": {"ingestedAt": arrived},
        "db-QUOTED": {"ingestedAt": arrived, "dbUserName": 'o\'brien "jr"'},
        "db-ANOTHERHOST": {"ingestedAt": arrived, "remoteHost": "10.0.0.70"},
        "db-ANOTHERUSER": {"ingestedAt": arrived, "dbUserName": "release2"},
    }

    assert found(search, index, compiled(SUPPRESSION), days) == {"db-ANOTHERHOST", "db-ANOTHERUSER"}
    assert found(search, index, compiled(""), days) == set(days)
