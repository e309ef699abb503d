"""CloudTrail's events of what is done to a stream -> documents of `das-control-plane`, and their mapping."""

from __future__ import annotations

import copy
import secrets
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.canonical import canonical_json
from daswatch.content.templates import shipped_content
from daswatch.documents.control_plane import document, named_databases
from daswatch.errors import Reason, RecordError
from daswatch.indices import Indices
from tests.builders.control_plane import api_call

INDEX = Indices().control_plane
INGESTED_AT = "2031-03-04T11:22:41.000Z"
KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/0c1d2e3f-4a5b-4c6d-8e7f-901234567890"
STREAM_ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-db-LEDGER1"
ROLE_ARN = "arn:aws:iam::123456789012:role/Operators"
USER_ARN = "arn:aws:iam::123456789012:user/anna"
LONG_POLICY = '{"Statement":[]}' * 2_000


def source(**detail: Any) -> dict[str, Any]:
    return document(api_call(**detail), INGESTED_AT, INDEX).source


def mapping() -> dict[str, Any]:
    template = next(content for content in shipped_content() if content.name == INDEX)
    mappings: dict[str, Any] = template.body["template"]["mappings"]
    return mappings


def test_document_names_actor_call_and_stream() -> None:
    made = document(api_call(), INGESTED_AT, INDEX)

    assert (made.index, made.id) == ("das-control-plane", "b7c8d9e0-f1a2-4b3c-8d4e-5f60718293a4")
    assert made.source == {
        "@timestamp": "2031-03-04T11:22:33.000Z",
        "ingestedAt": INGESTED_AT,
        "eventSource": "rds.amazonaws.com",
        "eventName": "StopActivityStream",
        "userIdentityArn": "arn:aws:sts::123456789012:assumed-role/Operators/anna",
        "userIdentityType": "AssumedRole",
        "sourceIPAddress": "192.0.2.44",
        "userAgent": "aws-cli/2.31.0",
        "outcome": "success",
        "awsAccountId": "123456789012",
        "awsRegion": "eu-west-1",
        "resourceId": "cluster-SHOP0000000000000000000001",
        "target": "arn:aws:rds:eu-west-1:123456789012:cluster:shop",
        "requestParameters": {
            "resourceArn": "arn:aws:rds:eu-west-1:123456789012:cluster:shop",
            "applyImmediately": True,
        },
    }


def test_a_call_that_was_refused_is_a_failure_with_its_code() -> None:
    found = source(errorCode="AccessDenied", responseElements=None)

    assert (found["outcome"], found["errorCode"]) == ("failure", "AccessDenied")
    assert "resourceId" not in found


@pytest.mark.parametrize(
    ("detail", "resource_id"),
    [
        ({"responseElements": {"kinesisStreamName": "aws-rds-das-db-LEDGER1"}}, "db-LEDGER1"),
        ({"responseElements": {"eventSourceArn": STREAM_ARN}}, "db-LEDGER1"),
        ({"responseElements": {"dBClusterResourceId": "cluster-A1"}}, "cluster-A1"),
        ({"responseElements": {"DbiResourceId": "db-A1"}}, "db-A1"),
        ({"responseElements": None, "requestParameters": {"streamName": "aws-rds-das-cluster-A1"}}, "cluster-A1"),
        ({"responseElements": None, "requestParameters": {"streamARN": STREAM_ARN}}, "db-LEDGER1"),
        (
            {"responseElements": {"kinesisStreamName": "aws-rds-das-cluster-A1", "dbClusterResourceId": "cluster-B"}},
            "cluster-A1",
        ),
        ({"responseElements": {"eventSourceArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"}}, None),
        ({"responseElements": {"kinesisStreamName": "aws-rds-das-clicks"}}, None),
        ({"responseElements": {"kinesisStreamName": ["aws-rds-das-db-A"]}}, None),
        ({"responseElements": "aws-rds-das-db-A"}, None),
        ({"responseElements": {"dbClusterResourceId": "shop"}}, None),
    ],
)
def test_database_is_known_by_stream_or_resource_id(detail: dict[str, Any], resource_id: str | None) -> None:
    assert source(**detail).get("resourceId") == resource_id


