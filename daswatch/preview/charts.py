"""A chart's definition and its answer -> a Vega-Lite specification, and from that SVG with a list of its series.

Bars are stacked here, not by Vega-Lite: what is drawn are the answer's own figures, at the widths of their
intervals. Names of columns are not fields of the data: a value may hold anything, a field's name may not. Each mark is
a link to the view that a click leads to, and is labelled with its figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from html import escape
from typing import Any, TypeAlias

import orjson
import vl_convert

from daswatch.content.dashboards import SavedObject
from daswatch.preview.formats import formatted, moment_of, visible
from daswatch.preview.panels import MILLISECONDS, PanelError, PanelSearch, Rows, TimeSpan
from daswatch.preview.view import View, clicked
from daswatch.times import iso_milliseconds

Spec: TypeAlias = dict[str, Any]

VEGA_LITE = "5.20"
FONT = "Liberation Sans"
TEXT, MUTED, LINE = "#343741", "#5A6068", "#E3E8F0"
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
# Vega accepts absolute addresses only; this one is taken away from the picture.
_ORIGIN = "http://preview.invalid"
_LEGEND = range(70, 190)  # px
_CHARACTER = 7  # px
# Between two labels of the time axis, and how they are written.
_STEPS = (
    (timedelta(minutes=1), "%H:%M"),
    (timedelta(minutes=5), "%H:%M"),
    (timedelta(minutes=15), "%H:%M"),
    (timedelta(hours=1), "%H:%M"),
    (timedelta(hours=3), "%H:%M"),
    (timedelta(hours=6), "%a %H:%M"),
    (timedelta(days=1), "%a %-d"),
    (timedelta(weeks=1), "%b %-d"),
    (timedelta(days=28), "%b %-d"),
)
_MOST_LABELS = 9


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: the visualization, what was asked and answered, the room for it in px, and the page it is on."""

    one: SavedObject
    request: PanelSearch
    rows: Rows
    span: TimeSpan
    width: int
    height: int
    pattern: SavedObject | None = None
    view: View = field(default_factory=View)
    path: str = "/"

    @property
    def series_width(self) -> int:
        """Of the list of series, in px."""
        longest = max((len(point.series) for point in self.points), default=0) * _CHARACTER + 30
        return min(max(longest, _LEGEND.start), _LEGEND.stop) if self.params.get("addLegend", True) else 0

    @property
    def points(self) -> list[Point]:
        """The figures, each with its label and its link. A slice of a pie is a series."""
        return _slices(self) if self.one.attributes["visState"]["type"] == "pie" else points_of(self)

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
    label: str = ""
    link: str = ""


def chart_html(chart: Chart) -> str:
    """The picture, and next to it its series: a click on one filters by it. Raises PanelError."""
    kind = chart.one.attributes["visState"]["type"]
    if not chart.series_width or kind == "heatmap":
        return f'<div class="chart">{svg_of(spec_of(chart))}</div>'
    colors = colors_of(_by_size(chart.points) if kind != "line" else (one.series for one in chart.points), chart.colors)
    items = "".join(_series_html(chart, name, color) for name, color in colors.items())
    drawn = svg_of(spec_of(replace(chart, width=max(chart.width - chart.series_width, 80))))
    return f'<div class="chart">{drawn}<ul class="series">{items}</ul></div>'


def _series_html(chart: Chart, name: str, color: str) -> str:
    mark = f'<svg width="10" height="10" aria-hidden="true"><circle cx="5" cy="5" r="5" fill="{escape(color)}"/></svg>'
    splits = [one for one in chart.request.aggregations if one.get("schema") == "group"]
    if chart.one.attributes["visState"]["type"] == "pie":
        splits = [one for one in chart.request.aggregations if one.get("schema") == "segment"]
    text = f"{mark} <bdi>{escape(visible(name))}</bdi>"
    if not splits:
        return f"<li>{text}</li>"
    link = clicked(chart.view, splits[:1], [name]).link(chart.path)
    return f'<li><a href="{escape(link)}" title="Filter for {escape(visible(name))}">{text}</a></li>'


