"""`detections/_actors.yml` and a team's own entries -> the table of actors. Runs when the functions are packaged.

In: YAML. Out: the entries as `daswatch.documents.actors` compiles and reads them, and, for a backtest, the Lucene query
for the events of an actor that were indexed before an entry was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from ipaddress import ip_network

from daswatch.detections.lucene import lucene_term
from daswatch.detections.yaml_text import read_document
from daswatch.documents.actors import ActorEntry, ActorKind, pattern_parts
from daswatch.errors import RuleError

_LISTS = ("users", "applications", "networks")
_SPECIAL_IN_EXPRESSION = re.compile(r'([.?+*|{}\[\]()"\\#@&<>~/])')


def shipped_actors() -> tuple[ActorEntry, ...]:
    """The entries for tools that are in use everywhere."""
    content = read_document(files("detections").joinpath("_actors.yml").read_text("utf-8"))
    return tuple(entry for entry in read_actors(content, "_actors.yml").values() if entry)


def actor_entries(own: Mapping[str, ActorEntry | None]) -> tuple[ActorEntry, ...]:
    """A team's entries, then the shipped ones that it does not replace. None removes an entry."""
    entries = [entry for entry in own.values() if entry]
    return (*entries, *(entry for entry in shipped_actors() if entry.name not in own))


def read_actors(section: object, where: str = "tuning: actors") -> dict[str, ActorEntry | None]:
    """Entries by name. Raises RuleError that says what is wrong."""
    if not isinstance(section, dict):
        raise RuleError(f"{where}: expected entries by name")
    return {str(name): None if entry is None else _entry(str(name), entry, where) for name, entry in section.items()}


def lucene_of(kind: str, entries: Iterable[ActorEntry]) -> str:
    """What finds the events of an actor, if these entries had been there when the events were indexed."""
    found = f"actor:{kind}"
    for entry in reversed(tuple(entries)):
        own = _lucene_of_entry(entry)
        found = f"({own} OR {found})" if entry.kind == kind else f"({found} AND NOT {own})"
    return found


def _entry(name: str, entry: object, where: str) -> ActorEntry:
    if not isinstance(entry, dict) or entry.keys() - {"kind", "reason", *_LISTS}:
        raise RuleError(f"{where}: {name}: expected kind, users, applications, networks and reason")
    try:
        kind = ActorKind(entry.get("kind", ""))
    except ValueError as exc:
        raise RuleError(f"{where}: {name}: kind is one of {', '.join(ActorKind)}") from exc
    if not str(entry.get("reason") or "").strip():
        raise RuleError(f"{where}: {name}: an entry has a reason")
    lists = {field: _patterns(entry[field], f"{where}: {name}: {field}") for field in _LISTS if field in entry}
    if not lists:
        raise RuleError(f"{where}: {name}: an entry has users, applications or networks")
    for network in lists.get("networks", ()):
        _check_network(network, f"{where}: {name}")
    return ActorEntry(name, kind, " ".join(str(entry["reason"]).split()), **lists)


def _patterns(value: object, where: str) -> tuple[str, ...]:
    patterns = tuple(str(pattern) for pattern in (value if isinstance(value, list) else [value]) if pattern is not None)
    if not patterns or any(not pattern.strip("* ") for pattern in patterns):
        raise RuleError(f"{where}: expected patterns that leave something out")
    return patterns


def _check_network(pattern: str, where: str) -> None:
    if "/" in pattern:
        try:
            ip_network(pattern, strict=False)
        except ValueError as exc:
            raise RuleError(f"{where}: {pattern!r} is not a network (expected: 10.20.0.0/16, or 10.20.*)") from exc


def _lucene_of_entry(entry: ActorEntry) -> str:
    lists: dict[str, list[str]] = {
        "dbUserName": [_matching("dbUserName", pattern) for pattern in entry.users],
        "clientApplication": [_matching("clientApplication", pattern) for pattern in entry.applications],
        "network": [
            lucene_term("remoteIp", pattern) if "/" in pattern else _matching("remoteHost", pattern)
            for pattern in entry.networks
        ],
    }
    return "(" + " AND ".join(f"({' OR '.join(terms)})" for terms in lists.values() if terms) + ")"


def _matching(field: str, pattern: str) -> str:
    """A regular expression, since keywords are indexed in the case that they have."""
    return f"{field}:/{'.*'.join(map(_any_case, pattern_parts(pattern)))}/"


def _any_case(text: str) -> str:
    return "".join(
        f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else _SPECIAL_IN_EXPRESSION.sub(r"\\\1", letter)
        for letter in text
    )
