"""Pulses and sightings on a real node: whatever order they are written in, and by how many, the later time stays.

Nothing is written by a script: a managed domain of version 2.19 answered 500 to scripts in bulk requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from threading import Thread
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.detections.detection import DetectionKind
from daswatch.indexing.bulk import Action
from daswatch.indexing.pulse import Pulse
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.queries.first_seen import Sighting, sighting_id, sightings
from daswatch.queries.saved_query import Candidate
from daswatch.records.envelope import StreamSource
from daswatch.times import iso_milliseconds
from tests.builders.alerts import a_detection
from tests.harness.installed import give_back, installed_prefix

pytestmark = pytest.mark.node

NOW = datetime(2031, 3, 4, 12, tzinfo=UTC)
STREAM = StreamSource("cluster-A", "aws:rds:dbc-id", "123456789012", "eu-west-1")
DETECTION = a_detection(kind=DetectionKind.FIRST_SEEN, group=("dbUserName",), window_seconds=0)


def minutes(count: float) -> str:
    return iso_milliseconds(NOW + timedelta(minutes=count))


@pytest.fixture
def own(search: OpenSearch) -> Iterator[Indices]:
    indices = Indices(installed_prefix(search))
    yield indices
    give_back(search, indices.prefix)


def write(search: OpenSearch, actions: list[Action]) -> None:
    result = SearchGateway(search).write(actions, Deadline.after(60.0))
    assert (result.refused, result.unwritten, result.lost) == ([], [], [])


def there(search: OpenSearch, index: str) -> dict[str, Any]:
    """All documents by their ids, as they are by now."""
    search.indices.refresh(index=index)
    return {hit["_id"]: hit["_source"] for hit in search.search(index=index, body={"size": 100})["hits"]["hits"]}


def pulse(own: Indices, seen: float, event: float | None = None) -> list[Action]:
    heard = Pulse(STREAM, "db-1", minutes(seen), "" if event is None else minutes(event))
    return heard.actions(own.pulse, versioned=True, now=NOW)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_pulse_keeps_the_later_of_each_time(search: OpenSearch, own: Indices, order: tuple[int, ...]) -> None:
    """The last event is not always heard by the function that was heard last."""
    heard = [pulse(own, 1.0, 0.5), pulse(own, 3.0), pulse(own, 2.0, 1.5)]

    for position in order:
        write(search, heard[position])

    found = there(search, own.pulse)
    assert found["cluster-A/db-1"]["lastSeen"] == minutes(3.0)
    assert found["cluster-A/db-1/event"]["lastEvent"] == minutes(1.5)
    assert {document["instanceId"] for document in found.values()} == {"db-1"}


def test_pulse_goes_on_from_an_earlier_release(search: OpenSearch, own: Indices) -> None:
    """Its documents have versions that count their writes."""
    earlier = {"instanceId": "db-1", "lastSeen": minutes(0), "lastEvent": minutes(0)}
    for _ in range(3):
        search.index(index=own.pulse, id="cluster-A/db-1", body=earlier)

    write(search, pulse(own, 1.0))

    assert there(search, own.pulse)["cluster-A/db-1"]["lastSeen"] == minutes(1.0)


def test_pulses_of_functions_at_once_end_in_the_latest(search: OpenSearch, own: Indices) -> None:
    batches = [[pulse(own, first + 4 * number, first + 4 * number) for number in range(10)] for first in range(4)]

    def run(batch: list[list[Action]]) -> None:
        for actions in batch:
            write(search, actions)

    threads = [Thread(target=run, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = there(search, own.pulse)
    assert found["cluster-A/db-1"]["lastSeen"] == minutes(39)
    assert found["cluster-A/db-1/event"]["lastEvent"] == minutes(39)


def sighting(own: Indices, known: dict[str, Sighting], first: float, last: float) -> list[Action]:
    found = Candidate("cluster-A", {"dbUserName": "anna"}, 1, minutes(first), minutes(last), DETECTION.level)
    return sightings(DETECTION, [found], known, NOW, own.seen, versioned=True)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_sighting_keeps_the_later_time(search: OpenSearch, own: Indices, order: tuple[int, ...]) -> None:
    """As when a run of a backlog comes after one of what just arrived, or two runs are at work."""
    candidate = Candidate("cluster-A", {"dbUserName": "anna"}, 1, minutes(0), minutes(0), DETECTION.level)
    name = sighting_id(DETECTION, candidate)
    known = {name: Sighting(minutes(0), minutes(0))}
    runs = [sighting(own, known, begin, begin + 10) for begin in (60, 200, 130)]

    for position in order:
        write(search, runs[position])

    found = there(search, own.seen)[name]
    assert (found["firstSeen"], found["lastSeen"]) == (minutes(0), minutes(210))


def test_first_sighting_has_its_own_begin(search: OpenSearch, own: Indices) -> None:
    write(search, sighting(own, {}, 5, 6))

    (learning,) = (one for one in there(search, own.seen).values() if "group" not in one)
    (group,) = (one for one in there(search, own.seen).values() if "group" in one)
    assert (group["firstSeen"], group["lastSeen"]) == (minutes(5), minutes(6))
    assert learning["firstSeen"] == iso_milliseconds(NOW)


def test_nothing_is_written_by_a_script(own: Indices) -> None:
    actions = [*pulse(own, 1.0, 0.5), *sighting(own, {}, 5, 6)]
    heads = [orjson.loads(action.lines.splitlines()[0]) for action in actions]

    assert all(set(head) == {"index"} for head in heads)
    assert not any(b"script" in action.lines for action in actions)


def test_pulse_that_is_late_is_not_written_without_versions(own: Indices) -> None:
    """In a collection, where an old one would take the place of what another function wrote."""
    at = datetime.fromisoformat(minutes(0))
    heard = Pulse(STREAM, "db-1", minutes(0))

    assert heard.actions(own.pulse, versioned=False, now=at + timedelta(minutes=6)) == []
    (action,) = heard.actions(own.pulse, versioned=False, now=at)
    assert orjson.loads(action.lines.splitlines()[0]) == {"index": {"_index": own.pulse, "_id": "cluster-A/db-1"}}
