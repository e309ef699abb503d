"""Runs over a region without a network: pages, quotas, throttling, what earlier releases made, and unsure starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from daswatch.enrolment.consumers import Kind, new_delivery, new_mapping
from daswatch.enrolment.plan import OnDeselection, State
from daswatch.enrolment.record import MAX_DESCRIBED, foreign_names, name_of, to_describe
from enrol_lambda.reconciler import EnrolmentReport
from enrol_lambda.telemetry import response_of
from tests.fakes.region import Database, error
from tests.harness.enrolment import BEGIN, CONSUMERS, EVIDENCE, TAGGED, Enrolling, by_name, wanted


def started(enrolling: Enrolling, count: int) -> list[Database]:
    """Databases whose streams a person started, and that nothing reads yet."""
    databases = [enrolling.region.add(f"d{number:03}", tags=TAGGED) for number in range(count)]
    for database in databases:
        enrolling.region.begin_stream(database, by_person=True)
    enrolling.region.pass_time()
    return databases


def watched(enrolling: Enrolling, count: int = 1) -> list[Database]:
    """Databases whose streams a person started, with their consumers."""
    databases = started(enrolling, count)
    while any(one.state is not State.WATCHED for one in enrolling.run().enrolments):
        enrolling.region.pass_time()
    return databases


def calls(enrolling: Enrolling, report: EnrolmentReport) -> Counter[str]:
    """The steps that a run took."""
    return Counter(str(out.step.act) for found in report.outcomes.values() for out in found)


def refuses(call: str, code: str) -> Callable[[str, Mapping[str, Any]], None]:
    def refuse(asked: str, _: Mapping[str, Any]) -> None:
        if asked == call:
            raise error(code, call)

    return refuse


def test_all_pages_are_read() -> None:
    enrolling = Enrolling()
    enrolling.region.page = 7
    databases = watched(enrolling, 150)
    for database in databases[130:]:
        (uuid,) = (
            uuid
            for uuid, one in enrolling.region.mappings.items()
            if one["EventSourceArn"] == enrolling.region.arn(database)
        )
        del enrolling.region.mappings[uuid]
    before = len(enrolling.region.calls)

    report = enrolling.run()

    assert calls(enrolling, report) == {"CreateEventSourceMapping": 20}
    made = Counter(call for call, _ in enrolling.region.calls[before:])
    assert (made["ListEventSourceMappings"], made["ListDeliveryStreams"]) == (19, 22)


def test_quota_of_deliveries_does_not_keep_streams_from_being_read() -> None:
    enrolling = Enrolling()
    started(enrolling, 40)
    enrolling.region.on_call = refuses("CreateDeliveryStream", "LimitExceededException")

    report = enrolling.run()

    assert len(enrolling.region.mappings) == 40
    assert calls(enrolling, report)["CreateDeliveryStream"] == 1
    assert report.left == 39
    assert list(report.failures) == ["cluster:d000"]


def test_throttled_service_is_left_for_the_next_run() -> None:
    enrolling = Enrolling()
    started(enrolling, 40)
    enrolling.region.on_call = refuses("CreateEventSourceMapping", "TooManyRequestsException")

    report = enrolling.run()

    assert len(enrolling.region.deliveries) == 40
    assert calls(enrolling, report)["CreateEventSourceMapping"] == 1
    assert report.failures == {}


def test_outcome_is_that_of_its_own_step() -> None:
    enrolling = Enrolling()
    started(enrolling, 2)
    enrolling.region.on_call = refuses("CreateEventSourceMapping", "TooManyRequestsException")

    first, second = response_of(enrolling.run())["databases"]

    assert [step["call"] for step in second["steps"]] == ["CreateEventSourceMapping", "CreateDeliveryStream"]
    assert first["steps"][0]["outcome"].startswith("TooManyRequestsException")
    assert [step["outcome"] for step in second["steps"]] == ["left for the next run", "done"]


def test_start_without_an_answer_is_not_asked_for_again() -> None:
    enrolling = Enrolling()
    database = enrolling.region.add("orders", tags=TAGGED)
    database.gives_up = True

    def lose(call: str, _: Mapping[str, Any]) -> None:
        if call == "StartActivityStream":
            raise ReadTimeoutError(endpoint_url="https://rds.example.org")

    enrolling.region.on_answer = lose
    enrolling.run()
    enrolling.region.on_answer = lambda _, __: None

    found = enrolling.settle(10)

    assert enrolling.region.starts == {database.resource_id: 1}
    assert found["cluster:orders"].state is State.FAILED


@pytest.mark.parametrize("code", ["InvalidDBClusterStateFault", "ThrottlingException", "AccessDenied"])
def test_start_that_was_refused_is_asked_for_again(code: str) -> None:
    enrolling = Enrolling()
    enrolling.region.add("orders", tags=TAGGED)
    enrolling.region.on_call = refuses("StartActivityStream", code)
    enrolling.run()
    enrolling.region.on_call = lambda _, __: None

    assert enrolling.settle(3)["cluster:orders"].state is State.WATCHED


def test_start_for_which_there_was_no_time_is_asked_for_again() -> None:
    enrolling = Enrolling()
    enrolling.region.add("orders", tags=TAGGED)
    enrolling.memories.down = frozenset({"claim"})
    assert enrolling.run().left == 1
    enrolling.memories.down = frozenset()

    assert enrolling.settle(3)["cluster:orders"].state is State.WATCHED


def adopt(enrolling: Enrolling, database: Database, name: str) -> None:
    """What an earlier release's stack made for it."""
    parameters = new_delivery(CONSUMERS, Kind.EVIDENCE, enrolling.region.arn(database))
    enrolling.region.client("firehose").create_delivery_stream(**{**parameters, "DeliveryStreamName": name})
    enrolling.region.client("lambda").create_event_source_mapping(
        **new_mapping(CONSUMERS, enrolling.region.arn(database))
    )
    enrolling.region.pass_time()


