"""Keep or drop, with a counted reason. AWS filters nothing: its own users and heartbeats are all in the stream."""

from __future__ import annotations

from enum import StrEnum

from daswatch.activity import Activity
from daswatch.events import Event

DEFAULT_EXCLUDED_USERS = frozenset({"rdsadmin", "rdssec", "rdsproxyadmin"})


class Noise(StrEnum):
    """Why an event is not indexed."""

    HEARTBEAT = "heartbeat"
    AWS_USER = "aws-user"


def is_excluded_user(event: Event, excluded_users: frozenset[str]) -> bool:
    """Whether the event is of one of these users (in lower case), however it is written: Oracle writes RDSADMIN."""
    user = event.get("dbUserName")
    return isinstance(user, str) and user.lower() in excluded_users


def is_noise(event: Event, activity: Activity, excluded_users: frozenset[str]) -> bool:
    """Whether to drop an event that is no heartbeat.

    A failed login is never noise: somebody failing to log in under such a name is not that user.
    """
    return activity is not Activity.AUTH_FAILURE and is_excluded_user(event, excluded_users)
