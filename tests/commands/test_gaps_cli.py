"""`daswatch gaps` on a real OpenSearch: what the check of an hour found, and what brings it back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daswatch.cli import app
from daswatch.deadline import Deadline
from daswatch.evidence.completeness import (
    Before,
    HourKnown,
    Instance,
    MinuteCounts,
    document_id,
    document_of,
    judged,
)
from daswatch.opensearch.completeness_index import CompletenessIndex
from tests.builders.events import postgresql_event
from tests.harness.fleet import Fleet
from tests.harness.ingest import IngestFunction

HOUR = datetime(2031, 3, 4, 10, tzinfo=UTC)
INSTANCE = Instance("cluster-A", "db-A", "123456789012", "eu-west-1")
BEFORE = Before(heartbeats=43_200, heard_minutes=1_440)
SPAN = ("--from", "2031-03-04T00:00Z", "--to", "2031-03-05T00:00Z")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["gaps", *arguments], env={"COLUMNS": "400"})


def run_json(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = run(*arguments, "--output", "json")
    assert result.exit_code == code, result.output
    return dict(json.loads(result.stdout))


def judge(fleet: Fleet, silent: range, hour: datetime = HOUR, instance: Instance = INSTANCE) -> None:
    """An hour's verdict, as the posture function writes it."""
    minutes = {minute: MinuteCounts(records=30, heartbeats=30) for minute in range(60) if minute not in silent}
    known = HourKnown(minutes, before=BEFORE)
    name = {"databaseIdentifier": "orders", "instanceIdentifier": "orders-1"}
    document = document_of(instance, hour, known, judged(known), "2031-03-04T13:00:00.000Z", name)
    index = CompletenessIndex(fleet._search, fleet.indices)
    index.write({document_id(instance, hour): document}, Deadline.after(60))


def test_hole_is_listed_with_its_remedy(fleet: Fleet) -> None:
    judge(fleet, range(10, 20))
    judge(fleet, range(0), HOUR + timedelta(hours=1))

    answer = run_json(*SPAN, code=1)
    table = run(*SPAN)

    (hole,) = answer["holes"]
    assert (hole["database"], hole["instance"], hole["minutes"]) == ("orders", "orders-1", 10)
    assert (hole["from"], hole["to"]) == ("2031-03-04T10:10:00.000Z", "2031-03-04T10:20:00.000Z")
    assert hole["remedy"].startswith("daswatch replay s3://EVIDENCE_BUCKET --from 2031-03-04T10:10Z")
    assert answer["verdicts"] == {"complete": 1, "gap": 1, "unknown": 0}
    assert table.exit_code == 1
    for text in ("orders/orders-1", "2031-03-04 10:10", hole["remedy"], hole["evidence"]):
        assert text in table.stdout


def test_other_databases_are_left_out(fleet: Fleet) -> None:
    judge(fleet, range(10, 20))

    assert run_json(*SPAN, "--database", "cluster-B")["holes"] == []
    assert len(run_json(*SPAN, "--database", "cluster-A", code=1)["holes"]) == 1


def test_unknown_name_is_refused(fleet: Fleet) -> None:
    result = run("--database", "nothing")

    assert result.exit_code == 2
    assert "--database nothing is not in the inventory" in result.stderr


def test_nothing_checked_is_said(fleet: Fleet) -> None:
    result = run(*SPAN)

    assert result.exit_code == 0
    assert "was checked" in result.stdout


@pytest.mark.parametrize("is_deleted", [False, True])
def test_check_judges_again(ingest: IngestFunction, is_deleted: bool) -> None:
    """Of what was ingested a moment ago, an hour that is not over is not judged."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    at = f"{hour + timedelta(minutes=7):%Y-%m-%d %H:%M:%S.%f}+00"
    ingest.invoke(ingest.record([postgresql_event(logTime=at)]))
    ingest.search.indices.refresh(index=f"{ingest.indices.stem}-*")
    if is_deleted:
        query: dict[str, Any] = {"query": {"match_all": {}}}
        ingest.search.delete_by_query(index=f"{ingest.prefix}-*", body=query, params={"refresh": "true"})

    answer = run_json("--from", "3h", "--check", code=int(is_deleted))

    found = [(hole["kind"], hole["missing"], hole["from"][11:16]) for hole in answer["holes"]]
    assert found == ([("not indexed", 1, f"{hour:%H}:07")] if is_deleted else [])
