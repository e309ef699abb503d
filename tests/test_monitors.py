"""Monitors: bodies that the Alerting plugin accepts, whose search, condition and message work on a real node.

The plugin itself is not on this machine. What it does with a body is done here with the engine's own parts: the search
with its period filled in, the trigger's painless, the action's mustache.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
import pytest
import urllib3
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.detections import Condition, Detection, Kind, Level, Source
from daswatch.documents import Flattening
from daswatch.gateways.content import ContentGateway
from daswatch.gateways.saved_queries import Question, SavedQueries
from daswatch.monitors import (
    CONDITION,
    MESSAGE_WITH_GROUPS,
    MESSAGE_WITH_HITS,
    has_monitor,
    message_template,
    monitor,
    monitor_name,
)
from daswatch.notifications import read_notification
from daswatch.queries import Window, event_window
from daswatch.samples import documents, samples_of
from daswatch.sigma import compile_all, rule_folders
from daswatch.stream_records import iso_milliseconds
from daswatch.templates import shipped_content
from tests.alerting import a_detection
from tests.test_pages import GUIDE, blocks

NAMES = [folder.name for folder in rule_folders()]


@cache
def corpus() -> dict[str, Detection]:
    return {detection.name: detection for detection in compile_all()}


def body(detection: Detection, events: str = "das-events-*") -> dict[str, Any]:
    return monitor(detection, "daswatch", events)


def trigger(content: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["triggers"][0]["query_level_trigger"]
    return found


@pytest.mark.parametrize(
    ("kind", "possible"),
    [
        (Kind.EVENT, True),
        (Kind.THRESHOLD, True),
        (Kind.SEQUENCE, False),
        (Kind.FIRST_SEEN, False),
        (Kind.SILENCE, False),
        (Kind.FAILING, False),
    ],
)
def test_only_what_one_search_can_tell_has_a_monitor(kind: Kind, possible: bool) -> None:
    assert has_monitor(a_detection(kind=kind)) is possible


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (Level.CRITICAL, "1"),
        (Level.HIGH, "2"),
        (Level.MEDIUM, "3"),
        (Level.LOW, "4"),
        (Level.INFORMATIONAL, "5"),
    ],
)
def test_severity_is_the_level_in_the_plugins_numbers(level: Level, severity: str) -> None:
    assert trigger(body(a_detection(level=level)))["severity"] == severity


def test_a_detection_that_is_not_enabled_has_a_monitor_that_is_not() -> None:
    assert body(a_detection(enabled=False))["enabled"] is False


@pytest.mark.parametrize(
    "changes", [{"query": "activity:DDL"}, {"window_seconds": 900}, {"group": ("dbUserName",)}, {"level": Level.HIGH}]
)
def test_a_changed_detection_is_told_apart_by_its_triggers_id(changes: dict[str, Any]) -> None:
    # The plugin rewrites the query it stores, so this is what an installation compares.
    assert trigger(body(a_detection()))["id"] == trigger(body(a_detection()))["id"]
    assert trigger(body(a_detection()))["id"] != trigger(body(a_detection(**changes)))["id"]


def test_other_words_make_no_other_trigger() -> None:
    assert trigger(body(a_detection(why="x")))["id"] == trigger(body(a_detection()))["id"]


@pytest.mark.parametrize("name", NAMES)
def test_the_plugin_refuses_none_of_its_limits(name: str) -> None:
    content = body(corpus()[name])

    assert content["schedule"]["period"]["unit"] == "MINUTES"
    assert content["schedule"]["period"]["interval"] >= 1
    assert len(content["inputs"]) == 1
    assert 1 <= len(content["triggers"]) <= 10
    assert trigger(content)["severity"] in {"1", "2", "3", "4", "5"}
    for action in trigger(content)["actions"]:
        assert action["throttle_enabled"] is False
        assert "throttle" not in action
        assert action["destination_id"] == "daswatch"
    assert content["inputs"][0]["search"]["query"]["track_total_hits"] is True
    assert json.loads(json.dumps(content)) == content


def test_names_and_ids_are_unique() -> None:
    bodies = [body(detection) for detection in corpus().values()]
    ids = [trigger(content)["id"] for content in bodies]
    action_ids = [action["id"] for content in bodies for action in trigger(content)["actions"]]

    assert len({content["name"] for content in bodies}) == len(set(ids)) == len(set(action_ids)) == len(bodies)
    assert [content["name"] for content in bodies] == [monitor_name(detection) for detection in corpus().values()]


def test_a_monitor_looks_where_its_detection_does() -> None:
    assert body(a_detection())["inputs"][0]["search"]["indices"] == ["das-events-*"]
    assert body(a_detection(source=Source.CONTROL_PLANE))["inputs"][0]["search"]["indices"] == ["das-control-plane"]


def with_monitor_and_samples() -> list[str]:
    return [
        name
        for name in NAMES
        if name in corpus()
        and corpus()[name].source is Source.EVENTS
        and has_monitor(corpus()[name])
        and samples_of(name)
    ]


class Plugin:
    """Does with a monitor's body what the Alerting plugin does, with the node's own parts."""

    def __init__(self, search: OpenSearch, url: str) -> None:
        self._search = search
        self._http = urllib3.PoolManager()
        self._url = url

    def run(self, content: Mapping[str, Any], at: datetime) -> dict[str, Any]:
        """The input's search, over the period that ends then: the `ctx` of trigger and message."""
        given = content["inputs"][0]["search"]
        filled = self._render(json.dumps(given["query"]), {"period_end": int(at.timestamp() * 1000)})
        result = self._search.search(index=",".join(given["indices"]), body=filled)
        return {
            "monitor": {"name": content["name"], "_id": "m1"},
            "trigger": {"name": trigger(content)["name"], "severity": trigger(content)["severity"]},
            "periodStart": iso_milliseconds(at - timedelta(minutes=1)),
            "periodEnd": iso_milliseconds(at),
            "results": [result],
            "error": None,
        }

    def fires(self, condition: str, ctx: Mapping[str, Any]) -> bool:
        """The trigger's condition. Outside the plugin a script reaches `ctx` as a parameter."""
        script = {"source": condition.replace("ctx.", "params.ctx."), "lang": "painless", "params": {"ctx": ctx}}
        answer = self._search.scripts_painless_execute(body={"script": script})
        return bool(json.loads(answer["result"]))

    def message(self, template: str, ctx: Mapping[str, Any]) -> str:
        """The action's message, byte by byte as it is sent."""
        content = orjson.dumps({"source": template, "params": {"ctx": ctx}})
        headers = {"content-type": "application/json"}
        answer = self._http.request("POST", f"{self._url}/_render/template", body=content, headers=headers)
        assert answer.status == 200, answer.data
        return answer.data.decode().removeprefix('{"template_output":').removesuffix("}")

    def _render(self, template: str, params: Mapping[str, Any]) -> Any:
        return self._search.render_search_template(body={"source": template, "params": params})["template_output"]


