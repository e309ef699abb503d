"""The build: every function for every architecture, into a folder."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from itertools import product
from pathlib import Path

from daswatch.detections.actors import actor_entries
from daswatch.detections.detection import dump
from daswatch.detections.sigma import NO_TUNING, compile_all, read_tuning
from daswatch.documents import actors
from daswatch.errors import RuleError
from tools.artifacts.archive import write_zip
from tools.artifacts.compiled import compile_folder, interpreter
from tools.artifacts.contents import ACTORS_FILE, DETECTIONS_FILE, copy_package, fill, functions, services
from tools.artifacts.errors import PackagingError
from tools.artifacts.manifest import NAME, Artifact, Manifest
from tools.artifacts.wheels import Architecture, Target, export_lock, install

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PYTHON_VERSION = "3.13"
NOT_COMPILED = (
    "no Python {} compiles: cold starts take twice as long; install it and run this again, its bytes will differ"
)
MAX_UNPACKED_BYTES = 100 * 1000 * 1000  # ours; Lambda's limit is 250 MB with all layers

OnStep = Callable[[str], None]


def build(
    dist: Path,
    *,
    architectures: Sequence[Architecture] = tuple(Architecture),
    python_version: str = DEFAULT_PYTHON_VERSION,
    tuning: Path | None = None,
    root: Path = ROOT,
    step: OnStep = lambda text: None,
) -> Manifest:
    """Write `dist/<architecture>/<function>.zip` and the manifest; `step` hears what was done.

    Raises PackagingError. The manifest is written last: if it exists, so does all that it lists.
    """
    if not re.fullmatch(r"3\.\d{1,2}", python_version):
        raise PackagingError(f"{python_version!r} is not a version of Python", "name it as PYTHON_VERSION=3.13")
    compiled = _compiled(tuning)
    step("detections compiled")
    (dist / NAME).unlink(missing_ok=True)
    python = interpreter(python_version)
    step(f"Python {python.release} compiles" if python else NOT_COMPILED.format(python_version))

    called = services(root)
    alike: dict[bytes, list[str]] = {}
    for function in functions(root):
        alike.setdefault(export_lock(root, function), []).append(function)

    def build_alike(job: tuple[Target, bytes]) -> list[Artifact]:
        """The artifacts of the functions with these requirements, which are unpacked and compiled once."""
        target, lock = job
        artifacts = []
        with tempfile.TemporaryDirectory(prefix="daswatch-") as folder:
            shared, requirements = Path(folder) / "shared", Path(folder) / "requirements.txt"
            requirements.write_bytes(lock)
            install(requirements, target, shared)
            fill(shared, root, called, compiled)
            if python:
                compile_folder(shared, python)
            for function in alike[lock]:
                own = Path(folder) / function
                copy_package(own, function, root, called)
                if python:
                    compile_folder(own, python)
                artifacts.append(write_artifact(dist, target.architecture, function, shared, own))
                step(f"{target.architecture}: {function}")
        return artifacts

    targets = [Target(architecture, python_version) for architecture in architectures]
    for target in targets:
        shutil.rmtree(dist / target.architecture, ignore_errors=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as executor:
        built = [one for some in executor.map(build_alike, product(targets, alike)) for one in some]
    built.sort(key=lambda one: (architectures.index(one.architecture), one.function))
    manifest = Manifest(python_version, tuple(built), python.release if python else None)
    (dist / NAME).write_bytes(manifest.dump())
    return manifest


def steps(architectures: Sequence[Architecture], root: Path = ROOT) -> int:
    """How often a build calls `step`."""
    return 2 + len(architectures) * len(functions(root))


def write_artifact(dist: Path, architecture: Architecture, function: str, *contents: Path) -> Artifact:
    """Write one zip of these folders. Raises PackagingError where it would be too large."""
    path = f"{architecture}/{function}.zip"
    written = write_zip(dist / path, *contents)
    if written.unpacked > MAX_UNPACKED_BYTES:
        listed = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in written.largest)
        raise PackagingError(
            f"{path} unpacks to {written.unpacked / 1e6:.1f} MB, more than {MAX_UNPACKED_BYTES / 1e6:.0f} MB",
            f"leave out what is not read at run time; the largest are {listed}",
        )
    found = {one.name: one.version for one in distributions(path=[str(folder) for folder in contents])}
    return Artifact(function, architecture, path, written, found)


def _compiled(tuning: Path | None) -> dict[str, bytes]:
    """The files that functions read, made of the rules, the table of actors and a team's tuning."""
    try:
        own = read_tuning(tuning.read_text("utf-8")) if tuning else NO_TUNING
        return {DETECTIONS_FILE: dump(compile_all(own)), ACTORS_FILE: actors.dump(actor_entries(own.actors))}
    except (OSError, UnicodeDecodeError) as exc:
        raise PackagingError(
            f"{tuning} cannot be read ({type(exc).__name__})", "name a YAML file as TUNING=..."
        ) from exc
    except RuleError as exc:
        raise PackagingError(str(exc), "correct the rule or the tuning that it names") from exc
