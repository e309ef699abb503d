"""The setup function: stacks never hang, streams switch themselves on, and audit never stops as a side effect."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from moto.rds.exceptions import RDSClientError
from opensearchpy import OpenSearch

from daswatch.content import Content, Kind, LeftOut, Plan, PlannedStep, Step
from daswatch.custom_resources import ACTIVITY_STREAM, CONTENT, MAX_ANSWER_BYTES, NOTHING_MADE, Answer, Request
from daswatch.detections import dump
from daswatch.errors import AnswerUndelivered, SearchUnavailable
from daswatch.gateways import clients
from daswatch.gateways.clients import kms_client, rds_client
from daswatch.gateways.cloudformation import Answers
from daswatch.gateways.search import Deadline
from daswatch.gateways.streams import ActivityStreams
from daswatch.sigma import compile_all
from demo.aws import REGION, LocalAws
from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from setup_lambda import handler as handler_module
from setup_lambda.answer import Provider, Report, answer_request
from setup_lambda.provide import ContentProvider, StreamProvider
from tests.rds import ACCOUNT, Rds, rds_with_streams
from tests.stacks import SIGNATURE, STACK, AnswerBucket, a_request, answer_bucket
from tests.test_custom_resources import events

# moto says so of error codes that every AWS service has, such as AccessDenied.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not match an error shape:UserWarning")

MINUTES_14 = 14 * 60.0


@dataclass
class Clock:
    """Time that passes by sleeping alone."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def a_plan(created: int = 1, updated: int = 0, unchanged: int = 0) -> Plan:
    """A plan of so many steps of each sort."""
    counts = {Step.CREATE: created, Step.UPDATE: updated, Step.UNCHANGED: unchanged}
    piece = Content(Kind.MONITOR, "das-detection-any", {})
    steps = [PlannedStep(step, piece) for step, count in counts.items() for _ in range(count)]
    return Plan(tuple(steps), (LeftOut(Kind.SAVED_OBJECT, 12, "no Dashboards was named"),))


@dataclass
class Setup:
    """The function without its handler: time is ours, all else is as it is wired there."""

    bucket: AnswerBucket
    clock: Clock = field(default_factory=Clock)
    content: Callable[[], Plan] = lambda: a_plan(1, 2, 3)

    def answer(self, event: object, *, seconds: float = MINUTES_14, **providers: Provider) -> dict[str, Any]:
        """What CloudFormation is answered."""
        self.run(event, seconds, providers)
        return self.bucket.answer

    def run(self, event: object, seconds: float = MINUTES_14, more: Mapping[str, Provider] | None = None) -> Report:
        providers: dict[str, Provider] = {
            ACTIVITY_STREAM: StreamProvider(lambda: ActivityStreams(rds_client(), kms_client), self.clock.sleep),
            CONTENT: ContentProvider(self.content, self.clock.sleep),
        }
        del self.bucket.bodies[:]
        return answer_request(event, providers | dict(more or {}), Answers(self.clock.sleep), seconds, self.clock)

    def stream(
        self, kind: str, name: str, key: str, *, old: Mapping[str, str] | None = None, was: str = "", **more: str
    ) -> dict[str, Any]:
        """What is answered about a database's stream."""
        request = a_request(self.bucket.url, kind, {"Database": name, "KmsKeyId": key, **more})
        if was:
            request["PhysicalResourceId"] = was
        if old is not None:
            request["OldResourceProperties"] = {"Database": name, "KmsKeyId": key, **more, **old}
        return self.answer(request)


@pytest.fixture
def rds(aws: LocalAws, kms_key_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rds]:
    with rds_with_streams(aws, kms_key_id) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        clients._session.cache_clear()
        handler_module._streams.cache_clear()
        yield running


@pytest.fixture
def bucket() -> Iterator[AnswerBucket]:
    with answer_bucket() as running:
        yield running


