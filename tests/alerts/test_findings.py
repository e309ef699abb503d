"""Findings: what Security Hub accepts, whatever events and analysts call themselves; the same each time; no SQL."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources.abc import Traversable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daswatch.alerts.alert import SEARCHED, Alert, Database, PivotEvent, State
from daswatch.alerts.findings import (
    DEFAULT_TYPE,
    Posting,
    Statements,
    finding,
    finding_bytes,
    finding_id,
    partition,
)
from daswatch.alerts.text import HIDDEN, plain, shortened
from daswatch.detections.detection import Detection, Level
from daswatch.detections.sigma import compile_rule, rule_folders
from daswatch.times import iso_milliseconds
from tests.fakes.security_hub import ACCOUNT, REGION, a_detection, an_alert, problems

CENTRAL = "210987654321"
POSTING = Posting(ACCOUNT, REGION, "https://search.example.org/_dashboards")

# The seed is fixed: a failure is the same for everybody.
thorough = settings(
    max_examples=75,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)

any_text = st.text(st.characters(), max_size=40)
# Beyond every limit, of characters that take one byte, and twelve.
long_text = st.builds(lambda text, times: text * times, any_text, st.sampled_from([60, 2_000]))
odd_text = st.one_of(any_text, long_text, st.sampled_from(["", " ", "\0", "\u202e", "\ud800", "\u200b", "x" * 40_000]))
times = st.integers(1_546_300_800_000, 4_102_444_800_000).map(  # 2019 to 2100
    lambda milliseconds: iso_milliseconds(datetime.fromtimestamp(milliseconds / 1_000, UTC))
)


names = st.one_of(odd_text, st.sampled_from(SEARCHED))


def odd_fields(values: st.SearchStrategy[Any], most: int = 8) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values, max_size=most)


odd_databases = st.builds(
    Database,
    resource_id=st.one_of(st.sampled_from(["", "cluster-ABC", "db-ABC"]), odd_text),
    aws_account_id=st.one_of(st.sampled_from(["", ACCOUNT, CENTRAL]), odd_text),
    aws_region=st.one_of(st.sampled_from(["", REGION, "cn-north-1", "us-gov-west-1"]), odd_text),
    engine=st.one_of(st.sampled_from(["", "postgresql", "mysql", "oracle", "sqlserver"]), odd_text),
)


@st.composite
def odd_alerts(draw: st.DrawFn) -> Alert:
    created_at, changed_at = sorted((draw(times), draw(times)))
    return an_alert(
        detection=draw(odd_text),
        title=draw(odd_text),
        level=draw(st.sampled_from(Level)),
        database=draw(odd_databases),
        group=draw(odd_fields(odd_text)),
        state=draw(st.sampled_from(State)),
        first_seen=draw(times),
        last_seen=draw(times),
        count=draw(st.integers(0, 2**63)),
        metrics=draw(odd_fields(st.integers(0, 2**63))),
        actors=draw(odd_fields(st.lists(odd_text, max_size=10).map(tuple))),
        samples=tuple(draw(st.lists(odd_text, max_size=5))),
        note=draw(odd_text),
        pivot=draw(st.none() | st.builds(PivotEvent, odd_text, odd_text, times)),
        created_at=created_at,
        changed_at=changed_at,
    )


@st.composite
def odd_detections(draw: st.DrawFn) -> Detection:
    return a_detection(
        query=draw(odd_text),
        description=draw(odd_text),
        why=draw(odd_text),
        runbook=tuple(draw(st.lists(odd_text, max_size=5))),
        references=tuple(draw(st.lists(st.sampled_from(["https://example.org/a", "a book"]), max_size=3))),
        attack=tuple(draw(st.lists(odd_text, max_size=5))),
        types=draw(st.sampled_from([(), ("TTPs",), ("Effects/Data Exfiltration",) * 60])),
    )


def resource_of(alert: Alert) -> dict[str, Any]:
    (resource,) = finding(alert, a_detection(), POSTING)["Resources"]
    found: dict[str, Any] = resource
    return found


def fields_of(alert: Alert, posting: Posting = POSTING, **changes: Any) -> dict[str, str]:
    fields: dict[str, str] = finding(alert, a_detection(**changes), posting)["ProductFields"]
    return fields


@thorough
@given(
    odd_alerts(),
    st.none() | odd_detections(),
    odd_text,
    st.lists(odd_text, max_size=5),
    st.sampled_from(["", "https://d"]),
)
def test_every_finding_is_one_that_security_hub_accepts(
    alert: Alert, detection: Detection | None, shape: str, statements: list[str], dashboards_url: str
) -> None:
    made = finding(alert, detection, Posting(ACCOUNT, REGION, dashboards_url), Statements(shape, tuple(statements)))

    assert problems(made) == []


@thorough
@given(odd_alerts())
def test_the_same_alert_gives_the_same_finding(alert: Alert) -> None:
    once, again = (finding(Alert.of(alert.document()), None, POSTING) for _ in range(2))

    assert once == again
    assert once["Id"] == finding(alert, a_detection(), POSTING)["Id"]


def test_nothing_of_an_episode_changes_the_id() -> None:
    later = an_alert(
        title="Another",
        level=Level.CRITICAL,
        state=State.ARCHIVED,
        episode=3,
        count=99,
        changed_at="2026-12-01T00:00:00.000Z",
        group={"remoteHost": "203.0.113.9", "dbUserName": "app"},
    )

    assert finding_id(later, POSTING) == finding_id(an_alert(), POSTING)


def test_the_id_reports_database_and_detection() -> None:
    start, _, group = finding_id(an_alert(), POSTING).rpartition("/")

    assert start == f"das/{ACCOUNT}/{REGION}/cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ/bruteforce-success"
    assert len(group) == 16


@given(st.lists(odd_text, min_size=2, max_size=20, unique=True))
def test_two_detections_never_share_an_id(names: list[str]) -> None:
    ids = {finding_id(an_alert(detection=name), POSTING) for name in names}

    assert len(ids) == len(names)
    assert all(len(one) <= 512 and one.isascii() and " " not in one for one in ids)


def test_a_name_that_looks_like_a_shortened_one_is_another() -> None:
    odd = finding_id(an_alert(detection="my monitor!"), POSTING).split("/")[4]

    assert odd.startswith("my-monitor~")
    assert finding_id(an_alert(detection=odd), POSTING).split("/")[4] != odd


@pytest.mark.parametrize(
    "change",
    [
        {"detection": "another"},
        {"database": Database("cluster-OTHER", ACCOUNT, REGION)},
        {"database": Database("cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ", CENTRAL, REGION)},
        {"database": Database("cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ", ACCOUNT, "eu-central-1")},
        {"group": {"dbUserName": "app", "remoteHost": ""}},
        {"group": {}},
    ],
)
def test_another_detection_database_or_group_is_another_finding(change: dict[str, Any]) -> None:
    assert finding_id(an_alert(**change), POSTING) != finding_id(an_alert(), POSTING)


def test_central_finding_keeps_its_id_and_account() -> None:
    """A finding posted centrally keeps its id and names the database's account."""
    central = Posting(CENTRAL, "eu-central-1", "")

    made = finding(an_alert(), a_detection(), central)

    assert made["Id"] == finding_id(an_alert(), POSTING)
    assert made["AwsAccountId"] == CENTRAL
    assert made["ProductArn"] == f"arn:aws:securityhub:eu-central-1:{CENTRAL}:product/{CENTRAL}/default"
    assert made["ProductFields"]["daswatch/AccountId"] == ACCOUNT
    assert made["ProductFields"]["daswatch/Region"] == REGION
    assert made["Resources"][0]["Id"].startswith(f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:")
    assert problems(made) == []


def test_posted_at_home_the_account_is_reported_once() -> None:
    assert fields_of(an_alert()).keys().isdisjoint({"daswatch/AccountId", "daswatch/Region"})


@pytest.mark.parametrize(
    ("resource_id", "engine", "arn_end", "details"),
    [
        (
            "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "postgresql",
            "cluster:orders",
            {
                "AwsRdsDbCluster": {
                    "DbClusterResourceId": "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                    "DbClusterIdentifier": "orders",
                    "Engine": "aurora-postgresql",
                }
            },
        ),
        (
            "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "oracle",
            "db:orders",
            {
                "AwsRdsDbInstance": {
                    "DbiResourceId": "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                    "DBInstanceIdentifier": "orders",
                }
            },
        ),
    ],
)
def test_known_database_has_its_own_arn(
    resource_id: str, engine: str, arn_end: str, details: dict[str, dict[str, str]]
) -> None:
    unnamed = Database(resource_id, ACCOUNT, REGION, engine)
    named = replace(unnamed, identifier="orders", tags=("env=prod", "team=a=b", "empty="))

    made = finding(an_alert(database=named), a_detection(), POSTING)

    (resource,) = made["Resources"]
    assert resource["Id"] == f"arn:aws:rds:{REGION}:{ACCOUNT}:{arn_end}"
    assert {name: own for name, own in resource["Details"].items() if name != "Other"} == details
    assert resource["Tags"] == {"env": "prod", "team": "a=b"}
    assert made["ProductFields"]["daswatch/Database"] == "orders"
    assert made["ProductFields"]["daswatch/Tags"] == "env=prod, team=a=b, empty="
    assert made["Id"] == finding(an_alert(database=unnamed), a_detection(), POSTING)["Id"]
    assert problems(made) == []


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("eu-west-1", "aws"),
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("cn-northwest-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
    ],
)
def test_a_product_is_of_the_regions_partition(region: str, expected: str) -> None:
    alert = an_alert(database=Database("db-A", ACCOUNT, region, "oracle"))

    made = finding(alert, None, Posting(ACCOUNT, region, ""))

    assert partition(region) == expected
    assert made["ProductArn"].startswith(f"arn:{expected}:securityhub:{region}:")
    assert made["Resources"][0]["Id"].startswith(f"arn:{expected}:rds:{region}:")
    assert problems(made) == []


