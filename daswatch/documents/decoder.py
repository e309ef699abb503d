"""The way of one stream record from ciphertext to documents; the same for every function that reads the stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from daswatch.deadline import Deadline
from daswatch.documents.document import Document, Flattening, flatten
from daswatch.documents.noise import ExcludedUser, Noise
from daswatch.errors import Reason
from daswatch.records.decryption import DataKey, Decryptor
from daswatch.records.envelope import StreamSource, read_envelope
from daswatch.records.monitoring_record import read_monitoring_record


class DataKeySource(Protocol):
    """What unwraps data keys: KMS behind its cache."""

    def unwrap(self, wrapped: bytes, stream: StreamSource, deadline: Deadline) -> DataKey: ...


@dataclass(frozen=True, slots=True)
class DecodedRecord:
    """A stream record, decoded.

    `defect` names a part that could not be read although the rest could: the record is kept as a dead letter too.
    """

    instance_id: str
    events: int
    documents: list[Document]
    dropped: Mapping[Noise, int]
    newest_event: str  # ISO 8601 in UTC, in milliseconds; empty without events
    defect: tuple[Reason, str] | None
    decrypt_seconds: float
    flatten_seconds: float
    dropped_users: Mapping[ExcludedUser, int] = field(default_factory=dict)


@dataclass(slots=True)
class DecodingCounts:
    """What was decoded in one invocation."""

    events: int = 0
    dropped: Counter[Noise] = field(default_factory=Counter)
    dropped_users: Counter[tuple[str, str]] = field(default_factory=Counter)  # by instance id and user
    decrypt_ms: float = 0.0
    flatten_ms: float = 0.0

    def count(self, decoded: DecodedRecord) -> None:
        """Take one decoded record into account."""
        self.events += decoded.events
        if decoded.dropped:
            self.dropped.update(decoded.dropped)
        for user, count in decoded.dropped_users.items():
            self.dropped_users[decoded.instance_id, user.name] += count
        self.decrypt_ms += decoded.decrypt_seconds * 1000
        self.flatten_ms += decoded.flatten_seconds * 1000


class RecordDecoder:
    """Opens stream records of any number of activity streams."""

    def __init__(self, data_keys: DataKeySource, decryptor: Decryptor) -> None:
        self._data_keys = data_keys
        self._decryptor = decryptor

    def decode(
        self, data: str, stream: StreamSource, arrived_at: str, flattening: Flattening, deadline: Deadline
    ) -> DecodedRecord:
        """Decode, decrypt, decompress, parse, filter and flatten.

        Raises RecordError where the record can never be decoded, DependencyError where KMS does not serve us.
        """
        begun = time.perf_counter()
        envelope = read_envelope(data)
        key = self._data_keys.unwrap(envelope.wrapped_data_key, stream, deadline)
        plaintext = self._decryptor.decrypt(envelope.ciphertext, key)
        decrypted = time.perf_counter()
        record = read_monitoring_record(plaintext.content)
        trailing_bytes = plaintext.trailing_bytes
        del plaintext  # large: not while documents are made of it
        flattened = flatten(record, stream, envelope.version, arrived_at, flattening)
        defect = None
        if record.flaws:
            defect = Reason.EVENT_NOT_AN_OBJECT, f"{record.flaws} entries of the list are no objects"
        elif flattened.too_deep:
            defect = Reason.EVENT_TOO_DEEP, f"{flattened.too_deep} entries of the list are nested too deep"
        elif trailing_bytes:
            defect = Reason.TRAILING_BYTES, f"{trailing_bytes} bytes follow the message"
        return DecodedRecord(
            instance_id=record.instance_id,
            events=len(record.events),
            documents=flattened.documents,
            dropped=flattened.dropped,
            dropped_users=flattened.dropped_users,
            newest_event=_newest(flattened.documents),
            defect=defect,
            decrypt_seconds=decrypted - begun,
            flatten_seconds=time.perf_counter() - decrypted,
        )


def _newest(documents: Sequence[Document]) -> str:
    if not documents:
        return ""
    # Without the Z, times with fewer digits compare right.
    newest: str = max(document.source["@timestamp"].removesuffix("Z") for document in documents)
    seconds, _, fraction = newest.partition(".")
    return f"{seconds}.{fraction[:3]:0<3}Z"
