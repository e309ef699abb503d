"""The doctor's checks: those that pass, and each problem with its fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daswatch.activity_streams.lifecycle import ActivityStream, DatabaseKind, DatabaseName, RdsDatabase, Status
from daswatch.content.model import Content, ContentKind, LeftOut, Operation, Plan, PlannedStep
from daswatch.content.sizing import GIB
from daswatch.doctor import aws_checks, endpoint_checks
from daswatch.doctor.aws_checks import Check, CheckStatus, Subject
from daswatch.doctor.deployment import ALARM, LookupFailed, Resource, Stack, WatchedDatabase
from daswatch.doctor.endpoint_checks import EndpointRefusal, InstancePulse, RecentEvents, RunnerProgress, Shards
from daswatch.enrolment.consumers import MAPPING_SETTINGS

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEY = "arn:aws:kms:eu-west-1:123456789012:key/0c1d2e3f-4a5b-4c6d-8e7f-901234567890"
RESOURCE = "cluster-A1B2C3D4"
ORDERS = WatchedDatabase("cluster:orders", RESOURCE, "0a1b2c3d-mapping", "daswatch-Evidence")
DENIED = LookupFailed("kms:DescribeKey", "User is not authorized to perform: kms:DescribeKey", denied=True)
GONE = LookupFailed("kms:DescribeKey", "there is no such thing", absent=True)

STREAM = ActivityStream(Status.STARTED, "async", KEY, f"aws-rds-das-{RESOURCE}")
DATABASE = RdsDatabase(
    name=DatabaseName(DatabaseKind.CLUSTER, "orders", "eu-west-1", "123456789012"),
    arn="arn:aws:rds:eu-west-1:123456789012:cluster:orders",
    resource_id=RESOURCE,
    engine="aurora-postgresql",
    engine_version="16.4",
    status="available",
    stream=STREAM,
)
FIREHOSE: Any = {"DeliveryStreamStatus": "ACTIVE"}
KINESIS: Any = {"StreamStatus": "ACTIVE", "RetentionPeriodHours": 24, "OpenShardCount": 1}
KEY_METADATA: Any = {"KeyId": "0c1d2e3f", "Enabled": True, "KeyState": "Enabled"}
PARAMETERS = {"Databases": "cluster:orders", "StreamMode": "async", "Architecture": "arm64"}
STACK = Stack(
    "daswatch",
    "UPDATE_COMPLETE",
    parameters=PARAMETERS,
    resources=(Resource("EnrolFunction", "AWS::Lambda::Function", "daswatch-enrol"),),
)
MAPPING: Any = {
    **MAPPING_SETTINGS,
    "State": "Enabled",
    "LastProcessingResult": "OK",
    "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::letters"}},
}
FUNCTION: Any = {
    "State": "Active",
    "LastUpdateStatus": "Successful",
    "Architectures": ["arm64"],
    "Runtime": "python3.13",
    "LastModified": "2026-11-25T09:00:00.000+0000",
}
INGEST = Resource("IngestFunction", "AWS::Lambda::Function", "daswatch-ingest")
ALARMS = [Resource("DeadLettersAlarm", ALARM, "daswatch-DeadLetters"), Resource("SilentX", ALARM, "daswatch-Silent-x")]
QUIET: Any = {
    "AlarmName": "daswatch-DeadLetters",
    "StateValue": "OK",
    "StateUpdatedTimestamp": NOW - timedelta(days=1),
    "AlarmDescription": "Records can never be indexed",
    "ActionsEnabled": True,
}
ALSO_QUIET: Any = {**QUIET, "AlarmName": "daswatch-Silent-x"}
MAIL: Any = {"Protocol": "email", "Endpoint": "security@example.com", "SubscriptionArn": "arn:aws:sns:…"}
HEARD = InstancePulse(RESOURCE, "orders-1", NOW - timedelta(seconds=15))
RUNNER = RunnerProgress(NOW - timedelta(minutes=1))


def planned(kind: ContentKind, name: str, step: Operation) -> PlannedStep:
    return PlannedStep(step, Content(kind, name, {}))


def streams(**changes: Any) -> list[Check]:
    """The checks of a database whose stream, Kinesis stream or key is otherwise."""
    given = {"database": DATABASE, "kinesis": KINESIS, "key": KEY_METADATA, "wanted": PARAMETERS, **changes}
    return aws_checks.stream_checks(ORDERS, **given)


def stopped(status: Status = Status.STOPPED) -> RdsDatabase:
    return replace(DATABASE, stream=ActivityStream(status))


FINE = {
    "the stack": aws_checks.stack_checks("daswatch", "eu-west-1", STACK),
    "a function": [aws_checks.function_check(INGEST, FUNCTION, "arm64")],
    "a database": streams(),
    "a Kinesis stream that RDS scales": streams(kinesis={**KINESIS, "StreamStatus": "UPDATING"}),
    "any mode, where that was wanted": streams(wanted={"StreamMode": "auto"}),
    "a mapping": [aws_checks.mapping_check(ORDERS, MAPPING)],
    "evidence": [aws_checks.evidence_check(ORDERS, FIREHOSE)],
    "a topic": [aws_checks.topic_check("alert topic", [MAIL])],
    "alarms": aws_checks.alarm_checks(ALARMS, [QUIET, ALSO_QUIET], NOW),
    "Security Hub": [aws_checks.hub_check("2026-01-02T03:04:05Z")],
    "content": endpoint_checks.content_checks(
        Plan(
            (planned(ContentKind.INDEX_TEMPLATE, "das-events", Operation.UNCHANGED),),
            (LeftOut(ContentKind.MONITOR, 25, "no plugin"),),
        )
    ),
    "pulse": endpoint_checks.pulse_checks([ORDERS], [HEARD], NOW),
    "events": endpoint_checks.arrival_checks(RecentEvents(NOW, 12, {"heartbeat": 7}), NOW),
    "no dead letters": [endpoint_checks.dead_letter_check({}, "das-dead-letters")],
    "saved queries": endpoint_checks.runner_checks(RUNNER, NOW),
    "shards": endpoint_checks.shard_checks(Shards("das-events-2026.11.24", 40 * GIB, 800, 32 * GIB)),
    "no shard yesterday": endpoint_checks.shard_checks(Shards("", 0, 12, GIB)),
}


@pytest.mark.parametrize("name", FINE)
def test_passed_check_has_no_fix(name: str) -> None:
    checks = FINE[name]

    assert checks
    assert {one.status for one in checks} == {CheckStatus.OK}
    assert not any(one.fix for one in checks)
    assert aws_checks.worst_first(checks) == []


def stack(**changes: Any) -> list[Check]:
    return aws_checks.stack_checks("daswatch", "eu-west-1", replace(STACK, **changes))


def mapping(**changes: Any) -> list[Check]:
    changed: Any = {**MAPPING, **changes}
    return [aws_checks.mapping_check(ORDERS, changed)]


def function(**changes: Any) -> list[Check]:
    changed: Any = {**FUNCTION, **changes}
    return [aws_checks.function_check(INGEST, changed, "arm64")]


def refused(status: int, message: str = "no", kind: str = "", *, in_vpc: bool = False) -> list[Check]:
    return [
        endpoint_checks.refused(Subject.SEARCH, "https://search", EndpointRefusal(status, message, kind), in_vpc=in_vpc)
    ]


def heard(minutes: float, instance: str = "orders-1") -> InstancePulse:
    return InstancePulse(RESOURCE, instance, NOW - timedelta(minutes=minutes))


def content(*steps: PlannedStep) -> list[Check]:
    return endpoint_checks.content_checks(Plan(steps))


def alarm(**changes: Any) -> list[Check]:
    changed: Any = {**QUIET, **changes}
    return aws_checks.alarm_checks(ALARMS[:1], [changed], NOW)


BROKEN, WARNING, UNKNOWN = CheckStatus.BROKEN, CheckStatus.WARNING, CheckStatus.UNKNOWN
NO_STREAM = tuple(one for one in STACK.resources if one.type != "Custom::ActivityStream")
FAILED = (*STACK.resources, Resource("Content", "Custom::Content", "", "UPDATE_FAILED", "OpenSearch answered 403"))
FOREVER = {"StateValue": "INSUFFICIENT_DATA", "StateUpdatedTimestamp": NOW - timedelta(hours=2)}
PENDING: Any = {**MAIL, "SubscriptionArn": "PendingConfirmation"}
GIVEN_UP: Any = {"DeliveryStreamStatus": "CREATING_FAILED", "FailureDescription": {"Details": "no grant"}}

# what is wrong -> the checks, the status, a part of the reason, a part of the fix
WRONG: Mapping[str, tuple[list[Check], CheckStatus, str, str]] = {
    "no stack": (aws_checks.stack_checks("daswatch", "eu-west-1", GONE), BROKEN, "does not exist", "--stack"),
    "a stack that may not be read": (aws_checks.stack_checks("x", "eu-west-1", DENIED), UNKNOWN, "missing", "allow"),
    "a stack that changes": (stack(status="UPDATE_IN_PROGRESS"), WARNING, "being changed", "run this again"),
    "an update rolled back": (
        stack(status="UPDATE_ROLLBACK_COMPLETE"),
        WARNING,
        "rolled back",
        "describe-stack-events",
    ),
    "an update stuck": (stack(status="UPDATE_ROLLBACK_FAILED"), BROKEN, "FAILED", "continue-update-rollback"),
    "a stack that never was": (stack(status="ROLLBACK_COMPLETE"), BROKEN, "ROLLBACK", "delete the stack"),
    "a failed resource": (stack(resources=FAILED), BROKEN, "answered 403", "deploy again"),
    "another stack": (stack(resources=()), BROKEN, "no enrolment function", "--stack"),
    "no function": ([aws_checks.function_check(INGEST, GONE, "arm64")], BROKEN, "does not exist", "Drift"),
    "a failed update": (
        function(LastUpdateStatus="Failed", LastUpdateStatusReason="key"),
        BROKEN,
        "key",
        "deploy again",
    ),
    "a function being updated": (function(LastUpdateStatus="InProgress"), WARNING, "being updated", "run this again"),
    "another processor": (function(Architectures=["x86_64"]), BROKEN, "arm64", "Drift"),
    "a stream stopped": (
        streams(database=stopped(), kinesis=None, key=None),
        BROKEN,
        "stopped",
        "daswatch stream start",
    ),
    "a stream stopping": (streams(database=stopped(Status.STOPPING)), BROKEN, "stopping", "daswatch stream start"),
    "a stream starting": (streams(database=stopped(Status.STARTING)), WARNING, "starting", "run this again"),
    "another mode": (streams(wanted={"StreamMode": "sync"}), WARNING, "async", "StreamMode=async"),
    "no Kinesis stream": (streams(kinesis=GONE), BROKEN, "does not exist", "daswatch stream stop"),
    "a Kinesis stream going": (
        streams(kinesis={**KINESIS, "StreamStatus": "DELETING"}),
        BROKEN,
        "deleted",
        "stopped it",
    ),
    "a Kinesis stream coming": (
        streams(kinesis={**KINESIS, "StreamStatus": "CREATING"}),
        WARNING,
        "creating",
        "run this again",
    ),
    "a short memory": (streams(kinesis={**KINESIS, "RetentionPeriodHours": 1}), BROKEN, "1 hours", "24 hours"),
    "no key": (streams(key=GONE), BROKEN, "does not exist", "another key"),
    "a key that may not be read": (streams(key=DENIED), UNKNOWN, "kms:DescribeKey is missing", "allow kms:DescribeKey"),
    "a key disabled": (
        streams(key={**KEY_METADATA, "Enabled": False, "KeyState": "Disabled"}),
        BROKEN,
        "Disabled",
        f"aws kms enable-key --key-id {KEY}",
    ),
    "a key to be deleted": (
        streams(key={**KEY_METADATA, "Enabled": False, "KeyState": "PendingDeletion", "DeletionDate": NOW}),
        BROKEN,
        "2026-11-25",
        "cancel-key-deletion",
    ),
    "no mapping": ([aws_checks.mapping_check(ORDERS, GONE)], BROKEN, "does not exist", "daswatch enrol"),
    "a mapping disabled": (mapping(State="Disabled"), BROKEN, "nothing is read", "--uuid 0a1b2c3d-mapping --enabled"),
    "a mapping coming": (mapping(State="Creating"), WARNING, "Creating", "run this again"),
    "a batch that fails": (mapping(LastProcessingResult="PROBLEM: Function call failed"), BROKEN, "PROBLEM", "log"),
    "a setting changed": (
        mapping(MaximumRetryAttempts=10),
        WARNING,
        "MaximumRetryAttempts is 10, not -1",
        "daswatch enrol",
    ),
    "nowhere to give up to": (mapping(DestinationConfig={}), WARNING, "OnFailure", "daswatch enrol"),
    "no evidence": ([aws_checks.evidence_check(ORDERS, GONE)], BROKEN, "does not exist", "daswatch enrol"),
    "evidence that failed": (
        [aws_checks.evidence_check(ORDERS, GIVEN_UP)],
        BROKEN,
        "no grant",
        "enrolment creates it again",
    ),
    "no subscription": ([aws_checks.topic_check("alert topic", [])], WARNING, "no subscription", "AlertEmail"),
    "a mail not confirmed": ([aws_checks.topic_check("t", [PENDING])], WARNING, "security@example.com", "confirm"),
    "no topic": ([aws_checks.topic_check("t", GONE)], BROKEN, "does not exist", "Drift"),
    "an alarm": (alarm(StateValue="ALARM"), BROKEN, "Records can never be indexed", "docs/deploy.md, Alarms"),
    "an alarm without data": (alarm(**FOREVER), WARNING, "INSUFFICIENT_DATA for 2 h", "metric"),
    "an alarm without actions": (alarm(ActionsEnabled=False), WARNING, "notifies no one", "enable-alarm-actions"),
    "an alarm gone": (
        aws_checks.alarm_checks(ALARMS, [QUIET], NOW),
        BROKEN,
        "the alarm was deleted",
        "Drift",
    ),
    "no Security Hub": ([aws_checks.hub_check(GONE)], BROKEN, "does not exist", "enable-security-hub"),
    "no answer": (refused(0, "ConnectionError"), BROKEN, "ConnectionError", "inside only"),
    "no answer from a VPC": (refused(0, in_vpc=True), UNKNOWN, "VPC", "inside the VPC"),
    "unknown credentials": (refused(401), BROKEN, "401", "OPENSEARCH_AUTH=basic"),
    "no role mapped": (refused(403, kind="security_exception"), UNKNOWN, "fine-grained", "Mapped users"),
    "no access policy": (refused(403, "User: x is not authorized"), UNKNOWN, "not authorized", "access policy"),
    "an overloaded node": (refused(429), BROKEN, "429", "overloaded"),
    "another server": (refused(404, "OpenSearch answered 404"), BROKEN, "404", "without a path"),
    "a template missing": (
        content(planned(ContentKind.INDEX_TEMPLATE, "das-events", Operation.CREATE)),
        BROKEN,
        "1 missing: das-events",
        "daswatch setup",
    ),
    "a dashboard changed": (
        content(*(planned(ContentKind.SAVED_OBJECT, f"dashboard/{n}", Operation.UPDATE) for n in range(7))),
        WARNING,
        "7 changed: dashboard/0, dashboard/1, dashboard/2, dashboard/3, dashboard/4 and 2 more",
        "daswatch setup",
    ),
    "never heard": (endpoint_checks.pulse_checks([ORDERS], [], NOW), BROKEN, "no record of it", "mapping"),
    "silent": (endpoint_checks.pulse_checks([ORDERS], [heard(9)], NOW), BROKEN, "silent for 9 min", "iterator age"),
    "one instance silent": (
        endpoint_checks.pulse_checks([ORDERS], [HEARD, heard(180, "orders-2")], NOW),
        WARNING,
        "orders-2 for 3 h",
        "stopped or removed",
    ),
    "no event ever": (endpoint_checks.arrival_checks(RecentEvents(), NOW), WARNING, "none has ever", "run a statement"),
    "no event for long": (
        endpoint_checks.arrival_checks(RecentEvents(NOW - timedelta(days=3)), NOW),
        WARNING,
        "3 days ago",
        "EXCLUDED_USERS",
    ),
    "all dropped": (
        endpoint_checks.arrival_checks(RecentEvents(NOW, 0, {"aws user": 1200}), NOW),
        WARNING,
        "1,200 aws user, and no event was kept",
        "names too many",
    ),
    "dead letters": (
        [endpoint_checks.dead_letter_check({"not-decryptable": 1, "not-json": 3}, "das-dead-letters")],
        WARNING,
        "3 not-json, 1 not-decryptable",
        "was the key replaced?; open das-dead-letters",
    ),
    "a large shard": (
        endpoint_checks.shard_checks(Shards("das-events-2026.11.24", 51 * GIB, 800, 32 * GIB)),
        WARNING,
        "one of das-events-2026.11.24 had 51.0 GiB, more than 50",
        "more primary shards",
    ),
    "many shards": (
        endpoint_checks.shard_checks(Shards("das-events-2026.11.24", GIB, 801, 32 * GIB)),
        WARNING,
        "801, with 32.0 GiB of heap in the data nodes: AWS advises 800 at most",
        "a shorter retention",
    ),
    "no run ever": (endpoint_checks.runner_checks(None, NOW), BROKEN, "never run", "each-minute"),
    "no run for long": (
        endpoint_checks.runner_checks(RunnerProgress(NOW - timedelta(hours=4)), NOW),
        BROKEN,
        "4 h ago",
        "log of the findings function",
    ),
    "a query behind": (
        endpoint_checks.runner_checks(RunnerProgress(NOW, {"mass-read": NOW - timedelta(hours=1)}), NOW),
        WARNING,
        "mass-read since 2026-11-25 11:00",
        "backtest",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_problem_is_reported_with_its_fix(name: str) -> None:
    checks, status, reason, fix = WRONG[name]

    worst = aws_checks.worst_first(checks)[0]

    assert worst.status is status
    assert reason in worst.reason
    assert fix in worst.fix


def test_severe_problems_and_causes_come_first() -> None:
    checks = [
        aws_checks.broken(Subject.DATA, "pulse", "silent", "…"),
        aws_checks.warning(Subject.STACK, "stack", "changing", "…"),
        aws_checks.broken(Subject.STREAMS, "key", "disabled", "…"),
        aws_checks.ok(Subject.FUNCTIONS, "ingest", "fine"),
    ]

    assert [one.name for one in aws_checks.worst_first(checks)] == ["key", "pulse", "stack"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (15, "15 s"), (200, "3 min"), (7200, "2 h"), (200_000, "2 days")]
)
def test_spans_of_time_are_shown_in_words(seconds: float, words: str) -> None:
    assert aws_checks.in_words(seconds) == words


@pytest.mark.parametrize(
    ("details", "message"),
    [({"StreamMode": "PROVISIONED"}, "provisioned"), ({"StreamMode": "ON_DEMAND"}, "on-demand"), ({}, "mode unknown")],
)
def test_kinesis_mode_is_shown(details: Mapping[str, str], message: str) -> None:
    _, kinesis, _ = streams(kinesis={**KINESIS, "StreamModeDetails": details})

    assert kinesis.reason == f"ACTIVE, {message}, 1 shards"
