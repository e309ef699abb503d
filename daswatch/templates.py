"""What `index_templates/` holds, and what installing it would change at an endpoint.

A plan is pure data: what is there is compared with what should be. Executing it is the gateway's part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

import orjson

from daswatch.documents import DEFAULT_INDEX_PREFIX


class Kind(StrEnum):
    """What sort of content it is, in the order of installation: an index template names its components."""

    COMPONENT_TEMPLATE = "component template"
    INDEX_TEMPLATE = "index template"
    RETENTION_POLICY = "retention policy"


class Step(StrEnum):
    """What installing one piece would do."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


_FOLDERS = {
    Kind.COMPONENT_TEMPLATE: "component",
    Kind.INDEX_TEMPLATE: "index",
    Kind.RETENTION_POLICY: "ism",
}


@dataclass(frozen=True, slots=True)
class Content:
    """One piece to install: its kind, name and body."""

    kind: Kind
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What has to be done for one piece of content."""

    step: Step
    content: Content


def shipped_content(index_prefix: str = DEFAULT_INDEX_PREFIX) -> list[Content]:
    """All of `index_templates/`, in the order of installation; patterns and names follow the index prefix."""
    content = []
    for kind, folder in _FOLDERS.items():
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


def plan(shipped: Iterable[Content], installed: Mapping[tuple[Kind, str], Mapping[str, Any]]) -> list[PlannedStep]:
    """Compare. OpenSearch fills in defaults and writes numbers as text, so only what we ship is compared, as text."""
    steps = []
    for content in shipped:
        there = installed.get((content.kind, content.name))
        changed = Step.CREATE if there is None else Step.UPDATE
        same = there is not None and _contains(there, content.body)
        steps.append(PlannedStep(Step.UNCHANGED if same else changed, content))
    return steps


def _with_prefix(body: Any, prefix: str) -> Any:
    text = orjson.dumps(body).replace(f'"{DEFAULT_INDEX_PREFIX}-*"'.encode(), f'"{prefix}-*"'.encode())
    return orjson.loads(text)


def _contains(there: Any, shipped: Any) -> bool:
    if isinstance(shipped, Mapping):
        return isinstance(there, Mapping) and all(
            name in there and _contains(there[name], value) for name, value in shipped.items()
        )
    if isinstance(shipped, list):
        return (
            isinstance(there, list)
            and len(there) == len(shipped)
            and all(_contains(left, right) for left, right in zip(there, shipped, strict=True))
        )
    return _as_text(there) == _as_text(shipped)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
