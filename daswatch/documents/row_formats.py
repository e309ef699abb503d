"""Documents as others take them: rows for S3, events for Splunk, one document a record for OpenSearch by Firehose.

In: what `documents.flatten` makes. Out: bytes, and the names of the S3 folders that they belong to. Each row has its
`eventId`, which is the document's `_id` in OpenSearch: so rows can be joined with it, and doubled ones found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from daswatch.canonical import canonical_json
from daswatch.documents.document import Document
from daswatch.records.envelope import stream_name
from daswatch.times import moment_of

# Where rows of different activities or engines have to share one folder.
MIXED = "MIXED"
SPLUNK_SOURCETYPE = "aws:rds:das"

_NO_FOLDER_NAME = re.compile(r"[^\w .-]", re.ASCII)
_FOLDER_NAME_CHARACTERS = 64
# Splunk reads the event's own fields at search time; one that is indexed under the same name would show twice.
_SPLUNK_INDEXED = {
    "das_activity": "activity",
    "das_engine": "engine",
    "das_outcome": "outcome",
    "das_resource_id": "resourceId",
}
_SAME_IN_A_RECORD = (
    *("awsAccountId", "awsRegion", "clusterId", "databaseIdentifier", "databaseTags", "ingestedAt", "instanceId"),
    *("instanceIdentifier", "resourceId", "version"),
)


def row(document: Document) -> bytes:
    """One line of JSON: the document and its id as `eventId`, keys in order, ending with a newline."""
    return canonical_json({**document.source, "eventId": document.id}) + b"\n"


def folder_of(activity: str) -> str:
    """The S3 folder of an activity, which is its name as it stands: `AUTH FAILURE` with its blank.

    So `activity = 'AUTH FAILURE'` finds the same in Athena, where the folder is the column, as everywhere else.
    """
    return _folder_name(activity)


def partition_keys(source: Mapping[str, Any]) -> dict[str, str]:
    """The folders of one row: activity, engine, resourceId, and date (YYYY-MM-DD) and hour (HH) of its time in UTC.

    The time is the event's own; its arrival where it has none (`ingestNotes` says so).
    """
    timestamp = source["@timestamp"]
    return {
        "activity": folder_of(source["activity"]),
        "engine": _folder_name(source["engine"]),
        "resourceId": source["resourceId"],
        "date": timestamp[:10],
        "hour": timestamp[11:13],
    }


def shared_partition_keys(documents: Sequence[Document]) -> dict[str, str]:
    """The folders of rows that have to stay together; there must be one at least.

    Where they differ, activity and engine are `MIXED`, and the time is that of the oldest.
    """
    keys = partition_keys(_oldest(documents))
    for name in ("activity", "engine"):
        if len({document.source[name] for document in documents}) > 1:
            keys[name] = MIXED
    return keys


def splunk_event(document: Document) -> bytes:
    """The row as an event of Splunk's HTTP Event Collector, ending with a newline.

    Its time is the row's, in epoch seconds; the fields that Splunk indexes with it are named `das_…`.
    """
    source = document.source
    head = canonical_json(
        {
            "fields": {field: source[name] for field, name in _SPLUNK_INDEXED.items()},
            "host": source.get("instanceId") or source["resourceId"],
            "source": stream_name(source["resourceId"]),
            "sourcetype": SPLUNK_SOURCETYPE,
            "time": round(moment_of(source["@timestamp"]).timestamp(), 3),
        }
    )
    # The row is put in as it is: it is JSON already.
    return b'{"event":' + row(document)[:-1] + b"," + head[1:] + b"\n"


def opensearch_form(documents: Sequence[Document]) -> Iterator[bytes]:
    """The documents of one stream record as one document, since Firehose indexes each record as exactly one.

    The rows are its `events`, to be mapped as nested, along with what they share and which activities there
    are. It comes in parts, to be joined; there must be one document at least.
    """
    oldest = _oldest(documents)
    before = b'{"events":['
    for document in documents:
        yield before + row(document)[:-1]
        before = b","
    shared = {
        "@timestamp": oldest["@timestamp"],
        "activity": sorted({document.source["activity"] for document in documents}),
        "engine": sorted({document.source["engine"] for document in documents}),
        "eventCount": len(documents),
        **{name: oldest[name] for name in _SAME_IN_A_RECORD if name in oldest},
    }
    yield b"]," + canonical_json(shared)[1:] + b"\n"


def _oldest(documents: Sequence[Document]) -> Mapping[str, Any]:
    # Without the Z, times with fewer digits compare right.
    return min((document.source for document in documents), key=lambda source: source["@timestamp"].removesuffix("Z"))


@lru_cache(maxsize=256)
def _folder_name(text: str) -> str:
    """Text as one S3 folder: an engine that we do not know yet names itself."""
    return _NO_FOLDER_NAME.sub("_", text)[:_FOLDER_NAME_CHARACTERS]
