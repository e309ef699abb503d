"""S3: the manifests of the archive, written once for each hour, and read again.

Of an object of any size, some pieces are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from daswatch.aws.evidence import EvidenceBucket
from daswatch.deadline import Deadline
from daswatch.enrolment.first_records import NoteError, evidence_folder, read_portion
from daswatch.errors import EvidenceDamaged, EvidenceUnavailable
from daswatch.evidence.manifests import (
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
from daswatch.evidence.objects import Listed, read_object
from daswatch.indexing.tallies import record_digest
from daswatch.times import iso_milliseconds

_SHORTEST_SECONDS = 10.0  # to read an hour of a quiet database


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


def read_whole(bucket: EvidenceBucket, listed: Listed, *, with_records: bool = True) -> ObjectRead:
    """Read all of an object. One that is damaged has no number of records. Raises EvidenceUnavailable."""
    try:
        (opened,) = bucket.opened([listed])
    except EvidenceDamaged as exc:
        raise EvidenceUnavailable(f"{listed.key}: {exc}") from exc
    if opened.is_gone:
        raise EvidenceUnavailable(f"{listed.key} is gone")
    digest = sha256()
    size = 0

    def pieces() -> Iterator[bytes]:
        nonlocal size
        try:
            for piece in opened.chunks:
                digest.update(piece)
                size += len(piece)
                yield piece
        except EvidenceDamaged as exc:  # by another writer, while it was read
            raise EvidenceUnavailable(f"{listed.key}: {exc}") from exc

    rest = pieces()
    digests: list[str] = []
    is_whole = True
    if with_records:
        try:
            found = read_object(listed.key, rest, listed.modified, opened.metadata)
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
        _last_sequence_number(opened.metadata),
        opened.version_id,
    )
    return ObjectRead(entry, tuple(digests))


class ManifestWriter:
    """Writes the manifests that are due; one for as long as the function is warm.

    `bucket` gives the archive's, all whose calls have a deadline. `archived` takes what the objects of a manifest hold
    before it is written: where that fails, the next run reads them again.
    """

    def __init__(
        self,
        bucket: Callable[[Deadline], EvidenceBucket],
        archived: Callable[[Manifest, str, list[ObjectRead], Deadline], None],
    ) -> None:
        self._bucket = bucket
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
        bucket = self._bucket(deadline)
        last, digest = self._last_of(resource_id, bucket)
        oldest = None if last else next((one.at for one in bucket.listed("", evidence_folder(resource_id), 1)), None)
        for hour in due_hours(last, oldest, now):
            if deadline.remaining < _SHORTEST_SECONDS:
                return False
            folders = folders_of(resource_id, hour)
            listed = [one for folder in folders for one in bucket.listed(folder=folder)]
            objects = [read_whole(bucket, one) for one in named_by(hour, listed, last)]
            manifest = Manifest(resource_id, hour, digest, now, tuple(one.entry for one in objects))
            body = manifest.body()
            digest = hash_of(body)
            self._archived(manifest, digest, objects, deadline)
            if not bucket.put_once(manifest.key, body):
                self._last.pop(resource_id, None)  # another run was first: the next one reads it
                return False
            last = manifest
            self._last[resource_id] = (last, digest)
            report.manifests += 1
            report.objects += len(objects)
            report.records += manifest.records
        return True

    def _last_of(self, resource_id: str, bucket: EvidenceBucket) -> tuple[Manifest | None, str]:
        if resource_id in self._last:
            return self._last[resource_id]
        keys = [
            one.key for one in bucket.listed(folder=manifests_folder(resource_id)) if hour_of_key(one.key) is not None
        ]
        if not keys:
            return None, ""
        body = bucket.content(keys[-1])
        if body is None:
            raise EvidenceUnavailable(f"the manifest {keys[-1]} is gone")
        self._last[resource_id] = (read_manifest(body), hash_of(body))
        return self._last[resource_id]


def _last_sequence_number(metadata: Mapping[str, str]) -> str:
    """The last record of a portion of first records, whose metadata name it."""
    try:
        sequence = read_portion(0, metadata).sequence
    except NoteError:
        return ""
    return str(sequence) if sequence else ""
