"""What is deployed: each artifact holds what it needs and nothing else, is the same each time, and runs alone."""

from __future__ import annotations

import _imp
import marshal
import platform
import re
import secrets
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from grimp import ImportGraph, build_graph
from opensearchpy import OpenSearch

from daswatch.content.templates import shipped_content
from daswatch.detections.detection import load
from daswatch.detections.samples import base_events, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.indices import Indices
from daswatch.opensearch.templates import ContentGateway
from demo.aws import DEAD_LETTER_BUCKET, REGION, LocalAws
from demo.delivery import transformation_event
from demo.opensearch import AnyNode
from tests.builders.events import oracle_event, postgresql_event
from tests.fakes.cloudformation_bucket import AnswerBucket, a_request
from tests.fakes.lambda_runtime import Lambda, runtime_client
from tests.harness.firehose import FirehoseFunction, firehose_record, rows_of
from tests.harness.ingest import IngestFunction
from tests.harness.replay_function import Replaying
from tests.harness.runs import RunHarness
from tools.artifacts.build import MAX_UNPACKED_BYTES, ROOT, build
from tools.artifacts.compiled import compile_folder, interpreter
from tools.artifacts.contents import functions, services
from tools.artifacts.errors import PackagingError
from tools.artifacts.manifest import Manifest
from tools.artifacts.wheels import Architecture

FUNCTIONS = functions(ROOT)
HERE = Architecture.ARM64 if platform.machine() in ("aarch64", "arm64") else Architecture.X86_64
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
DEPLOYED = "3.13"

_MAGIC_3_13 = 3571  # importlib's, of all releases of 3.13
_UNCHECKED_HASH = (1).to_bytes(4, "little")  # PEP 552
_ELF = b"\x7fELF"
_MACHINES = {Architecture.X86_64: 0x3E, Architecture.ARM64: 0xB7}  # e_machine of the ELF header
_NATIVE_NAME = re.compile(r"\.(abi3|cpython-313-(?P<machine>\w+)-linux-gnu)\.so$")
_TREE = (
    "daswatch",
    "detections",
    "index_templates",
    "dashboards",
    "remediation",
    "pyproject.toml",
    "uv.lock",
    *FUNCTIONS,
)


@dataclass(frozen=True, slots=True)
class Built:
    """A folder of artifacts and what its manifest says."""

    dist: Path
    manifest: Manifest

    def zip(self, function: str, architecture: Architecture = HERE) -> Path:
        return self.dist / architecture / f"{function}.zip"

    def names(self, function: str, architecture: Architecture = HERE) -> list[str]:
        with zipfile.ZipFile(self.zip(function, architecture)) as archive:
            return archive.namelist()


@pytest.fixture(scope="module", autouse=True)
def packed_quickly() -> Iterator[None]:
    """What a zip holds is tested here, not how small it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.artifacts.archive._LEVEL", 1)
        yield


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The artifacts that this machine and this Python can run."""
    dist = tmp_path_factory.mktemp("here")
    return Built(dist, build(dist, architectures=[HERE], python_version=RUNNING))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The artifacts as `make package` builds them."""
    dist = tmp_path_factory.mktemp("dist")
    return Built(dist, build(dist))


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AWS's runtime client in a folder of its own."""
    return runtime_client(tmp_path_factory.mktemp("runtime"))


every_function = pytest.mark.parametrize("function", FUNCTIONS)
every_architecture = pytest.mark.parametrize("architecture", Architecture)


# What is in them.


def test_the_same_tree_elsewhere_gives_the_same_bytes(here: Built, tmp_path: Path) -> None:
    tree = tmp_path / "elsewhere"
    tree.mkdir()
    for name in _TREE:
        if (ROOT / name).is_dir():  # copied files are as old as their copy
            # Bytecode may be written meanwhile, by another process of tests.
            compiled = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tree / name, copy_function=shutil.copyfile, ignore=compiled)
        elif (ROOT / name).exists():
            shutil.copyfile(ROOT / name, tree / name)

    again = build(tmp_path / "dist", architectures=[HERE], python_version=RUNNING, root=tree)

    assert again.digest == here.manifest.digest
    assert (tmp_path / "dist" / "manifest.json").read_bytes() == (here.dist / "manifest.json").read_bytes()
    for function in FUNCTIONS:
        assert (tmp_path / "dist" / HERE / f"{function}.zip").read_bytes() == here.zip(function).read_bytes()