@pytest.fixture
def setup(bucket: AnswerBucket) -> Setup:
    return Setup(bucket)


# Starting


@pytest.mark.parametrize("engine", ["aurora-postgresql", "aurora-mysql", "oracle-ee", "sqlserver-ee"])
def test_a_stream_is_switched_on_and_told(rds: Rds, setup: Setup, engine: str) -> None:
    name = rds.cluster(engine) if engine.startswith("aurora") else rds.instance(engine)
    resource_id = rds.resource_id(name)

    answer = setup.stream("Create", name, rds.key)

    assert answer == {
        "Status": "SUCCESS",
        "Reason": "the activity stream is started",
        "PhysicalResourceId": f"das-stream-{resource_id}",
        "StackId": STACK,
        "RequestId": "5b6f2f7e-0000-4000-8000-000000000002",
        "LogicalResourceId": "OrdersStream",
        "Data": {
            "KinesisStreamArn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/aws-rds-das-{resource_id}",
            "KinesisStreamName": f"aws-rds-das-{resource_id}",
            "KmsKeyArn": rds.key_arn,
            "ResourceId": resource_id,
            "Engine": engine,
            "Mode": "async",
            "Note": "",
        },
    }
    assert [call for call, _ in rds.calls] == ["StartActivityStream"]


