"""template.yaml: the linter takes it, and what it makes is what the functions, their settings and AWS need."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]

from daswatch.activity_streams.lifecycle import WantedMode, WantedStream
from daswatch.detections.detection import Source
from daswatch.detections.samples import base_events, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.documents.call_signals import CALL_SIGNALS
from daswatch.enrolment.consumers import Kind, new_delivery, new_mapping
from daswatch.enrolment.plan import OnDeselection, Wanted
from daswatch.enrolment.selection import Selection
from daswatch.errors import SettingsError
from daswatch.evidence.run import RunReport
from daswatch.fleet.audit import audited
from daswatch.settings import Environment
from enrol_lambda import telemetry as enrol_telemetry
from enrol_lambda.reconciler import EnrolmentReport
from enrol_lambda.watch import WatchReport
from findings_lambda import run_report as findings_run
from findings_lambda import settings as findings_settings
from findings_lambda import telemetry as findings_telemetry
from firehose_lambda import settings as firehose_settings
from firehose_lambda import telemetry as firehose_telemetry
from firehose_lambda import transform
from ingest_lambda import settings as ingest_settings
from ingest_lambda import telemetry as ingest_telemetry
from ingest_lambda.report import IngestReport, RowsReport
from posture_lambda import telemetry as posture_telemetry
from posture_lambda.auditor import PostureReport
from replay_lambda import telemetry as replay_telemetry
from replay_lambda.retrier import RetryReport
from tests.iac.cloudformation import ACCOUNT, REGION, TEMPLATE, Stack, read_template, walk
from tests.iac.setups import EVERYTHING, FIRST_TRY, HUB, SAMPLES_KEY, SERVERLESS, SETUPS, SPOKE, stack

# What the code reads and the template leaves at its default, with the reason.
AT_THEIR_DEFAULT = {
    "OPENSEARCH_CA_BUNDLE": "AWS's endpoints have certificates of public authorities",
    "MAX_PLAINTEXT_BYTES": "a guard, not a choice",
    "MAX_DATA_KEYS": "a guard, not a choice",
    "MAX_DATA_KEY_AGE_SECONDS": "a guard, not a choice",
    "DASHBOARDS_TENANT": "the global tenant is the one that everybody sees",
    # Splunk takes plain events of all activities; S3's forms are for a Firehose that is made by hand.
    "ACTIVITIES": "all of them",
    "COMPRESS": "Splunk reads no gzip",
}
DATA_TYPES = {"AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key", "AWS::OpenSearchService::Domain"}
MAX_RESOURCES = 500  # of a stack
MAX_TEMPLATE_BYTES = 1_000_000  # of a template in S3


def by_setup(function: Any) -> Any:
    return pytest.mark.parametrize("name", SETUPS)(function)


# The linter.


def linted(text: str) -> list[str]:
    return [f"{match.rule.id} {match.message}" for match in lint(text, regions=["eu-west-1"])]


def test_cfn_lint_finds_nothing() -> None:
    assert linted(TEMPLATE.read_text("utf-8")) == []


@pytest.mark.parametrize("name", ["first try", "serverless", "everything"])
def test_with_values_it_finds_nothing_without_an_exception_either(name: str) -> None:
    # What a condition leaves out is not looked at: its ARNs are empty, and that is what the condition is for.
    assert linted(json.dumps(stack(name).resolved_template())) == []


# What IAM takes of the policies that a role has of its own, and of a managed one, without white space.
_MAX_INLINE_CHARACTERS = 10_240
_MAX_MANAGED_CHARACTERS = 6_144
# Keys of streams that were started elsewhere: what fits into a managed policy next to the rest.
_ADOPTED_KEYS = 20


def test_any_number_of_databases_needs_the_same_resources() -> None:
    many = ",".join(f"cluster:a{number}" for number in range(300))

    few, all_of_them = (Stack({**EVERYTHING, "Databases": given}) for given in ("tag:daswatch=on", many))

    assert len(many) <= 4_096  # of a parameter
    assert list(few.resources) == list(all_of_them.resources)
    differing = {
        name for name, one in all_of_them.resources.items() if one.properties != few.resources[name].properties
    }
    assert differing == {"EnrolFunction", "Enrolment"}


def test_policies_fit_with_keys_that_are_adopted() -> None:
    keys = ",".join(
        f"arn:aws:kms:ap-northeast-1:123456789012:key/0c1d2e3f-4a5b-4c6d-8e7f-{number:012}"
        for number in range(_ADOPTED_KEYS)
    )

    full = Stack({**EVERYTHING, "AdoptedKeys": keys})

    assert len(full.resources) <= MAX_RESOURCES
    assert len(json.dumps(full.template)) <= MAX_TEMPLATE_BYTES
    for role in full.of_type("AWS::IAM::Role"):
        assert sum(map(_characters, full.own_policies(role))) <= _MAX_INLINE_CHARACTERS, role
    for name, policy in full.of_type("AWS::IAM::ManagedPolicy").items():
        assert _characters(policy.properties["PolicyDocument"]) <= _MAX_MANAGED_CHARACTERS, name


def test_nothing_is_transformed_so_that_every_tool_reads_it() -> None:
    """Scanners know resources, no loops; a StackSet with service-managed permissions takes no macro."""
    template = read_template()

    assert "Transform" not in template
    assert all(isinstance(body, dict) and "Type" in body for body in template["Resources"].values())


def _characters(document: Mapping[str, Any]) -> int:
    placeholder = re.compile(r"<\w+(\.\w+)?>")  # the longest that AWS makes of one is an ARN of some 120 characters
    return len(placeholder.sub("x" * 120, json.dumps(document, separators=(",", ":"))))


def test_every_parameter_is_explained_in_the_form_and_used() -> None:
    template = read_template()
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    in_form = [name for group in groups for name in group["Parameters"]]
    body = json.dumps({key: template[key] for key in ("Conditions", "Resources")})

    assert sorted(in_form) == sorted(template["Parameters"])
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert f'"{name}"' in body or f"${{{name}}}" in body, name


@pytest.mark.parametrize(
    "database",
    [
        *("cluster:orders", "db:ledger-2", "cluster:A", pytest.param("db:" + "a" * 63, id="db:63 letters")),
        *("tag:daswatch=on", "tag:team=", "all"),
    ],
)
def test_databases_are_selected_as_enrolment_takes_them(database: str) -> None:
    assert re.fullmatch(read_template()["Parameters"]["Databases"]["AllowedPattern"], database)
    assert Selection.parse(database) != Selection()


@pytest.mark.parametrize(
    "database",
    ["orders", "cluster:", "cluster:-a", "db:a-", "db:a--b", "db:1a", "table:a", "db:a/b", "tag:a", "tag:=b", "ALL"],
)
def test_other_names_are_refused_before_anything_is_made(database: str) -> None:
    assert not re.fullmatch(read_template()["Parameters"]["Databases"]["AllowedPattern"], database)
    with pytest.raises(ValueError, match=re.escape(database)):
        Selection.parse(database)


# Functions, and their settings.

METRICS_NAMESPACE = "POWERTOOLS_METRICS_NAMESPACE"
ENROL = "enrol_lambda.handler.handler"
FUNCTIONS = [one.properties["Handler"] for one in stack().of_type("AWS::Lambda::Function").values()]


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_every_functions_handler_exists(handler: str) -> None:
    module, _, name = handler.rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))


def test_the_functions_are_those_of_the_project() -> None:
    folders = {path.parent.name for path in TEMPLATE.parent.glob("*_lambda/handler.py")}

    assert {handler.partition(".")[0] for handler in FUNCTIONS} == folders


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_every_function_comes_from_its_own_artifact_and_runs_as_it_was_built(handler: str) -> None:
    function = stack().function(handler).properties

    assert function["Code"] == {"S3Bucket": "artifacts", "S3Key": f"daswatch/arm64/{handler.partition('.')[0]}.zip"}
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert function["FunctionName"].startswith("daswatch-")
    assert function["VpcConfig"]["SubnetIds"] == ["subnet-0a1b2c3d", "subnet-1a2b3c4d"]


class Recorded(dict[str, str]):
    """An environment that notes what is asked of it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)


