"""Envelope + data key -> the monitoring record's JSON. The one place that touches the AWS Encryption SDK.

RDS encrypts with a raw AES master key (provider `BC`, name `DataKey`) and compresses with gzip; which algorithm suite
it uses is not documented, so both signed and unsigned, committing and non-committing messages open here.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO

from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey

from daswatch.errors import DecryptError, Reason
from daswatch.records.limits import MAX_PLAINTEXT_BYTES

_DATA_KEY_BYTES = 32
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # the header says which; RDS writes gzip
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key that KMS has unwrapped, in the form that the Encryption SDK takes. Never printed."""

    master_key: RawMasterKey

    def __repr__(self) -> str:
        return "DataKey(…)"


@dataclass(frozen=True, slots=True)
class Plaintext:
    """An opened message: the JSON, and how many bytes followed that belong to nothing."""

    content: bytes
    trailing_bytes: int


def data_key(plaintext: bytes) -> DataKey:
    """Wrap the 32 bytes that KMS Decrypt answered. Raises DecryptError for any other length."""
    if len(plaintext) != _DATA_KEY_BYTES:
        raise DecryptError(Reason.DATA_KEY_REFUSED, f"a data key of {len(plaintext)} bytes, not of {_DATA_KEY_BYTES}")
    wrapping_key = WrappingKey(
        wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
        wrapping_key=plaintext,
        wrapping_key_type=EncryptionKeyType.SYMMETRIC,
    )
    return DataKey(RawMasterKey(provider_id="BC", key_id="DataKey", wrapping_key=wrapping_key))


class Decryptor:
    """Opens messages; holds nothing but the Encryption SDK's settings, so one serves all streams."""

    def __init__(self, max_plaintext_bytes: int = MAX_PLAINTEXT_BYTES) -> None:
        self._max_plaintext_bytes = max_plaintext_bytes
        self._client = EncryptionSDKClient(
            # ALLOW_DECRYPT: AWS's own samples relax it, since RDS may write non-committing messages.
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
            max_encrypted_data_keys=1,
        )

    def decrypt(self, ciphertext: bytes, key: DataKey) -> Plaintext:
        """Decrypt once and decompress. Raises DecryptError, whatever is wrong with the message."""
        source = BytesIO(ciphertext)
        try:
            with self._client.stream(mode="d", source=source, key_provider=key.master_key) as stream:
                compressed: bytes = stream.read()
        except Exception as exc:
            # Besides its own errors the SDK lets through InvalidTag, InvalidSignature, struct.error and others.
            raise DecryptError(Reason.NOT_DECRYPTABLE, type(exc).__name__) from exc
        # The SDK takes a message from the front and says nothing of what follows it.
        behind_message = len(ciphertext) - source.tell()
        content, behind_gzip = decompress(compressed, self._max_plaintext_bytes)
        return Plaintext(content, behind_message + behind_gzip)


def decompress(compressed: bytes, max_bytes: int) -> tuple[bytes, int]:
    """Decompress every gzip member (a plain `zlib.decompress` drops all but the first), up to `max_bytes` in all.

    Returns the content and the number of trailing bytes that are no member. Raises DecryptError where it is no gzip, is
    truncated, or expands past the ceiling.
    """
    members: list[bytes] = []
    room = max_bytes
    rest = compressed
    while True:
        member = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            content = member.decompress(rest, room + 1)
        except zlib.error as exc:
            raise DecryptError(Reason.NOT_GZIP, "the message is not gzip, or its checksum is wrong") from exc
        room -= len(content)
        if room < 0:
            raise DecryptError(Reason.TOO_LARGE, f"it decompresses to more than {max_bytes} bytes")
        if not member.eof:
            raise DecryptError(Reason.NOT_GZIP, "the gzip member is truncated")
        members.append(content)
        rest = member.unused_data
        if not rest.startswith(_GZIP_MAGIC):
            return (members[0] if len(members) == 1 else b"".join(members)), len(rest)
