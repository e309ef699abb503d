"""SQL literals out of what is indexed, for teams whose index must not hold them. The archive keeps the ciphertext."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from daswatch.statements import without_literals

_QUOTED = re.compile(r"\(([^()]*)\)=\(([^()]*)\)|'[^']*'|\"[^\"]*\"")


class Redaction(StrEnum):
    """How much SQL the index holds."""

    OFF = "off"
    LITERALS = "literals"  # each literal and parameter becomes `?`; the statement's shape stays searchable
    HASH = "hash"  # no SQL at all: `statementHash` alone tells equal statements


def redacted(document: dict[str, Any], engine: str, redaction: Redaction) -> dict[str, Any]:
    """A document without what `redaction` takes out of `commandText`, `paramList` and `errorMessage`.

    Error messages quote values (`Key (email)=(…) already exists`), so they are treated alike.
    """
    if redaction is Redaction.OFF:
        return document
    cleaned = dict(document)
    for name in ("commandText", "paramList", "errorMessage"):
        if redaction is Redaction.HASH:
            cleaned.pop(name, None)
    if "commandText" in cleaned:
        cleaned["commandText"] = without_literals(cleaned["commandText"], engine)
    if "paramList" in cleaned:
        cleaned["paramList"] = ["?"] * len(cleaned["paramList"])
    if "errorMessage" in cleaned:
        cleaned["errorMessage"] = _QUOTED.sub("?", cleaned["errorMessage"])
    return cleaned