@every_architecture
@every_function
def test_native_modules_are_of_the_target(deployed: Built, function: str, architecture: Architecture) -> None:
    native = 0
    with zipfile.ZipFile(deployed.zip(function, architecture)) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            if ".so" in name.rpartition("/")[2] or data.startswith(_ELF):
                native += 1
                assert data.startswith(_ELF), name
                assert int.from_bytes(data[18:20], "little") == _MACHINES[architecture], name
                tag = _NATIVE_NAME.search(name)
                assert tag, name
                assert tag["machine"] in (None, architecture.machine), name

    assert native >= 2  # orjson and charset-normalizer at least


@every_architecture
@every_function
def test_no_artifact_is_larger_than_it_may_be(deployed: Built, function: str, architecture: Architecture) -> None:
    with zipfile.ZipFile(deployed.zip(function, architecture)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    (shown,) = [
        one for one in deployed.manifest.artifacts if (one.function, one.architecture) == (function, architecture)
    ]

    assert unpacked == shown.written.unpacked
    assert unpacked <= MAX_UNPACKED_BYTES


@every_architecture
@every_function
def test_no_foreign_file_is_carried(deployed: Built, function: str, architecture: Architecture) -> None:
    foreign = re.compile(
        r"(^|/)(tests?|\.[^/]*)/|(?<!\.cpython-313)\.pyc$|\.(pyi|pyx|c|h)$|(^|/)(py\.typed|RECORD|INSTALLER|direct_url\.json)$"
        r"|^(moto|rich|typer|sigma|yaml|grpc|google|demo|tests|artifacts|benchmarks|bin)/|-stubs/"
        r"|^daswatch/(cli|commands|detections/sigma)\b|^detections/"
    )
    others = [one for one in FUNCTIONS if one != function]

    names = deployed.names(function, architecture)

    assert [name for name in names if foreign.search(name) or name.startswith("/") or ".." in name] == []
    assert [name for name in names if name.partition("/")[0] in others] == []
    assert names == sorted(set(names))


def compiled_files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """By source: what is compiled of it."""
    return {
        re.sub(r"__pycache__/(\w+)\.cpython-\d+\.pyc$", r"\1.py", name): archive.read(name)
        for name in archive.namelist()
        if name.endswith(".pyc")
    }


@every_architecture
@every_function
def test_every_source_is_compiled_for_its_python(deployed: Built, function: str, architecture: Architecture) -> None:
    with zipfile.ZipFile(deployed.zip(function, architecture)) as archive:
        compiled = compiled_files(archive)
        sources = {name: archive.read(name) for name in archive.namelist() if name.endswith(".py")}

    assert set(compiled) == set(sources)
    assert {int.from_bytes(one[:2], "little") for one in compiled.values()} == {_MAGIC_3_13}
    key = int.from_bytes(next(iter(compiled.values()))[:4], "little")
    for name, source in sources.items():
        assert compiled[name][4:8] == _UNCHECKED_HASH, name
        assert compiled[name][8:16] == _imp.source_hash(key, source), name
    assert re.fullmatch(r"3\.13\.\d+", str(deployed.manifest.compiled_by))


@every_function
def test_compiled_files_name_the_place_on_lambda(here: Built, function: str) -> None:
    with zipfile.ZipFile(here.zip(function)) as archive:
        code = marshal.loads(  # noqa: S302 - of our own making
            compiled_files(archive)[f"{function}/handler.py"][16:]
        )

    assert code.co_filename == f"/var/task/{function}/handler.py"


def test_a_source_of_another_python_stops_the_build(tmp_path: Path) -> None:
    python = interpreter(RUNNING)
    assert python
    (tmp_path / "broken.py").write_text("print 'of another Python'")

    with pytest.raises(PackagingError, match=r"cannot compile:(.|\n)*/var/task/broken\.py"):
        compile_folder(tmp_path, python)


def test_a_python_that_does_not_exist_compiles_nothing() -> None:
    assert interpreter("3.99") is None


@every_function
def test_entries_hold_neither_time_nor_builder(here: Built, function: str) -> None:
    with zipfile.ZipFile(here.zip(function)) as archive:
        entries = archive.infolist()
        content = b"".join(archive.read(entry) for entry in entries)

    assert {(entry.date_time, entry.external_attr >> 16, entry.create_system) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, 3)
    }
    assert str(ROOT).encode() not in content


