"""Names of databases: what their events carry, and what goes without."""

from __future__ import annotations

from dataclasses import replace

from daswatch.alerts.alert import Database
from daswatch.fleet.database import Document, FleetDatabase, Place, databases_of, document_of
from daswatch.fleet.names import Names, database_called, fields_read
from findings_lambda.name_lookup import named
from tests.builders.fleet import PLACE, cluster, instance, raw_cluster, raw_instance

TAGS = ("env", "team", "data-classification")
HERE = PLACE.account_id, PLACE.region


def names(*databases: FleetDatabase, tags: tuple[str, ...] = TAGS) -> Names:
    return Names.of((document_of(one) for one in databases), tags)


def test_events_carry_cluster_and_instance() -> None:
    member = raw_instance("orders-1", DBClusterIdentifier="orders")
    (found,) = databases_of([raw_cluster("orders")], [member])  # type: ignore[list-item]

    fields = names(found).fields(*HERE, found.rds.resource_id, member["DbiResourceId"])

    assert fields == {"databaseIdentifier": "orders", "instanceIdentifier": "orders-1"}


def test_rds_instance_is_its_own_instance() -> None:
    found = instance("ledger")

    fields = names(found).fields(*HERE, found.rds.resource_id, found.rds.resource_id)

    assert fields == {"databaseIdentifier": "ledger", "instanceIdentifier": "ledger"}


def test_unknown_instance_leaves_the_database_named() -> None:
    found = cluster("orders")

    assert names(found).fields(*HERE, found.rds.resource_id, "db-OTHER") == {"databaseIdentifier": "orders"}


def test_unknown_database_has_no_fields() -> None:
    found = cluster("orders")
    known = names(found)

    assert known.fields(*HERE, "cluster-OTHER") == {}
    assert known.fields("210987654321", PLACE.region, found.rds.resource_id) == {}
    assert known.fields(PLACE.account_id, "us-east-1", found.rds.resource_id) == {}


def test_chosen_tags_are_words_in_their_order() -> None:
    tags = [{"Key": "team", "Value": "shop"}, {"Key": "env", "Value": "prod"}, {"Key": "cost", "Value": "7"}]
    found = cluster("orders", TagList=tags)

    chosen = names(found).fields(*HERE, found.rds.resource_id)["databaseTags"]
    others = names(found, tags=("cost", "none")).fields(*HERE, found.rds.resource_id)["databaseTags"]

    assert chosen == ["env=prod", "team=shop"]
    assert others == ["cost=7"]


def test_gone_database_keeps_its_name() -> None:
    found = cluster("orders")
    document = {**document_of(found), "goneSince": "2031-03-04T12:00:00.000Z"}

    assert Names.of([document], TAGS).fields(*HERE, found.rds.resource_id) == {"databaseIdentifier": "orders"}


def test_documents_from_before_have_no_instance_ids() -> None:
    found = cluster("orders")
    document: Document = {**document_of(found), "instances": [{"instanceIdentifier": "orders-1"}]}

    assert Names.of([document], TAGS).instance_ids == []


def test_fields_read_are_enough_for_the_names() -> None:
    found = cluster("orders", TagList=[{"Key": "env", "Value": "prod"}])
    document = document_of(found)
    read = {
        **{name: document[name] for name in fields_read(TAGS) if name in document},
        "instances": [
            {
                name.removeprefix("instances."): member[name.removeprefix("instances.")]
                for name in fields_read(TAGS)
                if name.startswith("instances.")
            }
            for member in document["instances"]
        ],
        "tags": {
            name: document["tags"][name] for name in TAGS if f"tags.{name}" in fields_read(TAGS) and name == "env"
        },
    }

    assert Names.of([read], TAGS) == Names.of([document], TAGS)


def test_alert_gets_identifier_and_tags() -> None:
    found = cluster("orders", TagList=[{"Key": "env", "Value": "prod"}])
    known = names(found)
    whole = Database(found.rds.resource_id, *HERE, "postgresql")

    assert named(whole, known) == replace(whole, identifier="orders", tags=("env=prod",))
    assert named(Database(found.rds.resource_id), known).identifier == "orders"  # of a monitor's notification


def test_alert_of_another_database_stays_unnamed() -> None:
    found, twin = cluster("orders"), cluster("orders", place=Place("210987654321", "eu-west-1"))
    same_id = replace(twin, rds=replace(twin.rds, resource_id=found.rds.resource_id))
    known = names(found, same_id)

    for database in (
        Database("cluster-OTHER", *HERE),
        Database(found.rds.resource_id, PLACE.account_id, "us-east-1"),
        Database(found.rds.resource_id),  # which of the two is not said
        Database(""),
    ):
        assert named(database, known) == database


def test_database_is_found_by_what_a_call_names() -> None:
    member = raw_instance("orders-1", DBClusterIdentifier="orders")
    (orders,) = databases_of([raw_cluster("orders")], [member])  # type: ignore[list-item]
    documents = [document_of(orders), document_of(instance("ledger"))]

    for called in ("orders", "orders-1", member["DbiResourceId"], orders.rds.resource_id):
        found = database_called(documents, ["unknown", called, "ledger"])
        assert found is not None
        assert found["databaseIdentifier"] == "orders"
    assert database_called(documents, ["unknown"]) is None
    assert database_called(documents, []) is None


def test_name_means_the_database_that_has_it_now() -> None:
    def one(resource_id: str, **fields: str) -> Document:
        return {**document_of(instance("ledger")), "resourceId": resource_id, **fields}

    before, last = one("db-1", goneSince="2031-01-01T00:00:00Z"), one("db-2", goneSince="2031-02-01T00:00:00Z")
    now = one("db-0")

    assert database_called([before, now, last], ["ledger"]) == now
    assert database_called([last, before], ["ledger"]) == last
