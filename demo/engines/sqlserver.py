"""RDS for SQL Server, version 1.4: rows of SQL Server Audit.

An exit code of 1 is success. Times have seven fraction digits, statement ids are hex, a statement of more
than 4,000 characters comes in slices with rising substatement ids, and one statement is one row for each
permission it needs. Server version 13 (2016) reports neither program nor host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from demo.engines.clock import stamp
from demo.engines.session import Client, Emission, Event, Instance, Session
from demo.engines.statement import Part, Statement, Template, micros
from demo.engines.values import Draw
from demo.ledger import Activity, Engine, Fate, LedgerEntry

EVENT: Event = {
    "class": "TABLE",
    "clientApplication": "payroll-svc",
    "command": "SELECT",
    "commandText": "",
    "databaseName": "hr",
    "dbProtocol": "SQLSERVER",
    "dbUserName": "payroll_app",
    "endTime": None,
    "errorMessage": None,
    "exitCode": 1,
    "logTime": "2031-03-04 11:22:33.4445556+00",
    "netProtocol": None,
    "objectName": "",
    "objectType": "TABLE",
    "paramList": None,
    "pid": None,
    "remoteHost": "10.23.4.17",
    "remotePort": None,
    "rowCount": 0,
    "serverHost": "10.9.0.11",
    "serverType": "SQLSERVER",
    "serverVersion": "15.00.4073.23.v1.R1",
    "serviceName": "sqlserver-ee",
    "sessionId": 71,
    "startTime": None,
    "statementId": "0x00112233445566778899aabbccddeeff",
    "substatementId": 1,
    "transactionId": "0",
    "type": "record",
    "engineNativeAuditFields": {},
}
_SERVER_FIELDS = ("dbProtocol", "serverHost", "serverType", "serverVersion", "serviceName")
_TEXT_LIMIT = 4_000  # characters of a statement in one audit row

NATIVE_FIELDS: dict[str, Any] = {
    "target_database_principal_id": 0,
    "target_server_principal_id": 0,
    "target_database_principal_name": "",
    "server_principal_id": 301,
    "user_defined_information": "",
    "response_rows": 0,
    "database_principal_name": "dbo",
    "target_server_principal_name": "",
    "schema_name": "dbo",
    "is_column_permission": False,
    "object_id": 0,
    "server_instance_name": "EC2AMAZ-SYNTH01",
    "target_server_principal_sid": None,
    "additional_information": "",
    "duration_milliseconds": 0,
    "permission_bitmask": "0x00000000000000000000000000000001",
    "data_sensitivity_information": "",
    "session_server_principal_name": "payroll_app",
    "connection_id": "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0",
    "audit_schema_version": 1,
    "database_principal_id": 1,
    "server_principal_sid": "0x0105000000000005150000000102030405060708090a0b0cf4010000",
    "user_defined_event_id": 0,
    "host_name": "EC2AMAZ-SYNTH01",
}
_LOGIN_FAILED_INFORMATION = (
    '<action_info xmlns="http://schemas.microsoft.com/sqlserver/2008/sqlaudit_data">'
    "<pooled_connection>0</pooled_connection><error>0x00004818</error><state>8</state>"
    "<address>{host}</address></action_info>"
)


def event(**fields: object) -> Event:
    """One event with plausible defaults; `class` is passed as `**{"class": ...}`."""
    return {**EVENT, "engineNativeAuditFields": {}, **fields}


def heartbeat(instance: Instance, at: int) -> Event:
    """The long form of a heartbeat, by analogy with PostgreSQL's: nothing but the server and the time."""
    server = _shape(instance)
    nothing = {name: server[name] if name in _SERVER_FIELDS else None for name in EVENT}
    return nothing | {"logTime": f"{stamp(at)}0+00", "type": "heartbeat", "engineNativeAuditFields": {}}


def sql(
    activity: Activity,
    command: str,
    event_class: str,
    object_name: str,
    text: str,
    *also: Part,
    rows: tuple[int, int] = (0, 0),
    milliseconds: tuple[float, float] = (0.2, 9.0),
    denied: bool = False,
) -> Statement:
    """A statement as SQL Server Audit reports it.

    `also` are the rows for further permissions that it needs, `denied` is a failed permission check.
    """
    return Statement(
        activity,
        "failure" if denied else "success",
        command,
        event_class,
        event_class,
        object_name,
        Template(text),
        (),
        rows,
        micros(milliseconds),
        0 if denied else 1,
        None,
        also,
    )


def reads(table: str) -> Part:
    """The row for the SELECT permission of a statement that also writes."""
    return Part("DQL", "SELECT", "TABLE", "TABLE", table)


