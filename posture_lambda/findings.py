"""The findings of a run, on compliance and on completeness: what Security Hub does not have yet is sent.

How far each is published is kept in its database's document (`findingState`, `gapState`), written after Security Hub
has answered: a finding that could not be sent is sent by the next run, and one that was sent before its state was
written is sent again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daswatch.alerts.findings import Posting
from daswatch.aws.security_hub import FindingAccounts, portions_in_time
from daswatch.deadline import Deadline
from daswatch.evidence import gap_findings
from daswatch.evidence.completeness import EvidencePlaces
from daswatch.evidence.gap_findings import DatabaseGap
from daswatch.fleet.audit import Audit
from daswatch.fleet.compliance import finding_of, is_due, state_of
from daswatch.fleet.database import Document
from daswatch.indices import Indices
from daswatch.opensearch.database_index import DatabaseIndex

# Less is not enough for an answer, and for writing what became of it.
_SHORTEST_SECONDS = 3.0
_SHARE_OF_SENDING = 0.8


@dataclass(slots=True)
class PublishedFindings:
    """What became of the findings of a run."""

    accepted: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # error codes by finding, never sent again as they are
    unsent: int = 0
    causes: set[str] = field(default_factory=set)
    noted: dict[str, Document] = field(default_factory=dict)  # the documents with their state, by id

    def add(self, other: PublishedFindings) -> None:
        """Take the findings of another kind into account."""
        self.accepted += other.accepted
        self.refused |= other.refused
        self.unsent += other.unsent
        self.causes |= other.causes
        self.noted |= other.noted

    @property
    def has_failed(self) -> bool:
        """Whether something is to be looked into."""
        return bool(self.refused or self.unsent or self.causes)


class PostureFindings:
    """Publishes to Security Hub. `region` is that of the Security Hub: the function's."""

    def __init__(
        self,
        accounts: FindingAccounts,
        index: DatabaseIndex,
        region: str,
        indices: Indices,
        places: EvidencePlaces = EvidencePlaces(),  # noqa: B008 - frozen
    ) -> None:
        self._accounts = accounts
        self._index = index
        self._region = region
        self._indices = indices
        self._places = places

    def publish(self, audit: Audit, deadline: Deadline) -> PublishedFindings:
        """Send what is due of the documents that the audit wrote. Raises SearchUnavailable."""
        due = {id_: audit.documents[id_] for id_ in audit.changed if is_due(audit.documents[id_])}
        kind = _Kind(finding_of, lambda id_: {"findingState": state_of(due[id_])}, times=1)
        return self._publish(due, kind, audit.at, deadline)

    def publish_gaps(
        self, documents: Mapping[str, Document], gaps: Mapping[str, DatabaseGap], at: str, deadline: Deadline
    ) -> PublishedFindings:
        """Send what is due on the completeness of these databases; `gaps` are by resource id. Raises SearchUnavailable.

        The documents are those of the run of that time, with what became of their other findings.
        """
        found = gap_findings.due(documents, gaps)
        due = {id_: documents[id_] for id_ in found}

        def finding_of_gap(document: Document, posting: Posting) -> dict[str, Any]:
            gap = gaps.get(document["resourceId"])
            return gap_findings.finding_of(document, gap, posting, at, self._places)

        kind = _Kind(finding_of_gap, lambda id_: {"gapState": gap_findings.state_of(due[id_], found[id_])}, times=2)
        return self._publish(due, kind, at, deadline)

    def _publish(self, due: Mapping[str, Document], kind: _Kind, at: str, deadline: Deadline) -> PublishedFindings:
        published = PublishedFindings()
        by_account: dict[str, list[str]] = {}
        for id_ in sorted(due):
            by_account.setdefault(due[id_]["awsAccountId"], []).append(id_)
        for account_id, portion, share in portions_in_time(by_account, deadline):
            self._send(account_id, {id_: due[id_] for id_ in portion}, kind, at, share, published)
        return published

    def _send(
        self,
        account_id: str,
        documents: Mapping[str, Document],
        kind: _Kind,
        at: str,
        deadline: Deadline,
        published: PublishedFindings,
    ) -> None:
        if deadline.remaining < _SHORTEST_SECONDS:
            published.unsent += len(documents)
            published.causes.add("Security Hub: out of time")
            return
        sending = deadline.part(_SHARE_OF_SENDING)
        posting_account, hub = self._accounts.for_account(account_id, sending)
        posting = Posting(posting_account, self._region, "", self._indices)
        findings = {id_: kind.finding_of(document, posting) for id_, document in documents.items()}
        result = hub.import_findings(list(findings.values()), sending)
        published.accepted += len(result.accepted)
        published.refused |= result.refused
        published.unsent += len(result.unsent)
        if result.cause:
            published.causes.add(result.cause)
        known = {*result.accepted, *result.refused}
        states = {
            id_: {**document, **kind.state_of(id_)}
            for id_, document in documents.items()
            if findings[id_]["Id"] in known
        }
        self._index.note(states, at, deadline, kind.times)
        published.noted |= states


@dataclass(frozen=True, slots=True)
class _Kind:
    """Findings of one kind: of a document, and what is noted there by its id; `times` it was written by then."""

    finding_of: Callable[[Document, Posting], dict[str, Any]]
    state_of: Callable[[str], dict[str, str]]
    times: int