@pytest.mark.parametrize(
    ("level", "label"),
    [
        (Level.INFORMATIONAL, "INFORMATIONAL"),
        (Level.LOW, "LOW"),
        (Level.MEDIUM, "MEDIUM"),
        (Level.HIGH, "HIGH"),
        (Level.CRITICAL, "CRITICAL"),
    ],
)
def test_the_severity_is_the_alerts_level(level: Level, label: str) -> None:
    made = finding(an_alert(level=level), a_detection(level=Level.LOW), POSTING)

    assert made["FindingProviderFields"]["Severity"] == {"Label": label, "Original": level.value}


def test_customers_severity_and_workflow_are_left_alone() -> None:
    made = finding(an_alert(), a_detection(), POSTING)

    assert made.keys().isdisjoint({"Severity", "Types", "Workflow", "Note", "VerificationState"})


def test_type_is_the_detections_or_a_general_one() -> None:
    """A monitor of an analyst has the general one."""
    assert finding(an_alert(), a_detection(), POSTING)["FindingProviderFields"]["Types"] == list(a_detection().types)
    assert finding(an_alert(), None, POSTING)["FindingProviderFields"]["Types"] == [DEFAULT_TYPE]


def test_the_generator_is_the_detection_in_its_version() -> None:
    assert finding(an_alert(), a_detection(), POSTING)["GeneratorId"] == "das/bruteforce-success@3"
    assert finding(an_alert(), None, POSTING)["GeneratorId"] == "das/bruteforce-success"


