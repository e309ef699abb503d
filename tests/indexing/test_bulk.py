"""What becomes of a document: the table of fates, the wait between attempts, and the gateway that acts on both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from opensearchpy.exceptions import ConnectionError as SearchConnectionError
from opensearchpy.exceptions import ConnectionTimeout, SerializationError, TransportError

from daswatch.content.templates import event_index
from daswatch.deadline import Deadline, backoff_seconds
from daswatch.indexing.bulk import Action, Fate, cause_of, fate_of, fate_of_request
from daswatch.indexing.write_probe import EVENT
from daswatch.opensearch.bulk import BulkResult, SearchGateway
from daswatch.settings import Service
from tests.fakes.clock import Clock


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
        (429, "cluster_block_exception", Fate.REDELIVER),
        (503, "cluster_block_exception", Fate.RETRY),
        (500, "fail_processor_exception", Fate.REDELIVER),
        (400, "script_exception", Fate.REDELIVER),
        (400, "routing_missing_exception", Fate.REDELIVER),
        (302, "", Fate.REDELIVER),
        (0, "", Fate.REDELIVER),
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
        (429, "cluster_block_exception", Fate.REDELIVER),
        (500, "", Fate.RETRY),
        (503, "", Fate.RETRY),
        (200, "", Fate.REDELIVER),
        (409, "", Fate.REDELIVER),
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


# The gateway, in front of a transport that answers as scripted.


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


def all_written(lines: list[bytes]) -> dict[str, Any]:
    """The answer to a request of actions of one line each, all written."""
    return {"errors": False, "items": [{"create": {"status": 201}}] * len(lines)}


def statuses(*given: int | tuple[int, str]) -> dict[str, Any]:
    """A bulk answer with these statuses, and error types where there are any."""
    items = []
    for status in given:
        number, error_type = status if isinstance(status, tuple) else (status, "")
        error = {"error": {"type": error_type}} if number >= 300 else {}
        items.append({"create": {"status": number, **error}})
    return {"errors": True, "items": items}


def actions(count: int) -> list[Action]:
    return [Action(b"action %d\n" % position, position=position) for position in range(count)]


def write(
    endpoint: Endpoint,
    given: Sequence[Action],
    seconds: float = 60,
    clock: Clock | None = None,
    service: Service = "es",
) -> BulkResult:
    clock = clock or Clock()
    gateway = SearchGateway(endpoint, chance=lambda: 0.5, service=service)  # type: ignore[arg-type]
    return gateway.write(given, Deadline.after(seconds, clock))


def test_an_answer_without_errors_is_all_written() -> None:
    result = write(Endpoint([all_written]), actions(3))

    assert (result.written, result.already_there, result.requests) == (3, 0, 1)
    assert result.refused == []
    assert result.unwritten == []


def test_a_document_that_belongs_to_no_record_is_not_counted() -> None:
    result = write(Endpoint([all_written]), [*actions(2), Action(b"pulse\n", required=False)])

    assert result.written == 2


def test_each_document_has_its_own_fate() -> None:
    endpoint = Endpoint([statuses(201, 409, (400, "mapper_parsing_exception"), 429, (403, "blocked")), all_written])
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
        statuses(201, 201, 201),
        {"errors": False},
        {"errors": False, "items": []},
        {"errors": False, "items": [{"create": {"status": 201}}]},
        {"errors": False, "items": [{"create": {"status": 201}}, None]},
        {"errors": False, "items": [{"create": {"status": 201}}, {}]},
        {"errors": False, "items": [{"create": {"status": 201}}, {"create": {}}]},
        {"errors": False, "items": [{"create": {"status": 201}}, {"create": {"status": "201"}}]},
        {"errors": False, "items": "201, 201"},
    ],
    ids=repr,
)
def test_what_may_pass_is_sent_again_after_a_wait(failure: Any) -> None:
    clock = Clock()
    endpoint = Endpoint([failure, failure, all_written])

    result = write(endpoint, actions(2), clock=clock)

    assert result.written == 2
    assert not result.unwritten
    assert clock.slept == [0.05, 0.1]
    assert endpoint.requests == [[b"action 0", b"action 1"]] * 3


def test_retries_end_with_the_time_and_name_what_is_left() -> None:
    clock = Clock()
    given = actions(2)

    result = write(Endpoint([statuses(201, 429)] + [statuses(429)] * 99), given, seconds=3, clock=clock)

    assert result.written == 1
    assert result.unwritten == [given[1]]
    assert result.cause.startswith("OpenSearch is overloaded")
    assert clock.now < 3


@pytest.mark.parametrize(("status", "error"), [(401, "x"), (403, "x"), (404, "x")])
def test_what_waits_for_an_administrator_is_not_retried(status: int, error: str) -> None:
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
        return all_written(lines)

    return answer


@pytest.mark.parametrize(
    "error", [TransportError(413, "too large", {}), TransportError(400, "parse_exception", {})], ids=repr
)
def test_document_that_spoils_its_request_is_refused_alone(error: Exception) -> None:
    given = actions(9)

    result = write(Endpoint([refusing(b"action 6", error)] * 40), given)

    assert [refusal.action for refusal in result.refused] == [given[6]]
    assert result.written == 8
    assert not result.unwritten


# Whose fault a refusal is. The actions have an index here, and the endpoint answers item by item.

INDEX = "das-events-2031.03.04"
OTHER = "das-events-2031.03.05"
FULL = "Number of documents in the index can't exceed [2147483519]"
Fault = Callable[[str, bytes], "tuple[int, str, str] | None"]


def document(position: int, index: str = INDEX, source: bytes = b"{}") -> Action:
    head = b'{"create":{"_index":"%s","_id":"%d"}}\n' % (index.encode(), position)
    return Action(head + source + b"\n", str(position), index, position)


def domain(fault: Fault) -> Callable[[list[bytes]], dict[str, Any]]:
    """A domain that answers each item by its index and source; a probe that nothing refuses is a conflict."""

    def answer(lines: list[bytes]) -> dict[str, Any]:
        items = []
        for head, source in zip(lines[::2], lines[1::2], strict=True):
            ((action, fields),) = orjson.loads(head).items()
            status, error_type, reason = fault(fields["_index"], source) or (
                (201, "", "") if action == "create" else (409, "version_conflict_engine_exception", "")
            )
            error = {"error": {"type": error_type, "reason": reason}} if error_type else {}
            items.append({action: {"status": status, **error}})
        return {"errors": any("error" in item for entry in items for item in entry.values()), "items": items}

    return answer


def everything(status: int, error_type: str, reason: str = "", index: str = INDEX) -> Fault:
    return lambda asked, _source: (status, error_type, reason) if asked == index else None


def the_poison(status: int, error_type: str, reason: str = "") -> Fault:
    return lambda _index, source: (status, error_type, reason) if b"poison" in source else None


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("error_type", ["mapper_parsing_exception", "illegal_argument_exception", "no_such_type"])
def test_refusal_of_any_document_is_the_domains_fault(count: int, error_type: str) -> None:
    endpoint = Endpoint([domain(everything(400, error_type, "pipeline with id [x] does not exist"))] * 9)
    given = [document(position) for position in range(count)]

    result = write(endpoint, given)

    assert result.unwritten == given
    assert result.refused == []
    assert f"{INDEX} takes no document" in result.cause
    assert "pipeline with id [x] does not exist" in result.cause
    assert len(endpoint.requests) == 2


WRAPPER = "not_serializable_exception_wrapper"
WRAPPED = "validation_exception: Validation Failed: 1: this action would add [6] total shards"


@pytest.mark.parametrize(
    "answer",
    [
        domain(everything(400, WRAPPER, WRAPPED)),
        TransportError(400, WRAPPER, {"error": {"type": WRAPPER, "reason": WRAPPED}}),
    ],
    ids=["item", "request"],
)
def test_error_that_a_node_could_not_pass_on_has_its_own_name(answer: Any) -> None:
    """A node that is not the manager wraps the manager's refusal to create an index."""
    endpoint = Endpoint([answer] * 9)
    given = [document(0)]

    result = write(endpoint, given)

    assert (result.unwritten, result.refused) == (given, [])
    assert "cluster.max_shards_per_node" in result.cause


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("error_type", ["mapper_parsing_exception", "illegal_argument_exception"])
def test_refusal_of_one_kind_of_document_is_its_own_fault(count: int, error_type: str) -> None:
    endpoint = Endpoint([domain(the_poison(400, error_type, "s3cret"))] * 9)
    given = [document(position, source=b'{"poison":1}') for position in range(count)]

    result = write(endpoint, given)

    assert [(refusal.action, refusal.error_type) for refusal in result.refused] == [(one, error_type) for one in given]
    assert (result.unwritten, result.cause) == ([], "")
    assert len(endpoint.requests) == 2


