"""The part of `docs/dashboards.md` that is written from the definitions, between two markers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from daswatch.content.dashboards import SavedObject
from tools.pictures.layout import Panel, PictureError, panels_of, question_of, remark_of, span_text
from tools.pictures.panels import by_key

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "dashboards.md"
PICTURES = ROOT / "docs" / "pictures"
BEGIN, END = "<!-- begin: written by `make pictures` -->", "<!-- end: written by `make pictures` -->"
# In the order of the navigation, which is how people go through them.
_FIRST = ("das-overview", "das-findings", "das-logins", "das-privileges", "das-data-access", "das-statements")


def with_dashboards(text: str, objects: Iterable[SavedObject]) -> str:
    """Return the document with the part between its markers regenerated. Raises PictureError without markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PictureError(f"{DOCUMENT.name} has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{dashboards_text(objects)}\n{END}{after}"


def dashboards_text(objects: Iterable[SavedObject]) -> str:
    """All dashboards: question, picture, panels."""
    known = by_key(objects)
    dashboards = sorted((one for one in known.values() if one.type == "dashboard"), key=_order)
    sections = ("\n".join(_section(one, panels_of(one, known))) for one in dashboards)
    return "\n" + "\n".join(sections)


def _order(dashboard: SavedObject) -> tuple[int, str]:
    listed = dashboard.id in _FIRST
    return _FIRST.index(dashboard.id) if listed else len(_FIRST), dashboard.id


def _section(dashboard: SavedObject, panels: list[Panel]) -> Iterator[str]:
    yield from (f"## {dashboard.title.removeprefix('Daswatch: ').capitalize()}", "")
    yield from (f"**{question_of(dashboard)}** {remark_of(dashboard)}".strip(), "")
    yield from (f"It opens with: {span_text(dashboard).lower()}.", "")
    yield from (f"![Rendering of the dashboard “{dashboard.title}”](pictures/{dashboard.id}.png)", "")
    yield from ("| Question | Panel |", "|---|---|")
    for panel in panels:
        yield f"| {_cell(question_of(panel.one)) or '–'} | {_cell(_told(panel.one))} |"
    yield ""


def _told(one: SavedObject) -> str:
    """A panel's title, where it is not the question itself, and what its description adds."""
    title = "" if one.title == question_of(one) else f"*{one.title}*"
    return ": ".join(part for part in (title, remark_of(one)) if part)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
