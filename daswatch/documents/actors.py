"""Actors: which kind of client an event is from, by its user, application and network.

In: the table that `daswatch detections compile` makes of the shipped entries and a team's own. Out: the field `actor`.
A name can be claimed by anyone: a rule that leaves out an actor's events may ask for known clients as well
(docs/decisions/0034-actors.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address, ip_network
from os import PathLike
from pathlib import Path
from typing import Any

import orjson

from daswatch.errors import SettingsError

Matcher = Callable[[str], bool]

_LONGEST = 256  # characters of a name that are looked at
_REMEMBERED = 10_000  # users, applications and hosts whose actor is kept
_EXPECTED = "actors.json, which `daswatch detections compile` wrote"


class ActorKind(StrEnum):
    """What a client is there for. An application's events carry no actor."""

    APPLICATION = "application"
    ADMINISTRATION = "administration"  # a client that people type statements into
    AUDIT = "audit"  # reads accounts and privileges: security teams, scanners
    BACKUP = "backup"
    BI = "bi"
    DEPLOYMENT = "deployment"  # an account of releases, with a client that people use, too
    DUMP = "dump"  # copies whole databases, in whosever hands
    ETL = "etl"
    JOB = "job"  # of an application: workers, removal of old rows
    LOAD = "load"  # fills tables from files
    MAINTENANCE = "maintenance"  # partitions, indices, vacuum
    MIGRATION = "migration"  # changes of the schema, released by a tool
    MONITORING = "monitoring"
    OPERATOR = "operator"  # an administrator's account, where the application is not known
    PERSON = "person"
    PROVISIONING = "provisioning"  # of accounts: identity connectors, configuration management
    REPLICATION = "replication"
    RESTORE = "restore"  # loads copies of other databases, and masks them
    ROTATION = "rotation"  # of passwords, and accounts that are made for a while
    SCHEDULER = "scheduler"
    TEST = "test"  # continuous integration, benchmarks


@dataclass(frozen=True, slots=True)
class ActorEntry:
    """One entry: each list that is given must match, by one of its patterns.

    `*` stands for any characters; case does not count.
    """

    name: str
    kind: ActorKind
    reason: str
    users: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()  # addresses or hosts with `*`, or networks such as 10.20.0.0/16


class ActorTable:
    """Entries in their order: the first that matches decides. What was asked once is remembered."""

    def __init__(self, entries: Iterable[ActorEntry] = ()) -> None:
        self.entries: Sequence[ActorEntry] = tuple(entries)
        self._known: dict[tuple[str, str, str], str] = {}
        # Which entries match a value by one list: a bit for each entry, so that a new client of a known user and a
        # known application costs little.
        self._by_user = _remembered([_matcher(entry.users) for entry in self.entries])
        self._by_application = _remembered([_matcher(entry.applications) for entry in self.entries])
        self._by_network = _remembered([_network_matcher(entry.networks) for entry in self.entries])

    def actor_of(self, source: Mapping[str, Any]) -> str:
        """The actor of a document; empty where no entry matches, and for an application."""
        get = source.get
        client = get("dbUserName", ""), get("clientApplication", ""), get("remoteIp") or get("remoteHost", "")
        known = self._known.get(client)
        if known is None:
            known = self._actor(*(text[:_LONGEST] for text in client))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            if sum(map(len, client)) <= _LONGEST:
                self._known[client] = known
        return known

    def _actor(self, user: str, application: str, host: str) -> str:
        matching = self._by_user(user) & self._by_application(application) & self._by_network(host)
        if not matching:
            return ""
        kind = self.entries[(matching & -matching).bit_length() - 1].kind
        return "" if kind is ActorKind.APPLICATION else kind.value


def dump(entries: Iterable[ActorEntry]) -> bytes:
    """The compiled file."""
    return orjson.dumps({"actors": [asdict(entry) for entry in entries]}, option=orjson.OPT_INDENT_2)


def load(content: bytes) -> ActorTable:
    """Read a compiled file. Raises SettingsError where it is none."""
    try:
        return ActorTable(_read(entry) for entry in orjson.loads(content)["actors"])
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise SettingsError([f"ACTORS is not a table of actors (expected: {_EXPECTED})"]) from exc


def load_file(path: str | PathLike[str]) -> ActorTable:
    """Read a compiled file from disk; an empty table where no path is given. Raises SettingsError."""
    if not path:
        return ActorTable()
    try:
        content = Path(path).read_bytes()
    except OSError as exc:
        raise SettingsError([f"ACTORS cannot be read ({type(exc).__name__}; expected: {_EXPECTED})"]) from exc
    return load(content)


def pattern_parts(pattern: str) -> list[str]:
    """The texts between the `*` of a pattern."""
    return pattern.split("*")


def _read(entry: Mapping[str, Any]) -> ActorEntry:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return ActorEntry(**{**fields, "kind": ActorKind(fields["kind"])})


def _remembered(matchers: Sequence[Matcher | None]) -> Callable[[str], int]:
    """The entries, as bits, whose list has a pattern that matches, or that have no list."""
    without = sum(1 << position for position, matcher in enumerate(matchers) if matcher is None)
    given = [(1 << position, matcher) for position, matcher in enumerate(matchers) if matcher]

    @lru_cache(maxsize=_REMEMBERED)
    def matching(text: str) -> int:
        lowered = text.lower()
        return without | sum(bit for bit, matcher in given if matcher(lowered)) if text else without

    return matching


def _matcher(patterns: Sequence[str]) -> Matcher | None:
    if not patterns:
        return None
    expression = re.compile("|".join(_expression(pattern.lower()) for pattern in patterns), re.DOTALL)
    return lambda text: expression.fullmatch(text) is not None


def _expression(pattern: str) -> str:
    """Each part is searched for once, behind the one before: no text takes longer than its length."""
    first, *others = map(re.escape, pattern_parts(pattern))
    if not others:
        return first
    *inner, last = others
    return first + "".join(f"(?>.*?{part})" for part in inner if part) + f".*{last}"


def _network_matcher(patterns: Sequence[str]) -> Matcher | None:
    if not patterns:
        return None
    networks = [ip_network(pattern, strict=False) for pattern in patterns if "/" in pattern]
    by_name = _matcher([pattern for pattern in patterns if "/" not in pattern])

    def matches(host: str) -> bool:
        if by_name and by_name(host):
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return matches
