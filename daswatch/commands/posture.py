"""`daswatch posture`: whether each database is audited, why not, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.commands.console import Output, errors_as_exit_codes, write_json
from daswatch.commands.fleet_run import Accounts, DryRun, Regions, print_unseen, run_audit
from daswatch.commands.stream import Format
from daswatch.fleet.audit import Audit
from daswatch.fleet.database import Document
from daswatch.fleet.posture import Coverage, Verdict, coverage_by

app = typer.Typer(add_completion=False)

COLORS = {
    Verdict.COVERED: "green",
    Verdict.STARTING: "cyan",
    Verdict.EXCEPTED: "dim",
    Verdict.NOT_ELIGIBLE: "dim",
    Verdict.LAGGING: "yellow",
    Verdict.POLICY_UNLOCKED: "yellow",
    Verdict.ASYNCHRONOUS: "yellow",
    Verdict.UNKNOWN: "magenta",
}
_FAILING = "bold red"
# What needs an action stands first.
_ORDER = (
    *(Verdict.KEY_UNUSABLE, Verdict.SILENT, Verdict.NOT_CONSUMED, Verdict.OFF, Verdict.UNKNOWN, Verdict.LAGGING),
    *(Verdict.POLICY_UNLOCKED, Verdict.ASYNCHRONOUS, Verdict.STARTING, Verdict.EXCEPTED, Verdict.NOT_ELIGIBLE),
    Verdict.COVERED,
)
_GROUPS = {"account": "awsAccountId", "region": "awsRegion", "engine": "engine"}


@app.command()
def run(
    account: Accounts = None,
    region: Regions = None,
    by_tag: Annotated[
        list[str] | None,
        typer.Option("--by-tag", help="Show the coverage for each value of this tag; may be repeated."),
    ] = None,
    dry_run: DryRun = False,
    output: Format = Output.TABLE,
) -> None:
    """Judge every database: audited, or why not. Accounts and regions are those of FLEET_ACCOUNTS and FLEET_REGIONS.

    Exit code 1 if a database that could be audited is not, or something could not be looked at.
    """
    with errors_as_exit_codes(output):
        audit = run_audit(account, region, dry_run=dry_run)
        groups = {**_GROUPS, **{f"tag {name}": f"tags.{name}" for name in by_tag or ()}}
        by_group = {name: coverage_by(audit.present, field) for name, field in groups.items()}
        if output is Output.JSON:
            write_json(_json(audit, by_group))
        else:
            console = Console(emoji=False)
            console.print(verdict_table(audit.present, audit.coverage))
            console.print(_coverage_table(by_group))
            print_unseen(audit)
        if audit.unseen or audit.coverage.covered < audit.coverage.expected:
            raise typer.Exit(1)


def _json(audit: Audit, by_group: Mapping[str, Mapping[str, Coverage]]) -> dict[str, object]:
    return {
        "at": audit.at,
        "coverage": _numbers(audit.coverage),
        "by": {name: {value: _numbers(one) for value, one in group.items()} for name, group in by_group.items()},
        "databases": audit.present,
        "notLookedAt": [
            {"awsAccountId": place.account_id, "awsRegion": place.region, "why": why}
            for place, why in audit.unseen.items()
        ],
    }


def _numbers(found: Coverage) -> dict[str, object]:
    return {
        "percent": round(found.percent, 1),
        "covered": found.covered,
        "expected": found.expected,
        "verdicts": dict(found.counts),
    }


def verdict_table(documents: Sequence[Document], found: Coverage) -> Table:
    """All databases with their verdicts, those first that need an action."""
    title = f"{found.percent:.0f} % covered: {found.covered} of {found.expected} databases that can be audited"
    table = Table(title=title, title_justify="left")
    for column in ("database", "account", "region", "engine", "verdict", "why"):
        table.add_column(column, overflow="fold")
    for one in sorted(documents, key=lambda one: _ORDER.index(Verdict(one["verdict"]))):
        verdict = Verdict(one["verdict"])
        color = COLORS.get(verdict, _FAILING)
        table.add_row(
            escape(f"{one['databaseKind']}:{one['databaseIdentifier']}"),
            one["awsAccountId"],
            one["awsRegion"],
            escape(one["engineName"]),
            f"[{color}]{verdict}[/]",
            escape(one["verdictReason"]),
        )
    return table


def _coverage_table(by_group: Mapping[str, Mapping[str, Coverage]]) -> Table:
    table = Table(title="Coverage", title_justify="left")
    for column in ("by", "value"):
        table.add_column(column)
    for column in ("covered", "expected", "%"):
        table.add_column(column, justify="right")
    for name, group in by_group.items():
        table.add_section()
        for value, one in group.items():
            color = "green" if one.covered == one.expected else "yellow" if one.covered else "red"
            table.add_row(
                name, escape(value or "(none)"), str(one.covered), str(one.expected), f"[{color}]{one.percent:.0f}[/]"
            )
    return table
