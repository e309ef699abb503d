"""Deep links: from an alert to its events, in Discover of OpenSearch Dashboards.

In: a Lucene query and a span of time. Out: a URL that every version of Dashboards opens. No link carries SQL: what a
link holds ends up in mails, tickets and browser histories.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from daswatch.alerts.alert import Alert
from daswatch.detections.detection import Detection, Source
from daswatch.detections.lucene import group_query
from daswatch.detections.saved_searches import pattern_id
from daswatch.indices import DEFAULT_INDEX_PREFIX, Indices
from daswatch.times import iso_milliseconds

MAX_URL = 2_000  # characters; mail programs and chats cut longer links

_ALERT_COLUMNS = ("level", "title", "databaseIdentifier", "dbUserName", "remoteHost", "clientApplication", "count")
EVENT_COLUMNS = ("dbUserName", "remoteHost", "databaseName", "activity", "objects")
_WHOLE_DOCUMENT = ("_source",)

_SESSION_COLUMNS = ("dbUserName", "activity", "outcome", "objects", "rowCount", "commandText")

_SESSION = timedelta(days=1)  # of the session on each side of an event: pools keep theirs for weeks
_PADDING = timedelta(minutes=1)  # what happened just before and after belongs to the picture


def discover_url(
    dashboards_url: str,
    query: str,
    first_seen: str,
    last_seen: str,
    index_pattern: str = DEFAULT_INDEX_PREFIX,
    fallback_query: str = "",
    columns: Sequence[str] = EVENT_COLUMNS,
    padding: timedelta = _PADDING,
) -> str:
    """Discover with a Lucene query over a span of time, with a minute more on both sides; empty without Dashboards.

    A link that would be too long gets `fallback_query` instead, and if that is too long as well, no query: it shows
    more then, never something else. `index_pattern` is the id of the saved object.

    The form is that of Dashboards before 2.10, which all later versions translate (2.10 to 2.14 lose the time:
    OpenSearch-Dashboards issue 6766). The translation ends at the first slash, so a slash is encoded.
    """
    if not dashboards_url:
        return ""
    begin = iso_milliseconds(_moment(first_seen) - padding)
    end = iso_milliseconds(_moment(last_seen) + padding)
    shown = ",".join(_rison(column) for column in columns)

    def link(lucene: str) -> str:
        return (
            f"{dashboards_url.rstrip('/')}/app/discover#/"
            f"?_g=(filters:!(),refreshInterval:(pause:!t,value:0),time:(from:{_rison(begin)},to:{_rison(end)}))"
            f"&_a=(columns:!({shown}),filters:!(),index:{_rison(index_pattern)},interval:auto,"
            f"query:(language:lucene,query:{_rison(lucene)}),sort:!())"
        )

    urls = (link(lucene) for lucene in (query, fallback_query))
    return next((url for url in urls if len(url) <= MAX_URL), link(""))


def alert_url(dashboards_url: str, alert: Alert, detection: Detection | None, indices: Indices) -> str:
    """Where an alert's events are: the detection's query for its database and group, over the episode."""
    resource_id, group = alert.database.resource_id, alert.group
    source = detection.source if detection else Source.EVENTS
    return discover_url(
        dashboards_url,
        group_query(detection.query if detection else "", resource_id, group),
        min(alert.first_seen, alert.last_seen),
        max(alert.first_seen, alert.last_seen),
        pattern_id(source, indices),
        group_query("", resource_id, group),
        EVENT_COLUMNS if source is Source.EVENTS else _WHOLE_DOCUMENT,
    )


def session_urls(dashboards_url: str, alert: Alert, indices: Indices) -> tuple[str, str]:
    """What the session of an alert's pivot event did up to that event, and from it on; empty without a session."""
    pivot = alert.pivot
    if pivot is None or not pivot.session_id or not alert.database.resource_id:
        return "", ""
    query = group_query("", alert.database.resource_id, {"sessionId": pivot.session_id})
    at = _moment(pivot.at)
    before, after = (
        discover_url(
            dashboards_url,
            query,
            iso_milliseconds(begin),
            iso_milliseconds(end),
            pattern_id(Source.EVENTS, indices),
            columns=_SESSION_COLUMNS,
            padding=timedelta(),
        )
        for begin, end in ((at - _SESSION, at), (at, at + _SESSION))
    )
    return before, after


def alerts_url(dashboards_url: str, alerts: Sequence[Alert], indices: Indices) -> str:
    """Where alerts are themselves: all that are not archived, over the time of these."""
    times = [alert.last_seen for alert in alerts]
    return discover_url(
        dashboards_url,
        "state:active",
        min(times),
        max(times),
        f"{indices.saved_object_start}alerts",
        columns=_ALERT_COLUMNS,
    )


def _moment(iso: str) -> datetime:
    moment = datetime.fromisoformat(iso)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _rison(text: str) -> str:
    """A rison string, percent-encoded; its quotes and the punctuation around it stay readable."""
    escaped = text.replace("!", "!!").replace("'", "!'")
    return f"'{quote(escaped, safe='', errors='replace')}'"
