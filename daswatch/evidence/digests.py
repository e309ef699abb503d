"""Digests of a time, each once, at little more than their own size: a busy database has millions in a minute.

A digest has eight characters. Those of records are hexadecimal, so four bytes hold one; others are kept as they are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable

from daswatch.indexing.tallies import DIGEST

_PARTS = 31  # what is sorted at once is a part: Python's integers take many times the memory of ours


def record_words(text: str) -> array[int]:
    """The digests of records in a field of a document, as numbers."""
    words = array("I")
    words.frombytes(bytes.fromhex(text))
    return words


def document_words(text: str) -> array[int]:
    """The digests of documents in a field of a document, as numbers."""
    words = array("Q")
    words.frombytes(text.encode("ascii")[: len(text) // DIGEST * DIGEST])
    return words


class Digests:
    """Takes digests, then marks those that are found elsewhere."""

    def __init__(self) -> None:
        self._parts: list[array[int]] = []
        self._marked: list[array[int]] = []  # that were taken with their mark
        self._marks: list[bytearray] = []

    def take(self, words: array[int], *, marked: bool = False) -> None:
        """Take digests; those with a mark need not be found."""
        if not self._parts:
            self._parts = [array(words.typecode) for _ in range(_PARTS)]
            self._marked = [array(words.typecode) for _ in range(_PARTS)]
        parts = self._marked if marked else self._parts
        for word in words:
            parts[word % _PARTS].append(word)

    def mark(self, word: int) -> bool | None:
        """Mark a digest. Whether it had no mark before; None if it was not taken."""
        if not self._marks:
            if not self._parts:
                return None
            self._sort()
        part, marks = self._parts[word % _PARTS], self._marks[word % _PARTS]
        place = bisect_left(part, word)
        if place == len(part) or part[place] != word:
            return None
        is_new = not marks[place]
        marks[place] = 1
        return is_new

    def mark_all(self, words: Iterable[int]) -> None:
        """Mark all of these that were taken."""
        for word in words:
            self.mark(word)

    @property
    def unmarked(self) -> int:
        """How many have no mark."""
        self._sort()
        return sum(marks.count(0) for marks in self._marks)

    def _sort(self) -> None:
        if self._marks or not self._parts:
            return
        for number, (part, marked) in enumerate(zip(self._parts, self._marked, strict=True)):
            unmarked = set(part)
            words = array(part.typecode, sorted(unmarked.union(marked)))
            self._parts[number] = words
            self._marks.append(bytearray(word not in unmarked for word in words) if marked else bytearray(len(words)))
        self._marked = []
