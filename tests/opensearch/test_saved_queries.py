"""The saved queries at a real node, and at one that answers wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionTimeout

from daswatch.deadline import Deadline
from daswatch.detections.detection import Condition, Detection
from daswatch.detections.samples import Sample, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.client import search_client
from daswatch.opensearch.saved_queries import Question, SavedQueries
from daswatch.queries import saved_query
from daswatch.queries.saved_query import Candidate, event_window, windows_between
from daswatch.settings import SearchEndpoint
from demo.aws import LocalAws
from demo.opensearch import AnyNode
from tests.builders.alerts import a_detection
from tests.fakes.proxy import Behaviour, Proxy, Request, answer, cut_answer, drop, replace_answer
from tests.harness.runs import RunHarness

pytestmark = pytest.mark.node

NOW = datetime(2031, 3, 4, 12, 30, tzinfo=UTC)
FAILED = {"command": "AUTH FAILURE", "class": "CONNECT", "commandText": None, "exitCode": "28P01"}


def failures(users: int, times: int) -> Sample:
    """So many users who each fail to log in so many times."""
    names = [f"user_{number:03}" for number in range(users)]
    step = {"times": users * times, "apart": 0.5, "event": FAILED, "each": {"dbUserName": names}}
    return Sample("", "match", "", "postgresql", (step,))


@pytest.fixture
def harness(search: OpenSearch, aws: LocalAws) -> Iterator[RunHarness]:
    place = RunHarness(search, aws, [])
    yield place
    place.close()


def question(harness: RunHarness, detection: Detection) -> Question:
    return Question(detection, event_window(detection, NOW), f"{harness.prefix}-*")


def test_more_groups_than_a_page_takes_are_all_found(harness: RunHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.happen(failures(23, 2), NOW)
    monkeypatch.setattr(saved_query, "GROUPS_PER_PAGE", 5)
    detection = a_detection(conditions=(Condition("count", 2),))

    answers = SavedQueries(harness.search).ask([question(harness, detection)], Deadline.after(60))

    assert sorted(found.group["dbUserName"] for _, found in answers.candidates) == [f"user_{n:03}" for n in range(23)]
    assert answers.searches >= 5


def test_pages_behind_which_no_group_fires_do_not_end_the_search(
    harness: RunHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.happen(failures(20, 1), NOW)
    last = {"times": 9, "apart": 0.5, "event": {**FAILED, "dbUserName": "zoe"}}
    harness.happen(Sample("", "match", "", "postgresql", (last,)), NOW)
    monkeypatch.setattr(saved_query, "GROUPS_PER_PAGE", 5)
    detection = a_detection(conditions=(Condition("count", 9),))

    answers = SavedQueries(harness.search).ask([question(harness, detection)], Deadline.after(60))

    assert [found.group["dbUserName"] for _, found in answers.candidates] == ["zoe"]


def test_events_without_a_value_are_a_group_of_their_own(harness: RunHarness) -> None:
    step = {"times": 12, "apart": 1, "event": {**FAILED, "dbUserName": None, "remoteHost": None}}
    harness.happen(Sample("", "match", "", "postgresql", (step,)), NOW)

    queries_of = SavedQueries(harness.search)
    answers = queries_of.ask([question(harness, a_detection())], Deadline.after(60))

    ((_, found),) = answers.candidates
    assert found.group == {"dbUserName": "", "remoteHost": ""}
    assert found.count == 12


def test_a_query_that_fails_is_named_and_the_others_are_answered(harness: RunHarness) -> None:
    harness.happen(failures(1, 12), NOW)
    broken = a_detection(name="broken", query='commandText:"never closed')

    answers = SavedQueries(harness.search).ask(
        [question(harness, broken), question(harness, a_detection())], Deadline.after(60)
    )

    assert set(answers.failures) == {"broken"}
    assert answers.failures["broken"]
    assert "never closed" not in str(answers.failures)
    assert len(answers.candidates) == 1


def test_more_searches_than_one_request_takes_are_all_made(harness: RunHarness) -> None:
    harness.happen(failures(1, 12), NOW)
    asked = [question(harness, replace(a_detection(), name=f"d{number}")) for number in range(430)]

    answers = SavedQueries(harness.search).ask(asked, Deadline.after(60))

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
def test_where_nothing_can_be_asked_the_run_ends(node: AnyNode, harness: RunHarness, behaviour: Behaviour) -> None:
    with Proxy(node.url) as proxy:
        proxy.on(msearch, behaviour)
        asked = SavedQueries(search_client(SearchEndpoint(proxy.url, auth="none")))

        with pytest.raises(SearchUnavailable):
            asked.ask([question(harness, a_detection())], Deadline.after(10))


@pytest.mark.parametrize(
    "half",
    [
        {"timed_out": True, "_shards": {}, "hits": {}},
        {"_shards": {"failed": 1, "failures": [{"reason": {"type": "circuit_breaking_exception"}}]}, "hits": {}},
        {"_shards": {"total": 2, "successful": 1, "skipped": 0, "failed": 0}, "hits": {}},
        {"hits": {}},
        {"error": {"type": "search_phase_execution_exception", "root_cause": []}, "status": 503},
    ],
    ids=["timed out", "a shard failed", "a shard is missing", "no shards", "all failed"],
)
def test_half_an_answer_is_none(node: AnyNode, harness: RunHarness, half: dict[str, object]) -> None:
    with Proxy(node.url) as proxy:
        proxy.on(msearch, replace_answer(orjson.dumps({"responses": [half]})))
        asked = SavedQueries(search_client(SearchEndpoint(proxy.url, auth="none")))

        answers = asked.ask([question(harness, a_detection())], Deadline.after(10))

    assert set(answers.failures) == {"bruteforce-user"}
    assert not answers.candidates


class SlowFor:
    """A client at which a request with a text in it does not end in time. No clock: it is refused at once."""

    def __init__(self, client: OpenSearch, text: bytes) -> None:
        self._client = client
        self._text = text
        self.refused = 0

    @property
    def transport(self) -> SlowFor:
        return self

    def perform_request(self, method: str, url: str, **options: Any) -> Any:
        if self._text in options["body"]:
            self.refused += 1
            raise ConnectionTimeout("TIMEOUT", "out of time", None)
        return self._client.transport.perform_request(method, url, **options)


def test_a_slow_query_is_named_and_delays_no_other(harness: RunHarness) -> None:
    harness.happen(failures(1, 12), NOW)
    slow = a_detection(name="slow", query='activity:"AUTH FAILURE" AND dbUserName:slow')
    asked = [question(harness, replace(a_detection(), name=f"d{number}")) for number in range(17)]
    client = SlowFor(harness.search, b"dbUserName:slow")

    answers = SavedQueries(client).ask([*asked[:5], question(harness, slow), *asked[5:]], Deadline.after(300))  # type: ignore[arg-type]

    assert answers.failures == {"slow": "timed out"}
    assert {detection.name for detection, _ in answers.candidates} == {f"d{number}" for number in range(17)}
    assert client.refused <= 6


def test_without_patience_a_slow_request_is_not_divided(harness: RunHarness) -> None:
    """A backtest asks each detection again by itself, with as much time."""
    client = SlowFor(harness.search, b"\n")
    asked = [question(harness, replace(a_detection(), name=f"d{number}")) for number in range(4)]

    with pytest.raises(SearchUnavailable):
        SavedQueries(client, patience=None).ask(asked, Deadline.after(300))  # type: ignore[arg-type]

    assert client.refused == 1


def test_each_search_has_a_time_limit_of_its_own(harness: RunHarness) -> None:
    asked: list[bytes] = []
    client = SlowFor(harness.search, b"\n")
    perform = client.perform_request

    def noted(method: str, url: str, **options: Any) -> Any:
        asked.append(options["body"])
        return perform(method, url, **options)

    client.perform_request = noted  # type: ignore[method-assign]
    SavedQueries(client).ask([question(harness, a_detection())], Deadline.after(300))  # type: ignore[arg-type]

    limits = [orjson.loads(line).get("timeout") for line in asked[0].splitlines()[1::2]]
    assert limits == ["7000ms"]


def test_without_time_left_nothing_is_asked(harness: RunHarness) -> None:
    client = SlowFor(harness.search, b"\n")

    answers = SavedQueries(client).ask([question(harness, a_detection())], Deadline.after(-1))  # type: ignore[arg-type]

    assert answers.failures == {"bruteforce-user": "out of time"}
    assert client.refused == 0


def test_only_windows_in_which_a_group_fires_are_reported(harness: RunHarness) -> None:
    """Failures that are far apart are enough for the whole time, and for no window of it."""
    burst = failures(1, 12)
    slow = {**burst.steps[0], "apart": 600, "each": {"dbUserName": ["slow"]}}
    harness.happen(burst, NOW)
    harness.happen(Sample("", "match", "", "postgresql", (slow,)), NOW)
    windows = windows_between(a_detection(), NOW - timedelta(hours=3), NOW, NOW)
    whole = replace(windows[0], end=windows[-1].end)
    asked = Question(a_detection(), whole, f"{harness.prefix}-*", parts=windows)

    answers = SavedQueries(harness.search).ask([asked], Deadline.after(60))

    ((_, found),) = answers.candidates
    assert found.group["dbUserName"] == "user_000"
    assert found.count == 12
    assert answers.searches == 2


def test_what_windows_together_find_is_what_each_finds(harness: RunHarness) -> None:
    """Of every enabled detection with a window, over its own samples."""
    for name in ("bruteforce-user", "bruteforce-success", "password-spray", "schema-drop", "mass-read"):
        for number, sample in enumerate(samples_of(name)):
            harness.happen(sample, NOW, database=f"cluster-{name}-{number}")
    windowed = [one for one in compile_all() if one.window_seconds and one.enabled]
    together, each = {}, {}

    def found(questions: list[Question]) -> list[Candidate]:
        answers = SavedQueries(harness.search).ask(questions, Deadline.after(60))
        return sorted((one for _, one in answers.candidates), key=lambda one: (one.resource_id, str(one.group)))

    for detection in windowed:
        windows = windows_between(detection, NOW - timedelta(hours=2), NOW, NOW)
        whole = replace(windows[0], end=windows[-1].end)
        index = f"{harness.prefix}-*"
        together[detection.name] = found([Question(detection, whole, index, parts=windows)])
        each[detection.name] = found([Question(detection, window, index) for window in windows])

    assert together == each
    assert sum(map(bool, together.values())) >= 5
