"""Charts: each compiles whatever an answer holds, shows its figures, and leads where a click should lead."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import vl_convert

from daswatch.content.dashboards import SavedObject, shipped_objects
from daswatch.indices import Indices
from daswatch.preview.charts import (
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
from daswatch.preview.formats import formatted
from daswatch.preview.panels import Column, PanelError, TimeSpan, by_key, requests_of, rows_of
from tests.builders.panel_answers import answer_to

OBJECTS = shipped_objects(Indices())
KNOWN = by_key(OBJECTS)
HOSTILE = "<img src=x onerror=alert(1)>\"'&</script>\u202e"
NOW = datetime(2026, 3, 5, 16, tzinfo=UTC)
DAY = TimeSpan(NOW - timedelta(days=1), NOW)
CHARTED = [one for one in OBJECTS if one.type == "visualization" and one.attributes["visState"]["type"] in CHARTS]


def by_id(one: SavedObject) -> str:
    return one.id


def chart_of(one: SavedObject, text: str = "anna") -> Chart:
    (request,) = requests_of(one, KNOWN, DAY)
    return Chart(one, request, rows_of(request, answer_to(request.body, text)), DAY, 400, 200, path="/das-overview")


@pytest.mark.parametrize("one", CHARTED, ids=by_id)
@pytest.mark.parametrize("text", ["anna", HOSTILE, "a.b[0]'\\"])
def test_every_chart_compiles_and_holds_the_figures(one: SavedObject, text: str) -> None:
    spec = spec_of(chart_of(one, text))
    compiled = vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)

    assert compiled["marks"]
    assert spec["data"]["values"]
    figures = {value for mark in spec["data"]["values"] for value in mark.values() if isinstance(value, int | float)}
    assert figures & {3, 7, 12.5}


@pytest.mark.parametrize("one", CHARTED, ids=by_id)
def test_a_chart_without_an_answer_compiles_too(one: SavedObject) -> None:
    (request,) = requests_of(one, KNOWN, DAY)
    rows = rows_of(request, {"hits": {"total": {"value": 0}, "hits": []}, "aggregations": {}})

    spec = spec_of(Chart(one, request, rows, DAY, 400, 200))

    assert vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)["marks"]


def test_a_chart_of_another_type_is_refused() -> None:
    chart = chart_of(CHARTED[0])
    state = {**chart.one.attributes["visState"], "type": "gauge"}
    other = SavedObject("visualization", "odd", {**chart.one.attributes, "visState": state})

    with pytest.raises(PanelError, match="odd: a chart of type 'gauge'"):
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
    chart = chart_of(KNOWN["visualization", "das-rows-by-user"])
    assert spec_of(chart)["encoding"]["x"]["scale"]["type"] == "sqrt"

    state = deepcopy(chart.one.attributes["visState"])
    state["params"]["valueAxes"][0]["scale"]["type"] = "log"
    other = SavedObject("visualization", "odd", {**chart.one.attributes, "visState": state})

    with pytest.raises(PanelError, match="a scale of type 'log'"):
        spec_of(Chart(other, chart.request, chart.rows, DAY, 100, 100))


def test_ticks_are_whole_steps_within_the_span() -> None:
    begin = datetime(2026, 3, 4, 16, 20, tzinfo=UTC)

    found = ticks(TimeSpan(begin, begin + timedelta(hours=5)), timedelta(hours=3))

    assert [f"{at:%d %H:%M}" for at in found] == ["04 18:00", "04 21:00"]


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
        ("a\u202eb\r\n\r", "note", "", "a⟨U+202E⟩b\n⟨U+000D⟩"),
    ],
)
def test_values_are_read_as_their_pattern_says(value: Any, field: str, kind: str, expected: str) -> None:
    assert formatted(value, Column("", "metric", field, kind), KNOWN["index-pattern", "das-events"]) == expected
