"""Keep or drop, with a counted reason. AWS filters nothing: its own users and heartbeats are all in the stream.

A name alone proves nothing, since others may have it: an event is AWS's own only under a name that AWS has on that
engine, written as AWS writes it, and from where AWS works: the database's own host, or an RDS Proxy, whose statements
are known (docs/decisions/0023-names-of-awss-users.md).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from daswatch.documents.activity import Activity, is_continuation
from daswatch.documents.proxies import TOPOLOGY, is_health_check
from daswatch.records.monitoring_record import Event

DEFAULT_EXCLUDED_USERS = frozenset({"rdsadmin", "rdssec", "rdsproxyadmin"})

# Where AWS has these users: `rdssec` belongs to RDS for Oracle, and RDS Proxy does not serve Oracle. On an engine that
# is not known here, AWS would have `rdsadmin`.
_PROXY_USER = "rdsproxyadmin"
_ENGINES_WITHOUT = {
    "rdsadmin": frozenset[str](),
    "rdssec": frozenset({"postgresql", "mysql", "sqlserver"}),
    _PROXY_USER: frozenset({"oracle"}),
}
AWS_USERS = frozenset(_ENGINES_WITHOUT)
# Oracle folds names to upper case; SQL Server compares by collation, which RDS installs without regard to case.
# Aurora PostgreSQL and Aurora MySQL distinguish `rdsadmin` from `RDSADMIN`.
_WITHOUT_CASE = frozenset({"oracle", "sqlserver"})

# What engines write for the host that they run on. These two write the path of a socket as well; with the others, what
# stands there can be the client's own word.
_NAMING_SOCKETS = frozenset({"postgresql", "mysql"})
_SOCKET = re.compile(r"(?:/[\w.-]{1,60}){0,6}/(?:\.s\.PGSQL\.\d{1,5}|[\w.-]{1,60}\.sock)")
_OWN_HOST = frozenset(
    {
        "localhost",
        "localhost.localdomain",
        "local",
        "[local]",
        "local machine",
        "<local machine>",
        "<named pipe>",
        "socket",
    }
)
# Where an RDS Proxy can be: it has addresses of the VPC's subnets (ranges that are never routed on the internet).
VPC_NETWORKS = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.19.0.0/16", "fc00::/7"))
)
# Commands of MySQL's protocol that have no statement.
_PINGS = frozenset({"PING", "RESET CONNECTION"})
# Controls, format characters such as the soft hyphen and the zero-width ones, and marks over letters.
_UNSEEN = frozenset({"Cc", "Cf", "Mn", "Me"})
# Of other scripts, what looks like a letter of AWS's names: Cyrillic, Greek, Armenian, Latin's own variants.
_LOOK_ALIKES = {
    ord(other): letter
    for letter, others in {
        "a": "\u0430\u03b1\u0251",
        "d": "\u0501",
        "e": "\u0435",
        "c": "\u0441\u03f2",
        "i": "\u0131\u0456\u03b9\u0269",
        "m": "\u043c",
        "n": "\u0578\u043f\u03b7",
        "o": "\u043e\u03bf\u0585",
        "p": "\u0440\u03c1",
        "r": "\u0433",
        "s": "\u0455",
        "x": "\u0445\u03c7",
        "y": "\u0443",
    }.items()
    for other in others
}
_LONGEST_NAME = 256  # characters: engines take 128 at most, and hosts have 253


class Noise(StrEnum):
    """Why an event is not indexed."""

    HEARTBEAT = "heartbeat"
    AWS_USER = "aws-user"


class Origin(StrEnum):
    """From where an event came that was dropped for its user's name."""

    LOCAL = "local"  # the database's own host
    PROXY = "proxy"  # an address of the VPC, with what a proxy's health check needs (daswatch/documents/proxies.py)
    UNREPORTED = "unreported"  # the engine does not say: SQL Server 2016, background work
    ANY = "any"  # a name that is not AWS's and was excluded by the setting, wherever it comes from


@dataclass(frozen=True, slots=True)
class ExcludedUser:
    """Whose event was dropped: the name as the setting has it, and the origin."""

    name: str
    origin: Origin


def read_user_names(listed: str) -> frozenset[str]:
    """User names separated by commas. AWS's are known in any case, others are kept as they are written."""
    names = (name.strip() for name in listed.split(","))
    return frozenset(name.lower() if name.lower() in AWS_USERS else name for name in names if name)


def has_watched_name(event: Event, engine: str, excluded: frozenset[str]) -> bool:
    """Whether the name of an event's user needs a look at all: those of nearly all users do not."""
    user = event.get("dbUserName")
    return isinstance(user, str) and len(user) <= _LONGEST_NAME and _is_watched(user, engine, excluded)


