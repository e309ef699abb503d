"""Streams that follow names: what is wanted is known from the move on, and forgotten when it is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from daswatch.activity_streams.lifecycle import Asked, WantedMode, WantedStream
from daswatch.fleet.database import Document, FleetDatabase
from daswatch.fleet.inventory import InventoryUpdate, Look, updated
from daswatch.fleet.moves import followed, follows, mapping_like
from tests.builders.fleet import PLACE, cluster, instance

FIRST, SECOND, THIRD, LATER = (f"2031-03-04T1{hour}:00:00.000Z" for hour in range(4))


def renamed(database: FleetDatabase, name: str) -> FleetDatabase:
    return replace(database, rds=replace(database.rds, name=replace(database.rds.name, identifier=name)))


def seen(known: dict[str, Document], *databases: FleetDatabase, now: str) -> InventoryUpdate:
    return updated(known, [Look(PLACE, databases)], now)


def switched_over(old: FleetDatabase, green: FleetDatabase) -> dict[str, Document]:
    known = dict(seen({}, old, green, now=FIRST).documents)
    name = old.rds.name.identifier
    return dict(seen(known, renamed(old, f"{name}-old1"), renamed(green, name), now=SECOND).documents)


def off(name: str) -> FleetDatabase:
    return cluster(name, ActivityStreamStatus="stopped", ActivityStreamMode="", ActivityStreamKmsKeyId="")


def test_new_database_follows_the_audited_one() -> None:
    old, green = cluster("orders", ActivityStreamMode="sync"), off("orders-green")

    documents = switched_over(old, green)

    (one,) = follows(documents, documents, SECOND)
    assert (one.id, one.resource_id, str(one.name)) == (green.id, green.rds.resource_id, "cluster:orders")
    assert one.wanted == WantedStream(old.rds.stream.kms_key_id, WantedMode.SYNC)
    assert one.former_stream == f"aws-rds-das-{old.rds.resource_id}"
    assert one.asked is Asked.NOT_YET


def test_native_fields_are_followed() -> None:
    old = instance("ledger", ActivityStreamEngineNativeAuditFieldsIncluded=True)

    documents = switched_over(old, instance("ledger-green", ActivityStreamStatus="stopped"))

    (one,) = follows(documents, documents, SECOND)
    assert one.wanted.native_fields is True


def test_database_without_stream_is_not_followed() -> None:
    documents = switched_over(off("orders"), off("orders-green"))

    assert follows(documents, documents, SECOND) == []


def test_stream_stopped_at_the_switchover_is_followed() -> None:
    """Who cleans the old one up stops its stream."""
    old, green = cluster("orders"), off("orders-green")
    known = dict(seen({}, old, green, now=FIRST).documents)
    stopped = renamed(replace(old, rds=replace(old.rds, stream=off("x").rds.stream)), "orders-old1")

    documents = dict(seen(known, stopped, renamed(green, "orders"), now=SECOND).documents)

    assert [one.id for one in follows(documents, documents, SECOND)] == [green.id]


def test_restored_database_follows_a_deleted_one() -> None:
    old, restored = cluster("orders"), off("orders")
    known = dict(seen({}, old, now=FIRST).documents)
    known = dict(seen(known, now=SECOND).documents)

    documents = dict(seen(known, restored, now=THIRD).documents)

    assert [one.id for one in follows(documents, documents, THIRD)] == [restored.id]


def test_wish_stays_until_it_is_done() -> None:
    old, green = cluster("orders"), off("orders-green")
    documents = switched_over(old, green)
    later = dict(seen(documents, renamed(old, "orders-old1"), renamed(green, "orders"), now=THIRD).documents)
    assert [one.id for one in follows(later, later, THIRD)] == [green.id]

    later[green.id] = followed(later[green.id], Asked.NOT_YET, THIRD, done=True)
    again = dict(seen(later, renamed(old, "orders-old1"), renamed(green, "orders"), now=LATER).documents)

    assert follows(again, again, LATER) == []


def test_second_switchover_hands_the_wish_on() -> None:
    old, second, third = cluster("orders"), off("orders-green"), off("orders-teal")
    documents = switched_over(old, second)
    documents[second.id] = followed(documents[second.id], Asked.AGREED, SECOND, done=False)
    ends = (renamed(old, "orders-old1"), renamed(second, "orders-old2"), renamed(third, "orders"))

    documents = dict(seen(documents, *ends, now=THIRD).documents)

    (one,) = follows(documents, documents, THIRD)
    assert (one.id, one.former_stream) == (third.id, f"aws-rds-das-{old.rds.resource_id}")
    assert one.asked is Asked.NOT_YET


def test_agreement_without_effect_ends() -> None:
    green = off("orders-green")
    documents = switched_over(cluster("orders"), green)
    documents[green.id] = followed(documents[green.id], Asked.AGREED, SECOND, done=False)

    def asked(now: str) -> Asked:
        (one,) = follows(documents, documents, now)
        return one.asked

    assert asked("2031-03-04T11:20:00.000Z") is Asked.AGREED
    assert asked("2031-03-04T11:31:00.000Z") is Asked.UNDER_WAY


def test_only_what_was_looked_at_is_followed() -> None:
    documents = switched_over(cluster("orders"), off("orders-green"))

    assert follows(documents, [], SECOND) == []


DESCRIBED: dict[str, Any] = {
    "UUID": "14e0db71-5d35-4eb5-b481-8945cf9d10c2",
    "StartingPosition": "LATEST",
    "BatchSize": 200,
    "MaximumBatchingWindowInSeconds": 5,
    "ParallelizationFactor": 2,
    "EventSourceArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-OLD",
    "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:daswatch-ingest",
    "State": "Enabled",
    "StateTransitionReason": "User action",
    "DestinationConfig": {"OnSuccess": {}, "OnFailure": {"Destination": "arn:aws:s3:::dead-letters"}},
    "MaximumRecordAgeInSeconds": 82800,
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": -1,
    "TumblingWindowInSeconds": 0,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}
NEW = "arn:aws:kinesis:eu-west-1:123456789012:stream/aws-rds-das-cluster-NEW"


def test_mapping_has_the_settings_of_the_former_one() -> None:
    asked = mapping_like(DESCRIBED, NEW)

    shape = get_session().get_service_model("lambda").operation_model("CreateEventSourceMapping").input_shape
    assert shape is not None
    assert ParamValidator().validate(asked, shape).generate_report() == ""
    assert asked["EventSourceArn"] == NEW
    assert asked["FunctionName"] == DESCRIBED["FunctionArn"]
    assert (asked["StartingPosition"], asked["Enabled"]) == ("TRIM_HORIZON", True)
    assert asked["DestinationConfig"] == {"OnFailure": {"Destination": "arn:aws:s3:::dead-letters"}}
    for name in ("BatchSize", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "FunctionResponseTypes"):
        assert asked[name] == DESCRIBED[name]
    assert not {"UUID", "State", "FunctionArn"} & set(asked)


@pytest.mark.parametrize("state", ["Disabled", "Disabling"])
def test_disabled_mapping_stays_disabled(state: str) -> None:
    assert mapping_like({**DESCRIBED, "State": state}, NEW)["Enabled"] is False
