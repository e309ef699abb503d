"""The figures of a run: collected by name, held against their targets, shown and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import orjson
from rich.console import Console
from rich.table import Table

Bound = Literal["at least", "at most"]

TARGETS: Mapping[str, tuple[Bound, float]] = {
    "ingest_vs_sample_ratio_20ev_unsigned": ("at least", 60),
    "ingest_vs_sample_ratio_1ev_unsigned": ("at least", 50),
    "ingest_fraction_of_limit_20ev_unsigned": ("at least", 0.85),
    "ingest_overhead_over_decrypt_1ev_signed": ("at most", 1.25),
    "heartbeat_invocation_over_decrypt": ("at most", 1.6),
    "cold_start_ratio": ("at most", 1.3),
    "peak_memory_mb": ("at most", 256),
    "index_bytes_per_event_ratio": ("at most", 0.45),
    "statement_hash_ms_per_100kb_worst": ("at most", 50),
    "ingest_growth_ratio": ("at most", 1.15),
    "firehose_vs_sample_ratio_20ev_unsigned": ("at least", 10),
    "firehose_vs_sample_ratio_20ev_signed": ("at least", 4),
    "firehose_peak_memory_mb": ("at most", 256),
    "replay_vs_ingest_ratio": ("at least", 0.9),
    "replay_peak_mb": ("at most", 512),
    "detection_cycle_vs_one_by_one_ratio": ("at most", 0.6),
    "detection_growth_ratio": ("at most", 1.3),
    "arrival_to_finding_p95_s": ("at most", 75),
    "arrival_to_critical_finding_p95_s": ("at most", 15),
    "prompt_flood_looks_per_minute": ("at most", 13),
    "catch_up_24h_cpu_s": ("at most", 10),
    "catch_up_7d_differing_alerts": ("at most", 0),
    "catch_up_7d_run_ratio": ("at most", 3),
    "late_event_run_ratio": ("at most", 3),
    "adhoc_substring_vs_sample_ratio": ("at least", 10),
    "adhoc_slowest_finding_vs_sample_ratio": ("at least", 0.9),  # none slower; as much is noise of 2 ms
}


@dataclass
class Figures:
    """Names in snake case with their unit, one flat object."""

    values: dict[str, float] = field(default_factory=dict)

    def add(self, **figures: float) -> None:
        """Take figures, rounded to what their noise allows."""
        for name, value in figures.items():
            self.values[name] = float(f"{value:.4g}")

    def write(self, path: Path) -> None:
        """Write all that were collected over those that an earlier run left there."""
        earlier = orjson.loads(path.read_bytes()) if path.exists() else {}
        path.write_bytes(orjson.dumps({**earlier, **self.values}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))

    def show(self, console: Console) -> bool:
        """Draw the table; whether every target that was measured is met."""
        table = Table(title="Figures of this run", title_justify="left")
        for column, justify in (("figure", "left"), ("value", "right"), ("target", "right"), ("", "left")):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        all_met = True
        for name, value in self.values.items():
            if name not in TARGETS:
                table.add_row(name, f"{value:,.4g}", "", "")
                continue
            bound, target = TARGETS[name]
            met = value >= target if bound == "at least" else value <= target
            all_met = all_met and met
            mark = "[green]✔[/]" if met else "[red]✘[/]"
            table.add_row(
                f"[bold]{name}[/]", f"{value:,.4g}", f"{'≥' if bound == 'at least' else '≤'} {target:g}", mark
            )
        console.print(table)
        return all_met
