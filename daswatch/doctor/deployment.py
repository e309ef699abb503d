"""A deployment as values: the stack, the resources of each database, and look-ups that failed.

In: CloudFormation's answers, by `daswatch.aws.deployment_lookup`. Out: the input of `daswatch.doctor.aws_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from daswatch.records.envelope import stream_name

_T = TypeVar("_T")

FUNCTION = "AWS::Lambda::Function"
ALARM = "AWS::CloudWatch::Alarm"


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
    """A database that the stack is to watch; what is empty, it does not have."""

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
    account_id: str = ""
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
