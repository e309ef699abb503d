"""SQL text -> its shape: the statement as the table of signals reads it (`daswatch.sql.signal_table`).

No parser: four dialects, truncated texts and attackers' texts must all get an answer, in linear time.

A shape is in lower case, without comments (MySQL's executable ones are code), with one blank at most between two words
and none around punctuation; `?`, `$`, `@` and `#` count as letters there. In it stand

- `?` for each literal, but `0` and `1` as they are; lists of values behind IN and VALUES are `(?)`, and many rows are
  one; a sign in front of a number and parentheses around a single literal are left out;
- `$` for a bound parameter; variables and SQL Server's parameters keep their names: `@p1`;
- names without quotes or brackets; what is not a letter in them is `_`, and one that would read as a keyword ends in
  `_`, unless a dot shows it to be a name;
- `<>` for `!=` and `^=`; in MySQL `or` and `and` for `||` and `&&`;
- the body of a routine or a DO block, also in dollar quotes, as a part of the statement: `«;…»` where it is a
  PostgreSQL function's, which is not run now.
"""

from __future__ import annotations

import re

from daswatch.sql.statements import (
    code_positions,
    code_scanners,
    known_engine,
    literal_scanners,
    plain,
    readable,
    replaced,
    word_set,
)

# Exact, unlike the number of a hash: what stands directly behind a number is code: `1or 1=1`, `1e0union`.
_NUMBER = (
    r"(?<=\d)(?<![\w$#@]\d)(?!(?<=[01])(?![\d._]|[eE][+-]?\d|[xX][0-9A-Fa-f]))"
    r"(?:(?<=0)[xX][0-9A-Fa-f]++|[\d_]*+(?:\.\d*+)?+(?:[eE][+-]?+\d++)?+)"
)
SCANNERS_OF_CODE = code_scanners(_NUMBER)
_LITERALS = literal_scanners(_NUMBER)


_RESERVED = word_set(
    "all alter and as begin between by call case commit connect create current_user database db_name declare deny"
    " disable do drop else enable end exec execute exists explain export fetch for from function grant group having if"
    " import in index insert intersect into is join kill language like limit load lock login loop merge minus not null"
    " on or order outfile owner password prepare procedure purge rename replace restore revoke role rollback schema"
    " select session_user set show shutdown system_user table then to trigger truncate union update use user using"
    " values version view waitfor when where while with xor"
)
_NO_LETTER = re.compile(r"[^\w$#@]")
_NAME_LENGTH = 128  # characters
_ESCAPED_NAME = re.compile(r'\bu&"((?:[^"]++|"")*+)"?+', re.IGNORECASE)
_ESCAPED = re.compile(r"[^0-9A-Fa-f+'\"\s](?:\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))")

# MySQL reads over a number without digits behind its `e`: `concat 1.e(`.
_IGNORED_NUMBER = re.compile(r"(?<![\w.])\d++\.[eE](?=[\s(),.*])")
# A number that begins with its point: the part behind it is read as one of its own.
_FRACTION = re.compile(r"(?<![\w$#@.?\])])\.[?01](?![\d.])")
# Oracle's mark of a number as BINARY_FLOAT or BINARY_DOUBLE, which a word may follow.
_FLOAT = re.compile(r"(?:(?<=[?\d.])|(?<=[?01] ))[df](?=union\b)")
_BINARY = re.compile(r"\bbinary\s++(?=[?\d])")
# What some engines take for blanks, but no end of a line.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\xa0\u200b-\u200f\ufeff]")
# Where a function's body begins, as far as its head is looked back at.
_HEAD = 4_000  # characters
_BEFORE_BODY = re.compile(r"\bas\s*+\Z", re.IGNORECASE)
_OF_TRIGGER = re.compile(r"\breturns\s++(?:event_)?trigger\b", re.IGNORECASE)
_BODY = re.compile(r"«[^«»]*+(?:«[^«»]*+»[^«»]*+)*+»?+")
_ROUTINE = re.compile(
    r"(?<!show )\b(?:create|alter) (?:or (?:replace|alter) )?"
    r"(?:definer=[\w$?.]{1,80}(?: ?@ ?[\w$?.]{1,80})?(?:\(\))? ?)?(?:(?:non)?editionable )?(?:aggregate )?"
    r"(?:proc(?:edure)?|function|package(?: body)?|type body) (?!to\b|on\b|,)(?:if not exists )?[\w$#.@]++"
)
_PREFIXED = re.compile(r"(?:\b(?:_\w++|[bxne]|n?q)|\bu&)(?=\?)")
_BEFORE_LETTER = re.compile(r"(?<=[01])(?<![\w.$#@][01])(?=[a-z_])")
_PARAMETER = {
    "postgresql": re.compile(r"(?<![\w$])\$\d++"),
    "oracle": re.compile(r"(?<!:):\s?(?:\w++|\?)"),
}
_NEEDLESS_BLANK = re.compile(r" (?=[^\w?$@#])|(?<=[^\w?$@# ]) ")
_UNEQUAL = re.compile(r"[!^]=")
_VALUE = r"(?:[?$01]|null|default|true|false|now\(\)|current_timestamp)"
_BEFORE_VALUE = r"(?<![\w?$)\]])|(?<=\band)|(?<=\bor)|(?<=\bnot)|(?<=\bwhere)|(?<=\bwhen)|(?<=\bselect)|(?<=\blike)"
_IN_PARENTHESES = re.compile(rf"(?:{_BEFORE_VALUE})\(([?01])\)")
_SIGN = re.compile(
    r"((?:[=(,<>*/%|]|\b(?:select|and|or|then|else|limit|between|like|where|when|not|rlike) ?))[-+~]++[?01]"
)
_LIST = re.compile(
    rf"(\b(?:in|values?) ?)\({_VALUE}(?:,{_VALUE}){{0,9999}}+\)(?:,\({_VALUE}(?:,{_VALUE}){{0,9999}}+\)){{0,9999}}+"
)


