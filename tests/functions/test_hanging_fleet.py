"""The posture and the enrolment function while one of their dependencies does not answer.

As in `test_hanging.py`, a silence has no end: the limit separates a bounded wait from an endless one, not a fast
machine from a slow one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson
import pytest

from daswatch.errors import ConsumersUnavailable, DependencyError, FleetUnavailable, SearchUnavailable
from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from posture_lambda.handler import handler
from tests.fakes.clock import ends_within
from tests.fakes.rds import ACCOUNT
from tests.fakes.relay import SILENCES, Relay, Silence
from tests.harness.enrol_function import Enrolling
from tests.harness.fleet import REGION, Fleet

pytestmark = pytest.mark.node

# Of the runs during a silence, one after the other until what needs no silent dependency is done: a slow machine needs
# longer ones. A run of the enrolment makes several calls before it comes to its steps.
AUDITS_MS = (8_000, 30_000, 90_000, 200_000)
ENROLMENTS_MS = (12_000, 30_000, 90_000, 200_000)
LIMIT_SECONDS = 600.0
LATE_SECONDS = 0.5  # of each connection, and a run makes dozens
PLENTY_MS = 60_000
NEXT_RUNS = 5


def relay_of(name: str, node: AnyNode, fleet: Fleet) -> Relay:
    """A relay before a dependency."""
    return Relay(node.url if name == "opensearch" else fleet.rds.aws.url)


def settings_of(name: str, relay: Relay) -> dict[str, str]:
    return {"OPENSEARCH_ENDPOINT" if name == "opensearch" else f"AWS_ENDPOINT_URL_{name.upper()}": relay.url}


def run_until(done: Callable[[], bool], run: Callable[[int], object], times_ms: Iterable[int]) -> None:
    """Run with more and more time until something is done: each run ends within its own, whatever it came to."""
    for remaining_ms in times_ms:
        with ends_within(LIMIT_SECONDS), suppress(DependencyError):
            run(remaining_ms)
        if done():
            return


# Posture.


# By dependency: settings that make a run need it, and the error of a run without it, for those that end it.
POSTURE: Mapping[str, tuple[Mapping[str, str], type[DependencyError] | None]] = {
    "opensearch": ({}, SearchUnavailable),
    "organizations": ({"FLEET_ACCOUNTS": "organization"}, FleetUnavailable),
    "ec2": ({"FLEET_REGIONS": ""}, None),
    "sts": ({}, None),
    "rds": ({}, None),
    "kms": ({}, None),
    "securityhub": ({"SECURITY_HUB": "true"}, None),
}
KNOWN_WITHOUT = ("kms", "securityhub")  # the databases are


def audit(remaining_ms: int) -> None:
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daswatch-posture"
    handler({"source": "aws.events"}, InvocationContext(remaining_ms, function))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The log lines since the last look."""
    return [orjson.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", list(POSTURE))
def test_posture_ends_while_a_dependency_is_silent(
    fleet: Fleet, node: AnyNode, capsys: pytest.CaptureFixture[str], name: str, silence: Silence
) -> None:
    settings, error = POSTURE[name]
    database = fleet.rds.cluster()
    fleet.rds.run_stream(database)
    with relay_of(name, node, fleet) as relay:
        fleet.configure(**settings_of(name, relay), **settings)
        silence(relay)

        if error:
            with ends_within(LIMIT_SECONDS), pytest.raises(error):
                audit(AUDITS_MS[0])
        else:
            run_until(lambda: name not in KNOWN_WITHOUT or bool(fleet.documents), audit, AUDITS_MS)

        logged = lines(capsys)
        assert len(fleet.documents) == (name in KNOWN_WITHOUT)
        if name == "securityhub":
            assert [line["findings"] for line in logged] == [0] * len(logged)
            assert logged[-1]["findings_unsent"] == 1
        relay.answer_after(LATE_SECONDS)
        audit(PLENTY_MS)
        relay.answer_after(0)
        audit(PLENTY_MS)  # a slow machine may not have done all of it in one

    known = [f"cluster:{one['databaseIdentifier']}" for one in fleet.documents.values()]
    assert known == ([] if name == "organizations" else [database])  # moto's organization has no accounts
    sent = sum(line["findings"] for line in logged + lines(capsys))
    # One is sent while KMS is silent, and another if the verdict is a different one with its answer.
    assert len(known) <= sent <= len(known) + (name == "kms")


# Enrolment.


# By dependency: the error of a run without it. Where it has none, the stream is read all the same.
ENROLMENT: Mapping[str, type[DependencyError] | None] = {
    "opensearch": None,
    "rds": FleetUnavailable,
    "lambda": ConsumersUnavailable,
    "firehose": None,
    "kinesis": None,
    "kms": None,
    "s3": None,
}


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", list(ENROLMENT))
def test_enrolment_ends_while_a_dependency_is_silent(
    enrolling: Enrolling, node: AnyNode, name: str, silence: Silence
) -> None:
    error = ENROLMENT[name]
    database = enrolling.running()
    with relay_of(name, node, enrolling.fleet) as relay:
        enrolling.configure(**settings_of(name, relay))
        silence(relay)

        if error:
            with ends_within(LIMIT_SECONDS), pytest.raises(error):
                enrolling.run(ENROLMENTS_MS[0])
        else:
            run_until(lambda: bool(enrolling.mappings()), enrolling.run, ENROLMENTS_MS)

        read = [one["EventSourceArn"] for one in enrolling.mappings()]
        assert read == ([] if error else [enrolling.stream_arn(database)])
        relay.answer_after(LATE_SECONDS)
        state = enrolling.run(PLENTY_MS)[database]["state"]
        relay.answer_after(0)
        for _ in range(NEXT_RUNS):  # a step each, or several
            if state != "watched":
                state = enrolling.run(PLENTY_MS)[database]["state"]

    assert state == "watched"
    assert len(enrolling.mappings()) == 1


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", ["cloudwatch", "sns"])
def test_watch_ends_while_a_dependency_is_silent(
    enrolling: Enrolling, node: AnyNode, name: str, silence: Silence
) -> None:
    stream = enrolling.fall_silent()
    topic = enrolling.rds.any_client("sns").create_topic(Name=enrolling.name)["TopicArn"]
    with relay_of(name, node, enrolling.fleet) as relay:
        metrics = {"AWS_ENDPOINT_URL_CLOUDWATCH": enrolling.rds.aws.url}
        enrolling.configure(ALERT_TOPIC_ARN=topic, **{**metrics, **settings_of(name, relay)})
        silence(relay)

        with ends_within(LIMIT_SECONDS):
            report = enrolling.watch(stream, seconds=AUDITS_MS[0] / 1000)

        assert report.cause
        relay.answer_after(LATE_SECONDS)
        report = enrolling.watch(stream, seconds=PLENTY_MS / 1000)

    assert (report.names, report.cause) == ({"silent": ["db:silent"]}, "")
