"""One run of all saved queries: what arrived, what fires, which alerts that makes, and what has to be told.

The order makes every crash harmless. Alerts are written first, over the version that was read; then they are told, and
that is noted; then what was seen; and last how far the run came. Whatever is interrupted is found again by the next
run: what was not told by `das-alerts`, what was not looked at by `das-runs`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daswatch import alerts, seen
from daswatch.alerts import Firing, State, changes
from daswatch.bulk import Action
from daswatch.deadline import Deadline
from daswatch.detections import Detection, Kind, Suppression, by_name
from daswatch.errors import SearchUnavailable, TemplatesMissing
from daswatch.gateways.alert_index import RUNS_INDEX, AlertIndex, Progress
from daswatch.gateways.saved_queries import Group, Question, SavedQueries
from daswatch.gateways.search import SearchGateway
from daswatch.notifications import FAILING, failing_query
from daswatch.queries import (
    Candidate,
    arrival_window,
    evaluation_times,
    event_indices,
    event_window,
    index_of,
    overlap,
    silence_window,
)
from daswatch.seen import Seen, by_network, is_new, learning_id, seen_id, sightings
from daswatch.stream_records import iso_milliseconds
from findings_lambda.tell import Teller, Telling

_TEMPLATES = (alerts.INDEX, seen.INDEX, RUNS_INDEX)
_FIRST_LOOK = timedelta(minutes=15)  # of the very first run


@dataclass(slots=True)
class Report:
    """What one run did."""

    detections: int = 0
    searches: int = 0
    firings: int = 0
    raised: int = 0
    archived: int = 0
    conflicts: int = 0
    failing: dict[str, str] = field(default_factory=dict)  # detection -> cause
    refused_alerts: dict[str, str] = field(default_factory=dict)
    expired_suppressions: list[str] = field(default_factory=list)
    malformed: dict[str, int] = field(default_factory=dict)  # reason -> notifications
    full_notifications: int = 0  # of monitors that found more groups than a message takes, or just as many
    telling: Telling = field(default_factory=Telling)
    since: str = ""
    query_ms: float = 0.0
    total_ms: float = 0.0


class Watch:
    """The saved queries with what they need; one for as long as the function is warm."""

    def __init__(
        self,
        *,
        detections: Sequence[Detection],
        queries: SavedQueries,
        alert_index: AlertIndex,
        search: SearchGateway,
        teller: Teller,
        index_prefix: str,
    ) -> None:
        self._detections = by_name(detections)
        self._enabled = [detection for detection in detections if detection.enabled]
        self._queries = queries
        self._alerts = alert_index
        self._search = search
        self._teller = teller
        self._prefix = index_prefix
        self._templates_are_there = False

    def run(self, now: datetime, deadline: Deadline) -> Report:
        """Look at everything that arrived since the last run. Raises SearchUnavailable, then the next run does it."""
        begun = time.perf_counter()
        self._require_templates(deadline)
        before = self._alerts.progress(deadline)
        since = before.since if before else now - _FIRST_LOOK
        behind = before.behind if before else {}
        asked = [detection for detection in self._enabled if detection.kind is not Kind.FAILING]
        report = Report(detections=len(asked), since=iso_milliseconds(since))
        report.expired_suppressions = _expired(asked, now)

        starts = {detection.name: behind.get(detection.name, since) for detection in asked}
        questions, events = self._questions(asked, starts, now, deadline)
        answers = self._queries.ask(questions, deadline)
        report.searches, report.failing = answers.searches, dict(answers.failures)
        report.query_ms = (time.perf_counter() - begun) * 1000

        first_seen = [pair for pair in answers.candidates if pair[0].kind is Kind.FIRST_SEEN]
        found = [pair for pair in answers.candidates if pair[0].kind is not Kind.FIRST_SEEN]
        new, seen_now, known = self._new(first_seen, now, deadline)
        firings = self._firings([*found, *new], events, now, deadline, report)
        conflicting = self._settle(firings, now, deadline, report)

        for detection, candidates in seen_now.values():
            if detection.name in conflicting:
                continue  # noted as seen, it could not fire again
            self._note(sightings(detection, candidates, known, now), deadline)
        late = {*report.failing, *conflicting}
        progress = Progress(now, {name: starts[name] for name in late if name in starts})
        self._alerts.advance(before, progress, deadline)
        report.total_ms = (time.perf_counter() - begun) * 1000
        return report

    def take(self, firings: Sequence[Firing], now: datetime, deadline: Deadline) -> Report:
        """Make alerts of firings that something else found: a monitor's notification. Raises SearchUnavailable."""
        begun = time.perf_counter()
        self._require_templates(deadline)
        report = Report()
        ours, others = [], []
        for one in firings:
            detection = self._detections.get(one.detection)
            if detection and one.database.resource_id:
                ours.append((detection, _as_candidate(one)))
            else:
                others.append(one)
        days = [datetime.fromisoformat(one.first_seen).date() for one in firings]
        events = event_indices(min(days, default=now.date()), now.date(), self._prefix)
        report.firings = len(others)
        conflicting = self._settle(
            [*self._firings(ours, events, now, deadline, report), *others], now, deadline, report, quieten=False
        )
        if conflicting:
            raise SearchUnavailable(f"{len(conflicting)} alerts were changed meanwhile: notify again")
        report.total_ms = (time.perf_counter() - begun) * 1000
        return report

    def _require_templates(self, deadline: Deadline) -> None:
        """Raises TemplatesMissing before anything is written: an index would get guessed field types, for good."""
        if not self._templates_are_there:
            installed = self._search.template_names(deadline)
            for name in _TEMPLATES:
                if name not in installed:
                    raise TemplatesMissing(name)
            self._templates_are_there = True

    def _questions(
        self, asked: Sequence[Detection], starts: Mapping[str, datetime], now: datetime, deadline: Deadline
    ) -> tuple[list[Question], str]:
        # One that lags behind must not make the others look at its time again.
        oldest = {
            start: self._queries.oldest(arrival_window(start, now), f"{self._prefix}-*", deadline)
            for start in set(starts.values())
        }
        begin = min([now, *oldest, *filter(None, oldest.values())])
        longest = max((timedelta(seconds=one.window_seconds) + overlap(one) for one in asked), default=timedelta())
        events = event_indices((begin - longest).date(), now.date(), self._prefix)
        questions = []
        for detection in asked:
            index, start = index_of(detection, events), starts[detection.name]
            if detection.kind is Kind.SILENCE:
                windows = [silence_window(detection, now)]
            elif detection.window_seconds:
                times = evaluation_times(detection, start, oldest[start], now)
                windows = [event_window(detection, at) for at in times]
            else:
                windows = [arrival_window(start, now)]
            questions += [Question(detection, window, index) for window in windows]
        return questions, events

    def _new(
        self, first_seen: Iterable[tuple[Detection, Candidate]], now: datetime, deadline: Deadline
    ) -> tuple[list[tuple[Detection, Candidate]], dict[str, tuple[Detection, list[Candidate]]], dict[str, Seen]]:
        """Of first-seen detections: what is new, everything that was seen now, and what is known about it."""
        seen_now: dict[str, tuple[Detection, list[Candidate]]] = {}
        for detection, candidate in first_seen:
            seen_now.setdefault(detection.name, (detection, []))[1].append(candidate)
        seen_now = {name: (one, by_network(one, candidates)) for name, (one, candidates) in seen_now.items()}
        ids = {
            name
            for detection, candidates in seen_now.values()
            for one in candidates
            for name in (seen_id(detection, one), learning_id(detection, one.resource_id))
        }
        known = self._alerts.seen(sorted(ids), deadline)
        new = [
            (detection, one)
            for detection, candidates in seen_now.values()
            for one in candidates
            if is_new(
                detection,
                one,
                known.get(seen_id(detection, one)),
                known.get(learning_id(detection, one.resource_id)),
                now,
            )
        ]
        return new, seen_now, known

    def _firings(
        self,
        found: Sequence[tuple[Detection, Candidate]],
        events: str,
        now: datetime,
        deadline: Deadline,
        report: Report,
    ) -> list[Firing]:
        """What fires, counted from the begin of each episode; and one firing for each saved query that failed."""
        ids = [seen_id(detection, candidate) for detection, candidate in found]
        there = self._alerts.get(ids, deadline)
        groups = []
        for name, (detection, candidate) in zip(ids, found, strict=True):
            stored = there.get(name)
            begin = candidate.first_seen
            index = index_of(detection, events)
            if stored and stored.alert.state is State.ACTIVE and stored.alert.first_seen < begin:
                begin = stored.alert.first_seen
                first, last = datetime.fromisoformat(begin).date(), now.date()
                index = index_of(detection, event_indices(first, last, self._prefix))
            groups.append(Group(detection, candidate, begin, index))
        firings, failures = self._queries.firings(groups, iso_milliseconds(now), deadline)
        report.failing |= failures
        report.firings += len(firings)
        failing = self._detections.get(FAILING)
        if failing and failing.enabled:
            firings += [failing_query(failing, name, cause, now) for name, cause in report.failing.items()]
        return firings

    def _settle(
        self,
        firings: Sequence[Firing],
        now: datetime,
        deadline: Deadline,
        report: Report,
        *,
        quieten: bool = True,
    ) -> set[str]:
        """Bring alerts to what was found now and tell what is due; the detections where somebody else was faster."""
        stored = self._alerts.get([firing.alert_id for firing in firings], deadline)
        if quieten:
            stored |= {one.alert.id: one for one in self._alerts.unsettled(deadline)}
        there = {name: one.alert for name, one in stored.items()}
        changed = changes(there, firings, self._detections, now, messages=self._teller.has_topic)
        report.raised += sum(change.raised for change in changed)
        report.archived += sum(change.archived for change in changed)
        written = self._alerts.write(((one.after, stored.get(one.after.id)) for one in changed), deadline)
        report.conflicts += len(written.conflicts)
        report.refused_alerts |= written.refused

        to_tell = [(one.after, one.due) for one in changed if one.due and one.after.id in written.stored]
        told, report.telling = self._teller.tell(to_tell, self._detections, now, deadline)
        self._alerts.write(((alert, written.stored[alert.id]) for alert in told), deadline)
        return {_detection_of(name) for name in written.conflicts}

    def _note(self, actions: Sequence[Action], deadline: Deadline) -> None:
        result = self._search.write(actions, deadline)
        if result.unwritten or result.refused:
            raise SearchUnavailable(result.cause or "OpenSearch refused what was seen")


def _expired(detections: Iterable[Detection], now: datetime) -> list[str]:
    day = now.date().isoformat()

    def told(detection: Detection, suppression: Suppression) -> str:
        return f"{detection.name}: expired {suppression.expires}, owner {suppression.owner}"

    return [told(one, expired) for one in detections for expired in one.expired_suppressions(day)]


def _detection_of(alert_id: str) -> str:
    return alert_id.partition("/")[0]


def _as_candidate(firing: Firing) -> Candidate:
    return Candidate(
        firing.database.resource_id,
        firing.group,
        firing.count,
        firing.first_seen,
        firing.last_seen,
        firing.level,
        firing.metrics,
    )
