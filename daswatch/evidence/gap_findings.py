"""What is missing of a database -> its finding in the AWS Security Finding Format.

One finding for each database that ever had a gap. It is sent when what is missing changes, and archived when nothing
is missing any more, or the tallies are gone by which a check could show that. The document of the database has what
Security Hub has accepted (`gapState`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from daswatch.alerts.findings import MAX_DESCRIPTION, MAX_RECOMMENDATION, MAX_VALUE, Posting, head
from daswatch.alerts.text import plain, shortened
from daswatch.canonical import canonical_json
from daswatch.evidence.completeness import (
    EVIDENCE,
    HOUR,
    Document,
    EvidencePlaces,
    HoleKind,
    minute_of,
    replay_command,
    replayed_until,
)
from daswatch.fleet.compliance import TYPE, resource_of
from daswatch.fleet.database import Document as DatabaseDocument
from daswatch.indexing.tallies import KEPT
from daswatch.times import iso_milliseconds, moment_of

TITLE = "Activity stream data should be complete"
GENERATOR = "das/completeness"
# So long after its end an hour may still be completed by itself: ingest is late, the manifest of its archive is due.
SETTLING = HOUR
REPORTED = KEPT  # how long ago an hour can be checked again
COMPLETE = "complete"
RELATED_REQUIREMENTS = ("PCI DSS v4.0.1/10.2.1", "PCI DSS v4.0.1/10.7.2", "CIS Controls v8/8.2")

# What the evidence lacks is in OpenSearch, and silence may be a restart.
_SEVERITIES = {
    HoleKind.NOT_INDEXED: "HIGH",
    HoleKind.NOT_INGESTED: "HIGH",
    HoleKind.DEAD_LETTERS: "HIGH",
    HoleKind.NOT_ARCHIVED: "MEDIUM",
    HoleKind.SILENT: "MEDIUM",
}
_UNITS = {HoleKind.NOT_INDEXED: "events", HoleKind.SILENT: "minutes"}  # of all others, records


@dataclass(slots=True)
class KindOfGap:
    """All holes of one kind of a database: minutes, how much is missing, and from when to when they are."""

    since: datetime
    until: datetime
    minutes: int = 0
    missing: int = 0

    def add(self, since: datetime, until: datetime, missing: int) -> None:
        """Take one hole."""
        self.since, self.until = min(self.since, since), max(self.until, until)
        self.minutes += (until - since) // timedelta(minutes=1)
        self.missing += missing


@dataclass(slots=True)
class DatabaseGap:
    """What is missing of one database."""

    kinds: dict[HoleKind, KindOfGap] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Differs where what is missing differs."""
        found = [
            [kind.value, iso_milliseconds(one.since), iso_milliseconds(one.until), one.minutes, one.missing]
            for kind, one in sorted(self.kinds.items())
        ]
        return blake2b(canonical_json(found), digest_size=16).hexdigest()


def gaps_of(documents: Iterable[Document]) -> dict[str, DatabaseGap]:
    """What is missing, by resource id, without hours that are still settling."""
    found: dict[str, DatabaseGap] = {}
    for one in documents:
        if moment_of(one["checkedAt"]) < moment_of(one["@timestamp"]) + HOUR + SETTLING:
            continue
        for hole in one.get("holes", ()):
            gap = found.setdefault(one["resourceId"], DatabaseGap())
            since, until = moment_of(hole["from"]), moment_of(hole["until"])
            kind = gap.kinds.setdefault(HoleKind(hole["kind"]), KindOfGap(since, until))
            kind.add(since, until, hole.get("missing", 0))
    return found


def state_of(document: DatabaseDocument, gap: DatabaseGap | None) -> str:
    """What the finding of a database has to say. One that is gone has none any more."""
    return COMPLETE if gap is None or "goneSince" in document else gap.state


def is_due(document: DatabaseDocument, gap: DatabaseGap | None) -> bool:
    """Whether Security Hub does not have the finding as it is now. Without a gap, none is needed."""
    accepted: str = document.get("gapState", COMPLETE)
    return accepted != state_of(document, gap)


