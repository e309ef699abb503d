"""Security Hub: imports findings, each into the account of its database where a role allows that.

Importing the same finding twice changes nothing (Security Hub compares UpdatedAt), so whatever was interrupted is
simply sent again. Nothing here logs, and no cause quotes a finding.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from daswatch.alerts.findings import MAX_BYTES, finding_bytes
from daswatch.aws.api_calls import AwsError, Trouble, attempt, trouble_of
from daswatch.aws.roles import assume, role_arn
from daswatch.deadline import Deadline
from daswatch.retry import OUT_OF_TIME, Left, send_all

if TYPE_CHECKING:
    from types_boto3_securityhub.client import SecurityHubClient
    from types_boto3_securityhub.type_defs import AwsSecurityFindingTypeDef, BatchImportFindingsResponseTypeDef
    from types_boto3_sts.client import STSClient

Finding = Mapping[str, Any]
_T = TypeVar("_T")
_Batch = tuple[Finding, ...]

# BatchImportFindings.
MAX_FINDINGS_PER_CALL = 100
MAX_CALL_BYTES = 5_900_000  # 6 MB, less what is around the findings
BURST_CALLS = 30  # for an account and region; then
CALLS_PER_SECOND = 10

SESSION_NAME = "daswatch-findings"
ROLE_RENEWAL = timedelta(minutes=5)  # before its credentials expire; and after so long a denied role is tried again

# Below this there is no time left for a call to be answered.
_SHORTEST_CALL_SECONDS = 1.0

_TOO_LARGE = "FindingTooLarge"
_REQUEST_TOO_LARGE = 413

_INVALID = ("InvalidInput", "InvalidParameter", "Validation", "ParamValidation", "RequestEntityTooLarge")
_NOT_ENABLED = ("InvalidAccess",)
# Another account is served by another role: the time left is shared with those that need none.
_SHARE_OF_STS = 0.5

_ACCOUNT_ID = re.compile(r"\d{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The outcome of findings, by their ids. `refused` has the error codes of those that can never be accepted."""

    accepted: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    unsent: frozenset[str] = frozenset()
    cause: str = ""  # why the unsent are unsent, or why findings went to another account than their database's


class _Fate(Enum):
    REFUSED = "refused"  # the finding, or one of the batch, is not as it should be
    RETRY = "retry"
    GIVE_UP = "give up"  # an operator has to act first


@dataclass(slots=True)
class _Import:
    """What became of findings so far."""

    accepted: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    unsent: set[str] = field(default_factory=set)
    cause: str = ""  # why the unsent are unsent

    def answered(self, batch: _Batch, codes: Mapping[str, str]) -> Left[_Batch]:
        """Note each finding's fate; `codes` are the error codes of those that failed."""
        again: list[Finding] = []
        trouble = ""
        for finding in batch:
            name = finding["Id"]
            if name not in codes:
                self.accepted.add(name)
                continue
            match _fate_of(codes[name]):
                case _Fate.REFUSED:
                    self.refused[name] = codes[name]
                case _Fate.RETRY:
                    again.append(finding)
                    trouble = _overloaded(codes[name])
                case _Fate.GIVE_UP:
                    self.unsent.add(name)
                    self.cause = _advice(codes[name], batch)
        return Left(again=tuple(again) or None, cause=trouble)

    def failed(self, batch: _Batch, exc: AwsError) -> Left[_Batch]:
        """Note that a call failed as a whole."""
        match _fate_of_call(exc):
            case _Fate.REFUSED if len(batch) == 1:
                self.refused[batch[0]["Id"]] = exc.code
                return Left()
            case _Fate.REFUSED:
                middle = len(batch) // 2
                return Left(at_once=(batch[:middle], batch[middle:]))
            case _Fate.RETRY:
                return Left(again=batch, cause=_overloaded(exc.code))
            case _Fate.GIVE_UP:
                return Left(again=batch, cause=_advice(exc.code, batch), stop=True)


