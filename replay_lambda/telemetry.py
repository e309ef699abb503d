"""What the replay function logs of an invocation."""

from __future__ import annotations

from collections import Counter

from daswatch.aws.cloudwatch import Telemetry
from replay_lambda.retrier import RetryReport

SERVICE = "replay"
_DETAILS = 10  # of reasons, in a line


def emit(telemetry: Telemetry, report: RetryReport, request_id: str) -> None:
    """Emit the log line and metrics of one run."""
    run = report.run
    reasons: Counter[str] = Counter()
    for (reason, _), count in run.reasons.items():
        reasons[reason] += count
    line: dict[str, object] = {
        "level": "WARNING" if report.left or run.cause or reasons or run.damaged_count else "INFO",
        "message": "dead letters tried again",
        "request_id": request_id,
        "reading": run.id,
        "due": report.due,
        "tried": report.tried,
        "returned": run.objects_whole,
        "done_before": run.objects_done_before,
        "not_retried": report.not_retried,
        "left": report.left,
        "damaged": run.damaged_count,
        "incomplete": run.incomplete,
        "records": run.totals.read,
        "written": run.totals.written,
        "already_there": run.totals.already_there,
        "reasons": dict(reasons),
        "details": [f"{reason}: {detail}" for reason, detail in run.reasons][:_DETAILS],
        "total_ms": round(report.total_ms, 1),
    }
    if run.cause:
        line["cause"] = run.cause
    counts = {"DeadLettersReturned": run.objects_whole, "DeadLettersLeft": report.left}
    telemetry.emit(line, counts, {"ReplayDuration": report.total_ms})
