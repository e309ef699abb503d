"""What answers and is not AWS or not OpenSearch, and what does not answer: a sentence, and never a traceback."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3.exceptions
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
)
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionTimeout
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner, Result
from werkzeug import Request, Response

from daswatch.aws import clients, deployment_lookup
from daswatch.aws.error_causes import NEXT_STEPS, Cause, no_answer
from daswatch.aws.session import aws_session, unknown_region
from daswatch.cli import app
from daswatch.commands.error_messages import Exit, Failure, explain
from daswatch.errors import DashboardsUnavailable, RdsUnavailable, SearchUnavailable, SettingsError
from daswatch.opensearch.version_check import check_opensearch
from tests.fakes.rds import Rds

REGION = "eu-west-1"
SIGNED_IN = {
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_MAX_ATTEMPTS": "1",
}
HTML = b"<!DOCTYPE html><title>Bad gateway</title><p>secret-of-the-proxy</p>"


@dataclass
class Answering:
    """A server that answers everything alike."""

    url: str
    status: int = 200
    body: bytes = b""
    requests: int = 0

    def answer(self, _: Request) -> Response:
        """The response to any request."""
        self.requests += 1
        kind = "application/json" if self.body.startswith(b"{") else "text/html"
        return Response(self.body, self.status, content_type=kind)


@pytest.fixture
def server(httpserver: HTTPServer) -> Answering:
    """Anything but AWS and OpenSearch."""
    answering = Answering(httpserver.url_for("").rstrip("/"))
    httpserver.expect_request(re.compile("")).respond_with_handler(answering.answer)
    return answering


@pytest.fixture
def closing() -> Iterator[int]:
    """A port that closes each connection without a word."""
    listening = socket.create_server(("127.0.0.1", 0))

    def close_all() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.close()

    threading.Thread(target=close_all, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def daswatch(*arguments: str, env: Mapping[str, str]) -> Result:
    clients.session.cache_clear()
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300", **env})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def error_of(*arguments: str, env: Mapping[str, str], code: int = 1) -> dict[str, Any]:
    """What a command prints for machines."""
    result = daswatch(*arguments, "--output", "json", env=env)
    assert result.exit_code == code, result.output
    return dict(json.loads(result.stdout)["error"])


# AWS.


@pytest.fixture
def short_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails each time is given up soon."""
    monkeypatch.setattr(deployment_lookup, "LOOKUP_SECONDS", 5.0)


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("rds", "describe_db_instances", {}),
        ("cloudformation", "describe_stacks", {}),
        ("sts", "get_caller_identity", {}),
        ("kms", "describe_key", {"KeyId": "x"}),
        ("lambda", "get_function_configuration", {"FunctionName": "x"}),
        ("s3", "head_bucket", {"Bucket": "bucket"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "x"}),
    ],
)
@pytest.mark.parametrize(
    ("status", "body"), [(500, HTML), (200, HTML), (502, b"Bad gateway"), (200, b"<Foo><Bar/></Foo>"), (404, b"<html>")]
)
def test_a_foreign_answer_is_an_error_of_botocores(
    service: Any, call: str, arguments: dict[str, str], status: int, body: bytes, server: Answering
) -> None:
    server.status, server.body = status, body
    client: Any = aws_session().client(
        service,
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )

    with pytest.raises(Exception, match="is not AWS") as caught:
        getattr(client, call)(**arguments)

    found = no_answer(caught.value)
    assert found is not None
    assert (found.cause, found.endpoint) == (Cause.NOT_AWS, server.url)
    assert "secret-of-the-proxy" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments", [("stream", "status"), ("stream", "start", "db:x", "--kms-key", "k"), ("stream", "stop", "db:x")]
)
def test_html_instead_of_aws_is_a_sentence(arguments: tuple[str, ...], server: Answering) -> None:
    server.status, server.body = 500, HTML
    env = {**SIGNED_IN, "AWS_ENDPOINT_URL": server.url}

    error = error_of(*arguments, env=env)
    table = daswatch(*arguments, env=env)

    assert error["problems"] == [f"what answers at {server.url} is not AWS (unreadable: ResponseParserError)"]
    assert (error["endpoint"], error["cause"], error["exitCode"]) == (server.url, "not AWS", 1)
    assert "AWS_ENDPOINT_URL" in error["next"]
    assert table.exit_code == 1
    assert table.stderr.splitlines() == [f"daswatch: {error['problems'][0]}", f"next: {error['next']}"]


@pytest.mark.usefixtures("short_lookups")
def test_the_doctor_names_what_is_not_aws(server: Answering) -> None:
    server.status, server.body = 500, HTML

    result = daswatch("doctor", "--output", "json", env={**SIGNED_IN, "AWS_ENDPOINT_URL": server.url})

    assert result.exit_code == 1
    stack = json.loads(result.stdout)["checks"][0]
    assert f"what answers at {server.url} is not AWS" in stack["reason"]
    assert "AWS_ENDPOINT_URL" in stack["fix"]


