"""The transformation against the published Firehose sample's way, in one run, and its peak memory for a full buffer.

That way, written here for comparison only: for each record one KMS call and two decryptions, each with a key provider
and a materials manager of its own; then one event after the other, made a line by the standard library's JSON.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import io
import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import aws_encryption_sdk
import orjson
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from aws_encryption_sdk.materials_managers.default import DefaultCryptoMaterialsManager
from opensearchpy import OpenSearch
from types_boto3_kms.client import KMSClient

from daswatch.records.envelope import stream_source
from demo.aws import REGION, LocalAws
from demo.delivery import transformation_event, transformation_record
from demo.rds import KmsDataKeys
from demo.stream import InvocationContext
from demo.traffic import DATABASES, fixed_records
from firehose_lambda.handler import Function, invoke
from firehose_lambda.settings import read_settings
from tools.benchmarks.figures import Figures
from tools.benchmarks.ingest import child_process, expanding
from tools.benchmarks.kms import LocalKms
from tools.benchmarks.workload import SEED, START, workload

Step = Callable[[str], None]

_PER_RECORD = 20
_EVENTS = 10_000
_SAMPLE_RECORDS = 50
_ROUNDS = 3
_BUFFER_BYTES = 200_000  # the smallest hint: the sample does not know of the answer's limit
_FULL_BUFFER_BYTES = 3_000_000  # the largest hint
_LARGEST_RECORD_BYTES = 890_000  # of 1 MiB


class SampleKeyProvider(RawMasterKeyProvider):  # type: ignore[misc]
    """The key provider of AWS's samples."""

    provider_id = "BC"

    def __new__(cls, plaintext: bytes) -> SampleKeyProvider:
        provider: SampleKeyProvider = super(RawMasterKeyProvider, cls).__new__(cls)
        return provider

    def __init__(self, plaintext: bytes) -> None:
        RawMasterKeyProvider.__init__(self)
        self._wrapping_key = WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=plaintext,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )

    def _get_raw_key(self, key_id: str) -> WrappingKey:
        return self._wrapping_key


class SampleTransformation:
    """One function of that way, warm."""

    def __init__(self, kms: KMSClient) -> None:
        self._kms = kms
        self._sdk = aws_encryption_sdk.EncryptionSDKClient(
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
        )

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a batch."""
        return {"records": [self._handle(record, event["sourceKinesisStreamArn"]) for record in event["records"]]}

    def _handle(self, record: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
        stream = stream_source(stream_arn)
        envelope = json.loads(base64.b64decode(record["data"]))
        ciphertext = base64.b64decode(envelope["databaseActivityEvents"])
        answer = self._kms.decrypt(
            CiphertextBlob=base64.b64decode(envelope["key"]), EncryptionContext=stream.encryption_context
        )
        for _ in range(2):
            provider = SampleKeyProvider(answer["Plaintext"])
            provider.add_master_key("DataKey")
            compressed, _header = self._sdk.decrypt(
                source=ciphertext, materials_manager=DefaultCryptoMaterialsManager(master_key_provider=provider)
            )
            plaintext = zlib.decompress(compressed, zlib.MAX_WBITS + 16)
        lines = ""
        for event in json.loads(plaintext)["databaseActivityEventList"]:
            if event.get("type") == "heartbeat" or event.get("dbUserName") in ("RDSADMIN", "RDSSEC"):
                continue
            flat: dict[str, Any] = {}
            for name, value in event.items():
                if isinstance(value, dict):
                    flat |= {f"{name}_{inner}": item for inner, item in value.items()}
                else:
                    flat[name] = value
            lines += json.dumps(flat) + "\n"
        return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(lines.encode()).decode()}


def firehose(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """Ours and the sample's way in turn, signed and unsigned; then a buffer of 3 MB in a process of its own."""
    for signed in (False, True):
        _throughput(step, figures, signed=signed)
    step("firehose: peak memory")
    figures.add(**_peak_memory())


