"""What an administrator of the domain breaks is not the records' fault: they wait, and the log names the next step.

Each fault is made on a real node. What a node cannot be made to answer (a full shard, a time series collection, a
setting of the node's own file) a proxy answers in OpenSearch's words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import orjson
import pytest

from daswatch.content.templates import shipped_content
from daswatch.deadline import Deadline
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.templates import ContentGateway
from demo.aws import DEAD_LETTER_BUCKET
from demo.opensearch import AnyNode
from tests.builders.events import postgresql_event
from tests.fakes.proxy import Behaviour, Exchange, Proxy, Response, answer, bulk, template_check, withhold
from tests.harness.ingest import IngestFunction

pytestmark = pytest.mark.node

DAY = "2031.03.04"  # of the events
Break = Callable[[IngestFunction], AbstractContextManager[None]]


def index_of(ingest: IngestFunction) -> str:
    return f"{ingest.prefix}-{DAY}"


def set_index(ingest: IngestFunction, **settings: Any) -> None:
    body = {name.replace("__", "."): value for name, value in settings.items()}
    ingest.search.indices.put_settings(index=index_of(ingest), body=body)


def with_setting(name: str, value: Any, healthy: Any = None) -> Break:
    """The day's index with a setting, until it is set back."""

    @contextmanager
    def broken(ingest: IngestFunction) -> Iterator[None]:
        ingest.search.indices.create(index=index_of(ingest))
        set_index(ingest, **{name: value})
        try:
            yield
        finally:  # a test that fails leaves the node as it was
            set_index(ingest, **{name: healthy})

    return broken


def with_pipeline(setting: str, processor: dict[str, Any]) -> Break:
    """The day's index with an ingest pipeline that fails."""

    @contextmanager
    def broken(ingest: IngestFunction) -> Iterator[None]:
        ingest.search.ingest.put_pipeline(id=ingest.prefix, body={"processors": [processor]})
        with with_setting(setting, ingest.prefix, "_none")(ingest):
            yield
        ingest.search.ingest.delete_pipeline(id=ingest.prefix)

    return broken


@contextmanager
def alias_without_write_index(ingest: IngestFunction) -> Iterator[None]:
    names = [f"x-{ingest.name}-{number}" for number in (1, 2)]
    for name in names:
        ingest.search.indices.create(index=name, body={"aliases": {index_of(ingest): {}}})
    yield
    for name in names:
        ingest.search.indices.delete(index=name)


def with_template(template: dict[str, Any]) -> Break:
    """The prefix's template, changed by an administrator; what was created by it is deleted when that is undone."""

    @contextmanager
    def broken(ingest: IngestFunction) -> Iterator[None]:
        body = {"index_patterns": [f"{ingest.prefix}-*"], "priority": 200, "template": template}
        ingest.search.indices.put_index_template(name=ingest.prefix, body=body)
        try:
            yield
        finally:
            ContentGateway(ingest.search).install_all(shipped_content(ingest.prefix))
            ingest.search.indices.delete(index=f"{ingest.prefix}-*")

    return broken


@contextmanager
def closed(ingest: IngestFunction) -> Iterator[None]:
    ingest.search.indices.create(index=index_of(ingest))
    ingest.search.indices.close(index=index_of(ingest))
    yield
    ingest.search.indices.open(index=index_of(ingest))


NO_PIPELINE = "pipeline with id [missing] does not exist"
FAULTS: dict[str, tuple[Break, str]] = {
    "default pipeline missing": (with_setting("index__default_pipeline", "missing", "_none"), NO_PIPELINE),
    "final pipeline missing": (with_setting("index__final_pipeline", "missing", "_none"), NO_PIPELINE),
    "default pipeline fails": (
        with_pipeline("index__default_pipeline", {"fail": {"message": "out of order"}}),
        "pipeline of the index fails",
    ),
    "final pipeline's script fails": (
        with_pipeline("index__final_pipeline", {"script": {"source": "ctx.x = ctx.nothing.length()"}}),
        "pipeline of the index fails",
    ),
    "pipeline wants a field that no event has": (
        with_pipeline("index__default_pipeline", {"rename": {"field": "nothing", "target_field": "x"}}),
        "field [nothing] doesn't exist",
    ),
    "alias without write index": (alias_without_write_index, "no write index is defined for alias"),
    "template that cannot create the index": (
        with_template({"settings": {"index.sort.field": "nothing"}}),
        "unknown index sort field",
    ),
    "template with another mapping": (
        with_template({"mappings": {"properties": {"engine": {"type": "long"}}}}),
        "failed to parse field [engine] of type [long]",
    ),
    "template that is strict": (
        with_template({"mappings": {"dynamic": "strict", "properties": {"@timestamp": {"type": "date"}}}}),
        "mapping set to strict",
    ),
    "template that wants routing": (
        with_template({"mappings": {"_routing": {"required": True}}}),
        "requires routing",
    ),
    "template with more shards than the domain takes": (
        # 1,000 shards a node: with these copies, more than three nodes take.
        with_template({"settings": {"index.number_of_shards": 1000, "index.number_of_replicas": 3}}),
        "shard limit",
    ),
    "disk full": (with_setting("index__blocks__read_only_allow_delete", True), "429 (cluster_block_exception)"),
    "write block": (with_setting("index__blocks__write", True), "403 (cluster_block_exception)"),
    "read-only": (with_setting("index__blocks__read_only", True), "403 (cluster_block_exception)"),
    "closed index": (closed, "_open"),
}


