"""Prompt looks: what the ingest function asks for when it wrote an event that may be high or critical on its own.

In: a request, with the time at which its documents were written. Out: the same alerts as the schedule's next run would
raise, some seconds later. Requests are many where events are many, and looks are few: one that is claimed for later
serves every request until then, and two begin INTERVAL apart at least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from daswatch.deadline import Deadline
from daswatch.opensearch.look_claims import LookClaims
from daswatch.times import moment_of
from findings_lambda.run_report import RunReport
from findings_lambda.runner import DetectionRunner

INTERVAL = timedelta(seconds=5)  # a flood of events makes twelve looks a minute
_CLOCKS = timedelta(seconds=1)  # by which those of two functions may differ
_CLAIMS = 5  # attempts, where others claim at the same time: one of those then serves this request, too
WRITTEN_AT = "writtenAt"


class PromptLooks:
    """The looks of one deployment."""

    def __init__(
        self, claims: LookClaims, runner: DetectionRunner, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._claims = claims
        self._runner = runner
        self._clock = clock

    def take(self, request: Mapping[str, Any], deadline: Deadline) -> RunReport:
        """Look at what has arrived, unless another look does. Raises SearchUnavailable: the schedule goes on."""
        begun = deadline.clock.monotonic()
        written_at = _written_at(request, self._clock())
        begins = self._claim(written_at, deadline)
        if begins is None:
            return RunReport(covered=True, total_ms=(deadline.clock.monotonic() - begun) * 1000)
        deadline.sleep(max(0.0, (begins - self._clock()).total_seconds()))
        now = self._clock()
        self._claims.refresh(self._runner.recent_events(now), deadline)
        return self._runner.look(now, deadline)

    def _claim(self, written_at: datetime, deadline: Deadline) -> datetime | None:
        """When the look begins that this request has to make; None where another one finds its documents."""
        for _ in range(_CLAIMS):
            last = self._claims.last(deadline)
            now = self._clock()
            is_known = last is not None and last.begins <= now + INTERVAL + _CLOCKS  # else a wrong clock's
            if last and is_known and written_at + _CLOCKS < last.begins:
                return None
            begins = max(now, last.begins + INTERVAL) if last and is_known else now
            if self._claims.claim(last, begins, deadline):
                return begins
        return None


def _written_at(request: Mapping[str, Any], now: datetime) -> datetime:
    """When the documents were written; now, where a request does not say so."""
    try:
        return min(moment_of(request[WRITTEN_AT]), now)
    except (KeyError, TypeError, ValueError):
        return now
