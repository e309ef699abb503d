"""OpenSearch: alerts, what first-seen detections know, and how far the runner has come.

An alert is only written over the version that was read: where another runner was faster, nothing is written and the
next run decides again. Everything is read by id or refreshed, never from an index that is seconds behind. Every item of
a bulk has a fate as in ingest (`daswatch.indexing.bulk`), and every read of alerts has a bound, however many there are.

A Serverless collection has no versions to write over, and what was written is read some ten seconds later, by id as
well. There the schedule alone writes alerts, no two of its runs overlap (`daswatch.opensearch.run_claims`), and what a
function wrote itself comes before what it reads (docs/decisions/0024).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.alerts.alert import MESSAGE_WAIT, UPDATE_INTERVAL, Alert, State
from daswatch.deadline import Deadline, backoff_seconds
from daswatch.detections.detection import Level
from daswatch.errors import SearchUnavailable
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.request import request
from daswatch.opensearch.responses import whole, whole_items
from daswatch.queries.backlog import Backlog
from daswatch.queries.first_seen import Sighting
from daswatch.settings import Service
from daswatch.times import iso_milliseconds, moment_of

_RUNNER = "scheduled"
_PAGE = 1_000
_BULK = 500  # alerts in one request: some 2 KB each
PORTION = 1_000  # open alerts that one run archives, and alerts that it publishes, besides those that fire
_BACKLOG_TIMES = ("until", "end", "at")
_UNREAD_SECONDS = 120.0  # AWS: some ten seconds; up to a minute was seen
_NOT_FOUND = 404
_CONFLICT = 409
_DENIED = frozenset({401, 403, 404})

# Scripts over what every index of alerts has: new fields would find nothing in one that was made before.
_QUIET = "doc['lastActivityAt'].value.toInstant().toEpochMilli() + doc['quietSeconds'].value * 1000 <= params.now"
_NO_MESSAGE_YET = "doc['notifiedEpisode'].value < doc['episode'].value"
_ANOTHER_STATE = (
    "doc['published.state'].size() == 0 || doc['published.level'].size() == 0"
    " || doc['published.state'].value != doc['state'].value || doc['published.level'].value != doc['level'].value"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """An alert as it is in the index, with its version; without one in a collection."""

    alert: Alert
    version: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Up to when what arrived was looked at, and each detection that has something earlier to look at yet."""

    since: datetime
    backlogs: Mapping[str, Backlog] = field(default_factory=dict)
    version: tuple[int, int] | None = None  # of the document it was read from

    @property
    def behind(self) -> dict[str, datetime]:
        """Up to when these detections have looked at everything."""
        return {name: backlog.since for name, backlog in self.backlogs.items()}

    def gaps(self, names: Iterable[str]) -> dict[str, datetime]:
        """Since when these detections have not looked at everything, before what just arrived."""
        return {name: self.behind.get(name, self.since) for name in names}

    @classmethod
    def of(cls, document: Mapping[str, Any], version: tuple[int, int] | None) -> Progress:
        """From an indexed document; one of an earlier version has no backlogs, and is behind until its last run."""
        since = moment_of(document["since"])
        backlogs = {}
        for name, begin in document.get("behind", {}).items():
            more = document.get("backlogs", {}).get(name, {})
            until, end, at = (moment_of(more[key]) if more.get(key) else None for key in _BACKLOG_TIMES)
            backlogs[name] = Backlog(moment_of(begin), until or since, end, at)
        return cls(since, backlogs, version)

    def document(self) -> dict[str, Any]:
        """As it is indexed."""
        return {
            "since": iso_milliseconds(self.since),
            "behind": {name: iso_milliseconds(at) for name, at in self.behind.items()},
            "backlogs": {
                name: {
                    key: iso_milliseconds(at)
                    for key, at in zip(_BACKLOG_TIMES, (one.until, one.end, one.at), strict=True)
                    if at
                }
                for name, one in self.backlogs.items()
            },
        }


