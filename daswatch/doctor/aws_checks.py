"""What was looked up of a deployment in AWS -> checks, each with its verdict, the reason, and what to mend.

`daswatch.aws.deployment` looks, `daswatch.commands.doctor` shows. What is at the OpenSearch endpoint is judged by
`daswatch.doctor.endpoint_checks`, in the same words. The functions here know neither AWS nor a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from daswatch.activity_streams.lifecycle import RdsDatabase, Status, WantedMode
from daswatch.doctor.deployment import ACTIVITY_STREAM, Lookup, LookupFailed, Resource, Stack, WatchedDatabase

if TYPE_CHECKING:
    from types_boto3_cloudwatch.type_defs import MetricAlarmTypeDef
    from types_boto3_firehose.type_defs import DeliveryStreamDescriptionTypeDef
    from types_boto3_kinesis.type_defs import StreamDescriptionSummaryTypeDef
    from types_boto3_kms.type_defs import KeyMetadataTypeDef
    from types_boto3_lambda.type_defs import (
        EventSourceMappingConfigurationResponseTypeDef,
        FunctionConfigurationResponseTypeDef,
    )
    from types_boto3_sns.type_defs import SubscriptionTypeDef

# What the template sets of each mapping, by Lambda's names; tests hold the two together.
MAPPING_SETTINGS: Mapping[str, Any] = {
    "BatchSize": 200,
    "MaximumBatchingWindowInSeconds": 5,
    "ParallelizationFactor": 2,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": -1,  # by age alone
    "MaximumRecordAgeInSeconds": 82800,
}
_UNKNOWN_SINCE = timedelta(hours=1)  # an alarm that has too little to judge by
# CloudFormation compares the template with what it made, and not with what is there now.
_BY_HAND = "docs/deploy.md, Drift, restores it (`make deploy` alone detects no change)"


class CheckStatus(StrEnum):
    """What comes of a check."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"  # it could not be looked at
    BROKEN = "broken"


class Subject(StrEnum):
    """What a check is about, in the order in which causes come before their consequences."""

    STACK = "stack"
    FUNCTIONS = "functions"
    STREAMS = "activity streams"
    READING = "reading"
    SEARCH = "OpenSearch"
    CONTENT = "content"
    DATA = "data"
    FINDINGS = "findings"
    EVIDENCE = "evidence"
    ALARMS = "alarms and topics"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `mend` says what to do, and is empty where all is well."""

    subject: Subject
    name: str
    verdict: CheckStatus
    reason: str
    mend: str = ""


def ok(subject: Subject, name: str, reason: str) -> Check:
    """All is well."""
    return Check(subject, name, CheckStatus.OK, reason)


def warning(subject: Subject, name: str, reason: str, mend: str) -> Check:
    """It works, and somebody should look."""
    return Check(subject, name, CheckStatus.WARNING, reason, mend)


def broken(subject: Subject, name: str, reason: str, mend: str) -> Check:
    """Something is not watched, not told or not kept."""
    return Check(subject, name, CheckStatus.BROKEN, reason, mend)


def unknown(subject: Subject, name: str, seen: LookupFailed, where_absent: str = "") -> Check:
    """Of a look-up that failed. What is not there is broken, where `where_absent` says how to mend that."""
    if seen.absent and where_absent:
        return broken(subject, name, f"it is not there: {seen.why}", where_absent)
    if seen.denied:
        mend = f"allow {seen.permission} to whoever runs this, or ask somebody who may"
        return Check(subject, name, CheckStatus.UNKNOWN, f"could not be looked at: {seen.permission} is missing", mend)
    reason = f"could not be looked at: {seen.permission}: {seen.why}"
    return Check(subject, name, CheckStatus.UNKNOWN, reason, seen.next_step or "try again")


def worst_first(checks: Iterable[Check]) -> list[Check]:
    """What is not well, the gravest first; among these causes before consequences."""
    order = list(Subject)
    grave = [CheckStatus.BROKEN, CheckStatus.WARNING, CheckStatus.UNKNOWN]
    found = (one for one in checks if one.verdict is not CheckStatus.OK)
    return sorted(found, key=lambda one: (grave.index(one.verdict), order.index(one.subject)))


def in_words(seconds: float) -> str:
    """A span of time as people say it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


# The stack and its functions.


def stack_checks(name: str, region: str, seen: Lookup[Stack]) -> list[Check]:
    """Whether the stack is as it should be, and has a part for each database that it was told."""
    if isinstance(seen, LookupFailed):
        where = f"deploy it (docs/deploy.md), or name it with --stack; this looks in {region}"
        return [unknown(Subject.STACK, name, seen, where)]
    return [_stack_status(seen), *(_failed_resource(one) for one in seen.resources if _failed(one)), *_parts(seen)]


