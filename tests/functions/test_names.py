"""Events carry the name of their database: at once where it is known, later where it is learned later.

On a real node: names are read from `das-databases` while events are written, and an event waits for none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.fleet.database import databases_of, document_of
from daswatch.fleet.names import Names
from daswatch.indices import Indices
from daswatch.opensearch import earlier_events, learned_names
from daswatch.opensearch.earlier_events import EarlierEvents, Named
from daswatch.times import iso_milliseconds
from demo.rds import Database
from ingest_lambda.handler import warm_function
from tests.builders.events import postgresql_event
from tests.builders.fleet import PLACE, raw_cluster, raw_instance
from tests.fakes.clock import ends_within
from tests.fakes.proxy import Exchange, Proxy, Request, Response, answer, hang, replace_answer
from tests.fakes.serverless import Collection
from tests.harness.ingest import IngestFunction
from tests.harness.names import TAGS, keep, learn, named


def name_earlier(ingest: IngestFunction, names: Names) -> Named:
    ingest.search.indices.refresh(index=f"{ingest.prefix}-*")
    return EarlierEvents(ingest.search, ingest.indices).name(names, Deadline.after(60))


def identifiers(ingest: IngestFunction) -> list[str]:
    return [one.get("databaseIdentifier", "") for one in ingest.documents()]


def events(count: int) -> list[dict[str, Any]]:
    return [postgresql_event(statementId=number) for number in range(count)]


def reads_names(request: Request) -> bool:
    return "-databases/_search" in request.path


def test_event_carries_name_instance_and_tags(ingest: IngestFunction) -> None:
    keep(ingest, named(ingest.database()))
    learn(ingest)

    assert ingest.invoke(ingest.record(events(1))) == []

    (found,) = ingest.documents()
    assert found["databaseIdentifier"] == "orders"
    assert found["instanceIdentifier"] == "orders-1"
    assert found["databaseTags"] == ["env=prod"]
    query = {"bool": {"filter": [{"term": {"databaseTags": "env=prod"}}, {"term": {"instanceIdentifier": "orders-1"}}]}}
    assert ingest.count(query) == 1


def test_names_are_learned_in_the_background(ingest: IngestFunction) -> None:
    keep(ingest, named(ingest.database()))

    ingest.invoke()  # starts the reading, and waits for nothing
    learn(ingest)
    ingest.invoke(ingest.record(events(1)))

    assert identifiers(ingest) == ["orders"]


def test_unknown_database_goes_without_a_name(ingest: IngestFunction) -> None:
    keep(ingest, named(ingest.database(name="B")))
    learn(ingest)

    assert ingest.invoke(ingest.record(events(1))) == []

    assert identifiers(ingest) == [""]
    assert "names_unread" not in ingest.log


def test_names_are_kept_as_long_as_events_are(ingest: IngestFunction) -> None:
    now = datetime.now(UTC)  # the node's clock decides
    for name, days in (("recent", learned_names.GONE_DAYS - 1), ("old", learned_names.GONE_DAYS + 1), ("there", None)):
        document = {
            "databaseIdentifier": name,
            "resourceId": f"cluster-{name}",
            "awsAccountId": PLACE.account_id,
            "awsRegion": PLACE.region,
            **({} if days is None else {"goneSince": iso_milliseconds(now - timedelta(days=days))}),
        }
        ingest.search.index(index=ingest.indices.databases, body=document, params={"refresh": "true"})
    learn(ingest)

    names = warm_function().names

    known = {
        name: bool(names.fields(PLACE.account_id, PLACE.region, f"cluster-{name}"))
        for name in ("recent", "old", "there")
    }
    assert known == {"recent": True, "old": False, "there": True}


def test_no_inventory_is_no_failure(ingest: IngestFunction) -> None:
    learn(ingest)

    assert ingest.invoke(ingest.record(events(1))) == []

    assert identifiers(ingest) == [""]
    assert "names_unread" not in ingest.log


def test_event_is_written_while_names_hang(ingest: IngestFunction, proxy: Proxy) -> None:
    keep(ingest, named(ingest.database()))
    proxy.on(reads_names, hang)
    ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)

    with ends_within(learned_names._LONGEST_READING_SECONDS / 2):
        assert ingest.invoke(ingest.record(events(1))) == []
        assert ingest.invoke(ingest.record(events(2)[1:])) == []

    assert identifiers(ingest) == ["", ""]


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (answer(403), "OpenSearch answered 403"),
        (answer(429), "OpenSearch answered 429"),
        (replace_answer(b"<html>"), "is not JSON"),
        (replace_answer(b'{"took":1}'), "a part of"),
    ],
    ids=["denied", "overloaded", "no JSON", "no hits"],
)
def test_failure_to_read_names_is_counted(
    ingest: IngestFunction, proxy: Proxy, behaviour: Callable[[Any], Any], cause: str
) -> None:
    keep(ingest, named(ingest.database()))
    proxy.on(reads_names, behaviour)
    ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
    learn(ingest)

    assert ingest.invoke(ingest.record(events(1))) == []

    assert identifiers(ingest) == [""]
    assert ingest.log["level"] == "INFO"
    assert ingest.log["names_unread"] == 1
    assert cause in ingest.log["names_cause"]

    assert ingest.invoke(ingest.record(events(1))) == []
    assert "names_unread" not in ingest.log


def test_names_that_were_read_outlast_a_failure(
    ingest: IngestFunction, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(ingest, named(ingest.database()))
    ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
    learn(ingest)
    monkeypatch.setattr(learned_names, "READ_EVERY_SECONDS", 0.0)
    proxy.on(reads_names, answer(503))
    learn(ingest)

    ingest.invoke(ingest.record(events(1)))

    assert identifiers(ingest) == ["orders"]


def test_names_are_read_every_few_minutes_only(ingest: IngestFunction, proxy: Proxy) -> None:
    seen: list[Exchange] = []

    def count(exchange: Exchange) -> Response:
        seen.append(exchange)
        return exchange.forward()

    proxy.on(reads_names, count)
    ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)

    for _ in range(3):
        ingest.invoke()
        learn(ingest)

    assert len(seen) == 1


def test_renamed_database_has_its_new_name_from_then_on(
    ingest: IngestFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(ingest, named(ingest.database()))
    learn(ingest)
    first, second = events(2)
    ingest.invoke(ingest.record([first]))
    names = keep(ingest, named(ingest.database(), "orders-old"), hours=1)
    monkeypatch.setattr(learned_names, "READ_EVERY_SECONDS", 0.0)
    learn(ingest)

    ingest.invoke(ingest.record([second]))

    assert sorted(identifiers(ingest)) == ["orders", "orders-old"]
    assert name_earlier(ingest, names) == Named(0)  # what has a name keeps it


def test_earlier_events_get_the_name_once(ingest: IngestFunction) -> None:
    record, other = ingest.record(events(5)), ingest.record(events(3), ingest.database(name="B"))
    ingest.invoke(record, other)
    before = {hit["_id"]: hit for hit in ingest.hits()}
    names = keep(ingest, named(ingest.database()))

    assert name_earlier(ingest, names) == Named(5)
    assert name_earlier(ingest, names) == Named(0)

    after = {hit["_id"]: hit for hit in ingest.hits()}
    assert after.keys() == before.keys()
    for id_, hit in after.items():
        added = {name: value for name, value in hit["_source"].items() if name not in before[id_]["_source"]}
        is_own = hit["_source"]["resourceId"] == ingest.database().resource_id
        own = {"databaseIdentifier": "orders", "instanceIdentifier": "orders-1", "databaseTags": ["env=prod"]}
        assert added == (own if is_own else {})
        assert hit["_source"] == {**before[id_]["_source"], **added}
        assert hit["_index"] == before[id_]["_index"]


def test_redelivery_after_naming_makes_no_duplicate(ingest: IngestFunction) -> None:
    record = ingest.record(events(4))
    ingest.invoke(record)
    name_earlier(ingest, keep(ingest, named(ingest.database())))

    for _ in range(2):  # without the name, and with it
        ingest.cold_start()
        assert ingest.invoke(record) == []
        assert ingest.log["already_there"] == 4
        learn(ingest)
        assert ingest.invoke(record) == []
        assert ingest.log["already_there"] == 4

    assert identifiers(ingest) == ["orders"] * 4


def test_instance_that_is_learned_later_is_added(ingest: IngestFunction) -> None:
    keep(ingest, named(ingest.database()))
    learn(ingest)
    ingest.invoke(ingest.record(events(2), instance_id="db-READER"))
    assert all("instanceIdentifier" not in one for one in ingest.documents())
    members = [
        raw_instance(f"orders-{number}", DBClusterIdentifier="orders", DbiResourceId=resource_id)
        for number, resource_id in ((1, "db-WRITER"), (2, "db-READER"))
    ]
    raw = raw_cluster("orders-new", DbClusterResourceId=ingest.database().resource_id, DBClusterIdentifier="orders")
    names = keep(ingest, *databases_of([raw], members), hours=1)  # type: ignore[list-item, arg-type]

    assert name_earlier(ingest, names) == Named(2)

    assert [one["instanceIdentifier"] for one in ingest.documents()] == ["orders-2"] * 2
    assert [one["databaseTags"] for one in ingest.documents()] == [["env=prod"]] * 2


def test_run_names_a_bounded_number_of_events(ingest: IngestFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier_events, "_PAGE", 3)
    monkeypatch.setattr(earlier_events, "_PAGES", 2)
    ingest.invoke(ingest.record(events(10)))
    names = keep(ingest, named(ingest.database()))

    assert [name_earlier(ingest, names).events for _ in range(3)] == [6, 4, 0]


def test_blocked_index_holds_no_other_back(ingest: IngestFunction) -> None:
    days = [postgresql_event(logTime=f"2031-03-0{day} 11:22:33.444555+00") for day in (4, 5, 6)]
    ingest.invoke(ingest.record(days))
    names = keep(ingest, named(ingest.database()))
    ingest.search.indices.put_settings(index=f"{ingest.prefix}-2031.03.06", body={"index.blocks.write": True})

    result = name_earlier(ingest, names)

    assert result.events == 2
    assert "a block forbids writes" in result.cause


def test_index_without_the_fields_is_left_alone(ingest: IngestFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that is older than the fields never finds what has them."""
    monkeypatch.setattr(earlier_events, "_PAGE", 3)
    mappings = {"dynamic": False, "properties": {name: {"type": "keyword"} for name in ("resourceId", "instanceId")}}
    mappings["properties"]["@timestamp"] = {"type": "date_nanos"}  # type: ignore[index]
    body = {"mappings": mappings, "settings": {"number_of_replicas": 0}}
    template = {"index_patterns": [f"{ingest.prefix}-2031.03.06"], "priority": 900, "template": body}
    ingest.search.indices.put_index_template(name=f"{ingest.indices.stem}-older", body=template)
    old = [postgresql_event(statementId=n, logTime=f"2031-03-06 11:22:3{n}+00") for n in range(7)]
    ingest.invoke(ingest.record([*old, *events(4)]))
    names = keep(ingest, named(ingest.database()))

    assert name_earlier(ingest, names).events == 3 + 4
    versions = {hit["_id"]: hit["_source"] for hit in ingest.hits()}
    assert name_earlier(ingest, names) == Named(0)

    assert {hit["_id"]: hit["_source"] for hit in ingest.hits()} == versions


