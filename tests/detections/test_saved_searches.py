"""Saved searches: what Dashboards imports for each detection."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from opensearchpy import OpenSearch

from daswatch.content.templates import shipped_content
from daswatch.detections.detection import Detection, DetectionKind, Source
from daswatch.detections.saved_searches import ndjson, saved_search
from daswatch.detections.sigma import compile_all, rule_folders
from daswatch.indices import Indices
from daswatch.opensearch.templates import ContentGateway
from tests.builders.alerts import a_detection
from tests.harness.installed import remove

NAMES = [folder.name for folder in rule_folders()]
OUTSIDE = {"script": {"script": {"lang": "painless", "source": "true", "params": {"from": 420, "to": 1140}}}}


@cache
def corpus() -> dict[str, Detection]:
    return {detection.name: detection for detection in compile_all()}


def made(**changes: Any) -> dict[str, Any]:
    found = saved_search(a_detection(**changes), Indices())
    assert found
    return found


def source_of(saved: dict[str, Any]) -> dict[str, Any]:
    """What Dashboards keeps as text within the object."""
    source: dict[str, Any] = json.loads(saved["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    return source


def test_it_is_found_under_the_detections_name() -> None:
    saved = made()

    assert (saved["type"], saved["id"]) == ("search", "das-detection-bruteforce-user")
    assert saved["attributes"]["title"] == "Detection: Brute-force login attempts on one account"
    assert saved["attributes"]["description"] == "One account's password was tried again and again."


def test_it_holds_the_detections_own_query_in_lucene() -> None:
    assert source_of(made())["query"] == {"query": 'activity:"AUTH FAILURE"', "language": "lucene"}


def test_the_newest_events_come_first() -> None:
    assert made()["attributes"]["sort"] == [["@timestamp", "desc"]]


@pytest.mark.parametrize("source", [Source.EVENTS, Source.CONTROL_PLANE])
def test_its_columns_are_fields_of_the_index(source: Source) -> None:
    path = {Source.EVENTS: "component/das-event-fields.json", Source.CONTROL_PLANE: "index/das-control-plane.json"}
    body = json.loads(files("index_templates").joinpath(path[source]).read_text("utf-8"))
    columns = made(source=source)["attributes"]["columns"]

    assert set(columns) <= set(body["template"]["mappings"]["properties"])
    assert "@timestamp" not in columns  # Dashboards shows it anyway


@pytest.mark.parametrize(
    ("source", "pattern"), [(Source.EVENTS, "das-events"), (Source.CONTROL_PLANE, "das-control-plane")]
)
def test_it_refers_to_the_index_pattern(source: Source, pattern: str) -> None:
    saved = made(source=source)

    assert saved["references"] == [{"name": source_of(saved)["indexRefName"], "type": "index-pattern", "id": pattern}]


def test_what_lucene_has_no_words_for_is_a_filter_that_can_be_switched_off() -> None:
    saved = made(script=OUTSIDE)

    (pill,) = source_of(saved)["filter"]

    assert pill["query"] == OUTSIDE
    assert pill["meta"]["alias"] == "only outside business hours"
    assert (pill["meta"]["type"], pill["meta"]["disabled"], pill["meta"]["negate"]) == ("custom", False, False)
    assert pill["$state"] == {"store": "appState"}
    assert pill.keys() == {"query", "meta", "$state"}
    assert {reference["name"] for reference in saved["references"]} == {
        source_of(saved)["indexRefName"],
        pill["meta"]["indexRefName"],
    }


def test_without_such_a_filter_there_is_none() -> None:
    assert source_of(made())["filter"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": DetectionKind.SILENCE, "source": Source.PULSE, "query": ""},
        {"kind": DetectionKind.FAILING, "query": ""},
        {"source": Source.PULSE},
    ],
)
def test_a_detection_without_events_has_none(changes: dict[str, Any]) -> None:
    assert saved_search(a_detection(**changes), Indices()) is None


def test_the_file_for_the_import_has_an_object_on_each_line() -> None:
    content = ndjson(
        [a_detection(), a_detection(name="silent", source=Source.PULSE), a_detection(name="spray")], Indices()
    )

    assert content.endswith(b"\n")
    assert [json.loads(line)["id"] for line in content.splitlines()] == [
        "das-detection-bruteforce-user",
        "das-detection-spray",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_detection_that_looks_at_events_has_one(name: str) -> None:
    detection = corpus()[name]

    saved = saved_search(detection, Indices())

    assert (saved is None) is (detection.kind in (DetectionKind.SILENCE, DetectionKind.FAILING))
    if saved:
        assert saved["id"] == f"das-detection-{name}"
        assert bool(source_of(saved)["filter"]) is bool(detection.script)


@pytest.fixture(scope="module")
def indices(search: OpenSearch) -> Iterator[dict[Source, str]]:
    """An index of each kind with its mapping, empty."""
    prefix = f"t-saved-{secrets.token_hex(4)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    template = next(one.body["template"] for one in shipped_content() if one.name == "das-control-plane")
    names = {Source.EVENTS: f"{prefix}-2033.05.03", Source.CONTROL_PLANE: f"{prefix}_control-plane"}
    search.indices.create(index=names[Source.EVENTS])
    search.indices.create(index=names[Source.CONTROL_PLANE], body={"mappings": template["mappings"]})
    yield names
    search.indices.delete(index=",".join(names.values()))
    remove(search, prefix)


@pytest.mark.node
@pytest.mark.parametrize("name", NAMES)
def test_opensearch_runs_what_dashboards_sends(name: str, search: OpenSearch, indices: dict[Source, str]) -> None:
    saved = saved_search(corpus()[name], Indices())
    if saved is None:
        return
    source, index = source_of(saved), indices[corpus()[name].source]
    # Dashboards sends the query with an option of its own, and the pills as filters.
    query = {"query_string": {"query": source["query"]["query"], "analyze_wildcard": True}}
    body = {"query": {"bool": {"must": [query], "filter": [pill["query"] for pill in source["filter"]]}}}

    answer = search.search(index=index, body=body)
    checked = search.indices.validate_query(index=index, body=body, params={"explain": "true"})

    assert answer["_shards"]["failed"] == 0
    assert checked["valid"], checked
