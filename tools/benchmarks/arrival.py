"""From the arrival of an attack's record in Kinesis to its finding in Security Hub, and what a flood of attacks costs.

The ingest function gets the records as its event source mapping delivers them, writes them, and asks for prompt looks;
the saved queries run once a minute; the indices refresh as their template says. A stand-in for Lambda delivers the
requests, each after the time that a cold start takes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import mean, median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from opensearchpy import OpenSearch

from daswatch.aws import clients
from daswatch.aws.security_hub import FindingAccounts
from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.detections.detection import dump
from daswatch.detections.samples import Sample, base_events, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.indices import Indices
from daswatch.opensearch.look_claims import LookClaims
from daswatch.opensearch.templates import ContentGateway
from demo.aws import DEAD_LETTER_BUCKET, REGION, LocalAws
from demo.findings import all_findings
from demo.rds import Database, KmsDataKeys, seal
from demo.stream import InvocationContext, lambda_record_of
from findings_lambda.prompt_looks import PromptLooks
from findings_lambda.run_report import RunReport
from findings_lambda.runner import DetectionRunner
from ingest_lambda import handler as ingest_handler
from ingest_lambda.settings import read_settings
from tools.benchmarks.figures import Figures
from tools.benchmarks.workload import SEED
from tools.runner import detection_runner

Step = Callable[[str], None]

_INDICES = Indices("das-bench-arrival-events")
_STATE = (_INDICES.alerts, _INDICES.seen, _INDICES.runs)
_LOOK = f"arn:aws:lambda:{REGION}:123456789012:function:daswatch-look"
_SECONDS = 53.0  # of the function's minute
_MINUTE = 60.0
_TICKS = 4
_PAUSE_SECONDS = 1.7  # between two attacks, on average
_WINDOW_SECONDS = 5.0  # of the event source mapping
_POLL_SECONDS = 1.0  # in which Lambda reads a shard
_COLD_START_SECONDS = 2.0  # of the look function, whose requests are seldom
# A database with more alerts than this would get one summary for the rest.
_ATTACKS_PER_DATABASE = 50
_FLOOD_PER_SECOND = 20
_MINUTES_A_DAY = 1_440


def arrival_to_finding(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """Attacks at random times, each of its own user. Each raises a high finding, and a medium one by the schedule."""
    with _deployment(client, url) as deployment:
        done = threading.Event()
        attacker = threading.Thread(target=deployment.attack, args=(done,))
        mapping = threading.Thread(target=deployment.deliver, args=(done,))
        attacker.start()
        mapping.start()
        begun, runs = time.monotonic(), []
        for tick in range(1, _TICKS + 1):
            step(f"attacks, and a run each minute: {tick} of {_TICKS}")
            time.sleep(max(0.0, begun + tick * _MINUTE - time.monotonic()))
            if tick == _TICKS - 1:
                done.set()
                attacker.join()
                mapping.join()
            started = time.perf_counter()
            deployment.runner().run(datetime.now(UTC), Deadline.after(_SECONDS))
            runs.append(time.perf_counter() - started)
            deployment.note_findings()
        looks = deployment.looks()
        seconds = deployment.seconds
    if any(len(one) != len(seconds["superuser-grant"]) or not one for one in seconds.values()):
        raise RuntimeError(f"attacks have no finding: { ({name: len(one) for name, one in seconds.items()}) }")
    critical, others = seconds["superuser-grant"], seconds["privilege-grant"]
    figures.add(
        arrival_to_finding_p50_s=median(others),
        arrival_to_finding_p95_s=quantiles(others, n=20)[-1],
        arrival_to_critical_finding_p50_s=median(critical),
        arrival_to_critical_finding_p95_s=quantiles(critical, n=20)[-1],
        arrival_to_finding_attacks=len(critical),
        prompt_look_requests=len(looks),
        prompt_looks=sum(report.looks for report, _ in looks),
        prompt_look_ms=median(report.total_ms for report, _ in looks if report.looks),
        prompt_covered_ms=median([seconds * 1000 for report, seconds in looks if report.covered] or [0.0]),
        schedule_run_ms=median(runs) * 1000,
        schedule_function_s_per_day=mean(runs) * _MINUTES_A_DAY,
    )


def flood(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """A minute in which each second brings many batches that ask for a look: as of many databases under attack."""
    with _deployment(client, url) as deployment:
        begun, number = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < _MINUTE:
            step(f"{number} batches that ask for a look")
            deployment.invoke([deployment.record(f"flood_{number % 200}", number % 10)])
            number += 1
            time.sleep(max(0.0, number / _FLOOD_PER_SECOND - passed))
        requests = deployment.requests
        looks = deployment.looks()
    made = [report for report, _ in looks if report.looks]
    figures.add(
        prompt_flood_batches_per_minute=number,
        prompt_flood_requests_per_minute=requests,
        prompt_flood_looks_per_minute=len(made),
        prompt_flood_look_ms=median(report.total_ms for report in made),
        prompt_flood_function_s_per_minute=sum(seconds for _, seconds in looks),
        prompt_flood_messages_per_minute=sum(report.sent.messages for report in made),
    )


class _Deployment:
    """Ingest function, findings function and what is between them."""

    def __init__(self, client: OpenSearch, url: str, aws: LocalAws, detections: Path, lambda_url: str) -> None:
        self._client = client
        self._aws = aws
        self._detections = compile_all()
        self._grant = next(one for one in samples_of("superuser-grant") if one.expected == "match")
        environment = {
            **aws.environment,
            "AWS_ENDPOINT_URL_LAMBDA": lambda_url,
            "OPENSEARCH_ENDPOINT": url,
            "OPENSEARCH_AUTH": "none",
            "INDEX_PREFIX": _INDICES.prefix,
            "DEAD_LETTER_BUCKET": DEAD_LETTER_BUCKET,
            "LOOK_FUNCTION_ARN": _LOOK,
            "DETECTIONS": str(detections),
        }
        os.environ.update(environment)
        clients.session.cache_clear()
        self._ingest = ingest_handler.Function(read_settings(environment), aws.kms())
        self._keys = KmsDataKeys(aws.kms(), aws.create_key(), 10**9)
        self._looks = PromptLooks(LookClaims(client, _INDICES), self.runner())  # warm: it keeps its clients
        self._functions = ThreadPoolExecutor(max_workers=200)
        self._invocations: list[Future[tuple[RunReport, float]]] = []
        self._lock = threading.Lock()
        self._arrived: list[tuple[float, Mapping[str, Any]]] = []
        self._arrivals: dict[str, float] = {}
        self._sequence = 0
        self.requests = 0
        self.seconds: dict[str, list[float]] = {"superuser-grant": [], "privilege-grant": []}
        self._noted: set[tuple[str, str]] = set()

    def runner(self) -> DetectionRunner:
        """The saved queries, as a function that has just started runs them."""
        security_hub = self._aws.client("securityhub")
        sts = self._aws.client("sts")
        accounts = FindingAccounts("123456789012", REGION, lambda credentials: security_hub, lambda: sts, "")
        return detection_runner(self._client, self._detections, _INDICES, accounts)

    def take(self, request: Mapping[str, Any]) -> None:
        """Lambda: an invocation that no one waits for."""
        self.requests += 1
        self._invocations.append(self._functions.submit(self._look, request))

    def _look(self, request: Mapping[str, Any]) -> tuple[RunReport, float]:
        time.sleep(_COLD_START_SECONDS)
        begun = time.perf_counter()
        report = self._looks.take(request, Deadline.after(_SECONDS))
        seconds = time.perf_counter() - begun
        if report.looks:
            self.note_findings()
        return report, seconds

    def looks(self) -> list[tuple[RunReport, float]]:
        """What came of all requests, each with the seconds that it took."""
        return [one.result() for one in self._invocations]

    def record(self, user: str, database: int) -> Mapping[str, Any]:
        """An attack's record as Lambda delivers it."""
        self._sequence += 1
        source = Database("postgresql", f"cluster-BENCH{database}", ("db-BENCH",), "1.1", f"bench-{database}")
        content = {
            "type": "DatabaseActivityMonitoringRecord",
            "clusterId": source.cluster_id,
            "instanceId": "db-BENCH",
            "databaseActivityEventList": [_event(self._grant, user)],
        }
        return lambda_record_of(
            data=seal(content, source, self._keys.for_record(source)),
            sequence_number=str(49_000_000_000 + self._sequence),
            arrival=datetime.now(UTC),
            stream_arn=source.stream_arn(REGION),
        )

    def attack(self, done: threading.Event) -> None:
        """Put attacks into the stream at random times."""
        chance = random.Random(SEED)
        number = 0
        while not done.wait(chance.uniform(0, 2 * _PAUSE_SECONDS)):
            number += 1
            user = f"ops_{number}"
            record = self.record(user, number // _ATTACKS_PER_DATABASE)
            with self._lock:
                self._arrivals[user] = time.time()
                self._arrived.append((time.time(), record))

    def deliver(self, done: threading.Event) -> None:
        """The event source mapping: reads each second, and delivers when its window ends. Heartbeats keep it going."""
        chance = random.Random(SEED)
        last = False
        while not last:
            last = done.wait(_WINDOW_SECONDS)
            read = time.time() - (0 if last else chance.uniform(0, _POLL_SECONDS))
            with self._lock:
                batch = [record for at, record in self._arrived if at <= read]
                self._arrived = [(at, record) for at, record in self._arrived if at > read]
            if batch:
                self.invoke(batch)

    def invoke(self, batch: Sequence[Mapping[str, Any]]) -> None:
        """One invocation of the ingest function."""
        with contextlib.redirect_stdout(io.StringIO()):
            answer = ingest_handler.invoke(self._ingest, {"Records": batch}, InvocationContext())
        if answer["batchItemFailures"]:
            raise RuntimeError("the batch is not written")

    def note_findings(self) -> None:
        """Note since when Security Hub has the findings that are new."""
        there = time.time()
        with self._lock:
            for one in all_findings(self._aws.security_hub()):
                name = one["ProductFields"]["daswatch/Detection"]
                user = one["ProductFields"].get("daswatch/Group/dbUserName", "")
                if name in self.seconds and user in self._arrivals and (name, user) not in self._noted:
                    self._noted.add((name, user))
                    self.seconds[name].append(there - self._arrivals[user])


def _event(grant: Sample, user: str) -> dict[str, Any]:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}+00"
    return {**base_events()[grant.engine], **grant.steps[-1]["event"], "dbUserName": user, "logTime": now}


