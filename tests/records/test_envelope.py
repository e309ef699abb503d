"""Stream record -> envelope: what is read, what is refused and why, and whose activity a stream carries."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from daswatch.errors import EnvelopeError, NotAnActivityStream, Reason
from daswatch.records.envelope import Envelope, StreamSource, read_envelope, stream_source


def delivered(content: object) -> str:
    """A record's data as Lambda hands it over."""
    raw = content if isinstance(content, bytes) else orjson.dumps(content)
    return base64.b64encode(raw).decode("ascii")


def envelope(**changes: Any) -> dict[str, Any]:
    """A good envelope; a change to None takes the field out."""
    fields = {
        "type": "DatabaseActivityMonitoringRecords",
        "version": "1.1",
        "databaseActivityEvents": base64.b64encode(b"ciphertext").decode("ascii"),
        "key": base64.b64encode(b"wrapped").decode("ascii"),
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def test_an_envelope_is_split_into_its_parts() -> None:
    read = read_envelope(delivered(envelope()))

    assert read == Envelope(version="1.1", ciphertext=b"ciphertext", wrapped_data_key=b"wrapped")


@pytest.mark.parametrize(
    ("version", "kept"),
    [("1.0", "1.0"), ("1.4", "1.4"), ("7.3-beta", "7.3-beta"), (None, ""), ("", ""), (2, "2"), (1.5, "1.5")],
)
def test_every_version_is_kept_as_it_is(version: object, kept: str) -> None:
    assert read_envelope(delivered(envelope(version=version))).version == kept


def test_unknown_fields_of_an_envelope_do_no_harm() -> None:
    read = read_envelope(delivered(envelope(checksum="x", nested={"a": [1]})))

    assert read.ciphertext == b"ciphertext"


def test_bytes_are_read_like_text() -> None:
    assert read_envelope(delivered(envelope()).encode("ascii")) == read_envelope(delivered(envelope()))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param("%%%", Reason.NOT_BASE64, id="other alphabet"),
        pytest.param("YWJj*", Reason.NOT_BASE64, id="a foreign character behind base64"),
        pytest.param("YWJjZA", Reason.NOT_BASE64, id="padding missing"),
        pytest.param("YWJj\nYWJj", Reason.NOT_BASE64, id="a line break"),
        pytest.param("ÿÿÿÿ", Reason.NOT_BASE64, id="outside ASCII"),
        pytest.param("\ud800", Reason.NOT_BASE64, id="a lone surrogate"),
        pytest.param("", Reason.NOT_JSON, id="nothing"),
        pytest.param(delivered(b"plain text"), Reason.NOT_JSON, id="text"),
        pytest.param(delivered(b"\xff\xfe\x00"), Reason.NOT_JSON, id="bytes"),
        pytest.param(delivered(b'{"type":'), Reason.NOT_JSON, id="truncated JSON"),
        pytest.param(delivered(b"[" * 5000), Reason.NOT_JSON, id="very deep JSON"),
        pytest.param(delivered(None), Reason.NOT_AN_ENVELOPE, id="null"),
        pytest.param(delivered([envelope()]), Reason.NOT_AN_ENVELOPE, id="a list"),
        pytest.param(delivered("text"), Reason.NOT_AN_ENVELOPE, id="a string"),
        pytest.param(delivered({"some": "object"}), Reason.NOT_AN_ENVELOPE, id="another object"),
        pytest.param(
            delivered(envelope(databaseActivityEvents={"type": "DatabaseActivityMonitoringRecord"})),
            Reason.NOT_AN_ENVELOPE,
            id="decrypted already, as AWS's documentation prints it",
        ),
        pytest.param(delivered(envelope(databaseActivityEvents=17)), Reason.NOT_AN_ENVELOPE, id="a number inside"),
        pytest.param(delivered(envelope(type=None)), Reason.ANOTHER_TYPE, id="no type"),
        pytest.param(
            delivered(envelope(type="DatabaseActivityMonitoringRecord")), Reason.ANOTHER_TYPE, id="the singular"
        ),
        pytest.param(delivered(envelope(type=["x"])), Reason.ANOTHER_TYPE, id="a list as type"),
        pytest.param(delivered(envelope(key=None)), Reason.DATA_KEY_MISSING, id="no key"),
        pytest.param(delivered(envelope(key="")), Reason.DATA_KEY_MISSING, id="an empty key"),
        pytest.param(delivered(envelope(key=42)), Reason.DATA_KEY_MISSING, id="a number as key"),
        pytest.param(delivered(envelope(key="§")), Reason.NOT_BASE64, id="a key that is not base64"),
        pytest.param(
            delivered(envelope(databaseActivityEvents="not base64!")), Reason.NOT_BASE64, id="ciphertext not base64"
        ),
    ],
)
def test_what_is_no_envelope_is_refused_with_its_reason(data: str, reason: Reason) -> None:
    with pytest.raises(EnvelopeError) as refusal:
        read_envelope(data)

    assert refusal.value.reason is reason


