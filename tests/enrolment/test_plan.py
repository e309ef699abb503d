"""The next steps of each database, from what a region has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from daswatch.activity_streams.lifecycle import Eligibility, Mode, WantedMode, WantedStream
from daswatch.enrolment.consumers import (
    DeliveryFound,
    Kind,
    MappingFound,
    delivery_name,
    new_delivery,
    new_mapping,
    stream_arn,
)
from daswatch.enrolment.plan import (
    MAX_STARTING,
    Act,
    Enrolment,
    Memory,
    OnDeselection,
    Present,
    State,
    Wanted,
    orphaned_streams,
    plan,
)
from daswatch.enrolment.selection import Selection
from daswatch.fleet.database import Facts, FleetDatabase
from daswatch.fleet.inventory import Look
from tests.builders.fleet import PLACE, cluster, instance
from tests.fakes.region import Region, problems
from tests.harness.enrolment import CONSUMERS, EVIDENCE, KEY, SPLUNK, wanted

NOW = "2031-03-04T10:00:00.000Z"
BEFORE, LONG_AGO = "2031-03-04T09:45:00.000Z", "2031-03-04T09:00:00.000Z"
ELIGIBLE = Facts(Eligibility(frozenset({Mode.ASYNC})))
BOTH = replace(CONSUMERS, splunk=SPLUNK)
UUID = "00000000-0000-4000-8000-000000000001"
OFF = {"ActivityStreamStatus": "stopped"}


def on(name: str = "orders", **more: Any) -> FleetDatabase:
    """A cluster with a stream."""
    identifier = f"cluster-{name.upper()}"
    stream = {"ActivityStreamKinesisStreamName": f"aws-rds-das-{identifier}"}
    return cluster(name, **{"DbClusterResourceId": identifier, **stream, **more})


def off(name: str = "orders", **more: Any) -> FleetDatabase:
    """A cluster without a stream."""
    return cluster(name, **{"DbClusterResourceId": f"cluster-{name.upper()}", **OFF, **more})


def mapping(database: FleetDatabase, state: str = "Enabled", **settings: Any) -> MappingFound:
    """Its mapping, as this deployment makes it."""
    made = new_mapping(CONSUMERS, database.rds.kinesis_stream_arn)
    return MappingFound.of({**made, "UUID": UUID, "State": state, **settings})


def delivery(
    database: FleetDatabase, kind: Kind = Kind.EVIDENCE, status: str = "ACTIVE", name: str = ""
) -> DeliveryFound:
    """Its delivery, as Firehose describes it."""
    region = Region()
    parameters = new_delivery(BOTH, kind, database.rds.kinesis_stream_arn)
    region.client("firehose").create_delivery_stream(**parameters | ({"DeliveryStreamName": name} if name else {}))
    (raw,) = region.deliveries.values()
    return DeliveryFound.of({**raw, "DeliveryStreamStatus": status})


def present(*found: MappingFound | DeliveryFound, gone: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> Present:
    mappings = {one.stream_arn: one for one in found if isinstance(one, MappingFound)}
    deliveries = {(one.stream_arn, one.kind): one for one in found if isinstance(one, DeliveryFound)}
    listed = frozenset([*(one.name for one in deliveries.values()), *names])
    return Present(mappings, deliveries, listed, gone=frozenset(gone))


def planned(
    *databases: FleetDatabase,
    there: Present | None = None,
    settings: Wanted | None = None,
    memories: Mapping[str, Memory] | None = None,
    facts: Facts = ELIGIBLE,
    forgets: bool = False,
) -> list[Enrolment]:
    """The plan; each step's parameters are such as AWS takes."""
    look = Look(PLACE, databases, {one.id: facts for one in databases})
    known = None if forgets else memories or {}
    found = plan(look, there or Present(), settings or wanted("all"), known, NOW)
    services = {Act.CREATE_MAPPING: "lambda", Act.UPDATE_MAPPING: "lambda", Act.DELETE_MAPPING: "lambda"}
    for one in found:
        for step in one.steps:
            if step.act not in (Act.START_STREAM, Act.STOP_STREAM):
                assert problems(services.get(step.act, "firehose"), step.act, step.parameters) == ""
    return found


