"""What an RDS Proxy runs under its own name: the closed list of statements that a health check needs, and nothing more.

AWS does not document these statements. So the list has what shows that a server answers and which role it has, and what
prepares or resets a session; none of it reads a table of the customer, changes anything, or hides what follows it.
Whatever is not on the list is not of a proxy (docs/decisions/0023-names-of-awss-users.md).
"""

from __future__ import annotations

import re

from daswatch.sql.statements import code_of, unescaped

_LONGEST = 2_000  # characters
# What a session's settings may read in another way: escapes, comments, names in quotes, dollar quotes.
_DOUBTFUL = re.compile(r"\\|--|/\*|\#|[\"`\[\]\x00]|\$(?!\d)")
# A comment to every engine under every setting: drivers mark their pings so.
_PLAIN_COMMENT = re.compile(r"/\*(?!M)[\w .,:=()-]*\*/")
_TOKEN = re.compile(r"@@[\w.$]+|[a-z_][\w$]*|\S")

# Where the engine has a view or a function of its own; elsewhere a table of that name is the customer's.
TOPOLOGY = {"mysql": frozenset({"replica_host_status", "information_schema.replica_host_status"})}
_SOURCES: dict[str, tuple[tuple[str, ...], ...]] = {
    "mysql": (("information_schema", ".", "replica_host_status"), ("replica_host_status",), ("dual",)),
    "postgresql": (("aurora_replica_status", "(", ")"),),
}
_BEHIND_SOURCE = frozenset({"where", "order", "limit"})
_COLUMNS = frozenset(
    {
        *(
            "server_id",
            "session_id",
            "iops",
            "read_ios",
            "pending_read_ios",
            "cpu",
            "last_update_timestamp",
            "durable_lsn",
        ),
        *(
            "replica_lag_in_milliseconds",
            "replica_lag_in_msec",
            "is_current",
            "last_transport_error",
            "current_read_lsn",
        ),
        *("active_lsn", "highest_lsn_rcvd", "feedback_epoch", "feedback_xmin", "state", "vdl"),
    }
)
_FUNCTIONS = frozenset(
    {
        *("version", "connection_id", "database", "schema", "user", "current_user", "session_user", "system_user"),
        *("now", "date_sub", "timestampdiff", "unix_timestamp", "if", "ifnull", "coalesce", "nullif", "isnull", "cast"),
        *("count", "max", "min", "concat", "upper", "lower", "aurora_version", "aurora_db_instance_identifier"),
        *("current_database", "current_schema", "pg_is_in_recovery", "pg_backend_pid", "inet_server_addr"),
        *("inet_server_port", "current_setting", "serverproperty", "databasepropertyex", "db_name", "getdate"),
    }
)
_BARE_VALUES = frozenset(
    {"current_user", "session_user", "current_timestamp", "current_catalog", "current_schema", "null", "true", "false"}
)
_WORDS = frozenset(
    {
        *("and", "or", "not", "is", "in", "like", "between", "case", "when", "then", "else", "end"),
        *("by", "asc", "desc", "interval", "second", "minute", "microsecond"),
    }
)
_BEFORE_PARENTHESIS = frozenset({"in", "and", "or", "not", "when", "then", "else", "between", "where", "case"})
_MARKS = frozenset("?,()=<>+-*/%!.")

