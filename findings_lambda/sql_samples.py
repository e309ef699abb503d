"""The SQL that a finding shows: the redacted statements of an alert's sample events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daswatch.alerts.alert import Alert
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

    def read(self, alerts: Sequence[Alert], deadline: Deadline) -> Mapping[str, Sequence[str]]:
        """Return redacted statements by alert id; none while OpenSearch cannot be read, as findings do not wait."""
        samples = {alert.id: alert.samples[:_MOST] for alert in alerts}
        ids = sorted({event_id for event_ids in samples.values() for event_id in event_ids})
        if not ids:
            return {}
        try:
            found = self._queries.documents(ids, (*NEEDED_FIELDS, *SQL_FIELDS), self._index, deadline)
        except SearchUnavailable:
            return {}
        statements = {
            event_id: redacted(source, source.get("engine", ""), self._redaction).get("commandText")
            for event_id, source in found.items()
        }
        return {
            alert_id: [text for event_id in event_ids if (text := statements.get(event_id))]
            for alert_id, event_ids in samples.items()
        }
