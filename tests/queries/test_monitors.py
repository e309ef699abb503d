"""Monitors: bodies that the Alerting plugin accepts, whose search, condition and message work on a real node.

The plugin itself is not on this machine. What it does with a body is done here with the engine's own parts: the search
with its period filled in, the trigger's painless, the action's mustache.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.detections.actors import shipped_actors
from daswatch.detections.detection import Condition, Detection, DetectionKind, Level, Source
from daswatch.detections.samples import documents, samples_of
from daswatch.detections.sigma import compile_all, rule_folders
from daswatch.documents.actors import ActorTable
from daswatch.documents.document import Flattening
from daswatch.indices import DEFAULT_INDEX_PREFIX, Indices
from daswatch.opensearch.saved_queries import Question, SavedQueries
from daswatch.queries.monitor_notifications import read_notification
from daswatch.queries.monitors import (
    CONDITION,
    CONDITION_ON_HITS,
    MESSAGE_WITH_GROUPS,
    MESSAGE_WITH_HITS,
    has_monitor,
    monitor,
    monitor_name,
    most_groups,
)
from daswatch.queries.saved_query import ARRIVAL_OVERLAP, Window, event_window
from daswatch.times import iso_milliseconds
from tests.builders.alerts import a_detection
from tests.fakes.opensearch_plugins import MOST_MESSAGE_BYTES, Engine, Sent, wrong_in
from tests.harness.guide import GUIDE, blocks
from tests.harness.installed import give_back, installed_prefix

NAMES = [folder.name for folder in rule_folders()]


@cache
def corpus() -> dict[str, Detection]:
    return {detection.name: detection for detection in compile_all()}


def body(detection: Detection, prefix: str = DEFAULT_INDEX_PREFIX) -> dict[str, Any]:
    return monitor(detection, "daswatch", Indices(prefix))


def trigger(content: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["triggers"][0]["query_level_trigger"]
    return found


@pytest.mark.parametrize(
    ("kind", "possible"),
    [
        (DetectionKind.EVENT, True),
        (DetectionKind.THRESHOLD, True),
        (DetectionKind.SEQUENCE, False),
        (DetectionKind.FIRST_SEEN, False),
        (DetectionKind.SILENCE, False),
        (DetectionKind.FAILING, False),
    ],
)
def test_monitor_only_where_one_search_suffices(kind: DetectionKind, possible: bool) -> None:
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


def test_disabled_detection_has_a_disabled_monitor() -> None:
    assert body(a_detection(enabled=False))["enabled"] is False


@pytest.mark.parametrize(
    "changes", [{"query": "activity:DDL"}, {"window_seconds": 900}, {"group": ("dbUserName",)}, {"level": Level.HIGH}]
)
def test_changed_detection_has_another_mark_and_the_same_ids(changes: dict[str, Any]) -> None:
    """The plugin rewrites the query it stores, so the action's name is what an installation compares."""
    before, after = trigger(body(a_detection())), trigger(body(a_detection(**changes)))

    assert trigger(body(a_detection())) == before
    assert before["actions"][0]["name"] != after["actions"][0]["name"]
    assert (before["id"], before["actions"][0]["id"]) == (after["id"], after["actions"][0]["id"])


def test_other_words_make_no_other_mark() -> None:
    assert body(a_detection(why="x")) == body(a_detection())


@pytest.mark.parametrize("name", NAMES)
def test_the_plugin_refuses_none_of_its_limits(name: str) -> None:
    content = body(corpus()[name])

    assert wrong_in(content) == ""
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
    assert [content["name"] for content in bodies] == [
        monitor_name(detection, Indices()) for detection in corpus().values()
    ]


@pytest.mark.parametrize(
    ("source", "pattern"),
    [(Source.EVENTS, "das-events-*"), (Source.CONTROL_PLANE, "das-control-plane*"), (Source.PULSE, "das-pulse*")],
)
def test_monitor_names_patterns_of_its_source(source: Source, pattern: str) -> None:
    """The plugin refuses a monitor on an index that does not exist yet."""
    assert body(a_detection(source=source))["inputs"][0]["search"]["indices"] == [pattern]


