"""Noise: what is dropped, that no name hides a user, and that a failed login is never noise."""

from __future__ import annotations

from typing import Any

import pytest

from daswatch.documents.activity import Activity, activity_of
from daswatch.documents.noise import (
    DEFAULT_EXCLUDED_USERS,
    ExcludedUser,
    Origin,
    excluded_user,
    is_foreign_use,
    read_user_names,
)
from daswatch.records.monitoring_record import engine_of
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event

EVENTS = {
    "postgresql": postgresql_event,
    "mysql": mysql_event,
    "oracle": oracle_event,
    "sqlserver": sqlserver_event,
}
OF_AWS = [
    ("postgresql", "rdsadmin"),
    ("mysql", "rdsadmin"),
    ("oracle", "RDSADMIN"),
    ("oracle", "rdsadmin"),
    ("oracle", "RDSSEC"),
    ("oracle", "RdsSec"),
    ("sqlserver", "rdsadmin"),
    ("sqlserver", "RdsAdmin"),
    ("postgresql", "rdsproxyadmin"),
    ("mysql", "rdsproxyadmin"),
    ("sqlserver", "RDSProxyAdmin"),
]
NOT_OF_AWS = [
    *((engine, user) for engine in ("postgresql", "mysql") for user in ("RDSADMIN", "RdsAdmin", "rdssec", "RDSSEC")),
    *((engine, user) for engine in ("postgresql", "mysql") for user in ("RDSProxyAdmin", "RDSPROXYADMIN")),
    ("sqlserver", "rdssec"),
    ("oracle", "RDSPROXYADMIN"),
]
LOCAL = [
    "localhost", "LOCALHOST", "[local]", "local machine", "<local machine>", "127.0.0.1", "127.8.9.1", "::1",
    "::ffff:127.0.0.1", "socket",
]  # fmt: skip
ELSEWHERE = ["203.0.113.66", "10.9.8.7", "2001:db8::7", "app-7.example.internal", "localhost.example.com", "127.0.0.x"]
ELSEWHERE += ["localhost ", " 127.0.0.1", "/", "/x", "/rdsdbdata/.s.PGSQL.5432 "]


PING = {"commandText": "select 1", "objectName": None}  # what AWS's users do as well


def verdict(event: dict[str, Any], excluded: frozenset[str] = DEFAULT_EXCLUDED_USERS) -> tuple[Origin | None, bool]:
    """From where it came, if it is dropped; and whether AWS's name was used by another."""
    engine = engine_of(event, "")
    activity = activity_of(event, engine)
    user = excluded_user(event, engine, activity, excluded)
    return user.origin if user else None, is_foreign_use(event, engine, activity)


@pytest.mark.parametrize("host", LOCAL)
@pytest.mark.parametrize(("engine", "user"), OF_AWS)
def test_aws_user_on_own_host_is_dropped(engine: str, user: str, host: str) -> None:
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost=host, **PING)) == (Origin.LOCAL, False)


@pytest.mark.parametrize("host", [None, ""])
@pytest.mark.parametrize(("engine", "user"), OF_AWS)
def test_unreported_origin_is_named_in_the_drop(engine: str, user: str, host: str | None) -> None:
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost=host, **PING)) == (Origin.UNREPORTED, False)


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize(("engine", "user"), OF_AWS)
def test_aws_name_from_elsewhere_is_kept(engine: str, user: str, host: str) -> None:
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost=host)) == (None, True)


@pytest.mark.parametrize("host", ["localhost", None, "203.0.113.66"])
@pytest.mark.parametrize(("engine", "user"), NOT_OF_AWS)
def test_name_that_aws_does_not_have_is_kept(engine: str, user: str, host: str | None) -> None:
    """Another case where case counts, and a name of another engine, are other users than AWS's."""
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost=host)) == (None, True)


@pytest.mark.parametrize(
    ("engine", "user", "is_own"),
    [
        ("postgresql", "rdsadmin", True),
        ("mysql", "rdsadmin", True),
        ("oracle", "RDSADMIN", False),
        ("sqlserver", "rdsadmin", False),
    ],
)
@pytest.mark.parametrize("socket", ["/rdsdbdata/.s.PGSQL.5432", "/rdsdbdata/mysql.sock"])
def test_a_sockets_path_is_the_own_host(engine: str, user: str, is_own: bool, socket: str) -> None:
    """Where the server writes it; with Oracle and SQL Server a client names its host itself."""
    dropped = verdict(EVENTS[engine](dbUserName=user, remoteHost=socket, **PING))

    assert dropped == ((Origin.LOCAL, False) if is_own else (None, True))


