"""What is replaced, as files that bring it back: bodies to PUT, and an export that Dashboards imports."""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

from daswatch.content.model import ContentKind, Operation, PlannedStep

SAVED_OBJECTS = "saved-objects.ndjson"
# What OpenSearch adds around a body and does not take back.
_ADDED = frozenset(
    {
        "_id",
        "_version",
        "_seq_no",
        "_primary_term",
        "reserved",
        "hidden",
        "static",
        "created_time_ms",
        "last_updated_time_ms",
    }
)
# What an import takes; as it is there, even where it cannot be read.
_OF_SAVED_OBJECTS = ("type", "id", "attributes", "references", "migrationVersion")
_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def backups(steps: Iterable[PlannedStep]) -> dict[str, bytes]:
    """By file name, everything that these steps replace."""
    replaced = [(one.content, one.there) for one in steps if one.step is Operation.UPDATE and one.there is not None]
    objects = [
        {name: there[name] for name in _OF_SAVED_OBJECTS if name in there}
        for content, there in replaced
        if content.kind is ContentKind.SAVED_OBJECT
    ]
    files = {SAVED_OBJECTS: b"".join(orjson.dumps(one) + b"\n" for one in objects)} if objects else {}
    for content, there in replaced:
        if content.kind is ContentKind.SAVED_OBJECT:
            continue
        body = {name: value for name, value in there.items() if name not in _ADDED}
        name = _IN_FILE_NAMES.sub("-", content.name)
        files[f"{content.kind.replace(' ', '-')}/{name}.json"] = orjson.dumps(body, option=orjson.OPT_INDENT_2)
    return files
