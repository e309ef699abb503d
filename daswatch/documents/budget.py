"""What one record may cost: only so many characters of its texts are scanned.

Characters are counted, not seconds, so that a record makes the same documents at each delivery. What does not fit is
not examined, and therefore indexed only as far as nothing in it can be a password; `ingestNotes` says so
(docs/decisions/0022-text.md).
"""

from __future__ import annotations

MAX_STATEMENT = 1024 * 1024  # characters: a longer one is not scanned as a whole
MAX_CONTINUATION = 64 * 1024  # characters of a part of a statement; SQL Server's own have 4,000
MAX_RECORD = 16 * 1024 * 1024  # characters of all texts of a record
# A text that is not a whole statement is read several times, and a short one costs as much as a longer one.
_READINGS = 4
_LEAST = 256  # characters


class Budget:
    """What is left of a record's characters. What does not fit takes nothing, so that others still can."""

    __slots__ = ("left", "refused")

    def __init__(self, characters: int = MAX_RECORD) -> None:
        self.left = characters
        self.refused = False  # something of the current event, other than its statement

    def takes(self, characters: int) -> bool:
        """Whether so many characters fit; then they are used up."""
        if characters > self.left:
            return False
        self.left -= characters
        return True

    def takes_values(self, characters: int, count: int = 1) -> bool:
        """The same for values that are looked into one by one; notes where they do not fit."""
        if self.takes(_READINGS * characters + _LEAST * count):
            return True
        self.refused = True
        return False
