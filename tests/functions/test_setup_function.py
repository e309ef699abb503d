"""The setup function: stacks never hang, whatever fails; content installs itself, and nothing of it is deleted."""

from __future__ import annotations

import json
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from opensearchpy import OpenSearch

from daswatch.activity_streams.custom_resources import (
    ACTIVITY_STREAM,
    CONTENT,
    MAX_RESPONSE_BYTES,
    Request,
    Response,
    read_request,
)
from daswatch.aws import clients
from daswatch.aws.clients import kms_client, rds_client
from daswatch.aws.cloudformation import ResponseSender
from daswatch.aws.rds import ActivityStreams
from daswatch.content.model import Plan
from daswatch.deadline import Deadline
from daswatch.detections.detection import dump
from daswatch.detections.sigma import compile_all
from daswatch.errors import ResponseUndelivered, SearchUnavailable
from demo.aws import REGION, LocalAws
from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from setup_lambda import handler as handler_module
from setup_lambda.providers import ContentProvider, StreamProvider
from setup_lambda.responder import Provider, respond
from tests.builders.custom_resources import events
from tests.fakes.clock import Clock
from tests.fakes.cloudformation_bucket import SIGNATURE, AnswerBucket, a_request
from tests.fakes.rds import ACCOUNT, Rds
from tests.harness.setting_up import Setup, a_plan


@pytest.fixture
def setup(bucket: AnswerBucket) -> Setup:
    return Setup(bucket)


# Content


def a_content_request(bucket: AnswerBucket, kind: str = "Create", **more: Any) -> dict[str, Any]:
    return a_request(bucket.url, kind, {"Version": "1"}, resource_type=CONTENT, **more)


def test_content_is_installed_and_counted(setup: Setup, bucket: AnswerBucket) -> None:
    for kind in ("Create", "Update"):
        answer = setup.answer(a_content_request(bucket, kind, PhysicalResourceId="das-content"))

        assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "das-content")
        assert answer["Data"] == {"Created": "1", "Updated": "2", "Unchanged": "3"}
        assert "left out: 12 of kind saved object (no Dashboards was named)" in answer["Reason"]


def test_deletion_of_content_touches_nothing(setup: Setup, bucket: AnswerBucket) -> None:
    def install() -> Plan:
        raise AssertionError("nothing is to be asked or written")

    setup.content = install

    answer = setup.answer(a_content_request(bucket, "Delete", PhysicalResourceId="das-content"))

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "das-content")


def failing(times: int, status: int) -> Callable[[], Plan]:
    left = [SearchUnavailable(f"OpenSearch answered {status}", status)] * times

    def install() -> Plan:
        if left:
            raise left.pop()
        return a_plan()

    return install


@pytest.mark.parametrize("status", [0, 401, 403, 503])
def test_a_domain_that_was_just_made_is_waited_for(setup: Setup, bucket: AnswerBucket, status: int) -> None:
    setup.content = failing(6, status)

    assert setup.answer(a_content_request(bucket))["Status"] == "SUCCESS"
    assert len(setup.clock.slept) == 6


def test_a_domain_that_keeps_refusing_is_not_waited_for_forever(setup: Setup, bucket: AnswerBucket) -> None:
    setup.content = failing(1000, 403)

    answer = setup.answer(a_content_request(bucket))

    assert (answer["Status"], answer["Reason"]) == ("FAILED", "OpenSearch answered 403")
    assert 200 < setup.clock.now <= 300


def test_what_waiting_does_not_fix_is_not_waited_for(setup: Setup, bucket: AnswerBucket) -> None:
    setup.content = failing(1, 400)

    assert setup.answer(a_content_request(bucket))["Status"] == "FAILED"
    assert setup.clock.slept == []


# Always one answer


def test_an_unknown_type_is_refused_and_its_deletion_succeeds(setup: Setup, bucket: AnswerBucket) -> None:
    refused = setup.answer(a_request(bucket.url, resource_type="Custom::Other"))
    deleted = setup.answer(a_request(bucket.url, "Delete", resource_type="Custom::Other", PhysicalResourceId="x"))

    assert refused["Status"] == "FAILED"
    assert "expected: Custom::ActivityStream, Custom::Content" in refused["Reason"]
    assert (deleted["Status"], deleted["PhysicalResourceId"]) == ("SUCCESS", "x")


