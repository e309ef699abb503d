"""Signals: a user that gets a name whose events would be dropped, in every engine's words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from daswatch.documents.activity import activity_of
from daswatch.documents.document import Document, Flattening, flatten
from daswatch.documents.noise import AWS_USERS, DEFAULT_EXCLUDED_USERS, has_watched_name
from daswatch.documents.redaction import Redaction
from daswatch.documents.signals import Signal, signals_of
from daswatch.records.envelope import StreamSource
from daswatch.records.monitoring_record import engine_of, read_monitoring_record
from daswatch.sql.account_names import gives_name
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event

GIVEN = [
    ("postgresql", "create user rdsadmin"),
    ("postgresql", "CREATE ROLE RDSADMIN WITH LOGIN"),
    ("postgresql", 'create role "RdsSec" login'),
    ("postgresql", 'create user"rdsproxyadmin"'),
    ("postgresql", "create/* x */group -- y\n rdssec"),
    ("postgresql", "alter role bob rename to rdsadmin"),
    ("postgresql", 'alter user bob rename to "rdsproxyadmin";'),
    ("postgresql", r'create role U&"\0072dsadmin"'),
    ("postgresql", r"""create role U&"rds!0061dmin" UESCAPE '!'"""),
    ("postgresql", r'create role U&"rdsadmi\+00006E"'),
    ("postgresql", "do $$ begin create role rdsadmin; end $$"),
    ("postgresql", "do $$ begin execute 'create role rdsadmin'; end $$"),
    ("postgresql", "select 1; create user rdssec"),
    ("mysql", "create user rdsadmin"),
    ("mysql", r"CREATE USER \'rdsadmin\'@\'%\' IDENTIFIED BY <secret>"),
    ("mysql", "create user if not exists `RDSSEC`@`10.%`"),
    ("mysql", "create user a@b identified by 'x', 'rdsproxyadmin'@'%' identified by 'y'"),
    ("mysql", "/*!50000 create user */ rdsadmin"),
    ("mysql", "create role rdsadmin"),
    ("mysql", "rename user bob to rdsadmin"),
    ("mysql", "rename user a to b, 'c'@'%' to 'rdsadmin'@'%'"),
    ("mysql", "grant all on *.* to 'rdsadmin'@'%' identified by 'x'"),
    ("mysql", "insert into mysql.user (host, user) values ('%', 'rdsadmin')"),
    ("mysql", "update mysql.user set user = 'rdsadmin' where user = 'bob'"),
    ("mysql", "prepare s from 'create user rdsadmin'"),
    ("mysql", "use mysql; update user set user = 'rdsadmin'"),
    ("mysql", "load data infile 'x' into table mysql.user set user = 'rdsadmin'"),
    ("postgresql", "update pg_authid set rolname = 'rdssec' where rolname = 'bob'"),
    ("oracle", "create user rdsadmin identified by x"),
    ("oracle", 'create user "rdsadmin" identified by x'),
    ("oracle", "grant connect to rdssec identified by x"),
    ("oracle", "grant connect to a,rdsadmin identified by x,y"),
    ("oracle", 'grant connect, resource to a, "RDSSEC", b identified by x, y, z'),
    ("mysql", "grant all on *.* to a@b identified by 'x', 'rdsadmin'@'%' identified by 'y'"),
    ("oracle", "create role rdsproxyadmin"),
    ("oracle", "begin execute immediate 'create user rdssec identified by x'; end;"),
    ("sqlserver", "create login [rdsadmin] with password = 'x'"),
    ("sqlserver", "create login[RDSADMIN]with password='x'"),
    ("sqlserver", 'create user "rdsadmin" for login bob'),
    ("sqlserver", "create server role rdsadmin"),
    ("sqlserver", "create application role rdsadmin with password = 'x'"),
    ("sqlserver", "select 1 as [a]]'b]; create login rdsadmin with password='x'"),
    ("sqlserver", "alter login bob with name = rdsadmin"),
    ("sqlserver", "alter user bob with name=[rdsproxyadmin]"),
    ("sqlserver", "alter role r with name = rdssec"),
    ("sqlserver", "use hr; exec sp_addlogin N'rdsadmin', N'x'"),
    ("sqlserver", "sp_addlogin @loginame = 'rdsadmin'"),
    ("sqlserver", "exec sp_adduser 'bob', 'rdsadmin'"),
    ("sqlserver", "exec('create login rdsadmin with password = ''x''')"),
]
COMPOSED = [
    ("postgresql", "do $$ begin execute format('create role %I', 'rdssec'); end $$"),
    ("postgresql", "do $$ begin execute 'create role ' || 'rds' || 'sec'; end $$"),
    ("postgresql", "do $$ begin execute 'create role r' || 'dsadmin login'; end $$"),
    ("postgresql", "do $$ begin execute format('create %s %s%s', 'role', 'rds', 'admin'); end $$"),
    ("postgresql", "do $$ declare n text := 'rds'; begin execute 'alter role bob rename to ' || n || 'sec'; end $$"),
    ("postgresql", "do $$ begin execute 'cre' || 'ate ro' || 'le rdsproxy' || 'admin'; end $$"),
    ("postgresql", "do $x$ begin execute concat('create user ', quote_ident('rdsadmin')); end $x$"),
    ("postgresql", "do $$ begin execute 'create role ' || chr(114) || chr(100) || 'ssec'; end $$"),
    ("postgresql", "create function f() returns void language plpgsql as $$ begin "
     "execute format('create role %I', 'rdssec'); end $$"),
    ("postgresql", "do $$ begin execute 'create role ' || " + " || ".join(map(repr, "rdssec")) + "; end $$"),
    ("mysql", "set @s = concat('create user rds', 'sec')"),
    ("mysql", r"set @s = concat(\'create user \', \'rds\', \'admin\')"),
    ("mysql", "set @s = concat('create user ', 0x726473736563)"),
    ("mysql", "prepare s from 0x63726561746520726f6c6520726473736563"),
    ("mysql", "set @s = x'63726561746520726f6c6520726473736563'"),
    ("sqlserver", "declare @s varchar(99) = 0x437265617465206C6F67696E2072647361646D696E; exec(@s)"),
    ("sqlserver", f"declare @s nvarchar(99) = 0x{'create login rdsadmin'.encode('utf-16-le').hex()}; exec(@s)"),
    ("oracle", "begin execute immediate 'create user ' || 'RDS' || 'SEC identified by x'; end;"),
    ("oracle", "begin execute immediate 'grant connect to ' || 'rdssec' || ' identified by x'; end;"),
    ("sqlserver", "exec('create login rds' + 'admin with password = ''x''')"),
    ("sqlserver", "declare @s nvarchar(99) = N'create login ' + quotename(N'rdsadmin'); exec sp_executesql @s"),
    ("sqlserver", "declare @n sysname = 'rds' + 'admin'; exec sp_addlogin @n, 'x'"),
    ("sqlserver", "exec('exec(''create login rds''+''sec with password = 1'')')"),
]  # fmt: skip
NOT_COMPOSED = [
    ("postgresql", "do $$ begin execute format('grant %I to bob', 'rds'); end $$"),
    ("postgresql", "do $$ begin for r in select rolname from pg_roles where rolname <> 'rdsadmin' loop "
     "execute format('create role %I_ro', r.rolname); end loop; end $$"),
    ("postgresql", "do $$ begin for r in select rolname from pg_roles where rolname not in ('rds_ad', 'rdsadmin') loop "
     "execute format('alter role %I rename to x', r.rolname); end loop; end $$"),
    ("postgresql", "do $$ begin execute 'alter role rdssec nologin'; end $$"),
    ("postgresql", "do $$ begin execute 'create role boards' || 'security'; end $$"),
    ("postgresql", "do $$ begin execute 'create role ' || 'rds' || '_reader'; end $$"),
    ("postgresql", "select 'create role ' || 'rds' || 'sec'"),
    ("postgresql", "do $$ begin if k in ('d', 'c', 'e') or k in ('s', 'r', 'a', 'm') or k in ('n', 'i') then "
     "execute 'create role x' || k; end if; end $$"),
    ("mysql", "set @s = concat('create user ', 'rds', '_app')"),
    ("mysql", "prepare s from 'select user from t where a = ? and b = concat(?, ?)'"),
    ("oracle", "begin execute immediate 'create table rds' || 'sec (n varchar2(9))'; end;"),
    ("oracle", "begin rdsadmin.rdsadmin_util.grant_sys_object('V_$' || 'SESSION', 'BOB', 'SELECT'); end;"),
    ("sqlserver", "exec('select name from sys.server_principals where name = ''rdsadmin''')"),
]  # fmt: skip
NOT_GIVEN = [
    ("mysql", "use mysql; update user set host = '%' where user = 'rdsadmin'"),
    ("mysql", "use shop; update user set user = 'rdsadmin'"),
    ("postgresql", "update pg_authid set rolcanlogin = false where rolname = 'rdssec'"),
    ("oracle", "grant connect to a, b identified by x, rdsadmin"),
    ("oracle", "grant a, rdssec to bob identified by x"),
    ("postgresql", "create user rdsadmin2"),
    ("postgresql", "create user my_rdsadmin"),
    ("postgresql", "drop role rdssec"),
    ("postgresql", "alter role rdsproxyadmin nologin"),
    ("postgresql", "grant rdsadmin to bob"),
    ("postgresql", "create user mapping for rdsadmin server s"),
    ("postgresql", "alter table rdsadmin rename to x"),
    ("postgresql", "alter table t rename to rdsadmin"),
    ("postgresql", "create role bob in role readers -- create role rdsadmin"),
    ("postgresql", "comment on role bob is 'not rdsadmin'"),
    ("postgresql", "alter role rdssec rename to old_rdssec"),
    ("mysql", "grant select on shop.* to 'rdsproxyadmin'@'%'"),
    ("mysql", "rename user rdsadmin to bob"),
    ("mysql", "drop user rdsadmin, bob"),
    ("mysql", "create user bob identified by 'x' default role rdsadmin"),
    ("mysql", "insert into audit (user, note) values ('bob', 'rdsadmin')"),
    ("oracle", "grant execute on rdsadmin.rdsadmin_s3_tasks to bob"),
    ("oracle", "alter user rdsadmin account lock"),
    ("oracle", "begin rdsadmin.rdsadmin_util.switch_logfile; end;"),
    ("sqlserver", "create user bob for login rdsadmin"),
    ("sqlserver", "exec sp_droplogin 'rdsadmin'"),
    ("sqlserver", "backup database hr to disk = 'x' with name = 'rdsadmin'"),
    ("sqlserver", "exec sp_who 'rdsadmin'"),
]


@pytest.mark.parametrize(("engine", "text"), GIVEN)
def test_statement_gives_name(engine: str, text: str) -> None:
    assert gives_name(text, engine, AWS_USERS)


@pytest.mark.parametrize(("engine", "text"), COMPOSED)
def test_composed_name_is_found(engine: str, text: str) -> None:
    assert gives_name(text, engine, AWS_USERS)


@pytest.mark.parametrize(("engine", "text"), NOT_COMPOSED)
def test_dynamic_statement_without_the_name_is_not_found(engine: str, text: str) -> None:
    assert not gives_name(text, engine, AWS_USERS)


@pytest.mark.parametrize(("engine", "text"), NOT_GIVEN)
def test_statement_does_not_give_name(engine: str, text: str) -> None:
    assert not gives_name(text, engine, AWS_USERS)


def test_name_with_marks_is_found() -> None:
    names = frozenset({"CORP\\svc-backup"})

    assert gives_name("create login [corp\\svc-backup] from windows", "sqlserver", names)
    assert not gives_name("create login [corp\\svc-backup2] from windows", "sqlserver", names)


def all_signals(event: dict[str, Any], excluded: frozenset[str] = DEFAULT_EXCLUDED_USERS) -> list[str]:
    engine = engine_of(event, "")
    return signals_of(
        event, engine, activity_of(event, engine), excluded, watched_name=has_watched_name(event, engine, excluded)
    )


def signals(event: dict[str, Any], excluded: frozenset[str] = DEFAULT_EXCLUDED_USERS) -> list[str]:
    """Those of names: what statements show is tested with the table."""
    return [name for name in all_signals(event, excluded) if name in set(Signal)]


@pytest.mark.parametrize(
    "event",
    [
        postgresql_event(command="CREATE ROLE", **{"class": "ROLE"}, commandText="create user rdsadmin"),
        mysql_event(commandText="rename user bob to rdssec"),
        oracle_event(command="CREATE USER", commandText=None, objectName="RDSSEC", objectType=None),
        sqlserver_event(command="CREATE", **{"class": "LOGIN"}, commandText=None, objectName="rdsadmin"),
        sqlserver_event(command="CREATE", **{"class": "LOGIN"}, commandText=None, objectName="[rdsadmin]"),
        sqlserver_event(command="NAME CHANGE", **{"class": "LOGIN"}, commandText=None, objectName="RdsAdmin"),
        mysql_event(commandText="update user set user = 'rdsadmin'", databaseName="mysql"),
        postgresql_event(commandText="select dblink_exec('c', 'create role rdssec')"),
        postgresql_event(commandText="select cron.schedule('x', '* * * * *', 'create role rdssec')"),
        postgresql_event(command="UPDATE", commandText="update pg_authid set rolname = 'rdssec'"),
        sqlserver_event(command="BATCH COMPLETED", **{"class": "DATABASE"}, commandText="create login rdsadmin from x"),
        sqlserver_event(command="EXECUTE", **{"class": "STORED PROCEDURE"}, commandText="exec sp_addlogin 'rdsadmin'"),
    ],
)
def test_event_that_gives_name_has_signal(event: dict[str, Any]) -> None:
    assert signals(event) == [Signal.EXCLUDED_USER_NAME_GIVEN]


def test_name_of_the_setting_counts_too() -> None:
    event = postgresql_event(command="CREATE ROLE", **{"class": "ROLE"}, commandText="create user Backup")

    assert signals(event, frozenset({"backup"})) == [Signal.EXCLUDED_USER_NAME_GIVEN]
    assert signals(event) == []


def test_use_from_elsewhere_has_signal() -> None:
    assert signals(postgresql_event(dbUserName="rdsadmin")) == [Signal.AWS_USER_NAME_USED]


@pytest.mark.parametrize(
    "event",
    [
        postgresql_event(),
        postgresql_event(commandText="select 'create user rdsadmin'"),
        postgresql_event(commandText="select dblink_exec('c', 'drop role rdssec')"),
        mysql_event(commandText="update user set user = 'rdsadmin'", databaseName="shop"),
        sqlserver_event(command="NAME CHANGE", **{"class": "LOGIN"}, commandText=None, objectName="bob"),
        oracle_event(command="DROP USER", commandText=None, objectName="RDSSEC"),
        mysql_event(commandText="create user bob"),
    ],
)
def test_ordinary_event_has_no_signal(event: dict[str, Any]) -> None:
    assert signals(event) == []


def flattened(event: dict[str, Any], redaction: Redaction) -> list[Document]:
    time = "2031-03-04T11:22:41.000Z"
    record = {"type": "DatabaseActivityMonitoringRecord", "databaseActivityEventList": [event]}
    stream = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")
    flattening = Flattening(time, redaction=redaction)
    return flatten(read_monitoring_record(orjson.dumps(record)), stream, "1.1", time, flattening).documents


INJECTED = "select a from t where b = 'x' union select null, null-- '"


@pytest.mark.parametrize(
    "event",
    [postgresql_event(commandText=INJECTED), mysql_event(commandText=INJECTED), sqlserver_event(commandText=INJECTED)],
)
def test_event_has_the_signals_of_its_statement(event: dict[str, Any]) -> None:
    assert {"comment-cut-off", "union-probe"} <= set(all_signals(event))


@pytest.mark.parametrize(
    "event",
    [
        mysql_event(commandText=INJECTED, **{"class": "AUX"}),
        sqlserver_event(commandText=INJECTED, substatementId=2),
        sqlserver_event(commandText=INJECTED, **{"class": "LOGIN"}, command="LOGIN FAILED"),
        sqlserver_event(
            commandText="exec sp_executesql N'select a from t where b = @p', N'@p nvarchar(99)'", paramList=[INJECTED]
        ),
        postgresql_event(commandText="select a from t where b = $1", paramList=[INJECTED]),
        postgresql_event(commandText=None),
    ],
)
def test_what_is_not_a_statement_has_no_signals(event: dict[str, Any]) -> None:
    """Names of objects, parts of statements, messages of logins, and values."""
    assert all_signals(event) == []


@pytest.mark.parametrize("redaction", Redaction)
def test_signals_are_the_same_with_every_redaction(redaction: Redaction) -> None:
    (document,) = flattened(postgresql_event(commandText=INJECTED), redaction)

    assert document.source["signals"] == ["comment-cut-off", "union-probe"]


EVENTS = {"postgresql": postgresql_event, "mysql": mysql_event, "oracle": oracle_event, "sqlserver": sqlserver_event}
OWN_PASSWORDS = [
    ("postgresql", "ALTER USER shop WITH PASSWORD <REDACTED>"),
    ("postgresql", """alter role "Shop" encrypted password 'x' valid until '2033-01-01';"""),
    ("postgresql", "alter role current_user password 'x'"),
    ("mysql", r"ALTER USER \'shop\'@\'10.%\' IDENTIFIED BY <secret>"),
    ("mysql", "ALTER USER USER() IDENTIFIED WITH 'caching_sha2_password' BY 'x' RETAIN CURRENT PASSWORD"),
    ("mysql", "SET PASSWORD = PASSWORD('x')"),
    ("mysql", "set password for `shop`@`%` = 'x'"),
    ("oracle", "ALTER USER SHOP IDENTIFIED BY *"),
    ("oracle", 'alter user "SHOP" identified by "a b" replace "c"'),
    ("sqlserver", "ALTER LOGIN [shop] WITH PASSWORD = N'x' OLD_PASSWORD = N'y'"),
]
OTHER_PASSWORDS = [
    ("postgresql", "ALTER USER shop2 WITH PASSWORD 'x'"),
    ("postgresql", "ALTER USER shop WITH PASSWORD 'x' SUPERUSER"),
    ("postgresql", "ALTER USER shop WITH PASSWORD 'x'; GRANT a TO shop"),
    ("mysql", "ALTER USER 'shop'@'%' IDENTIFIED BY 'x' ACCOUNT UNLOCK"),
    ("mysql", "SET PASSWORD FOR 'root'@'%' = 'x'"),
    ("oracle", "ALTER USER SYS IDENTIFIED BY x"),
    ("oracle", "ALTER USER SHOP IDENTIFIED BY x ACCOUNT UNLOCK"),
    ("sqlserver", "ALTER LOGIN [shop] WITH PASSWORD = 'x', CHECK_POLICY = OFF"),
    ("sqlserver", "ALTER LOGIN sa WITH PASSWORD = 'x'"),
]


@pytest.mark.parametrize(("engine", "text"), OWN_PASSWORDS)
def test_an_account_that_sets_its_own_password(engine: str, text: str) -> None:
    assert Signal.OWN_PASSWORD_SET in all_signals(EVENTS[engine](commandText=text, dbUserName="shop"))


@pytest.mark.parametrize(("engine", "text"), OTHER_PASSWORDS)
def test_another_accounts_password_or_more_than_a_password(engine: str, text: str) -> None:
    found = all_signals(EVENTS[engine](commandText=text, dbUserName="shop"))

    assert "password-change" in found
    assert Signal.OWN_PASSWORD_SET not in found


def test_a_statement_that_is_too_long_has_the_signals_of_its_beginning() -> None:
    text = "/* x */" * 100 + INJECTED.replace("null, null", f"version(), '{'x' * 1_100_000}'")

    (document,) = flattened(postgresql_event(commandText=text), Redaction.OFF)

    assert document.source["ingestNotes"] == ["statement-too-long"]
    assert document.source["signals"] == ["union-probe"]
