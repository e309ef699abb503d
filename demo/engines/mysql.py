"""Aurora MySQL, version 1.2: MAIN rows for statements, AUX rows for the objects that they touch.

Empty strings stand where others have null, numbers are strings, and quotes in SQL text arrive with a
backslash before them. The documentation says that MAIN comes first while its examples show AUX first, so AUX
rows are earlier here, and now and then one half reaches the stream later than the other, in another
monitoring record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from demo.engines.clock import stamp
from demo.engines.session import Client, Emission, Event, Instance, Session
from demo.engines.statement import Part, Statement, Template, micros
from demo.engines.values import Draw
from demo.ledger import Activity, Engine, Fate, LedgerEntry

EVENT: Event = {
    "logTime": "2031-03-04 11:22:33.444555+00",
    "type": "record",
    "clientApplication": None,
    "pid": 4410,
    "dbUserName": "travel_app",
    "databaseName": "travel",
    "remoteHost": "10.21.4.17",
    "remotePort": "51544",
    "command": "QUERY",
    "commandText": "",
    "paramList": None,
    "objectType": "TABLE",
    "objectName": "",
    "statementId": 0,
    "substatementId": 1,
    "exitCode": "0",
    "sessionId": "88031",
    "rowCount": 0,
    "serverHost": "travel-mysql-node-1",
    "serverType": "MySQL",
    "serviceName": "Amazon Aurora MySQL",
    "serverVersion": "MySQL 5.7.12",
    "startTime": "2031-03-04 11:22:33.440100+00",
    "endTime": "2031-03-04 11:22:33.444554+00",
    "transactionId": "0",
    "dbProtocol": "MySQL",
    "netProtocol": "TCP",
    "errorMessage": "",
    "class": "MAIN",
}
_SERVER_FIELDS = (
    "paramList",
    "serverHost",
    "serverType",
    "serviceName",
    "serverVersion",
    "dbProtocol",
    "netProtocol",
)
_LATE = (300_000, 2_200_000)  # µs by which one half of a statement may reach the stream after the other


def event(**fields: object) -> Event:
    """One event with plausible defaults; `class` is passed as `**{"class": ...}`."""
    return {**EVENT, **fields}


def heartbeat(instance: Instance, at: int) -> Event:
    """The long form of a heartbeat, by analogy with PostgreSQL's: nothing but the server and the time."""
    server = _shape(instance)
    nothing = {name: server[name] if name in _SERVER_FIELDS else None for name in EVENT}
    return nothing | {"logTime": _time(at), "type": "heartbeat"}


def reads(table: str) -> Part:
    return Part("DQL", "READ", "AUX", "TABLE", table)


def writes(table: str) -> Part:
    return Part("DML", "WRITE", "AUX", "TABLE", table)


def creates(table: str) -> Part:
    return Part("DDL", "CREATE", "AUX", "TABLE", table)


def alters(table: str) -> Part:
    return Part("DDL", "ALTER", "AUX", "TABLE", table)


def drops(table: str) -> Part:
    return Part("DDL", "DROP", "AUX", "TABLE", table)


def renames(table: str) -> Part:
    return Part("DDL", "RENAME", "AUX", "TABLE", table)


def sql(
    activity: Activity,
    text: str,
    *aux: Part,
    objects: str | None = None,
    rows: tuple[int, int] = (0, 0),
    milliseconds: tuple[float, float] = (0.2, 9.0),
    failed: tuple[str, str] | None = None,
) -> Statement:
    """A statement and its AUX rows; `objects` is the comma-separated list, by default the AUX rows' tables.

    `failed` is the error number and the message, quotes written plainly.
    """
    exit_code, error = failed or ("0", "")
    return Statement(
        activity,
        "failure" if failed else "success",
        "QUERY",
        "MAIN",
        "TABLE",
        ",".join(part.object_name for part in aux) if objects is None else objects,
        Template(text),
        (),
        rows,
        micros(milliseconds),
        exit_code,
        escaped(error),
        aux,
    )


def escaped(text: str) -> str:
    """Quotes as this stream shows them, with a backslash inside the decoded string."""
    return text.replace("'", "\\'").replace('"', '\\"')


