"""A report of the findings function as a log line, counts and durations."""

from __future__ import annotations

from datetime import datetime

from daswatch.aws.cloudwatch import Telemetry
from daswatch.times import moment_of
from findings_lambda.run_report import RunReport

SERVICE = "findings"


def emit(telemetry: Telemetry, report: RunReport, request_id: str, now: datetime) -> None:
    """Emit the log line and metrics of one invocation."""
    if report.covered or report.overlapping:
        message = "another look finds it" if report.covered else "another function may be running"
        telemetry.emit(
            {"level": "INFO", "message": message, "request_id": request_id}, {}, {"RunDuration": report.total_ms}
        )
        return
    sent = report.sent
    lost = (report.failing, report.unwritten, report.refused_alerts, report.refused_sightings, report.malformed)
    wrong = any(lost) or bool(sent.refused or sent.causes)
    line: dict[str, object] = {
        "level": "ERROR" if wrong else "INFO",
        "message": f"{'look' if report.looks else 'run'} finished{' with errors' if wrong else ''}",
        "request_id": request_id,
        "since": report.since,
        "detections": report.detections,
        "searches": report.searches,
        "firings": report.firings,
        "raised": report.raised,
        "archived": report.archived,
        "findings": sent.findings,
        "messages": sent.messages,
        "conflicts": report.conflicts,
        "query_ms": round(report.query_ms, 1),
        "total_ms": round(report.total_ms, 1),
    }
    details: dict[str, object] = {
        "failing": report.failing,
        "unwritten": report.unwritten,
        "behind": report.behind,
        "superseded_episodes": report.superseded,
        "refused_alerts": report.refused_alerts,
        "refused_sightings": report.refused_sightings,
        "storms": report.storms,
        "known_clients": dict(report.known_clients),
        "names_cause": report.names_cause,
        "refused_findings": sent.refused,
        "unsent_findings": sent.unsent,
        "unrecorded": sent.unrecorded,
        "causes": sorted(sent.causes),
        "malformed": report.malformed,
        "full_notifications": report.full_notifications,
        "expired_suppressions": report.expired_suppressions,
    }
    telemetry.emit(
        line | {name: value for name, value in details.items() if value},
        {
            "PromptLooks": report.looks,
            "AlertsRaised": report.raised,
            "AlertsArchived": report.archived,
            "GroupsOfKnownClients": report.known_clients.total(),
            "FindingsSent": sent.findings,
            "FindingsUnsent": sent.unsent,
            "FindingsRefused": len(sent.refused),
            "MessagesSent": sent.messages,
            # A detection whose alerts cannot be written is as blind as one that cannot be asked.
            "FailingDetections": len({*report.failing, *report.unwritten}),
            "MalformedNotifications": sum(report.malformed.values()),
            "ExpiredSuppressions": len(report.expired_suppressions),
        },
        _durations(report, now),
    )


def _durations(report: RunReport, now: datetime) -> dict[str, float]:
    durations = {"QueryDuration": report.query_ms, "RunDuration": report.total_ms}
    if report.arrived_at:
        durations["ArrivalToAlert"] = (now - moment_of(report.arrived_at)).total_seconds() * 1000
    return durations
