"""`daswatch actors`: propose entries for the table of actors from the events at OPENSEARCH_ENDPOINT."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.commands.console import Output, errors_as_exit_codes, progress, write_json
from daswatch.opensearch.actor_usage import ActorUsage
from daswatch.opensearch.client import search_client
from daswatch.opensearch.version_check import check_opensearch
from daswatch.queries.actor_usage import Suggestion, as_yaml, statements_in_words, suggestions
from daswatch.queries.backtests import Period
from daswatch.settings import Environment, SearchEndpoint, read_index_prefix

app = typer.Typer(help="Actors: which kinds of clients are at the databases.", no_args_is_help=True)


class Form(StrEnum):
    """Output format; YAML is for a tuning file."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@app.callback()
def actors() -> None:
    """Actors: which kinds of clients are at the databases."""


@app.command()
def suggest(
    days: Annotated[int, typer.Option(help="Days that are looked at, until now.", min=1, max=400)] = 14,
    output: Annotated[Form, typer.Option("--output", help="Output format.")] = Form.TABLE,
) -> None:
    """Propose entries for clients whose statements detections look at, and that no entry has. Only searches."""
    with errors_as_exit_codes(Output.JSON if output is Form.JSON else Output.TABLE):
        environment = Environment(os.environ)
        endpoint, prefix = SearchEndpoint.read(environment), read_index_prefix(environment)
        environment.check()
        client = search_client(endpoint)
        check_opensearch(client, endpoint.service)
        now = datetime.now(UTC)
        span = Period(datetime.combine(now.date() - timedelta(days=days - 1), time(), UTC), now)
        with progress() as bar:
            task = bar.add_task("days", total=len(span.days()))
            usages = ActorUsage(client, prefix).read(span, lambda: bar.advance(task))
        found = suggestions(usages, days)
    if output is Form.JSON:
        write_json([_answer(one) for one in found])
    elif output is Form.YAML:
        sys.stdout.write(as_yaml(found))
    else:
        _show(found, len(usages), days)


def _answer(one: Suggestion) -> dict[str, Any]:
    usage = one.usage
    return {
        **asdict(usage.client),
        "events": usage.events,
        "days": usage.days,
        "activities": dict(usage.activities),
        "signals": dict(usage.signals),
        "kind": one.entry.kind,
        "entry": asdict(one.entry),
    }


def _show(found: Sequence[Suggestion], clients: int, days: int) -> None:
    console = Console(emoji=False)
    table = Table(title=f"{len(found)} of {clients} clients without an actor, {days} days", title_justify="left")
    for column in ("user", "application", "network"):
        table.add_column(column, overflow="fold")
    for column in ("events", "days"):
        table.add_column(column, justify="right")
    for column in ("statements", "kind"):
        table.add_column(column, overflow="fold")
    for one in found:
        client, usage = one.usage.client, one.usage
        texts = (client.user, client.application or "(none)", client.network or "(none)")
        table.add_row(
            *map(escape, texts), f"{usage.events:,}", str(usage.days), statements_in_words(usage), one.entry.kind.value
        )
    console.print(table)
    if found:
        console.print("[dim]--output yaml writes them for a tuning file: keep those whose owner you know.[/]")