def sequence_number(record: dict[str, Any]) -> str:
    number: str = record["kinesis"]["sequenceNumber"]
    return number


def records(ingest: IngestFunction, counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """A record of so many events for each count."""
    ids = iter(range(1_000))
    return [ingest.record([postgresql_event(statementId=next(ids)) for _ in range(count)]) for count in counts]


def assert_waits(ingest: IngestFunction, batch: list[dict[str, Any]], words: str) -> None:
    """The batch is delivered again as a whole, at once and cheaply; nothing of it is a dead letter or indexed."""
    ingest.printed = ""
    ingest.clock.slept.clear()

    assert ingest.invoke(*batch) == [sequence_number(batch[0])]

    line = ingest.log
    assert words in line["cause"]
    assert line["level"] == "ERROR"
    assert line["bulk_requests"] <= 10  # a few for the batch, however they were cut, and not one for each document
    assert line["dead_letters"] == {}
    assert ingest.dead_letters() == []
    prefix = f"dead-letters/{ingest.database().resource_id}/"
    assert "Contents" not in ingest.aws.s3().list_objects_v2(Bucket=DEAD_LETTER_BUCKET, Prefix=prefix)
    assert "select" not in ingest.printed.lower()
    assert sum(ingest.clock.slept) == pytest.approx(5)  # with the pauses before it was sent again


@pytest.mark.parametrize("counts", [(1,), (2, 3, 1)], ids=["one event", "six events"])
@pytest.mark.parametrize("name", FAULTS)
def test_domain_fault_is_delivered_again(ingest: IngestFunction, name: str, counts: tuple[int, ...]) -> None:
    broken, words = FAULTS[name]
    batch = records(ingest, counts)

    with broken(ingest):
        assert_waits(ingest, batch, words)
    assert ingest.invoke(*batch) == []

    assert sorted(int(document["statementId"]) for document in ingest.documents()) == list(range(sum(counts)))
    assert ingest.log["written"] == sum(counts)


@pytest.mark.parametrize("counts", [(1,), (2, 1)], ids=["one event", "three events"])
def test_mapping_that_refuses_a_field_is_the_domains_fault(ingest: IngestFunction, counts: tuple[int, ...]) -> None:
    batch = records(ingest, counts)

    with with_template({"mappings": {"properties": {"sessionId": {"type": "long"}}}})(ingest):
        assert_waits(ingest, batch, "failed to parse field [sessionId] of type [long]")

    assert ingest.invoke(*batch) == []
    assert len(ingest.documents()) == sum(counts)


def test_neighbor_without_the_field_does_not_blame_a_document(ingest: IngestFunction) -> None:
    """Events that lack the field are written, and those that have it wait for the mapping."""
    without = ingest.record([postgresql_event(sessionId=None, pid=1)])
    having = ingest.record([postgresql_event(pid=2)])

    with with_template({"mappings": {"properties": {"sessionId": {"type": "long"}}}})(ingest):
        assert ingest.invoke(without, having) == [sequence_number(having)]
        assert [document["pid"] for document in ingest.documents()] == [1]
        assert "failed to parse field [sessionId] of type [long]" in ingest.log["cause"]
        assert ingest.dead_letters() == []


# One document that its index never takes, while others are written.

POISON = "ctx.databaseName != null && ctx.databaseName.startsWith('poison')"


def processing(failure: dict[str, Any]) -> dict[str, Any]:
    """A processor that fails for these documents alone."""
    (name,) = failure
    return {name: {"if": POISON, **failure[name]}}


@pytest.mark.parametrize(
    ("setting", "processor", "detail"),
    [
        ("index__default_pipeline", {"fail": {"message": "out of order"}}, "fail_processor_exception"),
        ("index__final_pipeline", {"script": {"source": "ctx.x = ctx.nothing.length()"}}, "script_exception"),
        (
            "index__default_pipeline",
            {"rename": {"field": "nothing", "target_field": "x"}},
            "illegal_argument_exception",
        ),
    ],
    ids=["fail", "script", "rename"],
)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "among others"])
def test_document_that_a_pipeline_cannot_process_stops_nothing(
    ingest: IngestFunction, setting: str, processor: dict[str, Any], detail: str, alone: bool
) -> None:
    neighbors = [] if alone else records(ingest, (3, 1))
    batch = [ingest.record([postgresql_event(databaseName="poison")]), *neighbors]

    with with_pipeline(setting, processing(processor))(ingest):
        assert ingest.invoke(*batch) == []

    assert [(letter["reason"], letter["detail"]) for letter in ingest.dead_letters()] == [("document-refused", detail)]
    assert len(ingest.documents()) == (0 if alone else 4)


