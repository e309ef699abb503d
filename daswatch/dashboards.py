"""Saved objects of OpenSearch Dashboards: a stand-in, until the shipped ones arrive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from daswatch.detections import Detection
from daswatch.saved_searches import saved_search

# Attributes that Dashboards keeps as JSON text.
_TEXT = frozenset({"visState", "uiStateJSON", "panelsJSON", "optionsJSON", "fields", "fieldFormatMap"})
_SOURCE = "kibanaSavedObjectMeta"


@dataclass(frozen=True, slots=True)
class SavedObject:
    """One saved object, readable: what Dashboards keeps as JSON text is parsed."""

    type: str
    id: str
    attributes: Mapping[str, Any]
    references: tuple[Mapping[str, str], ...] = ()
    migration_version: Mapping[str, str] = field(default_factory=dict)


def shipped_objects(index_prefix: str = "das-events", detections: Iterable[Detection] = ()) -> list[SavedObject]:
    """Index patterns first, then the saved search of each detection."""
    titles = {"das-events": f"{index_prefix}-*", "das-control-plane": "das-control-plane"}
    patterns = [
        SavedObject(
            "index-pattern", name, {"title": title, "timeFieldName": "@timestamp"}, (), {"index-pattern": "7.6.0"}
        )
        for name, title in titles.items()
    ]
    return patterns + [unpacked(found) for one in detections if (found := saved_search(one))]


def packed(one: SavedObject) -> dict[str, Any]:
    """As Dashboards' API and `_import` take it."""
    attributes: dict[str, Any] = {
        name: orjson.dumps(value).decode() if name in _TEXT else value for name, value in one.attributes.items()
    }
    if _SOURCE in attributes:
        source = orjson.dumps(attributes[_SOURCE]["searchSourceJSON"]).decode()
        attributes[_SOURCE] = {**attributes[_SOURCE], "searchSourceJSON": source}
    return {
        "type": one.type,
        "id": one.id,
        "attributes": attributes,
        "references": [dict(reference) for reference in one.references],
        "migrationVersion": dict(one.migration_version),
    }


def unpacked(raw: Mapping[str, Any]) -> SavedObject:
    """The readable form of what the API or an export tells."""
    attributes = {
        name: orjson.loads(value) if name in _TEXT and value else value for name, value in raw["attributes"].items()
    }
    if _SOURCE in attributes:
        source = orjson.loads(attributes[_SOURCE]["searchSourceJSON"])
        attributes[_SOURCE] = {**attributes[_SOURCE], "searchSourceJSON": source}
    references = tuple(raw.get("references") or ())
    return SavedObject(raw["type"], raw["id"], attributes, references, raw.get("migrationVersion") or {})


def ndjson(objects: Iterable[SavedObject]) -> bytes:
    """A file for the import of Dashboards, a line each."""
    return b"".join(orjson.dumps(packed(one)) + b"\n" for one in objects)


def read_ndjson(content: bytes) -> list[SavedObject]:
    """An export's lines, without its closing summary line."""
    lines = [orjson.loads(line) for line in content.splitlines() if line.strip()]
    return [unpacked(line) for line in lines if "exportedCount" not in line]


def file_of(one: SavedObject) -> tuple[str, bytes]:
    """The readable file's path and content."""
    content = {
        "type": one.type,
        "id": one.id,
        "attributes": one.attributes,
        "references": list(one.references),
        "migrationVersion": one.migration_version,
    }
    return f"{one.type}/{one.id}.json", orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"
