"""OpenSearch: the documents of all databases, the history of their posture, and when each was last heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.enrolment.plan import State
from daswatch.fleet.audit import Audit, Heard, history_of
from daswatch.fleet.database import Document
from daswatch.fleet.posture import Coverage
from daswatch.indexing.bulk import Action
from daswatch.indices import Indices
from daswatch.opensearch.database_documents import PAGE, read_documents, write_documents
from daswatch.opensearch.request import search
from daswatch.settings import Service
from daswatch.times import version_of


class DatabaseIndex:
    """The inventory of one deployment. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, indices: Indices, service: Service = "es") -> None:
        self._client = client
        self._indices = indices
        self._service = service

    def read(self, deadline: Deadline) -> dict[str, Document]:
        """All documents by id."""
        return read_documents(self._client, self._indices.databases, deadline)

    def enrolment_failures(self, deadline: Deadline) -> dict[str, str]:
        """Why databases could not be enrolled, by id."""
        found = read_documents(self._client, self._indices.enrolments, deadline, fields=("state", "reason"))
        return {id_: one["reason"] for id_, one in found.items() if one.get("state") == State.FAILED}

    def heard(self, deadline: Deadline) -> dict[str, Heard]:
        """When each database was last heard, by resource id: any of its instances counts."""
        heard: dict[str, Heard] = {}
        sources: dict[str, Any] = {"size": PAGE, "sources": [{"id": {"terms": {"field": "resourceId"}}}]}
        latest = {name: {"max": {"field": name}} for name in ("lastSeen", "lastEvent")}
        while True:
            body = {"size": 0, "aggs": {"databases": {"composite": sources, "aggs": latest}}}
            found = (
                search(self._client, self._indices.pulse, body, deadline).get("aggregations", {}).get("databases", {})
            )
            for one in found.get("buckets", ()):
                times = (one[name].get("value_as_string") or "" for name in latest)
                heard[one["key"]["id"]] = Heard(*times)
            if not found.get("after_key"):
                return heard
            sources["after"] = found["after_key"]

    def trend(self, deadline: Deadline, filters: Mapping[str, Sequence[str]], days: int = 90) -> dict[str, Coverage]:
        """The coverage of each day's last run by its time, of all databases or those with some values of fields."""
        verdicts = {"verdicts": {"terms": {"field": "verdict", "size": 50}}}
        last = {"terms": {"field": "@timestamp", "size": 1, "order": {"_key": "desc"}}, "aggs": verdicts}
        of_a_day = {"field": "@timestamp", "calendar_interval": "day", "min_doc_count": 1}
        wanted = [
            {"range": {"@timestamp": {"gte": f"now-{days}d/d"}}},
            *({"terms": {field: list(values)}} for field, values in filters.items() if values),
        ]
        body = {
            "size": 0,
            "query": {"bool": {"filter": wanted}},
            "aggs": {"days": {"date_histogram": of_a_day, "aggs": {"last": last}}},
        }
        answer = search(self._client, f"{self._indices.posture}-*", body, deadline)
        found = answer.get("aggregations", {}).get("days", {})
        runs = [run for day in found.get("buckets", ()) for run in day["last"]["buckets"]]
        return {
            run["key_as_string"]: Coverage({one["key"]: one["doc_count"] for one in run["verdicts"]["buckets"]})
            for run in runs
        }

    def write(self, audit: Audit, deadline: Deadline, *, with_history: bool = True) -> None:
        """Write what a run looked at, and its history if it looked at everything. Of two runs, the later one stays."""
        actions = self._puts({id_: audit.documents[id_] for id_ in audit.changed}, version_of(audit.at))
        index = f"{self._indices.posture}-{audit.at[:7].replace('-', '.')}"
        if with_history:
            actions += [Action.create(index, id_, orjson.dumps(one)) for id_, one in history_of(audit).items()]
        self._write(actions, deadline)

    def note(self, documents: Mapping[str, Document], at: str, deadline: Deadline, times: int = 1) -> None:
        """Write documents of the run of that time again, with what became of them. Those of a later run stay.

        `times`: how often they are written again.
        """
        self._write(self._puts(documents, version_of(at) + times), deadline)

    def _puts(self, documents: Mapping[str, Document], version: int) -> list[Action]:
        later = {"version": version, "version_type": "external"} if self._service == "es" else {}
        return [
            Action.put(self._indices.databases, id_, orjson.dumps(one), later) for id_, one in sorted(documents.items())
        ]

    def _write(self, actions: Sequence[Action], deadline: Deadline) -> None:
        write_documents(self._client, self._service, actions, deadline, called="documents of the inventory")
