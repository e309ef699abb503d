"""`daswatch stream`: the same decisions from a terminal, a plan on request, and a question before audit stops."""

from __future__ import annotations

import json
from itertools import repeat
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daswatch.activity_streams import lifecycle
from daswatch.activity_streams.lifecycle import read_name
from daswatch.aws import clients
from daswatch.aws.rds import ActivityStreams
from daswatch.commands.stream import app
from daswatch.fleet.database import FleetDatabase, document_of
from daswatch.fleet.remedy import RemedyForm, remedy_of
from demo.aws import REGION
from tests.fakes.rds import ACCOUNT, Rds


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "pauses", lambda: repeat(0.01))


def stream(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer, env={"COLUMNS": "300"})


def run_json(*arguments: str, code: int = 0) -> Any:
    """What a command prints for machines."""
    result = stream(*arguments, "--output", "json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_streams_are_started_side_by_side(rds: Rds) -> None:
    names = [rds.cluster(), rds.instance(), rds.cluster("aurora-mysql")]

    answer = run_json("start", *names, "--kms-key", rds.key, "--yes")

    assert [one["database"] for one in answer["databases"]] == names
    for name, one in zip(names, answer["databases"], strict=True):
        assert (one["step"], one["stream"]["status"], one["stream"]["mode"]) == ("done", "started", "async")
        expected = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/aws-rds-das-{rds.resource_id(name)}"
        assert one["stream"]["kinesisStreamArn"] == expected


def test_a_dry_run_shows_the_plan_and_changes_nothing(rds: Rds) -> None:
    new, running = rds.cluster(), rds.cluster()
    rds.run_stream(running)

    starts = run_json("start", new, running, "--kms-key", rds.key, "--mode", "sync", "--dry-run")
    stops = run_json("stop", new, running, "--dry-run")

    assert starts["dryRun"] is True
    assert [one["step"] for one in starts["databases"]] == ["start", "done"]
    assert "starts in mode sync" in starts["databases"][0]["reason"]
    assert starts["databases"][1]["differences"] == "its mode is async, not sync"
    assert [one["step"] for one in stops["databases"]] == ["done", "stop"]
    assert rds.calls == []


def test_one_refusal_keeps_no_other_database_from_its_stream(rds: Rds) -> None:
    good, bad = rds.cluster(), rds.cluster(instances=0)

    result = stream("start", bad, good, "--kms-key", rds.key, "--yes")

    assert result.exit_code == 1
    assert "has no instance: add one first" in result.stdout
    assert "the activity stream is started" in result.stdout
    assert rds.stream(good).status == "started"


def test_asking_without_waiting_is_done_when_rds_has_agreed(rds: Rds) -> None:
    rds.meanwhile = 50

    answer = run_json("start", rds.cluster(), "--kms-key", rds.key, "--yes", "--wait", "0")

    assert answer["databases"][0]["step"] == "wait"
    assert len(rds.calls) == 1


def test_what_is_not_done_in_time_fails(rds: Rds) -> None:
    rds.meanwhile = 10_000

    assert run_json("start", rds.cluster(), "--kms-key", rds.key, "--yes", "--wait", "0.003", code=1)


ORACLE = "RDS for Oracle clears the audit data that is there"


def test_start_warns_of_its_effects_and_asks(rds: Rds) -> None:
    oracle, aurora = rds.instance(), rds.cluster()

    result = stream("start", oracle, aurora, "--kms-key", rds.key, "--mode", "auto", answer="y\n")

    assert result.exit_code == 0, result.output
    of_oracle, _, of_aurora = result.stderr.partition(f"{aurora}: the key")
    assert f"# Warning: {ORACLE}" in of_oracle
    assert "# Warning: every instance of the cluster restarts right away" in of_aurora
    assert ORACLE not in of_aurora
    assert f"Start {oracle}, {aurora} now?" in result.stderr
    assert [rds.stream(name).status for name in (oracle, aurora)] == ["started", "started"]


@pytest.mark.parametrize(("answer", "why"), [("n\n", "the answer was no"), ("\n", "the answer was no"), ("", "--yes")])
def test_nothing_starts_without_a_yes(rds: Rds, answer: str, why: str) -> None:
    name = rds.instance()

    result = stream("start", name, "--kms-key", rds.key, answer=answer)

    assert result.exit_code == 1
    assert "daswatch: nothing was started" in result.stderr
    assert why in result.stderr
    assert rds.calls == []


def test_machines_are_refused_in_json_without_a_yes(rds: Rds) -> None:
    answer = run_json("start", rds.instance(), "--kms-key", rds.key, code=1)

    assert answer["error"]["problems"] == ["nothing was started: the question was not answered"]
    assert "--yes" in answer["error"]["next"]
    assert rds.calls == []


def test_a_dry_run_lists_the_effects_of_a_start(rds: Rds) -> None:
    name = rds.instance("sqlserver-ee", "15.00")

    answer = run_json("start", name, "--kms-key", rds.key, "--dry-run")
    table = stream("start", name, "--kms-key", rds.key, "--dry-run")

    assert "RDS for SQL Server locks the audit policy" in " ".join(answer["databases"][0]["effects"])
    assert "RDS for SQL Server locks the audit policy" in table.stdout


def plan_of(output: str) -> str:
    """The commands of a remedy, without those that show whose credentials they use."""
    return output[output.index("# A key for the stream") :]


def test_plan_is_the_remedy_and_is_what_is_done(rds: Rds) -> None:
    name, running = rds.cluster(), rds.cluster()
    rds.run_stream(running)
    database = ActivityStreams(rds.client, lambda: rds.any_client("kms")).find(read_name(name))
    document = {**document_of(FleetDatabase(database)), "verdict": "off", "streamModes": ["async"]}
    remedy = remedy_of(document).forms[RemedyForm.CLI]

    result = stream("start", name, running, answer="y\n")

    assert result.exit_code == 0, result.output
    assert plan_of(remedy) in result.stderr
    assert f"{running}: the activity stream is started" in result.stderr
    assert result.stderr.index(plan_of(remedy)) < result.stderr.index("now?")
    kms = rds.any_client("kms")
    alias = f"alias/daswatch-{name.replace(':', '-')}"
    key = kms.describe_key(KeyId=alias)["KeyMetadata"]
    assert key["Description"] == f"Database activity stream of {name}"
    assert kms.get_key_rotation_status(KeyId=key["Arn"])["KeyRotationEnabled"]
    policy = json.loads(kms.get_key_policy(KeyId=key["Arn"], PolicyName="default")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert rds.started[-1]["KmsKeyId"] == key["Arn"]


def test_key_that_exists_is_used_and_said(rds: Rds) -> None:
    name = rds.cluster()
    kms, arn = rds.any_client("kms"), rds.new_key()
    kms.create_alias(AliasName=f"alias/daswatch-{name.replace(':', '-')}", TargetKeyId=arn)
    before = len(kms.list_keys()["Keys"])

    result = stream("start", name, "--yes")

    assert result.exit_code == 0, result.output
    assert f"{name}: the key {arn} exists already and is used" in result.stderr
    assert "create-key" not in result.stderr
    assert len(kms.list_keys()["Keys"]) == before
    assert rds.started[-1]["KmsKeyId"] == arn


def test_key_that_is_not_enabled_starts_nothing(rds: Rds) -> None:
    name, arn = rds.cluster(), rds.new_key()
    kms = rds.any_client("kms")
    kms.create_alias(AliasName=f"alias/daswatch-{name.replace(':', '-')}", TargetKeyId=arn)
    kms.disable_key(KeyId=arn.rpartition("/")[2])

    result = stream("start", name, "--yes")

    assert result.exit_code != 0
    assert "which is Disabled: enable it, or give another key" in " ".join(result.stderr.split())
    assert rds.calls == []


@pytest.mark.parametrize("arguments", [["--dry-run"], []])
def test_no_key_is_created_without_a_yes(rds: Rds, arguments: list[str]) -> None:
    before = len(rds.any_client("kms").list_keys()["Keys"])

    result = stream("start", rds.cluster(), *arguments, answer="n\n")

    assert "aws kms create-key" in (result.stdout if arguments else result.stderr)
    assert len(rds.any_client("kms").list_keys()["Keys"]) == before
    assert rds.calls == []


def test_plan_has_the_native_fields_that_are_started(rds: Rds) -> None:
    oracle, aurora = rds.instance(), rds.cluster()

    answer = run_json("start", oracle, aurora, "--kms-key", rds.key, "--native-fields", "--dry-run")

    plans = [one["plan"] for one in answer["databases"]]
    assert ["--engine-native-audit-fields-included" in plan for plan in plans] == [True, False]


def test_nothing_is_asked_where_every_stream_runs(rds: Rds) -> None:
    name = rds.cluster()
    rds.run_stream(name)

    result = stream("start", name, "--kms-key", rds.key)

    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("engine", ["mysql", "mariadb", "postgres"])
def test_an_engine_without_streams_is_refused_by_name(rds: Rds, engine: str) -> None:
    name = rds.instance(engine, "8.0" if engine == "mysql" else "15.2" if engine == "postgres" else "10.6.8")

    (one,) = run_json("start", name, "--kms-key", rds.key, "--yes", code=1)["databases"]

    assert one["step"] == "refuse"
    assert f"runs {engine}, which has no activity streams" in one["reason"]
    assert rds.calls == []


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
    assert run_json("stop", rds.cluster())["databases"][0]["step"] == "done"


def test_status_of_all_databases_has_their_modes(rds: Rds) -> None:
    names = [
        rds.cluster(),
        rds.cluster(instance_class="db.t3.medium"),
        rds.instance(),
        rds.instance("postgres", "15.2"),
    ]
    rds.run_stream(names[0], mode="sync")

    by_name = {one["database"]: one for one in run_json("status")}
    table = stream("status")

    running, small, oracle, postgres = (by_name[name] for name in names)
    assert (running["status"], running["mode"], running["kmsKeyId"]) == ("started", "sync", rds.key_arn)
    assert running["modes"] == ["async", "sync"]
    assert (small["status"], small["modes"]) == ("stopped", [])
    assert "RDS offers none for aurora-postgresql 15.2 on db.t3.medium" in small["reason"]
    assert oracle["modes"] == ["async"]
    assert "runs postgres, which has no activity streams" in postgres["reason"]
    assert f"{names[0]}-0".replace("cluster:", "db:") not in by_name  # instances of clusters have no stream
    assert table.exit_code == 0
    for text in (*names, rds.key, "can have one"):
        assert text in table.stdout


def test_status_of_some_databases_keeps_their_order(rds: Rds) -> None:
    names = [rds.instance(), rds.cluster()]

    assert [one["database"] for one in run_json("status", *names)] == names
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

    assert names <= {one["database"] for one in run_json("status")}
    assert len(set(asked)) > 1


def test_every_wrong_name_is_reported_at_once() -> None:
    result = stream("start", "orders", "cluster:", "--kms-key", "x")

    assert result.exit_code == 2
    assert "'orders' names no database" in result.stderr
    assert "'cluster:' names no database" in result.stderr


def test_without_a_region_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    clients.session.cache_clear()

    result = stream("status")

    assert result.exit_code == 2
    assert "AWS_REGION is missing" in result.stderr


def test_without_credentials_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)
    clients.session.cache_clear()

    result = stream("status")

    assert result.exit_code == 2
    assert "AWS credentials are missing" in result.stderr
    assert "next: sign in" in result.stderr
