"""Saved objects of OpenSearch Dashboards: readable files here, the form of its import and export there.

Dashboards keeps JSON as text within JSON, and an object's references in a separate list. A file of `dashboards/`
holds the same without either: everything is parsed, and a panel names its visualization, a search its index pattern
where they are used. So a change made in the browser, exported and unpacked again, is a short diff.

The forms are those of Dashboards 2.x and 3.x, as of the last migration of each type: nothing is migrated on import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import orjson

from daswatch.detections.detection import Detection
from daswatch.detections.saved_searches import saved_search
from daswatch.errors import DaswatchError
from daswatch.indices import Indices

# In the order of installation: what is referred to comes before what refers to it.
TYPES = ("index-pattern", "search", "visualization", "dashboard")

# What Dashboards keeps as JSON text, by type, and what is in it.
_TEXTS: Mapping[str, Mapping[str, type]] = {
    "index-pattern": {"fieldFormatMap": dict, "fields": list, "sourceFilters": list, "typeMeta": dict},
    "visualization": {"uiStateJSON": dict, "visState": dict},
    "dashboard": {"optionsJSON": dict, "panelsJSON": list},
}
_META = "kibanaSavedObjectMeta"
_SOURCE = "searchSourceJSON"
_SOURCE_REFERENCE = f"{_META}.{_SOURCE}.index"
# Of the form of panels. Dashboards writes its own version there; what is older than 7.3 it would convert.
_PANEL_VERSION = "7.10.0"
_TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]*", re.ASCII)
_FILE_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


class SavedObjectError(DaswatchError):
    """Stop: a saved object's file or an export is not what Dashboards writes; the message says where and why."""


@dataclass(frozen=True, slots=True)
class SavedObject:
    """One saved object. `attributes` is readable: nothing is JSON text, and ids stand where they are used.

    `references` lists all that it refers to, as Dashboards does: name, type and id.
    """

    type: str
    id: str
    attributes: Mapping[str, Any]
    references: tuple[Mapping[str, str], ...] = ()
    migration_version: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What people see."""
        return str(self.attributes.get("title", self.id))


def shipped_objects(indices: Indices, detections: Iterable[Detection] = ()) -> list[SavedObject]:
    """All of `dashboards/`, and the saved search of each detection that has one, in the order of installation."""
    found = renamed((read_file(content, name) for name, content in _files()), Indices(), indices)
    searches = (saved_search(detection, indices) for detection in detections)
    found += [unpacked(search) for search in searches if search]
    return sorted(found, key=lambda one: (TYPES.index(one.type), one.id))


def _files() -> Iterator[tuple[str, bytes]]:
    for kind in TYPES:
        for entry in sorted(files("dashboards").joinpath(kind).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".json"):
                yield f"{kind}/{entry.name}", entry.read_bytes()


def renamed(objects: Iterable[SavedObject], before: Indices, after: Indices) -> list[SavedObject]:
    """Objects of one deployment as another has them: their ids, wherever these stand, their patterns and titles."""
    objects = list(objects)
    if before == after:
        return objects
    start = before.saved_object_start
    ids = {one.id for one in objects} | {reference["id"] for one in objects for reference in one.references}
    own = sorted((name for name in ids if name.startswith(start)), key=len, reverse=True)
    if not own:
        return objects
    # A name within a longer one is another's.
    names = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, own))})(?![\w-])")
    return [_renamed(one, before, after, names) for one in objects]


def _renamed(one: SavedObject, before: Indices, after: Indices, names: re.Pattern[str]) -> SavedObject:
    start, other = before.saved_object_start, after.saved_object_start

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return names.sub(lambda found: other + found[0].removeprefix(start), value)
        if isinstance(value, Mapping):
            return {name: walk(inner) for name, inner in value.items()}
        return [walk(inner) for inner in value] if isinstance(value, list) else value

    attributes = walk(dict(one.attributes))
    if one.type == "index-pattern":
        name = one.title.removeprefix(f"{before.stem}-")
        attributes["title"] = one.title if name == one.title else f"{after.stem}-{name}"
    elif "title" in attributes:
        attributes["title"] = after.titled(before.untitled(attributes["title"]))
    references = tuple({name: walk(text) for name, text in reference.items()} for reference in one.references)
    return replace(one, id=walk(one.id), attributes=attributes, references=references)


def read_file(content: bytes, name: str) -> SavedObject:
    """A saved object from its file. Raises SavedObjectError, with the file's name."""
    try:
        raw = _checked(_json(content))
        attributes = raw["attributes"]
        _, placed = _taken_out(raw["type"], attributes)
        references = (*placed, *raw["references"])
        one = SavedObject(raw["type"], raw["id"], attributes, references, raw["migrationVersion"])
        if file_of(one)[0] != name:
            raise SavedObjectError(f"it holds {raw['type']} {raw['id']!r}, whose file is {file_of(one)[0]}")
    except SavedObjectError as exc:
        raise SavedObjectError(f"{name}: {exc}") from exc
    return one


