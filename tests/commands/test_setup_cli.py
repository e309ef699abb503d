"""`daswatch setup` and `daswatch dashboards`, at a domain: what they print, write and answer."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch
from typer.testing import CliRunner, Result

from daswatch.cli import app
from daswatch.content.dashboards import file_of, ndjson, read_ndjson, shipped_objects
from daswatch.detections.detection import dump
from daswatch.detections.sigma import compile_all
from daswatch.indices import Indices
from demo.opensearch import AnyNode
from tests.fakes.opensearch_plugins import ALERTING, NOTIFICATIONS, Domain, failure
from tests.harness.installed import remove

TOPIC = "arn:aws:sns:eu-west-1:123456789012:monitors"


@pytest.fixture
def domain(search: OpenSearch, node: AnyNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Domain]:
    """A domain that the environment names, and a working directory of its own."""
    running, prefix = Domain(node.url), f"t-{secrets.token_hex(5)}-events"
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "OPENSEARCH_ENDPOINT": running.url,
        "OPENSEARCH_AUTH": "none",
        "INDEX_PREFIX": prefix,
        "MONITOR_TOPIC_ARN": TOPIC,
    }.items():
        monkeypatch.setenv(name, value)
    yield running
    running.close()
    remove(search, prefix)


def own() -> Indices:
    """The names of the deployment that the environment has."""
    return Indices(os.environ["INDEX_PREFIX"])


def monitor(detection: str = "bruteforce-user") -> str:
    return f"daswatch {own().stem} {detection}"


def daswatch(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "240", **(env or {})})


def done(*arguments: str) -> Result:
    result = daswatch(*arguments)
    assert result.exit_code == 0, result.output
    return result


def answer_of(*arguments: str) -> Any:
    return json.loads(done(*arguments, "--output", "json").stdout)


@pytest.mark.node
def test_the_plan_is_shown_and_nothing_written(domain: Domain) -> None:
    result = done("setup", "--dry-run")

    assert "Would be installed" in result.stdout
    assert "das-events-retention" not in result.stdout  # its name follows the prefix
    assert re.search(r"create .*retention policy .*t-\w+-events-retention", result.stdout)
    assert monitor() in result.stdout
    assert "no Security plugin" in result.stdout
    assert domain.writes == []


@pytest.mark.node
def test_machines_get_the_plan_with_its_steps_and_reasons(domain: Domain) -> None:
    first = answer_of("setup")
    second = answer_of("setup")

    assert {row["step"] for row in first["steps"]} >= {"create", "left out"}
    assert (first["changes"], first["dryRun"], first["backups"]) == (True, False, [])
    assert {row["step"] for row in second["steps"]} == {"unchanged", "left out"}
    assert second["changes"] is False


@pytest.mark.node
def test_people_see_what_is_unchanged_in_one_line_for_each_kind(domain: Domain) -> None:
    done("setup")
    domain.alerting.named(monitor())["enabled"] = False

    lines = [line for line in done("setup", "--dry-run").stdout.splitlines() if " unchanged " in line]

    assert sum("monitor " in line for line in lines) <= 3
    assert any(monitor() in line and "switched off" in line for line in lines)


@pytest.mark.node
def test_it_says_where_what_it_replaced_is(domain: Domain, tmp_path: Path) -> None:
    done("setup")
    domain.dashboards.objects["index-pattern", f"{own().saved_object_start}events"]["attributes"]["title"] = "mine-*"

    result = done("setup", "--backup-dir", "kept")

    (file,) = (tmp_path / "kept").rglob("*.ndjson")
    assert "Done: 0 created, 1 updated" in result.stdout
    assert f"What was replaced is in {file.parent.relative_to(tmp_path)} (1 files)" in result.stderr
    assert read_ndjson(file.read_bytes())[0].attributes["title"] == "mine-*"


@pytest.mark.node
def test_a_run_that_replaces_nothing_leaves_no_folder(domain: Domain, tmp_path: Path) -> None:
    done("setup")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.node
def test_parts_can_be_left_out(domain: Domain) -> None:
    rows = answer_of("setup", "--no-dashboards", "--no-monitors")["steps"]

    assert not {row["kind"] for row in rows if row["step"] == "create"} & {"monitor", "saved object"}
    assert domain.alerting.monitors == {}
    assert domain.dashboards.objects == {}


@pytest.mark.node
def test_a_failing_step_ends_it_with_what_to_do_next(domain: Domain) -> None:
    domain.fail(f"{ALERTING}/monitors", failure(503, "unavailable", "the plugin restarts"))

    result = daswatch("setup")

    assert result.exit_code == 1
    assert ": monitor daswatch " in result.stderr
    assert "correct the cause and run it again" in result.stderr


@pytest.mark.node
def test_setup_goes_on_after_a_part_that_failed(domain: Domain) -> None:
    domain.fail(f"{ALERTING}/monitors", failure(503, "unavailable", "the plugin restarts"))

    result = daswatch("setup", "--output", "json")
    answer = json.loads(result.stdout)

    assert result.exit_code == 1
    monitors = [row["name"] for row in answer["steps"] if row["kind"] == "monitor" and row["step"] == "create"]
    assert [one["name"] for one in answer["failed"]] == monitors
    assert {one["kind"] for one in answer["failed"]} == {"monitor"}
    assert all("503" in one["why"] for one in answer["failed"])
    assert answer["notTried"] == []
    assert domain.dashboards.objects
    assert {row["step"] for row in answer_of("setup", "--no-monitors")["steps"]} == {"unchanged", "left out"}


@pytest.mark.node
def test_setup_does_not_try_what_needs_a_failed_part(domain: Domain) -> None:
    domain.fail(NOTIFICATIONS, failure(503, "unavailable", "the plugin restarts"))

    result = daswatch("setup", "--output", "json")
    answer = json.loads(result.stdout)

    assert result.exit_code == 1
    assert [one["kind"] for one in answer["failed"]] == ["notification channel"]
    assert {one["kind"] for one in answer["notTried"]} == {"monitor"}
    assert {one["why"] for one in answer["notTried"]} == {"needs notification channel, which failed"}
    assert domain.dashboards.objects
    assert "1 failed, " in daswatch("setup").stdout


@pytest.mark.node
def test_a_teams_tuning_reaches_the_monitors(domain: Domain, tmp_path: Path) -> None:
    tuning = tmp_path / "tuning.yml"
    tuning.write_text("detections:\n  bruteforce-user: {enabled: false}\n", "utf-8")

    done("setup", "--tuning", str(tuning))

    assert domain.alerting.named(monitor())["enabled"] is False


@pytest.mark.node
@pytest.mark.parametrize("by", ["option", "environment"])
def test_compiled_detections_are_read(domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    file = tmp_path / "one.json"
    file.write_bytes(dump([one for one in compile_all() if one.name == "bruteforce-user"]))
    if by == "environment":
        monkeypatch.setenv("DETECTIONS", str(file))

    done("setup", *(["--detections", str(file)] if by == "option" else []))

    assert [one["name"] for one in domain.alerting.monitors.values()] == [monitor()]


@pytest.mark.parametrize(
    ("arguments", "env", "problem"),
    [
        ([], {}, "OPENSEARCH_ENDPOINT is missing"),
        ([], {"MONITOR_TOPIC_ARN": "topic"}, "MONITOR_TOPIC_ARN is not an ARN"),
        ([], {"DASHBOARDS_URL": "dashboards", "OPENSEARCH_ENDPOINT": "https://x"}, "DASHBOARDS_URL is not a URL"),
        ([], {"DETECTIONS": "none.json", "OPENSEARCH_ENDPOINT": "https://x"}, "none.json cannot be read"),
        (["--tuning", __file__, "--detections", __file__], {"OPENSEARCH_ENDPOINT": "https://x"}, "exclude each other"),
    ],
)
def test_wrong_settings_are_named(arguments: list[str], env: Mapping[str, str], problem: str) -> None:
    result = daswatch("setup", *arguments, env=env)

    assert result.exit_code == 2
    assert problem in result.stderr


# --- dashboards ---


def test_pack_writes_an_importable_file(tmp_path: Path) -> None:
    to = tmp_path / "out" / "daswatch.ndjson"

    result = done("dashboards", "pack", "--to", str(to))

    expected = shipped_objects(Indices(), compile_all())
    assert result.stdout.startswith(f"{len(expected)} saved objects in ")
    assert read_ndjson(to.read_bytes()) == expected


def test_unpack_leaves_out_saved_searches_of_rules(tmp_path: Path) -> None:
    """An export becomes readable files, without the objects that are compiled from rules."""
    export, to = tmp_path / "export.ndjson", tmp_path / "dashboards"
    objects = shipped_objects(Indices(), compile_all())
    export.write_bytes(ndjson(objects) + b'{"exportedCount":1,"missingRefCount":0,"missingReferences":[]}')

    result = done("dashboards", "unpack", str(export), "--to", str(to))

    kept = shipped_objects(Indices())
    assert {path.relative_to(to).as_posix(): path.read_bytes() for path in to.rglob("*.json")} == dict(
        file_of(one) for one in kept
    )
    assert f"{len(objects) - len(kept)} saved searches of detections are left out" in result.stdout


@pytest.mark.parametrize("content", [b"no json\n", b'{"id": "x"}\n', b"[]\n"])
def test_file_that_is_not_an_export_is_named(tmp_path: Path, content: bytes) -> None:
    export = tmp_path / "export.ndjson"
    export.write_bytes(content)

    result = daswatch("dashboards", "unpack", str(export), "--to", str(tmp_path))

    assert result.exit_code == 2
    assert "is not an export of Dashboards" in result.stderr


def test_an_objects_id_leads_nowhere(tmp_path: Path) -> None:
    export, to = tmp_path / "export.ndjson", tmp_path / "a" / "b" / "c"
    raw = {"type": "query", "id": "../../outside", "attributes": {"title": "x"}, "references": []}
    export.write_bytes(orjson.dumps(raw) + b"\n")

    done("dashboards", "unpack", str(export), "--to", str(to))

    assert [path.parent for path in tmp_path.rglob("*outside*")] == [to / "query"]


@pytest.mark.node
def test_export_has_shipped_objects_and_their_references(domain: Domain, tmp_path: Path) -> None:
    done("setup")
    pattern = domain.dashboards.objects["index-pattern", f"{own().saved_object_start}events"]
    pattern["attributes"]["title"] = "edited-*"
    pattern["references"] = [{"name": "x", "type": "search", "id": "new"}]
    domain.dashboards.put({"type": "search", "id": "new", "attributes": {"title": "x"}, "references": []})
    domain.dashboards.put({"type": "search", "id": "foreign", "attributes": {"title": "x"}, "references": []})

    done("dashboards", "export", "--to", "files")

    files = {path.relative_to(tmp_path / "files").as_posix() for path in (tmp_path / "files").rglob("*.json")}
    assert files == {"search/new.json", *(file_of(one)[0] for one in shipped_objects(Indices()))}
    assert b"edited-*" in (tmp_path / "files/index-pattern/das-events.json").read_bytes()
    done("dashboards", "export", "--to", "all", "--all")
    assert (tmp_path / "all/search/foreign.json").exists()


@pytest.mark.node
def test_an_export_forgets_the_index_prefix(domain: Domain, tmp_path: Path) -> None:
    done("setup")

    done("dashboards", "export", "--to", "files")

    assert json.loads((tmp_path / "files/index-pattern/das-events.json").read_bytes())["attributes"]["title"] == (
        "das-events-*"
    )
