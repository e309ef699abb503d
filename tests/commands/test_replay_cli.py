"""`daswatch replay` on a real node: evidence comes into the same ids as at ingest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daswatch.errors import Reason
from demo.delivery import delivered_rows
from tests.builders.events import mysql_event
from tests.builders.evidence import on_failure_body
from tests.harness.ingest import IngestFunction
from tests.harness.replay import Evidence, comparable, events, letter_of


@pytest.fixture
def evidence(ingest: IngestFunction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    monkeypatch.chdir(tmp_path)
    return Evidence.empty(ingest, tmp_path)


def test_archive_gives_the_same_documents_as_ingest(ingest: IngestFunction, evidence: Evidence) -> None:
    records = [ingest.record(events(10 * number)) for number in range(6)]
    ingest.invoke(*records)
    before = comparable(ingest)
    ingest.search.indices.delete(index=f"{ingest.prefix}-*")
    evidence.archive(records[:4], members=3)
    evidence.archive(records[4:])

    report = evidence.report()

    assert comparable(ingest) == before
    assert report["totals"] == {"read": 6, "opened": 6, "events": 30, "written": 30}
    assert report["objects"]["whole"] == 2
    again = evidence.report()
    assert again["totals"] == {"read": 6, "opened": 6, "events": 30, "alreadyThere": 30}
    assert comparable(ingest) == before


def test_dead_letters_that_open_now_are_written_and_tagged(ingest: IngestFunction, evidence: Evidence) -> None:
    """Every object is recognized by its bytes; what is whole is marked, and what still cannot be opened stays."""
    good, bad, given_up = (ingest.record(events(10 * number)) for number in range(3))
    bad["kinesis"]["data"] = "not base64"
    kept = {
        name: evidence.put(letter.object_key, letter.object_body())
        for name, letter in (
            ("good", letter_of(good, Reason.DATA_KEY_REFUSED)),
            ("bad", letter_of(bad, Reason.NOT_BASE64)),
        )
    }
    batch = evidence.put("aws/lambda/uuid/shardId-000000000000/2031/03/05/x", on_failure_body([given_up]))
    backup = evidence.put("backups/20310304/das-overview.json", b'{"id": "das-overview"}')
    archive = evidence.archive([good])

    report = evidence.report(exit_code=1)

    assert report["totals"] == {"read": 4, "opened": 3, "unopened": 1, "events": 15, "written": 10, "alreadyThere": 5}
    assert report["refused"] == [{"reason": "not-base64", "detail": "the record is not base64", "count": 1}]
    assert report["incomplete"] == [kept["bad"]]
    tagged = {key: evidence.tags(key) for key in (kept["good"], kept["bad"], batch, backup, archive)}
    assert tagged == {
        kept["good"]: {"daswatch-replay": "done"}, batch: {"daswatch-replay": "done"},
        kept["bad"]: {}, backup: {}, archive: {},
    }  # fmt: skip
    again = evidence.report("--restart", exit_code=1)
    assert again["objects"]["doneBefore"] == 2


def test_rows_to_a_file_need_no_cluster(
    ingest: IngestFunction, evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENSEARCH_ENDPOINT")
    other = ingest.database("mysql", name="B")
    records = [ingest.record(events(0)), ingest.record(events(10, command="DROP TABLE"))]
    evidence.archive(records)
    evidence.archive([ingest.record([mysql_event()], other)], other)
    file = tmp_path / "rows.ndjson"

    report = evidence.report("--to", str(file), "--resource-id", ingest.database().resource_id)

    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["statementId"] for row in rows] == [str(number) for number in (*range(5), *range(10, 15))]
    assert {row["resourceId"] for row in rows} == {ingest.database().resource_id}
    assert report["totals"]["written"] == 10
    (reading,) = [json.loads(line) for line in (tmp_path / "rows.ndjson.replays").read_text().splitlines()]
    assert reading["callerArn"].startswith("arn:aws:sts::")
    assert (reading["state"], reading["read"], reading["source"]) == ("done", 2, f"s3://{evidence.bucket}")
    assert ingest.documents() == []


GRANT = {"command": "ALTER ROLE", "commandText": "alter role app_rw superuser", "class": "ROLE", "dbUserName": "eve"}


def test_detections_over_replayed_time_are_reported_or_raised(ingest: IngestFunction, evidence: Evidence) -> None:
    """The running detections see nothing of it: what is replayed arrived when its record did."""
    evidence.archive([ingest.record(events(0, 1, **GRANT))])

    reported = evidence.report()["detections"]

    found = {one["detection"] for one in reported["alerts"]}
    assert "superuser-grant" in found
    assert [one["from"] for one in reported["spans"]] == ["2031-03-04T11:00:00.000Z"]
    assert ingest.count({"range": {"ingestedAt": {"lt": "2031-03-04T11:30:00Z"}}}) == 1
    assert ingest.count({"exists": {"field": "replayedAt"}}) == 1
    assert alerts_of(ingest) == []
    assert evidence.report("--detections", "raise")["detections"]["alerts"] == []  # nothing was missing

    ingest.search.indices.delete(index=f"{ingest.prefix}-*")
    raised = evidence.report("--detections", "raise")["detections"]

    alerts = alerts_of(ingest)
    assert raised["raised"] == len(alerts) == len(raised["alerts"])
    (grant,) = [one for one in alerts if one["detection"] == "superuser-grant"]
    assert grant["firstSeen"] == grant["createdAt"] == "2031-03-04T11:00:00.000Z"
    assert grant["replayedAt"] > "2026"
    ingest.search.indices.delete(index=f"{ingest.prefix}-*")
    assert evidence.report("--detections", "raise")["detections"]["known"] == len(alerts)
    assert alerts_of(ingest) == alerts


def test_rows_go_to_s3_in_the_same_objects_each_time(ingest: IngestFunction, evidence: Evidence) -> None:
    evidence.archive([ingest.record(events(0)), ingest.record(events(10, command="DROP TABLE"))])
    target = ingest.aws.create_bucket(f"rows-{ingest.name}")

    for _ in range(2):
        report = evidence.report("--to", f"s3://{target}/case", "--activity", "DQL", "--restart")

    rows = list(delivered_rows(ingest.aws.s3(), target, "case/rows/"))
    assert {tuple(folders.items()) for folders, _ in rows} == {
        (("activity", "DQL"), ("date", "2031-03-04"), ("hour", "11"))
    }
    assert len(rows) == report["totals"]["events"]
    assert report["totals"]["written"] + report["totals"]["leftOut"] == 10


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--to", "7d", "--to", "1d"], "--to is given twice"),
        (["--from", "1d", "--to", "2d"], "--from is not before --to"),
        (["--activity", "READ"], "names an unknown activity"),
        (["--into", "other"], "is not an index prefix"),
        (["--database", "unheard-of"], "there is no database 'unheard-of'"),
    ],
)
def test_wrong_options_read_nothing(
    ingest: IngestFunction, evidence: Evidence, arguments: list[str], what: str
) -> None:
    result = evidence.replay(*arguments)

    assert result.exit_code == 2
    assert what in result.output
    assert not ingest.search.indices.exists(index=ingest.indices.replays)


def test_dry_run_opens_and_writes_nothing(ingest: IngestFunction, evidence: Evidence) -> None:
    key = evidence.put(*dead_letter_of(ingest.record(events(0))))

    report = evidence.report("--dry-run")

    assert report["totals"] == {"read": 1, "opened": 1, "events": 5}
    assert (ingest.documents(), evidence.tags(key)) == ([], {})
    assert [one["target"] for one in evidence.readings()] == ["dry-run"]


def alerts_of(ingest: IngestFunction) -> list[dict[str, Any]]:
    """All alerts of the test's deployment."""
    if not ingest.search.indices.exists(index=ingest.indices.alerts):
        return []
    ingest.search.indices.refresh(index=ingest.indices.alerts)
    answer = ingest.search.search(index=ingest.indices.alerts, body={"size": 100, "sort": ["alertId"]})
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def dead_letter_of(record: Mapping[str, Any]) -> tuple[str, bytes]:
    letter = letter_of(record, Reason.DATA_KEY_REFUSED)
    return letter.object_key, letter.object_body()
