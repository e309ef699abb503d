"""A chart's definition and its answer -> a Vega-Lite specification, and from that SVG.

Bars are stacked here, not by Vega-Lite: what is drawn are the answer's own figures, at the widths of their
intervals. Names of columns are not fields of the data: a value may hold anything, a field's name may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeAlias

import vl_convert

from daswatch.content.dashboards import SavedObject
from daswatch.times import iso_milliseconds
from tools.pictures.formats import moment_of
from tools.pictures.layout import PictureError
from tools.pictures.panels import PanelSearch, Rows, TimeSpan

Spec: TypeAlias = dict[str, Any]

VEGA_LITE = "5.20"
FONT = "Liberation Sans"
TEXT, MUTED, LINE = "#343741", "#69707D", "#E3E8F0"
# Dashboards' own, in its order.
PALETTE = (
    "#54B399",
    "#6092C0",
    "#D36086",
    "#9170B8",
    "#CA8EAE",
    "#D6BF57",
    "#B9A888",
    "#DA8B45",
    "#AA6556",
    "#E7664C",
)
_SCALES = {"linear": "linear", "square root": "sqrt"}
_SCHEMES = {"Blues": "blues", "Greens": "greens", "Greys": "greys", "Reds": "reds"}
_LABEL_CHARACTERS = 34
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: the visualization, what was asked and answered, and the room for it in px."""

    one: SavedObject
    request: PanelSearch
    rows: Rows
    span: TimeSpan
    width: int
    height: int

    @property
    def params(self) -> Mapping[str, Any]:
        """The visualization's own."""
        found: Mapping[str, Any] = self.one.attributes["visState"]["params"]
        return found

    @property
    def colors(self) -> Mapping[str, str]:
        """Those that the definition gives to series."""
        found: Mapping[str, str] = self.one.attributes["uiStateJSON"].get("vis", {}).get("colors", {})
        return found


@dataclass(frozen=True, slots=True)
class Point:
    """One figure: where it stands, to which series it belongs."""

    place: Any
    series: str
    value: float | None


def spec_of(chart: Chart) -> Spec:
    """The Vega-Lite specification of a chart. Raises PictureError for a type that is not drawn."""
    kind = chart.one.attributes["visState"]["type"]
    draw = _DRAWN.get(kind)
    if draw is None:
        raise PictureError(f"visualization {chart.one.id}: a chart of type {kind!r}")
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": chart.width,
        "height": chart.height,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": "transparent",
        "padding": 2,
        "config": _CONFIG,
        **draw(chart),
    }


def svg_of(spec: Spec) -> str:
    """The picture of a specification."""
    svg: str = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    return svg


def points_of(request: PanelSearch, rows: Rows) -> list[Point]:
    """The figures: a series for each value of the bucket that splits the chart, or for each metric."""
    schemas = [one.get("schema") for one in request.aggregations]
    metrics = [number for number, column in enumerate(rows.columns) if column.role == "metric"]
    buckets = [number for number, column in enumerate(rows.columns) if column.role == "bucket"]
    places = [number for number in buckets if schemas[number] == "segment"]
    splits = [number for number in buckets if number not in places]
    if len(places) != 1 or len(splits) > 1 or (splits and len(metrics) != 1):
        raise PictureError(f"{request.title}: a chart of {len(buckets)} buckets and {len(metrics)} metrics")
    (place,) = places
    if splits:
        return [Point(row[place], str(row[splits[0]]), row[metrics[0]]) for row in rows.rows]
    return [Point(row[place], rows.columns[metric].title, row[metric]) for row in rows.rows for metric in metrics]


def colors_of(series: Iterable[str], named: Mapping[str, str]) -> dict[str, str]:
    """A color for each series: its own, or the next of the palette that none of them has."""
    listed = list(dict.fromkeys(series))
    free = [color for color in PALETTE if color not in {named.get(name) for name in listed}]
    others = [name for name in listed if name not in named]
    return {name: named.get(name) or free[others.index(name) % len(free)] for name in listed}


def stacked(points: Sequence[Point]) -> list[tuple[Point, float, float]]:
    """Each point with its begin and end on those of the same place, in the order in which they come."""
    heights: dict[Any, float] = {}
    found = []
    for point in points:
        begin = heights.get(point.place, 0.0)
        heights[point.place] = begin + (point.value or 0)
        found.append((point, begin, heights[point.place]))
    return found


def interval_of(request: PanelSearch) -> timedelta:
    """How wide the bars of its date histogram are."""
    for asked in _date_histograms(request.body.get("aggs", {})):
        expression = asked.get("fixed_interval") or asked["calendar_interval"]
        if expression[-1] in _UNITS and expression[:-1].isdigit():
            return timedelta(**{_UNITS[expression[-1]]: int(expression[:-1])})
        raise PictureError(f"{request.title}: bars of {expression}")
    raise PictureError(f"{request.title}: no date histogram")