@every_function
def test_botocore_has_the_called_services_only(here: Built, function: str) -> None:
    names = [name.split("/") for name in here.names(function) if name.startswith("botocore/data/")]

    assert {parts[2] for parts in names if len(parts) > 3} == services(ROOT) >= {"kms", "lambda", "s3", "sts"}
    assert {"endpoints.json", "partitions.json", "_retry.json", "sdk-default-configuration.json"} <= {
        parts[2].removesuffix(".gz") for parts in names if len(parts) == 3
    }


def test_clients_are_made_by_the_name_of_their_service() -> None:
    """The build reads from the code which of botocore's data is carried."""
    sources = [path for package in ("daswatch", *FUNCTIONS) for path in (ROOT / package).rglob("*.py")]

    made = [call for path in sources for call in re.findall(r"\.(?:client|resource)\([^),]*", path.read_text("utf-8"))]

    assert [call for call in made if not re.fullmatch(r'\.client\("[a-z0-9]+"', call)] == []


@pytest.fixture(scope="session")
def imports() -> ImportGraph:
    """Who imports what, within functions as well, and without what only type checkers see."""
    return build_graph("daswatch", *FUNCTIONS, include_external_packages=True, exclude_type_checking_imports=True)


@every_function
def test_what_a_function_imports_is_in_its_artifact(here: Built, function: str, imports: ImportGraph) -> None:
    """The group of each function in pyproject.toml has what the function's code imports."""
    names = set(here.names(function))
    own = {re.sub(r"(/__init__)?\.py$", "", name).replace("/", ".") for name in names if name.endswith(".py")}
    there = {name.partition("/")[0].partition(".")[0] for name in names} | sys.stdlib_module_names

    needed = imports.find_upstream_modules(f"{function}.handler")

    assert {name for name in needed if (name not in own if "." in name else name not in there)} == set()


@every_function
def test_no_artifact_needs_command_line_or_compiler(here: Built, function: str) -> None:
    with zipfile.ZipFile(here.zip(function)) as archive:
        ours = {
            name: archive.read(name) for name in archive.namelist() if re.match(r"(daswatch|\w+_lambda)/.*\.py$", name)
        }

    foreign = re.compile(rb"^\s*(from|import) (typer|click|rich|sigma|yaml)\b", re.MULTILINE)
    assert [name for name, source in ours.items() if foreign.search(source)] == []


@every_function
def test_the_detections_lie_where_a_function_looks(here: Built, function: str) -> None:
    with zipfile.ZipFile(here.zip(function)) as archive:
        detections = load(archive.read("detections.json"))

    assert detections == compile_all()


def test_the_manifest_reports_what_was_built(deployed: Built) -> None:
    shown = orjson.loads((deployed.dist / "manifest.json").read_bytes())

    paths = {f"{architecture}/{function}.zip" for architecture in Architecture for function in FUNCTIONS}
    assert {one["path"] for one in shown["artifacts"]} == paths
    assert shown["digest"] == deployed.manifest.digest
    assert re.fullmatch("[0-9a-f]{32}", shown["digest"])


# What they do alone.


def test_every_function_is_run_alone_below() -> None:
    assert set(FUNCTIONS) <= {
        *("enrol_lambda", "findings_lambda", "firehose_lambda"),
        *("ingest_lambda", "posture_lambda", "replay_lambda", "setup_lambda"),
    }


