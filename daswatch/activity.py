"""What an activity event is (its activity) and how it went (its outcome), by tables that a reader can check.

`docs/activities.md` shows the same rules by example, and the tests read that page. The engine's own `command` decides
first; where it does not tell (MySQL's QUERY, SQL Server's batches), the statement's leading words do.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from daswatch.events import Event
from daswatch.statements import leading_words, words_outside_parentheses


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


class Outcome(StrEnum):
    """How it went, as far as the engine tells. The words are ECS's `event.outcome`."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


# Leading words -> activity, for commands and statements of all engines; the longest entry that fits decides.
_BY_WORDS = {
    Activity.DQL: "SELECT, READ, SHOW, DESCRIBE, DESC, EXPLAIN, FETCH, VALUES, TABLE, HANDLER, WITH, READTEXT, COPY TO",
    Activity.DML: "INSERT, UPDATE, DELETE, MERGE, REPLACE, UPSERT, WRITE, LOAD DATA, LOAD XML, IMPORT TABLE, "
    "BULK INSERT, UPDATETEXT, WRITETEXT, COPY, COPY FROM",
    Activity.DDL: "CREATE, ALTER, DROP, TRUNCATE, RENAME, COMMENT, REFRESH MATERIALIZED, SECURITY LABEL, "
    "IMPORT FOREIGN, SELECT INTO, FLASHBACK, AUDIT, NOAUDIT, "
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
    "UNLISTEN, CLUSTER, REINDEX, FLUSH, KILL, OPTIMIZE, CHECK, BACKUP, RESTORE, DBCC",
}

# Where an engine means something else by the same words.
_BY_ENGINE = {
    "postgresql": {
        Activity.CONNECT: "CONNECT",
        Activity.DISCONNECT: "DISCONNECT",
        Activity.AUTH_FAILURE: "AUTH FAILURE",
        Activity.ERROR: "ERROR",
    },
    "mysql": {
        Activity.CONNECT: "CONNECT, CHANGEUSER, CHANGE USER",
        Activity.DISCONNECT: "DISCONNECT",
        Activity.AUTH_FAILURE: "FAILED_CONNECT",
    },
    "oracle": {
        Activity.CONNECT: "LOGON, PROXY AUTHENTICATION ONLY",
        Activity.DISCONNECT: "LOGOFF",
        Activity.DDL: "PURGE",
        # An anonymous block; transactions do not begin with BEGIN here.
        Activity.EXEC: "BEGIN, DECLARE",
    },
    "sqlserver": {
        Activity.CONNECT: "LOGIN SUCCEEDED, DATABASE AUTHENTICATION SUCCEEDED",
        Activity.DISCONNECT: "LOGOUT, DATABASE LOGOUT",
        Activity.AUTH_FAILURE: "LOGIN FAILED, DATABASE AUTHENTICATION FAILED",
        Activity.EXEC: "DECLARE",
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
_COMMAND_LEAVES_IT_TO_CLASS = frozenset({"COPY"})  # out of a table or into it: only the class and the text tell

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
_COMMAND_IS_TEXT = frozenset({"QUERY", "PREPARE", "BATCH STARTED", "BATCH COMPLETED", "RPC STARTED", "RPC COMPLETED"})


def _index(tables: dict[Activity, str]) -> dict[str, Activity]:
    return {words.strip(): activity for activity, listed in tables.items() for words in listed.split(",")}


_ACTIVITY_OF = _index(_BY_WORDS)
_ACTIVITY_OF_ENGINE = {engine: _ACTIVITY_OF | _index(tables) for engine, tables in _BY_ENGINE.items()}


def activity_of(event: Event, engine: str) -> Activity:
    """Which activity an event is. Never fails: what no rule knows is OTHER."""
    command = event.get("command")
    kind = event.get("class")
    activity = _by_command(
        engine,
        command.upper() if isinstance(command, str) else "",
        kind.upper() if isinstance(kind, str) else "",
    )
    if activity is None:
        activity = _by_text(event, engine)
    if activity is Activity.CONNECT and outcome_of(event, engine) is Outcome.FAILURE:
        # Oracle and MySQL report a login that failed as a login with an error number.
        return Activity.AUTH_FAILURE
    return activity


def outcome_of(event: Event, engine: str) -> Outcome:
    """How it went, by the engine's own way of telling.

    SQL Server's `exitCode` is 1 for success and 0 for failure: the other engines' meaning inverted. Aurora MySQL's AUX
    rows, one for each object of a statement, do not know. Aurora PostgreSQL gives an SQLSTATE, or an error message, or
    only the command.
    """
    exit_code = event.get("exitCode")
    code = str(exit_code) if isinstance(exit_code, (str, int)) else ""
    command = str(event.get("command") or "").upper()
    failed = bool(event.get("errorMessage"))
    match engine:
        case "postgresql":
            # An SQLSTATE has five characters, as text or as a number; classes 00, 01 and 02 are success, warning and
            # no data. A shorter number is the backend's exit code at the end of a session.
            sqlstate = len(code) == 5 and code[:2] not in ("00", "01", "02")
            failed = failed or sqlstate or command in ("AUTH FAILURE", "ERROR")
        case "mysql":
            if event.get("class") == "AUX":
                return Outcome.UNKNOWN
            failed = failed or code not in ("", "0") or command == "FAILED_CONNECT"
        case "oracle":
            if code == "" and not failed:
                return Outcome.UNKNOWN
            failed = failed or code != "0"
        case "sqlserver":
            if command.endswith(" FAILED"):
                return Outcome.FAILURE
            if code == "":
                return Outcome.UNKNOWN
            failed = code in ("0", "False")
        case _:
            return Outcome.FAILURE if failed else Outcome.UNKNOWN
    return Outcome.FAILURE if failed else Outcome.SUCCESS


@lru_cache(maxsize=4096)
def _by_command(engine: str, command: str, kind: str) -> Activity | None:
    """What `command` and `class` tell, or None where only the statement's text can."""
    if command in _COMMAND_IS_TEXT and not (engine == "postgresql" and command == "PREPARE"):
        return None
    if engine == "sqlserver" and kind in _SQLSERVER_PRINCIPALS and command in ("CREATE", "ALTER", "DROP"):
        return Activity.DCL
    by_class = _BY_POSTGRESQL_CLASS.get(kind) if engine == "postgresql" else None
    if by_class is Activity.DCL:
        return by_class
    if engine == "postgresql" and command in _COMMAND_LEAVES_IT_TO_CLASS:
        return by_class
    return _by_words(engine, tuple(command.split())) or by_class


def _by_text(event: Event, engine: str) -> Activity:
    text = event.get("commandText")
    if not isinstance(text, str):
        return Activity.OTHER
    words = leading_words(text, engine)
    if words[:1] == ("COPY",):
        # Out of a table, or into it?
        direction = next((word for word in words_outside_parentheses(text, engine) if word in ("TO", "FROM")), "FROM")
        return Activity.DQL if direction == "TO" else Activity.DML
    return _by_words(engine, words) or Activity.OTHER


def _by_words(engine: str, words: tuple[str, ...]) -> Activity | None:
    table = _ACTIVITY_OF_ENGINE.get(engine, _ACTIVITY_OF)
    if words[1:3] == ("OR", "REPLACE"):
        words = words[:1] + words[3:]
    for length in range(min(len(words), 4), 0, -1):
        activity = table.get(" ".join(words[:length]))
        if activity is not None:
            return activity
    return None
