"""Rows into Firehose: what a call may carry, what is put again and what is given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from daswatch.aws import clients
from daswatch.aws.clients import firehose_client
from daswatch.aws.firehose import (
    MAX_CALL_BYTES,
    MAX_RECORD_BYTES,
    TOO_LARGE,
    DeliveryStream,
    PutResult,
    RefusedRow,
    Row,
)
from daswatch.deadline import Deadline
from daswatch.request_pipeline import Pipeline
from demo.aws import REGION, LocalAws
from ingest_lambda.sinks import rows_pipeline
from tests.fakes.clock import Clock

if TYPE_CHECKING:
    from types_boto3_firehose.client import FirehoseClient

STREAM = "das-rows"


@dataclass
class Firehose:
    """Stands in for boto3's client: takes everything, but where an answer is scripted for a call."""

    script: list[Any] = field(default_factory=list)
    calls: list[list[bytes]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)

    def put_record_batch(self, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> Any:
        assert DeliveryStreamName == STREAM
        data = [record["Data"] for record in Records]
        self.calls.append(data)
        answer = self.script.pop(0) if self.script else {}
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return {"note": answer}
        failed: dict[int, str] = answer
        self.taken += [datum for position, datum in enumerate(data) if position not in failed]
        return answered(len(data), failed)


def answered(count: int, failed: dict[int, str]) -> dict[str, Any]:
    """PutRecordBatch's answer in which the records at these positions failed with these codes."""
    shown = [
        {"ErrorCode": failed[position], "ErrorMessage": "Slow down."} if position in failed else {"RecordId": "49"}
        for position in range(count)
    ]
    return {"FailedPutCount": len(failed), "Encrypted": False, "RequestResponses": shown}


def service_error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutRecordBatch")


def rows(count: int, activity: str = "DML", size: int = 10, first: int = 0) -> list[Row]:
    """Rows of different stream records."""
    return [
        Row(b"%0*d\n" % (size - 1, position), activity, position, f"id-{position}")
        for position in range(first, first + count)
    ]


def put(
    firehose: Firehose, given: Sequence[Row], *, seconds: float = 60, clock: Clock | None = None, together: int = 1
) -> PutResult:
    clock = clock or Clock()
    stream = DeliveryStream(
        lambda: firehose,  # type: ignore[arg-type,return-value]
        STREAM,
        chance=lambda: 0.5,
        rows_per_record=together,
    )
    return stream.put(given, Deadline.after(seconds, clock))


# What a call carries.


def test_a_row_is_a_record_of_its_own() -> None:
    firehose, given = Firehose(), rows(3)

    result = put(firehose, given)

    assert firehose.calls == [[row.line for row in given]]
    assert (result.put, result.calls, result.refused, result.unsent) == (3, 1, [], [])


def test_without_rows_firehose_is_not_even_looked_for() -> None:
    def no_client() -> FirehoseClient:
        raise AssertionError("a client was made")

    assert DeliveryStream(no_client, STREAM).put([], Deadline.after(60)).calls == 0


def test_a_call_carries_at_most_500_records() -> None:
    firehose, given = Firehose(), rows(1_201)

    result = put(firehose, given)

    assert [len(call) for call in firehose.calls] == [500, 500, 201]
    assert firehose.taken == [row.line for row in given]
    assert result.put == 1_201


def test_a_call_carries_at_most_four_million_bytes() -> None:
    firehose, given = Firehose(), rows(9, size=MAX_RECORD_BYTES)

    put(firehose, given)

    assert [len(call) for call in firehose.calls] == [3, 3, 3]
    assert max(sum(map(len, call)) for call in firehose.calls) <= MAX_CALL_BYTES <= 4 * 1024 * 1024
    assert firehose.taken == [row.line for row in given]


def test_a_row_that_no_record_can_hold_is_refused_alone() -> None:
    firehose = Firehose()
    small, largest = rows(2), rows(1, size=MAX_RECORD_BYTES, first=2)
    too_large = rows(1, size=MAX_RECORD_BYTES + 1, first=3)

    result = put(firehose, [*too_large, *small, *largest])

    assert firehose.taken == [row.line for row in (*small, *largest)]
    assert result.refused == [RefusedRow(3, "id-3", TOO_LARGE)]
    assert (result.put, result.unsent, result.cause) == (3, [], "")


def test_rows_of_one_activity_can_share_a_record() -> None:
    firehose = Firehose()
    given = [row for position in range(3) for kind in ("DDL", "DML") for row in rows(1, kind, first=position)]

    result = put(firehose, given, together=500)

    ((ddl, dml),) = firehose.calls
    assert ddl == dml == b"000000000\n000000001\n000000002\n"
    assert result.put == 6


def test_a_record_holds_at_most_as_many_rows_as_firehose_splits() -> None:
    firehose = Firehose()

    result = put(firehose, rows(1_001), together=500)

    assert [record.count(b"\n") for call in firehose.calls for record in call] == [500, 500, 1]
    assert result.put == 1_001


def test_large_rows_share_no_record() -> None:
    firehose = Firehose()

    put(
        firehose, [*rows(2, size=30_000), *rows(1, size=900_000, first=2), *rows(3, size=30_000, first=3)], together=500
    )

    assert [len(record) for call in firehose.calls for record in call] == [60_000, 900_000, 60_000, 30_000]


# What is put again.


@pytest.mark.parametrize("code", ["ServiceUnavailableException", "InternalFailure"])
def test_of_a_partial_failure_only_what_failed_is_put_again(code: str) -> None:
    clock = Clock()
    firehose, given = Firehose([{1: code, 3: code}, {1: code}]), rows(5)

    result = put(firehose, given, clock=clock)

    lines = [row.line for row in given]
    assert firehose.calls == [lines, [lines[1], lines[3]], [lines[3]]]
    assert sorted(firehose.taken) == lines
    assert (result.put, result.calls, result.unsent, result.cause) == (5, 3, [], "")
    assert clock.slept == [0.05, 0.1]


def test_of_a_shared_record_that_failed_all_rows_are_put_again() -> None:
    firehose = Firehose([{0: "InternalFailure"}])
    given = [*rows(3, "DDL"), *rows(2, "DQL", first=3)]

    result = put(firehose, given, together=500)

    assert [len(call) for call in firehose.calls] == [2, 1]
    assert b"".join(firehose.taken) == b"".join(row.line for row in [*given[3:], *given[:3]])
    assert (result.put, result.unsent) == (5, [])


@pytest.mark.parametrize(
    "failure",
    [
        service_error("ServiceUnavailableException", 503),
        service_error("ThrottlingException"),
        service_error("LimitExceededException"),
        service_error("SlowDown"),
        service_error("SomethingNew", 500),
        service_error("", 429),
        EndpointConnectionError(endpoint_url="https://firehose.example.com"),
        ConnectTimeoutError(endpoint_url="https://firehose.example.com"),
        ReadTimeoutError(endpoint_url="https://firehose.example.com"),
        "no answer to PutRecordBatch",
    ],
    ids=repr,
)
def test_what_may_pass_is_put_again_after_a_wait(failure: Any) -> None:
    clock = Clock()
    firehose, given = Firehose([failure, failure]), rows(2)

    result = put(firehose, given, clock=clock)

    assert firehose.calls == [[row.line for row in given]] * 3
    assert (result.put, result.calls, result.unsent) == (2, 3, [])
    assert clock.slept == [0.05, 0.1]


@pytest.mark.parametrize(
    "failure",
    [
        service_error("AccessDeniedException"),
        service_error("ResourceNotFoundException"),
        service_error("InvalidArgumentException"),
        service_error("InvalidKMSResourceException"),
        service_error("ExpiredTokenException"),
        NoCredentialsError(),
    ],
    ids=repr,
)
def test_what_must_be_corrected_leaves_all_rows_unput_at_once(failure: Exception) -> None:
    clock = Clock()
    firehose, given = Firehose([{}, failure]), rows(1_200)

    result = put(firehose, given, clock=clock)

    assert len(firehose.calls) == 2
    assert clock.slept == []
    assert (result.put, result.refused) == (500, [])
    assert sorted(row.position for row in result.unsent) == list(range(500, 1_200))
    assert result.cause.startswith("Firehose PutRecordBatch: ")
    assert getattr(failure, "response", {}).get("Error", {}).get("Code", "NoCredentialsError") in result.cause


def test_retries_end_with_the_time_and_leave_what_failed_unput() -> None:
    clock = Clock()
    firehose, given = (
        Firehose([{2: "ServiceUnavailableException"}, *[{0: "ServiceUnavailableException"}] * 99]),
        rows(4),
    )

    result = put(firehose, given, seconds=10, clock=clock)

    assert clock.now <= 9.5
    assert len(firehose.calls) > 5
    assert (result.put, result.unsent) == (3, [given[2]])
    assert result.cause == "Firehose PutRecordBatch: ServiceUnavailableException"


def test_with_no_time_left_nothing_is_tried() -> None:
    firehose, given = Firehose(), rows(2)

    result = put(firehose, given, seconds=0.1)

    assert firehose.calls == []
    assert (result.unsent, result.cause) == (given, "out of time")


def test_pause_grows_with_the_attempts_of_one_call() -> None:
    clock = Clock()
    failed = service_error("ThrottlingException")

    put(Firehose([failed, failed, {}, failed]), rows(1_000), clock=clock)

    assert clock.slept == [0.05, 0.05, 0.1]


# AWS's own contract.


def a_client() -> FirehoseClient:
    return boto3.client("firehose", REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


def test_the_call_and_its_answer_are_awss() -> None:
    client, given = a_client(), rows(3)
    expected = {"DeliveryStreamName": STREAM, "Records": [{"Data": row.line} for row in given]}
    again = {"DeliveryStreamName": STREAM, "Records": [{"Data": given[1].line}]}

    with Stubber(client) as stubber:
        stubber.add_response("put_record_batch", answered(3, {1: "ServiceUnavailableException"}), expected)
        stubber.add_client_error("put_record_batch", "ServiceUnavailableException", http_status_code=503)
        stubber.add_response("put_record_batch", answered(1, {}), again)
        stream = DeliveryStream(lambda: client, STREAM)

        result = stream.put(given, Deadline.after(60, Clock()))

        stubber.assert_no_pending_responses()
    assert (result.put, result.calls, result.unsent) == (3, 3, [])


@pytest.fixture
def on_moto(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    for name, value in {**aws.environment, "AWS_ENDPOINT_URL_FIREHOSE": aws.url}.items():
        monkeypatch.setenv(name, value)
    clients.session.cache_clear()
    return aws


def test_rows_reach_a_delivery_stream_over_http(on_moto: LocalAws) -> None:
    bucket = "rows-over-http"
    on_moto.s3().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    on_moto.firehose().create_delivery_stream(
        DeliveryStreamName="over-http",
        ExtendedS3DestinationConfiguration={
            "BucketARN": f"arn:aws:s3:::{bucket}",
            "RoleARN": "arn:aws:iam::123456789012:role/delivery",
        },
    )
    given = rows(700)

    result = DeliveryStream(firehose_client, "over-http").put(given, Deadline.after(60))
    on_moto.firehose().delete_delivery_stream(DeliveryStreamName="over-http")

    objects = on_moto.s3().list_objects_v2(Bucket=bucket)["Contents"]
    stored = [on_moto.s3().get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in objects]
    assert sorted(b"".join(stored).splitlines(keepends=True)) == [row.line for row in given]
    assert (result.put, result.calls) == (700, 2)


def test_a_delivery_stream_that_is_not_there_is_named_by_awss_code(on_moto: LocalAws) -> None:
    result = DeliveryStream(firehose_client, "no-such-stream").put(rows(1), Deadline.after(60))

    assert (result.cause, result.calls) == ("Firehose PutRecordBatch: ResourceNotFoundException", 1)


def test_the_client_leaves_retries_to_us(on_moto: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_FIREHOSE", "http://127.0.0.1:9")
    clock = Clock()
    stream = DeliveryStream(firehose_client, STREAM, chance=lambda: 0.5)

    result = stream.put(rows(1), Deadline.after(2, clock))

    assert result.cause == "Firehose PutRecordBatch: EndpointConnectionError"
    assert result.calls == len(clock.slept) + 1
    retries = vars(firehose_client().meta.config)["_user_provided_options"]["retries"]
    assert retries == {"mode": "standard", "total_max_attempts": 1}


# The pipeline.


class Inline(Executor):
    """Does the work at once, in the caller's thread."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*args, **kwargs))
        return done


def pipeline(
    firehose: Firehose, executor: Executor | None = None, clock: Clock | None = None
) -> Pipeline[Row, PutResult]:
    clock = clock or Clock()
    stream = DeliveryStream(lambda: firehose, STREAM, chance=lambda: 0.5)  # type: ignore[arg-type,return-value]
    return rows_pipeline(stream, executor or Inline(), Deadline.after(60, clock))


def test_the_pipeline_puts_every_row_once_and_in_order() -> None:
    firehose, given = Firehose(), rows(3_333)

    with ThreadPoolExecutor(max_workers=1) as executor:
        delivery = pipeline(firehose, executor)
        for row in given:
            delivery.add([row])
        result = delivery.finish()

    assert firehose.taken == [row.line for row in given]
    assert result.put == 3_333


def test_rows_are_put_before_all_are_collected() -> None:
    firehose = Firehose()
    delivery = pipeline(firehose)

    delivery.add(rows(500))

    assert len(firehose.taken) == 500


def test_large_rows_are_put_before_they_fill_the_memory() -> None:
    firehose = Firehose()
    delivery = pipeline(firehose)

    delivery.add(rows(4, size=1_000_000))

    assert len(firehose.taken) == 4


def test_after_a_failure_later_rows_are_not_tried() -> None:
    firehose = Firehose([service_error("AccessDeniedException")])
    delivery = pipeline(firehose)

    for position in range(3):
        delivery.add(rows(600, first=600 * position))
    result = delivery.finish()

    assert len(firehose.calls) == 1
    assert [row.position for row in result.unsent] == list(range(1_800))


def test_unsent_rows_name_their_records() -> None:
    firehose = Firehose([{0: "InternalFailure"}, service_error("AccessDeniedException")])
    delivery = pipeline(firehose)
    first, second, third = (rows(1, first=position) for position in range(3))

    delivery.add([*first, *second, *second, *third])
    result = delivery.finish()

    assert [row.position for row in result.unsent] == [0]


def test_firehose_gets_half_of_the_time_that_is_left() -> None:
    clock = Clock()
    firehose = Firehose([service_error("ServiceUnavailableException")] * 999)
    delivery = pipeline(firehose, clock=clock)

    delivery.add(rows(500))

    assert 20 < clock.now <= 30
    assert delivery.finish().cause == "Firehose PutRecordBatch: ServiceUnavailableException"
