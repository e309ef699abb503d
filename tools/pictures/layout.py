"""Where the panels of a dashboard are, how large, over which time: from its definition alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from daswatch.content.dashboards import SavedObject
from daswatch.errors import DaswatchError
from tools.pictures.panels import Objects, TimeSpan

GRID_COLUMNS = 48
WIDTH = 1320  # px of a page
HEADER = 56  # px above the panels
ROW = 22  # px of a row of the grid; Dashboards' are 28, on wider screens
MARGIN = 8  # px between panels
TITLE = 30  # px of a panel's title
PADDING = 10  # px within a panel

_AGO = re.compile(r"now-(\d+)([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WEEK = timedelta(weeks=1)


class PictureError(DaswatchError):
    """Stop: a dashboard asks for what we do not draw; the message names it."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, and its place in pixels."""

    one: SavedObject
    left: int
    top: int
    width: int
    height: int
    titled: bool

    @property
    def inner_width(self) -> int:
        """Within the padding."""
        return self.width - 2 * PADDING

    @property
    def inner_height(self) -> int:
        """Within the padding, under the title."""
        return self.height - PADDING - (TITLE if self.titled else PADDING)


def panels_of(dashboard: SavedObject, objects: Objects) -> list[Panel]:
    """The panels of a dashboard, in the order of its definition."""
    return [_panel(raw, objects) for raw in dashboard.attributes["panelsJSON"]]


def _panel(raw: Mapping[str, Any], objects: Objects) -> Panel:
    grid = raw["gridData"]
    column = (WIDTH - MARGIN) / GRID_COLUMNS
    left, right = round(grid["x"] * column), round((grid["x"] + grid["w"]) * column)
    return Panel(
        objects[raw["type"], raw["id"]],
        left=MARGIN + left,
        top=HEADER + grid["y"] * ROW,
        width=right - left - MARGIN,
        height=grid["h"] * ROW - MARGIN,
        titled=not raw.get("embeddableConfig", {}).get("hidePanelTitles"),
    )


def height_of(panels: list[Panel]) -> int:
    """Of all panels, in px from the top of the page."""
    return max((panel.top + panel.height for panel in panels), default=HEADER)


def span_of(dashboard: SavedObject, now: datetime) -> TimeSpan:
    """The time with which a dashboard opens. Raises PictureError."""
    chosen = dashboard.attributes["timeFrom"], dashboard.attributes["timeTo"]
    if chosen == ("now/w", "now/w"):
        # Weeks begin on Sunday, the default of Dashboards' setting dateFormat:dow.
        sunday = now.date() - timedelta(days=now.isoweekday() % 7)
        begin = datetime.combine(sunday, time(), now.tzinfo)
        return TimeSpan(begin, begin + _WEEK - timedelta(milliseconds=1))
    ago = _AGO.fullmatch(chosen[0])
    if not ago or chosen[1] != "now":
        raise PictureError(f"dashboard {dashboard.id}: a time from {chosen[0]!r} to {chosen[1]!r}")
    return TimeSpan(now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}), now)


def span_text(dashboard: SavedObject) -> str:
    """The time with which a dashboard opens, in words."""
    begin = dashboard.attributes["timeFrom"]
    if begin == "now/w":
        return "This week"
    ago = _AGO.fullmatch(begin)
    return f"Last {ago[1]} {_UNITS[ago[2]]}" if ago else str(begin)
