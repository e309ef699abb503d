"""Builders for alerts and firings; tests vary what they are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from daswatch.alerts.alert import Alert, Database, Firing, advance
from daswatch.detections.detection import Condition, Detection, DetectionKind, Level, Source
from daswatch.times import iso_milliseconds

NOW = datetime(2031, 3, 4, 12, tzinfo=UTC)
DATABASE = Database("cluster-SHOP", "123456789012", "eu-west-1", "postgresql")


def at(minutes: float = 0) -> datetime:
    """So many minutes after NOW."""
    return NOW + timedelta(minutes=minutes)


def iso(minutes: float = 0) -> str:
    """The same as text."""
    return iso_milliseconds(at(minutes))


def a_firing(**changes: Any) -> Firing:
    """Ten failed logins of one user, the last one a minute ago."""
    fields: dict[str, Any] = {
        "detection": "bruteforce-user",
        "title": "Brute-force login attempts on one account",
        "level": Level.MEDIUM,
        "database": DATABASE,
        "group": {"dbUserName": "shop_app", "remoteHost": "203.0.113.47"},
        "first_seen": iso(-5),
        "last_seen": iso(-1),
        "count": 10,
        "actors": {"dbUserName": ("shop_app",), "remoteHost": ("203.0.113.47",)},
        "samples": ("a", "b"),
    }
    return Firing(**{**fields, **changes})


def an_alert(minutes: float = 0, **changes: Any) -> Alert:
    """The alert that a firing opens, so many minutes after NOW."""
    alert = advance(None, a_firing(**changes), 3600, at(minutes))
    assert alert
    return alert


def a_detection(**changes: Any) -> Detection:
    """A threshold over failed logins."""
    fields: dict[str, Any] = {
        "name": "bruteforce-user",
        "id": "8a4f0c0e-52b7-4f0c-9b1e-1d6a5b7f9e01",
        "title": "Brute-force login attempts on one account",
        "level": Level.MEDIUM,
        "status": "test",
        "kind": DetectionKind.THRESHOLD,
        "source": Source.EVENTS,
        "query": 'activity:"AUTH FAILURE"',
        "description": "One account's password was tried again and again.",
        "why": "Guessing passwords is the cheapest way in.",
        "runbook": ("Find out whose host it is.",),
        "false_positives": ("A rotated password.",),
        "blind_spots": ("Slow attempts.",),
        "references": ("https://attack.mitre.org/techniques/T1110/001/",),
        "attack": ("credential-access", "t1110.001"),
        "types": ("TTPs/Credential Access",),
        "engines": ("postgresql", "mysql", "oracle", "sqlserver"),
        "enabled": True,
        "disabled_because": "",
        "version": 1,
        "group": ("dbUserName", "remoteHost"),
        "window_seconds": 600,
        "conditions": (Condition("count", 10),),
    }
    return Detection(**{**fields, **changes})
