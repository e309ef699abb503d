"""The compliance findings of an audit: those that Security Hub does not have yet are sent, account by account.

How far each is published is kept in its document (`findingState`), written after Security Hub has answered: a finding
that could not be sent is sent by the next run, and one that was sent before its state was written is sent again, which
changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daswatch.alerts.findings import Posting
from daswatch.aws.security_hub import FindingAccounts, portions_in_time
from daswatch.deadline import Deadline
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

    @property
    def has_failed(self) -> bool:
        """Whether something is to be looked into."""
        return bool(self.refused or self.unsent or self.causes)


class PostureFindings:
    """Publishes to Security Hub. `region` is that of the Security Hub: the function's."""

    def __init__(self, accounts: FindingAccounts, index: DatabaseIndex, region: str, indices: Indices) -> None:
        self._accounts = accounts
        self._index = index
        self._region = region
        self._indices = indices

    def publish(self, audit: Audit, deadline: Deadline) -> PublishedFindings:
        """Send what is due of the documents that the audit wrote. Raises SearchUnavailable."""
        published = PublishedFindings()
        by_account: dict[str, list[str]] = {}
        for id_ in sorted(audit.changed):
            if is_due(audit.documents[id_]):
                by_account.setdefault(audit.documents[id_]["awsAccountId"], []).append(id_)
        for account_id, portion, share in portions_in_time(by_account, deadline):
            documents = {id_: audit.documents[id_] for id_ in portion}
            self._send(account_id, documents, audit.at, share, published)
        return published

    def _send(
        self,
        account_id: str,
        documents: Mapping[str, Document],
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
        findings = {id_: finding_of(document, posting) for id_, document in documents.items()}
        result = hub.import_findings(list(findings.values()), sending)
        published.accepted += len(result.accepted)
        published.refused |= result.refused
        published.unsent += len(result.unsent)
        if result.cause:
            published.causes.add(result.cause)
        known = {*result.accepted, *result.refused}
        states = {
            id_: {**document, "findingState": state_of(document)}
            for id_, document in documents.items()
            if findings[id_]["Id"] in known
        }
        self._index.note(states, at, deadline)
