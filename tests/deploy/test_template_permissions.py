"""Each function's role: every permission that its calls need is granted, and none more.

The functions run through their paths against a real OpenSearch and moto; what they call is held against the policies
of template.yaml, both ways. What AWS's own services do with a role is in no call of ours: it is listed here, with its
reason.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.core.config import default_user_config
from opensearchpy import OpenSearch
from pytest_httpserver import HTTPServer

from daswatch.aws import clients
from daswatch.content.templates import shipped_content
from daswatch.detections.detection import dump
from daswatch.detections.samples import base_events, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.errors import Reason
from daswatch.opensearch.templates import ContentGateway
from demo.aws import DEAD_LETTER_BUCKET, LocalAws
from demo.delivery import create_delivery_stream
from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from findings_lambda import handler as findings_handler
from posture_lambda import handler as posture_handler
from setup_lambda import handler as setup_handler
from tests import ROOT
from tests.builders.events import oracle_event, postgresql_event
from tests.fakes.cloudformation_bucket import AnswerBucket, a_request
from tests.fakes.delivery import LocalDelivery, LocalStream
from tests.fakes.rds import Rds, rds_with_streams
from tests.harness.enrol_function import Enrolling
from tests.harness.findings import FindingsFunction, sns
from tests.harness.firehose import FirehoseFunction
from tests.harness.fleet import Fleet
from tests.harness.ingest import IngestFunction
from tests.harness.replay_function import Replaying
from tests.iac.cloudformation import ACCOUNT, REGION, Stack
from tests.iac.iam import Call, Calls, Grant, grants, recorded
from tests.iac.setups import DOMAIN, EVERYTHING, SERVERLESS, SETUPS, SPOKE

DATA_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1d2e3f4a-5b6c-4d7e-8f90-123456789012"
CHANNEL = f"arn:aws:iam::{ACCOUNT}:role/channel"

# What AWS's services do with a function's role, and therefore no call of ours shows.
LOGS = {"logs:CreateLogStream": "Lambda writes the log", "logs:PutLogEvents": "Lambda writes the log"}
GAVE_UP = {
    "s3:ListBucket": "Lambda looks at the bucket of an on-failure destination",
    "s3:PutObject <DeadLetterBucket.Arn>/aws/lambda/*": "Lambda puts there what it gave up",
}
VPC = {
    f"ec2:{call}": "Lambda attaches the function to its subnets"
    for call in (
        "AssignPrivateIpAddresses",
        "CreateNetworkInterface",
        "DeleteNetworkInterface",
        "DescribeNetworkInterfaces",
        "DescribeSubnets",
        "UnassignPrivateIpAddresses",
    )
}
OF_SERVICES: dict[str, Mapping[str, str]] = {
    "IngestRole": {
        **LOGS,
        **GAVE_UP,
        **VPC,
        **{
            f"kinesis:{call}": "Lambda's mapping reads the stream"
            for call in ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")
        },
    },
    "FindingsRole": {**LOGS, **GAVE_UP, **VPC},
    "PostureRole": {**LOGS, **VPC},
    "EnrolRole": {
        **LOGS,
        **VPC,
        "iam:PassRole": "Firehose asks it of who names a role for a delivery stream",
        "lambda:TagResource": "Lambda asks it of who creates a mapping with tags",
        "firehose:TagDeliveryStream": "Firehose asks it of who creates a delivery stream with tags",
    },
    "ReplayRole": {**LOGS, **VPC},
    "TransformRole": {**LOGS, **VPC},
    "SetupRole": {
        **LOGS,
        **VPC,
        "iam:PassRole": "OpenSearch asks it of who names a role in a channel",
    },
}


def stack_for(names: Mapping[str, str], **given: str) -> Stack:
    """The stack with everything, and the names of what the tests use in place of what AWS would make."""
    real = {
        "DeadLetterBucket": DEAD_LETTER_BUCKET,
        "DeadLetterBucket.Arn": f"arn:aws:s3:::{DEAD_LETTER_BUCKET}",
        "DataKey.Arn": DATA_KEY,
        **names,
    }
    return Stack({**EVERYTHING, **given}, real)


def unneeded(granted: list[Grant], calls: Calls, of_services: Mapping[str, str]) -> list[str]:
    """What is granted and neither called nor listed as a service's."""
    found = []
    for grant in granted:
        resource = grant.resource.replace(f"arn:aws:s3:::{DEAD_LETTER_BUCKET}", "<DeadLetterBucket.Arn>")
        if {grant.action, f"{grant.action} {resource}"} & of_services.keys():
            continue
        if not any(grant.allows(call) for call in calls.made):
            found.append(f"{grant.statement}: {grant.action} on {grant.resource}")
    return found