def test_the_answer_comes_when_the_stream_is_started_not_before(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    rds.before, rds.meanwhile = ["stopped", "stopped"], 12

    answer = setup.stream("Create", name, rds.key)

    assert answer["Status"] == "SUCCESS"
    assert rds.stream(name).status == "started"
    assert len(rds.calls) == 1
    assert setup.clock.slept == sorted(setup.clock.slept)
    assert max(setup.clock.slept) <= 20


def test_a_second_creation_changes_nothing(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    first = setup.stream("Create", name, rds.key)

    assert setup.stream("Create", name, rds.key)["Data"] == first["Data"]
    assert len(rds.calls) == 1


@pytest.mark.parametrize(
    ("wanted", "engine", "mode"),
    [
        ("auto", "aurora-postgresql", "async"),
        ("sync", "aurora-postgresql", "sync"),
        ("async", "aurora-postgresql", "async"),
        ("auto", "aurora-mysql", "async"),
    ],
)
def test_the_mode_is_what_is_wanted_as_far_as_the_engine_has_it(
    rds: Rds, setup: Setup, wanted: str, engine: str, mode: str
) -> None:
    assert setup.stream("Create", rds.cluster(engine), rds.key, Mode=wanted)["Data"]["Mode"] == mode


def test_a_mode_that_the_engine_lacks_is_refused(rds: Rds, setup: Setup) -> None:
    answer = setup.stream("Create", rds.cluster("aurora-mysql"), rds.key, Mode="sync")

    assert answer["Status"] == "FAILED"
    assert "aurora-mysql has no mode sync here (expected: async)" in answer["Reason"]
    assert rds.calls == []


def test_native_fields_go_to_engines_that_have_them_only(rds: Rds, setup: Setup) -> None:
    setup.stream("Create", rds.instance("oracle-ee"), rds.key, EngineNativeAuditFieldsIncluded="true")
    setup.stream("Create", rds.cluster(), rds.key, EngineNativeAuditFieldsIncluded="true")

    assert [one.get("EngineNativeAuditFieldsIncluded") for one in rds.started] == [True, None]


def test_a_database_can_be_named_by_its_arn_and_a_key_by_its_alias(rds: Rds, setup: Setup) -> None:
    alias = "alias/das-" + rds.key[:8]
    rds.aws.kms().create_alias(AliasName=alias, TargetKeyId=rds.key)
    name = rds.cluster()

    answer = setup.stream("Create", f"arn:aws:rds:{REGION}:{ACCOUNT}:{name}", alias)

    assert answer["Status"] == "SUCCESS"
    assert answer["Data"]["KmsKeyArn"] == rds.key_arn
    assert answer["Data"]["Note"] == ""


@pytest.mark.parametrize("status", ["started", "starting"])
def test_a_stream_of_somebody_else_is_adopted_with_its_own_key(rds: Rds, setup: Setup, status: str) -> None:
    name, other = rds.cluster(), rds.aws.create_key()
    rds.run_stream(name, mode="sync", key=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{other}")
    if status == "starting":
        rds.stream(name).statuses = ["starting"] * 3 + ["started"]

    answer = setup.stream("Create", name, rds.key)

    assert answer["Status"] == "SUCCESS"
    assert answer["Data"]["KmsKeyArn"].endswith(other)
    assert answer["Data"]["Mode"] == "sync"
    assert f"not with {rds.key}" in answer["Data"]["Note"]
    assert "its mode is sync, not async" in answer["Reason"]
    assert rds.calls == []


def test_a_stream_that_is_stopping_starts_when_it_has_stopped(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    rds.run_stream(name)
    rds.stream(name).statuses = ["stopping"] * 3 + ["stopped"]

    assert setup.stream("Create", name, rds.key)["Status"] == "SUCCESS"
    assert rds.stream(name).status == "started"


def test_a_database_that_is_being_worked_on_is_waited_for(rds: Rds, setup: Setup) -> None:
    name = rds.cluster(status="creating")  # moto makes it available after a look

    assert setup.stream("Create", name, rds.key)["Status"] == "SUCCESS"


def test_a_database_that_became_busy_is_asked_again(rds: Rds, setup: Setup) -> None:
    rds.faults = [RDSClientError("InvalidDBClusterStateFault", "The cluster is backing up")] * 2

    assert setup.stream("Create", rds.cluster(), rds.key)["Status"] == "SUCCESS"
    assert len(rds.calls) == 3


@pytest.mark.parametrize(
    ("database", "reason"),
    [
        (lambda rds: rds.cluster(instances=0), "has no instance: add one first"),
        (
            lambda rds: rds.cluster(instance_class="db.t3.medium"),
            "RDS offers none for aurora-postgresql 15.2 on db.t3",
        ),
        (lambda rds: rds.cluster(instance_class="db.serverless"), "on db.serverless"),
        (lambda rds: rds.cluster(status="stopped"), "is stopped: start the database first"),
        (lambda rds: rds.instance("postgres", "15.2"), "RDS offers none for postgres 15.2 on db.m5.large"),
        (lambda rds: f"db:{rds.cluster().partition(':')[2]}-0", "name cluster:c-"),
        (lambda rds: "cluster:nowhere", f"there is no cluster:nowhere in {REGION}"),
        (lambda rds: "db:nowhere", f"there is no db:nowhere in {REGION}"),
        (lambda rds: "orders", "names no database"),
        (
            lambda rds: f"arn:aws:rds:us-east-1:{ACCOUNT}:{rds.cluster()}",
            "in the database's own account and region",
        ),
    ],
)
def test_what_cannot_have_a_stream_is_refused_at_once_with_the_reason(
    rds: Rds, setup: Setup, database: Callable[[Rds], str], reason: str
) -> None:
    answer = setup.stream("Create", database(rds), rds.key)

    assert answer["Status"] == "FAILED"
    assert reason in answer["Reason"]
    assert answer["PhysicalResourceId"] == NOTHING_MADE
    assert rds.calls == []
    assert setup.clock.slept == []


def test_a_policy_that_was_just_made_is_waited_for(rds: Rds, setup: Setup) -> None:
    rds.faults = [RDSClientError("AccessDenied", "not authorized to perform rds:StartActivityStream")] * 5

    assert setup.stream("Create", rds.cluster(), rds.key)["Status"] == "SUCCESS"
    assert len(rds.calls) == 6


def test_a_denial_that_lasts_is_told_after_a_minute_or_two(rds: Rds, setup: Setup) -> None:
    rds.faults = [RDSClientError("AccessDenied", "not authorized to perform rds:StartActivityStream")] * 50

    answer = setup.stream("Create", rds.cluster(), rds.key)

    assert "AccessDenied: not authorized to perform rds:StartActivityStream" in answer["Reason"]
    assert 60 < setup.clock.now < 120


def test_what_rds_refuses_is_told_in_its_own_words(rds: Rds, setup: Setup) -> None:
    answer = setup.stream("Create", rds.cluster(), "11111111-2222-4333-8444-555555555555")

    assert answer["Status"] == "FAILED"
    assert "KMSKeyNotAccessibleFault: the key 11111111" in answer["Reason"]


def test_a_start_that_rds_gives_up_fails(rds: Rds, setup: Setup) -> None:
    rds.gives_up = True

    answer = setup.stream("Create", rds.cluster(), rds.key)

    assert "RDS began to start the activity stream and gave up" in answer["Reason"]
    assert len(rds.calls) == 1


def test_a_start_that_takes_too_long_is_answered_within_the_time_and_adopted_later(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    rds.meanwhile = 200

    answer = setup.stream("Create", name, rds.key)

    assert answer["Status"] == "FAILED"
    assert "do the same again in some minutes" in answer["Reason"]
    assert MINUTES_14 - 60 < setup.clock.now < MINUTES_14
    rds.stream(name).statuses = ["started"]
    assert setup.stream("Create", name, rds.key)["Status"] == "SUCCESS"
    assert len(rds.calls) == 1


# Updates


def test_an_update_that_changes_nothing_about_the_stream_succeeds(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]

    answer = setup.stream("Update", name, rds.key, old={"OnDelete": "stop"}, was=made)

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", made)
    assert len(rds.calls) == 1


def test_another_name_of_the_same_key_is_no_change(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]

    assert setup.stream("Update", name, rds.key_arn, old={"KmsKeyId": rds.key}, was=made)["Status"] == "SUCCESS"


@pytest.mark.parametrize("subject", ["key", "mode"])
def test_another_key_or_mode_of_a_running_stream_is_refused_and_rolls_back(
    rds: Rds, setup: Setup, subject: str
) -> None:
    name, other = rds.cluster(), rds.aws.create_key()
    before = {"KmsKeyId": rds.key, "Mode": "async"}
    after = before | ({"KmsKeyId": other} if subject == "key" else {"Mode": "sync"})
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]

    def update(old: dict[str, str], new: dict[str, str]) -> dict[str, Any]:
        return setup.stream("Update", name, new["KmsKeyId"], old=old, was=made, Mode=new["Mode"])

    refused = update(before, after)
    rolled_back = update(after, before)

    assert (refused["Status"], refused["PhysicalResourceId"]) == ("FAILED", made)
    assert f"run `daswatch stream stop {name}` and then this again" in refused["Reason"]
    assert (rolled_back["Status"], rolled_back["PhysicalResourceId"]) == ("SUCCESS", made)
    assert [call for call, _ in rds.calls] == ["StartActivityStream"]


def test_native_fields_of_a_running_stream_cannot_change_either(rds: Rds, setup: Setup) -> None:
    name = rds.instance()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]

    answer = setup.stream(
        "Update",
        name,
        rds.key,
        old={"EngineNativeAuditFieldsIncluded": "false"},
        was=made,
        EngineNativeAuditFieldsIncluded="true",
    )

    assert "native audit fields are off" in answer["Reason"]


def test_an_adopted_stream_stays_adopted_whatever_the_properties_say(rds: Rds, setup: Setup) -> None:
    name, running, other = rds.cluster(), rds.aws.create_key(), rds.aws.create_key()
    rds.run_stream(name, key=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{running}")
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]

    answer = setup.stream("Update", name, other, old={"KmsKeyId": rds.key}, was=made)

    assert answer["Status"] == "SUCCESS"
    assert answer["Data"]["KmsKeyArn"].endswith(running)
    assert f"not with {other}" in answer["Data"]["Note"]


def test_an_update_starts_a_stream_that_was_stopped_with_the_new_properties(rds: Rds, setup: Setup) -> None:
    name, other = rds.cluster(), rds.aws.create_key()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]
    rds.stream(name).statuses = ["stopped"]

    answer = setup.stream("Update", name, other, old={"KmsKeyId": rds.key}, was=made)

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", made)
    assert answer["Data"]["KmsKeyArn"].endswith(other)


def test_another_database_is_another_resource_and_the_old_stream_stays(rds: Rds, setup: Setup) -> None:
    first, second = rds.cluster(), rds.instance()
    made = setup.stream("Create", first, rds.key)["PhysicalResourceId"]

    moved = setup.stream("Update", second, rds.key, old={"Database": first}, was=made)
    left = setup.stream("Delete", first, rds.key, was=made)

    assert moved["PhysicalResourceId"] == f"das-stream-{rds.resource_id(second)}"
    assert left["Status"] == "SUCCESS"
    assert rds.stream(first).status == "started"


def test_a_failed_move_to_another_database_keeps_the_old_resource(rds: Rds, setup: Setup) -> None:
    first = rds.cluster()
    made = setup.stream("Create", first, rds.key)["PhysicalResourceId"]

    answer = setup.stream("Update", rds.cluster(instances=0), rds.key, old={"Database": first}, was=made)

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", made)


# Deletion


@pytest.mark.parametrize("more", [{}, {"OnDelete": "retain"}, {"OnDelete": "STOPP"}, {"Mode": "nonsense"}])
def test_deletion_leaves_the_stream_running_unless_told(rds: Rds, setup: Setup, more: dict[str, str]) -> None:
    name = rds.cluster()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]

    properties = {"Database": name, "KmsKeyId": rds.key, **more}
    answer = setup.answer(a_request(setup.bucket.url, "Delete", properties, PhysicalResourceId=made))

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", made)
    assert rds.stream(name).status == "started"
    assert [call for call, _ in rds.calls] == ["StartActivityStream"]


def test_retaining_asks_nothing_of_aws(setup: Setup) -> None:
    answer = setup.stream("Delete", "cluster:orders", "key", was="das-stream-cluster-A")  # there is no AWS here at all

    assert answer["Status"] == "SUCCESS"


@pytest.mark.parametrize("renamed", [False, True])
def test_deletion_stops_the_stream_where_it_is_told_so(rds: Rds, setup: Setup, renamed: bool) -> None:
    name = rds.cluster()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]
    now = rds.rename(name) if renamed else name
    another = rds.cluster()
    rds.run_stream(another)

    for _ in range(2):
        assert setup.stream("Delete", name, rds.key, was=made, OnDelete="stop")["Status"] == "SUCCESS"
        assert rds.stream(now).status == "stopped"
    assert [call for call, _ in rds.calls] == ["StartActivityStream", "StopActivityStream"]
    assert rds.stream(another).status == "started"


