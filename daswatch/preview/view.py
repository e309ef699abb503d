"""What a page shows, as its URL says it: time range, query and filters.

In: the parameters `from`, `to`, `q` and `f` (repeated) of a URL, all written by people. Out: a span of time, and the
query that narrows the requests of all panels, as the filter bar of Dashboards does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from daswatch.content.dashboards import SavedObject
from daswatch.errors import DaswatchError
from daswatch.preview.dql import DqlError, to_query
from daswatch.preview.panels import PanelSearch, TimeSpan
from daswatch.times import iso_milliseconds

EXISTS, LUCENE = "_exists_", "_lucene_"  # instead of a field: that a field has a value; a query of a panel's bucket
_RELATIVE = re.compile(r"now(?:-(\d{1,5})([smhdw]))?(?:/([mhdw]))?", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
RANGES = (
    ("now-15m", "now"),
    ("now-1h", "now"),
    ("now-24h", "now"),
    ("now-7d", "now"),
    ("now-30d", "now"),
    ("now/d", "now/d"),
    ("now/w", "now/w"),
)


class ViewError(DaswatchError):
    """Stop: a URL asks for what cannot be shown; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition of the filter bar: a field has a value, or not."""

    field: str
    value: str
    negated: bool = False

    @classmethod
    def of(cls, text: str) -> Filter:
        """From a URL's parameter: `field:value`, `-field:value`. Raises ViewError."""
        field, colon, value = text.removeprefix("-").partition(":")
        if not colon or not field:
            raise ViewError(f"the filter {text!r} is not understood (expected: field:value, or -field:value)")
        return cls(field, value, text.startswith("-"))

    def __str__(self) -> str:
        return f"{'-' * self.negated}{self.field}:{self.value}"

    @property
    def label(self) -> str:
        """As people read it."""
        if self.field == LUCENE:
            return f"{'NOT ' * self.negated}{self.value}"
        if self.field == EXISTS:
            return f"{self.value}: {'no value' if self.negated else 'any value'}"
        return f"{'NOT ' * self.negated}{self.field}: {self.value}"

    @property
    def condition(self) -> dict[str, Any]:
        """As Dashboards writes it, without the negation."""
        if self.field == EXISTS:
            return {"exists": {"field": self.value}}
        if self.field == LUCENE:
            return {"query_string": {"query": self.value, "analyze_wildcard": True}}
        return {"match_phrase": {self.field: self.value}}


