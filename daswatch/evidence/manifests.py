"""Manifests: what the archive of a database had at the end of each hour, each naming the hash of the one before it.

    manifests/<resource id>/YYYY/MM/DD/HH.json

A manifest names the objects whose oldest record arrived in its hour, and those of earlier hours that were written after
the manifest before it: Firehose may be late by a day. It is written once, and an hour without objects has one as well,
so that neither an object nor a manifest can be taken away, changed or put in between without notice. Only the end can
be cut off; OpenSearch has the hash of each manifest (`das-tallies`), against which the last one is compared.

In: listings of the bucket, and what reading objects has shown. Out: the bytes of manifests, and what differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

from daswatch.canonical import canonical_json
from daswatch.enrolment.first_records import SPAN, evidence_folder
from daswatch.evidence.completeness import HOUR, hour_of
from daswatch.evidence.objects import Listed
from daswatch.times import iso_milliseconds, moment_of

VERSION = 1
FOLDER = "manifests/"
# Firehose's longest buffer interval after the hour's last second, and time to write.
CLOSED = SPAN + timedelta(minutes=5)
# What S3 says of when an object was written may be when its upload began.
_UPLOAD = timedelta(minutes=15)
LATE_DAYS = 2  # Firehose retries for a day
_KEY = re.compile(rf"{FOLDER}(?P<resource>[\w-]+)/(\d{{4}})/(\d\d)/(\d\d)/(\d\d)\.json\Z", re.ASCII)


class ManifestError(Exception):
    """An object has the name of a manifest, and is not one."""


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """An object as a manifest names it. `records` is None where it cannot be read; what is not known is empty."""

    key: str
    size: int
    sha256: str
    records: int | None
    first_arrival: str = ""
    last_sequence_number: str = ""
    version_id: str = ""

    def as_json(self) -> dict[str, Any]:
        """As a manifest has it."""
        content = {
            "key": self.key,
            "size": self.size,
            "sha256": self.sha256,
            "records": self.records,
            "firstArrival": self.first_arrival,
            "lastSequenceNumber": self.last_sequence_number,
            "versionId": self.version_id,
        }
        return {name: value for name, value in content.items() if value != ""}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One hour of one database's archive. `previous` is the hash of the manifest before it; empty in the first one.

    `listed_at` is when the bucket was listed.
    """

    resource_id: str
    hour: datetime
    previous: str
    listed_at: datetime
    objects: tuple[ObjectEntry, ...] = ()

    @property
    def key(self) -> str:
        """Its name in the bucket."""
        return manifest_key(self.resource_id, self.hour)

    @property
    def records(self) -> int:
        """How many records its objects have, as far as they can be read."""
        return sum(one.records or 0 for one in self.objects)

    def body(self) -> bytes:
        """Its bytes, of which the next manifest has the hash."""
        return canonical_json(
            {
                "version": VERSION,
                "resourceId": self.resource_id,
                "hour": iso_milliseconds(self.hour),
                "previous": self.previous,
                "listedAt": iso_milliseconds(self.listed_at),
                "records": self.records,
                "objects": [one.as_json() for one in self.objects],
            }
        )


def manifests_folder(resource_id: str) -> str:
    """The folder of a database's manifests."""
    return f"{FOLDER}{resource_id}/"


def manifest_key(resource_id: str, hour: datetime) -> str:
    """The name of the manifest of an hour: names sort as hours."""
    return f"{manifests_folder(resource_id)}{hour.astimezone(UTC):%Y/%m/%d/%H}.json"


def hour_of_key(key: str) -> datetime | None:
    """The hour that a manifest's name has; None of another name."""
    found = _KEY.search(key)
    try:
        return datetime(*map(int, found.groups()[1:]), tzinfo=UTC) if found else None  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def hash_of(body: bytes) -> str:
    """The hash by which the next manifest names this one."""
    return sha256(body).hexdigest()


