"""`daswatch posture`: whether each database is audited, why not, and what to do."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.activity_streams.lifecycle import DatabaseName, WantedMode
from daswatch.commands.console import Output, errors_as_exit_codes, write_json
from daswatch.commands.fleet_run import Accounts, DryRun, Regions, print_unseen, read_trend, run_audit
from daswatch.commands.stream import read_names
from daswatch.errors import SettingsError
from daswatch.fleet.audit import Audit
from daswatch.fleet.database import Document
from daswatch.fleet.posture import Coverage, Verdict, coverage_by
from daswatch.fleet.remedy import Remedy, RemedyForm, remedy_of
from daswatch.fleet.report import by_urgency, csv_of, html_of

app = typer.Typer(add_completion=False)

_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[a-z0-9-]+", re.ASCII)


class ReportOutput(StrEnum):
    """Output format: for a terminal, for programs, for a spreadsheet, or a page to keep."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


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
_GROUPS = {"account": "awsAccountId", "region": "awsRegion", "engine": "engine"}


@app.command()
def run(
    account: Accounts = None,
    region: Regions = None,
    by_tag: Annotated[
        list[str] | None,
        typer.Option("--by-tag", help="Show the coverage for each value of this tag; may be repeated."),
    ] = None,
    remedy: Annotated[
        list[str] | None,
        typer.Option("--remedy", help="Show what to do about this database, by name or ARN; may be repeated."),
    ] = None,
    form: Annotated[
        RemedyForm | None, typer.Option("--format", help="Show the remedy in this form only.", show_default=False)
    ] = None,
    kms_key: Annotated[
        str, typer.Option("--kms-key", help="ARN of the KMS key for a new stream (default: a key is created).")
    ] = "",
    mode: Annotated[WantedMode, typer.Option(help="Mode of a new stream.")] = WantedMode.AUTO,
    dry_run: DryRun = False,
    output: Annotated[ReportOutput, typer.Option("--output", help="Output format.")] = ReportOutput.TABLE,
) -> None:
    """Judge every database: audited, or why not. Accounts and regions are those of FLEET_ACCOUNTS and FLEET_REGIONS.

    With --remedy, nothing is written. Exit code 1 if a database that could be audited is not, or something could not be
    looked at.
    """
    is_json = output is ReportOutput.JSON
    with errors_as_exit_codes(Output.JSON if is_json else Output.TABLE):
        if remedy:
            _show_remedies(read_names(remedy), account, region, form, _key_arn(kms_key), mode, as_json=is_json)
            return
        audit = run_audit(account, region, dry_run=dry_run)
        groups = {**_GROUPS, **{f"tag {name}": f"tags.{name}" for name in by_tag or ()}}
        by_group = {name: coverage_by(audit.present, field) for name, field in groups.items()}
        match output:
            case ReportOutput.JSON:
                write_json(_json(audit, by_group))
            case ReportOutput.CSV:
                sys.stdout.write(csv_of(audit))
            case ReportOutput.HTML:
                sys.stdout.write(html_of(audit, by_group, read_trend(account, region)))
            case ReportOutput.TABLE:
                console = Console(emoji=False)
                console.print(verdict_table(audit.present, audit.coverage))
                console.print(_coverage_table(by_group))
        if output is not ReportOutput.JSON:
            print_unseen(audit)
        if audit.unseen or audit.coverage.covered < audit.coverage.expected:
            raise typer.Exit(1)


def _key_arn(text: str) -> str:
    if text and not _KEY_ARN.fullmatch(text):
        raise SettingsError(["--kms-key is not the ARN of a key (expected: arn:aws:kms:eu-west-1:123456789012:key/…)"])
    return text


def _show_remedies(
    names: Sequence[DatabaseName],
    accounts: Sequence[str] | None,
    regions: Sequence[str] | None,
    form: RemedyForm | None,
    key: str,
    mode: WantedMode,
    *,
    as_json: bool,
) -> None:
    """Look at the places of these databases, or at all where a name has none, and show what to do about each."""
    if all(name.account_id for name in names):
        accounts = accounts or sorted({name.account_id for name in names})
        regions = regions or sorted({name.region for name in names})
    audit = run_audit(accounts, regions, dry_run=True)
    found = {name: [one for one in audit.present if _is_named(one, name)] for name in names}
    remedies = [(one, remedy_of(one, mode, key)) for documents in found.values() for one in documents]
    if as_json:
        write_json([_remedy_json(one, remedy, form) for one, remedy in remedies])
    else:
        console = Console(emoji=False, soft_wrap=True, highlight=False)
        for one, remedy in remedies:
            _print_remedy(console, one, remedy, form)
        print_unseen(audit)
    if missing := [str(name) for name, documents in found.items() if not documents]:
        raise SettingsError([f"there is no {name} in the accounts and regions that were looked at" for name in missing])


def _is_named(document: Document, name: DatabaseName) -> bool:
    return (
        (document["databaseKind"], document["databaseIdentifier"]) == (name.kind, name.identifier)
        and name.region in ("", document["awsRegion"])
        and name.account_id in ("", document["awsAccountId"])
    )


def _forms(remedy: Remedy, form: RemedyForm | None) -> dict[RemedyForm, str]:
    return {one: text for one, text in remedy.forms.items() if form in (None, one)}


def _remedy_json(document: Document, remedy: Remedy, form: RemedyForm | None) -> dict[str, object]:
    return {
        "databaseArn": document["databaseArn"],
        "verdict": document["verdict"],
        "verdictReason": document["verdictReason"],
        "advice": remedy.advice,
        "forms": {str(one): text for one, text in _forms(remedy, form).items()},
    }


def _print_remedy(console: Console, document: Document, remedy: Remedy, form: RemedyForm | None) -> None:
    """Print the remedy. In one form only its text is on stdout, to be run or kept in a file."""
    forms = _forms(remedy, form)
    notes = Console(stderr=True, soft_wrap=True, emoji=False, highlight=False) if form else console
    verdict = Verdict(document["verdict"])
    name = f"{document['databaseKind']}:{document['databaseIdentifier']}"
    notes.print(
        f"[bold]{escape(name)}[/] ({document['awsAccountId']}/{document['awsRegion']}): "
        f"[{COLORS.get(verdict, _FAILING)}]{verdict}[/]: {escape(document['verdictReason'])}"
    )
    notes.print(escape(remedy.advice))
    if form and not forms:
        notes.print(f"[yellow]There is no remedy in the form {form}.[/]")
    for one, text in forms.items():
        if not form:
            console.print(f"\n[bold]{one}[/]")
        console.print(text.rstrip("\n"), markup=False)


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
    for one in by_urgency(documents):
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