@pytest.fixture(scope="module")
def plugin(search: OpenSearch) -> Plugin:
    return Plugin(search, next(iter(search.transport.connection_pool.connections)).host)


@pytest.fixture
def prefix(search: OpenSearch) -> Iterator[str]:
    """Indices with our mapping, for one test."""
    name = f"t-monitors-{secrets.token_hex(4)}"
    ContentGateway(search).install_all(shipped_content(name))
    yield name
    search.indices.delete(index=f"{name}-*")
    search.indices.delete_index_template(name=name)


def index_sample(search: OpenSearch, prefix: str, detection: Detection, expected: str, now: datetime) -> None:
    """The first sample that the detection must find, or must leave alone."""
    sample = next(one for one in samples_of(detection.name) if one.expected == expected)
    flattening = Flattening(iso_milliseconds(now), index_prefix=prefix)
    lines = []
    for document in documents(sample, "db-SAMPLE", now, flattening):
        lines += [
            orjson.dumps({"create": {"_index": document.index, "_id": document.id}}),
            orjson.dumps(document.source),
        ]
    assert not search.bulk(body=b"\n".join(lines) + b"\n", params={"refresh": "true"})["errors"]


@pytest.mark.node
@pytest.mark.parametrize("name", with_monitor_and_samples())
def test_a_monitor_finds_what_its_detection_finds(name: str, plugin: Plugin, search: OpenSearch, prefix: str) -> None:
    # GIVEN a sample that the detection must find, and what the scheduled runner makes of it
    detection, now = corpus()[name], datetime.now(UTC)
    index_sample(search, prefix, detection, "match", now)
    window = event_window(detection, now) if detection.window_seconds else Window("ingestedAt", "now-1h", "now+1h")
    asked = SavedQueries(search).ask([Question(detection, window, f"{prefix}-*")], Deadline.after(30))
    content = body(detection, f"{prefix}-*")

    # WHEN the monitor runs
    ctx = plugin.run(content, now + timedelta(milliseconds=1))
    fired = plugin.fires(trigger(content)["condition"]["script"]["source"], ctx)
    message = plugin.message(trigger(content)["actions"][0]["message_template"]["source"], ctx)
    firings = read_notification(message, {name: detection}, now)

    # THEN it fires, and its message tells the same groups
    assert fired
    assert [(one.database.resource_id, one.group, one.count, one.level) for one in firings] == [
        (one.resource_id, one.group, one.count, one.level) for _, one in asked.candidates
    ]
    assert [(one.first_seen, one.last_seen) for one in firings] == [
        (one.first_seen, one.last_seen) for _, one in asked.candidates
    ]
    assert {one.detection for one in firings} == {name}


