"""Custom resources: requests read without trust, an answer within the limit whatever there is to say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daswatch.activity_streams.custom_resources import (
    MAX_ANSWER_BYTES,
    NOTHING_MADE,
    Answer,
    OnDelete,
    answer_body,
    failed,
    read_request,
    read_stream_properties,
    resource_id_of,
    stream_id,
)
from daswatch.activity_streams.lifecycle import DatabaseName, Kind, Wanted, WantedMode
from daswatch.errors import RequestError
from tests.builders.custom_resources import events, texts
from tests.fakes.cloudformation_bucket import STACK, a_request

DONE = Answer(succeeded=True, physical_id="das-stream-cluster-A", data={"Mode": "async"})
LEAST = {"Database": "cluster:orders", "KmsKeyId": "alias/das"}


def written(answer: Answer, event: object = None) -> dict[str, Any]:
    body = answer_body(event or a_request("https://example.com"), answer)
    assert len(body) <= MAX_ANSWER_BYTES
    return dict(json.loads(body))


def test_an_answer_gives_back_what_names_the_request() -> None:
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
    answer = written(Answer(succeeded=False, physical_id="das-content", reason=letter * 9000, data={"Mode": "async"}))

    assert answer["Reason"].endswith("…")
    assert len(answer["Reason"]) > 500
    assert answer["PhysicalResourceId"] == "das-content"
    assert answer["StackId"] == STACK
    assert answer["Data"] == {"Mode": "async"}


def test_a_reason_that_fits_is_not_cut() -> None:
    assert written(Answer(succeeded=False, physical_id="x", reason="ü" * 500))["Reason"] == "ü" * 500


def test_an_answer_that_does_not_fit_without_its_reason_fails_and_says_so() -> None:
    answer = written(Answer(succeeded=True, physical_id="x", data={"Note": "y" * 5000}))

    assert (answer["Status"], answer["Reason"], answer["Data"]) == ("FAILED", "the answer is too large", {})
    assert answer["StackId"] == STACK


@pytest.mark.parametrize("event", [None, [], "text", {}, {"RequestType": 3}, {"RequestType": ["Create"]}])
def test_what_is_no_request_is_refused(event: object) -> None:
    with pytest.raises(RequestError, match="RequestType"):
        read_request(event)


def test_a_failed_creation_gets_an_id_of_which_nothing_can_be_deleted() -> None:
    assert failed(a_request("u"), "why").physical_id == NOTHING_MADE
    assert (
        failed(a_request("u", "Update", PhysicalResourceId="das-stream-db-A"), "why").physical_id == "das-stream-db-A"
    )
    assert not read_request(a_request("u", "Delete", PhysicalResourceId=NOTHING_MADE)).was_made


def test_two_properties_are_enough() -> None:
    properties = read_stream_properties(LEAST)

    assert properties.database == DatabaseName(Kind.CLUSTER, "orders")
    assert properties.wanted == Wanted("alias/das", WantedMode.ASYNC, native_fields=False)
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

    assert properties.database == DatabaseName(Kind.INSTANCE, "ledger", "eu-west-1", "123456789012")
    assert properties.wanted == Wanted("1234", WantedMode.SYNC, native_fields=True)
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
def test_a_physical_id_tells_the_resource_id(resource_id: str) -> None:
    assert resource_id_of(stream_id(resource_id)) == resource_id
    assert resource_id_of("das-content") == ""
    assert resource_id_of(NOTHING_MADE) == ""


@settings(max_examples=150)
@given(
    event=events, reason=texts, physical_id=texts, data=st.dictionaries(texts, texts, max_size=3), fine=st.booleans()
)
def test_whatever_is_asked_and_said_the_answer_is_json_within_the_limit(
    event: object, reason: str, physical_id: str, data: dict[str, str], fine: bool
) -> None:
    body = answer_body(event, Answer(succeeded=fine, physical_id=physical_id, reason=reason, data=data))

    assert len(body) <= MAX_ANSWER_BYTES
    assert json.loads(body)["Status"] in ("SUCCESS", "FAILED")
