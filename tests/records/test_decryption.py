"""Ciphertext -> JSON, with real cryptography: what RDS may write opens, everything else has its own reason."""

from __future__ import annotations

import base64
import gzip
import os
import zlib

import aws_encryption_sdk
import orjson
import pytest
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey

from daswatch.errors import DecryptError, Reason
from daswatch.records.decryption import DataKey, Decryptor, data_key, decompress
from demo.rds import Database, encrypt, seal
from demo.rds import DataKey as RdsDataKey

KEY = bytes(range(32))
CONTENT = b'{"type":"DatabaseActivityMonitoringRecord","databaseActivityEventList":[]}'


@pytest.fixture(scope="module")
def decryptor() -> Decryptor:
    return Decryptor(max_plaintext_bytes=1_000_000)


@pytest.fixture(scope="module")
def key() -> DataKey:
    return data_key(KEY)


def message(payload: bytes, *, signed: bool = False) -> bytes:
    return encrypt(payload, RdsDataKey(plaintext=KEY, wrapped=b""), signed=signed)


def message_of_suite(
    suite: Algorithm, *, provider: str = "BC", name: str = "DataKey", frame_length: int = 4096
) -> bytes:
    """A message as another producer would write it."""
    policy = (
        CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        if suite.is_committing()
        else CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    )
    master_key = RawMasterKey(
        provider_id=provider,
        key_id=name,
        wrapping_key=WrappingKey(
            wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
            wrapping_key=KEY,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        ),
    )
    ciphertext: bytes
    ciphertext, _ = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy).encrypt(
        source=gzip.compress(CONTENT), key_provider=master_key, algorithm=suite, frame_length=frame_length
    )
    return ciphertext


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 300_000])
def test_what_rds_seals_opens_whatever_its_size_and_suite(
    decryptor: Decryptor, key: DataKey, signed: bool, size: int
) -> None:
    content = os.urandom(size)

    plaintext = decryptor.decrypt(message(gzip.compress(content), signed=signed), key)

    assert plaintext.content == content
    assert plaintext.trailing_bytes == 0


@pytest.mark.parametrize(
    "suite",
    [
        Algorithm.AES_256_GCM_IV12_TAG16,
        Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256,
        Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
        Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
    ],
    ids=lambda suite: hex(suite.algorithm_id),
)
@pytest.mark.parametrize("frame_length", [0, 4096], ids=["one body", "frames"])
def test_every_algorithm_suite_opens(decryptor: Decryptor, key: DataKey, suite: Algorithm, frame_length: int) -> None:
    ciphertext = message_of_suite(suite, frame_length=frame_length)

    assert decryptor.decrypt(ciphertext, key).content == CONTENT


def test_the_envelope_of_the_producer_opens(decryptor: Decryptor, key: DataKey) -> None:
    database = Database("postgresql", "cluster-A", ("db-A",), "1.1", "a")
    sealed = orjson.loads(seal(CONTENT, database, RdsDataKey(plaintext=KEY, wrapped=b"wrapped")))

    plaintext = decryptor.decrypt(base64.b64decode(sealed["databaseActivityEvents"]), key)

    assert plaintext.content == CONTENT


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("where", [0, 3, 30, 100, 200, -60, -1])
def test_a_flipped_bit_never_opens(decryptor: Decryptor, key: DataKey, signed: bool, where: int) -> None:
    ciphertext = bytearray(message(gzip.compress(CONTENT), signed=signed))
    ciphertext[where] ^= 0x04

    with pytest.raises(DecryptError) as refusal:
        decryptor.decrypt(bytes(ciphertext), key)

    assert refusal.value.reason is Reason.NOT_DECRYPTABLE


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("kept", [0, 1, 20, 100, 0.5, 0.9, -1])
def test_a_truncated_message_never_opens(decryptor: Decryptor, key: DataKey, signed: bool, kept: float) -> None:
    ciphertext = message(gzip.compress(os.urandom(10_000)), signed=signed)
    end = int(len(ciphertext) * kept) if isinstance(kept, float) else kept

    with pytest.raises(DecryptError) as refusal:
        decryptor.decrypt(ciphertext[:end], key)

    assert refusal.value.reason is Reason.NOT_DECRYPTABLE


def test_another_data_key_does_not_open_it(decryptor: Decryptor) -> None:
    with pytest.raises(DecryptError) as refusal:
        decryptor.decrypt(message(gzip.compress(CONTENT)), data_key(bytes(32)))

    assert refusal.value.reason is Reason.NOT_DECRYPTABLE


