"""An inventory that knows the databases of the ingest function's tests, and a function that has read their names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from daswatch.deadline import Deadline
from daswatch.fleet.audit import audited
from daswatch.fleet.database import FleetDatabase, databases_of
from daswatch.fleet.inventory import Look
from daswatch.fleet.names import Names
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.times import iso_milliseconds
from demo.rds import Database
from ingest_lambda.handler import warm_function
from tests.builders.fleet import PLACE, raw_cluster, raw_instance
from tests.harness.ingest import IngestFunction

TAGS = ("env", "team", "data-classification")
BEGIN = datetime(2031, 3, 4, 12, tzinfo=UTC)


def named(database: Database, name: str = "orders", **more: Any) -> FleetDatabase:
    """The test's database as RDS describes it."""
    member = raw_instance(f"{name}-1", DBClusterIdentifier=name, DbiResourceId="db-WRITER")
    tags = [{"Key": "env", "Value": "prod"}]
    raw = raw_cluster(name, DbClusterResourceId=database.resource_id, TagList=tags, **more)
    (found,) = databases_of([raw], [member])  # type: ignore[list-item]
    return found


def keep(ingest: IngestFunction, *databases: FleetDatabase, hours: int = 0) -> Names:
    """Write the inventory as a run of the posture function does; the names in it."""
    index = DatabaseIndex(ingest.search, ingest.indices)
    deadline = Deadline.after(60)
    now = iso_milliseconds(BEGIN + timedelta(hours=hours))
    audit = audited(index.read(deadline), [Look(PLACE, databases)], {}, now)
    index.write(audit, deadline)
    return Names.of(audit.documents.values(), TAGS)


def learn(ingest: IngestFunction) -> None:
    """Let the warm function read the names now."""
    names = warm_function().names
    names.refresh()
    assert names._reading is not None
    names._reading.join(30)
    assert not names._reading.is_alive()
