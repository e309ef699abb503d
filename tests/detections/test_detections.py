"""The whole corpus of detections, run on a real node.

Each finds its matches and none of its near misses, and benign traffic raises nothing.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from opensearchpy import OpenSearch

from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.detections.actors import shipped_actors
from daswatch.detections.detection import Detection, DetectionKind, Source, dump, load
from daswatch.detections.samples import CONTROL_PLANE, base_events, samples_of
from daswatch.detections.sigma import compile_all, rule_folders
from daswatch.documents.actors import ActorTable
from daswatch.documents.flat_objects import is_inside
from daswatch.opensearch.sample_runs import SampleRun
from daswatch.opensearch.saved_queries import Question, SavedQueries
from daswatch.opensearch.templates import ContentGateway
from daswatch.queries.saved_query import Window, evaluation_times, event_window
from daswatch.times import iso_milliseconds
from demo.indexed import documents_of, index_all
from demo.traffic import produce
from tests import ROOT
from tests.harness.installed import remove

ATTACK = json.loads((ROOT / "tools" / "attack-17.0.json").read_text("utf-8"))
CATALOGUE = {
    "bruteforce-user", "password-spray", "bruteforce-success", "privilege-grant", "superuser-grant", "new-login-user",
    "mass-read", "sensitive-read", "dump-tool", "os-exec", "schema-drop", "mass-delete", "sqli-pattern",
    "sql-error-burst", "catalog-enum", "permission-denied-burst", "off-hours-privileged", "first-seen-application",
    "first-seen-network", "master-or-shared-use", "dormant-account", "audit-tamper-db", "das-tamper-control-plane",
    "das-silent", "das-failing", "aws-user-name", "data-out-control-plane", "access-control-plane",
    "deletion-control-plane", "audit-control-plane", "change-control-plane", "bruteforce-slow", "table-replaced",
    "password-spray-distributed-slow",
    "bruteforce-distributed", "password-spray-slow", "password-spray-distributed", "network-egress", "server-files",
    "persistent-code", "impersonation", "data-sabotage", "host-discovery", "change-capture", "obfuscated-sql",
    "paged-read", "gradual-read", "gradual-change", "bruteforce-distributed-slow", "aggregated-read",
    "tables-exchanged", "tables-spooled",
}  # fmt: skip
NAMESPACES = {
    "Software and Configuration Checks", "TTPs", "Effects", "Unusual Behaviors", "Sensitive Data Identifications",
}  # fmt: skip
# What first-seen detections find is learned first.
BY_EVENTS = [
    one.name
    for one in compile_all()
    if one.enabled and one.source is Source.EVENTS and one.query and one.kind is not DetectionKind.FIRST_SEEN
]
NAMES = [folder.name for folder in rule_folders()]


@cache
def corpus() -> dict[str, Detection]:
    return {detection.name: detection for detection in compile_all()}


def with_samples() -> list[str]:
    return [name for name in NAMES if samples_of(name)]


def test_the_catalogue_is_covered() -> None:
    assert set(NAMES) == CATALOGUE


def test_ids_and_titles_are_unique() -> None:
    assert not [entry for entry, count in Counter(one.id for one in corpus().values()).items() if count > 1]
    assert not [entry for entry, count in Counter(one.title for one in corpus().values()).items() if count > 1]


def test_the_compiled_file_reads_back_as_it_was() -> None:
    assert load(dump(corpus().values())) == tuple(corpus().values())


@pytest.mark.parametrize("name", NAMES)
def test_detection_has_what_an_analyst_needs(name: str) -> None:
    detection = corpus()[name]

    assert UUID(detection.id).version == 4 or UUID(detection.id)
    assert 10 <= len(detection.title) <= 100
    assert len(detection.description) >= 20
    assert len(detection.why) >= 40
    assert len(detection.runbook) >= 3
    assert detection.false_positives
    assert detection.blind_spots
    assert detection.enabled or len(detection.disabled_because) >= 20
    assert all(kind.split("/")[0] in NAMESPACES and 2 <= len(kind.split("/")) <= 3 for kind in detection.types)


@pytest.mark.parametrize("name", NAMES)
def test_attack_ids_exist(name: str) -> None:
    for tag in corpus()[name].attack:
        if re.fullmatch(r"t\d{4}(\.\d{3})?", tag):
            assert tag.upper() in ATTACK["techniques"], tag
        else:
            assert tag in ATTACK["tactics"].values(), tag


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_in_the_mapping(name: str) -> None:
    detection = corpus()[name]
    fields = set(
        re.findall(
            r"(?<![\w\"\\:.])([A-Za-z@][\w.]*):(?=[\"(\w*<>\[])", re.sub(r'"(?:\\.|[^"\\])*"', '""', detection.query)
        )
    )
    fields |= {*detection.group, *(condition.field for condition in detection.conditions if condition.field)}
    fields.discard("_exists_")
    fields = {field.partition(".")[0] if is_inside(field) else field for field in fields}

    assert fields <= mapped(detection.source), fields - mapped(detection.source)


@cache
def mapped(source: Source) -> set[str]:
    """The names that a detection may use."""
    name = {Source.EVENTS: "das-event-fields", Source.CONTROL_PLANE: "das-control-plane", Source.PULSE: "das-pulse"}[
        source
    ]
    body = next(content.body for content in shipped_content() if content.name == name)
    properties: dict[str, Any] = body["template"]["mappings"]["properties"]
    names = {*properties, "detection"}
    for field, mapping in properties.items():
        names |= {f"{field}.{inner}" for inner in mapping.get("fields", ())}
    return names


@pytest.mark.parametrize("name", with_samples())
def test_there_are_two_samples_of_each_kind_for_each_engine(name: str) -> None:
    detection = corpus()[name]
    engines = [CONTROL_PLANE] if detection.source is Source.CONTROL_PLANE else list(detection.engines)
    counted = Counter((sample.expected, sample.engine) for sample in samples_of(name))

    assert {engine for _, engine in counted} == set(engines)
    for engine in engines:
        assert counted["match", engine] >= 2, engine
        assert counted["ignore", engine] >= 2, engine


def test_only_operational_detections_have_no_samples() -> None:
    assert set(NAMES) - set(with_samples()) == {"das-silent", "das-failing"}


@pytest.mark.parametrize("name", with_samples())
def test_samples_name_fields_that_the_engine_has(name: str) -> None:
    for sample in samples_of(name):
        base = base_events()[sample.engine]
        for step in sample.steps:
            assert step.keys() <= {"times", "apart", "event", "each", "days-ago", "at"}
            assert {*step.get("event", {}), *step.get("each", {})} <= {*base, "startTime", "endTime"}, sample.words


@pytest.fixture(scope="module")
def sample_run(search: OpenSearch) -> Iterator[SampleRun]:
    with SampleRun(search, f"t-samples-{secrets.token_hex(4)}-events", actors=ActorTable(shipped_actors())) as run:
        yield run


@pytest.mark.node
@pytest.mark.parametrize("name", with_samples())
def test_a_detection_finds_its_matches_and_no_near_miss(name: str, sample_run: SampleRun) -> None:
    verdicts = sample_run.run(corpus()[name], samples_of(name))

    wrong = [
        f"{verdict.sample.expected}: {verdict.sample.engine}: {verdict.sample.words}"
        for verdict in verdicts
        if not verdict.right
    ]
    assert not wrong


@pytest.fixture(scope="module")
def benign(search: OpenSearch) -> Iterator[tuple[str, datetime, datetime]]:
    """The producer's traffic of an hour without any scenario; the index pattern, its begin and its end."""
    prefix = f"t-benign-{secrets.token_hex(4)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    start = datetime(2031, 3, 4, 9, tzinfo=UTC)
    records = list(produce(11, start, 30_000, scenarios=()))
    index_all(search, documents_of(records, prefix))
    search.indices.refresh(index=f"{prefix}-*")
    yield f"{prefix}-*", start, records[-1].arrival
    remove(search, prefix)


@pytest.mark.node
@pytest.mark.parametrize("name", BY_EVENTS)
def test_benign_traffic_raises_nothing(name: str, benign: tuple[str, datetime, datetime], search: OpenSearch) -> None:
    index, start, end = benign
    detection = corpus()[name]
    if detection.window_seconds:
        windows = [event_window(detection, at) for at in evaluation_times(detection, start, end)]
    else:
        windows = [Window("@timestamp", iso_milliseconds(start), iso_milliseconds(end))]

    answers = SavedQueries(search).ask([Question(detection, window, index) for window in windows], Deadline.after(60))

    assert windows
    assert len(windows) > 10 or not detection.window_seconds or detection.window_seconds >= 3600
    assert not answers.failures
    assert not [f"{one.resource_id} {one.group} {one.count}" for _, one in answers.candidates]
