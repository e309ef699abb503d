"""What databases are called: documents of the inventory -> the fields that events carry besides the resource id.

An activity stream knows resource ids alone: `cluster-…` of the database, `db-…` of the instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
        """The fields of one database's events: databaseIdentifier, instanceIdentifier and databaseTags, as known.

        Where account or region is empty, as in a monitor's notification, the resource id decides, if one has it.
        """
        found = self.databases.get((account_id, region, resource_id))
        if found is None and resource_id and not (account_id and region):
            alike = [
                one
                for (account, where, own), one in self.databases.items()
                if own == resource_id and account_id in ("", account) and region in ("", where)
            ]
            found = alike[0] if len(alike) == 1 else None
        if found is None:
            return {}
        instance = found.instances.get(instance_id)
        return {**found.fields, INSTANCE: instance} if instance else found.fields

    @property
    def resource_ids(self) -> list[str]:
        """The databases that have a name, in order."""
        return sorted({resource_id for _, _, resource_id in self.databases})

    @property
    def instance_ids(self) -> list[str]:
        """The instances that have a name, in order."""
        return sorted({instance_id for one in self.databases.values() for instance_id in one.instances})


def database_called(documents: Iterable[Document], names: Sequence[str]) -> Document | None:
    """The database that the first possible of these names means: a resource id, an identifier, or an instance's.

    Of those that were called so one after the other, the one that is there, or was there last.
    """
    known = list(documents)
    for name in names:
        if found := [one for one in known if name in _called(one)]:
            return max(found, key=lambda one: (not one.get("goneSince"), one.get("goneSince", ""), one["resourceId"]))
    return None


def _called(document: Document) -> set[str]:
    instances = document.get("instances", ())
    return {
        document["resourceId"],
        document.get("databaseIdentifier", ""),
        *(one.get("instanceIdentifier", "") for one in instances),
        *(one.get("resourceId", "") for one in instances),
    }


def fields_read(tags: Sequence[str]) -> tuple[str, ...]:
    """The fields of a document that names are made of."""
    names = ("databaseIdentifier", "resourceId", "awsAccountId", "awsRegion", "goneSince")
    instances = ("instances.instanceIdentifier", "instances.resourceId")
    return (*names, *instances, *(f"tags.{name}" for name in tags))


def _fields(document: Document, tags: Sequence[str]) -> dict[str, Any]:
    """A tag is one word, `env=prod`: so that any name of a tag is searched, counted and grouped without a mapping."""
    fields: dict[str, Any] = {IDENTIFIER: document["databaseIdentifier"]}
    known = document.get("tags", {})
    if chosen := [f"{name}={known[name]}" for name in tags if name in known]:
        fields[TAGS] = chosen
    return fields
