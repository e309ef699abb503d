"""Custom resources: requests read without trust, an answer within the limit whatever there is to say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daswatch.activity_streams.custom_resources import (
    MAX_RESPONSE_BYTES,
    NOTHING_MADE,
    OnDelete,
    Response,
    read_request,
    read_stream_properties,
    resource_id_of,
    response_body,
    stream_id,
)
from daswatch.activity_streams.lifecycle import DatabaseKind, DatabaseName, WantedMode, WantedStream
from daswatch.errors import RequestError
from tests.builders.custom_resources import events, texts
from tests.fakes.cloudformation_bucket import STACK, a_request

DONE = Response(succeeded=True, physical_id="das-stream-cluster-A", data={"Mode": "async"})
LEAST = {"Database": "cluster:orders", "KmsKeyId": "alias/das"}


def written(answer: Response, event: object = None) -> dict[str, Any]:
    body = response_body(read_request(event or a_request("https://example.com")), answer)
    assert len(body) <= MAX_RESPONSE_BYTES
    return dict(json.loads(body))


def test_response_echoes_the_ids_of_the_request() -> None:
    assert written(DONE) == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "das-stream-cluster-A",
        "StackId": STACK,
        "RequestId": "5b6f2f7e-0000-4000-8000-000000000002",
        "LogicalResourceId": "OrdersStream",
        "Data": {"Mode": "async"},
    }


@pytest.mark.parametrize("letter", ["x", "ü", "€", "😀", '"', "\n", "\x00", "\ud800"])
def test_a_long_reason_is_cut_and_everything_else_stays(letter: str) -> None:
    answer = written(Response(succeeded=False, physical_id="das-content", reason=letter * 9000, data={"Mode": "async"}))

    assert answer["Reason"].endswith("…")
    assert len(answer["Reason"]) > 500
    assert answer["PhysicalResourceId"] == "das-content"
    assert answer["StackId"] == STACK
    assert answer["Data"] == {"Mode": "async"}


def test_a_reason_that_fits_is_not_cut() -> None:
    assert written(Response(succeeded=False, physical_id="x", reason="ü" * 500))["Reason"] == "ü" * 500


def test_response_too_large_without_its_reason_fails() -> None:
    answer = written(Response(succeeded=True, physical_id="x", data={"Note": "y" * 5000}))

    assert (answer["Status"], answer["Reason"], answer["Data"]) == ("FAILED", "the response is too large", {})
    assert answer["StackId"] == STACK


@pytest.mark.parametrize("event", [None, [], "text", {}, {"RequestType": 3}, {"RequestType": ["Create"]}])
def test_any_other_event_has_no_request_type(event: object) -> None:
    assert read_request(event).type is None


def test_failed_creation_gets_an_id_of_nothing() -> None:
    update = read_request(a_request("u", "Update", PhysicalResourceId="das-stream-db-A"))
    assert read_request(a_request("u")).failed("why").physical_id == NOTHING_MADE
    assert update.failed("why").physical_id == "das-stream-db-A"
    assert not read_request(a_request("u", "Delete", PhysicalResourceId=NOTHING_MADE)).was_made


def test_two_properties_are_enough() -> None:
    properties = read_stream_properties(LEAST)

    assert properties.database == DatabaseName(DatabaseKind.CLUSTER, "orders")
    assert properties.wanted == WantedStream("alias/das", WantedMode.ASYNC, native_fields=False)
    assert properties.on_delete is OnDelete.RETAIN


def test_every_property_is_read() -> None:
    properties = read_stream_properties(
        {
            "Database": "arn:aws:rds:eu-west-1:123456789012:db:Ledger",
            "KmsKeyId": "1234",
            "Mode": "Sync",
            "EngineNativeAuditFieldsIncluded": "true",
            "OnDelete": "stop",
        }
    )

    assert properties.database == DatabaseName(DatabaseKind.INSTANCE, "ledger", "eu-west-1", "123456789012")
    assert properties.wanted == WantedStream("1234", WantedMode.SYNC, native_fields=True)
    assert properties.on_delete is OnDelete.STOP


def test_every_wrong_property_is_named_at_once() -> None:
    with pytest.raises(RequestError) as caught:
        read_stream_properties(
            {"Database": "orders", "Mode": "both", "OnDelete": ["x"], "EngineNativeAuditFieldsIncluded": "maybe"}
        )

    for name in (
        "Database",
        "KmsKeyId",
        "Mode",
        "EngineNativeAuditFieldsIncluded",
        "cluster:orders",
        "sync, async, auto",
    ):
        assert name in str(caught.value)


@pytest.mark.parametrize("resource_id", ["cluster-ABC", "db-ABC"])
def test_physical_id_has_the_resource_id(resource_id: str) -> None:
    assert resource_id_of(stream_id(resource_id)) == resource_id
    assert resource_id_of("das-content") == ""
    assert resource_id_of(NOTHING_MADE) == ""


@settings(max_examples=150)
@given(
    event=events, reason=texts, physical_id=texts, data=st.dictionaries(texts, texts, max_size=3), fine=st.booleans()
)
def test_response_is_json_within_the_limit(
    event: object, reason: str, physical_id: str, data: dict[str, str], fine: bool
) -> None:
    body = response_body(
        read_request(event), Response(succeeded=fine, physical_id=physical_id, reason=reason, data=data)
    )

    assert len(body) <= MAX_RESPONSE_BYTES
    assert json.loads(body)["Status"] in ("SUCCESS", "FAILED")
