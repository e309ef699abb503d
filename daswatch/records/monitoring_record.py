"""The monitoring record's JSON -> activity events, for all engines.

What a producer adds is kept: unknown fields of the monitoring record travel with its events. What cannot be read is
counted as a flaw and the rest goes on, so that one bad entry does not hide its neighbours.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
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
_INTEGERS = range(-(2**63), 2**64)  # what orjson reads and writes exactly
_INTEGER_CHARACTERS = 20  # of the longest of them
# A number of 15 digits is the same after a float has held it, so only longer ones are looked for: what a number is made
# of becomes 0, what may stand in front of one a space, and all else x.
_SHAPES = bytes(
    ord("0" if chr(byte) in "0123456789." else " " if chr(byte) in " \t\n\r:,[-" else "x") for byte in range(256)
)
_LONG_NUMBER = b" " + b"0" * 16
_EXACT_CHARACTERS = 40  # a number in more characters is kept as text unread
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
    being refused: engines write what clients send. A number that no type holds with all its digits is kept as text.
    Raises MonitoringRecordError.
    """
    try:
        record = orjson.loads(plaintext)
    except orjson.JSONDecodeError:
        record = _read_tolerantly(plaintext)
    else:
        if _LONG_NUMBER in plaintext.translate(_SHAPES) and _has_float(record):
            # orjson reads an integer past 64 bits as a float too: two events that differ there would be one document.
            record = _read_exactly(plaintext, record)
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


def _read_exactly(plaintext: bytes, otherwise: Any) -> Any:
    """The record with all digits; what is nested deeper than the other reader goes stays as it was read."""
    try:
        return _read_tolerantly(plaintext)
    except MonitoringRecordError:
        return otherwise


def _has_float(value: object) -> bool:
    """Whether there is a float anywhere: most long numbers stand in SQL text."""
    waiting = [value]
    while waiting:
        container = waiting.pop()
        match container:
            case dict():
                values: Collection[object] = container.values()
            case list():
                values = container
            case _:
                continue
        types = set(map(type, values))
        if float in types:
            return True
        if dict in types or list in types:
            waiting += [item for item in values if isinstance(item, (dict, list))]
    return False


def _integer(digits: str) -> int | str:
    if len(digits) > _INTEGER_CHARACTERS:
        return digits
    number = int(digits)
    return number if number in _INTEGERS else digits


def _decimal(digits: str) -> float | str:
    """The float, if it is written with the same digits; otherwise the text."""
    if len(digits) > _EXACT_CHARACTERS:
        return digits
    number = float(digits)
    return number if math.isfinite(number) and Decimal(repr(number)) == Decimal(digits) else digits


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
