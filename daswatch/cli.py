"""`daswatch`: the command line. Each command reads the same settings from the environment as the functions do.

Exit codes: `daswatch.commands.error_messages.Exit`. A command's modules are imported when it is called: boto3,
opensearch-py and pySigma take most of a second, which no command waits for that does not use them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# By command: where it is, and its line in the list.
COMMANDS = {
    "setup": ("daswatch.commands.setup", "Install all content at OPENSEARCH_ENDPOINT and DASHBOARDS_URL."),
    "doctor": ("daswatch.commands.doctor", "Check a deployment, and name what to fix."),
    "dashboards": ("daswatch.commands.dashboards", "Saved objects: pack them for an import, export them as files."),
    "detections": ("daswatch.commands.detections", "The saved queries: list, show, test, backtest and compile them."),
    "actors": ("daswatch.commands.actors", "Kinds of clients: propose entries for your tuning file."),
    "enrol": (
        "daswatch.commands.enrol",
        "Have the selected databases watched: start their streams, read and keep them.",
    ),
    "gaps": ("daswatch.commands.gaps", "Whether anything is missing: which minutes, and what brings it back."),
    "inventory": ("daswatch.commands.inventory", "Every database of all accounts and regions, by name."),
    "posture": ("daswatch.commands.posture", "Whether each database is audited, why not, and what to do."),
    "replay": ("daswatch.commands.replay", "Open evidence and dead letters, and write what is missing."),
    "verify": ("daswatch.commands.verify", "Whether the archive is as its manifests say: nothing removed or changed."),
    "stream": ("daswatch.commands.stream", "Activity streams: which databases have one, start and stop them."),
}


class _Commands(Mapping[str, Any]):
    """The commands by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        module, line = COMMANDS[name]
        command = typer.main.get_command(import_module(module).app)
        command.name, command.short_help = name, line
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _LazyGroup(TyperGroup):
    """Lists commands without importing them, and imports the one that is called."""

    # Any: Typer brings its own click in some releases, and uses the installed one in others.
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in this order."""
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list needs of a command."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, self.commands.get(name, None), rest


app = typer.Typer(
    help="Watch AWS databases: install, inspect and operate Daswatch.",
    cls=_LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def daswatch() -> None:
    """Watch AWS databases: install, inspect and operate Daswatch."""


def main() -> None:
    """The console script."""
    # opensearch-py warns of every answer that is not a success; the commands report those that matter.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    app()