@pytest.mark.parametrize(
    ("database", "kind", "details"),
    [
        (
            Database("cluster-A", ACCOUNT, REGION, "postgresql"),
            "AwsRdsDbCluster",
            {"DbClusterResourceId": "cluster-A", "Engine": "aurora-postgresql"},
        ),
        (
            Database("cluster-A", ACCOUNT, REGION, "mysql"),
            "AwsRdsDbCluster",
            {"DbClusterResourceId": "cluster-A", "Engine": "aurora-mysql"},
        ),
        (Database("cluster-A", ACCOUNT, REGION), "AwsRdsDbCluster", {"DbClusterResourceId": "cluster-A"}),
        (Database("db-A", ACCOUNT, REGION, "oracle"), "AwsRdsDbInstance", {"DbiResourceId": "db-A"}),
        (Database("db-A", ACCOUNT, REGION, "sqlserver"), "AwsRdsDbInstance", {"DbiResourceId": "db-A"}),
    ],
)
def test_a_database_reports_what_is_known_for_certain(database: Database, kind: str, details: dict[str, str]) -> None:
    resource = resource_of(an_alert(database=database))

    assert resource["Type"] == kind
    assert resource["Details"].keys() == {kind, "Other"}
    assert resource["Details"][kind] == details
    assert (resource["Partition"], resource["Region"]) == ("aws", REGION)


