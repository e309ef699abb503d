"""Which entries of the table of actors are proposed, from what clients did."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml

from daswatch.detections.actors import read_actors
from daswatch.queries.actor_usage import (
    Usage,
    add_day,
    as_yaml,
    next_clients,
    suggested_kind,
    suggestions,
    usage_query,
)
from daswatch.queries.known_clients import Client
from daswatch.queries.saved_query import Window

DAY = Window("@timestamp", "2031-03-04T00:00:00.000Z", "2031-03-04T23:59:59.999999999Z")


def a_usage(user: str = "svc", application: str = "", signals: Any = (), **activities: int) -> Usage:
    client = Client(user, application, "10.1.2.0/24")
    return Usage(client, sum(activities.values()), 1, Counter(activities), Counter(dict(signals)))


def a_bucket(user: str, ip: str, **activities: int) -> dict[str, Any]:
    key = {"dbUserName": user, "clientApplication": None, "remoteIp": ip, "remoteHost": ip}
    counted = [{"key": name, "doc_count": count} for name, count in activities.items()]
    return {
        "key": key,
        "doc_count": sum(activities.values()),
        "activities": {"buckets": counted},
        "signals": {"buckets": [{"key": "object-drop", "doc_count": 1}]},
    }


def an_answer(*buckets: dict[str, Any]) -> dict[str, Any]:
    return {"aggregations": {"clients": {"buckets": list(buckets), "after_key": {"dbUserName": "z"}}}}


@pytest.mark.parametrize(
    ("usage", "kind"),
    [
        (a_usage(DQL=50, DML=9), None),
        (a_usage("monitor", DQL=50), None),  # detections look at none of its statements
        (a_usage(DDL=5, DML=50), "migration"),
        (a_usage("shop_release", DDL=5), "migration"),
        (a_usage(signals={"partition-drop": 3}, DDL=5), "maintenance"),
        (a_usage(signals={"partition-drop": 1, "object-drop": 9}, DDL=10), "migration"),
        (a_usage(signals={"dump-query": 3}, DQL=50), "backup"),
        (a_usage(signals={"export": 1}, DQL=50), "backup"),
        (a_usage("etl_orders", signals={"export": 1}, DQL=50), "etl"),
        (a_usage(DCL=2), "rotation"),
        (a_usage(signals={"account-change": 2}, EXEC=2), "rotation"),
        (a_usage(signals={"catalog-read": 30}, DQL=50), "monitoring"),
        (a_usage(signals={"catalog-read": 3}, DQL=50), None),
        (a_usage("svc", "nightly-batch", DDL=1), "scheduler"),
        (a_usage("ci", DDL=1), "test"),
        (a_usage("cinema", DDL=1), "migration"),
    ],
)
def test_a_kind_follows_from_statements_and_names(usage: Usage, kind: str | None) -> None:
    assert suggested_kind(usage) == kind


def test_days_are_added_up_by_client_and_network() -> None:
    usages: dict[Client, Usage] = {}

    add_day(usages, [an_answer(a_bucket("a", "10.1.2.3", DDL=2), a_bucket("a", "10.1.2.4", DML=1))])
    add_day(usages, [an_answer(a_bucket("a", "10.1.2.9", DDL=3)), an_answer(a_bucket("b", "10.1.2.3", DDL=1)), {}])

    by_user = {client.user: usage for client, usage in usages.items()}
    assert len(usages) == 2
    assert (by_user["a"].events, by_user["a"].days) == (6, 2)
    assert by_user["a"].activities == {"DDL": 5, "DML": 1}
    assert by_user["a"].signals == {"object-drop": 3}
    assert by_user["b"].days == 1


def test_pages_go_on_until_one_is_not_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daswatch.queries.actor_usage._CLIENTS_PER_PAGE", 2)
    full = an_answer(a_bucket("a", "10.1.2.3"), a_bucket("b", "10.1.2.3"))

    after = next_clients(full)

    assert after == {"dbUserName": "z"}
    assert usage_query(DAY, after)["aggs"]["clients"]["composite"]["after"] == after
    assert next_clients(an_answer(a_bucket("a", "10.1.2.3"))) is None
    assert next_clients({}) is None


def test_proposals_are_a_section_of_a_tuning_file() -> None:
    quoted = a_usage('shop: "deploy"', "it's #1", DDL=9)
    found = suggestions([a_usage(DDL=5), quoted, a_usage(application="other", DDL=4), a_usage("reader", DQL=9)], 14)

    entries = read_actors(yaml.safe_load(as_yaml(found))["actors"])

    assert list(entries) == ["shop-deploy", "svc", "svc-2"]
    assert list(entries.values()) == [one.entry for one in found]
    first = found[0].entry
    assert (first.users, first.applications, first.networks) == (('shop: "deploy"',), ("it's #1",), ("10.1.2.0/24",))
    assert first.reason == "Active on 1 of 14 days (DDL 9); not confirmed by an owner yet."


def test_without_proposals_the_section_is_empty() -> None:
    assert yaml.safe_load(as_yaml([])) == {"actors": {}}