def test_refusal_next_to_a_written_document_is_its_own_fault() -> None:
    endpoint = Endpoint([domain(the_poison(400, "mapper_parsing_exception"))] * 9)
    given = [document(0), document(1, source=b'{"poison":1}')]

    result = write(endpoint, given)

    assert (result.written, [refusal.action for refusal in result.refused]) == (1, [given[1]])
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize("error_types", [("mapper_parsing_exception",), ("illegal_argument_exception", "a_new_type")])
@pytest.mark.parametrize(("count", "neighbors"), [(1, 0), (2, 0), (1, 1), (2, 9)])
def test_mapping_that_refuses_a_field_is_the_domains_fault(
    count: int, neighbors: int, error_types: tuple[str, ...]
) -> None:
    """Of a field that not each event has: a neighbor without it is written, and shows nothing."""

    def fault(_index: str, source: bytes) -> tuple[int, str, str] | None:
        return (400, error_types[len(source) % len(error_types)], "") if b'"commandText"' in source else None

    given = [document(position, source=b'{"commandText":"%s"}' % (b"x" * position)) for position in range(count)]
    written = [document(count + position) for position in range(neighbors)]
    endpoint = Endpoint([domain(fault)] * 2)

    result = write(endpoint, [*given, *written])

    assert (result.unwritten, result.refused, result.written) == (given, [], neighbors)
    assert f"{INDEX} takes no document" in result.cause
    assert len(endpoint.requests) == 2


