"""What people see of a build and of a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tools.artifacts.build import MAX_UNPACKED_BYTES
from tools.artifacts.manifest import Artifact, Manifest
from tools.artifacts.stack import Change

_NEWEST = 25  # events on a terminal: a table longer than the screen would not be redrawn


def listing(manifest: Manifest) -> Table:
    """The artifacts with their sizes, and what makes them large."""
    architectures = sorted({one.architecture for one in manifest.artifacts})
    table = Table(
        title=f"Artifacts for python{manifest.python_version}",
        caption=f"MB zipped / unpacked; at most {MAX_UNPACKED_BYTES / 1e6:.0f} MB unpacked",
    )
    table.add_column("function", style="bold", no_wrap=True)
    for architecture in architectures:
        table.add_column(architecture, justify="right", no_wrap=True)
    table.add_column("largest, unpacked", overflow="fold")
    for function in sorted({one.function for one in manifest.artifacts}):
        own = sorted((one for one in manifest.artifacts if one.function == function), key=lambda one: one.architecture)
        sizes = [f"{one.written.zipped / 1e6:.1f} / {one.written.unpacked / 1e6:.1f}" for one in own]
        table.add_row(function, *sizes, _largest(own[-1]))
    return table


def megabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e6:.1f} MB"


def _largest(artifact: Artifact) -> str:
    return "\n".join(f"{name} {megabytes(size)}" for name, size in artifact.written.largest)


def changes_table(changes: Sequence[Change]) -> Table:
    """What a change set would do."""
    table = Table(title="Changes")
    for column in ("action", "resource", "type", "replacement"):
        table.add_column(column, overflow="fold")
    colours = {"Add": "green", "Remove": "red"}
    for one in sorted(changes, key=lambda change: (change.action, change.resource)):
        action = Text(one.action, style=colours.get(one.action, "yellow"))
        table.add_row(action, one.resource, one.type, Text(one.replacement, style="red" * (one.replacement == "True")))
    return table


def outputs_table(outputs: Mapping[str, str]) -> Table:
    """What a stack gives."""
    table = Table(title="Outputs")
    table.add_column("output", style="bold", no_wrap=True)
    table.add_column("value", overflow="fold")
    for name, value in sorted(outputs.items()):
        table.add_row(name, Text(value))
    return table


class Events:
    """A stack's events as they come: a table that grows on a terminal, and is printed whole elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._events: list[Mapping[str, Any]] = []
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def hear(self, event: Mapping[str, Any]) -> None:
        """One more event."""
        self._events.append(event)
        self._live.update(events_table(self._events[-_NEWEST:]), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._console.print(events_table(self._events))


def events_table(events: Sequence[Mapping[str, Any]]) -> Table:
    """Events, oldest first."""
    table = Table(title="Events")
    table.add_column("time", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for column in ("resource", "type", "reason"):
        table.add_column(column, overflow="fold")
    for event in events:
        table.add_row(
            f"{event['Timestamp']:%H:%M:%S}",
            Text(event["ResourceStatus"], style=_colour(event["ResourceStatus"])),
            event["LogicalResourceId"],
            event["ResourceType"],
            Text(event.get("ResourceStatusReason", "")),
        )
    return table


def _colour(status: str) -> str:
    if "FAILED" in status or "ROLLBACK" in status:
        return "red"
    return "green" if status.endswith("_COMPLETE") else "yellow"
