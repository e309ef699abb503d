"""What the ingest function promises next to its main path, on a real node."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from daswatch.content.templates import shipped_content
from daswatch.errors import SettingsError
from daswatch.opensearch.templates import ContentGateway
from demo.stream import InvocationContext
from ingest_lambda.handler import handler
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event
from tests.harness.ingest import SECRET, IngestFunction, everything_logged, sequence_number

pytestmark = pytest.mark.node

DAY_ONE, DAY_TWO = "2031-03-04 11:22:33.444555+00", "2031-03-05 00:00:00+00"


def arriving(record: Mapping[str, Any], at: float) -> dict[str, Any]:
    """The record as if it had arrived at this time."""
    return {**record, "kinesis": {**record["kinesis"], "approximateArrivalTimestamp": at}}


def drop_documents(ingest: IngestFunction) -> list[dict[str, Any]]:
    """The test's documents in `das-drops`."""
    ingest.search.indices.refresh(index=f"{ingest.indices.drops}-*")
    answer = ingest.search.search(
        index=f"{ingest.indices.drops}-*",
        body={"query": {"wildcard": {"resourceId": f"*{ingest.name.upper()}*"}}, "size": 100},
    )
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def dropped(ingest: IngestFunction) -> dict[tuple[str, str], int]:
    """What `das-drops` reports of the test's databases, by database and reason."""
    counts: dict[tuple[str, str], int] = {}
    for document in drop_documents(ingest):
        key = document["resourceId"], document["reason"]
        counts[key] = counts.get(key, 0) + document["count"]
    return counts


# Noise.


def test_events_of_awss_users_are_dropped_and_counted(ingest: IngestFunction) -> None:
    events = [
        postgresql_event(dbUserName="rdsadmin", remoteHost="localhost"),
        oracle_event(dbUserName="RDSADMIN", netProtocol="beq"),
        oracle_event(dbUserName="RDSSEC", remoteHost="localhost"),
        mysql_event(dbUserName="rdsproxyadmin", objectName="", commandText="select 1"),
        postgresql_event(dbUserName="app_rw"),
        {"type": "heartbeat"},
    ]

    ingest.invoke(ingest.record(events))

    assert [document["dbUserName"] for document in ingest.documents()] == ["app_rw"]
    assert ingest.log["dropped"] == {"aws-user": 4, "heartbeat": 1}
    assert ingest.log["dropped_users"] == {"db-WRITER": {"rdsadmin": 2, "rdssec": 1, "rdsproxyadmin": 1}}
    assert (ingest.metrics["DroppedAwsUsers"], ingest.metrics["DroppedHeartbeats"]) == (4, 1)
    assert ingest.log["events"] == 6


def test_drops_are_counted_once_for_each_database(ingest: IngestFunction) -> None:
    noise = postgresql_event(dbUserName="rdsadmin", remoteHost="localhost")
    other = ingest.database(name="B")
    batch = [
        ingest.record([noise, noise, postgresql_event()]),
        ingest.record([noise, {"type": "heartbeat"}]),
        ingest.record([noise], other),
        ingest.record([{"type": "heartbeat"}], ingest.database(name="C")),
    ]

    assert ingest.invoke(*batch) == []
    assert ingest.invoke(*batch) == []

    assert dropped(ingest) == {(ingest.database().resource_id, "aws-user"): 3, (other.resource_id, "aws-user"): 1}


def test_redelivered_record_counts_its_drops_then(ingest: IngestFunction) -> None:
    noise, database = postgresql_event(dbUserName="rdsadmin", remoteHost="localhost"), ingest.database()
    batch = [ingest.record([noise]), ingest.record([noise, postgresql_event(logTime=DAY_TWO)])]

    with without_templates(ingest, ingest.prefix):
        assert ingest.invoke(*batch) == [sequence_number(batch[0])]
        assert dropped(ingest) == {}
    assert ingest.invoke(*batch) == []

    assert dropped(ingest) == {(database.resource_id, "aws-user"): 2}


