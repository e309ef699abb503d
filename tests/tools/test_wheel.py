"""The wheel: complete, typed, and enough for the command line in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests import ROOT

UV = Path(sys.executable).with_name("uv")


def run(*words: str | Path) -> str:
    """Standard output of a command that succeeds."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--wheel", "--out-dir", folder, ROOT)
    (built,) = folder.glob("daswatch-*.whl")
    return built


def test_wheel_has_library_content_and_types(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())

    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"demo", "tests", "tools"}
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == packages
    assert "daswatch/py.typed" in names
    assert {"index_templates/component/das-event-fields.json", "detections/mass-delete/rule.yml"} <= names


def test_wheel_runs_the_command_line_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Dependencies come from uv's cache or the index."""
    environment = tmp_path / "venv"
    run(UV, "venv", "--python", sys.executable, environment)
    run(UV, "pip", "install", "--python", environment / "bin" / "python", f"{wheel}[cli]")

    assert "doctor" in run(environment / "bin" / "daswatch", "--help")
    assert "daswatch stream" in run(environment / "bin" / "daswatch", "stream", "--help")
