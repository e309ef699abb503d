"""RDS for Oracle, version 1.3: rows of the unified audit trail.

`objectType` holds the schema, `exitCode` the ORA number, `logTime` has no offset, and the documented examples
carry no `type`; the rest of the fields are in alphabetical order with the native ones last. Some sessions
here have a `type`, others have none, so that both shapes occur.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

from demo.engines.clock import stamp
from demo.engines.session import Client, Emission, Event, Instance, Session
from demo.engines.statement import Statement, Template, micros, slots
from demo.ledger import Activity, Engine, Fate, LedgerEntry

EVENT: Event = {
    "class": "Standard",
    "clientApplication": "JDBC Thin Client",
    "command": "SELECT",
    "commandText": None,
    "dbid": "4002003001",
    "databaseName": "LEDGER",
    "dbProtocol": "oracle",
    "dbUserName": "FIN_APP",
    "endTime": None,
    "errorMessage": None,
    "exitCode": 0,
    "logTime": "2031-03-04 11:22:33.444555",
    "netProtocol": "tcp",
    "objectName": None,
    "objectType": None,
    "paramList": [],
    "pid": 30222,
    "remoteHost": "10.22.4.17",
    "remotePort": "44120",
    "rowCount": None,
    "serverHost": "10.9.0.9",
    "serverType": "oracle",
    "serverVersion": "19.0.0.0.ru-2030-10.rur-2030-10.r1.EE.1",
    "serviceName": "oracle-ee",
    "sessionId": 3120045566,
    "startTime": None,
    "statementId": 1,
    "substatementId": None,
    "transactionId": None,
    "type": "record",
    "engineNativeAuditFields": {},
}
_SERVER_FIELDS = ("dbProtocol", "paramList", "serverHost", "serverType", "serverVersion", "serviceName")
_NO_TRANSACTION = "0000000000000000"

# The keys of the documented examples. Ten documented ones are missing there, and so they are here.
NATIVE_FIELDS: dict[str, Any] = dict.fromkeys(
    (  # noqa: SIM905 - as a list, one name a line, it would be a page
        "ADDITIONAL_INFO APPLICATION_CONTEXTS AUDIT_OPTION AUTHENTICATION_TYPE CLIENT_IDENTIFIER "
        "DBLINK_INFO DBPROXY_USERNAME DIRECT_PATH_NUM_COLUMNS_LOADED DP_BOOLEAN_PARAMETERS1 "
        "DP_TEXT_PARAMETERS1 DV_ACTION_CODE DV_ACTION_NAME DV_ACTION_OBJECT_NAME DV_COMMENT "
        "DV_EXTENDED_ACTION_CODE DV_FACTOR_CONTEXT DV_GRANTEE DV_OBJECT_STATUS DV_RETURN_CODE "
        "DV_RULE_SET_NAME ENTRY_ID EXCLUDED_OBJECT EXCLUDED_SCHEMA EXCLUDED_USER EXECUTION_ID "
        "EXTERNAL_USERID FGA_POLICY_NAME GLOBAL_USERID INSTANCE_ID NEW_NAME NEW_SCHEMA OBJECT_EDITION "
        "OBJECT_PRIVILEGES OLS_GRANTEE OLS_LABEL_COMPONENT_NAME OLS_LABEL_COMPONENT_TYPE OLS_MAX_READ_LABEL "
        "OLS_MAX_WRITE_LABEL OLS_MIN_WRITE_LABEL OLS_NEW_VALUE OLS_OLD_VALUE OLS_PARENT_GROUP_NAME "
        "OLS_POLICY_NAME OLS_PRIVILEGES_GRANTED OLS_PRIVILEGES_USED OLS_PROGRAM_UNIT_NAME OLS_STRING_LABEL "
        "OS_USERNAME PROXY_SESSIONID RMAN_DEVICE_TYPE RMAN_OBJECT_TYPE RMAN_OPERATION RMAN_SESSION_RECID "
        "RMAN_SESSION_STAMP ROLE SCN SYSTEM_PRIVILEGE SYSTEM_PRIVILEGE_USED TARGET_USER TERMINAL "
        "UNIFIED_AUDIT_POLICIES USERHOST XS_CALLBACK_EVENT_TYPE XS_COOKIE XS_DATASEC_POLICY_NAME "
        "XS_ENABLED_ROLE XS_ENTITY_TYPE XS_INACTIVITY_TIMEOUT XS_NS_ATTRIBUTE XS_NS_ATTRIBUTE_NEW_VAL "
        "XS_NS_ATTRIBUTE_OLD_VAL XS_NS_NAME XS_PACKAGE_NAME XS_PROCEDURE_NAME XS_PROXY_USER_NAME "
        "XS_SCHEMA_NAME XS_SESSIONID XS_TARGET_PRINCIPAL_NAME XS_USER_NAME"
    ).split()
)


def event(**fields: object) -> Event:
    """One event with plausible defaults; `class` is passed as `**{"class": ...}`."""
    return {**EVENT, "paramList": [], "engineNativeAuditFields": {}, **fields}


def heartbeat(instance: Instance, at: int) -> Event:
    """The long form of a heartbeat, by analogy with PostgreSQL's: nothing but the server and the time."""
    server = _shape(instance)
    nothing = {name: server[name] if name in _SERVER_FIELDS else None for name in EVENT}
    return nothing | {"logTime": stamp(at), "type": "heartbeat", "engineNativeAuditFields": {}}