@dataclass(slots=True)
class WriteResult:
    """What became of alerts that were to be written, by their ids."""

    ids: set[str] = field(default_factory=set)
    conflicts: set[str] = field(default_factory=set)  # another runner was faster
    refused: dict[str, str] = field(default_factory=dict)  # for good, with OpenSearch's name for the reason
    unwritten: set[str] = field(default_factory=set)
    cause: str = ""  # why the unwritten are unwritten


class OwnWrites:
    """What this function wrote to a collection within the last minutes, while reads may not show it yet."""

    def __init__(self) -> None:
        self._alerts: dict[str, tuple[float, Alert]] = {}
        self._progress: tuple[float, Progress] | None = None

    def note(self, alerts: Iterable[Alert], deadline: Deadline) -> None:
        """Remember alerts as they were written."""
        now = deadline.clock.monotonic()
        self._alerts |= {alert.id: (now, alert) for alert in alerts}

    def alerts(self, deadline: Deadline) -> dict[str, Alert]:
        """Those that reads may not show."""
        since = deadline.clock.monotonic() - _UNREAD_SECONDS
        self._alerts = {name: (at, alert) for name, (at, alert) in self._alerts.items() if at > since}
        return {name: alert for name, (_, alert) in self._alerts.items()}

    def note_progress(self, progress: Progress, deadline: Deadline) -> None:
        """Remember how far the last run came."""
        self._progress = deadline.clock.monotonic(), progress

    def progress(self, deadline: Deadline) -> Progress | None:
        """How far the last run came, where reads may not show it."""
        if self._progress and self._progress[0] > deadline.clock.monotonic() - _UNREAD_SECONDS:
            return self._progress[1]
        return None


