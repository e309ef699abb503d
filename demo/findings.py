"""The findings of the demo: what the saved queries raised, held against what the producer's ledger names.

In: ledger entries, each with the detections that it is meant to raise, and the findings as Security Hub holds them. The
expectations are defined with the attacks that make the events; nothing here decides what is an attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from daswatch.detections.detection import Detection
from demo.ledger import LedgerEntry

if TYPE_CHECKING:
    from types_boto3_securityhub.client import SecurityHubClient

# resource id, detection, and the user; empty if the detection does not distinguish users
Raised: TypeAlias = tuple[str, str, str]
_USER = "dbUserName"


@dataclass(frozen=True, slots=True)
class FindingsCheck:
    """Ledger against Security Hub."""

    expected: frozenset[Raised]
    found: frozenset[Raised]
    doubled: tuple[Raised, ...] = field(default=())

    @property
    def missing(self) -> frozenset[Raised]:
        """What an attack should have raised and did not."""
        return self.expected - self.found

    @property
    def unexpected(self) -> frozenset[Raised]:
        """What was raised and no attack explains."""
        return self.found - self.expected

    @property
    def ok(self) -> bool:
        """Whether there is exactly one finding for each thing that the ledger names, and no other."""
        return not (self.missing or self.unexpected or self.doubled)


def expected_findings(entries: Iterable[LedgerEntry], detections: Mapping[str, Detection]) -> frozenset[Raised]:
    """What the ledger's entries are meant to raise, as far as the detections are enabled."""
    return frozenset(
        (entry.resource_id, name, entry.user or "" if _USER in detections[name].group else "")
        for entry in entries
        for name in entry.detections
        if detections[name].enabled
    )


def check_findings(expected: frozenset[Raised], findings: Sequence[Mapping[str, Any]]) -> FindingsCheck:
    """Hold Security Hub's findings against what is expected."""
    raised = [_raised(one) for one in findings]
    doubled = tuple(sorted({one for one in raised if raised.count(one) > 1}))
    return FindingsCheck(expected, frozenset(raised), doubled)


def all_findings(security_hub: SecurityHubClient) -> list[Mapping[str, Any]]:
    """Every finding that Security Hub holds."""
    pages = security_hub.get_paginator("get_findings").paginate()
    return [finding for page in pages for finding in page["Findings"]]


def _raised(finding: Mapping[str, Any]) -> Raised:
    *_, resource_id, detection, _ = finding["Id"].split("/")
    return resource_id, detection, finding["ProductFields"].get(f"daswatch/Group/{_USER}", "")
