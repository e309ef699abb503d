"""What an activity event is (its activity) and how it went (its outcome), by tables that a reader can check.

`docs/activities.md` shows the same rules by example, and the tests read that page. The engine's own `command` decides
first; where it does not say (MySQL's QUERY, SQL Server's batches), the statement's text does. Each text is read once or
twice, whatever it holds.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from daswatch.records.monitoring_record import Event
from daswatch.sql.batches import batch_statements
from daswatch.sql.statements import code_of, contains_any, leading_words, without_comments, words_outside_parentheses

_CACHED_TEXTS = 4096
_CACHED_CHARACTERS = 2048
_LONGEST_WORDS = 128  # characters of a command or class: engines have none that is longer


class Activity(StrEnum):
    """Our class of an event; also the name of its folder where rows are delivered by activity."""

    CONNECT = "CONNECT"
    DISCONNECT = "DISCONNECT"
    AUTH_FAILURE = "AUTH FAILURE"
    ERROR = "ERROR"
    DDL = "DDL"
    DML = "DML"
    DQL = "DQL"
    DCL = "DCL"
    EXEC = "EXEC"
    OTHER = "OTHER"


# Whose text, where they have one, is a reason or an address.
WITHOUT_STATEMENT = frozenset({Activity.CONNECT, Activity.DISCONNECT, Activity.AUTH_FAILURE})


class Outcome(StrEnum):
    """The outcome, as far as the engine reports it. The values are those of ECS's `event.outcome`."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


# Leading words -> activity, for commands and statements of all engines; the longest entry that fits decides.
_BY_WORDS = {
    Activity.DQL: "SELECT, READ, SHOW, DESCRIBE, DESC, EXPLAIN, FETCH, VALUES, TABLE, HANDLER, WITH, READTEXT, COPY TO",
    Activity.DML: "INSERT, UPDATE, DELETE, MERGE, REPLACE, UPSERT, WRITE, LOAD DATA, LOAD XML, IMPORT TABLE, "
    "BULK INSERT, UPDATETEXT, WRITETEXT, COPY, COPY FROM",
    Activity.DDL: "CREATE, ALTER, DROP, TRUNCATE, RENAME, COMMENT, REFRESH MATERIALIZED, SECURITY LABEL, "
    "IMPORT FOREIGN, SELECT INTO, FLASHBACK, AUDIT, NOAUDIT, CLUSTER, ENABLE TRIGGER, DISABLE TRIGGER, "
    "ASSOCIATE STATISTICS, DISASSOCIATE STATISTICS, CREATE USER MAPPING, ALTER USER MAPPING, DROP USER MAPPING",
    Activity.DCL: "GRANT, REVOKE, DENY, SYSTEM GRANT, SYSTEM REVOKE, "
    "CREATE USER, ALTER USER, DROP USER, RENAME USER, CREATE ROLE, ALTER ROLE, DROP ROLE, CREATE GROUP, ALTER GROUP, "
    "DROP GROUP, CREATE LOGIN, ALTER LOGIN, DROP LOGIN, CREATE SERVER ROLE, ALTER SERVER ROLE, DROP SERVER ROLE, "
    "CREATE APPLICATION ROLE, ALTER APPLICATION ROLE, DROP APPLICATION ROLE, CREATE PROFILE, ALTER PROFILE, "
    "DROP PROFILE, ALTER DEFAULT PRIVILEGES, ALTER AUTHORIZATION, REASSIGN OWNED, DROP OWNED, SET PASSWORD, "
    "SET DEFAULT ROLE, ADD MEMBER, DROP MEMBER, ADD SIGNATURE, CHANGE PASSWORD, CHANGE OWN PASSWORD, RESET PASSWORD, "
    "RESET OWN PASSWORD, MUST CHANGE PASSWORD, UNLOCK ACCOUNT, ENABLE LOGIN, DISABLE LOGIN, CHANGE LOGIN CREDENTIAL, "
    "CHANGE DEFAULT DATABASE, CHANGE DEFAULT LANGUAGE, TAKE OWNERSHIP, CHANGE USERS LOGIN",
    Activity.EXEC: "CALL, DO, EXEC, EXECUTE, PL/SQL EXECUTE, CALL METHOD",
    Activity.OTHER: "ALTER SESSION, DROP PREPARE, BEGIN, DECLARE, SET, USE, COMMIT, ROLLBACK, START, SAVEPOINT, "
    "RELEASE, LOCK, UNLOCK, VACUUM, ANALYZE, CHECKPOINT, DISCARD, RESET, PREPARE, DEALLOCATE, LISTEN, NOTIFY, "
    "UNLISTEN, REINDEX, FLUSH, KILL, OPTIMIZE, CHECK, BACKUP, RESTORE, DBCC",
}

