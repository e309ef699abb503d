"""What keeps the tree as it was designed: imports point one way, and nothing happens at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = sorted(path for path in (ROOT / "daswatch").glob("*.py") if path.name != "cli.py")
GATEWAYS = sorted((ROOT / "daswatch" / "gateways").glob("*.py"))
LIBRARY = sorted((ROOT / "daswatch").rglob("*.py"))
LAMBDAS = sorted(ROOT.glob("*_lambda/*.py"))
DATA = sorted(
    path for folder in ("dashboards", "detections", "index_templates") for path in (ROOT / folder).rglob("*.py")
)
SHIPPED = [*LIBRARY, *LAMBDAS, *DATA]

# What reaches AWS, OpenSearch or the network belongs to the edge.
EDGE = {"boto3", "botocore", "opensearchpy", "requests", "requests_aws4auth", "urllib3", "http", "socket"}
# What runs when detections are compiled, and on the command line.
COMMANDS = [
    *(ROOT / "daswatch" / name for name in ("cli.py", "sigma.py")),
    *(ROOT / "daswatch" / "commands").glob("*.py"),
]
NOT_SHIPPED = {"tests", "demo", "artifacts", "benchmarks", "pictures", "moto", "pytest", "hypothesis"}

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

SETTINGS = ("OPENSEARCH_", "DEAD_", "INDEX_", "REDACT", "EXCLUDED_", "MAX_", "DETECTIONS", "ALERT_", "FINDINGS_",
            "SECURITY_HUB", "DASHBOARDS_", "ROWS_", "OUTPUT_FORM", "ACTIVITIES", "COMPRESS", "MONITOR", "CHANNEL_",
            "INGEST_", "BACKUP_")

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

for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports when it runs; what only type checkers see is left out."""
    for node in executed(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from executed(child)


def packages(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.partition(".")[0] for name in imported(path)}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def by_module(path: Path) -> str:
    return module_name(path)


@pytest.mark.parametrize("path", CORE, ids=by_module)
def test_the_core_knows_neither_aws_nor_opensearch(path: Path) -> None:
    assert packages(path).isdisjoint(EDGE)
    assert not any(name.startswith("daswatch.gateways") for name in imported(path))


@pytest.mark.parametrize("path", [*CORE, *GATEWAYS], ids=by_module)
def test_only_handlers_and_the_command_line_read_the_environment(path: Path) -> None:
    source = path.read_text("utf-8")

    assert "os.environ" not in source
    assert "getenv" not in source


@pytest.mark.parametrize("path", LIBRARY, ids=by_module)
def test_the_library_knows_no_function(path: Path) -> None:
    assert not any(name.endswith("_lambda") for name in packages(path))


@pytest.mark.parametrize("path", LAMBDAS, ids=by_module)
def test_a_function_knows_no_other_function(path: Path) -> None:
    assert {name for name in packages(path) if name.endswith("_lambda")} <= {path.parent.name}


@pytest.mark.parametrize("path", SHIPPED, ids=by_module)
def test_what_is_shipped_needs_nothing_of_tests_and_demo(path: Path) -> None:
    assert packages(path).isdisjoint(NOT_SHIPPED)


@pytest.mark.parametrize("path", [*CORE, *GATEWAYS, *LAMBDAS], ids=by_module)
def test_what_runs_in_lambda_needs_no_command_line(path: Path) -> None:
    assert packages(path).isdisjoint({"typer", "rich", "click"})


@pytest.mark.parametrize("path", [path for path in LIBRARY if path not in COMMANDS] + LAMBDAS, ids=by_module)
def test_no_function_carries_the_compiler_of_detections(path: Path) -> None:
    assert packages(path).isdisjoint({"sigma", "yaml"})
    assert "daswatch.detections.sigma" not in set(imported(path))


@pytest.mark.parametrize("folder", sorted({path.parent for path in LAMBDAS}), ids=lambda path: path.name)
def test_every_function_has_a_handler_and_settings(folder: Path) -> None:
    assert {"handler.py", "settings.py"} <= {path.name for path in folder.glob("*.py")}


def test_nothing_happens_at_import() -> None:
    names = [module_name(path) for path in SHIPPED]

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_the_core_is_importable_without_aws_or_opensearch() -> None:
    # The Encryption SDK brings boto3 along, and these two need it.
    names = [module_name(path) for path in CORE if path.name not in ("decrypt.py", "opening.py")]
    script = (
        "import sys, importlib\n"
        "for name in ('boto3', 'opensearchpy', 'requests', 'requests_aws4auth'): sys.modules[name] = None\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, *names], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
