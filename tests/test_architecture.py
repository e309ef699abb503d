"""What keeps the tree as it was designed, in addition to the layers of pyproject.toml: nothing happens at import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from daswatch.settings import SETTINGS
from tests import ROOT

LIBRARY = sorted((ROOT / "daswatch").rglob("*.py"))
# What reads no environment: all of the library but the command line.
PURE = [path for path in LIBRARY if path.name != "cli.py" and path.parent.name != "commands"]
# The layers below what talks to AWS and OpenSearch (pyproject.toml, import-linter).
CORE = [path for path in PURE if path.parent.name not in ("aws", "opensearch")]
LAMBDAS = sorted(ROOT.glob("*_lambda/*.py"))
DATA = sorted(
    path
    for folder in ("dashboards", "detections", "index_templates", "remediation")
    for path in (ROOT / folder).rglob("*.py")
)
SHIPPED = [*LIBRARY, *LAMBDAS, *DATA]


# Imports every module of a package with the network, AWS's clients, threads and writing of files forbidden.
IMPORT_ALL = """
import builtins, importlib, io, os, pkgutil, socket, sys, threading

import boto3, botocore.session, opensearchpy

def forbid(what):
    def refuse(*args, **kwargs):
        raise AssertionError(what + " at import")
    return refuse

socket.socket.connect = forbid("a connection")
socket.getaddrinfo = forbid("a name look-up")
boto3.client = boto3.resource = boto3.Session = forbid("a client")
botocore.session.Session.create_client = forbid("a client")
opensearchpy.OpenSearch.__init__ = forbid("a client")
threading.Thread.start = forbid("a thread")

SETTINGS = tuple(sys.argv[1].split())

class Environment(dict):
    def __getitem__(self, name):
        if name.startswith(SETTINGS):
            forbid("reading a setting")()
        return super().__getitem__(name)
    def get(self, name, default=None):
        return self[name] if name in self else default
    def __contains__(self, name):
        if name.startswith(SETTINGS):
            forbid("reading a setting")()
        return super().__contains__(name)

os.environ = Environment(os.environ)

for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_only_handlers_and_the_command_line_read_the_environment() -> None:
    reads = ("os.environ", "getenv")

    assert PURE
    assert [path for path in PURE if any(word in path.read_text("utf-8") for word in reads)] == []


def test_every_function_has_a_handler_and_settings() -> None:
    for folder in {path.parent for path in LAMBDAS}:
        assert {"handler.py", "settings.py"} <= {path.name for path in folder.glob("*.py")}


def test_nothing_happens_at_import() -> None:
    names = [module_name(path) for path in SHIPPED]

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, " ".join(SETTINGS), *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_the_core_is_importable_without_aws_or_opensearch() -> None:
    # The Encryption SDK brings boto3 along, and these two need it.
    names = [module_name(path) for path in CORE if path.name not in ("decryption.py", "decoder.py")]
    script = (
        "import sys, importlib\n"
        "for name in ('boto3', 'opensearchpy', 'requests', 'requests_aws4auth'): sys.modules[name] = None\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, *names], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )

    assert done.returncode == 0, done.stderr
