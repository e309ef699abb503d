"""The ingest function against the sample's way and against the limit; its overhead, growth, memory, start and disk use.

Every ratio is of two things measured in turn in one run on one node: machines are noisy, their ratios less so.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.key_providers.raw import RawMasterKey
from opensearchpy import OpenSearch

from daswatch.aws.kms import DataKeys
from daswatch.deadline import Deadline
from daswatch.records.envelope import read_envelope, stream_source
from demo.aws import REGION, LocalAws
from demo.rds import GZIP_LEVEL, KmsDataKeys, seal, to_json
from demo.stream import lambda_record_of
from demo.traffic import DATABASES, fixed_records
from tools.benchmarks.figures import Figures
from tools.benchmarks.function import BenchIndex, Limit, Ours, sample_client, serialised
from tools.benchmarks.kms import LocalKms
from tools.benchmarks.sample import MAPPING, SampleLambda
from tools.benchmarks.workload import START, Workload, workload

Step = Callable[[str], None]

_ACTIONS_PER_BULK = 2_000
_ROUNDS = 3
_SAMPLE_RECORDS = {20: 20, 1: 100}
_EVENTS = {20: 40_000, 1: 5_000}
_HEARTBEATS = 300
_HEARTBEAT_INTERVAL = timedelta(seconds=2)
_GROWTH = (10_000, 100_000, 300_000)
_GROWTH_PER_RECORD = 20
# One Kinesis record holds 1 MiB; Lambda hands over 6 MB of base64.
_PAYLOAD_BYTES = 6_000_000
_KINESIS_RECORD_BYTES = 1_048_576
_EXPANSION = 20


def throughput(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """Ours, the sample's way and the limit, for records of 1 and of 20 events, signed and unsigned."""
    for per_record in (20, 1):
        for signed in (False, True):
            case = f"{per_record}ev_{'signed' if signed else 'unsigned'}"
            step(f"{case}: making records")
            kms = LocalKms()
            load = workload(kms, _EVENTS[per_record], per_record, signed=signed)
            _throughput_case(step, client, url, figures, case, kms, load, per_record)


def _throughput_case(
    step: Step,
    client: OpenSearch,
    url: str,
    figures: Figures,
    case: str,
    kms: LocalKms,
    load: Workload,
    per_record: int,
) -> None:
    sample_index = "bench-sample"
    part = load.part(_SAMPLE_RECORDS[per_record])
    ours_seconds: list[float] = []
    limit_seconds: list[float] = []
    sample_seconds: list[float] = []
    decrypt_seconds: list[float] = []
    with BenchIndex(client, url, "bench-ours-events") as index:
        limit = Limit(url, serialised(load, kms, index.prefix, _ACTIONS_PER_BULK))
        ours = Ours(index, kms)
        decrypt = DecryptAlone(load, kms)
        sample = SampleLambda(kms.client(), sample_client(url), sample_index)
        for round_number in range(_ROUNDS + 1):
            step(f"{case}: round {round_number} of {_ROUNDS}" if round_number else f"{case}: warming up")
            index.clear()
            limit_seconds.append(timed(limit.run))
            index.expect(load.events)
            index.settle()

            index.clear()
            ours_seconds.append(timed(lambda: ours.run(load.batches)))
            index.expect(load.events)
            index.settle()

            decrypt_seconds.append(timed(decrypt.run))

            client.indices.delete(index=sample_index, params={"ignore_unavailable": "true"})
            client.indices.create(index=sample_index, body=MAPPING)
            sample_seconds.append(timed(lambda: [sample.handle(batch) for batch in part.batches]) / part.records)
        client.indices.delete(index=sample_index)
    per_record_ours = [seconds / load.records for seconds in ours_seconds]
    figures.add(
        **{
            f"ingest_vs_sample_ratio_{case}": _ratio(sample_seconds, per_record_ours),
            f"ingest_fraction_of_limit_{case}": _ratio(limit_seconds, ours_seconds),
            f"ingest_overhead_over_decrypt_{case}": _ratio(ours_seconds, decrypt_seconds),
            f"ingest_us_per_event_{case}": median(ours_seconds[1:]) / load.events * 1e6,
            f"limit_us_per_event_{case}": median(limit_seconds[1:]) / load.events * 1e6,
            f"sample_ms_per_record_{case}": median(sample_seconds[1:]) * 1e3,
            f"ours_ms_per_record_{case}": median(per_record_ours[1:]) * 1e3,
            f"decrypt_ms_per_record_{case}": median(decrypt_seconds[1:]) / load.records * 1e3,
        }
    )


