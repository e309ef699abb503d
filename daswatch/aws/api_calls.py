"""AWS: one call within a deadline, retried while it may still succeed, and what its failure means.

botocore's own retries are off (`clients.py`): they and the pauses between them know no deadline.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as AwsConnectionError

from daswatch.deadline import Deadline, backoff_seconds
from daswatch.time_limit import OutOfTime, within

_T = TypeVar("_T")

# Below this there is no time left for a call to be answered.
SHORTEST_CALL_SECONDS = 0.5
OUT_OF_TIME = "out of time"

# Prefixes of AWS's error codes: most have one form with and one without "Exception" or "Fault".
_PASSING = (
    "ConcurrentUpdate",
    "DependencyTimeout",
    "Internal",
    "KMSInternal",
    "KeyUnavailable",
    "LimitExceeded",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ServiceFailure",
    "ServiceUnavailable",
    "SlowDown",
    "Throttl",
    "TooManyRequests",
    "TransactionInProgress",
)
_DENIED = ("AccessDenied", "AuthorizationError", "KMSAccessDenied", "NotAuthorized", "UnauthorizedOperation")
# Without a connection nothing was asked.
_NOT_CONNECTED = ("ConnectTimeoutError", "EndpointConnectionError", "ProxyConnectionError")
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


class Trouble(Enum):
    """What the caller can do about a call that failed."""

    PASSING = "passing"  # throttled, AWS's own failure, no answer: the same call may succeed soon
    DENIED = "denied"  # a permission is missing, or too new to act
    REFUSED = "refused"  # the same call fails again
    OUT_OF_TIME = "out of time"


class AwsError(Exception):
    """A call of AWS's API failed. `code` is AWS's, or the name of what was raised without an answer.

    `words` are AWS's own and may quote the request.
    """

    def __init__(self, code: str, trouble: Trouble, *, status: int = 0, words: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.trouble = trouble
        self.status = status
        self.words = words or code

    @property
    def may_have_effect(self) -> bool:
        """Whether AWS may have done what was asked, although no answer says so."""
        unanswered = self.status == 0 and self.trouble in (Trouble.PASSING, Trouble.OUT_OF_TIME)
        return unanswered and self.code not in _NOT_CONNECTED


def trouble_of(code: str, status: int = 0) -> Trouble:
    """Sort an error by its code and, where it is a whole call's, the HTTP status."""
    if code.startswith(_DENIED):
        return Trouble.DENIED
    if code.startswith(_PASSING) or status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR:
        return Trouble.PASSING
    return Trouble.REFUSED


def attempt(call: Callable[[], _T], deadline: Deadline) -> _T:
    """Make one call. Raises AwsError."""
    try:
        return within(deadline, call)
    except OutOfTime as exc:
        raise AwsError(OUT_OF_TIME, Trouble.OUT_OF_TIME) from exc
    except ClientError as exc:
        error = exc.response.get("Error", {})
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.get("Code") or f"HTTP {status}"
        raise AwsError(code, trouble_of(code, status), status=status, words=error.get("Message", "")) from exc
    except (AwsConnectionError, HTTPClientError) as exc:
        # The second is what answers and is not AWS, too: a proxy's page for example (`session.py`).
        raise AwsError(type(exc).__name__, Trouble.PASSING) from exc
    except BotoCoreError as exc:
        raise AwsError(type(exc).__name__, Trouble.REFUSED) from exc


def ask(
    call: Callable[[], _T],
    deadline: Deadline,
    chance: Callable[[], float] = random.random,
    *,
    repeatable: bool = True,
) -> _T:
    """Make a call, again with growing pauses while its trouble is passing and time is left. Raises AwsError.

    A call that is not `repeatable` is not made again where it may have had its effect.
    """
    tries, before = 0, None
    while True:
        try:
            return attempt(call, deadline)
        except AwsError as exc:
            if exc.may_have_effect and not repeatable:
                raise
            if exc.trouble is Trouble.OUT_OF_TIME and before:
                raise before from exc  # it names the cause
            pause = backoff_seconds(tries, chance())
            if exc.trouble is not Trouble.PASSING or not deadline.wait(pause, SHORTEST_CALL_SECONDS):
                raise
            before = exc
        tries += 1


def ask_pages(
    call: Callable[..., Mapping[str, Any]],
    entries: str,
    deadline: Callable[[], Deadline],
    token: str = "Marker",  # noqa: S107
    **parameters: Any,
) -> list[Any]:
    """All entries of a call that answers in pages; `token` is what leads to the next. Raises AwsError.

    Each page is a call with a deadline of its own: one that is throttled does not begin from the first again.
    """
    found: list[Any] = []
    while True:
        page = ask(partial(call, **parameters), deadline())
        found += page.get(entries, ())
        if not page.get(token):
            return found
        parameters[token] = page[token]
