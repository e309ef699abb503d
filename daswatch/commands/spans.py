"""Spans of time as commands are given them: `--from 7d --to now`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from daswatch.commands.console import moment
from daswatch.errors import SettingsError
from daswatch.queries.backtests import Period

Begin = Annotated[str, typer.Option("--from", help="Start: ISO 8601, or relative such as 7d, 12h, 30m.")]
End = Annotated[str, typer.Option("--to", help="End: ISO 8601, relative, or now.")]


def read_span(begin: str, end: str, now: datetime) -> Period:
    """The span between two options. Raises SettingsError."""
    span = Period(moment("--from", begin, now), moment("--to", end, now))
    if span.begin >= span.end:
        raise SettingsError(["--from is not before --to (expected: --from 7d --to now)"])
    return span