def test_pipeline_that_fails_for_many_documents_is_the_domains(ingest: IngestFunction) -> None:
    poison = ingest.record([postgresql_event(databaseName="poison", pid=pid) for pid in range(11)])
    batch = [*records(ingest, (1,)), poison]

    with with_pipeline("index__default_pipeline", processing({"fail": {"message": "out of order"}}))(ingest):
        assert ingest.invoke(*batch) == [sequence_number(poison)]

    assert ingest.dead_letters() == []
    assert ingest.invoke(*batch) == []
    assert len(ingest.documents()) == 12


def test_document_that_opensearch_always_fails_on_stops_nothing(ingest: IngestFunction, node: AnyNode) -> None:
    """What a node cannot be made to answer, a proxy answers for one document of a batch that the node writes."""
    batch = [*records(ingest, (3,)), ingest.record([postgresql_event(databaseName="poison")])]
    with Proxy(node.url) as proxy:
        ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        proxy.on(bulk, withhold(500, lambda lines: b'"poison"' in lines, "null_pointer_exception"))

        assert ingest.invoke(*batch) == []

    assert len(ingest.documents()) == 3
    assert [letter["detail"] for letter in ingest.dead_letters()] == ["null_pointer_exception"]
    assert 0 < sum(ingest.clock.slept) < 5


def test_fault_of_one_days_index_leaves_other_days_alone(ingest: IngestFunction) -> None:
    good = ingest.record([postgresql_event(logTime="2031-03-05 12:00:00.000000+00", statementId=1)])
    bad = ingest.record([postgresql_event(statementId=2)])

    with with_setting("index__default_pipeline", "missing", "_none")(ingest):
        assert ingest.invoke(good, bad) == [sequence_number(bad)]

    assert [document["statementId"] for document in ingest.documents()] == ["1"]
    assert ingest.dead_letters() == []


def test_probe_leaves_nothing_in_a_healthy_index(ingest: IngestFunction, node: AnyNode) -> None:
    """A document that is refused alone, in a batch of one: its index is asked, and takes an ordinary one."""
    poison = ingest.record([postgresql_event(databaseName="poison")])
    with Proxy(node.url) as proxy:
        ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        bulks = proxy.on(bulk, withhold(400, lambda lines: b'"poison"' in lines, "mapper_parsing_exception"))

        assert ingest.invoke(poison) == []

    assert ingest.documents() == []
    assert [letter["reason"] for letter in ingest.dead_letters()] == ["document-refused"]
    assert bulks.hits == 3  # the batch with its pulse, the look, and the dead letter's line
    assert ingest.clock.slept == []


def test_dead_letters_whose_index_takes_none_are_delivered_again(ingest: IngestFunction) -> None:
    bad, good = ingest.delivered(b"no envelope"), ingest.record([postgresql_event()])
    if not ingest.search.indices.exists(index=ingest.indices.dead_letters):
        ingest.search.indices.create(index=ingest.indices.dead_letters)
    settings = {"index.default_pipeline": "missing"}
    ingest.search.indices.put_settings(index=ingest.indices.dead_letters, body=settings)
    try:
        assert ingest.invoke(bad, good) == [sequence_number(bad)]
        assert NO_PIPELINE in ingest.log["cause"]
        assert ingest.log["dead_letters"] == {}
    finally:
        settings = {"index.default_pipeline": "_none"}
        ingest.search.indices.put_settings(index=ingest.indices.dead_letters, body=settings)

    assert ingest.invoke(bad, good) == []
    assert [letter["reason"] for letter in ingest.dead_letters()] == ["not-json"]
    assert len(ingest.documents()) == 1


