"""The shipped templates: well-formed, complete for every document, and planned against what is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import orjson
import pytest

from daswatch.content.model import Content, ContentKind, Operation
from daswatch.content.plan import plan
from daswatch.content.templates import shipped_content, shipped_roles
from daswatch.documents.document import Flattening, flatten
from daswatch.records.envelope import StreamSource
from daswatch.records.monitoring_record import read_monitoring_record
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event

FILES = sorted(
    f"{folder}/{entry.name}"
    for folder in ("component", "index", "ism", "role")
    for entry in files("index_templates").joinpath(folder).iterdir()
)


def shipped(name: str, prefix: str = "das-events") -> Mapping[str, Any]:
    """The body of one piece of content."""
    everything = [*shipped_content(prefix), *shipped_roles(prefix)]
    return next(content.body for content in everything if content.name == name)


def leaves(properties: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field of a mapping by its whole name, without multi-fields."""
    for name, field in properties.items():
        if "properties" in field:
            yield from leaves(field["properties"], f"{path}{name}.")
        else:
            yield path + name, field


def event_fields() -> dict[str, Any]:
    """The fields that a day's index has of its own: the component's."""
    fields: dict[str, Any] = shipped("das-event-fields")["template"]["mappings"]["properties"]
    return fields


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_json_of_two_spaces(path: str) -> None:
    text = files("index_templates").joinpath(path).read_text("utf-8")

    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_shipped_under_its_own_name(path: str) -> None:
    name = path.rpartition("/")[2].removesuffix(".json")

    assert shipped(name) == orjson.loads(files("index_templates").joinpath(path).read_bytes())


def test_components_come_before_the_templates_that_name_them() -> None:
    seen: set[str] = set()
    for content in shipped_content():
        if content.kind is ContentKind.INDEX_TEMPLATE:
            assert set(content.body.get("composed_of", ())) <= seen
        seen.add(content.name)


@pytest.mark.parametrize("name", ["das-event-fields", "das-dead-letters", "das-pulse"])
def test_no_field_is_ever_guessed(name: str) -> None:
    assert shipped(name)["template"]["mappings"]["dynamic"] is False


@pytest.mark.parametrize(
    "content", [c for c in shipped_content() if c.kind is ContentKind.INDEX_TEMPLATE], ids=lambda c: c.name
)
def test_index_templates_have_a_version(content: Content) -> None:
    assert content.body["version"] >= 1


def test_indices_replicate_wherever_there_is_a_second_node() -> None:
    copies = shipped("das-copies")["template"]["settings"]["index"]

    assert copies == {"auto_expand_replicas": "0-2", "write": {"wait_for_active_shards": "all"}}


@pytest.mark.parametrize(
    "event",
    [
        postgresql_event(paramList=["1"], exitCode="42P01", errorMessage="x", novel=1, deep=[[[[[["x"]]]]]]),
        mysql_event(errorMessage="x", clientApplication="x", logTime="1970-01-01 00:00:00+00"),
        oracle_event(engineNativeAuditFields={"SCN": 1}, transactionId="0A"),
        sqlserver_event(engineNativeAuditFields={"x": "y"}, pid=1, netProtocol="TCP", remotePort=1),
    ],
    ids=["postgresql", "mysql", "oracle", "sqlserver"],
)
def test_every_field_of_a_document_is_in_the_mapping(event: dict[str, Any]) -> None:
    content = orjson.dumps(
        {
            "type": "DatabaseActivityMonitoringRecord",
            "clusterId": "cluster-A",
            "instanceId": "db-A",
            "databaseActivityEventList": [event],
        }
    )
    stream = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")

    (document,) = flatten(
        read_monitoring_record(content), stream, "1.1", "2031-03-04T00:00:00.000Z", Flattening("2031-03-04T00:00:00Z")
    ).documents

    assert set(document.source) <= set(event_fields())


def test_every_field_of_awss_events_is_in_the_mapping() -> None:
    builders = (postgresql_event, mysql_event, oracle_event, sqlserver_event)

    assert {name for builder in builders for name in builder()} <= set(event_fields())


@pytest.mark.parametrize(("name", "field"), sorted(event_fields().items()))
def test_no_value_can_be_refused_by_its_field(name: str, field: Mapping[str, Any]) -> None:
    match field["type"]:
        case "keyword":
            # Unindexed, or never longer than a Lucene term.
            assert field.get("index") is False or field["ignore_above"] * 4 <= 32_766
        case "long" | "integer" | "ip" | "scaled_float":
            assert field["ignore_malformed"] is True
        case "match_only_text" | "flat_object" | "text":
            pass
        case "date" | "date_nanos":
            assert name in ("@timestamp", "ingestedAt", "replayedAt")  # ours, always well-formed
        case other:
            pytest.fail(f"{name} has the type {other}: can it refuse a value?")
    assert all(
        sub["type"] == "text" or sub.get("ignore_above", 99_999) * 3 <= 32_766
        for sub in field.get("fields", {}).values()
    )


