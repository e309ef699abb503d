"""Requests from another thread: one in flight, while the next one is collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Result(Protocol):
    """What came of one request, or of several."""

    @property
    def blocked(self) -> bool:
        """Whether something stays unsent: what comes later would have to be delivered again anyway."""
        ...

    def add(self: R, other: R) -> None:
        """Take another result's outcomes into this one."""
        ...


T = TypeVar("T")
R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a request is sent: at this many bytes or items; with none in flight, at `early` items."""

    size: int
    items: int
    early: int


class Pipeline(Generic[T, R]):
    """Collects items and sends them in requests, in their order."""

    def __init__(
        self,
        send: Callable[[Sequence[T]], R],
        result: R,
        size_of: Callable[[T], int],
        limits: Limits,
        executor: Executor,
    ) -> None:
        """`send` does not raise; `result` takes what came of all requests, and is empty at first."""
        self._send = send
        self._size_of = size_of
        self._limits = limits
        self._executor = executor
        self._collected: list[T] = []
        self._size = 0
        self._in_flight: Future[R] | None = None
        self.result = result

    def add(self, items: Iterable[T]) -> None:
        """Take items; sends them as soon as a request is full, or none is in flight and it is worth one."""
        limits = self._limits
        for item in items:
            self._collected.append(item)
            self._size += self._size_of(item)
            if self._size >= limits.size or len(self._collected) >= limits.items:
                self.flush()
        idle = self._in_flight is None or self._in_flight.done()
        if idle and len(self._collected) >= limits.early:
            self.flush()

    @property
    def blocked(self) -> bool:
        """Whether something stays unsent, as far as requests were answered."""
        if self._in_flight is not None and self._in_flight.done():
            self._collect_result()
        return self.result.blocked

    def flush(self) -> None:
        """Send what is collected; waits only for the request that is in flight."""
        self._collect_result()
        if self._collected:
            self._in_flight = self._executor.submit(self._send, self._collected)
            self._collected, self._size = [], 0

    def finish(self) -> R:
        """Send what is left, from this thread: it has nothing else to do. Waits for everything."""
        self._collect_result()
        if self._collected:
            self.result.add(self._send(self._collected))
            self._collected, self._size = [], 0
        return self.result

    def _collect_result(self) -> None:
        if self._in_flight is not None:
            self.result.add(self._in_flight.result())
            self._in_flight = None