def _stack_status(stack: Stack) -> Check:
    status, why = stack.status, f": {stack.reason}" if stack.reason else ""
    if status.endswith("_IN_PROGRESS"):
        return warning(Subject.STACK, stack.name, f"{status}: it is being changed", "look again when it is done")
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
        return ok(Subject.STACK, stack.name, status)
    if status == "UPDATE_ROLLBACK_COMPLETE":
        mend = f"aws cloudformation describe-stack-events --stack-name {stack.name} says why; mend that, deploy again"
        return warning(Subject.STACK, stack.name, f"the last update was taken back, what was before runs{why}", mend)
    if status == "UPDATE_ROLLBACK_FAILED":
        mend = f"aws cloudformation continue-update-rollback --stack-name {stack.name}"
    else:
        mend = f"delete the stack (data stays), mend what its events tell, deploy again: it is {status}"
    return broken(Subject.STACK, stack.name, f"{status}{why}", mend)


def _failed(one: Resource) -> bool:
    return one.status.endswith("_FAILED")


def _failed_resource(one: Resource) -> Check:
    mend = "mend what the reason says, then deploy again"
    return broken(Subject.STACK, one.name, f"{one.status}: {one.reason or 'no reason is told'}", mend)


def _parts(stack: Stack) -> list[Check]:
    """Databases without a stream of their own in the stack."""
    if not stack.databases:
        mend = "this is no stack of Daswatch: name another one with --stack"
        return [broken(Subject.STACK, "Databases", "the stack names no databases", mend)]
    if any(one.type == ACTIVITY_STREAM and _failed(one) for one in stack.resources):
        return []  # told already
    mend = "`make deploy` with the stack's name makes it"
    missing = [one.name for one in stack.databases if not one.resource_id]
    return [broken(Subject.STACK, name, "the stack has no activity stream for it", mend) for name in missing]


def function_check(resource: Resource, seen: Lookup[FunctionConfigurationResponseTypeDef], architecture: str) -> Check:
    """Whether a function is there as it was deployed."""
    name = resource.physical_id
    if isinstance(seen, LookupFailed):
        return unknown(Subject.FUNCTIONS, name, seen, "somebody deleted it: " + _BY_HAND)
    status, state = seen.get("LastUpdateStatus", ""), seen.get("State", "")
    if status == "Failed" or state == "Failed":
        why = seen.get("LastUpdateStatusReason") or seen.get("StateReason") or "no reason is told"
        return broken(
            Subject.FUNCTIONS, name, f"its last update failed: {why}", "mend what the reason says, deploy again"
        )
    if status == "InProgress" or state == "Pending":
        return warning(Subject.FUNCTIONS, name, "it is being updated", "look again in a minute")
    found = (seen.get("Architectures") or ["x86_64"])[0]
    if architecture and found != architecture:
        reason = f"it is set to {found}, and the stack deploys code for {architecture}"
        return broken(Subject.FUNCTIONS, name, reason, _BY_HAND)
    return ok(
        Subject.FUNCTIONS, name, f"{seen.get('Runtime', '')} on {found}, updated {seen.get('LastModified', '')[:16]}"
    )


# A database: its stream, its key, and who reads it.


def stream_checks(
    watched: WatchedDatabase,
    database: Lookup[RdsDatabase | None],
    kinesis: Lookup[StreamDescriptionSummaryTypeDef] | None,
    key: Lookup[KeyMetadataTypeDef] | None,
    wanted: Mapping[str, str],
) -> list[Check]:
    """Of one database. `kinesis` and `key` are None where there is no stream; `wanted` has the stack's parameters."""
    if isinstance(database, LookupFailed):
        return [unknown(Subject.STREAMS, watched.name, database)]
    if database is None:
        mend = f"take {watched.name} out of Databases and deploy, or correct its name"
        return [broken(Subject.STREAMS, watched.name, "the database is gone", mend)]
    checks = [_stream(watched, database, wanted)]
    if kinesis is not None:
        checks.append(_kinesis(watched, kinesis))
    if key is not None:
        checks.append(_key(watched, database, key))
    return checks


