"""Where the evidence of a database begins: which stream records the delivery never read, and where they are written.

A delivery (Firehose) begins at the latest record of each shard. What came before is written under `start/` in the same
folder, as gzip lines like the delivery's, so that a reader of evidence reads both:

    evidence/<resource id>/YYYY/MM/DD/<delivery>-<version>-YYYY-MM-DD-hh-mm-ss-<random>.gz    the delivery's
    evidence/<resource id>/start/<creation of the stream>/<shard>/000000.gz    without lines: where its part ends
    evidence/<resource id>/start/<creation of the stream>/<shard>/000001.gz    the first portion, and so on
    evidence/<resource id>/start/<creation of the stream>/complete.gz          without lines: all shards are written

The objects' metadata are the notes. Each is written only if it does not exist, and a portion begins where the stored
one before it ends: two runs at once write each record once, and a run that was ended leaves nothing half done.

In: what `daswatch.aws.first_records` reads of Kinesis and S3. Out: what it writes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import chain, islice

COMPLETE = "complete.gz"
# How long a shard must have been silent, by the arrival of records that were delivered since, until its records without
# a delivered one after them count as older than the delivery: 12 of its buffer intervals.
SILENCE = timedelta(hours=1)
# A delivery's first objects: one for each of Firehose's workers within a buffer interval.
WINDOW = timedelta(minutes=5)
# How far the records of objects that follow one another may overlap: Firehose's longest buffer interval.
SPAN = timedelta(minutes=15)
_COPY_AHEAD = 100  # records; a producer that repeats a call repeats it within seconds
_OBJECT_TIME = re.compile(r"-(\d{4})-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-[^/]+\Z", re.ASCII)
_ENTRY = re.compile(r"(?P<shard>[^/]+)/(?P<number>\d{6})\.gz\Z", re.ASCII)
_NONE = "none"


# The delivery's part.


@dataclass(frozen=True, slots=True)
class DeliveredObject:
    """An object that the delivery wrote; `at` is the arrival of its oldest record, in whole seconds."""

    key: str
    at: datetime


def delivered_object(key: str, modified: datetime) -> DeliveredObject:
    """Read the name of an object; one with another name counts as of when it was written."""
    if found := _OBJECT_TIME.search(key):
        try:
            return DeliveredObject(key, datetime(*map(int, found.groups()), tzinfo=UTC))  # type: ignore[misc,arg-type]
        except ValueError:
            pass
    return DeliveredObject(key, modified)


@dataclass(frozen=True, slots=True)
class Window:
    """Objects of about one buffer interval; no record in them arrived after `until`."""

    objects: tuple[DeliveredObject, ...]
    until: datetime

    @property
    def begins(self) -> datetime:
        """When the oldest record arrived."""
        return self.objects[0].at

    @property
    def last(self) -> datetime:
        """When the oldest record in the last object arrived."""
        return self.objects[-1].at


def windows(objects: Iterable[DeliveredObject], since: datetime) -> list[Window]:
    """The objects that may have records which arrived since then, in the order of their oldest records.

    A delivery that catches up may write hours into one object: records in it are older than those in the next.
    """
    groups: list[list[DeliveredObject]] = []
    for one in sorted(objects, key=lambda one: (one.at, one.key)):
        if groups and one.at < groups[-1][0].at + WINDOW:
            groups[-1].append(one)
        else:
            groups.append([one])
    untils = [*(group[0].at + SPAN for group in groups[1:]), datetime.max.replace(tzinfo=UTC)]
    found = [Window(tuple(group), until) for group, until in zip(groups, untils, strict=bool(groups))]
    return [window for window in found if window.until >= since]


def line_digest(line: bytes) -> bytes:
    """16 bytes that stand for a record's line; of data with line feeds in it, the first line stands for all."""
    return blake2b(line.partition(b"\n")[0], digest_size=16).digest()


# A shard's part.


@dataclass(frozen=True, slots=True)
class Mark:
    """A stream record without its data."""

    sequence: int
    digest: bytes
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Walk:
    """What reading a shard has shown: the last record before the first delivered one, or before where reading ended.

    `met`: a delivered record follows. `ended`: the shard has no more records, for now or, if it is closed, at all.
    """

    last: Mark | None
    met: bool = False
    ended: bool = False


