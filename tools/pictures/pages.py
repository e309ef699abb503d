"""A dashboard and the answers to its panels -> one page of HTML, each panel where the definition puts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from daswatch.content.dashboards import SavedObject
from tools.pictures.charts import CHARTS, Chart, spec_of, svg_of
from tools.pictures.layout import HEADER, MARGIN, WIDTH, Panel, PictureError, height_of, span_text
from tools.pictures.panels import Objects, PanelSearch, Rows, TimeSpan, requests_of
from tools.pictures.tables import controls_html, markdown_html, metric_html, search_html, table_html

CREDIT = "rendered by Daswatch from dashboards/, not a screenshot of OpenSearch Dashboards"
_FOOTER = 30  # px


@dataclass(frozen=True, slots=True)
class Answered:
    """One request of a panel with its answer; `total` is how many documents matched."""

    request: PanelSearch
    rows: Rows
    total: int


def page_height(panels: list[Panel]) -> int:
    """Of a whole page, in px."""
    return height_of(panels) + _FOOTER + MARGIN


def page_html(
    dashboard: SavedObject,
    panels: Sequence[Panel],
    answers: Mapping[str, Sequence[Answered]],
    span: TimeSpan,
    objects: Objects,
) -> str:
    """The page of a dashboard; `answers` by the id of what a panel shows."""
    body = "".join(panel_html(panel, answers[panel.one.id], span, objects) for panel in panels)
    package = files("tools.pictures")
    style, script = (package.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(dashboard.title)}</title>'
        f"<style>{style}</style></head>"
        f'<body style="width:{WIDTH}px;height:{page_height(list(panels))}px">'
        f'<header style="height:{HEADER - MARGIN}px"><h1>{escape(dashboard.title)}</h1>'
        f'<div class="description">{escape(str(dashboard.attributes["description"]))}</div>'
        f'<div class="span"><b>{escape(span_text(dashboard))}</b> {escape(_span_text(span))}</div></header>'
        f"{body}<footer>{escape(CREDIT)}</footer><script>{script}</script></body></html>"
    )


def _span_text(span: TimeSpan) -> str:
    return f"{span.begin:%b} {span.begin.day}, {span.begin:%H:%M} – {span.end:%b} {span.end.day}, {span.end:%H:%M}"


def panel_html(panel: Panel, answers: Sequence[Answered], span: TimeSpan, objects: Objects) -> str:
    """A panel with its title, where its definition puts it."""
    title = f"<h2>{escape(panel.one.title)}</h2>" if panel.titled else ""
    kind = "search" if panel.one.type == "search" else panel.one.attributes["visState"]["type"]
    place = f"left:{panel.left}px;top:{panel.top}px;width:{panel.width}px;height:{panel.height}px"
    content = content_html(panel, answers, span, objects)
    return f'<section class="{kind}" style="{place}">{title}<div class="content">{content}</div></section>'


def content_html(panel: Panel, answers: Sequence[Answered], span: TimeSpan, objects: Objects) -> str:
    """What a panel shows. Raises PictureError for a type that is not drawn."""
    one = panel.one
    kind = "search" if one.type == "search" else one.attributes["visState"]["type"]
    if kind == "markdown":
        return markdown_html(one)
    if kind == "input_control_vis":
        return controls_html(one, [answered.rows for answered in answers])
    (answered,) = answers
    pattern = pattern_of(answered.request, objects)
    if kind == "search":
        return search_html(answered.rows, pattern, answered.total)
    if kind == "table":
        return table_html(answered.rows, pattern, one.attributes["visState"]["params"].get("perPage") or 0)
    if kind == "metric":
        return metric_html(one, answered.rows, pattern)
    if kind in CHARTS:
        room = panel.inner_width, panel.inner_height
        return svg_of(spec_of(Chart(one, answered.request, answered.rows, span, *room)))
    raise PictureError(f"{one.type} {one.id}: a panel of type {kind!r}")


def pattern_of(request: PanelSearch, objects: Objects) -> SavedObject:
    """The index pattern that a request asks."""
    return next(one for one in objects.values() if one.type == "index-pattern" and one.title == request.index)


def requests_by_panel(panels: Sequence[Panel], objects: Objects, span: TimeSpan) -> dict[str, list[PanelSearch]]:
    """What each panel asks, by the id of what it shows."""
    return {panel.one.id: requests_of(panel.one, objects, span) for panel in panels}
