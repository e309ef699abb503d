"""Who uses a database all day, as data: roles, and the work that each repeats.

A role is an application with its pool, a reporting job, a migration, a person at a terminal, or AWS itself.
One generator plays them all: it keeps the pool's sessions, opens and closes them, and paces itself by its
share of the traffic, so that the mixture is the same at any rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from demo.engines.clock import SECOND
from demo.engines.session import Client, Emission, Instance, Session
from demo.engines.statement import Statement

Burst: TypeAlias = tuple[int, list[Emission]]
OpenSession: TypeAlias = Callable[..., Session]

_FAILURE_PAUSE = 20 * SECOND  # of one role: fewer than 20 failures in 5 minutes, at any rate of traffic
_SLIP_PAUSE = 240 * SECOND  # of one role: far from ten failed logins in 10 minutes, at any rate of traffic
_THINK = (400, 9_000)  # µs between the statements of one unit of work
_LONGEST_PAUSE = 12  # times the mean


@dataclass(frozen=True, slots=True)
class Work:
    """Statements that are run one after the other, the whole of them `times` (from, to) times."""

    statements: tuple[Statement, ...]
    weight: int = 1
    times: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Role:
    """Who does what: `clients` (one is drawn for each session), `work`, and `share` of the database's events.

    `lifetime` is how many works a session lasts, from and to. Sessions of a pool of more than one are already
    open when the simulation begins. `opening` follows a connect. `failing` is what goes wrong now and then.
    `slips` is the chance that a login succeeds only at the second attempt; `locked_out` means that it never
    does.
    """

    clients: tuple[Client, ...]
    work: tuple[Work, ...]
    share: float
    pool: int = 1
    lifetime: tuple[int, int] = (60, 240)
    opening: tuple[Statement, ...] = ()
    failing: tuple[Statement, ...] = ()
    failures: float = 0.01
    slips: float = 0.0
    locked_out: bool = False
    reader: bool = False
    aws: bool = False


def play(role: Role, instance: Instance, open_session: OpenSession, at: int, pause: float) -> Iterator[Burst]:
    """The role's bursts on one instance, without end; `pause` is the mean time for one event, in µs."""
    draw = instance.draw
    fate = "aws-user" if role.aws else "indexed"
    deck = [work for work in role.work for _ in range(work.weight)]
    think_low, think_span = _THINK[0], _THINK[1] - _THINK[0]
    next_failure = next_slip = at
    # The first burst of a role may come at any point of its rhythm.
    at += int(draw() * min(pause * 20, 60 * SECOND))

    def opened(started: int) -> Session:
        return open_session(instance, role.clients[int(draw() * len(role.clients))], started, fate)

    def lifetime() -> int:
        low, high = role.lifetime
        return low + int(draw() * (high - low + 1))

    pool: list[Session | None] = [None] * role.pool
    left = [0] * role.pool
    if role.pool > 1:
        pool = [opened(at - int((1 + draw() * 3600) * SECOND)) for _ in pool]
        left = [lifetime() for _ in pool]

    slot = 0
    while True:
        session = pool[slot]
        burst: list[Emission] = []
        if session is None:
            now = at
            session = opened(now)
            if role.locked_out or (draw() < role.slips and now >= next_slip):
                next_slip = now + _SLIP_PAUSE
                burst += session.refuse(now)
                if role.locked_out:
                    yield at, burst
                    at += max(_SLIP_PAUSE, int(pause * (0.5 + draw())))
                    continue
                now += int((2 + 6 * draw()) * SECOND)
                session = opened(now)
            burst += session.connect(now)
            pool[slot] = session
            left[slot] = lifetime()
            for statement in role.opening:
                burst += session.execute(statement, session.busy_until + think_low + int(draw() * think_span))
        else:
            session.busy_until = at
        work = deck[int(draw() * len(deck))]
        low, high = work.times
        for _ in range(low if low == high else low + int(draw() * (high - low + 1))):
            for statement in work.statements:
                burst += session.execute(statement, session.busy_until + think_low + int(draw() * think_span))
        if role.failing and at >= next_failure and draw() < role.failures * len(burst):
            next_failure = at + _FAILURE_PAUSE
            statement = role.failing[int(draw() * len(role.failing))]
            burst += session.execute(statement, session.busy_until + think_low)
        left[slot] -= 1
        if left[slot] <= 0:
            burst += session.disconnect(session.busy_until + think_low + int(draw() * 20_000))
            pool[slot] = None
        yield at, burst
        waits = min(-math.log(1.0 - draw()), _LONGEST_PAUSE)
        at += int(waits * pause * len(burst))
        free_at = session.busy_until
        slot = int(draw() * len(pool))
        next_session = pool[slot]
        if next_session is not None:
            free_at = next_session.busy_until
        elif len(pool) > 1:
            free_at = at
        at = max(at, free_at + 1)


def clients(user: str, application: str | None, hosts: Sequence[str], database: str) -> tuple[Client, ...]:
    """The same account and program on several machines."""
    return tuple(Client(user, application, host, database) for host in hosts)
