"""docs/deploy.md: its tables are current, its figures can be reckoned again, and whatever it names is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from statistics import mean

import botocore.session
import jmespath  # type: ignore[import-untyped]
import pytest
import typer
from botocore import xform_name
from markdown_it import MarkdownIt
from typer.core import TyperGroup

from daswatch.cli import app
from daswatch.doctor.aws_checks import Subject
from daswatch.enrolment.conditions import METRICS
from daswatch.errors import Reason
from demo.rds import seal
from demo.traffic import DATABASES
from tests import ROOT
from tests.iac.cloudformation import read_template
from tools import deploy_page
from tools.artifacts.__main__ import app as artifacts_app
from tools.artifacts.stack import parse_parameters
from tools.benchmarks.kms import LocalKms
from tools.benchmarks.workload import workload
from tools.deploy_page import PAGE, TABLES

TEXT = PAGE.read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PARAMETERS = read_template()["Parameters"]
OUTPUTS = read_template()["Outputs"]


@cache
def commands() -> list[list[str]]:
    """All commands in the page's blocks and in its running text, as words; comments and substitutions left out."""
    found = []
    tokens = MarkdownIt("commonmark").enable("table").parse(TEXT)
    for token in tokens:
        if token.type == "fence" and token.info == "sh":
            found += token.content.replace("\\\n", " ").splitlines()
        found += [child.content for child in token.children or () if child.type == "code_inline"]
    return [words for line in found if (words := _words(line))]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []  # a name of something, and no command


def daswatch_commands() -> list[list[str]]:
    """The words after `daswatch` or `.venv/bin/daswatch`."""
    return [words[1:] for words in commands() if words[0] in ("daswatch", ".venv/bin/daswatch") and len(words) > 1]


def make_commands() -> list[list[str]]:
    """The words after `make`."""
    return [words[1:] for words in commands() if words[0] == "make" and len(words) > 1]


def given_parameters() -> Iterator[tuple[str, str]]:
    """Each parameter that a command gives."""
    for words in make_commands():
        for word in words:
            if word.startswith("PARAMETERS="):
                yield from parse_parameters(word.removeprefix("PARAMETERS=")).items()


def test_tables_are_as_their_sources_say() -> None:
    assert deploy_page.with_tables(TEXT) == TEXT, "run python -m tools.deploy_page"


def test_a_page_without_a_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers for alarms"):
        deploy_page.with_tables(TEXT.replace("<!-- end of alarms -->", ""))


# What is billed.


def test_quantities_come_out_the_same_when_computed_by_hand() -> None:
    idle, single, twenty = (dict(one) for one in (deploy_page.per_database(), *map(deploy_page.per_million, (1, 20))))

    assert idle["Kinesis"].startswith("1,314,000 records of 1,045 bytes")  # a month has 730 hours of 1,800 heartbeats
    assert idle["KMS Decrypt with the data key cache"].startswith("2,920 requests")
    assert idle["KMS Decrypt without it"] == "1,314,000 requests"
    assert idle["ingest function"] == "525,600 calls of 20 ms in 1769 MB, 0.73 GB of log"
    assert idle["Firehose"].endswith("6.27 GB")
    assert idle["S3"] == "8,760 objects, 1.28 GB, for 13 months"
    assert single["ingest function"] == "1,930 s in 1769 MB"
    assert twenty["ingest function"] == "220 s in 1769 MB"
    assert single["S3"] == "1.53 GB for 13 months"
    assert twenty["KMS Decrypt without the data key cache"] == "50,000 requests"
    assert single["OpenSearch, one copy"] == twenty["OpenSearch, one copy"] == "0.35 GB for 13 months"


@pytest.mark.parametrize("per_record", [1, 20])
def test_records_are_as_large_as_the_producer_makes_them(per_record: int) -> None:
    made = workload(LocalKms(), 1_000, per_record, signed=True)
    sizes = [len(record["kinesis"]["data"]) * 3 / 4 for batch in made.batches for record in batch]

    assert mean(sizes) == pytest.approx(deploy_page.RECORD_BYTES[per_record], rel=0.05)


