"""Which databases are to be watched: by name, by tag, or all that can be; except those that their owner excepts.

In: the setting DATABASES, and databases as their region describes them. Out: whether a database is selected, and by
what.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from daswatch.activity_streams.lifecycle import DatabaseName, read_name
from daswatch.errors import StreamRefused
from daswatch.fleet.database import FleetDatabase

LOOKS_LIKE = "names like cluster:orders or db:ledger, tags like tag:daswatch=on, or all; separated by commas"
_ALL = "all"
_TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected: a database is if any of these names it."""

    names: frozenset[DatabaseName] = field(default_factory=frozenset)  # without account and region
    tags: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    everything: bool = False

    @classmethod
    def parse(cls, text: str) -> Selection:
        """From the setting. Raises ValueError with the part that cannot be read."""
        names: set[DatabaseName] = set()
        tags: set[tuple[str, str]] = set()
        parts = [part.strip() for part in text.split(",") if part.strip()]
        for part in parts:
            if part.startswith(_TAG):
                name, separator, value = part.removeprefix(_TAG).partition("=")
                if not name or not separator:
                    raise ValueError(part)
                tags.add((name, value))
            elif part != _ALL:
                names.add(_own_name(part))
        return cls(frozenset(names), frozenset(tags), _ALL in parts)

    def reason(self, database: FleetDatabase) -> str:
        """By what a database is selected; empty if by nothing."""
        name = database.rds.name
        if DatabaseName(name.kind, name.identifier) in self.names:
            return f"{name} is listed"
        for tag, value in sorted(self.tags):
            if database.tags.get(tag) == value:
                return f"tag {tag}={value}"
        return "all databases are selected" if self.everything else ""

    def missing(self, databases: list[FleetDatabase]) -> list[DatabaseName]:
        """The names that no database has."""
        present = {(one.rds.name.kind, one.rds.name.identifier) for one in databases}
        return sorted((one for one in self.names if (one.kind, one.identifier) not in present), key=str)


def _own_name(text: str) -> DatabaseName:
    try:
        name = read_name(text)
    except StreamRefused as exc:
        raise ValueError(text) from exc
    return DatabaseName(name.kind, name.identifier)
