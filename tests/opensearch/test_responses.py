"""Which answers of OpenSearch cover everything, decided without one."""

from __future__ import annotations

from typing import Any

import pytest

from daswatch.errors import SearchUnavailable
from daswatch.opensearch.responses import failure_of, whole, whole_items

WHOLE = {"total": 3, "successful": 3, "skipped": 2, "failed": 0}


@pytest.mark.parametrize("shards", [WHOLE, {"total": 0, "successful": 0, "skipped": 0, "failed": 0}])
def test_an_answer_of_all_shards_is_whole(shards: dict[str, int]) -> None:
    answer = {"_shards": shards, "timed_out": False, "hits": {}}

    assert failure_of(answer) == ""
    assert whole(answer, "the events") == answer


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ({"_shards": {"total": 2, "successful": 1, "skipped": 0, "failed": 0}}, "no_shard_available_action_exception"),
        # A shard that is skipped counts as successful: here one of the others is missing.
        ({"_shards": {"total": 3, "successful": 2, "skipped": 1, "failed": 0}}, "no_shard_available_action_exception"),
        ({"_shards": {**WHOLE, "failed": 1}}, "no_shard_available_action_exception"),
        ({"_shards": {**WHOLE, "failures": [{"reason": {"type": "too_busy"}}]}}, "too_busy"),
        ({"_shards": {**WHOLE, "failures": [{}]}}, "unknown"),
        ({"_shards": WHOLE, "timed_out": True}, "timed out"),
        ({"error": {"type": "all failed", "root_cause": [{"type": "the reason"}]}, "status": 503}, "the reason"),
        ({"error": "words"}, "words"),
        ({}, "an answer without shards"),
        (None, "not an answer"),
        ([], "not an answer"),
    ],
)
def test_any_other_answer_is_a_failure(answer: Any, cause: str) -> None:
    assert failure_of(answer) == cause
    with pytest.raises(SearchUnavailable, match="a part of the events"):
        whole(answer, "the events")


def test_items_that_are_not_found_are_answers() -> None:
    missing = {"error": {"type": "index_not_found_exception", "root_cause": [{"type": "index_not_found_exception"}]}}
    items = [{"found": False}, {"found": True, "_source": {}}, missing]

    assert whole_items({"docs": items}, 3, "alerts") == items


@pytest.mark.parametrize(
    "answer",
    [
        {"docs": [{"found": True}]},
        {"docs": [{"found": True}, {"error": {"type": "circuit_breaking_exception"}}]},
        {"docs": None},
        [],
    ],
    ids=["too few", "an item failed", "nothing", "a list"],
)
def test_an_item_that_could_not_be_read_is_not_absent(answer: Any) -> None:
    with pytest.raises(SearchUnavailable):
        whole_items(answer, 2, "alerts")


@pytest.mark.parametrize(
    "answer",
    [
        {"_shards": {"failures": [{"reason": None}]}},
        {"_shards": {"failures": [None]}},
        {"error": {"root_cause": [None]}},
        {"error": {"root_cause": "x"}},
    ],
)
def test_failure_of_another_shape_is_a_failure(answer: dict[str, object]) -> None:
    assert failure_of(answer) == "unknown"
