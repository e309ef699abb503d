"""`daswatch replay` where something fails: nothing is left out, nothing is doubled, and what stays is named."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice, repeat
from pathlib import Path
from random import Random
from typing import Any

import pytest

from daswatch.aws.clients import kms_client, s3_client
from daswatch.commands import replay as command
from daswatch.evidence import run
from demo.aws import LocalAws
from demo.traffic import produce
from tests.builders.events import postgresql_event
from tests.fakes.failing_aws import FailingAws
from tests.fakes.proxy import Proxy, answer, bulk, bulk_with, drop, drop_answer, forward, sequence, template_check
from tests.harness.faults import SEED, assert_ledger_equals_index, function_on, sealed_batches
from tests.harness.ingest import IngestFunction
from tests.harness.kills import MOMENTS, KilledNodes, Killer
from tests.harness.nodes import QuickNode
from tests.harness.replay import ARRIVED, Evidence, comparable, events

# It notes how far it is after each object, and so goes on there however soon it is killed.
_COMMAND = "from daswatch.evidence import run; run._NOTE_SECONDS = 0; from daswatch.cli import main; main()"
_WAIT_SECONDS = 900.0
_NODE_KILLS = 5
_OBJECTS = 30


@pytest.fixture
def evidence(ingest: IngestFunction, tmp_path: Path) -> Evidence:
    return Evidence.empty(ingest, tmp_path)


@pytest.fixture
def ledger(ingest: IngestFunction, evidence: Evidence) -> dict[str, dict[str, Any]]:
    """What 20 objects with 40 records have to become; the indices are empty again."""
    records = [ingest.record(events(10 * number)) for number in range(40)]
    ingest.invoke(*records)
    expected = comparable(ingest)
    ingest.search.indices.delete(index=f"{ingest.prefix}-*")
    for number in range(0, 40, 2):
        evidence.archive(records[number : number + 2])
    return expected


def begun(evidence: Evidence, *arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    words = [sys.executable, "-c", _COMMAND, "replay", f"s3://{evidence.bucket}", "--output", "json", *arguments]
    return subprocess.Popen([*words, "--detections", "off"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The report of a process that came to its end."""
    out, err = process.communicate(timeout=_WAIT_SECONDS)
    assert process.returncode == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