@pytest.mark.node
@pytest.mark.parametrize("name", with_monitor_and_samples())
def test_a_monitor_stays_quiet_on_a_near_miss(name: str, plugin: Plugin, search: OpenSearch, prefix: str) -> None:
    detection, now = corpus()[name], datetime.now(UTC)
    index_sample(search, prefix, detection, "ignore", now)
    content = body(detection, f"{prefix}-*")

    ctx = plugin.run(content, now + timedelta(milliseconds=1))

    assert not plugin.fires(CONDITION, ctx)


@pytest.mark.node
def test_the_period_of_an_event_detection_covers_what_was_being_written(
    plugin: Plugin, search: OpenSearch, prefix: str
) -> None:
    # GIVEN events that are stamped with the begin of the invocation which wrote them
    now = datetime.now(UTC)
    detection = a_detection(
        kind=Kind.EVENT, window_seconds=0, query="activity:DDL", conditions=(Condition("count", 1),)
    )
    for minutes in (3.9, 4.1):
        document = {
            "@timestamp": iso_milliseconds(now - timedelta(hours=1)),
            "ingestedAt": iso_milliseconds(now - timedelta(minutes=minutes)),
            "activity": "DDL",
            "resourceId": f"db-{minutes}",
        }
        search.index(index=f"{prefix}-2033.05.03", body=document, params={"refresh": "true"})

    # WHEN the monitor, which runs every minute, looks
    ctx = plugin.run(body(detection, f"{prefix}-*"), now)

    # THEN it sees what arrived since its last run, three minutes late at most, and nothing older
    buckets = ctx["results"][0]["aggregations"]["groups"]["buckets"]
    assert [bucket["key"]["resourceId"] for bucket in buckets] == ["db-3.9"]


def index_ddl(search: OpenSearch, prefix: str, now: datetime) -> None:
    """What the guide's own monitors look for: four changes by one user of a database, two by another."""
    for number, user in enumerate(["ops_ralf"] * 4 + ['kim "k" \\ o\'neill'] * 2):
        document = {
            "@timestamp": iso_milliseconds(now - timedelta(seconds=60 + number)),
            "ingestedAt": iso_milliseconds(now),
            "activity": "DDL",
            "databaseName": "hr",
            "resourceId": "db-HR",
            "awsAccountId": "123456789012",
            "awsRegion": "eu-west-1",
            "engine": "sqlserver",
            "dbUserName": user,
            "commandText": "drop table secret",
        }
        search.index(index=f"{prefix}-2033.05.03", id=str(number), body=document, params={"refresh": "true"})


