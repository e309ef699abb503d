"""The times that a replay filled, and the alerts of what detections find in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from daswatch.alerts.alert import Alert, Firing, advance
from daswatch.queries.backtests import Period
from daswatch.times import iso_milliseconds, moment_of

_HOUR = timedelta(hours=1)


def spans_of(hours: Iterable[datetime], most: int) -> list[Period]:
    """Hours as spans, in their order: those that follow one another are one. Beyond `most`, the closest join."""
    spans: list[Period] = []
    for hour in sorted(hours):
        if spans and hour <= spans[-1].end:
            spans[-1] = Period(spans[-1].begin, hour + _HOUR)
        else:
            spans.append(Period(hour, hour + _HOUR))
    while len(spans) > most:
        gaps = [later.begin - earlier.end for earlier, later in pairwise(spans)]
        at = gaps.index(min(gaps))
        spans[at : at + 2] = [Period(spans[at].begin, spans[at + 1].end)]
    return spans


def replayed_alert(before: Alert | None, firings: Sequence[Firing], quiet_seconds: int, now: datetime) -> Alert | None:
    """A group's alert after what was found in replayed time, oldest first: as it would have been raised then.

    None where its alert has events of the same time, or of a later one: its episodes are numbered in their order, and
    what was published of the later one stays.
    """
    first, last = firings[0], firings[-1]
    if before and moment_of(first.first_seen) - moment_of(before.last_seen) < timedelta(seconds=quiet_seconds):
        return None
    alert = before
    for firing in firings:
        alert = advance(alert, firing, quiet_seconds, moment_of(firing.last_seen))
    if alert is None or alert.last_seen != last.last_seen:
        return None
    return advance(replace(alert, replayed_at=iso_milliseconds(now)), None, quiet_seconds, now)
