"""`dist/manifest.json`: what was built, and the digest under which it is uploaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tools.artifacts.archive import Written

NAME = "manifest.json"
_DIGEST_LETTERS = 32  # 128 bits


@dataclass(frozen=True, slots=True)
class Artifact:
    """One function's zip for one architecture; `path` is relative to the folder of the manifest."""

    function: str
    architecture: str
    path: str
    written: Written
    distributions: Mapping[str, str]  # name -> version


@dataclass(frozen=True, slots=True)
class Manifest:
    """All artifacts of one build."""

    python_version: str
    artifacts: tuple[Artifact, ...]
    compiled_by: str | None = None  # the release of Python whose compiled files they hold

    @property
    def digest(self) -> str:
        """Identifies builds by the content of their zips: a zlib that packs differently makes no other digest."""
        lines = sorted(f"{one.path} {one.written.content}\n" for one in self.artifacts)
        return hashlib.sha256("".join([self.python_version, "\n", *lines]).encode()).hexdigest()[:_DIGEST_LETTERS]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "digest": self.digest,
            "pythonVersion": self.python_version,
            "compiledBy": self.compiled_by,
            "artifacts": [_entry(one) for one in _sorted(self.artifacts)],
        }

    def dump(self) -> bytes:
        """As a file."""
        return orjson.dumps(self.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _sorted(artifacts: Iterable[Artifact]) -> list[Artifact]:
    return sorted(artifacts, key=lambda one: one.path)


def _entry(artifact: Artifact) -> dict[str, Any]:
    return {
        "function": artifact.function,
        "architecture": artifact.architecture,
        "path": artifact.path,
        "sha256": artifact.written.sha256,
        "zippedBytes": artifact.written.zipped,
        "unpackedBytes": artifact.written.unpacked,
        "files": artifact.written.files,
        "contentSha256": artifact.written.content,
        "distributions": dict(sorted(artifact.distributions.items())),
    }
