"""A replay of the archive against the ingest function on the same records, and its memory for a large archive."""

from __future__ import annotations

import os
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from opensearchpy import OpenSearch

from daswatch.aws.kms import DataKeys
from daswatch.deadline import Deadline
from daswatch.documents.actors import dump
from daswatch.documents.decoder import RecordDecoder
from daswatch.documents.document import Flattening
from daswatch.evidence.objects import Listed
from daswatch.evidence.readings import Caller, Purpose, Unfinished
from daswatch.evidence.replay import Opened, Replayer, Selection
from daswatch.evidence.run import ReplayRun
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.client import search_client
from daswatch.opensearch.event_indices import EventIndices
from daswatch.opensearch.replayed_events import ReplayedEvents
from daswatch.records.decryption import Decryptor
from daswatch.settings import SearchEndpoint
from demo.aws import REGION, LocalAws
from demo.rds import KmsDataKeys, seal
from demo.traffic import DATABASES, fixed_records
from tests.builders.evidence import archive_body, archive_key
from tools.benchmarks.figures import Figures
from tools.benchmarks.function import BenchIndex, NotAllWritten, Ours
from tools.benchmarks.ingest import child_process, timed
from tools.benchmarks.kms import LocalKms
from tools.benchmarks.workload import START, Workload, workload

Step = Callable[[str], None]

_EVENTS = 40_000
_PER_RECORD = 20
_ROUNDS = 3
_LARGE_EVENTS = 1_000_000
_RECORDS_PER_OBJECT = 1_000
_BUCKET = "bench-evidence"


def replay(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """Events a second of both, in turn, on one node."""
    step("replay: making records")
    kms = LocalKms()
    load = workload(kms, _EVENTS, _PER_RECORD, signed=False)
    source = _Archive(load)
    ours_seconds: list[float] = []
    replay_seconds: list[float] = []
    with BenchIndex(client, url, "bench-ours-events") as index:
        ours = Ours(index, kms)
        for round_number in range(_ROUNDS + 1):
            step(f"replay: round {round_number} of {_ROUNDS}" if round_number else "replay: warming up")
            index.clear()
            ours_seconds.append(timed(lambda: ours.run(load.batches)))
            index.expect(load.events)
            index.settle()

            index.clear()
            replay_seconds.append(timed(lambda: _run(index, kms, source)))
            index.expect(load.events)
            index.settle()
    figures.add(
        replay_events_per_s=load.events / median(replay_seconds[1:]),
        replay_vs_ingest_ratio=median(a / b for a, b in zip(ours_seconds[1:], replay_seconds[1:], strict=True)),
    )


def replay_memory(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """Peak memory of the command over an archive in S3."""
    with (
        BenchIndex(client, url, "bench-child-events") as index,
        LocalAws() as aws,
        tempfile.TemporaryDirectory() as folder,
    ):
        aws.create_bucket(_BUCKET)
        keys = KmsDataKeys(aws.kms(), aws.create_key())
        database = DATABASES[0]
        produced = fixed_records(3, START, _LARGE_EVENTS, _PER_RECORD, [database])
        sealed = (seal(one.monitoring_record, database, keys.for_record(database), signed=False) for one in produced)
        number = 0
        while part := list(islice(sealed, _RECORDS_PER_OBJECT)):
            step(f"replay: object {number} of {_LARGE_EVENTS // _PER_RECORD // _RECORDS_PER_OBJECT}")
            key = archive_key(database.resource_id, START, f"{number:06d}")
            aws.s3().put_object(Bucket=_BUCKET, Key=key, Body=archive_body(part))
            number += 1
        actors = Path(folder) / "actors.json"
        actors.write_bytes(dump(()))
        environment = {
            **os.environ,
            **aws.environment,
            "OPENSEARCH_ENDPOINT": url,
            "OPENSEARCH_AUTH": "none",
            "INDEX_PREFIX": index.prefix,
            "ACTORS": str(actors),
        }
        step("replay: peak memory")
        begun = time.perf_counter()
        peak = child_process("replay", Path(f"s3://{_BUCKET}"), environment)
        seconds = time.perf_counter() - begun
        index.expect(_LARGE_EVENTS)
    figures.add(replay_peak_mb=peak["mb"], replay_command_events_per_s=_LARGE_EVENTS / seconds)


class _Archive:
    """The archive's objects in memory: what S3 takes is in no figure here."""

    def __init__(self, load: Workload) -> None:
        records: dict[str, list[bytes]] = {}
        for batch in load.batches:
            for record in batch:
                resource_id = record["eventSourceARN"].partition("aws-rds-das-")[2]
                records.setdefault(resource_id, []).append(b64decode(record["kinesis"]["data"]))
        self._bodies: dict[str, bytes] = {}
        for resource_id, own in sorted(records.items()):
            for begin in range(0, len(own), _RECORDS_PER_OBJECT):
                key = archive_key(resource_id, START, f"{begin:06d}")
                self._bodies[key] = archive_body(own[begin : begin + _RECORDS_PER_OBJECT])

    def listed(self, after: str = "") -> Iterator[Listed]:
        now = datetime.now(UTC)
        return (Listed(key, len(body), now) for key, body in self._bodies.items() if key > after)

    def opened(self, objects: Iterable[Listed]) -> Iterator[Opened]:
        return (Opened(one, iter([self._bodies[one.key]]), {}) for one in objects)

    def mark_done(self, key: str) -> None:
        pass


class _Unnoted:
    def unfinished(self, job: str) -> Unfinished | None:
        return None

    def note(self, id_: str, document: Mapping[str, Any]) -> None:
        pass


def _run(index: BenchIndex, kms: LocalKms, source: _Archive) -> None:
    client = search_client(SearchEndpoint(index.url))
    decryptor = Decryptor()
    arns: Sequence[str] = [database.stream_arn(REGION) for database in DATABASES]
    by_resource = {arn.partition("aws-rds-das-")[2]: arn for arn in arns}
    with ThreadPoolExecutor(1) as executor:
        replayer = Replayer(
            data_keys=DataKeys(kms.client()),
            decoder=lambda keys: RecordDecoder(keys, decryptor),
            target=ReplayedEvents(client, EventIndices(SearchGateway(client), executor), Indices(index.prefix)),
            selection=Selection(),
            flattening=Flattening("", index.prefix, replayed_at="2031-03-05T00:00:00.000Z"),
            stream_arn=lambda resource_id: by_resource[resource_id],
        )
        run = ReplayRun(
            source=source,
            replayer=replayer,
            readings=_Unnoted(),
            purpose=Purpose("bench", index.prefix),
            caller=Caller("arn", "id", "account"),
            via="bench",
            region=REGION,
            clock=time,
        )
        report = run.run("bench", datetime.now(UTC), lambda: Deadline.after(600))
    if not report.is_whole:
        raise NotAllWritten(f"{report.cause} {dict(report.reasons)}")
