"""What a manifest's objects hold is kept in OpenSearch: by that the posture function compares archive and ingest."""

from __future__ import annotations

from daswatch.aws.manifests import ObjectRead
from daswatch.deadline import Deadline
from daswatch.errors import EvidenceUnavailable, SearchUnavailable
from daswatch.evidence.completeness import Instance
from daswatch.evidence.manifests import Manifest
from daswatch.fleet.database import Place
from daswatch.indexing.tallies import ArchivedObject, ManifestNote
from daswatch.opensearch.completeness_index import CompletenessIndex
from daswatch.times import iso_milliseconds


def note_archived(
    index: CompletenessIndex,
    place: Place,
    manifest: Manifest,
    digest: str,
    objects: list[ObjectRead],
    deadline: Deadline,
) -> None:
    """Write the counts of a manifest's objects. Raises EvidenceUnavailable: then the manifest is not written yet."""
    database = Instance(manifest.resource_id, "", place.account_id, place.region)
    counted = [
        ArchivedObject(one.entry.key, one.entry.first_arrival or iso_milliseconds(manifest.hour), one.digests)
        for one in objects
    ]
    note = ManifestNote(manifest.key, iso_milliseconds(manifest.hour), digest, manifest.records)
    try:
        index.note_archived(database, counted, note, deadline)
    except SearchUnavailable as exc:
        raise EvidenceUnavailable(f"the counts of the archive are not written: {exc}") from exc