def walk(marks: Iterable[Mark], delivered: Collection[bytes], until: datetime) -> Walk:
    """Read records up to the first that was delivered, or that arrived after `until`.

    Firehose delivers each shard without a gap, so the first one that it delivered is where its part begins. Except
    where a producer sent the same data twice: the first copy is not the delivery's if one between was not delivered.
    """
    last = None
    rest: Iterator[Mark] = iter(marks)
    while (mark := next(rest, None)) is not None:
        if mark.arrived > until:
            return Walk(last)
        if mark.digest in delivered:
            ahead = list(islice(rest, _COPY_AHEAD))
            if not _is_copy(mark, ahead, delivered):
                return Walk(last, met=True)
            rest = chain(ahead, rest)
        last = mark
    return Walk(last, ended=True)


def _is_copy(mark: Mark, ahead: Sequence[Mark], delivered: Collection[bytes]) -> bool:
    copies = [place for place, other in enumerate(ahead) if other.digest == mark.digest]
    return bool(copies) and any(other.digest not in delivered for other in ahead[: copies[-1]])


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard, and those that it was split or merged from."""

    id: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """Where the part of a shard that is written ends: its last record; None if nothing has to be written.

    `met`: the delivery has the record that follows.
    """

    last: Mark | None
    met: bool


def ends(
    shards: Collection[Shard], walks: Mapping[str, Walk], met: Collection[str], delivered_until: datetime
) -> dict[str, End]:
    """The shards whose end is certain, of those that were read; the others wait for what the delivery writes next.

    `met` names the shards with a delivered record that earlier runs found, `delivered_until` is the time of the last
    object that the walks were compared with.
    """
    met = {*met, *(shard for shard, one in walks.items() if one.met)}
    passed = _ancestors(shards, met)
    certain = {}
    for shard, one in walks.items():
        if one.met:
            certain[shard] = End(one.last, met=True)
        elif not one.ended or not met:
            continue  # it has more than was compared; or nothing shows that the delivery reads this stream
        elif (
            one.last is None
            or shard in passed  # Firehose reads a shard after those that it was made from
            or one.last.arrived + SILENCE <= delivered_until
        ):
            certain[shard] = End(one.last, met=False)
    return certain


def _ancestors(shards: Iterable[Shard], of: Iterable[str]) -> set[str]:
    parents = {shard.id: shard.parents for shard in shards}
    found: set[str] = set()
    look = [parent for shard in of for parent in parents.get(shard, ())]
    while look:
        if (one := look.pop()) not in found:
            found.add(one)
            look += parents.get(one, ())
    return found


# The notes.


class NoteError(Exception):
    """An object has the name of an entry, and metadata that none of ours has."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Between these times, records that no evidence has were or may have been in the stream: Kinesis dropped them."""

    since: datetime
    until: datetime

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%dT%H:%M:%SZ} to {self.until:%Y-%m-%dT%H:%M:%SZ}"


def all_lost(parts: Iterable[Lost | None]) -> Lost | None:
    """One range that has all of these."""
    known = [part for part in parts if part is not None and part.since < part.until]
    return Lost(min(part.since for part in known), max(part.until for part in known)) if known else None


