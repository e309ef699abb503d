"""The replay function on a real node: what comes back, what stays and is reported, and the bounds of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import pytest

from daswatch.aws.clients import kms_client, s3_client
from daswatch.deadline import Deadline
from daswatch.errors import KmsUnavailable, ReadingUnrecorded, Reason
from daswatch.evidence.objects import Listed
from daswatch.evidence.replay import Opened
from daswatch.evidence.run import Source
from demo.rds import Database
from replay_lambda import handler as handler_module
from replay_lambda import retrier
from tests.fakes.clock import Clock
from tests.fakes.failing_aws import FailingAws
from tests.harness.replay import ARRIVED, events
from tests.harness.replay_function import HOUR, Replaying

pytestmark = pytest.mark.node

KEY = "arn:aws:kms:eu-west-1:123456789012:key/0c1d2e3f-4a5b-4c6d-8e7f-901234567890"
DENIED = json.dumps({"__type": "AccessDeniedException", "message": f"not authorized to perform kms:Decrypt on {KEY}"})


def day_index(replaying: Replaying) -> str:
    """The index of the events that records have by default."""
    return f"{replaying.ingest.prefix}-{ARRIVED:%Y.%m.%d}"


def of_day(replaying: Replaying, day: int, count: int = 5) -> dict[str, Any]:
    """A record whose events are of a day of that month."""
    changed = [
        {**one, "logTime": str(one["logTime"]).replace("2031-03-04", f"2031-03-{day:02}")}
        for one in events(100 * day, count)
    ]
    return replaying.ingest.record(changed)


def deny(replaying: Replaying, database: Database) -> FailingAws:
    """KMS denies the key of a database from now on."""
    kms = FailingAws(repeat(True), 400, DENIED.encode(), about=database.resource_id)
    replaying.ingest.monkeypatch.setattr(handler_module, "kms_client", kms.of(kms_client, "kms"))
    replaying.cold_start()
    return kms


def allow(replaying: Replaying) -> None:
    """KMS serves all keys."""
    replaying.ingest.monkeypatch.setattr(handler_module, "kms_client", kms_client)
    replaying.cold_start()


# What comes back.


def test_dead_letters_come_back_once_their_cause_is_gone(replaying: Replaying) -> None:
    ingest = replaying.ingest
    denied = ingest.database(name="DENIED")
    ingest.search.indices.create(index=day_index(replaying))
    ingest.search.indices.put_settings(index=day_index(replaying), body={"index.blocks.write": True})
    keys = [
        replaying.letter(ingest.record(events(0)), Reason.DOCUMENT_REFUSED),
        replaying.letter(ingest.record(events(10)), Reason.UNEXPECTED),
        replaying.batch(ingest.record(events(20)), ingest.record(events(30))),
        replaying.batch(ingest.record([], denied), of_day(replaying, 7)),
    ]
    malformed = replaying.letter(ingest.delivered(b"no envelope"), Reason.NOT_AN_ENVELOPE)
    deny(replaying, denied)

    first, later = replaying.run(), replaying.run(hours=9)

    assert [(one.due, one.tried, one.run.objects_whole, one.not_retried) for one in (first, later)] == [
        (5, 5, 0, 1)
    ] * 2
    assert (first.left, later.left) == (0, 4)
    assert {reason for reason, _ in later.run.reasons} == {"waiting", "key-unavailable"}
    assert replaying.written() == 5  # of the other day
    assert replaying.done(keys) == []

    ingest.search.indices.put_settings(index=day_index(replaying), body={"index.blocks.write": None})
    allow(replaying)
    last = replaying.run(hours=17)

    assert (last.tried, last.run.objects_whole, last.left) == (5, 4, 0)
    assert replaying.written() == 25
    assert replaying.done([*keys, malformed]) == keys
    assert {one["state"] for one in replaying.evidence.readings()} == {"done"}
    again = replaying.run(hours=24)
    assert (again.run.objects_done_before, again.not_retried, again.run.objects_whole) == (4, 1, 0)


def test_documents_that_a_mapping_refused_come_back(replaying: Replaying) -> None:
    """The ingest function keeps the letter; setup corrects the mapping; the letter's other events are there once."""
    ingest = replaying.ingest
    failing = {"processors": [{"fail": {"if": "ctx.statementId == '3'", "message": "no"}}]}
    pipeline = f"p-{ingest.name}"
    ingest.search.ingest.put_pipeline(id=pipeline, body=failing)
    ingest.search.indices.create(index=day_index(replaying), body={"settings": {"index.default_pipeline": pipeline}})
    assert ingest.invoke(ingest.record(events(0))) == []
    (line,) = ingest.dead_letters()
    assert (line["reason"], replaying.written()) == ("document-refused", 4)
    assert replaying.run().left == 0

    report = replaying.run(hours=9)
    assert (report.left, {reason for reason, _ in report.run.reasons}) == (1, {"document-refused"})

    ingest.search.indices.put_settings(index=day_index(replaying), body={"index.default_pipeline": "_none"})
    report = replaying.run(hours=17)

    assert (report.run.objects_whole, report.run.totals.written, report.run.totals.already_there) == (1, 1, 4)
    assert replaying.written() == 5
    ingest.search.ingest.delete_pipeline(id=pipeline)


