"""Panels other than charts, as HTML: tables, saved searches, metrics, controls, text.

Values come from database users, so all are escaped. Content that does not fit a panel is shortened in the browser: the
widest columns become narrower, and the footer shows how many rows there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt

from daswatch.content.dashboards import SavedObject
from tools.pictures.formats import formatted, is_numeric
from tools.pictures.panels import Column, Rows

_MONOSPACE = frozenset({"commandText", "statementHash", "object", "sequenceNumber"})
# As in Dashboards, of the color schema "Green to Red" the ends.
_GOOD, _BAD = "#2E7D5B", "#BD271E"
_BADGES = frozenset({"outcome", "level", "state"})


def table_html(rows: Rows, pattern: SavedObject, per_page: int = 0) -> str:
    """A table visualization, its first page where it has pages."""
    shown = rows.rows[:per_page] if per_page else rows.rows
    return _table(rows.columns, shown, pattern, len(rows.rows))


def search_html(rows: Rows, pattern: SavedObject, total: int) -> str:
    """A saved search; `total` is how many documents it finds."""
    return _table(rows.columns, rows.rows[:40], pattern, total)


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Any]], pattern: SavedObject, total: int) -> str:
    classes = [_class(column, [row[number] for row in rows]) for number, column in enumerate(columns)]
    head = "".join(f'<th class="{kind}">{_title(column)}</th>' for column, kind in zip(columns, classes, strict=True))
    body = "".join(_row(columns, classes, row, pattern) for row in rows)
    return (
        f'<div class="rows" data-total="{total}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        '</div><div class="foot"></div>'
    )


def _row(columns: Sequence[Column], classes: Sequence[str], row: Sequence[Any], pattern: SavedObject) -> str:
    cells = (
        f'<td class="{kind}">{_cell(value, column, pattern)}</td>'
        for column, kind, value in zip(columns, classes, row, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _cell(value: Any, column: Column, pattern: SavedObject) -> str:
    text = escape(formatted(value, column, pattern))
    if column.field in _BADGES and isinstance(value, str):
        return f'<span class="badge {_word(value)}">{text}</span>'
    return f"<div>{text}</div>"


def _class(column: Column, values: list[Any]) -> str:
    names = ["number"] if is_numeric(column, values) or column.field == "rowCount" else []
    names += ["code"] if column.field in _MONOSPACE else []
    return " ".join(names)


def _title(column: Column) -> str:
    return "Time" if column.field == "@timestamp" and column.role == "field" else escape(column.title)


def _word(value: str) -> str:
    """A value as the name of a class: letters only."""
    return "".join(letter for letter in value.lower() if letter.isascii() and letter.isalpha())


def metric_html(one: SavedObject, rows: Rows, pattern: SavedObject) -> str:
    """Large figures, each with what it counts."""
    settings = one.attributes["visState"]["params"]["metric"]
    size = int(settings.get("style", {}).get("fontSize", 36))
    found = "".join(
        f'<div class="figure"><div class="value" style="font-size:{size}px;color:{_metric_color(settings, value)}">'
        f'{escape(formatted(value, column, pattern))}</div><div class="label">{escape(column.title)}</div></div>'
        for row in rows.rows
        for column, value in zip(rows.columns, row, strict=True)
    )
    return f'<div class="figures">{found}</div>'


def _metric_color(settings: Mapping[str, Any], value: Any) -> str:
    """By the range in which the value lies: the first is good, the others are not."""
    if settings.get("metricColorMode") != "Labels" or not isinstance(value, int | float):
        return "#343741"
    first = settings["colorsRange"][0]
    return _GOOD if first["from"] <= value < first["to"] else _BAD


def controls_html(one: SavedObject, answers: Sequence[Rows]) -> str:
    """The lists of a dashboard's controls, closed, with how much there is to choose from."""
    controls = one.attributes["visState"]["params"]["controls"]
    found = "".join(
        f'<div class="control"><label>{escape(control["label"])}</label>'
        f'<div class="select"><span>Select…</span><span class="choice">{_choices(len(rows.rows))}</span></div></div>'
        for control, rows in zip(controls, answers, strict=True)
    )
    return f'<div class="controls">{found}</div>'


def _choices(number: int) -> str:
    return f"{number} values" if number != 1 else "1 value"


def markdown_html(one: SavedObject) -> str:
    """A text; HTML within it is text too."""
    markdown = one.attributes["visState"]["params"]["markdown"]
    return f'<div class="text">{MarkdownIt("commonmark", {"html": False}).render(markdown)}</div>'