class AlertIndex:
    """Alerts, sightings and progress of one deployment. Raises SearchUnavailable."""

    def __init__(
        self,
        client: OpenSearch,
        indices: Indices,
        chance: Callable[[], float] = random.random,
        service: Service = "es",
    ) -> None:
        self._client = client
        self._indices = indices
        self._search = SearchGateway(client, chance, service)
        self._chance = chance
        self._own: OwnWrites | None = OwnWrites() if service == "aoss" else None

    @property
    def has_versions(self) -> bool:
        """Whether documents are written over the version that was read."""
        return self._own is None

    def get(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Stored]:
        """These alerts, as far as there are any."""
        found = {entry["_id"]: _stored(entry) for entry in self._get_many(self._indices.alerts, ids, deadline)}
        if self._own:
            own = self._own.alerts(deadline)
            found |= {name: Stored(own[name], None) for name in ids if name in own}
        return found

    def open_ids(self, detections: Collection[str], resource_ids: Collection[str], deadline: Deadline) -> set[str]:
        """The ids of these detections' alerts on these databases that are not archived."""
        filters: list[dict[str, Any]] = [
            {"term": {"state": State.ACTIVE.value}},
            {"terms": {"detection": sorted(detections)}},
        ]
        if all(resource_ids):  # an alert of no database has no such field
            filters.append({"terms": {"resourceId": sorted(resource_ids)}})
        size = 10 * _PAGE  # OpenSearch's limit; these hits have nothing but an id
        body: dict[str, Any] = {
            "size": size, "_source": False, "query": {"bool": {"filter": filters}}, "sort": [{"alertId": "asc"}]
        }  # fmt: skip
        ids: set[str] = set()
        while True:
            hits = self._hits(body, deadline)
            ids |= {hit["_id"] for hit in hits}
            if len(hits) < size:
                break
            body["search_after"] = hits[-1]["sort"]
        for name, alert in (self._own.alerts(deadline) if self._own else {}).items():
            if alert.detection not in detections or alert.database.resource_id not in resource_ids:
                continue
            ids = ids | {name} if alert.state is State.ACTIVE else ids - {name}
        return ids

    def unsettled(self, now: datetime, deadline: Deadline, *, messages: bool) -> list[Stored]:
        """Alerts that are to be archived, and alerts of which something is to be published now.

        No more than PORTION of both: those that have been quiet for longest, and those that are most urgent (messages
        first, then the most severe). What is done leaves its place to others, so the next run goes on.
        """
        found = [
            *self._hits(_quiet(now, messages=messages), deadline),
            *self._hits(_unpublished(now, messages=messages), deadline),
        ]
        own = self._own.alerts(deadline) if self._own else {}
        by_id = {entry["_id"]: _stored(entry) for entry in found}
        return [Stored(own[name], None) if name in own else stored for name, stored in by_id.items()]

    def write(self, alerts: Iterable[tuple[Alert, Stored | None]], deadline: Deadline) -> WriteResult:
        """Write alerts over the versions that were read, with retries until the deadline; None where there was none.

        Never raises for what OpenSearch answers.
        """
        alerts = list(alerts)
        actions = [_action(alert, before, self._indices.alerts) for alert, before in alerts]
        written = WriteResult({action.document_id for action in actions})
        for begin in range(0, len(actions), _BULK):
            result = self._search.write(actions[begin : begin + _BULK], deadline, refresh=True)
            written.conflicts |= {action.document_id for action in result.conflicts}
            written.refused |= {refusal.action.document_id: refusal.error_type for refusal in result.refused}
            written.unwritten |= {action.document_id for action in result.unwritten}
            written.cause = written.cause or result.cause
        written.ids -= written.conflicts | written.refused.keys() | written.unwritten
        if self._own:
            self._own.note((alert for alert, _ in alerts if alert.id in written.ids), deadline)
        return written

    def update(self, ids: Iterable[str], change: Callable[[Alert], Alert], deadline: Deadline) -> WriteResult:
        """Change alerts as they are by now: read and written again where another runner was faster, or OpenSearch
        did not answer, until the deadline. Never raises for what OpenSearch answers.
        """
        outcome = WriteResult(unwritten=set(ids))
        attempt = 0
        while outcome.unwritten:
            try:
                stored = self.get(sorted(outcome.unwritten), deadline)
            except SearchUnavailable as exc:
                outcome.cause = str(exc)
                if exc.status in _DENIED:
                    return outcome
            else:
                written = self.write([(change(one.alert), one) for one in stored.values()], deadline)
                outcome.ids |= written.ids
                outcome.refused |= written.refused
                outcome.unwritten = written.conflicts | written.unwritten
                outcome.cause = written.cause or "another runner changes the same alerts"
            pause = backoff_seconds(attempt, self._chance())
            if not outcome.unwritten or not deadline.wait(pause, 0.0):
                break
            attempt += 1
        return outcome

    def seen(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Sighting]:
        """What is known about these groups and databases."""
        return {
            entry["_id"]: Sighting(entry["_source"]["firstSeen"], entry["_source"]["lastSeen"])
            for entry in self._get_many(self._indices.seen, ids, deadline)
        }

    def progress(self, deadline: Deadline) -> Progress | None:
        """How far the last run came; None before the first."""
        try:
            answer = self._request("GET", self._progress, deadline)
        except SearchUnavailable as exc:
            if exc.status == _NOT_FOUND:
                return None
            raise
        progress = Progress.of(answer["_source"], _version(answer))
        own = self._own.progress(deadline) if self._own else None
        return own if own and own.since > progress.since else progress

    def advance(self, before: Progress | None, after: Progress, deadline: Deadline) -> Progress | None:
        """Note how far this run came; None where another run was faster, whose note stays."""
        version = before.version if before else None
        params = {"if_seq_no": str(version[0]), "if_primary_term": str(version[1])} if version else {}
        try:
            path = self._progress if before else f"/{self._indices.runs}/_create/{_RUNNER}"
            answer = self._request("PUT", path, deadline, after.document(), params)
        except SearchUnavailable as exc:
            if exc.status == _CONFLICT:
                return None
            raise
        further = replace(after, version=_version(answer))
        if self._own:
            self._own.note_progress(further, deadline)
        return further

    @property
    def _progress(self) -> str:
        return f"/{self._indices.runs}/_doc/{_RUNNER}"

    def _get_many(self, index: str, ids: Sequence[str], deadline: Deadline) -> Iterator[Mapping[str, Any]]:
        for begin in range(0, len(ids), _PAGE):
            asked = list(ids[begin : begin + _PAGE])
            try:
                answer = self._request("POST", f"/{index}/_mget", deadline, {"ids": asked})
            except SearchUnavailable as exc:
                if exc.status == _NOT_FOUND:  # before the first document there is no index
                    return
                raise
            items = whole_items(answer, len(asked), index)
            yield from (entry for entry in items if entry.get("found"))

    def _hits(self, body: Mapping[str, Any], deadline: Deadline) -> list[dict[str, Any]]:
        index = self._indices.alerts
        body = {**body, "seq_no_primary_term": True} if self.has_versions else body
        answer = self._request("POST", f"/{index}/_search", deadline, body, {"ignore_unavailable": "true"})
        hits: list[dict[str, Any]] = whole(answer, index)["hits"]["hits"]
        return hits

    def _request(
        self, method: str, path: str, deadline: Deadline, body: Any = None, params: Mapping[str, str] | None = None
    ) -> Any:
        # Ids, times and names of ours are all that these requests hold, so OpenSearch's sentence may be quoted.
        return request(self._client, method, path, deadline=deadline, params=params, body=body, with_reason=True)


