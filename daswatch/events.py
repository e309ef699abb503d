"""The monitoring record's JSON -> activity events, for all engines.

What a producer adds is kept: unknown fields of the monitoring record travel with its events. What cannot be read is
told as a flaw and the rest goes on, so that one bad entry does not hide its neighbours.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import orjson

from daswatch.errors import MonitoringRecordError, Reason

MONITORING_RECORD_TYPE = "DatabaseActivityMonitoringRecord"

# One entry of a monitoring record's list, by AWS's field names. Its values are foreign: any JSON may stand anywhere.
Event = dict[str, Any]

# The envelope's version is the only other hint: AWS numbers the format by the engine that needed it.
_ENGINE_OF_VERSION = {
    "1.0": "postgresql",
    "1.1": "postgresql",
    "1.2": "mysql",
    "1.3": "oracle",
    "1.4": "sqlserver",
}
_RECORD_FIELDS = frozenset({"type", "clusterId", "instanceId", "databaseActivityEventList"})
_LONG_DIGITS = 18  # as many as always fit into 64 bits
_UNPAIRED_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class MonitoringRecord:
    """What one stream record said about one instance; `flaws` counts the entries that are no events."""

    cluster_id: str
    instance_id: str
    events: list[Event]
    unknown_fields: Event
    flaws: int


def read_monitoring_record(plaintext: bytes) -> MonitoringRecord:
    """Parse a decrypted payload.

    Unpaired surrogates, raw control characters, NaN and bytes that are not UTF-8 are read with a replacement instead of
    being refused: engines write what clients send. Raises MonitoringRecordError.
    """
    try:
        record = orjson.loads(plaintext)
    except orjson.JSONDecodeError:
        record = _read_tolerantly(plaintext)
    if not isinstance(record, dict):
        raise MonitoringRecordError(Reason.NOT_A_MONITORING_RECORD, "the payload is not a JSON object")
    if record.get("type") != MONITORING_RECORD_TYPE:
        raise MonitoringRecordError(Reason.ANOTHER_TYPE, f"the payload's type is not {MONITORING_RECORD_TYPE}")
    entries = record.get("databaseActivityEventList")
    if not isinstance(entries, list):
        raise MonitoringRecordError(Reason.EVENTS_NOT_A_LIST, "databaseActivityEventList is not a list")
    events = [entry for entry in entries if isinstance(entry, dict)]
    return MonitoringRecord(
        cluster_id=_text(record.get("clusterId")),
        instance_id=_text(record.get("instanceId")),
        events=events,
        unknown_fields={name: value for name, value in record.items() if name not in _RECORD_FIELDS},
        flaws=len(entries) - len(events),
    )


def engine_of(event: Event, version: str) -> str:
    """The engine by `serverType` in any case; by the envelope's version where that is missing; else `unknown`.

    An engine that we do not know yet keeps the name it gives itself.
    """
    server_type = event.get("serverType")
    if isinstance(server_type, str) and server_type:
        return server_type.lower()
    return _ENGINE_OF_VERSION.get(version, "unknown")


def is_heartbeat(event: Event) -> bool:
    """Whether an event is the instance's sign of life. Oracle's events have no type at all: those are records."""
    return event.get("type") == "heartbeat"


def _read_tolerantly(plaintext: bytes) -> Any:
    text = plaintext.decode("utf-8", errors="replace")
    try:
        # NaN and the infinities, which JSON does not have, and numbers that no type holds are kept as text.
        loose = json.loads(text, strict=False, parse_constant=str, parse_int=_integer, parse_float=_decimal)
        paired = _UNPAIRED_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", json.dumps(loose, ensure_ascii=False))
        return orjson.loads(paired)
    except (ValueError, RecursionError) as exc:
        raise MonitoringRecordError(
            Reason.NOT_A_MONITORING_RECORD, f"{len(plaintext)} bytes that are not JSON, or nested too deep"
        ) from exc


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONG_DIGITS else digits


def _decimal(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