def denied(granted: list[Grant], calls: Calls) -> list[str]:
    """The calls that no grant lets through."""
    return sorted(
        f"{call.action} on {call.resource} {dict(call.context)}"
        for call in calls.made
        if not any(grant.allows(call) for grant in granted)
    )


def assert_exact(stack: Stack, role: str, calls: Calls) -> None:
    """The role's policies are what the calls need, and what AWS's services do with it."""
    granted = grants(stack.statements(role))
    named = {grant.action for grant in granted}
    stale = [name for name in OF_SERVICES[role] if name.partition(" ")[0] not in named]

    assert denied(granted, calls) == []
    assert unneeded(granted, calls, OF_SERVICES[role]) == []
    assert stale == []


SIGN_IN = pytest.mark.parametrize("auth", ["sigv4", "basic"])


def signed(auth: str) -> str:
    """The domain's ARN where IAM is asked about requests to it."""
    return DOMAIN if auth == "sigv4" else ""


def needing(calls: Calls, auth: str, secret_arn: str) -> dict[str, str]:
    """The parameters of a stack whose functions sign in like this."""
    assert any(call.action == "secretsmanager:GetSecretValue" for call in calls.made) == (auth == "basic")
    return {"OpenSearchAuth": auth, "OpenSearchSecretArn": secret_arn}