@pytest.mark.parametrize(
    "user",
    [
        "rds\u200badmin",
        "rds\u0430dmin",
        "rds\u00adadmin",
        "rdsadmin\0",
        "rdsadm\u0131n",
        "rd\u0455s\u0435c",
        "rds\u00e1dmin",
    ],
)
def test_a_name_that_looks_like_awss_is_foreign(user: str) -> None:
    assert verdict(postgresql_event(dbUserName=user)) == (None, True)


@pytest.mark.parametrize(("engine", "is_dropped"), [("mysql", True), ("postgresql", False)])
def test_a_topology_view_counts_where_it_exists(engine: str, is_dropped: bool) -> None:
    event = EVENTS[engine](
        dbUserName="rdsproxyadmin",
        remoteHost="10.0.3.7",
        commandText="select * from replica_host_status",
        objectName=None,
    )

    assert verdict(event) == ((Origin.PROXY, False) if is_dropped else (None, True))


@pytest.mark.parametrize("user", ["rdſadmin", "ｒｄｓａｄｍｉｎ", "rdsadmin ", "RDSadmın"])
@pytest.mark.parametrize("engine", EVENTS)
def test_look_alike_is_kept(engine: str, user: str) -> None:
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost="localhost"))[0] is None


def test_instance_itself_is_its_own_host() -> None:
    event = oracle_event(dbUserName="RDSADMIN", remoteHost="IP-10-9-0-9", serverHost="ip-10-9-0-9")

    assert verdict(event) == (Origin.LOCAL, False)


def test_bequeath_connection_is_local_on_oracle_only() -> None:
    assert verdict(oracle_event(dbUserName="RDSADMIN", netProtocol="beq"))[0] is Origin.LOCAL
    assert verdict(postgresql_event(dbUserName="rdsadmin", netProtocol="beq"))[0] is None


