"""What `index_templates/` holds: templates, retention policies and roles, named by the index prefix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import orjson

from daswatch.content.index_settings import IndexSettings, with_choices
from daswatch.content.model import Content, ContentKind
from daswatch.indices import DEFAULT_INDEX_PREFIX, DEFAULT_STEM, Indices
from daswatch.settings import Service

_FOLDERS = {
    ContentKind.COMPONENT_TEMPLATE: "component",
    ContentKind.INDEX_TEMPLATE: "index",
    ContentKind.RETENTION_POLICY: "ism",
}
_ROLES = "role"
# A collection sizes and refreshes itself, and no list of what it takes besides is published: what the mappings need
# stays. Of the codecs it documents `default`, `zstd` and `zstd_no_dict`.
_COLLECTION_SETTINGS = frozenset({"analysis"})
_COLLECTION_CODECS = frozenset({"default", "zstd", "zstd_no_dict"})
_COLLECTION_CODEC = "zstd"
_AS_SHIPPED = IndexSettings()


def shipped_content(index_prefix: str = DEFAULT_INDEX_PREFIX, settings: IndexSettings = _AS_SHIPPED) -> list[Content]:
    """All templates and policies, in the order of installation; patterns and names follow the index prefix."""
    stem = Indices(index_prefix).stem
    return [
        replace(content, body=with_choices(content.body, settings.chosen(content.name.removeprefix(f"{stem}-"))))
        if kind is ContentKind.COMPONENT_TEMPLATE
        else content
        for kind, folder in _FOLDERS.items()
        for content in _read(kind, folder, index_prefix)
    ]


def shipped_roles(index_prefix: str = DEFAULT_INDEX_PREFIX) -> list[Content]:
    """The roles of the Security plugin, one for each function that reaches OpenSearch."""
    return _read(ContentKind.ROLE, _ROLES, index_prefix)


def for_collection(shipped: Iterable[Content]) -> list[Content]:
    """The templates as a Serverless collection takes them: each whole, and without most settings.

    It has no retention policies.
    """
    shipped = list(shipped)
    components = {one.name: one.body["template"] for one in shipped if one.kind is ContentKind.COMPONENT_TEMPLATE}
    return [
        replace(content, body=_for_collection(content.body, components))
        for content in shipped
        if content.kind is ContentKind.INDEX_TEMPLATE
    ]


def _read(kind: ContentKind, folder: str, index_prefix: str) -> list[Content]:
    content = []
    for entry in sorted(files("index_templates").joinpath(folder).iterdir(), key=lambda entry: entry.name):
        if not entry.name.endswith(".json"):
            continue
        body = orjson.loads(entry.read_bytes())
        name = entry.name.removesuffix(".json")
        stem = Indices(index_prefix).stem
        name = f"{stem}-{name.removeprefix(f'{DEFAULT_STEM}-')}"
        content.append(Content(kind, name, _with_stem(body, stem)))
    return content


def _for_collection(body: Mapping[str, Any], components: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    template = _composed(body, components)
    settings = template.pop("settings")["index"]
    kept = {name: value for name, value in settings.items() if name in _COLLECTION_SETTINGS}
    if "codec" in settings:
        kept["codec"] = settings["codec"] if settings["codec"] in _COLLECTION_CODECS else _COLLECTION_CODEC
    alone = {name: value for name, value in body.items() if name != "composed_of"}
    return {**alone, "template": {**template, **({"settings": {"index": kept}} if kept else {})}}


def _composed(body: Mapping[str, Any], components: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The settings and mappings that an index gets from its template and the components that this names."""
    settings: dict[str, Any] = {}
    mappings: dict[str, Any] = {}
    for part in (*(components[name] for name in body.get("composed_of", ())), body["template"]):
        settings |= part.get("settings", {}).get("index", {})
        properties = {**mappings.get("properties", {}), **part.get("mappings", {}).get("properties", {})}
        mappings |= {**part.get("mappings", {}), "properties": properties}
    return {"settings": {"index": settings}, "mappings": mappings}


def event_index(service: Service = "es") -> dict[str, Any]:
    """Settings and mappings of an index of events, as the templates put them together."""
    return _index(Indices().prefix, service)


def control_plane_index(service: Service = "es") -> dict[str, Any]:
    """Settings and mappings of the index of calls of AWS's API."""
    return _index(Indices().control_plane, service)


def _index(name: str, service: Service) -> dict[str, Any]:
    shipped = shipped_content()
    if service == "aoss":
        return next(dict(one.body["template"]) for one in for_collection(shipped) if one.name == name)
    components = {one.name: one.body["template"] for one in shipped if one.kind is ContentKind.COMPONENT_TEMPLATE}
    return next(
        _composed(one.body, components)
        for one in shipped
        if one.kind is ContentKind.INDEX_TEMPLATE and one.name == name
    )


def _with_stem(body: Any, stem: str) -> Any:
    """A shipped body with the names of another deployment: each of ours begins with `das-`."""
    return orjson.loads(orjson.dumps(body).replace(f'"{DEFAULT_STEM}-'.encode(), f'"{stem}-'.encode()))
