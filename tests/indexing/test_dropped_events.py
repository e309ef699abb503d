"""What is counted of dropped events: one document for each batch, database and reason, the same for each delivery."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from daswatch.content.templates import shipped_content
from daswatch.documents.document import Flattening
from daswatch.documents.noise import ExcludedUser, Noise, Origin
from daswatch.fleet.names import Names
from daswatch.indexing.bulk import Action
from daswatch.indexing.dropped_events import Drop, actions
from daswatch.indices import Indices
from daswatch.records.envelope import StreamSource
from daswatch.records.kinesis import StreamRecord, read_stream_record

NOW = "2031-03-04T11:30:00.000Z"
DATABASE = {
    "databaseIdentifier": "orders",
    "resourceId": "cluster-A",
    "awsAccountId": "123456789012",
    "awsRegion": "eu-west-1",
    "instances": [{"instanceIdentifier": "orders-1", "resourceId": "db-A"}],
    "tags": {"env": "prod"},
}
BATCH = [
    read_stream_record(
        {"eventID": f"shardId-000:{number}", "kinesis": {"sequenceNumber": str(number)}},
        datetime(2031, 3, 4, tzinfo=UTC),
    )
    for number in range(4)
]


def stream(name: str = "cluster-A") -> StreamSource:
    return StreamSource(name, "aws:rds:dbc-id", "123456789012", "eu-west-1")


def drop(
    position: int = 0,
    *,
    count: int = 1,
    arrived_at: str = NOW,
    database: str = "cluster-A",
    instance: str = "db-A",
    user: ExcludedUser = ExcludedUser("rdsadmin", Origin.LOCAL),  # noqa: B008 - immutable
) -> Drop:
    return Drop(position, stream(database), arrived_at, Noise.AWS_USER, count, instance, user)


def parts(action: Action) -> tuple[dict[str, Any], dict[str, Any]]:
    head, document = action.lines.splitlines()
    return orjson.loads(head)["create"], orjson.loads(document)


def ids(drops: list[Drop], batch: list[StreamRecord]) -> list[str]:
    return [parts(action)[0]["_id"] for action in actions(drops, batch, Flattening(NOW), Indices().drops)]


def test_the_drops_of_one_database_are_added_up() -> None:
    (action,) = actions(
        [drop(0, count=2), drop(1, count=3, arrived_at="2031-04-01T00:00:00.000Z")],
        BATCH,
        Flattening(NOW),
        Indices().drops,
    )

    head, document = parts(action)

    assert head["_index"] == "das-drops-2031.04"
    assert document == {
        "@timestamp": "2031-04-01T00:00:00.000Z",
        "ingestedAt": NOW,
        "resourceId": "cluster-A",
        "awsAccountId": "123456789012",
        "awsRegion": "eu-west-1",
        "instanceId": "db-A",
        "reason": "aws-user",
        "dbUserName": "rdsadmin",
        "origin": "local",
        "count": 5,
    }
    assert not action.required


def test_each_database_has_a_document_of_its_own() -> None:
    assert len(set(ids([drop(0), drop(1, database="cluster-B")], BATCH))) == 2


@pytest.mark.parametrize(
    "other",
    [
        drop(1, instance="db-B"),
        drop(1, user=ExcludedUser("rdssec", Origin.LOCAL)),
        drop(1, user=ExcludedUser("rdsadmin", Origin.UNREPORTED)),
    ],
    ids=["instance", "user", "origin"],
)
def test_drops_are_counted_apart(other: Drop) -> None:
    assert len(set(ids([drop(0), other], BATCH))) == 2


def test_a_batch_that_is_delivered_again_has_the_same_ids() -> None:
    assert ids([drop(0), drop(1)], BATCH) == ids([drop(0), drop(1)], BATCH)


@pytest.mark.parametrize("batch", [BATCH[1:], BATCH[:-1]], ids=["begins later", "ends earlier"])
def test_another_batch_has_other_ids(batch: list[StreamRecord]) -> None:
    assert ids([drop(1)], BATCH) != ids([drop(1)], batch)


def test_without_drops_nothing_is_written() -> None:
    assert actions([], BATCH, Flattening(NOW), Indices().drops) == []


def test_every_field_is_in_the_mapping() -> None:
    template = next(content.body for content in shipped_content() if content.name == "das-drops")["template"]
    flattening = Flattening(NOW, names=Names.of([DATABASE], ("env",)))
    (action,) = actions([drop()], BATCH, flattening, Indices().drops)

    assert set(parts(action)[1]) == set(template["mappings"]["properties"])