def test_drops_are_counted_by_instance_user_and_origin(ingest: IngestFunction) -> None:
    """The engine of 2016 does not report a host: only the counts show that the name was used."""
    local = postgresql_event(dbUserName="rdsadmin", remoteHost="[local]")
    unreported = sqlserver_event(dbUserName="rdsadmin", remoteHost=None)

    ingest.invoke(ingest.record([local, local, unreported]))

    found = [(one["dbUserName"], one["origin"], one["instanceId"], one["count"]) for one in drop_documents(ingest)]
    assert sorted(found) == [("rdsadmin", "local", "db-WRITER", 2), ("rdsadmin", "unreported", "db-WRITER", 1)]


def test_names_of_awss_users_from_elsewhere_are_kept(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([postgresql_event(dbUserName=user) for user in ("rdsadmin", "RDSADMIN", "rdssec")]))

    assert [document["signals"] for document in ingest.documents()] == [["aws-user-name-used"]] * 3


def test_failed_logins_under_their_names_are_kept(ingest: IngestFunction) -> None:
    users = ("rdsadmin", "RDSADMIN", "rdssec", "RdsProxyAdmin")
    events = [
        event
        for user in users
        for event in (
            postgresql_event(command="AUTH FAILURE", exitCode="28P01", dbUserName=user),
            mysql_event(command="FAILED_CONNECT", exitCode="1045", dbUserName=user),
            mysql_event(command="CONNECT", exitCode="1045", dbUserName=user),
            oracle_event(command="LOGON", exitCode=1017, dbUserName=user),
            sqlserver_event(command="LOGIN FAILED", exitCode=0, dbUserName=user),
        )
    ]

    ingest.invoke(ingest.record(events))

    documents = ingest.documents()
    assert {user: [d["dbUserName"] for d in documents].count(user) for user in users} == dict.fromkeys(users, 5)
    assert {(document["activity"], document["outcome"]) for document in documents} == {("AUTH FAILURE", "failure")}
    assert ingest.log["dropped"] == {}


def test_the_excluded_users_are_a_setting(ingest: IngestFunction) -> None:
    ingest.configure(EXCLUDED_USERS="Backup,monitor")

    ingest.invoke(
        ingest.record([postgresql_event(dbUserName=user) for user in ("rdsadmin", "BACKUP", "Backup", "monitor")])
    )

    assert {document["dbUserName"] for document in ingest.documents()} == {"rdsadmin", "BACKUP"}


# Versions and databases.


def test_every_version_is_kept(ingest: IngestFunction) -> None:
    versions = ("1.0", "1.1", "1.9", "2.0", "", "next")
    records = []
    for version in versions:
        database = replace(ingest.database(), version=version)
        records.append(ingest.record([postgresql_event(novel=f"of {version}")], database))

    assert ingest.invoke(*records) == []

    found = {document["unknownFields"]["novel"]: document.get("version", "") for document in ingest.documents()}
    assert found == {f"of {version}": version for version in versions}


def test_one_invocation_serves_several_databases(ingest: IngestFunction) -> None:
    databases = {
        "postgresql": (ingest.database("postgresql", signed=True), postgresql_event()),
        "mysql": (ingest.database("mysql", name="B"), mysql_event()),
        "oracle": (ingest.database("oracle"), oracle_event()),
        "sqlserver": (ingest.database("sqlserver", name="B", signed=True), sqlserver_event()),
    }
    records = [ingest.record([event], database) for database, event in databases.values()]
    far = {**records[0], "eventSourceARN": databases["postgresql"][0].stream_arn("us-east-1", "210987654321")}

    assert ingest.invoke(*records, far) == []

    found = {(document["engine"], document["awsRegion"]): document for document in ingest.documents()}
    for engine, (database, _) in databases.items():
        assert found[engine, "eu-west-1"]["resourceId"] == database.resource_id
        assert found[engine, "eu-west-1"]["awsAccountId"] == "123456789012"
    assert ingest.log["kms_calls"] == 4
    assert ingest.log["kms_hits"] == 1


