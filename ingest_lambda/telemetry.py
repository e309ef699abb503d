"""One structured line for each invocation: counts, milliseconds and reasons, and CloudWatch metrics in the same line.

The embedded metric format lets a line carry both, so nothing is told twice. Never content: no event, no SQL, no key, no
environment.
"""

from __future__ import annotations

import logging

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from daswatch.noise import Noise
from ingest_lambda.ingest import Report

NAMESPACE = "Daswatch"
SERVICE = "ingest"
_NAME_CHARACTERS = 64  # an instance id is a payload's word: it gets no more room than a real one needs

# At their debug level these log whole requests and answers, data keys among them, and at others they log tracebacks:
# they are not asked, whatever the level of the root logger. What went wrong is in the report.
_TALKATIVE = ("botocore", "boto3", "urllib3", "opensearch", "aws_encryption_sdk")


class Telemetry:
    """Writes to standard output, where Lambda's log picks it up and CloudWatch reads the metrics."""

    def __init__(self) -> None:
        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def tell(self, report: Report, request_id: str) -> None:
        """Tell what one invocation did."""
        for name, value in _line(report, request_id).items():
            self._metrics.add_metadata(name, value)
        for name, count in _counts(report).items():
            self._metrics.add_metric(name, MetricUnit.Count, count)
        for name, milliseconds in _durations(report).items():
            self._metrics.add_metric(name, MetricUnit.Milliseconds, milliseconds)
        self._metrics.flush_metrics()


def _line(report: Report, request_id: str) -> dict[str, object]:
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
    if report.untold:
        line["level"] = "ERROR"
        line["dead_letters_without_a_line"] = report.untold
    if not done:
        line["deliver_again_from"] = report.first_unwritten
        line["cause"] = report.cause
    return line


def _counts(report: Report) -> dict[str, int]:
    return {
        "Records": report.records,
        "Events": report.events,
        "DocumentsWritten": report.written,
        "DocumentsAlreadyThere": report.already_there,
        "DroppedHeartbeats": report.dropped[Noise.HEARTBEAT],
        "DroppedAwsUsers": report.dropped[Noise.AWS_USER],
        "DeadLetters": report.dead_letters.total(),
        "RecordsToDeliverAgain": 0 if report.first_unwritten is None else report.records - report.first_unwritten,
        "KmsCalls": report.kms_calls,
        "DataKeyCacheHits": report.kms_hits,
    }


def _durations(report: Report) -> dict[str, float]:
    durations = {
        "DecryptDuration": report.decrypt_ms,
        "FlattenDuration": report.flatten_ms,
        "IndexDuration": report.index_ms,
        "TotalDuration": report.total_ms,
    }
    if report.newest_event_age_ms is not None:
        durations["NewestEventAge"] = report.newest_event_age_ms
    return durations
