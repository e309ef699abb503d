"""Findings on completeness: valid for Security Hub, sent when what is missing changes, archived when nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daswatch.alerts.findings import MAX_RECOMMENDATION, Posting
from daswatch.evidence.completeness import EvidencePlaces, Hole, HoleKind, HourKnown, Instance, document_of
from daswatch.evidence.completeness import judgement_of as judgement
from daswatch.evidence.gap_findings import DatabaseGap, due, finding_of, gaps_of, is_due, state_of
from daswatch.fleet.database import document_of as database_document_of
from daswatch.times import iso_milliseconds
from tests.builders.fleet import cluster
from tests.fakes.security_hub import problems

HOUR = datetime(2031, 3, 4, 10, tzinfo=UTC)
AT = "2031-03-04T14:00:00.000Z"
POSTING = Posting("123456789012", "eu-west-1", "")
PLACES = EvidencePlaces("my-evidence", "my-dead-letters")
DATABASE = database_document_of(cluster(DbClusterResourceId="cluster-A")) | {"firstSeen": "2031-03-01T00:00:00.000Z"}
EVERY_KIND = tuple(Hole(kind, 5 * number, 5 * number + 2, 7) for number, kind in enumerate(HoleKind))


def gap_of(*holes: Hole, hour: datetime = HOUR, checked: timedelta = timedelta(hours=3)) -> DatabaseGap | None:
    """What is missing of the database, where an hour has these holes."""
    known = HourKnown(is_instance=False)
    instance = Instance("cluster-A", "")
    document = document_of(instance, hour, known, judgement(holes), iso_milliseconds(hour + checked))
    return gaps_of([document]).get("cluster-A")


def finding(gap: DatabaseGap | None, **changes: Any) -> Mapping[str, Any]:
    return finding_of({**DATABASE, **changes}, gap, POSTING, AT, PLACES)


@pytest.mark.parametrize("holes", [(), *((hole,) for hole in EVERY_KIND), EVERY_KIND])
def test_finding_is_valid(holes: tuple[Hole, ...]) -> None:
    assert problems(dict(finding(gap_of(*holes)))) == []


def test_runbook_has_the_commands_filled_in() -> None:
    """What is missing in the index may have arrived later. What is in another bucket needs another command."""
    text = finding(gap_of(*EVERY_KIND))["Remediation"]["Recommendation"]["Text"]

    assert "`daswatch replay s3://my-evidence --from 2031-03-04T10:00Z --to 2031-03-04T10:13Z" in text
    assert "`daswatch replay s3://my-dead-letters --from 2031-03-04T10:20Z --to 2031-03-04T10:23Z" in text
    assert text.count(" --resource-id cluster-A`") == 2
    assert text.endswith("`daswatch gaps --from 14d --database orders` lists each.")
    longest = finding(gap_of(*EVERY_KIND), resourceId=f"cluster-{'A' * 26}", databaseIdentifier="o" * 63)
    assert len(longest["Remediation"]["Recommendation"]["Text"]) <= MAX_RECOMMENDATION


def test_description_says_what_is_missing() -> None:
    found = finding(gap_of(Hole(HoleKind.SILENT, 10, 19), Hole(HoleKind.NOT_INGESTED, 10, 10, 1_204)))

    assert found["Description"] == (
        "cluster:orders in account 123456789012, eu-west-1: 1,204 records not ingested, 2031-03-04 10:10 to "
        "2031-03-04 10:11; 10 minutes silent, 2031-03-04 10:10 to 2031-03-04 10:20."
    )
    assert (found["Compliance"]["Status"], found["RecordState"]) == ("FAILED", "ACTIVE")
    assert found["FindingProviderFields"]["Severity"]["Label"] == "HIGH"
    assert (found["FirstObservedAt"], found["LastObservedAt"]) == (
        "2031-03-04T10:10:00.000Z",
        "2031-03-04T10:20:00.000Z",
    )


def test_finding_is_archived_when_nothing_is_missing() -> None:
    found = finding(None)

    assert (found["Compliance"]["Status"], found["RecordState"]) == ("PASSED", "ARCHIVED")
    assert found["Id"] == finding(gap_of(*EVERY_KIND))["Id"] == "das/123456789012/eu-west-1/cluster-A/completeness"
    assert finding(gap_of(*EVERY_KIND), goneSince=AT)["RecordState"] == "ARCHIVED"


def test_finding_is_sent_when_what_is_missing_changes() -> None:
    gap, more = gap_of(Hole(HoleKind.SILENT, 10, 19)), gap_of(Hole(HoleKind.SILENT, 10, 29))
    noted = DATABASE | {"gapState": state_of(DATABASE, gap)}

    assert is_due(DATABASE, gap)
    assert not is_due(noted, gap)
    assert is_due(noted, more)
    assert is_due(noted, None)
    assert not is_due(DATABASE | {"gapState": state_of(DATABASE, None)}, None)
    assert not is_due(DATABASE, None), "a database without a gap needs no finding"
    assert is_due(noted | {"goneSince": AT}, gap), "of a database that is gone, it is archived"


def test_hour_that_may_still_be_completed_is_no_gap() -> None:
    """A batch that is retried, or the manifest of its archive, may come some time after the hour."""
    hole = Hole(HoleKind.SILENT, 10, 19)

    assert gap_of(hole, checked=timedelta(hours=1, minutes=59)) is None
    assert gap_of(hole, checked=timedelta(hours=2)) is not None


def test_database_without_an_hour_has_no_finding() -> None:
    other = DATABASE | {"resourceId": "cluster-B"}
    gap = gap_of(Hole(HoleKind.SILENT, 10, 19))
    assert gap is not None

    assert due({"a": DATABASE, "b": other}, {"cluster-A": gap}) == {"a": gap}
