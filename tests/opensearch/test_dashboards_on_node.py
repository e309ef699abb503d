"""Every visualization, search and control of `dashboards/` at a real node, over the producer's traffic.

What Dashboards would ask is asked, and each figure of the answer is held against one that is reckoned from the
documents alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from opensearchpy import OpenSearch

from daswatch.content.dashboards import SavedObject
from daswatch.preview.panels import Rows, requests_of, rows_of
from daswatch.times import iso_milliseconds
from demo.ledger import LedgerEntry
from tests.builders.reckoning import Source, bucket_keys, figure, figures, grouped, nanoseconds, predicate, values_of
from tests.harness.panel_world import (
    AGES,
    BAR_MS,
    KNOWN,
    OBJECTS,
    SPAN,
    START,
    World,
    counted_once,
    matching,
    panel_world,
    runs,
    the_request,
)
from tools.pictures.fleet import STORIES

pytestmark = pytest.mark.node

SEARCHES = [one for one in OBJECTS if one.type == "search"]
CHARTS = [one for one in OBJECTS if one.type == "visualization" and one.attributes["visState"]["aggs"]]
CONTROLS = [
    one for one in OBJECTS if one.type == "visualization" and "controls" in one.attributes["visState"]["params"]
]


@pytest.fixture(scope="module")
def world(search: OpenSearch) -> Iterator[World]:
    with panel_world(search) as world:
        yield world


def by_id(one: SavedObject) -> str:
    return one.id


def shown_key(column: str, value: Any) -> Any:
    return nanoseconds(value) // 1_000_000 if column == "date_histogram" else value


def test_the_traffic_has_rows_that_must_not_be_counted_twice(world: World) -> None:
    events = world.sources["das-events-*"]

    assert len(counted_once(events)) < len(events)


@pytest.mark.parametrize("one", [*CHARTS, *SEARCHES], ids=by_id)
def test_opensearch_understands_its_query(one: SavedObject, world: World) -> None:
    request = the_request(one)

    checked = world.search.indices.validate_query(
        index=world.indices[request.index], body={"query": request.body["query"]}, params={"explain": "true"}
    )

    assert checked["valid"], checked


@pytest.mark.parametrize("one", CHARTS, ids=by_id)
def test_every_figure_is_right(one: SavedObject, world: World) -> None:
    request = the_request(one)
    rows = rows_of(request, world.ask(request))
    buckets = [found for found in request.aggregations if "schema" in found and found["schema"] != "metric"]
    metrics = [found for found in request.aggregations if found["schema"] == "metric"]
    expected = grouped(buckets, matching(world, one, request), BAR_MS)

    assert rows.rows
    assert any(value not in (None, 0) for row in rows.rows for value in row[len(buckets) :])
    assert_figures(rows, len(buckets), metrics, expected)
    assert_complete(rows, buckets, metrics, expected)


def assert_figures(
    rows: Rows, width: int, metrics: Sequence[Mapping[str, Any]], expected: Mapping[tuple[Any, ...], list[Source]]
) -> None:
    """Each row is there and shows what its documents give."""
    for row in rows.rows:
        key = tuple(shown_key(column.type, value) for column, value in zip(rows.columns, row[:width], strict=False))
        checks = [check for metric in metrics for check in figures(metric, expected.get(key, []))]
        assert len(checks) == len(row) - width
        for column, check, value in zip(rows.columns[width:], checks, row[width:], strict=True):
            assert check(value), f"{key}: {column.title} is {value}"


def assert_complete(
    rows: Rows,
    buckets: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    expected: Mapping[tuple[Any, ...], list[Source]],
) -> None:
    """No row is missing but those that a list's size cuts off, and these are its last."""
    shown = {
        tuple(shown_key(column.type, value) for column, value in zip(rows.columns, row, strict=False))[: len(buckets)]
        for row in rows.rows
    }
    for depth, bucket in enumerate(buckets):
        there, possible = defaultdict(list), defaultdict(set)
        for key in dict.fromkeys(key[: depth + 1] for key in shown):
            there[key[:depth]].append(key[depth])
        for key in expected:
            possible[key[:depth]].add(key[depth])
        for path, keys in there.items():
            if bucket["type"] != "terms":
                empty = {one["label"] for one in bucket["params"].get("filters", [])}
                assert possible[path] <= set(keys) <= possible[path] | empty
                continue
            size = bucket["params"]["size"]
            # A bucket without documents of the inner lists has no row.
            assert len(keys) <= size
            if len(possible[path]) <= size:
                assert set(keys) == possible[path]
            else:
                assert len(keys) == size
                assert_ordered(bucket, metrics, path, keys, possible[path], expected)


