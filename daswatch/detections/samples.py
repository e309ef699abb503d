"""The samples of a detection: activity events that it must match, and near misses that it must not match.

A line of `match.ndjson` or `ignore.ndjson` is one sample: its steps follow one another and end at a given time. A step
contains only the differences from the event of its engine in `_events.json`. Samples are flattened like real events, so
a rule is tested on documents as indexed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Literal

import orjson

from daswatch.documents import control_plane
from daswatch.documents.document import Document, Flattening, flatten
from daswatch.indices import Indices
from daswatch.records.envelope import stream_name, stream_source
from daswatch.records.monitoring_record import read_monitoring_record
from daswatch.times import iso_milliseconds

CONTROL_PLANE = "control-plane"
_VERSIONS = {"postgresql": "1.1", "mysql": "1.2", "oracle": "1.3", "sqlserver": "1.4"}
_AURORA = ("postgresql", "mysql")

Expected = Literal["match", "ignore"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: whether the detection must fire on it, and its steps."""

    detection: str
    expected: Expected
    words: str
    engine: str
    steps: tuple[Mapping[str, Any], ...]
    attack: tuple[str, ...] = ()  # the techniques that it shows, where it does not show all of its rule's

    def days_ago(self) -> list[float]:
        """When its events happened, in days before its end; a detection that learns needs some that are long past."""
        return sorted({float(step.get("days-ago", 0)) for step in self.steps}, reverse=True)


def samples_of(detection: str) -> list[Sample]:
    """Return all samples of a detection; none for those that do not query events."""
    folder = files("detections").joinpath(detection)
    found = []
    for expected in ("match", "ignore"):
        file = folder.joinpath(f"{expected}.ndjson")
        if file.is_file():
            for line in file.read_text("utf-8").splitlines():
                entry = orjson.loads(line)
                attack = tuple(entry.get("attack", ()))
                found.append(
                    Sample(detection, expected, entry["sample"], entry["engine"], tuple(entry["steps"]), attack)
                )
    return found


def base_events() -> dict[str, dict[str, Any]]:
    """One plausible event of each engine."""
    events: dict[str, dict[str, Any]] = orjson.loads(files("detections").joinpath("_events.json").read_bytes())
    return events


def documents(
    sample: Sample, resource_id: str, end: datetime, flattening: Flattening, days_ago: float = 0
) -> list[Document]:
    """The documents of a sample's steps of one day, as a function would index them, for a database of that id."""
    events = list(_events(sample, end - timedelta(days=days_ago), days_ago))
    if sample.engine == CONTROL_PLANE:
        index = Indices(flattening.index_prefix).control_plane
        return [control_plane.document(event, flattening.ingested_at, index) for event in events]
    stream = stream_source(f"arn:aws:kinesis:eu-west-1:123456789012:stream/{stream_name(resource_id)}")
    content = {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": resource_id if sample.engine in _AURORA else "",
        "instanceId": "db-SAMPLE",
        "databaseActivityEventList": events,
    }
    record = read_monitoring_record(orjson.dumps(content))
    return flatten(record, stream, _VERSIONS[sample.engine], iso_milliseconds(end), flattening).documents


def _events(sample: Sample, end: datetime, days_ago: float) -> Iterator[dict[str, Any]]:
    """The events in their order; the last one happened a second before the end."""
    base = base_events()[sample.engine]
    planned: list[tuple[float, dict[str, Any]]] = []
    at = 0.0
    for step in sample.steps:
        if float(step.get("days-ago", 0)) != days_ago:
            continue
        if "at" in step:
            end = datetime.fromisoformat(step["at"])
        for number in range(step.get("times", 1)):
            varied = {name: values[number % len(values)] for name, values in step.get("each", {}).items()}
            planned.append((at, _differing(base, {**step.get("event", {}), **varied})))
            at += step.get("apart", 1)
    if not planned:
        return
    last = planned[-1][0]
    for number, (offset, event) in enumerate(planned):
        moment = end - timedelta(seconds=last - offset + 1)
        yield _at(sample.engine, event, moment, number)


def _differing(base: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The base event with these fields; those of CloudTrail's are one level down."""
    if isinstance(base.get("detail"), Mapping):
        return {**base, **fields, "detail": {**base["detail"], **fields.get("detail", {})}}
    return {**base, **fields}


def _at(engine: str, event: dict[str, Any], moment: datetime, number: int) -> dict[str, Any]:
    moment = moment.astimezone(UTC)
    if engine == CONTROL_PLANE:
        time = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        event_id = f"{event['detail'].get('eventID', '')}-{number}"
        answer = _answered(event["detail"].get("responseElements"), moment)
        detail = {**event["detail"], "eventTime": time, "eventID": event_id, "responseElements": answer}
        return {**event, "time": time, "detail": detail}
    return {**event, "logTime": f"{moment:%Y-%m-%d %H:%M:%S.%f}+00"}


def _answered(answer: Any, moment: datetime) -> Any:
    """What RDS answered; when a database was made is given in hours before the call, and written as CloudTrail does."""
    if not isinstance(answer, Mapping):
        return answer
    made = {
        name: f"{moment - timedelta(hours=answer[name]):%b %d, %Y %I:%M:%S %p}"
        for name in ("instanceCreateTime", "clusterCreateTime")
        if name in answer
    }
    return {**answer, **made}
