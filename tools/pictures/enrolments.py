"""Enrolment of the fleet of the pictures, over the same week: the plan and the documents are those of its own code.

AWS's part is simulated: consumers exist as soon as they are created, and a stream is on when the database's story says
so. Lambda denies one mapping, and the setting of a region changes before the last run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from daswatch.activity_streams.lifecycle import WantedStream
from daswatch.enrolment.consumers import Consumers, DeliveryFound, Evidence, Kind, MappingFound
from daswatch.enrolment.plan import Act, Enrolment, Present, Step, Wanted, orphaned_streams, plan
from daswatch.enrolment.record import Document, Outcome, document_of, id_of, memory_of, vanished_documents
from daswatch.enrolment.selection import Selection
from daswatch.fleet.database import Place
from daswatch.fleet.inventory import Look
from daswatch.times import iso_milliseconds
from demo.aws import REGION
from demo.rds import ACCOUNT_ID
from tools.pictures.fleet import SHOP_ACCOUNT, looks_at

_TAG = "tag:env=prod"
# `archive` was deleted long ago; `pricing-old1` has lost its name to another database.
_SHOP = "cluster:archive, cluster:customers, cluster:loyalty, cluster:pricing, cluster:sessions, db:warehouse"
_SELECTED = {Place(SHOP_ACCOUNT, REGION): _SHOP}
_DENIED = "cluster:inventory"
_DENIAL = "AccessDeniedException: not authorized to perform: lambda:CreateEventSourceMapping"
_CHANGED = Place(ACCOUNT_ID, "eu-central-1")  # its dead-letter bucket, before the last run
_THROTTLED = "cluster:documents"


def enrolments(now: datetime, ages: Iterable[timedelta]) -> Iterator[Mapping[str, Document]]:
    """The documents of all places, by id, after each of the runs at these ages, the oldest first."""
    places: dict[Place, _Place] = {}
    for ago in ages:
        for look in looks_at(ago):
            places.setdefault(look.place, _Place(_wanted(look.place))).run(look, now, ago)
        yield {id_: document for place in places.values() for id_, document in place.documents.items()}


def _wanted(place: Place) -> Wanted:
    at = f"{place.region}:{place.account_id}"
    evidence = Evidence(
        bucket="arn:aws:s3:::daswatch-evidence",
        role=f"arn:aws:iam::{place.account_id}:role/daswatch-deliveries",
        key=f"arn:aws:kms:{at}:key/daswatch",
        log_group="/aws/kinesisfirehose/daswatch",
    )
    consumers = Consumers(
        name="daswatch",
        function=f"arn:aws:lambda:{at}:function:daswatch-ingest",
        failures="arn:aws:s3:::daswatch-dead-letters",
        evidence=evidence,
    )
    return Wanted(Selection.parse(_SELECTED.get(place, _TAG)), WantedStream(evidence.key), consumers)


@dataclass
class _Place:
    """One account and region: its settings, consumers and documents."""

    wanted: Wanted
    mappings: dict[str, MappingFound] = field(default_factory=dict)
    deliveries: dict[tuple[str, Kind], DeliveryFound] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)

    def run(self, look: Look, now: datetime, ago: timedelta) -> None:
        """One run of the enrolment function."""
        at, wanted = iso_milliseconds(now - ago), self.wanted
        if look.place == _CHANGED and not ago:
            wanted = replace(wanted, consumers=replace(wanted.consumers, failures="arn:aws:s3:::letters-frankfurt"))
        names = frozenset(one.name for one in self.deliveries.values())
        present = Present(dict(self.mappings), dict(self.deliveries), names)
        present = replace(present, gone=orphaned_streams(look, present, wanted.consumers))
        memories = {one["resourceId"]: memory_of(one) for one in self.documents.values()}
        planned = plan(look, present, wanted, memories, at)
        gone = dict(vanished_documents(self.documents.values(), planned, at))
        for one in planned:
            outcomes = [self._take(one, step) for step in one.steps]
            self.documents[id_of(one)] = document_of(one, outcomes, (), self.documents.get(id_of(one)), at)
        self.documents |= gone

    def _take(self, enrolment: Enrolment, step: Step) -> Outcome:
        arn = enrolment.stream_arn
        match step.act:
            case Act.CREATE_MAPPING if enrolment.name == _DENIED:
                return Outcome(step, _DENIAL)
            case Act.UPDATE_MAPPING if enrolment.name == _THROTTLED:
                return Outcome(step, "TooManyRequestsException: Rate exceeded", is_passing=True)
            case Act.CREATE_MAPPING:
                self.mappings[arn] = MappingFound(f"mapping of {arn}", arn, "Enabled", step.parameters)
            case Act.DELETE_MAPPING:
                self.mappings = {arn: one for arn, one in self.mappings.items() if one.uuid != step.parameters["UUID"]}
            case Act.CREATE_DELIVERY:
                destination = step.parameters["ExtendedS3DestinationConfiguration"]
                name = step.parameters["DeliveryStreamName"]
                found = DeliveryFound(name, arn, "ACTIVE", "1", "destinationId-1", destination, Kind.EVIDENCE)
                self.deliveries[arn, Kind.EVIDENCE] = found
            case Act.DELETE_DELIVERY:
                name = step.parameters["DeliveryStreamName"]
                self.deliveries = {key: one for key, one in self.deliveries.items() if one.name != name}
        return Outcome(step)
