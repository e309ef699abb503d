"""Probes: documents that an index is asked to take and cannot keep.

OpenSearch answers 400 as well where a pipeline is missing, an alias has no write index or a template cannot create the
index: that is the domain's fault, and any document meets it. So before a document is called the cause of its refusal,
its index is asked about one that is surely valid. A probe passes the alias, the index's creation, its pipelines and its
mapping like any other; it is written only over a document of a sequence number that no shard reaches, so an index that
takes documents answers 409.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from daswatch.bulk import Action, Fate
from daswatch.indices import DEFAULT_STEM, Indices

ID = "daswatch-probe"
_SEQUENCE_NUMBER = 2**62  # a shard that writes a million documents a second gets there after 146,000 years
_REASON_CHARACTERS = 300
_DEAD_LETTERS = Indices().dead_letters.removeprefix(DEFAULT_STEM)

_COMMON = {
    "@timestamp": "2023-01-01T00:00:00.000Z",
    "ingestedAt": "2023-01-01T00:00:00.000Z",
    "resourceId": "cluster-PROBE",
    "awsAccountId": "123456789012",
    "awsRegion": "eu-west-1",
}
# What every event has: an index that refuses it takes none.
LEAST_EVENT: Mapping[str, Any] = _COMMON | {"engine": "postgresql", "activity": "DATA READ", "outcome": "success"}
# Each field of the template, in the type in which it is written: a mapping that takes one of them in another is found.
FULL_EVENT: Mapping[str, Any] = {
    **LEAST_EVENT,
    "signals": ["probe"],
    "objects": ["public.probe"],
    "remoteIp": "192.0.2.1",
    "statementHash": "0123456789abcdef",
    "durationMs": 1.5,
    "clusterId": "cluster-PROBE",
    "instanceId": "db-PROBE",
    "version": "1.1",
    "ingestNotes": ["probe"],
    "class": "READ",
    "command": "SELECT",
    "commandText": "select 1",
    "paramList": ["1"],
    "dbUserName": "probe",
    "databaseName": "probe",
    "dbid": "1",
    "clientApplication": "daswatch",
    "remoteHost": "192.0.2.1",
    "remotePort": "5432",
    "serverHost": "192.0.2.1",
    "serverType": "PostgreSQL",
    "serviceName": "probe",
    "serverVersion": "1.0",
    "dbProtocol": "probe",
    "netProtocol": "TCP",
    "sessionId": "5f2b.1",
    "pid": 1,
    "statementId": "0x1",
    "substatementId": 1,
    "transactionId": "0x1",
    "exitCode": "42P01",
    "errorMessage": "probe",
    "rowCount": 1,
    "objectType": "TABLE",
    "objectName": "public.probe",
    "type": "record",
    "logTime": "2023-01-01 00:00:00.000000+00",
    "startTime": "2023-01-01 00:00:00.000000+00",
    "endTime": "2023-01-01 00:00:00.000000+00",
    "engineNativeAuditFields": {"probe": "probe"},
    "unknownFields": {"probe": "probe"},
    "unknownFieldsText": '{"probe":"probe"}',
}
DEAD_LETTER: Mapping[str, Any] = _COMMON | {"reason": "probe", "detail": "probe", "object": "s3://probe/probe"}


def probes(index: str, *, thorough: bool) -> list[Action]:
    """The actions that ask an index whether it takes documents, `thorough` if those of all kinds.

    Nothing is lost where they fail.
    """
    sources = [LEAST_EVENT, FULL_EVENT] if thorough else [LEAST_EVENT]
    if index.endswith(_DEAD_LETTERS):
        sources = [DEAD_LETTER]
    head = {"index": {"_index": index, "_id": ID, "if_seq_no": _SEQUENCE_NUMBER, "if_primary_term": 1}}
    line = orjson.dumps(head) + b"\n"
    return [Action(line + orjson.dumps(source) + b"\n", record=None, index=index) for source in sources]


def is_taken(fate: Fate) -> bool:
    """Whether an index that answered so takes documents."""
    return fate in (Fate.WRITTEN, Fate.ALREADY_THERE)


def refusal(index: str, status: int, error_type: str, reason: str) -> str:
    """Why an index refuses its probe. OpenSearch's reason can be told: it quotes nothing but the probe."""
    quoted = reason[:_REASON_CHARACTERS] or "no reason given"
    return f"{index} takes no document, not even an ordinary one: {quoted} (OpenSearch answered {status} {error_type})"
