"""The table of signals: each sample has its signal, no near miss has it, and all patterns are linear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants as constants
from re import _parser as parser
from typing import Any

import pytest

from daswatch.sql.shapes import shape
from daswatch.sql.signal_table import SIGNALS
from daswatch.sql.signal_table.model import Pattern, Signal
from daswatch.sql.signals import statement_signals
from daswatch.sql.statements import ENGINES

_PATTERNS = [(signal.name, pattern) for signal in SIGNALS for pattern in signal.patterns]
_MOST_STEPS = 2_000  # that bounded repetitions may multiply to


def _cases(kind: str) -> Iterator[Any]:
    for signal in SIGNALS:
        for engine, texts in getattr(signal, kind).items():
            for number, text in enumerate(texts, 1):
                yield pytest.param(signal.name, engine, text, id=f"{signal.name}-{engine}-{number}")


@pytest.mark.parametrize(("name", "engine", "text"), list(_cases("samples")))
def test_a_sample_has_its_signal(name: str, engine: str, text: str) -> None:
    assert name in statement_signals(text, engine), shape(text, engine)


@pytest.mark.parametrize(("name", "engine", "text"), list(_cases("near_misses")))
def test_a_near_miss_does_not_have_the_signal(name: str, engine: str, text: str) -> None:
    assert name not in statement_signals(text, engine), shape(text, engine)


def test_names_are_unique_and_in_kebab_case() -> None:
    names = [signal.name for signal in SIGNALS]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(?:-[a-z]+)*", name) for name in names)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_a_signal_has_samples_for_each_engine(signal: Signal) -> None:
    claimed = {engine for pattern in signal.patterns for engine in pattern.engines} or set(signal.samples)

    assert claimed == set(signal.samples) == set(signal.near_misses) != set()
    assert claimed <= set(ENGINES)
    assert all(len(texts) >= 2 for texts in signal.samples.values())
    assert all(texts for texts in signal.near_misses.values())
    assert signal.meaning.endswith(".")


@pytest.mark.parametrize(("name", "pattern"), _PATTERNS)
def test_a_pattern_is_linear(name: str, pattern: Pattern) -> None:
    """Only letters repeat without limit, possessively; what is bounded multiplies to few steps."""
    for expression in filter(None, (pattern.expression, pattern.raw, pattern.without, pattern.behind)):
        assert _steps(parser.parse(expression)) <= _MOST_STEPS, name
        letters = re.sub(r"\\[A-Z]", "", expression)
        assert letters == letters.lower(), name


@pytest.mark.parametrize(("name", "pattern"), _PATTERNS)
def test_the_words_of_a_pattern_are_words_of_a_shape(name: str, pattern: Pattern) -> None:
    assert pattern.words, name
    assert all(re.fullmatch(r"[a-z_@#][\w$#@]*", word) for word in pattern.words)


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
