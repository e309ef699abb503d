"""Panels other than charts, as HTML: tables, saved searches, one document, metrics, controls, text.

Values come from database users: all are escaped, and each is isolated from the direction of the text around it. A value
is a link to the view that it filters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

import orjson
from markdown_it import MarkdownIt

from daswatch.content.dashboards import SavedObject
from daswatch.preview.formats import NOTHING, formatted, is_numeric, visible
from daswatch.preview.panels import Column, PanelSearch, Rows
from daswatch.preview.view import Filter, View, clicked, text_of

SHOWN = 50  # rows of a saved search, as on a page of Dashboards
_MONOSPACE = frozenset({"commandText", "statementHash", "object", "sequenceNumber"})
_BADGES = frozenset({"outcome", "level", "state", "verdict"})
# No filter by these is useful: a value belongs to one document, or is too long.
_UNLINKED = frozenset({"@timestamp", "commandText", "errorMessage", "note", "detail", "reason", "verdictReason"})
_LONGEST_LINKED = 200  # characters
_VIEW_LINK = re.compile(r'href="#/view/([\w-]+)"')


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel is: the path of its page, and the view that the page shows."""

    path: str
    view: View

    def to(self, view: View) -> str:
        """The same page with another view, as an attribute."""
        return escape(view.link(self.path))


def table_html(request: PanelSearch, rows: Rows, pattern: SavedObject, place: Place) -> str:
    """A table visualization. A bucket's value filters by it."""
    buckets = [one for one in request.aggregations if one.get("schema") == "bucket"]

    def cells(row: Sequence[Any]) -> Sequence[str]:
        linked = [
            _linked(_text(value, column, pattern), place, clicked(place.view, [bucket], [value]))
            for bucket, column, value in zip(buckets, rows.columns, row, strict=False)
        ]
        others = zip(rows.columns[len(linked) :], row[len(linked) :], strict=True)
        return [*linked, *(f"<div>{_text(value, column, pattern)}</div>" for column, value in others)]

    return _table(rows, [cells(row) for row in rows.rows], len(rows.rows))


def search_html(
    rows: Rows, hits: Sequence[Mapping[str, Any]], pattern: SavedObject, total: int, place: Place, dashboard: str
) -> str:
    """A saved search, newest rows only; each row opens its document. `total` is how many documents it finds."""
    shown = Rows(rows.columns, rows.rows[:SHOWN])
    links = [
        f'<a class="open" href="{escape(document_link(hit, place.view, dashboard))}" '
        'aria-label="Open the whole document">›</a>'
        for hit in hits
    ]
    bodies = [
        [_field_cell(value, column, pattern, place) for column, value in zip(rows.columns, row, strict=True)]
        for row in shown.rows
    ]
    return _table(shown, bodies, total, links)


def document_link(hit: Mapping[str, Any], view: View, dashboard: str) -> str:
    """The address of one document, from which the way leads back to the dashboard."""
    return view.link(f"/{dashboard}/document/{quote(hit['_index'], safe='')}/{quote(hit['_id'], safe='')}")


def _field_cell(value: Any, column: Column, pattern: SavedObject, place: Place) -> str:
    listed = value if isinstance(value, list) else [value]
    if column.field in _UNLINKED or any(not _is_filter(one) for one in listed):
        return f"<div>{_text(value, column, pattern)}</div>"
    links = (
        _link(_text(one, column, pattern), place, place.view.filtered(Filter(column.field, text_of(one))))
        for one in listed
    )
    return f"<div>{', '.join(links)}</div>"


def _is_filter(value: Any) -> bool:
    return (isinstance(value, str) and 0 < len(value) <= _LONGEST_LINKED) or isinstance(value, bool)


def _linked(text: str, place: Place, view: View) -> str:
    return f"<div>{_link(text, place, view)}</div>"


def _link(text: str, place: Place, view: View) -> str:
    return f'<a class="value" href="{place.to(view)}">{text}</a>' if view != place.view else text


def _table(rows: Rows, bodies: Sequence[Sequence[str]], total: int, links: Sequence[str] = ()) -> str:
    columns = rows.columns
    classes = [_class(column, [row[number] for row in rows.rows]) for number, column in enumerate(columns)]
    head = "".join(
        f'<th scope="col" class="{kind}">{_title(one)}</th>' for one, kind in zip(columns, classes, strict=True)
    )
    found = []
    for number, cells in enumerate(bodies):
        first = f'<td class="opening">{links[number]}</td>' if links else ""
        found.append(
            first + "".join(f'<td class="{kind}">{cell}</td>' for kind, cell in zip(classes, cells, strict=True))
        )
    lead = "<th></th>" if links else ""
    foot = f"{len(bodies):,} of {total:,}: filter, or choose a shorter time" if len(bodies) < total else ""
    return (
        f'<div class="rows" tabindex="0"><table><thead><tr>{lead}{head}</tr></thead>'
        f'<tbody>{"".join(f"<tr>{cells}</tr>" for cells in found)}</tbody></table></div><div class="foot">{foot}</div>'
    )


def _text(value: Any, column: Column, pattern: SavedObject) -> str:
    html = f"<bdi>{escape(formatted(value, column, pattern))}</bdi>"
    badge = column.field in _BADGES and isinstance(value, str)
    return f'<span class="badge {_word(value)}">{html}</span>' if badge else html


def _class(column: Column, values: list[Any]) -> str:
    names = ["number"] if is_numeric(column, values) or column.field == "rowCount" else []
    names += ["code"] if column.field in _MONOSPACE else []
    return " ".join(names)


