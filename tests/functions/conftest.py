"""The findings function: its runs alone, and as Lambda invokes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from demo.aws import LocalAws
from demo.opensearch import AnyNode
from tests.harness.findings import FindingsFunction
from tests.harness.runs import DETECTIONS, FEW, RunHarness


@pytest.fixture
def harness(search: OpenSearch, aws: LocalAws) -> Iterator[RunHarness]:
    """A few detections on indices, an alert topic and a database of their own."""
    running = RunHarness(search, aws, FEW)
    yield running
    running.close()


@pytest.fixture
def with_all(harness: RunHarness) -> RunHarness:
    """The same with all shipped detections."""
    harness.detections = list(DETECTIONS.values())
    return harness


@pytest.fixture
def findings(
    search: OpenSearch,
    node: AnyNode,
    aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[FindingsFunction]:
    """The handlers of the findings function, with the settings of a deployment."""
    running = FindingsFunction(search, aws, node.url, tmp_path, monkeypatch, capsys)
    yield running
    running.close()
