"""`make bench`: what things cost, side by side in one run, on a real OpenSearch. Writes benchmarks/latest.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from opensearchpy import OpenSearch
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks import detections, firehose, ingest, searching, statements
from benchmarks.figures import Figures
from demo.opensearch import LocalOpenSearchError, node_or_external

LATEST = Path(__file__).parent / "latest.json"
BENCHMARKS = {
    "statements": statements.worst_texts,
    "throughput": ingest.throughput,
    "heartbeat": ingest.heartbeat,
    "processes": ingest.processes,
    "growth": ingest.growth,
    "firehose": firehose.firehose,
    "detections": detections.cycle,
    "arrival": detections.arrival_to_finding,
    "searching": searching.searching,
}
_HEAP_MB = 4096  # so that the node's memory is no limit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, or all; the exit code tells whether every target was met."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS)} (all)")
    names = parser.parse_args(arguments).names or list(BENCHMARKS)
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    console = Console(width=None if sys.stdout.isatty() else 110)
    figures = Figures()
    try:
        node = node_or_external(heap_mb=_HEAP_MB)
    except LocalOpenSearchError as exc:
        console.print(f"[red]{exc}[/]", highlight=False)
        return 1
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with node, Progress(*columns, console=console) as progress:
        client = OpenSearch(node.url, timeout=300)
        overall = progress.add_task("benchmarks", total=len(names))
        for name in names:
            BENCHMARKS[name](lambda what: progress.update(overall, description=what), client, node.url, figures)
            figures.write(LATEST)
            progress.advance(overall)
    met = figures.show(console)
    console.print(f"written to {LATEST.relative_to(Path.cwd()) if LATEST.is_relative_to(Path.cwd()) else LATEST.name}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