def _title(column: Column) -> str:
    return "Time" if column.field == "@timestamp" and column.role == "field" else escape(column.title)


def _word(value: str) -> str:
    """A value as the name of a class: letters only."""
    return "".join(letter for letter in value.lower() if letter.isascii() and letter.isalpha())


def document_html(source: Mapping[str, Any], pattern: SavedObject, place: Place) -> str:
    """All fields of a document, each with a filter for it and one against it, and the document as JSON."""
    rows = "".join(_field_row(name, value, pattern, place) for name, value in sorted(_flat(source)))
    whole = escape(visible(orjson.dumps(source, option=orjson.OPT_INDENT_2).decode()))
    return (
        f'<table class="document"><thead><tr><th scope="col">Field</th><th scope="col">Value</th>'
        f'<th scope="col">Filter</th></tr></thead><tbody>{rows}</tbody></table>'
        f"<details><summary>JSON</summary><pre>{whole}</pre></details>"
    )


def _flat(source: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in source.items():
        found += _flat(value, f"{path}{name}.") if isinstance(value, Mapping) else [(f"{path}{name}", value)]
    return found


def _field_row(name: str, value: Any, pattern: SavedObject, place: Place) -> str:
    column = Column(name, "field", name)
    filters = []
    listed = value if isinstance(value, list) else [value]
    if all(_is_filter(one) or isinstance(one, int | float) for one in listed) and name != "@timestamp":
        for one in listed:
            only = Filter(name, text_of(one))
            shown = escape(f"{name}: {visible(text_of(one))}")
            filters += [
                f'<a href="{place.to(place.view.filtered(only))}" title="Filter for {shown}" '
                f'aria-label="Filter for {shown}">+</a>',
                f'<a href="{place.to(place.view.filtered(Filter(name, text_of(one), negated=True)))}" '
                f'title="Filter out {shown}" aria-label="Filter out {shown}">−</a>',
            ]
    kind = "code" if name in _MONOSPACE else ""
    return (
        f'<tr><th scope="row">{escape(visible(name))}</th>'
        f'<td class="{kind}"><div>{_text(value, column, pattern)}</div></td>'
        f'<td class="filters">{" ".join(filters)}</td></tr>'
    )


def metric_html(one: SavedObject, rows: Rows, pattern: SavedObject) -> str:
    """Large figures, each with what it counts."""
    settings = one.attributes["visState"]["params"]["metric"]
    found = "".join(
        f'<div class="figure"><div class="value {_metric_class(settings, value)}">'
        f'{escape(formatted(value, column, pattern))}</div><div class="label">{escape(column.title)}</div></div>'
        for row in rows.rows
        for column, value in zip(rows.columns, row, strict=True)
    )
    return f'<div class="figures">{found}</div>'


def _metric_class(settings: Mapping[str, Any], value: Any) -> str:
    """By the range in which the value lies: the first is good, the others are not."""
    if settings.get("metricColorMode") != "Labels" or not isinstance(value, int | float):
        return "plain"
    first = settings["colorsRange"][0]
    return "good" if first["from"] <= value < first["to"] else "bad"


def controls_html(one: SavedObject, answers: Sequence[Rows], place: Place) -> str:
    """The lists of a dashboard's controls: one value of each can be chosen."""
    controls = one.attributes["visState"]["params"]["controls"]
    found = (_control(control, rows, place) for control, rows in zip(controls, answers, strict=True))
    return f'<div class="controls">{"".join(found)}</div>'


def _control(control: Mapping[str, Any], rows: Rows, place: Place) -> str:
    name = control["fieldName"]
    chosen = [one for one in place.view.filters if one.field == name and not one.negated]
    items = [f'<li><a href="{place.to(place.view.without(*chosen))}">any</a></li>'] if chosen else []
    for value, count in rows.rows:
        only = Filter(name, text_of(value))
        current = ' aria-current="true"' if only in chosen else ""
        link = place.to(place.view.without(*chosen).filtered(only))
        text = escape(visible(text_of(value)))
        items.append(f'<li><a href="{link}"{current}><bdi>{text}</bdi> <small>{count:,}</small></a></li>')
    state = escape(", ".join(visible(one.value) for one in chosen)) or "any"
    label = escape(control["label"])
    return (
        f'<details class="control"><summary><span class="name">{label}</span> '
        f'<span class="choice"><bdi>{state}</bdi></span></summary>'
        f"<ul>{''.join(items) or f'<li>{NOTHING}</li>'}</ul></details>"
    )


def markdown_html(one: SavedObject, place: Place) -> str:
    """A text; HTML within it is text too. Links to dashboards keep the view."""
    markdown = one.attributes["visState"]["params"]["markdown"]
    html = MarkdownIt("commonmark", {"html": False}).render(markdown)

    def link(found: re.Match[str]) -> str:
        path = f"/{found[1]}"
        current = ' aria-current="page"' if path == place.path else ""
        return f'href="{escape(place.view.link(path))}"{current}'

    return f'<nav class="text">{_VIEW_LINK.sub(link, html)}</nav>'


def filters_html(view: View, path: str) -> str:
    """The filter bar: each filter with a way to remove it."""
    place = Place(path, view)
    pills = "".join(
        f'<li class="{"negated" if one.negated else ""}"><bdi>{label}</bdi>'
        f' <a href="{place.to(view.without(one))}" aria-label="Remove the filter {label}">×</a></li>'
        for one in view.filters
        for label in [escape(visible(one.label))]
    )
    return f'<ul class="filters" aria-label="Filters">{pills}</ul>' if pills else ""
