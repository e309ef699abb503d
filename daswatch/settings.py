"""Settings: one table of all, and the environment read by it. All problems are reported at once, each by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from daswatch.documents.activity import Activity
from daswatch.documents.noise import DEFAULT_EXCLUDED_USERS, read_user_names
from daswatch.documents.redaction import Redaction
from daswatch.errors import SettingsError
from daswatch.hourly_indices import DAILY, LOOKS_LIKE, HourlyIndices
from daswatch.indices import DEFAULT_INDEX_PREFIX, problem_of
from daswatch.records.limits import MAX_DATA_KEY_AGE_SECONDS, MAX_DATA_KEYS, MAX_PLAINTEXT_BYTES

_ACCOUNT_ID = re.compile(r"\d{12}", re.ASCII)
_REGION = re.compile(r"[a-z]{2,6}(?:-[a-z]{2,12}){1,2}-\d", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

DEFAULT_EVENT_TAGS = ("env", "team", "data-classification")

SearchAuth = Literal["sigv4", "basic", "none"]
Service = Literal["es", "aoss"]  # a domain, or a Serverless collection
_EnumT = TypeVar("_EnumT", bound=StrEnum)


class Reader(StrEnum):
    """Who reads a setting."""

    INGEST = "ingest"
    FINDINGS = "findings"
    SETUP = "setup"  # `daswatch setup` and `daswatch doctor` read the same
    FIREHOSE = "Firehose transformation"
    POSTURE = "posture"  # `daswatch inventory` and `daswatch posture` read the same
    ENROLMENT = "enrolment"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable of the environment. `shown` is the default in words, where it depends on another setting."""

    name: str
    meaning: str
    read_by: frozenset[Reader]
    default: str = ""
    required: bool = False
    shown: str = ""


def _settings(*readers: Reader, **meanings: str | tuple[str, str]) -> Iterator[Setting]:
    """Settings of some readers: a meaning, or the default and a meaning; a default in words begins with `~`."""
    for name, given in meanings.items():
        default, meaning = given if isinstance(given, tuple) else ("", given)
        required = default == _REQUIRED
        shown = default[1:] if default.startswith("~") else ""
        yield Setting(name, meaning, frozenset(readers), "" if required or shown else default, required, shown)


