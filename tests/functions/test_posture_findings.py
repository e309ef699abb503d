"""Publishing compliance findings: nothing lost while Security Hub is down, nothing sent twice, bounded calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from opensearchpy import OpenSearch

from daswatch.aws.fleet import FleetLookup
from daswatch.aws.security_hub import FindingAccounts
from daswatch.deadline import Deadline
from daswatch.evidence.completeness import (
    Hole,
    HoleKind,
    HourKnown,
    Instance,
    document_id,
    document_of,
    judgement_of,
)
from daswatch.fleet.audit import Audit
from daswatch.fleet.database import FleetDatabase, Place
from daswatch.fleet.inventory import Look
from daswatch.indices import Indices
from daswatch.opensearch.completeness_check import CompletenessCheck
from daswatch.opensearch.completeness_index import CompletenessIndex
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.earlier_events import EarlierEvents
from daswatch.times import iso_milliseconds
from posture_lambda.auditor import Auditor, PostureReport
from posture_lambda.findings import PostureFindings
from tests.builders.fleet import PLACE, cluster, instance
from tests.fakes.clock import Clock
from tests.fakes.security_hub import ACCOUNT, REGION, problems
from tests.harness.installed import give_back, installed_prefix

NOW = datetime(2031, 3, 4, 12, tzinfo=UTC)
RUN_SECONDS = 60.0


class Hub:
    """A Security Hub: refuses what is invalid, and keeps the latest of each finding by UpdatedAt."""

    def __init__(self) -> None:
        self.findings: dict[str, Mapping[str, Any]] = {}
        self.calls: list[int] = []
        self.is_down = False

    def batch_import_findings(self, Findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        if self.is_down:
            denied: Any = {"Error": {"Code": "AccessDeniedException"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(denied, "BatchImportFindings")
        assert [problem for one in Findings for problem in problems(one)] == []
        self.calls.append(len(Findings))
        for one in Findings:
            known = self.findings.get(one["Id"])
            if known is None or known["UpdatedAt"] < one["UpdatedAt"]:
                self.findings[one["Id"]] = one
        return {"SuccessCount": len(Findings), "FailedCount": 0, "FailedFindings": []}

    @property
    def sent(self) -> int:
        return sum(self.calls)


class Index(DatabaseIndex):
    """The inventory, whose writes take as long as a test says."""

    takes = 0.0  # seconds

    def write(self, audit: Audit, deadline: Deadline, *, with_history: bool = True) -> None:
        super().write(audit, deadline, with_history=with_history)
        deadline.sleep(self.takes)


class Fleet:
    """An auditor whose regions hold what a test says. Its time passes by waiting alone."""

    def __init__(self, search: OpenSearch, hub: Hub, indices: Indices) -> None:
        self.databases: list[FleetDatabase] = []
        self.index = index = Index(search, indices)
        self.hub = hub
        self.completeness = CompletenessIndex(search, indices)
        accounts = FindingAccounts(ACCOUNT, REGION, lambda _: cast(Any, hub), _no_sts, "")
        self.auditor = Auditor(
            lookup=lambda regions: cast(FleetLookup, self),
            accounts=lambda deadline: [ACCOUNT],
            index=index,
            earlier_events=EarlierEvents(search, indices),
            findings=PostureFindings(accounts, index, REGION, indices),
            completeness=CompletenessCheck(self.completeness),
        )

    def look(self, accounts: Sequence[str], deadline: Deadline) -> list[Look]:
        return [Look(PLACE, tuple(self.databases))]

    def judge(self, hour: datetime, *holes: Hole) -> None:
        """An hour's verdict on a database, as it is written by a check three hours later."""
        known, instance = HourKnown(is_instance=False), Instance("cluster-A", "")
        at = iso_milliseconds(hour + timedelta(hours=3, minutes=len(self.hub.calls)))
        document = document_of(instance, hour, known, judgement_of(holes), at)
        self.completeness.write({document_id(instance, hour): document}, Deadline.after(10))

    def run(self, minutes: int, place: Place | None = None) -> PostureReport:
        return self.auditor.run(place, NOW + timedelta(minutes=minutes), Deadline.after(RUN_SECONDS, Clock()))


def _no_sts() -> Any:
    raise AssertionError("no role is needed")


@pytest.fixture
def fleet(search: OpenSearch) -> Iterator[Fleet]:
    indices = Indices(installed_prefix(search))
    yield Fleet(search, Hub(), indices)
    give_back(search, indices.prefix)


def test_finding_is_sent_once_and_lives_with_its_database(fleet: Fleet) -> None:
    off: dict[str, Any] = {"DbClusterResourceId": "cluster-A", "ActivityStreamStatus": "stopped"}
    fleet.databases = [cluster(**off), instance()]

    assert fleet.run(0).findings.accepted == 2
    assert fleet.run(5).findings.accepted == 0
    fleet.databases[0] = cluster(**{**off, "ActivityStreamStatus": "starting"})
    assert fleet.run(10, PLACE).findings.accepted == 1
    del fleet.databases[0]
    assert fleet.run(15).findings.accepted == 1
    assert fleet.run(20).findings.accepted == 0

    (one,) = (one for one in fleet.hub.findings.values() if "cluster-A" in one["Id"])
    assert (one["RecordState"], one["Compliance"]["Status"]) == ("ARCHIVED", "WARNING")
    assert len(fleet.hub.findings) == 2