def file_of(one: SavedObject) -> tuple[str, bytes]:
    """The name and the content of its file; the same object gives the same bytes, whatever order it came in."""
    content: dict[str, Any] = {
        "type": one.type,
        "id": one.id,
        "attributes": one.attributes,
        "migrationVersion": one.migration_version,
    }
    _, placed = _taken_out(one.type, one.attributes)
    own = _others(one.references, placed)
    if own:
        content["references"] = own
    return f"{one.type}/{quote(one.id, safe='')}.json", orjson.dumps(content, option=_FILE_OPTIONS)


def packed(one: SavedObject) -> dict[str, Any]:
    """As Dashboards' API, its import and its export have it."""
    attributes, placed = _taken_out(one.type, one.attributes)
    if one.type == "dashboard":
        for panel in _objects(attributes.get("panelsJSON")):
            panel["version"] = _PANEL_VERSION
    for name in _TEXTS.get(one.type, {}):
        if name in attributes:
            attributes[name] = _text(attributes[name])
    if _SOURCE in attributes.get(_META, {}):
        attributes[_META] = {**attributes[_META], _SOURCE: _text(attributes[_META][_SOURCE])}
    return {
        "type": one.type,
        "id": one.id,
        "attributes": attributes,
        "references": [*placed, *_others(one.references, placed)],
        "migrationVersion": dict(one.migration_version),
    }


def ndjson(objects: Iterable[SavedObject]) -> bytes:
    """The file for Dashboards' import: an object on each line."""
    return b"".join(orjson.dumps(packed(one), option=orjson.OPT_APPEND_NEWLINE) for one in objects)


def unpacked(raw: Mapping[str, Any]) -> SavedObject:
    """A saved object as Dashboards gives it, readable. Raises SavedObjectError.

    What changes by itself or belongs to one installation falls away: versions, times of saving, namespaces, and an
    index pattern's copy of the mapping.
    """
    checked = _checked(raw)
    attributes = deepcopy(checked["attributes"])
    for name, content in _TEXTS.get(checked["type"], {}).items():
        if name in attributes:
            attributes[name] = _parsed(attributes[name], name, content)
    meta = attributes.get(_META, {})
    if not isinstance(meta, dict):
        raise SavedObjectError(f"attribute {_META} is not an object")
    if _SOURCE in meta:
        meta[_SOURCE] = _parsed(meta[_SOURCE], f"{_META}.{_SOURCE}", dict)
    own = _put_in_place(checked["type"], attributes, checked["references"])
    _tidy(checked["type"], attributes)
    _, placed = _taken_out(checked["type"], attributes)
    references = (*placed, *own)
    return SavedObject(checked["type"], checked["id"], attributes, references, checked["migrationVersion"])


def read_ndjson(content: bytes) -> list[SavedObject]:
    """All objects of an export, without the summary at its end. Raises SavedObjectError, with the line."""
    found: dict[tuple[str, str], SavedObject] = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            raw = _json(line)
            if isinstance(raw, dict) and "exportedCount" in raw and "type" not in raw:
                continue
            one = unpacked(raw)
            if (one.type, one.id) in found:
                raise SavedObjectError(f"{one.type} {one.id!r} is there twice")
        except SavedObjectError as exc:
            raise SavedObjectError(f"line {number}: {exc}") from exc
        found[one.type, one.id] = one
    return list(found.values())


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise SavedObjectError(f"no JSON: {exc}") from exc


def _text(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _parsed(value: object, name: str, content: type) -> Any:
    if not isinstance(value, str):
        raise SavedObjectError(f"attribute {name} is not text (expected: JSON as text)")
    try:
        parsed = orjson.loads(value) if value else content()
    except orjson.JSONDecodeError as exc:
        raise SavedObjectError(f"attribute {name} is not JSON: {exc}") from exc
    if not isinstance(parsed, content) or (isinstance(parsed, list) and len(_objects(parsed)) < len(parsed)):
        raise SavedObjectError(f"attribute {name} is not {'a list of objects' if content is list else 'an object'}")
    return parsed


def _checked(raw: object) -> dict[str, Any]:
    """What we use of a saved object, each part of its type."""
    if not isinstance(raw, Mapping):
        raise SavedObjectError("no saved object (expected: an object with type, id and attributes)")
    kind, identity, attributes = raw.get("type"), raw.get("id"), raw.get("attributes")
    if not isinstance(kind, str) or not _TYPE_NAME.fullmatch(kind):
        raise SavedObjectError(f"no saved object: its type is {kind!r}")
    if not isinstance(identity, str) or not identity:
        raise SavedObjectError(f"{kind} without an id")
    if not isinstance(attributes, Mapping):
        raise SavedObjectError(f"{kind} {identity!r} has no attributes")
    references, versions = raw.get("references") or [], raw.get("migrationVersion") or {}
    if not isinstance(references, list) or not all(map(_is_reference, references)):
        raise SavedObjectError(f"{kind} {identity!r}: each reference needs a name, a type and an id")
    if not isinstance(versions, Mapping):
        raise SavedObjectError(f"{kind} {identity!r}: migrationVersion is not an object")
    return {
        "type": kind,
        "id": identity,
        "attributes": dict(attributes),
        "references": [_reference(one["name"], one["type"], one["id"]) for one in references],
        "migrationVersion": dict(versions),
    }


def _is_reference(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(name), str) for name in ("name", "type", "id"))


