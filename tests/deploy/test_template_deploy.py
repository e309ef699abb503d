"""template.yaml deployed into moto: its CloudFormation makes what it can, and the services' own APIs take the rest.

What is answered by our functions, and what moto has no part of, is listed here by its type.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator
from moto import mock_aws  # noqa: TID251 - it is started without a reset

from tests.iac.cloudformation import ACCOUNT, REGION, Stack
from tests.iac.setups import EVERYTHING, stack

CODE = (
    "enrol_lambda",
    "ingest_lambda",
    "findings_lambda",
    "setup_lambda",
    "firehose_lambda",
    "posture_lambda",
    "replay_lambda",
)

# moto's CloudFormation does not know these. The tests make them by their service's API, or hold them against its model.
BY_API = {
    "AWS::CloudWatch::Alarm",
    "AWS::KinesisFirehose::DeliveryStream",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Logs::LogStream",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
}
# What our own setup function answers; its tests are tests/test_setup_*.py.
OURS = {"Custom::Content", "Custom::Enrolment"}


@dataclass
class Deployed:
    """A stack in moto, and what CloudFormation made of it."""

    stack: Stack
    made: dict[str, str]  # logical id -> physical id

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]

    def real(self, value: Any) -> Any:
        """A resolved value with the physical ids that moto made."""
        text = json.dumps(value)
        for logical, physical in self.made.items():
            arn = _arn(self.stack.resources[logical].type, physical)
            text = text.replace(f"<{logical}>", physical).replace(f"<{logical}.Arn>", arn)
        text_left = text
        for placeholder in ("->", "<what>", "<who>", "<from>", "<key>"):
            text_left = text_left.replace(placeholder, "")
        assert "<" not in text_left, text
        return json.loads(text)


def _arn(kind: str, physical: str) -> str:
    makers = {
        "AWS::S3::Bucket": f"arn:aws:s3:::{physical}",
        "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{physical}",
        "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{physical}",
        "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{physical}",
    }
    return makers.get(kind, physical)


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    """The stack with everything."""
    mock = mock_aws(config={"lambda": {"use_docker": False}})
    mock.start(reset=False)  # what other tests have in moto stays theirs
    try:
        _prepare()
        rows = f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/daswatch-rows"
        made = Stack(EVERYTHING, {"Content": "das-content", "RowsDelivery": "daswatch-rows", "RowsDelivery.Arn": rows})
        template = made.resolved_template(lambda kind: kind not in BY_API | OURS)
        client = boto3.client("cloudformation", region_name=REGION)
        client.create_stack(
            StackName="daswatch", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        (one,) = client.describe_stacks(StackName="daswatch")["Stacks"]
        assert one["StackStatus"] == "CREATE_COMPLETE"
        summaries = client.list_stack_resources(StackName="daswatch")["StackResourceSummaries"]
        yield Deployed(made, {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in summaries})
    finally:
        mock.stop(remove_data=False)


def _prepare() -> None:
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("empty.py", "")
    for name in CODE:
        s3.put_object(Bucket="artifacts", Key=f"daswatch/arm64/{name}.zip", Body=code.getvalue())


def test_everything_that_is_not_listed_as_beyond_moto_is_made(deployed: Deployed) -> None:
    left = {one.type for name, one in deployed.stack.resources.items() if name not in deployed.made}

    assert left == BY_API | OURS


def test_buckets_are_there_encrypted_and_blocked(deployed: Deployed) -> None:
    s3 = deployed.client("s3")

    for name in deployed.stack.of_type("AWS::S3::Bucket"):
        bucket = deployed.made[name]
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"].endswith(deployed.made["DataKey"])


def test_functions_are_there_with_their_settings_and_roles(deployed: Deployed) -> None:
    functions = deployed.client("lambda")

    for name, one in deployed.stack.of_type("AWS::Lambda::Function").items():
        found = functions.get_function_configuration(FunctionName=deployed.made[name])
        assert found["Handler"] == one.properties["Handler"]
        assert found["Environment"]["Variables"].keys() == one.properties["Environment"]["Variables"].keys()
        assert found["Role"].split("/")[-1] in deployed.made.values()


def test_rules_have_their_targets(deployed: Deployed) -> None:
    events = deployed.client("events")

    for one in deployed.stack.of_type("AWS::Events::Rule").values():
        targets = events.list_targets_by_rule(Rule=one.properties["Name"])["Targets"]
        assert [target["Id"] for target in targets] == [target["Id"] for target in one.properties["Targets"]]


def test_iam_takes_every_policy(deployed: Deployed) -> None:
    iam = deployed.client("iam")

    for name in deployed.stack.of_type("AWS::IAM::Role"):
        assert iam.list_role_policies(RoleName=deployed.made[name])["PolicyNames"] or name == "IngestRole"


def test_cloudwatch_takes_every_alarm(deployed: Deployed) -> None:
    client = deployed.client("cloudwatch")
    alarms = deployed.stack.of_type("AWS::CloudWatch::Alarm")

    for one in alarms.values():
        properties = json.loads(json.dumps(one.properties).replace("<AlertTopic>", deployed.made["AlertTopic"]))
        client.put_metric_alarm(**properties)

    names = [one.properties["AlarmName"] for one in alarms.values()]
    assert len(client.describe_alarms(AlarmNames=names)["MetricAlarms"]) == len(alarms)


def test_s3_sns_and_lambda_take_what_is_put_on_them(deployed: Deployed) -> None:
    s3, sns, functions, logs = (deployed.client(name) for name in ("s3", "sns", "lambda", "logs"))

    for one in deployed.stack.of_type("AWS::S3::BucketPolicy").values():
        properties = deployed.real(one.properties)
        s3.put_bucket_policy(Bucket=properties["Bucket"], Policy=json.dumps(properties["PolicyDocument"]))
    for one in deployed.stack.of_type("AWS::SNS::TopicPolicy").values():
        properties = deployed.real(one.properties)
        for topic in properties["Topics"]:
            text = json.dumps(properties["PolicyDocument"])
            sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=text)
    for one in deployed.stack.of_type("AWS::SNS::Subscription").values():
        sns.subscribe(**deployed.real(one.properties))
    for one in deployed.stack.of_type("AWS::Lambda::EventInvokeConfig").values():
        functions.put_function_event_invoke_config(**deployed.real(one.properties))
    for one in deployed.stack.of_type("AWS::Logs::LogStream").values():
        properties = deployed.real(one.properties)
        logs.create_log_stream(logGroupName=properties["LogGroupName"], logStreamName=properties["LogStreamName"])

    topics = [deployed.made[name] for name in deployed.stack.of_type("AWS::SNS::Topic")]
    heard = [one for topic in topics for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]]
    assert {one["Protocol"] for one in heard} == {"email", "lambda"}
    assert len(heard) == 2


def _problems(service: str, operation: str, parameters: Mapping[str, Any]) -> str:
    shape = get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    return str(ParamValidator().validate(parameters, shape).generate_report())


def test_firehose_takes_every_delivery_stream(deployed: Deployed) -> None:
    for name, one in deployed.stack.of_type("AWS::KinesisFirehose::DeliveryStream").items():
        parameters = deployed.real({"DeliveryStreamName": name, **one.properties})
        assert _problems("firehose", "CreateDeliveryStream", parameters) == "", name
        assert len(parameters.get("DeliveryStreamName", "")) <= 64


def test_opensearch_takes_the_domain_and_serverless_its_policy() -> None:
    domain = stack("first try").resources["Domain"].properties
    policy = stack("serverless").resources["CollectionAccess"].properties
    kept = {name: value for name, value in domain.items() if name != "AccessPolicies"}

    assert (
        _problems("opensearch", "CreateDomain", {**kept, "AccessPolicies": json.dumps(domain["AccessPolicies"])}) == ""
    )
    parameters = {**{key[0].lower() + key[1:]: value for key, value in policy.items()}}
    assert _problems("opensearchserverless", "CreateAccessPolicy", parameters) == ""


def test_deleting_the_stack_leaves_what_holds_data(deployed: Deployed) -> None:
    deployed.client("cloudformation").delete_stack(StackName="daswatch")

    left = {one["Name"] for one in deployed.client("s3").list_buckets()["Buckets"]}
    assert {deployed.made[name] for name in deployed.stack.of_type("AWS::S3::Bucket")} <= left
    assert deployed.made["DataKey"] in {one["KeyId"] for one in deployed.client("kms").list_keys()["Keys"]}
    assert not deployed.client("lambda").list_functions()["Functions"]
