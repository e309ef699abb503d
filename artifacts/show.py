"""What people see of a build and of a deployment."""

from __future__ import annotations

from rich.table import Table

from artifacts.build import MAX_UNPACKED_BYTES
from artifacts.manifest import Artifact, Manifest

_LARGEST = 3


def listing(manifest: Manifest) -> Table:
    """The artifacts with their sizes, and what makes them large."""
    limit = f"{MAX_UNPACKED_BYTES / 1e6:.0f} MB"
    table = Table(title=f"Artifacts for python{manifest.python_version} (at most {limit} unpacked)")
    table.add_column("function", style="bold", no_wrap=True)
    table.add_column("architecture", no_wrap=True)
    table.add_column("zipped", justify="right", no_wrap=True)
    table.add_column("unpacked", justify="right", no_wrap=True)
    table.add_column("AWS services")
    table.add_column("largest")
    for one in sorted(manifest.artifacts, key=lambda artifact: (artifact.function, artifact.architecture)):
        table.add_row(
            one.function,
            one.architecture,
            megabytes(one.written.zipped),
            megabytes(one.written.unpacked),
            ", ".join(sorted(one.services)),
            _largest(one),
        )
    return table


def megabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e6:.1f} MB"


def _largest(artifact: Artifact) -> str:
    by_size = sorted(artifact.written.by_owner.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {megabytes(size)}" for name, size in by_size[:_LARGEST])
