"""What databases are called now, by the inventory: for alerts, and for calls of AWS's API."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from daswatch.deadline import Deadline
from daswatch.fleet.names import Names, fields_read
from daswatch.opensearch.database_index import DatabaseIndex

_LONGEST_SECONDS = 5.0  # an alert is raised without a name too


class NameLookup:
    """The names of one deployment's databases."""

    def __init__(self, databases: DatabaseIndex, tags: Sequence[str]) -> None:
        self._databases = databases
        self._tags = tags

    def read(self, resource_ids: Collection[str], deadline: Deadline) -> Names:
        """The names of some databases. Raises SearchUnavailable."""
        if not resource_ids:
            return Names()
        found = self._databases.read(deadline.at_most(_LONGEST_SECONDS), fields_read(self._tags), resource_ids)
        return Names.of(found.values(), self._tags)