PROXY = {"dbUserName": "rdsproxyadmin", "remoteHost": "10.20.250.4"}
REPLICAS = "information_schema.replica_host_status"
OF_A_PROXY = [
    *((engine, text) for engine in ("postgresql", "mysql", "sqlserver") for text in ("SELECT 1", "select 1;", ";")),
    ("postgresql", "select pg_is_in_recovery()"),
    ("postgresql", "SELECT current_setting('server_version'), current_user, version() as v;"),
    ("postgresql", "select server_id, session_id from aurora_replica_status() where cpu < $1"),
    ("postgresql", "show transaction_read_only"),
    ("postgresql", "SET application_name = 'RDS Proxy'"),
    ("postgresql", "set session datestyle to iso, mdy"),
    ("postgresql", "set session characteristics as transaction isolation level read committed"),
    ("postgresql", "DISCARD ALL"),
    ("postgresql", "reset all"),
    ("mysql", "SELECT @@innodb_read_only"),
    ("mysql", "/* ping */ SELECT 1"),
    ("mysql", "select @@global.read_only as ro, @@session.autocommit"),
    ("mysql", rf"select server_id, if(session_id = \'MASTER_SESSION_ID\', 1, 0) as writer from {REPLICAS} "
     "where last_update_timestamp > date_sub(now(), interval 5 minute) order by server_id"),
    ("mysql", r"show global variables like \'aurora%\'"),
    ("mysql", "set names utf8mb4 collate utf8mb4_bin"),
    ("mysql", "SET autocommit=1, session sql_mode='ANSI', @@session.wait_timeout = 28800"),
    ("mysql", "set session transaction isolation level read committed, read only"),
    ("sqlserver", "select @@version, serverproperty('IsHadrEnabled')"),
    ("sqlserver", "set nocount on"),
    ("sqlserver", "exec sp_reset_connection"),
]  # fmt: skip
NOT_OF_A_PROXY = [
    # Reads of the customer's tables, by any route.
    ("mysql", "select 1 from t_cart"),
    ("mysql", f"select 1 from {REPLICAS}, t_cart"),
    ("mysql", f"select 1 from {REPLICAS}, user"),
    ("mysql", f"select 1 from {REPLICAS} join t_cart on true"),
    ("mysql", f"select 1 from {REPLICAS} where exists (select 1 from t_cart)"),
    ("mysql", "select 1 union select password from mysql.user"),
    ("mysql", "select (select 1 from t_cart)"),
    ("mysql", "select /*! 1 from t_cart */"),
    ("mysql", "select /*M 1 */ 1"),
    ("mysql", "select /*+ set_var(sql_log_bin = 0) */ 1"),
    ("mysql", "table t_cart"),
    ("postgresql", "select * into t_copy from aurora_replica_status()"),
    ("postgresql", "with d as (select 1) select * from t_orders"),
    ("sqlserver", "select name from sys.sql_logins"),
    # Files and functions that act.
    ("mysql", "select 1 into outfile 's3://x/y'"),
    ("mysql", "select sleep(100)"),
    ("mysql", "select load_file('/etc/passwd')"),
    ("mysql", "select shop.version()"),
    ("postgresql", "select pg_terminate_backend(7)"),
    ("postgresql", "select nextval('s')"),
    ("postgresql", "select set_config('role', 'app', false)"),
    ("postgresql", "select own.current_setting('x')"),
    ("postgresql", "select lo_import('/etc/passwd')"),
    # More than one statement, as each setting of a session reads it.
    ("postgresql", "select 1; drop table t_orders"),
    ("postgresql", r"select 'a\'' ; drop table t_orders --'"),
    ("postgresql", "select $$1$$; drop table t_orders"),
    ("mysql", "select 1; set global read_only = 0"),
    ("mysql", r"select 'it\\'' ; drop table t_cart"),
    ("mysql", "select 1 -- \n; drop table t_cart"),
    ("sqlserver", "select 1 drop table t_pay"),
    ("sqlserver", "select 1 exec xp_cmdshell 'dir'"),
    ("sqlserver", 'select "1" exec sp_who'),
    ("sqlserver", "set nocount on delete from t_pay"),
    # Settings of the server, of another user, or of what is logged and checked.
    ("mysql", "set global read_only = 0"),
    ("mysql", "set @@global.autocommit = 0"),
    ("mysql", "set persist autocommit = 0"),
    ("mysql", "set autocommit = 1, global general_log = 0"),
    ("mysql", "set autocommit = (select 1 from t_cart)"),
    ("mysql", "set sql_log_bin = 0"),
    ("mysql", "set password for bob = 'x'"),
    ("mysql", "set role app"),
    ("postgresql", "set role app"),
    ("postgresql", "set session authorization app"),
    ("postgresql", "set session_replication_role = replica"),
    ("postgresql", "set search_path = own, pg_catalog"),
    ("postgresql", "set log_statement = none"),
    ("postgresql", "reset role"),
    # What acts on the server or on its replicas.
    ("mysql", "start replica"),
    ("mysql", "stop slave"),
    ("mysql", "reset master"),
    ("mysql", "flush logs"),
    ("mysql", "use mysql"),
    ("mysql", "show grants"),
    ("mysql", "show create table t_cart"),
    ("postgresql", "commit prepared 'x'"),
    ("postgresql", "prepare transaction 'x'"),
    ("sqlserver", "shutdown"),
    ("mysql", "select " + "1, " * 1_000 + "1"),
]  # fmt: skip


def of_a_proxy(engine: str, text: str, **changes: Any) -> dict[str, Any]:
    """An event of a proxy, as Aurora PostgreSQL gives it where the command does not decide."""
    command = {"command": "???", "class": "MISC"} if engine == "postgresql" else {}
    return EVENTS[engine](**{**PROXY, **command, "commandText": text, "objectName": None, **changes})


@pytest.mark.parametrize(("engine", "text"), OF_A_PROXY)
def test_health_check_of_a_proxy_is_dropped(engine: str, text: str) -> None:
    assert verdict(of_a_proxy(engine, text)) == (Origin.PROXY, False)


@pytest.mark.parametrize(
    "event",
    [
        postgresql_event(**PROXY, command="CONNECT", **{"class": "CONNECT"}, commandText=None, objectName=None),
        postgresql_event(**PROXY, commandText="SELECT 1", objectName=None),
        mysql_event(**PROXY, commandText=f"select 1 from {REPLICAS}", objectName="replica_host_status"),
        mysql_event(**PROXY, command="READ", **{"class": "AUX"}, commandText="replica_host_status",
                    objectName="replica_host_status", exitCode=""),
        mysql_event(**PROXY, command="DISCONNECT", commandText="", objectName=""),
        mysql_event(**PROXY, command="PING", commandText="", objectName=""),
        sqlserver_event(**PROXY, command="LOGIN SUCCEEDED", **{"class": "LOGIN"}, objectName=""),
    ],
)  # fmt: skip
def test_session_of_a_proxy_is_dropped(event: dict[str, Any]) -> None:
    assert verdict(event) == (Origin.PROXY, False)