def test_only_what_a_message_has_room_for_is_sent() -> None:
    room = [most_groups(a_detection(group=tuple(f"field{n}" for n in range(count)))) for count in range(4)]

    assert room == sorted(room, reverse=True)
    assert room[1:3] == [19, 13]
    assert "19 at most where a detection groups by one field, 13 with two" in GUIDE


CRON = {"expression": "0 6 * * *"}
THROTTLED = {"throttle_enabled": True}


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": {"period": {"interval": 0, "unit": "MINUTES"}}},
        {"schedule": {"period": {"interval": 5, "unit": "SECONDS"}}},
        {"schedule": {"cron": CRON}},
        {"schedule": {"cron": {**CRON, "timezone": "UTC"}, "period": {"interval": 1, "unit": "MINUTES"}}},
        {"monitor_type": "bucket_level_monitor"},
        {"inputs": []},
        {"triggers": body(a_detection())["triggers"] * 2},
        {"triggers": [{"query_level_trigger": {**trigger(body(a_detection())), "id": str(n)}} for n in range(11)]},
    ],
)
def test_stand_in_refuses_what_the_plugin_refuses(changes: dict[str, Any]) -> None:
    assert wrong_in({**body(a_detection()), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        THROTTLED,
        {**THROTTLED, "throttle": {"value": 1_441, "unit": "MINUTES"}},
        {**THROTTLED, "throttle": {"value": 1, "unit": "HOURS"}},
        {**THROTTLED, "throttle": {"value": 0, "unit": "MINUTES"}},
        {"message_template": {"source": "x", "lang": "painless"}},
        {"mine": 1},
    ],
)
def test_stand_in_refuses_actions_as_the_plugin(changes: dict[str, Any]) -> None:
    content = body(a_detection())
    trigger(content)["actions"][0].update(changes)

    assert wrong_in(content)


def with_monitor_and_samples() -> list[str]:
    return [
        name
        for name in NAMES
        if name in corpus()
        and corpus()[name].source is Source.EVENTS
        and has_monitor(corpus()[name])
        and samples_of(name)
    ]


@pytest.fixture(scope="module")
def engine(search: OpenSearch) -> Engine:
    return Engine(next(iter(search.transport.connection_pool.connections)).host)


@pytest.fixture
def prefix(search: OpenSearch) -> Iterator[str]:
    """Indices with our mapping, for one test."""
    name = installed_prefix(search)
    yield name
    give_back(search, name)


def index_sample(search: OpenSearch, prefix: str, detection: Detection, expected: str, now: datetime) -> None:
    """The first sample that the detection must find, or must leave alone, whatever was before."""
    sample = next(one for one in samples_of(detection.name) if one.expected == expected)
    flattening = Flattening(iso_milliseconds(now), index_prefix=prefix, actors=ActorTable(shipped_actors()))
    lines = []
    for document in documents(sample, "db-SAMPLE", now, flattening):
        lines += [
            orjson.dumps({"create": {"_index": document.index, "_id": document.id}}),
            orjson.dumps(document.source),
        ]
    if lines:  # a near miss may be of events that are not indexed at all
        assert not search.bulk(body=b"\n".join(lines) + b"\n", params={"refresh": "true"})["errors"]


