"""A clock for tests: time passes by waiting alone, so that no result depends on how fast the machine is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Time in seconds, since the test began; `slept` has each wait."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        self.now += seconds


class RealClock(Clock):
    """Real time, for what waits for a process or a socket."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        time.sleep(seconds)


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """What waits for something that never comes ends all the same: the limit is far from what a slow machine needs."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds
