"""SQL text as far as Daswatch needs to understand it: its leading words, and itself without its literals.

No parser: four dialects, truncated texts and attackers' texts must all get an answer, in linear time. An unterminated
literal or comment therefore reaches to the end of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from hashlib import blake2b

# Statements repeat, so a cache spares most scans. Longer texts stay out of it: it must not grow past some 16 MiB.
_CACHED_STATEMENTS = 4096
_CACHED_CHARACTERS = 2048

# The scanner looks for the first character of what it replaces and then asks what stands there: a search for one set
# of characters is many times as fast as trying each alternative at each position.
_FIRST = {
    "postgresql": r"[-/'\"0-9$]",
    "mysql": r"[-/'\"0-9#?`]",
    "oracle": r"[-/'\"0-9:]",
    "sqlserver": r"[-/'\"0-9$\[]",
}
_LINE_COMMENT = r"(?<=-)-[^\n]*+"
_BLOCK_COMMENT = r"(?<=/)\*(?:[^*]++|\*(?!/))*+(?:\*/)?+"
_QUOTED = r"(?<=')(?:[^']++|'')*+'?+"
_NAME = r'(?<=")(?:[^"]++|"")*+"?+'
# Whatever begins with a digit, in all spellings: 1.5e-3, 0xFF, 1_000, 2d. Digits within a word are no number: t_1.
_NUMBER = r"(?<=\d)(?<![\w$#@]\d)(?:[\w.]|(?<=[eE])[+-](?=\d))*+"
_BRACKETED = {"[": "]", "{": "}", "<": ">", "(": ")"}
_ORACLE_Q = "|".join(
    rf"{re.escape(opening)}[\s\S]*?(?:{re.escape(closing)}'|\Z)" for opening, closing in _BRACKETED.items()
)


def _nested_comment(depth: int) -> str:
    """Aurora PostgreSQL and SQL Server nest block comments; deeper than this nobody does by accident."""
    inside = r"[^*/]++|\*(?!/)|/(?!\*)"
    nested = rf"{inside}|/"
    for _ in range(depth):
        nested = rf"{inside}|/\*(?:{nested})*+(?:\*/|\Z)"
    return rf"\*(?:{nested})*+(?:\*/)?+"


_NESTED_COMMENT = _nested_comment(4)

# Per engine: comments, literals (bound parameters among them), quoted names. The order decides.
_COMMENTS = {
    "postgresql": rf"{_LINE_COMMENT}|(?<=/){_NESTED_COMMENT}",
    # Two dashes and no space are two minus signs.
    "mysql": rf"(?<=-)-(?=\s|\Z)[^\n]*+|{_BLOCK_COMMENT}|(?<=\#)[^\n]*+",
    "oracle": rf"{_LINE_COMMENT}|{_BLOCK_COMMENT}",
    "sqlserver": rf"{_LINE_COMMENT}|(?<=/){_NESTED_COMMENT}",
}
_LITERALS = {
    "postgresql": rf"(?<=[eE]')(?:[^'\\]++|\\[\s\S]|'')*+'?+|{_QUOTED}|(?<=\$)\d++",
    # Without ANSI_QUOTES, which Aurora leaves off, "…" is a literal too.
    "mysql": r"""(?<=')(?:[^'\\]++|\\[\s\S]|'')*+'?+|(?<=")(?:[^"\\]++|\\[\s\S]|"")*+"?+|(?<=\?)""",
    "oracle": rf"(?<=[qQ]')(?:{_ORACLE_Q}|(?P<q>\S)[\s\S]*?(?:(?P=q)'|\Z))|{_QUOTED}|(?<=:)\w++",
    "sqlserver": rf"{_QUOTED}|(?<=\$)\d[\d.,]*+",
}
_NAMES = {
    "postgresql": _NAME,
    "mysql": r"(?<=`)(?:[^`]++|``)*+`?+",
    "oracle": _NAME,
    "sqlserver": rf"{_NAME}|(?<=\[)(?:[^\]]++|\]\])*+\]?+",
}
# Code in dollar quotes (a function's body, DO) is scanned itself; data in dollar quotes is a literal.
_DOLLAR_QUOTED = r"|(?P<code>(?<![\w$]\$)(?<=\$)(?P<tag>(?:[^\W\d]\w*+)?+\$)(?P<body>[\s\S]*?)(?:\$(?P=tag)|\Z))"
# What stands before a quote and belongs to the literal: N'…', E'…', q'…', _utf8'…', U&'…'.
_PREFIXED = re.compile(r"(?:\b(?:_\w++|[bBxXnNeEqQ]|[nN][qQ])|\b[uU]&)(?=\?)")
_MAYBE_PREFIXED = re.compile(r"\?(?<=[\w&]\?)")