def environment_of(handler: str, name: str = "everything") -> dict[str, str]:
    """The environment that the template gives a function, as if AWS had named everything."""
    variables: dict[str, str] = stack(name).function(handler).properties["Environment"]["Variables"]
    real = {
        "<DeadLetterBucket>": "daswatch-deadletterbucket-1a2b3c",
        "<Domain.DomainEndpoint>": "search.example.internal",
        "<EvidenceBucket>": "daswatch-evidencebucket-1a2b3c",
        "<DeliveryLog>": "/aws/kinesisfirehose/daswatch",
        "<RowsDelivery>": "daswatch-rows",
        "<LookFunction.Arn>": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daswatch-look",
    }
    found = {}
    for variable, value in variables.items():
        text = str(value)
        for placeholder, instead in real.items():
            text = text.replace(placeholder, instead)
        found[variable] = re.sub(r"<(\w+)(\.\w+)?>", r"arn:aws:iam::123456789012:role/\1", text)
    return found


def read(handler: str, variables: Mapping[str, str]) -> Any:
    """A function's settings."""
    read_settings = importlib.import_module(f"{handler.partition('.')[0]}.settings").read_settings
    if handler == ENROL:
        return read_settings(variables, REGION)
    return read_settings(variables)


@pytest.mark.parametrize(
    ("name", "handler"),
    [
        (name, one.properties["Handler"])
        for name in SETUPS
        for one in stack(name).of_type("AWS::Lambda::Function").values()
    ],
)
def test_every_function_accepts_the_settings_it_gets(name: str, handler: str) -> None:
    read(handler, environment_of(handler, name))


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_settings_in_the_template_are_those_the_code_reads(
    handler: str,
) -> None:
    """What is not set is meant to have its default, and what is set is read."""
    given = environment_of(handler)
    variables = Recorded(given)

    read(handler, variables)

    assert set(given) <= variables.asked | {METRICS_NAMESPACE}  # powertools reads that
    assert variables.asked - set(given) <= set(AT_THEIR_DEFAULT)


