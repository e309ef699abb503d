"""Long runs: one part that fails is named, and the others' results are kept."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from opensearchpy import OpenSearch
from rich.console import Console

from demo.opensearch import AnyNode
from demo.parts import Parts
from tests import ROOT
from tools.benchmarks.__main__ import run
from tools.benchmarks.figures import Figures


def a_console() -> Console:
    return Console(file=io.StringIO(), width=110)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_parts_go_on_after_one_failed() -> None:
    console = a_console()
    parts = Parts(console)
    done: list[str] = []
    with parts.part("first"):
        raise ValueError("[not markup]")
    with parts.part("second"):
        done.append("second")
    assert done == ["second"]
    assert "first failed: ValueError: [not markup]" in printed(console)
    assert not parts.show()


def test_parts_end_with_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), Parts(a_console()).part("first"):
        raise KeyboardInterrupt


def test_parts_without_a_failure_show_nothing() -> None:
    console = a_console()
    parts = Parts(console)
    with parts.part("first"):
        pass
    assert parts.show()
    assert printed(console) == ""


def test_bench_keeps_figures_when_a_part_fails(node: AnyNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that fails leaves the figures that it had; the part behind it runs; the exit code is 1."""
    monkeypatch.setenv("OPENSEARCH_URL", node.url)

    def failing(step: object, client: OpenSearch, url: str, figures: Figures) -> None:
        figures.add(before_the_failure_ms=1)
        client.transport.perform_request("GET", "/no-such-index/_search")

    def working(step: object, client: OpenSearch, url: str, figures: Figures) -> None:
        figures.add(behind_the_failure_ms=2)

    console = a_console()
    latest = tmp_path / "latest.json"
    assert run({"broken": failing, "whole": working}, console, latest) == 1
    assert orjson.loads(latest.read_bytes()) == {"before_the_failure_ms": 1, "behind_the_failure_ms": 2}
    assert "broken failed: NotFoundError" in printed(console)
    assert "failed: broken; the results of the others stand" in printed(console)


# The demo in a process of its own, since it sets the functions' settings for all of it, with one part that fails.
BROKEN = """
import sys
from functools import partial
import demo.__main__ as demo
from tests.harness.nodes import QuickNode

def failing(*_):
    raise RuntimeError("Firehose is away")

demo._sort_rows = failing
demo.node_or_external = partial(demo.node_or_external, kind=QuickNode)
sys.exit(demo.main(["--once", "--events", "600"]))
"""


@pytest.mark.node
def test_demo_goes_on_when_a_part_fails() -> None:
    """Firehose's part fails: events, ledger and findings are shown all the same; the exit code is 1."""
    ended = subprocess.run([sys.executable, "-c", BROKEN], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 1, ended.stderr
    assert "rows failed: RuntimeError: Firehose is away" in ended.stdout
    assert ended.stdout.index("rows failed") < ended.stdout.index("Findings in Security Hub")
