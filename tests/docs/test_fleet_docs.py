"""docs/fleet.md: the policy allows what a look calls, and every verdict is explained."""

from __future__ import annotations

import json
import re

import pytest

from daswatch.aws import clients
from daswatch.deadline import Deadline
from daswatch.fleet.posture import Verdict
from tests import ROOT
from tools.benchmarks.fleet import PLACES, REGIONS, GeneratedFleet

PAGE = (ROOT / "docs" / "fleet.md").read_text("utf-8")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The calls that a look makes."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "generated")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "generated")
    clients.session.cache_clear()
    fleet = GeneratedFleet(databases=100, places=[one for one in PLACES if one.region in REGIONS[:2]])
    fleet.look(Deadline.after(30))
    return set(fleet.calls)


def test_policy_allows_what_is_called(called: set[str]) -> None:
    block = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert block
    (look,) = (statement["Action"] for statement in json.loads(block[1])["Statement"])

    assert {action.partition(":")[2] for action in look} == called - {"AssumeRole"}


def test_every_verdict_is_explained() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == {str(verdict) for verdict in Verdict}
