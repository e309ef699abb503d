"""Detection -> the saved search of OpenSearch Dashboards that shows its events, as `_import` takes it.

The form is that of Dashboards 2.x and 3.x (a saved object `search` as of its last migration, 7.9.3). The window and the
threshold stay with the detection: a saved search shows every event that could count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from daswatch.detections.detection import Detection, DetectionKind, Source
from daswatch.indices import Indices

# The time comes first without being named.
_COLUMNS: Mapping[Source, tuple[str, ...]] = {
    Source.EVENTS: (
        "databaseIdentifier",
        "dbUserName",
        "remoteHost",
        "clientApplication",
        "activity",
        "outcome",
        "objects",
        "rowCount",
        "commandText",
    ),
    Source.CONTROL_PLANE: (
        "eventName",
        "signals",
        "outcome",
        "userIdentityArn",
        "sourceIPAddress",
        "target",
        "databaseIdentifier",
        "resourceId",
        "awsAccountId",
        "awsRegion",
    ),
}
_SOURCE_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"
_FILTER_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.filter[0].meta.index"


def pattern_id(source: Source, indices: Indices) -> str:
    """The id of the saved index pattern of what a detection looks at."""
    return f"{indices.saved_object_start}{source.value}"


def saved_search(detection: Detection, indices: Indices) -> dict[str, Any] | None:
    """The saved object, or None for a detection that looks at no events."""
    pattern = pattern_id(detection.source, indices) if detection.source in _COLUMNS else None
    if pattern is None or detection.kind is DetectionKind.FAILING or not detection.query:
        return None
    filters = [_filter(detection.script)] if detection.script else []
    source = {
        "highlightAll": True,
        "version": True,
        "query": {"query": detection.query, "language": "lucene"},
        "filter": filters,
        "indexRefName": _SOURCE_REFERENCE,
    }
    names = [_SOURCE_REFERENCE, *(_FILTER_REFERENCE for _ in filters)]
    return {
        "type": "search",
        "id": f"{indices.saved_object_start}detection-{detection.name}",
        "attributes": {
            "title": indices.titled(f"Detection: {detection.title}"),
            "description": detection.description,
            "hits": 0,
            "columns": list(_COLUMNS[detection.source]),
            "sort": [["@timestamp", "desc"]],
            "version": 1,
            "kibanaSavedObjectMeta": {"searchSourceJSON": orjson.dumps(source).decode()},
        },
        "references": [{"name": name, "type": "index-pattern", "id": pattern} for name in names],
        "migrationVersion": {"search": "7.9.3"},
    }


def ndjson(detections: Iterable[Detection], indices: Indices) -> bytes:
    """The saved searches of all that have one, a line each: a file for the import of Dashboards."""
    found = (saved_search(detection, indices) for detection in detections)
    return b"".join(orjson.dumps(one) + b"\n" for one in found if one)


def _filter(script: Mapping[str, Any]) -> dict[str, Any]:
    """A filter pill next to the query, which can be disabled there.

    The condition stands under `query`: at the top, parameters named `from` and `to` would make Dashboards take it for a
    range over a scripted field.
    """
    return {
        "$state": {"store": "appState"},
        "meta": {
            "alias": "only outside business hours",
            "disabled": False,
            "negate": False,
            "type": "custom",
            "key": "query",
            "value": orjson.dumps(script).decode(),
            "indexRefName": _FILTER_REFERENCE,
        },
        "query": dict(script),
    }