def test_written_neighbor_in_another_index_proves_nothing() -> None:
    endpoint = Endpoint([domain(everything(400, "mapper_parsing_exception", index=OTHER))] * 2)
    given = [document(0), document(1, OTHER), document(2)]

    result = write(endpoint, given)

    assert (result.written, result.unwritten, result.refused) == (2, [given[1]], [])


# A document that OpenSearch fails on, while others are taken.

SERVER_ERROR = (500, "null_pointer_exception")
PIPELINE_FAULTS = [
    (500, "fail_processor_exception"),
    (400, "ingest_processor_exception"),
    (400, "script_exception"),
]
ROUNDS = 5  # of a request and a look


@pytest.mark.parametrize("fault", [SERVER_ERROR, (500, ""), *PIPELINE_FAULTS])
@pytest.mark.parametrize(("count", "neighbors"), [(1, 0), (1, 50), (10, 1)])
def test_document_that_always_fails_is_refused(count: int, neighbors: int, fault: tuple[int, str]) -> None:
    """Its shard takes a probe in every round, so that it would hold the stream for its own sake."""
    clock = Clock()
    endpoint = Endpoint([domain(the_poison(*fault))] * (2 * ROUNDS))
    poison = [document(position, source=b'{"poison":1}') for position in range(count)]

    result = write(endpoint, [*poison, *(document(count + number) for number in range(neighbors))], clock=clock)

    assert [refusal.action for refusal in result.refused] == poison
    assert {refusal.error_type for refusal in result.refused} == {fault[1] or "500"}
    assert (result.written, result.unwritten) == (neighbors, [])
    assert len(endpoint.requests) == 2 * ROUNDS
    assert len(clock.slept) == ROUNDS - 1


@pytest.mark.parametrize("fault", [SERVER_ERROR, *PIPELINE_FAULTS])
def test_failure_of_many_documents_is_the_domains_fault(fault: tuple[int, str]) -> None:
    """So many of one kind are not a document that happens to be bad, although others and the probe are taken."""
    many = [document(position, source=b'{"poison":1}') for position in range(11)]

    result = write(Endpoint([domain(the_poison(*fault))] * 999), [*many, document(11)])

    assert (result.unwritten, result.refused, result.written) == (many, [], 1)
    assert str(fault[0]) in result.cause


@pytest.mark.parametrize("fault", [SERVER_ERROR, (500, ""), *PIPELINE_FAULTS])
@pytest.mark.parametrize("count", [1, 10, 50])
def test_failure_of_any_document_is_the_domains_fault(count: int, fault: tuple[int, str]) -> None:
    given = [document(position) for position in range(count)]

    result = write(Endpoint([domain(everything(*fault))] * 999), given)

    assert (result.unwritten, result.refused) == (given, [])
    assert str(fault[0]) in result.cause


