"""Custom::ActivityStream: streams switch themselves on, are adopted as they are, and never stop as a side effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from moto.rds.exceptions import RDSClientError

from daswatch.activity_streams.custom_resources import NOTHING_MADE
from demo.aws import REGION
from tests.fakes.cloudformation_bucket import STACK, AnswerBucket, a_request
from tests.fakes.rds import ACCOUNT, Rds
from tests.harness.setting_up import MINUTES_14, Setup

# moto says so of error codes that every AWS service has, such as AccessDenied.
pytestmark = pytest.mark.filterwarnings("ignore:.*does not match an error shape:UserWarning")


@pytest.fixture
def setup(bucket: AnswerBucket) -> Setup:
    return Setup(bucket)


# Starting


@pytest.mark.parametrize("engine", ["aurora-postgresql", "aurora-mysql", "oracle-ee", "sqlserver-ee"])
def test_a_stream_is_switched_on_and_reported(rds: Rds, setup: Setup, engine: str) -> None:
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


def test_database_by_arn_and_key_by_alias(rds: Rds, setup: Setup) -> None:
    alias = "alias/das-" + rds.key[:8]
    rds.aws.kms().create_alias(AliasName=alias, TargetKeyId=rds.key)
    name = rds.cluster()

    answer = setup.stream("Create", f"arn:aws:rds:{REGION}:{ACCOUNT}:{name}", alias)

    assert answer["Status"] == "SUCCESS"
    assert answer["Data"]["KmsKeyArn"] == rds.key_arn
    assert answer["Data"]["Note"] == ""


@pytest.mark.parametrize("status", ["started", "starting"])
def test_a_foreign_stream_is_adopted_with_its_own_key(rds: Rds, setup: Setup, status: str) -> None:
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
        (lambda rds: rds.instance("postgres", "15.2"), "runs postgres, which has no activity streams"),
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
def test_ineligible_database_is_refused_at_once(
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


def test_a_denial_that_lasts_is_reported_after_a_minute_or_two(rds: Rds, setup: Setup) -> None:
    rds.faults = [RDSClientError("AccessDenied", "not authorized to perform rds:StartActivityStream")] * 50

    answer = setup.stream("Create", rds.cluster(), rds.key)

    assert "AccessDenied: not authorized to perform rds:StartActivityStream" in answer["Reason"]
    assert 60 < setup.clock.now < 120


def test_what_rds_refuses_is_reported_in_its_own_words(rds: Rds, setup: Setup) -> None:
    answer = setup.stream("Create", rds.cluster(), "11111111-2222-4333-8444-555555555555")

    assert answer["Status"] == "FAILED"
    assert "KMSKeyNotAccessibleFault: the key 11111111" in answer["Reason"]


def test_a_start_that_rds_gives_up_fails(rds: Rds, setup: Setup) -> None:
    rds.gives_up = True

    answer = setup.stream("Create", rds.cluster(), rds.key)

    assert "RDS began to start the activity stream and gave up" in answer["Reason"]
    assert len(rds.calls) == 1


def test_slow_start_is_answered_in_time_and_adopted_later(rds: Rds, setup: Setup) -> None:
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


def test_update_without_changes_of_the_stream_succeeds(rds: Rds, setup: Setup) -> None:
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
def test_changed_key_or_mode_is_refused_and_rolls_back(rds: Rds, setup: Setup, subject: str) -> None:
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


def test_adopted_stream_stays_adopted(rds: Rds, setup: Setup) -> None:
    name, running, other = rds.cluster(), rds.aws.create_key(), rds.aws.create_key()
    rds.run_stream(name, key=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{running}")
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]

    answer = setup.stream("Update", name, other, old={"KmsKeyId": rds.key}, was=made)

    assert answer["Status"] == "SUCCESS"
    assert answer["Data"]["KmsKeyArn"].endswith(running)
    assert f"not with {other}" in answer["Data"]["Note"]


def test_update_starts_a_stopped_stream(rds: Rds, setup: Setup) -> None:
    name, other = rds.cluster(), rds.aws.create_key()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]
    rds.stream(name).statuses = ["stopped"]

    answer = setup.stream("Update", name, other, old={"KmsKeyId": rds.key}, was=made)

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", made)
    assert answer["Data"]["KmsKeyArn"].endswith(other)


def test_another_database_is_another_resource(rds: Rds, setup: Setup) -> None:
    first, second = rds.cluster(), rds.instance()
    made = setup.stream("Create", first, rds.key)["PhysicalResourceId"]

    moved = setup.stream("Update", second, rds.key, old={"Database": first}, was=made)
    left = setup.stream("Delete", first, rds.key, was=made)

    assert moved["PhysicalResourceId"] == f"das-stream-{rds.resource_id(second)}"
    assert left["Status"] == "SUCCESS"
    assert rds.stream(first).status == "started"


def test_failed_move_keeps_the_old_resource(rds: Rds, setup: Setup) -> None:
    first = rds.cluster()
    made = setup.stream("Create", first, rds.key)["PhysicalResourceId"]

    answer = setup.stream("Update", rds.cluster(instances=0), rds.key, old={"Database": first}, was=made)

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", made)


# Deletion


@pytest.mark.parametrize("more", [{}, {"OnDelete": "retain"}, {"OnDelete": "STOPP"}, {"Mode": "nonsense"}])
def test_deletion_leaves_the_stream_running_unless_requested(rds: Rds, setup: Setup, more: dict[str, str]) -> None:
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
def test_deletion_stops_the_stream_where_requested(rds: Rds, setup: Setup, renamed: bool) -> None:
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


def test_stream_that_rds_does_not_stop_is_a_failure(rds: Rds, setup: Setup) -> None:
    name = rds.cluster()
    made = setup.stream("Create", name, rds.key)["PhysicalResourceId"]
    rds.faults = [RDSClientError("AccessDenied", "not authorized to perform rds:StopActivityStream")]

    answer = setup.stream("Delete", name, rds.key, was=made, OnDelete="stop")

    assert answer["Status"] == "FAILED"
    assert "not authorized to perform rds:StopActivityStream" in answer["Reason"]
