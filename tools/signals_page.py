"""docs/signals.md: the table of signals with examples, from the code.

python -m tools.signals_page   # writes it
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from daswatch.sql.signal_table import SIGNALS
from daswatch.sql.signal_table.model import Signal
from daswatch.sql.statements import ENGINES
from tools.markers import replaced

PAGE = Path(__file__).parents[1] / "docs" / "signals.md"
BEGIN, END = "<!-- signals: made by python -m tools.signals_page -->", "<!-- end of signals -->"
_LONGEST = 200  # characters of an example
_WIDTH = max(map(len, ENGINES)) + 2


def content() -> str:
    """A table of all signals, then each with examples."""
    return "\n\n".join(["\n".join(_table()), *map(_section, SIGNALS)])


def with_content(page: str) -> str:
    """The page with what the code has. Raises ValueError where the page has no place for it."""
    found = replaced(page, BEGIN, END, f"\n{content()}\n")
    if found is None:
        raise ValueError(f"{PAGE.name} has no place for the signals: {BEGIN} … {END}")
    return found


def _table() -> Iterator[str]:
    yield "| Signal | Engines | Meaning |"
    yield "|---|---|---|"
    for signal in SIGNALS:
        engines = "all" if len(signal.samples) == len(ENGINES) else ", ".join(e for e in ENGINES if e in signal.samples)
        yield f"| [`{signal.name}`](#{signal.name}) | {engines} | {signal.meaning.replace('|', chr(92) + '|')} |"


def _section(signal: Signal) -> str:
    """One statement of each engine that has the signal, and one that does not."""
    lines = [f"## `{signal.name}`", "", signal.meaning, "", "```text"]
    for engine in (engine for engine in ENGINES if engine in signal.samples):
        lines.append(f"{engine:{_WIDTH}}{_one_line(signal.samples[engine][0])}")
        lines.append(f"{'  not':{_WIDTH}}{_one_line(signal.near_misses[engine][0])}")
    return "\n".join([*lines, "```"])


def _one_line(text: str) -> str:
    line = " ".join(text.replace("`", "'").split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


if __name__ == "__main__":
    PAGE.write_text(with_content(PAGE.read_text("utf-8")), "utf-8")
