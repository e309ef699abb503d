"""A batch of T-SQL -> the leading words of each of its statements, so that a batch counts by what it does.

T-SQL needs nothing between two statements, so they are found by their verbs: all of these are reserved words, which a
name can only be in quotes or brackets. What stands in parentheses is a part of a statement. A text is scanned once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from daswatch.statements import code_of

_TOKEN = re.compile(r'"(?:[^"]++|"")*+"?+|\[(?:[^\]]++|\]\])*+\]?+|[#@]{0,2}+[^\W\d][\w$#@]*+|[();:]')
_MARKS = frozenset('();:["')


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_VERBS = _words(
    "SELECT READTEXT INSERT UPDATE DELETE MERGE BULK UPDATETEXT WRITETEXT CREATE ALTER DROP TRUNCATE ENABLE DISABLE "
    "GRANT REVOKE DENY ADD EXEC EXECUTE BACKUP RESTORE DBCC KILL"
)
# Verbs that are not reserved, or mostly a part of another statement, and the word that makes a statement of them.
_ONLY_WITH = {"ENABLE": "TRIGGER", "DISABLE": "TRIGGER", "ADD": "SIGNATURE", "BULK": "INSERT"}
_OF_A_CURSOR = ("FOR", "UPDATE")
# What else a batch may begin with; another word is the name of a procedure, which may stand there without EXEC.
_BEGINNINGS = _VERBS | _words(
    "WITH SET DECLARE IF WHILE BEGIN PRINT RAISERROR THROW RETURN WAITFOR USE COMMIT ROLLBACK SAVE GOTO BREAK CONTINUE "
    "OPEN CLOSE FETCH DEALLOCATE CHECKPOINT SHUTDOWN RECONFIGURE REVERT SETUSER SEND RECEIVE MOVE GET END ELSE LINENO "
    "COPY RENAME"
)
_MODULES = frozenset({"PROC", "PROCEDURE", "FUNCTION", "TRIGGER"})
_WORDS = 5  # DROP TABLE IF EXISTS #t


def batch_statements(text: str) -> Iterator[tuple[str, ...]]:
    """Up to five leading words of each statement in upper case, as far as it begins with one that matters.

    SELECT … INTO comes once more as `("SELECT", "INTO", …)`; a procedure that is named without EXEC comes with it.
    A procedure, function or trigger reaches to the end of its batch, and its body does not run when it is made.
    """
    tokens = _TOKEN.findall(code_of(text, "sqlserver"))
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
        word = token.upper()
        if word == "INTO" and verb == "SELECT":
            yield ("SELECT", *_words_from(tokens, position, 2))
            verb = ""
        elif word in _VERBS and (previous, word) != _OF_A_CURSOR:
            words = _words_from(tokens, position, _WORDS)
            if word not in _ONLY_WITH or words[1:2] == (_ONLY_WITH[word],):
                yield words
                verb = word
                if _is_module(words):
                    return
        elif word == "FETCH":
            verb = word
        previous = word


def _named_procedure(tokens: list[str]) -> Iterator[tuple[str, ...]]:
    begin = next((number for number, token in enumerate(tokens) if token not in (";", "(")), None)
    if begin is None:
        return
    token = tokens[begin]
    if token in (")", ":") or token[0] == "@" or tokens[begin + 1 : begin + 2] == [":"]:
        return
    if token.upper() not in _BEGINNINGS:
        yield ("EXEC", token.upper())


def _words_from(tokens: list[str], begin: int, most: int) -> tuple[str, ...]:
    words = []
    for token in tokens[begin : begin + most]:
        if token[0] in _MARKS:
            break
        words.append(token.upper())
    return tuple(words)


def _is_module(words: tuple[str, ...]) -> bool:
    if words[0] not in ("CREATE", "ALTER"):
        return False
    kinds = words[3:4] if words[1:3] == ("OR", "ALTER") else words[1:2]
    return not _MODULES.isdisjoint(kinds)
