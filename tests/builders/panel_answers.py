"""Answers of OpenSearch to the requests of panels: one of each bucket, one hit, and one text for every word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daswatch.content.dashboards import shipped_objects
from daswatch.indices import Indices

A_TIME = "2026-03-05T09:30:00.000Z"
COLUMNS = sorted({name for one in shipped_objects(Indices()) for name in one.attributes.get("columns", ())})


def answer_to(body: Mapping[str, Any], text: str = "anna") -> dict[str, Any]:
    """The answer to a search whose documents have `text` in each field."""
    source = {"@timestamp": A_TIME, **dict.fromkeys(COLUMNS, text)}
    hit = {"_index": "das-events-2026.03.05", "_id": "a/b", "_source": source}
    hits = {"total": {"value": 3}, "hits": [hit] if body["size"] else []}
    return {"hits": hits, "aggregations": _inner(body.get("aggs", {}), text)}


def _inner(asked: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {name: _aggregation(one, text) for name, one in asked.items()}


def _aggregation(asked: Mapping[str, Any], text: str) -> dict[str, Any]:
    inner = {"doc_count": 3, **_inner(asked.get("aggs", {}), text)}
    kind = next(name for name in asked if name != "aggs")
    match kind:
        case "terms":
            return {"buckets": [{"key": text, **inner}]}
        case "date_histogram":
            return {"buckets": [{"key": 0, "key_as_string": A_TIME, **inner}]}
        case "filters":
            return {"buckets": dict.fromkeys(asked["filters"]["filters"], inner)}
        case "percentiles":
            return {"values": [{"key": percent, "value": 12.5} for percent in asked["percentiles"]["percents"]]}
        case "top_hits":
            return {"hits": {"hits": [{"_source": {asked["top_hits"]["_source"]: text}}]}}
        case _:
            return {"value": 7}
