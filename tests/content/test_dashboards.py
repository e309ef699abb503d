"""The saved objects of `dashboards/`: their files, their forms, what they refer to, and how they are laid out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.resources import files
from itertools import combinations
from typing import Any

import orjson
import pytest

from daswatch.content.dashboards import (
    TYPES,
    SavedObject,
    SavedObjectError,
    file_of,
    ndjson,
    packed,
    read_file,
    read_ndjson,
    renamed,
    shipped_objects,
    unpacked,
)
from daswatch.content.templates import shipped_content
from daswatch.detections.saved_searches import saved_search
from daswatch.detections.sigma import compile_all
from daswatch.indices import Indices
from tests.builders.alerts import a_detection
from tests.builders.reckoning import fields_of

OBJECTS = shipped_objects(Indices())
IDS = {(one.type, one.id) for one in OBJECTS}
FILES = [f"{kind}/{entry.name}" for kind in TYPES for entry in files("dashboards").joinpath(kind).iterdir()]
KNOWN = {(one.type, one.id): one for one in OBJECTS}
VISUALIZATIONS = [one for one in OBJECTS if one.type == "visualization"]
DASHBOARDS = [one for one in OBJECTS if one.type == "dashboard"]
# Searches that are opened from Discover and are not on a dashboard.
EVERYDAY = {"das-table-changers", "das-session"}
# The last migration of each type in Dashboards 2.19 and 3.x; what is older is migrated on import.
MIGRATIONS = {"index-pattern": "7.6.0", "search": "7.9.3", "visualization": "7.10.0", "dashboard": "7.9.3"}
STABLE_TYPES = {
    "area",
    "heatmap",
    "histogram",
    "horizontal_bar",
    "input_control_vis",
    "line",
    "markdown",
    "metric",
    "pie",
    "table",
}
# Where a visualization of each type has places for buckets.
PLACES = {"table": {"bucket"}, "pie": {"segment"}, "metric": {"group"}}
GRID = 48  # columns


def by_id(one: SavedObject) -> str:
    return one.id


def content_of(name: str) -> bytes:
    return files("dashboards").joinpath(name).read_bytes()


def panels(dashboard: SavedObject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard.attributes["panelsJSON"]
    return found


def source_of(one: SavedObject) -> Mapping[str, Any]:
    found: Mapping[str, Any] = one.attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]
    return found


def controlled_fields(one: SavedObject) -> list[str]:
    controls = one.attributes.get("visState", {}).get("params", {}).get("controls", [])
    return [control["fieldName"] for control in controls]


def texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


# Files


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_we_would_write(name: str) -> None:
    one = read_file(content_of(name), name)

    assert file_of(one) == (name, content_of(name))


@pytest.mark.parametrize("name", FILES)
def test_a_file_survives_dashboards(name: str) -> None:
    one = read_file(content_of(name), name)

    again = unpacked(orjson.loads(orjson.dumps(packed(one))))

    assert again == one
    assert file_of(again) == (name, content_of(name))


@pytest.mark.parametrize("name", FILES)
def test_nothing_in_a_file_is_json_as_text(name: str) -> None:
    assert not [text for text in texts(orjson.loads(content_of(name))) if is_json(text)]


def test_ids_are_unique_and_ours() -> None:
    ids = Counter(one.id for one in OBJECTS if one.type != "index-pattern")

    assert set(ids.values()) == {1}
    assert all(name.startswith("das-") for name in ids)


@pytest.mark.parametrize("one", OBJECTS, ids=by_id)
def test_nothing_is_migrated_on_import(one: SavedObject) -> None:
    assert one.migration_version == {one.type: MIGRATIONS[one.type]}


@pytest.mark.parametrize("one", OBJECTS, ids=by_id)
def test_what_it_refers_to_is_shipped(one: SavedObject) -> None:
    raw = packed(one)
    names = [reference["name"] for reference in raw["references"]]

    assert {(reference["type"], reference["id"]) for reference in raw["references"]} <= IDS
    assert len(set(names)) == len(names)
    assert tuple(raw["references"]) == one.references


@pytest.mark.parametrize("one", OBJECTS, ids=by_id)
def test_object_has_title_and_description(one: SavedObject) -> None:
    assert one.title
    assert one.type == "index-pattern" or len(one.attributes["description"]) > 20


def test_nothing_is_orphaned() -> None:
    used = {(reference["type"], reference["id"]) for one in OBJECTS for reference in one.references}
    unused = IDS - used - {("dashboard", one.id) for one in DASHBOARDS}

    assert unused == {("search", name) for name in EVERYDAY}


def test_dashboards_are_installed_after_what_they_show() -> None:
    assert [one.type for one in OBJECTS] == sorted((one.type for one in OBJECTS), key=TYPES.index)


# Layout


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_panels_fill_the_grid_without_overlapping(one: SavedObject) -> None:
    cells = [
        {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
        for grid in (panel["gridData"] for panel in panels(one))
    ]
    everything = set().union(*cells)

    assert not any(left & right for left, right in combinations(cells, 2))
    assert everything == {(x, y) for x in range(GRID) for y in range(max(y for _, y in everything) + 1)}


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_every_dashboard_has_the_same_head(one: SavedObject) -> None:
    navigation, database, *_ = (panel["id"] for panel in panels(one))

    assert (navigation, database) == ("das-navigation", "das-database-control")


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_control_never_empties_a_panel_without_its_field(one: SavedObject) -> None:
    # No alerts because of a user that was chosen would be a lie.
    shown = [KNOWN[panel["type"], panel["id"]] for panel in panels(one)]
    chosen = {field for control in shown for field in controlled_fields(control)}
    patterns = {source_of(panel)["index"] for panel in shown if "index" in source_of(panel)}

    for pattern in patterns:
        assert chosen <= fields_of_pattern(KNOWN["index-pattern", pattern].title), pattern


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_panels_are_known_by_what_they_show(one: SavedObject) -> None:
    assert all(panel["panelIndex"] == panel["gridData"]["i"] == panel["id"] for panel in panels(one))


def test_the_navigation_leads_to_every_dashboard() -> None:
    navigation = next(one for one in OBJECTS if one.id == "das-navigation")
    links = re.findall(r"\]\(#/view/([\w-]+)\)", navigation.attributes["visState"]["params"]["markdown"])

    assert sorted(links) == sorted(one.id for one in DASHBOARDS)


def test_only_fields_of_every_index_follow_a_drill_down() -> None:
    """Only filters on fields that every index has are carried to the next dashboard."""
    pinned = [one for one in VISUALIZATIONS if one.attributes["visState"]["params"].get("pinFilters")]
    chosen = {field for one in pinned for field in controlled_fields(one)}

    assert [one.id for one in pinned] == ["das-database-control"]
    for pattern in (one for one in OBJECTS if one.type == "index-pattern"):
        assert chosen <= fields_of_pattern(pattern.title)


# Visualizations


@pytest.mark.parametrize("one", VISUALIZATIONS, ids=by_id)
def test_a_visualization_is_of_a_stable_type_with_its_places(one: SavedObject) -> None:
    state = one.attributes["visState"]
    aggregations = state["aggs"]

    assert state["type"] in STABLE_TYPES
    assert state["title"] == one.title
    assert [found["id"] for found in aggregations] == [str(number) for number in range(1, len(aggregations) + 1)]
    allowed = PLACES.get(state["type"], {"segment", "group"}) | {"metric"}
    assert {found["schema"] for found in aggregations} <= allowed
    ids = {found["id"] for found in aggregations}
    for found in aggregations:
        assert found["params"].get("orderBy", found["id"]) in ids | {"_key"}
        assert not found["params"].get("otherBucket")


@pytest.mark.parametrize(
    "one", [one for one in VISUALIZATIONS if "seriesParams" in one.attributes["visState"]["params"]], ids=by_id
)
def test_every_series_is_a_metric(one: SavedObject) -> None:
    state = one.attributes["visState"]
    metrics = [(found["id"], found["params"]["customLabel"]) for found in state["aggs"] if found["schema"] == "metric"]

    series = [(found["data"]["id"], found["data"]["label"]) for found in state["params"]["seriesParams"]]
    assert series == metrics


# Fields


def fields_in(mapping: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every field of a mapping: with subfields and aliases."""
    for name, body in mapping.get("properties", {}).items():
        yield f"{path}{name}"
        yield from (f"{path}{name}.{subfield}" for subfield in body.get("fields", {}))
        yield from fields_in(body, f"{path}{name}.")


