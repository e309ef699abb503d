"""How long work may go on, and how long to wait before it is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when work may go on, by a monotonic clock."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """A deadline this many seconds from now."""
        return cls(clock() + seconds, clock)

    @property
    def remaining(self) -> float:
        """Seconds left; negative when it has passed."""
        return self.at - self.clock()

    def part(self, fraction: float) -> Deadline:
        """A deadline after this fraction of the time that is left."""
        return Deadline(self.clock() + fraction * self.remaining, self.clock)

    def earlier(self, seconds: float) -> Deadline:
        """The same deadline, this many seconds earlier."""
        return Deadline(self.at - seconds, self.clock)


def backoff_seconds(attempt: int, chance: float) -> float:
    """How long to wait before retry number `attempt` (from 0): full jitter under 0.1 s, 0.2 s, ... 5 s.

    `chance` is from [0, 1). Jitter spreads the functions that a recovering cluster sees at once.
    """
    return chance * min(5.0, 0.1 * 2.0 ** min(attempt, 10))
