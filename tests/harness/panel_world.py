"""What dashboards are looked at with: the producer's traffic and a fleet, indexed for each index pattern.

`World.sources` are the documents, from which `tests.builders.reckoning` reckons what each panel should show.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.alerts.alert import advance
from daswatch.content.dashboards import SavedObject, shipped_objects
from daswatch.content.templates import shipped_content
from daswatch.detections.detection import Level
from daswatch.documents import control_plane
from daswatch.documents.document import Flattened, Flattening
from daswatch.documents.noise import Noise
from daswatch.errors import Reason
from daswatch.evidence.completeness import Hole, HoleKind, HourKnown, Instance, document_of, judgement_of
from daswatch.fleet.audit import Audit, history_of
from daswatch.fleet.names import Names
from daswatch.indexing import dropped_events
from daswatch.indexing.bulk import Action
from daswatch.indexing.dead_letters import DeadLetter
from daswatch.indexing.dropped_events import Drop
from daswatch.indexing.pulse import Pulse
from daswatch.indices import Indices
from daswatch.opensearch.templates import ContentGateway
from daswatch.preview.panels import PanelSearch, TimeSpan, by_key, requests_of
from daswatch.records.envelope import stream_source
from daswatch.records.kinesis import StreamRecord
from daswatch.times import iso_milliseconds
from demo.aws import REGION
from demo.indexed import flattened, index_all, names_of
from demo.traffic import DATABASES, ProducedRecord, produce
from tests.builders.alerts import DATABASE, a_firing
from tests.builders.control_plane import api_call
from tests.builders.reckoning import Source, predicate
from tests.harness.installed import remove
from tools.pictures.enrolments import enrolments
from tools.pictures.fleet import audits

OBJECTS = shipped_objects(Indices())
KNOWN = by_key(OBJECTS)

START = datetime(2031, 3, 4, 9, tzinfo=UTC)
SPAN = TimeSpan(START, START + timedelta(minutes=20))
BAR_MS = 30_000  # what "auto" makes of twenty minutes
EVENTS = 6_000


@dataclass(frozen=True)
class World:
    """What is indexed: the index of each pattern's title, and its documents."""

    search: OpenSearch
    indices: Mapping[str, str]
    sources: Mapping[str, Sequence[Source]]
    records: Sequence[ProducedRecord]

    def ask(self, request: PanelSearch) -> dict[str, Any]:
        answer: dict[str, Any] = self.search.search(index=self.indices[request.index], body=dict(request.body))
        assert answer["_shards"]["failed"] == 0
        assert not answer["timed_out"]
        return answer


def drops_of(records: Sequence[ProducedRecord], made: Sequence[Flattened], names: Names) -> list[dict[str, Any]]:
    """What is counted of drops, where each record was a batch of its own."""
    given = []
    for number, (record, one) in enumerate(zip(records, made, strict=True)):
        at = iso_milliseconds(record.arrival)
        stream = stream_source(record.database.stream_arn(REGION))
        batch = [StreamRecord({}, "", "", str(number), "shardId-000000000000", at)]
        counted = [Drop(0, stream, at, Noise.AWS_USER, count, user=user) for user, count in one.dropped_users.items()]
        given += dropped_events.actions(counted, batch, Flattening(at, names=names), Indices().drops)
    return [line_of(action) for action in given]


def pulses_of(records: Sequence[ProducedRecord], names: Names) -> list[dict[str, Any]]:
    pulses: dict[tuple[str, str], Pulse] = {}
    for record in records:
        instance, at = record.monitoring_record["instanceId"], iso_milliseconds(record.arrival)
        stream = stream_source(record.database.stream_arn(REGION))
        pulse = pulses.setdefault((stream.resource_id, instance), Pulse(stream, instance, at))
        pulse.heard(at, 1, at if record.entries else "")
    actions = (
        pulse.actions(
            Indices().pulse,
            versioned=True,
            now=START,
            name=Flattening("", names=names).name_of(pulse.stream, pulse.instance_id),
        )
        for pulse in pulses.values()
    )
    return [line_of(action) for own in actions for action in own]


def dead_letters_of(records: Sequence[ProducedRecord], names: Names) -> list[dict[str, Any]]:
    letters = []
    for number, (record, reason) in enumerate(
        zip(records, [Reason.NOT_GZIP, Reason.NOT_JSON, Reason.NOT_GZIP], strict=False)
    ):
        stream = stream_source(record.database.stream_arn(REGION)) if number else None
        at = iso_milliseconds(record.arrival)
        raw = StreamRecord({"n": number}, "", "", f"4900{number}", "shardId-000000000000", at)
        letter = DeadLetter.of(raw, stream, reason, "it does not open")
        name = Flattening(at, names=names).name_of(stream) if stream else {}
        letters.append(line_of(letter.action(f"s3://dead/{letter.object_key}", at, Indices().dead_letters, name)))
    return letters


def line_of(action: Action) -> dict[str, Any]:
    """The second line of a bulk action."""
    found: dict[str, Any] = orjson.loads(action.lines.splitlines()[1])
    return found


