"""The SQL that a finding shows: the shape of an alert's pivot event, and its redacted sample statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daswatch.alerts.alert import Alert
from daswatch.alerts.findings import Statements
from daswatch.deadline import Deadline
from daswatch.documents.redaction import NEEDED_FIELDS, SQL_FIELDS, Redaction, redacted
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.saved_queries import SavedQueries

_MOST = 3  # in one finding


class StatementReader:
    """Reads the statements of alerts from the events' indices."""

    def __init__(self, queries: SavedQueries, index: str, redaction: Redaction) -> None:
        self._queries = queries
        self._index = index
        self._redaction = redaction

    def read(self, alerts: Sequence[Alert], deadline: Deadline) -> Mapping[str, Statements]:
        """Return the statements of alerts by id; none while OpenSearch cannot be read, as findings do not wait."""
        samples = {alert.id: alert.samples[:_MOST] for alert in alerts}
        pivots = {alert.id: alert.pivot.id for alert in alerts if alert.pivot}
        ids = sorted({event_id for event_ids in samples.values() for event_id in event_ids} | set(pivots.values()))
        if not ids:
            return {}
        try:
            found = self._queries.documents(ids, (*NEEDED_FIELDS, *SQL_FIELDS), self._index, deadline)
        except SearchUnavailable:
            return {}
        return {
            alert_id: Statements(
                _text(found.get(pivots.get(alert_id, "")), max(self._redaction, Redaction.LITERALS, key=_ORDER.index)),
                tuple(filter(None, (_text(found.get(event_id), self._redaction) for event_id in event_ids))),
            )
            for alert_id, event_ids in samples.items()
        }


_ORDER = (Redaction.OFF, Redaction.LITERALS, Redaction.HASH)


def _text(source: dict[str, Any] | None, redaction: Redaction) -> str:
    """A statement as it may be shown; empty where there is none, or none may be."""
    if source is None:
        return ""
    text: str = redacted(source, source.get("engine", ""), redaction).get("commandText", "")
    return text
