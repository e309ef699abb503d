"""A deployment in AWS, read and never changed. Each look-up stands alone: one that fails returns `LookupFailed`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from daswatch.aws.api_calls import AwsError, Trouble, ask
from daswatch.aws.clients import (
    cloudformation_client,
    cloudwatch_client,
    firehose_client,
    kinesis_client,
    kms_client,
    lambda_client,
    regional_client,
    security_hub_client,
    sns_client,
    sts_client,
)
from daswatch.aws.enrolment import all_delivery_names
from daswatch.aws.error_causes import NEXT_STEPS, no_answer
from daswatch.aws.fleet import FleetLookup
from daswatch.deadline import Deadline
from daswatch.doctor.deployment import Lookup, LookupFailed, Resource, Stack
from daswatch.errors import SettingsError
from daswatch.fleet.database import Place
from daswatch.fleet.inventory import Look

if TYPE_CHECKING:
    from types_boto3_cloudwatch.type_defs import MetricAlarmTypeDef
    from types_boto3_firehose.type_defs import DeliveryStreamDescriptionTypeDef
    from types_boto3_kinesis.type_defs import StreamDescriptionSummaryTypeDef
    from types_boto3_kms.type_defs import KeyMetadataTypeDef
    from types_boto3_lambda.type_defs import (
        EventSourceMappingConfigurationTypeDef,
        FunctionConfigurationResponseTypeDef,
    )
    from types_boto3_sns.type_defs import SubscriptionTypeDef

_T = TypeVar("_T")

_ABSENT = ("ResourceNotFoundException", "NotFoundException", "NotFound", "ResourceNotFound")
# The caller is unknown: no look-up can succeed.
_UNKNOWN_CALLER = ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")
_NO_STACK = "ValidationError"  # DescribeStacks has no other code for it
_NO_HUB = "InvalidAccessException"
_ALARMS_PER_CALL = 100  # DescribeAlarms
LOOKUP_SECONDS = 30.0  # for one look-up and all of its pages


class Deployment:
    """The resources of one stack in AWS. Raises SettingsError without a region or valid credentials."""

    def stack(self, name: str) -> Lookup[Stack]:
        """The stack with its resources, parameters and outputs."""
        client = cloudformation_client()
        found = _look_up("cloudformation:DescribeStacks", lambda: client.describe_stacks(StackName=name)["Stacks"][0])
        if isinstance(found, LookupFailed):
            return found
        resources = _look_up("cloudformation:ListStackResources", lambda: list(_resources(client, name)))
        if isinstance(resources, LookupFailed):
            return resources
        return Stack(
            name=name,
            status=found["StackStatus"],
            reason=found.get("StackStatusReason", ""),
            account_id=found["StackId"].split(":")[4],
            parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", ())},
            outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())},
            resources=tuple(resources),
        )

    def function(self, name: str) -> Lookup[FunctionConfigurationResponseTypeDef]:
        """A function's configuration, its environment included."""
        client = lambda_client()
        return _look_up("lambda:GetFunctionConfiguration", lambda: client.get_function_configuration(FunctionName=name))

    def mappings(self, function: str) -> Lookup[list[EventSourceMappingConfigurationTypeDef]]:
        """All event source mappings of a function."""
        pages = lambda_client().get_paginator("list_event_source_mappings")
        return _look_up(
            "lambda:ListEventSourceMappings",
            lambda: [one for page in pages.paginate(FunctionName=function) for one in page["EventSourceMappings"]],
        )

    def databases(self, place: Place) -> Lookup[Look]:
        """All databases of the stack's account and region."""
        lookup = FleetLookup(place.account_id, place.region, regional_client, sts_client, regions=(place.region,))
        (look,) = lookup.look([place.account_id], Deadline.after(LOOKUP_SECONDS * 2))
        if look.failure:
            return LookupFailed("rds:DescribeDBClusters", look.failure, denied="AccessDenied" in look.failure)
        return look

    def delivery_names(self) -> Lookup[frozenset[str]]:
        """The names of all delivery streams that read a Kinesis stream."""
        client = firehose_client()
        return _look_up(
            "firehose:ListDeliveryStreams", lambda: all_delivery_names(client, Deadline.after(LOOKUP_SECONDS))
        )

    def key(self, key_id: str) -> Lookup[KeyMetadataTypeDef]:
        """A KMS key."""
        client = kms_client()
        return _look_up("kms:DescribeKey", lambda: client.describe_key(KeyId=key_id)["KeyMetadata"])

    def kinesis_stream(self, name: str) -> Lookup[StreamDescriptionSummaryTypeDef]:
        """A Kinesis stream."""
        client = kinesis_client()
        return _look_up(
            "kinesis:DescribeStreamSummary",
            lambda: client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"],
        )

    def delivery_stream(self, name: str) -> Lookup[DeliveryStreamDescriptionTypeDef]:
        """A Firehose."""
        client = firehose_client()
        return _look_up(
            "firehose:DescribeDeliveryStream",
            lambda: client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"],
        )

    def subscriptions(self, topic_arn: str) -> Lookup[list[SubscriptionTypeDef]]:
        """The subscriptions of a topic, unconfirmed ones included."""
        pages = sns_client().get_paginator("list_subscriptions_by_topic")
        return _look_up(
            "sns:ListSubscriptionsByTopic",
            lambda: [one for page in pages.paginate(TopicArn=topic_arn) for one in page.get("Subscriptions", ())],
        )

    def alarms(self, names: Iterable[str]) -> Lookup[list[MetricAlarmTypeDef]]:
        """The alarms of these names that are there."""
        wanted, client = sorted(names), cloudwatch_client()

        def look() -> list[MetricAlarmTypeDef]:
            found = []
            for begin in range(0, len(wanted), _ALARMS_PER_CALL):
                some = wanted[begin : begin + _ALARMS_PER_CALL]
                found += client.describe_alarms(AlarmNames=some, MaxRecords=_ALARMS_PER_CALL)["MetricAlarms"]
            return found

        return _look_up("cloudwatch:DescribeAlarms", look)

    def security_hub(self) -> Lookup[str]:
        """Since when Security Hub has been enabled here."""
        client = security_hub_client()
        return _look_up("securityhub:DescribeHub", lambda: client.describe_hub().get("SubscribedAt", ""))


