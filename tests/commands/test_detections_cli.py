"""`daswatch detections`: what it prints, what it writes, and what it asks a real node."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch, Transport
from opensearchpy.helpers import bulk
from typer.testing import CliRunner, Result

from daswatch.cli import app
from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.detections.actors import shipped_actors
from daswatch.detections.detection import DetectionKind, load
from daswatch.detections.sigma import compile_all, enabled, rule_folders
from daswatch.documents import actors
from daswatch.documents.document import Flattening, flatten
from daswatch.opensearch.backtest_runs import BacktestRun
from daswatch.opensearch.saved_queries import Question, SavedQueries
from daswatch.opensearch.templates import ContentGateway
from daswatch.queries.backtests import Period
from daswatch.queries.monitors import has_monitor
from daswatch.queries.saved_query import Candidate, evaluation_times, event_window
from daswatch.records.envelope import stream_source
from daswatch.records.monitoring_record import read_monitoring_record
from daswatch.times import iso_milliseconds
from demo.opensearch import AnyNode
from demo.scenarios import EVERY_SCENARIO
from demo.traffic import produce
from tests.harness.installed import give_back, installed_prefix, remove

NAMES = [folder.name for folder in rule_folders()]
START = datetime(2033, 5, 3, 9, tzinfo=UTC)

TUNING = """
detections:
  bruteforce-user: {enabled: false}
  mass-read: {level: critical}
suppressions:
  - {detection: mass-read, when: {dbUserName: a}, owner: Mira, reason: x, expires: 2020-01-31}
  - {detection: mass-read, when: {dbUserName: b}, owner: Tom, reason: x, expires: 2120-01-31}
