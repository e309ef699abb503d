"""The least version of OpenSearch: older ones are refused in a sentence, by whatever installs or looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daswatch.activity_streams.custom_resources import CONTENT
from daswatch.aws import clients
from daswatch.cli import app
from daswatch.detections.detection import dump
from daswatch.errors import LEAST_OPENSEARCH
from daswatch.opensearch.version_check import is_too_old
from demo.opensearch_home import RELEASES
from demo.stream import InvocationContext
from setup_lambda import handler as handler_module
from tests import ROOT
from tests.fakes.cloudformation_bucket import AnswerBucket, a_request
from tests.fakes.proxy import Proxy, answer

SENTENCE = "OpenSearch 2.12.0 is too old: Daswatch needs 2.13 or newer"


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A domain of an older version, which says so and is asked nothing else."""
    with Proxy("http://127.0.0.1:1") as proxy:
        proxy.on(lambda request: request.path == "/", answer(200, about("2.12.0")))
        monkeypatch.setenv("OPENSEARCH_ENDPOINT", proxy.url)
        monkeypatch.setenv("OPENSEARCH_AUTH", "none")
        clients.session.cache_clear()
        yield proxy


def about(number: str) -> bytes:
    return json.dumps(
        {
            "version": {"distribution": "opensearch", "number": number},
            "tagline": "The OpenSearch Project: https://opensearch.org/",
        }
    ).encode()


@pytest.mark.parametrize(
    ("number", "too_old"),
    [
        ("1.3.20", True),
        ("2.9.0", True),
        ("2.12.0", True),
        ("2.13.0", False),
        ("2.19.6", False),
        ("3.0.0-alpha1", False),
        ("10.0", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_is_too_old_compares_numbers(number: str, too_old: bool) -> None:
    assert is_too_old(number) is too_old


def test_releases_of_the_tests_are_new_enough() -> None:
    assert not [release.version for release in RELEASES if is_too_old(release.version)]


@pytest.mark.parametrize(
    "arguments",
    [("setup",), ("setup", "--dry-run"), ("detections", "test", "os-exec"), ("detections", "backtest", "os-exec")],
    ids=" ".join,
)
def test_commands_refuse_an_older_version(arguments: tuple[str, ...], old: Proxy) -> None:
    result = CliRunner().invoke(app, [*arguments, "--output", "json"])

    assert result.exit_code == 1, result.output
    error = json.loads(result.stdout)["error"]
    assert error["problems"] == [f"{old.url}: {SENTENCE}"]
    assert error["cause"] == "too old"
    assert "upgrade the domain" in error["next"]


def test_doctor_reports_an_older_version(old: Proxy) -> None:
    result = CliRunner().invoke(app, ["doctor", "--endpoint-only", "--output", "json"])

    assert result.exit_code == 1
    (check,) = json.loads(result.stdout)["checks"]
    assert (check["name"], check["status"], check["reason"]) == (old.url, "broken", SENTENCE)
    assert "upgrade the domain" in check["fix"]


def test_setup_function_refuses_an_older_version(
    old: Proxy, bucket: AnswerBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At once: an upgrade takes longer than a stack waits."""
    detections = tmp_path / "detections.json"
    detections.write_bytes(dump(()))
    monkeypatch.setenv("DETECTIONS", str(detections))
    monkeypatch.setenv("BACKUP_BUCKET", "backups")
    request = a_request(bucket.url, "Create", {"Version": "1"}, resource_type=CONTENT)

    handler_module.handler(request, InvocationContext(remaining_ms=60_000))

    assert (bucket.answer["Status"], bucket.answer["Reason"]) == ("FAILED", SENTENCE)


@pytest.mark.parametrize("page", ["README.md", "docs/versions.md"])
def test_pages_state_the_least_version(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert f"OpenSearch {'.'.join(map(str, LEAST_OPENSEARCH))} or newer" in text
