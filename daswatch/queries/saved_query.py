"""Detection -> query DSL, and OpenSearch's answer -> what was found.

Every saved query has the same shape: a Lucene query and a window as filters, a composite aggregation over the database
and the detection's group, metrics inside, and a bucket selector that leaves only the groups which fire. So an answer
holds only what is to be published, however much was searched.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from daswatch.alerts.alert import MAX_ACTORS, MAX_SAMPLES, PivotEvent, alert_id
from daswatch.detections.detection import Condition, Detection, DetectionKind, Level, Source
from daswatch.documents.document import UNDATED
from daswatch.indices import DEFAULT_INDEX_PREFIX, Indices
from daswatch.times import iso_milliseconds, moment_of

GROUPS_PER_PAGE = 10_000
_FORMAT = "strict_date_optional_time"
_SEQUENCE_EVENTS = 2_000  # of one group's window that are looked at one by one, the latest
ACTOR_FIELDS = (
    *("dbUserName", "actor", "remoteHost", "remoteIp", "clientApplication", "databaseName", "objects", "signals"),
)
_CONTROL_PLANE_ACTORS = ("userIdentityArn", "sourceIPAddress", "target")
_ACTORS: Mapping[Source, tuple[str, ...]] = {
    Source.EVENTS: ACTOR_FIELDS,
    Source.CONTROL_PLANE: _CONTROL_PLANE_ACTORS,
    Source.PULSE: (),
}
_MOST_DAYS = 40  # more indices than this are named by a wildcard

# A batch that is being written is stamped with the time at which its invocation began. Its documents can be found
# later: a bulk request whose client gave up may be executed after the function's end. Twice the ingest function's time
# limit, a refresh, two clocks.
INGEST_SECONDS = 120
ARRIVAL_OVERLAP = timedelta(seconds=2 * INGEST_SECONDS + 60)
_SHORTEST_OVERLAP = timedelta(minutes=2)
_DAY = timedelta(days=1)
_MINUTE = "minute"  # of a composite aggregation, next to the group's fields
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time on one field of the documents; `start` and `end` are what a range query takes."""

    time_field: str
    start: str
    end: str

    @property
    def filter(self) -> dict[str, Any]:
        """The range query."""
        return {"range": {self.time_field: {"gte": self.start, "lte": self.end}}}


@dataclass(frozen=True, slots=True)
class Search:
    """One search: where, and what."""

    index: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A group that a saved query returned. Times are ISO 8601 in UTC, in milliseconds."""

    resource_id: str
    group: Mapping[str, str]
    count: int
    first_seen: str
    last_seen: str
    level: Level
    metrics: Mapping[str, int] = field(default_factory=dict)
    values: tuple[int, ...] = ()  # of the detection's conditions, in their order; of a sequence none

    def alert_id(self, detection: str) -> str:
        """The id of the alert that this detection raises for the group."""
        return alert_id(detection, self.resource_id, self.group)


Fired = tuple[Detection, Candidate]


@dataclass(frozen=True, slots=True)
class Details:
    """More about one group: what its alert shows."""

    count: int
    first_seen: str
    last_seen: str
    samples: tuple[str, ...]
    actors: Mapping[str, tuple[str, ...]]
    engine: str
    aws_account_id: str
    aws_region: str
    metrics: Mapping[str, int]
    arrived_at: str  # when the last of the events arrived; empty of a pulse
    steps: tuple[
        tuple[str, bool], ...
    ] = ()  # of a sequence: each event's time, oldest first, and whether it is the last step
    pivot: PivotEvent | None = None


def one_after_another(found: Iterable[Fired]) -> list[list[Fired]]:
    """The first episode of each group, then the second of each, and so on."""
    rounds: list[list[Fired]] = []
    counted: Counter[str] = Counter()
    for detection, candidate in found:
        name = candidate.alert_id(detection.name)
        if counted[name] == len(rounds):
            rounds.append([])
        rounds[counted[name]].append((detection, candidate))
        counted[name] += 1
    return rounds


def overlap(detection: Detection) -> timedelta:
    """How much longer than its window a detection looks back.

    Evaluated at least so often, a burst as long as the window is inside one evaluation as a whole.
    """
    return max(_SHORTEST_OVERLAP, timedelta(seconds=detection.window_seconds / 5))


def event_window(detection: Detection, at: datetime) -> Window:
    """The detection's window, as it ends at this time."""
    start = at - timedelta(seconds=detection.window_seconds) - overlap(detection)
    return Window("@timestamp", iso_milliseconds(start), iso_milliseconds(at))


