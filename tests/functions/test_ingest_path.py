"""The main path on a real node: encrypted records of the four engines in, searchable documents out."""

from __future__ import annotations

import pytest

from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event
from tests.harness.ingest import IngestFunction

pytestmark = pytest.mark.node


def test_events_of_all_engines_are_found(ingest: IngestFunction) -> None:
    records = [
        ingest.record([postgresql_event()], ingest.database("postgresql", signed=True)),
        ingest.record([mysql_event()], ingest.database("mysql", name="B")),
        ingest.record([oracle_event()], ingest.database("oracle")),
        ingest.record([sqlserver_event()], ingest.database("sqlserver", name="B")),
    ]

    assert ingest.invoke(*records) == []

    found = {document["engine"]: document for document in ingest.documents()}
    assert set(found) == {"postgresql", "mysql", "oracle", "sqlserver"}
    assert {document["activity"] for document in found.values()} == {"DQL"}
    assert {document["outcome"] for document in found.values()} == {"success"}


def test_a_second_delivery_writes_nothing(ingest: IngestFunction) -> None:
    record = ingest.record([postgresql_event(), postgresql_event(), mysql_event()])
    ingest.invoke(record)

    assert ingest.invoke(record) == []

    assert len(ingest.documents()) == 3
    assert ingest.log["already_there"] == 3
    assert ingest.log["written"] == 0


def test_heartbeats_move_the_pulse_and_are_not_indexed(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([{"type": "heartbeat"}, postgresql_event()]))

    ingest.invoke(ingest.record([{"type": "heartbeat"}]))

    assert len(ingest.documents()) == 1
    pulse = ingest.pulses()["db-WRITER"]
    assert pulse["lastEvent"] == "2031-03-04T11:22:33.444Z"
    assert pulse["lastSeen"] > "2026"
    assert ingest.log["dropped"] == {"heartbeat": 1}
