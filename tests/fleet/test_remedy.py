"""Remedies: commands that run, code that its own tools accept, and names that stay values in each language.

The arguments of Terraform's resources are those of the AWS provider's documentation, recorded below.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
import hcl2
import jmespath  # type: ignore[import-untyped]
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from cfnlint.api import lint  # type: ignore[import-untyped]
from cfnlint.decode import decode_str  # type: ignore[import-untyped]

from daswatch.activity_streams.custom_resources import read_stream_properties
from daswatch.activity_streams.lifecycle import Mode, WantedMode
from daswatch.fleet.database import FleetDatabase, document_of
from daswatch.fleet.posture import Verdict
from daswatch.fleet.remedy import RemedyForm, advice, remedy_of
from tests.builders.fleet import cluster, instance
from tests.fakes.aws_cli import parsed, value_of

KEY = "arn:aws:kms:eu-west-1:123456789012:key/4f2c5b0e-8a51-4f3d-9c0a-1f2e3d4c5b6a"
CREATED = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-4000-8000-000000000000"
OF_CLI = {"region", "query", "output"}

# (required, optional), from website/docs/r/<resource>.html.markdown of hashicorp/terraform-provider-aws.
SCHEMA: dict[str, tuple[set[str], set[str]]] = {
    "aws_rds_cluster_activity_stream": (
        {"resource_arn", "mode", "kms_key_id"},
        {"region", "engine_native_audit_fields_included"},
    ),
    "aws_kms_key": (
        set(),
        {
            *("region", "description", "key_usage", "custom_key_store_id", "customer_master_key_spec", "policy"),
            *("bypass_policy_lockout_safety_check", "deletion_window_in_days", "is_enabled", "enable_key_rotation"),
            *("rotation_period_in_days", "multi_region", "tags", "xks_key_id"),
        },
    ),
    "aws_kms_key_policy": ({"key_id", "policy"}, {"region", "bypass_policy_lockout_safety_check"}),
    "aws_kms_alias": ({"target_key_id"}, {"region", "name", "name_prefix"}),
}
META = {"provider", "depends_on", "lifecycle", "count", "for_each"}  # of each resource, by the language

HOSTILE = [
    "x'; touch injected; '",
    'x"; touch injected; "',
    "$(touch injected)`touch injected`",
    '${file("/etc/passwd")}%{ if true }',
    "x\nResources: {}\ntouch injected\n#",
    "x\r\x85\u2028touch injected",
    "!Sub '${AWS::Region}' {{resolve:ssm:x}}",
    "\\",
    '\\"',
    "$arn $$ ${arn} $1",
]


def off(database: FleetDatabase | None = None, **more: Any) -> dict[str, Any]:
    document = document_of(database or cluster(ActivityStreamStatus="stopped"))
    return {**document, "verdict": "off", "verdictReason": "its stream is off", "streamModes": ["async"], **more}


DATABASES = {
    "aurora-postgresql": cluster(ActivityStreamStatus="stopped"),
    "aurora-mysql": cluster("shop", ActivityStreamStatus="stopped", Engine="aurora-mysql"),
    "oracle": instance(ActivityStreamStatus="stopped"),
    "sqlserver": instance("payroll", ActivityStreamStatus="stopped", Engine="sqlserver-ee"),
}


def ran(script: str, folder: Path) -> list[list[str]]:
    """The calls of a script, run by a real shell with an `aws` that answers with an ARN."""
    calls = folder / "calls"
    tool = folder / "aws"
    tool.write_text(f"#!/bin/bash\nprintf '%s\\0' \"$@\" >> {calls}\nprintf '\\n' >> {calls}\necho {CREATED}\n")
    tool.chmod(0o755)
    done = subprocess.run(
        ["bash", "-eu"],
        input=script,
        cwd=folder,
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (folder / "injected").exists()
    return [call.split("\0") for call in calls.read_text("utf-8").split("\0\n")[:-1]]


def parameters(call: list[str]) -> tuple[str, dict[str, Any]]:
    """The operation and parameters of a call, valid by botocore's model."""
    (service, operation), options = parsed(call)
    model = botocore.session.get_session().get_service_model(service)
    name = next(one for one in model.operation_names if xform_name(one, "-") == operation)
    shape = model.operation_model(name).input_shape
    assert shape is not None or not options.keys() - OF_CLI
    members = {xform_name(one, "-"): (one, member) for one, member in (shape.members if shape else {}).items()}
    unknown = options.keys() - members.keys() - OF_CLI
    assert not unknown
    if "query" in options:
        jmespath.compile(options["query"][0])
    given = {
        members[option][0]: value_of(members[option][1], values)
        for option, values in options.items()
        if option not in OF_CLI
    }
    if shape:
        report = ParamValidator().validate(given, shape)
        assert not report.has_errors(), report.generate_report()
        for option, value in given.items():
            enum = getattr(shape.members[option], "enum", [])
            assert not enum or value in enum
    if "region" in options:
        assert options["region"] == ["eu-west-1"]
    return name, given


