"""A batch of T-SQL -> the leading words of each of its statements, so that a batch counts by what it does.

T-SQL needs nothing between two statements, so they are found by their verbs: all of these are reserved words, which a
name can only be in quotes or brackets. What stands in parentheses is a part of a statement. A text is scanned once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from daswatch.sql.statements import code_of, word_set

_TOKEN = re.compile(r'"(?:[^"]++|"")*+"?+|\[(?:[^\]]++|\]\])*+\]?+|[#@]{0,2}+[^\W\d][\w$#@]*+|[();:]')
_MARKS = frozenset('();:["')


_VERBS = word_set(
    "SELECT READTEXT INSERT UPDATE DELETE MERGE BULK UPDATETEXT WRITETEXT CREATE ALTER DROP TRUNCATE ENABLE DISABLE "
    "GRANT REVOKE DENY ADD EXEC EXECUTE BACKUP RESTORE DBCC KILL"
)
# Verbs that are not reserved, or mostly a part of another statement, and the word that makes a statement of them.
_ONLY_WITH = {"ENABLE": "TRIGGER", "DISABLE": "TRIGGER", "ADD": "SIGNATURE", "BULK": "INSERT"}
_OF_A_CURSOR = ("FOR", "UPDATE")
# What else a batch may begin with; another word is the name of a procedure, which may stand there without EXEC.
_BEGINNINGS = _VERBS | word_set(
    "WITH SET DECLARE IF WHILE BEGIN PRINT RAISERROR THROW RETURN WAITFOR USE COMMIT ROLLBACK SAVE GOTO BREAK CONTINUE "
    "OPEN CLOSE FETCH DEALLOCATE CHECKPOINT SHUTDOWN RECONFIGURE REVERT SETUSER SEND RECEIVE MOVE GET END ELSE LINENO "
    "COPY RENAME"
)
_MODULES = frozenset({"PROC", "PROCEDURE", "FUNCTION", "TRIGGER"})
_WORDS = 5  # DROP TABLE IF EXISTS #t


def batch_statements(text: str) -> Iterator[tuple[str, ...]]:
    """Up to five leading words of each statement in upper case, as far as it begins with one that matters: once each.

    SELECT … INTO comes once more as `("SELECT", "INTO", …)`; a procedure that is named without EXEC comes with it.
    A procedure, function or trigger reaches to the end of its batch, and its body does not run when it is made.
    """
    tokens = _TOKEN.findall(code_of(text, "sqlserver").upper())
    known: set[tuple[str, ...]] = set()  # what a statement begins with, of a batch of many that are alike
    yield from _named_procedure(tokens)
    depth = 0
    verb = previous = ""
    for position, token in enumerate(tokens):
        if token[0] in _MARKS:
            if token == "(":
                depth += 1
            elif token == ")":
                depth = max(depth - 1, 0)
            elif token == ";":
                verb = ""
            previous = token
            continue
        if depth:
            continue
        if token == "INTO" and verb == "SELECT":
            yield ("SELECT", *_words_from(tokens[position : position + 2]))
            verb = ""
        elif token in _VERBS and (previous, token) != _OF_A_CURSOR:
            beginning = tokens[position : position + _WORDS]
            key = tuple(beginning)
            if key not in known:
                words = _words_from(beginning)
                if token not in _ONLY_WITH or words[1:2] == (_ONLY_WITH[token],):
                    known.add(key)
                    yield words
                    verb = token
                    if _is_module(words):
                        return
            else:
                verb = token
        elif token == "FETCH":
            verb = token
        previous = token


def _named_procedure(tokens: list[str]) -> Iterator[tuple[str, ...]]:
    begin = next((number for number, token in enumerate(tokens) if token not in (";", "(")), None)
    if begin is None:
        return
    token = tokens[begin]
    if token in (")", ":") or token[0] == "@" or tokens[begin + 1 : begin + 2] == [":"]:
        return
    if token not in _BEGINNINGS:
        yield ("EXEC", token)


def _words_from(tokens: list[str]) -> tuple[str, ...]:
    """The words up to the first mark or name in quotes."""
    return tuple(takewhile(lambda token: token[0] not in _MARKS, tokens))


def _is_module(words: tuple[str, ...]) -> bool:
    if words[0] not in ("CREATE", "ALTER"):
        return False
    kinds = words[3:4] if words[1:3] == ("OR", "ALTER") else words[1:2]
    return not _MODULES.isdisjoint(kinds)
