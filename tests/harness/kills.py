"""Kills at random requests to OpenSearch: of a node, which comes back, or of the process that asks.

    killer = Killer(proxy, Random(SEED), MOMENTS, most_between=4)
    killer.aim_at(process)                           # one kill
    nodes = KilledNodes(killer, lambda: node, pool)  # a kill each time that a node has come back

A moment is before a request, while it is on its way, or after it was answered: then its answer is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from typing import Final, Protocol

from tests.fakes.proxy import Behaviour, Dropped, Exchange, Predicate, Proxy, Request, Response, forward

MOMENTS: Final = ("before", "during", "after")
# How long a request is on its way, at most, when what it goes to is killed: an answer takes about as long.
_ON_ITS_WAY_SECONDS = 0.03


class Victim(Protocol):
    """What can be killed."""

    def kill(self) -> None: ...


class Restartable(Victim, Protocol):
    """A node."""

    def restart(self) -> None: ...


def killing(victim: Victim, moment: str, killed: threading.Event, seconds: float = 0.0) -> Behaviour:
    """Kill when a request comes, when it has been on its way for some time, or when it was answered."""

    def behave(exchange: Exchange) -> Response:
        try:
            if moment == "before":
                victim.kill()
                return exchange.forward()
            if moment == "after":
                exchange.forward()
                victim.kill()
                raise Dropped
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(exchange.forward)
                time.sleep(seconds)
                victim.kill()
                return answer.result()
        finally:
            killed.set()

    return behave


class Killer:
    """Kills at random requests through a proxy, once for each of `moments`.

    Each time it lets less than `most_between` requests of a kind pass first. What is killed after its answer is a write
    of events: they are there, and the asker does not know.
    """

    def __init__(
        self,
        proxy: Proxy,
        random: Random,
        moments: Sequence[str],
        most_between: int,
        kind: Predicate = lambda request: True,
    ) -> None:
        self._random = random
        self._left = list(moments)
        self._most_between = most_between
        self._victim: Victim | None = None
        self._passing = 0
        self._lock = threading.Lock()
        self.killed = threading.Event()  # and the request is done with, which may still have had its effect
        proxy.on(kind, self._answer)

    @property
    def left(self) -> Sequence[str]:
        """The moments that have not come."""
        return self._left

    def aim_at(self, victim: Victim) -> None:
        """Kill this at a request soon, if a moment is left."""
        with self._lock:
            self.killed.clear()
            self._victim = victim if self._left else None
            self._passing = self._random.randrange(self._most_between)

    def _answer(self, exchange: Exchange) -> Response:
        with self._lock:
            behaviour = self._behaviour(exchange.request)
        return behaviour(exchange)

    def _behaviour(self, request: Request) -> Behaviour:
        if self._victim is None or (self._left[0] == "after" and not _writes_events(request)):
            return forward
        if self._passing:
            self._passing -= 1
            return forward
        victim, self._victim = self._victim, None
        return killing(victim, self._left.pop(0), self.killed, self._random.random() * _ON_ITS_WAY_SECONDS)


class KilledNodes:
    """The node that is chosen at each kill, started again by `pool`, and then in danger again."""

    def __init__(self, killer: Killer, choose: Callable[[], Restartable], pool: ThreadPoolExecutor) -> None:
        self._killer = killer
        self._choose = choose
        self._pool = pool
        self._restarted: Future[None] | None = None
        killer.aim_at(self)

    def kill(self) -> None:
        """SIGKILL."""
        node = self._choose()
        node.kill()
        self._restarted = self._pool.submit(self._restart, node)

    def wait_until_up(self) -> None:
        """Return when what was killed has come back. Raises what kept it from it."""
        if self._restarted:
            self._restarted.result()

    def _restart(self, node: Restartable) -> None:
        node.restart()
        self._killer.aim_at(self)


def _writes_events(request: Request) -> bool:
    return request.is_bulk and b'{"create"' in request.body
