"""Which names a statement gives to a user, role or login, in any engine's words; read only where a name is looked for.

Quotes do not matter, so that a statement within a string, a block or a body is read too. Where a statement is put
together while it runs, a name counts as given if it stands in a literal of its own or can be composed of the literals.
What is composed of data, by other functions than concatenation, or over several statements cannot be known.
"""

from __future__ import annotations

import re
from functools import lru_cache

from daswatch.sql.statements import contains_any, without_comments

_COMMON = "rds"  # AWS's names begin so: one search for all of them
_ESCAPING = frozenset({"postgresql", "oracle"})
_KINDS = frozenset({"USER", "ROLE", "GROUP", "LOGIN"})
_BEFORE_A_KIND = frozenset({"CREATE", "SERVER", "APPLICATION", "REPLACE"})
_WRITES = frozenset({"INSERT", "REPLACE", "UPDATE", "LOAD"})
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
# Where text becomes a statement, and how it may be composed.
_DYNAMIC = ("exec", "prepare", "dbms_sql")
_DYNAMIC_OF_ENGINE = {"mysql": (*_DYNAMIC, "@")}  # a variable holds what the next statement prepares
_COMPOSING = ("||", "+", "concat", "format", "chr(", "char(")
_CHARACTER = re.compile(r"\bn?cha?r\s*+\(\s*+(\d{1,3})\s*+(?:using\s++\w++\s*+)?\)")
_HEXADECIMAL = re.compile(r"\b(?:0x((?:[0-9a-f]{2}){2,64})\b|x'((?:[0-9a-f]{2}){2,64})')")
# A text in hexadecimal digits, as bytes of ASCII or of UTF-16.
_TEXT_IN_HEXADECIMAL = re.compile(r"\b(?:0x((?:[0-9a-f]{2}){2,2000}+)\b|x'((?:[0-9a-f]{2}){2,2000}+)')")
_PIECE = re.compile(r"[^\\'\"$`\[\]]++")  # of a text, between any quotes
_WORD = re.compile(r"[a-z0-9_]++")
_KIND_WORDS = ("role", "user", "login", "group")
_COMPARED = re.compile(r"(?:<>|!=|\^=|\bnot\s++(?:in\s*+\(|like|ilike))\s*+\Z")
_MOST_FRAGMENTS = 4
_LONGEST_LIST = 60  # pieces of a list that are looked behind
_QUOTES = str.maketrans(dict.fromkeys("'\"`[]\\", " "))


def gives_name(text: str, engine: str, names: frozenset[str]) -> bool:
    """Whether a statement makes or renames a user, role or login so that it has one of these names, in any case."""
    lowered = text.lower()
    if engine in _ESCAPING and "u&" in lowered:
        text = _ESCAPED_NAME.sub(_unescaped, text)
        lowered = text.lower()
    dynamic = contains_any(lowered, _DYNAMIC_OF_ENGINE.get(engine, _DYNAMIC))
    if dynamic and ("0x" in lowered or "x'" in lowered):
        text = lowered = _TEXT_IN_HEXADECIMAL.sub(_read, lowered)
    named = contains_any(lowered, _parts(names))
    if not named and not (dynamic and contains_any(lowered, _COMPOSING)):
        return False  # as nearly always
    code = without_comments(text, engine)
    if named:
        tokens = [token.upper() for token in _tokens(names).findall(code.translate(_QUOTES))]
        if _gives_name(tokens, engine, frozenset(name.translate(_QUOTES).upper() for name in names)):
            return True
    return dynamic and _composes_name(code.lower(), frozenset(name.lower() for name in names))


def _gives_name(tokens: list[str], engine: str, names: frozenset[str]) -> bool:
    said: set[str] = set()  # the words of the statement so far
    database: set[str] = set()  # that an earlier statement changed to
    granted = False  # GRANT … TO the name: with a password behind it, that makes a user too
    for number, token in enumerate(tokens):
        if token == ";":
            database = {"MYSQL"} if tokens[max(number - 2, 0) : number] == ["USE", "MYSQL"] else database
            said, granted = set(database), False
        elif token in names:
            before = tokens[max(number - 5, 0) : number]
            if _is_new(before, said, engine):
                return True
            granted = granted or ({"GRANT", "TO"} <= said and before[-1:] in (["TO"], [","]))
        elif granted and token == "IDENTIFIED":
            return True
        else:
            said.add(token)
    return False


def _composes_name(code: str, names: frozenset[str]) -> bool:
    """Whether a text in lower case that runs another one makes an account, and has a name or its parts in literals.

    Literals within literals look like the code between them, so each piece between two quotes counts.
    """
    code = _HEXADECIMAL.sub(_spelled, _CHARACTER.sub(_character, code))
    if not _makes_account("".join(_WORD.findall(code))):
        return False
    pieces = [piece.strip() for piece in _PIECE.findall(code)]
    fragments: set[str] = set()
    spelled = ""  # letter by letter, as far as a name is long
    ends, longest = tuple(names), max(map(len, names))
    for number, piece in enumerate(pieces):
        if piece in names and not _is_compared(pieces, number):
            return True
        if len(piece) == 1 and piece.isalnum():
            spelled = (spelled + piece)[-longest:]
            if spelled.endswith(ends):
                return True
            fragments.add(spelled)
        elif len(piece) > 1 and (words := _WORD.findall(piece)):
            spelled = ""
            fragments |= {word for word in (words[0], words[-1]) if piece.startswith(word) or piece.endswith(word)}
    return any(_is_composed(name, fragments - {name}) for name in names)


def _makes_account(letters: str) -> bool:
    """Whether all words of a text, without what is between them, could create or rename an account."""
    if any(procedure.lower() in letters for procedure in _PROCEDURES):
        return True
    if "identified" in letters and "grant" in letters:
        return True
    makes = "create" in letters or "rename" in letters or ("alter" in letters and "name" in letters)
    return makes and contains_any(letters, _KIND_WORDS)


def _is_compared(pieces: list[str], number: int) -> bool:
    """Whether a literal stands behind an operator that leaves it out, as in `where name <> 'x'`."""
    before = number - 1
    while before > max(number - _LONGEST_LIST, 0) and pieces[before] in ("", ","):
        before -= 1 if pieces[before] == "" else 2
    return before >= 0 and _COMPARED.search(pieces[before][-40:]) is not None


def _is_composed(name: str, fragments: set[str]) -> bool:
    """Whether a name is a row of few fragments: letters that stand anywhere are not a name."""
    fewest = {0: 0}
    for end in range(1, len(name) + 1):
        found = [fewest[start] for start in fewest if name[start:end] in fragments]
        if found:
            fewest[end] = min(found) + 1
    return fewest.get(len(name), _MOST_FRAGMENTS + 1) <= _MOST_FRAGMENTS


def _character(match: re.Match[str]) -> str:
    code = int(match[1])
    return f"'{chr(code)}'" if 32 < code < 127 else match[0]


def _spelled(match: re.Match[str]) -> str:
    spelled = bytes.fromhex(match[1] or match[2])
    return f"'{spelled.decode('ascii').lower()}'" if spelled.isalnum() and spelled.isascii() else match[0]


def _read(match: re.Match[str]) -> str:
    read = bytes.fromhex(match[1] or match[2]).replace(b"\0", b"")
    return f"'{read.decode('ascii').lower()}'" if read.isascii() and read.decode("ascii").isprintable() else match[0]


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
    if engine == "postgresql" and "PG_AUTHID" in said and "WHERE" not in said and not _WRITES.isdisjoint(said):
        return True  # the catalog of roles, written directly
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
