"""The build: every function for every architecture, into a folder."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from daswatch.detections.detection import dump
from daswatch.detections.sigma import compile_all, read_tuning
from daswatch.errors import RuleError
from tools.artifacts.archive import write_zip
from tools.artifacts.compiled import Compiler, interpreter
from tools.artifacts.contents import Contents, contents, functions
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
    detections = _detections(tuning)
    step("detections compiled")
    lock = export_lock(root)
    (dist / NAME).unlink(missing_ok=True)
    artifacts: list[Artifact] = []
    python = interpreter(python_version)
    compiler = Compiler(python) if python else None
    step(f"Python {python.release} compiles" if python else NOT_COMPILED.format(python_version))
    with tempfile.TemporaryDirectory(prefix="daswatch-") as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_bytes(lock)
        for architecture in architectures:
            wheels = Path(folder) / architecture
            install(requirements, Target(architecture, python_version), wheels)
            step(f"{architecture}: wheels unpacked")
            shutil.rmtree(dist / architecture, ignore_errors=True)
            whole = [contents(function, root, wheels, detections) for function in functions(root)]
            artifacts += _write_all(dist, architecture, _with_compiled(whole, compiler), step)
    manifest = Manifest(python_version, tuple(artifacts), python.release if python else None)
    (dist / NAME).write_bytes(manifest.dump())
    return manifest


def steps(architectures: Sequence[Architecture], root: Path = ROOT) -> int:
    """How often a build calls `step`."""
    return 2 + len(architectures) * (1 + len(functions(root)))


def _with_compiled(whole: Sequence[Contents], compiler: Compiler | None) -> list[Contents]:
    """Each function's contents with the compiled files of its sources."""
    if compiler is None:
        return list(whole)
    done = compiler.compile({name: source for one in whole for name, source in one.files.items()})
    return [one.with_compiled(done) for one in whole]


def _write_all(dist: Path, architecture: Architecture, whole: Sequence[Contents], step: OnStep) -> list[Artifact]:
    def write(one: Contents) -> Artifact:
        artifact = write_artifact(dist, architecture, one)
        step(f"{architecture}: {one.function}")
        return artifact

    # zlib works outside of the interpreter's lock.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as executor:
        return list(executor.map(write, whole))


def write_artifact(dist: Path, architecture: Architecture, one: Contents) -> Artifact:
    """Write one zip. Raises PackagingError where it would be too large."""
    path = f"{architecture}/{one.function}.zip"
    written = write_zip(dist / path, one.files, one.owners)
    if written.unpacked > MAX_UNPACKED_BYTES:
        largest = sorted(written.by_owner.items(), key=lambda item: -item[1])[:3]
        listed = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in largest)
        raise PackagingError(
            f"{path} unpacks to {written.unpacked / 1e6:.1f} MB, more than {MAX_UNPACKED_BYTES / 1e6:.0f} MB",
            f"leave out what is not read at run time; the largest are {listed}",
        )
    return Artifact(one.function, architecture, path, written, len(one.files), one.services, one.distributions)


def _detections(tuning: Path | None) -> bytes:
    try:
        return dump(compile_all(read_tuning(tuning.read_text("utf-8"))) if tuning else compile_all())
    except (OSError, UnicodeDecodeError) as exc:
        raise PackagingError(
            f"{tuning} cannot be read ({type(exc).__name__})", "name a YAML file as TUNING=..."
        ) from exc
    except RuleError as exc:
        raise PackagingError(str(exc), "correct the rule or the tuning that it names") from exc