def _stored(entry: Mapping[str, Any]) -> Stored:
    return Stored(Alert.of(entry["_source"]), _version(entry))


def _version(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """A document's version; a collection answers with a primary term of 0, which none can be."""
    term = entry.get("_primary_term") or 0
    return (entry["_seq_no"], term) if term else None


def _action(alert: Alert, before: Stored | None, index: str) -> Action:
    source = orjson.dumps(alert.document())
    if before is None:
        return Action.create(index, alert.id, source)
    condition = dict(zip(("if_seq_no", "if_primary_term"), before.version or (), strict=False))
    return Action.put(index, alert.id, source, condition)


def _quiet(now: datetime, *, messages: bool) -> dict[str, Any]:
    """The search for open alerts that are to be archived, those that have been quiet for longest first.

    Those that wait for their message are left out: they must not take the place of others.
    """
    filters = [{"term": {"state": State.ACTIVE.value}}, _over(now)]
    waiting = [{"bool": {"filter": [_script(_NO_MESSAGE_YET)], "must_not": [_over(now - MESSAGE_WAIT)]}}]
    return _portion({"filter": filters, "must_not": waiting if messages else []}, [{"lastActivityAt": "asc"}])


def _over(now: datetime) -> dict[str, Any]:
    return _script(_QUIET, now=int(now.timestamp() * 1000))


def _unpublished(now: datetime, *, messages: bool) -> dict[str, Any]:
    """The search for alerts of which something is due, as `daswatch.alerts.alert.due` has it, by urgency."""
    at = iso_milliseconds(now)
    finding = {
        "bool": {
            "filter": [{"term": {"pending": True}}],
            "should": [
                {"range": {"published.at": {"lte": iso_milliseconds(now - UPDATE_INTERVAL)}}},
                _script(_ANOTHER_STATE),
            ],
            "minimum_should_match": 1,
        }
    }
    message = {"bool": {"filter": [{"term": {"state": State.ACTIVE.value}}, _script(_NO_MESSAGE_YET)]}}
    due = [finding, message] if messages else [finding]
    urgency = [_boosted({"term": {"level": level.value}}, level.rank) for level in Level if level.rank]
    if messages:
        urgency.append(_boosted(message, len(Level)))
    query = {
        "filter": [{"bool": {"should": due, "minimum_should_match": 1}}],
        "must_not": [{"range": {"leaseUntil": {"gt": at}}}],
        "should": urgency,
    }
    return _portion(query, [{"_score": "desc"}, {"lastActivityAt": "asc"}])


def _portion(query: Mapping[str, Any], sort: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {"size": PORTION, "query": {"bool": query}, "sort": sort}


def _script(source: str, **params: Any) -> dict[str, Any]:
    return {"script": {"script": {"lang": "painless", "source": source, "params": params}}}


def _boosted(query: Mapping[str, Any], boost: int) -> dict[str, Any]:
    return {"constant_score": {"filter": query, "boost": boost}}
