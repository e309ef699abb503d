"""Look-ups of a deployment in AWS -> checks, each with its status, the reason, and the fix.

`daswatch.aws.deployment_lookup` looks up, `daswatch.commands.doctor` shows. `daswatch.doctor.endpoint_checks` does the
same for the OpenSearch endpoint. The functions here know neither AWS nor a clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from daswatch.activity_streams.lifecycle import RdsDatabase, Status, WantedMode
from daswatch.doctor.deployment import Lookup, LookupFailed, Resource, Stack, WatchedDatabase
from daswatch.enrolment.consumers import MAPPING_SETTINGS
from daswatch.enrolment.plan import Enrolment, State
from daswatch.enrolment.record import is_whole, name_of
from daswatch.fleet.database import KeyState

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

_EVIDENCE_BEGIN = "docs/deploy.md, How the evidence begins; what is not yet written follows by itself"
_EVIDENCE_GAP = "OpenSearch has the events of that time; CloudTrail says who deleted the delivery"
_UNKNOWN_SINCE = timedelta(hours=1)  # an alarm that has too little to judge by
# CloudFormation compares templates with one another, not with what exists.
ENROL_FUNCTION = "EnrolFunction"  # by its name in the template
_ENROLS = "enrolment restores it within five minutes; `daswatch enrol` does now"
_RESTORE = "docs/deploy.md, Drift, restores it (`make deploy` alone sees no change)"


class CheckStatus(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"  # it could not be checked
    BROKEN = "broken"


class Subject(StrEnum):
    """What a check is about; causes come before their consequences."""

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
    """The check of one thing; `fix` is empty if nothing is wrong."""

    subject: Subject
    name: str
    status: CheckStatus
    reason: str
    fix: str = ""


def ok(subject: Subject, name: str, reason: str) -> Check:
    """A check that passed."""
    return Check(subject, name, CheckStatus.OK, reason)


def warning(subject: Subject, name: str, reason: str, fix: str) -> Check:
    """A check of something that works and needs attention."""
    return Check(subject, name, CheckStatus.WARNING, reason, fix)


def broken(subject: Subject, name: str, reason: str, fix: str) -> Check:
    """A check that failed: events are not read, not stored or not reported."""
    return Check(subject, name, CheckStatus.BROKEN, reason, fix)


def unknown(subject: Subject, name: str, seen: LookupFailed, where_absent: str = "") -> Check:
    """A check whose look-up failed. What does not exist is broken, if `where_absent` says how to fix that."""
    if seen.absent and where_absent:
        return broken(subject, name, f"it does not exist: {seen.why}", where_absent)
    if seen.denied:
        fix = f"allow {seen.permission} to your role, or run this with another"
        return Check(subject, name, CheckStatus.UNKNOWN, f"could not be checked: {seen.permission} is missing", fix)
    reason = f"could not be checked: {seen.permission}: {seen.why}"
    return Check(subject, name, CheckStatus.UNKNOWN, reason, seen.next_step or "try again")


def worst_first(checks: Iterable[Check]) -> list[Check]:
    """Return the checks that did not pass, the most severe first; among these, causes before consequences."""
    order = list(Subject)
    severity = [CheckStatus.BROKEN, CheckStatus.WARNING, CheckStatus.UNKNOWN]
    found = (check for check in checks if check.status is not CheckStatus.OK)
    return sorted(found, key=lambda check: (severity.index(check.status), order.index(check.subject)))


def in_words(seconds: float) -> str:
    """Return a duration in its largest fitting unit."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


# The stack and its functions.


def stack_checks(name: str, region: str, seen: Lookup[Stack]) -> list[Check]:
    """Check the stack's status, and that of each of its resources."""
    if isinstance(seen, LookupFailed):
        where = f"deploy it (docs/deploy.md), or name it with --stack; this checks {region}"
        return [unknown(Subject.STACK, name, seen, where)]
    checks = [_stack_status(seen), *(_failed_resource(one) for one in seen.resources if _failed(one))]
    if not seen.named(ENROL_FUNCTION):
        fix = "name another one with --stack, or deploy this release (docs/deploy.md, Upgrade)"
        checks.append(broken(Subject.STACK, name, "it has no enrolment function: it is no stack of this release", fix))
    return checks


