"""Decisions about activity streams: what happens next, from what RDS describes, with a reason that says what to do."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from daswatch.activity_streams.lifecycle import (
    ActivityStream,
    Asked,
    DatabaseKind,
    DatabaseName,
    Decision,
    Eligibility,
    Mode,
    NextStep,
    RdsDatabase,
    Status,
    WantedMode,
    WantedStream,
    chosen_mode,
    cluster,
    decide_start,
    decide_stop,
    differences,
    eligibility,
    how_to_change,
    instance,
    key_arn,
    obstacle,
    pauses,
    read_name,
    seen,
)
from daswatch.errors import StreamRefused

if TYPE_CHECKING:
    from types_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef

ARN = "arn:aws:rds:eu-west-1:123456789012:cluster:orders"
KEY_ID = "11111111-2222-4333-8444-555555555555"
KEY_ARN = f"arn:aws:kms:eu-west-1:123456789012:key/{KEY_ID}"
BOTH = frozenset({Mode.SYNC, Mode.ASYNC})
POSTGRESQL = RdsDatabase(
    name=DatabaseName(DatabaseKind.CLUSTER, "orders", "eu-west-1", "123456789012"),
    arn=ARN,
    resource_id="cluster-A",
    engine="aurora-postgresql",
    engine_version="16.4",
    status="available",
    stream=ActivityStream(),
    instance_classes=frozenset({"db.r6g.large"}),
)
ORACLE = replace(
    POSTGRESQL,
    name=DatabaseName(DatabaseKind.INSTANCE, "ledger"),
    arn="arn:aws:rds:eu-west-1:123456789012:db:ledger",
    resource_id="db-A",
    engine="oracle-ee",
)
WANTED = WantedStream("alias/das")
STARTED = ActivityStream(Status.STARTED, "async", KEY_ARN, "aws-rds-das-cluster-A")


def with_status(status: Status, database: RdsDatabase = POSTGRESQL) -> RdsDatabase:
    return replace(database, stream=replace(STARTED, status=status))


@pytest.mark.parametrize(
    ("text", "kind", "identifier"),
    [
        ("cluster:orders", DatabaseKind.CLUSTER, "orders"),
        (" db:Ledger-1 ", DatabaseKind.INSTANCE, "ledger-1"),
        (ARN, DatabaseKind.CLUSTER, "orders"),
        ("arn:aws-us-gov:rds:us-gov-west-1:123456789012:db:x", DatabaseKind.INSTANCE, "x"),
        ("cluster:" + "a" * 63, DatabaseKind.CLUSTER, "a" * 63),
    ],
)
def test_a_database_is_named_by_kind_and_identifier_or_arn(text: str, kind: DatabaseKind, identifier: str) -> None:
    name = read_name(text)

    assert (name.kind, name.identifier) == (kind, identifier)
    assert bool(name.region) == text.strip().startswith("arn:")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "orders",
        "cluster:",
        "cluster:1orders",
        "cluster:a--b",
        "cluster:a-",
        "db:a b",
        "cluster:" + "a" * 64,
        "arn:aws:rds:eu-west-1:123456789012:snapshot:orders",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
        "cluster-ABC",
    ],
)
def test_what_names_no_database_is_refused(text: str) -> None:
    with pytest.raises(StreamRefused, match=r"expected: cluster:orders, db:ledger, or an ARN"):
        read_name(text)


def test_a_cluster_is_read_with_its_own_instances_only() -> None:
    raw: DBClusterTypeDef = {
        "DBClusterIdentifier": "orders",
        "DBClusterArn": ARN,
        "DbClusterResourceId": "cluster-A",
        "Engine": "aurora-postgresql",
        "EngineVersion": "16.4",
        "Status": "available",
        "ActivityStreamStatus": "started",
        "ActivityStreamMode": "async",
        "ActivityStreamKmsKeyId": KEY_ARN,
        "ActivityStreamKinesisStreamName": "aws-rds-das-cluster-A",
    }
    members: list[DBInstanceTypeDef] = [
        {"DBClusterIdentifier": "orders", "DBInstanceClass": "db.r6g.large"},
        {"DBClusterIdentifier": "others", "DBInstanceClass": "db.t3.medium"},
    ]

    database = cluster(raw, members)

    assert database == replace(POSTGRESQL, stream=STARTED)
    assert database.kinesis_stream_arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-A"
    assert POSTGRESQL.kinesis_stream_arn == ""


def test_instance_names_what_keeps_it_from_a_stream() -> None:
    raw: DBInstanceTypeDef = {
        "DBInstanceIdentifier": "ledger",
        "DBInstanceArn": ORACLE.arn,
        "DbiResourceId": "db-A",
        "Engine": "oracle-ee-cdb",
        "DBInstanceClass": "db.m5.large",
        "ReadReplicaSourceDBInstanceIdentifier": "main",
    }

    database = instance(raw)

    assert database.stream.status is Status.STOPPED
    assert "name its source, main, instead" in obstacle(database)
    assert "multitenant" in obstacle(replace(database, replica_of=""))


def test_a_cluster_can_do_what_all_its_instances_can() -> None:
    database = replace(POSTGRESQL, instance_classes=frozenset({"db.a", "db.b", "db.c"}))

    assert eligibility(database, {"db.a": BOTH, "db.b": frozenset({"async"}), "db.c": None}) == Eligibility(
        frozenset({Mode.ASYNC})
    )
    assert eligibility(database, {"db.a": BOTH, "db.b": frozenset()}) == Eligibility(
        frozenset(), "cannot have an activity stream: RDS offers none for aurora-postgresql 16.4 on db.b"
    )


def test_classes_that_rds_does_not_list_are_left_to_rds() -> None:
    assert eligibility(POSTGRESQL, {"db.r6g.large": None}) == Eligibility(None)
    assert decide_start(WANTED, POSTGRESQL, Eligibility(None)).step is NextStep.START


def test_aurora_serverless_v1_is_no_cluster_without_instances() -> None:
    assert "engine mode serverless" in obstacle(
        replace(POSTGRESQL, engine_mode="serverless", instance_classes=frozenset())
    )
    assert "has no instance" in obstacle(replace(POSTGRESQL, instance_classes=frozenset()))


@pytest.mark.parametrize(
    ("wanted", "allowed", "mode"),
    [
        (WantedMode.AUTO, BOTH, Mode.ASYNC),
        (WantedMode.AUTO, frozenset({Mode.SYNC}), Mode.SYNC),
        (WantedMode.AUTO, frozenset(), None),
        (WantedMode.AUTO, None, Mode.ASYNC),
        (WantedMode.SYNC, BOTH, Mode.SYNC),
        (WantedMode.SYNC, frozenset({Mode.ASYNC}), None),
        (WantedMode.SYNC, None, Mode.SYNC),
        (WantedMode.ASYNC, BOTH, Mode.ASYNC),
    ],
)
def test_a_session_waits_for_the_stream_only_where_requested(
    wanted: WantedMode, allowed: frozenset[Mode] | None, mode: Mode | None
) -> None:
    assert chosen_mode(wanted, allowed) == mode


@pytest.mark.parametrize(
    ("status", "asked", "start", "stop"),
    [
        (Status.STOPPED, Asked.NOT_YET, NextStep.START, NextStep.DONE),
        (Status.STOPPED, Asked.AGREED, NextStep.WAIT, NextStep.DONE),
        (Status.STOPPED, Asked.UNDER_WAY, NextStep.REFUSE, NextStep.DONE),
        (Status.STARTING, Asked.NOT_YET, NextStep.WAIT, NextStep.WAIT),
        (Status.STARTING, Asked.UNDER_WAY, NextStep.WAIT, NextStep.WAIT),
        (Status.STARTED, Asked.NOT_YET, NextStep.DONE, NextStep.STOP),
        (Status.STARTED, Asked.AGREED, NextStep.DONE, NextStep.WAIT),
        (Status.STARTED, Asked.UNDER_WAY, NextStep.DONE, NextStep.REFUSE),
        (Status.STOPPING, Asked.NOT_YET, NextStep.WAIT, NextStep.WAIT),
    ],
)
def test_next_step_follows_from_status_and_request(
    status: Status, asked: Asked, start: NextStep, stop: NextStep
) -> None:
    database = with_status(status)

    assert decide_start(WANTED, database, Eligibility(BOTH), asked).step is start
    assert decide_stop(database, asked).step is stop


@pytest.mark.parametrize("status", ["stopped", "deleting", "failed", "storage-full", "incompatible-network"])
def test_a_database_at_rest_is_not_waited_for(status: str) -> None:
    decision = decide_start(WANTED, replace(POSTGRESQL, status=status), Eligibility(BOTH))

    assert decision.step is NextStep.REFUSE
    assert decision.reason.startswith("cluster:orders ")


@pytest.mark.parametrize("status", ["creating", "modifying", "backing-up", "upgrading", ""])
def test_a_database_that_is_worked_on_is_waited_for(status: str) -> None:
    assert decide_start(WANTED, replace(POSTGRESQL, status=status), Eligibility(BOTH)).step is NextStep.WAIT


def test_running_stream_is_accepted_for_any_database() -> None:
    database = replace(with_status(Status.STARTED), status="stopped", engine_version="0")

    assert decide_start(WANTED, database, Eligibility(frozenset(), "any")) == Decision(
        NextStep.DONE, "the activity stream is started"
    )


def test_only_a_second_look_shows_a_change_under_way() -> None:
    assert seen(Asked.NOT_YET, Status.STARTING) is Asked.NOT_YET
    assert seen(Asked.AGREED, Status.STOPPED) is Asked.AGREED
    assert seen(Asked.AGREED, Status.STARTING) is Asked.UNDER_WAY
    assert seen(Asked.UNDER_WAY, Status.STOPPED) is Asked.UNDER_WAY


def test_differences_are_named_by_subject() -> None:
    wanted = WantedStream("alias/das", WantedMode.SYNC, native_fields=True)

    found = differences(wanted, "arn:other", replace(ORACLE, stream=STARTED), KEY_ARN)
    assert set(found) == {"key", "mode", "native fields"}
    assert set(differences(wanted, KEY_ARN, replace(POSTGRESQL, stream=STARTED), KEY_ARN)) == {"mode"}
    automatic = WantedStream("alias/das", WantedMode.AUTO)
    assert differences(automatic, KEY_ARN, replace(POSTGRESQL, stream=STARTED), KEY_ARN) == {}
    assert "`daswatch stream stop db:ledger`" in how_to_change(ORACLE.name, found.values())


def test_keys_are_compared_by_arn_and_only_aliases_need_kms() -> None:
    for key in (KEY_ARN, KEY_ID):
        assert key_arn(key, POSTGRESQL) == KEY_ARN
    assert key_arn("mrk-" + "0" * 32, POSTGRESQL).endswith("key/mrk-" + "0" * 32)
    for alias in ("alias/das", "arn:aws:kms:eu-west-1:123456789012:alias/das"):
        assert key_arn(alias, POSTGRESQL) == ""


def test_pauses_grow_up_to_a_limit() -> None:
    shown = list(islice(pauses(), 20))

    assert shown == sorted(shown)
    assert (shown[0], shown[-1]) == (2, 20)
