"""A statement that is executed again and again, and the expectations of each execution.

The engines' `sql` functions make these; the workloads and scenarios are lists of them. `activity` and
`outcome` are written by hand with each statement. They are the ledger's truth, so nothing derives them.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import NamedTuple

from demo.engines.values import SLOTS, Draw, Slot
from demo.ledger import Activity, Outcome


class Template:
    """SQL text with slots in braces, named in `values.SLOTS`; real braces are doubled."""

    __slots__ = ("_format", "_slots", "_text")

    def __init__(self, text: str) -> None:
        pieces: list[str] = []
        slots: list[Slot] = []
        for literal, slot, _, _ in string.Formatter().parse(text):
            pieces.append(literal.replace("%", "%%"))
            if slot is not None:
                pieces.append("%s")
                slots.append(SLOTS[slot])
        self._format = "".join(pieces)
        self._slots = tuple(slots)
        self._text = self._format % () if not slots else None

    def fill(self, draw: Draw) -> str:
        if self._text is not None:
            return self._text
        return self._format % tuple([slot(draw) for slot in self._slots])


class Part(NamedTuple):
    """Another event of the same statement: a called function, MySQL's AUX row, a further permission check."""

    activity: Activity
    command: str
    event_class: str
    object_type: str | None
    object_name: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What one execution is reported as; `micros` is its duration, `rows` its row count, from and to.

    A failing one carries the engine's `exit_code` and, if the engine reports it, its `error`.
    """

    activity: Activity
    outcome: Outcome
    command: str
    event_class: str
    object_type: str | None
    object_name: str | None
    text: Template
    binds: tuple[Slot, ...]
    rows: tuple[int, int] | None
    micros: tuple[int, int]
    exit_code: str | int | None
    error: str | None
    parts: tuple[Part, ...]


def slots(names: tuple[str, ...]) -> tuple[Slot, ...]:
    return tuple(SLOTS[name] for name in names)


def micros(milliseconds: tuple[float, float]) -> tuple[int, int]:
    low, high = milliseconds
    return int(low * 1000), int(high * 1000)
