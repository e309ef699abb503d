"""All rules are valid Sigma, by sigma-cli's own check, with ATT&CK as it is pinned here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from click.testing import CliRunner
from sigma.cli.check import check
from sigma.data import mitre_attack

from daswatch.detections.sigma import rule_folders
from tests import ROOT

CONFIG = ROOT / "tests" / "detections" / "sigma-check.yml"
ATTACK = json.loads((ROOT / "tools" / "attack-17.0.json").read_text("utf-8"))
# SigmaHQ's, in its order; `related`, `fields` and `modified` are optional there and unused here.
KEYS = (
    "title", "id", "name", "status", "description", "references", "author", "date", "tags", "logsource", "detection",
    "falsepositives", "level", "correlation", "daswatch",
)  # fmt: skip
LOG_SOURCES = {("rds", "activity-stream"), ("aws", "cloudtrail"), ("opensearch", "saved-query")}
NAMES = [folder.name for folder in rule_folders()]


@pytest.fixture
def pinned_attack(tmp_path: Path) -> Iterator[None]:
    """sigma-cli reads ATT&CK of the version that the repository has, and downloads nothing."""
    stix = tmp_path / "attack.json"
    stix.write_text(json.dumps({"objects": [*_tactics(), *_techniques()]}), "utf-8")
    mitre_attack.set_cache_dir(str(tmp_path / "cache"))
    mitre_attack.set_url(str(stix))
    yield
    mitre_attack.set_url(mitre_attack.MITRE_ATTACK_ENTERPRISE_URL)


def _tactics() -> Iterator[dict[str, Any]]:
    for identifier, name in ATTACK["tactics"].items():
        yield {"type": "x-mitre-tactic", "x_mitre_shortname": name, "external_references": _reference(identifier)}


def _techniques() -> Iterator[dict[str, Any]]:
    for identifier, name in ATTACK["techniques"].items():
        phases = [
            {"kill_chain_name": "mitre-attack", "phase_name": tactic}
            for tactic in ATTACK["technique_tactics"][identifier]
        ]
        yield {
            "type": "attack-pattern",
            "name": name,
            "external_references": _reference(identifier),
            "kill_chain_phases": phases,
        }


def _reference(identifier: str) -> list[dict[str, str]]:
    return [{"source_name": "mitre-attack", "external_id": identifier}]


@pytest.mark.usefixtures("pinned_attack")
def test_sigma_check_finds_nothing() -> None:
    files = [*(ROOT / "detections").glob("*/rule.yml"), ROOT / "detections" / "_shared.yml"]
    arguments = ["--fail-on-issues", "--validation-config", str(CONFIG), *map(str, files)]

    result = CliRunner().invoke(check, arguments)

    assert "Found 0 errors, 0 condition errors and 0 issues" in result.output, result.output
    assert result.exit_code == 0


@pytest.mark.usefixtures("pinned_attack")
def test_sigma_check_finds_what_is_wrong(tmp_path: Path) -> None:
    rule = (ROOT / "detections" / "os-exec" / "rule.yml").read_text("utf-8")
    (tmp_path / "rule.yml").write_text(rule.replace("attack.t1059", "attack.t9999"), "utf-8")

    result = CliRunner().invoke(check, ["--fail-on-issues", "--validation-config", str(CONFIG), str(tmp_path)])

    assert result.exit_code == 1
    assert "t9999" in result.output


@pytest.mark.parametrize("name", NAMES)
def test_rule_has_the_form_of_sigmahq(name: str) -> None:
    for document in yaml.safe_load_all((ROOT / "detections" / name / "rule.yml").read_text("utf-8")):
        assert {*document} <= {*KEYS}
        assert UUID(document["id"]).version == 4, document["id"]
        assert document["status"] in ("experimental", "test", "stable")
        assert isinstance(document["date"], date)
        assert {"title", "description", "author", "level"} <= {*document}
        if "logsource" in document:
            assert (document["logsource"]["product"], document["logsource"]["service"]) in LOG_SOURCES
        if "daswatch" in document:
            assert document["falsepositives"]


def test_tactics_of_techniques_are_tagged() -> None:
    """Sigma wants a tag for the tactic as well; a technique without one of its own would be in no column."""
    missing = []
    for name in NAMES:
        for document in yaml.safe_load_all((ROOT / "detections" / name / "rule.yml").read_text("utf-8")):
            tags = [tag.removeprefix("attack.") for tag in document.get("tags", ())]
            for technique in (tag.upper() for tag in tags if tag.upper() in ATTACK["techniques"]):
                if not {*ATTACK["technique_tactics"][technique]} & {*tags}:
                    missing.append(f"{name}: {technique}")
    assert not missing