def test_what_cannot_be_opened_is_counted_and_named(
    ingest: IngestFunction, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut object, records of a foreign stream, and a key that is deleted; all that is whole is written."""
    deleted, whole, foreign = (ingest.database(name=name) for name in "XYZ")
    key = "arn:aws:kms:eu-west-1:123456789012:key/0c1d2e3f-4a5b-4c6d-8e7f-901234567890"
    pending = json.dumps({"__type": "KMSInvalidStateException", "message": f"{key} is pending deletion."})
    kms = FailingAws(repeat(True), 400, pending.encode(), about=deleted.resource_id)
    monkeypatch.setattr(command, "kms_client", kms.of(kms_client, "kms"))
    lost = [ingest.record(events(10 * number), deleted) for number in range(3)]
    records = [ingest.record(events(10 * number), whole) for number in range(6)]
    evidence.archive(lost, deleted)
    cut = evidence.archive(records[:3], whole, members=3)
    body = ingest.aws.s3().get_object(Bucket=evidence.bucket, Key=cut)["Body"].read()
    evidence.put(cut, body[:-20])
    evidence.archive(records[3:], foreign)  # the records of one stream under the name of another
    evidence.put(f"evidence/{whole.resource_id}/2031/03/04/x-2031-03-04-11-00-00-x.gz", b'{"order": 1}\n{"order": 2}\n')

    report = evidence.report("--detections", "off", exit_code=1)

    assert report["totals"] == {"read": 10, "opened": 2, "unopened": 8, "events": 10, "written": 10}
    assert {one["reason"]: one["count"] for one in report["refused"]} == {
        "key-unavailable": 3,
        "data-key-refused": 3,
        "not-an-envelope": 2,
    }
    (named,) = [one["detail"] for one in report["refused"] if one["reason"] == "key-unavailable"]
    assert named == f"KMS Decrypt: KMSInvalidStateException ({key})"
    assert kms.failed == 1  # it is not asked again for each record
    assert [one["key"] for one in report["damaged"]] == [cut]
    lost_of = [one for one in report["hours"] if one["resourceId"] == deleted.resource_id]
    assert [one["unopened"] for one in lost_of] == [3]
    assert len(ingest.documents()) == 10


def test_half_of_the_calls_of_s3_fail(
    ingest: IngestFunction, evidence: Evidence, ledger: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = FailingAws((number % 2 == 0 for number in count()), 503, b"<Error><Code>SlowDown</Code></Error>")
    monkeypatch.setattr(command, "s3_client", s3.of(s3_client, "s3"))

    report = evidence.report("--detections", "off")

    assert s3.failed >= 20
    assert report["totals"]["written"] == len(ledger)
    assert comparable(ingest) == ledger


def test_kms_throttles(
    ingest: IngestFunction, evidence: Evidence, ledger: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kms = FailingAws((number < 4 for number in count()), 400, b'{"__type": "ThrottlingException", "message": "slow"}')
    monkeypatch.setattr(command, "kms_client", kms.of(kms_client, "kms"))

    evidence.report("--detections", "off")

    assert kms.failed == 4
    assert comparable(ingest) == ledger


def test_run_that_stopped_goes_on_where_it_was(
    ingest: IngestFunction, evidence: Evidence, ledger: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = FailingAws((number >= 16 for number in count()), 403, b"<Error><Code>AccessDenied</Code></Error>")
    monkeypatch.setattr(command, "s3_client", denied.of(s3_client, "s3"))
    stopped = evidence.report("--detections", "off", exit_code=1)
    assert stopped["state"] == "stopped"
    assert "AccessDenied" in stopped["cause"]
    assert 0 < stopped["objects"]["read"] < 20
    monkeypatch.setattr(command, "s3_client", s3_client)

    report = evidence.report("--detections", "off")

    assert report["resumed"] == stopped["id"]
    assert report["objects"]["read"] == 20 - stopped["objects"]["read"]
    assert len(comparable(ingest)) == len(ledger)
    assert [one["state"] for one in evidence.readings()] == ["stopped", "done"]


@pytest.fixture
def behind_proxy(ingest: IngestFunction, evidence: Evidence, proxy: Proxy) -> Evidence:
    """The command knows the node only by the proxy."""
    ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
    return evidence


def test_questions_of_a_run_are_asked_again(ingest: IngestFunction, behind_proxy: Evidence, proxy: Proxy) -> None:
    """Whether the templates are there, and which events without a time are: OpenSearch fails for a moment."""
    records = [ingest.record([postgresql_event(statementId=number, logTime="no time")]) for number in range(4)]
    behind_proxy.archive(records)
    # The first one comes before the reading is noted.
    templates = proxy.on(template_check, sequence(forward, drop, answer(503), answer(429)))
    undated = proxy.on(lambda request: "-undated-" in request.path, sequence(drop, answer(502), drop_answer))

    report = behind_proxy.report("--detections", "off")

    assert report["totals"]["written"] == 4
    assert (templates.hits, undated.hits) == (5, 3 + 4)


def test_run_whose_end_cannot_be_noted_is_reported(
    ledger: dict[str, dict[str, Any]], behind_proxy: Evidence, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_NOTE_SECONDS", float("inf"))
    proxy.on(bulk_with(b"-replays"), sequence(forward, then=answer(403)))
    stopped = behind_proxy.report("--detections", "off", exit_code=1)
    proxy.behave()

    report = behind_proxy.report("--detections", "off")

    assert stopped["state"] == "stopped"
    assert stopped["cause"].startswith("the reading cannot be noted")
    assert stopped["totals"]["written"] == report["totals"]["alreadyThere"] == len(ledger)
    assert [one["state"] for one in behind_proxy.readings()] == ["running", "done"]


@pytest.mark.parametrize("seed", range(2))
def test_killed_run_leaves_nothing_out(
    ingest: IngestFunction, ledger: dict[str, dict[str, Any]], behind_proxy: Evidence, proxy: Proxy, seed: int
) -> None:
    killer = Killer(proxy, Random(seed), MOMENTS * 2, most_between=16)
    while killer.left:
        process = begun(behind_proxy)
        killer.aim_at(process)
        _, err = process.communicate(timeout=_WAIT_SECONDS)
        # One that came to its end was not killed: the next one begins again.
        assert process.returncode == 0 or killer.killed.wait(_WAIT_SECONDS), f"seed {seed}: {err}"
        assert process.returncode in (0, -signal.SIGKILL), f"seed {seed}: {err}"
    left = behind_proxy.left()

    report = ended(begun(behind_proxy))

    assert report["objects"]["read"] == left
    assert comparable(ingest) == ledger
    assert len(ingest.hits()) == len(ledger)


@pytest.mark.node
def test_killed_node_costs_nothing(
    aws: LocalAws, kms_key_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run outlives a node that comes back, or ends with the cause, and the next one goes on where it was."""
    monkeypatch.setattr(run, "_NOTE_SECONDS", 0.0)
    random = Random(SEED)
    moments = [*MOMENTS, *random.sample(MOMENTS, _NODE_KILLS - len(MOMENTS))]
    random.shuffle(moments)
    with (
        QuickNode.start(heap_mb=512) as node,
        Proxy(node.url) as proxy,
        ThreadPoolExecutor(1) as restarts,
        function_on(node.url, aws, kms_key_id, monkeypatch, capsys) as function,
    ):
        evidence = Evidence.empty(function, tmp_path)
        batches = list(islice(sealed_batches(function, produce(SEED, ARRIVED, 100_000), size=60), _OBJECTS))
        for batch in batches:
            evidence.archive(batch.records, batch.database)
        function.configure(OPENSEARCH_ENDPOINT=proxy.url)
        killer = Killer(proxy, random, moments, most_between=5, kind=bulk)
        nodes = KilledNodes(killer, lambda: node, restarts)

        reports = evidence.replayed_through(nodes.wait_until_up, most=_NODE_KILLS + 1)

        entries = [entry for batch in batches for entry in batch.entries]
        note = f"moments {moments}, {len(reports)} calls"
        assert not killer.left, f"seed {SEED}: {note}"
        assert_ledger_equals_index(entries, function, note)
        there = sum(one["totals"].get("alreadyThere", 0) for one in reports if "totals" in one)
        assert there > 0, f"seed {SEED}: no kill after a write, {note}"
        wanted = sum(entry.fate == "indexed" for entry in entries)
        assert evidence.tallied() == (sum(len(batch.records) for batch in batches), wanted)


def test_two_at_once_and_ingest_write_each_event_once(
    ingest: IngestFunction, evidence: Evidence, ledger: dict[str, dict[str, Any]]
) -> None:
    records: Sequence[dict[str, Any]] = [ingest.record(events(10 * number)) for number in range(40)]
    replays = [begun(evidence), begun(evidence, "--restart")]
    for record in records:
        ingest.invoke(record)
    reports = [ended(process) for process in replays]

    assert comparable(ingest) == ledger
    assert [one["totals"]["events"] for one in reports] == [len(ledger)] * 2