def portions_in_time(
    by_account: Mapping[str, Sequence[_T]], deadline: Deadline
) -> Iterator[tuple[str, Sequence[_T], Deadline]]:
    """What is to be imported into each account, call by call, each with its part of the time that is left then.

    An account that is throttled takes no more than its share.
    """
    for left, (account_id, own) in zip(range(len(by_account), 0, -1), by_account.items(), strict=True):
        share = deadline.part(1 / left)
        begins = range(0, len(own), MAX_FINDINGS_PER_CALL)
        for portions_left, begin in zip(range(len(begins), 0, -1), begins, strict=True):
            yield account_id, own[begin : begin + MAX_FINDINGS_PER_CALL], share.part(1 / portions_left)


class SecurityHub:
    """The Security Hub of one account and region."""

    def __init__(
        self,
        client: SecurityHubClient,
        chance: Callable[[], float] = random.random,
        note: str = "",
    ) -> None:
        """`note` is each result's cause if there is no other."""
        self._client = client
        self._chance = chance
        self._note = note

    def import_findings(self, findings: Sequence[Finding], deadline: Deadline) -> ImportResult:
        """Import findings, with retries until the deadline; never raises for what Security Hub answers.

        Of several findings with one id, the last counts. A batch that is refused as a whole is sent again in halves, so
        that one bad finding is found and refused alone; what is retried waits until all others had their turn.
        """
        sendable, too_large = _sendable(findings)
        done = _Import(refused=too_large)
        left, cause = send_all(
            _batches(sendable),
            lambda batch: self._send(batch, done, deadline),
            deadline,
            shortest=_SHORTEST_CALL_SECONDS,
            chance=self._chance,
            pace=lambda calls: 1 / CALLS_PER_SECOND if calls >= BURST_CALLS else 0.0,
        )
        done.unsent.update(finding["Id"] for batch in left for finding in batch)
        if cause == OUT_OF_TIME:
            cause = "Security Hub: out of time"
        return ImportResult(
            frozenset(done.accepted), done.refused, frozenset(done.unsent), done.cause or cause or self._note
        )

    def _send(self, batch: _Batch, done: _Import, deadline: Deadline) -> Left[_Batch]:
        found = cast("Sequence[AwsSecurityFindingTypeDef]", list(batch))
        try:
            answer = attempt(lambda: self._client.batch_import_findings(Findings=found), deadline)
        except AwsError as exc:
            return done.failed(batch, exc)
        codes = _failed(batch, answer)
        if codes is None:
            return Left(again=batch, cause=_overloaded("an answer that does not add up"))
        return done.answered(batch, codes)


