"""Known clients: which searches are asked about a group, and when it is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from daswatch.detections.detection import Detection, EventSequence, Explanation, KnownClients, Level
from daswatch.queries.known_clients import (
    MAX_CLIENTS,
    Client,
    clients_query,
    earlier_query,
    explanation_query,
    is_explicable,
    is_steady,
    read_clients,
)
from daswatch.queries.saved_query import Candidate
from tests.builders.alerts import a_detection

GROUP = Candidate(
    "cluster-SHOP",
    {"dbUserName": "svc", "remoteHost": "10.1.2.3"},
    12,
    "2031-03-04T10:00:00.000Z",
    "2031-03-04T10:05:00.000Z",
    Level.HIGH,
)
SERVICE = Client("svc", "", "10.1.2.0/24")
HOSTS = ("10.1.2.3", "10.1.2.4")


def a_rule(**changes: Any) -> Detection:
    return a_detection(known_clients=KnownClients(**{"days": 7, **changes}))


def a_bucket(
    user: str | None = "svc", application: str | None = None, ip: str | None = "10.1.2.3", host: str = "h"
) -> dict[str, Any]:
    key = {"dbUserName": user, "clientApplication": application, "remoteIp": ip, "remoteHost": host}
    return {"key": key, "doc_count": 1}


def an_answer(*buckets: Any, others: int = 0, hits: Sequence[Any] = ()) -> dict[str, Any]:
    return {
        "hits": {"total": {"value": len(hits)}, "hits": list(hits)},
        "aggregations": {"clients": {"buckets": list(buckets)}, "others": {"doc_count": others}},
    }


def a_hit(seconds: float, user: str = "svc", ip: str = "10.1.2.3") -> dict[str, Any]:
    return {"fields": {"@timestamp": [str(int(seconds * 1000))], "dbUserName": [user], "remoteIp": [ip]}}


def every(seconds: float, times: int, begin: float = 0.0, jitter: float = 0.0) -> list[float]:
    random = Random(7)
    return [begin + number * seconds + random.uniform(-jitter, jitter) for number in range(times)]


def test_clients_are_asked_of_the_events_of_the_group_alone() -> None:
    body = clients_query(a_rule(when="actor:backup"), GROUP)

    assert body["size"] == 0
    assert body["query"]["bool"]["filter"][-4:] == [
        {"range": {"@timestamp": {"gte": "2031-03-04T10:00:00.000Z", "lt": "2031-03-04T10:05:00.001Z"}}},
        {"term": {"resourceId": "cluster-SHOP"}},
        {"term": {"dbUserName": "svc"}},
        {"term": {"remoteHost": "10.1.2.3"}},
    ]
    assert body["aggs"]["others"]["filter"]["bool"]["must_not"][0]["query_string"]["query"] == "actor:backup"
    assert "others" not in clients_query(a_rule(), GROUP)["aggs"]


def test_a_pace_is_looked_for_in_a_whole_window() -> None:
    """A window that moved on holds the last attempts only."""
    body = clients_query(replace(a_rule(steady=True), window_seconds=900), GROUP)

    assert body["query"]["bool"]["filter"][-4] == {
        "range": {"@timestamp": {"gte": "2031-03-04T09:50:00.000Z", "lt": "2031-03-04T10:05:00.001Z"}}
    }


def test_few_events_need_no_pace() -> None:
    answer = an_answer(a_bucket(), hits=[a_hit(at) for at in (0, 1, 7)])

    assert read_clients(a_rule(steady=True, few=4), answer, GROUP)
    assert not read_clients(a_rule(steady=True, few=3), answer, GROUP)
    answer["hits"]["total"]["value"] = 9  # more than were looked at
    assert not read_clients(a_rule(steady=True, few=4), answer, GROUP)


def test_the_pace_of_a_sequence_is_that_of_its_first_step() -> None:
    detection = replace(a_rule(steady=True), sequence=EventSequence("activity:A", 5, "activity:B"))

    body = clients_query(detection, GROUP)

    assert body["post_filter"]["query_string"]["query"] == "activity:A"
    assert "post_filter" not in clients_query(a_rule(steady=True), GROUP)


@pytest.mark.parametrize(
    ("client", "terms"),
    [
        (SERVICE, [{"dbUserName": "svc"}, {"remoteIp": "10.1.2.0/24"}]),
        (
            Client("svc", "app", "[local]"),
            [{"dbUserName": "svc"}, {"remoteHost": "[local]"}, {"clientApplication": "app"}],
        ),
    ],
)
def test_a_clients_past_is_asked_for_without_failed_logins(client: Client, terms: list[dict[str, str]]) -> None:
    body = earlier_query(a_rule(), GROUP, client)

    (age, *rest) = body["query"]["bool"]["filter"]
    assert age == {"range": {"@timestamp": {"lte": "2031-02-25T10:00:00.000Z"}}}
    assert rest == [{"term": {"resourceId": "cluster-SHOP"}}, *({"term": term} for term in terms)]
    assert body["query"]["bool"]["must_not"] == [{"term": {"activity": "AUTH FAILURE"}}]
    assert (body["size"], body["terminate_after"]) == (0, 1)


def test_addresses_are_put_together_by_network() -> None:
    buckets = [
        a_bucket(ip="10.1.2.3"),
        a_bucket(ip="10.1.2.200"),
        a_bucket(ip="2001:db8::1"),
        a_bucket(ip=None, host="[local]"),
    ]

    assert read_clients(a_rule(), an_answer(*buckets), GROUP) == {
        SERVICE,
        Client("svc", "", "2001:db8::/64"),
        Client("svc", "", "[local]"),
    }


@pytest.mark.parametrize(
    "answer",
    [
        {"hits": {"total": {"value": 0}, "hits": []}},  # no index
        an_answer(),
        an_answer(a_bucket(), a_bucket(user=None)),
        an_answer(a_bucket(), a_bucket(ip=None, host="")),
        an_answer(a_bucket(), others=1),
        an_answer(*(a_bucket(user=f"svc{number}") for number in range(MAX_CLIENTS + 1))),
        an_answer(*(a_bucket(ip=f"10.1.2.{number}") for number in range(201))),
    ],
)
def test_where_anything_is_unclear_a_group_fires(answer: dict[str, Any]) -> None:
    assert not read_clients(a_rule(when="actor:backup"), answer, GROUP)


def test_statements_do_not_matter_where_all_events_are_of_a_rule() -> None:
    rule = a_rule(same_statements=True, any_statement_of="actor:restore")
    sent = {"key": {**a_bucket()["key"], "statementHash": "5"}, "doc_count": 1}
    answer = an_answer(sent)

    answer["aggregations"] |= {"senders": {"buckets": [a_bucket()]}, "compared": {"doc_count": 0}}
    assert read_clients(rule, answer, GROUP) == {SERVICE}
    answer["aggregations"]["compared"]["doc_count"] = 1
    assert read_clients(rule, answer, GROUP) == {replace(SERVICE, statement="5")}
    aggregations = clients_query(rule, GROUP)["aggs"]
    assert aggregations["compared"]["filter"]["bool"]["must_not"][0]["query_string"]["query"] == "actor:restore"
    assert "senders" not in clients_query(a_rule(same_statements=True), GROUP)["aggs"]


def test_many_restored_tables_are_of_one_client() -> None:
    rule = a_rule(same_statements=True, any_statement_of="actor:restore")
    sent = [{"key": {**a_bucket()["key"], "statementHash": str(number)}, "doc_count": 1} for number in range(401)]
    answer = an_answer(*sent)
    answer["aggregations"] |= {"senders": {"buckets": [a_bucket()]}, "compared": {"doc_count": 0}}

    assert read_clients(rule, answer, GROUP) == {SERVICE}
    answer["aggregations"]["compared"]["doc_count"] = 1
    assert not read_clients(rule, answer, GROUP)


def test_many_clients_are_known_up_to_a_number() -> None:
    buckets = [a_bucket(user=f"svc{number}") for number in range(MAX_CLIENTS)]

    assert len(read_clients(a_rule(), an_answer(*buckets), GROUP)) == MAX_CLIENTS


def test_the_pace_is_that_of_each_client_at_its_host() -> None:
    # Two services of one network, each every ten seconds, three seconds apart.
    hits = [
        a_hit(at, user, ip)
        for user, ip, begin in (("a", "10.1.2.3", 0), ("b", "10.1.2.4", 3))
        for at in every(10, 9, begin)
    ]
    buckets = [a_bucket("a"), a_bucket("b", ip="10.1.2.4")]
    answer = an_answer(*buckets, hits=hits)

    assert len(read_clients(a_rule(steady=True), answer, GROUP)) == 2
    uneven = an_answer(*buckets, hits=[*hits, *(a_hit(200 + at) for at in range(9))])
    assert not read_clients(a_rule(steady=True), uneven, GROUP)
    answer["hits"]["total"]["value"] += 1  # more than were looked at
    assert not read_clients(a_rule(steady=True), answer, GROUP)


UNEVEN = (0, 3, 9, 40, 44, 61, 90)


def test_an_account_that_fails_on_several_hosts_needs_no_pace() -> None:
    rule = a_rule(steady=True, several_hosts=True)
    of_all = an_answer(
        a_bucket(), a_bucket(ip="10.1.2.4", host="i"), hits=[a_hit(at, ip=ip) for at in UNEVEN for ip in HOSTS]
    )

    assert {"term": {"remoteHost": "10.1.2.3"}} not in clients_query(rule, GROUP)["query"]["bool"]["filter"]
    assert read_clients(rule, of_all, GROUP) == {
        Client("svc", "", "10.1.2.3/32"),
        Client("svc", "", "10.1.2.4/32"),
    }
    assert not read_clients(rule, an_answer(a_bucket(), hits=[a_hit(at) for at in UNEVEN]), GROUP)


def test_a_steady_host_is_left_out_whatever_the_others_do() -> None:
    rule = a_rule(steady=True, several_hosts=True)
    hits = [*(a_hit(at) for at in every(10, 12)), *(a_hit(at, ip="10.1.2.4") for at in UNEVEN)]

    answer = an_answer(a_bucket(), a_bucket(ip="10.1.2.4", host="i"), hits=hits)

    assert read_clients(rule, answer, GROUP) == {SERVICE}


@pytest.mark.parametrize(
    "attempts",
    [
        pytest.param([every(10, 30, jitter=1)], id="a pool with a stale password"),
        pytest.param([[at + part for at in every(30, 12) for part in (0, 0.02, 0.3)]], id="a pool of three"),
        pytest.param([[0, 1.5, 4, 9, 19, *every(10, 20, 29)]], id="waiting longer until it waits evenly"),
        pytest.param([[0, 2, 6, 14, 30, 62, 120, 250, 500, 1000, 1490]], id="waiting twice as long each time"),
        pytest.param([every(60, 12)[:4] + every(60, 12)[5:]], id="one attempt is missing"),
        pytest.param([[0, 16, 24, 33, 41, 50, 66, 74, 86, 102]], id="every third attempt is missing"),
        pytest.param([[25.0 * n, 25.0 * n + 8] for n in range(6)], id="six services, two attempts each"),
        pytest.param([every(8, 3), every(30, 3), every(60, 3, 5)], id="services at intervals of their own"),
        pytest.param([every(10, 9), every(10, 9, 3), every(10, 9, 5), [4.0]], id="one has just begun"),
    ],
)
def test_a_service_that_waits_evenly_is_steady(attempts: list[list[float]]) -> None:
    assert is_steady(attempts)


@pytest.mark.parametrize(
    "attempts",
    [
        pytest.param([], id="nothing"),
        pytest.param([[float(number) * 20] for number in range(8)], id="a spray, one attempt for each account"),
        pytest.param([[0.0, 8.0]], id="two attempts"),
        pytest.param([every(20, 8)], id="a patient guesser"),
        pytest.param([every(0.1, 200)], id="a guesser at full speed"),
        pytest.param([every(2, 60, jitter=1)], id="a guesser that hardly waits"),
        pytest.param([[at + part / 50 for at in every(30, 12) for part in range(16)]], id="sixteen guesses at once"),
        pytest.param([[0, 3, 9, 40, 44, 61, 90]], id="a person"),
        pytest.param([[0, 3, 9, 40, 44, 61, 90, 95, 130, 190]], id="a person who takes longer in the end"),
        pytest.param([[0.0, 8.0], [20.0, 61.0], [70.0, 72.0], [90.0, 140.0]], id="two attempts each, at any pace"),
        pytest.param([every(10, 9), [float(at) for at in range(5)]], id="one steady, one bursting"),
        pytest.param([every(10, 9), [1.0], [2.0], [3.0]], id="a spray behind a steady service"),
    ],
)
def test_guessers_and_people_are_not_steady(attempts: list[list[float]]) -> None:
    assert not is_steady(attempts)


@pytest.mark.parametrize("seed", range(20))
def test_attempts_at_random_times_are_not_steady(seed: int) -> None:
    random = Random(seed)
    at, attempts = 0.0, []
    for _ in range(30):
        at += random.expovariate(1 / 10)
        attempts.append(at)

    assert not is_steady([attempts])


# Statements of the same shape.


def a_bucket_of(statement: str | None, user: str = "svc") -> dict[str, Any]:
    bucket = a_bucket(user)
    bucket["key"]["statementHash"] = statement
    return bucket


def test_statements_are_asked_for_only_where_they_have_to_be_the_same() -> None:
    def fields(rule: Detection) -> list[str]:
        sources = clients_query(rule, GROUP)["aggs"]["clients"]["composite"]["sources"]
        return [name for source in sources for name in source]

    assert "statementHash" in fields(a_rule(same_statements=True))
    assert "statementHash" not in fields(a_rule())


def test_each_client_has_to_be_known_with_each_of_its_statements() -> None:
    rule = a_rule(same_statements=True)

    clients = read_clients(rule, an_answer(a_bucket_of("a1"), a_bucket_of("b2")), GROUP)

    assert clients == {replace(SERVICE, statement="a1"), replace(SERVICE, statement="b2")}
    assert {"term": {"statementHash": "a1"}} in earlier_query(rule, GROUP, replace(SERVICE, statement="a1"))["query"][
        "bool"
    ]["filter"]


def test_an_event_without_a_statement_is_not_known_by_its_statement() -> None:
    rule = a_rule(same_statements=True)

    assert read_clients(rule, an_answer(a_bucket_of("a1"), a_bucket_of(None)), GROUP) == frozenset()


def test_many_statements_of_few_clients_can_be_known() -> None:
    rule = a_rule(same_statements=True)
    many = [a_bucket_of(f"s{number}") for number in range(MAX_CLIENTS * 5)]

    assert len(read_clients(rule, an_answer(*many), GROUP)) == MAX_CLIENTS * 5
    assert (
        read_clients(rule, an_answer(*(a_bucket_of("a1", f"u{number}") for number in range(21))), GROUP) == frozenset()
    )


# Explanations.


def an_explained(below: Level = Level.HIGH) -> Detection:
    return a_detection(explanation=Explanation("commandText:alembic_version", 600, below))


def test_an_explanation_is_asked_of_the_group_around_its_events() -> None:
    search = explanation_query(an_explained(), GROUP, "", "das-events")

    assert search.index == "das-events-2031.03.04*,das-events-undated*"
    assert search.body["query"]["bool"]["filter"] == [
        {
            "query_string": {
                "query": "commandText:alembic_version",
                "analyze_wildcard": False,
                "max_determinized_states": 10_000,
            }
        },
        {"range": {"@timestamp": {"gte": "2031-03-04T09:50:00.000Z", "lte": "2031-03-04T10:15:00.000Z"}}},
        {"term": {"resourceId": "cluster-SHOP"}},
        {"term": {"dbUserName": "svc"}},
        {"term": {"remoteHost": "10.1.2.3"}},
    ]


def test_what_is_severe_enough_is_not_explained() -> None:
    assert not is_explicable(an_explained(), GROUP)
    assert is_explicable(an_explained(), replace(GROUP, level=Level.MEDIUM))
    assert is_explicable(an_explained(Level.CRITICAL), GROUP)
    assert not is_explicable(a_detection(), replace(GROUP, level=Level.LOW))
