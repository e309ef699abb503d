"""Firehose's own shapes, and the transformation under test as Lambda would run it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from daswatch.aws import clients
from demo.aws import REGION, LocalAws
from demo.delivery import transformation_event, transformation_record
from demo.ledger import Engine
from demo.rds import AURORA, Database, DataKey, KmsDataKeys, seal
from demo.stream import InvocationContext
from firehose_lambda import handler as handler_module

ARRIVAL = datetime(2031, 3, 4, 11, 22, 40, 125_000, UTC)
_VERSIONS: dict[Engine, str] = {"postgresql": "1.1", "mysql": "1.2", "oracle": "1.3", "sqlserver": "1.4"}
_SEQUENCE_NUMBER = "4964098740984709847098{number:034d}"


def firehose_record(data: bytes | str, number: int = 0, arrival: datetime = ARRIVAL) -> dict[str, Any]:
    """One record as Firehose hands it over, `data` in base64 unless it is text already."""
    text = data if isinstance(data, str) else base64.b64encode(data).decode("ascii")
    return transformation_record(text, _SEQUENCE_NUMBER.format(number=number), arrival)


def content_of(answer: Mapping[str, Any]) -> bytes:
    """What an answer delivers, or what it gives back."""
    return base64.b64decode(answer["data"], validate=True)


def rows_of(*answers: Mapping[str, Any], compressed: bool = False) -> list[dict[str, Any]]:
    """The rows of an S3 object that Firehose would make of these answers: it puts one behind the other."""
    content = b"".join(content_of(answer) for answer in answers if answer["result"] == "Ok")
    if compressed:
        content = gzip.decompress(content)
    assert content.endswith(b"\n") or not content
    return [orjson.loads(line) for line in content.splitlines()]


@dataclass
class FirehoseFunction:
    """Wires the handler to moto; every instance has its own databases."""

    aws: LocalAws
    kms_key_id: str
    name: str
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    printed: str = ""
    _keys: dict[str, KmsDataKeys] = field(default_factory=dict)

    def configure(self, **settings: str) -> None:
        """Set settings; the next invocation is a cold start."""
        for name, value in {**self.aws.environment, **settings}.items():
            self.monkeypatch.setenv(name, value)
        self.cold_start()

    def cold_start(self) -> None:
        """Forget everything that a warm function keeps."""
        handler_module.warm_function.cache_clear()
        clients.session.cache_clear()

    def database(self, engine: Engine = "postgresql", *, signed: bool = False) -> Database:
        """A database that only this test has."""
        kind = "cluster" if engine in AURORA else "db"
        resource_id = f"{kind}-{self.name.upper()}{engine.upper()}"
        return Database(engine, resource_id, ("db-WRITER",), _VERSIONS[engine], engine, signed=signed)

    def data_key(self, database: Database) -> DataKey:
        """The database's data key, wrapped by KMS under its context."""
        keys = self._keys.setdefault(database.resource_id, KmsDataKeys(self.aws.kms(), self.kms_key_id, 10**9))
        return keys.for_record(database)

    def sealed(self, *events: object, database: Database | None = None) -> bytes:
        """A stream record with these events, encrypted as RDS does."""
        database = database or self.database()
        return self.sealed_content(
            {
                "type": "DatabaseActivityMonitoringRecord",
                "clusterId": database.cluster_id,
                "instanceId": "db-WRITER",
                "databaseActivityEventList": list(events),
            },
            database,
        )

    def sealed_content(self, content: Mapping[str, Any] | bytes, database: Database | None = None) -> bytes:
        """A stream record with this content."""
        database = database or self.database()
        return seal(content, database, self.data_key(database))

    def invoke(self, *data: bytes | str, database: Database | None = None) -> list[dict[str, Any]]:
        """Invoke the handler with a batch of these stream records; its answers."""
        records = [firehose_record(one, number) for number, one in enumerate(data)]
        return self.invoke_event(transformation_event(records, (database or self.database()).stream_arn(REGION)))

    def invoke_event(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Invoke the handler with this event; checks what Firehose checks of every answer."""
        try:
            answer: Mapping[str, Any] = handler_module.handler(event, InvocationContext())
        finally:
            out, err = self.capsys.readouterr()
            self.printed += out + err
        assert set(answer) == {"records"}
        assert [one["recordId"] for one in answer["records"]] == [one["recordId"] for one in event["records"]]
        return list(answer["records"])

    @property
    def log(self) -> dict[str, Any]:
        """The line of the last invocation, metrics included."""
        line: dict[str, Any] = orjson.loads(self.printed.splitlines()[-1])
        return line

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the last invocation, by name."""
        return {name: value[0] for name, value in self.log.items() if isinstance(value, list)}
