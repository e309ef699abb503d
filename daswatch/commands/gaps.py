"""`daswatch gaps`: is anything missing, of which database, in which minutes, and what brings it back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.commands.console import Output, errors_as_exit_codes, progress, write_json
from daswatch.commands.spans import Begin, End, read_span
from daswatch.commands.stream import Format
from daswatch.deadline import Deadline
from daswatch.errors import SettingsError
from daswatch.evidence.completeness import (
    EVIDENCE,
    Document,
    FleetInstances,
    ReportedHole,
    UnknownHours,
    Verdict,
    hours_between,
    reported,
    unknown_of,
)
from daswatch.indices import Indices
from daswatch.opensearch.client import search_client
from daswatch.opensearch.completeness_check import SETTLED, CompletenessCheck
from daswatch.opensearch.completeness_index import CompletenessIndex
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.request import command_deadline
from daswatch.opensearch.version_check import check_opensearch
from daswatch.queries.backtests import Period
from daswatch.settings import Environment, SearchEndpoint, read_event_tags, read_index_prefix
from daswatch.times import iso_milliseconds

app = typer.Typer(add_completion=False)

_SECONDS_OF_AN_HOUR = 300.0  # to check one


@app.command()
def run(
    begin: Begin = "7d",
    end: End = "now",
    database: Annotated[
        list[str] | None,
        typer.Option("--database", help="Identifier or resource id of a database; may be repeated."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check every hour again now, instead of reading what the function found.")
    ] = False,
    output: Format = Output.TABLE,
) -> None:
    """List what is missing: database, minutes, how that is known, and what brings it back.

    Exit code 1 if anything is missing.
    """
    with errors_as_exit_codes(output):
        environment = Environment(os.environ)
        endpoint, prefix = SearchEndpoint.read(environment), read_index_prefix(environment)
        tags = read_event_tags(environment)
        environment.check()
        now = datetime.now(UTC)
        span = read_span(begin, end, now)
        client, indices = search_client(endpoint), Indices(prefix)
        check_opensearch(client, endpoint.service)
        index = CompletenessIndex(client, indices, endpoint.service)
        inventory = list(DatabaseIndex(client, indices, endpoint.service).read(command_deadline()).values())
        resource_ids = _resource_ids(database or (), inventory)
        if check:
            _check(CompletenessCheck(index), FleetInstances.of(inventory, tags), span, now)
        documents = index.read(span.begin, span.end, command_deadline(), resource_ids)
        holes, unknown = reported(documents), unknown_of(documents)
        if output is Output.JSON:
            write_json(_json(span, documents, holes, unknown))
        else:
            _show(span, documents, holes, unknown)
        if holes:
            raise typer.Exit(1)


def _resource_ids(names: Sequence[str], inventory: Sequence[Document]) -> list[str]:
    found = []
    for name in names:
        ids = [one["resourceId"] for one in inventory if name in (one["databaseIdentifier"], one["resourceId"])]
        if not ids and not name.startswith(("cluster-", "db-")):
            raise SettingsError(
                [f"--database {name} is not in the inventory (expected: a name that it has, see `daswatch inventory`)"]
            )
        found += ids or [name]
    return found


def _check(check: CompletenessCheck, fleet: FleetInstances, span: Period, now: datetime) -> None:
    hours = hours_between(span.begin, min(span.end, now - SETTLED))
    with progress() as bar:
        for hour in bar.track(hours, description="hours"):
            check.check(hour, fleet, now, Deadline.after(_SECONDS_OF_AN_HOUR))


def _json(
    span: Period, documents: Sequence[Document], holes: Sequence[ReportedHole], unknown: Sequence[UnknownHours]
) -> dict[str, object]:
    return {
        "from": iso_milliseconds(span.begin),
        "to": iso_milliseconds(span.end),
        "verdicts": _verdicts(documents),
        "holes": [
            {
                "database": hole.database,
                "resourceId": hole.resource_id,
                "instance": hole.instance,
                "instanceId": hole.instance_id,
                "from": iso_milliseconds(hole.since),
                "to": iso_milliseconds(hole.until),
                "minutes": hole.minutes,
                "missing": hole.missing or None,
                "kind": hole.kind.value,
                "evidence": EVIDENCE[hole.kind],
                "remedy": hole.remedy,
            }
            for hole in holes
        ],
        "unknown": [
            {"database": one.database, "resourceId": one.resource_id, "instanceId": one.instance_id}
            | {"hours": one.hours, "reason": one.reason}
            for one in unknown
        ],
    }


def _verdicts(documents: Sequence[Document]) -> dict[str, int]:
    verdicts = [one["verdict"] for one in documents]
    return {verdict.value: verdicts.count(verdict.value) for verdict in Verdict}


def _show(
    span: Period, documents: Sequence[Document], holes: Sequence[ReportedHole], unknown: Sequence[UnknownHours]
) -> None:
    console = Console(emoji=False)
    if not documents:
        console.print(
            f"[yellow]No hour since {span.begin:%Y-%m-%d %H:%M} was checked.[/] "
            "The posture function checks an hour when it is over."
        )
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in _verdicts(documents).items())
    table = Table(title=f"{len(holes)} gaps; hours of instances: {counts}", title_justify="left")
    for column in ("database", "from", "to", "minutes", "missing", "how it is known", "remedy"):
        table.add_column(column, overflow="fold")
    for hole in holes:
        table.add_row(
            escape(hole.shown_name),
            f"{hole.since:%Y-%m-%d %H:%M}",
            f"{hole.until:%Y-%m-%d %H:%M}",
            str(hole.minutes),
            f"{hole.missing:,}" if hole.missing else "",
            EVIDENCE[hole.kind],
            escape(hole.remedy),
        )
    if documents:
        console.print(table)
    for one in unknown:
        console.print(f"[magenta]unknown:[/] {escape(one.shown_name)}, {one.hours} hours: {escape(one.reason)}")
