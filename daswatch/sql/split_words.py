"""Whether a statement puts a word together from constants: `'gr'||'ant'`, `'EXP'+'ORT'`, `CONCAT('GR','ANT …')`.

Two literals meet in the middle of a word where the one ends and the other begins with a letter. People put texts
together at blanks; in the middle of a word only what is to be hidden from a search for it is cut. Programs that write
long texts in pieces of one length cut words too: those do not count. One pass over the literals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from daswatch.sql.shapes import SCANNERS_OF_CODE
from daswatch.sql.statements import code_positions, known_engine, readable, without_comments

_LONG = 200  # characters of a piece that a program cut
_LONGEST_GAP = 200  # characters between two literals that are looked at
_MOST_LITERALS = 20_000
_BODIES = 3  # dollar quotes within each other

_PREFIX = r"(?:(?:[enxbuENXBU]|[nN]?[qQ]|[uU]&|_\w{1,20})\Z)?"
_JOINED = {
    engine: re.compile(rf"[\s)]{{0,20}}{operator}[\s(]{{0,20}}{_PREFIX}\Z")
    for engine, operator in {
        "postgresql": r"\|\|",
        "mysql": r"\|\|",
        "oracle": r"\|\|",
        "sqlserver": r"(?:\|\||\+)",
    }.items()
}
_NEXT = re.compile(rf"\s{{0,20}},\s{{0,20}}{_PREFIX}\Z")
_CONCAT = re.compile(rf"\bconcat\s{{0,9}}\((?:[^()]{{0,150}},)?\s{{0,20}}{_PREFIX}\Z", re.IGNORECASE)
_ADJACENT = {"mysql": re.compile(r"\s{0,99}\Z"), "postgresql": re.compile(r"\s{0,50}\n\s{0,50}\Z")}
_ANOTHER_QUOTE = re.compile(r"[qQ]\Z")
_LITERALS_IN_A_ROW = re.compile(r"(?<=[^\W\d_])'(?:\s{1,99}'|\s{0,9}(?:\.\s{0,9}'|--|\#|/\*))")
# What a cut may begin with: a quote behind a letter, and an operator, a comment or another quote.
_MAY_BE_CUT = re.compile(
    r"['\"](?:(?<=[^\W\d_].)|(?<=[^\W\d_][^\w\s,(=.+*<-].))[\s)]{0,20}(?:\|\||\+|,|/\*|--|\#|\s{0,79}['\"]|\.\s{0,9}')"
    r"|\$(?<=[^\W\d_]\$)\w{0,30}\$[\s)]{0,20}(?:\|\||,|/\*|--)"
)
# Bodies in other languages have strings in both quotes.
_OTHER_LANGUAGE = re.compile(
    r"\blanguage\s{1,9}['\"]?(?:pl(?!pgsql)\w{1,20}|java)|\bjava\s{1,9}source\b|sp_execute_external_script",
    re.IGNORECASE,
)
_STRING_BETWEEN = re.compile(r"[a-z](?:['\"]\s{0,9}\+\s{0,9}['\"]|'\s{0,9}\.\s{0,9}')[a-z]", re.IGNORECASE)


@dataclass(slots=True)
class _Piece:
    """The literal that was read last, with the empty ones behind it."""

    last: str = ""  # its last character
    length: int = 0
    before: int = 0  # the length of the piece that it continues
    in_concat: bool = False


def splits_word(text: str, engine: str) -> bool:
    """Whether two constants of a statement meet in the middle of a word."""
    engine = known_engine(engine)
    text = readable(text, engine)
    if not _may_cut(text):
        return False
    return _splits(text, engine, 0) or (
        ("+" in text or "." in text) and _in_other_language(text, engine) and bool(_STRING_BETWEEN.search(text))
    )


def _in_other_language(text: str, engine: str) -> bool:
    return _OTHER_LANGUAGE.search(without_comments(text, engine)) is not None


def _may_cut(text: str) -> bool:
    """Whether a look at each literal is worth it."""
    if "||" not in text and "+" not in text and "concat" not in text.lower() and not _LITERALS_IN_A_ROW.search(text):
        return False
    return _MAY_BE_CUT.search(text) is not None


def _splits(text: str, engine: str, depth: int) -> bool:
    code = code_positions(text) if engine == "postgresql" and "$" in text and depth < _BODIES else frozenset()
    piece = _Piece()
    gap = ""
    position = count = 0
    for match in SCANNERS_OF_CODE[engine].finditer(text):
        gap = (gap + text[position : match.start()])[-_LONGEST_GAP:]
        position = match.end()
        kind = match.lastgroup
        if kind == "comment":
            gap += " "
            continue
        if kind == "dollar" and match.start() in code:
            if _splits(match["body"], engine, depth + 1):
                return True
            piece, gap = _Piece(), ""
            continue
        if kind not in ("literal", "dollar") or match[0][:1].isdigit():
            gap += match[0][-_LONGEST_GAP:]
            continue
        if match[0][0] == '"' and not piece.in_concat and _CONCAT.search(gap) is None:
            piece, gap = _Piece(), ""  # a name, in MySQL with ANSI_QUOTES
            continue
        content = match["body"] if kind == "dollar" else _content(match[0], gap)
        read = _read(piece, content, gap, engine)
        if read is None:
            return True
        piece, gap = read, ""
        count += 1
        if count > _MOST_LITERALS:
            break
    return False


def _read(piece: _Piece, content: str, gap: str, engine: str) -> _Piece | None:
    """The next piece, or nothing if it goes on with a word of the one before."""
    adjacent = _ADJACENT.get(engine)
    listed = piece.in_concat and _NEXT.match(gap) is not None
    in_concat = listed or _CONCAT.search(gap) is not None
    joined = (
        listed or _JOINED[engine].match(gap) is not None or (adjacent is not None and adjacent.match(gap) is not None)
    )
    if not joined or (not piece.last and not content):
        return _Piece(content[-1:], len(content), 0, in_concat)
    if not content:
        piece.in_concat = in_concat
        return piece
    if piece.last.isalpha() and content[0].isalpha() and not _is_cut_by_length(piece, len(content)):
        return None
    return _Piece(content[-1:], len(content), piece.length, in_concat)


def _is_cut_by_length(piece: _Piece, length: int) -> bool:
    return piece.length > _LONG and (length > _LONG or piece.before == piece.length)


def _content(literal: str, gap: str) -> str:
    """What stands between the quotes."""
    content = literal[1:].removesuffix(literal[0])
    return content[1:-1] if _ANOTHER_QUOTE.search(gap) else content
