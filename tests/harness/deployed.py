"""A deployment to look at: its parts in moto, its stack by botocore's model, its index on the real node.

moto's CloudFormation makes neither alarms nor Firehoses nor what a custom resource stands for, so the stack itself is
answered by a stubbed client, whose requests and answers botocore validates.
"""

from __future__ import annotations

import io
import secrets
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.stub import Stubber
from opensearchpy import OpenSearch

from daswatch.enrolment.consumers import MAPPING_SETTINGS
from daswatch.indices import DEFAULT_INDEX_PREFIX
from demo.aws import REGION
from tests.fakes.rds import ACCOUNT, Rds

NAME = "daswatch"
INDICES = (
    "das-pulse",
    "das-databases",
    "das-enrolments",
    "das-dead-letters",
    "das-runs",
    "das-drops-*",
    f"{DEFAULT_INDEX_PREFIX}-*",
)


@dataclass
class Deployed:
    """What a stack of one cluster has. Tests break a part of it."""

    rds: Rds
    url: str
    search: OpenSearch
    database: str = ""
    resource_id: str = ""
    mapping: str = ""
    topic: str = ""
    letters: str = "arn:aws:s3:::daswatch-dead-letters"
    names: dict[str, str] = field(default_factory=dict)
    status: str = "CREATE_COMPLETE"
    parameters: dict[str, str] = field(default_factory=dict)

    def client(self, service: Any) -> Any:
        return self.rds.aws.client(service)

    def make(self) -> None:
        """All its parts, as they should be."""
        own = secrets.token_hex(4)
        self.database = self.rds.cluster()
        self.rds.run_stream(self.database)
        self.resource_id = self.rds.resource_id(self.database)
        stream = f"aws-rds-das-{self.resource_id}"
        self.client("kinesis").create_stream(StreamName=stream, ShardCount=1)
        function = self._function(
            f"daswatch-{own}-setup", OPENSEARCH_ENDPOINT=self.url, OPENSEARCH_AUTH="none", MONITORS="false"
        )
        ingest = self._function(f"daswatch-{own}-ingest")
        self.mapping = self.client("lambda").create_event_source_mapping(
            FunctionName=ingest,
            EventSourceArn=f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream}",
            StartingPosition="TRIM_HORIZON",
            DestinationConfig={"OnFailure": {"Destination": self.letters}},
            **MAPPING_SETTINGS,
        )["UUID"]
        enrol = self._function(
            f"daswatch-{own}-enrol",
            OPENSEARCH_ENDPOINT=self.url,
            DATABASES=self.database,
            STREAM_KEY_ARN=self.rds.key_arn,
            INGEST_FUNCTION_ARN=self._arn(ingest),
            RESOURCE_PREFIX=f"daswatch-{own}",
            DEAD_LETTER_BUCKET="daswatch-dead-letters",
            EVIDENCE_BUCKET="evidence",
            DELIVERY_ROLE_ARN=self._role(),
            DATA_KEY_ARN=self.rds.key_arn,
            DELIVERY_LOG_GROUP="deliveries",
        )
        evidence = f"daswatch-{own}-evidence-{self.resource_id}"
        self.deliver(evidence)
        sns = self.client("sns")
        self.topic = sns.create_topic(Name=f"daswatch-{own}")["TopicArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="lambda", Endpoint=self._arn(ingest))
        alarm = f"daswatch-{own}-DeadLetters"
        self.alarm(alarm, "OK")
        self.client("securityhub").enable_security_hub()
        self.names = {"setup": function, "enrol": enrol, "ingest": ingest, "evidence": evidence, "alarm": alarm}
        self.parameters = {"Databases": self.database, "StreamMode": "async", "Architecture": "arm64"}

    def deliver(self, name: str) -> None:
        """A Firehose of this name that keeps the evidence."""
        self.client("firehose").create_delivery_stream(
            DeliveryStreamName=name,
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={
                "KinesisStreamARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/aws-rds-das-{self.resource_id}",
                "RoleARN": self._role(),
            },
            ExtendedS3DestinationConfiguration={"RoleARN": self._role(), "BucketARN": self.letters},
        )

    def alarm(self, name: str, state: str) -> None:
        cloudwatch = self.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            AlarmDescription="Records can never be indexed",
            Namespace="Daswatch",
            MetricName="DeadLetters",
            Statistic="Sum",
            Period=300,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="so it is")

    def fill(self) -> None:
        """What a deployment that works has written a moment ago."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        heard = {"resourceId": self.resource_id, "instanceId": f"{self.resource_id}-0", "lastSeen": now}
        self.put("das-pulse", heard)
        event = {"@timestamp": now, "ingestedAt": now, "resourceId": self.resource_id}
        self.put(f"{DEFAULT_INDEX_PREFIX}-{now[:10].replace('-', '.')}", event)
        self.put(f"das-drops-{now[:7].replace('-', '.')}", {**event, "reason": "aws user", "count": 41})
        self.put("das-runs", {"since": now, "behind": {}}, "scheduled")

    def put(self, index: str, document: dict[str, Any], name: str | None = None) -> None:
        self.search.index(index=index, id=name, body=document, params={"refresh": "true"})

    def forget(self) -> None:
        """Leave nothing of this test, or of others, in what is looked at."""
        for index in INDICES:
            self.search.indices.delete(index=index, params={"ignore_unavailable": "true"})

    def cloudformation(self) -> Any:
        """A client that describes this stack, in two pages."""
        client = boto3.client("cloudformation", REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
        stub = Stubber(client)
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()]
        outputs = [
            {"OutputKey": "AlertTopicArn", "OutputValue": self.topic},
            {"OutputKey": "ActivityStreamKeyArn", "OutputValue": self.rds.key_arn},
        ]
        arn = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{NAME}/4f2c5b0e"
        stack = {"StackName": NAME, "StackId": arn, "CreationTime": datetime.now(UTC), "StackStatus": self.status}
        stub.add_response(
            "describe_stacks",
            {"Stacks": [{**stack, "Parameters": parameters, "Outputs": outputs}]},
            {"StackName": NAME},
        )
        resources = self._resources()
        first = {"StackResourceSummaries": resources[:2], "NextToken": "more"}
        stub.add_response("list_stack_resources", first, {"StackName": NAME})
        stub.add_response(
            "list_stack_resources",
            {"StackResourceSummaries": resources[2:]},
            {"StackName": NAME, "NextToken": "more"},
        )
        stub.activate()
        return client

    def _resources(self) -> list[dict[str, Any]]:
        there = [
            ("SetupFunction", "AWS::Lambda::Function", self.names["setup"]),
            ("IngestFunction", "AWS::Lambda::Function", self.names["ingest"]),
            ("EnrolFunction", "AWS::Lambda::Function", self.names["enrol"]),
            ("DeadLettersAlarm", "AWS::CloudWatch::Alarm", self.names["alarm"]),
        ]
        return [
            {
                "LogicalResourceId": name,
                "ResourceType": kind,
                "PhysicalResourceId": physical,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": datetime.now(UTC),
            }
            for name, kind, physical in there
        ]

    def _function(self, name: str, **variables: str) -> str:
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("handler.py", "")
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=self._role(),
            Handler="handler.handler",
            Code={"ZipFile": code.getvalue()},
            Architectures=["arm64"],
            Environment={"Variables": variables},
        )
        return name

    def _arn(self, function: str) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"

    def _role(self) -> str:
        name = f"daswatch-{secrets.token_hex(4)}"
        return str(self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"])
