"""The findings, the enrolment and the replay function: runs alone, and as Lambda invokes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from demo.aws import LocalAws
from demo.opensearch import AnyNode
from enrol_lambda import handler as enrol_handler
from tests.fakes.rds import ACCOUNT, Rds
from tests.harness.enrol_function import Enrolling
from tests.harness.findings import FindingsFunction
from tests.harness.fleet import REGION, Fleet
from tests.harness.ingest import IngestFunction
from tests.harness.replay_function import Replaying
from tests.harness.runs import DETECTIONS, FEW, RunHarness


@pytest.fixture
def harness(search: OpenSearch, aws: LocalAws, node: AnyNode) -> Iterator[RunHarness]:
    """A few detections on indices, an alert topic and a database of their own."""
    running = RunHarness(search, aws, FEW, node)
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


@pytest.fixture
def enrolling(
    search: OpenSearch,
    node: AnyNode,
    rds: Rds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Enrolling]:
    """The enrolment function of an account and region."""
    fleet = Fleet(search, node.url, rds, monkeypatch, ACCOUNT)
    fleet.configure(AWS_REGION=REGION, AWS_ENDPOINT_URL_LAMBDA=rds.aws.url)
    yield Enrolling(fleet, search, capsys)
    enrol_handler.warm_function.cache_clear()
    fleet.close()


@pytest.fixture
def replaying(ingest: IngestFunction, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Replaying]:
    """The replay function with a dead-letter bucket of its own."""
    running = Replaying(ingest, capsys, tmp_path)
    yield running
    running.cold_start()