def fields_of_pattern(title: str) -> set[str]:
    """The fields of the index templates that are for this pattern, and of their components."""
    bodies = {one.name: one.body for one in shipped_content()}
    found: set[str] = set()
    for body in [body for body in bodies.values() if title in body.get("index_patterns", [])]:
        for part in (body, *(bodies[name] for name in body.get("composed_of", []))):
            found |= set(fields_in(part["template"].get("mappings", {})))
    assert found, f"no index template is for {title}"
    return found


def named_fields(one: SavedObject) -> Iterator[tuple[str, str]]:
    """Every field that an object names, with the id of its index pattern."""
    if one.type == "index-pattern":
        for name in (one.attributes.get("timeFieldName"), *one.attributes.get("fieldFormatMap", {})):
            if name:
                yield one.id, name
        return
    source, state = source_of(one), one.attributes.get("visState", {})
    pattern = source.get("index", "")
    for query in (source.get("query", {}), *filter_queries(state)):
        yield from ((pattern, name) for name in fields_of(query.get("query", "")))
    for pill in source.get("filter", []):
        if pill["meta"]["type"] == "phrase":
            yield pill["meta"]["index"], pill["meta"]["key"]
            yield from ((pill["meta"]["index"], name) for name in pill["query"]["match_phrase"])
    for aggregation in state.get("aggs", []):
        for parameter in ("field", "sortField"):
            if parameter in aggregation["params"]:
                yield pattern, aggregation["params"][parameter]
    for control in state.get("params", {}).get("controls", []):
        yield control["indexPattern"], control["fieldName"]
    for name in (*one.attributes.get("columns", ()), *(name for name, _ in one.attributes.get("sort", ()))):
        yield pattern, name


