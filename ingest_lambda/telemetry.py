"""One structured log line and one set of metrics for each invocation: counts, milliseconds, reasons.

Never content: no event, no SQL, no key, no environment.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from daswatch.noise import Noise
from ingest_lambda.ingest import Report

NAMESPACE = "Daswatch"
SERVICE = "ingest"


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to what standard output is now, not to what it was when the handler was made."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stdout


class Telemetry:
    """Writes to standard output, where Lambda's log and CloudWatch's embedded metric format pick it up."""

    def __init__(self) -> None:
        self._logger = Logger(service=SERVICE, level="INFO", use_rfc3339=True, logger_handler=_StandardOutput())
        # At its debug level opensearch-py logs whole requests: it is not asked, whatever the root logger says.
        logging.getLogger("opensearch").setLevel(logging.CRITICAL)
        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)

    def tell(self, report: Report, request_id: str) -> None:
        """Tell what one invocation did."""
        line = {
            "request_id": request_id,
            "records": report.records,
            "events": report.events,
            "written": report.written,
            "already_there": report.already_there,
            "dropped": {reason.value: count for reason, count in report.dropped.items()},
            "dead_letters": {reason.value: count for reason, count in report.dead_letters.items()},
            "heartbeats": dict(report.heartbeats),
            "kms_calls": report.kms_calls,
            "kms_hits": report.kms_hits,
            "bulk_requests": report.bulk_requests,
            "decrypt_ms": round(report.decrypt_ms, 1),
            "flatten_ms": round(report.flatten_ms, 1),
            "index_ms": round(report.index_ms, 1),
            "total_ms": round(report.total_ms, 1),
        }
        if report.first_unwritten is None:
            self._logger.info("ingested", extra=line)
        else:
            line["deliver_again_from"] = report.first_unwritten
            line["cause"] = report.cause
            self._logger.error("not all of the batch is written: it is delivered again", extra=line)
        self._measure(report)

    def _measure(self, report: Report) -> None:
        counts = {
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
        durations = {
            "DecryptDuration": report.decrypt_ms,
            "FlattenDuration": report.flatten_ms,
            "IndexDuration": report.index_ms,
            "TotalDuration": report.total_ms,
        }
        if report.newest_event_age_ms is not None:
            durations["NewestEventAge"] = report.newest_event_age_ms
        for name, count in counts.items():
            self._metrics.add_metric(name, MetricUnit.Count, count)
        for name, milliseconds in durations.items():
            self._metrics.add_metric(name, MetricUnit.Milliseconds, milliseconds)
        self._metrics.flush_metrics()
