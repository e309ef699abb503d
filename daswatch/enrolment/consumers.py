"""What consumes an activity stream: the mapping to the ingest function, and the Firehoses that keep or forward records.

In: the settings of a deployment, and what Lambda and Firehose describe. Out: the parameters of the calls that create a
consumer, or that change one in place: a consumer that is replaced would begin elsewhere in the stream, and leave a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from daswatch.alerts.findings import partition
from daswatch.fleet.database import Place
from daswatch.records.envelope import STREAM_PREFIX, stream_name

STACK_TAG = "daswatch:stack"

# Of each mapping, by Lambda's names.
MAPPING_SETTINGS: Mapping[str, Any] = {
    "BatchSize": 200,
    "MaximumBatchingWindowInSeconds": 5,  # without it, each heartbeat (one a second) would be an invocation
    "ParallelizationFactor": 2,  # document ids are deterministic, so order does not matter
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": -1,  # by age alone
    "MaximumRecordAgeInSeconds": 82_800,  # 23 hours: moved to the bucket an hour before Kinesis drops them
    "MetricsConfig": {"Metrics": ["EventCount"]},
}
_CHANGING = ("Creating", "Enabling", "Disabling", "Updating", "Deleting")
_DISABLED = "Disabled"
_BUFFER = {"SizeInMBs": 64, "IntervalInSeconds": 300}
# The source's role cannot be changed, and a delivery that was made before keeps the one that it has.
_NOT_COMPARED = ("RoleARN",)
_IN_UPDATE = {"S3Configuration": "S3Update"}
# Which entries of a list belong together.
_LIST_KEYS = ("Type", "ParameterName")


class Kind(StrEnum):
    """What a delivery stream is for; a part of its name."""

    EVIDENCE = "evidence"
    SPLUNK = "splunk"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the encrypted records are kept; all are ARNs but the log group's name."""

    bucket: str
    role: str
    key: str
    log_group: str


@dataclass(frozen=True, slots=True)
class Splunk:
    """Where events are forwarded to. `backup_bucket` gets what Splunk does not take; `function` transforms."""

    endpoint: str
    secret: str
    function: str
    role: str
    backup_bucket: str
    key: str
    log_group: str


@dataclass(frozen=True, slots=True)
class Consumers:
    """What is to consume each stream of a deployment. `name` is the prefix of its resources."""

    name: str
    function: str  # ARN
    failures: str  # ARN of the bucket for records that Lambda gives up
    evidence: Evidence | None = None
    splunk: Splunk | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The deliveries that each stream is to have."""
        wanted = {Kind.EVIDENCE: self.evidence, Kind.SPLUNK: self.splunk}
        return tuple(kind for kind, settings in wanted.items() if settings)

    @property
    def tags(self) -> Mapping[str, str]:
        """Of all that this deployment makes."""
        return {STACK_TAG: self.name}


@dataclass(frozen=True, slots=True)
class MappingFound:
    """An event source mapping as Lambda lists it."""

    uuid: str
    stream_arn: str
    state: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> MappingFound:
        """From ListEventSourceMappings."""
        return cls(raw["UUID"], raw.get("EventSourceArn", ""), raw.get("State", ""), raw)

    @property
    def is_changing(self) -> bool:
        """Whether Lambda takes no change of it now."""
        return self.state in _CHANGING


@dataclass(frozen=True, slots=True)
class DeliveryFound:
    """A delivery stream as Firehose describes it."""

    name: str
    stream_arn: str
    status: str
    version: str
    destination_id: str
    destination: Mapping[str, Any]
    kind: Kind
    failure: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> DeliveryFound:
        """From DescribeDeliveryStream's description."""
        destination: Mapping[str, Any] = next(iter(raw.get("Destinations", ())), {})
        splunk = destination.get("SplunkDestinationDescription")
        return cls(
            name=raw["DeliveryStreamName"],
            stream_arn=raw.get("Source", {}).get("KinesisStreamSourceDescription", {}).get("KinesisStreamARN", ""),
            status=raw.get("DeliveryStreamStatus", ""),
            version=raw.get("VersionId", ""),
            destination_id=destination.get("DestinationId", ""),
            destination=splunk or destination.get("ExtendedS3DestinationDescription") or {},
            kind=Kind.SPLUNK if splunk else Kind.EVIDENCE,
            failure=raw.get("FailureDescription", {}).get("Details", ""),
        )