_REQUIRED = "required"
_INGEST, _FINDINGS, _SETUP, _FIREHOSE, _POSTURE, _ENROLMENT, _REPLAY = Reader
SETTINGS = {
    setting.name: setting
    for setting in (
        *_settings(
            _INGEST,
            _FINDINGS,
            _SETUP,
            _POSTURE,
            _ENROLMENT,
            _REPLAY,
            OPENSEARCH_ENDPOINT=(_REQUIRED, "URL of the domain or collection"),
            OPENSEARCH_AUTH=("sigv4", "`sigv4`, `basic` (with `OPENSEARCH_SECRET_ARN`) or `none`"),
            OPENSEARCH_SERVICE=("es", "`es`, or `aoss` for a Serverless collection"),
            OPENSEARCH_REGION=("~the function's own", "region of the endpoint, for which requests are signed"),
            OPENSEARCH_SECRET_ARN='ARN of a secret `{"username": …, "password": …}`',
            OPENSEARCH_CA_BUNDLE="path of a CA bundle",
            INDEX_PREFIX=(
                DEFAULT_INDEX_PREFIX,
                "indices are named `PREFIX-YYYY.MM.DD`, by the event's own day. It ends in `-events`; the part "
                "before names everything else",
            ),
        ),
        *_settings(
            _INGEST,
            _SETUP,
            _REPLAY,
            INDEX_HOURLY="days whose events have an index for each hour ([sizing](sizing.md))",
        ),
        *_settings(
            _INGEST,
            _FINDINGS,
            _POSTURE,
            _ENROLMENT,
            _REPLAY,
            DEAD_LETTER_BUCKET=(_REQUIRED, "S3 bucket for dead letters, which stay encrypted"),
        ),
        *_settings(
            _INGEST,
            _FINDINGS,
            _FIREHOSE,
            _REPLAY,
            REDACT=("off", "`literals`: `?` for each literal and parameter. `hash`: no SQL, only `statementHash`"),
        ),
        *_settings(
            _INGEST,
            _FINDINGS,
            _POSTURE,
            _REPLAY,
            EVENT_TAGS=(
                ",".join(DEFAULT_EVENT_TAGS),
                "tags of a database that its events and alerts carry, as `databaseTags`, separated by commas",
            ),
        ),
        *_settings(
            _INGEST,
            _FIREHOSE,
            _REPLAY,
            EXCLUDED_USERS=(
                ",".join(sorted(DEFAULT_EXCLUDED_USERS)),
                "users whose events are dropped. AWS's own names only as AWS uses them "
                "([decision 23](decisions/0023-names-of-awss-users.md)); others from any origin, case-sensitive except "
                "on Oracle and SQL Server. Failed logins are kept",
            ),
            MAX_PLAINTEXT_BYTES=(str(MAX_PLAINTEXT_BYTES), "maximum decompressed size of a record"),
            MAX_DATA_KEYS=(str(MAX_DATA_KEYS), "data keys kept in memory"),
            MAX_DATA_KEY_AGE_SECONDS=(str(MAX_DATA_KEY_AGE_SECONDS), "seconds that each is kept"),
        ),
        *_settings(
            _INGEST,
            _FIREHOSE,
            _REPLAY,
            ACTORS="path of the compiled table of [actors](detections.md#actors); without it, events have no actor",
        ),
        *_settings(
            _INGEST,
            ROWS_DELIVERY_STREAM="a Firehose that gets each event as a row ([rows](rows.md)); none without it",
            ROWS_ACTIVITIES=("~all", "activities whose rows are delivered, separated by commas"),
            ROWS_PER_RECORD=("1", "rows of one activity in a Firehose record, for a delivery stream that splits them"),
        ),
        *_settings(
            _INGEST,
            LOOK_FUNCTION_ARN="function that is asked to look at once at events which may be high or critical on their "
            "own ([prompt looks](detections.md#prompt-looks)); without it, the schedule alone looks. Not for a "
            "Serverless collection",
        ),
        *_settings(
            _INGEST,
            _FINDINGS,
            _SETUP,
            DETECTIONS=("detections.json", "path of the compiled detections"),
        ),
        *_settings(
            _FINDINGS,
            _SETUP,
            DASHBOARDS_URL=(
                "~`ENDPOINT/_dashboards`",
                "target of the links in findings, and where saved objects are installed",
            ),
        ),
        *_settings(
            _FINDINGS,
            _POSTURE,
            SECURITY_HUB=("true", "`false`: no findings; alerts, messages and verdicts only"),
            FINDINGS_ROLE="name of a role in the accounts of the databases; findings are imported there",
        ),
        *_settings(
            _FINDINGS,
            _ENROLMENT,
            ALERT_TOPIC_ARN="SNS topic that receives one message for each new alert",
        ),
        *_settings(
            _FINDINGS,
            FINDINGS_SQL=("false", "`true`: SQL samples in findings, redacted by `REDACT`"),
        ),
        *_settings(
            _SETUP,
            DASHBOARDS_TENANT=("global", "tenant whose saved objects are installed"),
            INGEST_ROLE_ARN="IAM role that gets the ingest function's role in OpenSearch",
            FINDINGS_ROLE_ARN="IAM role that gets the findings function's role in OpenSearch",
            POSTURE_ROLE_ARN="IAM role that gets the posture function's role in OpenSearch",
            ENROLMENT_ROLE_ARN="IAM role that gets the enrolment function's role in OpenSearch",
            REPLAY_ROLE_ARN="IAM role that gets the replay function's role in OpenSearch",
            AUDIT_LOGS=(
                "false",
                "`true`: the audit log of the Security plugin is enabled, without request bodies "
                "([more](deploy.md#audit-log-of-opensearch))",
            ),
            MONITORS=("true", "`false`: no monitors; the schedule alone runs the detections"),
            MONITOR_TOPIC_ARN="SNS topic that monitors notify",
            CHANNEL_ROLE_ARN="the role that OpenSearch assumes for it",
            INDEX_SHARDS=(
                "~as installed",
                "primary shards of a day ([more](deploy.md#shards-copies-and-refresh))",
            ),
            INDEX_REPLICAS=("~as installed", "a number, `auto` or `domain`"),
            INDEX_WRITE_COPIES=("~as installed", "copies that acknowledge a write: a number, or `all`"),
            INDEX_REFRESH_SECONDS=("~as installed", "seconds until an event is found"),
            INDEX_CODEC=("~as installed", "compression: `default`, `best_compression`, `zstd` or `zstd_no_dict`"),
            BACKUP_BUCKET=(_REQUIRED, "where the setup function keeps what it replaces"),
        ),
        *_settings(
            _FIREHOSE,
            OUTPUT_FORM=("s3", "`s3`, `splunk` or `opensearch` ([Firehose](firehose.md))"),
            COMPRESS=("none", "`none` or `gzip`"),
            ACTIVITIES=("~all", "activities that are delivered, separated by commas"),
        ),
        *_settings(
            _POSTURE,
            FLEET_ACCOUNTS=("~its own", "accounts that are looked at, separated by commas; `organization`: all of it"),
            FLEET_REGIONS=("~all enabled", "regions that are looked at, separated by commas"),
            FLEET_ROLE="name of a role in the other accounts, which looks at their databases",
            DEMAND_SYNC=("false", "`true`: an asynchronous stream is not enough"),
        ),
        *_settings(
            _POSTURE,
            _ENROLMENT,
            EVIDENCE_BUCKET="S3 bucket of the encrypted records; none are kept without it",
        ),
        *_settings(
            _ENROLMENT,
            DATABASES=(
                _REQUIRED,
                "databases to watch, separated by commas: names like `cluster:orders`, tags like `tag:daswatch=on`, or "
                "`all`",
            ),
            STREAM_KEY_ARN=(_REQUIRED, "KMS key of the activity streams that are started"),
            STREAM_MODE=("async", "`async`, `sync`, or `auto`: async, or sync if the engine supports only that"),
            NATIVE_AUDIT_FIELDS=("false", "`true`: with the engine-native audit fields of Oracle and SQL Server"),
            ON_DESELECTION=(
                "keep",
                "what happens to a database with a stream that is no longer selected. `keep`: it is read as long as "
                "its stream is on; `release`: it is not read any more; `stop`: its stream is stopped as well, if "
                "enrolment started it",
            ),
            RESOURCE_PREFIX=("daswatch", "what the names of delivery streams begin with"),
            INGEST_FUNCTION_ARN=(_REQUIRED, "function that reads the streams"),
            EVIDENCE_DAYS=("400", "days that they are kept"),
            DELIVERY_ROLE_ARN="IAM role of the delivery streams",
            DATA_KEY_ARN="KMS key of the buckets",
            DELIVERY_LOG_GROUP="log group of the delivery streams",
            SPLUNK_ENDPOINT="URL of an HTTP Event Collector; nothing is forwarded without it",
            SPLUNK_SECRET_ARN='ARN of its secret `{"hec_token": …}`',
            TRANSFORM_FUNCTION_ARN="function that transforms records for Splunk",
        ),
        *_settings(
            *Reader,
            POWERTOOLS_METRICS_NAMESPACE=("Daswatch", "namespace of the function's CloudWatch metrics"),
        ),
    )
}


