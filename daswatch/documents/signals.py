"""What an event says beyond its activity and outcome, as values of the field `signals`, which detections ask for.

What its statement shows is in the table of `daswatch.sql.signal_table`; what takes the event's other fields is here.
All of it comes from the text before redaction, so that it is the same with every setting of `REDACT`.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from daswatch.documents.activity import WITHOUT_STATEMENT, Activity, is_continuation
from daswatch.documents.noise import AWS_USERS, is_foreign_use
from daswatch.records.monitoring_record import Event
from daswatch.sql.account_names import gives_name
from daswatch.sql.own_password import sets_own_password
from daswatch.sql.signals import statement_signals
from daswatch.sql.statements import contains_any

# A user is made by DCL, within code (EXEC), or with a part of a batch that weighs less than the rest of it. In MySQL's
# tables of users it can be written.
_MAKING = frozenset({Activity.DCL, Activity.EXEC, Activity.DDL, Activity.OTHER, Activity.ERROR})
# A query makes one where it runs a text; so does a write to the catalog of roles, or to that of jobs.
_RUNNING_TEXT = ("dblink", "cron.", "query_to_xml", "pg_authid", "run_command_on")
_MAKING_OF_ENGINE = {"mysql": _MAKING | {Activity.DML}, "sqlserver": _MAKING | {Activity.DML}}

_PASSWORD_CHANGE = "password-change"


class Signal(StrEnum):
    """What is not in the table of signals of statements."""

    AWS_USER_NAME_USED = "aws-user-name-used"  # from elsewhere than AWS's own hosts
    EXCLUDED_USER_NAME_GIVEN = "excluded-user-name-given"  # to a user, role or login: made, or renamed
    OWN_PASSWORD_SET = "own-password-set"  # by the account itself, and nothing else


def signals_of(
    event: Event, engine: str, activity: Activity, excluded: frozenset[str], *, watched_name: bool
) -> list[str]:
    """The signals of an event that is kept. `excluded` are the users whose events are dropped.

    `watched_name` says whether its own user has a name that may be one of AWS's.
    """
    found: list[str] = []
    if watched_name and is_foreign_use(event, engine, activity):
        found.append(Signal.AWS_USER_NAME_USED.value)
    makes = activity in _MAKING_OF_ENGINE.get(engine, _MAKING) or _runs_text(event, engine, activity)
    if makes and _gives_one_of(_with_awss(excluded), event, engine, activity):
        found.append(Signal.EXCLUDED_USER_NAME_GIVEN.value)
    text = event.get("commandText")
    if isinstance(text, str) and _has_statement(event, engine, activity):
        of_statement = statement_signals(text, engine)
        found += of_statement
        user = event.get("dbUserName")
        if _PASSWORD_CHANGE in of_statement and isinstance(user, str) and sets_own_password(text, engine, user):
            found.append(Signal.OWN_PASSWORD_SET.value)
    return found


def _has_statement(event: Event, engine: str, activity: Activity) -> bool:
    """Whether `commandText` begins as a statement: Aurora MySQL's AUX rows name an object, and within a statement that
    SQL Server has cut it is not known what is a literal."""
    return activity not in WITHOUT_STATEMENT and event.get("class") != "AUX" and not is_continuation(event, engine)


@lru_cache(maxsize=16)
def _with_awss(names: frozenset[str]) -> frozenset[str]:
    return names | AWS_USERS


def _gives_one_of(names: frozenset[str], event: Event, engine: str, activity: Activity) -> bool:
    text = event.get("commandText")
    if isinstance(text, str):
        if engine == "mysql" and event.get("databaseName") == "mysql":
            text = f"use mysql; {text}"
        if gives_name(text, engine, names):
            return True
    if activity is not Activity.DCL:
        return False
    # Oracle and SQL Server name the user that was made, also where they leave the statement out.
    made, command = event.get("objectName"), event.get("command")
    creates = isinstance(command, str) and command.upper().startswith(("CREATE", "NAME CHANGE"))
    return creates and isinstance(made, str) and made.strip(' []"').lower() in {name.lower() for name in names}


def _runs_text(event: Event, engine: str, activity: Activity) -> bool:
    text = event.get("commandText")
    if engine != "postgresql" or activity not in (Activity.DQL, Activity.DML) or not isinstance(text, str):
        return False
    return contains_any(text.lower(), _RUNNING_TEXT)