def test_collection_is_asked_for_no_update() -> None:
    found = named(Database("postgresql", "cluster-A", ("db-WRITER",), "1.1", "A"))
    names = Names.of([document_of(found)], TAGS)
    client = OpenSearch("http://127.0.0.1:1")

    assert EarlierEvents(client, Indices("t-none-events"), "aoss").name(names, Deadline.after(60)) == Named(0)


def test_names_are_read_in_a_collection(ingest: IngestFunction) -> None:
    keep(ingest, named(ingest.database()))
    with Collection(ingest.url) as collection:
        client = OpenSearch(collection.url)
        learned = learned_names.LearnedNames(client, ingest.indices, TAGS)
        learned.refresh()
        assert learned._reading is not None
        learned._reading.join(30)

        fields = learned.fields(PLACE.account_id, PLACE.region, ingest.database().resource_id)
        assert fields["databaseIdentifier"] == "orders"
        assert collection.unknown == []
        client.close()


def test_search_that_fails_is_in_the_result(ingest: IngestFunction, proxy: Proxy) -> None:
    names = keep(ingest, named(ingest.database()))
    proxy.on(lambda request: f"{ingest.prefix}-*/_search" in request.path, answer(503))
    client = OpenSearch(proxy.url)

    result = EarlierEvents(client, ingest.indices).name(names, Deadline.after(60))

    assert result.events == 0
    assert "503" in result.cause
    client.close()


def test_nothing_is_asked_without_names() -> None:
    client = OpenSearch("http://127.0.0.1:1")

    assert EarlierEvents(client, Indices("t-none-events")).name(Names(), Deadline.after(60)) == Named(0)
