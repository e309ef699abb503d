"""terraform/: the module makes what template.yaml makes, in every setup, and the comparison that says so can fail."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

import pytest

from daswatch.activity_streams.custom_resources import ACTIVITY_STREAM, CONTENT, read_stream_properties, resource_id_of
from daswatch.content.index_settings import IndexSettings
from daswatch.settings import Environment, read_hourly_indices, read_index_prefix
from tests.iac.cloudformation import read_template
from tests.iac.comparison import Facts, differences
from tests.iac.comparison_module import NAMES, TERRAFORMS_OWN, facts_of_module
from tests.iac.comparison_template import facts_of_stack
from tests.iac.setups import EVERYTHING, FIRST_TRY, OWN_DOMAIN, SETUPS, stack
from tests.iac.terraform import MODULE, Instance, Module, Source

EXAMPLE = MODULE / "examples" / "minimal"


@cache
def source() -> Source:
    """The module as it is."""
    return Source.of(MODULE)


@cache
def template_facts(name: str) -> Facts:
    """What the template makes in one of the setups."""
    return facts_of_stack(stack(name))


def variable_name(parameter: str) -> str:
    """The variable for a parameter: its name in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter).lower().replace("open_search", "opensearch")


def variables(parameters: Mapping[str, str]) -> dict[str, Any]:
    """The variables that say what the parameters say; databases by the names that the template gives them."""
    return {variable_name(name): variable(name, value) for name, value in parameters.items()}


def variable(parameter: str, value: str) -> Any:
    """A parameter's value, with Terraform's types."""
    if parameter == "Databases":
        kinds = {"cluster": "cluster", "db": "instance"}
        return {
            re.sub(r"\W", "", one): {kinds[one.partition(":")[0]]: one.partition(":")[2]} for one in value.split(",")
        }
    if parameter in ("SubnetIds", "SecurityGroupIds", "ExcludedUsers", "RowsActivities"):
        return [one for one in value.split(",") if one]
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.isdecimal() else value


def module(setup: str, **changed: Any) -> Module:
    """The module in one of the setups."""
    return Module(source(), {**variables(SETUPS[setup]), **changed})


def one(made: Module, address: str) -> Instance:
    """The resource at an address."""
    (found,) = (each for each in made.instances if each.address == address)
    return found


# The same as the template.


@pytest.mark.parametrize("name", SETUPS)
def test_the_module_makes_what_the_template_makes(name: str) -> None:
    assert differences(template_facts(name), facts_of_module(module(name))) == []


def test_every_kind_of_fact_is_compared() -> None:
    kinds = {kind for name in SETUPS for kind, _ in template_facts(name)}

    assert kinds == {
        "access",
        "alarm",
        "alias",
        "bucket",
        "delivery",
        "domain",
        "function",
        "invocation",
        "kept",
        "key",
        "log",
        "log stream",
        "mapping",
        "outputs",
        "permissions",
        "policy",
        "retries",
        "right to call",
        "rule",
        "secret",
        "subscription",
        "topic",
        "trust",
    }


@pytest.mark.parametrize("name", SETUPS)
def test_nothing_is_compared_with_nothing_and_no_alarm_hides_another(name: str) -> None:
    alarms = [subject for kind, subject in template_facts(name) if kind == "alarm"]

    assert len(alarms) == len(stack(name).of_type("AWS::CloudWatch::Alarm"))
    for (kind, subject), value in template_facts(name).items():
        assert value, f"{kind} of {subject} is empty"


def test_names_belong_to_something_on_both_sides() -> None:
    in_template = {each for name in SETUPS for each in stack(name).resources}
    blocks = {address.partition("[")[0] for address in NAMES}

    assert [name for name in NAMES.values() if not any(each.startswith(name) for each in in_template)] == []
    assert blocks <= source().named("resource").keys()
    assert len(set(NAMES.values())) == len(NAMES)


def test_what_only_terraform_needs_makes_nothing_else() -> None:
    types = {address.partition(".")[0] for address in source().named("resource")}

    assert types >= TERRAFORMS_OWN.keys()