def _stream(watched: WatchedDatabase, database: RdsDatabase, wanted: Mapping[str, str]) -> Check:
    stream, name = database.stream, watched.name
    match stream.status:
        case Status.STARTING:
            return warning(Subject.STREAMS, name, "the activity stream is starting", "look again in some minutes")
        case Status.STOPPED | Status.STOPPING:
            key = wanted.get("ActivityStreamKeyArn") or "KEY"
            mend = f"`daswatch stream start {database.name} --kms-key {key}`; CloudTrail tells who stopped it"
            return broken(Subject.STREAMS, name, f"the activity stream is {stream.status}: nothing is audited", mend)
    mode = wanted.get("StreamMode", WantedMode.AUTO)
    if mode != WantedMode.AUTO and stream.mode and stream.mode != mode:
        reason = (
            f"it runs in mode {stream.mode}, and the stack wants {mode}: it was there before, and was left as it is"
        )
        mend = (
            f"set StreamMode={stream.mode}, or `daswatch stream stop {database.name}` in a quiet hour and deploy again"
        )
        return warning(Subject.STREAMS, name, reason, mend)
    return ok(Subject.STREAMS, name, f"started, {stream.mode or 'mode unknown'}, database {database.status}")


def _kinesis(watched: WatchedDatabase, seen: Lookup[StreamDescriptionSummaryTypeDef]) -> Check:
    name = f"{watched.name}, Kinesis stream"
    if isinstance(seen, LookupFailed):
        mend = f"`daswatch stream stop {watched.name}` and start it again: RDS makes a new one"
        return unknown(Subject.STREAMS, name, seen, mend)
    status = seen["StreamStatus"]
    if status == "DELETING":
        mend = "RDS deletes it when the activity stream stops: see who stopped it, and start it again"
        return broken(Subject.STREAMS, name, "it is being deleted", mend)
    if status == "CREATING":
        return warning(Subject.STREAMS, name, "RDS is making it", "look again in some minutes")
    if seen["RetentionPeriodHours"] < 24:
        mend = "raise it to 24 hours: what nobody reads in time is lost"
        return broken(Subject.STREAMS, name, f"it keeps records for {seen['RetentionPeriodHours']} hours", mend)
    # What it costs depends on its mode. RDS scales it: UPDATING is as good as ACTIVE.
    mode = seen.get("StreamModeDetails", {}).get("StreamMode", "mode unknown").lower().replace("_", "-")
    return ok(Subject.STREAMS, name, f"{status}, {mode}, {seen.get('OpenShardCount', '?')} shards")


def _key(watched: WatchedDatabase, database: RdsDatabase, seen: Lookup[KeyMetadataTypeDef]) -> Check:
    name, key_id = f"{watched.name}, key", database.stream.kms_key_id
    if isinstance(seen, LookupFailed):
        mend = "without it nothing is read: stop the activity stream and start it with another key"
        return unknown(Subject.STREAMS, name, seen, mend)
    state = seen.get("KeyState", "")
    if state == "PendingDeletion":
        mend = f"at once: aws kms cancel-key-deletion --key-id {key_id}, then aws kms enable-key --key-id {key_id}"
        when = f" on {seen['DeletionDate']:%Y-%m-%d}" if "DeletionDate" in seen else ""
        return broken(Subject.STREAMS, name, f"it will be deleted{when}, and all evidence is unreadable then", mend)
    if not seen.get("Enabled", False):
        mend = f"aws kms enable-key --key-id {key_id}; CloudTrail tells who disabled it"
        return broken(Subject.STREAMS, name, f"it is {state or 'disabled'}: no record can be opened", mend)
    return ok(Subject.STREAMS, name, f"enabled, …{key_id[-12:]}")


def mapping_check(watched: WatchedDatabase, seen: Lookup[EventSourceMappingConfigurationResponseTypeDef]) -> Check:
    """Whether Lambda reads the stream, with what success, and by the template's settings."""
    if isinstance(seen, LookupFailed):
        return unknown(Subject.READING, watched.name, seen, "somebody deleted the mapping: " + _BY_HAND)
    state, result = seen.get("State", ""), seen.get("LastProcessingResult", "")
    if state in ("Disabled", "Disabling"):
        mend = f"aws lambda update-event-source-mapping --uuid {watched.mapping} --enabled"
        return broken(
            Subject.READING, watched.name, f"the mapping is {state}: nothing is read, 24 hours are kept", mend
        )
    if state not in ("Enabled", "Updating"):
        return warning(Subject.READING, watched.name, f"the mapping is {state}", "look again in a minute")
    if result.startswith("PROBLEM"):
        mend = "the log of the ingest function says why; the checks of OpenSearch below, too"
        return broken(Subject.READING, watched.name, f"its last batch failed: {result}", mend)
    if changed := _changed_settings(seen):
        return warning(Subject.READING, watched.name, f"somebody changed the mapping: {'; '.join(changed)}", _BY_HAND)
    return ok(Subject.READING, watched.name, f"{state}, {result or 'no batch yet'}")