# Where an engine means something else by the same words.
_BY_ENGINE = {
    "postgresql": {
        Activity.CONNECT: "CONNECT",
        Activity.DISCONNECT: "DISCONNECT",
        Activity.AUTH_FAILURE: "AUTH FAILURE",
        Activity.ERROR: "ERROR",
        Activity.DQL: "DECLARE CURSOR",
    },
    "mysql": {
        Activity.CONNECT: "CONNECT, CHANGEUSER, CHANGE USER",
        Activity.DISCONNECT: "DISCONNECT",
        Activity.AUTH_FAILURE: "FAILED_CONNECT",
        Activity.DDL: "INSTALL, UNINSTALL",
        # A statement that is kept in a string or in the binary log's format is code.
        Activity.EXEC: "PREPARE, BINLOG",
    },
    "oracle": {
        Activity.CONNECT: "LOGON, PROXY AUTHENTICATION ONLY",
        Activity.DISCONNECT: "LOGOFF",
        Activity.DQL: "EXPORT, DATAPUMP DIRECT PATH UNLOAD",
        Activity.DML: "IMPORT, SUPER USER DML, SQL*LOADER DIRECT PATH LOAD",
        Activity.DDL: "PURGE, UNDROP, UPDATE INDEXES, UPDATE JOIN INDEX, SYSTEM AUDIT, SYSTEM NOAUDIT, SUPER USER DDL, "
        "ADMINISTER KEY MANAGEMENT, ENABLE ALL TRIGGERS, DISABLE ALL TRIGGERS, DECLARE REWRITE EQUIVALENCE, "
        "USER COMMENT",
        # An anonymous block; transactions do not begin with BEGIN here.
        Activity.EXEC: "BEGIN, DECLARE, BECOME USER",
    },
    "sqlserver": {
        Activity.CONNECT: "LOGIN SUCCEEDED, DATABASE AUTHENTICATION SUCCEEDED",
        Activity.DISCONNECT: "LOGOUT, DATABASE LOGOUT",
        Activity.AUTH_FAILURE: "LOGIN FAILED, DATABASE AUTHENTICATION FAILED",
        Activity.DML: "RECEIVE, BULK ADMIN",
        Activity.DDL: "TRANSFER, TRACE AUDIT, NAME CHANGE",
        Activity.DCL: "COPY PASSWORD, CREDENTIAL MAP TO LOGIN, NO CREDENTIAL MAP TO LOGIN, PASSWORD POLICY, "
        "PASSWORD EXPIRATION",
        Activity.EXEC: "IMPERSONATE",
        Activity.OTHER: "UPDATE STATISTICS",
    },
}

# Aurora PostgreSQL's own class, for commands that the tables above do not name, and where it knows better.
_BY_POSTGRESQL_CLASS = {
    "READ": Activity.DQL,
    "WRITE": Activity.DML,
    "DDL": Activity.DDL,
    "ROLE": Activity.DCL,
    "FUNCTION": Activity.EXEC,
    "CONNECT": Activity.CONNECT,
}
# Out of a table or into it, of a read or of a write, run or only shown: the class and the text say which.
_COMMAND_LEAVES_IT_TO_CLASS = frozenset({"COPY", "EXECUTE", "PREPARE", "EXPLAIN"})

