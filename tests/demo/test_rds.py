"""Sealed records open with the plain Encryption SDK, gzip and KMS, as AWS's own samples open them."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import aws_encryption_sdk
import pytest
from aws_encryption_sdk.identifiers import CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey
from botocore.exceptions import ClientError

from demo.aws import LocalAws
from demo.rds import Database, DataKey, KmsDataKeys, seal, to_json
from demo.traffic import DATABASES, produce

if TYPE_CHECKING:
    from types_boto3_kms import KMSClient

START = datetime(2031, 3, 4, 11, 0, tzinfo=UTC)
ONE_OF_EACH_ENGINE = tuple({database.engine: database for database in DATABASES}.values())
ANY_KEY = DataKey(plaintext=bytes(range(32)), wrapped=b"wrapped")


@pytest.fixture
def kms(aws: LocalAws) -> KMSClient:
    return aws.kms()


@pytest.fixture
def key_id(kms: KMSClient) -> str:
    return kms.create_key()["KeyMetadata"]["KeyId"]


def record_of(database: Database) -> dict[str, Any]:
    """A monitoring record of a database with at least one event."""
    records = produce(31, START, 2_000, (database,), scenarios=())
    return next(record.monitoring_record for record in records if len(record.entries) > 3)


def message_of(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["databaseActivityEvents"], validate=True)


def decrypted(message: bytes, plaintext_key: bytes) -> bytes:
    """The payload of an Encryption SDK message, by the names that AWS's documentation gives."""
    master_key = RawMasterKey(
        provider_id="BC",
        key_id="DataKey",
        wrapping_key=WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=plaintext_key,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        ),
    )
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
    plaintext: bytes = client.decrypt(source=message, key_provider=master_key)[0]
    return plaintext


def opened(envelope: bytes, kms: KMSClient, context: dict[str, str]) -> Any:
    wrapped = base64.b64decode(json.loads(envelope)["key"], validate=True)
    answer = kms.decrypt(CiphertextBlob=wrapped, EncryptionContext=context)
    return json.loads(gzip.decompress(decrypted(message_of(envelope), answer["Plaintext"])))


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("database", ONE_OF_EACH_ENGINE, ids=lambda database: database.engine)
def test_a_sealed_record_opens_again(kms: KMSClient, key_id: str, database: Database, signed: bool) -> None:
    record = record_of(database)
    envelope = seal(record, database, KmsDataKeys(kms, key_id).for_record(database), signed)

    assert opened(envelope, kms, database.encryption_context) == record


def test_the_envelope_is_as_documented() -> None:
    database = ONE_OF_EACH_ENGINE[0]
    envelope = json.loads(seal(record_of(database), database, ANY_KEY))

    assert list(envelope) == ["type", "version", "databaseActivityEvents", "key"]
    assert envelope["type"] == "DatabaseActivityMonitoringRecords"
    assert envelope["version"] == database.version
    assert base64.b64decode(envelope["key"]) == b"wrapped"


@pytest.mark.parametrize(("signed", "beginning"), [(True, "AYADe"), (False, "AYABe")])
def test_the_suite_is_the_one_asked_for(signed: bool, beginning: str) -> None:
    # Message version 1, type 0x80, suite 0x0378 or 0x0178; the random message id follows in the sixth letter.
    database = ONE_OF_EACH_ENGINE[0]
    envelope = json.loads(seal(record_of(database), database, ANY_KEY, signed))

    assert envelope["databaseActivityEvents"].startswith(beginning)


def test_a_database_says_whether_its_records_are_signed() -> None:
    beginnings = {
        json.loads(seal(b"{}", database, ANY_KEY))["databaseActivityEvents"][:5]: database.signed
        for database in DATABASES
    }

    assert beginnings == {"AYADe": True, "AYABe": False}


