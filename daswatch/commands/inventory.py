"""`daswatch inventory`: every database of all accounts and regions, by name."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.commands.console import Output, errors_as_exit_codes, write_json
from daswatch.commands.fleet_run import Accounts, DryRun, Regions, print_unseen, run_audit
from daswatch.commands.stream import Format
from daswatch.fleet.audit import Audit
from daswatch.fleet.database import Document

app = typer.Typer(add_completion=False)

_STREAM_COLORS = {"started": "green", "stopped": "red"}


@app.command()
def run(
    account: Accounts = None,
    region: Regions = None,
    dry_run: DryRun = False,
    output: Format = Output.TABLE,
) -> None:
    """List every database by name, and keep the list at OPENSEARCH_ENDPOINT, if that is set.

    Accounts and regions are those of FLEET_ACCOUNTS and FLEET_REGIONS. Exit code 1 if one could not be looked at.
    """
    with errors_as_exit_codes(output):
        audit = run_audit(account, region, dry_run=dry_run)
        if output is Output.JSON:
            write_json(_json(audit))
        else:
            Console(emoji=False).print(_table(audit.present))
            print_unseen(audit)
        if audit.unseen:
            raise typer.Exit(1)


def _json(audit: Audit) -> dict[str, object]:
    return {
        "at": audit.at,
        "databases": audit.present,
        "gone": [one for one in audit.documents.values() if "goneSince" in one],
        "notLookedAt": [
            {"awsAccountId": place.account_id, "awsRegion": place.region, "why": why}
            for place, why in audit.unseen.items()
        ],
    }


def _table(documents: Sequence[Document]) -> Table:
    table = Table(title=f"{len(documents)} databases", title_justify="left")
    for column in ("database", "account", "region", "engine", "instances", "stream", "last event", "resource id"):
        table.add_column(column, overflow="fold")
    for one in documents:
        status = one["streamStatus"]
        table.add_row(
            escape(f"{one['databaseKind']}:{one['databaseIdentifier']}"),
            one["awsAccountId"],
            one["awsRegion"],
            escape(f"{one['engineName']} {one.get('engineVersion', '')}".strip()),
            str(len(one.get("instances", ()))),
            f"[{_STREAM_COLORS.get(status, 'yellow')}]{status}[/]",
            one.get("lastEvent", "")[:16].replace("T", " "),
            one["resourceId"],
        )
    return table
