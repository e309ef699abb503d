"""No text chooses its cost: what is looked at grows with the length of a text, whatever stands in it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daswatch.documents.redaction import Redaction, read_statement, redacted
from daswatch.sql import passwords, statements
from daswatch.sql.passwords import REDACTED, fragment_without_passwords, without_passwords
from daswatch.sql.statements import leading_words, statement_hash, without_literals
from tests.corpus import ENGINES
from tests.harness.scanning import Work, count_work
from tools.benchmarks.statements import PREFIXES, UNITS

LENGTH = 12_000
# Passes over a text: for its hash, its literals, its passwords, each at most four levels deep, and as a fragment twice.
PASSES = 120
# What looking back, looking into strings and following variables may cost on top, however long the text is.
BOUNDED_CHARACTERS = 800_000
BOUNDED_CALLS = 60_000


@pytest.fixture(name="work")
def _work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return count_work(monkeypatch, statements, passwords)


def read_all(text: str, engine: str) -> None:
    cleaned = without_passwords(text, engine).text
    assert len(statement_hash(cleaned, engine)) == 16
    without_literals(cleaned, engine)
    fragment_without_passwords(text, engine, continued=True)
    assert len(leading_words(text, engine)) <= 3


def work_of(text: str, engine: str, work: Work) -> tuple[int, int]:
    work.characters = work.calls = 0
    read_all(text, engine)
    return work.characters, work.calls


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("engine", ENGINES)
def test_work_is_linear_in_repeated_units(engine: str, unit: str, work: Work) -> None:
    prefix = PREFIXES[UNITS.index(unit) % len(PREFIXES)]

    characters, calls = work_of((prefix + unit * LENGTH)[:LENGTH], engine, work)

    assert characters <= PASSES * LENGTH
    assert calls <= 20 * LENGTH


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    engine=st.sampled_from(ENGINES),
    prefix=st.sampled_from(PREFIXES),
    parts=st.lists(
        st.tuples(st.lists(st.sampled_from(UNITS), min_size=1, max_size=4), st.integers(1, 400)), max_size=4
    ),
)
def test_work_is_linear_in_mixed_units(
    work: Work, engine: str, prefix: str, parts: list[tuple[list[str], int]]
) -> None:
    text = prefix + "".join("".join(units) * count for units, count in parts)

    characters, calls = work_of(text, engine, work)

    assert characters <= PASSES * (len(text) + 500)
    assert calls <= 20 * (len(text) + 500)


@pytest.mark.parametrize("engine", ENGINES)
def test_nested_statements_are_read_to_a_bound(engine: str, work: Work) -> None:
    text = "select 'password x'"
    while len(text) < LENGTH:
        text = f"exec('{text.replace(chr(39), chr(39) * 2)}')"

    characters, _ = work_of(text, engine, work)

    assert characters <= PASSES * len(text)


@pytest.mark.parametrize(
    ("engine", "prefix", "unit"),
    [
        ("sqlserver", "", '"a".'),
        ("sqlserver", "", '1e"'),
        ("sqlserver", "", "[]"),
        ("sqlserver", "@command=N'\"password", "[]"),
        ("postgresql", "", "update pg_authid --password declare a cursor $1,"),
        ("postgresql", "create user mapping for x options (", "replace "),
        ("postgresql", "", "create user mapping for x options (user 'x', "),
        ("mysql", "format('password %L',sp_executesql N'", "N'"),
        ("mysql", "select '", '\\"password\\":\\"'),
        ("mysql", "bcp -P", "table if "),
        ("oracle", "", "'pwd={, '||p||'"),
        ("oracle", "begin x := 'alter user a identified by ' || ", "a := b || "),
        ("sqlserver", "exec('alter login x with password=' + @a) ", "@a=@b,"),
    ],
)
@pytest.mark.parametrize("length", [LENGTH, 4 * LENGTH])
def test_shapes_that_were_slow_are_read_a_few_times(
    work: Work, engine: str, prefix: str, unit: str, length: int
) -> None:
    text = (prefix + unit * length)[:length]

    characters, calls = work_of(text, engine, work)

    assert characters <= 30 * length + BOUNDED_CHARACTERS
    assert calls <= length // 2 + BOUNDED_CALLS


def test_values_of_a_document_are_looked_into_to_a_bound(work: Work) -> None:
    values = ["pwd='x'"] * 20_000

    found = redacted({"paramList": values}, "postgresql", Redaction.OFF)

    assert set(found["paramList"]) <= {"pwd=<REDACTED>", REDACTED}
    assert work.characters <= 20 * sum(map(len, values))


def test_a_long_statement_is_read_once(work: Work) -> None:
    """For its hash, and then for its text."""
    text = "select " + "'a', 1.5, " * 2_000

    read_statement(text, "postgresql")
    once = work.characters
    redacted({"commandText": text}, "postgresql", Redaction.OFF)

    assert 0 < once == work.characters


def test_dollar_quotes_behind_a_cte_are_read_once(work: Work) -> None:
    """Whether a dollar quote holds code is decided for all of a text, not for each quote again."""
    text = ("with x as (select 1) select " + "$$a$$," * LENGTH)[:LENGTH]

    characters, calls = work_of(text, "postgresql", work)

    assert characters <= 20 * LENGTH
    assert calls <= 50


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("unit", ["$$a$$,", "password 'x',", "'identified by '||", "/*/*", "\\'", "exec [", "crypt(a,"])
def test_a_long_text_of_anything_gets_its_answer(engine: str, unit: str) -> None:
    read_all("select " + unit * (250_000 // len(unit)), engine)


def test_words_before_a_table_are_looked_at_once() -> None:
    """A text of nothing but these words is not read again from each of them."""
    found = statements._MYSQL_TABLES[""].match("from " + "if " * 50)
    assert found is not None
    assert found.end() <= len("from ") + len("if ") * 8


@pytest.mark.parametrize(
    ("declaration", "is_read"),
    [
        (f"{'t' * 128}.{'u' * 128}.{'v' * 128}%rowtype := ", True),
        ("in out nocopy varchar2(20) := ", True),
        ("v." * 500 + " := ", False),
        ("constant " * 10 + "t := ", False),
    ],
)
def test_a_type_is_read_to_a_bound(declaration: str, is_read: bool) -> None:
    """A match that fails does not show how far it looked; that a longer one does not match shows it."""
    assert (passwords._TYPED.match(declaration) is not None) is is_read


def test_names_within_words_are_searched_to_a_bound() -> None:
    """Names of one letter stand everywhere: behind so many places all strings of a text are removed."""
    names = ["a" * number for number in range(1, 20)]
    assigned = "; ".join(f"{name} := 1" for name in names)
    text = f"begin execute immediate 'alter user u identified by '||{'||'.join(names)}; {assigned}; x := 'canary'; "

    assert "canary" in without_passwords(text, "oracle").text
    assert "canary" not in without_passwords(text + "a" * 100_000, "oracle").text


def test_one_character_alone_changes_its_length() -> None:
    """In lower case; positions in a text and in its lower case are the same without it."""
    assert [character for character in map(chr, range(0x110000)) if len(character.lower()) != 1] == ["İ"]
    assert len(passwords._lower("aİB\u1e9e")) == len("aİB\u1e9e")
