"""What a statement shows, by the table of signals (`daswatch.sql.signal_table`): names for the field `signals`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

from daswatch.sql.conditions import unconditional_changes
from daswatch.sql.shapes import bare, shape_of_bare, without_bodies
from daswatch.sql.signal_table import SIGNALS
from daswatch.sql.signal_table.model import Pattern
from daswatch.sql.statements import CACHED_CHARACTERS, CACHED_STATEMENTS, known_engine

_WORD = re.compile(r"[^\W\d][\w$#]*+")
_RUN_NOW = frozenset(signal.name for signal in SIGNALS if not signal.in_bodies)
_UNCONDITIONAL = "unconditional-change"
_LONGEST_SHAPE = 32_768  # characters that patterns look at


def statement_signals(text: str, engine: str) -> tuple[str, ...]:
    """The names of the signals of a statement, sorted."""
    engine = known_engine(engine)
    without_literals = bare(text, engine)
    found = (_cached if len(without_literals) <= CACHED_CHARACTERS else _matching)(without_literals, engine)
    return tuple(sorted({name for name, pattern in found if not pattern.raw or _searched(pattern.raw, text.lower())}))


def _matching(bare_text: str, engine: str) -> tuple[tuple[str, Pattern], ...]:
    """What the table finds in a shape, with patterns whose `raw` is still to be looked for."""
    found = shape_of_bare(bare_text, engine)[:_LONGEST_SHAPE]
    now = without_bodies(found, engine)
    by_word = _patterns_by_word(engine)
    candidates: dict[tuple[str, Pattern], None] = {}
    for word in by_word.keys() & set(_WORD.findall(found)):
        candidates.update(dict.fromkeys(by_word[word]))
    shown = [
        (name, pattern)
        for name, pattern in candidates
        if _searched(pattern.expression, now if name in _RUN_NOW else found)
    ]
    for raw in unconditional_changes(now, engine):
        shown.append((_UNCONDITIONAL, Pattern((engine,), (), "", raw)))
    return tuple(shown)


_cached = lru_cache(maxsize=CACHED_STATEMENTS)(_matching)


@lru_cache(maxsize=8)
def _patterns_by_word(engine: str) -> dict[str, tuple[tuple[str, Pattern], ...]]:
    pairs = [(signal.name, pattern) for signal in SIGNALS for pattern in signal.patterns if engine in pattern.engines]
    words = {word for _, pattern in pairs for word in pattern.words}
    return {word: tuple(pair for pair in pairs if word in pair[1].words) for word in words}


def _searched(expression: str, text: str) -> bool:
    return _compiled(expression).search(text) is not None


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    """Compiled when first needed: all of the table at once would make a cold start longer."""
    return re.compile(expression)


def signal_names() -> Iterable[str]:
    """All names of the table, in its order."""
    return (signal.name for signal in SIGNALS)
