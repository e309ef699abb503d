"""Alerts: what a detection answered for one group of one database, while it lasts.

In: firings, what the saved queries (or a monitor's notification) found now, and the alerts as they are in `das-alerts`.
Out: the alerts as they should be, and what has to be published. Pure: the same inputs give the same alerts, so a
retry, a second runner and a crash between any two steps end in the same state.

An episode begins with the first event of a firing and ends after the detection's quiet time without new activity. An
alert whose episode is over is archived; new activity opens the next episode under the same id. Late events of an
archived episode are new activity as well: they arrived after everything that it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from daswatch.canonical import canonical_json
from daswatch.detections.detection import Detection, Level
from daswatch.times import iso_milliseconds, moment_of

UPDATE_INTERVAL = timedelta(minutes=15)  # each import of a finding is an event on EventBridge, too: not every minute
LEASE = timedelta(seconds=90)  # longer than one run takes to send; then another may
MAX_LEASE = timedelta(hours=1)
MESSAGE_WAIT = timedelta(days=1)  # how long an alert that is over waits for its message to be sent
GROUPS = "groups"  # the metric of a summary: how many groups fired at once

OWN_MONITOR_QUIET_SECONDS = 3600  # of an analyst's own monitor, which has no quiet time

# What an alert's document has by the names of the events, to be searched alike: who, from where, with what, on what.
SEARCHED = (
    *("dbUserName", "userIdentityArn", "actor", "remoteHost", "remoteIp", "sourceIPAddress", "clientApplication"),
    *("databaseName", "objects", "target", "signals"),
)

MAX_SAMPLES = 5
MAX_ACTORS = 10


class State(StrEnum):
    """Security Hub's record states, in our spelling."""

    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Database:
    """The database of the events. `engine` and account are empty if no event has them.

    `identifier` and `tags`, each like `env=prod`, are those of the inventory, empty if it does not know the database.
    """

    resource_id: str
    aws_account_id: str = ""
    aws_region: str = ""
    engine: str = ""
    identifier: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PivotEvent:
    """The event from which an analyst goes on: the first one, or of a sequence the last that completed it.

    `session_id` is empty where the event has none.
    """

    id: str
    session_id: str
    at: str

    def document(self) -> dict[str, str]:
        """As it is indexed in an alert."""
        return {"pivotId": self.id, "sessionId": self.session_id, "pivotAt": self.at}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> PivotEvent | None:
        """From an alert's document."""
        if "pivotId" not in document:
            return None
        return cls(document["pivotId"], document.get("sessionId", ""), document["pivotAt"])


@dataclass(frozen=True, slots=True)
class Firing:
    """What a detection found for one group of one database now. Times are ISO 8601 in UTC, in milliseconds.

    `count` and `metrics` cover the episode's events from `first_seen` on: they are counted again each time, never added
    up, so counting twice changes nothing.
    """

    detection: str
    title: str
    level: Level
    database: Database
    group: Mapping[str, str]  # field -> value; empty where the events have none
    first_seen: str
    last_seen: str
    count: int
    metrics: Mapping[str, int] = field(default_factory=dict)  # such as {"distinct dbUserName": 7}
    actors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # field -> its most frequent values
    samples: tuple[str, ...] = ()  # ids of documents, newest first
    note: str = ""  # anything else an analyst should know; of a failing query: why
    arrived_at: str = ""  # when the last of its events arrived; empty where that is not known
    pivot: PivotEvent | None = None

    @property
    def alert_id(self) -> str:
        """The id of the alert that it belongs to."""
        return alert_id(self.detection, self.database.resource_id, self.group)


@dataclass(frozen=True, slots=True)
class Published:
    """The alert as Security Hub has it."""

    at: str
    state: State
    level: Level
    changed_at: str

    def document(self) -> dict[str, str]:
        """As it is indexed."""
        return {"at": self.at, "state": self.state.value, "level": self.level.value, "changedAt": self.changed_at}

    @classmethod
    def of(cls, document: Mapping[str, str]) -> Published:
        """From an indexed document."""
        return cls(document["at"], State(document["state"]), Level(document["level"]), document["changedAt"])