def resource_id_of(stream_arn: str) -> str:
    """The database of a Kinesis stream; empty for one that is not an activity stream's."""
    name = stream_arn.rpartition("/")[2]
    return name.removeprefix(STREAM_PREFIX) if name.startswith(STREAM_PREFIX) else ""


def stream_arn(place: Place, resource_id: str) -> str:
    """The Kinesis stream of a database, which RDS makes in the database's own account and region."""
    start = f"arn:{partition(place.region)}:kinesis:{place.region}:{place.account_id}"
    return f"{start}:stream/{stream_name(resource_id)}"


def new_mapping(consumers: Consumers, stream_arn: str) -> dict[str, Any]:
    """CreateEventSourceMapping's parameters: from the stream's begin, so that nothing is missed."""
    return {
        "EventSourceArn": stream_arn,
        "FunctionName": consumers.function,
        "StartingPosition": "TRIM_HORIZON",
        **_mapping_settings(consumers),
        "Tags": dict(consumers.tags),
    }


def mapping_changes(consumers: Consumers, found: MappingFound) -> dict[str, Any]:
    """UpdateEventSourceMapping's parameters, empty where nothing differs. Its place in the stream stays."""
    changes = {
        name: value for name, value in _mapping_settings(consumers).items() if _differs(value, found.settings.get(name))
    }
    if found.state == _DISABLED:
        changes["Enabled"] = True
    return {"UUID": found.uuid, **changes} if changes else {}


def _mapping_settings(consumers: Consumers) -> dict[str, Any]:
    return {**MAPPING_SETTINGS, "DestinationConfig": {"OnFailure": {"Destination": consumers.failures}}}


def delivery_name(consumers: Consumers, kind: Kind, resource_id: str) -> str:
    """The name of a database's delivery stream: at most 64 characters."""
    return f"{delivery_prefix(consumers, kind)}{resource_id}"


def delivery_prefix(consumers: Consumers, kind: Kind) -> str:
    """What the names of one kind's delivery streams begin with."""
    return f"{consumers.name}-{kind}-"


def read_delivery_name(consumers: Consumers, name: str) -> tuple[Kind, str] | None:
    """The kind and resource id of a name that `delivery_name` gives; None for any other."""
    for kind in Kind:
        prefix = delivery_prefix(consumers, kind)
        if name.startswith((f"{prefix}cluster-", f"{prefix}db-")):
            return kind, name.removeprefix(prefix)
    return None


def new_delivery(consumers: Consumers, kind: Kind, stream_arn: str) -> dict[str, Any]:
    """CreateDeliveryStream's parameters. Firehose begins at the stream's end."""
    resource_id = resource_id_of(stream_arn)
    destination = _destination(consumers, kind, resource_id)
    name = "ExtendedS3DestinationConfiguration" if kind is Kind.EVIDENCE else "SplunkDestinationConfiguration"
    return {
        "DeliveryStreamName": delivery_name(consumers, kind, resource_id),
        "DeliveryStreamType": "KinesisStreamAsSource",
        "KinesisStreamSourceConfiguration": {"KinesisStreamARN": stream_arn, "RoleARN": _role(consumers, kind)},
        name: destination,
        "Tags": [{"Key": key, "Value": value} for key, value in consumers.tags.items()],
    }


def delivery_changes(consumers: Consumers, found: DeliveryFound) -> dict[str, Any]:
    """UpdateDestination's parameters, empty where nothing differs. Its place in the stream stays."""
    wanted = _destination(consumers, found.kind, resource_id_of(found.stream_arn))
    described = dict(found.destination)
    if found.kind is Kind.SPLUNK:
        described["S3Configuration"] = described.pop("S3DestinationDescription", {})
    if not _differs(wanted, described):
        return {}
    wanted = {name: value for name, value in wanted.items() if name not in _NOT_COMPARED}
    if found.kind is Kind.SPLUNK:
        update = {"SplunkDestinationUpdate": {_IN_UPDATE.get(name, name): value for name, value in wanted.items()}}
    else:
        update = {"ExtendedS3DestinationUpdate": wanted}
    return {
        "DeliveryStreamName": found.name,
        "CurrentDeliveryStreamVersionId": found.version,
        "DestinationId": found.destination_id,
        **update,
    }


