"""What a table of signals consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL = ("postgresql", "mysql", "oracle", "sqlserver")

LOOK_BEHIND = 1_500  # characters
LITERAL = r"(?:[?01]|null)"  # as a shape has it
START = r"(?:\A|;|\b(?:begin|then|else|loop|do|as|is) ?)"  # of a statement, as far as the engines mark it


def words(listed: str) -> tuple[str, ...]:
    """Words that are given with blanks between them."""
    return tuple(listed.split())


@dataclass(frozen=True, slots=True)
class Pattern:
    """One form of a signal: a regular expression that is searched for in the shape of a statement.

    It is tried only where one of `words` is in the shape: identifiers or keywords in lower case. Where `raw` is given,
    the text must match this too, in lower case, as it was sent or without its comments: for what a shape does not keep,
    such as the value of a literal, or a hint. Where `without` is found in the shape, the pattern does not count.

    `behind` must be found in the same statement in front of what the expression finds, not further than `LOOK_BEHIND`:
    a gap within an expression costs its length at each place where it begins. Nothing repeats without limit but a
    letter: `\\w++`, `[^;]{0,200}`.
    """

    engines: tuple[str, ...]
    words: tuple[str, ...]
    expression: str
    raw: str = ""
    without: str = ""
    behind: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """What a statement can show: a value of the field `signals`. The samples are tests, by engine."""

    name: str
    meaning: str  # a sentence for the documentation
    patterns: tuple[Pattern, ...]  # none: found by code (`daswatch.sql.signals`)
    samples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # at least two for each engine
    near_misses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # at least one for each of these
    in_bodies: bool = True  # whether what a routine does counts when it is created, not only when it is called
