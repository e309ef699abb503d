"""One run over the fleet: what was known, what AWS says now and when each stream was last heard -> all documents.

The command and the function do the same with it: read, look, decide here, write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from daswatch.fleet.database import Document, Facts, Place, document_id
from daswatch.fleet.inventory import Look, NameMoved, place_of, updated
from daswatch.fleet.posture import EXEMPT, Coverage, Judgement, Verdict, coverage, judged

# Verdicts on which enrolment has nothing to say.
_NOT_FAILING = EXEMPT | {Verdict.COVERED, Verdict.STARTING}


@dataclass(frozen=True, slots=True)
class Heard:
    """When a database was last heard, and when it last did something: ISO 8601 in UTC, empty if never."""

    last_seen: str = ""
    last_event: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """The documents of all databases, by id, as a run leaves them; `changed` are those that it looked at.

    `seen` are the places that were looked at, `unseen` those that could not be, with the reason: an empty region stands
    for a whole account.
    """

    at: str
    documents: Mapping[str, Document]
    changed: frozenset[str]
    moved: tuple[NameMoved, ...] = ()
    unseen: Mapping[Place, str] = field(default_factory=dict)
    seen: frozenset[Place] = frozenset()

    @property
    def present(self) -> list[Document]:
        """The documents of databases that are not gone, by place and name."""
        there = (one for one in self.documents.values() if "goneSince" not in one)
        return sorted(there, key=lambda one: (one["awsAccountId"], one["awsRegion"], one["databaseIdentifier"]))

    @property
    def coverage(self) -> Coverage:
        """The coverage of the whole fleet."""
        return coverage(self.documents.values())


def audited(
    known: Mapping[str, Document],
    looks: Iterable[Look],
    heard: Mapping[str, Heard] | None,
    now: str,
    *,
    demands_sync: bool = False,
    failures: Mapping[str, str] | None = None,
) -> Audit:
    """Judge the fleet. `known` are documents by id, `now` is ISO 8601 in UTC.

    `heard` is by resource id, and None without an endpoint to ask. `failures` are the reasons for which databases could
    not be enrolled, by id.

    A database that could not be looked at keeps its document, and its verdict becomes unknown in what is returned: it
    is not written.
    """
    looks = list(looks)
    update = updated(known, looks, now)
    facts = {id_: one for look in looks for id_, one in look.facts.items()}
    documents: dict[str, Document] = {}
    for id_, document in update.documents.items():
        if "goneSince" in document:
            documents[id_] = document
            continue
        last = (heard or {}).get(document["resourceId"], Heard())
        own = replace(
            facts.get(id_, Facts()),
            last_pulse=None if heard is None else last.last_seen,
            pulse_before=known.get(id_, {}).get("lastPulse", ""),
        )
        judgement = judged(document, own, now, demands_sync=demands_sync)
        failure = (failures or {}).get(id_, "") if judgement.verdict not in _NOT_FAILING else ""
        documents[id_] = _with_failure(_with_verdict(document, judgement, own, last, now), failure, now)
    for id_, document in known.items():
        if id_ not in documents:
            why = _why_unseen(document, update.unseen)
            unknown = {"verdict": Verdict.UNKNOWN.value, "verdictReason": f"it could not be looked at: {why}"}
            documents[id_] = document if "goneSince" in document else {**document, **unknown}
    seen = frozenset(look.place for look in looks if not look.failure)
    return Audit(now, documents, frozenset(update.documents), update.moved, update.unseen, seen)


def _with_failure(document: Document, failure: str, now: str) -> Document:
    """A document with the reason for which its database could not be enrolled, and since when that is so or not."""
    before = document.get("enrolmentFailure", "")
    kept = {name: value for name, value in document.items() if name != "enrolmentFailure"}
    if failure:
        kept |= {"enrolmentFailure": failure, "verdictReason": f"{document['verdictReason']}; enrolment: {failure}"}
    return kept if failure == before else {**kept, "enrolmentSince": now}


def _with_verdict(document: Document, judgement: Judgement, facts: Facts, last: Heard, now: str) -> Document:
    before = document.get("verdict")
    verdict = judgement.verdict.value
    added = {
        "streamModes": sorted(facts.eligibility.modes or ()),  # in which it could start
        "streamKeyState": facts.key_state,
        "lastPulse": last.last_seen or document.get("lastPulse", ""),
        "lastEvent": last.last_event or document.get("lastEvent", ""),
        "verdict": verdict,
        "verdictReason": judgement.reason,
        "verdictSince": document.get("verdictSince", now) if before == verdict else now,
    }
    return {**document, **{name: value for name, value in added.items() if value}}


def _why_unseen(document: Document, unseen: Mapping[Place, str]) -> str:
    account_id = document["awsAccountId"]
    places = (Place(account_id, document["awsRegion"]), Place(account_id, ""))
    return next((unseen[place] for place in places if place in unseen), "its account or region is not looked at")


def history_of(audit: Audit) -> dict[str, dict[str, Any]]:
    """The documents of `das-posture-*` of a run, by id: the verdict on each database, so that all filters are exact."""
    fields = ("awsAccountId", "awsRegion", "databaseIdentifier", "resourceId", "engine", "verdict")
    return {
        f"{audit.at}/{document_id(place_of(one), one['resourceId'])}": {
            "@timestamp": audit.at,
            **{name: one.get(name, "") for name in fields},
        }
        for one in audit.present
    }
