"""What databases are called now, by the inventory: for alerts, and for calls of AWS's API."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opensearchpy import OpenSearch

from daswatch.alerts.alert import Database
from daswatch.deadline import Deadline
from daswatch.fleet.database import Place
from daswatch.fleet.names import IDENTIFIER, TAGS, Names, database_called, fields_read
from daswatch.indices import Indices
from daswatch.opensearch.database_documents import read_documents

_LONGEST_SECONDS = 5.0  # an alert is raised without a name too


class NameLookup:
    """The names of one deployment's databases."""

    def __init__(self, client: OpenSearch, indices: Indices, tags: Sequence[str]) -> None:
        self._client = client
        self._index = indices.databases
        self._tags = tags

    def read(self, resource_ids: Collection[str], deadline: Deadline) -> Names:
        """The names of some databases, however long they are gone: nothing is kept. Raises SearchUnavailable."""
        if not resource_ids:
            return Names()
        until = deadline.at_most(_LONGEST_SECONDS)
        found = read_documents(self._client, self._index, until, fields_read(self._tags), resource_ids)
        return Names.of(found.values(), self._tags)

    def find(self, account_id: str, region: str, called: Sequence[str], deadline: Deadline) -> Mapping[str, Any]:
        """The resource id and the name of the database that is called so there. Raises SearchUnavailable."""
        if not called:
            return {}
        until, place = deadline.at_most(_LONGEST_SECONDS), Place(account_id, region)
        fields = fields_read(self._tags)
        found = read_documents(self._client, self._index, until, fields, place=place, called=called)
        database = database_called(found.values(), called)
        if database is None:
            return {}
        resource_id = database["resourceId"]
        names = Names.of([database], self._tags).fields(account_id, region, resource_id)
        return {"resourceId": resource_id, **names}


def named(database: Database, names: Names) -> Database:
    """The database of an alert with its identifier and tags, as far as they are known."""
    fields = names.fields(database.aws_account_id, database.aws_region, database.resource_id)
    if not fields:
        return database
    return replace(database, identifier=fields[IDENTIFIER], tags=tuple(fields.get(TAGS, ())))