def test_long_payloads_take_several_frames() -> None:
    database = ONE_OF_EACH_ENGINE[0]
    noise = json.dumps(list(range(9_000))).encode()
    message = message_of(seal(noise, database, ANY_KEY, signed=False))

    compressed = len(gzip.compress(noise, 6))
    frames = -(-compressed // 4096)
    assert frames > 3
    # 185 bytes of overhead for a message of one frame, 32 for each further one (measured, wire format 1.3).
    assert len(message) == compressed + 185 + 32 * (frames - 1)
    assert gzip.decompress(decrypted(message, ANY_KEY.plaintext)) == noise


@pytest.mark.parametrize(
    "context",
    [
        {"aws:rds:dbc-id": "cluster-ANOTHER"},
        {"aws:rds:db-id": ONE_OF_EACH_ENGINE[0].resource_id},
        {},
    ],
    ids=["another cluster", "an instance's name", "none"],
)
def test_kms_refuses_another_context(kms: KMSClient, key_id: str, context: dict[str, str]) -> None:
    database = ONE_OF_EACH_ENGINE[0]
    envelope = seal(record_of(database), database, KmsDataKeys(kms, key_id).for_record(database))

    with pytest.raises(ClientError, match="InvalidCiphertext"):
        opened(envelope, kms, context)


def test_data_keys_are_reused_then_rotated_for_each_database(kms: KMSClient, key_id: str) -> None:
    keys = KmsDataKeys(kms, key_id, records_per_key=3)
    first, second = DATABASES[:2]

    of_first = [keys.for_record(first) for _ in range(7)]
    of_second = keys.for_record(second)

    assert [of_first.index(key) for key in of_first] == [0, 0, 0, 3, 3, 3, 6]
    assert of_second not in of_first
    assert keys.generated == 4


def test_a_data_key_must_last_for_a_record(kms: KMSClient, key_id: str) -> None:
    with pytest.raises(ValueError, match="records_per_key"):
        KmsDataKeys(kms, key_id, records_per_key=0)


def test_a_data_key_does_not_show_its_plaintext() -> None:
    assert "wrapped" in repr(ANY_KEY)
    assert "plaintext" not in repr(ANY_KEY)


@pytest.mark.parametrize("database", DATABASES, ids=lambda database: database.name)
def test_stream_and_context_are_named_after_the_resource_id(database: Database) -> None:
    aurora = database.engine in ("postgresql", "mysql")
    prefix, context = ("cluster-", "aws:rds:dbc-id") if aurora else ("db-", "aws:rds:db-id")

    assert database.resource_id.startswith(prefix)
    assert database.encryption_context == {context: database.resource_id}
    assert database.stream_name == f"aws-rds-das-{database.resource_id}"
    assert database.stream_arn("eu-central-1") == (
        f"arn:aws:kinesis:eu-central-1:123456789012:stream/aws-rds-das-{database.resource_id}"
    )
    assert database.cluster_id == (database.resource_id if aurora else "")


def test_bytes_are_sealed_as_they_are() -> None:
    envelope = seal(b"not JSON at all", DATABASES[0], ANY_KEY, signed=False)

    assert gzip.decompress(decrypted(message_of(envelope), ANY_KEY.plaintext)) == b"not JSON at all"


def test_json_is_compact_and_escapes_only_what_utf8_cannot_hold() -> None:
    assert to_json({"a": "Łódź", "b": [1, None]}) == '{"a":"Łódź","b":[1,null]}'.encode()
    assert to_json({"a": "\ud800"}) == b'{"a":"\\ud800"}'


def test_equal_records_have_equal_bytes_before_encryption() -> None:
    database = DATABASES[0]
    sealed = [seal(record_of(database), database, ANY_KEY, signed=False) for _ in range(2)]
    payloads = [decrypted(message_of(envelope), ANY_KEY.plaintext) for envelope in sealed]

    assert payloads[0] == payloads[1]
    assert sealed[0] != sealed[1]


def test_a_whole_run_opens_again_across_rotations(kms: KMSClient, key_id: str) -> None:
    keys = KmsDataKeys(kms, key_id, records_per_key=4)
    for produced in islice(produce(32, START, 200), 60):
        envelope = seal(produced.monitoring_record, produced.database, keys.for_record(produced.database))

        assert opened(envelope, kms, produced.database.encryption_context) == produced.monitoring_record