def alerts() -> list[dict[str, Any]]:
    """Alerts of several detections, levels and groups; one is over."""
    made = []
    for minute, (level, user) in enumerate(
        [(Level.CRITICAL, "cy"), (Level.MEDIUM, "ben"), (Level.HIGH, "anna"), (Level.LOW, "dee")]
    ):
        at = START + timedelta(minutes=minute + 1)
        firing = a_firing(
            detection=f"detection-{level.value}",
            title=f"Something {level.value}",
            level=level,
            database=replace(DATABASE, identifier="shop", tags=("env=prod",)) if user != "ben" else DATABASE,
            group={"dbUserName": user},
            first_seen=iso_milliseconds(at - timedelta(minutes=1)),
            last_seen=iso_milliseconds(at),
            count=10 * (minute + 1),
        )
        alert = advance(None, firing, 3600, at)
        if level is Level.LOW:
            alert = advance(alert, None, 3600, at + timedelta(hours=2))
        assert alert
        made.append(alert.document())
    return made


def control_plane_calls() -> list[dict[str, Any]]:
    at = iso_milliseconds(START + timedelta(minutes=2))
    calls = [api_call(eventTime=at), api_call(eventTime=at, eventName="DisableKey", errorCode="AccessDenied")]
    found = [control_plane.document(call, at, Indices().control_plane).source for call in calls]
    return [{**found[0], "databaseIdentifier": "shop", "databaseTags": ["env=prod"]}, *found[1:]]


def verdicts(names: Names) -> list[dict[str, Any]]:
    """What was judged of an hour: something is missing of two instances, and nothing of the third."""
    holes: list[list[Hole]] = [
        [Hole(HoleKind.SILENT, 3, 12), Hole(HoleKind.NOT_INGESTED, 3, 5, 40)],
        [Hole(HoleKind.DEAD_LETTERS, 7, 7, 2)],
        [],
    ]
    made = []
    for database, own in zip(DATABASES, holes, strict=False):
        stream = stream_source(database.stream_arn(REGION))
        instance = Instance(database.resource_id, database.instance_ids[0], stream.account_id, stream.region)
        name = names.fields(stream.account_id, stream.region, database.resource_id, database.instance_ids[0])
        at = iso_milliseconds(START + timedelta(hours=2))
        made.append(document_of(instance, START, HourKnown(), judgement_of(own), at, name))
    return made


AGES = (timedelta(days=6), timedelta(days=2.5), timedelta())


def runs() -> list[Audit]:
    """Three runs over a fleet in which verdicts change, names move and a database goes."""
    return list(audits(START, AGES))


def history_in_span(audits: Sequence[Audit]) -> list[dict[str, Any]]:
    """The history of these runs as if they had been a few seconds and some minutes from each other."""
    times = [START + timedelta(seconds=seconds) for seconds in (61, 66, 607)]
    return [
        {**document, "@timestamp": iso_milliseconds(at)}
        for at, audit in zip(times, audits, strict=True)
        for document in history_of(audit).values()
    ]


@contextmanager
def panel_world(search: OpenSearch) -> Iterator[World]:
    """Traffic, alerts, a fleet and its enrolments in indices of their own."""
    own = Indices(f"t-panels-{secrets.token_hex(4)}-events")
    prefix = own.prefix
    content = shipped_content(prefix)
    ContentGateway(search).install_all(content)
    templates = {one.name: one.body["template"] for one in shipped_content() if "template" in one.body}
    records = list(produce(7, START, EVENTS))
    first = records[0].database
    # One is not in the inventory.
    databases = {one.database.resource_id: one.database for one in records if one.database != first}
    names = names_of(databases.values())
    made = [flattened(record, prefix, names) for record in records]
    documents = [document for one in made for document in one.documents]
    index_all(search, documents)
    audits = runs()
    small: dict[str, Sequence[Source]] = {
        "das-alerts": alerts(),
        "das-completeness": verdicts(names),
        "das-control-plane": control_plane_calls(),
        "das-databases": list(audits[-1].documents.values()),
        "das-dead-letters": dead_letters_of(records, names),
        "das-drops": drops_of(records, made, names),
        "das-enrolments": list(list(enrolments(START, AGES))[-1].values()),
        "das-posture": history_in_span(audits),
        "das-pulse": pulses_of(records, names),
    }
    titles = {identity: KNOWN["index-pattern", identity].title for identity in (*small, "das-events")}
    indices = {titles[name]: f"{own.stem}-panel-{name}" for name in small} | {titles["das-events"]: f"{prefix}-*"}
    for name, found in small.items():
        index = indices[titles[name]]
        search.indices.create(index=index, body={"mappings": templates[name]["mappings"]})
        lines = [line for source in found for line in (b'{"create":{}}', orjson.dumps(source))]
        assert not search.bulk(index=index, body=b"\n".join(lines) + b"\n")["errors"]
    search.indices.refresh(index=f"{own.stem}-*")
    sources: dict[str, Sequence[Source]] = {titles[name]: found for name, found in small.items()}
    sources[titles["das-events"]] = [document.source for document in documents]
    yield World(search, indices, sources, records)
    remove(search, prefix)


def counted_once(sources: Sequence[Source]) -> list[Source]:
    """Without the rows that repeat a statement's objects."""
    return [source for source in sources if source.get("class") != "AUX"]


def the_request(one: SavedObject) -> PanelSearch:
    (request,) = requests_of(one, KNOWN, SPAN)
    return request


def matching(world: World, one: SavedObject, request: PanelSearch) -> list[Source]:
    query = one.attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]["query"]["query"]
    return [source for source in counted_once(world.sources[request.index]) if predicate(query)(source)]