def test_the_detail_of_a_refusal_quotes_nothing_of_the_record() -> None:
    with pytest.raises(EnvelopeError) as refusal:
        read_envelope(delivered(envelope(type="s3cret", key="s3cret", databaseActivityEvents="s3cret!")))

    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("arn", "stream"),
    [
        (
            "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-ABCD123456",
            StreamSource("cluster-ABCD123456", "aws:rds:dbc-id", "123456789012", "eu-west-1"),
        ),
        (
            "arn:aws:kinesis:us-gov-west-1:123456789012:stream/aws-rds-das-db-ABCD",
            StreamSource("db-ABCD", "aws:rds:db-id", "123456789012", "us-gov-west-1"),
        ),
        (
            "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/aws-rds-das-db-X",
            StreamSource("db-X", "aws:rds:db-id", "123456789012", "cn-north-1"),
        ),
        (
            "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-ABCD123456/consumer/audit_1.x-y:1700000000",
            StreamSource("cluster-ABCD123456", "aws:rds:dbc-id", "123456789012", "eu-west-1"),
        ),
    ],
)
def test_arn_names_whose_activity_it_is(arn: str, stream: StreamSource) -> None:
    assert stream_source(arn) == stream


def test_the_encryption_context_binds_a_key_to_its_database() -> None:
    stream = stream_source("arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A")

    assert stream.encryption_context == {"aws:rds:dbc-id": "cluster-A"}


@pytest.mark.parametrize(
    "arn",
    [
        "aws-rds-das-cluster-A",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-host-A",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/my-aws-rds-das-cluster-A",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A\n",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/consumer/app:1",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A/consumer/app",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A/consumer/app:1/x",
        "arn:aws:kinesis:eu-west-1:1234:stream/aws-rds-das-cluster-A",
        "arn:aws:sqs:eu-west-1:123456789012:aws-rds-das-cluster-A",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-\N{GREEK CAPITAL LETTER ALPHA}",
    ],
)
def test_another_source_is_the_mappings_fault(arn: str) -> None:
    with pytest.raises(NotAnActivityStream, match="delete the event source mapping"):
        stream_source(arn)


def test_another_source_is_named_only_if_it_is_an_arn() -> None:
    with pytest.raises(NotAnActivityStream, match="stream/clicks is not an activity stream"):
        stream_source("arn:aws:kinesis:eu-west-1:123456789012:stream/clicks")
    with pytest.raises(NotAnActivityStream) as refusal:
        stream_source("select 's3cret'")

    assert "s3cret" not in str(refusal.value)


def test_record_without_a_source_is_refused() -> None:
    with pytest.raises(EnvelopeError) as refusal:
        stream_source("")

    assert refusal.value.reason is Reason.NOT_AN_ACTIVITY_STREAM