def _scanner(engine: str) -> re.Pattern[str]:
    dollar_quoted = _DOLLAR_QUOTED if engine == "postgresql" else ""
    return re.compile(
        rf"{_FIRST[engine]}(?:(?P<comment>{_COMMENTS[engine]})|(?P<literal>{_LITERALS[engine]}|{_NUMBER})"
        rf"|(?P<name>{_NAMES[engine]}){dollar_quoted})"
    )


_SCANNERS = {engine: _scanner(engine) for engine in _LITERALS}
_LITERAL_SCANNERS = {
    engine: re.compile(rf"{_FIRST[engine]}(?:{literals}|{_NUMBER})") for engine, literals in _LITERALS.items()
}
# Where one of these stands, comments, quoted names or code have to be told from literals.
_NOT_PLAIN = {
    "postgresql": re.compile(r"[\"]|\$(?!\d)|--|/\*"),
    "mysql": re.compile(r"[`#]|--|/\*"),
    "oracle": re.compile(r"[\"]|--|/\*"),
    "sqlserver": re.compile(r"[\"\[]|--|/\*"),
}
_CODE_DEPTH = 3  # code within code within code: what is deeper counts as a literal
_OTHER_ENGINE = "postgresql"  # an engine that we do not know is read by the standard's quoting

# What may stand before a statement's first word.
_SKIPPED = {engine: re.compile(rf"(?:[\s(;]++|[-/#](?:{comments})|\*/)*+") for engine, comments in _COMMENTS.items()}
_WORD = re.compile(r"[^\W\d][\w$]*+")
_WORD_OR_PARENTHESIS = re.compile(r"[()]|[^\W\d][\w$]*+")
_BEHIND_CTE = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE"})

_MYSQL_ESCAPED = re.compile(r"[^'\"]*+(?<=\\)['\"]")
_MYSQL_EXECUTABLE_COMMENT = re.compile(r"/\*M?!\d*+")
_MAX_ESCAPE_DEPTH = 4

_SIGNED = re.compile(r"[+-] ?\?")
_LISTED = re.compile(r"\? ?[,)] ?[(,?]")
_LIST = re.compile(r"\?(?: ?, ?\?)++")
_ROWS = re.compile(r"\( ?\? ?\)(?: ?, ?\( ?\? ?\))++")
_SIGN = re.compile(r"(?<=[=(,<>*/%+-])( ?)[+-] ?(?=\?)")
_SPACED_SIGN = re.compile(r"(\b(?:select|values|then|else|limit|offset|between|and|or|return|set) )[+-] ?(?=\?)")


def leading_words(text: str, engine: str) -> tuple[str, ...]:
    """Up to three leading words of a statement in upper case: ("CREATE", "TABLE", "T_GL").

    Looks behind comments, parentheses and common table expressions; MySQL's executable comments count as code. Empty
    where the text begins with no word.
    """
    head = text[:_CACHED_CHARACTERS]
    words = _leading_words(head, engine)
    if words == ("WITH",) or (not words and len(text) > len(head)):
        return _scan_leading_words(text, engine)
    return words


def statement_hash(text: str, engine: str) -> str:
    """16 hex digits that stay the same for a statement with other literals, layout, comments or list lengths."""
    if len(text) <= _CACHED_CHARACTERS:
        return _cached_statement_hash(text, engine)
    return _statement_hash(text, engine)


def without_literals(text: str, engine: str) -> str:
    """The statement with `?` for each literal and without comments: both hold what people typed."""
    engine = engine if engine in _SCANNERS else _OTHER_ENGINE
    return _strip(_readable(text, engine), engine)


@lru_cache(maxsize=_CACHED_STATEMENTS)
def _leading_words(head: str, engine: str) -> tuple[str, ...]:
    return _scan_leading_words(head, engine)


def _scan_leading_words(text: str, engine: str) -> tuple[str, ...]:
    engine = engine if engine in _SCANNERS else _OTHER_ENGINE
    text = _readable(text, engine)
    words: list[str] = []
    position = 0
    while len(words) < 3:
        skipped = _SKIPPED[engine].match(text, position)
        word = _WORD.match(text, skipped.end() if skipped else position)
        if word is None:
            break
        words.append(word[0].upper())
        position = word.end()
        if words == ["WITH"]:
            return _words_behind_cte(text[position:], engine)
    return tuple(words)


