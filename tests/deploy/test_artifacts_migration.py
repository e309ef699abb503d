"""From a stack with resources for each database: consumers stay in AWS, and enrolment adopts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from daswatch.enrolment.consumers import DeliveryFound, Kind, MappingFound, new_delivery, new_mapping
from daswatch.enrolment.plan import Present, State, plan
from daswatch.fleet.inventory import Look
from demo.aws import LocalAws
from tests.builders.fleet import PLACE, cluster
from tests.harness.enrolment import wanted
from tools.artifacts.migration import keeping
from tools.artifacts.stack import Stack
from tools.artifacts.template import _Loader
from tools.artifacts.upload import upload_template

# The loop of an earlier release, shortened.
EARLIER = """\
Transform:
  - AWS::LanguageExtensions
Resources:
  # Per database.
  Fn::ForEach::Databases:
    - Database
    - !Ref Databases
    - Stream&{Database}:
        Type: Custom::ActivityStream

      ReadAccess&{Database}:
        Type: AWS::IAM::Policy

      Mapping&{Database}:
        Type: AWS::Lambda::EventSourceMapping
        DependsOn: Content

      Evidence&{Database}:
        Type: AWS::KinesisFirehose::DeliveryStream

      EvidenceRole&{Database}:
        Type: AWS::IAM::Role

      Splunk&{Database}:
        Type: AWS::KinesisFirehose::DeliveryStream
        Condition: DeliversToSplunk

      SplunkRole&{Database}:
        Type: AWS::IAM::Role

      Silent&{Database}:
        Type: AWS::CloudWatch::Alarm
"""


def resources(text: str) -> dict[str, Any]:
    """The resources of each database."""
    loop = yaml.load(text, _Loader)["Resources"]["Fn::ForEach::Databases"]  # noqa: S506 - a safe loader
    return dict(loop[2])


def test_consumers_stay_when_they_leave_the_template() -> None:
    before, after = resources(EARLIER), resources(keeping(EARLIER))

    kept = {name.removesuffix("&{Database}") for name, one in after.items() if one.get("DeletionPolicy") == "Retain"}
    assert kept == {"Mapping", "Evidence", "EvidenceRole", "Splunk", "SplunkRole"}
    added = {"DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
    assert {
        name: {key: value for key, value in one.items() if key not in added} for name, one in after.items()
    } == before


def test_template_that_keeps_them_or_has_none_is_left_alone() -> None:
    assert keeping(keeping(EARLIER)) == ""
    assert keeping((Path(__file__).parents[2] / "template.yaml").read_text("utf-8")) == ""


def test_template_of_a_stack_is_read_and_uploaded(aws: LocalAws) -> None:
    body = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n"
    client = aws.client("cloudformation")
    bucket = aws.create_bucket("artifacts-of-migration")
    assert Stack(client, "nowhere").template() == ""
    client.create_stack(StackName="earlier", TemplateBody=body)

    text = Stack(client, "earlier").template()
    url = upload_template(aws.s3(), bucket, text)

    assert text == body
    key = urlsplit(url).path.removeprefix("/")
    assert aws.s3().get_object(Bucket=bucket, Key=key)["Body"].read().decode() == body


def test_kept_consumers_are_adopted_and_none_is_made() -> None:
    settings = wanted("all")
    database = cluster("orders", ActivityStreamKinesisStreamName="aws-rds-das-cluster-ORDERS")
    arn = database.rds.kinesis_stream_arn
    mapping = MappingFound("uuid", arn, "Enabled", new_mapping(settings.consumers, arn))
    made = new_delivery(settings.consumers, Kind.EVIDENCE, arn)
    description = {**made["ExtendedS3DestinationConfiguration"], "RoleARN": "arn:aws:iam::123456789012:role/earlier"}
    name = "daswatch-Evidenceclusterorders-A1B2C3"
    delivery = DeliveryFound(name, arn, "ACTIVE", "1", "d-1", description, Kind.EVIDENCE)

    (found,) = (
        one
        for one in plan(
            Look(PLACE, (database,)),
            Present({arn: mapping}, {(arn, Kind.EVIDENCE): delivery}, frozenset({name})),
            settings,
            {},
            "2031-03-04T10:00:00.000Z",
        )
        if one.name == "cluster:orders"
    )

    assert (found.state, found.steps) == (State.WATCHED, ())
