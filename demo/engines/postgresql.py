"""Aurora PostgreSQL: events of version 1.1, and of 1.0 without startTime and errorMessage.

Key order as in a real record of engine 14.7.1. A cluster of version 1.0 also shows the older habits: class
MISC for connections, row count 0 for writes, trailing zeros of a time left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from demo.engines.clock import SECOND, stamp
from demo.engines.session import Client, Emission, Event, Instance, Session
from demo.engines.statement import Part, Statement, Template, micros, slots
from demo.ledger import Activity, Engine, Fate, LedgerEntry

EVENT: Event = {
    "logTime": "2031-03-04 11:22:33.444555+00",
    "statementId": 1,
    "substatementId": 1,
    "objectType": None,
    "command": "SELECT",
    "objectName": None,
    "databaseName": "shop",
    "dbUserName": "shop_app",
    "remoteHost": "10.20.4.17",
    "remotePort": "40112",
    "sessionId": "730f68c4.5234",
    "rowCount": None,
    "commandText": None,
    "paramList": [],
    "pid": 21044,
    "clientApplication": None,
    "exitCode": None,
    "class": "READ",
    "serverVersion": "14.7.1",
    "serverType": "PostgreSQL",
    "serviceName": "Amazon Aurora PostgreSQL-Compatible edition",
    "serverHost": "10.9.0.5",
    "netProtocol": "TCP",
    "dbProtocol": "Postgres 3.0",
    "type": "record",
    "startTime": "2031-03-04 11:22:33.441000+00",
    "errorMessage": None,
}
_SINCE_1_1 = ("startTime", "errorMessage")
_SESSION_FIELDS = (
    "statementId",
    "substatementId", "databaseName", "dbUserName", "remoteHost", "remotePort", "sessionId", "pid",
    "clientApplication", "class", "command",
)  # fmt: skip


def event(**fields: object) -> Event:
    """One event of version 1.1 with plausible defaults; `class` is passed as `**{"class": ...}`."""
    return {**EVENT, "paramList": [], **fields}


def heartbeat(instance: Instance, at: int) -> Event:
    """The long form of a heartbeat; the short one is `{"type": "heartbeat"}` for every engine."""
    shape = _shape(instance)
    long_form = shape | dict.fromkeys(_SESSION_FIELDS) | {"logTime": _time(at), "paramList": [], "type": "heartbeat"}
    if "startTime" in shape:
        long_form["startTime"] = _time(at)
    return long_form


def sql(
    activity: Activity,
    command: str,
    event_class: str,
    object_name: str | None,
    text: str,
    *,
    binds: tuple[str, ...] = (),
    rows: tuple[int, int] | None = None,
    object_type: str | None = "TABLE",
    milliseconds: tuple[float, float] = (0.2, 9.0),
    failed: tuple[str, str] | None = None,
    calls: tuple[str, ...] = (),
) -> Statement:
    """A statement as Aurora PostgreSQL reports it.

    `failed` is SQLSTATE and message, `calls` names functions that are reported as further substatements.
    """
    exit_code, error = failed or (None, None)
    return Statement(
        activity,
        "failure" if failed else "success",
        command,
        event_class,
        object_type if object_name else None,
        object_name,
        Template(text),
        slots(binds),
        rows,
        micros(milliseconds),
        exit_code,
        error,
        tuple(Part("EXEC", "EXECUTE", "FUNCTION", "FUNCTION", name) for name in calls),
    )


class PostgresqlSession(Session):
    engine: ClassVar[Engine] = "postgresql"

    def __init__(
        self, instance: Instance, client: Client, at: int, fate: Fate = "indexed", scenario: str | None = None
    ) -> None:
        super().__init__(instance, client, at, fate, scenario)
        pid = instance.next_pid()
        self._old = instance.database.version == "1.0"
        self._time = _trimmed_time if self._old else _time
        self._connect_class = "MISC" if self._old else "CONNECT"
        self.session_id = f"{at // SECOND:x}.{pid:x}"
        self._statement_id = 0
        self._base: Event = _shape(instance) | {
            "databaseName": client.database,
            "dbUserName": client.user,
            "remoteHost": client.host,
            "remotePort": self.draw_port(),
            "sessionId": self.session_id,
            "pid": pid,
            "clientApplication": client.application,
        }

    def connect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "CONNECT", self.opened_at)
        return [(at, made, self.entry(made, "CONNECT", "success", detections))]

    def disconnect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "DISCONNECT", self.opened_at)
        made["exitCode"] = 0
        return [(at, made, self.entry(made, "DISCONNECT", "success", detections))]

    def refuse(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        """A wrong password, or, from a client without a user, a connection that never sent one."""
        made = self._of_session(at, "AUTH FAILURE", at - 3_000)
        code, message = "28P01", f'password authentication failed for user "{self.client.user}"'
        if self.client.user is None:
            code, message = "28000", "no PostgreSQL user name specified in startup packet"
        made["exitCode"] = code
        made["clientApplication"] = None
        if not self._old:
            made["errorMessage"] = message
        return [(at, made, self.entry(made, "AUTH FAILURE", "failure", detections, fate="indexed"))]

    def execute(self, statement: Statement, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        draw = self.draw
        low, high = statement.micros
        end = self.busy_until = at + low + int(draw() * (high - low))
        log_time = self._time(end)
        self._statement_id += 1
        made = self._base.copy()
        made["logTime"] = log_time
        made["statementId"] = self._statement_id
        made["objectType"] = statement.object_type
        made["command"] = command = statement.command
        made["objectName"] = statement.object_name
        if statement.rows is not None:
            low, high = statement.rows
            made["rowCount"] = (
                0 if self._old and statement.event_class == "WRITE" else low + int(draw() * (high - low + 1))
            )
        made["commandText"] = statement.text.fill(draw)
        made["paramList"] = [str(slot(draw)) for slot in statement.binds]
        made["exitCode"] = statement.exit_code
        made["class"] = event_class = statement.event_class
        if not self._old:
            made["startTime"] = self._time(at)
            made["errorMessage"] = statement.error
        emissions = [
            (
                end,
                made,
                LedgerEntry(
                    self.resource_id,
                    self.instance_id,
                    "postgresql",
                    log_time,
                    self.session_id,
                    str(self._statement_id),
                    "1",
                    command,
                    event_class,
                    self.client.user,
                    self.fate,
                    statement.activity,
                    statement.outcome,
                    self.scenario,
                    detections,
                ),
            )
        ]
        for number, part in enumerate(statement.parts, start=2):
            inner = made.copy()
            inner["substatementId"] = number
            inner["objectType"] = part.object_type
            inner["command"] = part.command
            inner["objectName"] = part.object_name
            inner["rowCount"] = None
            inner["class"] = part.event_class
            emissions.append((end, inner, self.entry(inner, part.activity, "success")))
        return emissions

    def _of_session(self, at: int, command: str, started: int) -> Event:
        self._statement_id += 1
        made = self._base.copy()
        made["logTime"] = self._time(at)
        made["statementId"] = self._statement_id
        made["command"] = command
        made["class"] = self._connect_class
        made["paramList"] = []
        if not self._old:
            made["startTime"] = self._time(started)
        return made


def _shape(instance: Instance) -> Event:
    database = instance.database
    shape = EVENT | {"serverHost": instance.server_host}
    if database.server_version:
        shape["serverVersion"] = database.server_version
    if database.version == "1.0":
        for name in _SINCE_1_1:
            del shape[name]
    return shape


def _time(at: int) -> str:
    return stamp(at) + "+00"


def _trimmed_time(at: int) -> str:
    return stamp(at).rstrip("0").rstrip(".") + "+00"