def assert_ordered(
    bucket: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    path: tuple[Any, ...],
    keys: Sequence[Any],
    possible: set[Any],
    expected: Mapping[tuple[Any, ...], list[Source]],
) -> None:
    """Those that are shown come before those that are not."""
    ordering = next(metric for metric in metrics if metric["id"] == bucket["params"]["orderBy"])

    def measure(key: Any) -> float:
        members = {
            id(source): source
            for found, sources in expected.items()
            if found[: len(path) + 1] == (*path, key)
            for source in sources
        }
        value = figure(ordering, list(members.values()))
        assert value is not None
        return value if bucket["params"]["order"] == "desc" else -value

    assert min(map(measure, keys)) >= max(map(measure, possible - set(keys)))


@pytest.mark.parametrize("one", SEARCHES, ids=by_id)
def test_a_search_finds_what_it_says_in_its_order(one: SavedObject, world: World) -> None:
    request = the_request(one)
    answer = world.ask(request)
    rows = rows_of(request, answer)

    assert answer["hits"]["total"]["value"] == len(matching(world, one, request)) > 0
    assert len(rows.rows) == min(answer["hits"]["total"]["value"], 500)
    (name, direction), *_ = one.attributes["sort"]
    position = [column.field for column in rows.columns].index(name)
    keys = [row[position] for row in rows.rows if row[position] is not None]
    ordered = [nanoseconds(key) for key in keys] if name == "@timestamp" else keys
    assert ordered == sorted(ordered, reverse=direction == "desc")


@pytest.mark.parametrize("one", SEARCHES, ids=by_id)
def test_every_column_of_a_search_shows_something(one: SavedObject, world: World) -> None:
    request = the_request(one)
    rows = rows_of(request, world.ask(request))
    found = matching(world, one, request)

    for position, column in enumerate(rows.columns):
        there = any(values_of(source, column.field) for source in found)
        shown = any(row[position] is not None for row in rows.rows)
        # Only what the traffic does not hold at all may be empty.
        assert shown or not there or len(found) > 500, column.title


@pytest.mark.parametrize("one", CONTROLS, ids=by_id)
def test_a_control_offers_what_there_is(one: SavedObject, world: World) -> None:
    for request in requests_of(one, KNOWN, SPAN):
        rows = rows_of(request, world.ask(request)).rows
        (bucket,) = (found for found in request.aggregations if found["type"] == "terms")
        params = {**bucket["params"], "missingBucket": False}
        every = {**bucket, "params": params}
        counts = Counter(key for source in world.sources[request.index] for key in bucket_keys(every, source, BAR_MS))
        assert dict(rows) == dict(counts)


# The everyday questions, answered from the ledger and by hand


def shown(world: World, name: str) -> list[tuple[Any, ...]]:
    request = the_request(KNOWN["visualization", name])
    return list(rows_of(request, world.ask(request)).rows)


def found_rows(world: World, name: str) -> list[dict[str, Any]]:
    """What a saved search shows: each row by the names of its fields."""
    request = the_request(KNOWN["search", name])
    names = [column.field for column in request.columns]
    return [dict(zip(names, row, strict=True)) for row in rows_of(request, world.ask(request)).rows]


def indexed(world: World) -> list[LedgerEntry]:
    entries = (entry for record in world.records for entry in record.entries)
    return [entry for entry in entries if entry.fate == "indexed" and entry.event_class != "AUX"]


def test_activities_are_those_of_the_ledger(world: World) -> None:
    rows = shown(world, "das-activity-by-outcome")

    expected = Counter((entry.activity, entry.outcome) for entry in indexed(world))
    assert {(activity, outcome): count for activity, outcome, count in rows} == expected


def test_events_and_failed_logins_are_those_of_the_ledger(world: World) -> None:
    entries = indexed(world)
    failed = [entry for entry in entries if entry.activity == "AUTH FAILURE"]

    assert shown(world, "das-events-count")[0][0] == len(entries)
    assert shown(world, "das-failed-logins-count") == [(len(failed), len({one.user for one in failed} - {None, ""}))]


