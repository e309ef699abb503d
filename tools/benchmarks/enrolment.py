"""What enrolment of 1,000 databases of one account and region costs: a first run over them, and a quiet one.

Lambda and Firehose throttle as they are documented to do: a run that asks too fast waits, as it would in AWS.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import orjson
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from opensearchpy import OpenSearch

from daswatch.aws.clients import firehose_client, kinesis_client, lambda_client
from daswatch.aws.roles import Credentials
from daswatch.content.templates import shipped_content
from daswatch.fleet.database import Place
from daswatch.opensearch.templates import ContentGateway
from tools.benchmarks.figures import Figures
from tools.benchmarks.fleet import ACCOUNTS, ANSWER_SECONDS, DATABASES, KEYS, REGIONS, GeneratedFleet, RawBody
from tools.benchmarks.ingest import child_process

PLACE = Place(ACCOUNTS[0], REGIONS[0])
# Calls a second: "Lambda quotas" (all calls of the control plane), "Amazon Data Firehose quota" (each call).
LAMBDA_PER_SECOND = 15
FIREHOSE_PER_SECOND = 5
_CLIENTS: Mapping[str, Callable[[], Any]] = {
    "lambda": lambda_client,
    "firehose": firehose_client,
    "kinesis": kinesis_client,
}


class EnrolledRegion(GeneratedFleet):
    """One account and region, whose streams are all on, with mappings and delivery streams. Nothing takes time in it.

    `throttled` counts what was refused, by service; `begun` has when each call came, by service.
    """

    def __init__(self, databases: int = DATABASES, answer_seconds: float = ANSWER_SECONDS) -> None:
        super().__init__(databases, answer_seconds=answer_seconds, places=[PLACE], audited=True)
        self.mappings: dict[str, dict[str, Any]] = {}
        self.deliveries: dict[str, dict[str, Any]] = {}
        self.throttled: Counter[str] = Counter()
        self.begun: dict[str, list[float]] = {}
        self._recent: dict[str, deque[float]] = {}
        self._waits = answer_seconds
        self._own_lock = threading.Lock()

    def client(self, service: str) -> Any:
        """A client of this region."""
        return self._client(service, PLACE.region, None)

    def most_per_minute(self, service: str) -> int:
        """The calls of a service in its busiest minute."""
        times = sorted(self.begun.get(service, ()))
        return max(
            (sum(begin <= one < begin + 60 for one in times) for begin in times[:: max(1, len(times) // 50)]), default=0
        )

    def _new_client(self, service: str, region: str, credentials: Credentials) -> Any:
        return _CLIENTS[service]() if service in _CLIENTS else super()._new_client(service, region, credentials)

    def _answer(self, place: Place, service: str, request: AWSPreparedRequest, **more: object) -> AWSResponse:
        self.begun.setdefault(service, []).append(time.monotonic())
        if service not in ("lambda", "firehose", "kinesis"):
            return super()._answer(place, service, request, **more)
        time.sleep(self._waits)
        body = cast(bytes | str, request.body or b"{}")
        asked = orjson.loads(body)
        if service == "lambda":
            url = urlsplit(request.url)
            asked |= {name: values[0] for name, values in parse_qs(url.query).items()}
            call = {"GET": "List", "POST": "Create", "PUT": "Update", "DELETE": "Delete"}[request.method]
            call, bucket, limit = f"{call}EventSourceMapping", service, LAMBDA_PER_SECOND
        else:
            target = request.headers["X-Amz-Target"]
            call = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
            bucket, limit = call, FIREHOSE_PER_SECOND
        with self._own_lock:
            self.calls[call] += 1
            if not self._admits(bucket, limit):
                self.throttled[service] += 1
                code = "TooManyRequestsException" if service == "lambda" else "ThrottlingException"
                headers = HTTPHeaders.from_dict({"x-amzn-ErrorType": code})
                answer = orjson.dumps({"__type": code, "message": "Rate exceeded"})
                return AWSResponse(request.url, 429 if service == "lambda" else 400, headers, RawBody(answer))
            answer = orjson.dumps(getattr(self, f"_{call}")(asked))
        return AWSResponse(request.url, 200, HTTPHeaders(), RawBody(answer))

    def _admits(self, bucket: str, limit: int) -> bool:
        recent, now = self._recent.setdefault(bucket, deque()), time.monotonic()
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= limit:
            return False
        recent.append(now)
        return True

    def _ListEventSourceMapping(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        begin, size = int(asked.get("Marker", 0)), int(asked["MaxItems"])
        found = list(self.mappings.values())
        more = {"NextMarker": str(begin + size)} if begin + size < len(found) else {}
        return {"EventSourceMappings": found[begin : begin + size], **more}

    def _CreateEventSourceMapping(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        uuid = f"uuid-{len(self.mappings)}"
        self.mappings[uuid] = {**asked, "UUID": uuid, "State": "Enabled"}
        return self.mappings[uuid]

    def _ListDeliveryStreams(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        names = [one for one in sorted(self.deliveries) if one > asked.get("ExclusiveStartDeliveryStreamName", "")]
        return {"DeliveryStreamNames": names[: asked["Limit"]], "HasMoreDeliveryStreams": len(names) > asked["Limit"]}

    def _CreateDeliveryStream(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.deliveries[asked["DeliveryStreamName"]] = dict(asked)
        return {"DeliveryStreamARN": asked["DeliveryStreamName"]}

    def _DescribeDeliveryStream(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        made = self.deliveries[asked["DeliveryStreamName"]]
        destination = made["ExtendedS3DestinationConfiguration"]
        return {
            "DeliveryStreamDescription": {
                "DeliveryStreamName": made["DeliveryStreamName"],
                "DeliveryStreamARN": made["DeliveryStreamName"],
                "DeliveryStreamStatus": "ACTIVE",
                "DeliveryStreamType": made["DeliveryStreamType"],
                "VersionId": "1",
                "Source": {"KinesisStreamSourceDescription": made["KinesisStreamSourceConfiguration"]},
                "Destinations": [{"DestinationId": "1", "ExtendedS3DestinationDescription": destination}],
                "HasMoreDestinations": False,
            }
        }


def enrolment(step: Callable[[str], None], client: OpenSearch, url: str, figures: Figures) -> None:
    """A first run over 1,000 databases, those until all is seen, and a quiet one, in a process of its own."""
    ContentGateway(client).install_all(shipped_content())
    step("enrolment: 1,000 databases")
    settings = {"OPENSEARCH_ENDPOINT": url, "OPENSEARCH_AUTH": "none", "AWS_REGION": PLACE.region, **KEYS}
    found = child_process("enrolment", Path(os.devnull), {**os.environ, **settings})
    figures.add(**{f"enrol_1000_databases_{name}": value for name, value in found.items()})