def test_without_a_database_the_account_is_the_resource() -> None:
    resource = resource_of(an_alert(database=Database("", CENTRAL, "eu-central-1")))

    assert resource == {
        "Type": "AwsAccount",
        "Id": f"AWS::::Account:{CENTRAL}",
        "Partition": "aws",
        "Region": "eu-central-1",
    }
    assert "/account/" in finding_id(an_alert(database=Database("")), POSTING)


def test_the_times_are_the_alerts_in_order() -> None:
    turned = an_alert(first_seen="2026-11-21T10:05:00.000Z", last_seen="2026-11-21T10:00:00.000Z")

    made = finding(turned, None, POSTING)

    assert (made["FirstObservedAt"], made["LastObservedAt"]) == (turned.last_seen, turned.first_seen)
    assert (made["CreatedAt"], made["UpdatedAt"]) == (turned.created_at, turned.changed_at)


@pytest.mark.parametrize(("state", "expected"), [(State.ACTIVE, "ACTIVE"), (State.ARCHIVED, "ARCHIVED")])
def test_an_archived_alert_archives_its_finding(state: State, expected: str) -> None:
    assert finding(an_alert(state=state), None, POSTING)["RecordState"] == expected


def test_the_title_names_the_user_and_the_host() -> None:
    alerts = an_alert(), an_alert(**SPRAY), an_alert(group={})

    titles = [finding(alert, a_detection(), POSTING)["Title"] for alert in alerts]

    assert titles == [
        "Successful login after repeated failures: app from 203.0.113.9",
        "Successful login after repeated failures: from 203.0.113.9",
        "Successful login after repeated failures: app",
    ]


# Many users from one host.
SPRAY: dict[str, Any] = {"group": {"remoteHost": "203.0.113.9"}, "actors": {"dbUserName": ("app", "report", "root")}}

SEEN = {
    "dbUserName": ("app",),
    "actor": ("migration",),
    "remoteIp": ("203.0.113.9",),
    "clientApplication": ("psql",),
    "databaseName": ("shop",),
    "objects": ("public.orders", "public.payments", "public.refunds", "public.users"),
    "signals": ("export", "credential-read"),
}


