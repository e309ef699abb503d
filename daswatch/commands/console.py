"""Shared by all commands: output formats, progress and errors."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from daswatch.commands.error_messages import ExplainedError, Failure, explain
from daswatch.errors import SettingsError
from daswatch.indices import Indices
from daswatch.settings import Environment, read_index_prefix

_AGO = re.compile(r"(\d{1,4})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


class Output(StrEnum):
    """Output format."""

    TABLE = "table"
    JSON = "json"


def write_json(content: Any) -> None:
    """Print JSON."""
    sys.stdout.write(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n")


def progress() -> Progress:
    """Show a transient progress bar on the error stream: stdout has only the result."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(
        *columns,
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("[dim]left"),
        console=Console(stderr=True),
        transient=True,
    )


def moment(option: str, text: str, now: datetime) -> datetime:
    """The time that an option names: ISO 8601, so long ago, or now. Raises SettingsError."""
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise SettingsError(
            [f"{option} is not a time (expected: 2031-03-04T12:00Z, 2031-03-04, 7d, 12h or 30m)"]
        ) from exc
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def own_indices() -> Indices:
    """Return the indices of INDEX_PREFIX, for commands without an endpoint. Raises SettingsError."""
    environment = Environment(os.environ)
    prefix = read_index_prefix(environment)
    environment.check()
    return Indices(prefix)


def write_file(path: Path, content: bytes) -> None:
    """Write a file and the folders above it. Raises SettingsError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as exc:
        raise SettingsError([f"{path} cannot be written ({type(exc).__name__}; expected: a path to write to)"]) from exc


def confirm(question: str, refusal: str, *, yes: bool) -> None:
    """Ask on the error stream, unless `yes`. Raises ExplainedError unless the answer is yes."""
    if yes:
        return
    try:
        answer = typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)
        raise ExplainedError(
            f"{refusal}: the question was not answered", "give --yes where there is no terminal"
        ) from None
    if not answer:
        raise ExplainedError(f"{refusal}: the answer was no", "answer y, or give --yes")


@contextmanager
def errors_as_exit_codes(output: Output = Output.TABLE, mark: str = "daswatch") -> Iterator[None]:
    """Turn an error into messages on the error stream, JSON on stdout if requested, and an exit code."""
    try:
        yield
    except Exception as exc:
        failure = explain(exc, os.environ)
        if failure is None:
            raise
        report(failure, output, mark)
        raise typer.Exit(failure.exit_code) from exc


def report(failure: Failure, output: Output = Output.TABLE, mark: str = "daswatch") -> None:
    """Print what is wrong and what to do next."""
    if output is Output.JSON:
        write_json(failure.as_json())
    for problem in failure.problems:
        typer.secho(f"{mark}: {problem}", err=True, fg=typer.colors.RED)
    if failure.next_step:
        typer.secho(f"next: {failure.next_step}", err=True)