_VALUE = r"(?:[+-]? ?\?|[a-z_][\w.-]*)"
_LEVEL = r"(?:read uncommitted|read committed|repeatable read|serializable|snapshot)"
_ISOLATION = rf"(?:isolation level {_LEVEL}|read only|read write)"
_TRANSACTION = rf"transaction {_ISOLATION}(?: ?, ?{_ISOLATION})?"
_NAMES_OF_MYSQL = (
    r"(?:autocommit|sql_mode|time_zone|sql_auto_is_null|wait_timeout|interactive_timeout|net_read_timeout"
    r"|net_write_timeout|lock_wait_timeout|innodb_lock_wait_timeout|max_execution_time|character_set_client"
    r"|character_set_connection|character_set_results|collation_connection|session_track_\w+|transaction_isolation"
    r"|tx_isolation|transaction_read_only|tx_read_only)"
)
_ASSIGNMENT = rf"(?:(?:session|local) |@@(?:session\.|local\.)?)?{_NAMES_OF_MYSQL} ?:?= ?{_VALUE}"
_NAMES_OF_POSTGRESQL = (
    r"(?:application_name|client_encoding|client_min_messages|datestyle|intervalstyle|timezone|extra_float_digits"
    r"|bytea_output|standard_conforming_strings|statement_timeout|lock_timeout|idle_in_transaction_session_timeout"
    r"|default_transaction_isolation|default_transaction_read_only|tcp_keepalives_\w+)"
)
_SWITCHES = (
    r"(?:ansi_nulls|ansi_null_dflt_on|ansi_padding|ansi_warnings|arithabort|concat_null_yields_null|quoted_identifier"
    r"|cursor_close_on_commit|implicit_transactions|nocount|xact_abort|numeric_roundabort)"
)
_STATEMENTS = {
    "mysql": re.compile(
        rf"begin|start transaction(?: read only)?|commit|rollback|set names {_VALUE}(?: collate {_VALUE})?"
        rf"|set (?:character set|charset) {_VALUE}|set (?:session |local )?{_TRANSACTION}"
        rf"|set {_ASSIGNMENT}(?: ?, ?{_ASSIGNMENT}){{,40}}"
        r"|show (?:(?:session|global|local) )?(?:variables|status)"
        r"(?: like \?| where variable_name ?(?:=|like) ?\?| where variable_name in ?\( ?\?(?: ?, ?\?){,60} ?\))?"
        r"|show (?:replica|slave) status"
    ),
    "postgresql": re.compile(
        r"begin|start transaction(?: read only)?|commit|rollback|discard all|reset all|deallocate all|close all"
        r"|unlisten ?\*|show [a-z_.]+"
        rf"|set (?:session |local )?{_NAMES_OF_POSTGRESQL} ?(?:=|to) ?{_VALUE}(?: ?, ?{_VALUE})?"
        rf"|set (?:session )?time zone {_VALUE}|set {_TRANSACTION}|set session characteristics as {_TRANSACTION}"
    ),
    "sqlserver": re.compile(
        r"begin tran(?:saction)?|commit(?: tran(?:saction)?)?|rollback(?: tran(?:saction)?)?"
        rf"|set {_SWITCHES} (?:on|off)"
        rf"|set (?:textsize|lock_timeout|language|dateformat|datefirst) {_VALUE}|set {_TRANSACTION}"
        r"|(?:exec(?:ute)? )?sp_reset_connection"
    ),
}


def is_health_check(text: str, engine: str) -> bool:
    """Whether a statement is one that a proxy's health check needs, and ends there."""
    if engine not in _STATEMENTS:
        return False
    if engine == "mysql":
        text, _ = unescaped(text)
    if len(text) > _LONGEST:
        return False
    text = _PLAIN_COMMENT.sub(" ", text)
    if _DOUBTFUL.search(text):
        return False
    code = " ".join(code_of(text, engine).lower().split()).rstrip("; ")
    if code in ("", "select"):
        return code == ""  # PostgreSQL's ping is a statement without anything
    if code.startswith("select "):
        return _only_asks_the_server(_TOKEN.findall(code.removeprefix("select ")), engine)
    return _STATEMENTS[engine].fullmatch(code) is not None


def _only_asks_the_server(tokens: list[str], engine: str) -> bool:
    """Whether a SELECT, given by what follows the word, returns values, settings or the topology alone."""
    if "from" in tokens:
        start = tokens.index("from")
        source = next(
            (source for source in _SOURCES.get(engine, ()) if tuple(tokens[start + 1 :][: len(source)]) == source), None
        )
        if source is None:
            return False
        rest = tokens[start + 1 + len(source) :]
        if rest and rest[0] not in _BEHIND_SOURCE:
            return False
        return _is_of_known_words(tokens[:start], _COLUMNS) and _is_of_known_words(rest, _COLUMNS | _BEHIND_SOURCE)
    return _is_of_known_words(tokens, frozenset())


def _is_of_known_words(tokens: list[str], also: frozenset[str]) -> bool:
    previous = ""
    for token, following in zip(tokens, [*tokens[1:], ""], strict=False):
        if following == "(" and (token[0].isalpha() or token[0] == "_"):
            known = token in _FUNCTIONS or token in _BEFORE_PARENTHESIS
            if not known or (previous == "." and token in _FUNCTIONS):
                return False
        elif previous == "as":
            if not re.fullmatch(r"[a-z_]\w*", token):
                return False
        elif not (
            token in _MARKS
            or token in _WORDS
            or token in _BARE_VALUES
            or token in also
            or token == "as"
            or (token.startswith("@@") and len(token) > 2)
        ):
            return False
        previous = token
    return previous != "as"
