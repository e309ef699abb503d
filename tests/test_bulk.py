"""What becomes of a document: the table of fates, the wait between attempts, and the gateway that acts on both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from opensearchpy.exceptions import ConnectionError as SearchConnectionError
from opensearchpy.exceptions import ConnectionTimeout, SerializationError, TransportError

from daswatch.bulk import Action, Fate, fate_of, fate_of_request
from daswatch.deadline import Deadline, backoff_seconds
from daswatch.gateways.search import BulkResult, SearchGateway


@pytest.mark.parametrize(
    ("status", "error_type", "fate"),
    [
        (200, "", Fate.WRITTEN),
        (201, "", Fate.WRITTEN),
        (409, "version_conflict_engine_exception", Fate.ALREADY_THERE),
        (429, "circuit_breaking_exception", Fate.RETRY),
        (429, "opensearch_rejected_execution_exception", Fate.RETRY),
        (500, "", Fate.RETRY),
        (502, "", Fate.RETRY),
        (503, "unavailable_shards_exception", Fate.RETRY),
        (504, "", Fate.RETRY),
        (401, "security_exception", Fate.REDELIVER),
        (403, "cluster_block_exception", Fate.REDELIVER),
        (404, "index_not_found_exception", Fate.REDELIVER),
        (400, "index_closed_exception", Fate.REDELIVER),
        (400, "validation_exception", Fate.REDELIVER),
        (400, "invalid_index_name_exception", Fate.REDELIVER),
        (400, "illegal_state_exception", Fate.REDELIVER),
        (400, "mapper_parsing_exception", Fate.REFUSED),
        (400, "illegal_argument_exception", Fate.REFUSED),
        (400, "strict_dynamic_mapping_exception", Fate.REFUSED),
        (413, "", Fate.REFUSED),
    ],
)
def test_the_fate_of_a_document_by_opensearchs_answer(status: int, error_type: str, fate: Fate) -> None:
    assert fate_of(status, error_type) is fate


@pytest.mark.parametrize(
    ("status", "error_type", "fate"),
    [
        (413, "", Fate.REFUSED),
        (400, "parse_exception", Fate.REFUSED),
        (400, "illegal_argument_exception", Fate.REFUSED),
        (400, "index_closed_exception", Fate.REDELIVER),
        (408, "", Fate.RETRY),
        (429, "", Fate.RETRY),
        (500, "", Fate.RETRY),
        (503, "", Fate.RETRY),
        (301, "", Fate.REDELIVER),
        (401, "", Fate.REDELIVER),
        (403, "", Fate.REDELIVER),
        (404, "", Fate.REDELIVER),
        (418, "", Fate.REDELIVER),
    ],
)
def test_the_fate_of_a_whole_request_by_its_status(status: int, error_type: str, fate: Fate) -> None:
    assert fate_of_request(status, error_type) is fate


def test_the_wait_doubles_up_to_five_seconds() -> None:
    longest = [backoff_seconds(attempt, 0.999999) for attempt in range(10)]

    assert [round(seconds, 1) for seconds in longest] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]


@pytest.mark.parametrize("attempt", [0, 3, 10, 10_000])
def test_the_wait_is_spread_from_nothing_on(attempt: int) -> None:
    waits = [backoff_seconds(attempt, chance / 10) for chance in range(10)]

    assert waits[0] == 0
    assert waits == sorted(waits)
    assert max(waits) < 5


# The gateway, in front of a transport that answers as it is told.


@dataclass
class Clock:
    """Time that only waiting moves."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@dataclass
class Endpoint:
    """Stands in for opensearch-py's client and its transport; notes each bulk request's lines."""

    answers: list[Any]
    requests: list[list[bytes]] = field(default_factory=list)

    @property
    def transport(self) -> Endpoint:
        return self

    def perform_request(self, _method: str, _path: str, params: Any = None, body: bytes = b"") -> Any:
        self.requests.append(body.splitlines())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(self.requests[-1]) if callable(answer) else answer


ALL_WRITTEN = {"errors": False}


def statuses(*told: int | tuple[int, str]) -> dict[str, Any]:
    """A bulk answer with these statuses, and error types where there are any."""
    items = []
    for status in told:
        number, error_type = status if isinstance(status, tuple) else (status, "")
        error = {"error": {"type": error_type}} if number >= 300 else {}
        items.append({"create": {"status": number, **error}})
    return {"errors": True, "items": items}


def actions(count: int) -> list[Action]:
    return [Action(b"action %d\n" % position, position) for position in range(count)]


