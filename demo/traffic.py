"""Plausible traffic of four engines from one seed: the monitoring records of RDS, and their ledger.

Out: `ProducedRecord`s in the order of their arrival, lazily. Nothing is encrypted here; `rds.seal` does that.
The same seed, start and arguments give the same records, byte for byte. Benign traffic stays far below every
threshold of the detection catalogue; what is meant to raise a detection comes from a scenario and says so in
the ledger.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, islice
from operator import itemgetter
from random import Random
from typing import Any, TypeAlias

from demo.engines import (
    mysql,
    mysql_workload,
    oracle,
    oracle_workload,
    postgresql,
    postgresql_workload,
    sqlserver,
    sqlserver_workload,
)
from demo.engines.clock import SECOND, microseconds, moment
from demo.engines.session import Emission, Event, Instance, Session, heartbeat_entry
from demo.engines.workload import Burst, Role, play
from demo.ledger import Engine, LedgerEntry
from demo.rds import Database
from demo.scenarios import SCENARIOS, Scenario, Stage

DATABASES: tuple[Database, ...] = (
    Database(
        "postgresql",
        "cluster-SYNTHETICSHOPPOSTGRES00001",
        ("db-SYNTHETICSHOPPGWRITER000001", "db-SYNTHETICSHOPPGREADER000002"),
        "1.1",
        "shop-pg",
        weight=34,
    ),
    Database(
        "postgresql",
        "cluster-SYNTHETICOUTLETPOSTGRES01",
        ("db-SYNTHETICOUTLETPGWRITER0001",),
        "1.0",
        "outlet-pg",
        server_version="2.3.1",
        signed=False,
        weight=6,
    ),
    Database(
        "mysql",
        "cluster-SYNTHETICTRAVELMYSQL00001",
        ("db-SYNTHETICTRAVELMYWRITER0001", "db-SYNTHETICTRAVELMYREADER0002"),
        "1.2",
        "travel-mysql",
        signed=False,
        weight=28,
    ),
    Database(
        "oracle",
        "db-SYNTHETICLEDGERORACLE00001",
        ("db-SYNTHETICLEDGERORACLE00001",),
        "1.3",
        "ledger-oracle",
        weight=14,
    ),
    Database(
        "oracle",
        "db-SYNTHETICTREASURYORACLE001",
        ("db-SYNTHETICTREASURYORACLE001",),
        "1.3",
        "treasury-oracle",
        native_fields=True,
        signed=False,
        weight=1,
    ),
    Database(
        "sqlserver",
        "db-SYNTHETICPAYROLLSQLSERVER1",
        ("db-SYNTHETICPAYROLLSQLSERVER1",),
        "1.4",
        "payroll-sqlserver",
        weight=12,
    ),
    Database(
        "sqlserver",
        "db-SYNTHETICARCHIVESQLSERVER2",
        ("db-SYNTHETICARCHIVESQLSERVER2",),
        "1.4",
        "archive-sqlserver",
        server_version="13.00.6300.2.v1",
        native_fields=True,
        signed=False,
        weight=2,
    ),
)

EVENTS_PER_SECOND = 10_000 / 1_200  # 10,000 events take about 20 minutes
_HEARTBEAT_PAUSE = 2 * SECOND  # of one instance, as observed on Aurora PostgreSQL
_LONG_HEARTBEATS = 0.3
_LONE_HEARTBEATS = 0.4
_SOON = 200_000  # µs: an event that reaches the stream later than this after its burst waits for its own turn
_ARRIVAL_DELAY = 350_000  # µs from the close of a record to its arrival in Kinesis
_EMPTY_RECORDS = 0.02  # after a full one
_WITHOUT_CLUSTER_ID = 0.06  # of Aurora MySQL's and RDS's records
_SINGLES = 0.22  # records that take one event and no more
_LARGEST_RECORD = 30  # events
_OPEN_FOR = (30_000, 9_000_000)  # µs that a record waits for more events, mostly little

# When, where, what, and what must become of it.
_Happening: TypeAlias = tuple[int, Instance, Event, LedgerEntry]
_when: Callable[[_Happening], int] = itemgetter(0)

SESSIONS: dict[Engine, Callable[..., Session]] = {
    "postgresql": postgresql.PostgresqlSession,
    "mysql": mysql.MysqlSession,
    "oracle": oracle.OracleSession,
    "sqlserver": sqlserver.SqlserverSession,
}
_ROLES: dict[Engine, Callable[[str], tuple[Role, ...]]] = {
    "postgresql": postgresql_workload.roles,
    "mysql": mysql_workload.roles,
    "oracle": oracle_workload.roles,
    "sqlserver": sqlserver_workload.roles,
}
_LONG_HEARTBEAT: dict[Engine, Callable[[Instance, int], Event]] = {
    "postgresql": postgresql.heartbeat,
    "mysql": mysql.heartbeat,
    "oracle": oracle.heartbeat,
    "sqlserver": sqlserver.heartbeat,
}


@dataclass(frozen=True, slots=True)
class ProducedRecord:
    """One monitoring record, with a ledger entry for each event of its list, in the list's order."""

    database: Database
    monitoring_record: dict[str, Any]
    entries: tuple[LedgerEntry, ...]
    arrival: datetime


