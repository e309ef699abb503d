"""The corpus of statements with their activities."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from daswatch.detections.samples import samples_of
from daswatch.detections.sigma import rule_folders
from daswatch.records.monitoring_record import engine_of
from demo.traffic import produce
from tests import ROOT
from tests.harness.activities import ROWS

CORPUS = ROOT / "tests" / "corpus" / "activities"


def statements(engine: str) -> list[str]:
    found = dict.fromkeys((CORPUS / f"{engine}.sql").read_text("utf-8").splitlines())
    found |= dict.fromkeys(row.event["commandText"] for row in ROWS if row.engine == engine)
    for folder in rule_folders():
        for sample in samples_of(folder.name):
            if sample.engine == engine:
                found |= dict.fromkeys(str(text) for step in sample.steps for text in _texts(step))
    found |= dict.fromkeys(text for of, text in traffic() if of == engine)
    return [text for text in found if text and text != "None"]


def _texts(step: Any) -> Iterator[object]:
    yield step.get("event", {}).get("commandText")
    yield from step.get("each", {}).get("commandText", ())


@cache
def traffic() -> tuple[tuple[str, str], ...]:
    records = produce(7, datetime(2031, 3, 4, tzinfo=UTC), 6_000)
    events = (event for record in records for event in record.monitoring_record["databaseActivityEventList"])
    return tuple(
        dict.fromkeys(
            (engine_of(event, ""), event["commandText"])
            for event in events
            if event.get("commandText") and event.get("class") not in ("AUX", "LOGIN")
        )
    )
