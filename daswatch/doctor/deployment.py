"""A deployment as values: the stack, the resources of each database, and look-ups that failed.

In: CloudFormation's answers, by `daswatch.aws.deployment_lookup`. Out: the input of `daswatch.doctor.aws_checks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from daswatch.records.envelope import stream_name

_T = TypeVar("_T")

FUNCTION = "AWS::Lambda::Function"
MAPPING = "AWS::Lambda::EventSourceMapping"
ALARM = "AWS::CloudWatch::Alarm"
FIREHOSE = "AWS::KinesisFirehose::DeliveryStream"
ACTIVITY_STREAM = "Custom::ActivityStream"

_STREAM_ID = re.compile(r"das-stream-((?:cluster|db)-[A-Za-z0-9]+)")


@dataclass(frozen=True, slots=True)
class LookupFailed:
    """A look-up without a result. `permission` is that of the call, as IAM policies name it."""

    permission: str
    why: str
    denied: bool = False
    absent: bool = False  # the service says that it does not exist
    next_step: str = ""  # if nothing answered


Lookup: TypeAlias = _T | LookupFailed


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the stack, by its names there and in AWS."""

    name: str
    type: str
    physical_id: str
    status: str = "CREATE_COMPLETE"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WatchedDatabase:
    """A database of the stack's parameter; what is empty, the stack does not have."""

    name: str  # cluster:orders
    resource_id: str = ""
    mapping: str = ""  # UUID
    evidence: str = ""  # delivery stream

    @property
    def kinesis_stream(self) -> str:
        """The name that RDS gives its Kinesis stream."""
        return stream_name(self.resource_id)


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployment's stack in CloudFormation."""

    name: str
    status: str
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    resources: tuple[Resource, ...] = ()

    def of_type(self, kind: str) -> tuple[Resource, ...]:
        """The resources of one type that were made, by their names."""
        found = (one for one in self.resources if one.type == kind and one.physical_id)
        return tuple(sorted(found, key=lambda one: one.name))

    def named(self, name: str) -> str:
        """The physical id of the resource with this name in the template; empty if the stack has none."""
        return next((one.physical_id for one in self.resources if one.name == name), "")

    @property
    def databases(self) -> tuple[WatchedDatabase, ...]:
        """What belongs to each database of the parameter `Databases`, as the template names it."""
        names = (one.strip() for one in self.parameters.get("Databases", "").split(","))
        return tuple(self._watched(name) for name in names if name)

    def _watched(self, name: str) -> WatchedDatabase:
        letters = re.sub(r"[^0-9A-Za-z]", "", name)  # as `&{Database}` in the template's loops
        match = _STREAM_ID.fullmatch(self.named(f"Stream{letters}"))
        return WatchedDatabase(
            name=name,
            resource_id=match[1] if match else "",
            mapping=self.named(f"Mapping{letters}"),
            evidence=self.named(f"Evidence{letters}"),
        )
