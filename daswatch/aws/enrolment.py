"""Enrolment in AWS: which consumers there are, and the steps of a plan, one call each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from daswatch.activity_streams.lifecycle import NextStep, Status, read_name
from daswatch.aws.api_calls import AwsError, Trouble, ask, ask_pages
from daswatch.aws.rds import ActivityStreams, Switch
from daswatch.deadline import Deadline
from daswatch.enrolment.consumers import DeliveryFound, MappingFound
from daswatch.enrolment.plan import Act, Enrolment, Step, Wanted
from daswatch.enrolment.record import Outcome
from daswatch.errors import ConsumersUnavailable, RdsUnavailable

if TYPE_CHECKING:
    from types_boto3_firehose.client import FirehoseClient
    from types_boto3_kinesis.client import KinesisClient
    from types_boto3_lambda.client import LambdaClient

_CALL_SECONDS = 20.0
_PAGE = 100  # mappings; Lambda's maximum
_DELIVERIES_PER_PAGE = 10_000  # Firehose's maximum
# What was to be made is there, what was to be removed is not: another run was first.
_DONE_ALREADY = {
    Act.CREATE_MAPPING: "ResourceConflictException",
    Act.CREATE_DELIVERY: "ResourceInUseException",
    Act.DELETE_MAPPING: "ResourceNotFoundException",
    Act.DELETE_DELIVERY: "ResourceNotFoundException",
}
# It is being changed by another run: ConcurrentModification is UpdateDestination's of another version.
_CHANGING = ("ResourceInUseException", "ConcurrentModificationException", "ResourceConflictException")
_QUOTA = "LimitExceeded"  # of delivery streams: it stays until one is removed, or the quota is raised


def all_delivery_names(firehose: FirehoseClient, deadline: Deadline) -> frozenset[str]:
    """The names of all delivery streams that read a Kinesis stream. Raises AwsError."""
    names: list[str] = []
    while True:
        call = partial(
            firehose.list_delivery_streams,
            DeliveryStreamType="KinesisStreamAsSource",
            Limit=_DELIVERIES_PER_PAGE,
            **({"ExclusiveStartDeliveryStreamName": names[-1]} if names else {}),
        )
        page = ask(call, deadline.at_most(_CALL_SECONDS))
        names += page["DeliveryStreamNames"]
        if not page.get("HasMoreDeliveryStreams") or not page["DeliveryStreamNames"]:
            return frozenset(names)


class ConsumersGateway:
    """Lambda's mappings, Firehose's delivery streams, and the Kinesis streams that they read, in this region."""

    def __init__(self, functions: LambdaClient, firehose: FirehoseClient, kinesis: KinesisClient) -> None:
        self._functions = functions
        self._firehose = firehose
        self._kinesis = kinesis

    def mappings(self, function: str, deadline: Deadline) -> dict[str, MappingFound]:
        """All mappings of a function by the ARN of their stream. Raises ConsumersUnavailable."""
        try:
            raw = ask_pages(
                lambda **more: self._functions.list_event_source_mappings(
                    FunctionName=function, MaxItems=_PAGE, **({"Marker": more["NextMarker"]} if more else {})
                ),
                "EventSourceMappings",
                lambda: deadline.at_most(_CALL_SECONDS),
                token="NextMarker",
            )
        except AwsError as exc:
            raise ConsumersUnavailable(f"Lambda ListEventSourceMappings: {exc.code}: {exc.words}") from exc
        return {one.stream_arn: one for one in map(MappingFound.of, raw)}

    def delivery_names(self, deadline: Deadline) -> frozenset[str]:
        """The names of all delivery streams that read a Kinesis stream. Raises ConsumersUnavailable."""
        try:
            return all_delivery_names(self._firehose, deadline)
        except AwsError as exc:
            raise ConsumersUnavailable(f"Firehose ListDeliveryStreams: {exc.code}: {exc.words}") from exc

    def deliveries(self, names: Iterable[str], deadline: Deadline) -> list[DeliveryFound]:
        """Describe delivery streams, as many as there is time for; one that is gone is left out.

        Raises ConsumersUnavailable.
        """
        found = []
        for name in names:
            if deadline.remaining < 1.0:
                break
            try:
                call = partial(self._firehose.describe_delivery_stream, DeliveryStreamName=name)
                found.append(DeliveryFound.of(ask(call, deadline.at_most(_CALL_SECONDS))["DeliveryStreamDescription"]))
            except AwsError as exc:
                if exc.code == "ResourceNotFoundException":
                    continue
                if exc.trouble in (Trouble.PASSING, Trouble.OUT_OF_TIME):
                    break  # the rest is for the next run
                raise ConsumersUnavailable(f"Firehose DescribeDeliveryStream: {exc.code}: {exc.words}") from exc
        return found

    def gone(self, stream_arns: Iterable[str], deadline: Deadline) -> frozenset[str]:
        """Those of these Kinesis streams that certainly do not exist any more."""
        return frozenset(arn for arn in stream_arns if self._is_gone(arn, deadline.at_most(_CALL_SECONDS)))

    def _is_gone(self, stream_arn: str, deadline: Deadline) -> bool:
        try:
            # By ARN: one of another account, which this one may not see, is not gone.
            ask(lambda: self._kinesis.describe_stream_summary(StreamARN=stream_arn), deadline)
        except AwsError as exc:
            return exc.code == "ResourceNotFoundException"
        return False


class StepsGateway:
    """Takes the steps of a plan in this account and region."""

    def __init__(
        self,
        wanted: Wanted,
        functions: LambdaClient,
        firehose: FirehoseClient,
        streams: Callable[[Callable[[], Deadline]], ActivityStreams],
    ) -> None:
        self._wanted = wanted
        self._streams = streams
        self._calls: dict[Act, Callable[..., Any]] = {
            Act.CREATE_MAPPING: functions.create_event_source_mapping,
            Act.UPDATE_MAPPING: functions.update_event_source_mapping,
            Act.DELETE_MAPPING: functions.delete_event_source_mapping,
            Act.CREATE_DELIVERY: firehose.create_delivery_stream,
            Act.UPDATE_DELIVERY: firehose.update_destination,
            Act.DELETE_DELIVERY: firehose.delete_delivery_stream,
        }

    def take(self, enrolment: Enrolment, step: Step, deadline: Deadline) -> Outcome:
        """Take one step. The next run sees what came of it."""
        deadline = deadline.at_most(_CALL_SECONDS)
        if step.act in (Act.START_STREAM, Act.STOP_STREAM):
            return self._switch(enrolment, step, deadline)
        try:
            ask(partial(self._calls[step.act], **step.parameters), deadline, repeatable=False)
        except AwsError as exc:
            if exc.code == _DONE_ALREADY.get(step.act):
                return Outcome(step)
            is_full = exc.code.startswith(_QUOTA)
            is_passing = exc.trouble in (Trouble.PASSING, Trouble.OUT_OF_TIME) or exc.code in _CHANGING
            return Outcome(
                step,
                f"{exc.code}: {exc.words}",
                is_passing=is_passing and not is_full,
                ends_act=is_full or exc.trouble is not Trouble.REFUSED,
            )
        return Outcome(step)

    def _switch(self, enrolment: Enrolment, step: Step, deadline: Deadline) -> Outcome:
        wanted = self._wanted.stream if step.act is Act.START_STREAM else None
        switch = Switch(self._streams(lambda: deadline), read_name(enrolment.name), wanted)
        try:
            switch.look()
            if switch.database is not None and switch.database.resource_id != enrolment.resource_id:
                return Outcome(step, "its name has moved to another database", is_passing=True)
            decision = switch.decision if switch.settled else switch.advance()
        except RdsUnavailable as exc:
            return Outcome(step, str(exc), is_passing=True)
        idle = Status.STOPPED if step.act is Act.START_STREAM else Status.STARTED
        is_on_its_way = switch.database is not None and switch.database.stream.status is not idle
        if switch.has_acted or decision.step is NextStep.DONE or is_on_its_way:
            return Outcome(step)
        return Outcome(
            step,
            decision.reason,
            is_passing=decision.step is NextStep.WAIT,
            may_have_effect=switch.is_unanswered,
        )
