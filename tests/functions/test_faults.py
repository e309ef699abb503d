"""What breaks while a batch is ingested, and that nothing is lost or doubled by it; on a real node.

Lambda's part is played as Lambda does it: a batch is delivered again from the record that the answer names, the whole
batch where the function died without an answer. What is random comes from a seed, which each assertion names.
"""

from __future__ import annotations

import selectors
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from random import Random
from types import TracebackType
from typing import IO, Any, Self

import orjson
import pytest
from opensearchpy.helpers import scan

from demo.aws import DEAD_LETTER_BUCKET, LocalAws
from demo.ledger import LedgerEntry
from demo.opensearch import Node
from demo.rds import Database, KmsDataKeys, seal
from demo.rds import DataKey as SealingKey
from demo.traffic import fixed_records, produce
from tests import ROOT
from tests.builders.events import postgresql_event
from tests.fakes.clock import Clock, RealClock
from tests.fakes.proxy import (
    Behaviour,
    Dropped,
    Exchange,
    Predicate,
    Proxy,
    Response,
    answer,
    bulk,
    bulk_with,
    cut_answer,
    delay,
    drop,
    drop_answer,
    for_seconds,
    forward,
    kms_decrypt,
    replace_answer,
    sequence,
    template_check,
    too_late,
    withhold,
)
from tests.harness.faults import SEED, assert_ledger_equals_index, function_on, left_after, sealed_batches
from tests.harness.ingest import IngestFunction
from tests.harness.nodes import QuickNode

pytestmark = pytest.mark.node

START = datetime(2031, 3, 4, 23, 50, tzinfo=UTC)  # soon another day, and so another index
# A remaining time, and the handler's reserve of it for the answer.
SHORT_MS = 3_500
DELIVERIES = 500

NODE_KILLS = 4  # or more, until one came between a write and its answer
MOST_NODE_KILLS = 30
NODE_HEAP_MB = 512
NETWORK_SECONDS = 0.15  # that a bulk's answer takes while a node is killed again and again
FUNCTION_KILLS = 8

EARLY = 200  # documents of one record that are sent at once, while nothing else is on its way


# --- records and deliveries ---


def sequence_number(record: Mapping[str, Any]) -> str:
    number: str = record["kinesis"]["sequenceNumber"]
    return number


def events(count: int, first: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """So many events that differ."""
    return [postgresql_event(statementId=first + number, **changes) for number in range(count)]


def statement_ids(function: IngestFunction) -> list[int]:
    """Of all indexed documents, in order: each event of a test has its own."""
    return sorted(int(document["statementId"]) for document in function.documents())


def s3_objects(function: IngestFunction, bucket: str, database: Database) -> list[str]:
    """The keys of a database's dead letters."""
    answer = function.aws.s3().list_objects_v2(Bucket=bucket, Prefix=f"dead-letters/{database.resource_id}/")
    return [content["Key"] for content in answer.get("Contents", [])]


@pytest.fixture
def behind_proxy(ingest: IngestFunction, proxy: Proxy) -> IngestFunction:
    """The ingest function, which knows the node only by the proxy."""
    ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
    return ingest


@pytest.fixture
def kms_proxy(ingest: IngestFunction, aws: LocalAws) -> Iterator[Proxy]:
    """A proxy in front of KMS, which the ingest function uses."""
    with Proxy(aws.url) as running:
        ingest.configure(AWS_ENDPOINT_URL_KMS=running.url)
        yield running
        ingest.cold_start()


# --- the node is killed ---


@dataclass(frozen=True, slots=True)
class Kills:
    """What a killer did."""

    count: int
    with_bulk_in_flight: int


class NodeKiller:
    """Kills a node at random moments of invocations, and starts it again; in a thread of its own."""

    def __init__(self, node: Node, proxy: Proxy, random: Random) -> None:
        self._node = node
        self._proxy = proxy
        self._random = random
        self.after_a_write = threading.Event()  # a document was there already when it was delivered again
        self._stop = threading.Event()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="killer")
        self.invoking = threading.Event()
        self.node_up = threading.Event()
        self.node_up.set()
        self._node_down = threading.Event()
        self._answered = threading.Event()
        proxy.on(bulk, self._on_a_slow_network)

    def __enter__(self) -> Self:
        self._killing = self._executor.submit(self._kill)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._executor.shutdown()

    @property
    def done(self) -> bool:
        return self._killing.done()

    @property
    def kills(self) -> Kills:
        return self._killing.result()

    def _kill(self) -> Kills:
        count = with_bulk = 0
        spreads = cycle((NETWORK_SECONDS / 2, 0.2, 1.5))
        spread = next(spreads)
        while not self._stop.is_set() and count < MOST_NODE_KILLS:
            if count >= NODE_KILLS and with_bulk and self.after_a_write.is_set():
                break
            if not self._proxy.wait_for_bulk(1.0):
                continue
            if spread < NETWORK_SECONDS:
                # When the node has written, and the function does not know it yet.
                self._answered.clear()
                self._answered.wait(5.0)
            self._stop.wait(self._random.random() * spread)
            if not self.invoking.is_set():
                continue
            with_bulk += self._proxy.bulks_in_flight > 0
            self.node_up.clear()
            self._node_down.set()
            self._node.kill()
            count, spread = count + 1, next(spreads)
            self._node_down.clear()
            self._node.restart()
            self.node_up.set()
        return Kills(count, with_bulk)

    def _on_a_slow_network(self, exchange: Exchange) -> Response:
        """Forwards; an answer that is on its way when the node is killed never arrives."""
        response = exchange.forward()
        self._answered.set()
        if self._node_down.wait(NETWORK_SECONDS):
            raise Dropped
        return response


