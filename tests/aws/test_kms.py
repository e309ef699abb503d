"""Data keys from KMS, cached: bounded, aged, bound to their context, refusals kept, outages not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.stub import Stubber

from daswatch.aws.kms import DataKeys
from daswatch.deadline import Deadline
from daswatch.errors import DecryptError, KmsUnavailable, Reason
from daswatch.records.envelope import StreamSource
from tests.fakes.clock import Clock

if TYPE_CHECKING:
    from types_boto3_kms.client import KMSClient

CLUSTER = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")
OTHER_CLUSTER = StreamSource("cluster-B", "aws:rds:dbc-id", "123456789012", "eu-west-1")
INSTANCE = StreamSource("cluster-A", "aws:rds:db-id", "123456789012", "eu-west-1")
PLAINTEXT = bytes(range(32))
LATER = Deadline.after(3600, Clock())
ONE_CALL = 0.9  # KMS gets a share of it, which suffices for no pause


@dataclass
class Kms:
    """A client with AWS's contract: botocore checks what is asked and what is answered."""

    client: KMSClient
    stub: Stubber
    now: float = 0.0
    clock: Clock = field(default_factory=Clock)
    keys: DataKeys = field(init=False)

    def remember(self, max_keys: int = 10, max_age_seconds: float = 900) -> DataKeys:
        self.keys = DataKeys(self.client, max_keys, max_age_seconds, lambda: self.now)
        return self.keys

    def until(self, seconds: float) -> Deadline:
        return Deadline.after(seconds, self.clock)

    def forget(self) -> None:
        """Drop the answers that were not asked for."""
        self.stub.deactivate()
        self.stub = Stubber(self.client)
        self.stub.activate()

    def answers(self, wrapped: bytes, stream: StreamSource = CLUSTER, plaintext: bytes = PLAINTEXT) -> None:
        """The next call must ask for this, and gets the key."""
        asked = {"CiphertextBlob": wrapped, "EncryptionContext": {stream.context_key: stream.resource_id}}
        self.stub.add_response("decrypt", {"Plaintext": plaintext, "KeyId": "key"}, asked)

    def fails(self, code: str, status: int = 400) -> None:
        """The next call fails."""
        self.stub.add_client_error("decrypt", code, "shown by KMS", status)


@pytest.fixture
def kms() -> Iterator[Kms]:
    client = boto3.client("kms", "eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    with Stubber(client) as stub:
        kms = Kms(client, stub)
        kms.remember()
        yield kms
        kms.stub.assert_no_pending_responses()
        kms.stub.deactivate()


def test_a_key_is_asked_for_once_with_the_streams_context(kms: Kms) -> None:
    kms.answers(b"wrapped")

    keys = [kms.keys.unwrap(b"wrapped", CLUSTER, LATER) for _ in range(3)]

    assert keys[0] is keys[1] is keys[2]
    assert (kms.keys.counts.calls, kms.keys.counts.hits) == (1, 2)


@pytest.mark.parametrize("stream", [OTHER_CLUSTER, INSTANCE])
def test_a_key_is_cached_for_its_own_context_only(kms: Kms, stream: StreamSource) -> None:
    kms.answers(b"wrapped")
    kms.keys.unwrap(b"wrapped", CLUSTER, LATER)
    kms.fails("InvalidCiphertextException")

    with pytest.raises(DecryptError) as refusal:
        kms.keys.unwrap(b"wrapped", stream, LATER)

    assert refusal.value.reason is Reason.DATA_KEY_REFUSED


def test_a_key_is_asked_for_again_when_it_is_too_old(kms: Kms) -> None:
    keys = kms.remember(max_age_seconds=900)
    kms.answers(b"wrapped")
    keys.unwrap(b"wrapped", CLUSTER, LATER)

    kms.now = 899.9
    keys.unwrap(b"wrapped", CLUSTER, LATER)
    assert keys.counts.calls == 1

    kms.now = 900
    kms.answers(b"wrapped")
    keys.unwrap(b"wrapped", CLUSTER, LATER)
    assert keys.counts.calls == 2


def test_use_does_not_make_a_key_younger(kms: Kms) -> None:
    keys = kms.remember(max_age_seconds=10)
    kms.answers(b"wrapped")
    for second in range(10):
        kms.now = second
        keys.unwrap(b"wrapped", CLUSTER, LATER)

    kms.now = 10
    kms.fails("KMSInvalidStateException")

    with pytest.raises(KmsUnavailable):
        keys.unwrap(b"wrapped", CLUSTER, LATER)


def test_the_cache_holds_no_more_than_its_bound_and_drops_the_least_used(kms: Kms) -> None:
    keys = kms.remember(max_keys=2)
    for name in (b"one", b"two"):
        kms.answers(name)
        keys.unwrap(name, CLUSTER, LATER)
    keys.unwrap(b"one", CLUSTER, LATER)

    kms.answers(b"three")
    keys.unwrap(b"three", CLUSTER, LATER)

    keys.unwrap(b"one", CLUSTER, LATER)
    kms.answers(b"two")
    keys.unwrap(b"two", CLUSTER, LATER)
    assert (keys.counts.calls, keys.counts.hits) == (4, 2)


@pytest.mark.parametrize("code", ["InvalidCiphertextException", "IncorrectKeyException", "InvalidKeyUsageException"])
def test_a_refusal_is_the_records_fault_and_is_asked_for_once(kms: Kms, code: str) -> None:
    kms.fails(code)

    for _ in range(3):
        with pytest.raises(DecryptError) as refusal:
            kms.keys.unwrap(b"wrapped", CLUSTER, LATER)
        assert refusal.value.reason is Reason.DATA_KEY_REFUSED
        assert code in refusal.value.detail

    assert (kms.keys.counts.calls, kms.keys.counts.hits) == (1, 2)


def test_a_refusal_ages_too(kms: Kms) -> None:
    keys = kms.remember(max_age_seconds=10)
    kms.fails("InvalidCiphertextException")
    with pytest.raises(DecryptError):
        keys.unwrap(b"wrapped", CLUSTER, LATER)

    kms.now = 10
    kms.answers(b"wrapped")

    assert keys.unwrap(b"wrapped", CLUSTER, LATER)


@pytest.mark.parametrize("length", [1, 31, 33, 4096])
def test_a_plaintext_that_is_no_aes_key_is_a_refusal(kms: Kms, length: int) -> None:
    kms.answers(b"wrapped", plaintext=bytes(length))

    with pytest.raises(DecryptError) as refusal:
        kms.keys.unwrap(b"wrapped", CLUSTER, LATER)

    assert refusal.value.reason is Reason.DATA_KEY_REFUSED


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("LimitExceededException", 400),
        ("AccessDeniedException", 400),
        ("DisabledException", 400),
        ("KMSInvalidStateException", 400),
        ("NotFoundException", 400),
        ("KeyUnavailableException", 500),
        ("DependencyTimeoutException", 503),
        ("KMSInternalException", 500),
        ("ExpiredTokenException", 400),
        ("SomethingNew", 418),
    ],
)
def test_what_may_pass_is_not_the_records_fault_and_is_asked_for_again(kms: Kms, code: str, status: int) -> None:
    kms.fails(code, status)

    with pytest.raises(KmsUnavailable, match=code):
        kms.keys.unwrap(b"wrapped", CLUSTER, kms.until(ONE_CALL))

    kms.answers(b"wrapped")
    assert kms.keys.unwrap(b"wrapped", CLUSTER, LATER)