def _stack_status(stack: Stack) -> Check:
    status, why = stack.status, f": {stack.reason}" if stack.reason else ""
    if status.endswith("_IN_PROGRESS"):
        return warning(Subject.STACK, stack.name, f"{status}: it is being changed", "run this again when it is done")
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
        return ok(Subject.STACK, stack.name, status)
    if status == "UPDATE_ROLLBACK_COMPLETE":
        fix = f"aws cloudformation describe-stack-events --stack-name {stack.name} says why; fix that, deploy again"
        return warning(Subject.STACK, stack.name, f"the last update was rolled back{why}", fix)
    if status == "UPDATE_ROLLBACK_FAILED":
        fix = f"aws cloudformation continue-update-rollback --stack-name {stack.name}"
    else:
        fix = f"delete the stack (data stays), fix the cause in its events, deploy again: it is {status}"
    return broken(Subject.STACK, stack.name, f"{status}{why}", fix)


def _failed(one: Resource) -> bool:
    return one.status.endswith("_FAILED")


def _failed_resource(one: Resource) -> Check:
    fix = "fix what the reason says, then deploy again"
    return broken(Subject.STACK, one.name, f"{one.status}: {one.reason or 'no reason given'}", fix)


def function_check(resource: Resource, seen: Lookup[FunctionConfigurationResponseTypeDef], architecture: str) -> Check:
    """Check that a function exists as it was deployed."""
    name = resource.physical_id
    if isinstance(seen, LookupFailed):
        return unknown(Subject.FUNCTIONS, name, seen, "it was deleted: " + _RESTORE)
    status, state = seen.get("LastUpdateStatus", ""), seen.get("State", "")
    if status == "Failed" or state == "Failed":
        why = seen.get("LastUpdateStatusReason") or seen.get("StateReason") or "no reason given"
        return broken(
            Subject.FUNCTIONS, name, f"its last update failed: {why}", "fix what the reason says, deploy again"
        )
    if status == "InProgress" or state == "Pending":
        return warning(Subject.FUNCTIONS, name, "it is being updated", "run this again in a minute")
    found = (seen.get("Architectures") or ["x86_64"])[0]
    if architecture and found != architecture:
        reason = f"it is set to {found}, and the stack deploys code for {architecture}"
        return broken(Subject.FUNCTIONS, name, reason, _RESTORE)
    return ok(
        Subject.FUNCTIONS, name, f"{seen.get('Runtime', '')} on {found}, updated {seen.get('LastModified', '')[:16]}"
    )


# A database: its enrolment, its stream, its key, and its mapping.


def enrolment_checks(enrolments: Sequence[Enrolment], on: Collection[str]) -> list[Check]:
    """Check that each selected database is watched, or on its way. Those that are `on` have checks of their own."""
    checks = [check for one in enrolments if one.resource_id not in on and (check := _enrolment(one))]
    if not any(one.selected_by for one in enrolments):
        fix = "name databases, a tag or all in the parameter Databases and deploy"
        checks.append(broken(Subject.STREAMS, "Databases", "no database is selected: nothing is watched", fix))
    passed: Counter[State] = Counter(
        one.state for one in enrolments if one.state in (State.EXCEPTED, State.NOT_ELIGIBLE)
    )
    passed[State.NOT_SELECTED] = sum(one.state is State.NOT_SELECTED for one in enrolments)
    words = ", ".join(f"{count} {state}" for state, count in passed.items() if count)
    return [*checks, ok(Subject.STREAMS, "other databases", words)] if words else checks


def _enrolment(one: Enrolment) -> Check | None:
    match one.state:
        case State.FAILED:
            return broken(Subject.STREAMS, one.name, one.reason, "do what the reason says; enrolment goes on by itself")
        case State.GONE if not one.stream_arn:
            fix = "correct it in the parameter Databases, or take it out, and deploy"
            return broken(Subject.STREAMS, one.name, one.reason, fix)
        case State.GONE:
            return warning(Subject.STREAMS, one.name, one.reason, "nothing: enrolment removes what read it")
        case State.IN_PROGRESS:
            fix = "enrolment takes the next step within five minutes; `daswatch enrol` takes it now"
            return warning(Subject.STREAMS, one.name, one.reason, fix)
    return None


