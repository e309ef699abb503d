"""What the module in terraform/ makes, as facts, by the names of the template (`aws_kms_key.data` is `DataKey`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.iac.comparison import (
    Facts,
    alarm_subject,
    folded,
    folded_name,
    parameters_set,
    quoted,
    statements,
    without_suffix,
)
from tests.iac.terraform import Blocks, Instance, Module

# What the module's resources are in the template. A key of for_each follows the template's name, [0] is nothing.
NAMES = {
    "aws_cloudwatch_event_rule.components": "ComponentsChanged",
    "aws_cloudwatch_event_rule.each_minute": "EachMinute",
    "aws_cloudwatch_event_rule.key": "KeyTampered",
    "aws_cloudwatch_event_rule.manual_changes": "ComponentsChangedManually",
    "aws_cloudwatch_event_rule.stream": "StreamTampered",
    "aws_cloudwatch_log_group.delivery": "DeliveryLog",
    "aws_cloudwatch_log_group.function[findings]": "FindingsLog",
    "aws_cloudwatch_log_group.function[ingest]": "IngestLog",
    "aws_cloudwatch_log_group.function[notified]": "NotifiedLog",
    "aws_cloudwatch_log_group.function[setup]": "SetupLog",
    "aws_cloudwatch_log_group.function[transform]": "TransformLog",
    "aws_cloudwatch_log_stream.delivery": "DeliveryLogStream",
    "aws_iam_policy.ingest": "IngestAccess",
    "aws_iam_policy.network_interfaces": "NetworkInterfaces",
    "aws_iam_role.channel": "ChannelRole",
    "aws_iam_role.evidence": "EvidenceRole",
    "aws_iam_role.findings": "FindingsRole",
    "aws_iam_role.ingest": "IngestRole",
    "aws_iam_role.rows": "RowsRole",
    "aws_iam_role.setup": "SetupRole",
    "aws_iam_role.splunk": "SplunkRole",
    "aws_iam_role.transform": "TransformRole",
    "aws_kinesis_firehose_delivery_stream.evidence": "Evidence",
    "aws_kinesis_firehose_delivery_stream.rows": "RowsDelivery",
    "aws_kinesis_firehose_delivery_stream.splunk": "Splunk",
    "aws_kms_alias.data": "DataKeyAlias",
    "aws_kms_key.data": "DataKey",
    "aws_kms_key.stream": "StreamKey",
    "aws_lambda_event_source_mapping.stream": "Mapping",
    "aws_lambda_function.findings": "FindingsFunction",
    "aws_lambda_function.ingest": "IngestFunction",
    "aws_lambda_function.notified": "NotifiedFunction",
    "aws_lambda_function.setup": "SetupFunction",
    "aws_lambda_function.transform": "TransformFunction",
    "aws_lambda_invocation.content": "Content",
    "aws_lambda_invocation.stream": "Stream",
    "aws_opensearch_domain.first_try": "Domain",
    "aws_opensearchserverless_access_policy.functions": "CollectionAccess",
    "aws_s3_bucket.dead_letters": "DeadLetterBucket",
    "aws_s3_bucket.evidence": "EvidenceBucket",
    "aws_s3_bucket.rows": "RowsBucket",
    "aws_secretsmanager_secret.domain_user": "DomainUser",
    "aws_sns_topic.alerts": "AlertTopic",
    "aws_sns_topic.monitors": "MonitorTopic",
}
# Which the template has no counterpart of: what Terraform needs to do the same.
TERRAFORMS_OWN = {
    "random_id": "the template takes a part of the stack's id",
    "random_password": "Secrets Manager makes it for the template",
    "aws_secretsmanager_secret_version": "the secret's content, a property in the template",
}

_REFERENCE = re.compile(
    r"<(?:jsondecode\()?((?:aws|random)_\w+\.\w+(?:\[[a-z]\w*\])?)(?:\[0\])?\.(?:result\)\.Data\.)?(\w+)>"
)
_ARN_IS_THE_REF = ("aws_iam_policy.", "aws_secretsmanager_secret.", "aws_sns_topic.")
_Add = Callable[[Facts, str, dict[str, Any]], None]
_GROUP_ALONE = " without its streams"
_OF_A_STREAM = ("KinesisStreamArn", "KinesisStreamName", "KmsKeyArn", "ResourceId")


def facts_of_module(module: Module) -> Facts:
    """Raises AssertionError for a type of resource that nobody compares."""
    # The template says this name itself.
    literal = {
        f"<{one.address}.name>": one.arguments["name"]
        for one in module.instances
        if one.type == "aws_cloudwatch_log_stream"
    }
    instances = [Instance(one.address, one.type, _translated(one.arguments, literal)) for one in module.instances]
    facts: Facts = {}
    for one in instances:
        arguments, name = dict(one.arguments), _name_of(one.address)
        kept = arguments.pop("lifecycle", [{}])[0].get("prevent_destroy", False)
        add = _ROWS.get(one.type, _uncompared)
        add(facts, name, arguments)
        if kept:
            facts["kept", name] = True
    _join_policies(facts, instances)
    _join_buckets(facts, instances)
    _join_targets(facts, instances)
    _join_secret(facts, instances)
    outputs = {folded_name(key): value for key, value in module.outputs.items() if value is not None}
    facts["outputs", "all"] = _translated(outputs, literal)
    plain: Facts = without_suffix(facts)
    return plain


def _role(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    facts["trust", name] = statements(json.loads(arguments["assume_role_policy"])["Statement"])
    facts["permissions", name] = frozenset()


def _key(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    facts["policy", f"<{name}>"] = statements(json.loads(arguments["policy"])["Statement"])
    facts["key", name] = {"rotation": arguments["enable_key_rotation"]}


def _alarm_row(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    facts["alarm", alarm_subject(folded(arguments))] = folded(arguments)


def _delivery(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    (destination,) = arguments.get("extended_s3_configuration") or arguments["splunk_configuration"]
    destination = dict(destination)
    (processing,) = destination.pop("processing_configuration")
    found = folded(destination)
    found["processors"] = [
        [
            one["type"],
            parameters_set({each["parameter_name"]: each["parameter_value"] for each in one.get("parameters", [])}),
        ]
        for one in processing["processors"]
    ]
    encryption = arguments.get("server_side_encryption", [{}])[0]
    facts["delivery", name] = {
        "destination": found,
        "source": folded(arguments.get("kinesis_source_configuration", Blocks([{}]))),
        "encrypted by": encryption.get("key_type") if encryption.get("enabled") else None,
        "processes": processing["enabled"],
    }


def _domain(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    facts["policy", f"<{name}>"] = statements(json.loads(arguments.pop("access_policies"))["Statement"])
    security = dict(arguments["advanced_security_options"][0])
    del security["master_user_options"]
    facts["domain", name] = folded({**arguments, "advanced_security_options": Blocks([security])})


def _stream(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    """Of the module alone, where a database asks for it."""
    facts["stream of the provider", name] = folded(arguments)


def _invocation(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    facts["invocation", name] = json.loads(arguments["input"])["ResourceProperties"]


def _renamed(kind: str, subject: Callable[[str, dict[str, Any]], str] | None = None, **names: str) -> _Add:
    """Under its kind as it is, some arguments by the template's names."""

    def add(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
        made = {names.get(key, key): value for key, value in arguments.items()}
        facts[kind, subject(name, made) if subject else name] = folded(made, "dropped")

    return add


def _topic_policy(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    facts["policy", arguments["arn"]] = statements(json.loads(arguments["policy"])["Statement"])


def _bucket_policy(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    facts["policy", arguments["bucket"]] = statements(json.loads(arguments["policy"])["Statement"])


def _access(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    facts["access", name] = folded({**arguments, "policy": json.loads(arguments["policy"])})


def _joined(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    """A part of something else in the template: it is joined below."""


def _uncompared(facts: Facts, name: str, arguments: dict[str, Any]) -> None:
    raise AssertionError(f"nobody compares {name}")


_ROWS: dict[str, _Add] = {
    "aws_cloudwatch_event_rule": _joined,
    "aws_cloudwatch_event_target": _joined,
    "aws_cloudwatch_log_group": _renamed("log", name="log_group_name"),
    "aws_cloudwatch_log_stream": _renamed("log stream", name="log_stream_name"),
    "aws_cloudwatch_metric_alarm": _alarm_row,
    "aws_iam_policy": _joined,
    "aws_iam_role": _role,
    "aws_iam_role_policy": _joined,
    "aws_iam_role_policy_attachment": _joined,
    "aws_kinesis_firehose_delivery_stream": _delivery,
    "aws_kms_alias": _renamed("alias", name="alias_name"),
    "aws_kms_key": _key,
    "aws_lambda_event_source_mapping": _renamed("mapping"),
    "aws_lambda_function": _renamed("function"),
    "aws_lambda_function_event_invoke_config": _renamed("retries", lambda _, made: made["function_name"]),
    "aws_lambda_invocation": _invocation,
    "aws_lambda_permission": _renamed(
        "right to call", lambda _, made: f"{made['function_name']} by {made['source_arn']}"
    ),
    "aws_opensearch_domain": _domain,
    "aws_opensearchserverless_access_policy": _access,
    "aws_rds_cluster_activity_stream": _stream,
    "aws_s3_bucket": _joined,
    "aws_s3_bucket_lifecycle_configuration": _joined,
    "aws_s3_bucket_notification": _joined,
    "aws_s3_bucket_ownership_controls": _joined,
    "aws_s3_bucket_policy": _bucket_policy,
    "aws_s3_bucket_public_access_block": _joined,
    "aws_s3_bucket_server_side_encryption_configuration": _joined,
    "aws_s3_bucket_versioning": _joined,
    "aws_secretsmanager_secret": _joined,
    "aws_sns_topic": _renamed("topic", name="dropped"),
    "aws_sns_topic_policy": _topic_policy,
    "aws_sns_topic_subscription": _renamed("subscription", lambda _, made: f"{made['topic_arn']} {made['protocol']}"),
    **dict.fromkeys(TERRAFORMS_OWN, _joined),
}


def _join_policies(facts: Facts, instances: Iterable[Instance]) -> None:
    documents = {}
    for one in instances:
        if one.type == "aws_iam_policy":
            documents[f"<{_name_of(one.address)}>"] = one.arguments["policy"]
    for one in instances:
        if one.type in ("aws_iam_role_policy", "aws_iam_role_policy_attachment"):
            text = one.arguments["policy"] if "policy" in one.arguments else documents[one.arguments["policy_arn"]]
            role = ("permissions", one.arguments["role"].strip("<>"))
            facts[role] |= statements(json.loads(text)["Statement"])


def _join_buckets(facts: Facts, instances: Iterable[Instance]) -> None:
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    for one in instances:
        if one.type.startswith("aws_s3_bucket_"):
            kind = one.type.removeprefix("aws_s3_bucket_")
            parts.setdefault(one.arguments["bucket"].strip("<>"), {})[kind] = one.arguments
    for one in instances:
        if one.type == "aws_s3_bucket":
            name = _name_of(one.address)
            facts["bucket", name] = _bucket_of_module(parts[name])


def _bucket_of_module(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    (rule,) = parts.get("server_side_encryption_configuration", {}).get("rule", [{}])
    (by_default,) = rule.get("apply_server_side_encryption_by_default", [{}])
    block = {key: value for key, value in parts.get("public_access_block", {}).items() if key != "bucket"}
    return {
        "encryption": folded({**by_default, "key": rule.get("bucket_key_enabled", False)}),
        "public access": folded(block),
        "ownership": parts.get("ownership_controls", {}).get("rule", [{}])[0].get("object_ownership"),
        "versioning": parts.get("versioning", {}).get("versioning_configuration", [{}])[0].get("status"),
        "lifecycle": [_lifecycle_of_module(rule) for rule in parts.get("lifecycle_configuration", {}).get("rule", [])],
    }


def _lifecycle_of_module(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": rule["id"],
        "status": rule["status"],
        "transitions": [[one["days"], one["storage_class"]] for one in rule.get("transition", [])],
        "expires": rule.get("expiration", [{}])[0].get("days"),
        "old versions": rule.get("noncurrent_version_expiration", [{}])[0].get("noncurrent_days"),
        "half done": rule.get("abort_incomplete_multipart_upload", [{}])[0].get("days_after_initiation"),
    }


def _join_targets(facts: Facts, instances: Iterable[Instance]) -> None:
    targets: dict[str, dict[str, Any]] = {}
    for one in instances:
        if one.type == "aws_cloudwatch_event_target":
            (transformer,) = one.arguments.get("input_transformer", [{}])
            targets.setdefault(one.arguments["rule"].strip("<>"), {})[one.arguments["target_id"]] = {
                "arn": one.arguments["arn"],
                "paths": transformer.get("input_paths"),
                "tells": quoted(transformer.get("input_template", "")),
            }
    for one in instances:
        if one.type == "aws_cloudwatch_event_rule":
            name, pattern = _name_of(one.address), one.arguments.get("event_pattern")
            facts["rule", name] = {
                "name": one.arguments["name"],
                "pattern": json.loads(pattern) if pattern else None,
                "schedule": one.arguments.get("schedule_expression"),
                "targets": targets.get(name, {}),
            }


def _join_secret(facts: Facts, instances: Iterable[Instance]) -> None:
    by_type = {one.type: one.arguments for one in instances}
    if "aws_secretsmanager_secret" in by_type:
        made = by_type["random_password"]
        facts["secret", "DomainUser"] = {
            "user": json.loads(by_type["aws_secretsmanager_secret_version"]["secret_string"])["username"],
            "length": made["length"],
            "every kind": all(made[f"min_{kind}"] >= 1 for kind in ("lower", "upper", "numeric", "special")),
        }


def _name_of(address: str) -> str:
    """The template's name of a resource of the module; its address where the template has none."""
    bare = address.removesuffix("[0]")
    if bare in NAMES:
        return NAMES[bare]
    base, _, key = bare.partition("[")
    return NAMES[base] + key.rstrip("]") if base in NAMES else bare


def _translated(value: Any, literal: Mapping[str, str]) -> Any:
    """With the template's names for what is referred to, or with the value itself where it is in `literal`."""
    if isinstance(value, str):
        if value in literal:
            return literal[value]
        # CloudFormation's ARN of a log group means its streams too; the provider's needs `:*` for that.
        return _REFERENCE.sub(_reference, value).replace(f"{_GROUP_ALONE}>:*", ">")
    if isinstance(value, Mapping):
        return {key: _translated(one, literal) for key, one in value.items()}
    if isinstance(value, list):
        return type(value)(_translated(one, literal) for one in value)
    return value


def _reference(match: re.Match[str]) -> str:
    address, attribute = match.groups()
    name = _name_of(address)
    if attribute in _OF_A_STREAM or attribute == "hex":
        return f"<{name}.{attribute}>"
    if attribute == "endpoint":
        return f"<{name}.DomainEndpoint>"
    if attribute == "arn" and address.startswith("aws_cloudwatch_log_group."):
        return f"<{name}.Arn{_GROUP_ALONE}>"
    if attribute != "arn":
        return f"<{name}>"
    return f"<{name}>" if address.startswith(_ARN_IS_THE_REF) else f"<{name}.Arn>"
