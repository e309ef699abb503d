"""A limit on time that holds whatever a call waits for.

Timeouts of sockets bound one connection attempt and one read. A name that does not resolve, a host with several
addresses and an answer that arrives byte by byte all take longer than any of them. So a call runs in a thread of its
own, and the caller waits for it until the deadline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NoReturn, TypeVar

from daswatch.deadline import Deadline

_T = TypeVar("_T")


class OutOfTime(Exception):
    """The deadline came before the call's result."""


def within(deadline: Deadline, call: Callable[[], _T]) -> _T:
    """Return the call's result, or raise what it raises. Raises OutOfTime at the deadline.

    A call that is given up may still go on in its thread and have its effect: only what may be done twice belongs here.
    """
    if deadline.remaining <= 0:
        raise OutOfTime
    outcome: SimpleQueue[Callable[[], _T]] = SimpleQueue()

    def run() -> None:
        try:
            value = call()
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits
            error = exc
            outcome.put(lambda: _raise(error))
        else:
            outcome.put(lambda: value)

    # A daemon: a call that never returns must not keep a command from ending.
    threading.Thread(target=run, daemon=True, name="bounded-call").start()
    while (seconds := deadline.remaining) > 0:
        try:
            result = outcome.get(timeout=seconds)
        except Empty:
            continue  # the deadline has a clock of its own
        return result()
    raise OutOfTime


def _raise(error: BaseException) -> NoReturn:
    raise error
