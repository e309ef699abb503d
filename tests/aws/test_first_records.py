"""The records from before a delivery, on moto's Kinesis and S3: each once, at whatever call a run ends."""

from __future__ import annotations

import gzip
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daswatch.aws import first_records
from daswatch.aws.first_records import Database, FirstRecords, evidence_start
from daswatch.deadline import Deadline
from daswatch.enrolment.first_records import EvidenceStart, Progress
from demo.aws import LocalAws
from tests.fakes.clock import Clock
from tests.fakes.delivery import LocalDelivery, LocalStream

if TYPE_CHECKING:
    from types_boto3_kinesis.client import KinesisClient
    from types_boto3_s3.client import S3Client

BEGAN = datetime(2026, 3, 4, 23, 50, 0, 500_000, tzinfo=UTC)
SHARD = "shardId-000000000000"


@cache
def clients(aws: LocalAws) -> tuple[KinesisClient, S3Client]:
    """Making a client takes longer than most tests."""
    return aws.kinesis(), aws.s3()


class Killed(BaseException):
    """Lambda ends the function."""


@dataclass
class Calls:
    """A client whose calls can be disturbed: `before` and `after` get the number of the call and its name."""

    client: Any
    counter: list[str]
    before: Callable[[int, str], None] = lambda number, name: None
    after: Callable[[int, str], None] = lambda number, name: None
    answer: Callable[[str, Any], Any] = lambda name, answer: answer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def call(**parameters: Any) -> Any:
            self.counter.append(name)
            number = len(self.counter)
            self.before(number, name)
            answer = method(**parameters)
            try:
                self.after(number, name)
            except BaseException:
                if "Body" in answer:
                    answer["Body"].close()
                raise
            return self.answer(name, answer)

        return call


@dataclass
class Evidence:
    """A database with a stream, a delivery and the bucket."""

    aws: LocalAws
    bucket: str
    shards: int = 1
    stream: LocalStream = field(init=False)
    delivery: LocalDelivery = field(init=False)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.kinesis, self.s3 = clients(self.aws)
        self.stream = LocalStream(self.kinesis, f"cluster-{secrets.token_hex(8).upper()}", BEGAN, self.shards)
        self.delivery = LocalDelivery(self.s3, self.bucket, self.stream)
        self.database = Database(self.stream.resource_id, self.stream.name)

    def advance(self, seconds: float = 800, **disturb: Any) -> Progress:
        counter: list[str] = []
        kinesis, s3 = Calls(self.kinesis, counter, **disturb), Calls(self.s3, counter, **disturb)
        first = FirstRecords(kinesis, s3, self.bucket, lambda: self.stream.now, lambda: 0.5)  # type: ignore[arg-type]
        self.calls = counter
        return first.advance(self.database, Deadline.after(seconds, self.clock))

    def start(self) -> EvidenceStart:
        return evidence_start(self.s3, self.bucket, self.stream.resource_id, Deadline.after(60, self.clock))

    def names(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"evidence/{self.stream.resource_id}/"
        )
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def read(self, where: str = "") -> Counter[bytes]:
        found: Counter[bytes] = Counter()
        for key in self.names():
            if where in key:
                body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
                found.update(gzip.decompress(body).splitlines(keepends=True))
        return found

    def assert_whole(self) -> None:
        assert self.read() == self.stream.lines()


@pytest.fixture(scope="module")
def bucket(aws: LocalAws) -> str:
    return aws.create_bucket("daswatch-evidence")


@pytest.fixture
def one(aws: LocalAws, bucket: str) -> Evidence:
    return Evidence(aws, bucket)


@pytest.fixture
def two(aws: LocalAws, bucket: str) -> Evidence:
    return Evidence(aws, bucket, shards=2)


def begun(evidence: Evidence, before: int = 20, after: int = 5) -> Evidence:
    """Each shard has records from before the delivery, and some that it delivered."""
    for shard in evidence.stream.open:
        evidence.stream.put(shard, before, every=2)
    evidence.delivery.start()
    for shard in evidence.stream.open:
        evidence.stream.put(shard, after, every=2)
    evidence.delivery.deliver()
    return evidence


