"""What RDS does to a monitoring record before it reaches Kinesis: gzip, encrypt, wrap in the envelope.

In: a monitoring record, the database it comes from and a data key. Out: the bytes of one stream record. The
shapes and names are those of AWS's user guides on database activity streams; whether RDS signs its
messages is unknown, so both suites are here. Nothing of `daswatch` is used: what is sealed here is opened by
other code than made it.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import aws_encryption_sdk
import orjson
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey

from demo.ledger import Engine

if TYPE_CHECKING:
    from types_boto3_kms import KMSClient

ACCOUNT_ID = "123456789012"
STREAM_PREFIX = "aws-rds-das-"
PROVIDER_ID = "BC"
KEY_NAME = "DataKey"
FRAME_LENGTH = 4096  # bytes; the Encryption SDK's default, assumed for RDS
GZIP_LEVEL = 6

SIGNED_SUITE = Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384  # 0x0378
UNSIGNED_SUITE = Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256  # 0x0178

AURORA: frozenset[Engine] = frozenset({"postgresql", "mysql"})


@dataclass(frozen=True, slots=True)
class Database:
    """One database with an activity stream: an Aurora cluster, or an RDS instance.

    The first of `instance_ids` is the writer. `version` is the envelope's and decides the shape of the
    events: "1.0" is the old Aurora PostgreSQL. `server_version` is what events say; left empty, the engine's
    plausible one is used. `weight` is the database's part of the simulated traffic, relative to the others.
    """

    engine: Engine
    resource_id: str
    instance_ids: tuple[str, ...]
    version: str
    name: str
    server_version: str = ""
    native_fields: bool = False
    signed: bool = True
    weight: float = 1.0

    @property
    def stream_name(self) -> str:
        return STREAM_PREFIX + self.resource_id

    @property
    def encryption_context(self) -> dict[str, str]:
        name = "aws:rds:dbc-id" if self.engine in AURORA else "aws:rds:db-id"
        return {name: self.resource_id}

    @property
    def cluster_id(self) -> str:
        """What a monitoring record calls clusterId: empty for an RDS instance."""
        return self.resource_id if self.engine in AURORA else ""

    def stream_arn(self, region: str, account_id: str = ACCOUNT_ID) -> str:
        return f"arn:aws:kinesis:{region}:{account_id}:stream/{self.stream_name}"


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key as KMS gives it: in the clear for the encryption, wrapped for the envelope."""

    plaintext: bytes = field(repr=False)
    wrapped: bytes


class DataKeys(Protocol):
    """Where the data key of the next record comes from."""

    def for_record(self, database: Database) -> DataKey: ...


class KmsDataKeys:
    """Data keys of a KMS key, a new one for each database after every `records_per_key` records."""

    def __init__(self, kms: KMSClient, key_id: str, records_per_key: int = 500) -> None:
        if records_per_key < 1:
            raise ValueError(f"records_per_key must be at least 1, not {records_per_key}")
        self._kms = kms
        self._key_id = key_id
        self._records_per_key = records_per_key
        self._in_use: dict[str, tuple[DataKey, int]] = {}
        self.generated = 0

    def for_record(self, database: Database) -> DataKey:
        data_key, records = self._in_use.get(database.resource_id, (None, 0))
        if data_key is None or records >= self._records_per_key:
            data_key, records = self._generate(database), 0
        self._in_use[database.resource_id] = (data_key, records + 1)
        return data_key

    def _generate(self, database: Database) -> DataKey:
        answer = self._kms.generate_data_key(
            KeyId=self._key_id, KeySpec="AES_256", EncryptionContext=database.encryption_context
        )
        self.generated += 1
        return DataKey(plaintext=answer["Plaintext"], wrapped=answer["CiphertextBlob"])


def seal(
    monitoring_record: Mapping[str, Any] | bytes,
    database: Database,
    data_key: DataKey,
    signed: bool | None = None,
) -> bytes:
    """The envelope of a monitoring record, as bytes for Kinesis.

    Bytes are taken as they are, for records that no JSON writer would make. `signed` chooses the suite; left
    out, the database decides.
    """
    content = monitoring_record if isinstance(monitoring_record, bytes) else to_json(monitoring_record)
    return envelope(
        encrypt(
            gzip.compress(content, GZIP_LEVEL, mtime=0),
            data_key,
            signed=database.signed if signed is None else signed,
        ),
        data_key.wrapped,
        database.version,
    )


def to_json(monitoring_record: Mapping[str, Any]) -> bytes:
    """The record as compact JSON; escaped to ASCII where it holds what UTF-8 cannot (lone surrogates)."""
    try:
        return orjson.dumps(monitoring_record)
    except TypeError:
        return json.dumps(monitoring_record, separators=(",", ":")).encode("ascii")


def encrypt(payload: bytes, data_key: DataKey, *, signed: bool) -> bytes:
    """The payload as an Encryption SDK message under the raw AES master key that RDS makes of a data key."""
    ciphertext, _ = _client().encrypt(
        source=payload,
        key_provider=_master_key(data_key.plaintext),
        algorithm=SIGNED_SUITE if signed else UNSIGNED_SUITE,
        frame_length=FRAME_LENGTH,
    )
    message: bytes = ciphertext
    return message


def envelope(ciphertext: bytes, wrapped_key: bytes, version: str) -> bytes:
    return orjson.dumps(
        {
            "type": "DatabaseActivityMonitoringRecords",
            "version": version,
            "databaseActivityEvents": base64.b64encode(ciphertext).decode("ascii"),
            "key": base64.b64encode(wrapped_key).decode("ascii"),
        }
    )


@lru_cache(maxsize=1)
def _client() -> aws_encryption_sdk.EncryptionSDKClient:
    # RDS's suites do not commit to the key, and only this policy encrypts with such a suite.
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)


@lru_cache(maxsize=64)
def _master_key(plaintext: bytes) -> RawMasterKey:
    return RawMasterKey(
        provider_id=PROVIDER_ID,
        key_id=KEY_NAME,
        wrapping_key=WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=plaintext,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        ),
    )