def test_deletion_of_a_stream_whose_database_is_gone_succeeds(rds: Rds, setup: Setup) -> None:
    for was in ("das-stream-cluster-GONE", "das-stream-db-GONE"):
        answer = setup.stream("Delete", "cluster:gone", rds.key, was=was, OnDelete="stop")
        assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", was)


@pytest.mark.parametrize("was", [NOTHING_MADE, "", "something-else"])
def test_deletion_of_what_never_was_made_stops_nothing(rds: Rds, setup: Setup, was: str) -> None:
    name = rds.cluster()
    rds.run_stream(name)

    answer = setup.stream("Delete", name, rds.key, was=was, OnDelete="stop")

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", was or NOTHING_MADE)
    assert rds.calls == []


def test_deletion_after_a_failed_creation_succeeds(rds: Rds, setup: Setup) -> None:
    name = rds.cluster("aurora-mysql")
    failed = setup.stream("Create", name, rds.key, Mode="sync")

    answer = setup.stream("Delete", name, rds.key, was=failed["PhysicalResourceId"], Mode="sync", OnDelete="stop")

    assert answer["Status"] == "SUCCESS"


def test_a_stream_that_is_still_stopping_holds_no_stack(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]
    rds.meanwhile = 200

    answer = setup.stream("Delete", name, rds.key, was=made, OnDelete="stop")

    assert (answer["Status"], answer["Reason"]) == ("SUCCESS", "the activity stream is stopping")