@dataclass(frozen=True, slots=True)
class View:
    """The parameters of a URL. Without `begin`, a dashboard shows the time that its definition has."""

    begin: str = ""
    end: str = ""
    query: str = ""
    filters: tuple[Filter, ...] = ()

    @classmethod
    def of(cls, parameters: Sequence[tuple[str, str]]) -> View:
        """From the parameters of a URL. Raises ViewError."""
        single = dict(parameters)
        filters = dict.fromkeys(Filter.of(value) for name, value in parameters if name == "f")
        return cls(single.get("from", ""), single.get("to", ""), single.get("q", "").strip(), tuple(filters))

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """What `of` reads."""
        single = (("from", self.begin), ("to", self.end), ("q", self.query))
        return [pair for pair in single if pair[1]] + [("f", str(one)) for one in self.filters]

    def link(self, path: str) -> str:
        """The address of a path with this view."""
        return f"{path}?{urlencode(self.parameters)}" if self.parameters else path

    def filtered(self, *filters: Filter) -> View:
        """With more filters; of one that is there already with the opposite sign, the new one remains."""
        turned = {replace(one, negated=not one.negated) for one in filters}
        kept = [one for one in self.filters if one not in turned]
        return replace(self, filters=tuple(dict.fromkeys([*kept, *filters])))

    def without(self, *filters: Filter) -> View:
        """Without these filters."""
        return replace(self, filters=tuple(one for one in self.filters if one not in filters))

    def at(self, begin: str, end: str) -> View:
        """With another time range."""
        return replace(self, begin=begin, end=end)

    def times(self, dashboard: SavedObject) -> tuple[str, str]:
        """The time range as text: that of the URL, or else that of the dashboard."""
        if self.begin or self.end:
            return self.begin or "now-24h", self.end or "now"
        return str(dashboard.attributes.get("timeFrom", "now-24h")), str(dashboard.attributes.get("timeTo", "now"))

    def span(self, dashboard: SavedObject, now: datetime) -> TimeSpan:
        """The time range. Raises ViewError."""
        begin, end = self.times(dashboard)
        span = TimeSpan(moment(begin, now), moment(end, now, up=True))
        if span.begin >= span.end:
            raise ViewError(f"the time range from {begin} to {end} is empty")
        return span

    def narrowed(self, request: PanelSearch, fields: Mapping[str, str]) -> dict[str, Any]:
        """A panel's body for this query and these filters. Raises ViewError for a query that is not DQL."""
        if not self.query and not self.filters:
            return dict(request.body)
        only = [one.condition for one in self.filters if not one.negated]
        without = [one.condition for one in self.filters if one.negated]
        query = {"filter": [request.body["query"], self.asked(fields), *only], "must_not": without}
        return {**request.body, "query": {"bool": query}}

    def asked(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """The query of the search box. Raises ViewError."""
        try:
            return to_query(self.query, fields)
        except (DqlError, RecursionError) as exc:
            reason = str(exc) if isinstance(exc, DqlError) else "it is too deep"
            raise ViewError(f"The search cannot be read as DQL: {reason}") from exc


def moment(text: str, now: datetime, *, up: bool = False) -> datetime:
    """A time: `now-7d`, `now/w`, or ISO 8601, of which `up` is the end of the unit behind `/`. Raises ViewError."""
    try:
        found = _RELATIVE.fullmatch(text)
        if not found:
            at = datetime.fromisoformat(text)
            return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
        at = now - timedelta(**{_UNITS[found[2]]: int(found[1])}) if found[1] else now
        if not found[3]:
            return at
        at = _rounded(at, found[3])
        return at + timedelta(**{_UNITS[found[3]]: 1}) - timedelta(milliseconds=1) if up else at
    except (ValueError, OverflowError) as exc:
        raise ViewError(
            f"the time {text!r} is not understood (expected: now-24h, now/w, or 2026-03-05T16:00Z)"
        ) from exc


def _rounded(at: datetime, unit: str) -> datetime:
    minute = at.replace(second=0, microsecond=0)
    if unit == "m":
        return minute
    hour = minute.replace(minute=0)
    day = hour.replace(hour=0)
    # Weeks begin on Sunday, the default of Dashboards' setting dateFormat:dow.
    return {"h": hour, "d": day, "w": day - timedelta(days=day.isoweekday() % 7)}[unit]


def range_text(begin: str, end: str) -> str:
    """A time range in words."""
    if (begin, end) in (("now/d", "now/d"), ("now/w", "now/w")):
        return "Today" if begin == "now/d" else "This week"
    ago = _RELATIVE.fullmatch(begin)
    if ago and ago[1] and not ago[3] and end == "now":
        unit = _UNITS[ago[2]]
        return f"Last {ago[1]} {unit}" if ago[1] != "1" else f"Last {unit.removesuffix('s')}"
    return f"{_shown(begin)} to {_shown(end)}"


def _shown(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at:%b} {at.day}, {at:%H:%M}" if at.second == 0 else f"{at:%b} {at.day}, {at:%H:%M:%S}"


def clicked(
    view: View, aggregations: Sequence[Mapping[str, Any]], values: Sequence[Any], width: timedelta | None = None
) -> View:
    """The view that a click on buckets leads to: a filter for each value, and the time of a bar of this width."""
    for aggregation, value in zip(aggregations, values, strict=True):
        params = aggregation["params"]
        if aggregation["type"] == "date_histogram":
            if width and isinstance(value, datetime):
                view = view.at(iso_milliseconds(value), iso_milliseconds(value + width))
        elif aggregation["type"] == "filters":
            labelled = {one.get("label") or one["input"]["query"]: one["input"]["query"] for one in params["filters"]}
            view = view.filtered(Filter(LUCENE, labelled[value]))
        elif params.get("missingBucket") and value == params.get("missingBucketLabel", "Missing"):
            view = view.filtered(Filter(EXISTS, params["field"], negated=True))
        else:
            view = view.filtered(Filter(params["field"], text_of(value)))
    return view


def text_of(value: Any) -> str:
    """A value as a filter has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
