"""`daswatch verify` on moto's S3: an archive as it was written, and as someone changed it."""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from daswatch.aws import clients
from daswatch.aws.manifests import ManifestWriter
from daswatch.cli import app
from daswatch.deadline import Deadline
from demo.aws import LocalAws
from tests.harness.evidence_day import bucket_of

HOUR = datetime(2031, 3, 4, 10, tzinfo=UTC)
SPAN = ("--from", "2031-03-04T00:00Z", "--to", "2031-03-05T00:00Z")


class Archive:
    """A bucket with four hours of one database, and their manifests."""

    def __init__(self, aws: LocalAws) -> None:
        self.s3 = aws.s3()
        self.bucket = aws.create_bucket(f"evidence-{secrets.token_hex(6)}")
        self.keys = [self.put(HOUR + timedelta(minutes=40 * number)) for number in range(6)]
        writer = ManifestWriter(bucket_of(self.s3, self.bucket), lambda *_: None)
        report = writer.run(["cluster-A"], HOUR + timedelta(hours=4, minutes=30), Deadline.after(60))
        assert (report.manifests, report.objects, report.records, report.causes) == (4, 6, 12, set())

    def put(self, at: datetime) -> str:
        key = f"evidence/cluster-A/{at:%Y/%m/%d}/d-1-{at:%Y-%m-%d-%H-%M-%S}-a.gz"
        lines = b"".join(
            json.dumps({"type": "DatabaseActivityMonitoringRecords", "key": f"{at}{number}"}).encode() + b"\n"
            for number in range(2)
        )
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=gzip.compress(lines, mtime=0))
        return key

    def verify(self, code: int = 0) -> list[dict[str, Any]]:
        result = CliRunner().invoke(app, ["verify", f"s3://{self.bucket}", *SPAN, "--output", "json"])
        assert result.exit_code == code, result.output
        return list(json.loads(result.stdout)["databases"])


@pytest.fixture
def archive(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Archive:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    clients.session.cache_clear()
    return Archive(aws)


def test_archive_as_it_was_written_is_whole(archive: Archive) -> None:
    (found,) = archive.verify()

    assert (found["resourceId"], found["manifests"], found["objects"]) == ("cluster-A", 4, 6)
    assert (found["firstHour"], found["lastHour"]) == ("2031-03-04T10:00:00.000Z", "2031-03-04T13:00:00.000Z")
    assert found["differences"] == []


def _remove(archive: Archive) -> str:
    archive.s3.delete_object(Bucket=archive.bucket, Key=archive.keys[1])
    return archive.keys[1]


def _change(archive: Archive) -> str:
    """The same size, other bytes."""
    content = bytearray(archive.s3.get_object(Bucket=archive.bucket, Key=archive.keys[2])["Body"].read())
    content[-1] ^= 1
    archive.s3.put_object(Bucket=archive.bucket, Key=archive.keys[2], Body=bytes(content))
    return archive.keys[2]


def _add(archive: Archive) -> str:
    return archive.put(HOUR + timedelta(minutes=7))


def _remove_manifest(archive: Archive) -> str:
    key = "manifests/cluster-A/2031/03/04/11.json"
    archive.s3.delete_object(Bucket=archive.bucket, Key=key)
    return key


def _change_manifest(archive: Archive) -> str:
    key = "manifests/cluster-A/2031/03/04/11.json"
    content = archive.s3.get_object(Bucket=archive.bucket, Key=key)["Body"].read()
    archive.s3.put_object(Bucket=archive.bucket, Key=key, Body=content.replace(b'"version":1', b'"version":2'))
    return key


@pytest.mark.parametrize(
    ("tamper", "difference"),
    [
        (_remove, "removed"),
        (_change, "changed"),
        (_add, "added"),
        (_remove_manifest, "manifest removed"),
        (_change_manifest, "manifest changed"),
    ],
)
def test_difference_is_reported(archive: Archive, tamper: Callable[[Archive], str], difference: str) -> None:
    key = tamper(archive)

    (found,) = archive.verify(code=1)

    first = found["differences"][0]
    assert (first["difference"], first["object"]) == (difference, key)
    assert difference.startswith("manifest removed") or len(found["differences"]) == 1


def test_damaged_object_is_named_without_its_records(archive: Archive) -> None:
    """An archive that was cut when it was written is evidence of that."""
    at = HOUR + timedelta(hours=4, minutes=10)
    key = f"evidence/cluster-A/{at:%Y/%m/%d}/d-1-{at:%Y-%m-%d-%H-%M-%S}-a.gz"
    archive.s3.put_object(Bucket=archive.bucket, Key=key, Body=gzip.compress(b"x" * 1000)[:-9])
    bucket = bucket_of(archive.s3, archive.bucket)

    ManifestWriter(bucket, lambda *_: None).run(["cluster-A"], HOUR + timedelta(hours=6), Deadline.after(60))

    (found,) = archive.verify()
    assert (found["manifests"], found["objects"]) == (5, 7)


def test_two_writers_write_each_manifest_once(archive: Archive) -> None:
    bucket = bucket_of(archive.s3, archive.bucket)
    writers = [ManifestWriter(bucket, lambda *_: None) for _ in range(2)]
    for hours in (5, 6):
        for writer in writers:
            writer.run(["cluster-A"], HOUR + timedelta(hours=hours, minutes=30), Deadline.after(60))

    (found,) = archive.verify()

    assert (found["manifests"], found["differences"]) == (6, [])


def test_source_that_is_not_a_bucket_is_refused() -> None:
    result = CliRunner().invoke(app, ["verify", "evidence"])

    assert result.exit_code == 2
    assert "is not a bucket" in result.stderr


def test_manifest_is_written_once(aws: LocalAws) -> None:
    bucket = bucket_of(aws.s3(), aws.create_bucket(f"evidence-{secrets.token_hex(6)}"))(Deadline.after(60))

    written = [bucket.put_once("manifests/a.json", body) for body in (b"1", b"2")]

    assert written == [True, False]
    assert bucket.content("manifests/a.json") == b"1"
