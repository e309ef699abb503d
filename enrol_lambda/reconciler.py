"""One run: looks at the databases of this region and their consumers, and takes the next steps of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from daswatch.aws.enrolment import ConsumersGateway, StepsGateway
from daswatch.aws.first_records import Database, FirstRecords
from daswatch.aws.fleet import FleetLookup
from daswatch.deadline import Deadline
from daswatch.enrolment.conditions import WatchedStream
from daswatch.enrolment.consumers import Consumers, DeliveryFound, Kind
from daswatch.enrolment.plan import Act, Enrolment, OnDeselection, Present, State, Wanted, orphaned_streams, plan
from daswatch.enrolment.record import (
    Document,
    EvidenceBegin,
    Outcome,
    document_of,
    foreign_names,
    has_begin,
    id_of,
    memory_of,
    started_document_of,
    to_describe,
    vanished_documents,
)
from daswatch.enrolment.selection import Selection
from daswatch.errors import ConsumersUnavailable, FleetUnavailable, SearchUnavailable
from daswatch.fleet.database import Place
from daswatch.opensearch.enrolment_index import EnrolmentIndex
from daswatch.times import iso_milliseconds, moment_of

# Of the time of a run; what is left is for writing.
_SHARE_OF_LOOKING = 0.4
_SHARE_OF_DESCRIBING = 0.3
_SHARE_OF_STEPS = 0.6
_SHARE_OF_EVIDENCE = 0.8
_SHORTEST_STEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class EnrolmentReport:
    """What a run found and did. `causes` say what could not be asked or written."""

    enrolments: tuple[Enrolment, ...] = ()
    outcomes: Mapping[str, tuple[Outcome, ...]] = field(default_factory=dict)  # by the id of the document
    left: int = 0  # steps for which there was no time
    causes: tuple[str, ...] = ()
    total_ms: float = 0.0
    dry_run: bool = False
    watched: tuple[WatchedStream, ...] = ()

    @property
    def failures(self) -> dict[str, str]:
        """The databases that need a person, by name, with the reason."""
        found = {one.name: one.reason for one in self.enrolments if one.state is State.FAILED}
        for one in self.enrolments:
            outcomes = self.outcomes.get(id_of(one), ())
            if any(out.failure and not out.is_passing for out in outcomes):
                found[one.name] = "; ".join(f"{out.step.act}: {out.failure}" for out in outcomes if out.failure)
        return found


class Reconciler:
    """Enrols the databases of one account and region."""

    def __init__(
        self,
        place: Place,
        lookup: FleetLookup,
        consumers: ConsumersGateway,
        steps: Callable[[], StepsGateway],
        index: EnrolmentIndex,
        wanted: Wanted,
        first_records: FirstRecords | None = None,
    ) -> None:
        """`lookup` looks at the own region only. Without `first_records`, no evidence is kept."""
        self._place = place
        self._lookup = lookup
        self._consumers = consumers
        self._steps = steps
        self._index = index
        self._wanted = wanted
        self._first_records = first_records

    def run(
        self, now: datetime, deadline: Deadline, *, dry_run: bool = False, release: OnDeselection | None = None
    ) -> EnrolmentReport:
        """Take the next steps; what there is no time for, and what failed, the next run takes up.

        With `release`, nothing is selected any more. Raises FleetUnavailable, ConsumersUnavailable: without these,
        nothing is known and nothing is done.
        """
        begun, at = deadline.clock.monotonic(), iso_milliseconds(now)
        wanted = self._wanted
        if release:
            wanted = replace(wanted, selection=Selection(), on_deselection=release)
        causes: list[str] = []
        (look,) = self._lookup.look([self._place.account_id], deadline.part(_SHARE_OF_LOOKING))
        if look.failure:
            raise FleetUnavailable(f"{look.place}: {look.failure}")
        documents = self._read(deadline, causes)
        present, described = self._present(documents or {}, at, deadline, causes)
        present = replace(
            present,
            gone=self._consumers.gone(
                orphaned_streams(look, present, wanted.consumers), deadline.part(_SHARE_OF_DESCRIBING)
            ),
        )
        memories = None if documents is None else {name: memory_of(one) for name, one in documents.items()}
        enrolments = plan(look, present, wanted, memories, at)
        watched = _watched(enrolments, present, documents or {}, wanted.consumers)
        report = EnrolmentReport(tuple(enrolments), causes=tuple(causes), dry_run=dry_run, watched=tuple(watched))
        if not dry_run:
            report = self._act(report, documents, described, at, deadline)
        return replace(report, total_ms=(deadline.clock.monotonic() - begun) * 1000)

    def _read(self, deadline: Deadline, causes: list[str]) -> dict[str, Document] | None:
        """What is remembered by resource id; None where OpenSearch does not say."""
        try:
            found = self._index.read(self._place, deadline.part(_SHARE_OF_LOOKING))
        except SearchUnavailable as exc:
            causes.append(str(exc))
            return None
        return {one["resourceId"]: one for one in found.values()}

    def _present(
        self, documents: Mapping[str, Document], at: str, deadline: Deadline, causes: list[str]
    ) -> tuple[Present, list[DeliveryFound]]:
        consumers = self._wanted.consumers
        mappings = self._consumers.mappings(consumers.function, deadline)
        try:
            names = self._consumers.delivery_names(deadline.part(_SHARE_OF_DESCRIBING))
            due = to_describe(names, documents, consumers, at)
            described = self._consumers.deliveries(due, deadline.part(_SHARE_OF_DESCRIBING))
            unread = foreign_names(names, consumers) - {one.name for one in described}
        except ConsumersUnavailable as exc:
            causes.append(str(exc))
            return Present(mappings, delivery_names=None), []
        return Present(mappings, {(one.stream_arn, one.kind): one for one in described}, names, unread), described

    def _act(
        self,
        report: EnrolmentReport,
        documents: Mapping[str, Document] | None,
        described: Sequence[DeliveryFound],
        at: str,
        deadline: Deadline,
    ) -> EnrolmentReport:
        causes = list(report.causes)
        documents, is_known = documents or {}, documents is not None
        starts = [one for one in report.enrolments if one.starts]
        waiting: frozenset[str] = frozenset()
        # What is to be started is remembered before it is: a run that ends in between, or another one at the same
        # time, must not start it twice.
        if starts:
            claims = {id_of(one): started_document_of(one, documents.get(one.resource_id), at) for one in starts}
            try:
                waiting = self._index.claim(claims, self._place, deadline)
            except SearchUnavailable as exc:
                causes.append(str(exc))
                waiting = frozenset(claims)
        outcomes, left = self._take(report.enrolments, waiting, deadline.part(_SHARE_OF_STEPS))
        if is_known:
            changed = _changed(report.enrolments, outcomes, documents, described, at)
            begins = self._begin_evidence(report.enrolments, documents, deadline.part(_SHARE_OF_EVIDENCE))
            for id_, (before, begin) in begins.items():
                after = {**changed.get(id_, before), "evidenceStart": str(begin)}
                if after != before:
                    changed[id_] = after
            try:
                self._index.write(changed, deadline)
            except SearchUnavailable as exc:
                causes.append(str(exc))
        return replace(report, outcomes=outcomes, left=left, causes=tuple(dict.fromkeys(causes)))

    def _begin_evidence(
        self, enrolments: Iterable[Enrolment], documents: Mapping[str, Document], deadline: Deadline
    ) -> dict[str, tuple[Document, EvidenceBegin]]:
        """Write the records from before each delivery began, as far as there is time; the newest databases first."""
        if self._first_records is None:
            return {}
        found: dict[str, tuple[Document, EvidenceBegin]] = {}
        watched = [(documents[one.resource_id], one) for one in enrolments if one.resource_id in documents]
        due = [(before, one) for before, one in watched if one.state is State.WATCHED and not has_begin(before)]
        for place, (before, one) in enumerate(sorted(due, key=lambda pair: pair[0]["since"], reverse=True)):
            share = deadline.part(1 / (len(due) - place))
            if share.remaining < _SHORTEST_STEP_SECONDS:
                break
            stream = Database(one.resource_id, one.stream_arn.rpartition("/")[2])
            progress = self._first_records.advance(stream, share)
            found[id_of(one)] = (before, EvidenceBegin(progress.complete, str(progress.lost or ""), progress.left))
        return found

    def _take(
        self, enrolments: Iterable[Enrolment], waiting: Collection[str], deadline: Deadline
    ) -> tuple[dict[str, tuple[Outcome, ...]], int]:
        """Take the steps one after the other; what became of each by the id of the document, and how many are left."""
        gateway, left = self._steps(), 0
        outcomes: dict[str, tuple[Outcome, ...]] = {}
        blocked: set[Act] = set()
        for one in enrolments:
            for step in one.steps:
                if id_of(one) in waiting or step.act in blocked or deadline.remaining < _SHORTEST_STEP_SECONDS:
                    left += 1
                    continue
                outcome = gateway.take(one, step, deadline)
                outcomes[id_of(one)] = (*outcomes.get(id_of(one), ()), outcome)
                if outcome.ends_act:
                    blocked.add(step.act)
        return outcomes, left


def _watched(
    enrolments: Iterable[Enrolment], present: Present, documents: Mapping[str, Document], consumers: Consumers
) -> Iterator[WatchedStream]:
    """The streams that are on and have consumers, and since when."""
    for one in enrolments:
        mapping = present.mappings.get(one.stream_arn)
        if mapping is None or one.resource_id not in documents or one.state is not State.WATCHED:
            continue
        names = {kind: present.delivery(consumers, one.stream_arn, kind) for kind in consumers.kinds}
        yield WatchedStream(
            one.name,
            one.stream_arn.rpartition("/")[2],
            mapping.uuid,
            names.get(Kind.EVIDENCE, ""),
            names.get(Kind.SPLUNK, ""),
            moment_of(documents[one.resource_id]["since"]),
        )


def _changed(
    enrolments: Collection[Enrolment],
    outcomes: Mapping[str, tuple[Outcome, ...]],
    documents: Mapping[str, Document],
    described: Iterable[DeliveryFound],
    at: str,
) -> dict[str, Document]:
    """The documents to write after a run, by id. That of a start is written whatever came of it: it was claimed."""
    deliveries: dict[str, list[DeliveryFound]] = {}
    for delivery in described:
        deliveries.setdefault(delivery.stream_arn, []).append(delivery)
    changed: dict[str, Document] = {}
    for one in enrolments:
        before = documents.get(one.resource_id or one.name)
        after = document_of(one, outcomes.get(id_of(one), ()), deliveries.get(one.stream_arn, ()), before, at)
        if after != before or one.starts:
            changed[id_of(one)] = after
    return {**changed, **dict(vanished_documents(documents.values(), enrolments, at))}
