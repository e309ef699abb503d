"""What a statement shows, by the table of signals (`daswatch.sql.signal_table`): names for the field `signals`.

Looked at are the statement's shape, its end where a comment may cut off a rest, and the texts that it executes. What a
literal holds never makes a signal, unless it is executed. Statements repeat: a text, and a shape, is remembered.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import islice
from typing import NamedTuple

from daswatch.sql.conditions import CHANGING_WORDS, unconditional_changes
from daswatch.sql.cut_off import cuts_off
from daswatch.sql.escaped_letters import escaped_letters, may_escape
from daswatch.sql.executed_text import executed_texts, executes_text
from daswatch.sql.keyword_spelling import hides_keywords
from daswatch.sql.shapes import CONTROL, bare, shape_of_bare, without_bodies
from daswatch.sql.signal_table import SIGNALS
from daswatch.sql.signal_table.model import LOOK_BEHIND, Pattern
from daswatch.sql.split_words import splits_word
from daswatch.sql.statements import CACHED_CHARACTERS, CACHED_STATEMENTS, known_engine, without_comments

_WORD = re.compile(r"[^\W\d][\w$#]*+")
_BLANKS = re.compile(r"[ \t]++")
_QUOTE = re.compile(r"\A\s{0,99}(?:--\s|#|/\*)[\s%_;)\]}\\-]{0,9}['\"]")
_LONGEST_SHAPE = 16_384  # characters that patterns look at
_LONGEST_TEXT = 65_536  # characters that are looked into for what a shape does not keep
_MOST_LOOKS_BEHIND = 20
_DEPTH = 2  # texts executed within each other
_OF_HEADS = frozenset({"function", "procedure"})  # of a routine
_OF_ALL_HEADS = _OF_HEADS | {"set"}
_RUN_NOW = frozenset(signal.name for signal in SIGNALS if not signal.in_bodies)


class _Matches(NamedTuple):
    names: frozenset[str]  # of signals that the shape shows
    open: tuple[tuple[str, str], ...]  # those that depend on the text as well, and the expression for it
    runs_text: bool  # whether it may execute another text
    runs_now: bool  # whether it may do so outside a routine that it creates
    is_union: bool
    is_stacked: bool  # something stands behind a statement that reads or writes


def statement_signals(text: str, engine: str) -> tuple[str, ...]:
    """The names of the signals of a statement, sorted."""
    engine = known_engine(engine)
    return (_cached if len(text) <= CACHED_CHARACTERS else _signals)(text, engine)


def _signals(text: str, engine: str) -> tuple[str, ...]:
    found: set[str] = set()
    _collect(text, engine, found, _DEPTH)
    return tuple(sorted(found)) if found else ()


_cached = lru_cache(maxsize=CACHED_STATEMENTS)(_signals)


def _collect(text: str, engine: str, found: set[str], depth: int) -> None:
    without_literals = bare(text, engine)
    matches = (_cached_matches if len(without_literals) <= CACHED_CHARACTERS else _matches)(without_literals, engine)
    found |= matches.names
    if matches.open:
        lowered = text[:_LONGEST_TEXT].lower()
        readable = _BLANKS.sub(" ", CONTROL.sub(" ", without_comments(text[:_LONGEST_TEXT], engine).lower()))
        found.update(name for name, raw in matches.open if _searched(raw, lowered) or _searched(raw, readable))
    if engine == "postgresql" and may_escape(text):
        found.update(escaped_letters(text))
    if cuts_off(text, engine):
        found.add("comment-cut-off")
        if not without_literals.strip() and _QUOTE.search(text):
            # What an engine reports last of stacked statements.
            found.add("stacked-statements")
        if matches.is_union:
            found.add("union-probe")
        if matches.is_stacked:
            found.add("stacked-statements")
    if hides_keywords(text, without_literals, engine, is_union=matches.is_union):
        found.add("hidden-spelling")
    if splits_word(text, engine):
        found.add("split-word")
    if matches.runs_text and depth:
        executed_signals: set[str] = set()
        for executed in executed_texts(text, engine):
            if executed.assembled:
                found.add("dynamic-code")
            _collect(executed.text, engine, executed_signals, depth - 1)
        found |= executed_signals if matches.runs_now else executed_signals - _RUN_NOW


def _matches(bare_text: str, engine: str) -> _Matches:
    """What the table finds in a shape."""
    shape = shape_of_bare(bare_text, engine)[:_LONGEST_SHAPE]
    now = without_bodies(shape, engine)
    words = set(_WORD.findall(shape))
    words_now = words if now == shape else set(_WORD.findall(now))
    by_word = _patterns_by_word(engine)
    candidates: dict[tuple[str, Pattern], None] = {}
    for word in by_word.keys() & words:
        candidates.update(dict.fromkeys(by_word[word]))
    found = [(name, pattern.raw) for name, pattern in candidates if _shows(pattern, now if name in _RUN_NOW else shape)]
    if not words_now.isdisjoint(CHANGING_WORDS):
        found += [("unconditional-change", raw) for raw in unconditional_changes(now, engine)]
    names = frozenset(name for name, raw in found if not raw)
    return _Matches(
        names,
        tuple((name, raw) for name, raw in found if raw and name not in names),
        runs_text=executes_text(shape, words, engine),
        runs_now=executes_text(now, words_now - (_OF_HEADS if engine == "mysql" else _OF_ALL_HEADS), engine),
        is_union="union" in words,
        is_stacked=_searched(_STACKED, shape),
    )


# Behind a statement of an application that has a value: anything else.
_STACKED = r"\A(?:select|insert|update|delete|with|replace)\b[^;]{0,2000};[a-z]"
_cached_matches = lru_cache(maxsize=CACHED_STATEMENTS)(_matches)


@lru_cache(maxsize=8)
def _patterns_by_word(engine: str) -> dict[str, tuple[tuple[str, Pattern], ...]]:
    pairs = [(signal.name, pattern) for signal in SIGNALS for pattern in signal.patterns if engine in pattern.engines]
    words = {word for _, pattern in pairs for word in pattern.words}
    return {word: tuple(pair for pair in pairs if word in pair[1].words) for word in words}


def _found(pattern: Pattern, shape: str) -> bool:
    if not pattern.behind:
        return _searched(pattern.expression, shape)
    for match in islice(_compiled(pattern.expression).finditer(shape), _MOST_LOOKS_BEHIND):
        statement = shape.rfind(";", 0, match.start()) + 1
        if _compiled(pattern.behind).search(shape, max(statement, match.start() - LOOK_BEHIND), match.start()):
            return True
    return False


def _shows(pattern: Pattern, shape: str) -> bool:
    return _found(pattern, shape) and not (pattern.without and _searched(pattern.without, shape))


def _searched(expression: str, text: str) -> bool:
    return _compiled(expression).search(text) is not None


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    """Compiled when first needed: all of the table at once would make a cold start longer."""
    return re.compile(expression)
