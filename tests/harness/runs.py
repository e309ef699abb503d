"""The findings function under test: runs on the shared node, Security Hub and the alert topic behind moto."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from opensearchpy import OpenSearch

from daswatch.alerts.alert import Alert
from daswatch.aws.security_hub import FindingAccounts
from daswatch.aws.sns import AlertTopic
from daswatch.deadline import Deadline
from daswatch.detections.actors import shipped_actors
from daswatch.detections.detection import Detection
from daswatch.detections.samples import Sample, documents, samples_of
from daswatch.detections.sigma import compile_all
from daswatch.documents.actors import ActorTable
from daswatch.documents.document import Document, Flattening
from daswatch.indices import Indices
from daswatch.opensearch.alert_index import AlertIndex
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.saved_queries import SavedQueries
from daswatch.settings import DEFAULT_EVENT_TAGS, Service
from daswatch.times import iso_milliseconds
from demo.aws import REGION, LocalAws
from demo.findings import all_findings
from demo.opensearch import AnyNode
from findings_lambda.name_lookup import NameLookup
from findings_lambda.notifier import Notifier
from findings_lambda.run_report import RunReport
from findings_lambda.runner import DetectionRunner
from tests.fakes.clock import Clock
from tests.fakes.serverless import CollectionNode
from tests.harness.installed import give_back, installed_prefix

ACCOUNT = "123456789012"
ACTORS = ActorTable(shipped_actors())
RUN_SECONDS = 53  # the schedule's limit without the handler's reserve


FAILED_LOGINS = "twelve wrong passwords in two minutes"


def sample(detection: str, words: str = "") -> Sample:
    """The first sample that a detection must find whose description begins so."""
    return next(one for one in samples_of(detection) if one.expected == "match" and one.words.startswith(words))


class Stopped(BaseException):
    """The function ended here, as a crash ends it: nothing in between catches it."""


@dataclass
class Steps:
    """Counts the calls that reach something outside; ends the function after one of them."""

    stop_after: int | None = None
    made: list[str] = field(default_factory=list)

    def counted(self, gateway: Any) -> Any:
        """The gateway, with each of its calls a step."""
        return _Counted(gateway, self)

    def step(self, name: str) -> None:
        """One call was made."""
        self.made.append(name)
        if self.stop_after is not None and len(self.made) > self.stop_after:
            raise Stopped(name)


class _Counted:
    def __init__(self, gateway: Any, steps: Steps) -> None:
        self._gateway = gateway
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._gateway, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = attribute(*args, **kwargs)
            if name == "for_account":
                account, security_hub = answer
                return account, self._steps.counted(security_hub)
            self._steps.step(name)
            return answer

        return call


class RunHarness:
    """What a run needs, with indices of its own for events."""

    def __init__(
        self, search: OpenSearch, aws: LocalAws, detections: Sequence[Detection], node: AnyNode | None = None
    ) -> None:
        self.search = search
        self.collection = node.collection if isinstance(node, CollectionNode) else None
        self._client = OpenSearch(self.collection.url, timeout=60) if self.collection else search  # of the function
        self.aws = aws
        self.detections = list(detections)
        self.indices = Indices(installed_prefix(search))
        self.prefix = self.indices.prefix
        topic = f"t-runs-{secrets.token_hex(5)}"
        self.topic_arn = aws.client("sns").create_topic(Name=topic)["TopicArn"]
        self.mailbox = _mailbox(aws, self.topic_arn, topic)
        self.resource_id = f"cluster-{secrets.token_hex(8).upper()}"

    def forget(self) -> None:
        """Without alerts, sightings, progress and pulses: as before the first run."""
        own = self.indices
        state = (own.alerts, own.seen, own.runs, own.control_plane, own.pulse)
        self.search.indices.delete(index=",".join(state), params={"ignore_unavailable": "true"})

    def close(self) -> None:
        """Remove what is only ours."""
        give_back(self.search, self.prefix)
        if self.collection:
            self._client.close()

    def runner(
        self,
        steps: Steps | None = None,
        *,
        topic: bool = True,
        role: str = "",
        search: OpenSearch | None = None,
        security_hub: Any = None,
        sns: Any = None,
    ) -> DetectionRunner:
        """A function that has just started; each of its dependencies can be another one."""
        steps, search = steps or Steps(), search or self._client
        service: Service = "aoss" if self.collection else "es"
        accounts = FindingAccounts(ACCOUNT, REGION, security_hub or self._security_hub, self._sts, role)
        return DetectionRunner(
            detections=self.detections,
            queries=steps.counted(SavedQueries(search)),
            alert_index=steps.counted(AlertIndex(search, self.indices, service=service)),
            search=steps.counted(SearchGateway(search, service=service)),
            notifier=Notifier(
                accounts=steps.counted(accounts),
                topic=steps.counted(AlertTopic(sns or self._sns, self.topic_arn)) if topic else None,
                region=REGION,
                dashboards_url="https://search.example.internal/_dashboards",
                indices=self.indices,
                statements=None,
            ),
            indices=self.indices,
            names=NameLookup(search, self.indices, DEFAULT_EVENT_TAGS),
        )

    def run(
        self, now: datetime, steps: Steps | None = None, *, clock: Clock | None = None, **options: Any
    ) -> RunReport:
        """One run of a function that has just started. Its time passes by waiting alone."""
        if self.collection:
            self.collection.pass_time(f"{self.indices.stem}-*")
        return self.runner(steps, **options).run(now, Deadline.after(RUN_SECONDS, clock or Clock()))

    def happen(
        self, sample: Sample, end: datetime, *, arrived: datetime | None = None, database: str = ""
    ) -> list[str]:
        """Index a sample's events as they end at a time; the documents' ids."""
        flattening = Flattening(iso_milliseconds(arrived or end), index_prefix=self.prefix, actors=ACTORS)
        indexed = documents(sample, database or self.resource_id, end, flattening)
        self.write(indexed)
        return [document.id for document in indexed]

    def write(self, indexed: Iterable[Document]) -> None:
        """Index documents, to be found at once."""
        lines = []
        for document in indexed:
            lines += [
                orjson.dumps({"create": {"_index": document.index, "_id": document.id}}),
                orjson.dumps(document.source),
            ]
        assert not self.search.bulk(body=b"\n".join(lines) + b"\n", params={"refresh": "true"})["errors"]

    def alerts(self) -> dict[str, Alert]:
        """All alerts by their ids."""
        if not self.search.indices.exists(index=self.indices.alerts):
            return {}
        self.search.indices.refresh(index=self.indices.alerts)
        hits = self.search.search(index=self.indices.alerts, body={"size": 10_000})["hits"]["hits"]
        return {hit["_id"]: Alert.of(hit["_source"]) for hit in hits}

    def findings(self) -> dict[str, dict[str, Any]]:
        """The findings of our database in Security Hub, by their ids."""
        return {one["Id"]: dict(one) for one in all_findings(self.aws.security_hub()) if self.resource_id in one["Id"]}

    def mails(self) -> list[str]:
        """The subjects that the alert topic delivered since the last call."""
        return self.mailbox()

    def _security_hub(self, credentials: Any) -> Any:
        return self.aws.security_hub()

    def _sts(self) -> Any:
        return self.aws.client("sts")

    def _sns(self) -> Any:
        return self.aws.client("sns")


def _mailbox(aws: LocalAws, topic_arn: str, name: str) -> Callable[[], list[str]]:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)

    def read() -> list[str]:
        subjects: list[str] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                subjects.append(orjson.loads(message["Body"])["Subject"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return subjects

    return read


NOW = datetime(2031, 3, 4, 12, 30, tzinfo=UTC)


DETECTIONS = {detection.name: detection for detection in compile_all()}
# Of each kind and source. A run with all shipped detections takes several times longer.
FEW = [
    DETECTIONS[name]
    for name in (
        "access-control-plane",
        "bruteforce-success",
        "bruteforce-user",
        "das-failing",
        "das-silent",
        "das-tamper-control-plane",
        "first-seen-application",
        "mass-delete",
        "mass-read",
        "privilege-grant",
        "superuser-grant",
    )
]


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


def only(harness: RunHarness, *names: str) -> None:
    """Run these detections and no other."""
    harness.detections = [
        replace(DETECTIONS[name], enabled=True) if name != "das-failing" else DETECTIONS[name]
        for name in (*names, "das-failing")
    ]
