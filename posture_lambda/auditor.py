"""One run over the fleet: read what is known, look at AWS, judge, follow, write, publish, name earlier events, check
hours for what is missing, publish that.

Events that were indexed before the name of their database was known get it here, some in each run.

A run for an event of RDS looks at that event's account and region alone, so that a new or renamed database is known
within a minute. The scheduled run looks at everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from daswatch.aws.fleet import FleetLookup
from daswatch.deadline import Deadline
from daswatch.errors import RequestError, SearchUnavailable
from daswatch.evidence.completeness import FleetInstances
from daswatch.fleet.audit import Audit, audited
from daswatch.fleet.database import Place
from daswatch.fleet.inventory import place_of
from daswatch.fleet.names import Names
from daswatch.opensearch.completeness_check import CompletenessCheck, CompletenessReport
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.earlier_events import EarlierEvents, Named
from daswatch.times import iso_milliseconds
from posture_lambda.findings import PostureFindings, PublishedFindings

# The rest is for writing and publishing, whatever the regions do.
_SHARE_OF_LOOKING = 0.7
# Of what is left then: a Security Hub that is overloaded leaves time to name events.
_SHARE_OF_PUBLISHING = 0.6
# Of what is left after naming events, which is bounded itself; the rest is for the log.
_SHARE_OF_CHECKING = 0.8


class LookupFactory(Protocol):
    """Makes the lookup of some regions, all enabled ones where none is named."""

    def __call__(self, regions: tuple[str, ...]) -> FleetLookup: ...


@dataclass(slots=True)
class PostureReport:
    """What one invocation did."""

    audit: Audit
    is_whole: bool  # whether all accounts and regions were looked at
    named: Named = field(default_factory=Named)
    findings: PublishedFindings = field(default_factory=PublishedFindings)
    completeness: CompletenessReport = field(default_factory=CompletenessReport)
    total_ms: float = 0.0


class Auditor:
    """Keeps the inventory and the posture of one deployment."""

    def __init__(
        self,
        lookup: LookupFactory,
        accounts: Callable[[Deadline], list[str]],
        index: DatabaseIndex,
        earlier_events: EarlierEvents | None = None,
        regions: tuple[str, ...] = (),
        findings: PostureFindings | None = None,
        completeness: CompletenessCheck | None = None,
        *,
        tags: tuple[str, ...] = (),
        demands_sync: bool = False,
    ) -> None:
        """`accounts` and `regions` are those of a scheduled run; without regions, all that are enabled.

        `tags` are those that events carry. Without `findings`, none are published, without `earlier_events`, none
        are named, and without `completeness`, no hour is checked.
        """
        self._lookup = lookup
        self._accounts = accounts
        self._index = index
        self._earlier_events = earlier_events
        self._tags = tags
        self._regions = regions
        self._findings = findings
        self._completeness = completeness
        self._demands_sync = demands_sync

    def run(self, place: Place | None, now: datetime, deadline: Deadline) -> PostureReport:
        """Look at one place, or at all. Raises SearchUnavailable, FleetUnavailable; the next run then does the same.

        A place whose region is not looked at by schedule changes nothing.
        """
        begun = deadline.clock.monotonic()
        if place and self._regions and place.region not in self._regions:
            return PostureReport(audited({}, (), {}, iso_milliseconds(now)), is_whole=False)
        known = self._index.read(deadline)
        heard = self._index.heard(deadline)
        failures = self._index.enrolment_failures(deadline)
        looking = deadline.part(_SHARE_OF_LOOKING)
        if place:
            known = {id_: one for id_, one in known.items() if place_of(one) == place}
            looks = self._lookup((place.region,)).look([place.account_id], looking)
        else:
            looks = self._lookup(self._regions).look(self._accounts(looking), looking)
        audit = audited(known, looks, heard, iso_milliseconds(now), demands_sync=self._demands_sync, failures=failures)
        self._index.write(audit, deadline, with_history=place is None)
        publishing = deadline.part(_SHARE_OF_PUBLISHING)
        published = self._findings.publish(audit, publishing) if self._findings else PublishedFindings()
        names = Names.of(audit.documents.values(), self._tags)
        named = self._earlier_events.name(names, deadline) if self._earlier_events else Named()
        checked = CompletenessReport()
        if not place:
            checked = self._check(audit, now, deadline.part(_SHARE_OF_CHECKING))
            self._publish_gaps(audit, published, checked, now, deadline.part(_SHARE_OF_PUBLISHING))
        seconds = deadline.clock.monotonic() - begun
        return PostureReport(audit, place is None, named, published, checked, seconds * 1000)

    def _check(self, audit: Audit, now: datetime, deadline: Deadline) -> CompletenessReport:
        """Check hours for what is missing. What cannot be checked now is checked by the next run."""
        if not self._completeness:
            return CompletenessReport()
        try:
            fleet = FleetInstances.of(list(audit.documents.values()), self._tags)
            return self._completeness.run(fleet, now, deadline)
        except SearchUnavailable as exc:
            return CompletenessReport(cause=str(exc))

    def _publish_gaps(
        self,
        audit: Audit,
        published: PublishedFindings,
        checked: CompletenessReport,
        now: datetime,
        deadline: Deadline,
    ) -> None:
        """Send what is missing of each database, and note it in both reports."""
        if not self._completeness or not self._findings:
            return
        documents = {id_: audit.documents[id_] for id_ in audit.changed} | published.noted
        try:
            gaps = self._completeness.gaps(now, deadline)
            published.add(self._findings.publish_gaps(documents, gaps, audit.at, deadline))
        except SearchUnavailable as exc:
            checked.cause = checked.cause or str(exc)


def read_place(event: Mapping[str, Any]) -> Place | None:
    """The place of an event of RDS from EventBridge; None for a schedule's. Raises RequestError."""
    if event.get("source") != "aws.rds":
        return None
    account_id, region = event.get("account"), event.get("region")
    if not isinstance(account_id, str) or not isinstance(region, str) or not account_id or not region:
        raise RequestError("the event of RDS names no account or no region")
    return Place(account_id, region)
