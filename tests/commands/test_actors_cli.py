"""`daswatch actors suggest` and `daswatch detections backtest --actors`, on a real node."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from opensearchpy import OpenSearch
from opensearchpy.helpers import bulk
from typer.testing import CliRunner, Result

from daswatch.cli import app
from daswatch.content.templates import shipped_content
from daswatch.detections import sigma
from daswatch.detections.samples import Sample, documents
from daswatch.detections.sigma import compile_rule
from daswatch.documents.document import Flattening
from daswatch.opensearch.templates import ContentGateway
from daswatch.times import iso_milliseconds
from demo.opensearch import AnyNode
from tests.detections.test_tuning import RULE
from tests.harness.installed import remove
from tests.harness.runs import ACTORS

DROPPED = {"command": "DROP TABLE", "class": "DDL", "commandText": "drop table old_orders"}
CLIENTS: Mapping[str, Mapping[str, Any]] = {
    "by hand": {"dbUserName": "anna", "clientApplication": "cli", "remoteHost": "10.9.1.1"},
    "pipeline": {"dbUserName": "shop_release", "clientApplication": "", "remoteHost": "10.20.1.1"},
    "Flyway": {"dbUserName": "shop", "clientApplication": "Flyway", "remoteHost": "10.20.1.1"},
}


@pytest.fixture(scope="module")
def at_node(search: OpenSearch, node: AnyNode) -> Iterator[dict[str, str]]:
    """Each client drops a table on each of three days; the pipeline on each day from another address."""
    prefix = f"t-actors-{secrets.token_hex(4)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    now = datetime.now(UTC)

    def actions() -> Iterator[dict[str, Any]]:
        for day in range(3):
            end = now - timedelta(days=day)
            flattening = Flattening(iso_milliseconds(end), index_prefix=prefix, actors=ACTORS)
            for client in CLIENTS.values():
                host = f"{client['remoteHost']}{day}" if client is CLIENTS["pipeline"] else client["remoteHost"]
                sample = Sample("", "match", "", "postgresql", ({"event": {**DROPPED, **client, "remoteHost": host}},))
                for one in documents(sample, "cluster-SHOP", end, flattening):
                    yield {"_op_type": "create", "_index": one.index, "_id": one.id, "_source": one.source}

    bulk(search, actions())
    search.indices.refresh(index=f"{prefix}-*")
    yield {"OPENSEARCH_ENDPOINT": node.url, "OPENSEARCH_AUTH": "none", "INDEX_PREFIX": prefix}
    remove(search, prefix)


def run(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "240", **(env or {})})


def test_suggest_needs_an_endpoint() -> None:
    result = run("actors", "suggest")

    assert result.exit_code == 2
    assert "OPENSEARCH_ENDPOINT is missing" in result.stderr


@pytest.mark.node
def test_suggest_proposes_clients_without_an_actor(at_node: dict[str, str]) -> None:
    result = run("actors", "suggest", "--days", "4", "--output", "json", env=at_node)

    assert result.exit_code == 0, result.output
    found = {one["user"]: one for one in orjson.loads(result.stdout)}
    assert set(found) == {"anna", "shop_release"}
    pipeline = found["shop_release"]
    assert (pipeline["events"], pipeline["days"], pipeline["kind"]) == (3, 3, "migration")
    assert (pipeline["network"], pipeline["activities"]) == ("10.20.1.0/24", {"DDL": 3})


@pytest.mark.node
def test_suggest_prints_a_table_and_a_section_to_paste(at_node: dict[str, str]) -> None:
    table = run("actors", "suggest", "--days", "4", env=at_node)
    section = run("actors", "suggest", "--days", "4", "--output", "yaml", env=at_node)

    assert "2 of 2 clients without an actor, 4 days" in table.stdout
    assert "shop_release" in table.stdout
    assert set(sigma.read_tuning(section.stdout).actors) == {"anna", "shop-release"}


@pytest.mark.node
def test_suggest_looks_at_these_days_only(at_node: dict[str, str]) -> None:
    result = run("actors", "suggest", "--days", "2", "--output", "json", env=at_node)

    assert {one["events"] for one in orjson.loads(result.stdout)} == {2}


@pytest.fixture
def drops(monkeypatch: pytest.MonkeyPatch) -> None:
    """One detection, which leaves out migrations."""
    rule = RULE.replace("dbUserName|expand: '%allowed-users%'", "actor: migration")

    def compile_all(tuning: sigma.Tuning = sigma.NO_TUNING) -> Any:
        return (compile_rule("table-drop", rule, tuning),)

    monkeypatch.setattr(sigma, "compile_all", compile_all)


@pytest.mark.node
@pytest.mark.usefixtures("drops")
def test_a_backtest_shows_what_entries_silence(at_node: dict[str, str], tmp_path: Path) -> None:
    entries = tmp_path / "actors.yml"
    own = {"kind": "migration", "users": ["SHOP_*"], "networks": ["10.20.*"], "reason": "The pipeline."}
    entries.write_text(yaml.safe_dump({"actors": {"pipeline": own}}), "utf-8")
    arguments = ("detections", "backtest", "--from", "4d", "--actors", str(entries))

    (answer,) = orjson.loads(run(*arguments, "--output", "json", env=at_node).stdout)["detections"]
    table = run(*arguments, env=at_node)

    assert (answer["alerts"], answer["alertsWithActors"]) == (6, 3)
    assert (answer["groups"], answer["groupsWithActors"]) == (2, 1)
    assert "with actors" in table.stdout


@pytest.mark.usefixtures("drops")
def test_a_file_without_entries_is_named(tmp_path: Path) -> None:
    entries = tmp_path / "actors.yml"
    entries.write_text("detections: {}", "utf-8")

    result = run("detections", "backtest", "--actors", str(entries))

    assert result.exit_code == 2
    assert "has no entries (expected: a section `actors`" in result.stderr
