"""How long work may go on, and how long to wait before it is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

# Kept back from an invocation's time limit: to log what was done, and to answer.
_RESERVE_SECONDS = 2.0


class TimeLimited(Protocol):
    """What a deadline needs of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when work may go on, by a monotonic clock."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """A deadline this many seconds from now."""
        return cls(clock() + seconds, clock)

    @classmethod
    def of(cls, context: TimeLimited) -> Deadline:
        """The deadline of an invocation, some time before Lambda ends it."""
        return cls.after(context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS)

    @property
    def remaining(self) -> float:
        """Seconds left; negative when it has passed."""
        return self.at - self.clock()

    def part(self, share: float) -> Deadline:
        """A deadline after this share of the time left: what comes afterwards has the rest."""
        return Deadline(self.at - self.remaining * (1 - share), self.clock)

    def at_most(self, seconds: float) -> Deadline:
        """This deadline, or one after so many seconds if that is earlier."""
        return Deadline(min(self.at, self.clock() + seconds), self.clock)

    def earlier(self, seconds: float) -> Deadline:
        """The same deadline, so many seconds earlier."""
        return Deadline(self.at - seconds, self.clock)


def backoff_seconds(attempt: int, chance: float) -> float:
    """How long to wait before retry number `attempt` (from 0): full jitter under 0.1 s, 0.2 s, ... 5 s.

    `chance` is from [0, 1). Jitter spreads the functions that a recovering cluster sees at once.
    """
    return chance * min(5.0, 0.1 * 2.0 ** min(attempt, 10))
