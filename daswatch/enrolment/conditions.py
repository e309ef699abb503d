"""What is wrong with databases that are watched, by CloudWatch's metrics of their streams and of what consumes them.

In: the streams with their consumers, and two values of each metric, of the last quarter of an hour and the one before.
Out: which databases are in which condition, and for which that has changed: a message names these. Both quarters come
from one look, so nothing has to be remembered between runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from daswatch.alerts.messages import MAX_LISTED, MAX_SUBJECT, Message

QUARTER = timedelta(minutes=15)
# CloudWatch has the metrics of a minute some minutes later.
_SETTLING = timedelta(minutes=3)
_BETWEEN_RUNS = timedelta(minutes=5)
# What was just enrolled has no metrics of a whole quarter yet.
_GRACE = timedelta(minutes=30)
_BEHIND_MILLISECONDS = 900_000
_LATE_SECONDS = 3600


class Condition(StrEnum):
    """What is wrong, causes before their consequences."""

    SILENT = "silent"  # nothing has come from the database, not even a heartbeat
    UNREAD = "unread"  # Lambda has read nothing
    BEHIND = "behind"  # what is read is late
    GIVEN_UP = "given up"  # Lambda moved records to the dead-letter bucket
    EVIDENCE_LATE = "evidence late"  # Firehose has not delivered for an hour
    SPLUNK_LATE = "late in Splunk"


METRICS = {
    Condition.SILENT: "DatabasesSilent",
    Condition.UNREAD: "DatabasesUnread",
    Condition.BEHIND: "DatabasesBehind",
    Condition.GIVEN_UP: "RecordsGivenUp",
    Condition.EVIDENCE_LATE: "EvidenceLate",
    Condition.SPLUNK_LATE: "SplunkLate",
}
_MEANINGS = {
    Condition.SILENT: "no record and no heartbeat for 15 minutes: is the activity stream on, is the database up?",
    Condition.UNREAD: "Lambda has read nothing for 15 minutes: `daswatch doctor` says why; 24 hours are kept",
    Condition.BEHIND: "read more than 15 minutes late: Kinesis drops records after 24 hours",
    Condition.GIVEN_UP: "Lambda moved records to the dead-letter bucket, below aws/lambda/",
    Condition.EVIDENCE_LATE: "the encrypted records have not been delivered to S3 for an hour",
    Condition.SPLUNK_LATE: "events have not been delivered to Splunk for an hour",
}


@dataclass(frozen=True, slots=True)
class WatchedStream:
    """A database that is watched, by the names in AWS's metrics; those of deliveries are empty where there is none."""

    name: str
    stream: str
    mapping: str  # UUID
    evidence: str
    splunk: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Conditions:
    """Databases by their condition, in the last quarter, and those for which it began or ended then."""

    now: Mapping[Condition, Sequence[str]] = field(default_factory=dict)
    begun: Mapping[Condition, Sequence[str]] = field(default_factory=dict)
    ended: Mapping[Condition, Sequence[str]] = field(default_factory=dict)


Values = Mapping[str, Mapping[datetime, float]]  # by the id of a query and the begin of a quarter


def is_due(now: datetime) -> bool:
    """Whether the run of this time looks at a quarter: of those every five minutes, one in each does."""
    return _SETTLING <= timedelta(minutes=now.minute % 15) < _SETTLING + _BETWEEN_RUNS


