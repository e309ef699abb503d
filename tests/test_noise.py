"""Noise: what is dropped, that no name hides a user, and that a failed login is never noise."""

from __future__ import annotations

from typing import Any

import pytest

from daswatch.activity import Activity, activity_of
from daswatch.events import engine_of
from daswatch.noise import (
    DEFAULT_EXCLUDED_USERS,
    ExcludedUser,
    Origin,
    excluded_user,
    is_foreign_use,
    read_user_names,
)
from tests.events import mysql_event, oracle_event, postgresql_event, sqlserver_event

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
    "::ffff:127.0.0.1", "/rdsdbdata/.s.PGSQL.5432", "socket",
]  # fmt: skip
ELSEWHERE = ["203.0.113.66", "10.9.8.7", "2001:db8::7", "app-7.example.internal", "localhost.example.com", "127.0.0.x"]


def verdict(event: dict[str, Any], excluded: frozenset[str] = DEFAULT_EXCLUDED_USERS) -> tuple[Origin | None, bool]:
    """From where it came, if it is dropped; and whether somebody else used AWS's name."""
    engine = engine_of(event, "")
    activity = activity_of(event, engine)
    user = excluded_user(event, engine, activity, excluded)
    return user.origin if user else None, is_foreign_use(event, engine, activity)


@pytest.mark.parametrize("host", LOCAL)
@pytest.mark.parametrize(("engine", "user"), OF_AWS)
def test_aws_user_on_own_host_is_dropped(engine: str, user: str, host: str) -> None:
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost=host)) == (Origin.LOCAL, False)


@pytest.mark.parametrize("host", [None, ""])
@pytest.mark.parametrize(("engine", "user"), OF_AWS)
def test_unreported_origin_is_named_in_the_drop(engine: str, user: str, host: str | None) -> None:
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost=host)) == (Origin.UNREPORTED, False)


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize(("engine", "user"), OF_AWS)
def test_aws_name_from_elsewhere_is_kept(engine: str, user: str, host: str) -> None:
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost=host)) == (None, True)


@pytest.mark.parametrize("host", ["localhost", None, "203.0.113.66"])
@pytest.mark.parametrize(("engine", "user"), NOT_OF_AWS)
def test_name_that_aws_does_not_have_is_kept(engine: str, user: str, host: str | None) -> None:
    """Another case where case counts, and a name of another engine, are other users than AWS's."""
    assert verdict(EVENTS[engine](dbUserName=user, remoteHost=host)) == (None, True)


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


@pytest.mark.parametrize(
    "event",
    [
        postgresql_event(**PROXY, command="CONNECT", **{"class": "CONNECT"}, commandText=None, objectName=None),
        postgresql_event(**PROXY, commandText="SELECT 1", objectName=None),
        postgresql_event(**PROXY, command="SET", commandText="SET x = 1", objectName=None, **{"class": "MISC"}),
        mysql_event(**PROXY, commandText="SELECT @@innodb_read_only", objectName=""),
        mysql_event(**PROXY, commandText="select 1 from information_schema.replica_host_status",
                    objectName="replica_host_status"),
        mysql_event(**PROXY, command="DISCONNECT", commandText="", objectName=""),
        sqlserver_event(**PROXY, command="LOGIN SUCCEEDED", **{"class": "LOGIN"}, objectName=""),
    ],
)  # fmt: skip
def test_health_check_of_a_proxy_is_dropped(event: dict[str, Any]) -> None:
    assert verdict(event) == (Origin.PROXY, False)


@pytest.mark.parametrize(
    "event",
    [
        postgresql_event(**PROXY),  # reads public.t_orders
        postgresql_event(**PROXY, command="DELETE", **{"class": "WRITE"}, objectName=None),
        postgresql_event(**PROXY, command="GRANT", **{"class": "ROLE"}, objectName=None),
        postgresql_event(**PROXY, command="SET", commandText="SET ROLE app", objectName=None, **{"class": "MISC"}),
        postgresql_event(**PROXY, command="SET", commandText="set session authorization a", objectName=None,
                         **{"class": "MISC"}),
        mysql_event(**PROXY, commandText="call p()", objectName=""),
        mysql_event(**PROXY, commandText="kill 5", objectName=""),
        postgresql_event(**{**PROXY, "remoteHost": "203.0.113.66"}, commandText="SELECT 1", objectName=None),
        postgresql_event(**{**PROXY, "remoteHost": "app-7.example.internal"}, commandText="SELECT 1", objectName=None),
        postgresql_event(**{**PROXY, "dbUserName": "rdsadmin"}, commandText="SELECT 1", objectName=None),
    ],
)  # fmt: skip
def test_what_no_proxy_does_is_kept(event: dict[str, Any]) -> None:
    assert verdict(event) == (None, True)


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