def _throughput(step: Step, figures: Figures, *, signed: bool) -> None:
    case = f"{_PER_RECORD}ev_{'signed' if signed else 'unsigned'}"
    step(f"firehose {case}: making records")
    kms = LocalKms()
    load = workload(kms, _EVENTS, _PER_RECORD, signed=signed)
    records = [record for batch in load.batches for record in batch]
    all_events = list(_firehose_events(records))
    sample_events = list(_firehose_events(records[:_SAMPLE_RECORDS]))
    ours = Function(read_settings({}), kms.client())
    sample = SampleTransformation(kms.client())
    context = InvocationContext()
    our_seconds: list[float] = []
    sample_seconds: list[float] = []
    for round_number in range(_ROUNDS + 1):
        step(f"firehose {case}: round {round_number} of {_ROUNDS}" if round_number else f"firehose {case}: warming up")
        seconds, rows = _timed(lambda event: invoke(ours, event, context), all_events)
        if rows != load.events:
            raise RuntimeError(f"{rows} rows of {load.events} events: what is not delivered measures nothing")
        our_seconds.append(seconds / load.records)
        # Some rows of the sample are missing: it drops failed logins under the names of AWS's users.
        seconds, _ = _timed(sample.handle, sample_events)
        sample_seconds.append(seconds / _SAMPLE_RECORDS)
    figures.add(
        **{
            # The first round warmed up.
            f"firehose_vs_sample_ratio_{case}": median(
                theirs / mine for theirs, mine in zip(sample_seconds[1:], our_seconds[1:], strict=True)
            ),
            f"firehose_rows_per_second_{case}": _PER_RECORD / median(our_seconds[1:]),
            f"firehose_sample_rows_per_second_{case}": _PER_RECORD / median(sample_seconds[1:]),
            f"firehose_ms_per_record_{case}": median(our_seconds[1:]) * 1e3,
        }
    )


def _timed(handle: Callable[[Mapping[str, Any]], Any], events: Sequence[Mapping[str, Any]]) -> tuple[float, int]:
    """Seconds and rows; what Lambda's runtime does to the answers is not measured."""
    gc.collect()
    answers = []
    with contextlib.redirect_stdout(io.StringIO()):
        begun = time.perf_counter()
        for event in events:
            answers.append(handle(event))
        seconds = time.perf_counter() - begun
    rows = sum(base64.b64decode(one["data"]).count(b"\n") for answer in answers for one in answer["records"])
    return seconds, rows


def _firehose_events(records: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Lambda's Kinesis records as Firehose hands them over: each batch of one stream, of one buffer."""
    by_stream: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_stream.setdefault(record["eventSourceARN"], []).append(record)
    for stream_arn, of_stream in by_stream.items():
        batch: list[dict[str, Any]] = []
        size = 0
        for record in of_stream:
            length = len(record["kinesis"]["data"]) // 4 * 3
            if batch and size + length > _BUFFER_BYTES:
                yield transformation_event(batch, stream_arn)
                batch, size = [], 0
            batch.append(transformation_record(record["kinesis"]["data"], record["kinesis"]["sequenceNumber"], START))
            size += length
        yield transformation_event(batch, stream_arn)


def _peak_memory() -> dict[str, float]:
    """Of one invocation with 3 MB of records, each near Kinesis's limit and expanding twentyfold.

    Once as it is, where most of it does not fit into the answer, and once compressed, where everything does.
    """
    database = DATABASES[0]
    with LocalAws() as aws, tempfile.TemporaryDirectory() as folder:
        keys = KmsDataKeys(aws.kms(), aws.create_key(), 10**9)
        produced = fixed_records(SEED, START, 10**7, 2_000, [database])
        records: list[dict[str, Any]] = []
        size = 0
        while size < _FULL_BUFFER_BYTES:
            events: list[dict[str, Any]] = []
            data = b""
            while len(data) < min(_LARGEST_RECORD_BYTES, _FULL_BUFFER_BYTES - size):
                events += next(produced).monitoring_record["databaseActivityEventList"]
                data = expanding(events, keys, len(records))
            size += len(data)
            records.append(transformation_record(base64.b64encode(data).decode(), str(10**20 + len(records)), START))
        event_file = Path(folder) / "buffer.json"
        event_file.write_bytes(orjson.dumps(transformation_event(records, database.stream_arn(REGION))))
        environment = {**os.environ, **aws.environment}
        plain = child_process("firehose", event_file, {**environment, "COMPRESS": "none"})
        compressed = child_process("firehose", event_file, {**environment, "COMPRESS": "gzip"})
    if compressed["given_back"]:
        raise RuntimeError(f"{compressed['given_back']:g} records did not fit into the answer, although compressed")
    return {
        "firehose_peak_memory_mb": max(plain["mb"], compressed["mb"]),
        "firehose_memory_before_invocation_mb": compressed["before_mb"],
        "firehose_buffer_mb": size / 1e6,
    }
