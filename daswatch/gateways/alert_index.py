"""OpenSearch: alerts, what first-seen detections know, and how far the runner has come.

An alert is only written over the version that was read: where somebody else was faster, nothing is written and the next
run decides again. Everything is read by id or refreshed, never from an index that is seconds behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.alerts import INDEX, Alert, State
from daswatch.answers import whole, whole_items
from daswatch.backlog import Backlog
from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.gateways.endpoint import request
from daswatch.seen import INDEX as SEEN_INDEX
from daswatch.seen import Seen
from daswatch.stream_records import iso_milliseconds

RUNS_INDEX = "das-runs"
_RUNNER = "scheduled"
_PAGE = 1_000
_BACKLOG_TIMES = ("until", "end", "at")
_NOT_FOUND = 404
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Stored:
    """An alert as it is in the index, with its version."""

    alert: Alert
    seq_no: int
    primary_term: int


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
    def of(cls, document: Mapping[str, Any], version: tuple[int, int]) -> Progress:
        """From an indexed document; one of an earlier version has no backlogs, and is behind until its last run."""
        since = datetime.fromisoformat(document["since"])
        backlogs = {}
        for name, begin in document.get("behind", {}).items():
            more = document.get("backlogs", {}).get(name, {})
            until, end, at = (datetime.fromisoformat(more[key]) if more.get(key) else None for key in _BACKLOG_TIMES)
            backlogs[name] = Backlog(datetime.fromisoformat(begin), until or since, end, at)
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
class Written:
    """What became of alerts that were to be written."""

    stored: dict[str, Stored] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)  # somebody else was faster
    refused: dict[str, str] = field(default_factory=dict)  # OpenSearch's name for the reason


class AlertIndex:
    """`das-alerts`, `das-seen` and `das-runs` at one endpoint. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch) -> None:
        self._client = client

    def get(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Stored]:
        """These alerts, as far as there are any."""
        return {entry["_id"]: _stored(entry) for entry in self._get_many(INDEX, ids, deadline)}

    def unsettled(self, deadline: Deadline) -> Iterator[Stored]:
        """All that last, and all that Security Hub was not told the latest of."""
        body: dict[str, Any] = {
            "size": _PAGE,
            "seq_no_primary_term": True,
            "query": {
                "bool": {
                    "should": [{"term": {"state": State.ACTIVE.value}}, {"term": {"pending": True}}],
                    "minimum_should_match": 1,
                }
            },
            "sort": [{"alertId": "asc"}],
        }
        while True:
            answer = whole(
                self._request("POST", f"/{INDEX}/_search", deadline, body, {"ignore_unavailable": "true"}), INDEX
            )
            hits = answer["hits"]["hits"]
            yield from map(_stored, hits)
            if len(hits) < _PAGE:
                return
            body["search_after"] = hits[-1]["sort"]

    def write(self, alerts: Iterable[tuple[Alert, Stored | None]], deadline: Deadline) -> Written:
        """Write alerts over the versions that were read; None where there was none."""
        written = Written()
        lines: list[bytes] = []
        asked = []
        for alert, before in alerts:
            action: dict[str, Any] = {"_index": INDEX, "_id": alert.id}
            if before:
                action |= {"if_seq_no": before.seq_no, "if_primary_term": before.primary_term}
            lines += [orjson.dumps({"index" if before else "create": action}), orjson.dumps(alert.document())]
            asked.append(alert)
        if not asked:
            return written
        answer = self._request("POST", "/_bulk", deadline, b"\n".join(lines) + b"\n", {"refresh": "true"})
        for alert, item in zip(asked, answer["items"], strict=True):
            (outcome,) = item.values()
            if outcome["status"] == _CONFLICT:
                written.conflicts.add(alert.id)
            elif "error" in outcome:
                written.refused[alert.id] = str(outcome["error"].get("type", outcome["status"]))
            else:
                written.stored[alert.id] = Stored(alert, outcome["_seq_no"], outcome["_primary_term"])
        return written

    def seen(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Seen]:
        """What is known about these groups and databases."""
        return {
            entry["_id"]: Seen(entry["_source"]["firstSeen"], entry["_source"]["lastSeen"])
            for entry in self._get_many(SEEN_INDEX, ids, deadline)
        }

    def progress(self, deadline: Deadline) -> Progress | None:
        """How far the last run came; None before the first."""
        try:
            answer = self._request("GET", f"/{RUNS_INDEX}/_doc/{_RUNNER}", deadline)
        except SearchUnavailable as exc:
            if exc.status == _NOT_FOUND:
                return None
            raise
        return Progress.of(answer["_source"], (answer["_seq_no"], answer["_primary_term"]))

    def advance(self, before: Progress | None, after: Progress, deadline: Deadline) -> Progress | None:
        """Note how far this run came; None where another run was faster, whose note stays."""
        version = before.version if before else None
        params = (
            {"if_seq_no": str(version[0]), "if_primary_term": str(version[1])} if version else {"op_type": "create"}
        )
        try:
            answer = self._request("PUT", f"/{RUNS_INDEX}/_doc/{_RUNNER}", deadline, after.document(), params)
        except SearchUnavailable as exc:
            if exc.status == _CONFLICT:
                return None
            raise
        return replace(after, version=(answer["_seq_no"], answer["_primary_term"]))

    def _get_many(self, index: str, ids: Sequence[str], deadline: Deadline) -> Iterator[Mapping[str, Any]]:
        for begin in range(0, len(ids), _PAGE):
            body = {"docs": [{"_index": index, "_id": one} for one in ids[begin : begin + _PAGE]]}
            items = whole_items(self._request("POST", "/_mget", deadline, body), len(body["docs"]), index)
            yield from (entry for entry in items if entry.get("found"))

    def _request(
        self, method: str, path: str, deadline: Deadline, body: Any = None, params: Mapping[str, str] | None = None
    ) -> Any:
        return request(self._client, method, path, deadline=deadline, params=params, body=body)


def _stored(entry: Mapping[str, Any]) -> Stored:
    return Stored(Alert.of(entry["_source"]), entry["_seq_no"], entry["_primary_term"])
