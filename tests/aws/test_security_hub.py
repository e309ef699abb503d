"""The Security Hub gateway: nothing lost, nothing blocked by a bad neighbour, each finding in the right account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from daswatch.alerts.alert import Database, State
from daswatch.alerts.findings import Posting, Statements, finding
from daswatch.aws import clients
from daswatch.aws.clients import security_hub_client, sts_client
from daswatch.aws.security_hub import (
    BURST_CALLS,
    MAX_FINDINGS_PER_CALL,
    FindingAccounts,
    ImportResult,
    SecurityHub,
    portions_in_time,
)
from daswatch.deadline import Deadline
from demo.aws import REGION, LocalAws
from tests.fakes.clock import Clock
from tests.fakes.security_hub import ACCOUNT, a_detection, an_alert, problems

if TYPE_CHECKING:
    from types_boto3_securityhub.client import SecurityHubClient
    from types_boto3_sts.client import STSClient

OTHER = "210987654321"
ROLE = "daswatch-findings"
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
MADE = finding(an_alert(), a_detection(), Posting(ACCOUNT, REGION, ""))


def a_finding(name: str, **changes: Any) -> dict[str, Any]:
    return {**MADE, "Id": name, **changes}


def a_client() -> SecurityHubClient:
    return boto3.client("securityhub", REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


def findings(count: int) -> list[dict[str, Any]]:
    return [a_finding(f"das/{number}") for number in range(count)]


@dataclass
class Hub:
    """A client with AWS's contract, time that passes by sleeping alone, and full jitter."""

    client: SecurityHubClient
    stub: Stubber
    clock: Clock = field(default_factory=Clock)
    asked: list[list[str]] = field(default_factory=list)  # the ids of each call

    def __post_init__(self) -> None:
        self.client.meta.events.register("provide-client-params.securityhub.BatchImportFindings", self._note)

    def _note(self, params: Mapping[str, Any], **_: object) -> None:
        self.asked.append([one["Id"] for one in params["Findings"]])

    def accepts(self, count: int, failed: Mapping[str, str] | None = None) -> None:
        """The next call is answered so: `failed` are error codes by id."""
        entries = [{"Id": name, "ErrorCode": code, "ErrorMessage": "shown"} for name, code in (failed or {}).items()]
        answer = {"SuccessCount": count, "FailedCount": len(entries), "FailedFindings": entries}
        self.stub.add_response("batch_import_findings", answer)

    def fails(self, code: str, status: int = 400) -> None:
        self.stub.add_client_error("batch_import_findings", code, "quotes Successful login", status)

    def send(self, batch: Sequence[Mapping[str, Any]], seconds: float = 30.0, note: str = "") -> ImportResult:
        hub = SecurityHub(self.client, lambda: 1.0, note)
        return hub.import_findings(batch, Deadline.after(seconds, self.clock))


@pytest.fixture
def hub() -> Iterator[Hub]:
    client = a_client()
    with Stubber(client) as stub:
        yield Hub(client, stub)
        stub.assert_no_pending_responses()


def test_findings_are_accepted_in_one_call(hub: Hub) -> None:
    hub.accepts(3)

    result = hub.send(findings(3))

    assert result == ImportResult(accepted=frozenset({"das/0", "das/1", "das/2"}))
    assert hub.clock.slept == []


def test_nothing_to_send_asks_nothing(hub: Hub) -> None:
    assert hub.send([]) == ImportResult()


def test_a_call_carries_a_hundred_findings_at_most(hub: Hub) -> None:
    for count in (100, 100, 50):
        hub.accepts(count)

    result = hub.send(findings(250))

    assert len(result.accepted) == 250
    assert list(map(len, hub.asked)) == [MAX_FINDINGS_PER_CALL, MAX_FINDINGS_PER_CALL, 50]