@dataclass(frozen=True, slots=True)
class Position:
    """How far a shard is written: the entry's number, its last record (0: none), when that arrived, what was lost."""

    entry: int
    sequence: int
    arrived: datetime
    lost: Lost | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The first entry of a shard: where its part ends, and from when on the stream could be read."""

    end: End
    position: Position

    @property
    def complete(self) -> bool:
        """Whether nothing has to be written."""
        return self.end.last is None

    def metadata(self) -> dict[str, str]:
        """The head as S3 metadata."""
        last = self.end.last
        return {
            "last": str(last.sequence) if last else _NONE,
            "last-arrival": _time(last.arrived) if last else _NONE,
            "delivered": "yes" if self.end.met else "no",
            "readable-from": _time(self.position.arrived),
            **_lost_metadata(self.position.lost),
        }


def read_head(metadata: Mapping[str, str]) -> Head:
    """Read a head again. Raises NoteError."""
    try:
        last = None
        if metadata["last"] != _NONE:
            last = Mark(int(metadata["last"]), b"", _read_time(metadata["last-arrival"]))
        readable = _read_time(metadata["readable-from"])
        return Head(End(last, metadata["delivered"] == "yes"), Position(0, 0, readable, read_lost(metadata)))
    except (KeyError, ValueError) as exc:
        raise NoteError from exc


def portion_metadata(position: Position) -> dict[str, str]:
    """Where a portion ends, as S3 metadata."""
    return {
        "last": str(position.sequence),
        "last-arrival": _time(position.arrived),
        **_lost_metadata(position.lost),
    }


def read_portion(entry: int, metadata: Mapping[str, str]) -> Position:
    """Read again where a portion ends. Raises NoteError."""
    try:
        return Position(entry, int(metadata["last"]), _read_time(metadata["last-arrival"]), read_lost(metadata))
    except (KeyError, ValueError) as exc:
        raise NoteError from exc


def complete_metadata(lost: Lost | None) -> dict[str, str]:
    """The metadata of the object that says that all shards are written."""
    return _lost_metadata(lost)


def read_lost(metadata: Mapping[str, str]) -> Lost | None:
    """What metadata say was lost. Raises NoteError."""
    if "lost-from" not in metadata or "lost-to" not in metadata:
        return None
    try:
        return Lost(_read_time(metadata["lost-from"]), _read_time(metadata["lost-to"]))
    except ValueError as exc:
        raise NoteError from exc


def lost_before(created: datetime, horizon: datetime, first: datetime | None) -> Lost | None:
    """What Kinesis dropped before anything was read: from the stream's start to what it keeps, or to the delivery's.

    `horizon` is since when Kinesis keeps records, `first` the time of the delivery's first object.
    """
    return all_lost([Lost(created, horizon if first is None else min(horizon, first))])


def lost_after(position: Position, horizon: datetime, next_arrived: datetime) -> Lost | None:
    """What may have been dropped between two portions: the record after the former one was older than is kept."""
    dropped = Lost(position.arrived, next_arrived) if position.arrived < horizon else None
    return all_lost([position.lost, dropped])


def _lost_metadata(lost: Lost | None) -> dict[str, str]:
    return {"lost-from": _time(lost.since), "lost-to": _time(lost.until)} if lost else {}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _read_time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# The names.


def evidence_folder(resource_id: str) -> str:
    """The folder of all evidence of a database."""
    return f"evidence/{resource_id}/"


def day_folder(resource_id: str, at: datetime) -> str:
    """Where the delivery writes records that arrived on a day."""
    return f"{evidence_folder(resource_id)}{at.astimezone(UTC):%Y/%m/%d}/"


def starts_folder(resource_id: str) -> str:
    """The folder of the first records of all streams that a database had; it sorts after all days."""
    return f"{evidence_folder(resource_id)}start/"


def is_first_records(key: str) -> bool:
    """Whether an object is not the delivery's."""
    return "/start/" in key


def start_folder(resource_id: str, created: datetime) -> str:
    """The folder of one stream: one that was stopped and started again has the same name and the same shards."""
    return f"{starts_folder(resource_id)}{created.astimezone(UTC):%Y%m%dT%H%M%SZ}/"


def entry_key(folder: str, shard: str, number: int) -> str:
    """The name of a shard's entry."""
    return f"{folder}{shard}/{number:06d}.gz"


def entries(folder: str, keys: Iterable[str]) -> dict[str, int]:
    """The last entry of each shard that has one."""
    last: dict[str, int] = {}
    for key in keys:
        if key.startswith(folder) and (found := _ENTRY.match(key, len(folder))):
            shard, number = found["shard"], int(found["number"])
            last[shard] = max(last.get(shard, 0), number)
    return last


# The results.


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run came to. `left` says why it is not complete; `records` and `size` (bytes of lines) are this run's.

    `unreadable` names objects of the delivery that are damaged; they count with the lines that can be read.
    """

    complete: bool
    left: str = ""
    lost: Lost | None = None
    shards: int = 0
    shards_complete: int = 0
    records: int = 0
    size: int = 0
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceStart:
    """Whether the evidence of a database begins where its stream begins.

    `stream` is when the stream was created, as its folder is named, or empty if nothing is written yet. It is the
    database's last one that has a folder: compare it with Kinesis where a stream may have been started again.
    """

    stream: str = ""
    complete: bool = False
    lost: Lost | None = None

    @property
    def whole(self) -> bool:
        """Whether no record is missing."""
        return self.complete and self.lost is None
