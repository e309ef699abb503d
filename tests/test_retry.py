"""Batches are sent until each is done with, or the deadline ends it."""

from __future__ import annotations

from collections.abc import Callable

from daswatch.deadline import Deadline
from daswatch.retry import OUT_OF_TIME, Left, send_all
from tests.fakes.clock import Clock

Send = Callable[[str], Left[str]]


def sent(
    *batches: str, answers: dict[str, list[Left[str]]] | None = None, clock: Clock | None = None, seconds: float = 60
) -> tuple[list[str], list[str], str]:
    """What was sent in its order, what was given up, and why."""
    order: list[str] = []

    def send(batch: str) -> Left[str]:
        order.append(batch)
        scripted = (answers or {}).get(batch, [])
        return scripted.pop(0) if scripted else Left()

    clock = clock or Clock()
    left, cause = send_all(batches, send, Deadline.after(seconds, clock), shortest=0.5, chance=lambda: 0.5)
    return order, left, cause


def test_batches_are_sent_in_their_order() -> None:
    assert sent("a", "b") == (["a", "b"], [], "")


def test_parts_are_sent_at_once_and_in_their_order() -> None:
    assert sent("ab", "c", answers={"ab": [Left(at_once=("a", "b"))]})[0] == ["ab", "a", "b", "c"]


def test_what_is_busy_waits_until_the_others_had_their_turn() -> None:
    clock = Clock()

    order, left, _ = sent("a", "b", answers={"a": [Left(again="a", cause="busy")] * 2}, clock=clock)

    assert (order, left) == (["a", "b", "a", "a"], [])
    assert clock.slept == [0.05, 0.1]


def test_stop_gives_up_what_waits_with_its_cause() -> None:
    order, left, cause = sent("a", "b", answers={"a": [Left(again="a", cause="denied", stop=True)]})

    assert (order, left, cause) == (["a"], ["a", "b"], "denied")


def test_nothing_is_sent_after_the_deadline() -> None:
    assert sent("a", seconds=0.4) == ([], ["a"], OUT_OF_TIME)


def test_pause_that_lasts_too_long_ends_with_the_last_cause() -> None:
    """A machine that is busy wakes up late: no call begins then, which could only time out."""

    class Late(Clock):
        def sleep(self, seconds: float, /) -> None:
            super().sleep(seconds + 100)

    order, left, cause = sent("a", "b", answers={"a": [Left(again="a", cause="busy")]}, clock=Late())

    assert (order, left, cause) == (["a", "b"], ["a"], "busy")
