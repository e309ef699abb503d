"""What the build leaves out, and what it says where it cannot build: small trees, and uv itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.artifacts import build as artifacts_build
from tools.artifacts.build import build, write_artifact
from tools.artifacts.contents import copy_package, fill, is_carried, services
from tools.artifacts.errors import PackagingError
from tools.artifacts.wheels import Architecture, Target, export_lock, install


def write(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def test_contents_are_the_wheels_our_code_and_its_data(tmp_path: Path) -> None:
    root, folder = tmp_path / "root", tmp_path / "folder"
    for name in ("boto3/__init__.py", "bin/jp.py", "used/tests/test_x.py", "botocore/data/partitions.json"):
        write(folder / name)
    for service in ("ec2", "kms", "sqs"):
        write(folder / "botocore" / "data" / service / "2031-03-04" / "service-2.json.gz")
    write(root / "daswatch" / "aws" / "clients.py", 'session().client("kms", config=_AWS)')
    write(root / "daswatch" / "cli.py")
    write(root / "daswatch" / "commands" / "setup.py")
    write(root / "other_lambda" / "handler.py")
    write(root / "some_lambda" / "handler.py", 'boto3.client(\n    "ec2")')
    write(root / "some_lambda" / "__pycache__" / "handler.cpython-313.pyc")
    write(root / "index_templates" / "index" / "das-events.json")
    write(root / "index_templates" / "index" / ".swap")

    called = services(root)
    fill(folder, root, called, {"detections.json": b"[]"})
    copy_package(folder, "some_lambda", root, called)

    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "boto3/__init__.py",
        "botocore/data/ec2/2031-03-04/service-2.json.gz",
        "botocore/data/kms/2031-03-04/service-2.json.gz",
        "botocore/data/partitions.json",
        "daswatch/aws/clients.py",
        "detections.json",
        "index_templates/index/das-events.json",
        "some_lambda/handler.py",
    ]


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
    folder = tmp_path / "contents"
    write(folder / "large" / "a", 1_500_000 * " ")
    write(folder / "small" / "b", 600_000 * " ")

    with pytest.raises(PackagingError, match=r"unpacks to 2\.1 MB, more than 2 MB") as caught:
        write_artifact(tmp_path, Architecture.ARM64, "some_lambda", folder)

    assert "large 1.5 MB, small 0.6 MB" in caught.value.next_step


@pytest.mark.parametrize("version", ["3", "3.13.1", "python3.13", ""])
def test_a_version_of_python_that_is_none_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(PackagingError, match="is not a version of Python"):
        build(tmp_path, python_version=version)


def test_a_tuning_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"tuning\.yml cannot be read"):
        build(tmp_path, tuning=tmp_path / "tuning.yml")


def test_without_uv_the_build_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PackagingError, match="uv is missing") as caught:
        export_lock(tmp_path, "some_lambda")

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