def test_deliveries_of_an_earlier_release_are_adopted() -> None:
    enrolling = Enrolling()
    database = enrolling.region.add("orders", tags=TAGGED)
    enrolling.region.begin_stream(database, by_person=True)
    enrolling.region.pass_time()
    adopt(enrolling, database, "daswatch-EvidenceX-1ABC")
    before = len(enrolling.region.changes)
    enrolling.region.on_call = refuses("DescribeDeliveryStream", "ThrottlingException")

    assert enrolling.run().enrolments[0].state is State.IN_PROGRESS
    enrolling.region.on_call = lambda _, __: None
    assert enrolling.run().enrolments[0].state is State.WATCHED
    assert len(enrolling.region.changes) == before

    enrolling.wanted = wanted(consumers=replace(CONSUMERS, evidence=replace(EVIDENCE, bucket="arn:aws:s3:::other")))
    report = enrolling.run()
    assert calls(enrolling, report) == {"UpdateDestination": 1}
    assert list(enrolling.region.deliveries) == ["daswatch-EvidenceX-1ABC"]


def test_deliveries_of_a_deployment_with_a_longer_name_are_not_ours() -> None:
    names = [
        "daswatch-Evidence-1ABC",
        "daswatch-prod-evidence-cluster-A",
        "daswatch-rows",
        "daswatch-evidence-db-A",
        "x",
    ]

    assert foreign_names(names, CONSUMERS) == {"daswatch-Evidence-1ABC"}
    assert to_describe(names, {}, CONSUMERS, BEGIN.isoformat()) == ["daswatch-Evidence-1ABC", "daswatch-evidence-db-A"]


def test_each_delivery_is_looked_at_once_an_hour() -> None:
    names = [f"daswatch-evidence-db-{number}" for number in range(MAX_DESCRIBED + 50)]
    now = BEGIN.isoformat()
    fresh = {f"db-{number}": {"state": "watched", "checked": {"evidence": now}} for number in range(100)}
    stale = {"db-3": {"state": "watched", "checked": {"evidence": "2031-03-04T08:59:00.000Z"}}}
    failed = {"db-7": {"state": "failed", "checked": {"evidence": now}}}

    due = to_describe(names, {**fresh, **stale, **failed}, CONSUMERS, now)

    assert len(due) == 52
    assert due[-2:] == ["daswatch-evidence-db-3", "daswatch-evidence-db-7"]
    assert len(to_describe(names, {}, CONSUMERS, now)) == MAX_DESCRIBED


def test_mapping_to_a_stream_of_another_account_is_left_alone() -> None:
    enrolling = Enrolling()
    arn = "arn:aws:kinesis:eu-west-1:210987654321:stream/aws-rds-das-cluster-OTHER"
    enrolling.region.streams.add(arn)
    enrolling.region.client("lambda").create_event_source_mapping(**new_mapping(CONSUMERS, arn))
    enrolling.region.mappings[next(iter(enrolling.region.mappings))]["State"] = "Enabled"

    report = enrolling.run()

    assert [(one.state, one.steps) for one in report.enrolments] == [(State.GONE, ())]


