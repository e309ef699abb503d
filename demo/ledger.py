"""What the producer made, and whether the index holds exactly that.

In: one `LedgerEntry` for each activity event of the producer, stating what must become of it, and the
documents that were found in OpenSearch. Out: a `Comparison`. The expectations are written next to the
templates which make the events; nothing here classifies anything, so the ledger can judge the code that does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Engine = Literal["postgresql", "mysql", "oracle", "sqlserver"]
Activity = Literal["CONNECT", "DISCONNECT", "AUTH FAILURE", "DQL", "DML", "DDL", "DCL", "EXEC", "ERROR", "OTHER"]
Outcome = Literal["success", "failure", "unknown"]
Fate = Literal["indexed", "heartbeat", "aws-user"]

# resource id, instance id, logTime, sessionId, statementId, substatementId, command, class
Identity: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One activity event as it went out, and what must become of it.

    `fate` is `indexed` for every event that an analyst must find, failed logins under AWS's user names
    included. `activity` and `outcome` mean nothing for the other fates. `detections` names those that the
    event is meant to raise, alone or with its neighbours of the same `scenario`.
    """

    resource_id: str
    instance_id: str
    engine: Engine
    log_time: str | None
    session_id: str | None
    statement_id: str | None
    substatement_id: str | None
    command: str | None
    event_class: str | None
    user: str | None
    fate: Fate
    activity: Activity
    outcome: Outcome
    scenario: str | None = None
    detections: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        """The values by which the event is found again; unique among the indexed entries of one run."""
        return (
            self.resource_id,
            self.instance_id,
            self.log_time or None,
            self.session_id or None,
            self.statement_id or None,
            self.substatement_id or None,
            self.command or None,
            self.event_class or None,
        )


@dataclass(frozen=True, slots=True)
class Misclassified:
    """An event that is in the index once, under the wrong activity, outcome or engine."""

    entry: LedgerEntry
    activity: str | None
    outcome: str | None
    engine: str | None

    def __str__(self) -> str:
        expected = f"{self.entry.engine} {self.entry.activity} {self.entry.outcome}"
        found = f"{self.engine} {self.activity} {self.outcome}"
        return f"{self.entry.command}: expected {expected}, found {found}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ledger against index.

    `doubled` holds an entry once for each copy too many. `filtered_wrongly` holds heartbeats and events of
    AWS's own users that are in the index; an event that was dropped though it should not have been is in
    `lost`. `unknown` holds documents that no entry explains. `counts` has the entries found, by the
    ledger's activity.
    """

    lost: tuple[LedgerEntry, ...] = ()
    doubled: tuple[LedgerEntry, ...] = ()
    filtered_wrongly: tuple[LedgerEntry, ...] = ()
    unknown: tuple[Mapping[str, Any], ...] = ()
    misclassified: tuple[Misclassified, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not (self.lost or self.doubled or self.filtered_wrongly or self.unknown or self.misclassified)

    @property
    def found(self) -> int:
        """How many entries of fate `indexed` have their document."""
        return sum(self.counts.values())


def document_identity(document: Mapping[str, Any]) -> Identity:
    """The same values as `LedgerEntry.identity`, out of a document's `_source`.

    A document leaves empty strings out and may hold an id as a number or as a string.
    """
    return (
        _text(document.get("resourceId")),
        _text(document.get("instanceId")),
        _text(document.get("logTime")),
        _text(document.get("sessionId")),
        _text(document.get("statementId")),
        _text(document.get("substatementId")),
        _text(document.get("command")),
        _text(document.get("class")),
    )


def compare(entries: Iterable[LedgerEntry], documents: Iterable[Mapping[str, Any]]) -> Comparison:
    """Match every document with its ledger entry by identity and report what does not match.

    Entries of equal identity are possible where a caller replays a record into the ledger; then as many
    documents are expected. A document beyond the expected number is doubled, not unknown.
    """
    waiting: dict[Identity, list[LedgerEntry]] = {}
    noise: dict[Identity, LedgerEntry] = {}
    for entry in entries:
        if entry.fate == "indexed":
            waiting.setdefault(entry.identity, []).append(entry)
        else:
            noise[entry.identity] = entry

    used: dict[Identity, LedgerEntry] = {}
    doubled: list[LedgerEntry] = []
    filtered_wrongly: list[LedgerEntry] = []
    unknown: list[Mapping[str, Any]] = []
    misclassified: list[Misclassified] = []
    counts: Counter[str] = Counter()
    for document in documents:
        identity = document_identity(document)
        expected = waiting.get(identity)
        if expected:
            entry = expected.pop()
            used[identity] = entry
            counts[entry.activity] += 1
            activity, outcome, engine = (document.get(name) for name in ("activity", "outcome", "engine"))
            if (activity, outcome, engine) != (entry.activity, entry.outcome, entry.engine):
                misclassified.append(Misclassified(entry, activity, outcome, engine))
        elif identity in used:
            doubled.append(used[identity])
        elif identity in noise:
            filtered_wrongly.append(noise[identity])
        else:
            unknown.append(document)

    return Comparison(
        lost=tuple(entry for left in waiting.values() for entry in left),
        doubled=tuple(doubled),
        filtered_wrongly=tuple(filtered_wrongly),
        unknown=tuple(unknown),
        misclassified=tuple(misclassified),
        counts=dict(counts),
    )


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