def test_a_stream_that_rds_does_not_stop_is_not_said_to_be_stopped(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]
    rds.faults = [RDSClientError("AccessDenied", "not authorized to perform rds:StopActivityStream")]

    answer = setup.stream("Delete", name, rds.key, was=made, OnDelete="stop")

    assert answer["Status"] == "FAILED"
    assert "not authorized to perform rds:StopActivityStream" in answer["Reason"]


# Content


def a_content_request(bucket: AnswerBucket, kind: str = "Create", **more: Any) -> dict[str, Any]:
    return a_request(bucket.url, kind, {"Version": "1"}, resource_type=CONTENT, **more)


def test_content_is_installed_and_counted(setup: Setup, bucket: AnswerBucket) -> None:
    for kind in ("Create", "Update"):
        answer = setup.answer(a_content_request(bucket, kind, PhysicalResourceId="das-content"))

        assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "das-content")
        assert answer["Data"] == {"Created": "1", "Updated": "2", "Unchanged": "3"}
        assert "12 of kind saved object are left out: no Dashboards was named" in answer["Reason"]


def test_deletion_of_content_touches_nothing(setup: Setup, bucket: AnswerBucket) -> None:
    def install() -> Plan:
        raise AssertionError("nothing is to be asked or written")

    setup.content = install

    answer = setup.answer(a_content_request(bucket, "Delete", PhysicalResourceId="das-content"))

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "das-content")