class FindingAccounts:
    """Which Security Hub takes the findings of a database: its own account's where a role allows that, else ours."""

    def __init__(
        self,
        own_account: str,
        region: str,
        client_factory: Callable[[Mapping[str, str] | None], SecurityHubClient],
        sts: Callable[[], STSClient],
        role_name: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`role_name` is the name of a role in the other accounts; empty where all findings go to our own."""
        self._own_account = own_account
        self._region = region
        self._client_factory = client_factory
        self._sts = sts
        self._role_name = role_name
        self._clock = clock
        self._chance = chance
        self._assumed: dict[str, tuple[datetime, str, SecurityHub]] = {}

    def for_account(self, account_id: str, deadline: Deadline) -> tuple[str, SecurityHub]:
        """Return the account to post to for databases of `account_id` (empty if unknown), and its Security Hub.

        If the role may not be assumed, that is our own account, and each import's result has the cause. If STS does
        not serve us now, it is theirs, with nothing sent: in our own account the same finding would stay permanently
        next to the later one.
        """
        if account_id == self._own_account or not self._role_name or not _ACCOUNT_ID.fullmatch(account_id):
            return self._own_account, self._own
        known = self._assumed.get(account_id)
        if known is None or self._clock() >= known[0]:
            known = self._assume(account_id, deadline)
            self._assumed[account_id] = known
        return known[1], known[2]

    @cached_property
    def _own(self) -> SecurityHub:
        return self._security_hub(None)

    def _assume(self, account_id: str, deadline: Deadline) -> tuple[datetime, str, SecurityHub]:
        """Until when it may be used, the account to post to, and its Security Hub."""
        arn = role_arn(account_id, self._role_name, self._region)
        now = self._clock()
        try:
            role = assume(self._sts, arn, SESSION_NAME, deadline.part(_SHARE_OF_STS), self._chance)
        except AwsError as exc:
            if exc.status == 0 or exc.trouble is Trouble.PASSING:
                return now, account_id, _Unreachable(f"STS AssumeRole of {arn}: {exc.code}")
            note = (
                f"findings of account {account_id} go to account {self._own_account}: STS answered {exc.code} to "
                f"AssumeRole of {arn}; create it and let it trust the function's role"
            )
            return now + ROLE_RENEWAL, self._own_account, self._security_hub(None, note)
        return role.until - ROLE_RENEWAL, account_id, self._security_hub(role.credentials)

    def _security_hub(self, credentials: Mapping[str, str] | None, note: str = "") -> SecurityHub:
        return SecurityHub(self._client_factory(credentials), self._chance, note)


class _Unreachable(SecurityHub):
    """A Security Hub that cannot be asked now."""

    def __init__(self, cause: str) -> None:
        self._cause = cause

    def import_findings(self, findings: Sequence[Finding], deadline: Deadline) -> ImportResult:
        return ImportResult(unsent=frozenset(one["Id"] for one in findings), cause=self._cause)


def _sendable(findings: Sequence[Finding]) -> tuple[list[Finding], dict[str, str]]:
    """The findings that a call can carry, the last of each id; and those that are too large."""
    latest = {one["Id"]: one for one in findings}
    too_large = {name: _TOO_LARGE for name, one in latest.items() if finding_bytes(one) > MAX_BYTES}
    return [one for name, one in latest.items() if name not in too_large], too_large


def _batches(findings: Sequence[Finding]) -> list[_Batch]:
    """Findings in as few calls as their number and size allow."""
    batches: list[list[Finding]] = []
    room = 0
    for one in findings:
        size = len(json.dumps(one)) + 2  # and what is between two
        if not batches or len(batches[-1]) == MAX_FINDINGS_PER_CALL or size > room:
            batches.append([])
            room = MAX_CALL_BYTES
        batches[-1].append(one)
        room -= size
    return [tuple(batch) for batch in batches]


def _failed(batch: _Batch, answer: BatchImportFindingsResponseTypeDef) -> dict[str, str] | None:
    """The failed findings' error codes by id; None where the answer does not add up, which says nothing."""
    failed = {entry.get("Id", ""): entry.get("ErrorCode", "") for entry in answer.get("FailedFindings", [])}
    expected = len(batch) - len(failed)
    adds_up = answer.get("SuccessCount") == expected and failed.keys() <= {finding["Id"] for finding in batch}
    return failed if adds_up else None


def _fate_of(code: str, status: int = 0) -> _Fate:
    """The fate of a finding or call by its error code and, of a call, its HTTP status.

    An unknown error refuses nothing: the finding is kept and its cause reported.
    """
    if code.startswith(_INVALID) or status == _REQUEST_TOO_LARGE:
        return _Fate.REFUSED
    return _Fate.RETRY if trouble_of(code, status) is Trouble.PASSING else _Fate.GIVE_UP


def _fate_of_call(error: AwsError) -> _Fate:
    if error.status == 0 and error.trouble is not Trouble.REFUSED:  # there was no answer
        return _Fate.RETRY
    return _fate_of(error.code, error.status)


def _overloaded(code: str) -> str:
    return f"Security Hub is overloaded or does not answer ({code})"


def _advice(code: str, batch: _Batch) -> str:
    """A cause that says what has to be done."""
    account_id = batch[0].get("AwsAccountId", "")
    if code.startswith(_NOT_ENABLED):
        return f"Security Hub answered {code}: enable it in account {account_id}, in the function's region"
    if trouble_of(code) is Trouble.DENIED:
        return f"Security Hub answered {code}: allow securityhub:BatchImportFindings in account {account_id}"
    return f"Security Hub answered {code} in account {account_id}"
