"""The way of the published sample Lambda for OpenSearch, written here for comparison only.

One KMS call for each record; a new key provider and two decryptions of each payload; one call that asks whether the
index exists for each record; one index request under a random id for each event, of eight fields and the native ones.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import aws_encryption_sdk
from aws_encryption_sdk import CommitmentPolicy
from opensearchpy import OpenSearch
from types_boto3_kms.client import KMSClient

from daswatch.records.decryption import data_key
from daswatch.records.envelope import stream_source

_KEYWORDS = ("pid", "dbUserName", "databaseName", "command", "commandText")
_TIMES = ("logTime", "startTime", "endTime")
MAPPING: dict[str, Any] = {
    "settings": {"index": {"number_of_shards": 1, "number_of_replicas": 1}},
    "mappings": {
        "properties": {
            **{name: {"type": "keyword"} for name in _KEYWORDS},
            **{name: {"type": "date", "format": "yyyy-MM-dd HH:mm:ss||yyyy-MM-dd||epoch_millis"} for name in _TIMES},
        }
    },
}


class SampleLambda:
    """One function of that way, warm."""

    def __init__(self, kms: KMSClient, client: OpenSearch, index: str) -> None:
        self._kms = kms
        self._client = client
        self._index = index
        self._sdk = aws_encryption_sdk.EncryptionSDKClient(
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
        )

    def handle(self, records: Sequence[dict[str, Any]]) -> int:
        """Index a batch; the number of events."""
        return sum(self._handle(record) for record in records)

    def _handle(self, record: dict[str, Any]) -> int:
        stream = stream_source(record["eventSourceARN"])
        envelope = json.loads(base64.b64decode(record["kinesis"]["data"]))
        ciphertext = base64.b64decode(envelope["databaseActivityEvents"])
        answer = self._kms.decrypt(
            CiphertextBlob=base64.b64decode(envelope["key"]), EncryptionContext=stream.encryption_context
        )
        for _ in range(2):
            provider = data_key(answer["Plaintext"]).master_key
            compressed, _header = self._sdk.decrypt(source=ciphertext, key_provider=provider)
            plaintext = zlib.decompress(compressed, zlib.MAX_WBITS + 16)
        if not self._client.indices.exists(index=self._index):
            self._client.indices.create(index=self._index, body=MAPPING)
        events = 0
        for event in json.loads(plaintext)["databaseActivityEventList"]:
            if event.get("type") == "heartbeat" or event.get("dbUserName") in ("RDSADMIN", "RDSSEC"):
                continue
            self._client.index(index=self._index, id=str(uuid.uuid4()), body=document_of(event))
            events += 1
        return events


def document_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """An activity event as that way writes it."""
    document: dict[str, Any] = {name: event.get(name) for name in _KEYWORDS}
    document |= {name: event[name].split(".")[0].split("+")[0] for name in _TIMES if event.get(name)}
    if "engineNativeAuditFields" in event:
        document["engineNativeAuditFields"] = event["engineNativeAuditFields"]
    return document
