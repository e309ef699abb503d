"""Runs in a collection that would overlap: one of them does the work, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from daswatch.alerts.alert import State
from daswatch.content.templates import for_collection, shipped_content
from daswatch.deadline import Deadline
from daswatch.detections.detection import dump
from daswatch.errors import SearchUnavailable
from daswatch.opensearch.client import search_client
from daswatch.opensearch.run_claims import CLAIMED, KEPT_MINUTES, RunClaims
from daswatch.settings import SearchEndpoint
from demo.opensearch import AnyNode
from findings_lambda.handler import Function
from findings_lambda.handler import warm_function as warm
from findings_lambda.run_report import RunReport
from tests.fakes.clock import Clock
from tests.fakes.proxy import Behaviour, Exchange, Proxy, Response, drop_answer, forward, sequence
from tests.fakes.serverless import Collection
from tests.harness.findings import FindingsFunction
from tests.harness.installed import remove
from tests.harness.runs import DETECTIONS, NOW, RUN_SECONDS, minutes, sample

pytestmark = pytest.mark.node

GRANT = "superuser-grant"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:findings"
LAST_SECOND = timedelta(seconds=59)


@pytest.fixture
def collection(node: AnyNode) -> Iterator[Collection]:
    with Collection(node.url) as running:
        yield running


@pytest.fixture
def deployed(collection: Collection, findings: FindingsFunction, tmp_path: Path) -> FindingsFunction:
    """The function in a collection, with one detection."""
    remove(findings.search, findings.prefix)
    client = OpenSearch(collection.url)
    for content in for_collection(shipped_content(findings.prefix)):
        client.indices.put_index_template(name=content.name, body=dict(content.body))
    client.close()
    compiled = tmp_path / "one.json"
    compiled.write_bytes(dump([replace(DETECTIONS[GRANT], enabled=True)]))
    findings.configure(OPENSEARCH_ENDPOINT=collection.url, OPENSEARCH_SERVICE="aoss", DETECTIONS=str(compiled))
    return findings


@pytest.fixture
def claims(collection: Collection, deployed: FindingsFunction) -> tuple[RunClaims, RunClaims]:
    """Of two functions."""
    client = OpenSearch(collection.url)
    return RunClaims(client, deployed.indices), RunClaims(client, deployed.indices)


def a_function(findings: FindingsFunction, url: str) -> Function:
    """One that has just started."""
    findings.configure(OPENSEARCH_ENDPOINT=url)
    return warm(ARN)


def seconds(number: float) -> datetime:
    return NOW + timedelta(seconds=number)


def run(function: Function, now: datetime) -> RunReport:
    return function.runner.run(now, Deadline.after(RUN_SECONDS, Clock()))


def test_a_run_that_begins_at_any_point_of_another_changes_nothing(
    deployed: FindingsFunction, collection: Collection
) -> None:
    """Each request of one run is preceded by a run of another function, which sees nothing that was just written.

    The alert is there, and archived: both would write a new episode over it.
    """
    deployed.happen(sample(GRANT), minutes(-600))
    earlier = a_function(deployed, collection.url)
    for hours in (-10, -4):
        collection.pass_time(f"{deployed.indices.stem}-*")
        run(earlier, minutes(hours * 60))
    (archived,) = deployed.alerts().values()
    assert (archived.state, archived.notified_episode) == (State.ARCHIVED, 1)
    deployed.mails()
    deployed.happen(sample(GRANT), NOW)

    overtaken, ended = 0, False
    while not ended:
        deployed.forget()
        deployed.search.index(
            index=deployed.indices.alerts, id=archived.id, body=archived.document(), params={"refresh": "true"}
        )
        with Proxy(collection.url) as proxy:
            first, other = a_function(deployed, proxy.url), a_function(deployed, collection.url)
            reports: list[RunReport] = []
            begin = partial(lambda other, reports: reports.append(run(other, seconds(3))), other, reports)
            proxy.on(lambda _: True, sequence(*[forward] * overtaken, before(begin)))
            reports.append(run(first, seconds(2)))
        ended = len(reports) == 1
        assert sorted(report.overlapping for report in reports) == [False] + [True] * (not ended)
        collection.pass_time(f"{deployed.indices.stem}-*")
        (alert,) = deployed.alerts().values()
        assert (alert.state, alert.count, alert.episode, alert.notified_episode) == (State.ACTIVE, 1, 2, 2)
        assert len(deployed.mails()) == 1
        overtaken += not ended
    assert overtaken > CLAIMED
    assert collection.unknown == []


def before(begin: Callable[[], None]) -> Behaviour:
    """Something that happens before the server sees the request."""

    def behave(exchange: Exchange) -> Response:
        begin()
        return exchange.forward()

    return behave


def test_another_function_waits_until_claims_lapse(
    deployed: FindingsFunction, collection: Collection, claims: tuple[RunClaims, RunClaims]
) -> None:
    one, other = claims
    assert one.claim(NOW + LAST_SECOND, deadline())

    assert not other.claim(minutes(1), deadline())
    assert not other.claim(minutes(2) + LAST_SECOND, deadline())
    assert other.claim(minutes(CLAIMED), deadline())
    assert not one.claim(minutes(4), deadline())
    assert other.claim(minutes(4), deadline())


def test_a_function_that_goes_on_creates_one_claim_a_minute(
    deployed: FindingsFunction, collection: Collection, claims: tuple[RunClaims, RunClaims]
) -> None:
    """And removes one that is an hour old, so that they do not add up."""
    one, _ = claims
    for minute in range(KEPT_MINUTES + 2):
        assert one.claim(minutes(minute), deadline())

    collection.pass_time(deployed.indices.runs)
    assert deployed.search.count(index=deployed.indices.runs)["count"] == KEPT_MINUTES - 1 + CLAIMED


def test_a_claim_whose_answer_is_lost_lapses(deployed: FindingsFunction, collection: Collection) -> None:
    with Proxy(collection.url) as proxy:
        one = RunClaims(search_client(SearchEndpoint(proxy.url, auth="none", service="aoss")), deployed.indices)
        proxy.on(lambda request: request.method == "PUT", sequence(drop_answer))
        with pytest.raises(SearchUnavailable):
            one.claim(NOW, deadline())

        assert not one.claim(minutes(0), deadline())
        assert one.claim(minutes(1), deadline())


def test_what_a_function_says_that_leaves_the_run_to_another(deployed: FindingsFunction) -> None:
    deployed.scheduled()
    deployed.configure()

    assert deployed.scheduled() == {"raised": 0, "archived": 0, "failing": []}
    assert deployed.log["message"] == "another function may be running"


def deadline() -> Deadline:
    return Deadline.after(RUN_SECONDS, Clock())