def produce(
    seed: int,
    start: datetime,
    events: int,
    databases: Sequence[Database] = DATABASES,
    scenarios: Sequence[Scenario] = SCENARIOS,
    *,
    events_per_second: float = EVENTS_PER_SECOND,
    heartbeats: bool = True,
) -> Iterator[ProducedRecord]:
    """Records with `events` activity events, heartbeats not counted, in the order of their arrival.

    AWS's own users and the scenarios are counted; the scenarios are never cut short, so they alone may exceed
    `events`. Each scenario is staged once, on the first database of its engine; those without one are left
    out. Beyond some 100 `events_per_second` sessions are busy and the rate levels off, and benign row counts
    may add up to what the catalogue calls a mass read.
    """
    random = Random(f"{seed}/records")
    begin = microseconds(start)
    instances = _instances(databases, Random(f"{seed}/traffic"))
    writers = {instance.database.resource_id: instance for instance in instances if instance.writer}
    seconds = events / events_per_second
    staged = [
        (at, writers[database.resource_id], event, entry)
        for database, (at, event, entry) in _staged(scenarios, databases, Random(f"{seed}/scenarios"), begin, seconds)
    ]
    staged.sort(key=_when)
    cast = _cast(databases, instances, events_per_second, aws=True)
    benign = islice(_played(cast, begin), max(events - len(staged), 0))
    happenings: Iterator[_Happening] = heapq.merge(benign, staged, key=_when)
    if heartbeats:
        happenings = _with_heartbeats(happenings, instances, begin, random)
    yield from _framed(happenings, instances, begin, random)


def fixed_records(
    seed: int,
    start: datetime,
    events: int,
    per_record: int,
    databases: Sequence[Database] = DATABASES,
    *,
    events_per_second: float = EVENTS_PER_SECOND,
) -> Iterator[ProducedRecord]:
    """`events // per_record` benign records of exactly `per_record` events each, for benchmarks.

    All events are to be indexed: neither AWS's users nor heartbeats are among them. The databases get their
    parts of the traffic.
    """
    random = Random(f"{seed}/records")
    begin = microseconds(start)
    instances = _instances(databases, Random(f"{seed}/traffic"))
    waiting: dict[str, list[tuple[Event, LedgerEntry]]] = {instance.instance_id: [] for instance in instances}
    left = events // per_record
    last_arrival = begin
    played = _played(_cast(databases, instances, events_per_second, aws=False), begin)
    while left > 0:
        at, instance, event, entry = next(played)
        batch = waiting[instance.instance_id]
        batch.append((event, entry))
        if len(batch) == per_record:
            left -= 1
            last_arrival = max(last_arrival + 1, at + _ARRIVAL_DELAY)
            listed, entries = [event for event, _ in batch], [entry for _, entry in batch]
            waiting[instance.instance_id] = []
            yield _produced(instance, listed, entries, last_arrival, random)