def failing(times: int, status: int) -> Callable[[], Plan]:
    left = [SearchUnavailable(f"OpenSearch answered {status}", status)] * times

    def install() -> Plan:
        if left:
            raise left.pop()
        return a_plan()

    return install


@pytest.mark.parametrize("status", [0, 403, 503])
def test_a_domain_that_was_just_made_is_waited_for(setup: Setup, bucket: AnswerBucket, status: int) -> None:
    setup.content = failing(6, status)

    assert setup.answer(a_content_request(bucket))["Status"] == "SUCCESS"
    assert len(setup.clock.slept) == 6


def test_a_domain_that_keeps_refusing_is_not_waited_for_forever(setup: Setup, bucket: AnswerBucket) -> None:
    setup.content = failing(1000, 403)

    answer = setup.answer(a_content_request(bucket))

    assert (answer["Status"], answer["Reason"]) == ("FAILED", "OpenSearch answered 403")
    assert 200 < setup.clock.now <= 300


def test_what_waiting_does_not_mend_is_not_waited_for(setup: Setup, bucket: AnswerBucket) -> None:
    setup.content = failing(1, 400)

    assert setup.answer(a_content_request(bucket))["Status"] == "FAILED"
    assert setup.clock.slept == []


# Always one answer


def test_an_unknown_type_is_refused_and_its_deletion_succeeds(setup: Setup, bucket: AnswerBucket) -> None:
    refused = setup.answer(a_request(bucket.url, resource_type="Custom::Other"))
    deleted = setup.answer(a_request(bucket.url, "Delete", resource_type="Custom::Other", PhysicalResourceId="x"))

    assert refused["Status"] == "FAILED"
    assert "expected: Custom::ActivityStream, Custom::Content" in refused["Reason"]
    assert (deleted["Status"], deleted["PhysicalResourceId"]) == ("SUCCESS", "x")


