"""Sends the response to each request exactly once, whatever happens: a stack must not wait for one."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from daswatch.activity_streams.custom_resources import NOTHING_MADE, Request, RequestType, Response, response_body
from daswatch.aws.cloudformation import ResponseSender
from daswatch.deadline import Clock, Deadline
from daswatch.errors import DaswatchError, RequestError, ResponseUndelivered, TimeLimitReached
from daswatch.time_limit import OutOfTime, within

Provider = Callable[[Request, Deadline], Response]

# Kept back from the time limit: for the last call of a provider to return, and for the response with its retries.
_RESERVE_SECONDS = 30.0
_LARGEST_RESERVE = 0.5  # of the whole, if a function has little time
_GRACE = 0.5  # of the reserve: until then a provider may return after its deadline
_LOG_SECONDS = 1.0  # kept back for the log line, if the response is not taken
_LARGEST_LOG_SHARE = 0.1
_FRAMES = 3


@dataclass(frozen=True, slots=True)
class SetupReport:
    """The result of one request. `where` has the type and last frames of an unexpected error, not its message.

    If the response is undelivered, the invocation has to fail: Lambda then repeats it, with the same result.
    """

    response: Response
    request: Request
    where: str = ""
    attempts: int = 0
    undelivered: ResponseUndelivered | None = None


def respond(
    request: Request, providers: Mapping[str, Provider], sender: ResponseSender, seconds: float, clock: Clock
) -> SetupReport:
    """Provide a resource and send the response. `seconds` is what is left of the invocation. Never raises."""
    last = Deadline.after(seconds - min(_LOG_SECONDS, seconds * _LARGEST_LOG_SHARE), clock)
    report = provide(request, providers, seconds, clock)
    try:
        attempts = sender.put(request.response_url, response_body(request, report.response), last)
    except ResponseUndelivered as exc:
        return replace(report, undelivered=exc)
    return replace(report, attempts=attempts)


def provide(request: Request, providers: Mapping[str, Provider], seconds: float, clock: Clock) -> SetupReport:
    """Provide a resource, some time before `seconds` are over. Never raises."""
    reserve = min(_RESERVE_SECONDS, seconds * _LARGEST_RESERVE)
    work = Deadline.after(seconds - reserve, clock)
    where = ""
    try:
        response = _bounded(request, providers, work, Deadline.after(seconds - reserve * _GRACE, clock))
    except DaswatchError as exc:
        response = request.failed(str(exc))
    except Exception as exc:  # noqa: BLE001 - whatever it was, the stack must not wait for an hour
        where = _where(exc)
        response = request.failed(f"unexpected {type(exc).__name__}: see the function's log")
    return SetupReport(response, request, where)


def _provided(request: Request, providers: Mapping[str, Provider], deadline: Deadline) -> Response:
    if request.type is None:
        raise RequestError("the request's RequestType is none of Create, Update and Delete")
    provider = providers.get(request.resource_type)
    if provider is not None:
        return provider(request, deadline)
    if request.type is RequestType.DELETE:  # it was never made
        return Response(succeeded=True, physical_id=request.physical_id or NOTHING_MADE, reason="there is no such type")
    raise RequestError(f"there is no resource type {request.resource_type[:80]!r} (expected: {', '.join(providers)})")


def _bounded(request: Request, providers: Mapping[str, Provider], work: Deadline, last: Deadline) -> Response:
    """Return the provider's response; raise what it raises, and TimeLimitReached if it has not returned at `last`.

    A provider may go on afterwards while the function is warm: all that providers do may be done twice.
    """
    try:
        return within(last, lambda: _provided(request, providers, work))
    except OutOfTime as exc:
        raise TimeLimitReached(
            "the function ran out of time: AWS or OpenSearch did not answer. Repeat the operation"
        ) from exc


def _where(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)[-_FRAMES:]
    return " > ".join([type(exc).__name__, *(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames)])
