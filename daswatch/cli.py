"""`daswatch`: the command line. Each command reads the same settings from the environment as the functions do.

Exit codes: 0 done, 1 the endpoint or AWS refused, 2 wrong usage or settings.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from daswatch.commands import detections
from daswatch.commands.console import Output, told, write_json
from daswatch.gateways.clients import search_client
from daswatch.gateways.content import ContentGateway
from daswatch.settings import Environment, SearchEndpoint, read_index_prefix
from daswatch.templates import PlannedStep, Step, shipped_content

app = typer.Typer(
    help="Watch AWS databases: install, inspect and operate Daswatch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(detections.app, name="detections")

_COLOURS = {Step.CREATE: "green", Step.UPDATE: "yellow", Step.UNCHANGED: "dim"}


@app.command()
def setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, change nothing.")] = False,
    output: Annotated[Output, typer.Option(help="For people or for machines.")] = Output.TABLE,
) -> None:
    """Install the index templates and the retention policy at OPENSEARCH_ENDPOINT. A second run changes nothing."""
    with told():
        environment = Environment(os.environ)
        endpoint = SearchEndpoint.read(environment)
        prefix = read_index_prefix(environment)
        environment.check()
        gateway = ContentGateway(search_client(endpoint))
        steps = gateway.install_all(shipped_content(prefix), dry_run=dry_run)
        _show(steps, output, endpoint.url, dry_run=dry_run, retention=gateway.has_retention)


def _show(steps: list[PlannedStep], output: Output, url: str, *, dry_run: bool, retention: bool) -> None:
    if output is Output.JSON:
        rows = [{"step": s.step, "kind": s.content.kind, "name": s.content.name} for s in steps]
        answer = {"endpoint": url, "dryRun": dry_run, "retentionPolicies": retention, "steps": rows}
        write_json(answer)
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


def main() -> None:
    """The console script."""
    app()