class Environment:
    """Reads settings from a mapping and collects what is wrong, so that one error names everything.

    A default is that of the table. Raises KeyError for a name that is not in it.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[str] = []

    def optional(self, name: str, default: str | None = None) -> str:
        """The value, or the default where it is missing or blank."""
        known = SETTINGS[name].default
        return self._variables.get(name, "").strip() or (known if default is None else default)

    def has(self, name: str) -> bool:
        """Whether it is set at all, to nothing included."""
        return name in self._variables

    def required(self, name: str, looks_like: str) -> str:
        """The value; a problem where it is missing. `looks_like` says what it should be."""
        value = self.optional(name)
        if not value:
            self.problem(name, "is missing", looks_like)
        return value

    def choice(self, name: str, kinds: type[_EnumT]) -> _EnumT:
        """One of an enumeration's values."""
        value = self.optional(name)
        if value not in {kind.value for kind in kinds}:
            self.problem(name, "is unknown", " or ".join(kind.value for kind in kinds))
            return kinds(SETTINGS[name].default)
        return kinds(value)

    def whole_number(self, name: str, smallest: int, largest: int) -> int:
        """A number within bounds; 0 where there is no default."""
        value = self.optional(name)
        if not value:
            return 0
        if not (value.isascii() and value.isdigit() and len(value) < 19) or not smallest <= int(value) <= largest:
            self.problem(name, "is not a number", f"{smallest} to {largest}")
            return smallest
        return int(value)

    def flag(self, name: str) -> bool:
        """`true` or `false`."""
        value = self.optional(name).lower()
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
        environment.problem(name, "is not a valid bucket name", "my-dead-letters")
    return bucket


def read_index_prefix(environment: Environment) -> str:
    """INDEX_PREFIX: all that the deployment owns is named by it (`daswatch.indices`)."""
    prefix = environment.optional("INDEX_PREFIX")
    what, looks_like = problem_of(prefix)
    if what:
        environment.problem("INDEX_PREFIX", what, looks_like)
        return DEFAULT_INDEX_PREFIX
    return prefix


def read_excluded_users(environment: Environment) -> frozenset[str]:
    """EXCLUDED_USERS: whose events are noise."""
    return read_user_names(environment.optional("EXCLUDED_USERS"))


def read_event_tags(environment: Environment) -> tuple[str, ...]:
    """EVENT_TAGS: the tags of databases that their events carry."""
    tags = _listed(environment.optional("EVENT_TAGS"))
    if any("=" in name or "*" in name for name in tags):
        environment.problem("EVENT_TAGS", "is not a list of the names of tags", ",".join(DEFAULT_EVENT_TAGS))
    return tags