def _date_histograms(aggregations: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in aggregations.values():
        if "date_histogram" in one:
            yield one["date_histogram"]
        yield from _date_histograms(one.get("aggs", {}))


def _bars_over_time(chart: Chart) -> Spec:
    width = interval_of(chart.request)
    # The largest stands at the bottom, and first in the legend.
    order = _by_size(points_of(chart.request, chart.rows))
    points = sorted(points_of(chart.request, chart.rows), key=lambda point: order.index(point.series))
    values = [
        {"x": _iso(begin), "x2": _iso(begin + width), "y": low, "y2": high, "s": point.series}
        for point, low, high in stacked(points)
        for begin in [_time(point.place)]
    ]
    return {
        "data": {"values": values},
        "mark": {"type": "rect", "stroke": "white", "strokeWidth": 0.6},
        "encoding": {
            "x": _time_axis(chart),
            "x2": {"field": "x2"},
            "y": _value_axis(chart, "y"),
            "y2": {"field": "y2"},
            "color": _color(chart, order),
        },
    }


def _lines_over_time(chart: Chart) -> Spec:
    points = points_of(chart.request, chart.rows)
    order = list(dict.fromkeys(point.series for point in points))
    values = [
        {"x": _iso(_time(point.place)), "y": point.value, "s": point.series}
        for point in points
        if point.value is not None
    ]
    return {
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 14, "filled": True}},
        "encoding": {"x": _time_axis(chart), "y": _value_axis(chart, "y"), "color": _color(chart, order)},
    }


def _horizontal_bars(chart: Chart) -> Spec:
    points = points_of(chart.request, chart.rows)
    order = _by_size(points)
    places = list(dict.fromkeys(str(point.place) for point in points))
    points = sorted(points, key=lambda point: order.index(point.series))
    values = [{"p": str(point.place), "x": low, "x2": high, "s": point.series} for point, low, high in stacked(points)]
    return {
        "data": {"values": values},
        "mark": {"type": "bar", "stroke": "white", "strokeWidth": 0.6},
        "encoding": {
            "y": {
                "field": "p",
                "type": "nominal",
                "sort": places,
                "title": None,
                "axis": {"grid": False, "labelLimit": 340, "ticks": False, "labelPadding": 6},
                "scale": {"paddingInner": 0.28, "paddingOuter": 0.15},
            },
            "x": _value_axis(chart, "x"),
            "x2": {"field": "x2"},
            "color": _color(chart, order),
        },
    }


def _pie(chart: Chart) -> Spec:
    points = points_of(chart.request, chart.rows)
    bucket = next(number for number, column in enumerate(chart.rows.columns) if column.role == "bucket")
    slices = [Point(None, str(row[bucket]), float(row[-1] or 0)) for row in chart.rows.rows]
    total = sum(point.value or 0 for point in slices) or 1
    values = [{"s": one.series, "v": one.value, "share": f"{(one.value or 0) / total:.0%}"} for one in slices]
    radius = min(chart.width * 0.62, chart.height) / 2 - 26
    arcs: Spec = {
        "mark": {
            "type": "arc",
            "innerRadius": radius * 0.6 if chart.params.get("isDonut") else 0,
            "outerRadius": radius,
            "stroke": "white",
            "strokeWidth": 1.5,
        }
    }
    shares: Spec = {
        "mark": {"type": "text", "radius": radius + 18, "fontSize": 12, "fill": TEXT},
        "encoding": {"text": {"field": "share"}},
    }
    labels = chart.params.get("labels", {})
    return {
        "data": {"values": values},
        "encoding": {
            "theta": {"field": "v", "type": "quantitative", "stack": True},
            "order": {"field": "v", "type": "quantitative", "sort": "descending"},
            "color": _color(chart, list(dict.fromkeys(point.series for point in slices))) if points else {},
        },
        "layer": [arcs, shares] if labels.get("show") else [arcs],
        "view": {"stroke": None},
    }


def _heatmap(chart: Chart) -> Spec:
    width = interval_of(chart.request)
    points = points_of(chart.request, chart.rows)
    shades = shades_of((point.value or 0 for point in points), chart.params.get("colorsNumber", 5))
    values = [
        {
            "x": _iso(begin),
            "x2": _iso(begin + width),
            "p": point.series,
            "v": point.value,
            "s": shades[point.value or 0],
        }
        for point in points
        for begin in [_time(point.place)]
    ]
    scheme = _SCHEMES.get(chart.params.get("colorSchema", ""), "blues")
    metric = next(column.title for column in chart.rows.columns if column.role == "metric")
    return {
        "data": {"values": values},
        "mark": {"type": "rect", "stroke": "white", "strokeWidth": 0.6},
        "encoding": {
            "x": _time_axis(chart),
            "x2": {"field": "x2"},
            "y": {
                "field": "p",
                "type": "nominal",
                "sort": _by_size(points),
                "title": None,
                "axis": {"grid": False, "labelLimit": 200, "ticks": False, "labelPadding": 6},
            },
            "color": {
                "field": "s",
                "type": "ordinal",
                "title": metric,
                "sort": list(dict.fromkeys(shades.values())),
                "scale": {"scheme": {"name": scheme, "extent": [0.35, 1.1]}},
                "legend": {"symbolType": "square", "symbolOpacity": 1},
            },
        },
    }