"""


def detections(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    """Run a command in a wide terminal."""
    return CliRunner().invoke(app, ["detections", *arguments], env={"COLUMNS": "240", **(env or {})})


def answer_of(*arguments: str, env: Mapping[str, str] | None = None) -> Any:
    """What a command that works prints for machines."""
    result = detections(*arguments, env=env)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def tuning(tmp_path: Path) -> str:
    path = tmp_path / "tuning.yml"
    path.write_text(TUNING, "utf-8")
    return str(path)


def test_list_shows_every_detection_with_its_level() -> None:
    result = detections("list")

    assert result.exit_code == 0
    for detection in compile_all():
        (line,) = [line for line in result.stdout.splitlines() if f"│ {detection.name} " in line]
        assert detection.level in line
        assert (" yes " in line) is detection.enabled
        assert detection.enabled or detection.disabled_because[:40] in result.stdout


def test_list_as_json_has_condition_and_state() -> None:
    rows = answer_of("list", "--output", "json")

    assert [row["name"] for row in rows] == NAMES
    for row, detection in zip(rows, compile_all(), strict=True):
        assert (row["enabled"], row["kind"], row["level"]) == (detection.enabled, detection.kind, detection.level)
        assert row["fires"]
        assert bool(row["disabledBecause"]) is not detection.enabled


def test_list_shows_what_a_tuning_file_changes(tuning: str) -> None:
    rows = {row["name"]: row for row in answer_of("list", "--tuning", tuning, "--output", "json")}

    assert rows["bruteforce-user"]["enabled"] is False
    assert rows["mass-read"]["level"] == "critical"
    assert [(one["owner"], one["expired"]) for one in rows["mass-read"]["suppressions"]] == [
        ("Mira", True),
        ("Tom", False),
    ]


@pytest.mark.parametrize("arguments", [["list"], ["show", "mass-read"], ["list", "--output", "json"]])
def test_expired_suppression_is_a_warning_with_its_owner(arguments: list[str], tuning: str) -> None:
    result = detections(*arguments, "--tuning", tuning)

    (warning,) = result.stderr.splitlines()
    assert warning == "warning: mass-read: a suppression of Mira expired on 2020-01-31; its events raise alerts again"


def test_a_suppression_that_has_expired_is_shown_apart(tuning: str) -> None:
    result = detections("list", "--tuning", tuning)

    assert "expired 2020-01-31, Mira" in result.stdout
    assert "until 2120-01-31, Tom" in result.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("detections: {no-such: {level: high}}", "there is no detection 'no-such'"),
        ("detections: {mass-read: {settings: {rows: 3}}}", "there is no setting 'rows'"),
        ("nonsense: 1", "expected the sections"),
        ("\udcff", "cannot be read (UnicodeDecodeError"),
    ],
)
def test_a_wrong_tuning_file_is_one_line_and_wrong_usage(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "tuning.yml"
    path.write_text(text, "utf-8", errors="surrogateescape")

    result = detections("list", "--tuning", str(path))

    assert result.exit_code == 2
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_detection_that_does_not_exist_is_wrong_usage() -> None:
    result = detections("show", "no-such")

    assert result.exit_code == 2
    assert "there is no detection 'no-such'" in result.stderr


def test_show_renders_the_page() -> None:
    result = detections("show", "bruteforce-user")

    assert result.exit_code == 0
    assert "Brute-force login attempts on one account" in result.stdout
    assert "Why it matters" in result.stdout
    assert "**" not in result.stdout


def test_show_prints_the_saved_query_over_its_latest_window() -> None:
    body = answer_of("show", "bruteforce-user", "--as", "query")

    assert body["query"]["bool"]["filter"][-1] == {"range": {"@timestamp": {"gte": "now-720s", "lte": "now"}}}
    assert "groups" in body["aggs"]


def test_show_prints_the_monitor_of_the_index_prefix() -> None:
    body = answer_of(
        "show", "bruteforce-user", "--as", "monitor", "--channel", "pager", env={"INDEX_PREFIX": "audit-events"}
    )

    assert body["name"] == "daswatch audit bruteforce-user"
    assert body["inputs"][0]["search"]["indices"] == ["audit-events-*"]
    assert '"destination_id": "pager"' in json.dumps(body)


def test_show_prints_the_saved_search() -> None:
    assert answer_of("show", "bruteforce-user", "--as", "search")["id"] == "das-detection-bruteforce-user"


def test_show_prints_all_that_is_compiled(tuning: str) -> None:
    shown = answer_of("show", "mass-read", "--as", "json", "--tuning", tuning)

    assert (shown["name"], shown["level"]) == ("mass-read", "critical")
    assert [one["owner"] for one in shown["suppressions"]] == ["Mira", "Tom"]


@pytest.mark.parametrize(
    ("name", "view", "expected"),
    [
        ("bruteforce-success", "monitor", "has no monitor"),
        ("das-silent", "monitor", "has no monitor"),
        ("das-silent", "search", "has no saved search"),
        ("das-failing", "query", "has no saved query"),
    ],
)
def test_show_says_why_there_is_none(name: str, view: str, expected: str) -> None:
    result = detections("show", name, "--as", view)

    assert result.exit_code == 0
    assert result.stdout.startswith(f"{name} {expected}: ")
    assert len(result.stdout.splitlines()) == 1


def test_compile_writes_what_the_functions_read(tmp_path: Path, tuning: str) -> None:
    to = tmp_path / "build" / "detections.json"

    result = detections("compile", "--tuning", tuning, "--to", str(to))

    assert result.exit_code == 0, result.output
    compiled = {detection.name: detection for detection in load(to.read_bytes())}
    assert list(compiled) == NAMES
    assert compiled["mass-read"].level == "critical"
    running = enabled(compiled.values())
    assert result.stdout.startswith(f"{len(NAMES)} detections, {len(running)} of them enabled, in ")
    assert actors.load_file(to.with_name("actors.json")).entries == shipped_actors()
    assert sorted(path.name for path in to.parent.iterdir()) == ["actors.json", to.name]


def test_compile_writes_pages_monitors_and_saved_searches(tmp_path: Path) -> None:
    result = detections(
        "compile",
        *("--to", str(tmp_path / "detections.json")),
        *("--docs", str(tmp_path / "pages")),
        *("--monitors", str(tmp_path / "monitors.json")),
        *("--searches", str(tmp_path / "searches.ndjson")),
    )

    assert result.exit_code == 0, result.output
    compiled = load((tmp_path / "detections.json").read_bytes())
    pages = {path.stem: path.read_text("utf-8") for path in (tmp_path / "pages").iterdir()}
    assert set(pages) == {*NAMES, "index"}
    assert all(f"# {one.title}" in pages[one.name] for one in compiled)
    monitors = json.loads((tmp_path / "monitors.json").read_bytes())
    assert [one["name"] for one in monitors] == [f"daswatch {one.name}" for one in compiled if has_monitor(one)]
    searches = [json.loads(line) for line in (tmp_path / "searches.ndjson").read_bytes().splitlines()]
    assert {one["type"] for one in searches} == {"search"}
    assert len(searches) == len(
        [one for one in compiled if one.kind not in (DetectionKind.SILENCE, DetectionKind.FAILING)]
    )


def test_compile_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")

    result = detections("compile", "--to", str(tmp_path / "file" / "detections.json"))

    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_wrong_index_prefix_is_named_before_any_write(tmp_path: Path) -> None:
    to = tmp_path / "detections.json"

    result = detections("compile", "--to", str(to), env={"INDEX_PREFIX": "No Prefix"})

    assert result.exit_code == 2
    assert "INDEX_PREFIX is not an index prefix" in result.stderr
    assert not to.exists()


@pytest.mark.parametrize("command", ["test", "backtest"])
def test_what_runs_somewhere_needs_an_endpoint(command: str) -> None:
    result = detections(command)

    assert result.exit_code == 2
    assert "OPENSEARCH_ENDPOINT is missing" in result.stderr


@pytest.mark.parametrize("command", ["test", "backtest"])
def test_endpoint_without_an_answer_is_named(command: str) -> None:
    # Nothing listens on a port that only root could have.
    result = detections(
        command, "os-exec", env={"OPENSEARCH_ENDPOINT": "http://127.0.0.1:9", "OPENSEARCH_AUTH": "none"}
    )

    assert result.exit_code == 1
    problem, next_step = result.stderr.splitlines()[-2:]
    assert problem == "daswatch: OpenSearch at http://127.0.0.1:9 does not answer (connection refused)"
    assert next_step.startswith("next: ")


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ("yesterday", "now", "--from is not a time"),
        ("7d", "7x", "--to is not a time"),
        ("1d", "2d", "--from is not before --to"),
        ("2033-05-03", "2033-05-03T00:00Z", "--from is not before --to"),
    ],
)
def test_wrong_span_is_named(begin: str, end: str, expected: str) -> None:
    result = detections("backtest", "--from", begin, "--to", end)

    assert result.exit_code == 2
    assert expected in result.stderr


@pytest.fixture
def at_node(node: AnyNode) -> dict[str, str]:
    return {"OPENSEARCH_ENDPOINT": node.url, "OPENSEARCH_AUTH": "none"}


@pytest.mark.node
def test_samples_that_are_right_exit_with_0_and_leave_nothing(at_node: dict[str, str], search: OpenSearch) -> None:
    answer = answer_of("test", "bruteforce-user", "das-failing", "--output", "json", env=at_node)

    verdicts = answer["bruteforce-user"]
    assert {one["expected"] for one in verdicts} == {"match", "ignore"}
    assert all(one["right"] and one["fired"] is (one["expected"] == "match") for one in verdicts)
    assert answer["das-failing"] == []
    assert search.indices.get(index="das-samples-*", params={"expand_wildcards": "all"}) == {}


@pytest.mark.node
def test_samples_that_are_missed_are_named_and_exit_with_1(at_node: dict[str, str], tmp_path: Path) -> None:
    tuning = tmp_path / "tuning.yml"
    tuning.write_text("detections: {bruteforce-user: {settings: {threshold: 1000}}}", "utf-8")

    result = detections("test", "bruteforce-user", "--tuning", str(tuning), env=at_node)

    assert result.exit_code == 1
    assert "missed: postgresql: twelve wrong passwords in two minutes" in result.stdout
    assert "fired on" not in result.stdout


@pytest.mark.node
def test_near_misses_that_are_found_are_named_and_exit_with_1(at_node: dict[str, str], tmp_path: Path) -> None:
    tuning = tmp_path / "tuning.yml"
    tuning.write_text("detections: {bruteforce-user: {settings: {threshold: 1}}}", "utf-8")

    result = detections("test", "bruteforce-user", "--tuning", str(tuning), env=at_node)

    assert result.exit_code == 1
    assert "fired on: " in result.stdout
    assert "missed: " not in result.stdout


@dataclass(frozen=True)
class Traffic:
    """Produced traffic with every scenario, indexed; and what the ledger says that it has to raise."""

    prefix: str
    env: dict[str, str]
    raised: set[tuple[str, str]]  # detection, resource id


@pytest.fixture(scope="module")
def traffic(search: OpenSearch, node: AnyNode) -> Iterator[Traffic]:
    prefix = f"t-backtest-{secrets.token_hex(4)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    flattening = Flattening(iso_milliseconds(START), index_prefix=prefix)
    raised: set[tuple[str, str]] = set()

    def actions() -> Iterator[dict[str, Any]]:
        for record in produce(23, START, 12_000, scenarios=EVERY_SCENARIO):
            stream = stream_source(record.database.stream_arn("eu-west-1"))
            content = read_monitoring_record(orjson.dumps(record.monitoring_record))
            arrival, version = iso_milliseconds(record.arrival), record.database.version
            for entry in record.entries:
                if entry.fate == "indexed":
                    raised.update((detection, entry.resource_id) for detection in entry.detections)
            for document in flatten(content, stream, version, arrival, flattening).documents:
                yield {"_op_type": "create", "_index": document.index, "_id": document.id, "_source": document.source}

    bulk(search, actions(), chunk_size=2000)
    search.indices.refresh(index=f"{prefix}-*")
    env = {"OPENSEARCH_ENDPOINT": node.url, "OPENSEARCH_AUTH": "none", "INDEX_PREFIX": prefix}
    yield Traffic(prefix, env, raised)
    remove(search, prefix)


DAY = ("--from", "2033-05-03", "--to", "2033-05-04")


@pytest.mark.node
def test_a_backtest_finds_exactly_what_the_ledger_says(traffic: Traffic) -> None:
    answer = answer_of("backtest", *DAY, "--output", "json", env=traffic.env)

    running = {detection.name for detection in enabled(compile_all())}
    found = {
        (one["detection"], group["resourceId"])
        for one in answer["detections"]
        for group in one["noisiest"]
        if one["detection"] != "das-tamper-control-plane"
    }
    assert {one["detection"] for one in answer["detections"]} == running
    assert found == {(name, resource_id) for name, resource_id in traffic.raised if name in running}
    assert not [one["detection"] for one in answer["detections"] if one["failure"]]


@pytest.mark.node
def test_backtest_reports_times_counts_and_groups(traffic: Traffic) -> None:
    answer = answer_of("backtest", "bruteforce-user", *DAY, "--output", "json", env=traffic.env)

    (one,) = answer["detections"]
    assert (one["alerts"], one["groups"], one["perDay"]) == (4, 4, {"2033-05-03": 4})
    assert one["first"].startswith("2033-05-03T09:")
    for group in one["noisiest"]:
        assert group["group"].keys() == {"dbUserName", "remoteHost"}
        assert group["group"]["remoteHost"] == "203.0.113.47"
        assert group["alerts"] == 1
        assert group["events"] >= 10
        assert one["first"] <= group["first"] < group["last"] <= one["last"]
        assert group["actors"]["dbUserName"] == [group["group"]["dbUserName"]]
        assert group["samples"]


@pytest.mark.node
def test_a_backtest_prints_tables_for_people(traffic: Traffic) -> None:
    result = detections("backtest", *DAY, env=traffic.env)

    assert result.exit_code == 0
    assert re.search(r"bruteforce-user +│ medium +│ +4 │ +4\.0 │ +4 │ +█ +│ 2033-05-03 09:", result.stdout)
    assert "The noisiest groups" in result.stdout
    assert "das-silent: not applicable: the pulse" in result.stdout
    assert "--include-disabled runs them, too" in result.stdout


def _group(candidate: Candidate) -> tuple[str, ...]:
    return candidate.resource_id, *candidate.group.values()


@pytest.mark.node
def test_asking_by_the_day_finds_what_asking_every_window_finds(traffic: Traffic, search: OpenSearch) -> None:
    # GIVEN the scheduled runner's questions of the whole day
    windowed = [one for one in enabled(compile_all()) if one.kind is DetectionKind.THRESHOLD]
    midnight = START.replace(hour=0)
    questions = [
        Question(detection, event_window(detection, at), f"{traffic.prefix}-*")
        for detection in windowed
        for at in evaluation_times(detection, midnight, midnight + timedelta(days=1))
    ]

    # WHEN they are all asked
    asked = SavedQueries(search).ask(questions, Deadline.after(300))

    # THEN the backtest, which asks far fewer, has the same groups
    names = [detection.name for detection in windowed]
    answer = answer_of("backtest", *names, *DAY, "--output", "json", env=traffic.env)
    assert {(one["detection"], one["groups"]) for one in answer["detections"]} == {
        (name, len({_group(one) for detection, one in asked.candidates if detection.name == name})) for name in names
    }
    assert sum(one["groups"] for one in answer["detections"]) > 0


@pytest.mark.node
def test_a_backtest_only_searches(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: set[tuple[str, str]] = set()
    perform = Transport.perform_request

    def noted(self: Transport, method: str, url: str, **options: Any) -> Any:
        requests.add((method, url))
        return perform(self, method, url, **options)

    monkeypatch.setattr(Transport, "perform_request", noted)

    answer_of("backtest", *DAY, "--include-disabled", "--output", "json", env=traffic.env)

    assert requests == {("GET", "/"), ("POST", "/_msearch")}


@pytest.mark.node
def test_a_detection_that_is_not_enabled_is_run_when_asked_for(traffic: Traffic) -> None:
    def run(*arguments: str) -> set[str]:
        answer = answer_of("backtest", *arguments, *DAY, "--output", "json", env=traffic.env)
        return {one["detection"] for one in answer["detections"]}

    assert "off-hours-privileged" not in run()
    assert run("--include-disabled") == set(NAMES)
    assert run("off-hours-privileged") == {"off-hours-privileged"}


@pytest.mark.node
def test_a_backtest_takes_the_tuning_file(traffic: Traffic, tmp_path: Path) -> None:
    tuning = tmp_path / "tuning.yml"
    tuning.write_text("detections: {bruteforce-user: {settings: {threshold: 1000}}}", "utf-8")

    answer = answer_of(
        "backtest", "bruteforce-user", *DAY, "--tuning", str(tuning), "--output", "json", env=traffic.env
    )

    assert [one["alerts"] for one in answer["detections"]] == [0]


@pytest.fixture
def history(search: OpenSearch, node: AnyNode) -> Iterator[History]:
    prefix = installed_prefix(search)
    yield History(search, prefix, {"OPENSEARCH_ENDPOINT": node.url, "OPENSEARCH_AUTH": "none", "INDEX_PREFIX": prefix})
    give_back(search, prefix)


@dataclass(frozen=True)
class History:
    """Indices that a test fills by itself; times are minutes from START."""

    search: OpenSearch
    prefix: str
    env: dict[str, str]

    def add(self, *minutes: float, **fields: Any) -> None:
        for minute in minutes:
            at = START + timedelta(minutes=minute)
            document = {
                "@timestamp": iso_milliseconds(at),
                "ingestedAt": iso_milliseconds(at),
                "resourceId": "cluster-SHOP",
                "engine": "postgresql",
                "dbUserName": "shop_app",
                "remoteHost": "203.0.113.47",
                **fields,
            }
            self.search.index(index=f"{self.prefix}-{at:%Y.%m.%d}", body=document)
        self.search.indices.refresh(index=f"{self.prefix}-*")

    def backtest(self, name: str, *arguments: str) -> dict[str, Any]:
        answer = answer_of("backtest", name, *(arguments or DAY), "--output", "json", env=self.env)
        (one,) = answer["detections"]
        return dict(one)


FAILED = {"activity": "AUTH FAILURE", "outcome": "failure"}
SUCCEEDED = {"activity": "CONNECT", "outcome": "success"}


@pytest.mark.node
def test_burst_after_the_quiet_time_is_another_alert(history: History) -> None:
    history.add(*(minute / 10 for minute in range(12)), **FAILED)
    history.add(*(30 + minute / 10 for minute in range(12)), **FAILED)
    history.add(*(300 + minute / 10 for minute in range(12)), **FAILED)

    answer = history.backtest("bruteforce-user")

    assert (answer["alerts"], answer["groups"]) == (2, 1)
    assert (answer["first"], answer["last"]) == ("2033-05-03T09:00:00.000Z", "2033-05-03T14:01:06.000Z")


@pytest.mark.node
def test_a_burst_over_midnight_is_one_alert(history: History) -> None:
    midnight = 15 * 60
    history.add(*(midnight + minute / 2 for minute in range(-6, 6)), **FAILED)

    answer = history.backtest("bruteforce-user", "--from", "2033-05-03", "--to", "2033-05-05")

    assert (answer["alerts"], answer["perDay"]) == (1, {"2033-05-03": 1})


@pytest.mark.node
def test_attempts_that_are_too_slow_raise_nothing(history: History) -> None:
    history.add(*(minute * 5 for minute in range(60)), **FAILED)

    assert history.backtest("bruteforce-user")["alerts"] == 0


@pytest.mark.node
def test_what_happened_before_the_span_is_not_its_alert(history: History) -> None:
    history.add(*(minute / 10 for minute in range(12)), **FAILED)

    assert history.backtest("bruteforce-user", "--from", "2033-05-03T09:05", "--to", "2033-05-04")["alerts"] == 0
    assert history.backtest("bruteforce-user", "--from", "2033-05-03T09:00", "--to", "2033-05-03T09:02")["alerts"] == 1


@pytest.mark.node
def test_single_events_are_counted_once_and_by_quiet_time(history: History) -> None:
    program = {"activity": "DML", "outcome": "failure", "command": "COPY", "signals": ["program-execution"]}
    history.add(0, 10, 59, 118, 300, -9 * 60, 15 * 60 - 1 / 60_000, 15 * 60, **program)

    answer = history.backtest("os-exec")

    assert answer["alerts"] == 4  # at midnight, in the morning, at two, and just before the next midnight
    assert sum(group["events"] for group in answer["noisiest"]) == 7


@pytest.mark.node
@pytest.mark.parametrize(
    ("failures", "login", "alerts"),
    [
        ((0, 1, 2, 3, 4, 5), 7, 1),
        ((0, 1, 2, 3, 4, 5), -1, 0),  # the login came first
        ((0, 1, 2, 3, 4, 5), 40, 0),  # and long after
        ((0, 2, 3, 4, 5, 6), 1, 0),  # in between, when there was one failure
    ],
)
def test_a_sequence_counts_in_its_order_and_within_its_window(
    failures: tuple[int, ...], login: int, alerts: int, history: History
) -> None:
    history.add(*failures, **FAILED)
    history.add(login, **SUCCEEDED)

    assert history.backtest("bruteforce-success")["alerts"] == alerts


@pytest.mark.node
def test_what_was_there_before_the_span_is_known(history: History) -> None:
    day = 24 * 60
    history.add(-32 * day, -3 * day, 5, clientApplication="shop-api", **SUCCEEDED)
    history.add(60, 61, day, clientApplication="psql", actor="administration", **SUCCEEDED)

    answer = history.backtest("first-seen-application", "--from", "2033-05-03", "--to", "2033-05-05")

    assert (answer["alerts"], answer["note"]) == (1, "")
    assert answer["noisiest"][0]["group"] == {"dbUserName": "shop_app", "clientApplication": "psql"}


@pytest.mark.node
def test_without_a_history_nothing_is_new_and_that_is_said(history: History) -> None:
    history.add(5, clientApplication="shop-api", **SUCCEEDED)

    answer = history.backtest("first-seen-application")

    assert answer["alerts"] == 0
    assert answer["note"] == "nothing is indexed of the 30 days before, in which it learns"


@pytest.mark.node
def test_absence_is_as_long_as_it_was(history: History) -> None:
    """An account that was away for 90 days was last seen before them."""
    day = 24 * 60
    history.add(-200 * day, *(-number * day for number in range(1, 200, 10)), **SUCCEEDED)
    history.add(-150 * day, 5, dbUserName="kim", **SUCCEEDED)
    history.add(-80 * day, 6, dbUserName="ralf", **SUCCEEDED)

    answer = history.backtest("dormant-account")

    assert (answer["alerts"], answer["note"]) == (1, "")
    assert answer["noisiest"][0]["group"] == {"dbUserName": "kim"}


@pytest.mark.node
def test_an_interrupted_backtest_reports_what_it_found(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    history.add(*(minute / 10 for minute in range(12)), **FAILED)
    history.add(*(3 * 24 * 60 + minute / 10 for minute in range(12)), **FAILED)
    by_hour = BacktestRun._by_hour

    def interrupted(run: BacktestRun, detections: Any, day: Period, sightings: Any) -> Any:
        if day.begin.date().isoformat() == "2033-05-05":
            raise KeyboardInterrupt
        return by_hour(run, detections, day, sightings)

    monkeypatch.setattr(BacktestRun, "_by_hour", interrupted)
    result = detections(
        "backtest", "bruteforce-user", "--from", "2033-05-03", "--to", "2033-05-07", "--output", "json", env=history.env
    )

    answer = orjson.loads(result.stdout)
    assert result.exit_code == 130
    assert (answer["interrupted"], answer["until"]) == (True, "2033-05-05T00:00:00.000Z")
    assert [one["alerts"] for one in answer["detections"]] == [1]


@pytest.mark.node
def test_a_long_backtest_is_estimated_first(history: History) -> None:
    history.add(*(minute / 10 for minute in range(12)), **FAILED)

    span = ("--from", "2033-05-01", "--to", "2033-05-08")
    result = detections("backtest", "bruteforce-user", *span, "--output", "json", env=history.env)

    answer = orjson.loads(result.stdout)
    assert re.search(r"estimate: about \d+ searches, about .+ \(3 days of the span were measured\)", result.stderr)
    assert [one["alerts"] for one in answer["detections"]] == [1]
    assert not answer["interrupted"]
    assert len(answer["assumptions"]) == 2


@pytest.mark.node
def test_failing_detection_is_named_and_others_run(history: History) -> None:
    # GIVEN an index in which the rows are text, and cannot be added up
    body = {"mappings": {"properties": {"rowCount": {"type": "text"}}}}
    history.search.indices.create(index=f"{history.prefix}-2033.05.03", body=body)
    history.add(*(minute / 10 for minute in range(12)), **FAILED)

    result = detections("backtest", "bruteforce-user", "mass-read", *DAY, env=history.env)

    assert result.exit_code == 1
    assert "mass-read could not be run: illegal_argument_exception" in result.stdout
    assert re.search(r"mass-read +│ medium +│ failed │", result.stdout)
    assert re.search(r"bruteforce-user +│ medium +│ +1 │", result.stdout)


@pytest.mark.node
def test_span_can_be_given_in_days_ago(history: History) -> None:
    now = datetime.now(UTC)
    minutes = (now - START).total_seconds() / 60
    history.add(*(minutes - 60 + second / 60 for second in range(12)), **FAILED)

    assert history.backtest("bruteforce-user", "--from", "1d", "--to", "now")["alerts"] == 1
    assert history.backtest("bruteforce-user", "--from", "1d", "--to", "2h")["alerts"] == 0
    assert history.backtest("bruteforce-user", "--from", "30m")["alerts"] == 0
