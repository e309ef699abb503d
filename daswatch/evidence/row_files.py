"""Rows in a file on this machine, for those who have the key's permission and no cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daswatch.deadline import Deadline
from daswatch.documents.document import Document
from daswatch.documents.row_formats import row
from daswatch.errors import SettingsError
from daswatch.evidence.replay import Outcome, Session
from daswatch.indexing.tallies import Tally

_BYTES = "bytes"


class RowFile:
    """A file of rows; what a reading that ended early wrote behind its last note is written again.

    Only the owner may read it.
    """

    def __init__(self, path: Path, mark: Mapping[str, Any]) -> None:
        """`mark` is what the reading that is gone on with noted; empty for a new file. Raises SettingsError."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | (0 if mark else os.O_EXCL), 0o600)
        except FileExistsError as exc:
            raise SettingsError([f"{path} is there already (expected: the name of a new file)"]) from exc
        except OSError as exc:
            raise SettingsError([f"{path} cannot be written ({type(exc).__name__}; expected: a new file)"]) from exc
        self._file = os.fdopen(descriptor, "r+b")
        kept = int(mark.get(_BYTES, 0))
        if self._file.seek(0, os.SEEK_END) < kept:
            self._file.close()
            raise SettingsError([f"{path} is shorter than an earlier run left it (expected: the file, or a new name)"])
        self._file.truncate(kept)
        self._file.seek(kept)

    def begin(self, object_key: str, deadline: Deadline) -> Session:
        """What takes the documents of a batch."""
        return self

    def add(self, position: int, documents: Sequence[Document]) -> None:
        """Append documents as rows."""
        self._file.write(b"".join(map(row, documents)))

    def finish(self, tally: Tally) -> Outcome:
        """All is appended."""
        return Outcome()

    def mark(self) -> dict[str, Any]:
        """How much of the file is safe: noted after it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return {_BYTES: self._file.tell()}

    def close(self) -> None:
        """Close the file."""
        self._file.close()