def shades_of(values: Iterable[float], number: int) -> dict[float, str]:
    """The range in which each value lies, of so many equal ranges of whole numbers at most; the smallest first."""
    listed = sorted({round(value) for value in values})
    if not listed:
        return {}
    width = -(-(listed[-1] - listed[0] + 1) // number)
    begins = {value: listed[0] + (value - listed[0]) // width * width for value in listed}
    return {value: str(begin) if width == 1 else f"{begin}–{begin + width - 1}" for value, begin in begins.items()}


_DRAWN: Mapping[str, Callable[[Chart], Spec]] = {
    "heatmap": _heatmap,
    "histogram": _bars_over_time,
    "horizontal_bar": _horizontal_bars,
    "line": _lines_over_time,
    "pie": _pie,
}
CHARTS = frozenset(_DRAWN)


def _by_size(points: Iterable[Point]) -> list[str]:
    sizes: dict[str, float] = {}
    for point in points:
        sizes[point.series] = sizes.get(point.series, 0) + (point.value or 0)
    return sorted(sizes, key=lambda name: -sizes[name])


def _time(place: Any) -> datetime:
    if isinstance(place, int | float):
        return datetime.fromtimestamp(place / 1000, UTC)
    moment = moment_of(place)
    if moment is None:
        raise PictureError(f"{place!r} is not a time")
    return moment


def _iso(moment: datetime) -> str:
    return iso_milliseconds(moment)


def _time_axis(chart: Chart) -> Spec:
    hours = chart.span.length <= timedelta(days=2)
    step = timedelta(hours=3) if hours else timedelta(days=1)
    return {
        "field": "x",
        "type": "temporal",
        "title": f"per {_interval_text(interval_of(chart.request))}",
        "scale": {"type": "utc", "domain": [_iso(chart.span.begin), _iso(chart.span.end)], "nice": False},
        "axis": {
            "grid": False,
            "format": "%H:%M" if hours else "%a %-d",
            "values": [_iso(at) for at in ticks(chart.span, step)],
            "labelFlush": True,
        },
    }


def ticks(span: TimeSpan, step: timedelta) -> list[datetime]:
    """The times within a span that are whole steps of a day."""
    midnight = datetime.combine(span.begin.date(), time(), span.begin.tzinfo)
    first = midnight + -(-(span.begin - midnight) // step) * step
    return [first + number * step for number in range((span.end - first) // step + 1)]


def _interval_text(interval: timedelta) -> str:
    minutes = interval // timedelta(minutes=1)
    if minutes and minutes % 60 == 0:
        return f"{minutes // 60} hours" if minutes > 60 else "hour"
    if minutes:
        return f"{minutes} minutes" if minutes > 1 else "minute"
    return f"{interval.total_seconds():g} seconds"


def _value_axis(chart: Chart, field: str) -> Spec:
    axes = chart.params.get("valueAxes") or [{}]
    return {
        "field": field,
        "type": "quantitative",
        "title": axes[0].get("title", {}).get("text") or None,
        "scale": {"zero": True, "type": _scale(axes[0])},
        "axis": {
            "labelExpr": "format(datum.value, '~s')",
            "tickCount": 5,
            "tickMinStep": 1,
            "domain": False,
            "ticks": False,
        },
    }


def _scale(axis: Mapping[str, Any]) -> str:
    """As Vega-Lite calls it. Raises PictureError for one that is not drawn."""
    name = axis.get("scale", {}).get("type", "linear")
    if name not in _SCALES:
        raise PictureError(f"a scale of type {name!r}")
    return _SCALES[name]


def _color(chart: Chart, series: Sequence[str]) -> Spec:
    colors = colors_of(series, chart.colors)
    legend = {"title": None, "labelLimit": 150, "symbolType": "circle"} if chart.params.get("addLegend", True) else None
    return {
        "field": "s",
        "type": "nominal",
        "scale": {"domain": list(colors), "range": list(colors.values())},
        "sort": list(colors),
        "legend": legend,
    }


_CONFIG: Spec = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 12,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
    },
    "legend": {"labelColor": TEXT, "titleColor": MUTED, "titleFontWeight": "normal", "labelFontSize": 12, "offset": 12},
}