def _reference(name: str, kind: str, identity: str) -> dict[str, str]:
    return {"name": name, "type": kind, "id": identity}


def _tidy(kind: str, attributes: dict[str, Any]) -> None:
    """Drop the copy of the mapping and the panels' version; panels get the order in which people read them."""
    if kind == "index-pattern" and not any(one.get("scripted") for one in attributes.get("fields") or ()):
        # Dashboards fetches the fields of a pattern that has none, and keeps them; scripted ones are a user's work.
        attributes.pop("fields", None)
    if kind == "dashboard" and "panelsJSON" in attributes:
        for panel in attributes["panelsJSON"]:
            panel.pop("version", None)
        attributes["panelsJSON"] = sorted(attributes["panelsJSON"], key=_place_on_screen)


def _place_on_screen(panel: dict[str, Any]) -> tuple[float, float, str]:
    grid = _inner(panel, "gridData")
    row, column = (grid.get(name) for name in ("y", "x"))
    return (
        row if isinstance(row, int | float) else 0,
        column if isinstance(column, int | float) else 0,
        str(panel.get("panelIndex", "")),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object refers to another: in the form of Dashboards by a reference's name, in ours by the id."""

    holder: dict[str, Any]
    key_of_name: str
    key_of_id: str
    name: str
    type: str  # empty where the holder names it

    def take_out(self) -> Iterator[dict[str, str]]:
        """Replace the id by the name of a reference, which is returned."""
        if self.key_of_id not in self.holder or (not self.type and "type" not in self.holder):
            return
        identity = self.holder.pop(self.key_of_id)
        kind = self.type or self.holder.pop("type")
        self.holder[self.key_of_name] = self.name
        yield _reference(self.name, kind, identity)

    def put_in(self, references: Mapping[str, Mapping[str, str]]) -> str:
        """Replace the name of a reference, which is returned, by the id."""
        name = self.holder.pop(self.key_of_name, None)
        if name is None:
            return ""
        if name not in references:
            raise SavedObjectError(f"{self.key_of_name} names {name!r}, which is not among its references")
        self.holder[self.key_of_id] = references[name]["id"]
        if not self.type:
            self.holder["type"] = references[name]["type"]
        return str(name)


def _places(kind: str, attributes: dict[str, Any]) -> Iterator[_Place]:
    """All places of an object where it may refer to another, each with the name that Dashboards gives it."""
    source = _inner(attributes, _META, _SOURCE)
    yield _Place(source, "indexRefName", "index", _SOURCE_REFERENCE, "index-pattern")
    for number, pill in enumerate(_objects(source.get("filter"))):
        name = f"{_META}.{_SOURCE}.filter[{number}].meta.index"
        yield _Place(_inner(pill, "meta"), "indexRefName", "index", name, "index-pattern")
    if kind == "visualization":
        yield _Place(attributes, "savedSearchRefName", "savedSearchId", "search_0", "search")
        for number, control in enumerate(_objects(_inner(attributes, "visState", "params").get("controls"))):
            name = f"control_{number}_index_pattern"
            yield _Place(control, "indexPatternRefName", "indexPattern", name, "index-pattern")
    if kind == "dashboard":
        for number, panel in enumerate(_objects(attributes.get("panelsJSON"))):
            yield _Place(panel, "panelRefName", "id", f"panel_{number}", "")


def _inner(holder: dict[str, Any], *path: str) -> dict[str, Any]:
    """An object within an object; an empty one where there is none."""
    for name in path:
        found = holder.get(name)
        holder = found if isinstance(found, dict) else {}
    return holder


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _taken_out(kind: str, attributes: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The attributes with names instead of ids, and the references of these names."""
    out = deepcopy(dict(attributes))
    return out, [reference for place in _places(kind, out) for reference in place.take_out()]


def _put_in_place(
    kind: str, attributes: dict[str, Any], references: Sequence[Mapping[str, str]]
) -> list[Mapping[str, str]]:
    """Ids instead of the names of references; returns the references that no place named."""
    by_name = {reference["name"]: reference for reference in references}
    used = {place.put_in(by_name) for place in _places(kind, attributes)}
    return [reference for reference in references if reference["name"] not in used]


def _others(references: Iterable[Mapping[str, str]], placed: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """References that no attribute holds, by name."""
    rest = (dict(reference) for reference in references if reference not in placed)
    return sorted(rest, key=lambda reference: reference["name"])