def test_failing_shard_is_the_domains_fault() -> None:
    """The neighbors in other shards are written; the probe goes to the shard of the document."""

    def answer(lines: list[bytes]) -> dict[str, Any]:
        items = []
        for head in lines[::2]:
            ((action, fields),) = orjson.loads(head).items()
            fails = fields.get("routing", fields["_id"]) == "1"
            error = {"error": {"type": "already_closed_exception"}} if fails else {}
            items.append({action: {"status": 500 if fails else 201 if action == "create" else 409, **error}})
        return {"errors": True, "items": items}

    given = [document(position) for position in range(3)]

    result = write(Endpoint([answer] * 999), given)

    assert (result.written, result.unwritten, result.refused) == (2, [given[1]], [])


@pytest.mark.parametrize("neighbors", [0, 3])
def test_document_that_fails_in_a_collection_needs_a_neighbor(neighbors: int) -> None:
    """A collection gets no probe: a neighbor that was written stands in for it."""
    poison = document(9, source=b'{"poison":1}')
    endpoint = Endpoint([domain(the_poison(*SERVER_ERROR))] * 999)

    result = write(endpoint, [poison, *(document(number) for number in range(neighbors))], service="aoss")

    assert [refusal.action for refusal in result.refused] == ([poison] if neighbors else [])
    assert (result.written, result.unwritten) == (neighbors, [] if neighbors else [poison])
    assert not any(b"if_seq_no" in line for request in endpoint.requests for line in request)


@pytest.mark.parametrize("fault", [(429, "rejected_execution_exception"), (503, "unavailable_shards_exception")])
def test_overload_of_one_document_is_never_its_fault(fault: tuple[int, str]) -> None:
    given = [document(0), document(1, source=b'{"poison":1}')]

    result = write(Endpoint([domain(the_poison(*fault))] * 999), given)

    assert (result.written, result.unwritten, result.refused) == (1, [given[1]], [])


@pytest.mark.parametrize("rounds", range(1, 2 * ROUNDS))
def test_failure_that_passes_is_written(rounds: int) -> None:
    """In whichever of the requests OpenSearch takes the document at last, it is counted once."""
    failing, well = domain(the_poison(*SERVER_ERROR)), domain(lambda _index, _source: None)
    endpoint = Endpoint([failing] * rounds + [well])

    result = write(endpoint, [document(0), document(1, source=b'{"poison":1}')])

    assert (result.written, result.unwritten, result.refused) == (2, [], [])
    assert endpoint.answers == []


def test_failure_that_becomes_a_refusal_is_settled_as_one() -> None:
    failing, refusing = (domain(the_poison(*fault)) for fault in (SERVER_ERROR, (400, "mapper_parsing_exception")))
    given = [document(0, source=b'{"poison":1}')]

    result = write(Endpoint([failing, refusing, refusing, refusing]), given)

    assert [(refusal.action, refusal.error_type) for refusal in result.refused] == [
        (given[0], "mapper_parsing_exception")
    ]


@pytest.mark.parametrize("look", [TransportError(503, "x", {}), TransportError(500, "x", {})], ids=repr)
def test_look_that_fails_blames_no_document(look: Exception) -> None:
    failing = domain(the_poison(*SERVER_ERROR))
    given = [document(0, source=b'{"poison":1}')]

    result = write(Endpoint([failing, look] * 500), given)

    assert (result.unwritten, result.refused) == (given, [])


