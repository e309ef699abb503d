"""The ingest function asks for a prompt look: for what, how often, and what it costs a batch where that fails."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from daswatch.detections.detection import dump
from daswatch.detections.sigma import compile_all
from daswatch.errors import SettingsError
from daswatch.queries.backlog import Arrivals
from demo.aws import REGION, LocalAws
from ingest_lambda import handler as ingest_handler
from ingest_lambda.prompt_events import RECENT
from tests.builders.events import postgresql_event
from tests.fakes.clock import RealClock, ends_within
from tests.fakes.relay import SILENCES, Relay, Silence
from tests.harness.findings import FindingsFunction
from tests.harness.ingest import IngestFunction, sequence_number

pytestmark = pytest.mark.node

LOOK = f"arn:aws:lambda:{REGION}:123456789012:function:daswatch-look"
LIMIT_SECONDS = 60.0
GRANT = {
    "command": "GRANT ROLE",
    "class": "ROLE",
    "objectName": None,
    "objectType": None,
    "commandText": "GRANT rds_superuser TO intern",
}


@dataclass
class Lambda:
    """Takes invocations, and answers as the test sets."""

    status: int = 202
    error: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def invoked(self, request: Request) -> Response:
        assert request.headers["X-Amz-Invocation-Type"] == "Event"
        assert request.path == f"/2015-03-31/functions/{LOOK}/invocations"
        self.requests.append(json.loads(request.data))
        headers = {"x-amzn-ErrorType": self.error} if self.error else {}
        return Response(json.dumps({"message": self.error}) if self.error else b"", self.status, headers)


@pytest.fixture
def looks(httpserver: HTTPServer, ingest: IngestFunction, tmp_path: Path) -> Lambda:
    """Lambda's API, to which the ingest function sends its requests."""
    service = Lambda()
    httpserver.expect_request(re.compile("/2015-03-31/.*"), "POST").respond_with_handler(service.invoked)
    compiled = tmp_path / "detections.json"
    compiled.write_bytes(dump(compile_all()))
    ingest.configure(
        AWS_ENDPOINT_URL_LAMBDA=httpserver.url_for("").rstrip("/"), LOOK_FUNCTION_ARN=LOOK, DETECTIONS=str(compiled)
    )
    return service


def grant(ago: timedelta = timedelta(seconds=1), **changes: Any) -> dict[str, Any]:
    """An event that is high on its own, some time ago."""
    return postgresql_event(logTime=f"{datetime.now(UTC) - ago:%Y-%m-%d %H:%M:%S.%f}+00", **GRANT, **changes)


def read() -> dict[str, Any]:
    return grant(command="SELECT", commandText="select 1") | {"class": "READ"}


def test_an_event_that_may_be_high_asks_for_a_look(ingest: IngestFunction, looks: Lambda) -> None:
    before = datetime.now(UTC)

    assert ingest.invoke(ingest.record([grant()])) == []

    (request,) = looks.requests
    written_at = datetime.fromisoformat(request["writtenAt"])
    assert before - timedelta(milliseconds=1) <= written_at <= datetime.now(UTC)
    assert (ingest.log["prompt_events"], ingest.log["looks_requested"]) == (1, 1)
    assert ingest.metrics["PromptEvents"] == 1


def test_other_events_ask_for_none(ingest: IngestFunction, looks: Lambda) -> None:
    event = postgresql_event(logTime=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}+00")

    assert ingest.invoke(ingest.record([event])) == []

    assert looks.requests == []
    assert "prompt_events" not in ingest.log


def test_a_batch_asks_once_and_with_nothing_of_its_events(ingest: IngestFunction, looks: Lambda) -> None:
    batch = [ingest.record([grant(statementId=n) for n in range(50)]) for _ in range(4)]

    assert ingest.invoke(*batch) == []

    (request,) = looks.requests
    assert request.keys() == {"writtenAt"}
    assert ingest.log["prompt_events"] == 200


def test_what_is_asked_for_a_look_finds() -> None:
    assert Arrivals(at := datetime.now(UTC), at).begin <= at - RECENT


def test_late_events_ask_for_none(ingest: IngestFunction, looks: Lambda) -> None:
    assert ingest.invoke(ingest.record([grant(timedelta(minutes=20))])) == []

    assert looks.requests == []


def test_an_event_asks_with_every_redaction(ingest: IngestFunction, looks: Lambda) -> None:
    """What a statement does is in its signals, also where its text is not kept."""
    ingest.configure(REDACT="hash")

    assert ingest.invoke(ingest.record([grant()])) == []

    assert "commandText" not in ingest.documents()[0]
    assert "superuser-grant" in ingest.documents()[0]["signals"]
    assert len(looks.requests) == 1


def test_a_record_that_is_not_written_asks_for_none(ingest: IngestFunction, looks: Lambda) -> None:
    good, waiting = ingest.record([postgresql_event()]), ingest.record([grant()])
    ingest.configure(AWS_ENDPOINT_URL_KMS="http://127.0.0.1:9")

    assert ingest.invoke(good, waiting, remaining_ms=3_000) == [sequence_number(good)]

    assert looks.requests == []