@contextmanager
def _deployment(client: OpenSearch, url: str) -> Iterator[_Deployment]:
    _remove(client)
    ContentGateway(client).install_all(shipped_content(_INDICES.prefix))
    before = dict(os.environ)
    with LocalAws() as aws, TemporaryDirectory() as folder, _lambda() as (service, lambda_url):
        detections = Path(folder) / "detections.json"
        detections.write_bytes(dump(compile_all()))
        deployment = _Deployment(client, url, aws, detections, lambda_url)
        service.append(deployment.take)
        deployment.runner().run(datetime.now(UTC), Deadline.after(_SECONDS))  # the schedule's last run
        yield deployment
    os.environ.clear()
    os.environ.update(before)
    clients.session.cache_clear()
    _remove(client)


@contextmanager
def _lambda() -> Iterator[tuple[list[Callable[[Mapping[str, Any]], None]], str]]:
    """Lambda's API for invocations that no one waits for: each goes to a thread, and is answered at once."""
    takers: list[Callable[[Mapping[str, Any]], None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for take in takers:
                take(request)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the log is the benchmark's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield takers, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _remove(client: OpenSearch) -> None:
    client.indices.delete(index=f"{_INDICES.events},{','.join(_STATE)}", params={"ignore_unavailable": "true"})