def test_the_description_begins_with_what_an_analyst_needs() -> None:
    shape = Statements("copy public.orders to stdout")

    said = finding(an_alert(note="Seen late.", actors=SEEN), a_detection(), POSTING, shape)["Description"]

    assert said == (
        "Seen late; User: app (migration); From: 203.0.113.9; Program: psql; "
        "Touched: public.orders, public.payments, public.refunds and more in shop; "
        "Events: 12 events within 7 minutes, episode 2; Since: 2026-11-21 10:00:00 UTC; Last: 2026-11-21 10:07:30 UTC; "
        "First statement: copy public.orders to stdout; Signals: export, credential-read; count before: 11. "
        "An account's password was tried again and again from one host, and then it fitted. "
        "This is what guessing looks like when it works."
    )


def test_a_long_reason_does_not_hide_how_often_and_who() -> None:
    said = finding(an_alert(), a_detection(why="because " * 1_000), POSTING)["Description"]

    assert len(said) <= 1_024
    assert said.startswith("User: app; From: 203.0.113.9; Program: psql, hydra; Events: 12 events")
    assert said.endswith("because…")


def test_network_and_process_are_those_of_the_client() -> None:
    one = finding(an_alert(actors=SEEN), a_detection(), POSTING)
    named = finding(an_alert(group={"remoteHost": "build-7"}, actors={"remoteIp": ("2001:db8::7",)}), None, POSTING)

    assert (one["Network"], one["Process"]) == ({"Direction": "IN", "SourceIpV4": "203.0.113.9"}, {"Name": "psql"})
    assert named["Network"] == {"Direction": "IN", "SourceIpV6": "2001:db8::7", "SourceDomain": "build-7"}


def test_several_hosts_and_programs_are_no_single_client() -> None:
    made = finding(an_alert(group={}, actors={"remoteIp": ("203.0.113.9", "203.0.113.10")}), None, POSTING)

    assert made.keys().isdisjoint({"Network", "Process"})


def test_the_resource_has_what_was_done_there() -> None:
    (resource,) = finding(an_alert(actors=SEEN), a_detection(), POSTING)["Resources"]

    assert resource["Details"]["Other"] == {
        "User": "app (migration)",
        "From": "203.0.113.9",
        "Program": "psql",
        "Touched": "public.orders, public.payments, public.refunds and more in shop",
        "Events": "12 events within 7 minutes, episode 2",
        "Since": "2026-11-21 10:00:00 UTC",
        "Last": "2026-11-21 10:07:30 UTC",
        "Signals": "export, credential-read",
    }


def test_the_session_has_a_link_for_before_and_after() -> None:
    pivot = PivotEvent("0a1b2c", "5f3.1a", "2026-11-21T10:07:30.250Z")
    fields = fields_of(an_alert(pivot=pivot))

    assert fields["daswatch/Session"] == "5f3.1a"
    assert "from:'2026-11-20T10%3A07%3A30.250Z',to:'2026-11-21T10%3A07%3A30.250Z'" in fields["daswatch/SessionBefore"]
    assert "from:'2026-11-21T10%3A07%3A30.250Z',to:'2026-11-22T10%3A07%3A30.250Z'" in fields["daswatch/SessionAfter"]
    assert "sessionId%3A%225f3.1a%22" in fields["daswatch/SessionAfter"]
    assert not any("Session" in name for name in fields_of(an_alert(pivot=replace(pivot, session_id=""))))


def test_the_runbook_is_the_remediation() -> None:
    made = finding(an_alert(), a_detection(), POSTING)

    assert made["Remediation"]["Recommendation"] == {
        "Text": "Read the session that followed. Ask the account's owner. Change the password. Look further.",
        "Url": "https://attack.mitre.org/techniques/T1110/",
    }


def test_a_long_runbook_ends_at_a_word() -> None:
    made = finding(an_alert(), a_detection(runbook=("Look carefully. ",) * 100, references=()), POSTING)

    text = made["Remediation"]["Recommendation"]["Text"]
    assert len(text) <= 512
    assert text.endswith(("carefully.…", "Look…"))
    assert "Url" not in made["Remediation"]["Recommendation"]


def test_a_monitor_has_no_remediation() -> None:
    assert "Remediation" not in finding(an_alert(), None, POSTING)


