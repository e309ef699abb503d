"""Which names a statement gives to a user, role or login, in any engine's words; read only where a name is looked for.

Quotes are no obstacle, so that a statement within a string, a block or a body is read too.
"""

from __future__ import annotations

import re
from functools import lru_cache

from daswatch.statements import without_comments

_COMMON = "rds"  # AWS's names begin so: one search for all of them
_ESCAPING = frozenset({"postgresql", "oracle"})
_KINDS = frozenset({"USER", "ROLE", "GROUP", "LOGIN"})
_BEFORE_A_KIND = frozenset({"CREATE", "SERVER", "APPLICATION", "REPLACE"})
_WRITES = frozenset({"INSERT", "REPLACE", "UPDATE"})
# SQL Server's procedures that make a user, login or role, or let one in.
_PROCEDURES = frozenset(
    f"SP_{name}"
    for name in (
        *("ADDLOGIN", "ADDUSER", "ADDROLE", "ADDAPPROLE", "ADDGROUP", "ADDREMOTELOGIN"),
        *("GRANTLOGIN", "GRANTDBACCESS"),
    )
)
# PostgreSQL takes a number for any character of a name: U&"\0072dsadmin", or with another mark than the backslash.
_ESCAPED_NAME = re.compile(r'\bU&\\*"(?:[^"]++|"")*+"?+', re.IGNORECASE)
_ESCAPED = re.compile(r"[^0-9A-Fa-f+'\"\s](?:\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))")
_QUOTES = str.maketrans(dict.fromkeys("'\"`[]\\", " "))


def gives_name(text: str, engine: str, names: frozenset[str]) -> bool:
    """Whether a statement makes or renames a user, role or login so that it has one of these names, in any case."""
    lowered = text.lower()
    if engine in _ESCAPING and "u&" in lowered:
        text = _ESCAPED_NAME.sub(_unescaped, text)
        lowered = text.lower()
    for part in _parts(names):
        if part in lowered:
            break
    else:
        return False  # as nearly always
    tokens = [token.upper() for token in _tokens(names).findall(without_comments(text, engine).translate(_QUOTES))]
    return _gives_name(tokens, engine, frozenset(name.translate(_QUOTES).upper() for name in names))


def _gives_name(tokens: list[str], engine: str, names: frozenset[str]) -> bool:
    said: set[str] = set()  # the words of the statement so far
    granted = False  # GRANT … TO the name: with a password behind it, that makes a user too
    for number, token in enumerate(tokens):
        if token == ";":
            said, granted = set(), False
        elif token in names:
            before = tokens[max(number - 5, 0) : number]
            if _is_new(before, said, engine):
                return True
            granted = granted or (before[-1:] == ["TO"] and "GRANT" in said)
        elif granted and token == "IDENTIFIED":
            return True
        else:
            said.add(token)
    return False


def _is_new(before: list[str], said: set[str], engine: str) -> bool:
    """Whether a name that stands behind these words is one that the statement gives."""
    if not said.isdisjoint(_PROCEDURES):
        return True
    previous = before[-1] if before else ""
    if previous == "EXISTS" and before[-3:-1] == ["IF", "NOT"]:
        return "CREATE" in said and not _KINDS.isdisjoint(before)
    if previous in _KINDS:
        return "CREATE" in before and not _BEFORE_A_KIND.isdisjoint(before[-2:-1])
    if previous == "TO":
        return "RENAME" in said and not _KINDS.isdisjoint(said)
    if engine == "mysql":
        in_table = {"MYSQL", "USER"} <= said and "WHERE" not in said  # the table of users, written directly
        listed = previous == "," and "CREATE" in said and not _KINDS.isdisjoint(said)
        return listed or (in_table and not _WRITES.isdisjoint(said))
    return before[-2:] == ["NAME", "="] and "ALTER" in said and not _KINDS.isdisjoint(said)


@lru_cache(maxsize=16)
def _parts(names: frozenset[str]) -> tuple[str, ...]:
    """What a text with one of the names contains, in lower case: what most of them begin with, or one of the others."""
    lowered = {name.lower() for name in names}
    return (_COMMON, *(name for name in lowered if not name.startswith(_COMMON)))


@lru_cache(maxsize=16)
def _tokens(names: frozenset[str]) -> re.Pattern[str]:
    known = "|".join(re.escape(name.translate(_QUOTES)) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![\w$#])(?:{known})(?![\w$#])|[\w$#]+|[;,=.]", re.IGNORECASE)


def _unescaped(match: re.Match[str]) -> str:
    def character(escaped: re.Match[str]) -> str:
        code = int(escaped[1] or escaped[2], 16)
        return chr(code) if 0 < code < 0x110000 else escaped[0]

    return _ESCAPED.sub(character, match[0][2:])