def test_every_database_and_instance_of_the_producer_is_covered(world: World) -> None:
    databases = {record.database.resource_id: record.database for record in world.records}
    instances = {name for database in databases.values() for name in database.instance_ids}

    assert shown(world, "das-covered") == [(len(databases), len(instances))]
    assert {row[0] for row in shown(world, "das-pulse-instances")} == instances
    known = {one.resource_id: one.name for one in databases.values() if one != world.records[0].database}
    names = {row[1]: row[0] for row in shown(world, "das-databases")}
    assert names.keys() == databases.keys()
    assert {resource_id: name for resource_id, name in names.items() if resource_id in known} == known


def test_each_database_is_counted_once() -> None:
    """What the coverage dashboard counts is the audit's own coverage, and databases that are gone are in none of it."""
    last = runs()[-1]
    searched = {
        name: KNOWN["visualization", f"das-coverage-{name}"].attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]
        for name in ("covered", "not-covered-count", "not-counted")
    }
    counts = {
        name: sum(map(predicate(source["query"]["query"]), last.documents.values()))
        for name, source in searched.items()
    }

    assert len(last.present) == len(STORIES) - 1 == sum(counts.values())
    assert counts["covered"] == last.coverage.covered
    assert counts["covered"] + counts["not-covered-count"] == last.coverage.expected


def test_runs_of_one_bar_do_not_add_up(world: World) -> None:
    first, second, third = (dict(run.coverage.counts) for run in runs())
    rows = shown(world, "das-coverage-over-time")
    covered = [count for _, verdict, count in rows if verdict == "covered"]

    assert covered[-1] == third["covered"]
    assert max(first["covered"], second["covered"]) <= covered[0] < first["covered"] + second["covered"]
    off = {one["resourceId"] for run in runs()[:2] for one in run.present if one["verdict"] == "off"}
    assert next(count for _, verdict, count in rows if verdict == "off") == len(off)


def test_what_is_not_covered_has_reason_and_time(world: World) -> None:
    rows = found_rows(world, "das-not-covered")

    found = {row["databaseIdentifier"]: row for row in rows}
    assert {name: row["verdict"] for name, row in found.items()} == {
        "billing": "lagging",  # it was heard after the run before
        "checkout": "off",
        "documents": "key-unusable",
        "inventory": "not-consumed",
        "loyalty": "off",
        "pricing-old1": "off",
        "warehouse": "policy-unlocked",
    }
    assert all(row["verdictReason"] and row["verdictSince"] for row in rows)
    assert found["checkout"]["streamStatus"] == "stopped"


def test_hours_with_something_missing_say_what(world: World) -> None:
    found = [(row["holeKinds"], row["missingMinutes"], row["missing"]) for row in found_rows(world, "das-gaps")]

    assert sorted(found) == [(["dead letters"], 1, 2), (["not ingested", "silent"], 10, 40)]


def test_names_that_moved_show_both_resource_ids(world: World) -> None:
    rows = found_rows(world, "das-names-moved")
    found = {row["databaseIdentifier"]: row for row in rows}

    assert found.keys() == {"pricing", "pricing-old1"}
    assert found["pricing"]["replaces"] == found["pricing-old1"]["resourceId"]
    assert found["pricing-old1"]["replacedBy"] == found["pricing"]["resourceId"]
    assert found["pricing-old1"]["formerIdentifiers"] == ["pricing"]


def test_stream_keys_that_do_not_work_are_listed(world: World) -> None:
    rows = shown(world, "das-coverage-keys")

    assert {(state, name) for state, _, name, _ in rows} == {("PendingDeletion", "documents"), ("unknown", "coupons")}
    assert shown(world, "das-coverage-keys-count") == [(1,)]


def test_databases_are_counted_by_state_of_enrolment(world: World) -> None:
    states = dict(shown(world, "das-enrolment-states"))

    assert states == {
        "watched": 10,
        "in-progress": 4,
        "failed": 3,
        "excepted": 1,
        "not-eligible": 1,
        "not-selected": 1,
        "gone": 2,
    }
    assert shown(world, "das-enrolment-failed-count") == [(states["failed"],)]
    assert shown(world, "das-enrolment-in-progress-count") == [(states["in-progress"],)]
    by_account: Counter[str] = Counter()
    for _, state, count in shown(world, "das-enrolment-by-account"):
        by_account[state] += count
    assert by_account == {state: count for state, count in states.items() if state != "gone"}