def test_a_warm_function_asks_kms_no_second_time(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([postgresql_event(pid=1)]))

    ingest.invoke(*(ingest.record([postgresql_event(pid=pid)]) for pid in range(2, 12)))

    assert (ingest.log["kms_calls"], ingest.log["kms_hits"]) == (0, 10)


# Redaction.


@pytest.mark.parametrize(
    ("setting", "text", "parameters"),
    [
        ("off", "select 's3cret' where a = $1", ["s3cret"]),
        ("literals", "select ? where a = ?", ["?"]),
        ("hash", None, None),
    ],
)
def test_redaction_decides_how_much_sql_the_index_holds(
    ingest: IngestFunction, setting: str, text: str | None, parameters: list[str] | None
) -> None:
    event = postgresql_event(commandText="select 's3cret' where a = $1", paramList=["s3cret"])
    ingest.configure(REDACT=setting)

    ingest.invoke(ingest.record([event]))

    (document,) = ingest.documents()
    assert document.get("commandText") == text
    assert document.get("paramList") == parameters
    assert len(document["statementHash"]) == 16


def test_a_replay_with_another_redaction_doubles_nothing(ingest: IngestFunction) -> None:
    record = ingest.record([postgresql_event()])
    ingest.invoke(record)
    ingest.configure(REDACT="hash")

    ingest.invoke(record)

    assert len(ingest.documents()) == 1
    assert ingest.log["already_there"] == 1


def test_a_change_to_hourly_indices_doubles_nothing(ingest: IngestFunction) -> None:
    """Records from before the change and after it are delivered again on either side of it."""
    before, after = "2031-03-04 23:30:00.000000+00", "2031-03-05 00:30:00.000000+00"
    records = [
        ingest.record([postgresql_event(logTime=moment, startTime=moment, endTime=moment)])
        for moment in (before, after)
    ]
    ingest.invoke(records[0])
    ingest.configure(INDEX_HOURLY="2031-03-05/..")
    ingest.invoke(*records)

    ingest.invoke(*records)

    assert ingest.log["already_there"] == 2
    indices = set(ingest.search.indices.get(index=f"{ingest.prefix}-*"))
    assert indices == {f"{ingest.prefix}-2031.03.04", f"{ingest.prefix}-2031.03.05.00"}
    assert len(ingest.documents()) == 2


# Templates.


@contextmanager
def without_templates(ingest: IngestFunction, *names: str) -> Iterator[None]:
    """An endpoint where nobody ran `daswatch setup`, as far as these templates go; afterwards they are back."""
    for name in names:
        ingest.search.indices.delete_index_template(name=name)
    try:
        yield
    finally:
        ContentGateway(ingest.search).install_all(shipped_content(ingest.prefix))


@contextmanager
def without_shared_indices(ingest: IngestFunction) -> Iterator[None]:
    """An endpoint without dead letters and pulses; what comes into being meanwhile is gone afterwards too."""

    def delete() -> None:
        names = f"{ingest.indices.dead_letters},{ingest.indices.pulse}"
        ingest.search.indices.delete(index=names, params={"ignore_unavailable": "true"})

    delete()
    try:
        yield
    finally:
        delete()


def test_without_templates_nothing_is_written_and_the_log_says_what_to_do(ingest: IngestFunction) -> None:
    records = [ingest.record([postgresql_event(pid=pid)]) for pid in range(3)]

    with without_templates(ingest, ingest.prefix):
        answer = ingest.invoke(*records)

        assert answer == [sequence_number(records[0])]
        assert "daswatch setup" in ingest.log["cause"]
        assert ingest.prefix in ingest.log["cause"]
        assert ingest.metrics["RecordsToRetry"] == 3
        assert not ingest.search.indices.exists(index=f"{ingest.prefix}-2031.03.04")

    assert ingest.invoke(*records) == []
    assert len(ingest.documents()) == 3


