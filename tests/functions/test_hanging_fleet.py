"""The posture and the enrolment function while one of their dependencies does not answer.

As in `test_hanging.py`, a silence has no end: the limit separates a bounded wait from an endless one, not a fast
machine from a slow one.
"""

from __future__ import annotations

from collections.abc import Mapping
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

REMAINING_MS = 8_000
ENROL_MS = 20_000  # a run makes several calls before it comes to its steps
LIMIT_SECONDS = 300.0
LATE_SECONDS = 1.5
PLENTY_MS = 60_000
NEXT_RUNS = 5


def relay_of(name: str, node: AnyNode, fleet: Fleet) -> Relay:
    """A relay before a dependency."""
    return Relay(node.url if name == "opensearch" else fleet.rds.aws.url)


def settings_of(name: str, relay: Relay) -> dict[str, str]:
    return {"OPENSEARCH_ENDPOINT" if name == "opensearch" else f"AWS_ENDPOINT_URL_{name.upper()}": relay.url}


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
# By dependency: what the log has of a run without it, where the database is known all the same.
KNOWN_WITHOUT = {"kms": {"findings_unsent": 0}, "securityhub": {"findings_unsent": 1}}


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

        with ends_within(LIMIT_SECONDS):
            if error:
                with pytest.raises(error):
                    audit(REMAINING_MS)
            else:
                audit(REMAINING_MS)

        logged = lines(capsys)
        if name in KNOWN_WITHOUT:
            assert logged[0] == {**logged[0], **KNOWN_WITHOUT[name], "databases": 1}
        else:
            assert fleet.documents == {}
        relay.answer_after(LATE_SECONDS)
        for _ in range(NEXT_RUNS):  # a slow machine may not do all of it in one
            audit(PLENTY_MS)

    known = [f"cluster:{one['databaseIdentifier']}" for one in fleet.documents.values()]
    assert known == ([] if name == "organizations" else [database])  # moto's organization has no accounts
    assert sum(line["findings"] for line in logged + lines(capsys)) == len(known)


# Enrolment.


# By dependency: the error of a run without it, for those that end it, and whether the stream is read all the same.
ENROLMENT: Mapping[str, tuple[type[DependencyError] | None, bool]] = {
    "opensearch": (None, True),
    "rds": (FleetUnavailable, False),
    "lambda": (ConsumersUnavailable, False),
    "firehose": (None, True),
    "kinesis": (None, True),
    "kms": (None, True),
    "s3": (None, True),
}


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", list(ENROLMENT))
def test_enrolment_ends_while_a_dependency_is_silent(
    enrolling: Enrolling, node: AnyNode, name: str, silence: Silence
) -> None:
    error, is_read = ENROLMENT[name]
    database = enrolling.running()
    with relay_of(name, node, enrolling.fleet) as relay:
        enrolling.configure(**settings_of(name, relay))
        silence(relay)

        with ends_within(LIMIT_SECONDS):
            if error:
                with pytest.raises(error):
                    enrolling.run(ENROL_MS)
            else:
                enrolling.run(ENROL_MS)

        assert [one["EventSourceArn"] for one in enrolling.mappings()] == [enrolling.stream_arn(database)] * is_read
        relay.answer_after(LATE_SECONDS)
        states = [enrolling.run(PLENTY_MS)[database]["state"] for _ in range(NEXT_RUNS)]

    assert states[-1] == "watched"
    assert len(enrolling.mappings()) == 1


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", ["cloudwatch", "sns"])
def test_watch_ends_while_a_dependency_is_silent(
    enrolling: Enrolling, node: AnyNode, name: str, silence: Silence
) -> None:
    stream = enrolling.fall_silent()
    topic = enrolling.rds.any_client("sns").create_topic(Name=enrolling.name)["TopicArn"]
    with relay_of(name, node, enrolling.fleet) as relay:
        enrolling.configure(ALERT_TOPIC_ARN=topic, **settings_of(name, relay))
        silence(relay)

        with ends_within(LIMIT_SECONDS):
            report = enrolling.watch(stream, seconds=REMAINING_MS / 1000)

        assert report.cause
        relay.answer_after(LATE_SECONDS)
        report = enrolling.watch(stream, seconds=PLENTY_MS / 1000)

    assert (report.names, report.cause) == ({"silent": ["db:silent"]}, "")