def test_what_comes_back_counts_as_arriving_now(replaying: Replaying) -> None:
    """So the running detections look at it, as at whatever arrives late."""
    replaying.batch(replaying.ingest.record(events(0, 1)))
    before = datetime.now(UTC)

    replaying.run(hours=1)

    (document,) = replaying.ingest.documents()
    assert document["ingestedAt"] == document["replayedAt"]
    assert datetime.fromisoformat(document["ingestedAt"]) > before + HOUR / 2
    (reading,) = replaying.evidence.readings()
    assert (reading["via"], reading["source"]) == ("replay function", f"s3://{replaying.evidence.bucket}")
    assert reading["callerArn"].startswith("arn:aws:sts::")


def test_handler_runs_without_dead_letters(replaying: Replaying) -> None:
    assert replaying.invoke() == {"tried": 0, "returned": 0, "left": 0}
    assert replaying.evidence.readings() == []  # nothing was opened

    (line,) = replaying.logged()
    assert (line["level"], line["due"]) == ("INFO", 0)
    assert "DeadLettersLeft" not in line


def test_metric_counts_what_is_left(replaying: Replaying) -> None:
    key = replaying.letter(replaying.ingest.delivered(b"no envelope"), Reason.DOCUMENT_REFUSED)
    replaying.evidence.put("aws/lambda/0a1b/cut", b'{"KinesisBatchInfo": {}}')

    replaying.run(hours=8)

    (line,) = replaying.logged()
    assert (line["DeadLettersLeft"], line["left"], line["level"]) == ([2], 2, "WARNING")
    assert line["reasons"] == {"not-json": 1}
    assert line["damaged"] == 1
    assert key in line["incomplete"]


# Bounds.


class Stepping:
    """A source at which each object takes time, or one takes long, or one ends the process."""

    def __init__(
        self, source: Source, clock: Clock, seconds: float = 0.0, long: tuple[str, float] = ("", 0.0), deadly: str = ""
    ) -> None:
        self._source = source
        self._clock = clock
        self._seconds = seconds
        self._long = long
        self._deadly = deadly
        self.listed = source.listed
        self.mark_done = source.mark_done

    def opened(self, objects: Iterable[Listed]) -> Iterator[Opened]:
        for opened in self._source.opened(objects):
            self._clock.now += self._seconds
            yield replace(opened, chunks=self._chunks(opened))

    def _chunks(self, opened: Opened) -> Iterator[bytes]:
        if opened.listed.key == self._deadly:
            raise SystemExit
        if opened.listed.key == self._long[0]:
            self._clock.now += self._long[1]
        yield from opened.chunks


def slow_down(replaying: Replaying, **how: Any) -> Clock:
    """The clock of runs whose objects take time."""
    clock = Clock()
    inner = replaying.function.retrier._source
    replaying.ingest.monkeypatch.setattr(
        replaying.function.retrier, "_source", lambda patience: Stepping(inner(patience), clock, **how)
    )
    return clock


def test_run_out_of_time_goes_on_in_the_next_one(replaying: Replaying) -> None:
    keys = [replaying.batch(replaying.ingest.record(events(10 * number))) for number in range(5)]
    clock = slow_down(replaying, seconds=31.0)  # the third one is there when 90 % of the time are over

    reports = []
    for hours in range(3):
        deadline = Deadline.after(100.0, clock)
        reports.append(replaying.function.retrier.run(datetime.now(UTC) + hours * HOUR, deadline))
        assert deadline.remaining > 0

    assert [one.tried for one in reports] == [2, 2, 1]
    assert [one.run.cause for one in reports] == ["out of time", "out of time", ""]
    assert [one.run.resumes for one in reports] == ["", reports[0].run.id, reports[1].run.id]
    assert replaying.written() == 25
    assert replaying.done(keys) == keys
    assert [one["state"] for one in replaying.evidence.readings()] == ["stopped", "stopped", "done"]


def test_object_that_a_run_had_no_time_for_is_first_in_the_next_one(replaying: Replaying) -> None:
    keys = [replaying.batch(replaying.ingest.record(events(10 * number))) for number in range(3)]
    listed = replaying.ingest.aws.s3().list_objects_v2(Bucket=replaying.evidence.bucket)["Contents"]
    last = max(listed, key=lambda one: (one["LastModified"], one["Key"]))["Key"]
    clock = slow_down(replaying, long=(last, 95.0))

    report = replaying.function.retrier.run(datetime.now(UTC), Deadline.after(100.0, clock))

    assert (report.tried, report.run.cause, report.run.reasons.total()) == (2, "out of time", 0)
    replaying.cold_start()
    report = replaying.run()
    assert (report.due, report.tried, report.run.cause) == (1, 1, "")
    assert replaying.done(keys) == keys