class SqlserverSession(Session):
    engine: ClassVar[Engine] = "sqlserver"

    def __init__(
        self, instance: Instance, client: Client, at: int, fate: Fate = "indexed", scenario: str | None = None
    ) -> None:
        super().__init__(instance, client, at, fate, scenario)
        draw = self.draw
        self._number = 51 + instance.next_connection() % 400
        self.session_id = str(self._number)
        self._transaction = 5_500_000 + int(draw() * 900_000)
        shape = _shape(instance)
        self._reports_client = not shape["serverVersion"].startswith("13.")
        self._base: Event = shape | {
            "clientApplication": client.application if self._reports_client else None,
            "databaseName": client.database,
            "dbUserName": client.user,
            "remoteHost": client.host if self._reports_client else None,
            "sessionId": self._number,
        }
        self._native: dict[str, Any] | None = None
        if instance.database.native_fields:
            self._native = NATIVE_FIELDS | {
                "server_principal_id": 260 + sum((client.user or "").encode()) % 90,
                "server_instance_name": instance.node_name.upper(),
                "session_server_principal_name": client.user,
                "connection_id": _guid(draw),
                "host_name": client.host,
            }

    def connect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "LOGIN SUCCEEDED")
        made["commandText"] = "-- network protocol: TCP/IP\r\nset quoted_identifier on\r\nset arithabort off"
        made["databaseName"] = "master"
        return [(at, made, self.entry(made, "CONNECT", "success", detections))]

    def disconnect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "LOGOUT")
        return [(at, made, self.entry(made, "DISCONNECT", "success", detections))]

    def refuse(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        """A failed login: no session yet, no database, and the reason where SQL text is otherwise."""
        made = self._of_session(at, "LOGIN FAILED")
        made["commandText"] = (
            f"Login failed for user '{self.client.user}'. Reason: Password did not match that for the login "
            f"provided. [CLIENT: {self.client.host}]"
        )
        made["exitCode"] = 0
        made["sessionId"] = 0
        native = made["engineNativeAuditFields"]
        if native:
            native["additional_information"] = _LOGIN_FAILED_INFORMATION.format(host=self.client.host)
        return [(at, made, self.entry(made, "AUTH FAILURE", "failure", detections, fate="indexed"))]

    def execute(self, statement: Statement, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        draw = self.draw
        low, high = statement.micros
        end = self.busy_until = at + low + int(draw() * (high - low))
        text = statement.text.fill(draw)
        self._transaction += 1
        made = self._base.copy()
        made["class"] = event_class = statement.event_class
        made["command"] = command = statement.command
        made["commandText"] = text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT]
        made["exitCode"] = statement.exit_code
        made["logTime"] = log_time = _time(end, draw)
        made["objectName"] = statement.object_name
        made["objectType"] = statement.object_type
        made["statementId"] = statement_id = _statement_id(draw)
        made["transactionId"] = str(self._transaction)
        rows = 0
        if statement.rows is not None:
            low, high = statement.rows
            made["rowCount"] = rows = low + int(draw() * (high - low + 1))
        made["engineNativeAuditFields"] = self._native_fields(rows)
        entry = LedgerEntry(
            self.resource_id,
            self.instance_id,
            "sqlserver",
            log_time,
            self.session_id,
            statement_id,
            "1",
            command,
            event_class,
            self.client.user,
            self.fate,
            statement.activity,
            statement.outcome,
            self.scenario,
            detections,
        )
        emissions: list[Emission] = [(end, made, entry)]
        for start in range(_TEXT_LIMIT, len(text), _TEXT_LIMIT):
            slice_of = made | {
                "commandText": text[start : start + _TEXT_LIMIT],
                "substatementId": 1 + start // _TEXT_LIMIT,
            }
            emissions.append((end, slice_of, self.entry(slice_of, statement.activity, statement.outcome)))
        for part in statement.parts:
            row = made | {
                "class": part.event_class,
                "command": part.command,
                "objectName": part.object_name,
                "objectType": part.object_type,
                "statementId": _statement_id(draw),
            }
            emissions.append((end, row, self.entry(row, part.activity, statement.outcome)))
        return emissions

    def _of_session(self, at: int, command: str) -> Event:
        made = self._base.copy()
        made["class"] = "LOGIN"
        made["command"] = command
        made["databaseName"] = ""
        made["logTime"] = _time(at, self.draw)
        made["objectType"] = "LOGIN"
        made["statementId"] = _statement_id(self.draw)
        made["engineNativeAuditFields"] = self._native_fields(0)
        return made

    def _native_fields(self, rows: int) -> dict[str, Any]:
        if self._native is None:
            return {}
        native = self._native.copy()
        native["response_rows"] = rows
        native["object_id"] = 900_000_000 + int(self.draw() * 64) * 1_009
        return native


def _shape(instance: Instance) -> Event:
    database = instance.database
    return EVENT | {
        "serverHost": instance.server_host,
        "serverVersion": database.server_version or EVENT["serverVersion"],
    }


def _time(at: int, draw: Draw) -> str:
    return f"{stamp(at)}{int(draw() * 10)}+00"


def _statement_id(draw: Draw) -> str:
    return f"0x{int(draw() * 2**52):016x}{int(draw() * 2**52):016x}"


def _guid(draw: Draw) -> str:
    high, low = int(draw() * 2**48), int(draw() * 2**48)
    return f"{high >> 16:08X}-{high & 0xFFFF:04X}-4B5A-9678-{low:012X}"