# SQL Server names the kind of object in `class`, and says only CREATE, ALTER or DROP in `command`.
_SQLSERVER_PRINCIPALS = frozenset(
    {
        "LOGIN",
        "SQL LOGIN",
        "WINDOWS LOGIN",
        "WINDOWS GROUP",
        "EXTERNAL LOGIN",
        "EXTERNAL GROUP LOGIN",
        "CERTIFICATE LOGIN",
        "ASYMMETRIC KEY LOGIN",
        "USER",
        "SQL USER",
        "WINDOWS USER",
        "EXTERNAL USER",
        "EXTERNAL GROUP",
        "CERTIFICATE USER",
        "ASYMMETRIC KEY USER",
        "GROUP USER",
        "ROLE",
        "DATABASE ROLE",
        "SERVER ROLE",
        "APPLICATION ROLE",
    }
)
_PRINCIPAL_COMMANDS = frozenset({"CREATE", "ALTER", "DROP", "ENABLE", "DISABLE", "NAME CHANGE"})
_COMMAND_IS_TEXT = frozenset({"QUERY", "PREPARE", "BATCH STARTED", "BATCH COMPLETED", "RPC STARTED", "RPC COMPLETED"})

# A batch is what weighs most in it. What it does to its own temporary tables weighs least.
_BY_WEIGHT = (Activity.DCL, Activity.DDL, Activity.DML, Activity.EXEC, Activity.DQL, Activity.OTHER)

# ORA numbers that come with success: the password expires soon (28002, 28011), compiled with errors (24344), null
# values left out of an aggregate (24347).
_ORACLE_WARNINGS = frozenset({"28002", "28011", "24344", "24347"})

# Aurora PostgreSQL: a statement that writes within one that reads, as a common table expression or in COPY (…) TO.
_QUOTED_NAME = re.compile(r'"[^"]*+"?+')
_WRITE_WITHIN = re.compile(r"[()]\s*+(?:INSERT\s++INTO|DELETE\s++FROM|MERGE\s++INTO|UPDATE)\b", re.IGNORECASE)
_VERBS_OF_WRITES = ("insert", "update", "delete", "merge")
# What stands before the statement that is explained or prepared, in a text without comments and literals.
_BEFORE = r"(?:[\s(;]|\*/)*+"
_EXPLAIN = re.compile(
    rf"{_BEFORE}(?:EXPLAIN|DESC(?:RIBE)?)\b(?P<options>(?:\s*+(?:\([^()]*+\)|(?:ANALY[ZS]E|VERBOSE|EXTENDED|PARTITIONS"
    r"|FORMAT\s*+=\s*+\w++)\b))*+)",
    re.IGNORECASE,
)
# The last one decides. A value may be a word, a name, a string or a number; all but these are true.
_ANALYZE = re.compile(
    r"\bANALY[ZS]E\b\"?(?P<off>\s*+(?:(?:E|U&)?['\"]|\$\w*+\$)?(?:FALSE|OFF)\b|\s*+[-+]?\s*+0(?:[XOB]?[0_]++)?\b(?!\.))?",
    re.IGNORECASE,
)
_PREPARE = re.compile(
    rf'{_BEFORE}PREPARE\s++(?:"(?:[^"]++|"")*+"|[^\s("]++)\s*+(?:\((?:[^()]++|\([^()]*+\))*+\)\s*+)?+AS\b',
    re.IGNORECASE,
)


def _index(tables: dict[Activity, str]) -> dict[str, Activity]:
    return {words.strip(): activity for activity, listed in tables.items() for words in listed.split(",")}


_ACTIVITY_OF = _index(_BY_WORDS)
_ACTIVITY_OF_ENGINE = {engine: _ACTIVITY_OF | _index(tables) for engine, tables in _BY_ENGINE.items()}


def activity_of(event: Event, engine: str) -> Activity:
    """Which activity an event is. Never fails: what no rule knows is OTHER."""
    kind = event.get("class")
    activity = _by_command(engine, _command(event), kind[:_LONGEST_WORDS].upper() if isinstance(kind, str) else "")
    if activity is None:
        activity = Activity.OTHER if is_continuation(event, engine) else _by_text(event, engine)
    elif activity is Activity.DQL and engine == "postgresql" and _reads_and_writes(event):
        activity = Activity.DML
    if activity is Activity.CONNECT and outcome_of(event, engine) is Outcome.FAILURE:
        # Oracle and MySQL report a login that failed as a login with an error number.
        return Activity.AUTH_FAILURE
    return activity


