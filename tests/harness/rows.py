"""The ingest function with a delivery stream for rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from demo.aws import LocalAws
from demo.delivery import (
    delivered_rows,
    sort_into_folders,
)
from tests.harness.ingest import IngestFunction


@dataclass
class Rows:
    """The ingest function with a delivery stream and a bucket of its own."""

    ingest: IngestFunction
    aws: LocalAws
    name: str

    def stored(self) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """Each row in S3 with its folders, after Firehose has delivered."""
        sort_into_folders(self.aws.firehose(), self.aws.s3(), self.name)
        return list(delivered_rows(self.aws.s3(), self.name))

    def statement_ids(self) -> dict[str, list[int]]:
        """The statement ids of the rows by folder, doubled ones too."""
        found: dict[str, list[int]] = {}
        for folders, stored in self.stored():
            found.setdefault(folders["activity"], []).append(int(stored["statementId"]))
        return {activity: sorted(ids) for activity, ids in found.items()}
