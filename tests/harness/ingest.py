"""The ingest function under test, as Lambda would run it, and what it left behind."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.aws import clients
from daswatch.indices import Indices
from demo.aws import DEAD_LETTER_BUCKET, REGION, LocalAws
from demo.ledger import Engine
from demo.rds import AURORA, Database, DataKey, KmsDataKeys, seal
from demo.stream import InvocationContext, lambda_record_of
from ingest_lambda import handler as handler_module
from tests.fakes.clock import Clock
from tests.harness.installed import give_back, installed_prefix

_VERSIONS: dict[Engine, str] = {"postgresql": "1.1", "mysql": "1.2", "oracle": "1.3", "sqlserver": "1.4"}


@dataclass
class IngestFunction:
    """Wires the handler to a node and to moto; every instance has its own databases, and indices while it is used.

    `indices` are the names of everything that it writes to.
    """

    url: str
    aws: LocalAws
    kms_key_id: str
    search: OpenSearch
    name: str
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    printed: str = ""
    clock: Clock = field(default_factory=Clock)
    indices: Indices = field(init=False)
    _sequence: int = 0
    _keys: dict[str, KmsDataKeys] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return self.indices.prefix

    def install(self) -> None:
        """Take a prefix that has templates, and set the environment; forgets what was warm."""
        self.indices = Indices(installed_prefix(self.search))
        self.configure(
            OPENSEARCH_ENDPOINT=self.url,
            OPENSEARCH_AUTH="none",
            DEAD_LETTER_BUCKET=DEAD_LETTER_BUCKET,
            INDEX_PREFIX=self.prefix,
            **self.aws.environment,
        )

    def configure(self, **settings: str) -> None:
        """Set settings; the next invocation is a cold start."""
        for name, value in settings.items():
            self.monkeypatch.setenv(name, value)
        self.cold_start()

    def cold_start(self) -> None:
        """Forget everything that a warm function keeps."""
        handler_module.warm_function.cache_clear()
        clients.session.cache_clear()

    def database(self, engine: Engine = "postgresql", *, signed: bool = False, name: str = "A") -> Database:
        """A database that only this test has."""
        kind = "cluster" if engine in AURORA else "db"
        resource_id = f"{kind}-{self.name.upper()}{name}"
        return Database(engine, resource_id, ("db-WRITER",), _VERSIONS[engine], f"{engine}-{name}", signed=signed)

    def data_key(self, database: Database) -> DataKey:
        """The database's data key, wrapped by KMS under its context."""
        keys = self._keys.setdefault(database.resource_id, KmsDataKeys(self.aws.kms(), self.kms_key_id, 10**9))
        return keys.for_record(database)

    def record(
        self, events: Sequence[object], database: Database | None = None, instance_id: str = "db-WRITER"
    ) -> dict[str, Any]:
        """A good stream record with these events, in Lambda's form."""
        database = database or self.database()
        content = {
            "type": "DatabaseActivityMonitoringRecord",
            "clusterId": database.cluster_id,
            "instanceId": instance_id,
            "databaseActivityEventList": list(events),
        }
        return self.sealed(content, database)

    def sealed(self, content: Mapping[str, Any] | bytes, database: Database | None = None) -> dict[str, Any]:
        """A stream record with this content, encrypted as RDS does, in Lambda's form."""
        database = database or self.database()
        return self.delivered(seal(content, database, self.data_key(database)), database)

    def delivered(self, data: bytes, database: Database | None = None) -> dict[str, Any]:
        """These bytes as a stream record in Lambda's form, with the next sequence number."""
        self._sequence += 1
        return lambda_record_of(
            data=data,
            sequence_number=str(49_000_000_000 + self._sequence),
            arrival=datetime.now(UTC),
            stream_arn=(database or self.database()).stream_arn(REGION),
        )

    def invoke(self, *records: Mapping[str, Any], remaining_ms: int = 60_000) -> list[str]:
        """Invoke the handler; the sequence numbers that its answer names."""
        function = handler_module.warm_function()
        function.clock = self.clock
        answer = handler_module.invoke(
            function, {"Records": list(records)}, InvocationContext(remaining_ms=remaining_ms)
        )
        out, err = self.capsys.readouterr()
        self.printed += out + err
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    @property
    def log(self) -> dict[str, Any]:
        """The log line of the last invocation."""
        lines = [orjson.loads(line) for line in self.printed.splitlines() if line.startswith("{")]
        return next(line for line in reversed(lines) if "request_id" in line)

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of the last invocation, by name."""
        lines = [orjson.loads(line) for line in self.printed.splitlines() if line.startswith("{")]
        last = next(line for line in reversed(lines) if "_aws" in line)
        return {name: value[0] for name, value in last.items() if isinstance(value, list)}

    def documents(self) -> list[dict[str, Any]]:
        """All documents of the test's databases, oldest first."""
        return [hit["_source"] for hit in self._hits(f"{self.prefix}-*", {"match_all": {}})]

    def hits(self) -> list[dict[str, Any]]:
        """The same with `_id` and `_index`."""
        return self._hits(f"{self.prefix}-*", {"match_all": {}})

    def dead_letters(self) -> list[dict[str, Any]]:
        """The lines about dead letters of the test's databases."""
        query = {"prefix": {"resourceId": {"value": f"cluster-{self.name.upper()}"}}}
        other = {"prefix": {"resourceId": {"value": f"db-{self.name.upper()}"}}}
        hits = self._hits(self.indices.dead_letters, {"bool": {"should": [query, other]}})
        return [hit["_source"] for hit in hits]

    def pulses(self) -> dict[str, dict[str, Any]]:
        """What the pulse documents of the test's databases say, by instance id."""
        hits = self._hits(self.indices.pulse, {"prefix": {"resourceId": {"value": f"cluster-{self.name.upper()}"}}})
        found: dict[str, dict[str, Any]] = {}
        for hit in hits:
            found.setdefault(hit["_source"]["instanceId"], {}).update(hit["_source"])
        return found

    def stored(self, uri: str) -> dict[str, Any]:
        """A dead letter's object in S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: dict[str, Any] = json.loads(self.aws.s3().get_object(Bucket=bucket, Key=key)["Body"].read())
        return content

    def count(self, query: Mapping[str, Any]) -> int:
        """How many documents a query finds."""
        self.search.indices.refresh(index=f"{self.prefix}-*")
        return int(self.search.count(index=f"{self.prefix}-*", body={"query": query})["count"])

    def close(self) -> None:
        """Remove the own indices."""
        self.cold_start()
        give_back(self.search, self.prefix)

    def _hits(self, index: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not self.search.indices.exists(index=index):
            return []
        self.search.indices.refresh(index=index)
        answer = self.search.search(
            index=index,
            body={"query": query, "size": 10_000, "sort": [{"_doc": "asc"}]},
            params={"ignore_unavailable": "true"},
        )
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        return hits


def sequence_number(record: Mapping[str, Any]) -> str:
    number: str = record["kinesis"]["sequenceNumber"]
    return number


SECRET = "s3cret-of-the-payload"


@contextmanager
def everything_logged(level: int = logging.DEBUG) -> Iterator[io.StringIO]:
    """All that any logger says when the function's root logger is at this level, as Lambda's own setting makes it."""
    logged = io.StringIO()
    root = logging.getLogger()
    before, output = root.level, logging.StreamHandler(logged)
    # moto serves from threads of this process; it is no part of the function.
    output.addFilter(lambda line: not line.threadName or "process_request_thread" not in line.threadName)
    root.addHandler(output)
    root.setLevel(level)
    try:
        yield logged
    finally:
        root.removeHandler(output)
        root.setLevel(before)