def test_throttled_kms_is_asked_again_during_half_of_the_time_left(kms: Kms) -> None:
    for _ in range(999):
        kms.fails("ThrottlingException")

    with pytest.raises(KmsUnavailable, match="ThrottlingException"):
        kms.keys.unwrap(b"wrapped", CLUSTER, kms.until(60))

    assert 20 < kms.clock.now <= 30
    kms.forget()
    kms.fails("ThrottlingException")
    kms.answers(b"wrapped")
    assert kms.keys.unwrap(b"wrapped", CLUSTER, kms.until(60))


def test_denied_kms_is_not_asked_again(kms: Kms) -> None:
    kms.fails("AccessDeniedException")

    with pytest.raises(KmsUnavailable, match="AccessDeniedException"):
        kms.keys.unwrap(b"wrapped", CLUSTER, kms.until(60))

    assert kms.clock.now == 0


def test_the_message_of_an_outage_does_not_quote_kms(kms: Kms) -> None:
    kms.fails("AccessDeniedException")

    with pytest.raises(KmsUnavailable) as outage:
        kms.keys.unwrap(b"wrapped", CLUSTER, LATER)

    assert "shown by KMS" not in str(outage.value)


@dataclass
class Unreachable:
    """A client whose calls do not come back."""

    error: Exception

    def decrypt(self, **_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://kms.example.com"),
        ConnectTimeoutError(endpoint_url="https://kms.example.com"),
        ReadTimeoutError(endpoint_url="https://kms.example.com"),
        RuntimeError("a fault of the client"),
        OSError("too many open files"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_lost_connection_is_an_outage(error: Exception) -> None:
    """So is whatever else a client fails with: no record is to blame for it."""
    clock = Clock()
    keys = DataKeys(Unreachable(error))  # type: ignore[arg-type]

    with pytest.raises(KmsUnavailable, match=type(error).__name__):
        keys.unwrap(b"wrapped", CLUSTER, Deadline(ONE_CALL, clock))
    assert clock.slept == []


def test_a_key_is_never_printed(kms: Kms) -> None:
    kms.answers(b"wrapped")

    printed = repr(kms.keys.unwrap(b"wrapped", CLUSTER, LATER))

    assert repr(PLAINTEXT)[2:20] not in printed


@pytest.mark.parametrize("wrapped", [b"", b"x" * 6_145])
def test_wrapped_key_of_impossible_size_is_refused(kms: Kms, wrapped: bytes) -> None:
    """KMS would answer ValidationException, which says as much of other mistakes: nothing is asked."""
    with pytest.raises(DecryptError) as refused:
        kms.keys.unwrap(wrapped, CLUSTER, LATER)

    assert refused.value.reason is Reason.DATA_KEY_REFUSED
    assert kms.keys.counts.calls == 0
