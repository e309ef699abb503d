"""What an analyst needs first of an alert: who, from where, with which program, on what, how often, since when.

In: an alert. Out: the same few lines in the same order for the finding, the message, the alert's document and the
terminal. No SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from ipaddress import ip_address

from daswatch.alerts.alert import SEARCHED, Alert
from daswatch.alerts.text import plain, shown_value
from daswatch.times import moment_of

# The fields behind each line, the ones of events first, then those of the control plane.
WHO = ("dbUserName", "userIdentityArn")
KIND = "actor"
FROM = ("remoteHost", "remoteIp", "sourceIPAddress")
PROGRAM = ("clientApplication",)
TOUCHED = ("objects", "target")
WHERE = ("databaseName",)
SIGNALS = "signals"

_MOST = 3  # values of one line, before "and more"


def values_of(alert: Alert, *fields: str) -> tuple[str, ...]:
    """The values of the first of these fields that the alert has: its group's own, or the most frequent ones."""
    for name in fields:
        if name in alert.group:
            return (alert.group[name],) if alert.group[name] else ()
        if values := tuple(value for value in alert.actors.get(name, ()) if value):
            return values
    return ()


def only_value(alert: Alert, *fields: str) -> str:
    """The value of these fields where there is exactly one."""
    values = values_of(alert, *fields)
    return plain(values[0]) if len(values) == 1 else ""


def addresses(alert: Alert) -> tuple[str, ...]:
    """The addresses of the hosts, as far as they are known as such."""
    values = (*values_of(alert, "remoteIp"), *values_of(alert, "remoteHost"), *values_of(alert, "sourceIPAddress"))
    return tuple(dict.fromkeys(value for value in values if _is_address(value)))


def essentials(alert: Alert) -> dict[str, str]:
    """The lines by their names, in their order; what is unknown is left out."""
    begin, end = sorted((alert.first_seen, alert.last_seen))
    lines = {
        "User": _with_kind(_listed(values_of(alert, *WHO)), values_of(alert, KIND)),
        "From": _listed(values_of(alert, *FROM)),
        "Program": _listed(values_of(alert, *PROGRAM)),
        "Touched": " in ".join(filter(None, (_listed(values_of(alert, *TOUCHED)), _listed(values_of(alert, *WHERE))))),
        "Events": how_often(alert),
        "Since": _time(begin),
        "Last": _time(end) if end != begin else "",
        "Signals": _listed(values_of(alert, SIGNALS)),
    }
    return {name: value for name, value in lines.items() if value}


def others(alert: Alert) -> dict[str, str]:
    """What else the group has, and how much: shown behind the essentials."""
    group = {name: shown_value(name, value) for name, value in alert.group.items() if name not in SEARCHED or not value}
    return {**group, **{name: f"{value:,}" for name, value in alert.metrics.items()}}


def headline(alert: Alert) -> str:
    """The title with the one user and the one host, where there is one."""
    title = plain(alert.title) or plain(alert.detection)
    who, host = only_value(alert, *WHO), only_value(alert, *FROM)
    subject = " ".join(filter(None, (who, f"from {host}" if host else "")))
    return f"{title}: {subject}" if subject else title


def how_often(alert: Alert) -> str:
    """How many events, within which time, in which episode."""
    count = "1 event" if alert.count == 1 else f"{alert.count:,} events"
    begin, end = sorted((moment_of(alert.first_seen), moment_of(alert.last_seen)))
    within = f" within {_duration(end - begin)}" if end - begin >= timedelta(seconds=1) else ""
    again = f", episode {alert.episode}" if alert.episode > 1 else ""
    return count + within + again


def _with_kind(who: str, kinds: Iterable[str]) -> str:
    kind = ", ".join(map(plain, kinds))
    return f"{who} ({kind})" if who and kind else who


def _listed(values: Sequence[str]) -> str:
    shown = list(filter(None, map(plain, values)))
    more = " and more" if len(shown) > _MOST else ""
    return ", ".join(shown[:_MOST]) + more


def _duration(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    for length, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * length:
            return f"{seconds // length} {name}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _time(iso: str) -> str:
    return f"{moment_of(iso):%Y-%m-%d %H:%M:%S} UTC"
