"""One run of all saved queries: what arrived, what fires, which alerts that makes, and what has to be published.

The order makes every crash harmless, and no service holds up another. Alerts are written first, over the version that
was read; then what was seen, of the detections whose alerts are written; then how far the run came. Only then they are
published, messages before findings, and each portion is noted before the next goes out. Whatever is interrupted is
found again by the next run: what was not looked at by `das-runs`, what was not published by `das-alerts`, which holds
that it is due from the moment that the alert is written. A message alone can go out twice: where the function ends
after SNS took it and before that is noted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from daswatch.alerts.alert import Alert, Due, Firing, Published, State, changes, noted
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, Kind, Source, Suppression, by_name
from daswatch.errors import SearchUnavailable, TemplatesMissing
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.alert_index import AlertIndex, Progress
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.saved_queries import Answers, Failure, Group, Question, SavedQueries
from daswatch.queries.backlog import RECENT, Arrivals, Backlog, Span, behind, days_of, recent
from daswatch.queries.first_seen import Seen, by_network, is_new, learning_id, seen_id, sightings
from daswatch.queries.notifications import FAILING, failing_query
from daswatch.queries.saved_query import (
    Candidate,
    Window,
    event_indices,
    index_of,
    silence_window,
    windows_between,
    windows_with,
)
from daswatch.queries.storms import Storm, divide
from daswatch.times import iso_milliseconds, moment_of
from findings_lambda.notifier import NotificationResult, Notifier

# A run's searches about a backlog: about twice those about what just arrived, so that no run costs three times as much
# as one that has nothing to catch up with. A slice is looked at as a whole.
_BACKLOG_SEARCHES = 36
_BACKLOG_SHARE = 2.0  # and that much of the time that the rest of the run took
_BACKLOG_SECONDS = 20.0  # left to the function, without which no slice is begun
_ASKING = 0.6  # what questions may take of the time left: their alerts have to be written, too
_LATE_SEARCHES = 18  # about late events, of one look
_NOTHING = datetime.min.replace(tzinfo=UTC)  # no late event was looked at
_LATE = "late-arrivals"  # what fails where it cannot be searched for them
_SIGHTINGS = 1_000  # in one request

# What writes that are refused may take of the time left: the rest goes on without them. The last seconds are for noting
# what was published.
_WRITING = 0.5
_NOTE_SECONDS = 3.0


@dataclass(slots=True)
class RunReport:
    """What one run did."""

    detections: int = 0
    searches: int = 0
    firings: int = 0
    raised: int = 0
    archived: int = 0
    conflicts: int = 0
    failing: dict[str, str] = field(default_factory=dict)  # detection -> cause
    behind: dict[str, str] = field(default_factory=dict)  # detection -> what arrived later has still to be looked at
    superseded: int = 0  # episodes of a backlog that ended before one which is known already
    refused_alerts: dict[str, str] = field(default_factory=dict)
    refused_sightings: dict[str, str] = field(default_factory=dict)  # detection -> OpenSearch's name for the reason
    unwritten: dict[str, str] = field(default_factory=dict)  # detection -> why its alerts or sightings are not written
    storms: dict[str, int] = field(default_factory=dict)  # id of a summary -> groups that fired
    expired_suppressions: list[str] = field(default_factory=list)
    malformed: dict[str, int] = field(default_factory=dict)  # reason -> notifications
    full_notifications: int = 0  # of monitors that found more groups than a message takes, or just as many
    sent: NotificationResult = field(default_factory=NotificationResult)
    since: str = ""
    query_ms: float = 0.0
    total_ms: float = 0.0


class DetectionRunner:
    """The saved queries with what they need; one for as long as the function is warm."""

    def __init__(
        self,
        *,
        detections: Sequence[Detection],
        queries: SavedQueries,
        alert_index: AlertIndex,
        search: SearchGateway,
        notifier: Notifier,
        indices: Indices,
    ) -> None:
        self._detections = by_name(detections)
        self._enabled = [detection for detection in detections if detection.enabled]
        self._queries = queries
        self._alerts = alert_index
        self._search = search
        self._notifier = notifier
        self._indices = indices
        self._templates_are_there = False

    def run(self, now: datetime, deadline: Deadline) -> RunReport:
        """Look at what arrived since the last run, then at a part of what is older. Raises SearchUnavailable."""
        begun = deadline.clock.monotonic()
        self._require_templates(deadline)
        before = self._alerts.progress(deadline)
        asked = [detection for detection in self._enabled if detection.kind is not Kind.FAILING]
        progress = before or Progress(now - RECENT)
        report = RunReport(detections=len(asked), since=iso_milliseconds(progress.since))
        report.expired_suppressions = _expired(asked, now)

        arrivals = recent(progress.since, now)
        late = self._late(arrivals, report, deadline)
        backlogs: dict[str, Backlog | None] = {
            one.name: progress.backlogs.get(one.name) for one in asked if one.kind is not Kind.SILENCE
        }
        # Where there is a backlog already, late events become a part of it: a run works on one of the two.
        catching_up = any(backlogs.values()) or progress.since < arrivals.since
        now_late = late if late is None or not catching_up else []
        # Those that failed in the last run are asked on their own, so that a slow one makes nobody else wait.
        fail = [one for one in asked if (lag := backlogs.get(one.name)) and lag.until == progress.since]
        dues: dict[str, tuple[Alert, Due]] = {}
        for number, lane in enumerate(([one for one in asked if one not in fail], fail)):
            if not lane and number:
                continue
            looked = self._ask(lane, arrivals, now_late, report, deadline)
            if late and not now_late:
                looked.at = _NOTHING
            gaps = {one.name for one in lane if backlogs.get(one.name) or progress.since < arrivals.since}
            failed = looked.failed | self._raise(
                looked, lane, now, arrivals, deadline, report, dues, gaps=progress.gaps(gaps), quieten=not number
            )
            for one in lane:
                if one.kind is Kind.SILENCE:
                    continue  # it asks what is silent now, and no more
                backlogs[one.name] = behind(
                    backlogs[one.name], progress.since, arrivals, failed=one.name in failed, at=looked.until_of(one)
                )
        seconds = deadline.clock.monotonic() - begun
        report.query_ms = seconds * 1000
        further, failure = None, None
        try:
            further = self._alerts.advance(before, Progress(now, _there(backlogs)), deadline)
        except SearchUnavailable as exc:
            failure = exc  # the alerts are written all the same
        self._mail(dues, now, deadline, report)
        caught_up: dict[str, tuple[Alert, Due]] = {}
        try:
            if further:
                self._catch_up(asked, further, now, seconds, deadline, report, caught_up)
        except SearchUnavailable as exc:
            failure = exc
        self._mail(caught_up, now, deadline, report)
        self._post(dues | caught_up, now, deadline, report)
        if failure:
            raise failure
        report.total_ms = (deadline.clock.monotonic() - begun) * 1000
        return report

    def _catch_up(
        self,
        asked: Sequence[Detection],
        progress: Progress,
        now: datetime,
        usual_seconds: float,
        deadline: Deadline,
        report: RunReport,
        dues: dict[str, tuple[Alert, Due]],
    ) -> None:
        """Work off backlogs, slice by slice from the oldest, within a run's bounds; each slice is noted.

        What is due of the alerts that change is added to `dues`.
        """
        begin = deadline.clock.monotonic()
        most_seconds = usual_seconds * _BACKLOG_SHARE
        usual = len(asked) + 1
        failed = set(report.failing)
        slices = 0
        while unit := _unit(asked, progress, failed):
            spent = report.searches - usual
            seconds = deadline.clock.monotonic() - begin
            # The next slice takes about as long as the slices before it.
            if slices and (spent + len(unit) + 1 > _BACKLOG_SEARCHES or seconds * (slices + 1) / slices > most_seconds):
                break
            if deadline.remaining < _BACKLOG_SECONDS:
                break
            backlog = progress.backlogs[unit[0].name]
            arrivals = backlog.slice
            late = self._late(arrivals, report, deadline)
            backlogs: dict[str, Backlog | None] = dict(progress.backlogs)
            working = deadline.earlier(_NOTE_SECONDS)
            try:
                looked = self._ask(unit, arrivals, late, report, working, after=backlog.at)
                failed |= looked.failed | self._raise(
                    looked, unit, now, arrivals, working, report, dues, caught_up=True
                )
                for one in unit:
                    backlogs[one.name] = backlog.failed() if one.name in failed else backlog.done(looked.until_of(one))
            except SearchUnavailable as exc:
                # Noted as failed: the next run asks for a smaller slice, and the other detections go on.
                failed |= {one.name for one in unit}
                report.failing |= dict.fromkeys((one.name for one in unit), str(exc))
                backlogs |= dict.fromkeys((one.name for one in unit), backlog.failed())
            # One that fails takes no other's turn.
            slices += any(one.name not in failed for one in unit)
            further = self._alerts.advance(progress, Progress(now, _there(backlogs)), deadline)
            if further is None:
                break  # another run is working on the same
            progress = further
        report.behind = {name: iso_milliseconds(at) for name, at in progress.behind.items()}

    def _raise(
        self,
        looked: _Looked,
        detections: Sequence[Detection],
        now: datetime,
        arrivals: Arrivals,
        deadline: Deadline,
        report: RunReport,
        dues: dict[str, tuple[Alert, Due]],
        *,
        gaps: Mapping[str, datetime] | None = None,
        caught_up: bool = False,
        quieten: bool = False,
    ) -> set[str]:
        """Make alerts of what was found, and note what was seen; the detections for which that did not succeed.

        What is due of these alerts is added to `dues`.
        """
        found = [pair for pair in looked.answers.candidates if pair[0].kind is not Kind.FIRST_SEEN]
        first_seen = [pair for pair in looked.answers.candidates if pair[0].kind is Kind.FIRST_SEEN]
        new, seen_now, known = self._new(first_seen, arrivals.until, deadline, report)
        failed: set[str] = set()
        for number, episodes in enumerate(_one_after_another([*found, *new]) or [[]]):
            bounded, storms = self._bounded(episodes, deadline, report)
            firings = self._firings(bounded, now, deadline, report, gaps=gaps, caught_up=caught_up)
            late, due_now = self._settle(
                _summarized(firings, storms), now, deadline, report, quieten=quieten and not number
            )
            failed |= late
            dues |= due_now
        for detection, candidates in seen_now.values():
            if detection.name in failed or detection.name in report.failing:
                continue  # noted as seen, it could not fire again
            failed |= self._note_seen(
                detection, self._sightings(detection, candidates, known, arrivals.until), deadline, report
            )
        return failed | {one.name for one in detections if one.name in report.failing}

    def take(self, firings: Sequence[Firing], now: datetime, deadline: Deadline) -> RunReport:
        """Make alerts of firings that something else found: a monitor's notification. Raises SearchUnavailable."""
        begun = deadline.clock.monotonic()
        self._require_templates(deadline)
        report = RunReport()
        ours, theirs = [], []
        for one in firings:
            detection = self._detections.get(one.detection)
            if detection and one.database.resource_id:
                ours.append((detection, _as_candidate(one)))
            else:
                theirs.append(one)
        bounded, storms = self._bounded(ours, deadline, report)
        others = self._bounded_firings(theirs, deadline, report)
        report.firings = len(others)
        found = _summarized(self._firings(bounded, now, deadline, report), storms)
        late, dues = self._settle([*found, *others], now, deadline, report, quieten=False)
        self._mail(dues, now, deadline, report)
        self._post(dues, now, deadline, report)
        if unfinished := late | report.failing.keys():
            raise SearchUnavailable(f"alerts of {len(unfinished)} detections are not written: notify again")
        report.total_ms = (deadline.clock.monotonic() - begun) * 1000
        return report

    def _require_templates(self, deadline: Deadline) -> None:
        """Raises TemplatesMissing before anything is written: an index would get guessed field types, for good."""
        if not self._templates_are_there:
            installed = self._search.template_names(deadline)
            for name in (self._indices.alerts, self._indices.seen, self._indices.runs):
                if name not in installed:
                    raise TemplatesMissing(name)
            self._templates_are_there = True

    def _late(self, arrivals: Arrivals, report: RunReport, deadline: Deadline) -> list[Span] | None:
        """When events happened that arrived late; None where that cannot be searched for."""
        report.searches += 1
        found = self._queries.off_time(arrivals, self._indices.events, deadline)
        if isinstance(found, Failure):
            report.failing[_LATE] = found.cause
            return None
        return found

    def _ask(
        self,
        asked: Sequence[Detection],
        arrivals: Arrivals,
        late: Sequence[Span] | None,
        report: RunReport,
        deadline: Deadline,
        after: datetime | None = None,
    ) -> _Looked:
        """Ask about late events, from the oldest (or those after a time), as many as fit; then about the others."""
        questions: list[Question] = []
        about_events = [one for one in asked if one.source is Source.EVENTS]
        looked = _Looked()
        if late is None:
            looked.failed = {one.name for one in about_events}
        left = [span for span in late or () if after is None or span.last > after]
        while left and (not questions or len(questions) + len(about_events) <= _LATE_SEARCHES):
            span = left.pop(0)
            questions += [one for detection in about_events for one in self._about_late(detection, span, arrivals)]
            looked.at = span.last
        if not left:
            looked.at = None
        if after is None:
            questions += [self._question(detection, arrivals) for detection in asked]
        looked.answers = self._queries.ask(questions, deadline.part(_ASKING))
        report.searches += looked.answers.searches
        report.failing |= looked.answers.failures
        return looked

    def _question(self, detection: Detection, arrivals: Arrivals) -> Question:
        """What is asked about events that arrived when they happened."""
        if detection.kind is Kind.SILENCE:
            return Question(
                detection, silence_window(detection, arrivals.until), index_of(detection, "", self._indices)
            )
        if detection.window_seconds:
            windows = windows_between(detection, arrivals.begin, arrivals.until, arrivals.until)
            return self._about_windows(detection, windows)
        index = index_of(detection, arrivals.indices(self._indices.prefix), self._indices)
        also = arrivals.usual if detection.source is Source.EVENTS else None
        return Question(detection, arrivals.window, index, also=also)

    def _about_late(self, detection: Detection, span: Span, arrivals: Arrivals) -> list[Question]:
        if detection.window_seconds:
            windows = windows_with(detection, span.first, span.last, arrivals.until)
            return [self._about_windows(detection, windows)] if windows else []
        index = event_indices(span.first.date(), span.last.date(), self._indices.prefix)
        also = Window("@timestamp", iso_milliseconds(span.first), iso_milliseconds(span.last))
        return [Question(detection, arrivals.window, index, also=also)]

    def _about_windows(self, detection: Detection, windows: tuple[Window, ...]) -> Question:
        """All windows as one: where that finds nothing, none of them does."""
        whole = replace(windows[0], end=windows[-1].end)
        index = self._index(detection, *days_of(windows))
        return Question(detection, whole, index, parts=windows)

    def _index(self, detection: Detection, first_day: date, last_day: date) -> str:
        """Where the events of these days are, or whatever else a detection looks at."""
        return index_of(detection, event_indices(first_day, last_day, self._indices.prefix), self._indices)

    def _new(
        self, first_seen: Iterable[tuple[Detection, Candidate]], now: datetime, deadline: Deadline, report: RunReport
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
        now: datetime,
        deadline: Deadline,
        report: RunReport,
        *,
        gaps: Mapping[str, datetime] | None = None,
        caught_up: bool = False,
    ) -> list[Firing]:
        """What fires, counted from the begin of each episode; and one firing for each saved query that failed.

        `gaps` has detections whose time before was not looked at yet, and since when: there an episode may have begun
        earlier. `caught_up` is what was found in such a time: what ended long before a known episode is history, unless
        that is over and it arrived after everything that the episode counts.
        """
        ids = [seen_id(detection, candidate) for detection, candidate in found]
        there = self._alerts.get(ids, deadline)
        groups = []
        known: dict[str, Alert] = {}  # of groups whose episode ended long before the one that their alert has
        kept: list[tuple[str, Detection, Candidate, Alert | None]] = []
        for name, (detection, candidate) in zip(ids, found, strict=True):
            alert = there[name].alert if name in there else None
            if alert and detection.kind is not Kind.SILENCE and _is_history(candidate, alert, detection.quiet):
                if alert.state is State.ACTIVE:  # the group has an alert already
                    report.superseded += 1
                    continue
                if caught_up:
                    known[name] = alert
            kept.append((name, detection, candidate, alert))
        unknown = [
            (detection, candidate, gap)
            for _, detection, candidate, alert in kept
            if (gap := (gaps or {}).get(detection.name)) and not _lasts(alert, candidate.first_seen, detection.quiet)
        ]
        begins = self._begins(unknown, deadline, report)
        for name, detection, candidate, alert in kept:
            begin = begins.get(name, candidate.first_seen)
            if alert and _lasts(alert, begin, detection.quiet):
                begin = min(begin, alert.first_seen)
                if detection.kind is not Kind.SILENCE:  # late events are counted with all others of the episode
                    candidate = replace(candidate, last_seen=max(candidate.last_seen, alert.last_seen))
            days = moment_of(begin).date(), moment_of(candidate.last_seen).date()
            index = self._index(detection, *days)
            groups.append(Group(detection, candidate, begin, index))
        firings, failures = self._queries.firings(groups, iso_milliseconds(now), deadline.part(_ASKING))
        report.failing |= failures
        history = {one.alert_id for one in firings if (alert := known.get(one.alert_id)) and not _is_late(one, alert)}
        firings = [one for one in firings if one.alert_id not in history]
        report.superseded += len(history)
        report.firings += len(firings)
        failing = self._detections.get(FAILING)
        if failing and failing.enabled:
            firings += [failing_query(failing, name, cause, now) for name, cause in report.failing.items()]
        return firings

    def _begins(
        self,
        found: Sequence[tuple[Detection, Candidate, datetime]],
        deadline: Deadline,
        report: RunReport,
    ) -> dict[str, str]:
        """When these groups' episodes began, by alert id: each with the time before which everything was looked at.

        One request for all of them, and another one for those of which it found an earlier begin.
        """
        begins = {seen_id(detection, one): one.first_seen for detection, one, _ in found}
        left = [entry for entry in found if entry[0].kind in (Kind.EVENT, Kind.THRESHOLD, Kind.SEQUENCE)]
        while left and deadline.remaining > _BACKLOG_SECONDS:
            looked_back: dict[str, tuple[Detection, list[Candidate]]] = {}
            for detection, one, gap in left:
                begin = begins[seen_id(detection, one)]
                length = 2 * timedelta(seconds=max(detection.quiet_seconds, detection.window_seconds))
                since = iso_milliseconds(max(gap, moment_of(begin) - length))
                if since < begin:
                    group = replace(one, first_seen=since, last_seen=begin)
                    looked_back.setdefault(detection.name, (detection, []))[1].append(group)
            asked = [(self._about_earlier(detection, own), own) for detection, own in looked_back.values()]
            report.searches += len(asked)
            earlier = self._queries.begins(asked, deadline)
            left = [
                entry for entry in left if (name := seen_id(*entry[:2])) in earlier and earlier[name] < begins[name]
            ]
            begins |= earlier
        return begins

    def _about_earlier(self, detection: Detection, groups: Sequence[Candidate]) -> Question:
        """What is asked about the time from the first begin of these groups to the last."""
        first = min(one.first_seen for one in groups)
        last = max(one.last_seen for one in groups)
        if detection.window_seconds:
            since, until = moment_of(first), moment_of(last)
            return self._about_windows(detection, windows_with(detection, since, until, until))
        index = self._index(detection, moment_of(first).date(), moment_of(last).date())
        return Question(detection, Window("@timestamp", first, last), index)

    def _bounded(
        self, found: Sequence[tuple[Detection, Candidate]], deadline: Deadline, report: RunReport
    ) -> tuple[list[tuple[Detection, Candidate]], list[Storm]]:
        """The groups that get an alert of their own, with a summary of the others of each storm, and the storms."""
        kept, storms = self._divide([(detection.name, candidate) for detection, candidate in found], deadline, report)
        summaries = [(self._detections[storm.detection], storm.summary) for storm in storms]
        return [*(found[position] for position in kept), *summaries], storms

    def _bounded_firings(self, found: Sequence[Firing], deadline: Deadline, report: RunReport) -> list[Firing]:
        """The same of firings that OpenSearch is not asked about: of analysts' monitors."""
        kept, storms = self._divide([(one.detection, _as_candidate(one)) for one in found], deadline, report)
        return [*(found[position] for position in kept), *(_summary(storm, found) for storm in storms)]

    def _divide(
        self, found: Sequence[tuple[str, Candidate]], deadline: Deadline, report: RunReport
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
        report: RunReport,
        *,
        quieten: bool = True,
    ) -> tuple[set[str], dict[str, tuple[Alert, Due]]]:
        """Bring alerts to what was found now.

        Returns the detections whose alerts are not written, and what is due of the alerts as they are now.
        """
        stored = self._alerts.get([firing.alert_id for firing in firings], deadline)
        if quieten:
            unsettled = self._alerts.unsettled(now, deadline, messages=self._notifier.has_topic)
            stored |= {one.alert.id: one for one in unsettled}
        there = {name: one.alert for name, one in stored.items()}
        changed = changes(there, firings, self._detections, now, messages=self._notifier.has_topic)
        to_write = [(change.after, stored.get(change.after.id)) for change in changed if change.written]
        written = self._alerts.write(to_write, deadline.part(_WRITING))
        report.raised += sum(change.raised and change.after.id in written.ids for change in changed)
        report.archived += sum(change.archived and change.after.id in written.ids for change in changed)
        report.conflicts += len(written.conflicts)
        report.refused_alerts |= written.refused
        report.unwritten |= {_detection_of(name): written.cause for name in written.unwritten}

        fired = {firing.alert_id for firing in firings}
        late = {_detection_of(name) for name in (written.conflicts | written.unwritten) & fired}
        dues = {
            change.after.id: (change.after, change.due)
            for change in changed
            if change.due and (change.after.id in written.ids or not change.written)
        }
        return late, dues

    def _mail(
        self, dues: Mapping[str, tuple[Alert, Due]], now: datetime, deadline: Deadline, report: RunReport
    ) -> None:
        """Publish the messages that are due, and note each before the next one goes out."""
        waiting = {name: alert for name, (alert, what) in dues.items() if what.message}
        sending = deadline.earlier(_NOTE_SECONDS)
        for portion in self._notifier.send_messages(list(waiting.values()), self._detections, sending, report.sent):
            for one in portion:
                del waiting[one.alert.id]
            if not self._noted([one for one in portion if not one.unknown], now, deadline, report):
                break  # what cannot be noted would go out again
        self._noted([Published(alert) for alert in waiting.values()], now, deadline, report)

    def _post(
        self, dues: Mapping[str, tuple[Alert, Due]], now: datetime, deadline: Deadline, report: RunReport
    ) -> None:
        """Publish the findings that are due, and note them call by call."""
        findings = [alert for alert, what in dues.values() if what.finding]
        sending = deadline.earlier(_NOTE_SECONDS)
        for portion in self._notifier.import_findings(findings, self._detections, sending, report.sent):
            self._noted(portion, now, deadline, report)

    def _noted(self, portion: Sequence[Published], now: datetime, deadline: Deadline, report: RunReport) -> bool:
        """Note what was published, over whatever the alerts are by now; False where that was not possible."""
        published = {one.alert.id: one for one in portion}
        if not published:
            return True
        noting = deadline.part(_WRITING)
        outcome = self._alerts.update(published, lambda alert: noted(alert, published[alert.id], now), noting)
        report.refused_alerts |= outcome.refused
        if outcome.unwritten:
            report.sent.unnoted += len(outcome.unwritten)
            report.sent.causes.add(f"not noted: {outcome.cause}")
        return not outcome.unwritten

    def _sightings(
        self, detection: Detection, candidates: Sequence[Candidate], known: Mapping[str, Seen], now: datetime
    ) -> list[Action]:
        index, versioned = self._indices.seen, self._alerts.has_versions
        return sightings(detection, candidates, known, now, index, versioned=versioned)

    def _note_seen(
        self, detection: Detection, actions: Sequence[Action], deadline: Deadline, report: RunReport
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


@dataclass(slots=True)
class _Looked:
    """What was found, and what could not be looked at."""

    answers: Answers = field(default_factory=Answers)
    failed: set[str] = field(default_factory=set)
    at: datetime | None = None  # until then late events were looked at; the others did not fit

    def until_of(self, detection: Detection) -> datetime | None:
        """The same for one detection: only those of events have late ones."""
        return self.at if detection.source is Source.EVENTS else None


def _there(backlogs: Mapping[str, Backlog | None]) -> dict[str, Backlog]:
    return {name: backlog for name, backlog in backlogs.items() if backlog}


def _unit(asked: Sequence[Detection], noted: Progress, failed: Iterable[str]) -> list[Detection]:
    """The detections whose oldest slice is looked at next: the same for all of them."""
    lagging = [one for one in asked if one.name in noted.backlogs and one.name not in failed]
    if not lagging:
        return []
    first = min((noted.backlogs[one.name] for one in lagging), key=lambda backlog: backlog.order)
    key = first.slice, first.at
    return [one for one in lagging if (noted.backlogs[one.name].slice, noted.backlogs[one.name].at) == key]


def _one_after_another(found: Iterable[tuple[Detection, Candidate]]) -> list[list[tuple[Detection, Candidate]]]:
    """The first episode of each group, then the second of each, and so on."""
    rounds: list[list[tuple[Detection, Candidate]]] = []
    counted: Counter[str] = Counter()
    for detection, candidate in found:
        name = seen_id(detection, candidate)
        if counted[name] == len(rounds):
            rounds.append([])
        rounds[counted[name]].append((detection, candidate))
        counted[name] += 1
    return rounds


def _is_history(candidate: Candidate, alert: Alert, quiet: timedelta) -> bool:
    """Whether a group's episode ended long before the one that its alert has."""
    return _apart(candidate.last_seen, alert.first_seen) >= quiet


def _lasts(alert: Alert | None, begin: str, quiet: timedelta) -> bool:
    """Whether events from this time on belong to the alert's episode."""
    return alert is not None and alert.state is State.ACTIVE and _apart(alert.last_seen, begin) < quiet


def _apart(earlier: str, later: str) -> timedelta:
    return moment_of(later) - moment_of(earlier)


def _is_late(firing: Firing, alert: Alert) -> bool:
    """Whether a firing's events arrived after all that its alert counts; without a time of arrival they did not."""
    return bool(alert.arrived_at) and firing.arrived_at > alert.arrived_at


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
