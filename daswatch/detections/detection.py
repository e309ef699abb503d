"""A detection: one saved query with its window, its grouping and its words, as it is run.

`daswatch.detections.sigma` compiles it from `detections/<name>/rule.yml` when the functions are packaged; here it is
read back from the compiled file, so that no function carries the compiler.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import orjson

from daswatch.errors import SettingsError

EVERY_ENGINE = ("postgresql", "mysql", "oracle", "sqlserver")


class DetectionKind(StrEnum):
    """What a detection looks at, and when it fires."""

    EVENT = "event"  # each event that arrives
    THRESHOLD = "threshold"  # counts, distinct values and sums over a window
    SEQUENCE = "sequence"  # so many of one event, then another one
    FIRST_SEEN = "first-seen"  # values that were never seen together, or not for long
    SILENCE = "silence"  # an instance whose pulse stopped
    FAILING = "failing"  # a saved query that cannot be run


class Level(StrEnum):
    """Sigma's levels."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for informational to 4 for critical."""
        return list(Level).index(self)


Metric = Literal["count", "distinct", "sum", "max"]


class Source(StrEnum):
    """Which documents a detection is about."""

    EVENTS = "events"  # das-events-*
    CONTROL_PLANE = "control-plane"  # das-control-plane: what was done to the stream itself
    PULSE = "pulse"  # das-pulse


@dataclass(frozen=True, slots=True)
class Condition:
    """What makes a group fire: a metric over its events is at least so large."""

    metric: Metric
    at_least: int
    field: str = ""  # of distinct, sum and max
    query: str = ""  # Lucene; counts only the events of the group that match this too
    level: Level | None = None  # instead of the detection's own, for what is more severe
    across: str = ""  # a field that these events must have at least `across_at_least` distinct values of, too
    across_at_least: int = 0


@dataclass(frozen=True, slots=True)
class EventSequence:
    """`count` events of `first`, then one of `then`, all of one group. Both are Lucene queries."""

    first: str
    count: int
    then: str


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """Fires for a group that was never seen, or not since `absent_days`; quiet until it has learned for long enough."""

    learn_days: int
    absent_days: int = 0  # 0: fires for what was never seen; else for what is known, and was away for so long
    ipv4_prefix: int = 32  # `remoteIp` counts as its network of so many bits
    ipv6_prefix: int = 128


@dataclass(frozen=True, slots=True)
class KnownClients:
    """Leaves out groups whose clients were all active at the database this many days before (docs/decisions/0034)."""

    days: int
    when: str = ""  # Lucene: every event of the group matches it
    steady: bool = False  # their events are evenly spread, too
    same_statements: bool = False  # each sent statements of the same shape then
    any_statement_of: str = ""  # Lucene: where every event of the group matches it, the shapes do not matter
    few: int = 0  # with fewer events in a window, their pace does not matter
    each_host: bool = False  # nor where each host was active itself, not only its network
    several_hosts: bool = False  # nor where the same account has such events from several hosts, each of which was