def write(endpoint: Endpoint, given: Sequence[Action], seconds: float = 60, clock: Clock | None = None) -> BulkResult:
    clock = clock or Clock()
    gateway = SearchGateway(endpoint, sleep=clock.sleep, chance=lambda: 0.5)  # type: ignore[arg-type]
    return gateway.write(given, Deadline.after(seconds, lambda: clock.now))


def test_an_answer_without_errors_is_all_written() -> None:
    result = write(Endpoint([ALL_WRITTEN]), actions(3))

    assert (result.written, result.already_there, result.requests) == (3, 0, 1)
    assert result.refused == []
    assert result.unwritten == []


def test_a_document_that_belongs_to_no_record_is_not_counted() -> None:
    result = write(Endpoint([ALL_WRITTEN]), [*actions(2), Action(b"pulse\n", None)])

    assert result.written == 2


def test_each_document_has_its_own_fate() -> None:
    endpoint = Endpoint([statuses(201, 409, (400, "mapper_parsing_exception"), 429, (403, "blocked")), ALL_WRITTEN])
    given = actions(5)

    result = write(endpoint, given)

    assert (result.written, result.already_there) == (2, 1)
    assert [(refusal.action, refusal.error_type) for refusal in result.refused] == [
        (given[2], "mapper_parsing_exception")
    ]
    assert result.unwritten == [given[4]]
    assert "403" in result.cause
    assert endpoint.requests[1] == [b"action 3"]


@pytest.mark.parametrize(
    "failure",
    [
        statuses(429, 429),
        TransportError(429, "rejected", {}),
        TransportError(503, "unavailable", {}),
        TransportError("N/A", "what", {}),
        SearchConnectionError("N/A", "reset", Exception()),
        ConnectionTimeout("TIMEOUT", "slow", Exception()),
        SerializationError("no JSON"),
        "text from a proxy",
        {"took": 3},
        statuses(201),
    ],
    ids=repr,
)
def test_what_may_pass_is_sent_again_after_a_wait(failure: Any) -> None:
    clock = Clock()
    endpoint = Endpoint([failure, failure, ALL_WRITTEN])

    result = write(endpoint, actions(2), clock=clock)

    assert result.written == 2
    assert not result.unwritten
    assert clock.waits == [0.05, 0.1]
    assert endpoint.requests == [[b"action 0", b"action 1"]] * 3


def test_retries_end_with_the_time_and_name_what_is_left() -> None:
    clock = Clock()
    given = actions(2)

    result = write(Endpoint([statuses(201, 429)] + [statuses(429)] * 99), given, seconds=3, clock=clock)

    assert result.written == 1
    assert result.unwritten == [given[1]]
    assert result.cause == "OpenSearch is overloaded"
    assert clock.now < 3


@pytest.mark.parametrize(("status", "error"), [(401, "x"), (403, "x"), (404, "x")])
def test_what_waits_for_somebody_is_not_retried(status: int, error: str) -> None:
    endpoint = Endpoint([TransportError(status, error, {})])
    given = actions(2)

    result = write(endpoint, given)

    assert result.unwritten == given
    assert str(status) in result.cause
    assert len(endpoint.requests) == 1


def refusing(poison: bytes, error: Exception) -> Callable[[list[bytes]], Any]:
    """Answers that refuse each request as a whole that has the poison in it."""

    def answer(lines: list[bytes]) -> Any:
        if poison in lines:
            raise error
        return ALL_WRITTEN

    return answer


@pytest.mark.parametrize(
    "error", [TransportError(413, "too large", {}), TransportError(400, "parse_exception", {})], ids=repr
)
def test_one_document_that_spoils_its_request_is_found_and_refused_alone(error: Exception) -> None:
    given = actions(9)

    result = write(Endpoint([refusing(b"action 6", error)] * 40), given)

    assert [refusal.action for refusal in result.refused] == [given[6]]
    assert result.written == 8
    assert not result.unwritten


def test_without_time_nothing_is_sent() -> None:
    endpoint = Endpoint([])
    given = actions(1)

    result = write(endpoint, given, seconds=0.1)

    assert result.unwritten == given
    assert result.cause == "out of time"
    assert endpoint.requests == []


@pytest.mark.parametrize("answer", [statuses(201, 429), statuses(201, 503)], ids=["429", "503"])
def test_what_belongs_to_no_record_is_not_waited_for(answer: dict[str, Any]) -> None:
    clock = Clock()
    given = [*actions(1), Action(b"pulse\n", None)]

    result = write(Endpoint([answer]), given, clock=clock)

    assert (result.written, result.unwritten) == (1, [given[1]])
    assert clock.waits == []


def test_nothing_to_write_is_no_request() -> None:
    assert write(Endpoint([]), []).requests == 0
