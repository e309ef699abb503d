"""`docs/dashboards.md` and its pictures: complete, current, and drawn from whatever an answer holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
import pytest
import vl_convert
from PIL import Image

from daswatch.content.dashboards import SavedObject, shipped_objects
from daswatch.documents.noise import Noise
from daswatch.indices import Indices
from demo.traffic import produce
from tools.pictures.browser import SCALE, Browser, BrowserError
from tools.pictures.charts import (
    CHARTS,
    PALETTE,
    VEGA_LITE,
    Chart,
    Point,
    colors_of,
    shades_of,
    spec_of,
    stacked,
    ticks,
)
from tools.pictures.document import DOCUMENT, PICTURES, with_dashboards
from tools.pictures.formats import formatted
from tools.pictures.layout import MARGIN, WIDTH, Panel, PictureError, panels_of, span_of
from tools.pictures.pages import CREDIT, Answered, page_height, page_html
from tools.pictures.panels import Column, PanelSearch, TimeSpan, by_key, requests_of, rows_of
from tools.pictures.report import REPORT, REPORT_HEIGHT, REPORT_WIDTH
from tools.pictures.week import NOW, Watched, control_plane_calls, run_times, spells

OBJECTS = shipped_objects(Indices())
KNOWN = by_key(OBJECTS)
DASHBOARDS = [one for one in OBJECTS if one.type == "dashboard"]
TEXT = DOCUMENT.read_text("utf-8")
HOSTILE = "<img src=x onerror=alert(1)>\"'&</script>"
DAY = TimeSpan(NOW - timedelta(days=1), NOW)
LARGEST_PICTURE = 300_000  # bytes
A_TIME = "2026-03-05T09:30:00.000Z"


def by_id(one: SavedObject) -> str:
    return one.id


def panels() -> list[Panel]:
    found = {panel.one.id: panel for dashboard in DASHBOARDS for panel in panels_of(dashboard, KNOWN)}
    return list(found.values())


CHART_PANELS = [
    panel
    for panel in panels()
    if panel.one.type == "visualization" and panel.one.attributes["visState"]["type"] in CHARTS
]


def an_answer(request: PanelSearch, text: str = "anna") -> dict[str, Any]:
    """An answer of the form that the request asks for: one of each bucket, one hit, and `text` for every word."""
    found: dict[str, Any] = {"hits": {"total": {"value": 3}, "hits": []}}
    if not request.aggregations:
        source = {column.field: A_TIME if column.field == "@timestamp" else text for column in request.columns}
        found["hits"]["hits"] = [{"_source": source}]
        return found
    return found | {"aggregations": _inner(request.body.get("aggs", {}), request.aggregations, text)}


def _inner(asked: Mapping[str, Any], aggregations: Sequence[Mapping[str, Any]], text: str) -> dict[str, Any]:
    return {name: _aggregation(one, aggregations, text) for name, one in asked.items()}


def _aggregation(asked: Mapping[str, Any], aggregations: Sequence[Mapping[str, Any]], text: str) -> dict[str, Any]:
    inner = {"doc_count": 3, **_inner(asked.get("aggs", {}), aggregations, text)}
    kind = next(name for name in asked if name != "aggs")
    match kind:
        case "terms":
            return {"buckets": [{"key": text, **inner}]}
        case "date_histogram":
            return {"buckets": [{"key": 0, "key_as_string": A_TIME, **inner}]}
        case "filters":
            return {"buckets": dict.fromkeys(asked["filters"]["filters"], inner)}
        case "percentiles":
            return {"values": [{"key": percent, "value": 12.5} for percent in asked["percentiles"]["percents"]]}
        case "top_hits":
            return {"hits": {"hits": [{"_source": {asked["top_hits"]["_source"]: text}}]}}
        case _:
            return {"value": 7}


def answered(panel: Panel, text: str = "anna") -> list[Answered]:
    requests = requests_of(panel.one, KNOWN, DAY)
    return [Answered(request, rows_of(request, an_answer(request, text)), 3) for request in requests]


def chart_of(panel: Panel, text: str = "anna") -> Chart:
    (one,) = answered(panel, text)
    return Chart(panel.one, one.request, one.rows, DAY, panel.inner_width, panel.inner_height)


def page_of(dashboard: SavedObject, text: str = "anna") -> str:
    found = panels_of(dashboard, KNOWN)
    return page_html(dashboard, found, {panel.one.id: answered(panel, text) for panel in found}, DAY, KNOWN)


def test_the_text_is_that_of_the_definitions() -> None:
    assert with_dashboards(TEXT, OBJECTS) == TEXT, "run `make pictures`, or `make pictures ARGS=--text` for the text"


def test_the_document_says_what_the_pictures_are() -> None:
    assert "rendered by this project, not screenshots of OpenSearch Dashboards" in TEXT


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(PictureError, match="has no"):
        with_dashboards("# Dashboards\n", OBJECTS)


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_dashboard_has_description_and_picture(one: SavedObject) -> None:
    path = PICTURES / f"{one.id}.png"

    assert one.attributes["description"] in TEXT
    assert f"](pictures/{one.id}.png)" in TEXT
    with Image.open(path) as picture:
        width, height = picture.size
    assert 1_400 <= width <= 1_600
    assert abs(height / width - page_height(panels_of(one, KNOWN)) / WIDTH) < 0.01
    assert 20_000 < path.stat().st_size < LARGEST_PICTURE


def test_no_picture_is_of_a_dashboard_that_is_gone() -> None:
    assert {path.stem for path in PICTURES.iterdir()} == {REPORT, *(one.id for one in DASHBOARDS)}


def test_picture_of_the_report_is_small_and_as_large_as_the_page() -> None:
    path = PICTURES / f"{REPORT}.png"

    with Image.open(path) as picture:
        width, height = picture.size
    assert abs(width - REPORT_WIDTH * SCALE) <= 1
    assert abs(height - REPORT_HEIGHT * SCALE) <= 1
    assert 20_000 < path.stat().st_size < LARGEST_PICTURE


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.one.id)
def test_panel_is_listed_with_description(panel: Panel) -> None:
    assert f"| {panel.one.title} | {panel.one.attributes['description']} |" in TEXT


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_a_page_shows_every_panel_in_its_place(one: SavedObject) -> None:
    found = panels_of(one, KNOWN)
    page = page_of(one)

    assert page.count("<section ") == len(found)
    for panel in found:
        assert f"left:{panel.left}px;top:{panel.top}px;width:{panel.width}px;height:{panel.height}px" in page
        assert panel.left >= MARGIN
        assert panel.left + panel.width <= WIDTH - MARGIN
    assert CREDIT in page


@pytest.mark.parametrize("one", DASHBOARDS, ids=by_id)
def test_what_a_database_user_writes_is_text(one: SavedObject) -> None:
    page = page_of(one, HOSTILE)

    assert "<img" not in page
    assert page.count("</script>") == 1
    assert "&lt;img src=x" in page


@pytest.mark.parametrize("panel", CHART_PANELS, ids=lambda panel: panel.one.id)
@pytest.mark.parametrize("text", ["anna", HOSTILE, "a.b[0]'\\"])
def test_every_chart_compiles_and_holds_the_figures(panel: Panel, text: str) -> None:
    spec = spec_of(chart_of(panel, text))
    compiled = vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)

    assert compiled["marks"]
    assert spec["data"]["values"]
    figures = {value for one in spec["data"]["values"] for value in one.values() if isinstance(value, int | float)}
    assert figures & {3, 7, 12.5}


@pytest.mark.parametrize("panel", CHART_PANELS, ids=lambda panel: panel.one.id)
def test_a_chart_without_an_answer_compiles_too(panel: Panel) -> None:
    (request,) = requests_of(panel.one, KNOWN, DAY)
    rows = rows_of(request, {"hits": {"total": {"value": 0}, "hits": []}, "aggregations": {}})

    spec = spec_of(Chart(panel.one, request, rows, DAY, panel.inner_width, panel.inner_height))

    assert vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)["marks"]


def test_a_chart_of_another_type_is_refused() -> None:
    chart = chart_of(CHART_PANELS[0])
    state = {**chart.one.attributes["visState"], "type": "gauge"}
    other = SavedObject("visualization", "odd", {**chart.one.attributes, "visState": state})

    with pytest.raises(PictureError, match="odd: a chart of type 'gauge'"):
        spec_of(Chart(other, chart.request, chart.rows, DAY, 100, 100))


def test_series_keep_the_colors_of_the_definition() -> None:
    """Other series get other colors."""
    colors = colors_of(["failure", "success", "unknown"], {"failure": "#BD271E", "success": PALETTE[0]})

    assert colors == {"failure": "#BD271E", "success": PALETTE[0], "unknown": PALETTE[1]}


def test_figures_of_one_place_stand_on_each_other() -> None:
    points = [Point("a", "x", 2), Point("b", "x", 5), Point("a", "y", None), Point("a", "z", 3)]

    assert [(low, high) for _, low, high in stacked(points)] == [(0, 2), (0, 5), (2, 2), (2, 5)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {}),
        ([2, 1, 2], {1: "1", 2: "2"}),
        ([1, 4, 11], {1: "1–3", 4: "4–6", 11: "10–12"}),
    ],
)
def test_shades_are_equal_ranges_of_whole_numbers(values: list[float], expected: dict[float, str]) -> None:
    assert shades_of(values, 4) == expected


def test_a_scale_is_that_of_the_definition_and_another_is_refused() -> None:
    chart = chart_of(next(panel for panel in CHART_PANELS if panel.one.id == "das-rows-by-user"))
    assert spec_of(chart)["encoding"]["x"]["scale"]["type"] == "sqrt"

    state = deepcopy(chart.one.attributes["visState"])
    state["params"]["valueAxes"][0]["scale"]["type"] = "log"
    other = SavedObject("visualization", "odd", {**chart.one.attributes, "visState": state})

    with pytest.raises(PictureError, match="a scale of type 'log'"):
        spec_of(Chart(other, chart.request, chart.rows, DAY, 100, 100))


def test_ticks_are_whole_steps_within_the_span() -> None:
    begin = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)

    found = ticks(TimeSpan(begin, begin + timedelta(hours=5)), timedelta(hours=3))

    assert [f"{at:%d %H:%M}" for at in found] == ["04 18:00", "04 21:00"]


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ("now-24h", "now", ("2026-03-04T16:00", "2026-03-05T16:00")),
        ("now-7d", "now", ("2026-02-26T16:00", "2026-03-05T16:00")),
        ("now/w", "now/w", ("2026-03-01T00:00", "2026-03-07T23:59")),
    ],
)
def test_a_dashboard_opens_with_its_time(begin: str, end: str, expected: tuple[str, str]) -> None:
    dashboard = SavedObject("dashboard", "one", {"timeFrom": begin, "timeTo": end})

    span = span_of(dashboard, NOW)

    assert (f"{span.begin:%Y-%m-%dT%H:%M}", f"{span.end:%Y-%m-%dT%H:%M}") == expected


def test_a_time_that_is_not_understood_is_refused() -> None:
    with pytest.raises(PictureError, match="'now-1M'"):
        span_of(SavedObject("dashboard", "one", {"timeFrom": "now-1M", "timeTo": "now"}), NOW)


@pytest.mark.parametrize(
    ("value", "field", "kind", "expected"),
    [
        (1234567, "", "count", "1,234,567"),
        (12.25, "durationMs", "avg", "12.2 ms"),
        (0.5, "other", "avg", "0.5"),
        ("2026-03-05T09:30:00.123456Z", "@timestamp", "max", "Mar 5, 2026 @ 09:30:00"),
        (["a", "b"], "objects", "", "a, b"),
        (None, "note", "", "–"),
        (True, "pending", "", "true"),
        ("2026", "note", "", "2026"),
    ],
)
def test_values_are_read_as_their_pattern_says(value: Any, field: str, kind: str, expected: str) -> None:
    assert formatted(value, Column("", "metric", field, kind), KNOWN["index-pattern", "das-events"]) == expected


def test_what_is_absent_is_reported_with_what_to_install() -> None:
    with pytest.raises(BrowserError, match=r"install it, for example with `apt-get install chromium`"):
        Browser.found(path="/nowhere")


def test_drops_are_counted_as_by_the_ingest_function() -> None:
    watched = Watched.nothing()
    for record in islice(produce(1, NOW, 400), 600):
        watched.take(record)

    shown = [orjson.loads(action.lines.splitlines()[1]) for action in watched.drop_actions()]

    assert shown
    assert {one["reason"] for one in shown} == {Noise.AWS_USER}
    assert sum(one["count"] for one in shown) == sum(
        entry.fate == "aws-user" for record in islice(produce(1, NOW, 400), 600) for entry in record.entries
    )


def test_the_saved_queries_run_soon_after_a_user_is_refused_at_a_stream() -> None:
    refused = [one.source for one in control_plane_calls() if one.source["outcome"] == "failure"]

    assert len(refused) == 2
    for one in refused:
        at = datetime.fromisoformat(one["@timestamp"])
        assert any(timedelta() < run - at <= timedelta(minutes=15) for run in run_times())


def test_every_attack_of_the_week_is_looked_at() -> None:
    times = run_times()
    attacks = [spell for spell in spells() if spell.scenarios]

    assert sum(len(spell.scenarios) for spell in attacks) == len(
        {(one.engine, one.name) for spell in attacks for one in spell.scenarios}
    )
    assert times[-1] == NOW
    for spell in attacks:
        later = [at for at in times if at > spell.begin]
        assert later[0] - spell.begin <= timedelta(minutes=15)
