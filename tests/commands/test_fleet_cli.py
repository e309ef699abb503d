"""`daswatch inventory` and `daswatch posture` on moto's RDS and a real OpenSearch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daswatch.cli import app
from daswatch.deadline import Deadline
from daswatch.fleet.audit import audited
from daswatch.fleet.inventory import Look
from daswatch.times import iso_milliseconds
from tests.builders.fleet import PLACE, cluster
from tests.harness.fleet import REGION, Fleet


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})


def run_json(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = run(*arguments, "--output", "json")
    assert result.exit_code == code, result.output
    return dict(json.loads(result.stdout))


def now() -> str:
    return iso_milliseconds(datetime.now(UTC))


def test_inventory_is_listed_and_kept(fleet: Fleet) -> None:
    name = fleet.rds.cluster()
    fleet.rds.run_stream(name, mode="sync")

    answer = run_json("inventory")
    table = run("inventory")

    (document,) = answer["databases"]
    assert f"cluster:{document['databaseIdentifier']}" == name
    assert (document["awsAccountId"], document["awsRegion"]) == (fleet.account, REGION)
    assert (document["streamStatus"], document["streamMode"]) == ("started", "sync")
    kept = fleet.documents[fleet.rds.resource_id(name)]
    assert kept["firstSeen"] == document["firstSeen"]
    assert kept["lastSeen"] > document["lastSeen"]
    assert table.exit_code == 0
    for text in (name, fleet.account, "aurora-postgresql 15.2", "started"):
        assert text in table.stdout


def test_deleted_database_is_gone_since_the_first_run_without_it(fleet: Fleet) -> None:
    name, kept = fleet.rds.cluster(), fleet.rds.instance()
    resource_id = fleet.rds.resource_id(name)
    run_json("inventory")
    fleet.rds.forget(name)

    first, second = run_json("inventory"), run_json("inventory")

    assert [one["resourceId"] for one in first["databases"]] == [fleet.rds.resource_id(kept)]
    assert [one["goneSince"] for one in first["gone"]] == [first["at"]]
    assert fleet.documents[resource_id]["goneSince"] == first["at"] < second["at"]


def test_dry_run_writes_nothing(fleet: Fleet) -> None:
    fleet.rds.cluster()

    assert len(run_json("inventory", "--dry-run")["databases"]) == 1
    assert len(run_json("posture", "--dry-run", code=1)["databases"]) == 1
    assert (fleet.documents, fleet.count(f"{fleet.indices.posture}-*")) == ({}, 0)


def test_without_endpoint_aws_alone_is_listed(fleet: Fleet) -> None:
    name = fleet.rds.cluster()
    fleet.rds.run_stream(name, key=fleet.rds.new_key())
    fleet.configure(OPENSEARCH_ENDPOINT="")

    (one,) = run_json("posture", code=1)["databases"]

    assert (one["verdict"], "without OPENSEARCH_ENDPOINT" in one["verdictReason"]) == ("unknown", True)


def test_posture_has_verdicts_and_history(fleet: Fleet) -> None:
    on, off, impossible = fleet.rds.cluster(), fleet.rds.cluster(), fleet.rds.instance("postgres", "15.2")
    fleet.rds.run_stream(on, key=fleet.rds.new_key())
    fleet.hear(fleet.rds.resource_id(on), now())

    answer = run_json("posture", code=1)
    table = run("posture")

    verdicts = {f"{one['databaseKind']}:{one['databaseIdentifier']}": one["verdict"] for one in answer["databases"]}
    assert verdicts == {on: "covered", off: "off", impossible: "not-eligible"}
    assert answer["coverage"] == {
        "percent": 50.0,
        "covered": 1,
        "expected": 2,
        "verdicts": {"covered": 1, "off": 1, "not-eligible": 1},
    }
    assert fleet.count(f"{fleet.indices.posture}-*") == 6  # three of each run
    assert table.exit_code == 1
    assert "50 % covered: 1 of 2 databases that can be audited" in table.stdout


def test_posture_is_met_where_all_are_covered(fleet: Fleet) -> None:
    name = fleet.rds.cluster()
    fleet.rds.run_stream(name, key=fleet.rds.new_key())
    fleet.hear(fleet.rds.resource_id(name), now())

    assert run_json("posture")["coverage"]["percent"] == 100.0


def test_account_that_cannot_be_looked_at_keeps_its_documents(fleet: Fleet) -> None:
    name = fleet.rds.cluster()
    resource_id = fleet.rds.resource_id(name)
    run_json("inventory")
    before = fleet.documents[resource_id]
    fleet.configure(FLEET_ROLE="")

    answer = run_json("inventory", code=1)
    table = run("inventory")

    (unseen,) = answer["notLookedAt"]
    assert (unseen["awsAccountId"], unseen["awsRegion"]) == (fleet.account, "")
    assert fleet.documents[resource_id] == before
    assert f"not looked at: {fleet.account}, all regions" in table.stderr


def test_options_narrow_the_scope(fleet: Fleet) -> None:
    here = fleet.rds.cluster()
    there = fleet.rds.at(fleet.account, "eu-central-1").cluster()

    def found(*arguments: str) -> set[str]:
        answer = run_json("inventory", "--dry-run", *arguments)
        return {f"cluster:{one['databaseIdentifier']}" for one in answer["databases"]}

    assert found("--region", "eu-central-1") == {there}
    assert found("--region", "eu-central-1", "--region", REGION, "--account", fleet.account) == {here, there}


def test_name_that_moved_is_reported(fleet: Fleet) -> None:
    old, new = fleet.rds.cluster(), fleet.rds.cluster()
    run_json("inventory")
    moved = fleet.rds.rename(old)
    fleet.rds.rename(new, to=old)

    result = run("inventory")

    ids = (fleet.rds.resource_id(moved), fleet.rds.resource_id(old))
    assert f"name moved: {old.partition(':')[2]} was {ids[0]} and is {ids[1]} now" in result.stderr
    assert fleet.documents[ids[0]]["replacedBy"] == ids[1]
    assert fleet.documents[ids[0]]["formerIdentifiers"] == [old.partition(":")[2]]
    assert fleet.documents[ids[1]]["replaces"] == ids[0]


def test_later_of_two_runs_stays(fleet: Fleet) -> None:
    database = cluster()
    earlier, later = "2031-03-04T10:00:00.000Z", "2031-03-04T10:00:01.000Z"

    for at in (later, earlier):
        audit = audited({}, [Look(PLACE, (database,))], {}, at)
        fleet.index.write(audit, Deadline.after(60))

    (kept,) = fleet.documents.values()
    assert kept["lastSeen"] == later


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"FLEET_ACCOUNTS": "12"}, "FLEET_ACCOUNTS is unknown"),
        ({"FLEET_REGIONS": "Ireland"}, "FLEET_REGIONS is unknown"),
        ({"FLEET_ACCOUNTS": "organization", "FLEET_ROLE": ""}, "FLEET_ROLE is missing"),
        ({"AWS_REGION": ""}, "AWS_REGION is missing"),
    ],
)
def test_wrong_settings_are_named(fleet: Fleet, settings: dict[str, str], problem: str) -> None:
    fleet.configure(**settings)

    result = run("inventory")

    assert result.exit_code == 2
    assert problem in result.stderr
