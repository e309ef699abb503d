"""What the ingest function tests of an event is a necessary condition of each detection, and passes almost nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.rule import SigmaRule

from daswatch.detections.actors import shipped_actors
from daswatch.detections.detection import Detection, Level, Source, dump, load
from daswatch.detections.necessary import necessary
from daswatch.detections.prefilter import EVERYTHING, NOTHING, Condition, Prefilter, simplified
from daswatch.detections.samples import Sample, documents, samples_of
from daswatch.detections.sigma import compile_all, compile_rule, read_tuning, rule_folders
from daswatch.documents.actors import ActorTable
from daswatch.documents.document import Flattening
from demo.indexed import documents_of
from demo.traffic import produce

NOW = datetime(2031, 3, 4, 12, 30, tzinfo=UTC)
DETECTIONS = {detection.name: detection for detection in compile_all()}
PROMPT = [detection for detection in DETECTIONS.values() if detection.prompt is not None]
SHIPPED = Prefilter(one.prompt for one in PROMPT if one.prompt is not None)
FLATTENING = Flattening("2031-03-04T12:30:00.000Z", actors=ActorTable(shipped_actors()))
HEAD = {"title": "x", "logsource": {"product": "rds"}, "level": "high"}


def sources(sample: Sample) -> list[Mapping[str, Any]]:
    return [one.source for one in documents(sample, "cluster-X", NOW, FLATTENING)]


def compiled(**detection: Any) -> Condition:
    """The condition of a rule with this section `detection`."""
    rule = SigmaRule.from_dict({**HEAD, "detection": {"condition": " and ".join(detection), **detection}})
    return simplified(necessary(rule))


def passes(condition: Condition, **document: Any) -> bool:
    return Prefilter([condition]).passes(document)


# Which detections are prompt.


def test_prompt_detections_are_those_of_single_events() -> None:
    events = {name for name, one in DETECTIONS.items() if one.source is Source.EVENTS and one.kind == "event"}
    severe = {name for name in events if DETECTIONS[name].level.rank >= Level.HIGH.rank}
    names = {one.name for one in PROMPT}

    assert severe <= names
    assert {"mass-read", "schema-drop", "sqli-pattern"} <= names
    assert not {name for name in events - severe if len(DETECTIONS[name].conditions) == 1} & names
    assert not names & {"bruteforce-success", "das-silent", "password-spray"}


@pytest.mark.parametrize(("level", "prompt"), [("high", True), ("medium", False)])
def test_a_teams_level_makes_a_detection_prompt(level: str, prompt: bool) -> None:
    tuning = read_tuning(f"detections: {{privilege-grant: {{level: {level}}}}}")
    (folder,) = [one for one in rule_folders() if one.name == "privilege-grant"]

    detection = compile_rule("privilege-grant", folder.joinpath("rule.yml").read_text("utf-8"), tuning)

    assert (detection.prompt is not None) == prompt


def test_conditions_are_the_same_in_the_compiled_file() -> None:
    assert [one.prompt for one in load(dump(PROMPT))] == [one.prompt for one in PROMPT]


# What passes.


@pytest.mark.parametrize("detection", PROMPT, ids=lambda one: one.name)
def test_no_condition_lets_everything_pass(detection: Detection) -> None:
    """A rule that asks what cannot be tested here would ask for a look at each event."""
    assert detection.prompt not in (EVERYTHING, NOTHING)
    assert not passes(detection.prompt or {}, engine="postgresql", activity="CONNECT", outcome="success")


@pytest.mark.parametrize("detection", PROMPT, ids=lambda one: one.name)
def test_what_a_detection_matches_passes(detection: Detection) -> None:
    """Of a detection with a condition on one event alone: each sample. Of others: a sample that is severe."""
    prefilter = Prefilter([detection.prompt or {}])
    matches = [one for one in samples_of(detection.name) if one.expected == "match"]
    passed = [any(map(prefilter.passes, sources(one))) for one in matches]

    assert all(passed) if detection.kind == "event" and len(detection.conditions) == 1 else any(passed)


@pytest.mark.parametrize("detection", PROMPT, ids=lambda one: one.name)
def test_near_misses_ask_for_no_look(detection: Detection) -> None:
    """All but those that only a client's past makes one: a look asks for it, an event does not show it."""
    prefilter = Prefilter([detection.prompt or {}])
    misses = [one for one in samples_of(detection.name) if one.expected == "ignore" and one.days_ago() == [0]]

    assert [one.words for one in misses if any(map(prefilter.passes, sources(one)))] == []


def test_ordinary_traffic_asks_for_no_look() -> None:
    traffic = list(documents_of(produce(7, NOW, 3_000, scenarios=(), heartbeats=False), "das-events"))

    assert [one.source for one in traffic if SHIPPED.passes(one.source)] == []


# How conditions are compiled and tested.


def test_words_are_next_to_each_other_in_any_layout() -> None:
    condition = compiled(a={"commandText": "drop table"})

    assert passes(condition, commandText="x;DROP\n\t TABLE t")
    assert passes(condition, commandText="(drop/**/table)")
    assert not passes(condition, commandText="drop the table")
    assert not passes(condition, commandText="drop tables")
    assert not passes(condition, commandText="backdrop table")
    assert not passes(condition)