def is_continuation(event: Event, engine: str) -> bool:
    """Whether an event (or its document) begins within a statement: SQL Server cuts texts after 4,000 characters."""
    if engine != "sqlserver":
        return False
    number = event.get("substatementId")
    if isinstance(number, str) and number.isdecimal():
        number = int(number[:9])
    return isinstance(number, int) and number > 1


def outcome_of(event: Event, engine: str) -> Outcome:
    """Return the outcome, as the engine reports it.

    SQL Server's `exitCode` is 1 for success and 0 for failure: the other engines' meaning inverted. Aurora MySQL's AUX
    rows, one for each object of a statement, do not know. Aurora PostgreSQL gives an SQLSTATE, or an error message, or
    only the command.
    """
    exit_code = event.get("exitCode")
    code = str(exit_code) if isinstance(exit_code, (str, int)) else ""
    failed = bool(event.get("errorMessage"))
    match engine:
        case "postgresql":
            # An SQLSTATE has five characters, as text or as a number; classes 00, 01 and 02 are success, warning and
            # no data. A shorter number is the backend's exit code at the end of a session.
            sqlstate = len(code) == 5 and code[:2] not in ("00", "01", "02")
            failed = failed or sqlstate or _command(event) in ("AUTH FAILURE", "ERROR")
        case "mysql":
            if event.get("class") == "AUX":
                return Outcome.UNKNOWN
            failed = failed or code not in ("", "0") or _command(event) == "FAILED_CONNECT"
        case "oracle":
            if code == "" and not failed:
                return Outcome.UNKNOWN
            failed = failed or (code != "0" and code not in _ORACLE_WARNINGS)
        case "sqlserver":
            if _command(event).endswith(" FAILED"):
                return Outcome.FAILURE
            if code == "":
                return Outcome.UNKNOWN
            failed = code in ("0", "False")
        case _:
            return Outcome.FAILURE if failed else Outcome.UNKNOWN
    return Outcome.FAILURE if failed else Outcome.SUCCESS


def _command(event: Event) -> str:
    command = event.get("command")
    return command[:_LONGEST_WORDS].upper() if isinstance(command, str) else ""


@lru_cache(maxsize=4096)
def _by_command(engine: str, command: str, kind: str) -> Activity | None:
    """What `command` and `class` say, or None where only the statement's text can."""
    if command in _COMMAND_IS_TEXT and not (engine == "postgresql" and command == "PREPARE"):
        return None
    if engine == "sqlserver" and kind in _SQLSERVER_PRINCIPALS and command in _PRINCIPAL_COMMANDS:
        return Activity.DCL
    by_class = _BY_POSTGRESQL_CLASS.get(kind) if engine == "postgresql" else None
    if by_class is Activity.DCL:
        return by_class
    if engine == "postgresql" and command in _COMMAND_LEAVES_IT_TO_CLASS:
        return by_class
    by_words = _by_words(engine, tuple(command.split()))
    return by_class if by_class and by_words in (None, Activity.OTHER) else by_words


def _reads_and_writes(event: Event) -> bool:
    """Whether a statement that Aurora PostgreSQL calls a read writes too."""
    text = event.get("commandText")
    if not isinstance(text, str):
        return False
    lowered = text.lower()
    # Most statements are done with here.
    if "with" not in lowered and "copy" not in lowered:
        return False
    if not contains_any(lowered, _VERBS_OF_WRITES):
        return False
    if _command(event) == "EXPLAIN":
        return _from_cache(text, "postgresql") is Activity.DML
    return _writes_within(code_of(text, "postgresql"))


def _writes_within(code: str) -> bool:
    """Whether a statement that writes stands in one's parentheses; a name in quotes is none, whatever it holds."""
    return _WRITE_WITHIN.search(_QUOTED_NAME.sub("?", code) if '"' in code else code) is not None


def _by_text(event: Event, engine: str) -> Activity:
    text = event.get("commandText")
    return _from_cache(text, engine) if isinstance(text, str) else Activity.OTHER