@pytest.mark.parametrize(("provider", "name"), [("BC", "AnotherKey"), ("RawMasterKeyProvider", "DataKey")])
def test_a_key_of_another_name_does_not_open_it(decryptor: Decryptor, key: DataKey, provider: str, name: str) -> None:
    suite = Algorithm.AES_256_GCM_IV12_TAG16_HKDF_SHA256

    with pytest.raises(DecryptError) as refusal:
        decryptor.decrypt(message_of_suite(suite, provider=provider, name=name), key)

    assert refusal.value.reason is Reason.NOT_DECRYPTABLE


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_bytes_behind_the_message_are_counted(decryptor: Decryptor, key: DataKey, signed: bool) -> None:
    plaintext = decryptor.decrypt(message(gzip.compress(CONTENT), signed=signed) + b"seven b", key)

    assert plaintext.content == CONTENT
    assert plaintext.trailing_bytes == 7


def test_bytes_behind_the_gzip_member_are_counted(decryptor: Decryptor, key: DataKey) -> None:
    plaintext = decryptor.decrypt(message(gzip.compress(CONTENT) + b"five!") + b"three", key)

    assert plaintext.content == CONTENT
    assert plaintext.trailing_bytes == 10


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_a_data_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(DecryptError) as refusal:
        data_key(bytes(length))

    assert refusal.value.reason is Reason.DATA_KEY_REFUSED


def test_a_data_key_is_never_printed(key: DataKey) -> None:
    printed = f"{key} {key!r}"

    assert printed == "DataKey(…) DataKey(…)"


@pytest.mark.parametrize(
    ("compressed", "content", "trailing"),
    [
        pytest.param(gzip.compress(b"one"), b"one", 0, id="gzip, as RDS writes it"),
        pytest.param(zlib.compress(b"one"), b"one", 0, id="zlib, as another producer does"),
        pytest.param(gzip.compress(b""), b"", 0, id="an empty member"),
        pytest.param(gzip.compress(b"one") + gzip.compress(b" two"), b"one two", 0, id="a second member"),
        pytest.param(gzip.compress(b"one") + b"junk", b"one", 4, id="trailing bytes"),
        pytest.param(
            gzip.compress(b"one") + gzip.compress(b" two") + b"junk", b"one two", 4, id="a second member and junk"
        ),
        pytest.param(gzip.compress(b"one") + b"\x1f", b"one", 1, id="half of a member's magic"),
        pytest.param(gzip.compress(b"x" * 100), b"x" * 100, 0, id="exactly the ceiling"),
    ],
)
def test_every_member_is_decompressed_and_the_rest_counted(compressed: bytes, content: bytes, trailing: int) -> None:
    assert decompress(compressed, 100) == (content, trailing)


@pytest.mark.parametrize(
    ("compressed", "reason"),
    [
        pytest.param(b"", Reason.NOT_GZIP, id="nothing"),
        pytest.param(b"plain text, not compressed", Reason.NOT_GZIP, id="text"),
        pytest.param(gzip.compress(b"one")[:-1], Reason.NOT_GZIP, id="truncated by a byte"),
        pytest.param(gzip.compress(b"one" * 99)[:12], Reason.NOT_GZIP, id="truncated behind the header"),
        pytest.param(gzip.compress(b"one")[:-5] + b"\0\0\0\0\0", Reason.NOT_GZIP, id="a wrong checksum"),
        pytest.param(gzip.compress(b"one") + gzip.compress(b"two")[:-1], Reason.NOT_GZIP, id="a truncated second"),
        pytest.param(gzip.compress(b"one") + b"\x1f\x8bjunk", Reason.NOT_GZIP, id="junk that begins like a member"),
        pytest.param(gzip.compress(b"x" * 101), Reason.TOO_LARGE, id="a byte over the ceiling"),
        pytest.param(gzip.compress(bytes(50_000_000)), Reason.TOO_LARGE, id="a bomb"),
        pytest.param(gzip.compress(b"x" * 51) * 2, Reason.TOO_LARGE, id="two members over the ceiling together"),
    ],
)
def test_what_does_not_decompress_has_its_reason(compressed: bytes, reason: Reason) -> None:
    with pytest.raises(DecryptError) as refusal:
        decompress(compressed, 100)

    assert refusal.value.reason is reason


def test_very_many_members_are_no_way_around_the_ceiling() -> None:
    with pytest.raises(DecryptError) as refusal:
        decompress(gzip.compress(b"x") * 101, 100)

    assert refusal.value.reason is Reason.TOO_LARGE
