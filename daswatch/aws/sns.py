"""SNS: the alert topic, for people who read mail and chat."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from daswatch.alerts.messages import Message
from daswatch.aws.api_calls import AwsError, ask
from daswatch.deadline import Deadline
from daswatch.errors import TopicUnavailable

if TYPE_CHECKING:
    from types_boto3_sns.client import SNSClient


class AlertTopic:
    """One topic."""

    def __init__(self, client: Callable[[], SNSClient], topic_arn: str) -> None:
        """`client` is called at the first message: most runs have none."""
        self._client = cache(client)
        self._topic_arn = topic_arn

    def publish(self, message: Message, deadline: Deadline) -> None:
        """Publish a message. Raises TopicUnavailable; after a timeout the message may have been sent all the same."""
        try:
            answer = ask(
                lambda: self._client().publish(TopicArn=self._topic_arn, Subject=message.subject, Message=message.body),
                deadline,
                repeatable=False,
            )
        except AwsError as exc:
            raise TopicUnavailable(
                f"SNS Publish to the alert topic: {exc.code}", maybe_sent=exc.may_have_effect
            ) from exc
        if not answer.get("MessageId"):  # what answered 200 is not SNS
            raise TopicUnavailable("SNS Publish to the alert topic: an answer without a MessageId")
