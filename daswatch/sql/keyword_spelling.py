"""Whether the keywords of a query are spelled as only an attacker spells them, to hide them from a search.

`uNiOn aLl sElEcT` in letters of both cases, `UNION/**/SELECT` and `union--x⏎select` with a comment for a blank, and
MySQL's `/*!50000union*/`, whose content is executed. Clients and people write keywords in one case, with a blank around
comments, and executable comments around options.
"""

from __future__ import annotations

import re
from itertools import islice

from daswatch.sql.shapes import SCANNERS_OF_CODE

_MIXED = re.compile(
    r"\b(?=[a-zA-Z]{0,12}[a-z][A-Z])(?i:union|select|distinct|from|where|having|order|null|concat|sleep|substring"
    r"|benchmark|extractvalue|updatexml|waitfor|delay|between|like|case|when|then|else)\b"
)
_MIXED_WORDS = 2
_BEFORE = re.compile(r"\b(?:union|all|distinct)\Z", re.IGNORECASE)
_BEHIND = re.compile(r"\s?(?:all|distinct|select)\b", re.IGNORECASE)
_EXECUTED = re.compile(r"/\*m?!\d{0,6}\s*(?:union|all|distinct|select|from|where|and|or|having)\b", re.IGNORECASE)
_MOST_COMMENTS = 50


def hides_keywords(text: str, without_literals: str, engine: str, *, is_union: bool) -> bool:
    """Whether a statement of a known engine does so. `without_literals` is the same without literals and comments."""
    if sum(1 for _ in islice(_MIXED.finditer(without_literals), _MIXED_WORDS)) == _MIXED_WORDS:
        return True
    if not is_union or not ("/*" in text or "--" in text or "#" in text):
        return False
    comments = (match for match in SCANNERS_OF_CODE[engine].finditer(text) if match.lastgroup == "comment")
    return any(_takes_a_blank(text, match) for match in islice(comments, _MOST_COMMENTS))


def _takes_a_blank(text: str, comment: re.Match[str]) -> bool:
    start, end = comment.span()
    if _EXECUTED.match(comment[0]):
        return True
    return bool(_BEFORE.search(text, max(start - 9, 0), start) and _BEHIND.match(text, end))
