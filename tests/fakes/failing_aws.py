"""Clients whose calls AWS answers with an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders


class FailingAws:
    """Clients whose calls AWS answers with an error, as often as asked for."""

    def __init__(self, fails: Iterator[bool], status: int, body: bytes, about: str = "") -> None:
        """Only calls with `about` in their address or body count."""
        self._fails = fails
        self._answer = status, body
        self._about = about.encode()
        self.failed = 0

    def of(self, make: Callable[[], Any], service: str) -> Callable[[], Any]:
        """A maker of such clients."""

        def made() -> Any:
            client = make()
            client.meta.events.register(f"before-send.{service}", self._send)
            return client

        return made

    def _send(self, request: Any, **_: object) -> AWSResponse | None:
        if self._about not in request.url.encode() + _bytes(request.body) or not next(self._fails):
            return None
        self.failed += 1
        status, body = self._answer
        return AWSResponse(request.url, status, HTTPHeaders(), _Raw(body))


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body

    def read(self, *_: object) -> bytes:
        body, self._body = self._body, b""
        return body


def _bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else str(body or "").encode()
