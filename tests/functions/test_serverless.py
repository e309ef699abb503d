"""The whole path in a Serverless collection: setup, ingest, alerts that are raised, updated and archived, the doctor.

The collection is a stand-in that refuses what docs/serverless.md says (tests/fakes/serverless.py).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daswatch.alerts.alert import State
from daswatch.cli import app
from daswatch.deadline import Deadline
from daswatch.detections.samples import base_events, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.opensearch.client import search_client
from daswatch.opensearch.run_claims import CLAIMED
from daswatch.opensearch.sample_runs import SampleRun
from daswatch.settings import SearchEndpoint
from demo.opensearch import AnyNode
from findings_lambda import handler as findings_handler
from tests.builders.events import postgresql_event
from tests.fakes.clock import Clock
from tests.fakes.serverless import Call, Collection, calls
from tests.harness.findings import FindingsFunction
from tests.harness.ingest import IngestFunction
from tests.harness.installed import remove
from tests.harness.runs import ACTORS

pytestmark = pytest.mark.node

GRANT = "GRANT rds_superuser TO mallory"
SAMPLES_ONLY = {("PUT", "/<index>"), ("DELETE", "/<index>")}  # of the table
RAISED = 2  # superuser-grant and privilege-grant


class Deployment:
    """Both functions with one prefix in a collection, as the template wires them."""

    def __init__(self, collection: Collection, ingest: IngestFunction, findings: FindingsFunction) -> None:
        self.collection, self.ingest, self.findings = collection, ingest, findings
        remove(findings.search, findings.prefix)  # of a domain
        settings = {
            "OPENSEARCH_ENDPOINT": collection.url,
            "OPENSEARCH_SERVICE": "aoss",
            "INDEX_PREFIX": findings.prefix,
            "DASHBOARDS_URL": f"{collection.url}/_dashboards",
        }
        ingest.configure(**settings)
        findings.configure(**settings)

    def daswatch(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, arguments, env={"COLUMNS": "240"})

    def pass_time(self) -> None:
        self.collection.pass_time(f"{self.findings.indices.stem}-*")

    def grant(self) -> dict[str, Any]:
        """A record of a superuser grant a moment ago."""
        now = datetime.now(UTC)
        at = f"{now:%Y-%m-%d %H:%M:%S.%f}+00"
        fields = {"class": "ROLE", "command": "GRANT ROLE", "commandText": GRANT, "dbUserName": "ops_1", "logTime": at}
        event = postgresql_event(**fields)
        return self.ingest.record([event], self.ingest.database())

    def alerts(self) -> list[tuple[str, State, int]]:
        found = self.findings.alerts().values()
        return [(one.detection, one.state, one.count) for one in found if one.detection == "superuser-grant"]


@pytest.fixture
def collection(node: AnyNode) -> Iterator[Collection]:
    with Collection(node.url) as running:
        yield running


@pytest.fixture
def deployment(
    collection: Collection,
    ingest: IngestFunction,
    findings: FindingsFunction,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Deployment:
    monkeypatch.chdir(tmp_path)
    return Deployment(collection, ingest, findings)


def test_collection_runs_the_whole_path(deployment: Deployment) -> None:
    """Setup twice, ingest, a dead letter, a call of AWS's API, an alert from its begin to its end, the doctor."""
    findings, ingest, collection = deployment.findings, deployment.ingest, deployment.collection
    first, second = (deployment.daswatch("setup", "--no-dashboards", "--output", "json") for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert {step["step"] for step in json.loads(second.stdout)["steps"]} == {"unchanged", "left out"}

    assert ingest.invoke(deployment.grant(), ingest.delivered(b"no envelope"), ingest.record([])) == []
    assert (ingest.log["written"], ingest.log["dead_letters"]) == (1, {"not-json": 1})
    deployment.pass_time()
    assert findings.scheduled()["raised"] == RAISED
    assert len(findings.mails()) == RAISED

    # Nothing that the first run wrote can be read yet: neither its alert, nor that it was published.
    assert findings.scheduled() == {"raised": 0, "archived": 0, "failing": []}
    assert findings.mails() == []

    deployment.pass_time()
    assert deployment.alerts() == [("superuser-grant", State.ACTIVE, 1)]
    assert ingest.invoke(deployment.grant()) == []
    deployment.pass_time()
    assert findings.scheduled()["raised"] == 0
    deployment.pass_time()
    assert deployment.alerts() == [("superuser-grant", State.ACTIVE, 2)]

    findings.notified(tampering())
    assert findings.log["level"] == "INFO"
    function = findings_handler.warm_function("arn:aws:lambda:eu-west-1:123456789012:function:findings")
    deployment.pass_time()
    examined = deployment.daswatch("doctor", "--endpoint-only")
    assert examined.exit_code == 0, examined.output
    later = datetime.now(UTC) + timedelta(days=2)
    report = function.runner.run(later, Deadline.after(50.0))
    assert (report.archived >= RAISED, report.failing, report.refused_alerts) == (True, {}, {})
    deployment.pass_time()
    assert ("superuser-grant", State.ARCHIVED, 2) in deployment.alerts()

    assert collection.unknown == []
    assert {(call.method, call.path) for call in calls() if call.there and call not in collection.used} == SAMPLES_ONLY


def tampering() -> dict[str, Any]:
    """A call of AWS's API that stops a stream, as EventBridge hands it over."""
    sample = next(one for one in samples_of("das-tamper-control-plane") if one.expected == "match")
    base, changed = base_events()["control-plane"], sample.steps[0].get("event", {})
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    detail = {**base["detail"], **changed.get("detail", {}), "eventTime": now, "eventID": "call-1"}
    return {**base, **changed, "time": now, "detail": detail}


def test_new_function_reads_what_another_wrote(deployment: Deployment) -> None:
    """A cold start has only what can be read by then, and continues the alert."""
    assert deployment.daswatch("setup", "--no-dashboards").exit_code == 0
    assert deployment.ingest.invoke(deployment.grant()) == []
    deployment.pass_time()
    assert deployment.findings.scheduled()["raised"] == RAISED
    deployment.pass_time()
    deployment.findings.configure()

    function = findings_handler.warm_function("arn:aws:lambda:eu-west-1:123456789012:function:findings")
    later = datetime.now(UTC) + timedelta(minutes=CLAIMED)
    assert function.runner.run(later, Deadline.after(50.0)).raised == 0
    deployment.pass_time()
    assert deployment.alerts() == [("superuser-grant", State.ACTIVE, 1)]
    assert len(deployment.findings.mails()) == RAISED
    assert deployment.collection.unknown == []


def test_poison_document_waits_for_a_neighbor(deployment: Deployment) -> None:
    """Without a probe a document that is refused alone may as well meet a fault of the collection."""
    assert deployment.daswatch("setup", "--no-dashboards").exit_code == 0
    term = "x" * 40_000  # longer than a term may be
    search, indices = deployment.findings.search, deployment.findings.indices
    index = f"{indices.prefix}-2031.03.04"
    search.indices.create(index=index, body={"mappings": {"properties": {"clientApplication": {"type": "keyword"}}}})
    poison = deployment.ingest.record([postgresql_event(clientApplication=term)])
    good = deployment.ingest.record([postgresql_event(pid=7)])

    (waiting,) = deployment.ingest.invoke(poison)
    assert waiting
    assert "took no document of this request" in deployment.ingest.log["cause"]
    assert deployment.ingest.invoke(poison, good) == []
    assert deployment.ingest.log["dead_letters"] == {"document-refused": 1}
    assert deployment.collection.unknown == []


def test_time_series_collection_is_refused(
    deployment: Deployment, node: AnyNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name at setup; at ingest it is the collection's fault, so no record becomes a dead letter."""
    with Collection(node.url, time_series=True) as wrong:
        deployment.ingest.configure(OPENSEARCH_ENDPOINT=wrong.url)
        answer = deployment.daswatch("setup", "--no-dashboards")
        records = [deployment.ingest.record([postgresql_event(pid=pid)]) for pid in range(5)]
        waiting = deployment.ingest.invoke(*records)

    assert answer.exit_code == 1
    assert "takes no document ids" in answer.output
    assert "type search" in answer.output
    assert waiting == [records[0]["kinesis"]["sequenceNumber"]]
    assert deployment.ingest.log["dead_letters"] == {}
    assert "type time series or vector search" in deployment.ingest.log["cause"]


def test_samples_wait_until_they_are_found(node: AnyNode, collection: Collection) -> None:
    prefix = f"t-samples-{secrets.token_hex(4)}-events"
    client = search_client(SearchEndpoint(collection.url, auth="none", service="aoss"))
    clock = Passing(collection, prefix.removesuffix("-events"))
    wanted = ("superuser-grant", "das-tamper-control-plane", "first-seen-network")
    chosen = [one for one in compile_all() if one.name in wanted]

    with SampleRun(client, prefix, "aoss", clock, ACTORS) as run:
        verdicts = [verdict for one in chosen for verdict in run.run(one, samples_of(one.name))]

    assert len(verdicts) > len(wanted)
    assert [verdict for verdict in verdicts if not verdict.right] == []
    assert clock.slept
    assert collection.unknown == []
    assert {(call.method, call.path) for call in collection.used} >= SAMPLES_ONLY


class Passing(Clock):
    """Waiting makes what was written found."""

    def __init__(self, collection: Collection, stem: str) -> None:
        super().__init__()
        self._collection, self._indices = collection, f"{stem}-*"

    def sleep(self, seconds: float, /) -> None:
        super().sleep(seconds)
        self._collection.pass_time(self._indices)


def test_backtest_needs_no_more_than_searches(deployment: Deployment) -> None:
    assert deployment.daswatch("setup", "--no-dashboards").exit_code == 0
    assert deployment.ingest.invoke(deployment.grant()) == []
    deployment.pass_time()

    answer = deployment.daswatch("detections", "backtest", "superuser-grant", "--from", "1d", "--output", "json")

    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["detections"][0]["alerts"] == 1
    assert deployment.collection.unknown == []


@pytest.mark.parametrize(
    ("method", "path", "there"),
    [
        ("POST", "/_bulk", True),
        ("PUT", "/das-runs/_doc/scheduled", True),
        ("PUT", "/das-events-2031.03.04", True),
        ("POST", "/_mget", False),
        ("POST", "/das-alerts/_refresh", False),
        ("PUT", "/_component_template/das-copies", False),
        ("GET", "/_plugins/_ism/policies", False),
        ("GET", "/", False),
    ],
)
def test_table_says_what_the_collection_has(method: str, path: str, there: bool) -> None:
    fitting: list[Call] = [call for call in calls() if call.fits(method, path)]

    assert [call.there for call in fitting] in ([there], [] if not there else [there])
