"""The enrolment function: from databases with a tag to streams that are on, read and kept, over real HTTP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from moto.rds.exceptions import RDSClientError
from opensearchpy import OpenSearch

from daswatch.aws import clients
from daswatch.deadline import Deadline
from daswatch.opensearch.enrolment_index import EnrolmentIndex
from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from enrol_lambda import handler as handler_module
from enrol_lambda.handler import handler
from tests.fakes.rds import ACCOUNT, Rds
from tests.harness.fleet import REGION, Fleet

OWN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daswatch-enrolment"
SCHEDULED: dict[str, Any] = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


class Enrolling:
    """A deployment that enrols the databases of one account and region."""

    def __init__(self, fleet: Fleet, search: OpenSearch, capsys: pytest.CaptureFixture[str]) -> None:
        self.fleet = fleet
        self.rds = fleet.rds
        self.index = EnrolmentIndex(search, fleet.indices)
        self._capsys = capsys
        self.name = f"daswatch-{fleet.indices.stem[:8]}"
        self.functions = self.rds.any_client("lambda")
        self.firehose = self.rds.any_client("firehose")
        self.kinesis = self.rds.any_client("kinesis")
        self.function = self._function()
        self.configure(
            DATABASES=f"tag:watch={self.name}",
            STREAM_KEY_ARN=self.rds.new_key(),
            INGEST_FUNCTION_ARN=self.function,
            DEAD_LETTER_BUCKET="dead-letters",
            EVIDENCE_BUCKET="evidence",
            DELIVERY_ROLE_ARN=f"arn:aws:iam::{ACCOUNT}:role/deliveries",
            DATA_KEY_ARN=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/4f2c5b0e-8a51-4f3d-9c0a-1f2e3d4c5b6a",
            DELIVERY_LOG_GROUP="/aws/kinesisfirehose/daswatch",
            RESOURCE_PREFIX=self.name,
        )

    def configure(self, **settings: str) -> None:
        """Set settings; the next invocation is a cold start."""
        self.fleet.configure(**settings)
        handler_module.warm_function.cache_clear()
        clients.session.cache_clear()

    def _function(self) -> str:
        iam = self.rds.any_client("iam")
        trust = orjson.dumps({"Version": "2012-10-17", "Statement": []}).decode()
        role = iam.create_role(RoleName=f"{self.name}-ingest", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("handler.py", "")
        made = self.functions.create_function(
            FunctionName=f"{self.name}-ingest",
            Runtime="python3.12",
            Role=role,
            Handler="handler.handler",
            Code={"ZipFile": code.getvalue()},
        )
        return str(made["FunctionArn"])

    def tag(self, name: str, **tags: str) -> None:
        """Tag a database, as its owner does; without tags, as this deployment selects."""
        given = tags or {"watch": self.name}
        arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:{name}"
        self.rds.client.add_tags_to_resource(
            ResourceName=arn, Tags=[{"Key": key, "Value": value} for key, value in given.items()]
        )

    def stream_arn(self, name: str) -> str:
        return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/aws-rds-das-{self.rds.resource_id(name)}"

    def make_kinesis_stream(self, name: str) -> None:
        """RDS's part, which moto's does not do."""
        self.kinesis.create_stream(StreamName=self.stream_arn(name).rpartition("/")[2], ShardCount=1)

    def run(self, **event: Any) -> dict[str, Any]:
        """One invocation; the databases of the answer by their names."""
        answer = handler({**SCHEDULED, **event}, InvocationContext(invoked_function_arn=OWN))
        return {one["name"]: one for one in answer["databases"]}

    def line(self) -> dict[str, Any]:
        """The last log line."""
        lines = [orjson.loads(line) for line in self._capsys.readouterr().out.splitlines() if line.startswith("{")]
        return next(one for one in reversed(lines) if "states" in one)

    def mappings(self) -> list[dict[str, Any]]:
        return list(self.functions.list_event_source_mappings(FunctionName=self.function)["EventSourceMappings"])

    def delivery(self, name: str) -> dict[str, Any]:
        found = self.firehose.describe_delivery_stream(
            DeliveryStreamName=f"{self.name}-evidence-{self.rds.resource_id(name)}"
        )
        return dict(found["DeliveryStreamDescription"])

    def document(self, name: str) -> dict[str, Any]:
        found = self.index.read(None, Deadline.after(30))
        return dict(next(one for one in found.values() if one["resourceId"] == self.rds.resource_id(name)))


@pytest.fixture
def enrolling(
    search: OpenSearch,
    node: AnyNode,
    rds: Rds,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Enrolling]:
    """Our own account and region."""
    fleet = Fleet(search, node.url, rds, monkeypatch, ACCOUNT)
    fleet.configure(AWS_REGION=REGION, AWS_ENDPOINT_URL_LAMBDA=rds.aws.url)
    yield Enrolling(fleet, search, capsys)
    handler_module.warm_function.cache_clear()
    fleet.close()


def test_tagged_database_is_enrolled_step_by_step(enrolling: Enrolling) -> None:
    name, other = enrolling.rds.cluster(), enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.make_kinesis_stream(name)

    states = [enrolling.run()[name]["state"] for _ in range(6)]

    assert states[0] == "in-progress"
    assert states[-1] == "watched"
    (asked,) = enrolling.rds.started
    assert (asked["Mode"], asked["ApplyImmediately"]) == ("async", True)
    (mapping,) = enrolling.mappings()
    assert mapping["EventSourceArn"] == enrolling.stream_arn(name)
    assert (mapping["BatchSize"], mapping["StartingPosition"]) == (200, "TRIM_HORIZON")
    delivery = enrolling.delivery(name)
    assert delivery["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == enrolling.stream_arn(name)
    document = enrolling.document(name)
    assert [step["call"] for step in document["steps"]] == [
        "StartActivityStream",
        "CreateEventSourceMapping",
        "CreateDeliveryStream",
    ]
    assert enrolling.run()[other]["state"] == "not-selected"


def test_second_run_changes_nothing(enrolling: Enrolling) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.make_kinesis_stream(name)
    for _ in range(6):
        enrolling.run()
    before = (enrolling.mappings(), enrolling.delivery(name), enrolling.document(name))

    answer = enrolling.run()

    assert answer[name]["steps"] == []
    assert (enrolling.mappings(), enrolling.delivery(name), enrolling.document(name)) == before


def test_dry_run_plans_and_changes_nothing(enrolling: Enrolling) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)

    answer = enrolling.run(dryRun=True)

    assert answer[name]["steps"] == [
        {
            "call": "StartActivityStream",
            "reason": "the activity stream is stopped: it starts in mode async",
            "outcome": "planned",
        }
    ]
    assert enrolling.rds.started == []


def test_refused_start_is_not_repeated_as_a_start_that_was_given_up(enrolling: Enrolling) -> None:
    name = enrolling.rds.cluster()
    enrolling.tag(name)
    enrolling.rds.faults.append(RDSClientError("KMSKeyNotAccessibleFault", "the key is disabled"))

    refused = enrolling.run()
    line = enrolling.line()
    enrolling.run()

    assert "KMSKeyNotAccessibleFault" in refused[name]["steps"][0]["outcome"]
    assert "KMSKeyNotAccessibleFault" in line["failed"][name]
    assert len(enrolling.rds.started) == 1  # the next run asked again, and RDS agreed
