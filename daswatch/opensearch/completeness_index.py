"""OpenSearch: what was counted of each hour, what is in the index, and what was judged of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.enrolment.first_records import SPAN
from daswatch.evidence.completeness import (
    HOUR,
    Archived,
    ArchiveKnown,
    Arrivals,
    Before,
    Document,
    Instance,
    MinuteCounts,
    Verdict,
)
from daswatch.indexing.bulk import Action
from daswatch.indexing.tallies import (
    ARCHIVED,
    INGESTED,
    MANIFEST,
    REPLAYED,
    ArchivedObject,
    ManifestNote,
    archived_actions,
    document_digest,
)
from daswatch.indices import Indices
from daswatch.opensearch.database_documents import write_documents
from daswatch.opensearch.request import search
from daswatch.settings import Service
from daswatch.times import iso_milliseconds, moment_of, version_of

_PAGE = 5_000  # buckets, documents
# A tally of 10,000 records has 80 KB of digests, an object of 64 MB up to 2 MB.
_PAGE_OF_TALLIES = 200
_PAGE_OF_OBJECTS = 10
_MOST_HITS = 10_000  # without pages, OpenSearch's limit
_MINUTE = "minute"
_COUNTS = ("records", "heartbeats", "documents", "dropped", "deadLetters")
_DAY = timedelta(days=1)
_ONE_MINUTE = timedelta(minutes=1)
_COUNTED = {"terms": {"stage": [INGESTED, REPLAYED]}}
_IS_NOT_COMPLETE = {"terms": {"verdict": [Verdict.GAP.value, Verdict.UNKNOWN.value]}}
_PAIR = ("resourceId", "instanceId")

Pair = tuple[str, str]  # resource id and instance id


class CompletenessIndex:
    """The tallies, events and verdicts of one deployment. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, indices: Indices, service: Service = "es") -> None:
        self._client = client
        self._indices = indices
        self._service = service

    def tallied(self, hour: datetime, deadline: Deadline) -> dict[Instance, dict[int, MinuteCounts]]:
        """What was counted of an hour at ingest and by replays, by instance and minute."""
        found: dict[Instance, dict[int, MinuteCounts]] = {}
        sums = {name: {"sum": {"field": name}} for name in _COUNTS}
        filters = [_within("@timestamp", hour, hour + HOUR), _COUNTED]
        fields = (*_PAIR, "awsAccountId", "awsRegion")
        for bucket in self._buckets(f"{self._indices.tallies}-*", filters, fields, sums, deadline):
            key = bucket["key"]
            instance = Instance(*(key[name] or "" for name in fields))
            counts = MinuteCounts(*(int(bucket[name]["value"]) for name in _COUNTS))
            found.setdefault(instance, {})[_minute(key[_MINUTE])] = counts
        return found

    def indexed(self, hour: datetime, deadline: Deadline) -> dict[Pair, dict[int, int]]:
        """How many documents of an hour are in the index, by instance and minute."""
        found: dict[Pair, dict[int, int]] = {}
        filters = [_within("@timestamp", hour, hour + HOUR)]
        for bucket in self._buckets(self._indices.events, filters, _PAIR, {}, deadline):
            key = bucket["key"]
            pair = (key["resourceId"] or "", key["instanceId"] or "")
            found.setdefault(pair, {})[_minute(key[_MINUTE])] = bucket["doc_count"]
        return found

    def counted_digests(self, pair: Pair, minute: datetime, deadline: Deadline) -> Iterator[str]:
        """What stands for each document that was counted in a minute, as tallies have it."""
        return self._digests("documentDigests", _of(pair), minute, minute + _ONE_MINUTE, deadline)

    def indexed_digests(self, pair: Pair, minute: datetime, deadline: Deadline) -> Iterator[str]:
        """What stands for each document of a minute that is in the index."""
        hits = self._all_hits(self._indices.events, _of(pair), False, minute, minute + _ONE_MINUTE, deadline)
        return (document_digest(hit["_id"]) for hit in hits)

    def dead_letter_digests(self, pair: Pair, minute: datetime, deadline: Deadline) -> Iterator[str]:
        """What stands for each record that became a dead letter in a minute, as tallies have it."""
        return self._digests("deadLetterDigests", _of(pair), minute, minute + _ONE_MINUTE, deadline)

    def processed_digests(
        self, resource_id: str, begin: datetime, until: datetime, deadline: Deadline
    ) -> Iterator[str]:
        """What stands for each record of a database that was processed, as tallies of a time have it."""
        return self._digests("recordDigests", [{"term": {"resourceId": resource_id}}], begin, until, deadline)

    def replayed(self, hour: datetime, deadline: Deadline) -> dict[Pair, set[int]]:
        """The minutes of an hour in which records of a replay may have arrived, by instance."""
        found: dict[Pair, set[int]] = {}
        filters = [_within("@timestamp", hour - SPAN, hour + HOUR), {"term": {"stage": REPLAYED}}]
        until = {"until": {"max": {"field": "arrivedUntil"}}}
        for bucket in self._buckets(f"{self._indices.tallies}-*", filters, _PAIR, until, deadline):
            key, arrived_until = bucket["key"], bucket["until"]["value"]
            if arrived_until is None:
                continue
            minutes = found.setdefault((key["resourceId"] or "", key["instanceId"] or ""), set())
            at, last = max(_moment(key[_MINUTE]), hour), min(_moment(arrived_until), hour + HOUR - _ONE_MINUTE)
            while at <= last:
                minutes.add(at.minute)
                at += _ONE_MINUTE
        return found

    def before(self, hour: datetime, deadline: Deadline) -> dict[Instance, Before]:
        """How each instance was heard in the day before an hour."""
        found: dict[Instance, Before] = {}
        sums = {name: {"sum": {"field": name}} for name in ("heartbeats", "heardMinutes")}
        filters = [_within("@timestamp", hour - _DAY, hour), {"exists": {"field": "heardMinutes"}}]
        fields = (*_PAIR, "awsAccountId", "awsRegion")
        index = f"{self._indices.completeness}-*"
        for bucket in self._buckets(index, filters, fields, sums, deadline, interval=""):
            instance = Instance(*(bucket["key"][name] or "" for name in fields))
            found[instance] = Before(int(bucket["heartbeats"]["value"]), int(bucket["heardMinutes"]["value"]))
        return found

    def manifested(self, hour: datetime, deadline: Deadline) -> list[Instance]:
        """The databases whose archive is known of an hour: manifests follow each other, so a later one says so too.

        Before the first one, the archive had nothing.
        """
        filters = [_since(hour), {"term": {"stage": MANIFEST}}]
        fields = ("resourceId", "awsAccountId", "awsRegion")
        found = self._buckets(f"{self._indices.tallies}-*", filters, fields, {}, deadline, interval="")
        keys = [bucket["key"] for bucket in found]
        return [Instance(key["resourceId"], "", key["awsAccountId"] or "", key["awsRegion"] or "") for key in keys]

    def archive(self, resource_id: str, hour: datetime, deadline: Deadline) -> ArchiveKnown:
        """The records of a database that were archived and that arrived around an hour, read as they are compared."""
        of_database = {"term": {"resourceId": resource_id}}
        around = [of_database, _within("@timestamp", hour - SPAN, hour + HOUR + SPAN)]
        return ArchiveKnown(hour, self._archived(around, deadline), self._arrived(around, deadline))

    def _archived(self, around: list[dict[str, Any]], deadline: Deadline) -> Iterator[Archived]:
        filters = [*around, {"term": {"stage": ARCHIVED}}]
        for hit in self._hits(f"{self._indices.tallies}-*", filters, True, deadline, ("object",), _PAGE_OF_OBJECTS):
            one = hit["_source"]
            yield Archived(moment_of(one["@timestamp"]), one["object"], one.get("recordDigests", ""))

    def _arrived(self, around: list[dict[str, Any]], deadline: Deadline) -> Iterator[Arrivals]:
        fields = ["@timestamp", "stage", "recordDigests", "deadLetterDigests"]
        for hit in self._tallies([*around, _COUNTED], fields, deadline):
            one = hit["_source"]
            found = one.get("recordDigests", "") + one.get("deadLetterDigests", "")
            yield Arrivals(moment_of(one["@timestamp"]), found, one["stage"] == REPLAYED)

    def _digests(
        self, field: str, filters: list[dict[str, Any]], begin: datetime, until: datetime, deadline: Deadline
    ) -> Iterator[str]:
        for hit in self._tallies([*filters, _COUNTED, _within("@timestamp", begin, until)], [field], deadline):
            yield hit["_source"].get(field, "")

    def _tallies(
        self, filters: list[dict[str, Any]], fields: list[str], deadline: Deadline
    ) -> Iterator[dict[str, Any]]:
        order = ("instanceId", "shardId", "firstSequenceNumber", "lastSequenceNumber", "replay")
        return self._hits(f"{self._indices.tallies}-*", filters, fields, deadline, order, _PAGE_OF_TALLIES)

    def manifest_hashes(self, resource_id: str, deadline: Deadline) -> dict[str, str]:
        """The hashes of a database's manifests that are kept here, by their keys."""
        filters: list[dict[str, Any]] = [{"term": {"resourceId": resource_id}}, {"term": {"stage": MANIFEST}}]
        hits = self._hits(f"{self._indices.tallies}-*", filters, ["object", "sha256"], deadline)
        return {hit["_source"]["object"]: hit["_source"]["sha256"] for hit in hits}

    def note_archived(
        self, database: Instance, objects: list[ArchivedObject], manifest: ManifestNote, deadline: Deadline
    ) -> None:
        """Write what a manifest's objects hold."""
        place = (database.account_id, database.region)
        actions = archived_actions(database.resource_id, place, objects, manifest, self._indices.tallies)
        write_documents(self._client, self._service, actions, deadline, called="counts of the archive")

    def last_hour(self, deadline: Deadline) -> datetime | None:
        """The last hour that was judged; None if none was."""
        return self._edge(f"{self._indices.completeness}-*", "max", [], deadline)

    def first_tally(self, since: datetime, deadline: Deadline) -> datetime | None:
        """The first minute since a time of which anything was counted."""
        filters = [_since(since), {"term": {"stage": INGESTED}}]
        return self._edge(f"{self._indices.tallies}-*", "min", filters, deadline)

    def hours_with_holes(self, since: datetime, deadline: Deadline) -> dict[datetime, datetime]:
        """The hours since a time of which not everything is known to be there, and when each was checked."""
        filters = [_since(since), _IS_NOT_COMPLETE]
        checked = {"checked": {"min": {"field": "checkedAt"}}}
        hours = {"hours": {"terms": {"field": "@timestamp", "size": _PAGE}, "aggs": checked}}
        body = {"size": 0, "query": {"bool": {"filter": filters}}, "aggs": hours}
        answer = search(self._client, f"{self._indices.completeness}-*", body, deadline)
        buckets = answer.get("aggregations", {}).get("hours", {}).get("buckets", ())
        return {_moment(one["key"]): _moment(one["checked"]["value"]) for one in buckets}

    def hours_replayed(self, since: datetime, deadline: Deadline) -> dict[datetime, datetime]:
        """The hours since a time of which a replay counted something, and when it last did."""
        filters = [_since(since), {"term": {"stage": REPLAYED}}]
        last = {"last": {"max": {"field": "ingestedAt"}}}
        buckets = self._buckets(f"{self._indices.tallies}-*", filters, (), last, deadline, interval="1h")
        return {_moment(one["key"][_MINUTE]): _moment(one["last"]["value"]) for one in buckets}

    def holes(self, since: datetime, deadline: Deadline) -> Iterator[Document]:
        """The hours since a time in which something is missing."""
        filters = [_since(since), {"exists": {"field": "holeKinds"}}]
        fields = ["@timestamp", "checkedAt", "resourceId", "holes"]
        hits = self._hits(f"{self._indices.completeness}-*", filters, fields, deadline)
        return (hit["_source"] for hit in hits)

    def recount(self, begin: datetime, until: datetime, deadline: Deadline) -> set[datetime]:
        """The hours of which fewer documents are in the index than when they were judged."""
        hourly: dict[tuple[str, str, int], int] = {}
        filters = [_within("@timestamp", begin, until)]
        for bucket in self._buckets(self._indices.events, filters, _PAIR, {}, deadline, interval="1h"):
            key = bucket["key"]
            hourly[key["resourceId"] or "", key["instanceId"] or "", key[_MINUTE]] = bucket["doc_count"]
        fewer = set()
        fields = [*_PAIR, "@timestamp", "indexed"]
        stored = [*filters, {"exists": {"field": "indexed"}}]
        for hit in self._hits(f"{self._indices.completeness}-*", stored, fields, deadline):
            one = hit["_source"]
            at = moment_of(one["@timestamp"])
            key = (one["resourceId"], one.get("instanceId", ""), version_of(one["@timestamp"]))
            if hourly.get(key, 0) < one["indexed"]:
                fewer.add(at)
        return fewer

    def read(
        self, begin: datetime, until: datetime, deadline: Deadline, resource_ids: Collection[str] = ()
    ) -> list[Document]:
        """What was judged of a time, by database and hour."""
        filters = [_within("@timestamp", begin, until)]
        if resource_ids:
            filters.append({"terms": {"resourceId": sorted(resource_ids)}})
        hits = self._hits(f"{self._indices.completeness}-*", filters, True, deadline)
        return [hit["_source"] for hit in hits]

    def write(self, documents: Mapping[str, Document], deadline: Deadline) -> None:
        """Write what was judged; of two runs, the later one stays."""
        actions = []
        for id_, one in sorted(documents.items()):
            index = f"{self._indices.completeness}-{one['@timestamp'][:7].replace('-', '.')}"
            later = {"version": version_of(one["checkedAt"]), "version_type": "external"}
            actions.append(Action.put(index, id_, orjson.dumps(one), later if self._service == "es" else {}))
        write_documents(self._client, self._service, actions, deadline, called="verdicts on completeness")

    def _edge(self, index: str, metric: str, filters: list[dict[str, Any]], deadline: Deadline) -> datetime | None:
        edge = {"edge": {metric: {"field": "@timestamp"}}}
        body = {"size": 0, "query": {"bool": {"filter": filters}}, "aggs": edge}
        value = search(self._client, index, body, deadline).get("aggregations", {}).get("edge", {}).get("value")
        return None if value is None else _moment(value)

    def _buckets(
        self,
        index: str,
        filters: list[dict[str, Any]],
        fields: Collection[str],
        metrics: Mapping[str, Any],
        deadline: Deadline,
        interval: str = "1m",
    ) -> Iterator[dict[str, Any]]:
        sources: list[dict[str, Any]] = [{name: {"terms": {"field": name, "missing_bucket": True}}} for name in fields]
        if interval:
            sources.append({_MINUTE: {"date_histogram": {"field": "@timestamp", "fixed_interval": interval}}})
        composite: dict[str, Any] = {"size": _PAGE, "sources": sources}
        while True:
            groups: dict[str, Any] = {"composite": composite, **({"aggs": dict(metrics)} if metrics else {})}
            body = {"size": 0, "query": {"bool": {"filter": filters}}, "aggs": {"groups": groups}}
            found = search(self._client, index, body, deadline).get("aggregations", {}).get("groups", {})
            yield from found.get("buckets", ())
            if not found.get("after_key"):
                return
            composite["after"] = found["after_key"]

    def _all_hits(
        self,
        index: str,
        filters: list[dict[str, Any]],
        source: list[str] | bool,
        begin: datetime,
        until: datetime,
        deadline: Deadline,
    ) -> Iterator[dict[str, Any]]:
        """All documents of a time, which have no order of their own: of too many, those of its halves."""
        query = {"bool": {"filter": [*filters, _within("@timestamp", begin, until)]}}
        body = {"size": _MOST_HITS, "query": query, "_source": source}
        hits = search(self._client, index, body, deadline)["hits"]["hits"]
        middle = begin + (until - begin) / 2
        middle -= timedelta(microseconds=middle.microsecond % 1000)
        if len(hits) < _MOST_HITS or middle <= begin:
            yield from hits
            return
        yield from self._all_hits(index, filters, source, begin, middle, deadline)
        yield from self._all_hits(index, filters, source, middle, until, deadline)

    def _hits(
        self,
        index: str,
        filters: list[dict[str, Any]],
        source: list[str] | bool,
        deadline: Deadline,
        further: tuple[str, ...] = ("instanceId",),
        page: int = _PAGE,
    ) -> Iterator[dict[str, Any]]:
        """All documents, in pages; of the fields of the order and the `further` ones, each has values of its own."""
        order = [
            {name: {"order": "asc", "unmapped_type": "keyword"}} for name in ("@timestamp", "resourceId", *further)
        ]
        body: dict[str, Any] = {"size": page, "query": {"bool": {"filter": filters}}, "_source": source, "sort": order}
        while True:
            hits = search(self._client, index, body, deadline)["hits"]["hits"]
            yield from hits
            if len(hits) < page:
                return
            body["search_after"] = hits[-1]["sort"]


def _within(field: str, begin: datetime, until: datetime) -> dict[str, Any]:
    return {"range": {field: {"gte": iso_milliseconds(begin), "lt": iso_milliseconds(until)}}}


def _since(begin: datetime) -> dict[str, Any]:
    return {"range": {"@timestamp": {"gte": iso_milliseconds(begin)}}}


def _of(pair: Pair) -> list[dict[str, Any]]:
    resource_id, instance_id = pair
    unknown = {"bool": {"must_not": {"exists": {"field": "instanceId"}}}}
    return [{"term": {"resourceId": resource_id}}, {"term": {"instanceId": instance_id}} if instance_id else unknown]


def _minute(milliseconds: int) -> int:
    return _moment(milliseconds).minute


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
