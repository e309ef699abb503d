"""What detections would have raised in the time that a replay filled: a backtest over exactly that time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import OpenSearch

from daswatch.commands.console import progress
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.backtest_runs import BacktestRun
from daswatch.opensearch.request import LENIENT, request
from daswatch.queries.backtests import Backtest, Period
from daswatch.times import iso_milliseconds

MOST_SPANS = 50
_REFRESH_SECONDS = 120.0


@dataclass(slots=True)
class Looked:
    """What the detections find in the replayed time, span by span; those that could not be asked, and why."""

    spans: Sequence[Period]
    found: list[Backtest] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

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
        }


def look(client: OpenSearch, prefix: str, spans: Sequence[Period], detections: Sequence[Detection]) -> Looked:
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
            for answer in BacktestRun(client, span, prefix).run(enabled):
                if answer.episodes:
                    looked.found.append(answer)
                if answer.failure:
                    looked.failures[answer.detection.name] = answer.failure
            bar.advance(task)
    return looked
