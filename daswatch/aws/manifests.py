"""S3: the manifests of the archive, written once for each hour, and read again.

Objects are streamed: of one of any size, a piece is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from daswatch.aws.api_calls import AwsError, ask
from daswatch.deadline import Deadline
from daswatch.enrolment.first_records import NoteError, evidence_folder, read_portion
from daswatch.errors import EvidenceDamaged, EvidenceUnavailable
from daswatch.evidence.manifests import (
    Listed,
    Manifest,
    ManifestError,
    ObjectEntry,
    due_hours,
    folders_of,
    hash_of,
    hour_of_key,
    manifests_folder,
    named_by,
    read_manifest,
)
from daswatch.evidence.objects import read_object
from daswatch.indexing.tallies import record_digest
from daswatch.times import iso_milliseconds

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_PIECE_BYTES = 1024 * 1024
_CALL_SECONDS = 60.0
_SHORTEST_SECONDS = 10.0  # to read an hour of a quiet database
_EXISTS = ("PreconditionFailed", "ConditionalRequestConflict")
_GONE = ("NoSuchKey", "404")


@dataclass(frozen=True, slots=True)
class ObjectRead:
    """What reading an object has shown; `digests` stand for its records, in their order."""

    entry: ObjectEntry
    digests: tuple[str, ...] = ()


@dataclass(slots=True)
class ManifestReport:
    """What a run wrote. `left` are databases whose manifests are not all written, with the cause where there is one."""

    manifests: int = 0
    objects: int = 0
    records: int = 0
    left: int = 0
    causes: set[str] = field(default_factory=set)


class ArchiveReader:
    """A bucket of evidence. Raises EvidenceUnavailable."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def listed(self, folder: str, deadline: Deadline, after: str = "", most: int = 0) -> Iterator[Listed]:
        """The objects of a folder in the order of their keys, at most so many."""
        parameters: dict[str, Any] = {"Bucket": self._bucket, "Prefix": folder, "StartAfter": after}
        if most:
            parameters["MaxKeys"] = most
        while True:
            page = self._ask(partial(self._client.list_objects_v2, **parameters), "ListObjectsV2", deadline)
            for one in page.get("Contents", ()):
                parameters["StartAfter"] = one["Key"]
                yield Listed(one["Key"], one["Size"], one["LastModified"].astimezone(UTC))
            if most or not page.get("IsTruncated"):
                return

    def content(self, key: str, deadline: Deadline) -> bytes | None:
        """A small object; None if there is none."""
        try:
            call = partial(self._client.get_object, Bucket=self._bucket, Key=key)
            answer = ask(call, deadline.at_most(_CALL_SECONDS))
            return self._ask(answer["Body"].read, "GetObject", deadline)  # type: ignore[no-any-return]
        except AwsError as exc:
            if exc.code in _GONE:
                return None
            raise EvidenceUnavailable(f"S3 GetObject in {self._bucket}: {exc.code}") from exc

    def read(self, listed: Listed, deadline: Deadline, *, with_records: bool = True) -> ObjectRead:
        """Read all of an object. One that is damaged has no number of records."""
        answer = self._ask(partial(self._client.get_object, Bucket=self._bucket, Key=listed.key), "GetObject", deadline)
        metadata: Mapping[str, str] = answer.get("Metadata", {})
        digest = sha256()
        size = 0

        def pieces() -> Iterator[bytes]:
            nonlocal size
            while piece := self._ask(partial(answer["Body"].read, _PIECE_BYTES), "GetObject", deadline):
                digest.update(piece)
                size += len(piece)
                yield piece

        rest = pieces()
        digests: list[str] = []
        is_whole = True
        if with_records:
            try:
                found = read_object(listed.key, rest, listed.modified, metadata)
                digests += (record_digest(record.data) for record in found.records)
            except EvidenceDamaged:
                is_whole = False
        for _ in rest:  # what the reader of records left
            pass
        entry = ObjectEntry(
            listed.key,
            size,
            digest.hexdigest(),
            len(digests) if is_whole and with_records else None,
            "" if listed.is_first_records else iso_milliseconds(listed.at),
            _last_sequence_number(metadata),
            answer.get("VersionId", "") if answer.get("VersionId") != "null" else "",
        )
        return ObjectRead(entry, tuple(digests))

    def put_once(self, key: str, body: bytes, deadline: Deadline) -> bool:
        """Write an object if there is none of this name; whether it was written."""
        call = partial(
            self._client.put_object,
            Bucket=self._bucket,
            Key=key,
            Body=body,
            ContentType="application/json",
            IfNoneMatch="*",
        )
        try:
            ask(call, deadline.at_most(_CALL_SECONDS))
        except AwsError as exc:
            if exc.code in _EXISTS:
                return False
            raise EvidenceUnavailable(f"S3 PutObject in {self._bucket}: {exc.code}") from exc
        return True

    def _ask(self, call: Callable[[], Any], name: str, deadline: Deadline) -> Any:
        try:
            return ask(call, deadline.at_most(_CALL_SECONDS))
        except AwsError as exc:
            raise EvidenceUnavailable(f"S3 {name} in {self._bucket}: {exc.code}") from exc