def resources(text: str) -> dict[str, dict[str, Any]]:
    """Terraform's resources by type."""
    found = {}
    for block in hcl2.load(io.StringIO(text)).get("resource", []):
        ((kind, named),) = block.items()
        (body,) = named.values()
        found[kind.strip('"')] = {name: value for name, value in body.items() if not name.startswith("__")}
    return found


def template(text: str) -> dict[str, Any]:
    found, problems = decode_str(text)
    assert not problems
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("key", ["", KEY])
def test_commands_start_the_stream(name: str, key: str, tmp_path: Path) -> None:
    document = off(DATABASES[name])

    calls = dict(map(parameters, ran(remedy_of(document, key=key).forms[RemedyForm.CLI], tmp_path)))

    assert calls["StartActivityStream"] == {
        "ResourceArn": document["databaseArn"],
        "Mode": "async",
        "KmsKeyId": key or CREATED,
        "ApplyImmediately": True,
    }
    assert ("CreateKey" in calls) == (not key)
    if not key:
        policy = json.loads(calls["CreateKey"]["Policy"])
        assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
        assert calls["CreateAlias"]["TargetKeyId"] == CREATED
        assert list(calls).index("CreateAlias") < list(calls).index("StartActivityStream")


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("key", ["", KEY])
def test_terraform_is_that_of_the_provider(name: str, key: str) -> None:
    document = off(DATABASES[name])
    text = remedy_of(document, key=key).forms[RemedyForm.TERRAFORM]
    found = resources(text)

    for kind, body in found.items():
        required, optional = SCHEMA[kind]
        assert required <= body.keys() <= required | optional | META, kind
    assert ("aws_kms_key" in found) == (not key)
    assert ("aws_rds_cluster_activity_stream" in found) == name.startswith("aurora")
    if name.startswith("aurora"):
        stream = found["aws_rds_cluster_activity_stream"]
        assert (stream["resource_arn"], stream["mode"]) == (f'"{document["databaseArn"]}"', '"async"')
    else:
        assert "has no resource" in text
        assert f"--resource-arn {document['databaseArn']}" in text
    (provider,) = hcl2.load(io.StringIO(text))["provider"]
    assert provider['"aws"']["allowed_account_ids"] == ['"123456789012"']


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("key", ["", KEY])
def test_cloudformation_is_accepted(name: str, key: str) -> None:
    document = off(DATABASES[name])
    text = remedy_of(document, key=key).forms[RemedyForm.CLOUDFORMATION]

    assert lint(text, regions=["eu-west-1"]) == []
    found = template(text)
    properties = found["Resources"]["Stream"]["Properties"]
    stream = read_stream_properties({**properties, "KmsKeyId": KEY})
    assert str(stream.database) == f"{document['databaseKind']}:{document['databaseIdentifier']}"
    assert stream.wanted.mode == "async"
    assert found["Parameters"]["KeyArn"]["Default"] == key