@pytest.mark.parametrize("host", ["10.20.250.4", "localhost", None])
@pytest.mark.parametrize(("engine", "text"), NOT_OF_A_PROXY)
def test_statement_that_no_proxy_needs_is_kept(engine: str, text: str, host: str | None) -> None:
    """A proxy is not on the database's host, so that an origin alone is no proof there either."""
    assert verdict(of_a_proxy(engine, text, remoteHost=host)) == (None, True)


@pytest.mark.parametrize(
    "event",
    [
        postgresql_event(**PROXY),  # reads public.t_orders
        postgresql_event(**PROXY, commandText="select 1"),  # while the engine names a table
        postgresql_event(**PROXY, command="DELETE", **{"class": "WRITE"}, commandText="select 1", objectName=None),
        postgresql_event(**PROXY, command="GRANT", **{"class": "ROLE"}, objectName=None),
        postgresql_event(**PROXY, commandText=None, objectName=None),
        postgresql_event(**PROXY, commandText=["select 1"], objectName=None),
        mysql_event(**PROXY, command="READ", **{"class": "AUX"}, commandText="t_cart", objectName="t_cart"),
        mysql_event(**PROXY, commandText="", objectName=""),
        mysql_event(**PROXY, commandText="call p()", objectName=""),
        mysql_event(**PROXY, commandText="kill 5", objectName=""),
        sqlserver_event(**PROXY, commandText="select 1", objectName="", substatementId=2),
        of_a_proxy("postgresql", "SELECT 1", remoteHost="203.0.113.66"),
        of_a_proxy("postgresql", "SELECT 1", remoteHost="app-7.example.internal"),
        of_a_proxy("postgresql", "SELECT 1", dbUserName="rdsadmin"),
    ],
)
def test_event_that_is_not_of_a_proxy_is_kept(event: dict[str, Any]) -> None:
    assert verdict(event) == (None, True)


@pytest.mark.parametrize("field", ["dbUserName", "remoteHost"])
def test_name_longer_than_any_engines_is_not_awss(field: str) -> None:
    event = postgresql_event(**{"dbUserName": "rdsadmin", "remoteHost": "localhost", field: "rdsadmin" + " " * 1_000})

    assert excluded_user(event, "postgresql", Activity.DQL, DEFAULT_EXCLUDED_USERS) is None


@pytest.mark.parametrize("user", sorted(DEFAULT_EXCLUDED_USERS))
@pytest.mark.parametrize("host", ["localhost", None, "203.0.113.66"])
def test_failed_login_is_never_noise(user: str, host: str | None) -> None:
    event = oracle_event(command="LOGON", exitCode=1017, dbUserName=user.upper(), remoteHost=host)

    assert verdict(event) == (None, False)


@pytest.mark.parametrize(
    "user", ["app_rw", "rdsadmin2", "my_rdsadmin", "rds_superuser", "SYS", "", None, 17, ["rdsadmin"], {}]
)
def test_other_users_are_kept(user: object) -> None:
    assert verdict(postgresql_event(dbUserName=user, remoteHost="localhost")) == (None, False)


@pytest.mark.parametrize("odd", [17, ["localhost"], {"host": "localhost"}, True])
def test_odd_host_is_not_local(odd: object) -> None:
    assert verdict(postgresql_event(dbUserName="rdsadmin", remoteHost=odd)) == (None, True)


def test_event_without_a_user_is_kept() -> None:
    assert excluded_user({}, "postgresql", Activity.DDL, DEFAULT_EXCLUDED_USERS) is None


@pytest.mark.parametrize(
    ("engine", "user", "dropped"),
    [
        ("postgresql", "Backup", True),
        ("postgresql", "backup", False),
        ("mysql", "BACKUP", False),
        ("oracle", "BACKUP", True),
        ("sqlserver", "backup", True),
        ("oracle", "rdsadmin", False),
    ],
)
def test_own_name_counts_from_anywhere_in_its_case(engine: str, user: str, dropped: bool) -> None:
    event = EVENTS[engine](dbUserName=user)

    found = excluded_user(event, engine, Activity.DQL, read_user_names("Backup"))

    assert found == (ExcludedUser("Backup", Origin.ANY) if dropped else None)


@pytest.mark.parametrize("listed", ["", " , "])
def test_no_names_excluded_keeps_everything(listed: str) -> None:
    event = postgresql_event(dbUserName="rdsadmin", remoteHost="localhost")

    assert verdict(event, read_user_names(listed)) == (None, False)


def test_setting_knows_awss_names_in_any_case() -> None:
    assert read_user_names(" RDSADMIN, RdsSec ,rdsproxyadmin") == DEFAULT_EXCLUDED_USERS