def test_parameters_and_variables_are_the_same_with_the_same_defaults() -> None:
    parameters = read_template()["Parameters"]
    made = Module(source(), {"databases": {}, "artifact_bucket": "artifacts"})

    assert {variable_name(name) for name in parameters} == made.variables.keys()
    for name, parameter in parameters.items():
        if "Default" in parameter:
            assert made.variables[variable_name(name)] == variable(name, str(parameter["Default"])), name


CHECKED = {
    "IndexPrefix": (
        ["das-events", "acme-prod-events", "a_1-events", "x" * 53 + "-events"],
        [
            "das",
            "das-events-prod",
            "das-events-x-events",
            "das-drops-events",
            "-events",
            "a--b-events",
            "A-events",
            "x" * 54 + "-events",
        ],
    ),
    "IndexShards": (["", "1", "20", "100"], ["0", "101", "1-2", "x"]),
    "IndexReplicas": (["", "0", "9", "auto", "domain"], ["10", "0-2", "-1"]),
    "IndexWriteCopies": (["", "1", "10", "all"], ["0", "11", "none"]),
    "IndexRefreshSeconds": (["", "1", "10", "60"], ["0", "61", "10s"]),
    "IndexHourly": (["", "2027-01-15/..", "2027-01-15/2027-02-01,2027-03-01/.."], ["..", "2027-01-15", "hourly"]),
    "IndexCodec": (["", "default", "best_compression", "zstd", "zstd_no_dict"], ["lz4", "ZSTD"]),
}


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        (name, value, taken)
        for name, lists in CHECKED.items()
        for taken, own in zip((True, False), lists, strict=True)
        for value in own
    ],
)
def test_indices_are_checked_alike_everywhere(name: str, value: str, taken: bool) -> None:
    """By the template's pattern, by the module, and by the functions."""
    parameter = read_template()["Parameters"][name]
    by_template = bool(re.search(parameter.get("AllowedPattern", ""), value))
    by_template &= value in parameter.get("AllowedValues", [value]) and len(value) <= parameter.get("MaxLength", 99)
    by_module = not Module(
        source(), {"databases": {}, "artifact_bucket": "artifacts", "create_domain": True, variable_name(name): value}
    ).refusals()
    numbers = {"INDEX_REPLICAS": "9"} if name == "IndexWriteCopies" else {}
    environment = Environment({**numbers, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): value})
    read_index_prefix(environment)
    read_hourly_indices(environment)
    IndexSettings.read(environment)

    assert (by_template, by_module, not environment.problems) == (taken, taken, taken)


def test_every_variable_and_output_is_explained() -> None:
    explained = {**source().named("variable"), **source().named("output")}

    assert [name for name, body in explained.items() if not next(iter(body.find_pred(describes)), None)] == []


def describes(tree: Any) -> bool:
    return bool(tree.data == "attribute" and str(tree.children[0].children[0]) == "description")


# The comparison can fail: what is changed in the module, and what is said then.

