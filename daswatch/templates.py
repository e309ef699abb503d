"""What `index_templates/` holds: templates, retention policies and roles, named by the index prefix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import orjson

from daswatch.content import Content, Kind
from daswatch.documents import DEFAULT_INDEX_PREFIX

_FOLDERS = {
    Kind.COMPONENT_TEMPLATE: "component",
    Kind.INDEX_TEMPLATE: "index",
    Kind.RETENTION_POLICY: "ism",
}
_ROLES = "role"
# A collection sizes and refreshes itself, and no list of what it takes besides is published: what the mappings need
# stays. Of the codecs it documents `default`, `zstd` and `zstd_no_dict`.
_COLLECTION_SETTINGS = frozenset({"analysis"})
_COLLECTION_CODEC = "zstd"


def shipped_content(index_prefix: str = DEFAULT_INDEX_PREFIX) -> list[Content]:
    """All templates and policies, in the order of installation; patterns and names follow the index prefix."""
    return [content for kind, folder in _FOLDERS.items() for content in _read(kind, folder, index_prefix)]


def shipped_roles(index_prefix: str = DEFAULT_INDEX_PREFIX) -> list[Content]:
    """The roles of the Security plugin, one for each function that reaches OpenSearch."""
    return _read(Kind.ROLE, _ROLES, index_prefix)


def for_collection(shipped: Iterable[Content]) -> list[Content]:
    """The templates as a Serverless collection takes them; it has no retention policies."""
    return [
        replace(content, body=_without_settings(content.body))
        for content in shipped
        if content.kind in (Kind.COMPONENT_TEMPLATE, Kind.INDEX_TEMPLATE)
    ]


def _read(kind: Kind, folder: str, index_prefix: str) -> list[Content]:
    content = []
    for entry in sorted(files("index_templates").joinpath(folder).iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".json"):
            continue
        body = orjson.loads(entry.read_bytes())
        name = entry.name.removesuffix(".json")
        if kind is not Kind.COMPONENT_TEMPLATE:
            name = name.replace(DEFAULT_INDEX_PREFIX, index_prefix)
            body = _with_prefix(body, index_prefix)
        content.append(Content(kind, name, body))
    return content


def _without_settings(body: Mapping[str, Any]) -> dict[str, Any]:
    template = dict(body["template"])
    settings = template.pop("settings", {}).get("index", {})
    kept = {name: value for name, value in settings.items() if name in _COLLECTION_SETTINGS}
    if "codec" in settings:
        kept["codec"] = _COLLECTION_CODEC
    return {**body, "template": {**template, **({"settings": {"index": kept}} if kept else {})}}


def event_index() -> dict[str, Any]:
    """Settings and mappings of an index of events, as the templates put them together."""
    index, fields, settings = map(_template, (DEFAULT_INDEX_PREFIX, "das-event-fields", "das-event-settings"))
    return {
        "settings": {"index": {**settings["settings"]["index"], **fields["settings"]["index"]}},
        "mappings": {
            **fields["mappings"],
            "properties": {**fields["mappings"]["properties"], **index["mappings"]["properties"]},
        },
    }


def control_plane_index() -> dict[str, Any]:
    """Settings and mappings of the index of calls of AWS's API."""
    return _template("das-control-plane")


def _template(name: str) -> dict[str, Any]:
    return next(dict(content.body["template"]) for content in shipped_content() if content.name == name)


def _with_prefix(body: Any, prefix: str) -> Any:
    text = orjson.dumps(body).replace(f'"{DEFAULT_INDEX_PREFIX}-*"'.encode(), f'"{prefix}-*"'.encode())
    return orjson.loads(text)