class MysqlSession(Session):
    engine: ClassVar[Engine] = "mysql"

    def __init__(
        self, instance: Instance, client: Client, at: int, fate: Fate = "indexed", scenario: str | None = None
    ) -> None:
        super().__init__(instance, client, at, fate, scenario)
        self.session_id = str(instance.next_connection())
        self._transaction = int(self.draw() * 80_000_000)
        self._base: Event = _shape(instance) | {
            "dbUserName": client.user,
            "databaseName": client.database,
            "remoteHost": client.host,
            "remotePort": self.draw_port(),
            "sessionId": self.session_id,
            "clientApplication": client.application,
        }

    def connect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "CONNECT")
        return [(at, made, self.entry(made, "CONNECT", "success", detections))]

    def disconnect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "DISCONNECT")
        return [(at, made, self.entry(made, "DISCONNECT", "success", detections))]

    def refuse(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        """Both forms that occur: a command of its own, and a CONNECT that did not succeed."""
        made = self._of_session(at, "FAILED_CONNECT" if self.draw() < 0.6 else "CONNECT")
        made["exitCode"] = "1045"
        made["errorMessage"] = escaped(
            f"Access denied for user '{self.client.user}'@'{self.client.host}' (using password: YES)"
        )
        return [(at, made, self.entry(made, "AUTH FAILURE", "failure", detections, fate="indexed"))]

    def execute(self, statement: Statement, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        draw = self.draw
        low, high = statement.micros
        took = low + int(draw() * (high - low))
        end = self.busy_until = at + took
        log_time = _time(end)
        statement_id = self.instance.next_statement()
        made = self._base.copy()
        made["logTime"] = log_time
        made["commandText"] = escaped(statement.text.fill(draw))
        made["objectName"] = statement.object_name
        made["statementId"] = statement_id
        made["exitCode"] = statement.exit_code
        if statement.rows is not None:
            low, high = statement.rows
            made["rowCount"] = low + int(draw() * (high - low + 1))
        made["startTime"] = start_time = _time(at)
        made["endTime"] = _time(end - 1)
        if statement.activity == "DML":
            self._transaction += 1
            made["transactionId"] = str(self._transaction)
        made["errorMessage"] = statement.error
        entry = LedgerEntry(
            self.resource_id,
            self.instance_id,
            "mysql",
            log_time,
            self.session_id,
            str(statement_id),
            "1",
            "QUERY",
            "MAIN",
            self.client.user,
            self.fate,
            statement.activity,
            statement.outcome,
            self.scenario,
            detections,
        )
        if not statement.parts:
            return [(end, made, entry)]
        chance = draw()
        main_late = _lateness(draw) if chance < 0.08 else 0
        aux_late = _lateness(draw) if chance > 0.88 else 0
        emissions: list[Emission] = [(end + main_late, made, entry)]
        first = at + took // 4
        for number, part in enumerate(statement.parts):
            # All AUX rows have substatementId 2: only their times distinguish two of one command.
            seen = _time(first + number)
            row = made.copy()
            row["logTime"] = seen
            row["command"] = part.command
            row["commandText"] = part.object_name
            row["objectName"] = part.object_name
            row["substatementId"] = 2
            row["exitCode"] = ""
            row["rowCount"] = 0
            row["startTime"] = start_time
            row["endTime"] = seen
            row["errorMessage"] = ""
            row["class"] = "AUX"
            emissions.append((end + aux_late, row, self.entry(row, part.activity, "unknown")))
        return emissions

    def _of_session(self, at: int, command: str) -> Event:
        made = self._base.copy()
        made["logTime"] = _time(at)
        made["databaseName"] = ""
        made["command"] = command
        made["startTime"] = _time(at - 4_000)
        made["endTime"] = _time(at - 1)
        return made


def _lateness(draw: Draw) -> int:
    low, high = _LATE
    return low + int(draw() * (high - low))


def _shape(instance: Instance) -> Event:
    shape = EVENT | {"serverHost": instance.node_name, "pid": instance.server_pid}
    if instance.database.server_version:
        shape["serverVersion"] = instance.database.server_version
    return shape


def _time(at: int) -> str:
    return stamp(at) + "+00"