def test_a_call_carries_six_megabytes_at_most(hub: Hub) -> None:
    large = [a_finding(f"das/{number}", ProductFields={"k": "x" * 200_000}) for number in range(40)]
    hub.accepts(29)
    hub.accepts(11)

    result = hub.send(large)

    assert len(result.accepted) == 40
    assert list(map(len, hub.asked)) == [29, 11]


def test_a_finding_over_240_kilobytes_is_refused_unsent(hub: Hub) -> None:
    hub.accepts(1)

    result = hub.send([a_finding("large", ProductFields={"k": "x" * 240_000}), a_finding("small")])

    assert result.refused == {"large": "FindingTooLarge"}
    assert result.accepted == {"small"}
    assert hub.asked == [["small"]]


def test_of_one_id_the_last_finding_is_sent(hub: Hub) -> None:
    expected = {"Findings": [a_finding("das/0", Title="newer")]}
    hub.stub.add_response("batch_import_findings", {"SuccessCount": 1, "FailedCount": 0}, expected)

    result = hub.send([a_finding("das/0", Title="older"), a_finding("das/0", Title="newer")])

    assert result.accepted == {"das/0"}


def test_one_invalid_finding_does_not_affect_the_others(hub: Hub) -> None:
    hub.accepts(2, {"das/1": "InvalidInput"})

    result = hub.send(findings(3))

    assert result == ImportResult(frozenset({"das/0", "das/2"}), {"das/1": "InvalidInput"})


@pytest.mark.parametrize("code", ["InternalError", "Throttling", "TooManyRequests", "LimitExceeded", "InternalFailure"])
def test_a_finding_that_failed_for_now_is_retried_alone(hub: Hub, code: str) -> None:
    hub.accepts(2, {"das/1": code})
    hub.accepts(0, {"das/1": code})
    hub.accepts(1)

    result = hub.send(findings(3))

    assert result == ImportResult(accepted=frozenset({"das/0", "das/1", "das/2"}))
    assert hub.asked == [["das/0", "das/1", "das/2"], ["das/1"], ["das/1"]]
    assert hub.clock.slept == [0.1, 0.2]


def test_a_finding_that_keeps_failing_is_unsent_at_the_deadline(hub: Hub) -> None:
    for _ in range(5):
        hub.accepts(0, {"das/0": "InternalError"})

    result = hub.send(findings(1), seconds=3.0)

    assert result.unsent == {"das/0"}
    assert "InternalError" in result.cause
    assert hub.clock.now <= 2.0


def test_what_is_retried_does_not_keep_the_others_waiting(hub: Hub) -> None:
    hub.accepts(99, {"das/0": "InternalError"})
    hub.accepts(1)
    hub.accepts(0, {"das/0": "InternalError"})
    hub.accepts(1)

    result = hub.send(findings(101))

    assert len(result.accepted) == 101
    assert hub.asked[1:] == [["das/100"], ["das/0"], ["das/0"]]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("TooManyRequestsException", 429),
        ("LimitExceededException", 429),
        ("ThrottlingException", 400),
        ("Throttling", 400),
        ("InternalException", 500),
        ("ServiceUnavailableException", 503),
        ("Odd", 502),
    ],
)
def test_an_overloaded_security_hub_is_asked_again(hub: Hub, code: str, status: int) -> None:
    hub.fails(code, status)
    hub.accepts(3)

    result = hub.send(findings(3))

    assert len(result.accepted) == 3
    assert result.cause == ""
    assert hub.clock.slept == [0.1]