def _played(cast: Iterable[tuple[Instance, Role, float]], begin: int) -> Iterator[_Happening]:
    """All roles' events by time, without end.

    A burst goes to the stream at once; what ends notably later, such as a report, waits for its own turn.
    Equal times are ordered by their entry, so that a run repeats exactly.
    """
    order = count()
    agenda: list[tuple[int, int, Instance, Iterator[Burst] | None, list[Emission]]] = []
    for instance, role, pause in cast:
        bursts = play(role, instance, SESSIONS[instance.database.engine], begin, pause)
        at, burst = next(bursts)
        heapq.heappush(agenda, (at, next(order), instance, bursts, burst))
    while agenda:
        at, _, instance, actor, emissions = heapq.heappop(agenda)
        if actor is None:
            yield at, instance, emissions[0][1], emissions[0][2]
            continue
        horizon = at + _SOON
        for emission in emissions:
            if emission[0] > horizon:
                heapq.heappush(agenda, (emission[0], next(order), instance, None, [emission]))
            else:
                yield at, instance, emission[1], emission[2]
        next_at, burst = next(actor)
        heapq.heappush(agenda, (next_at, next(order), instance, actor, burst))


def _with_heartbeats(
    happenings: Iterable[_Happening], instances: Sequence[Instance], begin: int, random: Random
) -> Iterator[_Happening]:
    """Heartbeats of all instances among the events, as long as there are events."""
    due = [
        (begin + int(random.random() * _HEARTBEAT_PAUSE), number, instance) for number, instance in enumerate(instances)
    ]
    heapq.heapify(due)
    for happening in happenings:
        while due[0][0] <= happening[0]:
            at, number, instance = due[0]
            yield at, instance, *_heartbeat(instance, at, random)
            pause = int(_HEARTBEAT_PAUSE * (0.9 + 0.2 * random.random()))
            heapq.heapreplace(due, (at + pause, number, instance))
        yield happening


def _framed(
    happenings: Iterable[_Happening], instances: Sequence[Instance], begin: int, random: Random
) -> Iterator[ProducedRecord]:
    """Events put together to monitoring records, each of one instance, in the order of their arrival."""
    open_records = {instance.instance_id: _OpenRecord(instance, random) for instance in instances}
    deadlines: list[tuple[int, str, int]] = []
    last_arrival = begin

    def arrive(at: int, instance: Instance, listed: list[Event], entries: list[LedgerEntry]) -> ProducedRecord:
        nonlocal last_arrival
        last_arrival = max(last_arrival + 1, at + _ARRIVAL_DELAY)
        return _produced(instance, listed, entries, last_arrival, random)

    for at, instance, event, entry in happenings:
        while deadlines and deadlines[0][0] <= at:
            deadline, instance_id, generation = heapq.heappop(deadlines)
            waited = open_records[instance_id]
            if waited.generation == generation:
                yield arrive(deadline, waited.instance, *waited.close())
        if entry.fate == "heartbeat" and random.random() < _LONE_HEARTBEATS:
            yield arrive(at, instance, [event], [entry])
            continue
        record = open_records[instance.instance_id]
        if record.empty:
            heapq.heappush(deadlines, (at + record.open(), instance.instance_id, record.generation))
        record.append(event, entry)
        if record.full:
            yield arrive(at, instance, *record.close())
            if random.random() < _EMPTY_RECORDS:
                yield arrive(at, instance, [], [])
    for deadline, instance_id, generation in sorted(deadlines):
        waited = open_records[instance_id]
        if waited.generation == generation:
            yield arrive(deadline, waited.instance, *waited.close())