@dataclass(frozen=True, slots=True)
class Alert:
    """One document of `das-alerts`."""

    detection: str
    title: str
    level: Level
    database: Database
    group: Mapping[str, str]
    state: State
    episode: int  # 1 for the first; one more for each recurrence
    first_seen: str  # of the episode's events
    last_seen: str
    count: int
    metrics: Mapping[str, int]
    actors: Mapping[str, tuple[str, ...]]
    samples: tuple[str, ...]
    note: str
    created_at: str  # when it was raised for the first time; by our clock, as are the following
    changed_at: str  # when it last became another
    last_activity_at: str  # when new activity was last found
    quiet_seconds: int
    published: Published | None = None
    notified_episode: int = 0  # the last episode of which a message went out
    lease_until: str = ""  # until then one runner may send its message
    leases: int = 0  # since the outcome of a message was last noted
    arrived_at: str = ""  # when the last event that was counted arrived
    pivot: PivotEvent | None = None
    replayed_at: str = ""  # when a replay found the episode; empty where a run did

    @property
    def id(self) -> str:
        """The document's id."""
        return alert_id(self.detection, self.database.resource_id, self.group)

    @property
    def pending(self) -> bool:
        """Whether Security Hub has an older state of the alert."""
        published = self.published
        now = self.state, self.level, self.changed_at
        return published is None or (published.state, published.level, published.changed_at) != now

    def document(self) -> dict[str, Any]:
        """As it is indexed: flat field names that an analyst can search, as in the events."""
        document = {
            "@timestamp": self.last_seen,
            "alertId": self.id,
            "detection": self.detection,
            "title": self.title,
            "level": self.level.value,
            **{name: value for name, value in _database_fields(self.database).items() if value},
            "group": dict(self.group),
            "groupText": group_text(self.group) or _groups_text(self.metrics),
            **_searched(self.group, self.actors),
            "state": self.state.value,
            "pending": self.pending,
            "episode": self.episode,
            "firstSeen": self.first_seen,
            "lastSeen": self.last_seen,
            "count": self.count,
            "metrics": dict(self.metrics),
            "actors": {name: list(values) for name, values in self.actors.items()},
            "sampleIds": list(self.samples),
            "note": self.note,
            "createdAt": self.created_at,
            "changedAt": self.changed_at,
            "lastActivityAt": self.last_activity_at,
            "quietSeconds": self.quiet_seconds,
            "notifiedEpisode": self.notified_episode,
        }
        if self.lease_until:
            document |= {"leaseUntil": self.lease_until, "leases": self.leases}
        if self.arrived_at:
            document["arrivedAt"] = self.arrived_at
        if self.replayed_at:
            document["replayedAt"] = self.replayed_at
        if self.pivot:
            document |= {name: value for name, value in self.pivot.document().items() if value}
        if self.published:
            document["published"] = self.published.document()
        return document

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Alert:
        """From an indexed document."""
        published = document.get("published")
        return cls(
            detection=document["detection"],
            title=document["title"],
            level=Level(document["level"]),
            database=Database(
                resource_id=document.get("resourceId", ""),
                aws_account_id=document.get("awsAccountId", ""),
                aws_region=document.get("awsRegion", ""),
                engine=document.get("engine", ""),
                identifier=document.get("databaseIdentifier", ""),
                tags=tuple(document.get("databaseTags", ())),
            ),
            group=dict(document["group"]),
            state=State(document["state"]),
            episode=document["episode"],
            first_seen=document["firstSeen"],
            last_seen=document["lastSeen"],
            count=document["count"],
            metrics=dict(document["metrics"]),
            actors={name: tuple(values) for name, values in document["actors"].items()},
            samples=tuple(document["sampleIds"]),
            note=document["note"],
            created_at=document["createdAt"],
            changed_at=document["changedAt"],
            last_activity_at=document["lastActivityAt"],
            quiet_seconds=document["quietSeconds"],
            published=published and Published.of(published),
            notified_episode=document["notifiedEpisode"],
            lease_until=document.get("leaseUntil", ""),
            leases=document.get("leases", 0),
            arrived_at=document.get("arrivedAt", ""),
            pivot=PivotEvent.of(document),
            replayed_at=document.get("replayedAt", ""),
        )


def _database_fields(database: Database) -> dict[str, Any]:
    return {
        "resourceId": database.resource_id,
        "awsAccountId": database.aws_account_id,
        "awsRegion": database.aws_region,
        "engine": database.engine,
        "databaseIdentifier": database.identifier,
        "databaseTags": list(database.tags),
    }


def alert_id(detection: str, resource_id: str, group: Mapping[str, str]) -> str:
    """One id for each (detection, database, group), which never changes: it is the end of the finding's id, too."""
    return f"{detection}/{resource_id}/{group_hash(group)}"


def group_hash(group: Mapping[str, str]) -> str:
    """16 hexadecimal digits for a group's values."""
    return sha256(canonical_json(dict(sorted(group.items())))).hexdigest()[:16]


