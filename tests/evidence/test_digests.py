"""Digests that are marked where they are found elsewhere."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from daswatch.evidence.digests import Digests, document_words, record_words

NUMBERS = st.lists(st.integers(0, 40))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_unmarked_are_those_that_are_nowhere_else(taken: list[int], marked: list[int], found: list[int]) -> None:
    digests = Digests()
    for numbers, is_marked in ((taken, False), (marked, True)):
        digests.take(record_words("".join(f"{number:08x}" for number in numbers)), marked=is_marked)

    digests.mark_all(record_words("".join(f"{number:08x}" for number in found)))

    assert digests.unmarked == len(set(taken) - set(found))


def test_mark_says_whether_it_is_new() -> None:
    digests = Digests()
    assert digests.mark(7) is None
    words = document_words("AAAAAAAABBBBBBBB")
    digests.take(words)

    assert [digests.mark(word) for word in (words[0], words[0], *document_words("AAAABBBB"))] == [True, False, None]
    assert digests.unmarked == 1


def test_documents_keep_all_characters() -> None:
    """Two ids that differ in one character are two."""
    random = Random(4)
    texts = {"".join(random.choices("abcXYZ019-_", k=8)) for _ in range(5_000)}
    digests = Digests()
    digests.take(document_words("".join(texts)))

    assert digests.unmarked == len(texts)
