"""The alert topic: what it gets, and what becomes of SNS's refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from moto.sns.models import sns_backends

from daswatch.alerts.messages import Message, message
from daswatch.aws import clients
from daswatch.aws.clients import sns_client
from daswatch.aws.sns import AlertTopic
from daswatch.deadline import Deadline
from daswatch.errors import DependencyError, TopicUnavailable
from demo.aws import REGION, LocalAws
from tests.fakes.clock import Clock
from tests.fakes.security_hub import ACCOUNT, a_detection, an_alert

if TYPE_CHECKING:
    from types_boto3_sns.client import SNSClient

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:das-alerts"


ONE_CALL = Deadline(0.5, Clock())  # time stands still, and suffices for no pause


@pytest.fixture
def client() -> SNSClient:
    return boto3.client("sns", REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


@pytest.fixture
def stub(client: SNSClient) -> Iterator[Stubber]:
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def warm(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """AWS on this machine, for the clients that a function makes."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    clients.session.cache_clear()
    yield aws
    clients.session.cache_clear()


def test_a_message_is_published_with_its_subject(client: SNSClient, stub: Stubber) -> None:
    shown = {"TopicArn": TOPIC, "Subject": "[HIGH] Guessed", "Message": "Look."}
    stub.add_response("publish", {"MessageId": "1"}, shown)

    AlertTopic(lambda: client, TOPIC).publish(Message("[HIGH] Guessed", "Look."), Deadline.after(60))


@pytest.mark.parametrize("code", ["Throttling", "AuthorizationError", "NotFound", "KMSAccessDenied", "InternalError"])
def test_what_sns_answers_is_reported_by_its_code_alone(client: SNSClient, stub: Stubber, code: str) -> None:
    stub.add_client_error("publish", code, "Invalid parameter: Message: Look.")

    with pytest.raises(TopicUnavailable, match=code) as error:
        AlertTopic(lambda: client, TOPIC).publish(Message("[HIGH] Guessed", "Look."), ONE_CALL)

    assert isinstance(error.value, DependencyError)
    assert "Look." not in str(error.value)


def test_an_endpoint_that_does_not_answer_is_unavailable(client: SNSClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: str) -> None:
        raise EndpointConnectionError(endpoint_url="https://sns")

    monkeypatch.setattr(client, "publish", refuse)

    with pytest.raises(TopicUnavailable, match="EndpointConnectionError"):
        AlertTopic(lambda: client, TOPIC).publish(Message("[HIGH] Guessed", "Look."), ONE_CALL)


def test_the_client_is_made_at_the_first_message_and_kept(client: SNSClient, stub: Stubber) -> None:
    made = []

    def make() -> SNSClient:
        made.append(client)
        return client

    topic = AlertTopic(make, TOPIC)
    assert made == []
    for _ in range(2):
        stub.add_response("publish", {"MessageId": "1"})
        topic.publish(Message("[HIGH] Guessed", "Look."), Deadline.after(60))
    assert len(made) == 1


def test_a_message_arrives(warm: LocalAws) -> None:
    arn = sns_client().create_topic(Name="das-alerts-of-a-message")["TopicArn"]
    shown = message(an_alert(title="Überwachung"), a_detection(), "https://search.example.org/")

    AlertTopic(sns_client, arn).publish(shown, Deadline.after(60))

    arrived = sns_backends[arn.split(":")[4]][REGION].topics[arn].sent_notifications
    assert [(subject, body) for _, body, subject, *_ in arrived] == [(shown.subject, shown.body)]
