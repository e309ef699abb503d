"""The picture of the posture report, of the fleet that the dashboards show."""

from __future__ import annotations

from datetime import timedelta

from daswatch.fleet.database import Place
from daswatch.fleet.inventory import Look
from daswatch.fleet.posture import coverage_by
from daswatch.fleet.report import html_of
from tools.pictures.fleet import audits
from tools.pictures.week import NOW

REPORT = "posture-report"
REPORT_WIDTH, REPORT_HEIGHT = 1_240, 2_470
_DAYS = 40
_UNSEEN = Look(Place("345678901234", ""), failure="STS AssumeRole of daswatch-fleet: AccessDenied")


def report_html() -> str:
    """The page."""
    *earlier, audit = audits(NOW, [timedelta(days=day) for day in range(_DAYS, -1, -1)], [_UNSEEN])
    groups = {"account": "awsAccountId", "region": "awsRegion", "engine": "engine"}
    trend = {run.at: run.coverage for run in earlier}
    return html_of(audit, {name: coverage_by(audit.present, field) for name, field in groups.items()}, trend)
