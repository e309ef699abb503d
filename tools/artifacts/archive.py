"""Folders as a zip of the same bytes, whenever and wherever it is written."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip can hold; a commit's time would change what did not change
_UNIX = 3
_MODE = 0o100644  # a file that all may read: Lambda does not run as its owner
_LARGEST = 3
_LEVEL = 6  # level 9 takes three times as long and saves one percent


@dataclass(frozen=True, slots=True)
class Written:
    """What a zip came to. `content` is the digest of what is in it, whichever zlib has packed it."""

    sha256: str
    content: str
    zipped: int  # bytes
    unpacked: int  # bytes
    files: int
    by_top: Mapping[str, int]  # unpacked bytes of each file and folder at the top

    @property
    def largest(self) -> list[tuple[str, int]]:
        """What makes it large."""
        return sorted(self.by_top.items(), key=lambda item: (-item[1], item[0]))[:_LARGEST]


def write_zip(path: Path, *folders: Path) -> Written:
    """Write the files of folders that have none in common, sorted by name."""
    files = {
        file.relative_to(folder).as_posix(): file for folder in folders for file in folder.rglob("*") if file.is_file()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    content = hashlib.sha256()
    by_top: Counter[str] = Counter()
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            data = files[name].read_bytes()
            archive.writestr(_entry(name), data, zipfile.ZIP_DEFLATED, _LEVEL)
            content.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
            by_top[name.partition("/")[0]] += len(data)
    return Written(
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        content=content.hexdigest(),
        zipped=path.stat().st_size,
        unpacked=by_top.total(),
        files=len(files),
        by_top=by_top,
    )


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.create_system = _UNIX
    entry.external_attr = _MODE << 16
    return entry
