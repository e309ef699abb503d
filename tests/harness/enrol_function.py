"""The enrolment function of one deployment, over real HTTP: what it is given, and what there is afterwards."""

from __future__ import annotations

import io
import secrets
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.aws import clients
from daswatch.aws.manifests import ManifestReport
from daswatch.deadline import Deadline
from daswatch.enrolment.conditions import QUARTER, WatchedStream, last_quarter, queries_of
from daswatch.opensearch.enrolment_index import EnrolmentIndex
from demo.stream import InvocationContext
from enrol_lambda import handler as handler_module
from enrol_lambda.handler import handler
from enrol_lambda.watch import WatchReport
from tests.fakes.rds import ACCOUNT
from tests.harness.fleet import Fleet

SCHEDULED: dict[str, Any] = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


class Enrolling:
    """A deployment that enrols the databases of one account and region."""

    def __init__(self, fleet: Fleet, search: OpenSearch, capsys: pytest.CaptureFixture[str]) -> None:
        self.region = fleet.region
        self.fleet = fleet
        self.rds = fleet.rds
        self.index = EnrolmentIndex(search, fleet.indices)
        self._capsys = capsys
        self.name = f"daswatch-{secrets.token_hex(4)}"  # its indices may have been another's
        self.own = f"arn:aws:lambda:{self.region}:{ACCOUNT}:function:daswatch-enrol"
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
            DATA_KEY_ARN=f"arn:aws:kms:{self.region}:{ACCOUNT}:key/4f2c5b0e-8a51-4f3d-9c0a-1f2e3d4c5b6a",
            DELIVERY_LOG_GROUP="/aws/kinesisfirehose/daswatch",
            RESOURCE_PREFIX=self.name,
        )

    def configure(self, **settings: str) -> None:
        """Set settings; the next invocation is a cold start."""
        endpoint = self.rds.aws.url
        self.fleet.configure(**{"AWS_REGION": self.region, "AWS_ENDPOINT_URL_LAMBDA": endpoint, **settings})
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
        arn = f"arn:aws:rds:{self.region}:{ACCOUNT}:{name}"
        self.rds.client.add_tags_to_resource(
            ResourceName=arn, Tags=[{"Key": key, "Value": value} for key, value in given.items()]
        )

    def stream_arn(self, name: str) -> str:
        return f"arn:aws:kinesis:{self.region}:{ACCOUNT}:stream/aws-rds-das-{self.rds.resource_id(name)}"

    def make_kinesis_stream(self, name: str) -> None:
        """RDS's part, which moto's does not do."""
        self.kinesis.create_stream(StreamName=self.stream_arn(name).rpartition("/")[2], ShardCount=1)

    def running(self) -> str:
        """A database that is selected and whose stream is on; its name."""
        name = self.rds.cluster()
        self.tag(name)
        self.make_kinesis_stream(name)
        self.rds.run_stream(name)
        return name

    def watched(self) -> str:
        """A database that is enrolled; its name."""
        name = self.running()
        for _ in range(3):
            self.run()
        assert self.run()[name]["state"] == "watched"
        return name

    def run(self, remaining_ms: int = 60_000, **event: Any) -> dict[str, Any]:
        """One invocation; the databases of the answer by their names."""
        answer = handler({**SCHEDULED, **event}, InvocationContext(remaining_ms, self.own))
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

    def fall_silent(self) -> WatchedStream:
        """A database that was silent in the last quarter alone."""
        now = datetime.now(UTC)
        one = WatchedStream("db:silent", secrets.token_hex(8), secrets.token_hex(8), "", "", now - timedelta(days=1))
        cloudwatch = self.rds.any_client("cloudwatch")
        for query in queries_of([one]):
            metric = query["MetricStat"]["Metric"]
            if metric["MetricName"] in ("IncomingRecords", "PolledEventCount"):
                datum = {"Timestamp": last_quarter(now) - QUARTER / 2, "Value": 1.0, "Dimensions": metric["Dimensions"]}
                cloudwatch.put_metric_data(
                    Namespace=metric["Namespace"], MetricData=[{"MetricName": metric["MetricName"], **datum}]
                )
        return one

    def watch(self, *streams: WatchedStream, seconds: float = 30.0) -> WatchReport:
        """What the function makes of streams in the last quarter."""
        watch = handler_module.warm_function(self.own).watch
        return watch.look(list(streams), datetime.now(UTC), Deadline.after(seconds))

    def write_manifests(self, resource_id: str, hours: int) -> ManifestReport:
        """What the function writes of an archive so many hours later; it does not know what it wrote before."""
        handler_module.warm_function.cache_clear()
        writer = handler_module.warm_function(self.own).manifests
        assert writer is not None
        return writer.run([resource_id], datetime.now(UTC) + timedelta(hours=hours), Deadline.after(60))

    def forget_checks(self) -> None:
        """As an hour later: the deliveries are looked at again."""
        found = self.index.read(None, Deadline.after(30))
        documents = {
            id_: {name: value for name, value in one.items() if name != "checked"} for id_, one in found.items()
        }
        self.index.write(documents, Deadline.after(30))

    def document(self, name: str) -> dict[str, Any]:
        found = self.index.read(None, Deadline.after(30))
        return dict(next(one for one in found.values() if one["resourceId"] == self.rds.resource_id(name)))