def test_the_source_is_the_search_in_dashboards() -> None:
    assert finding(an_alert(), a_detection(), POSTING)["SourceUrl"].startswith(
        "https://search.example.org/_dashboards/app"
    )
    assert "SourceUrl" not in finding(an_alert(), a_detection(), Posting(ACCOUNT, REGION, ""))


def test_product_fields_hold_the_facts() -> None:
    assert fields_of(an_alert()) == {
        "daswatch/Detection": "bruteforce-success",
        "daswatch/Count": "12",
        "daswatch/Episode": "2",
        "daswatch/FirstSeen": "2026-11-21T10:00:00.000Z",
        "daswatch/LastSeen": "2026-11-21T10:07:30.250Z",
        "daswatch/Version": "3",
        "daswatch/Techniques": "T1110, T1078.004",
        "daswatch/Tactics": "credential-access",
        "daswatch/Engine": "postgresql",
        "daswatch/Group/dbUserName": "app",
        "daswatch/Group/remoteHost": "203.0.113.9",
        "daswatch/Metric/count before": "11",
        "daswatch/Actors/dbUserName": "app",
        "daswatch/Actors/clientApplication": "psql, hydra",
        "daswatch/Samples": "0a1b2c, 3d4e5f",
    }


def test_an_empty_group_value_is_shown_as_such() -> None:
    assert fields_of(an_alert(group={"clientApplication": ""}))["daswatch/Group/clientApplication"] == "(none)"


def test_more_facts_than_fields_are_counted() -> None:
    fields = fields_of(an_alert(metrics={f"sum field{number}": number for number in range(60)}))

    assert len(fields) == 50
    shown = sum(name.startswith("daswatch/Metric/") for name in fields)
    # What was left out besides the metrics: two actors, and the samples.
    assert int(fields["daswatch/NotShown"]) == 60 - shown + 3


def test_group_fields_with_like_names_stay_apart() -> None:
    group = {"a:b": "1", "a;b": "2", "x" * 200 + "1": "3", "x" * 200 + "2": "4"}

    printed = {name: value for name, value in fields_of(an_alert(group=group)).items() if "/Group/" in name}

    assert sorted(printed.values()) == ["1", "2", "3", "4"]
    assert all(len(name) <= 128 for name in printed)


def test_statements_are_shown_only_as_such_and_shortened() -> None:
    made = finding(an_alert(), a_detection(), POSTING, Statements("", ("SELECT ?", "", "x" * 5_000, "not this one")))

    fields = made["ProductFields"]
    assert fields["daswatch/Statement1"] == "SELECT ?"
    assert "daswatch/Statement2" not in fields
    assert len(fields["daswatch/Statement3"]) == 2_048
    assert "not this one" not in json.dumps(made)
    assert not any("Statement" in name for name in fields_of(an_alert()))


@pytest.mark.parametrize("field", ["commandText", "commandText.keyword", "paramList", "errorMessage"])
def test_a_group_or_actor_of_sql_is_not_shown(field: str) -> None:
    """An analyst's monitor may group by anything."""
    made = finding(an_alert(group={field: "SELECT secret"}, actors={field: ("SELECT secret",)}), None, POSTING)

    assert "secret" not in json.dumps(made)
    assert made["ProductFields"][f"daswatch/Group/{field}"] == HIDDEN


def test_a_finding_that_is_large_in_bytes_is_cut_further() -> None:
    actors = {f"field{number}": ("\N{CROCODILE}" * 3_000,) for number in range(40)}

    made = finding(an_alert(actors=actors), a_detection(), POSTING)

    assert finding_bytes(made) <= 240_000
    assert len(made["ProductFields"]["daswatch/Actors/field0"]) == 512
    assert problems(made) == []