def _resources(client: Any, name: str) -> Iterable[Resource]:
    for page in client.get_paginator("list_stack_resources").paginate(StackName=name):
        for one in page["StackResourceSummaries"]:
            yield Resource(
                name=one["LogicalResourceId"],
                type=one["ResourceType"],
                physical_id=one.get("PhysicalResourceId", ""),
                status=one["ResourceStatus"],
                reason=one.get("ResourceStatusReason", ""),
            )


def _look_up(permission: str, look: Callable[[], _T]) -> Lookup[_T]:
    """Return what a call returns. Raises SettingsError if AWS does not accept the credentials."""
    try:
        return ask(look, Deadline.after(LOOKUP_SECONDS))
    except AwsError as exc:
        code = exc.code
        if code in _UNKNOWN_CALLER:
            raise SettingsError([f"AWS does not accept these credentials: {code} (expected: sign in again)"]) from exc
        if code == "NoCredentialsError":
            raise SettingsError(["AWS credentials are missing (expected: a profile, or a role)"]) from exc
        found = no_answer(exc) if exc.status == 0 else None
        if found:
            return LookupFailed(permission, found.sentence, next_step=NEXT_STEPS[found.cause])
        if exc.status == 0:
            return LookupFailed(permission, f"AWS does not answer ({code})")
        absent = code in (*_ABSENT, _NO_HUB) or (code == _NO_STACK and "does not exist" in exc.words)
        return LookupFailed(permission, exc.words, denied=exc.trouble is Trouble.DENIED, absent=absent)
