"""The posture function after a switchover: the new database's stream is started and read, step by step."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from moto.rds.exceptions import RDSClientError
from opensearchpy import OpenSearch

from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from posture_lambda.handler import handler
from tests.fakes.proxy import Proxy, answer
from tests.fakes.rds import ACCOUNT, Rds
from tests.functions.test_posture_function import SCHEDULED
from tests.harness.fleet import REGION, Fleet

SETTINGS = {"BatchSize": 200, "MaximumBatchingWindowInSeconds": 5, "ParallelizationFactor": 2}
OWN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daswatch-posture"


@pytest.fixture
def own(search: OpenSearch, node: AnyNode, rds: Rds, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """Our own account and region, in which streams follow names."""
    running = Fleet(search, node.url, rds, monkeypatch, ACCOUNT)
    running.configure(FOLLOW_NAMES="true", AWS_REGION=REGION, AWS_ENDPOINT_URL_LAMBDA=rds.aws.url)
    yield running
    running.close()


def run(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a scheduled run has logged of streams that follow names."""
    handler(SCHEDULED, InvocationContext(invoked_function_arn=OWN))
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    line = next(one for one in reversed(lines) if "followed" in one)
    return [str(what) for what in line["followed"]]


def switch_over(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The names of the new database and the old one, after a run that saw them before."""
    name, green = fleet.rds.cluster(), fleet.rds.cluster()
    fleet.rds.run_stream(name, mode="sync", key=fleet.rds.new_key())
    assert run(capsys) == []
    old = fleet.rds.rename(name)
    fleet.rds.rename(green, to=name)
    return name, old


def stream_arn(fleet: Fleet, name: str) -> str:
    return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/aws-rds-das-{fleet.rds.resource_id(name)}"


def read(fleet: Fleet, name: str) -> str:
    """A function that reads the stream of a database; its name."""
    functions, iam = fleet.rds.any_client("lambda"), fleet.rds.any_client("iam")
    function = f"ingest-{fleet.indices.stem}"
    trust = {"Version": "2012-10-17", "Statement": []}
    role = iam.create_role(RoleName=function, AssumeRolePolicyDocument=orjson.dumps(trust).decode())["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "")
    functions.create_function(
        FunctionName=function,
        Runtime="python3.12",
        Role=role,
        Handler="handler.handler",
        Code={"ZipFile": code.getvalue()},
    )
    create_stream(fleet, name)
    functions.create_event_source_mapping(
        EventSourceArn=stream_arn(fleet, name), FunctionName=function, StartingPosition="LATEST", **SETTINGS
    )
    return function


def create_stream(fleet: Fleet, name: str) -> None:
    """RDS's part, which moto's does not do."""
    kinesis = fleet.rds.any_client("kinesis")
    kinesis.create_stream(StreamName=f"aws-rds-das-{fleet.rds.resource_id(name)}", ShardCount=1)


def mappings(fleet: Fleet, name: str) -> list[dict[str, Any]]:
    found = fleet.rds.any_client("lambda").list_event_source_mappings(EventSourceArn=stream_arn(fleet, name))
    return list(found["EventSourceMappings"])


def test_stream_follows_step_by_step(own: Fleet, rds: Rds, capsys: pytest.CaptureFixture[str]) -> None:
    rds.meanwhile = 6  # each run looks several times
    name, old = switch_over(own, capsys)
    function = read(own, old)
    create_stream(own, name)

    (agreed,) = run(capsys)
    wish = own.documents[own.rds.resource_id(name)]["follows"]
    (starting,) = run(capsys)
    steps = [run(capsys) for _ in range(4)]

    assert f"{name}: RDS has agreed to start" in agreed
    assert wish["asked"] == "agreed"
    assert "is starting" in starting
    (started,) = next(step for step in steps if step and "read by" in step[0])
    assert started.endswith(f"its stream is started, and read by {function}")
    assert steps[-1] == []
    (asked,) = own.rds.started
    assert (asked["Mode"], asked["KmsKeyId"]) == ("sync", own.rds.stream(old).key)
    (mapping,) = mappings(own, name)
    assert {setting: mapping[setting] for setting in SETTINGS} == SETTINGS
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert "follows" not in own.documents[own.rds.resource_id(name)]
    assert own.rds.stream(old).status == "started"
    assert len(mappings(own, old)) == 1


def test_stream_stopped_later_is_not_started_again(own: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    name, _ = switch_over(own, capsys)
    for _ in range(5):
        run(capsys)
    own.rds.stream(name).statuses = ["stopped"]

    assert run(capsys) == []
    assert len(own.rds.started) == 1


def test_nothing_starts_without_the_setting(own: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    own.configure(FOLLOW_NAMES="false")

    switch_over(own, capsys)

    assert run(capsys) == []
    assert own.rds.calls == []


def test_refusal_is_reported_and_tried_again(own: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    switch_over(own, capsys)
    own.rds.faults.append(RDSClientError("KMSKeyNotAccessibleFault", "the key is disabled"))

    (refused,) = run(capsys)
    (agreed,) = run(capsys)

    assert "KMSKeyNotAccessibleFault: the key is disabled" in refused
    assert "has agreed" in agreed


def test_start_that_rds_gives_up_is_not_repeated(own: Fleet, rds: Rds, capsys: pytest.CaptureFixture[str]) -> None:
    rds.gives_up, rds.meanwhile = True, 4
    switch_over(own, capsys)

    steps = [run(capsys) for _ in range(6)]

    assert "gave up" in steps[-1][0]
    assert len(own.rds.started) == 1


def test_mapping_that_is_denied_is_tried_again(
    own: Fleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, old = switch_over(own, capsys)
    read(own, old)
    create_stream(own, name)
    with Proxy(own.rds.aws.url) as before:
        denied = answer(403, b'{"Type":"User","Message":"not authorized"}')
        before.on(lambda request: request.method == "POST" and "event-source-mappings" in request.path, denied)
        own.configure(AWS_ENDPOINT_URL_LAMBDA=before.url)
        steps = [run(capsys) for _ in range(5)]
    assert "not read: Lambda: " in steps[-1][0]
    assert mappings(own, name) == []

    own.configure(AWS_ENDPOINT_URL_LAMBDA=own.rds.aws.url)
    (read_now,) = run(capsys)

    assert "read by" in read_now
    assert len(mappings(own, name)) == 1


def test_other_account_is_started_and_reported(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.configure(FOLLOW_NAMES="true")
    name, _ = switch_over(fleet, capsys)

    steps = [step for _ in range(5) for step in run(capsys)]

    assert fleet.rds.stream(name).status == "started"
    assert f"read it in account {fleet.account}, region {REGION}: deploy there again with {name}" in steps[-1]