@pytest.mark.node
@pytest.mark.parametrize("name", with_monitor_and_samples())
def test_a_monitor_finds_what_its_detection_finds(name: str, engine: Engine, search: OpenSearch, prefix: str) -> None:
    # GIVEN a sample that the detection must find, and what the scheduled runner makes of it
    detection, now = corpus()[name], datetime.now(UTC)
    index_sample(search, prefix, detection, "match", now)
    window = event_window(detection, now) if detection.window_seconds else Window("ingestedAt", "now-1h", "now+1h")
    asked = SavedQueries(search).ask([Question(detection, window, f"{prefix}-*")], Deadline.after(30))
    content = body(detection, prefix)

    # WHEN the monitor runs
    (sent,) = engine.sent(content, now + timedelta(milliseconds=1))
    notification = read_notification(sent.message, {name: detection}, now)

    # THEN it fires, and its message has the same groups
    assert list(notification.candidates) == asked.candidates


@pytest.mark.node
@pytest.mark.parametrize("name", with_monitor_and_samples())
def test_a_monitor_stays_quiet_on_a_near_miss(name: str, engine: Engine, search: OpenSearch, prefix: str) -> None:
    detection, now = corpus()[name], datetime.now(UTC)
    index_sample(search, prefix, detection, "ignore", now)
    content = body(detection, prefix)

    assert list(engine.sent(content, now + timedelta(milliseconds=1))) == []


# --- which time a monitor looks at ---


def seen_by(engine: Engine, content: Mapping[str, Any], runs: list[tuple[datetime, datetime]]) -> set[str]:
    """The databases that a monitor finds in runs over these periods."""
    return {
        bucket["key"]["resourceId"]
        for begin, end in runs
        for bucket in engine.run(content, end, begin)["results"][0]["aggregations"]["groups"]["buckets"]
    }


def index_at(search: OpenSearch, prefix: str, seconds: int, arrived: datetime) -> None:
    """An event that arrived then; its database is called after the second."""
    document = {
        "@timestamp": iso_milliseconds(arrived),
        "ingestedAt": iso_milliseconds(arrived),
        "activity": "DDL",
        "resourceId": f"db-{seconds}",
    }
    search.index(index=f"{prefix}-2033.05.03", body=document)


@pytest.mark.node
@pytest.mark.parametrize("minutes", [1, 5, 60])
@pytest.mark.parametrize("window_seconds", [0, 300])
def test_monitor_leaves_no_gap_on_any_schedule(
    minutes: int, window_seconds: int, engine: Engine, search: OpenSearch, prefix: str
) -> None:
    """Whatever schedule a team sets: its periods follow each other, and the query looks at all of each."""
    # GIVEN events all over three periods of the schedule
    end = datetime.now(UTC)
    length = timedelta(minutes=minutes)
    begin = end - 3 * length
    moments = range(0, int(3 * length.total_seconds()), max(20, minutes * 20))
    for second in moments:
        index_at(search, prefix, second, begin + timedelta(seconds=second))
    search.indices.refresh(index=f"{prefix}-*")
    detection = a_detection(
        kind=DetectionKind.THRESHOLD if window_seconds else DetectionKind.EVENT,
        window_seconds=window_seconds,
        query="activity:DDL",
        conditions=(Condition("count", 1),),
        group=(),
    )

    # WHEN the monitor runs at the end of each
    runs = [(begin + number * length, begin + (number + 1) * length) for number in range(3)]
    found = seen_by(engine, body(detection, prefix), runs)

    # THEN no event is missing
    assert found >= {f"db-{second}" for second in moments}


@pytest.mark.node
def test_monitor_overlaps_what_was_being_written(engine: Engine, search: OpenSearch, prefix: str) -> None:
    """Events are stamped with the begin of the invocation that wrote them: three minutes late at most."""
    now = datetime.now(UTC)
    detection = a_detection(
        kind=DetectionKind.EVENT, window_seconds=0, query="activity:DDL", conditions=(Condition("count", 1),), group=()
    )
    late = int(ARRIVAL_OVERLAP.total_seconds()) + 60
    for seconds in (late - 6, late + 6):
        index_at(search, prefix, seconds, now - timedelta(seconds=seconds))
    search.indices.refresh(index=f"{prefix}-*")

    found = seen_by(engine, body(detection, prefix), [(now - timedelta(minutes=1), now)])

    assert found == {f"db-{late - 6}"}


