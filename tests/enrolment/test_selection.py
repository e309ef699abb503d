"""Which databases are selected: by name, by tag, all, and which names have none."""

from __future__ import annotations

import pytest

from daswatch.enrolment.selection import Selection
from tests.builders.fleet import cluster, instance

ON = [{"Key": "watch", "Value": "on"}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cluster:orders", "cluster:orders is listed"),
        ("cluster:ORDERS", "cluster:orders is listed"),
        ("arn:aws:rds:eu-west-1:123456789012:cluster:orders", "cluster:orders is listed"),
        ("db:orders", ""),
        ("tag:watch=on", "tag watch=on"),
        ("tag:watch=off", ""),
        ("tag:Watch=on", ""),
        ("all", "all databases are selected"),
        ("db:ledger, tag:watch=on", "tag watch=on"),
        ("all, cluster:orders", "cluster:orders is listed"),
        ("", ""),
    ],
)
def test_database_is_selected_by(text: str, reason: str) -> None:
    assert Selection.parse(text).reason(cluster("orders", TagList=ON)) == reason


@pytest.mark.parametrize(
    "text", ["orders", "tag:", "tag:watch", "tag:=on", "ALL", "cluster:", "cluster:a b", "all;db:x"]
)
def test_part_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        Selection.parse(f"db:ledger,{text}")
    assert str(raised.value) == text


def test_tag_value_may_have_separators_and_be_empty() -> None:
    tags = [{"Key": "team", "Value": "a=b"}, {"Key": "watch", "Value": ""}]

    assert Selection.parse("tag:team=a=b").reason(cluster(TagList=tags)) == "tag team=a=b"
    assert Selection.parse("tag:watch=").reason(cluster(TagList=tags)) == "tag watch="


def test_name_without_database_is_missing() -> None:
    selection = Selection.parse("cluster:orders,db:orders,db:gone,all")

    missing = selection.missing([cluster("orders"), instance("ledger")])

    assert [str(one) for one in missing] == ["db:gone", "db:orders"]