def group_text(group: Mapping[str, str]) -> str:
    """A group in words, such as `dbUserName app, remoteHost 203.0.113.9`."""
    return ", ".join(f"{name} {value or '(none)'}" for name, value in group.items())


def _searched(group: Mapping[str, str], actors: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    found = {name: [group[name]] if group.get(name) else list(actors.get(name, ())) for name in SEARCHED}
    return {name: values for name, values in found.items() if values}


def _groups_text(metrics: Mapping[str, int]) -> str:
    return f"{metrics[GROUPS]} groups" if GROUPS in metrics else ""


def advance(alert: Alert | None, firing: Firing | None, quiet_seconds: int, now: datetime) -> Alert | None:
    """Return the alert after this firing; the same object if nothing changed, None if there is no alert."""
    if firing is None:
        return alert and _quieter(alert, now)
    at = iso_milliseconds(now)
    if alert is None:
        return _opened(firing, quiet_seconds, at, episode=1, created_at=at)
    if not _is_new_activity(alert, firing):
        return _quieter(alert, now)
    if alert.state is State.ARCHIVED or _after_quiet(alert, firing, quiet_seconds):
        again = _opened(firing, quiet_seconds, at, episode=alert.episode + 1, created_at=alert.created_at)
        return replace(
            again,
            published=alert.published,
            notified_episode=alert.notified_episode,
            lease_until=alert.lease_until,
            leases=alert.leases,
            arrived_at=max(alert.arrived_at, firing.arrived_at),
        )
    fewer_groups = firing.metrics.get(GROUPS, 0) < alert.metrics.get(GROUPS, 0)
    return replace(
        alert,
        title=firing.title,
        group=firing.group,
        # The level of an episode never falls: what was seen does not become less severe.
        level=max(alert.level, firing.level, key=lambda level: level.rank),
        database=_known(firing.database, alert.database),
        first_seen=min(alert.first_seen, firing.first_seen),
        last_seen=max(alert.last_seen, firing.last_seen),
        count=max(alert.count, firing.count),
        metrics=alert.metrics if fewer_groups else dict(firing.metrics) or alert.metrics,
        actors=dict(firing.actors) or alert.actors,
        samples=firing.samples or alert.samples,
        note=alert.note if fewer_groups else firing.note,
        changed_at=at,
        last_activity_at=at,
        quiet_seconds=quiet_seconds,
        arrived_at=max(alert.arrived_at, firing.arrived_at),
        pivot=firing.pivot or alert.pivot,
    )


def _is_new_activity(alert: Alert, firing: Firing) -> bool:
    """Whether a firing has events that its alert does not count: a window holds the same ones for some time.

    Events are counted from the start of an episode, so a count only grows with new activity. What a window holds of an
    archived episode has no such start; there the last arrival decides. An event keeps it however often it is delivered.
    """
    if firing.last_seen > alert.last_seen:
        return True
    if alert.state is State.ACTIVE:
        return firing.count > alert.count
    return bool(alert.arrived_at) and firing.arrived_at > alert.arrived_at


def _after_quiet(alert: Alert, firing: Firing, quiet_seconds: int) -> bool:
    """Whether the firing begins an episode of its own though the alert was not archived: its events came late."""
    quiet = moment_of(firing.first_seen) - moment_of(alert.last_seen)
    return quiet >= timedelta(seconds=quiet_seconds)


def _opened(firing: Firing, quiet_seconds: int, at: str, *, episode: int, created_at: str) -> Alert:
    return Alert(
        detection=firing.detection,
        title=firing.title,
        level=firing.level,
        database=firing.database,
        group=firing.group,
        state=State.ACTIVE,
        episode=episode,
        first_seen=firing.first_seen,
        last_seen=firing.last_seen,
        count=firing.count,
        metrics=firing.metrics,
        actors=firing.actors,
        samples=firing.samples,
        note=firing.note,
        created_at=created_at,
        changed_at=at,
        last_activity_at=at,
        quiet_seconds=quiet_seconds,
        arrived_at=firing.arrived_at,
        pivot=firing.pivot,
    )


def _waits_for_message(before: Alert, after: Alert, now: datetime) -> bool:
    """Whether an alert would be archived before its message was sent: it stays open for that, for a day."""
    ends = before.state is State.ACTIVE and after.state is State.ARCHIVED
    quiet_since = moment_of(before.last_activity_at) + timedelta(seconds=before.quiet_seconds)
    return ends and before.notified_episode < before.episode and now - quiet_since < MESSAGE_WAIT


def _known(now: Database, before: Database) -> Database:
    return Database(
        now.resource_id,
        now.aws_account_id or before.aws_account_id,
        now.aws_region or before.aws_region,
        now.engine or before.engine,
        now.identifier or before.identifier,
        now.tags if now.identifier else before.tags,
    )


def _quieter(alert: Alert, now: datetime) -> Alert:
    """The alert without new activity: archived once it has been quiet for long enough."""
    quiet_since = moment_of(alert.last_activity_at)
    if alert.state is State.ARCHIVED or now - quiet_since < timedelta(seconds=alert.quiet_seconds):
        return alert
    return replace(alert, state=State.ARCHIVED, changed_at=iso_milliseconds(now))


@dataclass(frozen=True, slots=True)
class Due:
    """What has to be published of an alert now."""

    finding: bool
    message: bool

    def __bool__(self) -> bool:
        return self.finding or self.message


NOTHING_DUE = Due(finding=False, message=False)


def due(alert: Alert, now: datetime, *, messages: bool) -> Due:
    """Return what has to be published now, unless another runner publishes it.

    Raised, archived, active again and more severe go out at once, other changes at most every UPDATE_INTERVAL.
    `messages` is whether there is an alert topic: one message for each episode.
    """
    if alert.lease_until and moment_of(alert.lease_until) > now:
        return NOTHING_DUE
    message = messages and alert.state is State.ACTIVE and alert.notified_episode < alert.episode
    published = alert.published
    if published is None or published.state is not alert.state or published.level is not alert.level:
        return Due(finding=True, message=message)
    waited = now - moment_of(published.at) >= UPDATE_INTERVAL
    return Due(finding=alert.pending and waited, message=message)


def leased(alert: Alert, now: datetime) -> Alert:
    """The alert while one runner sends its message.

    Each lease in a row is twice as long: where nothing can be noted afterwards, repetitions become rare.
    """
    lease = min(MAX_LEASE, LEASE * 2 ** min(alert.leases, 10))
    return replace(alert, lease_until=iso_milliseconds(now + lease), leases=alert.leases + 1)


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published of an alert, as it was then. If nothing was, its message waits for another run.

    Where it is `unknown` whether a message went out, the lease stays, so that repetitions become rare.
    """

    alert: Alert
    finding: bool = False
    message: bool = False
    unknown: bool = False


def mark_published(alert: Alert, publication: Publication, now: datetime) -> Alert:
    """Return the alert as it is by now with its published state updated.

    It may have changed since. A finding does not affect the lease, which is the message's.
    """
    sent = publication.alert
    if publication.finding:
        alert = replace(alert, published=Published(iso_milliseconds(now), sent.state, sent.level, sent.changed_at))
    if publication.message:
        alert = replace(alert, notified_episode=max(alert.notified_episode, sent.episode))
    if publication.message or not publication.finding:
        alert = replace(alert, lease_until="", leases=0) if alert.lease_until == sent.lease_until else alert
    return alert


@dataclass(frozen=True, slots=True)
class AlertChange:
    """An alert as it should be, with what has to be published; `before` is None for a new one."""

    before: Alert | None
    after: Alert
    due: Due

    @property
    def written(self) -> bool:
        """Whether it has to be written: another one than before."""
        return self.after != self.before

    @property
    def raised(self) -> bool:
        """Whether an episode begins."""
        return self.before is None or self.after.episode > self.before.episode

    @property
    def archived(self) -> bool:
        """Whether an episode ends."""
        return self.before is not None and self.after.state is not self.before.state is State.ACTIVE


def changes(
    alerts: Mapping[str, Alert],
    firings: Iterable[Firing],
    detections: Mapping[str, Detection],
    now: datetime,
    *,
    messages: bool,
) -> list[AlertChange]:
    """Return the alerts changed by these firings, or with something to publish. Those with a message are leased."""
    by_id = {firing.alert_id: firing for firing in firings}
    found = []
    for alert_id in {**by_id, **alerts}:
        before, firing = alerts.get(alert_id), by_id.get(alert_id)
        detection = detections.get(firing.detection if firing else alerts[alert_id].detection)
        after = advance(before, firing, detection.quiet_seconds if detection else OWN_MONITOR_QUIET_SECONDS, now)
        if after is None:
            continue
        if messages and before and _waits_for_message(before, after, now):
            after = before
        what = due(after, now, messages=messages)
        if what.message:
            after = leased(after, now)
        change = AlertChange(before, after, what)
        if change.written or change.due:
            found.append(change)
    return found
