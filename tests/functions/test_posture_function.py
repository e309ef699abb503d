"""The posture function as EventBridge invokes it: on a schedule, and for an event of RDS."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from daswatch.errors import RequestError
from demo.stream import InvocationContext
from posture_lambda.handler import handler
from tests.harness.fleet import REGION, Fleet

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:daswatch-posture"
SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2031-03-04T10:00:00Z",
    "region": "eu-west-1",
    "resources": ["arn:aws:events:eu-west-1:123456789012:rule/daswatch-posture"],
    "detail": {},
}


def rds_event(account: str, region: str = REGION) -> dict[str, Any]:
    """The shape that the user guide of Aurora documents."""
    arn = f"arn:aws:rds:{region}:{account}:cluster:orders"
    return {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": "RDS DB Cluster Event",
        "source": "aws.rds",
        "account": account,
        "time": "2031-03-04T10:00:00Z",
        "region": region,
        "resources": [arn],
        "detail": {
            "EventCategories": ["configuration change"],
            "SourceType": "CLUSTER",
            "SourceArn": arn,
            "Date": "2031-03-04T10:00:00.000Z",
            "Message": "Renamed cluster from orders-green to orders",
            "SourceIdentifier": "orders",
            "EventID": "RDS-EVENT-0016",
        },
    }


def invoke(event: dict[str, Any]) -> dict[str, Any]:
    return handler(event, InvocationContext(invoked_function_arn=FUNCTION))


def log(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The last line that the function has logged."""
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return dict(next(line for line in reversed(lines) if "message" in line))


def test_schedule_audits_all_places(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.configure(FLEET_REGIONS=f"{REGION},eu-central-1")
    here, there = fleet.rds.cluster(), fleet.rds.at(fleet.account, "eu-central-1").cluster()

    answer = invoke(SCHEDULED)

    assert answer == {"databases": 2, "coveredPercent": 0.0}
    assert {f"cluster:{one['databaseIdentifier']}" for one in fleet.documents.values()} == {here, there}
    assert fleet.count(f"{fleet.indices.posture}-*") == 2
    line = log(capsys)
    assert (line["level"], line["message"], line["databases"]) == ("INFO", "fleet audited", 2)
    assert line["verdicts"] == {"off": 2}


def test_event_audits_its_region_alone(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.configure(FLEET_REGIONS=f"{REGION},eu-central-1")
    here = fleet.rds.cluster()
    fleet.rds.at(fleet.account, "eu-central-1").cluster()

    answer = invoke(rds_event(fleet.account))

    assert answer["databases"] == 1
    assert set(fleet.documents) == {fleet.rds.resource_id(here)}
    assert fleet.count(f"{fleet.indices.posture}-*") == 0
    assert log(capsys)["message"] == "one region audited"


def test_event_of_region_out_of_scope_changes_nothing(fleet: Fleet) -> None:
    """Otherwise its databases would be known, and never looked at again."""
    fleet.rds.at(fleet.account, "eu-central-1").cluster()

    assert invoke(rds_event(fleet.account, "eu-central-1"))["databases"] == 0
    assert fleet.documents == {}


def test_failing_account_is_logged(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.configure(FLEET_ROLE="")

    invoke(SCHEDULED)

    line = log(capsys)
    assert line["level"] == "WARNING"
    assert "FLEET_ROLE names no role" in line["not_looked_at"][f"{fleet.account}/"]


def test_event_without_account_is_refused(fleet: Fleet) -> None:
    event = rds_event(fleet.account)
    del event["account"]

    with pytest.raises(RequestError, match="names no account"):
        invoke(event)
