"""Values of an answer as people read them: numbers, times and durations, by the field formats of the index pattern.

What a screen would not show, or would use to turn other text around, is shown by its code point.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from daswatch.content.dashboards import SavedObject
from daswatch.preview.panels import Column

# What counts has no field whose format it could take.
_COUNTING = frozenset({"count", "cardinality"})
NOTHING = "–"


def formatted(value: Any, column: Column, pattern: SavedObject | None = None) -> str:
    """A value of a column as text; several are separated by commas, of none there is a dash."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(formatted(one, column, pattern) for one in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _number(value, {} if column.type in _COUNTING else _format(column.field, pattern))
    moment = moment_of(value)
    return f"{moment:%b} {moment.day}, {moment:%Y @ %H:%M:%S}" if moment else visible(str(value))


def visible(text: str) -> str:
    """Text whose every character is seen: direction marks, controls and unusual spaces as `⟨U+202E⟩`."""
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(one if one.isprintable() or one in "\n\t" else f"⟨U+{ord(one):04X}⟩" for one in text)


def is_numeric(column: Column, values: list[Any]) -> bool:
    """Whether the column's values are right-aligned."""
    present = [value for value in values if value is not None]
    return column.role == "metric" and bool(present) and all(isinstance(value, int | float) for value in present)


def moment_of(value: Any) -> datetime | None:
    """Parse an ISO 8601 time with any number of digits; None if it is not one."""
    if not isinstance(value, str) or not value.endswith("Z") or len(value) < len("2026-03-05T16:00Z"):
        return None
    try:
        return datetime.fromisoformat(value.partition(".")[0].removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None


def _format(field: str, pattern: SavedObject | None) -> Mapping[str, Any]:
    formats: Mapping[str, Any] = pattern.attributes.get("fieldFormatMap", {}) if pattern else {}
    found: Mapping[str, Any] = formats.get(field, {})
    return found


def _number(value: float, field_format: Mapping[str, Any]) -> str:
    if field_format.get("id") == "duration":
        return f"{value:,.{field_format['params'].get('outputPrecision', 1)}f} ms"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.3f}".rstrip("0")