def test_what_the_delivery_missed_is_written(two: Evidence) -> None:
    progress = begun(two).advance()

    assert (progress.complete, progress.left, progress.records) == (True, "", 40)
    two.assert_whole()
    assert sum(two.read("/start/").values()) == 40
    assert two.start().whole


def test_a_complete_start_is_not_read_again(one: Evidence) -> None:
    begun(one).advance()

    assert one.advance() == Progress(complete=True)
    assert not {"get_records", "put_object"} & set(one.calls)


def test_nothing_is_written_where_nothing_was_missed(one: Evidence) -> None:
    assert begun(one, before=0).advance().complete
    assert one.read("/start/") == Counter()
    one.assert_whole()


def test_without_an_object_of_the_delivery_it_waits(one: Evidence) -> None:
    one.stream.put(SHARD, 10)
    one.delivery.start()

    progress = one.advance()

    assert (progress.complete, progress.left) == (False, "the delivery has not written an object yet")
    assert (one.names(), one.start()) == ([], EvidenceStart())


def test_5000_records_and_a_split_in_the_middle(one: Evidence) -> None:
    one.stream.put(SHARD, 3000, every=0.1)
    children = one.stream.split(SHARD)
    for _ in range(10):
        for child in children:
            one.stream.put(child, 50, every=0.1)
    one.delivery.start()
    for _ in range(10):
        for child in children:
            one.stream.put(child, 50, every=0.1)
    one.delivery.deliver()

    progress = one.advance()

    assert (progress.complete, progress.records) == (True, 4000)
    one.assert_whole()


def test_records_of_one_moment(one: Evidence) -> None:
    one.stream.put(SHARD, 2500, every=0)
    one.delivery.start()
    one.stream.put(SHARD, 1500, every=0)
    one.delivery.deliver()

    assert one.advance().records == 2500
    one.assert_whole()


def test_a_split_after_the_delivery_began(one: Evidence) -> None:
    one.stream.put(SHARD, 10)
    one.delivery.start()
    left, right = one.stream.split(SHARD)
    one.stream.put(left, 5)
    one.stream.put(right, 5)
    one.delivery.deliver()

    assert one.advance().complete
    one.assert_whole()
    assert sum(one.read("/start/").values()) == 10


def test_merged_shards_end_where_the_new_one_begins(two: Evidence) -> None:
    for shard in two.stream.open:
        two.stream.put(shard, 10)
    two.delivery.start()
    merged = two.stream.merge(*two.stream.open)
    two.stream.put(merged, 5)
    two.delivery.deliver()

    assert two.advance().complete
    two.assert_whole()


def test_a_shard_without_a_delivered_record_waits(two: Evidence) -> None:
    busy, quiet = two.stream.open
    two.stream.put(busy, 10)
    two.stream.put(quiet, 10)
    two.delivery.start()
    two.stream.put(quiet, 1)
    two.stream.put(busy, 10)
    two.delivery.read(busy)
    two.delivery.flush()

    waits = two.advance()
    two.delivery.read(quiet)
    two.delivery.flush()

    assert (waits.complete, waits.shards_complete, waits.records) == (False, 1, 10)
    assert waits.left == "1 of 2 shards have no record in the delivery yet"
    assert two.start() == EvidenceStart("20260304T235000Z")
    assert two.advance().complete
    two.assert_whole()


def test_a_silent_shard_is_written_after_an_hour(two: Evidence) -> None:
    busy, silent = two.stream.open
    two.stream.put(silent, 10)
    two.delivery.start()
    done = []
    for _ in range(8):
        two.stream.put(busy, 5)
        two.delivery.deliver()
        done.append(two.advance().complete)
        two.stream.tick(minutes=11)

    assert done == [False] * 6 + [True] * 2
    two.assert_whole()


def test_a_shard_that_wakes_up_is_delivered_from_there(two: Evidence) -> None:
    busy, silent = two.stream.open
    two.stream.put(silent, 10)
    two.delivery.start()
    for _ in range(5):
        two.stream.put(busy, 5)
        two.delivery.deliver()
        two.stream.tick(minutes=10)
    two.stream.put(silent, 3)
    two.stream.put(busy, 5)
    two.delivery.deliver()

    assert two.advance().complete
    two.assert_whole()


