"""`daswatch`: the command line. Each command reads the same settings from the environment as the functions do.

Exit codes: 0 done, 1 the endpoint or AWS refused, 2 wrong usage or settings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from daswatch.documents import DEFAULT_INDEX_PREFIX
from daswatch.errors import DaswatchError, SettingsError
from daswatch.gateways.clients import search_client
from daswatch.gateways.content import ContentGateway
from daswatch.settings import Environment, SearchEndpoint
from daswatch.templates import PlannedStep, Step, shipped_content

app = typer.Typer(
    help="Watch AWS databases: install, inspect and operate Daswatch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Output(StrEnum):
    """Who reads what a command prints."""

    TABLE = "table"
    JSON = "json"


_COLOURS = {Step.CREATE: "green", Step.UPDATE: "yellow", Step.UNCHANGED: "dim"}


@app.callback()
def _commands() -> None:
    """Keeps `setup` a command of its own while it is the only one."""


@app.command()
def setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, change nothing.")] = False,
    output: Annotated[Output, typer.Option(help="For people or for machines.")] = Output.TABLE,
) -> None:
    """Install the index templates and the retention policy at OPENSEARCH_ENDPOINT. A second run changes nothing."""
    with _told():
        environment = Environment(os.environ)
        endpoint = SearchEndpoint.read(environment)
        prefix = environment.optional("INDEX_PREFIX", DEFAULT_INDEX_PREFIX)
        environment.check()
        gateway = ContentGateway(search_client(endpoint))
        steps = gateway.install_all(shipped_content(prefix), dry_run=dry_run)
        _show(steps, output, endpoint.url, dry_run=dry_run, retention=gateway.has_retention)


def _show(steps: list[PlannedStep], output: Output, url: str, *, dry_run: bool, retention: bool) -> None:
    if output is Output.JSON:
        rows = [{"step": s.step, "kind": s.content.kind, "name": s.content.name} for s in steps]
        answer = {"endpoint": url, "dryRun": dry_run, "retentionPolicies": retention, "steps": rows}
        sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    table = Table(title=f"{'Would be installed' if dry_run else 'Installed'} at {url}", title_justify="left")
    for column in ("", "kind", "name"):
        table.add_column(column)
    for step in steps:
        colour = _COLOURS[step.step]
        table.add_row(f"[{colour}]{step.step}[/]", step.content.kind, step.content.name)
    console = Console()
    console.print(table)
    if not retention:
        console.print(
            "[yellow]No retention policy:[/] this endpoint has no Index State Management. "
            "Indices stay until somebody deletes them; on OpenSearch Serverless set a data lifecycle policy."
        )


@contextmanager
def _told() -> Iterator[None]:
    """Turn our errors into one line and an exit code."""
    try:
        yield
    except SettingsError as exc:
        for problem in exc.problems:
            typer.secho(f"daswatch: {problem}", err=True, fg=typer.colors.RED)
        raise typer.Exit(2) from exc
    except DaswatchError as exc:
        typer.secho(f"daswatch: {exc}", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from exc


def main() -> None:
    """The console script."""
    app()
