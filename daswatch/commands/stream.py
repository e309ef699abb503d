"""`daswatch stream`: list, start and stop the activity streams of this account and region.

The decisions are those of the setup function. `stop` asks for confirmation: from then on the database is not audited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from daswatch.activity_streams.lifecycle import (
    DatabaseName,
    Eligibility,
    NextStep,
    RdsDatabase,
    Status,
    WantedMode,
    WantedStream,
    effects_of_start,
    read_name,
)
from daswatch.aws.clients import kms_client, rds_client
from daswatch.aws.rds import ActivityStreams, Switch, reached, settle
from daswatch.aws.stream_keys import create_key, find_key
from daswatch.commands.console import Output, confirm, errors_as_exit_codes, write_json
from daswatch.deadline import Deadline
from daswatch.errors import SettingsError, StreamRefused
from daswatch.fleet.database import FleetDatabase, document_of
from daswatch.fleet.remedy import StartPlan, new_key, start_plan

app = typer.Typer(help="Activity streams: list, start and stop them.", no_args_is_help=True)

_KMS_SECONDS = 60.0
_NEW_KEY_PATIENCE = 5  # refusals of a key that KMS has just created

_STATUS_COLORS = {
    Status.STARTED: "green",
    Status.STARTING: "yellow",
    Status.STOPPING: "yellow",
    Status.STOPPED: "red",
}
_STEP_COLORS = {
    NextStep.START: "green",
    NextStep.STOP: "bold red",
    NextStep.WAIT: "yellow",
    NextStep.DONE: "green",
    NextStep.REFUSE: "red",
}

Databases = Annotated[
    list[str], typer.Argument(help="cluster:orders, db:ledger, or the ARN of one.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the changes without making them.")]
Minutes = Annotated[
    float, typer.Option("--wait", min=0, metavar="MINUTES", help="How long to wait for RDS; 0 does not wait.")
]
Format = Annotated[Output, typer.Option("--output", help="Output format.")]


@app.command()
def start(
    databases: Databases,
    kms_key: Annotated[
        str,
        typer.Option(
            "--kms-key",
            help="KMS key of the stream: id, ARN or alias (default: a key for each database, created if needed).",
            show_default=False,
        ),
    ] = "",
    mode: Annotated[
        WantedMode, typer.Option(help="In sync, sessions wait for the stream. auto: async if the engine has it.")
    ] = WantedMode.ASYNC,
    native_fields: Annotated[
        bool, typer.Option("--native-fields", help="Include native audit fields, if the engine has them.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    wait: Minutes = 30,
    output: Format = Output.TABLE,
) -> None:
    """Show the plan, start activity streams after confirmation, and wait. A start restarts the database.

    The plan is that of `daswatch posture --remedy`: without a key, one is created for each database. An existing stream
    is not changed, and reported. Exit code 1 if a stream cannot start, has not started in time, or the start is not
    confirmed.
    """
    with errors_as_exit_codes(output):
        names = read_names(databases)
        gateway = ActivityStreams(reached(rds_client()), kms_client)
        wanted = WantedStream(kms_key.strip(), mode, native_fields)
        patience = 0 if wanted.kms_key_id else _NEW_KEY_PATIENCE
        switches = [Switch(gateway, name, wanted, patience) for name in names]
        _look(switches)
        starting = _starting(switches)
        plans = {switch.name: _plan(switch) for switch in switches if switch.name in starting}
        if not dry_run:
            if plans:
                _print_plans(Console(stderr=True, soft_wrap=True, emoji=False, highlight=False), switches, plans)
                confirm(f"Start {_together(plans)} now?", "nothing was started", yes=yes)
                _create_keys(switches, plans)
            if not all(switch.settled for switch in switches):
                _settle(switches, wait)
        notes = {switch.name: _differences(gateway, switch) for switch in switches}
        title = "Would be started" if dry_run else "Activity streams"
        _show(switches, notes, output, title, dry_run=dry_run, effects=starting, plans=plans)
        if dry_run and plans and output is Output.TABLE:
            _print_plans(Console(soft_wrap=True, emoji=False, highlight=False), switches, plans)
        _end(switches, asked_only=dry_run or wait == 0)


@app.command()
def stop(
    databases: Databases,
    yes: Yes = False,
    dry_run: DryRun = False,
    wait: Minutes = 30,
    output: Format = Output.TABLE,
) -> None:
    """Stop activity streams, after confirmation. From then on the databases are not audited.

    Exit code 1 if a stream cannot be stopped, has not stopped in time, or the stop is not confirmed.
    """
    with errors_as_exit_codes(output):
        gateway = ActivityStreams(reached(rds_client()), kms_client)
        switches = [Switch(gateway, name, None) for name in read_names(databases)]
        _look(switches)
        running = [str(switch.name) for switch in switches if not switch.settled]
        if not dry_run and running:
            question = f"Stop the audit of {', '.join(running)}? Nothing is recorded from then on"
            confirm(question, "nothing was stopped", yes=yes)
            _settle(switches, wait)
        _show(switches, {}, output, "Would be stopped" if dry_run else "Activity streams", dry_run=dry_run)
        _end(switches, asked_only=dry_run or wait == 0)


@app.command()
def status(
    databases: Annotated[
        list[str] | None, typer.Argument(help="Databases (default: all of the region).", show_default=False)
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """List databases with their activity streams, or the reason why they cannot have one. Changes nothing.

    Exit code 1 if a named database does not exist.
    """
    with errors_as_exit_codes(output):
        names = read_names(databases or [])
        gateway = ActivityStreams(reached(rds_client()), kms_client)
        found = [gateway.find(name) for name in names] if names else [one.rds for one in gateway.find_all()]
        rows = [(database, gateway.eligibility(database)) for database in found]
        if output is Output.JSON:
            write_json([_row(database, eligible) for database, eligible in rows])
        else:
            Console(emoji=False).print(_table(rows))


def _starting(switches: Iterable[Switch]) -> dict[DatabaseName, tuple[str, ...]]:
    """The databases whose stream starts now, with what that does to each."""
    return {
        switch.name: effects_of_start(switch.name.kind, switch.database.engine, switch.decision.mode)
        for switch in switches
        if switch.database is not None and switch.decision.step is NextStep.START
    }


def _together(names: Iterable[DatabaseName]) -> str:
    return ", ".join(str(name) for name in names)


def _plan(switch: Switch) -> StartPlan:
    """The plan of a stream that starts now; a key that has the alias of the database's key is used."""
    database, wanted, mode = switch.database, switch.wanted, switch.decision.mode
    if database is None or wanted is None or mode is None:
        raise ValueError(switch.name)
    document = document_of(FleetDatabase(database))
    if not wanted.kms_key_id:
        found = find_key(kms_client(), new_key(document).alias, Deadline.after(_KMS_SECONDS))
        switch.wanted = wanted = replace(wanted, kms_key_id=found)
    native_fields = wanted.native_fields and database.has_native_fields
    return start_plan(document, mode, wanted.kms_key_id, native_fields=native_fields)