def test_a_wrong_setting_would_be_noticed() -> None:
    with pytest.raises(SettingsError):
        ingest_settings.read_settings({**environment_of("ingest_lambda.handler.handler"), "REDACT": "perhaps"})
    with pytest.raises(SettingsError):
        findings_settings.read_settings({})
    assert firehose_settings.read_settings({"OUTPUT_FORM": "splunk"}).form is transform.Form.SPLUNK
    assert not Environment({}).problems


def test_the_domain_that_is_made_is_set_up_by_its_master_user_and_used_by_roles() -> None:
    ingest_, setup = (
        stack("first try").function(handler).properties["Environment"]["Variables"]
        for handler in ("ingest_lambda.handler.handler", "setup_lambda.handler.handler")
    )

    assert ingest_["OPENSEARCH_ENDPOINT"] == setup["OPENSEARCH_ENDPOINT"] == "https://<Domain.DomainEndpoint>"
    assert (ingest_["OPENSEARCH_AUTH"], ingest_["OPENSEARCH_SECRET_ARN"]) == ("sigv4", "")
    assert (setup["OPENSEARCH_AUTH"], setup["OPENSEARCH_SECRET_ARN"]) == ("basic", "<DomainUser>")


def test_serverless_has_no_monitors() -> None:
    def monitors(name: str) -> str:
        variables = stack(name).function("setup_lambda.handler.handler").properties["Environment"]["Variables"]
        return str(variables["MONITORS"])

    assert (monitors("serverless"), monitors("own domain")) == ("false", "true")


# Streams.


STREAM = f"arn:aws:kinesis:{REGION}:123456789012:stream/aws-rds-das-cluster-SHOP"


def wanted(name: str = "everything") -> Wanted:
    """What enrolment makes of the template's settings."""
    settings: Wanted = read(ENROL, environment_of(ENROL, name)).wanted
    return settings


def test_the_mapping_keeps_what_it_cannot_deliver_and_goes_on() -> None:
    assert new_mapping(wanted().consumers, STREAM) == {
        "FunctionName": "arn:aws:iam::123456789012:role/IngestFunction",
        "EventSourceArn": STREAM,
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 200,
        "MaximumBatchingWindowInSeconds": 5,
        "ParallelizationFactor": 2,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": 82_800,
        "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::daswatch-deadletterbucket-1a2b3c"}},
        "MetricsConfig": {"Metrics": ["EventCount"]},
        "Tags": {"daswatch:stack": "daswatch"},
    }


def test_a_stream_is_started_as_the_parameters_say() -> None:
    found = wanted()

    assert found.stream == WantedStream(EVERYTHING["ActivityStreamKey"], WantedMode.ASYNC)
    assert found.on_deselection is OnDeselection.KEEP
    assert stack().resources["Enrolment"].properties["OnDelete"] == "stop"
    assert stack("own domain").resources["Enrolment"].properties["OnDelete"] == "retain"


def test_the_evidence_is_the_ciphertext_by_database_and_day_a_record_a_line() -> None:
    properties = new_delivery(wanted().consumers, Kind.EVIDENCE, STREAM)
    target = properties["ExtendedS3DestinationConfiguration"]

    assert properties["DeliveryStreamName"] == "daswatch-evidence-cluster-SHOP"
    assert properties["DeliveryStreamType"] == "KinesisStreamAsSource"
    assert target["Prefix"] == "evidence/cluster-SHOP/!{timestamp:yyyy/MM/dd}/"
    assert target["ErrorOutputPrefix"].startswith("evidence-failed/cluster-SHOP/!{firehose:error")
    assert target["CompressionFormat"] == "GZIP"
    assert [one["Type"] for one in target["ProcessingConfiguration"]["Processors"]] == ["AppendDelimiterToRecord"]


def test_splunk_is_a_delivery_only_where_it_is_named() -> None:
    assert wanted().consumers.kinds == (Kind.EVIDENCE, Kind.SPLUNK)
    assert wanted("own domain").consumers.kinds == (Kind.EVIDENCE,)
    made = new_delivery(wanted().consumers, Kind.SPLUNK, STREAM)["SplunkDestinationConfiguration"]
    assert made["HECEndpoint"] == EVERYTHING["SplunkEndpoint"]
    assert made["S3Configuration"]["Prefix"] == "splunk/cluster-SHOP/"


def test_rows_are_delivered_as_their_page_says() -> None:
    page = (TEMPLATE.parent / "docs" / "rows.md").read_text("utf-8")
    documented = json.loads(re.findall(r"```json\n(.*?)```", page, re.S)[0])

    made = stack().resources["RowsDelivery"].properties["ExtendedS3DestinationConfiguration"]

    assert {name: made[name] for name in documented} == documented


# What is kept, and how.


