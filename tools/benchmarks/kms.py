"""KMS for the benchmarks: boto3's own client, answered after 5 ms without leaving the process.

The answer is given where botocore would send the request, so both sides pay what boto3 costs, and no server runs
next to the measurement. Data keys are made here too, for the producer.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from secrets import token_bytes
from typing import Any, cast

import boto3
import orjson
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from types_boto3_kms.client import KMSClient

from demo.aws import REGION
from demo.rds import Database, DataKey

KMS_SECONDS = 0.005  # what a call takes within a region
RECORDS_PER_DATA_KEY = 500  # how often RDS takes a new data key is not documented


class LocalKms:
    """Makes data keys and unwraps them; refuses a wrong encryption context as KMS does."""

    def __init__(self) -> None:
        self._keys: dict[bytes, tuple[bytes, dict[str, str]]] = {}
        self._uses: dict[str, int] = {}
        self._current: dict[str, DataKey] = {}

    def for_record(self, database: Database) -> DataKey:
        """The data key of the next record of a database."""
        uses = self._uses.get(database.resource_id, 0)
        self._uses[database.resource_id] = uses + 1
        if uses % RECORDS_PER_DATA_KEY == 0:
            key = DataKey(plaintext=token_bytes(32), wrapped=token_bytes(168))
            self._keys[key.wrapped] = (key.plaintext, database.encryption_context)
            self._current[database.resource_id] = key
        return self._current[database.resource_id]

    def client(self) -> KMSClient:
        """A KMS client that is answered here."""
        client = boto3.client("kms", region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
        client.meta.events.register("before-send.kms.Decrypt", cast(Callable[..., None], self._answer))
        return client

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        time.sleep(KMS_SECONDS)
        asked = orjson.loads(cast(bytes, request.body))
        plaintext, context = self._keys.get(b64decode(asked["CiphertextBlob"]), (b"", None))
        if context != asked.get("EncryptionContext"):
            return _response(request, 400, {"__type": "InvalidCiphertextException"})
        return _response(request, 200, {"Plaintext": b64encode(plaintext).decode("ascii")})


class _Raw:
    """What botocore reads a body from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> list[bytes]:
        return [self._content]


def _response(request: AWSPreparedRequest, status: int, body: dict[str, Any]) -> AWSResponse:
    return AWSResponse(request.url, status, HTTPHeaders(), _Raw(orjson.dumps(body)))
