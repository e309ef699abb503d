"""Environment -> values, for every function and the command line. All problems are told at once, each by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from daswatch.documents.activity import Activity
from daswatch.documents.noise import DEFAULT_EXCLUDED_USERS, read_user_names
from daswatch.errors import SettingsError
from daswatch.hourly import DAILY, LOOKS_LIKE, HourlyIndices
from daswatch.indices import DEFAULT_INDEX_PREFIX, problem_of

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

SearchAuth = Literal["sigv4", "basic", "none"]
Service = Literal["es", "aoss"]  # a domain, or a Serverless collection
_EnumT = TypeVar("_EnumT", bound=StrEnum)


class Environment:
    """Reads settings from a mapping and collects what is wrong, so that one error tells everything."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[str] = []

    def optional(self, name: str, default: str = "") -> str:
        """The value, or the default where it is missing or blank."""
        return self._variables.get(name, "").strip() or default

    def has(self, name: str) -> bool:
        """Whether it is set at all, to nothing included."""
        return name in self._variables

    def required(self, name: str, looks_like: str) -> str:
        """The value; a problem where it is missing. `looks_like` says what it should be."""
        value = self.optional(name)
        if not value:
            self.problem(name, "is missing", looks_like)
        return value

    def choice(self, name: str, kinds: type[_EnumT], default: _EnumT) -> _EnumT:
        """One of an enumeration's values."""
        value = self.optional(name, default.value)
        if value not in {kind.value for kind in kinds}:
            self.problem(name, "is unknown", " or ".join(kind.value for kind in kinds))
            return default
        return kinds(value)

    def whole_number(self, name: str, default: int, smallest: int, largest: int) -> int:
        """A number within bounds."""
        value = self.optional(name, str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 19) or not smallest <= int(value) <= largest:
            self.problem(name, "is no such number", f"{smallest} to {largest}")
            return default
        return int(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """`true` or `false`."""
        value = self.optional(name, str(default).lower()).lower()
        if value not in ("true", "false"):
            self.problem(name, "is unknown", "true or false")
        return value == "true"

    def problem(self, name: str, what: str, looks_like: str) -> None:
        """Note what is wrong. The value itself is not quoted: it may be a secret in the wrong place."""
        self.problems.append(f"{name} {what} (expected: {looks_like})")

    def check(self) -> None:
        """Raises SettingsError with everything noted so far."""
        if self.problems:
            raise SettingsError(self.problems)


def read_bucket(environment: Environment, name: str) -> str:
    """The name of a bucket that must be there."""
    bucket = environment.required(name, "the name of an S3 bucket")
    if bucket and not _BUCKET.fullmatch(bucket):
        environment.problem(name, "is no bucket name", "my-dead-letters")
    return bucket


def read_index_prefix(environment: Environment) -> str:
    """INDEX_PREFIX: all that the deployment owns is named by it (`daswatch.indices`)."""
    prefix = environment.optional("INDEX_PREFIX", DEFAULT_INDEX_PREFIX)
    what, looks_like = problem_of(prefix)
    if what:
        environment.problem("INDEX_PREFIX", what, looks_like)
        return DEFAULT_INDEX_PREFIX
    return prefix


def read_excluded_users(environment: Environment) -> frozenset[str]:
    """EXCLUDED_USERS: whose events are noise."""
    return read_user_names(environment.optional("EXCLUDED_USERS", ",".join(sorted(DEFAULT_EXCLUDED_USERS))))


def read_hourly_indices(environment: Environment) -> HourlyIndices:
    """INDEX_HOURLY: the days whose events are in an index for each hour; none without it."""
    try:
        return HourlyIndices.parse(environment.optional("INDEX_HOURLY"))
    except ValueError:
        environment.problem("INDEX_HOURLY", "is no list of days in their order", LOOKS_LIKE)
        return DAILY


def read_activities(environment: Environment, name: str) -> frozenset[Activity]:
    """A list of activities, in any case, AUTH_FAILURE as well as AUTH FAILURE; all where there is none."""
    listed = environment.optional(name).upper().replace("_", " ").split(",")
    wanted = {part.strip() for part in listed if part.strip()}
    if not wanted <= set(Activity):
        environment.problem(name, "names an unknown activity", ", ".join(Activity))
        return frozenset(Activity)
    return frozenset(Activity(part) for part in wanted) or frozenset(Activity)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port that is no number
        return False


@dataclass(frozen=True, slots=True)
class SearchEndpoint:
    """Where OpenSearch is and how to sign in there."""

    url: str
    auth: SearchAuth = "sigv4"
    service: Service = "es"
    secret_arn: str = ""
    ca_bundle: str = ""

    @classmethod
    def read(cls, environment: Environment) -> SearchEndpoint:
        """From OPENSEARCH_ENDPOINT, _AUTH, _SERVICE, _SECRET_ARN and _CA_BUNDLE."""
        url = environment.required("OPENSEARCH_ENDPOINT", "https://…, the domain's or collection's endpoint")
        if url and not _is_http(url):
            environment.problem("OPENSEARCH_ENDPOINT", "is no URL", "https://…")
        auth = environment.optional("OPENSEARCH_AUTH", "sigv4")
        if auth not in ("sigv4", "basic", "none"):
            environment.problem("OPENSEARCH_AUTH", "is unknown", "sigv4, basic or none")
        service = environment.optional("OPENSEARCH_SERVICE", "es")
        if service not in ("es", "aoss"):
            environment.problem("OPENSEARCH_SERVICE", "is unknown", "es (a domain) or aoss (a Serverless collection)")
        secret_arn = environment.optional("OPENSEARCH_SECRET_ARN")
        if auth == "basic" and not secret_arn.startswith("arn:"):
            environment.problem(
                "OPENSEARCH_SECRET_ARN", "is needed for OPENSEARCH_AUTH=basic", "arn:aws:secretsmanager:…"
            )
        return cls(
            url=url.rstrip("/"),
            auth=auth if auth in ("basic", "none") else "sigv4",  # type: ignore[arg-type]
            service="aoss" if service == "aoss" else "es",
            secret_arn=secret_arn,
            ca_bundle=environment.optional("OPENSEARCH_CA_BUNDLE"),
        )


@dataclass(frozen=True, slots=True)
class DashboardsEndpoint:
    """Where OpenSearch Dashboards is; it is signed in to as OpenSearch is."""

    url: str
    tenant: str = "global"  # of the Security plugin: whose saved objects are meant

    @classmethod
    def read(cls, environment: Environment, search: SearchEndpoint) -> DashboardsEndpoint:
        """From DASHBOARDS_URL, where domains and collections have theirs by default, and DASHBOARDS_TENANT."""
        url = environment.optional("DASHBOARDS_URL", f"{search.url}/_dashboards")
        if search.url and not _is_http(url):
            environment.problem("DASHBOARDS_URL", "is no URL", "https://…, up to and including /_dashboards")
        return cls(url.rstrip("/"), environment.optional("DASHBOARDS_TENANT", "global"))