def test_unexpected_error_has_its_location_in_the_log_alone(setup: Setup, bucket: AnswerBucket) -> None:
    def broken(request: Request, deadline: Deadline) -> Response:
        raise KeyError("a secret in an error")

    report = setup.run(a_content_request(bucket), more={CONTENT: broken})

    assert bucket.answer["Reason"] == "unexpected KeyError: see the function's log"
    assert "test_setup_function.py" in report.where
    assert "secret" not in report.where


def test_a_provider_that_hangs_is_given_up_in_time_to_answer(bucket: AnswerBucket) -> None:
    release = threading.Event()

    def hanging(request: Request, deadline: Deadline) -> Response:
        release.wait(300)
        return Response(succeeded=True, physical_id="late")

    begun = time.monotonic()
    try:
        respond(read_request(a_content_request(bucket)), {CONTENT: hanging}, ResponseSender(), 6.0, time)
    finally:
        release.set()

    assert time.monotonic() - begun < 100
    assert bucket.answer["Status"] == "FAILED"
    assert "the function ran out of time" in bucket.answer["Reason"]


def test_a_bucket_that_fails_for_a_while_gets_the_answer_once(setup: Setup, bucket: AnswerBucket) -> None:
    bucket.statuses = [500, 503, 503]

    report = setup.run(a_content_request(bucket))

    assert report.attempts == 4
    assert bucket.answer["Status"] == "SUCCESS"
    assert bucket.content_types == [""]
    assert all(bucket.url.endswith(path) for path in bucket.paths)


@pytest.mark.parametrize(("statuses", "attempts"), [([503] * 9, 5), ([403], 1)])
def test_undeliverable_response_raises_without_url(
    bucket: AnswerBucket, capsys: pytest.CaptureFixture[str], statuses: list[int], attempts: int
) -> None:
    bucket.statuses = statuses

    with pytest.raises(ResponseUndelivered) as caught:
        handler_module.handler(a_content_request(bucket, "Delete"), InvocationContext(remaining_ms=20_000))

    assert bucket.attempts == attempts
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["message"], line["ResourcesFailed"]) == ("ERROR", "custom resource ready", [1.0])
    assert line["undelivered"] == str(caught.value)
    assert SIGNATURE not in json.dumps(line)
    assert SIGNATURE not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["", "ftp://example.com/x", "https://[", "http://127.0.0.1:1/x?" + SIGNATURE])
def test_unreachable_url_is_reported_without_it(setup: Setup, url: str) -> None:
    undelivered = setup.run(a_request(url, resource_type=CONTENT)).undelivered

    assert undelivered is not None
    assert SIGNATURE not in "".join(traceback.format_exception(undelivered))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(event=events)
def test_whatever_the_request_holds_there_is_exactly_one_answer(rds: Rds, bucket: AnswerBucket, event: object) -> None:
    fields: dict[str, Any] = dict(event) if isinstance(event, Mapping) else {"RequestType": event}
    providers: dict[str, Provider] = {
        ACTIVITY_STREAM: StreamProvider(lambda deadline: ActivityStreams(rds_client(), kms_client, lambda: deadline)),
        CONTENT: ContentProvider(lambda _: a_plan()),
    }
    for resource_type in (*providers, fields.get("ResourceType")):
        del bucket.bodies[:]
        bucket.attempts = 0
        request = {**fields, "ResourceType": resource_type, "ResponseURL": bucket.url}
        respond(read_request(request), providers, ResponseSender(), 10.0, Clock())

        assert bucket.attempts == len(bucket.bodies) == 1
        assert len(bucket.bodies[0]) <= MAX_RESPONSE_BYTES
        assert json.loads(bucket.bodies[0])["Status"] in ("SUCCESS", "FAILED")


# As Lambda runs it


