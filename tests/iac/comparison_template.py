"""What template.yaml makes, as facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tests.iac.cloudformation import Stack
from tests.iac.comparison import (
    Facts,
    alarm_subject,
    folded,
    folded_name,
    number,
    parameters_set,
    quoted,
    statements,
    without_suffix,
)


def facts_of_stack(stack: Stack) -> Facts:
    """Raises AssertionError for a type of resource that nobody compares."""
    facts: Facts = {}
    for name, one in stack.resources.items():
        properties, kind = deepcopy(one.properties), one.type.removeprefix("AWS::")
        match kind:
            case "IAM::Role":
                facts["permissions", name] = statements(*stack.statements(name))
                facts["trust", name] = statements(properties["AssumeRolePolicyDocument"]["Statement"])
            case "IAM::Policy" | "IAM::ManagedPolicy":
                pass  # in the permissions of their roles
            case "S3::BucketPolicy" | "SNS::TopicPolicy":
                subject = properties["Bucket"] if "Bucket" in properties else properties["Topics"][0]
                facts["policy", subject] = statements(properties["PolicyDocument"]["Statement"])
            case "KMS::Key":
                policy = properties["KeyPolicy"]["Statement"]
                facts["policy", f"<{name}>"] = statements(policy)
                facts["key", name] = {"rotation": properties["EnableKeyRotation"]}
            case "CloudWatch::Alarm":
                properties["Dimensions"] = {each["Name"]: each["Value"] for each in properties["Dimensions"]}
                facts["alarm", alarm_subject(folded(properties))] = folded(properties)
            case "Lambda::Function":
                code = properties.pop("Code")
                made = {**properties, **code, "LoggingConfig": {"LogFormat": "Text", **properties["LoggingConfig"]}}
                facts["function", name] = folded(made, "tags")
            case "Lambda::Permission":
                facts["right to call", f"{properties['FunctionName']} by {properties['SourceArn']}"] = folded(
                    properties
                )
            case "Lambda::EventSourceMapping":
                facts["mapping", name] = folded(properties, "tags")
            case "Events::Rule":
                facts["rule", name] = _rule_of_template(properties)
            case "KinesisFirehose::DeliveryStream":
                facts["delivery", name] = _delivery_of_template(properties)
            case "S3::Bucket":
                facts["bucket", name] = _bucket_of_template(properties)
            case "Custom::ActivityStream" | "Custom::Content":
                ours = {"ServiceToken", "ServiceTimeout", "StartedBy", "AllowedBy"}
                facts["invocation", name] = {key: value for key, value in properties.items() if key not in ours}
            case "SecretsManager::Secret":
                made = properties["GenerateSecretString"]
                facts["secret", name] = {
                    "user": json.loads(made["SecretStringTemplate"])["username"],
                    "length": made["PasswordLength"],
                    "every kind": made["RequireEachIncludedType"],
                }
            case "OpenSearchService::Domain":
                facts["policy", f"<{name}>"] = statements(properties.pop("AccessPolicies")["Statement"])
                del properties["AdvancedSecurityOptions"]["MasterUserOptions"]
                properties["EncryptAtRest"] = properties.pop("EncryptionAtRestOptions")
                properties["NodeToNodeEncryption"] = properties.pop("NodeToNodeEncryptionOptions")
                facts["domain", name] = folded(properties)
            case "OpenSearchServerless::AccessPolicy":
                facts["access", name] = folded({**properties, "Policy": json.loads(properties["Policy"])})
            case "SNS::Subscription":
                facts["subscription", f"{properties['TopicArn']} {properties['Protocol']}"] = folded(properties)
            case "SNS::Topic" | "Logs::LogGroup" | "Logs::LogStream" | "KMS::Alias" | "Lambda::EventInvokeConfig":
                subject = properties["FunctionName"] if kind == "Lambda::EventInvokeConfig" else name
                facts[_plain_kind(kind), subject] = folded(properties)
            case _:
                raise AssertionError(f"nobody compares {one.type}")
        if one.raw.get("DeletionPolicy") == "Retain" and kind != "S3::BucketPolicy":
            facts["kept", name] = True
    facts["outputs", "all"] = {folded_name(key): value for key, value in stack.outputs.items()}
    plain: Facts = without_suffix(facts)
    return plain


def _plain_kind(kind: str) -> str:
    return {
        "SNS::Topic": "topic",
        "Logs::LogGroup": "log",
        "Logs::LogStream": "log stream",
        "KMS::Alias": "alias",
        "Lambda::EventInvokeConfig": "retries",
    }[kind]


def _rule_of_template(properties: Mapping[str, Any]) -> dict[str, Any]:
    targets = {}
    for target in properties["Targets"]:
        transformer = target.get("InputTransformer", {})
        told = transformer.get("InputTemplate", "")
        targets[target["Id"]] = {"arn": target["Arn"], "paths": transformer.get("InputPathsMap"), "tells": quoted(told)}
    pattern, schedule = properties.get("EventPattern"), properties.get("ScheduleExpression")
    return {"name": properties["Name"], "pattern": pattern, "schedule": schedule, "targets": targets}


def _bucket_of_template(properties: Mapping[str, Any]) -> dict[str, Any]:
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return {
        "encryption": folded({**encryption["ServerSideEncryptionByDefault"], "key": encryption["BucketKeyEnabled"]}),
        "public access": folded(properties["PublicAccessBlockConfiguration"]),
        "ownership": properties["OwnershipControls"]["Rules"][0]["ObjectOwnership"],
        "versioning": properties["VersioningConfiguration"]["Status"],
        "lifecycle": [_lifecycle_of_template(rule) for rule in properties["LifecycleConfiguration"]["Rules"]],
    }


def _lifecycle_of_template(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": rule["Id"],
        "status": rule["Status"],
        "transitions": [[one["TransitionInDays"], one["StorageClass"]] for one in rule.get("Transitions", [])],
        "expires": number(rule.get("ExpirationInDays")),
        "old versions": rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        "half done": rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"],
    }


def _delivery_of_template(properties: dict[str, Any]) -> dict[str, Any]:
    s3 = properties.get("ExtendedS3DestinationConfiguration")
    splunk = properties.get("SplunkDestinationConfiguration")
    destination: dict[str, Any] = _flat_s3(s3) if s3 else dict(splunk or {})
    if splunk:
        destination["S3Configuration"] = folded(_flat_s3(splunk["S3Configuration"]))
        destination["RetryDuration"] = destination.pop("RetryOptions")["DurationInSeconds"]
    processing = destination.pop("ProcessingConfiguration")
    found = folded(destination)
    found["processors"] = [
        [
            one["Type"],
            parameters_set({each["ParameterName"]: each["ParameterValue"] for each in one.get("Parameters", [])}),
        ]
        for one in processing["Processors"]
    ]
    encrypted = properties.get("DeliveryStreamEncryptionConfigurationInput")
    return {
        "destination": found,
        "source": folded(properties.get("KinesisStreamSourceConfiguration", {})),
        "encrypted by": encrypted and encrypted["KeyType"],
        "processes": processing["Enabled"],
    }


def _flat_s3(configuration: Mapping[str, Any]) -> dict[str, Any]:
    flat = dict(configuration)
    if hints := flat.pop("BufferingHints", None):
        flat |= {"BufferingSize": hints["SizeInMBs"], "BufferingInterval": hints["IntervalInSeconds"]}
    flat["KmsKeyArn"] = flat.pop("EncryptionConfiguration")["KMSEncryptionConfig"]["AWSKMSKeyARN"]
    return flat
