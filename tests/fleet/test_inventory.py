"""The inventory: only what was looked at changes, nothing is forgotten, and names that move are noticed."""

from __future__ import annotations

from daswatch.fleet.database import Document, FleetDatabase, Place, databases_of
from daswatch.fleet.inventory import InventoryUpdate, Look, updated
from tests.builders.fleet import PLACE, cluster, instance, raw_cluster, raw_instance

FIRST, SECOND, THIRD = "2031-03-04T10:00:00.000Z", "2031-03-04T11:00:00.000Z", "2031-03-04T12:00:00.000Z"
OTHER = Place("210987654321", "us-east-1")


def seen(known: dict[str, Document], *databases: FleetDatabase, now: str = SECOND) -> InventoryUpdate:
    return updated(known, [Look(PLACE, databases)], now)


def test_document_has_what_region_describes() -> None:
    members = [
        raw_instance("orders-2", DBClusterIdentifier="orders", DBInstanceClass="db.r6g.xlarge"),
        raw_instance("orders-1", DBClusterIdentifier="orders", DBInstanceClass="db.r6g.large"),
    ]
    raw = raw_cluster(Endpoint="orders.cluster-x.rds.amazonaws.com", MultiAZ=True, StorageEncrypted=True)
    raw["TagList"] = [{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": "shop"}]
    found = databases_of([raw], members)  # type: ignore[arg-type, list-item]

    (document,) = updated({}, [Look(PLACE, tuple(found))], FIRST).documents.values()

    assert document == {
        "databaseIdentifier": "orders",
        "databaseKind": "cluster",
        "databaseArn": "arn:aws:rds:eu-west-1:123456789012:cluster:orders",
        "resourceId": raw["DbClusterResourceId"],
        "awsAccountId": "123456789012",
        "awsRegion": "eu-west-1",
        "engine": "postgresql",
        "engineName": "aurora-postgresql",
        "engineVersion": "15.4",
        "engineMode": "provisioned",
        "status": "available",
        "instances": [
            {
                "instanceIdentifier": "orders-1",
                "instanceClass": "db.r6g.large",
                "role": "writer",
                "resourceId": members[1]["DbiResourceId"],
            },
            {
                "instanceIdentifier": "orders-2",
                "instanceClass": "db.r6g.xlarge",
                "role": "reader",
                "resourceId": members[0]["DbiResourceId"],
            },
        ],
        "tags": {"env": "prod", "team": "shop"},
        "endpoint": "orders.cluster-x.rds.amazonaws.com",
        "multiAz": True,
        "storageEncrypted": True,
        "streamStatus": "started",
        "streamMode": "async",
        "streamKey": "4f2c5b0e-8a51-4f3d-9c0a-1f2e3d4c5b6a",
        "firstSeen": FIRST,
        "lastSeen": FIRST,
    }


def test_other_services_are_no_databases_of_the_fleet() -> None:
    found = databases_of([raw_cluster(Engine="docdb"), raw_cluster(Engine="neptune")], [])  # type: ignore[list-item]

    assert found == []


def test_failed_look_changes_nothing_of_its_place() -> None:
    here, there = cluster(), cluster(place=OTHER)
    known = dict(updated({}, [Look(PLACE, (here,)), Look(OTHER, (there,))], FIRST).documents)

    update = updated(known, [Look(PLACE, (here,)), Look(OTHER, failure="AccessDenied")], SECOND)

    assert set(update.documents) == {here.id}
    assert update.unseen == {OTHER: "AccessDenied"}


def test_deleted_database_is_gone_since_the_first_look_without_it() -> None:
    database = instance()
    known = dict(seen({}, database, now=FIRST).documents)

    known = dict(seen(known, now=SECOND).documents)
    known = dict(seen(known, now=THIRD).documents)

    assert known[database.id]["goneSince"] == SECOND
    assert known[database.id]["lastSeen"] == FIRST


def test_database_that_comes_back_is_not_gone() -> None:
    database = instance()
    known = dict(seen({}, database, now=FIRST).documents)
    known = dict(seen(known, now=SECOND).documents)

    (document,) = seen(known, database, now=THIRD).documents.values()

    assert "goneSince" not in document
    assert (document["firstSeen"], document["lastSeen"]) == (FIRST, THIRD)


def test_renamed_database_keeps_its_former_name() -> None:
    before = cluster("orders", DbClusterResourceId="cluster-A")
    known = dict(seen({}, before, now=FIRST).documents)

    update = seen(known, cluster("orders-old", DbClusterResourceId="cluster-A"))

    (document,) = update.documents.values()
    assert (document["databaseIdentifier"], document["formerIdentifiers"]) == ("orders-old", ["orders"])
    assert update.moved == ()


def test_switchover_moves_the_name_to_another_resource() -> None:
    blue = cluster("orders", DbClusterResourceId="cluster-BLUE")
    green = cluster("orders-green-x1", DbClusterResourceId="cluster-GREEN", ActivityStreamStatus="stopped")
    known = dict(seen({}, blue, green, now=FIRST).documents)
    old = cluster("orders-old1", DbClusterResourceId="cluster-BLUE")
    new = cluster("orders", DbClusterResourceId="cluster-GREEN", ActivityStreamStatus="stopped")

    update = seen(known, old, new)

    (moved,) = update.moved
    assert (moved.identifier, moved.before, moved.after) == ("orders", blue.id, green.id)
    assert update.documents[green.id]["replaces"] == "cluster-BLUE"
    assert update.documents[blue.id]["replacedBy"] == "cluster-GREEN"
    assert update.documents[blue.id]["formerIdentifiers"] == ["orders"]
    # Once: the next run sees nothing new.
    assert seen(dict(update.documents), old, new, now=THIRD).moved == ()


def test_switchover_back_turns_the_marks_around() -> None:
    known = dict(seen({}, cluster("orders", DbClusterResourceId="cluster-A"), now=FIRST).documents)
    away = (cluster("orders-old1", DbClusterResourceId="cluster-A"), cluster("orders", DbClusterResourceId="cluster-B"))
    known = dict(seen(known, *away).documents)
    back = (cluster("orders", DbClusterResourceId="cluster-A"), cluster("orders-b", DbClusterResourceId="cluster-B"))

    update = seen(known, *back, now=THIRD)

    a, b = (update.documents[one.id] for one in back)
    assert (a.get("replaces"), a.get("replacedBy")) == ("cluster-B", None)
    assert (b.get("replaces"), b.get("replacedBy")) == (None, "cluster-A")


def test_restore_under_the_name_of_a_deleted_database_is_noticed() -> None:
    known = dict(seen({}, instance("ledger", DbiResourceId="db-A"), now=FIRST).documents)
    known = dict(seen(known, now=SECOND).documents)

    update = seen(known, instance("ledger", DbiResourceId="db-B"), now=THIRD)

    (moved,) = update.moved
    assert (moved.before, moved.after) == (f"{PLACE}/db-A", f"{PLACE}/db-B")


def test_cluster_and_instance_may_have_the_same_name() -> None:
    known = dict(seen({}, cluster("ledger"), now=FIRST).documents)

    assert seen(known, instance("ledger")).moved == ()


def test_stream_is_on_since_it_was_first_seen_on() -> None:
    off = cluster(DbClusterResourceId="cluster-A", ActivityStreamStatus="stopped")
    on = cluster(DbClusterResourceId="cluster-A")
    known = dict(seen({}, off, now=FIRST).documents)
    assert "streamSince" not in known[off.id]

    known = dict(seen(known, on, now=SECOND).documents)
    known = dict(seen(known, on, now=THIRD).documents)
    assert known[on.id]["streamSince"] == SECOND

    assert "streamSince" not in seen(known, off, now=THIRD).documents[on.id]


def test_stream_that_is_on_at_the_first_look_is_not_new() -> None:
    (document,) = seen({}, cluster()).documents.values()

    assert "streamSince" not in document


def test_stream_of_a_database_that_is_new_at_a_later_look_is_new() -> None:
    known = dict(seen({}, cluster("stock"), now=FIRST).documents)
    new = cluster("orders")

    assert seen(known, new).documents[new.id]["streamSince"] == SECOND
