"""Activity event -> flat document, its deterministic id and the index it belongs to.

A document keeps AWS's field names. Null, empty strings and empty lists are left out: the engines use all of them for
"nothing". What is not a field of the reference, or not of its type, is kept under `unknownFields`; what even that field
type cannot take (very long, very deep, very many) is kept as JSON text under `unknownFieldsText`. So no event can be
refused for its shape, and none loses a field.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol

from daswatch.canonical import canonical_json
from daswatch.documents.activity import WITHOUT_STATEMENT, Activity, activity_of, is_continuation, outcome_of
from daswatch.documents.actors import ActorTable
from daswatch.documents.budget import MAX_CONTINUATION, MAX_RECORD, MAX_STATEMENT, Budget
from daswatch.documents.flat_objects import LONG_MAX, LONG_MIN, split_fitting
from daswatch.documents.noise import DEFAULT_EXCLUDED_USERS, ExcludedUser, Noise, excluded_user, has_watched_name
from daswatch.documents.redaction import Redaction, read_statement, redacted
from daswatch.documents.signals import signals_of
from daswatch.hourly_indices import DAILY, HourlyIndices
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.records.envelope import StreamSource
from daswatch.records.monitoring_record import Event, MonitoringRecord, engine_of, is_heartbeat
from daswatch.sql.statements import CACHED_CHARACTERS, beginning

UNDATED = "undated"

# Activity streams exist since 2019. Another time is a broken clock's; it must not create an index for each such day.
_PLAUSIBLE_YEARS = range(2019, 2100)
_MILLISECOND = timedelta(milliseconds=1)


# All that AWS writes but Oracle's missing offset; `fromisoformat` takes more forms, and reads the rest.
_AWS_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?(?:\+00)?", re.ASCII)

_WHOLE_NUMBER = re.compile(r"-?\d{1,19}", re.ASCII)
_TEXT, _NUMBER, _TEXT_LIST, _NATIVE = range(4)
# AWS's fields by what they become. Identifiers are text for all engines: SQL Server's are hexadecimal, Oracle's exceed
# 32 bits, leading zeros count, and an SQLSTATE is not a number.
_FIELDS: dict[str, int] = {
    **dict.fromkeys(
        (
            "class",
            "clientApplication",
            "command",
            "commandText",
            "databaseName",
            "dbid",
            "dbProtocol",
            "dbUserName",
            "endTime",
            "errorMessage",
            "exitCode",
            "logTime",
            "netProtocol",
            "objectName",
            "objectType",
            "remoteHost",
            "remotePort",
            "serverHost",
            "serverType",
            "serverVersion",
            "serviceName",
            "sessionId",
            "startTime",
            "statementId",
            "transactionId",
            "type",
        ),
        _TEXT,
    ),
    **dict.fromkeys(("pid", "rowCount", "substatementId"), _NUMBER),
    "paramList": _TEXT_LIST,
    "engineNativeAuditFields": _NATIVE,
}
# A name, or a part of one, in any engine's quotes.
_QUOTED_NAME = re.compile(r'"(?:[^"]++|"")*+"?+|`(?:[^`]++|``)*+`?+|\[(?:[^\]]++|\]\])*+\]?+')
_LISTED_NAME = re.compile(r"(?:[^,`]++|`(?:[^`]++|``)*+`?+)++")  # a comma in quotes is a part of a name
# The end of SQL Server's message: what a client may choose, its user's name, stands before.
_CLIENT = re.compile(r"\[CLIENT: ([^\s\[\]]{1,100})\]\s*+\Z")
_LONG_NAME = 1_000  # characters
_LONGEST_HOST = 255  # characters


@dataclass(frozen=True, slots=True)
class Document:
    """An activity event as indexed: `source` is what OpenSearch keeps under `id` in `index`."""

    index: str
    id: str
    source: dict[str, Any]


class DatabaseNames(Protocol):
    """What databases are called (`daswatch.fleet.names`)."""

    def fields(self, account_id: str, region: str, resource_id: str, instance_id: str = "") -> Mapping[str, Any]:
        """The fields that a database's events have by its name: none, as long as it is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Flattening:
    """What is the same for all documents of an invocation. Times are ISO 8601 in UTC."""

    ingested_at: str
    index_prefix: str = DEFAULT_INDEX_PREFIX
    excluded_users: frozenset[str] = DEFAULT_EXCLUDED_USERS
    redaction: Redaction = Redaction.OFF
    actors: ActorTable = field(default_factory=ActorTable)
    characters: int = MAX_RECORD  # of the texts of one record that are looked into
    hourly: HourlyIndices = DAILY
    replayed_at: str = ""  # of what is opened again: when that was; `ingested_at` is when it arrived then
    names: DatabaseNames | None = None  # not a part of any id: an event has the same before its database is known

    def name_of(self, stream: StreamSource, instance_id: str = "") -> Mapping[str, Any]:
        """The fields that whatever is indexed of a database has by its name."""
        names = self.names
        return names.fields(stream.account_id, stream.region, stream.resource_id, instance_id) if names else {}


