"""docs/deploy.md: its tables are current and add up, and all that it names exists."""

from __future__ import annotations

import re

import pytest
import typer.main
from typer.core import TyperGroup

from daswatch.cli import app
from tests import deploy_page
from tests.cloudformation import ROOT, Stack, read_template
from tests.deploy_page import PAGE, PRICES, per_database, per_million, total

TEXT = PAGE.read_text("utf-8")
MAKE = (ROOT / "Makefile").read_text("utf-8")
CODE = re.findall(r"`([^`\n]+)`", TEXT) + [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    for line in block.splitlines()
]
COMMANDS = sorted({one for one in CODE if one.startswith("daswatch ")})
TEMPLATE = read_template()


def test_the_tables_are_current() -> None:
    assert deploy_page.with_tables(TEXT) == TEXT, "run python -m tests.deploy_page"


def test_every_parameter_is_in_the_table_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", deploy_page.parameters_table(), re.M)

    assert sorted(rows) == sorted(TEMPLATE["Parameters"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_exists(command: str) -> None:
    found = typer.main.get_command(app)
    words = command.split()[1:]
    while isinstance(found, TyperGroup) and words:
        assert words[0] in found.commands, f"there is no {command}"
        found = found.commands[words.pop(0)]
    options = {option for parameter in found.params for option in parameter.opts}

    assert not isinstance(found, TyperGroup)
    assert {word for word in words if word.startswith("--")} <= options


def test_every_make_target_and_variable_exists() -> None:
    lines = [one for one in CODE if one.startswith("make ")]
    assert lines
    for line in lines:
        target = line.split()[1]
        assert re.search(rf"^{target}:", MAKE, re.M), line
        for variable in re.findall(r" ([A-Z]+)=", line):
            assert variable in MAKE
    for variable in ("STACK", "TUNING", "BUCKET", "PARAMETERS"):
        assert re.search(rf"^export .*\b{variable}\b|given,{variable},", MAKE, re.M)


def test_every_parameter_that_is_set_exists() -> None:
    named = set(re.findall(r"\b([A-Z][A-Za-z]+[a-z])=[^=]", " ".join(CODE)))

    assert {"Databases", "CreateDomain", "OpenSearchAuth", "SecurityHub", "OnStackDeletion"} <= named
    assert named <= set(TEMPLATE["Parameters"])


def test_every_output_and_alarm_that_is_named_exists() -> None:
    outputs = set(re.findall(r"output `(\w+)`", TEXT))
    troubles = TEXT.partition("## Troubleshooting")[2]
    alarms = {
        name for line in re.findall(r"^\| alarms? (.*?) \|", troubles, re.M) for name in re.findall(r"`(\w+)`", line)
    }
    stack = Stack({"Databases": "cluster:orders", "ArtifactBucket": "artifacts", "CreateDomain": "true"})
    names = [one.properties["AlarmName"] for one in stack.of_type("AWS::CloudWatch::Alarm").values()]

    assert outputs
    assert outputs <= set(TEMPLATE["Outputs"])
    assert alarms
    assert alarms <= {name.split("-")[1] for name in names}


def test_every_file_and_heading_that_is_linked_exists() -> None:
    headings = {re.sub(r"[^a-z -]", "", one.lower()).replace(" ", "-") for one in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in headings
        elif not link.startswith("https://"):
            assert (PAGE.parent / link).is_file(), link


# The bill, reckoned again by hand.


def line(costs: list[deploy_page.Cost], what: str) -> float:
    (found,) = (one.usd for one in costs if one.what == what)
    return found


def test_a_bill_is_what_its_parts_make() -> None:
    idle, single = per_database(), per_million(1)

    # 730 hours of a heartbeat each two seconds are 1,314,000 records.
    assert line(idle, "Kinesis, one provisioned shard") == pytest.approx(730 * 0.015 + 1.314 * 0.014)
    assert line(idle, "or KMS Decrypt, without it") == pytest.approx(131.4 * 0.03)
    assert line(idle, "evidence, Firehose") == pytest.approx(1_314_000 * 5120 / 2**30 * 0.029)
    # 525,600 calls of 20 ms are 10,512 s, in 1.7275 GB.
    gb_seconds = 10_512 * 1769 / 1024
    assert line(idle, "ingest function") == pytest.approx(gb_seconds * 0.0000133334 + 0.5256 * 0.2)
    # On demand counts 2 KB for 1,045 bytes: once in, twice out.
    gb = 1_314_000 * 2048 / 2**30
    assert line(idle, "or Kinesis, on demand") == pytest.approx(730 * 0.04 + gb * 0.08 + 2 * gb * 0.04)
    assert line(single, "or KMS Decrypt, without it") == pytest.approx(3.00)
    assert line(single, "OpenSearch, one copy") == pytest.approx(371e6 / 2**30 * 0.122 * 400 / 365 * 12)
    assert total(idle) == pytest.approx(sum(one.usd for one in idle if not one.what.startswith("or ")))


def test_the_sum_without_the_cache_in_the_text_is_right() -> None:
    month = 1000 * 730 * 3600 / 10_000 * PRICES["KMS requests"].usd

    assert f"some {round(month, -2):,.0f} USD a month" in TEXT


def test_every_price_is_marked_with_where_it_is_from() -> None:
    table = deploy_page.prices_table()

    assert all(f"| {name} | {one.usd:g} | {one.per} | {one.source} |" in table for name, one in PRICES.items())
    assert "None was looked up live" in TEXT