def heartbeat(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """Processor time of a warm invocation with one signed heartbeat record, over the SDK's own decrypt of it.

    The heartbeats come every two seconds of the stream's time, as RDS sends them.
    """
    step("heartbeats")
    kms = LocalKms()
    database = DATABASES[0]
    content = {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": database.cluster_id,
        "instanceId": database.instance_ids[0],
        "databaseActivityEventList": [{"type": "heartbeat"}],
    }
    records = [
        lambda_record_of(
            data=seal(content, database, kms.for_record(database), signed=True),
            sequence_number=str(49_600_000_000_000_000_000 + number),
            arrival=START + number * _HEARTBEAT_INTERVAL,
            stream_arn=database.stream_arn(REGION),
        )
        for number in range(_HEARTBEATS * (_ROUNDS * 2 + 1))
    ]
    invocations: list[float] = []
    decrypts: list[float] = []
    with BenchIndex(client, url, "bench-ours-events") as index:
        ours = Ours(index, kms)
        for start in range(0, len(records), _HEARTBEATS):
            part = [[record] for record in records[start : start + _HEARTBEATS]]
            decrypt = DecryptAlone(Workload(part, _HEARTBEATS, _HEARTBEATS, 1), kms)
            invocations.append(_processor(partial(ours.run, part)) / _HEARTBEATS)
            decrypts.append(_processor(decrypt.run) / _HEARTBEATS)
    figures.add(
        heartbeat_invocation_over_decrypt=_ratio(invocations, decrypts),
        heartbeat_invocation_cpu_ms=median(invocations[1:]) * 1e3,
    )


def growth(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """The cost of an event in runs of 10,000, 100,000 and 300,000 events, and the bytes that the largest takes.

    Until all of them can be searched: a short run would leave the work of writing its segments to the next.
    """
    step(f"growth: making {_GROWTH[-1]:,} events")
    kms = LocalKms()
    load = workload(kms, _GROWTH[-1], _GROWTH_PER_RECORD, signed=False)
    costs: dict[int, float] = {}
    with BenchIndex(client, url, "bench-growth-events") as index:
        ours = Ours(index, kms)
        for events in _GROWTH:
            part = load.part(events // _GROWTH_PER_RECORD)
            seconds = []
            for repetition in range(max(1, _GROWTH[1] // events)):
                step(f"growth: {events:,} events, run {repetition + 1}")
                index.clear()
                seconds.append(timed(partial(_until_searchable, ours, part, index)))
                index.expect(part.events)
                index.settle()
            costs[events] = median(seconds) / part.events * 1e6
        step("growth: merging")
        size = index.bytes()
    figures.add(
        ingest_us_per_event_10k=costs[_GROWTH[0]],
        ingest_us_per_event_100k=costs[_GROWTH[1]],
        ingest_us_per_event_300k=costs[_GROWTH[2]],
        ingest_growth_ratio=costs[_GROWTH[2]] / min(costs.values()),
        index_bytes_per_event=size / load.events,
        index_bytes_per_event_ratio=size / load.raw_event_bytes,
    )


def _until_searchable(ours: Ours, load: Workload, index: BenchIndex) -> None:
    ours.run(load.batches)
    index.refresh()


def processes(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """Cold start and peak memory, each in processes of their own."""
    with (
        BenchIndex(client, url, "bench-child-events") as index,
        LocalAws() as aws,
        tempfile.TemporaryDirectory() as folder,
    ):
        environment = {
            **os.environ,
            **aws.environment,
            "OPENSEARCH_ENDPOINT": url,
            "INDEX_PREFIX": index.prefix,
            "DEAD_LETTER_BUCKET": aws.create_dead_letter_bucket(),
        }
        keys = KmsDataKeys(aws.kms(), aws.create_key(), 10**9)
        small = Path(folder) / "small.json"
        large = Path(folder) / "large.json"
        small.write_bytes(orjson.dumps({"Records": [next(_records(keys))]}))
        large.write_bytes(orjson.dumps({"Records": list(_large_records(keys))}))
        child_process("cold", small, environment)  # the day's index comes into being, bytecode is compiled
        child_process("baseline", small, environment)
        cold: list[float] = []
        base: list[float] = []
        for round_number in range(_ROUNDS * 2):
            step(f"cold start: {round_number + 1} of {_ROUNDS * 2}")
            cold.append(child_process("cold", small, environment)["seconds"])
            base.append(child_process("baseline", small, environment)["seconds"])
        step("peak memory")
        peak = child_process("memory", large, environment)
    figures.add(
        cold_start_ratio=median(a / b for a, b in zip(cold, base, strict=True)),
        cold_start_s=median(cold),
        peak_memory_mb=peak["mb"],
        memory_before_invocation_mb=peak["before_mb"],
    )


def _records(keys: KmsDataKeys) -> Iterator[dict[str, Any]]:
    for number, produced in enumerate(fixed_records(1, START, 100, 1)):
        database = produced.database
        yield lambda_record_of(
            data=seal(produced.monitoring_record, database, keys.for_record(database), signed=True),
            sequence_number=str(number),
            arrival=produced.arrival,
            stream_arn=database.stream_arn(REGION),
        )


def _large_records(keys: KmsDataKeys) -> Iterator[dict[str, Any]]:
    """Records of nearly 1 MiB each, together 6 MB as Lambda delivers them, each of which decompresses twentyfold."""
    database = DATABASES[0]
    payload = 0
    number = 0
    produced = fixed_records(2, START, 10**7, 2_000, [database])
    while True:
        events: list[dict[str, Any]] = []
        data = b""
        while len(data) < _KINESIS_RECORD_BYTES * 0.85:
            events += next(produced).monitoring_record["databaseActivityEventList"]
            data = expanding(events, keys, number)
        number += 1
        record = lambda_record_of(
            data=data, sequence_number=str(number), arrival=START, stream_arn=database.stream_arn(REGION)
        )
        payload += len(record["kinesis"]["data"])
        if payload > _PAYLOAD_BYTES:
            return
        yield record


def expanding(events: Sequence[dict[str, Any]], keys: KmsDataKeys, number: int) -> bytes:
    """A sealed record whose payload expands about twentyfold, by a remark that repeats in each statement."""
    database = DATABASES[0]
    remark = " /* " + f"batch {number} of the nightly reconciliation, see the runbook; " * 20 + "*/"
    content = {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": database.cluster_id,
        "instanceId": database.instance_ids[0],
        "databaseActivityEventList": [
            {**event, "commandText": f"{event['commandText'] or ''}{remark}"} for event in events
        ],
    }
    plaintext = to_json(content)
    expansion = len(plaintext) / len(gzip.compress(plaintext, GZIP_LEVEL))
    if expansion < _EXPANSION:
        raise ValueError(f"the payload expands {expansion:.1f} times, not {_EXPANSION} times")
    return seal(plaintext, database, keys.for_record(database), signed=False)


def child_process(what: str, event_file: Path, environment: dict[str, str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tools.benchmarks.child", what, str(event_file)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the {what} process ended with {done.returncode}: {done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(done.stderr)
    return answer


class DecryptAlone:
    """What the Encryption SDK itself takes for a workload: keys and ciphertexts are prepared, nothing else is timed."""

    def __init__(self, load: Workload, kms: LocalKms) -> None:
        self._sdk = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
        self._prepared: list[tuple[bytes, RawMasterKey]] = []
        data_keys, later = DataKeys(kms.client()), Deadline.after(3600)
        for batch in load.batches:
            for record in batch:
                envelope = read_envelope(record["kinesis"]["data"])
                stream = stream_source(record["eventSourceARN"])
                key = data_keys.unwrap(envelope.wrapped_data_key, stream, later)
                self._prepared.append((envelope.ciphertext, key.master_key))

    def run(self) -> None:
        """Decrypt all of it once."""
        for ciphertext, key in self._prepared:
            self._sdk.decrypt(source=ciphertext, key_provider=key)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    gc.collect()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _processor(work: Callable[[], object]) -> float:
    gc.collect()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios round by round; the first round warmed up."""
    return median(a / b for a, b in zip(over[1:], under[1:], strict=True))
