"""The check of wording finds its words, in names too, and nothing else."""

from __future__ import annotations

import pytest

from tools.language import problems


@pytest.mark.parametrize(
    "line",
    [
        "What it tells",
        "somebody",
        "def test_it_is_told_so",
        "to mend",
        "drawn anew",
        "the gravest",
        "beside it",
        "Whoever",
    ],
)
def test_word_is_found_with_advice(line: str) -> None:
    ((number, _, advice),) = problems(f"A first line.\n{line}")

    assert number == 2
    assert advice


@pytest.mark.parametrize(
    "line", ["file.tell()", "besides", "intelligent", "recommend", "a manewer", "the grave", "retold"]
)
def test_other_words_pass(line: str) -> None:
    assert list(problems(line)) == []
