"""What people typed, out of what is indexed: passwords always, literals and more as set. The archive keeps all of it.

In: a document, with AWS's field names. Out: the same document without what its redaction takes out. With `literals` a
value stays only where it is certain that it is not data: the names of AWS and of the engines, never free text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from daswatch.canonical import canonical_json
from daswatch.documents.activity import is_continuation
from daswatch.documents.budget import Budget
from daswatch.sql.passwords import REDACTED, fragment_without_passwords, may_hold_password, without_passwords
from daswatch.sql.statements import CACHED_CHARACTERS, CACHED_STATEMENTS, known_engine, statement_hash, without_literals

# The fields that hold what people typed as AWS's own fields, and those that hold whatever else came.
SQL_FIELDS = ("commandText", "paramList", "errorMessage")
FREE_FIELDS = ("engineNativeAuditFields", "unknownFields", "unknownFieldsText")
# What else `redacted` looks at.
NEEDED_FIELDS = ("engine", "substatementId", "exitCode")

_HIDDEN = "?"

# What the engines say before they name or quote something. Another message is a user's own, or of a later version.
_PHRASES = {
    "postgresql": (
        *("duplicate key value violates unique constraint", "relation", "column", "function", "type", "role", "schema"),
        *("database", "table", "operator does not exist:", "syntax error at or near", "syntax error at end of input"),
        *("unterminated quoted string at or near", "invalid input syntax for type", "invalid input value for enum"),
        *("null value in column", "insert or update on table", "update or delete on table", "deadlock detected"),
        *(
            "new row for relation",
            "value too long for type",
            "division by zero",
            "permission denied",
            "must be owner of",
        ),
        *("permission denied for", "permission denied to", "must be superuser", "must be member of role"),
        *(
            "must be superuser to alter superusers",
            "must be superuser or have privileges of",
            "must have admin option on role",
        ),
        *(
            "password authentication failed for user",
            "canceling statement due to",
            "canceling statement due to user request",
        ),
        *("canceling statement due to statement timeout", "canceling statement due to lock timeout"),
        *("terminating connection due to administrator command", "could not serialize access due to concurrent update"),
        *("could not obtain lock on row in relation", "could not connect to server", "no pg_hba.conf entry for"),
        *("cannot execute", "current transaction is aborted, commands ignored until end of transaction block"),
        *("integer out of range", "numeric field overflow", "out of shared memory", "out of memory", "disk full"),
        *(
            "too many connections for role",
            "remaining connection slots are reserved for",
            "conflicting key value violates",
        ),
        *(
            "there is no parameter",
            "prepared statement",
            "cursor",
            "savepoint",
            "portal",
            "invalid byte sequence for encoding",
        ),
        *("missing FROM-clause entry for table", "more than one row returned by a subquery used as an expression"),
    ),
    "mysql": (
        *("Access denied for user", "Access denied; you need", "Duplicate entry", "Table", "Unknown column"),
        *(
            "Unknown table",
            "Unknown database",
            "Unknown system variable",
            "Column",
            "Column count doesn",
            "Data too long for column",
        ),
        *("You have an error in your SQL syntax", "Lock wait timeout exceeded; try restarting transaction"),
        *("Deadlock found when trying to get lock; try restarting transaction", "Cannot add or update a child row"),
        *(
            "Cannot delete or update a parent row",
            "Incorrect",
            "Data truncated for column",
            "Out of range value for column",
        ),
        *(
            "Field",
            "Operation",
            "Operation CREATE USER failed for",
            "Operation ALTER USER failed for",
            "PROCEDURE",
            "FUNCTION",
        ),
        *("SELECT command denied to user", "INSERT command denied to user", "UPDATE command denied to user"),
        *("DELETE command denied to user", "DROP command denied to user", "CREATE command denied to user"),
        *("ALTER command denied to user", "execute command denied to user", "Query execution was interrupted"),
        *(
            "The MySQL server is running with the",
            "The used command is not allowed with this MySQL version",
            "No database selected",
        ),
        *("There is no such grant defined for user", "Can", "Too many connections", "Host"),
    ),
}
_PHRASE = {
    engine: re.compile("|".join(map(re.escape, sorted(phrases, key=len, reverse=True))) + r"\b")
    for engine, phrases in _PHRASES.items()
}
# Names that PostgreSQL writes without quotes, in messages that it alone writes.
_NAMED = re.compile(
    r"(?:permission denied for|must be owner of) (?:table|view|materialized view|sequence|schema|database|function"
    r"|procedure|relation|index|foreign table|foreign server|type|language|tablespace|column|large object)"
    r" [\w.$]{1,130}"
    r"|cannot execute [A-Z]{2,20}(?: [A-Z]{2,20}){0,3}"
    r" (?:in a read-only transaction|during recovery|during a parallel operation|within a background process"
    r"|in a non-volatile function|while a portal is pinned)"
    r"|permission denied to (?:(?:create|alter|drop|rename|grant) role|(?:create|rename) database|create tablespace"
    r"|(?:grant|revoke|examine|reassign|drop) (?:privileges|objects)|set session authorization|create event trigger"
    r"|(?:cancel query|terminate process|create subscription|COPY to or from (?:a file|an external program)))"
    r"|must be superuser to (?:(?:alter|create|drop|rename)"
    r" (?:superusers?|replication users|bypassrls users|tablespaces?)"
    r"|alter superuser roles or change superuser attribute|change (?:superuser|bypassrls|replication) attribute"
    r"|COPY to or from (?:a file|an external program)|create (?:subscriptions|a base type|procedural languages?)"
    r"|terminate superuser process|cancel superuser query|set session authorization)"
)
_RAISED_BY_USERS = {"postgresql": ("P0",), "mysql": ("1644", "1642", "1643")}  # RAISE and SIGNAL: any text

# Native fields whose values are the engine's or an administrator's names, numbers and states.
_NATIVE_NAMES = frozenset(
    {
        *("AUDIT_OPTION", "AUTHENTICATION_TYPE", "CURRENT_USER", "DBID", "DBPROXY_USERNAME", "DV_ACTION_CODE"),
        *("DIRECT_PATH_NUM_COLUMNS_LOADED", "DP_BOOLEAN_PARAMETERS1", "DV_ACTION_NAME", "DV_ACTION_OBJECT_NAME"),
        *(
            "DV_EXTENDED_ACTION_CODE",
            "DV_GRANTEE",
            "DV_OBJECT_STATUS",
            "DV_RETURN_CODE",
            "DV_RULE_SET_NAME",
            "ENTRY_ID",
        ),
        *("EXCLUDED_OBJECT", "EXCLUDED_SCHEMA", "EXCLUDED_USER", "EXECUTION_ID", "EXTERNAL_USERID", "FGA_POLICY_NAME"),
        *("GLOBAL_USERID", "INSTANCE_ID", "KSACL_SERVICE_NAME", "KSACL_USER_NAME", "NEW_NAME", "NEW_SCHEMA"),
        *("OBJECT_EDITION", "OBJECT_PRIVILEGES", "OLS_GRANTEE", "OLS_LABEL_COMPONENT_NAME", "OLS_LABEL_COMPONENT_TYPE"),
        *("OLS_POLICY_NAME", "OLS_PRIVILEGES_GRANTED", "OLS_PRIVILEGES_USED", "OLS_PROGRAM_UNIT_NAME", "OS_USERNAME"),
        *(
            "PROTOCOL_ACTION_NAME",
            "PROTOCOL_RETURN_CODE",
            "PROTOCOL_SESSION_ID",
            "PROTOCOL_USERHOST",
            "PROXY_SESSIONID",
        ),
        *("RMAN_DEVICE_TYPE", "RMAN_OBJECT_TYPE", "RMAN_OPERATION", "RMAN_SESSION_RECID", "RMAN_SESSION_STAMP", "ROLE"),
        *(
            "SCN",
            "SYSTEM_PRIVILEGE",
            "SYSTEM_PRIVILEGE_USED",
            "TARGET_USER",
            "TERMINAL",
            "UNIFIED_AUDIT_POLICIES",
            "USERHOST",
        ),
        *(
            "XS_CALLBACK_EVENT_TYPE",
            "XS_DATASEC_POLICY_NAME",
            "XS_ENABLED_ROLE",
            "XS_ENTITY_TYPE",
            "XS_INACTIVITY_TIMEOUT",
        ),
        *("XS_NS_NAME", "XS_PACKAGE_NAME", "XS_PROCEDURE_NAME", "XS_PROXY_USER_NAME", "XS_SCHEMA_NAME", "XS_SESSIONID"),
        *("XS_TARGET_PRINCIPAL_NAME", "XS_USER_NAME"),
        *("audit_schema_version", "class_type", "connection_id", "database_principal_id", "database_principal_name"),
        *(
            "duration_milliseconds",
            "host_name",
            "is_column_permission",
            "object_id",
            "permission_bitmask",
            "response_rows",
        ),
        *("schema_name", "server_instance_name", "server_principal_id", "server_principal_sid"),
        *("session_server_principal_name", "target_database_principal_id", "target_database_principal_name"),
        *(
            "target_server_principal_id",
            "target_server_principal_name",
            "target_server_principal_sid",
            "user_defined_event_id",
        ),
    }
)


class Redaction(StrEnum):
    """How much SQL the index holds."""

    OFF = "off"  # all but passwords
    LITERALS = "literals"  # each literal and parameter becomes `?`; the statement's shape stays searchable
    HASH = "hash"  # no SQL at all: `statementHash` alone shows which statements are equal


class Statement(NamedTuple):
    """A statement without its passwords, whether there were any, and its hash."""

    text: str
    sets_password: bool
    hash: str


def read_statement(text: str, engine: str) -> Statement:
    """A statement's text as it may be indexed, with the hash of that text: no hash can be asked for a password."""
    return (_cached_statement if len(text) <= CACHED_CHARACTERS else _last_statement)(text, engine)


