"""Stream record -> envelope: the first step, before any key is asked for.

In: the base64 text that Lambda hands over for one Kinesis (or Firehose) record, and the ARN of the stream it came from.
Out: an `Envelope`, and the `StreamSource` with the encryption context under which KMS unwraps its data keys.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from functools import lru_cache

import orjson

from daswatch.errors import EnvelopeError, NotAnActivityStream, Reason

ENVELOPE_TYPE = "DatabaseActivityMonitoringRecords"

STREAM_PREFIX = "aws-rds-das-"  # of the Kinesis streams' names; the resource id follows
# The resource id's prefix says whether it is a cluster or an instance. A
# mapping with enhanced fan-out reads the stream through a consumer, whose ARN begins with the stream's.
_STREAM_ARN = re.compile(
    r"arn:(?P<partition>aws[\w-]*):kinesis:(?P<region>[\w-]+):(?P<account>\d{12}):stream/"
    rf"{STREAM_PREFIX}(?P<resource>(?P<kind>cluster|db)-[\w-]+)"
    r"(?:/consumer/[\w.-]+:\d+)?",
    re.ASCII,
)
_ARN = re.compile(r"arn:[\w:/.*-]{1,200}", re.ASCII)
_CONTEXT_KEY = {"cluster": "aws:rds:dbc-id", "db": "aws:rds:db-id"}


def stream_name(resource_id: str) -> str:
    """How RDS names the Kinesis stream of a database."""
    return STREAM_PREFIX + resource_id


@dataclass(frozen=True, slots=True)
class StreamSource:
    """Whose activity it is, all of it read from the stream's ARN."""

    resource_id: str
    context_key: str
    account_id: str
    region: str

    @property
    def encryption_context(self) -> dict[str, str]:
        """The context that RDS bound the data keys to: KMS refuses any other."""
        return {self.context_key: self.resource_id}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A stream record's content: still encrypted, split into its parts."""

    version: str
    ciphertext: bytes
    wrapped_data_key: bytes


@lru_cache(maxsize=1024)
def stream_source(arn: str) -> StreamSource:
    """Read whose activity a stream carries from its ARN.

    Raises NotAnActivityStream where the stream is not named as RDS names activity streams: without the resource id
    nothing that it carries can be decrypted, and a function that reads it is connected to the wrong source. Raises
    EnvelopeError where no source is named: then it is not a record that AWS delivered.
    """
    match = _STREAM_ARN.fullmatch(arn)
    if match is None and arn:
        raise NotAnActivityStream(arn if _ARN.fullmatch(arn) else "")
    if match is None:
        raise EnvelopeError(Reason.NOT_AN_ACTIVITY_STREAM, "the record does not name the stream that it comes from")
    return StreamSource(
        resource_id=match["resource"],
        context_key=_CONTEXT_KEY[match["kind"]],
        account_id=match["account"],
        region=match["region"],
    )


def read_envelope(data: str | bytes) -> Envelope:
    """Decode what Lambda gives as a record's `data`. Raises EnvelopeError.

    An unknown version is kept as it is: AWS adds fields under new versions and breaks none.
    """
    content = _base64(data, "the record")
    try:
        envelope = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise EnvelopeError(Reason.NOT_JSON, f"{len(content)} bytes that are not JSON") from exc
    if not isinstance(envelope, dict) or "databaseActivityEvents" not in envelope:
        raise EnvelopeError(Reason.NOT_AN_ENVELOPE, "not a JSON object with databaseActivityEvents")
    if envelope.get("type") != ENVELOPE_TYPE:
        raise EnvelopeError(Reason.ANOTHER_TYPE, f"type is not {ENVELOPE_TYPE}")
    key, ciphertext = envelope.get("key"), envelope["databaseActivityEvents"]
    if not isinstance(ciphertext, str):
        raise EnvelopeError(Reason.NOT_AN_ENVELOPE, "databaseActivityEvents is not a string")
    if not isinstance(key, str) or not key:
        raise EnvelopeError(Reason.DATA_KEY_MISSING, "the envelope has no data key")
    return Envelope(
        version=str(envelope.get("version") or ""),
        ciphertext=_base64(ciphertext, "databaseActivityEvents"),
        wrapped_data_key=_base64(key, "key"),
    )


def _base64(text: str | bytes, what: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as exc:  # binascii.Error is one; so is text outside ASCII
        raise EnvelopeError(Reason.NOT_BASE64, f"{what} is not base64") from exc