def read_manifest(body: bytes) -> Manifest:
    """Read a manifest's bytes. Raises ManifestError."""
    try:
        content = orjson.loads(body)
        return Manifest(
            content["resourceId"],
            moment_of(content["hour"]),
            content["previous"],
            moment_of(content["listedAt"]),
            tuple(
                ObjectEntry(
                    one["key"],
                    one["size"],
                    one["sha256"],
                    one["records"],
                    one.get("firstArrival", ""),
                    one.get("lastSequenceNumber", ""),
                    one.get("versionId", ""),
                )
                for one in content["objects"]
            ),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ManifestError(f"it is not a manifest ({type(exc).__name__})") from exc


# What is to be written.


def due_hours(last: Manifest | None, oldest: datetime | None, now: datetime) -> list[datetime]:
    """The hours whose manifests are due, in their order.

    Without a manifest, the first is that of the oldest object, a day back at most: what is older is not read again.
    """
    if last is None and oldest is None:
        return []
    until = hour_of(now - CLOSED)
    first = last.hour + HOUR if last else max(hour_of(oldest or until), until - timedelta(days=1))
    return [first + number * HOUR for number in range(max(0, (until - first) // HOUR))]


def folders_of(resource_id: str, hour: datetime) -> list[str]:
    """Where objects may be that the manifest of an hour has to name."""
    days = sorted({(hour - timedelta(days=back)).date() for back in range(LATE_DAYS + 1)})
    return [
        *(f"{evidence_folder(resource_id)}{day:%Y/%m/%d}/" for day in days),
        f"{evidence_folder(resource_id)}start/",
    ]


def named_by(hour: datetime, listed: Iterable[Listed], last: Manifest | None) -> list[Listed]:
    """The objects that the manifest of an hour names: those of the hour, and those written after the one before it."""
    already = {one.key for one in last.objects} if last else set()
    since = last.listed_at - _UPLOAD if last else datetime.min.replace(tzinfo=UTC)
    return sorted(
        (
            one
            for one in listed
            if one.key not in already
            and (one.modified >= since if one.is_first_records or one.at < hour else one.at < hour + HOUR)
            and (last is not None or one.is_first_records or one.at >= hour)
        ),
        key=lambda one: one.key,
    )


# What differs.


class Difference(StrEnum):
    """What an archive has against its manifests."""

    REMOVED = "removed"  # an object that a manifest names
    CHANGED = "changed"  # its bytes are others
    ADDED = "added"  # no manifest names it, although the next ones were written
    MANIFEST_REMOVED = "manifest removed"
    MANIFEST_CHANGED = "manifest changed"  # the next one names another hash, or it is not a manifest
    UNREADABLE = "unreadable"  # it cannot be read at all now: a key, a permission, a storage class


@dataclass(frozen=True, slots=True)
class Tampered:
    """One difference: the object, and what is known about it."""

    difference: Difference
    key: str
    hour: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """The manifests of one database from one hour on, in the order of their hours, with their hashes."""

    resource_id: str
    manifests: tuple[Manifest, ...] = ()
    hashes: tuple[str, ...] = ()
    differences: tuple[Tampered, ...] = ()

    def entries(self) -> dict[str, tuple[ObjectEntry, Manifest]]:
        """Every object by its key, with the first manifest that names it."""
        found: dict[str, tuple[ObjectEntry, Manifest]] = {}
        for manifest in self.manifests:
            for one in manifest.objects:
                found.setdefault(one.key, (one, manifest))
        return found


def chained(resource_id: str, bodies: Sequence[tuple[str, bytes]], anchors: Mapping[str, str] | None = None) -> Chain:
    """Check the chain of manifests, given by key and bytes in the order of their keys.

    The first of them may name one that is not among them. `anchors` are hashes that OpenSearch has, by key: a manifest
    at the end, which no other one names, is compared with those.
    """
    manifests: list[Manifest] = []
    hashes: list[str] = []
    differences: list[Tampered] = []
    for key, body in bodies:
        hour = hour_of_key(key)
        when = iso_milliseconds(hour) if hour else ""
        try:
            manifest = read_manifest(body)
            if (manifest.resource_id, manifest.hour) != (resource_id, hour):
                raise ManifestError("it is of another database or hour than its name")
        except ManifestError as exc:
            differences.append(Tampered(Difference.MANIFEST_CHANGED, key, when, str(exc)))
            continue
        if manifests:
            differences += _links(manifests[-1], hashes[-1], manifest)
        if (anchors or {}).get(key, hash_of(body)) != hash_of(body):
            detail = "OpenSearch has another hash of it"
            differences.append(Tampered(Difference.MANIFEST_CHANGED, key, when, detail))
        manifests.append(manifest)
        hashes.append(hash_of(body))
    there = {key for key, _ in bodies}
    differences += [
        Tampered(Difference.MANIFEST_REMOVED, key, _when(key), "OpenSearch has its hash")
        for key in sorted((anchors or {}).keys() - there)
        if not any(one.key == key and one.difference is Difference.MANIFEST_REMOVED for one in differences)
    ]
    return Chain(resource_id, tuple(manifests), tuple(hashes), tuple(differences))


def _links(before: Manifest, digest: str, manifest: Manifest) -> list[Tampered]:
    """What is wrong between two manifests that follow each other in the bucket."""
    between = (manifest.hour - before.hour) // HOUR - 1
    if between > 0:
        hours = [before.hour + (number + 1) * HOUR for number in range(between)]
        return [
            Tampered(Difference.MANIFEST_REMOVED, manifest_key(manifest.resource_id, hour), iso_milliseconds(hour))
            for hour in hours
        ]
    if manifest.previous != digest:
        detail = f"the manifest of {manifest.hour:%Y-%m-%d %H:00} names another hash of it"
        return [Tampered(Difference.MANIFEST_CHANGED, before.key, iso_milliseconds(before.hour), detail)]
    return []


def _when(key: str) -> str:
    hour = hour_of_key(key)
    return iso_milliseconds(hour) if hour else ""


def compared(
    chain: Chain, listed: Iterable[Listed], since: datetime, until: datetime
) -> tuple[list[Tampered], list[tuple[ObjectEntry, Manifest]]]:
    """What a listing shows, and the objects whose bytes have to be read to know more.

    `listed` are the database's objects of that time. What was written after the last manifest listed them is not added:
    the next manifest will name it.
    """
    there = {one.key: one for one in listed}
    entries = chain.entries()
    differences = []
    to_read = []
    for key, (entry, manifest) in entries.items():
        when = iso_milliseconds(manifest.hour)
        found = there.get(key)
        if found is None:
            if since <= manifest.hour < until:
                differences.append(Tampered(Difference.REMOVED, key, when, f"{entry.size:,} bytes"))
        elif found.size != entry.size:
            detail = f"{found.size:,} bytes instead of {entry.size:,}"
            differences.append(Tampered(Difference.CHANGED, key, when, detail))
        else:
            to_read.append((entry, manifest))
    if chain.manifests:
        first, last = chain.manifests[0], chain.manifests[-1]
        for key in sorted(there.keys() - entries.keys()):
            one = there[key]
            if one.is_first_records or not first.hour <= one.at < last.hour:
                continue  # before the first manifest, or still to be named
            if one.modified < last.listed_at - _UPLOAD:
                differences.append(
                    Tampered(Difference.ADDED, key, iso_milliseconds(hour_of(one.at)), "no manifest names it")
                )
    return differences, to_read


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified of one database."""

    resource_id: str
    manifests: int = 0
    objects: int = 0
    size: int = 0
    first_hour: str = ""
    last_hour: str = ""
    anchored: bool = False
    differences: tuple[Tampered, ...] = field(default_factory=tuple)
