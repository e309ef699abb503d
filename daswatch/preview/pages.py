"""The pages: a dashboard's frame, what each of its panels shows, and one document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from daswatch.content.dashboards import SavedObject
from daswatch.preview.charts import CHARTS, Chart, chart_html
from daswatch.preview.formats import visible
from daswatch.preview.panels import Objects, PanelError, PanelSearch, Rows, TimeSpan
from daswatch.preview.tables import (
    Place,
    controls_html,
    document_html,
    filters_html,
    markdown_html,
    metric_html,
    search_html,
    table_html,
)
from daswatch.preview.view import RANGES, View, range_text

CREDIT = "A preview by Daswatch. OpenSearch Dashboards gets the same definitions by `daswatch setup`."
REFRESH_SECONDS = 10
WAITING = "Waiting for OpenSearch …"
NO_RESULTS = "No results for this time range and these filters."


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, and its place in the grid of 48 columns."""

    one: SavedObject
    grid: Mapping[str, int]
    titled: bool

    @property
    def kind(self) -> str:
        """The visualization's type, or `search`."""
        return "search" if self.one.type == "search" else str(self.one.attributes["visState"]["type"])


@dataclass(frozen=True, slots=True)
class Answered:
    """One request of a panel with its answer: `total` is how many documents matched, `hits` those of a search."""

    request: PanelSearch
    rows: Rows
    total: int
    hits: Sequence[Mapping[str, Any]] = ()


def panels_of(dashboard: SavedObject, objects: Objects) -> list[Panel]:
    """The panels of a dashboard, in the order of its definition."""
    return [
        Panel(
            objects[raw["type"], raw["id"]],
            raw["gridData"],
            not raw.get("embeddableConfig", {}).get("hidePanelTitles"),
        )
        for raw in dashboard.attributes["panelsJSON"]
    ]


def pattern_of(request: PanelSearch, objects: Objects) -> SavedObject:
    """The index pattern that a request asks."""
    return next(one for one in objects.values() if one.type == "index-pattern" and one.title == request.index)


def page_html(dashboard: SavedObject, panels: Sequence[Panel], view: View, problem: str = "", nonce: str = "") -> str:
    """The page of a dashboard, whose panels come one by one; `problem` is why its view cannot be shown."""
    path = f"/{dashboard.id}"
    grid = "".join(_place(panel) for panel in panels)
    body = "".join(_panel(panel, view, path) for panel in panels)
    return _document(
        dashboard.title,
        f'<header><h1>{escape(dashboard.title)}</h1><b class="preview" title="{escape(CREDIT)}">Preview</b>'
        f'<p class="description">'
        f"{escape(str(dashboard.attributes['description']))}</p>{_time_html(dashboard, view)}</header>"
        f"{_search_html(view, path, problem)}{filters_html(view, path)}<main>{body}</main>",
        f"@media (min-width: 900px) {{ {grid} }}",
        nonce,
    )


def _document(title: str, body: str, style: str = "", nonce: str = "") -> str:
    own = f'<style nonce="{nonce}">{style}</style>' if style else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="/page.css">{own}'
        f'<script src="/page.js" defer></script></head><body data-seconds="{REFRESH_SECONDS}">{body}'
        f'<footer><span id="state" role="status"></span><span>{escape(CREDIT)}</span></footer></body></html>'
    )


def _place(panel: Panel) -> str:
    grid = panel.grid
    column, row = f"{grid['x'] + 1} / span {grid['w']}", f"{grid['y'] + 1} / span {grid['h']}"
    return f"#p-{panel.one.id} {{ grid-column: {column}; grid-row: {row}; }}"


def _panel(panel: Panel, view: View, path: str) -> str:
    identity, title = escape(panel.one.id), escape(panel.one.title)
    head = f'<h2 title="{escape(str(panel.one.attributes["description"]))}">{title}</h2>' if panel.titled else ""
    source = escape(view.link(f"{path}/panel/{panel.one.id}"))
    return (
        f'<section id="p-{identity}" class="{escape(panel.kind)}" aria-label="{title}" data-source="{source}">{head}'
        f'<div class="content"><p class="waiting">{WAITING}</p></div></section>'
    )


