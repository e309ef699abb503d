"""The posture: one verdict with its reason for every state of a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daswatch.activity_streams.lifecycle import Eligibility, eligibility
from daswatch.fleet.audit import Heard, audited, history_of
from daswatch.fleet.database import Facts, FleetDatabase, Place, databases_of, document_of
from daswatch.fleet.inventory import Look
from daswatch.fleet.posture import Coverage, Verdict, coverage_by, judged
from tests.builders.fleet import PLACE, cluster, instance, raw_cluster, raw_instance

NOW = "2031-03-04T12:00:00.000Z"
RECENT, LATE, LATER = "2031-03-04T11:59:30.000Z", "2031-03-04T11:00:00.000Z", "2031-03-04T11:10:00.000Z"
HEARD = Facts(last_pulse=RECENT)


@pytest.mark.parametrize(
    ("database", "facts", "verdict", "reason"),
    [
        (cluster(), HEARD, "covered", "its activity stream is on, and its records arrive"),
        (cluster(ActivityStreamStatus="stopped"), Facts(), "off", "its activity stream is off"),
        (cluster(ActivityStreamStatus="stopping"), HEARD, "off", "its activity stream is stopping"),
        (cluster(ActivityStreamStatus="starting"), Facts(), "starting", "its activity stream is starting"),
        (
            instance(Engine="postgres", ActivityStreamStatus="stopped"),
            Facts(Eligibility(frozenset(), "runs postgres, which has no activity streams")),
            "not-eligible",
            "runs postgres, which has no activity streams",
        ),
        (
            cluster(ActivityStreamStatus="stopped"),
            Facts(unknown="AccessDenied"),
            "unknown",
            "its activity stream is off, and may be impossible: AccessDenied",
        ),
        (
            cluster(),
            replace(HEARD, key_state="PendingDeletion"),
            "key-unusable",
            "the key of its activity stream is pending deletion: nothing can be decrypted",
        ),
        (
            cluster(),
            replace(HEARD, key_state="Enabled"),
            "covered",
            "its activity stream is on, and its records arrive",
        ),
        (
            cluster(),
            Facts(last_pulse=None),
            "unknown",
            "its activity stream is on; without OPENSEARCH_ENDPOINT, arrivals are unknown",
        ),
        (cluster(), Facts(), "not-consumed", "its activity stream is on, and nothing of it has ever arrived"),
        (cluster(), Facts(last_pulse=LATE), "silent", "nothing of it has arrived for 60 minutes"),
        (cluster(), Facts(last_pulse=LATE, pulse_before=LATE), "silent", "nothing of it has arrived for 60 minutes"),
        (cluster(), Facts(last_pulse=LATER, pulse_before=LATE), "lagging", "its records arrive 50 minutes late"),
        (
            instance(Engine="sqlserver-ee", ActivityStreamPolicyStatus="unlocked"),
            HEARD,
            "policy-unlocked",
            "its audit policy is unlocked: what is audited can be changed",
        ),
        (
            instance(Engine="sqlserver-ee", ActivityStreamPolicyStatus="locked"),
            HEARD,
            "covered",
            "its activity stream is on, and its records arrive",
        ),
    ],
)
def test_verdict_names_its_reason(database: FleetDatabase, facts: Facts, verdict: str, reason: str) -> None:
    found = judged(document_of(database), facts, NOW)

    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("since", "verdict"), [("2031-03-04T11:50:00.000Z", "starting"), ("2031-03-04T11:00:00.000Z", "not-consumed")]
)
def test_new_stream_has_some_minutes_until_its_first_heartbeat(since: str, verdict: str) -> None:
    assert judged({**document_of(cluster()), "streamSince": since}, Facts(), NOW).verdict == verdict


@pytest.mark.parametrize(("mode", "verdict"), [("async", "asynchronous"), ("sync", "covered")])
def test_synchronous_mode_can_be_demanded(mode: str, verdict: str) -> None:
    document = document_of(cluster(ActivityStreamMode=mode))

    assert judged(document, HEARD, NOW, demands_sync=True).verdict == verdict
    assert judged(document, HEARD, NOW).verdict == "covered"


def tagged(**tags: str) -> FleetDatabase:
    names = {"why": "daswatch:exception", "until": "daswatch:exception-until"}
    pairs = [{"Key": names[name], "Value": value} for name, value in tags.items()]
    return cluster(ActivityStreamStatus="stopped", TagList=pairs)


@pytest.mark.parametrize(
    ("database", "verdict", "reason"),
    [
        (
            tagged(why="moves to Aurora in May", until="2031-05-31"),
            "excepted",
            "moves to Aurora in May (until 2031-05-31); its activity stream is off",
        ),
        (
            tagged(why="test data", until="2031-03-04"),
            "excepted",
            "test data (until 2031-03-04); its activity stream is off",
        ),
        (
            tagged(why="test data", until="2031-03-03"),
            "off",
            "its activity stream is off; its exception ended on 2031-03-03",
        ),
        (
            tagged(why="test data"),
            "off",
            "its activity stream is off; its exception has no end "
            "(expected: tag daswatch:exception-until, like 2031-12-31)",
        ),
        (
            tagged(why="test data", until="next year"),
            "off",
            "its activity stream is off; its exception has no end "
            "(expected: tag daswatch:exception-until, like 2031-12-31)",
        ),
        (tagged(until="2031-05-31"), "off", "its activity stream is off"),
    ],
)
def test_owner_can_except_a_database_for_a_time(database: FleetDatabase, verdict: str, reason: str) -> None:
    found = judged(document_of(database), Facts(), NOW)

    assert (found.verdict, found.reason) == (verdict, reason)


def test_exception_of_an_audited_database_is_not_needed() -> None:
    tags = [{"Key": "daswatch:exception", "Value": "old"}, {"Key": "daswatch:exception-until", "Value": "2031-05-31"}]

    assert judged(document_of(cluster(TagList=tags)), HEARD, NOW).verdict == "covered"


def test_coverage_counts_what_a_stream_is_expected_of() -> None:
    counts: dict[str, int] = {
        Verdict.COVERED: 3,
        Verdict.OFF: 1,
        Verdict.NOT_ELIGIBLE: 5,
        Verdict.EXCEPTED: 2,
        Verdict.UNKNOWN: 2,
    }

    found = Coverage(counts)

    assert (found.covered, found.expected, found.percent) == (3, 6, 50.0)
    assert Coverage({Verdict.NOT_ELIGIBLE: 1}).percent == 100.0


def test_coverage_by_tag_has_those_without_it() -> None:
    documents: list[dict[str, object]] = [
        {"verdict": "covered", "tags": {"env": "prod"}},
        {"verdict": "off", "tags": {"env": "prod"}},
        {"verdict": "covered"},
    ]

    found = coverage_by(documents, "tags.env")

    assert {value: one.percent for value, one in found.items()} == {"": 100.0, "prod": 50.0}


OTHER = Place("210987654321", "us-east-1")


def test_audit_judges_what_it_saw_and_says_of_what_it_did_not() -> None:
    on, off, elsewhere = cluster("orders"), cluster("stock", ActivityStreamStatus="stopped"), cluster(place=OTHER)
    heard = {on.rds.resource_id: Heard(RECENT, LATE)}
    first = audited({}, [Look(PLACE, (on, off)), Look(OTHER, (elsewhere,))], heard, LATER)

    audit = audited(first.documents, [Look(PLACE, (on, off)), Look(OTHER, failure="AccessDenied")], heard, NOW)

    verdicts = {one["databaseIdentifier"] + one["awsRegion"]: one["verdict"] for one in audit.present}
    assert verdicts == {"orderseu-west-1": "covered", "stockeu-west-1": "off", "ordersus-east-1": "unknown"}
    assert audit.changed == {on.id, off.id}
    document = audit.documents[on.id]
    assert (document["lastPulse"], document["lastEvent"], document["verdictSince"]) == (RECENT, LATE, LATER)
    assert audit.documents[elsewhere.id]["verdictReason"] == "it could not be looked at: AccessDenied"


def test_account_that_cannot_be_looked_at_is_the_reason_for_all_its_regions() -> None:
    elsewhere = cluster(place=OTHER)
    known = audited({}, [Look(OTHER, (elsewhere,))], {}, LATER).documents

    audit = audited(known, [Look(Place(OTHER.account_id, ""), failure="no role")], {}, NOW)

    assert audit.documents[elsewhere.id]["verdictReason"] == "it could not be looked at: no role"


def test_verdict_has_its_time_since_when_it_changed() -> None:
    known = audited({}, [Look(PLACE, (cluster(DbClusterResourceId="cluster-A"),))], {}, LATER).documents
    stopped = cluster(DbClusterResourceId="cluster-A", ActivityStreamStatus="stopped")

    (document,) = audited(known, [Look(PLACE, (stopped,))], {}, NOW).documents.values()

    assert (document["verdict"], document["verdictSince"]) == ("off", NOW)


def test_history_has_the_verdict_on_each_database() -> None:
    gone = instance(DbiResourceId="db-GONE", DBInstanceIdentifier="gone")
    known = audited({}, [Look(PLACE, (gone,))], {}, LATER).documents
    databases = (cluster("a", DbClusterResourceId="cluster-A", ActivityStreamStatus="stopped"), instance("b"))
    audit = audited(known, [Look(PLACE, databases)], {}, NOW)

    place = {"awsAccountId": "123456789012", "awsRegion": "eu-west-1"}
    assert list(history_of(audit).values()) == [
        {
            "@timestamp": NOW,
            **place,
            "databaseIdentifier": "a",
            "resourceId": "cluster-A",
            "engine": "postgresql",
            "verdict": "off",
        },
        {
            "@timestamp": NOW,
            **place,
            "databaseIdentifier": "b",
            "resourceId": databases[1].rds.resource_id,
            "engine": "oracle",
            "verdict": "starting",
        },
    ]
    assert f"{NOW}/123456789012/eu-west-1/cluster-A" in history_of(audit)


# What other tools' checks of RDS are tried on: plain instances and clusters, without a word about activity streams.
@pytest.mark.parametrize(
    ("clusters", "instances", "verdicts"),
    [
        (
            [],
            [{"DBInstanceIdentifier": "db-master-1", "Engine": "postgres", "StorageEncrypted": True}],
            ["not-eligible"],
        ),
        ([], [{"DBInstanceIdentifier": "db-master-1", "Engine": "aurora-postgresql", "DBClusterIdentifier": "c"}], []),
        ([], [{"DBInstanceIdentifier": "db-primary", "Engine": "mysql", "MultiAZ": True}], ["not-eligible"]),
        ([{"DBClusterIdentifier": "db-cluster-1", "Engine": "postgres"}], [], ["not-eligible"]),
        ([{"DBClusterIdentifier": "aurora-1", "Engine": "aurora-postgresql"}], [], ["not-eligible"]),  # no instance
        (
            [{"DBClusterIdentifier": "serverless", "Engine": "aurora-mysql", "EngineMode": "serverless"}],
            [],
            ["not-eligible"],
        ),
        ([{"DBClusterIdentifier": "docdb-1", "Engine": "docdb"}], [], []),
        ([], [{"DBInstanceIdentifier": "ora", "Engine": "oracle-ee"}], ["off"]),
        ([], [{"DBInstanceIdentifier": "ora", "Engine": "oracle-ee-cdb"}], ["not-eligible"]),
        (
            [],
            [{"DBInstanceIdentifier": "r", "Engine": "oracle-ee", "ReadReplicaSourceDBInstanceIdentifier": "ora"}],
            ["not-eligible"],
        ),
        ([], [{"DBInstanceIdentifier": "sql", "Engine": "sqlserver-ee", "DeletionProtection": False}], ["off"]),
    ],
)
def test_databases_that_say_nothing_of_streams_are_judged_too(
    clusters: list[dict[str, Any]], instances: list[dict[str, Any]], verdicts: list[str]
) -> None:
    silent = {"ActivityStreamStatus": None, "ActivityStreamMode": "", "ActivityStreamKmsKeyId": ""}
    found = databases_of(
        [raw_cluster(one["DBClusterIdentifier"], **{**silent, **one}) for one in clusters],  # type: ignore[misc]
        [raw_instance(one["DBInstanceIdentifier"], **{**silent, **one}) for one in instances],  # type: ignore[misc]
    )
    facts = [Facts(eligibility(one.rds, dict.fromkeys(one.rds.instance_classes))) for one in found]

    assert [judged(document_of(one), own, NOW).verdict for one, own in zip(found, facts, strict=True)] == verdicts


OFF: dict[str, Any] = {"ActivityStreamStatus": "stopped", "ActivityStreamMode": "", "ActivityStreamKmsKeyId": ""}
NO_STREAMS = (
    "which has no activity streams: only Aurora PostgreSQL, Aurora MySQL, RDS for Oracle and RDS for SQL Server "
    "have them"
)


@pytest.mark.parametrize(
    ("clusters", "instances", "verdict", "reason"),
    [
        (
            [raw_cluster("alone", **OFF, DBClusterMembers=[])],
            [],
            "not-eligible",
            "has no instance: add one first, a stream starts on instances only",
        ),
        (
            [raw_cluster("three", **OFF, Engine="mysql", EngineVersion="8.0.35", MultiAZ=True)],
            [raw_instance("three-1", **OFF, DBClusterIdentifier="three", Engine="mysql")],
            "not-eligible",
            f"runs mysql, {NO_STREAMS}",
        ),
        (
            [raw_cluster("three", **OFF, Engine="postgres", EngineVersion="16.3", MultiAZ=True)],
            [raw_instance("three-1", **OFF, DBClusterIdentifier="three", Engine="postgres")],
            "not-eligible",
            f"runs postgres, {NO_STREAMS}",
        ),
        (
            [],
            [raw_instance("custom", **OFF, Engine="custom-oracle-ee", EngineVersion="19.cev1")],
            "not-eligible",
            f"runs custom-oracle-ee, {NO_STREAMS}",
        ),
        (
            [],
            [raw_instance("custom", **OFF, Engine="custom-sqlserver-se", EngineVersion="15.00.4249.2.cev1")],
            "not-eligible",
            f"runs custom-sqlserver-se, {NO_STREAMS}",
        ),
        (
            [raw_cluster("rests", **OFF, Status="stopped")],
            [raw_instance("rests-1", **OFF, DBClusterIdentifier="rests", DBInstanceStatus="stopped")],
            "off",
            "its activity stream is off; the database is stopped: start the database first",
        ),
        (
            [],
            [raw_instance("broken", **OFF, DBInstanceStatus="failed")],
            "off",
            "its activity stream is off; the database has failed",
        ),
        (
            [],
            [raw_instance("new", **OFF, DBInstanceStatus="creating")],
            "off",
            "its activity stream is off",
        ),
        (
            [raw_cluster("rests", Status="stopped")],
            [raw_instance("rests-1", DBClusterIdentifier="rests", DBInstanceStatus="stopped")],
            "silent",
            "nothing of it has arrived for 60 minutes; the database is stopped: start the database first",
        ),
        (
            [raw_cluster("members", **OFF)],
            [
                raw_instance("members-1", **OFF, DBClusterIdentifier="members", Engine="aurora-postgresql"),
                raw_instance("members-2", **OFF, DBClusterIdentifier="members", Engine="aurora-postgresql"),
            ],
            "off",
            "its activity stream is off",
        ),
    ],
)
def test_shape_has_its_verdict_and_reason(
    clusters: list[dict[str, Any]], instances: list[dict[str, Any]], verdict: str, reason: str
) -> None:
    (found,) = databases_of(clusters, instances)  # type: ignore[arg-type]
    modes = dict.fromkeys(found.rds.instance_classes, frozenset({"async"}))
    facts = Facts(eligibility(found.rds, modes), last_pulse=LATE)

    judgement = judged(document_of(found), facts, NOW)

    assert (judgement.verdict, judgement.reason) == (verdict, reason)


def test_other_services_of_rds_are_not_counted() -> None:
    """DescribeDBClusters and DescribeDBInstances also return Neptune and DocumentDB."""
    clusters = [raw_cluster(engine, **OFF, Engine=engine) for engine in ("neptune", "docdb")]
    instances = [
        raw_instance(f"{engine}-1", **OFF, Engine=engine, DBClusterIdentifier=engine) for engine in ("neptune", "docdb")
    ]

    assert databases_of(clusters, instances) == []  # type: ignore[arg-type]
    assert databases_of([], instances) == []  # type: ignore[arg-type]


def test_cluster_deleted_between_two_calls_leaves_nothing() -> None:
    """Its instances are still described, and are not databases of their own."""
    member = raw_instance("orders-1", DBClusterIdentifier="orders", Engine="aurora-postgresql")

    assert databases_of([], [member]) == []  # type: ignore[list-item]


def test_tags_without_value_and_of_members_are_not_the_databases() -> None:
    member = raw_instance("orders-1", DBClusterIdentifier="orders", TagList=[{"Key": "env", "Value": "test"}])
    raw = raw_cluster("orders", TagList=[{"Key": "env", "Value": "prod"}, {"Key": "bare"}])

    (found,) = databases_of([raw], [member])  # type: ignore[list-item]

    assert document_of(found)["tags"] == {"env": "prod", "bare": ""}