def filter_queries(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for aggregation in state.get("aggs", []):
        for one in aggregation["params"].get("filters", []):
            yield one["input"]


@pytest.mark.parametrize("one", [one for one in OBJECTS if one.type != "dashboard"], ids=by_id)
def test_every_field_is_in_the_mapping(one: SavedObject) -> None:
    titles = {pattern.id: pattern.title for pattern in OBJECTS if pattern.type == "index-pattern"}

    for pattern, name in named_fields(one):
        assert name in fields_of_pattern(titles[pattern]), f"{name} of {titles[pattern]}"


@pytest.mark.parametrize("one", [one for one in OBJECTS if one.id.startswith("das-")], ids=by_id)
def test_no_query_looks_for_parts_of_trigrams(one: SavedObject) -> None:
    queries = [source_of(one).get("query", {}).get("query", "")] if one.type in ("search", "visualization") else []

    assert not [query for query in queries if re.search(r"substring:[^\"]*\*", query)]


@pytest.mark.parametrize("field", ["sessionId", "statementHash"])
def test_a_link_of_a_value_leads_to_its_events(field: str) -> None:
    pattern = next(one for one in OBJECTS if one.id == "das-events")
    template = pattern.attributes["fieldFormatMap"][field]["params"]["urlTemplate"]
    columns = re.findall(r"'([\w@]+)'", template.partition("columns:!(")[2].partition(")")[0])

    # A form that Dashboards resolves under any base path; see UrlFormat.
    assert template.startswith("../app/discover#/?_g=(")
    assert f"query:'{field}:%22{{{{value}}}}%22'" in template
    assert "index:'das-events'" in template
    assert columns
    assert set(columns) <= fields_of_pattern("das-events-*")


# Index prefix and detections


def test_the_events_pattern_follows_the_index_prefix() -> None:
    titles = {one.id: one.title for one in shipped_objects(Indices("audit-events")) if one.type == "index-pattern"}

    assert titles == {
        "audit--alerts": "audit-alerts",
        "audit--completeness": "audit-completeness-*",
        "audit--control-plane": "audit-control-plane",
        "audit--databases": "audit-databases",
        "audit--dead-letters": "audit-dead-letters",
        "audit--drops": "audit-drops-*",
        "audit--enrolments": "audit-enrolments",
        "audit--events": "audit-events-*",
        "audit--posture": "audit-posture-*",
        "audit--pulse": "audit-pulse",
    }


def test_deployments_share_no_saved_object() -> None:
    """Ids, references, links within panels and titles are those of one deployment."""
    default, other = Indices(), Indices("audit-events")
    found = shipped_objects(other, compile_all())
    text = b"".join(file_of(one)[1] for one in found)

    assert not {one.id for one in found} & {one.id for one in shipped_objects(default, compile_all())}
    assert {(ref["type"], ref["id"]) for one in found for ref in one.references} <= {
        (one.type, one.id) for one in found
    }
    assert b"#/view/audit--findings" in text
    assert b"index:'audit--events'" in text
    assert all("(audit)" in one.title for one in found if one.type != "index-pattern")
    assert renamed(shipped_objects(other), other, default) == shipped_objects(default)


def test_every_detection_that_has_a_search_brings_it_along() -> None:
    detections = compile_all()
    expected = {f"das-detection-{one.name}" for one in detections if saved_search(one, Indices())}

    found = [one for one in shipped_objects(Indices(), detections=detections) if one.id.startswith("das-detection-")]

    assert expected == {one.id for one in found}
    assert all(packed(one) == packed(unpacked(packed(one))) for one in found)
    assert all({(ref["type"], ref["id"]) for ref in one.references} <= IDS for one in found)


def test_every_active_alert_is_within_the_time_of_the_overview() -> None:
    overview = KNOWN["dashboard", "das-overview"].attributes

    assert overview["timeFrom"] == "now-24h"
    # Without news for so long it is archived.
    assert all(one.quiet_seconds < timedelta(days=1).total_seconds() for one in compile_all())


def test_a_detections_search_is_packed_as_it_was_made() -> None:
    made = saved_search(a_detection(script={"script": {"script": {"source": "true"}}}), Indices())
    assert made

    again = packed(unpacked(made))

    assert again.keys() == made.keys()
    assert again["references"] == made["references"]
    text = "kibanaSavedObjectMeta"
    assert json.loads(again["attributes"][text]["searchSourceJSON"]) == json.loads(
        made["attributes"][text]["searchSourceJSON"]
    )


# Exports


def exported(**changes: Any) -> dict[str, Any]:
    """A dashboard as Dashboards exports it, its panels in the order in which they were added."""
    grid = [{"x": 0, "y": 9, "w": 48, "h": 9, "i": "b"}, {"x": 0, "y": 0, "w": 48, "h": 9, "i": "a"}]
    listed = [
        {"panelIndex": place["i"], "gridData": place, "embeddableConfig": {}, "panelRefName": f"panel_{number}"}
        for number, place in enumerate(grid)
    ]
    raw = {
        "id": "mine",
        "type": "dashboard",
        "namespaces": ["default"],
        "updated_at": "2031-03-04T09:00:00.000Z",
        "version": "WzEsMV0=",
        "attributes": {
            "title": "Mine",
            "panelsJSON": json.dumps(listed),
            "optionsJSON": '{"useMargins":true}',
            "kibanaSavedObjectMeta": {"searchSourceJSON": "{}"},
        },
        "references": [
            {"name": "panel_0", "type": "visualization", "id": "second"},
            {"name": "panel_1", "type": "search", "id": "first"},
        ],
        "migrationVersion": {"dashboard": "7.9.3"},
    }
    return {**raw, **changes}


SUMMARY = b'{"exportedCount":1,"missingRefCount":0,"missingReferences":[]}\n'


def test_an_export_becomes_readable_objects() -> None:
    (one,) = read_ndjson(orjson.dumps(exported()) + b"\n" + SUMMARY)

    assert [(panel["type"], panel["id"]) for panel in panels(one)] == [("search", "first"), ("visualization", "second")]
    assert one.attributes["optionsJSON"] == {"useMargins": True}
    assert packed(one).keys() == {"id", "type", "attributes", "references", "migrationVersion"}


def test_the_order_of_an_export_does_not_matter() -> None:
    raw = exported()
    turned = dict(reversed(raw.items()))
    turned["references"] = list(reversed(raw["references"]))
    turned["attributes"] = dict(reversed(raw["attributes"].items())) | {
        "panelsJSON": json.dumps(json.loads(raw["attributes"]["panelsJSON"])[::-1])
    }

    assert file_of(unpacked(turned)) == file_of(unpacked(raw))


def test_the_version_that_saved_a_panel_does_not_matter() -> None:
    raw = exported()
    listed = [{**panel, "version": "2.19.0"} for panel in json.loads(raw["attributes"]["panelsJSON"])]
    raw["attributes"]["panelsJSON"] = json.dumps(listed)

    one = unpacked(raw)

    assert file_of(one) == file_of(unpacked(exported()))
    assert {panel["version"] for panel in json.loads(packed(one)["attributes"]["panelsJSON"])} == {"7.10.0"}


def test_references_that_nothing_names_are_kept() -> None:
    tag = {"name": "tag-1", "type": "tag", "id": "team"}

    one = unpacked(exported(references=[*exported()["references"], tag]))

    assert packed(one)["references"][-1] == tag
    assert read_file(file_of(one)[1], file_of(one)[0]) == one


def test_our_own_file_for_the_import_is_read_back() -> None:
    assert read_ndjson(ndjson(OBJECTS)) == OBJECTS


def test_a_moved_panel_changes_few_lines() -> None:
    before = next(one for one in OBJECTS if one.id == "das-overview")
    raw = packed(before)
    moved = json.loads(raw["attributes"]["panelsJSON"])
    moved[-1]["gridData"]["h"] += 1
    raw["attributes"]["panelsJSON"] = json.dumps(moved)

    old, new = file_of(before)[1].splitlines(), file_of(unpacked(raw))[1].splitlines()

    assert len(old) == len(new)
    assert sum(left != right for left, right in zip(old, new, strict=True)) == 1


def test_a_patterns_copy_of_the_mapping_falls_away() -> None:
    pattern = {"type": "index-pattern", "id": "p", "attributes": {"title": "x-*", "fields": '[{"name":"a"}]'}}

    assert unpacked(pattern).attributes == {"title": "x-*"}


def test_scripted_fields_are_somebodys_work_and_stay() -> None:
    fields = '[{"name":"a","scripted":true,"script":"1"}]'
    pattern = {"type": "index-pattern", "id": "p", "attributes": {"title": "x-*", "fields": fields}}

    assert unpacked(pattern).attributes["fields"] == json.loads(fields)


@pytest.mark.parametrize("identity", ["a/b", "../../etc/passwd", "..", "what ever?"])
def test_no_id_leaves_its_folder(identity: str) -> None:
    name, content = file_of(unpacked(exported(id=identity)))

    assert re.fullmatch(r"dashboard/[\w.%-]+\.json", name)
    assert read_file(content, name).id == identity


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", r"line 2: no JSON: .+"),
        (b"\xff", r"line 2: no JSON: .+"),
        (b"[]", r"line 2: no saved object \(expected: an object with type, id and attributes\)"),
        (b"{}", r"line 2: no saved object: its type is None"),
        (orjson.dumps(exported(type="../x")), r"line 2: no saved object: its type is '../x'"),
        (orjson.dumps(exported(id="")), r"line 2: dashboard without an id"),
        (orjson.dumps(exported(attributes=None)), r"line 2: dashboard 'mine' has no attributes"),
        (orjson.dumps(exported(references=[{"name": "x"}])), r"line 2: .+each reference needs a name.+"),
        (orjson.dumps(exported(references=[])), r"line 2: panelRefName names 'panel_0', which is not among .+"),
        (orjson.dumps(exported(migrationVersion=[1])), r"line 2: .+migrationVersion is not an object"),
        (orjson.dumps(exported(attributes={"panelsJSON": "[{"})), r"line 2: attribute panelsJSON is not JSON: .+"),
        (orjson.dumps(exported(attributes={"panelsJSON": 1})), r"line 2: attribute panelsJSON is not text .+"),
        (orjson.dumps(exported(attributes={"panelsJSON": '"x"'})), r"line 2: attribute panelsJSON is not a list.+"),
        (orjson.dumps(exported(attributes={"panelsJSON": "[1]"})), r"line 2: attribute panelsJSON is not a list.+"),
        (orjson.dumps(exported(attributes={"optionsJSON": "[]"})), r"line 2: attribute optionsJSON is not an object"),
        (
            orjson.dumps(exported(attributes={"kibanaSavedObjectMeta": {"searchSourceJSON": "[]"}})),
            r"line 2: attribute kibanaSavedObjectMeta.searchSourceJSON is not an object",
        ),
        (orjson.dumps(exported(attributes={"kibanaSavedObjectMeta": 1})), r"line 2: .+kibanaSavedObjectMeta .+"),
        (orjson.dumps(exported(id="first")), r"line 2: dashboard 'first' is there twice"),
    ],
)
def test_malformed_export_names_line_and_problem(line: bytes, problem: str) -> None:
    content = orjson.dumps(exported(id="first")) + b"\n" + line + b"\n" + SUMMARY

    with pytest.raises(SavedObjectError) as raised:
        read_ndjson(content)

    assert re.fullmatch(problem, str(raised.value))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "dashboard/mine.json: no JSON"),
        (b'{"type":"dashboard","id":"other","attributes":{}}', "dashboard/mine.json: it holds dashboard 'other'"),
    ],
)
def test_malformed_file_is_named(content: bytes, problem: str) -> None:
    with pytest.raises(SavedObjectError, match=re.escape(problem)):
        read_file(content, "dashboard/mine.json")
