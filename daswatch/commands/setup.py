"""`daswatch setup`: shows the plan of what belongs at an endpoint, and executes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.commands.console import Output, progress, told, write_json
from daswatch.commands.detections import compiled
from daswatch.content import Plan, Row, Step, Wanted
from daswatch.detections import Detection, load_file
from daswatch.errors import SettingsError
from daswatch.gateways.clients import search_client
from daswatch.gateways.identity import check_opensearch
from daswatch.gateways.installation import Installation
from daswatch.settings import DashboardsEndpoint, Environment, SearchEndpoint, read_index_prefix

_COLOURS = {Step.CREATE.value: "green", Step.UPDATE.value: "yellow", Step.UNCHANGED.value: "dim"}
_LEFT_OUT_COLOUR = "magenta"
_WORDS = {Step.CREATE: "to create", Step.UPDATE: "to update", Step.UNCHANGED: "unchanged"}


app = typer.Typer(add_completion=False)


@app.command()
def setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, change nothing.")] = False,
    output: Annotated[Output, typer.Option(help="For people or for machines.")] = Output.TABLE,
    no_dashboards: Annotated[bool, typer.Option("--no-dashboards", help="Leave the saved objects out.")] = False,
    no_monitors: Annotated[bool, typer.Option("--no-monitors", help="Leave monitors and their channel out.")] = False,
    backup_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Where what is replaced goes, in a folder of each run.")
    ] = Path("daswatch-backups"),
    tuning: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A YAML file with a team's overrides and suppressions."),
    ] = None,
    detections: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="What `daswatch detections compile` wrote; else DETECTIONS."),
    ] = None,
) -> None:
    """Install all content at OPENSEARCH_ENDPOINT and DASHBOARDS_URL. A second run changes nothing.

    Templates and retention, roles, monitors and their channel, saved objects: each where the endpoint has the feature.
    """
    with told(output):
        environment = Environment(os.environ)
        endpoint = SearchEndpoint.read(environment)
        dashboards = DashboardsEndpoint.read(environment, endpoint)
        wanted = Wanted.read(
            environment,
            index_prefix=read_index_prefix(environment),
            service=endpoint.service,
            detections=(),
            dashboards=not no_dashboards,
        )
        environment.check()
        wanted = replace(
            wanted,
            detections=_detections(tuning, detections or _path(environment.optional("DETECTIONS"))),
            monitors=wanted.monitors and not no_monitors,
        )
        check_opensearch(search_client(endpoint), endpoint.service)
        installation = Installation.at(endpoint, None if no_dashboards else dashboards)
        plan = installation.plan(wanted)
        if output is Output.TABLE:
            Console(emoji=False).print(_table(plan, endpoint.url, dry_run=dry_run))
        folder = backup_dir / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        written: list[str] = []
        try:
            if not dry_run:
                _execute(installation, plan, _backup_to(folder, written))
        finally:
            # Also where a step failed: what was replaced before it is in there.
            if written:
                typer.echo(f"What was replaced is in {folder} ({len(written)} files)", err=True)
        if output is Output.TABLE and plan.changes and not dry_run:
            created, updated = plan.count(Step.CREATE), plan.count(Step.UPDATE)
            Console(emoji=False).print(f"[green]Done:[/] {created} created, {updated} updated")
        if output is Output.JSON:
            answer = {
                "endpoint": endpoint.url,
                "dryRun": dry_run,
                "changes": plan.changes,
                "steps": [asdict(row) for row in plan.rows],
                "backups": [str(folder / name) for name in written],
            }
            write_json(answer)


def _detections(tuning: Path | None, file: Path | None) -> tuple[Detection, ...]:
    """Read from a compiled file, or compiled now. Raises SettingsError, RuleError."""
    if tuning is not None and file is not None:
        raise SettingsError(["--tuning and compiled detections exclude each other: a compiled file is tuned already"])
    if file is None:
        return compiled(tuning)
    return load_file(file, str(file))


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _execute(installation: Installation, plan: Plan, backup: Callable[[str, bytes], None]) -> None:
    with progress() as bar:
        task = bar.add_task("install", total=len(plan.to_do))
        installation.execute(plan, backup, lambda step: bar.advance(task))


def _backup_to(folder: Path, written: list[str]) -> Callable[[str, bytes], None]:
    def write(name: str, content: bytes) -> None:
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as exc:
            raise SettingsError(
                [f"--backup-dir: {path} cannot be written ({type(exc).__name__}); nothing is replaced without it"]
            ) from exc
        written.append(name)

    return write


def _table(plan: Plan, url: str, *, dry_run: bool) -> Table:
    counts = ", ".join(f"{plan.count(step)} {words}" for step, words in _WORDS.items())
    title = f"{'Would be installed' if dry_run else 'Installing'} at {escape(url)}: {counts}"
    table = Table(title=title, title_justify="left")
    for column in ("", "kind", "name", "why"):
        table.add_column(column, overflow="fold")
    for row in _briefly(plan.rows):
        colour = _COLOURS.get(row.step, _LEFT_OUT_COLOUR)
        table.add_row(f"[{colour}]{row.step}[/]", row.kind, escape(row.name), escape(row.why))
    return table


def _briefly(rows: Sequence[Row]) -> Iterator[Row]:
    """For people: what is unchanged, and says nothing about it, in one line for each kind."""
    for (step, kind, why), group in groupby(rows, key=lambda row: (row.step, row.kind, row.why)):
        together = list(group)
        if step == Step.UNCHANGED.value and not why and len(together) > 1:
            yield Row(step, kind, f"{len(together)} in all", why)
        else:
            yield from together