def spec_of(chart: Chart) -> Spec:
    """The Vega-Lite specification of a chart. Raises PanelError for a type that is not drawn."""
    kind = chart.one.attributes["visState"]["type"]
    draw = _DRAWN.get(kind)
    if draw is None:
        raise PanelError(f"visualization {chart.one.id}: a chart of type {kind!r}")
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
    """The picture of a specification; its links are paths."""
    drawn = _drawn(orjson.dumps(spec)).replace(f'xlink:href="{_ORIGIN}/', 'href="/')
    return drawn.replace("<svg ", '<svg role="group" ', 1)


@lru_cache(maxsize=64)
def _drawn(spec: bytes) -> str:
    svg: str = vl_convert.vegalite_to_svg(spec.decode(), vl_version=VEGA_LITE)
    return svg


def points_of(chart: Chart) -> list[Point]:
    """The figures: a series for each value of the bucket that splits the chart, or for each metric."""
    request, rows = chart.request, chart.rows
    schemas = [one.get("schema") for one in request.aggregations]
    metrics = [number for number, column in enumerate(rows.columns) if column.role == "metric"]
    buckets = [number for number, column in enumerate(rows.columns) if column.role == "bucket"]
    places = [number for number in buckets if schemas[number] == "segment"]
    splits = [number for number in buckets if number not in places]
    if len(places) != 1 or len(splits) > 1 or (splits and len(metrics) != 1):
        raise PanelError(f"{request.title}: a chart of {len(buckets)} buckets and {len(metrics)} metrics")
    (place,) = places
    asked = [request.aggregations[number] for number in (place, *splits)]
    timed = asked[0]["type"] == "date_histogram"
    width = interval_of(request) if timed and rows.rows else None
    found = []
    for row in rows.rows:
        at = _time(row[place]) if timed else row[place]
        link = clicked(chart.view, asked, [at, *(row[number] for number in splits)], width).link(chart.path)
        shown = _at_text(at) if timed else visible(str(at))
        for metric in metrics:
            series = str(row[splits[0]]) if splits else rows.columns[metric].title
            value = formatted(row[metric], rows.columns[metric], chart.pattern)
            label = f"{shown}, {visible(series)}: {value}"
            found.append(Point(at if timed else shown, series, row[metric], label, f"{_ORIGIN}{link}"))
    return found


def _at_text(at: datetime) -> str:
    return f"{at:%b} {at.day}, {at:%H:%M:%S}"


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
        unit = expression.lstrip("0123456789")
        return timedelta(milliseconds=int(expression.removesuffix(unit)) * MILLISECONDS[unit])
    raise PanelError(f"{request.title}: no date histogram")


def _date_histograms(aggregations: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in aggregations.values():
        if "date_histogram" in one:
            yield one["date_histogram"]
        yield from _date_histograms(one.get("aggs", {}))


def _bars_over_time(chart: Chart) -> Spec:
    width = interval_of(chart.request)
    # The largest stands at the bottom, and first in the legend.
    order = _by_size(chart.points)
    points = sorted(chart.points, key=lambda point: order.index(point.series))
    values = [
        {"x": _iso(point.place), "x2": _iso(point.place + width), "y": low, "y2": high, **_common(point)}
        for point, low, high in stacked(points)
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
            **_LINKED,
        },
    }


def _lines_over_time(chart: Chart) -> Spec:
    points = chart.points
    order = list(dict.fromkeys(point.series for point in points))
    values = [
        {"x": _iso(point.place), "y": point.value, **_common(point)} for point in points if point.value is not None
    ]
    common = {"x": _time_axis(chart), "y": _value_axis(chart, "y"), "color": _color(chart, order)}
    return {
        "data": {"values": values},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2, "aria": False}, "encoding": common},
            {"mark": {"type": "point", "size": 14, "filled": True}, "encoding": {**common, **_LINKED}},
        ],
    }


def _horizontal_bars(chart: Chart) -> Spec:
    points = chart.points
    order = _by_size(points)
    places = list(dict.fromkeys(point.place for point in points))
    points = sorted(points, key=lambda point: order.index(point.series))
    values = [{"p": point.place, "x": low, "x2": high, **_common(point)} for point, low, high in stacked(points)]
    return {
        "data": {"values": values},
        "mark": {"type": "bar", "stroke": "white", "strokeWidth": 0.6},
        "encoding": {
            "y": {
                "field": "p",
                "type": "nominal",
                "sort": places,
                "title": None,
                "axis": {"grid": False, "labelLimit": chart.width * 0.5, "ticks": False, "labelPadding": 6},
                "scale": {"paddingInner": 0.28, "paddingOuter": 0.15},
            },
            "x": _value_axis(chart, "x"),
            "x2": {"field": "x2"},
            "color": _color(chart, order),
            **_LINKED,
        },
    }


