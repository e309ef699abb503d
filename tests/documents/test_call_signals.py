"""What a call of AWS's API does: the signals of its document, whatever services write."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.detections.detection import Source
from daswatch.detections.samples import base_events, documents, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.documents.call_signals import CALL_SIGNALS, Call, call_signals, recipient
from daswatch.documents.control_plane import document
from daswatch.documents.document import Flattening

OWN, OTHER = "123456789012", "210987654321"
RESPONSE = {"backupRetentionPeriod": 14, "publiclyAccessible": True}
PUBLIC = {"cidrIp": "0.0.0.0/0"}


def signals(name: str, request: Any, response: Any = None, error: str = "") -> tuple[str, ...]:
    return call_signals(Call(name, OWN, "eu-west-1", request, response or {}, error))


def arn(kind: str, account: str = OWN, region: str = "eu-west-1") -> str:
    return f"arn:aws:rds:{region}:{account}:{kind}"


def ingress(**entry: Any) -> dict[str, Any]:
    return {"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp", **entry}]}}


@pytest.mark.parametrize(
    ("name", "request_", "expected"),
    [
        ("ModifyDBSnapshotAttribute", {"valuesToAdd": ["all", OTHER]}, ("snapshot-public", "snapshot-shared")),
        ("ModifyDBSnapshotAttribute", {"ValuesToAdd": ["ALL"]}, ("snapshot-public",)),
        ("ModifyDBSnapshotAttribute", {"valuesToAdd": []}, ()),
        ("ModifyDBSnapshotAttribute", {"valuesToRemove": ["all"]}, ()),
        ("CopyDBSnapshot", {"kmsKeyId": "alias/own", "sourceDBSnapshotIdentifier": "s"}, ()),
        (
            "CopyDBSnapshot",
            {"sourceDBSnapshotIdentifier": arn("snapshot:s", region="us-east-1")},
            ("copied-elsewhere",),
        ),
        ("CopyDBSnapshot", {"sourceDBSnapshotIdentifier": arn("snapshot:s", account=OTHER)}, ("copied-elsewhere",)),
        ("CreateDBCluster", {"globalClusterIdentifier": "g", "publiclyAccessible": False}, ("copied-elsewhere",)),
        ("CreateDBCluster", {"globalClusterIdentifier": "g", "masterUsername": "a", "publiclyAccessible": False}, ()),
        ("ModifyDBInstance", {"publiclyAccessible": "true"}, ("public-access",)),
        ("ModifyDBInstance", {"publiclyAccessible": False}, ()),
        ("ModifyDBInstance", {"dBInstanceClass": "db.r6i.large"}, ()),
        ("CreateDBInstance", {"dBInstanceIdentifier": "x"}, ("public-access",)),  # by the answer
        ("ModifyDBInstance", {"backupRetentionPeriod": 14}, ()),
        ("ModifyDBInstance", {"backupRetentionPeriod": "7"}, ("retention-lowered",)),
        ("ModifyDBInstance", {"backupRetentionPeriod": 21}, ()),
        ("ModifyDBInstance", {"backupRetentionPeriod": 0}, ("backups-off",)),
        ("ModifyDBInstance", {"deletionProtection": "false"}, ("deletion-protection-off",)),
        ("ModifyDBCluster", {"enableHttpEndpoint": False}, ()),
        ("ModifyDBProxy", {"requireTLS": False}, ("tls-optional",)),
        ("StopDBInstance", {"dBInstanceIdentifier": "x"}, ()),
        ("DeleteDBInstance", {}, ("deleted-without-snapshot",)),
        ("DeleteDBInstance", {"finalDBSnapshotIdentifier": "f"}, ()),
    ],
)
def test_signals_of_a_call(name: str, request_: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert signals(name, request_, RESPONSE) == expected


@pytest.mark.parametrize(
    ("old", "new", "lowered"),
    [(None, 3, True), (None, 7, False), (3, 3, True), (14, 14, False), (1, 3, False), (35, 30, True)],
)
def test_retention_is_compared_with_what_it_was(old: int | None, new: int, lowered: bool) -> None:
    found = signals("ModifyDBCluster", {"backupRetentionPeriod": new}, {"backupRetentionPeriod": old})

    assert ("retention-lowered" in found) is lowered


@pytest.mark.parametrize(
    ("request_", "is_open"),
    [
        (ingress(fromPort=5432, toPort=5432, ipRanges={"items": [PUBLIC]}), True),
        (ingress(fromPort=5432, toPort=5432, ipRanges={"items": [{"cidrIp": "198.51.100.0/24"}, PUBLIC]}), True),
        (ingress(fromPort=1000, toPort=2000, ipRanges={"items": [PUBLIC]}), True),
        (ingress(ipProtocol="-1", ipRanges={"items": [PUBLIC]}), True),
        (ingress(ipProtocol="icmp", ipRanges={"items": [PUBLIC]}), False),
        (ingress(fromPort=3306, toPort=3306, ipv6Ranges={"items": [{"cidrIpv6": "2000::/3"}]}), True),
        (ingress(fromPort=443, toPort=443, ipRanges={"items": [PUBLIC]}), False),
        (ingress(fromPort=5432, toPort=5432, groups={"items": [{"groupId": "sg-2"}]}), False),
        (ingress(fromPort=5432, toPort=5432, ipRanges={"items": [{"cidrIp": "not a network/0"}]}), False),
        ({"groupId": "sg-1", "ipPermissions": {}}, False),
        ({"groupId": "sg-1", "cidrIp": "0.0.0.0/0", "fromPort": 1521, "toPort": 1521, "ipProtocol": "tcp"}, True),
    ],
)
def test_security_group_open_to_the_internet(request_: dict[str, Any], is_open: bool) -> None:
    assert bool(signals("AuthorizeSecurityGroupIngress", request_)) is is_open


@pytest.mark.parametrize(
    ("name", "value", "off"),
    [
        ("pgaudit.log", "none", True),
        ("pgaudit.log", "-all", True),
        ("pgaudit.log", "all,-misc", False),
        ("pgaudit.log", "ddl", False),
        ("Log_Statement", " NONE ", True),
        ("server_audit_events", None, True),
        ("server_audit_events", "CONNECT,QUERY", False),
        ("server_audit_excl_users", "", False),
        ("log_min_messages", "panic", True),
        ("max_connections", "0", False),
    ],
)
def test_parameter_that_switches_audit_off(name: str, value: str | None, off: bool) -> None:
    parameters = [
        {"parameterName": "work_mem", "parameterValue": "1"},
        {"parameterName": name, "parameterValue": value},
    ]

    found = signals("ModifyDBClusterParameterGroup", {"parameters": parameters})

    assert found == (("audit-parameter-off",) if off else ())


def test_deletion_of_what_is_no_copy_of_its_own_is_none() -> None:
    reader, replica = {"dBClusterIdentifier": "shop"}, {"readReplicaSourceDBInstanceIdentifier": "ledger"}

    assert not signals("DeleteDBInstance", {"skipFinalSnapshot": True}, reader)
    assert not signals("DeleteDBInstance", {"skipFinalSnapshot": True}, replica)
    assert signals("DeleteDBCluster", {"skipFinalSnapshot": True}, reader) == ("deleted-without-snapshot",)


@pytest.mark.parametrize(
    ("made", "is_new"),
    [
        ("Mar 4, 2031 9:00:00 AM", True),
        ("Mar 4, 2031 9:00:00\u202fAM", True),
        ("2031-03-03T13:00:00.123Z", True),
        ("Mar 3, 2031 11:59:59 AM", False),
        ("Mar 4, 2031 1:00:00 PM", False),  # after the call: another clock's word
        ("Feb 30, 2031 1:00:00 PM", False),
        (None, False),
    ],
)
def test_new_database_is_known_by_the_answer(made: str | None, is_new: bool) -> None:
    at, request_ = "2031-03-04T12:00:00.000Z", {"skipFinalSnapshot": True}
    instance = Call("DeleteDBInstance", OWN, "eu-west-1", request_, {"instanceCreateTime": made}, at=at)
    cluster = Call("DeleteDBCluster", OWN, "eu-west-1", request_, {"clusterCreateTime": made}, at=at)

    expected = ("new-database-deleted",) if is_new else ("deleted-without-snapshot",)
    assert call_signals(instance) == call_signals(cluster) == expected


TARGET, OUTSIDE = "replication-target", "replication-target-outside"


def endpoint(**fields: Any) -> dict[str, Any]:
    return {"endpointType": "target", "engineName": "postgres", **fields}


@pytest.mark.parametrize(
    ("request_", "to", "outside"),
    [
        (endpoint(serverName="198.51.100.23"), "198.51.100.23", True),
        (endpoint(serverName="2001:db8::7"), "2001:db8::7", True),
        (endpoint(serverName="10.1.2.3"), "10.1.2.3", False),
        (endpoint(serverName="fd00::7"), "fd00::7", False),
        (endpoint(serverName="ledger"), "ledger", False),
        (endpoint(serverName="Db.Prod.example.com"), "db.prod.example.com", False),
        (endpoint(serverName="x.c1a2.eu-west-1.rds.amazonaws.com"), "x.c1a2.eu-west-1.rds.amazonaws.com", False),
        (
            endpoint(serverName="ec2-198-51-100-23.eu-west-1.compute.amazonaws.com"),
            "ec2-198-51-100-23.eu-west-1.compute.amazonaws.com",
            True,
        ),
        (endpoint(microsoftSQLServerSettings={"serverName": "x.database.windows.net,1433"}), None, True),
        (endpoint(serverName="198.51.100.23\\SQLEXPRESS"), "198.51.100.23", True),
        (
            endpoint(kafkaSettings={"broker": "b-2.k.kafka.eu-west-1.amazonaws.com:9092,b-1.k:9092"}),
            "b-1.k,b-2.k.kafka.eu-west-1.amazonaws.com",
            False,
        ),
        (endpoint(kafkaSettings={"broker": "10.0.0.1:9092,198.51.100.1:9092"}), "10.0.0.1,198.51.100.1", True),
        (
            endpoint(elasticsearchSettings={"endpointUri": "https://x.eu-west-1.es.amazonaws.com:443/"}),
            "x.eu-west-1.es.amazonaws.com",
            False,
        ),
        (endpoint(engineName="s3", s3Settings={"bucketName": "drop"}), "drop", True),
        (endpoint(engineName="s3", extraConnectionAttributes="bucketFolder=x; bucketName=drop;"), "drop", True),
        (endpoint(redshiftSettings={"bucketName": "way", "serverName": "w.redshift.amazonaws.com"}), None, False),
        (endpoint(kinesisSettings={"streamArn": f"arn:aws:kinesis:eu-west-1:{OTHER}:stream/s"}), None, True),
        (endpoint(kinesisSettings={"streamArn": f"arn:aws:kinesis:eu-west-1:{OWN}:stream/s"}), None, False),
        (endpoint(oracleSettings={"secretsManagerSecretId": "target"}), "target", False),
        (endpoint(engineName="dynamodb"), "dynamodb", False),
    ],
)
def test_target_of_a_replication(request_: dict[str, Any], to: str | None, outside: bool) -> None:
    call = Call("CreateEndpoint", OWN, "eu-west-1", request_, {})
    source = Call("CreateEndpoint", OWN, "eu-west-1", {**request_, "endpointType": "SOURCE"}, {})

    assert call_signals(call) == ((TARGET, OUTSIDE) if outside else (TARGET,))
    assert to in (recipient(call), None)
    assert not call_signals(source)
    assert not recipient(source)


@pytest.mark.parametrize(
    ("request_", "kind", "expected"),
    [
        ({"serverName": "198.51.100.23"}, "TARGET", (TARGET, OUTSIDE)),
        ({"serverName": "198.51.100.23"}, "SOURCE", ()),
        ({"serverName": "198.51.100.23"}, None, (TARGET, OUTSIDE)),  # a denied call that does not say it
        ({"password": "****", "engineName": "postgres"}, "TARGET", ()),
    ],
)
def test_changed_endpoint_is_known_by_the_answer(
    request_: dict[str, Any], kind: str | None, expected: tuple[str, ...]
) -> None:
    assert signals("ModifyEndpoint", request_, {"endpoint": {"endpointType": kind}}) == expected


def basic(includes: bool, kind: str = "All") -> dict[str, Any]:
    return {"includeManagementEvents": includes, "readWriteType": kind}


def advanced(category: str, *more: dict[str, Any]) -> dict[str, Any]:
    return {"fieldSelectors": [{"field": "eventCategory", "equals": [category]}, *more]}


@pytest.mark.parametrize(
    ("request_", "narrowed"),
    [
        ({"eventSelectors": [basic(False)]}, True),
        ({"eventSelectors": [basic(True, "ReadOnly")]}, True),
        ({"eventSelectors": [basic(True, "WriteOnly")]}, False),
        ({"eventSelectors": [basic(False), basic(True)]}, False),
        ({"advancedEventSelectors": [advanced("Data")]}, True),
        ({"advancedEventSelectors": [advanced("Data"), advanced("Management")]}, False),
        ({"advancedEventSelectors": [advanced("Management", {"field": "readOnly", "equals": ["true"]})]}, True),
        ({"advancedEventSelectors": [advanced("Management", {"field": "readOnly", "equals": ["false"]})]}, False),
        ({"trailName": "management"}, False),
    ],
)
def test_trail_that_drops_calls(request_: dict[str, Any], narrowed: bool) -> None:
    assert signals("PutEventSelectors", request_) == (("trail-narrowed",) if narrowed else ())


@pytest.mark.parametrize(
    ("name", "request_", "started"),
    [
        ("StartReplicationTask", {"startReplicationTaskType": "start-replication"}, True),
        ("StartReplicationTask", {"startReplicationTaskType": "resume-processing"}, False),
        ("StartReplication", {"startReplicationType": "reload-target"}, True),
        ("StartReplication", {"startReplicationType": "resume-processing"}, False),
        ("StartDataMigration", {"startType": "start-replication"}, True),
    ],
)
def test_replication_that_starts_from_scratch(name: str, request_: dict[str, Any], started: bool) -> None:
    assert bool(signals(name, request_)) is started


@pytest.mark.parametrize(
    ("name", "request_", "expected"),
    [
        ("ModifyDBSnapshotAttribute", {"valuesToAdd": [OTHER, "all"]}, f"{OTHER},all"),
        ("StartExportTask", {"s3BucketName": "research-drop"}, "research-drop"),
        ("StartCopyJob", {"destinationBackupVaultArn": "arn:v"}, "arn:v"),
        ("CreateIntegration", {"targetArn": "arn:t"}, "arn:t"),
        ("CopyDBSnapshot", {"kmsKeyId": "k"}, ""),
        ("CopyDBSnapshot", {"sourceDBSnapshotIdentifier": arn("snapshot:s", region="us-east-1")}, "eu-west-1"),
        ("StartExportTask", {"s3BucketName": "b", "kmsKeyId": arn("key", account=OTHER)}, arn("key", account=OTHER)),
        ("StartDBInstanceAutomatedBackupsReplication", {"sourceDBInstanceArn": arn("db:x")}, "eu-west-1"),
    ],
)
def test_recipient_is_to_whom_data_goes(name: str, request_: dict[str, Any], expected: str) -> None:
    assert recipient(Call(name, OWN, "eu-west-1", request_, {})) == expected


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "items",
                    "parameters",
                    "parameterName",
                    "ipPermissions",
                    "ipRanges",
                    "cidrIp",
                    "valuesToAdd",
                    "serverName",
                    "s3Settings",
                    "bucketName",
                    "kafkaSettings",
                    "broker",
                    "instanceCreateTime",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=9,
)


@given(st.sampled_from(sorted({name for one in CALL_SIGNALS for name in one.calls})), ANY_JSON, ANY_JSON)
def test_call_of_any_form_is_read(name: str, request_: Any, response: Any) -> None:
    base = base_events()["control-plane"]
    detail = {**base["detail"], "eventName": name, "requestParameters": request_, "responseElements": response}

    made = document({**base, "detail": {**detail, "eventTime": "2031-03-04T11:22:33Z"}}, "", "das-control-plane")

    assert set(made.source.get("signals", ())) <= {one.name for one in CALL_SIGNALS}


def test_every_signal_is_shown_by_a_sample_and_named_by_a_rule() -> None:
    compiled = [one for one in compile_all() if one.source is Source.CONTROL_PLANE]
    rules = " ".join(one.query.replace("\\", "") for one in compiled)
    shown = Counter(
        name
        for detection in compiled
        for sample in samples_of(detection.name)
        if sample.expected == "match"
        for made in documents(sample, "", datetime(2031, 3, 4, 11, 22, 33, tzinfo=UTC), Flattening(""))
        for name in made.source.get("signals", ())
    )

    assert {one.name for one in CALL_SIGNALS} == set(shown)
    assert all(one.name in rules for one in CALL_SIGNALS)
