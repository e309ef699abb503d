"""One run of the saved queries: its time, and what it reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime

from daswatch.alerts.alert import Alert, Due
from daswatch.deadline import Deadline
from findings_lambda.notifier import NotificationResult


@dataclass(slots=True)
class RunReport:
    """What one run did."""

    detections: int = 0
    searches: int = 0
    firings: int = 0
    raised: int = 0
    archived: int = 0
    conflicts: int = 0
    failing: dict[str, str] = field(default_factory=dict)  # detection -> cause
    behind: dict[str, str] = field(default_factory=dict)  # detection -> since when events are not evaluated
    superseded: int = 0  # episodes of a backlog that ended before a known one
    known_clients: Counter[str] = field(default_factory=Counter)  # detection -> groups left out: known clients
    refused_alerts: dict[str, str] = field(default_factory=dict)
    refused_sightings: dict[str, str] = field(default_factory=dict)  # detection -> OpenSearch's name for the reason
    unwritten: dict[str, str] = field(default_factory=dict)  # detection -> why its alerts or sightings are not written
    names_cause: str = ""  # why the names of databases could not be read: alerts go without
    storms: dict[str, int] = field(default_factory=dict)  # id of a summary -> groups that fired
    expired_suppressions: list[str] = field(default_factory=list)
    malformed: dict[str, int] = field(default_factory=dict)  # reason -> notifications
    full_notifications: int = 0  # with as many groups as a message takes
    sent: NotificationResult = field(default_factory=NotificationResult)
    since: str = ""
    looks: int = 0  # 1 of a prompt look
    covered: bool = False  # a request for a look, of which another one finds the documents
    overlapping: bool = False  # nothing was done: another function's run may go on
    arrived_at: str = ""  # of the event that waited longest for its alert, of those raised
    query_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """What every step of a run needs; `due` is what has to be published, by alert id."""

    now: datetime
    deadline: Deadline
    report: RunReport
    due: dict[str, tuple[Alert, Due]] = field(default_factory=dict)

    def within(self, deadline: Deadline) -> Run:
        """The same run with less time."""
        return replace(self, deadline=deadline)
