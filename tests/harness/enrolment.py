"""Runs of the reconciler over a region without a network, with the settings of a deployment and its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from daswatch.activity_streams.lifecycle import WantedStream
from daswatch.aws.enrolment import ConsumersGateway, StepsGateway
from daswatch.aws.fleet import FleetLookup
from daswatch.aws.rds import ActivityStreams
from daswatch.deadline import Deadline
from daswatch.enrolment.consumers import Consumers, Evidence, Splunk
from daswatch.enrolment.plan import Enrolment, OnDeselection, Wanted
from daswatch.enrolment.record import Document
from daswatch.enrolment.selection import Selection
from daswatch.errors import SearchUnavailable
from daswatch.fleet.database import Place
from enrol_lambda.reconciler import EnrolmentReport, Reconciler
from tests.fakes.clock import Clock
from tests.fakes.region import Region

KEY = "arn:aws:kms:eu-west-1:123456789012:key/4f2c5b0e-8a51-4f3d-9c0a-1f2e3d4c5b6a"
BEGIN = datetime(2031, 3, 4, 10, tzinfo=UTC)
RUN_SECONDS = 600.0

EVIDENCE = Evidence("arn:aws:s3:::evidence", "arn:aws:iam::123456789012:role/deliveries", KEY, "/daswatch/deliveries")
SPLUNK = Splunk(
    endpoint="https://splunk.example.org:8088",
    secret="arn:aws:secretsmanager:eu-west-1:123456789012:secret:splunk",
    function="arn:aws:lambda:eu-west-1:123456789012:function:daswatch-firehose",
    role="arn:aws:iam::123456789012:role/deliveries",
    backup_bucket="arn:aws:s3:::dead-letters",
    key=KEY,
    log_group="/daswatch/deliveries",
)
CONSUMERS = Consumers(
    name="daswatch",
    function="arn:aws:lambda:eu-west-1:123456789012:function:daswatch-ingest",
    failures="arn:aws:s3:::dead-letters",
    evidence=EVIDENCE,
)
TAGGED = {"watch": "on"}


def wanted(
    selection: str = "tag:watch=on",
    consumers: Consumers = CONSUMERS,
    on_deselection: OnDeselection = OnDeselection.KEEP,
) -> Wanted:
    """A deployment's settings."""
    return Wanted(Selection.parse(selection), WantedStream(KEY), consumers, on_deselection)


@dataclass
class Memories:
    """The index of enrolments: documents with their versions, over which a run writes."""

    documents: dict[str, Document] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    down: frozenset[str] = frozenset()  # of read, claim, write

    def index(self) -> _Index:
        return _Index(self)


class _Index:
    """What one run knows of them, like `EnrolmentIndex`."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories
        self._versions: dict[str, int] = {}

    def read(self, place: Place | None, deadline: Deadline) -> dict[str, Document]:
        self._fail("read")
        self._versions = dict(self._memories.versions)
        return deepcopy(self._memories.documents)

    def claim(self, documents: Mapping[str, Document], place: Place, deadline: Deadline) -> frozenset[str]:
        self._fail("claim")
        lost = self._put(documents)
        self._versions |= {id_: self._memories.versions[id_] for id_ in documents.keys() - lost}
        return lost

    def write(self, documents: Mapping[str, Document], deadline: Deadline) -> frozenset[str]:
        self._fail("write")
        return self._put(documents)

    def _fail(self, call: str) -> None:
        if call in self._memories.down:
            raise SearchUnavailable(f"{call}: OpenSearch does not answer")

    def _put(self, documents: Mapping[str, Document]) -> frozenset[str]:
        lost = set()
        for id_, document in documents.items():
            if self._memories.versions.get(id_, 0) != self._versions.get(id_, 0):
                lost.add(id_)
                continue
            self._memories.versions[id_] = self._memories.versions.get(id_, 0) + 1
            self._memories.documents[id_] = deepcopy(document)
        return frozenset(lost)


class Enrolling:
    """A deployment that enrols the databases of a region. Each run is a cold start."""

    def __init__(self, settings: Wanted | None = None, region: Region | None = None) -> None:
        self.region = region or Region()
        self.wanted = settings or wanted()
        self.memories = Memories()
        self.now = BEGIN

    def run(self, *, dry_run: bool = False) -> EnrolmentReport:
        """One run, five minutes after the one before."""
        self.now += timedelta(minutes=5)
        return self.reconciler().run(self.now, Deadline.after(RUN_SECONDS, Clock()), dry_run=dry_run)

    def reconciler(self) -> Reconciler:
        region, settings = self.region, self.wanted

        def streams(until: Callable[[], Deadline]) -> ActivityStreams:
            return ActivityStreams(region.client("rds"), lambda: region.client("kms"), until)

        place, functions, firehose = region.place, region.client("lambda"), region.client("firehose")
        return Reconciler(
            place,
            FleetLookup(place.account_id, place.region, region.client, lambda: None, regions=(place.region,)),  # type: ignore[arg-type, return-value]
            ConsumersGateway(functions, firehose, region.client("kinesis")),
            lambda: StepsGateway(settings, functions, firehose, streams),
            self.memories.index(),  # type: ignore[arg-type]
            settings,
        )

    def settle(self, runs: int = 12) -> dict[str, Enrolment]:
        """Runs, with time between them; what the last one says of each database, by name."""
        report = EnrolmentReport()
        for _ in range(runs):
            report = self.run()
            self.region.pass_time()
        return by_name(report)


def by_name(report: EnrolmentReport) -> dict[str, Enrolment]:
    """Its enrolments by the names of their databases."""
    return {one.name: one for one in report.enrolments}