def refuse_creates(reason: str) -> Behaviour:
    """Each document that is created or indexed is refused so."""

    def behave(exchange: Exchange) -> Response:
        actions = [next(iter(orjson.loads(line))) for line in exchange.request.body.splitlines()[::2]]
        error = {"type": "illegal_argument_exception", "reason": reason}
        items = [{action: {"status": 400, "error": error}} for action in actions]
        return Response.of_json(200, {"errors": True, "items": items})

    return behave


EXPLICIT_INDEX = {"type": "illegal_argument_exception", "reason": "explicit index in bulk is not allowed"}
PROXIED: dict[str, tuple[Behaviour, str]] = {
    "rest.action.multi.allow_explicit_index=false": (
        answer(400, orjson.dumps({"error": {"root_cause": [EXPLICIT_INDEX], **EXPLICIT_INDEX}, "status": 400})),
        "explicit index in bulk is not allowed",
    ),
    "time series collection": (
        refuse_creates("Document ID is not supported in create/index operation request"),
        "Document ID is not supported",
    ),
    "full shard": (
        withhold(
            400,
            lambda lines: b'"create"' in lines,
            "illegal_argument_exception",
            "Number of documents in the index can't exceed [2147483519]",
        ),
        "2^31",
    ),
}


@pytest.mark.parametrize("name", PROXIED)
def test_domain_fault_that_a_proxy_answers_is_delivered_again(ingest: IngestFunction, node: AnyNode, name: str) -> None:
    behaviour, words = PROXIED[name]
    batch = records(ingest, (300, 1))
    with Proxy(node.url) as proxy:
        ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        proxy.on(bulk, behaviour)
        assert_waits(ingest, batch, words)

        proxy.behave()
        assert ingest.invoke(*batch) == []
        assert len(ingest.documents()) == 301


@pytest.mark.parametrize(
    ("status", "words"), [(401, "OPENSEARCH_AUTH"), (403, "access policy"), (404, "OPENSEARCH_ENDPOINT")]
)
def test_denied_template_check_names_the_next_step(
    ingest: IngestFunction, node: AnyNode, status: int, words: str
) -> None:
    batch = records(ingest, (1,))
    with Proxy(node.url) as proxy:
        ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        proxy.on(template_check, answer(status, b"{}"))

        assert_waits(ingest, batch, words)


