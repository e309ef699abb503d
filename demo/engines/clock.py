"""Simulated time: microseconds since the epoch as an int, and the text that the engines make of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

MILLISECOND = 1_000  # microseconds
SECOND = 1_000_000  # microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """An aware datetime as microseconds since the epoch; a naive one is a mistake of the caller."""
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone says nothing; pass an aware datetime")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def stamp(at: int) -> str:
    """`2031-03-04 11:22:33.444555`: what all engines print, before their own endings."""
    seconds, fraction = divmod(at, SECOND)
    return f"{_second(seconds)}.{fraction:06d}"


@lru_cache(maxsize=8192)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
