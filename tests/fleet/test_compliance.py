"""Compliance findings: valid for Security Hub in every state, the same for the same document, sent once."""

from __future__ import annotations

from typing import Any

import pytest

from daswatch.alerts.findings import Posting, finding_bytes
from daswatch.fleet.audit import audited
from daswatch.fleet.compliance import STATUSES, finding_of, is_due, state_of
from daswatch.fleet.database import Document, FleetDatabase, document_of
from daswatch.fleet.inventory import Look
from daswatch.fleet.posture import Verdict
from daswatch.indices import Indices
from tests.builders.fleet import PLACE, cluster, instance
from tests.fakes.security_hub import problems

FIRST, SINCE, GONE = "2031-03-04T10:00:00.000Z", "2031-03-04T11:00:00.000Z", "2031-03-04T12:00:00.000Z"
POSTING = Posting("123456789012", "eu-west-1", "")
TAGS = [{"Key": "env", "Value": "prod"}, {"Key": "aws:cloudformation:stack-name", "Value": "x"}, {"Key": "empty"}]


def a_document(verdict: str = "off", database: FleetDatabase | None = None, **more: Any) -> dict[str, Any]:
    document = document_of(database or cluster(TagList=TAGS))
    times = {"firstSeen": FIRST, "verdictSince": SINCE, "lastSeen": SINCE}
    return {**document, **times, "verdict": verdict, "verdictReason": "its activity stream is off", **more}


DATABASES = {
    "aurora": cluster(TagList=TAGS),
    "multi-az": cluster("pg", Engine="postgres"),
    "oracle": instance(),
    "sqlserver": instance("payroll", Engine="sqlserver-ee"),
}


@pytest.mark.parametrize("verdict", sorted(Verdict))
@pytest.mark.parametrize("name", DATABASES)
def test_finding_is_valid(verdict: str, name: str) -> None:
    document = a_document(verdict, DATABASES[name])

    assert problems(finding_of(document, POSTING)) == []
    assert problems(finding_of({**document, "goneSince": GONE}, POSTING)) == []


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        ("covered", "PASSED"),
        ("off", "FAILED"),
        ("key-unusable", "FAILED"),
        ("policy-unlocked", "FAILED"),
        ("lagging", "WARNING"),
        ("excepted", "WARNING"),
        ("not-eligible", "NOT_AVAILABLE"),
        ("unknown", "NOT_AVAILABLE"),
    ],
)
def test_status_follows_the_verdict(verdict: str, status: str) -> None:
    compliance = finding_of(a_document(verdict), POSTING)["Compliance"]

    assert compliance["Status"] == status
    (reason,) = compliance["StatusReasons"]
    assert reason["Description"] == "its activity stream is off"
    assert reason["ReasonCode"].startswith("ACTIVITY_STREAM_")
    assert "PCI DSS v4.0.1/10.2.1" in compliance["RelatedRequirements"]


def test_every_verdict_has_a_status() -> None:
    assert set(STATUSES) == set(Verdict)


def test_resource_is_the_database() -> None:
    (resource,) = finding_of(a_document(), POSTING)["Resources"]

    assert resource["Id"] == "arn:aws:rds:eu-west-1:123456789012:cluster:orders"
    assert resource["Tags"] == {"env": "prod"}
    details = resource["Details"]["AwsRdsDbCluster"]
    assert (details["DbClusterIdentifier"], details["Engine"]) == ("orders", "aurora-postgresql")
    assert details["ActivityStreamStatus"] == "started"
    assert details["DbClusterMembers"] == [{"DbInstanceIdentifier": "orders-1", "IsClusterWriter": True}]


def test_remedy_and_its_page_are_named() -> None:
    recommendation = finding_of(a_document(), POSTING)["Remediation"]["Recommendation"]

    assert recommendation["Text"].startswith("Start the activity stream")
    assert "daswatch posture --remedy arn:aws:rds:eu-west-1:123456789012:cluster:orders" in recommendation["Text"]
    assert recommendation["Url"].endswith("AuroraUserGuide/DBActivityStreams.Enabling.html")


def test_nothing_but_the_document_changes_a_finding() -> None:
    document = a_document()
    found = finding_of(document, POSTING)

    assert finding_of(dict(reversed(document.items())), POSTING) == found
    assert (found["CreatedAt"], found["UpdatedAt"], found["RecordState"]) == (FIRST, SINCE, "ACTIVE")
    assert finding_of({**document, "lastSeen": GONE}, POSTING) == found