def _time_html(dashboard: SavedObject, view: View) -> str:
    begin, end = view.times(dashboard)
    place = Place(f"/{dashboard.id}", view)
    quick = "".join(f'<li><a href="{place.to(view.at(*one))}">{range_text(*one)}</a></li>' for one in RANGES)
    return (
        f'<details class="time"><summary><b>{escape(visible(range_text(begin, end)))}</b> <small>UTC</small></summary>'
        f'<div><ul>{quick}</ul><form action="/{escape(dashboard.id)}">{_hidden(view.at("", ""))}'
        f'<label>From <input name="from" value="{escape(begin)}"></label>'
        f'<label>To <input name="to" value="{escape(end)}"></label><button>Show</button></form></div></details>'
    )


def _search_html(view: View, path: str, problem: str) -> str:
    kept = View(view.begin, view.end, "", view.filters)
    error = f'<p class="failed" role="alert">{escape(visible(problem))}</p>' if problem else ""
    return (
        f'<form class="query" role="search" action="{escape(path)}">{_hidden(kept)}<input name="q" type="search" '
        f'value="{escape(view.query)}" maxlength="2000" placeholder="activity : DDL and not dbUserName : migrator" '
        f'aria-label="Search, in DQL"><button>Search</button></form>{error}'
    )


def _hidden(view: View) -> str:
    return "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in view.parameters)


def content_html(
    panel: Panel, answers: Sequence[Answered], span: TimeSpan, objects: Objects, place: Place, room: tuple[int, int]
) -> str:
    """What a panel shows; `room` is what it has, in px. Raises PanelError for a type that is not drawn."""
    one, kind = panel.one, panel.kind
    if kind == "markdown":
        return markdown_html(one, place)
    if kind == "input_control_vis":
        return controls_html(one, [answered.rows for answered in answers], place)
    (answered,) = answers
    pattern = pattern_of(answered.request, objects)
    if kind == "metric":
        return metric_html(one, answered.rows, pattern)
    if not answered.rows.rows:
        return f'<p class="empty">{NO_RESULTS}</p>'
    if kind == "search":
        dashboard = place.path.removeprefix("/")
        return search_html(answered.rows, answered.hits, pattern, answered.total, place, dashboard)
    if kind == "table":
        return table_html(answered.request, answered.rows, pattern, place)
    if kind in CHARTS:
        return chart_html(
            Chart(one, answered.request, answered.rows, span, *room, pattern=pattern, view=place.view, path=place.path)
        )
    raise PanelError(f"{one.type} {one.id}: a panel of type {kind!r}")


def document_page(
    dashboard: SavedObject, hit: Mapping[str, Any], pattern: SavedObject, view: View, nonce: str = ""
) -> str:
    """The page of one document, with the way back to the dashboard."""
    place = Place(f"/{dashboard.id}", view)
    back = f'<a href="{place.to(view)}">← {escape(dashboard.title)}</a>'
    name = f"{escape(hit['_index'])} / {escape(visible(hit['_id']))}"
    return _document(
        f"Document of {hit['_index']}",
        f'<header><h1>{back}</h1><p class="description">{name}</p></header>'
        f'<main class="single"><section>{document_html(hit["_source"], pattern, place)}</section></main>',
        nonce=nonce,
    )


def problem_page(title: str, problem: str) -> str:
    """A page that says why there is none."""
    failed = f'<p class="failed" role="alert">{escape(visible(problem))}</p>'
    return _document(title, f'<header><h1><a href="/">Daswatch</a></h1></header>{failed}')


def fields_of(title: str, templates: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """The fields of an index pattern with their types, from the shipped templates: what DQL is translated with."""
    bodies = dict(templates)
    found: dict[str, str] = {}
    for body in [body for body in bodies.values() if title in body.get("index_patterns", [])]:
        for part in (*(bodies[name] for name in body.get("composed_of", [])), body):
            found.update(_fields(part["template"].get("mappings", {})))
    return {
        name: found.get(kind.removeprefix("alias:"), "") if kind.startswith("alias:") else kind
        for name, kind in found.items()
    }


def _fields(mapping: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, body in mapping.get("properties", {}).items():
        yield f"{path}{name}", f"alias:{body['path']}" if body.get("type") == "alias" else body.get("type", "object")
        yield from ((f"{path}{name}.{sub}", one["type"]) for sub, one in body.get("fields", {}).items())
        yield from _fields(body, f"{path}{name}.")