@dataclass(slots=True)
class Flattened:
    """The documents of one monitoring record; what was dropped, by reason, and by whose it was; how many events are
    nested too deep."""

    documents: list[Document] = field(default_factory=list)
    dropped: dict[Noise, int] = field(default_factory=dict)
    dropped_users: dict[ExcludedUser, int] = field(default_factory=dict)
    too_deep: int = 0


def flatten(
    record: MonitoringRecord, stream: StreamSource, version: str, arrived_at: str, flattening: Flattening
) -> Flattened:
    """All events of one monitoring record, in their order, as documents.

    `arrived_at` stands in as the time of events that have none of their own.
    """
    common = _common_fields(record, stream, version, flattening)
    instance = f"{stream.resource_id}/{record.instance_id}/".encode("utf-8", "replace")
    flattened = Flattened()
    # Without a time of its own by the month of arrival: an index that never ends could not be deleted either.
    undated = f"{UNDATED}-{arrived_at[:7].replace('-', '.')}"
    times_seen: dict[str, int] = {}
    budget = Budget(flattening.characters)
    size_of_unknown = len(canonical_json(record.unknown_fields)) if record.unknown_fields else 0
    for event in record.events:
        if is_heartbeat(event):
            _count(flattened.dropped, Noise.HEARTBEAT)
            continue
        engine = engine_of(event, version)
        text = event.get("commandText")
        length = len(text) if isinstance(text, str) else 0
        continued = is_continuation(event, engine)
        longest = MAX_CONTINUATION if continued else MAX_STATEMENT
        scanned = length <= longest and budget.takes(length)
        # What an event is, and whose, is looked at in any case.
        seen = event if scanned else {**event, "commandText": beginning(event["commandText"], _most(length, budget))}
        activity = activity_of(seen, engine)
        watched_name = has_watched_name(event, engine, flattening.excluded_users)
        if watched_name:
            user = excluded_user(seen, engine, activity, flattening.excluded_users)
            if user:
                _count(flattened.dropped, Noise.AWS_USER)
                flattened.dropped_users[user] = flattened.dropped_users.get(user, 0) + 1
                continue
        try:
            content = instance + canonical_json(event)
        except RecursionError:
            flattened.too_deep += 1
            continue
        moment, timestamp, note = _own_time(event)
        id_ = document_id(content, 0, moment)
        ordinal = times_seen.get(id_, 0)
        times_seen[id_] = ordinal + 1
        if ordinal:
            id_ = document_id(content, ordinal, moment)
        source = {
            "@timestamp": timestamp or arrived_at,
            "engine": engine,
            "activity": str(activity),
            "outcome": str(outcome_of(event, engine)),
            **common,
        }
        signals = signals_of(seen, engine, activity, flattening.excluded_users, watched_name=watched_name)
        if signals:
            source["signals"] = signals
        unknown = _copy_fields(event, source)
        if record.unknown_fields:
            if "monitoringRecord" in unknown:
                unknown["eventMonitoringRecord"] = unknown.pop("monitoringRecord")
            if budget.takes_values(size_of_unknown):
                unknown["monitoringRecord"] = record.unknown_fields
        if unknown:
            _keep_unknown(unknown, source)
        notes = [note] if note else []
        if not scanned:
            notes.append("statement-too-long")
        if continued:
            notes.append("statement-continued")
        if notes:
            source["ingestNotes"] = notes
        _derive(source, engine, activity, moment, budget, hashed=scanned and not continued)
        if actor := flattening.actors.actor_of(source):
            source["actor"] = actor
        source = redacted(source, engine, flattening.redaction, scanned=scanned, budget=budget)
        if budget.refused:
            source["ingestNotes"] = [*notes, "values-too-long"]
            budget.refused = False
        period = flattening.hourly.suffix(timestamp) if timestamp else undated
        flattened.documents.append(Document(f"{flattening.index_prefix}-{period}", id_, source))
    return flattened