def _print_plans(console: Console, switches: Iterable[Switch], plans: Mapping[DatabaseName, StartPlan]) -> None:
    """Print what exists already, and the commands for the rest."""
    for switch in switches:
        plan = plans.get(switch.name)
        if plan is None:
            console.print(f"[bold]{switch.name}[/]: {escape(switch.decision.reason)}")
            continue
        key = "a new key is created" if plan.key else f"the key {switch.wanted.kms_key_id if switch.wanted else ''}"
        exists = "" if plan.key else " exists already and is used"
        console.print(f"[bold]{switch.name}[/]: {escape(key)}{exists}")
        console.print(plan.commands.rstrip("\n"), markup=False)


def _create_keys(switches: Iterable[Switch], plans: Mapping[DatabaseName, StartPlan]) -> None:
    """Create the keys of the plans, one after the other. Raises StreamRefused, RdsUnavailable."""
    for switch in switches:
        plan = plans.get(switch.name)
        if plan and plan.key and switch.wanted:
            arn = create_key(kms_client(), plan.key, Deadline.after(_KMS_SECONDS))
            switch.wanted = replace(switch.wanted, kms_key_id=arn)


def read_names(databases: Iterable[str]) -> list[DatabaseName]:
    """Return each once. Raises SettingsError that lists all invalid names."""
    names, problems = [], []
    for text in databases:
        try:
            names.append(read_name(text))
        except StreamRefused as exc:
            problems.append(str(exc))
    if problems:
        raise SettingsError(problems)
    return list(dict.fromkeys(names))


def _look(switches: Sequence[Switch]) -> None:
    for switch in switches:
        switch.look()