def test_a_node_killed_at_random_moments_loses_and_doubles_nothing(
    aws: LocalAws, kms_key_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = Random(f"{SEED}/deliveries")
    entries: list[LedgerEntry] = []
    invocations = redelivered = already_there = 0
    with (
        QuickNode.start(heap_mb=NODE_HEAP_MB) as node,
        Proxy(node.url) as proxy,
        function_on(node.url, aws, kms_key_id, monkeypatch, capsys) as function,
    ):
        function.clock = RealClock()  # a node takes real time to come back
        function.configure(OPENSEARCH_ENDPOINT=proxy.url)
        batches = sealed_batches(function, produce(SEED, START, 1_000_000), size=400)
        with NodeKiller(node, proxy, Random(f"{SEED}/kills")) as killer:
            while not killer.done:
                batch = next(batches)
                entries += batch.entries
                left: Sequence[dict[str, Any]] = batch.records
                while left:
                    if random.random() < 0.02:
                        function.cold_start()
                    killer.invoking.set()
                    named = function.invoke(*left, remaining_ms=random.choice((2_600, SHORT_MS, SHORT_MS, 12_000)))
                    killer.invoking.clear()
                    invocations += 1
                    already_there += function.log["already_there"]
                    if already_there:
                        killer.after_a_write.set()
                    function.printed = ""
                    left = left_after(named, left)
                    if named:
                        redelivered += 1
                        killer.node_up.wait(1.0)  # Lambda waits too; decrypting in a loop slows the node's start
            kills = killer.kills

        note = (
            f"{kills.count} kills, {kills.with_bulk_in_flight} with a bulk in flight, {invocations} invocations, "
            f"{redelivered} delivered again, {already_there} documents already there"
        )
        assert kills.count >= NODE_KILLS, note
        assert kills.with_bulk_in_flight > 0, f"seed {SEED}: {note}"
        assert_ledger_equals_index(entries, function, note)
        assert already_there > 0, f"seed {SEED}: no kill after a write, {note}"
        assert not function.search.indices.exists(index=function.indices.dead_letters), f"seed {SEED}: {note}"
        function.search.indices.refresh(index=function.indices.pulse)
        pulses = [hit["_source"]["instanceId"] for hit in scan(function.search, index=function.indices.pulse)]
        assert set(pulses) == {entry.instance_id for entry in entries}, f"seed {SEED}: {note}"


# --- OpenSearch is overloaded, or what stands before it fails ---

PASSING_FAULTS: dict[str, Behaviour] = {
    "429": answer(429, b'{"error":{"type":"circuit_breaking_exception"},"status":429}'),
    "429 without a body": answer(429),
    "502 of a load balancer": answer(502, b"<html>Bad Gateway</html>", "text/html"),
    "503": answer(503, b'{"error":{"type":"cluster_block_exception"},"status":503}'),
    "504": answer(504, b"", "text/plain"),
    "500": answer(500, b'{"error":{"type":"null_pointer_exception"},"status":500}'),
    "408 of a load balancer": answer(408, b"", "text/plain"),
    "connection dropped before the request arrives": drop,
    "connection dropped after the bulk was taken": drop_answer,
    "answer cut after the bulk was taken": cut_answer,
    "answer is half a JSON": replace_answer(b'{"errors":fal'),
    "answer is no JSON": replace_answer(b"<html>Welcome</html>"),
    "answer is HTML": replace_answer(b"<html>Welcome</html>", "text/html"),
    "answer is empty": replace_answer(b""),
    "answer is another JSON": replace_answer(b"[]"),
    "answer lacks items": replace_answer(b'{"errors":true,"items":[]}'),
    "answer without errors lacks items": replace_answer(b'{"errors":false,"items":[{"create":{"status":201}}]}'),
    "answer without errors has no items": replace_answer(b'{"errors":false}'),
    "429 for some documents": withhold(429, lambda lines: b"late" in lines, "opensearch_rejected_execution_exception"),
    "503 for some documents": withhold(503, lambda lines: b"late" in lines, "unavailable_shards_exception"),
}


@pytest.mark.parametrize("fault", PASSING_FAULTS)
def test_a_fault_that_passes_costs_one_invocation_and_nothing_else(
    behind_proxy: IngestFunction, proxy: Proxy, fault: str
) -> None:
    records = [
        behind_proxy.record(events(3)),
        behind_proxy.record(events(3, first=3, databaseName="late")),
        behind_proxy.record(events(3, first=6)),
    ]
    bulks = proxy.on(bulk, sequence(PASSING_FAULTS[fault], PASSING_FAULTS[fault]))

    assert behind_proxy.invoke(*records) == []

    assert statement_ids(behind_proxy) == list(range(9))
    assert behind_proxy.dead_letters() == []
    assert bulks.hits == 3
    assert behind_proxy.log["bulk_requests"] == 3
    assert behind_proxy.log["written"] + behind_proxy.log["already_there"] == 9


def test_a_node_that_answers_429_for_a_while_gets_everything_in_one_invocation(
    behind_proxy: IngestFunction, proxy: Proxy
) -> None:
    bulks = proxy.on(bulk, for_seconds(2.0, answer(429), behind_proxy.clock))

    assert behind_proxy.invoke(*(behind_proxy.record(events(50, first=50 * number)) for number in range(10))) == []

    assert sum(behind_proxy.clock.slept) >= 2.0
    assert statement_ids(behind_proxy) == list(range(500))
    # With a growing pause between the attempts.
    assert 3 <= bulks.hits <= 60


def behaviour_of(fault: Behaviour | Callable[[Clock], Behaviour], clock: Clock) -> Behaviour:
    """The behaviour of a fault, which may need the function's clock."""
    return too_late(clock) if fault is too_late else fault  # type: ignore[return-value]


STAYING_FAULTS: dict[str, Behaviour | Callable[[Clock], Behaviour]] = {
    "429": answer(429),
    "503": answer(503),
    "dropped before": drop,
    "dropped after": drop_answer,
    "answer cut": cut_answer,
    "answer is half a JSON": replace_answer(b'{"errors":fal'),
    "no answer": too_late,
    "403": answer(403, b'{"message":"User is not authorized"}'),
    "404": answer(404, b'{"error":{"type":"index_not_found_exception"},"status":404}'),
    "408 of a load balancer": answer(408, b"", "text/plain"),
    "302 to a login page": answer(302, b"<html>Sign in</html>", "text/html"),
    "429 for one document": withhold(429, lambda lines: b"late" in lines, "opensearch_rejected_execution_exception"),
    "403 for one document": withhold(403, lambda lines: b"late" in lines, "cluster_block_exception"),
}


@pytest.mark.parametrize("fault", STAYING_FAULTS)
def test_a_fault_that_stays_names_the_first_record_not_written(
    behind_proxy: IngestFunction, proxy: Proxy, fault: str
) -> None:
    records = [
        behind_proxy.record(events(EARLY)),
        behind_proxy.record(events(1, first=EARLY, databaseName="late")),
        behind_proxy.record(events(1, first=EARLY + 1)),
    ]
    proxy.on(bulk_with(b'"late"'), behaviour_of(STAYING_FAULTS[fault], behind_proxy.clock))

    assert behind_proxy.invoke(*records) == [sequence_number(records[1])]

    assert set(statement_ids(behind_proxy)) >= set(range(EARLY))
    assert behind_proxy.log["retry_from"] == 1
    proxy.behave()
    assert behind_proxy.invoke(*records[1:]) == []
    assert statement_ids(behind_proxy) == list(range(EARLY + 2))
    assert behind_proxy.dead_letters() == []


@pytest.mark.parametrize(
    "fault",
    [
        answer(429),
        answer(503),
        drop,
        cut_answer,
        replace_answer(b'{"index_temp'),
        replace_answer(b"<html>Welcome</html>", "text/html"),
        too_late,
        answer(200, b"[]"),
        answer(200, b'{"index_templates":null}'),
        answer(200, b'{"index_templates":["das-events"]}'),
        answer(200, b'{"index_templates":[{"name":{}}]}'),
    ],
    ids=[
        "429",
        "503",
        "dropped",
        "answer cut",
        "answer is half a JSON",
        "answer is HTML",
        "no answer",
        "answer is a list",
        "answer is null",
        "answer has no objects",
        "answer has no names",
    ],
)
def test_a_template_check_that_fails_is_no_fault_of_the_records(
    behind_proxy: IngestFunction, proxy: Proxy, fault: Behaviour | Callable[[Clock], Behaviour]
) -> None:
    records = [behind_proxy.record(events(1)), behind_proxy.record(events(1, first=1))]
    proxy.on(template_check, behaviour_of(fault, behind_proxy.clock))

    assert behind_proxy.invoke(*records) == [sequence_number(records[0])]

    assert behind_proxy.dead_letters() == []
    proxy.behave()
    assert behind_proxy.invoke(*records) == []
    assert statement_ids(behind_proxy) == [0, 1]


# --- the function is stopped at its time limit ---


def test_slow_batch_is_answered_in_time_and_continued(behind_proxy: IngestFunction, proxy: Proxy) -> None:
    """The next delivery starts at the record that the answer names."""
    records = [behind_proxy.record(events(EARLY, first=EARLY * number)) for number in range(20)]
    proxy.on(bulk, delay(30.0, behind_proxy.clock))

    named = behind_proxy.invoke(*records)

    left = left_after(named, records)
    done = len(records) - len(left)
    assert 0 < done < len(records)
    assert set(statement_ids(behind_proxy)) >= set(range(done * EARLY))
    # What the function gave up may arrive late, together with its redelivery.
    proxy.behave()
    assert behind_proxy.invoke(*left) == []
    assert statement_ids(behind_proxy) == list(range(len(records) * EARLY))


def test_a_batch_without_time_is_given_back_untouched(behind_proxy: IngestFunction, proxy: Proxy) -> None:
    records = [behind_proxy.record(events(1)), behind_proxy.record(events(1, first=1))]
    bulks = proxy.on(bulk, forward)

    assert behind_proxy.invoke(*records, remaining_ms=1_000) == [sequence_number(records[0])]

    assert bulks.hits == 0
    assert behind_proxy.invoke(*records) == []
    assert statement_ids(behind_proxy) == [0, 1]


class Environment:
    """One of Lambda's execution environments: `tests.harness.faults_runner` in a process of its own."""

    def __init__(self, log: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.faults_runner"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._read = b""

    def wait_until_ready(self) -> None:
        assert self.answer(60.0) == "ready"

    def send(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Start an invocation."""
        message = memoryview(orjson.dumps({"records": records, "remaining_ms": 60_000}) + b"\n")
        while message:
            message = message[self._stdin.write(message) :]

    def answer(self, seconds: float) -> Any:
        """The next line it writes; None where there is none in time. Raises EOFError when it ended."""
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            while b"\n" not in self._read:
                if not selector.select(max(0.0, until - time.monotonic())):
                    return None
                chunk = self._stdout.read(65_536)
                if not chunk:
                    raise EOFError("the function's process ended")
                self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        return orjson.loads(line)

    def invoke(self, records: Sequence[Mapping[str, Any]], seconds: float) -> Any:
        """The answer of an invocation; None where it takes longer."""
        self.send(records)
        return self.answer(seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()


def test_a_function_killed_in_mid_batch_loses_and_doubles_nothing(ingest: IngestFunction, tmp_path: Path) -> None:
    random = Random(f"{SEED}/function")
    batches = sealed_batches(ingest, fixed_records(SEED, START, 1_000_000, per_record=20), size=300)
    batch = next(batches)
    entries = list(batch.entries)
    kills = answers = 0
    with (tmp_path / "function.log").open("wb") as log:
        while kills < FUNCTION_KILLS:
            with Environment(log) as environment:
                environment.wait_until_ready()
                while (answered := environment.invoke(batch.records, random.random() * 1.2)) is not None:
                    assert answered == {"batchItemFailures": []}, f"seed {SEED}"
                    answers += 1
                    batch = next(batches)
                    entries += batch.entries
                environment.kill()
                kills += 1

    assert ingest.invoke(*batch.records) == []
    assert_ledger_equals_index(entries, ingest, f"{kills} kills, {answers} batches answered")
    assert ingest.dead_letters() == []


# --- two at once ---


def test_two_functions_with_the_same_records_at_once_write_each_event_once(
    ingest: IngestFunction, tmp_path: Path
) -> None:
    batches = list(islice(sealed_batches(ingest, produce(SEED, START, 10_000), size=600), 8))
    entries = [entry for batch in batches for entry in batch.entries]
    logs = tmp_path / "one.log", tmp_path / "other.log"
    with (
        logs[0].open("wb") as log,
        logs[1].open("wb") as other_log,
        Environment(log) as one,
        Environment(other_log) as other,
    ):
        both = (one, other)
        for environment in both:
            environment.wait_until_ready()
        for batch in batches:
            for environment in both:
                environment.send(batch.records)
            answers = [environment.answer(60.0) for environment in both]
            assert answers == [{"batchItemFailures": []}] * 2, f"seed {SEED}"

    written = [sum(line["written"] for line in invocations(log)) for log in logs]
    assert_ledger_equals_index(entries, ingest, f"written by each of two functions: {written}")
    assert sum(written) == sum(entry.fate == "indexed" for entry in entries), f"seed {SEED}"


def invocations(log: Path) -> list[dict[str, Any]]:
    """The line that each invocation logged."""
    lines = [orjson.loads(line) for line in log.read_bytes().splitlines() if line.startswith(b"{")]
    return [line for line in lines if "request_id" in line]


# --- KMS ---


def kms_error(code: str, status: int = 400) -> Behaviour:
    """An error as KMS answers it."""
    return answer(status, orjson.dumps({"__type": code, "message": "…"}), "application/x-amz-json-1.1")


def decrypt_of(key: SealingKey) -> Predicate:
    """Calls of KMS Decrypt for this data key."""
    wrapped = b64encode(key.wrapped).decode("ascii")
    return lambda request: kms_decrypt(request) and orjson.loads(request.body)["CiphertextBlob"] == wrapped


def another_key(function: IngestFunction, database: Database) -> SealingKey:
    """The database's next data key, as after a rotation."""
    return KmsDataKeys(function.aws.kms(), function.kms_key_id).for_record(database)


def sealed_under(function: IngestFunction, key: SealingKey, database: Database, first: int) -> dict[str, Any]:
    """A stream record with one event under this data key."""
    content = {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": database.cluster_id,
        "instanceId": "db-WRITER",
        "databaseActivityEventList": events(1, first=first),
    }
    return function.delivered(seal(content, database, key), database)


def test_kms_that_throttles_the_first_calls_is_asked_again(ingest: IngestFunction, kms_proxy: Proxy) -> None:
    throttled = kms_error("ThrottlingException")
    calls = kms_proxy.on(kms_decrypt, sequence(throttled, throttled))

    assert ingest.invoke(ingest.record(events(1)), ingest.record(events(1, first=1))) == []

    assert calls.hits == 3
    assert statement_ids(ingest) == [0, 1]
    assert ingest.dead_letters() == []


KMS_FAULTS: dict[str, Behaviour] = {
    "throttled": kms_error("ThrottlingException"),
    "access denied": kms_error("AccessDeniedException"),
    "key disabled": kms_error("DisabledException"),
    "key pending deletion": kms_error("KMSInvalidStateException"),
    "internal error": kms_error("KMSInternalException", 500),
    "connection dropped": drop,
    "answer cut": cut_answer,
    "answer is no JSON": answer(200, b"<html>", "application/x-amz-json-1.1"),
    "answer without a key": answer(200, b"{}", "application/x-amz-json-1.1"),
}


@pytest.mark.parametrize("fault", KMS_FAULTS)
def test_kms_that_does_not_serve_stops_at_the_first_record_that_needs_it(
    ingest: IngestFunction, kms_proxy: Proxy, fault: str
) -> None:
    database = ingest.database()
    rotated = another_key(ingest, database)
    records = [
        ingest.record(events(1)),
        ingest.record(events(1, first=1)),
        sealed_under(ingest, rotated, database, first=2),
        ingest.record(events(1, first=3)),
    ]
    kms_proxy.on(decrypt_of(rotated), KMS_FAULTS[fault])

    assert ingest.invoke(*records, remaining_ms=10_000) == [sequence_number(records[2])]

    assert statement_ids(ingest) == [0, 1]
    assert "KMS" in ingest.log["cause"]
    assert ingest.dead_letters() == []
    kms_proxy.behave()
    assert ingest.invoke(*records[2:]) == []
    assert statement_ids(ingest) == [0, 1, 2, 3]
    assert ingest.dead_letters() == []


# --- S3 and OpenSearch refuse ---


def poison(function: IngestFunction) -> dict[str, Any]:
    """A stream record that can never be opened."""
    return function.delivered(b"no envelope")


def test_poison_record_waits_for_a_missing_dead_letter_bucket(ingest: IngestFunction) -> None:
    bucket = f"daswatch-{ingest.name}"
    ingest.configure(DEAD_LETTER_BUCKET=bucket)
    records = [ingest.record(events(1)), poison(ingest), ingest.record(events(1, first=1))]

    assert ingest.invoke(*records) == [sequence_number(records[1])]

    assert "NoSuchBucket" in ingest.log["cause"]
    assert ingest.log["dead_letters"] == {}
    assert ingest.dead_letters() == []
    ingest.aws.s3().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert ingest.invoke(*records[1:]) == []
    (letter,) = ingest.dead_letters()
    assert letter["reason"] == "not-json"
    assert ingest.stored(letter["object"])["record"] == records[1]
    assert statement_ids(ingest) == [0, 1]


def test_a_read_only_index_holds_its_records_back_until_the_block_is_lifted(ingest: IngestFunction) -> None:
    blocked, other_day = "2031-03-04 11:22:33.444555+00", "2031-03-05 11:22:33.444555+00"
    ingest.invoke(ingest.record(events(1, logTime=blocked)), ingest.record(events(1, first=1, logTime=other_day)))
    index = f"{ingest.prefix}-2031.03.04"
    records = [
        ingest.record(events(1, first=2, logTime=other_day)),
        ingest.record(events(1, first=3, logTime=blocked)),
        ingest.record(events(1, first=4, logTime=other_day)),
    ]
    ingest.search.indices.put_settings(index=index, body={"index.blocks.write": True})

    assert ingest.invoke(*records) == [sequence_number(records[1])]

    assert "cluster_block_exception" in ingest.log["cause"]
    assert ingest.log["bulk_requests"] == 1  # waiting would not help
    ingest.search.indices.put_settings(index=index, body={"index.blocks.write": None})
    assert ingest.invoke(*records[1:]) == []
    assert statement_ids(ingest) == [0, 1, 2, 3, 4]
    assert ingest.dead_letters() == []


def too_large(limit: int) -> Behaviour:
    """Refuses bodies above this size, as OpenSearch above its http.max_content_length."""

    def behave(exchange: Exchange) -> Response:
        return Response(413) if len(exchange.request.body) > limit else exchange.forward()

    return behave


def test_a_bulk_that_is_too_large_is_written_in_parts(behind_proxy: IngestFunction, proxy: Proxy) -> None:
    records = [behind_proxy.record(events(20, first=20 * number)) for number in range(9)]
    bulks = proxy.on(bulk, too_large(20_000))

    assert behind_proxy.invoke(*records) == []

    assert statement_ids(behind_proxy) == list(range(180))
    assert behind_proxy.dead_letters() == []
    assert bulks.hits > 10


def test_document_that_is_too_large_alone_is_a_dead_letter(behind_proxy: IngestFunction, proxy: Proxy) -> None:
    """It stops no other document."""
    records = [
        behind_proxy.record(events(20)),
        behind_proxy.record([*events(1, first=20), *events(1, first=21, commandText="x" * 30_000)]),
        behind_proxy.record(events(20, first=22)),
    ]
    proxy.on(bulk, too_large(20_000))

    assert behind_proxy.invoke(*records) == []

    assert statement_ids(behind_proxy) == [*range(21), *range(22, 42)]
    (letter,) = behind_proxy.dead_letters()
    assert letter["reason"] == "document-refused"
    assert letter["detail"] == "OpenSearch answered 413"
    assert len(letter["documentIds"]) == 1
    assert behind_proxy.stored(letter["object"])["record"] == records[1]
    assert behind_proxy.log["dead_letters"] == {"document-refused": 1}


# --- dead letters and the pulse, delivered again ---


@pytest.mark.parametrize(
    "fault", [answer(429), drop, drop_answer, cut_answer], ids=["429", "dropped", "dropped after", "answer cut"]
)
def test_dead_letters_and_pulses_are_not_doubled_by_retries(
    behind_proxy: IngestFunction, proxy: Proxy, fault: Behaviour
) -> None:
    records = [
        behind_proxy.record([{"type": "heartbeat"}, *events(1)]),
        poison(behind_proxy),
        behind_proxy.record([*events(1, first=1), "no object"]),
        behind_proxy.record([{"type": "heartbeat"}]),
    ]
    proxy.on(bulk, sequence(fault, fault))
    proxy.on(bulk_with(b'-dead-letters"'), sequence(fault, fault))

    assert behind_proxy.invoke(*records) == []
    first = behind_proxy.pulses()
    behind_proxy.cold_start()
    assert behind_proxy.invoke(*records) == []
    assert behind_proxy.invoke(*records[1:]) == []

    assert statement_ids(behind_proxy) == [0, 1]
    assert sorted(letter["reason"] for letter in behind_proxy.dead_letters()) == ["event-not-an-object", "not-json"]
    assert len(s3_objects(behind_proxy, DEAD_LETTER_BUCKET, behind_proxy.database())) == 2
    assert set(first) == {"db-WRITER"}
    assert behind_proxy.pulses() == first


def test_dead_letter_is_kept_once_if_its_line_is_not_written(behind_proxy: IngestFunction, proxy: Proxy) -> None:
    """Its record is delivered again."""
    records = [behind_proxy.record(events(1)), poison(behind_proxy), behind_proxy.record(events(1, first=1))]
    proxy.on(bulk_with(b'-dead-letters"'), answer(429))

    assert behind_proxy.invoke(*records) == [sequence_number(records[1])]

    assert behind_proxy.dead_letters() == []
    proxy.behave()
    assert behind_proxy.invoke(*records[1:]) == []
    assert statement_ids(behind_proxy) == [0, 1]
    (letter,) = behind_proxy.dead_letters()
    assert s3_objects(behind_proxy, DEAD_LETTER_BUCKET, behind_proxy.database()) == [
        letter["object"].removeprefix(f"s3://{DEAD_LETTER_BUCKET}/")
    ]


def test_a_late_redelivery_does_not_move_the_pulse_back(ingest: IngestFunction) -> None:
    earlier = ingest.record(events(1))
    later = ingest.record(events(1, first=1, logTime="2031-03-04 11:30:00.000000+00"))
    later["kinesis"]["approximateArrivalTimestamp"] += 600
    ingest.invoke(earlier, later)
    pulse = ingest.pulses()["db-WRITER"]

    assert ingest.invoke(earlier) == []

    assert ingest.pulses() == {"db-WRITER": pulse}
    assert pulse["lastEvent"] == "2031-03-04T11:30:00.000Z"


@pytest.mark.parametrize(
    ("status", "error_type"),
    [(429, "opensearch_rejected_execution_exception"), (403, "cluster_block_exception"), (409, "version_conflict")],
)
def test_a_pulse_that_cannot_be_written_delivers_nothing_again(
    behind_proxy: IngestFunction, proxy: Proxy, status: int, error_type: str
) -> None:
    proxy.on(bulk, withhold(status, lambda lines: b'-pulse"' in lines, error_type))

    assert behind_proxy.invoke(behind_proxy.record([{"type": "heartbeat"}, *events(1)])) == []

    assert statement_ids(behind_proxy) == [0]
    assert behind_proxy.pulses() == {}
    assert behind_proxy.log["written"] == 1