def read_hourly_indices(environment: Environment) -> HourlyIndices:
    """INDEX_HOURLY: the days whose events are in an index for each hour; none without it."""
    try:
        return HourlyIndices.parse(environment.optional("INDEX_HOURLY"))
    except ValueError:
        environment.problem("INDEX_HOURLY", "is not a list of days in their order", LOOKS_LIKE)
        return DAILY


def read_activities(environment: Environment, name: str) -> frozenset[Activity]:
    """A list of activities, in any case, AUTH_FAILURE as well as AUTH FAILURE; all where there is none."""
    listed = environment.optional(name).upper().replace("_", " ").split(",")
    wanted = {part.strip() for part in listed if part.strip()}
    if not wanted <= set(Activity):
        environment.problem(name, "names an unknown activity", ", ".join(Activity))
        return frozenset(Activity)
    return frozenset(Activity(part) for part in wanted) or frozenset(Activity)


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a stream is read: what is dropped and redacted, and what may be kept in memory."""

    excluded_users: frozenset[str] = DEFAULT_EXCLUDED_USERS
    redaction: Redaction = Redaction.OFF
    actors: str = ""  # path of the compiled table
    max_plaintext_bytes: int = MAX_PLAINTEXT_BYTES
    max_data_keys: int = MAX_DATA_KEYS
    max_data_key_age_seconds: int = MAX_DATA_KEY_AGE_SECONDS

    @classmethod
    def read(cls, environment: Environment) -> StreamSettings:
        """From EXCLUDED_USERS, REDACT, ACTORS, MAX_PLAINTEXT_BYTES, MAX_DATA_KEYS and MAX_DATA_KEY_AGE_SECONDS."""
        return cls(
            excluded_users=read_excluded_users(environment),
            redaction=environment.choice("REDACT", Redaction),
            actors=environment.optional("ACTORS"),
            max_plaintext_bytes=environment.whole_number("MAX_PLAINTEXT_BYTES", 1024, 1024**3),
            max_data_keys=environment.whole_number("MAX_DATA_KEYS", 1, 100_000),
            max_data_key_age_seconds=environment.whole_number("MAX_DATA_KEY_AGE_SECONDS", 1, 86_400),
        )


ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class FleetScope:
    """Which databases are looked at, and what is demanded of them.

    Without `accounts` it is our own account, without `regions` all that are enabled.
    """

    accounts: tuple[str, ...] = ()
    organization: bool = False
    regions: tuple[str, ...] = ()
    role: str = ""
    demands_sync: bool = False

    @classmethod
    def read(cls, environment: Environment) -> FleetScope:
        """From FLEET_ACCOUNTS, FLEET_REGIONS, FLEET_ROLE and DEMAND_SYNC."""
        accounts = _listed(environment.optional("FLEET_ACCOUNTS"))
        organization = accounts == (ORGANIZATION,)
        if not organization and not all(_ACCOUNT_ID.fullmatch(one) for one in accounts):
            environment.problem("FLEET_ACCOUNTS", "is unknown", "ids of 12 digits, or organization")
        regions = _listed(environment.optional("FLEET_REGIONS"))
        if not all(_REGION.fullmatch(one) for one in regions):
            environment.problem("FLEET_REGIONS", "is unknown", "eu-west-1,us-east-1")
        role = environment.optional("FLEET_ROLE")
        if (organization or len(accounts) > 1) and not role:
            environment.problem("FLEET_ROLE", "is missing", "the name of a role in the other accounts")
        return cls(() if organization else accounts, organization, regions, role, environment.flag("DEMAND_SYNC"))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port that is not a number
        return False


@dataclass(frozen=True, slots=True)
class SearchEndpoint:
    """Where OpenSearch is and how to sign in there."""

    url: str
    auth: SearchAuth = "sigv4"
    service: Service = "es"
    secret_arn: str = ""
    ca_bundle: str = ""
    region: str = ""  # empty: that of the session

    @classmethod
    def read(cls, environment: Environment) -> SearchEndpoint:
        """From OPENSEARCH_ENDPOINT, _AUTH, _SERVICE, _REGION, _SECRET_ARN and _CA_BUNDLE."""
        url = environment.required("OPENSEARCH_ENDPOINT", "https://…, the domain's or collection's endpoint")
        if url and not _is_http(url):
            environment.problem("OPENSEARCH_ENDPOINT", "is not a URL", "https://…")
        auth = environment.optional("OPENSEARCH_AUTH")
        if auth not in ("sigv4", "basic", "none"):
            environment.problem("OPENSEARCH_AUTH", "is unknown", "sigv4, basic or none")
        service = environment.optional("OPENSEARCH_SERVICE")
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
            region=environment.optional("OPENSEARCH_REGION"),
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
            environment.problem("DASHBOARDS_URL", "is not a URL", "https://…, up to and including /_dashboards")
        return cls(url.rstrip("/"), environment.optional("DASHBOARDS_TENANT"))
