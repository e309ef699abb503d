"""The saved queries at a real node, and at one that answers wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch import queries
from daswatch.deadline import Deadline
from daswatch.detections import Condition, Detection
from daswatch.errors import SearchUnavailable
from daswatch.gateways.clients import search_client
from daswatch.gateways.saved_queries import Question, SavedQueries
from daswatch.queries import event_window
from daswatch.samples import Sample
from daswatch.settings import SearchEndpoint
from demo.aws import LocalAws
from demo.opensearch import AnyNode
from tests.alerting import a_detection
from tests.proxy import Behaviour, Proxy, Request, answer, cut_answer, drop, replace_answer
from tests.watching import Watching

pytestmark = pytest.mark.node

NOW = datetime(2031, 3, 4, 12, 30, tzinfo=UTC)
FAILED = {"command": "AUTH FAILURE", "class": "CONNECT", "commandText": None, "exitCode": "28P01"}


def failures(users: int, times: int) -> Sample:
    """So many users who each fail to log in so many times."""
    names = [f"user_{number:03}" for number in range(users)]
    step = {"times": users * times, "apart": 0.5, "event": FAILED, "each": {"dbUserName": names}}
    return Sample("", "match", "", "postgresql", (step,))


@pytest.fixture
def watching(search: OpenSearch, aws: LocalAws) -> Iterator[Watching]:
    place = Watching(search, aws, [])
    yield place
    place.close()


def question(watching: Watching, detection: Detection) -> Question:
    return Question(detection, event_window(detection, NOW), f"{watching.prefix}-*")


def test_more_groups_than_a_page_takes_are_all_found(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    watching.happen(failures(23, 2), NOW)
    monkeypatch.setattr(queries, "GROUPS_PER_PAGE", 5)
    detection = a_detection(conditions=(Condition("count", 2),))

    answers = SavedQueries(watching.search).ask([question(watching, detection)], Deadline.after(60))

    assert sorted(found.group["dbUserName"] for _, found in answers.candidates) == [f"user_{n:03}" for n in range(23)]
    assert answers.searches >= 5


def test_pages_behind_which_no_group_fires_do_not_end_the_search(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching.happen(failures(20, 1), NOW)
    last = {"times": 9, "apart": 0.5, "event": {**FAILED, "dbUserName": "zoe"}}
    watching.happen(Sample("", "match", "", "postgresql", (last,)), NOW)
    monkeypatch.setattr(queries, "GROUPS_PER_PAGE", 5)
    detection = a_detection(conditions=(Condition("count", 9),))

    answers = SavedQueries(watching.search).ask([question(watching, detection)], Deadline.after(60))

    assert [found.group["dbUserName"] for _, found in answers.candidates] == ["zoe"]


def test_events_without_a_value_are_a_group_of_their_own(watching: Watching) -> None:
    step = {"times": 12, "apart": 1, "event": {**FAILED, "dbUserName": None, "remoteHost": None}}
    watching.happen(Sample("", "match", "", "postgresql", (step,)), NOW)

    queries_of = SavedQueries(watching.search)
    answers = queries_of.ask([question(watching, a_detection())], Deadline.after(60))

    ((_, found),) = answers.candidates
    assert found.group == {"dbUserName": "", "remoteHost": ""}
    assert found.count == 12


def test_a_query_that_fails_is_named_and_the_others_are_answered(watching: Watching) -> None:
    watching.happen(failures(1, 12), NOW)
    broken = a_detection(name="broken", query='commandText:"never closed')

    answers = SavedQueries(watching.search).ask(
        [question(watching, broken), question(watching, a_detection())], Deadline.after(60)
    )

    assert set(answers.failures) == {"broken"}
    assert answers.failures["broken"]
    assert "never closed" not in str(answers.failures)
    assert len(answers.candidates) == 1


def test_more_searches_than_one_request_takes_are_all_made(watching: Watching) -> None:
    watching.happen(failures(1, 12), NOW)
    asked = [question(watching, replace(a_detection(), name=f"d{number}")) for number in range(430)]

    answers = SavedQueries(watching.search).ask(asked, Deadline.after(60))

    assert len(answers.candidates) == 430


def msearch(request: Request) -> bool:
    return request.path.startswith("/_msearch")


@pytest.mark.parametrize(
    "behaviour",
    [
        drop,
        cut_answer,
        answer(429),
        answer(503, b"<html>"),
        answer(401),
        replace_answer(b"[]"),
        replace_answer(b'{"responses": []}'),
        replace_answer(b"<html>", "text/html"),
    ],
    ids=["no answer", "cut", "429", "503", "401", "a list", "too few", "a page"],
)
def test_where_nothing_can_be_asked_the_run_ends(node: AnyNode, watching: Watching, behaviour: Behaviour) -> None:
    with Proxy(node.url) as proxy:
        proxy.on(msearch, behaviour)
        asked = SavedQueries(search_client(SearchEndpoint(proxy.url, auth="none")))

        with pytest.raises(SearchUnavailable):
            asked.ask([question(watching, a_detection())], Deadline.after(10))


@pytest.mark.parametrize(
    "half",
    [
        {"timed_out": True, "_shards": {}, "hits": {}},
        {"_shards": {"failed": 1, "failures": [{"reason": {"type": "circuit_breaking_exception"}}]}, "hits": {}},
        {"error": {"type": "search_phase_execution_exception", "root_cause": []}, "status": 503},
    ],
    ids=["timed out", "a shard failed", "all failed"],
)
def test_half_an_answer_is_none(node: AnyNode, watching: Watching, half: dict[str, object]) -> None:
    with Proxy(node.url) as proxy:
        proxy.on(msearch, replace_answer(orjson.dumps({"responses": [half]})))
        asked = SavedQueries(search_client(SearchEndpoint(proxy.url, auth="none")))

        answers = asked.ask([question(watching, a_detection())], Deadline.after(10))

    assert set(answers.failures) == {"bruteforce-user"}
    assert not answers.candidates