def _role(consumers: Consumers, kind: Kind) -> str:
    settings = consumers.evidence if kind is Kind.EVIDENCE else consumers.splunk
    if settings is None:
        raise ValueError(kind)
    return settings.role


def _destination(consumers: Consumers, kind: Kind, resource_id: str) -> dict[str, Any]:
    if kind is Kind.EVIDENCE:
        return _evidence_destination(consumers.evidence, resource_id)
    return _splunk_destination(consumers.splunk, resource_id)


def _evidence_destination(evidence: Evidence | None, resource_id: str) -> dict[str, Any]:
    """The encrypted records, one per line, by database and day."""
    if evidence is None:
        raise ValueError(Kind.EVIDENCE)
    return {
        "BucketARN": evidence.bucket,
        "RoleARN": evidence.role,
        "Prefix": f"evidence/{resource_id}/!{{timestamp:yyyy/MM/dd}}/",
        "ErrorOutputPrefix": (
            f"evidence-failed/{resource_id}/!{{firehose:error-output-type}}/!{{timestamp:yyyy/MM/dd}}/"
        ),
        "BufferingHints": dict(_BUFFER),
        "CompressionFormat": "GZIP",
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": evidence.key}},
        "CloudWatchLoggingOptions": _logging(evidence.log_group),
        # Firehose concatenates records; each envelope is one line of JSON, so a line feed separates them.
        "ProcessingConfiguration": {
            "Enabled": True,
            "Processors": [
                {
                    "Type": "AppendDelimiterToRecord",
                    "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                }
            ],
        },
    }


def _splunk_destination(splunk: Splunk | None, resource_id: str) -> dict[str, Any]:
    if splunk is None:
        raise ValueError(Kind.SPLUNK)
    parameters = {
        "LambdaArn": f"{splunk.function}:$LATEST",
        # Rows are up to 20 times as large as records, and a response is limited to 6 MB (docs/firehose.md).
        "BufferSizeInMBs": "0.2",
        "BufferIntervalInSeconds": "10",
        "NumberOfRetries": "3",
    }
    return {
        "HECEndpoint": splunk.endpoint,
        "HECEndpointType": "Event",
        "SecretsManagerConfiguration": {"Enabled": True, "SecretARN": splunk.secret, "RoleARN": splunk.role},
        "RetryOptions": {"DurationInSeconds": 3600},
        "S3BackupMode": "FailedEventsOnly",
        "S3Configuration": {
            "BucketARN": splunk.backup_bucket,
            "RoleARN": splunk.role,
            "Prefix": f"splunk/{resource_id}/",
            "CompressionFormat": "GZIP",
            "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": splunk.key}},
        },
        "CloudWatchLoggingOptions": _logging(splunk.log_group),
        "ProcessingConfiguration": {
            "Enabled": True,
            "Processors": [
                {
                    "Type": "Lambda",
                    "Parameters": [
                        {"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()
                    ],
                }
            ],
        },
    }


def _logging(log_group: str) -> dict[str, Any]:
    return {"Enabled": True, "LogGroupName": log_group, "LogStreamName": "deliveries"}


def _differs(wanted: object, found: object) -> bool:
    """Whether something that is wanted is not there. What AWS adds by itself is no difference."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return True
        return any(_differs(one, found.get(name)) for name, one in wanted.items() if name not in _NOT_COMPARED)
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(found, Sequence) or isinstance(found, str):
            return True
        if not all(isinstance(one, Mapping) for one in wanted):
            return sorted(map(str, wanted)) != sorted(map(str, found))
        return any(_differs(one, _alike(one, found)) for one in wanted)
    return wanted != found


def _alike(wanted: Mapping[str, Any], found: Sequence[Any]) -> object:
    """The entry of a list that is about the same thing."""
    return next((one for one in found if all(one.get(key) == wanted.get(key) for key in _LIST_KEYS)), None)