@pytest.mark.parametrize(
    ("detail", "target"),
    [
        ({"requestParameters": {"keyId": KEY_ARN, "pendingWindowInDays": 7}}, KEY_ARN),
        ({"requestParameters": {"functionName": "daswatch-ingest"}}, "daswatch-ingest"),
        ({"requestParameters": {"uUID": "1f2e3d4c", "enabled": False}}, "1f2e3d4c"),
        ({"requestParameters": {"uUID": "1f2e3d4c", "functionName": "other"}}, "other"),
        ({"requestParameters": {"streamName": "aws-rds-das-db-A"}}, "aws-rds-das-db-A"),
        ({"requestParameters": {"name": "daswatch-control-plane"}}, "daswatch-control-plane"),
        ({"requestParameters": None, "resources": [{"type": "AWS::KMS::Key", "ARN": KEY_ARN}]}, KEY_ARN),
        ({"requestParameters": None, "resources": ["x", {"ARN": None}]}, None),
        ({"requestParameters": None, "resources": None}, None),
        ({"requestParameters": {"keyId": 7}}, None),
    ],
)
def test_the_target_is_what_the_request_names(detail: dict[str, Any], target: str | None) -> None:
    assert source(**detail).get("target") == target


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ({"type": "IAMUser", "arn": USER_ARN, "userName": "anna"}, USER_ARN),
        ({"sessionContext": {"sessionIssuer": {"arn": ROLE_ARN}}}, ROLE_ARN),
        ({"type": "IAMUser", "userName": "anna"}, "anna"),
        ({"type": "AWSService", "invokedBy": "rds.amazonaws.com"}, "rds.amazonaws.com"),
        ({"sessionContext": "x"}, None),
        (None, None),
        ("anna", None),
    ],
)
def test_the_caller_is_named_as_well_as_cloudtrail_can(identity: object, name: str | None) -> None:
    assert source(userIdentity=identity).get("userIdentityArn") == name


LINKED = {
    "type": "AssumedRole",
    "arn": "arn:aws:sts::123456789012:assumed-role/AWSServiceRoleForRDS/x",
    "sessionContext": {
        "sessionIssuer": {
            "arn": "arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
        }
    },
}
LOOKALIKE = {
    **LINKED,
    "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::123456789012:role/AWSServiceRoleForRDS"}},
}


@pytest.mark.parametrize(
    ("identity", "service"),
    [
        ({"type": "AWSService", "invokedBy": "rds.amazonaws.com"}, "rds.amazonaws.com"),
        ({"type": "AssumedRole", "invokedBy": "backup.amazonaws.com"}, "backup.amazonaws.com"),
        (LINKED, "rds.amazonaws.com"),
        (LOOKALIKE, None),
        ({"type": "IAMUser", "arn": USER_ARN}, None),
        ({"type": "IAMUser", "invokedBy": "x"}, None),
    ],
)
def test_service_that_makes_the_call(identity: dict[str, Any], service: str | None) -> None:
    assert source(userIdentity=identity).get("invokedBy") == service


def test_service_is_known_by_its_address() -> None:
    assert source(sourceIPAddress="backup.amazonaws.com")["invokedBy"] == "backup.amazonaws.com"
    assert "invokedBy" not in source(sourceIPAddress="192.0.2.44", userAgent="backup.amazonaws.com")


def rds(kind: str, account: str = "123456789012", region: str = "eu-west-1") -> str:
    return f"arn:aws:rds:{region}:{account}:{kind}"