def redacted(
    document: dict[str, Any],
    engine: str,
    redaction: Redaction,
    *,
    scanned: bool = True,
    budget: Budget | None = None,
) -> dict[str, Any]:
    """A document without passwords, and without what else `redaction` takes out.

    Where the statement is not to be `scanned`, or the `budget` ends, what a scan would look for is not left.
    """
    if redaction is Redaction.HASH:
        return {name: value for name, value in document.items() if name not in _NOT_IN_HASHED}
    known = known_engine(engine)
    fragments = _Fragments(known, budget or Budget())
    changes: dict[str, Any] = {}
    sets_password = False
    text = document.get("commandText")
    if text:
        cleaned, sets_password = _text(text, known, is_continuation(document, engine), scanned, redaction)
        if cleaned is not text:
            changes["commandText"] = cleaned
    if "paramList" in document:
        changes["paramList"] = _parameters(document["paramList"], fragments, sets_password, redaction)
    message = document.get("errorMessage")
    if message:
        if redaction is Redaction.LITERALS or sets_password:
            changes["errorMessage"] = _message(message, known, document.get("exitCode", ""))
        elif may_hold_password(message, known):
            changes["errorMessage"] = fragments.looked_into(message)
    for name in FREE_FIELDS:
        value = document.get(name)
        if value is not None:
            if sets_password and isinstance(value, dict):
                value = {key: REDACTED if _BINDS.search(key) else item for key, item in value.items()}
            changes[name] = _free(value, fragments, redaction, native=name == "engineNativeAuditFields")
    return {**document, **changes} if changes else document