def silence_window(detection: Detection, now: datetime) -> Window:
    """When instances that are silent now were heard for the last time."""
    return Window(
        "lastSeen",
        iso_milliseconds(now - timedelta(seconds=detection.forget_seconds)),
        iso_milliseconds(now - timedelta(seconds=detection.silent_seconds)),
    )


def current_window(detection: Detection, now: datetime) -> Window:
    """The window that lasts now: the next one of the grid, as far as it has come.

    It is a part of that one, so what is found depends on the grid alone and not on the moment of the run.
    """
    return replace(event_window(detection, _grid_from(detection, now)), end=iso_milliseconds(now))


def evaluation_times(detection: Detection, first: datetime, last: datetime) -> list[datetime]:
    """When a detection's windows end between two moments: on a grid that is the same for every run."""
    times = []
    moment = _grid_from(detection, first)
    while moment <= last:
        times.append(moment)
        moment += overlap(detection)
    return times


def windows_between(detection: Detection, first: datetime, last: datetime, now: datetime) -> tuple[Window, ...]:
    """All windows that end between two moments; where now is among these, also the one that lasts now."""
    windows = [event_window(detection, at) for at in evaluation_times(detection, first, min(last, now))]
    if last >= now and (not windows or windows[-1].end != iso_milliseconds(now)):
        windows.append(current_window(detection, now))
    return tuple(windows)


def windows_with(detection: Detection, first: datetime, last: datetime, now: datetime) -> tuple[Window, ...]:
    """All windows that hold a moment between these two."""
    length = timedelta(seconds=detection.window_seconds) + overlap(detection)
    begin = iso_milliseconds(first)
    return tuple(window for window in windows_between(detection, first, last + length, now) if window.end >= begin)


def quiet_parts(detection: Detection, first: datetime, last: datetime) -> tuple[Window, ...]:
    """Parts of a time, so short that two events of one part belong to one episode; on a grid."""
    length = max(detection.quiet_seconds / 2, 60.0)
    number = first.timestamp() // length
    parts = []
    while number * length <= last.timestamp():
        begin, end = (datetime.fromtimestamp(edge * length, UTC) for edge in (number, number + 1))
        parts.append(Window("@timestamp", iso_milliseconds(begin), iso_milliseconds(end - _MILLISECOND)))
        number += 1
    return tuple(parts)


