"""The result of a request as a log line and two counts. Never the ResponseURL, which is a secret."""

from __future__ import annotations

from daswatch.aws.cloudwatch import Telemetry
from setup_lambda.responder import SetupReport

SERVICE = "setup"


def emit(telemetry: Telemetry, report: SetupReport, request_id: str) -> None:
    """Emit the log line and metrics of one request."""
    response, request = report.response, report.request
    fine = response.succeeded and report.undelivered is None
    line: dict[str, object] = {
        "level": "INFO" if fine else "ERROR",
        "message": "custom resource ready" if response.succeeded else "custom resource failed",
        "request_id": request_id,
        "request_type": request.type.value if request.type else "",
        "resource_type": request.resource_type[:80],
        "physical_id": response.physical_id[:80],
        "reason": response.reason,
        "attempts": report.attempts,
    }
    if report.where:
        line["where"] = report.where
    if report.undelivered is not None:
        line["undelivered"] = str(report.undelivered)
    telemetry.emit(line, {"ResourcesProvided": int(fine), "ResourcesFailed": int(not fine)}, {})