@pytest.mark.parametrize(
    ("name", "request_", "response", "called"),
    [
        ("ModifyDBCluster", {"dBClusterIdentifier": "Shop"}, None, ("shop",)),
        (
            "ModifyDBCluster",
            {"dBClusterIdentifier": "shop"},
            {"dbClusterResourceId": "cluster-A"},
            ("cluster-A", "shop"),
        ),
        ("StopActivityStream", {"resourceArn": rds("cluster:shop")}, None, ("shop",)),
        ("StopActivityStream", {"resourceArn": rds("cluster:shop", region="us-east-1")}, None, ()),
        ("StartExportTask", {"sourceArn": rds("cluster-snapshot:rds:shop-2031-03-04-02-10")}, None, ("shop",)),
        ("StartExportTask", {"sourceArn": rds("snapshot:mine")}, None, ()),
        ("ModifyDBSnapshotAttribute", {"dBSnapshotIdentifier": "rds:shop-db-2031-03-04-02-10"}, None, ("shop-db",)),
        ("DeleteDBSnapshot", {"dBSnapshotIdentifier": "s"}, {"dBInstanceIdentifier": "ledger"}, ("ledger",)),
        (
            "RestoreDBClusterToPointInTime",
            {"dBClusterIdentifier": "new", "sourceDBClusterIdentifier": "shop"},
            {"dBClusterIdentifier": "new", "dbClusterResourceId": "cluster-NEW"},
            ("shop",),
        ),
        ("AuthorizeSecurityGroupIngress", {"groupId": "sg-1"}, None, ()),
    ],
)
def test_databases_that_a_call_names(name: str, request_: Any, response: Any, called: tuple[str, ...]) -> None:
    event = api_call(eventName=name, requestParameters=request_, responseElements=response)

    assert named_databases(event) == called


def test_account_and_region_default_to_eventbridges() -> None:
    found = source(recipientAccountId=None, awsRegion=None)

    assert (found["awsAccountId"], found["awsRegion"]) == ("123456789012", "eu-west-1")


def test_a_call_without_its_own_time_has_eventbridges() -> None:
    event = api_call(eventTime=None) | {"time": "2031-03-04T12:00:00+01:00"}

    assert document(event, INGESTED_AT, INDEX).source["@timestamp"] == "2031-03-04T11:00:00.000Z"


def test_the_same_call_delivered_twice_is_the_same_document() -> None:
    first, second = document(api_call(), INGESTED_AT, INDEX), document(api_call(), "2031-03-04T11:30:00.000Z", INDEX)

    assert first.id == second.id


