"""Noise: what is dropped, and that a failed login never is."""

from __future__ import annotations

import pytest

from daswatch.activity import Activity
from daswatch.noise import DEFAULT_EXCLUDED_USERS, is_excluded_user, is_noise
from tests.events import oracle_event, postgresql_event


@pytest.mark.parametrize("user", ["rdsadmin", "RDSADMIN", "RdsAdmin", "RDSSEC", "rdsproxyadmin", "RDSProxyAdmin"])
@pytest.mark.parametrize("activity", [activity for activity in Activity if activity is not Activity.AUTH_FAILURE])
def test_what_awss_own_users_do_is_noise_in_any_case(user: str, activity: Activity) -> None:
    assert is_noise(postgresql_event(dbUserName=user), activity, DEFAULT_EXCLUDED_USERS)


@pytest.mark.parametrize("user", sorted(DEFAULT_EXCLUDED_USERS))
def test_a_failed_login_under_such_a_name_is_not(user: str) -> None:
    event = oracle_event(command="LOGON", exitCode=1017, dbUserName=user.upper())

    assert not is_noise(event, Activity.AUTH_FAILURE, DEFAULT_EXCLUDED_USERS)


@pytest.mark.parametrize(
    "user", ["app_rw", "rdsadmin2", "my_rdsadmin", " rdsadmin", "rds_superuser", "SYS", "", None, 17, ["rdsadmin"]]
)
def test_everybody_else_is_heard(user: object) -> None:
    assert not is_noise(postgresql_event(dbUserName=user), Activity.DQL, DEFAULT_EXCLUDED_USERS)


def test_an_event_without_a_user_is_heard() -> None:
    assert not is_noise({}, Activity.DDL, DEFAULT_EXCLUDED_USERS)


def test_the_users_are_a_setting() -> None:
    own = frozenset({"backup"})

    assert is_excluded_user({"dbUserName": "BACKUP"}, own)
    assert not is_excluded_user({"dbUserName": "rdsadmin"}, own)


def test_with_no_users_excluded_everybody_is_heard() -> None:
    assert not is_noise({"dbUserName": "rdsadmin"}, Activity.DQL, frozenset())