def _pie(chart: Chart) -> Spec:
    slices = chart.points
    total = sum(point.value or 0 for point in slices) or 1
    values = [{"v": one.value, "share": f"{(one.value or 0) / total:.0%}", **_common(one)} for one in slices]
    radius = max(min(chart.width, chart.height) / 2 - 30, 10)
    arcs: Spec = {
        "mark": {
            "type": "arc",
            "innerRadius": radius * 0.6 if chart.params.get("isDonut") else 0,
            "outerRadius": radius,
            "stroke": "white",
            "strokeWidth": 1.5,
        },
        "encoding": _LINKED,
    }
    shares: Spec = {
        "mark": {"type": "text", "radius": radius + 16, "fontSize": 12, "fill": TEXT, "aria": False},
        "encoding": {"text": {"field": "share"}},
    }
    labels = chart.params.get("labels", {})
    return {
        "data": {"values": values},
        "encoding": {
            "theta": {"field": "v", "type": "quantitative", "stack": True},
            "order": {"field": "v", "type": "quantitative", "sort": "descending"},
            "color": _color(chart, list(dict.fromkeys(point.series for point in slices))),
        },
        "layer": [arcs, shares] if labels.get("show") else [arcs],
        "view": {"stroke": None},
    }


def _slices(chart: Chart) -> list[Point]:
    bucket = next(number for number, column in enumerate(chart.rows.columns) if column.role == "bucket")
    places = [str(row[bucket]) for row in chart.rows.rows]
    return [
        replace(point, place=None, series=place, value=float(point.value or 0))
        for place, point in zip(places, points_of(chart), strict=True)
    ]


def _heatmap(chart: Chart) -> Spec:
    width = interval_of(chart.request)
    points = chart.points
    shades = shades_of((point.value or 0 for point in points), chart.params.get("colorsNumber", 5))
    values = [
        {
            "x": _iso(point.place),
            "x2": _iso(point.place + width),
            "p": visible(point.series),
            "v": point.value,
            **_common(point),
            "s": shades[point.value or 0],
        }
        for point in points
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
                "sort": [visible(name) for name in _by_size(points)],
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
            **_LINKED,
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


def _common(point: Point) -> dict[str, str]:
    return {"s": point.series, "h": point.link, "d": point.label}


# What a mark leads to, and what it is called.
_LINKED: Spec = {"href": {"field": "h", "type": "nominal"}, "description": {"field": "d", "type": "nominal"}}


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
        raise PanelError(f"{place!r} is not a time")
    return moment


def _iso(moment: datetime) -> str:
    return iso_milliseconds(moment)


def _time_axis(chart: Chart) -> Spec:
    length = chart.span.length
    step, written = next((one for one in _STEPS if length / one[0] <= _MOST_LABELS), (length / 6, "%b %-d, %Y"))
    return {
        "field": "x",
        "type": "temporal",
        "title": f"per {_interval_text(interval_of(chart.request))}",
        "scale": {
            "type": "utc",
            "domain": [_iso(chart.span.begin), _iso(chart.span.end)],
            "nice": False,
            "clamp": True,
        },
        "axis": {
            "grid": False,
            "format": written,
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
    if minutes and minutes % 1440 == 0:
        return f"{minutes // 1440} days" if minutes > 1440 else "day"
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
    """As Vega-Lite calls it. Raises PanelError for one that is not drawn."""
    name = axis.get("scale", {}).get("type", "linear")
    if name not in _SCALES:
        raise PanelError(f"a scale of type {name!r}")
    return _SCALES[name]


def _color(chart: Chart, series: Sequence[str]) -> Spec:
    colors = colors_of(series, chart.colors)
    return {
        "field": "s",
        "type": "nominal",
        "scale": {"domain": list(colors), "range": list(colors.values())},
        "sort": list(colors),
        "legend": None,
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