_NOT_IN_HASHED = frozenset((*SQL_FIELDS, *FREE_FIELDS))
_MAX_FRAGMENT = 64 * 1024  # characters: a longer message, parameter or field is not looked into
_MAX_FRAGMENTS = 200  # such values of a document


@lru_cache(maxsize=CACHED_STATEMENTS)
def _cached_statement(text: str, engine: str) -> Statement:
    return _statement(text, engine)


@lru_cache(maxsize=1)
def _last_statement(text: str, engine: str) -> Statement:
    """A long one: its document asks for its hash, then for its text."""
    return _statement(text, engine)


def _statement(text: str, engine: str) -> Statement:
    cleaned = without_passwords(text, engine)
    return Statement(cleaned.text, cleaned.found, statement_hash(cleaned.text, engine))


@lru_cache(maxsize=CACHED_STATEMENTS)
def _cached_without_literals(text: str, engine: str) -> str:
    return without_literals(text, engine)


def _text(text: str, engine: str, continued: bool, scanned: bool, redaction: Redaction) -> tuple[str, bool]:
    """A statement as it may be indexed, and whether it sets a password."""
    if not text:
        return "", False
    if not scanned:
        holds = may_hold_password(text, engine)
        return _HIDDEN if redaction is Redaction.LITERALS else REDACTED if holds else text, holds
    if continued:
        # Whether it begins in a literal, the row before knows.
        fragment = fragment_without_passwords(text, engine, continued=True)
        return _HIDDEN if redaction is Redaction.LITERALS else fragment.text, fragment.found
    statement = read_statement(text, engine)
    if redaction is Redaction.OFF:
        return statement.text, statement.sets_password
    short = len(statement.text) <= CACHED_CHARACTERS
    bare = (_cached_without_literals if short else without_literals)(statement.text, engine)
    return bare, statement.sets_password


