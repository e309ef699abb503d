"""Answers each request exactly once, whatever becomes of it: the one place where nothing may be left unanswered."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from daswatch.activity_streams.custom_resources import (
    NOTHING_MADE,
    Answer,
    Request,
    RequestType,
    answer_body,
    failed,
    read_request,
    response_url,
)
from daswatch.aws.cloudformation import Answers
from daswatch.bounded import OutOfTime, within
from daswatch.deadline import Clock, Deadline
from daswatch.errors import AnswerUndelivered, DaswatchError, RequestError, TimeLimitReached

Provider = Callable[[Request, Deadline], Answer]

# Kept back from the time limit: for the last call of a provider to return, and for answering with retries.
_RESERVE_SECONDS = 30.0
_LARGEST_RESERVE = 0.5  # of the whole, where a function has little time
_GRACE = 0.5  # of the reserve: until then a provider may return after its deadline
_LOG_SECONDS = 1.0  # kept back for the log line, where the answer is not taken
_LARGEST_LOG_SHARE = 0.1
_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What one request came to. `where` tells of an unexpected error: its kind and last frames, not its message.

    Where the answer is undelivered the invocation has to fail: then Lambda makes another one, which comes to the same.
    """

    answer: Answer
    request: Request | None
    where: str = ""
    attempts: int = 0
    undelivered: AnswerUndelivered | None = None


def answer_request(
    event: object, providers: Mapping[str, Provider], answers: Answers, seconds: float, clock: Clock
) -> Report:
    """Have a request provided for, and put the answer. `seconds` is what is left of the invocation. Never raises."""
    last = Deadline.after(seconds - min(_LOG_SECONDS, seconds * _LARGEST_LOG_SHARE), clock)
    report = provide(event, providers, seconds, clock)
    try:
        attempts = answers.put(response_url(event), answer_body(event, report.answer), last)
    except AnswerUndelivered as exc:
        return replace(report, undelivered=exc)
    return replace(report, attempts=attempts)


def provide(event: object, providers: Mapping[str, Provider], seconds: float, clock: Clock) -> Report:
    """Have a request provided for, some time before `seconds` are over. Never raises."""
    reserve = min(_RESERVE_SECONDS, seconds * _LARGEST_RESERVE)
    work = Deadline.after(seconds - reserve, clock)
    request, where = None, ""
    try:
        request = read_request(event)
        made = _bounded(request, providers, work, Deadline.after(seconds - reserve * _GRACE, clock))
    except DaswatchError as exc:
        made = failed(event, str(exc))
    except Exception as exc:  # noqa: BLE001 - whatever it was, the stack must not wait for an hour
        where = _where(exc)
        made = failed(event, f"unexpected {type(exc).__name__}: the log of the function says where")
    return Report(made, request, where)


def _provided(request: Request, providers: Mapping[str, Provider], deadline: Deadline) -> Answer:
    provider = providers.get(request.resource_type)
    if provider is not None:
        return provider(request, deadline)
    if request.type is RequestType.DELETE:  # it never was made
        return Answer(succeeded=True, physical_id=request.physical_id or NOTHING_MADE, reason="there is no such type")
    raise RequestError(f"there is no resource type {request.resource_type[:80]!r} (expected: {', '.join(providers)})")


def _bounded(request: Request, providers: Mapping[str, Provider], work: Deadline, last: Deadline) -> Answer:
    """The provider's answer; raises what it raises, and TimeLimitReached where it has not returned at `last`.

    One that is given up may go on while the function is warm: all that providers do may be done twice.
    """
    try:
        return within(last, lambda: _provided(request, providers, work))
    except OutOfTime as exc:
        raise TimeLimitReached(
            "the time of the function is over, and AWS or OpenSearch has not answered: do the same again"
        ) from exc


def _where(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)[-_FRAMES:]
    return " > ".join([type(exc).__name__, *(f"{PurePath(one.filename).name}:{one.lineno}" for one in frames)])
