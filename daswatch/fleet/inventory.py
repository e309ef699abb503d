"""The inventory: what was known of the fleet, and what was seen of it now -> the documents that change.

Only a place that was looked at is changed: where a look failed, whatever was known stays. A database that its place no
longer describes is gone since then, and stays readable. A name that another resource has now has moved: after a
blue/green switchover, a restore or a rename.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daswatch.activity_streams.lifecycle import Status
from daswatch.fleet.database import Document, Facts, FleetDatabase, Place, document_of

# What the inventory adds to what a region describes. All else of a document is as described now.
_KEPT = (
    "firstSeen",
    "formerIdentifiers",
    "nameSince",
    "replaces",
    "replacedBy",
    "streamSince",
    "lastPulse",
    "lastEvent",
    "verdict",
    "verdictSince",
    "enrolmentFailure",
    "enrolmentSince",
    "findingState",
    "gapState",
)


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one place, or why nothing was: `failure` is empty after a whole look.

    `facts` are those of databases by the ids of their documents, as far as AWS says them.
    """

    place: Place
    databases: tuple[FleetDatabase, ...] = ()
    facts: Mapping[str, Facts] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class NameMoved:
    """A name that was one resource's is another's now, both by the ids of their documents."""

    identifier: str
    place: Place
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class InventoryUpdate:
    """All documents of the places that were looked at, by id; which names moved, and which places were not seen."""

    documents: Mapping[str, Document] = field(default_factory=dict)
    moved: tuple[NameMoved, ...] = ()
    unseen: Mapping[Place, str] = field(default_factory=dict)  # with the reason


def updated(known: Mapping[str, Document], looks: Iterable[Look], now: str) -> InventoryUpdate:
    """Bring the inventory up to date. `known` are the documents by id, `now` is ISO 8601 in UTC."""
    documents: dict[str, dict[str, Any]] = {}
    moved: list[NameMoved] = []
    unseen: dict[Place, str] = {}
    by_place: dict[Place, dict[str, Document]] = {}
    for id_, document in known.items():
        by_place.setdefault(place_of(document), {})[id_] = document
    for look in looks:
        if look.failure:
            unseen[look.place] = look.failure
            continue
        before = by_place.get(look.place, {})
        described = {database.id: document_of(database) for database in look.databases}
        # Who had a name last: those that are gone only where no other had it since.
        holders = {_name(one): id_ for id_, one in sorted(before.items(), key=lambda item: _last_had(item[1]))}
        documents |= {
            id_: _seen_again(one, before.get(id_), now, is_first=not before) for id_, one in described.items()
        }
        documents |= {
            id_: {**one, "goneSince": one.get("goneSince", now)} for id_, one in before.items() if id_ not in described
        }
        for id_, document in described.items():
            holder = holders.get(_name(document), id_)
            if holder != id_:
                moved.append(NameMoved(document["databaseIdentifier"], look.place, holder, id_))
                documents[id_] |= {"replaces": documents[holder]["resourceId"]}
                documents[holder] |= {"replacedBy": document["resourceId"]}
                documents[id_].pop("replacedBy", None)
                documents[holder].pop("replaces", None)
    return InventoryUpdate(documents, tuple(moved), unseen)


def place_of(document: Document) -> Place:
    """Where the database of a document is."""
    return Place(document["awsAccountId"], document["awsRegion"])


def _name(document: Document) -> tuple[str, str]:
    """Clusters and instances may have the same name."""
    return document["databaseKind"], document["databaseIdentifier"]


def _last_had(document: Document) -> tuple[bool, str]:
    """Orders documents by when their database was last seen under its name."""
    return "goneSince" not in document, document["lastSeen"]


def _seen_again(document: Document, before: Document | None, now: str, *, is_first: bool) -> dict[str, Any]:
    """A document with what is known of its database. At the first look at a place no stream is taken for a new one."""
    was_on = is_first if before is None else before["streamStatus"] == Status.STARTED
    before = before or {}
    kept = {name: before[name] for name in _KEPT if name in before}
    if "goneSince" in before:  # what it was before it was gone is not what it has been since
        kept.pop("verdictSince", None)
    seen = {"firstSeen": now, **kept, **document, "lastSeen": now}
    name = before.get("databaseIdentifier")
    if name and name != document["databaseIdentifier"]:
        seen["formerIdentifiers"] = list(dict.fromkeys((*before.get("formerIdentifiers", ()), name)))
        seen["nameSince"] = now
    if document["streamStatus"] != Status.STARTED:
        seen.pop("streamSince", None)
    elif not was_on:
        seen["streamSince"] = now
    return seen