def last_quarter(now: datetime) -> datetime:
    """The begin of the last quarter of an hour whose metrics are there."""
    settled = now - _SETTLING
    return settled.replace(minute=settled.minute // 15 * 15, second=0, microsecond=0) - QUARTER


def queries_of(streams: Sequence[WatchedStream]) -> list[dict[str, Any]]:
    """GetMetricData's queries: up to six for each database."""
    return [query for number, one in enumerate(streams) for query in _queries(number, one)]


def _queries(number: int, one: WatchedStream) -> Iterator[dict[str, Any]]:
    kinesis, mapping = {"StreamName": one.stream}, {"EventSourceMappingUUID": one.mapping}
    yield _query(number, Condition.SILENT, "AWS/Kinesis", "IncomingRecords", "Sum", kinesis)
    yield _query(number, Condition.BEHIND, "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", kinesis)
    yield _query(number, Condition.UNREAD, "AWS/Lambda", "PolledEventCount", "Sum", mapping)
    given_up = "OnFailureDestinationDeliveredEventCount"
    yield _query(number, Condition.GIVEN_UP, "AWS/Lambda", given_up, "Sum", mapping)
    for condition, name, target in (
        (Condition.EVIDENCE_LATE, one.evidence, "S3"),
        (Condition.SPLUNK_LATE, one.splunk, "Splunk"),
    ):
        if name:
            delivery = {"DeliveryStreamName": name}
            yield _query(number, condition, "AWS/Firehose", f"DeliveryTo{target}.DataFreshness", "Minimum", delivery)


def _query(
    number: int, condition: Condition, namespace: str, metric: str, statistic: str, dimensions: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "Id": _id(number, condition),
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": int(QUARTER.total_seconds()),
            "Stat": statistic,
        },
    }


def _id(number: int, condition: Condition) -> str:
    return f"{condition.name.lower()}_{number}"


def judged(streams: Sequence[WatchedStream], values: Values, quarter: datetime) -> Conditions:
    """The conditions of the quarter that begins then, and what changed since the one before."""
    now: dict[Condition, list[str]] = {}
    begun: dict[Condition, list[str]] = {}
    ended: dict[Condition, list[str]] = {}
    for number, one in enumerate(streams):
        present = set(_conditions(number, one, values, quarter))
        before = set(_conditions(number, one, values, quarter - QUARTER))
        for condition in Condition:
            for found, is_in in (
                (now, condition in present),
                (begun, condition in present - before),
                (ended, condition in before - present),
            ):
                if is_in:
                    found.setdefault(condition, []).append(one.name)
    return Conditions(now, begun, ended)


def _conditions(number: int, one: WatchedStream, values: Values, quarter: datetime) -> Iterator[Condition]:
    if one.since > quarter - _GRACE:
        return

    def value(condition: Condition) -> float | None:
        return values.get(_id(number, condition), {}).get(quarter)

    if not value(Condition.SILENT):
        yield Condition.SILENT  # the others follow from it
        return
    if not value(Condition.UNREAD):
        yield Condition.UNREAD
    elif (value(Condition.BEHIND) or 0) > _BEHIND_MILLISECONDS:
        yield Condition.BEHIND
    if value(Condition.GIVEN_UP):
        yield Condition.GIVEN_UP
    freshness = value(Condition.EVIDENCE_LATE)
    if one.evidence and (freshness is None or freshness > _LATE_SECONDS):
        yield Condition.EVIDENCE_LATE
    # Heartbeats are noise and are not delivered: without a value there was nothing to deliver.
    if (value(Condition.SPLUNK_LATE) or 0) > _LATE_SECONDS:
        yield Condition.SPLUNK_LATE


def message(found: Conditions, where: str) -> Message | None:
    """The message that names the databases whose condition changed; None where none did."""
    if not found.begun and not found.ended:
        return None
    counts = [f"{len(names)} {condition}" for condition, names in found.begun.items()]
    counts += [f"{len(names)} not {condition} any more" for condition, names in found.ended.items()]
    lines = [f"Activity streams in {where}.", ""]
    for condition, names in found.begun.items():
        lines += [f"{condition.upper()}: {_MEANINGS[condition]}", *_listed(names), ""]
    for condition, names in found.ended.items():
        lines += [f"Not {condition} any more:", *_listed(names), ""]
    lines += [f"In all, {', '.join(f'{len(names)} {one}' for one, names in found.now.items()) or 'none'} now."]
    return Message(f"Daswatch: {', '.join(counts)}"[:MAX_SUBJECT], "\n".join(lines))


def _listed(names: Iterable[str]) -> Iterator[str]:
    names = sorted(names)
    yield from (f"- {name}" for name in names[:MAX_LISTED])
    if len(names) > MAX_LISTED:
        yield f"- and {len(names) - MAX_LISTED:,} more"