def test_a_shard_without_records_does_not_wait(two: Evidence) -> None:
    busy, _ = two.stream.open
    two.stream.put(busy, 10)
    two.delivery.start()
    two.stream.put(busy, 10)
    two.delivery.deliver()

    assert two.advance().complete
    two.assert_whole()


def test_what_firehose_delivers_twice_changes_nothing(one: Evidence) -> None:
    begun(one)
    one.stream.put(SHARD, 5)
    one.delivery.read(SHARD)
    one.delivery.flush(repeat=True)

    assert one.advance().records == 20
    assert set(one.read()) == set(one.stream.lines())


def test_data_that_was_sent_twice_does_not_hide_records(one: Evidence) -> None:
    one.stream.put(SHARD, 10)
    one.stream.put_data(SHARD, b'{"sent":"twice"}')
    one.stream.put(SHARD, 10)
    one.delivery.start()
    one.stream.put_data(SHARD, b'{"sent":"twice"}')
    one.stream.put(SHARD, 10)
    one.delivery.deliver()

    assert one.advance().complete
    one.assert_whole()


def test_data_with_line_feeds_is_recognized(one: Evidence) -> None:
    one.stream.put_data(SHARD, b"not\nan\nenvelope")
    one.delivery.start()
    one.stream.put_data(SHARD, b"nor\nthis")
    one.stream.put(SHARD, 3)
    one.delivery.deliver()

    assert one.advance().complete
    assert one.read("/start/") == Counter([b"not\n", b"an\n", b"envelope\n"])


def test_a_damaged_object_is_named(one: Evidence) -> None:
    one.stream.put(SHARD, 20)
    one.delivery.start()
    one.stream.put(SHARD, 2000)
    one.delivery.read(SHARD)
    key = one.delivery.flush(cut=200)

    progress = one.advance()

    assert (progress.complete, progress.unreadable, progress.records) == (True, (key,), 20)


def test_what_no_one_can_read_is_written(one: Evidence) -> None:
    one.stream.put(SHARD, 20)
    one.delivery.start()
    one.stream.put(SHARD, 20)
    one.delivery.read(SHARD)
    key = one.delivery.flush()
    one.s3.put_object(Bucket=one.bucket, Key=key, Body=b"not gzip")
    one.stream.put(SHARD, 20)
    one.delivery.deliver()

    progress = one.advance()
    one.s3.delete_object(Bucket=one.bucket, Key=key)

    assert (progress.complete, progress.unreadable, progress.records) == (True, (key,), 40)
    one.assert_whole()


def test_an_object_that_cannot_be_read_now_stops_it(one: Evidence) -> None:
    def deny(_: int, name: str) -> None:
        if name == "get_object":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no kms:Decrypt"}}, "GetObject")

    progress = begun(one).advance(before=deny)

    assert (progress.complete, progress.left) == (False, "AccessDenied: no kms:Decrypt")
    assert one.read("/start/") == Counter()


def test_portions_are_of_5_mb_and_the_deadline_ends_a_run(one: Evidence) -> None:
    one.stream.put(SHARD, 1100, size=16_000, every=1)
    one.delivery.start()
    one.stream.put(SHARD, 5)
    one.delivery.deliver()

    runs = [one.advance(seconds=6.2)]
    while not runs[-1].complete:
        assert len(runs) < 10
        runs.append(one.advance(seconds=6.2))

    assert "out of time" in runs[0].left
    assert len(runs) > 1
    assert sum(run.records for run in runs) == 1100
    sizes = [one.s3.head_object(Bucket=one.bucket, Key=key)["ContentLength"] for key in one.names() if "/start/" in key]
    assert max(sizes) < first_records.PORTION_BYTES
    one.assert_whole()


def test_a_missing_stream_is_named(one: Evidence) -> None:
    one.kinesis.delete_stream(StreamName=one.stream.name)

    assert one.advance().left.startswith("ResourceNotFoundException")


