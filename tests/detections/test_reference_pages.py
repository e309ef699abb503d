"""Pages of detections, and the page about detections: what they show is what is compiled and sent."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import typer
import yaml
from opensearchpy import OpenSearch
from typer.testing import CliRunner

from daswatch.cli import app
from daswatch.detections.actors import shipped_actors
from daswatch.detections.detection import (
    Condition,
    Detection,
    DetectionKind,
    EventSequence,
    FirstSeen,
    Level,
    Suppression,
)
from daswatch.detections.reference_pages import duration, fires_in_words, index, page
from daswatch.detections.samples import Sample, samples_of
from daswatch.detections.sigma import compile_all, compile_rule, read_tuning, rule_folders
from daswatch.documents.actors import ActorTable
from daswatch.opensearch.sample_runs import SampleRun
from daswatch.queries.monitors import CONDITION, CONDITION_ON_HITS, MESSAGE_WITH_GROUPS, MESSAGE_WITH_HITS
from tests.builders.alerts import a_detection
from tests.harness.guide import GUIDE, RULE_OF_THE_GUIDE, blocks

NAMES = [folder.name for folder in rule_folders()]


@cache
def corpus() -> dict[str, Detection]:
    return {detection.name: detection for detection in compile_all()}


def headings(text: str) -> list[str]:
    return re.findall(r"^##? (.*)$", text, re.MULTILINE)


def test_a_page_says_what_is_left_out() -> None:
    text = page(corpus()["schema-drop"])
    assert "Groups below the level high are left out where the same group has an event" in text
    assert "Groups whose clients all sent statements of the same shapes to the database 7 days before are left" in text
    guessing = page(corpus()["bruteforce-user"])
    assert "whose clients were all active at the database 7 days before are left out, and their events" in guessing
    assert "Groups below the level" not in guessing


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (60, "1 minute"),
        (900, "15 minutes"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (86_400, "1 day"),
        (90 * 86_400, "90 days"),
    ],
)
def test_duration_uses_largest_whole_unit(seconds: int, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "10 or more events within 10 minutes, per database, dbUserName and remoteHost"),
        ({"group": ()}, "10 or more events within 10 minutes, per database"),
        (
            {"conditions": (Condition("distinct", 5, "dbUserName"),), "group": ("remoteHost",)},
            "5 or more distinct values of dbUserName within 10 minutes, per database and remoteHost",
        ),
        (
            {"conditions": (Condition("sum", 1_000_000, "rowCount"), Condition("max", 1000, "rowCount")), "group": ()},
            "a total rowCount of 1,000,000 or more or a single rowCount of 1,000 or more within 10 minutes, "
            "per database",
        ),
        (
            {"conditions": (Condition("count", 1, query="x", level=Level.HIGH),), "group": ()},
            "an event matching the narrower query (high) within 10 minutes, per database",
        ),
        (
            {"conditions": (Condition("count", 40, across="remoteHost", across_at_least=3),), "group": ("dbUserName",)},
            "40 or more events with 3 or more distinct values of remoteHost within 10 minutes, per database and"
            " dbUserName",
        ),
        (
            {"kind": DetectionKind.EVENT, "window_seconds": 0, "group": ("dbUserName",)},
            "each event, per database and dbUserName",
        ),
        (
            {"kind": DetectionKind.SEQUENCE, "sequence": EventSequence("a", 5, "b"), "group": ()},
            "5 or more events of the first step, then one of the second, within 10 minutes, per database",
        ),
        (
            {"kind": DetectionKind.FIRST_SEEN, "first_seen": FirstSeen(30), "group": ("dbUserName",)},
            "never seen before (learning period: 30 days), per database and dbUserName",
        ),
        (
            {"kind": DetectionKind.FIRST_SEEN, "first_seen": FirstSeen(30, 90), "group": ("dbUserName",)},
            "seen again after 90 days or more (learning period: 30 days), per database and dbUserName",
        ),
        (
            {"kind": DetectionKind.SILENCE, "silent_seconds": 300, "forget_seconds": 7 * 86_400},
            "no data from an instance for 5 minutes; not tracked after 7 days",
        ),
        ({"kind": DetectionKind.FAILING}, "a saved query or a monitor fails to run"),
    ],
)
def test_condition_in_words(changes: dict[str, Any], words: str) -> None:
    assert fires_in_words(a_detection(**changes)) == words


def test_page_has_all_sections() -> None:
    text = page(
        a_detection(settings={"threshold": 10}), [Sample("bruteforce-user", "match", "ten of them", "oracle", ())]
    )

    assert headings(text) == [
        "Brute-force login attempts on one account",
        "Why it matters",
        "When it fires",
        "Settings",
        "Runbook",
        "False positives",
        "Blind spots",
        "Matching samples",
        "ATT&CK and references",
    ]
    for part in (
        "level **medium**",
        "postgresql, mysql, oracle, sqlserver",
        "Guessing passwords is the cheapest way in.",
        "10 or more events within 10 minutes",
        'activity:"AUTH FAILURE"',
        "1. Find out whose host it is.",
        "- A rotated password.",
        "- Slow attempts.",
        "- oracle: ten of them",
        "- Tactics: credential access",
        "[T1110.001](https://attack.mitre.org/techniques/T1110/001/)",
        "TTPs/Credential Access",
    ):
        assert part in text


def test_page_has_the_reason_for_disabling() -> None:
    text = page(a_detection(enabled=False, disabled_because="Only you know your hours."))

    assert "**Disabled.** Only you know your hours." in text


def test_page_lists_suppressions_with_owner() -> None:
    suppression = Suppression({"dbUserName": ("a", "b")}, "Mira | platform", "The move.", "2031-06-30")

    assert r"| dbUserName a or b | The move. | Mira \| platform | 2031-06-30 |" in page(
        a_detection(suppressions=(suppression,))
    )


def test_every_query_is_shown() -> None:
    sequence = EventSequence("activity:X", 5, "activity:Y")
    conditions = (Condition("count", 3, query="activity:Z"),)

    text = page(a_detection(sequence=sequence, conditions=conditions))

    assert blocks(text, "text") == ['activity:"AUTH FAILURE"', "activity:X", "activity:Y", "activity:Z"]


def test_a_query_with_backticks_does_not_end_its_block() -> None:
    text = page(a_detection(query="commandText:\"```\" OR commandText:'`'"))

    assert "\n````text\ncommandText:\"```\" OR commandText:'`'\n````\n" in text


def test_words_are_shown_as_they_are() -> None:
    text = page(a_detection(why="SELECT * of <schema>.t[1] and `a*b`", false_positives=("a | b",)))

    assert r"SELECT \* of \<schema\>.t\[1\] and `a*b`" in text
    assert r"- a \| b" in text


def test_business_hours_in_words() -> None:
    params = {"zone": "Europe/Berlin", "from": 420, "to": 1170, "days": [1, 5]}

    text = page(a_detection(script={"script": {"script": {"source": "true", "params": params}}}))

    assert "between 07:00 and 19:30 (Europe/Berlin) on Monday, Friday are excluded" in text


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_on_a_page_are_a_tuning_file_that_changes_nothing(name: str) -> None:
    detection = corpus()[name]
    shown = blocks(page(detection, samples_of(name)), "yaml")

    assert len(shown) == bool(detection.settings)
    for text in shown:
        rule = next(folder for folder in rule_folders() if folder.name == name).joinpath("rule.yml").read_text("utf-8")
        assert yaml.safe_load(text)["detections"][name]["settings"] == detection.settings
        assert compile_rule(name, rule, read_tuning(text)) == detection


@pytest.mark.parametrize("name", NAMES)
def test_every_detection_has_a_whole_page(name: str) -> None:
    detection = corpus()[name]
    text = page(detection, samples_of(name))

    assert {"Why it matters", "When it fires", "Runbook", "False positives"} <= set(headings(text))
    assert not detection.query or detection.query in blocks(text, "`*text")
    assert not re.search(r"\n{3,}| $|\bNone\b", text, re.MULTILINE)
    for sample in samples_of(name):
        assert f"- {sample.engine}: " in text


def test_the_index_links_every_page() -> None:
    text = index(corpus().values())

    assert [re.match(r"\| \[(.+?)\]\((.+?)\)", line).groups() for line in text.splitlines() if ".md" in line] == [  # type: ignore[union-attr]
        (name, f"{name}.md") for name in corpus()
    ]
    assert len({line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_the_tuning_file_of_the_guide_is_one() -> None:
    tuning = read_tuning("\n".join(blocks(GUIDE, "yaml")[:2]))

    assert set(tuning.overrides) == {"bruteforce-user", "mass-read", "off-hours-privileged"}
    assert [one.owner for one in tuning.suppressions["mass-read"]] == ["Mira Lindqvist, payments"]
    for folder in rule_folders():
        if folder.name in {*tuning.overrides, *tuning.suppressions}:
            compile_rule(folder.name, folder.joinpath("rule.yml").read_text("utf-8"), tuning)


def test_the_message_templates_of_the_guide_are_those_that_we_read() -> None:
    assert [block for block in blocks(GUIDE, "text") if block.startswith("{")] == [
        MESSAGE_WITH_GROUPS,
        MESSAGE_WITH_HITS,
    ]
    assert {CONDITION, CONDITION_ON_HITS} <= {block.strip() for block in blocks(GUIDE, "text")}


def test_the_commands_of_the_guide_exist_with_their_options() -> None:
    shown = [
        line.split("#")[0].split()
        for block in blocks(GUIDE, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith((".venv/bin/daswatch", "daswatch"))
    ]
    groups = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    commands = {
        (group, name): one for group in ("detections", "actors") for name, one in groups[group].commands.items()
    }

    assert len(shown) >= 12
    assert {(words[1], words[2]) for words in shown} == set(commands)
    for words in shown:
        options = {option for parameter in commands[words[1], words[2]].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, words


def test_the_views_of_the_guide_are_those_of_show() -> None:
    answer = CliRunner().invoke(app, ["detections", "show", "--help"], env={"COLUMNS": "200"})

    for view in re.findall(r"--as (\w+)", GUIDE):
        assert view in answer.output


def test_the_rule_of_the_guide_compiles() -> None:
    detection = compile_rule("salary-read", RULE_OF_THE_GUIDE)

    assert (detection.kind, detection.level, detection.group) == (DetectionKind.EVENT, Level.HIGH, ("dbUserName",))


@pytest.mark.parametrize(
    "key", ["group-by", "settings", "engines", "blind-spots", "quiet", "also", "sequence", "outside", "known-clients"]
)
def test_the_keys_of_the_guide_are_known(key: str) -> None:
    from daswatch.detections.sigma import _KNOWN_KEYS

    assert f"`{key}" in GUIDE or key in RULE_OF_THE_GUIDE
    assert key in _KNOWN_KEYS


@pytest.fixture
def sample_run(search: OpenSearch) -> Iterator[SampleRun]:
    with SampleRun(search, f"t-guide-{secrets.token_hex(4)}-events", actors=ActorTable(shipped_actors())) as run:
        yield run


@pytest.mark.node
def test_the_rule_of_the_guide_finds_its_sample(sample_run: SampleRun) -> None:
    detection = compile_rule("salary-read", RULE_OF_THE_GUIDE)
    entry = next(json.loads(block) for block in blocks(GUIDE, "json") if '"sample"' in block)
    step = entry["steps"][0]
    of_payroll = {"event": {**step["event"], "dbUserName": "payroll_app"}}

    verdicts = sample_run.run(
        detection,
        [
            Sample("salary-read", "match", entry["sample"], entry["engine"], (step,)),
            Sample("salary-read", "ignore", "payroll's own", entry["engine"], (of_payroll,)),
        ],
    )

    assert [verdict.fired for verdict in verdicts] == [True, False]