def test_console_steps_name_the_place_and_the_mode() -> None:
    steps = remedy_of(off(DATABASES["oracle"])).forms[RemedyForm.CONSOLE]

    assert "https://console.aws.amazon.com/rds/home?region=eu-west-1#databases:" in steps
    assert "account 123456789012" in steps
    assert "mode: Asynchronous" in steps
    assert "clears the audit data" in steps


@pytest.mark.parametrize(
    ("modes", "wanted", "mode"),
    [
        (["async", "sync"], WantedMode.AUTO, Mode.ASYNC),
        (["sync"], WantedMode.AUTO, Mode.SYNC),
        (["async", "sync"], WantedMode.SYNC, Mode.SYNC),
        ([], WantedMode.AUTO, Mode.ASYNC),
    ],
)
def test_mode_is_one_that_the_database_can_have(modes: list[str], wanted: WantedMode, mode: Mode) -> None:
    assert f"--mode {mode} " in remedy_of(off(streamModes=modes), wanted).forms[RemedyForm.CLI]


def test_mode_that_is_not_offered_is_not_started() -> None:
    found = remedy_of(off(streamModes=["async"]), WantedMode.SYNC)

    assert found.forms == {}
    assert "no mode that is wanted" in found.advice


def on(verdict: str, **more: Any) -> dict[str, Any]:
    return {**document_of(cluster()), "verdict": verdict, "verdictReason": "why", **more}


OTHERS: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "covered": (on("covered"), [], "Nothing is to be done"),
    "starting": (on("starting"), [], "Wait some minutes"),
    "stopping": (off(streamStatus="stopping"), ["CreateKey", "StartActivityStream"], "Wait until"),
    "not eligible": (
        on("not-eligible", engineName="postgres"),
        [],
        "No activity stream can be started",
    ),
    "class": (on("not-eligible"), ["DescribeOrderableDBInstanceOptions"], "version and instance class"),
    "not consumed": (on("not-consumed"), [], "Add cluster:orders to the parameter Databases"),
    "lagging": (on("lagging"), [], "Run `daswatch doctor` for the stack in account 123456789012, eu-west-1"),
    "silent": (on("silent"), [], "Run `daswatch doctor`"),
    "deleted key": (
        on("key-unusable", streamKeyState="PendingDeletion"),
        ["DescribeKey", "CancelKeyDeletion", "EnableKey"],
        "Cancel the deletion",
    ),
    "disabled key": (on("key-unusable", streamKeyState="Disabled"), ["DescribeKey", "EnableKey"], "Enable the key"),
    "other key": (on("key-unusable", streamKeyState="Unavailable"), [], "usable again"),
    "unlocked": (on("policy-unlocked"), ["ModifyActivityStream"], "Lock the audit policy"),
    "asynchronous": (
        on("asynchronous"),
        ["DescribeOrderableDBInstanceOptions", "StopActivityStream", "StartActivityStream"],
        "quiet hour",
    ),
    "excepted": (on("excepted"), ["RemoveTagsFromResource"], "until the exception ends"),
    "denied": (
        on("unknown", verdictReason="RDS DescribeOrderableDBInstanceOptions: AccessDenied"),
        [],
        "Allow rds:DescribeOrderableDBInstanceOptions in account 123456789012, eu-west-1",
    ),
    "no endpoint": (on("unknown", verdictReason="without OPENSEARCH_ENDPOINT"), [], "Set OPENSEARCH_ENDPOINT"),
    "not looked at": (on("unknown"), [], "FLEET_ACCOUNTS"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_verdict_has_its_remedy(name: str, tmp_path: Path) -> None:
    document, operations, words = OTHERS[name]
    found = remedy_of(document)

    assert words in found.advice
    assert len(found.advice) <= 512, "Security Hub's limit of a recommendation"
    if not operations:
        assert found.forms == {}
        return
    calls = [operation for operation, _ in map(parameters, ran(found.forms[RemedyForm.CLI], tmp_path))]
    assert [one for one in calls if one in operations] == operations


def test_all_verdicts_are_tried() -> None:
    assert {document["verdict"] for document, *_ in OTHERS.values()} == set(Verdict)


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.OFF, Verdict.ASYNCHRONOUS}))
def test_stream_is_never_started_where_it_makes_no_sense(verdict: str) -> None:
    forms = remedy_of(on(verdict, streamModes=["async"], streamKeyState="Disabled")).forms

    assert not [text for text in forms.values() if "start-activity-stream" in text or "Custom::" in text]


