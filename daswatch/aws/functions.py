"""Lambda: invokes a function, and waits for its answer or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from daswatch.aws.api_calls import AwsError, ask
from daswatch.deadline import Deadline
from daswatch.errors import FunctionUnavailable

if TYPE_CHECKING:
    from types_boto3_lambda.client import LambdaClient

_T = TypeVar("_T")


def begin(
    client: Callable[[], LambdaClient], function: str, deadline: Deadline, payload: Mapping[str, Any] | None = None
) -> None:
    """Invoke a function without waiting for what it does. Raises FunctionUnavailable."""
    body = orjson.dumps(payload or {})
    _ask(lambda: client().invoke(FunctionName=function, InvocationType="Event", Payload=body), function, deadline)


def invoke(
    client: Callable[[], LambdaClient], function: str, payload: Mapping[str, Any], deadline: Deadline
) -> Mapping[str, Any]:
    """The function's answer, an object. Raises FunctionUnavailable; what the function does goes on then."""

    def call() -> tuple[str, bytes]:
        answer = client().invoke(FunctionName=function, Payload=orjson.dumps(payload))
        return answer.get("FunctionError", ""), answer["Payload"].read()

    failed, body = _ask(call, function, deadline)
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise FunctionUnavailable(f"{function} answers no JSON") from exc
    if not isinstance(found, Mapping):
        raise FunctionUnavailable(f"{function} answers no object")
    if failed:
        raise FunctionUnavailable(f"{function} failed: {found.get('errorType', '')}: {found.get('errorMessage', '')}")
    return found


def _ask(call: Callable[[], _T], function: str, deadline: Deadline) -> _T:
    try:
        return ask(call, deadline, repeatable=False)
    except AwsError as exc:
        raise FunctionUnavailable(f"Lambda Invoke of {function}: {exc.code}: {exc.words}") from exc