def test_an_unexpected_error_is_answered_without_its_text_and_located_in_the_log(
    setup: Setup, bucket: AnswerBucket
) -> None:
    def broken(request: Request, deadline: Deadline) -> Answer:
        raise KeyError("a secret in an error")

    report = setup.run(a_content_request(bucket), more={CONTENT: broken})

    assert bucket.answer["Reason"] == "unexpected KeyError: the log of the function says where"
    assert "test_setup_function.py" in report.where
    assert "secret" not in report.where


def test_a_provider_that_hangs_is_given_up_in_time_to_answer(bucket: AnswerBucket) -> None:
    release = threading.Event()

    def hanging(request: Request, deadline: Deadline) -> Answer:
        release.wait(30)
        return Answer(succeeded=True, physical_id="late")

    begun = time.monotonic()
    try:
        answer_request(a_content_request(bucket), {CONTENT: hanging}, Answers(), 2.0, time.monotonic)
    finally:
        release.set()

    assert time.monotonic() - begun < 2.0
    assert bucket.answer["Status"] == "FAILED"
    assert "the time of the function is over" in bucket.answer["Reason"]


def test_a_bucket_that_fails_for_a_while_gets_the_answer_once(setup: Setup, bucket: AnswerBucket) -> None:
    bucket.statuses = [500, 503, 503]

    report = setup.run(a_content_request(bucket))

    assert report.attempts == 4
    assert bucket.answer["Status"] == "SUCCESS"
    assert bucket.content_types == [""]
    assert SIGNATURE in bucket.paths[0]


@pytest.mark.parametrize(("statuses", "attempts"), [([503] * 9, 5), ([403], 1)])
def test_an_answer_that_nobody_takes_fails_the_invocation_without_telling_the_url(
    setup: Setup, bucket: AnswerBucket, statuses: list[int], attempts: int
) -> None:
    bucket.statuses = statuses

    with pytest.raises(AnswerUndelivered) as caught:
        setup.run(a_content_request(bucket))

    assert bucket.attempts == attempts
    assert SIGNATURE not in str(caught.value)


