"""S3: listing objects; dead letters, still encrypted, and backups of the content that setup replaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from daswatch.aws.api_calls import AwsError, ask
from daswatch.deadline import Deadline
from daswatch.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import ObjectTypeDef


def list_objects(
    client: S3Client, bucket: str, prefix: str, ask_page: Callable[[Callable[[], Any]], Any], after: str = ""
) -> Iterator[ObjectTypeDef]:
    """All objects with a greater key, in the order of their keys. Each page is one call of `ask_page`."""
    while True:
        page = ask_page(partial(client.list_objects_v2, Bucket=bucket, Prefix=prefix, StartAfter=after))
        for one in page.get("Contents", ()):
            after = one["Key"]
            yield one
        if not page.get("IsTruncated"):
            return


class DeadLetterBucket:
    """One bucket; one object for each dead letter, under a name that a redelivery writes again."""

    def __init__(self, client: Callable[[], S3Client], bucket: str) -> None:
        """`client` is called at the first dead letter: most functions never need one."""
        self._client = cache(client)
        self._bucket = bucket

    def put(self, key: str, body: bytes, deadline: Deadline) -> str:
        """Store and return the object's URI. Raises ArchiveUnavailable."""
        return _put(self._client, self._bucket, key, body, "the dead-letter bucket", deadline)


class Backups:
    """Backups of replaced content, under one folder for each run."""

    def __init__(self, client: Callable[[], S3Client], bucket: str, folder: str) -> None:
        """`client` is called at the first backup: most runs replace nothing."""
        self._client = cache(client)
        self._bucket = bucket
        self._folder = folder

    def put(self, name: str, content: bytes, deadline: Deadline) -> None:
        """Store one file. Raises ArchiveUnavailable: then nothing is replaced."""
        _put(self._client, self._bucket, f"{self._folder}/{name}", content, "the backup bucket", deadline)


def _put(client: Callable[[], S3Client], bucket: str, key: str, body: bytes, what: str, deadline: Deadline) -> str:
    try:
        answer = ask(
            lambda: client().put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json"),
            deadline,
        )
    except AwsError as exc:
        raise ArchiveUnavailable(f"S3 PutObject into {what}: {exc.code}") from exc
    if not answer.get("ETag"):  # what answered 200 is not S3
        raise ArchiveUnavailable(f"S3 PutObject into {what}: an answer without an ETag")
    return f"s3://{bucket}/{key}"