class ManifestWriter:
    """Writes the manifests that are due; one for as long as the function is warm.

    `archived` takes what the objects of a manifest hold before it is written: where that fails, the next run reads
    them again.
    """

    def __init__(
        self, reader: ArchiveReader, archived: Callable[[Manifest, str, list[ObjectRead], Deadline], None]
    ) -> None:
        self._reader = reader
        self._archived = archived
        self._last: dict[str, tuple[Manifest, str]] = {}  # of each database, with its hash

    def run(self, resource_ids: Iterable[str], now: datetime, deadline: Deadline) -> ManifestReport:
        """Write what is due of each database, those first whose manifests are oldest, as far as there is time."""
        report = ManifestReport()
        begin = datetime.min.replace(tzinfo=UTC)
        order = sorted(resource_ids, key=lambda one: (self._last[one][0].hour if one in self._last else begin, one))
        for resource_id in order:
            if deadline.remaining < _SHORTEST_SECONDS:
                report.left += 1
                continue
            try:
                report.left += not self._advance(resource_id, now, deadline, report)
            except (EvidenceUnavailable, ManifestError) as exc:
                report.left += 1
                report.causes.add(f"{resource_id}: {exc}")
        return report

    def _advance(self, resource_id: str, now: datetime, deadline: Deadline, report: ManifestReport) -> bool:
        """Write the manifests of one database; whether all that are due are written."""
        last, digest = self._last_of(resource_id, now, deadline)
        oldest = None if last else self._oldest(resource_id, deadline)
        for hour in due_hours(last, oldest, now):
            if deadline.remaining < _SHORTEST_SECONDS:
                return False
            folders = folders_of(resource_id, hour)
            listed = [one for folder in folders for one in self._reader.listed(folder, deadline)]
            objects = [self._reader.read(one, deadline) for one in named_by(hour, listed, last)]
            manifest = Manifest(resource_id, hour, digest, now, tuple(one.entry for one in objects))
            body = manifest.body()
            self._archived(manifest, hash_of(body), objects, deadline)
            if not self._reader.put_once(manifest.key, body, deadline):
                self._last.pop(resource_id, None)  # another run was first: the next one reads it
                return False
            last, digest = manifest, hash_of(body)
            self._last[resource_id] = (last, digest)
            report.manifests += 1
            report.objects += len(objects)
            report.records += manifest.records
        return True

    def _last_of(self, resource_id: str, now: datetime, deadline: Deadline) -> tuple[Manifest | None, str]:
        if resource_id in self._last:
            return self._last[resource_id]
        keys = [
            one.key
            for one in self._reader.listed(manifests_folder(resource_id), deadline)
            if hour_of_key(one.key) is not None
        ]
        if not keys:
            return None, ""
        body = self._reader.content(keys[-1], deadline)
        if body is None:
            raise EvidenceUnavailable(f"the manifest {keys[-1]} is gone")
        self._last[resource_id] = (read_manifest(body), hash_of(body))
        return self._last[resource_id]

    def _oldest(self, resource_id: str, deadline: Deadline) -> datetime | None:
        found = next(self._reader.listed(evidence_folder(resource_id), deadline, most=1), None)
        return found.at if found else None


def _last_sequence_number(metadata: Mapping[str, str]) -> str:
    """The last record of a portion of first records, whose metadata name it."""
    try:
        sequence = read_portion(0, metadata).sequence
    except NoteError:
        return ""
    return str(sequence) if sequence else ""
