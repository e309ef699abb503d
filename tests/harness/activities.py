"""The table of docs/activities.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tests import ROOT

PAGE = ROOT / "docs" / "activities.md"


ENGINES = {
    "Aurora PostgreSQL": "postgresql",
    "Aurora MySQL": "mysql",
    "Oracle": "oracle",
    "SQL Server": "sqlserver",
}


COLUMNS = ["command", "class", "statement", "exit code / error", "activity", "outcome"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the page: an event, and what it should be."""

    engine: str
    line: int
    event: dict[str, Any]
    activity: str
    outcome: str

    def __str__(self) -> str:
        shown = (self.event["command"], self.event["class"], (self.event["commandText"] or "")[:40])
        return f"line {self.line} {self.engine} {' '.join(str(part) for part in shown)}"


def rows_of(page: str) -> Iterator[Row]:
    engine = ""
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith("## "):
            engine = ENGINES.get(line.removeprefix("## "), "")
        cells = cells_of(line)
        if not engine or not cells or cells == COLUMNS or set(line) <= set("|-"):
            continue
        command, kind, statement, code, activity, outcome = cells
        exit_code, _, error = code.partition("/")
        event = {
            "command": plain(command),
            "class": plain(kind),
            "commandText": plain(statement),
            "exitCode": orjson.loads(plain(exit_code) or "null"),
            "errorMessage": error.strip() or None,
        }
        yield Row(engine, number, event, activity, outcome)


def cells_of(line: str) -> list[str]:
    """The cells of a table's row; none for other lines."""
    if not line.startswith("|"):
        return []
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def plain(cell: str) -> str | None:
    """The text of a cell without the marks of code; None where it is empty."""
    return cell.strip().strip("`").replace(r"\|", "|") or None


ROWS = list(rows_of(PAGE.read_text("utf-8")))