def not_closely(count: int) -> Check:
    """Of a large fleet, some are looked at by lists alone."""
    reason = f"the Kinesis and delivery streams of {count:,} more databases were not described one by one"
    return ok(Subject.STREAMS, "more databases", reason)


def settings_check(problem: str) -> Check:
    """The enrolment function's settings cannot be read."""
    return broken(Subject.STREAMS, "enrolment", problem, _RESTORE)


def moved_checks(documents: Iterable[Mapping[str, Any]]) -> list[Check]:
    """Say which names are another database's than before, by the documents of the inventory."""
    return [
        ok(
            Subject.STREAMS,
            f"{one['databaseKind']}:{one['databaseIdentifier']}, name",
            f"it moved from {one['replaces']} to {one['resourceId']}, first seen {one['firstSeen'][:16]} (blue/green "
            f"switchover, restore or rename); its activity stream is {one['streamStatus']}",
        )
        for one in documents
        if one.get("replaces") and "goneSince" not in one
    ]


def remembered_checks(documents: Iterable[Mapping[str, Any]]) -> list[Check]:
    """Check what the enrolment function could not do, as it noted it itself."""
    documents = list(documents)
    fix = "do what the reason says; enrolment goes on by itself"
    checks = [
        broken(Subject.STREAMS, f"{name_of(one)}, enrolment", f"{one['reason']} (since {one['since'][:16]})", fix)
        for one in documents
        if one.get("state") == State.FAILED
    ]
    begins = [(f"{name_of(one)}, begin", one["evidenceStart"]) for one in documents if one.get("evidenceStart")]
    for name, words in begins:
        if not is_whole(words):
            checks.append(warning(Subject.EVIDENCE, name, f"its first records: {words}", _EVIDENCE_BEGIN))
    for one in documents:
        if gaps := one.get("evidenceGaps"):
            why = f"its evidence delivery was deleted and created again: from {', '.join(gaps)}, records may be missing"
            checks.append(warning(Subject.EVIDENCE, f"{name_of(one)}, gap", why, _EVIDENCE_GAP))
    if whole := sum(is_whole(words) for _, words in begins):
        checks.append(ok(Subject.EVIDENCE, "begin", f"{whole} databases from their first record"))
    return checks


def stream_checks(
    watched: WatchedDatabase,
    database: RdsDatabase,
    kinesis: Lookup[StreamDescriptionSummaryTypeDef] | None,
    key: Lookup[KeyMetadataTypeDef] | None,
    wanted: Mapping[str, str],
) -> list[Check]:
    """Check one database. `kinesis` and `key` are None without a stream; `wanted` has the stack's parameters."""
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
            return warning(Subject.STREAMS, name, "the activity stream is starting", "run this again in some minutes")
        case Status.STOPPED | Status.STOPPING:
            key = wanted.get("ActivityStreamKeyArn") or "KEY"
            fix = f"`daswatch stream start {database.name} --kms-key {key}`; CloudTrail has who stopped it"
            return broken(Subject.STREAMS, name, f"the activity stream is {stream.status}: nothing is audited", fix)
    mode = wanted.get("StreamMode", WantedMode.AUTO)
    if mode != WantedMode.AUTO and stream.mode and stream.mode != mode:
        reason = f"it runs in mode {stream.mode}, and the stack wants {mode}: it existed before, and was not changed"
        fix = (
            f"set StreamMode={stream.mode}, or `daswatch stream stop {database.name}` in a quiet hour and deploy again"
        )
        return warning(Subject.STREAMS, name, reason, fix)
    return ok(Subject.STREAMS, name, f"started, {stream.mode or 'mode unknown'}, database {database.status}")