@pytest.mark.usefixtures("short_pauses")
def test_handler_starts_a_stream_and_logs_one_line(
    rds: Rds, bucket: AnswerBucket, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    rds.meanwhile = 1

    handler_module.handler(
        a_request(bucket.url, properties={"Database": rds.cluster(), "KmsKeyId": rds.key}), InvocationContext()
    )

    out, err = capfd.readouterr()
    (line,) = out.splitlines()
    assert bucket.answer["Status"] == "SUCCESS"
    shown = json.loads(line)
    assert (shown["message"], shown["resource_type"], shown["ResourcesProvided"]) == (
        "custom resource ready",
        ACTIVITY_STREAM,
        [1.0],
    )
    assert err == ""
    for text in (out, caplog.text):
        assert SIGNATURE not in text
        assert bucket.url not in text


@pytest.mark.node
def test_handler_installs_content_once_with_backups(
    node: AnyNode,
    search: OpenSearch,
    aws: LocalAws,
    bucket: AnswerBucket,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    name = f"t{secrets.token_hex(6)}-events"
    (tmp_path / "detections.json").write_bytes(dump(compile_all()[:3]))
    settings = {
        "OPENSEARCH_ENDPOINT": node.url,
        "OPENSEARCH_AUTH": "none",
        "INDEX_PREFIX": name,
        "DETECTIONS": str(tmp_path / "detections.json"),
        "BACKUP_BUCKET": aws.create_bucket(f"{name}-backups"),
        **aws.environment,
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    clients.session.cache_clear()

    def counts(kind: str) -> list[int]:
        del bucket.bodies[:]
        handler_module.handler(a_content_request(bucket, kind), InvocationContext())
        assert bucket.answer["Status"] == "SUCCESS", bucket.answer["Reason"]
        return [int(bucket.answer["Data"][what]) for what in ("Created", "Updated", "Unchanged")]

    def backups() -> list[str]:
        listed = aws.s3().list_objects_v2(Bucket=settings["BACKUP_BUCKET"])
        return [one["Key"] for one in listed.get("Contents", [])]

    counts("Create")
    created, updated, unchanged = counts("Update")
    assert (created, updated) == (0, 0)
    assert unchanged > 5
    assert backups() == []

    (template,) = search.indices.get_index_template(name=name)["index_templates"]
    search.indices.put_index_template(name=name, body={**template["index_template"], "priority": 321})
    assert counts("Update") == [0, 1, unchanged - 1]
    (key,) = backups()
    assert key.startswith("backups/2")
    kept = json.loads(aws.s3().get_object(Bucket=settings["BACKUP_BUCKET"], Key=key)["Body"].read())
    assert "321" in json.dumps(kept)


def test_missing_settings_are_all_named_in_the_answer(bucket: AnswerBucket, capsys: pytest.CaptureFixture[str]) -> None:
    handler_module.handler(a_content_request(bucket), InvocationContext())

    assert bucket.answer["Status"] == "FAILED"
    for name in ("OPENSEARCH_ENDPOINT", "BACKUP_BUCKET"):
        assert name in bucket.answer["Reason"]
    assert json.loads(capsys.readouterr().out)["level"] == "ERROR"


def test_a_secret_that_is_not_there_is_reported(
    aws: LocalAws, bucket: AnswerBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "detections.json").write_bytes(dump([]))
    settings = {
        "DETECTIONS": str(tmp_path / "detections.json"),
        "OPENSEARCH_ENDPOINT": "https://search.example.com",
        "OPENSEARCH_AUTH": "basic",
        "OPENSEARCH_SECRET_ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:nowhere-abcdef",
        "BACKUP_BUCKET": "backups",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws.url,
        **aws.environment,
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    clients.session.cache_clear()

    handler_module.handler(a_content_request(bucket), InvocationContext())

    shown = "Secrets Manager GetSecretValue of OPENSEARCH_SECRET_ARN: ResourceNotFoundException"
    assert bucket.answer["Reason"] == shown


@pytest.mark.parametrize("event", [None, {}, [], {"RequestType": "Create"}])
def test_without_a_url_the_handler_fails_visibly(event: Any) -> None:
    with pytest.raises(ResponseUndelivered, match="no ResponseURL"):
        handler_module.handler(event, InvocationContext())
