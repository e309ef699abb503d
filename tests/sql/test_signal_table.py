"""The table of signals: each sample has its signal, no near miss has it, and all patterns are linear."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from re import _constants as constants
from re import _parser as parser
from typing import Any

import pytest

from daswatch.sql.shapes import shape
from daswatch.sql.signal_table import SIGNALS
from daswatch.sql.signal_table.model import Pattern, Signal
from daswatch.sql.signals import statement_signals
from daswatch.sql.statements import ENGINES

_MOST_STEPS = 2_000  # that bounded repetitions may multiply to

# All cases of a signal are one test, which shows each that is wrong: there are thousands.
of_each_signal = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)


@of_each_signal
def test_a_sample_has_its_signal(signal: Signal) -> None:
    without = {text: shape(text, engine) for engine, text in _texts(signal.samples) if not _has(signal, text, engine)}

    assert without == {}


@of_each_signal
def test_a_near_miss_does_not_have_the_signal(signal: Signal) -> None:
    having = {text: shape(text, engine) for engine, text in _texts(signal.near_misses) if _has(signal, text, engine)}

    assert having == {}


def _texts(by_engine: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    return ((engine, text) for engine, texts in by_engine.items() for text in texts)


def _has(signal: Signal, text: str, engine: str) -> bool:
    return signal.name in statement_signals(text, engine)


def test_names_are_unique_and_in_kebab_case() -> None:
    names = [signal.name for signal in SIGNALS]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(?:-[a-z]+)*", name) for name in names)


@of_each_signal
def test_a_signal_has_samples_for_each_engine(signal: Signal) -> None:
    claimed = {engine for pattern in signal.patterns for engine in pattern.engines} or set(signal.samples)

    assert claimed == set(signal.samples) == set(signal.near_misses) != set()
    assert claimed <= set(ENGINES)
    assert all(len(texts) >= 2 for texts in signal.samples.values())
    assert all(texts for texts in signal.near_misses.values())
    assert signal.meaning.endswith(".")


@of_each_signal
def test_a_pattern_is_linear(signal: Signal) -> None:
    """Only letters repeat without limit, possessively; what is bounded multiplies to few steps."""
    for expression in (expression for pattern in signal.patterns for expression in _expressions(pattern)):
        assert _steps(parser.parse(expression)) <= _MOST_STEPS, expression
        letters = re.sub(r"\\[A-Z]", "", expression)
        assert letters == letters.lower(), expression


def _expressions(pattern: Pattern) -> Iterator[str]:
    return filter(None, (pattern.expression, pattern.raw, pattern.without, pattern.behind))


@of_each_signal
def test_the_words_of_a_pattern_are_words_of_a_shape(signal: Signal) -> None:
    for pattern in signal.patterns:
        assert pattern.words, pattern
        assert all(re.fullmatch(r"[a-z_@#][\w$#@]*", word) for word in pattern.words), pattern


def _steps(parsed: Any) -> int:
    """How often the innermost of nested repetitions may run."""
    most = 1
    for operation, argument in parsed:
        if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT):
            _, upper, inner = argument
            if upper == constants.MAXREPEAT:
                assert operation is constants.POSSESSIVE_REPEAT, "possessive"
                assert _is_letter(inner), "a letter"
                upper = 1
            most = max(most, int(upper) * _steps(inner))
        elif operation is constants.BRANCH:
            most = max(most, *(_steps(branch) for branch in argument[1]))
        elif operation is constants.SUBPATTERN:
            most = max(most, _steps(argument[3]))
        elif operation is constants.ATOMIC_GROUP:
            most = max(most, _steps(argument))
        elif operation in (constants.ASSERT, constants.ASSERT_NOT):
            most = max(most, _steps(argument[1]))
    return most


def _is_letter(inner: Any) -> bool:
    operation, argument = inner[0]
    if len(inner) > 1 or operation is not constants.IN:
        return False
    wanted = {constants.CATEGORY_WORD, constants.CATEGORY_DIGIT}
    return all(
        (kind is constants.CATEGORY and value in wanted)
        or (kind is constants.LITERAL and chr(value) in "$#@._")
        or (kind is constants.RANGE and chr(value[0]).isalnum())
        for kind, value in argument
    )
