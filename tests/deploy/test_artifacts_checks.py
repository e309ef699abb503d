"""`make deploy` says what cannot be before it builds and uploads: names, values, counts, the bucket, the databases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from demo.aws import REGION
from tests import ROOT
from tests.fakes.rds import ACCOUNT, Rds
from tests.iac.cloudformation import read_template
from tools.artifacts import __main__ as deploying
from tools.artifacts.__main__ import app
from tools.artifacts.databases import new_names
from tools.artifacts.errors import UsageError
from tools.artifacts.template import Template, check_bucket_name, check_stack_name

TEMPLATE = Template.read(ROOT / "template.yaml")
LEAST = {"Databases": "cluster:orders", "CreateDomain": "true", "ArtifactBucket": "b-1", "ArtifactPrefix": "p1"}


class Built(Exception):
    """The build began: everything before it has been checked."""


@pytest.fixture
def bucket(rds: Rds, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket behind moto, where a build is not begun but noted."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", rds.aws.url)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    def built(*_: object, **__: object) -> None:
        raise Built

    monkeypatch.setattr(deploying, "build", built)
    name = "artifacts-checks"
    rds.aws.create_bucket(name)
    yield name
    rds.aws.s3().delete_bucket(Bucket=name)


def deploy(bucket: str, parameters: str, *more: str) -> Result:
    arguments = ["deploy", "--bucket", bucket, "--parameters", parameters, *more]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})


def refusal(bucket: str, parameters: str, code: int = 2) -> str:
    """What is wrong; nothing was built."""
    result = deploy(bucket, parameters)
    assert result.exit_code == code, (result.output, result.exception)
    return result.stderr


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ("Databases=ledger CreateDomain=true", "Databases has 'ledger' (expected: cluster:<identifier>"),
        ("Databses=db:ledger", "no parameter Databses (did you mean Databases?)"),
        ("Databases=", "Databases has ''"),
        ("Databases=db:a,db:b, CreateDomain=true", "Databases has ''"),
        ("Databases=tag:on", "Databases has 'tag:on' (expected: cluster:<identifier>"),
        ("Databases=" + ",".join(f"db:d{n}" for n in range(1000)), "Databases is longer than 4096 bytes"),
        ("Databases=db:a Architecture=arm", "Architecture has 'arm' (expected: arm64 or x86_64)"),
        ("Databases=db:a EvidenceDays=30", "EvidenceDays has '30' (expected: a number from 31 up)"),
        ("Databases=db:a LogDays=8", "LogDays has '8' (expected: 1 or 3"),
        ("Databases=db:a AlertEmail=you", "AlertEmail has 'you'"),
        ("Databases=db:a Nme=daswatch Redact=none", "Redact has 'none'"),
        (f"Databases=db:a RowsActivities={'x' * 4097}", "RowsActivities is longer than 4096 bytes"),
        ("Databases", "PARAMETERS has 'Databases'"),
    ],
)
def test_wrong_parameters_are_named_without_asking_aws(parameters: str, shown: str) -> None:
    assert shown in refusal("my-artifacts", parameters)


@pytest.mark.parametrize("bucket", ["UPPER_case!", "ab", "a" * 64, "-a-b", "a..b", "10.0.0.1", "s3://bucket", "a/b"])
def test_a_name_that_no_bucket_has_is_refused(bucket: str) -> None:
    shown = refusal(bucket, "Databases=db:a")

    assert f"failed: {bucket!r} is not a bucket name (expected: 3 to 63" in shown
    assert "AWS_PROFILE" not in shown


@pytest.mark.parametrize("bucket", ["my-artifacts", "a.b-c", "a1b", "a" * 63])
def test_names_that_buckets_have_are_taken(bucket: str) -> None:
    check_bucket_name(bucket)


def test_a_name_that_no_stack_has_is_refused() -> None:
    with pytest.raises(UsageError, match="is not a stack name"):
        check_stack_name("my stack")


def test_no_bucket_and_no_region_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no bucket is named" in refusal("", "Databases=db:a")
    assert "export AWS_REGION=" in refusal("my-artifacts", "Databases=db:a")


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ("CreateDomain=true", "the template needs Databases"),
        ("Databases=db:nowhere", "Specify OpenSearchEndpoint and OpenSearchArn, or CreateDomain=true"),
        ("Databases=db:nowhere CreateDomain=true", f"there is no db:nowhere in {REGION}"),
    ],
)
def test_what_is_missing_is_named_before_the_build(bucket: str, parameters: str, shown: str) -> None:
    assert shown in refusal(bucket, parameters)


def test_every_database_that_cannot_have_a_stream_is_named(bucket: str, rds: Rds) -> None:
    good, empty, mysql = rds.cluster(), rds.cluster(instances=0), rds.instance("mysql", "8.0")

    shown = refusal(bucket, f"Databases={good},{empty},{mysql} CreateDomain=true")

    assert f"{empty} has no instance" in shown
    assert f"{mysql} runs mysql, which has no activity streams" in shown
    assert good not in shown
    assert rds.calls == []


def test_databases_that_can_have_one_are_built_for(bucket: str, rds: Rds) -> None:
    oracle, running = rds.instance(), rds.cluster()
    rds.run_stream(running)

    result = deploy(bucket, f"Databases={oracle},{running} CreateDomain=true")

    assert isinstance(result.exception, Built)
    assert f"warning: {oracle}: its activity stream starts" in result.stderr
    assert "RDS for Oracle clears the audit data" in result.stderr
    assert running not in result.stderr
    assert rds.calls == []


def test_databases_that_a_tag_selects_are_named_before_they_restart(bucket: str, rds: Rds) -> None:
    stopped, running, other = rds.cluster(), rds.cluster(), rds.cluster()
    rds.run_stream(running)
    for name in (stopped, running):
        arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:{name}"
        rds.client.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "watch", "Value": "yes"}])

    result = deploy(bucket, "Databases=tag:watch=yes CreateDomain=true")

    assert isinstance(result.exception, Built)
    assert f"warning: {stopped}: its activity stream starts: every instance of the cluster restarts" in result.stderr
    assert running not in result.stderr
    assert other not in result.stderr


def test_a_mode_that_the_engine_has_not_is_refused(bucket: str, rds: Rds) -> None:
    shown = refusal(bucket, f"Databases={rds.instance()} CreateDomain=true StreamMode=sync")

    assert "oracle-ee has no mode sync here (expected: async)" in shown


def test_machines_get_the_refusal_as_json() -> None:
    result = deploy("my-artifacts", "Databases=ledger", "--output", "json")

    error = json.loads(result.stdout)["error"]
    assert result.exit_code == error["exitCode"] == 2
    assert "Databases has 'ledger'" in error["problems"][0]


def test_missing_credentials_are_a_matter_of_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)

    assert "AWS credentials are missing" in refusal("my-artifacts", "Databases=db:a")


def test_databases_of_the_stack_are_not_looked_at_again() -> None:
    assert [str(name) for name in new_names("db:a, cluster:b,db:c", "db:a,db:c")] == ["cluster:b"]


# The template.


def test_the_shortest_call_of_the_docs_fits() -> None:
    TEMPLATE.check_given(LEAST)
    TEMPLATE.check_together(LEAST, {})


def test_values_of_the_stack_count_where_none_is_given() -> None:
    TEMPLATE.check_together({}, LEAST)
    with pytest.raises(UsageError, match="OpenSearchAuth=basic requires OpenSearchSecretArn"):
        TEMPLATE.check_together({"CreateDomain": "false", "OpenSearchAuth": "basic"}, {**LEAST, **ENDPOINT})


ENDPOINT = {"OpenSearchEndpoint": "https://x", "OpenSearchArn": "arn"}
RULES: list[tuple[Mapping[str, str], str]] = [
    ({"CreateDomain": "false"}, "HasOpenSearch"),
    (ENDPOINT, "HasOpenSearch"),
    ({"CreateDomain": "false", **ENDPOINT, "OpenSearchService": "aoss"}, "CollectionHasName"),
    ({"OpenSearchService": "aoss", "CollectionName": "audit"}, "CollectionHasName"),
    ({"OpenSearchAuth": "basic", "OpenSearchSecretArn": "arn"}, "DomainUsesSigV4"),
    ({"CreateDomain": "false", **ENDPOINT, "OpenSearchAuth": "basic"}, "PasswordHasSecret"),
    ({"Deployment": "spoke"}, "SpokeHasHub"),
    ({"EvidenceReplicaBucket": "replicas"}, "ReplicaHasKey"),
    ({"SplunkEndpoint": "https://splunk"}, "SplunkHasToken"),
]


@pytest.mark.parametrize(("given", "rule"), RULES)
def test_rules_of_the_template_are_checked(given: Mapping[str, str], rule: str) -> None:
    asserted = [one["AssertDescription"] for one in read_template()["Rules"][rule]["Assertions"]]

    with pytest.raises(UsageError) as caught:
        TEMPLATE.check_together({**LEAST, **given}, {})

    assert any(one in caught.value.problem for one in asserted)


def test_every_rule_of_the_template_has_a_case() -> None:
    assert {rule for _, rule in RULES} == set(read_template()["Rules"])


def test_functions_that_are_not_known_are_left_to_cloudformation() -> None:
    rules: Any = {
        "R": {"Assertions": [{"Assert": {"Fn::Not": [{"Fn::Contains": [[], "a"]}]}, "AssertDescription": ""}]}
    }

    Template({}, rules).check_together({}, {})


def test_a_template_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    result = deploy("my-artifacts", "", "--template", str(tmp_path / "none.yaml"))

    assert result.exit_code == 1
    assert "none.yaml cannot be read" in result.stderr
