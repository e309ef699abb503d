"""Times as documents hold them: texts that compare as times, and the numbers that order versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime.fromtimestamp(0, UTC)


def iso_milliseconds(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: of one length, so such texts compare as times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(time: str) -> datetime:
    """The time that a text in ISO 8601 with its offset names. Raises ValueError."""
    return datetime.fromisoformat(time)


def version_of(time: str) -> int:
    """A document's version from its time in ISO 8601: a later one is a higher one."""
    return (moment_of(time) - _EPOCH) // timedelta(milliseconds=1)
