"""The stack: a change set of the template, and what happens until it is done.

The decisions are functions of CloudFormation's own answers; `Stack` asks, waits and hands on events.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tools.artifacts.errors import DeployError, UsageError

# Roles of a spoke have names; templates of earlier releases have macros.
CAPABILITIES = ("CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
_POLL_SECONDS = 3.0
_TIMEOUT_SECONDS = 3600.0  # a domain takes half of that
# What CloudFormation says of a change set without changes, in the words of its two ways.
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
# The consequence of another failure, never the first.
_CONSEQUENCES = ("cancelled", "canceled")
_DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")

Event = Mapping[str, Any]  # one of DescribeStackEvents


@dataclass(frozen=True, slots=True)
class Change:
    """What a change set would do to one resource."""

    action: str
    resource: str
    type: str
    replacement: str


def parse_parameters(text: str) -> dict[str, str]:
    """`Name=value Other="a value"` as a mapping. Raises UsageError."""
    try:
        parts = shlex.split(text)
    except ValueError as exc:
        raise UsageError(
            f"PARAMETERS cannot be read ({exc})", "write PARAMETERS='Name=value Other=\"a value\"'"
        ) from exc
    given: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name.isalnum():
            raise UsageError(f"PARAMETERS has {part!r}, which is not Name=value", "quote values that have blanks")
        given[name] = value
    return given


def parameters(
    declared: Sequence[Mapping[str, Any]], given: Mapping[str, str], previous: Iterable[str]
) -> list[dict[str, Any]]:
    """A change set's parameters: what is given, else what the stack has, else the template's default.

    `declared` are those of GetTemplateSummary. Raises DeployError for names that the template has not, and for those
    that need a value and have none.
    """
    kept = set(previous)
    defaults = {one["ParameterKey"]: "DefaultValue" in one for one in declared}
    unknown = sorted(given.keys() - defaults.keys())
    if unknown:
        raise DeployError(
            f"the template has no parameter {', '.join(unknown)}", f"it has {', '.join(sorted(defaults))}"
        )
    missing = [name for name, default in defaults.items() if not default and name not in given and name not in kept]
    if missing:
        raise DeployError(
            f"the template needs {', '.join(missing)}", f'PARAMETERS="{" ".join(f"{name}=..." for name in missing)}"'
        )
    wanted: list[dict[str, Any]] = []
    for name in defaults:
        if name in given:
            wanted.append({"ParameterKey": name, "ParameterValue": given[name]})
        elif name in kept:
            wanted.append({"ParameterKey": name, "UsePreviousValue": True})
    return wanted


def first_failure(events: Iterable[Event]) -> Event | None:
    """The event that all other failures follow from; events oldest first."""
    for event in events:
        reason = str(event.get("ResourceStatusReason", ""))
        if str(event["ResourceStatus"]).endswith("_FAILED") and not any(word in reason for word in _CONSEQUENCES):
            return event
    return None


def is_over(status: str) -> bool:
    """Whether nothing more happens to a stack in this state."""
    return not status.endswith("_IN_PROGRESS")


def outcome(events: Iterable[Event]) -> str:
    """The state in which the stack itself came to rest, by its events; empty while it has not.

    Not by DescribeStacks: for a moment after the start it may still return the previous state.
    """
    own = [event for event in events if event.get("PhysicalResourceId") == event["StackId"]]
    status = str(own[-1]["ResourceStatus"]) if own else ""
    return status if is_over(status) else ""


class Stack:
    """One stack in CloudFormation."""

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self.name = name
        self._sleep = sleep
        self._clock = clock

    def look(self) -> tuple[bool, dict[str, str]]:
        """Whether the stack exists, and its parameters. Raises DeployError where it cannot be changed now."""
        status, previous = self._described()
        if status == "ROLLBACK_COMPLETE":
            raise DeployError(
                f"the stack {self.name} was never created ({status})",
                f"look at its events, then: aws cloudformation delete-stack --stack-name {self.name}",
            )
        if status and not is_over(status) and status != "REVIEW_IN_PROGRESS":
            raise DeployError(
                f"the stack {self.name} is changing ({status})", "wait until it is done, then run it again"
            )
        exists = status not in ("", "REVIEW_IN_PROGRESS")
        return exists, previous if exists else {}

    def prepare(self, template_url: str, given: Mapping[str, str], change_set: str) -> list[Change]:
        """Create a change set; what it would do, nothing where the stack is as it should be. Raises DeployError."""
        exists, previous = self.look()
        declared = self._ask("get_template_summary", TemplateURL=template_url)["Parameters"]
        self._ask(
            "create_change_set",
            StackName=self.name,
            ChangeSetName=change_set,
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateURL=template_url,
            Parameters=parameters(declared, given, previous),
            Capabilities=list(CAPABILITIES),
        )
        return self._changes(change_set)

    def execute(self, change_set: str, hear: Callable[[Event], None]) -> str:
        """Execute a change set and wait; the stack's state. `hear` is called with each event once, oldest first.

        Raises DeployError with the first failing resource's reason.
        """
        seen = {str(event["EventId"]) for event in self._new_events(set())}
        self._ask("execute_change_set", StackName=self.name, ChangeSetName=change_set)
        events: list[Event] = []
        deadline = self._clock() + _TIMEOUT_SECONDS
        while True:
            for event in self._new_events(seen):
                seen.add(event["EventId"])
                events.append(event)
                hear(event)
            status = outcome(events)
            if status:
                break
            if self._clock() > deadline:
                raise DeployError(
                    f"the stack {self.name} is not done after {_TIMEOUT_SECONDS / 60:.0f} minutes",
                    "CloudFormation goes on by itself: look at the stack's events in its console",
                )
            self._sleep(_POLL_SECONDS)
        if status not in _DONE:
            raise self._failure(status, events)
        return status

    def template(self) -> str:
        """The stack's template as it was written; empty without a stack. Raises DeployError."""
        exists, _ = self.look()
        return str(self._ask("get_template", StackName=self.name)["TemplateBody"]) if exists else ""

    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        (stack,) = self._ask("describe_stacks", StackName=self.name)["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}

    def _failure(self, status: str, events: Sequence[Event]) -> DeployError:
        event = first_failure(events)
        next_step = "correct what it says and run it again; CloudFormation has undone the change"
        if status == "ROLLBACK_COMPLETE":
            next_step += f"; before that: aws cloudformation delete-stack --stack-name {self.name}"
        if event is None:
            return DeployError(f"the stack {self.name} is {status}, without an event that says why", next_step)
        reason = event.get("ResourceStatusReason", "no reason given")
        return DeployError(f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}", next_step)

    def _changes(self, change_set: str) -> list[Change]:
        deadline = self._clock() + _TIMEOUT_SECONDS
        while True:
            answer = self._ask("describe_change_set", StackName=self.name, ChangeSetName=change_set)
            status, reason = answer["Status"], answer.get("StatusReason", "")
            if status == "CREATE_COMPLETE":
                break
            if status == "FAILED":
                self._ask("delete_change_set", StackName=self.name, ChangeSetName=change_set)
                if any(words in reason for words in _NO_CHANGES):
                    return []
                raise DeployError(f"the change set failed: {reason}", "correct the template or the parameters it names")
            if self._clock() > deadline:
                raise DeployError(f"the change set is still {status}", "look at it in CloudFormation's console")
            self._sleep(_POLL_SECONDS)
        changes = list(answer.get("Changes", ()))
        while token := answer.get("NextToken"):
            answer = self._ask("describe_change_set", StackName=self.name, ChangeSetName=change_set, NextToken=token)
            changes += answer.get("Changes", ())
        return [_change(one["ResourceChange"]) for one in changes if "ResourceChange" in one]

    def _described(self) -> tuple[str, dict[str, str]]:
        """The stack's state and its parameters; an empty state without a stack."""
        try:
            (stack,) = self._client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as exc:
            if "does not exist" in exc.response["Error"]["Message"]:
                return "", {}
            raise self._refused("DescribeStacks", exc) from exc
        except BotoCoreError as exc:
            raise self._refused("DescribeStacks", exc) from exc
        return (
            stack["StackStatus"],
            {one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", ())},
        )

    def _new_events(self, seen: Collection[str]) -> list[Event]:
        """The events that are not seen yet, oldest first. CloudFormation lists the newest first, page by page."""
        new: list[Event] = []
        token: dict[str, str] = {}
        while True:
            answer = self._ask("describe_stack_events", StackName=self.name, **token)
            unseen = [event for event in answer["StackEvents"] if event["EventId"] not in seen]
            new += unseen
            if not answer.get("NextToken") or len(unseen) < len(answer["StackEvents"]):
                return new[::-1]
            token = {"NextToken": answer["NextToken"]}

    def _ask(self, call: str, **arguments: Any) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = getattr(self._client, call)(**arguments)
        except (ClientError, BotoCoreError) as exc:
            raise self._refused(call, exc) from exc
        return answer

    def _refused(self, call: str, exc: Exception) -> DeployError:
        return DeployError(
            f"CloudFormation refused {call}: {exc}",
            "correct what it says; without credentials or a region, set AWS_PROFILE and AWS_REGION",
        )


def _change(raw: Mapping[str, Any]) -> Change:
    return Change(raw["Action"], raw["LogicalResourceId"], raw["ResourceType"], raw.get("Replacement", ""))
