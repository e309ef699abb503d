"""The setup function under test: time is ours, all else is as its handler wires it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daswatch.activity_streams.custom_resources import ACTIVITY_STREAM, CONTENT, read_request
from daswatch.aws.clients import kms_client, rds_client
from daswatch.aws.cloudformation import ResponseSender
from daswatch.aws.rds import ActivityStreams
from daswatch.content.model import Content, ContentKind, LeftOut, Operation, Plan, PlannedStep
from daswatch.deadline import Deadline
from setup_lambda.providers import ContentProvider, StreamProvider
from setup_lambda.responder import Provider, SetupReport, respond
from tests.fakes.clock import Clock
from tests.fakes.cloudformation_bucket import AnswerBucket, a_request

MINUTES_14 = 14 * 60.0


def a_plan(created: int = 1, updated: int = 0, unchanged: int = 0) -> Plan:
    """A plan of so many steps of each sort."""
    counts = {Operation.CREATE: created, Operation.UPDATE: updated, Operation.UNCHANGED: unchanged}
    piece = Content(ContentKind.MONITOR, "das-detection-any", {})
    steps = [PlannedStep(step, piece) for step, count in counts.items() for _ in range(count)]
    return Plan(tuple(steps), (LeftOut(ContentKind.SAVED_OBJECT, 12, "no Dashboards was named"),))


def _streams(deadline: Deadline) -> ActivityStreams:
    return ActivityStreams(rds_client(), kms_client, lambda: deadline)


@dataclass
class Setup:
    """The function without its handler: time is ours, all else is as it is wired there."""

    bucket: AnswerBucket
    clock: Clock = field(default_factory=Clock)
    content: Callable[[], Plan] = lambda: a_plan(1, 2, 3)

    def answer(self, event: object, *, seconds: float = MINUTES_14, **providers: Provider) -> dict[str, Any]:
        """What CloudFormation is answered."""
        self.run(event, seconds, providers)
        return self.bucket.answer

    def run(
        self, event: object, seconds: float = MINUTES_14, more: Mapping[str, Provider] | None = None
    ) -> SetupReport:
        providers: dict[str, Provider] = {
            ACTIVITY_STREAM: StreamProvider(_streams),
            CONTENT: ContentProvider(lambda _: self.content()),
        }
        del self.bucket.bodies[:]
        return respond(read_request(event), providers | dict(more or {}), ResponseSender(), seconds, self.clock)

    def stream(
        self, kind: str, name: str, key: str, *, old: Mapping[str, str] | None = None, was: str = "", **more: str
    ) -> dict[str, Any]:
        """What is answered about a database's stream."""
        request = a_request(self.bucket.url, kind, {"Database": name, "KmsKeyId": key, **more})
        if was:
            request["PhysicalResourceId"] = was
        if old is not None:
            request["OldResourceProperties"] = {"Database": name, "KmsKeyId": key, **more, **old}
        return self.answer(request)
