"""The replay function of one deployment: its dead letters, runs at any time, and what they leave."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from daswatch.aws import clients
from daswatch.deadline import Deadline
from daswatch.documents import actors
from daswatch.errors import Reason
from demo.stream import InvocationContext
from replay_lambda import handler as handler_module
from replay_lambda.retrier import RetryReport
from replay_lambda.telemetry import emit
from tests.builders.evidence import on_failure_body
from tests.harness.ingest import IngestFunction
from tests.harness.replay import Evidence, letter_of

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:daswatch-replay"
HOUR = timedelta(hours=1)


@dataclass
class Replaying:
    """A bucket of dead letters, and the function that opens them again.

    S3 dates objects by the real clock, so runs take place some hours after that.
    """

    ingest: IngestFunction
    capsys: pytest.CaptureFixture[str]
    folder: Path
    evidence: Evidence = field(init=False)

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.ingest, self.ingest.aws.create_bucket(f"letters-{self.ingest.name}"))
        table = self.folder / "actors.json"
        table.write_bytes(actors.dump(()))
        self.configure(DEAD_LETTER_BUCKET=self.evidence.bucket, ACTORS=str(table))

    def configure(self, **settings: str) -> None:
        """Set settings; the next run is a cold start."""
        self.ingest.configure(**settings)
        self.cold_start()

    def cold_start(self) -> None:
        """Forget everything that a warm function keeps."""
        handler_module.warm_function.cache_clear()
        clients.session.cache_clear()

    def letter(self, record: Mapping[str, Any], reason: Reason) -> str:
        """A dead letter of the ingest function; its key."""
        letter = letter_of(record, reason)
        return self.evidence.put(letter.object_key, letter.object_body())

    def batch(self, *records: Mapping[str, Any]) -> str:
        """A batch that Lambda gave up; its key."""
        key = f"aws/lambda/0a1b2c3d/shardId-000000000000/2031/03/05/2031-03-05T10.30.00-{secrets.token_hex(8)}"
        return self.evidence.put(key, on_failure_body(records))

    @property
    def function(self) -> handler_module.Function:
        """The warm function."""
        return handler_module.warm_function(ARN)

    def run(self, hours: float = 0, seconds: float = 600.0) -> RetryReport:
        """A run some hours from now, with its line in the log."""
        report = self.function.retrier.run(datetime.now(UTC) + hours * HOUR, Deadline.after(seconds))
        emit(self.function.telemetry, report, "r-1")
        return report

    def invoke(self, remaining_ms: int = 60_000) -> dict[str, Any]:
        """An invocation of the handler."""
        return handler_module.handler({}, InvocationContext(remaining_ms, ARN))

    def logged(self) -> list[dict[str, Any]]:
        """The log lines since the last look."""
        return [orjson.loads(line) for line in self.capsys.readouterr().out.splitlines() if line.startswith("{")]

    def done(self, keys: Sequence[str]) -> list[str]:
        """Those of these objects that are marked."""
        return [key for key in keys if self.evidence.tags(key) == {"daswatch-replay": "done"}]

    def written(self) -> int:
        """How many events there are."""
        return self.ingest.count({"match_all": {}})