def test_run_takes_so_many_objects_and_bytes(replaying: Replaying) -> None:
    keys = [replaying.batch(replaying.ingest.record(events(10 * number))) for number in range(5)]
    replaying.function.retrier._most_objects = 2
    assert replaying.run().run.cause == "2 objects are enough for one run"
    replaying.ingest.monkeypatch.setattr(retrier, "MOST_BYTES", 1)
    assert "bytes are enough" in replaying.run(hours=1).run.cause
    replaying.ingest.monkeypatch.undo()

    assert len(replaying.done(keys)) == 3


def test_what_was_not_reached_for_hours_is_left(replaying: Replaying) -> None:
    for number in range(5):
        replaying.batch(replaying.ingest.record(events(10 * number)))
    replaying.function.retrier._most_objects = 2

    assert (replaying.run().left, replaying.run(hours=8).left) == (0, 1)


def test_unreadable_object_delays_no_other(replaying: Replaying) -> None:
    keys = [replaying.batch(replaying.ingest.record(events(10 * number))) for number in range(4)]
    poison = min(keys)
    s3 = FailingAws(repeat(True), 403, b"<Error><Code>AccessDenied</Code></Error>", about=poison)
    replaying.ingest.monkeypatch.setattr(handler_module, "s3_client", s3.of(s3_client, "s3"))
    replaying.cold_start()

    report = replaying.run()

    assert (report.tried, report.run.objects_whole, report.run.state) == (4, 3, "done")
    assert {reason for reason, _ in report.run.reasons} == {"waiting"}
    assert replaying.done(keys) == [key for key in keys if key != poison]


def test_object_that_ends_the_process_delays_no_other(replaying: Replaying) -> None:
    keys = sorted(replaying.batch(replaying.ingest.record(events(10 * number))) for number in range(4))
    slow_down(replaying, deadly=keys[1])
    for hours in range(2):
        with pytest.raises(SystemExit):
            replaying.run(hours)

    report = replaying.run(hours=2)

    assert report.run.state == "done"
    assert replaying.done(keys) == [key for key in keys if key != keys[1]]


def test_dead_key_is_asked_for_once_in_a_run(replaying: Replaying) -> None:
    denied = replaying.ingest.database(name="DENIED")
    for number in range(3):
        replaying.batch(*(replaying.ingest.record(events(10 * number + one), denied) for one in range(2)))
    kms = deny(replaying, denied)

    report = replaying.run()

    assert kms.failed == 1
    ((reason, detail),) = report.run.reasons
    assert (reason, detail) == ("key-unavailable", f"KMS Decrypt: AccessDeniedException ({KEY})")
    replaying.run(hours=1)
    assert kms.failed == 2


def test_run_ends_where_too_much_fails(replaying: Replaying) -> None:
    """Each object costs its patience with KMS; the next run goes on behind those that were tried."""
    keys = [replaying.batch(replaying.ingest.record(events(10 * number))) for number in range(8)]
    kms = FailingAws(repeat(True), 400, b'{"__type": "ThrottlingException", "message": "slow"}')
    replaying.ingest.monkeypatch.setattr(handler_module, "kms_client", kms.of(kms_client, "kms"))
    replaying.cold_start()

    report = replaying.function.retrier.run(datetime.now(UTC), Deadline.after(300.0, Clock()))

    assert 2 <= report.tried <= 5
    assert report.run.cause.startswith("too much fails: KMS Decrypt: ThrottlingException")
    assert isinstance(report.run.failure, KmsUnavailable)
    allow(replaying)
    assert replaying.run(hours=1).run.objects_whole == 8 - report.tried
    assert replaying.run(hours=2).run.objects_whole == report.tried
    assert replaying.done(keys) == keys


def test_two_runs_at_once_write_each_event_once(replaying: Replaying) -> None:
    ingest = replaying.ingest
    keys = [
        replaying.batch(*(ingest.record(events(100 * number + 10 * one)) for one in range(5))) for number in range(8)
    ]
    settings = replaying.function._settings
    functions = [handler_module.Function(settings, "eu-west-1") for _ in range(2)]
    now = datetime.now(UTC)

    with ThreadPoolExecutor(2) as executor:
        runs = [executor.submit(one.retrier.run, now, Deadline.after(600)) for one in functions]
        reports = [one.result() for one in runs]

    assert replaying.written() == 200
    assert sum(one.run.totals.written for one in reports) == 200
    assert replaying.done(keys) == keys


def test_nothing_is_opened_where_the_reading_cannot_be_noted(replaying: Replaying) -> None:
    key = replaying.batch(replaying.ingest.record(events(0)))
    index = replaying.ingest.indices.replays
    replaying.ingest.search.indices.create(index=index)
    replaying.ingest.search.indices.put_settings(index=index, body={"index.blocks.write": True})

    with pytest.raises(ReadingUnrecorded):
        replaying.invoke()

    assert (replaying.written(), replaying.done([key])) == (0, [])
    replaying.ingest.search.indices.put_settings(index=index, body={"index.blocks.write": None})
    assert replaying.invoke()["returned"] == 1
