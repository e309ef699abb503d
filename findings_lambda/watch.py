"""One run of all saved queries: what arrived, what fires, which alerts that makes, and what has to be published.

The order makes every crash harmless, and no service holds up another. Alerts are written first, over the version that
was read; then what was seen, of the detections whose alerts are written; then how far the run came. Only then they are
published, messages before findings, and each portion is noted before the next goes out. Whatever is interrupted is
found again by the next run: what was not looked at by `das-runs`, what was not published by `das-alerts`, which holds
that it is due from the moment that the alert is written. A message alone can go out twice: where the function ends
after SNS took it and before that is noted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from daswatch import alerts, seen
from daswatch.alerts import Alert, Due, Firing, Published, State, changes, noted
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
from daswatch.storms import Storm, divide
from daswatch.stream_records import iso_milliseconds
from findings_lambda.tell import Teller, Telling

_TEMPLATES = (alerts.INDEX, seen.INDEX, RUNS_INDEX)
_FIRST_LOOK = timedelta(minutes=15)  # of the very first run
_SIGHTINGS = 1_000  # in one request

# What writes that are refused may take of the time left: the rest goes on without them. The last seconds are for noting
# what was published.
_WRITING = 0.5
_NOTE_SECONDS = 3.0


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
    refused_sightings: dict[str, str] = field(default_factory=dict)  # detection -> OpenSearch's name for the reason
    unwritten: dict[str, str] = field(default_factory=dict)  # detection -> why its alerts or sightings are not written
    storms: dict[str, int] = field(default_factory=dict)  # id of a summary -> groups that fired
    expired_suppressions: list[str] = field(default_factory=list)
    malformed: dict[str, int] = field(default_factory=dict)  # reason -> notifications
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
        new, seen_now, known = self._new(first_seen, now, deadline, report)
        bounded, storms = self._bounded([*found, *new], deadline, report)
        firings = _summarized(self._firings(bounded, events, now, deadline, report), storms)
        late, dues = self._settle(firings, now, deadline, report)

        for detection, candidates in seen_now.values():
            if detection.name in late or detection.name in report.failing:
                continue  # noted as seen, it could not fire again
            late |= self._note_seen(detection, sightings(detection, candidates, known, now), deadline, report)
        late |= report.failing.keys()
        progress = Progress(now, {name: starts[name] for name in late if name in starts})
        failure = None
        try:
            self._alerts.advance(before, progress, deadline)
        except SearchUnavailable as exc:
            failure = exc  # the alerts are written all the same
        self._publish(dues, now, deadline, report)
        if failure:
            raise failure
        report.total_ms = (time.perf_counter() - begun) * 1000
        return report

    def take(self, firings: Sequence[Firing], now: datetime, deadline: Deadline) -> Report:
        """Make alerts of firings that something else found: a monitor's notification. Raises SearchUnavailable."""
        begun = time.perf_counter()
        self._require_templates(deadline)
        report = Report()
        ours, theirs = [], []
        for one in firings:
            detection = self._detections.get(one.detection)
            if detection and one.database.resource_id:
                ours.append((detection, _as_candidate(one)))
            else:
                theirs.append(one)
        bounded, storms = self._bounded(ours, deadline, report)
        others = self._bounded_firings(theirs, deadline, report)
        days = [datetime.fromisoformat(one.first_seen).date() for one in firings]
        events = event_indices(min(days, default=now.date()), now.date(), self._prefix)
        report.firings = len(others)
        found = _summarized(self._firings(bounded, events, now, deadline, report), storms)
        late, dues = self._settle([*found, *others], now, deadline, report, quieten=False)
        self._publish(dues, now, deadline, report)
        if late:
            raise SearchUnavailable(f"alerts of {len(late)} detections are not written: notify again")
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
        self, first_seen: Iterable[tuple[Detection, Candidate]], now: datetime, deadline: Deadline, report: Report
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
        try:
            known = self._alerts.seen(sorted(ids), deadline)
        except SearchUnavailable as exc:
            report.failing |= dict.fromkeys(seen_now, str(exc))
            return [], {}, {}
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

    def _bounded(
        self, found: Sequence[tuple[Detection, Candidate]], deadline: Deadline, report: Report
    ) -> tuple[list[tuple[Detection, Candidate]], list[Storm]]:
        """The groups that get an alert of their own, with a summary of the others of each storm, and the storms."""
        kept, storms = self._divide([(detection.name, candidate) for detection, candidate in found], deadline, report)
        summaries = [(self._detections[storm.detection], storm.summary) for storm in storms]
        return [*(found[position] for position in kept), *summaries], storms

    def _bounded_firings(self, found: Sequence[Firing], deadline: Deadline, report: Report) -> list[Firing]:
        """The same of firings that OpenSearch is not asked about: of analysts' monitors."""
        kept, storms = self._divide([(one.detection, _as_candidate(one)) for one in found], deadline, report)
        return [*(found[position] for position in kept), *(_summary(storm, found) for storm in storms)]

    def _divide(
        self, found: Sequence[tuple[str, Candidate]], deadline: Deadline, report: Report
    ) -> tuple[list[int], list[Storm]]:
        if not found:
            return [], []
        detections = {name for name, _ in found}
        resource_ids = {candidate.resource_id for _, candidate in found}
        kept, storms = divide(found, self._alerts.open_ids(detections, resource_ids, deadline))
        report.storms |= {storm.alert_id: storm.total for storm in storms}
        return kept, storms

    def _settle(
        self,
        firings: Sequence[Firing],
        now: datetime,
        deadline: Deadline,
        report: Report,
        *,
        quieten: bool = True,
    ) -> tuple[set[str], list[tuple[Alert, Due]]]:
        """Bring alerts to what was found now.

        Returns the detections whose alerts are not written, and what is due of the alerts as they are now.
        """
        stored = self._alerts.get([firing.alert_id for firing in firings], deadline)
        if quieten:
            unsettled = self._alerts.unsettled(now, deadline, messages=self._teller.has_topic)
            stored |= {one.alert.id: one for one in unsettled}
        there = {name: one.alert for name, one in stored.items()}
        changed = changes(there, firings, self._detections, now, messages=self._teller.has_topic)
        to_write = [(change.after, stored.get(change.after.id)) for change in changed if change.written]
        written = self._alerts.write(to_write, deadline.part(_WRITING))
        report.raised += sum(change.raised and change.after.id in written.ids for change in changed)
        report.archived += sum(change.archived and change.after.id in written.ids for change in changed)
        report.conflicts += len(written.conflicts)
        report.refused_alerts |= written.refused
        report.unwritten |= {_detection_of(name): written.cause for name in written.unwritten}

        fired = {firing.alert_id for firing in firings}
        late = {_detection_of(name) for name in (written.conflicts | written.unwritten) & fired}
        dues = [
            (change.after, change.due)
            for change in changed
            if change.due and (change.after.id in written.ids or not change.written)
        ]
        return late, dues

    def _publish(self, dues: Sequence[tuple[Alert, Due]], now: datetime, deadline: Deadline, report: Report) -> None:
        """Publish what is due, and note each portion before the next one goes out."""
        sending = deadline.earlier(_NOTE_SECONDS)
        waiting = {alert.id: alert for alert, what in dues if what.message}
        for portion in self._teller.mail(list(waiting.values()), self._detections, sending, report.telling):
            waiting = {name: alert for name, alert in waiting.items() if name not in {one.alert.id for one in portion}}
            if not self._noted(portion, now, deadline, report):
                break  # what cannot be noted would go out again
        self._noted([Published(alert) for alert in waiting.values()], now, deadline, report)
        findings = [alert for alert, what in dues if what.finding]
        for portion in self._teller.post(findings, self._detections, sending, report.telling):
            self._noted(portion, now, deadline, report)

    def _noted(self, portion: Sequence[Published], now: datetime, deadline: Deadline, report: Report) -> bool:
        """Note what was published, over whatever the alerts are by now; False where that was not possible."""
        published = {one.alert.id: one for one in portion}
        if not published:
            return True
        noting = deadline.part(_WRITING)
        outcome = self._alerts.update(published, lambda alert: noted(alert, published[alert.id], now), noting)
        report.refused_alerts |= outcome.refused
        if outcome.unwritten:
            report.telling.unnoted += len(outcome.unwritten)
            report.telling.causes.add(f"not noted: {outcome.cause}")
        return not outcome.unwritten

    def _note_seen(
        self, detection: Detection, actions: Sequence[Action], deadline: Deadline, report: Report
    ) -> set[str]:
        """Note what a detection saw; the detection where that is not written: its next run looks again."""
        writing = deadline.part(_WRITING)
        for begin in range(0, len(actions), _SIGHTINGS):
            result = self._search.write(actions[begin : begin + _SIGHTINGS], writing)
            if result.refused:
                report.refused_sightings[detection.name] = result.refused[0].error_type
            if result.unwritten:
                report.unwritten[detection.name] = result.cause
                return {detection.name}
        return set()


def _summarized(firings: Iterable[Firing], storms: Iterable[Storm]) -> list[Firing]:
    by_id = {storm.alert_id: storm for storm in storms}
    return [by_id[one.alert_id].summarized(one) if one.alert_id in by_id else one for one in firings]


def _summary(storm: Storm, found: Iterable[Firing]) -> Firing:
    """A storm's firing, where OpenSearch is not asked for its events."""
    alike = (storm.detection, storm.summary.resource_id)
    example = next(one for one in found if (one.detection, one.database.resource_id) == alike)
    summary = storm.summary
    return storm.summarized(
        replace(
            example,
            level=summary.level,
            group=summary.group,
            first_seen=summary.first_seen,
            last_seen=summary.last_seen,
            count=summary.count,
            actors={},
            samples=(),
        )
    )


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