def shape(text: str, engine: str) -> str:
    """The shape of a statement."""
    engine = known_engine(engine)
    return shape_of_bare(bare(text, engine), engine)


def bare(text: str, engine: str) -> str:
    """A statement of a known engine without its literals and comments: what its shape is made of."""
    text = readable(text, engine)
    if engine == "mysql":
        text = text.replace("?", "$")
        if ".e" in text or ".E" in text:
            text = _IGNORED_NUMBER.sub(" ", text)
    elif engine in ("postgresql", "oracle") and ("u&" in text or "U&" in text):
        text = _ESCAPED_NAME.sub(_unescaped, text)
    if plain(text, engine) is None:
        return _bare(text, engine, 0)
    return _LITERALS[engine].sub("?", text)


def _bare(text: str, engine: str, depth: int) -> str:
    code = code_positions(text) if engine == "postgresql" and "$" in text and depth < 3 else frozenset()

    def replacement(match: re.Match[str]) -> str:
        kind = match.lastgroup
        if kind == "literal":
            return "?"
        if kind == "comment":
            return " "
        if kind == "dollar":
            if match.start() not in code:
                return "?"
            body = _bare(match["body"], engine, depth + 1)
            return f" «; {body} » " if _is_called_later(match.string[: match.start()]) else f" {body} "
        return _name(match)

    return replaced(text, engine, SCANNERS_OF_CODE[engine], replacement)


def _is_called_later(head: str) -> bool:
    """Whether a body in dollar quotes is a function's; no statement calls a trigger's."""
    head = replaced(head[-_HEAD:], "postgresql", SCANNERS_OF_CODE["postgresql"], _blank).rpartition(";")[2]
    return _BEFORE_BODY.search(head) is not None and _OF_TRIGGER.search(head) is None


def _blank(match: re.Match[str]) -> str:
    return " " if match.lastgroup == "comment" else " ? "


def without_bodies(shape: str, engine: str) -> str:
    """A shape without the bodies of the routines that it creates: they are not run now."""
    if engine == "postgresql":
        return _BODY.sub("?", shape) if "«" in shape else shape
    routine = _ROUTINE.search(shape)
    return shape[: routine.end()] if routine else shape


def shape_of_bare(text: str, engine: str) -> str:
    """The shape of what `bare` returns."""
    if '"' in text or "`" in text or "[" in text:
        text = SCANNERS_OF_CODE[engine].sub(_named, text)
    text = text.lower()
    if engine == "mysql":
        text = text.replace("*/", " ").replace("||", " or ").replace("&&", " and ")
        text = _BINARY.sub("", text) if "binary" in text else text
    if "<redacted>" in text or "<secret>" in text:
        text = text.replace("<redacted>", "?").replace("<secret>", "?")
    text = _PREFIXED.sub("", text)
    if ".?" in text or ".1" in text or ".0" in text:
        text = _FRACTION.sub("?", text)
    text = _BEFORE_LETTER.sub(" ", text)
    if engine == "oracle" and ("dunion" in text or "funion" in text):
        text = _FLOAT.sub(" ", text)
    parameter = _PARAMETER.get(engine)
    if parameter:
        text = parameter.sub(" $ ", text)
    text = " ".join(CONTROL.sub(" ", text).replace("?", " ? ").split())
    if engine == "mysql" and " @ " in text:
        text = text.replace(" @ ", "@")
    text = _NEEDLESS_BLANK.sub("", text)
    text = _UNEQUAL.sub("<>", text)
    text = _SIGN.sub(r"\1?", text)
    if "(?)" in text or "(1)" in text or "(0)" in text:
        for _ in range(4):  # within each other
            text = _NEEDLESS_BLANK.sub("", _IN_PARENTHESES.sub(r" \1 ", text).replace("  ", " "))
    text = _LIST.sub(r"\1(?)", text)
    return text.strip("; ")


def _named(match: re.Match[str]) -> str:
    """What a text that has `?` for its literals still holds."""
    return _name(match) if match.lastgroup in ("name", "maybe") else match[0]


def _name(match: re.Match[str]) -> str:
    """A name in any engine's quotes without them."""
    quoted = match[0]
    closing = {"[": "]"}.get(quoted[0], quoted[0])
    name = _NO_LETTER.sub("_", quoted[1:].removesuffix(closing)[:_NAME_LENGTH]) or "_"
    qualified = match.string[match.start() - 1 : match.start()] == "." or match.string.startswith(".", match.end())
    return f" {name} " if qualified or name.lower() not in _RESERVED else f" {name}_ "


def _unescaped(match: re.Match[str]) -> str:
    def character(escaped: re.Match[str]) -> str:
        code = int(escaped[1] or escaped[2], 16)
        return chr(code) if 0 < code < 0x110000 else "_"

    return f'"{_ESCAPED.sub(character, match[1])}"'