def _grid_from(detection: Detection, moment: datetime) -> datetime:
    step = overlap(detection).total_seconds()
    return datetime.fromtimestamp(-(-moment.timestamp() // step) * step, UTC)


def event_indices(first_day: date, last_day: date, prefix: str = DEFAULT_INDEX_PREFIX) -> str:
    """The indices that hold the events of these days: each day's own, or those of its hours."""
    days = (last_day - first_day).days + 1
    if days > _MOST_DAYS:
        return f"{prefix}-*"
    names = (f"{prefix}-{first_day + timedelta(days=day):%Y.%m.%d}*" for day in range(days))
    return ",".join([*names, f"{prefix}-{UNDATED}*"])


def index_of(detection: Detection, events: str, indices: Indices) -> str:
    """Where a detection looks; `events` are the indices of events."""
    return {Source.EVENTS: events, Source.CONTROL_PLANE: indices.control_plane, Source.PULSE: indices.pulse}[
        detection.source
    ]


def saved_query(
    detection: Detection,
    window: Window,
    after: Mapping[str, Any] | None = None,
    also: Window | None = None,
    *,
    by_minute: bool = False,
) -> dict[str, Any]:
    """The body of a detection's search, of what is in both windows; `after` is the last group of the page before.

    `by_minute` asks about each minute of a group by itself.
    """
    composite: dict[str, Any] = {
        "size": GROUPS_PER_PAGE,
        "sources": sources_of(("resourceId", *detection.group)),
    }
    if by_minute:
        minutes = {"field": _time_field(detection), "fixed_interval": "1m"}
        composite["sources"].append({_MINUTE: {"date_histogram": minutes}})
    if after:
        composite["after"] = dict(after)
    return {
        "size": 0,
        "track_total_hits": GROUPS_PER_PAGE + 1,
        "query": {"bool": {"filter": [*filters_of(detection), window.filter, *([also.filter] if also else [])]}},
        "aggs": {"groups": {"composite": composite, "aggs": _of_a_group(detection)}},
    }


def sources_of(fields: Iterable[str]) -> list[dict[str, Any]]:
    """The sources of a composite aggregation: the values of fields, or that a document has none."""
    return [{name: {"terms": {"field": name, "missing_bucket": True}}} for name in fields]


def parts_query(
    detection: Detection, windows: Sequence[Window], groups: Sequence[Candidate], parts: Sequence[Window]
) -> dict[str, Any]:
    """The body of the search for the parts of a time in which groups fire, of what is in all windows.

    A group that fires in a part fires in any longer time around it: a count, a sum, a largest value, a number of
    values, a sequence only grow. So groups that fire in none need not be asked about.
    """
    by_group = [{"bool": {"filter": group_filters(group.resource_id, group.group)}} for group in groups]
    ranges = [
        {
            "key": str(number),
            "from": part.start,
            "to": iso_milliseconds(moment_of(part.end) + _MILLISECOND),
        }
        for number, part in enumerate(parts)
    ]
    spans = [window.filter for window in windows]
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": {"filter": [*filters_of(detection), *spans, {"bool": {"should": by_group}}]}},
        "aggs": {
            "groups": {
                "filters": {"filters": {str(number): one for number, one in enumerate(by_group)}},
                "aggs": {
                    "parts": {
                        "date_range": {"field": "@timestamp", "format": _FORMAT, "keyed": True, "ranges": ranges},
                        "aggs": _of_a_group(detection),
                    }
                },
            }
        },
    }


def read_parts(
    detection: Detection, groups: Sequence[Candidate], answer: Mapping[str, Any]
) -> list[tuple[int, Candidate]]:
    """The groups that `parts_query` found, once for each part in which they fire, with its number."""
    found = []
    for number, bucket in answer["aggregations"]["groups"]["buckets"].items():
        group = groups[int(number)]
        key = {"resourceId": group.resource_id, **group.group}
        found += [
            (int(part_number), read_candidate(detection, {**part, "key": key}))
            for part_number, part in bucket["parts"]["buckets"].items()
            if part["doc_count"]
        ]
    return found


def oldest_query(detection: Detection, before: datetime) -> dict[str, Any]:
    """The body of the search for the oldest event that a detection looks at."""
    time_field = _time_field(detection)
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {
            "bool": {"filter": [*filters_of(detection), {"range": {time_field: {"lt": iso_milliseconds(before)}}}]}
        },
        "aggs": {"oldest": {"min": {"field": time_field}}},
    }


def read_oldest(answer: Mapping[str, Any]) -> datetime | None:
    """The time that `oldest_query` found; None without any event."""
    value = answer.get("aggregations", {}).get("oldest", {}).get("value")
    return None if value is None else _of_epoch(value)


def off_time_arrivals(arrived: Window, usual: Window) -> dict[str, Any]:
    """The body of the search for the times of events that arrived in a window, and are not of the usual time."""
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": {"filter": [arrived.filter], "must_not": [usual.filter]}},
        "aggs": {
            "hours": {
                "date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1},
                "aggs": {"first": {"min": {"field": "@timestamp"}}, "last": {"max": {"field": "@timestamp"}}},
            }
        },
    }


def read_off_time(answer: Mapping[str, Any]) -> list[tuple[datetime, datetime]]:
    """The first and the last time of each hour that `off_time_arrivals` found, oldest first."""
    hours = answer.get("aggregations", {}).get("hours", {}).get("buckets", ())
    return [(_of_epoch(hour["first"]["value"]), _of_epoch(hour["last"]["value"]) + _MILLISECOND) for hour in hours]


