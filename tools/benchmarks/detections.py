"""All saved queries in one run against the same queries one by one, how both grow, and how soon a finding is there.

The window stays the same while the index grows tenfold, so a run should cost the same.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median, quantiles

from opensearchpy import OpenSearch

from daswatch.aws.security_hub import FindingAccounts
from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind
from daswatch.detections.samples import Sample, documents, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.documents.document import Flattening
from daswatch.indices import Indices
from daswatch.opensearch.saved_queries import Question, SavedQueries
from daswatch.opensearch.templates import ContentGateway
from daswatch.queries.backlog import Arrivals
from daswatch.queries.saved_query import Window, event_indices, event_window, index_of, saved_query, silence_window
from daswatch.times import iso_milliseconds
from demo.aws import REGION, LocalAws
from demo.findings import all_findings
from demo.indexed import documents_of, index_all
from demo.traffic import ProducedRecord, produce
from findings_lambda.runner import DetectionRunner
from tools.benchmarks.figures import Figures
from tools.benchmarks.workload import SEED, START
from tools.runner import detection_runner

Step = Callable[[str], None]

_PREFIX = "das-bench-detections"
_ARRIVAL = Indices("das-bench-arrival-events")
_EVENTS = (100_000, 1_000_000)
_ROUNDS = 18
_WARM_UP = 3  # rounds, for scripts that are compiled and what OpenSearch keeps of a field
_SECONDS = 120.0
_SCHEDULE = timedelta(minutes=1)
_TICKS = 4
_PAUSE_SECONDS = 1.7  # between two attacks, on average
_STATE = (_ARRIVAL.alerts, _ARRIVAL.seen, _ARRIVAL.runs)


def cycle(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """One run over an index of 100,000 and of 1,000,000 events that came at the same pace."""
    _remove(client)
    enabled = [one for one in compile_all() if one.enabled and one.kind is not DetectionKind.FAILING]
    questions: dict[int, list[Question]] = {}
    for events in _EVENTS:
        step(f"indexing {events:,} events")
        prefix = f"{_PREFIX}-{events}-events"
        questions[events] = _questions(enabled, prefix, _history(client, events, prefix))
    together: dict[int, list[float]] = {events: [] for events in _EVENTS}
    alone: dict[int, list[float]] = {events: [] for events in _EVENTS}
    for number in range(_ROUNDS):
        step(f"{len(enabled)} saved queries: round {number + 1} of {_ROUNDS}")
        for events in _EVENTS:
            together[events].append(_milliseconds(partial(_ask, client, questions[events])))
            alone[events].append(_milliseconds(partial(_one_by_one, client, questions[events])))
    _remove(client)
    small, large = _EVENTS
    figures.add(
        detection_cycle_ms=median(together[large][_WARM_UP:]),
        detection_one_by_one_ms=median(alone[large][_WARM_UP:]),
        detection_cycle_vs_one_by_one_ratio=_ratio(together[large], alone[large]),
        detection_growth_ratio=_ratio(together[large], together[small]),
        detection_one_by_one_growth_ratio=_ratio(alone[large], alone[small]),
        detections_enabled=len(enabled),
    )


def arrival_to_finding(step: Step, client: OpenSearch, url: str, figures: Figures) -> None:
    """From the arrival of an attack's event at the ingest function to its finding in Security Hub.

    Attacks come at random times, each of its own user; the saved queries run once a minute; the index refreshes as its
    template says.
    """
    _remove(client)
    ContentGateway(client).install_all(shipped_content(_ARRIVAL.prefix))
    grant = next(one for one in samples_of("superuser-grant") if one.expected == "match")
    arrivals: dict[str, float] = {}
    seconds: list[float] = []
    done = threading.Event()
    attacker = threading.Thread(target=_attack, args=(client, grant, arrivals, done))
    with LocalAws() as aws:
        runner = _runner(client, aws)
        attacker.start()
        begun = time.monotonic()
        for tick in range(1, _TICKS + 1):
            step(f"attacks, and a run each minute: {tick} of {_TICKS}")
            done.wait(max(0.0, begun + tick * _SCHEDULE.total_seconds() - time.monotonic()))
            if tick == _TICKS - 1:
                done.set()
                attacker.join()
                done.clear()
            runner.run(datetime.now(UTC), Deadline.after(_SECONDS))
            there = time.time()
            for finding in _findings(aws):
                if finding in arrivals:
                    seconds.append(there - arrivals.pop(finding))
    _remove(client)
    if arrivals:
        raise RuntimeError(f"{len(arrivals)} attacks have no finding")
    figures.add(
        arrival_to_finding_p50_s=median(seconds),
        arrival_to_finding_p95_s=quantiles(seconds, n=20)[-1],
        arrival_to_finding_attacks=len(seconds),
    )


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


_ATTACKS_PER_DATABASE = 50


def _attack(client: OpenSearch, grant: Sample, arrivals: dict[str, float], done: threading.Event) -> None:
    chance = random.Random(SEED)
    number = 0
    while not done.wait(chance.uniform(0, 2 * _PAUSE_SECONDS)):
        number += 1
        user = f"ops_{number}"
        steps = ({**grant.steps[-1], "event": {**grant.steps[-1]["event"], "dbUserName": user}},)
        now = datetime.now(UTC)
        attack = replace(grant, steps=steps)
        flattening = Flattening(iso_milliseconds(now), index_prefix=_ARRIVAL.prefix)
        arrivals[user] = time.time()
        # A database with more alerts than this would get one summary for the rest.
        resource_id = f"cluster-BENCH{number // _ATTACKS_PER_DATABASE}"
        index_all(client, documents(attack, resource_id, now, flattening))


def _runner(client: OpenSearch, aws: LocalAws) -> DetectionRunner:
    security_hub = aws.session.client("securityhub", endpoint_url=aws.url)
    sts = aws.session.client("sts", endpoint_url=aws.url)
    accounts = FindingAccounts("123456789012", REGION, lambda credentials: security_hub, lambda: sts, "")
    return detection_runner(client, compile_all(), _ARRIVAL, accounts)


def _findings(aws: LocalAws) -> list[str]:
    """The users that Security Hub has a superuser-grant finding of."""
    return [
        one["ProductFields"]["daswatch/Group/dbUserName"]
        for one in all_findings(aws.security_hub())
        if one["ProductFields"]["daswatch/Detection"] == "superuser-grant"
    ]


def _remove(client: OpenSearch) -> None:
    client.indices.delete(
        index=f"{_PREFIX}-*,{_ARRIVAL.events},{','.join(_STATE)}", params={"ignore_unavailable": "true"}
    )
