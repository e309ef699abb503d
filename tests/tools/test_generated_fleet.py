"""A look at a generated fleet: everything is seen, in a bounded number of calls."""

from __future__ import annotations

import pytest

from daswatch.aws import clients
from daswatch.deadline import Deadline
from daswatch.fleet.audit import audited
from daswatch.fleet.posture import Verdict
from tools.benchmarks.fleet import ACCOUNTS, PLACES, REGIONS, GeneratedFleet

NOW = "2031-03-04T10:00:00.000Z"


def a_fleet() -> GeneratedFleet:
    """In some regions of all accounts."""
    return GeneratedFleet(databases=400, seed=7, places=[one for one in PLACES if one.region in REGIONS[:4]])


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> GeneratedFleet:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "generated")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "generated")
    clients.session.cache_clear()
    return a_fleet()


def test_look_needs_a_bounded_number_of_calls(generated: GeneratedFleet) -> None:
    bound = generated.bound

    looks = generated.look(Deadline.after(300))

    assert [one.failure for one in looks if one.failure] == []
    assert {one.place for one in looks} == set(generated.places)
    assert generated.calls["AssumeRole"] == len(ACCOUNTS) - 1
    assert generated.calls["DescribeDBClusters"] == len(generated.places)
    assert sum(generated.calls.values()) <= bound


def test_generated_fleet_has_all_kinds(generated: GeneratedFleet) -> None:
    audit = audited({}, generated.look(Deadline.after(300)), {}, NOW)

    verdicts = {one["verdict"] for one in audit.present}
    assert {Verdict.OFF, Verdict.NOT_ELIGIBLE, Verdict.NOT_CONSUMED, Verdict.STARTING} <= verdicts
    engines = {one["engineName"] for one in audit.present}
    assert {"aurora-postgresql", "aurora-mysql", "oracle-ee", "sqlserver-ee", "postgres", "mariadb"} <= engines
    assert not engines & {"docdb", "neptune"}
    classes = {one["instanceClass"] for document in audit.present for one in document.get("instances", ())}
    assert "db.serverless" in classes
    assert any(one["databaseIdentifier"].endswith("-old1") for one in audit.present)


def test_same_seed_makes_the_same_fleet(generated: GeneratedFleet) -> None:
    again = a_fleet()

    def documents(fleet: GeneratedFleet) -> object:
        return audited({}, fleet.look(Deadline.after(300)), {}, NOW).documents

    assert documents(generated) == documents(again)