def _words_behind_cte(text: str, engine: str) -> tuple[str, ...]:
    """The main verb of a statement with common table expressions: the first verb outside their parentheses."""
    return next(((word,) for word in words_outside_parentheses(text, engine) if word in _BEHIND_CTE), ("WITH",))


def words_outside_parentheses(text: str, engine: str) -> Iterator[str]:
    """A statement's words in upper case, without those in parentheses, literals, comments and quoted names."""
    engine = engine if engine in _SCANNERS else _OTHER_ENGINE
    depth = 0
    for token in _WORD_OR_PARENTHESIS.finditer(_SCANNERS[engine].sub("?", _readable(text, engine))):
        if token[0] == "(":
            depth += 1
        elif token[0] == ")":
            depth -= 1
        elif depth <= 0:
            yield token[0].upper()


def code_of(text: str, engine: str) -> str:
    """The text with `?` for each literal, dollar-quoted bodies among them, and a blank for each comment.

    Quoted names stay as they are. One scan, whatever the text.
    """
    engine = engine if engine in _SCANNERS else _OTHER_ENGINE
    text = _readable(text, engine)
    # Without quoted names and comments all matches are literals, so no decision for each of them.
    named = '"' in text or "`" in text or "[" in text
    commented = "--" in text or "/*" in text or "#" in text
    return _SCANNERS[engine].sub(_code_part if named or commented else "?", text)


def without_comments(text: str, engine: str) -> str:
    """The text with a blank for each comment."""
    engine = engine if engine in _SCANNERS else _OTHER_ENGINE
    return _SCANNERS[engine].sub(_uncommented_part, _readable(text, engine))


@lru_cache(maxsize=_CACHED_STATEMENTS)
def _cached_statement_hash(text: str, engine: str) -> str:
    return _statement_hash(text, engine)


def _statement_hash(text: str, engine: str) -> str:
    bare = " ".join(without_literals(text, engine).lower().split()).rstrip("; ")
    if _SIGNED.search(bare):
        bare = _SPACED_SIGN.sub(r"\1", _SIGN.sub(r"\1", bare))
    if _LISTED.search(bare):
        bare = _ROWS.sub("(?)", _LIST.sub("?", bare))
    return blake2b(bare.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _readable(text: str, engine: str) -> str:
    """Undo what stands between Aurora MySQL's `commandText` and the statement: backslashes before quotes, at a depth
    that AWS does not document, and executable comments around code."""
    if engine != "mysql":
        return text
    for _ in range(_MAX_ESCAPE_DEPTH):
        # Outside a literal no backslash is valid: one before the first quote means that the text is escaped.
        if "\\" not in text or not _MYSQL_ESCAPED.match(text):
            break
        text = re.sub(r"\\([\s\S])", r"\1", text)
    return _MYSQL_EXECUTABLE_COMMENT.sub(" ", text) if "/*" in text else text


def _strip(text: str, engine: str, depth: int = 0) -> str:
    if _NOT_PLAIN[engine].search(text):
        bare = _SCANNERS[engine].sub(partial(_replacement, engine=engine, depth=depth), text)
    else:
        # Most statements: nothing to keep, so no decision for each match.
        bare = _LITERAL_SCANNERS[engine].sub("?", text)
    return _PREFIXED.sub("", bare) if _MAYBE_PREFIXED.search(bare) else bare


def _code_part(match: re.Match[str]) -> str:
    return match[0] if match.lastgroup == "name" else " " if match.lastgroup == "comment" else "?"


def _uncommented_part(match: re.Match[str]) -> str:
    return " " if match.lastgroup == "comment" else match[0]


def _replacement(match: re.Match[str], engine: str, depth: int) -> str:
    kind = match.lastgroup
    if kind == "literal":
        return "?"
    if kind == "name":
        return match[0]
    if kind == "comment":
        return " "
    before = match.string[: match.start()][:_CACHED_CHARACTERS]
    is_code = _scan_leading_words(before, engine)[:1] in (("DO",), ("CREATE",))
    return f"$${_strip(match['body'], engine, depth + 1)}$$" if is_code and depth < _CODE_DEPTH else "?"