def _most(length: int, budget: Budget) -> int:
    """How many characters are looked at of a statement that is not scanned as a whole."""
    return MAX_STATEMENT if length > MAX_STATEMENT and budget.takes(MAX_STATEMENT) else CACHED_CHARACTERS


def document_id(content: bytes, ordinal: int, moment: datetime | None) -> str:
    """22 characters: the second of the event, then 96 bits of its content's hash.

    `content` names the instance too; `ordinal` distinguishes equal events of one record. The time in front puts new ids
    behind old ones, so that OpenSearch need not look for them in segments of an earlier time
    (docs/decisions/0002-document-ids.md).
    """
    if ordinal:
        content += ordinal.to_bytes(4)
    second = int(moment.timestamp()) if moment else 0
    return urlsafe_b64encode(second.to_bytes(4) + blake2b(content, digest_size=12).digest()).decode("ascii")[:22]


def second_of(id_: str) -> int:
    """The second of an event by its document's id; 0 for one without a time."""
    return int.from_bytes(urlsafe_b64decode(id_[:8])[:4])


def _count(counts: dict[Noise, int], reason: Noise) -> None:
    counts[reason] = counts.get(reason, 0) + 1


def _common_fields(
    record: MonitoringRecord, stream: StreamSource, version: str, flattening: Flattening
) -> dict[str, Any]:
    fields = {
        **flattening.name_of(stream, record.instance_id),
        "resourceId": stream.resource_id,
        "awsAccountId": stream.account_id,
        "awsRegion": stream.region,
        "clusterId": record.cluster_id,
        "instanceId": record.instance_id,
        "version": version,
        "ingestedAt": flattening.ingested_at,
        "replayedAt": flattening.replayed_at,
    }
    return {name: value for name, value in fields.items() if value}


def _own_time(event: Event) -> tuple[datetime | None, str, str]:
    """The event's time, once as a moment and once as ISO 8601 with all its digits, or a note on why it has none."""
    text = event.get("logTime")
    if text is None or text == "":
        return None, "", "time-missing"
    moment = _moment(text)
    if moment is None:
        return None, "", "time-unreadable"
    if moment.year not in _PLAUSIBLE_YEARS:
        return None, "", "time-implausible"
    if _AWS_TIME.fullmatch(text):
        return moment, f"{text[:10]}T{text[11:].removesuffix('+00')}Z", ""
    return moment, f"{moment.replace(tzinfo=None).isoformat()}Z", ""


def _moment(text: object) -> datetime | None:
    """A point in time in UTC. Oracle gives none of an offset: its source column is EVENT_TIMESTAMP_UTC."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC:
            return moment
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _copy_fields(event: Event, source: dict[str, Any]) -> dict[str, Any]:
    """Copy AWS's fields in their documented types; returns those that are unknown or of no such type."""
    unknown: dict[str, Any] = {}
    for name, value in event.items():
        kind = _FIELDS.get(name)
        if kind == _TEXT and isinstance(value, str):
            if value:
                source[name] = value
            continue
        if value is None or value == "" or value == []:
            continue
        if kind == _TEXT:
            if isinstance(value, int) and not isinstance(value, bool):
                source[name] = str(value)
                continue
        elif kind == _NUMBER:
            number = _number(value)
            if number is not None:
                source[name] = number
                continue
        elif kind == _TEXT_LIST:
            source[name] = [_as_text(item) for item in value] if isinstance(value, list) else [_as_text(value)]
            continue
        elif kind == _NATIVE and isinstance(value, dict):
            value = {key: item for key, item in value.items() if item is not None and item != ""}
            if not value:
                continue
        unknown[name] = value
    return unknown


def _number(value: object) -> int | None:
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and LONG_MIN <= value <= LONG_MAX:
        return value
    return None


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value).decode()


def _derive(
    source: dict[str, Any], engine: str, activity: Activity, moment: datetime | None, budget: Budget, *, hashed: bool
) -> None:
    """Add what follows from AWS's fields. A statement is `hashed` where it is whole and may be scanned."""
    objects = _objects(source, engine, activity, budget)
    if objects:
        source["objects"] = objects
    host = source.get("remoteHost") or _client_in_text(source, engine)
    remote_ip = _ip(host) if len(host) <= _LONGEST_HOST else None
    if remote_ip:
        source["remoteIp"] = remote_ip
    text = source.get("commandText")
    if text and hashed and activity not in WITHOUT_STATEMENT and source.get("class") != "AUX":
        source["statementHash"] = read_statement(text, engine).hash
    duration = _duration_ms(source, engine, moment)
    if duration is not None:
        source["durationMs"] = duration