def only(*args: Any, **more: Any) -> Enrolment:
    (found,) = planned(*args, **more)
    return found


def acts(enrolment: Enrolment) -> list[str]:
    return [str(step.act) for step in enrolment.steps]


def test_stream_that_is_off_is_started() -> None:
    found = only(off())

    assert (found.state, acts(found)) == (State.IN_PROGRESS, ["StartActivityStream"])
    assert found.memory.start_asked == NOW


@pytest.mark.parametrize(
    ("database", "facts", "state", "reason"),
    [
        (
            instance("ledger", Engine="mysql", ActivityStreamStatus="stopped"),
            Facts(Eligibility(frozenset(), "has none")),
            "not-eligible",
            "has none",
        ),
        (off(Status="modifying"), ELIGIBLE, "in-progress", "the database is modifying"),
        (off(Status="stopped"), ELIGIBLE, "failed", "start the database first"),
        (off(), Facts(unknown="RDS: AccessDenied"), "in-progress", "may be impossible: RDS: AccessDenied"),
        (off(ActivityStreamStatus="starting"), ELIGIBLE, "in-progress", "is starting"),
        (off(ActivityStreamStatus="stopping"), ELIGIBLE, "in-progress", "is stopping"),
    ],
)
def test_stream_is_not_started(database: FleetDatabase, facts: Facts, state: str, reason: str) -> None:
    found = only(database, facts=facts)

    assert (found.state, found.steps) == (state, ())
    assert reason in found.reason


def test_mode_that_engine_lacks_needs_a_person() -> None:
    settings = Wanted(Selection.parse("all"), WantedStream(KEY, WantedMode.SYNC), CONSUMERS)

    found = only(off(), settings=settings)

    assert (found.state, found.steps) == (State.FAILED, ())
    assert "no mode sync" in found.reason


def test_nothing_starts_without_memory() -> None:
    found = only(off(), forgets=True)

    assert (found.state, found.steps) == (State.IN_PROGRESS, ())
    assert "could not be read" in found.reason


def test_consumers_are_created_without_memory() -> None:
    assert acts(only(on(), forgets=True)) == ["CreateEventSourceMapping", "CreateDeliveryStream"]


@pytest.mark.parametrize("count", [1, MAX_STARTING, MAX_STARTING + 4])
def test_at_most_five_streams_start_at_once(count: int) -> None:
    found = planned(*(off(f"d{number}") for number in range(count)))

    assert sum(one.starts for one in found) == min(count, MAX_STARTING)
    waiting = [one for one in found if not one.starts]
    assert all(one.memory.start_asked == "" and "waits" in one.reason for one in waiting)


def test_streams_that_are_starting_count() -> None:
    databases = [off(f"d{number}") for number in range(7)]
    asked = {f"cluster-D{number}": Memory(BEFORE) for number in range(3)}

    found = planned(*databases, memories=asked)

    assert [one.starts for one in found] == [False] * 3 + [True] * 2 + [False] * 2


def test_streams_that_have_started_do_not_count() -> None:
    started = [on(f"d{number}") for number in range(7)]
    asked = {one.rds.resource_id: Memory(LONG_AGO, was_on=True) for one in started}

    found = planned(*started, off("z"), memories=asked)

    assert found[-1].starts


def test_start_that_was_asked_for_is_awaited() -> None:
    found = only(off(), memories={"cluster-ORDERS": Memory(BEFORE)})

    assert (found.state, found.steps) == (State.IN_PROGRESS, ())


@pytest.mark.parametrize("facts", [ELIGIBLE, Facts(unknown="RDS does not say")])
def test_start_that_was_given_up_needs_a_person(facts: Facts) -> None:
    found = only(off(), memories={"cluster-ORDERS": Memory(LONG_AGO)}, facts=facts)

    assert (found.state, found.steps) == (State.FAILED, ())
    assert "daswatch stream start cluster:orders" in found.reason