def test_a_heartbeat_is_as_large_as_the_producer_makes_it() -> None:
    database = DATABASES[0]
    record = {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": database.cluster_id,
        "instanceId": database.instance_ids[0],
        "databaseActivityEventList": [{"type": "heartbeat"}],
    }
    sealed = seal(record, database, LocalKms().for_record(database), signed=True)

    assert len(sealed) == pytest.approx(deploy_page.HEARTBEAT_BYTES, rel=0.05)


def test_metrics_are_those_that_the_functions_write() -> None:
    names = [
        name
        for function in ("ingest_lambda", "findings_lambda", "posture_lambda", "enrol_lambda", "replay_lambda")
        for name in re.findall(r'"([A-Z][A-Za-z]+)"[\]:]', (ROOT / function / "telemetry.py").read_text("utf-8"))
        if not name.startswith("Rows")  # with RowsToS3 alone
    ]

    conditions = {*METRICS.values()} - {"SplunkLate"}  # with Splunk alone
    assert len(names) + len(conditions) == deploy_page.OUR_METRICS


def test_counts_are_the_templates() -> None:
    small = deploy_page.small_stack("cluster:a")
    functions = {
        one.properties["FunctionName"].removeprefix("daswatch-"): one.properties
        for one in small.of_type("AWS::Lambda::Function").values()
    }
    (domain,) = small.of_type("AWS::OpenSearchService::Domain").values()

    assert functions["ingest"]["MemorySize"] == deploy_page.INGEST_MB
    assert functions["findings"]["MemorySize"] == deploy_page.RUN_MB
    assert PARAMETERS["EvidenceDays"]["Default"] == 400
    assert domain.properties["ClusterConfig"] == {"InstanceType": "t3.small.search", "InstanceCount": 1}
    assert domain.properties["EBSOptions"]["VolumeSize"] == 20
    assert f"A[{deploy_page.alarms()} alarms]" in TEXT


# What it names.


def test_it_names_enough_to_be_checked() -> None:
    assert len(daswatch_commands()) >= 8
    assert len(make_commands()) >= 5
    assert len(list(given_parameters())) >= 10


@pytest.mark.parametrize("words", daswatch_commands(), ids=" ".join)
def test_daswatch_commands_and_their_options_are_there(words: list[str]) -> None:
    node = typer.main.get_command(app)
    rest = list(words)
    while isinstance(node, TyperGroup) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        assert name in node.commands, f"there is no daswatch {name}"
        node = node.commands[name]
    known = {option for parameter in node.params for option in parameter.opts}
    assert [word for word in rest if word.startswith("--") and word not in known] == []


@pytest.mark.parametrize("words", make_commands(), ids=" ".join)
def test_make_targets_and_their_variables_are_there(words: list[str]) -> None:
    target, *variables = words
    assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), f"there is no make {target}"
    for variable in variables:
        name = variable.partition("=")[0]
        assert re.search(rf"\$\({name}\)|\$\(call given,{name},|\$\${name}\b", MAKEFILE), (
            f"make {target} knows no {name}"
        )


@pytest.mark.parametrize(("name", "value"), sorted(set(given_parameters())))
def test_parameters_of_commands_are_the_templates_and_take_the_value(name: str, value: str) -> None:
    parameter = PARAMETERS[name]
    values = value.split(",") if parameter["Type"] == "CommaDelimitedList" else [value]

    assert all(re.fullmatch(parameter.get("AllowedPattern", ".*"), one) for one in values)
    assert all(one in parameter.get("AllowedValues", [one]) for one in values)


def test_options_of_the_text_are_some_commands() -> None:
    named = {words[0] for words in commands() if words[0].startswith("--")}
    known, waiting = (
        {"--deployment-mode"},
        [  # of the AWS CLI
            typer.main.get_command(app),
            typer.main.get_command(artifacts_app),
        ],
    )
    while waiting:
        one = waiting.pop()
        known |= {option for parameter in one.params for option in parameter.opts}
        waiting += one.commands.values() if isinstance(one, TyperGroup) else ()

    assert named
    assert named <= known


