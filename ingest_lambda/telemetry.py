"""What the ingest function logs of an invocation: its report as a line, counts and durations."""

from __future__ import annotations

from daswatch.aws.cloudwatch import Telemetry
from daswatch.documents.noise import Noise
from daswatch.indexing.dropped_events import users_by_instance
from ingest_lambda.report import IngestReport

SERVICE = "ingest"
_NAME_CHARACTERS = 64  # an instance id is a payload's word: it gets no more room than a real one needs


def emit(telemetry: Telemetry, report: IngestReport, request_id: str) -> None:
    """Log what one invocation did."""
    telemetry.emit(_line(report, request_id), _counts(report), _durations(report))


def _line(report: IngestReport, request_id: str) -> dict[str, object]:
    done = report.first_unwritten is None
    line: dict[str, object] = {
        "level": "INFO" if done else "ERROR",
        "message": "ingested" if done else "not all of the batch is written: it is delivered again",
        "request_id": request_id,
        "records": report.records,
        "events": report.events,
        "written": report.written,
        "already_there": report.already_there,
        "dropped": {reason.value: count for reason, count in report.dropped.items()},
        "dropped_users": users_by_instance(report.dropped_users),
        "dead_letters": {reason.value: count for reason, count in report.dead_letters.items()},
        "heartbeats": {instance[:_NAME_CHARACTERS]: count for instance, count in report.heartbeats.items()},
        "kms_calls": report.kms_calls,
        "kms_hits": report.kms_hits,
        "bulk_requests": report.bulk_requests,
        "decrypt_ms": round(report.decrypt_ms, 1),
        "flatten_ms": round(report.flatten_ms, 1),
        "index_ms": round(report.index_ms, 1),
        "total_ms": round(report.total_ms, 1),
    }
    if report.pulses_unwritten or report.drops_unwritten or report.tallies_unwritten:
        # No event is lost, but das-silent goes by the pulses: without them it cannot say that an instance is silent.
        line["level"] = "WARNING" if done else "ERROR"
        line["pulses_unwritten"] = report.pulses_unwritten
        line["drops_unwritten"] = report.drops_unwritten
        line["tallies_unwritten"] = report.tallies_unwritten
        line["lost_cause"] = report.lost_cause
    if report.prompt_events:
        line["prompt_events"] = report.prompt_events
        line["looks_requested"] = report.looks_requested
    if report.look_cause:
        line["level"] = "WARNING" if done else "ERROR"
        line["look_cause"] = report.look_cause
    if report.names_unread:
        line["names_unread"] = report.names_unread
        line["names_cause"] = report.names_cause
    if report.unindexed:
        line["level"] = "ERROR"
        line["dead_letters_not_indexed"] = report.unindexed
    if report.rows is not None:
        line |= {
            "rows": report.rows.put,
            "rows_refused": report.rows.refused,
            "rows_not_put": report.rows.unsent,
            "firehose_calls": report.rows.calls,
            "rows_ms": round(report.rows.ms, 1),
        }
        if report.rows.cause:
            line["rows_cause"] = report.rows.cause
    if not done:
        line["retry_from"] = report.first_unwritten
        line["cause"] = report.cause
    return line


def _counts(report: IngestReport) -> dict[str, int]:
    counts = {
        "Records": report.records,
        "Events": report.events,
        "DocumentsWritten": report.written,
        "DocumentsDuplicate": report.already_there,
        "DroppedHeartbeats": report.dropped[Noise.HEARTBEAT],
        "DroppedAwsUsers": report.dropped[Noise.AWS_USER],
        "DeadLetters": report.dead_letters.total(),
        "PulsesUnwritten": report.pulses_unwritten,
        "TalliesUnwritten": report.tallies_unwritten,
        "RecordsToRetry": 0 if report.first_unwritten is None else report.records - report.first_unwritten,
        "PromptEvents": report.prompt_events,
        "LookRequestsFailed": int(bool(report.look_cause)),
        "KmsCalls": report.kms_calls,
        "DataKeyCacheHits": report.kms_hits,
    }
    if report.rows is not None:
        counts |= {
            "RowsDelivered": report.rows.put,
            "RowsRefused": report.rows.refused,
            "RowsNotDelivered": report.rows.unsent,
        }
    return counts


def _durations(report: IngestReport) -> dict[str, float]:
    durations = {
        "DecryptDuration": report.decrypt_ms,
        "FlattenDuration": report.flatten_ms,
        "IndexDuration": report.index_ms,
        "TotalDuration": report.total_ms,
    }
    if report.rows is not None:
        durations["RowsDuration"] = report.rows.ms
    if report.newest_event_age_ms is not None:
        durations["NewestEventAge"] = report.newest_event_age_ms
    return durations