def run_alone(running: Lambda, runtime: Path, function: str) -> None:
    """End the process: all modules it has imported came from the artifact, Python or the runtime client."""
    shown = running.end()
    files = {name: Path(file) for name, file in shown["modules"].items() if file}

    def is_foreign(name: str, file: Path) -> bool:
        of_python = any(file.is_relative_to(place) for place in shown["path"]) and "site-packages" not in file.parts
        of_the_runtime = file.is_relative_to(runtime) and name.partition(".")[0] in _OF_THE_RUNTIME
        return not (file.is_relative_to(running.task) or of_python or of_the_runtime)

    assert not any("site-packages" in entry or "dist-packages" in entry for entry in shown["path"])
    assert {name: file for name, file in files.items() if is_foreign(name, file)} == {}
    for name in (f"{function}.handler", "botocore", "orjson"):
        assert files[name].is_relative_to(running.task)


@pytest.mark.node
def test_the_ingest_artifact_decrypts_writes_and_answers(
    here: Built, runtime: Path, ingest: IngestFunction, node: AnyNode, tmp_path: Path
) -> None:
    signed, unsigned = ingest.database(signed=True, name="S"), ingest.database("oracle", name="U")
    event = {
        "Records": [
            ingest.record([postgresql_event(), {"type": "heartbeat"}], signed),
            ingest.delivered(b"not an envelope"),
            ingest.record([oracle_event()], unsigned),
        ]
    }

    with Lambda(here.zip("ingest_lambda"), INGEST, ingest_settings(ingest, node), tmp_path, runtime) as running:
        first, second = running.invoke(event), running.invoke(event)
        log = running.log
        run_alone(running, runtime, "ingest_lambda")

    assert (first.kind, first.body) == ("response", {"batchItemFailures": []})
    assert second.body == {"batchItemFailures": []}
    assert {one["resourceId"] for one in ingest.documents()} == {signed.resource_id, unsigned.resource_id}
    assert len(ingest.documents()) == 2
    (letter,) = {one["object"]: one for one in ingest.dead_letters()}.values()
    assert ingest.stored(letter["object"])["reason"] == letter["reason"]
    assert (log["records"], log["written"], log["already_there"]) == (3, 0, 2)


def test_the_firehose_artifact_answers_with_rows(
    here: Built,
    runtime: Path,
    aws: LocalAws,
    kms_key_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    producer = FirehoseFunction(aws, kms_key_id, secrets.token_hex(6), monkeypatch, capsys)
    records = [firehose_record(producer.sealed(postgresql_event())), firehose_record(b"not an envelope", 1)]
    event = transformation_event(records, producer.database().stream_arn(REGION))
    handler = "firehose_lambda.handler.handler"

    with Lambda(here.zip("firehose_lambda"), handler, aws.environment, tmp_path, runtime) as running:
        answer = running.invoke(event)
        run_alone(running, runtime, "firehose_lambda")

    assert answer.kind == "response", running.output
    opened, failed = answer.body["records"]
    (row,) = rows_of(opened)
    assert (row["resourceId"], row["activity"]) == (producer.database().resource_id, "DQL")
    assert (failed["result"], failed["data"]) == ("ProcessingFailed", records[1]["data"])


@pytest.fixture
def harness(search: OpenSearch, aws: LocalAws) -> Iterator[RunHarness]:
    """Indices, the alert topic and Security Hub, as the findings function finds them."""
    running = RunHarness(search, aws, compile_all())
    yield running
    running.close()


@pytest.mark.node
def test_findings_artifact_runs_saved_queries(
    here: Built, runtime: Path, harness: RunHarness, node: AnyNode, tmp_path: Path
) -> None:
    sample = next(one for one in samples_of("bruteforce-user") if one.expected == "match")
    harness.happen(sample, datetime.now(UTC))
    handler, settings = "findings_lambda.handler.scheduled", findings_settings(harness, node)

    with Lambda(here.zip("findings_lambda"), handler, settings, tmp_path, runtime) as running:
        first, second = running.invoke(SCHEDULED), running.invoke(SCHEDULED)
        run_alone(running, runtime, "findings_lambda")

    assert (first.kind, first.body) == ("response", {"raised": 1, "archived": 0, "failing": []})
    assert second.body == {"raised": 0, "archived": 0, "failing": []}
    (alert,) = harness.alerts().values()
    assert alert.detection == "bruteforce-user"
    assert len(harness.findings()) == 1
    assert len(harness.mails()) == 1


@pytest.mark.node
def test_findings_artifact_takes_notifications_and_events(
    here: Built, runtime: Path, harness: RunHarness, node: AnyNode, tmp_path: Path
) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    call = base_events()["control-plane"]
    call = {**call, "time": now, "detail": {**call["detail"], "eventTime": now, "eventID": secrets.token_hex(8)}}
    handler, settings = "findings_lambda.handler.notified", findings_settings(harness, node)

    with Lambda(here.zip("findings_lambda"), handler, settings, tmp_path, runtime) as running:
        malformed, of_aws = running.invoke(sns_event("no json")), running.invoke(call)
        run_alone(running, runtime, "findings_lambda")

    nothing = {"raised": 0, "archived": 0, "failing": []}
    assert (malformed.kind, malformed.body) == (of_aws.kind, of_aws.body) == ("response", nothing)
    assert '"not-json":1' in running.output.replace(" ", "")
    harness.search.indices.refresh(index=harness.indices.control_plane)
    assert harness.search.count(index=harness.indices.control_plane)["count"] == 1


@pytest.mark.node
def test_enrolment_artifact_plans(
    here: Built, runtime: Path, search: OpenSearch, aws: LocalAws, node: AnyNode, tmp_path: Path
) -> None:
    prefix = f"e{secrets.token_hex(4)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    key = aws.create_key()
    rds = aws.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="planned", DBInstanceClass="db.m5.large", Engine="postgres", AllocatedStorage=20
    )
    settings = {
        **aws.environment,
        "AWS_ENDPOINT_URL_LAMBDA": aws.url,
        "OPENSEARCH_ENDPOINT": node.url,
        "OPENSEARCH_AUTH": "none",
        "INDEX_PREFIX": prefix,
        "DATABASES": "db:planned,db:nowhere",
        "STREAM_KEY_ARN": f"arn:aws:kms:{REGION}:123456789012:key/{key}",
        "INGEST_FUNCTION_ARN": f"arn:aws:lambda:{REGION}:123456789012:function:daswatch-ingest",
        "DEAD_LETTER_BUCKET": "dead-letters",
    }

    with Lambda(here.zip("enrol_lambda"), "enrol_lambda.handler.handler", settings, tmp_path, runtime) as running:
        answer = running.invoke({"dryRun": True})
        run_alone(running, runtime, "enrol_lambda")

    states = {one["name"]: one["state"] for one in answer.body["databases"]}
    assert states["db:planned"] == "not-eligible"
    assert states["db:nowhere"] == "gone"