@pytest.mark.parametrize("event_id", ["../_bulk", "x" * 600, "a b", "Ünïcode", "\ud800"])
def test_an_id_that_is_no_name_is_hashed(event_id: str) -> None:
    made = document(api_call(eventID=event_id), INGESTED_AT, INDEX)

    assert made.id == document(api_call(eventID=event_id), INGESTED_AT, INDEX).id
    assert made.id.isascii()
    assert made.id.isalnum()
    assert len(made.id) == 32


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, Reason.ANOTHER_TYPE),
        (api_call() | {"detail-type": "AWS Service Event via CloudTrail"}, Reason.ANOTHER_TYPE),
        (api_call() | {"detail": None}, Reason.EVENT_NOT_AN_OBJECT),
        (api_call() | {"detail": []}, Reason.EVENT_NOT_AN_OBJECT),
        (api_call(eventID=None), Reason.ANOTHER_TYPE),
        (api_call(eventID=""), Reason.ANOTHER_TYPE),
        (api_call(eventName=7), Reason.ANOTHER_TYPE),
        (api_call(eventSource=None), Reason.ANOTHER_TYPE),
        (api_call(eventTime="yesterday") | {"time": None}, Reason.ANOTHER_TYPE),
        (api_call(eventTime="2031-03-04 11:22:33") | {"time": 0}, Reason.ANOTHER_TYPE),
        (api_call(eventTime="0001-01-01T00:00:00+10:00") | {"time": ""}, Reason.ANOTHER_TYPE),
    ],
)
def test_event_without_a_call_is_refused(event: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(RecordError) as refused:
        document(event, INGESTED_AT, INDEX)

    assert refused.value.reason is reason


def test_what_a_flat_object_cannot_take_is_kept_as_text() -> None:
    found = source(requestParameters={"keyId": KEY_ARN, "policy": LONG_POLICY, "tags": {"a.b": "c"}})

    assert found["requestParameters"] == {"keyId": KEY_ARN}
    assert orjson.loads(found["requestParametersText"]) == {"policy": LONG_POLICY, "tags": {"a.b": "c"}}


@pytest.mark.parametrize("parameters", [["a", "b"], "HIDDEN_DUE_TO_SECURITY_REASONS", 7])
def test_parameters_that_are_no_object_are_kept_as_text(parameters: object) -> None:
    found = source(requestParameters=parameters)

    assert "requestParameters" not in found
    assert orjson.loads(found["requestParametersText"]) == parameters


@pytest.mark.parametrize("parameters", [None, {}, []])
def test_no_parameters_are_left_out(parameters: object) -> None:
    assert {"requestParameters", "requestParametersText"}.isdisjoint(source(requestParameters=parameters))


def test_parameters_that_are_nested_without_end_are_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = {"a": nested}

    with pytest.raises(RecordError) as refused:
        source(requestParameters=nested)

    assert refused.value.reason is Reason.EVENT_TOO_DEEP


def test_an_event_is_not_changed() -> None:
    event = api_call()
    before = copy.deepcopy(event)

    document(event, INGESTED_AT, INDEX)

    assert event == before


def test_no_field_is_ever_guessed_and_every_field_is_in_the_mapping() -> None:
    found = source(
        errorCode="AccessDenied",
        eventName="StartExportTask",
        requestParameters={"s3BucketName": "b", "policy": LONG_POLICY, "sourceArn": rds("cluster:shop")},
        userIdentity=LINKED,
    )

    assert mapping()["dynamic"] is False
    named = {"databaseIdentifier", "databaseTags"}  # added where the database is known
    assert set(found) | named == set(mapping()["properties"])


HOSTILE = {
    "eventName": "x" * 40_000,
    "userAgent": "\x00\ud800" * 9,
    "errorCode": "é" * 20_000,
    "sourceIPAddress": "not an address",
    "requestParameters": {
        "keyId": "k" * 20_000,
        "policy": LONG_POLICY,
        "deep": [[[[[["x"]]]]]],
        "number": 2**80,
        " ": "x",
        "nothing": None,
        "list": [1, "a", None, {"b": False}],
    },
}


@pytest.mark.node
@pytest.mark.parametrize("detail", [{}, HOSTILE], ids=["plausible", "hostile"])
def test_opensearch_takes_every_document(detail: dict[str, Any], search: OpenSearch) -> None:
    index = f"t-control-plane-{secrets.token_hex(4)}"
    search.indices.create(index=index, body={"mappings": mapping()})
    made = document(api_call(**detail), INGESTED_AT, INDEX)

    body = canonical_json(
        made.source
    ).decode()  # the function's own: newer versions refuse half a surrogate pair as bytes
    answer = search.index(index=index, id=made.id, body=body, params={"refresh": "true"})

    assert answer["result"] == "created"
    assert search.count(index=index, body={"query": {"term": {"userIdentityType": "AssumedRole"}}})["count"] == 1
    search.indices.delete(index=index)


@pytest.mark.node
def test_parameters_are_found_by_name_and_value(search: OpenSearch) -> None:
    index = f"t-control-plane-{secrets.token_hex(4)}"
    search.indices.create(index=index, body={"mappings": mapping()})
    made = document(api_call(requestParameters={"uUID": "1f2e3d4c", "enabled": False}), INGESTED_AT, INDEX)
    search.index(index=index, id=made.id, body=made.source, params={"refresh": "true"})

    def count(query: str) -> int:
        return int(search.count(index=index, body={"query": {"query_string": {"query": query}}})["count"])

    assert count("requestParameters.enabled:false") == 1
    assert count("requestParameters.enabled:true") == 0
    assert count("requestParameters.enabled:[* TO *] AND requestParameters:false") == 1
    search.indices.delete(index=index)