def test_stream_is_stopped_and_then_released_in_the_end() -> None:
    enrolling = Enrolling()
    database = enrolling.region.add("orders", tags=TAGGED)
    assert enrolling.settle()["cluster:orders"].state is State.WATCHED
    database.tags = {}
    enrolling.wanted = wanted(on_deselection=OnDeselection.STOP)
    enrolling.region.on_call = refuses("StopActivityStream", "ThrottlingException")
    enrolling.run()
    enrolling.region.on_call = lambda _, __: None

    found = enrolling.settle()

    assert (found["cluster:orders"].state, database.stream) == (State.NOT_SELECTED, "stopped")
    assert (enrolling.region.mappings, enrolling.region.deliveries) == ({}, {})


def test_consumers_of_a_deleted_database_go_with_its_kinesis_stream() -> None:
    enrolling = Enrolling()
    (database,) = watched(enrolling)
    enrolling.region.delete(database, with_stream=False)

    assert enrolling.run().enrolments[0].steps == ()
    enrolling.region.streams.clear()
    enrolling.settle()

    assert (enrolling.region.mappings, enrolling.region.deliveries) == ({}, {})


def test_what_is_not_found_any_more_is_noted_once_by_the_name_that_it_had() -> None:
    enrolling = Enrolling()
    (database,) = watched(enrolling)
    enrolling.wanted = wanted("tag:watch=on,cluster:lost")
    idle = enrolling.region.add("idle")
    enrolling.run()
    for one in (database, idle):
        enrolling.region.delete(one)
    enrolling.wanted = wanted()
    enrolling.settle()

    noted = {name_of(one): (one["state"], one["reason"]) for one in enrolling.memories.documents.values()}
    versions = dict(enrolling.memories.versions)
    enrolling.run()

    assert noted == {
        "cluster:d000": ("gone", "its database is gone"),
        "cluster:idle": ("gone", "its database is gone"),
        "cluster:lost": ("not-selected", "its name is no longer selected, or a database has it"),
    }
    assert enrolling.memories.versions == versions


def test_delivery_that_a_person_deleted_is_created_again_and_leaves_a_note() -> None:
    enrolling = Enrolling()
    watched(enrolling)
    (document,) = enrolling.memories.documents.values()
    enrolling.region.deliveries.clear()
    enrolling.settle()

    (after,) = enrolling.memories.documents.values()
    assert after["state"] == State.WATCHED
    (gap,) = after["evidenceGaps"]
    assert gap.startswith(f"{document['checked']['evidence']} to ")
    assert "evidenceGaps" not in document


def test_gap_is_noted_whenever_the_delivery_is_created_again() -> None:
    """Also after a run that could not create it; an earlier gap stays."""
    enrolling = Enrolling()
    watched(enrolling)
    enrolling.region.deliveries.clear()
    enrolling.settle()
    enrolling.region.deliveries.clear()
    enrolling.region.on_call = refuses("CreateDeliveryStream", "LimitExceededException")
    enrolling.run()
    enrolling.region.on_call = lambda _, __: None
    enrolling.settle()

    (after,) = enrolling.memories.documents.values()
    first, second = after["evidenceGaps"]
    assert first.partition(" to ")[2] < second.partition(" to ")[0]


def test_delivery_that_was_never_created_leaves_no_gap() -> None:
    enrolling = Enrolling()
    started(enrolling, 1)
    enrolling.run()
    for delivery in enrolling.region.deliveries.values():
        delivery["DeliveryStreamStatus"] = "CREATING_FAILED"
    enrolling.settle()

    (after,) = enrolling.memories.documents.values()
    assert (after["state"], "evidenceGaps" in after) == (State.WATCHED, False)


def test_stream_that_begins_again_has_a_begin_of_its_own_and_no_gap() -> None:
    enrolling = Enrolling()
    (database,) = watched(enrolling)
    ((id_, document),) = enrolling.memories.documents.items()
    enrolling.memories.documents[id_] = {**document, "evidenceStart": "complete"}
    enrolling.region.end_stream(database)
    enrolling.settle()
    enrolling.region.begin_stream(database, by_person=True)
    enrolling.settle()

    (after,) = enrolling.memories.documents.values()
    assert after["state"] == State.WATCHED
    assert after.keys().isdisjoint({"evidenceStart", "evidenceGaps"})


def test_dry_run_changes_and_writes_nothing() -> None:
    enrolling = Enrolling()
    enrolling.region.add("orders", tags=TAGGED)

    report = enrolling.run(dry_run=True)

    assert by_name(report)["cluster:orders"].starts
    assert (enrolling.region.changes, enrolling.memories.documents) == ([], {})