# --- many groups ---


def index_many(search: OpenSearch, index: str, documents: Iterable[Mapping[str, Any]]) -> None:
    lines = [line for document in documents for line in (b'{"create": {}}', orjson.dumps(document))]
    for begin in range(0, len(lines), 20_000):
        content = b"\n".join(lines[begin : begin + 20_000]) + b"\n"
        assert not search.bulk(body=content, index=index, params={"refresh": "true"})["errors"]


def failed_login(user: str, at: datetime) -> dict[str, Any]:
    return {
        "@timestamp": iso_milliseconds(at),
        "ingestedAt": iso_milliseconds(at),
        "activity": "AUTH FAILURE",
        "resourceId": "db-MANY",
        "dbUserName": user,
        "remoteHost": "203.0.113.47",
    }


@pytest.mark.node
def test_monitor_judges_all_groups_of_a_flood(engine: Engine, search: OpenSearch, prefix: str) -> None:
    # GIVEN 10,000 users with one failed login each, and a last one with thirty
    now = datetime.now(UTC)
    at = now - timedelta(minutes=1)
    detection = corpus()["bruteforce-user"]
    index_many(
        search,
        f"{prefix}-2033.05.03",
        [failed_login(f"user_{number:05}", at) for number in range(10_000)]
        + [failed_login("zzz_victim", at) for _ in range(30)],
    )

    # WHEN the monitor runs
    (sent,) = engine.sent(body(detection, prefix), now)

    # THEN it finds the one
    found = read_notification(sent.message, {detection.name: detection}, now).candidates
    assert [(candidate.group["dbUserName"], candidate.count) for _, candidate in found] == [("zzz_victim", 30)]


@pytest.mark.node
def test_full_message_has_the_groups_with_the_latest_events(engine: Engine, search: OpenSearch, prefix: str) -> None:
    now = datetime.now(UTC)
    detection = a_detection(
        kind=DetectionKind.EVENT, window_seconds=0, query='activity:"AUTH FAILURE"', conditions=(Condition("count", 1),)
    )
    room = most_groups(detection)
    documents = [failed_login(f"user_{number:02}", now - timedelta(seconds=number)) for number in range(2 * room)]
    index_many(search, f"{prefix}-2033.05.03", documents)

    (sent,) = engine.sent(body(detection, prefix), now)

    content = json.loads(sent.message)
    assert [group["key"]["dbUserName"] for group in content["groups"]] == [f"user_{n:02}" for n in range(room)]
    assert content["limit"] == room == len(content["groups"])


@pytest.mark.node
def test_stored_text_of_the_query_finds_the_same(engine: Engine, search: OpenSearch, prefix: str) -> None:
    """The plugin stores and runs what the engine prints of a search: with defaults, and constants in its own case."""
    now = datetime.now(UTC)
    content = of_ours(f"{prefix}-*")
    index_ddl(search, prefix, now)
    before = engine.run(content, now)["results"][0]["aggregations"]
    given = content["inputs"][0]["search"]["query"]
    given["aggregations"] = given.pop("aggs")
    given["track_total_hits"] = 2_147_483_647
    inner = given["aggregations"]["groups"]["aggregations"] = given["aggregations"]["groups"].pop("aggs")
    inner["latest"]["bucket_sort"] |= {"from": 0, "gap_policy": "SKIP"}
    period = given["query"]["bool"]["filter"][-1]["range"]["@timestamp"]
    period |= {"include_lower": True, "include_upper": True, "boost": 1.0}

    assert engine.run(content, now)["results"][0]["aggregations"] == before


_WORST = {"dbUserName", "remoteHost", "clientApplication", "resourceId"}