def hostile(text: str) -> dict[str, Any]:
    """A document whose every text that people choose is hostile."""
    names: dict[str, Any] = {
        "databaseIdentifier": text,
        "databaseArn": f"arn:aws:rds:eu-west-1:123456789012:cluster:{text}",
    }
    tags = {text: text, "daswatch:exception": text}
    return off(**names, tags=tags, verdictReason=text, engineName=text, engineVersion=text, streamKey=text)


def flat(text: str) -> str:
    """As it is shown in one line."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_single_words_in_a_shell(text: str, tmp_path: Path) -> None:
    calls = dict(map(parameters, ran(remedy_of(hostile(text)).forms[RemedyForm.CLI], tmp_path)))

    assert calls["StartActivityStream"]["ResourceArn"] == flat(f"arn:aws:rds:eu-west-1:123456789012:cluster:{text}")
    assert calls["DescribeDBClusters"]["DBClusterIdentifier"] == flat(text)


@pytest.mark.parametrize("verdict", ["policy-unlocked", "asynchronous", "excepted", "key-unusable", "not-eligible"])
@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_single_words_in_every_remedy(text: str, verdict: str, tmp_path: Path) -> None:
    document = {**hostile(text), "verdict": verdict, "streamKeyState": "PendingDeletion"}

    for call in ran(remedy_of(document).forms[RemedyForm.CLI], tmp_path):
        parameters(call)


def unescaped(literal: str) -> str:
    """What Terraform reads from a quoted literal. Fails for one with interpolation."""
    body = re.fullmatch(r'"((?:[^"\\]|\\["\\])*)"', literal)
    assert body, literal
    rest = re.sub(r"\$\$\{|%%\{", "", body[1])
    assert "${" not in rest
    assert "%{" not in rest
    return re.sub(r"\\(.)", r"\1", body[1]).replace("$${", "${").replace("%%{", "%{")


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_literals_in_terraform(text: str) -> None:
    code = remedy_of(hostile(text)).forms[RemedyForm.TERRAFORM]
    found = resources(code)

    assert set(found) == set(SCHEMA)
    (line,) = (line for line in code.splitlines() if line.strip().startswith("resource_arn"))
    arn = line.partition("=")[2].strip()
    assert unescaped(arn) == flat(f"arn:aws:rds:eu-west-1:123456789012:cluster:{text}")


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_strings_in_cloudformation(text: str) -> None:
    found = template(remedy_of(hostile(text)).forms[RemedyForm.CLOUDFORMATION])

    assert found["Resources"]["Stream"]["Properties"]["Database"] == flat(f"cluster:{text}")
    assert set(found["Resources"]) == {"StreamKey", "StreamKeyAlias", "StreamAccess", "Stream"}


@pytest.mark.parametrize("text", HOSTILE)
def test_advice_and_steps_are_lines_of_text(text: str) -> None:
    assert advice(hostile(text)).isprintable()
    assert len(remedy_of(hostile(text)).forms[RemedyForm.CONSOLE].splitlines()) == 6


def test_every_template_is_used() -> None:
    names = {path.name for path in (Path(__file__).parents[2] / "remediation").iterdir() if path.suffix != ".py"}
    code = (Path(__file__).parents[2] / "daswatch/fleet/remedy.py").read_text("utf-8")

    assert {name for name in names if name != "__pycache__" and f'"{name}"' not in code} == set()


def test_partitions_have_their_own_console_and_principals() -> None:
    document: Mapping[str, Any] = off(awsRegion="us-gov-west-1")
    forms = remedy_of(document).forms

    assert "https://console.amazonaws-us-gov.com/rds" in forms[RemedyForm.CONSOLE]
    assert "arn:aws-us-gov:iam::123456789012:root" in forms[RemedyForm.CLOUDFORMATION]
