"""What a replay selects, counts and notes, without S3, KMS and OpenSearch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daswatch.alerts.alert import Database, Firing, State
from daswatch.detections.detection import Level
from daswatch.documents.activity import Activity
from daswatch.errors import ReadingUnrecorded, SettingsError
from daswatch.evidence.objects import EvidenceRecord, Kind, Listed
from daswatch.evidence.readings import DONE, RUNNING, FileReadings, Purpose, Unfinished
from daswatch.evidence.replay import OTHER_DETAILS, Counts, ObjectReport, Selection
from daswatch.evidence.row_files import RowFile
from daswatch.evidence.run import RunReport
from daswatch.evidence.spans import replayed_alert, spans_of
from daswatch.queries.backtests import Period
from tests.builders.evidence import archive_key

AT = datetime(2031, 3, 4, 11, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = archive_key("cluster-ORDERS", AT)


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), True),
        (Selection(begin=AT), True),  # written after its records arrived
        (Selection(begin=AT + HOUR), False),
        (Selection(end=AT - HOUR), False),
        (Selection(end=AT), True),
        (Selection(resource_ids=frozenset({"cluster-ORDERS"})), True),
        (Selection(resource_ids=frozenset({"cluster-SHOP"})), False),
    ],
)
def test_objects_are_selected_by_name_and_time(selection: Selection, wanted: bool) -> None:
    assert selection.wants_object(Listed(KEY, 1, AT + timedelta(minutes=5))) is wanted


@pytest.mark.parametrize("key", ["backups/20310304/x.json", "rows/activity=DQL/x.gz", "evidence/"])
def test_what_is_no_evidence_is_not_read(key: str) -> None:
    assert not Selection().wants_object(Listed(key, 1, AT))


def test_only_known_arrivals_are_compared() -> None:
    selection = Selection(begin=AT, end=AT + HOUR, resource_ids=frozenset({"cluster-ORDERS"}))
    late = AT + 2 * HOUR

    assert selection.wants_record(EvidenceRecord("", late), "cluster-ORDERS")  # of an archive: that of its object
    assert not selection.wants_record(EvidenceRecord("", late, "arn"), "cluster-ORDERS")
    assert selection.wants_record(EvidenceRecord("", AT, "arn"), "cluster-ORDERS")
    assert not selection.wants_record(EvidenceRecord("", AT, "arn"), "cluster-SHOP")


def test_object_is_whole_only_with_everything_of_it() -> None:
    def report() -> ObjectReport:
        made = ObjectReport("k", Kind.DEAD_LETTER)
        made.at("cluster-ORDERS", "2031-03-04T11:00Z").add(Counts(read=1, opened=1, events=2, written=2))
        return made

    refused, skipped, left_out, damaged = report(), report(), report(), report()
    refused.refuse("not-json", "3 bytes")
    skipped.skipped = 1
    left_out.at("cluster-ORDERS", "2031-03-04T11:00Z").left_out = 1
    damaged.damage = "cut"

    assert report().is_whole
    assert not any(one.is_whole for one in (refused, skipped, left_out, damaged, ObjectReport("k", Kind.OTHER)))


def test_reasons_have_a_bound() -> None:
    run = RunReport("id", AT)
    for number in range(1_000):
        one = ObjectReport("k", Kind.ARCHIVE)
        one.refuse("not-json", f"{number} bytes that are not JSON", 2)
        run.take(one)

    assert len(run.reasons) < 300
    assert run.reasons["not-json", OTHER_DETAILS] > 1_000
    assert run.reasons.total() == 2_000


def test_same_purpose_is_the_same_job() -> None:
    first = Purpose("s3://b", "das-events", Selection(activities=frozenset({Activity.DDL, Activity.DML})))
    same = Purpose("s3://b", "das-events", Selection(activities=frozenset({Activity.DML, Activity.DDL})))

    assert first.job == same.job
    assert first.job != Purpose("s3://b", "das-events").job


def test_file_of_readings_names_the_unfinished_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson.replays"
    readings = FileReadings(path)
    assert readings.unfinished("j") is None
    document = {"job": "j", "state": RUNNING, "@timestamp": "2031", "position": "k", "mark": {"bytes": 7}}
    readings.note("a", document)
    readings.note("b", {**document, "job": "another"})

    assert readings.unfinished("j") == Unfinished("a", "k", {"bytes": 7})
    readings.note("c", {**document, "state": DONE, "@timestamp": "2032"})
    assert readings.unfinished("j") is None
    assert len(path.read_bytes().splitlines()) == 3
    path.write_text("not a reading\n")
    with pytest.raises(ReadingUnrecorded, match="not a list of readings"):
        readings.unfinished("j")


def test_file_of_rows_goes_on_at_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    file = RowFile(path, {})
    file._file.write(b"kept\n")
    mark = file.mark()
    file._file.write(b"not noted\n")
    file.close()
    assert path.stat().st_mode & 0o077 == 0

    RowFile(path, mark).close()

    assert path.read_bytes() == b"kept\n"
    with pytest.raises(SettingsError, match="is there already"):
        RowFile(path, {})
    with pytest.raises(SettingsError, match="is shorter"):
        RowFile(path, {"bytes": 100})


def test_hours_become_spans() -> None:
    hours = [AT + number * HOUR for number in (5, 0, 1, 9)]

    assert spans_of(hours, 10) == [
        Period(AT, AT + 2 * HOUR), Period(AT + 5 * HOUR, AT + 6 * HOUR), Period(AT + 9 * HOUR, AT + 10 * HOUR)
    ]  # fmt: skip
    assert spans_of(hours, 2)[-1].end == AT + 10 * HOUR
    assert len(spans_of(hours, 2)) == 2
    assert len(spans_of(hours, 1)) == 1


def firing(minute: int) -> Firing:
    at = f"2031-03-04T11:{minute:02}:00.000Z"
    return Firing("d", "t", Level.HIGH, Database("cluster-ORDERS"), {}, at, at, 1, arrived_at=at)


def test_replayed_alert_is_of_its_time() -> None:
    now = AT + timedelta(days=9)
    alert = replayed_alert(None, [firing(1), firing(40)], 600, now)

    assert alert is not None
    assert (alert.created_at, alert.episode, alert.state) == ("2031-03-04T11:01:00.000Z", 2, State.ARCHIVED)
    assert alert.replayed_at.startswith("2031-03-13")
    assert json.loads(json.dumps(alert.document()))["replayedAt"] == alert.replayed_at
    assert replayed_alert(alert, [firing(40)], 600, now) is None  # known
    assert replayed_alert(alert, [firing(1)], 600, now) is None  # history
    later = replayed_alert(alert, [firing(59)], 600, now)
    assert later is not None
    assert later.episode == 3
