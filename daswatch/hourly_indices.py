"""Which days' events are in an index for each hour, instead of one for the day.

Only the time of an event decides, so a record that is delivered again, or replayed years later, comes to the same
index, where its documents are there already: ids are unique within one index alone. A span is therefore never changed
once its days have begun (docs/decisions/0026-hourly-indices.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

OPEN = ".."  # ISO 8601-2's end of a span that has none
LOOKS_LIKE = "days as FIRST/LAST, with .. for no end, like 2027-01-15/.."
# A span begins or ends so many days from now at least: clocks of databases are ahead, and functions are updated one
# after the other.
NOTICE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class HourlyIndices:
    """Spans of days, both of them included, as ISO 8601 dates; an open end is the last day that there can be."""

    spans: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> HourlyIndices:
        """From `FIRST/LAST`, several with a comma between them. Raises ValueError."""
        spans: list[tuple[str, str]] = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            first, separator, last = part.partition("/")
            if not separator:
                raise ValueError(LOOKS_LIKE)
            begin = date.fromisoformat(first)
            end = date.max if last == OPEN else date.fromisoformat(last)
            if end < begin or (spans and begin.isoformat() <= spans[-1][1]):
                raise ValueError("days in their order, no day twice")
            spans.append((begin.isoformat(), end.isoformat()))
        return cls(tuple(spans))

    def __str__(self) -> str:
        last_day = date.max.isoformat()
        return ",".join(f"{first}/{OPEN if last == last_day else last}" for first, last in self.spans)

    def __contains__(self, day: str) -> bool:
        return any(first <= day <= last for first, last in self.spans)

    def suffix(self, timestamp: str) -> str:
        """The end of an index's name, `2031.03.04` or `2031.03.04.12`, for a time in UTC as ISO 8601."""
        length = 13 if self.spans and timestamp[:10] in self else 10
        return timestamp[:length].replace("-", ".").replace("T", ".")

    def first_difference(self, other: HourlyIndices) -> date | None:
        """The first day on which the two do not agree."""
        edges = {date.fromisoformat(first) for first, _ in (*self.spans, *other.spans)}
        edges |= {
            date.fromisoformat(last) + timedelta(days=1)
            for _, last in (*self.spans, *other.spans)
            if last != date.max.isoformat()
        }
        return next((edge for edge in sorted(edges) if (edge.isoformat() in self) != (edge.isoformat() in other)), None)


DAILY = HourlyIndices()
