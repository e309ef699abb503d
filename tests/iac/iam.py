"""What calls need of IAM, and whether policies grant it: enough of IAM's rules for the policies of template.yaml.

Calls are recorded where botocore and opensearch-py make them, so whatever library asks, it is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from opensearchpy import Transport

from tests.iac.cloudformation import ACCOUNT, REGION

# Where IAM calls it otherwise than the API does: https://docs.aws.amazon.com/service-authorization/
_OTHER_NAMES = {
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject",
    ("lambda", "Invoke"): "lambda:InvokeFunction",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request as IAM sees it; `context` is what conditions look at, `keys` of an encryption context included."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()

    def values(self, key: str) -> list[str]:
        """The values that the request has for a condition key."""
        if key == "kms:EncryptionContextKeys":
            prefix = "kms:EncryptionContext:"
            return [name.removeprefix(prefix) for name, _ in self.context if name.startswith(prefix)]
        return [value for name, value in self.context if name == key]


@dataclass
class Calls:
    """The calls made so far; what AWS does on their behalf is among them.

    `search_arn` is empty where requests to OpenSearch are not signed: then IAM is not asked about them.
    """

    search_arn: str
    stream_key_arn: str
    data_key_arn: str
    made: set[Call] = field(default_factory=set)

    def of_aws(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Note a call of botocore's."""
        if (service, operation) == ("sts", "GetCallerIdentity"):
            return  # no policy can deny it
        action = _OTHER_NAMES.get((service, operation), f"{service}:{operation}")
        context = tuple(
            (f"kms:EncryptionContext:{name}", value) for name, value in parameters.get("EncryptionContext", {}).items()
        )
        if service == "lambda" and operation.endswith("EventSourceMapping"):
            # The function of the tests stands for the template's.
            context = (("lambda:FunctionArn", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daswatch-ingest"),)
        self.made.add(Call(action, self._resource(service, operation, parameters), context))
        # Buckets and topics are encrypted with the data key: S3 and SNS ask KMS in the caller's name.
        on_behalf = {
            ("s3", "GetObject"): ["Decrypt"],
            ("s3", "PutObject"): ["GenerateDataKey"],
            ("sns", "Publish"): ["Decrypt", "GenerateDataKey"],
        }
        for needed in on_behalf.get((service, operation), []):
            via = (("kms:ViaService", f"{service}.{REGION}.amazonaws.com"),)
            self.made.add(Call(f"kms:{needed}", self.data_key_arn, via))
        if (service, operation) == ("rds", "StartActivityStream"):
            # RDS looks at the key and makes a grant for itself, in the caller's name.
            by_rds = ("kms:ViaService", f"rds.{REGION}.amazonaws.com")
            grant = (by_rds, ("kms:GrantIsForAWSResource", "true"))
            self.made.add(Call("kms:CreateGrant", self.stream_key_arn, grant))
            self.made.add(Call("kms:DescribeKey", self.stream_key_arn, (by_rds,)))

    def of_opensearch(self, method: str, path: str) -> None:
        """Note a request to OpenSearch."""
        if self.search_arn:
            self.made.add(Call(f"es:ESHttp{method.title()}", f"{self.search_arn}{path}"))

    def _resource(self, service: str, operation: str, parameters: Mapping[str, Any]) -> str:
        match service, operation:
            case "s3", "PutObject":
                return f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}"
            case "kms", "Decrypt":
                return self.stream_key_arn  # the ciphertext names its key
            case "kms", "DescribeKey":
                return str(parameters["KeyId"])
            case "sns", "Publish":
                return str(parameters["TopicArn"])
            case "firehose", "PutRecordBatch":
                return f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{parameters['DeliveryStreamName']}"
            case "securityhub", "BatchImportFindings":
                (arn,) = {one["ProductArn"] for one in parameters["Findings"]}
                return str(arn)
            case "sts", "AssumeRole":
                return str(parameters["RoleArn"])
            case "secretsmanager", "GetSecretValue":
                return str(parameters["SecretId"])
            case "rds", "StartActivityStream" | "StopActivityStream":
                return str(parameters["ResourceArn"])
            case "lambda", ("CreateEventSourceMapping" | "UpdateEventSourceMapping" | "DeleteEventSourceMapping"):
                return "*"  # its function is a condition
            case "firehose", (
                "CreateDeliveryStream" | "DeleteDeliveryStream" | "DescribeDeliveryStream" | "UpdateDestination"
            ):
                return f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{parameters['DeliveryStreamName']}"
            case "kinesis", ("DescribeStreamSummary" | "ListShards" | "GetShardIterator"):
                name = parameters.get("StreamName") or parameters["StreamARN"].rpartition("/")[2]
                return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"
            case "kinesis", "GetRecords":
                return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/aws-rds-das-any"  # the iterator names it
            case "s3", ("GetObject" | "HeadObject" | "GetObjectTagging" | "PutObjectTagging"):
                return f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}"
            case "s3", "ListObjectsV2":
                return f"arn:aws:s3:::{parameters['Bucket']}"
            case (
                ("cloudwatch", "GetMetricData")
                | ("firehose", "ListDeliveryStreams")
                | ("lambda", "ListEventSourceMappings")
            ):
                return "*"
            case "lambda", "Invoke":
                name = parameters["FunctionName"]  # or its ARN
                return name if name.startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
            case "rds", "DescribeDBClusters":
                return f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:*"  # by a filter: of all
            case "rds", "DescribeDBInstances":
                return f"arn:aws:rds:{REGION}:{ACCOUNT}:db:*"
            case (
                ("rds", "DescribeOrderableDBInstanceOptions")
                | ("ec2", "DescribeRegions")
                | ("organizations", "ListAccounts")
            ):
                return "*"
        raise AssertionError(f"no test knows what {service}:{operation} is about: say so here")


