"""What the build reads from code, and what it says where it cannot build: small trees, and uv itself."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tools.artifacts import build as artifacts_build
from tools.artifacts.archive import write_zip
from tools.artifacts.build import build, write_artifact
from tools.artifacts.contents import Contents, contents, is_carried
from tools.artifacts.errors import PackagingError
from tools.artifacts.imports import Finder, reached
from tools.artifacts.services import services_of
from tools.artifacts.wheels import Architecture, Target, export_lock, install

CLIENTS = """
import boto3
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import only_for_types

def kms_client():
    return _session().client("kms")

def search_client():
    return _password()

def s3_client():
    return _session().client("s3")

def _password():
    return _session().client("secretsmanager")

def _session():
    return boto3.Session()
"""


class Tree:
    """A tree of ours next to a folder of unpacked wheels."""

    def __init__(self, folder: Path) -> None:
        self.root, self.wheels = folder / "root", folder / "wheels"
        self.write("daswatch/__init__.py", "")
        self.write("daswatch/clients.py", CLIENTS)
        self.distribute("boto3", {"boto3/__init__.py": "import botocore"})
        services = {
            f"botocore/data/{name}/2031-03-04/service-2.json.gz": "" for name in ("kms", "s3", "secretsmanager")
        }
        self.distribute("botocore", {"botocore/__init__.py": "", "botocore/data/partitions.json": "", **services})

    def write(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(content), "utf-8")

    def handler(self, content: str) -> None:
        self.write("some_lambda/__init__.py", "")
        self.write("some_lambda/handler.py", content)

    def distribute(self, name: str, files: dict[str, str], requires: str = "") -> None:
        """A wheel as it is unpacked."""
        required = f"Requires-Dist: {requires}\n" if requires else ""
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{required}\n"
        info = f"{name}-1.0.dist-info"
        files = {**files, f"{info}/METADATA": metadata, f"{info}/licenses/LICENSE": "", f"{info}/INSTALLER": "uv"}
        files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
        for file, content in files.items():
            path = self.wheels / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")

    def contents(self) -> Contents:
        return contents("some_lambda", self.root, self.wheels, b"[]")

    def services(self) -> frozenset[str]:
        graph = reached("some_lambda.handler", Finder(self.root, self.wheels))
        ours = {name: one for name, one in graph.modules.items() if one.path and one.path.is_relative_to(self.root)}
        return services_of(ours)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


# Services.


@pytest.mark.parametrize(
    ("handler", "services"),
    [
        ("from daswatch.clients import kms_client", {"kms"}),
        ("from daswatch.clients import search_client", {"secretsmanager"}),
        ("from daswatch.clients import kms_client, s3_client", {"kms", "s3"}),
        ("def late():\n    from daswatch.clients import s3_client", {"s3"}),
        ("from daswatch import clients", {"kms", "s3", "secretsmanager"}),
        ("import daswatch.clients", {"kms", "s3", "secretsmanager"}),
        ("from daswatch.clients import boto3", {"kms", "s3", "secretsmanager"}),
        ("import boto3\ndef f():\n    boto3.client('s3')", {"s3"}),
    ],
)
def test_services_are_those_of_the_clients_that_are_made(tree: Tree, handler: str, services: set[str]) -> None:
    tree.handler(handler)

    assert tree.services() == services


def test_a_service_that_is_no_literal_stops_the_build(tree: Tree) -> None:
    tree.handler("import boto3\ndef f(name):\n    return boto3.client(name)")

    with pytest.raises(
        PackagingError, match=r"some_lambda.handler, line 3: a client of a service that is not a literal"
    ):
        tree.services()


def test_a_service_that_botocore_does_not_know_stops_the_build(tree: Tree) -> None:
    tree.handler("import boto3\ndef f():\n    return boto3.client('kmz')")

    with pytest.raises(PackagingError, match="botocore knows no service kmz"):
        tree.contents()


# Modules and distributions.


def test_what_is_imported_is_carried_and_nothing_else(tree: Tree) -> None:
    tree.distribute(
        "used", {"used/__init__.py": "from . import inner", "used/inner.py": "", "used/tests/test_x.py": ""}
    )
    tree.distribute("unused", {"unused.py": ""})
    tree.write("daswatch/core.py", "def f():\n    import used\n")
    tree.write("daswatch/cli.py", "import unused")
    tree.handler("from daswatch import core\nfrom daswatch.clients import kms_client")

    built = tree.contents()

    assert sorted(built.files) == [
        *("boto3-1.0.dist-info/METADATA", "boto3-1.0.dist-info/licenses/LICENSE", "boto3/__init__.py"),
        *("botocore-1.0.dist-info/METADATA", "botocore-1.0.dist-info/licenses/LICENSE", "botocore/__init__.py"),
        *("botocore/data/kms/2031-03-04/service-2.json.gz", "botocore/data/partitions.json"),
        *("daswatch/__init__.py", "daswatch/clients.py", "daswatch/core.py"),
        *("some_lambda/__init__.py", "some_lambda/handler.py"),
        *("used-1.0.dist-info/METADATA", "used-1.0.dist-info/licenses/LICENSE"),
        *("used/__init__.py", "used/inner.py"),
    ]
    assert built.distributions == {"boto3": "1.0", "botocore": "1.0", "used": "1.0"}


def test_all_that_a_compiled_distribution_requires_is_carried(tree: Tree) -> None:
    native = f"_native.cpython-313-{Architecture.X86_64.machine}-linux-gnu.so"
    tree.distribute("compiled", {"compiled/__init__.py": "", f"compiled/{native}": ""}, requires="Asked_For>=1; extra")
    tree.distribute("asked-for", {"asked_for/__init__.py": "import further"})
    tree.distribute("further", {"further.py": ""})
    tree.handler("from compiled import _native")

    assert tree.contents().distributions == {"asked-for": "1.0", "compiled": "1.0", "further": "1.0"}


def test_files_that_are_read_come_with_the_code_that_reads_them(tree: Tree) -> None:
    tree.write("index_templates/__init__.py", "")
    tree.write("index_templates/index/das-events.json", "{}")
    tree.write("index_templates/index/.swap", "")
    tree.handler(
        """
        from importlib.resources import files
        SETTING = "DETECTIONS"
        def f():
            return files("index_templates").joinpath("index")
        """
    )

    files = tree.contents().files

    assert {name for name in files if "/index" in name} == {"index_templates/index/das-events.json"}
    assert files["detections.json"] == b"[]"


def test_an_import_that_is_nowhere_stops_the_build(tree: Tree) -> None:
    tree.handler("import nowhere")

    with pytest.raises(PackagingError, match=r"some_lambda\.handler imports nowhere") as caught:
        tree.contents()

    assert "uv lock" in caught.value.next_step


def test_an_imported_module_is_never_left_out_with_the_tests(tree: Tree) -> None:
    tree.distribute("odd", {"odd/__init__.py": "from odd.tests import needed", "odd/tests/needed.py": ""})
    tree.handler("import odd")

    with pytest.raises(PackagingError, match=r"odd\.tests\.needed is imported and would be left out"):
        tree.contents()


@pytest.mark.parametrize(
    ("name", "carried"),
    [
        ("botocore/data/endpoints.json", True),
        ("botocore/data/kms/2014-11-01/service-2.json.gz", True),
        ("botocore/data/kms/2014-11-01/examples-1.json.gz", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", False),
        ("boto3/data/ec2/2016-11-15/resources-1.json", False),
        ("orjson/__init__.pyi", False),
        ("orjson/py.typed", False),
        ("cffi/_cffi_include.h", False),
        ("../../bin/jp.py", False),
        ("bin/jp.py", False),
        ("wrapt-stubs/__init__.pyi", False),
        ("dateutil/zoneinfo/dateutil-zoneinfo.tar.gz", True),
        ("botocore/cacert.pem", True),
        ("orjson-3.dist-info/METADATA", True),
        ("orjson-3.dist-info/licenses/LICENSE-MIT", True),
        ("orjson-3.dist-info/RECORD", False),
    ],
)
def test_what_is_carried_of_a_wheel(name: str, carried: bool) -> None:
    assert is_carried(name, frozenset({"kms"})) is carried


# Size, and uv.


def test_an_artifact_that_is_too_large_names_the_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts_build, "MAX_UNPACKED_BYTES", 2_000_000)
    files: dict[str, Path | bytes] = {"a": bytes(1_500_000), "b": bytes(600_000)}
    one = Contents("some_lambda", files, {"a": "large", "b": "small"}, frozenset(), {})

    with pytest.raises(PackagingError, match=r"unpacks to 2\.1 MB, more than 2 MB") as caught:
        write_artifact(tmp_path, Architecture.ARM64, one)

    assert "large 1.5 MB, small 0.6 MB" in caught.value.next_step


@pytest.mark.parametrize("version", ["3", "3.13.1", "python3.13", ""])
def test_a_version_of_python_that_is_none_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(PackagingError, match="is not a version of Python"):
        build(tmp_path, python_version=version)


def test_a_tuning_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"tuning\.yml cannot be read"):
        build(tmp_path, tuning=tmp_path / "tuning.yml")


def test_the_order_of_the_files_is_no_matter(tmp_path: Path) -> None:
    owners = {"a": "x", "b": "x"}
    forth = write_zip(tmp_path / "1.zip", {"a": b"1", "b": b"2"}, owners)
    back = write_zip(tmp_path / "2.zip", {"b": b"2", "a": b"1"}, owners)

    assert forth == back
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_without_uv_the_build_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PackagingError, match="uv is missing") as caught:
        export_lock(tmp_path)

    assert "pip install 'uv>=0.8'" in caught.value.next_step


ORJSON = "orjson==3.11.0 --hash=sha256:" + 64 * "0"


def test_without_an_index_the_build_says_what_to_look_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("UV_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    (tmp_path / "requirements.txt").write_text(ORJSON, "utf-8")

    with pytest.raises(PackagingError, match="orjson") as caught:
        install(tmp_path / "requirements.txt", Target(Architecture.ARM64), tmp_path / "wheels")

    assert "check the connection to the package index" in caught.value.next_step


def test_missing_wheel_suggests_another_target(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    requirements = tmp_path / "requirements.txt"
    (tmp_path / "index" / "orjson-3.11.0-cp313-cp313-win_amd64.whl").write_bytes(b"")
    requirements.write_text(f"--no-index\n--find-links {tmp_path / 'index'}\n{ORJSON}\n", "utf-8")

    with pytest.raises(PackagingError, match="orjson") as caught:
        install(requirements, Target(Architecture.ARM64), tmp_path / "wheels")

    assert "publishes wheels for this platform and Python" in caught.value.next_step
