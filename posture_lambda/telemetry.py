"""What the posture function logs of an invocation."""

from __future__ import annotations

from daswatch.aws.cloudwatch import Telemetry
from posture_lambda.auditor import PostureReport

SERVICE = "posture"


def emit(telemetry: Telemetry, report: PostureReport, request_id: str) -> None:
    """Emit the log line and metrics of one run. Counts of the whole fleet come from whole runs only."""
    audit = report.audit
    found = audit.coverage
    findings, checked = report.findings, report.completeness
    line: dict[str, object] = {
        "level": "WARNING" if audit.unseen or report.named.cause or findings.has_failed or checked.cause else "INFO",
        "message": "fleet audited" if report.is_whole else "one region audited",
        "request_id": request_id,
        "databases": len(audit.present),
        "verdicts": dict(found.counts),
        "covered_percent": round(found.percent, 1),
        "moved": [f"{one.identifier}: {one.before} -> {one.after}" for one in audit.moved],
        "not_looked_at": {str(place): why for place, why in audit.unseen.items()},
        "events_named": report.named.events,
        "hours_checked": checked.hours,
        "hours_by_verdict": {verdict.value: count for verdict, count in checked.verdicts.items()},
        "findings": findings.accepted,
        "findings_refused": findings.refused,
        "findings_unsent": findings.unsent,
        "findings_causes": sorted(findings.causes),
        "total_ms": round(report.total_ms, 1),
    }
    if report.named.cause:
        line["names_cause"] = report.named.cause
    if checked.cause:
        line["completeness_cause"] = checked.cause
    counts = {
        "Databases": len(audit.present),
        "DatabasesNotCovered": found.expected - found.covered,
        "PlacesNotLookedAt": len(audit.unseen),
    }
    of_findings = {"ComplianceFindingsUnsent": findings.unsent, "ComplianceFindingsRefused": len(findings.refused)}
    telemetry.emit(line, {**(counts if report.is_whole else {}), **of_findings}, {"PostureDuration": report.total_ms})