@pytest.mark.parametrize(
    "arguments", [("stream", "status"), ("stream", "start", "db:x", "--kms-key", "k"), ("doctor",)], ids=" ".join
)
def test_missing_credentials_are_a_matter_of_usage(arguments: tuple[str, ...]) -> None:
    error = error_of(*arguments, env={"AWS_REGION": REGION}, code=2)

    assert "AWS credentials are missing" in error["problems"][0]
    assert error["exitCode"] == 2


@pytest.mark.usefixtures("short_lookups")
@pytest.mark.parametrize("arguments", [("stream", "status"), ("doctor",)])
def test_a_region_that_does_not_exist_is_the_cause(arguments: tuple[str, ...]) -> None:
    port = closed_port()
    env = {**SIGNED_IN, "AWS_REGION": "eu-wset-9", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}

    error = error_of(*arguments, env=env, code=2)

    assert error["problems"][0].startswith("AWS_REGION: eu-wset-9 is not a region of AWS (did you mean eu-west-1")


def test_regions_are_reported_from_typing_errors() -> None:
    assert unknown_region("eu-west-1") == unknown_region("us-gov-west-1") == unknown_region("cn-north-1") == ""
    assert unknown_region("mars") == "mars is not a region of AWS"


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({}, None),
    ],
)
def test_the_region_is_read_from_aws_region_first(
    variables: dict[str, str], region: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert aws_session().region_name == region


def test_one_variable_for_the_region_suffices(rds: Rds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    name = rds.cluster()

    result = daswatch("stream", "status", name, env={"AWS_REGION": REGION})

    assert result.exit_code == 0, result.output
    assert name in result.stdout


def test_a_profile_that_is_missing_is_named() -> None:
    error = error_of("stream", "status", env={"AWS_PROFILE": "nope", "AWS_REGION": REGION}, code=2)

    assert "AWS_PROFILE" in error["problems"][0]


# OpenSearch.


@pytest.mark.parametrize(
    "arguments",
    [("setup", "--dry-run"), ("setup",), ("detections", "test", "os-exec"), ("detections", "backtest", "os-exec")],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (404, b'{"a": 1}', "it answers 404"),
        (404, HTML, "it answers 404"),
        (500, HTML, "it answers 500"),
        (200, b"{}", "names no version of OpenSearch"),
        (200, HTML, "it answers without JSON"),
        (200, b'{"version": {"number": "8.1.0"}, "tagline": "You Know, for Search"}', "it is Elasticsearch 8.1.0"),
    ],
)
def test_another_server_is_not_taken_for_opensearch(
    arguments: tuple[str, ...], status: int, body: bytes, found: str, server: Answering
) -> None:
    server.status, server.body = status, body

    error = error_of(*arguments, env={"OPENSEARCH_ENDPOINT": server.url, "OPENSEARCH_AUTH": "none"})

    assert error["problems"][0].startswith(f"{server.url}: what answers is not OpenSearch: ")
    assert found in error["problems"][0]
    assert (error["endpoint"], error["cause"]) == (server.url, "not OpenSearch")
    assert "OPENSEARCH_ENDPOINT" in error["next"]
    assert server.requests == 1


@pytest.mark.parametrize(
    "version", [{"number": "7.10.2"}, {"number": "2.19.0", "distribution": "opensearch"}], ids=["compatible", "plain"]
)
def test_opensearch_is_known_by_its_own_words(version: Mapping[str, str], server: Answering) -> None:
    """A domain in compatibility mode has no distribution, and the version of Elasticsearch."""
    server.body = json.dumps(
        {"version": version, "tagline": "The OpenSearch Project: https://opensearch.org/"}
    ).encode()

    with OpenSearch(server.url) as client:
        check_opensearch(client, "es")

    assert server.requests == 1


@pytest.mark.parametrize("body", [b"{}", b'{"hits": 1}', HTML])
def test_another_server_is_not_taken_for_a_collection(body: bytes, server: Answering) -> None:
    server.body = body
    env = {"OPENSEARCH_ENDPOINT": server.url, "OPENSEARCH_AUTH": "none", "OPENSEARCH_SERVICE": "aoss"}

    error = error_of("setup", "--dry-run", env=env)

    assert error["cause"] == "not OpenSearch"


def test_the_doctor_names_what_is_not_opensearch(server: Answering) -> None:
    env = {"OPENSEARCH_ENDPOINT": server.url, "OPENSEARCH_AUTH": "none"}
    server.status, server.body = 404, b"{}"

    result = daswatch("doctor", "--endpoint-only", "--output", "json", env=env)

    assert result.exit_code == 1
    (check,) = json.loads(result.stdout)["checks"]
    assert (check["name"], check["status"]) == (server.url, "broken")
    assert "what answers is not OpenSearch" in check["reason"]


def test_an_endpoint_that_refuses_is_named() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    for arguments in (("setup", "--dry-run"), ("detections", "test", "os-exec")):
        error = error_of(*arguments, env={"OPENSEARCH_ENDPOINT": url, "OPENSEARCH_AUTH": "none"})

        assert error["problems"] == [f"OpenSearch at {url} does not answer (connection refused)"]
        assert (error["endpoint"], error["cause"]) == (url, "connection refused")


def test_a_name_that_dns_does_not_know_is_named() -> None:
    url = "http://search.invalid"

    error = error_of("setup", "--dry-run", env={"OPENSEARCH_ENDPOINT": url, "OPENSEARCH_AUTH": "none"})

    assert error["problems"] == [f"OpenSearch at {url} does not answer (unknown host name)"]


def test_tls_at_a_port_without_it_is_named(server: Answering) -> None:
    url = server.url.replace("http://", "https://")

    error = error_of("setup", "--dry-run", env={"OPENSEARCH_ENDPOINT": url, "OPENSEARCH_AUTH": "none"})

    assert error["cause"] == "TLS failure"
    assert url in error["problems"][0]


def test_a_closed_connection_is_named(closing: int) -> None:
    url = f"http://127.0.0.1:{closing}"

    error = error_of("setup", "--dry-run", env={"OPENSEARCH_ENDPOINT": url, "OPENSEARCH_AUTH": "none"})

    assert error["cause"] == "connection closed"


def test_dashboards_that_do_not_answer_are_named() -> None:
    url = f"http://127.0.0.1:{closed_port()}/_dashboards"
    env = {"OPENSEARCH_ENDPOINT": "http://127.0.0.1:9", "OPENSEARCH_AUTH": "none", "DASHBOARDS_URL": url}

    result = daswatch("dashboards", "export", env=env)

    assert result.exit_code == 1
    assert f"OpenSearch Dashboards at {url} does not answer (connection refused)" in result.stderr


# Values.


def raised(exc: Exception, cause: BaseException) -> Exception:
    try:
        raise exc from cause
    except type(exc) as caught:
        return caught


CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")
CERTIFICATE.verify_message = "self-signed certificate"


@pytest.mark.parametrize(
    ("exc", "cause"),
    [
        (ReadTimeoutError(endpoint_url="https://rds.eu-west-1.amazonaws.com/?a=secret"), Cause.TIMEOUT),
        (ConnectTimeoutError(endpoint_url="https://rds.eu-west-1.amazonaws.com/"), Cause.TIMEOUT),
        (ConnectionTimeout("TIMEOUT", "x", urllib3.exceptions.ReadTimeoutError(None, "", "")), Cause.TIMEOUT),  # type: ignore[arg-type]
        (ProxyConnectionError(proxy_url="http://user:secret@proxy:3128", error=ConnectionRefusedError()), Cause.PROXY),
        (raised(ValueError(), OSError(113, "No route to host")), Cause.UNREACHABLE),
        (raised(ValueError(), socket.gaierror(-2, "Name or service not known")), Cause.DNS),
        (raised(ValueError(), CERTIFICATE), Cause.TLS),
        (urllib3.exceptions.ProtocolError("Connection aborted."), Cause.CLOSED),
    ],
)
def test_causes_are_read_from_the_libraries_exceptions(exc: Exception, cause: Cause) -> None:
    found = no_answer(exc)

    assert found is not None
    assert found.cause is cause
    assert "secret" not in found.sentence
    assert set(NEXT_STEPS) == set(Cause)


def test_an_exception_of_another_kind_has_no_cause() -> None:
    assert no_answer(raised(ValueError("x"), KeyError("y"))) is None


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}}, "DescribeDBInstances")


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (SettingsError(["X is missing"]), Exit.USAGE),
        (raised(RdsUnavailable("RDS"), NoCredentialsError()), Exit.USAGE),
        (raised(RdsUnavailable("RDS"), client_error("ExpiredToken")), Exit.USAGE),
        (raised(RdsUnavailable("RDS"), client_error("InternalFailure")), Exit.FAILED),
        (NoCredentialsError(), Exit.USAGE),
        (client_error("AccessDenied"), Exit.FAILED),
        (SearchUnavailable("OpenSearch answered 403", 403), Exit.FAILED),
        (DashboardsUnavailable("Dashboards answered 500", 500), Exit.FAILED),
    ],
)
def test_every_failure_has_its_exit_code(exc: Exception, code: Exit) -> None:
    failure = explain(exc, {"AWS_REGION": REGION, "OPENSEARCH_ENDPOINT": "https://search.example.org"})

    assert isinstance(failure, Failure)
    assert failure.exit_code is code


def test_a_defect_of_ours_is_not_explained_away() -> None:
    assert explain(KeyError("x"), {}) is None