def guide_monitor(name: str, prefix: str, query: str, severity: str = "2") -> dict[str, Any]:
    """A monitor that an analyst made by the guide."""
    return {
        "name": name,
        "inputs": [{"search": {"indices": [f"{prefix}-*"], "query": json.loads(query)}}],
        "triggers": [{"query_level_trigger": {"name": "any", "severity": severity}}],
    }


def guide_query(word: str) -> str:
    return next(block for block in blocks(GUIDE, "json") if f'"{word}"' in block)


@pytest.mark.node
def test_an_analysts_monitor_with_groups_raises_alerts(plugin: Plugin, search: OpenSearch, prefix: str) -> None:
    now = datetime.now(UTC)
    index_ddl(search, prefix, now)

    ctx = plugin.run(guide_monitor('Many "DDL" in hr', prefix, guide_query("aggs")), now)
    firings = read_notification(plugin.message(MESSAGE_WITH_GROUPS, ctx), {}, now)

    assert plugin.fires(CONDITION, ctx)
    (firing,) = firings
    assert firing.detection.split() == ["monitor:Many", "DDL", "in", "hr"]
    assert (firing.level, firing.count) == (Level.HIGH, 4)
    assert (firing.database.resource_id, firing.group) == ("db-HR", {"dbUserName": "ops_ralf"})
    assert firing.last_seen == iso_milliseconds(now - timedelta(seconds=60))


@pytest.mark.node
def test_an_analysts_monitor_with_hits_raises_an_alert(plugin: Plugin, search: OpenSearch, prefix: str) -> None:
    now = datetime.now(UTC)
    index_ddl(search, prefix, now)

    ctx = plugin.run(guide_monitor("DDL in hr", prefix, guide_query("_source"), severity="4"), now)
    message = plugin.message(MESSAGE_WITH_HITS, ctx)
    (firing,) = read_notification(message, {}, now)

    assert plugin.fires("ctx.results[0].hits.total.value > 0", ctx)
    assert "ctx.results[0].hits.total.value > 0" in GUIDE
    assert (firing.level, firing.count) == (Level.LOW, 6)
    assert (firing.database.resource_id, firing.database.engine) == ("db-HR", "sqlserver")
    assert firing.actors["dbUserName"] == ("ops_ralf", 'kim "k" \\ o\'neill')
    assert firing.samples == ("0", "1", "2", "3", "4")
    assert "secret" not in message


@pytest.mark.node
def test_nothing_found_is_no_condition_met(plugin: Plugin, search: OpenSearch, prefix: str) -> None:
    now = datetime.now(UTC)
    search.indices.create(index=f"{prefix}-2033.05.03")

    groups = plugin.run(guide_monitor("x", prefix, guide_query("aggs")), now)
    hits = plugin.run(guide_monitor("x", prefix, guide_query("_source")), now)

    assert not plugin.fires(CONDITION, groups)
    assert not plugin.fires("ctx.results[0].hits.total.value > 0", hits)


@pytest.mark.node
@pytest.mark.parametrize("template", [MESSAGE_WITH_GROUPS, MESSAGE_WITH_HITS, message_template(a_detection())])
def test_a_condition_that_cannot_be_run_is_told(template: str, plugin: Plugin, search: OpenSearch, prefix: str) -> None:
    # GIVEN a run whose condition failed: the plugin takes that for fired, and tells why
    failing, now = a_detection(name="das-failing", kind=Kind.FAILING), datetime.now(UTC)
    search.indices.create(index=f"{prefix}-2033.05.03")
    ctx = plugin.run(guide_monitor("DDL in hr", prefix, guide_query("aggs")), now)
    failed = {**ctx, "error": 'runtime error at "x" \\ y'}

    # WHEN its message is read
    (firing,) = read_notification(plugin.message(template, failed), {"das-failing": failing}, now)

    # THEN that is an alert of its own, and without the error there is none
    assert firing.detection == "das-failing"
    assert firing.group["detection"] in ("DDL in hr", "bruteforce-user")
    assert '"error": ""' in plugin.message(template, ctx)
