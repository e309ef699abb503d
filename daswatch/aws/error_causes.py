"""Why a request got no answer, in words: from what sockets, urllib3, botocore and opensearch-py raise.

In: any exception, with the ones that it came from. Out: a cause and what to look at next. Nothing is asked here.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import urllib3.exceptions
from botocore import exceptions as aws

from daswatch.aws.session import ForeignAnswerError, origin


class Cause(StrEnum):
    """What kept a request from being answered."""

    REFUSED = "connection refused"
    DNS = "unknown host name"
    TLS = "TLS failure"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    CLOSED = "connection closed"
    PROXY = "proxy failure"
    NOT_AWS = "not AWS"
    NOT_OPENSEARCH = "not OpenSearch"
    NOT_DASHBOARDS = "not OpenSearch Dashboards"


NEXT_STEPS = {
    Cause.REFUSED: "nothing listens there: correct the host name and port, or start it",
    Cause.DNS: "correct the name; if it is right, check DNS: some names are known inside their VPC only",
    Cause.TLS: "check that the address is https://, the certificate is valid, and its authority is trusted here",
    Cause.TIMEOUT: "check security groups, routes and firewalls; an endpoint in a VPC answers only inside it",
    Cause.UNREACHABLE: "check the network of this machine and its route to there",
    Cause.CLOSED: "check the port, and whether the address has to begin with https:// or http://",
    Cause.PROXY: "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    Cause.NOT_AWS: "check AWS_ENDPOINT_URL, the proxy's variables, and what answers at that address",
    Cause.NOT_OPENSEARCH: "set OPENSEARCH_ENDPOINT to the endpoint of the domain or collection, without a path",
    Cause.NOT_DASHBOARDS: "set DASHBOARDS_URL to the address of OpenSearch Dashboards, including /_dashboards",
}

_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
# In this order: a refused connection to a proxy is the proxy's failure, a TLS handshake that times out is a timeout.
_KINDS: tuple[tuple[Cause, tuple[type[BaseException], ...]], ...] = (
    (Cause.NOT_AWS, (ForeignAnswerError,)),
    (Cause.PROXY, (aws.ProxyConnectionError, urllib3.exceptions.ProxyError)),
    (Cause.DNS, (socket.gaierror, urllib3.exceptions.NameResolutionError)),
    (Cause.REFUSED, (ConnectionRefusedError,)),
    (
        Cause.TIMEOUT,
        (aws.ConnectTimeoutError, aws.ReadTimeoutError, urllib3.exceptions.TimeoutError, TimeoutError),
    ),
    (Cause.TLS, (ssl.SSLError, urllib3.exceptions.SSLError, aws.SSLError)),
    (
        Cause.CLOSED,
        (
            ConnectionResetError,
            BrokenPipeError,
            ConnectionAbortedError,
            http.client.HTTPException,
            urllib3.exceptions.ProtocolError,
            aws.ConnectionClosedError,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there was none; `endpoint` is empty where the exceptions do not have it."""

    cause: Cause
    endpoint: str = ""
    detail: str = ""

    @property
    def words(self) -> str:
        """The cause with what is known of it."""
        return f"{self.cause}: {self.detail}" if self.detail else str(self.cause)

    @property
    def sentence(self) -> str:
        """Of a service of AWS."""
        where = self.endpoint or "AWS"
        if self.cause is Cause.NOT_AWS:
            return f"what answers at {where} is not AWS ({self.detail})"
        return f"{where} does not answer ({self.words})"


def no_answer(exc: BaseException) -> NoAnswer | None:
    """Why what was asked did not answer; None where it did, or where that cannot be seen."""
    chain = list(origins(exc))
    for cause, kinds in _KINDS:
        if any(isinstance(one, kinds) for one in chain):
            return NoAnswer(cause, _endpoint(chain), _detail(cause, chain))
    if any(isinstance(one, OSError) and one.errno in _UNREACHABLE for one in chain):
        return NoAnswer(Cause.UNREACHABLE, _endpoint(chain))
    return None


# Asking again, at once, is no use.
LASTING = frozenset({Cause.REFUSED, Cause.DNS, Cause.TLS, Cause.PROXY, Cause.NOT_AWS, Cause.UNREACHABLE, Cause.CLOSED})


def origins(exc: BaseException) -> Iterator[BaseException]:
    """An exception and those it came from, by whatever way the libraries hand them on."""
    waiting: list[object] = [exc]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        kwargs = getattr(one, "kwargs", None)  # botocore's
        if isinstance(kwargs, dict):
            waiting.append(kwargs.get("error"))


def _endpoint(chain: list[BaseException]) -> str:
    for one in chain:
        kwargs = getattr(one, "kwargs", None)
        url = kwargs.get("endpoint_url") or kwargs.get("proxy_url") if isinstance(kwargs, dict) else None
        if isinstance(url, str) and "://" in url:
            return origin(url)
    return ""


def _detail(cause: Cause, chain: list[BaseException]) -> str:
    if cause is Cause.NOT_AWS:
        return next(str(one.what) for one in chain if isinstance(one, ForeignAnswerError))
    if cause is Cause.TLS:
        for one in chain:
            if isinstance(one, ssl.SSLCertVerificationError):
                return one.verify_message
        if any("WRONG_VERSION_NUMBER" in str(one) or "record layer failure" in str(one) for one in chain):
            return "what listens there does not speak TLS"
    return ""