@pytest.mark.parametrize("name", ["dead_letters", "pulse", "drops"])
def test_without_one_of_the_shared_templates_nothing_is_written_either(ingest: IngestFunction, name: str) -> None:
    record = ingest.record([postgresql_event(), {"type": "heartbeat"}])

    name = getattr(ingest.indices, name)
    with without_templates(ingest, name):
        assert ingest.invoke(record) == [sequence_number(record)]
        assert name in ingest.log["cause"]

    assert ingest.invoke(record) == []


@pytest.mark.parametrize(
    "events", [[], [{"type": "heartbeat"}], ["no object"]], ids=["no event", "a heartbeat", "a flaw"]
)
def test_without_templates_no_index_comes_into_being_for_anything(ingest: IngestFunction, events: list[Any]) -> None:
    record = ingest.record(events)

    with without_shared_indices(ingest), without_templates(ingest, ingest.indices.dead_letters, ingest.indices.pulse):
        answer = ingest.invoke(record)

        assert answer == [sequence_number(record)]
        assert not ingest.search.indices.exists(index=ingest.indices.dead_letters)
        assert not ingest.search.indices.exists(index=ingest.indices.pulse)


def test_dead_letter_creates_no_index_without_its_template(
    ingest: IngestFunction,
) -> None:
    bad = ingest.delivered(b"no envelope")

    with without_shared_indices(ingest):
        with without_templates(ingest, ingest.indices.dead_letters):
            answer = ingest.invoke(bad)

            assert not ingest.search.indices.exists(index=ingest.indices.dead_letters)
            assert answer == [sequence_number(bad)]

        assert ingest.invoke(bad) == []
        assert [letter["reason"] for letter in ingest.dead_letters()] == ["not-json"]


def test_without_templates_an_invocation_without_records_is_done(ingest: IngestFunction) -> None:
    with without_templates(ingest, ingest.prefix):
        assert handler({"Records": []}, InvocationContext()) == {"batchItemFailures": []}


def test_a_warm_function_creates_no_new_days_index_when_the_template_is_gone(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([postgresql_event(logTime=DAY_ONE, pid=1)]))
    known = ingest.record([postgresql_event(logTime=DAY_ONE, pid=2)])
    new_day = ingest.record([postgresql_event(logTime=DAY_TWO, pid=3)])

    with without_templates(ingest, ingest.prefix):
        answer = ingest.invoke(known, new_day)

        assert answer == [sequence_number(new_day)]
        assert "daswatch setup" in ingest.log["cause"]
        assert not ingest.search.indices.exists(index=f"{ingest.prefix}-2031.03.05")

    assert ingest.invoke(new_day) == []
    assert {document["pid"] for document in ingest.documents()} == {1, 2, 3}


def test_a_new_days_index_has_our_mapping_and_settings(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([postgresql_event()]))

    name = f"{ingest.prefix}-2031.03.04"
    mapping = ingest.search.indices.get_mapping(index=name)[name]["mappings"]
    assert mapping["dynamic"] == "false"
    assert mapping["properties"]["engineNativeAuditFields"] == {"type": "flat_object"}


# Settings.