def test_ecs_names_are_aliases_of_fields_that_exist() -> None:
    aliases = dict(leaves(shipped("das-events")["template"]["mappings"]["properties"]))

    assert {field["type"] for field in aliases.values()} == {"alias"}
    assert {field["path"] for field in aliases.values()} <= set(event_fields())
    assert {"user.name", "source.ip", "event.outcome"} <= set(aliases)


def test_an_alias_never_has_the_name_of_a_field() -> None:
    roots = set(shipped("das-events")["template"]["mappings"]["properties"])

    assert roots.isdisjoint(event_fields())


def test_searches_without_a_field_look_where_there_is_something() -> None:
    settings = shipped("das-event-settings")["template"]["settings"]["index"]

    assert set(settings["query"]["default_field"]) <= set(event_fields())


def test_an_index_is_sorted_by_fields_that_exist() -> None:
    sort = shipped("das-event-settings")["template"]["settings"]["index"].get("sort", {"field": []})

    assert set(sort["field"]) <= set(event_fields())


def test_mappings_have_fields_of_dead_letters_and_pulses() -> None:
    letters = shipped("das-dead-letters")["template"]["mappings"]["properties"]
    pulses = shipped("das-pulse")["template"]["mappings"]["properties"]

    assert {"@timestamp", "ingestedAt", "reason", "detail", "object", "resourceId", "sequenceNumber"} <= set(letters)
    assert {"resourceId", "instanceId", "lastSeen", "lastEvent"} <= set(pulses)


def test_a_prefix_renames_templates_patterns_and_retention() -> None:
    content = [*shipped_content("audit-events"), *shipped_roles("audit-events")]

    assert shipped("audit-events", "audit-events")["index_patterns"] == ["audit-events-*"]
    assert all(one.name.startswith("audit-") for one in content)
    assert b'"das-' not in orjson.dumps([one.body for one in content])


def test_undated_events_have_a_retention_of_their_own() -> None:
    """A month's index begins before most of its events: it must not be deleted with the day on which it began."""
    daily, undated = (shipped(f"das-events{name}-retention")["policy"] for name in ("", "-undated"))
    (days,), (months,) = daily["ism_template"], undated["ism_template"]

    assert (days["index_patterns"], months["index_patterns"]) == (["das-events-*"], ["das-events-undated-*"])
    assert months["priority"] > days["priority"]
    assert undated["states"][0]["transitions"][0]["conditions"] == {"min_index_age": "431d"}


def planned(installed: Mapping[tuple[ContentKind, str], Mapping[str, Any]]) -> list[Operation]:
    return [
        step.step for step in plan([Content(ContentKind.INDEX_TEMPLATE, "one", {"a": {"b": [1, True]}})], installed)
    ]


@pytest.mark.parametrize(
    ("there", "step"),
    [
        (None, Operation.CREATE),
        ({"a": {"b": [1, True]}}, Operation.UNCHANGED),
        ({"a": {"b": ["1", "true"]}, "added": "by OpenSearch"}, Operation.UNCHANGED),
        ({"a": {"b": [1, True], "more": 1}}, Operation.UNCHANGED),
        ({"a": {"b": [1, False]}}, Operation.UPDATE),
        ({"a": {"b": [1]}}, Operation.UPDATE),
        ({"a": {"b": [1, True, 3]}}, Operation.UPDATE),
        ({"a": {}}, Operation.UPDATE),
        ({"a": "text"}, Operation.UPDATE),
        ({}, Operation.UPDATE),
    ],
)
def test_plan_shows_what_would_change(there: Mapping[str, Any] | None, step: Operation) -> None:
    installed = {} if there is None else {(ContentKind.INDEX_TEMPLATE, "one"): there}

    assert planned(installed) == [step]


def test_content_of_another_kind_under_the_same_name_is_another() -> None:
    assert planned({(ContentKind.COMPONENT_TEMPLATE, "one"): {"a": {"b": [1, True]}}}) == [Operation.CREATE]


def test_a_plan_keeps_the_order_of_installation() -> None:
    content = shipped_content()

    assert [(step.content.kind, step.content.name) for step in plan(content, {})] == [(c.kind, c.name) for c in content]
