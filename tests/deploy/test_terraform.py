"""The Terraform module passes values to the template: what it names is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

from tests import ROOT
from tests.iac.cloudformation import read_template

MODULE = ROOT / "terraform"


@cache
def blocks(folder: Path, kind: str) -> dict[str, Any]:
    """The blocks of a kind by their last label."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.tf")):
        with path.open(encoding="utf-8") as file:
            for block in hcl2.load(file).get(kind, []):
                while len(block) == 1 and isinstance(next(iter(block.values())), dict):
                    name, block = next(iter(block.items()))
                found[name.strip('"')] = block
    return found


def parameters_in(text: str) -> set[str]:
    """What is set by a template parameter's name: an assignment to a name in Pascal case."""
    return set(re.findall(r"^\s+([A-Z]\w+)\s+=", text, re.MULTILINE))


def test_parameters_are_the_templates() -> None:
    known = set(read_template()["Parameters"])
    texts = [*MODULE.rglob("*.tf"), MODULE / "README.md"]
    named = {name for path in texts for name in parameters_in(path.read_text("utf-8"))}

    assert {"Databases", "ArtifactBucket", "ArtifactPrefix", "CreateDomain", "OpenSearchEndpoint"} <= named <= known


def test_capabilities_are_those_the_template_needs() -> None:
    stack = blocks(MODULE, "resource")["daswatch"]
    capabilities = {name.strip('"') for name in stack["capabilities"]}
    resources = read_template()["Resources"].values()
    named_roles = [one for one in resources if "RoleName" in one.get("Properties", {})]

    assert "Transform" not in read_template(), "a template with a transform needs CAPABILITY_AUTO_EXPAND"
    assert named_roles
    assert capabilities == {"CAPABILITY_NAMED_IAM"}


def test_required_parameters_are_variables() -> None:
    required = {name for name, one in read_template()["Parameters"].items() if "Default" not in one}
    variables = {name for name, one in blocks(MODULE, "variable").items() if "default" not in one}

    assert required == {"Databases", "ArtifactBucket"}
    assert variables == {"databases", "artifact_bucket"}


def test_prefix_has_the_templates_default() -> None:
    default = blocks(MODULE, "variable")["artifact_prefix"]["default"].strip('"')

    assert default == read_template()["Parameters"]["ArtifactPrefix"]["Default"]


def test_example_sets_only_variables_that_exist() -> None:
    used = blocks(MODULE / "examples" / "minimal", "module")["daswatch"]

    assert {name for name in used if not name.startswith("__")} - {"source"} <= set(blocks(MODULE, "variable"))


def test_outputs_in_documents_are_the_templates() -> None:
    texts = [*MODULE.rglob("*.tf"), MODULE / "README.md"]
    named = {name for path in texts for name in re.findall(r'outputs\[\\?"(\w+)\\?"\]', path.read_text("utf-8"))}

    assert {"Dashboards"} <= named <= set(read_template()["Outputs"])
