"""The section `known-clients` of a rule: what it may say, and what becomes of it."""

from __future__ import annotations

import pytest

from daswatch.detections.detection import Explanation, KnownClients, Level, dump, load
from daswatch.detections.sigma import NO_TUNING, Tuning, compile_rule, read_tuning, shared_lists
from daswatch.errors import RuleError
from tests.detections.test_tuning import CORRELATED, RULE

WHEN = """
---
title: From within
id: 0c2a8f39-6c5d-4c2b-8e8f-1fb05f8e2176
name: from_within
status: test
description: From a network of ours.
date: 2031-03-04
logsource:
  product: rds
detection:
  selection:
    remoteIp|cidr: [10.0.0.0/8, 'fc00::/7']
  filter_names:
    dbUserName|expand: '%allowed-users%'
  condition: selection and not 1 of filter_*
level: informational
"""


def of(section: str, rule: str = RULE, tuning: Tuning = NO_TUNING) -> KnownClients | None:
    names = "" if "allowed-users" in rule else "\n  settings: {allowed-users: []}"
    own = rule.rstrip() + names + f"\n  known-clients: {section}\n" + WHEN
    return compile_rule("table-drop", own, tuning).known_clients


def test_a_rule_leaves_out_known_clients() -> None:
    assert of("{days: 7}") == KnownClients(7)
    assert of("{days: 7, when: from_within}") == KnownClients(
        7, r"(remoteIp:10.0.0.0\/8 OR remoteIp:fc00\:\:\/7)"[1:-1]
    )
    assert compile_rule("table-drop", RULE).known_clients is None


def test_days_can_be_a_setting_and_0_switches_it_off() -> None:
    rule = RULE.replace("    limit: 5", "    limit: 5\n    known-days: 14")
    off = read_tuning("detections: {table-drop: {settings: {known-days: 0}}}")

    assert of("{days: '%known-days%'}", rule) == KnownClients(14)
    assert of("{days: '%known-days%'}", rule, off) is None


def test_a_filter_of_when_is_a_setting() -> None:
    tuning = read_tuning("detections: {table-drop: {settings: {allowed-users: [root, sa]}}}")
    found = of("{days: 7, when: from_within}", RULE, tuning)

    assert found
    assert found.when.endswith("AND (NOT (dbUserName:(root OR sa)))")


def test_steady_needs_a_window() -> None:
    assert of("{days: 7, pace: steady}", CORRELATED) == KnownClients(7, steady=True)
    assert of("{days: 7, pace: steady, few: 9}", CORRELATED) == KnownClients(7, steady=True, few=9)
    assert of("{days: 7, pace: steady, hosts: each}", CORRELATED) == KnownClients(7, steady=True, each_host=True)
    with pytest.raises(RuleError, match="`hosts: several` of `known-clients` is for groups of one host"):
        of("{days: 7, pace: steady, hosts: several}", CORRELATED)
    with pytest.raises(RuleError, match="needs a window"):
        of("{days: 7, pace: steady}")


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ("{days: 7, user: x}", "unknown in `known-clients`: user"),
        ("{days: 7, few: 9}", "`few` of `known-clients` needs a `pace`"),
        ("{days: 7, hosts: each}", "`hosts` of `known-clients` needs a `pace`"),
        ("{days: 7, pace: steady, hosts: some}", "the `hosts` of `known-clients` are each"),
        ("{days: 7, pace: fast}", "the `pace` of `known-clients` is steady"),
        ("{days: 7, when: elsewhere}", "'elsewhere' of `known-clients` is not in this file"),
        ("{when: from_within}", "'days' is missing"),
    ],
)
def test_what_is_wrong_is_named(section: str, wrong: str) -> None:
    with pytest.raises(RuleError, match=wrong):
        of(section, CORRELATED)


def test_what_is_new_can_be_of_known_clients() -> None:
    first_seen = RULE.rstrip() + "\n  first-seen: {learn: 30d}\n"

    assert of("{days: 7}", first_seen) == KnownClients(7)
    with pytest.raises(RuleError, match="needs a window"):
        of("{days: 7, pace: steady}", first_seen)


@pytest.mark.parametrize("section", ["silence: {after: 5m}", "failing: true"])
def test_what_no_event_fires_has_no_known_clients(section: str) -> None:
    with pytest.raises(RuleError, match="is for detections of events"):
        of("{days: 7}", RULE.rstrip() + f"\n  {section}\n")


def test_known_clients_are_compiled_and_read() -> None:
    detection = compile_rule("table-drop", RULE.rstrip() + "\n  known-clients: {days: 3}\n")

    assert load(dump([detection])) == (detection,)


def test_statements_can_have_to_be_the_same() -> None:
    assert of("{days: 7, statements: same}") == KnownClients(7, same_statements=True)
    with pytest.raises(RuleError, match="`statements` of `known-clients` are the same"):
        of("{days: 7, statements: other}")


def test_clients_of_a_rule_may_send_any_statement() -> None:
    found = of("{days: 7, statements: same, any-statement-of: from_within}")

    assert found
    assert (found.same_statements, found.when) == (True, "")
    assert found.any_statement_of.startswith("remoteIp:10.0.0.0")
    with pytest.raises(RuleError, match=r"elsewhere.* is not in this file"):
        of("{days: 7, statements: same, any-statement-of: elsewhere}")
    with pytest.raises(RuleError, match="`any-statement-of` of `known-clients` needs `statements`"):
        of("{days: 7, any-statement-of: from_within}")


def test_a_rule_is_explained_by_a_shared_one() -> None:
    section = "\n  shared: [schema_migration]\n  explained-by: {rule: schema_migration, within: 10m, below: high}\n"

    detection = compile_rule("table-drop", RULE.rstrip() + section)

    assert detection.explanation
    assert "alembic_version" in detection.explanation.query
    assert (detection.explanation.seconds, detection.explanation.below) == (600, Level.HIGH)
    assert load(dump([detection])) == (detection,)
    assert Explanation("x", 60, Level.LOW) != detection.explanation


def test_a_rule_is_explained_by_one_of_several() -> None:
    section = "{rule: [refilled, schema_migration], within: 10m, below: high}"

    detection = compile_rule(
        "table-drop", RULE.rstrip() + f"\n  shared: [refilled, schema_migration]\n  explained-by: {section}\n"
    )

    assert detection.explanation
    assert "alembic_version" in detection.explanation.query
    assert "signals:import" in detection.explanation.query


@pytest.mark.parametrize(
    "section",
    [
        "{rule: elsewhere, within: 10m, below: high}",
        "{rule: [from_within, elsewhere], within: 10m, below: high}",
        "{rule: [], within: 10m, below: high}",
        "{rule: from_within, within: 10m}",
    ],
)
def test_an_explanation_that_says_too_little_is_refused(section: str) -> None:
    with pytest.raises(RuleError, match="`explained-by` names a `rule` of this file"):
        compile_rule("table-drop", RULE.rstrip() + f"\n  explained-by: {section}\n" + WHEN)


def test_a_setting_can_be_a_shared_list() -> None:
    rule = RULE.replace("    limit: 5", "    limit: 5\n    no-guess: shared")
    own = read_tuning("detections: {table-drop: {settings: {no-guess: ['1040']}}}")

    assert compile_rule("table-drop", rule).settings["no-guess"] == shared_lists()["no-guess"]
    assert compile_rule("table-drop", rule, own).settings["no-guess"] == ["1040"]
