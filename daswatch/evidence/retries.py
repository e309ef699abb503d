"""Which dead letters are opened again by schedule, and when: those whose cause can go while the record stays the same.

In: the objects of the dead-letter bucket as they are listed, and how far the last run came. Out: those that are due, in
the order in which they became so.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from daswatch.errors import Reason
from daswatch.evidence.objects import Listed
from daswatch.times import iso_milliseconds, moment_of

# The functions' own, and the batches that Lambda gave up; what it gave up of other functions is no evidence.
FOLDERS = ("aws/lambda/", "dead-letters/")
_NO_BATCHES = "aws/lambda/async/"

# By why a record is kept: whether it is tried again by schedule, and why. A batch that Lambda gave up always is: its
# records waited for KMS, the domain or S3 until they were too old.
REASONS: Mapping[Reason, tuple[bool, str]] = {
    Reason.DOCUMENT_REFUSED: (True, "the domain's: its mapping, its pipelines and its limits can be corrected"),
    Reason.UNEXPECTED: (True, "the function's: another version of it, or one with more memory, may open the record"),
    Reason.DATA_KEY_REFUSED: (False, "KMS answers that the key was wrapped for another database, or changed"),
    Reason.DATA_KEY_MISSING: (False, "the record has no key"),
    Reason.NOT_AN_ACTIVITY_STREAM: (False, "the record is of another stream"),
    Reason.NOT_BASE64: (False, "the record is not one of RDS"),
    Reason.NOT_JSON: (False, "the record is not one of RDS"),
    Reason.NOT_AN_ENVELOPE: (False, "the record is not one of RDS"),
    Reason.ANOTHER_TYPE: (False, "the record is not one of RDS"),
    Reason.NOT_DECRYPTABLE: (False, "the ciphertext was cut or changed"),
    Reason.NOT_GZIP: (False, "the content was cut or changed"),
    Reason.TOO_LARGE: (
        False,
        "too large until MAX_PLAINTEXT_BYTES is raised, and `daswatch replay` called",
    ),
    Reason.TRAILING_BYTES: (False, "its events are indexed; what follows them is unknown"),
    Reason.NOT_A_MONITORING_RECORD: (False, "the content is not a monitoring record"),
    Reason.EVENTS_NOT_A_LIST: (False, "the content is not a monitoring record"),
    Reason.EVENT_NOT_AN_OBJECT: (False, "its other events are indexed; what is left is not an event"),
    Reason.EVENT_TOO_DEEP: (False, "its other events are indexed; what is left cannot be indexed"),
    Reason.NOT_A_NOTIFICATION: (False, "a monitor's message, not a record"),
    Reason.ROW_REFUSED: (False, "its event is indexed; a replay delivers no rows"),
}
NOT_RETRIED = frozenset(str(reason) for reason, (is_retried, _) in REASONS.items() if not is_retried)

# The age at which an object is tried: less often, the longer its cause lasts. A day has fewer hours here than the
# alarm's, so that what stays counts in each of its periods.
_FIRST_AGES = tuple(timedelta(hours=hours) for hours in (0, 1, 2, 4, 8, 16))
_DAY = timedelta(hours=23)
# From this age on, an object that does not open is reported, and so is one that should have been tried as long ago.
STAYS_AFTER = timedelta(hours=8)


Place = tuple[datetime, str]  # in the order of what is due: when, and the object's key

_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """What became due after a time and until another one, and how far in it the runs have come.

    Each object is in it once. The next window begins where all of this one was tried: so a backlog, which may take many
    runs, is gone through once, and what failed in it waits until then.
    """

    since: datetime
    until: datetime
    tried: Place = (_BEGINNING, "")  # the last one

    def __str__(self) -> str:
        at, key = self.tried
        return " ".join([*map(iso_milliseconds, (self.since, self.until, at)), key])

    @classmethod
    def following(cls, text: str, now: datetime) -> Window:
        """The window in which the last run ended, by its text, or the next one; the first, where there was none."""
        if not text:
            return cls(_BEGINNING, now)
        since, until, at, key = text.split(" ", 3)
        if since == until:
            return cls(moment_of(until), now)
        return cls(moment_of(since), moment_of(until), (moment_of(at), key))

    def after(self, place: Place) -> Window:
        """The same, when the object of a place was tried."""
        return replace(self, tried=place)

    @property
    def ended(self) -> Window:
        """The same, when all of it was tried."""
        return Window(self.until, self.until)

    def place_of(self, listed: Listed) -> Place | None:
        """Where an object is due; None where it is not, or was tried."""
        at = next(at for at in _times(listed.modified, self.since) if at > self.since)
        place = (at, listed.key)
        return place if at <= self.until and place > self.tried else None


@dataclass(frozen=True, slots=True)
class Due:
    """What is due: the first objects with their places, and how many there are in all.

    `late` are those that were due `STAYS_AFTER` ago.
    """

    objects: list[tuple[Place, Listed]]
    count: int
    late: int


def due_objects(listed: Iterable[Listed], window: Window, now: datetime, most: int) -> Due:
    """What is due in a window and was not tried: the first ones, in their order."""
    found = 0
    late = 0

    def due() -> Iterator[tuple[Place, Listed]]:
        nonlocal found, late
        for one in listed:
            if not one.key.startswith(_NO_BATCHES) and (place := window.place_of(one)):
                found += 1
                late += is_late(place, now)
                yield place, one

    first = heapq.nsmallest(most, due(), key=lambda one: one[0])
    return Due(first, found, late)


def is_late(place: Place, now: datetime) -> bool:
    """Whether what was due there should long have been tried."""
    return now - place[0] >= STAYS_AFTER


def _times(written: datetime, since: datetime) -> Iterator[datetime]:
    """When an object is due, in their order; of those days ago only the last ones before `since`."""
    for age in _FIRST_AGES:
        yield written + age
    for day in count(max(1, (since - written) // _DAY)):
        yield written + day * _DAY