@pytest.mark.node
@pytest.mark.parametrize("group", [(), ("dbUserName",), ("dbUserName", "remoteHost"), tuple(sorted(_WORST))])
@pytest.mark.parametrize("worst", ["\u0001", '"', "\\", "\u00e4", "\u4e16", "\U0001f512"])
def test_message_fits_whatever_the_values_are(
    group: tuple[str, ...], worst: str, engine: Engine, search: OpenSearch, prefix: str
) -> None:
    """As many characters as a keyword may have, each of the kind that takes most room."""
    now = datetime.now(UTC)
    fields = tuple(name for name in group if name != "resourceId")
    detection = a_detection(group=fields, conditions=(Condition("count", 1), Condition("distinct", 1, "remoteHost")))
    room = most_groups(detection)
    length = 1_024 // len(worst.encode("utf-16-le")) * 2

    def value(number: int) -> str:
        return f"{number:04}" + worst * (length - 4)

    values = [dict.fromkeys(("resourceId", *fields), value(number)) for number in range(room + 20)]
    index_many(search, f"{prefix}-2033.05.03", [{**failed_login("x", now), **one} for one in values])

    (sent,) = engine.sent(body(detection, prefix), now)

    assert sent.failure == ""
    assert len(sent.message.encode()) <= MOST_MESSAGE_BYTES
    assert len(json.loads(sent.message)["groups"]) == room


# --- every answer that the plugin can have ---


def guide_query(word: str) -> Any:
    return json.loads(next(block for block in blocks(GUIDE, "json") if f'"{word}"' in block))


def a_monitor(name: str, index: str, query: Any, condition: str, template: str, severity: str = "2") -> dict[str, Any]:
    """A monitor that an analyst made by the guide."""
    action = {
        "id": "a",
        "name": "a",
        "destination_id": "channel",
        "subject_template": {"source": "x"},
        "message_template": {"source": template},
    }
    trigger = {
        "id": "t",
        "name": "any",
        "severity": severity,
        "condition": {"script": {"source": condition, "lang": "painless"}},
        "actions": [action],
    }
    return {
        "name": name,
        "monitor_type": "query_level_monitor",
        "schedule": {"period": {"interval": 1, "unit": "MINUTES"}},
        "inputs": [{"search": {"indices": [index], "query": query}}],
        "triggers": [{"query_level_trigger": trigger}],
    }


def with_groups(index: str, name: str = "DDL in hr") -> dict[str, Any]:
    return a_monitor(name, index, guide_query("aggs"), CONDITION, MESSAGE_WITH_GROUPS)


def with_hits(index: str, name: str = "DDL in hr") -> dict[str, Any]:
    return a_monitor(name, index, guide_query("_source"), CONDITION_ON_HITS, MESSAGE_WITH_HITS, "4")


def of_ours(index: str) -> dict[str, Any]:
    detection = a_detection(query="activity:DDL", conditions=(Condition("count", 1),), group=("dbUserName",))
    return body(detection, index.removesuffix("-*"))


MONITORS = pytest.mark.parametrize("made", [with_groups, with_hits, of_ours])
Made = Callable[[str], dict[str, Any]]


def run(engine: Engine, content: Mapping[str, Any], now: datetime) -> list[Sent]:
    assert wrong_in(content) == ""
    return list(engine.sent(content, now))


@pytest.mark.node
@MONITORS
def test_monitor_is_silent_before_the_first_event(made: Made, engine: Engine, prefix: str) -> None:
    assert run(engine, made(f"{prefix}-*"), datetime.now(UTC)) == []


@pytest.mark.node
@MONITORS
def test_monitor_is_silent_without_hits(made: Made, engine: Engine, search: OpenSearch, prefix: str) -> None:
    search.indices.create(index=f"{prefix}-2033.05.03")

    assert run(engine, made(f"{prefix}-*"), datetime.now(UTC)) == []


FAILING = a_detection(name="das-failing", kind=DetectionKind.FAILING)


