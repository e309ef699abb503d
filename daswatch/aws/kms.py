"""KMS: unwraps data keys, once for each.

AWS's samples call KMS for every record, heartbeats included: at list price some four dollars a month for an idle
instance, thousands for a busy one, and a quota shared with the whole account. RDS wraps many records under one data
key, so the unwrapped keys are kept in memory, bounded in number and age, by the exact wrapped bytes and encryption
context.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daswatch.aws.api_calls import AwsError, Trouble, ask
from daswatch.deadline import Deadline
from daswatch.errors import DecryptError, KmsUnavailable, Reason
from daswatch.records.decryption import DataKey, data_key
from daswatch.records.envelope import StreamSource
from daswatch.records.limits import MAX_DATA_KEY_AGE_SECONDS, MAX_DATA_KEYS

if TYPE_CHECKING:
    from types_boto3_kms.client import KMSClient

MAX_WRAPPED_BYTES = (
    6_144  # CiphertextBlob of KMS Decrypt; a longer one is refused as the request's fault, not the key's
)
# KMS may be waited for during this part of the time left: what was opened before has to be written.
_SHARE_OF_TIME = 0.5
_KEY_ARN = re.compile(r"arn:aws[\w-]*:kms:[\w-]+:\d{12}:key/[\w-]+", re.ASCII)

# The ciphertext or its encryption context is wrong, and will be for ever. All else may pass: throttling, a key that is
# disabled or pending deletion, a role that lacks the permission.
_REFUSALS = frozenset({"InvalidCiphertextException", "IncorrectKeyException", "InvalidKeyUsageException"})


@dataclass(slots=True)
class KmsCounts:
    """What the cache saved."""

    calls: int = 0
    hits: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    answer: DataKey | DecryptError
    until: float


class DataKeys:
    """Unwrapped data keys, cached. Refusals are kept too: the same bytes are refused again."""

    def __init__(
        self,
        client: KMSClient,
        max_keys: int = MAX_DATA_KEYS,
        max_age_seconds: float = MAX_DATA_KEY_AGE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._max_keys = max_keys
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._entries: OrderedDict[tuple[str, str, bytes], _Entry] = OrderedDict()
        self.counts = KmsCounts()

    def unwrap(self, wrapped: bytes, stream: StreamSource, deadline: Deadline) -> DataKey:
        """The data key. Raises DecryptError where KMS refuses these bytes in this context, KmsUnavailable otherwise."""
        if not 1 <= len(wrapped) <= MAX_WRAPPED_BYTES:
            raise DecryptError(Reason.DATA_KEY_REFUSED, f"a wrapped data key of {len(wrapped):,} bytes")
        name = (stream.context_key, stream.resource_id, wrapped)
        entry = self._entries.get(name)
        if entry is not None and self._clock() < entry.until:
            self._entries.move_to_end(name)
            self.counts.hits += 1
        else:
            entry = _Entry(self._ask(wrapped, stream, deadline), self._clock() + self._max_age_seconds)
            self._entries[name] = entry
            self._entries.move_to_end(name)
            if len(self._entries) > self._max_keys:
                self._entries.popitem(last=False)
        if isinstance(entry.answer, DecryptError):
            raise DecryptError(entry.answer.reason, entry.answer.detail)
        return entry.answer

    def _ask(self, wrapped: bytes, stream: StreamSource, deadline: Deadline) -> DataKey | DecryptError:
        self.counts.calls += 1
        context = stream.encryption_context
        try:
            answer = ask(
                lambda: self._client.decrypt(CiphertextBlob=wrapped, EncryptionContext=context),
                deadline.part(_SHARE_OF_TIME),
            )
        except AwsError as exc:
            if exc.code in _REFUSALS:
                return DecryptError(Reason.DATA_KEY_REFUSED, f"KMS answered {exc.code} for the context of this stream")
            is_passing = exc.trouble in (Trouble.PASSING, Trouble.OUT_OF_TIME)
            named = _KEY_ARN.search(exc.words)
            key = named[0] if named else ""
            raise KmsUnavailable(f"KMS Decrypt: {exc.code}", is_passing=is_passing, key=key) from exc
        except Exception as exc:  # whatever a client fails with, it says nothing about the record
            raise KmsUnavailable(f"KMS Decrypt: {type(exc).__name__}") from exc
        if "Plaintext" not in answer:  # botocore reads a truncated answer, or one that is not JSON, as an empty one
            raise KmsUnavailable("KMS Decrypt: an answer without a data key")
        try:
            return data_key(answer["Plaintext"])
        except DecryptError as refusal:
            return refusal