@pytest.mark.parametrize("count", [1, 9])
def test_document_that_fails_its_request_is_found(count: int) -> None:
    """OpenSearch answers 500 to the whole request that has it, and takes the others."""
    error = TransportError(500, "null_pointer_exception", {})
    healthy = domain(lambda _index, _source: None)

    def answer(lines: list[bytes]) -> Any:
        if b"poison" in lines:
            raise error
        return healthy(lines)

    given = [document(position, source=b"poison" if position == count // 2 else b"{}") for position in range(count)]
    endpoint = Endpoint([answer] * 99)

    result = write(endpoint, given)

    assert [refusal.action for refusal in result.refused] == [given[count // 2]]
    assert (result.written, result.unwritten) == (count - 1, [])
    assert len(endpoint.requests) <= 25


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_requests_that_all_fail_are_the_domains_fault(status: int) -> None:
    given = [document(position) for position in range(50)]

    result = write(Endpoint([TransportError(status, "x", {})] * 999), given)

    assert (len(result.unwritten), result.refused) == (50, [])


@pytest.mark.parametrize("full_from", [0, 1, 30])
def test_full_shard_is_the_domains_fault(full_from: int) -> None:
    """The probe is a conflict before the shard counts, and the shard may be full only from some document on."""

    def fault(_index: str, source: bytes) -> tuple[int, str, str] | None:
        full = source.isdigit() and int(source) >= full_from
        return (400, "illegal_argument_exception", FULL) if full else None

    given = [document(position, source=b"%d" % position) for position in range(40)]

    result = write(Endpoint([domain(fault)] * 2), given)

    assert (result.written, result.unwritten, result.refused) == (full_from, given[full_from:], [])
    assert "2^31" in result.cause


@pytest.mark.parametrize(
    "reason",
    [
        "this action would add [3000] total shards, but this cluster currently has [6]/[3000] maximum shards open;",
        "this action would add [4000] total LOCAL_ONLY shards, but this cluster currently has [6]/[3000] maximum "
        "LOCAL_ONLY shards open;",
        "expected total copies needs to be a multiple of total awareness attributes [3];",
        "expected max cap on auto expand to be a multiple of total awareness attributes [3];",
    ],
)
@pytest.mark.parametrize("error_type", ["validation_exception", "illegal_argument_exception"])
def test_index_that_cannot_be_created_is_named_whichever_node_says_it(error_type: str, reason: str) -> None:
    """Three nodes of 3.4.0: the manager's validation_exception is called so on its own node alone."""
    given = [document(0)]

    result = write(Endpoint([domain(lambda *_: (400, error_type, f"Validation Failed: 1: {reason}"))] * 2), given)

    assert (result.unwritten, result.refused) == (given, [])
    assert "shard limit is reached, or it demands another number of copies" in result.cause


def test_reason_that_quotes_a_document_is_no_full_shard() -> None:
    reason = f"Document contains at least one immense term, whose prefix is: {FULL}"
    given = [document(0, source=b'{"poison":1}')]

    result = write(Endpoint([domain(the_poison(400, "illegal_argument_exception", reason))] * 2), given)

    assert [refusal.action for refusal in result.refused] == given


def test_look_at_an_index_quotes_no_document() -> None:
    def fault(_index: str, source: bytes) -> tuple[int, str, str]:
        return 400, "mapper_parsing_exception", f"failed to parse {source.decode()}"

    result = write(Endpoint([domain(fault)] * 2), [document(0, source=b'{"commandText":"s3cret"}')])

    assert "s3cret" not in result.cause
    assert "failed to parse" in result.cause
    assert len(result.cause) < 500


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (domain(everything(403, "cluster_block_exception")), "block"),
        (domain(everything(400, "index_closed_exception")), "_open"),
        (TransportError(403, "security_exception", {}), "403"),
        (TransportError(400, "illegal_argument_exception", {"error": {"reason": "what?"}}), "what?"),
    ],
)
def test_look_that_is_denied_gives_the_document_up(answer: Any, word: str) -> None:
    given = [document(0)]

    result = write(Endpoint([domain(everything(400, "mapper_parsing_exception")), answer, answer]), given)

    assert (result.unwritten, result.refused) == (given, [])
    assert word in result.cause


@pytest.mark.parametrize(
    "passing",
    [
        TransportError(503, "unavailable", {}),
        {"errors": False, "items": []},
        domain(everything(503, "unavailable_shards_exception")),
    ],
    ids=["request", "items missing", "item"],
)
def test_look_that_may_pass_is_repeated_after_a_wait(passing: Any) -> None:
    clock = Clock()
    refused = domain(the_poison(400, "mapper_parsing_exception"))
    endpoint = Endpoint([refused, passing, refused, refused])
    given = [document(0, source=b'{"poison":1}')]

    result = write(endpoint, given, clock=clock)

    assert [refusal.action for refusal in result.refused] == given
    assert clock.slept == [0.05]


def test_refusal_that_passed_meanwhile_is_written() -> None:
    nothing = domain(lambda _index, _source: None)
    endpoint = Endpoint([domain(everything(400, "illegal_argument_exception")), nothing, nothing])
    given = [document(position) for position in range(3)]

    result = write(endpoint, given)

    assert (result.written, result.refused, result.unwritten) == (3, [], [])
    assert len(endpoint.requests) == 3


def test_look_without_time_refuses_nothing() -> None:
    clock = Clock()

    def slow(lines: list[bytes]) -> Any:
        clock.now += 2
        return domain(everything(400, "mapper_parsing_exception"))(lines)

    given = [document(0)]

    result = write(Endpoint([slow]), given, seconds=2.1, clock=clock)

    assert (result.unwritten, result.refused, result.cause) == (given, [], "out of time")


EXPLICIT_INDEX = TransportError(
    400, "illegal_argument_exception", {"error": {"reason": "explicit index in bulk is not allowed"}}
)


def test_domain_that_refuses_every_request_is_asked_twice() -> None:
    """As with rest.action.multi.allow_explicit_index=false: no bisecting into thousands of requests."""
    endpoint = Endpoint([EXPLICIT_INDEX] * 2)
    given = [document(position) for position in range(2_000)]

    result = write(endpoint, given)

    assert (len(result.unwritten), result.refused) == (2_000, [])
    assert "explicit index in bulk is not allowed" in result.cause
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize("status", [400, 413])
def test_document_that_spoils_its_request_is_found_after_a_look(status: int) -> None:
    error = TransportError(status, "parse_exception", {})
    healthy = domain(lambda _index, _source: None)

    def answer(lines: list[bytes]) -> Any:
        if b"poison" in lines:
            raise error
        return healthy(lines)

    given = [document(position, source=b"poison" if position == 6 else b"{}") for position in range(9)]
    endpoint = Endpoint([answer] * 40)

    result = write(endpoint, given)

    assert [refusal.action for refusal in result.refused] == [given[6]]
    assert (result.written, result.unwritten) == (8, [])
    assert len(endpoint.requests) <= 12


def test_request_too_large_for_any_document_is_the_domains_fault() -> None:
    given = [document(0), document(1)]

    result = write(Endpoint([TransportError(413, "", {})] * 9), given)

    assert (result.unwritten, result.refused) == (given, [])
    assert "413" in result.cause


def test_error_that_is_no_name_is_not_quoted() -> None:
    result = write(Endpoint([TransportError(403, "select s3cret", "<html>s3cret</html>")]), [document(0)])

    assert "s3cret" not in result.cause
    assert "403" in result.cause


def test_pulse_that_is_refused_is_lost_with_its_cause() -> None:
    answer = statuses(201, (500, "null_pointer_exception"))

    result = write(Endpoint([answer]), [*actions(1), Action(b"pulse\n", required=False)])

    assert (result.written, len(result.lost), result.unwritten) == (1, 1, [])
    assert "null_pointer_exception" in result.lost_cause


@pytest.mark.parametrize(
    ("status", "error_type", "words"),
    [
        (429, "cluster_block_exception", ("429", "block", "space")),
        (403, "cluster_block_exception", ("403", "block", "administrator")),
        (400, "index_closed_exception", ("closed", "_open")),
        (400, "validation_exception", ("shard limit", "max_shards_per_node")),
        (404, "index_not_found_exception", ("auto_create_index",)),
        (500, "fail_processor_exception", ("pipeline",)),
        (401, "", ("401", "OPENSEARCH_AUTH")),
        (403, "security_exception", ("role",)),
        (403, "", ("access policy",)),
        (429, "circuit_breaking_exception", ("overloaded", "429")),
        (503, "cluster_block_exception", ("503",)),
    ],
)
def test_cause_names_the_next_step(status: int, error_type: str, words: Sequence[str]) -> None:
    cause = cause_of(status, error_type)

    assert all(word in cause for word in words)
    assert ("overloaded" in cause) == (error_type == "circuit_breaking_exception")


def test_probe_has_every_field_of_an_event() -> None:
    fields = set(event_index()["mappings"]["properties"])
    aliases = {name for name, field in event_index()["mappings"]["properties"].items() if "properties" in field}

    assert set(EVENT) == fields - aliases


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
    given = [*actions(1), Action(b"pulse\n", required=False)]

    result = write(Endpoint([answer]), given, clock=clock)

    assert (result.written, result.lost, result.unwritten) == (1, [given[1]], [])
    assert result.lost_cause
    assert result.cause == ""
    assert clock.slept == []


def test_nothing_to_write_is_no_request() -> None:
    assert write(Endpoint([]), []).requests == 0