def _objects(source: Mapping[str, Any], engine: str, activity: Activity, budget: Budget) -> list[str]:
    """The tables and other objects an event names, in lower case, with their schema as far as the engine reports it.

    Aurora MySQL lists several in one string and leaves the schema to `databaseName`; Oracle gives the schema as
    `objectType`; SQL Server in its native fields, if these are on. Quoted names come without their quotes.
    """
    name = source.get("objectName")
    if not name or activity in WITHOUT_STATEMENT:
        return []
    count = 1
    schema = ""
    if engine == "mysql":
        count += name.count(",")
        schema = source.get("databaseName", "")
    elif engine == "oracle":
        schema = source.get("objectType", "")
    elif engine == "sqlserver" and source.get("class") != "SCHEMA":
        native = source.get("engineNativeAuditFields", {}).get("schema_name", "")
        schema = native if isinstance(native, str) else ""
    if (count > 1 or len(name) > _LONG_NAME) and not budget.takes_values(len(name) + len(schema) * count, count):
        return []
    quoted = '"' in name or "`" in name or "[" in name
    names = [name]
    if engine == "mysql":
        parts = (part[0] for part in _LISTED_NAME.finditer(name)) if quoted else name.split(",")
        names = [part for listed in parts if (part := listed.strip())]
    lowered = [_qualified(part, schema, engine, quoted=quoted).lower() for part in names]
    return lowered if len(lowered) < 2 else list(dict.fromkeys(lowered))


def _qualified(name: str, schema: str, engine: str, *, quoted: bool) -> str:
    """A name with its schema and without quotes; a dot in quotes is a part of a name.

    Oracle and SQL Server give a bare name and its schema apart, so that each dot is a part of the name.
    """
    bare = _QUOTED_NAME.sub(_within_quotes, name) if quoted else name
    if not schema:
        return bare
    if engine == "mysql":
        has_schema = "." in (_QUOTED_NAME.sub("", name) if quoted else name)
    else:
        has_schema = bare.lower().startswith(f"{schema.lower()}.")
    return bare if has_schema else f"{schema}.{bare}"


def _within_quotes(match: re.Match[str]) -> str:
    closing = "]" if match[0][0] == "[" else match[0][0]
    return match[0][1:].removesuffix(closing).replace(closing * 2, closing)


def _client_in_text(source: Mapping[str, Any], engine: str) -> str:
    """The client's address at the end of a login's text, for SQL Server 2016, which has no field for it."""
    if engine != "sqlserver" or source.get("class") != "LOGIN":
        return ""
    found = _CLIENT.search(source.get("commandText", ""))
    return found[1] if found else ""


@lru_cache(maxsize=4096)
def _ip(host: str) -> str | None:
    """The address, if `remoteHost` is one: it may as well be a name, `localhost`, `[local]` or `local machine`."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        if address.scope_id:
            return str(IPv6Address(int(address)))
    return str(address)


def _duration_ms(source: Mapping[str, Any], engine: str, moment: datetime | None) -> float | None:
    """How long a statement ran, in ms. MySQL gives its end; PostgreSQL logs an event (`moment`) when it has run."""
    start = source.get("startTime")
    if not start:
        return None
    begun = _moment(start)
    ended = moment if engine == "postgresql" else _moment(source.get("endTime"))
    if begun is None or ended is None or ended < begun:
        return None
    return (ended - begun) / _MILLISECOND


def _keep_unknown(unknown: dict[str, Any], source: dict[str, Any]) -> None:
    """Put what has no field of its own where it fits; `engineNativeAuditFields` keeps its own flat_object."""
    native = unknown.pop("engineNativeAuditFields", None)
    too_large: dict[str, Any] = {}
    for name, fields in (("engineNativeAuditFields", native), ("unknownFields", unknown)):
        if fields is None or fields == {}:
            continue
        if not isinstance(fields, dict):
            too_large[name] = fields
            continue
        fitting, rest = split_fitting(fields)
        if fitting:
            source[name] = fitting
        if rest:
            too_large[name] = rest
    if too_large:
        source["unknownFieldsText"] = canonical_json(too_large).decode()
