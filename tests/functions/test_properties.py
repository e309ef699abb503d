"""Generated input on a real node: nothing raises out of the handler, nothing is lost, no document is ever refused.

Many records and events go into one invocation, so that a minute tries thousands. The seed is fixed: a failure is the
same on each machine.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from demo.rds import envelope, to_json
from tests.builders.events import mysql_event, oracle_event, postgresql_event, sqlserver_event
from tests.harness.ingest import IngestFunction

pytestmark = [
    pytest.mark.node,
    # Long values are meant; how they are shown is no failure.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]

_Test = TypeVar("_Test", bound=Callable[..., None])

BUILDERS = (postgresql_event, mysql_event, oracle_event, sqlserver_event)
AWS_FIELDS = sorted({name for builder in BUILDERS for name in builder()})
# Names of ours, names with a meaning in a path or in a mapping, and fields of other records.
ODD_NAMES = [
    *("@timestamp", "engine", "activity", "objects", "remoteIp", "unknownFields", "unknownFieldsText", "ingestNotes"),
    *("user", "source", "user.name", "_id", "_source", "_index", "a.b", "a..b", ".", "..", " ", "", "*", "a*", "\0"),
    *("monitoringRecord", "clusterId", "instanceId", "version", "x" * 300, "x" * 40_000, "$where", "ä", "名"),
]


def tried(examples: int) -> Callable[[_Test], _Test]:
    """So many invocations. The fixture may be shared by examples: each has events of its own, with a number."""
    return settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],  # add Phase.shrink for the smallest failure: it takes minutes
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,  # an example is a batch of records
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )


# Any text, lone surrogates and control characters too; any JSON, beyond what 64 bits hold too.
any_text = st.text(st.characters(), max_size=20)
sql_text = st.lists(
    st.sampled_from(
        [
            *(
                "select ",
                "with a as (",
                "insert into t values ",
                "do ",
                "copy t to ",
                "/*",
                "*/",
                "/*!",
                "--",
                "#",
                "\n",
            ),
            *(
                "'",
                '"',
                "`",
                "$$",
                "$a$",
                "[",
                "]",
                "(",
                ")",
                ";",
                "\\",
                "\\'",
                "q'[",
                "E'",
                ":x",
                "?",
                "1.5e3",
                "-",
                ",",
            ),
            *("\0", "\ud800", "😀", "x" * 300, "x, " * 4000),
        ]
    ),
    max_size=12,
).map("".join)
numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64, 1e308, 5e-324, -0.0]),
)
texts = st.one_of(
    any_text,
    sql_text,
    st.sampled_from(
        [
            *("2031-03-04 11:22:33.444555+00", "1970-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "2031-W01-1"),
            *("10.9.8.7", "::1", "fe80::1%x", "999.1.1.1", "1e400", "0x1F", "NaN", "true", "-9223372036854775809"),
            *("x" * 8_001, "x" * 40_000, "é" * 20_000, "a b " * 10_000),
        ]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
names = st.one_of(st.sampled_from(AWS_FIELDS), st.sampled_from(ODD_NAMES), any_text)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
changed_fields = st.dictionaries(names, json_values, max_size=4)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """A plausible event of some engine in which some fields are anything."""
    plausible: dict[str, Any] = draw(st.sampled_from(BUILDERS))()
    return plausible | draw(changed_fields)


_numbers = count(1)


def distinct(event: dict[str, Any]) -> dict[str, Any]:
    """The same event, unlike any other of the run."""
    return {**event, "exampleNumber": next(_numbers)}


def invoke_accounted(ingest: IngestFunction, *records: Any) -> dict[str, Any]:
    """Invoke, and hold the log line to what must be true of any input; returns the line."""
    assert ingest.invoke(*records) == []
    line = ingest.log
    ingest.printed = ""
    assert line["records"] == len(records)
    assert line["events"] == line["written"] + line["already_there"] + sum(line["dropped"].values())
    assert "document-refused" not in line["dead_letters"]
    assert "unexpected" not in line["dead_letters"]
    return line


@tried(30)
@given(batch=st.lists(events(), min_size=10, max_size=30))
def test_no_document_is_refused_whatever_its_fields_hold(ingest: IngestFunction, batch: list[dict[str, Any]]) -> None:
    numbered = [distinct(event) for event in batch]

    line = invoke_accounted(ingest, ingest.sealed(to_json(monitoring_record(numbered))))

    assert line["events"] == len(batch)
    assert line["already_there"] == 0
    assert line["dead_letters"] == {}


@tried(30)
@given(values=st.lists(json_values, min_size=5, max_size=30), field=st.sampled_from(AWS_FIELDS))
def test_no_field_of_aws_refuses_a_value_of_any_type(ingest: IngestFunction, values: list[Any], field: str) -> None:
    batch = [
        distinct({**builder(), field: value})
        for number, value in enumerate(values)
        for builder in BUILDERS[number % 4 :]
    ]

    line = invoke_accounted(ingest, ingest.sealed(to_json(monitoring_record(batch))))

    assert line["events"] == len(batch)
    assert line["dead_letters"] == {}


@tried(30)
@given(natives=st.lists(st.dictionaries(names, json_values, max_size=6), min_size=5, max_size=20))
def test_no_native_or_unknown_field_is_refused(ingest: IngestFunction, natives: list[dict[str, Any]]) -> None:
    batch = [distinct(oracle_event(engineNativeAuditFields=native, novel=native)) for native in natives]

    line = invoke_accounted(ingest, ingest.sealed(to_json(monitoring_record(batch))))

    assert line["events"] == len(batch)
    assert line["dead_letters"] == {}


def monitoring_record(entries: Any, **changes: Any) -> dict[str, Any]:
    return {
        "type": "DatabaseActivityMonitoringRecord",
        "clusterId": "cluster-A",
        "instanceId": "db-WRITER",
        "databaseActivityEventList": entries,
        **changes,
    }


@st.composite
def monitoring_records(draw: st.DrawFn) -> Any:
    """A monitoring record in which any part may be anything."""
    entries = st.lists(st.one_of(events(), json_values, st.just({"type": "heartbeat"})), max_size=5)
    whole: Any = monitoring_record(draw(st.one_of(entries, json_values)))
    wrong = draw(st.dictionaries(st.sampled_from(sorted(whole)) | any_text, json_values, max_size=2))
    return draw(st.sampled_from([whole, whole | wrong, draw(json_values)]))


@tried(25)
@given(contents=st.lists(monitoring_records(), min_size=2, max_size=12))
def test_every_record_ends_as_documents_drops_or_a_dead_letter(ingest: IngestFunction, contents: list[Any]) -> None:
    readable = [content for content in contents if is_readable(content)]
    objects = [
        entry for content in readable for entry in content["databaseActivityEventList"] if isinstance(entry, dict)
    ]
    flawed = [
        content
        for content in readable
        if any(not isinstance(entry, dict) for entry in content["databaseActivityEventList"])
    ]

    line = invoke_accounted(ingest, *(ingest.sealed(to_json(content)) for content in contents))

    assert line["events"] == len(objects)
    assert sum(line["dead_letters"].values()) == len(contents) - len(readable) + len(flawed)
    assert line["dead_letters"].get("event-not-an-object", 0) == len(flawed)


def is_readable(content: Any) -> bool:
    """Whether the format says that this is a monitoring record."""
    return (
        isinstance(content, dict)
        and content.get("type") == "DatabaseActivityMonitoringRecord"
        and isinstance(content.get("databaseActivityEventList"), list)
    )


@dataclass(frozen=True, slots=True)
class Damage:
    """A change of some bytes at a place given as a fraction of their number."""

    kind: str
    where: float
    length: int
    other: bytes

    def __call__(self, content: bytes) -> bytes:
        at = int(self.where * len(content))
        head, tail = content[:at], content[at:]
        match self.kind:
            case "replace":
                return head + self.other + tail[len(self.other) :]
            case "flip":
                return head + bytes(byte ^ (1 << self.length % 8) for byte in tail[:1]) + tail[1:]
            case "cut":
                return head + tail[self.length :]
            case "double":
                return head + tail[: self.length] + tail
            case "insert":
                return head + self.other + tail
            case "truncate":
                return head
            case "append":
                return content + self.other
        return content


damages = st.builds(
    Damage,
    kind=st.sampled_from(["replace", "flip", "cut", "double", "insert", "truncate", "append", "nothing"]),
    where=st.floats(0, 1, exclude_max=True),
    length=st.integers(1, 40),
    other=st.binary(min_size=1, max_size=20),
)
PARTS = ("data", "envelope", "ciphertext", "content", "wrapped key")


@tried(30)
@given(plan=st.lists(st.tuples(st.sampled_from(PARTS), damages), min_size=5, max_size=20))
def test_damaged_bytes_are_indexed_or_kept_and_never_stop_their_neighbours(
    ingest: IngestFunction, plan: list[tuple[str, Damage]]
) -> None:
    pairs = [(distinct(mysql_event()), distinct(mysql_event())) for _ in plan]
    good = [ingest.record([event]) for event, _ in pairs]
    bad = [damaged(ingest, event, *how) for (_, event), how in zip(pairs, plan, strict=True)]

    line = invoke_accounted(ingest, *(record for pair in zip(good, bad, strict=True) for record in pair))

    indexed, kept = indexed_numbers(ingest), kept_numbers(ingest, bad)
    assert {event["exampleNumber"] for event, _ in pairs} <= indexed
    lost = [
        (part, damage)
        for (_, event), record, (part, damage) in zip(pairs, bad, plan, strict=True)
        # Damaged content may open and be another event.
        if part != "content" and event["exampleNumber"] not in indexed and sequence_number(record) not in kept
    ]
    assert lost == []
    assert line["events"] + sum(line["dead_letters"].values()) >= 2 * len(plan)


def damaged(ingest: IngestFunction, event: dict[str, Any], part: str, damage: Damage) -> dict[str, Any]:
    """A record of one event with one part of it damaged."""
    database = ingest.database()
    key = ingest.data_key(database)
    record = ingest.record([event], database)
    data = base64.b64decode(record["kinesis"]["data"])
    fields = orjson.loads(data)
    match part:
        case "data":
            text = damage(record["kinesis"]["data"].encode("ascii")).decode("latin-1")
            return {**record, "kinesis": {**record["kinesis"], "data": text}}
        case "envelope":
            return ingest.delivered(with_key_last(damage, {**fields, "key": ""}, fields["key"]), database)
        case "ciphertext":
            ciphertext = damage(base64.b64decode(fields["databaseActivityEvents"]))
            return ingest.delivered(envelope(ciphertext, key.wrapped, database.version), database)
        case "content":
            return ingest.sealed(damage(to_json(monitoring_record([event]))), database)
        case _:
            wrapped = key.wrapped[:MOTO_KEY_ID] + damage(key.wrapped[MOTO_KEY_ID:])
            return ingest.delivered(orjson.dumps({**fields, "key": base64.b64encode(wrapped).decode()}), database)


# A wrapped key of moto begins with its key's id, and moto denies access to an id that it does not know. KMS refuses
# the ciphertext, so the id stays as it is.
MOTO_KEY_ID = 36


def with_key_last(damage: Damage, fields: dict[str, Any], key: str) -> bytes:
    """An envelope that is damaged anywhere but in its key."""
    content = damage(orjson.dumps(fields))
    return content.replace(b'"key":""', b'"key":"' + key.encode() + b'"')


def sequence_number(record: dict[str, Any]) -> str:
    number: str = record["kinesis"]["sequenceNumber"]
    return number


def indexed_numbers(ingest: IngestFunction) -> set[int]:
    """The numbers of all events that are in the index."""
    return {document.get("unknownFields", {}).get("exampleNumber") for document in ingest.documents()}


def kept_numbers(ingest: IngestFunction, records: Iterable[dict[str, Any]]) -> set[str]:
    """The sequence numbers, of these records, that became dead letters."""
    ingest.search.indices.refresh(index=ingest.indices.dead_letters)
    numbers = [sequence_number(record) for record in records]
    query = {
        "bool": {
            "filter": [{"terms": {"sequenceNumber": numbers}}, {"term": {"resourceId": ingest.database().resource_id}}]
        }
    }
    hits = ingest.search.search(index=ingest.indices.dead_letters, body={"query": query, "size": 100})["hits"]["hits"]
    return {hit["_source"]["sequenceNumber"] for hit in hits}


ENVELOPE_FIELDS = ("type", "version", "databaseActivityEvents", "key")


@tried(30)
@given(
    changes=st.lists(
        st.dictionaries(st.sampled_from(ENVELOPE_FIELDS) | any_text, json_values, max_size=3), min_size=3, max_size=15
    )
)
def test_an_envelope_may_hold_anything(ingest: IngestFunction, changes: list[dict[str, Any]]) -> None:
    records = []
    for change in changes:
        record = ingest.record([distinct(postgresql_event())])
        fields = orjson.loads(base64.b64decode(record["kinesis"]["data"]))
        records.append(ingest.delivered(to_json({**fields, **change})))

    line = invoke_accounted(ingest, *records)

    assert line["events"] + sum(line["dead_letters"].values()) == len(records)


LAMBDA_FIELDS = ("kinesis", "eventSourceARN", "eventID", "awsRegion", "eventSource")
KINESIS_FIELDS = ("data", "sequenceNumber", "approximateArrivalTimestamp", "partitionKey")


@dataclass(frozen=True, slots=True)
class StreamRecordChange:
    """A change of what Lambda wraps around a record, or something else in its place."""

    outside: dict[str, Any]
    inside: dict[str, Any]
    instead: Any = None

    def __call__(self, record: dict[str, Any]) -> Any:
        if self.instead is not None:
            return self.instead
        return {**record, "kinesis": {**record["kinesis"], **self.inside}, **self.outside}


def names_no_other_source(outside: dict[str, Any]) -> bool:
    """Records of another source wait until the function is connected to the right one (test_domain_faults.py)."""
    arn = outside.get("eventSourceARN")
    return not (isinstance(arn, str) and arn)


stream_record_changes = st.builds(
    StreamRecordChange,
    outside=st.dictionaries(st.sampled_from(LAMBDA_FIELDS) | any_text, json_values, max_size=1).filter(
        names_no_other_source
    ),
    inside=st.dictionaries(st.sampled_from(KINESIS_FIELDS) | any_text, json_values, max_size=2),
    instead=st.one_of(st.none(), st.none(), st.none(), json_values),
)


@tried(25)
@given(changes=st.lists(stream_record_changes, min_size=3, max_size=15))
def test_lambdas_own_fields_may_hold_anything(ingest: IngestFunction, changes: list[StreamRecordChange]) -> None:
    untimed = [distinct(postgresql_event(logTime=None)) for _ in changes]
    records = [change(ingest.record([event])) for change, event in zip(changes, untimed, strict=True)]

    line = invoke_accounted(ingest, *records)

    assert line["events"] + sum(line["dead_letters"].values()) == len(records)


def test_the_generated_documents_are_all_in_the_index(ingest: IngestFunction) -> None:
    batches = [[distinct(event) for event in batch] for batch in all_kinds_of_values()]

    written = sum(invoke_accounted(ingest, ingest.record(batch))["written"] for batch in batches)

    assert ingest.count({"match_all": {}}) == written == sum(len(batch) for batch in batches)


def all_kinds_of_values() -> Iterator[list[dict[str, Any]]]:
    """Each field of AWS with a value of each type."""
    plain: list[Any] = [None, "", "x", "\0", 0, -1, 2**63, 1.5, True, "x" * 40_000]
    nested: list[Any] = [[], ["x", 1, None], {}, {"a": {"b": [1, "x"]}}]
    for value in plain + nested:
        yield [{**postgresql_event(), field: value} for field in AWS_FIELDS]