def test_stream_that_a_person_stopped_is_not_started() -> None:
    found = only(off(), memories={"cluster-ORDERS": Memory(was_on=True)})

    assert (found.state, found.steps) == (State.FAILED, ())
    assert "was on, and is stopped" in found.reason


def test_stream_that_is_on_gets_its_consumers() -> None:
    found = only(on(), settings=wanted("all", BOTH))

    assert (found.state, found.memory.was_on) == (State.IN_PROGRESS, True)
    assert acts(found) == ["CreateEventSourceMapping", "CreateDeliveryStream", "CreateDeliveryStream"]
    names = [step.parameters["DeliveryStreamName"] for step in found.steps[1:]]
    assert names == ["daswatch-evidence-cluster-ORDERS", "daswatch-splunk-cluster-ORDERS"]
    assert found.steps[0].parameters["StartingPosition"] == "TRIM_HORIZON"


def test_longest_names_are_such_as_firehose_takes() -> None:
    consumers = replace(BOTH, name="n" * 22)
    database = on(DbClusterResourceId="cluster-" + "A" * 24)

    assert len(delivery_name(consumers, Kind.EVIDENCE, database.rds.resource_id)) == 64
    assert len(only(database, settings=wanted("all", consumers)).steps) == 3


def test_database_with_all_consumers_is_watched() -> None:
    database = on()
    there = present(mapping(database), delivery(database), delivery(database, Kind.SPLUNK))

    found = only(database, there=there, settings=wanted("all", BOTH))

    assert (found.state, found.steps) == (State.WATCHED, ())


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"BatchSize": 100}, {"BatchSize": 200}),
        ({"FunctionResponseTypes": []}, {"FunctionResponseTypes": ["ReportBatchItemFailures"]}),
        ({"MetricsConfig": None}, {"MetricsConfig": {"Metrics": ["EventCount"]}}),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::other"}}},
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::dead-letters"}}},
        ),
        ({"State": "Disabled"}, {"Enabled": True}),
    ],
)
def test_mapping_is_changed_in_place(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    database = on()

    found = only(database, there=present(mapping(database, **settings), delivery(database)))

    assert acts(found) == ["UpdateEventSourceMapping"]
    assert found.steps[0].parameters == {"UUID": UUID, **changes}


@pytest.mark.parametrize("state", ["Creating", "Enabling", "Disabling", "Updating", "Deleting"])
def test_mapping_that_is_changing_is_left_alone(state: str) -> None:
    database = on()

    found = only(database, there=present(mapping(database, state, BatchSize=1), delivery(database)))

    assert (found.state, found.steps) == (State.IN_PROGRESS, ())


@pytest.mark.parametrize("kind", list(Kind))
def test_delivery_is_changed_in_place(kind: Kind) -> None:
    database = on()
    there = present(mapping(database), *(delivery(database, one) for one in Kind))
    evidence = replace(EVIDENCE, bucket="arn:aws:s3:::other") if kind is Kind.EVIDENCE else EVIDENCE
    splunk = replace(SPLUNK, endpoint="https://other:8088") if kind is Kind.SPLUNK else SPLUNK

    found = only(database, there=there, settings=wanted("all", replace(BOTH, evidence=evidence, splunk=splunk)))

    assert acts(found) == ["UpdateDestination"]
    parameters = found.steps[0].parameters
    assert (parameters["DeliveryStreamName"], parameters["CurrentDeliveryStreamVersionId"]) == (
        f"daswatch-{kind}-cluster-ORDERS",
        "1",
    )


@pytest.mark.parametrize("status", ["CREATING", "DELETING", "DELETING_FAILED"])
def test_delivery_that_is_changing_is_left_alone(status: str) -> None:
    database = on()

    found = only(database, there=present(mapping(database), delivery(database, status=status)))

    assert (found.state, found.steps) == (State.IN_PROGRESS, ())


def test_delivery_that_failed_is_removed_and_reported() -> None:
    database = on()

    found = only(database, there=present(mapping(database), delivery(database, status="CREATING_FAILED")))

    assert (found.state, acts(found)) == (State.FAILED, ["DeleteDeliveryStream"])


def test_delivery_with_other_name_and_role_is_adopted() -> None:
    database = on()
    adopted = delivery(database, name="daswatch-Evidence-1ABC")
    consumers = replace(CONSUMERS, evidence=replace(EVIDENCE, role="arn:aws:iam::123456789012:role/new"))

    found = only(database, there=present(mapping(database), adopted), settings=wanted("all", consumers))

    assert (found.state, found.steps) == (State.WATCHED, ())


def test_no_delivery_is_made_while_one_may_be_there() -> None:
    database = on()
    there = Present({database.rds.kinesis_stream_arn: mapping(database)}, unread=frozenset({"daswatch-Evidence-1ABC"}))

    found = only(database, there=there)

    assert (found.state, found.steps) == (State.IN_PROGRESS, ())
    assert "daswatch-Evidence-1ABC" in found.reason


def test_no_delivery_is_made_where_firehose_does_not_answer() -> None:
    there = Present({}, delivery_names=None)

    found = only(on(), there=there)

    assert acts(found) == ["CreateEventSourceMapping"]
    assert "Firehose could not be asked" in found.reason


@pytest.mark.parametrize(("was_watched", "state"), [(True, State.WATCHED), (False, State.IN_PROGRESS)])
def test_delivery_that_no_run_saw_is_not_believed(was_watched: bool, state: State) -> None:
    database = on()
    there = present(mapping(database), names=("daswatch-evidence-cluster-ORDERS",))
    memories = {"cluster-ORDERS": Memory(was_on=True, was_watched=was_watched)}

    found = only(database, there=there, memories=memories)

    assert (found.state, found.steps) == (state, ())


@pytest.mark.parametrize(
    ("how", "asked", "steps"),
    [
        (OnDeselection.KEEP, BEFORE, []),
        (OnDeselection.RELEASE, BEFORE, ["DeleteEventSourceMapping", "DeleteDeliveryStream"]),
        (OnDeselection.STOP, BEFORE, ["DeleteEventSourceMapping", "DeleteDeliveryStream", "StopActivityStream"]),
        (OnDeselection.STOP, "", ["DeleteEventSourceMapping", "DeleteDeliveryStream"]),
    ],
)
def test_deselected_database(how: OnDeselection, asked: str, steps: list[str]) -> None:
    database = on()

    found = only(
        database,
        there=present(mapping(database), delivery(database)),
        settings=wanted("tag:watch=on", on_deselection=how),
        memories={"cluster-ORDERS": Memory(asked, was_on=True)},
    )

    assert (found.state, acts(found)) == (State.NOT_SELECTED, steps)


def test_stop_is_repeated_when_no_consumer_is_left() -> None:
    found = only(
        on(),
        settings=wanted(on_deselection=OnDeselection.STOP),
        memories={"cluster-ORDERS": Memory(LONG_AGO, was_on=True)},
    )

    assert acts(found) == ["StopActivityStream"]


def test_stop_of_a_stream_that_is_starting_waits_in_words() -> None:
    found = only(
        off(ActivityStreamStatus="starting"),
        settings=wanted(on_deselection=OnDeselection.STOP),
        memories={"cluster-ORDERS": Memory(BEFORE)},
    )

    assert (found.state, acts(found)) == (State.NOT_SELECTED, [])
    assert found.reason == "it is not selected; its stream is starting: a run that finds it on stops it"


def test_deselected_database_that_is_kept_is_changed_in_place() -> None:
    database = on()

    found = only(database, there=present(mapping(database, BatchSize=1), delivery(database)), settings=wanted())

    assert (found.state, acts(found)) == (State.NOT_SELECTED, ["UpdateEventSourceMapping"])
    assert "read as before" in found.reason


def test_stream_that_is_stopping_gets_no_consumer() -> None:
    database = on(ActivityStreamStatus="stopping")

    assert only(database, there=present(mapping(database)), settings=wanted()).steps == ()


@pytest.mark.parametrize(
    ("until", "state", "words"),
    [
        ("2031-03-04", State.EXCEPTED, "a test (until 2031-03-04)"),
        ("2031-03-03", State.IN_PROGRESS, "its exception ended on 2031-03-03"),
        ("soon", State.IN_PROGRESS, "its exception has no end"),
        ("", State.IN_PROGRESS, "its exception has no end"),
    ],
)
def test_exception_counts_until_its_end(until: str, state: State, words: str) -> None:
    tags = [{"Key": "daswatch:exception", "Value": "a test"}, {"Key": "daswatch:exception-until", "Value": until}]

    found = only(off(TagList=tags))

    assert found.state is state
    assert words in found.reason
    assert found.starts == (state is State.IN_PROGRESS)


@pytest.mark.parametrize("how", list(OnDeselection))
def test_orphan_whose_stream_is_there_is_read_to_its_end(how: OnDeselection) -> None:
    gone = on("gone")

    found = only(there=present(mapping(gone), delivery(gone)), settings=wanted(on_deselection=how))

    assert (found.state, found.steps) == (State.GONE, ())


@pytest.mark.parametrize("is_described", [True, False])
def test_orphan_whose_stream_is_gone_is_removed(is_described: bool) -> None:
    gone = on("gone")
    arn = gone.rds.kinesis_stream_arn
    found = [mapping(gone), delivery(gone)] if is_described else [mapping(gone)]

    there = present(*found, gone=(arn,), names=("daswatch-evidence-cluster-GONE",))
    first = only(there=there)
    one = only(there=there, memories={"cluster-GONE": Memory(gone_since=LONG_AGO)})

    # What Firehose holds is delivered first.
    assert acts(first) == ["DeleteEventSourceMapping"]
    assert first.memory.gone_since == NOW
    assert acts(one) == ["DeleteEventSourceMapping", "DeleteDeliveryStream"]
    assert one.steps[1].parameters == {"DeliveryStreamName": "daswatch-evidence-cluster-GONE"}


def test_deliveries_stay_while_nothing_is_remembered() -> None:
    gone = on("gone")

    one = only(there=present(mapping(gone), delivery(gone), gone=(gone.rds.kinesis_stream_arn,)), memories=None)

    assert acts(one) == ["DeleteEventSourceMapping"]


def test_consumers_of_a_stopped_stream_are_removed_with_it() -> None:
    arn = stream_arn(PLACE, "cluster-ORDERS")
    there = present(mapping(on()), delivery(on()), gone=(arn,))
    look = Look(PLACE, (off(),))

    assert orphaned_streams(look, there, CONSUMERS) == {arn}
    found = only(off(), there=there, memories={"cluster-ORDERS": Memory(was_on=True, gone_since=LONG_AGO)})
    assert (found.state, acts(found)) == (State.FAILED, ["DeleteEventSourceMapping", "DeleteDeliveryStream"])


def test_stream_of_a_described_database_is_no_orphan() -> None:
    there = present(mapping(on()), delivery(on()), names=("daswatch-rows", "daswatch-evidence-other"))

    assert orphaned_streams(Look(PLACE, (on(),)), there, CONSUMERS) == frozenset()


def test_mapping_of_another_kind_of_stream_is_left_alone() -> None:
    other = MappingFound("uuid", "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", "Enabled", {})

    assert planned(there=present(other)) == []


def test_name_without_database_is_reported() -> None:
    found = only(settings=wanted("cluster:nothing"))

    assert (found.name, found.state, found.steps) == ("cluster:nothing", State.GONE, ())


def test_name_that_moves_is_followed_and_the_old_one_read() -> None:
    old = on("orders", DBClusterIdentifier="orders-old1")
    new = off("orders", DbClusterResourceId="cluster-NEW")
    memories = {"cluster-ORDERS": Memory(LONG_AGO, was_on=True, was_watched=True)}

    green, blue = planned(
        new, old, there=present(mapping(old), delivery(old)), settings=wanted("cluster:orders"), memories=memories
    )

    assert (green.name, acts(green)) == ("cluster:orders", ["StartActivityStream"])
    assert (blue.state, blue.steps) == (State.NOT_SELECTED, ())
    assert "read as before" in blue.reason
