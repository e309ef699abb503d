"""What the transformation logs of an invocation: its report as a line, counts and durations."""

from __future__ import annotations

from datetime import datetime

from daswatch.aws.cloudwatch import Telemetry
from daswatch.documents.noise import Noise
from daswatch.indexing.dropped_events import users_by_instance
from daswatch.times import moment_of
from firehose_lambda.transform import TransformReport

SERVICE = "firehose"


def emit(telemetry: Telemetry, report: TransformReport, request_id: str, now: datetime) -> None:
    """Emit the log line and metrics of one invocation."""
    telemetry.emit(_line(report, request_id), _counts(report), _durations(report, now))


def _line(report: TransformReport, request_id: str) -> dict[str, object]:
    line: dict[str, object] = {
        "level": "WARNING" if report.failed or report.without_room else "INFO",
        "message": "transformed",
        "request_id": request_id,
        "records": report.records,
        "events": report.events,
        "rows": report.delivered,
        "dropped": {reason.value: count for reason, count in report.dropped.items()},
        "dropped_users": users_by_instance(report.dropped_users),
        "left_out": report.left_out,
        "records_dropped": _records(report, "Dropped"),
        "failed": {reason.value: count for reason, count in report.failed.items()},
        "without_room": report.without_room,
        "kms_calls": report.kms_calls,
        "kms_hits": report.kms_hits,
        "decrypt_ms": round(report.decrypt_ms, 1),
        "flatten_ms": round(report.flatten_ms, 1),
        "rows_ms": round(report.rows_ms, 1),
        "total_ms": round(report.total_ms, 1),
    }
    if report.unavailable:
        line["level"] = "ERROR"
        line["message"] = "the batch is not answered: Firehose tries again"
        line["cause"] = str(report.unavailable)
    return line


def _counts(report: TransformReport) -> dict[str, int]:
    answered = report.unavailable is None
    return {
        "Records": report.records,
        "Events": report.events,
        "RowsDelivered": report.delivered if answered else 0,
        "DroppedHeartbeats": report.dropped[Noise.HEARTBEAT],
        "DroppedAwsUsers": report.dropped[Noise.AWS_USER],
        "EventsLeftOut": report.left_out,
        "RecordsDropped": _records(report, "Dropped"),
        "RecordsFailed": report.failed.total(),
        "RecordsOverResponseLimit": report.without_room,
        "BatchesToRetry": 0 if answered else 1,
        "KmsCalls": report.kms_calls,
        "DataKeyCacheHits": report.kms_hits,
    }


def _durations(report: TransformReport, now: datetime) -> dict[str, float]:
    durations = {
        "DecryptDuration": report.decrypt_ms,
        "FlattenDuration": report.flatten_ms,
        "RowsDuration": report.rows_ms,
        "TotalDuration": report.total_ms,
    }
    if report.newest_event:
        durations["NewestEventAge"] = (now - moment_of(report.newest_event)).total_seconds() * 1000
    return durations


def _records(report: TransformReport, result: str) -> int:
    return sum(answer["result"] == result for answer in report.answers)
