"""Who opened evidence, when, which and what for; and how far that came, so that the same can go on there.

A reading is noted before the first record is opened, then while it goes on, then at its end. Each call is a document of
its own: one that goes on where another ended names it, and does not write over it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import orjson

from daswatch.canonical import canonical_json
from daswatch.errors import ReadingUnrecorded
from daswatch.evidence.replay import Selection
from daswatch.times import iso_milliseconds

RUNNING, STOPPED, DONE = "running", "stopped", "done"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who reads, as AWS knows them."""

    arn: str
    id: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Purpose:
    """What is read and where it goes. The same purpose goes on where an unfinished reading ended."""

    source: str
    target: str
    selection: Selection = field(default_factory=Selection)

    @property
    def fields(self) -> dict[str, Any]:
        """As JSON, without what is not limited."""
        limits = self.selection
        named = {
            "source": self.source,
            "target": self.target,
            "from": iso_milliseconds(limits.begin) if limits.begin else "",
            "to": iso_milliseconds(limits.end) if limits.end else "",
            "resourceIds": sorted(limits.resource_ids),
            "activities": sorted(limits.activities),
            "notReasons": sorted(limits.not_reasons),
        }
        return {name: value for name, value in named.items() if value}

    @property
    def job(self) -> str:
        """A name for it: the same for each reading with this purpose."""
        return blake2b(canonical_json(self.fields), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A reading that did not come to its end: its id, the last key that is done, and what its target noted."""

    id: str
    position: str
    mark: Mapping[str, Any] = field(default_factory=dict)


class Readings(Protocol):
    """Where readings are noted."""

    def unfinished(self, job: str) -> Unfinished | None:
        """The last reading of this job, unless it came to its end. Raises DependencyError."""
        ...

    def note(self, id_: str, document: Mapping[str, Any]) -> None:
        """Write a reading in the place of what was noted of it before. Raises DependencyError."""
        ...


class FileReadings:
    """Readings in a file next to the rows that they write: one line for each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def unfinished(self, job: str) -> Unfinished | None:
        found = [one for one in self._read().values() if one.get("job") == job]
        return unfinished(found)

    def note(self, id_: str, document: Mapping[str, Any]) -> None:
        kept = {**self._read(), id_: {**document, "id": id_}}
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            with fresh.open("wb") as file:
                file.write(b"".join(orjson.dumps(one) + b"\n" for one in kept.values()))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as exc:
            raise ReadingUnrecorded(f"{self._path} cannot be written: {type(exc).__name__}") from exc

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            lines = self._path.read_bytes().splitlines()
            documents = [orjson.loads(line) for line in lines]
            return {one["id"]: one for one in documents}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ReadingUnrecorded(f"{self._path} is not a list of readings: {type(exc).__name__}") from exc


def unfinished(documents: Sequence[Mapping[str, Any]]) -> Unfinished | None:
    """The last of these readings of one job, with its `id`, unless it came to its end."""
    last = max(documents, key=lambda one: str(one.get("@timestamp", "")), default=None)
    if last is None or last.get("state") == DONE or not last.get("position"):
        return None
    return Unfinished(last["id"], last["position"], last.get("mark") or {})