def test_overloaded_security_hub_leaves_findings_unsent(hub: Hub) -> None:
    for _ in range(5):
        hub.fails("TooManyRequestsException", 429)

    result = hub.send(findings(3), seconds=3.0)

    assert result.unsent == {"das/0", "das/1", "das/2"}
    assert result.accepted == frozenset()
    assert "TooManyRequestsException" in result.cause


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("InvalidAccessException", f"enable it in account {ACCOUNT}"),
        ("AccessDeniedException", "allow securityhub:BatchImportFindings"),
        ("AccessDenied", "allow securityhub:BatchImportFindings"),
        ("UnrecognizedClientException", "UnrecognizedClientException"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_what_needs_a_person_is_reported_at_once(hub: Hub, code: str, advice: str) -> None:
    hub.fails(code, 403)

    result = hub.send(findings(150))

    assert len(result.unsent) == 150
    assert result.refused == {}
    assert advice in result.cause
    assert "Successful login" not in result.cause


@pytest.mark.parametrize("code", ["InvalidAccess", "SomethingNew"])
def test_a_finding_that_needs_a_person_is_unsent_not_refused(hub: Hub, code: str) -> None:
    """So Security Hub answers where it is not enabled."""
    hub.accepts(1, {"das/1": code})

    result = hub.send(findings(2))

    assert result == ImportResult(frozenset({"das/0"}), {}, frozenset({"das/1"}), result.cause)
    assert code in result.cause


def test_a_bad_finding_is_found_by_halves(hub: Hub) -> None:
    hub.fails("InvalidInputException")  # 0 1 2 3 4
    hub.accepts(2)  # 0 1
    hub.fails("InvalidInputException")  # 2 3 4
    hub.fails("InvalidInputException")  # 2
    hub.accepts(2)  # 3 4

    result = hub.send(findings(5))

    assert result.refused == {"das/2": "InvalidInputException"}
    assert result.accepted == {"das/0", "das/1", "das/3", "das/4"}
    assert [len(ids) for ids in hub.asked] == [5, 2, 3, 1, 2]


def test_a_finding_that_botocore_refuses_blocks_no_neighbour(hub: Hub) -> None:
    hub.accepts(1)
    hub.accepts(1)

    result = hub.send([a_finding("das/0"), a_finding("das/1", Title=7), a_finding("das/2")])

    assert result.refused == {"das/1": "ParamValidationError"}
    assert result.accepted == {"das/0", "das/2"}


def test_a_request_that_is_too_large_is_cut(hub: Hub) -> None:
    hub.fails("", 413)
    hub.accepts(1)
    hub.fails("", 413)

    result = hub.send(findings(2))

    assert result == ImportResult(frozenset({"das/0"}), {"das/1": "HTTP 413"})


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://securityhub"),
        ReadTimeoutError(endpoint_url="https://securityhub"),
        EndpointConnectionError(endpoint_url="https://securityhub"),
    ],
)
def test_a_lost_connection_is_tried_again(hub: Hub, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    answers: list[Any] = [error, {"SuccessCount": 1, "FailedCount": 0, "FailedFindings": []}]
    monkeypatch.setattr(hub.client, "batch_import_findings", _in_turn(answers))

    result = hub.send(findings(1))

    assert result.accepted == {"das/0"}
    assert answers == []


def test_without_credentials_nothing_is_tried_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [NoCredentialsError()]
    monkeypatch.setattr(hub.client, "batch_import_findings", _in_turn(answers))

    result = hub.send(findings(1))

    assert result.unsent == {"das/0"}
    assert "NoCredentialsError" in result.cause


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"SuccessCount": 1, "FailedCount": 0},
        {"SuccessCount": 1, "FailedCount": 1, "FailedFindings": [{"Id": "another", "ErrorCode": "InvalidInput"}]},
    ],
)
def test_an_answer_that_does_not_add_up_accepts_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    answers: list[Any] = [answer, {"SuccessCount": 2, "FailedCount": 0, "FailedFindings": []}]
    monkeypatch.setattr(hub.client, "batch_import_findings", _in_turn(answers))

    result = hub.send(findings(2))

    assert result == ImportResult(accepted=frozenset({"das/0", "das/1"}))
    assert answers == []


def test_without_time_nothing_is_sent(hub: Hub) -> None:
    result = hub.send(findings(2), seconds=0.5)

    assert result == ImportResult(unsent=frozenset({"das/0", "das/1"}), cause="Security Hub: out of time")