CHANGES = [
    ("memory_size = 1769", "memory_size = 512", "function of IngestFunction: memorysize: 1769 in the template, 512"),
    ('"findings_lambda.handler.scheduled"', '"findings_lambda.handler.notified"', "FindingsFunction: handler"),
    ('"python3.13"', '"python3.12"', "function of SetupFunction: runtime"),
    ("/ingest_lambda.zip", "/findings_lambda.zip", "function of IngestFunction: s3key"),
    ("      BACKUP_BUCKET ", "      BACKUPS ", "environment: variables: BACKUP_BUCKET"),
    (
        "ALERT_TOPIC_ARN    = aws_sns_topic.alerts.arn",
        "ALERT_TOPIC_ARN    = aws_sns_topic.monitors.arn",
        "ALERT_TOPIC_ARN: '<AlertTopic>' in the template, '<MonitorTopic>' in the module",
    ),
    (
        '"kinesis:DescribeStreamSummary",',
        "",
        "permissions of IngestRole: only in the template: Allow kinesis:DescribeStreamSummary",
    ),
    (
        'Action   = "rds:DescribeDBClusters"',
        'Action   = "rds:*"',
        "permissions of SetupRole: only in the module: Allow rds:*",
    ),
    (
        'Resource = "${aws_s3_bucket.dead_letters.arn}/backups/*"',
        'Resource = "${aws_s3_bucket.dead_letters.arn}/*"',
        "permissions of SetupRole: only in the module: Allow s3:PutObject <DeadLetterBucket.Arn>/*",
    ),
    (
        '"${aws_cloudwatch_log_group.function["setup"].arn}:*"',
        '"${aws_cloudwatch_log_group.function["setup"].arn}"',
        "permissions of SetupRole: only in the template: Allow logs:PutLogEvents <SetupLog.Arn>",
    ),
    (
        '{ "kms:GrantIsForAWSResource" = "true" }',
        "{}",
        "permissions of SetupRole: only in the template: Allow kms:Create",
    ),
    ('["aws:rds:dbc-id", "aws:rds:db-id"]', "[]", "permissions of IngestRole: only in the template: Allow kms:Decrypt"),
    ('Service = "es.amazonaws.com"', 'Service = "sns.amazonaws.com"', "trust of ChannelRole"),
    ('"sts:ExternalId" = local.account', '"sts:ExternalId" = "x"', "trust of EvidenceRoleclusterorders"),
    ("maximum_record_age_in_seconds      = 82800", "maximum_record_age_in_seconds = 60", "mapping of Mappingdbledger2"),
    ('["ReportBatchItemFailures"]', "[]", "mapping of Mappingclusterorders: functionresponsetypes"),
    ('starting_position                  = "TRIM_HORIZON"', 'starting_position = "LATEST"', "startingposition"),
    ("threshold           = 900000", "threshold = 1", "alarm of GetRecords.IteratorAgeMilliseconds"),
    ('metric_name         = "IncomingRecords"', 'metric_name = "IncomingBytes"', "alarm of IncomingRecords"),
    ('treat_missing_data  = "breaching" # heart', 'treat_missing_data = "ignore" # heart', "treatmissingdata"),
    ("restrict_public_buckets = true", "restrict_public_buckets = false", "EvidenceBucket: public access"),
    ('status = "Enabled"\n  }\n}', 'status = "Suspended"\n  }\n}', "bucket of DeadLetterBucket: versioning"),
    ('sse_algorithm     = "aws:kms"', 'sse_algorithm     = "AES256"', "bucket of RowsBucket: encryption"),
    ('storage_class = "GLACIER_IR"', 'storage_class = "DEEP_ARCHIVE"', "bucket of EvidenceBucket: lifecycle"),
    ('if each.key == "evidence"', "if false", "policy of <EvidenceBucket>: only in the template: Deny s3:DeleteObject"),
    ("retention_in_days = var.log_days", "retention_in_days = 0", "log of IngestLog: retentionindays"),
    ('"rate(1 minute)"', '"rate(5 minutes)"', "rule of EachMinute: schedule"),
    ('"StopActivityStream", "ModifyActivityStream"', '"StopActivityStream"', "rule of StreamTampered: pattern"),
    ('target_id = "people"', 'target_id = "people2"', "rule of StreamTampered: targets"),
    ("datapoints_to_alarm = 1", "datapoints_to_alarm = 2", "alarm of AsyncEventsDropped"),
    ("enable_key_rotation = true", "enable_key_rotation = false", "key of DataKey: rotation"),
    ("prevent_destroy = true", "prevent_destroy = false", "kept of EvidenceBucket"),
    ("maximum_retry_attempts       = 2", "maximum_retry_attempts       = 0", "retries of <NotifiedFunction>"),
    (
        'principal     = "sns.amazonaws.com"',
        'principal     = "*"',
        "right to call of <NotifiedFunction> by <MonitorTopic>",
    ),
    (
        'parameter_value = "\\\\n"',
        'parameter_value = "\\n"',
        "delivery of Evidenceclusterorders: destination: processors",
    ),
    ('"FailedEventsOnly"', '"AllEvents"', "delivery of Splunkdbledger2: destination: s3backupmode"),
    (
        "OnDelete                        = var.on_stack_deletion",
        'OnDelete = "retain"',
        "invocation of Streamclusterorders",
    ),
    ("kms_master_key_id = aws_kms_key.data.arn\n}", "}", "topic of MonitorTopic: kmsmasterkeyid"),
    ("value       = aws_sns_topic.alerts.arn", "value = aws_sns_topic.monitors.arn", "outputs of all: alerttopicarn"),
]


