"""Whether a PostgreSQL statement spells plain letters as escapes: `U&"\\0061gents"`, `U&'\\0061dmin'`, `E'\\x61dmin'`.

Clients escape what their encoding lacks, never a letter of ASCII. Looked at are names and literals, not what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from daswatch.sql.shapes import SCANNERS_OF_CODE

_IN_HEX = r"(?:4[1-9A-Fa-f]|5[0-9Aa]|6[1-9A-Fa-f]|7[0-9Aa])"
_IN_OCTAL = r"1(?:0[1-7]|[1256][0-7]|3[0-2]|4[1-7]|7[0-2])"
# The character of the escape can be chosen: UESCAPE '!'.
_AFTER_UNICODE_PREFIX = re.compile(rf"[^0-9A-Fa-f+'\"\s](?:\+00)?00{_IN_HEX}")
# A backslash that is escaped itself, as those of binary data, is none.
_AFTER_ESCAPE_PREFIX = re.compile(rf"(?<!\\)(?:\\\\)*\\(?:(?:x|u00|U000000){_IN_HEX}|{_IN_OCTAL})")
_UNICODE_PREFIX = ("u&", "U&")
_ESCAPE_PREFIX = re.compile(r"(?<![\w$])[eE]$")


def may_escape(text: str) -> bool:
    """Whether a statement has a prefix that allows escapes."""
    return "u&" in text or "U&" in text or ("\\" in text and ("e'" in text or "E'" in text))


def escaped_letters(text: str) -> Iterator[str]:
    """The signals of the escapes: of a name, and of a literal."""
    for match in SCANNERS_OF_CODE["postgresql"].finditer(text):
        start = match.start()
        if text.endswith(_UNICODE_PREFIX, 0, start):
            found = _AFTER_UNICODE_PREFIX.search(match[0])
        elif match[0][0] == "'" and _ESCAPE_PREFIX.search(text, max(start - 2, 0), start):
            found = _AFTER_ESCAPE_PREFIX.search(match[0])
        else:
            continue
        if found:
            yield "hidden-spelling" if match[0][0] == '"' else "encoded-text"
