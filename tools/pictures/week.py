"""A week of the producer's traffic in a node, with what watches it: pulse, drops, dead letters, alerts, inventory.

The same every time, byte for byte: the week ends at `NOW`. Events and drops go through the same code as the ingest
function's, alerts come of the saved queries, run on a clock of ours in the hours of the attacks; nothing that a panel
shows is made up here but what went wrong: one instance that falls silent, three stream records that do not open, three
calls of AWS's API, and the databases of other regions and accounts.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from heapq import merge
from operator import attrgetter
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.aws.security_hub import FindingAccounts
from daswatch.aws.sns import AlertTopic
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection
from daswatch.detections.samples import base_events
from daswatch.documents import control_plane
from daswatch.documents.document import Document, Flattening
from daswatch.documents.noise import ExcludedUser, Noise, Origin
from daswatch.errors import RecordError
from daswatch.evidence.completeness import Document as Verdict
from daswatch.evidence.completeness import (
    Hole,
    HoleKind,
    HourKnown,
    Instance,
    document_id,
    document_of,
    hour_of,
    judgement_of,
)
from daswatch.indexing import dropped_events
from daswatch.indexing.bulk import Action
from daswatch.indexing.dead_letters import DeadLetter
from daswatch.indexing.dropped_events import Drop
from daswatch.indexing.pulse import Pulse
from daswatch.indices import DEFAULT_INDEX_PREFIX, Indices
from daswatch.opensearch.completeness_index import CompletenessIndex
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.enrolment_index import EnrolmentIndex
from daswatch.records.envelope import StreamSource, read_envelope, stream_source
from daswatch.records.kinesis import StreamRecord
from daswatch.times import iso_milliseconds, moment_of
from demo.aws import REGION, LocalAws
from demo.indexed import documents_of, index_all, names_of
from demo.scenarios import SCENARIOS, Scenario
from demo.traffic import DATABASES, ProducedRecord, produce
from findings_lambda.runner import DetectionRunner
from tools.pictures.enrolments import enrolments
from tools.pictures.fleet import ages_of, audits
from tools.runner import detection_runner

NOW = datetime(2026, 3, 5, 16, tzinfo=UTC)  # a Thursday
DAYS = 7
ACCOUNT = "123456789012"
DASHBOARDS_URL = "https://search.example.internal/_dashboards"
NAMES = names_of(DATABASES)

_SILENT_INSTANCE = "db-SYNTHETICOUTLETPGWRITER0001"
_SILENT_SINCE = NOW - timedelta(minutes=52)
_WARM_UP = timedelta(hours=6)
_SPARE = 2.0  # times the events that are needed on average: bursts come early
_BATCH = timedelta(minutes=5)  # of a database's stream records, one document of its drops
# The saved queries run as on their schedule where something happens; a run looks at all since the last one.
_EVERY = timedelta(minutes=15)
_RUNS_OF_AN_ATTACK = 4
_RUN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Spell:
    """Traffic that begins at a time and lasts; several at once add up."""

    begin: datetime
    hours: float
    per_hour: int
    scenarios: tuple[Scenario, ...] = ()
    heartbeats: bool = False


def spells(now: datetime = NOW, days: int = DAYS) -> list[Spell]:
    """A base load day and night, office hours with two peaks on work days, and the scenarios spread over them."""
    midnight = datetime.combine(now.date(), time(), UTC)
    found = [
        Spell(now - timedelta(days=days), 24.0 * (days - 1), 45),
        Spell(now - timedelta(days=1), 24, 60, heartbeats=True),
    ]
    for day in (midnight - timedelta(days=past) for past in range(days, -1, -1)):
        if day.weekday() >= 5:
            continue
        found += [
            Spell(day + timedelta(hours=7), 11.5, 130),
            Spell(day + timedelta(hours=9), 3, 190),
            Spell(day + timedelta(hours=13.5), 3, 230),
        ]
    return [spell for spell in (*found, *_attacks(midnight)) if now - timedelta(days=days) <= spell.begin < now]


def _attacks(midnight: datetime) -> Iterator[Spell]:
    """Each scenario once, most of them in the last two days."""
    hours = (-115, -92, -67, -45, -38, -13, -7.2, -1, 3.4, 9.2, 11.1, 14.8, 14.9, 15.1)
    by_hour: dict[float, list[Scenario]] = {hour: [] for hour in hours}
    for number, scenario in enumerate(SCENARIOS):
        by_hour[hours[(number * 5) % len(hours)]].append(scenario)
    for hour, scenarios in by_hour.items():
        yield Spell(midnight + timedelta(hours=hour), 0.6, 20, tuple(scenarios))


def records(now: datetime = NOW) -> Iterator[ProducedRecord]:
    """All that arrives until now, in its order; nothing of the silent instance once it is silent."""
    runs = [_of_spell(seed, spell) for seed, spell in enumerate(spells(now))]
    arrival: Callable[[ProducedRecord], datetime] = attrgetter("arrival")
    for record in merge(*runs, key=arrival):
        silent = record.monitoring_record["instanceId"] == _SILENT_INSTANCE and record.arrival >= _SILENT_SINCE
        if record.arrival <= now and not silent:
            yield record


def _of_spell(seed: int, spell: Spell) -> Iterator[ProducedRecord]:
    """What arrives while it lasts. The producer's sessions all begin at once: it is let run for some hours before."""
    end = spell.begin + timedelta(hours=spell.hours)
    warm_up = timedelta() if spell.scenarios else _WARM_UP
    hours = spell.hours if spell.scenarios else (spell.hours + warm_up / timedelta(hours=1)) * _SPARE
    for record in produce(
        seed,
        spell.begin - warm_up,
        int(hours * spell.per_hour),
        scenarios=spell.scenarios,
        events_per_second=spell.per_hour / 3600,
        heartbeats=spell.heartbeats,
    ):
        if record.arrival > end and not spell.scenarios:
            return
        if record.arrival >= spell.begin:
            yield record


