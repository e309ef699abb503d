"""Names and values of events as text that any screen, mail and JSON takes: one printable line, and no SQL."""

from __future__ import annotations

from collections.abc import Mapping

from daswatch.detections.lucene import holds_sql

HIDDEN = "(SQL, not shown)"


def plain(text: str) -> str:
    """Return text as one printable line.

    Unprintable characters (controls, lone surrogates, direction marks) become spaces.
    """
    if text.isprintable():
        return text.strip()
    return "".join(character if character.isprintable() else " " for character in text).strip()


def shortened(text: str, length: int, ellipsis: str = "…") -> str:
    """Truncate text to a length, between words if there is a space near the end."""
    if len(text) <= length:
        return text
    cut = text[: length - len(ellipsis)]
    words = cut.rpartition(" ")[0].rstrip()
    return (words if len(words) > len(cut) * 3 // 4 else cut.rstrip()) + ellipsis


def shown_value(name: str, value: str) -> str:
    """Return a field's value for display: SQL hidden, an empty one as `(none)`."""
    return HIDDEN if holds_sql(name) and value else plain(value) or "(none)"


def shown_group(group: Mapping[str, str]) -> dict[str, str]:
    """Return a group for display: SQL hidden, empty values as `(none)`."""
    return {name: shown_value(name, value) for name, value in group.items()}