def finding_of(
    document: DatabaseDocument, gap: DatabaseGap | None, posting: Posting, at: str, places: EvidencePlaces
) -> dict[str, Any]:
    """The finding as of a time, in ISO 8601; archived where nothing is missing."""
    gap = DatabaseGap() if gap is None or "goneSince" in document else gap
    name = plain(f"{document['databaseKind']}:{document['databaseIdentifier']}")
    account, region = document["awsAccountId"], document["awsRegion"]
    text = f"{name} in account {account}, {region}: {_in_words(gap)}."
    first = min((one.since for one in gap.kinds.values()), default=minute_of(moment_of(at)))
    last = max((one.until for one in gap.kinds.values()), default=first)
    severities = {_SEVERITIES[kind] for kind in gap.kinds}
    severity = next((one for one in ("HIGH", "MEDIUM") if one in severities), "INFORMATIONAL")
    return {
        **head(posting),
        "Id": f"{posting.indices.stem}/{account}/{region}/{plain(document['resourceId'])}/completeness",
        "GeneratorId": GENERATOR,
        "CreatedAt": document["firstSeen"],
        "UpdatedAt": at,
        "FirstObservedAt": iso_milliseconds(first),
        "LastObservedAt": iso_milliseconds(last),
        "Title": TITLE,
        "Description": shortened(text, MAX_DESCRIPTION),
        "FindingProviderFields": {"Severity": {"Label": severity, "Original": _verdict(gap)}, "Types": [TYPE]},
        "Compliance": {
            "Status": "FAILED" if gap.kinds else "PASSED",
            "StatusReasons": [
                {"ReasonCode": f"ACTIVITY_STREAM_{kind.name}", "Description": EVIDENCE[kind]}
                for kind in sorted(gap.kinds)
            ]
            or [{"ReasonCode": "ACTIVITY_STREAM_COMPLETE", "Description": _NOTHING}],
            "RelatedRequirements": list(RELATED_REQUIREMENTS),
        },
        "Resources": [resource_of(document)],
        "Remediation": {"Recommendation": {"Text": _runbook(document, gap, places)}},
        "ProductFields": {
            f"daswatch/{field}": shortened(text, MAX_VALUE)
            for field, value in _facts(document, gap)
            if (text := plain(value))
        },
        "RecordState": "ACTIVE" if gap.kinds else "ARCHIVED",
    }


_NOTHING = f"nothing is missing of the last {REPORTED.days} days"


def _verdict(gap: DatabaseGap) -> str:
    return "gap" if gap.kinds else "complete"


def _in_words(gap: DatabaseGap) -> str:
    parts = []
    for kind, one in sorted(gap.kinds.items()):
        amount = one.minutes if kind is HoleKind.SILENT else one.missing
        span = f"{one.since:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M}"
        parts.append(f"{amount:,} {_UNITS.get(kind, 'records')} {kind}, {span}")
    return "; ".join(parts) or _NOTHING


def _runbook(document: DatabaseDocument, gap: DatabaseGap, places: EvidencePlaces) -> str:
    """The commands that bring it back. Holes in the same bucket are of one command."""
    resource_id = document["resourceId"]
    from_archive = [kind for kind in gap.kinds if kind not in (HoleKind.NOT_ARCHIVED, HoleKind.DEAD_LETTERS)]
    steps = []
    for kinds, bucket in ((from_archive, places.evidence), ([HoleKind.DEAD_LETTERS], places.dead_letters)):
        found = [(kind, gap.kinds[kind]) for kind in kinds if kind in gap.kinds]
        if found:
            since = min(one.since for _, one in found)
            until = max(replayed_until(kind, one.until) for kind, one in found)
            steps.append(f"`{replay_command(bucket, since, until, resource_id)}`")
    if HoleKind.NOT_ARCHIVED in gap.kinds:
        steps.append("Nothing brings back what was not archived; OpenSearch has these events.")
    every = f"`daswatch gaps --from {REPORTED.days}d --database {plain(document['databaseIdentifier'])}` lists each."
    return shortened(" ".join([*steps, every]), MAX_RECOMMENDATION)


def _facts(document: DatabaseDocument, gap: DatabaseGap) -> Iterable[tuple[str, str]]:
    yield "Verdict", _verdict(gap)
    for name in ("databaseIdentifier", "resourceId", "awsAccountId", "awsRegion"):
        yield f"{name[0].upper()}{name[1:]}", str(document.get(name, ""))
    for kind, one in sorted(gap.kinds.items()):
        yield "".join(part.title() for part in kind.split()), f"{one.missing} in {one.minutes} minutes"


def due(documents: Mapping[str, DatabaseDocument], gaps: Mapping[str, DatabaseGap]) -> dict[str, DatabaseGap | None]:
    """The databases whose finding Security Hub does not have as it is now, by the ids of their documents."""
    found = {id_: gaps.get(one["resourceId"]) for id_, one in sorted(documents.items())}
    return {id_: gap for id_, gap in found.items() if is_due(documents[id_], gap)}