def test_missing_and_wrong_settings_are_named_together(ingest: IngestFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes before any record is read."""
    monkeypatch.delenv("OPENSEARCH_ENDPOINT")
    monkeypatch.delenv("DEAD_LETTER_BUCKET")
    ingest.configure(REDACT="everything", MAX_PLAINTEXT_BYTES="64 MB")

    with pytest.raises(SettingsError) as error:
        handler({"Records": [ingest.record([postgresql_event()])]}, InvocationContext())

    for name in ("OPENSEARCH_ENDPOINT", "DEAD_LETTER_BUCKET", "REDACT", "MAX_PLAINTEXT_BYTES"):
        assert name in str(error.value)
    assert "everything" not in str(error.value)


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": []}])
def test_an_invocation_without_records_is_done(ingest: IngestFunction, event: dict[str, Any]) -> None:
    assert handler(event, InvocationContext()) == {"batchItemFailures": []}


# Logs and metrics.

LOG_KEYS = {
    *("request_id", "records", "events", "written", "already_there", "dropped", "dead_letters", "heartbeats"),
    *("kms_calls", "kms_hits", "bulk_requests", "decrypt_ms", "flatten_ms", "index_ms", "total_ms"),
}
METRICS = {
    "Records": "Count",
    "Events": "Count",
    "DocumentsWritten": "Count",
    "DocumentsDuplicate": "Count",
    "DroppedHeartbeats": "Count",
    "DroppedAwsUsers": "Count",
    "DeadLetters": "Count",
    "DataKeyCacheHits": "Count",
    "DecryptDuration": "Milliseconds",
    "FlattenDuration": "Milliseconds",
    "IndexDuration": "Milliseconds",
    "TotalDuration": "Milliseconds",
    "NewestEventAge": "Milliseconds",
}


def test_log_line_carries_the_metrics(ingest: IngestFunction) -> None:
    known = ingest.record([postgresql_event(pid=1)])
    ingest.invoke(known)
    ingest.printed = ""

    ingest.invoke(
        known,
        ingest.record(
            [
                postgresql_event(pid=2),
                postgresql_event(dbUserName="rdsadmin", remoteHost="localhost"),
                {"type": "heartbeat"},
            ]
        ),
        ingest.delivered(b"no envelope"),
    )

    (line,) = (orjson.loads(line) for line in ingest.printed.splitlines())
    assert set(line) >= LOG_KEYS
    assert line["level"] == "INFO"
    counts = {name: line[name] for name in ("records", "events", "written", "already_there", "heartbeats")}
    assert counts == {"records": 3, "events": 4, "written": 1, "already_there": 1, "heartbeats": {"db-WRITER": 1}}
    assert line["dropped"] == {"heartbeat": 1, "aws-user": 1}
    assert line["dead_letters"] == {"not-json": 1}
    assert (line["kms_calls"], line["kms_hits"]) == (0, 2)

    (definition,) = line["_aws"]["CloudWatchMetrics"]
    assert definition["Namespace"] == "Daswatch"
    assert {metric["Name"]: metric["Unit"] for metric in definition["Metrics"]} == METRICS
    assert ingest.metrics["DocumentsWritten"] == 1
    assert ingest.metrics["DeadLetters"] == 1


def test_redelivery_is_logged_as_an_error(ingest: IngestFunction) -> None:
    records = [ingest.record([postgresql_event(pid=pid)]) for pid in range(2)]
    ingest.configure(OPENSEARCH_ENDPOINT="http://127.0.0.1:9")

    ingest.invoke(*records)

    assert ingest.log["level"] == "ERROR"
    assert ingest.log["retry_from"] == 0
    assert "OpenSearch" in ingest.log["cause"]
    assert ingest.metrics["RecordsToRetry"] == 2


def going_well(_: IngestFunction) -> None:
    pass


def without_opensearch(ingest: IngestFunction) -> None:
    ingest.configure(OPENSEARCH_ENDPOINT="http://127.0.0.1:9")


def without_kms(ingest: IngestFunction) -> None:
    ingest.configure(AWS_ENDPOINT_URL_KMS="http://127.0.0.1:9")


def without_bucket(ingest: IngestFunction) -> None:
    ingest.configure(DEAD_LETTER_BUCKET="no-such-bucket")


def with_a_closed_index(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([postgresql_event(pid=99)]))
    ingest.search.indices.close(index=f"{ingest.prefix}-2031.03.04")


def with_a_mapping_that_refuses(ingest: IngestFunction) -> None:
    """An index that was made by hand, and which takes no statement."""
    ingest.search.indices.create(
        index=f"{ingest.prefix}-2031.03.04",
        body={"mappings": {"properties": {"commandText": {"type": "long"}}}},
    )


@pytest.mark.parametrize(
    "prepare",
    [going_well, without_opensearch, without_kms, without_bucket, with_a_closed_index, with_a_mapping_that_refuses],
)
def test_no_sql_no_key_and_no_payload_is_ever_printed(
    ingest: IngestFunction, prepare: Callable[[IngestFunction], None]
) -> None:
    database = ingest.database()
    key = ingest.data_key(database)
    event = postgresql_event(commandText=f"select '{SECRET}'", paramList=[SECRET], novel=SECRET, errorMessage=SECRET)
    records = [
        ingest.record([event, event, {**event, "dbUserName": "rdsadmin", "remoteHost": "localhost"}], database),
        ingest.sealed({"type": SECRET}, database),
        ingest.delivered(f"no envelope: {SECRET}".encode(), database),
        {**ingest.delivered(b"", database), "kinesis": {"data": f"%{SECRET}"}},
    ]
    prepare(ingest)

    with everything_logged() as logged:
        ingest.invoke(*records)

    printed = ingest.printed + logged.getvalue()
    assert "request_id" in printed
    for what, text in forbidden(records, key.plaintext, key.wrapped):
        assert text not in printed, f"{what} was printed"


def forbidden(records: list[dict[str, Any]], plaintext: bytes, wrapped: bytes) -> Iterator[tuple[str, str]]:
    yield "payload or SQL", SECRET
    for name, key in (("the data key", plaintext), ("the wrapped data key", wrapped)):
        yield name, base64.b64encode(key).decode()
        yield name, repr(key)[2:-1]
        yield name, key.hex()
    for record in records:
        data = record["kinesis"]["data"]
        if len(data) > 40:
            yield "the record", data[:40]
    yield "the ciphertext", orjson.loads(base64.b64decode(records[0]["kinesis"]["data"]))["databaseActivityEvents"][:40]


def test_bad_records_log_only_our_own_line(ingest: IngestFunction) -> None:
    good = ingest.record([postgresql_event()])
    fields = orjson.loads(base64.b64decode(good["kinesis"]["data"]))
    ciphertext = base64.b64encode(base64.b64decode(fields["databaseActivityEvents"])[:-20]).decode()
    truncated = ingest.delivered(orjson.dumps({**fields, "databaseActivityEvents": ciphertext}))
    refused = ingest.delivered(orjson.dumps({**fields, "key": base64.b64encode(b"no key").decode()}))

    with everything_logged(logging.INFO) as logged:
        ingest.invoke(good, truncated, refused, ingest.delivered(b"no envelope"))

    assert logged.getvalue() == ""
    assert len(ingest.printed.splitlines()) == 1


def test_failing_service_is_named_without_its_text(ingest: IngestFunction) -> None:
    mapping = {"properties": {"commandText": {"type": "keyword"}}}  # takes statements, but not such a long one
    ingest.search.indices.create(index=f"{ingest.prefix}-2031.03.04", body={"mappings": mapping})

    assert ingest.invoke(ingest.record([postgresql_event(commandText=f"select '{SECRET}'" + "x" * 40_000)])) == []

    (letter,) = ingest.dead_letters()
    assert letter["reason"] == "document-refused"
    assert "exception" in letter["detail"]
    assert len(letter["documentIds"]) == 1
    assert SECRET not in orjson.dumps(letter).decode()


# Searching.


def test_a_search_under_ecs_names_finds(ingest: IngestFunction) -> None:
    expected = {
        ("user.name", "app_rw"): 1,
        ("user.name", "shop_rw"): 1,
        ("source.ip", "10.9.8.0/24"): 2,
        ("source.address", "10.9.8.7"): 2,
        ("event.outcome", "failure"): 1,
        ("event.action", "DDL"): 1,
        ("event.code", "QUERY"): 1,
        ("cloud.account.id", "123456789012"): 2,
        ("cloud.region", "eu-west-1"): 2,
        ("service.type", "mysql"): 1,
        ("host.name", "shop-node-1"): 1,
        ("user_agent.original", "psql"): 1,
    }

    ingest.invoke(ingest.record([postgresql_event(), mysql_event(commandText="drop table t_cart", exitCode="1051")]))

    assert {search: ingest.count({"term": dict([search])}) for search in expected} == expected


STATEMENT = "SELECT o.id, o.note FROM public.T_Orders o WHERE o.note LIKE '%Straße 1%' AND o.id=$1"


def test_a_statement_is_found_by_word_with_and_without_its_schema(ingest: IngestFunction) -> None:
    words = ("t_orders", "T_ORDERS", "public", "public.t_orders", "select", "straße", "id", "note from public")
    no_words = ("orders", "t_order", "t_ordersx", "note public", "id note")

    ingest.invoke(
        ingest.record([postgresql_event(commandText=text) for text in (STATEMENT, "update other_table set a = 1")])
    )

    found = {word: ingest.count({"match_phrase": {"commandText": word}}) for word in words + no_words}
    assert found == dict.fromkeys(words, 1) | dict.fromkeys(no_words, 0)


def test_a_statement_is_found_by_any_part_of_it(ingest: IngestFunction) -> None:
    parts = ("rder", "ORDERS O WHERE", "like '%str", "o.id=$1", "public.t_", "id, o.note", "%' and", "Straße 1%")
    no_parts = ("rdersx", "note public", "o.id =$1", "select  o", "select from")

    ingest.invoke(
        ingest.record([postgresql_event(commandText=text) for text in (STATEMENT, "update other_table set a = 1")])
    )

    found = {part: ingest.count({"match_phrase": {"commandText.substring": part}}) for part in parts + no_parts}
    assert found == dict.fromkeys(parts, 1) | dict.fromkeys(no_parts, 0)


def test_a_very_long_statement_is_found_by_its_last_word_and_part(ingest: IngestFunction) -> None:
    text = "select " + ", ".join(f"column_{number}" for number in range(60_000)) + " from last_table"
    ingest.invoke(ingest.record([postgresql_event(commandText=text)]))

    assert len(text) > 800_000
    assert ingest.count({"match_phrase": {"commandText": "last_table"}}) == 1
    assert ingest.count({"match_phrase": {"commandText.substring": "m last_ta"}}) == 1
    assert ingest.count({"match_phrase": {"commandText.substring": "column_31234, col"}}) == 1


def test_native_and_unknown_fields_are_found_by_their_path(ingest: IngestFunction) -> None:
    native = {"SCN": 7001002, "UNIFIED_AUDIT_POLICIES": "ALL_POL"}
    ingest.invoke(
        ingest.record([oracle_event(engineNativeAuditFields=native, novel={"deep": "x"})], ingest.database("oracle"))
    )

    assert ingest.count({"term": {"engineNativeAuditFields.UNIFIED_AUDIT_POLICIES": "ALL_POL"}}) == 1
    assert ingest.count({"term": {"engineNativeAuditFields.SCN": "7001002"}}) == 1
    assert ingest.count({"term": {"unknownFields.novel.deep": "x"}}) == 1


def test_durations_and_counts_are_numbers_to_a_search(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([postgresql_event(rowCount=12)]))

    assert ingest.count({"range": {"durationMs": {"gt": 3.5, "lt": 3.6}}}) == 1
    assert ingest.count({"range": {"rowCount": {"gte": 12}}}) == 1


# Identity and time.


def test_equal_events_of_one_record_are_all_kept(ingest: IngestFunction) -> None:
    """A second delivery adds none."""
    record = ingest.record([postgresql_event(), postgresql_event(), mysql_event(), postgresql_event()])
    ingest.invoke(record)
    first = {hit["_id"] for hit in ingest.hits()}

    ingest.cold_start()
    ingest.invoke(record)

    assert len(first) == 4
    assert {hit["_id"] for hit in ingest.hits()} == first
    assert (ingest.log["written"], ingest.log["already_there"]) == (0, 4)


def test_the_same_event_in_a_second_copy_of_the_stream_is_written_once(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([postgresql_event()]))

    ingest.invoke(ingest.record([mysql_event(), postgresql_event()]))

    assert len(ingest.documents()) == 2


def test_the_same_event_of_another_instance_or_database_is_another(ingest: IngestFunction) -> None:
    ingest.invoke(
        ingest.record([postgresql_event()]),
        ingest.record([postgresql_event()], instance_id="db-READER"),
        ingest.record([postgresql_event()], ingest.database(name="B")),
    )

    assert len(ingest.documents()) == 3


def test_the_index_is_named_by_the_events_own_day(ingest: IngestFunction) -> None:
    times = ["2031-03-04 23:59:59.999999+00", "2031-03-05 00:00:00+00", "2031-03-05 01:30:00+02", "2019-01-01 00:00:00"]

    ingest.invoke(ingest.record([postgresql_event(logTime=time) for time in times]))

    found = {hit["_source"]["logTime"]: hit["_index"] for hit in ingest.hits()}
    assert found == {
        times[0]: f"{ingest.prefix}-2031.03.04",
        times[1]: f"{ingest.prefix}-2031.03.05",
        times[2]: f"{ingest.prefix}-2031.03.04",
        times[3]: f"{ingest.prefix}-2019.01.01",
    }


def test_all_digits_of_a_time_count(ingest: IngestFunction) -> None:
    early, late = (sqlserver_event(logTime=f"2031-03-04 11:22:33.444555{digit}+00") for digit in (3, 7))

    ingest.invoke(ingest.record([late, early]))

    between = {"range": {"@timestamp": {"gt": "2031-03-04T11:22:33.4445554Z", "lt": "2031-03-04T11:22:33.4445558Z"}}}
    assert ingest.count(between) == 1


# The pulse.


def test_the_pulse_never_goes_backwards(ingest: IngestFunction) -> None:
    newer = arriving(ingest.record([postgresql_event(logTime="2031-03-04 12:00:00+00")]), 1_930_000_100)
    older = arriving(ingest.record([postgresql_event(logTime="2031-03-04 11:00:00+00")]), 1_930_000_000)
    silent = arriving(ingest.record([{"type": "heartbeat"}]), 1_930_000_050)

    for record in (newer, older, silent):
        ingest.invoke(record)

    pulse = ingest.pulses()["db-WRITER"]
    assert pulse["lastSeen"] == "2031-02-27T23:08:20.000Z"
    assert pulse["lastEvent"] == "2031-03-04T12:00:00.000Z"


def test_each_instance_has_its_own_pulse(ingest: IngestFunction) -> None:
    ingest.invoke(
        ingest.record([{"type": "heartbeat"}, {"type": "heartbeat"}]),
        ingest.record([{"type": "heartbeat"}], instance_id="db-READER"),
        ingest.record([postgresql_event()], instance_id="db-OTHER"),
    )

    assert set(ingest.pulses()) == {"db-WRITER", "db-READER", "db-OTHER"}
    assert ingest.log["heartbeats"] == {"db-WRITER": 2, "db-READER": 1}


def test_the_last_event_is_the_newest_however_many_digits_its_time_has(ingest: IngestFunction) -> None:
    ingest.invoke(
        ingest.record(
            [
                postgresql_event(logTime="2031-03-04 11:22:33+00"),
                postgresql_event(logTime="2031-03-04 11:22:33.9+00"),
                postgresql_event(logTime="2031-03-04 11:22:33.25+00"),
            ]
        )
    )

    assert ingest.pulses()["db-WRITER"]["lastEvent"] == "2031-03-04T11:22:33.900Z"


def test_events_of_awss_own_users_are_seen_but_are_no_event(ingest: IngestFunction) -> None:
    ingest.invoke(ingest.record([postgresql_event(dbUserName="rdsadmin", remoteHost="localhost")]))

    pulse = ingest.pulses()["db-WRITER"]
    assert "lastSeen" in pulse
    assert "lastEvent" not in pulse
