"""SQL literals out of what is indexed, for teams whose index must not hold them. The archive keeps the ciphertext."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from daswatch.statements import without_literals

# The fields that hold what people typed.
SQL_FIELDS = ("commandText", "paramList", "errorMessage")

# Where an error message begins to quote: at a quotation mark that is no apostrophe, or at a parenthesis.
_QUOTING = re.compile(r"(?<![^\W_])['\"\\]|[(]|(?<=\w)\"")
_DIGITS = re.compile(r"\d+")


class Redaction(StrEnum):
    """How much SQL the index holds."""

    OFF = "off"
    LITERALS = "literals"  # each literal and parameter becomes `?`; the statement's shape stays searchable
    HASH = "hash"  # no SQL at all: `statementHash` alone tells equal statements


def redacted(document: dict[str, Any], engine: str, redaction: Redaction) -> dict[str, Any]:
    """A document without what `redaction` takes out of `commandText`, `paramList` and `errorMessage`.

    Error messages quote values (`Key (email)=(…) already exists`) in ways that cannot be told apart for certain: they
    end where they begin to quote.
    """
    if redaction is Redaction.OFF:
        return document
    cleaned = dict(document)
    if redaction is Redaction.HASH:
        for name in SQL_FIELDS:
            cleaned.pop(name, None)
    if "commandText" in cleaned:
        cleaned["commandText"] = without_literals(cleaned["commandText"], engine)
    if "paramList" in cleaned:
        cleaned["paramList"] = ["?"] * len(cleaned["paramList"])
    if "errorMessage" in cleaned:
        said, *quoted = _QUOTING.split(cleaned["errorMessage"], maxsplit=1)
        cleaned["errorMessage"] = _DIGITS.sub("?", said) + ("?" if quoted else "")
    return cleaned
