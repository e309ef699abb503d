"""Whether an account sets its own password and does nothing else, as rotations do, and people when they must."""

from __future__ import annotations

import re
from typing import Final

from daswatch.sql.statements import without_comments

# A masked one has no quotes, and Oracle's are names.
_SECRET = r"(?:[NE]?'[^']*+'|\"[^\"]*+\"|[<*#$]?[\w*#$.!-]++>?)"
_HOST = r"(?:\s?@\s?[\"'`]?[\w.%:-]*+[\"'`]?)?"
_NAME = rf"[\[\"'`]?(?P<name>[\w$#.\\-]++(?:\s?\(\s?\))?)[\]\"'`]?{_HOST}"
_STATEMENTS: Final = {
    "postgresql": (
        rf"alter (?:user|role) {_NAME} (?:with )?(?:encrypted )?password {_SECRET}(?: valid until {_SECRET})?",
    ),
    "mysql": (
        rf"alter user {_NAME} identified (?:with {_SECRET} )?(?:by|as) {_SECRET}(?: retain current password)?",
        rf"set password (?:for {_NAME} ?)?= ?(?:password ?\( ?)?{_SECRET} ?\)?",
    ),
    "oracle": (rf"alter user {_NAME} identified by {_SECRET}(?: replace {_SECRET})?",),
    "sqlserver": (rf"alter login {_NAME} with password ?= ?{_SECRET}(?: ?,? ?old_password ?= ?{_SECRET})?",),
}
_COMPILED = {
    engine: re.compile(
        "|".join(rf"(?:{one.replace('?P<name>', f'?P<name{number}>')})" for number, one in enumerate(statements)), re.I
    )
    for engine, statements in _STATEMENTS.items()
}
_ONESELF = frozenset({"", "current_user", "current_user()", "session_user", "user()"})
_LONGEST = 1_000  # characters


def sets_own_password(text: str, engine: str, user: str) -> bool:
    """Whether a statement of a known engine sets the password of `user`, whose it is, and nothing else."""
    if len(text) > _LONGEST:
        return False
    statement = " ".join(without_comments(text, engine).split()).rstrip("; ")
    match = _COMPILED[engine].fullmatch(statement)
    if not match:
        return False
    name = next((name for name in match.groups() if name), "").replace(" ", "").lower()
    return name in _ONESELF or name == user.lower()