@pytest.mark.node
def test_posture_artifact_audits_fleet(
    here: Built, runtime: Path, search: OpenSearch, aws: LocalAws, node: AnyNode, tmp_path: Path
) -> None:
    prefix = f"p{secrets.token_hex(4)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    rds = aws.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="audited", DBInstanceClass="db.m5.large", Engine="postgres", AllocatedStorage=20
    )
    settings = {
        **aws.environment,
        "OPENSEARCH_ENDPOINT": node.url,
        "OPENSEARCH_AUTH": "none",
        "INDEX_PREFIX": prefix,
        "FLEET_REGIONS": REGION,
        "DEAD_LETTER_BUCKET": DEAD_LETTER_BUCKET,
    }

    with Lambda(here.zip("posture_lambda"), "posture_lambda.handler.handler", settings, tmp_path, runtime) as running:
        answer = running.invoke({})
        run_alone(running, runtime, "posture_lambda")
    rds.delete_db_instance(DBInstanceIdentifier="audited")

    assert answer.kind == "response", running.output
    found = search.search(index=Indices(prefix).databases, body={"query": {"term": {"databaseIdentifier": "audited"}}})
    (document,) = (hit["_source"] for hit in found["hits"]["hits"])
    assert (document["verdict"], document["awsRegion"]) == ("not-eligible", REGION)


@pytest.mark.node
def test_replay_artifact_brings_back_dead_letters(
    here: Built,
    runtime: Path,
    ingest: IngestFunction,
    capsys: pytest.CaptureFixture[str],
    node: AnyNode,
    tmp_path: Path,
) -> None:
    replaying = Replaying(ingest, capsys, tmp_path)
    key = replaying.batch(ingest.record([postgresql_event()]))
    settings = {**ingest_settings(ingest, node), "DEAD_LETTER_BUCKET": replaying.evidence.bucket}

    with Lambda(here.zip("replay_lambda"), "replay_lambda.handler.handler", settings, tmp_path, runtime) as running:
        answer = running.invoke({})
        run_alone(running, runtime, "replay_lambda")

    assert answer.body == {"tried": 1, "returned": 1, "left": 0}, running.output
    assert replaying.done([key]) == [key]
    (document,) = ingest.documents()
    assert document["replayedAt"]


