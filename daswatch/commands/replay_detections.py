"""What detections would have raised in the time that a replay filled: a backtest over exactly that time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from opensearchpy import OpenSearch

from daswatch.alerts.alert import Alert, Firing
from daswatch.commands.console import progress
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection
from daswatch.errors import SearchUnavailable
from daswatch.evidence.spans import replayed_alert
from daswatch.fleet.names import IDENTIFIER, TAGS, Names
from daswatch.opensearch.alert_index import AlertIndex, Stored
from daswatch.opensearch.backtest_runs import BacktestRun
from daswatch.opensearch.request import LENIENT, request
from daswatch.queries.backtests import Backtest, Period
from daswatch.times import iso_milliseconds

MOST_SPANS = 50
_REFRESH_SECONDS = 120.0
_RAISE_SECONDS = 300.0


@dataclass(slots=True)
class Looked:
    """What the detections find in the replayed time, span by span; those that could not be asked, and why."""

    spans: Sequence[Period]
    found: list[Backtest] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    firings: list[Firing] = field(default_factory=list)  # where alerts are to be raised
    raised: int | None = None  # alerts that were written; None where none should be
    known: int = 0  # groups whose alert is of the same time, or of a later one

    def as_json(self) -> dict[str, Any]:
        """The alerts as they would have begun."""
        return {
            "spans": [{"from": iso_milliseconds(one.begin), "to": iso_milliseconds(one.end)} for one in self.spans],
            "alerts": [
                {
                    "detection": answer.detection.name,
                    "level": episode.level.value,
                    "resourceId": episode.resource_id,
                    "group": dict(episode.group),
                    "firstSeen": episode.first_seen,
                    "lastSeen": episode.last_seen,
                    "count": episode.count,
                }
                for answer in self.found
                for episode in answer.episodes
            ],
            "failures": self.failures,
            **({} if self.raised is None else {"raised": self.raised, "known": self.known}),
        }


def look(
    client: OpenSearch, prefix: str, spans: Sequence[Period], detections: Sequence[Detection], *, details: bool = False
) -> Looked:
    """Ask all enabled detections about these spans. What cannot be asked is named."""
    looked = Looked(spans)
    if not spans:
        return looked
    try:
        path = f"/{prefix}-*/_refresh"
        request(client, "POST", path, deadline=Deadline.after(_REFRESH_SECONDS), params=LENIENT)
    except SearchUnavailable as exc:  # a collection cannot be asked for it; what was written is the result all the same
        looked.failures["all"] = f"events that were just written may not be seen: {exc}"
    enabled = [one for one in detections if one.enabled]
    with progress() as bar:
        task = bar.add_task("detections", total=len(spans))
        for span in spans:
            run = BacktestRun(client, span, prefix)
            for answer in run.run(enabled):
                if answer.episodes:
                    looked.found.append(answer)
                    looked.firings += run.firings(answer) if details else ()
            looked.failures |= run.failures
            bar.advance(task)
    return looked


def raise_alerts(
    looked: Looked, index: AlertIndex, detections: Sequence[Detection], names: Names, now: datetime
) -> None:
    """Write alerts of what was found, as of that time. Raises SearchUnavailable."""
    quiet = {one.name: one.quiet_seconds for one in detections}
    by_alert: dict[str, list[Firing]] = {}
    for firing in looked.firings:
        by_alert.setdefault(firing.alert_id, []).append(_named(firing, names))
    deadline = Deadline.after(_RAISE_SECONDS)
    there = index.get(sorted(by_alert), deadline)
    writes: list[tuple[Alert, Stored | None]] = []
    for alert_id, firings in by_alert.items():
        stored = there.get(alert_id)
        alert = replayed_alert(stored.alert if stored else None, firings, quiet[firings[0].detection], now)
        if alert is None:
            looked.known += 1
        else:
            writes.append((alert, stored))
    written = index.write(writes, deadline)
    looked.raised = len(written.ids)
    if left := len(written.conflicts) + len(written.refused) + len(written.unwritten):
        looked.failures["alerts"] = f"{left} alerts are not written: {written.cause or 'another run was faster'}"


def _named(firing: Firing, names: Names) -> Firing:
    database = firing.database
    fields = names.fields(database.aws_account_id, database.aws_region, database.resource_id)
    if not fields:
        return firing
    named = replace(database, identifier=fields[IDENTIFIER], tags=tuple(fields.get(TAGS, ())))
    return replace(firing, database=named)