@contextmanager
def recorded(calls: Calls) -> Iterator[Calls]:
    """Notes every call that is made while this lasts, from whatever thread."""
    ask_aws, ask_opensearch = BaseClient._make_api_call, Transport.perform_request  # type: ignore[attr-defined]

    def make_api_call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        calls.of_aws(self.meta.service_model.service_name, operation, parameters)
        return ask_aws(self, operation, parameters)

    def perform_request(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        calls.of_opensearch(method, url)
        return ask_opensearch(self, method, url, *args, **kwargs)

    with (
        patch.object(BaseClient, "_make_api_call", make_api_call),
        patch.object(Transport, "perform_request", perform_request),
    ):
        yield calls


@dataclass(frozen=True, slots=True)
class Grant:
    """One action on one resource that a statement allows."""

    action: str
    resource: str
    statement: str  # its Sid, for people
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()  # operator, key, values

    def allows(self, call: Call) -> bool:
        """Whether this grant alone would let a call through."""
        return (
            _like(self.action, call.action)
            and _like(self.resource, call.resource)
            and all(_holds(operator, values, call.values(key)) for operator, key, values in self.conditions)
        )


def grants(statements: Iterable[Mapping[str, Any]]) -> list[Grant]:
    """What statements allow, one action on one resource each."""
    found = []
    for statement in statements:
        assert statement["Effect"] == "Allow", statement
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
        conditions = tuple(
            (operator, key, tuple(_listed(values)))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
        found += [
            Grant(action, resource, statement.get("Sid", ""), conditions)
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        ]
    return found


def _listed(value: Any) -> list[str]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _like(pattern: str, value: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value, re.DOTALL) is not None


def _holds(operator: str, wanted: Sequence[str], given: Sequence[str]) -> bool:
    match operator:
        case "StringEquals" | "ArnEquals" | "Bool" | "ForAnyValue:StringEquals":
            return any(value in wanted for value in given)
        case "StringLike":
            return any(_like(pattern, value) for pattern in wanted for value in given)
        case "StringEqualsIfExists":
            return not given or any(value in wanted for value in given)
    raise AssertionError(f"no test knows the condition {operator}")
