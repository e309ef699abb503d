"""Evidence in a bucket of its own, and the command that opens it, as a user calls it."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from typer.testing import CliRunner, Result

from daswatch.aws import clients
from daswatch.commands.replay import app
from daswatch.documents import actors
from daswatch.errors import Reason
from daswatch.evidence.readings import DONE
from daswatch.indexing.dead_letters import DeadLetter
from daswatch.indexing.tallies import REPLAYED
from daswatch.records.kinesis import read_stream_record
from demo.rds import Database
from tests.builders.events import postgresql_event
from tests.builders.evidence import archive_body, archive_key
from tests.harness.ingest import IngestFunction

ARRIVED = datetime(2031, 3, 4, 11, 0, tzinfo=UTC)


@dataclass
class Evidence:
    """A bucket with the evidence of a test's databases; records are those that the ingest function gets."""

    ingest: IngestFunction
    bucket: str
    extra: dict[str, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)  # of archived objects

    @classmethod
    def empty(cls, ingest: IngestFunction, folder: Path) -> Self:
        """Of an ingest function; in the folder is the table of actors, which a command would compile otherwise."""
        table = folder / "actors.json"
        table.write_bytes(actors.dump(()))
        ingest.configure(ACTORS=str(table))
        return cls(ingest, ingest.aws.create_bucket(f"evidence-{ingest.name}"))

    def put(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> str:
        """An object; its key."""
        self.ingest.aws.s3().put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=dict(metadata or {}))
        return key

    def archive(
        self,
        records: Sequence[Mapping[str, Any]],
        database: Database | None = None,
        *,
        at: datetime | None = None,
        members: int = 1,
    ) -> str:
        """An object as the evidence's Firehose writes it, with these records."""
        number = len(self.keys) + 1
        database = database or self.ingest.database()
        key = archive_key(database.resource_id, at or ARRIVED + timedelta(minutes=5 * number), str(number))
        self.keys.append(key)
        return self.put(key, archive_body(map(data_of, records), members=members))

    def tags(self, key: str) -> dict[str, str]:
        """The tags of an object."""
        found = self.ingest.aws.s3().get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def replay(self, *arguments: str, source: str = "") -> Result:
        """Call the command on the bucket, or a folder of it."""
        clients.session.cache_clear()
        source = source or f"s3://{self.bucket}"
        return CliRunner().invoke(app, [source, *arguments], env={"COLUMNS": "200", **self.extra})

    def report(self, *arguments: str, source: str = "", exit_code: int = 0) -> dict[str, Any]:
        """The command's report."""
        result = self.replay("--output", "json", *arguments, source=source)
        assert result.exit_code == exit_code, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def replayed_through(self, wait_until_up: Callable[[], None], most: int) -> list[dict[str, Any]]:
        """Reports of calls of the command while OpenSearch fails, until one comes to its end; at most so many.

        The others have OpenSearch as their cause, and each call goes on where the one before was. Between them
        OpenSearch comes back.
        """
        reports: list[dict[str, Any]] = []
        for _ in range(most):
            left = self.left()
            result = self.replay("--output", "json", "--detections", "off")
            wait_until_up()
            assert isinstance(result.exception, SystemExit | None), result.exc_info
            report: dict[str, Any] = json.loads(result.stdout)
            reports.append(report)
            if result.exit_code == 0:
                assert (report["state"], report["objects"]["read"]) == (DONE, left)
                return reports
            cause = report["cause"] if "cause" in report else report["error"]["problems"][0]
            assert "OpenSearch" in cause, report
        raise AssertionError(f"not at its end after {most} calls: {reports}")

    def left(self) -> int:
        """How many archived objects a call has to read: those behind what the last one noted."""
        last = (self.readings() or [{}])[-1]
        position = "" if last.get("state") == DONE else last.get("position", "")
        return sum(key > position for key in self.keys)

    def readings(self) -> list[dict[str, Any]]:
        """What is noted of who read, in the order of their begin."""
        return self._found(self.ingest.indices.replays)

    def tallied(self) -> tuple[int, int]:
        """How many records and documents a replay has counted."""
        found = [one for one in self._found(f"{self.ingest.indices.tallies}-*") if one["stage"] == REPLAYED]
        return sum(one.get("records", 0) for one in found), sum(one.get("documents", 0) for one in found)

    def _found(self, index: str) -> list[dict[str, Any]]:
        """All documents, in the order of their time."""
        params = {"ignore_unavailable": "true"}
        self.ingest.search.indices.refresh(index=index, params=params)
        body = {"size": 10_000, "sort": ["@timestamp"]}
        answer = self.ingest.search.search(index=index, body=body, params=params)
        return [hit["_source"] for hit in answer["hits"]["hits"]]


def data_of(record: Mapping[str, Any]) -> bytes:
    """What a record in Lambda's form had in the stream."""
    return b64decode(record["kinesis"]["data"])


def events(begin: int, count: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """Events that differ, one a second."""
    return [
        postgresql_event(
            statementId=number,
            logTime=f"{ARRIVED + timedelta(seconds=number):%Y-%m-%d %H:%M:%S}.000001+00",
            **changes,
        )
        for number in range(begin, begin + count)
    ]


def comparable(ingest: IngestFunction) -> dict[str, dict[str, Any]]:
    """What is in the index by id, without when it was written."""
    return {
        hit["_id"]: {name: value for name, value in hit["_source"].items() if name not in ("ingestedAt", "replayedAt")}
        | {"_index": hit["_index"]}
        for hit in ingest.hits()
    }


def letter_of(record: Mapping[str, Any], reason: Reason) -> DeadLetter:
    """The dead letter of a record in Lambda's form."""
    read = read_stream_record(record, ARRIVED)
    return DeadLetter.of(read, read.source, reason, "why")