def _settle(switches: Sequence[Switch], minutes: float) -> None:
    """Ask RDS for all of them, then wait for all of them."""
    with _progress() as progress:
        tasks = {switch.name: progress.add_task(str(switch.name), what="") for switch in switches}
        settle(
            [switch for switch in switches if not switch.settled],
            Deadline.after(minutes * 60),
            progress=lambda one: progress.update(tasks[one.name], what=escape(one.decision.reason)),
        )


def _progress() -> Progress:
    """Show a transient line for each database on the error stream: stdout has only the result."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _differences(gateway: ActivityStreams, switch: Switch) -> str:
    """Return how an existing stream differs from the wanted one."""
    if not switch.done or switch.has_acted or switch.database is None or switch.wanted is None:
        return ""
    try:
        key = switch.wanted.kms_key_id or switch.database.stream.kms_key_id
        return "; ".join(gateway.differences(replace(switch.wanted, kms_key_id=key), switch.database).values())
    except StreamRefused as exc:
        return str(exc)


def _end(switches: Sequence[Switch], *, asked_only: bool) -> None:
    if any(switch.refused or not (switch.done or asked_only) for switch in switches):
        raise typer.Exit(1)


def _show(
    switches: Sequence[Switch],
    notes: Mapping[DatabaseName, str],
    output: Output,
    title: str,
    *,
    dry_run: bool,
    effects: Mapping[DatabaseName, Sequence[str]] | None = None,
    plans: Mapping[DatabaseName, StartPlan] | None = None,
) -> None:
    effects, plans = effects or {}, plans or {}
    if output is Output.JSON:
        rows = [
            {
                "database": str(switch.name),
                "step": switch.decision.step,
                "reason": switch.decision.reason,
                "differences": notes.get(switch.name, ""),
                "effects": list(effects.get(switch.name, ())),
                "plan": plans[switch.name].commands if switch.name in plans else "",
                "stream": _stream(switch.database) if switch.database else None,
            }
            for switch in switches
        ]
        write_json({"dryRun": dry_run, "databases": rows})
        return
    table = Table(title=title, title_justify="left")
    for column in ("database", "", "why", "Kinesis stream"):
        table.add_column(column, overflow="fold")
    for switch in switches:
        step, note = switch.decision.step, notes.get(switch.name, "")
        reason = switch.decision.reason.removeprefix(str(switch.name)).lstrip(" :")
        why = escape(reason) + (f"\n[yellow]left as it is: {escape(note)}[/]" if note else "")
        stream = switch.database.stream.kinesis_stream_name if switch.database else ""
        table.add_row(str(switch.name), f"[{_STEP_COLORS[step]}]{step}[/]", why, stream)
    Console(emoji=False).print(table)


def _stream(database: RdsDatabase) -> dict[str, Any]:
    stream = database.stream
    return {
        "status": stream.status,
        "mode": stream.mode,
        "kmsKeyId": stream.kms_key_id,
        "kinesisStreamArn": database.kinesis_stream_arn,
        "nativeFields": stream.native_fields,
        "resourceId": database.resource_id,
    }


def _row(database: RdsDatabase, eligible: Eligibility) -> dict[str, Any]:
    return {
        "database": str(database.name),
        "engine": database.engine,
        "engineVersion": database.engine_version,
        "databaseStatus": database.status,
        **_stream(database),
        "modes": None if eligible.modes is None else sorted(eligible.modes),
        "reason": eligible.reason,
    }


def _table(rows: Sequence[tuple[RdsDatabase, Eligibility]]) -> Table:
    started = sum(database.stream.status is Status.STARTED for database, _ in rows)
    table = Table(title=f"Activity streams: {started} of {len(rows)} databases", title_justify="left")
    for column in ("database", "engine", "stream", "mode", "key", "Kinesis stream", "can have one"):
        table.add_column(column, overflow="fold")
    for database, eligible in rows:
        stream = database.stream
        can = ", ".join(sorted(eligible.modes)) if eligible.modes else "RDS does not report it"
        table.add_row(
            str(database.name),
            f"{database.engine} {database.engine_version}",
            f"[{_STATUS_COLORS[stream.status]}]{stream.status}[/]",
            stream.mode,
            escape(stream.kms_key_id.rpartition("/")[2]),
            stream.kinesis_stream_name,
            f"[dim]{escape(eligible.reason)}[/]" if eligible.reason else can,
        )
    return table
