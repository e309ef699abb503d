"""Spans of time as commands are given them: `--from 7d --to now`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from daswatch.errors import SettingsError
from daswatch.queries.backtests import Period

Begin = Annotated[str, typer.Option("--from", help="Start: ISO 8601, or relative such as 7d, 12h, 30m.")]
End = Annotated[str, typer.Option("--to", help="End: ISO 8601, relative, or now.")]

_AGO = re.compile(r"(\d{1,4})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def read_span(begin: str, end: str, now: datetime) -> Period:
    """The span between two options. Raises SettingsError."""
    span = Period(_moment("--from", begin, now), _moment("--to", end, now))
    if span.begin >= span.end:
        raise SettingsError(["--from is not before --to (expected: --from 7d --to now)"])
    return span


def _moment(option: str, text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise SettingsError(
            [f"{option} is not a time (expected: 2031-03-04T12:00Z, 2031-03-04, 7d, 12h or 30m)"]
        ) from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