@dataclass(frozen=True, slots=True)
class OwnPast:
    """Leaves out groups that do no more than `times` what they did at most in a window of the days before.

    Quiet until the database has been there for long enough.
    """

    days: int
    learn_days: int
    times: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Leaves out groups around which the same database, and the same group, have an event that explains them."""

    query: str  # Lucene
    seconds: int  # before and after the group's events
    below: Level  # what is that severe fires in any case: an attacker can send such an event, too


@dataclass(frozen=True, slots=True)
class Suppression:
    """Events that a detection leaves out, with an owner. `expires` is a day, ISO 8601."""

    when: Mapping[str, tuple[str, ...]]
    owner: str
    reason: str
    expires: str


@dataclass(frozen=True, slots=True)
class Detection:
    """One saved query and everything that is published about it."""

    name: str
    id: str
    title: str
    level: Level
    status: str
    kind: DetectionKind
    source: Source
    query: str  # Lucene, without the window
    description: str
    why: str
    runbook: tuple[str, ...]
    false_positives: tuple[str, ...]
    blind_spots: tuple[str, ...]
    references: tuple[str, ...]
    attack: tuple[str, ...]  # Sigma's tags without the namespace: credential-access, t1110.001
    types: tuple[str, ...]  # of the finding: namespace/category/classifier
    engines: tuple[str, ...]
    enabled: bool
    disabled_because: str
    version: int
    group: tuple[str, ...]  # fields, next to the database, that distinguish alerts
    window_seconds: int = 0  # 0: each event by itself
    quiet_seconds: int = 3600  # after so long without news the finding is archived
    conditions: tuple[Condition, ...] = (Condition("count", 1),)
    script: Mapping[str, Any] = field(default_factory=dict)  # a filter that Lucene has no words for
    sequence: EventSequence | None = None
    first_seen: FirstSeen | None = None
    known_clients: KnownClients | None = None
    own_past: OwnPast | None = None
    explanation: Explanation | None = None
    silent_seconds: int = 0
    forget_seconds: int = 0  # an instance that has been silent for longer is taken for removed
    suppressions: tuple[Suppression, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)  # the tuning values it was compiled with
    # Where one event can be high or critical: what holds of each such event (daswatch/detections/prefilter.py).
    prompt: Mapping[str, Any] | None = None

    @property
    def quiet(self) -> timedelta:
        """Two events of a group that are so far apart belong to two episodes."""
        return timedelta(seconds=self.quiet_seconds)

    def expired_suppressions(self, day: str) -> tuple[Suppression, ...]:
        """Those that no longer count on this day."""
        return tuple(suppression for suppression in self.suppressions if suppression.expires <= day)


def dump(detections: Iterable[Detection]) -> bytes:
    """The compiled file."""
    content = [asdict(detection) for detection in detections]
    return orjson.dumps({"detections": content}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def load(content: bytes) -> tuple[Detection, ...]:
    """Read a compiled file. Raises SettingsError where it is none."""
    try:
        return tuple(_read(entry) for entry in orjson.loads(content)["detections"])
    except (KeyError, TypeError, ValueError) as exc:
        raise SettingsError(
            ["DETECTIONS is not a file of compiled detections (expected: what `daswatch detections compile` wrote)"]
        ) from exc


def load_file(path: str | PathLike[str], named: str = "DETECTIONS") -> tuple[Detection, ...]:
    """Read a compiled file from disk. Raises SettingsError where there is none; `named` is how its message calls it."""
    try:
        content = Path(path).read_bytes()
    except OSError as exc:
        raise SettingsError(
            [f"{named} cannot be read ({type(exc).__name__}; expected: what `daswatch detections compile` wrote)"]
        ) from exc
    return load(content)


def _read(entry: Mapping[str, Any]) -> Detection:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    fields["level"] = Level(fields["level"])
    fields["kind"] = DetectionKind(fields["kind"])
    fields["source"] = Source(fields["source"])
    fields["conditions"] = tuple(
        Condition(**{**condition, "level": Level(condition["level"]) if condition["level"] else None})
        for condition in fields["conditions"]
    )
    if fields["sequence"]:
        fields["sequence"] = EventSequence(**fields["sequence"])
    if fields["first_seen"]:
        fields["first_seen"] = FirstSeen(**fields["first_seen"])
    if fields.get("known_clients"):
        fields["known_clients"] = KnownClients(**fields["known_clients"])
    if fields.get("own_past"):
        fields["own_past"] = OwnPast(**fields["own_past"])
    if fields.get("explanation"):
        fields["explanation"] = Explanation(**{**fields["explanation"], "below": Level(fields["explanation"]["below"])})
    fields["suppressions"] = tuple(
        Suppression(**{**entry, "when": {name: tuple(values) for name, values in entry["when"].items()}})
        for entry in fields["suppressions"]
    )
    return Detection(**fields)


def by_name(detections: Sequence[Detection]) -> dict[str, Detection]:
    """Detections by their names."""
    return {detection.name: detection for detection in detections}