def sql(
    activity: Activity,
    command: str,
    object_name: str | None,
    text: str,
    *,
    schema: str = "FIN",
    event_class: str = "Standard",
    binds: tuple[str, ...] = (),
    milliseconds: tuple[float, float] = (0.2, 9.0),
    failed: int | None = None,
) -> Statement:
    """A statement; `failed` is the ORA number, since Oracle's events carry no message."""
    return Statement(
        activity,
        "failure" if failed else "success",
        command,
        event_class,
        schema if object_name else None,
        object_name,
        Template(text),
        slots(binds),
        None,
        micros(milliseconds),
        failed or 0,
        None,
        (),
    )


class OracleSession(Session):
    engine: ClassVar[Engine] = "oracle"

    def __init__(
        self, instance: Instance, client: Client, at: int, fate: Fate = "indexed", scenario: str | None = None
    ) -> None:
        super().__init__(instance, client, at, fate, scenario)
        self._number = 2_147_500_000 + instance.next_connection() * 7_919
        self.session_id = str(self._number)
        self._statement_id = 0
        self._entry_id = 0
        local = client.host == "localhost"
        port = None if local else self.draw_port()
        host = instance.server_host if local else client.host
        self._base: Event = _shape(instance) | {
            "dbUserName": client.user,
            "databaseName": client.database,
            "clientApplication": client.application,
            "netProtocol": "beq" if local else "tcp",
            "remoteHost": host,
            "remotePort": port,
            "pid": instance.next_pid(),
            "sessionId": self._number,
        }
        if self.draw() < 0.4:
            del self._base["type"]
        self._native: dict[str, Any] | None = None
        if instance.database.native_fields:
            self._native = NATIVE_FIELDS | {
                "AUTHENTICATION_TYPE": "(TYPE=(DATABASE));(CLIENT ADDRESS=((ADDRESS=(PROTOCOL=tcp)"
                f"(HOST={host})(PORT={port}))));",
                "INSTANCE_ID": 1,
                "OS_USERNAME": (client.user or "unknown").lower(),
                "PROXY_SESSIONID": 0,
                "TERMINAL": "unknown",
                "UNIFIED_AUDIT_POLICIES": "LEDGER_ACTIONS",
                "USERHOST": client.host,
            }

    def connect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "LOGON", "CREATE SESSION")
        return [(at, made, self.entry(made, "CONNECT", "success", detections))]

    def disconnect(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "LOGOFF" if self.draw() < 0.8 else "LOGOFF BY CLEANUP", None)
        return [(at, made, self.entry(made, "DISCONNECT", "success", detections))]

    def refuse(self, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        made = self._of_session(at, "LOGON", None)
        made["exitCode"] = 1017  # invalid username/password
        return [(at, made, self.entry(made, "AUTH FAILURE", "failure", detections, fate="indexed"))]

    def execute(self, statement: Statement, at: int, detections: tuple[str, ...] = ()) -> Sequence[Emission]:
        draw = self.draw
        low, high = statement.micros
        end = self.busy_until = at + low + int(draw() * (high - low))
        log_time = stamp(end)
        self._statement_id += 1
        made = self._base.copy()
        made["class"] = event_class = statement.event_class
        made["command"] = command = statement.command
        made["commandText"] = statement.text.fill(draw)
        made["exitCode"] = statement.exit_code
        made["logTime"] = log_time
        made["objectName"] = statement.object_name
        made["objectType"] = statement.object_type
        made["paramList"] = [str(slot(draw)) for slot in statement.binds]
        made["statementId"] = self._statement_id
        if statement.activity != "DQL":
            made["transactionId"] = f"{self._number & 0xFFFF:04X}001B{int(draw() * 0xFFFFFF):08X}"
        elif self._statement_id % 5 == 0:
            del made["dbid"]  # as in one of the documented examples, a read
        made["engineNativeAuditFields"] = self._native_fields(None)
        entry = LedgerEntry(
            self.resource_id,
            self.instance_id,
            "oracle",
            log_time,
            self.session_id,
            str(self._statement_id),
            None,
            command,
            event_class,
            self.client.user,
            self.fate,
            statement.activity,
            statement.outcome,
            self.scenario,
            detections,
        )
        return [(end, made, entry)]

    def _of_session(self, at: int, command: str, privilege: str | None) -> Event:
        self._statement_id += 1
        made = self._base.copy()
        made["command"] = command
        made["logTime"] = stamp(at)
        made["paramList"] = []
        made["statementId"] = self._statement_id
        made["transactionId"] = _NO_TRANSACTION
        made["engineNativeAuditFields"] = native = self._native_fields(privilege)
        if native and command == "LOGON":
            native["DBID"] = int(made["dbid"])
        return made

    def _native_fields(self, privilege: str | None) -> dict[str, Any]:
        if self._native is None:
            return {}
        self._entry_id += 1
        native = self._native.copy()
        native["ENTRY_ID"] = self._entry_id
        native["SCN"] = 7_001_002 + self._number % 100_000 + 13 * self._entry_id
        native["SYSTEM_PRIVILEGE_USED"] = privilege
        return native


def _shape(instance: Instance) -> Event:
    database = instance.database
    return EVENT | {
        # Ten digits with a leading zero, as in the documented examples.
        "dbid": f"{zlib.crc32(database.resource_id.encode()) % 10**9:010d}",
        "serverHost": instance.server_host,
        "serverVersion": database.server_version or EVENT["serverVersion"],
    }
