"""Tallies that OpenSearch does not accept are tried again with the next batch of a warm function."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from daswatch.deadline import Deadline
from daswatch.documents.decoder import DecodedRecord
from daswatch.documents.document import Flattening
from daswatch.indexing.bulk import Action
from daswatch.opensearch.bulk import BulkResult
from daswatch.records.kinesis import StreamRecord
from ingest_lambda.report import IngestReport
from ingest_lambda.sinks import OpenSearchIndices

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A"
NOW = datetime(2031, 3, 4, 12, tzinfo=UTC)


class Search:
    """Takes everything; tallies only as long as a test says so."""

    is_collection = False

    def __init__(self) -> None:
        self.takes_tallies = True
        self.tallies: list[str] = []  # of which records

    def template_names(self, deadline: Deadline) -> set[str]:
        return {f"das-{name}" for name in ("events", "dead-letters", "pulse", "drops", "tallies")}

    def write(self, actions: Sequence[Action], deadline: Deadline) -> BulkResult:
        result = BulkResult(requests=1)
        counts = [action for action in actions if "-tallies-" in action.index]
        if self.takes_tallies:
            self.tallies += [orjson.loads(one.lines.splitlines()[1])["firstSequenceNumber"] for one in counts]
        else:
            result.give_up(counts, "it does not take them")
        return result


def invoke(indices: OpenSearchIndices, number: int) -> IngestReport:
    """One batch of one record."""
    report = IngestReport()
    sink = indices.begin(Flattening(""), NOW, Deadline.after(10), report)
    sink.take(
        StreamRecord({}, "e30=", ARN, str(number), "shardId-0", "2031-03-04T12:00:00.000Z"),
        DecodedRecord("db-A", 0, [], {}, "", None, 0.0, 0.0),
    )
    sink.flush()
    sink.finish()
    return report


def test_tally_that_is_not_written_is_tried_again() -> None:
    search: Any = Search()
    with ThreadPoolExecutor(1) as executor:
        indices = OpenSearchIndices(cast(Any, search), executor)
        search.takes_tallies = False
        assert [invoke(indices, number).tallies_unwritten for number in (1, 2)] == [1, 2]
        search.takes_tallies = True

        assert invoke(indices, 3).tallies_unwritten == 0
        assert invoke(indices, 4).tallies_unwritten == 0

    assert search.tallies == ["1", "2", "3", "4"]