def details_query(
    detection: Detection, resource_id: str, group: Mapping[str, str], since: str, last: str
) -> dict[str, Any]:
    """The body of the search for one group's events of an episode; `last` is the time of the last one."""
    time_field = _time_field(detection)
    actors = _ACTORS[detection.source]
    terms = {name: {"terms": {"field": name, "size": MAX_ACTORS}} for name in actors}
    database = {name: {"terms": {"field": name, "size": 1}} for name in ("engine", "awsAccountId", "awsRegion")}
    body: dict[str, Any] = {
        "size": MAX_SAMPLES,
        "track_total_hits": True,
        "_source": False,
        "sort": [{time_field: "desc"}],
        "query": {
            "bool": {
                "filter": [
                    *filters_of(detection),
                    {
                        "range": {
                            time_field: {
                                "gte": since,
                                "lt": iso_milliseconds(moment_of(last) + _MILLISECOND),
                            }
                        }
                    },
                    *group_filters(resource_id, group),
                ]
            }
        },
        "aggs": {
            "first": {"min": {"field": time_field}},
            "last": {"max": {"field": time_field}},
            "arrived": {"max": {"field": "ingestedAt"}},
            **terms,
            **database,
            **_metrics(detection),
            **_pivot(detection),
        },
    }
    if detection.sequence:
        body["size"] = _SEQUENCE_EVENTS
        body["docvalue_fields"] = [{"field": "@timestamp", "format": "epoch_millis"}]
        then = query_string(detection.sequence.then)["query_string"]
        body["query"]["bool"]["should"] = [{"query_string": {**then, "_name": "then"}}]
    return body


def group_filters(resource_id: str, group: Mapping[str, str]) -> list[dict[str, Any]]:
    """One database's, and one group's, documents."""
    return [_is(name, value) for name, value in {"resourceId": resource_id, **group}.items()]


