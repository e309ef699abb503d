"""Documents of enrolments: the name of the database, the last steps, and databases that are gone."""

from __future__ import annotations

from typing import Any

import pytest

from daswatch.enrolment.plan import State
from daswatch.enrolment.record import name_of
from tests.fakes.region import Database, error
from tests.harness.enrolment import TAGGED, Enrolling


@pytest.fixture
def enrolling() -> Enrolling:
    return Enrolling()


def enrolled(enrolling: Enrolling) -> Database:
    """A database whose stream a person started, after the first run."""
    database = enrolling.region.add("orders", tags=TAGGED)
    enrolling.region.begin_stream(database, by_person=True)
    enrolling.region.pass_time()
    enrolling.run()
    return database


def the_document(enrolling: Enrolling) -> dict[str, Any]:
    (document,) = enrolling.memories.documents.values()
    return dict(document)


def test_document_has_the_fields_of_the_inventory(enrolling: Enrolling) -> None:
    database = enrolled(enrolling)

    document = the_document(enrolling)

    assert (document["databaseIdentifier"], document["databaseKind"]) == ("orders", "cluster")
    assert document["resourceId"] == database.resource_id
    assert name_of(document) == "cluster:orders"


def test_name_of_a_deleted_database_is_kept(enrolling: Enrolling) -> None:
    database = enrolled(enrolling)
    enrolling.region.delete(database, with_stream=False)

    enrolling.run()

    document = the_document(enrolling)
    assert (document["state"], name_of(document)) == (State.GONE, "cluster:orders")


def test_unknown_name_is_the_resource_id(enrolling: Enrolling) -> None:
    enrolled(enrolling)
    enrolling.memories.documents.clear()
    enrolling.region.databases.clear()

    enrolling.run()

    document = the_document(enrolling)
    assert "databaseIdentifier" not in document
    assert name_of(document) == document["resourceId"]


def test_steps_of_one_run_are_the_last_step(enrolling: Enrolling) -> None:
    enrolled(enrolling)
    first = the_document(enrolling)
    enrolling.region.pass_time()

    enrolling.run()

    document = the_document(enrolling)
    assert first["lastStepCalls"] == ["CreateEventSourceMapping", "CreateDeliveryStream"]
    assert first["lastStepOutcome"] == "done"
    assert document["state"] == State.WATCHED
    assert {name: document[name] for name in first if name.startswith("lastStep")} == {
        "lastStepAt": first["steps"][-1]["at"],
        "lastStepCalls": first["lastStepCalls"],
        "lastStepOutcome": "done",
    }


def test_outcome_names_the_calls_that_failed(enrolling: Enrolling) -> None:
    def refuse(call: str, _: object) -> None:
        if call == "CreateDeliveryStream":
            raise error("AccessDenied", call, "not allowed")

    enrolling.region.on_call = refuse
    enrolled(enrolling)

    document = the_document(enrolling)

    assert document["lastStepCalls"] == ["CreateEventSourceMapping", "CreateDeliveryStream"]
    assert document["lastStepOutcome"] == document["reason"] == "CreateDeliveryStream: AccessDenied: not allowed"


def test_claim_of_a_start_is_not_a_step(enrolling: Enrolling) -> None:
    """A run that ends between the claim and the call leaves no step that was not taken."""
    enrolling.region.add("orders", tags=TAGGED)
    enrolling.memories.down = frozenset({"write"})

    enrolling.run()

    document = the_document(enrolling)
    assert document["startAsked"]
    assert not [name for name in document if name.startswith("lastStep")]


@pytest.mark.parametrize("state", [State.FAILED, State.NOT_SELECTED])
def test_deleted_database_without_consumers_is_gone(enrolling: Enrolling, state: State) -> None:
    database = enrolling.region.add("orders", tags=TAGGED if state is State.FAILED else {})
    database.gives_up = True
    found = enrolling.settle()["cluster:orders"]
    assert found.state is state
    enrolling.region.delete(database)

    enrolling.run()

    document = the_document(enrolling)
    assert (document["state"], document["reason"], name_of(document)) == (
        State.GONE,
        "its database is gone",
        "cluster:orders",
    )
    enrolling.run()
    assert the_document(enrolling) == document


def test_database_that_comes_back_is_not_started_again(enrolling: Enrolling) -> None:
    """RDS left it out of one answer."""
    database = enrolling.region.add("orders", tags=TAGGED)
    database.gives_up = True
    enrolling.settle()
    enrolling.region.delete(database)
    enrolling.run()
    enrolling.region.databases[database.resource_id] = database

    found = enrolling.settle(3)

    assert found["cluster:orders"].state is State.FAILED
    assert enrolling.region.starts == {database.resource_id: 1}
