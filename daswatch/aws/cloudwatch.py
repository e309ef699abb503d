"""One structured line for each invocation: counts, milliseconds and reasons, and CloudWatch metrics in the same line.

The embedded metric format lets a line carry both, so nothing is logged twice. Never content: no event, no SQL, no key,
no environment.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from daswatch.settings import SETTINGS

_NAMESPACE = SETTINGS["POWERTOOLS_METRICS_NAMESPACE"].default

# At their debug level these log whole requests and answers, data keys among them, and at others they log tracebacks:
# they are not asked, whatever the level of the root logger. What went wrong is in the report.
_TALKATIVE = ("botocore", "boto3", "urllib3", "opensearch", "aws_encryption_sdk")


class Telemetry:
    """Writes to standard output, where Lambda's log picks it up and CloudWatch reads the metrics."""

    def __init__(self, service: str) -> None:
        self._metrics = EphemeralMetrics(service=service)  # it reads POWERTOOLS_METRICS_NAMESPACE
        self._metrics.namespace = self._metrics.namespace or _NAMESPACE
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def emit(self, line: Mapping[str, object], counts: Mapping[str, int], durations: Mapping[str, float]) -> None:
        """Write one line: fields to search in logs, metrics that are counts, and metrics in milliseconds.

        A count of 0 is no metric: a sum is the same without it, and most invocations see nothing but a heartbeat.
        """
        for name, value in line.items():
            self._metrics.add_metadata(name, value)
        for name, count in counts.items():
            if count:
                self._metrics.add_metric(name, MetricUnit.Count, count)
        for name, milliseconds in durations.items():
            self._metrics.add_metric(name, MetricUnit.Milliseconds, milliseconds)
        self._metrics.flush_metrics()
