"""Real parsers as oracles: what pglast and sqlglot find in a statement, against what Daswatch makes of it.

The corpus is `tests/corpus/`, the demo's traffic and the detections' samples. What a parser cannot read is skipped,
counted and shown (`-s`).
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache

import pglast
import pytest
import sqlglot
from sqlglot.expressions import Command, HexString, Literal, National, RawString

from daswatch.sql.statements import statement_hash, unescaped, without_literals
from tests.corpus import ENGINES, statements
from tests.harness.statements import statements as statements_of_activities

_DIALECTS = {"mysql": "mysql", "oracle": "oracle", "sqlserver": "tsql"}
_POSTGRESQL_LITERALS = frozenset({"SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST"})
_SHORTEST = 5  # characters: a shorter literal may as well be a part of a name
# A fingerprint leaves out what a hash keeps: the code of DO and of functions, the names of roles, of prepared
# statements and of tables with an alias. It takes `= 1` for `in (1, 2)`, TABLE for SELECT, and any alias, any number of
# NULLs and any number of values in a call for another, and a word of SQL in quotes for the word.
_KEPT_BY_HASHES = re.compile(
    r"(?:do|create function|grant|(?:create|alter|drop|set) (?:role|user|group)|set session authorization"
    r"|(?:reassign|drop) owned|execute|explain|table|commit)\b"
    r"| in \(| as note\b| from \w+ t\b|select null\b|\.invoke\(|\"name\"",
    re.IGNORECASE,
)
# It keeps the file of COPY, the count of FETCH.
_KEPT_BY_FINGERPRINTS = re.compile(r"(?:copy|fetch|move)\b", re.IGNORECASE)
_CODE = re.compile(r"(?:do|create (?:or replace )?(?:function|procedure))\b", re.IGNORECASE)


@cache
def corpus(engine: str) -> tuple[str, ...]:
    """Distinct statements of one engine."""
    written = (text for name in ("ordinary", "keeps_text") for known, text in statements(name) if known == engine)
    return tuple(dict.fromkeys([*written, *statements_of_activities(engine)]))


def literals(engine: str, text: str) -> list[str] | None:
    """The literals that a parser finds, as they stand in the text; None where it cannot read the text."""
    try:
        if engine == "postgresql":
            pglast.parse_sql(text)
            tokens = (token for token in pglast.scan(text) if token.name in _POSTGRESQL_LITERALS)
            quoted = [text[token.start : token.end + 1].strip("'") for token in tokens]
            # PostgreSQL takes code for text; whether its own literals stay is tested in test_statements.
            return [value for value in quoted if not (value.startswith("$") and _CODE.match(text))]
        trees = sqlglot.parse(text, dialect=_DIALECTS[engine], error_level=sqlglot.ErrorLevel.RAISE)
    except (pglast.Error, sqlglot.errors.SqlglotError, RecursionError):
        return None
    if any(isinstance(tree, Command) for tree in trees):
        return None  # sqlglot keeps such a statement as text
    found = (node for tree in trees if tree for node in tree.find_all(Literal, National, HexString, RawString))
    return [str(node.this) for node in found]


def found_nowhere_else(text: str, values: Iterable[str]) -> Iterator[str]:
    """The literals that stand nowhere else in the text, where they would be a name."""
    values = list(values)
    return (value for value in set(values) if len(value) >= _SHORTEST and text.count(value) == values.count(value))


@pytest.fixture(autouse=True)
def _quiet_sqlglot(caplog: pytest.LogCaptureFixture) -> None:
    """It warns of each statement that it keeps as text: those are counted."""
    caplog.set_level(logging.ERROR, "sqlglot")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_literal_that_a_parser_finds_stays(engine: str) -> None:
    leaks: list[tuple[str, str]] = []
    parsed = unread = checked = 0
    for original in corpus(engine):
        text = unescaped(original)[0] if engine == "mysql" else original
        found = literals(engine, text)
        if found is None:
            unread += 1
            continue
        parsed += 1
        bare = without_literals(original, engine)
        for value in found_nowhere_else(text, found):
            checked += 1
            if value in bare:
                leaks.append((value, original))

    print(f"{engine}: {parsed} statements parsed, {unread} skipped, {checked} literals checked")
    assert leaks == []
    assert parsed > 2 * unread
    assert checked > 50


def test_hashes_agree_with_postgresqls_fingerprints() -> None:
    by_hash: dict[str, set[str]] = defaultdict(set)
    by_fingerprint: dict[str, set[str]] = defaultdict(set)
    examples: dict[str, str] = {}
    unread = 0
    for text in corpus("postgresql"):
        try:
            fingerprint = pglast.fingerprint(text)
        except pglast.Error:
            unread += 1
            continue
        digest = statement_hash(text, "postgresql")
        by_hash[digest].add(fingerprint)
        by_fingerprint[fingerprint].add(digest)
        examples.setdefault(digest, text)

    print(f"{len(by_hash)} hashes, {len(by_fingerprint)} fingerprints, {unread} statements skipped")
    together = [examples[digest] for digest, prints in by_hash.items() if len(prints) > 1]
    assert [text for text in together if not _KEPT_BY_FINGERPRINTS.match(text)] == []
    apart = [[examples[digest] for digest in digests] for digests in by_fingerprint.values() if len(digests) > 1]
    assert [texts for texts in apart if not any(map(_KEPT_BY_HASHES.search, texts))] == []


@pytest.mark.parametrize(("engine", "text"), [pair for pair in statements("ordinary") if pair[0] == "postgresql"])
def test_a_fingerprints_own_variants_share_a_hash(engine: str, text: str) -> None:
    """What PostgreSQL's parser writes for a statement is the same statement in another layout."""
    variants = [text.replace(" ", "\n\t"), f"/* x */ {text};", text.replace(",", " , ")]
    fingerprint = pglast.fingerprint(text)

    same = [variant for variant in variants if pglast.fingerprint(variant) == fingerprint]

    assert len(same) >= 2
    assert {statement_hash(variant, engine) for variant in same} == {statement_hash(text, engine)}
