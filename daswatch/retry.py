"""Batches, sent until each is done with: what was cut at once, what was not taken after a pause, until the deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from daswatch.deadline import Deadline, backoff_seconds

B = TypeVar("B")

OUT_OF_TIME = "out of time"


@dataclass(frozen=True, slots=True)
class Left(Generic[B]):
    """What is left of a batch that was sent, and why.

    `at_once` is sent next; `again` after a pause, when the others had their turn. With `stop` it is not sent again, and
    neither is what waits: it would fare no better.
    """

    at_once: Sequence[B] = ()
    again: B | None = None
    cause: str = ""
    stop: bool = False


def send_all(
    batches: Iterable[B],
    send: Callable[[B], Left[B]],
    deadline: Deadline,
    *,
    shortest: float,
    chance: Callable[[], float],
    pace: Callable[[int], float] = lambda calls: 0.0,
) -> tuple[list[B], str]:
    """Send batches in their order; returns those that were given up, and why.

    `send` gets one batch, and does not raise. No call begins with less than `shortest` seconds left. Before each
    the pause is at least `pace`, given the number of calls before it.
    """
    pending = deque((batch, 0) for batch in batches)
    calls = 0
    cause = ""
    while pending:
        batch, attempt = pending.popleft()
        pause = backoff_seconds(attempt - 1, chance()) if attempt else 0.0
        waited = deadline.wait(max(pause, pace(calls)), shortest)
        if not waited or deadline.remaining < shortest:  # a pause may last longer than it should
            return [batch, *(waiting for waiting, _ in pending)], cause or OUT_OF_TIME
        calls += 1
        left = send(batch)
        cause = left.cause or cause
        if left.stop:
            kept = [*left.at_once, *([] if left.again is None else [left.again])]
            return [*kept, *(waiting for waiting, _ in pending)], cause
        pending.extendleft((part, 0) for part in reversed(left.at_once))
        if left.again is not None:
            pending.append((left.again, attempt + 1))
    return [], ""
