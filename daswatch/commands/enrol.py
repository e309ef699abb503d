"""`daswatch enrol`: has the enrolment function of a stack take the next steps now, or shows what they would be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.aws.clients import cloudformation_client, waiting_lambda_client
from daswatch.aws.deployment_lookup import Deployment
from daswatch.aws.functions import invoke
from daswatch.commands.console import Output, errors_as_exit_codes, progress, write_json
from daswatch.commands.error_messages import Exit, ExplainedError
from daswatch.deadline import Deadline
from daswatch.doctor.deployment import LookupFailed
from daswatch.enrolment.plan import State

app = typer.Typer(add_completion=False)

_SECONDS = 300.0  # the function's time limit
_OUTPUT = "EnrolFunctionName"
_COLORS = {
    State.WATCHED: "green",
    State.IN_PROGRESS: "yellow",
    State.FAILED: "bold red",
    State.GONE: "dim",
    State.NOT_SELECTED: "dim",
    State.NOT_ELIGIBLE: "dim",
    State.EXCEPTED: "cyan",
}
_ORDER = (State.FAILED, State.IN_PROGRESS, State.GONE, State.WATCHED, State.EXCEPTED, State.NOT_ELIGIBLE)


@app.command()
def run(
    stack: Annotated[str, typer.Option("--stack", help="The stack's name.")] = "daswatch",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the next steps; take none.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show the databases that are not selected, too.")] = False,
    output: Annotated[Output, typer.Option(help="Output format.")] = Output.TABLE,
) -> None:
    """Enrol the selected databases of the stack's account and region: start their streams, have them read and kept.

    The stack's function does it, as it does every five minutes. Exit code 1 if a database needs a person.
    """
    with errors_as_exit_codes(output):
        function = _function(stack)
        with progress() as bar:
            bar.add_task(f"{function}: {'planning' if dry_run else 'enrolling'}", total=None)
            answer = invoke(waiting_lambda_client, function, {"dryRun": dry_run}, Deadline.after(_SECONDS))
        if output is Output.JSON:
            write_json(answer)
        else:
            _show(answer, show_all=show_all)
        if answer["causes"] or any(_needs_a_person(one) for one in answer["databases"]):
            raise typer.Exit(Exit.FAILED)


def _function(stack: str) -> str:
    """The name of the stack's function. Raises SettingsError, ExplainedError."""
    region = cloudformation_client().meta.region_name
    found = Deployment().stack(stack)
    if isinstance(found, LookupFailed):
        where = f"name the stack with --stack; this looks in {region}"
        raise ExplainedError(f"the stack {stack} cannot be described: {found.why}", found.next_step or where)
    if not found.outputs.get(_OUTPUT):
        raise ExplainedError(
            f"the stack {stack} has no output {_OUTPUT}", "deploy this release (docs/deploy.md, Upgrade)"
        )
    return found.outputs[_OUTPUT]


def _needs_a_person(one: Mapping[str, Any]) -> bool:
    failed = any(step["outcome"] not in ("done", "planned", "left for the next run") for step in one["steps"])
    return failed or one["state"] == State.FAILED


def _show(answer: Mapping[str, Any], *, show_all: bool) -> None:
    databases = answer["databases"]
    counts = Counter(State(one["state"]) for one in databases)
    title = ", ".join(f"[{_COLORS[state]}]{count} {state}[/]" for state, count in counts.items())
    table = Table(title=title or "no databases", title_justify="left")
    for column in ("database", "state", "reason and steps"):
        table.add_column(column, overflow="fold")
    shown = [one for one in databases if show_all or one["state"] != State.NOT_SELECTED or one["steps"]]
    for one in sorted(shown, key=lambda one: _order(State(one["state"]))):
        steps = "".join(f"\n[bold]→[/] {escape(step['call'])}: {escape(step['outcome'])}" for step in one["steps"])
        state = State(one["state"])
        table.add_row(escape(one["name"]), f"[{_COLORS[state]}]{state}[/]", escape(one["reason"]) + steps)
    console = Console(emoji=False)
    console.print(table)
    for cause in answer["causes"]:
        console.print(f"[yellow]not asked or not written:[/] {escape(cause)}")
    if answer["left"]:
        console.print(f"{answer['left']} steps are left for the next run, in five minutes")
    hidden = len(databases) - len(shown)
    if hidden:
        console.print(f"[dim]{hidden} databases are not selected: --all shows them[/]")


def _order(state: State) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)