def test_calls_are_paced_after_the_burst(hub: Hub) -> None:
    calls = BURST_CALLS + 5
    for _ in range(calls):
        hub.accepts(MAX_FINDINGS_PER_CALL)

    result = hub.send(findings(calls * MAX_FINDINGS_PER_CALL))

    assert len(result.accepted) == calls * MAX_FINDINGS_PER_CALL
    assert hub.clock.slept == [0.1] * 5


def test_pacing_ends_at_the_deadline(hub: Hub) -> None:
    for _ in range(BURST_CALLS + 2):
        hub.accepts(MAX_FINDINGS_PER_CALL)

    result = hub.send(findings((BURST_CALLS + 5) * MAX_FINDINGS_PER_CALL), seconds=1.25)

    assert len(result.accepted) == (BURST_CALLS + 2) * MAX_FINDINGS_PER_CALL
    assert len(result.unsent) == 3 * MAX_FINDINGS_PER_CALL


def test_a_note_is_reported_where_there_is_no_other_cause(hub: Hub) -> None:
    hub.accepts(1)
    hub.fails("AccessDeniedException", 403)

    assert hub.send(findings(1), note="posted elsewhere").cause == "posted elsewhere"
    assert "allow" in hub.send(findings(1), note="posted elsewhere").cause


def _in_turn(answers: list[Any]) -> Callable[..., Any]:
    """A stand-in for a call: raises or returns each in turn."""

    def answer(**_: object) -> Any:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    return answer


ONE_CALL = 0.9  # STS gets a share of it, which suffices for no pause


@dataclass
class Accounts:
    """STS with AWS's contract, a clock, and the credentials that clients were made with."""

    sts: STSClient
    stub: Stubber
    now: datetime = NOW
    clock: Clock = field(default_factory=Clock)
    made: list[Mapping[str, str] | None] = field(default_factory=list)

    def with_role(self, role_name: str = ROLE, region: str = REGION) -> FindingAccounts:
        return FindingAccounts(ACCOUNT, region, self._client, lambda: self.sts, role_name, lambda: self.now)

    def until(self, seconds: float) -> Deadline:
        """Time passes by waiting alone."""
        return Deadline.after(seconds, self.clock)

    def _client(self, credentials: Mapping[str, str] | None) -> SecurityHubClient:
        self.made.append(credentials)
        client = a_client()
        accept_all: Any = _accept_all  # the stubs know of no handler that answers
        client.meta.events.register("before-call.securityhub.BatchImportFindings", accept_all)
        return client

    def grants(self, account_id: str = OTHER, partition: str = "aws", valid: timedelta = timedelta(hours=1)) -> None:
        """The next AssumeRole is for the role in this account, and granted."""
        credentials = {
            "AccessKeyId": "ASIAEXAMPLEEXAMPLE",
            "SecretAccessKey": f"secret of {account_id}",
            "SessionToken": "token",
            "Expiration": self.now + valid,
        }
        role_arn = f"arn:{partition}:iam::{account_id}:role/{ROLE}"
        asked = {"RoleArn": role_arn, "RoleSessionName": "daswatch-findings"}
        self.stub.add_response("assume_role", {"Credentials": credentials}, asked)

    def denies(self, code: str = "AccessDenied", status: int = 403) -> None:
        self.stub.add_client_error("assume_role", code, "shown by STS", status)


def _accept_all(params: Mapping[str, Any], **_: object) -> tuple[Any, dict[str, Any]]:
    """botocore's way to answer a call without the network."""
    count = params["body"].count(b'"SchemaVersion"')
    return _Answered(), {"SuccessCount": count, "FailedCount": 0, "FailedFindings": []}


