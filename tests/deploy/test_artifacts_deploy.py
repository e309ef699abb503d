"""What is uploaded, and how the stack is changed: S3 and CloudFormation behind moto, else by botocore's models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from demo.aws import REGION, LocalAws
from tools.artifacts.archive import write_zip
from tools.artifacts.errors import DeployError
from tools.artifacts.manifest import NAME, Artifact, Manifest
from tools.artifacts.show import events_table
from tools.artifacts.stack import CAPABILITIES, Stack, first_failure, outcome, parameters, parse_parameters
from tools.artifacts.upload import Uploaded, check_bucket, upload

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

STACK_ID = f"arn:aws:cloudformation:{REGION}:123456789012:stack/daswatch/1b0c3a10-0000-11f1-8000-0a1b2c3d4e5f"
TEMPLATE = {
    "Parameters": {
        "ArtifactBucket": {"Type": "String"},
        "ArtifactPrefix": {"Type": "String"},
        "Architecture": {"Type": "String", "Default": "arm64"},
    },
    "Resources": {"Alerts": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "ArtifactPrefix"}}}},
}


def no_sleep(seconds: float) -> None:
    raise AssertionError("there is nothing to wait for")


# Upload.


@pytest.fixture
def bucket(aws: LocalAws, request: pytest.FixtureRequest) -> str:
    name = f"artifacts-{abs(hash(request.node.name)):x}"
    return aws.create_bucket(name)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(json.dumps(TEMPLATE), "utf-8")
    return path


def built(dist: Path, content: bytes = b"one") -> Manifest:
    """A small build."""
    contents = dist.with_name("contents")
    contents.mkdir(exist_ok=True)
    (contents / "handler.py").write_bytes(content)
    artifacts = []
    for architecture in ("arm64", "x86_64"):
        path = f"{architecture}/ingest_lambda.zip"
        artifacts.append(Artifact("ingest_lambda", architecture, path, write_zip(dist / path, contents), {}))
    manifest = Manifest("3.13", tuple(artifacts))
    (dist / NAME).write_bytes(manifest.dump())
    return manifest


def keys(s3: S3Client, bucket: str) -> set[str]:
    return {one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_the_template_finds_each_artifact_under_its_prefix(
    aws: LocalAws, bucket: str, template: Path, tmp_path: Path
) -> None:
    manifest = built(tmp_path / "dist")
    shown: list[tuple[str, int]] = []

    done = upload(aws.s3(), bucket, tmp_path / "dist", manifest, template, lambda *one: shown.append(one))

    assert done.prefix == f"daswatch/{manifest.digest}"
    for architecture in ("arm64", "x86_64"):
        key = f"{done.prefix}/{architecture}/ingest_lambda.zip"
        stored = aws.s3().get_object(Bucket=bucket, Key=key)["Body"].read()
        assert stored == (tmp_path / "dist" / architecture / "ingest_lambda.zip").read_bytes()
    assert set(done.sent) == keys(aws.s3(), bucket) == {key for key, _ in shown}
    assert done.sent[-1] == f"{done.prefix}/manifest.json"
    assert done.template_url.startswith(f"http://{bucket}.127.0.0.1:")


def test_what_is_there_is_not_sent_again(aws: LocalAws, bucket: str, template: Path, tmp_path: Path) -> None:
    manifest = built(tmp_path / "dist")
    first = upload(aws.s3(), bucket, tmp_path / "dist", manifest, template)
    aws.s3().delete_object(Bucket=bucket, Key=first.sent[0])

    second = upload(aws.s3(), bucket, tmp_path / "dist", manifest, template)

    assert second.sent == first.sent[:1]
    assert second.skipped == first.sent[1:]


def test_other_content_has_another_prefix(aws: LocalAws, bucket: str, template: Path, tmp_path: Path) -> None:
    first = upload(aws.s3(), bucket, tmp_path / "a", built(tmp_path / "a"), template)
    second = upload(aws.s3(), bucket, tmp_path / "b", built(tmp_path / "b", b"two"), template)

    assert first.prefix != second.prefix
    assert first.template_url == second.template_url
    assert set(first.sent) <= keys(aws.s3(), bucket)


def test_a_bucket_that_is_not_there_says_how_to_make_one(aws: LocalAws) -> None:
    with pytest.raises(DeployError, match="no-such-bucket does not exist") as caught:
        check_bucket(aws.s3(), "no-such-bucket")

    assert "aws s3 mb" in caught.value.next_step


def test_bucket_of_another_region_is_refused_first() -> None:
    s3 = boto3.client("s3", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(s3) as stubber:
        stubber.add_response("head_bucket", {"BucketRegion": "us-east-2"}, {"Bucket": "far"})

        with pytest.raises(DeployError, match="is in us-east-2, the stack would be in eu-west-1") as caught:
            check_bucket(s3, "far")

    assert "AWS_REGION=us-east-2" in caught.value.next_step


# The stack behind moto.


@pytest.fixture
def uploaded(aws: LocalAws, bucket: str, template: Path, tmp_path: Path) -> Uploaded:
    return upload(aws.s3(), bucket, tmp_path / "dist", built(tmp_path / "dist"), template)


@pytest.fixture
def stack(aws: LocalAws, request: pytest.FixtureRequest) -> Iterator[Stack]:
    client = aws.client("cloudformation")
    name = f"daswatch-{abs(hash(request.node.name)):x}"
    yield Stack(client, name, sleep=no_sleep)
    client.delete_stack(StackName=name)


def topic_names(aws: LocalAws) -> set[str]:
    """The display names of all topics; the template's has the artifacts' prefix there."""
    sns = aws.client("sns")
    arns = [one["TopicArn"] for one in sns.list_topics()["Topics"]]
    return {sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] for arn in arns}


def test_a_change_set_creates_the_stack_and_its_events_are_heard(
    aws: LocalAws, stack: Stack, uploaded: Uploaded
) -> None:
    given = {"ArtifactBucket": uploaded.bucket, "ArtifactPrefix": uploaded.prefix}
    heard: list[Mapping[str, Any]] = []

    changes = stack.prepare(uploaded.template_url, given, "first")
    status = stack.execute("first", heard.append)

    assert [(one.action, one.resource, one.type) for one in changes] == [("Add", "Alerts", "AWS::SNS::Topic")]
    assert status == "CREATE_COMPLETE"
    assert uploaded.prefix in topic_names(aws)
    assert "CREATE_COMPLETE" in [event["ResourceStatus"] for event in heard]
    assert events_table(heard).row_count == len(heard)


def test_an_update_keeps_what_is_not_given(aws: LocalAws, stack: Stack, uploaded: Uploaded) -> None:
    given = {"ArtifactBucket": uploaded.bucket, "ArtifactPrefix": uploaded.prefix}
    stack.prepare(uploaded.template_url, given | {"Architecture": "x86_64"}, "first")
    stack.execute("first", lambda event: None)

    stack.prepare(uploaded.template_url, {"ArtifactPrefix": "daswatch/other"}, "second")
    status = stack.execute("second", lambda event: None)

    assert status == "UPDATE_COMPLETE"
    assert "daswatch/other" in topic_names(aws)


def test_a_parameter_that_the_template_has_not_is_named(stack: Stack, uploaded: Uploaded) -> None:
    with pytest.raises(DeployError, match="no parameter Databases") as caught:
        stack.prepare(uploaded.template_url, {"Databases": "cluster:orders"}, "first")

    assert "Architecture, ArtifactBucket, ArtifactPrefix" in caught.value.next_step


# The stack as botocore's models have it.


class Stubbed:
    """A stack whose CloudFormation answers what a test says, in this order."""

    def __init__(self) -> None:
        client = boto3.client("cloudformation", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")
        self.stubber = Stubber(client)
        self.slept: list[float] = []
        self.stack = Stack(client, "daswatch", sleep=self.slept.append, clock=lambda: sum(self.slept))
        self.events: list[dict[str, Any]] = []

    def described(self, status: str, outputs: Sequence[Mapping[str, str]] = ()) -> None:
        described = {
            "StackName": "daswatch",
            "CreationTime": datetime(2031, 3, 4, tzinfo=UTC),
            "StackStatus": status,
            "Parameters": [{"ParameterKey": "ArtifactBucket", "ParameterValue": "b"}],
            "Outputs": list(outputs),
        }
        self.stubber.add_response("describe_stacks", {"Stacks": [described]}, {"StackName": "daswatch"})

    def prepared(self, status: str, reason: str = "") -> None:
        """A change set that ends in this state after some seconds."""
        declared = [{"ParameterKey": "ArtifactBucket"}, {"ParameterKey": "ArtifactPrefix"}]
        self.stubber.add_response("get_template_summary", {"Parameters": declared}, {"TemplateURL": "https://t"})
        self.stubber.add_response(
            "create_change_set",
            {"Id": "arn"},
            {
                "StackName": "daswatch",
                "ChangeSetName": "c",
                "ChangeSetType": "UPDATE",
                "TemplateURL": "https://t",
                "Parameters": [
                    {"ParameterKey": "ArtifactBucket", "UsePreviousValue": True},
                    {"ParameterKey": "ArtifactPrefix", "ParameterValue": "p"},
                ],
                "Capabilities": list(CAPABILITIES),
            },
        )
        for answer in ({"Status": "CREATE_IN_PROGRESS"}, {"Status": status, "StatusReason": reason}):
            self.stubber.add_response("describe_change_set", answer, {"StackName": "daswatch", "ChangeSetName": "c"})
        if status == "FAILED":
            self.stubber.add_response("delete_change_set", {}, {"StackName": "daswatch", "ChangeSetName": "c"})

    def happened(self, *steps: tuple[str, str, str]) -> None:
        """The next look at the events finds these too: resource, state, reason."""
        for resource, status, reason in steps:
            own = resource == "daswatch"
            event = {
                "StackId": STACK_ID,
                "EventId": str(len(self.events)),
                "StackName": "daswatch",
                "LogicalResourceId": resource,
                "PhysicalResourceId": STACK_ID if own else resource,
                "ResourceType": "AWS::CloudFormation::Stack" if own else "AWS::Lambda::Function",
                "Timestamp": datetime(2031, 3, 4, 11, 22, tzinfo=UTC),
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            self.events.append(event)
        answer = {"StackEvents": list(reversed(self.events))}
        self.stubber.add_response("describe_stack_events", answer, {"StackName": "daswatch"})

    def executed(self) -> None:
        self.stubber.add_response("execute_change_set", {}, {"StackName": "daswatch", "ChangeSetName": ANY})


@pytest.fixture
def stubbed() -> Iterator[Stubbed]:
    one = Stubbed()
    with one.stubber:
        yield one
        one.stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information.",
        "No updates are to be performed.",
    ],
)
def test_a_stack_that_is_as_it_should_be_is_left_alone(stubbed: Stubbed, reason: str) -> None:
    stubbed.described("UPDATE_COMPLETE")
    stubbed.prepared("FAILED", reason)

    assert stubbed.stack.prepare("https://t", {"ArtifactPrefix": "p"}, "c") == []


def test_a_change_set_that_fails_reports_why(stubbed: Stubbed) -> None:
    stubbed.described("CREATE_COMPLETE")
    stubbed.prepared("FAILED", "Transform AWS::Serverless-2016-10-31 failed with: Invalid")

    with pytest.raises(DeployError, match="Transform AWS::Serverless-2016-10-31 failed"):
        stubbed.stack.prepare("https://t", {"ArtifactPrefix": "p"}, "c")


@pytest.mark.parametrize(
    ("status", "next_step"), [("ROLLBACK_COMPLETE", "delete-stack"), ("UPDATE_IN_PROGRESS", "wait until it is done")]
)
def test_a_stack_that_cannot_be_changed_says_what_to_do(stubbed: Stubbed, status: str, next_step: str) -> None:
    stubbed.described(status)

    with pytest.raises(DeployError, match=status) as caught:
        stubbed.stack.prepare("https://t", {}, "c")

    assert next_step in caught.value.next_step


def test_failed_stack_reports_the_first_failed_resource(stubbed: Stubbed) -> None:
    stubbed.happened(("daswatch", "UPDATE_COMPLETE", ""))
    stubbed.executed()
    stubbed.happened()
    stubbed.happened(("daswatch", "UPDATE_IN_PROGRESS", "User Initiated"), ("Ingest", "UPDATE_IN_PROGRESS", ""))
    stubbed.happened(
        ("Setup", "UPDATE_FAILED", "Resource update cancelled"),
        ("Ingest", "UPDATE_FAILED", "S3 key does not exist"),
        ("daswatch", "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to update: [Ingest]"),
    )
    stubbed.happened(("daswatch", "UPDATE_ROLLBACK_COMPLETE", ""))
    heard: list[Mapping[str, Any]] = []

    with pytest.raises(DeployError, match=r"Ingest \(AWS::Lambda::Function\): S3 key does not exist"):
        stubbed.stack.execute("c", heard.append)

    assert [event["EventId"] for event in heard] == ["1", "2", "3", "4", "5", "6"]


def test_a_state_of_before_does_not_end_the_wait(stubbed: Stubbed) -> None:
    stubbed.happened(("daswatch", "UPDATE_COMPLETE", ""))
    stubbed.executed()
    stubbed.happened()
    stubbed.happened(("daswatch", "UPDATE_IN_PROGRESS", ""))
    stubbed.happened(("daswatch", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ""), ("daswatch", "UPDATE_COMPLETE", ""))

    assert stubbed.stack.execute("c", lambda event: None) == "UPDATE_COMPLETE"
    assert len(stubbed.slept) == 2


# Values.


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("", {}),
        ("Databases=cluster:orders,db:ledger", {"Databases": "cluster:orders,db:ledger"}),
        ('A=1  B="two words" C=x=y D=', {"A": "1", "B": "two words", "C": "x=y", "D": ""}),
    ],
)
def test_parameters_are_read(text: str, given: dict[str, str]) -> None:
    assert parse_parameters(text) == given


@pytest.mark.parametrize("text", ["Databases", "=x", "A='", "two words=1"])
def test_parameters_that_are_none_say_how_to_write_them(text: str) -> None:
    with pytest.raises(DeployError, match="PARAMETERS"):
        parse_parameters(text)


def test_a_parameter_without_a_value_is_asked_for() -> None:
    with pytest.raises(DeployError, match="needs Databases") as caught:
        parameters([{"ParameterKey": "Databases"}, {"ParameterKey": "A", "DefaultValue": ""}], {}, ())

    assert caught.value.next_step == 'PARAMETERS="Databases=..."'


def test_outputs_are_reported_by_name(stubbed: Stubbed) -> None:
    outputs = [{"OutputKey": "AlertTopicArn", "OutputValue": "arn:aws:sns:eu-west-1:123456789012:daswatch-alerts"}]
    stubbed.described("CREATE_COMPLETE", outputs)

    assert stubbed.stack.outputs() == {"AlertTopicArn": "arn:aws:sns:eu-west-1:123456789012:daswatch-alerts"}


def test_no_failure_is_made_up() -> None:
    assert first_failure([{"ResourceStatus": "CREATE_COMPLETE"}]) is None
    assert outcome([]) == ""