def _kinesis(watched: WatchedDatabase, seen: Lookup[StreamDescriptionSummaryTypeDef]) -> Check:
    name = f"{watched.name}, Kinesis stream"
    if isinstance(seen, LookupFailed):
        fix = f"`daswatch stream stop {watched.name}` and start it again: RDS creates a new one"
        return unknown(Subject.STREAMS, name, seen, fix)
    status = seen["StreamStatus"]
    if status == "DELETING":
        fix = "RDS deletes it when the activity stream stops: see who stopped it, and start it again"
        return broken(Subject.STREAMS, name, "it is being deleted", fix)
    if status == "CREATING":
        return warning(Subject.STREAMS, name, "RDS is creating it", "run this again in some minutes")
    if seen["RetentionPeriodHours"] < 24:
        fix = "raise it to 24 hours: what is not read in time is lost"
        return broken(Subject.STREAMS, name, f"it keeps records for {seen['RetentionPeriodHours']} hours", fix)
    # Its cost depends on its mode. RDS scales it: UPDATING is as good as ACTIVE.
    mode = seen.get("StreamModeDetails", {}).get("StreamMode", "mode unknown").lower().replace("_", "-")
    return ok(Subject.STREAMS, name, f"{status}, {mode}, {seen.get('OpenShardCount', '?')} shards")


def _key(watched: WatchedDatabase, database: RdsDatabase, seen: Lookup[KeyMetadataTypeDef]) -> Check:
    name, key_id = f"{watched.name}, key", database.stream.kms_key_id
    if isinstance(seen, LookupFailed):
        fix = "without it nothing is read: stop the activity stream and start it with another key"
        return unknown(Subject.STREAMS, name, seen, fix)
    state = seen.get("KeyState", "")
    if state == KeyState.PENDING_DELETION:
        fix = f"at once: aws kms cancel-key-deletion --key-id {key_id}, then aws kms enable-key --key-id {key_id}"
        when = f" on {seen['DeletionDate']:%Y-%m-%d}" if "DeletionDate" in seen else ""
        return broken(Subject.STREAMS, name, f"it will be deleted{when}, and all evidence becomes unreadable", fix)
    if not seen.get("Enabled", False):
        fix = f"aws kms enable-key --key-id {key_id}; CloudTrail has who disabled it"
        return broken(Subject.STREAMS, name, f"it is {state or 'disabled'}: no record can be decrypted", fix)
    return ok(Subject.STREAMS, name, f"enabled, …{key_id[-12:]}")


def mapping_check(watched: WatchedDatabase, seen: Lookup[EventSourceMappingConfigurationResponseTypeDef]) -> Check:
    """Check that Lambda reads the stream, successfully and with the template's settings."""
    if isinstance(seen, LookupFailed):
        return unknown(Subject.READING, watched.name, seen, _ENROLS)
    state, result = seen.get("State", ""), seen.get("LastProcessingResult", "")
    if state in ("Disabled", "Disabling"):
        fix = f"aws lambda update-event-source-mapping --uuid {watched.mapping} --enabled"
        return broken(Subject.READING, watched.name, f"the mapping is {state}: nothing is read, 24 hours are kept", fix)
    if state not in ("Enabled", "Updating"):
        return warning(Subject.READING, watched.name, f"the mapping is {state}", "run this again in a minute")
    if result.startswith("PROBLEM"):
        fix = "the log of the ingest function says why; the checks of OpenSearch below, too"
        return broken(Subject.READING, watched.name, f"its last batch failed: {result}", fix)
    if changed := _changed_settings(seen):
        return warning(Subject.READING, watched.name, f"the mapping was changed: {'; '.join(changed)}", _ENROLS)
    return ok(Subject.READING, watched.name, f"{state}, {result or 'no batch yet'}")


