"""`daswatch setup --size`: proposed settings for a number of events a day, and the resources they need."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from daswatch.commands.console import Output, write_json
from daswatch.content.sizing import GIB, SHARDS_PER_HEAP_GIB, Sizing, Volume, sizing
from daswatch.hourly_indices import NOTICE, OPEN


def propose(volume: Volume, today: date, output: Output) -> None:
    """Print the proposal; nothing is installed."""
    needed = sizing(volume)
    settings = _settings(needed, volume, today)
    if output is Output.JSON:
        write_json({"volume": asdict(volume), "settings": settings, "needed": asdict(needed)})
        return
    title = f"{volume.events_per_day:,} events a day, kept for {volume.retention_days} days in {volume.copies} copies"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column()
    for name, value in settings.items():
        table.add_row(f"[bold]{name}[/]", f"[green]{value}[/]" if value else "[dim]not set[/]")
    table.add_section()
    for name, value in _needs(needed).items():
        table.add_row(name, value)
    console = Console(emoji=False)
    console.print(table)
    console.print(
        "Set these where the stack or the module is deployed (docs/sizing.md); "
        "what an event takes is measured with our own traffic: compare it with an old index of yours."
    )


def _settings(needed: Sizing, volume: Volume, today: date) -> dict[str, str]:
    """Return the settings by environment variable; the template's parameters have similar names."""
    return {
        "INDEX_SHARDS": str(needed.primary_shards),
        "INDEX_REPLICAS": str(volume.copies - 1),
        "INDEX_HOURLY": f"{(today + NOTICE).isoformat()}/{OPEN}" if needed.hourly else "",
    }


def _needs(needed: Sizing) -> dict[str, str]:
    return {
        "indices a day": str(needed.indices_per_day),
        "largest shard": f"{decimal(needed.shard_bytes)}, {needed.shard_documents:,} documents",
        "a day in one copy": decimal(needed.bytes_per_day),
        "storage of the data nodes": decimal(needed.storage_bytes),
        "shards in all": f"{needed.shards:,}",
        "heap of the data nodes": f"{needed.heap_bytes / GIB:,.0f} GiB, at {SHARDS_PER_HEAP_GIB} shards for each GiB",
    }