def _parameters(parameters: list[str], fragments: _Fragments, sets_password: bool, redaction: Redaction) -> list[str]:
    if redaction is Redaction.LITERALS:
        return [_HIDDEN] * len(parameters)
    if sets_password:
        return [REDACTED] * len(parameters)
    joined = "\n".join(parameters)
    if not may_hold_password(joined, fragments.engine):
        return parameters
    return [fragments.cleaned_text(parameter) for parameter in parameters] if fragments.fit(joined) else [REDACTED]


def _message(message: str, engine: str, exit_code: str) -> str:
    """What the engine says, up to where it names or quotes something; no message that a user has written."""
    if exit_code.startswith(_RAISED_BY_USERS.get(engine, ())) or engine not in _PHRASE:
        return _HIDDEN
    if engine == "postgresql" and _NAMED.fullmatch(message):
        return message
    phrase = _PHRASE[engine].match(message)
    if phrase is None:
        return _HIDDEN
    return message if phrase.end() == len(message) else f"{phrase[0]} {_HIDDEN}"


def _free(value: Any, fragments: _Fragments, redaction: Redaction, *, native: bool) -> Any:
    """Native and unknown fields: names stay, what is not known to be one goes."""
    if redaction is Redaction.OFF:
        written = value if isinstance(value, str) else canonical_json(value).decode()
        if may_hold_password(written, fragments.engine) or _SECRET_NAME_WITHIN.search(written):
            return fragments.cleaned(value)
        return value
    if not isinstance(value, dict):
        return _HIDDEN
    return {
        name: item if native and name in _NATIVE_NAMES and not _is_statement(item) else _HIDDEN
        for name, item in value.items()
    }


_BINDS = re.compile(r"bind|param", re.IGNORECASE)  # in the name of a field with a statement's parameters
_VERB = re.compile(
    r"\s*+(?:select|insert|update|delete|merge|with|exec|execute|declare|begin|alter|create|drop|grant|call|truncate)\b",
    re.IGNORECASE,
)
_PRIVILEGES = re.compile(r"[A-Z_$, ]*+")


def _is_statement(item: Any) -> bool:
    """Whether a field that is to hold a name or a state holds what was typed; privileges are verbs as well."""
    if not isinstance(item, str):
        return not isinstance(item, int | float | None)
    return "'" in item or (_VERB.match(item) is not None and _PRIVILEGES.fullmatch(item) is None)


_SECRET_NAME = re.compile(
    r"(?:passw(?:or)?d|passwd|pwd|passphrase|secret|secret_?(?:access_?)?key|private_?key)\Z", re.IGNORECASE
)


_SECRET_NAME_WITHIN = re.compile(r"key\"", re.IGNORECASE)  # in JSON; the other names are found as hints


def _is_secret(name: str, value: Any) -> bool:
    """Whether a field's name says that it holds a secret: no yes or no, and nothing with fields of its own."""
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return is_plain and bool(_SECRET_NAME.search(name))


@dataclass(slots=True)
class _Fragments:
    """The values of one document that are not statements of their own, without passwords. Only so many are looked into,
    and as many characters as the budget has: of what is more, those that may hold a password are removed."""

    engine: str
    budget: Budget
    left: int = _MAX_FRAGMENTS

    def cleaned(self, value: Any) -> Any:
        match value:
            case str():
                return self.cleaned_text(value)
            case dict():
                return {
                    name: REDACTED if _is_secret(name, item) else self.cleaned(item) for name, item in value.items()
                }
            case list():
                return [self.cleaned(item) for item in value]
            case _:
                return value

    def cleaned_text(self, text: str) -> str:
        """JSON by what its strings hold, whatever their escapes; another text as it stands."""
        if not may_hold_password(text, self.engine):
            return text
        if text.lstrip()[:1] in ("{", "["):
            if not self.fit(text):
                return REDACTED
            try:
                content = json.loads(text)
                cleaned = self.cleaned(content)
            except (ValueError, RecursionError):
                pass  # cut, or only like JSON: it is read as text
            else:
                return text if cleaned == content else canonical_json(cleaned).decode()
        return self.looked_into(text)

    def looked_into(self, text: str) -> str:
        """A text that may hold a password without it, or nothing of it where that costs too much."""
        self.left -= 1
        if self.left < 0 or len(text) > _MAX_FRAGMENT:
            self.budget.refused = True
            return REDACTED
        return fragment_without_passwords(text, self.engine).text if self.budget.takes_values(len(text)) else REDACTED

    def fit(self, text: str) -> bool:
        """Whether the parts of a text can be looked into one by one."""
        fits = self.budget.takes(len(text))
        self.budget.refused = self.budget.refused or not fits
        return fits
