"""Messages: a subject that SNS takes, a body for a telephone, and no SQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.alerts.alert import GROUPS, Database
from daswatch.alerts.messages import MAX_ALIKE, MAX_LISTED, MAX_MESSAGES, message, shared, summary
from daswatch.detections.detection import Level
from tests.fakes.security_hub import ACCOUNT, REGION, a_detection, an_alert

URL = "https://search.example.org/_dashboards/app/discover#/?_g=()"

odd_text = st.one_of(
    st.text(st.characters(), max_size=40), st.sampled_from(["", " ", "\0\n", "\ud800", "é" * 300, "x y " * 10_000])
)


def test_a_message_reports_all_that_a_person_needs() -> None:
    shown = message(an_alert(), a_detection(), URL)

    assert shown.subject == "[HIGH] Successful login after repeated failures (cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ)"
    assert shown.body == (
        "HIGH: Successful login after repeated failures: app from 203.0.113.9\n"
        "\n"
        "User: app\n"
        "From: 203.0.113.9\n"
        "Program: psql, hydra\n"
        "Events: 12 events within 7 minutes, episode 2\n"
        "Since: 2026-11-21 10:00:00 UTC\n"
        "Last: 2026-11-21 10:07:30 UTC\n"
        "count before: 11\n"
        "Database: postgresql cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ, account 123456789012, eu-west-1\n"
        "\n"
        "Why it matters: This is what guessing looks like when it works.\n"
        "\n"
        "First steps:\n"
        "1. Read the session that followed.\n"
        "2. Ask the account's owner.\n"
        "3. Change the password.\n"
        "\n"
        "View the events:\n"
        f"{URL}\n"
    )


def test_a_message_links_to_the_session() -> None:
    body = message(an_alert(), a_detection(), URL, ("https://d/before", "https://d/after")).body

    assert body.endswith(
        "What the session did before:\nhttps://d/before\n\n"
        "What the session did after:\nhttps://d/after\n\n"
        f"View the events:\n{URL}\n"
    )


def test_a_monitors_message_says_who_found_it() -> None:
    shown = message(an_alert(detection="my monitor", note="A trigger without a query", episode=1), None, "")

    assert "Raised by monitor my monitor." in shown.body
    assert "A trigger without a query" in shown.body
    assert "Events: 12 events within 7 minutes\n" in shown.body
    assert "View the events:" not in shown.body


@pytest.mark.parametrize(
    ("database", "line"),
    [
        (Database("", ACCOUNT, REGION), "Account 123456789012, eu-west-1\n"),
        (Database(""), "Account unknown\n"),
        (Database("db-A"), "Database: db-A\n"),
        (Database("db-A", engine="oracle"), "Database: oracle db-A\n"),
        (Database("db-A", engine="oracle", identifier="ledger"), "Database: oracle ledger (db-A)\n"),
        (
            Database("db-A", identifier="ledger", tags=("env=prod", "team=a")),
            "Database: ledger (db-A)\nTags: env=prod, team=a\n",
        ),
    ],
)
def test_what_is_unknown_is_left_out(database: Database, line: str) -> None:
    assert f"\n{line}" in message(an_alert(database=database), a_detection(), URL).body


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("Überwachung prüft", "[HIGH] Uberwachung pruft (db-A)"),
        ("名", "[HIGH] ? (db-A)"),
        ("two\nlines", "[HIGH] two lines (db-A)"),
        ("", "[HIGH] bruteforce-success (db-A)"),
        ("word " * 40, "[HIGH] " + "word " * 15 + "word... (db-A)"),
    ],
)
def test_the_subject_is_ascii_in_one_short_line(title: str, subject: str) -> None:
    assert message(an_alert(title=title, database=Database("db-A")), None, "").subject == subject


def test_messages_name_the_database() -> None:
    alerts = [an_alert(database=Database("db-A", identifier="ledger"), group={"x": str(n)}) for n in range(2)]

    assert message(alerts[0], None, "").subject.endswith(" (ledger)")
    assert summary(alerts, "").body.count(", ledger, ") == 2


@given(odd_text, odd_text, odd_text, st.sampled_from(Level))
def test_every_subject_is_one_that_sns_takes(title: str, detection: str, resource_id: str, level: Level) -> None:
    alert = an_alert(title=title, detection=detection, level=level, database=Database(resource_id, resource_id))

    subject = message(alert, None, "").subject

    assert len(subject) < 100
    assert all(" " <= character <= "~" for character in subject)
    assert subject.startswith(f"[{level.name}]")


@given(odd_text, st.dictionaries(odd_text, odd_text, max_size=30), odd_text)
def test_every_body_is_short_plain_text(title: str, group: dict[str, str], note: str) -> None:
    alert = an_alert(title=title, group=group, note=note, actors={name: (value,) for name, value in group.items()})

    body = message(alert, a_detection(why=title, runbook=(note, note)), URL).body

    assert all(line.isprintable() and len(line) <= 620 for line in body.split("\n"))
    assert len(body.encode()) < 262_144
    assert body.endswith(f"\n{URL}\n")


@pytest.mark.parametrize("field", ["commandText", "commandText.keyword", "paramList", "errorMessage"])
def test_no_message_has_sql(field: str) -> None:
    alert = an_alert(group={field: "SELECT secret"}, actors={field: ("SELECT secret",)})

    assert "secret" not in message(alert, a_detection(), URL).body


def test_few_new_alerts_each_have_a_message() -> None:
    alerts = [an_alert(group={"dbUserName": f"user {number}"}) for number in range(MAX_ALIKE)]

    assert shared(alerts) == [[alert] for alert in sorted(alerts, key=lambda alert: alert.id)]


def test_many_alerts_of_one_detection_share_a_message() -> None:
    storm = [an_alert(group={"dbUserName": f"user {number}"}, level=Level.LOW) for number in range(100)]
    one = an_alert(group={}, level=Level.LOW, metrics={GROUPS: 10_000}, note="10000 groups fired at once")
    grant = an_alert(detection="superuser-grant", level=Level.CRITICAL)

    first, second = shared([*storm, one, grant])

    assert first == [grant]
    assert second[0] is one
    assert len(second) == 101


def test_a_run_sends_a_bounded_number_of_messages() -> None:
    alerts = [an_alert(detection=f"detection {n}", level=list(Level)[n % 5]) for n in range(400)]

    messages = shared(alerts)

    assert len(messages) == MAX_MESSAGES
    assert {alert.level for group in messages[:-1] for alert in group} == {Level.CRITICAL}
    assert sorted(alert.id for group in messages for alert in group) == sorted(alert.id for alert in alerts)


def test_a_shared_message_lists_the_most_severe_first() -> None:
    levels = [Level.LOW] * 80 + [Level.CRITICAL]
    alerts = [
        an_alert(detection=f"d{n}", title=f"Title {level}", level=level, database=Database("db-A"))
        for n, level in enumerate(levels)
    ]
    (group,) = [group for group in shared(alerts) if len(group) > 1]
    shown = summary([alerts[-1], *group], URL)

    lines = shown.body.splitlines()
    assert shown.subject == f"[CRITICAL] {len(group) + 1} new alerts: Title critical, Title low"
    assert lines[0] == f"{len(group) + 1} new alerts, most severe first:"
    assert lines[2] == "CRITICAL: Title critical, db-A, dbUserName app; remoteHost 203.0.113.9"
    assert lines[2 + MAX_LISTED] == f"and {len(group) + 1 - MAX_LISTED} more"
    assert lines[-1] == URL


@given(odd_text, odd_text, odd_text, st.sampled_from(Level))
def test_every_shared_message_is_one_that_sns_takes(title: str, value: str, detection: str, level: Level) -> None:
    fields = {"title": title, "detection": detection, "level": level, "group": {"dbUserName": value}}

    shown = summary([an_alert(**fields)] * (MAX_LISTED + 1), URL)

    assert len(shown.subject) < 100
    assert all(" " <= character <= "~" for character in shown.subject)
    assert all(line.isprintable() and len(line) <= 200 for line in shown.body.split("\n"))


def test_no_shared_message_has_sql() -> None:
    alerts = [an_alert(group={"commandText": "SELECT secret"})] * 9

    assert "secret" not in summary(alerts, URL).body