@lru_cache(maxsize=4096)
def _is_watched(user: str, engine: str, excluded: frozenset[str]) -> bool:
    return _reads_like_aws(user) or _listed(user, engine, excluded) is not None


def excluded_user(event: Event, engine: str, activity: Activity, excluded: frozenset[str]) -> ExcludedUser | None:
    """Whose event this is, if it is to be dropped. A failed login never is: it did not have that user's password."""
    user = event.get("dbUserName")
    if not isinstance(user, str) or activity is Activity.AUTH_FAILURE:
        return None
    name = _listed(user, engine, excluded)
    if name is None:
        return None
    if name not in AWS_USERS:
        return ExcludedUser(name, Origin.ANY)
    origin = _aws_origin(name, event, engine, activity)
    return ExcludedUser(name, origin) if origin else None


def is_foreign_use(event: Event, engine: str, activity: Activity) -> bool:
    """Whether an event came under a name of AWS's, or one that reads like it, and not as AWS uses that name."""
    user = event.get("dbUserName")
    if not isinstance(user, str) or activity is Activity.AUTH_FAILURE or not _reads_like_aws(user):
        return False
    name = _listed(user, engine, AWS_USERS)
    return name is None or _aws_origin(name, event, engine, activity) is None


def _listed(user: str, engine: str, names: frozenset[str]) -> str | None:
    """The name in `names` that this user has, by the engine's rules; None where AWS has no such user on that engine."""
    without_case = engine in _WITHOUT_CASE and user.isascii()
    for name in names:
        same = user == name or (without_case and user.upper() == name.upper())
        if same and engine not in _ENGINES_WITHOUT.get(name, ()):
            return name
    return None


def _reads_like_aws(user: str) -> bool:
    """Whether a reader takes a name for one of AWS's: without what is not seen, look-alikes as what they look like."""
    seen = "".join(c for c in unicodedata.normalize("NFKD", user) if unicodedata.category(c) not in _UNSEEN)
    return seen.casefold().translate(_LOOK_ALIKES).strip() in AWS_USERS


def _aws_origin(name: str, event: Event, engine: str, activity: Activity) -> Origin | None:
    """From where AWS works under this name, if this is AWS's work."""
    if name == _PROXY_USER and not _does_as_a_proxy(event, engine, activity):
        return None
    host = event.get("remoteHost")
    if host is None or host == "":
        return Origin.UNREPORTED
    if not isinstance(host, str) or len(host) > _LONGEST_NAME:
        return None
    if _is_own_host(host, event, engine):
        return Origin.LOCAL
    return Origin.PROXY if name == _PROXY_USER and _is_of_a_vpc(host) else None


def _is_own_host(host: str, event: Event, engine: str) -> bool:
    if _is_local_name(host) or (engine in _NAMING_SOCKETS and _SOCKET.fullmatch(host)):
        return True
    own = event.get("serverHost")
    if isinstance(own, str) and own and host.lower() == own.lower():
        return True
    # Oracle's bequeath connections exist only on its own host, whatever name that gives itself.
    protocol = event.get("netProtocol")
    return engine == "oracle" and isinstance(protocol, str) and protocol.lower() == "beq"


@lru_cache(maxsize=4096)
def _is_local_name(host: str) -> bool:
    if host.lower() in _OWN_HOST:
        return True
    address = _address(host)
    return address is not None and address.is_loopback


@lru_cache(maxsize=4096)
def _is_of_a_vpc(host: str) -> bool:
    address = _address(host)
    return address is not None and any(address in network for network in VPC_NETWORKS)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is given as; of IPv4 also where it is mapped into IPv6."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _does_as_a_proxy(event: Event, engine: str, activity: Activity) -> bool:
    """Whether this is a session of a proxy's health check, or a statement that one needs."""
    if activity in (Activity.CONNECT, Activity.DISCONNECT):
        return True
    if activity not in (Activity.DQL, Activity.OTHER, Activity.EXEC) or is_continuation(event, engine):
        return False
    named = event.get("objectName") or ""
    text = event.get("commandText") or ""
    if (
        not isinstance(named, str)
        or not isinstance(text, str)
        or (named and (engine not in TOPOLOGY or named.lower() not in TOPOLOGY[engine]))
    ):
        return False
    if event.get("class") == "AUX":
        return activity is Activity.DQL and text.lower() in TOPOLOGY.get(engine, ())
    if not text:
        return engine == "mysql" and event.get("command") in _PINGS
    return is_health_check(text, engine)
