"""S3: where dead letters stay, still encrypted, until somebody looks at them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from daswatch.errors import ArchiveUnavailable

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


class DeadLetterBucket:
    """One bucket; one object for each dead letter, under a name that a redelivery writes again."""

    def __init__(self, client: Callable[[], S3Client], bucket: str) -> None:
        """`client` is called at the first dead letter: most functions never need one."""
        self._client = cache(client)
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> str:
        """Store and return the object's URI. Raises ArchiveUnavailable."""
        try:
            self._client().put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            raise ArchiveUnavailable(f"S3 PutObject into the dead-letter bucket: {code}") from exc
        except BotoCoreError as exc:
            raise ArchiveUnavailable(f"S3 PutObject into the dead-letter bucket: {type(exc).__name__}") from exc
        return f"s3://{self._bucket}/{key}"
