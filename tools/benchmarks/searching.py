"""The recipes of docs/searching.md over our mapping and over the published sample's, in turn, on the same events.

Each is asked with other values each time, and what the node keeps of earlier searches is dropped before each round, so
that caches decide nothing. Both sides are one index of one segment.

Each is asked twice: for the answer as it stands, and for what it finds without loading documents. Finding is what a
mapping decides. Loading is not: our documents have some forty fields and are stored compressed among their like, the
sample's have eight, so that whole answers of a search that is trivial for both take longer with us.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from statistics import median, quantiles
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.content.templates import shipped_content
from daswatch.opensearch.templates import ContentGateway
from demo.indexed import documents_of
from demo.traffic import ProducedRecord, produce
from tools.benchmarks.figures import Figures
from tools.benchmarks.questions import QUESTIONS, Asked, Body, Harvest, Source, piece_of_text
from tools.benchmarks.recipes import Recipe, recipes
from tools.benchmarks.sample import MAPPING, document_of
from tools.benchmarks.workload import SEED, START

Step = Callable[[str], None]

_EVENTS = 300_000
_PREFIX = "das-bench-searching-events"
_SAMPLE = "das-bench-published-sample"
_EVENTS_PER_SECOND = 5.0  # so that all are of one day: one index here as there
_RARE = 10_000  # one event in so many
_FRAGMENTS = 40
_ROUNDS = 10
_WARM_UP = 2  # rounds
_QUICK_REPEATS = 5  # in a round, as long as it is not longer than this
_QUICK_SECONDS = 0.1
_HARVESTED = 101  # one document in so many is kept, to draw values from
_EVENTS_PER_BULK = 4_000
_BULKS_AHEAD = 2  # made while another is indexed
_MERGE_SECONDS = 1200
_WITHOUT_LOADING = {"stored_fields": "_none_"}
# While indexing; searched are both as they are after it.
_LOADING = {"refresh_interval": "-1", "number_of_replicas": 0, "translog": {"durability": "async"}}


def searching(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """All recipes over 300,000 events, and rare substrings of SQL by themselves."""
    measure(step, client, figures, _EVENTS)


def measure(step: Step, client: OpenSearch, figures: Figures, events: int) -> None:
    """The benchmark over so many events; fewer are for trying out."""
    _remove(client)
    random = Random(SEED)
    loaded = _load(step, client, events)
    step("merging both")
    for index in (f"{_PREFIX}-*", _SAMPLE):
        client.indices.refresh(index=index)
        client.indices.forcemerge(index=index, params={"max_num_segments": "1"}, request_timeout=_MERGE_SECONDS)
        client.indices.refresh(index=index)
    harvest = Harvest(loaded.harvested, random)
    substrings = _substrings(step, client, harvest, events)
    figures.add(
        adhoc_substring_vs_sample_ratio=substrings.ratio(),
        adhoc_substring_ms=median(substrings.ours),
        adhoc_substring_of_sample_ms=median(substrings.sample),
    )
    times = _recipes(step, client, harvest)
    _remove(client)
    of_both = {name: one for name, one in times.items() if one.found.sample}
    figures.add(
        adhoc_slowest_finding_vs_sample_ratio=min(one.found.ratio() for one in of_both.values()),
        adhoc_slowest_recipe_vs_sample_ratio=min(one.whole.ratio() for one in of_both.values()),
        adhoc_search_p95_ms=quantiles((ms for one in times.values() for ms in one.whole.ours), n=20)[-1],
        adhoc_recipes=len(times),
        adhoc_recipes_for_sample=len(of_both),
        adhoc_events_refused_by_sample=loaded.refused,
    )
    figures.add(**{f"adhoc_{name}_vs_sample_ratio": one.whole.ratio() for name, one in of_both.items()})


@dataclass(slots=True)
class _Loaded:
    harvested: list[Source] = field(default_factory=list)
    refused: int = 0


@dataclass(slots=True)
class _Times:
    """Of one question, in ms, round by round."""

    ours: list[float] = field(default_factory=list)
    sample: list[float] = field(default_factory=list)

    def ratio(self) -> float:
        """How many times as long the sample takes: the median of the rounds."""
        return median(sample / ours for ours, sample in zip(self.ours, self.sample, strict=True))


@dataclass(slots=True)
class _Answers:
    """Of one recipe: as it stands, and without loading documents."""

    whole: _Times = field(default_factory=_Times)
    found: _Times = field(default_factory=_Times)


def _load(step: Step, client: OpenSearch, events: int) -> _Loaded:
    """Index the same events on both sides; OpenSearch works on one bulk while the next ones are made."""
    ContentGateway(client).install_all(shipped_content(_PREFIX))
    client.indices.create(index=_SAMPLE, body={**MAPPING, "settings": {"index": _LOADING}})
    loaded = _Loaded()
    indices: set[str] = set()
    done = 0
    with ThreadPoolExecutor(1) as sender:
        ahead: deque[Future[int]] = deque()
        pairs = islice(_pairs(events), events)
        while batch := list(islice(pairs, _EVENTS_PER_BULK)):
            ours, sample = bytearray(), bytearray()
            for index, document_id, source, of_sample in batch:
                if index not in indices:
                    client.indices.create(index=index, body={"settings": {"index": _LOADING}})
                    indices.add(index)
                ours += orjson.dumps({"create": {"_index": index, "_id": document_id}}) + b"\n"
                ours += orjson.dumps(source, option=orjson.OPT_APPEND_NEWLINE)
                sample += b'{"index":{}}\n' + orjson.dumps(of_sample, option=orjson.OPT_APPEND_NEWLINE)
            loaded.harvested += [source for _, _, source, _ in batch[::_HARVESTED]]
            done += len(batch)
            ahead.append(sender.submit(_send, client, bytes(ours), bytes(sample)))
            if len(ahead) > _BULKS_AHEAD:
                loaded.refused += ahead.popleft().result()
            step(f"indexing on both sides: {done:,} of {events:,} events")
        loaded.refused += sum(bulk.result() for bulk in ahead)
    if done < events:
        raise RuntimeError(f"only {done} events were made")
    return loaded


def _pairs(events: int) -> Iterator[tuple[str, str, Source, dict[str, Any]]]:
    """Index, id and document of ours, and the sample's document, of every event that is not noise."""
    # Some events are of AWS's own users.
    for record in produce(SEED, START, events * 5 // 4, heartbeats=False, events_per_second=_EVENTS_PER_SECOND):
        kept = _without_noise(record)
        documents = documents_of([kept], _PREFIX)
        for document, event in zip(documents, kept.monitoring_record["databaseActivityEventList"], strict=True):
            yield document.index, document.id, document.source, document_of(event)


def _without_noise(record: ProducedRecord) -> ProducedRecord:
    listed = zip(record.monitoring_record["databaseActivityEventList"], record.entries, strict=True)
    events = [event for event, entry in listed if entry.fate == "indexed"]
    content = {**record.monitoring_record, "databaseActivityEventList": events}
    return ProducedRecord(record.database, content, record.entries, record.arrival)


def _send(client: OpenSearch, ours: bytes, sample: bytes) -> int:
    """Index a bulk on both sides; how many the sample's mapping refuses, which that way loses."""
    answer = client.bulk(body=ours, params={"filter_path": "errors"})
    if answer["errors"]:
        raise RuntimeError("OpenSearch refused documents of ours")
    answer = client.bulk(index=_SAMPLE, body=sample, params={"filter_path": "errors,items.index.error.type"})
    return sum("error" in item.get("index", {}) for item in answer.get("items", ()))


def _substrings(step: Step, client: OpenSearch, harvest: Harvest, events: int) -> _Times:
    """A fresh pattern each time, of those that few events contain."""
    recipe = next(one for one in recipes() if QUESTIONS[one.question] is piece_of_text)
    times = _Times()
    while len(times.ours) < _FRAGMENTS:
        step(f"rare substrings of SQL: {len(times.ours) + 1} of {_FRAGMENTS}")
        asked = piece_of_text(harvest)
        assert asked.over_sample is not None
        ours, found = _ask(client, f"{_PREFIX}-*", asked.body(recipe))
        if found > max(events // _RARE, 1):
            continue
        sample, found_there = _ask(client, _SAMPLE, asked.over_sample)
        if not 0 < found_there <= found:  # ours looks in any case, the sample in one
            raise RuntimeError(f"found {found}, over the sample's mapping {found_there}")
        times.ours.append(ours)
        times.sample.append(sample)
    return times


def _recipes(step: Step, client: OpenSearch, harvest: Harvest) -> dict[str, _Answers]:
    """Each recipe in each round; what is quick several times with other values, since noise weighs more there."""
    answers = {question.__name__: _Answers() for question in QUESTIONS.values()}
    for number in range(_WARM_UP + _ROUNDS):
        step(f"{len(answers)} recipes: round {number + 1} of {_WARM_UP + _ROUNDS}")
        client.indices.clear_cache(index=f"{_PREFIX}-*,{_SAMPLE}", params={"query": "true", "request": "true"})
        for recipe in recipes():
            question = QUESTIONS[recipe.question]
            answer = answers[question.__name__] if number >= _WARM_UP else _Answers()
            begun = time.perf_counter()
            for repeat in range(_QUICK_REPEATS):
                _ask_both(client, recipe, question(harvest), answer, sample_first=(number + repeat) % 2 == 0)
                if time.perf_counter() - begun > _QUICK_SECONDS:
                    break
    return answers


def _ask_both(client: OpenSearch, recipe: Recipe, asked: Asked, answer: _Answers, *, sample_first: bool) -> None:
    for times, how in ((answer.whole, {}), (answer.found, _WITHOUT_LOADING)):
        sides = [(times.ours, f"{_PREFIX}-*", {**asked.body(recipe), **how})]
        if asked.over_sample is not None:
            sides.append((times.sample, _SAMPLE, {**asked.over_sample, **how}))
        for taken, index, body in sides[:: -1 if sample_first else 1]:
            taken.append(_ask(client, index, body)[0])


def _ask(client: OpenSearch, index: str, body: Body) -> tuple[float, int]:
    """How long a search takes, in ms, and how many events it finds."""
    begun = time.perf_counter()
    answer = client.search(index=index, body=body, params={"request_cache": "false"})
    milliseconds = (time.perf_counter() - begun) * 1000
    if answer["timed_out"] or answer["_shards"]["failed"]:
        raise RuntimeError(f"a search failed: {answer['_shards']}")
    return milliseconds, answer["hits"]["total"]["value"]


def _remove(client: OpenSearch) -> None:
    client.indices.delete(index=f"{_PREFIX}-*,{_SAMPLE}", params={"ignore_unavailable": "true"})