def test_the_setup_artifact_answers_a_custom_resource(
    here: Built, runtime: Path, aws: LocalAws, bucket: AnswerBucket, tmp_path: Path
) -> None:
    properties = {"Database": "cluster:orders", "Mode": "async", "OnDelete": "retain"}
    event = a_request(bucket.url, "Delete", properties, PhysicalResourceId="das-stream-cluster-ABCD")
    handler, settings = "setup_lambda.handler.handler", {**aws.environment, **SETUP_SETTINGS}

    with Lambda(here.zip("setup_lambda"), handler, settings, tmp_path, runtime) as running:
        answer = running.invoke(event)
        run_alone(running, runtime, "setup_lambda")

    assert answer.kind == "response", running.output
    assert bucket.answer["Status"] == "SUCCESS"
    assert bucket.answer["PhysicalResourceId"] == event["PhysicalResourceId"]
    assert bucket.answer["RequestId"] == event["RequestId"]


@pytest.mark.parametrize(
    ("function", "handler"), [("ingest_lambda", "handler"), ("findings_lambda", "scheduled")], ids=lambda name: name
)
def test_wrong_settings_are_the_runtimes_error(
    here: Built, runtime: Path, function: str, handler: str, tmp_path: Path
) -> None:
    with Lambda(here.zip(function), f"{function}.handler.{handler}", {}, tmp_path, runtime) as running:
        answer = running.invoke({"Records": []})

    assert (answer.kind, answer.body["errorType"]) == ("error", "SettingsError")
    assert "OPENSEARCH_ENDPOINT" in answer.body["errorMessage"]


# What the functions are called with, and shown.

INGEST = "ingest_lambda.handler.handler"
_OF_THE_RUNTIME = {"awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"}

SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2031-03-04T11:22:00Z",
    "region": REGION,
    "resources": [f"arn:aws:events:{REGION}:123456789012:rule/daswatch-findings"],
    "detail": {},
}


def ingest_settings(ingest: IngestFunction, node: AnyNode) -> dict[str, str]:
    return {
        **ingest.aws.environment,
        "OPENSEARCH_ENDPOINT": node.url,
        "OPENSEARCH_AUTH": "none",
        "DEAD_LETTER_BUCKET": DEAD_LETTER_BUCKET,
        "INDEX_PREFIX": ingest.prefix,
    }


def findings_settings(harness: RunHarness, node: AnyNode) -> dict[str, str]:
    """Without DETECTIONS: the artifact has its own."""
    return {
        **harness.aws.environment,
        "OPENSEARCH_ENDPOINT": node.url,
        "OPENSEARCH_AUTH": "none",
        "DEAD_LETTER_BUCKET": DEAD_LETTER_BUCKET,
        "INDEX_PREFIX": harness.prefix,
        "ALERT_TOPIC_ARN": harness.topic_arn,
    }


# Nothing of it is reached: a deleted custom resource leaves the activity stream running.
SETUP_SETTINGS = {
    "OPENSEARCH_ENDPOINT": "http://127.0.0.1:1",
    "OPENSEARCH_AUTH": "none",
    "BACKUP_BUCKET": DEAD_LETTER_BUCKET,
}


def sns_event(message: str) -> dict[str, Any]:
    """What SNS hands to a function that is subscribed to a topic."""
    arn = f"arn:aws:sns:{REGION}:123456789012:daswatch-monitors"
    shown = {
        "Type": "Notification",
        "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        "TopicArn": arn,
        "Subject": "daswatch",
        "Message": message,
        "Timestamp": "2031-03-04T11:22:00.000Z",
        "MessageAttributes": {},
    }
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": f"{arn}:21be56ed-a058-49f5-8c98-aedd2564c486",
                "Sns": shown,
            }
        ]
    }