def one_event(condition: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a search that ends at the first event of each shard: `was_there` reads its answer."""
    return {"size": 0, "terminate_after": 1, "track_total_hits": 1, "query": {"bool": condition}}


def was_there(answer: Mapping[str, Any]) -> bool:
    """Whether `one_event` found an event."""
    return bool(answer["hits"]["total"]["value"])


def read_candidates(detection: Detection, answer: Mapping[str, Any]) -> list[Candidate]:
    """The groups that fired, in the answer to a saved query."""
    return [read_candidate(detection, bucket) for bucket in answer["aggregations"]["groups"]["buckets"]]


def read_minutes(detection: Detection, answer: Mapping[str, Any]) -> list[tuple[datetime, Candidate]]:
    """The groups that fired by minute, each with its minute, in the answer to a saved query."""
    found = []
    for bucket in answer["aggregations"]["groups"]["buckets"]:
        key = {name: value for name, value in bucket["key"].items() if name != _MINUTE}
        found.append((_of_epoch(bucket["key"][_MINUTE]), read_candidate(detection, {**bucket, "key": key})))
    return found


def read_candidate(detection: Detection, bucket: Mapping[str, Any]) -> Candidate:
    """One group of an answer."""
    key = dict(bucket["key"])
    count = bucket["doc_count"]
    values = () if detection.sequence else tuple(_values(detection, bucket, count))
    return Candidate(
        resource_id=str(key.pop("resourceId") or ""),
        group={name: "" if value is None else str(value) for name, value in key.items()},
        count=count,
        first_seen=_iso(bucket["first"]["value"]),
        last_seen=_iso(bucket["last"]["value"]),
        level=detection.level if detection.sequence else level_of(detection, values),
        metrics=_read_metrics(detection, bucket, count),
        values=values,
    )


def next_page(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The group after which to go on, where there may be more groups than one page takes."""
    after: Mapping[str, Any] | None = answer["aggregations"]["groups"].get("after_key")
    return after if answer["hits"]["total"]["value"] > GROUPS_PER_PAGE else None


def read_details(detection: Detection, answer: Mapping[str, Any]) -> Details:
    """What `details_query` found."""
    hits, aggregations = answer["hits"], answer["aggregations"]
    actor_names = [name for name in (*ACTOR_FIELDS, *_CONTROL_PLANE_ACTORS) if name in aggregations]
    return Details(
        count=hits["total"]["value"],
        first_seen=_iso(aggregations["first"]["value"]),
        last_seen=_iso(aggregations["last"]["value"]),
        samples=tuple(hit["_id"] for hit in hits["hits"][:MAX_SAMPLES]),
        actors={name: keys for name in actor_names if (keys := _keys(aggregations[name]))},
        engine=_first(_keys(aggregations["engine"])),
        aws_account_id=_first(_keys(aggregations["awsAccountId"])),
        aws_region=_first(_keys(aggregations["awsRegion"])),
        metrics=_read_metrics(detection, aggregations, hits["total"]["value"]),
        arrived_at=_iso(aggregations["arrived"]["value"]),
        steps=tuple(reversed(list(_steps(hits["hits"])))) if detection.sequence else (),
        pivot=_read_pivot(aggregations),
    )


def completed(detection: Detection, details: Details) -> bool:
    """Whether a sequence is complete: its last step comes after enough first ones, all within the window.

    One of more events than are looked at counts as complete: what fired is not dropped for its size.
    """
    if detection.sequence is None or details.count > len(details.steps):
        return True
    within = timedelta(seconds=detection.window_seconds)
    before: deque[datetime] = deque()
    for at, is_last in details.steps:
        moment = moment_of(at)
        while before and moment - before[0] > within:
            before.popleft()
        if not is_last:
            before.append(moment)
        elif len(before) >= detection.sequence.count:
            return True
    return False


def level_of(detection: Detection, values: Sequence[int]) -> Level:
    """How grave it is, by the conditions that hold."""
    held = (
        condition.level or detection.level
        for condition, value in zip(detection.conditions, values, strict=True)
        if value >= condition.at_least
    )
    return max(held, key=lambda level: level.rank, default=detection.level)


def _time_field(detection: Detection) -> str:
    return "lastSeen" if detection.kind is DetectionKind.SILENCE else "@timestamp"


def _of_a_group(detection: Detection) -> dict[str, Any]:
    """What is asked about each group: its first and last time, its values, and whether they suffice."""
    return {
        "first": {"min": {"field": _time_field(detection)}},
        "last": {"max": {"field": _time_field(detection)}},
        **_metrics(detection),
        **_selector(detection),
    }


def filters_of(detection: Detection) -> list[dict[str, Any]]:
    """What every event of a detection matches."""
    filters = [query_string(detection.query)] if detection.query else []
    return [*filters, dict(detection.script)] if detection.script else filters


def query_string(query: str) -> dict[str, Any]:
    """A Lucene query as a filter."""
    return {"query_string": {"query": query, "analyze_wildcard": False, "max_determinized_states": 10_000}}


def _metrics(detection: Detection) -> dict[str, Any]:
    """The aggregations whose values the conditions and the sequence look at."""
    if detection.sequence:
        return {
            "before": {
                "filter": query_string(detection.sequence.first),
                "aggs": {"begin": {"min": {"field": "@timestamp"}}},
            },
            "after": {
                "filter": query_string(detection.sequence.then),
                "aggs": {"end": {"max": {"field": "@timestamp"}}},
            },
        }
    aggregations = {}
    for number, condition in enumerate(detection.conditions):
        inner = metric_of(condition)
        across = {"cardinality": {"field": condition.across}} if condition.across else {}
        if condition.query:
            within = {name: metric for name, metric in (("value", inner), ("across", across)) if metric}
            aggregations[f"m{number}"] = {"filter": query_string(condition.query)} | (
                {"aggs": within} if within else {}
            )
            continue
        if inner:
            aggregations[f"m{number}"] = inner
        if across:
            aggregations[f"across{number}"] = across
    return aggregations


def _pivot(detection: Detection) -> dict[str, Any]:
    """The aggregation for the event from which an analyst goes on."""
    if detection.source is not Source.EVENTS:
        return {}
    order = "desc" if detection.sequence else "asc"
    event = {"top_hits": {"size": 1, "sort": [{"@timestamp": order}], "_source": ["sessionId", "@timestamp"]}}
    if detection.sequence is None:
        return {"pivot": event}
    return {"pivot": {"filter": query_string(detection.sequence.then), "aggs": {"last": event}}}


def _read_pivot(aggregations: Mapping[str, Any]) -> PivotEvent | None:
    found = aggregations.get("pivot", {})
    hits = found.get("last", found).get("hits", {}).get("hits", ())
    if not hits:
        return None
    source = hits[0]["_source"]
    at = iso_milliseconds(moment_of(source["@timestamp"]))
    return PivotEvent(hits[0]["_id"], str(source.get("sessionId", "")), at)


def metric_of(condition: Condition) -> dict[str, Any]:
    """The aggregation for a condition's value; none for a count."""
    kind = {"count": "", "distinct": "cardinality", "sum": "sum", "max": "max"}[condition.metric]
    return {kind: {"field": condition.field}} if kind else {}


def _selector(detection: Detection) -> dict[str, Any]:
    """The bucket selector; limits are parameters, so that OpenSearch compiles few scripts."""
    if detection.sequence:
        paths = {"n": "before._count", "begin": "before>begin", "end": "after>end"}
        script = "params.n >= params.limit && params.end > params.begin"
        limits = {"limit": detection.sequence.count}
    elif detection.conditions == (Condition("count", 1),):
        return {}
    else:
        paths = {f"m{number}": _path(number, condition) for number, condition in enumerate(detection.conditions)}
        script = " || ".join(_holds(number, condition) for number, condition in enumerate(detection.conditions))
        limits = {f"limit{number}": condition.at_least for number, condition in enumerate(detection.conditions)}
        for number, condition in enumerate(detection.conditions):
            if condition.across:
                paths[f"across{number}"] = f"m{number}>across" if condition.query else f"across{number}"
                limits[f"least{number}"] = condition.across_at_least
    return {
        "enough": {
            "bucket_selector": {
                "buckets_path": paths,
                "gap_policy": "insert_zeros",
                "script": {"lang": "painless", "source": script, "params": limits},
            }
        }
    }


def _holds(number: int, condition: Condition) -> str:
    enough = f"params.m{number} >= params.limit{number}"
    return f"({enough} && params.across{number} >= params.least{number})" if condition.across else enough


def _path(number: int, condition: Condition) -> str:
    if condition.query:
        return f"m{number}._count" if condition.metric == "count" else f"m{number}>value"
    return "_count" if condition.metric == "count" else f"m{number}"


def _values(detection: Detection, aggregations: Mapping[str, Any], count: int) -> list[int]:
    """Each condition's value; 0 where its events are not spread as it asks for."""
    values = []
    for number, condition in enumerate(detection.conditions):
        found = aggregations.get(f"m{number}", {})
        across = (found.get("across") if condition.query else aggregations.get(f"across{number}")) or {"value": 0}
        if condition.across and across["value"] < condition.across_at_least:
            values.append(0)
        elif condition.metric == "count":
            values.append(found["doc_count"] if condition.query else count)
        else:
            values.append(int((found["value"]["value"] if condition.query else found["value"]) or 0))
    return values


def _read_metrics(detection: Detection, aggregations: Mapping[str, Any], count: int) -> dict[str, int]:
    if detection.sequence:
        return {"count before": aggregations["before"]["doc_count"]}
    values = zip(detection.conditions, _values(detection, aggregations, count), strict=True)
    return {f"{condition.metric} {condition.field}": value for condition, value in values if condition.field}


def _steps(hits: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    for hit in hits:
        yield _iso(float(hit["fields"]["@timestamp"][0])), "then" in hit.get("matched_queries", ())


def _is(name: str, value: str) -> dict[str, Any]:
    if value:
        return {"term": {name: value}}
    return {"bool": {"must_not": {"exists": {"field": name}}}}


def _keys(aggregation: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(bucket["key"]) for bucket in aggregation["buckets"])


def _first(values: Sequence[str]) -> str:
    return values[0] if values else ""


def _iso(epoch_milliseconds: float | None) -> str:
    if epoch_milliseconds is None:
        return ""
    return iso_milliseconds(_of_epoch(epoch_milliseconds))


def _of_epoch(epoch_milliseconds: float) -> datetime:
    return datetime.fromtimestamp(epoch_milliseconds / 1000, UTC)
