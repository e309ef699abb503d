"""The enrolment function: from databases with a tag to streams that are on, read and kept, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from moto.rds.exceptions import RDSClientError

from daswatch.errors import ConsumersUnavailable
from enrol_lambda import handler as handler_module
from tests.fakes.proxy import Exchange, Proxy, Request, Response, answer, bulk, forward, sequence
from tests.fakes.rds import Rds
from tests.harness.enrol_function import Enrolling


@pytest.fixture
def aws_proxy(rds: Rds) -> Iterator[Proxy]:
    """A proxy in front of AWS."""
    with Proxy(rds.aws.url) as running:
        yield running


def is_delivery_call(request: Request) -> bool:
    return request.headers.get("X-Amz-Target", "").startswith("Firehose")


def is_listing_of_mappings(request: Request) -> bool:
    return request.method == "GET" and "event-source-mappings" in request.path


def test_tagged_database_is_enrolled_step_by_step(enrolling: Enrolling) -> None:
    name, other = enrolling.rds.cluster(), enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.make_kinesis_stream(name)

    states = [enrolling.run()[name]["state"] for _ in range(6)]

    assert states[0] == "in-progress"
    assert states[-1] == "watched"
    (asked,) = enrolling.rds.started
    assert (asked["Mode"], asked["ApplyImmediately"]) == ("async", True)
    (mapping,) = enrolling.mappings()
    assert mapping["EventSourceArn"] == enrolling.stream_arn(name)
    assert (mapping["BatchSize"], mapping["StartingPosition"]) == (200, "TRIM_HORIZON")
    delivery = enrolling.delivery(name)
    assert delivery["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == enrolling.stream_arn(name)
    document = enrolling.document(name)
    assert [step["call"] for step in document["steps"]] == [
        "StartActivityStream",
        "CreateEventSourceMapping",
        "CreateDeliveryStream",
    ]
    assert enrolling.run()[other]["state"] == "not-selected"


def test_second_run_changes_nothing(enrolling: Enrolling) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.make_kinesis_stream(name)
    for _ in range(6):
        enrolling.run()
    before = (enrolling.mappings(), enrolling.delivery(name), enrolling.document(name))

    answer = enrolling.run()

    assert answer[name]["steps"] == []
    assert (enrolling.mappings(), enrolling.delivery(name), enrolling.document(name)) == before


def test_dry_run_plans_and_changes_nothing(enrolling: Enrolling) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)

    answer = enrolling.run(dryRun=True)

    assert answer[name]["steps"] == [
        {
            "call": "StartActivityStream",
            "reason": "the activity stream is stopped: it starts in mode async",
            "outcome": "planned",
        }
    ]
    assert enrolling.rds.started == []


def test_refused_start_is_not_repeated_as_a_start_that_was_given_up(enrolling: Enrolling) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.rds.faults.append(RDSClientError("KMSKeyNotAccessibleFault", "the key is disabled"))

    refused = enrolling.run()
    line = enrolling.line()
    enrolling.run()

    assert "KMSKeyNotAccessibleFault" in refused[name]["steps"][0]["outcome"]
    assert "KMSKeyNotAccessibleFault" in line["failed"][name]
    assert len(enrolling.rds.started) == 1  # the next run asked again, and RDS agreed


def test_change_of_settings_changes_consumers_in_place(enrolling: Enrolling) -> None:
    name = enrolling.watched()
    (mapping,), delivery = enrolling.mappings(), enrolling.delivery(name)

    enrolling.configure(DEAD_LETTER_BUCKET="other-letters", EVIDENCE_BUCKET="other-evidence")
    handler_module.warm_function.cache_clear()
    enrolling.forget_checks()
    answer = enrolling.run()

    assert [step["call"] for step in answer[name]["steps"]] == ["UpdateEventSourceMapping", "UpdateDestination"]
    assert [step["outcome"] for step in answer[name]["steps"]] == ["done", "done"]
    (changed,), now = enrolling.mappings(), enrolling.delivery(name)
    assert changed["UUID"] == mapping["UUID"]
    assert changed["DestinationConfig"]["OnFailure"]["Destination"] == "arn:aws:s3:::other-letters"
    assert now["DeliveryStreamARN"] == delivery["DeliveryStreamARN"]
    assert now["CreateTimestamp"] == delivery["CreateTimestamp"]
    (destination,) = now["Destinations"]
    assert destination["ExtendedS3DestinationDescription"]["BucketARN"] == "arn:aws:s3:::other-evidence"


def test_region_that_denies_lambda_changes_nothing(enrolling: Enrolling, aws_proxy: Proxy) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.configure(AWS_ENDPOINT_URL_LAMBDA=aws_proxy.url)
    denied = orjson.dumps({"Type": "User", "Message": "not authorized", "__type": "AccessDeniedException"})
    aws_proxy.on(lambda _: True, answer(403, denied))

    with pytest.raises(ConsumersUnavailable, match="ListEventSourceMappings"):
        enrolling.run()

    assert enrolling.rds.started == []


def test_stream_is_read_while_firehose_denies(enrolling: Enrolling, aws_proxy: Proxy) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.make_kinesis_stream(name)
    enrolling.rds.run_stream(name)
    enrolling.configure(AWS_ENDPOINT_URL_FIREHOSE=aws_proxy.url)
    denied = orjson.dumps({"__type": "AccessDeniedException", "message": "Firehose is not for you"})
    rule = aws_proxy.on(is_delivery_call, answer(400, denied))

    found = enrolling.run()[name]

    assert rule.hits
    assert found["state"] == "in-progress"
    assert [step["call"] for step in found["steps"]] == ["CreateEventSourceMapping"]
    assert "AccessDeniedException" in enrolling.line()["causes"][0]
    aws_proxy.behave()
    assert [step["outcome"] for step in enrolling.run()[name]["steps"]] == ["done"]
    assert enrolling.delivery(name)


def test_nothing_starts_while_opensearch_is_down(enrolling: Enrolling, proxy: Proxy) -> None:
    new, running = enrolling.rds.cluster(), enrolling.rds.cluster()
    for name in (new, running):
        enrolling.tag(name)
        enrolling.make_kinesis_stream(name)
    enrolling.rds.run_stream(running)
    enrolling.configure(OPENSEARCH_ENDPOINT=proxy.url)
    proxy.on(lambda _: True, answer(403, b"{}"))

    found = enrolling.run()

    assert enrolling.rds.started == []
    assert found[new]["steps"] == []
    assert [step["outcome"] for step in found[running]["steps"]] == ["done", "done"]
    proxy.behave()
    enrolling.run()
    assert len(enrolling.rds.started) == 1


def test_nothing_starts_that_was_not_remembered(enrolling: Enrolling, proxy: Proxy) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.configure(OPENSEARCH_ENDPOINT=proxy.url)
    proxy.on(bulk, answer(403, b"{}"))

    assert enrolling.run()[name]["steps"][0]["outcome"] == "left for the next run"
    assert enrolling.rds.started == []

    proxy.behave()
    enrolling.run()
    assert len(enrolling.rds.started) == 1


def test_two_runs_at_once_start_a_stream_once(enrolling: Enrolling, aws_proxy: Proxy) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.rds.before = ["stopped"] * 4  # RDS does not say yet that it has agreed
    enrolling.configure(AWS_ENDPOINT_URL_LAMBDA=aws_proxy.url)
    first: list[dict[str, Any]] = []

    def run_another(exchange: Exchange) -> Response:
        """The first run has read what is remembered."""
        aws_proxy.behave()
        handler_module.warm_function.cache_clear()
        first.append(enrolling.run()[name])
        return forward(exchange)

    aws_proxy.on(is_listing_of_mappings, run_another)
    late = enrolling.run()[name]

    assert first[0]["steps"][0]["outcome"] == "done"
    assert late["steps"][0]["outcome"] == "left for the next run"
    assert [call for call, _ in enrolling.rds.calls] == ["StartActivityStream"]
    assert enrolling.document(name)["startAsked"]


def test_database_that_goes_in_mid_run_fails_alone(enrolling: Enrolling, aws_proxy: Proxy) -> None:
    gone, other = enrolling.rds.cluster(), enrolling.rds.cluster()
    enrolling.tag(gone)
    enrolling.tag(other)
    enrolling.configure(AWS_ENDPOINT_URL_LAMBDA=aws_proxy.url)

    def delete(exchange: Exchange) -> Response:
        enrolling.rds.forget(gone)
        return forward(exchange)

    aws_proxy.on(is_listing_of_mappings, sequence(delete))
    found = enrolling.run()

    assert f"there is no {gone}" in found[gone]["steps"][0]["outcome"]
    assert found[other]["steps"][0]["outcome"] == "done"
    assert gone not in enrolling.run()


def test_name_that_moves_is_followed_and_the_old_one_read(enrolling: Enrolling) -> None:
    name = enrolling.watched()
    before = enrolling.mappings()
    enrolling.configure(DATABASES=name)
    green = enrolling.rds.cluster()
    old = enrolling.rds.rename(name)
    enrolling.rds.rename(green, name)

    found = enrolling.run()

    assert [step["call"] for step in found[name]["steps"]] == ["StartActivityStream"]
    assert (found[old]["state"], found[old]["steps"]) == ("not-selected", [])
    assert enrolling.mappings() == before


def test_start_that_is_not_taken_now_is_asked_again(enrolling: Enrolling) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.rds.faults.append(RDSClientError("InvalidDBClusterStateFault", "an instance is modified"))

    refused = enrolling.run()[name]

    assert "an instance is modified" in refused["steps"][0]["outcome"]
    assert enrolling.line()["failed"] == {}
    assert "startAsked" not in enrolling.document(name)
    enrolling.run()
    assert len(enrolling.rds.started) == 1
