"""What it costs the findings runner to catch up: after a day, after a week, with an event that is 100 days late.

Costs are seconds of processor time, of OpenSearch and of the runner together. Nothing is published.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from opensearchpy import OpenSearch

from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.detections.samples import documents, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.documents.document import Flattening
from daswatch.indices import Indices
from daswatch.opensearch.templates import ContentGateway
from daswatch.times import iso_milliseconds
from demo.indexed import documents_of, index_all
from demo.traffic import produce
from findings_lambda.run_report import RunReport
from tools.benchmarks.figures import Figures
from tools.benchmarks.workload import SEED, START
from tools.runner import detection_runner

Step = Callable[[str], None]

_INDICES = Indices("das-bench-catching-up-events")
_PREFIX = _INDICES.prefix
_STATE = f"{_INDICES.alerts},{_INDICES.seen},{_INDICES.runs}"
_SECONDS = 53.0  # of the function's minute
_MINUTE = timedelta(minutes=1)
_STEADY = timedelta(minutes=30)  # between runs of the runner that is never away
_DAY_EVENTS = 60_000
_WEEK_EVENTS = 300_000
_DAYS = 400
_LATE = timedelta(days=100)
_ROUNDS = 12
_WARM_UP = 2
_QUIET_RUNS = 10
# OpenSearch reads its own processor time once a second at most (`monitor.process.refresh_interval`), and a run may be
# shorter than that.
_READ_AGAIN_SECONDS = 1.1


@dataclass(frozen=True)
class _Cost:
    report: RunReport
    cpu_s: float
    seconds: float


def a_day(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """A day of 60,000 events after which the runner comes back."""
    begin, end = _history(step, client, _DAY_EVENTS, timedelta(days=1))
    _run(client, begin)
    costs = list(_until_caught_up(step, client, end))
    _remove(client)
    figures.add(
        catch_up_24h_runs=len(costs),
        catch_up_24h_cpu_s=sum(cost.cpu_s for cost in costs),
        catch_up_24h_slowest_run_s=max(cost.seconds for cost in costs),
    )


def a_week(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """300,000 events over seven days: what is found is what a runner finds that was never away."""
    begin, end = _history(step, client, _WEEK_EVENTS, timedelta(days=7))
    moment = begin
    while moment < end - _QUIET_RUNS * _MINUTE:
        step(f"a runner that is never away: {moment:%d %H:%M}")
        _run(client, moment)
        moment += _STEADY
    quiet = [_measured(client, end - number * _MINUTE) for number in range(_QUIET_RUNS, -1, -1)][1:]
    steady = _known(client)
    client.indices.delete(index=_STATE, params={"ignore_unavailable": "true"})
    _run(client, begin)
    costs = list(_until_caught_up(step, client, end))
    found = _known(client)
    _remove(client)
    differing = {name for name in {*steady, *found} if steady.get(name) != found.get(name)}
    figures.add(
        catch_up_7d_runs=len(costs),
        catch_up_7d_cpu_s=sum(cost.cpu_s for cost in costs),
        catch_up_7d_slowest_run_s=max(cost.seconds for cost in costs),
        catch_up_7d_alerts=len(steady),
        catch_up_7d_differing_alerts=len(differing),
        catch_up_7d_run_ratio=median(cost.cpu_s for cost in costs) / median(cost.cpu_s for cost in quiet),
        catch_up_7d_searches_ratio=max(cost.report.searches for cost in costs)
        / median(cost.report.searches for cost in quiet),
    )


def late_event(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """Runs in which one event arrived that is 100 days old, against runs without, over 400 indices of a day each."""
    _remove(client)
    ContentGateway(client).install_all(shipped_content(_PREFIX))
    now = START + timedelta(days=_DAYS)
    for day in range(_DAYS):
        step(f"indices of a day: {day + 1} of {_DAYS}")
        _index_sample(client, now - timedelta(days=day), now - timedelta(days=day), f"day-{day}")
    client.indices.refresh(index=f"{_PREFIX}-*")
    late: list[_Cost] = []
    quiet: list[_Cost] = []
    moment = now + timedelta(hours=1)
    _run(client, moment)
    for number in range(_ROUNDS):
        step(f"an event that is 100 days late: {number + 1} of {_ROUNDS}")
        moment += _STEADY
        _index_sample(client, moment - _LATE, moment, f"late-{number}")
        client.indices.refresh(index=f"{_PREFIX}-*")
        late.append(_measured(client, moment))
        moment += _STEADY
        _run(client, moment)  # what arrived shortly before is looked at twice
        moment += _STEADY
        quiet.append(_measured(client, moment))
    _remove(client)
    pairs = list(zip(late, quiet, strict=True))[_WARM_UP:]
    figures.add(
        late_event_run_ratio=median(one.cpu_s for one, _ in pairs) / median(other.cpu_s for _, other in pairs),
        late_event_searches_ratio=max(one.report.searches / other.report.searches for one, other in pairs),
    )


def _history(step: Step, client: OpenSearch, events: int, length: timedelta) -> tuple[datetime, datetime]:
    """Index traffic with all scenarios over a time; its begin and its end."""
    _remove(client)
    ContentGateway(client).install_all(shipped_content(_PREFIX))
    step(f"indexing {events:,} events of {length.days} days")
    records = produce(SEED, START, events, events_per_second=events / length.total_seconds(), heartbeats=False)
    index_all(client, documents_of(records, _PREFIX))
    client.indices.refresh(index=f"{_PREFIX}-*")
    return START, START + length


def _until_caught_up(step: Step, client: OpenSearch, moment: datetime) -> Iterator[_Cost]:
    number = 0
    while True:
        number += 1
        step(f"catching up: run {number}")
        cost = _measured(client, moment)
        yield cost
        if not cost.report.behind:
            return
        moment += _MINUTE


def _run(client: OpenSearch, now: datetime) -> RunReport:
    report = detection_runner(client, compile_all(), _INDICES).run(now, Deadline.after(_SECONDS))
    if report.failing:
        raise RuntimeError(f"saved queries failed: {report.failing}")
    return report


def _measured(client: OpenSearch, now: datetime) -> _Cost:
    """A run that is not the first: the detections are compiled once."""
    before, begun = cpu_seconds(client), time.perf_counter()
    report = _run(client, now)
    seconds = time.perf_counter() - begun
    return _Cost(report, cpu_seconds(client) - before, seconds)


def cpu_seconds(client: OpenSearch) -> float:
    """Processor time of OpenSearch and of this process, once OpenSearch has read its own again."""
    time.sleep(_READ_AGAIN_SECONDS)
    params = {"filter_path": "nodes.*.process.cpu.total_in_millis"}
    nodes = client.nodes.stats(metric="process", params=params)["nodes"].values()
    milliseconds: int = sum(node["process"]["cpu"]["total_in_millis"] for node in nodes)
    return time.process_time() + milliseconds / 1000


def _known(client: OpenSearch) -> dict[str, tuple[Any, ...]]:
    """Of each alert what does not depend on when it was found."""
    client.indices.refresh(index=_INDICES.alerts)
    hits = client.search(index=_INDICES.alerts, body={"size": 10_000})["hits"]["hits"]
    names = ("level", "group", "count", "firstSeen", "lastSeen")
    return {hit["_id"]: tuple(hit["_source"][name] for name in names) for hit in hits}


def _index_sample(client: OpenSearch, happened: datetime, arrived: datetime, database: str) -> None:
    sample = next(one for one in samples_of("bruteforce-user") if one.expected == "match")
    flattening = Flattening(iso_milliseconds(arrived), index_prefix=_PREFIX)
    index_all(client, documents(sample, f"cluster-{database.upper()}", happened, flattening))


def _remove(client: OpenSearch) -> None:
    client.indices.delete(index=f"{_PREFIX}-*,{_STATE}", params={"ignore_unavailable": "true"})
