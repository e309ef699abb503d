"""What the enrolment function logs of a run, and what it answers to a request."""

from __future__ import annotations

from collections import Counter
from typing import Any

from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.manifests import ManifestReport
from daswatch.enrolment.conditions import METRICS
from daswatch.enrolment.plan import State, Step
from daswatch.enrolment.record import id_of
from enrol_lambda.reconciler import EnrolmentReport
from enrol_lambda.watch import WatchReport

SERVICE = "enrolment"


def emit(
    telemetry: Telemetry,
    report: EnrolmentReport,
    watch: WatchReport | None,
    request_id: str,
    manifests: ManifestReport | None = None,
) -> None:
    """Emit the log line and metrics of one run. `watch` is None where the run looked at no quarter."""
    states = Counter(str(one.state) for one in report.enrolments)
    steps = [out for found in report.outcomes.values() for out in found]
    failures = report.failures
    conditions = dict(watch.names) if watch else {}
    causes = [*report.causes, *([watch.cause] if watch and watch.cause else [])]
    causes += sorted(manifests.causes) if manifests else []
    line: dict[str, object] = {
        "level": "WARNING" if failures or causes or conditions else "INFO",
        "message": "enrolment planned" if report.dry_run else "databases enrolled",
        "request_id": request_id,
        "databases": len(report.enrolments),
        "states": dict(states),
        "steps": dict(Counter(str(out.step.act) for out in steps if not out.failure)),
        "steps_left": report.left,
        "failed": failures,
        "conditions": conditions,
        "causes": causes,
        "total_ms": round(report.total_ms, 1),
    }
    if manifests:
        line |= {
            "manifests": manifests.manifests,
            "manifest_objects": manifests.objects,
            "manifest_records": manifests.records,
            "manifests_left": manifests.left,
        }
    counts = {
        "DatabasesEnrolled": states[State.WATCHED],
        "EnrolmentsFailed": len(failures),
        "EnrolmentsUnknown": len(causes),
    }
    if watch:
        counts |= {metric: len(watch.conditions.now.get(condition, ())) for condition, metric in METRICS.items()}
    telemetry.emit(line, {} if report.dry_run else counts, {"EnrolmentDuration": report.total_ms})


def response_of(report: EnrolmentReport) -> dict[str, Any]:
    """What `daswatch enrol` shows: each database with its state, and its steps with their outcomes."""
    return {
        "dryRun": report.dry_run,
        "left": report.left,
        "causes": list(report.causes),
        "databases": [
            {
                "name": one.name,
                "resourceId": one.resource_id,
                "state": str(one.state),
                "reason": one.reason,
                "selectedBy": one.selected_by,
                "steps": [
                    {"call": str(step.act), "reason": step.reason, "outcome": _outcome(report, id_of(one), step)}
                    for step in one.steps
                ],
            }
            for one in report.enrolments
        ],
    }


def _outcome(report: EnrolmentReport, id_: str, step: Step) -> str:
    for out in report.outcomes.get(id_, ()):  # of the steps that were taken: not of each, and not always of the first
        if out.step is step:
            return out.failure or "done"
    return "planned" if report.dry_run else "left for the next run"