def test_failed_enrolments_have_reason_and_time(world: World) -> None:
    rows = found_rows(world, "das-enrolment-failed")
    found = {row["databaseIdentifier"]: row for row in rows}

    assert found.keys() == {"checkout", "inventory", "loyalty"}
    assert "daswatch stream start cluster:loyalty" in found["loyalty"]["reason"]
    assert found["inventory"]["reason"].startswith("CreateEventSourceMapping: AccessDeniedException")
    assert found["inventory"]["since"] == iso_milliseconds(START - AGES[0])
    assert all(row["since"] and row["awsAccountId"] and row["awsRegion"] for row in rows)


def test_last_steps_have_calls_and_outcome(world: World) -> None:
    found = {row["databaseIdentifier"]: row for row in found_rows(world, "das-enrolment-steps")}

    pricing, documents = found["pricing"], found["documents"]
    assert pricing["lastStepCalls"] == ["CreateEventSourceMapping", "CreateDeliveryStream"]
    assert (pricing["lastStepOutcome"], pricing["lastStepAt"]) == ("done", iso_milliseconds(START))
    assert documents["lastStepOutcome"] == "UpdateEventSourceMapping: TooManyRequestsException: Rate exceeded"
    assert "reports" not in found  # excepted: nothing was done


def test_filters_of_coverage_apply_to_enrolment(world: World) -> None:
    """The same database has the same values in both indices."""
    shared = ("databaseIdentifier", "databaseKind", "awsAccountId", "awsRegion", "resourceId")
    databases = {tuple(one.get(name) for name in shared) for one in world.sources["das-databases"]}
    enrolled = {tuple(one.get(name) for name in shared) for one in world.sources["das-enrolments"]}

    # `archive` is selected by its name, which no database has.
    assert {one[0] for one in enrolled - databases} == {"archive"}
    assert databases <= enrolled


def test_what_was_dropped_is_what_the_ledger_says(world: World) -> None:
    entries = [entry for record in world.records for entry in record.entries]

    assert shown(world, "das-drops-count") == [(sum(entry.fate == "aws-user" for entry in entries),)]


def test_new_statement_comes_first_with_its_first_time(world: World) -> None:
    hashes: dict[str, list[int]] = defaultdict(list)
    for source in counted_once(world.sources["das-events-*"]):
        if "statementHash" in source:
            hashes[source["statementHash"]].append(nanoseconds(source["@timestamp"]) // 1_000_000)
    newest = sorted((min(times) for times in hashes.values()), reverse=True)[:50]

    rows = shown(world, "das-statements-new")

    assert [nanoseconds(row[1]) // 1_000_000 for row in rows] == newest
    assert all(min(hashes[row[0]]) == nanoseconds(row[1]) // 1_000_000 for row in rows)


def test_who_reads_and_changes_the_most_rows(world: World) -> None:
    rows: Counter[tuple[str, str]] = Counter()
    for source in counted_once(world.sources["das-events-*"]):
        if source["activity"] in ("DQL", "DML") and "dbUserName" in source:
            rows[source["dbUserName"], source["activity"]] += source.get("rowCount", 0)

    found = {(user, activity): total for user, activity, total in shown(world, "das-rows-by-user")}

    assert max(found, key=lambda one: found[one]) == rows.most_common(1)[0][0]
    assert all(total == rows[key] for key, total in found.items())


def test_only_active_alerts_need_a_person_now(world: World) -> None:
    # The most severe comes first, though it is neither the newest nor the most frequent one.
    assert [(row[0], row[4]) for row in shown(world, "das-alerts-active")] == [
        ("critical", "dbUserName cy"),
        ("high", "dbUserName anna"),
        ("medium", "dbUserName ben"),
    ]
    assert shown(world, "das-alerts-active-count") == [(3,)]
    assert shown(world, "das-alerts-grave-count") == [(2,)]


def test_one_session_is_found_in_its_order(world: World) -> None:
    request = the_request(KNOWN["search", "das-session"])
    session = Counter(source["sessionId"] for source in counted_once(world.sources["das-events-*"])).most_common(1)[0][
        0
    ]
    only = {"match_phrase": {"sessionId": session}}  # what a click on the + next to it adds
    narrowed = {**request.body, "query": {"bool": {"filter": [request.body["query"], only]}}}

    hits = world.search.search(index=world.indices[request.index], body=narrowed)["hits"]["hits"]

    expected = [source for source in counted_once(world.sources["das-events-*"]) if source["sessionId"] == session]
    times = [nanoseconds(hit["_source"]["@timestamp"]) for hit in hits]
    assert times == sorted(nanoseconds(source["@timestamp"]) for source in expected)