@dataclass(slots=True)
class Watched:
    """Pulses and drops of records, in addition to their documents."""

    pulses: dict[tuple[str, str], Pulse]
    drops: dict[tuple[int, StreamSource], list[Drop]]
    records: int = 0

    @classmethod
    def nothing(cls) -> Watched:
        """Before the first record."""
        return cls({}, {})

    def take(self, record: ProducedRecord) -> None:
        """One more record was heard."""
        self.records += 1
        stream = stream_source(record.database.stream_arn(REGION))
        instance, at = record.monitoring_record["instanceId"], iso_milliseconds(record.arrival)
        fates = Counter(entry.fate for entry in record.entries)
        pulse = self.pulses.setdefault((stream.resource_id, instance), Pulse(stream, instance, at))
        pulse.heard(at, fates["heartbeat"], at if fates["indexed"] else "")
        batch = int(record.arrival.timestamp() // _BATCH.total_seconds())
        for name, count in Counter(str(entry.user) for entry in record.entries if entry.fate == "aws-user").items():
            user = ExcludedUser(name.lower(), Origin.PROXY if "proxy" in name.lower() else Origin.LOCAL)
            self.drops.setdefault((batch, stream), []).append(
                Drop(0, stream, at, Noise.AWS_USER, count, instance, user)
            )

    def drop_actions(self) -> Iterator[Action]:
        """Yield the drops that the ingest function writes for each batch; heartbeats only update the pulse."""
        for (batch, _), found in self.drops.items():
            newest = max(drop.arrived_at for drop in found)
            # Its first record and its last one, which name a batch.
            record = StreamRecord({}, "", "", str(batch), "shardId-000000000000", newest)
            yield from dropped_events.actions(found, [record], Flattening(newest, names=NAMES), Indices().drops)


def fill(
    search: OpenSearch, aws: LocalAws, detections: Sequence[Detection], progress: Callable[[str], None] = lambda _: None
) -> int:
    """The whole week into a node that has our templates and nothing else; how many events there are."""
    watched = Watched.nothing()

    def heard() -> Iterator[ProducedRecord]:
        for record in records():
            watched.take(record)
            if any(entry.fate != "heartbeat" for entry in record.entries):
                yield record

    progress("Making and indexing a week of four engines' activity")
    events = index_all(search, documents_of(heard(), DEFAULT_INDEX_PREFIX, NAMES))
    progress("Enrolling and judging the fleet every 15 minutes")
    inventory = DatabaseIndex(search, Indices())
    enrolled = list(enrolments(NOW, ages_of(DAYS)))
    for audit in audits(NOW, ages_of(DAYS), enrolled=enrolled):
        inventory.write(audit, Deadline.after(_RUN_SECONDS))
    EnrolmentIndex(search, Indices()).write(enrolled[-1], Deadline.after(_RUN_SECONDS))
    index_all(search, control_plane_calls())
    write(search, [*watched.drop_actions(), *dead_letters()])
    CompletenessIndex(search, Indices()).write(gaps(), Deadline.after(_RUN_SECONDS))
    search.indices.refresh(index="das-*")
    before = None
    for at in run_times():
        if before and at - before > _EVERY:  # nothing in between was looked at, nor shall be
            search.indices.delete(index=Indices().runs)
        before = at
        progress(f"Running the saved queries as of {at:%A %H:%M}")
        if at == NOW:  # the pulse has no history: only the last data
            index = Indices().pulse
            write(
                search,
                [
                    one
                    for heard_last in watched.pulses.values()
                    for one in heard_last.actions(
                        index, versioned=True, now=at, name=_name(heard_last.stream, heard_last.instance_id)
                    )
                ],
            )
        runner(search, aws, detections).run(at, Deadline.after(_RUN_SECONDS))
        search.indices.refresh(index="das-*")
    return events


def run_times(now: datetime = NOW) -> list[datetime]:
    """When the saved queries run: around each attack, and at the end; the last time is now."""
    attacks = [spell.begin for spell in spells(now) if spell.scenarios]
    during = {begin + number * _EVERY for begin in attacks for number in range(1, _RUNS_OF_AN_ATTACK + 1)}
    return sorted({at for at in during if at <= now} | {now - _EVERY, now})


def runner(search: OpenSearch, aws: LocalAws, detections: Sequence[Detection]) -> DetectionRunner:
    """The findings function's runner, on our clock."""
    topic = AlertTopic(lambda: aws.client("sns"), aws.create_topic())
    accounts = FindingAccounts(ACCOUNT, REGION, lambda _: aws.security_hub(), lambda: aws.client("sts"), "")
    return detection_runner(search, detections, Indices(), accounts, topic, DASHBOARDS_URL)


def write(search: OpenSearch, actions: Iterable[Action]) -> None:
    """Bulk actions, to be found at once."""
    answer = search.bulk(body=b"".join(action.lines for action in actions), params={"refresh": "true"})
    if answer["errors"]:
        raise RuntimeError(f"OpenSearch rejected pulses or drops: {answer['items'][:1]}")


def gaps(now: datetime = NOW) -> dict[str, Verdict]:
    """What the posture function judges of the hours of these dead letters, by id."""
    letters: dict[tuple[Instance, datetime], list[dict[str, Any]]] = {}
    for action in dead_letters(now):
        letter = orjson.loads(action.lines.splitlines()[1])
        instance = Instance(letter["resourceId"], "", letter["awsAccountId"], letter["awsRegion"])
        letters.setdefault((instance, hour_of(moment_of(letter["@timestamp"]))), []).append(letter)
    verdicts: dict[str, Verdict] = {}
    for (instance, hour), found in letters.items():
        minutes = sorted(moment_of(letter["@timestamp"]).minute for letter in found)
        judgement = judgement_of([Hole(HoleKind.DEAD_LETTERS, minutes[0], minutes[-1], len(found))])
        name = NAMES.fields(instance.account_id, instance.region, instance.resource_id)
        document = document_of(instance, hour, HourKnown(), judgement, iso_milliseconds(now), name)
        verdicts[document_id(instance, hour)] = document
    return verdicts


def dead_letters(now: datetime = NOW) -> Iterator[Action]:
    """Three stream records that are not envelopes, each with the reason that the ingest function gives."""
    spoiled = (
        (DATABASES[2], timedelta(hours=5, minutes=12), b64encode(b'{"type": "SomethingElse"}').decode()),
        (DATABASES[2], timedelta(hours=5, minutes=11), b64encode(b'{"type": "SomethingElse", "n": 2}').decode()),
        (DATABASES[5], timedelta(hours=20, minutes=40), "not even Base64"),
    )
    for number, (database, ago, text) in enumerate(spoiled):
        at = iso_milliseconds(now - ago)
        stream = stream_source(database.stream_arn(REGION))
        raw = StreamRecord({"kinesis": {"data": text}}, text, "", f"4966301247{number}", "shardId-000000000000", at)
        try:
            read_envelope(text)
        except RecordError as exc:
            letter = DeadLetter.of(raw, stream, exc.reason, exc.detail)
            location = f"s3://daswatch-dead-letters/{letter.object_key}"
            yield letter.action(location, at, Indices().dead_letters, _name(stream))
        else:
            raise RuntimeError("a spoiled stream record can be read")


def _name(stream: StreamSource, instance_id: str = "") -> Mapping[str, Any]:
    return Flattening("", names=NAMES).name_of(stream, instance_id)


def control_plane_calls(now: datetime = NOW) -> Iterator[Document]:
    """Yield denied attempts to stop a stream while the saved queries run, and a planned change."""
    base = base_events()["control-plane"]
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0c1d2e3f-4a5b-4c6d-8e7f-901234567890"
    calls: tuple[tuple[timedelta, dict[str, Any]], ...] = (
        (timedelta(minutes=58), {"errorCode": "AccessDenied", "responseElements": None}),
        (
            timedelta(minutes=55),
            {
                "eventSource": "kms.amazonaws.com",
                "eventName": "DisableKey",
                "errorCode": "AccessDenied",
                "requestParameters": {"keyId": key},
                "responseElements": None,
            },
        ),
        (timedelta(hours=53), {"eventName": "ModifyActivityStream"}),
    )
    for number, (ago, detail) in enumerate(calls):
        at = iso_milliseconds(now - ago)
        changed = {
            **base["detail"],
            "eventTime": at,
            "eventID": f"b7c8d9e0-f1a2-4b3c-8d4e-5f607182930{number}",
            **detail,
        }
        yield control_plane.document({**base, "time": at, "detail": changed}, at, Indices().control_plane)
