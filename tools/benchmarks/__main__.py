"""`make bench`: what things cost, side by side in one run, on a real OpenSearch. Writes latest.json next to it."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from opensearchpy import OpenSearch
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from demo.opensearch import node_or_external
from demo.parts import Parts
from tools.benchmarks import (
    arrival,
    catching_up,
    detections,
    enrolment,
    firehose,
    fleet,
    ingest,
    replay,
    searching,
    statements,
)
from tools.benchmarks.figures import Figures

Benchmark = Callable[[Callable[[str], None], OpenSearch, str, Figures], None]

LATEST = Path(__file__).parent / "latest.json"
BENCHMARKS: Mapping[str, Benchmark] = {
    "statements": statements.worst_texts,
    "throughput": ingest.throughput,
    "heartbeat": ingest.heartbeat,
    "processes": ingest.processes,
    "growth": ingest.growth,
    "firehose": firehose.firehose,
    "replay": replay.replay,
    "replay-memory": replay.replay_memory,
    "detections": detections.cycle,
    "arrival": arrival.arrival_to_finding,
    "prompt-flood": arrival.flood,
    "catching-up-a-day": catching_up.a_day,
    "catching-up-a-week": catching_up.a_week,
    "late-event": catching_up.late_event,
    "searching": searching.searching,
    "inventory": fleet.inventory,
    "enrolment": enrolment.enrolment,
}
_HEAP_MB = 4096  # so that the node's memory is not a limit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, or all; the exit code says whether all ran and every target was met."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS)} (all)")
    names = parser.parse_args(arguments).names or list(BENCHMARKS)
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    return run({name: BENCHMARKS[name] for name in names}, Console(width=None if sys.stdout.isatty() else 110), LATEST)


def run(benchmarks: Mapping[str, Benchmark], console: Console, latest: Path) -> int:
    """Run benchmarks one after the other, each on a node of its own; the exit code.

    No figure depends on what ran before it, and one that fails leaves the others theirs.
    """
    figures = Figures()
    parts = Parts(console)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        overall = progress.add_task("benchmarks", total=len(benchmarks))
        for name, benchmark in benchmarks.items():
            progress.update(overall, description=f"{name}: starting OpenSearch")
            begun = time.monotonic()
            with parts.part(name), node_or_external(heap_mb=_HEAP_MB) as node:
                client = OpenSearch(node.url, timeout=300)
                benchmark(lambda what: progress.update(overall, description=what), client, node.url, figures)
            figures.write(latest)
            console.print(f"{name}: {time.monotonic() - begun:.0f} s", highlight=False)
            progress.advance(overall)
    met = figures.show(console)
    console.print(f"written to {latest.relative_to(Path.cwd()) if latest.is_relative_to(Path.cwd()) else latest.name}")
    return 0 if parts.show() and met else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its node ends as well
    sys.exit(main())