@by_setup
def test_every_bucket_is_encrypted_blocked_versioned_and_speaks_tls(name: str) -> None:
    made = stack(name)
    policies = {one.properties["Bucket"]: one.properties for one in made.of_type("AWS::S3::BucketPolicy").values()}

    for bucket, resource in made.of_type("AWS::S3::Bucket").items():
        (rule,) = resource.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "<DataKey.Arn>"}
        assert set(resource.properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(resource.properties["PublicAccessBlockConfiguration"]) == 4
        assert resource.properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert _refuses_plain_http(policies[f"<{bucket}>"]["PolicyDocument"], "s3:*"), bucket


@by_setup
def test_every_topic_is_encrypted_and_speaks_tls(name: str) -> None:
    made = stack(name)
    policies = {
        topic: one.properties["PolicyDocument"]
        for one in made.of_type("AWS::SNS::TopicPolicy").values()
        for topic in one.properties["Topics"]
    }

    for topic, resource in made.of_type("AWS::SNS::Topic").items():
        assert resource.properties["KmsMasterKeyId"] == "<DataKey.Arn>"
        assert _refuses_plain_http(policies[f"<{topic}>"], "sns:Publish"), topic


def _refuses_plain_http(document: Mapping[str, Any], action: str) -> bool:
    return any(
        (one["Effect"], one["Principal"], one["Action"]) == ("Deny", "*", action)
        and one.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for one in document["Statement"]
    )


def test_the_domain_encrypts_and_asks_who_it_is() -> None:
    domain = stack("first try").resources["Domain"].properties

    assert domain["EncryptionAtRestOptions"] == domain["NodeToNodeEncryptionOptions"] == {"Enabled": True}
    assert domain["DomainEndpointOptions"]["EnforceHTTPS"] is True
    assert domain["DomainEndpointOptions"]["TLSSecurityPolicy"].startswith("Policy-Min-TLS-1-2")
    assert domain["AdvancedSecurityOptions"]["Enabled"] is True
    assert re.fullmatch(r"[a-z][a-z0-9-]{2,27}", domain["DomainName"])
    assert domain["AccessPolicies"]["Statement"][0]["Resource"].endswith(f":domain/{domain['DomainName']}/*")


def test_the_domain_publishes_its_audit_log_where_asked_for() -> None:
    made = stack("first try")
    resources, default = made.resources, Stack({**FIRST_TRY, "DomainAuditLogs": "false"})
    domain, group = resources["Domain"].properties, resources["DomainAuditLog"]
    (statement,) = json.loads(resources["DomainMayLog"].properties["PolicyDocument"])["Statement"]

    assert group.raw["DeletionPolicy"] == "Retain"
    assert group.properties["LogGroupName"] == f"/aws/opensearch/{domain['DomainName']}"
    assert resources["DomainMayLog"].properties["PolicyName"] == domain["DomainName"]
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/opensearch/<DomainMayLog>:*"
    assert domain["LogPublishingOptions"] == {"AUDIT_LOGS": {"Enabled": True, "CloudWatchLogsLogGroupArn": arn}}
    assert (statement["Principal"], statement["Resource"]) == ({"Service": "es.amazonaws.com"}, "<DomainAuditLog.Arn>")
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:es:{REGION}:{ACCOUNT}:domain/{domain['DomainName']}"},
    }
    assert default.resources["Domain"].properties["LogPublishingOptions"] == {"AUDIT_LOGS": {"Enabled": False}}
    assert "DomainMayLog" not in default.resources
    setup = "setup_lambda.handler.handler"
    settings = [one.function(setup).properties["Environment"]["Variables"] for one in (made, default, stack())]
    assert [one["AUDIT_LOGS"] for one in settings] == ["true", "false", "false"]