def test_id_stays_for_the_life_of_a_database() -> None:
    document = a_document()
    found = finding_of(document, POSTING)
    renamed = {**document, "databaseIdentifier": "orders-old", "verdict": "covered", "verdictSince": GONE}

    assert finding_of(renamed, POSTING)["Id"] == found["Id"]
    assert finding_of(document, Posting("210987654321", "us-east-1", ""))["Id"] == found["Id"]
    assert finding_of(a_document(), POSTING)["Id"] != found["Id"], "another resource id"
    assert finding_of(document, Posting("123456789012", "eu-west-1", "", Indices("a-events")))["Id"] != found["Id"]


def test_finding_of_a_database_that_is_gone_is_archived() -> None:
    found = finding_of(a_document(goneSince=GONE), POSTING)

    assert (found["RecordState"], found["UpdatedAt"]) == ("ARCHIVED", GONE)


def test_finding_is_due_until_it_was_accepted() -> None:
    document = a_document()
    accepted = {**document, "findingState": state_of(document)}

    assert is_due(document)
    assert not is_due(accepted)
    assert is_due({**accepted, "verdict": "covered", "verdictSince": GONE})
    assert is_due({**accepted, "goneSince": GONE})
    assert is_due({**accepted, "nameSince": GONE})
    assert not is_due({**accepted, "nameSince": FIRST}), "the finding is later than the name"
    assert not is_due({**document, "goneSince": GONE}), "nothing is there to be archived"
    assert not is_due({**accepted, "goneSince": GONE, "findingState": f"gone@{GONE}"})


@pytest.mark.parametrize("text", ["x" * 5_000, "\U0001f4a5" * 2_000, "a\n\r\x00\u202eb", " "])
def test_finding_holds_whatever_people_write(text: str) -> None:
    tags = {f"{number}{text}": text for number in range(80)}
    found = finding_of(a_document("excepted", tags=tags, verdictReason=text), POSTING)

    assert problems(found) == []
    assert finding_bytes(found) < 240_000


def run(known: dict[str, Document], *databases: FleetDatabase, now: str) -> dict[str, Document]:
    return dict(audited(known, [Look(PLACE, databases)], {}, now).documents)


def test_published_state_survives_the_next_run() -> None:
    database = cluster(ActivityStreamStatus="stopped")
    known = run({}, database, now=FIRST)
    known = {id_: {**one, "findingState": state_of(one)} for id_, one in known.items()}

    (document,) = run(known, database, now=SINCE).values()

    assert not is_due(document)


def test_failed_enrolment_changes_the_finding_and_its_end_too() -> None:
    database = cluster(ActivityStreamStatus="stopped")
    look, failures = [Look(PLACE, (database,))], {database.id: "RDS refused StartActivityStream"}
    known: dict[str, Document] = {}
    due, reasons = [], []
    for now, failing in ((FIRST, failures), (SINCE, failures), (GONE, {})):
        (document,) = audited(known, look, {}, now, failures=failing).documents.values()
        due.append(is_due(document))
        reasons.append(finding_of(document, POSTING)["Description"])
        known = {database.id: {**document, "findingState": state_of(document)}}

    assert due == [True, False, True]
    assert "enrolment: RDS refused StartActivityStream" in reasons[0]
    assert "enrolment" not in reasons[2]


def test_rename_changes_the_finding_at_once() -> None:
    before = cluster("orders", DbClusterResourceId="cluster-A", ActivityStreamStatus="stopped")
    known = run({}, before, now=FIRST)
    known = {id_: {**one, "findingState": state_of(one)} for id_, one in known.items()}
    after = cluster("orders-old", DbClusterResourceId="cluster-A", ActivityStreamStatus="stopped")

    renamed = run(known, after, now=SINCE)

    (document,) = renamed.values()
    found = finding_of(document, POSTING)
    assert is_due(document)
    assert (found["UpdatedAt"], found["FirstObservedAt"]) == (SINCE, FIRST), "Security Hub takes later ones only"
    assert "cluster:orders-old in account" in found["Description"]
    sent: dict[str, Document] = {id_: {**one, "findingState": state_of(one)} for id_, one in renamed.items()}
    assert not any(map(is_due, run(sent, after, now=GONE).values()))


def test_database_that_comes_back_has_a_later_finding() -> None:
    database = cluster(ActivityStreamStatus="stopped")
    known = run(run({}, database, now=FIRST), now=SINCE)
    known = {id_: {**one, "findingState": state_of(one)} for id_, one in known.items()}

    (document,) = run(known, database, now=GONE).values()

    assert is_due(document)
    found = finding_of(document, POSTING)
    assert (found["UpdatedAt"], found["RecordState"]) == (GONE, "ACTIVE"), "later than when it was archived"
