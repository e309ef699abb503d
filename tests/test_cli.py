"""The command line as a whole: what a command imports before it begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from daswatch.cli import COMMANDS
from tests import ROOT

WITHOUT = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from daswatch.cli import app
app()
"""


def without(modules: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line where modules, with commas between them, are not installed."""
    command = [sys.executable, "-c", WITHOUT, modules, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def test_commands_are_listed_without_importing_them() -> None:
    done = without("boto3,botocore,opensearchpy,sigma,aws_encryption_sdk", "--help")

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize(("module", "name"), [("sigma", "pySigma"), ("yaml", "PyYAML")])
def test_without_the_compiler_a_line_says_what_to_install(module: str, name: str) -> None:
    done = without(module, "detections", "list")

    assert done.returncode == 2
    assert done.stderr == f"daswatch: {name} is missing (expected: pip install 'daswatch[compile]')\n"


def test_without_the_compiler_other_commands_work() -> None:
    # It asks for its settings, so it was imported and begun.
    done = without("sigma", "setup")

    assert done.returncode == 2
    assert "OPENSEARCH_ENDPOINT is missing" in done.stderr
    assert "compile" not in done.stderr
