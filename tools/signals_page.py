"""docs/signals.md: the table of signals with examples, from the code.

python -m tools.signals_page   # writes it
"""

from __future__ import annotations

from pathlib import Path

from daswatch.detections.reference_pages import table
from daswatch.sql.signal_table import SIGNALS
from daswatch.sql.signal_table.model import Signal
from daswatch.sql.statements import ENGINES
from tools.markers import with_part

PAGE = Path(__file__).parents[1] / "docs" / "signals.md"
BEGIN, END = "<!-- signals: made by python -m tools.signals_page -->", "<!-- end of signals -->"
_LONGEST = 200  # characters of an example
_WIDTH = max(map(len, ENGINES)) + 2


def content() -> str:
    """A table of all signals, then each with examples."""
    return "\n\n".join([table(("Signal", "Engines", "Meaning"), map(_row, SIGNALS)), *map(_section, SIGNALS)])


def with_content(page: str) -> str:
    """The page with what the code has. Raises ValueError where the page has no place for it."""
    return with_part(page, BEGIN, END, content())


def _row(signal: Signal) -> tuple[str, ...]:
    engines = "all" if len(signal.samples) == len(ENGINES) else ", ".join(e for e in ENGINES if e in signal.samples)
    return f"[`{signal.name}`](#{signal.name})", engines, signal.meaning.replace("|", "\\|")


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