def test_template_check_that_fails_is_the_domains_fault(
    ingest: IngestFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first record, and before the first of another day, whatever the look-up fails with."""
    first = ingest.record([postgresql_event()])
    batch = [first, ingest.record([postgresql_event(logTime="2031-03-05 12:00:00.000000+00")])]
    names = SearchGateway.template_names
    broken: list[bool] = []

    def look_up(gateway: SearchGateway, deadline: Deadline) -> set[str]:
        if broken:
            raise RuntimeError("select s3cret")
        return names(gateway, deadline)

    monkeypatch.setattr(SearchGateway, "template_names", look_up)
    broken.append(True)
    assert ingest.invoke(*batch) == [sequence_number(first)]
    assert "index templates" in ingest.log["cause"]
    broken.clear()
    assert ingest.invoke(first) == []

    broken.append(True)
    assert ingest.invoke(*batch) == [sequence_number(batch[1])]

    assert ingest.dead_letters() == []
    assert "s3cret" not in ingest.printed


def test_refused_template_check_quotes_opensearch(ingest: IngestFunction, node: AnyNode) -> None:
    """The question holds nothing but names, so the whole sentence can be in the log."""
    reason = "no permissions for [indices:admin/index_template/get]"
    error = {"error": {"type": "security_exception", "reason": reason, "root_cause": []}, "status": 403}
    batch = records(ingest, (1,))
    with Proxy(node.url) as proxy:
        ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        proxy.on(template_check, answer(403, orjson.dumps(error)))

        assert_waits(ingest, batch, reason)


# Pulses that are not written.


def test_pulse_that_is_not_written_is_counted_with_its_cause(ingest: IngestFunction, node: AnyNode) -> None:
    """As Amazon's 2.19 answers each scripted update."""
    heartbeat = ingest.record([{"type": "heartbeat"}])
    with Proxy(node.url) as proxy:
        ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        proxy.on(bulk, withhold(500, lambda lines: b"-pulse" in lines, "null_pointer_exception"))

        assert ingest.invoke(heartbeat, ingest.record([postgresql_event()])) == []

        assert ingest.log["level"] == "WARNING"
        assert ingest.log["pulses_unwritten"] == 1
        assert "null_pointer_exception" in ingest.log["lost_cause"]
        assert ingest.metrics["PulsesUnwritten"] == 1
        assert len(ingest.documents()) == 1
        assert ingest.pulses() == {}

        proxy.behave()
        assert ingest.invoke(heartbeat) == []
        assert ingest.log["level"] == "INFO"
        assert "PulsesUnwritten" not in ingest.metrics
        assert list(ingest.pulses()) == ["db-WRITER"]


def test_pulse_that_fails_does_not_hide_why_a_record_waits(ingest: IngestFunction, node: AnyNode) -> None:
    record = ingest.record([postgresql_event()])
    with Proxy(node.url) as proxy:
        ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        proxy.on(bulk, withhold(500, lambda lines: b"-pulse" in lines, "null_pointer_exception"))

        with closed(ingest):
            assert ingest.invoke(record) == [sequence_number(record)]

    assert "_open" in ingest.log["cause"]
    assert "null_pointer_exception" in ingest.log["lost_cause"]
    assert ingest.log["level"] == "ERROR"


def test_count_of_drops_that_is_not_written_is_counted(ingest: IngestFunction, node: AnyNode) -> None:
    noise = ingest.record([postgresql_event(dbUserName="rdsadmin", remoteHost="localhost")])
    with Proxy(node.url) as proxy:
        ingest.configure(OPENSEARCH_ENDPOINT=proxy.url)
        proxy.on(bulk, withhold(403, lambda lines: b"-drops-" in lines, "cluster_block_exception"))

        assert ingest.invoke(noise) == []

    assert ingest.log["level"] == "WARNING"
    assert (ingest.log["pulses_unwritten"], ingest.log["drops_unwritten"]) == (0, 1)
    assert "block" in ingest.log["lost_cause"]


# The wrong source.


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks",
        "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/consumer/app:1",
        "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/2031-03-04T00:00:00.000",
    ],
)
def test_record_of_another_source_waits_for_its_mapping(ingest: IngestFunction, arn: str) -> None:
    good = ingest.record([postgresql_event()])
    other = {**ingest.record([postgresql_event()]), "eventSourceARN": arn}

    assert ingest.invoke(good, other) == [sequence_number(other)]

    assert arn in ingest.log["cause"]
    assert "delete the event source mapping" in ingest.log["cause"]
    assert ingest.log["dead_letters"] == {}
    assert len(ingest.documents()) == 1


def test_record_of_a_fan_out_consumer_is_read_as_its_stream(ingest: IngestFunction) -> None:
    record = ingest.record([postgresql_event()])
    consumer = {**record, "eventSourceARN": record["eventSourceARN"] + "/consumer/daswatch:1700000000"}

    assert ingest.invoke(consumer) == []
    assert ingest.invoke(record) == []  # the same document

    (document,) = ingest.documents()
    assert document["resourceId"] == ingest.database().resource_id


# Digits past 64 bits.


def test_events_that_differ_past_64_bits_are_two_documents(ingest: IngestFunction) -> None:
    database = ingest.database()
    numbers = ("18446744073709551617", "18446744073709551619")
    content = b",".join(
        orjson.dumps(postgresql_event(rowCount=0)).replace(
            b'"rowCount":0', b'"rowCount":%s,"new":%s' % (number, number)
        )
        for number in map(str.encode, numbers)
    )
    plaintext = (
        b'{"type":"DatabaseActivityMonitoringRecord","clusterId":"c","instanceId":"db-WRITER",'
        b'"databaseActivityEventList":[' + content + b"]}"
    )

    assert ingest.invoke(ingest.sealed(plaintext, database)) == []

    unknown = [document["unknownFields"] for document in ingest.documents()]
    assert sorted(fields["new"] for fields in unknown) == list(numbers)
    assert sorted(fields["rowCount"] for fields in unknown) == list(numbers)


# How long a failure takes.


def test_failure_waits_no_longer_than_the_function_has(ingest: IngestFunction) -> None:
    record = ingest.record([postgresql_event()])

    with closed(ingest):
        assert ingest.invoke(record, remaining_ms=4_000) == [sequence_number(record)]

    assert 0 < sum(ingest.clock.slept) <= 4


def test_success_waits_for_nothing(ingest: IngestFunction) -> None:
    assert ingest.invoke(ingest.record([postgresql_event()]), ingest.delivered(b"no envelope")) == []

    assert ingest.clock.slept == []
