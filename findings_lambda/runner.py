"""Runs all saved queries: events that arrived -> firings -> alerts -> what has to be published.

The order makes every crash harmless, and no service delays another. Alerts are written first, over the version that
was read; then the sightings of the detections whose alerts are written; then the progress of the run. Only then alerts
are published, messages before findings, and each portion is noted before the next is sent. The next run resumes what
was interrupted: `das-runs` has what was not evaluated, `das-alerts` what was not published, from the moment that an
alert is written. Only a message can go out twice: if the function ends after SNS accepted it and before that is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from daswatch.alerts.alert import Alert, Due, Firing, Publication, State, changes, mark_published
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection, DetectionKind, Source, by_name
from daswatch.errors import SearchUnavailable, TemplatesMissing
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.alert_index import AlertIndex, Progress, Stored
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.known_clients import KnownClientLookup, is_judged
from daswatch.opensearch.run_claims import RunClaims
from daswatch.opensearch.saved_queries import Answers, Group, Question, SavedQueries, SearchFailure
from daswatch.queries.backlog import RECENT, Arrivals, Backlog, Span, behind, days_of, recent
from daswatch.queries.first_seen import Sighting, by_network, is_new, learning_id, sighting_id, sightings
from daswatch.queries.monitor_notifications import FAILING, Notification, failing_query
from daswatch.queries.saved_query import (
    Candidate,
    Fired,
    Window,
    event_indices,
    index_of,
    one_after_another,
    silence_window,
    windows_between,
    windows_with,
)
from daswatch.queries.storms import Storm, divide
from daswatch.times import iso_milliseconds, moment_of
from findings_lambda.name_lookup import NameLookup, named
from findings_lambda.notifier import Notifier
from findings_lambda.run_report import Run, RunReport

# A run's searches about a backlog: about twice those about what just arrived, so that no run costs three times as much
# as one without a backlog; where few detections run, at least so many. A slice is evaluated as a whole.
_BACKLOG_SEARCHES = 36
_BACKLOG_SHARE_OF_SEARCHES = 2
_BACKLOG_SHARE = 2.0  # and that share of the time that the rest of the run took
_BACKLOG_SECONDS = 20.0  # that the function must have left to begin a slice
_ASKING = 0.6  # share of the time left for questions: their alerts have to be written, too
_LATE_SEARCHES = 18  # about late events, in one request
_NOTHING = datetime.min.replace(tzinfo=UTC)  # no late event was evaluated
_LATE = "late-arrivals"  # the name of the failure if they cannot be searched for
_SIGHTINGS = 1_000  # in one request

# Share of the time left that refused writes may take: the rest goes on without them. The last seconds are for noting
# what was published.
_WRITING = 0.5
_NOTE_SECONDS = 3.0


class DetectionRunner:
    """The saved queries with their dependencies; one for as long as the function is warm."""

    def __init__(
        self,
        *,
        detections: Sequence[Detection],
        queries: SavedQueries,
        alert_index: AlertIndex,
        search: SearchGateway,
        notifier: Notifier,
        indices: Indices,
        names: NameLookup,
        claims: RunClaims | None = None,
    ) -> None:
        self._detections = by_name(detections)
        self._enabled = [detection for detection in detections if detection.enabled]
        self._queries = queries
        self._alerts = alert_index
        self._search = search
        self._notifier = notifier
        self._indices = indices
        self._names = names
        self._claims = claims  # of a collection, where runs must not overlap
        self._known_clients = KnownClientLookup(queries, indices)
        self._templates_are_there = False

    def run(self, now: datetime, deadline: Deadline) -> RunReport:
        """Evaluate what arrived since the last run, then a part of what is older. Raises SearchUnavailable.

        In a collection, nothing is done while another function's run may go on: the next run evaluates the same.
        """
        begun = deadline.clock.monotonic()
        self._require_templates(deadline)
        if self._claims and not self._claims.claim(now, deadline):
            return RunReport(overlapping=True, total_ms=(deadline.clock.monotonic() - begun) * 1000)
        before = self._alerts.progress(deadline)
        asked = [detection for detection in self._enabled if detection.kind is not DetectionKind.FAILING]
        progress = before or Progress(now - RECENT)
        report = RunReport(detections=len(asked), since=iso_milliseconds(progress.since))
        report.expired_suppressions = _expired(asked, now)
        run = Run(now, deadline, report)

        arrivals = recent(progress.since, now)
        late = self._late(arrivals, run)
        backlogs: dict[str, Backlog | None] = {
            detection.name: progress.backlogs.get(detection.name)
            for detection in asked
            if detection.kind is not DetectionKind.SILENCE
        }
        # Where there is a backlog already, late events become a part of it: a run works on one of the two.
        catching_up = any(backlogs.values()) or progress.since < arrivals.since
        now_late = late if late is None or not catching_up else []
        # Those that failed in the last run are asked on their own, so that a slow one delays no other.
        fail = [
            detection
            for detection in asked
            if (backlog := backlogs.get(detection.name)) and backlog.until == progress.since
        ]
        for number, lane in enumerate(([detection for detection in asked if detection not in fail], fail)):
            if not lane and number:
                continue
            found = self._ask(lane, arrivals, now_late, run)
            if late and not now_late:
                found.at = _NOTHING
            gaps = {one.name for one in lane if backlogs.get(one.name) or progress.since < arrivals.since}
            failed = found.failed | self._raise(
                found, lane, arrivals, run, gaps=progress.gaps(gaps), archive_quiet=not number
            )
            for detection in lane:
                if detection.kind is DetectionKind.SILENCE:
                    continue  # it asks what is silent now, and has no backlog
                backlogs[detection.name] = behind(
                    backlogs[detection.name],
                    progress.since,
                    arrivals,
                    failed=detection.name in failed,
                    at=found.until_of(detection),
                )
        seconds = deadline.clock.monotonic() - begun
        report.query_ms = seconds * 1000
        further, failure = None, None
        try:
            further = self._alerts.advance(before, Progress(now, _present(backlogs)), deadline)
        except SearchUnavailable as exc:
            failure = exc  # the alerts are written all the same
        self._send_messages(run)
        catch_up = Run(now, deadline, report)
        try:
            if further:
                self._catch_up(asked, further, seconds, catch_up)
        except SearchUnavailable as exc:
            failure = exc
        self._send_messages(catch_up)
        self._import_findings(run.due | catch_up.due, run)
        if failure:
            raise failure
        report.total_ms = (deadline.clock.monotonic() - begun) * 1000
        return report

    def _catch_up(self, asked: Sequence[Detection], progress: Progress, usual_seconds: float, run: Run) -> None:
        """Work off backlogs, slice by slice from the oldest, within a run's bounds; each slice is noted."""
        deadline, report = run.deadline, run.report
        begin = deadline.clock.monotonic()
        most_seconds = usual_seconds * _BACKLOG_SHARE
        usual = len(asked) + 1
        most_searches = max(_BACKLOG_SEARCHES, _BACKLOG_SHARE_OF_SEARCHES * usual)
        failed = set(report.failing)
        slices = 0
        while unit := _unit(asked, progress, failed):
            spent = report.searches - usual
            seconds = deadline.clock.monotonic() - begin
            # The next slice takes about as long as the slices before it.
            if slices and (spent + len(unit) + 1 > most_searches or seconds * (slices + 1) / slices > most_seconds):
                break
            if deadline.remaining < _BACKLOG_SECONDS:
                break
            backlog = progress.backlogs[unit[0].name]
            late = self._late(backlog.slice, run)
            backlogs: dict[str, Backlog | None] = dict(progress.backlogs)
            slice_run = run.within(deadline.earlier(_NOTE_SECONDS))
            names = [detection.name for detection in unit]
            try:
                found = self._ask(unit, backlog.slice, late, slice_run, after=backlog.at)
                failed |= found.failed | self._raise(found, unit, backlog.slice, slice_run, caught_up=True)
                for detection in unit:
                    done = backlog.done(found.until_of(detection))
                    backlogs[detection.name] = backlog.failed() if detection.name in failed else done
            except SearchUnavailable as exc:
                # Noted as failed: the next run asks for a smaller slice, and the other detections go on.
                failed |= set(names)
                report.failing |= dict.fromkeys(names, str(exc))
                backlogs |= dict.fromkeys(names, backlog.failed())
            # A detection that fails takes no other's turn.
            slices += any(name not in failed for name in names)
            further = self._alerts.advance(progress, Progress(run.now, _present(backlogs)), deadline)
            if further is None:
                break  # another run works on the same backlogs
            progress = further
        report.behind = {name: iso_milliseconds(at) for name, at in progress.behind.items()}

    def _raise(
        self,
        found: _Found,
        detections: Sequence[Detection],
        arrivals: Arrivals,
        run: Run,
        *,
        gaps: Mapping[str, datetime] | None = None,
        caught_up: bool = False,
        archive_quiet: bool = False,
    ) -> set[str]:
        """Raise alerts of what was found, and note what was seen; return the detections for which that failed."""
        pairs = found.answers.candidates
        first_seen = [pair for pair in pairs if pair[0].kind is DetectionKind.FIRST_SEEN]
        others = [pair for pair in pairs if pair[0].kind is not DetectionKind.FIRST_SEEN]
        new, seen_now, known = self._new(first_seen, arrivals.until, run)
        fired = self._without_known([*others, *new], run)
        failed: set[str] = set()
        for number, episodes in enumerate(one_after_another(fired) or [[]]):
            bounded, storms = self._bounded(episodes, run)
            firings, stored = self._firings(bounded, run, gaps=gaps, caught_up=caught_up)
            failed |= self._update_alerts(
                _summarized(firings, storms), stored, run, archive_quiet=archive_quiet and not number
            )
        for detection, candidates in seen_now.values():
            if detection.name in failed or detection.name in run.report.failing:
                continue  # noted as seen, it could not fire again
            failed |= self._note_seen(detection, self._sightings(detection, candidates, known, arrivals.until), run)
        return failed | {detection.name for detection in detections if detection.name in run.report.failing}

    def take(self, notifications: Iterable[Notification], now: datetime, deadline: Deadline) -> RunReport:
        """Raise alerts of what monitors found. Raises SearchUnavailable."""
        begun = deadline.clock.monotonic()
        self._require_templates(deadline)
        notifications = list(notifications)
        run = Run(now, deadline, RunReport())
        notified = [pair for notification in notifications for pair in notification.candidates]
        candidates = self._without_known(notified, run)
        bounded, storms = self._bounded(candidates, run)
        others = self._bounded_firings([one for notification in notifications for one in notification.firings], run)
        run.report.firings = len(others)
        firings, stored = self._firings(bounded, run)
        failed = self._update_alerts([*_summarized(firings, storms), *others], stored, run)
        self._send_messages(run)
        self._import_findings(run.due, run)
        if unfinished := failed | run.report.failing.keys():
            raise SearchUnavailable(f"alerts of {len(unfinished)} detections are not written: notify again")
        run.report.total_ms = (deadline.clock.monotonic() - begun) * 1000
        return run.report

    def recent_events(self, now: datetime) -> str:
        """The indices whose events a look at this time finds."""
        return Arrivals(now, now).indices(self._indices.prefix)

    def look(self, now: datetime, deadline: Deadline) -> RunReport:
        """Evaluate what arrived in the last minutes, with the detections for which one event may be enough.

        The next run evaluates the same arrivals again, with the others: nothing is noted as done. Where both find the
        same group at once, one of them writes its alert, and the other one leaves it to the next run. Raises
        SearchUnavailable.
        """
        begun = deadline.clock.monotonic()
        self._require_templates(deadline)
        prompt = [detection for detection in self._enabled if detection.prompt is not None]
        arrivals = Arrivals(now, now)
        progress = self._alerts.progress(deadline) or Progress(now - RECENT)
        report = RunReport(looks=1, detections=len(prompt), since=arrivals.window.start)
        run = Run(now, deadline, report)
        found = self._ask(prompt, arrivals, [], run)
        not_evaluated = moment_of(arrivals.window.start) > progress.since
        gaps = {one.name for one in prompt if not_evaluated or one.name in progress.backlogs}
        self._raise(found, prompt, arrivals, run, gaps=progress.gaps(gaps))
        report.query_ms = (deadline.clock.monotonic() - begun) * 1000
        self._send_messages(run)
        self._import_findings(run.due, run)
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

    def _late(self, arrivals: Arrivals, run: Run) -> list[Span] | None:
        """When events happened that arrived late; None where that cannot be searched for."""
        run.report.searches += 1
        found = self._queries.off_time(arrivals, self._indices.events, run.deadline)
        if isinstance(found, SearchFailure):
            run.report.failing[_LATE] = found.cause
            return None
        return found

    def _ask(
        self,
        asked: Sequence[Detection],
        arrivals: Arrivals,
        late: Sequence[Span] | None,
        run: Run,
        after: datetime | None = None,
    ) -> _Found:
        """Ask about late events, from the oldest (or those after a time), as many as fit; then about the others."""
        questions: list[Question] = []
        about_events = [detection for detection in asked if detection.source is Source.EVENTS]
        found = _Found()
        if late is None:
            found.failed = {detection.name for detection in about_events}
        left = [span for span in late or () if after is None or span.last > after]
        while left and (not questions or len(questions) + len(about_events) <= _LATE_SEARCHES):
            span = left.pop(0)
            for detection in about_events:
                questions += self._about_late(detection, span, arrivals)
            found.at = span.last
        if not left:
            found.at = None
        if after is None:
            questions += [self._question(detection, arrivals) for detection in asked]
        found.answers = self._queries.ask(questions, run.deadline.part(_ASKING))
        run.report.searches += found.answers.searches
        run.report.failing |= found.answers.failures
        return found

    def _question(self, detection: Detection, arrivals: Arrivals) -> Question:
        """What is asked about events that arrived when they happened."""
        if detection.kind is DetectionKind.SILENCE:
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
        self, found: Iterable[Fired], at: datetime, run: Run
    ) -> tuple[list[Fired], dict[str, tuple[Detection, list[Candidate]]], dict[str, Sighting]]:
        """Of first-seen detections: what is new, everything that was seen now, and what is known about it."""
        by_detection: dict[str, tuple[Detection, list[Candidate]]] = {}
        for detection, candidate in found:
            by_detection.setdefault(detection.name, (detection, []))[1].append(candidate)
        seen_now = {
            name: (detection, by_network(detection, candidates))
            for name, (detection, candidates) in by_detection.items()
        }
        pairs = [(detection, candidate) for detection, candidates in seen_now.values() for candidate in candidates]
        groups = {sighting_id(detection, candidate) for detection, candidate in pairs}
        databases = {learning_id(detection, candidate.resource_id) for detection, candidate in pairs}
        try:
            known = self._alerts.seen(sorted(groups | databases), run.deadline)
        except SearchUnavailable as exc:
            run.report.failing |= dict.fromkeys(seen_now, str(exc))
            return [], {}, {}
        new = [
            (detection, candidate)
            for detection, candidate in pairs
            if is_new(
                detection,
                candidate,
                known.get(sighting_id(detection, candidate)),
                known.get(learning_id(detection, candidate.resource_id)),
                at,
            )
        ]
        return new, seen_now, known

    def _without_known(self, found: Sequence[Fired], run: Run) -> list[Fired]:
        """What fires: not what only known clients did, where a detection leaves that out."""
        try:
            judged = self._known_clients.judge(found, run.deadline.part(_ASKING))
        except SearchUnavailable as exc:
            run.report.failing |= {pair[0].name: str(exc) for pair in found if is_judged(pair[0])}
            return [pair for pair in found if not is_judged(pair[0])]
        run.report.known_clients += judged.left_out
        run.report.failing |= judged.failures
        return judged.fired

    def _firings(
        self,
        found: Sequence[Fired],
        run: Run,
        *,
        gaps: Mapping[str, datetime] | None = None,
        caught_up: bool = False,
    ) -> tuple[list[Firing], dict[str, Stored | None]]:
        """What fires, counted from the begin of each episode, with the alerts of all groups by id as they were read.

        A saved query that failed is a firing, too. `gaps` has detections that have not been asked about the time
        before, and since when: there an episode may have begun earlier. `caught_up` is what was found in such a time:
        what ended long before a known episode is history, unless that is over and it arrived after everything that the
        episode counts.
        """
        report = run.report
        ids = [candidate.alert_id(detection.name) for detection, candidate in found]
        there = self._alerts.get(ids, run.deadline)
        stored = {alert_id: there.get(alert_id) for alert_id in ids}
        groups = []
        known: dict[str, Alert] = {}  # of groups whose episode ended long before the one that their alert has
        kept: list[tuple[str, Detection, Candidate, Alert | None]] = []
        for alert_id, (detection, candidate) in zip(ids, found, strict=True):
            alert = there[alert_id].alert if alert_id in there else None
            if alert and detection.kind is not DetectionKind.SILENCE and _is_history(candidate, alert, detection.quiet):
                if alert.state is State.ACTIVE:  # the group has an alert already
                    report.superseded += 1
                    continue
                if caught_up:
                    known[alert_id] = alert
            kept.append((alert_id, detection, candidate, alert))
        unknown = [
            (detection, candidate, gap)
            for _, detection, candidate, alert in kept
            if (gap := (gaps or {}).get(detection.name)) and not _lasts(alert, candidate.first_seen, detection.quiet)
        ]
        begins = self._begins(unknown, run)
        for alert_id, detection, candidate, alert in kept:
            begin = begins.get(alert_id, candidate.first_seen)
            if alert and _lasts(alert, begin, detection.quiet):
                begin = min(begin, alert.first_seen)
                if (
                    detection.kind is not DetectionKind.SILENCE
                ):  # late events are counted with the others of the episode
                    candidate = replace(candidate, last_seen=max(candidate.last_seen, alert.last_seen))
            index = self._index(detection, moment_of(begin).date(), moment_of(candidate.last_seen).date())
            groups.append(Group(detection, candidate, begin, index))
        firings, failures = self._queries.firings(groups, iso_milliseconds(run.now), run.deadline.part(_ASKING))
        report.failing |= failures
        history = {
            firing.alert_id
            for firing in firings
            if (alert := known.get(firing.alert_id)) and not _is_late(firing, alert)
        }
        firings = [firing for firing in firings if firing.alert_id not in history]
        report.superseded += len(history)
        report.firings += len(firings)
        failing = self._detections.get(FAILING)
        if failing and failing.enabled:
            firings += [failing_query(failing, name, cause, run.now) for name, cause in report.failing.items()]
        return firings, stored

    def _begins(self, found: Sequence[tuple[Detection, Candidate, datetime]], run: Run) -> dict[str, str]:
        """When these groups' episodes began, by alert id. The time of each is that up to which all was evaluated.

        One request for all of them, and another one for those of which it found an earlier begin.
        """
        begins = {candidate.alert_id(detection.name): candidate.first_seen for detection, candidate, _ in found}
        left = [
            entry
            for entry in found
            if entry[0].kind in (DetectionKind.EVENT, DetectionKind.THRESHOLD, DetectionKind.SEQUENCE)
        ]
        while left and run.deadline.remaining > _BACKLOG_SECONDS:
            looked_back: dict[str, tuple[Detection, list[Candidate]]] = {}
            for detection, candidate, gap in left:
                begin = begins[candidate.alert_id(detection.name)]
                length = 2 * timedelta(seconds=max(detection.quiet_seconds, detection.window_seconds))
                since = iso_milliseconds(max(gap, moment_of(begin) - length))
                if since < begin:
                    group = replace(candidate, first_seen=since, last_seen=begin)
                    looked_back.setdefault(detection.name, (detection, []))[1].append(group)
            asked = [(self._about_earlier(detection, groups), groups) for detection, groups in looked_back.values()]
            run.report.searches += len(asked)
            earlier = self._queries.begins(asked, run.deadline)
            left = [
                (detection, candidate, gap)
                for detection, candidate, gap in left
                if (alert_id := candidate.alert_id(detection.name)) in earlier and earlier[alert_id] < begins[alert_id]
            ]
            begins |= earlier
        return begins

    def _about_earlier(self, detection: Detection, groups: Sequence[Candidate]) -> Question:
        """What is asked about the time from the first begin of these groups to the last."""
        first = min(group.first_seen for group in groups)
        last = max(group.last_seen for group in groups)
        if detection.window_seconds:
            since, until = moment_of(first), moment_of(last)
            return self._about_windows(detection, windows_with(detection, since, until, until))
        index = self._index(detection, moment_of(first).date(), moment_of(last).date())
        return Question(detection, Window("@timestamp", first, last), index)

    def _bounded(self, found: Sequence[Fired], run: Run) -> tuple[list[Fired], list[Storm]]:
        """The groups that get an alert of their own, with a summary of the others of each storm, and the storms."""
        kept, storms = self._divide([(detection.name, candidate) for detection, candidate in found], run)
        summaries = [(self._detections[storm.detection], storm.summary) for storm in storms]
        return [*(found[position] for position in kept), *summaries], storms

    def _bounded_firings(self, found: Sequence[Firing], run: Run) -> list[Firing]:
        """The same of firings that OpenSearch is not asked about: of analysts' monitors."""
        kept, storms = self._divide([(firing.detection, _as_candidate(firing)) for firing in found], run)
        return [*(found[position] for position in kept), *(_summary(storm, found) for storm in storms)]

    def _divide(self, found: Sequence[tuple[str, Candidate]], run: Run) -> tuple[list[int], list[Storm]]:
        if not found:
            return [], []
        detections = {name for name, _ in found}
        resource_ids = {candidate.resource_id for _, candidate in found}
        kept, storms = divide(found, self._alerts.open_ids(detections, resource_ids, run.deadline))
        run.report.storms |= {storm.alert_id: storm.total for storm in storms}
        return kept, storms

    def _update_alerts(
        self,
        firings: Sequence[Firing],
        read: Mapping[str, Stored | None],
        run: Run,
        *,
        archive_quiet: bool = False,
    ) -> set[str]:
        """Apply firings to alerts, over the versions that were read; return the detections whose alerts conflict.

        What has to be published of the alerts is added to the run.
        """
        report, has_topic = run.report, self._notifier.has_topic
        firings = self._named(firings, run)
        fired = {firing.alert_id for firing in firings}
        stored = {alert_id: one for alert_id in fired if (one := read.get(alert_id))}
        if unread := sorted(fired - read.keys()):
            stored |= self._alerts.get(unread, run.deadline)
        if archive_quiet:
            unsettled = self._alerts.unsettled(run.now, run.deadline, messages=has_topic)
            stored |= {one.alert.id: one for one in unsettled}
        alerts = {alert_id: one.alert for alert_id, one in stored.items()}
        changed = changes(alerts, firings, self._detections, run.now, messages=has_topic)
        to_write = [(change.after, stored.get(change.after.id)) for change in changed if change.written]
        written = self._alerts.write(to_write, run.deadline.part(_WRITING))
        report.raised += sum(change.raised and change.after.id in written.ids for change in changed)
        arrived = [change.after.arrived_at for change in changed if change.raised and change.after.id in written.ids]
        report.arrived_at = min([*filter(None, (report.arrived_at, *arrived))], default="")
        report.archived += sum(change.archived and change.after.id in written.ids for change in changed)
        report.conflicts += len(written.conflicts)
        report.refused_alerts |= written.refused
        report.unwritten |= {_detection_of(alert_id): written.cause for alert_id in written.unwritten}
        run.due.update(
            (change.after.id, (change.after, change.due))
            for change in changed
            if change.due and (change.after.id in written.ids or not change.written)
        )
        return {_detection_of(alert_id) for alert_id in (written.conflicts | written.unwritten) & fired}

    def _named(self, firings: Sequence[Firing], run: Run) -> Sequence[Firing]:
        """Firings with their databases as they are called now; without names if these cannot be read."""
        resource_ids = {one.database.resource_id for one in firings} - {""}
        if not resource_ids or run.report.names_cause:
            return firings
        try:
            names = self._names.read(resource_ids, run.deadline)
        except SearchUnavailable as exc:
            run.report.names_cause = str(exc)
            return firings
        return [replace(one, database=named(one.database, names)) for one in firings]

    def _send_messages(self, run: Run) -> None:
        """Publish the messages that are due, and note each before the next one goes out."""
        waiting = {alert_id: alert for alert_id, (alert, due) in run.due.items() if due.message}
        sending = run.deadline.earlier(_NOTE_SECONDS)
        for sent in self._notifier.send_messages(list(waiting.values()), self._detections, sending, run.report.sent):
            for publication in sent:
                del waiting[publication.alert.id]
            if not self._note([publication for publication in sent if not publication.unknown], run):
                break  # what cannot be noted would go out again
        self._note([Publication(alert) for alert in waiting.values()], run)

    def _import_findings(self, due: Mapping[str, tuple[Alert, Due]], run: Run) -> None:
        """Publish the findings that are due, and note them call by call."""
        findings = [alert for alert, what in due.values() if what.finding]
        sending = run.deadline.earlier(_NOTE_SECONDS)
        for imported in self._notifier.import_findings(findings, self._detections, sending, run.report.sent):
            self._note(imported, run)

    def _note(self, publications: Sequence[Publication], run: Run) -> bool:
        """Note what was published in the alerts as they are by now; return whether that was possible."""
        by_id = {publication.alert.id: publication for publication in publications}
        if not by_id:
            return True
        outcome = self._alerts.update(
            by_id, lambda alert: mark_published(alert, by_id[alert.id], run.now), run.deadline.part(_WRITING)
        )
        run.report.refused_alerts |= outcome.refused
        if outcome.unwritten:
            run.report.sent.unrecorded += len(outcome.unwritten)
            run.report.sent.causes.add(f"not noted: {outcome.cause}")
        return not outcome.unwritten

    def _sightings(
        self, detection: Detection, candidates: Sequence[Candidate], known: Mapping[str, Sighting], now: datetime
    ) -> list[Action]:
        index, versioned = self._indices.seen, self._alerts.has_versions
        return sightings(detection, candidates, known, now, index, versioned=versioned)

    def _note_seen(self, detection: Detection, actions: Sequence[Action], run: Run) -> set[str]:
        """Note what a detection saw; return the detection if that is not written: its next run asks again."""
        writing = run.deadline.part(_WRITING)
        for begin in range(0, len(actions), _SIGHTINGS):
            result = self._search.write(actions[begin : begin + _SIGHTINGS], writing)
            if result.refused:
                run.report.refused_sightings[detection.name] = result.refused[0].error_type
            if result.unwritten:
                run.report.unwritten[detection.name] = result.cause
                return {detection.name}
        return set()


