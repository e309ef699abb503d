"""The times that a replay filled, to be looked at by detections."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from daswatch.queries.backtests import Period

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
