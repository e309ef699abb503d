"""How long work may go on, and how long to wait before it is tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Protocol

# Kept back from an invocation's time limit: to log what was done, and to answer.
_RESERVE_SECONDS = 2.0


class TimeLimited(Protocol):
    """What a deadline needs of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int: ...


class Clock(Protocol):
    """What a deadline needs of the module `time`: with another clock, waiting is tested without waiting."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when work may go on, by a monotonic clock."""

    at: float
    clock: Clock = time

    @classmethod
    def after(cls, seconds: float, clock: Clock = time) -> Deadline:
        """A deadline this many seconds from now."""
        return cls(clock.monotonic() + seconds, clock)

    @classmethod
    def of(cls, context: TimeLimited, clock: Clock = time) -> Deadline:
        """The deadline of an invocation, some time before Lambda ends it."""
        return cls.after(context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS, clock)

    @property
    def remaining(self) -> float:
        """Seconds left; negative when it has passed."""
        return self.at - self.clock.monotonic()

    def part(self, share: float) -> Deadline:
        """A deadline after this share of the time left: what comes afterwards has the rest."""
        return replace(self, at=self.at - self.remaining * (1 - share))

    def at_most(self, seconds: float) -> Deadline:
        """This deadline, or one after so many seconds if that is earlier."""
        return replace(self, at=min(self.at, self.clock.monotonic() + seconds))

    def sleep(self, seconds: float) -> None:
        """Wait, by the deadline's own clock."""
        self.clock.sleep(seconds)

    def wait(self, seconds: float, spare: float) -> bool:
        """Wait, unless that would leave less than `spare` seconds; whether it has waited."""
        if self.remaining - seconds < spare:
            return False
        if seconds:
            self.sleep(seconds)
        return True

    def earlier(self, seconds: float) -> Deadline:
        """The same deadline, this many seconds earlier."""
        return replace(self, at=self.at - seconds)


def backoff_seconds(attempt: int, chance: float) -> float:
    """How long to wait before retry number `attempt` (from 0): full jitter under 0.1 s, 0.2 s, ... 5 s.

    `chance` is from [0, 1). Jitter spreads the functions that a recovering cluster sees at once.
    """
    return chance * min(5.0, 0.1 * 2.0 ** min(attempt, 10))
