"""CloudFormation: sends the response to a custom resource's request to its ResponseURL.

The URL is signed: anyone who reads it can respond in our place. It is in no message and no traceback of this module.
"""

from __future__ import annotations

import urllib3
from urllib3.exceptions import HTTPError

from daswatch.deadline import Deadline
from daswatch.errors import ResponseUndelivered
from daswatch.time_limit import OutOfTime, within

_CONNECT_SECONDS = 3.0
_ATTEMPT_SECONDS = 8.0
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0)
_SCHEMES = ("https://", "http://")


class ResponseSender:
    """Puts responses into CloudFormation's bucket: its 5xx are temporary, a 4xx is final."""

    def __init__(self) -> None:
        self._http = urllib3.PoolManager(retries=False)

    def put(self, url: str, body: bytes, deadline: Deadline) -> int:
        """Put the response; return how many attempts it took. Raises ResponseUndelivered."""
        if not url.startswith(_SCHEMES):
            raise ResponseUndelivered("the request has no ResponseURL")
        for attempt, pause in enumerate((*_PAUSES_SECONDS, None), start=1):
            status, cause = self._try(url, body, deadline)
            if 200 <= status < 300:
                return attempt
            if 400 <= status < 500 and status not in (408, 429):
                raise ResponseUndelivered(f"CloudFormation's bucket refused the response ({cause})")
            if pause is None or not deadline.wait(pause, 0.0):
                break
        raise ResponseUndelivered(f"CloudFormation's bucket did not take the response ({cause}, {attempt} attempts)")

    def _try(self, url: str, body: bytes, deadline: Deadline) -> tuple[int, str]:
        """Return the status, 0 if there was none, and the cause to report."""
        attempt = deadline.at_most(_ATTEMPT_SECONDS)
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_ATTEMPT_SECONDS)
        try:
            # The URL's signature covers an empty content type.
            answer = within(
                attempt,
                lambda: self._http.request("PUT", url, body=body, headers={"content-type": ""}, timeout=timeout),
            )
        except (HTTPError, ValueError, OutOfTime) as exc:  # their messages, and those behind them, quote the URL
            return 0, type(exc).__name__
        return answer.status, f"it answered {answer.status}"