def _from_cache(text: str, engine: str) -> Activity:
    return (_cached_activity_of_text if len(text) <= _CACHED_CHARACTERS else _activity_of_text)(text, engine)


@lru_cache(maxsize=_CACHED_TEXTS)
def _cached_activity_of_text(text: str, engine: str) -> Activity:
    return _activity_of_text(text, engine)


def _activity_of_text(text: str, engine: str) -> Activity:
    if engine == "sqlserver":
        return _of_batch(text)
    code = ""
    if len(text) > _CACHED_CHARACTERS and leading_words(text[:_CACHED_CHARACTERS], engine) in ((), ("WITH",)):
        # The verb is far behind: everything below would scan what is in front of it once more.
        text = code = code_of(text, engine)
    words = leading_words(text, engine)
    first = words[0] if words else ""
    if engine in ("postgresql", "mysql") and first in ("EXPLAIN", "DESCRIBE", "DESC"):
        return _of_explain(without_comments(text, engine), engine)
    if engine == "postgresql" and first == "PREPARE":
        code = code or code_of(text, engine)
        head = _PREPARE.match(code)
        return _of_code(code[head.end() :], engine) if head else Activity.OTHER
    if first == "COPY":
        # Out of a table, or into it?
        direction = next((word for word in words_outside_parentheses(text, engine) if word in ("TO", "FROM")), "FROM")
        reads = direction == "TO" and not _writes_within(code_of(text, engine))
        return Activity.DQL if reads else Activity.DML
    return _of_words(words, engine, code, text)


def _of_explain(text: str, engine: str) -> Activity:
    """A statement that is shown reads; with ANALYZE it runs."""
    head = _EXPLAIN.match(text)
    options = list(_ANALYZE.finditer(head["options"])) if head else []
    if head is None or not options or options[-1]["off"]:
        return Activity.DQL
    explained = _of_code(code_of(text[head.end() :], engine), engine)
    return Activity.DQL if explained is Activity.OTHER else explained


def _of_code(code: str, engine: str) -> Activity:
    """What a statement is that stands within another one."""
    return _of_words(leading_words(code, engine), engine, code)


def _of_words(words: tuple[str, ...], engine: str, code: str, text: str = "") -> Activity:
    """What a statement is by its leading words. `code` may be missing, then it is made of `text` where it is needed."""
    activity = _by_words(engine, words) or Activity.OTHER
    if engine == "postgresql" and (activity is Activity.DQL or words[:1] == ("DECLARE",)):
        return _of_postgresql_read(code or code_of(text, engine), words)
    return activity


def _of_postgresql_read(code: str, words: tuple[str, ...]) -> Activity:
    """What begins as a read may write, or make a table; DECLARE is a cursor's, which reads."""
    if words[:1] == ("DECLARE",):
        return Activity.DQL
    if _writes_within(code):
        return Activity.DML
    makes = words[:1] == ("SELECT",) and "INTO" in words_outside_parentheses(code, "postgresql")
    return Activity.DDL if makes else Activity.DQL


def _of_batch(text: str) -> Activity:
    """What weighs most of what a batch does."""
    done: set[Activity] = set()
    own_tables = False
    for words in batch_statements(text):
        activity = _by_words("sqlserver", words) or Activity.OTHER
        if activity is Activity.DDL and any(word[0] == "#" for word in words):
            own_tables = True
        else:
            done.add(activity)
            if activity is _BY_WEIGHT[0]:
                break
    heaviest = next((activity for activity in _BY_WEIGHT if activity in done), None)
    if heaviest in (None, Activity.OTHER) and own_tables:
        return Activity.DDL
    return heaviest or _by_words("sqlserver", leading_words(text, "sqlserver")) or Activity.OTHER


@lru_cache(maxsize=4096)
def _by_words(engine: str, words: tuple[str, ...]) -> Activity | None:
    table = _ACTIVITY_OF_ENGINE.get(engine, _ACTIVITY_OF)
    if words[1:3] in (("OR", "REPLACE"), ("OR", "ALTER")):
        words = words[:1] + words[3:]
    for length in range(min(len(words), 4), 0, -1):
        activity = table.get(" ".join(words[:length]))
        if activity is not None:
            return activity
    return None