@by_setup
def test_the_data_key_encrypts_every_log(name: str) -> None:
    made = stack(name)
    statements = made.resources["DataKey"].properties["KeyPolicy"]["Statement"]
    (logs,) = (one for one in statements if one["Sid"] == "AllowFunctionLogs")
    patterns = logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    groups = [one.properties["LogGroupName"] for one in made.of_type("AWS::Logs::LogGroup").values()]

    for group in groups:
        assert any(fnmatchcase(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}", one) for one in patterns), group
    for pattern in patterns:
        assert any(fnmatchcase(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{one}", pattern) for one in groups), pattern


@by_setup
def test_each_function_has_its_own_encrypted_log_group(name: str) -> None:
    """Its events expire after a year."""
    made = stack(name)
    logs = made.of_type("AWS::Logs::LogGroup")

    for function in made.of_type("AWS::Lambda::Function").values():
        group = logs[function.properties["LoggingConfig"]["LogGroup"].strip("<>")].properties
        assert group["LogGroupName"] == f"/aws/lambda/{function.properties['FunctionName']}"
    for one in logs.values():
        assert int(one.properties["RetentionInDays"]) == 365
        assert one.properties["KmsKeyId"] == "<DataKey.Arn>"
    groups = [one.properties["LoggingConfig"]["LogGroup"] for one in made.of_type("AWS::Lambda::Function").values()]
    assert len(set(groups)) == len(groups)


def test_what_holds_data_outlives_the_stack() -> None:
    for name, resource in stack_of_all().items():
        if resource["Type"] in DATA_TYPES:
            assert (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")) == ("Retain", "Retain"), name


def stack_of_all() -> dict[str, Any]:
    """Every resource that any setup could have."""
    found: dict[str, Any] = stack().template["Resources"]
    return found


def test_keys_turn_and_give_the_account_its_say() -> None:
    for name, key in Stack({**EVERYTHING, "ActivityStreamKey": ""}).of_type("AWS::KMS::Key").items():
        assert key.properties["EnableKeyRotation"] is True
        first = key.properties["KeyPolicy"]["Statement"][0]
        assert first["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}, name


def test_a_key_that_is_given_is_used_and_none_is_made() -> None:
    assert set(stack().of_type("AWS::KMS::Key")) == {"DataKey"}
    assert set(stack("own domain").of_type("AWS::KMS::Key")) == {"DataKey", "StreamKey"}
    assert stack().outputs["ActivityStreamKeyArn"] == EVERYTHING["ActivityStreamKey"]


def test_evidence_cannot_be_deleted_and_expires() -> None:
    statements = stack().resources["EvidenceBucketPolicy"].properties["PolicyDocument"]["Statement"]
    (rule,) = stack().resources["EvidenceBucket"].properties["LifecycleConfiguration"]["Rules"]

    assert any(
        one["Effect"] == "Deny" and set(one["Action"]) == {"s3:DeleteObject", "s3:DeleteObjectVersion"}
        for one in statements
    )
    assert int(rule["ExpirationInDays"]) == 400


def test_evidence_is_locked_and_its_readers_are_logged_where_asked_for() -> None:
    given = {**EVERYTHING, "EvidenceLock": "compliance", "AccessLogBucket": "access-logs", "EvidenceDays": "800"}
    bucket = Stack(given).resources["EvidenceBucket"].properties
    default = stack().resources["EvidenceBucket"].properties

    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Mode": "COMPLIANCE", "Days": "800"}
    assert bucket["LoggingConfiguration"] == {
        "DestinationBucketName": "access-logs",
        "LogFilePrefix": "daswatch/evidence/",
    }
    assert not {"ObjectLockEnabled", "ObjectLockConfiguration", "LoggingConfiguration"} & default.keys()
    letters = Stack(given).resources["DeadLetterBucket"].properties
    assert letters["LoggingConfiguration"]["LogFilePrefix"] == "daswatch/dead-letters/"


def test_evidence_is_replicated_where_asked_for() -> None:
    configuration = stack().resources["EvidenceBucket"].properties["ReplicationConfiguration"]
    default = stack("own domain").resources

    assert configuration["Role"] == "<ReplicationRole.Arn>"
    (rule,) = configuration["Rules"]
    assert rule["Status"] == rule["SourceSelectionCriteria"]["SseKmsEncryptedObjects"]["Status"] == "Enabled"
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}
    assert rule["Destination"] == {
        "Bucket": "arn:aws:s3:::evidence-replica",
        "EncryptionConfiguration": {"ReplicaKmsKeyID": EVERYTHING["EvidenceReplicaKey"]},
        "Metrics": {"Status": "Enabled"},
    }
    alarm = stack().resources["EvidenceNotReplicatedAlarm"].properties
    watched = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    assert watched == {
        "SourceBucket": "<EvidenceBucket>",
        "DestinationBucket": "evidence-replica",
        "RuleId": rule["Id"],
    }
    assert "ReplicationConfiguration" not in default["EvidenceBucket"].properties
    assert not [name for name in default if "Replica" in name]


# Notifications.


@by_setup
def test_every_alarm_reports_people(name: str) -> None:
    alarms = stack(name).of_type("AWS::CloudWatch::Alarm")

    assert alarms
    for alarm, resource in alarms.items():
        assert resource.properties["AlarmActions"] == ["<AlertTopic>"], alarm
        assert resource.properties["AlarmName"].startswith("daswatch-"), alarm
        assert 0 < len(resource.properties["AlarmDescription"]) <= 1024
        assert "TreatMissingData" in resource.properties


class Emitted:
    """Takes what a function emits, in place of its telemetry."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def emit(self, line: Mapping[str, object], counts: Mapping[str, int], durations: Mapping[str, float]) -> None:
        self.names |= {*counts, *durations}


_ARRIVED = "2031-03-04T12:00:00.000Z"


@cache
def emitted_metrics() -> dict[str, set[str]]:
    """What each of our services emits, by its name as the metrics have it."""
    ingested, found, transformed, audited_, enrolled = Emitted(), Emitted(), Emitted(), Emitted(), Emitted()
    replayed = Emitted()
    retries = RetryReport(RunReport("1", datetime.now(UTC)), due=0)
    replay_telemetry.emit(replayed, retries, "1")  # type: ignore[arg-type]
    enrol_telemetry.emit(enrolled, EnrolmentReport(), WatchReport(), "1")  # type: ignore[arg-type]
    ingest_telemetry.emit(ingested, IngestReport(rows=RowsReport()), "1")  # type: ignore[arg-type]
    for report in (findings_run.RunReport(arrived_at=_ARRIVED), findings_run.RunReport(covered=True)):
        findings_telemetry.emit(found, report, "1", datetime.now(UTC))  # type: ignore[arg-type]
    firehose_telemetry.emit(transformed, transform.TransformReport(), "1", datetime.now(UTC))  # type: ignore[arg-type]
    audit = audited({}, [], {}, "2031-03-04T12:00:00.000Z")
    posture_telemetry.emit(audited_, PostureReport(audit, is_whole=True), "1")  # type: ignore[arg-type]
    return {
        posture_telemetry.SERVICE: audited_.names,
        enrol_telemetry.SERVICE: enrolled.names,
        replay_telemetry.SERVICE: replayed.names,
        ingest_telemetry.SERVICE: ingested.names,
        findings_telemetry.SERVICE: found.names,
        firehose_telemetry.SERVICE: transformed.names,
    }


def test_alarms_of_our_metrics_look_at_metrics_that_are_emitted() -> None:
    ours = [one.properties for one in stack().of_type("AWS::CloudWatch::Alarm").values()]
    functions = stack().of_type("AWS::Lambda::Function").values()
    (namespace,) = {one.properties["Environment"]["Variables"][METRICS_NAMESPACE] for one in functions}
    ours = [one for one in ours if one["Namespace"] == namespace]

    assert {one["MetricName"] for one in ours} >= {"DeadLetters", "RecordsToRetry", "FailingDetections"}
    for alarm in ours:
        ((dimension,)) = alarm["Dimensions"]
        assert dimension["Name"] == "service"
        assert alarm["MetricName"] in emitted_metrics()[dimension["Value"]]


def test_every_function_has_an_alarm_for_errors() -> None:
    watched = {
        one.properties["Dimensions"][0]["Value"]
        for one in stack().of_type("AWS::CloudWatch::Alarm").values()
        if one.properties["MetricName"] == "Errors"
    }

    assert watched == {f"<{name}>" for name in stack().of_type("AWS::Lambda::Function")}


# What is done to the streams from outside.


def events_of(sample: Any) -> Iterator[dict[str, Any]]:
    """The EventBridge events of a sample of a detection of the control plane."""
    base = base_events()["control-plane"]
    for step in sample.steps:
        changed = step.get("event", {})
        yield {**base, **changed, "detail": {**base["detail"], **changed.get("detail", {})}}


def takes(pattern: Any, event: Any) -> bool:
    """Whether EventBridge's pattern takes an event: as far as our own patterns go."""
    if isinstance(pattern, dict):
        if "$or" in pattern:
            rest = {key: value for key, value in pattern.items() if key != "$or"}
            return takes(rest, event) and any(takes(one, event) for one in pattern["$or"])
        if isinstance(event, list):
            return any(takes(pattern, one) for one in event)
        return isinstance(event, dict) and all(
            key in event and takes(value, event[key]) for key, value in pattern.items()
        )
    return any(_value_fits(one, event) for one in pattern)


def _value_fits(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, str) or not isinstance(value, str):
        return bool(wanted == value)
    ((kind, operand),) = wanted.items()
    match kind:
        case "prefix":
            return value.startswith(operand)
        case "suffix":
            return value.endswith(operand)
        case "wildcard":
            return re.fullmatch(".*".join(map(re.escape, operand.split("*"))), value) is not None
        case "anything-but":
            if isinstance(operand, dict):
                return not _value_fits(operand, value)
            return bool(value != operand)
    raise AssertionError(f"no test knows {kind}")


CALLS = [
    pytest.param(sample, id=f"{detection.name}: {sample.words}")
    for detection in compile_all()
    if detection.source is Source.CONTROL_PLANE
    for sample in samples_of(detection.name)
    if sample.expected == "match"
]
EVENT_PATTERN_CHARACTERS = 4_096  # quota of EventBridge


def rules() -> dict[str, dict[str, Any]]:
    """The rules that listen to CloudTrail, by their names."""
    made = Stack({**EVERYTHING, "AdoptedKeys": SAMPLES_KEY})
    found = made.of_type("AWS::Events::Rule").items()
    return {name: one.properties for name, one in found if "CloudTrail" in json.dumps(one.properties)}


@pytest.mark.parametrize("sample", CALLS)
def test_what_the_saved_query_looks_for_reaches_it(sample: Any) -> None:
    for event in events_of(sample):
        listening = [rule for rule in rules().values() if takes(rule["EventPattern"], event)]
        assert any({"Id": "findings", "Arn": "<NotifiedFunction.Arn>"} in rule["Targets"] for rule in listening), event


EBS_POINT = {"recoveryPointArn": "arn:aws:ec2:eu-west-1::snapshot/snap-1"}
OFFICE = {"ipPermissions": {"items": [{"ipRanges": {"items": [{"cidrIp": "198.51.100.0/24"}]}, "fromPort": 5432}]}}


def test_event_patterns_are_within_the_quota() -> None:
    for rule in rules().values():
        assert len(json.dumps(rule["EventPattern"], separators=(",", ":"))) <= EVENT_PATTERN_CHARACTERS


def test_calls_that_have_signals_are_delivered() -> None:
    listened = {
        name for branch in rules()["DatabaseManaged"]["EventPattern"]["detail"]["$or"] for name in branch["eventName"]
    }

    # The trail is watched by the rule of the components.
    assert listened == {name for signal in CALL_SIGNALS for name in signal.calls} - {"PutEventSelectors"}


def test_calls_about_others_keys_functions_and_streams_do_not() -> None:
    base = base_events()["control-plane"]
    others: list[dict[str, Any]] = [
        {
            "source": "aws.kms",
            "detail": {"eventSource": "kms.amazonaws.com", "eventName": "DisableKey", "resources": [{"ARN": "x"}]},
        },
        {
            "source": "aws.lambda",
            "detail": {"eventName": "DeleteFunction20150331", "requestParameters": {"functionName": "a"}},
        },
        {"source": "aws.kinesis", "detail": {"eventName": "DeleteStream", "requestParameters": {"streamName": "a"}}},
        {"source": "aws.rds", "detail": {"eventName": "StopDBCluster"}},
        {"source": "aws.backup", "detail": {"eventName": "DeleteRecoveryPoint", "requestParameters": EBS_POINT}},
        {"source": "aws.ec2", "detail": {"eventName": "AuthorizeSecurityGroupIngress", "requestParameters": OFFICE}},
    ]

    for other in others:
        event = {**base, **other, "detail": {**base["detail"], "resources": [], **other["detail"]}}
        assert not [name for name, rule in rules().items() if takes(rule["EventPattern"], event)], other


def test_a_deployment_reaches_the_saved_query_and_wakes_nobody() -> None:
    base = base_events()["control-plane"]
    call = {"eventName": "UpdateFunctionCode20150331v2", "requestParameters": {"functionName": "daswatch-ingest"}}
    by_hand = {**base, "source": "aws.lambda", "detail": {**base["detail"], **call}}
    deployed = {**by_hand, "detail": {**by_hand["detail"], "sourceIPAddress": "cloudformation.amazonaws.com"}}

    def listening(event: Mapping[str, Any]) -> set[str]:
        return {name for name, rule in rules().items() if takes(rule["EventPattern"], event)}

    assert listening(by_hand) == {"ComponentsChanged", "ComponentsChangedManually"}
    assert listening(deployed) == {"ComponentsChanged"}


def test_notifications_given_up_ring_one_alarm() -> None:
    """Hundreds of objects an hour are one alarm, which ends after an hour without any."""
    alarm = stack().resources["NotifiedRetriesExhaustedAlarm"].properties

    assert (alarm["MetricName"], alarm["Dimensions"]) == (
        "AsyncEventsDropped",
        [{"Name": "FunctionName", "Value": "<NotifiedFunction>"}],
    )
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"] * alarm["Period"]) == (1, 3600)
    patterns = [rule["EventPattern"] for rule in rules().values()]
    assert not any("aws.s3" in pattern.get("source", ()) for pattern in patterns)


def test_enrolments_own_changes_wake_no_one() -> None:
    """It removes the mapping of a database that is gone; the removal by a user is a message at once."""
    base = base_events()["control-plane"]
    call = {
        "eventName": "DeleteEventSourceMapping20150331",
        "responseElements": {"eventSourceArn": STREAM},
        "userIdentity": {"arn": "arn:aws:sts::123456789012:assumed-role/<EnrolRole>/daswatch-enrol"},
    }
    own = {**base, "source": "aws.lambda", "detail": {**base["detail"], **call}}
    other = {**own, "detail": {**own["detail"], "userIdentity": {"arn": "arn:aws:iam::123456789012:user/eve"}}}

    def listening(event: Mapping[str, Any]) -> set[str]:
        return {name for name, rule in rules().items() if takes(rule["EventPattern"], event)}

    assert listening(own) == {"ComponentsChanged"}
    assert listening(other) == {"ComponentsChanged", "ComponentsChangedManually"}


def test_one_change_of_a_key_is_one_event() -> None:
    of_keys = [rule for rule in rules().values() if "aws.kms" in rule["EventPattern"]["source"]]

    assert len(of_keys) == 1
    assert of_keys[0]["EventPattern"]["detail"]["resources"]["ARN"] == [EVERYTHING["ActivityStreamKey"], SAMPLES_KEY]


@by_setup
def test_who_calls_a_function_may(name: str) -> None:
    made = stack(name)
    allowed = {
        (one.properties["FunctionName"], one.properties.get("SourceArn"))
        for one in made.of_type("AWS::Lambda::Permission").values()
    }

    for rule, resource in made.of_type("AWS::Events::Rule").items():
        for target in resource.properties["Targets"]:
            if target["Arn"].endswith("Function.Arn>"):
                assert (target["Arn"].replace(".Arn", ""), f"<{rule}.Arn>") in allowed
    assert (("<NotifiedFunction>", "<MonitorTopic>") in allowed) == (name != "spoke")


# Hub and spokes.


def test_spoke_has_what_reads_and_nothing_that_finds() -> None:
    functions = {name.removesuffix("Function") for name in stack("spoke").of_type("AWS::Lambda::Function")}

    assert functions == {"Enrol", "Ingest", "Replay", "Setup"}
    assert not [one for one in stack("spoke").resources.values() if one.type == "Custom::Content"]
    assert stack("spoke").of_type("AWS::IAM::Role").keys() >= {"MemberRole", "SendToHubRole"}


def test_hub_knows_the_roles_of_its_spokes() -> None:
    setup = stack("hub").function("setup_lambda.handler.handler").properties["Environment"]["Variables"]

    roles = {"INGEST_ROLE_ARN": "IngestRole", "ENROLMENT_ROLE_ARN": "EnrolRole", "REPLAY_ROLE_ARN": "ReplayRole"}
    for variable, role in roles.items():
        own, of_spokes = setup[variable].split(",")
        name = stack("spoke").resources[role].properties["RoleName"]
        assert own == f"<{role}.Arn>"
        assert fnmatchcase(f"arn:aws:iam::333333333333:role/{name}", of_spokes)
    assert "RoleName" not in stack("hub").resources["IngestRole"].properties


@pytest.mark.parametrize("handler", ["ingest_lambda.handler.handler", ENROL])
def test_spoke_signs_for_the_region_of_its_hub(handler: str) -> None:
    settings = read(handler, environment_of(handler, "spoke"))

    assert (settings.search.url, settings.search.region) == (SPOKE["OpenSearchEndpoint"], "us-east-1")


@pytest.mark.parametrize("sample", CALLS)
def test_what_a_spoke_reports_reaches_the_saved_query_of_its_hub(sample: Any) -> None:
    spoke = Stack({**SPOKE, "AdoptedKeys": SAMPLES_KEY}).of_type("AWS::Events::Rule").values()
    (taken,) = (one for name, one in stack("hub").of_type("AWS::Events::Rule").items() if name == "SentBySpokes")

    for event in events_of(sample):
        sent = [
            one
            for rule in spoke
            if takes(rule.properties.get("EventPattern", {"source": []}), event)
            for one in rule.properties["Targets"]
            if one["Arn"] == SPOKE["HubEventBusArn"]
        ]
        assert [one["RoleArn"] for one in sent] == ["<SendToHubRole.Arn>"]
        assert takes(taken.properties["EventPattern"], {**event, "account": "333333333333"})
        assert takes(taken.properties["EventPattern"], {**event, "account": ACCOUNT, "region": "us-east-1"})
        assert not takes(taken.properties["EventPattern"], {**event, "account": ACCOUNT, "region": REGION})


def test_spoke_requests_looks_of_its_hub() -> None:
    look = stack("hub").resources["LookFunction"].properties["FunctionName"]
    arn = f"arn:aws:lambda:us-east-1:210987654321:function:{look}"
    permission = stack("hub").resources["SpokesMayRequestLooks"].properties

    assert environment_of("ingest_lambda.handler.handler", "spoke")["LOOK_FUNCTION_ARN"] == arn
    assert any(
        one["Action"] == "lambda:InvokeFunction" and one["Resource"] == arn
        for one in stack("spoke").statements("IngestRole")
    )
    assert (permission["Principal"], permission["PrincipalOrgID"]) == ("*", HUB["OrganizationId"])
    assert "SpokesMayRequestLooks" not in stack("own domain").resources


@pytest.mark.parametrize("parameters", [SERVERLESS, {**HUB, "PromptLooks": "false"}], ids=["serverless", "off"])
def test_without_prompt_looks_nothing_of_them_is_there(parameters: Mapping[str, str]) -> None:
    made = Stack(parameters)
    ingest_ = made.function("ingest_lambda.handler.handler").properties["Environment"]["Variables"]

    assert not [name for name in made.resources if name.startswith(("Look", "SpokesMayRequest"))]
    assert ingest_["LOOK_FUNCTION_ARN"] == ""


def test_looks_are_neither_repeated_nor_late() -> None:
    retries = stack().resources["LookRetries"].properties

    assert (retries["MaximumRetryAttempts"], retries["MaximumEventAgeInSeconds"]) == (0, 60)


def test_only_accounts_of_the_organization_may_send() -> None:
    policy = stack("hub").resources["SpokesMaySend"].properties["Statement"]

    assert policy["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": HUB["OrganizationId"]}}
    assert "SpokesMaySend" not in stack("own domain").resources


def test_member_role_trusts_the_hub_and_is_made_once_in_an_account() -> None:
    role = stack("spoke").resources["MemberRole"].properties
    elsewhere = Stack({**SPOKE, "MemberRoleRegion": "us-east-1"}).resources

    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": SPOKE["HubRoleArns"].split(",")}
    assert role["RoleName"] == SPOKE["MemberRoleName"]
    assert "MemberRole" not in elsewhere


def test_our_names_are_known_to_the_saved_query() -> None:
    named = {"AWS::Lambda::Function": "FunctionName", "AWS::Events::Rule": "Name"}

    for kind, key in named.items():
        for name, one in stack().of_type(kind).items():
            assert one.properties[key].startswith("daswatch-"), name


@by_setup
def test_every_output_is_there(name: str) -> None:
    outputs = stack(name).outputs

    assert {"Dashboards", "EvidenceBucketName", "IngestRoleArn", "SetupFunctionName", "AlertTopicArn"} <= set(outputs)
    assert not [value for value in walk(outputs) if value in ("", None)]
