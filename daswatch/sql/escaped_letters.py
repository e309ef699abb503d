"""Whether a PostgreSQL statement spells plain letters as escapes: `U&"\\0061gents"`, `U&'\\0061dmin'`.

Clients escape what their encoding lacks, never a letter of ASCII. Looked at are names and literals, not what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from daswatch.sql.shapes import SCANNERS_OF_CODE

# The character of the escape can be chosen: UESCAPE '!'.
_LETTER = re.compile(r"[^0-9A-Fa-f+'\"\s](?:\+00)?00(?:4[1-9A-Fa-f]|5[0-9Aa]|6[1-9A-Fa-f]|7[0-9Aa])")
_PREFIX = ("u&", "U&")


def escaped_letters(text: str) -> Iterator[str]:
    """The signals of the escapes: of a name, and of a literal."""
    for match in SCANNERS_OF_CODE["postgresql"].finditer(text):
        if text.endswith(_PREFIX, 0, match.start()) and _LETTER.search(match[0]):
            yield "hidden-spelling" if match[0][0] == '"' else "encoded-text"