def test_gap_has_a_finding_until_it_is_closed(fleet: Fleet) -> None:
    """It does not take the place of the finding on compliance, nor the state of one that of the other."""
    hour = NOW - timedelta(hours=30)
    fleet.databases = [cluster(DbClusterResourceId="cluster-A"), cluster("shop")]
    fleet.judge(hour)
    assert fleet.run(0).findings.accepted == 2

    fleet.judge(hour, Hole(HoleKind.NOT_INGESTED, 10, 12, 7))
    fleet.hub.is_down = True
    assert fleet.run(15).findings.unsent == 1
    fleet.hub.is_down = False
    assert fleet.run(30).findings.accepted == 1
    assert fleet.run(45).findings.accepted == 0

    (gap,) = (one for id_, one in fleet.hub.findings.items() if id_.endswith("/cluster-A/completeness"))
    assert (gap["RecordState"], gap["Compliance"]["Status"]) == ("ACTIVE", "FAILED")
    assert "--from 2031-03-03T06:10Z --to 2031-03-03T06:13Z" in gap["Remediation"]["Recommendation"]["Text"]
    assert len(fleet.hub.findings) == 3
    fleet.databases[0] = cluster(DbClusterResourceId="cluster-A", ActivityStreamStatus="stopped")
    assert fleet.run(60).findings.accepted == 1, "the verdict on the stream has changed, and nothing else"

    fleet.judge(hour)
    assert fleet.run(75).findings.accepted == 1
    assert fleet.run(90).findings.accepted == 0

    (gap,) = (one for id_, one in fleet.hub.findings.items() if id_.endswith("/cluster-A/completeness"))
    assert (gap["RecordState"], gap["Compliance"]["Status"]) == ("ARCHIVED", "PASSED")


def test_findings_wait_while_security_hub_is_down(fleet: Fleet) -> None:
    fleet.databases = [cluster(ActivityStreamStatus="stopped")]
    fleet.hub.is_down = True

    report = fleet.run(0)
    assert (report.findings.accepted, report.findings.unsent) == (0, 1)
    assert "allow securityhub:BatchImportFindings" in next(iter(report.findings.causes))
    assert len(fleet.index.read(Deadline.after(10))) == 1, "the inventory is kept all the same"
    fleet.hub.is_down = False

    assert fleet.run(5).findings.accepted == 1
    (one,) = fleet.hub.findings.values()
    assert one["UpdatedAt"] == "2031-03-04T12:00:00.000Z"


def test_database_that_came_and_went_unsent_needs_no_finding(fleet: Fleet) -> None:
    fleet.databases = [cluster(ActivityStreamStatus="stopped")]
    fleet.hub.is_down = True
    fleet.run(0)
    fleet.hub.is_down = False
    fleet.databases = []

    assert fleet.run(5).findings.accepted == 0
    assert fleet.hub.findings == {}


def test_run_without_time_leaves_findings_to_the_next(fleet: Fleet) -> None:
    fleet.databases = [cluster(ActivityStreamStatus="stopped")]

    fleet.index.takes = RUN_SECONDS - 2.9

    report = fleet.run(0)

    assert (report.findings.accepted, report.findings.unsent) == (0, 1)
    fleet.index.takes = 0.0
    assert fleet.run(5).findings.accepted == 1


def test_thousand_databases_take_ten_calls(fleet: Fleet) -> None:
    fleet.databases = [cluster(f"c{number}", ActivityStreamStatus="stopped") for number in range(1_000)]

    report = fleet.run(0)

    assert (report.findings.accepted, report.findings.unsent) == (1_000, 0)
    assert fleet.hub.calls == [100] * 10
    assert fleet.run(5).findings.accepted == 0
    assert fleet.hub.sent == 1_000


def test_trend_has_the_last_run_of_each_day(fleet: Fleet) -> None:
    on, off = ({"DbClusterResourceId": name} for name in ("cluster-A", "cluster-B"))
    fleet.databases = [cluster("a", **_stopped(on)), cluster("b", **_stopped(off))]
    fleet.run(-24 * 60)
    fleet.run(0)
    fleet.databases[0] = cluster("a", **_stopped(on, "starting"))
    fleet.run(30)
    fleet.run(40, PLACE)

    trend = fleet.index.trend(Deadline.after(10), {"awsAccountId": [ACCOUNT], "awsRegion": []})

    assert {at: dict(one.counts) for at, one in trend.items()} == {
        "2031-03-03T12:00:00.000Z": {"off": 2},
        "2031-03-04T12:30:00.000Z": {"off": 1, "starting": 1},
    }
    assert fleet.index.trend(Deadline.after(10), {"awsAccountId": ["210987654321"]}) == {}


def _stopped(names: Mapping[str, str], status: str = "stopped") -> dict[str, Any]:
    return {**names, "ActivityStreamStatus": status}
