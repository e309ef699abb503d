"""Probes: documents that an index is asked to take and cannot keep.

OpenSearch answers 400 as well where a pipeline is missing, an alias has no write index or a template cannot create the
index: that is the domain's fault, and any document meets it. So before a document is called the cause of its refusal,
its index is asked about one that is surely valid. A probe passes the alias, the index's creation, its pipelines and its
mapping like any other; it is written only over a document of a sequence number that no shard reaches, so an index that
takes documents answers 409. It has every field of the template, so that a mapping which takes one of them in another
type is found as well. With a document's routing it meets that document's shard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from daswatch.indexing.bulk import Action, Fate
from daswatch.indices import DEFAULT_STEM, Indices

ID = "daswatch-probe"
_SEQUENCE_NUMBER = 2**62  # a shard that writes a million documents a second gets there after 146,000 years
_REASON_CHARACTERS = 300
_DEAD_LETTERS = Indices().dead_letters.removeprefix(DEFAULT_STEM)

_COMMON = {
    "@timestamp": "2023-01-01T00:00:00.000Z",
    "ingestedAt": "2023-01-01T00:00:00.000Z",
    "replayedAt": "2023-01-01T00:00:00.000Z",
    "resourceId": "cluster-PROBE",
    "awsAccountId": "123456789012",
    "awsRegion": "eu-west-1",
    "databaseIdentifier": "probe",
    "instanceIdentifier": "probe-1",
    "databaseTags": ["env=probe"],
}
# Each field of the template, in the type in which it is written; text is neither a number nor an address.
EVENT: Mapping[str, Any] = {
    **_COMMON,
    "engine": "postgresql",
    "activity": "DATA READ",
    "outcome": "success",
    "signals": ["probe"],
    "actor": "probe",
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
    "paramList": ["probe"],
    "dbUserName": "probe",
    "databaseName": "probe",
    "dbid": "probe",
    "clientApplication": "daswatch",
    "remoteHost": "probe.example.com",
    "remotePort": "probe",
    "serverHost": "probe",
    "serverType": "PostgreSQL",
    "serviceName": "probe",
    "serverVersion": "1.0.probe",
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


def probe(index: str, document_id: str = "") -> Action:
    """The action that asks an index whether it takes documents, where given in the shard of a document.

    Nothing is lost where it fails.
    """
    condition: dict[str, object] = {"if_seq_no": _SEQUENCE_NUMBER, "if_primary_term": 1}
    if document_id:
        condition["routing"] = document_id
    source = DEAD_LETTER if index.endswith(_DEAD_LETTERS) else EVENT
    return Action.put(index, ID, orjson.dumps(source), condition, required=False)


def is_taken(fate: Fate) -> bool:
    """Whether an index that answered so takes documents."""
    return fate in (Fate.WRITTEN, Fate.ALREADY_THERE)


def refusal(index: str, status: int, error_type: str, reason: str) -> str:
    """Why an index refuses its probe. OpenSearch's reason may be logged: it quotes only the probe."""
    quoted = reason[:_REASON_CHARACTERS] or "no reason given"
    return f"{index} takes no document, not even an ordinary one: {quoted} (OpenSearch answered {status} {error_type})"
