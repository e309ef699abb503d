"""`daswatch stream`: the same decisions from a terminal, a plan on request, and a question before audit stops."""

from __future__ import annotations

import json
from itertools import repeat
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daswatch import streams
from daswatch.commands.stream import app
from daswatch.gateways import clients
from demo.aws import REGION
from tests.rds import ACCOUNT, Rds


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "pauses", lambda: repeat(0.01))


def stream(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer, env={"COLUMNS": "300"})


def told(*arguments: str, code: int = 0) -> Any:
    """What a command prints for machines."""
    result = stream(*arguments, "--output", "json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_streams_are_started_side_by_side_and_told(rds: Rds) -> None:
    names = [rds.cluster(), rds.instance(), rds.cluster("aurora-mysql")]

    answer = told("start", *names, "--kms-key", rds.key)

    assert [one["database"] for one in answer["databases"]] == names
    for name, one in zip(names, answer["databases"], strict=True):
        assert (one["step"], one["stream"]["status"], one["stream"]["mode"]) == ("done", "started", "async")
        expected = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/aws-rds-das-{rds.resource_id(name)}"
        assert one["stream"]["kinesisStreamArn"] == expected


def test_a_dry_run_shows_the_plan_and_changes_nothing(rds: Rds) -> None:
    new, running = rds.cluster(), rds.cluster()
    rds.run_stream(running)

    starts = told("start", new, running, "--kms-key", rds.key, "--mode", "sync", "--dry-run")
    stops = told("stop", new, running, "--dry-run")

    assert starts["dryRun"] is True
    assert [one["step"] for one in starts["databases"]] == ["start", "done"]
    assert "starts in mode sync" in starts["databases"][0]["reason"]
    assert starts["databases"][1]["differences"] == "its mode is async, not sync"
    assert [one["step"] for one in stops["databases"]] == ["done", "stop"]
    assert rds.calls == []


def test_one_refusal_keeps_no_other_database_from_its_stream(rds: Rds) -> None:
    good, bad = rds.cluster(), rds.cluster(instances=0)

    result = stream("start", bad, good, "--kms-key", rds.key)

    assert result.exit_code == 1
    assert "has no instance: add one first" in result.stdout
    assert "the activity stream is started" in result.stdout
    assert rds.stream(good).status == "started"


def test_asking_without_waiting_is_done_when_rds_has_agreed(rds: Rds) -> None:
    rds.meanwhile = 50

    answer = told("start", rds.cluster(), "--kms-key", rds.key, "--wait", "0")

    assert answer["databases"][0]["step"] == "wait"
    assert len(rds.calls) == 1


def test_what_is_not_done_in_time_fails(rds: Rds) -> None:
    rds.meanwhile = 10_000

    assert told("start", rds.cluster(), "--kms-key", rds.key, "--wait", "0.003", code=1)


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_audit_does_not_stop_without_a_yes(rds: Rds, answer: str) -> None:
    name = rds.cluster()
    rds.run_stream(name)

    result = stream("stop", name, answer=answer)

    assert result.exit_code == 1
    assert f"Stop the audit of {name}? Nothing is recorded from then on" in result.stderr
    assert rds.calls == []
    assert rds.stream(name).status == "started"


@pytest.mark.parametrize(("arguments", "answer"), [(["--yes"], None), ([], "y\n")])
def test_audit_stops_with_a_yes(rds: Rds, arguments: list[str], answer: str | None) -> None:
    name = rds.cluster()
    rds.run_stream(name)

    assert stream("stop", name, *arguments, answer=answer).exit_code == 0
    assert rds.stream(name).status == "stopped"


def test_nothing_is_asked_where_nothing_runs(rds: Rds) -> None:
    assert told("stop", rds.cluster())["databases"][0]["step"] == "done"


def test_the_status_of_all_databases_is_told_with_what_they_can_have(rds: Rds) -> None:
    names = [
        rds.cluster(),
        rds.cluster(instance_class="db.t3.medium"),
        rds.instance(),
        rds.instance("postgres", "15.2"),
    ]
    rds.run_stream(names[0], mode="sync")

    by_name = {one["database"]: one for one in told("status")}
    table = stream("status")

    running, small, oracle, postgres = (by_name[name] for name in names)
    assert (running["status"], running["mode"], running["kmsKeyId"]) == ("started", "sync", rds.key_arn)
    assert running["modes"] == ["async", "sync"]
    assert (small["status"], small["modes"]) == ("stopped", [])
    assert "RDS offers none for aurora-postgresql 15.2 on db.t3.medium" in small["reason"]
    assert oracle["modes"] == ["async"]
    assert "RDS offers none for postgres" in postgres["reason"]
    assert f"{names[0]}-0".replace("cluster:", "db:") not in by_name  # instances of clusters have no stream
    assert table.exit_code == 0
    for text in (*names, rds.key, "can have one"):
        assert text in table.stdout


def test_the_status_of_some_databases_is_told_in_their_order(rds: Rds) -> None:
    names = [rds.instance(), rds.cluster()]

    assert [one["database"] for one in told("status", *names)] == names
    assert stream("status", "cluster:nowhere").exit_code == 1


def test_the_status_comes_from_all_pages(rds: Rds, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {rds.instance() for _ in range(3)}
    asked: list[str] = []

    def small_pages(params: dict[str, Any], **_: object) -> None:
        asked.append(params.get("Marker", ""))
        params["MaxRecords"] = 20

    client = clients.rds_client()
    client.meta.events.register("provide-client-params.rds.DescribeDBInstances", small_pages)
    monkeypatch.setattr("daswatch.commands.stream.rds_client", lambda: client)
    for _ in range(20):
        rds.instance()

    assert names <= {one["database"] for one in told("status")}
    assert len(set(asked)) > 1


def test_every_name_that_is_none_is_told_at_once() -> None:
    result = stream("start", "orders", "cluster:", "--kms-key", "x")

    assert result.exit_code == 2
    assert "'orders' names no database" in result.stderr
    assert "'cluster:' names no database" in result.stderr


def test_without_a_region_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    clients._session.cache_clear()

    result = stream("status")

    assert result.exit_code == 2
    assert "AWS_REGION is missing" in result.stderr


def test_without_credentials_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    clients._session.cache_clear()

    result = stream("status")

    assert result.exit_code == 1
    assert "NoCredentialsError: sign in first" in result.stderr