@dataclass(slots=True)
class _Found:
    """What questions found, and which detections could not be asked."""

    answers: Answers = field(default_factory=Answers)
    failed: set[str] = field(default_factory=set)
    at: datetime | None = None  # until then late events were asked about; the others did not fit

    def until_of(self, detection: Detection) -> datetime | None:
        """The same for one detection: only those of events have late ones."""
        return self.at if detection.source is Source.EVENTS else None


def _present(backlogs: Mapping[str, Backlog | None]) -> dict[str, Backlog]:
    return {name: backlog for name, backlog in backlogs.items() if backlog}


def _unit(asked: Sequence[Detection], noted: Progress, failed: Iterable[str]) -> list[Detection]:
    """Return the detections whose oldest slice is next: the same for all of them."""
    lagging = [
        (detection, noted.backlogs[detection.name])
        for detection in asked
        if detection.name in noted.backlogs and detection.name not in failed
    ]
    if not lagging:
        return []
    first = min((backlog for _, backlog in lagging), key=lambda backlog: backlog.order)
    return [detection for detection, backlog in lagging if (backlog.slice, backlog.at) == (first.slice, first.at)]


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
    return [storm.summarized(firing) if (storm := by_id.get(firing.alert_id)) else firing for firing in firings]


def _summary(storm: Storm, found: Iterable[Firing]) -> Firing:
    """A storm's firing, where OpenSearch is not asked for its events."""
    alike = (storm.detection, storm.summary.resource_id)
    example = next(firing for firing in found if (firing.detection, firing.database.resource_id) == alike)
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

    return [
        f"{detection.name}: expired {suppression.expires}, owner {suppression.owner}"
        for detection in detections
        for suppression in detection.expired_suppressions(day)
    ]


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
