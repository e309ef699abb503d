"""S3: objects of evidence, read ahead of the one that opens them, and never changed but for a tag; and manifests.

An object is read in ranges, so that one of any size takes bounded memory, and a read that fails repeats only its range.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from daswatch.aws.api_calls import AwsError, Trouble, ask
from daswatch.aws.s3 import list_objects
from daswatch.deadline import Deadline
from daswatch.errors import EvidenceDamaged, EvidenceUnavailable
from daswatch.evidence.objects import Listed
from daswatch.evidence.replay import Opened

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

DONE_TAG = ("daswatch-replay", "done")  # the template's lifecycle rule goes by it
RANGE_BYTES = 4 * 1024 * 1024
_AHEAD = 8  # objects of which the first range is in memory
_CALL_SECONDS = 60.0
_CHANGED = ("PreconditionFailed", "InvalidRange")
_GONE = ("NoSuchKey", "404")
_EXISTS = ("PreconditionFailed", "ConditionalRequestConflict")


@dataclass(frozen=True, slots=True)
class _Range:
    content: bytes
    metadata: Mapping[str, str]
    is_tagged: bool
    version_id: str
    is_done: bool = False


class EvidenceBucket:
    """A bucket, or folders of one. `patience` gives each call its deadline; all raise EvidenceUnavailable.

    With `most_are_done`, an object's tags are looked at before its content.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefixes: Sequence[str],
        patience: Callable[[], Deadline],
        executor: Executor,
        *,
        most_are_done: bool = False,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefixes = sorted(prefixes)
        self._patience = patience
        self._executor = executor
        self._most_are_done = most_are_done

    def listed(self, after: str = "", folder: str = "", most: int = 0) -> Iterator[Listed]:
        """All objects with a greater key, in the order of their keys; those of a folder of ours, or the first ones."""
        ask_page = partial(self._ask, name="ListObjectsV2")
        objects = chain.from_iterable(
            list_objects(self._client, self._bucket, prefix + folder, ask_page, after) for prefix in self._prefixes
        )
        for one in islice(objects, most or None):
            yield Listed(one["Key"], one["Size"], one["LastModified"].astimezone(UTC), one.get("ETag", ""))

    def content(self, key: str) -> bytes | None:
        """A small object; None if there is none."""
        found = self._first(Listed(key, 0, datetime.min.replace(tzinfo=UTC)))
        return found.content if found else None

    def put_once(self, key: str, body: bytes) -> bool:
        """Write a JSON document if there is no object of this name; whether it was written."""
        put = {"Bucket": self._bucket, "Key": key, "Body": body, "ContentType": "application/json"}
        try:
            self._ask(partial(self._client.put_object, **put, IfNoneMatch="*"), "PutObject")  # type: ignore[arg-type]
        except (EvidenceDamaged, EvidenceUnavailable) as exc:
            if _code(exc) in _EXISTS:
                return False
            raise
        return True

    def opened(self, objects: Iterable[Listed]) -> Iterator[Opened]:
        """These objects, opened in their order while the next ones are read."""
        ahead: deque[tuple[Listed, Future[_Range | None]]] = deque()
        rest = iter(objects)
        try:
            while True:
                while len(ahead) < _AHEAD and (one := next(rest, None)) is not None:
                    ahead.append((one, self._executor.submit(self._first, one)))
                if not ahead:
                    return
                listed, reading = ahead.popleft()
                first = reading.result()
                if first is None:
                    yield Opened(listed, iter(()), {}, is_gone=True)
                    continue
                chunks = self._chunks(listed, first.content)
                yield Opened(listed, chunks, first.metadata, first.is_done, version_id=first.version_id)
                del first  # large: not while the next one is read
        finally:
            for _, reading in ahead:
                reading.cancel()

    def mark_done(self, key: str) -> None:
        """Tag an object: all of it is where it belongs. Other tags stay."""
        tags = [tag for tag in self._tags(key) if tag["Key"] != DONE_TAG[0]]
        tagging = {"TagSet": [*tags, {"Key": DONE_TAG[0], "Value": DONE_TAG[1]}]}
        call = partial(self._client.put_object_tagging, Bucket=self._bucket, Key=key, Tagging=tagging)  # type: ignore[arg-type]
        self._ask(call, "PutObjectTagging")

    def _is_done(self, key: str) -> bool:
        return dict(zip(("Key", "Value"), DONE_TAG, strict=True)) in self._tags(key)

    def _tags(self, key: str) -> list[Any]:
        call = partial(self._client.get_object_tagging, Bucket=self._bucket, Key=key)
        tags: list[Any] = self._ask(call, "GetObjectTagging")["TagSet"]
        return tags

    def _first(self, listed: Listed) -> _Range | None:
        """The first range; None of an object that is gone since it was listed."""
        try:
            if self._most_are_done and self._is_done(listed.key):
                return _Range(b"", {}, is_tagged=True, version_id="", is_done=True)
            first = self._read(listed, 0)
            return replace(first, is_done=True) if first.is_tagged and self._is_done(listed.key) else first
        except EvidenceUnavailable as exc:
            if _code(exc) in _GONE:
                return None
            raise

    def _chunks(self, listed: Listed, first: bytes) -> Iterator[bytes]:
        """The object's bytes; the next range is read while one is worked on."""
        at = len(first)
        following = self._following(listed, at)
        yield first
        del first
        while following is not None:
            content = following.result().content
            at += len(content)
            following = self._following(listed, at) if content else None
            yield content

    def _following(self, listed: Listed, at: int) -> Future[_Range] | None:
        return self._executor.submit(self._read, listed, at) if at < listed.size else None

    def _read(self, listed: Listed, begin: int) -> _Range:
        where: dict[str, str] = {"Bucket": self._bucket, "Key": listed.key}
        if listed.version:
            where["IfMatch"] = listed.version
        if listed.size > RANGE_BYTES:
            where["Range"] = f"bytes={begin}-{min(begin + RANGE_BYTES, listed.size) - 1}"

        def read() -> _Range:
            answer = self._client.get_object(**where)  # type: ignore[arg-type]
            content = answer["Body"].read()
            version_id = answer.get("VersionId", "")
            version_id = "" if version_id == "null" else version_id  # of a bucket without versions
            return _Range(content, answer.get("Metadata", {}), bool(answer.get("TagCount")), version_id)

        found: _Range = self._ask(read, "GetObject")
        return found

    def _ask(self, call: Callable[[], Any], name: str) -> Any:
        deadline = self._patience()
        while True:
            try:
                return ask(call, deadline.at_most(_CALL_SECONDS))
            except AwsError as exc:
                if exc.code in _CHANGED:
                    raise EvidenceDamaged("the object was changed while it was read") from exc
                hangs = exc.trouble in (Trouble.PASSING, Trouble.OUT_OF_TIME)
                if hangs and deadline.remaining > _CALL_SECONDS:
                    continue  # one connection that hangs is not all of the patience
                raise EvidenceUnavailable(f"S3 {name} in {self._bucket}: {exc.code}") from exc


def _code(exc: Exception) -> str:
    """The error code of AWS's behind an error; empty where another cause is behind it."""
    return exc.__cause__.code if isinstance(exc.__cause__, AwsError) else ""