def test_substrings_ignore_case() -> None:
    condition = compiled(a={"commandText|contains": "TO program '"})

    assert passes(condition, commandText="copy t to Program 'sh'")
    assert not passes(condition, commandText="copy t to  program 'sh'")


def test_keywords_have_case_wildcards_and_lists() -> None:
    condition = compiled(a={"objects": ["*.xp_cmdshell", "dbo.x?"]})

    assert passes(condition, objects=["a", "master.xp_cmdshell"])
    assert passes(condition, objects=["dbo.x1"])
    assert not passes(condition, objects=["dbo.x12", "master.XP_CMDSHELL"])
    assert not passes(compiled(a={"signals": "tautology"}), signals=["union-probe"])
    assert passes(compiled(a={"signals": "tautology"}), signals=["union-probe", "tautology"])
    assert not passes(compiled(a={"dbUserName": "*"}), dbUserName="x" * 1025)


def test_filters_leave_out_what_they_certainly_match() -> None:
    document = {"signals": ["server-file"], "dbUserName": "etl", "remoteIp": "10.0.0.1"}
    by_name = compiled(a={"signals": "server-file"}, condition="a and not b", b={"dbUserName": "etl"})
    by_network = compiled(a={"signals": "server-file"}, condition="a and not b", b={"remoteIp|cidr": "10.0.0.0/8"})

    assert not passes(by_name, **document)
    assert passes(by_network, **document)


def test_what_cannot_be_tested_counts_as_fulfilled() -> None:
    assert compiled(a={"remoteIp|cidr": "10.0.0.0/8"}) == EVERYTHING
    assert compiled(a={"commandText|re": "drop.*"}) == EVERYTHING
    assert compiled(a={"rowCount|gte": 5}) == EVERYTHING
    assert compiled(a={"engineNativeAuditFields.x": "1"}) == EVERYTHING
    assert compiled(a={"engine": "mysql"}, b={"remoteIp": "10.0.0.1"}) == compiled(a={"engine": "mysql"})


def test_presence_of_a_field() -> None:
    assert passes(compiled(a={"exitCode|exists": True}), exitCode="1")
    assert not passes(compiled(a={"exitCode|exists": True}))
    assert passes(compiled(a={"exitCode": None}))
    assert not passes(compiled(a={"exitCode": None}), exitCode="1")


def test_one_event_with_many_rows_or_objects_is_enough() -> None:
    assert passes({"least": ["rowCount", 100]}, rowCount=100)
    assert not passes({"least": ["rowCount", 100]}, rowCount=99)
    assert not passes({"least": ["rowCount", 100]})
    assert passes({"several": ["objects", 2]}, objects=["a", "b"])
    assert not passes({"several": ["objects", 2]}, objects=["a"])


def test_long_values_of_few_valued_fields_are_looked_at_each_time() -> None:
    condition = compiled(a={"command": "x" * 100})

    assert passes(condition, command="x" * 100)
    assert not passes(condition, command="y" * 100)


def test_only_the_first_part_of_a_long_statement_is_looked_into() -> None:
    condition = compiled(a={"commandText": "drop table"})

    assert passes(condition, commandText="drop table t /*" + "x" * 100_000)
    assert not passes(condition, commandText="/*" + "x" * 100_000 + "*/ drop table t")


def test_nothing_to_look_for_passes_nothing() -> None:
    assert not Prefilter([]).passes({"engine": "mysql"})


_FIELDS = st.sampled_from(["engine", "activity", "dbUserName", "commandText"])
_WORDS = st.sampled_from(["drop", "table", "or", "1", "--", "x"])
_LEAVES = st.one_of(
    st.tuples(st.sampled_from(["engine", "activity", "dbUserName"]), st.lists(_WORDS, max_size=2)).map(
        lambda one: {"is": list(one)}
    ),
    st.lists(st.lists(_WORDS.filter(str.isalnum), min_size=1, max_size=2), max_size=2).map(
        lambda one: {"words": ["commandText", one]}
    ),
    st.lists(_WORDS, max_size=2).map(lambda one: {"part": ["commandText", one]}),
    _FIELDS.map(lambda one: {"has": one}),
)
_CONDITIONS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda one: {"all": one}),
        st.lists(inner, max_size=3).map(lambda one: {"any": one}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=8,
)


def _plainly(condition: Condition, document: Mapping[str, str]) -> bool:
    """The same without any shortcut."""
    ((kind, content),) = condition.items()
    match kind:
        case "all":
            return all(_plainly(inner, document) for inner in content)
        case "any":
            return any(_plainly(inner, document) for inner in content)
        case "not":
            return not _plainly(content, document)
        case "has":
            return content in document
        case "is":
            return document.get(content[0]) in content[1]
        case "part":
            return any(part in document.get(content[0], "\n") for part in content[1])
    words = f" {document.get(content[0], '').replace('-', ' ')} "
    return any(f" {' '.join(phrase)} " in " ".join(words.split(" ")).replace("  ", " ") for phrase in content[1])


@given(_CONDITIONS, st.dictionaries(_FIELDS, st.lists(_WORDS, max_size=5).map(" ".join)))
def test_shortcuts_change_nothing(condition: Condition, document: dict[str, str]) -> None:
    assert Prefilter([condition]).passes(document) == _plainly(condition, document)