@pytest.mark.parametrize(("old", "new", "said"), CHANGES, ids=[said for _, _, said in CHANGES])
def test_a_change_of_the_module_alone_is_told_by_name(old: str, new: str, said: str) -> None:
    # GIVEN the module with a change
    assert any(old in path.read_text("utf-8") for path in MODULE.glob("*.tf")), f"the module has no {old!r} any more"
    changed = Source.of(MODULE, lambda text: text.replace(old, new))

    # WHEN it is compared
    lines = differences(template_facts("everything"), facts_of_module(Module(changed, variables(EVERYTHING))))

    # THEN
    assert any(said in line for line in lines), lines


def test_a_resource_that_nobody_compares_is_noticed() -> None:
    queue = 'resource "aws_sqs_queue" "more" {\n  name = "more"\n}\n'
    more = Source(*(path.read_text("utf-8") for path in MODULE.glob("*.tf")), queue)

    with pytest.raises(AssertionError, match="nobody compares"):
        facts_of_module(Module(more, variables(OWN_DOMAIN)))


# What Terraform would check if it had the provider, and may be checked without.


def test_every_reference_has_a_target_and_there_is_no_cycle() -> None:
    graph = source().graph()

    assert {needed for needs in graph.values() for needed in needs} <= graph.keys()
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


@pytest.mark.parametrize(
    ("address", "first"),
    [
        ("aws_lambda_event_source_mapping.stream", {"aws_iam_role_policy.read", "aws_lambda_invocation.content"}),
        ("aws_lambda_invocation.stream", {"aws_iam_role_policy.start", "aws_iam_role_policy.setup"}),
        (
            "aws_lambda_invocation.content",
            {"aws_iam_role_policy.setup", "aws_opensearchserverless_access_policy.functions"},
        ),
        ("aws_kinesis_firehose_delivery_stream.evidence", {"aws_iam_role_policy.evidence"}),
    ],
)
def test_policies_come_before_what_acts_by_them(address: str, first: set[str]) -> None:
    assert source().graph()[address] >= first


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"databases": {"orders": {"cluster": "orders", "instance": "orders"}}}, "either"),
        ({"databases": {"orders": {}}}, "either"),
        ({"databases": {"Orders_1": {"cluster": "orders"}}}, "lower-case"),
        ({"databases": {"orders": {"cluster": "orders", "started_by": "me"}}}, "setup or terraform"),
        ({"databases": {"ledger": {"instance": "ledger", "started_by": "terraform"}}}, "clusters only"),
        (
            {"stream_mode": "auto", "databases": {"a": {"cluster": "a", "started_by": "terraform"}}},
            "requires async or sync",
        ),
        ({"stream_mode": "fast"}, "async, sync or auto"),
        ({"activity_stream_key": "alias/mine"}, "not of an alias"),
        ({"on_stack_deletion": "delete"}, "retain or stop"),
        ({"architecture": "mips"}, "arm64 or x86_64"),
        ({"create_domain": True}, "or create_domain = true without them"),
        ({"opensearch_endpoint": "", "opensearch_arn": ""}, "Specify opensearch_endpoint"),
        ({"opensearch_endpoint": "http://search"}, "https://"),
        ({"opensearch_service": "aoss"}, "require collection_name"),
        ({"opensearch_auth": "basic"}, "requires opensearch_secret_arn"),
        ({"redact": "all"}, "off, literals or hash"),
        ({"evidence_days": 30}, "31 days"),
        ({"splunk_endpoint": "https://splunk"}, "requires splunk_secret_arn"),
        ({"name": "watch"}, "daswatch"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(wrong: dict[str, Any], said: str) -> None:
    assert any(said in message for message in module("own domain", **wrong).refusals())


@pytest.mark.parametrize("name", SETUPS)
def test_what_can_be_is_not_refused(name: str) -> None:
    assert module(name).refusals() == []


def test_the_example_is_a_first_try_that_is_not_refused() -> None:
    (body,) = Source.of(EXAMPLE).named("module").values()
    given = Module(Source.of(EXAMPLE), {"artifact_bucket": "artifacts"}).arguments(body)

    made = Module(source(), {key: value for key, value in given.items() if key != "source"})

    assert (EXAMPLE / given["source"]).resolve() == MODULE
    assert made.refusals() == []
    assert facts_of_module(made).keys() > {("domain", "Domain")}
    assert variables(FIRST_TRY).keys() >= given.keys() - {"source"}


def test_the_readme_has_every_variable() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.*?)\|", (MODULE / "README.md").read_text("utf-8"), re.MULTILINE)
    made = Module(source(), {"databases": {}, "artifact_bucket": "artifacts"})

    assert {name for name, _ in rows} == made.variables.keys()
    for name, default in rows:
        value = made.variables[name]
        if not isinstance(value, (list, dict)) and name != "artifact_bucket":
            assert default.strip(" `") == (value if isinstance(value, str) else json.dumps(value)), name


