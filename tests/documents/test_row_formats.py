"""Rows, their folders, and the forms of Splunk and OpenSearch."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daswatch.documents.activity import Activity
from daswatch.documents.document import Document, Flattening, flatten
from daswatch.documents.row_formats import (
    folder_of,
    opensearch_form,
    partition_keys,
    row,
    shared_partition_keys,
    splunk_event,
)
from daswatch.records.envelope import stream_source
from daswatch.records.monitoring_record import Event, MonitoringRecord
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event

STREAM = stream_source("arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A")
ARRIVED_AT = "2031-03-05T00:00:01.500Z"
EVENTS = (postgresql_event(), mysql_event(), oracle_event(), sqlserver_event())


def documents_of(*events: Event) -> list[Document]:
    record = MonitoringRecord("cluster-A", "db-WRITER", list(events), {}, 0)
    return flatten(record, STREAM, "1.1", ARRIVED_AT, Flattening("2031-03-05T00:00:02.000Z")).documents


def document_of(event: Event) -> Document:
    (document,) = documents_of(event)
    return document


def document(**source: Any) -> Document:
    """A document of so little that a test can say all of it."""
    least = {
        "@timestamp": "2031-03-04T11:22:33.444555Z",
        "activity": "DQL",
        "engine": "postgresql",
        "outcome": "success",
        "resourceId": "cluster-A",
    }
    return Document("das-events-2031.03.04", "id-1", {**least, **source})


# Rows.


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["serverType"])
def test_a_row_is_the_document_and_its_id_on_one_line(event: Event) -> None:
    document = document_of(event)

    line = row(document)

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert orjson.loads(line) == {**document.source, "eventId": document.id}


def test_a_rows_keys_are_in_order_whatever_theirs_was_in_the_event() -> None:
    event = postgresql_event()
    other_way_round = dict(reversed(event.items()))

    line = row(document_of(event))

    assert row(document_of(other_way_round)) == line
    assert list(orjson.loads(line)) == sorted(orjson.loads(line))


@pytest.mark.parametrize(
    "text", ["select 1;\r\nselect 2", "a\u2028b\x85c\x0bd\x00", "unpaired \ud800", "名 \N{PILE OF POO}"]
)
def test_no_text_breaks_a_line_or_gets_lost(text: str) -> None:
    line = row(document(commandText=text))

    assert line.count(b"\n") == 1
    assert line.isascii() or line.decode("utf-8")
    assert re.search(rb"[\x00-\x09\x0b-\x1f]", line) is None
    if "\ud800" not in text:
        assert orjson.loads(line)["commandText"] == text
    else:
        assert rb"unpaired \ud800" in line


@settings(max_examples=300)
@given(st.text(st.characters(), max_size=30), st.one_of(st.none(), st.integers(), st.text(st.characters())))
def test_every_form_holds_whatever_an_event_says(text: str, odd: object) -> None:
    documents = documents_of(
        postgresql_event(commandText=text, dbUserName=text, novel={text: odd}), mysql_event(serverType=text)
    )

    lines = [*map(row, documents), *map(splunk_event, documents), b"".join(opensearch_form(documents))]

    assert [line.count(b"\n") for line in lines] == [1] * len(lines)
    # json reads unpaired surrogates, which orjson refuses.
    assert all(isinstance(json.loads(line), dict) for line in lines)


# Folders.


@pytest.mark.parametrize("activity", Activity)
def test_an_activitys_folder_is_its_name(activity: Activity) -> None:
    # As the column `activity` of a table over the folders has to say the same as the index does.
    assert folder_of(activity) == activity.value
    assert re.fullmatch(r"[A-Z]+( [A-Z]+)*", folder_of(activity))


@pytest.mark.parametrize(
    ("event", "date", "hour"),
    [
        (postgresql_event(logTime="2031-03-04 00:00:00.000001+00"), "2031-03-04", "00"),
        (postgresql_event(logTime="2031-03-04 23:59:59+00"), "2031-03-04", "23"),
        (postgresql_event(logTime="2031-03-04 23:30:00-02:30"), "2031-03-05", "02"),
        (oracle_event(logTime="2031-03-04 07:08:09.123456"), "2031-03-04", "07"),
        (sqlserver_event(logTime="2031-03-04 15:59:59.9999999+00"), "2031-03-04", "15"),
        (postgresql_event(logTime="yesterday"), "2031-03-05", "00"),
        (postgresql_event(logTime=None), "2031-03-05", "00"),
    ],
)
def test_a_rows_folder_is_of_its_own_hour_in_utc_and_of_its_arrival_without_one(
    event: Event, date: str, hour: str
) -> None:
    keys = partition_keys(document_of(event).source)

    assert (keys["date"], keys["hour"]) == (date, hour)


@pytest.mark.parametrize(
    ("event", "activity", "engine"),
    [
        (postgresql_event(command="AUTH FAILURE", exitCode="28P01"), "AUTH FAILURE", "postgresql"),
        (mysql_event(command="FAILED_CONNECT", exitCode="1045"), "AUTH FAILURE", "mysql"),
        (oracle_event(command="DROP TABLE"), "DDL", "oracle"),
        (sqlserver_event(command="GRANT"), "DCL", "sqlserver"),
    ],
)
def test_a_row_has_the_folders_of_its_activity_engine_and_database(event: Event, activity: str, engine: str) -> None:
    keys = partition_keys(document_of(event).source)

    assert list(keys) == ["activity", "engine", "resourceId", "date", "hour"]
    assert (keys["activity"], keys["engine"], keys["resourceId"]) == (activity, engine, "cluster-A")


@pytest.mark.parametrize("name", ["../../other", "a/b", "x" * 5_000, "Ä=1&b", "\0\n"])
def test_an_engine_that_names_itself_stays_within_one_folder(name: str) -> None:
    engine = partition_keys(document(engine=name).source)["engine"]

    assert re.fullmatch(r"[A-Za-z0-9_ .-]{1,64}", engine)


def test_partition_keys_of_rows_that_stay_together() -> None:
    """They are mixed where the rows differ, and have the time of the oldest."""
    documents = [
        document(activity="DQL", **{"@timestamp": "2031-03-04T12:00:00.5Z"}),
        document(activity="DDL", **{"@timestamp": "2031-03-04T11:59:59.999Z"}),
        document(activity="DQL", **{"@timestamp": "2031-03-04T12:00:00Z"}),
    ]

    keys = shared_partition_keys(documents)

    assert keys == {
        "activity": "MIXED",
        "engine": "postgresql",
        "resourceId": "cluster-A",
        "date": "2031-03-04",
        "hour": "11",
    }


def test_rows_of_one_activity_keep_its_folder() -> None:
    documents = documents_of(postgresql_event(), postgresql_event(pid=2))

    assert shared_partition_keys(documents) == partition_keys(documents[0].source)


# Splunk and OpenSearch.


def test_splunk_gets_the_row_with_its_time_host_source_and_sourcetype() -> None:
    document = document_of(mysql_event(command="FAILED_CONNECT", exitCode="1045"))

    line = splunk_event(document)

    assert line.endswith(b"}\n")
    assert orjson.loads(line) == {
        "event": orjson.loads(row(document)),
        "time": 1930389753.445,
        "host": "db-WRITER",
        "source": "aws-rds-das-cluster-A",
        "sourcetype": "aws:rds:das",
        "fields": {
            "das_activity": "AUTH FAILURE",
            "das_engine": "mysql",
            "das_outcome": "failure",
            "das_resource_id": "cluster-A",
        },
    }


def test_splunks_host_is_the_database_without_an_instance() -> None:
    assert orjson.loads(splunk_event(document()))["host"] == "cluster-A"


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("2031-03-04T11:22:33Z", b'"time":1930389753.0'),
        ("2031-03-04T11:22:33.4445556Z", b'"time":1930389753.445'),
        ("2031-03-04T11:22:33.123456789Z", b'"time":1930389753.123'),
    ],
)
def test_splunks_time_is_in_seconds_with_milliseconds(timestamp: str, seconds: bytes) -> None:
    assert seconds in splunk_event(document(**{"@timestamp": timestamp}))


def test_what_splunk_indexes_has_no_name_of_the_rows_own() -> None:
    event = orjson.loads(splunk_event(document_of(postgresql_event())))

    assert set(event["fields"]).isdisjoint(event["event"])


def test_opensearch_gets_one_document_with_all_rows_of_a_record() -> None:
    documents = documents_of(
        postgresql_event(command="CREATE TABLE", logTime="2031-03-04 11:00:01.5+00"),
        postgresql_event(pid=2, logTime="2031-03-04 11:00:01+00"),
        postgresql_event(pid=3, logTime="2031-03-04 11:00:02+00"),
    )

    content = b"".join(opensearch_form(documents))

    assert content.count(b"\n") == 1
    assert orjson.loads(content) == {
        "@timestamp": "2031-03-04T11:00:01Z",
        "activity": ["DDL", "DQL"],
        "engine": ["postgresql"],
        "eventCount": 3,
        "events": [orjson.loads(row(document)) for document in documents],
        "resourceId": "cluster-A",
        "awsAccountId": "123456789012",
        "awsRegion": "eu-west-1",
        "clusterId": "cluster-A",
        "instanceId": "db-WRITER",
        "version": "1.1",
        "ingestedAt": "2031-03-05T00:00:02.000Z",
    }
