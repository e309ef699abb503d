"""Long runs: one part that fails is named, and the others' results are kept."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from opensearchpy import OpenSearch
from rich.console import Console

import demo.__main__ as demo_main
from benchmarks.__main__ import run
from benchmarks.figures import Figures
from daswatch.gateways import clients
from demo.opensearch import AnyNode
from demo.parts import Parts
from findings_lambda import handler as findings_handler
from ingest_lambda import handler as ingest_handler


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


@pytest.fixture
def demo_settings() -> Iterator[None]:
    """The demo sets the functions' settings for its whole process: here they end with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    for warm in (ingest_handler._function, findings_handler._function, clients._session):
        warm.cache_clear()


@pytest.mark.node
@pytest.mark.usefixtures("demo_settings")
def test_demo_goes_on_when_a_part_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Firehose's part fails: events, ledger and findings are shown all the same; the exit code is 1."""

    def failing(*_: object) -> bool:
        raise RuntimeError("Firehose is away")

    monkeypatch.setattr(demo_main, "_sort_rows", failing)
    monkeypatch.setattr(sys, "argv", ["demo"])
    assert demo_main.main(["--once", "--events", "600"]) == 1
    shown = capsys.readouterr().out
    assert "rows failed: RuntimeError: Firehose is away" in shown
    assert shown.index("rows failed") < shown.index("Security Hub")
