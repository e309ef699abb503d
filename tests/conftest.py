"""What all tests share: a clean environment, a real OpenSearch, moto behind HTTP, and the ingest function.

Nothing is skipped where something is absent: a missing JDK or Maven fails with the line that says what to
install.
"""

from __future__ import annotations

import gc
import os
import secrets
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from opensearchpy import OpenSearch
from pytest_httpserver import HTTPServer
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from daswatch.activity_streams import lifecycle
from daswatch.aws import clients
from daswatch.content.templates import shipped_content
from daswatch.opensearch.templates import ContentGateway
from daswatch.settings import SETTINGS
from demo.aws import LocalAws
from demo.opensearch import AnyNode, node_or_external
from demo.opensearch_home import VERSION_VARIABLE
from tests.fakes.cloudformation_bucket import AnswerBucket, answer_bucket
from tests.fakes.proxy import Proxy
from tests.fakes.rds import Rds, rds_with_streams
from tests.fakes.serverless import CollectionNode, is_chosen
from tests.harness.fleet import Fleet
from tests.harness.in_a_collection import why_not_in_a_collection
from tests.harness.ingest import IngestFunction
from tests.harness.nodes import QuickNode

# Examples are the same in each run, and none fails because the machine is slow.
settings.register_profile("daswatch", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("daswatch")

_OURS = ("AWS_", "INDEX_", "OPENSEARCH_", "POWERTOOLS_")
_OF_THE_NODE = ("OPENSEARCH_URL", VERSION_VARIABLE)
_IN_A_COLLECTION = is_chosen()


# Of a process of tests: a node of 1 GiB of heap, nodes that tests start themselves, and Python.
_PROCESS_BYTES = 4 * 1024**3
# Tests with a node wait: until it has started, for a dependency that is silent, for a write that has to reach the disk.
# Each process costs a node and a collection of all tests, so that twice as many as cores are no faster.
_PROCESSES_THAT_WAIT = 1
# By duration. A long file that starts last would keep one process busy while the others have ended.
_LONGEST = (
    "test_faults",
    "test_hanging",
    "test_hanging_fleet",
    "test_doc_commands",
    "test_three_nodes",
    "test_completeness",
    "test_catching_up",
    "test_backtest_equals",
    "test_hanging_replay",
    "test_monitors",
)
# Too long for one process. Their tests share only what all tests of a process share.
_DIVIDED = frozenset(
    {"tests/functions/test_faults.py", "tests/functions/test_hanging.py", "tests/functions/test_hanging_fleet.py"}
)

# Tests on a node about something else than what it answers: files, processes, networks, commands, AWS, how far a run
# comes. What writes documents and asks for them is in others, which run on each version.
_SAME_ON_ALL_VERSIONS = frozenset(
    {
        "test_artifacts",
        "test_backtest_equals",
        "test_browser_on_node",
        "test_catching_up",
        "test_completeness",
        "test_detections_cli",
        "test_doc_commands",
        "test_doctor_cli",
        "test_enrol_function",
        "test_faults",
        "test_fleet_cli",
        "test_hanging",
        "test_hanging_fleet",
        "test_hanging_replay",
        "test_ingest_rows",
        "test_names",
        "test_overlapping_runs",
        "test_parts",
        "test_posture_findings",
        "test_posture_function",
        "test_prompt_requests",
        "test_properties",
        "test_replay_cli",
        "test_replay_faults",
        "test_replay_function",
        "test_run_faults",
        "test_setup_cli",
        "test_template_permissions",
        "test_three_nodes",
    }
)


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """As many processes as the cores can keep busy and the memory has room for; 0 is this one alone.

    That is for a part of the tests, and for a server that is not ours: tests change it as if they were alone.
    """
    cores = yield
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword or config.option.lf
    if chosen or os.environ.get("OPENSEARCH_URL"):
        return 0
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    more = 0 if config.option.markexpr == "not node" else _PROCESSES_THAT_WAIT
    processes = min(cores + more, memory // _PROCESS_BYTES)
    return processes if processes > 1 else 0


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """A file's tests in one process, which has the file's fixtures; of a divided file, those of a function."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return nodeid.partition("[")[0] if file in _DIVIDED else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """How the processes get their tests, where they do so by file."""
    return _Scheduling(config, log) if config.option.dist == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays: looking for garbage in it would take a third of the time, and again and again later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses the shared node, whether its author thought of it or not, and what depends on its version.

    One of several processes begins with the longest files.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST))
    for item in items:
        if "node" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.node)
        if item.get_closest_marker("node") and item.path.stem not in _SAME_ON_ALL_VERSIONS:
            item.add_marker(pytest.mark.versions)
            if why_not_in_a_collection(item) is None:
                item.add_marker(pytest.mark.serverless)


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """No setting and no AWS profile of the machine reaches a test. What a test sets ends with it."""
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if (name.startswith(_OURS) and name not in _OF_THE_NODE) or name in SETTINGS:
                environment.delenv(name)
        if _IN_A_COLLECTION:
            environment.setenv("OPENSEARCH_SERVICE", "aoss")
        environment.setenv("AWS_CONFIG_FILE", os.devnull)
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def node() -> Iterator[AnyNode]:
    """The node that most tests share, or the collection in front of it. A test that kills a node starts its own."""
    with node_or_external(kind=QuickNode) as running:
        if _IN_A_COLLECTION:
            with CollectionNode(running) as collection:
                yield collection
        else:
            yield running


@pytest.fixture(scope="session")
def search(node: AnyNode) -> Iterator[OpenSearch]:
    """A client of the shared node with our templates installed."""
    client = OpenSearch(node.node.url if isinstance(node, CollectionNode) else node.url, timeout=60)
    ContentGateway(client).install_all(shipped_content())
    yield client
    client.close()


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    """Kinesis, KMS and S3 behind HTTP, with the dead-letter bucket."""
    with LocalAws() as running:
        running.create_dead_letter_bucket()
        yield running


@pytest.fixture(scope="session")
def kms_key_id(aws: LocalAws) -> str:
    """The customer key of all test databases."""
    return aws.create_key()


@pytest.fixture
def rds(aws: LocalAws, kms_key_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rds]:
    """RDS with activity streams, as any client of ours finds it."""
    with rds_with_streams(aws, kms_key_id) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        clients.session.cache_clear()
        yield running


@pytest.fixture
def fleet(search: OpenSearch, node: AnyNode, rds: Rds, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """Databases in an account and indices that no other test has."""
    running = Fleet(search, node.url, rds, monkeypatch)
    yield running
    running.close()


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what waits by the real clock: looks follow each other at once."""
    monkeypatch.setattr(lifecycle, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture(scope="session")
def make_httpserver() -> Iterator[HTTPServer]:
    """The server of the fixture `httpserver`, with a thread for each connection: some are left open."""
    with HTTPServer("127.0.0.1", 0, threaded=True) as server:
        yield server


@pytest.fixture
def bucket(httpserver: HTTPServer) -> AnswerBucket:
    """Where CloudFormation takes the answers to its requests."""
    return answer_bucket(httpserver)


@pytest.fixture
def ingest(
    search: OpenSearch,
    node: AnyNode,
    aws: LocalAws,
    kms_key_id: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[IngestFunction]:
    """The ingest function on databases and indices of its own: tests do not see each other's documents."""
    function = IngestFunction(
        url=node.url,
        aws=aws,
        kms_key_id=kms_key_id,
        search=search,
        name=secrets.token_hex(6),
        monkeypatch=monkeypatch,
        capsys=capsys,
    )
    function.install()
    yield function
    function.close()


@pytest.fixture
def proxy(node: AnyNode) -> Iterator[Proxy]:
    """A proxy in front of the shared node."""
    with Proxy(node.url) as running:
        yield running


@pytest.fixture
def behind(proxy: Proxy) -> Iterator[OpenSearch]:
    """A client that knows the node only by the proxy."""
    client = OpenSearch(proxy.url, timeout=60)
    yield client
    client.close()