@pytest.mark.parametrize("folder", rule_folders(), ids=lambda folder: folder.name)
def test_every_shipped_detection_makes_a_good_finding(folder: Traversable) -> None:
    detection = compile_rule(folder.name, folder.joinpath("rule.yml").read_text("utf-8"))
    alert = an_alert(detection=detection.name, group=dict.fromkeys(detection.group, "value"))

    made = finding(alert, detection, POSTING)

    assert problems(made) == []
    assert len(made["Remediation"]["Recommendation"]["Text"]) > 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\0\x1b[31mred", "[31mred"),
        ("gnp.\u202efdp", "gnp. fdp"),
        ("\ud800", ""),
        (" \u00a0 ", ""),
    ],
)
def test_what_cannot_be_printed_is_a_space(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(max_size=300), st.integers(4, 200))
def test_shortened_is_never_longer(text: str, length: int) -> None:
    short = shortened(text, length)

    assert len(short) <= length
    assert short == text or (short.endswith("…") and text.startswith(short[:-1].rstrip()))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Title": " "}, "blank"),
        ({"Title": "x" * 257}, "Title is longer"),
        ({"Description": "x" * 1_025}, "Description is longer"),
        ({"Id": "x" * 513}, "Id is longer"),
        ({"Description": "a\nb"}, "cannot be printed"),
        ({"UpdatedAt": "2026-11-21 10:08:00"}, "UpdatedAt is not a time"),
        ({"CreatedAt": "2026-13-40T10:08:00Z"}, "CreatedAt is not a time"),
        ({"LastObservedAt": "2026-11-01T00:00:00.000Z"}, "is before FirstObservedAt"),
        ({"AwsAccountId": CENTRAL}, "another account"),
        ({"ProductArn": f"arn:aws:securityhub:cn-north-1:{ACCOUNT}:product/{ACCOUNT}/default"}, "no such region"),
        ({"ProductArn": f"arn:aws:securityhub:{REGION}::product/daswatch/daswatch"}, "ProductArn"),
        ({"Workflow": {"Status": "NEW"}}, "not ours"),
        ({"Severity": {"Label": "HIGH"}}, "not ours"),
        ({"Types": ["TTPs"]}, "not ours"),
        ({"FindingProviderFields": {"Severity": {"Label": "SEVERE", "Original": "x"}, "Types": ["TTPs"]}}, "Label"),
        ({"FindingProviderFields": {"Severity": {"Label": "LOW", "Original": "x"}, "Types": ["Odd"]}}, "namespace"),
        ({"ProductFields": {f"k{number}": "v" for number in range(51)}}, "more than 50"),
        ({"ProductFields": {"k" * 129: "v"}}, "longer than 128"),
        ({"ProductFields": {"k": "v" * 2_049}}, "longer than 2,048"),
        ({"ProductFields": {"k": ""}}, "blank"),
        ({"ProductFields": {"aws/k": "v"}}, "reserved"),
        ({"Resources": []}, "Resources"),
        ({"Resources": [{"Type": "AwsRdsDbCluster", "Id": "x", "Region": REGION, "Partition": "aws"}]}, "not an ARN"),
        ({"Remediation": {"Recommendation": {"Text": "x" * 513}}}, "longer than 512"),
        ({"SourceUrl": "search.example.org"}, "URL"),
        ({"RecordState": "DONE"}, "RecordState"),
        ({"Odd": "x"}, "Unknown parameter"),
        ({"Title": 7}, "Invalid type"),
    ],
)
def test_the_validator_sees(change: dict[str, Any], problem: str) -> None:
    good = finding(an_alert(), a_detection(), POSTING)

    assert problems(good) == []
    assert any(problem in found for found in problems({**good, **change}))


@pytest.mark.parametrize("name", ["Id", "GeneratorId", "Resources", "FindingProviderFields", "Title"])
def test_the_validator_misses_what_is_required(name: str) -> None:
    good = finding(an_alert(), a_detection(), POSTING)

    assert problems({key: value for key, value in good.items() if key != name})