def _changed_settings(seen: Mapping[str, Any]) -> list[str]:
    changed = [
        f"{name} is {seen.get(name)}, not {value}"
        for name, value in MAPPING_SETTINGS.items()
        if seen.get(name) != value
    ]
    destination = (seen.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination", "")
    return changed if destination else [*changed, "failed records are not kept (no OnFailure destination)"]


# Evidence, alarms and findings.


def evidence_check(watched: WatchedDatabase, seen: Lookup[DeliveryStreamDescriptionTypeDef]) -> Check:
    """Check that the ciphertext is delivered to S3."""
    if isinstance(seen, LookupFailed):
        return unknown(Subject.EVIDENCE, watched.name, seen, _ENROLS)
    status = seen["DeliveryStreamStatus"]
    if status == "CREATING":
        return warning(Subject.EVIDENCE, watched.name, "the Firehose is being created", "run this again in a minute")
    if status != "ACTIVE":
        why = seen.get("FailureDescription", {}).get("Details", "")
        reason = f"the Firehose is {status}{': ' if why else ''}{why}: no evidence is kept"
        return broken(Subject.EVIDENCE, watched.name, reason, "fix what the reason says: enrolment creates it again")
    return ok(Subject.EVIDENCE, watched.name, "the Firehose is ACTIVE")


def topic_check(name: str, seen: Lookup[list[SubscriptionTypeDef]]) -> Check:
    """Check that a topic has confirmed subscriptions."""
    if isinstance(seen, LookupFailed):
        return unknown(Subject.ALARMS, name, seen, "the topic was deleted: " + _RESTORE)
    if not seen:
        fix = "set AlertEmail and deploy, or subscribe a chat or pager to the topic"
        return warning(Subject.ALARMS, name, "it has no subscription", fix)
    waiting = [one.get("Endpoint", "") for one in seen if one.get("SubscriptionArn") == "PendingConfirmation"]
    if waiting:
        fix = "open the mail of AWS Notifications and confirm; after three days deploy again for a new one"
        return warning(Subject.ALARMS, name, f"{', '.join(waiting)} has not confirmed the subscription", fix)
    kinds = sorted({one.get("Protocol", "") for one in seen})
    return ok(Subject.ALARMS, name, f"{len(seen)} subscribed ({', '.join(kinds)})")


def alarm_checks(wanted: Sequence[Resource], seen: Lookup[list[MetricAlarmTypeDef]], now: datetime) -> list[Check]:
    """Check which alarms are in ALARM, which cannot be, and that all exist."""
    name = f"{len(wanted)} alarms"
    if isinstance(seen, LookupFailed):
        return [unknown(Subject.ALARMS, name, seen)]
    checks = []
    for one in sorted(seen, key=lambda alarm: alarm["AlarmName"]):
        since = now - one["StateUpdatedTimestamp"] if "StateUpdatedTimestamp" in one else timedelta()
        if one["StateValue"] == "ALARM":
            message = one.get("AlarmDescription") or one.get("StateReason", "")
            reason = f"ALARM for {in_words(since.total_seconds())}: {message}"
            checks.append(broken(Subject.ALARMS, one["AlarmName"], reason, "docs/deploy.md, Alarms, says what to do"))
        elif one["StateValue"] == "INSUFFICIENT_DATA" and since > _UNKNOWN_SINCE:
            reason = f"INSUFFICIENT_DATA for {in_words(since.total_seconds())}"
            fix = "check that the metric is written: the alarm cannot change its state now"
            checks.append(warning(Subject.ALARMS, one["AlarmName"], reason, fix))
        elif not one.get("ActionsEnabled", True):
            fix = f"aws cloudwatch enable-alarm-actions --alarm-names {one['AlarmName']}"
            checks.append(warning(Subject.ALARMS, one["AlarmName"], "its actions are off: it notifies no one", fix))
    there = {one["AlarmName"] for one in seen}
    gone = sorted(one.physical_id for one in wanted if one.physical_id not in there)
    checks += [broken(Subject.ALARMS, one, "the alarm was deleted", _RESTORE) for one in gone]
    return checks or [ok(Subject.ALARMS, name, "none in ALARM")]


def hub_check(seen: Lookup[str]) -> Check:
    """Check that Security Hub is enabled here."""
    name = "Security Hub"
    if isinstance(seen, LookupFailed):
        fix = "aws securityhub enable-security-hub, or deploy with SecurityHub=false"
        return unknown(Subject.FINDINGS, name, seen, fix)
    return ok(Subject.FINDINGS, name, f"enabled since {seen[:10]}" if seen else "enabled")