class _OpenRecord:
    """The record that an instance is filling; it closes when it is full or has waited long enough.

    `generation` counts its closings: a deadline of an earlier generation says nothing.
    """

    __slots__ = ("_capacity", "_draw", "_entries", "_events", "generation", "instance")

    def __init__(self, instance: Instance, random: Random) -> None:
        self.instance = instance
        self._draw = random.random
        self._capacity = 0
        self._events: list[Event] = []
        self._entries: list[LedgerEntry] = []
        self.generation = 0

    @property
    def empty(self) -> bool:
        return not self._events

    @property
    def full(self) -> bool:
        return len(self._events) >= self._capacity

    def open(self) -> int:
        """Choose how many events it will take at most, and return how long it waits for them."""
        draw = self._draw
        self._capacity = 1 if draw() < _SINGLES else 2 + int(draw() * (_LARGEST_RECORD - 1))
        low, high = _OPEN_FOR
        return low + int(draw() ** 4 * (high - low))

    def append(self, event: Event, entry: LedgerEntry) -> None:
        self._events.append(event)
        self._entries.append(entry)

    def close(self) -> tuple[list[Event], list[LedgerEntry]]:
        content = self._events, self._entries
        self._events, self._entries = [], []
        self.generation += 1
        return content


def _instances(databases: Sequence[Database], random: Random) -> list[Instance]:
    return [
        Instance(database, number, random) for database in databases for number in range(len(database.instance_ids))
    ]


def _cast(
    databases: Sequence[Database], instances: Sequence[Instance], events_per_second: float, *, aws: bool
) -> Iterator[tuple[Instance, Role, float]]:
    """Which role plays on which instance, and the mean time that it takes for one event, in microseconds."""
    total_weight = sum(database.weight for database in databases)
    for database in databases:
        own = [instance for instance in instances if instance.database is database]
        roles = [role for role in _ROLES[database.engine](database.version) if aws or not role.aws]
        total_share = sum(role.share for role in roles)
        for role in roles:
            stages = own if role.aws else (own[1:] or own if role.reader else own[:1])
            rate = events_per_second * database.weight / total_weight * role.share / total_share / len(stages)
            for instance in stages:
                yield instance, role, SECOND / rate


def _staged(
    scenarios: Sequence[Scenario], databases: Sequence[Database], random: Random, begin: int, seconds: float
) -> Iterator[tuple[Database, Emission]]:
    """Every scenario's events, begun one after the other over most of the time.

    Scenarios draw from their own source and have their own counters: benign traffic is the same with and
    without them.
    """
    instances: dict[Engine, Instance] = {}
    for database in databases:
        if database.engine not in instances:
            instances[database.engine] = Instance(database, 0, random, counters_from=2_000_000)
    playable = [scenario for scenario in scenarios if scenario.engine in instances]
    for number, scenario in enumerate(playable):
        at = begin + int(seconds * SECOND * (0.08 + 0.8 * number / len(playable)))
        instance = instances[scenario.engine]
        stage = Stage(scenario.name, instance, SESSIONS[scenario.engine], at)
        scenario.play(stage)
        for emission in stage.emissions:
            yield instance.database, emission


def _heartbeat(instance: Instance, at: int, random: Random) -> tuple[Event, LedgerEntry]:
    if random.random() < _LONG_HEARTBEATS:
        event = _LONG_HEARTBEAT[instance.database.engine](instance, at)
        return event, heartbeat_entry(instance, event["logTime"])
    return {"type": "heartbeat"}, heartbeat_entry(instance, None)


def _produced(
    instance: Instance, events: list[Event], entries: list[LedgerEntry], arrival: int, random: Random
) -> ProducedRecord:
    database = instance.database
    record: dict[str, Any] = {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": database.cluster_id,
        "instanceId": instance.instance_id,
        "databaseActivityEventList": events,
    }
    if database.engine != "postgresql" and random.random() < _WITHOUT_CLUSTER_ID:
        del record["clusterId"]
    return ProducedRecord(database, record, tuple(entries), moment(arrival))