def test_words_in_code_that_look_like_parameters_or_outputs_are() -> None:
    prose = re.sub(r"```.*?```|<!-- (\w+): .*?<!-- end of \1 -->", "", TEXT, flags=re.DOTALL)
    words = {word.partition("=")[0] for word in re.findall(r"`([A-Z][A-Za-z]+(?:=[a-z0-9]+)?)`", prose)}
    alarms = set(deploy_page.ALARM_FIXES)
    metrics = {"KmsCalls", "DataKeyCacheHits"}

    assert {"SubnetIds", "MemberRoleName", "SetupRoleArn", "OnStackDeletion"} <= words
    assert {one for one in words if not one.isupper()} - {
        *PARAMETERS,
        *OUTPUTS,
        *alarms,
        *metrics,
        "Content",
        "Enrolment",
    } == set()
    assert metrics <= set(re.findall(r'"(\w+)": report', (ROOT / "ingest_lambda" / "telemetry.py").read_text("utf-8")))


def test_outputs_and_resources_of_commands_are_the_templates() -> None:
    outputs = set(re.findall(r"OutputKey=='(\w+)'", TEXT))
    resources = set(re.findall(r"--logical-resource-id (\w+)", TEXT))

    assert outputs == {"DashboardsUser"}
    assert resources == {"SetupRole"}
    assert outputs <= set(OUTPUTS)
    assert resources <= set(read_template()["Resources"])


def test_sections_that_the_doctor_sends_people_to_are_there() -> None:
    source = (ROOT / "daswatch" / "doctor" / "aws_checks.py").read_text("utf-8")
    sections = set(re.findall(r"docs/deploy\.md, ([A-Z][a-z]+)[,)]", source))

    assert sections == {"Alarms", "Drift", "Upgrade"}
    assert sections <= set(re.findall(r"^## (.+)$", TEXT, re.MULTILINE))


def test_the_aws_commands_are_such_as_botocores_models_know() -> None:
    session = botocore.session.get_session()
    lines = re.sub(r"\\\n", " ", "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)))
    calls = re.findall(r"aws (\w+) ([a-z-]+)((?: (?!aws )[^\n]*)?)", lines)
    own = {"output", "query"}  # of the command line itself

    assert len(calls) >= 6
    for service, name, rest in calls:
        if name == "wait":
            continue
        model = session.get_service_model(service)
        operation = model.operation_model("".join(part.title() for part in name.split("-")))
        assert operation.input_shape
        members = {xform_name(one, "-") for one in operation.input_shape.members}
        options = set(re.findall(r"--([a-z-]+)", rest.split("$(")[0]))
        assert options - own <= members, f"{service} {name}"
    query = re.search(r'--query "(Stacks\[0\]\.Parameters.*?)"\)', TEXT)
    assert query
    stacks = {"Stacks": [{"Parameters": [{"ParameterKey": "Name", "ParameterValue": "daswatch"}]}]}
    assert jmespath.search(query[1], stacks) == ["ParameterKey=Name,UsePreviousValue=true"]


def test_names_of_dead_letters_checks_and_functions_are_the_codes() -> None:
    reasons = set(re.findall(r"dead letters `([a-z-]+)`", TEXT))
    subjects = set(re.findall(r"`([a-z ]+)` in the doctor", TEXT)) - {"dropped in 24 h"}
    logs = set(re.findall(r"`/aws/lambda/daswatch-(\w+)`|`-(\w+)`", TEXT))
    functions = deploy_page.small_stack("cluster:a").of_type("AWS::Lambda::Function").values()

    assert reasons == {"data-key-refused", "document-refused"}
    assert reasons <= {one.value for one in Reason}
    assert subjects
    assert subjects <= {one.value for one in Subject}
    assert {f"daswatch-{''.join(one)}" for one in logs} == {one.properties["FunctionName"] for one in functions}


def test_every_alarm_that_the_template_makes_says_what_to_do() -> None:
    table = deploy_page.alarms_table()

    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(deploy_page.ALARM_FIXES)
    assert set(TABLES) == set(re.findall(r"<!-- (\w+): made by", TEXT))