@dataclass
class _Answered:
    status_code: int = 200


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    client = boto3.client("sts", REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
    with Stubber(client) as stub:
        yield Accounts(client, stub)
        stub.assert_no_pending_responses()


def send(security_hub: SecurityHub, count: int = 2) -> ImportResult:
    return security_hub.import_findings(findings(count), Deadline(30.0, Clock()))


def test_our_own_account_needs_no_role(accounts: Accounts) -> None:
    account_id, security_hub = accounts.with_role().for_account(ACCOUNT, Deadline.after(60))

    assert account_id == ACCOUNT
    assert accounts.made == [None]
    assert send(security_hub) == ImportResult(accepted=frozenset({"das/0", "das/1"}))


def test_another_account_is_reached_by_its_role(accounts: Accounts) -> None:
    accounts.grants()

    account_id, security_hub = accounts.with_role().for_account(OTHER, Deadline.after(60))

    assert account_id == OTHER
    assert accounts.made == [
        {"AccessKeyId": "ASIAEXAMPLEEXAMPLE", "SecretAccessKey": f"secret of {OTHER}", "SessionToken": "token"}
    ]
    assert send(security_hub).cause == ""


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_a_role_is_of_the_regions_partition(accounts: Accounts, region: str, partition: str) -> None:
    accounts.grants(partition=partition)

    assert accounts.with_role(region=region).for_account(OTHER, Deadline.after(60))[0] == OTHER


@pytest.mark.parametrize("account_id", ["", "not an account", "1234", f"{OTHER}\n"])
def test_an_account_that_is_none_is_ours(accounts: Accounts, account_id: str) -> None:
    assert accounts.with_role().for_account(account_id, Deadline.after(60))[0] == ACCOUNT


def test_without_a_role_all_findings_are_ours(accounts: Accounts) -> None:
    central = accounts.with_role("")

    account_id, security_hub = central.for_account(OTHER, Deadline.after(60))

    assert account_id == ACCOUNT
    assert security_hub is central.for_account(ACCOUNT, Deadline.after(60))[1]
    assert send(security_hub).cause == ""


def test_a_role_is_assumed_again_five_minutes_before_it_expires(accounts: Accounts) -> None:
    assuming = accounts.with_role()
    accounts.grants()
    first = assuming.for_account(OTHER, Deadline.after(60))[1]
    accounts.now += timedelta(minutes=54)
    assert assuming.for_account(OTHER, Deadline.after(60))[1] is first

    accounts.now += timedelta(minutes=1)
    accounts.grants()

    assert assuming.for_account(OTHER, Deadline.after(60))[1] is not first


def test_each_account_has_its_own_credentials(accounts: Accounts) -> None:
    assuming = accounts.with_role()
    accounts.grants(OTHER)
    accounts.grants("111122223333")

    assert (
        assuming.for_account(OTHER, Deadline.after(60))[1]
        is not assuming.for_account("111122223333", Deadline.after(60))[1]
    )
    assert [made["SecretAccessKey"] for made in accounts.made if made] == [
        f"secret of {OTHER}",
        "secret of 111122223333",
    ]


def test_denied_role_posts_to_our_own_account_with_the_cause(accounts: Accounts) -> None:
    assuming = accounts.with_role()
    accounts.denies()

    account_id, security_hub = assuming.for_account(OTHER, Deadline.after(60))
    result = send(security_hub)

    assert account_id == ACCOUNT
    assert result.accepted == {"das/0", "das/1"}
    assert "AccessDenied" in result.cause
    assert f"arn:aws:iam::{OTHER}:role/{ROLE}" in result.cause
    assert assuming.for_account(OTHER, Deadline.after(60)) == (account_id, security_hub)


def test_a_denied_role_is_tried_again_after_a_while(accounts: Accounts) -> None:
    assuming = accounts.with_role()
    accounts.denies()
    assuming.for_account(OTHER, Deadline.after(60))
    accounts.now += timedelta(minutes=5)
    accounts.grants()

    assert assuming.for_account(OTHER, Deadline.after(60))[0] == OTHER


@pytest.mark.parametrize(("code", "status"), [("Throttling", 400), ("ServiceUnavailable", 503)])
def test_while_sts_is_overloaded_findings_wait(accounts: Accounts, code: str, status: int) -> None:
    assuming = accounts.with_role()
    accounts.denies(code, status)

    account_id, security_hub = assuming.for_account(OTHER, accounts.until(ONE_CALL))
    result = send(security_hub)

    assert account_id == OTHER
    assert result.unsent == {"das/0", "das/1"}
    assert code in result.cause
    assert accounts.made == []
    accounts.grants()
    assert send(assuming.for_account(OTHER, accounts.until(ONE_CALL))[1]).accepted == {"das/0", "das/1"}


def test_while_sts_does_not_answer_findings_wait(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts.sts, "assume_role", _in_turn([ConnectTimeoutError(endpoint_url="https://sts")]))

    account_id, security_hub = accounts.with_role().for_account(OTHER, accounts.until(ONE_CALL))

    assert account_id == OTHER
    assert "ConnectTimeoutError" in send(security_hub).cause


@pytest.fixture
def warm(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[FindingAccounts]:
    """The accounts as a function has them, with AWS on this machine."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    clients.session.cache_clear()
    yield FindingAccounts(ACCOUNT, REGION, security_hub_client, sts_client, ROLE)
    clients.session.cache_clear()


def arrived(credentials: Mapping[str, str] | None) -> dict[str, dict[str, Any]]:
    """What the Security Hub of an account holds, by id."""
    pages = security_hub_client(credentials).get_paginator("get_findings").paginate()
    return {one["Id"]: dict(one) for page in pages for one in page["Findings"]}


def test_a_finding_arrives_and_is_updated(warm: FindingAccounts) -> None:
    posting_account, security_hub = warm.for_account(ACCOUNT, Deadline.after(60))
    posting = Posting(posting_account, REGION, "https://search.example.org/_dashboards")
    raised = finding(an_alert(), a_detection(), posting)
    over = finding(
        an_alert(state=State.ARCHIVED, changed_at="2026-11-21T12:00:00.000Z"),
        a_detection(),
        posting,
        Statements("SELECT ?", ("SELECT ?",)),
    )

    for one in (raised, raised, over):
        assert security_hub.import_findings([one], Deadline.after(30)).accepted == {raised["Id"]}
        assert arrived(None)[raised["Id"]].items() >= one.items()
        assert problems(arrived(None)[raised["Id"]]) == []


def test_a_finding_arrives_in_the_account_of_its_database(warm: FindingAccounts) -> None:
    posting_account, security_hub = warm.for_account(OTHER, Deadline.after(60))
    alert = an_alert(database=Database("db-OTHER", OTHER, REGION, "oracle"))
    raised = finding(alert, a_detection(), Posting(posting_account, REGION, ""))

    result = security_hub.import_findings([raised], Deadline.after(30))

    role = sts_client().assume_role(RoleArn=f"arn:aws:iam::{OTHER}:role/reader", RoleSessionName="reader")[
        "Credentials"
    ]
    reader = {name: role[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    assert result == ImportResult(accepted=frozenset({raised["Id"]}))
    assert arrived(reader)[raised["Id"]] == raised
    assert raised["Id"] not in arrived(None)


def test_accounts_and_portions_share_the_time_left() -> None:
    clock = Clock()
    many = list(range(MAX_FINDINGS_PER_CALL + 1))
    remaining = []
    for account_id, portion, mine in portions_in_time({"a": many, "b": [7]}, Deadline.after(80.0, clock)):
        remaining.append((account_id, len(portion), round(mine.remaining, 6)))
        clock.sleep(5.0)

    # Half of 80 s for a, half of which for its first call; what that did not use, its second one has.
    assert remaining == [("a", MAX_FINDINGS_PER_CALL, 20.0), ("a", 1, 35.0), ("b", 1, 70.0)]
