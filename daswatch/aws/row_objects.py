"""S3: rows in the folders of docs/rows.md, and the readings that wrote them.

The names of the objects follow from the evidence, so that a replay that is repeated writes the same ones again.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from daswatch.aws.api_calls import AwsError, ask
from daswatch.aws.s3 import list_objects
from daswatch.deadline import Deadline
from daswatch.documents.document import Document
from daswatch.documents.row_formats import partition_keys, row
from daswatch.errors import ArchiveUnavailable, ReadingUnrecorded
from daswatch.evidence.readings import Unfinished, unfinished
from daswatch.evidence.replay import Outcome, Session
from daswatch.indexing.tallies import Tally

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_PORTION_BYTES = 32 * 1024 * 1024  # of rows, before compression


class RowObjects:
    """A folder of a bucket. Raises ArchiveUnavailable."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._object = ""
        self._batch = 0

    def begin(self, object_key: str, deadline: Deadline) -> Session:
        """What takes the documents of a batch. The batches of an object come one after the other."""
        self._batch = self._batch + 1 if object_key == self._object else 0
        self._object = object_key
        name = blake2b(object_key.encode(), digest_size=16).hexdigest()
        return _Batch(self._put, f"{name}-{self._batch:06d}", deadline)

    def _put(self, folder: str, name: str, lines: Sequence[bytes], deadline: Deadline) -> None:
        key = f"{self._prefix}{folder}replay-{name}.gz"
        body = gzip.compress(b"".join(lines), mtime=0)
        try:
            ask(partial(self._client.put_object, Bucket=self._bucket, Key=key, Body=body), deadline)
        except AwsError as exc:
            raise ArchiveUnavailable(f"S3 PutObject into {self._bucket}: {exc.code}") from exc


class _Batch:
    def __init__(
        self, put: Callable[[str, str, Sequence[bytes], Deadline], None], name: str, deadline: Deadline
    ) -> None:
        self._put = put
        self._name = name
        self._deadline = deadline
        self._folders: dict[str, list[bytes]] = {}
        self._size = 0
        self._portion = 0

    def add(self, position: int, documents: Sequence[Document]) -> None:
        for document in documents:
            keys = partition_keys(document.source)
            folder = f"rows/activity={keys['activity']}/date={keys['date']}/hour={keys['hour']}/"
            line = row(document)
            self._folders.setdefault(folder, []).append(line)
            self._size += len(line)
        if self._size >= _PORTION_BYTES:
            self._write()

    def finish(self, tally: Tally) -> Outcome:
        self._write()
        return Outcome()

    def _write(self) -> None:
        for folder, lines in sorted(self._folders.items()):
            self._put(folder, f"{self._name}-{self._portion:03d}", lines, self._deadline)
        self._folders, self._size = {}, 0
        self._portion += 1


class ReadingObjects:
    """Readings as objects next to the rows, one for each. Raises ReadingUnrecorded."""

    def __init__(self, client: S3Client, bucket: str, prefix: str, patience: Callable[[], Deadline]) -> None:
        self._client = client
        self._bucket = bucket
        self._folder = f"{prefix}replays/"
        self._patience = patience

    def unfinished(self, job: str) -> Unfinished | None:
        """The last reading of this job, unless it came to its end."""
        prefix = f"{self._folder}{job}/"
        objects = list_objects(self._client, self._bucket, prefix, self._ask)
        return unfinished([self._read(one["Key"]) for one in objects])

    def note(self, id_: str, document: Mapping[str, Any]) -> None:
        """Write a reading in the place of what was noted of it before."""
        key = f"{self._folder}{document['job']}/{id_}.json"
        body = orjson.dumps({**document, "id": id_})
        self._ask(partial(self._client.put_object, Bucket=self._bucket, Key=key, Body=body))

    def _read(self, key: str) -> dict[str, Any]:
        def read() -> bytes:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

        try:
            document: dict[str, Any] = orjson.loads(self._ask(read))
        except orjson.JSONDecodeError as exc:
            raise ReadingUnrecorded(f"{key} in {self._bucket} is not a reading") from exc
        return document

    def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return ask(call, self._patience())
        except AwsError as exc:
            raise ReadingUnrecorded(f"the reading cannot be noted in {self._bucket}: {exc.code}") from exc
