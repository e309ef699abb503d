"""The setup function invoked directly, as Terraform does: the answer is its result, a refusal its error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from daswatch.activity_streams.custom_resources import ACTIVITY_STREAM, CONTENT
from daswatch.errors import RequestError
from demo.stream import InvocationContext
from setup_lambda import handler as handler_module
from tests.fakes.rds import Rds

pytestmark = pytest.mark.usefixtures("short_pauses")


def asked(rds: Rds, database: str, **properties: str) -> dict[str, Any]:
    """The input of terraform/databases.tf."""
    return {
        "ResourceType": ACTIVITY_STREAM,
        "PhysicalResourceId": f"das-stream-{rds.resource_id(database)}",
        "ResourceProperties": {"Database": database, "KmsKeyId": rds.key_arn, "OnDelete": "retain", **properties},
    }


def invoke(event: Mapping[str, Any], action: str = "", before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """As aws_lambda_invocation does, in the scope CRUD where there is an action."""
    lifecycle = {"tf": {"action": action, "prev_input": before}} if action else {}
    result = handler_module.handler({**event, **lifecycle}, InvocationContext())
    assert result is not None
    return result


def test_a_stream_is_started_and_its_attributes_are_the_result(rds: Rds) -> None:
    database = rds.instance("sqlserver-ee")

    result = invoke(asked(rds, database), "create")

    assert result["Status"] == "SUCCESS"
    assert result["PhysicalResourceId"] == f"das-stream-{rds.resource_id(database)}"
    assert result["Data"]["ResourceId"] == rds.resource_id(database)
    assert set(result["Data"]) >= {"KinesisStreamArn", "KinesisStreamName", "KmsKeyArn"}


def test_another_mode_of_a_running_stream_is_refused_with_the_reason(rds: Rds) -> None:
    database = rds.cluster("aurora-postgresql")
    before = asked(rds, database, Mode="async")
    invoke(before, "create")

    with pytest.raises(RequestError, match="sync"):
        invoke(asked(rds, database, Mode="sync"), "update", before)


@pytest.mark.parametrize(("on_delete", "calls"), [("retain", []), ("stop", ["StopActivityStream"])])
def test_deletion_stops_where_requested(rds: Rds, on_delete: str, calls: list[str]) -> None:
    event = asked(rds, rds.cluster(), OnDelete=on_delete)
    invoke(event, "create")
    rds.calls.clear()

    assert invoke(event, "delete", event)["Status"] == "SUCCESS"
    assert [call for call, _ in rds.calls] == calls


def test_without_a_lifecycle_the_request_type_is_in_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENSEARCH_ENDPOINT", raising=False)

    with pytest.raises(RequestError, match="OPENSEARCH_ENDPOINT"):
        invoke({"RequestType": "Create", "ResourceType": CONTENT, "ResourceProperties": {"Version": "1"}})