def test_an_object_of_others_stops_it(one: Evidence) -> None:
    folder = f"evidence/{one.stream.resource_id}/start/20260304T235000Z/"
    one.s3.put_object(Bucket=one.bucket, Key=f"{folder}{SHARD}/000000.gz", Body=b"")

    progress = begun(one).advance()

    assert not progress.complete
    assert progress.left == "an object among the first records has metadata that are not ours"


# Ended, disturbed, twice at once.


def calls_of_a_run(evidence: Evidence) -> int:
    begun(evidence, before=8).advance()
    return len(evidence.calls)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_may_end_at_any_call(aws: LocalAws, bucket: str, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_records, "PORTION_BYTES", 300)
    for last in range(1, calls_of_a_run(Evidence(aws, bucket)) + 1):
        evidence = begun(Evidence(aws, bucket), before=8)

        def kill(number: int, _: str, last: int = last) -> None:
            if number == last:
                raise Killed

        disturbed: dict[str, Any] = {when: kill}
        with pytest.raises(Killed):
            evidence.advance(**disturbed)

        assert evidence.advance().complete
        evidence.assert_whole()


@pytest.mark.parametrize(("portion", "others"), [(500, 200), (200, 500), (first_records.PORTION_BYTES, 300)])
def test_two_runs_at_once_write_each_record_once(
    aws: LocalAws, bucket: str, portion: int, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each call, another run does all; that its portions are of another size shows what each relies on."""
    monkeypatch.setattr(first_records, "PORTION_BYTES", portion)
    for place in range(1, calls_of_a_run(Evidence(aws, bucket)) + 1):
        evidence = begun(Evidence(aws, bucket), before=8)
        other: list[Progress] = []

        def run_the_other(
            number: int, _: str, evidence: Evidence = evidence, place: int = place, other: list[Progress] = other
        ) -> None:
            if number == place:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(first_records, "PORTION_BYTES", others)
                    other.append(evidence.advance())

        progress = evidence.advance(before=run_the_other)

        assert (progress.complete, [one.complete for one in other]) == (True, [True])
        evidence.assert_whole()


def test_two_runs_that_alternate_write_each_record_once(one: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_records, "PORTION_BYTES", 300)
    begun(one)

    def cut_short(_: int, name: str) -> None:
        """Before each write of the one, the other writes one portion and is ended."""
        if name == "put_object":
            writes = []

            def kill(_: int, name: str) -> None:
                writes.append(name)
                if writes.count("put_object") == 1:
                    raise Killed

            with pytest.raises(Killed):
                one.advance(after=kill)

    assert one.advance(before=cut_short).complete
    one.assert_whole()


class Dropped:
    """Kinesis that refuses the sequence number of a record that it has dropped."""

    def __init__(self, kinesis: Any) -> None:
        self._kinesis = kinesis
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kinesis, name)

    def get_shard_iterator(self, **parameters: Any) -> Any:
        if parameters["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER":
            self.refused += 1
            raise ClientError({"Error": {"Code": "InvalidArgumentException"}}, "GetShardIterator")
        return self._kinesis.get_shard_iterator(**parameters)


def test_a_refused_position_is_read_from_the_beginning(one: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_records, "PORTION_BYTES", 900)
    written = []

    def kill(_: int, name: str) -> None:
        written.append(name)
        if written.count("put_object") == 2:
            raise Killed

    with pytest.raises(Killed):
        begun(one).advance(after=kill)
    one.kinesis = Dropped(one.kinesis)  # type: ignore[assignment]

    assert one.advance().complete
    assert one.kinesis.refused == 1  # type: ignore[attr-defined]
    one.assert_whole()


@pytest.mark.parametrize("name", ["get_records", "put_object", "list_objects_v2", "get_object", "list_shards"])
def test_a_throttled_call_is_made_again(one: Evidence, name: str) -> None:
    failed: set[int] = set()

    def throttle(number: int, called: str) -> None:
        if called == name and len(failed) < 3:
            failed.add(number)
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, called)

    assert begun(one).advance(before=throttle).complete
    assert len(failed) == 3
    one.assert_whole()


def test_an_answer_that_is_lost_writes_nothing_twice(one: Evidence) -> None:
    lost: set[str] = set()

    def lose(number: int, name: str) -> None:
        if name == "put_object" and len(lost) < 4:
            lost.add(f"{number}")
            raise ReadTimeoutError(endpoint_url="https://s3.test")

    progress = begun(one).advance(after=lose)

    assert progress.complete
    one.assert_whole()


def test_throttling_without_end_is_named(one: Evidence) -> None:
    def throttle(_: int, name: str) -> None:
        if name == "get_records":
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, name)

    progress = begun(one).advance(seconds=30, before=throttle)

    assert not progress.complete
    assert "(ProvisionedThroughputExceededException)" in progress.left
    assert one.advance().complete


def test_an_empty_page_is_not_the_end_of_a_shard(one: Evidence) -> None:
    """Kinesis answers without records where a shard has none for a while, and says how far behind that is."""
    pages: list[str] = []

    def answer(name: str, answer: Any) -> Any:
        if name == "get_shard_iterator":
            pages.clear()
        elif name == "get_records" and len(pages) < 3:
            pages.append(name)
            iterator = one.kinesis.get_shard_iterator(
                StreamName=one.stream.name, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            return {"Records": [], "MillisBehindLatest": 60_000, "NextShardIterator": iterator}
        return answer

    assert begun(one).advance(answer=answer).complete
    one.assert_whole()


def test_the_iterator_of_a_closed_shard_ends(one: Evidence) -> None:
    def answer(name: str, answer: Any) -> Any:
        return {"Records": answer["Records"], "MillisBehindLatest": 5} if name == "get_records" else answer

    assert begun(one).advance(answer=answer).complete
    one.assert_whole()


class Paged:
    """Kinesis that lists a shard a page; like AWS, it takes a token alone."""

    def __init__(self, kinesis: Any) -> None:
        self._kinesis = kinesis
        self.shards: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kinesis, name)

    def list_shards(self, **parameters: str) -> Any:
        if "NextToken" in parameters:
            assert list(parameters) == ["NextToken"]
            return {"Shards": self.shards[1:]}
        self.shards = self._kinesis.list_shards(**parameters)["Shards"]
        return {"Shards": self.shards[:1], "NextToken": "next"}


def test_shards_come_in_pages(two: Evidence) -> None:
    two.kinesis = Paged(two.kinesis)  # type: ignore[assignment]

    assert begun(two).advance().shards == 2
    two.assert_whole()


# What Kinesis has dropped.


def test_an_adopted_stream_names_what_was_dropped(one: Evidence) -> None:
    one.stream.put(SHARD, 60, every=3600)
    one.delivery.start()
    one.stream.put(SHARD, 5)
    one.delivery.deliver()
    one.stream.trim()

    progress = one.advance()

    assert progress.complete
    assert progress.lost is not None
    assert progress.lost.since == BEGAN
    assert progress.lost.until - (one.stream.now - timedelta(hours=24)) < timedelta(hours=1)
    assert set(one.read()) == set(one.stream.lines())
    start = one.start()
    assert (start.complete, start.whole, start.lost) == (True, False, progress.lost)


def test_the_gap_of_an_old_delivery_is_known(one: Evidence) -> None:
    one.stream.put(SHARD, 10, every=10)
    one.delivery.start()
    began = one.stream.now
    for _ in range(110):
        one.stream.put(SHARD, 1, every=900)
        one.delivery.deliver()
    one.stream.trim()

    progress = one.advance()

    assert (progress.complete, progress.records) == (True, 0)
    assert progress.lost is not None
    assert progress.lost.since == BEGAN
    assert abs(progress.lost.until - began - timedelta(minutes=15)) < timedelta(seconds=2)


def test_what_has_expired_is_not_lost(one: Evidence) -> None:
    one.stream.tick(days=401)
    progress = begun(one).advance()

    assert (progress.complete, progress.lost) == (True, None)
    one.assert_whole()


@pytest.mark.parametrize("left", ["some", "none of the part"])
def test_what_is_dropped_between_two_runs_is_named(one: Evidence, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_records, "PORTION_BYTES", 300)
    one.stream.put(SHARD, 20, every=3600)
    one.delivery.start()
    one.stream.put(SHARD, 5)
    one.delivery.deliver()
    written = []

    def kill(_: int, name: str) -> None:
        written.append(name)
        if written.count("put_object") == 3:
            raise Killed

    with pytest.raises(Killed):
        one.advance(after=kill)
    before = one.read("/start/")
    one.stream.tick(hours=14 if left == "some" else 25)
    one.stream.trim()
    if left != "some":
        one.stream.put(SHARD, 1)
    kept = one.stream.lines()

    progress = one.advance()

    assert progress.complete
    assert progress.lost is not None
    assert BEGAN < progress.lost.since < progress.lost.until <= BEGAN + timedelta(hours=20)
    written_now = one.read("/start/")
    assert max(written_now.values()) == 1
    assert before < written_now if left == "some" else before == written_now
    if left == "some":
        assert set(kept) <= set(one.read())


def test_an_object_of_many_hours_is_compared(one: Evidence) -> None:
    one.stream.put(SHARD, 10)
    one.delivery.start()
    one.stream.put(SHARD, 30, every=3600)
    one.delivery.deliver()
    one.stream.put(SHARD, 5)
    one.delivery.deliver()
    one.stream.trim()

    progress = one.advance()

    assert (progress.complete, progress.records) == (True, 0)


def test_a_stream_that_was_started_again_begins_again(one: Evidence) -> None:
    begun(one).advance()
    former = one.stream.lines()
    one.stream.tick(minutes=1)
    one.stream.restart()
    one.delivery.positions = {}
    one.stream.put(SHARD, 10)

    waits = one.advance()
    assert (waits.complete, waits.records) == (False, 0)

    one.delivery.start()
    one.stream.put(SHARD, 10)
    one.delivery.deliver()

    assert one.advance().records == 10
    assert one.read() == former + one.stream.lines()
    assert one.start().stream == f"{one.stream._moto.creation_datetime:%Y%m%dT%H%M%SZ}"


# Any order of events.

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 3), st.integers(1, 4)),
        st.tuples(st.just("read"), st.integers(0, 3), st.integers(1, 4)),
        st.tuples(st.just("flush"), st.just(0), st.just(0)),
        st.tuples(st.just("split"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("merge"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("advance"), st.integers(1, 30), st.just(0)),
        st.tuples(st.just("tick"), st.integers(1, 20), st.just(0)),
    ),
    max_size=25,
)


def operate(evidence: Evidence, operations: list[tuple[str, int, int]]) -> Iterator[str]:
    """Do these; a run ends at the call that the operation names."""
    for name, which, count in operations:
        stream, delivery = evidence.stream, evidence.delivery
        shard = stream.shards[which % len(stream.shards)]
        match name:
            case "put":
                stream.put(stream.open[which % len(stream.open)], count)
            case "read" if delivery.positions:
                delivery.read(shard, count)
            case "flush":
                delivery.flush()
            case "split" if len(stream.shards) < 8:
                stream.split(stream.open[which % len(stream.open)])
            case "merge" if len(stream.open) > 1:
                place = which % (len(stream.open) - 1)
                stream.merge(*sorted(stream.open, key=lambda name: stream._moto.shards[name].starting_hash)[place:][:2])
            case "tick":
                stream.tick(minutes=which)
            case "advance":

                def kill(number: int, _: str, last: int = which) -> None:
                    if number == last:
                        raise Killed

                try:
                    evidence.advance(before=kill)
                except Killed:
                    yield "killed"


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(before=OPERATIONS, after=OPERATIONS, shards=st.integers(1, 3))
def test_any_interleaving_keeps_each_record_once(
    aws: LocalAws, bucket: str, before: list[tuple[str, int, int]], after: list[tuple[str, int, int]], shards: int
) -> None:
    evidence = Evidence(aws, bucket, shards)
    list(operate(evidence, before))
    evidence.delivery.start()
    list(operate(evidence, after))
    for shard in evidence.stream.open:
        evidence.stream.put(shard)
    for shard in evidence.stream.shards:  # those that others are made from come first
        evidence.delivery.read(shard)
    evidence.delivery.flush()

    progress = evidence.advance()

    assert progress.complete, progress.left
    assert progress.lost is None
    evidence.assert_whole()