@pytest.mark.node
@MONITORS
@pytest.mark.parametrize("broken", ["index", "query", "aggregation"])
def test_monitor_that_cannot_search_reports_it_as_json(
    made: Made, broken: str, engine: Engine, search: OpenSearch, prefix: str
) -> None:
    # GIVEN a monitor whose index is gone, or whose search OpenSearch refuses
    search.indices.create(index=f"{prefix}-2033.05.03")
    content = made(f"{prefix}-*")
    given = content["inputs"][0]["search"]["query"]
    if broken == "index":
        content["inputs"][0]["search"]["indices"] = [f"{prefix}-gone"]
    if broken == "query":
        given["query"] = {"query_string": {"query": 'activity:"DDL" AND ('}}
    if broken == "aggregation":
        given["aggs"] = {"groups": {"composite": {"sources": [{"a": {"terms": {"field": "commandText"}}}]}}}

    # WHEN it runs
    now = datetime.now(UTC)
    (sent,) = run(engine, content, now)

    # THEN its message is JSON, and becomes the alert of a detection that fails
    assert json.loads(sent.message)["error"]
    (firing,) = read_notification(sent.message, {"das-failing": FAILING}, now).firings
    assert firing.detection == "das-failing"
    assert firing.group["detection"] in ("DDL in hr", "bruteforce-user")


@pytest.mark.node
@pytest.mark.parametrize("made", [with_groups, of_ours])
def test_other_aggregations_are_reported_as_json(made: Made, engine: Engine, search: OpenSearch, prefix: str) -> None:
    """A query edited by hand: its aggregation has another name."""
    now = datetime.now(UTC)
    index_ddl(search, prefix, now)
    content = made(f"{prefix}-*")
    given = content["inputs"][0]["search"]["query"]
    given["aggs"] = {"mine": given["aggs"]["groups"]}

    (sent,) = run(engine, content, now)

    assert json.loads(sent.message)["error"]
    (firing,) = read_notification(sent.message, {"das-failing": FAILING}, now).firings
    assert firing.detection == "das-failing"


@pytest.mark.node
def test_uncounted_hits_are_reported_as_json(engine: Engine, search: OpenSearch, prefix: str) -> None:
    now = datetime.now(UTC)
    index_ddl(search, prefix, now)
    content = with_hits(f"{prefix}-*")
    content["inputs"][0]["search"]["query"]["track_total_hits"] = False

    (sent,) = run(engine, content, now)

    (firing,) = read_notification(sent.message, {"das-failing": FAILING}, now).firings
    assert firing.detection == "das-failing"


@pytest.mark.node
@pytest.mark.parametrize("made", [with_groups, with_hits])
@pytest.mark.parametrize("condition", ["ctx.results[0].nothing.there > 0", "ctx.results[1].hits.total.value > 0"])
def test_condition_that_throws_is_reported_as_json(
    made: Made, condition: str, engine: Engine, search: OpenSearch, prefix: str
) -> None:
    now = datetime.now(UTC)
    index_ddl(search, prefix, now)
    content = made(f"{prefix}-*")
    trigger(content)["condition"]["script"]["source"] = condition

    (sent,) = run(engine, content, now)

    assert json.loads(sent.message)["error"]
    (firing,) = read_notification(sent.message, {"das-failing": FAILING}, now).firings
    assert firing.detection == "das-failing"


HOSTILE = [
    'o"neill',
    "back\\slash",
    "new\nline\r\t",
    "{{ctx.monitor.name}}",
    "{{#toJson}}ctx{{/toJson}}",
    "}}]}",
    '", "error": "x',
    "\u0000\u0001\u001f\u007f",
    "\u2028\u2029",
    "\U0001f512",
    "<script>&amp;",
    " ",
]