# Streams.


def test_the_setup_function_understands_what_terraform_asks_of_it() -> None:
    made = module("everything")

    for database, wanted in (("clusterorders", "cluster:orders"), ("dbledger2", "db:ledger-2")):
        asked = json.loads(one(made, f"aws_lambda_invocation.stream[{database}]").arguments["input"])
        assert asked["ResourceType"] == ACTIVITY_STREAM
        assert str(read_stream_properties(asked["ResourceProperties"]).database) == wanted
        assert resource_id_of(asked["PhysicalResourceId"])
    content = json.loads(one(made, "aws_lambda_invocation.content").arguments["input"])
    assert (content["RequestType"], content["ResourceType"]) == ("Create", CONTENT)


def test_another_database_under_the_same_identifier_is_another_stream() -> None:
    invocation = one(module("own domain"), "aws_lambda_invocation.stream[dbledger2]").arguments

    assert invocation["triggers"] == {"resource_id": "<data.aws_db_instance.watched[dbledger2].resource_id>"}
    assert "data.aws_db_instance.watched[dbledger2].resource_id" in invocation["input"]
    assert invocation["lifecycle_scope"] == "CRUD"


def test_terraform_gives_the_key_by_its_id_as_rds_answers_it() -> None:
    databases = {"orders": {"cluster": "orders", "started_by": "terraform"}}
    made = module("everything", databases=databases)

    stream = one(made, "aws_rds_cluster_activity_stream.watched[orders]").arguments
    assert stream["kms_key_id"] == EVERYTHING["ActivityStreamKey"].partition("/")[2]


def test_a_stream_that_terraform_starts_is_not_the_setup_functions() -> None:
    # GIVEN a cluster whose stream is the provider's
    databases = {"orders": {"cluster": "orders", "started_by": "terraform"}, "ledger": {"instance": "ledger"}}
    made = module("own domain", databases=databases)

    # WHEN
    facts = facts_of_module(made)

    # THEN the setup function has no right to start it, all else is there for both, and reads the right stream
    assert [line for line in facts["permissions", "SetupRole"] if "rds:StartActivityStream" in line] == [
        "Allow rds:StartActivityStream arn:aws:rds:eu-west-1:123456789012:db:ledger"
    ]
    stream = one(made, "aws_rds_cluster_activity_stream.watched[orders]").arguments
    assert stream["resource_arn"] == "<data.aws_rds_cluster.watched[orders].arn>"
    name = "<aws_rds_cluster_activity_stream.watched[orders].kinesis_stream_name>"
    mapping = one(made, "aws_lambda_event_source_mapping.stream[orders]").arguments
    assert mapping["event_source_arn"] == f"arn:aws:kinesis:eu-west-1:123456789012:stream/{name}"
    assert {subject for kind, subject in facts if kind == "mapping"} == {"Mappingorders", "Mappingledger"}
