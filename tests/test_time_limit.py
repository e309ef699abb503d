"""A call ends at its deadline whatever it waits for, and AWS's failures are sorted by what a caller can do."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from opensearchpy.exceptions import ConnectionTimeout
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from daswatch.aws.api_calls import OUT_OF_TIME, AwsError, Trouble, ask, attempt, trouble_of
from daswatch.aws.session import aws_session
from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.client import search_client
from daswatch.opensearch.request import perform, request
from daswatch.settings import SearchEndpoint
from daswatch.time_limit import OutOfTime, within
from tests.fakes.clock import Clock, ends_within
from tests.fakes.relay import Relay

SECONDS = 1.0
LIMIT_SECONDS = 60.0
ANY = re.compile("")


@pytest.fixture
def trickling(httpserver: HTTPServer) -> Iterator[str]:
    """A server whose answer comes byte by byte, far more often than any timeout of a socket."""
    over = threading.Event()

    def trickle(_: Request) -> Response:
        spaces = iter(lambda: b"" if over.wait(0.05) else b" ", b"")
        return Response(spaces, content_type="application/json", headers={"content-length": "1000000"})

    httpserver.expect_request(ANY).respond_with_handler(trickle)
    yield httpserver.url_for("")
    over.set()


def kms(url: str) -> Any:
    return boto3.client(
        "kms",
        "eu-west-1",
        endpoint_url=url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )


def search(url: str) -> Any:
    return search_client(SearchEndpoint(url, auth="none"))


# Bounds.


def test_a_call_returns_and_raises_as_without_a_bound() -> None:
    later = Deadline.after(LIMIT_SECONDS)

    assert within(later, lambda: [1]) == [1]
    with pytest.raises(ZeroDivisionError):
        within(later, lambda: 1 // 0)


def test_after_the_deadline_no_call_is_made() -> None:
    made: list[int] = []

    with pytest.raises(OutOfTime):
        within(Deadline.after(-1), lambda: made.append(1))

    assert made == []


def test_a_call_that_hangs_ends_at_the_deadline() -> None:
    release = threading.Event()

    with ends_within(LIMIT_SECONDS), pytest.raises(OutOfTime):
        within(Deadline.after(SECONDS), release.wait)

    release.set()


def test_a_deadline_with_its_own_clock_is_not_missed_by_real_time() -> None:
    clock = Clock()

    def slow() -> str:
        time.sleep(0.5)
        return "done"

    assert within(Deadline.after(0.05, clock), slow) == "done"


def test_an_answer_that_trickles_ends_at_the_deadline(trickling: str) -> None:
    with ends_within(LIMIT_SECONDS), pytest.raises(AwsError) as error:
        attempt(lambda: kms(trickling).list_keys(), Deadline.after(SECONDS))
    assert (error.value.code, error.value.trouble) == (OUT_OF_TIME, Trouble.OUT_OF_TIME)

    with ends_within(LIMIT_SECONDS), pytest.raises(SearchUnavailable, match="ConnectionTimeout"):
        request(search(trickling), "GET", "/", deadline=Deadline.after(SECONDS))


def test_a_name_that_does_not_resolve_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> Any:
        release.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    with ends_within(LIMIT_SECONDS), pytest.raises(AwsError, match=OUT_OF_TIME):
        attempt(lambda: kms("http://kms.example.org").list_keys(), Deadline.after(SECONDS))
    with ends_within(LIMIT_SECONDS), pytest.raises(ConnectionTimeout):
        perform(search("http://search.example.org"), "GET", "/", deadline=Deadline.after(SECONDS))

    release.set()


def test_the_addresses_of_a_host_share_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with Relay("http://127.0.0.1:9") as relay:
        relay.vanish()
        port = int(relay.url.rpartition(":")[2])
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 100)

        with ends_within(LIMIT_SECONDS), pytest.raises(AwsError, match=OUT_OF_TIME):
            attempt(lambda: kms(f"http://kms.example.org:{port}").list_keys(), Deadline.after(SECONDS))
        with ends_within(LIMIT_SECONDS), pytest.raises(ConnectionTimeout):
            perform(search(f"http://search.example.org:{port}"), "GET", "/", deadline=Deadline.after(SECONDS))


def test_a_part_of_a_deadline_leaves_the_rest() -> None:
    clock = Clock(100.0)
    whole = Deadline.after(60, clock)

    assert whole.part(0.25).remaining == 15
    assert whole.at_most(20).remaining == 20
    assert whole.at_most(90).remaining == 60
    clock.sleep(70)
    assert whole.part(0.5).remaining <= 0


# AWS's failures.


@pytest.mark.parametrize(
    ("code", "status", "trouble"),
    [
        ("ThrottlingException", 400, Trouble.PASSING),
        ("Throttling", 400, Trouble.PASSING),
        ("RequestLimitExceeded", 503, Trouble.PASSING),
        ("TooManyRequestsException", 429, Trouble.PASSING),
        ("SlowDown", 503, Trouble.PASSING),
        ("KMSInternalException", 500, Trouble.PASSING),
        ("InternalError", 500, Trouble.PASSING),
        ("Unheard", 502, Trouble.PASSING),
        ("AccessDenied", 403, Trouble.DENIED),
        ("AccessDeniedException", 400, Trouble.DENIED),
        ("KMSAccessDenied", 400, Trouble.DENIED),
        ("DisabledException", 400, Trouble.REFUSED),
        ("NoSuchBucket", 404, Trouble.REFUSED),
        ("Unheard", 400, Trouble.REFUSED),
    ],
)
def test_an_error_code_says_what_a_caller_can_do(code: str, status: int, trouble: Trouble) -> None:
    assert trouble_of(code, status) is trouble


def _client_error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Call")


def _in_turn(*outcomes: Any) -> Callable[[], Any]:
    waiting = list(outcomes)

    def call() -> Any:
        outcome = waiting.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call


def test_what_passes_is_asked_again_with_growing_pauses() -> None:
    clock = Clock()
    hung = ReadTimeoutError(endpoint_url="https://example.org")
    call = _in_turn(_client_error("Throttling"), hung, _client_error("Other", 503), "answer")

    assert ask(call, Deadline.after(60, clock), lambda: 1.0) == "answer"

    assert clock.slept == [0.1, 0.2, 0.4]


def test_call_that_may_have_effect_is_not_repeated() -> None:
    """After a timeout a message may have been sent; where nothing was connected, or AWS refused it, it was not."""
    clock = Clock()
    refused = EndpointConnectionError(endpoint_url="https://example.org")
    hung = ReadTimeoutError(endpoint_url="https://example.org")

    with pytest.raises(AwsError) as error:
        ask(
            _in_turn(_client_error("Throttling"), refused, hung, "answer"),
            Deadline.after(60, clock),
            lambda: 1.0,
            repeatable=False,
        )

    assert (error.value.code, error.value.may_have_effect) == ("ReadTimeoutError", True)
    assert clock.slept == [0.1, 0.2]


def test_ambiguous_end_is_not_hidden_by_an_earlier_failure() -> None:
    """A message that was throttled first and then ran out of time may have been sent."""
    clock = Clock()

    attempts = _in_turn(_client_error("Throttling"), ReadTimeoutError(endpoint_url="https://example.org"))

    def slower_each_time() -> Any:
        clock.sleep(60 * len(clock.slept))
        return attempts()

    with pytest.raises(AwsError) as error:
        ask(slower_each_time, Deadline.after(10, clock), lambda: 1.0, repeatable=False)

    assert error.value.may_have_effect


@pytest.mark.parametrize(
    "error", [_client_error("AccessDenied"), _client_error("NoSuchKey", 404), NoCredentialsError()]
)
def test_what_does_not_pass_is_asked_once(error: Exception) -> None:
    clock = Clock()

    with pytest.raises(AwsError):
        ask(_in_turn(error, "answer"), Deadline.after(60, clock))

    assert clock.slept == []


def test_out_of_time_the_last_failure_is_named() -> None:
    clock = Clock()
    call = _in_turn(*[_client_error("Throttling")] * 99)

    with pytest.raises(AwsError) as error:
        ask(call, Deadline.after(10, clock), lambda: 1.0)

    assert (error.value.code, error.value.status, error.value.words) == ("Throttling", 400, "words")
    assert sum(clock.slept) <= 10


@pytest.mark.parametrize("status", [200, 500, 502])
@pytest.mark.parametrize("service", ["sts", "kms", "s3", "sns"])
def test_a_page_of_another_server_is_a_failure_by_name(service: Any, status: int, httpserver: HTTPServer) -> None:
    """botocore raises ResponseParserError, which is not one of its own errors, where it reads XML."""
    calls = {"sts": "get_caller_identity", "kms": "list_keys", "s3": "list_buckets", "sns": "list_topics"}

    page = "<!doctype html><html><body><p>An error of a proxy.<br></body></html>"
    httpserver.expect_request(ANY).respond_with_data(page, status, content_type="text/html")
    client = aws_session().client(
        service,
        "eu-west-1",
        endpoint_url=httpserver.url_for(""),
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(AwsError) as error:
        attempt(getattr(client, calls[service]), Deadline.after(LIMIT_SECONDS))

    assert error.value.trouble is Trouble.PASSING
    assert "proxy" not in str(error.value)
