"""What clients without an actor do, and which entries of the table of actors that suggests.

In: the events of a span, day by day. Out: the search for a day's clients, and entries to propose: of clients whose
statements are such that detections look at them. Pure; what a client is there for is for its owner to say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from daswatch.documents.activity import Activity
from daswatch.documents.actors import ActorEntry, ActorKind
from daswatch.queries.known_clients import CLIENT_FIELDS, Client, client_of
from daswatch.queries.saved_query import Window, sources_of

_CLIENTS_PER_PAGE = 1_000  # times the buckets of each, below OpenSearch's 65,535
_ACTIVITIES = 12
_SIGNALS = 40
_SHARE = 0.5  # of a client's statements, by which it is known for them

# What a name says, by the beginning of a word in it; the first that is found counts.
_WORDS = (
    (ActorKind.MIGRATION, ("migrat", "deploy", "release", "schema")),
    (ActorKind.BACKUP, ("backup", "bkp", "dump", "archive")),
    (ActorKind.ROTATION, ("rotat", "vault", "secret")),
    (ActorKind.MONITORING, ("monitor", "metric", "health", "probe", "exporter", "observ")),
    (ActorKind.MAINTENANCE, ("partition", "vacuum", "maint", "reindex", "housekeep")),
    (ActorKind.ETL, ("etl", "elt", "loader", "sync", "replic", "cdc", "ingest", "warehouse")),
    (ActorKind.BI, ("report", "dashboard", "analyt", "bi")),
    (ActorKind.SCHEDULER, ("cron", "job", "batch", "sched")),
    (ActorKind.TEST, ("ci", "test", "bench")),
)
_WORD = re.compile(r"[a-z]+")
_DUMPS = ("dump-query", "export")
_ACCOUNTS = ("account-creation", "account-change", "privilege-grant")
_NO_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(slots=True)
class Usage:
    """What one client did."""

    client: Client
    events: int = 0
    days: int = 0
    activities: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An entry to propose, and what it is made of."""

    entry: ActorEntry
    usage: Usage


def usage_query(day: Window, after: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body of the search for what the clients without an actor did in a day; `after` is the last one known."""
    composite: dict[str, Any] = {
        "size": _CLIENTS_PER_PAGE,
        "sources": sources_of(CLIENT_FIELDS),
    }
    if after:
        composite["after"] = dict(after)
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {
            "bool": {
                "filter": [day.filter, {"exists": {"field": "dbUserName"}}],
                "must_not": [
                    {"exists": {"field": "actor"}},
                    {"term": {"activity": str(Activity.AUTH_FAILURE)}},
                ],
            }
        },
        "aggs": {
            "clients": {
                "composite": composite,
                "aggs": {
                    "activities": {"terms": {"field": "activity", "size": _ACTIVITIES}},
                    "signals": {"terms": {"field": "signals", "size": _SIGNALS}},
                },
            }
        },
    }


def next_clients(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The client after which to go on, where there may be more."""
    found = answer.get("aggregations", {}).get("clients", {})
    after: Mapping[str, Any] | None = found.get("after_key")
    return after if len(found.get("buckets", ())) == _CLIENTS_PER_PAGE else None


def add_day(usages: dict[Client, Usage], answers: Iterable[Mapping[str, Any]]) -> None:
    """Add what a day's answers found."""
    seen: set[Client] = set()
    for answer in answers:
        for bucket in answer.get("aggregations", {}).get("clients", {}).get("buckets", ()):
            client = client_of(bucket["key"])
            usage = usages.setdefault(client, Usage(client))
            usage.events += bucket["doc_count"]
            usage.days += client not in seen
            seen.add(client)
            usage.activities.update({one["key"]: one["doc_count"] for one in bucket["activities"]["buckets"]})
            usage.signals.update({one["key"]: one["doc_count"] for one in bucket["signals"]["buckets"]})


def suggestions(usages: Iterable[Usage], days: int) -> list[Suggestion]:
    """The entries to propose, those of the most events first."""
    found: list[Suggestion] = []
    names: Counter[str] = Counter()
    for usage in sorted(usages, key=lambda one: (-one.events, one.client.user, one.client.application)):
        if kind := suggested_kind(usage):
            name = _NO_NAME.sub("-", usage.client.user.lower()).strip("-") or kind.value
            names[name] += 1
            own = name if names[name] == 1 else f"{name}-{names[name]}"
            found.append(Suggestion(_entry(own, kind, usage, days), usage))
    return found


def suggested_kind(usage: Usage) -> ActorKind | None:
    """What a client may be there for, by its statements and its names; None of one that detections do not look at."""
    by_statements = _by_statements(usage)
    return (_by_name(usage.client) or by_statements) if by_statements else None


def statements_in_words(usage: Usage) -> str:
    """What kind of statements a client sends."""
    counted = [*usage.activities.most_common(3), *usage.signals.most_common(3)]
    return ", ".join(f"{name} {count:,}" for name, count in counted)


def _by_statements(usage: Usage) -> ActorKind | None:
    def share(count: int) -> float:
        return count / usage.events

    if any(usage.signals[name] for name in _DUMPS):
        return ActorKind.BACKUP
    if usage.activities[Activity.DDL]:
        drops = usage.signals["partition-drop"]
        return ActorKind.MAINTENANCE if drops and drops >= usage.signals["object-drop"] else ActorKind.MIGRATION
    if usage.activities[Activity.DCL] or any(usage.signals[name] for name in _ACCOUNTS):
        return ActorKind.ROTATION
    if share(usage.signals["catalog-read"]) >= _SHARE:
        return ActorKind.MONITORING
    return None


def _by_name(client: Client) -> ActorKind | None:
    words = _WORD.findall(f"{client.user} {client.application}".lower())
    for kind, beginnings in _WORDS:
        if any(word == text or (len(text) > 3 and word.startswith(text)) for word in words for text in beginnings):
            return kind
    return None


def _entry(name: str, kind: ActorKind, usage: Usage, days: int) -> ActorEntry:
    client = usage.client
    reason = f"Active on {usage.days} of {days} days ({statements_in_words(usage)}); not confirmed by an owner yet."

    def listed(text: str) -> tuple[str, ...]:
        return (text,) if text else ()

    return ActorEntry(name, kind, reason, listed(client.user), listed(client.application), listed(client.network))


def as_yaml(found: Sequence[Suggestion]) -> str:
    """The section `actors` of a tuning file; texts are written as JSON, which is YAML."""
    lines = ["actors:"] if found else ["actors: {}"]
    for one in found:
        entry = one.entry
        lines += [f"  {entry.name}:", f"    kind: {entry.kind}"]
        for field_name in ("users", "applications", "networks"):
            if values := getattr(entry, field_name):
                lines.append(f"    {field_name}: [{', '.join(map(_quoted, values))}]")
        lines.append(f"    reason: {_quoted(entry.reason)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