def _changed_settings(seen: Mapping[str, Any]) -> list[str]:
    changed = [
        f"{name} is {seen.get(name)}, not {value}"
        for name, value in MAPPING_SETTINGS.items()
        if seen.get(name) != value
    ]
    destination = (seen.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination", "")
    return changed if destination else [*changed, "what Lambda gives up goes nowhere (no OnFailure destination)"]


# What is kept, who is told.


def evidence_check(watched: WatchedDatabase, seen: Lookup[DeliveryStreamDescriptionTypeDef]) -> Check:
    """Whether the ciphertext goes to S3."""
    if isinstance(seen, LookupFailed):
        return unknown(Subject.EVIDENCE, watched.name, seen, "somebody deleted the Firehose: " + _BY_HAND)
    status = seen["DeliveryStreamStatus"]
    if status == "CREATING":
        return warning(Subject.EVIDENCE, watched.name, "the Firehose is being made", "look again in a minute")
    if status != "ACTIVE":
        why = seen.get("FailureDescription", {}).get("Details", "")
        reason = f"the Firehose is {status}{': ' if why else ''}{why}: no evidence is kept"
        return broken(Subject.EVIDENCE, watched.name, reason, "mend what the reason says, then deploy again")
    return ok(Subject.EVIDENCE, watched.name, "the Firehose is ACTIVE")


def topic_check(name: str, seen: Lookup[list[SubscriptionTypeDef]]) -> Check:
    """Whether somebody hears of what a topic tells."""
    if isinstance(seen, LookupFailed):
        return unknown(Subject.ALARMS, name, seen, "somebody deleted the topic: " + _BY_HAND)
    if not seen:
        mend = "set AlertEmail and deploy, or subscribe a chat or pager to the topic"
        return warning(Subject.ALARMS, name, "nobody is subscribed", mend)
    waiting = [one.get("Endpoint", "") for one in seen if one.get("SubscriptionArn") == "PendingConfirmation"]
    if waiting:
        mend = "open the mail of AWS Notifications and confirm; after three days deploy again for a new one"
        return warning(Subject.ALARMS, name, f"{', '.join(waiting)} has not confirmed the subscription", mend)
    kinds = sorted({one.get("Protocol", "") for one in seen})
    return ok(Subject.ALARMS, name, f"{len(seen)} subscribed ({', '.join(kinds)})")


def alarm_checks(wanted: Sequence[Resource], seen: Lookup[list[MetricAlarmTypeDef]], now: datetime) -> list[Check]:
    """Which alarms ring, which cannot, and whether all are there."""
    name = f"{len(wanted)} alarms"
    if isinstance(seen, LookupFailed):
        return [unknown(Subject.ALARMS, name, seen)]
    checks = []
    for one in sorted(seen, key=lambda alarm: alarm["AlarmName"]):
        since = now - one["StateUpdatedTimestamp"] if "StateUpdatedTimestamp" in one else timedelta()
        if one["StateValue"] == "ALARM":
            told = one.get("AlarmDescription") or one.get("StateReason", "")
            reason = f"ALARM for {in_words(since.total_seconds())}: {told}"
            checks.append(broken(Subject.ALARMS, one["AlarmName"], reason, "docs/deploy.md, Alarms, says what to do"))
        elif one["StateValue"] == "INSUFFICIENT_DATA" and since > _UNKNOWN_SINCE:
            reason = f"INSUFFICIENT_DATA for {in_words(since.total_seconds())}"
            mend = "see that the metric is written: the alarm cannot tell anything now"
            checks.append(warning(Subject.ALARMS, one["AlarmName"], reason, mend))
        elif not one.get("ActionsEnabled", True):
            mend = f"aws cloudwatch enable-alarm-actions --alarm-names {one['AlarmName']}"
            checks.append(warning(Subject.ALARMS, one["AlarmName"], "its actions are off: it tells nobody", mend))
    there = {one["AlarmName"] for one in seen}
    gone = sorted(one.physical_id for one in wanted if one.physical_id not in there)
    checks += [broken(Subject.ALARMS, one, "somebody deleted the alarm", _BY_HAND) for one in gone]
    return checks or [ok(Subject.ALARMS, name, "all quiet")]


def hub_check(seen: Lookup[str]) -> Check:
    """Whether Security Hub takes findings here."""
    name = "Security Hub"
    if isinstance(seen, LookupFailed):
        mend = "aws securityhub enable-security-hub, or deploy with SecurityHub=false"
        return unknown(Subject.FINDINGS, name, seen, mend)
    return ok(Subject.FINDINGS, name, f"enabled since {seen[:10]}" if seen else "enabled")