@pytest.mark.node
@MONITORS
@pytest.mark.parametrize("value", HOSTILE)
def test_values_of_events_reach_the_message_unchanged(
    made: Made, value: str, engine: Engine, search: OpenSearch, prefix: str
) -> None:
    now = datetime.now(UTC)
    index_ddl(search, prefix, now, users=(value,))

    (sent,) = run(engine, made(f"{prefix}-*"), now)

    detection = a_detection(conditions=(Condition("count", 1),), group=("dbUserName",))
    found = read_notification(sent.message, {detection.name: detection}, now)
    users = [candidate.group["dbUserName"] for _, candidate in found.candidates]
    users += [firing.group.get("dbUserName") or firing.actors["dbUserName"][0] for firing in found.firings]
    assert users == [value]
    assert json.loads(sent.message)["error"] == ""


@pytest.mark.node
@pytest.mark.parametrize("name", ['Many "DDL"', "back\\slash", "{{x}}", "new\nline", "\U0001f512"])
@pytest.mark.parametrize("made", [with_groups, with_hits])
def test_names_of_monitors_keep_the_message_json(
    made: Callable[[str, str], dict[str, Any]], name: str, engine: Engine, search: OpenSearch, prefix: str
) -> None:
    now = datetime.now(UTC)
    index_ddl(search, prefix, now)

    (sent,) = run(engine, made(f"{prefix}-*", name), now)

    assert json.loads(sent.message)["monitor"] == name


def index_ddl(search: OpenSearch, prefix: str, now: datetime, users: tuple[str, ...] = ("ops_ralf",)) -> None:
    """What the guide's own monitors look for: four changes by each user of a database."""
    for user in users:
        for number in range(4):
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
            search.index(index=f"{prefix}-2033.05.03", id=f"{user}{number}", body=document, params={"refresh": "true"})


@pytest.mark.node
def test_an_analysts_monitor_with_groups_raises_alerts(engine: Engine, search: OpenSearch, prefix: str) -> None:
    now = datetime.now(UTC)
    index_ddl(search, prefix, now)

    (sent,) = run(engine, with_groups(f"{prefix}-*", 'Many "DDL" in hr'), now)
    (firing,) = read_notification(sent.message, {}, now).firings

    assert firing.detection.split() == ["monitor:Many", "DDL", "in", "hr"]
    assert (firing.level, firing.count) == (Level.HIGH, 4)
    assert (firing.database.resource_id, firing.group) == ("db-HR", {"dbUserName": "ops_ralf"})
    assert firing.last_seen == iso_milliseconds(now - timedelta(seconds=60))


@pytest.mark.node
def test_an_analysts_monitor_with_hits_raises_an_alert(engine: Engine, search: OpenSearch, prefix: str) -> None:
    now = datetime.now(UTC)
    index_ddl(search, prefix, now, users=("ops_ralf", 'kim "k"'))

    (sent,) = run(engine, with_hits(f"{prefix}-*"), now)
    (firing,) = read_notification(sent.message, {}, now).firings

    assert (firing.level, firing.count) == (Level.LOW, 8)
    assert (firing.database.resource_id, firing.database.engine) == ("db-HR", "sqlserver")
    assert set(firing.actors["dbUserName"]) == {"ops_ralf", 'kim "k"'}
    assert len(firing.samples) == 5
    assert "secret" not in sent.message


@pytest.mark.node
def test_analysts_hits_fit_whatever_the_values_are(engine: Engine, search: OpenSearch, prefix: str) -> None:
    now = datetime.now(UTC)
    fields = ("dbUserName", "remoteHost", "clientApplication", "databaseName")
    worst = dict.fromkeys(fields, "\u0001" * 1_024)
    at = {"@timestamp": iso_milliseconds(now), "resourceId": "db-HR", "activity": "DDL"}
    index_many(search, f"{prefix}-2033.05.03", [{**at, **worst} for _ in range(20)])
    content = with_hits(f"{prefix}-*")
    content["inputs"][0]["search"]["query"]["query"]["bool"]["filter"][0] = {"match_all": {}}

    (sent,) = run(engine, content, now)

    assert sent.failure == ""
    assert len(json.loads(sent.message)["hits"]) == 5
