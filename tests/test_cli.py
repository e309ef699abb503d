"""The command line as a whole: what a command imports before it begins."""

from __future__ import annotations

import subprocess
import sys

from daswatch.cli import COMMANDS
from tests import ROOT

# Without the modules that take most of a second, the command line of the arguments.
WITHOUT_CLIENTS = """
import sys
for name in ("boto3", "botocore", "opensearchpy", "sigma", "aws_encryption_sdk"):
    sys.modules[name] = None
from daswatch.cli import main
main()
"""


def test_commands_are_listed_without_importing_them() -> None:
    command = [sys.executable, "-c", WITHOUT_CLIENTS, "--help"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)