def test_a_function_that_ends_before_it_asks_asks_when_it_is_delivered_again(
    ingest: IngestFunction, looks: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        pass

    def ended(*args: object) -> None:
        raise Ended

    record = ingest.record([grant()])
    with monkeypatch.context() as patched:
        patched.setattr("ingest_lambda.prompt_events.PromptRequests.ask", ended)
        with pytest.raises(Ended):
            ingest.invoke(record)
    assert len(ingest.documents()) == 1

    assert ingest.invoke(record) == []

    assert len(looks.requests) == 1
    assert len(ingest.documents()) == 1


# Where Lambda refuses, or does not answer.


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (429, "TooManyRequestsException"),
        (500, "ServiceException"),
    ],
)
def test_a_refused_request_fails_no_batch(ingest: IngestFunction, looks: Lambda, status: int, error: str) -> None:
    looks.status, looks.error = status, error

    assert ingest.invoke(ingest.record([grant()])) == []

    assert len(ingest.documents()) == 1
    assert error in ingest.log["look_cause"]
    assert (ingest.log["level"], ingest.metrics["LookRequestsFailed"]) == ("WARNING", 1)


def test_after_a_failure_no_look_is_asked_for_a_while(ingest: IngestFunction, looks: Lambda) -> None:
    looks.status, looks.error = 403, "AccessDeniedException"
    ingest.invoke(ingest.record([grant()]))
    looks.status, looks.error = 202, ""

    ingest.invoke(ingest.record([grant()]))
    assert len(looks.requests) == 1
    ingest.clock.now += 61
    ingest.invoke(ingest.record([grant()]))

    assert len(looks.requests) == 2


@pytest.mark.parametrize("silence", SILENCES)
def test_a_silent_lambda_delays_a_batch_within_bounds(
    ingest: IngestFunction, looks: Lambda, aws: LocalAws, silence: Silence
) -> None:
    ingest.clock = RealClock()
    with Relay(aws.url) as relay:
        ingest.configure(AWS_ENDPOINT_URL_LAMBDA=relay.url)
        silence(relay)

        with ends_within(LIMIT_SECONDS):
            assert ingest.invoke(*(ingest.record([grant()]) for _ in range(3))) == []
            assert ingest.invoke(ingest.record([grant()])) == []

    assert len(ingest.documents()) == 4
    assert looks.requests == []


def test_an_invocation_that_is_out_of_time_asks_for_none(ingest: IngestFunction, looks: Lambda) -> None:
    assert ingest.invoke(ingest.record([grant()]), remaining_ms=4_500) == []

    assert (looks.requests, len(ingest.documents())) == ([], 1)


def test_a_condition_that_cannot_be_tested_fails_no_batch(
    ingest: IngestFunction, looks: Lambda, tmp_path: Path
) -> None:
    compiled = json.loads((tmp_path / "detections.json").read_text())
    for one in compiled["detections"]:
        one["prompt"] = one["prompt"] and {"unheard-of": ["engine", "x"]}
    (tmp_path / "detections.json").write_text(json.dumps(compiled))
    ingest.configure()

    assert ingest.invoke(ingest.record([grant()])) == []

    assert len(ingest.documents()) == 1
    assert "ValueError" in ingest.log["look_cause"]


# Settings.


def test_without_the_setting_nothing_is_looked_through(ingest: IngestFunction) -> None:
    assert ingest.invoke(ingest.record([grant()])) == []

    assert "prompt_events" not in ingest.log


def test_a_collection_is_asked_for_no_looks(ingest: IngestFunction, looks: Lambda) -> None:
    ingest.configure(OPENSEARCH_SERVICE="aoss", OPENSEARCH_AUTH="sigv4")

    assert ingest_handler.warm_function().ingest._prompt is None


@pytest.mark.parametrize("arn", ["daswatch-look", "arn:aws:sns:eu-west-1:123456789012:x"])
def test_another_arn_is_refused(ingest: IngestFunction, looks: Lambda, arn: str) -> None:
    ingest.configure(LOOK_FUNCTION_ARN=arn)

    with pytest.raises(SettingsError, match="LOOK_FUNCTION_ARN"):
        ingest.invoke(ingest.record([grant()]))


# From the record to the finding.


def test_from_the_record_to_finding_and_message(
    ingest: IngestFunction, looks: Lambda, findings: FindingsFunction
) -> None:
    ingest.cold_start()  # with the indices of the other one
    database = ingest.database(name="Prompt")
    findings.resource_id = database.resource_id

    ingest.invoke(ingest.record([grant()], database))
    for request in looks.requests:
        findings.prompted(request)

    raised = [one["ProductFields"]["daswatch/Detection"] for one in findings.findings().values()]
    assert (raised, len(findings.mails())) == (["superuser-grant"], 1)
    findings.scheduled()
    raised = [one["ProductFields"]["daswatch/Detection"] for one in findings.findings().values()]
    assert sorted(raised) == ["privilege-grant", "superuser-grant"]
    assert len(findings.mails()) == 1  # of the other one, which is medium
