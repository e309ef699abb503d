"""What `daswatch replay` prints of a run."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daswatch.alerts.alert import group_text
from daswatch.commands.replay_detections import Looked
from daswatch.evidence.readings import STOPPED, Purpose
from daswatch.evidence.replay import as_rows
from daswatch.evidence.run import RunReport
from daswatch.fleet.names import IDENTIFIER, Names
from daswatch.times import iso_milliseconds

_MOST_ROWS = 40  # for people
_MOST_REASONS = 20


def as_json(report: RunReport, purpose: Purpose) -> dict[str, Any]:
    """The whole report."""
    return {
        "id": report.id,
        "began": iso_milliseconds(report.began),
        **purpose.fields,
        "state": report.state,
        "cause": report.cause,
        "resumed": report.resumes,
        "objects": {
            "read": report.objects,
            "whole": report.objects_whole,
            "damaged": report.damaged_count,
            "gone": report.objects_gone,
            "doneBefore": report.objects_done_before,
            "other": report.objects_other,
            "bytes": report.bytes,
        },
        "totals": report.totals.as_json(),
        "hours": as_rows(report.places),
        "refused": [
            {"reason": reason, "detail": detail, "count": count}
            for (reason, detail), count in report.reasons.most_common()
        ],
        "damaged": [{"key": key, "damage": damage} for key, damage in report.damaged.items()],
        "incomplete": report.incomplete,
    }


def show(report: RunReport, purpose: Purpose, names: Names) -> None:
    """The summary for people."""
    console = Console(emoji=False, soft_wrap=True, highlight=False)
    totals = report.totals
    table = Table(title=f"{escape(purpose.source)} → {escape(purpose.target)}", title_justify="left")
    for column in ("database", "hour"):
        table.add_column(column, overflow="fold")
    for column in ("read", "opened", "events", "written", "already there", "refused"):
        table.add_column(column, justify="right")
    for (resource_id, hour), counts in sorted(report.places.items())[:_MOST_ROWS]:
        name = names.fields("", "", resource_id).get(IDENTIFIER, resource_id)
        refused = counts.unopened + counts.refused
        figures = (counts.read, counts.opened, counts.events, counts.written, counts.already_there)
        row = [f"{one:,}" if one else "" for one in figures]
        table.add_row(escape(str(name)), hour, *row, f"[red]{refused:,}[/]" if refused else "")
    if len(report.places) > _MOST_ROWS:
        table.add_row(f"[dim]{len(report.places) - _MOST_ROWS:,} more hours: --output json[/]")
    table.add_section()
    figures = (totals.read, totals.opened, totals.events, totals.written, totals.already_there)
    table.add_row(
        "all", f"{report.objects:,} objects", *(f"{one:,}" for one in figures), f"{totals.unopened + totals.refused:,}"
    )
    console.print(table)
    if totals.dropped:
        console.print(f"[dim]{totals.dropped:,} heartbeats and events of AWS's users left out, as at ingest[/]")
    reasons = Counter(report.reasons)
    for (reason, detail), count in reasons.most_common(_MOST_REASONS):
        console.print(f"[red]stays:[/] {count:,} x {escape(reason)}: {escape(detail)}")
    for key, damage in report.damaged.items():
        console.print(f"[red]damaged:[/] {escape(key)}: {escape(damage)}")
    if report.resumes:
        console.print(f"[dim]went on where the reading {report.resumes} ended[/]")
    if report.state == STOPPED:
        console.print(f"[yellow]not finished:[/] {escape(report.cause)}; the same command goes on here")


def show_looked(looked: Looked, names: Names) -> None:
    """What the detections find in the time whose events were missing."""
    console = Console(emoji=False, soft_wrap=True, highlight=False)
    hours = sum((one.end - one.begin).total_seconds() for one in looked.spans) / 3600
    if not looked.spans:
        console.print("[dim]detections: nothing was missing[/]")
        return
    raised = "nothing is raised" if looked.raised is None else f"{looked.raised} alerts raised, {looked.known} known"
    table = Table(title=f"detections over {hours:,.0f} replayed hours: {raised}", title_justify="left")
    for column in ("detection", "level", "database", "group", "first event", "events"):
        table.add_column(column, overflow="fold")
    for answer in looked.found:
        for episode in answer.episodes[:_MOST_ROWS]:
            name = names.fields("", "", episode.resource_id).get(IDENTIFIER, episode.resource_id)
            group = group_text(episode.group)
            row = (answer.detection.name, episode.level.value, str(name), group, episode.first_seen)
            table.add_row(*map(escape, row), f"{episode.count:,}")
    console.print(table)
    for name, cause in looked.failures.items():
        console.print(f"[red]not asked:[/] {escape(name)}: {escape(cause)}")
