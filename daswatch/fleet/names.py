"""What databases are called: documents of the inventory -> the fields that events carry besides the resource id.

An activity stream knows resource ids alone: `cluster-…` of the database, `db-…` of the instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from daswatch.alerts.alert import Database
from daswatch.fleet.database import Document

IDENTIFIER, INSTANCE, TAGS = NAME_FIELDS = ("databaseIdentifier", "instanceIdentifier", "databaseTags")


@dataclass(frozen=True, slots=True)
class _Database:
    fields: Mapping[str, Any]
    instances: Mapping[str, str]  # resource id -> identifier


@dataclass(frozen=True, slots=True)
class Names:
    """The names of databases by account, region and resource id. What is unknown has no fields."""

    databases: Mapping[tuple[str, str, str], _Database] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Document], tags: Sequence[str]) -> Names:
        """From documents of `das-databases`, with the chosen tags. A database that is gone keeps its name."""
        return cls(
            {
                (one["awsAccountId"], one["awsRegion"], one["resourceId"]): _Database(
                    _fields(one, tags),
                    {
                        member["resourceId"]: member["instanceIdentifier"]
                        for member in one.get("instances", ())
                        if "resourceId" in member
                    },
                )
                for one in documents
                if one.get("databaseIdentifier")
            }
        )

    def fields(self, account_id: str, region: str, resource_id: str, instance_id: str = "") -> Mapping[str, Any]:
        """The fields of one database's events: databaseIdentifier, instanceIdentifier and databaseTags, as known."""
        found = self.databases.get((account_id, region, resource_id))
        if found is None:
            return {}
        instance = found.instances.get(instance_id)
        return {**found.fields, INSTANCE: instance} if instance else found.fields

    def named(self, database: Database) -> Database:
        """The database of an alert with its identifier and tags.

        A monitor's notification names neither account nor region: there, the resource id alone decides.
        """
        found = [
            one
            for (account_id, region, resource_id), one in self.databases.items()
            if resource_id == database.resource_id
            and database.aws_account_id in ("", account_id)
            and database.aws_region in ("", region)
        ]
        if len(found) != 1:
            return database
        fields = found[0].fields
        return replace(database, identifier=fields[IDENTIFIER], tags=tuple(fields.get(TAGS, ())))

    @property
    def resource_ids(self) -> list[str]:
        """The databases that have a name, in order."""
        return sorted({resource_id for _, _, resource_id in self.databases})

    @property
    def instance_ids(self) -> list[str]:
        """The instances that have a name, in order."""
        return sorted({instance_id for one in self.databases.values() for instance_id in one.instances})


def fields_read(tags: Sequence[str]) -> tuple[str, ...]:
    """The fields of a document that names are made of."""
    names = ("databaseIdentifier", "resourceId", "awsAccountId", "awsRegion")
    instances = ("instances.instanceIdentifier", "instances.resourceId")
    return (*names, *instances, *(f"tags.{name}" for name in tags))


def _fields(document: Document, tags: Sequence[str]) -> dict[str, Any]:
    """A tag is one word, `env=prod`: so that any name of a tag is searched, counted and grouped without a mapping."""
    fields: dict[str, Any] = {IDENTIFIER: document["databaseIdentifier"]}
    known = document.get("tags", {})
    if chosen := [f"{name}={known[name]}" for name in tags if name in known]:
        fields[TAGS] = chosen
    return fields
