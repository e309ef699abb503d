"""Who talks to a database and where: clients, instances, and the session that turns statements into events.

Each engine has its own `Session`. Every method returns emissions: when the database hands an event to the
stream (microseconds since the epoch), the event, and its ledger entry.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, TypeAlias

from demo.engines.statement import Statement
from demo.ledger import Activity, Engine, Fate, LedgerEntry, Outcome
from demo.rds import Database

Event: TypeAlias = dict[str, Any]
Emission: TypeAlias = tuple[int, Event, LedgerEntry]


@dataclass(frozen=True, slots=True)
class Client:
    """An account, the program that uses it and the machine it runs on; `host` is an address or a name."""

    user: str | None
    application: str | None
    host: str
    database: str


class Instance:
    """One running database server, with the counters that its sessions share."""

    def __init__(self, database: Database, number: int, random: Random, counters_from: int = 0) -> None:
        self.database = database
        self.instance_id = database.instance_ids[number]
        self.writer = number == 0
        self.random = random
        self.draw = random.random
        # The same database has the same addresses in every run, whatever the seed.
        network = zlib.crc32(database.resource_id.encode()) % 200
        self.server_host = f"10.{network}.0.{5 + number}"
        self.node_name = f"{database.name}-node-{number + 1}"
        self._pid = counters_from + 3_000 + int(self.draw() * 2_000)
        self.server_pid = 2_000 + int(self.draw() * 9_000)  # of the server itself, as Aurora MySQL reports it
        self._connection = counters_from + 80_000 + int(self.draw() * 9_000)
        self._statement = counters_from + 900_000 + int(self.draw() * 90_000)

    def next_pid(self) -> int:
        self._pid += 1 + int(self.draw() * 5)
        return self._pid

    def next_connection(self) -> int:
        self._connection += 1 + int(self.draw() * 3)
        return self._connection

    def next_statement(self) -> int:
        """For engines that count statements over the whole server."""
        self._statement += 1
        return self._statement


class Session(ABC):
    """One session of one client. `fate` and `scenario` go into every ledger entry of it.

    `busy_until` is when its last statement ended: the next one cannot begin earlier.

    A refused login is an event of its own: it is indexed whatever the client's name, and needs no `connect`.
    """

    engine: ClassVar[Engine]

    def __init__(
        self, instance: Instance, client: Client, at: int, fate: Fate = "indexed", scenario: str | None = None
    ) -> None:
        self.instance = instance
        self.client = client
        self.draw = instance.draw
        self.fate = fate
        self.scenario = scenario
        self.resource_id = instance.database.resource_id
        self.instance_id = instance.instance_id
        self.opened_at = at
        self.busy_until = at

    @abstractmethod
    def connect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]: ...

    @abstractmethod
    def refuse(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]: ...

    @abstractmethod
    def execute(self, statement: Statement, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]: ...

    @abstractmethod
    def disconnect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]: ...

    def draw_port(self) -> str:
        return str(32_768 + int(self.draw() * 28_000))

    def entry(
        self,
        event: Event,
        activity: Activity,
        outcome: Outcome,
        detections: tuple[str, ...] = (),
        fate: Fate | None = None,
    ) -> LedgerEntry:
        """The ledger entry of any event of this session.

        `execute` builds its own, since it is the hot path.
        """
        return LedgerEntry(
            self.resource_id,
            self.instance_id,
            self.engine,
            event["logTime"],
            _id(event["sessionId"]),
            _id(event["statementId"]),
            _id(event["substatementId"]),
            event["command"],
            event["class"],
            event["dbUserName"],
            fate or self.fate,
            activity,
            outcome,
            self.scenario,
            detections,
        )


def heartbeat_entry(instance: Instance, log_time: str | None) -> LedgerEntry:
    return LedgerEntry(
        instance.database.resource_id,
        instance.instance_id,
        instance.database.engine,
        log_time,
        None,
        None,
        None,
        None,
        None,
        None,
        "heartbeat",
        "OTHER",
        "unknown",
    )


def _id(value: object) -> str | None:
    return None if value is None else str(value)
