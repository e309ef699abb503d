"""What the setup function tells about a request: one line and two counts. Never the ResponseURL, which is a secret."""

from __future__ import annotations

from daswatch.aws.cloudwatch import Telemetry
from setup_lambda.answer import Report

SERVICE = "setup"


def emit(telemetry: Telemetry, report: Report, request_id: str) -> None:
    """Tell what one request came to."""
    answer, request = report.answer, report.request
    fine = answer.succeeded and report.undelivered is None
    line: dict[str, object] = {
        "level": "INFO" if fine else "ERROR",
        "message": "provided" if answer.succeeded else "could not be provided",
        "request_id": request_id,
        "request_type": request.type.value if request else "",
        "resource_type": request.resource_type[:80] if request else "",
        "physical_id": answer.physical_id[:80],
        "reason": answer.reason,
        "attempts": report.attempts,
    }
    if report.where:
        line["where"] = report.where
    if report.undelivered is not None:
        line["undelivered"] = str(report.undelivered)
    telemetry.emit(line, {"ResourcesProvided": int(fine), "ResourcesFailed": int(not fine)}, {})