@pytest.mark.parametrize("url", ["", "ftp://example.com/x", "https://[", "http://127.0.0.1:1/x?" + SIGNATURE])
def test_where_there_is_nobody_to_answer_the_invocation_fails(setup: Setup, url: str) -> None:
    with pytest.raises(AnswerUndelivered) as caught:
        setup.run(a_request(url, resource_type=CONTENT))

    assert SIGNATURE not in "".join(map(str, (caught.value, caught.value.__cause__, caught.value.__context__)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(event=events)
def test_whatever_the_request_holds_there_is_exactly_one_answer(bucket: AnswerBucket, event: object) -> None:
    fields: dict[str, Any] = dict(event) if isinstance(event, Mapping) else {"RequestType": event}
    providers: dict[str, Provider] = {
        ACTIVITY_STREAM: StreamProvider(lambda: ActivityStreams(rds_client(), kms_client), lambda _: None),
        CONTENT: ContentProvider(a_plan),
    }
    for resource_type in (*providers, fields.get("ResourceType")):
        del bucket.bodies[:]
        request = {**fields, "ResourceType": resource_type, "ResponseURL": bucket.url}
        answer_request(request, providers, Answers(), 10.0, time.monotonic)

        assert len(bucket.bodies) == 1
        assert len(bucket.bodies[0]) <= MAX_ANSWER_BYTES
        assert json.loads(bucket.bodies[0])["Status"] in ("SUCCESS", "FAILED")


# As Lambda runs it


def test_the_handler_switches_a_stream_on_and_tells_one_line_without_the_url(
    rds: Rds, bucket: AnswerBucket, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    rds.meanwhile = 1

    handler_module.handler(
        a_request(bucket.url, properties={"Database": rds.cluster(), "KmsKeyId": rds.key}), InvocationContext()
    )

    out, err = capfd.readouterr()
    (line,) = out.splitlines()
    assert bucket.answer["Status"] == "SUCCESS"
    told = json.loads(line)
    assert (told["message"], told["resource_type"], told["ResourcesProvided"]) == ("provided", ACTIVITY_STREAM, [1.0])
    assert err == ""
    for text in (out, caplog.text):
        assert SIGNATURE not in text
        assert bucket.url not in text


@pytest.mark.node
def test_the_handler_installs_content_once_and_keeps_what_it_replaces(
    node: AnyNode, aws: LocalAws, bucket: AnswerBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "t" + secrets.token_hex(6)
    (tmp_path / "detections.json").write_bytes(dump(compile_all()[:3]))
    settings = {
        "OPENSEARCH_ENDPOINT": node.url,
        "OPENSEARCH_AUTH": "none",
        "INDEX_PREFIX": name,
        "DETECTIONS": str(tmp_path / "detections.json"),
        "BACKUP_BUCKET": aws.create_bucket(f"{name}-backups"),
        **aws.environment,
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    clients._session.cache_clear()

    def counts(kind: str) -> list[int]:
        del bucket.bodies[:]
        handler_module.handler(a_content_request(bucket, kind), InvocationContext())
        assert bucket.answer["Status"] == "SUCCESS", bucket.answer["Reason"]
        return [int(bucket.answer["Data"][what]) for what in ("Created", "Updated", "Unchanged")]

    def backups() -> list[str]:
        listed = aws.s3().list_objects_v2(Bucket=settings["BACKUP_BUCKET"])
        return [one["Key"] for one in listed.get("Contents", [])]

    client = OpenSearch(node.url)
    counts("Create")
    created, updated, unchanged = counts("Update")
    assert (created, updated) == (0, 0)
    assert unchanged > 5
    assert backups() == []

    (template,) = client.transport.perform_request("GET", f"/_index_template/{name}")["index_templates"]
    changed = {**template["index_template"], "priority": 321}
    client.transport.perform_request("PUT", f"/_index_template/{name}", body=changed)
    assert counts("Update") == [0, 1, unchanged - 1]
    (key,) = backups()
    assert key.startswith("backups/2")
    kept = json.loads(aws.s3().get_object(Bucket=settings["BACKUP_BUCKET"], Key=key)["Body"].read())
    assert "321" in json.dumps(kept)
    client.close()


def test_missing_settings_are_all_named_in_the_answer(bucket: AnswerBucket, capsys: pytest.CaptureFixture[str]) -> None:
    handler_module.handler(a_content_request(bucket), InvocationContext())

    assert bucket.answer["Status"] == "FAILED"
    for name in ("OPENSEARCH_ENDPOINT", "BACKUP_BUCKET"):
        assert name in bucket.answer["Reason"]
    assert json.loads(capsys.readouterr().out)["level"] == "ERROR"


def test_a_secret_that_is_not_there_is_told(
    aws: LocalAws, bucket: AnswerBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "OPENSEARCH_ENDPOINT": "https://search.example.com",
        "OPENSEARCH_AUTH": "basic",
        "OPENSEARCH_SECRET_ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:nowhere-abcdef",
        "BACKUP_BUCKET": "backups",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws.url,
        **aws.environment,
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    clients._session.cache_clear()

    handler_module.handler(a_content_request(bucket), InvocationContext())

    told = "Secrets Manager GetSecretValue of OPENSEARCH_SECRET_ARN: ResourceNotFoundException"
    assert bucket.answer["Reason"] == told


@pytest.mark.parametrize("event", [None, {}, [], {"RequestType": "Create"}])
def test_without_a_url_the_handler_fails_so_that_somebody_looks(event: Any) -> None:
    with pytest.raises(AnswerUndelivered, match="no ResponseURL"):
        handler_module.handler(event, InvocationContext())
