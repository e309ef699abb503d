"""What Daswatch installs at an endpoint, and the plan of it, as values.

`daswatch.content.plan` decides what belongs there and what is to be done; `daswatch.opensearch.installation` looks
and acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from daswatch.content.index_settings import IndexSettings
from daswatch.detections.detection import Detection
from daswatch.hourly_indices import HourlyIndices
from daswatch.indices import DEFAULT_INDEX_PREFIX
from daswatch.settings import Environment, read_hourly_indices


class ContentKind(StrEnum):
    """A kind of content, in the order of installation: each refers only to what comes before it."""

    COMPONENT_TEMPLATE = "component template"
    INDEX_TEMPLATE = "index template"
    RETENTION_POLICY = "retention policy"
    ROLE = "role"
    ROLE_MAPPING = "role mapping"
    AUDIT_LOG = "audit log"
    CHANNEL = "notification channel"
    MONITOR = "monitor"
    SAVED_OBJECT = "saved object"


class Operation(StrEnum):
    """What installing one piece would do."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Content:
    """One piece to install: its kind, name and body."""

    kind: ContentKind
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What has to be done for one piece of content: its body holds what the users' choices make of it.

    `there` is what was found, None if nothing was; `why` names what is left to the users.
    """

    step: Operation
    content: Content
    there: Mapping[str, Any] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Pieces of one kind that are not installed, and why."""

    kind: ContentKind
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A line of a plan. `step` is an Operation, or `left out`."""

    step: str
    kind: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What installing would do, in order."""

    steps: tuple[PlannedStep, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.to_do)

    @property
    def to_do(self) -> tuple[PlannedStep, ...]:
        """The steps that change something."""
        return tuple(step for step in self.steps if step.step is not Operation.UNCHANGED)

    def count(self, step: Operation) -> int:
        """How many pieces there are of this step."""
        return sum(one.step is step for one in self.steps)

    @property
    def rows(self) -> tuple[PlanRow, ...]:
        """The plan to print."""
        planned = (PlanRow(one.step.value, one.content.kind.value, one.content.name, one.why) for one in self.steps)
        absent = (PlanRow("left out", one.kind.value, f"{one.count} in all", one.why) for one in self.left_out)
        return (*planned, *absent)


@dataclass(frozen=True, slots=True)
class WantedContent:
    """The desired content of an endpoint. Each ARN may be empty: what needs it is left out."""

    index_prefix: str = DEFAULT_INDEX_PREFIX
    service: Literal["es", "aoss"] = "es"  # a domain, or a Serverless collection
    detections: tuple[Detection, ...] = ()
    alert_topic_arn: str = ""  # of SNS, to which monitors notify
    channel_role_arn: str = ""  # that the Notifications plugin assumes to publish there
    ingest_role_arns: tuple[str, ...] = ()  # of the ingest function
    findings_role_arns: tuple[str, ...] = ()  # of the findings function
    posture_role_arns: tuple[str, ...] = ()  # of the posture function
    enrolment_role_arns: tuple[str, ...] = ()  # of the enrolment function
    replay_role_arns: tuple[str, ...] = ()  # of the replay function
    index_settings: IndexSettings = field(default_factory=IndexSettings)
    hourly: HourlyIndices | None = None  # None: whatever the functions have
    audit_logs: bool = False  # of the Security plugin
    monitors: bool = True
    dashboards: bool = True

    @classmethod
    def read(
        cls,
        environment: Environment,
        *,
        index_prefix: str,
        service: Literal["es", "aoss"],
        detections: tuple[Detection, ...],
        dashboards: bool = True,
    ) -> WantedContent:
        """From MONITORS and other settings of setup: topic, roles, AUDIT_LOGS, indices' settings.

        INDEX_HOURLY counts where it is set, to nothing included.
        """
        return cls(
            index_prefix=index_prefix,
            service=service,
            detections=detections,
            alert_topic_arn=_arn(environment, "MONITOR_TOPIC_ARN", "arn:aws:sns:…"),
            channel_role_arn=_arn(environment, "CHANNEL_ROLE_ARN", "arn:aws:iam::…:role/…"),
            ingest_role_arns=_arns(environment, "INGEST_ROLE_ARN"),
            findings_role_arns=_arns(environment, "FINDINGS_ROLE_ARN"),
            posture_role_arns=_arns(environment, "POSTURE_ROLE_ARN"),
            enrolment_role_arns=_arns(environment, "ENROLMENT_ROLE_ARN"),
            replay_role_arns=_arns(environment, "REPLAY_ROLE_ARN"),
            index_settings=IndexSettings.read(environment),
            hourly=read_hourly_indices(environment) if environment.has("INDEX_HOURLY") else None,
            audit_logs=environment.flag("AUDIT_LOGS"),
            monitors=environment.flag("MONITORS"),
            dashboards=dashboards,
        )


def _arn(environment: Environment, name: str, looks_like: str) -> str:
    arn = environment.optional(name)
    if arn and not arn.startswith("arn:"):
        environment.problem(name, "is not an ARN", looks_like)
    return arn


def _arns(environment: Environment, name: str) -> tuple[str, ...]:
    """One role, or those of several accounts; `*` stands for any account."""
    arns = tuple(one.strip() for one in environment.optional(name).split(",") if one.strip())
    if not all(arn.startswith("arn:") for arn in arns):
        environment.problem(name, "is not a list of ARNs", "arn:aws:iam::…:role/…")
    return arns
