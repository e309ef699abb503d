"""`daswatch replay` on a real node: evidence comes into the same ids as at ingest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.ingest import IngestFunction
from tests.harness.replay import Evidence, comparable, events


@pytest.fixture
def evidence(ingest: IngestFunction) -> Iterator[Evidence]:
    yield Evidence(ingest, ingest.aws.create_bucket(f"evidence-{ingest.name}"))


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
