"""`daswatch setup`: plans the content of an endpoint, shows the plan, and executes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.aws.error_causes import no_answer
from daswatch.commands.console import Output, errors_as_exit_codes, progress, report, write_json
from daswatch.commands.detections import compiled
from daswatch.commands.error_messages import Exit, Failure
from daswatch.commands.sizing import propose
from daswatch.content.model import ContentKind, Operation, Plan, PlannedStep, PlanRow, WantedContent
from daswatch.content.plan import check_hourly
from daswatch.content.sizing import Volume
from daswatch.detections.detection import Detection, load_file
from daswatch.errors import DashboardsUnavailable, DaswatchError, SearchUnavailable, SettingsError
from daswatch.opensearch.client import search_client
from daswatch.opensearch.installation import Installation
from daswatch.opensearch.version_check import check_opensearch
from daswatch.settings import DashboardsEndpoint, Environment, SearchEndpoint, read_index_prefix

_COLORS = {Operation.CREATE.value: "green", Operation.UPDATE.value: "yellow", Operation.UNCHANGED.value: "dim"}
_LEFT_OUT_COLOR = "magenta"
# What cannot be installed where one of these could not be.
_NEEDS = {
    ContentKind.INDEX_TEMPLATE: frozenset({ContentKind.COMPONENT_TEMPLATE}),
    ContentKind.ROLE_MAPPING: frozenset({ContentKind.ROLE}),
    ContentKind.MONITOR: frozenset({ContentKind.CHANNEL}),
}
_NEXT = "what was installed stays: correct the cause and run it again, it installs what is missing"
_WORDS = {Operation.CREATE: "to create", Operation.UPDATE: "to update", Operation.UNCHANGED: "unchanged"}


app = typer.Typer(add_completion=False)


@app.command()
def setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes without making them.")] = False,
    output: Annotated[Output, typer.Option(help="Output format.")] = Output.TABLE,
    no_dashboards: Annotated[bool, typer.Option("--no-dashboards", help="Skip saved objects.")] = False,
    no_monitors: Annotated[bool, typer.Option("--no-monitors", help="Skip monitors and their channel.")] = False,
    backup_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for backups of replaced content, one subfolder for each run.")
    ] = Path("daswatch-backups"),
    shards: Annotated[str, typer.Option(help="Primary shards of a daily index (INDEX_SHARDS).")] = "",
    replicas: Annotated[
        str, typer.Option(help="Copies in addition to the primary: a number, auto or domain (INDEX_REPLICAS).")
    ] = "",
    refresh_seconds: Annotated[str, typer.Option(help="Refresh interval in seconds (INDEX_REFRESH_SECONDS).")] = "",
    codec: Annotated[str, typer.Option(help="Codec of event indices (INDEX_CODEC).")] = "",
    write_copies: Annotated[
        str, typer.Option(help="Copies that acknowledge a write: a number, or all (INDEX_WRITE_COPIES).")
    ] = "",
    tuning: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="YAML file with overrides and suppressions."),
    ] = None,
    detections: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Output of `daswatch detections compile` (default: DETECTIONS)."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=1, max=10**13, metavar="EVENTS_PER_DAY", help="Propose settings for a volume without installing."
        ),
    ] = None,
    retention_days: Annotated[int, typer.Option(min=1, max=36_500, help="With --size: retention of events.")] = 400,
    copies: Annotated[
        int, typer.Option(min=1, max=10, help="With --size: copies of each shard, primary included.")
    ] = 2,
) -> None:
    """Install all content at OPENSEARCH_ENDPOINT and DASHBOARDS_URL. A second run changes nothing.

    Templates and retention, roles, monitors and their channel, saved objects: each if the endpoint has the feature.
    """
    with errors_as_exit_codes(output):
        if size is not None:
            propose(Volume(size, retention_days, copies), datetime.now(UTC).date(), output)
            return
        options = {
            "INDEX_SHARDS": shards,
            "INDEX_REPLICAS": replicas,
            "INDEX_REFRESH_SECONDS": refresh_seconds,
            "INDEX_CODEC": codec,
            "INDEX_WRITE_COPIES": write_copies,
        }
        environment = Environment({**os.environ, **{name: value for name, value in options.items() if value}})
        endpoint = SearchEndpoint.read(environment)
        dashboards = DashboardsEndpoint.read(environment, endpoint)
        wanted = WantedContent.read(
            environment,
            index_prefix=read_index_prefix(environment),
            service=endpoint.service,
            detections=(),
            dashboards=not no_dashboards,
        )
        environment.check()
        wanted = replace(
            wanted,
            detections=_detections(tuning, detections or _path(environment.optional("DETECTIONS", ""))),
            monitors=wanted.monitors and not no_monitors,
        )
        check_opensearch(search_client(endpoint), endpoint.service)
        installation = Installation.at(endpoint, None if no_dashboards else dashboards)
        plan = installation.plan(wanted)
        check_hourly(plan, datetime.now(UTC).date())
        if output is Output.TABLE:
            Console(emoji=False).print(_table(plan, endpoint.url, dry_run=dry_run))
        folder = backup_dir / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        written: list[str] = []
        done = Done()
        try:
            if not dry_run:
                _execute(installation, plan, _backup_to(folder, written), done)
                _check_ids(installation, wanted, done)
        finally:
            # Also where a step failed: what was replaced before it is in there.
            if written:
                typer.echo(f"What was replaced is in {folder} ({len(written)} files)", err=True)
        if output is Output.TABLE and plan.changes and not dry_run:
            Console(emoji=False).print(_summary(done))
        if output is Output.JSON:
            answer = {
                "endpoint": endpoint.url,
                "dryRun": dry_run,
                "changes": plan.changes,
                "steps": [asdict(row) for row in plan.rows],
                "backups": [str(folder / name) for name in written],
                "failed": [asdict(one) for one in done.failed],
                "notTried": [asdict(one) for one in done.not_tried],
            }
            write_json(answer)
        if done.failed:
            problems = tuple(f"{one.kind} {one.name}: {one.why}" for one in done.failed)
            report(Failure(problems, _NEXT))
            raise typer.Exit(Exit.FAILED)


@dataclass(frozen=True, slots=True)
class NotDone:
    """A part of the plan that was not carried out, and why."""

    kind: str
    name: str
    why: str


@dataclass(slots=True)
class Done:
    """The progress of a plan."""

    steps: list[PlannedStep] = field(default_factory=list)
    failed: list[NotDone] = field(default_factory=list)
    not_tried: list[NotDone] = field(default_factory=list)


def _detections(tuning: Path | None, file: Path | None) -> tuple[Detection, ...]:
    """Return the detections of a compiled file, or compile them. Raises SettingsError, RuleError."""
    if tuning is not None and file is not None:
        raise SettingsError(["--tuning and compiled detections exclude each other: a compiled file is tuned already"])
    if file is None:
        return compiled(tuning)
    return load_file(file, str(file))


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _execute(installation: Installation, plan: Plan, backup: Callable[[str, bytes], None], done: Done) -> None:
    """Execute the plan part by part: one that fails stops only those that depend on it, or on the same endpoint.

    Raises SettingsError where a backup cannot be written: nothing is replaced without.
    """
    silent: set[type[DaswatchError]] = set()  # who did not answer
    with progress() as bar:
        task = bar.add_task("install", total=len(plan.to_do))
        for part in _parts(plan.to_do):
            kind = part[0].content.kind
            name = part[0].content.name if len(part) == 1 else f"{len(part)} of them"
            gone = DashboardsUnavailable if kind is ContentKind.SAVED_OBJECT else SearchUnavailable
            needed = _NEEDS.get(kind, frozenset()) & {ContentKind(one.kind) for one in done.failed}
            if gone in silent or needed:
                why = f"needs {', '.join(sorted(needed))}, which failed" if needed else "the server does not answer"
                done.not_tried.append(NotDone(kind.value, name, why))
                continue
            try:
                installation.execute(replace(plan, steps=tuple(part)), backup, lambda step: bar.advance(task))
            except (SearchUnavailable, DashboardsUnavailable) as exc:
                found = no_answer(exc)
                silent |= {gone} if found else set()
                why = f"no answer ({found.words})" if found else str(exc.__cause__ or exc)
                done.failed.append(NotDone(kind.value, name, why))
            else:
                done.steps += part


def _check_ids(installation: Installation, wanted: WantedContent, done: Done) -> None:
    """Check that a collection accepts document ids: it is unusable otherwise."""
    try:
        installation.check_ids(wanted)
    except SearchUnavailable as exc:
        done.failed.append(NotDone("collection", "document ids", str(exc)))


def _parts(steps: Sequence[PlannedStep]) -> Iterator[list[PlannedStep]]:
    """Each step alone, but saved objects together: an import resolves their references."""
    for kind, group in groupby(steps, key=lambda step: step.content.kind):
        if kind is ContentKind.SAVED_OBJECT:
            yield list(group)
        else:
            yield from ([step] for step in group)


def _summary(done: Done) -> str:
    created, updated = (sum(one.step is step for one in done.steps) for step in (Operation.CREATE, Operation.UPDATE))
    text = f"[green]Done:[/] {created} created, {updated} updated"
    if done.failed:
        text += f", [red]{len(done.failed)} failed[/], {len(done.not_tried)} not tried"
    return text


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
        color = _COLORS.get(row.step, _LEFT_OUT_COLOR)
        table.add_row(f"[{color}]{row.step}[/]", row.kind, escape(row.name), escape(row.why))
    return table


def _briefly(rows: Sequence[PlanRow]) -> Iterator[PlanRow]:
    """Return the rows of the table: unchanged ones without a reason as one line for each kind."""
    for (step, kind, why), group in groupby(rows, key=lambda row: (row.step, row.kind, row.why)):
        together = list(group)
        if step == Operation.UNCHANGED.value and not why and len(together) > 1:
            yield PlanRow(step, kind, f"{len(together)} in all", why)
        else:
            yield from together
