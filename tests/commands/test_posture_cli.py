"""`daswatch posture` without OpenSearch: verdicts of moto's databases, and what to do about each."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daswatch.commands.posture import app
from demo.aws import REGION
from tests.fakes.rds import ACCOUNT, Rds


@pytest.fixture(autouse=True)
def one_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_REGIONS", REGION)


def posture(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})


def remedies(*arguments: str) -> Any:
    result = posture(*arguments, "--output", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_remedy_has_the_names_and_the_mode_of_the_database(rds: Rds) -> None:
    name = rds.cluster()

    (found,) = remedies("--remedy", name)

    assert found["verdict"] == "off"
    assert set(found["forms"]) == {"cli", "terraform", "cloudformation", "console"}
    command = next(line for line in found["forms"]["cli"].splitlines() if "start-activity-stream" in line)
    words = shlex.split(command)
    assert words[words.index("--resource-arn") + 1] == f"arn:aws:rds:{REGION}:{ACCOUNT}:{name}"
    assert words[words.index("--mode") + 1] == "async"


def test_remedy_in_one_form_is_all_of_stdout(rds: Rds) -> None:
    name = rds.cluster()

    result = posture("--remedy", name, "--format", "cloudformation", "--kms-key", rds.key_arn)

    assert result.exit_code == 0
    assert result.stdout.startswith("# If a stack of Daswatch")
    assert f'Default: "{rds.key_arn}"' in result.stdout
    assert "Start the activity stream" in result.stderr


def test_remedy_of_an_arn_looks_at_its_region_alone(rds: Rds, monkeypatch: pytest.MonkeyPatch) -> None:
    name = rds.cluster("aurora-mysql")
    monkeypatch.delenv("FLEET_REGIONS")

    result = posture("--remedy", f"arn:aws:rds:{REGION}:{ACCOUNT}:{name}", "--mode", "sync")

    assert result.exit_code == 0
    assert "RDS offers no mode that is wanted here" in result.output
    assert "start-activity-stream" not in result.output


def test_database_without_streams_has_advice_only(rds: Rds) -> None:
    (found,) = remedies("--remedy", rds.instance("postgres"))

    assert (found["verdict"], found["forms"]) == ("not-eligible", {})
    assert "own logs" in found["advice"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--remedy", "cluster:nowhere"), "there is no cluster:nowhere"),
        (("--remedy", "orders"), "'orders' names no database"),
        (("--remedy", "cluster:nowhere", "--kms-key", "alias/das"), "--kms-key is not the ARN of a key"),
    ],
)
def test_what_cannot_be_looked_up_is_named(rds: Rds, arguments: tuple[str, ...], problem: str) -> None:
    result = posture(*arguments)

    assert result.exit_code == 2
    assert problem in result.output


def test_report_is_all_of_stdout(rds: Rds) -> None:
    name = rds.cluster().removeprefix("cluster:")

    page, table = posture("--output", "html"), posture("--output", "csv")

    assert (page.exit_code, table.exit_code) == (1, 1), "a database is not covered"
    assert page.stdout.startswith("<!DOCTYPE html>")
    assert page.stdout.endswith("</html>\n")
    assert f"cluster:{name}" in page.stdout
    assert f",{name}," in table.stdout
