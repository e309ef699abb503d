"""Events on which engines differ, through the whole flattening: `cases/engine_events.ndjson` has what must come out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from daswatch.documents.document import Flattening, flatten
from daswatch.records.envelope import StreamSource
from daswatch.records.monitoring_record import read_monitoring_record
from tests import ROOT

CASES_FILE = ROOT / "tests" / "cases" / "engine_events.ndjson"
CASES = [orjson.loads(line) for line in CASES_FILE.read_text("utf-8").splitlines()]
STREAM = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_document_of_case(case: dict[str, Any]) -> None:
    record = read_monitoring_record(
        orjson.dumps({"type": "DatabaseActivityMonitoringRecord", "databaseActivityEventList": [case["event"]]})
    )

    (document,) = flatten(
        record, STREAM, "1.1", "2031-03-04T00:00:00.000Z", Flattening("2031-03-04T00:00:00Z")
    ).documents

    assert document.source["engine"] == case["engine"]
    for name, expected in case["expect"].items():
        allowed = expected if name == "activity" and isinstance(expected, list) else [expected]
        assert document.source.get(name) in allowed, name
