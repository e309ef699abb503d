"""Whether a comment cuts off a rest of a statement: what injected code ends in, so that the statement stays valid.

A comment that people write stands apart and says something. One that swallows a rest holds its closing quote or
parenthesis, or is nothing but the mark, or a random word directly behind the code.
"""

from __future__ import annotations

import re

from daswatch.sql.shapes import CONTROL, SCANNERS_OF_CODE
from daswatch.sql.statements import known_engine, readable

_MOST_COMMENTS = 200
# The mark of an injection by hand or by a tool: `-- -`, `--+`, `-- - '`.
_MARKED = re.compile(r"\s{0,4}[-+](?:[\s'\")]|\Z)")
# The rest begins with the quote that closed the value.
# Aurora MySQL reports it behind a backslash.
_CLOSING = re.compile(r"[\s%_;)\]}\\-]{0,9}(?P<quote>['\"`])")
_PARENTHESIS = re.compile(r"[\s%_;'\"]{0,9}\)")
# Directly behind the code: nothing, or one word.
_NOTHING = re.compile(r"[\s;]{0,9}\Z")
_ONE_WORD = re.compile(r"(?:\s|/\*\*/){1,4}[A-Za-z_]{3,16}\s*+\Z")
_REST = (
    r"(?:and|or|order\s+by|group\s+by|limit|having|where|union|offset|fetch|returning|for\s+update|asc|desc)\b"
    r"|\s{0,9}[%_\s]{0,9}['\")\]]"
)
_GOES_ON = re.compile(rf"\s{{0,9}}(?:{_REST})", re.IGNORECASE)
_WORD_AND_REST = re.compile(
    rf"(?:\s|/\*\*/){{1,4}}[A-Za-z]{{4}}(?:sp_password)?(?:\s*+\Z|\s{{0,9}}(?:{_REST}))", re.IGNORECASE
)


def cuts_off(text: str, engine: str) -> bool:
    """Whether a line comment, or one that nothing ends, swallows a rest of the statement."""
    engine = known_engine(engine)
    if "--" not in text and (engine != "mysql" or "#" not in text) and text.rfind("/*") <= text.rfind("*/"):
        return False  # as nearly always: no comment, or one that ends
    text = CONTROL.sub(" ", readable(text, engine))
    opened = 0  # parentheses that are not closed yet
    position = comments = 0
    for match in SCANNERS_OF_CODE[engine].finditer(text):
        if match.lastgroup == "dollar":
            continue
        opened += text.count("(", position, match.start()) - text.count(")", position, match.start())
        position = match.end()
        if match.lastgroup != "comment":
            # To MySQL two dashes are no comment without a blank behind them: an attempt that fails.
            if engine == "mysql" and match[0][0] in "'\"" and text.endswith("--", 0, match.start()):
                return True
            continue
        comments += 1
        if comments > _MOST_COMMENTS:
            return False
        last = match.end() == len(text.rstrip())
        if match[0].startswith("/*"):
            if not match[0].endswith("*/") and _swallows(match[0][2:], _attached(text, match.start()), last):
                return True
            continue
        content = match[0][1:] if match[0][0] == "#" else match[0][2:]
        if _swallows(content, _attached(text, match.start()), last) or (
            last and opened > 0 and _attached(text, match.start())
        ):
            return True
    return False


def _attached(text: str, start: int) -> bool:
    """Whether code stands directly in front."""
    before = text[start - 1 : start]
    return bool(before) and (before.isalnum() or before in "'\")]`_;*/")


def _swallows(content: str, attached: bool, last: bool) -> bool:
    if _MARKED.match(content):
        return True
    closing = _CLOSING.match(content)
    if closing and content.count(closing["quote"]) % 2 == 1:
        return True
    if not attached:
        return False
    patterns = (_PARENTHESIS, _GOES_ON, _NOTHING, _WORD_AND_REST)
    return any(pattern.match(content) for pattern in patterns) or (last and _ONE_WORD.match(content) is not None)