@pytest.fixture
def secret_arn(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> str:
    """A secret to sign in with; the node takes anyone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.url)
    client = aws.client("secretsmanager")
    made = client.create_secret(
        Name=f"search-{secrets.token_hex(4)}", SecretString='{"username": "daswatch", "password": "not-a-secret"}'
    )
    return str(made["ARN"])


def key_arn_of(key_id: str) -> str:
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}"


@pytest.mark.node
@SIGN_IN
def test_the_ingest_function_may_do_what_it_does_and_nothing_more(
    ingest: IngestFunction,
    aws: LocalAws,
    kms_key_id: str,
    secret_arn: str,
    auth: str,
    httpserver: HTTPServer,
    tmp_path: Path,
) -> None:
    httpserver.expect_request(re.compile("/2015-03-31/.*"), "POST").respond_with_data("", 202)
    (tmp_path / "detections.json").write_bytes(dump(compile_all()))
    look = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daswatch-look"
    rows = f"rows-{ingest.name}"
    create_delivery_stream(aws.firehose(), rows, aws.create_bucket(rows))
    cluster, instance = ingest.database("postgresql"), ingest.database("oracle", name="B")
    ingest.configure(OPENSEARCH_AUTH=auth, OPENSEARCH_SECRET_ARN=secret_arn, ROWS_DELIVERY_STREAM=rows)
    ingest.configure(
        AWS_ENDPOINT_URL_LAMBDA=httpserver.url_for("").rstrip("/"),
        LOOK_FUNCTION_ARN=look,
        DETECTIONS=str(tmp_path / "detections.json"),
    )
    calls = Calls(signed(auth), key_arn_of(kms_key_id), DATA_KEY)

    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}+00"
    severe = postgresql_event(logTime=now, command="DROP DATABASE", commandText="drop database shop")
    first = [ingest.record([severe], cluster), ingest.delivered(b"bad", cluster)]
    second = ingest.record([oracle_event()], instance)
    with recorded(calls):
        assert ingest.invoke(*first) == []
        assert ingest.invoke(second) == []
    aws.firehose().delete_delivery_stream(DeliveryStreamName=rows)

    stack = stack_for(
        {
            "RowsDelivery.Arn": f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{rows}",
            "LookFunction.Arn": look,
        },
        IndexPrefix=ingest.prefix,
        ActivityStreamKey=key_arn_of(kms_key_id),
        **needing(calls, auth, secret_arn),
    )
    assert_exact(stack, "IngestRole", calls)


@pytest.mark.node
@SIGN_IN
def test_the_findings_function_may_do_what_it_does_and_nothing_more(
    search: OpenSearch,
    aws: LocalAws,
    node: AnyNode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    secret_arn: str,
    auth: str,
) -> None:
    function = FindingsFunction(search, aws, node.url, tmp_path, monkeypatch, capsys)
    (tmp_path / "detections.json").write_bytes(dump([replace(one, enabled=True) for one in compile_all()]))
    settings = {"FINDINGS_SQL": "true", "OPENSEARCH_AUTH": auth, "OPENSEARCH_SECRET_ARN": secret_arn}
    function.configure(**settings)
    calls = Calls(signed(auth), key_arn_of("none"), DATA_KEY)
    tampered = samples_of("das-tamper-control-plane")[0]
    base = base_events()["control-plane"]
    stopped = {**base, "detail": {**base["detail"], **tampered.steps[0]["event"]["detail"]}}

    function.attack()
    function.attack("first-seen-network", "")  # looks up what was seen before
    with recorded(calls):
        findings_handler.scheduled({}, InvocationContext())
        findings_handler.scheduled({}, InvocationContext())
        findings_handler.notified(sns("no json"), InvocationContext())
        findings_handler.notified(stopped, InvocationContext())
        findings_handler.prompted({}, InvocationContext())
        function.claim_a_look("2061-03-04T12:00:00.000Z")  # by a wrong clock, so that the next one does not wait
        findings_handler.prompted({}, InvocationContext())
    # The databases' account as seen from another one: their findings go there, by a role.
    function.forget()
    function.configure(FINDINGS_ROLE=EVERYTHING["MemberRoleName"])
    elsewhere = "arn:aws:lambda:eu-west-1:210987654321:function:daswatch-findings"
    assumed = Calls(signed(auth), key_arn_of("none"), DATA_KEY)
    with recorded(assumed):
        findings_handler.scheduled({}, InvocationContext(invoked_function_arn=elsewhere))
    calls.made |= {call for call in assumed.made if call.action == "sts:AssumeRole"}
    function.close()

    given = {"IndexPrefix": function.prefix, **needing(calls, auth, secret_arn)}
    stack = stack_for({"AlertTopic": function.topic_arn}, **given)
    assert_exact(stack, "FindingsRole", calls)


def test_the_transformation_may_decrypt_data_keys_and_nothing_more(
    aws: LocalAws, kms_key_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    function = FirehoseFunction(aws, kms_key_id, secrets.token_hex(6), monkeypatch, capsys)
    function.configure(OUTPUT_FORM="splunk")
    cluster, instance = function.database("postgresql"), function.database("oracle")
    calls = Calls(DOMAIN, key_arn_of(kms_key_id), DATA_KEY)

    sealed = [(function.sealed(postgresql_event(), database=one), one) for one in (cluster, instance)]
    with recorded(calls):
        for data, database in sealed:
            function.invoke(data, database=database)
    function.cold_start()

    assert_exact(stack_for({}, ActivityStreamKey=key_arn_of(kms_key_id)), "TransformRole", calls)


def test_other_data_than_of_activity_streams_is_not_decrypted() -> None:
    """Whatever else is encrypted with the key of the streams: its context is another, or none."""
    key, adopted, other = (key_arn_of(f"{number}c1d2e3f") for number in range(3))
    granted = grants(stack_for({}, ActivityStreamKey=key, AdoptedKeys=adopted).statements("IngestRole"))

    def decrypt(context: Mapping[str, str], key: str = key) -> list[str]:
        calls = Calls(DOMAIN, key, DATA_KEY)
        calls.of_aws("kms", "Decrypt", {"EncryptionContext": context})
        return denied(granted, calls)

    assert decrypt({"aws:rds:dbc-id": "cluster-ORDERS"}) == decrypt({"aws:rds:db-id": "db-LEDGER"}, adopted) == []
    assert decrypt({})
    assert decrypt({"aws:s3:arn": "arn:aws:s3:::x"})
    assert decrypt({"aws:rds:dbc-id": "cluster-ORDERS"}, other)


@pytest.fixture
def rds(aws: LocalAws, kms_key_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rds]:
    with rds_with_streams(aws, kms_key_id) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.node
@SIGN_IN
def test_the_setup_function_may_do_what_it_does_and_nothing_more(
    node: AnyNode,
    aws: LocalAws,
    rds: Rds,
    bucket: AnswerBucket,
    secret_arn: str,
    auth: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prefix = f"t{secrets.token_hex(6)}-events"
    (tmp_path / "detections.json").write_bytes(dump(compile_all()[:2]))
    settings = {
        "OPENSEARCH_ENDPOINT": node.url,
        "OPENSEARCH_AUTH": auth,
        "OPENSEARCH_SECRET_ARN": secret_arn,
        "INDEX_PREFIX": prefix,
        "DETECTIONS": str(tmp_path / "detections.json"),
        "BACKUP_BUCKET": DEAD_LETTER_BUCKET,
        "MONITOR_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:monitors",
        "CHANNEL_ROLE_ARN": CHANNEL,
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    clients.session.cache_clear()
    rds.meanwhile = 0
    cluster, instance = rds.cluster(), rds.instance()
    calls = Calls(signed(auth), rds.key_arn, DATA_KEY)

    def ask(kind: str, **more: Any) -> dict[str, Any]:
        del bucket.bodies[:]
        with recorded(calls):
            setup_handler.handler(a_request(bucket.url, kind, **more), InvocationContext())
        assert bucket.answer["Status"] == "SUCCESS", bucket.answer["Reason"]
        return bucket.answer

    for database in (cluster, instance):
        properties = {"Database": database, "KmsKeyId": rds.key_arn, "OnDelete": "stop"}
        made = ask("Create", properties=properties)["PhysicalResourceId"]
        ask("Update", properties=properties, PhysicalResourceId=made, OldResourceProperties=properties)
        ask("Delete", properties=properties, PhysicalResourceId=made)
    ask("Create", properties={"Version": "1"}, resource_type="Custom::Content")
    _a_team_changes(node, prefix)
    ask("Update", properties={"Version": "2"}, resource_type="Custom::Content", PhysicalResourceId="das-content")

    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", aws.url)
    monkeypatch.setitem(default_user_config["lambda"], "use_docker", False)
    clients.session.cache_clear()
    function = a_function(rds, "daswatch-enrol")
    ask("Create", properties={"Function": function}, resource_type="Custom::Enrolment")
    rds.any_client("lambda").delete_function(FunctionName=function)

    given = {"ActivityStreamKey": rds.key_arn}
    assert_exact(stack_for({}, **given, **needing(calls, auth, secret_arn)), "SetupRole", calls)


def a_function(rds: Rds, name: str) -> str:
    """A function that there is, and that does nothing; its name."""
    role = rds.any_client("iam").create_role(RoleName=secrets.token_hex(8), AssumeRolePolicyDocument="{}")["Role"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "")
    rds.any_client("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Role=role["Arn"], Handler="h.h", Code={"ZipFile": code.getvalue()}
    )
    return name


def _a_team_changes(node: AnyNode, prefix: str) -> None:
    client = OpenSearch(node.url)
    (found,) = client.transport.perform_request("GET", f"/_index_template/{prefix}")["index_templates"]
    changed = {**found["index_template"], "priority": 321}
    client.transport.perform_request("PUT", f"/_index_template/{prefix}", body=changed)
    client.close()


@pytest.mark.node
@SIGN_IN
def test_the_posture_function_may_do_what_it_does_and_nothing_more(
    node: AnyNode,
    search: OpenSearch,
    rds: Rds,
    monkeypatch: pytest.MonkeyPatch,
    secret_arn: str,
    auth: str,
) -> None:
    prefix = f"p{secrets.token_hex(4)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    rds.run_stream(rds.cluster())
    rds.instance()
    settings = {
        "OPENSEARCH_ENDPOINT": node.url,
        "OPENSEARCH_AUTH": auth,
        "OPENSEARCH_SECRET_ARN": secret_arn,
        "INDEX_PREFIX": prefix,
        "FLEET_ACCOUNTS": "organization",
        "FLEET_ROLE": EVERYTHING["MemberRoleName"],
        "DEAD_LETTER_BUCKET": "daswatch-dead-letters",
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    clients.session.cache_clear()
    calls = Calls(signed(auth), rds.key_arn, DATA_KEY)
    organizations = rds.aws.client("organizations")
    with suppress(organizations.exceptions.AlreadyInOrganizationException):
        organizations.create_organization(FeatureSet="ALL")
        organizations.create_account(AccountName="shop", Email="shop@example.com")

    posture_handler.warm_function.cache_clear()
    with recorded(calls):
        found = posture_handler.handler({}, InvocationContext(remaining_ms=600_000))  # as in the template
    posture_handler.warm_function.cache_clear()

    assert found["databases"] == 2
    given = {"IndexPrefix": prefix, "FleetAccounts": "organization", **needing(calls, auth, secret_arn)}
    assert_exact(stack_for({}, **given), "PostureRole", calls)


@pytest.mark.node
@SIGN_IN
def test_the_enrolment_function_may_do_what_it_does_and_nothing_more(
    node: AnyNode,
    search: OpenSearch,
    aws: LocalAws,
    rds: Rds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    secret_arn: str,
    auth: str,
) -> None:
    fleet = Fleet(search, node.url, rds, monkeypatch, ACCOUNT, REGION)
    bucket = aws.create_bucket(f"evidence-{secrets.token_hex(4)}")
    topic, role = aws.create_topic(), f"arn:aws:iam::{ACCOUNT}:role/deliveries"
    enrolling = Enrolling(fleet, search, capsys)
    enrolling.configure(
        OPENSEARCH_AUTH=auth,
        OPENSEARCH_SECRET_ARN=secret_arn,
        STREAM_KEY_ARN=rds.key_arn,
        RESOURCE_PREFIX="daswatch",
        EVIDENCE_BUCKET=bucket,
        DELIVERY_ROLE_ARN=role,
        ON_DESELECTION="stop",
        ALERT_TOPIC_ARN=topic,
        AWS_ENDPOINT_URL_CLOUDWATCH=aws.url,
    )
    calls = Calls(signed(auth), rds.key_arn, DATA_KEY)

    def run(count: int = 1) -> dict[str, Any]:
        with recorded(calls):
            return [enrolling.run() for _ in range(count)][-1]

    rds.meanwhile = 0
    cluster, instance = rds.cluster(), rds.instance()
    for name in (cluster, instance):
        enrolling.tag(name)
    enrolling.make_kinesis_stream(instance)
    stream = LocalStream(aws.kinesis(), rds.resource_id(cluster), datetime.now(UTC) - timedelta(minutes=20))
    run(3)
    stream.put(stream.shards[0], 3)
    delivery = LocalDelivery(aws.s3(), bucket, stream)
    delivery.start()
    stream.put(stream.shards[0], 3)
    delivery.deliver()
    assert run(2)[cluster]["state"] == "watched"
    assert enrolling.document(cluster)["evidenceStart"] == "complete"
    # Settings that differ are put right, and what is wrong is published.
    mapping, _ = enrolling.mappings()
    enrolling.functions.update_event_source_mapping(UUID=mapping["UUID"], BatchSize=7)
    enrolling.configure(DATA_KEY_ARN=DATA_KEY)
    enrolling.forget_checks()
    run()
    silent = enrolling.fall_silent()
    with recorded(calls):
        assert enrolling.watch(silent).names == {"silent": ["db:silent"]}
        for hours in (2, 3):
            written = enrolling.write_manifests(rds.resource_id(cluster), hours)
            assert written.manifests
            assert not written.causes
    enrolling.configure(DATABASES="db:nowhere")
    run(3)
    assert enrolling.mappings() == []
    assert {rds.stream(name).status for name in (cluster, instance)} == {"stopped"}
    fleet.close()

    names = {"DeliveryRole.Arn": role, "AlertTopic": topic, "EvidenceBucket.Arn": f"arn:aws:s3:::{bucket}"}
    given = {"IndexPrefix": fleet.indices.prefix, "ActivityStreamKey": rds.key_arn, "OnDeselection": "stop"}
    stack = stack_for(names, **given, **needing(calls, auth, secret_arn))
    assert_exact(stack, "EnrolRole", calls)


@pytest.mark.node
@SIGN_IN
def test_the_replay_function_may_do_what_it_does_and_nothing_more(
    ingest: IngestFunction,
    kms_key_id: str,
    capsys: pytest.CaptureFixture[str],
    secret_arn: str,
    auth: str,
    tmp_path: Path,
) -> None:
    replaying = Replaying(ingest, capsys, tmp_path)
    cluster, instance = ingest.database("postgresql"), ingest.database("oracle", name="B")
    undated = ingest.record([postgresql_event(logTime="no time")], cluster)
    replaying.batch(undated, ingest.record([oracle_event()], instance))
    replaying.letter(ingest.record([postgresql_event()], cluster), Reason.DOCUMENT_REFUSED)
    replaying.configure(OPENSEARCH_AUTH=auth, OPENSEARCH_SECRET_ARN=secret_arn)
    calls = Calls(signed(auth), key_arn_of(kms_key_id), DATA_KEY)

    with recorded(calls):
        assert replaying.run().run.objects_whole == 2
        replaying.run(hours=1)
    replaying.cold_start()

    bucket = replaying.evidence.bucket
    stack = stack_for(
        {"DeadLetterBucket": bucket, "DeadLetterBucket.Arn": f"arn:aws:s3:::{bucket}"},
        IndexPrefix=ingest.prefix,
        ActivityStreamKey=key_arn_of(kms_key_id),
        **needing(calls, auth, secret_arn),
    )
    assert_exact(stack, "ReplayRole", calls)


@pytest.mark.parametrize("role", ["SetupRole", "EnrolRole"])
def test_who_may_not_stop_a_stream_cannot(role: str) -> None:
    keeps = Stack({**EVERYTHING, "OnStackDeletion": "retain"})
    stops = Stack({**EVERYTHING, "OnStackDeletion": "stop"})

    assert not [grant for grant in grants(keeps.statements(role)) if "Stop" in grant.action]
    assert [grant for grant in grants(stops.statements(role)) if "Stop" in grant.action]


def test_enrolment_writes_no_policy_and_maps_one_function() -> None:
    granted = grants(Stack(EVERYTHING).statements("EnrolRole"))

    assert {one.action for one in granted if one.action.startswith("iam:")} == {"iam:PassRole"}
    of_mappings = [one for one in granted if "EventSourceMapping" in one.action and "List" not in one.action]
    assert len(of_mappings) == 3
    own = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daswatch-ingest"
    assert {one.conditions for one in of_mappings} == {(("ArnEquals", "lambda:FunctionArn", (own,)),)}


# Roles of AWS's services: nothing of ours calls with them. Source: each service's developer guide.

FIREHOSE_READS = {"kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"}
FIREHOSE_WRITES = {
    "s3:AbortMultipartUpload",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:PutObject",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "logs:PutLogEvents",
}
OF_SERVICE_ROLES = {
    "DeliveryRole": FIREHOSE_READS
    | FIREHOSE_WRITES
    | {"lambda:GetFunctionConfiguration", "lambda:InvokeFunction", "secretsmanager:GetSecretValue"},
    "RowsRole": FIREHOSE_WRITES,
    # What its guide lists without object tags, which the evidence has none of, and without delete markers.
    "ReplicationRole": {
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionForReplication",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:ReplicateObject",
        "kms:Decrypt",
        "kms:Encrypt",
    },
    "SendToHubRole": {"events:PutEvents"},
    "ChannelRole": {"sns:Publish", "kms:Decrypt", "kms:GenerateDataKey"},
}


@pytest.mark.parametrize("role", OF_SERVICE_ROLES)
def test_a_services_role_has_what_its_guide_lists(role: str) -> None:
    granted = grants(Stack(SPOKE if role == "SendToHubRole" else EVERYTHING).statements(role))

    assert {grant.action for grant in granted} == OF_SERVICE_ROLES[role]


def test_replication_reads_the_evidence_and_writes_the_replica_alone() -> None:
    granted = grants(stack_for({"EvidenceBucket.Arn": "arn:aws:s3:::evidence"}).statements("ReplicationRole"))
    locked = grants(Stack({**EVERYTHING, "EvidenceLock": "governance"}).statements("ReplicationRole"))

    def allowed(key: str, action: str, region: str, bucket: str) -> bool:
        context = (
            ("kms:ViaService", f"s3.{region}.amazonaws.com"),
            ("kms:EncryptionContext:aws:s3:arn", f"arn:aws:s3:::{bucket}"),
        )
        return any(grant.allows(Call(f"kms:{action}", key, context)) for grant in granted)

    assert {one.resource for one in granted if one.action.startswith("s3:Replicate")} == {
        "arn:aws:s3:::evidence-replica/*"
    }
    assert {one.action for one in locked} - {one.action for one in granted} == {
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
    }
    replica_key = EVERYTHING["EvidenceReplicaKey"]
    assert allowed(DATA_KEY, "Decrypt", REGION, "evidence")
    assert allowed(replica_key, "Encrypt", "eu-central-1", "evidence-replica/evidence/a.gz")
    assert not allowed(DATA_KEY, "Encrypt", REGION, "evidence")
    assert not allowed(DATA_KEY, "Decrypt", REGION, "rows")
    assert not allowed(replica_key, "Encrypt", REGION, "evidence-replica")
    assert not allowed(replica_key, "Encrypt", "eu-central-1", "other")


def test_the_member_role_has_what_docs_ask_of_it() -> None:
    """The policy of docs/fleet.md, which is compared with the calls, and the import of findings."""
    granted = {grant.action for grant in grants(Stack(SPOKE).statements("MemberRole"))}
    block = re.search(r"```json\n(.*?)```", (ROOT / "docs" / "fleet.md").read_text("utf-8"), re.DOTALL)
    assert block

    (look,) = (statement["Action"] for statement in json.loads(block[1])["Statement"])
    assert granted == {*look, "securityhub:BatchImportFindings"}


@pytest.mark.parametrize("name", SETUPS)
def test_every_role_is_looked_at_here(name: str) -> None:
    known = {*OF_SERVICES, *OF_SERVICE_ROLES, "MemberRole"}

    assert set(Stack(SETUPS[name]).of_type("AWS::IAM::Role")) <= known


# What names no single resource, and why it cannot.
WILDCARDS = {
    (
        f"arn:aws:securityhub:*:{ACCOUNT}:product/{ACCOUNT}/default",
        "securityhub:BatchImportFindings",
    ): "hubs may be in any region",
    ("*", "rds:DescribeOrderableDBInstanceOptions"): "it is about engines",
    **{
        ("*", action): "the inventory is to find what is not known yet"
        for action in ("ec2:DescribeRegions", "kms:DescribeKey", "rds:DescribeDBClusters", "rds:DescribeDBInstances")
    },
    **{
        ("*", action): "it has no resources"
        for action in (
            "organizations:ListAccounts",
            "cloudwatch:GetMetricData",
            "firehose:ListDeliveryStreams",
            "lambda:ListEventSourceMappings",
        )
    },
    **{
        ("*", f"lambda:{action}EventSourceMapping"): "its condition names the function"
        for action in ("Create", "Update", "Delete")
    },
    (f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:*", "lambda:TagResource"): "Lambda makes up the name",
    **{
        (f"arn:aws:rds:{REGION}:{ACCOUNT}:{kind}:*", f"rds:{action}ActivityStream"): "any database may be selected"
        for kind in ("cluster", "db")
        for action in ("Start", "Stop")
    },
    **{
        (f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/daswatch-*", f"firehose:{action}"): "by our prefix"
        for action in (
            "CreateDeliveryStream",
            "DeleteDeliveryStream",
            "DescribeDeliveryStream",
            "TagDeliveryStream",
            "UpdateDestination",
        )
    },
    **{
        (f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/aws-rds-das-*", f"kinesis:{action}"): "RDS names them so"
        for action in ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")
    },
    **{
        ("<EvidenceBucket.Arn>/*", f"s3:{action}"): "all of the evidence is replicated"
        for action in ("GetObjectVersionAcl", "GetObjectVersionForReplication")
    },
    ("arn:aws:s3:::evidence-replica/*", "s3:ReplicateObject"): "all of the evidence is replicated",
    (f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:*", "rds:DescribeDBClusters"): "by filters",
    (f"arn:aws:rds:{REGION}:{ACCOUNT}:db:*", "rds:DescribeDBInstances"): "by filters",
    ("arn:aws:iam::*:role/daswatch-findings", "sts:AssumeRole"): "accounts are known when there are events",
    **{("*", action): "Lambda checks it before there is an interface" for action in VPC},
}
_BELOW = (
    "/dead-letters/*",
    "/aws/lambda/*",
    "/backups/*",
    "/rows/*",
    "/rows-failed/*",
    "/evidence/*",
    "/evidence/*/start/*",
    "/manifests/*",
    "/splunk/*",
)
# OpenSearch's own, in a path that is asked as it is.
_PATTERNS = tuple(
    f"das-{name}"
    for name in (
        "completeness-*/_search",
        "events-*/_refresh",
        "events-*/_search",
        "events-undated-*/_search",
        "tallies-*/_search",
    )
)


@pytest.mark.parametrize("name", SETUPS)
def test_no_wildcard_where_a_resource_can_be_named(name: str) -> None:
    stack = Stack(SETUPS[name])

    for role in stack.of_type("AWS::IAM::Role"):
        for grant in grants(stack.statements(role)):
            assert "*" not in grant.action
            if "*" not in grant.resource or grant.resource.endswith((*_BELOW, *_PATTERNS, "/evidence-failed/*")):
                continue
            if grant.action in ("es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut") and role == "SetupRole":
                continue  # content of all kinds, below one domain
            assert (grant.resource, grant.action) in WILDCARDS, f"{role}: {grant}"


def test_serverless_says_in_its_own_policy_who_may_what() -> None:
    functions, setup = json.loads(Stack(SERVERLESS).resources["CollectionAccess"].properties["Policy"])

    roles = ("IngestRole", "FindingsRole", "PostureRole", "EnrolRole", "ReplayRole")
    assert functions["Principal"] == [f"<{role}.Arn>" for role in roles]
    assert setup["Principal"] == ["<SetupRole.Arn>"]
    assert not [one for rule in functions["Rules"] for one in rule["Permission"] if "Delete" in one or "*" in one]
    assert {one for rule in functions["Rules"] for one in rule["Resource"]} == {
        "collection/activity",
        "index/activity/das-*",
    }
