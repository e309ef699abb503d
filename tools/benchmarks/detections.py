"""All saved queries in one run against the same queries one by one, how both grow, and what detecting costs an event.

The window stays the same while the index grows tenfold, so a run should cost the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from statistics import median

from opensearchpy import OpenSearch

from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind
from daswatch.detections.prefilter import Prefilter
from daswatch.detections.sigma import compile_all
from daswatch.indices import Indices
from daswatch.opensearch.saved_queries import Question, SavedQueries
from daswatch.opensearch.templates import ContentGateway
from daswatch.queries.backlog import Arrivals
from daswatch.queries.saved_query import Window, event_indices, event_window, index_of, saved_query, silence_window
from demo.indexed import documents_of, index_all
from demo.traffic import ProducedRecord, produce
from tools.benchmarks.catching_up import cpu_seconds
from tools.benchmarks.figures import Figures
from tools.benchmarks.workload import SEED, START

Step = Callable[[str], None]

_PREFIX = "das-bench-detections"
_EVENTS = (30_000, 300_000)
_ROUNDS = 11
_WARM_UP = 3  # rounds, for scripts that are compiled and what OpenSearch keeps of a field
_SECONDS = 120.0
_SCHEDULE = timedelta(minutes=1)
_SAMPLE = 20_000  # events, of which the time is taken that the ingest function looks through them


def cycle(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """One run over an index of 30,000 and of 300,000 events that came at the same pace."""
    _remove(client)
    enabled = [one for one in compile_all() if one.enabled and one.kind is not DetectionKind.FAILING]
    questions: dict[int, list[Question]] = {}
    spans: dict[int, timedelta] = {}
    for events in _EVENTS:
        step(f"indexing {events:,} events")
        prefix = f"{_PREFIX}-{events}-events"
        last = _history(client, events, prefix)
        spans[events] = last - START
        questions[events] = _questions(enabled, prefix, last)
    cpu: list[float] = []
    together: dict[int, list[float]] = {events: [] for events in _EVENTS}
    alone: dict[int, list[float]] = {events: [] for events in _EVENTS}
    for number in range(_ROUNDS):
        step(f"{len(enabled)} saved queries: round {number + 1} of {_ROUNDS}")
        begun = cpu_seconds(client)
        _ask(client, questions[_EVENTS[-1]])
        cpu.append(cpu_seconds(client) - begun)
        for events in _EVENTS:
            together[events].append(_milliseconds(partial(_ask, client, questions[events])))
            alone[events].append(_milliseconds(partial(_one_by_one, client, questions[events])))
    _remove(client)
    small, large = _EVENTS
    a_minute = large / (spans[large] / _SCHEDULE)
    prefilter = _prefilter_seconds(enabled)
    figures.add(
        detection_cpu_s_per_million_events=(median(cpu[_WARM_UP:]) / a_minute + prefilter) * 1_000_000,
        prefilter_us_per_event=prefilter * 1_000_000,
        detection_cycle_ms=median(together[large][_WARM_UP:]),
        detection_one_by_one_ms=median(alone[large][_WARM_UP:]),
        detection_cycle_vs_one_by_one_ratio=_ratio(together[large], alone[large]),
        detection_growth_ratio=_ratio(together[large], together[small]),
        detection_one_by_one_growth_ratio=_ratio(alone[large], alone[small]),
        detections_enabled=len(enabled),
    )


def _prefilter_seconds(enabled: Sequence[Detection]) -> float:
    """The processor time that the ingest function takes to look through a document, once warm."""
    prefilter = Prefilter(one.prompt for one in enabled if one.prompt is not None)
    sample = [
        one.source for one in documents_of(produce(SEED, START, _SAMPLE, scenarios=(), heartbeats=False), _PREFIX)
    ]
    times = []
    for _ in range(_WARM_UP + 2):
        begun = time.process_time()
        for source in sample:
            prefilter.passes(source)
        times.append((time.process_time() - begun) / len(sample))
    return min(times[1:])


def _history(client: OpenSearch, events: int, prefix: str) -> datetime:
    """Index so many events of benign traffic; the time of the last one."""
    ContentGateway(client).install_all(shipped_content(prefix))
    last = START

    def records() -> Iterator[ProducedRecord]:
        nonlocal last
        for record in produce(SEED, START, events, scenarios=(), heartbeats=False):
            last = record.arrival
            yield record

    index_all(client, documents_of(records(), prefix))
    client.indices.refresh(index=f"{prefix}-*")
    client.indices.forcemerge(index=f"{prefix}-*", params={"max_num_segments": "5"})
    return last


def _questions(enabled: Sequence[Detection], prefix: str, now: datetime) -> list[Question]:
    events = event_indices((now - timedelta(minutes=30)).date(), now.date(), prefix)
    return [Question(one, _window(one, now), index_of(one, events, Indices())) for one in enabled]


def _window(detection: Detection, now: datetime) -> Window:
    if detection.kind is DetectionKind.SILENCE:
        return silence_window(detection, now)
    if detection.window_seconds:
        return event_window(detection, now)
    return Arrivals(now - _SCHEDULE, now).window


def _ask(client: OpenSearch, questions: Sequence[Question]) -> None:
    answers = SavedQueries(client).ask(questions, Deadline.after(_SECONDS))
    if answers.failures:
        raise RuntimeError(f"saved queries failed: {answers.failures}")


def _one_by_one(client: OpenSearch, questions: Sequence[Question]) -> None:
    """As monitors are run: each a search of its own."""
    for question in questions:
        client.search(
            index=question.index,
            body=saved_query(question.detection, question.window),
            params={"ignore_unavailable": "true", "allow_no_indices": "true"},
        )


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios round by round, once warm."""
    return median(a / b for a, b in zip(over[_WARM_UP:], under[_WARM_UP:], strict=True))


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _remove(client: OpenSearch) -> None:
    client.indices.delete(index=f"{_PREFIX}-*", params={"ignore_unavailable": "true"})
